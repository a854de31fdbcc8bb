/*
 * Secure processor firmware: buffers that the host describes by scatter lists
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A scatter list address, 64 bits: 0 a list's page, not the data's; 1 a page
 * of 2M; 51:12 the page's number. A list is a page of such addresses, up to
 * one whose number is all ones. (Linux, drivers/crypto/ccp/sev-dev-tio.c)
 */
#ifndef HW_SNP_FW_SLA_H
#define HW_SNP_FW_SLA_H

#include "fw_int.h"

/* Of the largest buffer that there is */
#define FW_SLA_PAGES     4u

typedef struct FwSla {
    uint64_t page[FW_SLA_PAGES];
    unsigned npages;
} FwSla;

/*
 * The pages of the buffer at @sla: its list is the host's, and is read once.
 * FW_SUCCESS, INVALID_PARAM, UNSUPPORTED, INVALID_ADDRESS, or, of fewer pages
 * than @min or more than @max, INCORRECT_BUFFER_LENGTH. @max is at most
 * FW_SLA_PAGES.
 */
uint32_t fw_sla_read(SnpFw *fw, uint64_t sla, unsigned min, unsigned max,
                     FwSla *out);

/* Is a page in two of them, or twice in one? */
bool fw_sla_overlap(const FwSla *s, unsigned n);

/* What fw_check_output() says of all its pages */
uint32_t fw_sla_check_output(SnpFw *fw, const FwSla *s);

/* @len bytes from @at on, all within the buffer, whose pages are memory */
void fw_sla_get(SnpFw *fw, const FwSla *s, uint32_t at, void *to,
                uint32_t len);
void fw_sla_put(SnpFw *fw, const FwSla *s, uint32_t at, const void *from,
                uint32_t len);

#endif
