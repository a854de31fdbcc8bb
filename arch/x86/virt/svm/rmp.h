/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the RMP share; the public interface is asm/rmp.h. */
#ifndef _ARCH_X86_VIRT_SVM_RMP_H
#define _ARCH_X86_VIRT_SVM_RMP_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include <asm/rmp.h>

struct seq_file;

#define RMP_BOOKKEEPING_SIZE	0x4000UL	/* the processor's, before the entries */
#define RMP_PFNS_PER_2M		512UL

/*
 * An entry as it lies in memory. What is in it is known of family 19h (the PPR
 * calls it the RMP entry format); other families must be asked with RMPREAD.
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
	RMP_GUEST,		/* either: RMPREAD does not say whether valid */
	RMP_NR_STATES,
};

/*
 * An entry, wherever it was read. RMPREAD does not tell @validated and @vmsa:
 * @brief, and both are false.
 */
struct rmp_entry {
	u64 gpa;		/* bytes */
	u32 asid;
	bool assigned, huge, immutable;
	bool validated, vmsa;
	bool brief;
};

/*
 * The operand of RMPUPDATE, and what RMPREAD stores: there, of each byte, bit 0
 * is the field, and the others say something else.
 */
struct rmp_update {
	u64 gpa;
	u8 assigned;
	u8 pagesize;
	u8 immutable;
	u8 rsvd;
	u32 asid;
} __packed;

static_assert(sizeof(struct rmp_update) == 16);

/* Results of RMPUPDATE and PSMASH that mean "later", or something of its own */
#define RMP_FAIL_INUSE		3
#define RMP_FAIL_OVERLAP	4

/* Other CPUs and firmware hold an entry for the length of an instruction. */
#define RMP_MAX_SPINS		1000

/**
 * struct rmp_insns - What changes a table and reads it, and the direct map
 * @update:	RMPUPDATE; its result
 * @psmash:	PSMASH; its result
 * @read:	RMPREAD; its result, or -ENODEV if the CPU does not do it. NULL:
 *		entries are read in memory
 * @split:	make sure that the direct map does not map a page together with
 *		others that are not part of an entry of @level; 0 or -ENOMEM
 */
struct rmp_insns {
	int (*update)(u64 pfn, const struct rmp_update *state);
	int (*psmash)(u64 pfn);
	int (*read)(u64 pfn, struct rmp_update *state);
	int (*split)(u64 pfn, int level);
};

/*
 * @on: CPUs check the table. @list has the pages that were given away and not
 * had back, each with its enum snp_leak.
 */
struct rmp_stats {
	bool on;
	atomic_long_t leaked, updates, psmash;
	struct xarray list;
};

/* Entries of successive pages */
struct rmp_segment {
	struct rmp_raw *entries;	/* NULL: there are none */
	u64 npages;
};

/**
 * struct rmp_table - A reverse map table
 * @segments:	the first has the entries from page 0 on, each later one those
 *		of the next 1 << @shift pages, or of the first of them
 * @nr_segments: 0 without SNP
 * @shift:	see @segments; a table that is not segmented has one segment
 * @insns:	what changes it
 * @stats:	what was done to it
 *
 * All but the setup works on any table, so that tests can have their own.
 */
struct rmp_table {
	const struct rmp_segment *segments;
	unsigned int nr_segments;
	unsigned int shift;
	const struct rmp_insns *insns;
	struct rmp_stats *stats;
};

/* Without, its instructions are none, and what is in memory is void. */
static inline bool rmp_is_on(const struct rmp_table *t)
{
	return t->nr_segments && READ_ONCE(t->stats->on);
}

/* log2 of more pages than there are: all are the first segment's */
#define RMP_ONE_SEGMENT		40

/* Where the entries of a segment lie, and of which pages they are */
struct rmp_span {
	u64 base;		/* bytes */
	u64 size;		/* bytes */
	u64 pfn;
	u64 npages;
};

/* What the processor has; without segments if it has none. */
extern struct rmp_table rmp_host;
/* RMPREAD */
int rmp_cpu_read(u64 pfn, struct rmp_update *state);

/* rmp_boot.c: the first RMP_BOOKKEEPING_SIZE bytes, mapped */
extern void *rmp_bookkeeping;

/* rmp_switch.c: once rmp_host is set up */
void rmp_switch_init(void);

/* rmp_segment.c */
bool rmp_range_valid(u64 base, u64 end);
u64 rmp_size_for(u64 npages);
u64 rmp_pages_in(u64 size);
bool rmp_shift_valid(unsigned int shift, u32 cpuid_eax);
unsigned int rmp_max_segments(u32 cpuid_ebx);
bool rmp_span_of(u64 word, unsigned int index, unsigned int shift,
		 struct rmp_span *span);
const struct rmp_segment *rmp_segment_of(const struct rmp_table *t, u64 pfn,
					 u64 *index);
bool rmp_covers(const struct rmp_table *t, u64 pfn, u64 npages);
u64 rmp_first_uncovered(const struct rmp_table *t, u64 pfn, u64 end);

/* rmp_entry.c */
void rmp_decode(const struct rmp_raw *raw, struct rmp_entry *e);
enum rmp_page_state rmp_state_of(const struct rmp_entry *e);
int rmp_read_raw(const struct rmp_table *t, u64 pfn, struct rmp_raw *raw);
int rmp_read_one(const struct rmp_table *t, u64 pfn, struct rmp_entry *e);
int rmp_read_entry(const struct rmp_table *t, u64 pfn, struct rmp_entry *e,
		   int *level);
int rmp_lookup(const struct rmp_table *t, u64 pfn, bool *assigned, int *level);
bool rmp_is_foreign(const struct rmp_table *t, u64 pfn);
void rmp_dump(const struct rmp_table *t, u64 pfn);

/* rmp_ops.c: asm/rmp.h has what they do, for rmp_host */
void rmp_host_set_up(const struct rmp_segment *segments, unsigned int nr,
		     unsigned int shift);
int rmp_psmash(const struct rmp_table *t, u64 pfn);
int rmp_split_entry(const struct rmp_table *t, u64 pfn);
int rmp_to_guest(const struct rmp_table *t, u64 pfn, u64 gpa, int level,
		 u32 asid, bool immutable);
int rmp_to_firmware(const struct rmp_table *t, u64 pfn, unsigned int npages);
int rmp_to_hypervisor(const struct rmp_table *t, u64 pfn, int level);
void rmp_leak(const struct rmp_table *t, u64 pfn, unsigned int npages,
	      enum snp_leak why);

/* rmp_audit.c */
struct rmp_census {
	u64 pages[RMP_NR_STATES];
	u64 huge;
	u64 asid[RMP_NR_ASIDS];
	long leaked;
};

void rmp_count(const struct rmp_table *t, struct rmp_census *c);
bool rmp_balanced(const struct rmp_census *c);
void rmp_list_leaked(const struct rmp_table *t, struct seq_file *m);

#endif
