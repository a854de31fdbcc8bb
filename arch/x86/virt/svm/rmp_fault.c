// SPDX-License-Identifier: GPL-2.0-only
/* Faults that the RMP causes, and the way into a crash kernel. */
#define pr_fmt(fmt) "SEV-SNP: " fmt

#include <linux/cc_platform.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <asm/pgtable.h>
#include <asm/special_insns.h>

#include "rmp.h"

/*
 * The page behind an address, and at which level it is mapped, without locks;
 * false if there is none.
 */
static bool rmp_walk(pgd_t *pgd, unsigned long address, u64 *pfn,
		     unsigned int *level)
{
	unsigned long flags;
	bool found = false;
	pte_t *pte, entry;

	/* Interrupts off keep page tables from being freed under us. */
	local_irq_save(flags);
	pte = lookup_address_in_pgd(pgd + pgd_index(address), address, level);
	if (pte) {
		entry = READ_ONCE(*pte);
		if (pte_present(entry)) {
			*pfn = pte_pfn(entry);
			if (*level > PG_LEVEL_4K)
				*pfn += (address & (page_level_size(*level) - 1)) >>
					PAGE_SHIFT;
			found = true;
		}
	}
	local_irq_restore(flags);

	return found;
}

void snp_dump_hva_rmpentry(unsigned long hva)
{
	unsigned int level;
	u64 pfn;

	if (!rmp_host.nr_segments)
		return;

	if (rmp_walk(__va(read_cr3_pa()), hva, &pfn, &level))
		rmp_dump(&rmp_host, pfn);
	else
		pr_warn("no page behind 0x%lx\n", hva);
}

bool snp_user_rmp_fault(unsigned long address)
{
	unsigned int level;
	u64 pfn, end;

	if (!rmp_host.nr_segments || !current->mm ||
	    !rmp_walk(current->mm->pgd, address, &pfn, &level))
		return false;

	/* A write through a large mapping is one to all the 2 MiB around it. */
	end = pfn + 1;
	if (level > PG_LEVEL_4K) {
		pfn = ALIGN_DOWN(pfn, RMP_PFNS_PER_2M);
		end = pfn + RMP_PFNS_PER_2M;
	}

	for (; pfn < end; pfn++)
		if (rmp_is_foreign(&rmp_host, pfn))
			return true;

	return false;
}

void kdump_sev_callback(void)
{
	if (cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		wbinvd();
}
