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

/* Written once, when the table is set up. */
static struct rmp_raw *rmp_table __ro_after_init;
static u64 rmp_npages __ro_after_init;

void __init rmp_set_table(void *table, u64 npages)
{
	rmp_npages = npages;
	rmp_table = table;
}

/* Number of 4 KiB pages from address 0 that have an entry; 0 without SNP. */
u64 rmp_covered_pages(void)
{
	return rmp_npages;
}

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
int rmp_read_raw(u64 pfn, struct rmp_raw *e)
{
	if (!rmp_table)
		return -ENODEV;

	if (pfn >= rmp_npages)
		return -ENXIO;

	pfn = array_index_nospec(pfn, rmp_npages);
	e->lo = READ_ONCE(rmp_table[pfn].lo);
	e->hi = READ_ONCE(rmp_table[pfn].hi);
	return 0;
}

/*
 * The entry of @pfn and the level that holds for it: the size is in the first
 * entry of the 2 MiB, and counts only if that is assigned.
 */
int rmp_read_entry(u64 pfn, struct rmp_raw *e, int *level)
{
	struct rmp_raw head, own;
	int ret;

	ret = rmp_read_raw(pfn, &own);
	if (ret)
		return ret;

	ret = rmp_read_raw(pfn & ~(RMP_PFNS_PER_2M - 1), &head);
	if (ret)
		return ret;

	*e = own;
	*level = (head.lo & RMP_RAW_ASSIGNED) && (head.lo & RMP_RAW_2M) ?
		 PG_LEVEL_2M : PG_LEVEL_4K;
	return 0;
}

int snp_lookup_rmpentry(u64 pfn, bool *assigned, int *level)
{
	struct rmp_raw e;
	int ret;

	ret = rmp_read_entry(pfn, &e, level);
	if (!ret)
		*assigned = e.lo & RMP_RAW_ASSIGNED;
	return ret;
}
EXPORT_SYMBOL_GPL(snp_lookup_rmpentry);

/* Print the entry of @pfn; if it is unassigned, its neighbours that are not. */
void rmp_dump(u64 pfn)
{
	u64 first = pfn & ~(RMP_PFNS_PER_2M - 1), i;
	struct rmp_raw e;

	if (rmp_read_raw(pfn, &e)) {
		pr_warn("PFN 0x%llx has no RMP entry\n", pfn);
		return;
	}

	pr_warn("PFN 0x%llx, RMP entry: [0x%016llx - 0x%016llx] state %d asid %llu gpa 0x%llx\n",
		pfn, e.lo, e.hi, rmp_state_of(e),
		FIELD_GET(RMP_RAW_ASID, e.lo), e.lo & RMP_RAW_GPA);
	if (e.lo & RMP_RAW_ASSIGNED)
		return;

	/* Then a mapping of 2 MiB collided with one of these. */
	for (i = first; i < first + RMP_PFNS_PER_2M; i++) {
		if (rmp_read_raw(i, &e) || !(e.lo & RMP_RAW_ASSIGNED))
			continue;
		pr_warn("PFN 0x%llx in the same 2 MiB: [0x%016llx - 0x%016llx]\n",
			i, e.lo, e.hi);
		break;
	}
}
