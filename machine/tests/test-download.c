/*
 * Unit test of the secure processor's firmware: firmware that is downloaded,
 * and guests on some core complexes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attest-bench.h"

#define HIGHER     0x4815000000000008ull

/* For major 1, minor 56, build 30, TCB, mitigations 5, by lab/chip.py */
static const char by_the_lab[] =
    "21534e505f465745a000000001381e0007000000000015480500000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000"
    "1a465f84c9f1f92d4703a063d8c2b14f675e9728d3cffa7c8d8709fa97b57beb"
    "1dd9ca2ccd5b9ac014c70c18b029ceb03a6d359332ef93918ac4976f81bce622"
    "a9c13d1ebf60938588348eec8d73eb4102648bf65453edfbfdad80a268159c5a";
static const char lab_key[] =
    "c7e3b4f869acb513690079d1201bd57884f68a9e28e8d726b958c97415418709"
    "ea2f264600a4802a88e59ba578ae61fc792480036a75ec8c72746f53acb9f6c9"
    "f914165c0ceeed988184ae19b252512ca923888f03722d44e3205b695d536f95";

static void bytes(uint8_t *to, const char *hex)
{
    for (unsigned v; sscanf(hex, "%2x", &v) == 1; hex += 2) {
        *to++ = v;
    }
}

static void download(uint32_t want, const char *what)
{
    put(0, 8, IMAGE);
    put(8, 4, 160);
    expect(SEV_DOWNLOAD_FIRMWARE, want, what);
}

static void download_ex(bool commit, uint32_t want, const char *what)
{
    arg_download_ex(commit);
    expect(SNP_DOWNLOAD_FIRMWARE_EX, want, what);
}

static bool version_is(unsigned minor, unsigned build, uint64_t tcb,
                       uint64_t reported)
{
    set_page(OUT, RMP_FIRMWARE, 0, 0);
    put(0, 8, OUT);
    expect(SNP_PLATFORM_STATUS, FW_SUCCESS, "status");
    return mem[OUT] == 1 && mem[OUT + 1] == minor &&
           le(mem + OUT + 4, 4) == build && le(mem + OUT + 16, 8) == tcb &&
           le(mem + OUT + 24, 8) == reported;
}

static void test_image(void)
{
    static const uint8_t lengths[] = { 0, 64, 159, 161, 255 };

    power_on();
    chip();
    for (unsigned i = 0; i < 160; i++) {
        put_image(1, 55, 22, TCB, 0);
        mem[IMAGE + i] ^= 1 << i % 8;
        download(FW_BAD_SIGNATURE, "a bit flipped");
        download_ex(false, FW_BAD_SIGNATURE, "a bit flipped");
    }
    for (unsigned i = 0; i < 64; i++) {
        bool format = i < 12 || i == 15 || i >= 0x20;

        if (format) {
            put_image(1, 55, 22, TCB, 0);
            mem[IMAGE + i] ^= 0x82;
            sign_image();
            download(FW_INVALID_PARAM, "signed, and no image");
        }
    }
    put_image(1, 55, 22, TCB, 0);
    for (unsigned i = 0; i < sizeof(lengths); i++) {
        put(0, 8, IMAGE);
        put(8, 4, lengths[i]);
        expect(SEV_DOWNLOAD_FIRMWARE, FW_INVALID_LEN, "length");
    }
    p384_public(key_a, &fw.cfg.firmware_key);
    download(FW_BAD_SIGNATURE, "another's key");
    chip();
    fw.cfg.nvceks = 0;
    download(FW_BAD_SIGNATURE, "without a chip");
    chip();
    memset(&fw.cfg.firmware_key, 0, sizeof(fw.cfg.firmware_key));
    download(FW_BAD_SIGNATURE, "a key that is none");
    chip();
    memmove(mem + IMAGE + 0xff0, mem + IMAGE, 160);
    put(0, 8, IMAGE + 0xff0);
    put(8, 4, 160);
    expect(SEV_DOWNLOAD_FIRMWARE, FW_SUCCESS, "across pages");
    CHECK(version_is(55, 22, TCB, TCB), "taken");
    power_on();
    chip();
    bytes((uint8_t *)&fw.cfg.firmware_key, lab_key);
    bytes(mem + IMAGE, by_the_lab);
    download(FW_SUCCESS, "made by the lab");
    CHECK(version_is(56, 30, TCB, TCB) && fw.cfg.mitigations == 5,
          "made by the lab");
}

static void test_versions(void)
{
    static const struct { uint8_t major, minor, build; bool ok; } rows[] = {
        { 1, 55, 21, true }, { 1, 55, 22, true }, { 1, 56, 0, true },
        { 2, 0, 0, true }, { 1, 55, 20, false }, { 1, 54, 99, false },
        { 0, 99, 99, false },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        power_on();
        chip();
        put_image(rows[i].major, rows[i].minor, rows[i].build, TCB, 0);
        download(rows[i].ok ? FW_SUCCESS : FW_BAD_VERSION, "a version");
    }
    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t part = TCB >> i & 0xff;

        power_on();
        chip();
        put_image(1, 55, 21, TCB + (1ull << i), 0);
        download(FW_SUCCESS, "a part higher");
        power_on();
        chip();
        put_image(1, 55, 21, (TCB - (part ? 1ull << i : 0)) |
                  (i ? 0 : 1ull << 60), 0);
        download(part ? FW_BAD_SVN : FW_SUCCESS, "a part lower");
    }
}

static void test_commits(void)
{
    power_on();
    chip();
    put_image(1, 56, 30, HIGHER, 0);
    download_ex(false, FW_SUCCESS, "not committed");
    CHECK(version_is(56, 30, HIGHER, TCB), "reported as it was");
    put_image(1, 55, 21, TCB, 0);
    download_ex(false, FW_SUCCESS, "and back");
    CHECK(version_is(55, 21, TCB, TCB), "as before");
    put_image(1, 56, 30, HIGHER, 0);
    download_ex(true, FW_SUCCESS, "committed");
    CHECK(version_is(56, 30, HIGHER, HIGHER), "reported");
    put_image(1, 55, 21, HIGHER, 0);
    download_ex(false, FW_BAD_VERSION, "no way back");
    put_image(1, 56, 30, TCB, 0);
    download_ex(false, FW_BAD_SVN, "no way back");
    put_image(1, 56, 30, HIGHER, 0);
    download_ex(false, FW_SUCCESS, "the same again");

    power_on();
    chip();
    put_image(1, 56, 30, HIGHER, 0);
    download(FW_SUCCESS, "DOWNLOAD_FIRMWARE commits");
    CHECK(version_is(56, 30, HIGHER, HIGHER), "reported");
    snp_fw_reset(&fw);
    CHECK(version_is(56, 30, HIGHER, HIGHER), "over a reset");

    /* SNP_COMMIT afterwards does the same */
    power_on();
    chip();
    put_image(1, 56, 30, HIGHER, 0);
    download_ex(false, FW_SUCCESS, "not committed");
    put(0, 4, 4);
    expect(SNP_COMMIT, FW_SUCCESS, "commit");
    CHECK(version_is(56, 30, HIGHER, HIGHER) && fw.cfg.committed_minor == 56,
          "committed later");
}

static void test_live(void)
{
    const uint8_t *r = msg + 0x20;

    attested();
    fw.cfg.vcek[0].tcb = HIGHER;
    put_image(1, 58, 30, HIGHER, 6);
    mem[IMAGE + 15] = 1;
    sign_image();
    download_ex(false, FW_SHUTDOWN_REQUIRED, "not while guests run");
    fw.mitigated = 3;
    put_image(1, 58, 30, HIGHER, 6);
    download_ex(false, FW_SUCCESS, "live");
    CHECK(fw.mitigated == 2, "what both have, what is new being verified");
    report_req(0, 0);
    CHECK(!report_as(0), "the guest goes on");
    CHECK(le(r, 4) == 5 && le(r + 0x38, 8) == HIGHER &&
          le(r + 0x180, 8) == TCB && le(r + 0x1e0, 8) == TCB &&
          le(r + 0x1e8, 4) == 0x013a1e && le(r + 0x1ec, 4) == 0x013715 &&
          le(r + 0x1f0, 8) == TCB && le(r + 0x200, 8) == 2,
          "current, reported, committed, launch");
    put_image(1, 58, 31, HIGHER, 6);
    wrap_vlek(pem_b, TCB);
    arg_vlek();
    expect(SNP_VLEK_LOAD, FW_SUCCESS, "VLEK");
    download_ex(true, FW_SUCCESS, "live, committed");
    CHECK(!fw.vlek_loaded, "another version is reported");
    report_req(0, 0);
    CHECK(!report_as(0) && le(r + 0x180, 8) == HIGHER &&
          le(r + 0x1e8, 4) == 0x013a1f && le(r + 0x1ec, 4) == 0x013a1f,
          "the new one");
    /* off SNP it may be cold; a new RMP has all mitigations in force */
    power_on();
    chip();
    put_image(1, 58, 30, HIGHER, 6);
    mem[IMAGE + 15] = 1;
    sign_image();
    download_ex(false, FW_SUCCESS, "cold");
    CHECK(!fw.mitigated, "nothing verified");
    init_snp();
    CHECK(fw.mitigated == 6, "verified");
}

static void test_reserved(void)
{
    power_on();
    chip();
    put_image(1, 55, 22, TCB, 0);
    for (unsigned i = 0; i < 32; i++) {
        arg_download_ex(false);
        put(4, 4, 1u << i);
        expect(SNP_DOWNLOAD_FIRMWARE_EX, FW_INVALID_PARAM, "reserved word");
        if (i) {
            arg_download_ex(false);
            put(0x14, 4, 1u << i);
            expect(SNP_DOWNLOAD_FIRMWARE_EX, FW_INVALID_PARAM, "a flag");
        }
    }
    download_ex(false, FW_SUCCESS, "none of them");
}

/* Back to what is committed, but not below what a guest was promised */
static void test_guests(void)
{
    static const struct { uint8_t major, minor; bool ok; } abis[] = {
        { 1, 55, true }, { 1, 56, true }, { 1, 57, false }, { 2, 0, false },
        { 0, 99, true },
    };

    for (unsigned i = 0; i < sizeof(abis) / sizeof(abis[0]); i++) {
        guest(G_INIT);
        chip();
        put_image(2, 58, 30, TCB, 0);
        download_ex(false, FW_SUCCESS, "newer");
        arg_launch_start();
        put(8, 8, 0x30000 | abis[i].major << 8 | abis[i].minor);
        expect(SNP_LAUNCH_START, FW_SUCCESS, "launch");
        put_image(1, 56, 30, TCB, 0);
        download_ex(false, abis[i].ok ? FW_SUCCESS : FW_SHUTDOWN_REQUIRED,
                    "older");
        put_image(2, 58, 29, TCB, 0);
        download_ex(true, FW_SUCCESS, "the same version's");
    }
    for (unsigned i = 0; i < 64; i += 8) {
        guest(G_INIT);
        chip();
        put_image(1, 56, 30, TCB + (1ull << i), 0);
        download_ex(false, FW_SUCCESS, "a part higher");
        put_image(1, 55, 22, TCB, 0);
        download_ex(false, FW_SUCCESS, "and back: nothing was launched");
        put_image(1, 56, 30, TCB + (1ull << i), 0);
        download_ex(false, FW_SUCCESS, "a part higher");
        arg_launch_start();
        expect(SNP_LAUNCH_START, FW_SUCCESS, "launch");
        put_image(1, 55, 22, TCB, 0);
        download_ex(false, FW_SHUTDOWN_REQUIRED, "below a guest's launch");
        put_image(1, 55, 22, TCB + (1ull << i), 0);
        download_ex(false, FW_SUCCESS, "as at its launch");
        put(0, 8, GCTX);
        expect(SNP_DECOMMISSION, FW_SUCCESS, "the guest goes");
        put_image(1, 55, 22, TCB, 0);
        download_ex(false, FW_SUCCESS, "and back");
    }
}

static void test_activate_ex(void)
{
    for (unsigned n = 0; n <= 4; n++) {
        guest(G_LAUNCH);
        arg_activate_ex(3, n);
        mem[LIST + 12] = 2;     /* there is none of this id */
        expect(SNP_ACTIVATE_EX, n == 0 || n == 4 ? FW_INVALID_PARAM
                                                 : FW_SUCCESS, "count");
        CHECK(fw.guests[0].asid == (n && n < 4 ? 3 : 0), "%u CPUs", n);
        CHECK(!n || n == 4 || view.key[3], "the key comes with it");
    }
    guest(G_LAUNCH);
    arg_activate_ex(3, 3);
    put(0x18, 8, LIST + 2);
    expect(SNP_ACTIVATE_EX, FW_INVALID_ADDRESS, "list misaligned");
    arg_activate_ex(3, 3);
    put(4, 4, 1);
    expect(SNP_ACTIVATE_EX, FW_INVALID_PARAM, "reserved");
    /* a page of ids, at most; across pages */
    for (unsigned i = 0; i < 1025; i++) {
        put_le(mem + LIST + 0x800 + 4 * i, 4, i % 2);
    }
    arg_activate_ex(3, 1025);
    put(0x18, 8, LIST + 0x800);
    expect(SNP_ACTIVATE_EX, FW_INVALID_PARAM, "too many");
    arg_activate_ex(3, 1024);
    put(0x18, 8, LIST + 0x800);
    expect(SNP_ACTIVATE_EX, FW_SUCCESS, "as many as there may be");
    arg_activate(3);
    expect(SNP_ACTIVATE, FW_ACTIVE, "it is active");
    arg_activate_ex(3, 1);
    expect(SNP_ACTIVATE_EX, FW_ACTIVE, "it is active");
}

int main(void)
{
    static const KtapCase cases[] = {
        { "download: images", test_image },
        { "download: no way back", test_versions },
        { "download: what is committed", test_commits },
        { "download: while guests run", test_live },
        { "download: reserved bits", test_reserved },
        { "download: what guests were promised", test_guests },
        { "activate: some core complexes", test_activate_ex },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
