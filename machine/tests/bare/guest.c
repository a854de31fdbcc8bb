/*
 * Every state of a page x what a guest can do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * By the SNP guest whose page it is, by another, and by a guest without SNP;
 * through a nested leaf of 4K and of 2M; at the address that the entry has and
 * at another.
 */
#include "product.h"
#include "vm.h"

/* Who tries it, and through what */
static struct {
    Guest guest;
    bool leaf_2m;
    unsigned way;
} by;

static const char *const guest_name[NGUESTS] = {
    [OWNER] = "the owner", [OTHER] = "another SNP guest",
    [PLAIN] = "a guest without SNP",
};

/* ---- operations ---- */

typedef enum Op {
    READ, WRITE, FETCH, READ_C, WRITE_C, FETCH_C, WALK, WALK_A,
    PVALIDATE, ADJUST = PVALIDATE + 4, QUERY = ADJUST + 10,
    RESCIND = QUERY + 6, UPDATE, SMASH, NOPS
} Op;

static const char *const access_name[] = {
    [READ] = "read, C=0", [WRITE] = "write, C=0", [FETCH] = "fetch, C=0",
    [READ_C] = "read, C=1", [WRITE_C] = "write, C=1",
    [FETCH_C] = "fetch, C=1", [WALK] = "walk", [WALK_A] = "walk that sets A",
};

/* RCX and RDX of RMPADJUST */
static const struct {
    uint64_t rcx, rdx;
} adjusts[QUERY - ADJUST] = {
    { 0, 0x00301 }, { 1, 0x00301 },     /* VMPL1: read and write */
    { 0, 0x10301 }, { 1, 0x10301 },     /* and VMSA */
    { 0, 0x00300 },                     /* its own VMPL */
    { 0, 0x00304 },                     /* there is no VMPL4 */
    { 0, 0x02001 },                     /* a reserved permission */
    { 0, 0x20301 },                     /* a reserved bit */
    { 2, 0x00301 }, { 0, 0x00003 },     /* size 2; VMPL3: none */
};

/* RDX of RMPQUERY: VMPL1 to 3, its own, one too many, a reserved bit */
static const uint64_t queries[RESCIND - QUERY] = { 1, 2, 3, 0, 4, 0x101 };

static void name(Op op)
{
    now_name();
    print(": ");
    if (op < PVALIDATE) {
        print("%s", access_name[op]);
    } else if (op < ADJUST) {
        print("PVALIDATE %s to %u", (op - PVALIDATE) & 2 ? "2M" : "4K",
              (op - PVALIDATE) & 1);
    } else if (op < QUERY) {
        print("RMPADJUST %lx, RDX %lx", adjusts[op - ADJUST].rcx,
              adjusts[op - ADJUST].rdx);
    } else if (op < RESCIND) {
        print("RMPQUERY, RDX %lx", queries[op - QUERY]);
    } else if (op == RESCIND) {
        print("read, PVALIDATE to 0, read");
    } else {
        print(op == UPDATE ? "RMPUPDATE" : "PSMASH");
    }
    print(" by %s, %s leaf, %s address: ", guest_name[by.guest],
          by.leaf_2m ? "2M" : "4K", by.way ? "another" : "right");
}

/* What has to come of it */
typedef struct Outcome {
    Verdict verdict;
    bool undefined;             /* #UD in the guest, and nothing else */
    bool insn, enc, table;
    uint64_t need, va, rip;
    int code;                   /* -1: do not look at RAX */
    bool cf, known;
    uint64_t value;             /* RAX, if known */
} Outcome;

static bool trapped(const Exit *x, unsigned vector)
{
    return x->code == (by.guest == PLAIN ? EXIT_VMMCALL : EXIT_VMGEXIT) &&
           x->answer.kind == ANSWER_TRAP && x->answer.vector == vector;
}

static bool as_expected(const Exit *x, const Outcome *o)
{
    const uint64_t look = NPF_P | NPF_RMP | NPF_FINAL | NPF_TABLE | NPF_ENC |
                          NPF_SIZEM | NPF_VMPL |
                          (o->insn || o->table ? 0 : NPF_W | NPF_I);
    uint64_t gpa = GPA_OF(by.way) + now.spa % SIZE_2M;

    if (o->undefined) {
        return trapped(x, VEC_UD) && x->answer.rip == o->rip;
    }
    switch (o->verdict) {
    case V_DONE:
        return x->code == (by.guest == PLAIN ? EXIT_VMMCALL : EXIT_VMGEXIT) &&
               x->answer.kind == ANSWER_DONE &&
               (!o->known || x->answer.rax == o->value) &&
               (!o->insn || x->answer.carry == o->cf);
    case V_VC:
        return trapped(x, VEC_VC) && x->answer.error == 0x404 &&
               x->answer.cr2 == o->va && x->answer.rip == o->rip;
    default:
        return x->code == EXIT_NPF && (x->info2 & ~(PAGE - 1)) == gpa &&
               (x->info1 & look) ==
               (NPF_P | NPF_RMP | o->need | (o->enc ? NPF_ENC : 0) |
                (o->table ? NPF_TABLE : NPF_FINAL) |
                (o->verdict == V_NPF_SIZEM ? NPF_SIZEM : 0));
    }
}

static void judge(Op op, const Exit *x, const Outcome *o, bool content)
{
    static const char *const verdict_name[] = {
        [V_DONE] = "done", [V_NPF] = "#NPF of the RMP",
        [V_NPF_SIZEM] = "#NPF of the RMP with SIZEM", [V_VC] = "#VC 404",
    };
    bool changed = region_changed(), same = window_check();

    if (cell(same && content && as_expected(x, o))) {
        name(op);
        print("exit %lx %lx %lx, answer %lx: rax %lx carry %lx "
              "vector %lx error %lx cr2 %lx, not %s", x->code, x->info1,
              x->info2, x->answer.kind, x->answer.rax, x->answer.carry,
              x->answer.vector, x->answer.error, x->answer.cr2,
              o->undefined ? "#UD" : verdict_name[o->verdict]);
        print(o->known ? " %lx\n" : "\n", o->value);
    }
    if (changed || !same || op == WALK_A) {
        now_again();
    }
}

static uint64_t entry_point(const char *op)
{
    return 0x10000 + (op - blob);
}

static void try_access(Op op)
{
    static const char *const code[] = {
        g_read, g_write, g_fetch, g_read, g_write, g_fetch, g_read, g_read,
    };
    bool is_write = op == WRITE || op == WRITE_C;
    bool is_fetch = op == FETCH || op == FETCH_C;
    bool is_walk = op == WALK || op == WALK_A;
    bool c = op == READ_C || op == WRITE_C || op == FETCH_C;
    Access a = {
        .guest = by.guest, .spa = now.spa,
        .gpa = GPA_OF(by.way) + now.spa % SIZE_2M, .c = c,
        .write = is_write, .fetch = is_fetch, .table = is_walk,
        .leaf_2m = by.leaf_2m,
    };
    Outcome o = {
        .verdict = model_access(&a), .table = is_walk,
        .enc = by.guest != PLAIN && (c || is_fetch || is_walk),
        .need = is_write ? NPF_W : is_fetch ? NPF_I : 0,
        .rip = entry_point(code[op]),
    };
    unsigned at = is_write ? AT_WRITE : is_fetch ? AT_CODE : AT_MAGIC;
    volatile uint64_t *word = (volatile uint64_t *)(now.spa + AT_WRITE);
    bool public = !state_unknown(now.state), content = true;
    uint64_t old = public ? *word : 0;
    Exit x;

    if (by.guest == PLAIN &&
        (c || ((is_fetch || is_walk) && !public && o.verdict == V_DONE))) {
        impossible(c ? "only guests with SEV have a C-bit (MMU-C-BIT)"
                     : state_unknown(now.state));
        return;
    }
    o.va = is_walk ? vm_table_va(by.way, now.spot,
                                 (by.guest == PLAIN ? PTE_PLAIN : PTE_GUEST) +
                                 (op == WALK_A ? WALK_SETS_A : WALK_AD))
                   : vm_va(by.way, c, now.spa) + at;
    if (is_fetch) {
        o.rip = o.va;
    }
    if (o.verdict == V_DONE && !is_write && !is_fetch) {
        /* the owner has what was measured; others, what the host knows */
        o.known = is_walk || o.enc || public;
        o.value = MAGIC;
    }
    vm_run(by.guest, code[op], o.va, 0, ~old, &x);
    if (public) {
        bool wrote = is_write && o.verdict == V_DONE && !c;

        content = *word == (wrote ? ~old : old);
        if (wrote) {
            probe(op_write, (uint64_t)word, old);
        }
    }
    judge(op, &x, &o, content);
}

static Access insn_access(void)
{
    return (Access){
        .guest = by.guest, .spa = now.spa,
        .gpa = GPA_OF(by.way) + now.spa % SIZE_2M, .leaf_2m = by.leaf_2m,
    };
}

static void try_insn(Op op)
{
    bool adjust = op >= ADJUST, cf = false;
    const char *code = adjust ? g_rmpadjust : g_pvalidate;
    uint64_t rcx = adjust ? adjusts[op - ADJUST].rcx : (op - PVALIDATE) >> 1;
    uint64_t rdx = adjust ? adjusts[op - ADJUST].rdx : (op - PVALIDATE) & 1;
    uint64_t va = vm_va(by.way, true, now.spa);
    Access a = insn_access();
    Outcome o = { .insn = true, .enc = true, .known = true, .va = va,
                  .rip = entry_point(code) };
    int status = 0;
    Exit x;

    /* PVALIDATE-UD */
    o.undefined = by.guest == PLAIN;
    vm_run(by.guest, code, va, rcx, rdx, &x);
    if (!o.undefined) {
        o.verdict = adjust ? model_rmpadjust(&a, va, rcx, rdx, &status)
                           : model_pvalidate(&a, va, rcx, rdx, &status, &cf);
    }
    o.value = status;
    o.cf = cf;
    if (adjust) {
        /* RMPADJUST says nothing by CF */
        x.answer.carry = 0;
    }
    judge(op, &x, &o, true);
}

/* RCX, as what it is not if the instruction says something */
#define NO_SIZE       0x5a5aul

static void try_query(Op op)
{
    uint64_t va = vm_va(by.way, true, now.spa);
    uint64_t rcx = NO_SIZE, rdx = queries[op - QUERY];
    Access a = insn_access();
    Outcome o = { .insn = true, .enc = true, .known = true, .va = va,
                  .rip = entry_point(g_rmpquery) };
    bool answer = true;
    int status = 0;
    Exit x;

    /* RMPQUERY-UD */
    o.undefined = by.guest == PLAIN;
    vm_run(by.guest, g_rmpquery, va, rcx, rdx, &x);
    if (!o.undefined) {
        o.verdict = model_rmpquery(&a, 0, &rcx, &rdx, &status);
    }
    o.value = status;
    if (!o.undefined && o.verdict == V_DONE) {
        answer = x.answer.more[0] == rcx && x.answer.more[1] == rdx;
    }
    if (!answer) {
        print("# RMPQUERY leaves RCX %lx, RDX %lx, not %lx, %lx\n",
              x.answer.more[0], x.answer.more[1], rcx, rdx);
    }
    /* it says nothing by CF */
    x.answer.carry = 0;
    judge(op, &x, &o, answer);
}

static void try_rescind(void)
{
    Access a = insn_access();
    Outcome o = { .enc = true, .va = vm_va(by.way, true, now.spa),
                  .rip = entry_point(g_rescind), .known = true };
    int code = OK;
    bool cf;
    Exit x;

    if (by.guest == PLAIN) {
        impossible("a guest without SNP has no PVALIDATE (PVALIDATE-UD)");
        return;
    }
    vm_run(by.guest, g_rescind, o.va, 0, 0, &x);
    a.c = true;
    o.verdict = model_access(&a);
    if (o.verdict == V_DONE) {
        o.insn = true;
        o.verdict = model_pvalidate(&a, o.va, false, false, &code, &cf);
        if (o.verdict == V_DONE) {
            o.verdict = model_access(&a);
            /* the instruction behind PVALIDATE */
            o.rip = x.answer.rip;
            if (x.answer.rip <= entry_point(g_rescind)) {
                o.rip = ~0ul;
            }
        }
    }
    judge(RESCIND, &x, &o, true);
}

/* RMPUPDATE-GUEST: the host's instructions, of the page by its own address */
static void try_host_insn(Op op)
{
    extern char i_rmpupdate[], i_psmash[];
    Outcome o = { .insn = true, .known = true, .value = FAIL_PERMISSION };
    Exit x;

    vm_run(by.guest, op == UPDATE ? i_rmpupdate : i_psmash,
           op == UPDATE ? now.spa : now.spa & ~(SIZE_2M - 1), vm_flag_gpa(0),
           0, &x);
    /* they say nothing by CF */
    x.answer.carry = 0;
    judge(op, &x, &o, true);
}

/* ---- the product ---- */

static void every_op(void)
{
    vm_window(now.spa, by.leaf_2m);
    for (Op op = 0; op < NOPS; op++) {
        if (op < PVALIDATE) {
            try_access(op);
        } else if (op < QUERY) {
            try_insn(op);
        } else if (op < RESCIND) {
            try_query(op);
        } else if (op == RESCIND) {
            try_rescind();
        } else {
            try_host_insn(op);
        }
    }
}

static void one_state(void)
{
    for (by.guest = 0; by.guest < NGUESTS; by.guest++) {
        for (unsigned i = 0; i < 2 * NWAYS; i++) {
            by.leaf_2m = i & 1;
            by.way = i >> 1;
            every_op();
        }
    }
}

void suite_guest(void)
{
    ktap_plan(1 + NSTATES);
    window_init();
    vm_init();
    launch_perms = 0x0d0305;        /* of VMPL3, 2 and 1, for RMPQUERY */
    /* the last page of a region is the middle one again to a guest */
    every_state(one_state, NSPOTS - 1, "guests");
}
