/*
 * An IOMMU in a QEMU that has no SNP platform: without TCG, or without gnutls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "hw/snp/dma.h"

SnpPlatform *snp_platform_singleton;

bool snp_dma_iommu_may_write(hwaddr spa)
{
    return true;
}

bool snp_dma_iommu_may_store(hwaddr spa, hwaddr base, hwaddr limit)
{
    return true;
}

/* What is asked only while snp_dma_checked() or snp_dma_viewed() */

bool snp_dma_hw_error(void)
{
    g_assert_not_reached();
}

bool snp_dma_may_write(hwaddr spa, hwaddr size)
{
    g_assert_not_reached();
}

AddressSpace *snp_dma_view(hwaddr spa)
{
    g_assert_not_reached();
}
