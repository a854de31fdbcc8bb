/*
 * Unit test of the segmented reverse map table, of its layouts, and of RMPREAD
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A table in segments of 4M, out of order in memory, with a hole and a last
 * segment that is covered in part, does what one in one piece does, wherever
 * there is a page; and touches nothing else. Addresses are those of the
 * formula, not of the code under test.
 */
#include <stdlib.h>
#include <string.h>
#include "hw/snp/segment.h"
#include "ktap.h"

#define SHIFT     22u
#define SEG       1024u                 /* pages of a segment */
#define NPAGES    (3 * SEG + 512)
#define HOLE      1u                    /* the segment that is none */
#define ASID      7u
#define GPA       0x0007654321000000ull /* 2M aligned */
#define PG(pfn)   ((uint64_t)(pfn) << 12)
#define GUARD     64u                   /* entries around each segment */
#define GIB       (1ull << 30)

static uint64_t flat_words[NPAGES * 2];
static uint64_t parts[4][(SEG + 2 * GUARD) * 2];
static uint64_t before[4][(SEG + 2 * GUARD) * 2];
static Rmp flat, seg;

static void reset(bool opaque)
{
    memset(flat_words, 0, sizeof(flat_words));
    memset(parts, 0, sizeof(parts));
    memset(&flat, 0, sizeof(flat));
    flat.entries = (uint8_t *)flat_words;
    flat.npages = NPAGES;
    flat.max_asid = 509;
    flat.nvmpls = 4;
    seg = flat;
    seg.entries = (uint8_t *)parts;     /* only ever compared with NULL */
    seg.segment_shift = SHIFT;
    seg.opaque = opaque;
    for (unsigned i = 0; i < 4; i++) {
        if (i != HOLE) {
            seg.segment[i].entries = (uint8_t *)&parts[3 - i][GUARD * 2];
            seg.segment[i].npages = i == 3 ? 512 : SEG;
        }
    }
}

static bool in_hole(uint64_t pfn)
{
    return pfn / SEG == HOLE;
}

/* Where the first word of a page's entry must be */
static uint64_t *word(uint64_t pfn)
{
    return &parts[3 - pfn / SEG][(GUARD + pfn % SEG) * 2];
}

static void test_addresses(void)
{
    RmpEntry e = { .assigned = true, .immutable = true };
    bool good = true;

    for (uint64_t pfn = 0; pfn < NPAGES; pfn++) {
        unsigned changed = 0;

        if (pfn % 97 && pfn % SEG && pfn % SEG != SEG - 1) {
            continue;
        }
        reset(false);
        rmp_fw_set(&seg, PG(pfn), &e);
        for (unsigned i = 0; i < sizeof(parts) / 8; i++) {
            changed += !!(&parts[0][0])[i];
        }
        good &= in_hole(pfn) ? !changed : changed == 1 && *word(pfn) == 5;
    }
    CHECK(good, "each page's entry is where the formula has it");
}

static void test_coverage(void)
{
    RmpUpdate u = { .assigned = 1, .asid = ASID, .gpa = GPA };
    RmpAccess a = { .write = true, .leaf_2m = true };
    bool good = true, codes = true, writes = true;
    const uint64_t at[] = { 0, SEG - 1, SEG, 2 * SEG - 1, 2 * SEG,
                       3 * SEG - 1, 3 * SEG, NPAGES - 1, NPAGES,
                       4 * SEG, 1ull << 30, ~0ull >> 12 };

    reset(false);
    for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        bool has = at[i] < NPAGES && !in_hole(at[i]);
        RmpUpdate out;

        good &= rmp_covered(&seg, PG(at[i])) == has;
        codes &= rmp_update(&seg, PG(at[i]), &u) ==
                 (has ? RMP_SUCCESS : RMP_FAIL_INPUT);
        codes &= rmp_read(&seg, PG(at[i]), &out) ==
                 (has ? RMP_SUCCESS : RMP_FAIL_INPUT);
        a.spa = PG(at[i]);
        writes &= rmp_check(&seg, &a) == (has ? RMP_FAULT : RMP_ALLOW);
    }
    CHECK(good, "covered: what a segment covers, nothing else");
    CHECK(codes, "RMPUPDATE and RMPREAD elsewhere: FAIL_INPUT");
    CHECK(writes, "pages without an entry are the hypervisor's");
    memcpy(before, parts, sizeof(parts));
    u.pagesize = 1;
    CHECK(rmp_update(&seg, PG(SEG), &u) == RMP_FAIL_INPUT &&
          rmp_update(&seg, PG(NPAGES), &u) == RMP_FAIL_INPUT &&
          rmp_psmash(&seg, PG(SEG)) == RMP_FAIL_INPUT &&
          !memcmp(before, parts, sizeof(parts)),
          "2M in a hole or behind the end: FAIL_INPUT, nothing changed");
}

static bool same_entry(const RmpEntry *a, const RmpEntry *b)
{
    return a->assigned == b->assigned && a->size_2m == b->size_2m &&
           a->immutable == b->immutable && a->vmsa == b->vmsa &&
           a->validated == b->validated && a->in_use == b->in_use &&
           a->asid == b->asid && a->gpa == b->gpa &&
           !memcmp(a->perms, b->perms, sizeof(a->perms));
}

static bool same_tables(void)
{
    for (uint64_t pfn = 0; pfn < NPAGES; pfn++) {
        RmpEntry a, b;

        rmp_get(&flat, PG(pfn), &a);
        rmp_get(&seg, PG(pfn), &b);
        if (!in_hole(pfn) && !same_entry(&a, &b)) {
            return false;
        }
    }
    return true;
}

static bool guards_clean(void)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned n = i == 3 ? 512 : i == HOLE ? 0 : SEG;

        for (unsigned j = 0; j < (SEG + 2 * GUARD) * 2; j++) {
            if ((j < GUARD * 2 || j >= (GUARD + n) * 2) && parts[3 - i][j]) {
                return false;
            }
        }
    }
    return true;
}

/* Few pages, so that operations meet each other's results */
static uint64_t some_page(void)
{
    uint64_t region = rand() % (NPAGES / 512);
    static const unsigned in[] = { 0, 1, 511, 17 };

    return region * 512 + in[rand() % 4];
}

static bool one_operation(void)
{
    uint64_t spa;
    bool u1 = false, u2 = false;
    int c1 = 0, c2 = 0;
    RmpUpdate u = { .assigned = rand() % 4 > 0, .pagesize = rand() % 2,
                    .immutable = rand() % 8 == 0, .asid = rand() % 3 * ASID,
                    .gpa = GPA };
    RmpUpdate r1, r2;
    RmpEntry e = { .assigned = rand() % 2, .asid = rand() % 2 * ASID,
                   .vmsa = rand() % 2, .gpa = GPA, .perms = { 31, 1, 2, 3 } };

    do {
        spa = PG(some_page());
    } while (in_hole(spa >> 12));
    u.gpa += spa & 0x1ff000;
    switch (rand() % 6) {
    case 0:
    case 1:
        return rmp_update(&flat, spa, &u) == rmp_update(&seg, spa, &u);
    case 2:
        return rmp_psmash(&flat, spa) == rmp_psmash(&seg, spa);
    case 3:
        return rmp_pvalidate(&flat, spa, u.gpa, ASID, u.pagesize, u.pagesize,
                             u.assigned, &c1, &u1) ==
               rmp_pvalidate(&seg, spa, u.gpa, ASID, u.pagesize, u.pagesize,
                             u.assigned, &c2, &u2) && c1 == c2 && u1 == u2;
    case 4:
        rmp_fw_set(&flat, spa, &e);
        rmp_fw_set(&seg, spa, &e);
        return true;
    default:
        memset(&r1, 0, sizeof(r1));
        memset(&r2, 0, sizeof(r2));
        return rmp_read(&flat, spa, &r1) == rmp_read(&seg, spa, &r2) &&
               !memcmp(&r1, &r2, sizeof(r1));
    }
}

static void test_as_flat(bool opaque)
{
    bool answers = true, tables = true;
    unsigned i;

    reset(opaque);
    srand(1);
    for (i = 0; i < 20000 && answers && tables; i++) {
        answers = one_operation();
        if (i % 100 == 0) {
            tables = same_tables();
        }
    }
    CHECK(answers && tables && guards_clean() && same_tables(),
          "after %u of 20000 operations", i);
    rmp_clear(&seg);
    for (i = 0; i < sizeof(parts) / 8 && !(&parts[0][0])[i]; i++) {
        continue;
    }
    CHECK(i == sizeof(parts) / 8, "cleared, nothing is left of it");
}

static void test_flat(void)
{
    test_as_flat(false);
}

static void test_flat_opaque(void)
{
    test_as_flat(true);
}

/* Who reads family 19h's layout there is wrong about each state */
static void test_opaque(void)
{
    static const RmpEntry states[] = {
        { .assigned = true, .perms = { 31 } },
        { .assigned = true, .immutable = true, .perms = { 31 } },
        { .assigned = true, .asid = ASID, .gpa = GPA, .perms = { 31 } },
        { .assigned = true, .asid = ASID, .gpa = GPA, .validated = true,
          .perms = { 31, 0, 0, 0 } },
    };
    bool wrong = true, kept = true;

    for (unsigned i = 0; i < 4; i++) {
        uint64_t lo[2];
        RmpEntry e;

        for (int opaque = 0; opaque < 2; opaque++) {
            reset(opaque);
            rmp_fw_set(&seg, PG(5), &states[i]);
            lo[opaque] = *word(5);
            rmp_get(&seg, PG(5), &e);
            kept &= same_entry(&e, &states[i]);
        }
        /* assigned, size and immutable, ASID: none as they are */
        wrong &= (lo[0] & 7) != (lo[1] & 7) &&
                 (!states[i].asid || lo[0] >> 51 != lo[1] >> 51);
    }
    CHECK(wrong && kept, "the layout of our own is not family 19h's");
}

static void test_read(void)
{
    RmpUpdate u = { .assigned = 1, .asid = ASID, .gpa = GPA };
    RmpEntry fixed = { .immutable = true };
    RmpUpdate out;

    reset(true);
    memset(&out, 0xff, sizeof(out));
    CHECK(rmp_read(&seg, 0x800, &out) == RMP_FAIL_INPUT &&
          out.asid == ~0u && out.gpa == ~0ull,
          "RMPREAD of no page: FAIL_INPUT, no output");
    CHECK(!rmp_read(&seg, 0, &out) && !out.assigned && !out.pagesize &&
          !out.immutable && !out.asid && !out.gpa && !out.rsvd,
          "RMPREAD: Hypervisor is zero");
    rmp_update(&seg, PG(300), &u);
    CHECK(!rmp_read(&seg, PG(300), &out) && out.assigned == 1 &&
          !out.pagesize && out.asid == ASID && out.gpa == GPA,
          "RMPREAD: an entry of 4K");
    CHECK(!rmp_read(&seg, 0, &out) && out.pagesize == RMP_READ_REGION &&
          !rmp_read(&seg, PG(1), &out) && !out.pagesize &&
          !rmp_read(&seg, PG(512), &out) && !out.pagesize,
          "RMPREAD: the first page tells of others in its region");
    rmp_fw_set(&seg, PG(600), &fixed);
    CHECK(!rmp_read(&seg, PG(600), &out) && !out.assigned &&
          out.immutable == 1, "RMPREAD: HV-fixed");
    u.pagesize = 1;
    CHECK(!rmp_update(&seg, PG(2 * SEG), &u) &&
          !rmp_read(&seg, PG(2 * SEG), &out) && out.pagesize == 1 &&
          out.gpa == GPA && !rmp_read(&seg, PG(2 * SEG + 3), &out) &&
          out.assigned == 1 && out.pagesize == 1 && out.asid == ASID &&
          out.gpa == GPA + 0x3000,
          "RMPREAD: a 2M entry answers for its pages");
}

static void test_plan(void)
{
    RmpPlan p, q;
    bool disjoint = true;

    /* 2G below 4G, 1G above */
    CHECK(rmp_plan(&p, 30, 2 * GIB, 4 * GIB, 5 * GIB) &&
          p.npages == 5 << 18 && p.s[0].gib == 1 && p.s[1].gib == 1 &&
          !p.s[2].gib && !p.s[3].gib && p.s[4].gib == 1 && !p.s[5].gib &&
          p.size == (2 << 20) + (12 << 20), "plan: segments of 1G");
    CHECK(rmp_plan(&p, 31, 2 * GIB, 4 * GIB, 4 * GIB + 1) &&
          p.s[0].gib == 2 && !p.s[1].gib && p.s[2].gib == 1,
          "plan: the last segment covers whole GiB");
    CHECK(rmp_plan(&p, 39, GIB, 4 * GIB, 7 * GIB) && p.s[0].gib == 7 &&
          !p.s[1].gib, "plan: one segment");
    memset(&q, 0x5a, sizeof(q));
    p = q;
    CHECK(!rmp_plan(&p, 29, GIB, 4 * GIB, 5 * GIB) &&
          !rmp_plan(&p, 40, GIB, 4 * GIB, 5 * GIB) &&
          !rmp_plan(&p, 30, GIB, 4 * GIB, 64 * GIB + 1) &&
          !memcmp(&p, &q, sizeof(p)), "plan: refused, and not touched");
    CHECK(rmp_plan(&p, 30, GIB, 4 * GIB, 64 * GIB), "plan: the most");
    for (int i = 0; i < (int)RMP_SEGMENTS; i++) {
        for (int j = 0; j < (int)RMP_SEGMENTS && p.s[i].gib; j++) {
            disjoint &= i == j || !p.s[j].gib ||
                   p.s[i].offset + (p.s[i].gib << 22) <= p.s[j].offset ||
                   p.s[j].offset + (p.s[j].gib << 22) <= p.s[i].offset;
        }
        disjoint &= !p.s[i].gib || (p.s[i].offset >= 0x5000 &&
               !(p.s[i].offset % RMP_2M_SIZE) &&
               p.s[i].offset + (p.s[i].gib << 22) <= p.size);
    }
    CHECK(disjoint, "plan: no two parts overlap");
}

static void test_rst(void)
{
    uint8_t *host = calloc(1, 16 << 20);
    uint64_t base = 0x13f200000ull;
    const uint64_t *rst = (const uint64_t *)(const void *)(host + 0x4000);
    bool rest = true;
    Rmp r = { .max_asid = 9 };
    RmpPlan p;

    CHECK(rmp_plan(&p, 31, 2 * GIB, 4 * GIB, 5 * GIB), "plan for a table");
    rmp_plan_apply(&p, &r, base, host);
    CHECK(rst[0] == (2 | (base + 0x600000)) && !rst[1] &&
          rst[2] == (1 | (base + 0x200000)),
          "RST: GiB and address of each segment");
    for (unsigned i = 3; i < 512; i++) {
        rest &= !rst[i];
    }
    CHECK(rest, "RST: no other entries");
    CHECK(r.base == base && r.end == base + (14 << 20) - 1 &&
          r.npages == 5 << 18 && r.max_asid == 9 &&
          rmp_covered(&r, 2 * GIB - 1) && !rmp_covered(&r, 2 * GIB) &&
          !rmp_covered(&r, 4 * GIB - 1) && rmp_covered(&r, 4 * GIB) &&
          rmp_covered(&r, r.end) && !rmp_covered(&r, 5 * GIB),
          "the table covers memory, itself, and no hole");
    free(host);
}

int main(void)
{
    static const KtapCase cases[] = {
        { "segment.addresses", test_addresses },
        { "segment.coverage", test_coverage },
        { "segment.as-in-one-piece", test_flat },
        { "segment.as-in-one-piece.opaque", test_flat_opaque },
        { "segment.opaque", test_opaque },
        { "segment.rmpread", test_read },
        { "segment.plan", test_plan },
        { "segment.rst", test_rst },
    };

    return ktap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
