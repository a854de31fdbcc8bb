/*
 * Secure processor firmware: what a SEV guest's owner does from afar
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A session begins with LAUNCH_START: from the owner's half of a Diffie-Hellman
 * exchange and the PDH come keys that open two more, the owner's, for transport
 * (TEK) and integrity (TIK). With these LAUNCH_MEASURE answers, and packets are
 * read (fw_packet.c). A platform that sends a guest is an owner to the one that
 * receives it. ATTESTATION_REPORT is signed by the PEK, for whoever asks.
 *
 * SEV API (55766).
 */
#include "fw_msg.h"

#define MASTER_LEN        16u

/* SP 800-108 in counter mode; here its numbers are little-endian. */
static void derive(const uint8_t *root, size_t root_len, const char *label,
                   const uint8_t *context, size_t len,
                   uint8_t out[MASTER_LEN])
{
    uint8_t msg[64], block[SHA256_LEN];
    size_t n = strlen(label) + 1;

    fw_put(msg, 4, 1);
    memcpy(msg + 4, label, n);
    n += 4;
    if (len) {
        memcpy(msg + n, context, len);
        n += len;
    }
    fw_put(msg + n, 4, 8 * MASTER_LEN);
    hmac_sha256(root, root_len, msg, n + 4, block);
    memcpy(out, block, MASTER_LEN);
    explicit_bzero(block, sizeof(block));
}

void fw_session_keys(const uint8_t *z, size_t len, const uint8_t nonce[16],
                     uint8_t kek[16], uint8_t kik[16])
{
    uint8_t master[MASTER_LEN];

    derive(z, len, "sev-master-secret", nonce, 16, master);
    derive(master, sizeof(master), "sev-kek", NULL, 0, kek);
    derive(master, sizeof(master), "sev-kik", NULL, 0, kik);
    explicit_bzero(master, sizeof(master));
}

static void policy_mac(const uint8_t tik[16], uint32_t policy,
                       uint8_t mac[SHA256_LEN])
{
    uint8_t text[4];

    fw_put(text, 4, policy);
    hmac_sha256(tik, 16, text, sizeof(text), mac);
}

static bool open_session(const FwSession *s, const uint8_t z[P384_LEN],
                         uint32_t policy, SevKeys *out)
{
    uint8_t kek[16], kik[16], mac[SHA256_LEN];
    SevKeys keys;
    bool ok;

    fw_session_keys(z, P384_LEN, s->nonce, kek, kik);
    hmac_sha256(kik, sizeof(kik), s->wrap_tk, sizeof(s->wrap_tk), mac);
    ok = !memcmp(mac, s->wrap_mac, sizeof(mac));
    memcpy(&keys, s->wrap_tk, sizeof(keys));
    aes128_ctr(kek, s->wrap_iv, (uint8_t *)&keys, sizeof(keys));
    /* the owner's policy, and no other */
    policy_mac(keys.tik, policy, mac);
    ok = ok && !memcmp(mac, s->policy_mac, sizeof(mac));
    if (ok && out) {
        memcpy(out, &keys, sizeof(keys));
    }
    explicit_bzero(&keys, sizeof(keys));
    explicit_bzero(kek, sizeof(kek));
    explicit_bzero(kik, sizeof(kik));
    return ok;
}

void fw_session_wrap(const uint8_t z[P384_LEN], uint32_t policy,
                     const SevKeys *keys, FwSession *s)
{
    uint8_t kek[16], kik[16];

    fw_session_keys(z, P384_LEN, s->nonce, kek, kik);
    memcpy(s->wrap_tk, keys, sizeof(s->wrap_tk));
    aes128_ctr(kek, s->wrap_iv, s->wrap_tk, sizeof(s->wrap_tk));
    hmac_sha256(kik, sizeof(kik), s->wrap_tk, sizeof(s->wrap_tk),
                s->wrap_mac);
    policy_mac(keys->tik, policy, s->policy_mac);
    explicit_bzero(kek, sizeof(kek));
    explicit_bzero(kik, sizeof(kik));
}

uint32_t fw_sev_session(SnpFw *fw, const FwBuf *c, uint32_t policy,
                        SevKeys *keys)
{
    uint8_t z[P384_LEN];
    P384Point point;
    FwSession s;
    FwCert dh;
    bool ok;

    /* [FW-SESSION-LEN] */
    if (fw_get(c->b + 0x10, 4) != sizeof(dh) ||
        fw_get(c->b + 0x20, 4) != sizeof(s)) {
        return FW_INVALID_LEN;
    }
    /* [FW-SESSION-ADDRESS] */
    if (!fw_read(fw, fw_get_addr(c->b + 8), &dh, sizeof(dh)) ||
        !fw_read(fw, fw_get_addr(c->b + 0x18), &s, sizeof(s))) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-SESSION-CERT] owners sign theirs for nobody */
    if (!fw_cert_point(&dh, FW_USAGE_PDH, FW_ALGO_ECDH_256, &point)) {
        return FW_INVALID_CERTIFICATE;
    }
    /* a platform without a PDH never had one that an owner could know */
    ok = fw->identity.made;
    if (ok && !p384_shared(&fw->identity.pdh, &point, z)) {
        return FW_INVALID_CERTIFICATE;
    }
    /* [FW-SESSION-MAC] */
    ok = ok && open_session(&s, z, policy, keys);
    explicit_bzero(z, sizeof(z));
    return ok ? FW_SUCCESS : FW_BAD_MEASUREMENT;
}

uint32_t fw_sev_attestation_report(SnpFw *fw, FwBuf *c)
{
    static const FwOut out = { 8, 0x20, sizeof(FwSevReport) };
    FwSevReport r;
    P384Sig sig;
    /* [FW-ATTESTATION-LEN] */
    uint32_t status = fw_out_check(fw, c, &out, 1);

    if (status) {
        return status;
    }
    memset(&r, 0, sizeof(r));
    memcpy(r.nonce, c->b + 0x10, sizeof(r.nonce));
    sha256_final(&c->sev->digest, r.digest);
    fw_put(r.policy, 4, c->sev->policy);
    /* [FW-ATTESTATION-SIGNATURE] */
    if (!fw_pek_sign(fw, &r, offsetof(FwSevReport, usage), &sig)) {
        return FW_HWERROR_PLATFORM;
    }
    fw_put(r.usage, 4, FW_USAGE_PEK);
    fw_put(r.algo, 4, FW_ALGO_ECDSA_256);
    memcpy(r.r, sig.r, sizeof(sig.r));
    memcpy(r.s, sig.s, sizeof(sig.s));
    fw_out_write(fw, c, &out, &r);
    return FW_SUCCESS;
}
