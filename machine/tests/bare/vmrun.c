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

void run_guest(uint64_t vmcb, const uint64_t r[4]);
void host_vmsave(uint64_t pa);

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
    X(triple) X(nop) X(fninit) X(to_ds) X(to_ss) X(into) X(bound) X(from_cr2) \
    X(to_cr2) X(from_dr1) X(from_dr2) X(from_dr3) X(from_dr4) X(from_dr5) \
    X(from_dr6) X(to_dr1) X(to_dr2) X(to_dr3) X(to_dr4) X(to_dr5) X(to_dr6) \
    X(mf) X(mf_at) X(df) X(df_at) X(ts) X(ts_at)
#define DECLARE(n) extern char i_##n[];
INSNS(DECLARE)
extern char i_vmgexit[];

/* What an instruction is if nobody intercepts it */
enum { DONE, EXCEPTION = 0x100, ALWAYS = 0x200, UNTRIED = 0x300 };

/* SILENT: nobody says whether it becomes #VC, or the guest is shut down */
typedef enum Class { NAE, AE, AE_NEXT, SILENT } Class;

#define STAR      0xc0000081
#define EFER      0xc0000080
#define CR0       0x80010011ul
#define CR3       0x13000ul
#define CR4       0x40620ul

/* What some need of the save area besides */

static void watched_nop(uint8_t *save)
{
    asm volatile("mov %0, %%db0" : : "r"(entry_point(i_nop)));
    put64(save, 0x160, 0x401);          /* DR7: L0, execution */
}

/* Code of 32 bits, with OF */
static void mode_32(uint8_t *save)
{
    save[0x12] = 0x9b;
    save[0x13] = 0xc;
    put64(save, 0x170, 0x802);
}

static void cr0_ts(uint8_t *save)
{
    save[0x158] |= 1 << 3;
}

static void cr0_ne(uint8_t *save)
{
    save[0x158] |= 1 << 5;
}

/* VMRUN does not load it, so that only a VMSA's is the guest's. */
static void short_tss(uint8_t *save)
{
    put64(save, 0x90, 0x28 | 0x8bul << 16 | 0x10ul << 32);
}

static const struct {
    const char *name, *op;
    unsigned code;
    Class class;
    uint64_t rax, rcx, rdx;
    unsigned free;          /* one of the above, plus vector */
    void (*more)(uint8_t *save);
    const char *at;         /* the instruction, if it is not the first one */
} exits[] = {
    { "CPUID", i_cpuid, 0x72, NAE, 0, 0, 0, ALWAYS, NULL, NULL },
    { "RDTSC", i_rdtsc, 0x6e, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "RDTSCP", i_rdtscp, 0x87, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "RDPMC", i_rdpmc, 0x6f, NAE, 0, 0, 0, UNTRIED, NULL, NULL },
    { "INVD", i_invd, 0x76, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "WBINVD", i_wbinvd, 0x89, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "INVLPG", i_invlpg, 0x79, NAE, GIB, 0, 0, DONE, NULL, NULL },
    { "INVLPGA", i_invlpga, 0x7a, NAE, GIB, 0, 0, UNTRIED, NULL, NULL },
    { "IN", i_in, 0x7b, NAE, 0, 0, 0, ALWAYS, NULL, NULL },
    { "OUT", i_out, 0x7b, NAE, 0, 0, 0, ALWAYS, NULL, NULL },
    { "RDMSR", i_rdmsr, 0x7c, NAE, 0, STAR, 0, DONE, NULL, NULL },
    { "WRMSR", i_wrmsr, 0x7c, NAE, 0, STAR, 0, DONE, NULL, NULL },
    { "VMMCALL", i_vmmcall, 0x81, NAE, 0, 0, 0,
      EXCEPTION + VEC_UD, NULL, NULL },
    { "VMRUN", i_vmrun, 0x80, NAE, 0x20000, 0, 0, UNTRIED, NULL, NULL },
    { "VMLOAD", i_vmload, 0x82, NAE, 0x20000, 0, 0, UNTRIED, NULL, NULL },
    { "VMSAVE", i_vmsave, 0x83, NAE, 0x20000, 0, 0, UNTRIED, NULL, NULL },
    { "STGI", i_stgi, 0x84, NAE, 0, 0, 0, UNTRIED, NULL, NULL },
    { "CLGI", i_clgi, 0x85, NAE, 0, 0, 0, UNTRIED, NULL, NULL },
    { "SKINIT", i_skinit, 0x86, NAE, 0, 0, 0, UNTRIED, NULL, NULL },
    { "ICEBP", i_icebp, 0x88, NAE, 0, 0, 0, UNTRIED, NULL, NULL },
    { "MONITOR", i_monitor, 0x8a, NAE, 0x20000, 0, 0, UNTRIED, NULL, NULL },
    { "MWAIT", i_mwait, 0x8b, NAE, 0, 0, 0, UNTRIED, NULL, NULL },
    { "XSETBV", i_xsetbv, 0x8d, NAE, 1, 0, 0, DONE, NULL, NULL },
    { "PUSHF", i_pushf, 0x70, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "POPF", i_popf, 0x71, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "IRET", i_iret, 0x74, NAE, 0, 0, 0, UNTRIED, NULL, NULL },
    { "INT", i_int, 0x75, NAE, 0, 0, 0, EXCEPTION + VEC_GP, NULL, NULL },
    { "SIDT", i_sidt, 0x66, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "SGDT", i_sgdt, 0x67, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "SLDT", i_sldt, 0x68, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "STR", i_str, 0x69, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "LIDT", i_lidt, 0x6a, NAE, 0x20000, 0, 0, UNTRIED, NULL, NULL },
    { "LGDT", i_lgdt, 0x6b, NAE, 0x20000, 0, 0, UNTRIED, NULL, NULL },
    { "LLDT", i_lldt, 0x6c, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "LTR", i_ltr, 0x6d, NAE, 0, 0, 0, UNTRIED, NULL, NULL },
    { "MOV from CR0", i_from_cr0, 0x00, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV from CR2", i_from_cr2, 0x02, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV from CR3", i_from_cr3, 0x03, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV from CR4", i_from_cr4, 0x04, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV from CR8", i_from_cr8, 0x08, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV to CR0", i_to_cr0, 0x10, NAE, CR0, 0, 0, DONE, NULL, NULL },
    { "MOV to CR2", i_to_cr2, 0x12, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV to CR3", i_to_cr3, 0x13, NAE, CR3, 0, 0, DONE, NULL, NULL },
    { "MOV to CR4", i_to_cr4, 0x14, NAE, CR4, 0, 0, DONE, NULL, NULL },
    { "MOV to CR8", i_to_cr8, 0x18, NAE, 5, 0, 0, DONE, NULL, NULL },
    { "MOV from DR0", i_from_dr0, 0x20, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV from DR1", i_from_dr1, 0x21, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV from DR2", i_from_dr2, 0x22, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV from DR3", i_from_dr3, 0x23, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV from DR4", i_from_dr4, 0x24, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV from DR5", i_from_dr5, 0x25, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV from DR6", i_from_dr6, 0x26, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV from DR7", i_from_dr7, 0x27, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV to DR0", i_to_dr0, 0x30, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV to DR1", i_to_dr1, 0x31, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV to DR2", i_to_dr2, 0x32, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV to DR3", i_to_dr3, 0x33, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV to DR4", i_to_dr4, 0x34, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV to DR5", i_to_dr5, 0x35, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV to DR6", i_to_dr6, 0x36, NAE, 0, 0, 0, DONE, NULL, NULL },
    { "MOV to DR7", i_to_dr7, 0x37, NAE, 0x400, 0, 0, DONE, NULL, NULL },
    { "#DE", i_div, 0x40, NAE, 0, 0, 0, EXCEPTION + 0, NULL, NULL },
    { "#DB", i_nop, 0x41, NAE, 0, 0, 0, EXCEPTION + VEC_DB, watched_nop, NULL },
    { "#BP", i_int3, 0x43, NAE, 0, 0, 0, EXCEPTION + 3, NULL, NULL },
    { "#OF", i_into, 0x44, NAE, 0, 0, 0, EXCEPTION + 4, mode_32, NULL },
    { "#BR", i_bound, 0x45, NAE, 5, 0, 0, EXCEPTION + 5, mode_32, NULL },
    { "#UD", i_ud2, 0x46, NAE, 0, 0, 0, EXCEPTION + VEC_UD, NULL, NULL },
    { "#NM", i_fninit, 0x47, NAE, 0, 0, 0, EXCEPTION + 7, cr0_ts, NULL },
    { "#DF", i_df, 0x48, SILENT, 1ul << 63, 0, 0, EXCEPTION + 8, NULL,
      i_df_at },
    { "#TS", i_ts, 0x4a, NAE, 0, 0, 0, EXCEPTION + 10, short_tss, i_ts_at },
    { "#NP", i_to_ds, 0x4b, NAE, 0x18, 0, 0, EXCEPTION + 11, NULL, NULL },
    { "#SS", i_to_ss, 0x4c, NAE, 0x18, 0, 0, EXCEPTION + 12, NULL, NULL },
    { "#GP", g_read, 0x4d, NAE, 1ul << 63, 0, 0,
      EXCEPTION + VEC_GP, NULL, NULL },
    { "#PF", g_read, 0x4e, NAE, 0x1ff000, 0, 0,
      EXCEPTION + VEC_PF, NULL, NULL },
    { "#MF", i_mf, 0x50, NAE, 0, 0, 0, EXCEPTION + 16, cr0_ne, i_mf_at },
    { "CR0, more than TS and MP", i_to_cr0, 0x65, NAE, CR0 ^ 1ul << 16, 0, 0,
      DONE, NULL, NULL },
    { "PAUSE", i_pause, 0x77, AE_NEXT, 0, 0, 0, DONE, NULL, NULL },
    { "HLT", i_hlt, 0x78, AE_NEXT, 0, 0, 0, UNTRIED, NULL, NULL },
    { "SHUTDOWN", i_triple, 0x7f, AE, 0x20000, 0, 0, UNTRIED, NULL, NULL },
    /* traps: after the write, EXITINFO1 is the new value */
    { "EFER write", i_wrmsr, 0x8f, AE_NEXT, 0x1d00, EFER, 0, DONE, NULL, NULL },
    { "CR0 write", i_to_cr0, 0x90, AE_NEXT, CR0, 0, 0, DONE, NULL, NULL },
    { "CR4 write", i_to_cr4, 0x94, AE_NEXT, CR4, 0, 0, DONE, NULL, NULL },
    { "CR8 write", i_to_cr8, 0x98, AE_NEXT, 5, 0, 0, DONE, NULL, NULL },
};

static unsigned intercept;      /* 0xffff: none but what has to be */
static unsigned row;            /* of exits[] */

static void only_intercept(uint8_t *v, uint8_t *save)
{
    if (exits[row].more) {
        exits[row].more(save);
    }
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

static const char *insn_of(unsigned i)
{
    return exits[i].at ? exits[i].at : exits[i].op;
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

static uint64_t op_vmgexit(uint64_t unused, uint64_t unused2)
{
    (void)unused;
    (void)unused2;
    asm volatile(".byte 0xf3, 0x0f, 0x01, 0xd9" : : : "memory");
    return 0;
}

/* VMGEXIT-DECODE: a host, and a guest that has no GHCB, have VMMCALL. */
static void suite_vmgexit(void)
{
    static const struct {
        unsigned intercept;
        const char *name;
    } plain[] = { { EXIT_VMMCALL, "VMMCALL" }, { 0x040 + VEC_UD, "#UD" } };
    Probe p;
    Exit x;

    ktap_begin();
    p = probe(op_vmgexit, 0, 0);
    if (cell(p.vector == VEC_UD)) {
        print("# a host's VMGEXIT: vector %d\n", p.vector);
    }
    vm_spoil = only_intercept;
    for (unsigned i = 0; i < ARRAY_SIZE(plain); i++) {
        intercept = plain[i].intercept;
        vm_run(PLAIN, i_vmgexit, 0, 0, 0, &x);
        if (cell(window_check() && x.code == intercept &&
                 x.answer.kind == ANSWER_NONE)) {
            shown(plain[i].name, PLAIN, &x);
        }
    }
    vm_spoil = NULL;
    ktap_end("VMGEXIT of a host and of a guest without SEV-ES");
}

/* An SNP guest, with the one intercept set */
static bool intercepted(unsigned i)
{
    bool trap = exits[i].code >= 0x8f && exits[i].code <= 0x9f;
    Exit x;

    row = i;
    intercept = exits[i].code;
    vm_run(OWNER, exits[i].op, exits[i].rax, exits[i].rcx, exits[i].rdx, &x);
    if (exits[i].class == NAE) {
        /* ES-NAE: nothing of it is the host's to see */
        return is_vc(&x, exits[i].code, insn_of(i)) || (shown(exits[i].name,
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

    row = i;
    intercept = 0xffff;
    vm_run(OWNER, exits[i].op, exits[i].rax, exits[i].rcx, exits[i].rdx, &x);
    switch (exits[i].free & ~0xffu) {
    case ALWAYS:
        /* SNP-CPUID-IOIO */
        good = is_vc(&x, exits[i].code, insn_of(i));
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

    row = i;
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
        bool good;

        if (exits[i].class == SILENT) {
            print("# %s, intercepted: not tried\n", exits[i].name);
            continue;
        }
        good = intercepted(i);
        cell(window_check() && good);
    }
    ktap_end("an SNP guest's intercepted instructions");

    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(exits); i++) {
        if (exits[i].free != UNTRIED) {
            bool good = not_intercepted(i);

            cell(window_check() && good);
        } else {
            print("# %s, not intercepted: not tried\n", exits[i].name);
        }
    }
    ktap_end("an SNP guest's instructions that are not intercepted");

    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(exits); i++) {
        if (exits[i].more == short_tss) {
            print("# %s of a guest without SNP: machine.ordinary has it\n",
                  exits[i].name);
        } else if (exits[i].code < 0x8f) {
            bool good = plain_exit(i);

            cell(window_check() && good);
        }
    }
    ktap_end("the same instructions of a guest without SNP");
    vm_spoil = NULL;
}

/* ---- every code ---- */

/* Who else tries it, why it cannot be, or why nobody does */
typedef enum Lack { ELSEWHERE, NEVER, NOBODY } Lack;

static const char no_register[] =
    "there is no such control or debug register (APM vol 2, 3.1)";
static const char reserved[] =
    "no exception has this vector (APM vol 2, 8.2)";
static const char no_insn[] =
    "the processor has no such instruction (APM vol 2, 15.9)";

static const struct {
    unsigned first, last;
    Lack lack;
    const char *why;
} others[] = {
    { 0x01, 0x01, NEVER, no_register }, { 0x05, 0x07, NEVER, no_register },
    { 0x09, 0x0f, NEVER, no_register }, { 0x11, 0x11, NEVER, no_register },
    { 0x15, 0x17, NEVER, no_register }, { 0x19, 0x1f, NEVER, no_register },
    { 0x28, 0x2f, NEVER, no_register }, { 0x38, 0x3f, NEVER, no_register },
    { 0x42, 0x42, NEVER, "an NMI is no exception: 61h (APM vol 2, 15.12)" },
    { 0x49, 0x49, NEVER, reserved }, { 0x4f, 0x4f, NEVER, reserved },
    { 0x51, 0x51, NOBODY, "TCG raises no #AC" },
    { 0x52, 0x52, ELSEWHERE, "conform.events" },
    { 0x53, 0x53, NOBODY, "TCG raises no #XF" },
    { 0x54, 0x54, NEVER, reserved },
    { 0x55, 0x55, NEVER, "there are no shadow stacks (APM vol 2, 18.1)" },
    { 0x56, 0x5b, NEVER, reserved },
    { 0x5c, 0x5c, NEVER, "#HV is injected only, which nothing intercepts "
                         "(VMRUN-RESTRICTED-EVENTINJ)" },
    { 0x5d, 0x5d, NEVER, "nobody intercepts #VC (ES-VC-INTERCEPT)" },
    { 0x5e, 0x5e, NOBODY, "TCG turns no INIT into #SX" },
    { 0x5f, 0x5f, NEVER, reserved },
    { 0x60, 0x63, ELSEWHERE, "conform.events" },
    { 0x64, 0x64, ELSEWHERE, "the next test" },
    { 0x73, 0x73, NOBODY, "outside of SMM RSM is #UD" },
    { 0x7d, 0x7d, NOBODY, "QEMU does not intercept task switches" },
    { 0x7e, 0x7e, NOBODY, "QEMU does not intercept FERR" },
    { 0x8c, 0x8c, NOBODY, "QEMU does not intercept armed MWAIT" },
    { 0x8e, 0x8e, NEVER, no_insn },
    { 0x91, 0x91, NEVER, no_register },
    { 0x92, 0x93, NOBODY, "the machine traps writes to CR0, CR4 and CR8" },
    { 0x95, 0x97, NEVER, no_register }, { 0x99, 0x9f, NEVER, no_register },
    { 0xa0, 0xa4, NEVER, no_insn },
    { 0xa5, 0xa5, ELSEWHERE, "conform.events" },
    { 0xa6, 0xa6, NEVER, "CPUID Fn8000_000A EDX has no intercept of idle HLT "
                         "(APM vol 2, 15.9)" },
    { EXIT_NPF, EXIT_NPF, ELSEWHERE, "the next test" },
    { 0x401, 0x402, NEVER, "CPUID Fn8000_000A EDX has no AVIC "
                           "(APM vol 2, 15.29)" },
    { EXIT_VMGEXIT, EXIT_VMGEXIT, ELSEWHERE, "all of them" },
};

static void one_code(unsigned code)
{
    unsigned times = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(exits); i++) {
        times |= exits[i].code == code;
    }
    if (times) {
        cell(true);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        if (code < others[i].first || code > others[i].last) {
            continue;
        }
        times++;
        if (others[i].lack == NEVER) {
            impossible(others[i].why);
        } else {
            print("# exit %x: %s%s\n", code, others[i].lack == ELSEWHERE
                  ? "see " : "not tried: ", others[i].why);
        }
    }
    if (times != 1 && cell(false)) {
        print("# exit %x is in %u lists\n", code, times);
    }
}

static void cpuid_lacks(uint32_t leaf, unsigned reg, unsigned bit)
{
    uint32_t r[4];

    cpuid(leaf, 0, r);
    if (cell(!(r[reg] >> bit & 1))) {
        print("# CPUID %x, word %u has bit %u, of which this suite knows no "
              "exit\n", leaf, reg, bit);
    }
}

/* All that VMCB.EXITCODE can be, but for failures */
static void suite_codes(void)
{
    ktap_begin();
    for (unsigned code = 0; code <= 0xa6; code++) {
        one_code(code);
    }
    for (unsigned code = EXIT_NPF; code <= EXIT_VMGEXIT; code++) {
        one_code(code);
    }
    cpuid_lacks(0x80000008, 1, 3);      /* INVLPGB */
    cpuid_lacks(0x80000008, 1, 4);      /* RDPRU */
    cpuid_lacks(0x80000008, 1, 8);      /* MCOMMIT */
    cpuid_lacks(7, 1, 10);              /* INVPCID */
    cpuid_lacks(7, 2, 7);               /* shadow stacks */
    cpuid_lacks(0x8000000a, 3, 13);     /* AVIC */
    cpuid_lacks(0x8000000a, 3, 30);     /* idle HLT */
    ktap_end("every exit code is tried, or is said not to be");
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
    if (cell(x.code == EXIT_NPF && (x.info1 & NPF_P) &&
             (x.info1 & 8))) {
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
    /* VMRUN-NP-STATE; 2 and 3 are no memory types, nor is what is above 7 */
    { "nCR3 bit 50", CONTROL, BOTH, 0x0b0, ~0ul, 1ul << 50 },
    { "nCR3 bit 63", CONTROL, BOTH, 0x0b0, ~0ul, 1ul << 63 },
    { "PAT 0 of type 2", SAVE, BOTH, 0x268, ~0xfful, 2 },
    { "PAT 3 of type 8", SAVE, BOTH, 0x268, ~(0xfful << 24), 8ul << 24 },
    { "PAT 7 of type 3", SAVE, BOTH, 0x268, ~(0xfful << 56), 3ul << 56 },
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

static void spoil_vmcb_pat(uint8_t *v, uint8_t *save)
{
    (void)save;
    put64(v, 0x668, 2);
}

static void suite_pat(void)
{
    Exit x;

    ktap_begin();
    vm_spoil = spoil_vmcb_pat;
    vm_run(OWNER, i_pause, 0, 0, 0, &x);
    vm_spoil = NULL;
    if (cell(window_check() && is_done(&x))) {
        shown("PAT of the VMCB", OWNER, &x);
    }
    ktap_end("with a VMSA the PAT of the VMCB is nobody's");
}

/* VMRUN-SNP-ENABLED. SEV-ES alone gets as far as its page tables, which map
   nothing. */
static void suite_before(void)
{
    static uint8_t save[4096] __attribute__((aligned(4096)));
    static uint8_t tables[4096] __attribute__((aligned(4096)));
    uint64_t live[4] = { 0 };

    ktap_begin();
    wrmsr(MSR_HSAVE, (uint64_t)hsave);
    host_vmsave((uint64_t)hsave);
    put64(hsave, 0x400 + 0x3e8, 1);
    for (unsigned snp = 0; snp < 2; snp++) {
        uint64_t code;

        vm_fill_vmsa(save, i_pause);
        put64(save, 0x3b0, snp);
        zero(vmcb, sizeof(vmcb));
        set_bit(vmcb, 0x80);
        put64(vmcb, 0x058, asid_of[OWNER] | 1ul << 32);
        put64(vmcb, 0x090, 7);
        put64(vmcb, 0x0b0, (uint64_t)tables);
        put64(vmcb, 0x0b8, 1);
        put64(vmcb, 0x108, (uint64_t)save);
        run_guest((uint64_t)vmcb, live);
        code = get64(vmcb, 0x70);
        if (cell(code == (snp ? EXIT_INVALID : EXIT_NPF))) {
            print("# before SNP_EN, SEV_FEATURES %u: exit %lx %lx\n", snp, code,
                  get64(vmcb, 0x78));
        }
    }
    wrmsr(MSR_HSAVE, 0);
    ktap_end("VMRUN of an SNP guest before SNP_EN");
}

/* As first operand of the guest: the page that it shares with its host */
#define SHARED        0x20000ul

void legacy_vmrun(uint64_t vmcb, uint64_t shared);
extern uint64_t legacy_pdpt[4];

/* VMRUN-SEV-LONG: of a host with PAE */
static void suite_legacy(void)
{
    const uint64_t *table;
    uint64_t cr3;

    asm volatile("mov %%cr3, %0" : "=r"(cr3));
    table = (const uint64_t *)(cr3 & ~(PAGE - 1));
    table = (const uint64_t *)(table[0] & 0xffffffffff000);
    for (unsigned i = 0; i < ARRAY_SIZE(legacy_pdpt); i++) {
        legacy_pdpt[i] = (table[i] & 0xffffffffff000) | (table[i] & PTE_P);
    }
    ktap_begin();
    for (Guest g = OWNER; g < PLAIN; g++) {
        uint64_t code;

        vm_prepare(g, i_pause, 0, 0, 0);
        legacy_vmrun((uint64_t)vmcb, SHARED);
        code = get64(vmcb, 0x070);
        if (cell(window_check() && code == EXIT_INVALID)) {
            print("# guest %u: exit %lx\n", g, code);
        }
    }
    ktap_end("VMRUN of a host that is not in long mode");
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
            impossible("it is one (RMP-VMSA-SNP)");
            continue;
        }
        vm_vmsa = spa;
        vm_run(OWNER, i_pause, 0, 0, 0, &x);
        vm_vmsa = 0;
        refused(state_name[s], OWNER, &x);
    }
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

static uint64_t ncr3_bit;

static void spoil_ncr3(uint8_t *v, uint8_t *save)
{
    (void)save;
    put64(v, 0x0b0, get64(v, 0x0b0) | ncr3_bit);
}

/* MMU-PHYS-REDUCTION: address bits that keys take, and those above */
static void suite_reduced(void)
{
    static ProbeOp *const ops[] = { op_vmsave, op_vmload, op_hsave, op_cr3 };
    uint64_t at = (uint64_t)vmcb, table, *entry, cr3;
    unsigned first, last;
    uint32_t r[4];
    Probe p;
    Exit x;

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
        ncr3_bit = 1ul << bit;
        vm_spoil = spoil_ncr3;
        vm_run(PLAIN, i_pause, 0, 0, 0, &x);
        vm_spoil = NULL;
        if (cell(x.code == EXIT_INVALID)) {
            print("# address bit %u of nCR3: exit %lx\n", bit, x.code);
        }
        *entry = 1ul << bit | PTE_RW;
        p = probe(op_read, at_table(table, PTE_HOST), 0);
        if (cell(p.vector == VEC_PF && p.error == 9)) {
            print("# bit %u of an entry: vector %d, error %lx\n", bit,
                  p.vector, p.error);
        }
    }
    cell(window_check());
    ktap_end("address bits that memory encryption takes");
}

void run_guest(uint64_t vmcb, const uint64_t r[4]);

/* Port and MSR 0 to 1FFFh are intercepted by maps that have the bit, too. */
static void spoil_c(uint8_t *v, uint8_t *save)
{
    only_intercept(v, save);
    put64(v, 0x040, get64(v, 0x040) | C_BIT);
    put64(v, 0x048, get64(v, 0x048) | C_BIT);
    put64(v, 0x0b0, get64(v, 0x0b0) | C_BIT);
}

/* MMU-C-BIT-OPERAND: a host that enciphers its own memory */
static void suite_c_bit(void)
{
    static ProbeOp *const ops[] = { op_vmsave, op_vmload };
    static const struct {
        const char *name, *op;
        unsigned code;
        uint64_t rcx;
    } maps[] = { { "IN", i_in, 0x7b, 0 }, { "RDMSR", i_rdmsr, 0x7c, STAR } };
    const uint64_t save = rdmsr(MSR_HSAVE);
    Probe p;

    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
        p = probe(ops[i], save | C_BIT, 0);
        if (cell(p.vector == NO_VEC)) {
            print("# way %u: vector %d\n", i, p.vector);
        }
    }
    cell(probe(op_hsave, save | C_BIT, 0).vector == NO_VEC);
    vm_spoil = spoil_c;
    for (unsigned i = 0; i < ARRAY_SIZE(maps); i++) {
        uint64_t live[4] = { maps[i].rcx, 0, 0, SHARED };

        intercept = maps[i].code;
        vm_prepare(PLAIN, maps[i].op, 0, maps[i].rcx, 0);
        run_guest((uint64_t)vmcb | C_BIT, live);
        if (cell(window_check() && get64(vmcb, 0x070) == maps[i].code)) {
            print("# %s: exit %lx\n", maps[i].name, get64(vmcb, 0x070));
        }
    }
    vm_spoil = NULL;
    wrmsr(MSR_HSAVE, save);
    ktap_end("addresses that have the C-bit");
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

        const char *why = s == UNCOVERED ? state_unknown(s)
                                         : state_make(s, size_2m, 1, &spa);

        if (why) {
            state_cannot(s, size_2m, why);
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
    ktap_plan(17);
    suite_before();
    window_init();
    vm_init();
    suite_exits();
    suite_vmgexit();
    suite_codes();
    suite_memory();
    suite_fields();
    suite_legacy();
    suite_pat();
    suite_harm();
    suite_vmsa_pages();
    suite_vmcb_pages();
    suite_reduced();
    suite_c_bit();
    suite_msrs();
}
