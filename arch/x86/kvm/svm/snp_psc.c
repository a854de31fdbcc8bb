// SPDX-License-Identifier: GPL-2.0-only
/* Page state change batches; see snp_psc.h. */
#include <kunit/visibility.h>
#include <linux/align.h>
#include <linux/bitfield.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/export.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "snp_psc.h"

/*
 * Reserved bits are not looked at, here and below: OVMF leaves in them what
 * was on its stack before.
 */
#define HDR_CUR		GENMASK_ULL(15, 0)
#define HDR_END		GENMASK_ULL(31, 16)

#define ENTRY_CUR_PAGE	GENMASK_ULL(11, 0)
#define ENTRY_GFN	GENMASK_ULL(51, 12)
#define ENTRY_OP	GENMASK_ULL(55, 52)
#define ENTRY_2M	BIT_ULL(56)

#define PAGES_2M	512

static u64 entry_pages(u64 entry)
{
	return entry & ENTRY_2M ? PAGES_2M : 1;
}

static bool entry_valid(u64 entry)
{
	u64 op = FIELD_GET(ENTRY_OP, entry);

	if (op < PSC_OP_PRIVATE || op > PSC_OP_UNSMASH)
		return false;
	if (!IS_ALIGNED(FIELD_GET(ENTRY_GFN, entry), entry_pages(entry)))
		return false;

	return FIELD_GET(ENTRY_CUR_PAGE, entry) <= entry_pages(entry);
}

/* Hints about the size of RMP entries need no act, nor does what is done. */
static bool entry_noop(u64 entry)
{
	return FIELD_GET(ENTRY_OP, entry) >= PSC_OP_PSMASH ||
	       FIELD_GET(ENTRY_CUR_PAGE, entry) == entry_pages(entry);
}

/*
 * The guest writes to its batch meanwhile. One load each: what is read is what
 * stood there at some time, and not half of it. It need not be aligned.
 */
static u64 read_once(const void *p)
{
	return READ_ONCE(*(const u64 *)p);
}

u64 psc_batch_load(struct psc_batch *b, const void *buf, size_t len)
{
	size_t n, i;
	u64 hdr;

	BUILD_BUG_ON(sizeof(b->entry[0]) != PSC_ENTRY_SIZE);
	BUILD_BUG_ON(sizeof(hdr) != PSC_HDR_SIZE);

	if (len < PSC_HDR_SIZE)
		return PSC_INVALID_HDR;

	hdr = read_once(buf);
	b->cur = FIELD_GET(HDR_CUR, hdr);
	b->end = FIELD_GET(HDR_END, hdr);
	b->run = 0;

	n = (size_t)b->end + 1;
	if (n > PSC_MAX_ENTRIES || b->cur > b->end ||
	    n > (len - PSC_HDR_SIZE) / PSC_ENTRY_SIZE)
		return PSC_INVALID_HDR;

	buf += PSC_HDR_SIZE;
	for (i = 0; i < n; i++)
		b->entry[i] = read_once(buf + i * PSC_ENTRY_SIZE);

	return PSC_OK;
}
EXPORT_SYMBOL_IF_KUNIT(psc_batch_load);

u64 psc_batch_next(struct psc_batch *b, struct psc_run *run)
{
	u64 entry, gfn, op = 0;
	u16 i;

	*run = (struct psc_run){ .huge = true };
	b->run = 0;

	for (i = b->cur; i <= b->end; i++) {
		entry = b->entry[i];

		/* What precedes a bad entry is done first. */
		if (!entry_valid(entry)) {
			if (run->npages)
				break;
			b->cur = i;
			return PSC_INVALID_ENTRY;
		}

		if (entry_noop(entry)) {
			if (!run->npages)
				b->cur = i + 1;
			continue;
		}

		gfn = FIELD_GET(ENTRY_GFN, entry) +
		      FIELD_GET(ENTRY_CUR_PAGE, entry);

		if (!run->npages) {
			op = FIELD_GET(ENTRY_OP, entry);
			run->gfn = gfn;
			run->private = op == PSC_OP_PRIVATE;
		} else if (op != FIELD_GET(ENTRY_OP, entry) ||
			   gfn != run->gfn + run->npages) {
			break;
		}

		run->npages += entry_pages(entry) -
			       FIELD_GET(ENTRY_CUR_PAGE, entry);
		if (!(entry & ENTRY_2M) || FIELD_GET(ENTRY_CUR_PAGE, entry))
			run->huge = false;
		b->run = i - b->cur + 1;
	}

	return PSC_OK;
}
EXPORT_SYMBOL_IF_KUNIT(psc_batch_next);

void psc_batch_done(struct psc_batch *b, void *buf)
{
	u16 i, next = b->cur + b->run;
	u64 *entry;

	for (i = b->cur; i < next; i++) {
		entry = &b->entry[i];
		/* A hint has no page that it could be at. */
		if (entry_noop(*entry))
			continue;

		*entry &= ~ENTRY_CUR_PAGE;
		*entry |= FIELD_PREP(ENTRY_CUR_PAGE, entry_pages(*entry));
		memcpy(buf + PSC_HDR_SIZE + i * PSC_ENTRY_SIZE, entry,
		       sizeof(*entry));
	}

	b->cur = next;
	b->run = 0;
	memcpy(buf, &b->cur, sizeof(b->cur));
}
EXPORT_SYMBOL_IF_KUNIT(psc_batch_done);
