/*
 * The SNP platform: failing on demand
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The grammar is in include/hw/snp/inject.h.
 */
#include <stdio.h>
#include <string.h>
#include "hw/snp/fw.h"
#include "hw/snp/fw_table.h"
#include "hw/snp/inject.h"
#include "hw/snp/rmp.h"

#define ARRAY_LEN(a)  (sizeof(a) / sizeof((a)[0]))

/* Parts of a rule, between colons */
#define PARTS_MAX     4

typedef struct Parse {
    char *why;
    size_t len;
    char rule[SNP_INJECT_TEXT + 1];     /* for the message */
} Parse;

static bool refuse(const Parse *p, const char *what)
{
    snprintf(p->why, p->len, "inject: '%s': %s", p->rule, what);
    return false;
}

/* Digits only; from 1 to the limit */
static bool number(const char *s, size_t len, uint64_t *out)
{
    uint64_t n = 0;

    if (!len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }
        n = n * 10 + (s[i] - '0');
        if (n > SNP_INJECT_LIMIT) {
            return false;
        }
    }
    *out = n;
    return n >= 1;
}

/* 0x and digits, at most @bits of them used */
static bool hex(const char *s, size_t len, unsigned bits, uint64_t *out)
{
    uint64_t n = 0;

    if (len < 3 || len > 18 || s[0] != '0' || s[1] != 'x') {
        return false;
    }
    for (size_t i = 2; i < len; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *d = memchr(digits, s[i], sizeof(digits) - 1);

        if (!d) {
            return false;
        }
        n = n << 4 | (uint64_t)(d - digits);
    }
    *out = n;
    return bits == 64 || n < 1ull << bits;
}

static bool parse_count(const Parse *p, SnpInjectRule *r, const char *s)
{
    const char *dash = strchr(s, '-');

    if (!number(s, dash ? (size_t)(dash - s) : strlen(s), &r->first) ||
        (dash && !number(dash + 1, strlen(dash + 1), &r->last))) {
        return refuse(p, "which ones: N, or N-M, from 1");
    }
    if (!dash) {
        r->last = r->first;
    }
    if (r->last < r->first) {
        return refuse(p, "the last comes before the first");
    }
    return true;
}

static bool parse_code(const Parse *p, SnpInjectRule *r, const char *s)
{
    static const struct { const char *name; int code; } codes[] = {
        { "INPUT", RMP_FAIL_INPUT },
        { "PERMISSION", RMP_FAIL_PERMISSION },
        { "INUSE", RMP_FAIL_INUSE },
        { "OVERLAP", RMP_FAIL_OVERLAP },
    };

    for (unsigned i = 0; i < ARRAY_LEN(codes); i++) {
        if (s && !strcmp(s, codes[i].name)) {
            r->action.kind = SNP_INJECT_STATUS;
            r->action.value = codes[i].code;
            return true;
        }
    }
    return refuse(p, "its result: INPUT, PERMISSION, INUSE or OVERLAP");
}

/* A page that another CPU writes the RMP entry of meanwhile */
static bool parse_race(const Parse *p, SnpInjectRule *r, const char *s)
{
    bool store = !strncmp(s, "store=", 6);
    const char *spa = strchr(s, '=') + 1;

    r->action.kind = store ? SNP_INJECT_STORE : SNP_INJECT_RMPUPDATE_AT;
    if (r->command != SNP_INIT && r->command != SNP_INIT_EX) {
        return refuse(p, "only SNP_INIT and SNP_INIT_EX make an RMP");
    }
    return (hex(spa, strlen(spa), 48, &r->action.value) &&
            !(r->action.value & (RMP_PAGE_SIZE - 1))) ||
           refuse(p, "the address of a page, 0x...");
}

/* OFFSET.SIZE=VALUE, and after how many loads */
static bool parse_change(const Parse *p, SnpInjectRule *r, const char *s,
                         const char *loads)
{
    const char *dot = s ? strchr(s, '.') : NULL;
    const char *is = dot ? strchr(dot, '=') : NULL;
    uint64_t offset, size;

    if (!is || !hex(s, dot - s, 12, &offset) ||
        !number(dot + 1, is - dot - 1, &size) || size > 8 ||
        (size & (size - 1)) || (offset & (size - 1)) ||
        !hex(is + 1, strlen(is + 1), 8 * size, &r->action.value)) {
        return refuse(p, "what changes: OFFSET.SIZE=VALUE, 0x..., aligned, "
                      "of 1, 2, 4 or 8 bytes");
    }
    r->action.kind = SNP_INJECT_CHANGE;
    r->action.offset = offset;
    r->action.size = size;
    r->action.loads = 0;
    if (!loads || (strcmp(loads, "0") &&
                   !number(loads, strlen(loads), &r->action.loads))) {
        return refuse(p, "after how many loads: a number from 0");
    }
    return true;
}

static bool parse_late(const Parse *p, SnpInjectRule *r, const char *s)
{
    static const struct { const char *name; SnpInjectKind kind; } kinds[] = {
        { "late-polls=", SNP_INJECT_LATE_POLLS },
        { "late-interrupts=", SNP_INJECT_LATE_INTERRUPTS },
    };

    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t len = strlen(kinds[i].name);

        if (!strncmp(s, kinds[i].name, len)) {
            r->action.kind = kinds[i].kind;
            return number(s + len, strlen(s + len), &r->action.value) ||
                   refuse(p, "how late: a number from 1");
        }
    }
    return refuse(p, "neither the name of a status, nor no-interrupt, "
                  "late-polls=K, late-interrupts=K, dead, store=SPA or "
                  "rmpupdate=SPA");
}

/* False: it is no status. @bad: it is, and what follows it makes no sense. */
static bool parse_status(SnpInjectRule *r, const char *s, bool *bad)
{
    const char *is = strchr(s, '=');
    size_t len = is ? (size_t)(is - s) : strlen(s);
    char name[SNP_INJECT_TEXT + 1];
    uint32_t status;

    memcpy(name, s, len);
    name[len] = 0;
    if (!snp_fw_status_by_name(name, &status)) {
        return false;
    }
    r->action.kind = SNP_INJECT_STATUS;
    r->action.value = status;
    r->action.more = 0;
    *bad = is && (!hex(is + 1, strlen(is + 1), 64, &r->action.more) ||
                  !r->action.more);
    return true;
}

static bool parse_answer(const Parse *p, SnpInjectRule *r, const char *s)
{
    bool bad = false;

    if (!s) {
        return refuse(p, "the answer is missing");
    }
    if (!strcmp(s, "no-interrupt")) {
        r->action.kind = SNP_INJECT_NO_INTERRUPT;
        return true;
    }
    if (!strcmp(s, "dead")) {
        r->action.kind = SNP_INJECT_DEAD;
        return r->first == r->last ||
               refuse(p, "what is dead does not die again: one N");
    }
    if (parse_status(r, s, &bad)) {
        return !bad || refuse(p, "what it leaves: 0x..., not 0");
    }
    if (!strncmp(s, "store=", 6) || !strncmp(s, "rmpupdate=", 10)) {
        return parse_race(p, r, s);
    }
    return parse_late(p, r, s);
}

/* GHCB or GHCB-0x...; false: neither */
static bool parse_ghcb(SnpInjectRule *r, const char *s)
{
    uint64_t event = SNP_INJECT_ANY;

    if (strncmp(s, "GHCB", 4) ||
        (s[4] && (s[4] != '-' || !hex(s + 5, strlen(s + 5), 32, &event)))) {
        return false;
    }
    r->site = SNP_INJECT_GHCB;
    r->command = event;
    return true;
}

static bool parse_command(const Parse *p, SnpInjectRule *r, const char *s)
{
    r->site = SNP_INJECT_FIRMWARE;
    if (!strcmp(s, "any")) {
        r->command = SNP_INJECT_ANY;
        return true;
    }
    for (unsigned i = 0; i < fw_ncommands; i++) {
        if (!strcmp(s, fw_commands[i].name)) {
            r->command = fw_commands[i].id;
            return true;
        }
    }
    return refuse(p, "neither a firmware command, nor any, RMPUPDATE[-GUEST, "
                  "-FIRMWARE, -SHARED], PSMASH, NPF, DMA or "
                  "GHCB[-0xEVENT]");
}

static bool parse_rule(const Parse *p, SnpInjectRule *r)
{
    static const struct {
        const char *name;
        SnpInjectSite site;
        uint32_t command;
    } sites[] = {
        { "RMPUPDATE", SNP_INJECT_RMPUPDATE, SNP_INJECT_ANY },
        { "RMPUPDATE-GUEST", SNP_INJECT_RMPUPDATE, SNP_INJECT_TO_GUEST },
        { "RMPUPDATE-FIRMWARE", SNP_INJECT_RMPUPDATE, SNP_INJECT_TO_FIRMWARE },
        { "RMPUPDATE-SHARED", SNP_INJECT_RMPUPDATE, SNP_INJECT_TO_SHARED },
        { "PSMASH", SNP_INJECT_PSMASH, 0 },
        { "NPF", SNP_INJECT_NPF, 0 },
        { "DMA", SNP_INJECT_DMA, 0 },
    };
    char text[sizeof(p->rule)];
    char *part[PARTS_MAX] = { text };
    unsigned n = 1;

    memcpy(text, p->rule, sizeof(text));
    memcpy(r->text, p->rule, sizeof(r->text));
    for (char *c = text; *c; c++) {
        if (*c == ':') {
            if (n == PARTS_MAX) {
                return refuse(p, "too many parts");
            }
            *c = 0;
            part[n++] = c + 1;
        }
    }
    r->site = SNP_INJECT_NSITES;
    for (unsigned i = 0; i < ARRAY_LEN(sites); i++) {
        if (!strcmp(part[0], sites[i].name)) {
            r->site = sites[i].site;
            r->command = sites[i].command;
        }
    }
    if (r->site == SNP_INJECT_NSITES && !parse_ghcb(r, part[0]) &&
        !parse_command(p, r, part[0])) {
        return false;
    }
    if (n == PARTS_MAX && r->site != SNP_INJECT_GHCB) {
        return refuse(p, "too many parts");
    }
    if (n < 2) {
        return refuse(p, "which ones is missing");
    }
    if (!parse_count(p, r, part[1])) {
        return false;
    }
    switch (r->site) {
    case SNP_INJECT_GHCB:
        return parse_change(p, r, part[2], part[3]);
    case SNP_INJECT_FIRMWARE:
        return parse_answer(p, r, part[2]);
    case SNP_INJECT_NPF:
    case SNP_INJECT_DMA:
        r->action.kind = SNP_INJECT_FAULT;
        return n == 2 || refuse(p, "there is one kind of these only");
    default:
        return parse_code(p, r, part[2]);
    }
}

/*
 * Two rules of the same event that may want the same one. Rules of a command
 * and of any count differently: they could meet anywhere.
 */
static bool contradict(const SnpInjectRule *a, const SnpInjectRule *b)
{
    if (a->site != b->site) {
        return false;
    }
    if (a->command != b->command) {
        return a->command == SNP_INJECT_ANY || b->command == SNP_INJECT_ANY;
    }
    return a->first <= b->last && b->first <= a->last;
}

bool snp_inject_parse(SnpInject *out, const char *text, char *why, size_t len)
{
    Parse p = { .why = why, .len = len };

    memset(out, 0, sizeof(*out));
    while (*text) {
        size_t n = strcspn(text, ";");
        SnpInjectRule *r;

        snprintf(p.rule, sizeof(p.rule), "%.*s", (int)(n > SNP_INJECT_TEXT ?
                                                       SNP_INJECT_TEXT : n),
                 text);
        if (n > SNP_INJECT_TEXT) {
            return refuse(&p, "too long");
        }
        if (out->n == SNP_INJECT_MAX) {
            return refuse(&p, "too many rules");
        }
        r = &out->rule[out->n];
        if (!parse_rule(&p, r)) {
            return false;
        }
        for (unsigned i = 0; i < out->n; i++) {
            if (contradict(&out->rule[i], r)) {
                snprintf(why, len, "inject: '%s' contradicts '%s'", r->text,
                         out->rule[i].text);
                return false;
            }
        }
        out->n++;
        out->armed |= 1u << r->site;
        text += n;
        if (*text == ';' && !*++text) {
            return refuse(&p, "nothing comes after its ';'");
        }
    }
    return true;
}

/* Held for a walk of the list at most */
static void inject_lock(SnpInject *s)
{
    while (__atomic_exchange_n(&s->lock, 1, __ATOMIC_ACQUIRE)) {
        continue;
    }
}

static void inject_unlock(SnpInject *s)
{
    __atomic_store_n(&s->lock, 0, __ATOMIC_RELEASE);
}

void snp_inject_set(SnpInject *live, const SnpInject *list)
{
    inject_lock(live);
    live->n = list->n;
    memcpy(live->rule, list->rule, sizeof(live->rule));
    __atomic_store_n(&live->armed, list->armed, __ATOMIC_RELAXED);
    inject_unlock(live);
}

void snp_inject_get(SnpInject *live, SnpInject *copy)
{
    memset(copy, 0, sizeof(*copy));
    inject_lock(live);
    copy->n = live->n;
    copy->armed = live->armed;
    memcpy(copy->rule, live->rule, sizeof(copy->rule));
    inject_unlock(live);
}

SnpInjectAction snp_inject_count(SnpInject *live, SnpInjectSite site,
                                 uint32_t command)
{
    SnpInjectAction a = { .kind = SNP_INJECT_NOTHING };

    inject_lock(live);
    for (unsigned i = 0; i < live->n; i++) {
        SnpInjectRule *r = &live->rule[i];

        if (r->site != site ||
            (r->command != command && r->command != SNP_INJECT_ANY)) {
            continue;
        }
        r->seen++;
        if (r->seen >= r->first && r->seen <= r->last) {
            r->fired++;
            a = r->action;
        }
    }
    inject_unlock(live);
    return a;
}
