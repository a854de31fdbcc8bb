/*
 * SEV-SNP: the machine checks itself
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * With the amd-psp device's self-check=on, whenever a CPU enters or leaves a
 * guest, and after each change of the RMP, every translation it has cached is
 * judged once more. One that the RMP would refuse now is a flush that was
 * missed: the machine stops and says where.
 *
 * A combined (guest virtual to system physical) translation no longer knows
 * its guest physical address and C-bit; of those only what is wrong for any
 * address is found. Their nested halves are checked in full.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "cpu.h"
#include "exec/cpu-defs.h"
#include "exec/page-protection.h"
#include "exec/tlb-common.h"
#include "hw/core/cpu.h"
#include "hw/snp/platform.h"
#include "snp.h"

/* The access a cached entry allows; 0 for an empty one. */
static int entry_prot(const CPUTLBEntry *te)
{
    int prot = 0;

    if (!(te->addr_read & TLB_INVALID_MASK)) {
        prot |= PAGE_READ;
    }
    if (!(te->addr_write & TLB_INVALID_MASK)) {
        prot |= PAGE_WRITE;
    }
    if (!(te->addr_code & TLB_INVALID_MASK)) {
        prot |= PAGE_EXEC;
    }
    return prot;
}

static vaddr entry_addr(const CPUTLBEntry *te, int prot)
{
    uint64_t addr = prot & PAGE_READ ? te->addr_read
                    : prot & PAGE_WRITE ? te->addr_write : te->addr_code;

    return addr & TARGET_PAGE_MASK;
}

static bool combined_is_stale(CPUX86State *env, hwaddr spa, int prot)
{
    RmpEntry e;

    rmp_get(&snp_platform()->rmp, spa, &e);
    if (!(prot & PAGE_WRITE) || !e.assigned) {
        return false;
    }
    /* Only its owner, once it validated the page, writes to it. */
    return !(env->snp.guest & SNP_GUEST_SNP) || e.asid != env->snp.asid ||
           !e.validated || e.immutable;
}

static bool entry_is_stale(CPUX86State *env, int mmu_idx,
                           const CPUTLBEntryFull *full, vaddr addr, int prot)
{
    X86SnpFill fill = {
        .spa = full->phys_addr & TARGET_PAGE_MASK,
        .page_size = 1ULL << full->lg_page_size,
        .prot = prot,
    };
    int access;

    if (mmu_idx == MMU_NESTED_IDX) {
        fill.gpa = addr & ~SNP_C_MASK;
        fill.cbit = addr & x86_snp_c_mask(env, true);
    } else if (env->hflags & HF_GUEST_MASK) {
        return combined_is_stale(env, fill.spa, prot);
    }
    for (access = MMU_DATA_LOAD; access <= MMU_INST_FETCH; access++) {
        X86SnpFill f = fill;

        if (!(prot & (1 << access))) {
            continue;
        }
        if (mmu_idx == MMU_NESTED_IDX ? x86_snp_check_nested(env, &f, access)
                                      : x86_snp_check_host(env, &f, access)) {
            return true;
        }
    }
    return false;
}

static void check_one(CPUState *cs, int mmu_idx, const CPUTLBEntry *te,
                      const CPUTLBEntryFull *full, const char *where)
{
    int prot = entry_prot(te);
    vaddr addr = entry_addr(te, prot);

    if (!prot || !entry_is_stale(cpu_env(cs), mmu_idx, full, addr, prot)) {
        return;
    }
    error_report("SNP self-check: CPU %d, %s: cached translation (index %d) "
                 "0x%" VADDR_PRIx " -> 0x%" HWADDR_PRIx " prot %d is refused "
                 "by the RMP", cs->cpu_index, where, mmu_idx, addr,
                 full->phys_addr & TARGET_PAGE_MASK, prot);
    abort();
}

QEMU_BUILD_BUG_ON(PAGE_READ != 1 << MMU_DATA_LOAD);
QEMU_BUILD_BUG_ON(PAGE_WRITE != 1 << MMU_DATA_STORE);
QEMU_BUILD_BUG_ON(PAGE_EXEC != 1 << MMU_INST_FETCH);

void x86_snp_check_tlbs(CPUState *cs, const char *where)
{
    SnpPlatform *p = snp_platform();
    int idx;

    /* A flush that is under way is not a flush that was missed. */
    if (likely(!p || !p->self_check) || !QSIMPLEQ_EMPTY(&cs->work_list)) {
        return;
    }
    snp_stat(SNP_STAT_SELF_CHECK);
    for (idx = 0; idx <= MMU_NESTED_IDX; idx++) {
        CPUTLBDesc *d = &cs->neg.tlb.d[idx];
        CPUTLBDescFast *f = &cs->neg.tlb.f[idx];
        size_t i, n = (f->mask >> CPU_TLB_ENTRY_BITS) + 1;

        if (idx == MMU_PHYS_IDX || !d->n_used_entries) {
            continue;
        }
        for (i = 0; i < n; i++) {
            check_one(cs, idx, &f->table[i], &d->fulltlb[i], where);
        }
        for (i = 0; i < CPU_VTLB_SIZE; i++) {
            check_one(cs, idx, &d->vtable[i], &d->vfulltlb[i], where);
        }
    }
}
