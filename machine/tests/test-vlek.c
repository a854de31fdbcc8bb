/*
 * Unit test of the secure processor's firmware: the VLEK
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attest-bench.h"

#define LOWER      0x0100000000000001ull

/* key_a for the chip and TCB of the bench, as lab/chip.py wraps it */
static const char by_the_lab[] =
    "000102030405060708090a0b00000000c22b811b7e4b01f497085b5a568e8386"
    "bdc2f9968803190c6024300aa76f26a0e24314c518d6ef8b35c9809fd3e23aa6"
    "abd1dd7b302b2ea460afae03276204104b8b225b50d157164d4aca514a15db5a"
    "a2fcf4b0c19fc63f2c9220c75dc4691366068cc6c4f97d040b93bbff6f4666eb"
    "dab903425bd1f875318a82dbd7eb9442723c3f64a8c71316553e22f3639f6cb6"
    "f300618cab5c7a35b851929624fb8446d3a638c0340c000fe8355d389a9aa7d5"
    "719abeab641b017883f9edc72e45fff4a0dc1c94589d27b0a85ff827e38367d5"
    "e846044a02484954ae26c7c1ea30994697cf6b87a79a4bf3915be2730ffef53f"
    "cfd75a58955ed34216a9f4942c4611b52139eae65a33474f054035f64bc40d80"
    "ee5ef94c843835fc24e1e1d7598be786452795a01ebc67a04f362de94704b0ec"
    "6e0f3d273463d3807f3454d2848156cf37045fd195e5624d5e3bce982f70020b"
    "5f442502a9f3cf8d4b45bf42f9e622c4ac4f249b1f376036f9a654eea1a26fce"
    "8bae708942a8215e511c38ce79f451e807000000000015480000000000000000"
    "2e378c6e7b6ff788588efeb7a61aed7b";

static void load(uint32_t want, const char *what)
{
    arg_vlek();
    expect(SNP_VLEK_LOAD, want, what);
}

static bool announced(void)
{
    set_page(OUT, RMP_FIRMWARE, 0, 0);
    put(0, 8, OUT);
    expect(SNP_PLATFORM_STATUS, FW_SUCCESS, "status");
    return mem[OUT + 8] & 4;
}

static void test_load(void)
{
    static const char *wrong[] = { "", "no key", "-----BEGIN EC PRIVATE KEY" };
    uint8_t text[384] = { 0 };

    attested();
    CHECK(!announced(), "none at first");
    for (unsigned i = 0; i < 432; i++) {
        for (int bit = 0; bit < 8; bit += 7) {
            bool rsvd = (i >= 12 && i < 16) || (i >= 0x198 && i < 0x1a0);

            wrap_vlek(pem_b, TCB);
            mem[STICK + i] ^= 1 << bit;
            load(rsvd ? FW_INVALID_PARAM : FW_BAD_MEASUREMENT, "a bit");
        }
    }
    for (unsigned i = 4; i < 8; i++) {
        wrap_vlek(pem_b, TCB);
        arg_vlek();
        put(i, 1, 1);
        expect(SNP_VLEK_LOAD, FW_INVALID_PARAM, "version, reserved");
    }
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        wrap_vlek(wrong[i], TCB);
        load(FW_INVALID_KEY, wrong[i]);
    }
    memcpy(text, pem_b, strlen(pem_b));
    for (unsigned i = strlen(pem_b) + 1; i < 384; i++) {
        text[i] = 1;
        wrap_bytes(text, TCB);
        load(FW_INVALID_KEY, "more behind the key");
        text[i] = 0;
    }
    wrap_vlek(pem_b, TCB - 1);
    load(FW_INVALID_PARAM, "of a lower version");
    wrap_vlek(pem_b, TCB + 1);
    load(FW_INVALID_PARAM, "of a higher version");
    wrap_vlek(pem_b, TCB);
    fw.cfg.chip_secret[31] ^= 1;
    load(FW_BAD_MEASUREMENT, "of another chip");
    fw.cfg.chip_secret[31] ^= 1;
    fw.cfg.chip_id[63] ^= 1;
    load(FW_BAD_MEASUREMENT, "of another identity");
    fw.cfg.chip_id[63] ^= 1;
    fw.cfg.nvceks = 0;
    load(FW_BAD_MEASUREMENT, "without a chip");
    fw.cfg.nvceks = 2;
    CHECK(!announced(), "none of these");

    /* anywhere, also where two pages meet, and in a page that is a guest's */
    memmove(mem + STICK + 0xf01, mem + STICK, 432);
    put(0, 4, 16);
    put(8, 8, (STICK + 0xf01) | 1ull << 51);
    expect(SNP_VLEK_LOAD, FW_SUCCESS, "across pages, with a C-bit");
    CHECK(announced(), "there is one");
    attested();
    set_page(STICK, RMP_GUEST_VALID, 3, 0x1000);
    wrap_vlek(pem_b, TCB);
    load(FW_INVALID_PARAM, "what only the guest can read");
    set_page(STICK, RMP_HYPERVISOR, 0, 0);
    wrap_vlek(pem_b, TCB);
    set_page(STICK, RMP_GUEST_VALID, 3, 0x1000);
    load(FW_SUCCESS, "what is there without its key");
    CHECK(announced(), "there is one");
}

static void test_of_the_lab(void)
{
    attested();
    for (unsigned i = 0; i < 432; i++) {
        unsigned v = 0;

        sscanf(by_the_lab + 2 * i, "%2x", &v);
        mem[STICK + i] = v;
    }
    load(FW_SUCCESS, "made by the lab");
    report_req(0, 2);
    CHECK(!report_as(0) && signed_by(key_a, msg + 0x20), "its key signs");
}

static void test_deleted(void)
{
    attested();
    wrap_vlek(pem_b, TCB);
    load(FW_SUCCESS, "good");
    put(0, 8, TCB);
    put(8, 4, 1);
    expect(SNP_CONFIG, FW_SUCCESS, "the version that is reported anyway");
    CHECK(announced(), "SNP_CONFIG of the same version");
    CHECK(le(mem + OUT + 8, 4) == 5, "beside other flags");
    put(0, 4, 4);
    expect(SNP_COMMIT, FW_SUCCESS, "commit");
    CHECK(announced(), "SNP_COMMIT of the same version");
    put(0, 8, LOWER);
    expect(SNP_CONFIG, FW_SUCCESS, "lower");
    CHECK(!announced(), "SNP_CONFIG of another version");
    report_req(0, 2);
    CHECK(report_as(0) == 0x27, "deleted");
    load(FW_INVALID_PARAM, "not any more");

    /* what was reported goes with a commit, too */
    wrap_vlek(pem_a, LOWER);
    load(FW_SUCCESS, "of the version that is reported");
    put(0, 4, 4);
    expect(SNP_COMMIT, FW_SUCCESS, "commit");
    CHECK(!announced(), "SNP_COMMIT of another version");
    attested();
    fw.cfg.committed_tcb = LOWER;
    wrap_vlek(pem_a, LOWER);
    load(FW_SUCCESS, "of the committed version");
    put(0, 4, 4);
    expect(SNP_COMMIT, FW_SUCCESS, "commit");
    CHECK(!announced(), "SNP_COMMIT of a new version");

    attested();
    wrap_vlek(pem_b, TCB);
    load(FW_SUCCESS, "good");
    put(0, 4, 8);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "shutdown");
    CHECK(!announced() && !fw.vlek[0], "SNP_SHUTDOWN_EX");
    attested();
    wrap_vlek(pem_b, TCB);
    load(FW_SUCCESS, "good");
    snp_fw_reset(&fw);
    CHECK(!announced() && !fw.vlek[0], "reset");
}

enum { LOADED = 1, NO_VCEK = 2, DISABLED = 4, MASKED = 8 };

static void set(unsigned how)
{
    attested();
    if (how & LOADED) {
        wrap_vlek(pem_b, TCB);
        load(FW_SUCCESS, "good");
    }
    if (how & NO_VCEK) {
        fw.cfg.nvceks = 1;      /* of another version */
    }
    fw.guests[0].vcek_disabled = how & DISABLED;
    fw.config_flags = how & MASKED ? 2 : 0;
}

/* Who signs: each of the three selections, whatever else there is */
static void test_reports(void)
{
    for (unsigned how = 0; how < 16; how++) {
        for (unsigned sel = 0; sel < 3; sel++) {
            bool vlek = sel == 2 || (sel == 0 && how & LOADED);
            bool none = vlek ? !(how & LOADED)
                             : how & DISABLED ||
                               (how & NO_VCEK && !(how & MASKED));
            const uint8_t *r = msg + 0x20;
            uint32_t got, info;

            set(how);
            report_req(0, sel);
            got = report_as(0);
            CHECK(got == (none ? 0x27 : 0), "how %u, KEY_SEL %u: %x", how,
                  sel, got);
            if (got || none) {
                continue;
            }
            info = le(r + 0x48, 4);
            CHECK(info == (how & MASKED ? 0x1e : vlek ? 4 : 0),
                  "how %u, KEY_SEL %u: key %x", how, sel, info);
            CHECK(how & MASKED ? !le(r + 0x2a0, 8)
                               : signed_by(vlek ? key_b : key_a, r),
                  "how %u, KEY_SEL %u: signature", how, sel);
            CHECK(r[0x1a0] == 200 && le(r + 0x180, 8) == TCB,
                  "chip, reported TCB");
        }
    }
}

static uint32_t derive(uint32_t root, uint8_t out[32])
{
    uint64_t n = fw.guests[0].msg_count[0];
    uint32_t status;

    memset(msg, 0, sizeof(msg));
    put_le(msg, 4, root);
    seal_as(0, n + 1, 3, 1, 0x20);
    ask(FW_SUCCESS, "key");
    status = response(0, n + 2, 4, 0x40);
    memcpy(out, msg + 32, 32);
    return status;
}

static void test_keys(void)
{
    uint8_t chip_key[32], vlek_key[32], vmrk_key[32], key[32];

    set(LOADED);
    CHECK(!derive(2, chip_key) && !derive(4, vlek_key) &&
          !derive(1, vmrk_key), "three roots");
    CHECK(memcmp(chip_key, vlek_key, 32) && memcmp(vmrk_key, vlek_key, 32),
          "the VLEK is a root of its own");
    CHECK(!derive(0, key) && !memcmp(key, vlek_key, 32), "chosen if loaded");
    CHECK(!derive(5, key) && !memcmp(key, vmrk_key, 32), "VMRK is VMRK");
    for (unsigned how = 0; how < 16; how++) {
        for (uint32_t root = 0; root < 6; root += 2) {
            bool vlek = root == 4 || (root == 0 && how & LOADED);
            bool none = vlek ? !(how & LOADED) : how & (DISABLED | MASKED);
            uint32_t got;

            set(how);
            got = derive(root, key);
            CHECK(got == (none ? 0x27 : 0), "how %u, root %u: %x", how, root,
                  got);
            CHECK(got || !memcmp(key, vlek ? vlek_key : chip_key, 32),
                  "how %u, root %u: another key", how, root);
        }
    }
    /* of the VLEK it depends, and of nothing in the chip */
    set(LOADED);
    fw.cfg.chip_secret[0] ^= 1;
    CHECK(!derive(4, key) && !memcmp(key, vlek_key, 32), "another chip");
    set(0);
    wrap_vlek(pem_a, TCB);
    load(FW_SUCCESS, "another");
    CHECK(!derive(4, key) && memcmp(key, vlek_key, 32), "another VLEK");
    wrap_vlek(pem_b, TCB);
    load(FW_SUCCESS, "in its place");
    CHECK(!derive(4, key) && !memcmp(key, vlek_key, 32), "replaced");
}

int main(void)
{
    static const KtapCase cases[] = {
        { "vlek: hashsticks", test_load },
        { "vlek: a hashstick of the lab", test_of_the_lab },
        { "vlek: until it is deleted", test_deleted },
        { "vlek: reports", test_reports },
        { "vlek: derived keys", test_keys },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
