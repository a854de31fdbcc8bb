// SPDX-License-Identifier: GPL-2.0-only
/* Pages that firmware owns, and how they come back. */
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <asm/mem_encrypt.h>
#include <asm/pgtable_types.h>
#include <asm/rmp.h>
#include <asm/unaligned.h>

#include "psp-dev.h"
#include "sev-dev.h"
#include "snp-dev.h"

int snp_reclaim_pages(unsigned long paddr, unsigned int npages, bool locked)
{
	struct sev_data_snp_page_reclaim data;
	u64 pfn = __sme_clr(paddr) >> PAGE_SHIFT;
	int ret = 0, rc, error;

	for (; npages; npages--, pfn++) {
		/* Bit 0 clear: the entry is of 4 KiB. */
		data.paddr = pfn << PAGE_SHIFT;
		if (locked)
			rc = __sev_do_cmd_locked(SEV_CMD_SNP_PAGE_RECLAIM, &data,
						 &error);
		else
			rc = sev_do_cmd(SEV_CMD_SNP_PAGE_RECLAIM, &data, &error);

		if (!rc)
			rc = rmp_make_shared(pfn, PG_LEVEL_4K);
		if (rc) {
			snp_leak_pages(pfn, 1, SNP_LEAK_RECLAIM);
			ret = ret ?: -EFAULT;
		}
	}

	return ret;
}
EXPORT_SYMBOL_GPL(snp_reclaim_pages);

int snp_reclaim_2m(unsigned long paddr)
{
	struct sev_data_snp_page_reclaim data;
	u64 pfn = __sme_clr(paddr) >> PAGE_SHIFT;
	int rc, error;

	/* Bit 0: the entry is of 2 MiB. */
	data.paddr = pfn << PAGE_SHIFT | 1;
	rc = sev_do_cmd(SEV_CMD_SNP_PAGE_RECLAIM, &data, &error);
	if (!rc)
		rc = rmp_make_shared(pfn, PG_LEVEL_2M);
	if (rc)
		snp_leak_pages(pfn, PTRS_PER_PMD, SNP_LEAK_RECLAIM);

	return rc ? -EFAULT : 0;
}
EXPORT_SYMBOL_GPL(snp_reclaim_2m);

/* @lost: some were given that do not come back. */
static int make_firmware(u64 paddr, unsigned int npages, bool *lost)
{
	int n;

	*lost = false;
	n = rmp_make_firmware(__sme_clr(paddr) >> PAGE_SHIFT, npages);
	if (n == npages)
		return 0;

	if (n > 0)
		*lost = snp_reclaim_pages(paddr, n, true);
	return -EFAULT;
}

/* Give @npages at @paddr to firmware, all or none. */
int snp_make_firmware(u64 paddr, unsigned int npages)
{
	bool lost;

	return make_firmware(paddr, npages, &lost);
}

/*
 * Under sev_cmd_mutex. Give 1 << @order pages to firmware, or give them up:
 * -EFAULT, and they are free, or leaked if one of them is lost.
 */
int snp_give_or_free(void *addr, unsigned int order)
{
	bool lost;
	int ret;

	ret = make_firmware(__pa(addr), 1U << order, &lost);
	if (lost)
		/* One of them holds the order together. */
		snp_leak_pages(__pa(addr) >> PAGE_SHIFT, 1U << order,
			       SNP_LEAK_BESIDE);
	else if (ret)
		free_pages((unsigned long)addr, order);

	return ret;
}

bool snp_dev_is_dead(void)
{
	struct psp_device *psp = psp_master;

	/* Never false again. */
	return psp && psp->sev_data &&
	       READ_ONCE(((struct sev_device *)psp->sev_data)->cmd_buf_lost);
}
EXPORT_SYMBOL_GPL(snp_dev_is_dead);

/* Under sev_cmd_mutex. 1 << @order pages, firmware's if SNP is up. */
void *snp_alloc_firmware_pages(gfp_t gfp, unsigned int order)
{
	struct page *page;
	void *addr;

	if (snp_dev_is_dead())
		return NULL;

	page = alloc_pages(gfp, order);
	if (!page)
		return NULL;

	addr = page_address(page);
	if (snp_is_initialized() && snp_give_or_free(addr, order))
		return NULL;

	return addr;
}

/* Under sev_cmd_mutex. What does not come back is leaked. */
void snp_free_firmware_pages(void *addr, unsigned int order)
{
	if (!addr)
		return;

	if (snp_is_initialized() &&
	    snp_reclaim_pages(__pa(addr), 1U << order, true)) {
		/* One of them holds the order together. */
		snp_leak_pages(__pa(addr) >> PAGE_SHIFT, 1U << order,
			       SNP_LEAK_BESIDE);
		return;
	}

	free_pages((unsigned long)addr, order);
}

void *snp_alloc_firmware_page(gfp_t gfp)
{
	void *addr;

	mutex_lock(&sev_cmd_mutex);
	addr = snp_alloc_firmware_pages(gfp, 0);
	mutex_unlock(&sev_cmd_mutex);

	return addr;
}
EXPORT_SYMBOL_GPL(snp_alloc_firmware_page);

void snp_free_firmware_page(void *addr)
{
	mutex_lock(&sev_cmd_mutex);
	snp_free_firmware_pages(addr, 0);
	mutex_unlock(&sev_cmd_mutex);
}
EXPORT_SYMBOL_GPL(snp_free_firmware_page);

bool snp_is_initialized(void)
{
	struct psp_device *psp = psp_master;

	return psp && psp->sev_data &&
	       ((struct sev_device *)psp->sev_data)->snp_initialized;
}
EXPORT_SYMBOL_GPL(snp_is_initialized);

/*
 * Run @cmd, which stores what it has to say in a page of its own: the page's
 * address goes to the u64 at @addr_at bytes of @data, what is in it, @len bytes,
 * to @answer. Under sev_cmd_mutex. 0; -ENOMEM; -EBUSY if the device is dead; else
 * the command's error, and @answer is untouched. What firmware may still write
 * to is leaked.
 */
int snp_cmd_answer(int cmd, void *data, size_t addr_at, void *answer, size_t len,
		   int *error)
{
	void *page = snp_alloc_firmware_pages(GFP_KERNEL | __GFP_ZERO, 0);
	int ret, rc = 0;

	if (!page)
		return snp_dev_is_dead() ? -EBUSY : -ENOMEM;

	put_unaligned(__psp_pa(page), (u64 *)(data + addr_at));
	ret = __sev_do_cmd_locked(cmd, data, error);

	if (snp_is_initialized()) {
		rc = snp_reclaim_pages(__pa(page), 1, true);
		if (rc)
			return ret ?: rc;
	} else if (ret == -ETIMEDOUT) {
		/* Firmware writes to pages of ours, and may do so yet. */
		snp_leak_pages(__pa(page) >> PAGE_SHIFT, 1, SNP_LEAK_COMMAND);
		return ret;
	}

	if (!ret)
		memcpy(answer, page, len);
	free_page((unsigned long)page);

	return ret;
}
