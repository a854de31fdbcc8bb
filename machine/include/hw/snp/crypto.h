/*
 * Cryptography of the secure processor, by a library
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AES-256-GCM for guest messages, ECDSA P-384 with SHA-384 for reports and ID
 * blocks, a key derivation function. Numbers are little-endian, 48 bytes, as
 * the firmware ABI has them; crypto.c turns them round for the library.
 */
#ifndef HW_SNP_CRYPTO_H
#define HW_SNP_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GCM_KEY_LEN   32
#define GCM_IV_LEN    12
#define GCM_TAG_LEN   16
#define GCM_MAX_LEN   4096      /* of one text */
#define P384_LEN      48
#define KDF_LEN       32

/* @len up to GCM_MAX_LEN; @out has as many bytes. False: the library failed. */
bool gcm_seal(const uint8_t key[GCM_KEY_LEN], const uint8_t iv[GCM_IV_LEN],
              const void *aad, size_t aad_len, const void *in, size_t len,
              uint8_t *out, uint8_t tag[GCM_TAG_LEN]);
/* False, with @out untouched: not what was sealed with this key, IV and AAD. */
bool gcm_open(const uint8_t key[GCM_KEY_LEN], const uint8_t iv[GCM_IV_LEN],
              const void *aad, size_t aad_len, const void *in, size_t len,
              uint8_t *out, const uint8_t tag[GCM_TAG_LEN]);

typedef struct P384Sig {
    uint8_t r[P384_LEN], s[P384_LEN];
} P384Sig;

typedef struct P384Point {
    uint8_t x[P384_LEN], y[P384_LEN];
} P384Point;

typedef struct P384Key P384Key;

/* A private key from PEM. NULL: no PEM, no key, or not one of P-384. */
P384Key *p384_load(const void *pem, size_t len);
void p384_free(P384Key *key);
bool p384_public(const P384Key *key, P384Point *out);
/* The same signature each time (RFC 6979). False: the library failed. */
bool p384_sign(const P384Key *key, const void *msg, size_t len, P384Sig *out);
/* False also for a point that is not on the curve */
bool p384_verify(const P384Point *key, const void *msg, size_t len,
                 const P384Sig *sig);

/* A key of one's own, as numbers */
typedef struct P384Pair {
    uint8_t k[P384_LEN];
    P384Point pub;
} P384Pair;

#define P384_RANDOM_LEN 56      /* so many that no key is likelier by much */

/* Is it on the curve? */
bool p384_valid(const P384Point *point);
void p384_make(const uint8_t random[P384_RANDOM_LEN], P384Pair *out);
/*
 * What both know: x of the product, big-endian as key derivation wants it.
 * False, with @out untouched: the point is not on the curve.
 */
bool p384_shared(const P384Pair *own, const P384Point *other,
                 uint8_t out[P384_LEN]);
/* As the two above, with SHA-256 */
bool p384_sign_256(const P384Pair *key, const void *msg, size_t len,
                   P384Sig *out);
bool p384_verify_256(const P384Point *key, const void *msg, size_t len,
                     const P384Sig *sig);

/* SP 800-108 in counter mode with HMAC-SHA-256: one block of key. */
void kdf(const uint8_t root[KDF_LEN], const char *label, const void *context,
         size_t len, uint8_t out[KDF_LEN]);

#endif
