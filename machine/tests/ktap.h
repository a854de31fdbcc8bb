/*
 * KTAP output for the host-side unit tests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A case is a function full of CHECK()s. It passes if all of them held and
 * there was at least one; the line says how many.
 */
#ifndef TESTS_KTAP_H
#define TESTS_KTAP_H

#include <stdbool.h>
#include <stdio.h>

#define KTAP_SHOWN 5    /* failed checks printed per case */

static unsigned long ktap_checks, ktap_failed;

#define CHECK(cond, ...)                                                \
    do {                                                                \
        ktap_checks++;                                                  \
        if (!(cond) && ktap_failed++ < KTAP_SHOWN) {                    \
            printf("# %s:%d: %s: ", __FILE__, __LINE__, #cond);         \
            printf(__VA_ARGS__);                                        \
            printf("\n");                                               \
        }                                                               \
    } while (0)

typedef struct KtapCase {
    const char *name;
    void (*run)(void);
} KtapCase;

static inline int ktap_run(const KtapCase *cases, unsigned n)
{
    bool bad = false;

    printf("KTAP version 1\n1..%u\n", n);
    for (unsigned i = 0; i < n; i++) {
        ktap_checks = ktap_failed = 0;
        cases[i].run();
        bool ok = ktap_checks && !ktap_failed;
        printf("%s %u %s # %lu of %lu\n", ok ? "ok" : "not ok", i + 1,
               cases[i].name, ktap_checks - ktap_failed, ktap_checks);
        fflush(stdout);
        bad |= !ok;
    }
    return bad;
}

#endif
