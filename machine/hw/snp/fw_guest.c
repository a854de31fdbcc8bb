/*
 * Secure processor firmware: SNP guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A guest is known by its Context page. What hardware keeps in that page,
 * encrypted, is in SnpFw.guests; the page itself holds a number, enciphered
 * with the firmware's own key, that is compared at every command.
 */
#include "fw_int.h"

#define GCTX_MAGIC        0x58544347504e53ull   /* "SNPGCTX" */

#define POLICY_SMT        (1ull << 16)
#define POLICY_ONE        (1ull << 17)
#define POLICY_XTS        (1ull << 22)
#define POLICY_RAPL_DIS   (1ull << 23)
#define POLICY_CTH        (1ull << 24)
#define POLICY_RSVD       (~0ull << 26)

#define PAGE_BLOCKS       (RMP_PAGE_SIZE / CIPHER_BLOCK)

/* The first block of a Context page, as the firmware sees it */
static bool read_head(SnpFw *fw, uint64_t spa, uint8_t head[CIPHER_BLOCK])
{
    SnpCipher *c;

    if (!fw->port.read(fw->port.opaque, spa, head, CIPHER_BLOCK)) {
        return false;
    }
    c = snp_cipher_new(fw->mem_key);
    snp_cipher_decrypt(c, spa, 0, 1, head);
    snp_cipher_free(c);
    return true;
}

/* [FW-GCTX-CIPHER] nobody reads, or writes, a Context page in the clear */
static void write_context(SnpFw *fw, uint64_t spa, const SnpFwGuest *g)
{
    SnpCipher *c = snp_cipher_new(fw->mem_key);
    uint8_t page[RMP_PAGE_SIZE] = { 0 };

    fw_put(page, 8, GCTX_MAGIC);
    fw_put(page + 8, 8, g->id);
    snp_cipher_encrypt(c, spa, 0, PAGE_BLOCKS, page);
    snp_cipher_free(c);
    fw->port.write(fw->port.opaque, spa, page, sizeof(page));
}

/* [FW-GCTX] */
uint32_t fw_find_guest(SnpFw *fw, const uint8_t *arg, SnpFwGuest **out)
{
    uint64_t spa = fw_get_addr(arg);
    uint8_t head[CIPHER_BLOCK];
    RmpEntry e;

    if (!fw_page_aligned(spa) || !rmp_covered(fw->rmp, spa)) {
        return FW_INVALID_ADDRESS;
    }
    rmp_get(fw->rmp, spa, &e);
    if (rmp_state(&e) != RMP_CONTEXT ||
        !read_head(fw, spa, head) ||
        fw_get(head, 8) != GCTX_MAGIC) {
        return FW_INVALID_GUEST;
    }
    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        SnpFwGuest *g = &fw->guests[i];

        if (g->used && g->gctx == spa && g->id == fw_get(head + 8, 8)) {
            *out = g;
            return FW_SUCCESS;
        }
    }
    return FW_INVALID_GUEST;
}

uint32_t fw_gctx_create(SnpFw *fw, FwBuf *c)
{
    uint64_t spa = fw_get_addr(c->b);
    uint32_t status;

    /* [FW-GCTX-CREATE-ADDRESS] */
    if (!fw_page_aligned(spa)) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-GCTX-CREATE-STATE] */
    status = fw_check_output(fw, spa, RMP_PAGE_SIZE);
    if (status) {
        return status;
    }
    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        SnpFwGuest *g = &fw->guests[i];

        if (g->used) {
            continue;
        }
        memset(g, 0, sizeof(*g));
        g->used = true;
        g->gctx = spa;
        g->id = fw->next_id++;
        write_context(fw, spa, g);
        fw_set_state(fw, spa, RMP_CONTEXT);
        return FW_SUCCESS;
    }
    /* [FW-GUEST-LIMIT] */
    return FW_RESOURCE_LIMIT;
}

static uint32_t check_policy(const SnpFw *fw, uint64_t policy)
{
    unsigned major = policy >> 8 & 0xff, minor = policy & 0xff;

    /* [FW-POLICY-RSVD] */
    if (!(policy & POLICY_ONE) || (policy & POLICY_RSVD)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-POLICY-API] */
    if (major > fw->cfg.api_major ||
        (major == fw->cfg.api_major && minor > fw->cfg.api_minor)) {
        return FW_POLICY_FAILURE;
    }
    /* [FW-POLICY-SMT] */
    if (fw->cfg.smt && !(policy & POLICY_SMT)) {
        return FW_POLICY_FAILURE;
    }
    /* [FW-POLICY-FEATURES] demands that this platform does not meet */
    if ((policy & (POLICY_XTS | POLICY_RAPL_DIS)) ||
        ((policy & POLICY_CTH) && !fw->hidden_asids)) {
        return FW_POLICY_FAILURE;
    }
    return FW_SUCCESS;
}

uint32_t fw_snp_launch_start(SnpFw *fw, FwBuf *c)
{
    uint64_t policy = fw_get(c->b + 8, 8);
    uint8_t flags = c->b[0x18];
    SnpFwGuest *g = c->g;
    uint32_t status;

    /* [FW-LAUNCH-START-RSVD] */
    if ((flags & ~3u) || !fw_all_zero(c->b + 0x19, 3)) {
        return FW_INVALID_PARAM;
    }
    status = check_policy(fw, policy);
    if (status) {
        return status;
    }
    /* [FW-LAUNCH-START-TSC] */
    if (!fw_tsc_possible(fw, fw_get(c->b + 0x1c, 4))) {
        return FW_INVALID_PARAM;
    }
    /* [FW-LAUNCH-START-MA] migration agents and images: not implemented */
    if (flags) {
        return FW_UNSUPPORTED;
    }

    g->state = SNP_GUEST_LAUNCH;
    g->policy = policy;
    g->launch_tcb = fw->cfg.tcb;
    g->launch_mitigations = fw->mitigated;
    g->tsc_khz = fw_get(c->b + 0x1c, 4);
    memcpy(g->gosvw, c->b + 0x20, sizeof(g->gosvw));
    memset(g->ld, 0, sizeof(g->ld));
    fw->port.random(fw->port.opaque, g->vmpck, sizeof(g->vmpck));
    fw->port.random(fw->port.opaque, g->report_id, sizeof(g->report_id));
    fw->port.random(fw->port.opaque, g->vmrk, sizeof(g->vmrk));
    fw->port.random(fw->port.opaque, g->oek, sizeof(g->oek));
    fw->port.random(fw->port.opaque, g->vek, sizeof(g->vek));
    return FW_SUCCESS;
}

static uint32_t activate(SnpFw *fw, SnpFwGuest *g, uint32_t asid)
{
    uint32_t status = fw_asid_check(fw, asid, FW_KIND_SNP);

    if (!status) {
        g->asid = asid;
        /* [FW-ACTIVATE-KEY] */
        fw->port.load_key(fw->port.opaque, asid, g->vek);
    }
    return status;
}

uint32_t fw_snp_activate(SnpFw *fw, FwBuf *c)
{
    return activate(fw, c->g, fw_get(c->b + 8, 4));
}

#define ACTIVATE_EX_LEN   32u
#define ACTIVATE_IDS      (RMP_PAGE_SIZE / 4)

/*
 * On the core complexes only that the list has a CPU of. This machine is one
 * complex, so that whatever list is good means all of it.
 */
uint32_t fw_snp_activate_ex(SnpFw *fw, FwBuf *c)
{
    uint32_t n = fw_get(c->b + 0x14, 4);
    uint64_t list = fw_get_addr(c->b + 0x18);
    uint8_t ids[RMP_PAGE_SIZE];

    /* [FW-ACTIVATE-EX-LEN] */
    if (fw_get(c->b, 4) != ACTIVATE_EX_LEN) {
        return FW_INVALID_LEN;
    }
    /* [FW-ACTIVATE-EX-COUNT] */
    if (!n || n > ACTIVATE_IDS || fw_get(c->b + 4, 4)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-ACTIVATE-EX-LIST] */
    if (list % 4 || !fw_read(fw, list, ids, 4 * n)) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-ACTIVATE-EX-CPU] */
    for (unsigned i = 0; i < n; i++) {
        if (!fw->port.has_cpu(fw->port.opaque, fw_get(ids + 4 * i, 4))) {
            return FW_INVALID_PARAM;
        }
    }
    return activate(fw, c->g, fw_get(c->b + 0x10, 4));
}

/* ---- LAUNCH_UPDATE ---- */

enum {
    PAGE_NORMAL = 1, PAGE_VMSA, PAGE_ZERO, PAGE_UNMEASURED, PAGE_SECRETS,
    PAGE_CPUID,
};

#define VMSA_GPA          0xfffffffff000ull
#define VMSA_VMPL         0x0ca
#define VMSA_SEV_FEATURES 0x3b0
#define CPUID_MAX         64u

/* [FW-DIGEST] one page more in the launch digest */
static void extend_digest(SnpFwGuest *g, const uint8_t *page, uint8_t type,
                          uint64_t gpa, const uint8_t *perms)
{
    uint8_t info[0x70] = { 0 };

    memcpy(info, g->ld, SHA384_LEN);
    if (type == PAGE_NORMAL || type == PAGE_VMSA) {
        sha384(page, RMP_PAGE_SIZE, info + 0x30);
    }
    fw_put(info + 0x60, 2, sizeof(info));
    info[0x62] = type;
    info[0x64] = perms[3];
    info[0x65] = perms[2];
    info[0x66] = perms[1];
    fw_put(info + 0x68, 8, type == PAGE_VMSA ? VMSA_GPA : gpa);
    sha384(info, sizeof(info), g->ld);
}

static void fill_secrets(const SnpFw *fw, const SnpFwGuest *g, uint8_t *page)
{
    memset(page, 0, RMP_PAGE_SIZE);
    fw_put(page, 4, 3);
    fw_put(page + 8, 4, fw->cfg.fms);
    memcpy(page + 0x10, g->gosvw, sizeof(g->gosvw));
    memcpy(page + 0x20, g->vmpck, sizeof(g->vmpck));
}

/* May the content stand? The page is known to be memory. */
static uint32_t check_content(SnpFw *fw, uint8_t type, uint64_t spa)
{
    uint8_t page[RMP_PAGE_SIZE] = { 0 };

    fw->port.read(fw->port.opaque, spa, page, sizeof(page));
    if (type == PAGE_VMSA) {
        /* [FW-UPDATE-VMSA] it is an SNP guest's, at a VMPL that exists */
        if ((!(page[VMSA_SEV_FEATURES] & 1) ||
             page[VMSA_VMPL] >= fw->rmp->nvmpls) &&
            !fw_loose(fw, FW_UPDATE_VMSA)) {
            return FW_INVALID_PARAM;
        }
    } else if (type == PAGE_CPUID) {
        uint32_t n = fw_get(page, 4);

        /* [FW-UPDATE-CPUID] the values are not compared with the CPU's */
        if (!n || n > CPUID_MAX || !fw_all_zero(page + 4, 12)) {
            return FW_INVALID_PARAM;
        }
    }
    return FW_SUCCESS;
}

static uint32_t check_target(SnpFw *fw, const SnpFwGuest *g, uint64_t spa,
                             bool size_2m, uint8_t type, RmpEntry *e)
{
    /* [FW-UPDATE-ADDRESS] */
    if ((spa & ((size_2m ? RMP_2M_SIZE : RMP_PAGE_SIZE) - 1)) ||
        !rmp_covered(fw->rmp, spa) ||
        !fw_readable(fw, spa, size_2m ? RMP_2M_SIZE : RMP_PAGE_SIZE)) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-UPDATE-PAGE-STATE] */
    rmp_get(fw->rmp, spa, e);
    if (rmp_state(e) != RMP_PRE_GUEST) {
        return FW_INVALID_PAGE_STATE;
    }
    /* [FW-UPDATE-OWNER] */
    if (e->asid != g->asid) {
        return FW_INVALID_PAGE_OWNER;
    }
    /* [FW-UPDATE-SIZE] */
    if (e->size_2m != size_2m ||
        (size_2m && (type == PAGE_VMSA || type == PAGE_SECRETS ||
                     type == PAGE_CPUID))) {
        return FW_INVALID_PAGE_SIZE;
    }
    return FW_SUCCESS;
}

uint32_t fw_snp_launch_update(SnpFw *fw, FwBuf *c)
{
    uint32_t flags = fw_get(c->b + 8, 4);
    bool size_2m = flags & 1;
    uint8_t type = flags >> 1 & 7;
    uint64_t spa = fw_get_addr(c->b + 0x10);
    const uint8_t *arg_perms = c->b + 0x18;     /* of VMPL 0, 1, 2, 3 */
    uint8_t page[RMP_PAGE_SIZE];
    SnpFwGuest *g = c->g;
    RmpEntry e;
    uint32_t status;
    bool tsc;

    /* [FW-UPDATE-RSVD] bit 4 is for migration images, which there are not */
    if ((flags & ~0xfu) || !fw_all_zero(c->b + 12, 4) ||
        !fw_all_zero(c->b + 0x1c, 4) || arg_perms[0] ||
        ((arg_perms[1] | arg_perms[2] | arg_perms[3]) & ~RMP_PERM_ALL)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-UPDATE-TYPE] */
    if (type < PAGE_NORMAL || type > PAGE_CPUID) {
        return FW_INVALID_PARAM;
    }
    status = check_target(fw, g, spa, size_2m, type, &e);
    if (!status) {
        status = check_content(fw, type, spa);
    }
    if (status) {
        return status;
    }

    for (unsigned i = 0; i < (size_2m ? RMP_2M_PAGES : 1); i++) {
        uint64_t at = spa + i * RMP_PAGE_SIZE;

        memset(page, 0, sizeof(page));
        if (type == PAGE_SECRETS) {
            fill_secrets(fw, g, page);
        }
        if (type != PAGE_SECRETS && type != PAGE_ZERO) {
            fw->port.read(fw->port.opaque, at, page, sizeof(page));
        }
        /* [FW-UPDATE-VMSA-TSC] measured as 0, then the guest's own */
        tsc = type == PAGE_VMSA && fw_tsc_in_vmsa(fw, page);
        if (tsc) {
            fw_tsc_measured(page);
        }
        extend_digest(g, page, type, e.gpa + i * RMP_PAGE_SIZE, arg_perms);
        if (tsc) {
            fw_tsc_fill(fw, g, page);
        }
        /* [FW-UPDATE-CIPHER] what was read as it is becomes the guest's */
        fw_guest_write(fw, g->asid, at, page, RMP_PAGE_SIZE);
    }
    if (type == PAGE_SECRETS) {
        explicit_bzero(page, sizeof(page));
    }
    memcpy(e.perms, arg_perms, sizeof(e.perms));
    e.perms[0] = RMP_PERM_ALL;
    e.immutable = false;
    e.validated = true;
    e.vmsa = type == PAGE_VMSA;
    rmp_fw_set(fw->rmp, spa, &e);
    fw->port.rmp_changed(fw->port.opaque, spa, size_2m ? RMP_2M_PAGES : 1);
    return FW_SUCCESS;
}

uint32_t fw_snp_guest_status(SnpFw *fw, FwBuf *c)
{
    uint64_t addr = fw_get_addr(c->b + 8);
    uint8_t out[32] = { 0 };
    const SnpFwGuest *g = c->g;
    uint32_t status = fw_check_status(fw, addr, sizeof(out));

    if (status) {
        return status;
    }
    fw_put(out, 8, g->policy);
    fw_put(out + 8, 4, g->asid);
    out[12] = g->state;
    fw_write(fw, addr, out, sizeof(out));
    return FW_SUCCESS;
}

static void drop_guest(SnpFw *fw, SnpFwGuest *g)
{
    uint8_t page[RMP_PAGE_SIZE] = { 0 };

    fw->port.write(fw->port.opaque, g->gctx, page, sizeof(page));
    fw_set_state(fw, g->gctx, RMP_FIRMWARE);
    fw_asid_release(fw, g->asid);
    memset(g, 0, sizeof(*g));
}

uint32_t fw_snp_decommission(SnpFw *fw, FwBuf *c)
{
    drop_guest(fw, c->g);
    return FW_SUCCESS;
}

void fw_drop_guests(SnpFw *fw)
{
    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        if (fw->guests[i].used) {
            drop_guest(fw, &fw->guests[i]);
        }
    }
}
