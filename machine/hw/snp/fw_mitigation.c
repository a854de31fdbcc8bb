/*
 * Secure processor firmware: mitigations
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SNP_VERIFY_MITIGATION. A firmware says by a vector which vulnerabilities it
 * has mitigations for. Those are in force that were there when the RMP was
 * made; after an update of the firmware the host has it verify a new one, by
 * its bit, without an RMP made anew. Reports carry what was in force at launch
 * and now. What a bit stands for, and what is to be verified then, AMD says in
 * bulletins; here a mitigation is its bit, and verifying it always succeeds.
 */
#include "fw_msg.h"

#define MITIGATION_LEN    64u
#define MITIGATION_STATUS 0u
#define MITIGATION_VERIFY 1u
#define WITH_RESULT       (1u << 0)

uint32_t fw_snp_verify_mitigation(SnpFw *fw, FwBuf *c)
{
    uint32_t command = fw_get(c->b + 4, 2);
    uint64_t vector = fw_get(c->b + 8, 8);
    uint32_t flags = fw_get(c->b + 0x10, 4);
    uint64_t to = fw_get_addr(c->b + 0x20);
    FwMitigations out;
    uint32_t status;

    /* [FW-MITIGATION-LEN] */
    if (fw_get(c->b, 4) != MITIGATION_LEN) {
        return FW_INVALID_LEN;
    }
    /* [FW-MITIGATION-RSVD] no mitigation here takes data of the host's */
    if (command > MITIGATION_VERIFY || (flags & ~WITH_RESULT) ||
        fw_get(c->b + 6, 2) || fw_get(c->b + 0x14, 4) ||
        !fw_all_zero(c->b + 0x28, 24)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-MITIGATION-VECTOR] */
    if (command == MITIGATION_VERIFY &&
        (!vector || (vector & (vector - 1)) ||
         (vector & ~fw->cfg.mitigations))) {
        return FW_INVALID_PARAM;
    }
    if (flags & WITH_RESULT) {
        /* [FW-MITIGATION-ADDRESS] */
        if (fw_rest_of_page(to) < sizeof(out)) {
            return FW_INVALID_ADDRESS;
        }
        status = fw_check_output(fw, to, sizeof(out));
        if (status) {
            return status;
        }
    }

    if (command == MITIGATION_VERIFY) {
        fw->mitigated |= vector;
    }
    if (flags & WITH_RESULT) {
        memset(&out, 0, sizeof(out));
        fw_put(out.verified, 8, fw->mitigated);
        fw_put(out.supported, 8, fw->cfg.mitigations);
        fw_write(fw, to, &out, sizeof(out));
    }
    return FW_SUCCESS;
}
