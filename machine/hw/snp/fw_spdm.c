/*
 * Secure processor firmware: SPDM, as the one who asks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * DMTF DSP0274 1.2: 10.3 GET_VERSION, 10.4 GET_CAPABILITIES, 10.5
 * NEGOTIATE_ALGORITHMS.
 */
#include "fw_int.h"
#include "fw_spdm.h"

#define V10              0x10u      /* of GET_VERSION, always */
#define V12              0x12u

#define VERSION_HEAD     6u

/* Capabilities */
#define CAP_CERT         (1u << 1)
#define CAP_ENCRYPT      (1u << 6)
#define CAP_MAC          (1u << 7)
#define CAP_KEY_EX       (1u << 9)
#define OURS             (CAP_ENCRYPT | CAP_MAC | CAP_KEY_EX)
#define THEIRS           (CAP_CERT | OURS)
#define CAPS_LEN         20u
#define MIN_TRANSFER     42u        /* no device may have less */

/* Algorithms: one of each kind */
#define ASYM_P384        (1u << 7)
#define HASH_SHA384      (1u << 1)
#define ALGO_DHE         2u
#define ALGO_AEAD        3u
#define ALGO_SCHEDULE    5u
#define FIXED            0x20u      /* two bytes of a mask, no others */
#define ASK_HEAD         32u
#define ALGO_HEAD        36u
#define ALGO_LEN         4u

/* Kinds and masks: secp384r1, AES-256-GCM, SPDM's own key schedule */
static const struct { uint8_t kind, mask; } offered[] = {
    { ALGO_DHE, 1u << 4 }, { ALGO_AEAD, 1u << 1 }, { ALGO_SCHEDULE, 1u << 0 },
};
#define NOFFERED (sizeof(offered) / sizeof(offered[0]))

static const struct { uint8_t ask, answer; } codes[SPDM_NSTEPS] = {
    [SPDM_GET_VERSION] = { 0x84, 0x04 },
    [SPDM_GET_CAPABILITIES] = { 0xe1, 0x61 },
    [SPDM_NEGOTIATE_ALGORITHMS] = { 0xe3, 0x63 },
};

uint32_t fw_spdm_ask(FwSpdmStep step, uint8_t *msg)
{
    uint32_t len = 4;

    memset(msg, 0, FW_SPDM_REQ_MAX);
    msg[0] = step == SPDM_GET_VERSION ? V10 : V12;
    msg[1] = codes[step].ask;
    switch (step) {
    case SPDM_GET_CAPABILITIES:
        fw_put(msg + 8, 4, OURS);
        fw_put(msg + 12, 4, FW_SPDM_RSP_MAX);
        fw_put(msg + 16, 4, FW_SPDM_RSP_MAX);
        len = CAPS_LEN;
        break;
    case SPDM_NEGOTIATE_ALGORITHMS:
        len = ASK_HEAD + NOFFERED * ALGO_LEN;
        msg[2] = NOFFERED;
        fw_put(msg + 4, 2, len);
        fw_put(msg + 8, 4, ASYM_P384);
        fw_put(msg + 12, 4, HASH_SHA384);
        for (unsigned i = 0; i < NOFFERED; i++) {
            uint8_t *a = msg + ASK_HEAD + i * ALGO_LEN;

            a[0] = offered[i].kind;
            a[1] = FIXED;
            a[2] = offered[i].mask;
        }
        break;
    default:
        break;
    }
    return len;
}

/* [FW-SPDM-VERSION] 1.2 is one of those that the device has */
static bool versions(const uint8_t *msg, uint32_t len)
{
    bool found = false;

    if (len < VERSION_HEAD + 2u * msg[5]) {
        return false;
    }
    for (unsigned i = 0; i < msg[5]; i++) {
        found |= msg[VERSION_HEAD + 2 * i + 1] == V12;
    }
    return found;
}

/* [FW-SPDM-CAPABILITIES] certificates, and sessions of one's own keys */
static bool capabilities(const uint8_t *msg, uint32_t len)
{
    return len >= CAPS_LEN && (fw_get(msg + 8, 4) & THEIRS) == THEIRS &&
           fw_get(msg + 12, 4) >= MIN_TRANSFER &&
           fw_get(msg + 16, 4) >= fw_get(msg + 12, 4);
}

/* [FW-SPDM-ALGORITHMS] of each kind the one that was offered */
static bool algorithms(const uint8_t *msg, uint32_t len)
{
    unsigned seen = 0;

    if (fw_get(msg + 4, 2) != ALGO_HEAD + msg[2] * ALGO_LEN ||
        len < fw_get(msg + 4, 2) || msg[32] || msg[33] ||
        fw_get(msg + 12, 4) != ASYM_P384 ||
        fw_get(msg + 16, 4) != HASH_SHA384 || msg[2] != NOFFERED) {
        return false;
    }
    for (unsigned i = 0; i < NOFFERED; i++) {
        const uint8_t *a = msg + ALGO_HEAD + i * ALGO_LEN;

        seen += a[0] == offered[i].kind && a[1] == FIXED &&
                fw_get(a + 2, 2) == offered[i].mask;
    }
    return seen == NOFFERED;
}

bool fw_spdm_answer(FwSpdmStep step, const uint8_t msg[FW_SPDM_RSP_MAX],
                    uint32_t len)
{
    /* [FW-SPDM-MESSAGE] ERROR is another code */
    if (msg[0] != (step == SPDM_GET_VERSION ? V10 : V12) ||
        msg[1] != codes[step].answer) {
        return false;
    }
    switch (step) {
    case SPDM_GET_VERSION:
        return versions(msg, len);
    case SPDM_GET_CAPABILITIES:
        return capabilities(msg, len);
    default:
        return algorithms(msg, len);
    }
}
