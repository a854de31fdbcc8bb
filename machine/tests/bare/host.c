/*
 * Every state of a page x what a host can do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "product.h"

static const char *const leaf_name[NLEAVES] = { "4K", "2M", "1G" };

static void where(void)
{
    now_name();
    print(": ");
}

/* ---- RMPUPDATE and PSMASH ---- */

#define GPA  0x0007654321000000ul      /* aligned to 2M */

static const struct {
    const char *name;
    Update u;
} updates[] = {
    { "unassign", { 0 } },
    { "unassign with gpa", { .gpa = GPA } },
    { "reclaim", { .assigned = 1 } },
    { "firmware", { .assigned = 1, .immutable = 1 } },
    { "metadata", { .gpa = GPA, .assigned = 1, .immutable = 1 } },
    { "pre-guest", { .gpa = GPA, .assigned = 1, .immutable = 1, .asid = 7 } },
    { "guest", { .gpa = GPA, .assigned = 1, .asid = 7 } },
    { "another guest", { .gpa = GPA, .assigned = 1, .asid = 8 } },
    { "highest gpa", { .gpa = 0x7ffffffe00000, .assigned = 1, .asid = 8 } },
    { "unassign, immutable", { .immutable = 1 } },
    { "unassign, ASID", { .asid = 7 } },
    { "ASID beyond", { .gpa = GPA, .assigned = 1, .asid = 0x3ff } },
    { "ASID huge", { .gpa = GPA, .assigned = 1, .asid = 0x10007 } },
    { "reserved byte", { .gpa = GPA, .assigned = 1, .rsvd = 1, .asid = 7 } },
    { "assigned 2", { .gpa = GPA, .assigned = 2, .asid = 7 } },
    { "size 2", { .gpa = GPA, .assigned = 1, .size = 2, .asid = 7 } },
    { "immutable 2", { .gpa = GPA, .assigned = 1, .immutable = 2 } },
    { "gpa in a page", { .gpa = GPA + 1, .assigned = 1, .asid = 7 } },
    { "gpa too high", { .gpa = 1ul << 51, .assigned = 1, .asid = 7 } },
    { "gpa of 4K", { .gpa = GPA + PAGE, .assigned = 1, .asid = 7 } },
};

/* Where an instruction points: the page, its region, into the page */
enum { AT_PAGE, AT_REGION, AT_BYTE, NPLACES };
static const char *const place_name[NPLACES] = { "page", "region", "byte" };

static uint64_t place(unsigned p)
{
    return p == AT_PAGE ? now.spa : p == AT_BYTE ? now.spa + 8
                                                 : now.spa & ~(SIZE_2M - 1);
}

static void judge_insn(const Probe *p, int want, const char *what,
                       const char *which, unsigned at, bool size_2m)
{
    bool changed = region_changed();
    bool same = window_check();

    if (cell(same && p->vector == NO_VEC && p->ret == (unsigned)want)) {
        where();
        print("%s %s %s at the %s: ", what, which, size_2m ? "2M" : "4K",
              place_name[at]);
        print(p->vector == NO_VEC ? "status %u, not %d\n"
                                  : "exception %u, not status %d\n",
              p->vector == NO_VEC ? (unsigned)p->ret : (unsigned)p->vector,
              want);
    }
    if (changed || !same) {
        now_again();
    }
}

static void try_updates(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(updates); i++) {
        for (unsigned s = 0; s < 2 - (updates[i].u.size > 1); s++) {
            for (unsigned at = 0; at < NPLACES; at++) {
                Update u = updates[i].u;
                Probe p;

                u.size |= s;
                p = probe(op_rmpupdate, place(at), (uint64_t)&u);
                judge_insn(&p, model_update(place(at), &u), "RMPUPDATE",
                           updates[i].name, at, s);
            }
        }
    }
}

static void try_psmash(void)
{
    for (unsigned at = 0; at < NPLACES; at++) {
        Probe p = probe(op_psmash, place(at), 0);

        judge_insn(&p, model_psmash(place(at)), "PSMASH", "", at, true);
    }
}

/* ---- accesses ---- */

typedef enum Kind { READ, WRITE, FETCH, NKINDS } Kind;
static const char *const kind_name[NKINDS] = { "read", "write", "fetch" };

#define PF_RMP       (1ul << 31)
#define PF_READ      1ul               /* present, supervisor */
#define PF_WRITE     3ul               /* and written to */

static void judge_access(const Probe *p, bool fault, uint64_t va,
                         uint64_t error, bool content, const char *what,
                         const char *how)
{
    bool good = window_check() && content;

    if (fault) {
        good &= p->vector == VEC_PF && p->cr2 == va && p->error == error;
    } else {
        good &= p->vector == NO_VEC;
    }
    if (cell(good)) {
        where();
        print("%s by %s: ", what, how);
        if (p->vector == NO_VEC) {
            print("no exception, %s, value %s\n", fault ? "not #PF" : "right",
                  content ? "right" : "wrong");
        } else {
            print("exception %d, error %lx, cr2 %lx, not %s\n", p->vector,
                  p->error, p->cr2, fault ? "#PF of the RMP" : "none");
        }
    }
}

static void one_access(Kind k, Leaf leaf, uint64_t page)
{
    static const unsigned at[NKINDS] = { AT_MAGIC, AT_WRITE, AT_CODE };
    static ProbeOp *const op[NKINDS] = { op_read, op_write, op_fetch };
    volatile uint64_t *word = (volatile uint64_t *)(page + at[k]);
    uint64_t va = at_leaf(page + at[k], leaf), old = 0, new, want;
    bool fault = k == WRITE && !model_hv_owned(page, leaf != LEAF_4K);
    bool known = !state_unknown(now.state);
    Probe p;

    /* bytes that nobody knows cannot be executed */
    if (k == FETCH && !known) {
        impossible(state_unknown(now.state));
        return;
    }
    if (state_memory(now.state)) {
        old = *word;
    }
    p = probe(op[k], va, ~old);
    new = state_memory(now.state) ? *word : 0;
    want = k == WRITE && !fault && state_memory(now.state) ? ~old : old;
    if (k == READ && known && p.vector == NO_VEC && p.ret != MAGIC) {
        new = ~want;
    }
    judge_access(&p, fault, va, PF_RMP | PF_WRITE, new == want, kind_name[k],
                 leaf_name[leaf]);
    if (new != old) {
        probe(op_write, (uint64_t)word, old);
    }
}

static void try_accesses(void)
{
    for (Kind k = 0; k < NKINDS; k++) {
        for (Leaf leaf = 0; leaf < NLEAVES; leaf++) {
            one_access(k, leaf, now.spa);
            /* the page beside it, which the same large leaf maps */
            one_access(k, leaf, now.spa ^ PAGE);
        }
    }
}

uint64_t unpaged_write(uint64_t spa, uint32_t value);

/* RMP-CHECK-HOST-WRITE: with paging off, too */
static void try_unpaged(void)
{
    volatile uint32_t *word = (volatile uint32_t *)(now.spa + AT_WRITE);
    bool fault = !model_hv_owned(now.spa, false), good;
    uint32_t old;
    uint64_t error, cr2;

    if (!state_memory(now.state) || now.spa >> 32) {
        impossible(now.spa >> 32 ? "without paging addresses have 32 bits "
                                   "(APM vol 2, 1.1)"
                                 : state_unknown(now.state));
        return;
    }
    old = *word;
    error = unpaged_write((uint64_t)word, ~old);
    asm volatile("mov %%cr2, %0" : "=r"(cr2));
    good = fault ? error == (PF_RMP | PF_WRITE) && cr2 == (uint64_t)word &&
                   *word == old : !error && *word == ~old;
    if (cell(window_check() && good)) {
        where();
        print("write without paging: error %lx, cr2 %lx, it was%s written\n",
              error, cr2, *word == old ? " not" : "");
    }
    if (!fault) {
        *word = old;
    }
}

/* The page as a page table of the host */
static void try_walks(void)
{
    static const char *const name[NWALKS] = {
        [WALK_AD] = "walk", [WALK_SETS_A] = "walk that sets A",
        [WALK_SETS_D] = "walk that sets D",
    };

    for (unsigned w = 0; w < NWALKS; w++) {
        bool fault = w != WALK_AD && !model_hv_owned(now.spa, false);
        uint64_t va;
        Probe p;

        if (state_unknown(now.state)) {
            impossible(state_unknown(now.state));
            continue;
        }
        va = at_table(now.spa, PTE_HOST + w);
        p = probe(w == WALK_SETS_D ? op_write : op_read, va, MAGIC);
        judge_access(&p, fault, va,
                     PF_RMP | (w == WALK_SETS_D ? PF_WRITE : PF_READ),
                     true, name[w], "4K");
    }
}

/* ---- what is for guests ---- */

/* PVALIDATE-UD, RMPQUERY-UD */
static void try_foreign(void)
{
    static const struct {
        const char *name;
        ProbeOp *op;
    } insns[] = {
        { "PVALIDATE", op_pvalidate }, { "RMPADJUST", op_rmpadjust },
        { "RMPQUERY", op_rmpquery },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(insns); i++) {
        Probe p = probe(insns[i].op, now.spa, 0);

        if (cell(window_check() && p.vector == VEC_UD)) {
            where();
            print("%s: vector %d, status %lx, not #UD\n", insns[i].name,
                  p.vector, p.ret);
        }
    }
}

/* ---- operands and flags ---- */

#define NOWHERE      (5ul << 39)        /* no view has it */
#define NOT_CANONICAL (1ul << 63)

static void operand(uint64_t at, int vector, uint64_t cr2, const char *what)
{
    Probe p = probe(op_rmpupdate, now.spa, at);
    bool good = p.vector == vector && !p.error &&
                (vector != VEC_PF || p.cr2 == cr2);

    if (cell(window_check() && good)) {
        print("# RMPUPDATE, operand %s: vector %d, error %lx, cr2 %lx\n", what,
              p.vector, p.error, p.cr2);
    }
}

/* OF, SF, ZF, AF and PF are the status's; popfq before set them otherwise */
static void flags(ProbeOp *op, uint64_t a, const Update *u, unsigned want)
{
    const uint64_t look = 1u << 11 | 1u << 7 | 1u << 6 | 1u << 4 | 1u << 2;
    Probe p = probe(op, a, (uint64_t)u);
    bool even = !(__builtin_popcount(want) & 1);
    uint64_t expected = (want ? 0 : 1u << 6) | (even ? 1u << 2 : 0);

    if (u && want == OK) {
        model_update(a, u);
    }
    if (cell(window_check() && p.vector == NO_VEC &&
             (uint32_t)p.ret == want && (p.ret >> 32 & look) == expected)) {
        print("# flags after status %x: %lx, not %lx\n", (unsigned)p.ret,
              p.ret >> 32 & look, expected);
    }
}

static void suite_operands(void)
{
    static const Update bad = { .immutable = 1 }, good = { .assigned = 1 };
    static const Update guest = { .assigned = 1, .size = 1, .asid = 7 };
    uint64_t last, table;
    uint32_t r[4];

    ktap_begin();
    now.state = HYPERVISOR;
    now.spot = 1;
    state_make(HYPERVISOR, false, 1, &now.spa);
    operand(NOWHERE, VEC_PF, NOWHERE, "not mapped");
    operand(NOT_CANONICAL, VEC_GP, 0, "not canonical");
    /* the last page that the table maps; the operand's end is in the next */
    table = now.spa;
    last = at_table(table, PTE_HOST + NWALKS - 1);
    operand(last + PAGE - 8, VEC_PF, last + PAGE, "mapped by half");
    flags(op_rmpupdate_flags, now.spa, &bad, FAIL_INPUT);
    flags(op_psmash_flags, now.spa, NULL, FAIL_INPUT);
    flags(op_psmash_flags, now.spa & ~(SIZE_2M - 1), NULL, FAIL_BADADDR);
    flags(op_rmpupdate_flags, now.spa, &good, OK);
    flags(op_rmpupdate_flags, now.spa & ~(SIZE_2M - 1), &guest, FAIL_OVERLAP);
    state_make(FIRMWARE, false, 1, &now.spa);
    window_check();
    flags(op_rmpupdate_flags, now.spa, &good, FAIL_PERMISSION);
    /* RMPREAD-UD: not announced, not there */
    cpuid(0x8000001f, 0, r);
    if (!(r[0] >> 21 & 1) &&
        cell(probe(op_rmpread, now.spa, (uint64_t)&good).vector == VEC_UD)) {
        print("# RMPREAD without its CPUID bit is no #UD\n");
    }
    ktap_end("operands and flags of RMPUPDATE and PSMASH");
}

/* ---- the product ---- */

static void one_state(void)
{
    try_accesses();
    try_unpaged();
    try_walks();
    try_updates();
    try_psmash();
    try_foreign();
}

void suite_host(void)
{
    ktap_plan(2 + NSTATES);
    window_init();
    suite_operands();
    every_state(one_state, NSPOTS, "a host");
}
