/*
 * Secure processor firmware: the keys of SEV's platform and of its owner
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The chip's key (CEK) and the owner's (OCA) vouch for the platform's (PEK),
 * and that for the one guests' owners talk to (PDH). A platform that nobody
 * owns makes up an owner. All but the CEK lie in the secure processor's flash:
 * they stay over SHUTDOWN and reset, and come into being with the first
 * command that wants them. The CEK follows from the chip's secret; AMD would
 * sign it, and hands the signature out elsewhere.
 *
 * Certificates are those of SEV API (55766), appendix C.
 */
#include "fw_msg.h"

#define CHAIN_LEN         (3 * sizeof(FwCert))      /* PEK, OCA, CEK */

_Static_assert(sizeof(FwCert) == FW_CERT_LEN, "fw.h knows its size");

static void random_pair(SnpFw *fw, P384Pair *out)
{
    uint8_t seed[P384_RANDOM_LEN];

    /* [FW-IDENTITY-RANDOM] */
    fw->port.random_kept(fw->port.opaque, seed, sizeof(seed));
    p384_make(seed, out);
    explicit_bzero(seed, sizeof(seed));
}

/* Two blocks of a key that is derived are enough for one of these. */
static void chip_pair(const SnpFw *fw, P384Pair *out)
{
    uint8_t seed[2 * KDF_LEN];

    kdf(fw->cfg.chip_secret, "CEK 1", fw->cfg.chip_id,
        sizeof(fw->cfg.chip_id), seed);
    kdf(fw->cfg.chip_secret, "CEK 2", fw->cfg.chip_id,
        sizeof(fw->cfg.chip_id), seed + KDF_LEN);
    p384_make(seed, out);
    explicit_bzero(seed, sizeof(seed));
}

static void body(const SnpFwIdentity *id, uint32_t usage, uint32_t algo,
                 const P384Point *pub, FwCert *c)
{
    memset(c, 0, sizeof(*c));
    fw_put(c->version, 4, FW_CERT_VERSION);
    c->major = id->major;
    c->minor = id->minor;
    fw_put(c->usage, 4, usage);
    fw_put(c->algo, 4, algo);
    fw_put(c->key.curve, 4, FW_CURVE_P384);
    memcpy(c->key.x, pub->x, sizeof(pub->x));
    memcpy(c->key.y, pub->y, sizeof(pub->y));
    for (unsigned i = 0; i < 2; i++) {
        fw_put(c->sig[i].usage, 4, FW_USAGE_NONE);
        fw_put(c->sig[i].algo, 4, FW_ALGO_NONE);
    }
}

static void put_sig(FwCert *c, unsigned i, uint32_t usage, uint32_t algo,
                    const P384Sig *sig)
{
    fw_put(c->sig[i].usage, 4, usage);
    fw_put(c->sig[i].algo, 4, algo);
    memcpy(c->sig[i].sig.r, sig->r, sizeof(sig->r));
    memcpy(c->sig[i].sig.s, sig->s, sizeof(sig->s));
}

static bool sign(FwCert *c, unsigned i, uint32_t usage, const P384Pair *key)
{
    P384Sig sig;
    bool ok = p384_sign_256(key, c, FW_CERT_BODY, &sig);

    if (ok) {
        put_sig(c, i, usage, FW_ALGO_ECDSA_256, &sig);
    }
    return ok;
}

/* A new PEK, an owner made up for it, a new PDH. False: the library failed */
static bool new_platform(SnpFw *fw, SnpFwIdentity *id)
{
    P384Pair owner;
    FwCert oca, pek;
    bool ok;

    id->owned = false;
    id->major = fw->cfg.api_major;
    id->minor = fw->cfg.api_minor;
    random_pair(fw, &owner);
    random_pair(fw, &id->pek);
    random_pair(fw, &id->pdh);
    body(id, FW_USAGE_OCA, FW_ALGO_ECDSA_256, &owner.pub, &oca);
    body(id, FW_USAGE_PEK, FW_ALGO_ECDSA_256, &id->pek.pub, &pek);
    ok = sign(&oca, 0, FW_USAGE_OCA, &owner) &&
         p384_sign_256(&owner, &pek, FW_CERT_BODY, &id->pek_by_oca);
    memcpy(id->oca, &oca, sizeof(id->oca));
    id->oca_algo = FW_ALGO_ECDSA_256;
    id->made = true;
    explicit_bzero(&owner, sizeof(owner));
    return ok;
}

bool fw_identity_make(SnpFw *fw)
{
    SnpFwIdentity id = fw->identity;
    bool ok = true;

    if (!id.made) {
        if (fw->cfg.nvceks) {
            chip_pair(fw, &id.cek);
        } else if (!id.has_cek) {
            random_pair(fw, &id.cek);
        }
        id.has_cek = true;
        ok = new_platform(fw, &id);
        if (ok) {
            fw->identity = id;
        }
    }
    explicit_bzero(&id, sizeof(id));
    return ok;
}

bool fw_pek_sign(SnpFw *fw, const void *msg, size_t len, P384Sig *out)
{
    return fw_identity_make(fw) &&
           p384_sign_256(&fw->identity.pek, msg, len, out);
}

uint32_t fw_sev_factory_reset(SnpFw *fw, FwBuf *c)
{
    SnpFwIdentity *id = &fw->identity;
    P384Pair cek = id->cek;
    bool has_cek = id->has_cek;

    (void)c;
    explicit_bzero(id, sizeof(*id));
    /* [FW-FACTORY-RESET-CEK] it is the chip's, and the chip is the same */
    id->cek = cek;
    id->has_cek = has_cek;
    explicit_bzero(&cek, sizeof(cek));
    return FW_SUCCESS;
}

uint32_t fw_sev_pek_gen(SnpFw *fw, FwBuf *c)
{
    SnpFwIdentity id;
    bool ok;

    (void)c;
    /* [FW-PEK-GEN] nobody owns the platform then */
    if (!fw_identity_make(fw)) {
        return FW_HWERROR_PLATFORM;
    }
    id = fw->identity;
    ok = new_platform(fw, &id);
    if (ok) {
        fw->identity = id;
    }
    explicit_bzero(&id, sizeof(id));
    return ok ? FW_SUCCESS : FW_HWERROR_PLATFORM;
}

uint32_t fw_sev_pdh_gen(SnpFw *fw, FwBuf *c)
{
    (void)c;
    if (!fw_identity_make(fw)) {
        return FW_HWERROR_PLATFORM;
    }
    random_pair(fw, &fw->identity.pdh);
    return FW_SUCCESS;
}

uint32_t fw_sev_pek_csr(SnpFw *fw, FwBuf *c)
{
    static const FwOut out = { 0, 8, sizeof(FwCert) };
    FwCert csr;
    /* [FW-PEK-CSR-LEN] */
    uint32_t status = fw_out_check(fw, c, &out, 1);

    if (status) {
        return status;
    }
    if (!fw_identity_make(fw)) {
        return FW_HWERROR_PLATFORM;
    }
    body(&fw->identity, FW_USAGE_PEK, FW_ALGO_ECDSA_256, &fw->identity.pek.pub,
         &csr);
    fw_out_write(fw, c, &out, &csr);
    return FW_SUCCESS;
}

/* [FW-PDH-EXPORT-CHAIN] */
static bool chain(const SnpFwIdentity *id, FwCert *pdh, FwCert list[3])
{
    body(id, FW_USAGE_PDH, FW_ALGO_ECDH_256, &id->pdh.pub, pdh);
    body(id, FW_USAGE_PEK, FW_ALGO_ECDSA_256, &id->pek.pub, &list[0]);
    put_sig(&list[0], 0, FW_USAGE_OCA, id->oca_algo, &id->pek_by_oca);
    memcpy(&list[1], id->oca, sizeof(list[1]));
    body(id, FW_USAGE_CEK, FW_ALGO_ECDSA_256, &id->cek.pub, &list[2]);
    return sign(pdh, 0, FW_USAGE_PEK, &id->pek) &&
           sign(&list[0], 1, FW_USAGE_CEK, &id->cek);
}

uint32_t fw_sev_pdh_cert_export(SnpFw *fw, FwBuf *c)
{
    static const FwOut out[2] = {
        { 0, 8, sizeof(FwCert) }, { 0x10, 0x18, CHAIN_LEN },
    };
    FwCert pdh, list[3];
    /* [FW-PDH-EXPORT-LEN] */
    uint32_t status = fw_out_check(fw, c, out, 2);

    if (status) {
        return status;
    }
    if (!fw_identity_make(fw) || !chain(&fw->identity, &pdh, list)) {
        return FW_HWERROR_PLATFORM;
    }
    fw_out_write(fw, c, &out[0], &pdh);
    fw_out_write(fw, c, &out[1], list);
    return FW_SUCCESS;
}

uint32_t fw_sev_pek_cert_import(SnpFw *fw, FwBuf *c)
{
    SnpFwIdentity *id = &fw->identity;
    FwCert pek, oca, csr;
    P384Sig by_oca, self;
    P384Point pub;

    /* [FW-PEK-IMPORT-OWNED] */
    if (id->owned) {
        return FW_ALREADY_OWNED;
    }
    /* [FW-PEK-IMPORT-RSVD] */
    if (fw_get(c->b + 0xc, 4)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-PEK-IMPORT-LEN] */
    if (fw_get(c->b + 8, 4) != sizeof(pek) ||
        fw_get(c->b + 0x18, 4) != sizeof(oca)) {
        return FW_INVALID_LEN;
    }
    /* [FW-PEK-IMPORT-ADDRESS] */
    if (!fw_read(fw, fw_get_addr(c->b), &pek, sizeof(pek)) ||
        !fw_read(fw, fw_get_addr(c->b + 0x10), &oca, sizeof(oca))) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-PEK-IMPORT-CERT] what is imported is what was to be signed */
    body(id, FW_USAGE_PEK, FW_ALGO_ECDSA_256, &id->pek.pub, &csr);
    if (!id->made || memcmp(&pek, &csr, FW_CERT_BODY) ||
        !fw_cert_is_oca(&oca, &pub)) {
        return FW_INVALID_CERTIFICATE;
    }
    /* [FW-PEK-IMPORT-SIGNATURE] */
    if (!fw_cert_signed(&oca, &oca, &self) ||
        !fw_cert_signed(&pek, &oca, &by_oca)) {
        return FW_BAD_SIGNATURE;
    }

    memcpy(id->oca, &oca, sizeof(id->oca));
    id->oca_algo = fw_get(oca.algo, 4);
    id->pek_by_oca = by_oca;
    id->owned = true;
    /* [FW-PEK-IMPORT-PDH] who spoke with the old platform begins anew */
    random_pair(fw, &id->pdh);
    return FW_SUCCESS;
}
