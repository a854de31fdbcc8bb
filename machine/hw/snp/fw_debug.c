/*
 * Secure processor firmware: debugging of guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a guest without SNP has lies anywhere in memory, what SNP guests have in
 * pages of their own.
 */
#include "fw_int.h"

#define SEV_POLICY_NODBG  (1u << 0)
#define SNP_POLICY_DEBUG  (1ull << 19)

static uint32_t copy(SnpFw *fw, FwBuf *c, bool decrypt)
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
        uint32_t n = fw_piece(src, fw_piece(dst, len));

        /* [FW-SEV-CIPHER] */
        if (decrypt) {
            fw_guest_read(fw, g->asid, src, chunk, n);
            fw->port.write(fw->port.opaque, dst, chunk, n);
        } else {
            fw->port.read(fw->port.opaque, src, chunk, n);
            fw_guest_write(fw, g->asid, dst, chunk, n);
        }
        src += n;
        dst += n;
        len -= n;
    }
    return FW_SUCCESS;
}

uint32_t fw_sev_dbg_decrypt(SnpFw *fw, FwBuf *c)
{
    return copy(fw, c, true);
}

uint32_t fw_sev_dbg_encrypt(SnpFw *fw, FwBuf *c)
{
    return copy(fw, c, false);
}

/* ---- SNP ---- */

/* Pages that hold what belongs to a guest, one way or another */
static bool guests(const RmpEntry *e)
{
    return e->assigned && e->asid;
}

static uint32_t check_snp_operand(SnpFw *fw, const FwBuf *c)
{
    uint64_t src = fw_get_addr(c->b + 8), dst = fw_get_addr(c->b + 0x10);

    /* [FW-DBG-POLICY] */
    if (!(c->g->policy & SNP_POLICY_DEBUG)) {
        return FW_POLICY_FAILURE;
    }
    /* [FW-DBG-ADDRESS] */
    if (!fw_page_aligned(src) || !fw_page_aligned(dst) ||
        !fw_readable(fw, src, RMP_PAGE_SIZE) ||
        !fw_readable(fw, dst, RMP_PAGE_SIZE)) {
        return FW_INVALID_ADDRESS;
    }
    return FW_SUCCESS;
}

uint32_t fw_snp_dbg_decrypt(SnpFw *fw, FwBuf *c)
{
    uint64_t src = fw_get_addr(c->b + 8), dst = fw_get_addr(c->b + 0x10);
    uint8_t page[RMP_PAGE_SIZE];
    uint32_t status = check_snp_operand(fw, c);
    RmpEntry e;

    if (status) {
        return status;
    }
    rmp_get(fw->rmp, src, &e);
    /* [FW-DBG-SOURCE] */
    if (!guests(&e) && !fw_loose(fw, FW_DBG_SOURCE)) {
        return FW_INVALID_PAGE_STATE;
    }
    /* [FW-DBG-OWNER] */
    if (guests(&e) && e.asid != c->g->asid && !fw_loose(fw, FW_DBG_OWNER)) {
        return FW_INVALID_PAGE_OWNER;
    }
    status = fw_check_output(fw, dst, RMP_PAGE_SIZE);
    if (status) {
        return status;
    }
    fw_guest_read(fw, c->g->asid, src, page, RMP_PAGE_SIZE);
    fw->port.write(fw->port.opaque, dst, page, sizeof(page));
    return FW_SUCCESS;
}

uint32_t fw_snp_dbg_encrypt(SnpFw *fw, FwBuf *c)
{
    uint64_t src = fw_get_addr(c->b + 8), dst = fw_get_addr(c->b + 0x10);
    uint8_t page[RMP_PAGE_SIZE];
    uint32_t status = check_snp_operand(fw, c);
    RmpEntry e;

    if (status) {
        return status;
    }
    rmp_get(fw->rmp, dst, &e);
    /* [FW-DBG-TARGET] written to while nobody else can */
    if (rmp_state(&e) != RMP_PRE_GUEST) {
        return FW_INVALID_PAGE_STATE;
    }
    /* [FW-DBG-OWNER] */
    if (e.asid != c->g->asid && !fw_loose(fw, FW_DBG_OWNER)) {
        return FW_INVALID_PAGE_OWNER;
    }
    fw->port.read(fw->port.opaque, src, page, sizeof(page));
    fw_guest_write(fw, c->g->asid, dst, page, RMP_PAGE_SIZE);
    return FW_SUCCESS;
}
