/*
 * Secure processor firmware: the VLEK
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SNP_VLEK_LOAD: a signing key that is not of the chip. It comes wrapped by a
 * key of the chip's own, in a hashstick: IV, 384 bytes of AES-256-GCM, the TCB
 * version that it is for, the tag of both. What the 384 bytes are, how the
 * wrapping key is derived and that the tag is of these eight bytes of TCB
 * version is not public, and ours: a private key of P-384 as PEM, zeros behind
 * it. lab/chip.py makes them. Real hashsticks are chains of hashes, from which
 * the keys of lower TCB versions follow; ours is the key of the one version.
 */
#include "fw_msg.h"

#define VLEK_LOAD_LEN     16u

static P384Key *load(const uint8_t text[FW_VLEK_LEN])
{
    size_t len = strnlen((const char *)text, FW_VLEK_LEN);

    /* what is behind it counts in keys that are derived: nothing */
    return fw_all_zero(text + len, FW_VLEK_LEN - len) ? p384_load(text, len)
                                                      : NULL;
}

/* False: not what was wrapped for this chip */
static bool unwrap(const SnpFw *fw, const FwHashstick *h,
                   uint8_t out[FW_VLEK_LEN])
{
    uint8_t key[KDF_LEN];
    bool ok;

    kdf(fw->cfg.chip_secret, "VLEK wrapping key", fw->cfg.chip_id,
        sizeof(fw->cfg.chip_id), key);
    ok = gcm_open(key, h->iv, h->tcb, sizeof(h->tcb), h->wrapped,
                  sizeof(h->wrapped), out, h->tag);
    explicit_bzero(key, sizeof(key));
    return ok;
}

/* @text is left with the key */
static uint32_t take(SnpFw *fw, const FwHashstick *h,
                     uint8_t text[FW_VLEK_LEN])
{
    P384Key *key;

    /* [FW-VLEK-AUTH] without a secret nothing is meant for this chip */
    if (!fw->cfg.nvceks || !unwrap(fw, h, text)) {
        return FW_BAD_MEASUREMENT;
    }
    /* [FW-VLEK-TCB] */
    if (fw_get(h->tcb, 8) != fw_reported_tcb(fw)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-VLEK-KEY] */
    key = load(text);
    if (!key) {
        return FW_INVALID_KEY;
    }
    p384_free(key);
    memcpy(fw->vlek, text, FW_VLEK_LEN);
    fw->vlek_loaded = true;
    return FW_SUCCESS;
}

uint32_t fw_snp_vlek_load(SnpFw *fw, FwBuf *c)
{
    uint8_t text[FW_VLEK_LEN];
    FwHashstick h;
    uint32_t status;

    /* [FW-VLEK-LEN] */
    if (fw_get(c->b, 4) != VLEK_LOAD_LEN) {
        return FW_INVALID_LEN;
    }
    /* [FW-VLEK-VERSION] */
    if (fw_get(c->b + 4, 4)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-VLEK-ADDRESS] */
    if (!fw_read(fw, fw_get_addr(c->b + 8), &h, sizeof(h))) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-VLEK-RSVD] */
    if (!fw_all_zero(h.rsvd_c, sizeof(h.rsvd_c)) ||
        !fw_all_zero(h.rsvd_198, sizeof(h.rsvd_198))) {
        return FW_INVALID_PARAM;
    }
    status = take(fw, &h, text);
    explicit_bzero(text, sizeof(text));
    return status;
}

void fw_vlek_delete(SnpFw *fw)
{
    explicit_bzero(fw->vlek, sizeof(fw->vlek));
    fw->vlek_loaded = false;
}

P384Key *fw_vlek_key(const SnpFw *fw)
{
    return load(fw->vlek);
}

void fw_vlek_root(const SnpFw *fw, uint8_t root[KDF_LEN])
{
    uint8_t digest[SHA384_LEN];

    sha384(fw->vlek, sizeof(fw->vlek), digest);
    memcpy(root, digest, KDF_LEN);
    explicit_bzero(digest, sizeof(digest));
}
