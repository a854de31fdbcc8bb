/*
 * Secure processor firmware: attestation reports
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MSG_REPORT_REQ. The chip has one VCEK for each TCB version; reports carry
 * REPORTED_TCB and are signed with the VCEK of that one, or with the VLEK,
 * which is of that version, too. Where the machine was not given the key, the
 * answer is INVALID_KEY.
 */
#include "fw_msg.h"

#define INFO_SMT          (1u << 0)
#define INFO_HIDES        (1u << 4)
#define INFO_NO_ALIAS     (1u << 5)
#define KEY_AUTHOR        (1u << 0)
#define KEY_MASKED        (1u << 1)
#define KEY_SIGNED_VLEK   (1u << 2)
#define KEY_SIGNED_NONE   (7u << 2)

bool fw_tcb_within(uint64_t a, uint64_t b)
{
    for (unsigned i = 0; i < 64; i += 8) {
        if ((uint8_t)(a >> i) > (uint8_t)(b >> i)) {
            return false;
        }
    }
    return true;
}

uint64_t fw_reported_tcb(const SnpFw *fw)
{
    return fw->reported_tcb ? fw->reported_tcb : fw->cfg.committed_tcb;
}

const P384Key *fw_vcek(const SnpFw *fw)
{
    for (unsigned i = 0; i < fw->cfg.nvceks; i++) {
        if (fw->cfg.vcek[i].tcb == fw_reported_tcb(fw)) {
            return fw->cfg.vcek[i].key;
        }
    }
    return NULL;
}

/* [FW-KEY-SEL] unless told which, the one that is not of the chip */
bool fw_wants_vlek(const SnpFw *fw, unsigned sel)
{
    return sel == FW_KEY_SEL_VLEK ||
           (sel == FW_KEY_SEL_AUTO && fw->vlek_loaded);
}

/* Unless told otherwise it goes with the ABI that is announced. */
unsigned fw_report_version(const SnpFwConfig *cfg)
{
    unsigned api = cfg->api_major << 8 | cfg->api_minor;

    if (cfg->report_version) {
        return cfg->report_version;
    }
    return api >= 0x13a ? 5 : api >= 0x138 ? 3 : 2;
}

static void put_version(uint8_t *p, uint8_t major, uint8_t minor,
                        uint8_t build)
{
    p[0] = build;
    p[1] = minor;
    p[2] = major;
}

/* With which key: bits of KEY_INFO, beside the author key's */
static uint32_t key_info(const SnpFw *fw, const FwReportReq *q)
{
    /* [FW-REPORT-MASKED] */
    if (fw->config_flags & FW_MASK_CHIP_KEY) {
        return KEY_MASKED | KEY_SIGNED_NONE;
    }
    return fw_wants_vlek(fw, fw_get(q->key_sel, 4)) ? KEY_SIGNED_VLEK : 0;
}

static void fill(const SnpFw *fw, const SnpFwGuest *g, const FwReportReq *q,
                 FwReport *r)
{
    const SnpFwConfig *cfg = &fw->cfg;
    uint32_t f = cfg->fms;

    memset(r, 0, sizeof(*r));
    fw_put(r->version, 4, fw_report_version(cfg));
    fw_put(r->guest_svn, 4, g->guest_svn);
    fw_put(r->policy, 8, g->policy);
    memcpy(r->family_id, g->family_id, sizeof(r->family_id));
    memcpy(r->image_id, g->image_id, sizeof(r->image_id));
    memcpy(r->vmpl, q->vmpl, sizeof(r->vmpl));
    fw_put(r->signature_algo, 4, FW_SIG_P384);
    fw_put(r->current_tcb, 8, cfg->tcb);
    fw_put(r->platform_info, 8, (cfg->smt ? INFO_SMT : 0) |
                                (fw->hidden_asids ? INFO_HIDES : 0) |
                                (fw->alias_checked ? INFO_NO_ALIAS : 0));
    fw_put(r->key_info, 4, (g->author_key ? KEY_AUTHOR : 0) |
                           key_info(fw, q));
    memcpy(r->report_data, q->report_data, sizeof(r->report_data));
    memcpy(r->measurement, g->ld, sizeof(r->measurement));
    memcpy(r->host_data, g->host_data, sizeof(r->host_data));
    memcpy(r->id_key_digest, g->id_key_digest, sizeof(r->id_key_digest));
    memcpy(r->author_key_digest, g->author_key_digest,
           sizeof(r->author_key_digest));
    memcpy(r->report_id, g->report_id, sizeof(r->report_id));
    /* no migration agent */
    memset(r->report_id_ma, 0xff, sizeof(r->report_id_ma));
    fw_put(r->reported_tcb, 8, fw_reported_tcb(fw));
    if (fw_report_version(cfg) >= 3) {
        r->cpuid_fms[0] = (f >> 8 & 0xf) + (f >> 20 & 0xff);
        r->cpuid_fms[1] = (f >> 12 & 0xf0) | (f >> 4 & 0xf);
        r->cpuid_fms[2] = f & 0xf;
    }
    if (!(fw->config_flags & FW_MASK_CHIP_ID)) {
        memcpy(r->chip_id, cfg->chip_id, sizeof(r->chip_id));
    }
    fw_put(r->committed_tcb, 8, cfg->committed_tcb);
    put_version(r->current_version, cfg->api_major, cfg->api_minor,
                cfg->build);
    put_version(r->committed_version, cfg->committed_major,
                cfg->committed_minor, cfg->committed_build);
    fw_put(r->launch_tcb, 8, g->launch_tcb);
    /* [FW-MITIGATION-REPORT] */
    if (fw_report_version(cfg) >= 5) {
        fw_put(r->launch_mitigations, 8, g->launch_mitigations);
        fw_put(r->mitigations, 8, fw->mitigated);
    }
}

static uint32_t check_request(const SnpFw *fw, const SnpFwGuest *g,
                              unsigned vmpck, const FwReportReq *q)
{
    uint32_t vmpl = fw_get(q->vmpl, 4), sel = fw_get(q->key_sel, 4);

    /* [FW-REPORT-RSVD] */
    if (sel >= FW_KEY_SEL_MAX || !fw_all_zero(q->rsvd_48, sizeof(q->rsvd_48))) {
        return FW_MSG_INVALID_PARAM;
    }
    /* [FW-REPORT-VMPL] no level speaks for one above it */
    if (vmpl >= RMP_VMPLS || vmpl < vmpck) {
        return FW_MSG_INVALID_PARAM;
    }
    /* [FW-REPORT-KEY] a masked key signs nothing, and need not be there */
    if (fw_wants_vlek(fw, sel) ? !fw->vlek_loaded :
        g->vcek_disabled ||
        (!(fw->config_flags & FW_MASK_CHIP_KEY) && !fw_vcek(fw))) {
        return FW_MSG_INVALID_KEY;
    }
    return FW_MSG_OK;
}

static bool sign(const SnpFw *fw, bool vlek, FwReport *r)
{
    P384Key *loaded = vlek ? fw_vlek_key(fw) : NULL;
    const P384Key *key = vlek ? loaded : fw_vcek(fw);
    P384Sig sig;
    bool ok = key && p384_sign(key, r, offsetof(FwReport, signature), &sig);

    if (ok) {
        memcpy(r->signature.r, sig.r, sizeof(sig.r));
        memcpy(r->signature.s, sig.s, sizeof(sig.s));
    }
    p384_free(loaded);
    return ok;
}

bool fw_msg_report(SnpFw *fw, SnpFwGuest *g, unsigned vmpck, const void *req,
                   void *rsp)
{
    const FwReportReq *q = req;
    FwReportRsp *a = rsp;
    uint32_t status = check_request(fw, g, vmpck, q);

    fw_put(a->status, 4, status);
    if (status) {
        return true;
    }
    fw_put(a->size, 4, sizeof(a->report));
    fill(fw, g, q, &a->report);
    if (fw->config_flags & FW_MASK_CHIP_KEY) {
        return true;
    }
    /* [FW-REPORT-SIGNATURE] */
    return sign(fw, fw_wants_vlek(fw, fw_get(q->key_sel, 4)), &a->report);
}
