/*
 * Secure processor firmware: the table of commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One row a command id, in fw_commands.c. From the same rows fw_table.c checks
 * what commands have in common, `lab/snp list --firmware` writes
 * machine/FIRMWARE.md, and the unit tests derive their cases.
 *
 * A command is refused with the first of these that applies:
 *
 *  no such row, or of trusted I/O, and
 *  there is none                        INVALID_COMMAND
 *  not in one of its platform states    INVALID_PLATFORM_STATE
 *  the buffer is no memory, or crosses
 *  a page                               INVALID_ADDRESS
 *  the buffer is written to, and, with
 *  SNP on, not in a Firmware page       INVALID_PAGE_STATE
 *  names no guest                       INVALID_ADDRESS, INVALID_GUEST
 *  not in one of its guest states       INVALID_GUEST_STATE
 *  the guest has no ASID, or has one    INACTIVE, ACTIVE
 *  then its own errors, in their order
 */
#ifndef HW_SNP_FW_TABLE_H
#define HW_SNP_FW_TABLE_H

#include "hw/snp/fw.h"

/* Platform states: at least one of each kind */
#define SEV_U    0x01u
#define SEV_I    0x02u
#define SEV_W    0x04u
#define SEV_ON   (SEV_I | SEV_W)
#define SEV_ANY  (SEV_U | SEV_ON)
#define SNP_U    0x10u
#define SNP_I    0x20u
#define SNP_ANY  (SNP_U | SNP_I)
#define ANY      (SEV_ANY | SNP_ANY)

/* Guest states; a command without any takes no guest, or finds it itself */
#define SNPG_INIT    (1u << SNP_GUEST_INIT)
#define SNPG_LAUNCH  (1u << SNP_GUEST_LAUNCH)
#define SNPG_RUN     (1u << SNP_GUEST_RUNNING)
#define SNPG_ANY     (SNPG_INIT | SNPG_LAUNCH | SNPG_RUN)
#define SEVG_UPDATE  (1u << SEV_GUEST_LUPDATE)
#define SEVG_SECRET  (1u << SEV_GUEST_LSECRET)
#define SEVG_RUN     (1u << SEV_GUEST_RUNNING)
#define SEVG_SENDING (1u << SEV_GUEST_SUPDATE)
#define SEVG_COMING  (1u << SEV_GUEST_RUPDATE)
#define SEVG_SENT    (1u << SEV_GUEST_SENT)
#define SEVG_ANY     (SEVG_UPDATE | SEVG_SECRET | SEVG_RUN | SEVG_SENDING | \
                      SEVG_COMING | SEVG_SENT)

/* Bytes of the largest command buffer */
#define FW_BUF_MAX   80u

typedef enum FwActive { FW_EITHER, FW_WITH_ASID, FW_WITHOUT_ASID } FwActive;

/* One way to fail; the rule, of machine/rules.tsv, is named at the check */
typedef struct FwError {
    uint16_t status;            /* 0: end of the list */
    const char *rule;
} FwError;

struct FwBuf;
typedef uint32_t FwHandler(SnpFw *fw, struct FwBuf *c);

typedef struct FwCommand {
    uint16_t id;
    uint8_t len;                /* of the buffer, in bytes; 0: none */
    bool ours;                  /* no source has its layout and its order */
    bool writes;                /* to the buffer itself */
    uint8_t platform;           /* states it runs in */
    uint8_t snp, sev;           /* the guest's; at most one is not 0 */
    uint8_t gctx;               /* where in the buffer an SNP guest is named */
    uint8_t active;             /* FwActive */
    uint8_t loose_state, loose_active;  /* SnpReading: these do not matter */
    uint8_t to_platform;        /* states it leaves; 0: as they were */
    uint8_t to_guest;
    bool tio;                   /* only where there is trusted I/O */
    uint16_t answer;            /* SnpFwStatus: what it says when it is done */
    const char *name;
    const char *layout;         /* "offset name bytes, ...", offset in hex */
    const char *effect;
    const FwError *errors;      /* its own, in the order of their checks */
    FwHandler *run;
} FwCommand;

/* In the order of their ids */
extern const FwCommand fw_commands[];
extern const unsigned fw_ncommands;

/* NULL: no row */
const FwCommand *fw_command(uint32_t id);

#endif
