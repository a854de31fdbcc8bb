/*
 * Unit test of failing on demand: the list, and what counts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include "hw/snp/fw_table.h"
#include "hw/snp/inject.h"
#include "ktap.h"

static SnpInject s;
static char why[256];

static bool parse(const char *text)
{
    why[0] = 0;
    return snp_inject_parse(&s, text, why, sizeof(why));
}

static SnpInjectAction fw(uint32_t command)
{
    return snp_inject(&s, SNP_INJECT_FIRMWARE, command);
}

static void nothing(void)
{
    CHECK(parse("") && !s.n && !s.armed, "%s", why);
    for (int site = 0; site < SNP_INJECT_NSITES; site++) {
        CHECK(snp_inject(&s, site, SNP_INIT_EX).kind == SNP_INJECT_NOTHING,
              "site %d", site);
    }
}

/* Every command by every status: once, the second of its kind, no other's */
static void commands(void)
{
    unsigned statuses = 0;

    for (uint32_t status = 0; status < 0x40; status++) {
        statuses += strcmp(snp_fw_status_name(status), "?") != 0;
    }
    CHECK(statuses == 55, "%u statuses have names", statuses);
    for (unsigned i = 0; i < fw_ncommands; i++) {
        const FwCommand *c = &fw_commands[i];
        uint32_t other = c->id == SNP_INIT_EX ? SNP_INIT : SNP_INIT_EX;

        for (uint32_t status = 0; status < 0x40; status++) {
            const char *name = snp_fw_status_name(status);
            char text[100];

            if (!strcmp(name, "?")) {
                continue;
            }
            snprintf(text, sizeof(text), "%s:2:%s", c->name, name);
            CHECK(parse(text), "%s", why);
            CHECK(fw(other).kind == SNP_INJECT_NOTHING, "%s", text);
            CHECK(fw(c->id).kind == SNP_INJECT_NOTHING, "%s", text);
            SnpInjectAction a = fw(c->id);
            CHECK(a.kind == SNP_INJECT_STATUS && a.value == status, "%s",
                  text);
            CHECK(fw(c->id).kind == SNP_INJECT_NOTHING, "%s", text);
            CHECK(s.rule[0].seen == 3 && s.rule[0].fired == 1, "%s", text);
        }
    }
}

static void more(void)
{
    SnpInjectAction a;

    CHECK(parse("INIT:1-2:ACTIVE=0x123456789abcdef0;INIT:3:ACTIVE"), "%s", why);
    for (int i = 1; i <= 3; i++) {
        a = fw(SEV_INIT);
        CHECK(a.kind == SNP_INJECT_STATUS &&
              a.more == (i < 3 ? 0x123456789abcdef0ull : 0), "%d", i);
    }
}

static void ranges(void)
{
    CHECK(parse("any:2-4:HWERROR_PLATFORM"), "%s", why);
    for (int i = 1; i <= 6; i++) {
        /* ids that no command has are counted, too */
        CHECK((fw(0x700 + i).kind == SNP_INJECT_STATUS) == (i >= 2 && i <= 4),
              "the %d.", i);
    }
    CHECK(s.rule[0].seen == 6 && s.rule[0].fired == 3, "counts");

    CHECK(parse("RMPUPDATE:1-3:OVERLAP;PSMASH:2:INUSE;RMPUPDATE:4:INUSE"),
          "%s", why);
    for (int i = 1; i <= 5; i++) {
        SnpInjectAction a = snp_inject(&s, SNP_INJECT_RMPUPDATE, 0);
        uint64_t want = i <= 3 ? 4 : i == 4 ? 3 : 0;

        CHECK(a.kind == (want ? SNP_INJECT_STATUS : SNP_INJECT_NOTHING) &&
              a.value == want, "RMPUPDATE %d", i);
        CHECK(fw(SNP_INIT).kind == SNP_INJECT_NOTHING, "firmware");
        a = snp_inject(&s, SNP_INJECT_PSMASH, 0);
        CHECK((a.kind == SNP_INJECT_STATUS && a.value == 3) == (i == 2),
              "PSMASH %d", i);
    }

    /* by what becomes of the page, each counts its own */
    CHECK(parse("RMPUPDATE-GUEST:2:INUSE;RMPUPDATE-SHARED:1:PERMISSION;"
                "RMPUPDATE-FIRMWARE:3:INPUT"), "%s", why);
    for (int i = 1; i <= 4; i++) {
        static const struct { uint32_t to; int at; uint64_t code; } all[] = {
            { SNP_INJECT_TO_GUEST, 2, 3 }, { SNP_INJECT_TO_SHARED, 1, 2 },
            { SNP_INJECT_TO_FIRMWARE, 3, 1 },
        };

        for (int k = 0; k < 3; k++) {
            SnpInjectAction a = snp_inject(&s, SNP_INJECT_RMPUPDATE,
                                           all[k].to);

            CHECK(a.value == (i == all[k].at ? all[k].code : 0), "%d %d", i,
                  k);
        }
    }

    CHECK(parse("NPF:3;DMA:5"), "%s", why);
    for (int i = 1; i <= 5; i++) {
        CHECK((snp_inject(&s, SNP_INJECT_NPF, 0).kind == SNP_INJECT_FAULT) ==
              (i == 3), "the %d.", i);
        CHECK((snp_inject(&s, SNP_INJECT_DMA, 0).kind == SNP_INJECT_FAULT) ==
              (i == 5), "the %d. of a device", i);
    }
}

static void answers(void)
{
    SnpInjectAction a;

    CHECK(parse("INIT:1:no-interrupt;INIT:2:late-polls=7;"
                "INIT:3:late-interrupts=1000000000;INIT:4:dead"), "%s", why);
    CHECK(fw(SEV_INIT).kind == SNP_INJECT_NO_INTERRUPT, "no-interrupt");
    a = fw(SEV_INIT);
    CHECK(a.kind == SNP_INJECT_LATE_POLLS && a.value == 7, "polls");
    a = fw(SEV_INIT);
    CHECK(a.kind == SNP_INJECT_LATE_INTERRUPTS && a.value == 1000000000,
          "interrupts");
    CHECK(fw(SEV_INIT).kind == SNP_INJECT_DEAD, "dead");
    CHECK(fw(SNP_INIT).kind == SNP_INJECT_NOTHING, "another's");
}

static void others(void)
{
    SnpInjectAction a;

    CHECK(parse("SNP_INIT_EX:1:store=0x10000;SNP_INIT:2:rmpupdate=0x7ff000"),
          "%s", why);
    a = fw(SNP_INIT_EX);
    CHECK(a.kind == SNP_INJECT_STORE && a.value == 0x10000, "a store");
    CHECK(fw(SNP_INIT).kind == SNP_INJECT_NOTHING, "the first SNP_INIT");
    a = fw(SNP_INIT);
    CHECK(a.kind == SNP_INJECT_RMPUPDATE_AT && a.value == 0x7ff000,
          "RMPUPDATE");

    CHECK(parse("GHCB-0x80000010:2:0x802.2=0xffff:1;GHCB-0x7b:1:0xff8.8="
                "0xfedcba9876543210:0"), "%s", why);
    CHECK(snp_inject(&s, SNP_INJECT_GHCB, 0x72).kind == SNP_INJECT_NOTHING &&
          snp_inject(&s, SNP_INJECT_GHCB, 0x80000010).kind ==
          SNP_INJECT_NOTHING, "another event, the first");
    a = snp_inject(&s, SNP_INJECT_GHCB, 0x80000010);
    CHECK(a.kind == SNP_INJECT_CHANGE && a.offset == 0x802 && a.size == 2 &&
          a.value == 0xffff && a.loads == 1, "the second");
    a = snp_inject(&s, SNP_INJECT_GHCB, 0x7b);
    CHECK(a.kind == SNP_INJECT_CHANGE && a.offset == 0xff8 && a.size == 8 &&
          a.value == 0xfedcba9876543210 && a.loads == 0, "of 8 bytes");
    CHECK(parse("GHCB:1-2:0x0.1=0x0:1000000000"), "%s", why);
    for (int i = 1; i <= 3; i++) {
        a = snp_inject(&s, SNP_INJECT_GHCB, i);
        CHECK((a.kind == SNP_INJECT_CHANGE) == (i <= 2), "any event, %d", i);
    }
}

static void refused(void)
{
    static const char * const bad[] = {
        ";", "INIT", "INIT:", "INIT:1", "INIT:1:", ":1:ACTIVE", "INIT:1:active",
        "INIT:0:ACTIVE", "INIT:-1:ACTIVE", "INIT:1-:ACTIVE", "INIT:2-1:ACTIVE",
        "INIT:+1:ACTIVE", "INIT: 1:ACTIVE", "INIT:1x:ACTIVE", "INIT:0x1:ACTIVE",
        "INIT:1-0:ACTIVE", "INIT:1-2-3:ACTIVE", "INIT:1000000001:ACTIVE",
        "INIT:18446744073709551617:ACTIVE", "INIT:1:NO_SUCH_STATUS",
        "INIT:1:?", "INIT:1:0x1", "INIT:1:OVERLAP", "INIT:1:ACTIVE:1",
        "INIT:1:ACTIVE;", "INIT:1:ACTIVE;;", "init:1:ACTIVE", "ANY:1:ACTIVE",
        "INIT:1:late-polls", "INIT:1:late-polls=", "INIT:1:late-polls=0",
        "INIT:1:late-polls=1s", "INIT:1:late=1", "INIT:1-2:dead",
        "INIT:1:no-interrupt=1", "INIT:1:ACTIVE=", "INIT:1:ACTIVE=0x0",
        "INIT:1:ACTIVE=17", "INIT:1:ACTIVE=0x1x", "INIT:1:ACTIVES=0x1",
        "RMPUPDATE:1", "RMPUPDATE:1:ACTIVE", "RMPUPDATE:1:SUCCESS",
        "RMPUPDATE:0:INUSE", "PSMASH:1:inuse", "PSMASH:1:dead", "NPF",
        "NPF:0", "NPF:1:INUSE", "NPF:1:",
        "NPF:1:INUSE:1", "INIT:1:store=0x1000", "any:1:rmpupdate=0x1000",
        "SNP_INIT:1:store", "SNP_INIT:1:store=", "SNP_INIT:1:store=1000",
        "SNP_INIT:1:store=0x", "SNP_INIT:1:store=0x1800",
        "SNP_INIT:1:store=0x1000000000000", "SNP_INIT:1:store=0xA000",
        "SNP_INIT:1:rmpupdate=0x1000x", "SNP_INIT:1:store=0x1000:1",
        "GHCB", "GHCB:1", "GHCB:1:0x0.1=0x0", "GHCB:1:0x0.1=0x0:",
        "GHCB:1:0x0.1=0x0:-1", "GHCB:1:0x0.1=0x0:1:1", "GHCB:1:0x0.1:1",
        "GHCB:1:0x0=0x0.1:1", "GHCB:1:0.1=0x0:1", "GHCB:1:0x1.2=0x0:1",
        "GHCB:1:0x0.3=0x0:1", "GHCB:1:0x0.16=0x0:1", "GHCB:1:0x0.0=0x0:1",
        "GHCB:1:0x1000.1=0x0:1", "GHCB:1:0x0.1=0x100:1", "GHCB:1::1",
        "GHCB:1:0x0.8=0x10000000000000000:1", "GHCB:1:ACTIVE:1",
        "GHCB-:1:0x0.1=0x0:1", "GHCB-7b:1:0x0.1=0x0:1", "GHCBx:1:0x0.1=0x0:1",
        "GHCB-0x100000000:1:0x0.1=0x0:1",
        "GHCB:1:0x0.1=0x0:1;GHCB-0x7b:2:0x0.1=0x0:1",
        "GHCB-0x7b:1-2:0x0.1=0x0:1;GHCB-0x7b:2:0x8.1=0x0:1",
        /* what contradicts: also if an earlier rule is as good as this one */
        "INIT:1:ACTIVE;INIT:1:ACTIVE", "INIT:1-3:ACTIVE;INIT:3-4:INVALID_LEN",
        "INIT:3-4:dead", "INIT:2:ACTIVE;INIT:1-9:late-polls=1",
        "any:1:ACTIVE;INIT:2:ACTIVE", "INIT:2:ACTIVE;any:1:ACTIVE",
        "RMPUPDATE:1-5:OVERLAP;RMPUPDATE:5:INUSE", "NPF:1-3;NPF:2",
        "RMPUPDATE-GUEST:1:INUSE;RMPUPDATE:2:INUSE", "RMPUPDATE-:1:INUSE",
        "RMPUPDATE-GUEST:1-2:INUSE;RMPUPDATE-GUEST:2:OVERLAP",
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(!parse(bad[i]), "'%s' is taken", bad[i]);
        CHECK(!strncmp(why, "inject: '", 9), "'%s': %s", bad[i], why);
    }
    parse("INIT:1:ACTIVE;SHUTDOWN:1:ACTIVE;INIT:1-2:dead");
    CHECK(strstr(why, "'INIT:1-2:dead'"), "names the rule: %s", why);
}

static void limits(void)
{
    char text[SNP_INJECT_MAX * 20 + 40] = "", rule[100];

    for (unsigned i = 1; i <= SNP_INJECT_MAX; i++) {
        snprintf(rule, sizeof(rule), "%sNPF:%u", i > 1 ? ";" : "", i);
        strcat(text, rule);
    }
    CHECK(parse(text) && s.n == SNP_INJECT_MAX, "%s", why);
    strcat(text, ";NPF:99");
    CHECK(!parse(text) && strstr(why, "too many"), "%s", why);

    memset(rule, 'A', sizeof(rule));
    rule[SNP_INJECT_TEXT] = 0;
    CHECK(!parse(rule) && !strstr(why, "too long"), "%s", why);
    rule[SNP_INJECT_TEXT] = 'A';
    rule[SNP_INJECT_TEXT + 1] = 0;
    CHECK(!parse(rule) && strstr(why, "too long"), "%s", why);
    /* a message that does not fit is cut */
    CHECK(!snp_inject_parse(&s, rule, why, 10) && strlen(why) == 9, "%s", why);
}

static void live(void)
{
    static SnpInject now, list, copy;

    CHECK(snp_inject_parse(&list, "NPF:2", why, sizeof(why)), "%s", why);
    snp_inject_set(&now, &list);
    snp_inject(&now, SNP_INJECT_NPF, 0);
    snp_inject(&now, SNP_INJECT_NPF, 0);
    snp_inject_get(&now, &copy);
    CHECK(copy.n == 1 && !strcmp(copy.rule[0].text, "NPF:2") &&
          copy.rule[0].seen == 2 && copy.rule[0].fired == 1, "counted");
    /* set anew it counts anew; without a list nothing is counted */
    snp_inject_set(&now, &list);
    CHECK(snp_inject(&now, SNP_INJECT_NPF, 0).kind == SNP_INJECT_NOTHING &&
          snp_inject(&now, SNP_INJECT_NPF, 0).kind == SNP_INJECT_FAULT,
          "the second again");
    memset(&list, 0, sizeof(list));
    snp_inject_set(&now, &list);
    CHECK(!now.armed && !now.n, "empty");
}

int main(void)
{
    static const KtapCase cases[] = {
        { "inject.nothing", nothing },
        { "inject.commands", commands },
        { "inject.more", more },
        { "inject.ranges", ranges },
        { "inject.answers", answers },
        { "inject.others", others },
        { "inject.refused", refused },
        { "inject.limits", limits },
        { "inject.live", live },
    };

    return ktap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
