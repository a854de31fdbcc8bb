/*
 * What is cached of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 5.5 (TLB), 15.15 (TLB control).
 */
#include "tlb.h"

#define MSR_HSAVE     0xc0010117
#define MSR_PKRS      0x6e1
#define HSAVE_PKRU    (0x400 + 0x2e8)
#define CR4_PKE       (1ul << 22)
#define CR4_PKS       (1ul << 24)
#define KEY_1         (1ul << 59)       /* of a page table entry */
#define NOT_KEY_1     4                 /* of PKRU and PKRS: no access by it */
#define RSVD_ERROR    (1ul << 3)
#define PK_ERROR      (1ul << 5)
#define SPARE         0x0a000000ul      /* memory that nobody else uses */

/* The entry that maps 2^@size bytes at an address */
static uint64_t *host_entry(uint64_t addr, unsigned size)
{
    uint64_t cr3, *table;

    asm volatile("mov %%cr3, %0" : "=r"(cr3));
    table = (uint64_t *)(cr3 & ~(PAGE - 1));
    for (unsigned shift = 39; shift > size; shift -= 9) {
        table = (uint64_t *)(table[addr >> shift & 511] & 0xffffffffff000);
    }
    return &table[addr >> size & 511];
}

static uint64_t *host_leaf(uint64_t addr)
{
    return host_entry(addr, 12);
}

static void invlpg(uint64_t addr)
{
    asm volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

static uint64_t read_cr4(void)
{
    uint64_t v;

    asm volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}

static void write_cr4(uint64_t v)
{
    asm volatile("mov %0, %%cr4" : : "r"(v) : "memory");
}

static void wrpkru(uint32_t v)
{
    asm volatile(".byte 0x0f, 0x01, 0xef" : : "a"(v), "c"(0), "d"(0)
                 : "memory");
}

static void wrpkrs(uint32_t v)
{
    wrmsr(MSR_PKRS, v);
}

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

/* ---- what changes while the host runs ---- */

static const struct {
    const char *name;
    unsigned cpuid;         /* bit of Fn0000_0007 ECX */
    uint64_t cr4, pte;
    void (*forbid)(uint32_t v);
} keys[] = {
    { "CR4.PKE", 3, CR4_PKE, PTE_U, wrpkru },
    { "CR4.PKS", 31, CR4_PKS, 0, wrpkrs },
};

/* Cached while keys say nothing; then they do. */
static void one_key(unsigned i, uint64_t page)
{
    uint64_t *leaf = host_leaf(page), old = *leaf, cr4 = read_cr4();
    uint32_t r[4];
    Probe p;

    cpuid(7, 0, r);
    if (!(r[2] >> keys[i].cpuid & 1)) {
        bail("this processor lacks protection keys");
    }
    *leaf = old | keys[i].pte | KEY_1;
    invlpg(page);
    write_cr4(cr4 | keys[i].cr4);
    keys[i].forbid(NOT_KEY_1);
    write_cr4(cr4);
    cell(probe(op_read, page, 0).vector == NO_VEC);
    write_cr4(cr4 | keys[i].cr4);
    p = probe(op_read, page, 0);
    if (cell(p.vector == VEC_PF && p.error & PK_ERROR)) {
        print("# read once %s is set: vector %d error %lx\n", keys[i].name,
              p.vector, p.error);
    }
    keys[i].forbid(0);
    write_cr4(cr4);
    *leaf = old;
    invlpg(page);
}

void suite_tlb_host_modes(void)
{
    uint64_t page = free_page(), *leaf = host_leaf(page), old = *leaf;
    uint64_t efer = rdmsr(MSR_EFER);
    Probe p;

    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        one_key(i, page);
    }
    /* cached while bit 63 is NX; then it is reserved */
    *leaf = old | PTE_NX;
    invlpg(page);
    cell(probe(op_read, page, 0).vector == NO_VEC);
    wrmsr(MSR_EFER, efer & ~EFER_NXE);
    p = probe(op_read, page, 0);
    wrmsr(MSR_EFER, efer);
    if (cell(p.vector == VEC_PF && p.error & RSVD_ERROR)) {
        print("# a reserved bit, read before: vector %d error %lx\n", p.vector,
              p.error);
    }
    *leaf = old;
    invlpg(page);
    ktap_end("the host's translations over changes of CR4 and EFER");
}

/*
 * Code in a page of 2M that is mapped elsewhere, and all of it invalidated by
 * the address of another 4K there
 */
void suite_tlb_host_jumps(void)
{
    /* mov $OLD, %eax; ret */
    static const uint8_t code[] = { 0xb8, 0, 0, 0, 0, 0xc3 };
    static const uint32_t says[] = { OLD, NEW };
    uint64_t va = at_leaf(SPARE, LEAF_2M), *leaf = host_entry(va, 21);
    uint64_t old = *leaf;
    Probe p;

    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(says); i++) {
        uint8_t *to = (uint8_t *)(SPARE + i * SIZE_2M + 5 * PAGE);

        copy(to, code, sizeof(code));
        copy(to + 1, &says[i], sizeof(says[i]));
    }
    p = probe(op_fetch, va + 5 * PAGE, 0);
    cell(p.vector == NO_VEC && p.ret == OLD);
    *leaf = old + SIZE_2M;
    invlpg(va + 300 * PAGE);
    p = probe(op_fetch, va + 5 * PAGE, 0);
    if (cell(p.vector == NO_VEC && p.ret == NEW)) {
        print("# what was there before runs: vector %d, says %lx\n", p.vector,
              p.ret);
    }
    *leaf = old;
    invlpg(va);
    ktap_end("code of the host's over INVLPG of its page of 2M");
}
