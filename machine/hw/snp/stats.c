/*
 * The SNP platform: statistics
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/thread.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "system/cpu-timers.h"
#include "hw/snp/platform.h"
#include "stats.h"

static SnpCounters counted;

static const char * const counter_names[SNP_STAT_MAX] = {
    [SNP_STAT_VMEXIT] = "vmexit",
    [SNP_STAT_VMEXIT_SEV] = "vmexit-sev",
    [SNP_STAT_VMEXIT_SEV_ES] = "vmexit-sev-es",
    [SNP_STAT_VMEXIT_SNP] = "vmexit-snp",
    [SNP_STAT_VMRUN_ALLOWED] = "vmrun-allowed-features",
    [SNP_STAT_VMRUN_ALIGNED] = "vmrun-holds-aligned",
    [SNP_STAT_PSMASH] = "psmash",
    [SNP_STAT_RMPREAD] = "rmpread",
    [SNP_STAT_RMPADJUST] = "rmpadjust",
    [SNP_STAT_RMPQUERY] = "rmpquery",
    [SNP_STAT_SELF_CHECK] = "self-check",
    [SNP_STAT_RMPUPDATE_GUEST] = "rmpupdate-to-guest",
    [SNP_STAT_RMPUPDATE_PRE_GUEST] = "rmpupdate-to-pre-guest",
    [SNP_STAT_RMPUPDATE_FIRMWARE] = "rmpupdate-to-firmware",
    [SNP_STAT_RMPUPDATE_SHARED] = "rmpupdate-to-shared",
    [SNP_STAT_RMPUPDATE_2M_GUEST] = "rmpupdate-2m-to-guest",
    [SNP_STAT_RMPUPDATE_2M_PRE_GUEST] = "rmpupdate-2m-to-pre-guest",
    [SNP_STAT_RMPUPDATE_2M_SHARED] = "rmpupdate-2m-to-shared",
    [SNP_STAT_PVALIDATE_VALIDATED] = "pvalidate-validated",
    [SNP_STAT_PVALIDATE_RESCINDED] = "pvalidate-rescinded",
    [SNP_STAT_PVALIDATE_UNCHANGED] = "pvalidate-unchanged",
    [SNP_STAT_PVALIDATE_FAILED] = "pvalidate-failed",
    [SNP_STAT_PVALIDATE_FAULTED] = "pvalidate-faulted",
    [SNP_STAT_NPF] = "npf",
    [SNP_STAT_NPF_PRIVATE] = "npf-private",
    [SNP_STAT_NPF_RMP] = "npf-rmp",
    [SNP_STAT_NPF_SIZEM] = "npf-sizem",
    [SNP_STAT_NPF_VMPL] = "npf-vmpl",
    [SNP_STAT_PSP_COMMANDS] = "psp-commands",
    [SNP_STAT_DMA_JUDGED] = "dma-judged",
    [SNP_STAT_RACE_DONE] = "race-done",
    [SNP_STAT_RACE_REFUSED] = "race-refused",
    [SNP_STAT_GHCB_LOADS] = "ghcb-loads",
    [SNP_STAT_GHCB_CHANGED] = "ghcb-changed",
};

static QemuSpin tally_lock;     /* zero is unlocked */

SnpCounters *snp_counters(void)
{
    return &counted;
}

static void tally_add(SnpTally *t, uint64_t key, uint64_t n)
{
    unsigned i;

    qemu_spin_lock(&tally_lock);
    for (i = 0; i < t->n && t->key[i] != key; i++) {
        continue;
    }
    if (i == SNP_TALLY_KEYS) {
        t->lost += n;
    } else {
        if (i == t->n) {
            t->key[t->n++] = key;
        }
        t->count[i] += n;
    }
    qemu_spin_unlock(&tally_lock);
}

static void tally(SnpTally *t, uint64_t key)
{
    tally_add(t, key, 1);
}

void snp_stat(SnpStat what)
{
    qatomic_inc(&counted.events[what]);
}

void snp_stat_rmpupdate(int code, const RmpUpdate *u)
{
    qatomic_inc(&counted.rmpupdate_codes[code & 7]);
    if (code != RMP_SUCCESS) {
        return;
    }
    if (u->pagesize) {
        if (!u->assigned) {
            snp_stat(SNP_STAT_RMPUPDATE_2M_SHARED);
        } else if (u->asid) {
            snp_stat(u->immutable ? SNP_STAT_RMPUPDATE_2M_PRE_GUEST
                                  : SNP_STAT_RMPUPDATE_2M_GUEST);
        }
    }
    if (!u->assigned) {
        snp_stat(SNP_STAT_RMPUPDATE_SHARED);
    } else if (!u->asid) {
        snp_stat(SNP_STAT_RMPUPDATE_FIRMWARE);
    } else {
        snp_stat(u->immutable ? SNP_STAT_RMPUPDATE_PRE_GUEST
                              : SNP_STAT_RMPUPDATE_GUEST);
    }
}

void snp_stat_pvalidate(int code, bool unchanged, bool validate)
{
    if (code != RMP_SUCCESS) {
        snp_stat(SNP_STAT_PVALIDATE_FAILED);
    } else if (unchanged) {
        snp_stat(SNP_STAT_PVALIDATE_UNCHANGED);
    } else {
        snp_stat(validate ? SNP_STAT_PVALIDATE_VALIDATED
                          : SNP_STAT_PVALIDATE_RESCINDED);
    }
}

void snp_stat_npf(uint64_t info1)
{
    static const struct { int bit; SnpStat stat; } kinds[] = {
        { 31, SNP_STAT_NPF_RMP },
        { 34, SNP_STAT_NPF_PRIVATE },
        { 35, SNP_STAT_NPF_SIZEM },
        { 36, SNP_STAT_NPF_VMPL },
    };

    snp_stat(SNP_STAT_NPF);
    for (int i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (info1 >> kinds[i].bit & 1) {
            snp_stat(kinds[i].stat);
        }
    }
}

void snp_stat_injected(SnpInjectSite site)
{
    qatomic_inc(&counted.injected[site]);
}

void snp_stat_vmexit(uint64_t code, uint32_t asid)
{
    snp_stat(SNP_STAT_VMEXIT);
    if (code < ARRAY_SIZE(counted.exit_codes)) {
        qatomic_inc(&counted.exit_codes[code]);
    } else {
        tally(&counted.vmexit_codes, code);
    }
    if (asid < ARRAY_SIZE(counted.exit_asids)) {
        qatomic_inc(&counted.exit_asids[asid]);
    } else {
        tally(&counted.vmexit_asids, asid);
    }
}

void snp_stat_features(uint64_t sev_features)
{
    tally(&counted.features, sev_features);
}

void snp_stat_writeback(unsigned cpu)
{
    tally(&counted.writebacks, cpu);
}

void snp_stat_instructions(uint32_t asid, uint64_t n)
{
    tally_add(&counted.instructions, asid, n);
}

void snp_stat_visit(uint32_t asid, uint64_t n)
{
    tally_add(&counted.visits, asid, n);
}

void snp_stat_vmgexit(uint64_t event)
{
    tally(&counted.vmgexit_events, event);
}

void snp_stat_vmgexit_msr(uint32_t request)
{
    tally(&counted.vmgexit_msrs, request);
}

void snp_stat_vc(uint64_t code)
{
    tally(&counted.vc_codes, code);
}

void snp_stat_firmware(uint32_t command, uint32_t status)
{
    snp_stat(SNP_STAT_PSP_COMMANDS);
    tally(&counted.fw_results, (uint64_t)command << 32 | status);
}

/* { "0xKEY": n, … } */
static QDict *tally_dict(const SnpTally *from)
{
    QDict *d = qdict_new();
    SnpTally t;

    qemu_spin_lock(&tally_lock);
    t = *from;
    qemu_spin_unlock(&tally_lock);
    for (unsigned i = 0; i < t.n; i++) {
        g_autofree char *key = g_strdup_printf("0x%" PRIx64, t.key[i]);

        qdict_put_int(d, key, t.count[i]);
    }
    if (t.lost) {
        qdict_put_int(d, "lost", t.lost);
    }
    return d;
}

/* { "host": n, "0xASID": n, … } */
static QDict *worlds_dict(const SnpTally *t)
{
    QDict *d = tally_dict(t);
    int64_t host = qdict_get_try_int(d, "0x0", 0);

    qdict_del(d, "0x0");
    qdict_put_int(d, "host", host);
    return d;
}

/* Adds to a tally's what is counted without it. */
static void add_direct(QDict *d, const uint64_t *counts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t count = qatomic_read(&counts[i]);

        if (count) {
            g_autofree char *key = g_strdup_printf("0x%zx", i);

            qdict_put_int(d, key, count);
        }
    }
}

/* { "COMMAND": { "STATUS": n, … }, … } */
static QDict *firmware_dict(void)
{
    QDict *d = qdict_new();
    SnpTally t;

    qemu_spin_lock(&tally_lock);
    t = counted.fw_results;
    qemu_spin_unlock(&tally_lock);
    for (unsigned i = 0; i < t.n; i++) {
        uint32_t cmd = t.key[i] >> 32;
        const char *known = snp_fw_command_name(cmd);
        g_autofree char *name = known ? g_strdup(known)
                                      : g_strdup_printf("0x%x", cmd);
        QDict *sub = qdict_get_qdict(d, name);

        if (!sub) {
            sub = qdict_new();
            qdict_put(d, name, sub);
        }
        qdict_put_int(sub, snp_fw_status_name((uint32_t)t.key[i]),
                      t.count[i]);
    }
    return d;
}

/* Pages enciphered or deciphered in place; reads that got ciphertext */
static QDict *view_dict(void)
{
    SnpPlatform *p = snp_platform();
    SnpViewStats none = { 0 };
    const SnpViewStats *s = p ? &p->view.stats : &none;
    QDict *d = qdict_new();

    qdict_put_int(d, "pages-to-owner", qatomic_read(&s->to_owner));
    qdict_put_int(d, "pages-to-raw", qatomic_read(&s->to_raw));
    qdict_put_int(d, "outside-reads", qatomic_read(&s->reads));
    return d;
}

/* What was made to fail, of each kind; of the list that holds, rule by rule */
static QDict *inject_dict(SnpInject *inject)
{
    static const char * const sites[SNP_INJECT_NSITES] = {
        [SNP_INJECT_FIRMWARE] = "firmware",
        [SNP_INJECT_RMPUPDATE] = "rmpupdate",
        [SNP_INJECT_PSMASH] = "psmash",
        [SNP_INJECT_NPF] = "npf",
        [SNP_INJECT_GHCB] = "ghcb",
        [SNP_INJECT_DMA] = "dma",
    };
    g_autofree SnpInject *now = g_new(SnpInject, 1);
    QDict *d = qdict_new(), *rules = qdict_new();

    for (int i = 0; i < SNP_INJECT_NSITES; i++) {
        qdict_put_int(d, sites[i], qatomic_read(&counted.injected[i]));
    }
    snp_inject_get(inject, now);
    for (unsigned i = 0; i < now->n; i++) {
        QDict *r = qdict_new();

        qdict_put_int(r, "seen", now->rule[i].seen);
        qdict_put_int(r, "fired", now->rule[i].fired);
        qdict_put(rules, now->rule[i].text, r);
    }
    qdict_put(d, "rules", rules);
    return d;
}

char *snp_stats_json(SnpInject *inject)
{
    static const char * const codes[8] = {
        "success", "fail-input", "fail-permission", "fail-inuse",
        "fail-overlap", "code-5", "fail-sizemismatch", "fail-badaddr",
    };
    g_autoptr(QDict) d = qdict_new();
    g_autoptr(GString) s = NULL;
    QDict *sub = qdict_new();

    for (int i = 0; i < SNP_STAT_MAX; i++) {
        qdict_put_int(d, counter_names[i], qatomic_read(&counted.events[i]));
    }
    for (int i = 0; i < ARRAY_SIZE(codes); i++) {
        qdict_put_int(sub, codes[i], qatomic_read(&counted.rmpupdate_codes[i]));
    }
    qdict_put(d, "rmpupdate", sub);
    if (icount_enabled()) {
        qdict_put(d, "instructions", worlds_dict(&counted.instructions));
        qdict_put(d, "instructions-switched", worlds_dict(&counted.visits));
    }
    qdict_put(d, "vmexit-code", tally_dict(&counted.vmexit_codes));
    qdict_put(d, "vmexit-asid", tally_dict(&counted.vmexit_asids));
    qdict_put(d, "cipher", view_dict());
    qdict_put(d, "vmgexit", tally_dict(&counted.vmgexit_events));
    qdict_put(d, "vmgexit-msr", tally_dict(&counted.vmgexit_msrs));
    qdict_put(d, "vc", tally_dict(&counted.vc_codes));
    qdict_put(d, "sev-features", tally_dict(&counted.features));
    qdict_put(d, "writebacks", tally_dict(&counted.writebacks));
    qdict_put(d, "firmware", firmware_dict());
    qdict_put(d, "inject", inject_dict(inject));
    add_direct(qdict_get_qdict(d, "vmexit-code"), counted.exit_codes,
               ARRAY_SIZE(counted.exit_codes));
    add_direct(qdict_get_qdict(d, "vmexit-asid"), counted.exit_asids,
               ARRAY_SIZE(counted.exit_asids));
    s = qobject_to_json(QOBJECT(d));
    return g_strdup(s->str);
}
