// SPDX-License-Identifier: GPL-2.0-only
/*
 * A crash kernel's IOMMUs, after a kernel that had SNP on.
 *
 * If firmware did not take SNP down, devices are still held to the RMP, and the
 * registers that say where device table, command buffer, logs and completion
 * page are take no writes. So it goes on with what these name, all of it memory
 * of the kernel that crashed. Nothing tells whether they do take writes, if SNP
 * is on in the CPU: the same is done then.
 */
#define pr_fmt(fmt) "AMD-Vi: SNP: " fmt

#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/cc_platform.h>
#include <linux/crash_dump.h>
#include <linux/init.h>
#include <linux/io.h>
#include <asm/io.h>
#include <asm/msr.h>

#include "amd_iommu.h"

/* log2 of a log's entries, of 16 bytes each; the least there may be */
#define LOG_LEN			GENMASK_ULL(59, 56)
#define LOG_LEN_MIN		8

/* Set before the first IOMMU gets buffers, never cleared */
bool amd_iommu_keeps_buffers __ro_after_init;

/**
 * amd_iommu_look_for_buffers() - Find out whose buffers are to be used
 *
 * At boot, before any IOMMU has buffers; later calls change nothing. From then
 * on amd_iommu_keeps_buffers says whether they are the crashed kernel's.
 */
void __init amd_iommu_look_for_buffers(void)
{
	u64 syscfg;

	/* Not the CPU's feature: sev=nosnp of this kernel takes that away. */
	if (amd_iommu_keeps_buffers || !is_kdump_kernel() ||
	    rdmsrl_safe(MSR_AMD64_SYSCFG, &syscfg) ||
	    !(syscfg & MSR_AMD64_SYSCFG_SNP_EN))
		return;

	pr_info("was on: going on with the buffers of the kernel that crashed\n");
	amd_iommu_keeps_buffers = true;
}

static void *__init map_old(struct amd_iommu *iommu, u64 base, size_t size)
{
	phys_addr_t paddr = __sme_clr(base & PM_ADDR_MASK);
	void *buf;

	/* That kernel had none. */
	if (!paddr)
		return NULL;

	if (cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT))
		buf = (__force void *)ioremap_encrypted(paddr, size);
	else
		buf = memremap(paddr, size, MEMREMAP_WB);
	if (!buf)
		pr_err("cannot map the buffer at %pa of IOMMU %d\n", &paddr,
		       iommu->index);
	return buf;
}

/**
 * amd_iommu_old_buffer() - Map a buffer of the kernel that crashed
 * @iommu:	its registers are mapped
 * @reg:	offset of the register that names the buffer
 * @size:	in bytes
 *
 * Return: the mapping, for amd_iommu_free_buffer(); NULL if this kernel has to
 * allocate one, or if there is one that cannot be mapped, which is said.
 */
void *__init amd_iommu_old_buffer(struct amd_iommu *iommu, unsigned int reg,
				  size_t size)
{
	if (!amd_iommu_keeps_buffers)
		return NULL;

	return map_old(iommu, readq(iommu->mmio_base + reg), size);
}

/**
 * amd_iommu_old_log() - Map a log of the kernel that crashed
 * @iommu:	its registers are mapped
 * @reg:	offset of the register that names the log
 * @size:	set to the log's size in bytes, if there is one
 *
 * Return: as amd_iommu_old_buffer().
 */
void *__init amd_iommu_old_log(struct amd_iommu *iommu, unsigned int reg,
			       unsigned int *size)
{
	unsigned int len;
	void *buf;
	u64 base;

	if (!amd_iommu_keeps_buffers)
		return NULL;

	base = readq(iommu->mmio_base + reg);
	len = FIELD_GET(LOG_LEN, base);
	if (len < LOG_LEN_MIN)
		return NULL;

	buf = map_old(iommu, base, 16UL << len);
	if (buf)
		*size = 16U << len;
	return buf;
}
