// SPDX-License-Identifier: GPL-2.0-only
/* Reading the reverse map table. Nothing here changes it. */
#define pr_fmt(fmt) "SEV-SNP: " fmt

#include <linux/bitfield.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/printk.h>
#include <asm/pgtable_types.h>

#include "rmp.h"

/* The state that a raw entry stands for; see the table in asm/rmp.h. */
enum rmp_page_state rmp_state_of(struct rmp_raw e)
{
	bool immutable = e.lo & RMP_RAW_IMMUTABLE;

	if (!(e.lo & RMP_RAW_ASSIGNED))
		return immutable ? RMP_HV_FIXED : RMP_HYPERVISOR;

	if (!(e.lo & RMP_RAW_ASID)) {
		if (!immutable)
			return RMP_RECLAIM;
		return e.lo & RMP_RAW_VMSA ? RMP_CONTEXT : RMP_FIRMWARE;
	}

	if (immutable)
		return RMP_PRE_GUEST;
	return e.lo & RMP_RAW_VALIDATED ? RMP_GUEST_VALID : RMP_GUEST_INVALID;
}

/* The 16 bytes of @pfn. -ENODEV without a table, -ENXIO if not covered. */
int rmp_read_raw(const struct rmp_table *t, u64 pfn, struct rmp_raw *e)
{
	if (!t->entries)
		return -ENODEV;

	if (pfn >= t->npages)
		return -ENXIO;

	pfn = array_index_nospec(pfn, t->npages);
	e->lo = READ_ONCE(t->entries[pfn].lo);
	e->hi = READ_ONCE(t->entries[pfn].hi);
	return 0;
}

/*
 * The entry that holds for @pfn, and its level. The size is in the first entry
 * of the 2 MiB and counts only if that is assigned; then it holds for all of
 * them, whatever the others have. -ENODEV or -ENXIO as rmp_read_raw(), and
 * nothing is written then.
 */
int rmp_read_entry(const struct rmp_table *t, u64 pfn, struct rmp_raw *e,
		   int *level)
{
	struct rmp_raw head, own;
	int ret;

	ret = rmp_read_raw(t, pfn, &own);
	if (ret)
		return ret;

	ret = rmp_read_raw(t, pfn & ~(RMP_PFNS_PER_2M - 1), &head);
	if (ret)
		return ret;

	if ((head.lo & RMP_RAW_ASSIGNED) && (head.lo & RMP_RAW_2M)) {
		*e = head;
		*level = PG_LEVEL_2M;
	} else {
		*e = own;
		*level = PG_LEVEL_4K;
	}

	return 0;
}

/* See snp_lookup_rmpentry(). */
int rmp_lookup(const struct rmp_table *t, u64 pfn, bool *assigned, int *level)
{
	struct rmp_raw e;
	int ret;

	ret = rmp_read_entry(t, pfn, &e, level);
	if (!ret)
		*assigned = e.lo & RMP_RAW_ASSIGNED;
	return ret;
}

int snp_lookup_rmpentry(u64 pfn, bool *assigned, int *level)
{
	return rmp_lookup(&rmp_host, pfn, assigned, level);
}
EXPORT_SYMBOL_GPL(snp_lookup_rmpentry);

/*
 * Does @pfn belong to somebody who will not give it back to a user's access?
 * What is firmware's for the length of a command comes back.
 */
bool rmp_is_foreign(const struct rmp_table *t, u64 pfn)
{
	struct rmp_raw e;
	int level;

	if (rmp_read_entry(t, pfn, &e, &level))
		return false;

	switch (rmp_state_of(e)) {
	case RMP_PRE_GUEST:
	case RMP_GUEST_INVALID:
	case RMP_GUEST_VALID:
	case RMP_CONTEXT:
		return true;
	default:
		return xa_load(&t->stats->list, pfn);
	}
}

/* Print the entry of @pfn; if unassigned, a neighbour that is not. Limited. */
void rmp_dump(const struct rmp_table *t, u64 pfn)
{
	u64 first = pfn & ~(RMP_PFNS_PER_2M - 1), i;
	struct rmp_raw e;

	if (rmp_read_raw(t, pfn, &e)) {
		pr_warn_ratelimited("PFN 0x%llx has no RMP entry\n", pfn);
		return;
	}

	pr_warn_ratelimited("PFN 0x%llx, RMP entry: [0x%016llx - 0x%016llx] state %d asid %llu gpa 0x%llx\n",
			    pfn, e.lo, e.hi, rmp_state_of(e),
			    FIELD_GET(RMP_RAW_ASID, e.lo), e.lo & RMP_RAW_GPA);
	if (e.lo & RMP_RAW_ASSIGNED)
		return;

	/* Then a mapping of 2 MiB collided with one of these. */
	for (i = first; i < first + RMP_PFNS_PER_2M; i++) {
		if (rmp_read_raw(t, i, &e) || !(e.lo & RMP_RAW_ASSIGNED))
			continue;
		pr_warn_ratelimited("PFN 0x%llx in the same 2 MiB: [0x%016llx - 0x%016llx]\n",
				    i, e.lo, e.hi);
		break;
	}
}
