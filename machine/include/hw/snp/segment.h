/*
 * Segmented reverse map table: where its parts lie
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a BIOS decides. RMP_BASE points at the bookkeeping; the segment table
 * (RST) follows, an 8-byte entry a segment: bits 19:0 GiB that it covers, 0 if
 * there is none; bits 51:20 where its entries lie. Segment i is of the pages
 * from i << shift on, and has 16 bytes for each of those that it covers.
 *
 * AMD64 Architecture Programmer's Manual volume 2, 15.36.4.
 */
#ifndef HW_SNP_SEGMENT_H
#define HW_SNP_SEGMENT_H

#include "hw/snp/rmp.h"

#define RMP_SHIFT_MIN     30u
#define RMP_SHIFT_MAX     39u

typedef struct RmpPlan {
    uint64_t size;              /* bytes of all parts, multiple of 2M */
    uint64_t npages;            /* 4K pages to the end of coverage */
    unsigned shift;
    struct {
        uint64_t offset;        /* of its entries, in bytes from the base */
        uint64_t gib;           /* that it covers; 0: none */
    } s[RMP_SEGMENTS];
} RmpPlan;

/*
 * A plan for memory in [0, @low) and [@high, @top), bytes, @low <= @high <=
 * @top: each segment with memory in it has entries up to its end, or the
 * GiB of @top. False, with *plan unchanged, if @shift is not in
 * RMP_SHIFT_MIN..MAX or there would be too many segments.
 */
bool rmp_plan(RmpPlan *plan, unsigned shift, uint64_t low, uint64_t high,
              uint64_t top);

/*
 * Fills in @r's segments for a plan at @base, of which @host is the host
 * pointer, and the RST in memory.
 */
void rmp_plan_apply(const RmpPlan *plan, Rmp *r, uint64_t base, uint8_t *host);

/* The RST as the BIOS leaves it, for a plan that was applied */
void rmp_plan_write_rst(const Rmp *r);

#endif
