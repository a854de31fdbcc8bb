/*
 * An ordinary host: what was repaired for everybody
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * No test here wants a secure processor. Each has one repair for its subject,
 * and fails on QEMU without our changes: by itself there, as it may end QEMU
 * (a number after -append chooses it). APM volume 2, chapters 5, 8, 15 and
 * appendix B; volume 1 and 4 for XSAVEC.
 */
#include "modes.h"

#define MSR_TSC       0x010
#define MSR_APIC_BASE 0x01b
#define X2APIC        (1u << 10)
#define MSR_MCG_CAP   0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MCG_CTL   0x17b
#define MSR_MC0_CTL   0x400
#define MSR_MC0_STATUS 0x401
#define MSR_X2_COUNT  0x838
#define MSR_X2_CURRENT 0x839
#define MSR_PAT       0x277
#define MSR_DEBUGCTL  0x1d9
#define MSR_HSAVE     0xc0010117
#define CR4_MCE       (1ul << 6)
#define CR4_OSXSAVE   (1ul << 18)
#define CRASHED       0x505             /* pvpanic: run.py sends #MC for it */
#define EFER_LMA      (1ul << 10)
#define NOWHERE       (4ul << 39)       /* an address that is not mapped */
#define MOVED         99                /* for rounds(), */
#define MOVED_PAT     98                /* with a PAT of the guest's own */
#define CLOCKS        97                /* for -icount */
#define ROUNDS        60
#define ROUND         20000000ul        /* that a guest counts */
#define KEYS_PAGE     (SPARE + 16 * SIZE_2M)

/* VMCB: control area, save area */
enum {
    V_CR_READ = 0x000, V_DR_WRITE = 0x006, V_EXCEPTIONS = 0x008,
    V_INSNS = 0x00c, V_MORE = 0x010, V_ASID = 0x058, V_INT_CTL = 0x060,
    V_INT_STATE = 0x068, V_EXIT = 0x070, V_INFO1 = 0x078, V_INTINFO = 0x088,
    V_NP = 0x090, V_EVENTINJ = 0x0a8, V_NCR3 = 0x0b0, V_LBRV = 0x0b8,
    V_NRIP = 0x0c8, V_FETCHED = 0x0d0,
    S_CS = 0x410, S_IDTR = 0x480, S_TR = 0x490, S_CPL = 0x4cb, S_EFER = 0x4d0,
    S_CR4 = 0x548, S_CR3 = 0x550, S_CR0 = 0x558, S_DR7 = 0x560, S_DR6 = 0x568,
    S_RFLAGS = 0x570, S_RIP = 0x578, S_RSP = 0x5d8, S_PAT = 0x668,
    S_DEBUGCTL = 0x670,
};

enum {
    EXIT_CR4_READ = 0x004, EXIT_CR4_WRITE = 0x014, EXIT_DR0_WRITE = 0x030,
    EXIT_EXCEPTION = 0x040, EXIT_INIT = 0x063, EXIT_CPUID = 0x072,
    EXIT_SWINT = 0x075, EXIT_INVLPG = 0x079, EXIT_SHUTDOWN = 0x07f,
    EXIT_VMMCALL = 0x081, EXIT_RDTSCP = 0x087, EXIT_NPF = 0x400,
};
#define EXIT_INVALID  (~0ul)

enum { PF_P = 1, PF_RSVD = 8 };
enum { VEC_BP = 3, VEC_DF = 8, VEC_TS = 10, VEC_MC = 18 };
enum { EVENT_INTR = 0, EVENT_NMI = 2, EVENT_EXCEPTION = 3, EVENT_SOFT = 4 };
#define EVENT(type, vector)  (1ul << 31 | (type) << 8 | (vector))

typedef uint64_t Table[512] __attribute__((aligned(4096)));

extern char o_leave[], o_sti[], o_from_cr4[], o_to_cr4[], o_to_cr3[],
            o_to_dr0[], o_invlpg[], o_int[], o_int3[], o_cpuid[], o_cpuid_end[],
            o_rdtscp[], o_ud[], o_ist[], o_load[], o_load_end[], o_cr8[],
            o_msr[], o_spin[], o_turn[], o_leave32[], o_vector[];
extern volatile uint64_t o_count, o_from, o_said;
extern bool gif_stays_clear;            /* from #VMEXIT on */

void run_guest(uint64_t vmcb, const uint64_t r[4]);
void host_vmsave(uint64_t pa);
void host_vmload(uint64_t pa);
ProbeOp op_xsavec_pkru, op_xrstor_pkru;

/* There is none, nor need there be. */
const char *psp_find(void)
{
    return NULL;
}

/* ---- a guest ---- */

static uint8_t vmcb[4096] __attribute__((aligned(4096)));
static uint8_t hsave[4096] __attribute__((aligned(4096)));
static uint8_t kept[4096] __attribute__((aligned(4096)));
static uint8_t stack[4096] __attribute__((aligned(4096)));
static uint64_t gidt[256][2];
static Table npt, npt_pdpt;

static void put(unsigned at, uint64_t v)
{
    copy(vmcb + at, &v, sizeof(v));
}

static void set_bit(unsigned at, unsigned bit)
{
    vmcb[at + bit / 8] |= 1 << bit % 8;
}

static uint64_t get(unsigned at)
{
    uint64_t v;

    copy(&v, vmcb + at, sizeof(v));
    return v;
}

static void put_segment(unsigned at, uint16_t sel, uint16_t attr,
                        uint32_t limit, uint64_t base)
{
    put(at, sel | (uint64_t)attr << 16 | (uint64_t)limit << 32);
    put(at + 8, base);
}

static void gate(unsigned vector, unsigned ist)
{
    uint64_t to = (uint64_t)o_vector;

    gidt[vector][0] = (to & 0xffff) | 8ul << 16 | (uint64_t)ist << 32 |
                      0x8e00ul << 32 | (to & 0xffff0000) << 32;
    gidt[vector][1] = to >> 32;
}

/*
 * A guest in 64-bit mode that has the host's memory, page tables and segments,
 * and an IDT of its own. VMRUN, VMMCALL and shutdowns are intercepted.
 */
static void guest(const char *code)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdtr;
    uint64_t cr0, cr3;

    asm volatile("sgdt %0" : "=m"(gdtr));
    asm volatile("mov %%cr0, %0" : "=r"(cr0));
    asm volatile("mov %%cr3, %0" : "=r"(cr3));
    zero(vmcb, sizeof(vmcb));
    set_bit(V_INSNS, 31);
    set_bit(V_MORE, 0);
    set_bit(V_MORE, 1);
    put(V_ASID, 1 | 1ul << 32);                 /* all is flushed */
    for (unsigned at = 0x400; at < 0x460; at += 0x10) {
        put_segment(at, 0x10, 0xc93, ~0u, 0);
    }
    put_segment(S_CS, 8, 0xa9b, ~0u, 0);
    put_segment(0x460, 0, 0, gdtr.limit, gdtr.base);
    put_segment(0x470, 0, 0x82, 0xffff, 0);
    put_segment(S_IDTR, 0, 0, sizeof(gidt) - 1, (uint64_t)gidt);
    put_segment(S_TR, 0x28, 0x8b, 0x67, 0);
    put(S_EFER, rdmsr(MSR_EFER));
    put(S_CR4, read_cr4());
    put(S_CR3, cr3);
    put(S_CR0, cr0);
    put(S_DR7, 0x400);
    put(S_DR6, 0xffff0ff0);
    put(S_RFLAGS, 2);
    put(S_RIP, (uint64_t)code);
    put(S_RSP, (uint64_t)stack + sizeof(stack) - 64);
    put(S_PAT, rdmsr(MSR_PAT));
    o_count = o_from = o_said = 0;
}

static void nested(void)
{
    npt[0] = (uint64_t)npt_pdpt | PTE_RW | PTE_U;
    for (unsigned g = 0; g < 512; g++) {
        npt_pdpt[g] = g * GIB | PTE_RW | PTE_U | PTE_LARGE;
    }
    put(V_NP, 1);
    put(V_NCR3, (uint64_t)npt);
}

/* RCX, RDX, RBX, RDI of the guest; its exit code */
static uint64_t run(uint64_t rcx, uint64_t rbx, uint64_t rdi)
{
    uint64_t r[4] = { rcx, 0, rbx, rdi };

    run_guest((uint64_t)vmcb, r);
    return get(V_EXIT);
}

static void inject(unsigned type, unsigned vector)
{
    put(V_EVENTINJ, EVENT(type, vector));
}

/* Descriptors of exceptions are where no memory is: #PF, which is an exit. */
static void no_idt(void)
{
    put_segment(S_IDTR, 0, 0, sizeof(gidt) - 1, NOWHERE);
    set_bit(V_EXCEPTIONS, VEC_PF);
}

static void expect(const char *what, uint64_t v, uint64_t wanted)
{
    if (cell(v == wanted)) {
        print("# %s: %lx, not %lx\n", what, v, wanted);
    }
}

/* ---- VMRUN, #VMEXIT, intercepts ---- */

static uint64_t op_cr4(uint64_t v, uint64_t unused)
{
    (void)unused;
    write_cr4(v);
    return 0;
}

/* It is no #VMEXIT: of the host there is none, a guest has it by itself. */
static void reserved_bits(ProbeOp *op, const char *code, uint64_t good,
                          const unsigned *bits, unsigned nbits)
{
    Probe p;

    for (unsigned i = 0; i < nbits; i++) {
        p = probe(op, good | 1ul << bits[i], 0);
        expect("exception", p.vector, VEC_GP);
        expect("error code", p.error, 0);
        guest(code);
        set_bit(V_EXCEPTIONS, VEC_GP);
        expect("exit", run(0, good | 1ul << bits[i], 0),
               EXIT_EXCEPTION + VEC_GP);
        expect("error code", get(V_INFO1), 0);
    }
}

static void cr4_reserved(void)
{
    static const unsigned bits[] = { 15, 31, 63 };
    uint64_t cr4 = read_cr4();

    reserved_bits(op_cr4, o_to_cr4, cr4, bits, ARRAY_SIZE(bits));
    expect("CR4", read_cr4(), cr4);
}

static uint64_t read_cr3(void)
{
    uint64_t v;

    asm volatile("mov %%cr3, %0" : "=r"(v));
    return v;
}

static uint64_t op_cr3(uint64_t v, uint64_t unused)
{
    (void)unused;
    asm volatile("mov %0, %%cr3" : : "r"(v) : "memory");
    return 0;
}

static void cr3_reserved(void)
{
    static const unsigned bits[] = { 50, 52, 63 };
    uint64_t cr3 = read_cr3();

    reserved_bits(op_cr3, o_to_cr3, cr3, bits, ARRAY_SIZE(bits));
    expect("CR3", read_cr3(), cr3);
}

/* The code of the first of these intercepts is 0. */
static void cr_read(void)
{
    guest(o_from_cr4);
    set_bit(V_CR_READ, 0);
    expect("exit by the intercept of CR0", run(0, 0, 0), EXIT_VMMCALL);
    guest(o_from_cr4);
    set_bit(V_CR_READ, 4);
    expect("exit by CR4's", run(0, 0, 0), EXIT_CR4_READ);
}

static void cpl(void)
{
    guest(o_leave);
    vmcb[S_CPL] = 3;
    set_bit(V_EXCEPTIONS, VEC_PF);
    /* its code is the supervisor's: a fetch by a user of a page that is there */
    expect("exit", run(0, 0, 0), EXIT_EXCEPTION + VEC_PF);
    expect("error code", get(V_INFO1), 0x15);
}

static void pat(void)
{
    const uint64_t host = rdmsr(MSR_PAT), of_guest = host ^ 7;

    guest(o_msr);
    nested();
    put(S_PAT, of_guest);
    expect("exit", run(MSR_PAT, of_guest & ~0xfful, 0), EXIT_VMMCALL);
    expect("the guest's PAT", o_said, of_guest);
    expect("the host's PAT", rdmsr(MSR_PAT), host);
    expect("the VMCB's", get(S_PAT), (of_guest & 0xffffff00) |
           (uint64_t)(uint32_t)(of_guest >> 32) << 32);
    wrmsr(MSR_PAT, host);
}

/* Bits of nCR3 beyond memory, and memory types that there are not */
static void nested_state(void)
{
    static const unsigned bits[] = { 50, 63 };
    const uint64_t host = rdmsr(MSR_PAT);

    for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
        guest(o_leave);
        nested();
        put(V_NCR3, get(V_NCR3) | 1ul << bits[i]);
        expect("exit, a bit of nCR3", run(0, 0, 0), EXIT_INVALID);
    }
    for (unsigned type = 0; type < 256; type++) {
        bool good = type < 8 && type != 2 && type != 3;
        unsigned at = type % 8 * 8;

        guest(o_leave);
        nested();
        put(S_PAT, (host & ~(0xfful << at)) | (uint64_t)type << at);
        expect("exit, a type of the PAT", run(0, 0, 0),
               good ? EXIT_VMMCALL : EXIT_INVALID);
        expect("the host's PAT", rdmsr(MSR_PAT), host);
    }
    /* neither is looked at otherwise */
    guest(o_leave);
    put(S_PAT, 2);
    put(V_NCR3, ~0ul);
    expect("exit without nested paging", run(0, 0, 0), EXIT_VMMCALL);
}

/* Of 32 bits and without paging there is no such bit of it. */
static void cr3_by_mode(void)
{
    guest(o_leave32);
    put_segment(S_CS, 8, 0xc9b, ~0u, 0);
    put(S_CR0, 0x11);
    put(S_CR4, 0);
    put(S_EFER, 0x1000);
    put(S_CR3, 1ul << 52);
    expect("exit of 32 bits", run(0, 0, 0), EXIT_VMMCALL);
    guest(o_leave);
    put(S_CR3, get(S_CR3) | 1ul << 52);
    expect("exit in long mode", run(0, 0, 0), EXIT_INVALID);
}

static void interrupt_flag(void)
{
    guest(o_sti);
    expect("exit", run(0, 0, 0), EXIT_VMMCALL);
    expect("interrupt state, IF set", get(V_INT_STATE) & 3, 2);
    guest(o_leave);
    expect("exit", run(0, 0, 0), EXIT_VMMCALL);
    expect("interrupt state, IF clear", get(V_INT_STATE) & 3, 0);
}

static void rdtscp(void)
{
    guest(o_rdtscp);
    set_bit(V_INSNS, 14);                       /* RDTSC's */
    expect("exit by RDTSC's intercept", run(0, 0, 0), EXIT_VMMCALL);
    guest(o_rdtscp);
    set_bit(V_MORE, 7);
    expect("exit by its own", run(0, 0, 0), EXIT_RDTSCP);
}

/* The guest has LME, but neither paging nor PAE; the host has all of them. */
static void back_to_long_mode(void)
{
    uint64_t before, after;

    asm volatile("mov %%cr0, %0" : "=r"(before));
    guest(o_leave32);
    put_segment(S_CS, 8, 0xc9b, ~0u, 0);
    put(S_CR0, 0x11);
    put(S_CR4, 0);
    put(S_EFER, 0x1100);
    expect("exit", run(0, 0, 0), EXIT_VMMCALL);
    asm volatile("mov %%cr0, %0" : "=r"(after));
    expect("CR0", after, before);
    expect("EFER.LMA", rdmsr(MSR_EFER) & EFER_LMA, EFER_LMA);
}

static void virtual_interrupt(void)
{
    gate(0x60, 0);
    guest(o_cr8);
    put(S_RFLAGS, 0x202);
    /* V_TPR Fh, V_IRQ of priority 6, V_INTR_MASKING */
    put(V_INT_CTL, 0xf | 1 << 8 | 6 << 16 | 1 << 24 | 0x60ul << 32);
    expect("exit", run(0, 0, 0), EXIT_VMMCALL);
    expect("interrupts", o_count, 1);
    expect("it came at", o_from - (uint64_t)o_cr8, 6);
}

/* V_TPR 6: priority 6 waits for less, 7 does not. */
static void same_priority(void)
{
    for (unsigned priority = 6; priority < 8; priority++) {
        gate(0x60, 0);
        guest(o_cr8);
        put(S_RFLAGS, 0x202);
        put(V_INT_CTL, 6 | 1 << 8 | priority << 16 | 1 << 24 | 0x60ul << 32);
        expect("exit", run(0, 0, 0), EXIT_VMMCALL);
        expect("interrupts", o_count, 1);
        expect("it came at", o_from - (uint64_t)o_cr8, priority == 6 ? 6 : 0);
    }
}

/* Of what is not injected, but delivered: to where no descriptor is */
static void event_type(void)
{
    guest(o_leave);
    no_idt();
    put(S_RFLAGS, 0x202);
    put(V_INT_CTL, 1 << 8 | 6 << 16 | 1 << 24 | 0x60ul << 32);
    expect("exit", run(0, 0, 0), EXIT_EXCEPTION + VEC_PF);
    expect("EXITINTINFO", get(V_INTINFO), EVENT(EVENT_INTR, 0x60));
    guest(o_leave);
    no_idt();
    *apic(APIC_SVR) = 0x1ff;
    asm volatile("clgi");
    *apic(APIC_ICR) = 0x44400;                     /* an NMI, to self */
    expect("exit", run(0, 0, 0), EXIT_EXCEPTION + VEC_PF);
    expect("EXITINTINFO", get(V_INTINFO), EVENT(EVENT_NMI, 2));
}

/* With CPUs by turns in one thread, each is made to give way now and then. */
static void once(void)
{
    gate(0x50, 0);
    guest(o_spin);
    inject(EVENT_INTR, 0x50);
    expect("exit", run(0, 0, 0), EXIT_VMMCALL);
    expect("times that it came", o_count, 1);
}

/* ---- next RIP ---- */

/* CPUID Fn8000_000A EDX */
static void announced(unsigned bit)
{
    uint32_t r[4];

    cpuid(0x8000000a, 0, r);
    expect("its bit of CPUID", r[3] >> bit & 1, 1);
}

static void next_rip(void)
{
    announced(3);
    guest(o_cpuid);
    set_bit(V_INSNS, 18);
    put(V_NRIP, 1);
    expect("exit", run(0, 0, 0), EXIT_CPUID);
    expect("next RIP", get(V_NRIP), (uint64_t)o_cpuid_end);
    guest(o_load);
    set_bit(V_EXCEPTIONS, VEC_PF);
    put(V_NRIP, 1);
    expect("exit", run(0, 0, NOWHERE), EXIT_EXCEPTION + VEC_PF);
    expect("next RIP of a fault", get(V_NRIP), 0);
}

static void breakpoint(void)
{
    guest(o_int3);
    set_bit(V_EXCEPTIONS, VEC_BP);
    set_bit(V_INSNS, 21);                       /* INTn's */
    expect("exit", run(0, 0, 0), EXIT_EXCEPTION + VEC_BP);
    expect("next RIP", get(V_NRIP), (uint64_t)o_int3 + 1);
}

static void soft(void)
{
    gate(0x50, 0);
    guest(o_leave);
    inject(EVENT_SOFT, 0x50);
    put(V_NRIP, (uint64_t)o_sti);
    expect("exit", run(0, 0, 0), EXIT_VMMCALL);
    expect("RIP that was pushed", o_from, (uint64_t)o_sti);
}

/* ---- what a hypervisor is told of an instruction, and has of its own ---- */

static void assists(void)
{
    guest(o_to_cr4);
    vmcb[2] = 1 << 4;                           /* writes of CR4 */
    expect("exit", run(0, read_cr4(), 0), EXIT_CR4_WRITE);
    expect("MOV to CR4", get(V_INFO1), 1ul << 63 | 3);
    guest(o_to_dr0);
    set_bit(V_DR_WRITE, 0);
    expect("exit", run(0, 0, 0), EXIT_DR0_WRITE);
    expect("MOV to DR0", get(V_INFO1), 6);
    guest(o_invlpg);
    set_bit(V_INSNS, 25);
    expect("exit", run(0, 0, 0x1234567), EXIT_INVLPG);
    expect("INVLPG", get(V_INFO1), 0x1234567);
    guest(o_int);
    set_bit(V_INSNS, 21);
    expect("exit", run(0, 0, 0), EXIT_SWINT);
    expect("INTn", get(V_INFO1), 0x77);
}

static void fetched(void)
{
    bool same = true;

    announced(7);
    guest(o_load);
    set_bit(V_EXCEPTIONS, VEC_PF);
    expect("exit", run(0, 0, NOWHERE), EXIT_EXCEPTION + VEC_PF);
    expect("bytes", vmcb[V_FETCHED] & 15, 15);
    for (int i = 0; i < 15; i++) {
        same &= vmcb[V_FETCHED + 1 + i] == (uint8_t)o_load[i];
    }
    cell(same);
}

static void last_branch(void)
{
    const uint64_t host = rdmsr(MSR_DEBUGCTL);

    announced(1);
    wrmsr(MSR_DEBUGCTL, 1);
    guest(o_msr);
    put(V_LBRV, 1);
    put(S_DEBUGCTL, 3);
    expect("exit", run(MSR_DEBUGCTL, 2, 0), EXIT_VMMCALL);
    expect("the guest's", o_said, 3);
    expect("the host's", rdmsr(MSR_DEBUGCTL), 1);
    expect("the VMCB's", get(S_DEBUGCTL), 2);
    wrmsr(MSR_DEBUGCTL, host);
}

static void asids(void)
{
    uint32_t r[4];

    announced(6);
    cpuid(0x8000000a, 0, r);
    expect("ASIDs", r[1], 0x8000);
    for (uint64_t how = 3; how <= 7; how += 4) {
        guest(o_leave);
        put(V_ASID, 1 | how << 32);
        expect("exit", run(0, 0, 0), EXIT_VMMCALL);
    }
}

/* ---- clocks ---- */

static uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
    return lo | (uint64_t)hi << 32;
}

static void tsc(void)
{
    uint64_t before = rdtsc(), msr = rdmsr(MSR_TSC), after = rdtsc();

    if (cell(before <= msr && msr <= after)) {
        print("# %lx, by RDMSR %lx, %lx\n", before, msr, after);
    }
}

/* Its initial count is written in the middle of a block, and reads a clock. */
static void timer(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    wrmsr(MSR_APIC_BASE, base | X2APIC);
    wrmsr(MSR_X2_COUNT, 1u << 30);
    cell(rdmsr(MSR_X2_CURRENT) <= 1u << 30);
    wrmsr(MSR_X2_COUNT, 0);
}

/* ---- XSAVEC ---- */

static void compacted(void)
{
    static uint8_t area[4096] __attribute__((aligned(64)));
    uint64_t cr4 = read_cr4(), *header = (uint64_t *)(area + 512);
    uint32_t r[4], pkru = 0x55550000;
    Probe p;

    write_cr4(cr4 | CR4_OSXSAVE | CR4_PKE);
    asm volatile("xsetbv" : : "c"(0), "a"(0x207), "d"(0));
    wrpkru(pkru);
    p = probe(op_xsavec_pkru, (uint64_t)area, 0);
    expect("XSAVEC's exception", p.vector, NO_VEC);
    expect("XSTATE_BV", header[0], 0x200);
    expect("XCOMP_BV", header[1], 1ul << 63 | 0x200);
    expect("PKRU behind the header", *(uint32_t *)(area + 576), pkru);
    zero(area, sizeof(area));
    header[0] = 0x200;
    header[1] = 1ul << 63 | 0x200;
    *(uint32_t *)(area + 576) = ~pkru;
    p = probe(op_xrstor_pkru, (uint64_t)area, 0);
    expect("XRSTOR's exception", p.vector, NO_VEC);
    expect("PKRU", (uint32_t)p.ret, (uint32_t)~pkru);
    wrpkru(0);
    asm volatile("xsetbv" : : "c"(0), "a"(1), "d"(0));
    write_cr4(cr4);
    cpuid(13, 1, r);
    expect("CPUID", r[0] >> 1 & 1, 1);
}

/* ---- exceptions that are delivered ---- */

static void breakpoint_type(void)
{
    guest(o_int3);
    no_idt();
    expect("exit", run(0, 0, 0), EXIT_EXCEPTION + VEC_PF);
    expect("EXITINTINFO", get(V_INTINFO), EVENT(EVENT_EXCEPTION, VEC_BP));
}

static void double_fault(void)
{
    guest(o_ud);
    put_segment(S_IDTR, 0, 0, 0, NOWHERE);
    set_bit(V_EXCEPTIONS, VEC_DF);
    /* #UD finds no descriptor: #GP, that finds none: #DF */
    expect("exit", run(0, 0, 0), EXIT_EXCEPTION + VEC_DF);
}

/* ---- exceptions, and INIT ---- */

static void task_register(void)
{
    gate(0x51, 1);                              /* a stack out of the TSS */
    guest(o_ist);
    set_bit(V_EXCEPTIONS, VEC_TS);
    put_segment(S_TR, 0x28, 0x0b, 0x67, 0);     /* not present */
    host_vmsave((uint64_t)kept);
    host_vmload((uint64_t)vmcb);
    expect("exit", run(0, 0, 0), EXIT_EXCEPTION + VEC_TS);
    host_vmload((uint64_t)kept);
}

static void nested_breakpoint(void)
{
    static volatile uint64_t watched;
    uint64_t dr6;
    Probe p;

    asm volatile("mov %0, %%db6" : : "r"(0ul));
    p = probe(op_watched, (uint64_t)&watched, 0x5a);
    asm volatile("mov %%db6, %0" : "=r"(dr6));
    asm volatile("mov %0, %%db7" : : "r"(0ul));
    expect("exception", p.vector, VEC_DB);
    expect("DR6", dr6 & 15, 1);
    expect("what was written", watched, 0x5a);
}

static void machine_check(void)
{
    uint64_t cr4 = read_cr4();

    write_cr4(cr4 | CR4_MCE);
    if (rdmsr(MSR_MCG_CAP) & 1 << 8) {
        wrmsr(MSR_MCG_CTL, ~0ul);
    }
    wrmsr(MSR_MC0_CTL, ~0ul);
    wrmsr(MSR_MC0_STATUS, 0);
    guest(o_leave);
    put(S_CR4, cr4 | CR4_MCE);
    set_bit(V_EXCEPTIONS, VEC_MC);
    asm volatile("clgi");
    out8(CRASHED, 2);
    while (!(rdmsr(MSR_MC0_STATUS) >> 63)) {
        asm volatile("pause");
    }
    expect("exit", run(0, 0, 0), EXIT_EXCEPTION + VEC_MC);
    wrmsr(MSR_MCG_STATUS, 0);
    wrmsr(MSR_MC0_STATUS, 0);
    write_cr4(cr4);
}

/* The last: GIF stays clear, and what is pending starts this host anew. */
static void init(void)
{
    guest(o_leave);
    set_bit(V_INSNS, 3);
    gif_stays_clear = true;
    asm volatile("clgi");
    *apic(APIC_ICR_HIGH) = *apic(APIC_ID);
    *apic(APIC_ICR) = ICR_INIT;
    expect("exit", run(0, 0, 0), EXIT_INIT);
}

/* ---- what is cached of translations ---- */

static void keys(void)
{
    modes_keys(KEYS_PAGE);
}

/* A page whose entry is wrong is there: bit 0 of the error code. */
static void reserved(void)
{
    static ProbeOp *const ops[] = { op_read, op_write };
    uint64_t *leaf = host_leaf(KEYS_PAGE), old = *leaf;
    uint64_t efer = rdmsr(MSR_EFER);
    Probe p;

    wrmsr(MSR_EFER, efer & ~EFER_NXE);
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(ops); i++) {
        bool there = i & 1;

        *leaf = (old & ~PTE_P) | PTE_NX | there;
        invlpg(KEYS_PAGE);
        p = probe(ops[i / 2], KEYS_PAGE, 0);
        expect("exception", p.vector, VEC_PF);
        expect("error code", p.error, there * (PF_RSVD | PF_P) | (i & 2));
    }
    *leaf = old;
    invlpg(KEYS_PAGE);
    wrmsr(MSR_EFER, efer);
    /* the same of a nested entry: an address that is not aligned to its size */
    guest(o_load);
    nested();
    npt_pdpt[0] |= SIZE_2M;
    expect("exit", run(0, 0, 0), EXIT_NPF);
    expect("what of it", get(V_INFO1) & (PF_RSVD | PF_P), PF_RSVD | PF_P);
}

static const struct {
    void (*run)(void);
    const char *name;
} tests[] = {
    { cr_read, "intercepts of reads of control registers" },
    { cr3_reserved, "MOV of reserved bits to CR3 is #GP" },
    { cr4_reserved, "MOV of reserved bits to CR4 is #GP" },
    { cpl, "VMRUN takes the CPL from its field" },
    { pat, "a PAT for the guest, with nested paging" },
    { nested_state, "VMRUN and what nested paging adds" },
    { cr3_by_mode, "VMRUN judges CR3 by the mode of the guest" },
    { interrupt_flag, "#VMEXIT says what RFLAGS.IF was" },
    { rdtscp, "RDTSCP has an intercept of its own" },
    { back_to_long_mode, "#VMEXIT to 64-bit mode from 32 bits with LME" },
    { virtual_interrupt, "CR8 lets a virtual interrupt through" },
    { same_priority, "a virtual interrupt of the priority of V_TPR waits" },
    { once, "an injected interrupt comes once" },
    { event_type, "EXITINTINFO has the type of interrupts and NMIs" },
    { next_rip, "next RIP of an intercept" },
    { breakpoint, "INT3 is intercepted by its vector" },
    { soft, "an injected software interrupt returns to the next RIP" },
    { assists, "decode assists of MOV, INVLPG and INTn" },
    { fetched, "instruction bytes of a fault" },
    { last_branch, "DEBUGCTL of the guest's own, with LBR virtualization" },
    { asids, "TLB_CONTROL for an ASID, and many of them" },
    { tsc, "the TSC as an MSR" },
    { compacted, "XSAVEC, and XRSTOR of what it wrote" },
    { breakpoint_type, "EXITINTINFO has #BP as an exception" },
    { double_fault, "intercept of #DF of two exceptions" },
    { task_register, "a task register that is none: #TS" },
    { nested_breakpoint, "a data breakpoint where #DB puts its frame" },
    { keys, "keys and NX that CR4 and EFER begin to ask" },
    { reserved, "#PF of a reserved bit says that the page is there" },
    { modes_jumps, "code over INVLPG of its page of 2M" },
    { machine_check, "intercept of #MC" },
    { init, "INIT waits between #VMEXIT and STGI" },
};

/*
 * For one that is saved on the way: guests over and over, most of the time in
 * one, every other with nested paging. Both QEMUs do it, if the PAT is the
 * host's.
 */
static void rounds(bool own_pat)
{
    uint64_t cr4 = read_cr4(), efer = rdmsr(MSR_EFER), pat_was = rdmsr(MSR_PAT);

    for (unsigned i = 0; i < ROUNDS; i++) {
        guest(o_turn);
        if (i & 1) {
            nested();
            put(S_PAT, own_pat ? pat_was ^ 7 : pat_was);
        }
        expect("exit", run(ROUND, i, 0), EXIT_VMMCALL);
        expect("what the guest counted", o_said, i + ROUND);
        expect("CR4", read_cr4(), cr4);
        expect("EFER", rdmsr(MSR_EFER), efer);
        expect("PAT", rdmsr(MSR_PAT), pat_was);
        print("# round %u\n", i);
    }
}

/* What stands behind -append, behind the image's name, or 0 */
static unsigned chosen(void)
{
    extern uint32_t mb_info;
    const uint32_t *info = (const uint32_t *)(uint64_t)mb_info;
    const char *s = (const char *)(uint64_t)info[4];
    unsigned n = 0;

    if (!(info[0] & 4)) {
        return 0;
    }
    while (*s && *s != ' ') {
        s++;
    }
    for (; *s; s++) {
        if (*s >= '0' && *s <= '9') {
            n = n * 10 + *s - '0';
        }
    }
    return n;
}

void suite_ordinary(void)
{
    unsigned only = chosen();

    wrmsr(MSR_HSAVE, (uint64_t)hsave);
    paging_split(KEYS_PAGE);
    if (only == MOVED || only == MOVED_PAT) {
        ktap_plan(1);
        ktap_begin();
        rounds(only == MOVED_PAT);
        ktap_end("guests over and over");
        return;
    }
    if (only == CLOCKS) {
        ktap_plan(2);
        ktap_begin();
        tsc();
        ktap_end("the TSC as an MSR, while instructions are counted");
        ktap_begin();
        timer();
        ktap_end("the x2APIC's timer, while instructions are counted");
        return;
    }
    ktap_plan(only ? 1 : ARRAY_SIZE(tests));
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        if (only && i + 1 != only) {
            continue;
        }
        ktap_begin();
        tests[i].run();
        ktap_end("%s", tests[i].name);
    }
}
