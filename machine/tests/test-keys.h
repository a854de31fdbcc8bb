/*
 * Two keys of P-384, made for these tests; they guard nothing
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TEST_KEYS_H
#define TESTS_TEST_KEYS_H

#include "hw/snp/crypto.h"
#include "ktap.h"

static const char pem_a[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MIGkAgEBBDAGudPa0uG4wcBbGYdbZln03iPDtmvyl7qapHdAeHE32JbVck5McKgl\n"
    "+HLJ6mDS7fWgBwYFK4EEACKhZANiAARa5DLGAIkXlFi1fJ4CT3w4sYTe4I1Fb7rn\n"
    "msv2hCF8J5eivgXxBXwM3T3G1UakNQ+zADUlVMn09rG4ZSOamzApcIyGwIaLwoXl\n"
    "tCpmLge6dkyo6gbtHAUQVOgRc0dthBM=\n"
    "-----END EC PRIVATE KEY-----\n";

static const char pem_b[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MIGkAgEBBDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAv/ey/qFdmp\n"
    "jn1z/Y+3I8+gBwYFK4EEACKhZANiAAQrpSACbSum67fFhURgQZvCoYYP0dR3JBcB\n"
    "38YTacFJyCxO94HwaNmKZpUQdvUN6nnuu6udepXVbA1Ia6X/r0hN6r5+9Xzidt47\n"
    "jng9g7rnk1pLbU2ZvYvK/PT5pVnt21Q=\n"
    "-----END EC PRIVATE KEY-----\n";

static P384Key *key_a, *key_b;

static inline int run_with_keys(const KtapCase *cases, unsigned n)
{
    int bad;

    key_a = p384_load(pem_a, sizeof(pem_a) - 1);
    key_b = p384_load(pem_b, sizeof(pem_b) - 1);
    bad = !key_a || !key_b || ktap_run(cases, n);
    p384_free(key_a);
    p384_free(key_b);
    return bad;
}

#endif
