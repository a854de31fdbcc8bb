/*
 * Memory encryption: the cipher
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>
#include <nettle/aes.h>
#include <nettle/ctr.h>
#include "hw/snp/cipher.h"

#define BLOCKS (CIPHER_UNIT / CIPHER_BLOCK)

/* A block as a number: byte 0 is the least significant, as in the standard */
typedef struct Block {
    uint64_t lo, hi;
} Block;

_Static_assert(sizeof(Block) == CIPHER_BLOCK, "a block is two words");

struct SnpCipher {
    struct aes128_ctx encrypt, decrypt, tweak;
    uint8_t key[CIPHER_KEY_LEN];
};

SnpCipher *snp_cipher_new(const uint8_t key[CIPHER_KEY_LEN])
{
    SnpCipher *c = calloc(1, sizeof(*c));

    if (!c) {
        abort();
    }
    aes128_set_encrypt_key(&c->encrypt, key);
    aes128_set_decrypt_key(&c->decrypt, key);
    aes128_set_encrypt_key(&c->tweak, key + AES128_KEY_SIZE);
    memcpy(c->key, key, CIPHER_KEY_LEN);
    return c;
}

void snp_cipher_key(const SnpCipher *c, uint8_t key[CIPHER_KEY_LEN])
{
    memcpy(key, c->key, CIPHER_KEY_LEN);
}

void snp_cipher_free(SnpCipher *c)
{
    if (c) {
        explicit_bzero(c, sizeof(*c));
        free(c);
    }
}

static uint64_t le(uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(v);
#else
    return v;
#endif
}

/* By x in GF(2^128) modulo x^128 + x^7 + x^2 + x + 1 */
static Block times_x(Block t)
{
    uint64_t carry = t.hi >> 63;

    return (Block){ t.lo << 1 ^ (carry ? 0x87 : 0), t.hi << 1 | t.lo >> 63 };
}

static void add(uint8_t *buf, const Block *t, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        Block b;

        memcpy(&b, buf + i * CIPHER_BLOCK, sizeof(b));
        b.lo ^= t[i].lo;
        b.hi ^= t[i].hi;
        memcpy(buf + i * CIPHER_BLOCK, &b, sizeof(b));
    }
}

/* The tweaks of @n blocks, as bytes lie in memory */
static void tweaks(const SnpCipher *c, uint64_t unit, unsigned first,
                   unsigned n, Block *out)
{
    Block t = { le(unit), 0 };

    aes128_encrypt(&c->tweak, sizeof(t), (uint8_t *)&t, (uint8_t *)&t);
    t = (Block){ le(t.lo), le(t.hi) };
    for (unsigned i = 0; i < first; i++) {
        t = times_x(t);
    }
    for (unsigned i = 0; i < n; i++) {
        out[i] = (Block){ le(t.lo), le(t.hi) };
        t = times_x(t);
    }
}

void snp_cipher_encrypt(const SnpCipher *c, uint64_t unit, unsigned first,
                        unsigned n, void *buf)
{
    Block t[BLOCKS];

    tweaks(c, unit, first, n, t);
    add(buf, t, n);
    aes128_encrypt(&c->encrypt, n * CIPHER_BLOCK, buf, buf);
    add(buf, t, n);
}

void snp_cipher_decrypt(const SnpCipher *c, uint64_t unit, unsigned first,
                        unsigned n, void *buf)
{
    Block t[BLOCKS];

    tweaks(c, unit, first, n, t);
    add(buf, t, n);
    aes128_decrypt(&c->decrypt, n * CIPHER_BLOCK, buf, buf);
    add(buf, t, n);
}

void aes128_ctr(const uint8_t key[16], const uint8_t iv[16], void *buf,
                size_t len)
{
    uint8_t counter[CIPHER_BLOCK];
    struct aes128_ctx c;

    memcpy(counter, iv, sizeof(counter));
    aes128_set_encrypt_key(&c, key);
    ctr_crypt(&c, (nettle_cipher_func *)aes128_encrypt, sizeof(counter),
              counter, len, buf, buf);
    explicit_bzero(&c, sizeof(c));
}
