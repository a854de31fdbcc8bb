/*
 * Instructions by world: the host, and each ASID
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Under -icount QEMU counts every instruction, those of all CPUs together.
 * One thread executes them all, a stretch of one CPU at a time. Here the count
 * is cut where a stretch begins and ends, at each VMRUN, which is the host's,
 * and at each #VMEXIT: an instruction that exits without being complete is
 * nobody's.
 */
#include "qemu/osdep.h"
#include "cpu.h"
#include "hw/snp/platform.h"
#include "system/cpu-timers.h"
#include "snp.h"

typedef struct World {
    uint32_t asid;              /* 0: the host */
    uint64_t visit;             /* instructions since it came there */
} World;

static int64_t since;           /* the count when it was last cut */
static World *worlds;           /* by cpu_index */
static int nworlds;

static bool counts(void)
{
    return icount_enabled() && snp_platform();
}

/* What has been executed so far, this CPU's current block included. */
static int64_t executed(CPUState *cs)
{
    bool io = cs->neg.can_do_io;
    int64_t n;

    cs->neg.can_do_io = true;
    n = icount_get_raw();
    cs->neg.can_do_io = io;
    return n;
}

static World *world_of(CPUState *cs)
{
    if (cs->cpu_index >= nworlds) {
        worlds = g_renew(World, worlds, cs->cpu_index + 1);
        memset(worlds + nworlds, 0,
               (cs->cpu_index + 1 - nworlds) * sizeof(*worlds));
        nworlds = cs->cpu_index + 1;
    }
    return &worlds[cs->cpu_index];
}

void x86_snp_world_begin(CPUState *cs)
{
    if (counts()) {
        since = executed(cs);
    }
}

void x86_snp_world_end(CPUState *cs)
{
    if (counts()) {
        World *w = world_of(cs);
        int64_t now = executed(cs);

        snp_stat_instructions(w->asid, now - since);
        w->visit += now - since;
        since = now;
    }
}

void x86_snp_enter_world(CPUState *cs, uint32_t asid)
{
    if (counts()) {
        World *w = world_of(cs);

        x86_snp_world_end(cs);
        snp_stat_visit(w->asid, w->visit);
        *w = (World) { .asid = asid };
    }
}

void x86_snp_world_get(CPUState *cs, uint32_t *asid, uint64_t *visit)
{
    World *w = world_of(cs);

    *asid = w->asid;
    *visit = w->visit;
}

void x86_snp_world_set(CPUState *cs, uint32_t asid, uint64_t visit)
{
    *world_of(cs) = (World) { .asid = asid, .visit = visit };
}
