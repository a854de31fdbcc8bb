/*
 * Secure processor firmware: attestation reports
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MSG_REPORT_REQ. The chip has one VCEK for each TCB version; reports carry
 * REPORTED_TCB and are signed with the VCEK of that one. Where the machine was
 * not given it, the answer is INVALID_KEY.
 */
#include "fw_msg.h"

#define KEY_SEL_AUTO      0u
#define KEY_SEL_VCEK      1u
#define KEY_SEL_VLEK      2u

#define INFO_SMT          (1u << 0)
#define INFO_NO_ALIAS     (1u << 5)
#define KEY_AUTHOR        (1u << 0)
#define KEY_MASKED        (1u << 1)
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

/* Unless told otherwise it goes with the ABI that is announced. */
unsigned fw_report_version(const SnpFwConfig *cfg)
{
    unsigned api = cfg->api_major << 8 | cfg->api_minor;

    if (cfg->report_version) {
        return cfg->report_version;
    }
    return api >= 0x13a ? 5 : api >= 0x138 ? 3 : 2;
}

static void put_version(uint8_t *p, const SnpFwConfig *cfg, uint8_t build)
{
    p[0] = build;
    p[1] = cfg->api_minor;
    p[2] = cfg->api_major;
}

static void fill(const SnpFw *fw, const SnpFwGuest *g, const FwReportReq *q,
                 FwReport *r)
{
    const SnpFwConfig *cfg = &fw->cfg;
    bool masked = fw->config_flags & FW_MASK_CHIP_KEY;
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
                                (fw->alias_checked ? INFO_NO_ALIAS : 0));
    fw_put(r->key_info, 4, (g->author_key ? KEY_AUTHOR : 0) |
                           (masked ? KEY_MASKED | KEY_SIGNED_NONE : 0));
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
    put_version(r->current_version, cfg, cfg->build);
    put_version(r->committed_version, cfg, cfg->committed_build);
    fw_put(r->launch_tcb, 8, g->launch_tcb);
}

static uint32_t check_request(const SnpFw *fw, const SnpFwGuest *g,
                              unsigned vmpck, const FwReportReq *q)
{
    uint32_t vmpl = fw_get(q->vmpl, 4), sel = fw_get(q->key_sel, 4);

    /* [FW-REPORT-RSVD] */
    if (sel > KEY_SEL_VLEK || !fw_all_zero(q->rsvd_48, sizeof(q->rsvd_48))) {
        return FW_MSG_INVALID_PARAM;
    }
    /* [FW-REPORT-VMPL] no level speaks for one above it */
    if (vmpl >= RMP_VMPLS || vmpl < vmpck) {
        return FW_MSG_INVALID_PARAM;
    }
    /* [FW-REPORT-KEY] no VLEK was loaded; a masked key signs nothing */
    if (sel == KEY_SEL_VLEK || g->vcek_disabled ||
        (!(fw->config_flags & FW_MASK_CHIP_KEY) && !fw_vcek(fw))) {
        return FW_MSG_INVALID_KEY;
    }
    return FW_MSG_OK;
}

bool fw_msg_report(SnpFw *fw, SnpFwGuest *g, unsigned vmpck, const void *req,
                   void *rsp)
{
    const FwReportReq *q = req;
    FwReportRsp *a = rsp;
    uint32_t status = check_request(fw, g, vmpck, q);
    P384Sig sig;

    fw_put(a->status, 4, status);
    if (status) {
        return true;
    }
    fw_put(a->size, 4, sizeof(a->report));
    fill(fw, g, q, &a->report);
    /* [FW-REPORT-MASKED] */
    if (fw->config_flags & FW_MASK_CHIP_KEY) {
        return true;
    }
    /* [FW-REPORT-SIGNATURE] */
    if (!p384_sign(fw_vcek(fw), &a->report, offsetof(FwReport, signature),
                   &sig)) {
        return false;
    }
    memcpy(a->report.signature.r, sig.r, sizeof(sig.r));
    memcpy(a->report.signature.s, sig.s, sizeof(sig.s));
    return true;
}
