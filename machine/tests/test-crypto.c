/*
 * Unit test of the cryptography below attestation
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <nettle/sha2.h>
#undef sha256_init
#include "hw/snp/sha2.h"
#include "test-keys.h"

static const char pem_p256[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADA5oAoGCCqGSM49\n"
    "AwEHoUQDQgAEJu/OvQ7p40pmkYfhizqRIrL3M5RbZJzJ+fkh6fna2BKQI4venMe7\n"
    "Mw0VDGdwTdJa5wVSBXRLbzG/QHB0WHLQ5g==\n"
    "-----END EC PRIVATE KEY-----\n";

/* Computed elsewhere: "sample" signed with the first (RFC 6979), GCM, KDF */
static const uint8_t want_r[48] = {
    0x8e, 0xef, 0xd4, 0xb1, 0x56, 0x4c, 0x60, 0xc5, 0x7b, 0xcb, 0x6e, 0x8b,
    0x21, 0xa9, 0x93, 0xdd, 0x5b, 0xd6, 0x0a, 0x70, 0x8e, 0xd0, 0xac, 0x9d,
    0xe0, 0x8e, 0xde, 0x48, 0x86, 0x18, 0x62, 0xa8, 0xb4, 0xbf, 0xbb, 0x6f,
    0xd6, 0xd1, 0x29, 0x61, 0x5c, 0xda, 0x70, 0x8a, 0x5b, 0x0f, 0x22, 0x58,
};

static const uint8_t want_s[48] = {
    0x3c, 0x18, 0xf0, 0xdf, 0x15, 0xa8, 0xc5, 0x81, 0x03, 0x8e, 0xa9, 0x59,
    0x19, 0x43, 0xcc, 0x48, 0xcb, 0x72, 0xf3, 0xd2, 0x32, 0x3a, 0x7e, 0x46,
    0xb2, 0x39, 0x4b, 0xa4, 0x68, 0x27, 0xf3, 0xf7, 0x84, 0x96, 0xac, 0xde,
    0xad, 0x9c, 0xdf, 0x53, 0x02, 0x6e, 0xb0, 0x6f, 0x6e, 0x80, 0x7c, 0x07,
};

static const uint8_t want_gcm[34] = {
    0x3b, 0x7e, 0xbd, 0x14, 0x1c, 0x9d, 0x7a, 0xbe, 0x51, 0x04, 0x7f, 0x89,
    0xfa, 0x02, 0x1f, 0x98, 0x31, 0xb6, 0xc0, 0x31, 0x97, 0xb2, 0xab, 0x21,
    0x61, 0x81, 0x7c, 0x60, 0x53, 0x9a, 0x61, 0x94, 0xd4, 0x46,
};

static const uint8_t want_kdf[32] = {
    0x30, 0x37, 0x90, 0xcf, 0xe3, 0x63, 0xab, 0xe9, 0x68, 0x2d, 0xbf, 0xff,
    0x59, 0x41, 0xf2, 0x3b, 0x32, 0xad, 0xdc, 0x96, 0xda, 0x72, 0xf4, 0xc7,
    0xe5, 0xb2, 0x0e, 0x9f, 0x59, 0xa4, 0xe5, 0x70,
};

static void test_crypto(void)
{
    uint8_t key[32], iv[12], out[64], tag[16], small[32];
    P384Sig sig, again;
    P384Point a, b;

    for (int i = 0; i < 32; i++) {
        key[i] = i;
    }
    for (int i = 0; i < 12; i++) {
        iv[i] = 100 + i;
    }
    CHECK(gcm_seal(key, iv, "header", 6, "secret, of a guest", 18, out, tag),
          "seal");
    CHECK(!memcmp(out, want_gcm, 18) && !memcmp(tag, want_gcm + 18, 16),
          "sealed");
    CHECK(gcm_open(key, iv, "header", 6, want_gcm, 18, out, tag) &&
          !memcmp(out, "secret, of a guest", 18), "open");
    memset(out, 0xee, sizeof(out));
    CHECK(!gcm_open(key, iv, "heades", 6, want_gcm, 18, out, tag), "AAD");
    CHECK(!gcm_open(key, iv, "header", 6, want_gcm, 17, out, tag), "length");
    CHECK(!gcm_open(key, iv, "header", 6, want_gcm + 1, 18, out, tag),
          "text");
    tag[15] ^= 1;
    CHECK(!gcm_open(key, iv, "header", 6, want_gcm, 18, out, tag), "tag");
    for (int i = 0; i < 64; i++) {
        CHECK(out[i] == 0xee, "nothing comes out of what is not authentic");
    }
    kdf(key, "label", "context", 7, small);
    CHECK(!memcmp(small, want_kdf, 32), "KDF");

    CHECK(p384_sign(key_a, "sample", 6, &sig) &&
          !memcmp(sig.r, want_r, 48) && !memcmp(sig.s, want_s, 48), "sign");
    CHECK(p384_sign(key_a, "sample", 6, &again) &&
          !memcmp(&sig, &again, sizeof(sig)), "the same each time");
    CHECK(p384_public(key_a, &a) && p384_public(key_b, &b), "points");
    CHECK(p384_verify(&a, "sample", 6, &sig), "verify");
    CHECK(!p384_verify(&a, "samplf", 6, &sig), "another text");
    CHECK(!p384_verify(&b, "sample", 6, &sig), "another key");
    sig.r[0] ^= 1;
    CHECK(!p384_verify(&a, "sample", 6, &sig), "r");
    sig.r[0] ^= 1;
    sig.s[47] ^= 0x80;
    CHECK(!p384_verify(&a, "sample", 6, &sig), "s");
    memset(&sig, 0, sizeof(sig));
    CHECK(!p384_verify(&a, "sample", 6, &sig), "zero");
    a.x[0] ^= 1;
    CHECK(!p384_verify(&a, "sample", 6, &again), "not on the curve");
    CHECK(!p384_load("no key", 6), "no PEM");
    CHECK(!p384_load(pem_p256, sizeof(pem_p256) - 1), "P-256");
    for (int i = 0; i < 200; i++) {
        /* numbers with leading zeros, too */
        CHECK(p384_sign(key_b, &i, sizeof(i), &sig) &&
              p384_verify(&b, &i, sizeof(i), &sig), "text %d", i);
    }
}

/*
 * What is loaded of a digest in progress: all that sha256_add() leaves is
 * taken, and of the rest nothing that would be written outside of it.
 */
static void test_sha256_sane(void)
{
    uint8_t text[3 * SHA256_BLOCK_SIZE] = { 0 }, out[SHA256_LEN];
    struct sha256_ctx c;
    Sha256 s;

    sha256_init(&s);
    CHECK(sha256_sane(&s), "begun");
    for (unsigned len = 1; len <= sizeof(text); len++) {
        sha256_init(&s);
        sha256_add(&s, text, len);
        CHECK(sha256_sane(&s), "%u bytes", len);
        sha256_final(&s, out);
        CHECK(sha256_sane(&s), "%u bytes, asked for", len);
    }
    for (uint64_t index = 0; index < 1 << 10; index++) {
        memcpy(&c, &s, sizeof(c));
        c.index = index;
        memcpy(&s, &c, sizeof(c));
        CHECK(sha256_sane(&s) == (index < SHA256_BLOCK_SIZE), "%u bytes wait",
              (unsigned)index);
        if (sha256_sane(&s)) {
            sha256_add(&s, text, sizeof(text));
            sha256_final(&s, out);
        }
    }
    memcpy(&c, &s, sizeof(c));
    c.index = ~0u;
    memcpy(&s, &c, sizeof(c));
    CHECK(!sha256_sane(&s), "as many as there can be");
}

int main(void)
{
    static const KtapCase cases[] = {
        { "attest: GCM, ECDSA, KDF", test_crypto },
        { "SHA-256: what can be a digest in progress", test_sha256_sane },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
