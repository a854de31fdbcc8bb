/*
 * Every exit, and what VMRUN refuses
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 15.35.4 and 15.35.5 (automatic and non-automatic exits),
 * 15.5.1, 15.34.2, 15.35.2, 15.35.3, 15.36.7, 15.36.16 (consistency checks).
 * An intercept's bit in the VMCB is its exit code, counted from the VMCB's
 * first byte.
 */
#include "vm.h"

#define MSR_HSAVE     0xc0010117
#define EXIT_INVALID  (~0ul)            /* VMEXIT_INVALID, -1 */
#define EXIT_SHUTDOWN 0x07ful
#define EXIT_VINTR    0x064ul

static void set_bit(uint8_t *p, unsigned bit)
{
    p[bit / 8] |= 1u << bit % 8;
}

static uint64_t entry_point(const char *op)
{
    return 0x10000 + (op - blob);
}

/* ---- exits of instructions ---- */

#define INSNS(X) \
    X(cpuid) X(rdtsc) X(rdtscp) X(rdpmc) X(invd) X(wbinvd) X(invlpg) \
    X(invlpga) X(in) X(out) X(rdmsr) X(wrmsr) X(vmmcall) X(vmrun) X(vmload) \
    X(vmsave) X(stgi) X(clgi) X(skinit) X(icebp) X(monitor) X(mwait) \
    X(xsetbv) X(pushf) X(popf) X(iret) X(int) X(sidt) X(sgdt) X(sldt) X(str) \
    X(lidt) X(lgdt) X(lldt) X(ltr) X(from_cr0) X(from_cr3) X(from_cr4) \
    X(from_cr8) X(to_cr0) X(to_cr3) X(to_cr4) X(to_cr8) X(from_dr0) \
    X(from_dr7) X(to_dr0) X(to_dr7) X(int3) X(ud2) X(div) X(hlt) X(pause) \
    X(triple)
#define DECLARE(n) extern char i_##n[];
INSNS(DECLARE)

/* What an instruction is if nobody intercepts it */
enum { DONE, EXCEPTION = 0x100, ALWAYS = 0x200, UNTRIED = 0x300 };

typedef enum Class { NAE, AE, AE_NEXT } Class;

#define STAR      0xc0000081
#define EFER      0xc0000080
#define CR0       0x80010011ul
#define CR3       0x13000ul
#define CR4       0x40620ul

static const struct {
    const char *name, *op;
    unsigned code;
    Class class;
    uint64_t rax, rcx, rdx;
    unsigned free;          /* one of the above, plus vector */
} exits[] = {
    { "CPUID", i_cpuid, 0x72, NAE, 0, 0, 0, ALWAYS },
    { "RDTSC", i_rdtsc, 0x6e, NAE, 0, 0, 0, DONE },
    { "RDTSCP", i_rdtscp, 0x87, NAE, 0, 0, 0, DONE },
    { "RDPMC", i_rdpmc, 0x6f, NAE, 0, 0, 0, UNTRIED },
    { "INVD", i_invd, 0x76, NAE, 0, 0, 0, DONE },
    { "WBINVD", i_wbinvd, 0x89, NAE, 0, 0, 0, DONE },
    { "INVLPG", i_invlpg, 0x79, NAE, GIB, 0, 0, DONE },
    { "INVLPGA", i_invlpga, 0x7a, NAE, GIB, 0, 0, UNTRIED },
    { "IN", i_in, 0x7b, NAE, 0, 0, 0, ALWAYS },
    { "OUT", i_out, 0x7b, NAE, 0, 0, 0, ALWAYS },
    { "RDMSR", i_rdmsr, 0x7c, NAE, 0, STAR, 0, DONE },
    { "WRMSR", i_wrmsr, 0x7c, NAE, 0, STAR, 0, DONE },
    { "VMMCALL", i_vmmcall, 0x81, NAE, 0, 0, 0, EXCEPTION + VEC_UD },
    { "VMRUN", i_vmrun, 0x80, NAE, 0x20000, 0, 0, UNTRIED },
    { "VMLOAD", i_vmload, 0x82, NAE, 0x20000, 0, 0, UNTRIED },
    { "VMSAVE", i_vmsave, 0x83, NAE, 0x20000, 0, 0, UNTRIED },
    { "STGI", i_stgi, 0x84, NAE, 0, 0, 0, UNTRIED },
    { "CLGI", i_clgi, 0x85, NAE, 0, 0, 0, UNTRIED },
    { "SKINIT", i_skinit, 0x86, NAE, 0, 0, 0, UNTRIED },
    { "ICEBP", i_icebp, 0x88, NAE, 0, 0, 0, UNTRIED },
    { "MONITOR", i_monitor, 0x8a, NAE, 0x20000, 0, 0, UNTRIED },
    { "MWAIT", i_mwait, 0x8b, NAE, 0, 0, 0, UNTRIED },
    { "XSETBV", i_xsetbv, 0x8d, NAE, 1, 0, 0, DONE },
    { "PUSHF", i_pushf, 0x70, NAE, 0, 0, 0, DONE },
    { "POPF", i_popf, 0x71, NAE, 0, 0, 0, DONE },
    { "IRET", i_iret, 0x74, NAE, 0, 0, 0, UNTRIED },
    { "INT", i_int, 0x75, NAE, 0, 0, 0, EXCEPTION + VEC_GP },
    { "SIDT", i_sidt, 0x66, NAE, 0, 0, 0, DONE },
    { "SGDT", i_sgdt, 0x67, NAE, 0, 0, 0, DONE },
    { "SLDT", i_sldt, 0x68, NAE, 0, 0, 0, DONE },
    { "STR", i_str, 0x69, NAE, 0, 0, 0, DONE },
    { "LIDT", i_lidt, 0x6a, NAE, 0x20000, 0, 0, UNTRIED },
    { "LGDT", i_lgdt, 0x6b, NAE, 0x20000, 0, 0, UNTRIED },
    { "LLDT", i_lldt, 0x6c, NAE, 0, 0, 0, DONE },
    { "LTR", i_ltr, 0x6d, NAE, 0, 0, 0, UNTRIED },
    { "MOV from CR0", i_from_cr0, 0x00, NAE, 0, 0, 0, DONE },
    { "MOV from CR3", i_from_cr3, 0x03, NAE, 0, 0, 0, DONE },
    { "MOV from CR4", i_from_cr4, 0x04, NAE, 0, 0, 0, DONE },
    { "MOV from CR8", i_from_cr8, 0x08, NAE, 0, 0, 0, DONE },
    { "MOV to CR0", i_to_cr0, 0x10, NAE, CR0, 0, 0, DONE },
    { "MOV to CR3", i_to_cr3, 0x13, NAE, CR3, 0, 0, DONE },
    { "MOV to CR4", i_to_cr4, 0x14, NAE, CR4, 0, 0, DONE },
    { "MOV to CR8", i_to_cr8, 0x18, NAE, 5, 0, 0, DONE },
    { "MOV from DR0", i_from_dr0, 0x20, NAE, 0, 0, 0, DONE },
    { "MOV from DR7", i_from_dr7, 0x27, NAE, 0, 0, 0, DONE },
    { "MOV to DR0", i_to_dr0, 0x30, NAE, 0, 0, 0, DONE },
    { "MOV to DR7", i_to_dr7, 0x37, NAE, 0x400, 0, 0, DONE },
    { "#DE", i_div, 0x40, NAE, 0, 0, 0, EXCEPTION + 0 },
    { "#BP", i_int3, 0x43, NAE, 0, 0, 0, EXCEPTION + 3 },
    { "#UD", i_ud2, 0x46, NAE, 0, 0, 0, EXCEPTION + VEC_UD },
    { "#GP", g_read, 0x4d, NAE, 1ul << 63, 0, 0, EXCEPTION + VEC_GP },
    { "#PF", g_read, 0x4e, NAE, 0x1ff000, 0, 0, EXCEPTION + VEC_PF },
    { "PAUSE", i_pause, 0x77, AE_NEXT, 0, 0, 0, DONE },
    { "HLT", i_hlt, 0x78, AE_NEXT, 0, 0, 0, UNTRIED },
    { "SHUTDOWN", i_triple, 0x7f, AE, 0x20000, 0, 0, UNTRIED },
    /* traps: after the write, EXITINFO1 is the new value */
    { "EFER write", i_wrmsr, 0x8f, AE_NEXT, 0x1d00, EFER, 0, DONE },
    { "CR0 write", i_to_cr0, 0x90, AE_NEXT, CR0, 0, 0, DONE },
    { "CR4 write", i_to_cr4, 0x94, AE_NEXT, CR4, 0, 0, DONE },
    { "CR8 write", i_to_cr8, 0x98, AE_NEXT, 5, 0, 0, DONE },
};

static unsigned intercept;      /* 0xffff: none but what has to be */

static void only_intercept(uint8_t *v, uint8_t *save)
{
    (void)save;
    zero(v, 0x18);
    set_bit(v, 0x80);           /* VMRUN, without which there is no guest */
    set_bit(v, 0x7f);
    if (intercept != 0xffff) {
        set_bit(v, intercept);
    }
}

static void shown(const char *name, Guest g, const Exit *x)
{
    print("# %s, guest %u: exit %lx %lx %lx, answer %lx vector %lx "
          "error %lx rip %lx\n", name, g, x->code, x->info1, x->info2,
          x->answer.kind, x->answer.vector, x->answer.error, x->answer.rip);
}

static bool is_vc(const Exit *x, uint64_t code, const char *op)
{
    return x->code == EXIT_VMGEXIT && x->answer.kind == ANSWER_TRAP &&
           x->answer.vector == VEC_VC && x->answer.error == code &&
           x->answer.rip == entry_point(op);
}

static bool is_done(const Exit *x)
{
    return x->code == EXIT_VMGEXIT && x->answer.kind == ANSWER_DONE;
}

/* An SNP guest, with the one intercept set */
static bool intercepted(unsigned i)
{
    bool trap = exits[i].code >= 0x8f && exits[i].code <= 0x9f;
    Exit x;

    intercept = exits[i].code;
    vm_run(OWNER, exits[i].op, exits[i].rax, exits[i].rcx, exits[i].rdx, &x);
    if (exits[i].class == NAE) {
        /* ES-NAE: nothing of it is the host's to see */
        return is_vc(&x, exits[i].code, exits[i].op) || (shown(exits[i].name,
               OWNER, &x), false);
    }
    if (x.code != exits[i].code || x.answer.kind != ANSWER_NONE ||
        (trap && x.info1 != exits[i].rax)) {
        shown(exits[i].name, OWNER, &x);
        return false;
    }
    if (exits[i].class == AE) {
        return true;
    }
    /* ES-AE-NEXT: the guest goes on behind the instruction */
    vm_again(&x);
    return is_done(&x) || (shown(exits[i].name, OWNER, &x), false);
}

static bool not_intercepted(unsigned i)
{
    unsigned vector = exits[i].free & 0xff;
    bool good;
    Exit x;

    intercept = 0xffff;
    vm_run(OWNER, exits[i].op, exits[i].rax, exits[i].rcx, exits[i].rdx, &x);
    switch (exits[i].free & ~0xffu) {
    case ALWAYS:
        /* SNP-CPUID-IOIO */
        good = is_vc(&x, exits[i].code, exits[i].op);
        break;
    case EXCEPTION:
        good = x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_TRAP &&
               x.answer.vector == vector;
        break;
    default:
        good = is_done(&x);
    }
    if (!good) {
        shown(exits[i].name, OWNER, &x);
    }
    return good;
}

/* A guest without SNP: all are exits, with the instruction before it */
static bool plain_exit(unsigned i)
{
    Exit x;

    intercept = exits[i].code;
    vm_run(PLAIN, exits[i].op, exits[i].rax, exits[i].rcx, exits[i].rdx, &x);
    if (x.code == exits[i].code && x.answer.kind == ANSWER_NONE) {
        return true;
    }
    shown(exits[i].name, PLAIN, &x);
    return false;
}

static void suite_exits(void)
{
    vm_spoil = only_intercept;
    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(exits); i++) {
        bool good = intercepted(i);

        cell(window_check() && good);
    }
    ktap_end("an SNP guest's intercepted instructions");

    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(exits); i++) {
        if (exits[i].free != UNTRIED) {
            bool good = not_intercepted(i);

            cell(window_check() && good);
        }
    }
    ktap_end("an SNP guest's instructions that are not intercepted");

    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(exits); i++) {
        if (exits[i].code < 0x8f) {
            bool good = plain_exit(i);

            cell(window_check() && good);
        }
    }
    ktap_end("the same instructions of a guest without SNP");
    vm_spoil = NULL;
}

/* ---- exits of memory and interrupts ---- */

static bool pending;            /* a virtual interrupt, and IF */

static void spoil_vintr(uint8_t *v, uint8_t *save)
{
    if (pending) {
        /* V_IRQ, priority 15, V_IGN_TPR, vector 20h */
        put64(v, 0x060, 1ul << 8 | 15ul << 16 | 1ul << 20 | 0x20ul << 32);
        set_bit(v, EXIT_VINTR);
        put64(save, 0x170, 0x202);
    }
}

static void suite_memory(void)
{
    Exit x;

    ktap_begin();
    /* NPF-ENC: a page that is not there, by C-bit */
    for (unsigned c = 0; c < 2; c++) {
        vm_window(WINDOW, false);
        vm_leaf(0);
        vm_run(OWNER, g_read, vm_va(WAY_RIGHT, c, 0), 0, 0, &x);
        if (cell(x.code == EXIT_NPF && !(x.info1 & (NPF_P | NPF_RMP)) &&
                 (x.info1 & NPF_FINAL) && !(x.info1 & NPF_ENC) == !c &&
                 (x.info2 & ~0xffful) == GPA_BASE)) {
            shown("not present", OWNER, &x);
        }
    }
    /* ES-NPF-RSVD: reserved bits mean MMIO, and are the guest's */
    vm_leaf(NPT_RESERVED);
    vm_run(OWNER, g_read, vm_va(WAY_RIGHT, false, 0), 0, 0, &x);
    if (cell(is_vc(&x, EXIT_NPF, g_read))) {
        shown("reserved bits", OWNER, &x);
    }
    vm_run(PLAIN, g_read, vm_va(WAY_RIGHT, false, 0), 0, 0, &x);
    if (cell(x.code == EXIT_NPF && (x.info1 & 8))) {
        shown("reserved bits", PLAIN, &x);
    }
    vm_window(WINDOW, false);
    /* ES-AE-EVENTS */
    vm_spoil = spoil_vintr;
    pending = true;
    for (Guest g = OWNER; g < NGUESTS; g += PLAIN) {
        vm_run(g, i_pause, 0, 0, 0, &x);
        if (cell(x.code == EXIT_VINTR && x.answer.kind == ANSWER_NONE)) {
            shown("virtual interrupt", g, &x);
        }
    }
    vm_spoil = NULL;
    cell(window_check());
    ktap_end("exits for memory and interrupts");
}

/* ---- what VMRUN refuses ---- */

typedef enum Where { CONTROL, SAVE } Where;
enum { SNP = 1, ORDINARY = 2, BOTH = 3 };

/* One field of VMCB or save area: (old & keep) | set, and VMRUN ends with -1 */
static const struct {
    const char *name;
    Where where;
    uint8_t guests;
    unsigned at;
    uint64_t keep, set;
} bad_fields[] = {
    { "no VMRUN intercept", CONTROL, BOTH, 0x010, ~1ul, 0 },
    { "ASID 0", CONTROL, BOTH, 0x058, ~0xfffffffful, 0 },
    { "MSR permissions beyond memory", CONTROL, BOTH, 0x048, 0, 1ul << 50 },
    { "port permissions beyond memory", CONTROL, BOTH, 0x040, 0, 1ul << 50 },
    /* VMRUN-VMSA-STATE */
    { "EFER.SVME 0", SAVE, BOTH, 0x0d0, ~0x1000ul, 0 },
    { "EFER bit 63", SAVE, BOTH, 0x0d0, ~0ul, 1ul << 63 },
    { "CR0.NW without CD", SAVE, BOTH, 0x158, ~0ul, 1ul << 29 },
    { "CR0 bit 32", SAVE, BOTH, 0x158, ~0ul, 1ul << 32 },
    { "CR0 bit 63", SAVE, BOTH, 0x158, ~0ul, 1ul << 63 },
    { "CR3 bit 50", SAVE, BOTH, 0x150, ~0ul, 1ul << 50 },
    { "CR4 bit 31", SAVE, BOTH, 0x148, ~0ul, 1ul << 31 },
    { "CR4 bit 63", SAVE, BOTH, 0x148, ~0ul, 1ul << 63 },
    { "DR6 bit 32", SAVE, BOTH, 0x168, ~0ul, 1ul << 32 },
    { "DR7 bit 63", SAVE, BOTH, 0x160, ~0ul, 1ul << 63 },
    { "LME and PG without PAE", SAVE, BOTH, 0x148, ~0x20ul, 0 },
    { "LME and PG without PE", SAVE, BOTH, 0x158, ~1ul, 0 },
    { "CS.L and CS.D", SAVE, BOTH, 0x010, ~0ul, 1ul << (16 + 10) },
    { "event of type 1", CONTROL, BOTH, 0x0a8, 0, 1ul << 31 | 1ul << 8 },
    { "event of type 7", CONTROL, BOTH, 0x0a8, 0, 1ul << 31 | 7ul << 8 },
    { "exception 2", CONTROL, BOTH, 0x0a8, 0, 1ul << 31 | 3ul << 8 | 2 },
    { "exception 32", CONTROL, BOTH, 0x0a8, 0, 1ul << 31 | 3ul << 8 | 32 },
    /* VMRUN-ES-EVENTINJ */
    { "software interrupt", CONTROL, SNP, 0x0a8, 0,
      1ul << 31 | 4ul << 8 | 0x20 },
    { "#BP", CONTROL, SNP, 0x0a8, 0, 1ul << 31 | 3ul << 8 | 3 },
    { "#OF", CONTROL, SNP, 0x0a8, 0, 1ul << 31 | 3ul << 8 | 4 },
    /* VMRUN-SEV-NP, VMRUN-ES-SEV, VMRUN-ES-LBR */
    { "SEV without nested paging", CONTROL, SNP, 0x090, 0, 6 },
    { "SEV-ES without SEV", CONTROL, SNP, 0x090, 0, 5 },
    { "SEV-ES without LBR", CONTROL, SNP, 0x0b8, 0, 0 },
    /* VMRUN-SEV-ASID, VMRUN-ES-ASID */
    { "SEV, ASID of SEV-ES", CONTROL, SNP, 0x090, 0, 3 },
    { "SEV-ES, ASID of SEV", CONTROL, SNP, 0x058, 0, 100 },
    { "SEV-ES, ASID of nobody", CONTROL, SNP, 0x058, 0, 600 },
    { "another guest's ASID", CONTROL, SNP, 0x058, 0, 8 },
    /* VMRUN-VMSA-XSTATE: AMX tiles, and a bit of nothing */
    { "XCR0 bit 18", SAVE, SNP, 0x3e8, ~0ul, 1ul << 18 },
    { "XCR0 bit 62", SAVE, SNP, 0x3e8, ~0ul, 1ul << 62 },
    { "XSS bit 63", SAVE, SNP, 0x140, ~0ul, 1ul << 63 },
    /* VMRUN-SEV-FEATURES; the VMSA keeps SNP active */
    { "SEV_FEATURES 1", SAVE, SNP, 0x3b0, ~0ul, 1ul << 1 },
    { "SEV_FEATURES 22", SAVE, SNP, 0x3b0, ~0ul, 1ul << 22 },
    { "SEV_FEATURES 63", SAVE, SNP, 0x3b0, ~0ul, 1ul << 63 },
};

static unsigned which;

static void spoil_field(uint8_t *v, uint8_t *save)
{
    uint8_t *p = (bad_fields[which].where == CONTROL ? v : save) +
                 bad_fields[which].at;
    uint64_t old;

    copy(&old, p, sizeof(old));
    put64(p, 0, (old & bad_fields[which].keep) | bad_fields[which].set);
}

static void refused(const char *name, Guest g, const Exit *x)
{
    if (cell(window_check() && x->code == EXIT_INVALID &&
             x->answer.kind == ANSWER_NONE)) {
        shown(name, g, x);
    }
}

static void suite_fields(void)
{
    Exit x;

    ktap_begin();
    vm_spoil = spoil_field;
    for (which = 0; which < ARRAY_SIZE(bad_fields); which++) {
        if (bad_fields[which].guests & SNP) {
            vm_run(OWNER, i_pause, 0, 0, 0, &x);
            refused(bad_fields[which].name, OWNER, &x);
        }
        if (bad_fields[which].guests & ORDINARY) {
            vm_run(PLAIN, i_pause, 0, 0, 0, &x);
            refused(bad_fields[which].name, PLAIN, &x);
        }
    }
    vm_spoil = NULL;
    vm_run(OWNER, i_pause, 0, 0, 0, &x);
    cell(is_done(&x));
    ktap_end("VMRUN and fields that are not consistent");
}

/* ---- what must not bring the machine down ---- */

static void spoil_task(uint8_t *v, uint8_t *save)
{
    (void)v;
    save[0x0cb] = 3;            /* CPL */
    save[0x092] &= ~0x80;       /* TR is not present */
}

static void suite_harm(void)
{
    Exit x;

    ktap_begin();
    /* an exception at CPL 3 needs the stack of a task */
    vm_spoil = spoil_task;
    vm_run(OWNER, i_ud2, 0, 0, 0, &x);
    vm_spoil = NULL;
    if (cell(x.code == EXIT_SHUTDOWN && x.answer.kind == ANSWER_NONE)) {
        shown("no task", OWNER, &x);
    }
    cell(window_check());
    ktap_end("a guest that spoils its task register");
}

/* RMP-VMSA-SNP, VMRUN-VMSA-RMP: a VMSA in a page of every state */
static void suite_vmsa_pages(void)
{
    ktap_begin();
    for (unsigned i = 0; i < 2 * NSTATES; i++) {
        State s = i / 2;
        bool size_2m = i & 1;
        uint64_t spa;
        const char *why = state_make(s, size_2m, 1, &spa);
        Exit x;

        if (why) {
            state_cannot(s, size_2m, why);
            continue;
        }
        if (s == VMSA) {
            impossible();
            continue;
        }
        vm_vmsa = spa;
        vm_run(OWNER, i_pause, 0, 0, 0, &x);
        vm_vmsa = 0;
        refused(state_name[s], OWNER, &x);
    }
    print("# a page that is vmsa: impossible: it is one (RMP-VMSA-SNP)\n");
    ktap_end("VMRUN and a VMSA in a page of every state");
}

/* VMRUN-HSAVE-RMP: given away after VM_HSAVE_PA was set to it */
static void hsave_given_away(void)
{
    const Update reclaim = { .assigned = 1 }, free = { 0 };
    uint64_t spa;

    if (state_make(HYPERVISOR, false, 1, &spa)) {
        bail("no page for a host save area");
    }
    wrmsr(MSR_HSAVE, spa);
    do_update(spa, &reclaim);
    if (cell(vm_gp((uint64_t)vmcb) && window_check())) {
        print("# no #GP: VMRUN with the host save area given away\n");
    }
    do_update(spa, &free);
}

static uint64_t op_cr3(uint64_t v, uint64_t unused)
{
    (void)unused;
    asm volatile("mov %0, %%cr3" : : "r"(v) : "memory");
    return 0;
}

static uint64_t op_vmload(uint64_t at, uint64_t unused)
{
    (void)unused;
    asm volatile("vmload %%rax" : : "a"(at) : "memory");
    return 0;
}

/* MMU-PHYS-REDUCTION: address bits that keys take, and those above */
static void suite_reduced(void)
{
    static ProbeOp *const ops[] = { op_vmsave, op_vmload, op_hsave, op_cr3 };
    uint64_t at = (uint64_t)vmcb, table, *entry, cr3;
    unsigned first, last;
    uint32_t r[4];
    Probe p;

    asm volatile("mov %%cr3, %0" : "=r"(cr3));
    cpuid(0x80000008, 0, r);
    last = r[0] & 0xff;
    cpuid(0x8000001f, 0, r);
    first = last - (r[1] >> 6 & 0x3f);
    ktap_begin();
    cell(first < last);
    if (state_make(HYPERVISOR, false, 1, &table)) {
        bail("no page for a page table");
    }
    entry = (uint64_t *)table + PTE_HOST;
    for (unsigned bit = first; bit < last; bit++) {
        for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
            p = probe(ops[i], (ops[i] == op_cr3 ? cr3 : at) | 1ul << bit, 0);
            if (cell(p.vector == VEC_GP && !p.error)) {
                print("# address bit %u, way %u: vector %d\n", bit, i,
                      p.vector);
            }
        }
        if (cell(vm_gp(at | 1ul << bit))) {
            print("# address bit %u: VMRUN is no #GP\n", bit);
        }
        *entry = 1ul << bit | PTE_RW;
        p = probe(op_read, at_table(table, PTE_HOST), 0);
        /* QEMU leaves out that the page is present, if it is reserved for. */
        if (cell(p.vector == VEC_PF && (p.error | 1) == 9)) {
            print("# bit %u of an entry: vector %d, error %lx\n", bit,
                  p.vector, p.error);
        }
    }
    cell(window_check());
    ktap_end("address bits that memory encryption takes");
}

/* MSR-GHCB-HOST, and what is read-only or stays */
static void suite_msrs(void)
{
    static const uint32_t fixed[] = { 0xc0010130, 0xc0010131, 0xc0010132,
                                      0xc0010133 };
    uint64_t save = rdmsr(MSR_HSAVE);
    Exit x;

    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++) {
        if (cell(probe(op_wrmsr, fixed[i], 0).vector == VEC_GP)) {
            print("# WRMSR of %x is no #GP\n", fixed[i]);
        }
    }
    /* a guest that has one has been here */
    vm_run(OWNER, i_pause, 0, 0, 0, &x);
    cell(probe(op_rdmsr, fixed[0], 0).vector == VEC_GP);
    cell(!rdmsr(fixed[1]));
    vm_run(PLAIN, i_rdmsr, 0, fixed[0], 0, &x);
    if (cell(x.answer.kind == ANSWER_TRAP && x.answer.vector == VEC_GP)) {
        shown("RDMSR of GHCB", PLAIN, &x);
    }
    /* MSR-HSAVE-RMP: of the host that waits for it */
    vm_run(PLAIN, i_wrmsr, save, MSR_HSAVE, 0, &x);
    if (cell(x.answer.kind == ANSWER_TRAP && x.answer.vector == VEC_GP)) {
        shown("WRMSR of VM_HSAVE_PA", PLAIN, &x);
    }
    cell(rdmsr(MSR_HSAVE) == save && window_check());
    ktap_end("MSRs that cannot be read or written");
}

static void suite_vmcb_pages(void)
{
    uint64_t hsave = rdmsr(MSR_HSAVE), at = (uint64_t)vmcb;

    ktap_begin();
    /* VMRUN-VMCB-RMP, MSR-HSAVE-RMP, VMSAVE-RMP */
    for (unsigned i = 0; i < 2 * NSTATES; i++) {
        State s = i / 2;
        bool size_2m = i & 1;
        uint64_t spa;

        if (s == UNCOVERED || state_make(s, size_2m, 1, &spa)) {
            continue;
        }
        if (model_hv_owned(spa, false)) {
            cell(probe(op_hsave, spa, 0).vector == NO_VEC &&
                 window_check());
            cell(probe(op_vmsave, spa, 0).vector == NO_VEC &&
                 window_check());
            continue;
        }
        if (cell(vm_gp(spa) && window_check())) {
            print("# no #GP: VMRUN, VMCB in a page that is %s\n",
                  state_name[s]);
        }
        if (cell(probe(op_hsave, spa, 0).vector == VEC_GP &&
                 window_check())) {
            print("# no #GP: VM_HSAVE_PA of a page that is %s\n",
                  state_name[s]);
        }
        if (cell(probe(op_vmsave, spa, 0).vector == VEC_GP &&
                 window_check())) {
            print("# no #GP: VMSAVE to a page that is %s\n", state_name[s]);
        }
    }
    hsave_given_away();
    wrmsr(MSR_HSAVE, hsave);
    if (cell(vm_gp(at + 8) && vm_gp(1ul << 50))) {
        print("# no #GP: VMRUN of an address that is none of a page\n");
    }
    /* VMRUN-HSAVE-ZERO */
    wrmsr(MSR_HSAVE, 0);
    if (cell(vm_gp(at))) {
        print("# no #GP: VMRUN without VM_HSAVE_PA\n");
    }
    wrmsr(MSR_HSAVE, hsave);
    cell(window_check());
    ktap_end("pages that VMCB and host save area may not lie in, nor VMSAVE "
             "write to");
}

void suite_vmrun(void)
{
    ktap_plan(11);
    window_init();
    vm_init();
    suite_exits();
    suite_memory();
    suite_fields();
    suite_harm();
    suite_vmsa_pages();
    suite_vmcb_pages();
    suite_reduced();
    suite_msrs();
}
