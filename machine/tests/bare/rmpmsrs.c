/*
 * MSRs that say where the RMP is
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 15.36.4. Whether there are segments CPUID says; a processor
 * without them has no RMP_CFG.
 */
#include "bare.h"

#define MSR_RMP_BASE  0xc0010132
#define MSR_RMP_END   0xc0010133
#define MSR_RMP_CFG   0xc0010136
#define CFG_SEGMENTED 1u

/* There need be none. */
const char *psp_find(void)
{
    return NULL;
}

static bool segmented(void)
{
    uint32_t r[4];

    cpuid(0x8000001f, 0, r);
    return r[0] >> 23 & 1;
}

/* Refused, whatever is written, and nothing changes. */
static void kept(uint32_t msr)
{
    const uint64_t was = rdmsr(msr);
    const uint64_t written[] = { was, 0, was ^ SIZE_2M, was ^ CFG_SEGMENTED };

    for (unsigned i = 0; i < ARRAY_SIZE(written); i++) {
        Probe p = probe(op_wrmsr, msr, written[i]);

        if (cell(p.vector == VEC_GP && !p.error && rdmsr(msr) == was)) {
            print("# WRMSR of %lx to %x: vector %d, error %lx; it is %lx, and "
                  "was %lx\n", written[i], msr, p.vector, p.error, rdmsr(msr),
                  was);
        }
    }
}

static void without(void)
{
    static ProbeOp *const ops[] = { op_rdmsr, op_wrmsr };

    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
        Probe p = probe(ops[i], MSR_RMP_CFG, 0);

        if (cell(p.vector == VEC_GP && !p.error)) {
            print("# %s of RMP_CFG: vector %d, error %lx\n",
                  i ? "WRMSR" : "RDMSR", p.vector, p.error);
        }
    }
}

void suite_rmpmsrs(void)
{
    uint64_t cfg;

    ktap_plan(3);
    ktap_begin();
    kept(MSR_RMP_BASE);
    ktap_end("RMP_BASE is read-only");
    ktap_begin();
    kept(MSR_RMP_END);
    cell(!rdmsr(MSR_RMP_END) == segmented());
    ktap_end("RMP_END is read-only, and 0 where there are segments");
    ktap_begin();
    if (segmented()) {
        cfg = rdmsr(MSR_RMP_CFG);
        cell(cfg & CFG_SEGMENTED && cfg >> 8 >= 30 && cfg >> 8 <= 39);
        kept(MSR_RMP_CFG);
    } else {
        without();
    }
    ktap_end("RMP_CFG is %s", segmented() ? "read-only" : "not there");
}
