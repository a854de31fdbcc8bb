/*
 * Secure processor firmware: what it says of its features
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SNP_FEATURE_INFO gives what CPUID Fn8000_0024 would. Features that it does
 * not announce are not there, and their commands and options are refused.
 */
#include "fw_int.h"

#define INFO_LEN          16u
#define INFO_EBX          4u        /* and ECX behind it */
#define EBX_TIO           (1ull << 1)
#define ECX_X86_SHUTDOWN  (1ull << (32 + 1))
#define ECX_HIDING        (1ull << (32 + 3))
#define ECX_MITIGATION    (1ull << (32 + 13))

uint64_t fw_features(const SnpFw *fw)
{
    return (fw->cfg.hiding ? ECX_HIDING : 0) | (fw->cfg.tio ? EBX_TIO : 0) |
           (fw->cfg.x86_shutdown ? ECX_X86_SHUTDOWN : 0) |
           (fw->cfg.mitigations ? ECX_MITIGATION : 0);
}

uint32_t fw_snp_feature_info(SnpFw *fw, FwBuf *c)
{
    uint8_t info[INFO_LEN] = { 0 };
    uint64_t addr = fw_get_addr(c->b + 8);
    uint32_t status;

    /* [FW-FEATURE-LEN] */
    if (fw_get(c->b, 4) != 16) {
        return FW_INVALID_LEN;
    }
    /* [FW-FEATURE-FUNCTION] none beyond the first */
    if (fw_get(c->b + 4, 4)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-FEATURE-ADDRESS] */
    if (addr % 8 || fw_rest_of_page(addr) < INFO_LEN) {
        return FW_INVALID_ADDRESS;
    }
    status = fw_check_output(fw, addr, INFO_LEN);
    if (status) {
        return status;
    }
    /* [FW-FEATURES] */
    fw_put(info + INFO_EBX, 8, fw_features(fw));
    fw->port.write(fw->port.opaque, addr, info, INFO_LEN);
    return FW_SUCCESS;
}
