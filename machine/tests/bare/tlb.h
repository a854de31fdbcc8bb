/*
 * What a world switch leaves of cached translations: what its files share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BARE_TLB_H
#define BARE_TLB_H

#include "modes.h"
#include "vm.h"

#define VMCB_ASID     0x058
#define VMCB_TLB      0x05c
#define VMCB_SEV      0x090             /* nested paging, SEV and SEV-ES */
#define VMCB_NCR3     0x0b0
#define VMCB_LBR      0x0b8
#define VMCB_VMSA     0x108
#define SAVE_VMPL     0x0ca
#define SAVE_CPL      0x0cb
#define SAVE_EFER     0x0d0
#define SAVE_CR4      0x148
#define SAVE_CR3      0x150
#define SAVE_CR0      0x158

enum { FLUSH_NONE, FLUSH_ALL, FLUSH_ASID = 3, FLUSH_ASID_LOCAL = 7 };
enum { OLD = 0x6f6c64, NEW = 0x6e6577 };

extern char i_pause[], i_verr[];

/* They hold OLD and NEW. */
extern uint64_t old_page[512], new_page[512];

static inline uint64_t pa(const void *p)
{
    return (uint64_t)p;
}

/*
 * A VMSA of the first SNP guest, beside its own; @n: several by turns on one
 * CPU. Filled here, then changed at will and launched, before the guest runs:
 * RMPUPDATE may flush.
 */
uint64_t tlb_vmsa(unsigned n, const char *op, uint64_t rax);
void tlb_launch(uint64_t vmsa);
/* The guest of the last run again, by this VMSA, and nothing flushed */
void tlb_turn(uint64_t vmsa, Exit *x);

/* tlb_vmpl.c */
void suite_tlb_vmpls(void);
void suite_tlb_fetches(void);

/* tlb_host.c */
void suite_tlb_host_stays(void);
void suite_tlb_host_pkru(void);
void suite_tlb_host_modes(void);
void suite_tlb_host_jumps(void);

#endif
