/*
 * Every state of a page x RMPREAD
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * On a processor with the instruction, and entries in family 19h's layout:
 * window.c compares with those.
 */
#include "product.h"
#include "vm.h"

/* Not what an answer could be */
#define UNTOUCHED     0xa5

/* APM volume 3, RMPREAD; bit 1 of the size: other pages of the region */
static int model_read(uint64_t spa, Update *out)
{
    const Region *r = region_of(spa);
    bool large, others = false;
    Entry e;

    if (spa % PAGE || spa >= platform.covered) {
        return FAIL_INPUT;
    }
    e = entry_of(spa, &large);
    for (unsigned i = 1; r && !large && !(spa % SIZE_2M) && i < PAGES_2M;
         i++) {
        others |= r->e[i].assigned;
    }
    *out = (Update){
        .gpa = e.assigned ? e.gpa : 0, .assigned = e.assigned,
        .size = large | others << 1, .immutable = e.immutable,
        .asid = e.assigned ? e.asid : 0,
    };
    return OK;
}

static bool same(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    while (n && *x == *y) {
        n--;
        x++;
        y++;
    }
    return !n;
}

static void one(uint64_t spa, const char *what)
{
    Update want, got;
    int code;
    Probe p;

    memset(&want, UNTOUCHED, sizeof(want));
    got = want;
    code = model_read(spa, &want);
    p = probe(op_rmpread, spa, (uint64_t)&got);
    if (cell(window_check() && p.vector == NO_VEC &&
             p.ret == (unsigned)code && same(&got, &want, sizeof(got)))) {
        now_name();
        print(", at the %s: vector %d, status %lx, not %d; "
              "%lx %x %x %x %x, not %lx %x %x %x %x\n", what, p.vector,
              p.ret, code, got.gpa, got.assigned, got.size, got.immutable,
              got.asid, want.gpa, want.assigned, want.size, want.immutable,
              want.asid);
    }
}

static void one_state(void)
{
    one(now.spa, "page");
    one(now.spa + 8, "byte");
    one(now.spa ^ PAGE, "page beside it");
    one(now.spa & ~(SIZE_2M - 1), "region");
}

/* ---- where the answer goes ---- */

#define NOWHERE       (5ul << 39)
#define NOT_CANONICAL (1ul << 63)
#define PF_RMP_WRITE  (1ul << 31 | 3)

static void operand(uint64_t at, int vector, uint64_t error, uint64_t cr2,
                    const char *what)
{
    Probe p = probe(op_rmpread, WINDOW, at);
    bool good = p.vector == vector && p.error == error &&
                (vector != VEC_PF || p.cr2 == cr2);

    if (cell(window_check() && good)) {
        print("# the answer %s: vector %d, error %lx, cr2 %lx\n", what,
              p.vector, p.error, p.cr2);
    }
}

static void operands(void)
{
    uint64_t last, spa;
    uint8_t *half;

    ktap_begin();
    state_make(RECLAIM, false, 1, &spa);
    window_check();
    operand(spa + 16, VEC_PF, PF_RMP_WRITE, spa + 16, "in an assigned page");
    state_make(HYPERVISOR, false, 1, &spa);
    window_check();
    operand(NOWHERE, VEC_PF, 2, NOWHERE, "not mapped");
    operand(NOT_CANONICAL, VEC_GP, 0, 0, "not canonical");
    last = at_table(spa, PTE_HOST + NWALKS - 1);
    half = (uint8_t *)last + PAGE - 8;
    half[0] = UNTOUCHED;
    operand((uint64_t)half, VEC_PF, 2, last + PAGE, "mapped by half");
    if (cell(half[0] == UNTOUCHED)) {
        print("# half of an answer was written\n");
    }
    ktap_end("where RMPREAD's answer goes");
}

/* RMPREAD-GUEST: a page whose answer is not 0, to memory that is */
static void by_guests(void)
{
    extern char i_rmpread[];
    Exit x;

    ktap_begin();
    vm_init();
    for (Guest g = OWNER; g < NGUESTS; g++) {
        vm_run(g, i_rmpread, KEEP_PAGE(KEEP_GCTX), vm_flag_gpa(0), 0, &x);
        if (cell(window_check() && x.answer.kind == ANSWER_DONE &&
                 x.answer.rax == FAIL_PERMISSION && !x.answer.more[0] &&
                 !x.answer.more[1])) {
            print("# guest %u: exit %lx, answer %lx, RAX %lx, read: %lx %lx\n",
                  g, x.code, x.answer.kind, x.answer.rax, x.answer.more[0],
                  x.answer.more[1]);
        }
    }
    ktap_end("RMPREAD by guests");
}

void suite_rmpread(void)
{
    uint32_t r[4];
    Update out;

    ktap_plan(4 + NSTATES);
    ktap_begin();
    cpuid(0x8000001f, 0, r);
    if (cell(r[0] >> 21 & 1)) {
        print("# CPUID has no RMPREAD\n");
    }
    if (cell(probe(op_rmpread, WINDOW, (uint64_t)&out).vector == VEC_UD)) {
        print("# no #UD before SNP_EN\n");
    }
    ktap_end("RMPREAD before SNP");
    window_init();
    operands();
    by_guests();
    every_state(one_state, NSPOTS, "RMPREAD");
}
