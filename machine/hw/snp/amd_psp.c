/*
 * AMD secure processor, PCI function 1022:14CA
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The mailbox that drivers call the SEV firmware through. With one thread for
 * all CPUs a command runs to its end inside a CPU's write that starts it. With
 * one thread a CPU, or if a device writes, it runs once no CPU does; the
 * mailbox says so long that it is busy. There is no cryptographic engine and no
 * TEE behind this function.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qapi/error.h"
#include "block/aio.h"
#include "hw/pci/msix.h"
#include "hw/qdev-properties.h"
#include "hw/snp/chip.h"
#include "hw/snp/platform.h"
#include "qemu/main-loop.h"
#include "system/runstate.h"
#include "system/tcg.h"
#include "cpu.h"
#include "target/i386/snp/snp.h"
#include "amd_psp.h"
#include "trace.h"

#define PSP_DEVICE_ID     0x14ca
#define PSP_MMIO_BAR      2
#define PSP_MMIO_SIZE     0x100000
#define PSP_MSIX_BAR      4
#define PSP_VECTORS       2
#define PSP_VECTOR        0     /* 1 would be the cryptographic engine's */

#define REG_INTEN         0x10690
#define REG_INTSTS        0x10694
#define REG_CMDRESP       0x10980
#define REG_BUF_LO        0x109e0
#define REG_BUF_HI        0x109e4
#define REG_FEATURE       0x109fc

#define FEATURE_SEV       (1u << 0)
#define INT_SEV_DONE      (1u << 1)
#define CMD_IOC           (1u << 0)
#define CMD_SHIFT         16
#define CMD_MASK          0x7ff
#define RESP_DONE         (1u << 31)
#define RESP_STATUS       0xffff

/* What a processor with C-bit 51 may take of 48 address bits, at most */
#define MAX_REDUCTION     8

/* The command of @val has ended; @tell: drivers that want it are told. */
static void answer(AmdPspState *s, uint32_t val, uint32_t status, bool tell)
{
    s->cmdresp = RESP_DONE | (val & ~RESP_STATUS) | (status & RESP_STATUS);
    if (!(val & CMD_IOC)) {
        return;     /* the driver polls */
    }
    s->intsts |= INT_SEV_DONE;
    if (tell && (s->inten & INT_SEV_DONE) && msix_enabled(PCI_DEVICE(s))) {
        msix_notify(PCI_DEVICE(s), PSP_VECTOR);
    }
}

static void late_answer(void *opaque)
{
    AmdPspState *s = opaque;

    /* a reset may have come before, and then another that is late */
    if (s->late && !s->late_polls &&
        !qatomic_read(&s->platform.late_interrupts)) {
        s->late = false;
        answer(s, s->late_val, s->late_status, true);
    }
}

static void late_begin(AmdPspState *s, const SnpInjectAction *a, uint32_t val,
                       uint32_t status)
{
    s->late = true;
    s->late_val = val;
    s->late_status = status;
    if (a->kind == SNP_INJECT_LATE_POLLS) {
        s->late_polls = a->value;
    } else {
        qatomic_set(&s->platform.late_interrupts, a->value);
    }
}

static void late_end(AmdPspState *s)
{
    qatomic_set(&s->platform.late_interrupts, 0);
    s->late_polls = 0;
    s->late = false;
}

static uint32_t execute(AmdPspState *s, uint32_t cmd, uint64_t buf,
                        const SnpInjectAction *a)
{
    uint32_t status;

    x86_snp_rmp_begin();
    s->platform.race = *a;
    status = snp_fw_command(&s->platform.fw, cmd, buf);
    x86_snp_rmp_end(true, "firmware");
    return status;
}

static void run_command(AmdPspState *s, uint32_t val)
{
    uint32_t cmd = val >> CMD_SHIFT & CMD_MASK;
    uint64_t buf = (uint64_t)s->buf_hi << 32 | s->buf_lo;
    const char *name = snp_fw_command_name(cmd);
    SnpInjectAction a = { .kind = SNP_INJECT_NOTHING };
    uint32_t status;

    s->cmdresp = val;
    if (s->dead || s->late) {
        trace_amd_psp_unheard(cmd, name ? name : "?", buf);
        return;
    }
    a = snp_inject(&s->platform.inject, SNP_INJECT_FIRMWARE, cmd);
    if (a.kind != SNP_INJECT_NOTHING) {
        trace_snp_inject(name ? name : "?", a.kind, a.value);
        snp_stat_injected(SNP_INJECT_FIRMWARE);
    }
    if (a.kind == SNP_INJECT_DEAD) {
        s->dead = true;
        return;
    }
    status = a.kind == SNP_INJECT_STATUS ? a.value : execute(s, cmd, buf, &a);
    if (a.kind == SNP_INJECT_STATUS && a.more) {
        s->buf_lo = a.more;
        s->buf_hi = a.more >> 32;
    }
    trace_amd_psp_command(cmd, name ? name : "?", buf, status,
                          snp_fw_status_name(status));
    snp_stat_firmware(cmd, status);
    if (a.kind == SNP_INJECT_LATE_POLLS ||
        a.kind == SNP_INJECT_LATE_INTERRUPTS) {
        late_begin(s, &a, val, status);
    } else {
        answer(s, val, status, a.kind != SNP_INJECT_NO_INTERRUPT);
    }
}

/* No CPU runs, nor will one before it has done the flushes that are queued. */
static void run_alone(CPUState *cs, run_on_cpu_data data)
{
    AmdPspState *s = data.host_ptr;

    BQL_LOCK_GUARD();
    /* A reset may have come first. */
    if (s->waiting) {
        s->waiting = false;
        run_command(s, s->cmdresp);
    }
}

/* The machine stops, or goes on. */
static void run_state_changed(void *opaque, bool running, RunState state)
{
    AmdPspState *s = opaque;

    if (!running) {
        snp_platform_rmp_dirty(&s->platform);
        snp_platform_settle(&s->platform);
    } else if (s->requeue) {
        s->requeue = false;
        async_safe_run_on_cpu(first_cpu, run_alone, RUN_ON_CPU_HOST_PTR(s));
    }
}

void amd_psp_loaded(AmdPspState *s)
{
    s->requeue = s->waiting;
    if (s->late && !s->late_polls && !s->platform.late_interrupts) {
        qemu_bh_schedule(s->platform.late_bh);
    }
}

static void start_command(AmdPspState *s, uint32_t val)
{
    CPUState *cs = current_cpu;

    /* a device can be told to write here, too, while CPUs run */
    if (!cs && runstate_is_running()) {
        cs = first_cpu;
    }
    /*
     * One that nobody hears needs no rest either. If it waited for that, the
     * answer of the one that is late would come into its register meanwhile.
     */
    if (!cs || s->dead || s->late ||
        (!qemu_tcg_mttcg_enabled() && current_cpu)) {
        run_command(s, val);
        return;
    }
    /*
     * [PSP-BUSY] what the command does to memory, and that others' cached
     * translations are gone, becomes visible at once.
     */
    s->cmdresp = val;
    s->waiting = true;
    async_safe_run_on_cpu(cs, run_alone, RUN_ON_CPU_HOST_PTR(s));
}

static uint64_t psp_read(void *opaque, hwaddr addr, unsigned size)
{
    AmdPspState *s = opaque;
    uint32_t val = 0;

    switch (addr) {
    case REG_INTEN:
        val = s->inten;
        break;
    case REG_INTSTS:
        val = s->intsts;
        break;
    case REG_CMDRESP:
        if (s->late_polls && !--s->late_polls) {
            late_answer(s);
        }
        val = s->cmdresp;
        break;
    case REG_BUF_LO:
        val = s->buf_lo;
        break;
    case REG_BUF_HI:
        val = s->buf_hi;
        break;
    case REG_FEATURE:
        val = FEATURE_SEV;
        break;
    }
    trace_amd_psp_read(addr, val);
    return val;
}

static void psp_write(void *opaque, hwaddr addr, uint64_t val, unsigned size)
{
    AmdPspState *s = opaque;

    trace_amd_psp_write(addr, val);
    switch (addr) {
    case REG_INTEN:
        s->inten = val;
        break;
    case REG_INTSTS:
        s->intsts &= ~val;
        break;
    case REG_CMDRESP:
        if (s->waiting) {
            break;          /* the first one's buffer and response */
        }
        /* [PSP-RESP] a value with the response bit is not a command */
        if (val & RESP_DONE) {
            s->cmdresp = val;
        } else {
            start_command(s, val);
        }
        break;
    case REG_BUF_LO:
        s->buf_lo = s->waiting ? s->buf_lo : val;
        break;
    case REG_BUF_HI:
        s->buf_hi = s->waiting ? s->buf_hi : val;
        break;
    }
}

static const MemoryRegionOps psp_ops = {
    .read = psp_read,
    .write = psp_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .impl = { .min_access_size = 4, .max_access_size = 4 },
    .valid = { .min_access_size = 4, .max_access_size = 4 },
};

static bool parse_readings(const char *text, SnpReadings *set, Error **errp)
{
    ERRP_GUARD();
    size_t len;
    const char *bad = snp_readings_parse(text, set, &len);

    if (!bad) {
        return true;
    }
    error_setg(errp, "loose: '%.*s' is no rule that has two readings",
               (int)len, bad);
    error_append_hint(errp, "loose is none, all, or of these any, separated "
                      "by ':'\n");
    for (SnpReading r = SNP_READING_NONE + 1; r < SNP_NREADINGS; r++) {
        error_append_hint(errp, "  %-23s  %s\n", snp_reading_id(r),
                          snp_reading_text(r));
    }
    return false;
}

static void psp_realize(PCIDevice *dev, Error **errp)
{
    AmdPspState *s = AMD_PSP(dev);

    s->cfg = (SnpFwConfig){
        .api_major = s->api_major,
        .api_minor = s->api_minor,
        .build = s->build,
        .max_asid = s->max_asid,
        .min_sev_asid = s->min_sev_asid,
        .tcb = s->tcb,
        .committed_tcb = s->committed_tcb ? s->committed_tcb : s->tcb,
        .committed_build = s->committed_build ? s->committed_build : s->build,
        .report_version = s->report_version,
        .hiding = s->hiding,
        .tio = s->tio,
        .x86_shutdown = s->x86_shutdown,
        .mitigations = s->mitigations,
    };
    if (s->max_asid > FW_MAX_ASID || s->min_sev_asid < 1 ||
        s->min_sev_asid > s->max_asid) {
        error_setg(errp, "ASIDs: 1 <= min-sev-asid <= max-asid <= %u",
                   FW_MAX_ASID);
        return;
    }
    if (s->platform.opaque_rmp && !s->platform.rmpread) {
        error_setg(errp, "opaque-rmp needs rmpread: nobody could read the RMP");
        return;
    }
    if (s->platform.phys_reduction > MAX_REDUCTION) {
        error_setg(errp, "phys-reduction is at most %d", MAX_REDUCTION);
        return;
    }
    if (!fw_tcb_within(s->cfg.committed_tcb, s->tcb) ||
        s->cfg.committed_build > s->build) {
        error_setg(errp, "committed-tcb and committed-build are at most what "
                   "runs, part by part");
        return;
    }
    if (s->report_version > 5 || s->report_version == 1 ||
        s->report_version == 4) {
        error_setg(errp, "report-version is 2, 3 or 5, or 0 for that of the "
                   "ABI");
        return;
    }
    if (!parse_readings(s->loose, &s->cfg.loose, errp)) {
        return;
    }
    if (s->chip && !snp_chip_load(s->chip, &s->cfg, errp)) {
        return;
    }
    if (msix_init_exclusive_bar(dev, PSP_VECTORS, PSP_MSIX_BAR, errp)) {
        snp_chip_free(&s->cfg);
        return;
    }
    if (!snp_platform_realize(&s->platform, &s->cfg, errp)) {
        msix_uninit_exclusive_bar(dev);
        snp_chip_free(&s->cfg);
        return;
    }
    for (int i = 0; i < PSP_VECTORS; i++) {
        msix_vector_use(dev, i);
    }
    s->platform.late_bh = qemu_bh_new(late_answer, s);
    s->run_state = qdev_add_vm_change_state_handler(DEVICE(s),
                                                    run_state_changed, s);
    memory_region_init_io(&s->mmio, OBJECT(s), &psp_ops, s, "amd-psp",
                          PSP_MMIO_SIZE);
    pci_register_bar(dev, PSP_MMIO_BAR, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->mmio);
}

static void psp_exit(PCIDevice *dev)
{
    qemu_del_vm_change_state_handler(AMD_PSP(dev)->run_state);
    qemu_bh_delete(AMD_PSP(dev)->platform.late_bh);
    snp_platform_unrealize(&AMD_PSP(dev)->platform);
    snp_chip_free(&AMD_PSP(dev)->cfg);
    msix_uninit_exclusive_bar(dev);
}

static void psp_reset(DeviceState *dev)
{
    AmdPspState *s = AMD_PSP(dev);

    s->inten = s->intsts = s->cmdresp = s->buf_lo = s->buf_hi = 0;
    s->waiting = s->requeue = false;
    s->dead = false;
    late_end(s);
    snp_platform_reset(&s->platform);
}

static char *get_stats(Object *obj, Error **errp)
{
    return snp_stats_json(&AMD_PSP(obj)->platform.inject);
}

static char *get_inject(Object *obj, Error **errp)
{
    const char *text = AMD_PSP(obj)->inject;

    return g_strdup(text ? text : "");
}

static void set_inject(Object *obj, const char *value, Error **errp)
{
    AmdPspState *s = AMD_PSP(obj);
    g_autofree SnpInject *list = g_new(SnpInject, 1);
    char why[256];

    if (!snp_inject_parse(list, value, why, sizeof(why))) {
        error_setg(errp, "%s", why);
        return;
    }
    snp_inject_set(&s->platform.inject, list);
    g_free(s->inject);
    s->inject = g_strdup(value);
}

/* What RMP and firmware both go by, not what they were asked for */
static char *get_readings(Object *obj, Error **errp)
{
    const SnpPlatform *p = &AMD_PSP(obj)->platform;
    SnpReadings set = p->rmp.loose & p->fw.cfg.loose;
    GString *s = g_string_new(NULL);

    for (SnpReading r = SNP_READING_NONE + 1; r < SNP_NREADINGS; r++) {
        if (snp_loose_at(set, r)) {
            g_string_append_printf(s, "%s%s", s->len ? ":" : "",
                                   snp_reading_id(r));
        }
    }
    return g_string_free(s, false);
}

static char *get_rmp_summary(Object *obj, Error **errp)
{
    return snp_platform_rmp_summary(&AMD_PSP(obj)->platform);
}

static char *get_rmp_histogram(Object *obj, Error **errp)
{
    return snp_platform_rmp_histogram(&AMD_PSP(obj)->platform);
}

static char *get_guests(Object *obj, Error **errp)
{
    return snp_platform_guests(&AMD_PSP(obj)->platform);
}

static char *get_rmp_entry(Object *obj, Error **errp)
{
    AmdPspState *s = AMD_PSP(obj);

    return snp_platform_rmp_entry(&s->platform, s->entry_spa);
}

static void set_rmp_entry(Object *obj, const char *value, Error **errp)
{
    uint64_t spa;

    if (qemu_strtou64(value, NULL, 0, &spa) < 0) {
        error_setg(errp, "'%s' is not a physical address", value);
        return;
    }
    AMD_PSP(obj)->entry_spa = spa;
}

static const Property psp_properties[] = {
    DEFINE_PROP_UINT32("max-asid", AmdPspState, max_asid, 509),
    DEFINE_PROP_UINT32("min-sev-asid", AmdPspState, min_sev_asid, 100),
    DEFINE_PROP_UINT8("phys-reduction", AmdPspState, platform.phys_reduction,
                      5),
    DEFINE_PROP_BOOL("rmpread", AmdPspState, platform.rmpread, false),
    DEFINE_PROP_BOOL("rmpquery", AmdPspState, platform.rmpquery, false),
    DEFINE_PROP_BOOL("opaque-rmp", AmdPspState, platform.opaque_rmp, false),
    DEFINE_PROP_BOOL("allowed-sev-features", AmdPspState,
                     platform.allowed_features, false),
    DEFINE_PROP_BOOL("secure-tsc", AmdPspState, platform.secure_tsc, false),
    DEFINE_PROP_BOOL("debug-swap", AmdPspState, platform.debug_swap, false),
    DEFINE_PROP_BOOL("restricted-injection", AmdPspState, platform.restricted,
                     false),
    DEFINE_PROP_BOOL("write-in-use", AmdPspState, platform.write_in_use, false),
    DEFINE_PROP_UINT8("rmp-segment-shift", AmdPspState, platform.segment_shift,
                      0),
    DEFINE_PROP_UINT32("rmp-offset", AmdPspState, platform.rmp_offset, 0),
    DEFINE_PROP_BOOL("mem-encrypt", AmdPspState, platform.mem_encrypt, true),
    DEFINE_PROP_BOOL("smm-lock", AmdPspState, platform.smm_lock, true),
    DEFINE_PROP_UINT8("api-major", AmdPspState, api_major, 1),
    DEFINE_PROP_UINT8("api-minor", AmdPspState, api_minor, 55),
    DEFINE_PROP_UINT8("build", AmdPspState, build, 24),
    DEFINE_PROP_UINT64("tcb", AmdPspState, tcb, 0x4818000000000007ull),
    DEFINE_PROP_UINT64("committed-tcb", AmdPspState, committed_tcb, 0),
    DEFINE_PROP_UINT8("committed-build", AmdPspState, committed_build, 0),
    DEFINE_PROP_UINT8("report-version", AmdPspState, report_version, 0),
    DEFINE_PROP_UINT64("mitigations", AmdPspState, mitigations, 0),
    DEFINE_PROP_UINT64("seed", AmdPspState, platform.seed, 0),
    DEFINE_PROP_STRING("chip", AmdPspState, chip),
    DEFINE_PROP_UINT64("rmp-coverage", AmdPspState, platform.coverage, 0),
    DEFINE_PROP_UINT64("dram-alias", AmdPspState, platform.dram_alias, 0),
    DEFINE_PROP_BOOL("ciphertext-hiding", AmdPspState, hiding, false),
    DEFINE_PROP_BOOL("tio", AmdPspState, tio, false),
    DEFINE_PROP_BOOL("x86-shutdown", AmdPspState, x86_shutdown, false),
    DEFINE_PROP_BOOL("encrypt", AmdPspState, platform.encrypt, true),
    DEFINE_PROP_BOOL("self-check", AmdPspState, platform.self_check, false),
    DEFINE_PROP_STRING("loose", AmdPspState, loose),
};

/* What -device amd-psp,help says of each; the manual's page says more. */
static const struct {
    const char *name, *text;
} psp_texts[] = {
    { "max-asid", "the highest ASID of guests" },
    { "min-sev-asid", "the lowest ASID of SEV guests without SEV-ES" },
    { "phys-reduction", "bits of physical addresses that keys take" },
    { "rmpread", "has RMPREAD" },
    { "rmpquery", "has RMPQUERY" },
    { "opaque-rmp", "RMP entries in a layout that only RMPREAD tells" },
    { "allowed-sev-features", "the VMCB's mask of SEV_FEATURES is obeyed" },
    { "secure-tsc", "has SecureTsc" },
    { "debug-swap", "has DebugSwap" },
    { "rmp-segment-shift", "log2 of the bytes that a segment of the RMP "
      "covers; 0: there are no segments" },
    { "rmp-offset", "bytes from 2 MiB to where the RMP begins" },
    { "mem-encrypt", "the BIOS has turned memory encryption on" },
    { "smm-lock", "the BIOS has locked SMM" },
    { "api-major", "version of the firmware's API" },
    { "api-minor", "version of the firmware's API" },
    { "build", "build of the firmware" },
    { "tcb", "TCB version that runs" },
    { "committed-tcb", "TCB version below which none runs; 0: the same" },
    { "committed-build", "build that was committed; 0: the same" },
    { "report-version", "version of attestation reports; 0: the API's" },
    { "mitigations", "vector of the firmware's mitigations" },
    { "seed", "of keys and random numbers; 0: of the computer's" },
    { "chip", "directory with a chip's identity, keys and certificates" },
    { "rmp-coverage", "bytes from address 0 on that the RMP covers at least; "
      "0: all memory" },
    { "dram-alias", "address from which all memory answers once more; 0: "
      "none" },
    { "ciphertext-hiding", "the firmware can hide ciphertext" },
    { "tio", "has trusted I/O, as the IOMMU then says, too" },
    { "x86-shutdown", "the firmware can turn SNP off in the processors" },
    { "encrypt", "memory of guests is enciphered" },
    { "self-check", "cached translations are compared with the RMP" },
    { "loose", "rules to be read the looser way, separated by ':', or all" },
};

static void psp_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = psp_realize;
    pc->exit = psp_exit;
    pc->vendor_id = PCI_VENDOR_ID_AMD;
    pc->device_id = PSP_DEVICE_ID;
    pc->class_id = PCI_CLASS_CRYPT_OTHER;
    dc->desc = "AMD secure processor with SEV-SNP firmware";
    dc->vmsd = &amd_psp_vmstate;
    dc->hotpluggable = false;
    device_class_set_legacy_reset(dc, psp_reset);
    device_class_set_props(dc, psp_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);

    for (unsigned i = 0; i < ARRAY_SIZE(psp_texts); i++) {
        object_class_property_set_description(klass, psp_texts[i].name,
                                              psp_texts[i].text);
    }
    object_class_property_add_str(klass, "stats", get_stats, NULL);
    object_class_property_set_description(klass, "stats",
        "counters of SNP events since start, JSON");
    object_class_property_add_str(klass, "inject", get_inject, set_inject);
    object_class_property_set_description(klass, "inject",
        "what is made to fail, and when, by count; see hw/snp/inject.h");
    object_class_property_add_str(klass, "readings", get_readings, NULL);
    object_class_property_set_description(klass, "readings",
        "rules read the looser way, separated by ':'");
    object_class_property_add_str(klass, "rmp-summary", get_rmp_summary,
                                  NULL);
    object_class_property_set_description(klass, "rmp-summary",
        "RMP entries by state and by ASID, JSON");
    object_class_property_add_str(klass, "rmp-histogram", get_rmp_histogram,
                                  NULL);
    object_class_property_set_description(klass, "rmp-histogram",
        "4K pages by state for each ASID that owns any, JSON");
    object_class_property_add_str(klass, "guests", get_guests, NULL);
    object_class_property_set_description(klass, "guests",
        "guests the firmware knows, and ASIDs not flushed, JSON");
    object_class_property_add_str(klass, "rmp-entry", get_rmp_entry,
                                  set_rmp_entry);
    object_class_property_set_description(klass, "rmp-entry",
        "set to a physical address; reads as that page's RMP entry, JSON");
}

static void psp_finalize(Object *obj)
{
    g_free(AMD_PSP(obj)->inject);
}

static const TypeInfo psp_info = {
    .name = TYPE_AMD_PSP,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(AmdPspState),
    .instance_finalize = psp_finalize,
    .class_init = psp_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { }
    },
};

static void psp_register(void)
{
    type_register_static(&psp_info);
}

type_init(psp_register)
