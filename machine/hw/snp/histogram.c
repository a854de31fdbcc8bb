/*
 * Reverse map table: pages by owner and state
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include "hw/snp/observe.h"

void rmp_histogram(const Rmp *r, RmpHistogram by)
{
    memset(by, 0, sizeof(RmpHistogram));
    for (uint64_t pfn = 0; pfn < r->npages; pfn++) {
        RmpEntry e;

        rmp_get(r, pfn * RMP_PAGE_SIZE, &e);
        by[e.assigned ? e.asid : 0][rmp_state(&e)]++;
    }
}
