/*
 * Unit test of the secure processor's firmware: features, and ciphertext that
 * is hidden
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attest-bench.h"

#define HIDE       (1u << 3)

static uint32_t init_ex(uint32_t flags, uint32_t asids)
{
    put(0, 4, flags);
    put(0x10, 2, asids);
    return run(SNP_INIT_EX);
}

/* Initialised with ASIDs 1 to @asids hidden; buffers as in init_snp() */
static void hiding(uint32_t asids)
{
    power_on();
    fw.cfg.hiding = true;
    CHECK(!init_ex(1 | HIDE, asids), "init");
    set_page(CMDBUF, RMP_FIRMWARE, 0, 0);
    set_page(OUT, RMP_FIRMWARE, 0, 0);
}

static uint32_t flags_of_status(void)
{
    put(0, 8, OUT);
    expect(SNP_PLATFORM_STATUS, FW_SUCCESS, "status");
    set_page(OUT, fw.snp_inited ? RMP_FIRMWARE : RMP_HYPERVISOR, 0, 0);
    return le(mem + OUT + 8, 4);
}

static uint32_t features(void)
{
    put(0, 4, 16);
    put(8, 8, OUT);
    expect(SNP_FEATURE_INFO, FW_SUCCESS, "features");
    CHECK(!le(mem + OUT, 8) && !le(mem + OUT + 12, 4), "EAX, EBX and EDX");
    return le(mem + OUT + 8, 4);
}

static void test_features(void)
{
    power_on();
    CHECK(!flags_of_status() && !features(), "there is none");
    fw.cfg.x86_shutdown = true;
    CHECK(flags_of_status() == 8 && features() == 2, "another one");
    fw.cfg.x86_shutdown = false;
    fw.cfg.hiding = true;
    CHECK(flags_of_status() == 0x28 && features() == 8, "it can be hidden");
    CHECK(!init_ex(1, 0), "init");
    set_page(CMDBUF, RMP_FIRMWARE, 0, 0);
    set_page(OUT, RMP_FIRMWARE, 0, 0);
    CHECK(flags_of_status() == 0x28 && features() == 8, "but is not");
    hiding(3);
    CHECK(flags_of_status() == 0x68 && features() == 8, "it is");
    set_page(CMDBUF, RMP_HYPERVISOR, 0, 0);
    put(0, 4, 8);
    put(4, 4, 1);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "shutdown");
    CHECK(flags_of_status() == 0x28, "no longer");
    CHECK(!view.hidden, "nor shown so");
    hiding(3);
    snp_fw_reset(&fw);
    CHECK(!view.hidden && !fw.hidden_asids, "reset");
}

static void test_init(void)
{
    for (uint32_t asids = 0; asids <= 0xffff; asids += 1 + asids / 16) {
        bool good = asids && asids < MIN_SEV;

        power_on();
        CHECK((init_ex(1, asids) == FW_SUCCESS) == !asids, "%u unasked",
              asids);
        power_on();
        CHECK(init_ex(1 | HIDE, asids) == FW_INVALID_PARAM, "no such feature");
        power_on();
        fw.cfg.hiding = true;
        CHECK(init_ex(1 | HIDE, asids) ==
              (good ? FW_SUCCESS : FW_INVALID_PARAM), "%u", asids);
        CHECK(fw.hidden_asids == (good ? asids : 0) &&
              view.hidden == fw.hidden_asids, "%u: %u", asids, view.hidden);
    }
    for (unsigned bit = 2; bit < 32; bit++) {
        power_on();
        fw.cfg.hiding = true;
        CHECK(init_ex(1 | HIDE | 1u << bit, 3) ==
              (bit == 3 ? FW_SUCCESS : FW_INVALID_PARAM), "bit %u", bit);
    }
}

/* One SNP guest and one SEV-ES guest for each ASID and each split */
static void test_asids(void)
{
    for (uint32_t split = 0; split < MIN_SEV; split++) {
        for (uint32_t asid = 0; asid <= MAX_ASID; asid++) {
            bool es = asid && asid < MIN_SEV;

            if (split) {
                hiding(split);
            } else {
                power_on();
                init_snp();
            }
            set_page(GCTX, RMP_FIRMWARE, 0, 0);
            put(0, 8, GCTX);
            expect(SNP_GCTX_CREATE, FW_SUCCESS, "guest");
            arg_launch_start();
            put(8, 8, 0x30000 | 1u << 24);
            expect(SNP_LAUNCH_START, split ? FW_SUCCESS : FW_POLICY_FAILURE,
                   "a policy that wants it");
            if (!split) {
                arg_launch_start();
                expect(SNP_LAUNCH_START, FW_SUCCESS, "start");
            }
            arg_activate(asid);
            expect(SNP_ACTIVATE, es && (!split || asid <= split)
                   ? FW_SUCCESS : FW_INVALID_ASID, "SNP");
            init_sev(true);
            put(4, 4, 4);               /* policy: SEV-ES */
            set_page(CMDBUF, RMP_FIRMWARE, 0, 0);
            expect(SEV_LAUNCH_START, FW_SUCCESS, "SEV-ES guest");
            put(0, 4, 1);
            put(4, 4, asid);
            expect(SEV_ACTIVATE,
                   !es || (split && asid <= split) ? FW_INVALID_ASID :
                   !split ? FW_ASID_OWNED : FW_SUCCESS, "SEV-ES");
        }
    }
}

/* Who looks at a page of each state and owner, and what the firmware reads */
static void test_look(void)
{
    static const uint8_t key[CIPHER_KEY_LEN] = { 7 };
    uint8_t got[4096], read[4096];

    for (int keyed = 0; keyed < 2; keyed++) {
        for (int s = 0; s < RMP_NSTATES; s++) {
            for (uint32_t asid = 1; asid < 6; asid++) {
                bool owned = s == RMP_GUEST_INVALID || s == RMP_GUEST_VALID ||
                             s == RMP_PRE_SWAP;
                bool hides = owned && asid <= 3, ones = true;

                hiding(3);
                if (keyed) {
                    snp_view_load_key(&view, asid, key);
                }
                memset(mem + TARGET, 0x5a, 4096);
                set_page(TARGET, s, asid, 0x1000);
                CHECK(snp_view_look(&view, TARGET, got, sizeof(got)) &&
                      snp_view_read(&view, TARGET, read, sizeof(read)),
                      "it is memory");
                for (int i = 0; i < 4096; i++) {
                    ones &= got[i] == 0xff;
                }
                CHECK(ones == hides, "%s, ASID %u", rmp_state_name(s), asid);
                CHECK(hides || !memcmp(got, read, sizeof(got)), "not hidden");
                CHECK(snp_view_enciphered(&view, TARGET) ==
                      (hides || (owned && keyed)), "where to look");
                /* what DRAM would hold stays, and is what the firmware reads */
                for (int i = 0; i < 4096; i++) {
                    CHECK(read[i] == 0x5a, "byte %d", i);
                }
            }
        }
    }
    /* across two pages, of which one is hidden */
    hiding(3);
    memset(mem + TARGET - 0x1000, 0x5a, 0x2000);
    set_page(TARGET - 0x1000, RMP_HYPERVISOR, 0, 0);
    set_page(TARGET, RMP_GUEST_VALID, 3, 0x1000);
    CHECK(snp_view_look(&view, TARGET - 4, got, 8) &&
          le(got, 8) == 0xffffffff5a5a5a5aull, "across");
    CHECK(!snp_view_look(&view, MEM_SIZE - 4, got, 8), "no memory");
}

static void test_report(void)
{
    for (uint32_t asids = 0; asids < 6; asids += 5) {
        attested();
        fw.hidden_asids = asids;
        report_req(0, 0);
        CHECK(!report_as(0), "report");
        CHECK(!(le(msg + 0x20 + 0x40, 8) & 16) == !asids, "PLATFORM_INFO");
    }
}

int main(void)
{
    static const KtapCase cases[] = {
        { "hiding: what the firmware says of it", test_features },
        { "hiding: SNP_INIT_EX", test_init },
        { "hiding: ASIDs of SNP and of SEV-ES", test_asids },
        { "hiding: who sees what", test_look },
        { "hiding: reports", test_report },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
