/*
 * Unit test of the secure processor's firmware: reports, derived keys
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attest-bench.h"

static void test_report_request(void)
{
    static const struct { uint32_t vmpl, sel; uint8_t want[4]; } rows[] = {
        /*                     by VMPCK: 0     1     2     3 */
        { 0, 0,             { 0,    0x16, 0x16, 0x16 } },
        { 1, 1,             { 0,    0,    0x16, 0x16 } },
        { 2, 0,             { 0,    0,    0,    0x16 } },
        { 3, 0,             { 0,    0,    0,    0 } },
        { 4, 0,             { 0x16, 0x16, 0x16, 0x16 } },
        { 0x10000, 0,       { 0x16, 0x16, 0x16, 0x16 } },
        { 3, 2,             { 0x27, 0x27, 0x27, 0x27 } },
        { 3, 3,             { 0x16, 0x16, 0x16, 0x16 } },
        { 3, 4,             { 0x16, 0x16, 0x16, 0x16 } },
        { 3, 1u << 31,      { 0x16, 0x16, 0x16, 0x16 } },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned k = 0; k < 4; k++) {
            uint32_t got;

            attested();
            report_req(rows[i].vmpl, rows[i].sel);
            got = report_as(k);
            CHECK(got == rows[i].want[k], "row %u, VMPCK%u: 0x%x", i, k, got);
            for (int j = 4; got && j < 0x4c0; j++) {
                CHECK(!msg[j], "byte %x of a refusal", j);
            }
        }
    }
    for (int off = 0x48; off < 0x60; off++) {
        attested();
        report_req(0, 0);
        msg[off] = 1;
        CHECK(report_as(0) == 0x16, "reserved byte %x", off);
    }

    /* without a key there is no report */
    attested();
    fw.cfg.nvceks = 0;
    report_req(0, 0);
    CHECK(report_as(0) == 0x27, "no VCEK");
    attested();
    fw.cfg.nvceks = 1;
    report_req(0, 0);
    CHECK(report_as(0) == 0x27, "a VCEK of another version");
    guest(G_LAUNCH_ACTIVE);
    put(0, 8, GCTX);
    put(0x18, 1, 4);
    expect(SNP_LAUNCH_FINISH, FW_SUCCESS, "VCEK disabled");
    chip();
    set_page(RSP, RMP_FIRMWARE, 0, 0);
    report_req(0, 0);
    CHECK(report_as(0) == 0x27, "VCEK disabled");
}

static void test_report(void)
{
    static const struct { uint8_t minor, version; } versions[] = {
        { 51, 2 }, { 55, 2 }, { 56, 3 }, { 57, 3 }, { 58, 5 }, { 60, 5 },
    };
    const uint8_t *r = msg + 0x20;

    for (unsigned i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        attested();
        fw.cfg.api_minor = versions[i].minor;
        report_req(0, 0);
        CHECK(!report_as(0) && le(r, 4) == versions[i].version, "minor %u",
              versions[i].minor);
        CHECK(le(r + 0x188, 3) == (versions[i].version < 3 ? 0 : 0x010119),
              "family, model, stepping");
    }

    for (unsigned v = 2; v <= 5; v++) {
        attested();
        fw.cfg.report_version = v;
        fw.cfg.api_minor = v == 2 ? 58 : 55;
        report_req(0, 0);
        CHECK(!report_as(0) && le(r, 4) == v, "version %u", v);
    }
    attested();
    fw.cfg.committed_tcb = 0x0100000000000001ull;
    fw.cfg.committed_build = 7;
    fw.alias_checked = true;
    report_req(0, 0);
    CHECK(!report_as(0) && le(r + 0x180, 8) == 0x0100000000000001ull &&
          le(r + 0x1e0, 8) == 0x0100000000000001ull &&
          le(r + 0x38, 8) == TCB && le(r + 0x40, 8) == 0x20 &&
          le(r + 0x1e8, 4) == 0x013715 && le(r + 0x1ec, 4) == 0x013707,
          "not committed; no aliases");
    CHECK(signed_by(key_b, r), "by the key of what is committed");

    guest(G_LAUNCH_ACTIVE);
    mem[TARGET] = 0x55;
    arg_update(1, TARGET, false);
    expect(SNP_LAUNCH_UPDATE, FW_SUCCESS, "a page");
    put(0, 8, GCTX);
    for (int i = 0; i < 32; i++) {
        put(0x20 + i, 1, 0x80 + i);
    }
    expect(SNP_LAUNCH_FINISH, FW_SUCCESS, "host data");
    chip();
    fw.cfg.smt = true;
    set_page(RSP, RMP_FIRMWARE, 0, 0);
    report_req(2, 0);
    CHECK(!report_as(1), "report");
    CHECK(le(msg + 4, 4) == 0x4a0, "size");
    CHECK(le(r + 4, 4) == 0 && le(r + 8, 8) == 0x30000, "policy");
    CHECK(le(r + 0x30, 4) == 2 && le(r + 0x34, 4) == 1, "VMPL, algorithm");
    CHECK(le(r + 0x38, 8) == TCB && le(r + 0x40, 8) == 1 &&
          le(r + 0x48, 4) == 0, "TCB, SMT, key");
    for (int i = 0; i < 64; i++) {
        CHECK(r[0x50 + i] == 0xa0 + i && r[0x1a0 + i] == 200 - i,
              "report data, chip id: %d", i);
    }
    CHECK(!memcmp(r + 0x90, fw.guests[0].ld, 48) && r[0x90 + 5], "LD");
    for (int i = 0; i < 32; i++) {
        CHECK(r[0xc0 + i] == 0x80 + i && r[0x160 + i] == 0xff,
              "host data, no MA: %d", i);
    }
    for (int i = 0xe0; i < 0x140; i++) {
        CHECK(!r[i], "no ID block: %x", i);
    }
    CHECK(!memcmp(r + 0x140, fw.guests[0].report_id, 32) && r[0x141],
          "report id");
    CHECK(le(r + 0x180, 8) == TCB && le(r + 0x1e0, 8) == TCB &&
          le(r + 0x1f0, 8) == TCB, "reported, committed, launch");
    CHECK(le(r + 0x1e8, 4) == 0x013715 && le(r + 0x1ec, 4) == 0x013715,
          "versions");
    for (int i = 0x1f8; i < 0x2a0; i++) {
        CHECK(!r[i], "reserved %x", i);
    }
    for (int i = 0x2a0 + 144; i < 0x4a0; i++) {
        CHECK(!r[i], "reserved %x", i);
    }
    CHECK(signed_by(key_a, r), "signature");
    msg[0x20 + 0x29f] ^= 1;
    CHECK(!signed_by(key_a, r), "the last byte is signed, too");

    /* SNP_CONFIG: a lower version has its own key */
    put(0, 8, 0x0100000000000001ull);
    expect(SNP_CONFIG, FW_SUCCESS, "lower");
    report_req(0, 1);
    CHECK(!report_as(0) && le(r + 0x180, 8) == 0x0100000000000001ull &&
          le(r + 0x38, 8) == TCB, "reported TCB");
    CHECK(signed_by(key_b, r), "its VCEK");
    put(0, 8, 0x0100000000000002ull);
    expect(SNP_CONFIG, FW_SUCCESS, "a version without a key");
    report_req(0, 0);
    CHECK(report_as(0) == 0x27, "no key");
    put(8, 4, 1);
    expect(SNP_CONFIG, FW_SUCCESS, "MASK_CHIP_ID");
    report_req(0, 0);
    CHECK(!report_as(0) && le(r + 0x48, 4) == 0 && signed_by(key_a, r),
          "masked id");
    for (int i = 0; i < 64; i++) {
        CHECK(!r[0x1a0 + i], "chip id %d", i);
    }
    put(8, 4, 2);
    expect(SNP_CONFIG, FW_SUCCESS, "MASK_CHIP_KEY");
    report_req(0, 0);
    CHECK(!report_as(0) && le(r + 0x48, 4) == 0x1e && r[0x1a0] == 200,
          "masked key");
    for (int i = 0x2a0; i < 0x4a0; i++) {
        CHECK(!r[i], "not signed: %x", i);
    }
}

/* ---- mitigations ---- */

static void mitigation(unsigned command, uint64_t vector, bool result,
                       uint32_t want)
{
    put(0, 4, 64);
    put(4, 2, command);
    put(8, 8, vector);
    put(0x10, 4, result);
    put(0x20, 8, OUT);
    memset(mem + OUT, 0xee, 32);
    expect(SNP_VERIFY_MITIGATION, want, "mitigation");
}

static bool answered(uint64_t verified, uint64_t supported)
{
    return le(mem + OUT, 8) == verified && le(mem + OUT + 8, 8) == supported &&
           !le(mem + OUT + 16, 4) && mem[OUT + 20] == 0xee;
}

static void test_mitigations(void)
{
    static const uint64_t have = 0x8000000000000005ull;
    const uint8_t *r = msg + 0x20;

    power_on();
    set_page(OUT, RMP_FIRMWARE, 0, 0);
    mitigation(0, 0, true, FW_SUCCESS);
    CHECK(answered(0, 0), "none");
    for (int i = 0; i < 64; i++) {
        mitigation(1, 1ull << i, true, FW_INVALID_PARAM);
    }
    fw.cfg.mitigations = have;
    mitigation(0, ~0ull, true, FW_SUCCESS);
    CHECK(answered(0, have), "there before SNP, and not verified");
    for (int i = 0; i < 64; i++) {
        mitigation(1, 1ull << i, true,
                   have >> i & 1 ? FW_SUCCESS : FW_INVALID_PARAM);
        CHECK(!(have >> i & 1) || answered(have & ((2ull << i) - 1), have),
              "verified up to %d", i);
    }
    mitigation(1, 5, true, FW_INVALID_PARAM);
    mitigation(1, 0, true, FW_INVALID_PARAM);
    mitigation(2, 1, true, FW_INVALID_PARAM);
    for (int i = 0; i < 512; i++) {
        int at = i / 8;

        if (at == 6 || at == 7 || (at >= 0x14 && at < 0x18) || at >= 0x28 ||
            (i > 0x80 && at < 0x14)) {
            put(0, 4, 64);
            put(0x20, 8, OUT);
            cb[0x10] |= 1;
            cb[at] |= 1 << i % 8;
            expect(SNP_VERIFY_MITIGATION, FW_INVALID_PARAM, "reserved");
        }
    }

    /* without a result, without an address */
    fw.mitigated = 0;
    put(0, 4, 64);
    put(4, 2, 1);
    put(8, 8, 4);
    put(0x20, 8, NOWHERE);
    expect(SNP_VERIFY_MITIGATION, FW_SUCCESS, "no result");
    CHECK(fw.mitigated == 4, "and verified");
    mitigation(0, 0, false, FW_SUCCESS);
    CHECK(mem[OUT] == 0xee, "not asked for");

    /* a new RMP has them all, the same one again what it had */
    init_snp();
    mitigation(0, 0, true, FW_SUCCESS);
    CHECK(answered(have, have), "a new RMP");
    put(0, 4, 8);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "shutdown");
    fw.mitigated = 1;
    expect(SNP_INIT_EX, FW_SUCCESS, "the same RMP");
    mitigation(0, 0, true, FW_SUCCESS);
    CHECK(answered(1, have), "the same RMP");

    /* reports of version 5 */
    for (unsigned v = 2; v <= 5; v++) {
        guest(G_INIT);
        fw.cfg.mitigations = have;
        fw.cfg.report_version = v;
        fw.mitigated = 1;
        arg_launch_start();
        expect(SNP_LAUNCH_START, FW_SUCCESS, "launch");
        put(0, 8, GCTX);
        expect(SNP_LAUNCH_FINISH, FW_SUCCESS, "launch");
        chip();
        set_page(RSP, RMP_FIRMWARE, 0, 0);
        mitigation(1, 4, false, FW_SUCCESS);
        report_req(0, 0);
        CHECK(!report_as(0) && le(r + 0x1f8, 8) == (v < 5 ? 0 : 1) &&
              le(r + 0x200, 8) == (v < 5 ? 0 : 5) && !r[0x208],
              "version %u: at launch, now", v);
    }
    snp_fw_reset(&fw);
    mitigation(0, 0, true, FW_SUCCESS);
    CHECK(answered(0, have), "reset");
}

/* ---- derived keys ---- */

typedef struct KeyReq {
    uint32_t root;
    uint64_t fields;
    uint32_t vmpl, svn;
    uint64_t tcb;
} KeyReq;

static uint32_t key_as(unsigned vmpck, const KeyReq *q, uint8_t out[32])
{
    uint64_t n = fw.guests[0].msg_count[vmpck];
    uint32_t status;

    memset(msg, 0, sizeof(msg));
    put_le(msg, 4, q->root);
    put_le(msg + 8, 8, q->fields);
    put_le(msg + 16, 4, q->vmpl);
    put_le(msg + 20, 4, q->svn);
    put_le(msg + 24, 8, q->tcb);
    seal_as(vmpck, n + 1, 3, 1, 0x20);
    ask(FW_SUCCESS, "key");
    status = response(vmpck, n + 2, 4, 0x40);
    for (int i = 4; i < (status ? 64 : 32); i++) {
        CHECK(!msg[i], "byte %x", i);
    }
    memcpy(out, msg + 32, 32);
    return status;
}

static void test_key_request(void)
{
    static const struct { KeyReq q; uint8_t vmpck, want; } rows[] = {
        { { 0, 0, 0, 0, 0 }, 0, 0 }, { { 2, 0, 0, 0, 0 }, 0, 0 },
        { { 0, 0x3f, 0, 5, TCB }, 0, 0 },
        { { 1, 0, 0, 0, 0 }, 0, 0 }, { { 5, 0, 0, 0, 0 }, 0, 0 },
        { { 4, 0, 0, 0, 0 }, 0, 0x27 }, { { 7, 0, 0, 0, 0 }, 0, 0x16 },
        { { 6, 0, 0, 0, 0 }, 0, 0x16 }, { { 8, 0, 0, 0, 0 }, 0, 0x16 },
        { { 1u << 31, 0, 0, 0, 0 }, 0, 0x16 },
        { { 0, 0x40, 0, 0, 0 }, 0, 0x16 },
        { { 0, 1ull << 63, 0, 0, 0 }, 0, 0x16 },
        { { 0, 0, 3, 0, 0 }, 3, 0 }, { { 0, 0, 2, 0, 0 }, 3, 0x16 },
        { { 0, 0, 4, 0, 0 }, 0, 0x16 },
        { { 0, 0, 0, 6, 0 }, 0, 0x16 },
        { { 0, 0, 0, 0, TCB + 1 }, 0, 0x16 },
        { { 0, 0, 0, 0, 0x0100 }, 0, 0x16 },
    };
    static const KeyReq plain = { 0, 0, 0, 0, 0 }, vmrk = { 1, 0, 0, 0, 0 };
    static const uint8_t none[32];
    uint8_t key[32], other[32];

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t got;

        attested();
        fw.guests[0].guest_svn = 5;
        got = key_as(rows[i].vmpck, &rows[i].q, key);
        CHECK(got == rows[i].want, "row %u: 0x%x", i, got);
    }
    attested();
    msg[4] = 1;
    seal_as(0, 1, 3, 1, 0x20);
    ask(FW_SUCCESS, "reserved");
    CHECK(response(0, 2, 4, 0x40) == 0x16, "reserved");
    attested();
    fw.cfg.nvceks = 0;
    CHECK(key_as(0, &plain, key) == 0x27, "no VCEK");
    attested();
    fw.config_flags = 2;
    CHECK(key_as(0, &plain, key) == 0x27, "masked");
    attested();
    fw.guests[0].vcek_disabled = true;
    CHECK(key_as(0, &plain, key) == 0x27, "disabled");

    /* The launch's own root is there whatever becomes of the chip's. */
    attested();
    CHECK(memcmp(fw.guests[0].vmrk, none, 32), "no VMRK was made");
    CHECK(!key_as(0, &plain, key) && !key_as(0, &vmrk, other) &&
          memcmp(key, other, 32), "VMRK and VCEK give the same");
    fw.cfg.nvceks = 0;
    fw.config_flags = 2;
    fw.guests[0].vcek_disabled = true;
    fw.cfg.chip_secret[0] ^= 1;
    CHECK(!key_as(0, &vmrk, key) && !memcmp(key, other, 32),
          "VMRK depends on the chip");
    fw.guests[0].vmrk[31] ^= 1;
    CHECK(!key_as(0, &vmrk, key) && memcmp(key, other, 32),
          "VMRK is not used");
}

/* Message version 2, where reports are of version 5 */
static uint32_t key_2(uint64_t fields, uint64_t mitigations, uint8_t out[32])
{
    uint64_t n = fw.guests[0].msg_count[0];
    uint32_t status;

    memset(msg, 0, sizeof(msg));
    put_le(msg + 8, 8, fields);
    put_le(msg + 32, 8, mitigations);
    seal_as(0, n + 1, 3, 2, 0x28);
    ask(FW_SUCCESS, "key");
    CHECK(mem[RSP + 0x35] == 2, "the response's version");
    status = response(0, n + 2, 4, 0x40);
    memcpy(out, msg + 32, 32);
    return status;
}

static void test_key_2(void)
{
    static const KeyReq plain = { 0, 0, 0, 0, 0 };
    uint8_t key[32], other[32];

    attested();
    seal_as(0, 1, 3, 2, 0x28);
    ask(FW_INVALID_PARAM, "before version 5");
    fw.cfg.report_version = 5;
    seal_as(0, 1, 3, 2, 0x20);
    ask(FW_INVALID_PARAM, "version 2 of version 1's size");
    seal_as(0, 1, 3, 1, 0x28);
    ask(FW_INVALID_PARAM, "version 1 of version 2's size");
    seal_as(0, 1, 3, 3, 0x28);
    ask(FW_INVALID_PARAM, "version 3");
    CHECK(!key_2(0, 0, key) && !key_as(0, &plain, other) &&
          !memcmp(key, other, 32), "the same key by either version");
    CHECK(!key_2(0x40, 0, other) && memcmp(key, other, 32), "selected");
    CHECK(key_2(0x80, 0, key) == 0x16 && key_2(1ull << 63, 0, key) == 0x16,
          "reserved");
    for (int i = 0; i < 64; i++) {
        CHECK(key_2(0x40, 1ull << i, key) == 0x16, "mitigation %d", i);
    }
    fw.guests[0].launch_mitigations = 0x8000000000000003ull;
    fw.mitigated = 0;
    for (int i = 0; i < 64; i++) {
        bool there = i == 0 || i == 1 || i == 63;

        CHECK(key_2(0x40, 1ull << i, key) == (there ? 0 : 0x16) &&
              key_2(0, 1ull << i, key) == (there ? 0 : 0x16),
              "mitigation %d, of three at launch", i);
    }
    CHECK(!key_2(0x40, 0, key) && !memcmp(key, other, 32) &&
          !key_2(0x40, 1, key) && memcmp(key, other, 32), "one is in the key");
    CHECK(!key_2(0x40, 1, other) && !memcmp(key, other, 32) &&
          !key_2(0x40, 2, other) && memcmp(key, other, 32), "which one");
    CHECK(!key_2(0, 1, key) && !key_2(0, 2, other) &&
          !memcmp(key, other, 32), "but only if selected");
    fw.cfg.committed_tcb = 0x0100000000000001ull;
    CHECK(key_as(0, &(KeyReq){ 0, 0, 0, 0, TCB }, key) == 0x16,
          "a TCB that is not committed");
}

/* A key changes with what was selected, and with nothing else. */
static void test_key(void)
{
    uint8_t first[32], key[32];

    for (int what = -1; what < 11; what++) {
        for (int selected = 0; selected < 2; selected++) {
            KeyReq q = { 0, selected && what >= 0 ? 1u << what : 0, 0, 0, 0 };
            bool always = what >= 6;

            if (always) {
                q.fields = 0;
            }
            attested();
            fw.guests[0].guest_svn = 5;
            CHECK(!key_as(0, &q, first) && !key_as(0, &q, key) &&
                  !memcmp(first, key, 32), "the same twice");
            switch (what) {
            case 0:
                fw.guests[0].policy ^= 1;
                break;
            case 1:
                fw.guests[0].image_id[3] ^= 1;
                break;
            case 2:
                fw.guests[0].family_id[3] ^= 1;
                break;
            case 3:
                fw.guests[0].ld[3] ^= 1;
                break;
            case 4:
                q.svn = 5;
                break;
            case 5:
                q.tcb = TCB;
                break;
            case 6:
                fw.guests[0].id_key_digest[47] ^= 1;
                break;
            case 7:
                fw.cfg.chip_secret[31] ^= 1;
                break;
            case 8:
                q.vmpl = 1;
                break;
            case 9:
                fw.guests[0].author_key_digest[0] ^= 1;
                break;
            case 10:
                fw.guests[0].host_data[31] ^= 1;
                break;
            }
            CHECK(!key_as(0, &q, key), "key");
            CHECK(!memcmp(first, key, 32) ==
                  (what < 0 || (!selected && !always)), "%d, selected %d",
                  what, selected);
        }
    }
    /* which fields were selected matters even where they are empty */
    attested();
    CHECK(!key_as(0, &(KeyReq){ 0, 2, 0, 0, 0 }, first) &&
          !key_as(0, &(KeyReq){ 0, 4, 0, 0, 0 }, key) &&
          memcmp(first, key, 32), "selection");
}

int main(void)
{
    static const KtapCase cases[] = {
        { "attest: report requests", test_report_request },
        { "attest: reports", test_report },
        { "attest: mitigations", test_mitigations },
        { "attest: key requests", test_key_request },
        { "attest: derived keys", test_key },
        { "attest: key requests, version 2", test_key_2 },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
