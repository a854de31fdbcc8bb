/*
 * SEV-SNP: memory as those see it who have not its key
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An address space of each CPU beside its memory. A translation leads there
 * instead of to RAM if RAM is not what they see who asked; then the access is
 * one to a device, and this is the device. So RAM accesses cost nothing, and
 * nothing of accel/tcg knows.
 *
 * Who may write is not decided here: a write that the RMP refuses never comes.
 * What comes to pages of SNP guests all the same is not asked for the RMP,
 * where hardware would fault; it is dropped.
 *
 * A page that no RMP entry gives to a guest is whose who uses it: a CPU that
 * gets here with its guest's key, or writes without one, claims the page once
 * its block of code is done. Devices do not: no CPU waits for them.
 *
 * One page may be watched (inject.c): the host's translations of it lead here,
 * too, and so on to RAM.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "cpu.h"
#include "exec/cpu-common.h"
#include "exec/exec-all.h"
#include "exec/memory.h"
#include "hw/core/cpu.h"
#include "hw/snp/platform.h"
#include "system/runstate.h"
#include "snp.h"

/* A watched page that is enciphered is not the host's to read. */
static bool is_watched(hwaddr addr)
{
    SnpPlatform *p = snp_platform();

    return p && x86_snp_watched(addr) && !snp_view_enciphered(&p->view, addr);
}

/* ---- claims ---- */

#define NO_CLAIM  UINT64_MAX

/*
 * What this thread's CPU is to claim, the page and below it the ASID, or could
 * not: who executes there would be stopped for it again and again.
 */
static __thread uint64_t queued = NO_CLAIM;

QEMU_BUILD_BUG_ON(RMP_ASID_LIMIT >= RMP_PAGE_SIZE);

/* Does a CPU go on with what is there, once its guest is left? */
static bool is_host_page(hwaddr spa)
{
    CPUState *cs;

    CPU_FOREACH(cs) {
        CPUX86State *env = cpu_env(cs);

        if (env->hflags & HF_GUEST_MASK &&
            (spa == env->vm_vmcb || spa == env->vm_hsave)) {
            return true;
        }
    }
    return false;
}

/* [MEM-ALONE] no CPU runs until it is flushed, too */
static void claim_alone(hwaddr spa, uint32_t asid)
{
    /* [MEM-SEV-VMRUN] who is not the host gets there the slow way */
    if (asid && is_host_page(spa)) {
        return;
    }
    x86_snp_rmp_begin();
    if (snp_view_claim(&snp_platform()->view, asid, spa)) {
        x86_snp_flush_page(spa);
    }
    x86_snp_rmp_end(true, "claim");
}

static void claim_work(CPUState *cs, run_on_cpu_data what)
{
    hwaddr spa = what.target_ptr & -RMP_PAGE_SIZE;

    queued = NO_CLAIM;
    /* done once the machine has stopped, nobody would settle it any more */
    if (snp_platform() && runstate_is_running()) {
        uint32_t asid = what.target_ptr - spa;

        claim_alone(spa, asid);
        if (snp_view_space(&snp_platform()->view, spa, asid) !=
            SNP_SPACE_RAM) {
            queued = what.target_ptr;
        }
    }
}

static void claim(hwaddr spa, uint32_t asid)
{
    uint64_t what = (spa & -RMP_PAGE_SIZE) | asid;

    if (current_cpu && queued != what) {
        queued = what;
        async_safe_run_on_cpu(current_cpu, claim_work,
                              RUN_ON_CPU_TARGET_PTR(what));
    }
}

void x86_snp_take_page(CPUX86State *env, hwaddr spa, uintptr_t retaddr)
{
    CPUState *cs = env_cpu(env);

    if (likely(x86_snp_host_space(env, spa) == SNP_SPACE_RAM)) {
        return;
    }
    if (cs->tcg_cflags & CF_PARALLEL && !cpu_in_exclusive_context(cs)) {
        cpu_loop_exit_atomic(cs, retaddr);
    }
    claim_alone(spa, 0);
}

/* ---- accesses ---- */

/* Whose key the access goes by: the guest's that runs, or (0) nobody's */
static uint32_t key_of(MemTxAttrs attrs)
{
    return attrs.space == SNP_SPACE_KEYED && current_cpu
           ? cpu_env(current_cpu)->snp.asid : 0;
}

/* [MEM-OUTSIDE] */
static MemTxResult outside_read(void *opaque, hwaddr addr, uint64_t *val,
                                unsigned size, MemTxAttrs attrs)
{
    SnpPlatform *p = snp_platform();
    uint32_t asid = key_of(attrs);
    uint8_t buf[8] = { 0 };

    if (!asid && is_watched(addr)) {
        *val = x86_snp_watched_read(addr, size);
        return MEMTX_OK;
    }
    if (p) {
        snp_view_read_as(&p->view, asid, addr, buf, size);
    }
    if (asid) {
        claim(addr, asid);
    }
    *val = ldn_le_p(buf, size);
    return MEMTX_OK;
}

/* [MEM-SEV-WRITE] */
static MemTxResult outside_write(void *opaque, hwaddr addr, uint64_t val,
                                 unsigned size, MemTxAttrs attrs)
{
    SnpPlatform *p = snp_platform();
    uint32_t asid = key_of(attrs);
    uint8_t buf[8];

    if (!asid && is_watched(addr)) {
        x86_snp_watched_write(addr, val, size);
    } else if (p) {
        stn_le_p(buf, size, val);
        snp_view_write_as(&p->view, asid, addr, buf, size);
        claim(addr, asid);
    }
    return MEMTX_OK;
}

static const MemoryRegionOps outside_ops = {
    .read_with_attrs = outside_read,
    .write_with_attrs = outside_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

/* [MEM-MAPS] */
uint8_t x86_snp_ldub_outside(CPUState *cs, hwaddr spa)
{
    uint64_t val;

    if (x86_snp_host_space(cpu_env(cs), spa) == SNP_SPACE_RAM) {
        return x86_ldub_phys(cs, spa);
    }
    outside_read(NULL, spa, &val, 1, MEMTXATTRS_UNSPECIFIED);
    return val;
}

uint16_t x86_snp_lduw_outside(CPUState *cs, hwaddr spa)
{
    /* The next byte may be another's. */
    return x86_snp_ldub_outside(cs, spa) |
           x86_snp_ldub_outside(cs, spa + 1) << 8;
}

bool x86_snp_peek(CPUX86State *env, unsigned space, hwaddr spa, void *buf,
                  size_t len)
{
    SnpPlatform *p = snp_platform();

    return p && space != SNP_SPACE_RAM &&
           snp_view_read_as(&p->view,
                            space == SNP_SPACE_KEYED ? env->snp.asid : 0,
                            spa, buf, len);
}

MemoryRegion *x86_snp_outside_root(void)
{
    static MemoryRegion root;

    if (!root.ops) {
        memory_region_init_io(&root, NULL, &outside_ops, NULL, "snp-outside",
                              UINT64_MAX);
    }
    return &root;
}
