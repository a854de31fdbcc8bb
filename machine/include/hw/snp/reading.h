/*
 * Readings: what the machine does where the sources are silent
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each is a rule of machine/rules.tsv whose section says "stricter reading".
 * By default a machine takes that one; of the rules in an SnpReadings it takes
 * the looser one, whose text is given here. Rules that are as open but that
 * the machine could not do without say so in their rows, and are not here.
 *
 * This file and reading.c include nothing of QEMU.
 */
#ifndef HW_SNP_READING_H
#define HW_SNP_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Name, id of the rule, the looser reading */
#define SNP_READINGS(X)                                                     \
    X(FW_CMDBUF, "FW-CMDBUF",                                               \
      "a command buffer may cross pages, if all of it is memory")           \
    X(FW_DBG_OWNER, "FW-DBG-OWNER",                                         \
      "another guest's page is read and written with the guest's key")      \
    X(FW_DBG_SOURCE, "FW-DBG-SOURCE",                                       \
      "a page that is no guest's is read with the guest's key")             \
    X(FW_INIT_EX_NV_PAGES, "FW-INIT-EX-NV-PAGES",                           \
      "INIT_EX's storage may lie in the TMR")                               \
    X(FW_INIT_EX_RSVD, "FW-INIT-EX-RSVD",                                   \
      "reserved fields of INIT_EX are ignored")                             \
    X(FW_KEY_ALWAYS, "FW-KEY-ALWAYS",                                       \
      "only what was selected is in a derived key")                         \
    X(FW_KEY_MITIGATIONS, "FW-KEY-MITIGATIONS",                             \
      "mitigations that were not there at launch are left out of the key")  \
    X(FW_MSG_RSVD, "FW-MSG-RSVD",                                           \
      "reserved bytes of a message header are ignored")                     \
    X(FW_OUTPUT_OVERLAP, "FW-OUTPUT-OVERLAP",                               \
      "outputs may overlap; the second is whole")                           \
    X(FW_SEV_DBG_ACTIVE, "FW-SEV-DBG-ACTIVE",                               \
      "a SEV guest without an ASID can be debugged")                        \
    X(FW_SEV_DBG_STATE, "FW-SEV-DBG-STATE",                                 \
      "a SEV guest can be debugged before it is launched")                  \
    X(FW_SEV_DEACTIVATE, "FW-SEV-DEACTIVATE",                               \
      "DEACTIVATE of an inactive guest succeeds")                           \
    X(FW_SEV_INIT_RSVD, "FW-SEV-INIT-RSVD",                                 \
      "reserved fields and flags of INIT are ignored")                      \
    X(FW_STATUS_ADDRESS, "FW-STATUS-ADDRESS",                               \
      "a status may cross pages; both become Reclaim")                      \
    X(FW_UPDATE_VMSA, "FW-UPDATE-VMSA",                                     \
      "a VMSA is taken as it is; VMRUN refuses it")                         \
    X(IOMMU_RMP_SIZE, "IOMMU-RMP-SIZE",                                     \
      "a device's write through a mapping of 2M is judged by its own page") \
    X(IOMMU_SNP_STORE, "IOMMU-SNP-STORE",                                   \
      "COMPLETION_WAIT stores wherever the IOMMU may write")                \
    X(RMP_ADJUST_INUSE, "RMP-ADJUST-INUSE",                                 \
      "RMPADJUST of a VMSA page that a CPU holds succeeds")                 \
    X(RMP_CHECK_HV_2M, "RMP-CHECK-HV-2M",                                   \
      "a write through a leaf of 2M is judged by its own page")             \
    X(RMP_CHECK_SIZE, "RMP-CHECK-SIZE",                                     \
      "a private access goes through a leaf of any size")                   \
    X(RMP_INSN_LEAF, "RMP-INSN-LEAF",                                       \
      "PVALIDATE and RMPADJUST of 2M go through leaves of 4K")              \
    X(RMP_INSN_SIZEM, "RMP-INSN-SIZEM",                                     \
      "PVALIDATE and RMPADJUST of a 4K entry go through a larger leaf")     \
    X(RMP_QUERY_PRIVILEGE, "RMP-QUERY-PRIVILEGE",                           \
      "a VMPL may ask what it is permitted itself")                         \
    X(RMP_QUERY_RSVD, "RMP-QUERY-RSVD",                                     \
      "bits 63:8 of RMPQUERY's RDX are ignored")                            \
    X(RMP_QUERY_SIZE, "RMP-QUERY-SIZE",                                     \
      "RMPQUERY goes through a leaf of any size")                           \
    X(RMP_UPDATE_GPA, "RMP-UPDATE-GPA",                                     \
      "bits beyond the entry's are ignored, 2M need not be aligned")        \
    X(RMP_UPDATE_IMMUTABLE_2M, "RMP-UPDATE-IMMUTABLE-2M",                   \
      "RMPUPDATE of 2M takes HV-fixed pages but for the first")             \
    X(RMP_UPDATE_RSVD, "RMP-UPDATE-RSVD",                                   \
      "reserved bits of RMPUPDATE's operand are ignored")

typedef enum SnpReading {
    SNP_READING_NONE,           /* never loose */
#define X(name, id, text) SNP_READING_##name,
    SNP_READINGS(X)
#undef X
    SNP_NREADINGS
} SnpReading;

/* Those that are loose, a bit each. 0: the strict machine */
typedef uint64_t SnpReadings;

_Static_assert(SNP_NREADINGS <= 64, "one bit a reading");

#define SNP_READINGS_ALL ((((SnpReadings)1 << (SNP_NREADINGS - 1)) - 1) << 1)

static inline bool snp_loose_at(SnpReadings set, SnpReading r)
{
    return set >> r & 1;
}

/* By its name: snp_loose(r->loose, RMP_UPDATE_RSVD) */
#define snp_loose(set, name) snp_loose_at(set, SNP_READING_##name)

/* The rule's id, and what the looser reading is; NULL if there is none */
const char *snp_reading_id(SnpReading r);
const char *snp_reading_text(SnpReading r);

/*
 * "none", "all", or ids separated by ':'; NULL is "none". NULL and *set, or
 * the first part that is no id, of *len bytes, and *set as it was.
 */
const char *snp_readings_parse(const char *text, SnpReadings *set,
                               size_t *len);

#endif
