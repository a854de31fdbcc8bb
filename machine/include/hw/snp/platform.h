/*
 * The SNP platform: what the secure processor and the CPUs share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * There is one, or none: it comes and goes with the amd-psp device. Without
 * it snp_platform() is NULL and the machine is as it was.
 */
#ifndef HW_SNP_PLATFORM_H
#define HW_SNP_PLATFORM_H

#include "exec/memory.h"
#include "hw/snp/fw.h"
#include "hw/snp/inject.h"
#include "hw/snp/view.h"

typedef struct SnpPlatform {
    Rmp rmp;
    SnpFw fw;
    SnpView view;
    uint64_t seed;              /* 0: real randomness */
    uint64_t random_count;      /* blocks drawn since reset, with a seed */
    uint64_t kept_count;        /* and of what a reset leaves, since start */
    bool rmpread;               /* the instruction is there */
    bool rmpquery;              /* and this one, for SNP guests */
    bool opaque_rmp;            /* see Rmp.opaque; with rmpread only */
    bool allowed_features;      /* VMCBs say what SEV_FEATURES there may be */
    bool secure_tsc;            /* guests may have clocks of their own */
    bool debug_swap;            /* and debug registers */
    bool restricted;            /* and take no events but #HV */
    bool write_in_use;          /* see Rmp.write_in_use */
    uint8_t segment_shift;      /* log2 of a segment's bytes; 0: one table */
    uint32_t rmp_offset;        /* bytes from 2M to where the table begins */
    bool mem_encrypt;           /* the BIOS has turned it on, */
    bool smm_lock;              /* and locked SMM */
    uint64_t coverage;          /* bytes from 0 the RMP is to cover; 0: all */
    uint8_t phys_reduction;     /* address bits that the keys take */
    bool encrypt;               /* others see ciphertext of a guest's pages */
    bool self_check;            /* compare cached translations with the RMP */
    AddressSpace dram;          /* the machine's memory, and nothing over it */
    uint64_t low_size;          /* of it, from address 0; */
    uint64_t high_base, high_size;      /* and what is above 4 GiB, behind */
    uint64_t dram_alias;        /* where memory answers once more; 0: nowhere */
    MemoryRegion alias;
    SnpInject inject;
    SnpInjectAction race;       /* what another CPU does while SNP_INIT runs */
    /* Interrupts till the mailbox answers, 0: not waited for; who does then */
    uint64_t late_interrupts;
    struct QEMUBH *late_bh;
} SnpPlatform;

extern SnpPlatform *snp_platform_singleton;

static inline SnpPlatform *snp_platform(void)
{
    return snp_platform_singleton;
}

/* With a platform only. ES and SNP guests have ASIDs below the minimum. */
static inline uint32_t snp_platform_max_asid(void)
{
    return snp_platform_singleton->fw.cfg.max_asid;
}

static inline uint32_t snp_platform_min_sev_asid(void)
{
    return snp_platform_singleton->fw.cfg.min_sev_asid;
}

/*
 * Makes @p the platform: takes the top of the memory above 4G for the RMP and
 * reports it reserved. False, with @errp set, if there is a platform already,
 * no memory above 4G, no TCG, or no room for the alias. @cfg's fms and smt are
 * filled in, and chip_id if there are no VCEKs. The VCEKs stay the caller's.
 */
bool snp_platform_realize(SnpPlatform *p, const SnpFwConfig *cfg,
                          Error **errp);
void snp_platform_unrealize(SnpPlatform *p);
/*
 * Firmware as after power-on. The RMP's content stays, as memory does; so do
 * what is injected and its counts.
 */
void snp_platform_reset(SnpPlatform *p);

/*
 * What changes the RMP does not tell QEMU's log of changed memory: after this,
 * with no CPU running, that has the whole table.
 */
void snp_platform_rmp_dirty(SnpPlatform *p);
/*
 * With no CPU running: of pages that the RMP gives to nobody RAM holds what
 * DRAM would. So a machine that is saved need not say whose plaintext it holds.
 */
void snp_platform_settle(SnpPlatform *p);

/* JSON texts; the caller frees them. */
char *snp_platform_rmp_summary(const SnpPlatform *p);
char *snp_platform_rmp_histogram(const SnpPlatform *p);
char *snp_platform_rmp_entry(const SnpPlatform *p, uint64_t spa);
char *snp_platform_guests(const SnpPlatform *p);

/* ---- statistics: of the whole life of the process, any thread ---- */

typedef enum SnpStat {
    SNP_STAT_VMEXIT,
    SNP_STAT_VMEXIT_SEV,        /* of these: of SEV guests that are no more, */
    SNP_STAT_VMEXIT_SEV_ES,     /* of SEV-ES guests without SNP, */
    SNP_STAT_VMEXIT_SNP,        /* of SNP guests */
    SNP_STAT_VMRUN_ALLOWED,     /* with the VMCB's mask of features in force */
    SNP_STAT_VMRUN_ALIGNED,     /* SNP on, and a page held begins 2M */
    SNP_STAT_PSMASH,
    SNP_STAT_RMPREAD,
    SNP_STAT_RMPADJUST,         /* refused and faulted ones included */
    SNP_STAT_RMPQUERY,          /* the same */
    SNP_STAT_SELF_CHECK,
    SNP_STAT_RMPUPDATE_GUEST,       /* successful: to a guest, */
    SNP_STAT_RMPUPDATE_PRE_GUEST,   /* the same, immutable, */
    SNP_STAT_RMPUPDATE_FIRMWARE,    /* to the firmware or reclaim, */
    SNP_STAT_RMPUPDATE_SHARED,      /* to the hypervisor */
    SNP_STAT_RMPUPDATE_2M_GUEST,    /* of these, of 2M: to a guest, */
    SNP_STAT_RMPUPDATE_2M_PRE_GUEST,
    SNP_STAT_RMPUPDATE_2M_SHARED,
    SNP_STAT_PVALIDATE_VALIDATED,
    SNP_STAT_PVALIDATE_RESCINDED,
    SNP_STAT_PVALIDATE_UNCHANGED,
    SNP_STAT_PVALIDATE_FAILED,
    SNP_STAT_PVALIDATE_FAULTED,     /* by the RMP; the guest may try again */
    SNP_STAT_NPF,
    SNP_STAT_NPF_PRIVATE,           /* of these: bit 34, */
    SNP_STAT_NPF_RMP,               /* bit 31, */
    SNP_STAT_NPF_SIZEM,             /* bit 35, */
    SNP_STAT_NPF_VMPL,              /* bit 36 */
    SNP_STAT_PSP_COMMANDS,
    SNP_STAT_DMA_JUDGED,            /* translations for devices, by the RMP */
    SNP_STAT_RACE_DONE,             /* writes to an RMP that is being made: */
    SNP_STAT_RACE_REFUSED,          /* injected, done or refused */
    SNP_STAT_GHCB_LOADS,            /* by the host's kernel, of a field that */
    SNP_STAT_GHCB_CHANGED,          /* is to change; that did change */
    SNP_STAT_MAX
} SnpStat;

void snp_stat(SnpStat what);
void snp_stat_rmpupdate(int code, const RmpUpdate *u);
void snp_stat_pvalidate(int code, bool unchanged, bool validate);
void snp_stat_npf(uint64_t info1);
/* Also by exit code and by ASID, plain guests' included */
void snp_stat_vmexit(uint64_t code, uint32_t asid);
/* A SEV-ES guest is entered, with these SEV_FEATURES. */
void snp_stat_features(uint64_t sev_features);
/* The CPU of this index executed WBINVD or WBNOINVD. */
void snp_stat_writeback(unsigned cpu);
/* Of -icount: @n more, executed by the guest of @asid or (0) the host */
void snp_stat_instructions(uint32_t asid, uint64_t n);
/* The same, once a CPU leaves: @n since it came. */
void snp_stat_visit(uint32_t asid, uint64_t n);
void snp_stat_vmgexit(uint64_t event);          /* SW_EXITCODE */
void snp_stat_vmgexit_msr(uint32_t request);    /* GHCB MSR bits 11:0 */
void snp_stat_vc(uint64_t code);
void snp_stat_firmware(uint32_t command, uint32_t status);
void snp_stat_injected(SnpInjectSite site);
/* @inject: its rules, with their counts, are shown, too */
char *snp_stats_json(SnpInject *inject);

#endif
