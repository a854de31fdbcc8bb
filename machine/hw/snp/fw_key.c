/*
 * Secure processor firmware: keys derived for guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * MSG_KEY_REQ. A key depends on its root, the chip's secret, the VLEK or one
 * of this launch (VMRK), on what of the guest was selected, and on the VMPL;
 * how it is mixed is the firmware's own affair.
 */
#include "fw_msg.h"

#define ROOT_VMRK         (1u << 0)
#define ROOT_SEL_SHIFT    1
#define ROOT_RSVD         (~7u)

#define FIELD_POLICY      (1u << 0)
#define FIELD_IMAGE_ID    (1u << 1)
#define FIELD_FAMILY_ID   (1u << 2)
#define FIELD_MEASUREMENT (1u << 3)
#define FIELD_GUEST_SVN   (1u << 4)
#define FIELD_TCB         (1u << 5)
#define FIELD_RSVD        (~0x3full)
#define FIELD_MITIGATIONS (1u << 6)     /* message version 2 */
#define FIELD_RSVD_2      (~0x7full)

/* Of what a key is made; zero where not selected */
typedef struct KeyContext {
    uint8_t fields[8];
    uint8_t vmpl[4];
    uint8_t guest_svn[4];
    uint8_t policy[8];
    uint8_t image_id[16], family_id[16];
    uint8_t measurement[48];
    uint8_t tcb[8];
    uint8_t host_data[32];
    uint8_t id_key_digest[48], author_key_digest[48];
    uint8_t mitigations[8];
} KeyContext;

static unsigned root_sel(const FwKeyReq *q)
{
    return fw_get(q->root, 4) >> ROOT_SEL_SHIFT & 3;
}

static uint32_t check_request(const SnpFw *fw, const SnpFwGuest *g,
                              unsigned vmpck, const FwKeyReq *q,
                              uint64_t rsvd)
{
    uint32_t root = fw_get(q->root, 4);
    unsigned sel = root_sel(q);
    uint32_t vmpl = fw_get(q->vmpl, 4);

    /* [FW-KEY-RSVD] */
    if ((root & ROOT_RSVD) || sel >= FW_KEY_SEL_MAX ||
        !fw_all_zero(q->rsvd_4, sizeof(q->rsvd_4)) ||
        (fw_get(q->fields, 8) & rsvd)) {
        return FW_MSG_INVALID_PARAM;
    }
    /* [FW-KEY-VMPL] no level gets the key of one above it */
    if (vmpl >= RMP_VMPLS || vmpl < vmpck) {
        return FW_MSG_INVALID_PARAM;
    }
    /* [FW-KEY-SVN] no key of a version still to come */
    if (fw_get(q->guest_svn, 4) > g->guest_svn) {
        return FW_MSG_INVALID_PARAM;
    }
    /* [FW-KEY-TCB] */
    if (!fw_tcb_within(fw_get(q->tcb, 8), fw->cfg.committed_tcb)) {
        return FW_MSG_INVALID_PARAM;
    }
    /* [FW-KEY-ROOT] every guest has a VMRK */
    if (!(root & ROOT_VMRK) &&
        (fw_wants_vlek(fw, sel) ? !fw->vlek_loaded :
         g->vcek_disabled || (fw->config_flags & FW_MASK_CHIP_KEY) ||
         !fw->cfg.nvceks)) {
        return FW_MSG_INVALID_KEY;
    }
    return FW_MSG_OK;
}

static void derive(const SnpFw *fw, const SnpFwGuest *g, const FwKeyReq *q,
                   uint64_t mitigations, uint8_t key[KDF_LEN])
{
    uint32_t fields = fw_get(q->fields, 8);
    const uint8_t *root = fw->cfg.chip_secret;
    uint8_t loaded[KDF_LEN];
    KeyContext k = { 0 };

    memcpy(k.fields, q->fields, sizeof(k.fields));
    memcpy(k.vmpl, q->vmpl, sizeof(k.vmpl));
    /* [FW-KEY-ALWAYS] who may speak for the guest is always in it */
    if (!fw_loose(fw, FW_KEY_ALWAYS)) {
        memcpy(k.host_data, g->host_data, sizeof(k.host_data));
        memcpy(k.id_key_digest, g->id_key_digest, sizeof(k.id_key_digest));
        memcpy(k.author_key_digest, g->author_key_digest,
               sizeof(k.author_key_digest));
    }
    /* [FW-KEY-FIELDS] */
    if (fields & FIELD_POLICY) {
        fw_put(k.policy, 8, g->policy);
    }
    if (fields & FIELD_IMAGE_ID) {
        memcpy(k.image_id, g->image_id, sizeof(k.image_id));
    }
    if (fields & FIELD_FAMILY_ID) {
        memcpy(k.family_id, g->family_id, sizeof(k.family_id));
    }
    if (fields & FIELD_MEASUREMENT) {
        memcpy(k.measurement, g->ld, sizeof(k.measurement));
    }
    if (fields & FIELD_GUEST_SVN) {
        memcpy(k.guest_svn, q->guest_svn, sizeof(k.guest_svn));
    }
    if (fields & FIELD_TCB) {
        memcpy(k.tcb, q->tcb, sizeof(k.tcb));
    }
    if (fields & FIELD_MITIGATIONS) {
        fw_put(k.mitigations, 8, mitigations);
    }
    if (fw_get(q->root, 4) & ROOT_VMRK) {
        root = g->vmrk;
    } else if (fw_wants_vlek(fw, root_sel(q))) {
        fw_vlek_root(fw, loaded);
        root = loaded;
    }
    kdf(root, "SNP derived key", &k, sizeof(k), key);
    explicit_bzero(loaded, sizeof(loaded));
}

bool fw_msg_key(SnpFw *fw, SnpFwGuest *g, unsigned vmpck, const void *req,
                void *rsp)
{
    FwKeyRsp *a = rsp;
    uint32_t status = check_request(fw, g, vmpck, req, FIELD_RSVD);

    fw_put(a->status, 4, status);
    if (!status) {
        derive(fw, g, req, 0, a->key);
    }
    return true;
}

bool fw_msg_key_2(SnpFw *fw, SnpFwGuest *g, unsigned vmpck, const void *req,
                  void *rsp)
{
    const FwKeyReq2 *q = req;
    FwKeyRsp *a = rsp;
    uint64_t mitigations = fw_get(q->mitigations, 8);
    uint32_t status = check_request(fw, g, vmpck, &q->v1, FIELD_RSVD_2);

    /* [FW-KEY-MITIGATIONS] none that were not there at launch */
    if (!status && (mitigations & ~g->launch_mitigations) &&
        !fw_loose(fw, FW_KEY_MITIGATIONS)) {
        status = FW_MSG_INVALID_PARAM;
    }
    fw_put(a->status, 4, status);
    if (!status) {
        derive(fw, g, &q->v1, mitigations & g->launch_mitigations, a->key);
    }
    return true;
}
