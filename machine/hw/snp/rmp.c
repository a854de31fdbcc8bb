/*
 * Reverse map table: entries, instructions, access check
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * States, units and concurrency: include/hw/snp/rmp.h.
 */
#include <string.h>
#include "hw/snp/rmp.h"

/* First word of an entry */
#define LO_ASSIGNED       (1ull << 0)
#define LO_SIZE_2M        (1ull << 1)
#define LO_IMMUTABLE      (1ull << 2)
#define LO_ASID_SHIFT     51
#define LO_VMSA           (1ull << 61)
#define LO_VALIDATED      (1ull << 62)

/* Second word: one byte per VMPL; its use by others is not documented */
#define HI_IN_USE         (1ull << 63)

_Static_assert(RMP_VMPLS * 8 < 63, "VMPL masks and the in-use bit are apart");

/* A reader that keeps losing to writers settles for "nothing is permitted" */
#define READ_TRIES        8

static uint64_t from_le(uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(v);
#else
    return v;
#endif
}

/* The segment of a page, and in *pfn where in it the page is */
static const RmpSegment *segment_of(const Rmp *r, uint64_t *pfn)
{
    unsigned shift = r->segment_shift - 12;
    uint64_t i = *pfn >> shift;

    *pfn &= (1ull << shift) - 1;
    return i < RMP_SEGMENTS ? &r->segment[i] : NULL;
}

/* Of a page that is covered */
static uint64_t *slot_word(const Rmp *r, uint64_t pfn, unsigned word)
{
    uint8_t *entries = r->entries;

    if (r->segment_shift) {
        entries = segment_of(r, &pfn)->entries;
    }
    return (uint64_t *)(void *)(entries + pfn * RMP_ENTRY_SIZE) +
           (r->opaque ? !word : word);
}

/* Our own layout, if asked for: other words first, other bits first */
#define OPAQUE_ROTATE     13

static uint64_t load_lo(const Rmp *r, uint64_t pfn)
{
    uint64_t v = from_le(__atomic_load_n(slot_word(r, pfn, 0),
                                         __ATOMIC_SEQ_CST));

    return r->opaque ? v >> OPAQUE_ROTATE | v << (64 - OPAQUE_ROTATE) : v;
}

/* The first word as it lies in memory */
static uint64_t stored_lo(const Rmp *r, uint64_t v)
{
    if (r->opaque) {
        v = v << OPAQUE_ROTATE | v >> (64 - OPAQUE_ROTATE);
    }
    return from_le(v);
}

static uint64_t load_hi(const Rmp *r, uint64_t pfn)
{
    return from_le(__atomic_load_n(slot_word(r, pfn, 1), __ATOMIC_SEQ_CST));
}

static void store_lo(Rmp *r, uint64_t pfn, uint64_t v)
{
    __atomic_store_n(slot_word(r, pfn, 0), stored_lo(r, v), __ATOMIC_SEQ_CST);
}

static void store_hi(Rmp *r, uint64_t pfn, uint64_t v)
{
    __atomic_store_n(slot_word(r, pfn, 1), from_le(v), __ATOMIC_SEQ_CST);
}

void rmp_lock(Rmp *r)
{
    while (__atomic_exchange_n(&r->lock, 1, __ATOMIC_ACQUIRE)) {
        while (__atomic_load_n(&r->lock, __ATOMIC_RELAXED)) {
            /* holders are done within a bounded time: see rmp_lock() */
        }
    }
}

void rmp_unlock(Rmp *r)
{
    __atomic_store_n(&r->lock, 0, __ATOMIC_RELEASE);
}

static uint64_t base_of(uint64_t pfn)
{
    return pfn & ~(uint64_t)(RMP_2M_PAGES - 1);
}

static bool is_2m_aligned(uint64_t addr)
{
    return !(addr & (RMP_2M_SIZE - 1));
}

static bool covered_pfn(const Rmp *r, uint64_t pfn)
{
    const RmpSegment *s;

    if (!r->entries || pfn >= r->npages || !r->segment_shift) {
        return r->entries && pfn < r->npages;
    }
    /* [RMP-SEGMENT-COVERED] */
    s = segment_of(r, &pfn);
    return s && pfn < s->npages;
}

bool rmp_covered(const Rmp *r, uint64_t spa)
{
    return covered_pfn(r, spa / RMP_PAGE_SIZE);
}

/* The last region may be covered in part only: it cannot hold a 2M entry. */
static bool region_covered(const Rmp *r, uint64_t pfn)
{
    return covered_pfn(r, base_of(pfn) + RMP_2M_PAGES - 1);
}

static bool lo_is_2m(uint64_t lo)
{
    return (lo & (LO_ASSIGNED | LO_SIZE_2M)) == (LO_ASSIGNED | LO_SIZE_2M);
}

static void decode(uint64_t lo, uint64_t hi, RmpEntry *e)
{
    e->assigned = lo & LO_ASSIGNED;
    e->size_2m = lo_is_2m(lo);
    e->immutable = lo & LO_IMMUTABLE;
    e->vmsa = lo & LO_VMSA;
    e->validated = lo & LO_VALIDATED;
    e->in_use = hi & HI_IN_USE;
    e->asid = (lo >> LO_ASID_SHIFT) & RMP_ASID_LIMIT;
    e->gpa = lo & RMP_GPA_MASK;
    for (unsigned i = 0; i < RMP_VMPLS; i++) {
        e->perms[i] = hi >> (8 * i);
    }
}

static uint64_t encode_lo(const RmpEntry *e)
{
    return (e->assigned ? LO_ASSIGNED : 0) |
           (e->assigned && e->size_2m ? LO_SIZE_2M : 0) |
           (e->immutable ? LO_IMMUTABLE : 0) |
           (e->vmsa ? LO_VMSA : 0) |
           (e->validated ? LO_VALIDATED : 0) |
           ((uint64_t)(e->asid & RMP_ASID_LIMIT) << LO_ASID_SHIFT) |
           (e->gpa & RMP_GPA_MASK);
}

/* Without the in-use bit, which belongs to the slot and not to the entry */
static uint64_t encode_hi(const RmpEntry *e)
{
    uint64_t hi = 0;

    for (unsigned i = 0; i < RMP_VMPLS; i++) {
        hi |= (uint64_t)e->perms[i] << (8 * i);
    }
    return hi;
}

/* Lock-free: either the old or the new entry, or the new without rights. */
static void read_slot(const Rmp *r, uint64_t pfn, RmpEntry *e)
{
    uint64_t lo = load_lo(r, pfn);

    for (int i = 0; i < READ_TRIES; i++) {
        uint64_t hi = load_hi(r, pfn);
        uint64_t again = load_lo(r, pfn);

        if (lo == again) {
            decode(lo, hi, e);
            return;
        }
        lo = again;
    }
    decode(lo, load_hi(r, pfn) & HI_IN_USE, e);
}

/*
 * With the lock. Rights are taken away first and given last, so that a reader
 * never combines the old entry's rights with the new owner or the reverse.
 */
static void write_slot(Rmp *r, uint64_t pfn, uint64_t lo, uint64_t hi)
{
    uint64_t in_use = load_hi(r, pfn) & HI_IN_USE;

    store_hi(r, pfn, in_use);
    store_lo(r, pfn, lo);
    store_hi(r, pfn, hi | in_use);
}

/*
 * With the lock, of an entry that stays its owner's, at its address: nobody is
 * refused in between what the old entry and the new one permit.
 */
static void rewrite_slot(Rmp *r, uint64_t pfn, uint64_t lo, uint64_t hi)
{
    uint64_t in_use = load_hi(r, pfn) & HI_IN_USE;

    store_lo(r, pfn, lo);
    store_hi(r, pfn, hi | in_use);
}

/*
 * With the lock: the entry of a page or, with the size bit, of its region.
 * While slots of a region are on their way they read "assigned to nobody".
 */
static void write_entry(Rmp *r, uint64_t pfn, uint64_t lo, uint64_t hi)
{
    if (!lo_is_2m(lo)) {
        write_slot(r, pfn, lo, hi);
        return;
    }
    for (unsigned i = 1; i < RMP_2M_PAGES; i++) {
        write_slot(r, pfn + i, LO_ASSIGNED, 0);
    }
    write_slot(r, pfn, lo, hi);
}

static void clear_region(Rmp *r, uint64_t pfn)
{
    for (unsigned i = 0; i < RMP_2M_PAGES; i++) {
        write_slot(r, pfn + i, 0, 0);
    }
}

/*
 * [RMP-2M-FIRMWARE] The guest address of a page in a 2M entry. In one of the
 * firmware's it is none, but tells Firmware from Metadata: all 512 pages are
 * in the entry's state.
 */
static uint64_t page_gpa(const RmpEntry *e, uint64_t i)
{
    return e->immutable && !e->asid
           ? e->gpa : (e->gpa + i * RMP_PAGE_SIZE) & RMP_GPA_MASK;
}

/* With the lock. The first slot goes last: until then it governs all. */
static void smash(Rmp *r, uint64_t base)
{
    uint64_t lo = load_lo(r, base) & ~LO_SIZE_2M;
    uint64_t hi = load_hi(r, base) & ~HI_IN_USE;
    RmpEntry e;

    decode(lo, hi, &e);
    for (unsigned i = RMP_2M_PAGES; --i > 0;) {
        write_slot(r, base + i, (lo & ~RMP_GPA_MASK) | page_gpa(&e, i), hi);
    }
    rewrite_slot(r, base, lo, hi);
}

void rmp_get_raw(const Rmp *r, uint64_t spa, RmpEntry *e)
{
    memset(e, 0, sizeof(*e));
    if (rmp_covered(r, spa)) {
        read_slot(r, spa / RMP_PAGE_SIZE, e);
    }
}

void rmp_get(const Rmp *r, uint64_t spa, RmpEntry *e)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE;
    uint64_t base = base_of(pfn);
    RmpEntry b;

    /*
     * The region's entry is looked at first: when it is broken up the other
     * slots are complete before it changes, when it is formed they read
     * "assigned to nobody" before and after.
     */
    if (region_covered(r, pfn)) {
        read_slot(r, base, &b);
        if (b.size_2m) {
            *e = b;
            e->gpa = page_gpa(&b, pfn - base);
            e->in_use = load_hi(r, pfn) & HI_IN_USE;
            return;
        }
    }
    rmp_get_raw(r, spa, e);
}

RmpState rmp_state(const RmpEntry *e)
{
    if (!e->assigned) {
        return e->immutable ? RMP_HV_FIXED : RMP_HYPERVISOR;
    }
    if (e->asid) {
        if (e->immutable) {
            return e->validated ? RMP_PRE_SWAP : RMP_PRE_GUEST;
        }
        return e->validated ? RMP_GUEST_VALID : RMP_GUEST_INVALID;
    }
    if (!e->immutable) {
        return RMP_RECLAIM;
    }
    if (e->vmsa) {
        return RMP_CONTEXT;
    }
    return e->gpa ? RMP_METADATA : RMP_FIRMWARE;
}

uint32_t rmp_key(const RmpEntry *e)
{
    /* [RMP-KEY] */
    return e->assigned && (!e->immutable || e->validated) ? e->asid : 0;
}

/* With the lock: @n pages are about to become @to. */
static void rekey(Rmp *r, uint64_t pfn, uint64_t n, const RmpEntry *to)
{
    RmpEntry old;

    for (; r->rekey && n; n--, pfn++) {
        rmp_get(r, pfn * RMP_PAGE_SIZE, &old);
        if (rmp_key(&old) != rmp_key(to)) {
            r->rekey(r->rekey_opaque, pfn * RMP_PAGE_SIZE, rmp_key(&old),
                     rmp_key(to));
        }
    }
}

const char *rmp_state_name(RmpState s)
{
    static const char * const names[RMP_NSTATES] = {
        [RMP_HYPERVISOR] = "hypervisor",
        [RMP_HV_FIXED] = "hv-fixed",
        [RMP_RECLAIM] = "reclaim",
        [RMP_FIRMWARE] = "firmware",
        [RMP_CONTEXT] = "context",
        [RMP_METADATA] = "metadata",
        [RMP_PRE_GUEST] = "pre-guest",
        [RMP_PRE_SWAP] = "pre-swap",
        [RMP_GUEST_INVALID] = "guest-invalid",
        [RMP_GUEST_VALID] = "guest-valid",
    };

    return (unsigned)s < RMP_NSTATES ? names[s] : "?";
}

static bool update_operand_ok(const Rmp *r, uint64_t spa, const RmpUpdate *u)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE;

    /* [RMP-UPDATE-ALIGN] */
    if ((spa & (RMP_PAGE_SIZE - 1)) || (u->pagesize && !is_2m_aligned(spa))) {
        return false;
    }
    /* [RMP-UPDATE-RSVD] */
    if (u->assigned > 1 || u->pagesize > 1 || u->immutable > 1 || u->rsvd) {
        return false;
    }
    /* [RMP-UPDATE-UNASSIGNED] */
    if (!u->assigned && (u->immutable || u->asid)) {
        return false;
    }
    /* [RMP-UPDATE-ASID] */
    if (u->asid > r->max_asid || u->asid > RMP_ASID_LIMIT) {
        return false;
    }
    /* [RMP-UPDATE-GPA] an entry without a page has no use for the address */
    if (u->assigned && ((u->gpa & ~RMP_GPA_MASK) ||
                        (u->pagesize && !is_2m_aligned(u->gpa))) &&
        !snp_loose(r->loose, RMP_UPDATE_GPA)) {
        return false;
    }
    /* [RMP-UPDATE-COVERED] */
    return u->pagesize ? region_covered(r, pfn) : covered_pfn(r, pfn);
}

/* With the lock: may the 512 entries of a region make room for a 2M entry? */
static int update_2m_allowed(const Rmp *r, uint64_t base)
{
    bool is_2m = lo_is_2m(load_lo(r, base));
    bool fixed = false;

    for (unsigned i = 0; i < RMP_2M_PAGES && !is_2m; i++) {
        uint64_t lo = load_lo(r, base + i);

        /* [RMP-UPDATE-OVERLAP-2M] */
        if (lo & LO_ASSIGNED) {
            return RMP_FAIL_OVERLAP;
        }
        fixed |= lo & LO_IMMUTABLE &&
                 !snp_loose(r->loose, RMP_UPDATE_IMMUTABLE_2M);
    }
    /* [RMP-UPDATE-IMMUTABLE-2M] an HV-fixed page cannot be swallowed */
    return fixed ? RMP_FAIL_PERMISSION : RMP_SUCCESS;
}

/* With the lock: is any slot of the operand held by a CPU? */
static bool any_in_use(const Rmp *r, uint64_t pfn, bool size_2m)
{
    for (unsigned i = 0; i < (size_2m ? RMP_2M_PAGES : 1); i++) {
        if (load_hi(r, pfn + i) & HI_IN_USE) {
            return true;
        }
    }
    return false;
}

static int update_allowed(const Rmp *r, uint64_t spa, const RmpUpdate *u)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE;
    RmpEntry old;

    /* [FW-INIT-ALONE] [RMP-UPDATE-INUSE] */
    if (r->held || any_in_use(r, pfn, u->pagesize)) {
        return RMP_FAIL_INUSE;
    }
    /* [RMP-UPDATE-IMMUTABLE] */
    rmp_get(r, spa, &old);
    if (old.immutable) {
        return RMP_FAIL_PERMISSION;
    }
    if (u->pagesize) {
        return update_2m_allowed(r, pfn);
    }
    /* [RMP-UPDATE-OVERLAP-4K] */
    return old.size_2m ? RMP_FAIL_OVERLAP : RMP_SUCCESS;
}

int rmp_update(Rmp *r, uint64_t spa, const RmpUpdate *operand)
{
    /* [RMP-UPDATE-RSVD] in the looser reading other bits say nothing */
    const RmpUpdate bits = {
        .gpa = operand->gpa,
        .assigned = operand->assigned & 1,
        .pagesize = operand->pagesize & 1,
        .immutable = operand->immutable & 1,
        .asid = operand->asid,
    };
    const RmpUpdate *u = snp_loose(r->loose, RMP_UPDATE_RSVD) ? &bits : operand;
    /* [RMP-UPDATE-RESET] validated, VMSA and the rights of VMPL1.. are gone */
    RmpEntry e = {
        .assigned = u->assigned,
        .size_2m = u->pagesize,
        .immutable = u->immutable,
        .asid = u->asid,
        .gpa = u->gpa,
        .perms = { RMP_PERM_ALL },
    };
    uint64_t pfn = spa / RMP_PAGE_SIZE;
    int ret;

    if (!update_operand_ok(r, spa, u)) {
        return RMP_FAIL_INPUT;
    }

    rmp_lock(r);
    ret = update_allowed(r, spa, u);
    if (ret == RMP_SUCCESS) {
        rekey(r, pfn, u->pagesize ? RMP_2M_PAGES : 1, &e);
        if (u->assigned) {
            write_entry(r, pfn, encode_lo(&e), encode_hi(&e));
        } else if (u->pagesize) {
            clear_region(r, pfn);
        } else {
            write_slot(r, pfn, 0, 0);
        }
    }
    rmp_unlock(r);
    return ret;
}

static int psmash_allowed(const Rmp *r, uint64_t pfn)
{
    uint64_t lo = load_lo(r, pfn);

    /* [RMP-PSMASH-IMMUTABLE] */
    if (lo & LO_IMMUTABLE) {
        return RMP_FAIL_PERMISSION;
    }
    /* [FW-INIT-ALONE] [RMP-PSMASH-INUSE] */
    if (r->held || any_in_use(r, pfn, true)) {
        return RMP_FAIL_INUSE;
    }
    /* [RMP-PSMASH-SIZE] */
    return lo_is_2m(lo) ? RMP_SUCCESS : RMP_FAIL_BADADDR;
}

int rmp_psmash(Rmp *r, uint64_t spa)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE;
    int ret;

    /* [RMP-PSMASH-INPUT] */
    if (!is_2m_aligned(spa) || !region_covered(r, pfn)) {
        return RMP_FAIL_INPUT;
    }
    rmp_lock(r);
    ret = psmash_allowed(r, pfn);
    if (ret == RMP_SUCCESS) {
        smash(r, pfn);
    }
    rmp_unlock(r);
    return ret;
}

int rmp_read(const Rmp *r, uint64_t spa, RmpUpdate *out)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE;
    bool others = false;
    RmpEntry e;

    /* [RMP-READ-INPUT] */
    if ((spa & (RMP_PAGE_SIZE - 1)) || !covered_pfn(r, pfn)) {
        return RMP_FAIL_INPUT;
    }
    /* [RMP-READ-2M] */
    rmp_get(r, spa, &e);
    /* [RMP-READ-REGION] */
    for (unsigned i = 1; is_2m_aligned(spa) && !e.size_2m && !others &&
         i < RMP_2M_PAGES && covered_pfn(r, pfn + i); i++) {
        others = load_lo(r, pfn + i) & LO_ASSIGNED;
    }
    *out = (RmpUpdate){
        .gpa = e.assigned ? e.gpa : 0,
        .assigned = e.assigned,
        .pagesize = e.size_2m | (others ? RMP_READ_REGION : 0),
        .immutable = e.immutable,
        .asid = e.assigned ? e.asid : 0,
    };
    return RMP_SUCCESS;
}

/* Covered, owned by this guest, at this address, and not the firmware's */
static bool guest_page(const Rmp *r, const RmpEntry *e, uint64_t spa,
                       uint64_t gpa, uint32_t asid)
{
    /* [RMP-GUEST-COVERED] */
    if (!rmp_covered(r, spa)) {
        return false;
    }
    /* [RMP-GUEST-OWNED] */
    if (!e->assigned || !e->asid || e->asid != asid) {
        return false;
    }
    /* [RMP-GUEST-REVERSE-MAP] */
    if (e->gpa != (gpa & ~(RMP_PAGE_SIZE - 1))) {
        return false;
    }
    /* [RMP-GUEST-MUTABLE] */
    return !e->immutable;
}

/*
 * What PVALIDATE and RMPADJUST have in common: ownership, then sizes. True if
 * the instruction is over with *verdict, and *code if that is RMP_ALLOW.
 */
static bool guest_insn_refused(const Rmp *r, const RmpEntry *e, uint64_t spa,
                               uint64_t gpa, uint32_t asid, bool leaf_2m,
                               bool size_2m, RmpVerdict *verdict, int *code)
{
    /* [RMP-INSN-OWNED] */
    if (!guest_page(r, e, spa, gpa, asid)) {
        *verdict = RMP_FAULT;
        return true;
    }
    if (!size_2m) {
        /* [RMP-INSN-SIZEM] the RMP entry or the nested leaf is larger */
        *verdict = RMP_FAULT_SIZEM;
        return e->size_2m ||
               (leaf_2m && !snp_loose(r->loose, RMP_INSN_SIZEM));
    }
    /* [RMP-INSN-SIZEMISMATCH] the RMP entry is smaller than asked for */
    if (!e->size_2m || !is_2m_aligned(spa)) {
        *code = RMP_FAIL_SIZEMISMATCH;
        *verdict = RMP_ALLOW;
        return true;
    }
    /* [RMP-INSN-LEAF] a 2M entry under 4K nested leaves */
    *verdict = RMP_FAULT;
    return !leaf_2m && !snp_loose(r->loose, RMP_INSN_LEAF);
}

RmpVerdict rmp_pvalidate(Rmp *r, uint64_t spa, uint64_t gpa, uint32_t asid,
                         bool leaf_2m, bool size_2m, bool validate,
                         int *code, bool *unchanged)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE;
    RmpVerdict verdict;
    RmpEntry e;

    rmp_lock(r);
    rmp_get(r, spa, &e);
    if (guest_insn_refused(r, &e, spa, gpa, asid, leaf_2m, size_2m,
                           &verdict, code)) {
        if (verdict == RMP_ALLOW) {
            *unchanged = false;
        }
        goto out;
    }
    verdict = RMP_ALLOW;
    *code = RMP_SUCCESS;
    /* [RMP-PVALIDATE-CF] */
    *unchanged = e.validated == validate;
    if (!*unchanged) {
        uint64_t lo = load_lo(r, pfn);

        store_lo(r, pfn, validate ? lo | LO_VALIDATED : lo & ~LO_VALIDATED);
    }
out:
    rmp_unlock(r);
    return verdict;
}

#define ADJUST_VMPL(rdx)  ((unsigned)((rdx) & 0xff))
#define ADJUST_PERMS(rdx) ((unsigned)((rdx) >> 8) & 0xff)
#define ADJUST_VMSA       (1ull << 16)

bool rmp_adjust_operand_ok(const Rmp *r, uint64_t rdx)
{
    /* [RMP-ADJUST-RSVD] */
    if ((rdx >> 17) || (ADJUST_PERMS(rdx) & ~RMP_PERM_ALL)) {
        return false;
    }
    /* [RMP-ADJUST-VMPL] */
    return ADJUST_VMPL(rdx) < r->nvmpls && ADJUST_VMPL(rdx) < RMP_VMPLS;
}

static int adjust_allowed(const Rmp *r, const RmpEntry *e, unsigned cur_vmpl,
                          uint64_t rdx)
{
    /* [RMP-ADJUST-PRIVILEGE] */
    if (ADJUST_VMPL(rdx) <= cur_vmpl || cur_vmpl >= RMP_VMPLS) {
        return RMP_FAIL_PERMISSION;
    }
    /* [RMP-ADJUST-SUBSET] */
    if (ADJUST_PERMS(rdx) & ~e->perms[cur_vmpl]) {
        return RMP_FAIL_PERMISSION;
    }
    /* [RMP-ADJUST-INUSE] */
    return e->in_use && !(e->vmsa && snp_loose(r->loose, RMP_ADJUST_INUSE))
           ? RMP_FAIL_INUSE : RMP_SUCCESS;
}

RmpVerdict rmp_adjust(Rmp *r, uint64_t spa, uint64_t gpa, uint32_t asid,
                      unsigned cur_vmpl, bool leaf_2m, bool size_2m,
                      uint64_t rdx, int *code)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE;
    RmpVerdict verdict;
    RmpEntry e;

    if (!rmp_adjust_operand_ok(r, rdx)) {
        *code = RMP_FAIL_INPUT;
        return RMP_ALLOW;
    }
    rmp_lock(r);
    rmp_get(r, spa, &e);
    if (guest_insn_refused(r, &e, spa, gpa, asid, leaf_2m, size_2m,
                           &verdict, code)) {
        goto out;
    }
    /* [RMP-ADJUST-VALIDATED] */
    if (!e.validated) {
        verdict = RMP_FAULT_UNVALIDATED;
        goto out;
    }
    verdict = RMP_ALLOW;
    *code = adjust_allowed(r, &e, cur_vmpl, rdx);
    if (*code == RMP_SUCCESS) {
        e.perms[ADJUST_VMPL(rdx)] = ADJUST_PERMS(rdx);
        /* [RMP-ADJUST-VMSA] */
        if (cur_vmpl == 0) {
            e.vmsa = rdx & ADJUST_VMSA;
        }
        /* 2M: spa is the first page's, so the slot is the entry's own */
        rewrite_slot(r, pfn, encode_lo(&e), encode_hi(&e));
    }
out:
    rmp_unlock(r);
    return verdict;
}

#define QUERY_VMPL(rdx)   ((unsigned)((rdx) & 0xff))

bool rmp_query_operand_ok(const Rmp *r, uint64_t rdx)
{
    /* [RMP-QUERY-RSVD] */
    if ((rdx >> 8) && !snp_loose(r->loose, RMP_QUERY_RSVD)) {
        return false;
    }
    /* [RMP-QUERY-VMPL] */
    return QUERY_VMPL(rdx) < r->nvmpls && QUERY_VMPL(rdx) < RMP_VMPLS;
}

/* May @cur_vmpl ask about the target? */
static bool query_allowed(const Rmp *r, unsigned cur_vmpl, unsigned target)
{
    /* [RMP-QUERY-PRIVILEGE] */
    return target > cur_vmpl ||
           (target == cur_vmpl && snp_loose(r->loose, RMP_QUERY_PRIVILEGE));
}

RmpVerdict rmp_query(Rmp *r, uint64_t spa, uint64_t gpa, uint32_t asid,
                     unsigned cur_vmpl, bool leaf_2m, uint64_t *rdx,
                     bool *size_2m, int *code)
{
    unsigned target = QUERY_VMPL(*rdx);
    RmpEntry e;

    if (!rmp_query_operand_ok(r, *rdx)) {
        *code = RMP_FAIL_INPUT;
        return RMP_ALLOW;
    }
    rmp_lock(r);
    rmp_get(r, spa, &e);
    rmp_unlock(r);
    /* [RMP-QUERY-OWNED] */
    if (!guest_page(r, &e, spa, gpa, asid)) {
        return RMP_FAULT;
    }
    /* [RMP-QUERY-SIZE] */
    if (e.size_2m != leaf_2m && !snp_loose(r->loose, RMP_QUERY_SIZE)) {
        return RMP_FAULT;
    }
    /* [RMP-QUERY-VALIDATED] */
    if (!e.validated) {
        return RMP_FAULT_UNVALIDATED;
    }
    if (!query_allowed(r, cur_vmpl, target)) {
        *code = RMP_FAIL_PERMISSION;
        return RMP_ALLOW;
    }
    /* [RMP-QUERY-ANSWER] */
    *rdx = target | (uint64_t)e.perms[target] << 8 | (uint64_t)e.vmsa << 16;
    *size_2m = e.size_2m;
    *code = RMP_SUCCESS;
    return RMP_ALLOW;
}

/* Is no page of the 2M at @base assigned? A region is in one segment. */
static bool region_unassigned(const Rmp *r, uint64_t base)
{
    uint64_t any = 0;
    const uint64_t *lo;
    unsigned n = 0;

    if (region_covered(r, base)) {
        n = RMP_2M_PAGES;
    } else {
        while (covered_pfn(r, base + n)) {
            n++;
        }
    }
    if (!n) {
        return true;
    }
    lo = slot_word(r, base, 0);
    for (unsigned i = 0; i < n; i++) {
        any |= __atomic_load_n(lo + i * (RMP_ENTRY_SIZE / sizeof(*lo)),
                               __ATOMIC_RELAXED);
    }
    return !(any & stored_lo(r, LO_ASSIGNED));
}

/* Is the page, or the whole 2M around it, unassigned? */
static bool hv_owned(const Rmp *r, uint64_t spa, bool all_2m)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE;
    uint64_t last = all_2m ? spa | (RMP_2M_SIZE - 1) : spa;

    /* [FW-INIT-ALONE] no entry of the table says yet that it is nobody's */
    if (r->held && last >= r->base && spa <= r->end) {
        return false;
    }
    if (!all_2m) {
        /* sub-slots of a 2M entry are assigned too: one slot is enough */
        return !covered_pfn(r, pfn) || !(load_lo(r, pfn) & LO_ASSIGNED);
    }
    return region_unassigned(r, base_of(pfn));
}

/*
 * Not asked of what is cached: VMRUN takes the page without a flush, so that
 * who could write to it before goes on until the translation is gone.
 */
static bool refused_in_use(const Rmp *r, const RmpAccess *a)
{
    uint64_t pfn = a->spa / RMP_PAGE_SIZE;

    if (!a->fresh || r->write_in_use) {
        return false;
    }
    /* [RMP-CHECK-INUSE] */
    if (covered_pfn(r, pfn) && (load_hi(r, pfn) & HI_IN_USE)) {
        return true;
    }
    /* [RMP-CHECK-INUSE-2M] the entry that a large mapping would have */
    pfn = base_of(pfn);
    return a->leaf_2m && !a->table && covered_pfn(r, pfn) &&
           (load_hi(r, pfn) & HI_IN_USE);
}

static bool vmpl_permits(const Rmp *r, const RmpEntry *e, const RmpAccess *a)
{
    uint8_t need = RMP_PERM_R;

    if (a->vmpl >= r->nvmpls || a->vmpl >= RMP_VMPLS) {
        return false;
    }
    if (a->fetch) {
        need = a->user ? RMP_PERM_UX : RMP_PERM_SX;
    } else if (a->write) {
        /* [RMP-VMPL-WO] W without R permits no data access */
        need = RMP_PERM_R | RMP_PERM_W;
    }
    return (e->perms[a->vmpl] & need) == need;
}

static RmpVerdict check_private(const Rmp *r, const RmpAccess *a)
{
    RmpEntry e;

    rmp_get(r, a->spa, &e);
    /* [RMP-CHECK-PRIVATE] */
    if (!guest_page(r, &e, a->spa, a->gpa, a->asid)) {
        return RMP_FAULT;
    }
    /* [RMP-CHECK-SIZE] */
    if (e.size_2m != a->leaf_2m && !snp_loose(r->loose, RMP_CHECK_SIZE)) {
        return RMP_FAULT;
    }
    /* [RMP-CHECK-VALIDATED] */
    if (!e.validated) {
        return RMP_FAULT_UNVALIDATED;
    }
    /* [RMP-CHECK-VMPL] */
    return vmpl_permits(r, &e, a) ? RMP_ALLOW : RMP_FAULT_VMPL;
}

RmpVerdict rmp_check(const Rmp *r, const RmpAccess *a)
{
    bool hv_only;

    if (!a->guest) {
        /* [RMP-CHECK-HOST-WRITE] */
        hv_only = a->write;
    } else if (!a->snp) {
        /* [RMP-CHECK-PLAIN-GUEST] */
        hv_only = a->write || a->table;
    } else if (a->cbit || a->fetch || a->table) {
        return check_private(r, a);
    } else {
        /* [RMP-CHECK-SHARED-WRITE] */
        hv_only = a->write;
    }

    /*
     * [RMP-CHECK-HV-2M] a mapping is judged whole;
     * [RMP-CHECK-AD-4K] A and D are set by a write of 4K, whatever maps it
     */
    if (hv_only &&
        !hv_owned(r, a->spa, a->leaf_2m && !a->table &&
                  !snp_loose(r->loose, RMP_CHECK_HV_2M))) {
        return RMP_FAULT;
    }
    return hv_only && refused_in_use(r, a) ? RMP_FAULT : RMP_ALLOW;
}

bool rmp_check_device_write(const Rmp *r, uint64_t spa, bool leaf_2m)
{
    /* [IOMMU-RMP-WRITE] [IOMMU-RMP-SIZE] */
    return hv_owned(r, spa, leaf_2m && !snp_loose(r->loose, IOMMU_RMP_SIZE));
}

bool rmp_check_vmsa(const Rmp *r, uint64_t spa, uint32_t asid, bool snp)
{
    RmpEntry e;

    if (!snp) {
        /* [RMP-VMSA-PLAIN] */
        return hv_owned(r, spa, false);
    }
    rmp_get(r, spa, &e);
    /*
     * [RMP-VMSA-SNP] There is no guest address to compare with: launch VMSAs
     * carry a conventional one, those of AP creation their own.
     */
    return guest_page(r, &e, spa, e.gpa, asid) && e.vmsa && !e.size_2m;
}

bool rmp_try_in_use(Rmp *r, uint64_t spa)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE;
    bool was;

    if (!covered_pfn(r, pfn)) {
        return true;
    }
    rmp_lock(r);
    was = load_hi(r, pfn) & HI_IN_USE;
    if (!was) {
        store_hi(r, pfn, load_hi(r, pfn) | HI_IN_USE);
    }
    rmp_unlock(r);
    return !was;
}

void rmp_set_in_use(Rmp *r, uint64_t spa, bool in_use)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE;
    uint64_t hi;

    if (!covered_pfn(r, pfn)) {
        return;
    }
    rmp_lock(r);
    hi = load_hi(r, pfn) & ~HI_IN_USE;
    store_hi(r, pfn, hi | (in_use ? HI_IN_USE : 0));
    rmp_unlock(r);
}

void rmp_fw_set(Rmp *r, uint64_t spa, const RmpEntry *e)
{
    uint64_t pfn = spa / RMP_PAGE_SIZE;

    if (e->size_2m ? !region_covered(r, pfn) : !covered_pfn(r, pfn)) {
        return;
    }
    rmp_lock(r);
    /* [RMP-2M-BROKEN] the other 511 are what they were, each by itself */
    if (!e->size_2m && region_covered(r, pfn) &&
        lo_is_2m(load_lo(r, base_of(pfn)))) {
        smash(r, base_of(pfn));
    }
    if (e->size_2m) {
        pfn = base_of(pfn);
    }
    rekey(r, pfn, e->size_2m ? RMP_2M_PAGES : 1, e);
    write_entry(r, pfn, encode_lo(e), encode_hi(e));
    rmp_unlock(r);
}

void rmp_clear(Rmp *r)
{
    const RmpEntry free = { 0 };

    rmp_lock(r);
    rekey(r, 0, r->npages, &free);
    for (uint64_t pfn = 0; pfn < r->npages; pfn++) {
        if (covered_pfn(r, pfn)) {
            store_hi(r, pfn, 0);
            store_lo(r, pfn, 0);
        }
    }
    rmp_unlock(r);
}
