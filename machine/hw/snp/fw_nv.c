/*
 * Secure processor firmware: INIT_EX, with storage that the host keeps
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What SEV's platform has to remember lies in 32 KiB that the host reads from
 * a file before INIT_EX and writes back afterwards. Nothing is remembered there
 * but whose storage it is, 112 bytes, the rest is zero: keys and certificates
 * stay in the secure processor. Its form is the firmware's own affair.
 */
#include <stddef.h>
#include "fw_int.h"

#define INIT_EX_LEN       36u
#define NV_LEN            0x8000u
#define NV_MAGIC          0x564e5645534d4353ull
#define NV_VERSION        1u

typedef struct FwStorage {
    uint8_t magic[8];
    uint8_t version[4];
    uint8_t rsvd_c[4];
    uint8_t chip_id[64];
    uint8_t mac[SHA256_LEN];    /* of all before it */
} FwStorage;

static void fill(const SnpFw *fw, FwStorage *s)
{
    memset(s, 0, sizeof(*s));
    fw_put(s->magic, 8, NV_MAGIC);
    fw_put(s->version, 4, NV_VERSION);
    memcpy(s->chip_id, fw->cfg.chip_id, sizeof(s->chip_id));
    hmac_sha256(fw->cfg.chip_secret, sizeof(fw->cfg.chip_secret), s,
                offsetof(FwStorage, mac), s->mac);
}

/*
 * Is all of the storage as it should be, @want and zeros? Is it @blank, as it
 * comes from flash that was erased, or from a file that is not there?
 */
static bool known(SnpFw *fw, uint64_t nv, const FwStorage *want, bool *blank)
{
    uint8_t have[RMP_PAGE_SIZE], zeros = 0, ones = 0xff;
    bool same = true;

    for (uint64_t at = 0; at < NV_LEN; at += sizeof(have)) {
        unsigned head = at ? 0 : sizeof(*want);

        fw_read(fw, nv + at, have, sizeof(have));
        same &= !head || !memcmp(have, want, head);
        for (unsigned i = 0; i < sizeof(have); i++) {
            zeros |= i < head ? 0 : have[i];
            ones &= have[i];
        }
    }
    *blank = ones == 0xff;
    return same && !zeros;
}

uint32_t fw_sev_init_ex(SnpFw *fw, FwBuf *c)
{
    uint32_t flags = fw_get(c->b + 4, 4);
    uint64_t tmr = fw_get_addr(c->b + 8);
    uint32_t tmr_len = fw_get(c->b + 0x10, 4);
    uint64_t nv = fw_get_addr(c->b + 0x18);
    FwStorage want;
    uint32_t status;
    bool blank;

    /* [FW-INIT-EX-LEN] */
    if (fw_get(c->b, 4) != INIT_EX_LEN) {
        return FW_INVALID_LEN;
    }
    /* [FW-INIT-EX-RSVD] */
    if (fw_get(c->b + 0x14, 4) && !fw_loose(fw, FW_INIT_EX_RSVD)) {
        return FW_INVALID_PARAM;
    }
    status = fw_sev_check_init(fw, flags, tmr, tmr_len);
    if (status) {
        return status;
    }
    /* [FW-INIT-EX-NV] */
    if (fw_get(c->b + 0x20, 4) < NV_LEN) {
        return FW_INVALID_LEN;
    }
    /* [FW-INIT-EX-NV-PAGES] as any output; the TMR's pages are taken */
    status = fw_check_output(fw, nv, NV_LEN);
    if (!status && (flags & 1) && nv < tmr + tmr_len && tmr < nv + NV_LEN &&
        !fw_loose(fw, FW_INIT_EX_NV_PAGES)) {
        status = FW_INVALID_ADDRESS;
    }
    if (status) {
        return status;
    }

    fill(fw, &want);
    if (!known(fw, nv, &want, &blank)) {
        uint8_t page[RMP_PAGE_SIZE] = { 0 };

        /* begin anew, whatever is to be said of what was there */
        for (unsigned i = 0; i < NV_LEN / RMP_PAGE_SIZE; i++) {
            fw_write(fw, nv + i * RMP_PAGE_SIZE, page, sizeof(page));
        }
        fw_write(fw, nv, &want, sizeof(want));
        /* [FW-INIT-EX-DATA] who tries again succeeds */
        if (!blank) {
            return FW_SECURE_DATA_INVALID;
        }
    }
    fw_sev_start(fw, flags, tmr, tmr_len);
    return FW_SUCCESS;
}
