/*
 * Cryptography of the secure processor, by gnutls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include "hw/snp/crypto.h"

struct P384Key {
    gnutls_privkey_t priv;
};

static gnutls_datum_t datum(const void *p, size_t len)
{
    return (gnutls_datum_t){ (void *)p, len };
}

/* ---- AES-256-GCM ---- */

static bool gcm_begin(gnutls_aead_cipher_hd_t *h,
                      const uint8_t key[GCM_KEY_LEN])
{
    gnutls_datum_t k = datum(key, GCM_KEY_LEN);

    return gnutls_aead_cipher_init(h, GNUTLS_CIPHER_AES_256_GCM, &k) == 0;
}

bool gcm_seal(const uint8_t key[GCM_KEY_LEN], const uint8_t iv[GCM_IV_LEN],
              const void *aad, size_t aad_len, const void *in, size_t len,
              uint8_t *out, uint8_t tag[GCM_TAG_LEN])
{
    uint8_t buf[GCM_MAX_LEN + GCM_TAG_LEN];
    size_t n = sizeof(buf);
    gnutls_aead_cipher_hd_t h;
    int ret;

    if (len > GCM_MAX_LEN || !gcm_begin(&h, key)) {
        return false;
    }
    ret = gnutls_aead_cipher_encrypt(h, iv, GCM_IV_LEN, aad, aad_len,
                                     GCM_TAG_LEN, in, len, buf, &n);
    gnutls_aead_cipher_deinit(h);
    if (ret || n != len + GCM_TAG_LEN) {
        return false;
    }
    memcpy(out, buf, len);
    memcpy(tag, buf + len, GCM_TAG_LEN);
    return true;
}

bool gcm_open(const uint8_t key[GCM_KEY_LEN], const uint8_t iv[GCM_IV_LEN],
              const void *aad, size_t aad_len, const void *in, size_t len,
              uint8_t *out, const uint8_t tag[GCM_TAG_LEN])
{
    uint8_t sealed[GCM_MAX_LEN + GCM_TAG_LEN], buf[GCM_MAX_LEN];
    size_t n = sizeof(buf);
    gnutls_aead_cipher_hd_t h;
    int ret;

    if (len > GCM_MAX_LEN || !gcm_begin(&h, key)) {
        return false;
    }
    memcpy(sealed, in, len);
    memcpy(sealed + len, tag, GCM_TAG_LEN);
    ret = gnutls_aead_cipher_decrypt(h, iv, GCM_IV_LEN, aad, aad_len,
                                     GCM_TAG_LEN, sealed, len + GCM_TAG_LEN,
                                     buf, &n);
    gnutls_aead_cipher_deinit(h);
    if (!ret && n == len) {
        memcpy(out, buf, len);
    }
    /* keys come this way, too */
    explicit_bzero(buf, sizeof(buf));
    return !ret && n == len;
}

/* ---- ECDSA P-384 ---- */

/* The library's numbers are big-endian and of any length. */
static bool from_library(const gnutls_datum_t *d, uint8_t out[P384_LEN])
{
    size_t n = d->size;
    const uint8_t *p = d->data;

    while (n && !*p) {
        p++;
        n--;
    }
    if (n > P384_LEN) {
        return false;
    }
    memset(out, 0, P384_LEN);
    for (size_t i = 0; i < n; i++) {
        out[i] = p[n - 1 - i];
    }
    return true;
}

static gnutls_datum_t to_library(const uint8_t in[P384_LEN],
                                 uint8_t buf[P384_LEN])
{
    size_t skip = 0;

    for (size_t i = 0; i < P384_LEN; i++) {
        buf[i] = in[P384_LEN - 1 - i];
    }
    while (skip < P384_LEN - 1 && !buf[skip]) {
        skip++;
    }
    return datum(buf + skip, P384_LEN - skip);
}

bool p384_public(const P384Key *key, P384Point *out)
{
    gnutls_datum_t x = { 0 }, y = { 0 };
    gnutls_ecc_curve_t curve;
    bool ok;

    if (gnutls_privkey_export_ecc_raw(key->priv, &curve, &x, &y, NULL)) {
        return false;
    }
    ok = curve == GNUTLS_ECC_CURVE_SECP384R1 && from_library(&x, out->x) &&
         from_library(&y, out->y);
    gnutls_free(x.data);
    gnutls_free(y.data);
    return ok;
}

P384Key *p384_load(const void *pem, size_t len)
{
    gnutls_datum_t d = datum(pem, len);
    P384Key *key = calloc(1, sizeof(*key));
    P384Point point;

    if (!key || gnutls_privkey_init(&key->priv)) {
        free(key);
        return NULL;
    }
    if (gnutls_privkey_import_x509_raw(key->priv, &d, GNUTLS_X509_FMT_PEM,
                                       NULL, 0) ||
        gnutls_privkey_get_pk_algorithm(key->priv, NULL) != GNUTLS_PK_ECDSA ||
        !p384_public(key, &point)) {
        p384_free(key);
        return NULL;
    }
    return key;
}

void p384_free(P384Key *key)
{
    if (key) {
        gnutls_privkey_deinit(key->priv);
        free(key);
    }
}

static bool sign(gnutls_privkey_t key, gnutls_sign_algorithm_t how,
                 const void *msg, size_t len, P384Sig *out)
{
    gnutls_datum_t d = datum(msg, len), der = { 0 }, r = { 0 }, s = { 0 };
    bool ok;

    if (gnutls_privkey_sign_data2(key, how, GNUTLS_PRIVKEY_FLAG_REPRODUCIBLE,
                                  &d, &der)) {
        return false;
    }
    ok = !gnutls_decode_rs_value(&der, &r, &s) && from_library(&r, out->r) &&
         from_library(&s, out->s);
    gnutls_free(r.data);
    gnutls_free(s.data);
    gnutls_free(der.data);
    return ok;
}

bool p384_sign(const P384Key *key, const void *msg, size_t len, P384Sig *out)
{
    return sign(key->priv, GNUTLS_SIGN_ECDSA_SHA384, msg, len, out);
}

bool p384_sign_256(const P384Pair *key, const void *msg, size_t len,
                   P384Sig *out)
{
    uint8_t buf[3][P384_LEN];
    gnutls_datum_t x = to_library(key->pub.x, buf[0]);
    gnutls_datum_t y = to_library(key->pub.y, buf[1]);
    gnutls_datum_t k = to_library(key->k, buf[2]);
    gnutls_privkey_t priv;
    bool ok = !gnutls_privkey_init(&priv);

    if (ok) {
        ok = !gnutls_privkey_import_ecc_raw(priv, GNUTLS_ECC_CURVE_SECP384R1,
                                            &x, &y, &k) &&
             sign(priv, GNUTLS_SIGN_ECDSA_SHA256, msg, len, out);
        gnutls_privkey_deinit(priv);
    }
    explicit_bzero(buf, sizeof(buf));
    return ok;
}

static bool verify(const P384Point *key, gnutls_sign_algorithm_t how,
                   const void *msg, size_t len, const P384Sig *sig)
{
    uint8_t buf[4][P384_LEN];
    gnutls_datum_t x = to_library(key->x, buf[0]);
    gnutls_datum_t y = to_library(key->y, buf[1]);
    gnutls_datum_t r = to_library(sig->r, buf[2]);
    gnutls_datum_t s = to_library(sig->s, buf[3]);
    gnutls_datum_t d = datum(msg, len), der = { 0 };
    gnutls_pubkey_t pub;
    bool ok;

    if (gnutls_pubkey_init(&pub)) {
        return false;
    }
    ok = !gnutls_pubkey_import_ecc_raw(pub, GNUTLS_ECC_CURVE_SECP384R1, &x,
                                       &y) &&
         !gnutls_encode_rs_value(&der, &r, &s) &&
         gnutls_pubkey_verify_data2(pub, how, 0, &d, &der) >= 0;
    gnutls_free(der.data);
    gnutls_pubkey_deinit(pub);
    return ok;
}

bool p384_verify(const P384Point *key, const void *msg, size_t len,
                 const P384Sig *sig)
{
    return verify(key, GNUTLS_SIGN_ECDSA_SHA384, msg, len, sig);
}

bool p384_verify_256(const P384Point *key, const void *msg, size_t len,
                     const P384Sig *sig)
{
    return verify(key, GNUTLS_SIGN_ECDSA_SHA256, msg, len, sig);
}

/* ---- key derivation ---- */

void kdf(const uint8_t root[KDF_LEN], const char *label, const void *context,
         size_t len, uint8_t out[KDF_LEN])
{
    static const uint8_t first[4] = { 0, 0, 0, 1 };
    static const uint8_t bits[4] = { 0, 0, 1, 0 };
    gnutls_hmac_hd_t h;

    /* with these arguments neither has a way to fail but no memory */
    if (gnutls_hmac_init(&h, GNUTLS_MAC_SHA256, root, KDF_LEN) ||
        gnutls_hmac(h, first, sizeof(first)) ||
        gnutls_hmac(h, label, strlen(label) + 1) ||
        gnutls_hmac(h, context, len) ||
        gnutls_hmac(h, bits, sizeof(bits))) {
        abort();
    }
    gnutls_hmac_deinit(h, out);
}
