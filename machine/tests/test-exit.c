/*
 * Unit tests: automatic and non-automatic exits of SEV-ES guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The expectation is a list of its own, from APM volume 2, table 15-33, and
 * every code that VMCB.EXITCODE can hold is asked.
 */
#include <stdint.h>
#include "ktap.h"
#include "../target/i386/snp/exit_class.h"

static const struct {
    int64_t first, last;
    SnpExitClass class;
} automatic[] = {
    { -4, -1, SNP_EXIT_AE },            /* failed VMRUN */
    { 0x52, 0x52, SNP_EXIT_AE },        /* #MC */
    { 0x60, 0x60, SNP_EXIT_AE },        /* INTR */
    { 0x61, 0x61, SNP_EXIT_AE },        /* NMI */
    { 0x62, 0x62, SNP_EXIT_AE },        /* SMI */
    { 0x63, 0x63, SNP_EXIT_AE },        /* INIT */
    { 0x64, 0x64, SNP_EXIT_AE },        /* VINTR */
    { 0x77, 0x77, SNP_EXIT_AE_NEXT },   /* PAUSE */
    { 0x78, 0x78, SNP_EXIT_AE_NEXT },   /* HLT */
    { 0x7f, 0x7f, SNP_EXIT_AE },        /* SHUTDOWN */
    { 0x8f, 0x8f, SNP_EXIT_AE_NEXT },   /* EFER_WRITE_TRAP */
    { 0x90, 0x9f, SNP_EXIT_AE_NEXT },   /* CRx_WRITE_TRAP */
    { 0xa5, 0xa5, SNP_EXIT_AE },        /* BUSLOCK */
    { 0xa6, 0xa6, SNP_EXIT_AE_NEXT },   /* IDLE_HLT */
    { 0x400, 0x400, SNP_EXIT_AE },      /* NPF, RSVD clear */
    { 0x403, 0x403, SNP_EXIT_AE_NEXT }, /* VMGEXIT */
};

static SnpExitClass expected(int64_t code)
{
    for (unsigned i = 0; i < sizeof(automatic) / sizeof(automatic[0]); i++) {
        if (code >= automatic[i].first && code <= automatic[i].last) {
            return automatic[i].class;
        }
    }
    return SNP_EXIT_NAE;
}

static void every_code(void)
{
    for (int64_t code = -4; code <= 0x406; code++) {
        CHECK(snp_exit_class(code, 0) == expected(code), "code %llx",
              (unsigned long long)code);
    }
}

/* EXITINFO1 matters for nested page faults alone, and of it RSVD alone. */
static void every_info_bit(void)
{
    for (int64_t code = -4; code <= 0x406; code++) {
        for (int bit = 0; bit < 64; bit++) {
            SnpExitClass want = code == 0x400 && bit == 3 ? SNP_EXIT_NAE
                                                          : expected(code);

            CHECK(snp_exit_class(code, 1ull << bit) == want,
                  "code %llx bit %d", (unsigned long long)code, bit);
        }
    }
}

int main(void)
{
    static const KtapCase cases[] = {
        { "every exit code is automatic or #VC as the table says",
          every_code },
        { "only RSVD of a nested fault changes that", every_info_bit },
    };

    return ktap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
