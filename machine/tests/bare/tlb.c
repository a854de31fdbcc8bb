/*
 * What a world switch leaves of cached translations
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 15.15 (TLB control), 15.16 (ASIDs). What has to be gone is a
 * rule; what may stay is not one, but the machine's speed hangs on it: that it
 * stays is tried, too, and shows that the others can fail.
 */
#include "vm.h"

#define MSR_HSAVE     0xc0010117
#define VMCB_ASID     0x058
#define VMCB_TLB      0x05c
#define VMCB_NCR3     0x0b0
#define SAVE_VMPL     0x0ca
#define SAVE_EFER     0x0d0
#define SAVE_CR4      0x148
#define SAVE_CR3      0x150
#define SAVE_CR0      0x158
#define HSAVE_PKRU    (0x400 + 0x2e8)
#define CR4_PKE       (1ul << 22)
#define PK_ERROR      (1ul << 5)

enum { FLUSH_NONE, FLUSH_ALL, FLUSH_ASID = 3, FLUSH_ASID_LOCAL = 7 };
enum { OLD = 0x6f6c64, NEW = 0x6e6577 };

extern char i_pause[];

static uint64_t old_page[512] __attribute__((aligned(4096)));
static uint64_t new_page[512] __attribute__((aligned(4096)));
static uint8_t ncr3[4096] __attribute__((aligned(4096)));

static uint64_t pa(const void *p)
{
    return (uint64_t)p;
}

static uint64_t get64(const uint8_t *p, unsigned at)
{
    uint64_t v;

    copy(&v, p + at, sizeof(v));
    return v;
}

static void put64(uint8_t *p, unsigned at, uint64_t v)
{
    copy(p + at, &v, sizeof(v));
}

/* ---- a guest's ---- */

static void same(uint8_t *v, uint8_t *save)
{
    (void)v;
    (void)save;
}

static void other_asid(uint8_t *v, uint8_t *save)
{
    (void)save;
    v[VMCB_ASID]++;
}

static void other_ncr3(uint8_t *v, uint8_t *save)
{
    (void)save;
    copy(ncr3, (const void *)get64(v, VMCB_NCR3), sizeof(ncr3));
    put64(v, VMCB_NCR3, pa(ncr3));
}

static void other_cr3(uint8_t *v, uint8_t *save)
{
    (void)v;
    save[SAVE_CR3] |= 8;                    /* PWT: the same tables */
}

static void other_cr0(uint8_t *v, uint8_t *save)
{
    (void)v;
    save[SAVE_CR0 + 2] ^= 1;                /* WP */
}

static void other_cr4(uint8_t *v, uint8_t *save)
{
    (void)v;
    save[SAVE_CR4] ^= 1u << 7;              /* PGE */
}

static void other_efer(uint8_t *v, uint8_t *save)
{
    (void)v;
    save[SAVE_EFER + 1] ^= 8;               /* NXE */
}

static const struct {
    const char *name;
    unsigned flush;
    void (*change)(uint8_t *v, uint8_t *save);
    uint64_t reads;
} returns[] = {
    { "nothing else", FLUSH_NONE, same, OLD },
    { "TLB_CONTROL 1", FLUSH_ALL, same, NEW },
    { "TLB_CONTROL 3", FLUSH_ASID, same, NEW },
    { "TLB_CONTROL 7", FLUSH_ASID_LOCAL, same, NEW },
    { "another ASID", FLUSH_NONE, other_asid, NEW },
    /* Software has to flush here; what did not is wrong by no more than that */
    { "another nCR3", FLUSH_NONE, other_ncr3, NEW },
    { "another CR3", FLUSH_NONE, other_cr3, NEW },
    { "another CR0", FLUSH_NONE, other_cr0, NEW },
    { "another CR4", FLUSH_NONE, other_cr4, NEW },
    { "another EFER", FLUSH_NONE, other_efer, NEW },
};

static unsigned flush;
static void (*change)(uint8_t *v, uint8_t *save);

static void spoil(uint8_t *v, uint8_t *save)
{
    v[VMCB_TLB] = flush;
    change(v, save);
}

/* What the guest reads by its window's first page, which the leaf maps */
static uint64_t guest_reads(const void *leaf)
{
    Exit x;

    vm_leaf(pa(leaf) | PTE_RW | PTE_U);
    vm_spoil = spoil;
    vm_run(PLAIN, g_read, vm_va(WAY_RIGHT, false, WINDOW), 0, 0, &x);
    vm_spoil = NULL;
    return x.answer.kind == ANSWER_DONE ? x.answer.rax : ~0ul;
}

static void suite_guest_returns(void)
{
    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(returns); i++) {
        uint64_t first, then;

        flush = FLUSH_ALL;
        change = same;
        first = guest_reads(old_page);
        flush = returns[i].flush;
        change = returns[i].change;
        then = guest_reads(new_page);
        if (cell(first == OLD && then == returns[i].reads)) {
            print("# %s: %lx, then %lx, not %lx\n", returns[i].name, first,
                  then, returns[i].reads);
        }
    }
    /* and back: who ran in between took the indexes */
    flush = FLUSH_ALL;
    change = same;
    guest_reads(old_page);
    flush = FLUSH_NONE;
    change = other_asid;
    guest_reads(old_page);
    change = same;
    if (cell(guest_reads(new_page) == NEW)) {
        print("# the first ASID again: what it read before\n");
    }
    ktap_end("a guest that returns, its nested page tables changed");
}

/* A VMRUN that fails leaves the TLB to whom it was. */
static void break_cr4(uint8_t *v, uint8_t *save)
{
    other_cr4(v, save);
    save[SAVE_EFER + 1] &= ~0x10;           /* SVME, which is looked at last */
}

static void suite_failed_vmrun(void)
{
    ktap_begin();
    flush = FLUSH_ALL;
    change = same;
    guest_reads(old_page);
    flush = FLUSH_NONE;
    change = break_cr4;
    cell(guest_reads(old_page) == ~0ul);
    change = other_cr4;
    if (cell(guest_reads(new_page) == NEW)) {
        print("# a guest of another CR4: what that of the first read\n");
    }
    /* TLB_CONTROL of one that fails is not lost */
    flush = FLUSH_ALL;
    change = same;
    guest_reads(old_page);
    flush = FLUSH_ASID;
    change = break_cr4;
    cell(guest_reads(old_page) == ~0ul);
    flush = FLUSH_NONE;
    change = same;
    if (cell(guest_reads(new_page) == NEW)) {
        print("# the flush was asked of a VMRUN that failed, and lost\n");
    }
    ktap_end("a guest that returns after a VMRUN that failed");
}

/*
 * Two VMPLs of one guest, by turns on one CPU. The second VMSA is made before
 * the first one runs: RMPUPDATE would flush all.
 */
static void suite_vmpls(void)
{
    Update pre = { .gpa = 0xfffffffff000, .assigned = 1, .immutable = 1,
                   .asid = asid_of[OWNER] };
    uint64_t page, second = KEEP_PAGE(KEEP_VMSA + 16), first;
    Exit x;

    ktap_begin();
    launch_perms = 1;                       /* VMPL1 may read */
    if (state_make(GUEST_VALID, false, 1, &page)) {
        bail("there is no page of a guest");
    }
    launch_perms = 0x0f0f0f;
    vm_window(page, false);
    vm_fill_vmsa((void *)second, g_write);
    ((uint8_t *)second)[SAVE_VMPL] = 1;
    put64((uint8_t *)second, 0x1f8, vm_va(WAY_RIGHT, true, page) + AT_WRITE);
    do_update(second, &pre);
    do_launch_update(KEEP_PAGE(KEEP_GCTX), second, false, TYPE_VMSA);

    vm_run(OWNER, g_write, vm_va(WAY_RIGHT, true, page) + AT_WRITE, 0, 1, &x);
    cell(x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_DONE);
    copy(&first, vmcb + 0x108, sizeof(first));
    vmcb[VMCB_TLB] = FLUSH_NONE;
    put64(vmcb, 0x108, second);
    vm_again(&x);
    if (cell(x.code == EXIT_NPF && x.info1 & NPF_VMPL)) {
        print("# VMPL1 after VMPL0: exit %lx %lx %lx\n", x.code, x.info1,
              x.info2);
    }
    put64(vmcb, 0x108, first);
    window_check();
    ktap_end("VMPL1 after VMPL0 of the same guest");
}

/* ---- the host's ---- */

static uint64_t *host_leaf(uint64_t addr)
{
    uint64_t cr3, *table;

    asm volatile("mov %%cr3, %0" : "=r"(cr3));
    table = (uint64_t *)(cr3 & ~(PAGE - 1));
    for (unsigned shift = 39; shift > 12; shift -= 9) {
        table = (uint64_t *)(table[addr >> shift & 511] & 0xffffffffff000);
    }
    return &table[addr >> 12 & 511];
}

static void invlpg(uint64_t addr)
{
    asm volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

static void suite_host_stays(void)
{
    uint64_t page, *leaf, old;
    Exit x;

    ktap_begin();
    if (state_make(HYPERVISOR, false, 1, &page)) {
        bail("there is no free page");
    }
    leaf = host_leaf(page);
    old = *leaf;
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

static void wrpkru(uint32_t v)
{
    asm volatile(".byte 0x0f, 0x01, 0xef" : : "a"(v), "c"(0), "d"(0)
                 : "memory");
}

/* #VMEXIT of an SNP guest loads the host's PKRU from the host save area. */
static void suite_host_pkru(void)
{
    uint8_t *hsave = (uint8_t *)rdmsr(MSR_HSAVE);
    uint64_t page, *leaf, old, cr4;
    uint32_t r[4];
    Probe p;
    Exit x;

    ktap_begin();
    cpuid(7, 0, r);
    if (!(r[2] & 8)) {
        bail("this processor has no protection keys");
    }
    if (state_make(HYPERVISOR, false, 1, &page)) {
        bail("there is no free page");
    }
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    asm volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_PKE));
    leaf = host_leaf(page);
    old = *leaf;
    *leaf = old | PTE_U | 1ul << 59;        /* key 1 */
    invlpg(page);
    vm_run(OWNER, i_pause, 0, 0, 0, &x);
    vmcb[VMCB_TLB] = FLUSH_NONE;
    cell(probe(op_read, page, 0).vector == NO_VEC);
    hsave[HSAVE_PKRU] = 4;                  /* no access by key 1 */
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
    asm volatile("mov %0, %%cr4" : : "r"(cr4));
    invlpg(page);
    window_check();
    ktap_end("the host's translations and another PKRU at #VMEXIT");
}

void suite_tlb(void)
{
    ktap_plan(6);
    window_init();
    vm_init();
    old_page[0] = OLD;
    new_page[0] = NEW;
    vm_window(WINDOW, false);
    suite_guest_returns();
    suite_failed_vmrun();
    suite_vmpls();
    suite_host_stays();
    suite_host_pkru();
}
