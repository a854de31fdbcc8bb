/*
 * AMD secure processor, PCI function 1022:14CA: its state
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SNP_AMD_PSP_H
#define HW_SNP_AMD_PSP_H

#include "hw/pci/pci_device.h"
#include "hw/snp/platform.h"
#include "migration/vmstate.h"
#include "system/runstate.h"

#define TYPE_AMD_PSP "amd-psp"
OBJECT_DECLARE_SIMPLE_TYPE(AmdPspState, AMD_PSP)

struct AmdPspState {
    PCIDevice parent_obj;

    MemoryRegion mmio;
    SnpPlatform platform;
    uint32_t inten, intsts, cmdresp, buf_lo, buf_hi;
    bool waiting;           /* a command does, for the CPUs to stop */
    bool requeue;           /* it was loaded: nobody has been asked to run it */

    uint32_t max_asid, min_sev_asid;
    uint8_t api_major, api_minor, build;
    uint64_t tcb, committed_tcb, mitigations;
    uint8_t committed_build, report_version;
    bool hiding;            /* ciphertext can be hidden */
    bool tio;               /* there is trusted I/O */
    bool x86_shutdown;      /* the firmware can turn SNP off in the CPUs */
    char *loose;            /* rules to be read the looser way */
    char *chip;             /* directory, or NULL: it signs nothing */
    SnpFwConfig cfg;        /* owns the VCEKs */
    uint64_t entry_spa;     /* of the rmp-entry property */

    char *inject;           /* as last set, or NULL */
    bool dead;              /* till reset no command is taken */
    bool late;              /* nor while the answer to one is due: */
    uint32_t late_val, late_status;
    uint64_t late_polls;    /* with so many reads; 0: with interrupts */
    VMChangeStateEntry *run_state;
};

/* vmstate.c: it with the platform, all there is but what the CPUs keep */
extern const VMStateDescription amd_psp_vmstate;

/* All of it was loaded: what was under way goes on once the machine does. */
void amd_psp_loaded(AmdPspState *s);

#endif
