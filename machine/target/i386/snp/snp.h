/*
 * SEV, SEV-ES and SEV-SNP: the processor's side
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Everything here is inert unless the machine has an amd-psp device: then
 * snp_platform() is not NULL, CPUID Fn8000_001F is populated and the MSRs
 * exist. In host mode X86SnpState.guest is 0; VMRUN sets it from the VMCB.
 *
 * AMD64 Architecture Programmer's Manual volume 2, 15.34 (SEV), 15.35
 * (SEV-ES), 15.36 (SEV-SNP).
 */
#ifndef I386_SNP_H
#define I386_SNP_H

#include "qemu/host-utils.h"
#include "cpu.h"

#define SNP_C_BIT             51
#define SNP_C_MASK            (1ULL << SNP_C_BIT)

#define MSR_AMD_SYSCFG        0xc0010010
#define  SYSCFG_MFDM          (1ULL << 19)
#define  SYSCFG_MEM_ENCRYPT   (1ULL << 23)
#define  SYSCFG_SNP_EN        (1ULL << 24)
#define  SYSCFG_VMPL_EN       (1ULL << 25)
#define MSR_AMD_HWCR          0xc0010015
#define  HWCR_SMMLOCK         (1ULL << 0)
#define  HWCR_TSC_FREQ_SEL    (1ULL << 24)
#define MSR_AMD_DR1_ADDR_MASK 0xc0011019
#define MSR_AMD_DR3_ADDR_MASK 0xc001101b
#define MSR_AMD_DR0_ADDR_MASK 0xc0011027
#define MSR_AMD_VM_PAGE_FLUSH 0xc001011e
#define MSR_AMD_GHCB          0xc0010130
#define MSR_AMD_SEV_STATUS    0xc0010131
#define MSR_AMD_RMP_BASE      0xc0010132
#define MSR_AMD_RMP_END       0xc0010133
#define MSR_AMD_GUEST_TSC_FREQ 0xc0010134
#define MSR_AMD_RMP_CFG       0xc0010136
#define  RMP_CFG_SEGMENTED    (1ULL << 0)
#define  RMP_CFG_SHIFT        8

/* X86SnpState.guest, and SEV_STATUS[2:0] */
#define SNP_GUEST_SEV         1
#define SNP_GUEST_ES          2
#define SNP_GUEST_SNP         4

/* SEV_FEATURES, X86SnpState.sev_features */
#define SEV_FEAT_SNP_ACTIVE   (1ULL << 0)
#define SEV_FEAT_RESTRICTED   (1ULL << 3)
#define SEV_FEAT_DEBUG_SWAP   (1ULL << 5)
#define SEV_FEAT_SECURE_TSC   (1ULL << 9)

/* VMCB 090h */
#define SVM_NESTED_SEV        (1ULL << 1)
#define SVM_NESTED_SEV_ES     (1ULL << 2)

/* EXITINFO1 of a nested page fault, beyond the page fault's own bits */
#define SNP_NPF_RMP           (1ULL << 31)
#define SNP_NPF_ENC           (1ULL << 34)
#define SNP_NPF_SIZEM         (1ULL << 35)
#define SNP_NPF_VMPL          (1ULL << 36)
/* not a bit of hardware: the access is to become #VC 404h */
#define SNP_NPF_UNVALIDATED   (1ULL << 62)

#define SVM_EXIT_EFER_WRITE_TRAP  0x08f
#define SVM_EXIT_CR0_WRITE_TRAP   0x090
#define SVM_EXIT_VMGEXIT          0x403
#define SVM_EXIT_NOT_VALIDATED    0x404
#define SVM_EXIT_BUSY             (-2)

#define EXCP1C_HV             28
#define EXCP1D_VC             29

/* msr.c */

/* True if @index is one of ours; then *@val is its value. */
bool x86_snp_rdmsr(CPUX86State *env, uint32_t index, uint64_t *val);
/* SEV_STATUS, which no intercept catches. */
bool x86_snp_rdmsr_unintercepted(CPUX86State *env, uint32_t index,
                                 uint64_t *val);
/* Does reading it raise #GP(0)? Asked after intercepts. */
bool x86_snp_rdmsr_faults(CPUX86State *env, uint32_t index);
/* 0: not one of ours; 1: done; -1: #GP(0), nothing changed. */
int x86_snp_wrmsr(CPUX86State *env, uint32_t index, uint64_t val);
/* Fn8000_001F; false without the platform. */
bool x86_snp_cpuid(CPUX86State *env, uint32_t *eax, uint32_t *ebx,
                   uint32_t *ecx, uint32_t *edx);
/* Fn8000_0025: sizes of segments; false without a segmented RMP. */
bool x86_snp_cpuid_segments(uint32_t *eax, uint32_t *ebx);
void x86_snp_reset(CPUX86State *env);

/* mmu.c */

/* Which bit of a page-table entry of this stage is the C-bit, if any. */
uint64_t x86_snp_c_mask(CPUX86State *env, bool guest_stage1);
/*
 * What an instruction or MSR names is the address @spa: not in a guest it may
 * have the C-bit.
 */
uint64_t x86_snp_spa(CPUX86State *env, uint64_t spa);
/* Bits of a physical address that an instruction or MSR names, now */
unsigned x86_snp_phys_bits(CPUX86State *env);
/* Address bits that are reserved in CR3 and in an entry of this stage. */
uint64_t x86_snp_rsvd_mask(CPUX86State *env, bool guest_stage1);

typedef struct X86SnpFill {
    hwaddr spa, gpa;
    uint64_t page_size;       /* bytes the leaf maps */
    bool cbit;
    int prot;                 /* in: by the page tables; out: less the RMP's */
    uint8_t space;            /* out: SnpSpace, what is at the end */
    bool fresh;               /* see RmpAccess; x86_snp_check_*() set it */
} X86SnpFill;
/*
 * The RMP checks of a translation about to be cached. Returns 0, or the bits
 * SNP_NPF_* of the refusal; @fill->prot then is unchanged.
 */
uint64_t x86_snp_check_nested(CPUX86State *env, X86SnpFill *fill,
                              MMUAccessType access);
/* Whose translation it is */
typedef struct X86SnpGuest {
    uint32_t asid;
    uint8_t vmpl;
    uint8_t kind;             /* SNP_GUEST_* */
    bool user;                /* at CPL 3 */
} X86SnpGuest;
/*
 * The same of one that is cached already, of @guest, who need not run: nothing
 * is counted or injected
 */
uint64_t x86_snp_judge_nested(CPUX86State *env, const X86SnpGuest *guest,
                              X86SnpFill *fill, MMUAccessType access);
uint64_t x86_snp_check_host(CPUX86State *env, X86SnpFill *fill,
                            MMUAccessType access);
uint64_t x86_snp_judge_host(CPUX86State *env, X86SnpFill *fill,
                            MMUAccessType access);
/* Which SnpSpace the host, or a page walk, is led to */
uint8_t x86_snp_host_space(CPUX86State *env, hwaddr spa);
/* Is this page one the processor itself may write on behalf of the host? */
bool x86_snp_host_owned(hwaddr spa);
/* May it set accessed and dirty bits there, in tables not of a guest's own? */
bool x86_snp_may_set(CPUX86State *env, hwaddr spa);
/*
 * VMRUN: takes the pages that #VMEXIT will write to or load the host from, the
 * VMCB and the host save area; nobody can take them away then. False: one of
 * them is not the host's to write, or another CPU has it; none is taken.
 * Without SNP there is nothing to take, and that is true. What RAM holds of
 * them is what the host sees; for that the instruction may start again.
 */
bool x86_snp_hold_host_pages(CPUX86State *env, hwaddr vmcb, uintptr_t retaddr);
/* The end of #VMEXIT; may be called with nothing held */
void x86_snp_release_host_pages(CPUX86State *env);
void x86_snp_flush_all(void);
/*
 * On all CPUs, what is cached of the 2M around a page whose RMP entry changed.
 * No check goes beyond these: it asks the page's entry, or that of 2M which
 * covers it, and for a mapping of 2M or more whether a page there is assigned.
 * What was found by walking tables in the page stays, as it does in a
 * processor: RMPUPDATE is no INVLPG.
 */
void x86_snp_flush_region(hwaddr spa);
/*
 * On all CPUs, what is cached of one page. No other CPU runs, nor did since
 * what is cached became wrong.
 */
void x86_snp_flush_page(hwaddr spa);

/* A guest virtual address as the RMP instructions see it. */
typedef struct X86SnpXlate {
    hwaddr spa, gpa;
    bool leaf_2m;
} X86SnpXlate;
/* In excp_helper.c. Does not return if a page table refuses the access. */
void x86_snp_translate(CPUX86State *env, vaddr addr, X86SnpXlate *out,
                       uintptr_t retaddr);
G_NORETURN void x86_snp_raise_npf(CPUX86State *env, hwaddr gpa, uint64_t bits,
                                  vaddr addr, uintptr_t retaddr);

/* outside.c */

/*
 * The address space of those who do not see what is in RAM. MemTxAttrs.space
 * is an SnpSpace, and says whether they have a key, which is that of the guest
 * that runs.
 */
#define X86_SNP_ASIDX_OUTSIDE 2

static inline int x86_snp_asidx_from_attrs(CPUState *cs, MemTxAttrs attrs)
{
    return attrs.space ? X86_SNP_ASIDX_OUTSIDE : !!attrs.secure;
}

/*
 * Physical memory as the host sees it, for what the processor reads at an
 * address that the host may have chosen for its content. Any alignment.
 */
uint8_t x86_snp_ldub_outside(CPUState *cs, hwaddr spa);
uint16_t x86_snp_lduw_outside(CPUState *cs, hwaddr spa);

/*
 * Bytes of the guest that runs at a translation of @space: within a page.
 * False: it leads to RAM, or there is no memory.
 */
bool x86_snp_peek(CPUX86State *env, unsigned space, hwaddr spa, void *buf,
                  size_t len);

/*
 * From now on RAM holds what the host sees of the page, unless it is an SNP
 * guest's. Starts the instruction again if other CPUs run.
 */
void x86_snp_take_page(CPUX86State *env, hwaddr spa, uintptr_t retaddr);

/* One for all CPUs, never freed */
MemoryRegion *x86_snp_outside_root(void);

/* vmsa.c */

/* VMRUN: consistency of a SEV guest's VMCB. False: VMEXIT_INVALID. */
bool x86_snp_vmrun_check(CPUX86State *env, uint64_t nested_ctl, uint32_t asid,
                         uint64_t lbr_ctl);
/* VMRUN of a SEV-ES guest: load the VMSA. 0, or the exit code. */
int64_t x86_snp_vmsa_load(CPUX86State *env);
/* #VMEXIT: true if the guest's state is (or was to be) in a VMSA. */
bool x86_snp_vmexit_save(CPUX86State *env);
/* The CPU is reset: there will be no #VMEXIT. In host mode nothing happens. */
void x86_snp_abandon_guest(CPUX86State *env);
/* #VMEXIT: the host state that only SEV-ES swaps; ends the guest's identity */
void x86_snp_vmexit_restore(CPUX86State *env);

/* event.c */

/*
 * VMRUN, with the guest loaded: may the host have it take that event, which is
 * the VMCB's EVENTINJ with its bit 31 set? False: VMEXIT_INVALID.
 */
bool x86_snp_may_inject(const CPUX86State *env, uint32_t event);
/* Does the guest that is loaded take virtual interrupts of the VMCB's? */
bool x86_snp_takes_virq(const CPUX86State *env);

/* vmstate.c: a subsection of the CPU's */
extern const VMStateDescription vmstate_x86_snp;

/* exit.c */

/* Turns an exit that a SEV-ES guest must not take into #VC, or returns. */
void x86_snp_reflect(CPUX86State *env, uint64_t exit_code, uint64_t info1,
                     uintptr_t retaddr);
/* After unwinding: do the automatic exits whose instruction is complete. */
void x86_snp_complete_insn(CPUX86State *env, uint64_t exit_code);
/* Control register and EFER write traps of SEV-ES guests. */
void x86_snp_write_trap(CPUX86State *env, uint32_t code, uint64_t val,
                        uintptr_t retaddr);
/* SNP guests exit on these whatever the intercepts say. */
bool x86_snp_always_exits(CPUX86State *env, uint32_t code);
void x86_snp_count_exit(CPUX86State *env, uint64_t code, uint64_t info1);

/* world.c; all on the CPU's own thread, and nothing without -icount */

/* The CPU begins and ends a stretch of executing, outside of any block. */
void x86_snp_world_begin(CPUState *cs);
void x86_snp_world_end(CPUState *cs);
/*
 * It goes to a guest or (0) to the host: after unwinding, or in the last
 * instruction of a translation block, so that all it executed is counted.
 */
void x86_snp_enter_world(CPUState *cs, uint32_t asid);

/* To be saved and loaded: whose turn it is, and what it executed so far */
void x86_snp_world_get(CPUState *cs, uint32_t *asid, uint64_t *visit);
void x86_snp_world_set(CPUState *cs, uint32_t asid, uint64_t visit);

/* platform's questions */
bool x86_snp_ready_for_init(const char **why);
void x86_snp_wbinvd_arm(void);
bool x86_snp_wbinvd_done(void);
void x86_snp_disable(void);

/* inject.c */

/* The CPU takes an interrupt: counted where something waits for that. */
void x86_snp_interrupt(void);
/* The spurious fault of a private access that is allowed: its bits, or 0 */
uint64_t x86_snp_spurious_fault(void);

/* The next VMGEXIT of any guest: what the host loads is not of the last. */
void x86_snp_ghcb_done(void);
/*
 * VMGEXIT by a GHCB that lies at @spa: counted, and watched from now on if the
 * host's kernel is to find it changed. Once for each exit.
 */
void x86_snp_ghcb_exit(uint64_t event, hwaddr spa);
/* Is the page the one watched? Then its accesses by the host come here: */
bool x86_snp_watched(hwaddr spa);
uint64_t x86_snp_watched_read(hwaddr spa, unsigned size);
void x86_snp_watched_write(hwaddr spa, uint64_t val, unsigned size);

/* To be saved and loaded: the GHCB that is watched, and what is to change */
typedef struct X86SnpWatch {
    uint64_t page;            /* ~0: none */
    uint64_t value, after;    /* that the field gets, after so many loads */
    uint64_t loads;           /* seen */
    uint32_t offset, size;    /* of the field; size 0: nothing changes */
    bool due;
} X86SnpWatch;
void x86_snp_watch_get(X86SnpWatch *w);
/* False, and nothing is done: no field of a page, or no page */
bool x86_snp_watch_set(const X86SnpWatch *w);

/* check.c */

/* The CPU enters or leaves a guest. Called by its own thread. */
void x86_snp_check_tlbs(CPUState *cs, const char *where);

typedef enum {
    SNP_FLUSH_BEGUN,            /* a flush of all CPUs is going to be queued */
    SNP_FLUSH_QUEUED,           /* is: each CPU does its own */
    SNP_FLUSH_QUEUED_FOR_ALL,   /* is: by this CPU, while no other runs */
} X86SnpFlush;
void x86_snp_check_flush(X86SnpFlush stage);
/*
 * Around every change of the RMP and the flush that goes with it. Neither
 * locks, but nothing in between may leave the helper; @stricter: something
 * was taken away.
 */
void x86_snp_rmp_begin(void);
void x86_snp_rmp_end(bool stricter, const char *what);

static inline bool x86_snp_is_es(const CPUX86State *env)
{
    return unlikely(env->snp.guest & SNP_GUEST_ES);
}

/* [SNP-SECURE-TSC] of a count of the processor's what the guest has of it */
static inline uint64_t x86_snp_scale_tsc(CPUX86State *env, uint64_t tsc)
{
    uint64_t hi;

    if (likely(!(env->snp.sev_features & SEV_FEAT_SECURE_TSC))) {
        return tsc;
    }
    mulu64(&tsc, &hi, tsc, env->snp.tsc_scale);
    return tsc >> 32 | hi << 32;
}

static inline bool x86_snp_enabled(CPUX86State *env)
{
    return unlikely(env->snp.syscfg & SYSCFG_SNP_EN);
}

#endif
