/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the RMP share; the public interface is asm/rmp.h. */
#ifndef _ARCH_X86_VIRT_SVM_RMP_H
#define _ARCH_X86_VIRT_SVM_RMP_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include <asm/rmp.h>

#define RMP_BOOKKEEPING_SIZE	0x4000UL	/* the processor's, before the entries */
#define RMP_PFNS_PER_2M		512UL

/*
 * An entry as it lies in memory on family 19h (the PPR calls it the RMP entry
 * format). Other families must be asked with RMPREAD.
 */
struct rmp_raw {
	u64 lo;
	u64 hi;
};

static_assert(sizeof(struct rmp_raw) == 16);

#define RMP_RAW_ASSIGNED	BIT_ULL(0)
#define RMP_RAW_2M		BIT_ULL(1)
#define RMP_RAW_IMMUTABLE	BIT_ULL(2)
#define RMP_RAW_GPA		GENMASK_ULL(50, 12)
#define RMP_RAW_ASID		GENMASK_ULL(60, 51)
#define RMP_RAW_VMSA		BIT_ULL(61)
#define RMP_RAW_VALIDATED	BIT_ULL(62)

#define RMP_NR_ASIDS		1024

enum rmp_page_state {
	RMP_HYPERVISOR,
	RMP_HV_FIXED,
	RMP_RECLAIM,
	RMP_FIRMWARE,
	RMP_CONTEXT,
	RMP_PRE_GUEST,
	RMP_GUEST_INVALID,
	RMP_GUEST_VALID,
	RMP_NR_STATES,
};

/* rmp_entry.c */
enum rmp_page_state rmp_state_of(struct rmp_raw e);
void rmp_set_table(void *table, u64 npages);
u64 rmp_covered_pages(void);
int rmp_read_raw(u64 pfn, struct rmp_raw *e);
int rmp_read_entry(u64 pfn, struct rmp_raw *e, int *level);
void rmp_dump(u64 pfn);

/* rmp_ops.c: pages given away and not had back; only statistics */
extern atomic_long_t rmp_nr_leaked, rmp_nr_updates, rmp_nr_psmash;
extern struct xarray rmp_leaked;

#endif
