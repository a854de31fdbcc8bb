/*
 * Secure processor firmware: SEV and SEV-ES
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Once SNP is initialised every page written to is Firmware.
 */
#include "fw_int.h"

#define INIT_ES           (1u << 0)
#define TMR_LEN           0x100000u
#define TMR_LEN_SNP       0x200000u

/* PLATFORM_STATUS */
#define STATUS_OWNED      (1u << 0)     /* by somebody outside */
#define STATUS_ES         (1u << 8)

#define SEV_POLICY_RSVD   0xffc0u

uint32_t fw_sev_check_init(SnpFw *fw, uint32_t flags, uint64_t tmr,
                           uint32_t len)
{
    uint32_t need = fw->snp_inited ? TMR_LEN_SNP : TMR_LEN;

    /* [FW-SEV-INIT-RSVD] */
    if ((flags & ~INIT_ES) && !fw_loose(fw, FW_SEV_INIT_RSVD)) {
        return FW_INVALID_PARAM;
    }
    if (!(flags & INIT_ES)) {
        return FW_SUCCESS;
    }
    /* [FW-SEV-INIT-TMR] */
    if (len < need) {
        return FW_INVALID_LEN;
    }
    if (tmr & (need - 1)) {
        return FW_INVALID_ADDRESS;
    }
    return fw_check_output(fw, tmr, len);
}

void fw_sev_start(SnpFw *fw, uint32_t flags, uint64_t tmr, uint32_t len)
{
    if (flags & INIT_ES) {
        fw->tmr.base = tmr;
        fw->tmr.npages = (len + RMP_PAGE_SIZE - 1) / RMP_PAGE_SIZE;
    }
    fw->sev_es = flags & INIT_ES;
    fw->sev_state = SEV_INITED;
}

uint32_t fw_sev_init(SnpFw *fw, FwBuf *c)
{
    uint32_t flags = fw_get(c->b, 4);
    uint64_t tmr = fw_get_addr(c->b + 8);
    uint32_t len = fw_get(c->b + 0x10, 4);
    uint32_t status;

    /* as the flags' */
    if (fw_get(c->b + 4, 4) && !fw_loose(fw, FW_SEV_INIT_RSVD)) {
        return FW_INVALID_PARAM;
    }
    status = fw_sev_check_init(fw, flags, tmr, len);
    if (!status) {
        fw_sev_start(fw, flags, tmr, len);
    }
    return status;
}

uint32_t fw_sev_shutdown(SnpFw *fw, FwBuf *c)
{
    (void)c;
    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        fw_asid_release(fw, fw->sev_guests[i].asid);
    }
    memset(fw->sev_guests, 0, sizeof(fw->sev_guests));
    fw->tmr.npages = 0;
    fw->sev_es = false;
    fw->sev_state = SEV_UNINIT;
    return FW_SUCCESS;
}

static uint32_t guest_count(const SnpFw *fw)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        n += fw->sev_guests[i].used;
    }
    return n;
}

uint32_t fw_sev_platform_status(SnpFw *fw, FwBuf *c)
{
    c->b[0] = fw->cfg.api_major;
    c->b[1] = fw->cfg.api_minor;
    c->b[2] = fw->sev_state;
    fw_put(c->b + 3, 4, (fw->identity.owned ? STATUS_OWNED : 0) |
                        (fw->sev_es ? STATUS_ES : 0));
    c->b[7] = fw->cfg.build;
    fw_put(c->b + 8, 4, guest_count(fw));
    c->dirty = true;
    return FW_SUCCESS;
}

uint32_t fw_sev_get_id(SnpFw *fw, FwBuf *c)
{
    static const FwOut out = { 0, 8, sizeof(fw->cfg.chip_id) };
    /* [FW-GET-ID-LEN] */
    uint32_t status = fw_out_check(fw, c, &out, 1);

    if (!status) {
        fw_out_write(fw, c, &out, fw->cfg.chip_id);
    }
    return status;
}

/* [FW-SEV-HANDLE] every command that takes one begins its buffer with it */
SevFwGuest *fw_sev_find_guest(SnpFw *fw, const FwBuf *c)
{
    uint32_t handle = fw_get(c->b, 4);

    if (!handle || handle > FW_MAX_GUESTS ||
        !fw->sev_guests[handle - 1].used) {
        return NULL;
    }
    return &fw->sev_guests[handle - 1];
}

/* NULL: there are too many */
static SevFwGuest *free_guest(SnpFw *fw)
{
    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        if (!fw->sev_guests[i].used) {
            return &fw->sev_guests[i];
        }
    }
    return NULL;
}

/* A guest begins: with a session's keys, or with nobody's */
static uint32_t start(SnpFw *fw, FwBuf *c, bool session, SevGuestState state)
{
    uint32_t policy = fw_get(c->b + 4, 4);
    unsigned major = policy >> 16 & 0xff, minor = policy >> 24;
    SevFwGuest *g = free_guest(fw);
    uint32_t status;

    /* [FW-SEV-START-SHARED] keys of another guest: not implemented */
    if (fw_get(c->b, 4)) {
        return fw_sev_find_guest(fw, c) ? FW_UNSUPPORTED : FW_INVALID_GUEST;
    }
    /* [FW-SEV-POLICY] */
    if ((policy & SEV_POLICY_RSVD) ||
        major > fw->cfg.api_major ||
        (major == fw->cfg.api_major && minor > fw->cfg.api_minor) ||
        ((policy & FW_SEV_POLICY_ES) && !fw->sev_es)) {
        return FW_POLICY_FAILURE;
    }
    if (session) {
        status = fw_sev_session(fw, c, policy, g ? &g->keys : NULL);
        if (status) {
            return status;
        }
    }
    /* [FW-GUEST-LIMIT] */
    if (!g) {
        return FW_RESOURCE_LIMIT;
    }
    if (!session) {
        /* [FW-SEV-SESSION] nobody's */
        fw->port.random(fw->port.opaque, g->keys.tik, sizeof(g->keys.tik));
        fw->port.random(fw->port.opaque, g->keys.tek, sizeof(g->keys.tek));
    }
    fw->port.random(fw->port.opaque, g->vek, sizeof(g->vek));
    g->used = true;
    g->state = state;
    g->policy = policy;
    sha256_init(&g->digest);
    fw_put(c->b, 4, g - fw->sev_guests + 1);
    c->dirty = true;
    fw->sev_state = SEV_WORKING;
    return FW_SUCCESS;
}

uint32_t fw_sev_launch_start(SnpFw *fw, FwBuf *c)
{
    return start(fw, c, !fw_all_zero(c->b + 8, 12) ||
                        !fw_all_zero(c->b + 0x18, 12), SEV_GUEST_LUPDATE);
}

/* The same buffer, filled by the platform that sends the guest */
uint32_t fw_sev_receive_start(SnpFw *fw, FwBuf *c)
{
    return start(fw, c, true, SEV_GUEST_RUPDATE);
}

uint32_t fw_sev_activate(SnpFw *fw, FwBuf *c)
{
    uint32_t asid = fw_get(c->b + 4, 4);
    uint32_t status = fw_asid_check(fw, asid,
                                    c->sev->policy & FW_SEV_POLICY_ES
                                    ? FW_KIND_SEV_ES : FW_KIND_SEV);

    if (!status) {
        c->sev->asid = asid;
        fw->port.load_key(fw->port.opaque, asid, c->sev->vek);
    }
    return status;
}

uint32_t fw_sev_deactivate(SnpFw *fw, FwBuf *c)
{
    /* the same key: the guest claims no memory any more, nothing changes */
    fw->port.load_key(fw->port.opaque, c->sev->asid, c->sev->vek);
    fw_asid_release(fw, c->sev->asid);
    c->sev->asid = 0;
    return FW_SUCCESS;
}

uint32_t fw_sev_decommission(SnpFw *fw, FwBuf *c)
{
    memset(c->sev, 0, sizeof(*c->sev));
    if (!guest_count(fw)) {
        fw->sev_state = SEV_INITED;
    }
    return FW_SUCCESS;
}

uint32_t fw_sev_guest_status(SnpFw *fw, FwBuf *c)
{
    (void)fw;
    fw_put(c->b + 4, 4, c->sev->policy);
    fw_put(c->b + 8, 4, c->sev->asid);
    c->b[12] = c->sev->state;
    c->dirty = true;
    return FW_SUCCESS;
}

static uint32_t update(SnpFw *fw, FwBuf *c, bool vmsa)
{
    SevFwGuest *g = c->sev;
    uint64_t spa = fw_get_addr(c->b + 8);
    uint32_t len = fw_get(c->b + 0x10, 4);
    uint8_t page[RMP_PAGE_SIZE];
    uint32_t status;

    /* [FW-SEV-UPDATE-VMSA] only an ES guest has one */
    if (vmsa && !(g->policy & FW_SEV_POLICY_ES)) {
        return FW_UNSUPPORTED;
    }
    /* [FW-SEV-UPDATE-LEN] */
    if (!len || len % 16 || (vmsa && len != RMP_PAGE_SIZE)) {
        return FW_INVALID_LEN;
    }
    /* [FW-SEV-UPDATE-ADDRESS] */
    if (spa % 16 || (vmsa && !fw_page_aligned(spa))) {
        return FW_INVALID_ADDRESS;
    }
    status = fw_check_output(fw, spa, len);
    if (status) {
        return status;
    }

    fw->sev_measured += len;
    while (len) {
        uint32_t n = fw_piece(spa, len);

        fw->port.read(fw->port.opaque, spa, page, n);
        sha256_add(&g->digest, page, n);
        /* [FW-SEV-CIPHER] in place */
        fw_guest_write(fw, g->asid, spa, page, n);
        spa += n;
        len -= n;
    }
    return FW_SUCCESS;
}

uint32_t fw_sev_launch_update_data(SnpFw *fw, FwBuf *c)
{
    return update(fw, c, false);
}

uint32_t fw_sev_launch_update_vmsa(SnpFw *fw, FwBuf *c)
{
    return update(fw, c, true);
}

/* [FW-SEV-MEASURE] keyed with the guest's TIK */
static void measure(SnpFw *fw, const SevFwGuest *g, uint8_t *out)
{
    uint8_t msg[8 + SHA256_LEN + 16];
    uint8_t *nonce = out + SHA256_LEN;

    fw->port.random(fw->port.opaque, nonce, 16);
    msg[0] = 0x04;
    msg[1] = fw->cfg.api_major;
    msg[2] = fw->cfg.api_minor;
    msg[3] = fw->cfg.build;
    fw_put(msg + 4, 4, g->policy);
    sha256_final(&g->digest, msg + 8);
    memcpy(msg + 8 + SHA256_LEN, nonce, 16);
    hmac_sha256(g->keys.tik, sizeof(g->keys.tik), msg, sizeof(msg), out);
}

uint32_t fw_sev_launch_measure(SnpFw *fw, FwBuf *c)
{
    SevFwGuest *g = c->sev;
    static const FwOut out = { 8, 0x10, FW_MEASURE_LEN };
    uint8_t answer[FW_MEASURE_LEN];
    /* [FW-SEV-MEASURE-LEN] */
    uint32_t status = fw_out_check(fw, c, &out, 1);

    if (status) {
        return status;
    }
    measure(fw, g, answer);
    memcpy(g->measure, answer, sizeof(g->measure));
    fw_out_write(fw, c, &out, answer);
    fw->sev_launched++;
    sha256_final(&g->digest, fw->sev_digest);
    g->state = SEV_GUEST_LSECRET;
    return FW_SUCCESS;
}

uint32_t fw_sev_launch_finish(SnpFw *fw, FwBuf *c)
{
    (void)fw;
    c->sev->state = SEV_GUEST_RUNNING;
    return FW_SUCCESS;
}
