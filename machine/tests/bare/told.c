/*
 * What the firmware says of itself and of its guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SNP firmware ABI (56860), SNP_PLATFORM_STATUS, SNP_GUEST_STATUS.
 */
#include "told.h"

#define CMD_GUEST_STATUS 0x092
#define LEN           64u               /* more than either has */

enum { PLATFORM, GUEST, GUEST_OTHER, NTOLD };
static uint8_t told[NTOLD][LEN];

static const uint64_t pages[2] = { KEEP_PAGE(100), KEEP_PAGE(101) };
static const Update to_firmware = { .assigned = 1, .immutable = 1 };

static void ask(uint8_t now[NTOLD][LEN])
{
    const Entry reclaim = { .assigned = true };

    for (unsigned i = PLATFORM; i < NTOLD; i++) {
        uint64_t to = pages[i != PLATFORM];
        const uint64_t c[2] = { KEEP_PAGE(KEEP_GCTX + i - GUEST), to };
        uint32_t status = i == PLATFORM ? fw_page(CMD_PLATFORM_STATUS, to)
                                        : psp(CMD_GUEST_STATUS, c, sizeof(c));

        if (status != FW_OK) {
            print("# status %x\n", status);
            bail("the firmware does not say what there is");
        }
        copy(now[i], (const void *)to, LEN);
    }
    /* FW-STATUS-RECLAIM */
    model_set(pages[0], &reclaim, false);
    do_update(pages[0], &to_firmware);
    window_check();
}

void told_init(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        do_update(pages[i], &to_firmware);
    }
    told_again();
}

void told_again(void)
{
    ask(told);
}

bool told_same(void)
{
    static const char *const of[NTOLD] = {
        "itself", "a guest", "the other guest",
    };
    uint8_t now[NTOLD][LEN];
    bool same = true;

    ask(now);
    for (unsigned i = 0; i < NTOLD; i++) {
        for (unsigned at = 0; at < LEN; at++) {
            if (now[i][at] != told[i][at] && same) {
                print("#   the firmware says of %s %x at %x, not %x\n", of[i],
                      now[i][at], at, told[i][at]);
                same = false;
            }
        }
    }
    copy(told, now, sizeof(told));
    return same;
}
