/*
 * What is cached of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 5.5 (TLB), 15.15 (TLB control).
 */
#include "tlb.h"

#define MSR_HSAVE     0xc0010117
#define HSAVE_PKRU    (0x400 + 0x2e8)

static uint64_t free_page(void)
{
    uint64_t page;

    if (state_make(HYPERVISOR, false, 1, &page)) {
        bail("there is no free page");
    }
    return page;
}

void suite_tlb_host_stays(void)
{
    uint64_t page = free_page(), *leaf = host_leaf(page), old = *leaf;
    Exit x;

    ktap_begin();
    /* from here on little else is read: it would take the entry's place */
    vm_run(PLAIN, i_pause, 0, 0, 0, &x);
    *(volatile uint64_t *)page = OLD;
    *leaf = pa(new_page) | PTE_RW;
    vmcb[VMCB_TLB] = FLUSH_NONE;
    vm_again(&x);
    if (cell(*(volatile uint64_t *)page == OLD)) {
        print("# a world switch flushed the host's translations\n");
    }
    invlpg(page);
    if (cell(*(volatile uint64_t *)page == NEW)) {
        print("# INVLPG did not\n");
    }
    *leaf = old;
    vmcb[VMCB_TLB] = FLUSH_ASID;
    vm_again(&x);
    if (cell(*(volatile uint64_t *)page == NEW)) {
        print("# the flush of an ASID flushed the host's translations\n");
    }
    vmcb[VMCB_TLB] = FLUSH_ALL;
    vm_again(&x);
    if (cell(*(volatile uint64_t *)page == OLD)) {
        print("# TLB_CONTROL 1 left the host's translations\n");
    }
    ktap_end("the host's translations across VMRUN and #VMEXIT");
}

/* #VMEXIT of an SNP guest loads the host's PKRU from the host save area. */
void suite_tlb_host_pkru(void)
{
    uint8_t *hsave = (uint8_t *)rdmsr(MSR_HSAVE);
    uint64_t page = free_page(), *leaf = host_leaf(page), old = *leaf;
    uint64_t cr4 = read_cr4();
    Probe p;
    Exit x;

    ktap_begin();
    write_cr4(cr4 | CR4_PKE);
    *leaf = old | PTE_U | KEY_1;
    invlpg(page);
    vm_run(OWNER, i_pause, 0, 0, 0, &x);
    vmcb[VMCB_TLB] = FLUSH_NONE;
    cell(probe(op_read, page, 0).vector == NO_VEC);
    hsave[HSAVE_PKRU] = NOT_KEY_1;
    vm_again(&x);
    p = probe(op_read, page, 0);
    if (cell(p.vector == VEC_PF && p.error & PK_ERROR)) {
        print("# what PKRU forbids now is read: vector %d error %lx\n",
              p.vector, p.error);
    }
    hsave[HSAVE_PKRU] = 0;
    vm_again(&x);
    cell(probe(op_read, page, 0).vector == NO_VEC);
    wrpkru(0);
    *leaf = old;
    write_cr4(cr4);
    invlpg(page);
    window_check();
    ktap_end("the host's translations and another PKRU at #VMEXIT");
}

void suite_tlb_host_modes(void)
{
    ktap_begin();
    modes_keys(free_page());
    ktap_end("the host's translations over changes of CR4 and EFER");
}

void suite_tlb_host_jumps(void)
{
    ktap_begin();
    modes_jumps();
    ktap_end("code of the host's over INVLPG of its page of 2M");
}
