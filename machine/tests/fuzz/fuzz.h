/*
 * What the fuzz targets share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A target is a function of a string of bytes, LLVMFuzzerTestOneInput().
 * libFuzzer makes strings up; replay.c runs those that are committed. The
 * bytes are used up from the front; behind the end there are zeros.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever was asked for: the fuzzer keeps the input. */
#define MUST(cond, ...)                                                 \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond);  \
            fprintf(stderr, __VA_ARGS__);                               \
            fprintf(stderr, "\n");                                      \
            abort();                                                    \
        }                                                               \
    } while (0)

/* For whoever looks on, with FUZZ_SAY in the environment: what happens */
static inline void __attribute__((format(printf, 1, 2)))
fuzz_say(const char *fmt, ...)
{
    va_list ap;

    if (getenv("FUZZ_SAY")) {
        va_start(ap, fmt);
        vprintf(fmt, ap);
        va_end(ap);
    }
}

/* One of each, however many files a target has */
__attribute__((weak)) const uint8_t *fuzz_at, *fuzz_end;

static inline void fuzz_begin(const uint8_t *data, size_t size)
{
    fuzz_at = data;
    fuzz_end = data + size;
}

static inline bool fuzz_more(void)
{
    return fuzz_at < fuzz_end;
}

static inline uint8_t fuzz_byte(void)
{
    return fuzz_more() ? *fuzz_at++ : 0;
}

static inline uint64_t fuzz_number(unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++) {
        v |= (uint64_t)fuzz_byte() << (8 * i);
    }
    return v;
}

#endif
