/*
 * SEV-SNP: address bits and RMP checks of translations
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Called when a translation is about to be cached, never on a hit: what is
 * cached was allowed, and whatever makes the RMP stricter flushes.
 */
#include "qemu/osdep.h"
#include "cpu.h"
#include "exec/cputlb.h"
#include "exec/page-protection.h"
#include "hw/core/cpu.h"
#include "hw/snp/platform.h"
#include "system/tcg.h"
#include "snp.h"

uint64_t x86_snp_c_mask(CPUX86State *env, bool guest_stage1)
{
    if (guest_stage1) {
        return env->snp.guest & SNP_GUEST_SEV ? SNP_C_MASK : 0;
    }
    return env->snp.syscfg & SYSCFG_MEM_ENCRYPT ? SNP_C_MASK : 0;
}

/* [MMU-C-BIT-OPERAND] */
uint64_t x86_snp_spa(CPUX86State *env, uint64_t spa)
{
    return env->hflags & HF_GUEST_MASK ? spa
                                       : spa & ~x86_snp_c_mask(env, false);
}

/* [MMU-PHYS-REDUCTION] the keys' address bits are gone for the host */
static unsigned host_phys_bits(CPUX86State *env)
{
    unsigned bits = env_archcpu(env)->phys_bits;

    if (snp_platform() && env->snp.syscfg & SYSCFG_MEM_ENCRYPT) {
        bits -= snp_platform()->phys_reduction;
    }
    return bits;
}

unsigned x86_snp_phys_bits(CPUX86State *env)
{
    return env->hflags & HF_GUEST_MASK ? env_archcpu(env)->phys_bits
                                       : host_phys_bits(env);
}

uint64_t x86_snp_rsvd_mask(CPUX86State *env, bool guest_stage1)
{
    unsigned bits = guest_stage1 ? env_archcpu(env)->phys_bits
                                 : host_phys_bits(env);

    return ~MAKE_64BIT_MASK(0, bits) & ~x86_snp_c_mask(env, guest_stage1);
}

static const int access_of_prot[][2] = {
    { PAGE_READ, MMU_DATA_LOAD },
    { PAGE_WRITE, MMU_DATA_STORE },
    { PAGE_EXEC, MMU_INST_FETCH },
};

static uint64_t verdict_bits(RmpVerdict v)
{
    switch (v) {
    case RMP_ALLOW:
        return 0;
    case RMP_FAULT:
        return SNP_NPF_RMP;
    case RMP_FAULT_SIZEM:
        return SNP_NPF_RMP | SNP_NPF_SIZEM;
    case RMP_FAULT_VMPL:
        return SNP_NPF_RMP | SNP_NPF_VMPL;
    case RMP_FAULT_UNVALIDATED:
        return SNP_NPF_UNVALIDATED;
    }
    g_assert_not_reached();
}

static uint64_t check(CPUX86State *env, X86SnpFill *fill, RmpAccess *a,
                      MMUAccessType access)
{
    const Rmp *rmp = &snp_platform()->rmp;
    int prot = fill->prot;
    int i;

    for (i = 0; i < ARRAY_SIZE(access_of_prot); i++) {
        RmpVerdict v;

        if (!(prot & access_of_prot[i][0])) {
            continue;
        }
        a->write = access_of_prot[i][1] == MMU_DATA_STORE;
        a->fetch = access_of_prot[i][1] == MMU_INST_FETCH;
        v = rmp_check(rmp, a);
        if (v == RMP_ALLOW) {
            continue;
        }
        if (access_of_prot[i][1] == access) {
            return verdict_bits(v);
        }
        prot &= ~access_of_prot[i][0];
    }
    fill->prot = prot;
    return 0;
}

static SnpSpace space_of(CPUX86State *env, hwaddr spa, uint32_t asid)
{
    SnpPlatform *p = snp_platform();

    return p ? snp_view_space(&p->view, spa, asid) : SNP_SPACE_RAM;
}

uint64_t x86_snp_judge_nested(CPUX86State *env, const X86SnpGuest *guest,
                              X86SnpFill *fill, MMUAccessType access)
{
    RmpAccess a = {
        .spa = fill->spa & ~0xfffULL,
        .gpa = fill->gpa & ~0xfffULL,
        .asid = guest->asid,
        .vmpl = guest->vmpl,
        .guest = true,
        .snp = guest->kind & SNP_GUEST_SNP,
        .cbit = fill->cbit,
        .user = guest->user,
        .leaf_2m = fill->page_size >= 0x200000,
        .fresh = fill->fresh,
    };

    /* [MEM-SHARED-READ] [MEM-SEV-KEY] with its key if the C-bit says so */
    fill->space = space_of(env, a.spa,
                           guest->kind & SNP_GUEST_SEV && a.cbit ? a.asid : 0);
    return x86_snp_enabled(env) ? check(env, fill, &a, access) : 0;
}

uint64_t x86_snp_check_nested(CPUX86State *env, X86SnpFill *fill,
                              MMUAccessType access)
{
    const X86SnpGuest guest = {
        .asid = env->snp.asid,
        .vmpl = env->snp.vmpl,
        .kind = env->snp.guest,
        .user = (env->hflags & HF_CPL_MASK) == 3,
    };
    uint64_t refused;

    fill->fresh = true;
    refused = x86_snp_judge_nested(env, &guest, fill, access);
    if (!refused && fill->cbit && x86_snp_enabled(env) &&
        (env->snp.guest & SNP_GUEST_SNP)) {
        refused = x86_snp_spurious_fault();
    }
    return refused;
}

uint64_t x86_snp_judge_host(CPUX86State *env, X86SnpFill *fill,
                            MMUAccessType access)
{
    RmpAccess a = {
        .spa = fill->spa & ~0xfffULL,
        .leaf_2m = fill->page_size >= 0x200000,
        .fresh = fill->fresh,
    };

    /* [MEM-HOST-READ] */
    fill->space = x86_snp_watched(a.spa) ? SNP_SPACE_OUTSIDE
                                         : x86_snp_host_space(env, a.spa);
    return x86_snp_enabled(env) ? check(env, fill, &a, access) : 0;
}

uint64_t x86_snp_check_host(CPUX86State *env, X86SnpFill *fill,
                            MMUAccessType access)
{
    fill->fresh = true;
    return x86_snp_judge_host(env, fill, access);
}

uint8_t x86_snp_host_space(CPUX86State *env, hwaddr spa)
{
    return space_of(env, spa, 0);
}

bool x86_snp_host_owned(hwaddr spa)
{
    RmpAccess a = { .spa = spa & ~0xfffULL, .write = true };

    return rmp_check(&snp_platform()->rmp, &a) == RMP_ALLOW;
}

bool x86_snp_may_set(CPUX86State *env, hwaddr spa)
{
    return !x86_snp_enabled(env) || x86_snp_host_owned(spa);
}

bool x86_snp_hold_host_pages(CPUX86State *env, hwaddr vmcb, uintptr_t retaddr)
{
    const hwaddr page[] = { vmcb, env->vm_hsave };
    Rmp *rmp;
    int held, i;

    /* [MEM-SEV-VMRUN] */
    for (i = 0; i < ARRAY_SIZE(page); i++) {
        x86_snp_take_page(env, page[i], retaddr);
    }
    if (!x86_snp_enabled(env)) {
        return true;
    }
    rmp = &snp_platform()->rmp;
    /* [VMRUN-VMCB-RMP] [VMRUN-HSAVE-RMP] [VMRUN-HSAVE-ZERO] */
    if (!env->vm_hsave || !x86_snp_host_owned(vmcb) ||
        !x86_snp_host_owned(env->vm_hsave)) {
        return false;
    }
    /* [VMRUN-HOST-INUSE] and then nobody gives them away */
    for (held = 0; held < ARRAY_SIZE(page); held++) {
        if (!rmp_try_in_use(rmp, page[held])) {
            goto refused;
        }
    }
    /* They may have been given away in between. */
    if (!x86_snp_host_owned(vmcb) || !x86_snp_host_owned(env->vm_hsave)) {
        goto refused;
    }
    env->snp.held_vmcb = vmcb;
    env->snp.held_hsave = env->vm_hsave;
    if (!(vmcb & (RMP_2M_SIZE - 1)) || !(env->vm_hsave & (RMP_2M_SIZE - 1))) {
        snp_stat(SNP_STAT_VMRUN_ALIGNED);
    }
    return true;

refused:
    for (i = 0; i < held; i++) {
        rmp_set_in_use(rmp, page[i], false);
    }
    return false;
}

void x86_snp_release_host_pages(CPUX86State *env)
{
    /* The save area is at no address of 0; a VMCB may be. */
    if (env->snp.held_hsave) {
        rmp_set_in_use(&snp_platform()->rmp, env->snp.held_vmcb, false);
        rmp_set_in_use(&snp_platform()->rmp, env->snp.held_hsave, false);
        env->snp.held_vmcb = 0;
        env->snp.held_hsave = 0;
    }
}

void x86_snp_flush_all(void)
{
    CPUState *cs;

    if (qemu_tcg_mttcg_enabled() && current_cpu) {
        x86_snp_check_flush(SNP_FLUSH_BEGUN);
        tlb_flush_all_cpus_synced(current_cpu);
        x86_snp_check_flush(SNP_FLUSH_QUEUED);
        return;
    }
    CPU_FOREACH(cs) {
        tlb_flush(cs);
    }
}

void x86_snp_flush_page(hwaddr spa)
{
    tlb_flush_phys_all_cpus(spa & TARGET_PAGE_MASK, TARGET_PAGE_BITS);
}

void x86_snp_flush_region(hwaddr spa)
{
    hwaddr region = spa & -RMP_2M_SIZE;
    unsigned lg_size = ctz64(RMP_2M_SIZE);

    /* [MEM-ALONE] what is queued would be done once others have run again */
    if (qemu_tcg_mttcg_enabled() && current_cpu &&
        !cpu_in_exclusive_context(current_cpu)) {
        x86_snp_check_flush(SNP_FLUSH_BEGUN);
        tlb_flush_phys_all_cpus_synced(current_cpu, region, lg_size);
        x86_snp_check_flush(SNP_FLUSH_QUEUED_FOR_ALL);
    } else {
        tlb_flush_phys_all_cpus(region, lg_size);
    }
}
