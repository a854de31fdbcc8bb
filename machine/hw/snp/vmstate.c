/*
 * AMD secure processor: what is saved of it and of the platform, and loaded
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * First comes, as text, all that was configured: a machine that was configured
 * otherwise refuses, by name. Then the firmware, keys, counts, and what is to
 * fail on demand: loaded beside what there is, looked through, as files can be
 * anybody's, and put in its place as a whole. The mailbox is last.
 *
 * RAM is saved by QEMU as it is, so the RMP is there, and what guests own is
 * in plaintext. What the CPUs keep: target/i386/snp/vmstate.c.
 *
 * machine/tests/vmstate.py holds the lists here against the structures.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/core/cpu.h"
#include "hw/pci/msix.h"
#include "hw/qdev-properties.h"
#include "system/cpu-timers.h"
#include "cpu.h"
#include "target/i386/snp/snp.h"
#include "amd_psp.h"
#include "fw_int.h"
#include "fw_spdm.h"
#include "stats.h"

/* ---- what was configured ---- */

#define TEXT_LEN 8192

typedef struct PspConfigured {
    AmdPspState *parent;
    uint8_t text[TEXT_LEN];     /* lines "NAME=VALUE" */
} PspConfigured;

/* Properties that may differ, or stand there otherwise */
static bool compared(const char *property)
{
    return !g_str_equal(property, "self-check") &&  /* looks on only */
           !g_str_equal(property, "loose") &&       /* "readings" */
           !g_str_equal(property, "chip");          /* a path */
}

/* Two chips are the same if this is, wherever their files lie. */
static char *chip_name(const SnpFwConfig *cfg)
{
    g_autoptr(GByteArray) all = g_byte_array_new();
    uint8_t hash[SHA384_LEN];
    char *name;

    g_byte_array_append(all, cfg->chip_id, sizeof(cfg->chip_id));
    if (cfg->nvceks) {
        g_byte_array_append(all, cfg->chip_secret, sizeof(cfg->chip_secret));
        g_byte_array_append(all, (const uint8_t *)&cfg->firmware_key,
                            sizeof(cfg->firmware_key));
    }
    for (uint64_t tcb = 0, last = ~0ull; ; last = tcb) {
        P384Point pub;
        int best = -1;

        /* in the order of their versions, not of the directory */
        for (unsigned i = 0; i < cfg->nvceks; i++) {
            uint64_t t = cfg->vcek[i].tcb;

            if ((last == ~0ull || t > last) &&
                (best < 0 || t < cfg->vcek[best].tcb)) {
                best = i;
            }
        }
        if (best < 0) {
            break;
        }
        tcb = cfg->vcek[best].tcb;
        if (p384_public(cfg->vcek[best].key, &pub)) {
            g_byte_array_append(all, (const uint8_t *)&pub, sizeof(pub));
        }
        g_byte_array_append(all, (const uint8_t *)&tcb, sizeof(tcb));
    }
    sha384(all->data, all->len, hash);
    explicit_bzero(all->data, all->len);
    name = g_malloc(2 * 8 + 1);
    for (int i = 0; i < 8; i++) {
        snprintf(name + 2 * i, 3, "%02x", hash[i]);
    }
    return name;
}

static void add_cpu(GString *s)
{
    X86CPU *cpu = X86_CPU(first_cpu);
    const CPUX86State *env = &cpu->env;
    CPUState *cs;
    unsigned n = 0;

    CPU_FOREACH(cs) {
        n++;
    }
    g_string_append_printf(s, "cpus=%u\ncpu=%s\n", n,
                           object_get_typename(OBJECT(cpu)));
    g_string_append_printf(s, "cpu-version=0x%x\ncpu-phys-bits=%u\n"
                           "cpu-level=0x%x\ncpu-xlevel=0x%x\n"
                           "cpu-ucode-rev=0x%" PRIx64 "\n",
                           env->cpuid_version, cpu->phys_bits,
                           env->cpuid_level, env->cpuid_xlevel,
                           cpu->ucode_rev);
    for (int w = 0; w < FEATURE_WORDS; w++) {
        g_string_append_printf(s, "cpu-features-%d=0x%" PRIx64 "\n", w,
                               env->features[w]);
    }
}

static char *configured(AmdPspState *s)
{
    DeviceClass *dc = DEVICE_GET_CLASS(s);
    const SnpPlatform *p = &s->platform;
    GString *text = g_string_new(NULL);
    g_autofree char *readings = object_property_get_str(OBJECT(s), "readings",
                                                        &error_abort);
    g_autofree char *chip = chip_name(&p->fw.cfg);

    for (int i = 0; i < dc->props_count_; i++) {
        const char *name = dc->props_[i].name;

        if (compared(name)) {
            g_autofree char *value = object_property_print(OBJECT(s), name,
                                                           false,
                                                           &error_abort);

            g_string_append_printf(text, "%s=%s\n", name, value);
        }
    }
    g_string_append_printf(text, "loose=%s\nchip=%s\n", readings, chip);
    g_string_append_printf(text, "rmp=0x%" PRIx64 "-0x%" PRIx64 "\n",
                           p->rmp.base, p->rmp.end);
    g_string_append_printf(text, "memory=0x%" PRIx64 "+0x%" PRIx64 "@0x%"
                           PRIx64 "\n", p->low_size, p->high_size,
                           p->high_base);
    g_string_append_printf(text, "threads-of-a-core=%s\nicount=%s\n",
                           p->fw.cfg.smt ? "several" : "one",
                           icount_enabled() ? "on" : "off");
    add_cpu(text);
    assert(text->len < TEXT_LEN);
    return g_string_free(text, false);
}

static int configured_pre_save(void *opaque)
{
    PspConfigured *c = opaque;
    g_autofree char *text = configured(c->parent);

    memset(c->text, 0, sizeof(c->text));
    memcpy(c->text, text, strlen(text));
    return 0;
}

/* The value of a line of @lines that is of @name, or NULL */
static const char *value_of(char **lines, const char *name, size_t len)
{
    for (; *lines; lines++) {
        if (!strncmp(*lines, name, len) && (*lines)[len] == '=') {
            return *lines + len + 1;
        }
    }
    return NULL;
}

/* For messages: @n bytes of a file that may be anybody's */
static char *printable(const char *s, int n)
{
    char *out = g_strndup(s, n);

    g_strcanon(out, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
               "0123456789 -_:.,+@\"", '?');
    return out;
}

static bool same(char **from, char **in, bool loaded)
{
    for (; *from; from++) {
        size_t len = strcspn(*from, "=");
        const char *other = value_of(in, *from, len);
        const char *own = (*from)[len] ? *from + len + 1 : "";
        g_autofree char *name = printable(*from, MIN(len, 40));

        if (**from && (!other || strcmp(own, other))) {
            g_autofree char *a = printable(own, 200);
            g_autofree char *b = printable(other ? other : "unknown", 200);

            error_report("amd-psp: %s is %s in what is loaded, and %s here",
                         name, loaded ? a : b, loaded ? b : a);
            return false;
        }
    }
    return true;
}

static int configured_post_load(void *opaque, int version_id)
{
    PspConfigured *c = opaque;
    g_autofree char *text = configured(c->parent);
    g_auto(GStrv) own = g_strsplit(text, "\n", -1);
    g_auto(GStrv) loaded = NULL;

    if (!memchr(c->text, 0, sizeof(c->text))) {
        error_report("amd-psp: no configuration is loaded");
        return -EINVAL;
    }
    loaded = g_strsplit((char *)c->text, "\n", -1);
    return same(loaded, own, true) && same(own, loaded, false) ? 0 : -EINVAL;
}

static const VMStateDescription vmstate_configured = {
    .name = "amd-psp/configured",
    .pre_save = configured_pre_save,
    .post_load = configured_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_BUFFER(text, PspConfigured),
        VMSTATE_END_OF_LIST()
    }
};

/* ---- the firmware ---- */

#define DESCRIBE(var, label, ...)                                   \
    static const VMStateDescription var = {                         \
        .name = "amd-psp/" label,                                   \
        .version_id = 1,                                            \
        .minimum_version_id = 1,                                    \
        .fields = (const VMStateField[]) {                          \
            __VA_ARGS__,                                            \
            VMSTATE_END_OF_LIST()                                   \
        }                                                           \
    }

#define BYTES(field, type)                                          \
    VMSTATE_UINT8_ARRAY(field, type, sizeof_field(type, field))

DESCRIBE(vmstate_range, "range",
    VMSTATE_UINT64(base, SnpFwRange),
    VMSTATE_UINT64(npages, SnpFwRange));

DESCRIBE(vmstate_sha256, "sha256",
    VMSTATE_UINT64_ARRAY(state, Sha256, 16));

DESCRIBE(vmstate_sig, "signature",
    BYTES(r, P384Sig),
    BYTES(s, P384Sig));

DESCRIBE(vmstate_point, "point",
    BYTES(x, P384Point),
    BYTES(y, P384Point));

DESCRIBE(vmstate_pair, "pair",
    BYTES(k, P384Pair),
    VMSTATE_STRUCT(pub, P384Pair, 0, vmstate_point, P384Point));

/* What a firmware image changes, a commit, and what was measured */
DESCRIBE(vmstate_version, "version",
    VMSTATE_UINT8(api_major, SnpFwConfig),
    VMSTATE_UINT8(api_minor, SnpFwConfig),
    VMSTATE_UINT8(build, SnpFwConfig),
    VMSTATE_UINT64(tcb, SnpFwConfig),
    VMSTATE_UINT64(committed_tcb, SnpFwConfig),
    VMSTATE_UINT8(committed_major, SnpFwConfig),
    VMSTATE_UINT8(committed_minor, SnpFwConfig),
    VMSTATE_UINT8(committed_build, SnpFwConfig),
    VMSTATE_UINT64(mitigations, SnpFwConfig),
    VMSTATE_UINT32(tsc_khz, SnpFwConfig));

DESCRIBE(vmstate_identity, "identity",
    VMSTATE_BOOL(made, SnpFwIdentity),
    VMSTATE_BOOL(has_cek, SnpFwIdentity),
    VMSTATE_BOOL(owned, SnpFwIdentity),
    VMSTATE_UINT8(major, SnpFwIdentity),
    VMSTATE_UINT8(minor, SnpFwIdentity),
    VMSTATE_UINT32(oca_algo, SnpFwIdentity),
    VMSTATE_STRUCT(cek, SnpFwIdentity, 0, vmstate_pair, P384Pair),
    VMSTATE_STRUCT(pek, SnpFwIdentity, 0, vmstate_pair, P384Pair),
    VMSTATE_STRUCT(pdh, SnpFwIdentity, 0, vmstate_pair, P384Pair),
    VMSTATE_STRUCT(pek_by_oca, SnpFwIdentity, 0, vmstate_sig, P384Sig),
    BYTES(oca, SnpFwIdentity));

DESCRIBE(vmstate_guest, "guest",
    VMSTATE_BOOL(used, SnpFwGuest),
    VMSTATE_UINT8(state, SnpFwGuest),
    VMSTATE_BOOL(vcek_disabled, SnpFwGuest),
    VMSTATE_UINT32(asid, SnpFwGuest),
    VMSTATE_UINT64(gctx, SnpFwGuest),
    VMSTATE_UINT64(id, SnpFwGuest),
    VMSTATE_UINT64(policy, SnpFwGuest),
    VMSTATE_UINT64(launch_tcb, SnpFwGuest),
    VMSTATE_UINT64(launch_mitigations, SnpFwGuest),
    VMSTATE_UINT32(tsc_khz, SnpFwGuest),
    BYTES(gosvw, SnpFwGuest),
    BYTES(ld, SnpFwGuest),
    VMSTATE_UINT8_2DARRAY(vmpck, SnpFwGuest, FW_VMPCKS, 32),
    BYTES(report_id, SnpFwGuest),
    BYTES(vmrk, SnpFwGuest),
    BYTES(vek, SnpFwGuest),
    BYTES(host_data, SnpFwGuest),
    VMSTATE_UINT64_ARRAY(msg_count, SnpFwGuest, FW_VMPCKS),
    BYTES(oek, SnpFwGuest),
    VMSTATE_UINT64(oek_count, SnpFwGuest),
    BYTES(root_md, SnpFwGuest),
    BYTES(family_id, SnpFwGuest),
    BYTES(image_id, SnpFwGuest),
    VMSTATE_UINT32(guest_svn, SnpFwGuest),
    VMSTATE_BOOL(author_key, SnpFwGuest),
    BYTES(id_key_digest, SnpFwGuest),
    BYTES(author_key_digest, SnpFwGuest));

DESCRIBE(vmstate_sev_keys, "sev-keys",
    BYTES(tek, SevKeys),
    BYTES(tik, SevKeys));

DESCRIBE(vmstate_sev_guest, "sev-guest",
    VMSTATE_BOOL(used, SevFwGuest),
    VMSTATE_UINT8(state, SevFwGuest),
    VMSTATE_UINT32(asid, SevFwGuest),
    VMSTATE_UINT32(policy, SevFwGuest),
    VMSTATE_STRUCT(digest, SevFwGuest, 0, vmstate_sha256, Sha256),
    VMSTATE_STRUCT(keys, SevFwGuest, 0, vmstate_sev_keys, SevKeys),
    BYTES(vek, SevFwGuest),
    BYTES(measure, SevFwGuest));

DESCRIBE(vmstate_tio_dev, "tio-device",
    VMSTATE_BOOL(used, SnpFwTioDev),
    VMSTATE_UINT8(state, SnpFwTioDev),
    VMSTATE_UINT8(step, SnpFwTioDev),
    VMSTATE_UINT8(segment, SnpFwTioDev),
    VMSTATE_UINT16(device, SnpFwTioDev),
    VMSTATE_UINT16(root_port, SnpFwTioDev),
    VMSTATE_UINT64(id, SnpFwTioDev),
    VMSTATE_UINT64(sla, SnpFwTioDev),
    VMSTATE_UINT64_ARRAY(page, SnpFwTioDev, FW_TIO_CTX_PAGES),
    BYTES(connect, SnpFwTioDev));

DESCRIBE(vmstate_fw, "firmware",
    VMSTATE_STRUCT(cfg, SnpFw, 0, vmstate_version, SnpFwConfig),
    VMSTATE_STRUCT(identity, SnpFw, 0, vmstate_identity, SnpFwIdentity),
    VMSTATE_UINT8(sev_state, SnpFw),
    VMSTATE_BOOL(sev_es, SnpFw),
    VMSTATE_STRUCT(tmr, SnpFw, 0, vmstate_range, SnpFwRange),
    VMSTATE_BOOL(snp_inited, SnpFw),
    VMSTATE_BOOL(rmp_inited, SnpFw),
    VMSTATE_BOOL(alias_checked, SnpFw),
    VMSTATE_UINT32(hidden_asids, SnpFw),
    VMSTATE_BOOL(tio_enabled, SnpFw),
    VMSTATE_BOOL(tio_inited, SnpFw),
    VMSTATE_UINT64(next_id, SnpFw),
    BYTES(mem_key, SnpFw),
    VMSTATE_UINT64(mitigated, SnpFw),
    VMSTATE_UINT64(reported_tcb, SnpFw),
    VMSTATE_UINT32(config_flags, SnpFw),
    VMSTATE_BOOL(vlek_loaded, SnpFw),
    BYTES(vlek, SnpFw),
    VMSTATE_STRUCT_ARRAY(iommu, SnpFw, FW_MAX_IOMMU, 0, vmstate_range,
                         SnpFwRange),
    VMSTATE_UINT32(niommu, SnpFw),
    VMSTATE_BOOL(iommu_snp, SnpFw),
    VMSTATE_BOOL_ARRAY(asid_dirty, SnpFw, FW_MAX_ASID + 1),
    VMSTATE_STRUCT_ARRAY(guests, SnpFw, FW_MAX_GUESTS, 0, vmstate_guest,
                         SnpFwGuest),
    VMSTATE_STRUCT_ARRAY(sev_guests, SnpFw, FW_MAX_GUESTS, 0,
                         vmstate_sev_guest, SevFwGuest),
    VMSTATE_STRUCT_ARRAY(tio_devs, SnpFw, FW_MAX_TIO_DEVS, 0, vmstate_tio_dev,
                         SnpFwTioDev),
    VMSTATE_UINT64(sev_measured, SnpFw),
    VMSTATE_UINT64(sev_launched, SnpFw),
    VMSTATE_UINT8_ARRAY(sev_digest, SnpFw, SHA256_LEN),
    VMSTATE_UINT8_2DARRAY(launched, SnpFw, FW_LAUNCHES, SHA384_LEN),
    VMSTATE_UINT64(nlaunched, SnpFw));

/* ---- the platform ---- */

/* A memory controller's key */
typedef struct PspKey {
    bool loaded;
    uint8_t key[CIPHER_KEY_LEN];
} PspKey;

/* All of it, as loaded or to be saved */
typedef struct PspSaved {
    AmdPspState *parent;
    SnpPlatform platform;       /* its state, and nothing that it refers to */
    SnpCounters counters;
    PspKey keys[RMP_ASID_LIMIT + 1];
    /* the list, and of each rule what it saw and how often it struck */
    uint8_t inject[SNP_INJECT_MAX * (SNP_INJECT_TEXT + 1)];
    uint64_t seen[SNP_INJECT_MAX], fired[SNP_INJECT_MAX];
    SnpInject list;             /* what that makes */
    X86SnpWatch watch;
} PspSaved;

DESCRIBE(vmstate_tally, "tally",
    VMSTATE_UINT32(n, SnpTally),
    VMSTATE_UINT64(lost, SnpTally),
    VMSTATE_UINT64_ARRAY(key, SnpTally, SNP_TALLY_KEYS),
    VMSTATE_UINT64_ARRAY(count, SnpTally, SNP_TALLY_KEYS));

#define TALLY(field, type) \
    VMSTATE_STRUCT(field, type, 0, vmstate_tally, SnpTally)

DESCRIBE(vmstate_counters, "counters",
    VMSTATE_UINT64_ARRAY(events, SnpCounters, SNP_STAT_MAX),
    VMSTATE_UINT64_ARRAY(rmpupdate_codes, SnpCounters, 8),
    VMSTATE_UINT64_ARRAY(injected, SnpCounters, SNP_INJECT_NSITES),
    TALLY(vmexit_codes, SnpCounters),
    TALLY(vmexit_asids, SnpCounters),
    TALLY(vmgexit_events, SnpCounters),
    TALLY(vmgexit_msrs, SnpCounters),
    TALLY(vc_codes, SnpCounters),
    TALLY(fw_results, SnpCounters),
    TALLY(instructions, SnpCounters),
    TALLY(visits, SnpCounters),
    TALLY(features, SnpCounters),
    TALLY(writebacks, SnpCounters),
    VMSTATE_UINT64_ARRAY(exit_codes, SnpCounters, SNP_EXIT_CODES),
    VMSTATE_UINT64_ARRAY(exit_asids, SnpCounters, RMP_ASID_LIMIT + 1));

DESCRIBE(vmstate_watch, "watch",
    VMSTATE_UINT64(page, X86SnpWatch),
    VMSTATE_UINT64(value, X86SnpWatch),
    VMSTATE_UINT64(after, X86SnpWatch),
    VMSTATE_UINT64(loads, X86SnpWatch),
    VMSTATE_UINT32(offset, X86SnpWatch),
    VMSTATE_UINT32(size, X86SnpWatch),
    VMSTATE_BOOL(due, X86SnpWatch));

DESCRIBE(vmstate_key, "key",
    VMSTATE_BOOL(loaded, PspKey),
    BYTES(key, PspKey));

static int saved_pre_save(void *opaque)
{
    PspSaved *t = opaque;
    AmdPspState *s = t->parent;

    memset(t, 0, sizeof(*t));
    t->parent = s;
    t->platform = s->platform;
    t->counters = *snp_counters();
    for (unsigned i = 0; i <= RMP_ASID_LIMIT; i++) {
        t->keys[i].loaded = snp_view_key(&s->platform.view, i, t->keys[i].key);
    }
    if (s->inject) {
        assert(strlen(s->inject) < sizeof(t->inject));
        pstrcpy((char *)t->inject, sizeof(t->inject), s->inject);
    }
    x86_snp_watch_get(&t->watch);
    snp_inject_get(&s->platform.inject, &t->list);
    for (unsigned i = 0; i < t->list.n; i++) {
        t->seen[i] = t->list.rule[i].seen;
        t->fired[i] = t->list.rule[i].fired;
    }
    return 0;
}

/* Keys of guests: nothing of them is left. */
static int saved_post_save(void *opaque)
{
    explicit_bzero(opaque, sizeof(PspSaved));
    return 0;
}

/* What is not loaded stays as it is here. */
static int saved_pre_load(void *opaque)
{
    return saved_pre_save(opaque);
}

static const char *bad_guest(const SnpFw *fw, const SnpFwGuest *g)
{
    if (g->state > SNP_GUEST_RUNNING) {
        return "state of a guest";
    }
    if (g->asid > fw->cfg.max_asid) {
        return "ASID of a guest";
    }
    if (g->gctx % RMP_PAGE_SIZE) {
        return "context of a guest";
    }
    if (!fw_tsc_possible(fw, g->tsc_khz)) {
        return "clock of a guest";
    }
    return NULL;
}

static const char *bad_sev_guest(const SnpFw *fw, const SevFwGuest *g)
{
    if (g->state > SEV_GUEST_SENT) {
        return "state of a SEV guest";
    }
    if (g->asid > fw->cfg.max_asid) {
        return "ASID of a SEV guest";
    }
    if (!sha256_sane(&g->digest)) {
        return "measurement of a SEV guest";
    }
    return NULL;
}

static const char *bad_tio(const SnpFw *fw, bool tio)
{
    if ((fw->tio_enabled && !tio) || (fw->tio_inited && !fw->tio_enabled)) {
        return "state of trusted I/O";
    }
    for (unsigned i = 0; i < FW_MAX_TIO_DEVS; i++) {
        const SnpFwTioDev *d = &fw->tio_devs[i];

        if (d->state > TIO_DEV_CONNECTING || d->step >= SPDM_NSTEPS ||
            (d->used && !fw->tio_inited)) {
            return "state of a device of trusted I/O";
        }
        for (unsigned j = 0; j < FW_TIO_CTX_PAGES; j++) {
            if (d->page[j] % RMP_PAGE_SIZE) {
                return "context of a device of trusted I/O";
            }
        }
    }
    return NULL;
}

/* Of what a firmware image and a commit leave behind; @cfg as loaded */
static const char *bad_version(const SnpFwConfig *cfg, const SnpFwConfig *own)
{
    /* each machine measures its own, but they are of the same computer */
    if (!cfg->tsc_khz != !own->tsc_khz ||
        (uint64_t)ABS((int64_t)cfg->tsc_khz - own->tsc_khz) * 100 >
        own->tsc_khz) {
        error_report("amd-psp: the processor's clock has %u kHz in what is "
                     "loaded, and %u here", cfg->tsc_khz, own->tsc_khz);
        return "clock";
    }
    return !fw_tcb_within(cfg->committed_tcb, cfg->tcb) ? "TCB version" : NULL;
}

static const char *bad_fw(const SnpFw *fw, const SnpFwConfig *own)
{
    const char *bad = bad_version(&fw->cfg, own);

    for (unsigned i = 0; !bad && i < FW_MAX_GUESTS; i++) {
        bad = bad_guest(fw, &fw->guests[i]);
        bad = bad ? bad : bad_sev_guest(fw, &fw->sev_guests[i]);
    }
    if (bad) {
        return bad;
    }
    if (fw->sev_state > SEV_WORKING) {
        return "state of the platform";
    }
    if (fw->niommu > FW_MAX_IOMMU) {
        return "number of IOMMU buffers";
    }
    for (unsigned i = 0; i < FW_MAX_IOMMU; i++) {
        if (fw->iommu[i].base % RMP_PAGE_SIZE) {
            return "buffer of an IOMMU";
        }
    }
    if (fw->tmr.base % RMP_PAGE_SIZE) {
        return "memory of the firmware";
    }
    if (fw->hidden_asids > (own->hiding ? own->max_asid : 0)) {
        return "number of hidden ASIDs";
    }
    if (fw->mitigated & ~fw->cfg.mitigations) {
        return "mitigations";
    }
    return bad_tio(fw, own->tio);
}

static const char *bad_counters(const SnpCounters *c)
{
    const SnpTally *all[] = {
        &c->vmexit_codes, &c->vmexit_asids, &c->vmgexit_events,
        &c->vmgexit_msrs, &c->vc_codes, &c->fw_results, &c->instructions,
        &c->visits, &c->features, &c->writebacks,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i]->n > SNP_TALLY_KEYS) {
            return "counts";
        }
    }
    return NULL;
}

static const char *bad_platform(const PspSaved *t)
{
    const SnpPlatform *p = &t->platform;

    if (p->view.hidden != p->fw.hidden_asids) {
        return "number of hidden ASIDs";
    }
    for (unsigned i = 0; i <= RMP_ASID_LIMIT; i++) {
        if (t->keys[i].loaded && (!t->parent->platform.encrypt || !i)) {
            return "key of an ASID";
        }
    }
    return bad_counters(&t->counters);
}

/* As what failing on demand is told by its property */
static const char *bad_inject(PspSaved *t)
{
    char why[256];

    if (!memchr(t->inject, 0, sizeof(t->inject)) ||
        !snp_inject_parse(&t->list, (char *)t->inject, why, sizeof(why))) {
        return "list of what fails on demand";
    }
    /* the last thing that can fail */
    if (!x86_snp_watch_set(&t->watch)) {
        return "page that is watched";
    }
    for (unsigned i = 0; i < t->list.n; i++) {
        t->list.rule[i].seen = t->seen[i];
        t->list.rule[i].fired = t->fired[i];
    }
    return NULL;
}

static void put_in_place(PspSaved *t)
{
    SnpPlatform *p = &t->parent->platform;

    /* RAM, and the RMP in it, is another one than was judged last. */
    x86_snp_rmp_begin();
    p->fw = t->platform.fw;
    p->random_count = t->platform.random_count;
    p->kept_count = t->platform.kept_count;
    p->late_interrupts = t->platform.late_interrupts;
    p->view.hidden = t->platform.view.hidden;
    p->view.stats = t->platform.view.stats;
    for (unsigned i = 0; i <= RMP_ASID_LIMIT; i++) {
        snp_view_set_key(&p->view, i, t->keys[i].loaded ? t->keys[i].key
                                                        : NULL);
    }
    x86_snp_rmp_end(false, "load");
    *snp_counters() = t->counters;
    snp_inject_set(&p->inject, &t->list);
    g_free(t->parent->inject);
    t->parent->inject = g_strdup((char *)t->inject);
}

static int saved_post_load(void *opaque, int version_id)
{
    PspSaved *t = opaque;
    const char *bad;

    bad = bad_fw(&t->platform.fw, &t->parent->platform.fw.cfg);
    bad = bad ? bad : bad_platform(t);
    bad = bad ? bad : bad_inject(t);
    if (bad) {
        error_report("amd-psp: what is loaded makes no sense: %s", bad);
    } else {
        put_in_place(t);
    }
    saved_post_save(opaque);
    return bad ? -EINVAL : 0;
}

static const VMStateDescription vmstate_saved = {
    .name = "amd-psp/platform",
    .pre_save = saved_pre_save,
    .post_save = saved_post_save,
    .pre_load = saved_pre_load,
    .post_load = saved_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_STRUCT(platform.fw, PspSaved, 0, vmstate_fw, SnpFw),
        VMSTATE_UINT64(platform.random_count, PspSaved),
        VMSTATE_UINT64(platform.kept_count, PspSaved),
        VMSTATE_UINT64(platform.late_interrupts, PspSaved),
        VMSTATE_UINT32(platform.view.hidden, PspSaved),
        VMSTATE_UINT64(platform.view.stats.to_owner, PspSaved),
        VMSTATE_UINT64(platform.view.stats.to_raw, PspSaved),
        VMSTATE_UINT64(platform.view.stats.reads, PspSaved),
        VMSTATE_STRUCT(counters, PspSaved, 0, vmstate_counters, SnpCounters),
        VMSTATE_STRUCT_ARRAY(keys, PspSaved, RMP_ASID_LIMIT + 1, 0,
                             vmstate_key, PspKey),
        VMSTATE_BUFFER(inject, PspSaved),
        VMSTATE_UINT64_ARRAY(seen, PspSaved, SNP_INJECT_MAX),
        VMSTATE_UINT64_ARRAY(fired, PspSaved, SNP_INJECT_MAX),
        VMSTATE_STRUCT(watch, PspSaved, 0, vmstate_watch, X86SnpWatch),
        VMSTATE_END_OF_LIST()
    }
};

/* ---- the function ---- */

static int psp_post_load(void *opaque, int version_id)
{
    amd_psp_loaded(opaque);
    return 0;
}

const VMStateDescription amd_psp_vmstate = {
    .name = TYPE_AMD_PSP,
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = psp_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_WITH_TMP(AmdPspState, PspConfigured, vmstate_configured),
        VMSTATE_WITH_TMP(AmdPspState, PspSaved, vmstate_saved),
        VMSTATE_PCI_DEVICE(parent_obj, AmdPspState),
        VMSTATE_MSIX(parent_obj, AmdPspState),
        VMSTATE_UINT32(inten, AmdPspState),
        VMSTATE_UINT32(intsts, AmdPspState),
        VMSTATE_UINT32(cmdresp, AmdPspState),
        VMSTATE_UINT32(buf_lo, AmdPspState),
        VMSTATE_UINT32(buf_hi, AmdPspState),
        VMSTATE_BOOL(waiting, AmdPspState),
        VMSTATE_UINT64(entry_spa, AmdPspState),
        VMSTATE_BOOL(dead, AmdPspState),
        VMSTATE_BOOL(late, AmdPspState),
        VMSTATE_UINT32(late_val, AmdPspState),
        VMSTATE_UINT32(late_status, AmdPspState),
        VMSTATE_UINT64(late_polls, AmdPspState),
        VMSTATE_END_OF_LIST()
    }
};
