/*
 * SHA-256 (streamed), SHA-384 and HMAC-SHA-256, by nettle
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gnutls, which does the rest, keeps digests in progress where they can be
 * neither copied into a snapshot nor compared.
 */
#include <string.h>
#include <nettle/hmac.h>
#include <nettle/sha2.h>

/* one of its names is one of ours */
#undef sha256_init
#include "hw/snp/sha2.h"

_Static_assert(sizeof(Sha256) >= sizeof(struct sha256_ctx), "Sha256");
_Static_assert(_Alignof(Sha256) >= _Alignof(struct sha256_ctx), "Sha256");

static struct sha256_ctx load(const Sha256 *s)
{
    struct sha256_ctx c;

    memcpy(&c, s, sizeof(c));
    return c;
}

static void store(Sha256 *s, const struct sha256_ctx *c)
{
    memset(s, 0, sizeof(*s));
    memcpy(s, c, sizeof(*c));
}

void sha256_init(Sha256 *s)
{
    struct sha256_ctx c;

    memset(&c, 0, sizeof(c));
    nettle_sha256_init(&c);
    store(s, &c);
}

void sha256_add(Sha256 *s, const void *data, size_t len)
{
    struct sha256_ctx c = load(s);

    sha256_update(&c, len, data);
    store(s, &c);
}

void sha256_final(const Sha256 *s, uint8_t out[SHA256_LEN])
{
    struct sha256_ctx c = load(s);

    sha256_digest(&c, SHA256_LEN, out);
}

bool sha256_sane(const Sha256 *s)
{
    struct sha256_ctx c = load(s);

    /* bytes of a block that waits for the rest: the library indexes by it */
    return c.index < sizeof(c.block);
}

void sha384(const void *data, size_t len, uint8_t out[SHA384_LEN])
{
    struct sha384_ctx c;

    sha384_init(&c);
    sha384_update(&c, len, data);
    sha384_digest(&c, SHA384_LEN, out);
}

void hmac_sha256(const void *key, size_t key_len, const void *data,
                 size_t len, uint8_t out[SHA256_LEN])
{
    struct hmac_sha256_ctx c;

    hmac_sha256_set_key(&c, key_len, key);
    hmac_sha256_update(&c, len, data);
    hmac_sha256_digest(&c, SHA256_LEN, out);
}
