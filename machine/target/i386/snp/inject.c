/*
 * SEV-SNP: failing on demand, the processor's side
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/main-loop.h"
#include "qemu/bswap.h"
#include "cpu.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "hw/snp/platform.h"
#include "hw/snp/trace.h"
#include "snp.h"

void x86_snp_interrupt(void)
{
    SnpPlatform *p = snp_platform();
    uint64_t left;

    if (!p || likely(!qatomic_read(&p->late_interrupts))) {
        return;
    }
    do {
        left = qatomic_read(&p->late_interrupts);
        if (!left) {
            return;     /* another CPU took the last */
        }
    } while (qatomic_cmpxchg(&p->late_interrupts, left, left - 1) != left);
    if (left == 1) {
        qemu_bh_schedule(p->late_bh);
    }
}

uint64_t x86_snp_spurious_fault(void)
{
    SnpInjectAction a = snp_inject(&snp_platform()->inject, SNP_INJECT_NPF, 0);

    if (likely(a.kind != SNP_INJECT_FAULT)) {
        return 0;
    }
    trace_snp_inject("NPF", a.kind, a.value);
    snp_stat_injected(SNP_INJECT_NPF);
    return SNP_NPF_RMP;
}

/*
 * ---- a GHCB that changes ----
 *
 * The page's translations by the host are led to outside.c, so that each of its
 * loads is seen. A guest's go to RAM as ever.
 */

#define NO_PAGE  (~(hwaddr)0)

/* The page stays once watched, until another is: it is slow, not wrong. */
static struct {
    hwaddr page;
    QemuSpin lock;              /* of what follows */
    SnpInjectAction change;
    uint64_t loads;             /* of the field, since the exit */
    bool due;
} watch = { .page = NO_PAGE };

bool x86_snp_watched(hwaddr spa)
{
    return unlikely(qatomic_read(&watch.page) == (spa & TARGET_PAGE_MASK));
}

/* Memory as the host has it, without its translations */
static void ram_access(hwaddr spa, uint64_t *val, unsigned size, bool write)
{
    uint8_t buf[8];

    stn_le_p(buf, size, *val);
    address_space_rw(&address_space_memory, spa, MEMTXATTRS_UNSPECIFIED, buf,
                     size, write);
    *val = ldn_le_p(buf, size);
}

static void change(hwaddr page, const SnpInjectAction *a)
{
    uint64_t val = a->value;

    ram_access(page + a->offset, &val, a->size, true);
    snp_stat(SNP_STAT_GHCB_CHANGED);
}

void x86_snp_ghcb_done(void)
{
    if (likely(qatomic_read(&watch.page) == NO_PAGE)) {
        return;
    }
    qemu_spin_lock(&watch.lock);
    watch.change.size = 0;
    watch.due = false;
    qemu_spin_unlock(&watch.lock);
}

void x86_snp_ghcb_exit(uint64_t event, hwaddr spa)
{
    SnpInjectAction a = snp_inject(&snp_platform()->inject, SNP_INJECT_GHCB,
                                   event);

    if (likely(a.kind != SNP_INJECT_CHANGE)) {
        return;
    }
    trace_snp_inject("GHCB", a.kind, a.value);
    snp_stat_injected(SNP_INJECT_GHCB);
    qemu_spin_lock(&watch.lock);
    watch.change = a;
    watch.loads = 0;
    watch.due = a.loads;
    qemu_spin_unlock(&watch.lock);
    if (!a.loads) {
        change(spa, &a);
    }
    if (!x86_snp_watched(spa)) {
        x86_snp_rmp_begin();
        qatomic_set(&watch.page, spa);
        x86_snp_flush_all();
        x86_snp_rmp_end(false, "GHCB");
    }
}

/* The host's kernel has loaded from there: is the field to change now? */
static bool loaded(unsigned offset, unsigned size, SnpInjectAction *a)
{
    bool now = false;

    qemu_spin_lock(&watch.lock);
    *a = watch.change;
    if (a->size && offset < a->offset + a->size &&
        a->offset < offset + size) {
        snp_stat(SNP_STAT_GHCB_LOADS);
        watch.loads++;
        now = watch.due && watch.loads == a->loads;
        watch.due &= !now;
    }
    qemu_spin_unlock(&watch.lock);
    return now;
}

uint64_t x86_snp_watched_read(hwaddr spa, unsigned size)
{
    SnpInjectAction a;
    uint64_t val = 0;

    ram_access(spa, &val, size, false);
    if (current_cpu &&
        (cpu_env(current_cpu)->hflags & HF_CPL_MASK) != 3 &&
        loaded(spa & ~TARGET_PAGE_MASK, size, &a)) {
        change(spa & TARGET_PAGE_MASK, &a);
    }
    return val;
}

void x86_snp_watched_write(hwaddr spa, uint64_t val, unsigned size)
{
    ram_access(spa, &val, size, true);
}

void x86_snp_watch_get(X86SnpWatch *w)
{
    qemu_spin_lock(&watch.lock);
    *w = (X86SnpWatch) {
        .page = watch.page,
        .value = watch.change.value,
        .after = watch.change.loads,
        .loads = watch.loads,
        .offset = watch.change.offset,
        .size = watch.change.size,
        .due = watch.due,
    };
    qemu_spin_unlock(&watch.lock);
}

bool x86_snp_watch_set(const X86SnpWatch *w)
{
    if ((w->page != NO_PAGE && w->page & ~TARGET_PAGE_MASK) ||
        (w->size && (w->page == NO_PAGE || w->size > 8 ||
                     !is_power_of_2(w->size) || w->offset % w->size ||
                     w->offset >= TARGET_PAGE_SIZE)) || (w->due && !w->size)) {
        return false;
    }
    qemu_spin_lock(&watch.lock);
    qatomic_set(&watch.page, w->page);
    watch.change = (SnpInjectAction) {
        .kind = SNP_INJECT_CHANGE,
        .value = w->value,
        .offset = w->offset,
        .size = w->size,
        .loads = w->after,
    };
    watch.loads = w->loads;
    watch.due = w->due;
    qemu_spin_unlock(&watch.lock);
    return true;
}
