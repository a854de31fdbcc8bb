/*
 * Unit test of the reverse map table
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each operation runs on a small table in a known state; afterwards the whole
 * table is compared with what it must be, also when the operation is refused.
 * Expectations are the tables below, not the code under test.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "hw/snp/rmp.h"
#include "ktap.h"

/* Two whole regions, and a third that is covered in part */
#define NPAGES   (2 * 512 + 100)
#define MAX_ASID 509
#define ASID     7u
#define OTHER    8u
#define GPA      0x0007654321000000ull    /* 2M aligned */
#define PG(pfn)  ((uint64_t)(pfn) << 12)

static uint64_t table[NPAGES * 2], before[NPAGES * 2];
static Rmp rmp;

static void reset(void)
{
    memset(table, 0, sizeof(table));
    memset(&rmp, 0, sizeof(rmp));
    rmp.entries = (uint8_t *)table;
    rmp.npages = NPAGES;
    rmp.max_asid = MAX_ASID;
    rmp.nvmpls = 4;
}

static void snap(void)
{
    memcpy(before, table, sizeof(table));
}

/* The table must be as at snap(), but for @n slots from @pfn on. */
static bool rest_unchanged(uint64_t pfn, unsigned n)
{
    for (uint64_t i = 0; i < NPAGES; i++) {
        if (i >= pfn && i < pfn + n) {
            continue;
        }
        if (table[2 * i] != before[2 * i] ||
            table[2 * i + 1] != before[2 * i + 1]) {
            return false;
        }
    }
    return true;
}

/* ---- raw layout, by the bits of the PPR ---- */

#define RAW(assigned, size, imm, gpa, asid, vmsa, val)                  \
    ((uint64_t)(assigned) | (uint64_t)(size) << 1 | (uint64_t)(imm) << 2 | \
     (uint64_t)(gpa) | (uint64_t)(asid) << 51 | (uint64_t)(vmsa) << 61 |   \
     (uint64_t)(val) << 62)

static const struct {
    const char *name;
    uint64_t lo;
    bool host_writes;       /* and plain guests, and C=0 writes */
    bool updates;           /* RMPUPDATE may change it */
} states[RMP_NSTATES] = {
    [RMP_HYPERVISOR] = { "hypervisor", 0, true, true },
    [RMP_HV_FIXED] = { "hv-fixed", RAW(0, 0, 1, 0, 0, 0, 0), true, false },
    [RMP_RECLAIM] = { "reclaim", RAW(1, 0, 0, 0, 0, 0, 0), false, true },
    [RMP_FIRMWARE] = { "firmware", RAW(1, 0, 1, 0, 0, 0, 0), false, false },
    [RMP_CONTEXT] = { "context", RAW(1, 0, 1, 0, 0, 1, 0), false, false },
    [RMP_METADATA] = { "metadata", RAW(1, 0, 1, GPA, 0, 0, 0), false, false },
    [RMP_PRE_GUEST] = { "pre-guest", RAW(1, 0, 1, GPA, ASID, 0, 0),
                        false, false },
    [RMP_PRE_SWAP] = { "pre-swap", RAW(1, 0, 1, GPA, ASID, 0, 1),
                       false, false },
    [RMP_GUEST_INVALID] = { "guest-invalid", RAW(1, 0, 0, GPA, ASID, 0, 0),
                            false, true },
    [RMP_GUEST_VALID] = { "guest-valid", RAW(1, 0, 0, GPA, ASID, 0, 1),
                          false, true },
};

static void put(uint64_t pfn, uint64_t lo, uint64_t hi)
{
    table[2 * pfn] = lo;
    table[2 * pfn + 1] = hi;
}

static void put_2m(uint64_t pfn, uint64_t lo, uint64_t hi)
{
    put(pfn, lo | 3, hi);
    for (int i = 1; i < 512; i++) {
        put(pfn + i, 1, 0);
    }
}

/* Where a 4K operation is tried: start, middle, end of a region; the last */
static const uint64_t spots[] = { 512, 512 + 77, 1023, NPAGES - 1 };

#define FOR_SPOTS(pfn) \
    for (unsigned spot_ = 0; spot_ < 4; spot_++) \
        for (uint64_t pfn = spots[spot_], once_ = 1; once_; once_ = 0)

static void test_layout(void)
{
    for (int s = 0; s < RMP_NSTATES; s++) {
        RmpEntry e;

        reset();
        put(3, states[s].lo, 0x8000000004030201ull);
        rmp_get_raw(&rmp, PG(3) + 0x123, &e);
        CHECK(rmp_state(&e) == (RmpState)s, "%s", states[s].name);
        CHECK(!strcmp(rmp_state_name(s), states[s].name), "%d", s);
        CHECK(e.in_use && e.perms[0] == 1 && e.perms[1] == 2 &&
              e.perms[2] == 3 && e.perms[3] == 4, "%s", states[s].name);
    }
    CHECK(!strcmp(rmp_state_name(RMP_NSTATES), "?"), "out of range");

    /* each field, alone, at both ends, there and back */
    static const uint64_t fields[] = {
        RAW(1, 0, 0, 0, 0, 0, 0), RAW(1, 1, 0, 0, 0, 0, 0),
        RAW(0, 0, 1, 0, 0, 0, 0), RAW(1, 0, 0, 0x1000, 0, 0, 0),
        RAW(1, 0, 0, RMP_GPA_MASK, 0, 0, 0), RAW(1, 0, 0, 0, 1, 0, 0),
        RAW(1, 0, 0, 0, 1023, 0, 0), RAW(1, 0, 0, 0, 0, 1, 0),
        RAW(1, 0, 0, 0, 0, 0, 1),
    };
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        RmpEntry e;

        reset();
        put(512, fields[i], 0x1f00);
        rmp_get_raw(&rmp, PG(512), &e);
        CHECK(e.assigned == (fields[i] & 1) &&
              e.size_2m == (fields[i] >> 1 & 1) &&
              e.immutable == (fields[i] >> 2 & 1) &&
              e.gpa == (fields[i] & RMP_GPA_MASK) &&
              e.asid == (fields[i] >> 51 & 1023) &&
              e.vmsa == (fields[i] >> 61 & 1) &&
              e.validated == (fields[i] >> 62 & 1), "field %u", i);
        memset(table, 0, sizeof(table));
        rmp_fw_set(&rmp, PG(512), &e);
        CHECK(table[1024] == fields[i] && table[1025] == 0x1f00,
              "field %u", i);
    }

    /* a size bit without assigned is not a 2M entry */
    reset();
    RmpEntry e = { .size_2m = true };
    put(512, 2, 0);
    rmp_get(&rmp, PG(513), &e);
    CHECK(!e.size_2m && !e.assigned, "stale size bit");
}

static void test_coverage(void)
{
    RmpEntry e;
    RmpUpdate u = { .assigned = 1 };

    reset();
    CHECK(rmp_covered(&rmp, 0), "first");
    CHECK(rmp_covered(&rmp, PG(NPAGES) - 1), "last");
    CHECK(!rmp_covered(&rmp, PG(NPAGES)), "beyond");
    CHECK(!rmp_covered(&rmp, ~0ull), "far beyond");
    rmp_get(&rmp, PG(NPAGES), &e);
    CHECK(rmp_state(&e) == RMP_HYPERVISOR, "beyond");
    CHECK(rmp_update(&rmp, PG(NPAGES), &u) == RMP_FAIL_INPUT, "beyond");
    rmp_fw_set(&rmp, PG(NPAGES), &e);
    rmp_set_in_use(&rmp, PG(NPAGES), true);
    CHECK(rmp_try_in_use(&rmp, PG(NPAGES)), "beyond");
    CHECK(rmp_update(&rmp, PG(NPAGES - 1), &u) == RMP_SUCCESS, "last");
    u.pagesize = 1;
    CHECK(rmp_update(&rmp, PG(1024), &u) == RMP_FAIL_INPUT, "partial region");
    CHECK(rmp_psmash(&rmp, PG(1024)) == RMP_FAIL_INPUT, "partial region");
    e = (RmpEntry){ .assigned = true, .size_2m = true };
    snap();
    rmp_fw_set(&rmp, PG(1024), &e);
    CHECK(rest_unchanged(0, 0), "partial region");

    /* no 2M entry can stand in the partial region, whatever memory says */
    put(1024, RAW(1, 1, 0, GPA, ASID, 0, 1), 0x1f);
    rmp_get(&rmp, PG(1025), &e);
    CHECK(!e.assigned, "partial region");
    rmp_fw_set(&rmp, PG(1025), &(RmpEntry){ .assigned = true });

    reset();
    rmp.entries = NULL;
    CHECK(!rmp_covered(&rmp, 0), "no table");
    CHECK(rmp_psmash(&rmp, 0) == RMP_FAIL_INPUT, "no table");
}

/* ---- RMPUPDATE of one 4K page ---- */

static const struct {
    const char *name;
    RmpUpdate u;
    bool good;
    uint64_t lo;            /* what the entry becomes */
} updates[] = {
    { "unassign", { .gpa = 0 }, true, 0 },
    { "unassign, gpa", { .gpa = GPA }, true, 0 },
    { "reclaim", { .assigned = 1 }, true, RAW(1, 0, 0, 0, 0, 0, 0) },
    { "firmware", { .assigned = 1, .immutable = 1 }, true,
      RAW(1, 0, 1, 0, 0, 0, 0) },
    { "metadata", { GPA, 1, 0, 1, 0, 0 }, true, RAW(1, 0, 1, GPA, 0, 0, 0) },
    { "pre-guest", { GPA, 1, 0, 1, 0, ASID }, true,
      RAW(1, 0, 1, GPA, ASID, 0, 0) },
    { "guest", { GPA, 1, 0, 0, 0, ASID }, true,
      RAW(1, 0, 0, GPA, ASID, 0, 0) },
    { "guest, top gpa", { RMP_GPA_MASK, 1, 0, 0, 0, MAX_ASID }, true,
      RAW(1, 0, 0, RMP_GPA_MASK, MAX_ASID, 0, 0) },
    { "other guest", { GPA, 1, 0, 0, 0, OTHER }, true,
      RAW(1, 0, 0, GPA, OTHER, 0, 0) },
    { "unassign immutable", { .immutable = 1 }, false, 0 },
    { "unassign asid", { .asid = ASID }, false, 0 },
    { "asid beyond", { GPA, 1, 0, 0, 0, MAX_ASID + 1 }, false, 0 },
    { "asid huge", { GPA, 1, 0, 0, 0, 0x10000 + ASID }, false, 0 },
    { "reserved byte", { GPA, 1, 0, 0, 1, ASID }, false, 0 },
    { "assigned 2", { GPA, 2, 0, 0, 0, ASID }, false, 0 },
    { "size 2", { GPA, 1, 2, 0, 0, ASID }, false, 0 },
    { "immutable 2", { GPA, 1, 0, 2, 0, ASID }, false, 0 },
    { "gpa low", { GPA | 1, 1, 0, 0, 0, ASID }, false, 0 },
    { "gpa high", { GPA | 1ull << 51, 1, 0, 0, 0, ASID }, false, 0 },
};
#define NUPDATES (sizeof(updates) / sizeof(updates[0]))

static void test_update_4k(void)
{
    for (int s = 0; s < RMP_NSTATES; s++) {
        for (unsigned k = 0; k < NUPDATES; k++) {
            FOR_SPOTS(pfn) {
                int ret, want = RMP_SUCCESS;

                reset();
                put(pfn, states[s].lo, 0x1f1f1f1f);
                snap();
                if (!updates[k].good) {
                    want = RMP_FAIL_INPUT;
                } else if (!states[s].updates) {
                    want = RMP_FAIL_PERMISSION;
                }
                ret = rmp_update(&rmp, PG(pfn), &updates[k].u);
                CHECK(ret == want, "%s -> %s: %d, not %d", states[s].name,
                      updates[k].name, ret, want);
                CHECK(rest_unchanged(pfn, ret ? 0 : 1), "%s -> %s",
                      states[s].name, updates[k].name);
                if (!ret) {
                    CHECK(table[2 * pfn] == updates[k].lo &&
                          table[2 * pfn + 1] == (updates[k].lo ? 0x1f : 0),
                          "%s -> %s", states[s].name, updates[k].name);
                }

                /* the same, misaligned */
                reset();
                put(pfn, states[s].lo, 0x1f);
                snap();
                ret = rmp_update(&rmp, PG(pfn) + 8, &updates[k].u);
                CHECK(ret == RMP_FAIL_INPUT && rest_unchanged(0, 0),
                      "%s -> %s misaligned", states[s].name,
                      updates[k].name);

                /* the same, held by a CPU */
                reset();
                put(pfn, states[s].lo, 0);
                rmp_set_in_use(&rmp, PG(pfn), true);
                snap();
                ret = rmp_update(&rmp, PG(pfn), &updates[k].u);
                want = updates[k].good ? RMP_FAIL_INUSE : RMP_FAIL_INPUT;
                CHECK(ret == want && rest_unchanged(0, 0),
                      "%s -> %s in use: %d", states[s].name,
                      updates[k].name, ret);
            }
        }
    }
}

/* ---- a region of 512 pages against operations of both sizes ---- */

#define R 512u              /* first page of the region under test */

typedef enum Region {
    ALL_FREE,               /* 512 x Hypervisor */
    GUEST_2M, VALID_2M, RECLAIM_2M, FIRMWARE_2M, PRE_GUEST_2M,
    ONE_GUEST, ONE_RECLAIM, ONE_FIRMWARE, ONE_FIXED,    /* at spot, rest free */
    ALL_GUEST,              /* 512 x Guest-invalid, 4K */
    NREGIONS
} Region;

static const char * const region_names[NREGIONS] = {
    "free", "guest 2M", "valid 2M", "reclaim 2M", "firmware 2M",
    "pre-guest 2M", "one guest", "one reclaim", "one firmware", "one fixed",
    "all guest",
};

typedef enum RegionOp {
    SET_2M, CLEAR_2M, SET_4K, CLEAR_4K, SMASH, NREGIONOPS
} RegionOp;

#define OK RMP_SUCCESS
#define PE RMP_FAIL_PERMISSION
#define OV RMP_FAIL_OVERLAP
#define BA RMP_FAIL_BADADDR

/*
 * Expected codes; the 4K operations aim at the spot. ONE_* with the spot at
 * the first page differs where an immutable first page is seen first.
 */
static const struct { int code[NREGIONOPS], code_first[NREGIONOPS]; }
region_want[NREGIONS] = {
    [ALL_FREE] =     { { OK, OK, OK, OK, BA }, { OK, OK, OK, OK, BA } },
    [GUEST_2M] =     { { OK, OK, OV, OV, OK }, { OK, OK, OV, OV, OK } },
    [VALID_2M] =     { { OK, OK, OV, OV, OK }, { OK, OK, OV, OV, OK } },
    [RECLAIM_2M] =   { { OK, OK, OV, OV, OK }, { OK, OK, OV, OV, OK } },
    [FIRMWARE_2M] =  { { PE, PE, PE, PE, PE }, { PE, PE, PE, PE, PE } },
    [PRE_GUEST_2M] = { { PE, PE, PE, PE, PE }, { PE, PE, PE, PE, PE } },
    [ONE_GUEST] =    { { OV, OV, OK, OK, BA }, { OV, OV, OK, OK, BA } },
    [ONE_RECLAIM] =  { { OV, OV, OK, OK, BA }, { OV, OV, OK, OK, BA } },
    [ONE_FIRMWARE] = { { OV, OV, PE, PE, BA }, { PE, PE, PE, PE, PE } },
    [ONE_FIXED] =    { { PE, PE, PE, PE, BA }, { PE, PE, PE, PE, PE } },
    [ALL_GUEST] =    { { OV, OV, OK, OK, BA }, { OV, OV, OK, OK, BA } },
};

#define PERMS_2M 0x0307051full

static void set_region(Region g, uint64_t spot)
{
    reset();
    put(R - 1, states[RMP_GUEST_VALID].lo, 0x1f);
    put(R + 512, states[RMP_FIRMWARE].lo, 0x1f);
    switch (g) {
    case GUEST_2M:
        put_2m(R, states[RMP_GUEST_INVALID].lo, 0x1f);
        break;
    case VALID_2M:
        put_2m(R, states[RMP_GUEST_VALID].lo, PERMS_2M);
        break;
    case RECLAIM_2M:
        put_2m(R, states[RMP_RECLAIM].lo, 0x1f);
        break;
    case FIRMWARE_2M:
        put_2m(R, states[RMP_FIRMWARE].lo, 0x1f);
        break;
    case PRE_GUEST_2M:
        put_2m(R, states[RMP_PRE_GUEST].lo, 0x1f);
        break;
    case ONE_GUEST:
        put(spot, states[RMP_GUEST_INVALID].lo, 0x1f);
        break;
    case ONE_RECLAIM:
        put(spot, states[RMP_RECLAIM].lo, 0x1f);
        break;
    case ONE_FIRMWARE:
        put(spot, states[RMP_FIRMWARE].lo, 0x1f);
        break;
    case ONE_FIXED:
        put(spot, states[RMP_HV_FIXED].lo, 0);
        break;
    case ALL_GUEST:
        for (int i = 0; i < 512; i++) {
            put(R + i, RAW(1, 0, 0, GPA + PG(i), ASID, 0, 0), 0x1f);
        }
        break;
    default:
        break;
    }
    snap();
}

static int do_region_op(RegionOp op, uint64_t spot)
{
    RmpUpdate u = { 0 };

    switch (op) {
    case SET_2M:
        u = (RmpUpdate){ GPA, 1, 1, 0, 0, ASID };
        return rmp_update(&rmp, PG(R), &u);
    case CLEAR_2M:
        u.pagesize = 1;
        return rmp_update(&rmp, PG(R), &u);
    case SET_4K:
        u = (RmpUpdate){ GPA, 1, 0, 0, 0, ASID };
        return rmp_update(&rmp, PG(spot), &u);
    case CLEAR_4K:
        return rmp_update(&rmp, PG(spot), &u);
    default:
        return rmp_psmash(&rmp, PG(R));
    }
}

/* The effect of a successful operation, on the whole table */
static bool region_effect_ok(Region g, RegionOp op, uint64_t spot)
{
    uint64_t lo = 0, hi = 0;

    if (op == SET_4K || op == CLEAR_4K) {
        if (op == SET_4K) {
            lo = RAW(1, 0, 0, GPA, ASID, 0, 0);
            hi = 0x1f;
        }
        return table[2 * spot] == lo && table[2 * spot + 1] == hi &&
               rest_unchanged(spot, 1);
    }
    for (int i = 0; i < 512; i++) {
        if (op == SET_2M) {
            lo = i ? 1 : RAW(1, 1, 0, GPA, ASID, 0, 0);
            hi = i ? 0 : 0x1f;
        } else if (op == SMASH) {
            lo = g == RECLAIM_2M ? RAW(1, 0, 0, PG(i), 0, 0, 0)
                 : RAW(1, 0, 0, GPA + PG(i), ASID, 0, g == VALID_2M);
            hi = g == VALID_2M ? PERMS_2M : 0x1f;
        }
        if (table[2 * (R + i)] != lo || table[2 * (R + i) + 1] != hi) {
            return false;
        }
    }
    return rest_unchanged(R, 512);
}

static void test_region(void)
{
    static const uint64_t at[] = { R, R + 1, R + 300, R + 511 };

    for (int g = 0; g < NREGIONS; g++) {
        for (int op = 0; op < NREGIONOPS; op++) {
            for (unsigned i = 0; i < 4; i++) {
                int want = (i ? region_want[g].code
                              : region_want[g].code_first)[op];
                int ret;

                set_region(g, at[i]);
                ret = do_region_op(op, at[i]);
                CHECK(ret == want, "%s, op %d, spot %u: %d, not %d",
                      region_names[g], op, i, ret, want);
                CHECK(ret ? rest_unchanged(0, 0)
                          : region_effect_ok(g, op, at[i]),
                      "%s, op %d, spot %u", region_names[g], op, i);

                /* one page of the region in use refuses the large ones */
                if (op == SET_2M || op == CLEAR_2M || op == SMASH) {
                    set_region(g, at[i]);
                    rmp_set_in_use(&rmp, PG(at[i]), true);
                    snap();
                    ret = do_region_op(op, at[i]);
                    if (op != SMASH || want != PE) {
                        want = RMP_FAIL_INUSE;
                    }
                    CHECK(ret == want && rest_unchanged(0, 0),
                          "%s, op %d, spot %u in use: %d", region_names[g],
                          op, i, ret);
                }
            }
        }
    }

    RmpUpdate u = { GPA, 1, 1, 0, 0, ASID };
    set_region(ALL_FREE, R);
    CHECK(rmp_update(&rmp, PG(R + 1), &u) == RMP_FAIL_INPUT &&
          rest_unchanged(0, 0), "2M misaligned");
    u.gpa = GPA + 0x1000;
    CHECK(rmp_update(&rmp, PG(R), &u) == RMP_FAIL_INPUT &&
          rest_unchanged(0, 0), "2M gpa misaligned");
    set_region(GUEST_2M, R);
    CHECK(rmp_psmash(&rmp, PG(R + 1)) == RMP_FAIL_INPUT &&
          rest_unchanged(0, 0), "psmash misaligned");
}

/* A 2M entry answers for its pages; the sub-slots say only "assigned". */
static void test_get_2m(void)
{
    RmpEntry e;

    set_region(VALID_2M, R);
    for (int i = 0; i < 512; i++) {
        rmp_get(&rmp, PG(R + i) + 0xabc, &e);
        CHECK(e.size_2m && e.asid == ASID && e.validated &&
              e.gpa == GPA + PG(i) && e.perms[1] == 5, "page %d", i);
        rmp_get_raw(&rmp, PG(R + i), &e);
        CHECK(e.assigned && e.size_2m == (i == 0) &&
              e.asid == (i ? 0 : ASID), "slot %d", i);
    }
    rmp_set_in_use(&rmp, PG(R + 9), true);
    rmp_get(&rmp, PG(R + 9), &e);
    CHECK(e.in_use, "slot of its own");
    rmp_get(&rmp, PG(R + 8), &e);
    CHECK(!e.in_use, "neighbour");

    /* the firmware breaks a page out of it, and makes a new one */
    set_region(VALID_2M, R);
    rmp_fw_set(&rmp, PG(R + 9), &(RmpEntry){ .assigned = true,
                                             .immutable = true });
    for (int i = 0; i < 512; i++) {
        uint64_t lo = i == 9 ? RAW(1, 0, 1, 0, 0, 0, 0)
                             : RAW(1, 0, 0, GPA + PG(i), ASID, 0, 1);
        CHECK(table[2 * (R + i)] == lo &&
              table[2 * (R + i) + 1] == (i == 9 ? 0 : PERMS_2M), "%d", i);
    }
    e = (RmpEntry){ .assigned = true, .size_2m = true, .asid = ASID,
                    .gpa = GPA };
    rmp_fw_set(&rmp, PG(R), &e);
    rmp_get(&rmp, PG(R + 9), &e);
    CHECK(e.size_2m && e.gpa == GPA + PG(9), "made");
    CHECK(rest_unchanged(R, 512), "neighbours");

    /* in one of the firmware's all pages are in one state */
    for (int kind = 0; kind < 2; kind++) {
        static const RmpState want[] = { RMP_FIRMWARE, RMP_METADATA };
        RmpEntry one = { .assigned = true, .immutable = true, .vmsa = true };

        e = (RmpEntry){ .assigned = true, .size_2m = true,
                        .immutable = true, .gpa = kind ? GPA : 0 };
        rmp_fw_set(&rmp, PG(R), &e);
        for (int i = 0; i < 512; i++) {
            rmp_get(&rmp, PG(R + i), &e);
            CHECK(rmp_state(&e) == want[kind] && e.size_2m &&
                  e.gpa == (kind ? GPA : 0), "page %d", i);
        }
        rmp_fw_set(&rmp, PG(R + 9), &one);
        for (int i = 0; i < 512; i++) {
            rmp_get(&rmp, PG(R + i), &e);
            CHECK(rmp_state(&e) == (i == 9 ? RMP_CONTEXT : want[kind]) &&
                  !e.size_2m && e.gpa == (kind && i != 9 ? GPA : 0),
                  "page %d, broken up", i);
        }
    }
}

/* ---- PVALIDATE, RMPADJUST, RMPQUERY ---- */

typedef struct GuestCase {
    const char *name;
    bool leaf_2m, size_2m;
    uint32_t asid;
    uint64_t gpa_off;
} GuestCase;

static const GuestCase guest_cases[] = {
    { "good", false, false, ASID, 0 },
    { "other asid", false, false, OTHER, 0 },
    { "asid 0", false, false, 0, 0 },
    { "other gpa", false, false, ASID, 0x1000 },
    { "gpa offset", false, false, ASID, 0x123 },
    { "2M leaf", true, false, ASID, 0 },
    { "2M asked", false, true, ASID, 0 },
    { "2M leaf and asked", true, true, ASID, 0 },
    { "2M asked by other", true, true, OTHER, 0 },
};
#define NGUEST (sizeof(guest_cases) / sizeof(guest_cases[0]))

/* Verdict before validated and permissions; -1 - code: ends with the code */
#define GO      100
#define CODE(n) (-1 - (n))

static int guest_want_4k(int s, const GuestCase *c)
{
    bool own = s == RMP_GUEST_INVALID || s == RMP_GUEST_VALID;

    if (!own || c->asid != ASID || c->gpa_off >= 0x1000) {
        return RMP_FAULT;
    }
    if (c->size_2m) {
        return CODE(RMP_FAIL_SIZEMISMATCH);
    }
    return c->leaf_2m ? RMP_FAULT_SIZEM : GO;
}

static int guest_want_2m(const GuestCase *c, unsigned page)
{
    if (c->asid != ASID || c->gpa_off >= 0x1000) {
        return RMP_FAULT;
    }
    if (!c->size_2m) {
        return RMP_FAULT_SIZEM;
    }
    if (page) {
        return CODE(RMP_FAIL_SIZEMISMATCH);
    }
    return c->leaf_2m ? GO : RMP_FAULT;
}

static void one_pvalidate(uint64_t pfn, uint64_t gpa, const GuestCase *c,
                          bool validate, int want, uint64_t slot,
                          const char *name)
{
    int code = -7;
    bool same = true, was = table[2 * slot] >> 62 & 1;
    uint64_t lo = table[2 * slot];
    RmpVerdict v;

    snap();
    v = rmp_pvalidate(&rmp, PG(pfn), gpa + c->gpa_off, c->asid, c->leaf_2m,
                      c->size_2m, validate, &code, &same);
    if (want != GO) {
        CHECK(rest_unchanged(0, 0), "%s, %s", name, c->name);
        CHECK(want < 0 ? v == RMP_ALLOW && code == -1 - want && !same
                       : (int)v == want, "%s, %s: %d", name, c->name, v);
        return;
    }
    CHECK(v == RMP_ALLOW && code == 0 && same == (was == validate),
          "%s, %s: %d %d %d", name, c->name, v, code, same);
    lo = validate ? lo | 1ull << 62 : lo & ~(1ull << 62);
    CHECK(rest_unchanged(slot, 1) && table[2 * slot] == lo &&
          table[2 * slot + 1] == before[2 * slot + 1], "%s, %s", name,
          c->name);
}

static void test_pvalidate(void)
{
    for (unsigned k = 0; k < NGUEST; k++) {
        const GuestCase *c = &guest_cases[k];

        for (int validate = 0; validate < 2; validate++) {
            for (int s = 0; s < RMP_NSTATES; s++) {
                FOR_SPOTS(pfn) {
                    reset();
                    put(pfn, states[s].lo, 0x05040302);
                    one_pvalidate(pfn, GPA, c, validate, guest_want_4k(s, c),
                                  pfn, states[s].name);
                }
                reset();
                put(5, states[s].lo, 0x1f);
                one_pvalidate(NPAGES + 5, GPA, c, validate, RMP_FAULT, 5,
                              "not covered");
            }
            for (int g = GUEST_2M; g <= VALID_2M; g++) {
                for (unsigned page = 0; page < 512; page += 73) {
                    set_region(g, R);
                    one_pvalidate(R + page, GPA + PG(page), c, validate,
                                  guest_want_2m(c, page), R, region_names[g]);
                }
            }
            set_region(PRE_GUEST_2M, R);
            one_pvalidate(R, GPA, c, validate, RMP_FAULT, R, "pre-guest 2M");
        }
    }

    /* lenient sizes: leaves do not count, entries do */
    GuestCase c = { "loose", true, false, ASID, 0 };
    reset();
    rmp.loose = SNP_READINGS_ALL;
    put(512, states[RMP_GUEST_INVALID].lo, 0x1f);
    one_pvalidate(512, GPA, &c, true, GO, 512, "4K");
    set_region(GUEST_2M, R);
    rmp.loose = SNP_READINGS_ALL;
    one_pvalidate(R, GPA, &c, true, RMP_FAULT_SIZEM, R, "2M");
    c = (GuestCase){ "loose", false, true, ASID, 0 };
    one_pvalidate(R, GPA, &c, true, GO, R, "2M");
}

static void test_adjust_pages(void)
{
    const uint64_t rdx = 1 | 0x0300;

    for (unsigned k = 0; k < NGUEST; k++) {
        const GuestCase *c = &guest_cases[k];

        for (int s = 0; s < RMP_NSTATES; s++) {
            FOR_SPOTS(pfn) {
                int code = -7, want = guest_want_4k(s, c);
                RmpVerdict v;

                reset();
                put(pfn, states[s].lo, 0x1f);
                snap();
                v = rmp_adjust(&rmp, PG(pfn), GPA + c->gpa_off, c->asid, 0,
                               c->leaf_2m, c->size_2m, rdx, &code);
                if (want == GO && s == RMP_GUEST_VALID) {
                    CHECK(v == RMP_ALLOW && code == 0, "%s", c->name);
                    CHECK(rest_unchanged(pfn, 1) &&
                          table[2 * pfn] == states[s].lo &&
                          table[2 * pfn + 1] == 0x031f, "%s", c->name);
                    continue;
                }
                if (want == GO) {
                    want = RMP_FAULT_UNVALIDATED;
                }
                CHECK(want < 0 ? v == RMP_ALLOW && code == -1 - want
                               : (int)v == want, "%s, %s: %d",
                      states[s].name, c->name, v);
                CHECK(rest_unchanged(0, 0), "%s, %s", states[s].name,
                      c->name);
            }
        }
        for (unsigned page = 0; page < 512; page += 73) {
            int code = -7, want = guest_want_2m(c, page);
            RmpVerdict v;

            set_region(VALID_2M, R);
            v = rmp_adjust(&rmp, PG(R + page), GPA + PG(page) + c->gpa_off,
                           c->asid, 0, c->leaf_2m, c->size_2m, 1 | 0x0700,
                           &code);
            if (want == GO) {
                CHECK(v == RMP_ALLOW && code == 0 && rest_unchanged(R, 1) &&
                      table[2 * R] == before[2 * R] &&
                      table[2 * R + 1] == ((PERMS_2M & ~0xff00ull) | 0x0700),
                      "2M %s", c->name);
                continue;
            }
            CHECK(want < 0 ? v == RMP_ALLOW && code == -1 - want
                           : (int)v == want, "2M %s: %d", c->name, v);
            CHECK(rest_unchanged(0, 0), "2M %s", c->name);
        }
    }
}

/* Operand, privilege, subset, VMSA bit: all of target x current x masks */
static void test_adjust_rights(void)
{
    for (unsigned nvmpls = 1; nvmpls <= 4; nvmpls += 3) {
        for (unsigned cur = 0; cur < nvmpls; cur++) {
            for (unsigned target = 0; target < 6; target++) {
                for (unsigned have = 0; have < 32; have++) {
                    for (unsigned ask = 0; ask < 64; ask++) {
                        uint64_t hi = 0x04040404;
                        uint64_t rdx = target | ask << 8 | (ask & 1) << 16;
                        int code = -7, want = RMP_SUCCESS;
                        bool vmsa = !(ask & 1);

                        hi &= ~(0xffull << 8 * cur);
                        hi |= (uint64_t)have << 8 * cur;
                        if (target >= nvmpls || ask >= 32) {
                            want = RMP_FAIL_INPUT;
                        } else if (target <= cur || (ask & have) != ask) {
                            want = RMP_FAIL_PERMISSION;
                        }
                        reset();
                        rmp.nvmpls = nvmpls;
                        put(2, RAW(1, 0, 0, GPA, ASID, vmsa, 1), hi);
                        snap();
                        RmpVerdict v = rmp_adjust(&rmp, PG(2), GPA, ASID, cur,
                                                  false, false, rdx, &code);
                        CHECK(v == RMP_ALLOW && code == want,
                              "vmpl %u of %u on %u: %u of %u: %d", cur,
                              nvmpls, target, ask, have, code);
                        CHECK(rmp_adjust_operand_ok(&rmp, rdx) ==
                              (want != RMP_FAIL_INPUT), "%u %u", target, ask);
                        if (code) {
                            CHECK(rest_unchanged(0, 0), "refused");
                            continue;
                        }
                        hi &= ~(0xffull << 8 * target);
                        hi |= (uint64_t)ask << 8 * target;
                        CHECK(rest_unchanged(2, 1) && table[5] == hi &&
                              table[4] == RAW(1, 0, 0, GPA, ASID,
                                              cur ? vmsa : ask & 1, 1),
                              "vmpl %u on %u", cur, target);
                    }
                }
            }
        }
    }

    int code = -7;
    reset();
    put(2, states[RMP_GUEST_VALID].lo, 0x1f);
    for (int bit = 17; bit < 64; bit++) {
        snap();
        CHECK(rmp_adjust(&rmp, PG(2), GPA, ASID, 0, false, false,
                         1 | 1ull << bit, &code) == RMP_ALLOW &&
              code == RMP_FAIL_INPUT && rest_unchanged(0, 0), "bit %d", bit);
    }
    rmp_set_in_use(&rmp, PG(2), true);
    snap();
    CHECK(rmp_adjust(&rmp, PG(2), GPA, ASID, 0, false, false, 1, &code) ==
          RMP_ALLOW && code == RMP_FAIL_INUSE && rest_unchanged(0, 0),
          "in use");
    rmp_set_in_use(&rmp, PG(2), false);
    CHECK(rmp_adjust(&rmp, PG(2), GPA, ASID, 0, false, false, 1 | 1 << 16,
                     &code) == RMP_ALLOW && code == 0 &&
          table[4] == RAW(1, 0, 0, GPA, ASID, 1, 1), "made VMSA");
}

/* One RMPQUERY by VMPL1 of VMPL2 where @want is GO but for validated */
static void one_query(uint64_t pfn, uint64_t gpa, const GuestCase *c, int want,
                      bool size_2m, const char *name)
{
    uint64_t rdx = 2;
    bool size = !size_2m;
    int code = -7;
    RmpVerdict v;

    snap();
    v = rmp_query(&rmp, PG(pfn), gpa + c->gpa_off, c->asid, 1, c->leaf_2m,
                  &rdx, &size, &code);
    CHECK(rest_unchanged(0, 0), "%s, %s", name, c->name);
    if (want == GO) {
        CHECK(v == RMP_ALLOW && !code && rdx == 0x10d02 && size == size_2m,
              "%s, %s: %d %d", name, c->name, v, code);
    } else {
        CHECK((int)v == want && code == -7 && rdx == 2 && size != size_2m,
              "%s, %s: %d %d", name, c->name, v, code);
    }
}

static void test_query_pages(void)
{
    const uint32_t masks = 0x040d051f;

    for (unsigned k = 0; k < NGUEST; k++) {
        const GuestCase *c = &guest_cases[k];
        bool own = c->asid == ASID && c->gpa_off < 0x1000;

        for (int s = 0; s < RMP_NSTATES; s++) {
            bool mine = own && !c->leaf_2m && (s == RMP_GUEST_VALID ||
                                               s == RMP_GUEST_INVALID);

            FOR_SPOTS(pfn) {
                reset();
                put(pfn, states[s].lo | 1ull << 61, masks);
                one_query(pfn, GPA, c, !mine ? RMP_FAULT
                          : s == RMP_GUEST_VALID ? GO
                          : RMP_FAULT_UNVALIDATED, false, states[s].name);
            }
        }
        for (unsigned page = 0; page < 512; page += 73) {
            set_region(VALID_2M, R);
            table[2 * R] |= 1ull << 61;
            table[2 * R + 1] = masks;
            one_query(R + page, GPA + PG(page), c,
                      own && c->leaf_2m ? GO : RMP_FAULT, true, "2M");
        }
        set_region(GUEST_2M, R);
        one_query(R, GPA, c, own && c->leaf_2m ? RMP_FAULT_UNVALIDATED
                  : RMP_FAULT, true, "2M, not validated");
    }
}

/* Operand and privilege: all of target x current x masks */
static void test_query_rights(void)
{
    for (unsigned nvmpls = 1; nvmpls <= 4; nvmpls += 3) {
        for (unsigned i = 0; i < nvmpls * 6 * 32; i++) {
            unsigned cur = i / (6 * 32), target = i / 32 % 6, mask = i % 32;
            int code = -7, want = target >= nvmpls ? RMP_FAIL_INPUT
                                  : target <= cur ? RMP_FAIL_PERMISSION
                                  : RMP_SUCCESS;
            uint64_t rdx = target;
            bool size = true;

            reset();
            rmp.nvmpls = nvmpls;
            put(2, RAW(1, 0, 0, GPA, ASID, 0, 1),
                (0x12121212 & ~(0xffull << 8 * (target & 3))) |
                (uint64_t)mask << 8 * (target & 3));
            snap();
            CHECK(rmp_query(&rmp, PG(2), GPA, ASID, cur, false, &rdx, &size,
                            &code) == RMP_ALLOW && code == want,
                  "VMPL%u of %u of VMPL%u: %d", cur, nvmpls, target, code);
            CHECK(want ? rdx == target && size
                       : rdx == (target | mask << 8) && !size,
                  "VMPL%u of VMPL%u", cur, target);
            CHECK(rmp_query_operand_ok(&rmp, target) ==
                  (want != RMP_FAIL_INPUT) && rest_unchanged(0, 0),
                  "VMPL%u of VMPL%u", cur, target);
        }
    }
    reset();
    put(2, states[RMP_GUEST_VALID].lo, 0x1f);
    for (int bit = 8; bit < 64; bit++) {
        uint64_t rdx = 1 | 1ull << bit;
        bool size = true;
        int code = -7;

        CHECK(rmp_query(&rmp, PG(2), GPA, ASID, 0, false, &rdx, &size,
                        &code) == RMP_ALLOW && code == RMP_FAIL_INPUT &&
              rdx == (1 | 1ull << bit) && size, "bit %d", bit);
    }
}

/* ---- the access check ---- */

enum { READ, WRITE, FETCH, WALK, WALK_AD, NKINDS };
enum { HOST, PLAIN, SNP_SHARED, SNP_PRIVATE, NWHO };

static RmpAccess access_of(int who, int kind, uint64_t pfn)
{
    return (RmpAccess){
        .spa = PG(pfn) + 0x7f8, .gpa = GPA + 0x7f8, .asid = ASID,
        .guest = who != HOST, .snp = who >= SNP_SHARED,
        .cbit = who == SNP_PRIVATE,
        .write = kind == WRITE || kind == WALK_AD,
        .fetch = kind == FETCH, .table = kind == WALK || kind == WALK_AD,
    };
}

static RmpVerdict want_4k(int who, int kind, int s)
{
    bool private = who == SNP_PRIVATE ||
                   (who == SNP_SHARED && kind >= FETCH);
    bool hv = kind == WRITE || kind == WALK_AD ||
              (who == PLAIN && kind == WALK);

    if (!private) {
        return hv && !states[s].host_writes ? RMP_FAULT : RMP_ALLOW;
    }
    if (s == RMP_GUEST_INVALID) {
        return RMP_FAULT_UNVALIDATED;
    }
    return s == RMP_GUEST_VALID ? RMP_ALLOW : RMP_FAULT;
}

static void test_access_4k(void)
{
    for (int who = 0; who < NWHO; who++) {
        for (int kind = 0; kind < NKINDS; kind++) {
            for (int s = 0; s < RMP_NSTATES; s++) {
                FOR_SPOTS(pfn) {
                    RmpAccess a = access_of(who, kind, pfn);
                    RmpVerdict v, want = want_4k(who, kind, s);

                    reset();
                    put(pfn, states[s].lo, 0x1f);
                    snap();
                    v = rmp_check(&rmp, &a);
                    CHECK(v == want && rest_unchanged(0, 0),
                          "who %d kind %d %s: %d, not %d", who, kind,
                          states[s].name, v, want);
                    if (want_4k(SNP_PRIVATE, READ, s) == RMP_FAULT ||
                        (who != SNP_PRIVATE &&
                         !(who == SNP_SHARED && kind >= FETCH))) {
                        continue;
                    }

                    /* private and owned: whose, where, and what size */
                    a.asid = OTHER;
                    CHECK(rmp_check(&rmp, &a) == RMP_FAULT, "asid");
                    a.asid = ASID;
                    a.gpa += 0x1000;
                    CHECK(rmp_check(&rmp, &a) == RMP_FAULT, "gpa");
                    a.gpa -= 0x1000;
                    a.leaf_2m = true;
                    CHECK(rmp_check(&rmp, &a) == RMP_FAULT, "leaf");
                    rmp.loose = SNP_READINGS_ALL;
                    CHECK(rmp_check(&rmp, &a) == want, "loose leaf");
                    rmp.loose = 0;
                    a.leaf_2m = false;
                    a.spa = PG(NPAGES) + 0x7f8;
                    CHECK(rmp_check(&rmp, &a) == RMP_FAULT, "not covered");
                }
            }

            /* beyond coverage everything is the hypervisor's */
            RmpAccess a = access_of(who, kind, NPAGES);
            RmpVerdict want = want_4k(who, kind, RMP_HYPERVISOR);
            reset();
            CHECK(rmp_check(&rmp, &a) == want, "uncovered %d %d", who, kind);
            a.leaf_2m = true;
            CHECK(rmp_check(&rmp, &a) == want, "uncovered %d %d", who, kind);
        }
    }
}

static void test_access_2m(void)
{
    static const uint64_t at[] = { R, R + 1, R + 300, R + 511 };

    for (int g = 0; g < NREGIONS; g++) {
        for (int who = 0; who < SNP_PRIVATE; who++) {
            for (int kind = 0; kind < NKINDS; kind++) {
                for (unsigned i = 0; i < 4; i++) {
                    /* the page next to the one that is special */
                    RmpAccess a = access_of(who, kind, at[i] ^ 1);
                    bool all = g != ALL_FREE && g != ONE_FIXED;
                    bool here = all && (g <= PRE_GUEST_2M || g == ALL_GUEST);
                    bool table = kind >= WALK;
                    bool hv = kind == WRITE || kind == WALK_AD ||
                              (who == PLAIN && kind == WALK);
                    RmpVerdict want;

                    if (who == SNP_SHARED && kind >= FETCH) {
                        continue;
                    }
                    set_region(g, at[i]);
                    want = hv && here ? RMP_FAULT : RMP_ALLOW;
                    CHECK(rmp_check(&rmp, &a) == want, "%s %d %d 4K",
                          region_names[g], who, kind);
                    a.leaf_2m = true;
                    rmp.loose = SNP_READINGS_ALL;
                    CHECK(rmp_check(&rmp, &a) == want, "%s %d %d loose",
                          region_names[g], who, kind);
                    rmp.loose = 0;
                    want = hv && (table ? here : all) ? RMP_FAULT : RMP_ALLOW;
                    CHECK(rmp_check(&rmp, &a) == want, "%s %d %d 2M",
                          region_names[g], who, kind);
                }
            }
        }
    }

    /* a 2M entry behind a 2M leaf, page by page; behind 4K leaves not */
    for (int g = GUEST_2M; g <= PRE_GUEST_2M; g++) {
        for (unsigned page = 0; page < 512; page += 73) {
            RmpAccess a = access_of(SNP_PRIVATE, WRITE, R + page);
            RmpVerdict want = g == VALID_2M ? RMP_ALLOW
                            : g == GUEST_2M ? RMP_FAULT_UNVALIDATED
                            : RMP_FAULT;

            set_region(g, R);
            a.gpa += PG(page);
            a.leaf_2m = true;
            CHECK(rmp_check(&rmp, &a) == want, "%s", region_names[g]);
            a.leaf_2m = false;
            CHECK(rmp_check(&rmp, &a) == RMP_FAULT, "%s", region_names[g]);
            rmp.loose = SNP_READINGS_ALL;
            CHECK(rmp_check(&rmp, &a) == want, "%s", region_names[g]);
        }
    }
}

static void test_access_vmpl(void)
{
    for (unsigned nvmpls = 1; nvmpls <= 4; nvmpls++) {
        for (unsigned vmpl = 0; vmpl < 5; vmpl++) {
            for (unsigned mask = 0; mask < 32; mask++) {
                for (int kind = 0; kind < NKINDS; kind++) {
                    for (int user = 0; user < 2; user++) {
                        RmpAccess a = access_of(SNP_PRIVATE, kind, 2);
                        bool ok = vmpl < nvmpls;
                        RmpVerdict v;

                        reset();
                        rmp.nvmpls = nvmpls;
                        put(2, states[RMP_GUEST_VALID].lo,
                            vmpl < 4 ? (uint64_t)mask << 8 * vmpl : 0);
                        a.vmpl = vmpl;
                        a.user = user;
                        switch (kind) {
                        case READ:
                        case WALK:
                            ok &= mask & 1;
                            break;
                        case WRITE:
                        case WALK_AD:
                            ok &= (mask & 3) == 3;
                            break;
                        case FETCH:
                            ok &= (mask & (user ? 4 : 8)) != 0;
                            break;
                        }
                        v = rmp_check(&rmp, &a);
                        CHECK(v == (ok ? RMP_ALLOW : RMP_FAULT_VMPL),
                              "vmpl %u of %u mask %x kind %d user %d: %d",
                              vmpl, nvmpls, mask, kind, user, v);
                    }
                }
            }
        }
    }
}

/* ---- VMSA pages, pages in use ---- */

static void test_vmsa(void)
{
    for (int s = 0; s < RMP_NSTATES; s++) {
        for (int vmsa = 0; vmsa < 2; vmsa++) {
            uint64_t lo = states[s].lo | (uint64_t)vmsa << 61;
            bool own = s == RMP_GUEST_INVALID || s == RMP_GUEST_VALID;

            FOR_SPOTS(pfn) {
                reset();
                put(pfn, lo, 0x1f);
                CHECK(rmp_check_vmsa(&rmp, PG(pfn), ASID, true) ==
                      (own && vmsa), "%s %d", states[s].name, vmsa);
                CHECK(!rmp_check_vmsa(&rmp, PG(pfn), OTHER, true), "asid");
                CHECK(rmp_check_vmsa(&rmp, PG(pfn), ASID, false) ==
                      states[s].host_writes, "%s", states[s].name);
            }
        }
    }
    reset();
    CHECK(!rmp_check_vmsa(&rmp, PG(NPAGES), ASID, true), "not covered");
    CHECK(rmp_check_vmsa(&rmp, PG(NPAGES), ASID, false), "not covered");
    set_region(VALID_2M, R);
    table[2 * R] |= 1ull << 61;
    CHECK(!rmp_check_vmsa(&rmp, PG(R), ASID, true), "2M");
}

/*
 * Who wants a hypervisor page to write to, and the page is in use or not, or
 * the first of the 2M around it
 */
static void test_in_use_writes(void)
{
    static const struct {
        RmpAccess a;
        bool judged;            /* does it matter whether it is in use? */
    } rows[] = {
        { { .write = true, .fresh = true }, true },
        { { .write = true, .fresh = true, .leaf_2m = true }, true },
        { { .write = true, .fresh = true, .guest = true }, true },
        { { .write = true, .fresh = true, .guest = true, .leaf_2m = true },
          true },
        { { .table = true, .write = true, .fresh = true, .leaf_2m = true },
          true },
        { { .write = true, .leaf_2m = true }, false },
        { { .fresh = true, .leaf_2m = true }, false },
        { { .table = true, .fresh = true, .guest = true }, true },
        { { .write = true, .fresh = true, .guest = true, .snp = true,
            .asid = ASID }, true },
        { { .write = true }, false },
        { { .fresh = true }, false },
        { { .fetch = true, .fresh = true }, false },
        { { .fresh = true, .guest = true }, false },
        { { .fresh = true, .guest = true, .snp = true, .asid = ASID }, false },
    };

    for (unsigned i = 0; i < 4 * sizeof(rows) / sizeof(rows[0]); i++) {
        RmpAccess a = rows[i / 4].a;
        bool may = i & 1, held = i & 2;
        RmpVerdict want = rows[i / 4].judged && held && !may ? RMP_FAULT
                                                             : RMP_ALLOW;

        reset();
        rmp.write_in_use = may;
        rmp_set_in_use(&rmp, PG(5), held);
        a.spa = PG(5);
        CHECK(rmp_check(&rmp, &a) == want, "row %u, may %d, held %d", i / 4,
              may, held);
        a.spa = PG(6);
        CHECK(rmp_check(&rmp, &a) == RMP_ALLOW, "row %u, beside it", i / 4);
        a.spa = PG(NPAGES);
        CHECK(rmp_check(&rmp, &a) == RMP_ALLOW, "row %u, beyond", i / 4);

        rmp_set_in_use(&rmp, PG(5), false);
        rmp_set_in_use(&rmp, PG(R), held);
        if (!a.leaf_2m || a.table) {
            want = RMP_ALLOW;
        }
        a.spa = PG(R + 6);
        CHECK(rmp_check(&rmp, &a) == want, "row %u, may %d, held %d: page 6",
              i / 4, may, held);
        a.spa = PG(R - 1);
        CHECK(rmp_check(&rmp, &a) == RMP_ALLOW, "row %u, before it", i / 4);
        a.spa = PG(R + 512);
        CHECK(rmp_check(&rmp, &a) == RMP_ALLOW, "row %u, behind it", i / 4);
    }
}

static void test_in_use(void)
{
    RmpEntry e;

    for (int s = 0; s < RMP_NSTATES; s++) {
        FOR_SPOTS(pfn) {
            reset();
            put(pfn, states[s].lo, 0x1f);
            snap();
            CHECK(rmp_try_in_use(&rmp, PG(pfn)), "first");
            CHECK(!rmp_try_in_use(&rmp, PG(pfn)), "second");
            rmp_get(&rmp, PG(pfn), &e);
            CHECK(e.in_use && rmp_state(&e) == (RmpState)s, "held");
            CHECK(rest_unchanged(pfn, 1), "others");
            e.validated = false;
            e.in_use = false;
            rmp_fw_set(&rmp, PG(pfn), &e);
            rmp_get(&rmp, PG(pfn), &e);
            CHECK(e.in_use, "the firmware does not give it back");
            rmp_set_in_use(&rmp, PG(pfn), false);
            CHECK(rmp_try_in_use(&rmp, PG(pfn)), "again");
        }
    }
}

/* ---- readers beside a writer ---- */

#define ROUNDS 20000

static int writing;

static void *writer(void *arg)
{
    const RmpUpdate one = { GPA, 1, 1, 0, 0, ASID };
    const RmpUpdate two = { GPA, 1, 0, 0, 0, OTHER };
    const RmpUpdate none_2m = { .pagesize = 1 }, none = { 0 };
    int code;
    bool same;

    (void)arg;
    for (int i = 0; i < ROUNDS / 50; i++) {
        rmp_update(&rmp, PG(R), &one);
        rmp_pvalidate(&rmp, PG(R), GPA, ASID, true, true, true, &code, &same);
        rmp_adjust(&rmp, PG(R), GPA, ASID, 0, true, true, 1 | 0x1f00, &code);
        rmp_psmash(&rmp, PG(R));
        for (int j = 0; j < 512; j++) {
            rmp_update(&rmp, PG(R + j), &none);
        }
        rmp_update(&rmp, PG(R + 5), &two);
        rmp_pvalidate(&rmp, PG(R + 5), GPA, OTHER, false, false, true, &code,
                      &same);
        rmp_update(&rmp, PG(R + 5), &none);
        rmp_update(&rmp, PG(R), &one);
        rmp_update(&rmp, PG(R), &none_2m);
    }
    __atomic_store_n(&writing, 0, __ATOMIC_SEQ_CST);
    return NULL;
}

/*
 * VMPL1 has rights on pages of ASID only, and only where they are validated;
 * OTHER only ever owns page 5 at GPA, in 4K.
 */
static void test_concurrent(void)
{
    pthread_t t;
    unsigned long seen = 0;

    reset();
    writing = 1;
    CHECK(!pthread_create(&t, NULL, writer, NULL), "thread");
    do {
        for (int i = 0; i < 512; i += 5) {
            RmpEntry e;

            rmp_get(&rmp, PG(R + i), &e);
            seen += e.assigned;
            CHECK(!e.perms[1] || (e.asid == ASID && e.validated),
                  "page %d: asid %u vmpl1 %x", i, e.asid, e.perms[1]);
            CHECK(e.asid != OTHER || (i == 5 && !e.size_2m && e.gpa == GPA),
                  "page %d", i);
            CHECK(e.asid != ASID || e.gpa == GPA + PG(i), "page %d", i);
        }
    } while (__atomic_load_n(&writing, __ATOMIC_SEQ_CST));
    pthread_join(t, NULL);
    CHECK(seen, "the reader saw the writer's work");
    snap();
    memset(table, 0, sizeof(table));
    CHECK(rest_unchanged(0, 0), "the writer left nothing behind");
}

#define LOOKS 1000000ul

static unsigned long looks;

/* *arg: 0 the reader may look, 1 it is to pause, 2 it does */
static void *adjuster(void *arg)
{
    const RmpEntry large = { .assigned = true, .size_2m = true,
                             .validated = true, .asid = ASID, .gpa = GPA,
                             .perms = { RMP_PERM_ALL } };
    int *pause = arg, code;

    for (int i = 0; __atomic_load_n(&looks, __ATOMIC_SEQ_CST) < LOOKS; i++) {
        /* VMPL2's rights come and go */
        rmp_adjust(&rmp, PG(R), GPA, ASID, 0, true, true, 2 | (i & 1) << 8,
                   &code);
    }
    for (int i = 0; i < ROUNDS / 20; i++) {
        rmp_psmash(&rmp, PG(R));
        __atomic_store_n(pause, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(pause, __ATOMIC_SEQ_CST) == 1) {
            sched_yield();
        }
        rmp_fw_set(&rmp, PG(R), &large);
        __atomic_store_n(pause, 0, __ATOMIC_SEQ_CST);
    }
    __atomic_store_n(&writing, 0, __ATOMIC_SEQ_CST);
    return NULL;
}

/* What RMPADJUST and PSMASH leave a VMPL it has all the time. */
static void test_kept_rights(void)
{
    const RmpUpdate one = { GPA, 1, 1, 0, 0, ASID };
    int pause = 0, code;
    pthread_t t;
    bool same;

    reset();
    rmp_update(&rmp, PG(R), &one);
    rmp_pvalidate(&rmp, PG(R), GPA, ASID, true, true, true, &code, &same);
    writing = 1;
    CHECK(!pthread_create(&t, NULL, adjuster, &pause), "thread");
    while (__atomic_load_n(&writing, __ATOMIC_SEQ_CST)) {
        RmpEntry e;

        rmp_get(&rmp, PG(R), &e);
        if (__atomic_load_n(&pause, __ATOMIC_SEQ_CST) == 1) {
            __atomic_store_n(&pause, 2, __ATOMIC_SEQ_CST);
            while (__atomic_load_n(&pause, __ATOMIC_SEQ_CST) == 2) {
                sched_yield();
            }
            continue;
        }
        CHECK(e.asid == ASID && e.validated && e.perms[0] == RMP_PERM_ALL,
              "asid %u vmpl0 %x", e.asid, e.perms[0]);
        __atomic_fetch_add(&looks, 1, __ATOMIC_SEQ_CST);
    }
    pthread_join(t, NULL);
}

int main(void)
{
    static const KtapCase cases[] = {
        { "rmp: entry layout and states", test_layout },
        { "rmp: coverage", test_coverage },
        { "rmp: RMPUPDATE, state x operand", test_update_4k },
        { "rmp: RMPUPDATE and PSMASH, region x size", test_region },
        { "rmp: 2M entries as seen from their pages", test_get_2m },
        { "rmp: PVALIDATE", test_pvalidate },
        { "rmp: RMPADJUST, pages", test_adjust_pages },
        { "rmp: RMPADJUST, rights", test_adjust_rights },
        { "rmp: RMPQUERY, pages", test_query_pages },
        { "rmp: RMPQUERY, rights", test_query_rights },
        { "rmp: access check, state x access", test_access_4k },
        { "rmp: access check, 2M", test_access_2m },
        { "rmp: access check, VMPL", test_access_vmpl },
        { "rmp: VMSA pages", test_vmsa },
        { "rmp: pages in use", test_in_use },
        { "rmp: writes to pages in use", test_in_use_writes },
        { "rmp: readers beside a writer", test_concurrent },
        { "rmp: rights that stay, beside a writer", test_kept_rights },
    };

    return ktap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
