/*
 * What fails because the machine was told to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The machine is given inject=PSMASH:2-3:INUSE: the second and the third PSMASH
 * of all that are executed fail, as if another CPU were at the entry, and have
 * done nothing.
 */
#include "window.h"

static const int statuses[] = { OK, FAIL_INUSE, FAIL_INUSE, OK };

void suite_demand(void)
{
    uint64_t spa;

    ktap_plan(2);
    window_init();
    ktap_begin();
    for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++) {
        Probe p;

        if (!i || statuses[i - 1] == OK) {
            if (state_make(GUEST_INVALID, true, 0, &spa)) {
                bail("there is no page of 2M");
            }
            window_check();
        }
        p = probe(op_psmash, spa, 0);
        if (statuses[i] == OK) {
            model_psmash(spa);
        }
        if (cell(window_check() && p.vector == NO_VEC &&
                 p.ret == (unsigned)statuses[i])) {
            print("# PSMASH %u: vector %d, status %lx, not %d\n", i + 1,
                  p.vector, p.ret, statuses[i]);
        }
    }
    ktap_end("PSMASH fails when it is told to, and does nothing then");
}
