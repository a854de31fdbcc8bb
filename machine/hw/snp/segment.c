/*
 * Segmented reverse map table: where its parts lie
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Includes nothing of QEMU, as rmp.c.
 */
#include <string.h>
#include "hw/snp/segment.h"

#define GIB               (1ull << 30)
#define GIB_ENTRIES       (GIB / RMP_PAGE_SIZE * RMP_ENTRY_SIZE)
#define RST_BASE_MASK     0x000ffffffff00000ull

_Static_assert(RMP_SEGMENTS * 8 <= RMP_RST_SIZE, "the RST is a page");
_Static_assert(RMP_BOOKKEEPING + RMP_RST_SIZE <= RMP_2M_SIZE,
               "what precedes the segments is less than their alignment");

static bool overlaps(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
    return a < b_end && b < a_end;
}

bool rmp_plan(RmpPlan *plan, unsigned shift, uint64_t low, uint64_t high,
              uint64_t top)
{
    uint64_t end = (top + GIB - 1) & ~(GIB - 1);
    RmpPlan p = { .size = RMP_2M_SIZE, .shift = shift };

    /* [RMP-SEGMENT-SHIFT] */
    if (shift < RMP_SHIFT_MIN || shift > RMP_SHIFT_MAX || !top ||
        (end - 1) >> shift >= RMP_SEGMENTS) {
        return false;
    }
    p.npages = end / RMP_PAGE_SIZE;
    /* the last lies first: no order is promised to anybody */
    for (int i = (end - 1) >> shift; i >= 0; i--) {
        uint64_t from = (uint64_t)i << shift;
        uint64_t to = from + (1ull << shift);

        to = to < end ? to : end;
        if (overlaps(from, to, 0, low) || overlaps(from, to, high, top)) {
            p.s[i].offset = p.size;
            p.s[i].gib = (to - from) / GIB;
            p.size += p.s[i].gib * GIB_ENTRIES;
        }
    }
    *plan = p;
    return true;
}

void rmp_plan_apply(const RmpPlan *plan, Rmp *r, uint64_t base, uint8_t *host)
{
    r->entries = host + RMP_BOOKKEEPING;
    r->npages = plan->npages;
    r->base = base;
    r->end = base + plan->size - 1;
    r->segment_shift = plan->shift;
    memset(r->segment, 0, sizeof(r->segment));
    for (unsigned i = 0; i < RMP_SEGMENTS; i++) {
        if (plan->s[i].gib) {
            r->segment[i].entries = host + plan->s[i].offset;
            r->segment[i].npages = plan->s[i].gib * (GIB / RMP_PAGE_SIZE);
            r->segment[i].spa = base + plan->s[i].offset;
        }
    }
    rmp_plan_write_rst(r);
}

void rmp_plan_write_rst(const Rmp *r)
{
    memset(r->entries, 0, RMP_RST_SIZE);
    for (unsigned i = 0; i < RMP_SEGMENTS; i++) {
        const RmpSegment *s = &r->segment[i];
        uint64_t v = s->npages / (GIB / RMP_PAGE_SIZE) |
                     (s->spa & RST_BASE_MASK);

        for (unsigned b = 0; s->npages && b < 8; b++) {
            r->entries[i * 8 + b] = v >> (8 * b);
        }
    }
}
