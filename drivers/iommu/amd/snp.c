// SPDX-License-Identifier: GPL-2.0-only
/* Having the IOMMUs' buffers back from firmware when SNP ends. */
#define pr_fmt(fmt) "AMD-Vi: SNP: " fmt

#include <linux/amd-iommu.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <asm/rmp.h>

#include "amd_iommu.h"

static int snp_buffer_make_shared(void *buf, size_t size)
{
	u64 pfn, end;
	bool assigned;
	int level, ret;

	if (!buf)
		return 0;

	pfn = iommu_virt_to_phys(buf) >> PAGE_SHIFT;
	end = pfn + (PAGE_ALIGN(size) >> PAGE_SHIFT);

	for (; pfn < end; pfn++) {
		ret = snp_lookup_rmpentry(pfn, &assigned, &level);
		if (ret)
			return ret;

		/* Firmware may have taken 2 MiB at once. */
		if (assigned && level > PG_LEVEL_4K) {
			ret = psmash(ALIGN_DOWN(pfn, PTRS_PER_PMD));
			if (ret)
				return ret;
		}

		if (!assigned)
			continue;

		ret = rmp_make_shared(pfn, PG_LEVEL_4K);
		if (ret)
			return ret;
	}

	return 0;
}

/**
 * amd_iommu_snp_disable() - Make the IOMMUs' buffers the hypervisor's again
 *
 * After SNP_SHUTDOWN_EX with iommu_snp_shutdown, which leaves the event log,
 * the PPR log and the completion page in state reclaim. Buffers whose turn does
 * not come stay as they are: the IOMMU may write to them, the host may not.
 *
 * Return: 0, or the first error of the RMP.
 */
int amd_iommu_snp_disable(void)
{
	struct amd_iommu *iommu;
	int ret;

	if (!amd_iommu_snp_en)
		return 0;

	for_each_iommu(iommu) {
		ret = snp_buffer_make_shared(iommu->evt_buf, amd_iommu_evtlog_size);
		if (!ret)
			ret = snp_buffer_make_shared(iommu->ppr_log,
						     amd_iommu_pprlog_size);
		if (!ret)
			ret = snp_buffer_make_shared((void *)iommu->cmd_sem,
						     PAGE_SIZE);
		if (ret) {
			pr_err("cannot have a buffer of IOMMU %d back (%d)\n",
			       iommu->index, ret);
			return ret;
		}
	}

	return 0;
}
EXPORT_SYMBOL_GPL(amd_iommu_snp_disable);
