/*
 * Secure processor firmware: pages of guests that move or leave memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The hypervisor first makes a guest's page immutable (Pre-guest, Pre-swap).
 * PAGE_MOVE gives its content to another; PAGE_SWAP_OUT gives out content
 * sealed with the guest's offline encryption key, which may be stored
 * anywhere. What PAGE_SWAP_IN needs to know it by again, and to take it once
 * only, is an entry of a Metadata page or, one per guest, of its context.
 * Metadata pages can be swapped out themselves.
 *
 * The ABI's text was not at hand: layouts and the order of checks are ours.
 */
#include "fw_int.h"

#define POLICY_NO_SWAP    (1ull << 25)

#define FLAG_2M           (1u << 0)
#define FLAG_TYPE_SHIFT   1
#define FLAG_ROOT         (1u << 3)
#define SWAP_RSVD         (~0xfu)

enum { SWAP_DATA, SWAP_METADATA, SWAP_VMSA, SWAP_NTYPES };

typedef struct FwMdEntry {
    uint8_t software[8];        /* the hypervisor's */
    uint8_t iv[8];
    uint8_t tag[GCM_TAG_LEN];
    uint8_t info[8];            /* guest address and flags */
    uint8_t perms[RMP_VMPLS];
    uint8_t rsvd[20];
} FwMdEntry;

_Static_assert(sizeof(FwMdEntry) == FW_MD_ENTRY, "metadata entry");

#define MD_VALID          (1u << 0)
#define MD_METADATA       (1u << 1)
#define MD_VMSA           (1u << 2)
#define MD_VALIDATED      (1u << 3)

/* What SWAP_OUT and SWAP_IN are asked for */
typedef struct Swap {
    SnpFwGuest *g;
    uint64_t src, dst, md;      /* md: of the entry, if not the root's */
    unsigned type;
    bool root;
    RmpEntry page;              /* of the guest's page */
    FwMdEntry entry;
} Swap;

/* A page of 4K or 2M with an entry, all of it memory? */
static bool good_page(SnpFw *fw, uint64_t spa, bool size_2m)
{
    uint64_t len = size_2m ? RMP_2M_SIZE : RMP_PAGE_SIZE;

    return !(spa & (len - 1)) && rmp_covered(fw->rmp, spa) &&
           fw_readable(fw, spa, len);
}

static bool movable(const RmpEntry *e)
{
    RmpState s = rmp_state(e);

    return s == RMP_PRE_GUEST || s == RMP_PRE_SWAP;
}

/* A guest's page as it is left to the guest */
static void give(SnpFw *fw, uint64_t spa, RmpEntry *e)
{
    e->immutable = false;
    rmp_fw_set(fw->rmp, spa, e);
    fw->port.rmp_changed(fw->port.opaque, spa, e->size_2m ? RMP_2M_PAGES : 1);
}

/* And what has no content any more: the firmware's, 4K by 4K */
static void take(SnpFw *fw, uint64_t spa, unsigned npages)
{
    for (unsigned i = 0; i < npages; i++) {
        fw_set_state(fw, spa + i * RMP_PAGE_SIZE, RMP_FIRMWARE);
    }
}

/* ---- PAGE_MOVE ---- */

uint32_t fw_snp_page_move(SnpFw *fw, FwBuf *c)
{
    uint32_t flags = fw_get(c->b + 8, 4);
    uint64_t src = fw_get_addr(c->b + 0x10), dst = fw_get_addr(c->b + 0x18);
    bool size_2m = flags & FLAG_2M;
    unsigned npages = size_2m ? RMP_2M_PAGES : 1;
    uint8_t page[RMP_PAGE_SIZE];
    RmpEntry from, to;

    /* [FW-MOVE-RSVD] */
    if ((flags & ~FLAG_2M) || fw_get(c->b + 12, 4)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-SWAP-POLICY] */
    if (c->g->policy & POLICY_NO_SWAP) {
        return FW_POLICY_FAILURE;
    }
    /* [FW-MOVE-ADDRESS] */
    if (!good_page(fw, src, size_2m) || !good_page(fw, dst, size_2m) ||
        src == dst) {
        return FW_INVALID_ADDRESS;
    }
    rmp_get(fw->rmp, src, &from);
    rmp_get(fw->rmp, dst, &to);
    /* [FW-MOVE-STATE] */
    if (!movable(&from) || rmp_state(&to) != RMP_PRE_GUEST) {
        return FW_INVALID_PAGE_STATE;
    }
    /* [FW-MOVE-OWNER] */
    if (from.asid != c->g->asid || to.asid != c->g->asid) {
        return FW_INVALID_PAGE_OWNER;
    }
    /* [FW-MOVE-SIZE] */
    if (from.size_2m != size_2m || to.size_2m != size_2m) {
        return FW_INVALID_PAGE_SIZE;
    }
    /* [FW-MOVE-GPA] the guest sees its content where it was */
    if (from.gpa != to.gpa) {
        return FW_INVALID_PARAM;
    }

    for (unsigned i = 0; i < npages; i++) {
        uint64_t at = i * RMP_PAGE_SIZE;

        fw_guest_read(fw, c->g->asid, src + at, page, RMP_PAGE_SIZE);
        fw_guest_write(fw, c->g->asid, dst + at, page, RMP_PAGE_SIZE);
    }
    give(fw, dst, &from);
    take(fw, src, npages);
    return FW_SUCCESS;
}

/* ---- metadata ---- */

uint32_t fw_snp_page_md_init(SnpFw *fw, FwBuf *c)
{
    uint64_t spa = fw_get_addr(c->b + 8);
    uint8_t page[RMP_PAGE_SIZE] = { 0 };
    RmpEntry e = fw_state_entry(RMP_METADATA);
    uint32_t status;

    /* [FW-MD-INIT-ADDRESS] nor can a context at 0 be told from none */
    if (!fw_page_aligned(spa) || !c->g->gctx) {
        return FW_INVALID_ADDRESS;
    }
    status = fw_check_output(fw, spa, RMP_PAGE_SIZE);
    if (status) {
        return status;
    }
    fw->port.write(fw->port.opaque, spa, page, sizeof(page));
    e.gpa = c->g->gctx;
    rmp_fw_set(fw->rmp, spa, &e);
    fw->port.rmp_changed(fw->port.opaque, spa, 1);
    return FW_SUCCESS;
}

static uint32_t find_entry(SnpFw *fw, Swap *s)
{
    RmpEntry e;

    if (s->root) {
        memcpy(&s->entry, s->g->root_md, sizeof(s->entry));
        return FW_SUCCESS;
    }
    rmp_get(fw->rmp, s->md, &e);
    /* [FW-SWAP-MDATA] */
    if (rmp_state(&e) != RMP_METADATA) {
        return FW_INVALID_PAGE_STATE;
    }
    /* [FW-SWAP-MDATA-OWNER] */
    if (e.gpa != s->g->gctx) {
        return FW_INVALID_PAGE_OWNER;
    }
    fw->port.read(fw->port.opaque, s->md, &s->entry, sizeof(s->entry));
    return FW_SUCCESS;
}

static void put_entry(SnpFw *fw, const Swap *s)
{
    if (s->root) {
        memcpy(s->g->root_md, &s->entry, sizeof(s->entry));
    } else {
        fw->port.write(fw->port.opaque, s->md, &s->entry, sizeof(s->entry));
    }
}

/* ---- swapping ---- */

/* All of the entry but the tag, which is not known yet, is authenticated. */
static void aad(const FwMdEntry *e, FwMdEntry *out, uint8_t iv[GCM_IV_LEN])
{
    *out = *e;
    memset(out->tag, 0, sizeof(out->tag));
    memset(iv, 0, GCM_IV_LEN);
    memcpy(iv, e->iv, sizeof(e->iv));
}

static uint32_t get_operand(SnpFw *fw, FwBuf *c, const uint8_t *flags_at,
                            Swap *s)
{
    uint32_t flags = fw_get(flags_at, 4);

    *s = (Swap){
        .g = c->g, .src = fw_get_addr(c->b + 8),
        .dst = fw_get_addr(c->b + 0x10), .md = fw_get_addr(c->b + 0x18),
        .type = flags >> FLAG_TYPE_SHIFT & 3, .root = flags & FLAG_ROOT,
    };
    /* [FW-SWAP-RSVD] */
    if ((flags & SWAP_RSVD) || fw_get(flags_at + 4, 4) ||
        s->type >= SWAP_NTYPES) {
        return FW_INVALID_PARAM;
    }
    /* [FW-SWAP-2M] not implemented */
    if (flags & FLAG_2M) {
        return FW_UNSUPPORTED;
    }
    /* [FW-SWAP-POLICY] */
    if (s->g->policy & POLICY_NO_SWAP) {
        return FW_POLICY_FAILURE;
    }
    /* [FW-SWAP-ADDRESS] */
    if (!good_page(fw, s->src, false) || !good_page(fw, s->dst, false) ||
        (!s->root && (s->md % FW_MD_ENTRY || !rmp_covered(fw->rmp, s->md) ||
                      !fw_readable(fw, s->md, FW_MD_ENTRY)))) {
        return FW_INVALID_ADDRESS;
    }
    return FW_SUCCESS;
}

static uint32_t check_leaving(SnpFw *fw, Swap *s)
{
    RmpEntry *e = &s->page;
    bool metadata = s->type == SWAP_METADATA;

    rmp_get(fw->rmp, s->src, e);
    /* [FW-SWAP-OUT-STATE] */
    if (metadata ? rmp_state(e) != RMP_METADATA : !movable(e)) {
        return FW_INVALID_PAGE_STATE;
    }
    /* [FW-SWAP-OUT-OWNER] */
    if (metadata ? e->gpa != s->g->gctx : e->asid != s->g->asid) {
        return FW_INVALID_PAGE_OWNER;
    }
    /* [FW-SWAP-OUT-SIZE] */
    if (e->size_2m) {
        return FW_INVALID_PAGE_SIZE;
    }
    /* [FW-SWAP-OUT-TYPE] no page becomes a VMSA, none is its own metadata */
    if (e->vmsa != (s->type == SWAP_VMSA) ||
        (metadata && !s->root &&
         (s->md & ~(RMP_PAGE_SIZE - 1)) == s->src)) {
        return FW_INVALID_PARAM;
    }
    return fw_check_output(fw, s->dst, RMP_PAGE_SIZE);
}

uint32_t fw_snp_page_swap_out(SnpFw *fw, FwBuf *c)
{
    uint8_t page[RMP_PAGE_SIZE], out[RMP_PAGE_SIZE], iv[GCM_IV_LEN];
    FwMdEntry known;
    Swap s;
    uint32_t status = get_operand(fw, c, c->b + 0x28, &s);

    if (!status) {
        status = check_leaving(fw, &s);
    }
    if (!status) {
        status = find_entry(fw, &s);
    }
    if (status) {
        return status;
    }
    /* [FW-SWAP-OUT-ENTRY] what is swapped out is not forgotten */
    if (s.entry.info[0] & MD_VALID) {
        return FW_INVALID_MDATA_ENTRY;
    }
    /* [FW-SWAP-OUT-OVERFLOW] an IV is never used twice */
    if (s.g->oek_count == UINT64_MAX) {
        return FW_AEAD_OFLOW;
    }

    memset(&s.entry, 0, sizeof(s.entry));
    memcpy(s.entry.software, c->b + 0x20, sizeof(s.entry.software));
    fw_put(s.entry.iv, 8, s.g->oek_count + 1);
    fw_put(s.entry.info, 8, MD_VALID |
           (s.type == SWAP_METADATA ? MD_METADATA : s.page.gpa) |
           (s.page.vmsa ? MD_VMSA : 0) |
           (s.page.validated ? MD_VALIDATED : 0));
    memcpy(s.entry.perms, s.page.perms, sizeof(s.entry.perms));
    if (s.type == SWAP_METADATA) {
        fw->port.read(fw->port.opaque, s.src, page, sizeof(page));
    } else {
        fw_guest_read(fw, s.g->asid, s.src, page, RMP_PAGE_SIZE);
    }
    aad(&s.entry, &known, iv);
    /* [FW-CRYPTO] */
    if (!gcm_seal(s.g->oek, iv, &known, sizeof(known), page, sizeof(page),
                  out, s.entry.tag)) {
        return FW_HWERROR_PLATFORM;
    }
    s.g->oek_count++;
    fw->port.write(fw->port.opaque, s.dst, out, sizeof(out));
    put_entry(fw, &s);
    take(fw, s.src, 1);
    return FW_SUCCESS;
}

static uint32_t check_coming(SnpFw *fw, Swap *s)
{
    bool metadata = s->type == SWAP_METADATA;
    uint64_t info = fw_get(s->entry.info, 8);
    RmpEntry *e = &s->page;

    /* [FW-SWAP-IN-ENTRY] once, and as what it was */
    if (!(info & MD_VALID) || metadata != !!(info & MD_METADATA) ||
        (s->type == SWAP_VMSA) != !!(info & MD_VMSA)) {
        return FW_INVALID_MDATA_ENTRY;
    }
    if (metadata) {
        return fw_check_output(fw, s->dst, RMP_PAGE_SIZE);
    }
    rmp_get(fw->rmp, s->dst, e);
    /* [FW-SWAP-IN-STATE] */
    if (rmp_state(e) != RMP_PRE_GUEST) {
        return FW_INVALID_PAGE_STATE;
    }
    /* [FW-SWAP-IN-OWNER] */
    if (e->asid != s->g->asid) {
        return FW_INVALID_PAGE_OWNER;
    }
    /* [FW-SWAP-IN-SIZE] */
    if (e->size_2m) {
        return FW_INVALID_PAGE_SIZE;
    }
    /* [FW-SWAP-IN-GPA] back to where the guest had it */
    return e->gpa == (info & RMP_GPA_MASK) ? FW_SUCCESS : FW_INVALID_PARAM;
}

uint32_t fw_snp_page_swap_in(SnpFw *fw, FwBuf *c)
{
    uint8_t in[RMP_PAGE_SIZE], page[RMP_PAGE_SIZE], iv[GCM_IV_LEN];
    FwMdEntry known;
    Swap s;
    uint32_t status = get_operand(fw, c, c->b + 0x20, &s);

    if (!status) {
        status = find_entry(fw, &s);
    }
    if (!status) {
        status = check_coming(fw, &s);
    }
    if (status) {
        return status;
    }
    /* [FW-SWAP-IN-AUTH] read once: others may write to it meanwhile */
    fw->port.read(fw->port.opaque, s.src, in, sizeof(in));
    aad(&s.entry, &known, iv);
    if (!gcm_open(s.g->oek, iv, &known, sizeof(known), in, sizeof(in), page,
                  s.entry.tag)) {
        return FW_BAD_MEASUREMENT;
    }

    if (s.type == SWAP_METADATA) {
        RmpEntry e = fw_state_entry(RMP_METADATA);

        fw->port.write(fw->port.opaque, s.dst, page, sizeof(page));
        e.gpa = s.g->gctx;
        rmp_fw_set(fw->rmp, s.dst, &e);
        fw->port.rmp_changed(fw->port.opaque, s.dst, 1);
    } else {
        fw_guest_write(fw, s.g->asid, s.dst, page, RMP_PAGE_SIZE);
        s.page.validated = s.entry.info[0] & MD_VALIDATED;
        s.page.vmsa = s.entry.info[0] & MD_VMSA;
        memcpy(s.page.perms, s.entry.perms, sizeof(s.page.perms));
        give(fw, s.dst, &s.page);
    }
    s.entry.info[0] &= ~MD_VALID;
    put_entry(fw, &s);
    return FW_SUCCESS;
}

/* ---- PAGE_UNSMASH ---- */

uint32_t fw_snp_page_unsmash(SnpFw *fw, FwBuf *c)
{
    uint64_t spa = fw_get_addr(c->b);
    RmpEntry first, e;

    /* [FW-UNSMASH-ADDRESS] */
    if ((spa & (RMP_2M_SIZE - 1)) ||
        !rmp_covered(fw->rmp, spa + RMP_2M_SIZE - 1)) {
        return FW_INVALID_ADDRESS;
    }
    rmp_get(fw->rmp, spa, &first);
    /* [FW-UNSMASH-SIZE] */
    if (first.size_2m) {
        return FW_INVALID_PAGE_SIZE;
    }
    for (uint64_t at = 0; at < RMP_2M_SIZE; at += RMP_PAGE_SIZE) {
        rmp_get(fw->rmp, spa + at, &e);
        /* [FW-UNSMASH-STATE] */
        if (!movable(&e) || rmp_state(&e) != rmp_state(&first)) {
            return FW_INVALID_PAGE_STATE;
        }
    }
    for (uint64_t at = 0; at < RMP_2M_SIZE; at += RMP_PAGE_SIZE) {
        rmp_get(fw->rmp, spa + at, &e);
        /* [FW-UNSMASH-OWNER] */
        if (e.asid != first.asid) {
            return FW_INVALID_PAGE_OWNER;
        }
    }
    for (uint64_t at = 0; at < RMP_2M_SIZE; at += RMP_PAGE_SIZE) {
        rmp_get(fw->rmp, spa + at, &e);
        /* [FW-UNSMASH-GPA] one 2M page says the same of each */
        if (e.vmsa || memcmp(e.perms, first.perms, sizeof(e.perms)) ||
            e.gpa != first.gpa + at || (first.gpa & (RMP_2M_SIZE - 1))) {
            return FW_INVALID_PARAM;
        }
    }
    first.size_2m = true;
    rmp_fw_set(fw->rmp, spa, &first);
    fw->port.rmp_changed(fw->port.opaque, spa, RMP_2M_PAGES);
    return FW_SUCCESS;
}
