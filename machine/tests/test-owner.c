/*
 * Unit test of the secure processor's firmware: keys of platform and owner
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "owner-bench.h"

/* The point of a certificate */
static P384Point point_of(const uint8_t *cert)
{
    P384Point p;

    memcpy(p.x, cert + 20, 48);
    memcpy(p.y, cert + 20 + 72, 48);
    return p;
}

/* Does the one's key vouch for the other, by the signature of that usage? */
static bool vouches(const uint8_t *by, const uint8_t *cert, uint32_t usage)
{
    P384Point pub = point_of(by);
    P384Sig sig;

    for (unsigned at = 0x414; at < CERT; at += 0x208) {
        if (le(cert + at, 4) == usage && le(cert + at + 4, 4) == 2) {
            memcpy(sig.r, cert + at + 8, 48);
            memcpy(sig.s, cert + at + 8 + 72, 48);
            return p384_verify_256(&pub, cert, 0x414, &sig);
        }
    }
    return false;
}

static void check_cert(const uint8_t *c, uint32_t usage, uint32_t algo,
                       unsigned minor)
{
    CHECK(le(c, 4) == 1 && c[4] == 1 && c[5] == minor && !c[6] && !c[7],
          "%x: version", usage);
    CHECK(le(c + 8, 4) == usage && le(c + 12, 4) == algo &&
          le(c + 16, 4) == 2, "%x: usage %lx, algorithm %lx", usage,
          (long)le(c + 8, 4), (long)le(c + 12, 4));
    for (unsigned i = 48; i < 72; i++) {
        CHECK(!c[20 + i] && !c[92 + i], "%x: padding", usage);
    }
    for (unsigned i = 164; i < 0x414; i++) {
        CHECK(!c[i], "%x: reserved %x", usage, i);
    }
}

static void export(void)
{
    arg_export();
    expect(SEV_PDH_CERT_EXPORT, FW_SUCCESS, "export");
    CHECK(got(8, 4) == CERT && got(24, 4) == 3 * CERT, "lengths");
}

static bool whole_chain(void)
{
    const uint8_t *pek = mem + CHAIN, *oca = pek + CERT, *cek = oca + CERT;

    return vouches(oca, oca, 0x1001) && vouches(oca, pek, 0x1001) &&
           vouches(cek, pek, 0x1004) && vouches(pek, mem + PDH, 0x1002);
}

static unsigned owner_flag(void)
{
    expect(SEV_PLATFORM_STATUS, FW_SUCCESS, "status");
    return got(3, 4) & 1;
}

static void start(void)
{
    power_on();
    chip();
    init_sev(false);
}

static void test_chain(void)
{
    const uint8_t *pek = mem + CHAIN, *oca = pek + CERT, *cek = oca + CERT;
    uint8_t all[4 * CERT];

    start();
    export();
    check_cert(mem + PDH, 0x1003, 3, 55);
    check_cert(pek, 0x1002, 2, 55);
    check_cert(oca, 0x1001, 2, 55);
    check_cert(cek, 0x1004, 2, 55);
    CHECK(whole_chain(), "who vouches for whom");
    CHECK(le(cek + 0x414, 4) == 0x1000 && le(cek + 0x61c, 4) == 0x1000 &&
          le(oca + 0x61c, 4) == 0x1000 && le(mem + PDH + 0x61c, 4) == 0x1000,
          "signatures that are none");
    CHECK(!owner_flag(), "nobody outside owns it");

    /* the same each time, over SHUTDOWN and reset */
    memcpy(all, mem + PDH, CERT);
    memcpy(all + CERT, pek, 3 * CERT);
    memset(mem + PDH, 0, 0x3000);
    expect(SEV_SHUTDOWN, FW_SUCCESS, "shutdown");
    snp_fw_reset(&fw);
    init_sev(false);
    export();
    CHECK(!memcmp(all, mem + PDH, CERT) &&
          !memcmp(all + CERT, pek, 3 * CERT), "the same platform");
    /* of a platform without a chip, too, but another */
    power_on();
    init_sev(false);
    export();
    CHECK(whole_chain() && memcmp(all + 3 * CERT, cek, CERT), "without a chip");
}

static void test_lengths(void)
{
    start();
    put(0, 8, CSR);
    expect(SEV_PEK_CSR, FW_INVALID_LEN, "how long?");
    CHECK(got(8, 4) == CERT, "so long");
    expect(SEV_PDH_CERT_EXPORT, FW_INVALID_LEN, "how long?");
    CHECK(got(8, 4) == CERT && got(24, 4) == 3 * CERT, "so long");
    arg_export();
    put(8, 4, CERT - 1);
    expect(SEV_PDH_CERT_EXPORT, FW_INVALID_LEN, "PDH");
    CHECK(!fw.identity.made, "nothing was made for that");
    arg_export();
    put(8, 4, CERT + 1);
    put(24, 4, ~0u);
    expect(SEV_PDH_CERT_EXPORT, FW_SUCCESS, "longer");
    CHECK(got(8, 4) == CERT && got(24, 4) == 3 * CERT, "as long as it is");
}

static void new_keys(bool with_chip)
{
    uint8_t was[4 * CERT];
    const uint8_t *cek = mem + CHAIN + 2 * CERT;

    power_on();
    if (with_chip) {
        chip();
    }
    init_sev(false);
    export();
    memcpy(was, mem + PDH, CERT);
    memcpy(was + CERT, mem + CHAIN, 3 * CERT);
    expect(SEV_PDH_GEN, FW_SUCCESS, "another PDH");
    export();
    CHECK(memcmp(was, mem + PDH, CERT) &&
          !memcmp(was + CERT, mem + CHAIN, 3 * CERT) && whole_chain(),
          "a new PDH, and nothing else");
    expect(SEV_PEK_GEN, FW_SUCCESS, "another PEK");
    memcpy(was, mem + PDH, CERT);
    export();
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *now = i ? mem + CHAIN + (i - 1) * CERT : mem + PDH;

        CHECK(memcmp(was + i * CERT + 20, now + 20, 48), "%u: as it was", i);
    }
    CHECK(!memcmp(was + 3 * CERT, cek, CERT) && whole_chain(),
          "new, but for the chip's");
    expect(SEV_SHUTDOWN, FW_SUCCESS, "shutdown");
    memcpy(was, mem + PDH, CERT);
    memcpy(was + CERT, mem + CHAIN, 3 * CERT);
    expect(SEV_FACTORY_RESET, FW_SUCCESS, "reset");
    init_sev(false);
    export();
    CHECK(memcmp(was + CERT + 20, mem + CHAIN + 20, 48) &&
          memcmp(was + 20, mem + PDH + 20, 48) &&
          !memcmp(was + 3 * CERT, cek, CERT) && whole_chain(),
          "as from the factory");
}

static void test_new_keys(void)
{
    new_keys(true);
    new_keys(false);
}

/* Random numbers that begin anew with a reset bring no key back. */
static void test_after_reset(void)
{
    uint8_t was[4 * CERT];

    start();
    export();
    memcpy(was, mem + PDH, CERT);
    memcpy(was + CERT, mem + CHAIN, 3 * CERT);
    snp_fw_reset(&fw);
    random_at = 0;          /* as when it was made */
    init_sev(false);
    expect(SEV_PEK_GEN, FW_SUCCESS, "another PEK");
    export();
    CHECK(memcmp(was + 20, mem + PDH + 20, 48), "the PDH of old");
    CHECK(memcmp(was + CERT + 20, mem + CHAIN + 20, 48), "the PEK of old");
    CHECK(memcmp(was + 2 * CERT + 20, mem + CHAIN + CERT + 20, 48),
          "the owner of old");
    CHECK(whole_chain(), "chain");
}

static void import(uint32_t want, const char *what)
{
    arg_import();
    expect(SEV_PEK_CERT_IMPORT, want, what);
}

/* What is beside an owner's numbers, signed or not */
static void test_beside(void)
{
    static const struct { unsigned from, to, step; } oca[] = {
        { 0, 4, 1 }, { 6, 8, 1 }, { 68, 92, 1 }, { 140, 164, 1 },
        { 164, 0x414, 79 },
    }, sig[] = {
        { 8 + 48, 8 + 72, 1 }, { 80 + 48, 80 + 72, 1 }, { 152, 520, 61 },
    };
    uint8_t good[512];

    start();
    ask_csr();
    for (unsigned n = 0; n < sizeof(oca) / sizeof(oca[0]); n++) {
        for (unsigned i = oca[n].from; i < oca[n].to; i += oca[n].step) {
            owner_signs(2);
            mem[OCA + i] ^= 0x40;
            owner_sig(mem + OCA, 0, 2);
            import(FW_INVALID_CERTIFICATE, "a certificate, signed");
        }
    }
    owner_signs(2);
    for (unsigned n = 0; n < sizeof(sig) / sizeof(sig[0]); n++) {
        for (unsigned i = sig[n].from; i < sig[n].to; i += sig[n].step) {
            mem[OCA + 0x414 + i] ^= 1;
            import(FW_BAD_SIGNATURE, "the OCA's signature");
            mem[OCA + 0x414 + i] ^= 1;
            mem[CSR + 0x61c + i] ^= 1;
            import(FW_BAD_SIGNATURE, "the PEK's signature");
            mem[CSR + 0x61c + i] ^= 1;
        }
    }
    arg_import();
    put(0, 8, NOWHERE);
    expect(SEV_PEK_CERT_IMPORT, FW_INVALID_ADDRESS, "no PEK");
    for (int d = -1; d < 2; d += 2) {
        arg_import();
        put(24, 4, CERT + d);
        expect(SEV_PEK_CERT_IMPORT, FW_INVALID_LEN, "the owner's length");
    }
    /* the second place counts, whatever is in the first */
    owner_sig(mem + OCA, 1, 2);
    memcpy(good, mem + CSR + 0x61c + 8, sizeof(good));
    mem[OCA + 0x41c] ^= 1;
    owner_sig(mem + CSR, 0, 2);
    mem[CSR + 0x41c] ^= 1;
    import(FW_SUCCESS, "good ones behind bad ones");
    export();
    CHECK(!memcmp(good, mem + CHAIN + 0x41c, sizeof(good)), "the good one");
}

/* An owner whose digest is SHA-384: key_b */
static void test_owner_384(void)
{
    P384Point pub;
    P384Sig sig;

    start();
    ask_csr();
    owner_signs(0x102);
    p384_public(key_b, &pub);
    memcpy(mem + OCA + 20, pub.x, 48);
    memcpy(mem + OCA + 92, pub.y, 48);
    import(FW_BAD_SIGNATURE, "the other owner's");
    p384_sign(key_b, mem + OCA, 0x414, &sig);
    memcpy(mem + OCA + 0x41c, sig.r, 48);
    memcpy(mem + OCA + 0x41c + 72, sig.s, 48);
    import(FW_BAD_SIGNATURE, "the PEK by the other owner");
    p384_sign(key_b, mem + CSR, 0x414, &sig);
    memcpy(mem + CSR + 0x624, sig.r, 48);
    memcpy(mem + CSR + 0x624 + 72, sig.s, 48);
    import(FW_SUCCESS, "SHA-384");
    CHECK(owner_flag(), "owned");
    export();
    CHECK(le(mem + CHAIN + 0x414, 4) == 0x1001 &&
          le(mem + CHAIN + 0x418, 4) == 0x102, "and says so");
    memcpy(sig.r, mem + CHAIN + 0x41c, 48);
    memcpy(sig.s, mem + CHAIN + 0x41c + 72, 48);
    CHECK(p384_verify(&pub, mem + CHAIN, 0x414, &sig), "the PEK");
    CHECK(!memcmp(mem + CHAIN + CERT, mem + OCA, CERT), "the owner's");
}

static void test_owner(void)
{
    uint8_t pdh[CERT], csr[CERT];
    P384Point pub;

    start();
    export();
    memcpy(pdh, mem + PDH, CERT);
    ask_csr();
    check_cert(mem + CSR, 0x1002, 2, 55);
    for (unsigned i = 0x414; i < CERT; i++) {
        unsigned at = (i - 0x414) % 0x208;

        CHECK(mem[CSR + i] == (at == 1 ? 0x10 : 0), "CSR: %x", i);
    }
    CHECK(!memcmp(mem + CSR, mem + CHAIN, 0x414), "of the PEK");
    memcpy(csr, mem + CSR, CERT);

    /* a bit anywhere that counts */
    for (unsigned i = 0; i < 0x414; i += 3) {
        memcpy(mem + CSR, csr, CERT);
        owner_signs(2);
        mem[CSR + i] ^= 1 << i % 8;
        import(FW_INVALID_CERTIFICATE, "another PEK");
        mem[CSR + i] ^= 1 << i % 8;
        mem[OCA + i] ^= 1 << i % 8;
        import(i == 4 || i == 5 || (i >= 20 && i < 68) ||
               (i >= 92 && i < 140) ? FW_BAD_SIGNATURE
                                    : FW_INVALID_CERTIFICATE, "another OCA");
    }
    for (unsigned i = 0; i < 48; i += 5) {
        memcpy(mem + CSR, csr, CERT);
        owner_signs(2);
        mem[CSR + 0x624 + i] ^= 1;
        import(FW_BAD_SIGNATURE, "the PEK's signature");
        mem[CSR + 0x624 + i] ^= 1;
        mem[OCA + 0x41c + i] ^= 1;
        import(FW_BAD_SIGNATURE, "the OCA's signature");
    }
    memcpy(mem + CSR, csr, CERT);
    owner_signs(2);
    put_le(mem + CSR + 0x61c, 4, 0x1002);
    import(FW_BAD_SIGNATURE, "not said to be the owner's");
    put_le(mem + CSR + 0x61c, 4, 0x1001);
    put_le(mem + CSR + 0x620, 4, 0x102);
    import(FW_BAD_SIGNATURE, "another algorithm");
    owner_signs(0x102);
    import(FW_BAD_SIGNATURE, "another digest than it says");
    owner_signs(3);
    import(FW_INVALID_CERTIFICATE, "an algorithm that signs nothing");
    CHECK(!owner_flag(), "not one of these");

    memcpy(mem + CSR, csr, CERT);
    owner_signs(2);
    import(FW_SUCCESS, "owned");
    CHECK(owner_flag(), "and says so");
    import(FW_ALREADY_OWNED, "once");
    export();
    CHECK(whole_chain(), "chain");
    pub = owner_pair(0).pub;
    CHECK(!memcmp(mem + CHAIN + CERT, mem + OCA, CERT) &&
          !memcmp(mem + CHAIN + CERT + 20, pub.x, 48), "the owner's");
    CHECK(!memcmp(mem + CHAIN, csr, 0x414), "the same PEK");
    CHECK(memcmp(pdh + 20, mem + PDH + 20, 48), "another PDH");
    expect(SEV_SHUTDOWN, FW_SUCCESS, "shutdown");
    snp_fw_reset(&fw);
    CHECK(owner_flag(), "over a reset");
    init_sev(false);
    expect(SEV_PDH_GEN, FW_SUCCESS, "PDH");
    CHECK(owner_flag(), "another PDH");
    expect(SEV_PEK_GEN, FW_SUCCESS, "PEK");
    CHECK(!owner_flag(), "another PEK is nobody's");
    import(FW_INVALID_CERTIFICATE, "of the PEK that was");
    ask_csr();
    owner_signs(2);
    import(FW_SUCCESS, "again");
    expect(SEV_SHUTDOWN, FW_SUCCESS, "shutdown");
    expect(SEV_FACTORY_RESET, FW_SUCCESS, "reset");
    CHECK(!owner_flag(), "nobody's");
    init_sev(false);
    import(FW_INVALID_CERTIFICATE, "before there is a PEK");
    memset(mem + CSR, 0, CERT);
    mem[CSR] = 1;
    put_le(mem + CSR + 8, 4, 0x1002);
    put_le(mem + CSR + 12, 4, 2);
    put_le(mem + CSR + 16, 4, 2);
    owner_signs(2);
    import(FW_INVALID_CERTIFICATE, "a key of zeros");
}

/* Of two whose private keys are 1 and 2 the points are known. */
static void test_curve(void)
{
    static const uint8_t gx[] = { 0xb7, 0x0a, 0x76, 0x72 };
    static const uint8_t x2[] = { 0x61, 0xdf, 0x95, 0x52 };
    uint8_t seed[P384_RANDOM_LEN] = { 0 }, za[48], zb[48];
    P384Pair one, two, a = owner_pair(1), b = owner_pair(2);
    P384Point off = a.pub;

    p384_make(seed, &one);
    seed[0] = 1;
    p384_make(seed, &two);
    CHECK(one.k[0] == 1 && two.k[0] == 2, "keys");
    for (int i = 0; i < 4; i++) {
        CHECK(one.pub.x[i] == gx[i], "the base point: %d: %x", i,
              one.pub.x[i]);
        CHECK(two.pub.x[i] == x2[i], "twice: %d: %x", i, two.pub.x[i]);
    }
    CHECK(p384_shared(&a, &b.pub, za) && p384_shared(&b, &a.pub, zb) &&
          !memcmp(za, zb, 48), "both know the same");
    CHECK(p384_shared(&one, &b.pub, za) && za[47] == b.pub.x[0] &&
          za[0] == b.pub.x[47], "big-endian");
    off.y[0] ^= 1;
    memset(za, 0x77, sizeof(za));
    CHECK(!p384_shared(&a, &off, za) && za[0] == 0x77, "not on the curve");
    memset(seed, 0xff, sizeof(seed));
    p384_make(seed, &one);
    CHECK(p384_shared(&one, &b.pub, za), "any random number makes a key");
}

int main(void)
{
    static const KtapCase cases[] = {
        { "owner: the curve", test_curve },
        { "owner: certificates", test_chain },
        { "owner: lengths", test_lengths },
        { "owner: new keys", test_new_keys },
        { "owner: new keys after a reset", test_after_reset },
        { "owner: an owner", test_owner },
        { "owner: beside its numbers", test_beside },
        { "owner: an owner with SHA-384", test_owner_384 },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
