/*
 * The product: each state of a page x each size of its entry x each place in
 * its region
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "product.h"

struct Now now;

void now_name(void)
{
    print("# %s %s, page %u", state_name[now.state],
          now.size_2m ? "2M" : "4K", spots[now.spot]);
}

void now_again(void)
{
    if (state_make(now.state, now.size_2m, now.spot, &now.spa)) {
        bail("a state that could be made cannot be made again");
    }
    window_check();
}

static bool make(void)
{
    const char *why = state_make(now.state, now.size_2m, now.spot, &now.spa);

    if (why) {
        if (!now.spot) {
            state_cannot(now.state, now.size_2m, why);
        }
        return false;
    }
    if (cell(window_check())) {
        now_name();
        print(": it cannot be made\n");
        return false;
    }
    return true;
}

void every_state(void (*one)(void), unsigned nspots, const char *who)
{
    for (State s = 0; s < NSTATES; s++) {
        ktap_begin();
        for (unsigned i = 0; i < 2 * nspots; i++) {
            now.state = s;
            now.size_2m = i & 1;
            now.spot = i / 2;
            if (make()) {
                one();
            }
        }
        ktap_end("%s and a page that is %s", who, state_name[s]);
    }
}
