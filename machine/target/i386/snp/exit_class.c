/*
 * SEV-ES: which exits are automatic, and which become #VC
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "exit_class.h"

SnpExitClass snp_exit_class(uint64_t code, uint64_t info1)
{
    /* [ES-AE-INVALID] a VMRUN that failed never entered the guest */
    if ((int64_t)code < 0) {
        return SNP_EXIT_AE;
    }
    switch (code) {
    case 0x52:                  /* #MC */
    case 0x60 ... 0x64:         /* INTR, NMI, SMI, INIT, VINTR */
    case 0x7f:                  /* SHUTDOWN */
    case 0xa5:                  /* BUSLOCK */
        /* [ES-AE-EVENTS] */
        return SNP_EXIT_AE;
    case 0x77:                  /* PAUSE */
    case 0x78:                  /* HLT */
    case 0x8f ... 0x9f:         /* EFER and CRn write traps */
    case 0xa6:                  /* IDLE_HLT */
    case 0x403:                 /* VMGEXIT */
        /* [ES-AE-NEXT] nobody but the guest could advance RIP */
        return SNP_EXIT_AE_NEXT;
    case 0x400:
        /* [ES-NPF-RSVD] reserved bits mean MMIO, which the guest emulates */
        return info1 & 8 ? SNP_EXIT_NAE : SNP_EXIT_AE;
    default:
        /* [ES-NAE] */
        return SNP_EXIT_NAE;
    }
}
