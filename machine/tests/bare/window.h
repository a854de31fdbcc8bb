/*
 * The regions under test: in memory, in the table, in the model
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BARE_WINDOW_H
#define BARE_WINDOW_H

#include "model.h"

#define WINDOW        0x08000000ul     /* memory that nobody else uses */
#define NSPOTS        3
extern const unsigned spots[NSPOTS];    /* pages of a region that are tried */

/* Pages that stay assigned while others are tried: contexts, VMSAs, images */
#define KEEP_PAGE(n)  (WINDOW + 5 * SIZE_2M + (n) * PAGE)
enum {
    KEEP_GCTX, KEEP_GCTX_OTHER, KEEP_VMSA = 8, KEEP_SEALED = 56, KEEP_MDATA,
    KEEP_IMAGE = 64
};

/*
 * Sets SNP up: SYSCFG, SNP_INIT_EX with a list of HV-fixed pages, a launching
 * guest that pages are measured into. A test of its own; bails if it fails.
 */
void window_init(void);

/* Before that: ASIDs whose ciphertext is to be hidden, 1 to this; 0: of none */
extern uint16_t init_hide;

/*
 * Is the table what the model says? Every entry of every region is looked at:
 * one that the model has not touched since has to be bit for bit as before. If
 * not, says so, and goes on with what the table has. Each test ends with a look
 * at all other entries of the table.
 */
bool window_check(void);

/* Instructions and commands that have to succeed, and change the model too */
void do_update(uint64_t spa, const Update *u);
void do_launch_update(uint64_t gctx, uint64_t spa, bool size_2m,
                      unsigned type);

/* What VMPL1, 2 and 3 may do to pages launched from now on: a byte each */
extern uint32_t launch_perms;

/* ---- the states ---- */

typedef enum State {
    HYPERVISOR, HV_FIXED, RECLAIM, FIRMWARE, CONTEXT, METADATA, PRE_GUEST,
    PRE_SWAP, SWAPPED, GUEST_INVALID, GUEST_VALID, VMSA, RMP_TABLE, UNCOVERED,
    NSTATES
} State;

extern const char *const state_name[NSTATES];

/*
 * Makes page @spot of a region be in that state, by an entry of that size, the
 * rest of the region the hypervisor's. NULL and the page; or why there can be
 * no such page.
 */
const char *state_make(State s, bool size_2m, unsigned spot, uint64_t *spa);

/* Says so, and counts it as one impossible cell. */
void state_cannot(State s, bool size_2m, const char *why);

/* NULL if the host knows what is in the page, or why not. */
const char *state_unknown(State s);
/* Is it memory at all? */
bool state_memory(State s);

#define GPA_BASE      0x40000000ul     /* of the region, in its guest */
#define MAGIC         0x736e70636f6e666ful
#define AT_WRITE      0xf00             /* offset for writes */
#define AT_MAGIC      0xff8
#define AT_CODE       0x800             /* a RET */
/* page table entries: accessed and dirty, not accessed, not dirty */
enum { PTE_HOST = 384, PTE_GUEST = 392, PTE_PLAIN = 400 };
enum { WALK_AD, WALK_SETS_A, WALK_SETS_D, NWALKS };
#define GPA_LANDING   0x1d000ul        /* where a guest's entries lead to */

#endif
