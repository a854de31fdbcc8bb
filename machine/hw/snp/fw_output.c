/*
 * Secure processor firmware: outputs of which the caller asks the length
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A command's buffer says where such an output goes and what room there is.
 * Who does not know how much it takes gives too little, mostly nothing, with
 * no address either: so the lengths come before the addresses. If one of them
 * is too small, all are stored, INVALID_LEN is the answer and nothing else is
 * done. A command that succeeds stores them, too: of what was written, however
 * much room there was.
 */
#include "fw_int.h"

static void put_len(FwBuf *c, const FwOut *out)
{
    fw_put(c->b + out->len_at, 4, out->len);
    c->dirty = true;
}

/* @n is one or two */
static bool overlap(const FwBuf *c, const FwOut *out, unsigned n)
{
    uint64_t a = fw_get_addr(c->b + out[0].at);
    uint64_t b = n > 1 ? fw_get_addr(c->b + out[1].at) : 0;

    return n > 1 && a < b + out[1].len && b < a + out[0].len;
}

uint32_t fw_out_check(SnpFw *fw, FwBuf *c, const FwOut *out, unsigned n)
{
    uint32_t status = FW_SUCCESS;
    bool fits = true;

    for (unsigned i = 0; i < n; i++) {
        fits &= fw_get(c->b + out[i].len_at, 4) >= out[i].len;
    }
    for (unsigned i = 0; i < n && !fits; i++) {
        put_len(c, &out[i]);
    }
    if (!fits) {
        return FW_INVALID_LEN;
    }
    /* [FW-OUTPUT-OVERLAP] one would be gone */
    if (overlap(c, out, n) && !fw_loose(fw, FW_OUTPUT_OVERLAP)) {
        return FW_INVALID_ADDRESS;
    }
    /* that both are memory comes before what pages they are */
    for (unsigned i = 0; i < n; i++) {
        if (!fw_readable(fw, fw_get_addr(c->b + out[i].at), out[i].len)) {
            return FW_INVALID_ADDRESS;
        }
    }
    for (unsigned i = 0; i < n && !status; i++) {
        status = fw_check_output(fw, fw_get_addr(c->b + out[i].at),
                                 out[i].len);
    }
    return status;
}

void fw_out_write(SnpFw *fw, FwBuf *c, const FwOut *out, const void *data)
{
    fw_write(fw, fw_get_addr(c->b + out->at), data, out->len);
    put_len(c, out);
}
