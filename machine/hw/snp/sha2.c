/*
 * SHA-256 (streamed), SHA-384 and HMAC-SHA-256
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include "hw/snp/sha2.h"

/*
 * Cube roots of the first 80 primes, 64 bits of the fraction. SHA-256 uses
 * the upper halves of the first 64.
 */
static const uint64_t round_k[80] = {
    0x428a2f98d728ae22ull, 0x7137449123ef65cdull, 0xb5c0fbcfec4d3b2full,
    0xe9b5dba58189dbbcull, 0x3956c25bf348b538ull, 0x59f111f1b605d019ull,
    0x923f82a4af194f9bull, 0xab1c5ed5da6d8118ull, 0xd807aa98a3030242ull,
    0x12835b0145706fbeull, 0x243185be4ee4b28cull, 0x550c7dc3d5ffb4e2ull,
    0x72be5d74f27b896full, 0x80deb1fe3b1696b1ull, 0x9bdc06a725c71235ull,
    0xc19bf174cf692694ull, 0xe49b69c19ef14ad2ull, 0xefbe4786384f25e3ull,
    0x0fc19dc68b8cd5b5ull, 0x240ca1cc77ac9c65ull, 0x2de92c6f592b0275ull,
    0x4a7484aa6ea6e483ull, 0x5cb0a9dcbd41fbd4ull, 0x76f988da831153b5ull,
    0x983e5152ee66dfabull, 0xa831c66d2db43210ull, 0xb00327c898fb213full,
    0xbf597fc7beef0ee4ull, 0xc6e00bf33da88fc2ull, 0xd5a79147930aa725ull,
    0x06ca6351e003826full, 0x142929670a0e6e70ull, 0x27b70a8546d22ffcull,
    0x2e1b21385c26c926ull, 0x4d2c6dfc5ac42aedull, 0x53380d139d95b3dfull,
    0x650a73548baf63deull, 0x766a0abb3c77b2a8ull, 0x81c2c92e47edaee6ull,
    0x92722c851482353bull, 0xa2bfe8a14cf10364ull, 0xa81a664bbc423001ull,
    0xc24b8b70d0f89791ull, 0xc76c51a30654be30ull, 0xd192e819d6ef5218ull,
    0xd69906245565a910ull, 0xf40e35855771202aull, 0x106aa07032bbd1b8ull,
    0x19a4c116b8d2d0c8ull, 0x1e376c085141ab53ull, 0x2748774cdf8eeb99ull,
    0x34b0bcb5e19b48a8ull, 0x391c0cb3c5c95a63ull, 0x4ed8aa4ae3418acbull,
    0x5b9cca4f7763e373ull, 0x682e6ff3d6b2b8a3ull, 0x748f82ee5defb2fcull,
    0x78a5636f43172f60ull, 0x84c87814a1f0ab72ull, 0x8cc702081a6439ecull,
    0x90befffa23631e28ull, 0xa4506cebde82bde9ull, 0xbef9a3f7b2c67915ull,
    0xc67178f2e372532bull, 0xca273eceea26619cull, 0xd186b8c721c0c207ull,
    0xeada7dd6cde0eb1eull, 0xf57d4f7fee6ed178ull, 0x06f067aa72176fbaull,
    0x0a637dc5a2c898a6ull, 0x113f9804bef90daeull, 0x1b710b35131c471bull,
    0x28db77f523047d84ull, 0x32caab7b40c72493ull, 0x3c9ebe0a15c9bebcull,
    0x431d67c49c100d4cull, 0x4cc5d4becb3e42b6ull, 0x597f299cfc657e2aull,
    0x5fcb6fab3ad6faecull, 0x6c44198c4a475817ull,
};

/* Square roots of the first eight primes; of the next eight */
static const uint32_t start_256[8] = {
    0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
    0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u,
};
static const uint64_t start_384[8] = {
    0xcbbb9d5dc1059ed8ull, 0x629a292a367cd507ull, 0x9159015a3070dd17ull,
    0x152fecd8f70e5939ull, 0x67332667ffc00b31ull, 0x8eb44a8768581511ull,
    0xdb0c2e0d64f98fa7ull, 0x47b5481dbefa4fa4ull,
};

static uint32_t ror32(uint32_t v, int n)
{
    return v >> n | v << (32 - n);
}

static uint64_t ror64(uint64_t v, int n)
{
    return v >> n | v << (64 - n);
}

/* Big-endian number of @n bytes */
static uint64_t get_be(const uint8_t *p, int n)
{
    uint64_t v = 0;

    while (n--) {
        v = v << 8 | *p++;
    }
    return v;
}

static void put_be(uint8_t *p, uint64_t v, int n)
{
    while (n--) {
        p[n] = v;
        v >>= 8;
    }
}

static void block_256(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64], s[8];

    memcpy(s, h, sizeof(s));
    for (int t = 0; t < 64; t++) {
        uint32_t t1, t2;

        if (t < 16) {
            w[t] = get_be(p + 4 * t, 4);
        } else {
            uint32_t a = w[t - 15], b = w[t - 2];

            w[t] = w[t - 16] + (ror32(a, 7) ^ ror32(a, 18) ^ a >> 3) +
                   w[t - 7] + (ror32(b, 17) ^ ror32(b, 19) ^ b >> 10);
        }
        t1 = s[7] + (ror32(s[4], 6) ^ ror32(s[4], 11) ^ ror32(s[4], 25)) +
             ((s[4] & s[5]) ^ (~s[4] & s[6])) +
             (uint32_t)(round_k[t] >> 32) + w[t];
        t2 = (ror32(s[0], 2) ^ ror32(s[0], 13) ^ ror32(s[0], 22)) +
             ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof(s[0]));
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) {
        h[i] += s[i];
    }
}

static void block_512(uint64_t h[8], const uint8_t *p)
{
    uint64_t w[80], s[8];

    memcpy(s, h, sizeof(s));
    for (int t = 0; t < 80; t++) {
        uint64_t t1, t2;

        if (t < 16) {
            w[t] = get_be(p + 8 * t, 8);
        } else {
            uint64_t a = w[t - 15], b = w[t - 2];

            w[t] = w[t - 16] + (ror64(a, 1) ^ ror64(a, 8) ^ a >> 7) +
                   w[t - 7] + (ror64(b, 19) ^ ror64(b, 61) ^ b >> 6);
        }
        t1 = s[7] + (ror64(s[4], 14) ^ ror64(s[4], 18) ^ ror64(s[4], 41)) +
             ((s[4] & s[5]) ^ (~s[4] & s[6])) + round_k[t] + w[t];
        t2 = (ror64(s[0], 28) ^ ror64(s[0], 34) ^ ror64(s[0], 39)) +
             ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof(s[0]));
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) {
        h[i] += s[i];
    }
}

void sha256_init(Sha256 *s)
{
    memset(s, 0, sizeof(*s));
    memcpy(s->h, start_256, sizeof(s->h));
}

void sha256_add(Sha256 *s, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len) {
        size_t at = s->len % sizeof(s->block);
        size_t n = sizeof(s->block) - at;

        n = n < len ? n : len;
        memcpy(s->block + at, p, n);
        s->len += n;
        p += n;
        len -= n;
        if (at + n == sizeof(s->block)) {
            block_256(s->h, s->block);
        }
    }
}

void sha256_final(const Sha256 *s, uint8_t out[SHA256_LEN])
{
    static const uint8_t pad[64] = { 0x80 };
    uint8_t bits[8];
    Sha256 last = *s;

    put_be(bits, s->len * 8, 8);
    sha256_add(&last, pad, 1 + (119 - s->len % 64) % 64);
    sha256_add(&last, bits, sizeof(bits));
    for (int i = 0; i < 8; i++) {
        put_be(out + 4 * i, last.h[i], 4);
    }
}

void sha384(const void *data, size_t len, uint8_t out[SHA384_LEN])
{
    const uint8_t *p = data;
    uint8_t tail[256] = { 0 };
    size_t rest = len % 128, tail_len = rest < 112 ? 128 : 256;
    uint64_t h[8];

    memcpy(h, start_384, sizeof(h));
    for (size_t i = 0; i < len / 128; i++) {
        block_512(h, p + 128 * i);
    }
    if (rest) {
        memcpy(tail, p + len - rest, rest);
    }
    tail[rest] = 0x80;
    put_be(tail + tail_len - 8, (uint64_t)len * 8, 8);
    for (size_t i = 0; i < tail_len; i += 128) {
        block_512(h, tail + i);
    }
    for (int i = 0; i < 6; i++) {
        put_be(out + 8 * i, h[i], 8);
    }
}

void hmac_sha256(const void *key, size_t key_len, const void *data,
                 size_t len, uint8_t out[SHA256_LEN])
{
    uint8_t pad[64] = { 0 }, inner[SHA256_LEN];
    Sha256 s;

    memcpy(pad, key, key_len < sizeof(pad) ? key_len : sizeof(pad));
    for (size_t i = 0; i < sizeof(pad); i++) {
        pad[i] ^= 0x36;
    }
    sha256_init(&s);
    sha256_add(&s, pad, sizeof(pad));
    sha256_add(&s, data, len);
    sha256_final(&s, inner);

    for (size_t i = 0; i < sizeof(pad); i++) {
        pad[i] ^= 0x36 ^ 0x5c;
    }
    sha256_init(&s);
    sha256_add(&s, pad, sizeof(pad));
    sha256_add(&s, inner, sizeof(inner));
    sha256_final(&s, out);
}
