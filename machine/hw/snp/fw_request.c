/*
 * Secure processor firmware: messages of guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SNP_GUEST_REQUEST: the hypervisor carries messages between a guest and the
 * firmware that it can neither read nor change, repeat or leave out. Each of
 * the guest's four VMPCKs has a counter: a request carries the counter plus
 * one, its response the counter plus two. Only a response moves it.
 */
#include "fw_msg.h"

typedef struct FwMsgKind {
    uint8_t type, version;
    uint8_t since;              /* which version of reports it came with */
    uint16_t req, rsp;          /* sizes */
    FwMsgHandler *run;
} FwMsgKind;

static const FwMsgKind kinds[] = {
    { FW_MSG_KEY_REQ, 1, 2, sizeof(FwKeyReq), sizeof(FwKeyRsp), fw_msg_key },
    { FW_MSG_KEY_REQ, 2, 5, sizeof(FwKeyReq2), sizeof(FwKeyRsp),
      fw_msg_key_2 },
    { FW_MSG_REPORT_REQ, 1, 2, sizeof(FwReportReq), sizeof(FwReportRsp),
      fw_msg_report },
    { FW_MSG_TSC_REQ, 1, 2, sizeof(FwTscReq), sizeof(FwTscRsp), fw_msg_tsc },
};

static const FwMsgKind *find_kind(const SnpFw *fw, const FwMsgHeader *h)
{
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].type == h->type && kinds[i].version == h->version &&
            kinds[i].since <= fw_report_version(&fw->cfg) &&
            (h->type != FW_MSG_TSC_REQ || fw->cfg.tsc_khz)) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* What can be said of a header before its key is known to be the guest's */
static uint32_t check_header(const SnpFw *fw, const SnpFwGuest *g,
                             const FwMsgHeader *h)
{
    uint64_t count;

    /* [FW-MSG-HEADER] */
    if (h->algo != FW_MSG_GCM || h->hdr_version != FW_MSG_HDR_VERSION ||
        fw_get(h->hdr_size, 2) != sizeof(*h) ||
        fw_get(h->size, 2) > FW_MSG_MAX) {
        return FW_INVALID_PARAM;
    }
    /* [FW-MSG-RSVD] */
    if (!fw_loose(fw, FW_MSG_RSVD) &&
        (!fw_all_zero(h->rsvd_28, sizeof(h->rsvd_28)) ||
         !fw_all_zero(h->rsvd_38, sizeof(h->rsvd_38)) ||
         !fw_all_zero(h->rsvd_3d, sizeof(h->rsvd_3d)))) {
        return FW_INVALID_PARAM;
    }
    /* [FW-MSG-VMPCK] */
    if (h->vmpck >= FW_VMPCKS) {
        return FW_INVALID_PARAM;
    }
    /* [FW-MSG-OVERFLOW] an IV is never used twice */
    count = g->msg_count[h->vmpck];
    if (count > UINT64_MAX - 2) {
        return FW_AEAD_OFLOW;
    }
    /* [FW-MSG-SEQNO] */
    if (fw_get(h->seqno, 8) != count + 1) {
        return FW_INVALID_PARAM;
    }
    return FW_SUCCESS;
}

static void make_iv(const FwMsgHeader *h, uint8_t iv[GCM_IV_LEN])
{
    memset(iv, 0, GCM_IV_LEN);
    memcpy(iv, h->seqno, sizeof(h->seqno));
}

/*
 * Answers in place: @page holds the request, afterwards the response. What
 * both are in the clear, derived keys among it, is left in @req and @rsp.
 */
static uint32_t answer(SnpFw *fw, SnpFwGuest *g, uint8_t *page,
                       uint8_t req[FW_MSG_MAX],
                       uint8_t rsp[sizeof(FwReportRsp)])
{
    FwMsgHeader h;
    uint8_t iv[GCM_IV_LEN];
    const uint8_t *key;
    const FwMsgKind *kind;
    uint32_t status;

    memcpy(&h, page, sizeof(h));
    status = check_header(fw, g, &h);
    if (status) {
        return status;
    }
    key = g->vmpck[h.vmpck];
    make_iv(&h, iv);
    /* [FW-MSG-AUTH] */
    if (!gcm_open(key, iv, page + FW_MSG_AAD, FW_MSG_AAD_LEN,
                  page + sizeof(h), fw_get(h.size, 2), req, h.authtag)) {
        return FW_BAD_MEASUREMENT;
    }
    /* [FW-MSG-TYPE] a message that there is, of its version and size */
    kind = find_kind(fw, &h);
    if (!kind || fw_get(h.size, 2) != kind->req) {
        return FW_INVALID_PARAM;
    }
    /* [FW-CRYPTO] whatever fails, the guest may ask again */
    if (!kind->run(fw, g, h.vmpck, req, rsp)) {
        return FW_HWERROR_PLATFORM;
    }

    memset(page, 0, RMP_PAGE_SIZE);
    memset(h.authtag, 0, sizeof(h.authtag));
    memset(h.rsvd_28, 0, sizeof(h.rsvd_28));
    memset(h.rsvd_38, 0, sizeof(h.rsvd_38));
    memset(h.rsvd_3d, 0, sizeof(h.rsvd_3d));
    fw_put(h.seqno, 8, g->msg_count[h.vmpck] + 2);
    fw_put(h.size, 2, kind->rsp);
    h.type = kind->type + 1;
    memcpy(page, &h, sizeof(h));
    make_iv(&h, iv);
    if (!gcm_seal(key, iv, page + FW_MSG_AAD, FW_MSG_AAD_LEN, rsp, kind->rsp,
                  page + sizeof(h), page)) {
        return FW_HWERROR_PLATFORM;
    }
    g->msg_count[h.vmpck] += 2;
    return FW_SUCCESS;
}

uint32_t fw_snp_guest_request(SnpFw *fw, FwBuf *c)
{
    uint64_t from = fw_get_addr(c->b + 8), to = fw_get_addr(c->b + 16);
    uint8_t page[RMP_PAGE_SIZE];
    uint8_t req[FW_MSG_MAX], rsp[sizeof(FwReportRsp)] = { 0 };
    uint32_t status;

    /* [FW-REQUEST-ADDRESS] */
    if (!fw_page_aligned(from) || !fw_page_aligned(to) ||
        !fw->port.read(fw->port.opaque, from, page, sizeof(page))) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-REQUEST-RESPONSE] */
    status = fw_check_output(fw, to, RMP_PAGE_SIZE);
    if (status) {
        return status;
    }
    status = answer(fw, c->g, page, req, rsp);
    explicit_bzero(req, sizeof(req));
    explicit_bzero(rsp, sizeof(rsp));
    if (!status) {
        fw->port.write(fw->port.opaque, to, page, sizeof(page));
    }
    return status;
}
