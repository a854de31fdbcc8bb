/*
 * What the manuals say becomes of the RMP
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model.h"

Region regions[MAX_REGIONS];
unsigned nregions;
Platform platform;
const uint32_t asid_of[NGUESTS] = { 7, 8, 1500 };

#define GPA_BITS      51        /* an entry holds bits 50:12 */

Region *region_of(uint64_t spa)
{
    for (unsigned i = 0; i < nregions; i++) {
        if ((spa & ~(SIZE_2M - 1)) == regions[i].base) {
            return &regions[i];
        }
    }
    return NULL;
}

static unsigned index_of(uint64_t spa)
{
    return spa % SIZE_2M / PAGE;
}

Entry entry_of(uint64_t spa, bool *size_2m)
{
    const Region *r = region_of(spa);
    Entry e = { 0 };

    *size_2m = false;
    if (!r) {
        return e;
    }
    if (!r->large) {
        return r->e[index_of(spa)];
    }
    *size_2m = true;
    e = r->e[0];
    /* RMP-2M-FIRMWARE: there it is no address */
    if (!e.immutable || e.asid) {
        e.gpa += index_of(spa) * PAGE;
    }
    return e;
}

static void touch(Region *r, unsigned i, bool all)
{
    for (unsigned n = all ? 0 : i; n < (all ? PAGES_2M : i + 1); n++) {
        r->touched[n] = true;
    }
}

void model_set(uint64_t spa, const Entry *e, bool size_2m)
{
    Region *r = region_of(spa);
    unsigned i = index_of(spa);

    if (!r) {
        bail("the model is asked to change what it does not have");
    }
    r->large = size_2m;
    r->e[size_2m ? 0 : i] = *e;
    touch(r, i, size_2m);
}

void model_break(uint64_t spa)
{
    Region *r = region_of(spa);
    bool size_2m;

    for (unsigned i = PAGES_2M; i--;) {
        r->e[i] = entry_of(r->base + i * PAGE, &size_2m);
    }
    r->large = false;
    touch(r, 0, true);
}

bool region_changed(void)
{
    for (unsigned n = 0; n < nregions; n++) {
        for (unsigned i = 0; i < PAGES_2M; i++) {
            if (regions[n].touched[i]) {
                return true;
            }
        }
    }
    return false;
}

/* ---- the host's instructions ---- */

static bool update_operand_ok(uint64_t spa, const Update *u)
{
    uint64_t size = u->size ? SIZE_2M : PAGE;

    /* RMP-UPDATE-RSVD */
    if (u->assigned > 1 || u->size > 1 || u->immutable > 1 || u->rsvd) {
        return false;
    }
    /* RMP-UPDATE-ALIGN, RMP-UPDATE-COVERED */
    if (spa % size || spa >= platform.covered) {
        return false;
    }
    /* RMP-UPDATE-ASID */
    if (u->asid > platform.max_asid) {
        return false;
    }
    if (!u->assigned) {
        /* RMP-UPDATE-UNASSIGNED */
        return !u->immutable && !u->asid;
    }
    /* RMP-UPDATE-GPA */
    return u->gpa % size == 0 && !(u->gpa >> GPA_BITS);
}

int model_update(uint64_t spa, const Update *u)
{
    const Region *r = region_of(spa);
    bool was_2m, fixed = false, taken = false;
    Entry old = entry_of(spa, &was_2m), new = {
        .assigned = u->assigned, .immutable = u->immutable,
        .asid = u->asid, .gpa = u->assigned ? u->gpa : 0,
    };

    if (!update_operand_ok(spa, u)) {
        return FAIL_INPUT;
    }
    if (!r) {
        bail("an RMPUPDATE beyond what the model knows");
    }
    /* RMP-UPDATE-IMMUTABLE */
    if (old.immutable) {
        return FAIL_PERMISSION;
    }
    if (!u->size) {
        /* RMP-UPDATE-OVERLAP-4K */
        if (was_2m) {
            return FAIL_OVERLAP;
        }
        model_set(spa, &new, false);
        return OK;
    }
    for (unsigned i = 0; i < PAGES_2M && !was_2m; i++) {
        taken |= r->e[i].assigned;
        fixed |= r->e[i].immutable;
    }
    /* RMP-UPDATE-OVERLAP-2M, RMP-UPDATE-IMMUTABLE-2M */
    if (taken || fixed) {
        return taken ? FAIL_OVERLAP : FAIL_PERMISSION;
    }
    if (u->assigned) {
        model_set(spa, &new, true);
    } else {
        for (unsigned i = 0; i < PAGES_2M; i++) {
            model_set(spa + i * PAGE, &new, false);
        }
    }
    return OK;
}

int model_psmash(uint64_t spa)
{
    bool size_2m;
    Entry e = entry_of(spa, &size_2m);

    /* RMP-PSMASH-INPUT */
    if (spa % SIZE_2M || spa >= platform.covered) {
        return FAIL_INPUT;
    }
    /* RMP-PSMASH-IMMUTABLE */
    if (e.immutable) {
        return FAIL_PERMISSION;
    }
    /* RMP-PSMASH-SIZE */
    if (!e.assigned || !size_2m) {
        return FAIL_BADADDR;
    }
    for (unsigned i = 0; i < PAGES_2M; i++) {
        Entry one = e;

        one.gpa += i * PAGE;
        model_set(spa + i * PAGE, &one, false);
    }
    return OK;
}

/* ---- accesses ---- */

bool model_hv_owned(uint64_t spa, bool leaf_2m)
{
    const Region *r = region_of(spa);
    bool size_2m;

    /* a page without an entry is the hypervisor's for ever */
    if (!r) {
        return true;
    }
    if (!leaf_2m) {
        return !entry_of(spa, &size_2m).assigned;
    }
    for (unsigned i = 0; i < PAGES_2M; i++) {
        if (r->e[r->large ? 0 : i].assigned) {
            return false;
        }
    }
    return true;
}

/* RMP-GUEST-COVERED, -OWNED, -REVERSE-MAP, -MUTABLE */
static bool is_guests(const Access *a, const Entry *e)
{
    return region_of(a->spa) && e->assigned && e->asid == asid_of[a->guest] &&
           e->gpa == (a->gpa & ~(PAGE - 1)) && !e->immutable;
}

Verdict model_access(const Access *a)
{
    bool size_2m;
    Entry e = entry_of(a->spa, &size_2m);
    bool private = a->guest != PLAIN && (a->c || a->fetch || a->table);

    if (!private) {
        /*
         * RMP-CHECK-PLAIN-GUEST, RMP-CHECK-SHARED-WRITE; RMP-CHECK-AD-4K:
         * a table is judged by itself, however it is mapped
         */
        return (a->write || a->table) &&
               !model_hv_owned(a->spa, a->leaf_2m && !a->table) ? V_NPF
                                                                : V_DONE;
    }
    /* RMP-CHECK-PRIVATE, then RMP-CHECK-SIZE */
    if (!is_guests(a, &e) || size_2m != a->leaf_2m) {
        return V_NPF;
    }
    /* RMP-CHECK-VALIDATED; VMPL0 has all rights */
    return e.validated ? V_DONE : V_VC;
}

/* What comes first for both instructions; V_DONE: go on, or *code is set */
static Verdict insn_page(const Access *a, bool want_2m, int *code)
{
    bool size_2m;
    Entry e = entry_of(a->spa, &size_2m);

    *code = OK;
    /* RMP-INSN-OWNED */
    if (!is_guests(a, &e)) {
        return V_NPF;
    }
    /* RMP-INSN-SIZEM */
    if (!want_2m) {
        return size_2m || a->leaf_2m ? V_NPF_SIZEM : V_DONE;
    }
    /* RMP-INSN-SIZEMISMATCH */
    if (!size_2m) {
        *code = FAIL_SIZEMISMATCH;
        return V_DONE;
    }
    /* RMP-INSN-LEAF */
    return a->leaf_2m ? V_DONE : V_NPF;
}

Verdict model_pvalidate(const Access *a, uint64_t va, bool want_2m,
                        bool validate, int *code, bool *cf)
{
    bool size_2m;
    Entry e;
    Verdict v;

    *cf = false;
    /* PVALIDATE-INPUT */
    if (want_2m && va % SIZE_2M) {
        *code = FAIL_INPUT;
        return V_DONE;
    }
    v = insn_page(a, want_2m, code);
    if (v != V_DONE || *code != OK) {
        return v;
    }
    e = entry_of(a->spa, &size_2m);
    /* RMP-PVALIDATE-CF */
    *cf = e.validated == validate;
    if (!*cf) {
        e.validated = validate;
        model_set(a->spa, &e, size_2m);
    }
    return V_DONE;
}

Verdict model_rmpadjust(const Access *a, uint64_t va, uint64_t rcx,
                        uint64_t rdx, int *code)
{
    unsigned target = rdx & 0xff;
    bool size_2m;
    Entry e;
    Verdict v;

    /* RMPADJUST-INPUT, RMP-ADJUST-RSVD, RMP-ADJUST-VMPL */
    if (rcx > 1 || (rcx && va % SIZE_2M) || rdx >> 17 ||
        (rdx >> 8 & 0xe0) || target >= platform.vmpls) {
        *code = FAIL_INPUT;
        return V_DONE;
    }
    v = insn_page(a, rcx, code);
    if (v != V_DONE || *code != OK) {
        return v;
    }
    e = entry_of(a->spa, &size_2m);
    /* RMP-ADJUST-VALIDATED */
    if (!e.validated) {
        return V_VC;
    }
    /* RMP-ADJUST-PRIVILEGE: the guests run at VMPL0 */
    if (target == 0) {
        *code = FAIL_PERMISSION;
        return V_DONE;
    }
    /* RMP-ADJUST-VMSA */
    e.vmsa = rdx >> 16 & 1;
    e.perms &= ~(0xffu << 8 * (target - 1));
    e.perms |= (rdx >> 8 & 0xff) << 8 * (target - 1);
    model_set(a->spa, &e, size_2m);
    return V_DONE;
}

Verdict model_rmpquery(const Access *a, unsigned vmpl, uint64_t *rcx,
                       uint64_t *rdx, int *code)
{
    bool size_2m;
    Entry e = entry_of(a->spa, &size_2m);
    unsigned target = *rdx & 0xff;

    *code = OK;
    /* RMP-QUERY-RSVD, RMP-QUERY-VMPL */
    if (*rdx >> 8 || target >= platform.vmpls) {
        *code = FAIL_INPUT;
        return V_DONE;
    }
    /* RMP-QUERY-OWNED, then RMP-QUERY-SIZE */
    if (!is_guests(a, &e) || size_2m != a->leaf_2m) {
        return V_NPF;
    }
    /* RMP-QUERY-VALIDATED */
    if (!e.validated) {
        return V_VC;
    }
    /* RMP-QUERY-PRIVILEGE */
    if (target <= vmpl) {
        *code = FAIL_PERMISSION;
        return V_DONE;
    }
    /* RMP-QUERY-ANSWER */
    *rcx = size_2m;
    *rdx = target | (e.perms >> 8 * (target - 1) & 0xff) << 8 |
           (uint64_t)e.vmsa << 16;
    return V_DONE;
}
