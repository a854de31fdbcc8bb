/*
 * SEV-ES: which exits are automatic, and which become #VC
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Includes nothing of QEMU, so that the unit tests link the same table.
 * AMD64 Architecture Programmer's Manual volume 2, 15.35.4 (types of exits).
 */
#ifndef I386_SNP_EXIT_CLASS_H
#define I386_SNP_EXIT_CLASS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum SnpExitClass {
    SNP_EXIT_NAE,       /* the guest gets #VC, error code = exit code */
    SNP_EXIT_AE,        /* #VMEXIT, RIP where it is */
    SNP_EXIT_AE_NEXT,   /* #VMEXIT, RIP past the instruction */
} SnpExitClass;

/*
 * @info1: EXITINFO1, of which only the RSVD bit of a nested page fault
 * counts. Codes are those of VMCB.EXITCODE, sign-extended.
 */
SnpExitClass snp_exit_class(uint64_t code, uint64_t info1);

#endif
