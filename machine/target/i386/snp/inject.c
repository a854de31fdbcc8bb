/*
 * SEV-SNP: failing on demand, the processor's side
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/main-loop.h"
#include "cpu.h"
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
