/*
 * Accesses of devices, checked against the RMP
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "exec/address-spaces.h"
#include "hw/snp/dma.h"
#include "hw/snp/trace.h"
#include "target/i386/snp/snp.h"

static AddressSpace outside;

void snp_dma_init(void)
{
    if (!outside.root) {
        address_space_init(&outside, x86_snp_outside_root(), "snp-outside-dma");
    }
}

uint64_t snp_dma_c_mask(void)
{
    /* [IOMMU-C-BIT] */
    return snp_platform() && snp_platform()->mem_encrypt ? SNP_C_MASK : 0;
}

bool snp_dma_hw_error(void)
{
    SnpInjectAction a = snp_inject(&snp_platform()->inject, SNP_INJECT_DMA, 0);

    if (likely(a.kind != SNP_INJECT_FAULT)) {
        return false;
    }
    trace_snp_inject("DMA", a.kind, a.value);
    snp_stat_injected(SNP_INJECT_DMA);
    return true;
}

bool snp_dma_may_write(hwaddr spa, hwaddr size)
{
    snp_stat(SNP_STAT_DMA_JUDGED);
    return rmp_check_device_write(&snp_platform()->rmp, spa,
                                  size >= RMP_2M_SIZE);
}

bool snp_dma_iommu_may_write(hwaddr spa)
{
    return !snp_dma_checked() ||
           snp_fw_iommu_may_write(&snp_platform()->fw, spa);
}

bool snp_dma_iommu_may_store(hwaddr spa, hwaddr base, hwaddr limit)
{
    return !snp_dma_checked() ||
           snp_fw_iommu_store(&snp_platform()->fw, spa, base, limit);
}

AddressSpace *snp_dma_view(hwaddr spa)
{
    /* [IOMMU-RMP-READ] also once devices are not checked any more */
    return snp_view_space(&snp_platform()->view, spa, 0)
           ? &outside : &address_space_memory;
}
