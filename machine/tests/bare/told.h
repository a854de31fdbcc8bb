/*
 * What the firmware says of itself and of its guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table is in memory; guest contexts, ASIDs and what else the firmware
 * keeps are known by its word alone.
 */
#ifndef BARE_TOLD_H
#define BARE_TOLD_H

#include "window.h"

/* After window_init(): two pages are the firmware's from then on. */
void told_init(void);
/* Asks, and forgets what was said before. */
void told_again(void);
/* Asks: is it what was said before? Says so if not, and goes on with that. */
bool told_same(void);

#endif
