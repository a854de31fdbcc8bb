/*
 * The host's own translations, and what changes them while it runs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For hosts of any kind: nothing here wants a secure processor.
 */
#ifndef BARE_MODES_H
#define BARE_MODES_H

#include "bare.h"

#define MSR_EFER      0xc0000080
#define EFER_NXE      (1ul << 11)
#define PTE_NX        (1ul << 63)
#define CR4_PKE       (1ul << 22)
#define CR4_PKS       (1ul << 24)
#define KEY_1         (1ul << 59)       /* of a page table entry */
#define NOT_KEY_1     4                 /* of PKRU and PKRS: no access by it */
#define PK_ERROR      (1ul << 5)
#define SPARE         0x0a000000ul      /* memory that nobody else uses */

/* The entry that maps 4K at an address */
uint64_t *host_leaf(uint64_t addr);
void invlpg(uint64_t addr);
uint64_t read_cr4(void);
void write_cr4(uint64_t v);
void wrpkru(uint32_t v);

/*
 * Cells of the test under way: a page that has a 4K leaf, while CR4 and EFER
 * begin to ask for what its entry says; code at SPARE and 2M further on.
 */
void modes_keys(uint64_t page);
void modes_jumps(void);

#endif
