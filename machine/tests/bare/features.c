/*
 * What a guest may have set in SEV_FEATURES, and what it does
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 15.36.20 (Allowed SEV Features), appendix B (VMCB, VMSA and
 * swap types); volume 3, Fn8000_001F, Fn8000_0021. A processor without a
 * feature's CPUID bit refuses it; then only that is tried.
 */
#include "vm.h"
#include "features.h"

#define EXIT_INVALID  (~0ul)            /* VMEXIT_INVALID, -1 */
#define FEATURES      0x3b0             /* in the VMSA */
#define ALLOWED       0x138             /* in the VMCB: the mask, */
#define HAS           0x140             /* and what the guest has */
#define ENABLE        (1ul << 63)
#define SNP_ACTIVE    (1ul << 0)
#define DEBUG_SWAP    (1ul << 5)
#define SECURE_TSC    (1ul << 9)
#define VMSA_DR       0x180             /* four, and four masks */
#define VMSA_SCALE    0x2f0
#define VMSA_OFFSET   0x2f8
#define VMCB_OFFSET   0x050
#define GUEST_FREQ    0xc0010134
#define STALE         0x5a5a5a5aul

extern char i_pause[], i_rdtsc[], i_rdmsr[], i_wrmsr[];

static uint32_t announced;              /* Fn8000_001F EAX */

static bool has(unsigned bit)
{
    return announced >> bit & 1;
}

static bool done(const Exit *x)
{
    return x->code == EXIT_VMGEXIT && x->answer.kind == ANSWER_DONE;
}

static bool refused(const Exit *x)
{
    return x->code == EXIT_INVALID && x->answer.kind == ANSWER_NONE;
}

/* ---- which features there are ---- */

static uint64_t features, allowed;      /* of the next run */

static void spoil_features(uint8_t *v, uint8_t *save)
{
    put64(save, FEATURES, features);
    put64(v, ALLOWED, allowed);
    put64(v, HAS, STALE);
}

/* Fn8000_001F EAX has a bit for it; 0: there is none of ours */
static unsigned cpuid_bit(unsigned feature)
{
    return feature == 3 ? 12 : feature == 5 ? 14 : feature == 9 ? 8 : 0;
}

static bool available(uint64_t f)
{
    for (unsigned i = 1; i < 64; i++) {
        if ((f >> i & 1) && !(cpuid_bit(i) && has(cpuid_bit(i)))) {
            return false;
        }
    }
    return true;
}

static void one_vmrun(void)
{
    bool good = available(features);
    Exit x;

    /* VMRUN-ALLOWED-FEATURES */
    if (has(27) && (allowed & ENABLE) && (features & ~allowed)) {
        good = false;
    }
    vm_run(OWNER, i_pause, 0, 0, 0, &x);
    /* VMRUN-GUEST-FEATURES */
    if (cell(window_check() && (good ? done(&x) : refused(&x)) &&
             get64(vmcb, HAS) == (has(27) ? features : STALE))) {
        print("# features %lx, allowed %lx: exit %lx, answer %lx, the VMCB "
              "says %lx\n", features, allowed, x.code, x.answer.kind,
              get64(vmcb, HAS));
    }
}

static void suite_bits(void)
{
    vm_spoil = spoil_features;
    ktap_begin();
    /* VMRUN-SEV-FEATURES */
    allowed = 0;
    for (unsigned i = 1; i < 64; i++) {
        features = SNP_ACTIVE | 1ul << i;
        one_vmrun();
    }
    ktap_end("each bit of SEV_FEATURES");

    ktap_begin();
    for (unsigned swap = 0; swap < 2; swap++) {
        features = SNP_ACTIVE | (swap ? DEBUG_SWAP : 0);
        for (unsigned i = 0; i < 63; i++) {
            /* one allowed, all but one; the mask not in force */
            allowed = 1ul << i;
            one_vmrun();
            allowed = ENABLE | 1ul << i;
            one_vmrun();
            allowed = ~(1ul << i);
            one_vmrun();
        }
        allowed = ENABLE;
        one_vmrun();
        allowed = ENABLE | features;
        one_vmrun();
        allowed = ENABLE - 1;
        one_vmrun();
    }
    ktap_end("masks of SEV_FEATURES that are allowed");
    vm_spoil = NULL;
}

/* A guest without SNP, its VMSA in a page of the host's */
static void suite_es(void)
{
    static uint8_t page[4096] __attribute__((aligned(4096)));
    Exit x;

    ktap_begin();
    for (unsigned i = 1; i < 64; i++) {
        /* VMRUN-SECURE-TSC, VMRUN-RESTRICTED: they are SNP guests' */
        bool good = available(1ul << i) && i != 9 && i != 3;

        vm_fill_vmsa(page, i_pause);
        put64(page, FEATURES, 1ul << i);
        vm_vmsa = (uint64_t)page;
        vm_run(OWNER, i_pause, 0, 0, 0, &x);
        vm_vmsa = 0;
        /* one that is entered does not get far: its pages are an SNP guest's */
        if (cell(window_check() && refused(&x) == !good)) {
            print("# features %lx: exit %lx\n", 1ul << i, x.code);
        }
    }
    ktap_end("each bit of SEV_FEATURES, of a guest without SNP");
}

/* ---- debug registers ---- */

#define DR_GET(n, v)  asm volatile("mov %%db" #n ", %0" : "=r"(v))
#define DR_SET(n, v)  asm volatile("mov %0, %%db" #n : : "r"((uint64_t)(v)))

static const uint32_t mask_msr[4] = {
    0xc0011027, 0xc0011019, 0xc001101a, 0xc001101b
};

/* DR0 to DR3 are a and the next ones, their masks m and the next ones */
typedef struct Debug {
    uint64_t a, m;
} Debug;

static const Debug of_host = { 0xffff800000001000, 0x10 },
                   of_area = { 0xffff900000002000, 0xfffffff0 },
                   of_vmsa = { 0x0000400000003000, 0x20 },
                   of_guest = { 0x0000500000004000, 0x80000000 };

static void set_debug(const Debug *d)
{
    DR_SET(0, d->a);
    DR_SET(1, d->a + 1);
    DR_SET(2, d->a + 2);
    DR_SET(3, d->a + 3);
    for (unsigned i = 0; i < 4; i++) {
        wrmsr(mask_msr[i], d->m + i);
    }
}

static bool is_debug(const uint64_t *v, const Debug *d)
{
    bool same = true;

    for (unsigned i = 0; i < 4; i++) {
        same &= v[i] == d->a + i && v[4 + i] == d->m + i;
    }
    return same;
}

/* Are the processor's as that? DR7 and DR6 are reset at #VMEXIT. */
static bool host_has(const Debug *d)
{
    uint64_t v[8], dr7, dr6;

    DR_GET(0, v[0]);
    DR_GET(1, v[1]);
    DR_GET(2, v[2]);
    DR_GET(3, v[3]);
    DR_GET(6, dr6);
    DR_GET(7, dr7);
    for (unsigned i = 0; i < 4; i++) {
        v[4 + i] = rdmsr(mask_msr[i]);
    }
    return is_debug(v, d) && dr7 == 0x400 && dr6 == 0xffff0ff0;
}

static void put_debug(uint8_t *save, const Debug *d)
{
    for (unsigned i = 0; i < 4; i++) {
        put64(save, VMSA_DR + 8 * i, d->a + i);
        put64(save, VMSA_DR + 32 + 8 * i, d->m + i);
    }
}

static bool vmsa_has(const Debug *d)
{
    uint64_t v[8];

    copy(v, vm_vmsa_of(OWNER) + VMSA_DR, sizeof(v));
    return is_debug(v, d);
}

static void spoil_debug(uint8_t *v, uint8_t *save)
{
    (void)v;
    put64(save, FEATURES, features);
    put_debug(save, &of_vmsa);
}

/* A watched byte of the page that is shared, the guest's 20000h */
static void spoil_watch(uint8_t *v, uint8_t *save)
{
    spoil_debug(v, save);
    put64(save, VMSA_DR, 0x20008);
    put64(save, 0x160, 0x90401);        /* DR7: 8 bytes of DR0, writes */
}

static void told(bool bad, const char *what, const Exit *x)
{
    if (bad) {
        print("# %s: exit %lx, answer %lx: vector %lx, DR0 %lx then %lx\n",
              what, x->code, x->answer.kind, x->answer.vector,
              x->answer.more[0], x->answer.more[8]);
    }
}

/* ES-DEBUG-SWAP: the guest has its own, the host what the save area says */
static void swapped(bool swap)
{
    const Debug *back = swap ? &of_area : &of_guest;
    Exit x;

    features = SNP_ACTIVE | (swap ? DEBUG_SWAP : 0);
    put_debug(hsave + 0x400, &of_area);
    set_debug(&of_host);
    vm_spoil = spoil_debug;
    vm_run(OWNER, g_debug_turn, of_guest.a, 0, of_guest.m, &x);
    vm_spoil = NULL;
    told(cell(x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_NONE &&
              is_debug(x.answer.more, swap ? &of_vmsa : &of_host)),
         "what the guest finds", &x);
    told(cell(host_has(back)), "what the host finds", &x);
    told(cell(vmsa_has(swap ? &of_guest : &of_vmsa)), "the VMSA", &x);
    set_debug(&of_host);
    vm_again(&x);
    told(cell(done(&x) && is_debug(x.answer.more + 8,
                                   swap ? &of_guest : &of_host)),
         "what the guest finds later", &x);
    told(cell(host_has(swap ? &of_area : &of_host)),
         "what the host finds later", &x);
    cell(window_check());
}

static void suite_debug(void)
{
    Exit x;

    ktap_begin();
    if (!has(14)) {
        impossible("CPUID has no debug swap (VMRUN-SEV-FEATURES)");
        ktap_end("debug registers of guest and host");
        return;
    }
    swapped(false);
    swapped(true);
    /* it is the guest's own #DB, and nobody else's */
    set_debug(&of_host);
    vm_spoil = spoil_watch;
    vm_run(OWNER, i_pause, 0, 0, 0, &x);
    vm_spoil = NULL;
    told(cell(x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_TRAP &&
              x.answer.vector == VEC_DB && host_has(&of_area)),
         "a data breakpoint", &x);
    /* MSR-DR-MASK-RSVD */
    for (unsigned i = 0; i < 4; i++) {
        Probe p = probe(op_wrmsr, mask_msr[i], 1ul << 32);

        cell(p.vector == VEC_GP && rdmsr(mask_msr[i]) == of_area.m + i);
    }
    cell(window_check());
    ktap_end("debug registers of guest and host");
}

/* ---- clocks ---- */

static uint64_t scale, offset, vmcb_offset;
static bool intercepted;

static void spoil_clock(uint8_t *v, uint8_t *save)
{
    (void)save;
    put64(v, VMCB_OFFSET, vmcb_offset);
    if (intercepted) {
        v[0x6e / 8] |= 1u << 0x6e % 8;
    }
}

/*
 * Runs @op by a VMSA that the guest makes for itself: into those it launches
 * the firmware puts its own factor.
 */
static void run_own(const char *op, uint64_t rcx, Exit *x)
{
    Update pre = { .assigned = 1, .immutable = 1, .asid = asid_of[OWNER] };
    uint64_t page;
    bool size_2m;
    Entry e;

    if (state_make(HYPERVISOR, false, 1, &page)) {
        bail("there is no free page");
    }
    vm_window(page, false);
    vm_fill_vmsa((void *)page, op);
    put64((uint8_t *)page, FEATURES, features);
    put64((uint8_t *)page, VMSA_SCALE, scale);
    put64((uint8_t *)page, VMSA_OFFSET, offset);
    put64((uint8_t *)page, 0x308, rcx);
    pre.gpa = GPA_BASE + page % SIZE_2M;
    do_update(page, &pre);
    do_launch_update(KEEP_PAGE(KEEP_GCTX), page, false, TYPE_NORMAL);
    vm_spoil = NULL;
    vm_run(OWNER, g_rmpadjust, vm_va(WAY_RIGHT, true, page), 0, 0x10101, x);
    e = entry_of(page, &size_2m);
    e.vmsa = true;
    model_set(page, &e, size_2m);
    if (!done(x) || x->answer.rax) {
        bail("the guest cannot make a VMSA");
    }
    vm_vmsa = page;
    vm_spoil = spoil_clock;
    vm_run(OWNER, op, 0, rcx, 0, x);
    vm_spoil = NULL;
    vm_vmsa = 0;
}

static uint64_t tsc(void)
{
    uint32_t lo, hi;

    asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
    return (uint64_t)hi << 32 | lo;
}

static uint64_t scaled(uint64_t v)
{
    return ((unsigned __int128)v * scale) >> 32;
}

/* SNP-SECURE-TSC: between what it was before VMRUN and after #VMEXIT */
static void one_clock(void)
{
    uint64_t from, to, one, back;
    bool good = true;
    Exit x;

    from = tsc();
    run_own(g_clock, 0, &x);
    to = tsc();
    for (unsigned i = 0; i < 3; i++) {
        uint64_t v = x.answer.more[i] - offset;

        good &= v >= scaled(from) && v <= scaled(to) &&
                (!i || x.answer.more[i] >= x.answer.more[i - 1]);
    }
    if (cell(window_check() && done(&x) && good)) {
        print("# factor %lx, offset %lx: %lx %lx %lx, not from %lx to %lx\n",
              scale, offset, x.answer.more[0], x.answer.more[1],
              x.answer.more[2], scaled(from) + offset, scaled(to) + offset);
    }
    /* MSR-GUEST-TSC-FREQ: the processor's, by the factor */
    one = x.answer.more[3];
    back = scale;
    scale = 1ul << 32;
    run_own(g_clock, 0, &x);
    scale = back;
    from = scaled(x.answer.more[3] * 1000 - 500);
    to = scaled(x.answer.more[3] * 1000 + 500);
    if (cell(done(&x) && x.answer.more[3] && one * 1000 + 500 >= from &&
             one * 1000 <= to + 500)) {
        print("# factor %lx: %lx MHz, of %lx\n", scale, one,
              x.answer.more[3]);
    }
}

static void suite_clock(void)
{
    static const struct {
        uint64_t scale, offset;
    } rows[] = {
        { 1ul << 32, 0 }, { 1ul << 32, 1ul << 40 }, { 1ul << 31, 0 },
        { 3ul << 32, 12345 }, { 0x123456789, -1ul << 50 }, { 0, 77 },
        { 0xffffffffff, 0 },
    };
    uint64_t from, to;
    Exit x;

    ktap_begin();
    /* without it the clock is the VMCB's to set */
    features = SNP_ACTIVE;
    scale = 3ul << 32;
    offset = 1ul << 50;
    vmcb_offset = 1ul << 44;
    from = tsc();
    run_own(g_tsc, 0, &x);
    to = tsc();
    cell(window_check() && done(&x) &&
         x.answer.more[0] - vmcb_offset >= from &&
         x.answer.more[0] - vmcb_offset <= to);
    if (!has(8)) {
        impossible("CPUID has no secure TSC (VMRUN-SEV-FEATURES)");
        ktap_end("clocks of guests");
        return;
    }
    /* MSR-GUEST-TSC-FREQ is of such guests only */
    run_own(i_rdmsr, GUEST_FREQ, &x);
    cell(x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_TRAP &&
         x.answer.vector == VEC_GP);
    cell(probe(op_rdmsr, GUEST_FREQ, 0).vector == VEC_GP);
    cell(probe(op_wrmsr, GUEST_FREQ, 1).vector == VEC_GP);
    features = SNP_ACTIVE | SECURE_TSC;
    run_own(i_wrmsr, GUEST_FREQ, &x);
    cell(x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_TRAP &&
         x.answer.vector == VEC_GP);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        scale = rows[i].scale;
        offset = rows[i].offset;
        one_clock();
    }
    /* an intercept is #VC, as in any guest */
    intercepted = true;
    run_own(i_rdtsc, 0, &x);
    intercepted = false;
    cell(window_check() && x.code == EXIT_VMGEXIT &&
         x.answer.kind == ANSWER_TRAP && x.answer.vector == VEC_VC &&
         x.answer.error == 0x6e);
    /* FW-UPDATE-VMSA-TSC: nobody has asked for a frequency here */
    vm_spoil = spoil_features;
    allowed = 0;
    vm_run(OWNER, g_clock, 0, 0, 0, &x);
    vm_spoil = NULL;
    cell(window_check() && done(&x) && !x.answer.more[0] &&
         !x.answer.more[2] && !x.answer.more[3]);
    ktap_end("clocks of guests");
}

/* DB-NESTED: what #DB's own delivery writes to raises no other */
static void suite_nested(void)
{
    static uint64_t watched;
    uint32_t r[4];
    uint64_t dr6;
    Probe p;

    cpuid(0x80000000, 0, r);
    if (r[0] >= 0x80000021) {
        cpuid(0x80000021, 0, r);
    } else {
        r[0] = 0;
    }
    ktap_begin();
    if (r[0] & 1) {
        DR_SET(6, 0);
        p = probe(op_watched, (uint64_t)&watched, STALE);
        DR_GET(6, dr6);
        DR_SET(7, 0);
        if (cell(p.vector == VEC_DB && (dr6 & 15) == 1 && watched == STALE)) {
            print("# vector %u, DR6 %lx\n", (unsigned)p.vector, dr6);
        }
    } else {
        impossible("CPUID does not say what breakpoints on #DB's stack do "
                   "(DB-NESTED)");
    }
    ktap_end("a data breakpoint where #DB puts its frame");
}

/* RMPQUERY-UD: of a page of the guest's own, so that nothing else is wrong */
static void suite_query(void)
{
    uint64_t page;
    bool good;
    Exit x;

    ktap_begin();
    if (state_make(GUEST_VALID, false, 1, &page)) {
        bail("there is no page of a guest");
    }
    vm_window(page, false);
    vm_run(OWNER, g_rmpquery, vm_va(WAY_RIGHT, true, page), ~0ul, 1, &x);
    good = has(6) ? done(&x) && !x.answer.rax && !x.answer.more[0]
                  : x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_TRAP &&
                    x.answer.vector == VEC_UD;
    if (cell(window_check() && good)) {
        print("# exit %lx, answer %lx, vector %lx, RAX %lx, RCX %lx\n", x.code,
              x.answer.kind, x.answer.vector, x.answer.rax,
              x.answer.more[0]);
    }
    ktap_end("RMPQUERY, by what CPUID says");
}

void suite_features(void)
{
    uint32_t r[4];

    ktap_plan(10);
    cpuid(0x8000001f, 0, r);
    announced = r[0];
    suite_nested();
    window_init();
    vm_init();
    suite_query();
    suite_bits();
    suite_es();
    suite_debug();
    suite_clock();
    suite_injected(announced);
    suite_held(announced);
}
