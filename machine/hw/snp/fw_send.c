/*
 * Secure processor firmware: SEV guests that go to another platform
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SEND_START makes a session with the platform whose certificates it is given,
 * as an owner would at LAUNCH_START, with new keys: from then on they are the
 * guest's. RECEIVE_START, over there, is given the sender's certificate and
 * that session. Whether the host that sends runs the guest on is its affair.
 *
 * Nothing here has a root key of AMD's, so that nobody can show that a target
 * is a SEV platform. Certificates of AMD's are not read: a guest whose owner
 * asks for that stays.
 *
 * SEV API (55766).
 */
#include "fw_msg.h"

#define POLICY_NOSEND     (1u << 3)
#define POLICY_DOMAIN     (1u << 4)
#define POLICY_SEV        (1u << 5)

/* A target's, as PDH_CERT_EXPORT gives them */
typedef struct Target {
    FwCert pdh, pek, oca, cek;
} Target;

#define CHAIN_LEN         (sizeof(Target) - offsetof(Target, pek))

static bool well_formed(const Target *t, P384Point *pdh)
{
    P384Point pub;

    return fw_cert_point(&t->pdh, FW_USAGE_PDH, FW_ALGO_ECDH_256, pdh) &&
           fw_cert_point(&t->pek, FW_USAGE_PEK, FW_ALGO_ECDSA_256, &pub) &&
           fw_cert_is_oca(&t->oca, &pub) &&
           fw_cert_point(&t->cek, FW_USAGE_CEK, FW_ALGO_ECDSA_256, &pub) &&
           p384_valid(pdh);
}

static bool vouched_for(const Target *t)
{
    P384Sig sig;

    return fw_cert_signed(&t->oca, &t->oca, &sig) &&
           fw_cert_signed(&t->pek, &t->oca, &sig) &&
           fw_cert_signed(&t->pek, &t->cek, &sig) &&
           fw_cert_signed(&t->pdh, &t->pek, &sig);
}

/* A platform that has no keys yet has zeros there, which are nobody's */
static bool same_owner(const SnpFw *fw, const FwCert *oca)
{
    FwCert own;

    memcpy(&own, fw->identity.oca, sizeof(own));
    return !memcmp(&own.key, &oca->key, sizeof(own.key));
}

uint32_t fw_sev_send_start(SnpFw *fw, FwBuf *c)
{
    static const FwOut out = { 0x38, 0x40, sizeof(FwSession) };
    SevFwGuest *g = c->sev;
    uint8_t z[P384_LEN];
    P384Point point;
    FwSession s;
    Target t;
    /* [FW-SEND-SESSION-LEN] */
    uint32_t status = fw_out_check(fw, c, &out, 1);

    if (status) {
        return status;
    }
    /* [FW-SEND-POLICY] */
    if (g->policy & (POLICY_NOSEND | POLICY_SEV)) {
        return FW_POLICY_FAILURE;
    }
    /* [FW-SEND-CERT-LEN] */
    if (fw_get(c->b + 0x10, 4) != sizeof(t.pdh) ||
        fw_get(c->b + 0x20, 4) != CHAIN_LEN) {
        return FW_INVALID_LEN;
    }
    /* [FW-SEND-CERT-ADDRESS] */
    if (!fw_read(fw, fw_get_addr(c->b + 8), &t.pdh, sizeof(t.pdh)) ||
        !fw_read(fw, fw_get_addr(c->b + 0x18), &t.pek, CHAIN_LEN)) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-SEND-CERT] */
    if (!well_formed(&t, &point)) {
        return FW_INVALID_CERTIFICATE;
    }
    /* [FW-SEND-SIGNATURE] */
    if (!vouched_for(&t)) {
        return FW_BAD_SIGNATURE;
    }
    /* [FW-SEND-DOMAIN] */
    if ((g->policy & POLICY_DOMAIN) && !same_owner(fw, &t.oca)) {
        return FW_POLICY_FAILURE;
    }
    if (!fw_identity_make(fw) ||
        !p384_shared(&fw->identity.pdh, &point, z)) {
        return FW_HWERROR_PLATFORM;
    }

    /* [FW-SEND-KEYS] not those of the launch, which the owner knows */
    fw->port.random(fw->port.opaque, &g->keys, sizeof(g->keys));
    fw->port.random(fw->port.opaque, s.nonce, sizeof(s.nonce));
    fw->port.random(fw->port.opaque, s.wrap_iv, sizeof(s.wrap_iv));
    fw_session_wrap(z, g->policy, &g->keys, &s);
    explicit_bzero(z, sizeof(z));
    g->state = SEV_GUEST_SUPDATE;
    fw_put(c->b + 4, 4, g->policy);
    fw_out_write(fw, c, &out, &s);
    return FW_SUCCESS;
}

uint32_t fw_sev_send_finish(SnpFw *fw, FwBuf *c)
{
    (void)fw;
    c->sev->state = SEV_GUEST_SENT;
    return FW_SUCCESS;
}

uint32_t fw_sev_send_cancel(SnpFw *fw, FwBuf *c)
{
    (void)fw;
    c->sev->state = SEV_GUEST_RUNNING;
    return FW_SUCCESS;
}

uint32_t fw_sev_receive_finish(SnpFw *fw, FwBuf *c)
{
    (void)fw;
    c->sev->state = SEV_GUEST_RUNNING;
    return FW_SUCCESS;
}
