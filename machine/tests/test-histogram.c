/*
 * Unit test of the histogram of the reverse map table
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Pages are given states one by one; the count of every owner and state is
 * then what was given away, and everything else stays the hypervisor's.
 */
#include <string.h>
#include "hw/snp/observe.h"
#include "ktap.h"

#define NPAGES (2 * 512 + 100)

static uint64_t table[NPAGES * 2];
static Rmp rmp;
static RmpHistogram got, want;

static void reset(void)
{
    memset(table, 0, sizeof(table));
    memset(want, 0, sizeof(want));
    /* what is left over of an earlier count must not stay */
    memset(got, 0x5a, sizeof(got));
    rmp = (Rmp) {
        .entries = (uint8_t *)table, .npages = NPAGES, .max_asid = 509,
        .nvmpls = RMP_VMPLS,
    };
    want[0][RMP_HYPERVISOR] = NPAGES;
}

static void give(uint64_t pfn, unsigned n, RmpState state, const RmpEntry *e)
{
    rmp_fw_set(&rmp, pfn * RMP_PAGE_SIZE, e);
    want[e->assigned ? e->asid : 0][state] += n;
    want[0][RMP_HYPERVISOR] -= n;
}

static void compare(void)
{
    rmp_histogram(&rmp, got);
    for (unsigned asid = 0; asid <= RMP_ASID_LIMIT; asid++) {
        for (int s = 0; s < RMP_NSTATES; s++) {
            CHECK(got[asid][s] == want[asid][s], "asid %u %s: %lu, not %lu",
                  asid, rmp_state_name(s), (unsigned long)got[asid][s],
                  (unsigned long)want[asid][s]);
        }
    }
}

static const struct {
    RmpState state;
    RmpEntry e;
} all[] = {
    { RMP_HV_FIXED, { .immutable = true } },
    { RMP_RECLAIM, { .assigned = true } },
    { RMP_FIRMWARE, { .assigned = true, .immutable = true } },
    { RMP_CONTEXT, { .assigned = true, .immutable = true, .vmsa = true } },
    { RMP_METADATA, { .assigned = true, .immutable = true, .gpa = 0x1000 } },
    { RMP_PRE_GUEST, { .assigned = true, .immutable = true, .asid = 3 } },
    { RMP_PRE_SWAP, { .assigned = true, .immutable = true, .validated = true,
                      .asid = 3 } },
    { RMP_GUEST_INVALID, { .assigned = true, .asid = 3 } },
    { RMP_GUEST_VALID, { .assigned = true, .validated = true, .asid = 3 } },
};

static void empty(void)
{
    reset();
    compare();
}

static void each_state(void)
{
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        reset();
        give(7, 1, all[i].state, &all[i].e);
        compare();
        /* the last page, of a region that is covered in part */
        give(NPAGES - 1, 1, all[i].state, &all[i].e);
        compare();
    }
}

static void owners(void)
{
    RmpEntry e = { .assigned = true, .validated = true };

    reset();
    for (unsigned asid = 1; asid <= RMP_ASID_LIMIT; asid += 511) {
        e.asid = asid;
        give(asid, 1, RMP_GUEST_VALID, &e);
    }
    compare();
}

static void large(void)
{
    RmpEntry e = { .assigned = true, .size_2m = true, .asid = 9 };

    reset();
    give(512, 512, RMP_GUEST_INVALID, &e);
    compare();
}

int main(void)
{
    static const KtapCase cases[] = {
        { "histogram.empty", empty },
        { "histogram.each-state", each_state },
        { "histogram.owners", owners },
        { "histogram.2m", large },
    };

    return ktap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
