// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the entries of a page lie: a table in one piece, or in segments.
 *
 * Pure arithmetic. APM vol 2, section 15.36.4, "Segmented RMP".
 */
#include <linux/bitfield.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/sizes.h>

#include "rmp.h"

/* RMP_BASE and RMP_END */
#define RMP_ADDR_MASK		GENMASK_ULL(51, 13)

/* A word of the segment table: GiB of memory, and where their entries are */
#define RST_GIB			GENMASK_ULL(19, 0)
#define RST_BASE		GENMASK_ULL(51, 20)
#define RST_WORDS		(SZ_4K / sizeof(u64))

/* CPUID Fn8000_0025 */
#define EAX_SHIFT_MIN		GENMASK(5, 0)
#define EAX_SHIFT_MAX		GENMASK(11, 6)
#define EBX_SEGMENTS		GENMASK(9, 0)
#define EBX_SEGMENTS_VALID	BIT(10)

#define PAGES_PER_GIB		(SZ_1G / PAGE_SIZE)

/* Is there a table between the values of RMP_BASE and RMP_END? */
bool rmp_range_valid(u64 base, u64 end)
{
	return (base & RMP_ADDR_MASK) && (end & RMP_ADDR_MASK) && base <= end &&
	       end - base >= RMP_BOOKKEEPING_SIZE;
}

/* Bytes of a table that has entries for the first @npages pages. */
u64 rmp_size_for(u64 npages)
{
	return RMP_BOOKKEEPING_SIZE + npages * sizeof(struct rmp_raw);
}

/* Pages that have an entry in a table of @size bytes, which is valid. */
u64 rmp_pages_in(u64 size)
{
	return (size - RMP_BOOKKEEPING_SIZE) / sizeof(struct rmp_raw);
}

/*
 * May a segment be of 1 << @shift bytes, by CPUID Fn8000_0025 EAX? Less than a
 * GiB it never is, as the segment table counts in these.
 */
bool rmp_shift_valid(unsigned int shift, u32 cpuid_eax)
{
	return shift >= FIELD_GET(EAX_SHIFT_MIN, cpuid_eax) &&
	       shift <= FIELD_GET(EAX_SHIFT_MAX, cpuid_eax) &&
	       shift >= ilog2(SZ_1G) && shift < 52;
}

/* How many words of the segment table count, by CPUID Fn8000_0025 EBX. */
unsigned int rmp_max_segments(u32 cpuid_ebx)
{
	if (!(cpuid_ebx & EBX_SEGMENTS_VALID))
		return RST_WORDS;

	/* The field could say more than there is room for. */
	return min_t(unsigned int, FIELD_GET(EBX_SEGMENTS, cpuid_ebx), RST_WORDS);
}

/*
 * What word @index of the segment table says, with segments of 1 << @shift
 * bytes. False if there are no entries for that memory; @span is untouched
 * then. A segment never covers more than its size.
 */
bool rmp_span_of(u64 word, unsigned int index, unsigned int shift,
		 struct rmp_span *span)
{
	u64 pages = 1ULL << (shift - PAGE_SHIFT);
	u64 gib = FIELD_GET(RST_GIB, word);

	if (!gib)
		return false;

	span->base = word & RST_BASE;
	span->pfn = index * pages;
	span->npages = min(gib * PAGES_PER_GIB, pages);
	span->size = span->npages * sizeof(struct rmp_raw);
	return true;
}

/*
 * The segment that has an entry for @pfn, and which of its entries; NULL if
 * there is none. @pfn may come from a guest, so nothing is speculated past.
 */
const struct rmp_segment *rmp_segment_of(const struct rmp_table *t, u64 pfn,
					 u64 *index)
{
	const struct rmp_segment *s;
	u64 n = pfn >> t->shift, i = pfn & ((1ULL << t->shift) - 1);

	if (n >= t->nr_segments)
		return NULL;

	s = &t->segments[array_index_nospec(n, t->nr_segments)];
	if (!s->entries || i >= s->npages)
		return NULL;

	*index = array_index_nospec(i, s->npages);
	return s;
}

/* Do all of @npages pages, at most 2 MiB that are aligned, have entries? */
bool rmp_covers(const struct rmp_table *t, u64 pfn, u64 npages)
{
	u64 i;

	/* Segments are of GiB, and so is what they cover. */
	return pfn + npages > pfn && rmp_segment_of(t, pfn, &i) &&
	       rmp_segment_of(t, pfn + npages - 1, &i);
}

/* The first page from @pfn on that has no entry, or @end if there is none. */
u64 rmp_first_uncovered(const struct rmp_table *t, u64 pfn, u64 end)
{
	const struct rmp_segment *s;
	u64 i;

	while (pfn < end) {
		s = rmp_segment_of(t, pfn, &i);
		if (!s)
			return pfn;
		pfn += s->npages - i;
	}

	return end;
}
