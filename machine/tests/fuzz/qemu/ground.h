/*
 * Fuzz targets of the processor: a host and a guest on the ground of world.h
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_GROUND_H
#define TESTS_FUZZ_GROUND_H

#include "world.h"
#include "target/i386/svm.h"
#include "target/i386/snp/snp.h"
#include "target/i386/snp/vmsa.h"

/* the host's own */
#define HOST_PT       GROUND            /* and two directories behind */
#define VMCB          (GROUND + 0x4000)
#define HSAVE         (GROUND + 0x5000)
#define MAPS          (GROUND + 0x10000)
#define NPT           (GROUND + 0x20000)
#define HOST_DATA     (GROUND + 0x28000)
/* the guest's, of which the nested page table has no others */
#define GUEST         (GROUND + 0x80000)
#define VMSA          GUEST
#define OTHER_VMSA    (GUEST + 0x1000)
#define GUEST_PT      (GUEST + 0x8000)
#define CODE          (GUEST + 0x10000)
#define DATA          (GUEST + 0x18000)
#define GUEST_IDT     (GUEST + 0x1e000)
#define SHARED        (GUEST + 0x20000)
#define GHCB          SHARED
#define GUEST_END     (GUEST + 0x30000)

#define ASID          1u
#define OTHER_ASID    2u

typedef enum Kind { SNP, ES, SEV, PLAIN, NKINDS } Kind;

/* A host in 64-bit mode, SNP enabled, and a guest of each kind; once */
void ground_prepare(void);
/* Which of them the VMCB is to be of */
void ground_kind(Kind kind);

/* For world_try(): RAX is the VMCB's address */
void ground_vmrun(CPUX86State *env, void *unused);
/* A guest leaves, if it is one. Without the BQL */
void ground_leave(uint64_t exit_code);

/* Of the input: an address that means something, a number that often does */
uint64_t some_place(void);
uint64_t some_value(void);

/* What has to be as it was when no guest runs */
void ground_note_host(void);
void ground_check_host(void);
/* The entries of the ground are ones that there can be */
void ground_check_rmp(void);

#endif
