/*
 * Secure processor firmware: ASIDs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An ASID is free, bound to one guest of either kind, or dirty: caches may
 * still hold lines of its last guest, until WBINVD on all CPUs and DF_FLUSH.
 * So long the memory controller keeps the key, too; from then on it has
 * another, until the ASID is bound again.
 */
#include "fw_int.h"

bool fw_asid_bound(const SnpFw *fw, uint32_t asid)
{
    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        if ((fw->guests[i].used && fw->guests[i].asid == asid) ||
            (fw->sev_guests[i].used && fw->sev_guests[i].asid == asid)) {
            return true;
        }
    }
    return false;
}

uint32_t fw_asid_check(const SnpFw *fw, uint32_t asid, FwKind kind)
{
    bool sev = kind == FW_KIND_SEV;
    uint32_t first = sev ? fw->cfg.min_sev_asid : 1;
    uint32_t last = sev ? fw->cfg.max_asid : fw->cfg.min_sev_asid - 1;

    /* [FW-ASID-HIDE] SEV-ES and SNP share a range, or each has its part */
    if (!sev && fw->hidden_asids &&
        (kind == FW_KIND_SNP) != (asid <= fw->hidden_asids)) {
        return FW_INVALID_ASID;
    }
    /* [FW-ASID-RANGE] */
    if (asid < first || asid > last || asid > FW_MAX_ASID) {
        return FW_INVALID_ASID;
    }
    /* [FW-ASID-OWNED] */
    if (fw_asid_bound(fw, asid)) {
        return FW_ASID_OWNED;
    }
    /* [FW-ASID-DIRTY] */
    return fw->asid_dirty[asid] ? FW_DFFLUSH_REQUIRED : FW_SUCCESS;
}

void fw_asid_release(SnpFw *fw, uint32_t asid)
{
    if (asid) {
        fw->asid_dirty[asid] = true;
        fw->port.wbinvd_arm(fw->port.opaque);
    }
}

bool fw_asid_any_dirty(const SnpFw *fw)
{
    for (unsigned i = 0; i <= FW_MAX_ASID; i++) {
        if (fw->asid_dirty[i]) {
            return true;
        }
    }
    return false;
}

/*
 * A guest that lost its ASID may run on until somebody stops it. With a key
 * that nobody knows, what it writes is no more in the clear than it was, and
 * what it reads is rubbish.
 */
static void forget_keys(SnpFw *fw)
{
    for (unsigned i = 0; i <= FW_MAX_ASID; i++) {
        uint8_t key[CIPHER_KEY_LEN];

        if (fw->asid_dirty[i]) {
            fw->port.random(fw->port.opaque, key, sizeof(key));
            fw->port.load_key(fw->port.opaque, i, key);
            explicit_bzero(key, sizeof(key));
        }
    }
}

/* DF_FLUSH and SNP_DF_FLUSH: there is one data fabric */
uint32_t fw_df_flush(SnpFw *fw, FwBuf *c)
{
    (void)c;
    /* [FW-DFFLUSH-WBINVD] */
    if (fw_asid_any_dirty(fw) && !fw->port.wbinvd_done(fw->port.opaque)) {
        return FW_WBINVD_REQUIRED;
    }
    /* [FW-DFFLUSH-KEY] */
    forget_keys(fw);
    memset(fw->asid_dirty, 0, sizeof(fw->asid_dirty));
    return FW_SUCCESS;
}
