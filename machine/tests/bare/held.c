/*
 * Writes to pages that the CPU holds while a guest runs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 15.36.16; volume 3, Fn8000_001F EAX[30], HvInUseWrAllowed. The
 * only other CPU there is is the guest: the pages are in its nested tables.
 */
#include "vm.h"
#include "features.h"

#define CPUID_WRITE_IN_USE 30
#define UNUSED        0x280             /* of either page, by the hardware */

/* A byte of @page, by a guest whose CPU may or may not hold that */
static void one_write(const char *name, Guest g, uint8_t *page, bool may)
{
    uint64_t at = (uint64_t)page + UNUSED;
    bool good;
    Exit x;

    vm_window(at, false);
    vm_run(g, g_write, vm_va(WAY_RIGHT, false, at), 0, MAGIC, &x);
    good = may ? x.code == (g == PLAIN ? EXIT_VMMCALL : EXIT_VMGEXIT) &&
                 x.answer.kind == ANSWER_DONE &&
                 *(volatile uint64_t *)at == MAGIC
               : x.code == EXIT_NPF &&
                 (x.info1 & (NPF_P | NPF_W | NPF_RMP | NPF_FINAL)) ==
                 (NPF_P | NPF_W | NPF_RMP | NPF_FINAL) &&
                 *(volatile uint64_t *)at != MAGIC;
    if (cell(window_check() && good)) {
        print("# %s, guest %u: exit %lx %lx, answer %lx\n", name, g, x.code,
              x.info1, x.answer.kind);
    }
    *(volatile uint64_t *)at = 0;
}

void suite_held(uint32_t announced)
{
    static uint8_t other[4096] __attribute__((aligned(4096)));
    bool may = announced >> CPUID_WRITE_IN_USE & 1;

    ktap_begin();
    /* RMP-CHECK-INUSE */
    for (Guest g = OWNER; g < NGUESTS; g += PLAIN) {
        one_write("the VMCB", g, vmcb, may);
        one_write("the host save area", g, hsave, may);
        one_write("a page of nobody", g, other, true);
    }
    vm_window(WINDOW, false);
    ktap_end("writes to VMCB and host save area while they are in use");
}
