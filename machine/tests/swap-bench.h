/*
 * A running guest with pages to move and to swap
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_SWAP_BENCH_H
#define TESTS_SWAP_BENCH_H

#include "fw-bench.h"

#define PAGE2      0x014000ull
#define MDATA      0x015000ull
#define MDATA2     0x016000ull
#define REPLICA    0x018000ull      /* two pages of the host */
#define PAGE3      0x01a000ull

#define SWAP_META  (1u << 1)
#define SWAP_VMSA  (2u << 1)
#define SWAP_ROOT  (1u << 3)

/* ASID 3, active; TARGET is Pre-guest at 100000h, MDATA its metadata */
static inline void swappable(void)
{
    guest(G_RUNNING_ACTIVE);
    set_page(MDATA, RMP_METADATA, 0, GCTX);
}

/* What ASID 3 has there; where it cannot look yet, what it would see */
static inline void look(uint64_t spa, unsigned pages, uint8_t *to)
{
    for (; pages--; spa += 0x1000, to += 0x1000) {
        memcpy(to, mem + spa, 0x1000);
        if (state_of(spa) == RMP_PRE_GUEST) {
            snp_view_decrypt(&view, 3, spa, to, 0x1000);
        }
    }
}

static inline void arg_swap_out(uint64_t page, uint64_t to, uint64_t md,
                                unsigned flags)
{
    put(0, 8, GCTX);
    put(8, 8, page);
    put(16, 8, to);
    put(24, 8, md);
    put(32, 8, 0x1122334455667788ull);
    put(40, 4, flags);
}

static inline void arg_swap_in(uint64_t from, uint64_t page, uint64_t md,
                               unsigned flags)
{
    put(0, 8, GCTX);
    put(8, 8, from);
    put(16, 8, page);
    put(24, 8, md);
    put(32, 4, flags);
}

static inline void arg_move(uint64_t from, uint64_t to, bool size_2m)
{
    put(0, 8, GCTX);
    put(8, 4, size_2m);
    put(16, 8, from);
    put(24, 8, to);
}

/* 512 entries of ASID 3 from 40000000h on, or one */
static inline void smashed(uint64_t spa, RmpState s)
{
    for (uint64_t at = 0; at < 0x200000; at += 0x1000) {
        set_page(spa + at, s, 3, 0x40000000 + at);
    }
}

static inline void large(uint64_t spa, RmpState s)
{
    RmpEntry e = {
        .assigned = true, .size_2m = true, .immutable = true,
        .validated = s == RMP_PRE_SWAP, .asid = 3, .gpa = 0x40000000,
        .perms = { RMP_PERM_ALL },
    };

    rmp_fw_set(&rmp, spa, &e);
}

#endif
