/*
 * Unit test of the secure processor's firmware: guests with a secure TSC
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attest-bench.h"

#define NOMINAL    2000000u             /* kHz */
#define SCALE      0x2f0                /* in a VMSA */
#define OFFSET     0x2f8
#define FEATURES   0x3b0
#define JUNK       0x1122334455667788ull

/* A launching guest of a processor with a secure TSC (or none) */
static void launching(uint32_t nominal, uint32_t khz)
{
    guest(G_INIT);
    fw.cfg.tsc_khz = nominal;
    arg_launch_start();
    put(0x1c, 4, khz);
    expect(SNP_LAUNCH_START, FW_SUCCESS, "start");
    arg_activate(3);
    expect(SNP_ACTIVATE, FW_SUCCESS, "activate");
}

static void launch_vmsa(uint64_t features, uint64_t was, int type)
{
    memset(mem + TARGET, 0x21, 4096);
    mem[TARGET + 0x0ca] = 0;
    put_le(mem + TARGET + FEATURES, 8, features);
    put_le(mem + TARGET + SCALE, 8, was);
    put_le(mem + TARGET + OFFSET, 8, was);
    set_page(TARGET, RMP_PRE_GUEST, 3, 0x100000);
    arg_update(type, TARGET, false);
    expect(SNP_LAUNCH_UPDATE, FW_SUCCESS, "VMSA");
}

static void test_vmsa(void)
{
    static const struct { uint32_t khz; uint64_t scale; } rows[] = {
        { NOMINAL, 1ull << 32 }, { NOMINAL / 2, 1ull << 31 },
        { 3 * NOMINAL, 3ull << 32 }, { 0, 0 }, { 1, 2147 },
        { 0x1e847fff, 0xfffffff79cull },
    };
    uint8_t zeroed[SHA384_LEN];

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        launching(NOMINAL, rows[i].khz);
        launch_vmsa(0x201, JUNK, 2);
        CHECK(le(mem + TARGET + SCALE, 8) == rows[i].scale, "%u kHz: %llx",
              rows[i].khz, (unsigned long long)le(mem + TARGET + SCALE, 8));
        CHECK(!le(mem + TARGET + OFFSET, 8), "offset");
        CHECK(mem[TARGET + SCALE - 1] == 0x21 && mem[TARGET + 0x300] == 0x21,
              "nothing beside them");
        memcpy(zeroed, fw.guests[0].ld, sizeof(zeroed));
        /* what was there is not measured */
        launching(NOMINAL, 1);
        launch_vmsa(0x201, 0, 2);
        CHECK(!memcmp(zeroed, fw.guests[0].ld, sizeof(zeroed)), "digest");
    }
}

/* Who has no such clock keeps what was measured. */
static void test_others(void)
{
    static const struct {
        uint32_t nominal;
        uint64_t features;
        int type;
    } rows[] = { { 0, 0x201, 2 }, { NOMINAL, 0x001, 2 },
                 { NOMINAL, 0x201, 1 } };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t junk[SHA384_LEN];

        launching(rows[i].nominal, NOMINAL);
        launch_vmsa(rows[i].features, JUNK, rows[i].type);
        CHECK(le(mem + TARGET + SCALE, 8) == JUNK &&
              le(mem + TARGET + OFFSET, 8) == JUNK, "row %u", i);
        memcpy(junk, fw.guests[0].ld, sizeof(junk));
        launching(rows[i].nominal, NOMINAL);
        launch_vmsa(rows[i].features, 0, rows[i].type);
        CHECK(memcmp(junk, fw.guests[0].ld, sizeof(junk)), "row %u", i);
    }
}

static void test_start(void)
{
    guest(G_INIT);
    fw.cfg.tsc_khz = NOMINAL;
    for (uint64_t khz = 256ull * NOMINAL; khz <= UINT32_MAX;
         khz += 0x10000000) {
        arg_launch_start();
        put(0x1c, 4, khz);
        expect(SNP_LAUNCH_START, FW_INVALID_PARAM, "faster than can be said");
    }
    arg_launch_start();
    put(0x1c, 4, 256 * NOMINAL - 1);
    expect(SNP_LAUNCH_START, FW_SUCCESS, "just so");
    guest(G_INIT);
    arg_launch_start();
    put(0x1c, 4, UINT32_MAX);
    expect(SNP_LAUNCH_START, FW_SUCCESS, "of no effect");
}

static void test_info(void)
{
    for (unsigned k = 0; k < 4; k++) {
        launching(NOMINAL, 3 * NOMINAL / 2);
        put(0, 8, GCTX);
        expect(SNP_LAUNCH_FINISH, FW_SUCCESS, "finish");
        set_page(RSP, RMP_FIRMWARE, 0, 0);
        memset(msg, 0, sizeof(msg));
        seal_as(k, 1, 17, 1, 128);
        ask(FW_SUCCESS, "TSC_INFO");
        CHECK(!response(k, 2, 18, 128), "status");
        CHECK(le(msg + 8, 8) == 3ull << 31, "scale");
        for (int i = 4; i < 128; i++) {
            CHECK(!msg[i] || (i >= 8 && i < 16), "byte %d", i);
        }
        /* none of the request's bytes means anything yet */
        for (int i = 0; i < 128; i++) {
            memset(msg, 0, sizeof(msg));
            msg[i] = 1;
            seal_as(k, 3 + 2 * i, 17, 1, 128);
            ask(FW_SUCCESS, "a reserved byte");
            CHECK(response(k, 4 + 2 * i, 18, 128) == 0x16 &&
                  !le(msg + 8, 8), "byte %d", i);
        }
        memset(msg, 0, sizeof(msg));
        seal_as(k, 259, 17, 2, 128);
        ask(FW_INVALID_PARAM, "version");
        seal_as(k, 259, 17, 1, 127);
        ask(FW_INVALID_PARAM, "size");
        seal_as(k, 259, 18, 1, 128);
        ask(FW_INVALID_PARAM, "a response");
        fw.cfg.tsc_khz = 0;
        seal_as(k, 259, 17, 1, 128);
        ask(FW_INVALID_PARAM, "no secure TSC");
    }
}

int main(void)
{
    static const KtapCase cases[] = {
        { "secure TSC: frequencies that are asked for", test_start },
        { "secure TSC: VMSAs", test_vmsa },
        { "secure TSC: VMSAs and pages without", test_others },
        { "secure TSC: TSC_INFO", test_info },
    };

    return ktap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
