/*
 * Secure processor firmware: certificates that others give it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Of owners, and of other platforms: SEV API (55766), appendix C.
 */
#include "fw_msg.h"

bool fw_cert_point(const FwCert *c, uint32_t usage, uint32_t algo,
                   P384Point *out)
{
    return fw_get(c->version, 4) == FW_CERT_VERSION &&
           fw_all_zero(c->rsvd_6, sizeof(c->rsvd_6)) &&
           fw_get(c->usage, 4) == usage && fw_get(c->algo, 4) == algo &&
           fw_get_point(&c->key, out);
}

bool fw_cert_is_oca(const FwCert *c, P384Point *out)
{
    return fw_cert_point(c, FW_USAGE_OCA, FW_ALGO_ECDSA_256, out) ||
           fw_cert_point(c, FW_USAGE_OCA, FW_ALGO_ECDSA_384, out);
}

bool fw_cert_signed(const FwCert *c, const FwCert *by, P384Sig *sig)
{
    uint32_t usage = fw_get(by->usage, 4), algo = fw_get(by->algo, 4);
    P384Point pub;

    fw_get_point(&by->key, &pub);
    for (unsigned i = 0; i < 2; i++) {
        if (fw_get(c->sig[i].usage, 4) == usage &&
            fw_get(c->sig[i].algo, 4) == algo &&
            fw_get_sig(&c->sig[i].sig, sig) &&
            (algo == FW_ALGO_ECDSA_384
             ? p384_verify(&pub, c, FW_CERT_BODY, sig)
             : p384_verify_256(&pub, c, FW_CERT_BODY, sig))) {
            return true;
        }
    }
    return false;
}
