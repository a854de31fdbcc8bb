/*
 * What the manuals say becomes of the RMP
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A model of a few 2 MiB regions, written from the rules (machine/rules.tsv
 * has the ids) and not from the machine: a region is one entry of 2M or 512
 * entries of 4K. It knows nothing of how entries lie in memory, but for
 * window.c, which compares.
 *
 * APM volume 2, 15.36; volume 3, RMPUPDATE, PSMASH, PVALIDATE, RMPADJUST,
 * RMPQUERY.
 */
#ifndef BARE_MODEL_H
#define BARE_MODEL_H

#include "bare.h"

typedef struct Entry {
    bool assigned, immutable, vmsa, validated;
    uint32_t asid;
    uint64_t gpa;
    uint32_t perms;         /* of VMPL1 to 3, a byte each, if it is validated */
} Entry;

typedef struct Region {
    uint64_t base;
    bool large;             /* e[0] is the entry of all 512 pages */
    Entry e[PAGES_2M];
    bool touched[PAGES_2M]; /* since window_check() */
} Region;

#define MAX_REGIONS 10
extern Region regions[MAX_REGIONS];
extern unsigned nregions;

/* Set once: what the platform has */
typedef struct Platform {
    uint64_t rmp_base, rmp_end, covered;    /* covered: bytes from 0 */
    uint32_t max_asid, min_sev_asid;
    unsigned vmpls;
} Platform;

extern Platform platform;

Region *region_of(uint64_t spa);        /* NULL: in none */
/* The entry that governs the page, gpa adjusted; unassigned if in none */
Entry entry_of(uint64_t spa, bool *size_2m);
void model_set(uint64_t spa, const Entry *e, bool size_2m);
/* The entry of 2M becomes 512, each for its page */
void model_break(uint64_t spa);
bool region_changed(void);              /* was any touched? */

/* RMPUPDATE's operand */
typedef struct Update {
    uint64_t gpa;
    uint8_t assigned, size, immutable, rsvd;
    uint32_t asid;
} Update;
_Static_assert(sizeof(Update) == 16, "APM volume 3, RMPUPDATE");

enum {
    OK = 0, FAIL_INPUT = 1, FAIL_PERMISSION = 2, FAIL_INUSE = 3,
    FAIL_OVERLAP = 4, FAIL_SIZEMISMATCH = 6, FAIL_BADADDR = 7,
};

/* The status; the model changes if it is OK. */
int model_update(uint64_t spa, const Update *u);
int model_psmash(uint64_t spa);

/* Is the page, or the 2 MiB around it if mapped so, the hypervisor's? */
bool model_hv_owned(uint64_t spa, bool leaf_2m);

/* What becomes of an access or an instruction of a guest */
typedef enum Verdict {
    V_DONE,                 /* with a status, if it is an instruction */
    V_NPF,                  /* #NPF, bit 31 */
    V_NPF_SIZEM,            /* and bit 35 */
    V_VC,                   /* #VC 404h in the guest */
} Verdict;

typedef enum Guest { OWNER, OTHER, PLAIN, NGUESTS } Guest;
extern const uint32_t asid_of[NGUESTS];

typedef struct Access {
    Guest guest;
    uint64_t spa, gpa;
    bool c, write, fetch, table;    /* c: the leaf's C-bit */
    bool leaf_2m;                   /* of the nested page tables */
} Access;

Verdict model_access(const Access *a);
/* @va: the guest's virtual address. *cf: what goes to CF. */
Verdict model_pvalidate(const Access *a, uint64_t va, bool size_2m,
                        bool validate, int *code, bool *cf);
Verdict model_rmpadjust(const Access *a, uint64_t va, uint64_t rcx,
                        uint64_t rdx, int *code);
/* By VMPL @vmpl; *rcx and *rdx become what the instruction leaves there. */
Verdict model_rmpquery(const Access *a, unsigned vmpl, uint64_t *rcx,
                       uint64_t *rdx, int *code);

#endif
