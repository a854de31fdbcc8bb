/*
 * The product: each state of a page x each size of its entry x each place in
 * its region
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BARE_PRODUCT_H
#define BARE_PRODUCT_H

#include "window.h"

/* The page that is tried */
extern struct Now {
    State state;
    bool size_2m;
    unsigned spot;      /* of spots[] */
    uint64_t spa;
} now;

/* "# STATE SIZE, page N": what a cell that failed is about */
void now_name(void);

/* The state again, if the last operation may have changed it; else bails */
void now_again(void);

/*
 * NSTATES tests, "WHO and a page that is STATE": @one for each size and for
 * the first @nspots of spots[], once the page is so; what cannot be is said.
 */
void every_state(void (*one)(void), unsigned nspots, const char *who);

#endif
