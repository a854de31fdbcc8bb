/*
 * What is cached of a VMPL, and of a CPL
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 15.36.7. VMSAs of one guest, by turns on one CPU.
 */
#include "tlb.h"

enum { R = 1, W = 2, UX = 4, SX = 8 };

uint64_t tlb_vmsa(unsigned n, const char *op, uint64_t rax)
{
    static const Update free = { .assigned = 0 };
    uint64_t spa = KEEP_PAGE(KEEP_VMSA + 16 + n);
    bool size_2m;

    if (entry_of(spa, &size_2m).assigned) {
        do_update(spa, &free);
    }
    vm_fill_vmsa((void *)spa, op);
    put64((void *)spa, 0x1f8, rax);
    return spa;
}

void tlb_launch(uint64_t vmsa)
{
    Update pre = { .gpa = 0xfffffffff000, .assigned = 1, .immutable = 1,
                   .asid = asid_of[OWNER] };

    do_update(vmsa, &pre);
    do_launch_update(KEEP_PAGE(KEEP_GCTX), vmsa, false, TYPE_VMSA);
}

void tlb_turn(uint64_t vmsa, Exit *x)
{
    vmcb[VMCB_TLB] = FLUSH_NONE;
    put64(vmcb, VMCB_VMSA, vmsa);
    vm_again(x);
}

/* A page of the guest's, in its window, that VMPL1 may use so */
static uint64_t make_page(unsigned mask)
{
    uint64_t page;

    launch_perms = mask;
    if (state_make(GUEST_VALID, false, 1, &page)) {
        bail("there is no page of a guest");
    }
    launch_perms = 0x0f0f0f;
    vm_window(page, false);
    return page;
}

static bool refused(const Exit *x, uint64_t page)
{
    return x->code == EXIT_NPF && x->info1 & NPF_VMPL &&
           x->info1 & NPF_FINAL &&
           (x->info2 & ~(PAGE - 1)) == GPA_BASE + page % SIZE_2M;
}

void suite_tlb_vmpls(void)
{
    uint64_t page, second, at;
    Exit x;

    ktap_begin();
    page = make_page(R);
    at = vm_va(WAY_RIGHT, true, page) + AT_WRITE;
    second = tlb_vmsa(0, g_write, at);
    ((uint8_t *)second)[SAVE_VMPL] = 1;
    tlb_launch(second);
    vm_run(OWNER, g_write, at, 0, 1, &x);
    cell(x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_DONE);
    tlb_turn(second, &x);
    if (cell(refused(&x, page) && x.info1 & NPF_W)) {
        print("# VMPL1 after VMPL0: exit %lx %lx %lx\n", x.code, x.info1,
              x.info2);
    }
    window_check();
    ktap_end("VMPL1 after VMPL0 of the same guest");
}

/* ---- at VMPL1, a fetch after a use of the same page at the other CPL ---- */

typedef enum Use { READ, FETCH, DESCRIPTOR } Use;

static const struct {
    const char *name;
    Use use;
    unsigned cpl;           /* of the first use; then it is the other one */
    unsigned mask;
    bool refused;
} fetches[] = {
    { "CPL3 fetched", FETCH, 3, R | W | UX, true },
    { "CPL0 fetched", FETCH, 0, R | W | SX, true },
    { "CPL3 read", READ, 3, R | W | UX, true },
    { "CPL3 read, CPL0 may fetch", READ, 3, R | W | SX, false },
    { "CPL0 read", READ, 0, R | W | SX, true },
    { "CPL0 read, CPL3 may fetch", READ, 0, R | W | UX, false },
    /* the processor reads its tables as CPL0 does */
    { "VERR at CPL3", DESCRIPTOR, 3, R | W | UX, true },
};

static uint64_t vmpl1_vmsa(unsigned n, uint64_t page, Use use, unsigned cpl)
{
    static const char *const op[] = { [READ] = g_read, [FETCH] = g_fetch,
                                      [DESCRIPTOR] = i_verr };
    static const unsigned offset[] = { [READ] = AT_MAGIC, [FETCH] = AT_CODE };
    uint64_t va = vm_va(WAY_RIGHT, true, page);
    uint64_t vmsa = tlb_vmsa(n, op[use], va + offset[use % DESCRIPTOR]);
    uint8_t *save = (uint8_t *)vmsa;

    save[SAVE_VMPL] = 1;
    save[SAVE_CPL] = cpl;
    if (cpl == 3) {
        put64(save, 0x10, 0x0afb001b | 0xfffffffful << 32);     /* CS */
        put64(save, 0x20, 0x0cf30023 | 0xfffffffful << 32);     /* SS */
    }
    if (use == DESCRIPTOR) {
        put64(save, 0x60, (PAGE - 1) << 32);                    /* GDTR */
        put64(save, 0x68, va);
        put64(save, 0x1f8, AT_CODE | 3);
    }
    tlb_launch(vmsa);
    return vmsa;
}

void suite_tlb_fetches(void)
{
    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(fetches); i++) {
        uint64_t page = make_page(fetches[i].mask);
        uint64_t first = vmpl1_vmsa(0, page, fetches[i].use, fetches[i].cpl);
        uint64_t then = vmpl1_vmsa(1, page, FETCH, 3 - fetches[i].cpl);
        Exit x;
        bool good;

        vm_run(OWNER, i_pause, 0, 0, 0, &x);
        tlb_turn(first, &x);
        if (cell(x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_DONE)) {
            print("# %s: exit %lx %lx %lx\n", fetches[i].name, x.code, x.info1,
                  x.info2);
        }
        tlb_turn(then, &x);
        good = fetches[i].refused ? refused(&x, page) && x.info1 & NPF_I
                                  : x.code == EXIT_VMGEXIT &&
                                    x.answer.kind == ANSWER_DONE;
        if (cell(window_check() && good)) {
            print("# %s, then a fetch at CPL%u: exit %lx %lx %lx, answer %lx\n",
                  fetches[i].name, 3 - fetches[i].cpl, x.code, x.info1,
                  x.info2, x.answer.kind);
        }
    }
    ktap_end("VMPL1's right to fetch, over what another CPL left");
}
