/*
 * Privilege: VMPLs, CPL3, the host's instructions in a guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 15.36.7; volume 3, PVALIDATE, RMPADJUST, RMPQUERY. The guest's
 * own pages are open to all VMPLs, so that only the page that is tried decides.
 */
#include "vm.h"

enum { R = 1, W = 2, UX = 4, SX = 8, MASKS = 32 };

extern char i_rmpupdate[], i_psmash[], i_pause[];

static unsigned vmpl, cpl;              /* of the next run */
static uint64_t page;                   /* the one that is tried */
static bool large;                      /* entry and nested leaf are of 2M */

static void put16(uint8_t *p, unsigned at, uint16_t v)
{
    copy(p + at, &v, sizeof(v));
}

static void spoil(uint8_t *v, uint8_t *save)
{
    (void)v;
    save[0x0ca] = vmpl;
    save[0x0cb] = cpl;
    if (cpl == 3) {
        put16(save, 0x10, 0x1b);        /* CS, and its attributes */
        put16(save, 0x12, 0xafb);
        put16(save, 0x20, 0x23);        /* SS */
        put16(save, 0x22, 0xcf3);
    }
}

/* CS is of 32 bits: only the instruction that is tried can do without 64 */
static void spoil_mode(uint8_t *v, uint8_t *save)
{
    spoil(v, save);
    put16(save, 0x12, cpl == 3 ? 0xcfb : 0xc9b);
}

/* A page that the guest has validated, for VMPL1 to 3 with these masks */
static void make_page(uint32_t perms)
{
    if (state_make(HYPERVISOR, false, 1, &page)) {
        bail("there is no free page");
    }
    launch_perms = perms;
    if (state_make(GUEST_VALID, large, 1, &page)) {
        bail("there is no page of a guest");
    }
    launch_perms = 0x0f0f0f;
    window_check();
}

static uint64_t va(bool c)
{
    return vm_va(WAY_RIGHT, c, page);
}

static bool done(const Exit *x)
{
    return x->code == EXIT_VMGEXIT && x->answer.kind == ANSWER_DONE;
}

static bool gp(const Exit *x, Guest g)
{
    return x->code == (g == PLAIN ? EXIT_VMMCALL : EXIT_VMGEXIT) &&
           x->answer.kind == ANSWER_TRAP && x->answer.vector == VEC_GP &&
           !x->answer.error;
}

static bool undefined(const Exit *x)
{
    return x->code == EXIT_VMGEXIT && x->answer.kind == ANSWER_TRAP &&
           x->answer.vector == VEC_UD;
}

static bool vmpl_fault(const Exit *x, uint64_t stage)
{
    const uint64_t look = NPF_P | NPF_RMP | NPF_FINAL | NPF_TABLE | NPF_ENC |
                          NPF_SIZEM | NPF_VMPL;

    return x->code == EXIT_NPF && x->answer.kind == ANSWER_NONE &&
           (x->info2 & ~(PAGE - 1)) == GPA_BASE + page % SIZE_2M &&
           (x->info1 & look) == (NPF_P | NPF_RMP | NPF_ENC | NPF_VMPL | stage);
}

static void told(bool bad, const char *what, unsigned mask, const Exit *x)
{
    if (bad) {
        print("# VMPL%u, CPL%u, mask %x, %s: exit %lx %lx %lx, answer %lx: "
              "rax %lx vector %lx error %lx\n", vmpl, cpl, mask, what, x->code,
              x->info1, x->info2, x->answer.kind, x->answer.rax,
              x->answer.vector, x->answer.error);
    }
}

/* ---- what a mask permits ---- */

static void one_access(const char *what, const char *op, uint64_t at,
                       unsigned need, unsigned mask, uint64_t stage)
{
    bool good;
    Exit x;

    vm_run(OWNER, op, at, 0, 0, &x);
    /* RMP-CHECK-VMPL; RMP-VMPL-WO: a write needs to read as well */
    good = (mask & need) == need ? done(&x) : vmpl_fault(&x, stage);
    told(cell(window_check() && good), what, mask, &x);
}

/* The page's mask is of the VMPL that runs; VMPL0 has all of them. */
static void every_access(unsigned mask)
{
    if (!vmpl) {
        mask = MASKS - 1;
    }
    one_access("read", g_read, va(true) + AT_MAGIC, R, mask, NPF_FINAL);
    one_access("write", g_write, va(true) + AT_WRITE, R | W, mask, NPF_FINAL);
    one_access("fetch, C=1", g_fetch, va(true) + AT_CODE, cpl ? UX : SX, mask,
               NPF_FINAL);
    one_access("fetch, C=0", g_fetch, va(false) + AT_CODE, cpl ? UX : SX, mask,
               NPF_FINAL);
    if ((mask & R) == R && !(mask & W)) {
        impossible("whether a walk that sets nothing has to write nobody says "
                   "(RMP-VMPL-WO)");
        return;
    }
    one_access("walk", g_read, vm_table_va(WAY_RIGHT, 1, PTE_GUEST + WALK_AD),
               R | W, mask, NPF_TABLE);
}

static void suite_launched(void)
{
    ktap_begin();
    for (unsigned mask = 0; mask < MASKS; mask++) {
        for (vmpl = 0; vmpl < platform.vmpls; vmpl++) {
            /* all the others may do the opposite */
            uint32_t perms = 0x1f1f1f & ~((uint32_t)mask * 0x010101);

            if (vmpl) {
                perms &= ~(0xffu << 8 * (vmpl - 1));
                perms |= mask << 8 * (vmpl - 1);
            }
            make_page(perms);
            for (cpl = 0; cpl < 4; cpl += 3) {
                every_access(mask);
            }
        }
    }
    ktap_end("pages of %s launched with every mask of a VMPL",
             large ? "2M" : "4K");
}

/* Masks given by RMPADJUST at VMPL0, then used */
static void suite_adjusted(void)
{
    ktap_begin();
    for (unsigned mask = 0; mask < MASKS; mask++) {
        for (unsigned to = 1; to < platform.vmpls; to++) {
            uint64_t at;
            bool size_2m;
            Entry e;
            Exit x;

            make_page(0x1f1f1f & ~((uint32_t)mask * 0x010101));
            at = large ? page & ~(SIZE_2M - 1) : page;
            vmpl = cpl = 0;
            vm_run(OWNER, g_rmpadjust, vm_va(WAY_RIGHT, true, at), large,
                   mask << 8 | to, &x);
            e = entry_of(at, &size_2m);
            model_set(at, &e, size_2m);
            told(cell(window_check() && done(&x) && !x.answer.rax),
                 "RMPADJUST", mask, &x);
            vmpl = to;
            for (cpl = 0; cpl < 4; cpl += 3) {
                every_access(mask);
            }
        }
    }
    ktap_end("pages of %s given every mask by RMPADJUST",
             large ? "2M" : "4K");
}

/* ---- instructions above VMPL0 ---- */

static void suite_above(void)
{
    Exit x;

    ktap_begin();
    cpl = 0;
    for (vmpl = 1; vmpl < platform.vmpls; vmpl++) {
        make_page(0x1f1f1f);
        for (unsigned validate = 0; validate < 2; validate++) {
            vm_run(OWNER, g_pvalidate, va(true), 0, validate, &x);
            /* PVALIDATE-VMPL */
            told(cell(window_check() && done(&x) &&
                      x.answer.rax == FAIL_PERMISSION && !x.answer.carry),
                 "PVALIDATE", validate, &x);
        }
        for (unsigned own = 0; own < MASKS; own++) {
            for (unsigned want = 0; want < MASKS; want += 1 + want / 8) {
                for (unsigned to = 0; to < platform.vmpls; to++) {
                    /* RMP-ADJUST-PRIVILEGE, RMP-ADJUST-SUBSET */
                    bool refused = to <= vmpl || (want & ~own);
                    bool size_2m;
                    Entry e;

                    make_page(own << 8 * (vmpl - 1));
                    /* RMP-ADJUST-VMSA: bit 16 is VMPL0's */
                    vm_run(OWNER, g_rmpadjust, va(true), 0,
                           1u << 16 | want << 8 | to, &x);
                    if (!refused) {
                        e = entry_of(page, &size_2m);
                        model_set(page, &e, size_2m);
                    }
                    told(cell(window_check() && done(&x) && x.answer.rax ==
                              (refused ? FAIL_PERMISSION : OK)),
                         "RMPADJUST", own << 8 | want, &x);
                }
            }
        }
    }
    ktap_end("PVALIDATE and RMPADJUST above VMPL0");
}

/* ---- what a VMPL is told of others ---- */

static void one_query(unsigned to, uint32_t perms)
{
    Access a = { .guest = OWNER, .spa = page,
                 .gpa = GPA_BASE + page % SIZE_2M, .leaf_2m = large };
    uint64_t rcx = ~0ul, rdx = to;
    int status;
    Exit x;

    model_rmpquery(&a, vmpl, &rcx, &rdx, &status);
    vm_run(OWNER, g_rmpquery, va(true), ~0ul, to, &x);
    if (cell(window_check() && done(&x) && x.answer.rax == (unsigned)status &&
             x.answer.more[0] == rcx && x.answer.more[1] == rdx)) {
        print("# VMPL%u asks for VMPL%u, masks %x: exit %lx %lx, status %lx, "
              "RCX %lx, RDX %lx, not %d, %lx, %lx\n", vmpl, to, perms, x.code,
              x.info1, x.answer.rax, x.answer.more[0], x.answer.more[1],
              status, rcx, rdx);
    }
}

/* RMP-QUERY-PRIVILEGE, RMP-QUERY-ANSWER */
static void suite_queried(void)
{
    static const uint32_t others[] = { 0, 0x1f1f1f };
    Exit x;

    ktap_begin();
    cpl = 0;
    for (unsigned i = 0; i < 3 * MASKS * ARRAY_SIZE(others); i += 1 + large) {
        unsigned of = i / MASKS % 3;
        uint32_t perms = (others[i / (3 * MASKS)] & ~(0xffu << 8 * of)) |
                         i % MASKS << 8 * of;

        make_page(perms);
        for (vmpl = 0; vmpl < platform.vmpls; vmpl++) {
            for (unsigned to = 0; to <= platform.vmpls; to++) {
                one_query(to, perms);
            }
        }
    }
    /* an address that the guest does not map, and one that its host does not */
    vmpl = 0;
    vm_run(OWNER, g_rmpquery, 0x1ff000, 0, 1, &x);
    told(cell(x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_TRAP &&
              x.answer.vector == VEC_PF && !(x.answer.error & 3) &&
              x.answer.cr2 == 0x1ff000), "RMPQUERY, not mapped", 0, &x);
    vm_window(page, false);
    vm_leaf(0);
    vm_run(OWNER, g_rmpquery, vm_va(WAY_RIGHT, true, 0), 0, 1, &x);
    told(cell(x.code == EXIT_NPF && x.answer.kind == ANSWER_NONE &&
              !(x.info1 & (NPF_P | NPF_RMP)) && (x.info1 & NPF_ENC) &&
              (x.info2 & ~(PAGE - 1)) == GPA_BASE),
         "RMPQUERY, not in the nested tables", 0, &x);
    vm_window(page, large);
    cell(window_check());
    ktap_end("what each VMPL is told of the others' masks of pages of %s by "
             "RMPQUERY", large ? "2M" : "4K");
}

/* ---- CPL3, and who is no host ---- */

static void suite_who(void)
{
    static const struct {
        const char *name, *op;
        bool host;
    } insns[] = {
        { "PVALIDATE", g_pvalidate, false },
        { "RMPADJUST", g_rmpadjust, false },
        { "RMPQUERY", g_rmpquery, false },
        { "RMPUPDATE", i_rmpupdate, true }, { "PSMASH", i_psmash, true },
    };
    Exit x;

    ktap_begin();
    vmpl = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(insns); i++) {
        make_page(0);
        /* PVALIDATE-CPL, RMPUPDATE-CPL */
        cpl = 3;
        vm_run(OWNER, insns[i].op, insns[i].host ? page : va(true), 0x20000,
               0x301, &x);
        told(cell(window_check() && gp(&x, OWNER)), insns[i].name, 0, &x);
        for (Guest g = OWNER; insns[i].host && g < NGUESTS; g += PLAIN) {
            /* RMPUPDATE-GUEST */
            cpl = 0;
            vm_spoil = g == PLAIN ? NULL : spoil;
            vm_run(g, insns[i].op, page, 0x20000, 0, &x);
            vm_spoil = spoil;
            told(cell(window_check() && x.answer.kind == ANSWER_DONE &&
                      x.answer.rax == FAIL_PERMISSION), insns[i].name, g, &x);
        }
    }
    /* RMPADJUST-UD, RMPQUERY-UD: but for PVALIDATE they are of 64-bit mode */
    for (unsigned i = 0; i < 3; i++) {
        make_page(0);
        vm_spoil = spoil_mode;
        vm_run(OWNER, insns[i].op, va(true), 0, 1, &x);
        vm_spoil = spoil;
        told(cell(window_check() && (i ? undefined(&x) : done(&x))),
             insns[i].name, 32, &x);
        /* and are so at any CPL */
        cpl = 3;
        vm_spoil = spoil_mode;
        vm_run(OWNER, insns[i].op, va(true), 0, 1, &x);
        vm_spoil = spoil;
        cpl = 0;
        told(cell(window_check() && (i ? undefined(&x) : gp(&x, OWNER))),
             insns[i].name, 3, &x);
    }
    for (unsigned i = 0; i < 3; i++) {
        /* PVALIDATE-CANONICAL */
        make_page(0);
        vm_run(OWNER, insns[i].op, 1ul << 47, 0, 1, &x);
        told(cell(window_check() && gp(&x, OWNER)), insns[i].name, 47, &x);
        vm_run(OWNER, insns[i].op, va(true) | 1ul << 63, 0, 1, &x);
        told(cell(window_check() && gp(&x, OWNER)), insns[i].name, 63, &x);
    }
    /* RMP-ADJUST-RSVD, RMP-ADJUST-VMPL: before the page is looked for */
    for (unsigned bad = 0; bad < 2; bad++) {
        vm_run(OWNER, g_rmpadjust, 0x1ff000, 0, bad ? 4 : 1u << 17 | 1, &x);
        told(cell(window_check() && done(&x) && x.answer.rax == FAIL_INPUT),
             "RMPADJUST, not mapped", bad, &x);
    }
    ktap_end("RMP instructions at CPL3, those of the host in guests, those of "
             "64-bit mode outside of it");
}

/* ---- VMSAs that a guest makes ---- */

static bool guest_made(unsigned at, uint8_t value, Exit *x)
{
    Update pre = { .assigned = 1, .immutable = 1, .asid = asid_of[OWNER] };
    bool size_2m;
    Entry e;

    if (state_make(HYPERVISOR, false, 1, &page)) {
        bail("there is no free page");
    }
    vm_fill_vmsa((void *)page, i_pause);
    if (at) {
        ((uint8_t *)page)[at] = value;
    }
    pre.gpa = GPA_BASE + page % SIZE_2M;
    do_update(page, &pre);
    do_launch_update(KEEP_PAGE(KEEP_GCTX), page, false, TYPE_NORMAL);
    window_check();
    vm_run(OWNER, g_rmpadjust, va(true), 0, 1u << 16 | R << 8 | 1, x);
    e = entry_of(page, &size_2m);
    e.vmsa = true;
    model_set(page, &e, size_2m);
    if (!window_check() || !done(x) || x->answer.rax) {
        return false;
    }
    vm_vmsa = page;
    vm_run(OWNER, i_pause, 0, 0, 0, x);
    vm_vmsa = 0;
    return window_check();
}

static void suite_vmsa(void)
{
    static const struct {
        const char *name;
        unsigned at;
        uint8_t value;
        bool good;
    } made[] = {
        { "a good VMSA", 0, 0, true },
        /* VMRUN-VMPL */
        { "VMPL 4", 0x0ca, 4, false }, { "VMPL 255", 0x0ca, 255, false },
        /* RMP-VMSA-PLAIN: it is no page of the hypervisor's */
        { "SNP not active", 0x3b0, 0, false },
        { "reflected #VC", 0x3b0, 5, false },
    };
    Exit x;

    ktap_begin();
    vmpl = cpl = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(made); i++) {
        bool same = guest_made(made[i].at, made[i].value, &x);

        told(cell(same && (made[i].good ? done(&x) : x.code == ~0ul)),
             made[i].name, made[i].value, &x);
    }
    ktap_end("VMSAs that the guest makes by RMPADJUST");
}

void suite_vmpl(void)
{
    ktap_plan(10);
    window_init();
    launch_perms = 0x0f0f0f;
    vm_init();
    vm_spoil = spoil;
    if (state_make(HYPERVISOR, false, 1, &page)) {
        bail("there is no free page");
    }
    for (unsigned size = 0; size < 2; size++) {
        large = size;
        vm_window(page, large);
        suite_launched();
        suite_adjusted();
        suite_queried();
    }
    large = false;
    vm_window(page, false);
    suite_above();
    suite_who();
    suite_vmsa();
}
