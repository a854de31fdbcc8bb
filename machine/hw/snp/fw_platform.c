/*
 * Secure processor firmware: the SNP platform
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fw_msg.h"

#define INIT_EX_RMP        (1u << 0)
#define INIT_EX_LIST       (1u << 1)
#define INIT_EX_HIDE       (1u << 3)
#define INIT_EX_TIO        (1u << 4)

/* SNP_PLATFORM_STATUS, byte 3 */
#define STATUS_RMP_INIT    (1u << 0)
#define STATUS_NO_ALIAS    (1u << 1)

/* And its flags, beside those of SNP_CONFIG */
#define STATUS_VLEK        (1u << 2)
#define STATUS_FEATURES    (1u << 3)
#define STATUS_CAN_HIDE    (1u << 5)
#define STATUS_HIDES       (1u << 6)

#define RANGE_HEADER       8u
#define RANGE_SIZE         16u

/* A segmented table has holes: pages without an entry, and others behind. */
static bool past_table(const Rmp *r, uint64_t spa)
{
    return !r->entries || spa / RMP_PAGE_SIZE >= r->npages;
}

/* Without telling the port: the caller does, once. Ends at the last entry. */
static void own_pages(SnpFw *fw, const SnpFwRange *r, RmpState s)
{
    const RmpEntry e = fw_state_entry(s);

    for (uint64_t i = 0; i < r->npages; i++) {
        uint64_t spa = r->base + i * RMP_PAGE_SIZE;

        /* [FW-INIT-UNCOVERED] such pages are the hypervisor's for ever */
        if (past_table(fw->rmp, spa)) {
            return;
        }
        rmp_fw_set(fw->rmp, spa, &e);
    }
}

/* [FW-SHUTDOWN-RMP] wherever the host had its buffers, the table stays */
static void give_back(SnpFw *fw, const SnpFwRange *r)
{
    const RmpEntry e = fw_state_entry(RMP_RECLAIM);

    for (uint64_t i = 0; i < r->npages; i++) {
        uint64_t spa = r->base + i * RMP_PAGE_SIZE;

        if (!rmp_covered(fw->rmp, spa)) {
            return;
        }
        if (!fw_private_page(fw, spa)) {
            rmp_fw_set(fw->rmp, spa, &e);
        }
    }
}

static SnpFwRange rmp_range(const SnpFw *fw)
{
    return (SnpFwRange){
        .base = fw->rmp->base,
        .npages = (fw->rmp->end + 1 - fw->rmp->base) / RMP_PAGE_SIZE,
    };
}

static uint32_t read_ranges(SnpFw *fw, uint64_t list, SnpFwRange *r,
                            unsigned *nr)
{
    uint8_t page[RMP_PAGE_SIZE];
    uint64_t left = fw->rmp->npages;
    uint32_t n;

    /* [FW-INIT-LIST-ADDRESS] */
    if (!fw_page_aligned(list) ||
        !fw->port.read(fw->port.opaque, list, page, sizeof(page))) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-INIT-LIST] reserved fields are zero and the page holds it all */
    n = fw_get(page, 4);
    if (n > FW_MAX_RANGES || fw_get(page + 4, 4)) {
        return FW_INVALID_PARAM;
    }
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *p = page + RANGE_HEADER + i * RANGE_SIZE;

        r[i].base = fw_get_addr(p);
        r[i].npages = fw_get(p + 8, 4);
        if (fw_get(p + 12, 4) || !fw_page_aligned(r[i].base) ||
            r[i].base >= FW_C_BIT ||
            r[i].npages > (FW_C_BIT - r[i].base) / RMP_PAGE_SIZE) {
            return FW_INVALID_PARAM;
        }
    }
    *nr = n;
    /*
     * [FW-INIT-LIST-PAGES] pages without an entry cost nothing; of the others,
     * a list that names them again and again would keep the firmware busy
     */
    for (unsigned i = 0; i < n; i++) {
        uint64_t first = r[i].base / RMP_PAGE_SIZE;
        uint64_t have = first < fw->rmp->npages ? fw->rmp->npages - first : 0;

        have = have < r[i].npages ? have : r[i].npages;
        if (have > left) {
            return FW_INVALID_PARAM;
        }
        left -= have;
    }
    return FW_SUCCESS;
}

/* A page can become HV-fixed only if it is nobody's, or @ours and private. */
static bool ranges_free(const SnpFw *fw, const SnpFwRange *r, unsigned nr,
                        bool ours)
{
    for (unsigned i = 0; i < nr; i++) {
        for (uint64_t j = 0; j < r[i].npages; j++) {
            uint64_t spa = r[i].base + j * RMP_PAGE_SIZE;
            RmpEntry e;

            if (past_table(fw->rmp, spa)) {
                break;
            }
            rmp_get(fw->rmp, spa, &e);
            if (e.assigned && !(ours && fw_private_page(fw, spa))) {
                return false;
            }
        }
    }
    return true;
}

/* Builds of 1.55 have it from these on: Milan, Genoa */
static bool has_alias_check(const SnpFwConfig *cfg)
{
    unsigned api = cfg->api_major << 8 | cfg->api_minor;
    bool genoa = cfg->fms & 0xf0000;

    return api > 0x137 || (api == 0x137 && cfg->build >= (genoa ? 38 : 22));
}

static uint32_t snp_init(SnpFw *fw, bool init_rmp, bool have_list,
                         uint64_t list, uint32_t hidden_asids)
{
    SnpFwRange ranges[FW_MAX_RANGES], table;
    unsigned nr = 0;
    const char *why = "no RMP";
    uint32_t status;

    if (have_list) {
        status = read_ranges(fw, list, ranges, &nr);
        if (status) {
            return status;
        }
    }
    /* [FW-INIT-CPUS] [FW-INIT-RMP-ALIGN] */
    if (!fw->rmp->entries || (fw->rmp->base & 0xfffff) ||
        ((fw->rmp->end + 1) & 0xfffff) ||
        !fw->port.cpus_ready(fw->port.opaque, &why)) {
        fw->port.log(fw->port.opaque, why);
        return FW_INVALID_CONFIG;
    }
    /* [FW-INIT-RMP-REQUIRED] */
    if (!init_rmp && !fw->rmp_inited) {
        return FW_RMP_INIT_REQUIRED;
    }
    /* [FW-INIT-LIST-STATE] */
    if (!init_rmp && !ranges_free(fw, ranges, nr, true)) {
        return FW_INVALID_PAGE_STATE;
    }

    /* [FW-INIT-ALONE] what is made is what is found at the end */
    fw->rmp->held = true;
    if (init_rmp) {
        rmp_clear(fw->rmp);
        /* [FW-MITIGATION-INIT] what would be verified is new */
        fw->mitigated = fw->cfg.mitigations;
    }
    fw->port.meanwhile(fw->port.opaque);
    /* [FW-INIT-HV-FIXED] what is the firmware's comes later and wins */
    for (unsigned i = 0; i < nr; i++) {
        own_pages(fw, &ranges[i], RMP_HV_FIXED);
    }
    /* [FW-INIT-RMP-PAGES] */
    table = rmp_range(fw);
    own_pages(fw, &table, RMP_FIRMWARE);
    /* [FW-INIT-IOMMU] */
    fw->niommu = fw->port.iommu_buffers(fw->port.opaque, fw->iommu,
                                        FW_MAX_IOMMU);
    for (unsigned i = 0; i < fw->niommu; i++) {
        own_pages(fw, &fw->iommu[i], RMP_FIRMWARE);
    }
    fw->rmp->held = false;
    /* [FW-ALIAS-CHECK] two addresses of one page have two RMP entries */
    fw->alias_checked = has_alias_check(&fw->cfg) &&
                        !fw->port.aliased(fw->port.opaque);
    /* [FW-INIT-IOMMU-ENFORCE] */
    fw->iommu_snp = true;
    fw->rmp_inited = true;
    fw->snp_inited = true;
    fw->hidden_asids = hidden_asids;
    fw->port.hide(fw->port.opaque, hidden_asids);
    fw->port.rmp_changed(fw->port.opaque, 0, 0);
    return FW_SUCCESS;
}

uint32_t fw_snp_init(SnpFw *fw, FwBuf *c)
{
    (void)c;
    return snp_init(fw, true, false, 0, 0);
}

uint32_t fw_snp_init_ex(SnpFw *fw, FwBuf *c)
{
    uint32_t flags = fw_get(c->b, 4), asids = fw_get(c->b + 16, 2);
    uint32_t known = INIT_EX_RMP | INIT_EX_LIST |
                     (fw->cfg.hiding ? INIT_EX_HIDE : 0) |
                     (fw->cfg.tio ? INIT_EX_TIO : 0);
    bool hide = flags & INIT_EX_HIDE;
    uint32_t status;

    /* [FW-INIT-RSVD] options that are not announced are reserved bits */
    if ((flags & ~known) || (!hide && asids) ||
        !fw_all_zero(c->b + 4, 4) || !fw_all_zero(c->b + 18, 46)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-INIT-HIDE] of the ASIDs for SEV-ES and SNP the first are SNP's */
    if (hide && (!asids || asids >= fw->cfg.min_sev_asid)) {
        return FW_INVALID_PARAM;
    }
    status = snp_init(fw, flags & INIT_EX_RMP, flags & INIT_EX_LIST,
                      fw_get_addr(c->b + 8), asids);
    if (!status) {
        fw->tio_enabled = flags & INIT_EX_TIO;
    }
    return status;
}

/* Pages that the hypervisor finds out later it will never give to a guest */
uint32_t fw_snp_page_set_state(SnpFw *fw, FwBuf *c)
{
    SnpFwRange ranges[FW_MAX_RANGES];
    unsigned nr = 0;
    uint32_t status;

    /* [FW-SET-STATE-LEN] */
    if (fw_get(c->b, 4) != 16) {
        return FW_INVALID_LEN;
    }
    /* [FW-SET-STATE-RSVD] */
    if (fw_get(c->b + 4, 4)) {
        return FW_INVALID_PARAM;
    }
    status = read_ranges(fw, fw_get_addr(c->b + 8), ranges, &nr);
    if (status) {
        return status;
    }
    /* [FW-SET-STATE-STATE] */
    if (!ranges_free(fw, ranges, nr, false)) {
        return FW_INVALID_PAGE_STATE;
    }
    for (unsigned i = 0; i < nr; i++) {
        own_pages(fw, &ranges[i], RMP_HV_FIXED);
    }
    fw->port.rmp_changed(fw->port.opaque, 0, 0);
    return FW_SUCCESS;
}

static uint32_t snp_shutdown(SnpFw *fw, bool iommu)
{
    /* [FW-SHUTDOWN-DIRTY] */
    if (fw_asid_any_dirty(fw)) {
        return fw->port.wbinvd_done(fw->port.opaque) ? FW_DFFLUSH_REQUIRED
                                                     : FW_WBINVD_REQUIRED;
    }

    fw_drop_guests(fw);
    /* [FW-SHUTDOWN-TIO] */
    fw_tio_shutdown(fw);
    /* [FW-SHUTDOWN-IOMMU] the host may now give the buffers back */
    if (iommu) {
        unsigned n = fw->niommu;

        fw->niommu = 0;
        fw->iommu_snp = false;
        for (unsigned i = 0; i < n; i++) {
            give_back(fw, &fw->iommu[i]);
        }
    }
    /* [FW-SHUTDOWN-HV-FIXED] */
    for (uint64_t pfn = 0; pfn < fw->rmp->npages; pfn++) {
        const RmpEntry free = fw_state_entry(RMP_HYPERVISOR);
        RmpEntry e;

        rmp_get_raw(fw->rmp, pfn * RMP_PAGE_SIZE, &e);
        if (rmp_state(&e) == RMP_HV_FIXED) {
            rmp_fw_set(fw->rmp, pfn * RMP_PAGE_SIZE, &free);
        }
    }
    /* [FW-VLEK-GONE] */
    fw_vlek_delete(fw);
    fw->snp_inited = false;
    fw->hidden_asids = 0;
    fw->port.hide(fw->port.opaque, 0);
    fw->port.rmp_changed(fw->port.opaque, 0, 0);
    return FW_SUCCESS;
}

uint32_t fw_snp_shutdown(SnpFw *fw, FwBuf *c)
{
    (void)c;
    return snp_shutdown(fw, false);
}

uint32_t fw_snp_shutdown_ex(SnpFw *fw, FwBuf *c)
{
    uint32_t flags = fw_get(c->b + 4, 4);
    uint32_t status;

    /* [FW-SHUTDOWN-LEN] */
    if (fw_get(c->b, 4) != 8) {
        return FW_INVALID_LEN;
    }
    /* [FW-SHUTDOWN-RSVD] */
    if (flags & ~(fw->cfg.x86_shutdown ? 3u : 1u)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-SHUTDOWN-X86-IOMMU] */
    if ((flags & 2) && !(flags & 1)) {
        return FW_INVALID_PARAM;
    }
    status = snp_shutdown(fw, flags & 1);
    /*
     * [FW-SHUTDOWN-X86] nobody goes by the table any more: it is to be made.
     * What guests left in memory is ciphertext all the same.
     */
    if (status == FW_SUCCESS && (flags & 2)) {
        fw->port.cpus_disable(fw->port.opaque);
        __atomic_store_n(&fw->rmp_inited, false, __ATOMIC_RELAXED);
    }
    return status;
}

static uint32_t guest_count(const SnpFw *fw)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        n += fw->guests[i].used;
    }
    return n;
}

uint32_t fw_snp_platform_status(SnpFw *fw, FwBuf *c)
{
    uint64_t addr = fw_get_addr(c->b);
    uint8_t out[32] = { 0 };
    uint32_t status = fw_check_status(fw, addr, sizeof(out));

    if (status) {
        return status;
    }

    out[0] = fw->cfg.api_major;
    out[1] = fw->cfg.api_minor;
    out[2] = fw->snp_inited;
    out[3] = (fw->rmp_inited ? STATUS_RMP_INIT : 0) |
             (fw->alias_checked ? STATUS_NO_ALIAS : 0);
    fw_put(out + 4, 4, fw->cfg.build);
    /* [FW-FEATURES] */
    fw_put(out + 8, 4, fw->config_flags |
           (fw->vlek_loaded ? STATUS_VLEK : 0) |
           (fw_features(fw) ? STATUS_FEATURES : 0) |
           (fw->cfg.hiding ? STATUS_CAN_HIDE : 0) |
           (fw->hidden_asids ? STATUS_HIDES : 0));
    fw_put(out + 12, 4, guest_count(fw));
    fw_put(out + 16, 8, fw->cfg.tcb);
    fw_put(out + 24, 8, fw_reported_tcb(fw));
    fw_write(fw, addr, out, sizeof(out));
    if (fw->snp_inited) {
        uint64_t last = (addr + sizeof(out) - 1) & ~(RMP_PAGE_SIZE - 1);

        /* [FW-STATUS-RECLAIM] */
        fw_set_state(fw, addr & ~(RMP_PAGE_SIZE - 1), RMP_RECLAIM);
        if (last > addr) {
            fw_set_state(fw, last, RMP_RECLAIM);
        }
    }
    return FW_SUCCESS;
}

/* [FW-VLEK-GONE] a VLEK is of the one TCB version that is reported */
static void report_tcb(SnpFw *fw, uint64_t tcb)
{
    uint64_t was = fw_reported_tcb(fw);

    fw->reported_tcb = tcb;
    if (fw_reported_tcb(fw) != was) {
        fw_vlek_delete(fw);
    }
}

uint32_t fw_snp_config(SnpFw *fw, FwBuf *c)
{
    uint64_t tcb = fw_get(c->b, 8);
    uint32_t flags = fw_get(c->b + 8, 4);

    /* [FW-CONFIG] each part of the version at most the committed one */
    if (!fw_tcb_within(tcb, fw->cfg.committed_tcb)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-CONFIG-RSVD] */
    if ((flags & ~(FW_MASK_CHIP_ID | FW_MASK_CHIP_KEY)) ||
        !fw_all_zero(c->b + 12, 52)) {
        return FW_INVALID_PARAM;
    }
    report_tcb(fw, tcb);
    fw->config_flags = flags;
    return FW_SUCCESS;
}

/* [FW-COMMIT] */
void fw_commit(SnpFw *fw)
{
    report_tcb(fw, fw->cfg.tcb);
    fw->cfg.committed_tcb = fw->cfg.tcb;
    fw->cfg.committed_major = fw->cfg.api_major;
    fw->cfg.committed_minor = fw->cfg.api_minor;
    fw->cfg.committed_build = fw->cfg.build;
    fw->reported_tcb = 0;
}

uint32_t fw_snp_commit(SnpFw *fw, FwBuf *c)
{
    /* [FW-COMMIT-LEN] */
    if (fw_get(c->b, 4) != 4) {
        return FW_INVALID_LEN;
    }
    fw_commit(fw);
    return FW_SUCCESS;
}
