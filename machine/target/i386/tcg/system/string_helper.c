/*
 * REP STOS and REP MOVS, a page at a time
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Generated code repeats one element after another. Where all that an element
 * would do is to write memory (RAM, a valid translation, no breakpoint), the
 * host's own functions do as many as there are in the page.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "cpu.h"
#include "exec/exec-all.h"
#include "exec/helper-proto.h"
#include "accel/tcg/getpc.h"
#include "tcg/helper-tcg.h"

/*
 * How many elements to do at most. One is left to the generated code, which
 * knows how a repetition ends. It looks for interrupts whenever RCX - 1 is a
 * multiple of REP_ROUND: where there are more rounds it gets one element to
 * do before that.
 */
#define REP_ROUND 65536

static target_ulong rep_most(CPUX86State *env)
{
    target_ulong left = env->regs[R_ECX];

    if (left <= REP_ROUND + 1) {
        return left - 1;
    }
    return left - (ROUND_DOWN(left - 3, REP_ROUND) + 2);
}

/* Elements from there on that are in one page with all their bytes */
static target_ulong in_page(target_ulong addr, unsigned ot)
{
    return -(addr | TARGET_PAGE_MASK) >> ot;
}

/*
 * The host's address of one or more elements in a page, NULL if they are
 * nothing that can be accessed so. Raises what an access of the first would.
 */
static void *rep_probe(CPUX86State *env, target_ulong addr, target_ulong bytes,
                       MMUAccessType access, uintptr_t ra)
{
    int idx = cpu_mmu_index(env_cpu(env), false);
    void *host;

    return probe_access_flags(env, addr, bytes, access, idx, false, &host,
                              ra) ? NULL : host;
}

static void fill(void *to, uint64_t value, size_t n, unsigned ot)
{
    size_t i;

    switch (ot) {
    case MO_8:
        memset(to, value, n);
        break;
    case MO_16:
        for (i = 0; i < n; i++) {
            stw_le_p(to + i * 2, value);
        }
        break;
    case MO_32:
        for (i = 0; i < n; i++) {
            stl_le_p(to + i * 4, value);
        }
        break;
    case MO_64:
        for (i = 0; i < n; i++) {
            stq_le_p(to + i * 8, value);
        }
        break;
    default:
        g_assert_not_reached();
    }
}

/* In 64-bit mode with 64-bit addresses, the base of ES being 0. RCX is not. */
void helper_rep_stos(CPUX86State *env, uint32_t ot)
{
    uintptr_t ra = GETPC();
    target_ulong most = rep_most(env);

    if (env->df < 0) {
        return;
    }
    while (most) {
        target_ulong n = MIN(most, in_page(env->regs[R_EDI], ot));
        void *to = n ? rep_probe(env, env->regs[R_EDI], n << ot,
                                 MMU_DATA_STORE, ra) : NULL;

        if (!to) {
            return;
        }
        fill(to, env->regs[R_EAX], n, ot);
        env->regs[R_EDI] += n << ot;
        env->regs[R_ECX] -= n;
        most -= n;
    }
}

/* As above; no segment's base is added to RSI either. */
void helper_rep_movs(CPUX86State *env, uint32_t ot)
{
    uintptr_t ra = GETPC();
    target_ulong most = rep_most(env);

    if (env->df < 0) {
        return;
    }
    while (most) {
        target_ulong n = MIN(most, MIN(in_page(env->regs[R_ESI], ot),
                                       in_page(env->regs[R_EDI], ot)));
        size_t bytes = n << ot;
        void *from = n ? rep_probe(env, env->regs[R_ESI], bytes,
                                   MMU_DATA_LOAD, ra) : NULL;
        void *to = from ? rep_probe(env, env->regs[R_EDI], bytes,
                                    MMU_DATA_STORE, ra) : NULL;

        /* Not if an element is read that another has written before. */
        if (!to || (from < to && to < from + bytes)) {
            return;
        }
        memmove(to, from, bytes);
        env->regs[R_ESI] += bytes;
        env->regs[R_EDI] += bytes;
        env->regs[R_ECX] -= n;
        most -= n;
    }
}
