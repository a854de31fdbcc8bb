/*
 * SEV-SNP: memory as those see it who have not its key
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An address space of each CPU beside its memory. A translation leads there
 * instead of to RAM if who asked is not the page's owner; then the access is
 * one to a device, and this is the device. So RAM accesses cost nothing, and
 * nothing of accel/tcg knows.
 *
 * Who may write is not decided here: a write that the RMP refuses never comes.
 * What comes are physical writes that are not asked for the RMP, where hardware
 * would fault (accessed and dirty bits of a page table in another's page); they
 * are dropped.
 *
 * One page may be watched (inject.c): the host's translations of it lead here,
 * too, and so on to RAM.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "cpu.h"
#include "exec/memory.h"
#include "hw/snp/platform.h"
#include "snp.h"

/* A watched page that is enciphered is not the host's to read. */
static bool is_watched(hwaddr addr)
{
    SnpPlatform *p = snp_platform();

    return p && x86_snp_watched(addr) && !snp_view_enciphered(&p->view, addr);
}

/* [MEM-OUTSIDE] */
static uint64_t outside_read(void *opaque, hwaddr addr, unsigned size)
{
    SnpPlatform *p = snp_platform();
    uint8_t buf[8] = { 0 };

    if (is_watched(addr)) {
        return x86_snp_watched_read(addr, size);
    }
    if (p) {
        snp_view_look(&p->view, addr, buf, size);
    }
    return ldn_le_p(buf, size);
}

static void outside_write(void *opaque, hwaddr addr, uint64_t val,
                          unsigned size)
{
    if (is_watched(addr)) {
        x86_snp_watched_write(addr, val, size);
    }
}

static const MemoryRegionOps outside_ops = {
    .read = outside_read,
    .write = outside_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

/* [MEM-MAPS] */
uint8_t x86_snp_ldub_outside(CPUState *cs, hwaddr spa)
{
    return x86_snp_is_outside(cpu_env(cs), spa) ? outside_read(NULL, spa, 1)
                                                : x86_ldub_phys(cs, spa);
}

uint16_t x86_snp_lduw_outside(CPUState *cs, hwaddr spa)
{
    /* The next byte may be another's. */
    return x86_snp_ldub_outside(cs, spa) |
           x86_snp_ldub_outside(cs, spa + 1) << 8;
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
