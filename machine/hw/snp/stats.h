/*
 * The SNP platform: what is counted
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SNP_STATS_H
#define HW_SNP_STATS_H

#include "hw/snp/platform.h"

/* Counts by a code of which few values occur */
#define SNP_TALLY_KEYS 128

typedef struct SnpTally {
    uint32_t n;
    uint64_t lost;          /* codes that found no place */
    uint64_t key[SNP_TALLY_KEYS], count[SNP_TALLY_KEYS];
} SnpTally;

/* Known codes of exits, the last is VMGEXIT's */
#define SNP_EXIT_CODES 0x404

typedef struct SnpCounters {
    uint64_t events[SNP_STAT_MAX];
    uint64_t rmpupdate_codes[8];
    uint64_t injected[SNP_INJECT_NSITES];
    SnpTally vmexit_codes, vmexit_asids, vmgexit_events, vmgexit_msrs;
    SnpTally vc_codes, fw_results, instructions, visits, features,
             writebacks;
    /*
     * #VMEXITs are many, and of all CPUs at once: known codes and ASIDs have a
     * counter each. The tallies are for what else a host or QEMU makes up.
     */
    uint64_t exit_codes[SNP_EXIT_CODES];
    uint64_t exit_asids[RMP_ASID_LIMIT + 1];
} SnpCounters;

/* To be saved and loaded, while no CPU runs */
SnpCounters *snp_counters(void);

#endif
