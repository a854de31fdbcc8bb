/*
 * Runs a fuzz target on given inputs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 *     replay-TARGET FILE...
 *
 * An input that finds something ends the process; so each is named before.
 */
#include <stdbool.h>
#include "fuzz.h"

#define MAX_INPUT 0x10000u

/* What a target has to do first, if it has to */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

int main(int argc, char **argv)
{
    static uint8_t buf[MAX_INPUT];

    if (LLVMFuzzerInitialize) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    printf("KTAP version 1\n1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        uint8_t *exact;
        size_t n;

        if (!f) {
            perror(argv[i]);
            return 1;
        }
        n = fread(buf, 1, sizeof(buf), f);
        fclose(f);
        printf("# %s\n", argv[i]);
        fflush(stdout);
        /* so that reading behind the end is noticed */
        exact = malloc(n ? n : 1);
        for (size_t at = 0; at < n; at++) {
            exact[at] = buf[at];
        }
        LLVMFuzzerTestOneInput(exact, n);
        free(exact);
        printf("ok %d %zu bytes\n", i, n);
    }
    return argc < 2;
}
