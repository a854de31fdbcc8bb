// SPDX-License-Identifier: GPL-2.0-only
/*
 * SNP_INIT_EX and SNP_SHUTDOWN_EX, and what has to happen around them.
 *
 * Specification: SNP firmware ABI 56860, the two commands and SNP_DF_FLUSH.
 */
#include <linux/amd-iommu.h>
#include <linux/cc_platform.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/smp.h>
#include <asm/rmp.h>
#include <asm/smp.h>
#include <asm/special_insns.h>

#include "psp-dev.h"
#include "sev-dev.h"
#include "snp-dev.h"

#define SNP_MAX_RANGES ((PAGE_SIZE - sizeof(struct sev_data_range_list)) / \
			sizeof(struct sev_data_range))

static int snp_add_range(struct resource *res, void *arg)
{
	struct sev_data_range_list *list = arg;
	struct sev_data_range *range;

	if (list->num_elements >= SNP_MAX_RANGES)
		return -E2BIG;

	range = &list->ranges[list->num_elements++];
	range->base = res->start & PAGE_MASK;
	range->page_count = PFN_UP(res->end + 1) - PFN_DOWN(res->start);
	return 0;
}

/*
 * What the BIOS keeps for itself must stay the hypervisor's for ever, or
 * somebody could give it to a guest.
 */
static struct sev_data_range_list *snp_hv_fixed_ranges(int *ret)
{
	static const unsigned long kinds[] = {
		IORES_DESC_RESERVED,
		IORES_DESC_ACPI_TABLES,
		IORES_DESC_ACPI_NV_STORAGE,
	};
	struct sev_data_range_list *list;
	int i;

	list = (void *)get_zeroed_page(GFP_KERNEL);
	if (!list) {
		*ret = -ENOMEM;
		return NULL;
	}

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		*ret = walk_iomem_res_desc(kinds[i], IORESOURCE_MEM, 0, -1,
					   list, snp_add_range);
		if (*ret == -E2BIG) {
			free_page((unsigned long)list);
			return NULL;
		}
	}

	*ret = 0;
	return list;
}

static int snp_do_init(struct sev_device *sev, unsigned int max_snp_asid,
		       int *error)
{
	struct sev_data_snp_init_ex data = { .init_rmp = 1 };
	struct sev_data_range_list *list;
	int ret;

	if (!sev_version_greater_or_equal(1, 52)) {
		/* This command has no options. */
		if (max_snp_asid)
			return -EOPNOTSUPP;
		wbinvd_on_all_cpus();
		return __sev_do_cmd_locked(SEV_CMD_SNP_INIT, NULL, error);
	}

	list = snp_hv_fixed_ranges(&ret);
	if (!list) {
		dev_err(sev->dev, "SEV-SNP: no list of fixed ranges (%d): memory is short, or reserved in too many pieces\n",
			ret);
		return ret;
	}

	data.list_paddr_en = 1;
	data.list_paddr = __psp_pa(list);
	if (max_snp_asid) {
		data.ciphertext_hiding_en = 1;
		data.max_snp_asid = max_snp_asid;
	}

	wbinvd_on_all_cpus();
	ret = __sev_do_cmd_locked(SEV_CMD_SNP_INIT_EX, &data, error);
	free_page((unsigned long)list);
	return ret;
}

/* What an operator can do about an SNP_INIT that failed. */
static const char *snp_init_remedy(int ret, int error)
{
	if (ret == -ETIMEDOUT || ret == -EBUSY)
		return "the secure processor is silent: update the BIOS";
	if (ret != -EIO)
		return "it was not asked: see the line before";

	switch (error) {
	case SEV_RET_INAVLID_CONFIG:
		return "the RMP, or a CPU, is not as firmware wants it: update the BIOS";
	case SEV_RET_RMP_INITIALIZATION_FAILED:
		return "memory answers twice, or a CPU wrote to the RMP: update the BIOS";
	default:
		return "its firmware is too old, or not in order: update the BIOS";
	}
}

/**
 * snp_init_locked() - Bring SNP up
 * @sev:	the device; SEV is not initialised yet
 * @max_snp_asid: up to this ASID guests are SNP's, and their ciphertext hidden;
 *		0: nothing is hidden. Only if it can be
 * @error:	status of the firmware
 *
 * Return: 0, also if it is up; -ENODEV if host or firmware are without SNP, so
 * that SEV may go on alone; else the error, and SNP is down.
 */
int snp_init_locked(struct sev_device *sev, unsigned int max_snp_asid,
		    int *error)
{
	int ret;

	if (!cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		return -ENODEV;

	if (sev->snp_initialized)
		return 0;

	if (!sev_version_greater_or_equal(SNP_MIN_API_MAJOR, SNP_MIN_API_MINOR)) {
		dev_info(sev->dev, "SEV-SNP support requires firmware version >= %d:%d, this is %d:%d: update the BIOS, or put an image into amd/\n",
			 SNP_MIN_API_MAJOR, SNP_MIN_API_MINOR,
			 sev->api_major, sev->api_minor);
		return -ENODEV;
	}

	ret = snp_prepare();
	if (ret)
		return ret;

	ret = snp_do_init(sev, max_snp_asid, error);
	if (ret) {
		dev_err(sev->dev, "SEV-SNP: INIT failed %d, error %#x: %s\n",
			ret, *error, snp_init_remedy(ret, *error));
		return ret;
	}

	sev->snp_initialized = true;

	/* Before the first guest may be activated. */
	wbinvd_on_all_cpus();
	ret = __sev_do_cmd_locked(SEV_CMD_SNP_DF_FLUSH, NULL, error);
	if (ret) {
		dev_err(sev->dev, "SEV-SNP: DF_FLUSH failed %d, error %#x: %s\n",
			ret, *error, snp_init_remedy(ret, *error));
		snp_shutdown_locked(sev, false);
		return ret;
	}

	dev_info(sev->dev, "SEV-SNP API:%d.%d build:%d\n", sev->api_major,
		 sev->api_minor, sev->build);
	return 0;
}

/**
 * snp_shutdown_locked() - Take SNP down and have the IOMMU's buffers back
 * @sev:	the device; SEV is shut down, all pages but the IOMMU's are back
 * @panic:	this is the only CPU, interrupts are off, and the others have
 *		written back their caches
 *
 * Return: 0, also if it is not up; else SNP stays up, or it is down but IOMMU
 * buffers could not be had back.
 */
int snp_shutdown_locked(struct sev_device *sev, bool panic)
{
	struct sev_data_snp_shutdown_ex data = {
		.len = sizeof(data),
		.iommu_snp_shutdown = 1,
		.x86_snp_shutdown = snp_can_shut_x86_down(sev),
	};
	int ret, error = SEV_RET_NO_FW_CALL;

	if (!sev->snp_initialized)
		return 0;

	if (panic)
		wbinvd();
	else
		wbinvd_on_all_cpus();

	ret = __sev_do_cmd_locked(SEV_CMD_SNP_SHUTDOWN_EX, &data, &error);
	if (ret && error == SEV_RET_DFFLUSH_REQUIRED) {
		ret = __sev_do_cmd_locked(SEV_CMD_SNP_DF_FLUSH, NULL, &error);
		if (!ret)
			ret = __sev_do_cmd_locked(SEV_CMD_SNP_SHUTDOWN_EX, &data,
						  &error);
	}
	if (ret) {
		dev_err(sev->dev, "SEV-SNP firmware shutdown failed, rc %d, error %#x\n",
			ret, error);
		return ret;
	}

	sev->snp_initialized = false;

	/*
	 * With SNP off in the CPUs the RMP is void, and with it who had the
	 * IOMMU's buffers. A crash kernel clears it itself.
	 */
	if (data.x86_snp_shutdown) {
		if (!panic)
			snp_shutdown();
		return 0;
	}

	ret = amd_iommu_snp_disable();
	if (ret)
		dev_err(sev->dev, "SEV-SNP: IOMMU buffers are lost (%d)\n", ret);
	else
		dev_dbg(sev->dev, "SEV-SNP firmware shutdown\n");

	return ret;
}
