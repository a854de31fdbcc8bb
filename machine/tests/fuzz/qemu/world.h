/*
 * What the fuzz targets that have all of QEMU behind them share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A machine of one CPU that never runs by itself. What a target does it does on
 * that CPU's thread, in place of the instructions that a host would have there,
 * with QEMU's own code behind it: the parts that read what a hostile host wrote
 * are compiled with sanitizers (see link.py), the rest is the machine's.
 */
#ifndef TESTS_FUZZ_WORLD_H
#define TESTS_FUZZ_WORLD_H

#include "qemu/osdep.h"
#include "cpu.h"
#include "hw/snp/platform.h"
#include "../fuzz.h"

#define PAGE          0x1000ull
#define GROUND        0x200000ull       /* all that is put back afterwards */
#define GROUND_SIZE   0x100000ull
#define MEMORY        0x2000000ull      /* below 4G */

/* Of world.c's making; the device has BAR 2 here */
#define MAILBOX       0xe0000000ull

extern CPUX86State *world_env;

/* More of QEMU's command line, if a target wants that; ends with NULL */
extern const char *const *target_arguments;
/* Once, before all inputs, on the CPU's thread */
void target_prepare(void);
/* An input, on the CPU's thread with the BQL held */
void target_input(void);

/*
 * Calls @fn as if the CPU executed it. False: it left by an exception or an
 * exit, which is in the CPUState's exception_index. Flushes that it has queued
 * are done then. Without the BQL, as helpers are.
 */
bool world_try(void (*fn)(CPUX86State *env, void *arg), void *arg);
/* Does what the CPU has been asked for. With the BQL */
void world_catch_up(void);
/* Executes @n instructions, fewer if the CPU halts. Without the BQL */
void world_step(unsigned n);
/* Is a guest on the CPU? */
static inline bool world_in_guest(void)
{
    return world_env->hflags & HF_GUEST_MASK;
}
/* Raises what became of the last instruction. Without the BQL */
void world_deliver(void);

/* Memory, as the processor itself writes to it, translated code included */
void world_write(uint64_t at, const void *buf, size_t len);
void world_read(uint64_t at, void *buf, size_t len);
void world_put(uint64_t at, unsigned len, uint64_t value);
uint64_t world_get(uint64_t at, unsigned len);

/* CPU, ground and its RMP entries from now on begin each input as they are */
void world_keep(void);
void world_again(void);

#endif
