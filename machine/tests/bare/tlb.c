/*
 * What a world switch leaves of cached translations
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 15.15 (TLB control), 15.16 (ASIDs). What has to be gone is a
 * rule; what may stay is not one, but the machine's speed hangs on it: that it
 * stays is tried, too, and shows that the others can fail.
 */
#include "tlb.h"

uint64_t old_page[512] __attribute__((aligned(4096)));
uint64_t new_page[512] __attribute__((aligned(4096)));

/* ---- a guest's ---- */

/* Bits of VMCB or save area that are to be others than before */
typedef struct Flip {
    bool save;
    unsigned at;
    uint64_t bits;
} Flip;

#define VMCB(at, bits)  { false, (at), (bits) }
#define SAVE(at, bits)  { true, (at), (bits) }
#define SVME            SAVE(SAVE_EFER, 1ul << 12)
#define NOTHING         (~0ul)          /* what a guest reads that ends badly */

static const struct {
    const char *name;
    unsigned flush;
    Flip flip;
    uint64_t reads;
} returns[] = {
    { "nothing else", FLUSH_NONE, { 0 }, OLD },
    { "TLB_CONTROL 1", FLUSH_ALL, { 0 }, NEW },
    { "TLB_CONTROL 3", FLUSH_ASID, { 0 }, NEW },
    { "TLB_CONTROL 7", FLUSH_ASID_LOCAL, { 0 }, NEW },
    { "another ASID", FLUSH_NONE, VMCB(VMCB_ASID, 1), NEW },
    /*
     * Software has to flush here; what did not is wrong by no more than that.
     * PWT: the same tables
     */
    { "another nCR3", FLUSH_NONE, VMCB(VMCB_NCR3, 8), NEW },
    { "another CR3", FLUSH_NONE, SAVE(SAVE_CR3, 8), NEW },
    { "CR0.WP", FLUSH_NONE, SAVE(SAVE_CR0, 1ul << 16), NEW },
    { "CR4.PSE", FLUSH_NONE, SAVE(SAVE_CR4, 1ul << 4), NEW },
    { "CR4.PGE", FLUSH_NONE, SAVE(SAVE_CR4, 1ul << 7), NEW },
    /* its own code is in pages of users */
    { "CR4.SMEP", FLUSH_NONE, SAVE(SAVE_CR4, 1ul << 20), NOTHING },
    { "CR4.PKE", FLUSH_NONE, SAVE(SAVE_CR4, 1ul << 22), NEW },
    { "CR4.PKS", FLUSH_NONE, SAVE(SAVE_CR4, 1ul << 24), NEW },
    { "EFER.NXE", FLUSH_NONE, SAVE(SAVE_EFER, EFER_NXE), NEW },
};

static unsigned flush;
static Flip flips[2];

static void spoil(uint8_t *v, uint8_t *save)
{
    put64(v, VMCB_TLB, (get64(v, VMCB_TLB) & ~0xfful) | flush);
    for (unsigned i = 0; i < ARRAY_SIZE(flips); i++) {
        uint8_t *p = flips[i].save ? save : v;

        put64(p, flips[i].at, get64(p, flips[i].at) ^ flips[i].bits);
    }
}

/* What the guest reads by its window's first page, which the leaf maps */
static uint64_t guest_reads_by(uint64_t leaf, unsigned tlb_control, Flip one,
                               Flip two)
{
    Exit x;

    flush = tlb_control;
    flips[0] = one;
    flips[1] = two;
    vm_leaf(leaf);
    vm_spoil = spoil;
    vm_run(PLAIN, g_read, vm_va(WAY_RIGHT, false, WINDOW), 0, 0, &x);
    vm_spoil = NULL;
    return x.answer.kind == ANSWER_DONE ? x.answer.rax : NOTHING;
}

static const Flip none;

static uint64_t guest_reads(const void *page, unsigned tlb_control, Flip one,
                            Flip two)
{
    return guest_reads_by(pa(page) | PTE_RW | PTE_U, tlb_control, one, two);
}

/* The guest's translations are those of now, and of OLD. */
static bool guest_begins(void)
{
    return guest_reads(old_page, FLUSH_ALL, none, none) == OLD;
}

static void suite_guest_returns(void)
{
    const Flip asid = VMCB(VMCB_ASID, 1);

    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(returns); i++) {
        bool begun = guest_begins();
        uint64_t then = guest_reads(new_page, returns[i].flush,
                                    returns[i].flip, none);

        if (cell(begun && then == returns[i].reads)) {
            print("# %s: reads %lx, not %lx\n", returns[i].name, then,
                  returns[i].reads);
        }
    }
    /* and back: who ran in between took the indexes */
    guest_begins();
    guest_reads(old_page, FLUSH_NONE, asid, none);
    if (cell(guest_reads(new_page, FLUSH_NONE, none, none) == NEW)) {
        print("# the first ASID again: what it read before\n");
    }
    ktap_end("a guest that returns, its nested page tables changed");
}

/* A VMRUN that fails (SVME, looked at last) leaves the TLB to whom it was. */
static void suite_failed_vmrun(void)
{
    const Flip cr4 = SAVE(SAVE_CR4, 1ul << 7), svme = SVME;

    ktap_begin();
    guest_begins();
    cell(guest_reads(old_page, FLUSH_NONE, cr4, svme) == NOTHING);
    if (cell(guest_reads(new_page, FLUSH_NONE, cr4, none) == NEW)) {
        print("# a guest of another CR4: what that of the first read\n");
    }
    /* TLB_CONTROL of one that fails is not lost */
    guest_begins();
    cell(guest_reads(old_page, FLUSH_ASID, cr4, svme) == NOTHING);
    if (cell(guest_reads(new_page, FLUSH_NONE, none, none) == NEW)) {
        print("# the flush was asked of a VMRUN that failed, and lost\n");
    }
    ktap_end("a guest that returns after a VMRUN that failed");
}

/* ---- how its nested page tables are read ---- */

#define GPA_LOW       0x10000ul         /* the guest's own pages, up to */
#define GPA_LOW_END   0x1e000ul
#define GPA_ANSWER    0x20000ul         /* what it shares with the host */

/* Where the nested tables of the last run lead to */
static uint64_t spa_of(uint64_t gpa)
{
    uint64_t *table = (uint64_t *)get64(vmcb, VMCB_NCR3);

    for (unsigned shift = 39; shift > 12; shift -= 9) {
        table = (uint64_t *)(table[gpa >> shift & 511] & 0xffffffffff000);
    }
    return table[gpa >> 12 & 511] & 0xffffffffff000;
}

/*
 * With nested tables at 0, and without: all else that its translations depend
 * on is the same. So the guest's low memory is at the same addresses of the
 * host's, in pages that are nobody's once the host runs.
 */
static void suite_no_nesting(void)
{
    volatile uint64_t *low = (uint64_t *)GPA_ANSWER;
    uint64_t *high = (uint64_t *)GPA_BASE;
    Flip ncr3 = VMCB(VMCB_NCR3, 0), no_np = VMCB(VMCB_SEV, 1);
    uint64_t got;

    ktap_begin();
    cell(guest_begins());
    for (uint64_t a = GPA_LOW; a < GPA_LOW_END; a += PAGE) {
        copy((void *)a, (const void *)spa_of(a), PAGE);
    }
    ncr3.bits = get64(vmcb, VMCB_NCR3);
    copy((void *)0, (const void *)ncr3.bits, PAGE);
    *high = NEW;
    low[0] = low[1] = 0;
    cell(guest_reads(old_page, FLUSH_ALL, ncr3, none) == OLD && !low[0]);
    got = guest_reads(old_page, FLUSH_NONE, ncr3, no_np);
    if (cell(got == NOTHING && low[0] == ANSWER_DONE && low[1] == NEW)) {
        print("# nested paging off: reads %lx and %lx, not %lx\n", got, low[1],
              (uint64_t)NEW);
    }
    ktap_end("a guest that returns without nested paging");
}

/* The host's EFER.NXE says what bit 63 of a nested entry is. */
static void suite_host_nxe(void)
{
    uint64_t efer = rdmsr(MSR_EFER), leaf = pa(old_page) | PTE_RW | PTE_U;
    uint64_t got;

    ktap_begin();
    cell(guest_reads_by(leaf | PTE_NX, FLUSH_ALL, none, none) == OLD);
    wrmsr(MSR_EFER, efer & ~EFER_NXE);
    got = guest_reads_by(leaf | PTE_NX, FLUSH_NONE, none, none);
    if (cell(got == NOTHING && get64(vmcb, 0x70) == EXIT_NPF)) {
        print("# a reserved bit of a nested entry, cached before: reads %lx\n",
              got);
    }
    wrmsr(MSR_EFER, efer);
    ktap_end("a guest that returns, the host's EFER.NXE changed");
}

/* ---- of which kind it is ---- */

/*
 * A plain guest and an SNP guest, all else the same: ASID, both page tables
 * and registers. The plain one's tables and code are in pages of the
 * hypervisor's, where an SNP guest does not get beyond the first table.
 */
enum { T_PML4 = 8, T_PDPT, T_PD, T_PT, T_CODE };
#define SHARED_GPA(n) (GPA_BASE + (n) * PAGE)

static uint64_t owner_ncr3;

static void spoil_kind(uint8_t *v, uint8_t *save)
{
    put64(v, VMCB_ASID, asid_of[OWNER] | (uint64_t)FLUSH_ALL << 32);
    put64(v, VMCB_NCR3, owner_ncr3);
    put64(save, SAVE_CR3, SHARED_GPA(T_PML4));
}

static void suite_kinds(void)
{
    uint64_t *table = (uint64_t *)(WINDOW + T_PML4 * PAGE), second;
    Exit x;

    ktap_begin();
    vm_window(WINDOW, false);
    zero(table, (T_CODE - T_PML4) * PAGE);
    for (unsigned n = T_PDPT; n <= T_PT; n++) {
        table[(n - T_PDPT) * 512] = SHARED_GPA(n) | PTE_RW | PTE_U;
    }
    table[(T_PT - T_PML4) * 512 + GPA_LOW / PAGE] =
        SHARED_GPA(T_CODE) | PTE_RW | PTE_U;
    table[(T_PT - T_PML4) * 512 + GPA_ANSWER / PAGE] =
        GPA_ANSWER | PTE_RW | PTE_U;
    copy((void *)(WINDOW + T_CODE * PAGE), blob, blob_end - blob);

    vm_run(OWNER, i_pause, 0, 0, 0, &x);
    owner_ncr3 = get64(vmcb, VMCB_NCR3);
    second = tlb_vmsa(0, i_pause, 0);
    put64((void *)second, SAVE_CR3, SHARED_GPA(T_PML4));
    tlb_launch(second);
    vm_spoil = spoil_kind;
    vm_run(PLAIN, i_pause, 0, 0, 0, &x);
    vm_spoil = NULL;
    if (cell(x.code == EXIT_VMMCALL && x.answer.kind == ANSWER_DONE)) {
        print("# the plain guest: exit %lx %lx %lx\n", x.code, x.info1,
              x.info2);
    }
    vmcb[VMCB_SEV] = 7;
    vmcb[VMCB_LBR] = 1;
    tlb_turn(second, &x);
    if (cell(x.code == EXIT_NPF && x.info1 & NPF_RMP && x.info1 & NPF_TABLE &&
             (x.info2 & ~(PAGE - 1)) == SHARED_GPA(T_PML4))) {
        print("# the SNP guest: exit %lx %lx %lx\n", x.code, x.info1, x.info2);
    }
    window_check();
    ktap_end("an SNP guest after a plain one of its ASID");
}

/* ---- what PVALIDATE takes back ---- */

static void suite_rescinded(void)
{
    uint64_t page;
    bool size_2m;
    Entry e;
    Exit x;

    ktap_begin();
    if (state_make(GUEST_VALID, false, 1, &page)) {
        bail("there is no page of a guest");
    }
    vm_window(page, false);
    vm_run(OWNER, g_rescind_code, vm_va(WAY_RIGHT, true, page) + AT_CODE, 0, 0,
           &x);
    e = entry_of(page, &size_2m);
    e.validated = false;
    model_set(page, &e, size_2m);
    /* RMP-UNVALIDATED */
    if (cell(window_check() && x.code == EXIT_VMGEXIT && !x.answer.rax &&
             x.answer.kind == ANSWER_TRAP && x.answer.vector == VEC_VC &&
             x.answer.error == 0x404)) {
        print("# exit %lx, answer %lx: rax %lx vector %lx error %lx\n", x.code,
              x.answer.kind, x.answer.rax, x.answer.vector, x.answer.error);
    }
    ktap_end("code in a page that the guest rescinds while it runs");
}

void suite_tlb(void)
{
    ktap_plan(13);
    window_init();
    launch_perms = 0x0f0f0f;
    vm_init();
    old_page[0] = OLD;
    new_page[0] = NEW;
    vm_window(WINDOW, false);
    suite_guest_returns();
    suite_failed_vmrun();
    suite_no_nesting();
    suite_host_nxe();
    suite_kinds();
    suite_rescinded();
    suite_tlb_vmpls();
    suite_tlb_fetches();
    suite_tlb_host_stays();
    suite_tlb_host_pkru();
    suite_tlb_host_modes();
    suite_tlb_host_jumps();
}
