/*
 * The SNP platform: what the secure processor and the CPUs share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/guest-random.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "exec/ram_addr.h"
#include "system/cpu-timers.h"
#include "system/tcg.h"
#include "hw/boards.h"
#include "hw/i386/amd_iommu.h"
#include "hw/i386/e820_memory_layout.h"
#include "hw/i386/x86.h"
#include "hw/snp/dma.h"
#include "hw/snp/platform.h"
#include "hw/snp/segment.h"
#include "cpu.h"
#include "target/i386/snp/snp.h"
#include "trace.h"

SnpPlatform *snp_platform_singleton;

/* ---- the firmware's way to the world ---- */

/* Memory only: what the firmware is given must not reach a device. */
static void *ram_at(uint64_t spa, size_t len, bool write)
{
    hwaddr got = len;
    bool is_ram;
    void *p;

    if (spa + len < spa) {
        return NULL;
    }
    WITH_RCU_READ_LOCK_GUARD() {
        hwaddr xlat;
        MemoryRegion *mr = address_space_translate(&address_space_memory, spa,
                                                   &xlat, &got, write,
                                                   MEMTXATTRS_UNSPECIFIED);

        is_ram = memory_region_is_ram(mr) && !memory_region_is_rom(mr) &&
                 !memory_region_is_romd(mr) && got >= len;
    }
    if (!is_ram) {
        return NULL;
    }
    got = len;
    p = address_space_map(&address_space_memory, spa, &got, write,
                          MEMTXATTRS_UNSPECIFIED);
    if (p && got < len) {
        address_space_unmap(&address_space_memory, p, got, write, 0);
        return NULL;
    }
    return p;
}

/* Where in DRAM it is, or false */
static bool dram_at(const SnpPlatform *p, uint64_t spa, hwaddr *at)
{
    if (spa < p->low_size) {
        *at = spa;
    } else if (spa >= p->high_base && spa - p->high_base < p->high_size) {
        *at = p->low_size + (spa - p->high_base);
    } else {
        return false;
    }
    return true;
}

static bool view_memory(void *opaque, uint64_t spa)
{
    hwaddr at;

    return dram_at(opaque, spa, &at);
}

/*
 * [MEM-DRAM] What is in DRAM, whatever the chipset shows there just now: with
 * PAM or SMRAM a host can hide a page while it changes hands.
 */
static void *view_map(void *opaque, uint64_t spa)
{
    SnpPlatform *p = opaque;
    hwaddr len = RMP_PAGE_SIZE, at;

    if (!dram_at(p, spa, &at)) {
        return NULL;
    }
    return address_space_map(&p->dram, at, &len, true, MEMTXATTRS_UNSPECIFIED);
}

/* Code translated from bytes that are no more goes, too. */
static void view_unmap(void *opaque, void *page, bool written)
{
    SnpPlatform *p = opaque;

    address_space_unmap(&p->dram, page, RMP_PAGE_SIZE, written,
                        written ? RMP_PAGE_SIZE : 0);
}

static bool port_read(void *opaque, uint64_t spa, void *buf, size_t len)
{
    SnpPlatform *p = opaque;
    void *ram = ram_at(spa, len, false);

    if (!ram) {
        return false;
    }
    address_space_unmap(&address_space_memory, ram, len, false, 0);
    return snp_view_read(&p->view, spa, buf, len);
}

static bool port_write(void *opaque, uint64_t spa, const void *buf,
                       size_t len)
{
    SnpPlatform *p = opaque;
    void *ram = ram_at(spa, len, true);

    if (!ram) {
        return false;
    }
    address_space_unmap(&address_space_memory, ram, len, true, 0);
    /* a guest without SNP may have claimed the page: RAM is what it sees */
    return snp_view_write_as(&p->view, 0, spa, buf, len);
}

enum { DRAW_GUEST, DRAW_KEPT };

/* With a seed: blocks of two sequences that have none in common */
static void draw(const SnpPlatform *p, uint64_t kind, uint64_t *count,
                 void *buf, size_t len)
{
    uint8_t *out = buf;

    if (!p->seed) {
        qemu_guest_getrandom_nofail(buf, len);
        return;
    }
    while (len) {
        uint64_t in[3] = { cpu_to_le64(p->seed), cpu_to_le64((*count)++),
                           cpu_to_le64(kind) };
        uint8_t block[SHA384_LEN];
        size_t n = MIN(len, sizeof(block));

        /* guests' as ever: of seed and count */
        sha384(in, sizeof(in) - (kind == DRAW_GUEST ? sizeof(in[2]) : 0),
               block);
        memcpy(out, block, n);
        out += n;
        len -= n;
    }
}

static void port_random(void *opaque, void *buf, size_t len)
{
    SnpPlatform *p = opaque;

    draw(p, DRAW_GUEST, &p->random_count, buf, len);
}

static void port_random_kept(void *opaque, void *buf, size_t len)
{
    SnpPlatform *p = opaque;

    draw(p, DRAW_KEPT, &p->kept_count, buf, len);
}

static bool port_cpus_ready(void *opaque, const char **why)
{
    return x86_snp_ready_for_init(why);
}

static void port_cpus_disable(void *opaque)
{
    SnpPlatform *p = opaque;

    snp_view_disown(&p->view);
    x86_snp_disable();
}

static bool port_has_cpu(void *opaque, uint32_t apic_id)
{
    return cpu_exists(apic_id);
}

static void port_wbinvd_arm(void *opaque)
{
    x86_snp_wbinvd_arm();
}

static bool port_wbinvd_done(void *opaque)
{
    return x86_snp_wbinvd_done();
}

static void port_load_key(void *opaque, uint32_t asid,
                          const uint8_t key[CIPHER_KEY_LEN])
{
    SnpPlatform *p = opaque;

    if (snp_view_load_key(&p->view, asid, key)) {
        x86_snp_flush_all();
    }
}

static void port_drop_keys(void *opaque)
{
    SnpPlatform *p = opaque;

    if (snp_view_drop_keys(&p->view)) {
        x86_snp_flush_all();
    }
}

static void port_hide(void *opaque, uint32_t asids)
{
    SnpPlatform *p = opaque;

    snp_view_hide(&p->view, asids);
}

static void port_encrypt(void *opaque, uint32_t asid, uint64_t spa, void *buf,
                         size_t len)
{
    SnpPlatform *p = opaque;

    snp_view_encrypt(&p->view, asid, spa, buf, len);
}

static void port_decrypt(void *opaque, uint32_t asid, uint64_t spa, void *buf,
                         size_t len)
{
    SnpPlatform *p = opaque;

    snp_view_decrypt(&p->view, asid, spa, buf, len);
}

static void port_rmp_changed(void *opaque, uint64_t spa, uint64_t npages)
{
    if (npages) {
        x86_snp_flush_region(spa);
    } else {
        x86_snp_flush_all();
    }
}

static void port_log(void *opaque, const char *msg)
{
    trace_snp_fw_log(msg);
}

/* Where the completion-wait page is kept once SNP is enabled */
#define IOMMU_CWWB_BASE   0x20
#define IOMMU_CWWB_LIMIT  0x28
#define IOMMU_PAGE_MASK   0x000ffffffffff000ull
#define IOMMU_LOG_ENTRY   16

typedef struct BufferList {
    SnpFwRange *r;
    unsigned n, max;
} BufferList;

static void add_buffer(BufferList *l, uint64_t base, uint64_t len)
{
    if (base && len && l->n < l->max) {
        l->r[l->n].base = base & ~(RMP_PAGE_SIZE - 1);
        l->r[l->n].npages = DIV_ROUND_UP(len, RMP_PAGE_SIZE);
        l->n++;
    }
}

static int add_iommu(Object *obj, void *opaque)
{
    BufferList *l = opaque;
    AMDVIState *s;
    uint64_t cwwb, limit;

    s = (AMDVIState *)object_dynamic_cast(obj, TYPE_AMD_IOMMU_DEVICE);
    if (!s) {
        return 0;
    }
    if (s->evtlog_enabled) {
        add_buffer(l, s->evtlog, (uint64_t)s->evtlog_len * IOMMU_LOG_ENTRY);
    }
    add_buffer(l, s->ppr_log, (uint64_t)s->pprlog_len * IOMMU_LOG_ENTRY);
    cwwb = ldq_le_p(s->mmior + IOMMU_CWWB_BASE) & IOMMU_PAGE_MASK &
           ~snp_dma_c_mask();
    limit = ldq_le_p(s->mmior + IOMMU_CWWB_LIMIT) & IOMMU_PAGE_MASK &
            ~snp_dma_c_mask();
    if (limit >= cwwb) {
        add_buffer(l, cwwb, limit - cwwb + RMP_PAGE_SIZE);
    }
    return 0;
}

static unsigned port_iommu_buffers(void *opaque, SnpFwRange *r, unsigned max)
{
    BufferList l = { .r = r, .max = max };

    object_child_foreach_recursive(object_get_root(), add_iommu, &l);
    return l.n;
}

/* ---- another CPU ---- */

/* Where software finds the page's entry; there is one. */
static uint64_t entry_at(const Rmp *r, uint64_t spa)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE, at = r->base + RMP_BOOKKEEPING;

    if (r->segment_shift) {
        at = r->segment[spa >> r->segment_shift].spa;
        pfn &= (1ull << r->segment_shift) / RMP_PAGE_SIZE - 1;
    }
    return at + pfn * RMP_ENTRY_SIZE;
}

/*
 * No CPU runs while a command does, so that one stands in for it that is
 * injected; what it does is judged as what a CPU does.
 */
static void port_meanwhile(void *opaque)
{
    SnpPlatform *p = opaque;
    const uint64_t spa = p->race.value;
    const RmpUpdate u = { .gpa = spa, .assigned = 1, .asid = 1 };
    const RmpEntry e = {
        .assigned = true, .validated = true, .asid = 1, .gpa = spa,
        .perms = { RMP_PERM_ALL },
    };
    bool done = false;

    if (p->race.kind == SNP_INJECT_RMPUPDATE_AT) {
        done = rmp_update(&p->rmp, spa, &u) == RMP_SUCCESS;
    } else if (p->race.kind != SNP_INJECT_STORE) {
        return;
    } else if (rmp_covered(&p->rmp, spa)) {
        RmpAccess a = { .spa = entry_at(&p->rmp, spa), .write = true };

        done = rmp_check(&p->rmp, &a) == RMP_ALLOW;
        if (done) {
            rmp_fw_set(&p->rmp, spa, &e);
        }
    }
    snp_stat(done ? SNP_STAT_RACE_DONE : SNP_STAT_RACE_REFUSED);
}

/* ---- aliases ---- */

/* Enough for the map of a PC; more than that is not looked through. */
#define ALIAS_RANGES  64

typedef struct MemoryRange {
    ram_addr_t base;            /* in QEMU's RAM, not in the machine's map */
    uint64_t len;
} MemoryRange;

typedef struct AliasScan {
    MemoryRange r[ALIAS_RANGES];
    unsigned n;
    bool found;
} AliasScan;

static bool scan_range(Int128 start, Int128 len, const MemoryRegion *mr,
                       hwaddr offset, void *opaque)
{
    AliasScan *scan = opaque;
    MemoryRange new = { .len = int128_get64(len) };

    if (!memory_region_is_ram((MemoryRegion *)mr) ||
        memory_region_is_rom((MemoryRegion *)mr) ||
        memory_region_is_romd((MemoryRegion *)mr)) {
        return false;
    }
    new.base = memory_region_get_ram_addr((MemoryRegion *)mr) + offset;
    for (unsigned i = 0; i < scan->n; i++) {
        if (new.base < scan->r[i].base + scan->r[i].len &&
            scan->r[i].base < new.base + new.len) {
            scan->found = true;
        }
    }
    if (scan->n == ALIAS_RANGES) {
        scan->found = true;     /* nobody can say that there are none */
    } else {
        scan->r[scan->n++] = new;
    }
    return scan->found;
}

/* Of memory that can be written: a ROM may well be seen twice. */
static bool port_aliased(void *opaque)
{
    AliasScan scan = { .n = 0 };

    WITH_RCU_READ_LOCK_GUARD() {
        flatview_for_each_range(address_space_to_flatview(
                                    &address_space_memory),
                                scan_range, &scan);
    }
    return scan.found;
}

/*
 * As a memory module does that says it is larger than it is: all of memory
 * answers a second time, where no table of the firmware (e820) has any.
 */
static bool make_alias(SnpPlatform *p, Error **errp)
{
    MachineState *ms = MACHINE(qdev_get_machine());
    uint64_t size = memory_region_size(ms->ram);
    MemoryRegionSection there;

    if (!QEMU_IS_ALIGNED(p->dram_alias, RMP_2M_SIZE) ||
        p->dram_alias >= 1ull << 47 || size > 1ull << 46) {
        error_setg(errp, "dram-alias is an address below 1 << 47, aligned to "
                   "2 MiB");
        return false;
    }
    there = memory_region_find(get_system_memory(), p->dram_alias, size);
    if (there.mr) {
        bool ram = memory_region_is_ram(there.mr);

        memory_region_unref(there.mr);
        if (ram) {
            error_setg(errp, "dram-alias: there is memory already");
            return false;
        }
    }
    memory_region_init_alias(&p->alias, qdev_get_machine(), "dram-alias",
                             ms->ram, 0, size);
    memory_region_add_subregion_overlap(get_system_memory(), p->dram_alias,
                                        &p->alias, 1);
    return true;
}

/* ---- set-up ---- */

/* What SNP_INIT wants of both edges, see [FW-INIT-RMP-ALIGN] */
#define RMP_ALIGN             (1 * MiB)

/*
 * The table lies at the end of what it covers and covers itself: 16 bytes a
 * page, the bookkeeping, and 2M alignment at both ends, so that no kernel
 * needs to trim its memory map. With an @offset it is aligned at neither.
 * @coverage: bytes from address 0 on that it is to cover, in front of which it
 * lies then, of 2M; 0: all memory.
 */
static bool reserve_rmp(Rmp *rmp, unsigned shift, uint32_t offset,
                        uint64_t coverage,
                        Error **errp)
{
    MachineState *ms = MACHINE(qdev_get_machine());
    X86MachineState *x86ms;
    uint64_t top, size, room;
    uint8_t *ram;
    RmpPlan plan;

    if (!object_dynamic_cast(OBJECT(ms), TYPE_X86_MACHINE)) {
        error_setg(errp, "amd-psp needs a PC machine");
        return false;
    }
    x86ms = X86_MACHINE(ms);
    top = QEMU_ALIGN_DOWN(x86ms->above_4g_mem_start +
                          x86ms->above_4g_mem_size, RMP_2M_SIZE);
    if (coverage) {
        if (coverage < x86ms->above_4g_mem_start || coverage > top ||
            !QEMU_IS_ALIGNED(coverage, RMP_2M_SIZE)) {
            error_setg(errp, "rmp-coverage is a multiple of 2 MiB between "
                       "0x%" PRIx64 " and 0x%" PRIx64 ", where memory ends, or "
                       "0 for all", x86ms->above_4g_mem_start, top);
            return false;
        }
        top = coverage;
    }
    room = top - x86ms->above_4g_mem_start;
    size = ROUND_UP(RMP_BOOKKEEPING + top / RMP_PAGE_SIZE * RMP_ENTRY_SIZE,
                    RMP_2M_SIZE);
    if (shift) {
        if (!rmp_plan(&plan, shift, x86ms->below_4g_mem_size,
                      x86ms->above_4g_mem_start, top)) {
            error_setg(errp, "rmp-segment-shift is between %u and %u, or 0 for "
                       "one table, and of at most %u segments",
                       RMP_SHIFT_MIN, RMP_SHIFT_MAX, RMP_SEGMENTS);
            return false;
        }
        size = plan.size;
    }
    if (offset % RMP_ALIGN || offset >= RMP_2M_SIZE || (offset && shift)) {
        error_setg(errp, "rmp-offset is 1 MiB or none, and of a table that "
                   "has no segments");
        return false;
    }
    size += offset ? RMP_2M_SIZE : 0;
    if (room < size + 2 * RMP_2M_SIZE) {
        error_setg(errp, "amd-psp needs %" PRIu64 " MiB of memory above 4 GiB "
                   "for the RMP, there are %" PRIu64,
                   (uint64_t)((size + 2 * RMP_2M_SIZE) / MiB),
                   (uint64_t)(room / MiB));
        error_append_hint(errp, "Give the machine more memory, or move more "
                          "of it up: -machine max-ram-below-4g=1G\n");
        return false;
    }
    if (!ms->ram || !memory_region_is_ram(ms->ram)) {
        error_setg(errp, "amd-psp needs the machine's memory in one block");
        return false;
    }

    rmp->base = top - size + offset;
    size -= offset ? RMP_2M_SIZE : 0;
    rmp->end = rmp->base + size - 1;
    ram = memory_region_get_ram_ptr(ms->ram);
    ram += x86ms->below_4g_mem_size + (rmp->base - x86ms->above_4g_mem_start);
    if (shift) {
        rmp_plan_apply(&plan, rmp, rmp->base, ram);
    } else {
        rmp->npages = (size - RMP_BOOKKEEPING) / RMP_ENTRY_SIZE;
        rmp->entries = ram + RMP_BOOKKEEPING;
    }
    e820_add_entry(rmp->base, size, E820_RESERVED);
    return true;
}

/* As the PC lays out its one block of memory, which reserve_rmp() found. */
static void find_dram(SnpPlatform *p)
{
    MachineState *ms = MACHINE(qdev_get_machine());
    X86MachineState *x86ms = X86_MACHINE(ms);

    p->low_size = x86ms->below_4g_mem_size;
    p->high_base = x86ms->above_4g_mem_start;
    p->high_size = x86ms->above_4g_mem_size;
    address_space_init(&p->dram, ms->ram, "snp-dram");
}

/* The computer's clock, the count that goes with it, how far off it may be */
typedef struct Moment {
    int64_t ns, ticks, error;
} Moment;

static Moment moment(void)
{
    int64_t before = cpu_get_host_ticks(), ns = get_clock();
    int64_t error = cpu_get_host_ticks() - before;

    return (Moment){ ns, before + error / 2, error };
}

/*
 * How fast cpu_get_tsc() counts: under -icount in nanoseconds, otherwise as the
 * computer does. Of a few short tries the one that was disturbed least, and of
 * many if that was disturbed by more than a thousandth.
 */
static uint32_t measure_tsc_khz(void)
{
    int64_t best = INT64_MAX;
    bool exact = false;
    uint32_t khz = 0;

    if (icount_enabled()) {
        return SCALE_MS;
    }
    for (int i = 0; i < 5 || (i < 100 && !exact); i++) {
        Moment from = moment(), to;

        do {
            to = moment();
        } while (to.ns - from.ns < 4 * SCALE_MS);
        if (from.error + to.error < best) {
            best = from.error + to.error;
            khz = muldiv64(to.ticks - from.ticks, SCALE_MS, to.ns - from.ns);
            exact = best < (to.ticks - from.ticks) / 1000;
        }
    }
    return khz;
}

static void describe_machine(const SnpPlatform *p, SnpFwConfig *cfg)
{
    MachineState *ms = MACHINE(qdev_get_machine());
    uint64_t in[2] = { cpu_to_le64(p->seed), 0 };
    uint8_t id[2][SHA384_LEN];

    cfg->smt = ms->smp.threads > 1;
    cfg->fms = first_cpu ? cpu_env(first_cpu)->cpuid_version : 0;
    cfg->tsc_khz = p->secure_tsc ? measure_tsc_khz() : 0;
    if (cfg->nvceks) {
        return;     /* a chip with an identity of its own */
    }
    /* the same chip for the same seed; 0 is a seed here */
    for (int i = 0; i < 2; i++) {
        in[1] = cpu_to_le64(~0ull - i);
        sha384(in, sizeof(in), id[i]);
    }
    memcpy(cfg->chip_id, id, sizeof(cfg->chip_id));
}

bool snp_platform_realize(SnpPlatform *p, const SnpFwConfig *cfg,
                          Error **errp)
{
    const SnpFwPort port = {
        .opaque = p,
        .read = port_read,
        .write = port_write,
        .random = port_random,
        .random_kept = port_random_kept,
        .cpus_disable = port_cpus_disable,
        .cpus_ready = port_cpus_ready,
        .has_cpu = port_has_cpu,
        .wbinvd_arm = port_wbinvd_arm,
        .wbinvd_done = port_wbinvd_done,
        .load_key = port_load_key,
        .drop_keys = port_drop_keys,
        .hide = port_hide,
        .encrypt = port_encrypt,
        .decrypt = port_decrypt,
        .rmp_changed = port_rmp_changed,
        .iommu_buffers = port_iommu_buffers,
        .aliased = port_aliased,
        .meanwhile = port_meanwhile,
        .log = port_log,
    };
    SnpFwConfig full = *cfg;

    if (snp_platform_singleton) {
        error_setg(errp, "there can be one amd-psp only");
        return false;
    }
    if (!tcg_enabled()) {
        error_setg(errp, "amd-psp needs -accel tcg: the CPUs' part of SNP is "
                   "emulated");
        return false;
    }
    memset(&p->rmp, 0, sizeof(p->rmp));
    if (!reserve_rmp(&p->rmp, p->segment_shift, p->rmp_offset, p->coverage,
                     errp) ||
        (p->dram_alias && !make_alias(p, errp))) {
        return false;
    }
    p->rmp.opaque = p->opaque_rmp;
    p->rmp.write_in_use = p->write_in_use;
    p->rmp.max_asid = cfg->max_asid;
    p->rmp.nvmpls = RMP_VMPLS;
    p->rmp.loose = cfg->loose;
    p->view = (SnpView){
        .rmp = &p->rmp,
        .off = !p->encrypt,
        .in_force = &p->fw.rmp_inited,
        .opaque = p,
        .map = view_map,
        .unmap = view_unmap,
        .memory = view_memory,
    };
    find_dram(p);
    snp_view_init(&p->view);
    describe_machine(p, &full);
    snp_fw_init(&p->fw, &p->rmp, &port, &full);
    snp_dma_init();
    snp_platform_singleton = p;
    return true;
}

void snp_platform_unrealize(SnpPlatform *p)
{
    if (snp_platform_singleton == p) {
        snp_view_fini(&p->view);
        address_space_destroy(&p->dram);
        if (p->dram_alias) {
            memory_region_del_subregion(get_system_memory(), &p->alias);
            object_unparent(OBJECT(&p->alias));
        }
        snp_platform_singleton = NULL;
    }
}

void snp_platform_reset(SnpPlatform *p)
{
    /* not kept_count: what it made is still there */
    p->random_count = 0;
    snp_fw_reset(&p->fw);
    if (p->rmp.segment_shift) {
        rmp_plan_write_rst(&p->rmp);
    }
}

void snp_platform_rmp_dirty(SnpPlatform *p)
{
    MachineState *ms = MACHINE(qdev_get_machine());
    uint64_t at = p->low_size + (p->rmp.base - p->high_base);

    cpu_physical_memory_set_dirty_range(
        memory_region_get_ram_addr(ms->ram) + at,
        p->rmp.end + 1 - p->rmp.base, 1 << DIRTY_MEMORY_MIGRATION);
}

void snp_platform_settle(SnpPlatform *p)
{
    x86_snp_rmp_begin();
    if (snp_view_settle(&p->view)) {
        x86_snp_flush_all();
    }
    x86_snp_rmp_end(false, "stop");
}

/* ---- reports ---- */

static char *to_json(QDict *d)
{
    g_autoptr(GString) s = qobject_to_json(QOBJECT(d));

    return g_strdup(s->str);
}

/* Where entries lie; a table that is not segmented is one */
static QList *segments(const Rmp *r)
{
    const RmpSegment whole = {
        .npages = r->npages, .spa = r->base + RMP_BOOKKEEPING,
    };
    QList *l = qlist_new();

    for (unsigned i = 0; i < (r->segment_shift ? RMP_SEGMENTS : 1); i++) {
        const RmpSegment *s = r->segment_shift ? &r->segment[i] : &whole;
        QDict *d;

        if (!s->npages) {
            continue;
        }
        d = qdict_new();
        qdict_put_int(d, "covers", (uint64_t)i << r->segment_shift);
        qdict_put_int(d, "pages", s->npages);
        qdict_put_int(d, "at", s->spa);
        qlist_append(l, d);
    }
    return l;
}

char *snp_platform_rmp_summary(const SnpPlatform *p)
{
    g_autoptr(QDict) d = qdict_new();
    g_autofree uint64_t *by_asid = g_new0(uint64_t, RMP_ASID_LIMIT + 1);
    uint64_t by_state[RMP_NSTATES] = { 0 };
    uint64_t own = 0, large = 0, in_use = 0;
    QDict *states = qdict_new(), *asids = qdict_new();

    for (uint64_t pfn = 0; pfn < p->rmp.npages; pfn++) {
        RmpEntry e;

        rmp_get(&p->rmp, pfn * RMP_PAGE_SIZE, &e);
        by_state[rmp_state(&e)]++;
        by_asid[e.assigned ? e.asid : 0]++;
        own += e.assigned && pfn * RMP_PAGE_SIZE >= p->rmp.base &&
               pfn * RMP_PAGE_SIZE <= p->rmp.end;
        large += e.size_2m;
        in_use += e.in_use;
    }
    for (int i = 0; i < RMP_NSTATES; i++) {
        qdict_put_int(states, rmp_state_name(i), by_state[i]);
    }
    for (int i = 1; i <= RMP_ASID_LIMIT; i++) {
        if (by_asid[i]) {
            g_autofree char *key = g_strdup_printf("%d", i);

            qdict_put_int(asids, key, by_asid[i]);
        }
    }
    qdict_put_int(d, "base", p->rmp.base);
    qdict_put_int(d, "end", p->rmp.end);
    qdict_put_int(d, "pages", p->rmp.npages);
    qdict_put_bool(d, "opaque", p->rmp.opaque);
    qdict_put(d, "segments", segments(&p->rmp));
    qdict_put(d, "states", states);
    qdict_put(d, "asids", asids);
    qdict_put_int(d, "table-pages", own);
    qdict_put_int(d, "in-2m", large);
    qdict_put_int(d, "in-use", in_use);
    return to_json(d);
}

char *snp_platform_rmp_entry(const SnpPlatform *p, uint64_t spa)
{
    g_autoptr(QDict) d = qdict_new();
    QList *perms = qlist_new();
    RmpEntry e;

    rmp_get(&p->rmp, spa, &e);
    qdict_put_int(d, "spa", spa);
    qdict_put_bool(d, "covered", rmp_covered(&p->rmp, spa));
    qdict_put_str(d, "state", rmp_state_name(rmp_state(&e)));
    qdict_put_bool(d, "assigned", e.assigned);
    qdict_put_bool(d, "size-2m", e.size_2m);
    qdict_put_bool(d, "immutable", e.immutable);
    qdict_put_bool(d, "vmsa", e.vmsa);
    qdict_put_bool(d, "validated", e.validated);
    qdict_put_bool(d, "in-use", e.in_use);
    qdict_put_int(d, "asid", e.asid);
    qdict_put_int(d, "gpa", e.gpa);
    for (int i = 0; i < RMP_VMPLS; i++) {
        qlist_append_int(perms, e.perms[i]);
    }
    qdict_put(d, "perms", perms);
    return to_json(d);
}

static char *hex(const uint8_t *p, size_t n)
{
    GString *s = g_string_new(NULL);

    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(s, "%02x", p[i]);
    }
    return g_string_free(s, false);
}

/* Launch digests of the last guests, the latest last */
static QList *launched(const SnpFw *fw)
{
    QList *l = qlist_new();
    uint64_t first = fw->nlaunched > FW_LAUNCHES ?
                     fw->nlaunched - FW_LAUNCHES : 0;

    for (uint64_t i = first; i < fw->nlaunched; i++) {
        g_autofree char *ld = hex(fw->launched[i % FW_LAUNCHES], SHA384_LEN);

        qlist_append_str(l, ld);
    }
    return l;
}

char *snp_platform_guests(const SnpPlatform *p)
{
    static const char * const snp_states[] = { "init", "launch", "running" };
    static const char * const sev_states[] = {
        "uninit", "lupdate", "lsecret", "running"
    };
    static const char * const platform_states[] = {
        "uninit", "init", "working"
    };
    const SnpFw *fw = &p->fw;
    g_autoptr(QDict) d = qdict_new();
    QList *snp = qlist_new(), *sev = qlist_new(), *dirty = qlist_new();
    g_autofree char *measured = hex(fw->sev_digest, sizeof(fw->sev_digest));

    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        const SnpFwGuest *g = &fw->guests[i];

        if (g->used) {
            g_autofree char *ld = hex(g->ld, sizeof(g->ld));
            QDict *q = qdict_new();

            qdict_put_int(q, "context", g->gctx);
            qdict_put_str(q, "state", snp_states[g->state]);
            qdict_put_int(q, "asid", g->asid);
            qdict_put_int(q, "policy", g->policy);
            qdict_put_str(q, "launch-digest", ld);
            qlist_append(snp, q);
        }
        if (fw->sev_guests[i].used) {
            QDict *q = qdict_new();

            qdict_put_int(q, "handle", i + 1);
            qdict_put_str(q, "state", sev_states[fw->sev_guests[i].state]);
            qdict_put_int(q, "asid", fw->sev_guests[i].asid);
            qdict_put_int(q, "policy", fw->sev_guests[i].policy);
            qlist_append(sev, q);
        }
    }
    for (int i = 1; i <= FW_MAX_ASID; i++) {
        if (fw->asid_dirty[i]) {
            qlist_append_int(dirty, i);
        }
    }
    qdict_put_str(d, "sev-state", platform_states[fw->sev_state]);
    qdict_put_str(d, "snp-state", fw->snp_inited ? "init" : "uninit");
    qdict_put_bool(d, "no-alias", fw->alias_checked);
    qdict_put(d, "snp", snp);
    qdict_put(d, "sev", sev);
    qdict_put_int(d, "sev-bytes-measured", fw->sev_measured);
    qdict_put_int(d, "sev-launched", fw->sev_launched);
    qdict_put_str(d, "sev-digest", measured);
    qdict_put_int(d, "snp-launched", fw->nlaunched);
    qdict_put(d, "snp-digests", launched(fw));
    qdict_put(d, "dirty-asids", dirty);
    return to_json(d);
}
