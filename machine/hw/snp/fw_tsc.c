/*
 * Secure processor firmware: guests with a secure TSC
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Such a guest's clock is the processor's by a factor and an offset that stand
 * in its VMSAs, not in the VMCB. The firmware puts them into those it
 * launches, by the frequency that SNP_LAUNCH_START asked for, and tells them
 * in MSG_TSC_INFO_REQ to a guest that makes VMSAs of its own. The offset is 0.
 * SnpFwConfig.tsc_khz is the processor's frequency; 0: it has no secure TSC.
 */
#include "fw_msg.h"

#define SCALE_BITS        40            /* 8 bits, and 32 behind the point */
#define SCALE_FRACTION    32

#define VMSA_TSC_SCALE    0x2f0
#define VMSA_TSC_OFFSET   0x2f8
#define VMSA_SEV_FEATURES 0x3b0
#define SECURE_TSC        (1ull << 9)

static uint64_t scale_of(const SnpFw *fw, uint32_t khz)
{
    return ((uint64_t)khz << SCALE_FRACTION) / fw->cfg.tsc_khz;
}

bool fw_tsc_possible(const SnpFw *fw, uint32_t khz)
{
    return !fw->cfg.tsc_khz || !(scale_of(fw, khz) >> SCALE_BITS);
}

bool fw_tsc_in_vmsa(const SnpFw *fw, const uint8_t *vmsa)
{
    return fw->cfg.tsc_khz && (fw_get(vmsa + VMSA_SEV_FEATURES, 8) &
                               SECURE_TSC);
}

void fw_tsc_measured(uint8_t *vmsa)
{
    fw_put(vmsa + VMSA_TSC_SCALE, 8, 0);
    fw_put(vmsa + VMSA_TSC_OFFSET, 8, 0);
}

void fw_tsc_fill(const SnpFw *fw, const SnpFwGuest *g, uint8_t *vmsa)
{
    fw_put(vmsa + VMSA_TSC_SCALE, 8, scale_of(fw, g->tsc_khz));
    fw_put(vmsa + VMSA_TSC_OFFSET, 8, 0);
}

/* [FW-TSC-INFO] what launched VMSAs have */
bool fw_msg_tsc(SnpFw *fw, SnpFwGuest *g, unsigned vmpck, const void *req,
                void *rsp)
{
    FwTscRsp *a = rsp;

    (void)vmpck;
    /* [FW-TSC-RSVD] */
    if (!fw_all_zero(req, sizeof(FwTscReq))) {
        fw_put(a->status, 4, FW_MSG_INVALID_PARAM);
        return true;
    }
    fw_put(a->scale, 8, scale_of(fw, g->tsc_khz));
    return true;
}
