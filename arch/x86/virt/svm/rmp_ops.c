// SPDX-License-Identifier: GPL-2.0-only
/* The only place that changes the reverse map table. */
#define pr_fmt(fmt) "SEV-SNP: " fmt

#include <linux/export.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/xarray.h>
#include <asm/asm.h>
#include <asm/cpufeature.h>
#include <asm/pgtable.h>
#include <asm/processor.h>
#include <asm/set_memory.h>

#include "rmp.h"

static int cpu_update(u64 pfn, const struct rmp_update *state)
{
	unsigned long paddr = pfn << PAGE_SHIFT;
	int ret;

	/* rmpupdate; binutils know it from 2.36 on */
	asm volatile(".byte 0xf2, 0x0f, 0x01, 0xfe"
		     : "=a" (ret)
		     : "a" (paddr), "c" ((unsigned long)state)
		     : "memory", "cc");

	return ret;
}

static int cpu_psmash(u64 pfn)
{
	unsigned long paddr = pfn << PAGE_SHIFT;
	int ret;

	/* psmash; binutils know it from 2.36 on */
	asm volatile(".byte 0xf3, 0x0f, 0x01, 0xff"
		     : "=a" (ret)
		     : "a" (paddr)
		     : "memory", "cc");

	return ret;
}

/*
 * RMPREAD: its result. A CPU on which SNP was turned off meanwhile does not know
 * the instruction: -ENODEV.
 */
int rmp_cpu_read(u64 pfn, struct rmp_update *state)
{
	unsigned long paddr = pfn << PAGE_SHIFT;
	int ret, unknown = 1;

	/* rmpread; binutils know it from 2.44 on */
	asm volatile("1: .byte 0xf2, 0x0f, 0x01, 0xfd\n\t"
		     "xorl %1, %1\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : "=a" (ret), "+r" (unknown)
		     : "a" (paddr), "c" ((unsigned long)state)
		     : "memory", "cc");

	return unknown ? -ENODEV : ret;
}

/*
 * A write through a large mapping of the direct map faults if any page under
 * it is not the hypervisor's. So the page gets a mapping of its own first. It
 * stays split. A 2 MiB entry needs no split below 2 MiB.
 */
static int split_direct_map(u64 pfn, int rmp_level)
{
	unsigned long vaddr = (unsigned long)pfn_to_kaddr(pfn);
	unsigned int level;

	if (!lookup_address(vaddr, &level))
		return 0;

	if (level <= rmp_level)
		return 0;

	return set_memory_4k(vaddr, 1) ? -ENOMEM : 0;
}

static const struct rmp_insns cpu_insns = {
	.update	= cpu_update,
	.psmash	= cpu_psmash,
	.split	= split_direct_map,
};

static const struct rmp_insns cpu_insns_read = {
	.update	= cpu_update,
	.psmash	= cpu_psmash,
	.read	= rmp_cpu_read,
	.split	= split_direct_map,
};

static struct rmp_stats host_stats = {
	.list = XARRAY_INIT(host_stats.list, 0),
};

struct rmp_table rmp_host __ro_after_init = {
	.insns	= &cpu_insns,
	.stats	= &host_stats,
};

void __init rmp_host_set_up(const struct rmp_segment *segments,
			    unsigned int nr, unsigned int shift)
{
	rmp_host.segments = segments;
	rmp_host.shift = shift;
	if (boot_cpu_has(X86_FEATURE_RMPREAD))
		rmp_host.insns = &cpu_insns_read;
	rmp_host.nr_segments = nr;
}

static int rmpupdate(const struct rmp_table *t, u64 pfn,
		     const struct rmp_update *state)
{
	int ret, i;

	atomic_long_inc(&t->stats->updates);

	for (i = 0; i < RMP_MAX_SPINS; i++) {
		ret = t->insns->update(pfn, state);
		if (ret != RMP_FAIL_OVERLAP)
			break;
		cpu_relax();
	}

	switch (ret) {
	case 0:
		return 0;
	case RMP_FAIL_OVERLAP:
		pr_warn_once("PFN 0x%llx: another entry overlaps\n", pfn);
		return -EAGAIN;
	case RMP_FAIL_INUSE:
		return -EBUSY;
	}

	pr_err_ratelimited("RMPUPDATE failed, result %d, PFN 0x%llx, assigned %d size %d asid %u\n",
			   ret, pfn, state->assigned, state->pagesize,
			   state->asid);
	rmp_dump(t, pfn);
	return -EFAULT;
}

int rmp_psmash(const struct rmp_table *t, u64 pfn)
{
	struct rmp_entry e;
	int ret, i, level;

	if (!rmp_is_on(t))
		return -ENODEV;
	if (pfn & (RMP_PFNS_PER_2M - 1))
		return -EINVAL;

	atomic_long_inc(&t->stats->psmash);

	for (i = 0; i < RMP_MAX_SPINS; i++) {
		ret = t->insns->psmash(pfn);
		if (ret != RMP_FAIL_INUSE)
			break;
		cpu_relax();
	}

	if (!ret)
		return 0;
	if (ret == RMP_FAIL_INUSE)
		return -EAGAIN;

	/* Somebody else was faster? */
	if (!rmp_read_entry(t, pfn, &e, &level) &&
	    e.assigned && level == PG_LEVEL_4K)
		return 0;

	pr_err_ratelimited("PSMASH failed, result %d, PFN 0x%llx\n", ret, pfn);
	rmp_dump(t, pfn);
	return -EFAULT;
}

int psmash(u64 pfn)
{
	return rmp_psmash(&rmp_host, pfn);
}
EXPORT_SYMBOL_GPL(psmash);

int rmp_split_entry(const struct rmp_table *t, u64 pfn)
{
	int ret;

	pfn &= ~(RMP_PFNS_PER_2M - 1);
	if (!rmp_is_on(t))
		return -ENODEV;
	if (!rmp_covers(t, pfn, RMP_PFNS_PER_2M))
		return -EINVAL;

	/*
	 * First: from the moment that there are small entries, one of them may
	 * become the hypervisor's, who then writes to it.
	 */
	ret = t->insns->split(pfn, PG_LEVEL_4K);

	return ret ?: rmp_psmash(t, pfn);
}

int rmp_split_2m(u64 pfn)
{
	return rmp_split_entry(&rmp_host, pfn);
}
EXPORT_SYMBOL_GPL(rmp_split_2m);

static int rmp_check(const struct rmp_table *t, u64 pfn, int level)
{
	u64 npages;

	if (!rmp_is_on(t))
		return -ENODEV;

	if (level != PG_LEVEL_4K && level != PG_LEVEL_2M)
		return -EINVAL;

	npages = level == PG_LEVEL_2M ? RMP_PFNS_PER_2M : 1;
	if (pfn & (npages - 1) || !rmp_covers(t, pfn, npages))
		return -EINVAL;

	return pfn_valid(pfn) ? 0 : -EINVAL;
}

static int rmp_assign(const struct rmp_table *t, u64 pfn, u64 gpa, int level,
		      u32 asid, bool immutable)
{
	struct rmp_update state = {
		.gpa = gpa,
		.assigned = 1,
		.pagesize = level == PG_LEVEL_2M,
		.immutable = immutable,
		.asid = asid,
	};
	int ret;

	ret = t->insns->split(pfn, level);
	if (ret)
		return ret;

	return rmpupdate(t, pfn, &state);
}

int rmp_to_guest(const struct rmp_table *t, u64 pfn, u64 gpa, int level,
		 u32 asid, bool immutable)
{
	int ret;

	ret = rmp_check(t, pfn, level);
	if (ret)
		return ret;

	if (!asid || asid >= RMP_NR_ASIDS)
		return -EINVAL;
	if (gpa & (level == PG_LEVEL_2M ? PMD_SIZE - 1 : PAGE_SIZE - 1))
		return -EINVAL;

	return rmp_assign(t, pfn, gpa, level, asid, immutable);
}

int rmp_make_private(u64 pfn, u64 gpa, int level, u32 asid, bool immutable)
{
	return rmp_to_guest(&rmp_host, pfn, gpa, level, asid, immutable);
}
EXPORT_SYMBOL_GPL(rmp_make_private);

int rmp_to_firmware(const struct rmp_table *t, u64 pfn, unsigned int npages)
{
	unsigned int i;
	int ret;

	for (i = 0; i < npages; i++) {
		ret = rmp_check(t, pfn + i, PG_LEVEL_4K);
		if (!ret)
			ret = rmp_assign(t, pfn + i, 0, PG_LEVEL_4K, 0, true);
		if (ret)
			return i ?: ret;
	}

	return npages;
}

int rmp_make_firmware(u64 pfn, unsigned int npages)
{
	return rmp_to_firmware(&rmp_host, pfn, npages);
}
EXPORT_SYMBOL_GPL(rmp_make_firmware);

int rmp_to_hypervisor(const struct rmp_table *t, u64 pfn, int level)
{
	struct rmp_update state = { .pagesize = level == PG_LEVEL_2M };
	int ret;

	ret = rmp_check(t, pfn, level);
	if (ret)
		return ret;

	return rmpupdate(t, pfn, &state);
}

int rmp_make_shared(u64 pfn, int level)
{
	return rmp_to_hypervisor(&rmp_host, pfn, level);
}
EXPORT_SYMBOL_GPL(rmp_make_shared);

void rmp_leak(const struct rmp_table *t, u64 pfn, unsigned int npages,
	      enum snp_leak why)
{
	pr_warn_ratelimited("leaking PFN range 0x%llx-0x%llx\n",
			    pfn, pfn + npages - 1);

	for (; npages--; pfn++) {
		/*
		 * What is lost once is so when its file ends, too. The list may
		 * miss one for lack of memory, the count does not.
		 */
		if (xa_insert(&t->stats->list, pfn, xa_mk_value(why),
			      GFP_NOWAIT | __GFP_NOWARN) == -EBUSY)
			continue;
		if (pfn_valid(pfn))
			page_ref_inc(compound_head(pfn_to_page(pfn)));
		atomic_long_inc(&t->stats->leaked);
	}
}

void snp_leak_pages(u64 pfn, unsigned int npages, enum snp_leak why)
{
	rmp_leak(&rmp_host, pfn, npages, why);
}
EXPORT_SYMBOL_GPL(snp_leak_pages);
