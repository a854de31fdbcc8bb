/*
 * Reverse map table: entries, instructions, access check
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every 4K page of system memory below the end of coverage has one 16-byte
 * entry. What an entry says puts its page into one of ten states:
 *
 *  state          assigned asid immutable validated vmsa gpa
 *  Hypervisor         0     0       0         -      -    -
 *  HV-fixed           0     0       1         -      -    -
 *  Reclaim            1     0       0         -      -    -
 *  Firmware           1     0       1         -      0    0
 *  Context            1     0       1         -      1    -
 *  Metadata           1     0       1         -      0   !=0
 *  Pre-guest          1    !=0      1         0      any  gpa
 *  Pre-swap           1    !=0      1         1      any  gpa
 *  Guest-invalid      1    !=0      0         0      any  gpa
 *  Guest-valid        1    !=0      0         1      any  gpa
 *
 * Who may touch a page, and how it leaves its state. Reads by the host and
 * shared (C=0) reads by a guest are never refused, so only the rest is listed.
 * "update" is RMPUPDATE, which the host may execute on any entry that is not
 * immutable, and which always leads to Hypervisor (assigned=0), Reclaim
 * (asid 0), Firmware or Metadata (asid 0, immutable), Pre-guest (asid,
 * immutable) or Guest-invalid (asid).
 *
 *  state          may write            leaves by
 *  Hypervisor     host, plain guests,  update; SNP_INIT_EX -> HV-fixed or
 *                 C=0 accesses         Firmware; PAGE_SET_STATE -> HV-fixed
 *  HV-fixed       as Hypervisor        SNP shutdown
 *  Reclaim        nobody               update
 *  Firmware       firmware             GCTX_CREATE -> Context; PAGE_MD_INIT or
 *                                      PAGE_SWAP_IN -> Metadata; PAGE_RECLAIM
 *                                      or SNP_PLATFORM_STATUS -> Reclaim
 *  Context        firmware             DECOMMISSION -> Firmware
 *  Metadata       firmware             PAGE_SWAP_OUT -> Firmware;
 *                                      PAGE_RECLAIM -> Reclaim
 *  Pre-guest      firmware             LAUNCH_UPDATE -> Guest-valid; PAGE_MOVE,
 *                                      PAGE_SWAP_IN -> Guest-valid or -invalid;
 *                                      as Pre-swap
 *  Pre-swap       firmware             PAGE_MOVE, PAGE_SWAP_OUT -> Firmware;
 *                                      PAGE_RECLAIM -> Reclaim
 *  Guest-invalid  nobody               update; PVALIDATE -> Guest-valid
 *  Guest-valid    its guest, within    update; PVALIDATE -> Guest-invalid
 *                 the VMPL's rights
 *
 * A 2M entry lives in the slot of its first page and governs 512 pages; the
 * other 511 slots have only `assigned` set. An entry that is not assigned
 * never has the size bit.
 *
 * Concurrency: every function that changes the table takes Rmp.lock for a
 * bounded time and calls nobody but Rmp.rekey while holding it. Readers take
 * no lock: at any moment a reader gets either state, or one that permits less
 * than both.
 *
 * This file and rmp.c include nothing of QEMU, so that the same code is
 * linked into the unit tests. spa and gpa are in bytes throughout.
 *
 * AMD64 Architecture Programmer's Manual volume 2, 15.36; volume 3, RMPUPDATE,
 * PSMASH, PVALIDATE, RMPADJUST, RMPQUERY, RMPREAD. Entry layout: PPR of family
 * 19h.
 */
#ifndef HW_SNP_RMP_H
#define HW_SNP_RMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hw/snp/reading.h"

#define RMP_BOOKKEEPING   0x4000u          /* bytes before the entry of pa 0 */
#define RMP_ENTRY_SIZE    16u
#define RMP_PAGE_SIZE     0x1000ull
#define RMP_2M_SIZE       0x200000ull
#define RMP_2M_PAGES      512u
#define RMP_GPA_MASK      0x0007fffffffff000ull
#define RMP_RST_SIZE      0x1000u          /* segment table, behind those */
#define RMP_SEGMENTS      64u              /* in ours; Fn8000_0025 says so */
#define RMP_ASID_LIMIT    0x3ffu           /* ten bits in the entry */
#define RMP_VMPLS         4u

/* VMPL permission mask, as in RMPADJUST RDX[15:8] */
#define RMP_PERM_R        0x01u
#define RMP_PERM_W        0x02u
#define RMP_PERM_UX       0x04u
#define RMP_PERM_SX       0x08u
#define RMP_PERM_SSS      0x10u
#define RMP_PERM_ALL      0x1fu

typedef enum RmpState {
    RMP_HYPERVISOR,
    RMP_HV_FIXED,
    RMP_RECLAIM,
    RMP_FIRMWARE,
    RMP_CONTEXT,
    RMP_METADATA,
    RMP_PRE_GUEST,
    RMP_PRE_SWAP,
    RMP_GUEST_INVALID,
    RMP_GUEST_VALID,
    RMP_NSTATES
} RmpState;

/* One entry, decoded. gpa is page aligned; perms[i] is the mask of VMPL i. */
typedef struct RmpEntry {
    bool assigned, size_2m, immutable, vmsa, validated, in_use;
    uint32_t asid;
    uint64_t gpa;
    uint8_t perms[RMP_VMPLS];
} RmpEntry;

/* The part of a segmented table that is for the pages of one segment */
typedef struct RmpSegment {
    uint8_t *entries;   /* host pointer to the entry of its first page */
    uint64_t npages;    /* 4K pages covered, from there; 0: no segment */
    uint64_t spa;       /* where the entries lie */
} RmpSegment;

typedef struct Rmp {
    /*
     * Host pointer to the entry of pa 0 or, segmented, to the segment table,
     * which nobody here reads; NULL: no table
     */
    uint8_t *entries;
    uint64_t npages;    /* 4K pages from pa 0 to the end of coverage */
    uint64_t base, end; /* the table with its bookkeeping; end is inclusive */
    /*
     * Segment i is of the pages from i << segment_shift on. 0: not segmented.
     * Then all pages below npages are covered, else those of each segment.
     */
    unsigned segment_shift;
    RmpSegment segment[RMP_SEGMENTS];
    /*
     * Entries lie in memory in a layout of our own and not in family 19h's:
     * for processors with RMPREAD, whose layout nobody documents.
     */
    bool opaque;
    bool write_in_use;  /* software may write to pages that a CPU holds */
    uint32_t max_asid;
    unsigned nvmpls;    /* at most RMP_VMPLS */
    SnpReadings loose;  /* fixed before the first access */
    uint32_t lock;      /* of the writers; see rmp_lock() */
    bool held;          /* the firmware makes it: nobody else writes to it */
    /*
     * If set: told of every 4K page that is about to change from one key to
     * another (see rmp_key()), with the lock held. Must not take it.
     */
    void (*rekey)(void *opaque, uint64_t spa, uint32_t from, uint32_t to);
    void *rekey_opaque;
} Rmp;

/*
 * Nothing changes the table meanwhile. Not recursive; while it is held call
 * only what reads (rmp_get() and the like) or transforms a page (rekey), for a
 * bounded time: at most a walk of the whole table.
 */
void rmp_lock(Rmp *r);
void rmp_unlock(Rmp *r);

/* Is there an entry for this page? Without one it is Hypervisor for ever. */
bool rmp_covered(const Rmp *r, uint64_t spa);

/*
 * The entry that governs the 4K page of @spa: a 2M entry answers for its 512
 * pages, with gpa adjusted to the page. in_use is that of the page's own slot.
 * A page that is not covered gives an entry of zeros.
 */
void rmp_get(const Rmp *r, uint64_t spa, RmpEntry *e);

/* Exactly the slot of the page, whatever a 2M entry says about it. */
void rmp_get_raw(const Rmp *r, uint64_t spa, RmpEntry *e);

RmpState rmp_state(const RmpEntry *e);

/*
 * The ASID with whose key the page's content is enciphered for all others.
 * 0: with none. A Pre-guest page is not yet the guest's: what LAUNCH_UPDATE
 * makes private is what the host left there.
 */
uint32_t rmp_key(const RmpEntry *e);

const char *rmp_state_name(RmpState s);

/* EAX of the RMP instructions */
enum {
    RMP_SUCCESS = 0,
    RMP_FAIL_INPUT = 1,
    RMP_FAIL_PERMISSION = 2,
    RMP_FAIL_INUSE = 3,
    RMP_FAIL_OVERLAP = 4,
    RMP_FAIL_SIZEMISMATCH = 6,
    RMP_FAIL_BADADDR = 7,
};

/* RMPUPDATE's memory operand */
typedef struct RmpUpdate {
    uint64_t gpa;
    uint8_t assigned, pagesize, immutable, rsvd;
    uint32_t asid;
} RmpUpdate;

_Static_assert(sizeof(RmpUpdate) == 16, "RMPUPDATE operand");
_Static_assert(offsetof(RmpUpdate, assigned) == 8, "RMPUPDATE operand");
_Static_assert(offsetof(RmpUpdate, pagesize) == 9, "RMPUPDATE operand");
_Static_assert(offsetof(RmpUpdate, immutable) == 10, "RMPUPDATE operand");
_Static_assert(offsetof(RmpUpdate, asid) == 12, "RMPUPDATE operand");

/*
 * RMPUPDATE and PSMASH. The caller has done what comes before the entry is
 * looked at: #UD, #GP, reading the operand, FAIL_PERMISSION in a guest. On
 * success it drops cached translations of the page (2M: of the 512 pages).
 * Anything but RMP_SUCCESS leaves the whole table as it was.
 */
int rmp_update(Rmp *r, uint64_t spa, const RmpUpdate *u);
int rmp_psmash(Rmp *r, uint64_t spa);

/* RMPREAD's output: RMPUPDATE's operand, and this bit of pagesize */
#define RMP_READ_REGION   0x02u

/*
 * RMPREAD, of which as above the caller has done the first part: the entry
 * that governs the page. *out is set with RMP_SUCCESS only.
 */
int rmp_read(const Rmp *r, uint64_t spa, RmpUpdate *out);

/* What becomes of a guest's access or guest instruction */
typedef enum RmpVerdict {
    RMP_ALLOW,
    RMP_FAULT,              /* host #PF or #NPF with bit 31 */
    RMP_FAULT_SIZEM,        /* #NPF with bits 31 and 35 */
    RMP_FAULT_VMPL,         /* #NPF with bits 31 and 36 */
    RMP_FAULT_UNVALIDATED,  /* #VC in the guest, error code 404h */
} RmpVerdict;

/*
 * PVALIDATE and RMPADJUST, once the address is translated; @leaf_2m: the
 * nested leaf is of 2M or 1G. RMP_ALLOW: the instruction ends with *code in
 * EAX, and the table changed only if *code is RMP_SUCCESS (and, for
 * PVALIDATE, *unchanged is false; it is what goes to CF). Any other verdict:
 * nothing changed, *code and *unchanged are not set.
 *
 * The caller flushes translations after an effective PVALIDATE with
 * validate=0 and after RMPADJUST.
 */
RmpVerdict rmp_pvalidate(Rmp *r, uint64_t spa, uint64_t gpa, uint32_t asid,
                         bool leaf_2m, bool size_2m, bool validate,
                         int *code, bool *unchanged);
RmpVerdict rmp_adjust(Rmp *r, uint64_t spa, uint64_t gpa, uint32_t asid,
                      unsigned cur_vmpl, bool leaf_2m, bool size_2m,
                      uint64_t rdx, int *code);

/*
 * May RDX be RMPADJUST's operand? The instruction finds out before it
 * translates the address: false is FAIL_INPUT. rmp_adjust() repeats it.
 */
bool rmp_adjust_operand_ok(const Rmp *r, uint64_t rdx);

/*
 * RMPQUERY, once the address is translated: of the page's entry, which stays
 * as it is. RMP_ALLOW: the instruction ends with *code in EAX; if that is
 * RMP_SUCCESS, *rdx has become what goes to RDX (the VMPL it named, that one's
 * mask, the VMSA attribute) and *size_2m what goes to RCX. Else, and with any
 * other verdict, neither is touched.
 */
RmpVerdict rmp_query(Rmp *r, uint64_t spa, uint64_t gpa, uint32_t asid,
                     unsigned cur_vmpl, bool leaf_2m, uint64_t *rdx,
                     bool *size_2m, int *code);

/* As rmp_adjust_operand_ok(): RDX of RMPQUERY */
bool rmp_query_operand_ok(const Rmp *r, uint64_t rdx);

/* One access, after all page tables agreed to it; spa is the final address. */
typedef struct RmpAccess {
    uint64_t spa, gpa;
    uint32_t asid;
    uint8_t vmpl;
    bool guest, snp;    /* snp: SNP is active in the guest */
    bool cbit;          /* effective; fetches and walks are private anyway */
    bool write, fetch, user;
    bool table;         /* of a page table walk; write: it sets A or D */
    bool leaf_2m;       /* mapped by a leaf of 2M or 1G (guest: nested) */
    bool fresh;         /* pages that a CPU holds are judged, too */
} RmpAccess;

RmpVerdict rmp_check(const Rmp *r, const RmpAccess *a);

/* May a device write there, through a leaf of 2M or 1G of its IOMMU's? */
bool rmp_check_device_write(const Rmp *r, uint64_t spa, bool leaf_2m);

/* May VMRUN use the page as VMSA? false: exit code -1. 4K page. */
bool rmp_check_vmsa(const Rmp *r, uint64_t spa, uint32_t asid, bool snp);

/*
 * Pages that the CPU itself holds while a guest runs (VMCB, VMSA, AVIC page).
 * rmp_try_in_use() takes the page and returns false if it is taken already.
 * Pages that are not covered can always be taken and are not marked.
 */
bool rmp_try_in_use(Rmp *r, uint64_t spa);
void rmp_set_in_use(Rmp *r, uint64_t spa, bool in_use);

/*
 * The firmware's own transitions, the only ones out of an immutable state.
 * The 4K entry (or, with e->size_2m, the 2M entry) of @spa becomes @e, except
 * in_use, which stays. A 4K page inside a 2M entry is broken out of it first.
 * No checks; pages that are not covered are ignored.
 */
void rmp_fw_set(Rmp *r, uint64_t spa, const RmpEntry *e);

/* Zero every entry: all pages are Hypervisor. */
void rmp_clear(Rmp *r);

#endif
