/*
 * A guest with an ID block that is its own
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_ID_BENCH_H
#define TESTS_ID_BENCH_H

#include "attest-bench.h"

#define BLOCK      0x012000ull
#define AUTH       0x013000ull

static inline void put_number(uint64_t at, const uint8_t n[48])
{
    memset(mem + at, 0, 72);
    memcpy(mem + at, n, 48);
}

static inline void put_key(uint64_t at, const P384Key *key)
{
    P384Point p;

    p384_public(key, &p);
    put_le(mem + at, 4, 2);
    put_number(at + 4, p.x);
    put_number(at + 4 + 72, p.y);
}

static inline void put_sig(uint64_t at, const P384Key *key, uint64_t text,
                    unsigned len)
{
    P384Sig sig;

    p384_sign(key, mem + text, len, &sig);
    put_number(at, sig.r);
    put_number(at + 72, sig.s);
}

static inline void sign_block(void)
{
    put_sig(AUTH + 0x40, key_a, BLOCK, 96);
    put_sig(AUTH + 0x680, key_b, AUTH + 0x240, 0x404);
}

/* A guest before LAUNCH_FINISH, a block that is its, signed by a, a by b */
static inline void blocked(void)
{
    guest(G_LAUNCH_ACTIVE);
    arg_update(1, TARGET, false);
    expect(SNP_LAUNCH_UPDATE, FW_SUCCESS, "a page");
    memset(mem + BLOCK, 0, 8192);
    memcpy(mem + BLOCK, fw.guests[0].ld, 48);
    memset(mem + BLOCK + 0x30, 0xf1, 16);
    memset(mem + BLOCK + 0x40, 0xf2, 16);
    put_le(mem + BLOCK + 0x50, 4, 1);
    put_le(mem + BLOCK + 0x54, 4, 7);
    put_le(mem + BLOCK + 0x58, 8, 0x30000);
    put_le(mem + AUTH, 4, 1);
    put_le(mem + AUTH + 4, 4, 1);
    put_key(AUTH + 0x240, key_a);
    put_key(AUTH + 0x880, key_b);
    sign_block();
}

#endif
