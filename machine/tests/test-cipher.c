/*
 * Unit test of the cipher of memory encryption
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include "hw/snp/cipher.h"
#include "ktap.h"

#define BLOCKS (CIPHER_UNIT / CIPHER_BLOCK)

static uint8_t plain[CIPHER_UNIT];

static void from_hex(const char *hex, uint8_t *out)
{
    for (unsigned v; sscanf(hex, "%2x", &v) == 1; hex += 2) {
        *out++ = v;
    }
}

static SnpCipher *key_of(const char *hex)
{
    uint8_t key[CIPHER_KEY_LEN];

    from_hex(hex, key);
    return snp_cipher_new(key);
}

static void fill(void)
{
    for (unsigned i = 0; i < sizeof(plain); i++) {
        plain[i] = i;
    }
}

#define KEY_E_PI \
    "2718281828459045235360287471352631415926535897932384626433832795"

/* IEEE 1619-2007, annex B: vectors 1 to 4; 4 has 32 blocks, the ends of it */
static void test_vectors(void)
{
    static const struct {
        const char *key;
        uint64_t unit;
        int byte;           /* of the plaintext; -1: 00 to ff, repeated */
        unsigned blocks, at;
        const char *want;   /* 32 bytes from block @at on */
    } v[] = {
        { "00000000000000000000000000000000"
          "00000000000000000000000000000000", 0, 0, 2, 0,
          "917cf69ebd68b2ec9b9fe9a3eadda692"
          "cd43d2f59598ed858c02c2652fbf922e" },
        { "11111111111111111111111111111111"
          "22222222222222222222222222222222", 0x3333333333, 0x44, 2, 0,
          "c454185e6a16936e39334038acef838b"
          "fb186fff7480adc4289382ecd6d394f0" },
        { "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0"
          "22222222222222222222222222222222", 0x3333333333, 0x44, 2, 0,
          "af85336b597afc1a900b2eb21ec949d2"
          "92df4c047e0b21532186a5971a227a89" },
        { KEY_E_PI, 0, -1, 32, 0,
          "27a7479befa1d476489f308cd4cfa6e2"
          "a96e4bbe3208ff25287dd3819616e89c" },
        { KEY_E_PI, 0, -1, 32, 30,
          "eb4a427d1923ce3ff262735779a418f2"
          "0a282df920147beabe421ee5319d0568" },
        /* computed elsewhere: the last blocks of a page */
        { KEY_E_PI, 0x123456789000, -1, 256, 254,
          "2dabe1a77e801c8060cfeba25bd6e80e"
          "b8df42200ce547610b84f4cb0b88a4e3" },
    };

    for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        SnpCipher *c = key_of(v[i].key);
        uint8_t buf[CIPHER_UNIT], want[32];

        fill();
        if (v[i].byte >= 0) {
            memset(plain, v[i].byte, sizeof(plain));
        }
        from_hex(v[i].want, want);
        memcpy(buf, plain, sizeof(buf));
        snp_cipher_encrypt(c, v[i].unit, 0, v[i].blocks, buf);
        CHECK(!memcmp(buf + v[i].at * CIPHER_BLOCK, want, sizeof(want)),
              "vector %u", i);
        CHECK(!memcmp(buf + v[i].blocks * CIPHER_BLOCK,
                      plain + v[i].blocks * CIPHER_BLOCK,
                      (BLOCKS - v[i].blocks) * CIPHER_BLOCK),
              "vector %u: no byte more", i);
        snp_cipher_decrypt(c, v[i].unit, 0, v[i].blocks, buf);
        CHECK(!memcmp(buf, plain, sizeof(buf)), "vector %u, back", i);
        snp_cipher_free(c);
    }
}

/* Any part of a page gives what the whole gives there, both ways. */
static void test_parts(void)
{
    SnpCipher *c = key_of(KEY_E_PI);
    uint8_t whole[CIPHER_UNIT], part[CIPHER_UNIT];

    fill();
    memcpy(whole, plain, sizeof(whole));
    snp_cipher_encrypt(c, 0x7000, 0, BLOCKS, whole);
    for (unsigned first = 0; first < BLOCKS; first += 5) {
        for (unsigned n = 1; first + n <= BLOCKS; n += 17) {
            unsigned at = first * CIPHER_BLOCK, len = n * CIPHER_BLOCK;

            memcpy(part, plain + at, len);
            snp_cipher_encrypt(c, 0x7000, first, n, part);
            CHECK(!memcmp(part, whole + at, len), "%u + %u", first, n);
            snp_cipher_decrypt(c, 0x7000, first, n, part);
            CHECK(!memcmp(part, plain + at, len), "%u + %u", first, n);
        }
    }
    snp_cipher_free(c);
}

static unsigned differing(const uint8_t *a, const uint8_t *b)
{
    unsigned n = 0;

    for (unsigned i = 0; i < BLOCKS; i++) {
        n += !!memcmp(a + i * CIPHER_BLOCK, b + i * CIPHER_BLOCK,
                      CIPHER_BLOCK);
    }
    return n;
}

/* All blocks alike in the clear: each depends on key, address and content. */
static void test_depends(void)
{
    SnpCipher *c = key_of(KEY_E_PI), *other;
    uint8_t a[CIPHER_UNIT], b[CIPHER_UNIT];
    uint8_t key[CIPHER_KEY_LEN];

    memset(plain, 0, sizeof(plain));
    memcpy(a, plain, sizeof(a));
    snp_cipher_encrypt(c, 0x10000, 0, BLOCKS, a);
    memcpy(b, plain, sizeof(b));
    snp_cipher_encrypt(c, 0x10000, 0, BLOCKS, b);
    CHECK(!differing(a, b), "the same each time");
    CHECK(differing(a, plain) == BLOCKS, "no block is in the clear");
    for (unsigned i = 0; i < BLOCKS; i++) {
        for (unsigned j = 0; j < i; j++) {
            CHECK(memcmp(a + i * CIPHER_BLOCK, a + j * CIPHER_BLOCK,
                         CIPHER_BLOCK), "blocks %u and %u are alike", i, j);
        }
    }
    /* the address: every bit of it that a page can have */
    for (unsigned bit = 12; bit < 52; bit++) {
        memcpy(b, plain, sizeof(b));
        snp_cipher_encrypt(c, 0x10000 ^ 1ull << bit, 0, BLOCKS, b);
        CHECK(differing(a, b) == BLOCKS, "address bit %u", bit);
    }
    /* the key: every bit of it */
    for (unsigned bit = 0; bit < 8 * CIPHER_KEY_LEN; bit++) {
        from_hex(KEY_E_PI, key);
        key[bit / 8] ^= 1 << bit % 8;
        other = snp_cipher_new(key);
        memcpy(b, plain, sizeof(b));
        snp_cipher_encrypt(other, 0x10000, 0, BLOCKS, b);
        CHECK(differing(a, b) == BLOCKS, "key bit %u", bit);
        snp_cipher_free(other);
    }
    /* the content: of its own block, and of no other */
    for (unsigned at = 0; at < CIPHER_UNIT; at += 101) {
        memcpy(b, plain, sizeof(b));
        b[at] ^= 1;
        snp_cipher_encrypt(c, 0x10000, 0, BLOCKS, b);
        CHECK(differing(a, b) == 1 &&
              memcmp(a + at / 16 * 16, b + at / 16 * 16, 16), "byte %u", at);
    }
    snp_cipher_free(c);
    snp_cipher_free(NULL);
}

static const KtapCase cases[] = {
    { "memory cipher: published vectors of AES-128-XTS", test_vectors },
    { "memory cipher: parts of a page as the whole", test_parts },
    { "memory cipher: key, address and content", test_depends },
};

int main(void)
{
    return ktap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
