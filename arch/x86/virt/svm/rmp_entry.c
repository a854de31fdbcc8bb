// SPDX-License-Identifier: GPL-2.0-only
/* Reading the reverse map table. Nothing here changes it. */
#define pr_fmt(fmt) "SEV-SNP: " fmt

#include <linux/bitfield.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <asm/pgtable_types.h>

#include "rmp.h"

/* What is in an entry of family 19h. */
void rmp_decode(const struct rmp_raw *raw, struct rmp_entry *e)
{
	*e = (struct rmp_entry) {
		.gpa = raw->lo & RMP_RAW_GPA,
		.asid = FIELD_GET(RMP_RAW_ASID, raw->lo),
		.assigned = raw->lo & RMP_RAW_ASSIGNED,
		.huge = raw->lo & RMP_RAW_2M,
		.immutable = raw->lo & RMP_RAW_IMMUTABLE,
		.validated = raw->lo & RMP_RAW_VALIDATED,
		.vmsa = raw->lo & RMP_RAW_VMSA,
	};
}

/*
 * The state that an entry stands for; see the table in asm/rmp.h. Where RMPREAD
 * is too brief a context is firmware's, and a guest's page just that.
 */
enum rmp_page_state rmp_state_of(const struct rmp_entry *e)
{
	if (!e->assigned)
		return e->immutable ? RMP_HV_FIXED : RMP_HYPERVISOR;

	if (!e->asid) {
		if (!e->immutable)
			return RMP_RECLAIM;
		return e->vmsa ? RMP_CONTEXT : RMP_FIRMWARE;
	}

	if (e->immutable)
		return RMP_PRE_GUEST;
	if (e->brief)
		return RMP_GUEST;
	return e->validated ? RMP_GUEST_VALID : RMP_GUEST_INVALID;
}

/*
 * The 16 bytes of @pfn, which mean something on family 19h only. -ENODEV
 * without a table, -ENXIO if not covered; @raw is untouched then.
 */
int rmp_read_raw(const struct rmp_table *t, u64 pfn, struct rmp_raw *raw)
{
	const struct rmp_segment *s;
	u64 i;

	if (!t->nr_segments)
		return -ENODEV;

	s = rmp_segment_of(t, pfn, &i);
	if (!s)
		return -ENXIO;

	raw->lo = READ_ONCE(s->entries[i].lo);
	raw->hi = READ_ONCE(s->entries[i].hi);
	return 0;
}

/*
 * The entry of @pfn itself. -ENODEV without a table, or if the CPUs do not check
 * it; -ENXIO if not covered; -EIO if the CPU does not tell; @e is untouched then.
 */
int rmp_read_one(const struct rmp_table *t, u64 pfn, struct rmp_entry *e)
{
	struct rmp_update answer = {};
	struct rmp_raw raw;
	int ret;

	/* Without SNP the instruction is none, and what is in memory is void. */
	if (!rmp_is_on(t))
		return -ENODEV;

	if (!t->insns->read) {
		ret = rmp_read_raw(t, pfn, &raw);
		if (!ret)
			rmp_decode(&raw, e);
		return ret;
	}

	if (!rmp_covers(t, pfn, 1))
		return -ENXIO;

	ret = t->insns->read(pfn, &answer);
	if (ret)
		return ret < 0 ? ret : -EIO;

	*e = (struct rmp_entry) {
		.gpa = answer.gpa,
		.asid = answer.asid,
		.assigned = answer.assigned & 1,
		/* Bit 1 says that another page of the 2 MiB is assigned. */
		.huge = answer.pagesize & 1,
		.immutable = answer.immutable & 1,
		.brief = true,
	};
	return 0;
}

/*
 * The entry that holds for @pfn, and its level. The size is in the first entry
 * of the 2 MiB and counts only if that is assigned; then it holds for all of
 * them, whatever the others have. Errors as of rmp_read_one(), and nothing is
 * written then.
 */
int rmp_read_entry(const struct rmp_table *t, u64 pfn, struct rmp_entry *e,
		   int *level)
{
	struct rmp_entry head, own;
	int ret;

	ret = rmp_read_one(t, pfn, &own);
	if (ret)
		return ret;

	ret = rmp_read_one(t, pfn & ~(RMP_PFNS_PER_2M - 1), &head);
	if (ret)
		return ret;

	if (head.assigned && head.huge) {
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
	struct rmp_entry e;
	int ret;

	ret = rmp_read_entry(t, pfn, &e, level);
	if (!ret)
		*assigned = e.assigned;
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
	struct rmp_entry e;
	int level;

	if (rmp_read_entry(t, pfn, &e, &level))
		return false;

	switch (rmp_state_of(&e)) {
	case RMP_PRE_GUEST:
	case RMP_GUEST_INVALID:
	case RMP_GUEST_VALID:
	case RMP_GUEST:
	case RMP_CONTEXT:
		return true;
	default:
		return xa_load(&t->stats->list, pfn);
	}
}

/*
 * Print the entry of @pfn; if unassigned, a neighbour that is not. Limited. The
 * bytes in memory are printed too, whatever they mean.
 */
void rmp_dump(const struct rmp_table *t, u64 pfn)
{
	u64 first = pfn & ~(RMP_PFNS_PER_2M - 1), i;
	struct rmp_raw raw = {};
	struct rmp_entry e;
	int ret;

	ret = rmp_read_one(t, pfn, &e);
	if (ret) {
		pr_warn_ratelimited("PFN 0x%llx: no RMP entry (%d)\n", pfn, ret);
		return;
	}

	rmp_read_raw(t, pfn, &raw);
	pr_warn_ratelimited("PFN 0x%llx, RMP entry: [0x%016llx - 0x%016llx] state %d asid %u gpa 0x%llx\n",
			    pfn, raw.lo, raw.hi, rmp_state_of(&e), e.asid, e.gpa);
	if (e.assigned)
		return;

	/* Then a mapping of 2 MiB collided with one of these. */
	for (i = first; i < first + RMP_PFNS_PER_2M; i++) {
		if (rmp_read_one(t, i, &e) || !e.assigned)
			continue;
		pr_warn_ratelimited("PFN 0x%llx in the same 2 MiB: state %d asid %u gpa 0x%llx\n",
				    i, rmp_state_of(&e), e.asid, e.gpa);
		break;
	}
}
