/*
 * SEV-SNP: the machine checks itself
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * With the amd-psp device's self-check=on, whenever a CPU enters or leaves a
 * guest, and of all CPUs after each change of the RMP that takes something
 * away, every cached translation is judged once more. One that the RMP would
 * refuse now is a flush that was missed: the machine stops and says where.
 *
 * A flush on its way is not a flush that was missed. With one thread a CPU, a
 * change of the RMP is over only when every CPU has flushed; until then others
 * run on with what they have. So a CPU is not judged while work is queued for
 * it, nor while another has begun a change and not yet queued the flush.
 *
 * A combined (guest virtual to system physical) translation no longer knows
 * its guest physical address, C-bit and nested leaf; of those only what is
 * wrong for any is found. Their nested halves are checked in full.
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/error-report.h"
#include "cpu.h"
#include "exec/cpu-defs.h"
#include "exec/page-protection.h"
#include "exec/tlb-common.h"
#include "hw/core/cpu.h"
#include "hw/snp/platform.h"
#include "system/tcg.h"
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

/* Is that what a guest finds there, with the C-bit or without? */
static bool is_space(const X86SnpGuest *guest, hwaddr spa, uint8_t space)
{
    const SnpView *v = &snp_platform()->view;

    return space == snp_view_space(v, spa, 0) ||
           (guest->kind & SNP_GUEST_SEV &&
            space == snp_view_space(v, spa, guest->asid));
}

static bool combined_is_stale(CPUX86State *env, const X86SnpGuest *guest,
                              hwaddr spa, int prot, uint8_t space)
{
    bool snp = guest->kind & SNP_GUEST_SNP, own;
    RmpEntry e;

    if (!is_space(guest, spa, space)) {
        return true;
    }
    if (!x86_snp_enabled(env)) {
        return false;
    }
    rmp_get(&snp_platform()->rmp, spa, &e);
    own = snp && e.assigned && e.asid == guest->asid && e.validated &&
          !e.immutable;
    /* An SNP guest executes private pages only. */
    if (snp && prot & PAGE_EXEC && !own) {
        return true;
    }
    /* Plaintext to the owner, once it validated the page */
    if (snp && space == SNP_SPACE_RAM && !own &&
        x86_snp_host_space(env, spa) != SNP_SPACE_RAM) {
        return true;
    }
    /* Only its owner, once it validated the page, writes to it. */
    return prot & PAGE_WRITE && e.assigned && !own;
}

/* Is something of @prot refused? Who fetched, at which CPL, is not known. */
static bool nested_is_stale(CPUX86State *env, X86SnpGuest *guest,
                            const X86SnpFill *fill, int prot, uint8_t space)
{
    X86SnpFill f = *fill;

    guest->user = false;
    if (x86_snp_judge_nested(env, guest, &f, MMU_DATA_LOAD) ||
        f.space != space) {
        return true;
    }
    if (f.prot != prot && (f.prot | PAGE_EXEC) == prot) {
        f = *fill;
        guest->user = true;
        x86_snp_judge_nested(env, guest, &f, MMU_DATA_LOAD);
    }
    return f.prot != prot;
}

/* Changes of the RMP begun, and those whose flush has been queued. */
static unsigned begun, flushed;

/*
 * Are all pages of that 2M unassigned? As found since the last change: many
 * translations are of one mapping, and the answer is of 512 entries.
 */
static bool region_writable(hwaddr spa)
{
    static __thread struct {
        hwaddr region;
        unsigned at;
        bool known, writable;
    } found[512];
    const RmpAccess a = { .spa = spa, .write = true, .leaf_2m = true };
    hwaddr region = spa / RMP_2M_SIZE;
    unsigned i = region % ARRAY_SIZE(found);
    unsigned done = qatomic_load_acquire(&flushed);
    unsigned now = qatomic_load_acquire(&begun);

    if (!found[i].known || found[i].region != region || found[i].at != now) {
        found[i].writable = rmp_check(&snp_platform()->rmp, &a) == RMP_ALLOW;
        found[i].region = region;
        found[i].at = now;
        /* not while a change is under way */
        found[i].known = now == done;
    }
    return found[i].writable;
}

static bool host_is_stale(CPUX86State *env, const X86SnpFill *fill, int prot,
                          uint8_t space)
{
    X86SnpFill f = *fill;

    if (f.page_size >= RMP_2M_SIZE && x86_snp_enabled(env)) {
        if (prot & PAGE_WRITE && !region_writable(f.spa)) {
            return true;
        }
        f.page_size = RMP_PAGE_SIZE;
    }
    return x86_snp_judge_host(env, &f, MMU_DATA_LOAD) || f.prot != prot ||
           f.space != space;
}

static bool entry_is_stale(CPUX86State *env, int mmu_idx,
                           const CPUTLBEntryFull *full, vaddr addr, int prot)
{
    X86SnpFill fill = {
        .spa = full->phys_addr & TARGET_PAGE_MASK,
        .page_size = 1ULL << full->lg_page_size,
        .prot = prot,
    };
    /* A guest's translations are those of who ran last, or runs. */
    X86SnpGuest guest = {
        .asid = env->vm_guest_tlb.asid,
        .vmpl = env->vm_guest_tlb.vmpl,
        .kind = env->vm_guest_tlb.snp_guest,
    };
    uint8_t space = full->attrs.space;

    if (mmu_idx == MMU_PHYS_IDX) {
        /* The processor's own accesses: who may write is asked elsewhere. */
        return space != x86_snp_host_space(env, fill.spa);
    }
    if (mmu_idx == MMU_NESTED_IDX) {
        fill.gpa = addr & ~SNP_C_MASK;
        fill.cbit = guest.kind & SNP_GUEST_SEV && addr & SNP_C_MASK;
        return nested_is_stale(env, &guest, &fill, prot, space);
    }
    if (mmu_idx >= MMU_GUEST_IDX && env->vm_guest_tlb.nested_pg_mode) {
        return combined_is_stale(env, &guest, fill.spa, prot, space);
    }
    return host_is_stale(env, &fill, prot, space);
}

QEMU_BUILD_BUG_ON(PAGE_READ != 1 << MMU_DATA_LOAD);
QEMU_BUILD_BUG_ON(PAGE_WRITE != 1 << MMU_DATA_STORE);
QEMU_BUILD_BUG_ON(PAGE_EXEC != 1 << MMU_INST_FETCH);

/*
 * Flushes queued for a CPU that it has not done yet, by its index: work leaves
 * the CPU's list before it is done.
 */
static unsigned owed[256];

static unsigned *owed_by(CPUState *cs)
{
    return &owed[cs->cpu_index % ARRAY_SIZE(owed)];
}

/* May the CPU be judged? Then *@when is what may not have changed meanwhile. */
static bool settled(CPUState *cs, unsigned *when)
{
    /* In this order: equal means that none was under way in between. */
    unsigned done = qatomic_load_acquire(&flushed);

    *when = qatomic_load_acquire(&begun);
    return *when == done && QSIMPLEQ_EMPTY_ATOMIC(&cs->work_list) &&
           !qatomic_read(owed_by(cs));
}

static void check_one(CPUState *cs, int mmu_idx, const CPUTLBEntry *te,
                      CPUTLBEntryFull *full, const char *where,
                      unsigned since, uint32_t stamp)
{
    int prot = entry_prot(te);
    vaddr addr = entry_addr(te, prot);
    unsigned now;

    if (!prot || full->extra.x86.judged == stamp) {
        return;
    }
    if (!entry_is_stale(cpu_env(cs), mmu_idx, full, addr, prot)) {
        full->extra.x86.judged = stamp;
        return;
    }
    /* The entry was read before what tells whether it was about to go. */
    smp_mb();
    if (!settled(cs, &now) || now != since) {
        return;
    }
    error_report("SNP self-check: CPU %d, %s: cached translation (index %d) "
                 "0x%" VADDR_PRIx " -> 0x%" HWADDR_PRIx " prot %d is refused "
                 "by the RMP", cs->cpu_index, where, mmu_idx, addr,
                 full->phys_addr & TARGET_PAGE_MASK, prot);
    abort();
}

/*
 * What a judgement holds for: a state of the RMP and, of a guest's translation,
 * the guest. A new one has 0.
 */
static uint32_t stamp_of(const X86TlbOwner *o, int mmu_idx, unsigned since)
{
    uint32_t stamp = (since + 1) * 0x9e3779b1u;

    if (mmu_idx >= MMU_NESTED_IDX) {
        stamp ^= (o->asid * 64 + o->snp_guest * 8 + o->vmpl) * 0x85ebca6bu;
    }
    return stamp | 1;
}

static void check_cpu(CPUState *cs, const char *where)
{
    const X86TlbOwner *owner = &cpu_env(cs)->vm_guest_tlb;
    unsigned since;
    int idx;

    if (!settled(cs, &since)) {
        return;
    }
    snp_stat(SNP_STAT_SELF_CHECK);
    /* A CPU empties and resizes its own tables whenever it likes. */
    qemu_spin_lock(&cs->neg.tlb.c.lock);
    for (idx = 0; idx < NB_MMU_MODES; idx++) {
        CPUTLBDesc *d = &cs->neg.tlb.d[idx];
        CPUTLBDescFast *f = &cs->neg.tlb.f[idx];
        size_t i, n = (f->mask >> CPU_TLB_ENTRY_BITS) + 1;
        uint32_t stamp = stamp_of(owner, idx, since);

        if (!(cs->neg.tlb.c.dirty & 1 << idx)) {
            continue;
        }
        for (i = 0; i < n; i++) {
            check_one(cs, idx, &f->table[i], &d->fulltlb[i], where, since,
                      stamp);
        }
        for (i = 0; i < CPU_VTLB_SIZE; i++) {
            check_one(cs, idx, &d->vtable[i], &d->vfulltlb[i], where, since,
                      stamp);
        }
    }
    qemu_spin_unlock(&cs->neg.tlb.c.lock);
}

static bool self_check(void)
{
    SnpPlatform *p = snp_platform();

    return unlikely(p && p->self_check);
}

void x86_snp_check_tlbs(CPUState *cs, const char *where)
{
    if (self_check()) {
        check_cpu(cs, where);
    }
}

/* No other CPU runs. */
static void check_all(CPUState *self, run_on_cpu_data what)
{
    CPUState *cs;

    CPU_FOREACH(cs) {
        check_cpu(cs, what.host_ptr);
    }
}

static void flush_done(CPUState *cs, run_on_cpu_data data)
{
    qatomic_dec(owed_by(cs));
}

static void flush_done_by_one(CPUState *self, run_on_cpu_data data)
{
    CPUState *cs;

    CPU_FOREACH(cs) {
        flush_done(cs, data);
    }
}

void x86_snp_check_flush(X86SnpFlush stage)
{
    CPUState *cs;

    if (!self_check()) {
        return;
    }
    if (stage == SNP_FLUSH_QUEUED_FOR_ALL) {
        async_safe_run_on_cpu(current_cpu, flush_done_by_one, RUN_ON_CPU_NULL);
        return;
    }
    CPU_FOREACH(cs) {
        if (stage == SNP_FLUSH_BEGUN) {
            qatomic_inc(owed_by(cs));
        } else if (cs == current_cpu) {
            async_safe_run_on_cpu(cs, flush_done, RUN_ON_CPU_NULL);
        } else {
            async_run_on_cpu(cs, flush_done, RUN_ON_CPU_NULL);
        }
    }
}

void x86_snp_rmp_begin(void)
{
    qatomic_inc(&begun);
}

void x86_snp_rmp_end(bool stricter, const char *what)
{
    run_on_cpu_data data = RUN_ON_CPU_HOST_PTR((void *)what);

    qatomic_inc(&flushed);
    if (!stricter || !self_check()) {
        return;
    }
    if (qemu_tcg_mttcg_enabled() && current_cpu) {
        async_safe_run_on_cpu(current_cpu, check_all, data);
    } else {
        check_all(current_cpu, data);
    }
}
