/*
 * Keys of P-384 that are made here, and what two of them have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>
#include <nettle/bignum.h>
#include <nettle/ecc.h>
#include <nettle/ecc-curve.h>
#include "hw/snp/crypto.h"

/* Of the curve's base point, less 1 */
#define ORDER_LESS_1 \
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf" \
    "581a0db248b0a77aecec196accc52972"

static void get(mpz_t z, const uint8_t *in, size_t len)
{
    mpz_import(z, len, -1, 1, 0, 0, in);
}

static void put(const mpz_t z, uint8_t out[P384_LEN])
{
    memset(out, 0, P384_LEN);
    mpz_export(out, NULL, -1, 1, 0, 0, z);
}

void p384_make(const uint8_t random[P384_RANDOM_LEN], P384Pair *out)
{
    struct ecc_scalar k;
    struct ecc_point q;
    mpz_t n, x, y;

    mpz_inits(n, x, y, NULL);
    get(x, random, P384_RANDOM_LEN);
    mpz_set_str(n, ORDER_LESS_1, 16);
    mpz_mod(x, x, n);
    mpz_add_ui(x, x, 1);
    put(x, out->k);
    ecc_scalar_init(&k, nettle_get_secp_384r1());
    ecc_point_init(&q, nettle_get_secp_384r1());
    ecc_scalar_set(&k, x);
    ecc_point_mul_g(&q, &k);
    ecc_point_get(&q, x, y);
    put(x, out->pub.x);
    put(y, out->pub.y);
    ecc_point_clear(&q);
    ecc_scalar_clear(&k);
    mpz_clears(n, x, y, NULL);
}

bool p384_valid(const P384Point *point)
{
    struct ecc_point q;
    mpz_t x, y;
    bool ok;

    mpz_inits(x, y, NULL);
    ecc_point_init(&q, nettle_get_secp_384r1());
    get(x, point->x, P384_LEN);
    get(y, point->y, P384_LEN);
    ok = ecc_point_set(&q, x, y);
    ecc_point_clear(&q);
    mpz_clears(x, y, NULL);
    return ok;
}

bool p384_shared(const P384Pair *own, const P384Point *other,
                 uint8_t out[P384_LEN])
{
    struct ecc_scalar k;
    struct ecc_point q;
    uint8_t le[P384_LEN];
    mpz_t x, y;
    bool ok;

    mpz_inits(x, y, NULL);
    ecc_scalar_init(&k, nettle_get_secp_384r1());
    ecc_point_init(&q, nettle_get_secp_384r1());
    get(x, own->k, P384_LEN);
    ok = ecc_scalar_set(&k, x);
    get(x, other->x, P384_LEN);
    get(y, other->y, P384_LEN);
    ok = ok && ecc_point_set(&q, x, y);
    if (ok) {
        ecc_point_mul(&q, &k, &q);
        ecc_point_get(&q, x, y);
        put(x, le);
        for (size_t i = 0; i < P384_LEN; i++) {
            out[i] = le[P384_LEN - 1 - i];
        }
        explicit_bzero(le, sizeof(le));
    }
    ecc_point_clear(&q);
    ecc_scalar_clear(&k);
    mpz_clears(x, y, NULL);
    return ok;
}
