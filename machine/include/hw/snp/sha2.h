/*
 * SHA-256 (streamed), SHA-384 and HMAC-SHA-256
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * FIPS 180-4 and FIPS 198-1. The state of a digest in progress is plain data,
 * so that it can be part of a snapshot.
 */
#ifndef HW_SNP_SHA2_H
#define HW_SNP_SHA2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32
#define SHA384_LEN 48

typedef struct Sha256 {
    uint64_t state[16];     /* the library's */
} Sha256;

void sha256_init(Sha256 *s);
void sha256_add(Sha256 *s, const void *data, size_t len);
/* Leaves @s as it was: more may follow. */
void sha256_final(const Sha256 *s, uint8_t out[SHA256_LEN]);

/* Can it be what sha256_add() left? To be asked of what came from outside. */
bool sha256_sane(const Sha256 *s);

void sha384(const void *data, size_t len, uint8_t out[SHA384_LEN]);

void hmac_sha256(const void *key, size_t key_len, const void *data,
                 size_t len, uint8_t out[SHA256_LEN]);

#endif
