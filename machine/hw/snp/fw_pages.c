/*
 * Secure processor firmware: page states
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fw_int.h"

static bool in_range(const SnpFwRange *r, uint64_t spa)
{
    return spa >= r->base && (spa - r->base) / RMP_PAGE_SIZE < r->npages;
}

bool snp_fw_iommu_page(const SnpFw *fw, uint64_t spa)
{
    for (unsigned i = 0; i < fw->niommu; i++) {
        if (in_range(&fw->iommu[i], spa)) {
            return true;
        }
    }
    return false;
}

bool snp_fw_iommu_may_write(const SnpFw *fw, uint64_t spa)
{
    return snp_fw_iommu_page(fw, spa) ||
           rmp_check_device_write(fw->rmp, spa, false);
}

bool snp_fw_iommu_store(const SnpFw *fw, uint64_t spa, uint64_t base,
                        uint64_t limit)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE;

    /* [IOMMU-SNP-STORE] */
    if ((pfn < base / RMP_PAGE_SIZE || pfn > limit / RMP_PAGE_SIZE) &&
        !fw_loose(fw, IOMMU_SNP_STORE)) {
        return false;
    }
    return snp_fw_iommu_may_write(fw, spa);
}

static bool in_table(const SnpFw *fw, uint64_t spa)
{
    return fw->rmp->entries && spa >= fw->rmp->base && spa <= fw->rmp->end;
}

bool fw_private_page(const SnpFw *fw, uint64_t spa)
{
    return in_table(fw, spa) || snp_fw_iommu_page(fw, spa) ||
           in_range(&fw->tmr, spa);
}

typedef bool PageTest(const SnpFw *fw, uint64_t page, RmpState s);

/*
 * Does each page of [spa, spa + len) pass? One beyond coverage is Hypervisor.
 * Addresses have bit 51 clear and lengths 32 bits: their sum does not wrap.
 */
static bool all_pages(const SnpFw *fw, uint64_t spa, uint64_t len,
                      PageTest *test)
{
    uint64_t page = spa & ~(RMP_PAGE_SIZE - 1);

    for (; page < spa + len; page += RMP_PAGE_SIZE) {
        RmpEntry e;

        rmp_get(fw->rmp, page, &e);
        if (!test(fw, page, rmp_state(&e))) {
            return false;
        }
    }
    return true;
}

static bool is_firmware(const SnpFw *fw, uint64_t page, RmpState s)
{
    return s == RMP_FIRMWARE && !fw_private_page(fw, page);
}

bool fw_readable(SnpFw *fw, uint64_t spa, uint64_t len)
{
    uint64_t page = spa & ~(RMP_PAGE_SIZE - 1);
    uint8_t byte;

    /* stops at the first page that is not memory */
    for (; page < spa + len; page += RMP_PAGE_SIZE) {
        if (!fw->port.read(fw->port.opaque, page, &byte, 1)) {
            return false;
        }
    }
    return true;
}

bool fw_read(SnpFw *fw, uint64_t spa, void *buf, uint64_t len)
{
    uint8_t *to = buf;

    while (len) {
        uint32_t n = fw_piece(spa, len);

        if (!fw->port.read(fw->port.opaque, spa, to, n)) {
            return false;
        }
        spa += n;
        to += n;
        len -= n;
    }
    return true;
}

void fw_write(SnpFw *fw, uint64_t spa, const void *buf, uint64_t len)
{
    const uint8_t *from = buf;

    while (len) {
        uint32_t n = fw_piece(spa, len);

        fw->port.write(fw->port.opaque, spa, from, n);
        spa += n;
        from += n;
        len -= n;
    }
}

/* [FW-GUEST-CIPHER] */
void fw_guest_read(SnpFw *fw, uint32_t asid, uint64_t spa, void *buf,
                   uint64_t len)
{
    uint8_t *to = buf;

    while (len) {
        uint32_t n = fw_piece(spa, len);

        fw->port.read(fw->port.opaque, spa, to, n);
        fw->port.decrypt(fw->port.opaque, asid, spa, to, n);
        spa += n;
        to += n;
        len -= n;
    }
}

void fw_guest_write(SnpFw *fw, uint32_t asid, uint64_t spa, const void *buf,
                    uint64_t len)
{
    const uint8_t *from = buf;
    uint8_t raw[RMP_PAGE_SIZE];

    while (len) {
        uint32_t n = fw_piece(spa, len);

        memcpy(raw, from, n);
        fw->port.encrypt(fw->port.opaque, asid, spa, raw, n);
        fw->port.write(fw->port.opaque, spa, raw, n);
        spa += n;
        from += n;
        len -= n;
    }
    /* where memory is not enciphered it is what the page is */
    explicit_bzero(raw, sizeof(raw));
}

/*
 * SNP is off again, and the CPUs still hold all to the table: what is no
 * guest's, and not the table itself.
 */
static bool is_free(const SnpFw *fw, uint64_t page, RmpState s)
{
    switch (s) {
    case RMP_HYPERVISOR:
    case RMP_HV_FIXED:
    case RMP_FIRMWARE:
    case RMP_RECLAIM:
        return !in_table(fw, page);
    default:
        return false;
    }
}

uint32_t fw_check_output(SnpFw *fw, uint64_t spa, uint64_t len)
{
    /* [FW-OUTPUT-ADDRESS] */
    if (!fw_readable(fw, spa, len)) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-OUTPUT-STATE] */
    if (fw->snp_inited && !all_pages(fw, spa, len, is_firmware)) {
        return FW_INVALID_PAGE_STATE;
    }
    /* [FW-OUTPUT-OFF] */
    if (!fw->snp_inited && fw->rmp_inited &&
        !all_pages(fw, spa, len, is_free)) {
        return FW_INVALID_PAGE_STATE;
    }
    return FW_SUCCESS;
}

uint32_t fw_check_status(SnpFw *fw, uint64_t spa, uint64_t len)
{
    /* [FW-STATUS-ADDRESS] */
    if (fw_rest_of_page(spa) < len && !fw_loose(fw, FW_STATUS_ADDRESS)) {
        return FW_INVALID_ADDRESS;
    }
    return fw_check_output(fw, spa, len);
}

RmpEntry fw_state_entry(RmpState s)
{
    return (RmpEntry){
        .assigned = s != RMP_HYPERVISOR && s != RMP_HV_FIXED,
        .immutable = s != RMP_HYPERVISOR && s != RMP_RECLAIM,
        .vmsa = s == RMP_CONTEXT,
    };
}

void fw_set_state(SnpFw *fw, uint64_t spa, RmpState s)
{
    RmpEntry e = fw_state_entry(s);

    rmp_fw_set(fw->rmp, spa, &e);
    fw->port.rmp_changed(fw->port.opaque, spa, 1);
}

uint32_t fw_snp_page_reclaim(SnpFw *fw, FwBuf *c)
{
    uint64_t arg = fw_get_addr(c->b), spa = arg & ~1ull;
    bool size_2m = arg & 1;
    RmpEntry e;

    /* [FW-RECLAIM-ADDRESS] */
    if ((spa & ((size_2m ? RMP_2M_SIZE : RMP_PAGE_SIZE) - 1)) ||
        !rmp_covered(fw->rmp, spa)) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-RECLAIM-PRIVATE] RMP, IOMMU buffers and TMR stay the firmware's */
    if (fw_private_page(fw, spa)) {
        return FW_INVALID_PAGE_STATE;
    }
    /* [FW-RECLAIM-STATE] */
    rmp_get(fw->rmp, spa, &e);
    switch (rmp_state(&e)) {
    case RMP_METADATA:
    case RMP_FIRMWARE:
    case RMP_PRE_GUEST:
    case RMP_PRE_SWAP:
    case RMP_RECLAIM:
        break;
    default:
        return FW_INVALID_PAGE_STATE;
    }
    /* [FW-RECLAIM-SIZE] */
    if (e.size_2m != size_2m) {
        return FW_INVALID_PAGE_SIZE;
    }

    e = (RmpEntry){ .assigned = true, .size_2m = size_2m };
    rmp_fw_set(fw->rmp, spa, &e);
    fw->port.rmp_changed(fw->port.opaque, spa, size_2m ? RMP_2M_PAGES : 1);
    return FW_SUCCESS;
}
