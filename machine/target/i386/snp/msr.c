/*
 * SEV-SNP: MSRs and CPUID
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the BIOS leaves behind is the reset state here: memory encryption
 * enabled in SYSCFG and SMM locked, unless properties say otherwise, RMP_BASE
 * and RMP_END pointing at the table that the platform reserved.
 */
#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "cpu.h"
#include "exec/cputlb.h"
#include "exec/helper-proto.h"
#include "hw/snp/platform.h"
#include "hw/snp/segment.h"
#include "snp.h"

/* [MSR-SYSCFG-ENCRYPT] */
static uint64_t mem_encrypt(void)
{
    return snp_platform()->mem_encrypt ? SYSCFG_MEM_ENCRYPT : 0;
}

void x86_snp_reset(CPUX86State *env)
{
    if (snp_platform()) {
        env->snp.syscfg = mem_encrypt();
    }
}

/*
 * [MSR-DR-MASK] Masks of DR0 to DR3 as registers only: CPUID Fn8000_0001
 * ECX[26], which says that they decide what is hit, is 0.
 */
static uint64_t *dr_mask(CPUX86State *env, uint32_t index)
{
    if (!snp_platform()->debug_swap) {
        return NULL;
    }
    switch (index) {
    case MSR_AMD_DR0_ADDR_MASK:
        return &env->snp.dr_mask[0];
    case MSR_AMD_DR1_ADDR_MASK ... MSR_AMD_DR3_ADDR_MASK:
        return &env->snp.dr_mask[index - MSR_AMD_DR1_ADDR_MASK + 1];
    }
    return NULL;
}

/* [MSR-GUEST-TSC-FREQ] in MHz, the nearest */
static uint64_t guest_mhz(CPUX86State *env)
{
    uint64_t khz = x86_snp_scale_tsc(env, snp_platform()->fw.cfg.tsc_khz);

    return (khz + 500) / 1000;
}

static uint64_t syscfg(CPUX86State *env)
{
    /* A CPU reset before the platform existed leaves 0 here. */
    return env->snp.syscfg | mem_encrypt();
}

bool x86_snp_rdmsr_unintercepted(CPUX86State *env, uint32_t index,
                                 uint64_t *val)
{
    if (index != MSR_AMD_SEV_STATUS || !snp_platform()) {
        return false;
    }
    /* [MSR-SEV-STATUS] zero on the host; features shifted past bits 2:0 */
    *val = env->snp.guest | env->snp.sev_features << 2;
    return true;
}

bool x86_snp_rdmsr(CPUX86State *env, uint32_t index, uint64_t *val)
{
    SnpPlatform *p = snp_platform();
    uint64_t *mask;

    if (!p) {
        return false;
    }
    switch (index) {
    case MSR_AMD_SYSCFG:
        *val = syscfg(env);
        return true;
    case MSR_AMD_HWCR:
        *val = (p->smm_lock ? HWCR_SMMLOCK : 0) | HWCR_TSC_FREQ_SEL;
        return true;
    case MSR_AMD_GHCB:
        *val = env->snp.ghcb;
        return true;
    case MSR_AMD_RMP_BASE:
        *val = p->rmp.base;
        return true;
    case MSR_AMD_RMP_END:
        /* [MSR-RMP-END-SEGMENTED] */
        *val = p->rmp.segment_shift ? 0 : p->rmp.end;
        return true;
    case MSR_AMD_RMP_CFG:
        *val = RMP_CFG_SEGMENTED | p->rmp.segment_shift << RMP_CFG_SHIFT;
        return true;
    }
    if (index == MSR_AMD_GUEST_TSC_FREQ && p->secure_tsc) {
        *val = guest_mhz(env);
        return true;
    }
    mask = dr_mask(env, index);
    if (mask) {
        *val = *mask;
    }
    return mask;
}

bool x86_snp_rdmsr_faults(CPUX86State *env, uint32_t index)
{
    SnpPlatform *p = snp_platform();

    /* [MSR-GHCB-HOST] */
    if (index == MSR_AMD_GHCB && p && !x86_snp_is_es(env)) {
        return true;
    }
    /* [MSR-RMP-CFG] is of processors that can have segments only */
    if (index == MSR_AMD_RMP_CFG && p && !p->rmp.segment_shift) {
        return true;
    }
    /* [MSR-GUEST-TSC-FREQ] is of guests with a secure TSC only */
    return index == MSR_AMD_GUEST_TSC_FREQ && p && p->secure_tsc &&
           !(env->snp.sev_features & SEV_FEAT_SECURE_TSC);
}

int x86_snp_wrmsr(CPUX86State *env, uint32_t index, uint64_t val)
{
    const uint64_t sticky = SYSCFG_SNP_EN | SYSCFG_VMPL_EN;
    SnpPlatform *p = snp_platform();
    uint64_t *mask;

    if (!p) {
        return 0;
    }
    switch (index) {
    case MSR_AMD_SYSCFG:
        /* [MSR-SYSCFG-STICKY] only reset or the firmware clears SNP_EN */
        val = (val & ~SYSCFG_MEM_ENCRYPT) | mem_encrypt() |
              (env->snp.syscfg & sticky);
        if ((val ^ env->snp.syscfg) & SYSCFG_SNP_EN) {
            /* The table may be another than the one judged last. */
            x86_snp_rmp_begin();
            x86_snp_rmp_end(false, "SYSCFG");
            tlb_flush(env_cpu(env));
        }
        env->snp.syscfg = val;
        return 1;
    case MSR_AMD_HWCR:
        return 1;
    case MSR_AMD_GHCB:
        /* [MSR-GHCB-HOST] exists in SEV-ES guests only */
        if (!x86_snp_is_es(env)) {
            return -1;
        }
        env->snp.ghcb = val;
        return 1;
    case MSR_AMD_SEV_STATUS:
        return -1;
    case MSR_AMD_GUEST_TSC_FREQ:
        /* [MSR-GUEST-TSC-FREQ] read-only where it is */
        return p->secure_tsc ? -1 : 0;
    case MSR_AMD_VM_PAGE_FLUSH:
        /* caches are coherent across encryption domains (SME_COHERENT) */
        return 1;
    case MSR_AMD_RMP_BASE:
    case MSR_AMD_RMP_END:
    case MSR_AMD_RMP_CFG:
        /* [MSR-RMP-CFG] The table is where the platform put it. */
        return -1;
    }
    mask = dr_mask(env, index);
    if (!mask) {
        return 0;
    }
    /* [MSR-DR-MASK-RSVD] */
    if (val >> 32) {
        return -1;
    }
    *mask = val;
    return 1;
}

bool x86_snp_cpuid(CPUX86State *env, uint32_t *eax, uint32_t *ebx,
                   uint32_t *ecx, uint32_t *edx)
{
    SnpPlatform *p = snp_platform();

    if (!p) {
        return false;
    }
    /* SME, SEV, SEV-ES, SNP, VMPL, cache coherence, 64-bit host only */
    *eax = 1u << 0 | 1u << 1 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 10 |
           1u << 11;
    /* RMPQUERY, RMPREAD, segmented RMP */
    *eax |= p->rmpquery << 6 | p->rmpread << 21 | !!p->rmp.segment_shift << 23;
    /* secure TSC, restricted injection, debug swap */
    *eax |= p->secure_tsc << 8 | p->restricted << 12 | p->debug_swap << 14;
    /* VMCB's ALLOWED_SEV_FEATURES, writes to pages in use */
    *eax |= p->allowed_features << 27 | p->write_in_use << 30;
    *ebx = SNP_C_BIT | p->phys_reduction << 6 | p->rmp.nvmpls << 12 |
           1u << 31;
    *ecx = snp_platform_max_asid();
    *edx = snp_platform_min_sev_asid();
    return true;
}

bool x86_snp_cpuid_segments(uint32_t *eax, uint32_t *ebx)
{
    SnpPlatform *p = snp_platform();

    if (!p || !p->rmp.segment_shift) {
        return false;
    }
    *eax = RMP_SHIFT_MIN | RMP_SHIFT_MAX << 6;
    *ebx = RMP_SEGMENTS | 1u << 10;
    return true;
}

void helper_wbinvd(CPUX86State *env)
{
    env->snp.wbinvd_done = true;
    snp_stat_writeback(env_cpu(env)->cpu_index);
}

void x86_snp_wbinvd_arm(void)
{
    CPUState *cs;

    CPU_FOREACH(cs) {
        cpu_env(cs)->snp.wbinvd_done = false;
    }
}

bool x86_snp_wbinvd_done(void)
{
    CPUState *cs;

    CPU_FOREACH(cs) {
        if (!cpu_env(cs)->snp.wbinvd_done) {
            return false;
        }
    }
    return true;
}

bool x86_snp_ready_for_init(const char **why)
{
    CPUState *cs;

    /* [FW-SNP-INIT-CPUS] every core must agree before the RMP is used */
    CPU_FOREACH(cs) {
        CPUX86State *env = cpu_env(cs);

        if (!(env->snp.syscfg & SYSCFG_SNP_EN)) {
            *why = "SYSCFG.SNP_EN is clear on a CPU";
            return false;
        }
        if (!(env->snp.syscfg & SYSCFG_VMPL_EN)) {
            *why = "SYSCFG.VMPLEn is clear on a CPU";
            return false;
        }
        if (!(env->snp.syscfg & SYSCFG_MFDM)) {
            *why = "SYSCFG.MFDM is clear on a CPU";
            return false;
        }
        if (env->vm_hsave) {
            *why = "VM_HSAVE_PA is not 0 on a CPU";
            return false;
        }
    }
    return true;
}

void x86_snp_disable(void)
{
    CPUState *cs;

    CPU_FOREACH(cs) {
        cpu_env(cs)->snp.syscfg &= ~(SYSCFG_SNP_EN | SYSCFG_VMPL_EN);
    }
    x86_snp_flush_all();
}
