/*
 * Secure processor firmware: debugging of SEV and SEV-ES guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory encryption is not modelled: both directions copy as it is. Policy,
 * states and page states are checked as if it were.
 */
#include "fw_int.h"

#define SEV_POLICY_NODBG  (1u << 0)

static uint32_t copy(SnpFw *fw, FwBuf *c)
{
    const SevFwGuest *g = c->sev;
    uint64_t src = fw_get_addr(c->b + 8);
    uint64_t dst = fw_get_addr(c->b + 0x10);
    uint32_t len = fw_get(c->b + 0x18, 4);
    uint8_t chunk[RMP_PAGE_SIZE];
    uint32_t status;

    /* [FW-SEV-DBG-POLICY] */
    if (g->policy & SEV_POLICY_NODBG) {
        return FW_POLICY_FAILURE;
    }
    /* [FW-SEV-DBG-LEN] whole blocks of the cipher */
    if (!len || len % 16) {
        return FW_INVALID_LEN;
    }
    /* [FW-SEV-DBG-ADDRESS] */
    if (src % 16 || dst % 16 || !fw_readable(fw, src, len)) {
        return FW_INVALID_ADDRESS;
    }
    status = fw_check_output(fw, dst, len);
    if (status) {
        return status;
    }

    /* pages were checked one by one: no two need be one piece */
    while (len) {
        uint32_t n = fw_rest_of_page(src);

        n = n < fw_rest_of_page(dst) ? n : fw_rest_of_page(dst);
        n = n < len ? n : len;
        fw->port.read(fw->port.opaque, src, chunk, n);
        fw->port.write(fw->port.opaque, dst, chunk, n);
        src += n;
        dst += n;
        len -= n;
    }
    return FW_SUCCESS;
}

uint32_t fw_sev_dbg_decrypt(SnpFw *fw, FwBuf *c)
{
    return copy(fw, c);
}

uint32_t fw_sev_dbg_encrypt(SnpFw *fw, FwBuf *c)
{
    return copy(fw, c);
}
