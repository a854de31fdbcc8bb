/*
 * Suites of what a processor may have and, by its CPUID, may not
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each is one test, after vm_init(). @announced: Fn8000_001F EAX.
 */
#ifndef BARE_FEATURES_H
#define BARE_FEATURES_H

#include <stdint.h>

/* injected.c: what a host may have its guests take */
void suite_injected(uint32_t announced);
/* held.c: writes to pages that the CPU holds while a guest runs */
void suite_held(uint32_t announced);

#endif
