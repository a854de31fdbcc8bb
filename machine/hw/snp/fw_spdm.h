/*
 * Secure processor firmware: SPDM, as the one who asks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The messages of DSP0274 1.2 that come before certificates. Nothing of a
 * device's answer is believed: each is of no more than the bytes it came in.
 */
#ifndef HW_SNP_FW_SPDM_H
#define HW_SNP_FW_SPDM_H

#include <stdbool.h>
#include <stdint.h>

/* What has been asked, and is to be answered */
typedef enum FwSpdmStep {
    SPDM_GET_VERSION, SPDM_GET_CAPABILITIES, SPDM_NEGOTIATE_ALGORITHMS,
    SPDM_NSTEPS
} FwSpdmStep;

/* Bytes of the longest question */
#define FW_SPDM_REQ_MAX  44u
/* Of an answer that must fit: larger ones would come in chunks */
#define FW_SPDM_RSP_MAX  4016u

/* Returns the length of the question, at most FW_SPDM_REQ_MAX. */
uint32_t fw_spdm_ask(FwSpdmStep step, uint8_t *msg);

/* Is that a good answer to it? Behind its @len bytes there are zeros. */
bool fw_spdm_answer(FwSpdmStep step, const uint8_t msg[FW_SPDM_RSP_MAX],
                    uint32_t len);

#endif
