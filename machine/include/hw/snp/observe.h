/*
 * Reverse map table: looking at it whole
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Includes nothing of QEMU, as rmp.h, for the unit tests.
 */
#ifndef HW_SNP_OBSERVE_H
#define HW_SNP_OBSERVE_H

#include "hw/snp/rmp.h"

/* 4K pages by owner and state. Row 0: pages that have no guest as owner. */
typedef uint64_t RmpHistogram[RMP_ASID_LIMIT + 1][RMP_NSTATES];

/*
 * Counts all pages of the table into @by, which need not be zeroed. A 2M entry
 * counts as 512 pages. Takes no lock: while CPUs change the table the count is
 * of no single moment, but each page is counted once.
 */
void rmp_histogram(const Rmp *r, RmpHistogram by);

#endif
