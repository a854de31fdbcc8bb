/*
 * Bare guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Three guests of the same image: two SNP guests, launched by the firmware,
 * and an ordinary one. Each run is one operation, begun from a VMSA or a save
 * area made anew, so that nothing of a refused operation is left.
 */
#ifndef BARE_VM_H
#define BARE_VM_H

#include "window.h"

/* Two windows of guest memory lead to the region that is tried. */
enum { WAY_RIGHT, WAY_OTHER, NWAYS };   /* at the entry's address, another */
#define GPA_OF(way)   (GPA_BASE + (way) * SIZE_2M)

extern char blob[], blob_end[], g_read[], g_write[], g_fetch[],
            g_pvalidate[], g_rmpadjust[], g_rescind[], g_rescind_code[],
            g_traps[], g_rmpquery[], g_debug_turn[], g_tsc[], g_clock[],
            g_spin[], g_wait[], g_hammer[];
#define HAMMERED      0x736e7070ul      /* the upper half of what it writes */

/* What the guest says; the page is shared with it */
typedef struct Answer {
    uint64_t kind;      /* 0: nothing */
    uint64_t rax, carry;
    uint64_t vector, error, cr2, rip;
    uint64_t rsvd;
    uint64_t more[16];      /* what else an operation has to say */
} Answer;
enum { ANSWER_NONE, ANSWER_DONE, ANSWER_TRAP };

typedef struct Exit {
    uint64_t code, info1, info2;
    Answer answer;
} Exit;

#define EXIT_VMMCALL  0x081ul
#define EXIT_NPF      0x400ul
#define EXIT_VMGEXIT  0x403ul

#define NPF_P         (1ul << 0)
#define NPF_W         (1ul << 1)
#define NPF_I         (1ul << 4)
#define NPF_RMP       (1ul << 31)
#define NPF_FINAL     (1ul << 32)
#define NPF_TABLE     (1ul << 33)
#define NPF_ENC       (1ul << 34)
#define NPF_SIZEM     (1ul << 35)
#define NPF_VMPL      (1ul << 36)

/* After window_init(): launches the guests. */
void vm_init(void);

/* The two windows lead to the 2 MiB around @spa, by leaves of that size. */
void vm_window(uint64_t spa, bool leaf_2m);

/* The first 4K leaf of the windows; this one has a bit no host may set. */
void vm_leaf(uint64_t pte);
#define NPT_RESERVED  (1ul << 50 | PTE_P | PTE_W | PTE_U)

/* The guest's virtual address of a byte of the window */
uint64_t vm_va(unsigned way, bool c, uint64_t spa);
/* The same page as page table: what its entry @index leads to. @spot as made */
uint64_t vm_table_va(unsigned way, unsigned spot, unsigned index);

/*
 * Called before each run, if set, once VMCB and save area (of an SNP guest:
 * its VMSA) are filled, to spoil them.
 */
extern void (*vm_spoil)(uint8_t *vmcb, uint8_t *save);
/* To be used instead of the guest's own VMSA; 0: none */
extern uint64_t vm_vmsa;
extern uint8_t vmcb[4096], hsave[4096];
/* The VMSA of the last run, which the host can read: nothing is enciphered */
uint8_t *vm_vmsa_of(Guest g);

/* A VMSA for a guest to make one of, and not the firmware */
void vm_fill_vmsa(void *page, const char *op);

/* VMRUN again, of the same guest as it left */
void vm_again(Exit *x);
/* Is GIF to stay clear behind #VMEXIT, with what is pending? */
extern bool gif_stays_clear;
/* VMRUN with @vmcb as operand: does it raise #GP? */
bool vm_gp(uint64_t vmcb);

/* All but VMRUN of what vm_run() does */
void vm_prepare(Guest g, const char *op, uint64_t rax, uint64_t rcx,
                uint64_t rdx);
/* Words that host and guest share: g_spin sets 0, g_wait ends if 1 is not 0 */
volatile uint64_t *vm_flag(unsigned n);
/* Where its guest has that word */
uint64_t vm_flag_gpa(unsigned n);

void vm_run(Guest g, const char *op, uint64_t rax, uint64_t rcx, uint64_t rdx,
            Exit *x);

#endif
