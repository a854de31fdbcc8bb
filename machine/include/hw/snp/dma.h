/*
 * Accesses of devices, checked against the RMP
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What an IOMMU asks for each access of a device behind it, after its own page
 * tables agreed to it. From SNP_INIT on the RMP is asked, whether the IOMMU
 * translates or not, until SNP_SHUTDOWN_EX with IOMMU_SNP_SHUTDOWN; as long,
 * the registers that say where its buffers are take no writes.
 *
 * A device is to the RMP what the host is, and has no guest's key: it reads
 * everything, private pages as ciphertext, and writes to Hypervisor pages only;
 * where a guest without SNP has claimed one, what it reads and writes is what
 * DRAM holds, RMP or not.
 *
 * Nobody may keep an answer: RMPUPDATE takes it back without telling. Any
 * thread; no lock is taken. Addresses and sizes are in bytes.
 */
#ifndef HW_SNP_DMA_H
#define HW_SNP_DMA_H

#include "exec/memory.h"
#include "hw/snp/platform.h"

/* False without a platform. The rest is asked only while this is true. */
static inline bool snp_dma_checked(void)
{
    return snp_platform() && qatomic_read(&snp_platform()->fw.iommu_snp);
}

/* May an access be of what RAM does not hold? Then ask for its view. */
static inline bool snp_dma_viewed(void)
{
    return snp_platform() && (snp_platform()->encrypt || snp_dma_checked());
}

/*
 * The C-bit, while memory encryption is on: in the addresses that an IOMMU's
 * driver gives it, and in those that its tables map. 0: there is none.
 */
uint64_t snp_dma_c_mask(void);

/* For this access the RMP cannot be read: it was asked for to fail */
bool snp_dma_hw_error(void);

/* @size: of the IOMMU's mapping around @spa */
bool snp_dma_may_write(hwaddr spa, hwaddr size);

/*
 * May the IOMMU itself write there (its events)? To
 * the pages that the firmware took for it, and to Hypervisor pages. True also
 * while nothing is checked.
 */
bool snp_dma_iommu_may_write(hwaddr spa);

/*
 * The same of COMPLETION_WAIT's word, which also stays within the completion
 * store: pages from the one that holds @base to the one that holds @limit.
 */
bool snp_dma_iommu_may_store(hwaddr spa, hwaddr base, hwaddr limit);

/* The address space that shows @spa as one without a key sees it */
AddressSpace *snp_dma_view(hwaddr spa);

/* By snp_platform_realize() */
void snp_dma_init(void);

#endif
