/*
 * A platform's owner, and its certificates
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Offsets are written out as the specification has them, not the firmware's
 * own structures.
 */
#ifndef TESTS_OWNER_BENCH_H
#define TESTS_OWNER_BENCH_H

#include "attest-bench.h"

#define CSR        0x018000ull
#define OCA        0x019000ull
#define PDH        0x01a000ull
#define CHAIN      0x01b000ull      /* two pages: PEK, OCA, CEK */
#define CERT       2084u

/* With SNP on, what the driver does */
static inline void cert_pages(void)
{
    set_page(CSR, RMP_FIRMWARE, 0, 0);
    set_page(PDH, RMP_FIRMWARE, 0, 0);
    set_page(CHAIN, RMP_FIRMWARE, 0, 0);
    set_page(CHAIN + 0x1000, RMP_FIRMWARE, 0, 0);
}

static inline void arg_csr(void)
{
    put(0, 8, CSR);
    put(8, 4, CERT);
}

static inline void arg_export(void)
{
    put(0, 8, PDH);
    put(8, 4, CERT);
    put(16, 8, CHAIN);
    put(24, 4, 3 * CERT);
}

static inline void arg_import(void)
{
    put(0, 8, CSR);
    put(8, 4, CERT);
    put(16, 8, OCA);
    put(24, 4, CERT);
}

static inline void ask_csr(void)
{
    arg_csr();
    expect(SEV_PEK_CSR, FW_SUCCESS, "CSR");
}

static inline P384Pair owner_pair(unsigned which)
{
    uint8_t seed[P384_RANDOM_LEN];
    P384Pair p;

    memset(seed, 0x40 + which, sizeof(seed));
    p384_make(seed, &p);
    return p;
}

/* One signature, in place @slot, by the owner's key; @algo 2 or 102h */
static inline void owner_sig(uint8_t *cert, unsigned slot, uint32_t algo)
{
    P384Pair key = owner_pair(0);
    uint8_t *p = cert + 0x414 + 0x208 * slot;
    P384Sig sig;

    p384_sign_256(&key, cert, 0x414, &sig);
    put_le(p, 4, 0x1001);
    put_le(p + 4, 4, algo);
    memset(p + 8, 0, 512);
    memcpy(p + 8, sig.r, 48);
    memcpy(p + 8 + 72, sig.s, 48);
}

/* An owner's certificate at OCA, and the PEK at CSR signed by it */
static inline void owner_signs(uint32_t algo)
{
    P384Pair key = owner_pair(0);
    uint8_t *c = mem + OCA;

    memset(c, 0, CERT);
    put_le(c, 4, 1);
    c[4] = 0;
    c[5] = 24;
    put_le(c + 8, 4, 0x1001);
    put_le(c + 12, 4, algo);
    put_le(c + 16, 4, 2);
    memcpy(c + 20, key.pub.x, 48);
    memcpy(c + 20 + 72, key.pub.y, 48);
    put_le(c + 0x61c, 4, 0x1000);
    owner_sig(c, 0, algo);
    owner_sig(mem + CSR, 1, algo);
}

#endif
