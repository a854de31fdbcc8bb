// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the reverse map table, on tables of their own: how entries
 * are read, which pages have one, what the audit makes of them, and what is
 * asked of the processor when one changes. No hardware is needed.
 */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/pgtable_types.h>

#include "rmp.h"

#define REGION		512
#define NPAGES		(3 * REGION)
#define GUARDS		(REGION)	/* behind the table: never to be read */
#define MAX_ASID	1023

/* Lies in a region that this computer has memory in, as the others do. */
#define PFN		REGION

/*
 * @result is what the instruction says @times times, then 0, unless @times is
 * negative. The other fields are what was asked of it.
 */
struct fake_cpu {
	int result, times;
	int split_error;
	int updates, psmashes, splits;
	u64 pfn;
	int split_level;
	struct rmp_update state;
};

/* Tests run one after the other. */
static struct fake_cpu cpu;

struct rmp_test {
	struct rmp_raw entries[NPAGES + GUARDS];
	struct rmp_segment segment;
	struct rmp_stats stats;
	struct rmp_table table;
	struct rmp_census census;
};

static int fake_result(void)
{
	if (!cpu.times)
		return 0;
	if (cpu.times > 0)
		cpu.times--;
	return cpu.result;
}

static int fake_update(u64 pfn, const struct rmp_update *state)
{
	cpu.updates++;
	cpu.pfn = pfn;
	cpu.state = *state;
	return fake_result();
}

static int fake_psmash(u64 pfn)
{
	cpu.psmashes++;
	cpu.pfn = pfn;
	return fake_result();
}

static int fake_split(u64 pfn, int level)
{
	cpu.splits++;
	cpu.split_level = level;
	return cpu.split_error;
}

static const struct rmp_insns fake_insns = {
	.update	= fake_update,
	.psmash	= fake_psmash,
	.split	= fake_split,
};

static int rmp_test_init(struct kunit *test)
{
	struct rmp_test *r;
	int i;

	r = kvzalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;

	for (i = NPAGES; i < NPAGES + GUARDS; i++)
		r->entries[i].lo = ~0ULL;
	xa_init(&r->stats.list);
	r->stats.on = true;
	r->segment.entries = r->entries;
	r->segment.npages = NPAGES;
	r->table = (struct rmp_table){
		.segments = &r->segment,
		.nr_segments = 1,
		.shift = RMP_ONE_SEGMENT,
		.insns = &fake_insns,
		.stats = &r->stats,
	};
	cpu = (struct fake_cpu){};
	test->priv = r;

	return 0;
}

static void rmp_test_exit(struct kunit *test)
{
	struct rmp_test *r = test->priv;

	if (!r)
		return;
	xa_destroy(&r->stats.list);
	kvfree(r);
}

static u64 asid_bits(u64 asid)
{
	return asid << 51;
}

/* Those that entries in memory can have. */
#define RAW_STATES	RMP_GUEST

/* One entry of each state, by the numbers of the format. */
static const u64 state_lo[RAW_STATES] = {
	[RMP_HYPERVISOR]	= 0,
	[RMP_HV_FIXED]		= 0x4,
	[RMP_RECLAIM]		= 0x1,
	[RMP_FIRMWARE]		= 0x5,
	[RMP_CONTEXT]		= 0x2000000000000005,
	[RMP_PRE_GUEST]		= 0x0008000000000005,
	[RMP_GUEST_INVALID]	= 0x0008000000000001,
	[RMP_GUEST_VALID]	= 0x4008000000000001,
};

static enum rmp_page_state state_of(u64 lo)
{
	struct rmp_raw raw = { .lo = lo, .hi = ~0ULL };
	struct rmp_entry e;

	rmp_decode(&raw, &e);
	return rmp_state_of(&e);
}

/* The table of states in asm/rmp.h. */
static enum rmp_page_state want_state(bool assigned, bool asid, bool immutable,
				      bool validated, bool vmsa)
{
	if (!assigned && !immutable)
		return RMP_HYPERVISOR;
	if (!assigned)
		return RMP_HV_FIXED;
	if (!asid && !immutable)
		return RMP_RECLAIM;
	if (!asid && !vmsa)
		return RMP_FIRMWARE;
	if (!asid)
		return RMP_CONTEXT;
	if (immutable)
		return RMP_PRE_GUEST;
	if (!validated)
		return RMP_GUEST_INVALID;
	return RMP_GUEST_VALID;
}

/* Every combination of the fields that count, with the others at both ends. */
static void rmp_states(struct kunit *test)
{
	static const u64 asids[] = { 0, 1, 2, 512, MAX_ASID };
	/* size, bits 3 to 11, address, lock */
	static const u64 others[] = {
		0, 0x2, 0xff8, GENMASK_ULL(50, 12), BIT_ULL(12), BIT_ULL(50),
		BIT_ULL(63), 0x8007fffffffffffa & ~0x4ULL,
	};
	int bits, i, j, s;
	u64 lo;

	for (bits = 0; bits < 16; bits++) {
		for (i = 0; i < ARRAY_SIZE(asids); i++) {
			for (j = 0; j < ARRAY_SIZE(others); j++) {
				lo = asid_bits(asids[i]) | others[j];
				lo |= bits & 1 ? 0x1 : 0;
				lo |= bits & 2 ? 0x4 : 0;
				lo |= bits & 4 ? BIT_ULL(62) : 0;
				lo |= bits & 8 ? BIT_ULL(61) : 0;
				KUNIT_ASSERT_EQ_MSG(test, state_of(lo),
						    want_state(bits & 1, asids[i],
							       bits & 2, bits & 4,
							       bits & 8),
						    "entry 0x%llx", lo);
			}
		}
	}

	for (s = 0; s < RAW_STATES; s++)
		KUNIT_EXPECT_EQ(test, state_of(state_lo[s]), s);
}

/* Each bit of an assigned entry alone: the fields end where they should. */
static void rmp_field_ends(struct kunit *test)
{
	int bit, want;

	for (bit = 1; bit < 64; bit++) {
		want = RMP_RECLAIM;
		if (bit == 2)
			want = RMP_FIRMWARE;
		else if (bit >= 51 && bit <= 60)
			want = RMP_GUEST_INVALID;
		KUNIT_EXPECT_EQ_MSG(test, state_of(1 | BIT_ULL(bit)), want,
				    "bit %d", bit);

		want = RMP_FIRMWARE;
		if (bit == 61)
			want = RMP_CONTEXT;
		else if (bit >= 51 && bit <= 60)
			want = RMP_PRE_GUEST;
		KUNIT_EXPECT_EQ_MSG(test, state_of(5 | BIT_ULL(bit)), want,
				    "bit %d", bit);
	}
}

static void expect_entry(struct kunit *test, u64 pfn, u64 lo, int want_level)
{
	struct rmp_test *r = test->priv;
	struct rmp_raw raw = { .lo = lo };
	bool assigned = !(lo & 1);
	struct rmp_entry e, want;
	int level = -1;

	memset(&e, 0, sizeof(e));
	memset(&want, 0, sizeof(want));
	rmp_decode(&raw, &want);
	KUNIT_ASSERT_EQ(test, rmp_read_entry(&r->table, pfn, &e, &level), 0);
	KUNIT_EXPECT_EQ_MSG(test, e.gpa, want.gpa, "pfn 0x%llx", pfn);
	KUNIT_EXPECT_EQ_MSG(test, e.asid, want.asid, "pfn 0x%llx", pfn);
	KUNIT_EXPECT_EQ_MSG(test, rmp_state_of(&e), rmp_state_of(&want),
			    "pfn 0x%llx", pfn);
	KUNIT_EXPECT_EQ_MSG(test, level, want_level, "pfn 0x%llx", pfn);

	level = -1;
	KUNIT_ASSERT_EQ(test, 0,
			rmp_lookup(&r->table, pfn, &assigned, &level));
	KUNIT_EXPECT_EQ(test, assigned, lo & 1);
	KUNIT_EXPECT_EQ(test, level, want_level);
}

/* Who is of 2 MiB, and for whom that holds. */
static void rmp_2m(struct kunit *test)
{
	static const int inside[] = { 1, 2, 255, 510, 511 };
	u64 huge = state_lo[RMP_GUEST_VALID] | 2, other = 0x123000 | huge;
	struct rmp_test *r = test->priv;
	int i;

	/* The first entry holds for all, whatever the others have. */
	r->entries[PFN].lo = huge;
	r->entries[PFN + 1].lo = other & ~2ULL;
	r->entries[PFN + 2].lo = other;
	r->entries[PFN + 511].lo = state_lo[RMP_FIRMWARE];
	expect_entry(test, PFN, huge, PG_LEVEL_2M);
	for (i = 0; i < ARRAY_SIZE(inside); i++)
		expect_entry(test, PFN + inside[i], huge, PG_LEVEL_2M);

	/* It ends where the 2 MiB end. */
	expect_entry(test, PFN - 1, 0, PG_LEVEL_4K);
	expect_entry(test, PFN + REGION, 0, PG_LEVEL_4K);

	/* The size of one that is not assigned does not count. */
	r->entries[PFN].lo = huge & ~1ULL;
	expect_entry(test, PFN, huge & ~1ULL, PG_LEVEL_4K);
	expect_entry(test, PFN + 1, other & ~2ULL, PG_LEVEL_4K);
	expect_entry(test, PFN + 255, 0, PG_LEVEL_4K);

	/* Nor does that of another than the first. */
	r->entries[PFN].lo = huge & ~2ULL;
	expect_entry(test, PFN, huge & ~2ULL, PG_LEVEL_4K);
	expect_entry(test, PFN + 1, other & ~2ULL, PG_LEVEL_4K);
	expect_entry(test, PFN + 2, other, PG_LEVEL_4K);
	expect_entry(test, PFN + 3, 0, PG_LEVEL_4K);
	expect_entry(test, PFN + 511, state_lo[RMP_FIRMWARE], PG_LEVEL_4K);
}

/* The last page that has an entry, and the first that has none. */
static void rmp_coverage(struct kunit *test)
{
	static const u64 sizes[] = { 1, 2, 511, 512, 513, 1023, 1024, NPAGES };
	static const u64 beyond[] = { 0, 1, 510, 511, 512 };
	struct rmp_test *r = test->priv;
	u64 magic = 0x5555555555555555, n;
	struct rmp_entry e = { .gpa = magic };
	struct rmp_raw raw;
	bool assigned;
	int i, j, level;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		n = sizes[i];
		r->segment.npages = n;
		memset(r->entries, 0, sizeof(r->entries));
		r->entries[n - 1].lo = state_lo[RMP_GUEST_VALID];
		expect_entry(test, n - 1, state_lo[RMP_GUEST_VALID],
			     PG_LEVEL_4K);
		if (n > 1)
			expect_entry(test, 0, 0, PG_LEVEL_4K);

		for (j = 0; j <= ARRAY_SIZE(beyond); j++) {
			u64 pfn = j < ARRAY_SIZE(beyond) ? n + beyond[j] : ~0ULL;

			raw.lo = magic;
			level = 77;
			assigned = j & 1;
			KUNIT_EXPECT_EQ(test, -ENXIO,
					rmp_read_raw(&r->table, pfn, &raw));
			KUNIT_EXPECT_EQ(test, -ENXIO,
					rmp_read_entry(&r->table, pfn, &e,
						       &level));
			KUNIT_EXPECT_EQ(test, -ENXIO,
					rmp_lookup(&r->table, pfn, &assigned,
						   &level));
			KUNIT_EXPECT_EQ(test, raw.lo, magic);
			KUNIT_EXPECT_EQ(test, e.gpa, magic);
			KUNIT_EXPECT_EQ(test, level, 77);
			KUNIT_EXPECT_EQ(test, assigned, j & 1);
		}
	}

	/* No table at all. */
	r->table.nr_segments = 0;
	assigned = true;
	KUNIT_EXPECT_EQ(test, -ENODEV, rmp_read_raw(&r->table, 0, &raw));
	KUNIT_EXPECT_EQ(test, -ENODEV,
			rmp_read_entry(&r->table, 0, &e, &level));
	KUNIT_EXPECT_EQ(test, -ENODEV,
			rmp_lookup(&r->table, 0, &assigned, &level));
	KUNIT_EXPECT_EQ(test, e.gpa, magic);
	KUNIT_EXPECT_EQ(test, level, 77);
	KUNIT_EXPECT_TRUE(test, assigned);

	/* One that no CPU checks. */
	r->table.nr_segments = 1;
	r->stats.on = false;
	KUNIT_EXPECT_EQ(test, -ENODEV,
			rmp_lookup(&r->table, 0, &assigned, &level));
	KUNIT_EXPECT_EQ(test, level, 77);
}

/* Where a table can lie, and how many pages one of a size covers. */
static void rmp_range(struct kunit *test)
{
	u64 base = SZ_1G, n;

	KUNIT_EXPECT_FALSE(test, rmp_range_valid(0, 0));
	KUNIT_EXPECT_FALSE(test, rmp_range_valid(0, SZ_1G));
	KUNIT_EXPECT_FALSE(test, rmp_range_valid(SZ_1G, 0));
	/* The low 13 bits are no address. */
	KUNIT_EXPECT_FALSE(test, rmp_range_valid(SZ_8K - 1, SZ_1G));
	KUNIT_EXPECT_TRUE(test, rmp_range_valid(SZ_8K, SZ_1G - 1));
	KUNIT_EXPECT_FALSE(test, rmp_range_valid(BIT_ULL(52), BIT_ULL(53) - 1));
	KUNIT_EXPECT_FALSE(test, rmp_range_valid(SZ_8K, BIT_ULL(52)));
	/* Only the bookkeeping area, and the first byte that is more. */
	KUNIT_EXPECT_FALSE(test, rmp_range_valid(base, base - 1));
	KUNIT_EXPECT_FALSE(test, rmp_range_valid(base, base));
	KUNIT_EXPECT_FALSE(test, rmp_range_valid(base, base + SZ_16K - 1));
	KUNIT_EXPECT_TRUE(test, rmp_range_valid(base, base + SZ_16K));
	KUNIT_EXPECT_FALSE(test, rmp_range_valid(2 * base, base + SZ_16K));

	for (n = 1; n < BIT_ULL(40); n = n * 2 + 1) {
		KUNIT_EXPECT_EQ(test, rmp_size_for(n), SZ_16K + n * 16);
		KUNIT_EXPECT_EQ(test, rmp_pages_in(SZ_16K + n * 16), n);
		KUNIT_EXPECT_EQ(test, rmp_pages_in(SZ_16K + n * 16 + 15), n);
		KUNIT_EXPECT_EQ(test, rmp_pages_in(SZ_16K + n * 16 - 1), n - 1);
	}
}

static struct rmp_census *census(struct kunit *test)
{
	struct rmp_test *r = test->priv;

	memset(&r->census, 0, sizeof(r->census));
	rmp_count(&r->table, &r->census);
	return &r->census;
}

/* What the audit calls balanced, by state. */
static void rmp_audit(struct kunit *test)
{
	static const bool balanced[RAW_STATES] = {
		[RMP_HYPERVISOR] = true,
		[RMP_HV_FIXED] = true,
		[RMP_FIRMWARE] = true,
	};
	static const u64 places[] = { 0, 1, 511, 512, NPAGES - 1 };
	struct rmp_test *r = test->priv;
	struct rmp_census *c;
	int s, i, other;

	c = census(test);
	KUNIT_EXPECT_EQ(test, c->pages[RMP_HYPERVISOR], NPAGES);
	KUNIT_EXPECT_TRUE(test, rmp_balanced(c));

	for (s = 1; s < RAW_STATES; s++) {
		for (i = 0; i < ARRAY_SIZE(places); i++) {
			r->entries[places[i]].lo = state_lo[s];
			c = census(test);
			r->entries[places[i]].lo = 0;

			KUNIT_EXPECT_EQ(test, c->pages[s], 1);
			KUNIT_EXPECT_EQ(test, c->pages[RMP_HYPERVISOR],
					NPAGES - 1);
			for (other = 1; other < RMP_NR_STATES; other++)
				if (other != s)
					KUNIT_EXPECT_EQ(test, 0,
							c->pages[other]);
			KUNIT_EXPECT_EQ(test, c->asid[1],
					s >= RMP_PRE_GUEST ? 1 : 0);
			KUNIT_EXPECT_EQ(test, c->huge, 0);
			KUNIT_EXPECT_EQ_MSG(test, rmp_balanced(c), balanced[s],
					    "state %d", s);
		}
	}

	atomic_long_set(&r->stats.leaked, 1);
	KUNIT_EXPECT_FALSE(test, rmp_balanced(census(test)));
	KUNIT_EXPECT_EQ(test, r->census.leaked, 1);
}

/* Pages by owner; 2 MiB count as their pages, at the end of the table, too. */
static void rmp_audit_counts(struct kunit *test)
{
	u64 lo = 1 | asid_bits(MAX_ASID);
	struct rmp_test *r = test->priv;
	struct rmp_census *c;

	r->entries[0].lo = lo | 2;
	r->entries[1].lo = state_lo[RMP_FIRMWARE];	/* does not count */
	r->entries[PFN].lo = lo;
	r->entries[PFN + 1].lo = lo | 2;		/* of 4 KiB */
	r->entries[PFN + 2].lo = state_lo[RMP_GUEST_VALID];
	r->entries[PFN + 3].lo = lo & ~1ULL;		/* nobody's */

	c = census(test);
	KUNIT_EXPECT_EQ(test, c->huge, 1);
	KUNIT_EXPECT_EQ(test, c->asid[MAX_ASID], REGION + 2);
	KUNIT_EXPECT_EQ(test, c->asid[1], 1);
	KUNIT_EXPECT_EQ(test, c->pages[RMP_GUEST_INVALID], REGION + 2);
	KUNIT_EXPECT_EQ(test, c->pages[RMP_GUEST_VALID], 1);
	KUNIT_EXPECT_EQ(test, c->pages[RMP_FIRMWARE], 0);
	KUNIT_EXPECT_EQ(test, c->pages[RMP_HYPERVISOR],
			NPAGES - REGION - 3);

	/* 2 MiB that the table does not cover to their end. */
	memset(r->entries, 0, sizeof(r->entries));
	r->entries[PFN].lo = lo | 2;
	r->segment.npages = PFN + 3;
	c = census(test);
	KUNIT_EXPECT_EQ(test, c->asid[MAX_ASID], 3);
	KUNIT_EXPECT_EQ(test, c->pages[RMP_HYPERVISOR], PFN);
	KUNIT_EXPECT_EQ(test, c->pages[RMP_GUEST_INVALID], 3);
}

/* At which pages a user's access must fail, and where it may be repeated. */
static void rmp_foreign(struct kunit *test)
{
	static const bool foreign[RAW_STATES] = {
		[RMP_CONTEXT] = true,
		[RMP_PRE_GUEST] = true,
		[RMP_GUEST_INVALID] = true,
		[RMP_GUEST_VALID] = true,
	};
	struct rmp_test *r = test->priv;
	int s;

	for (s = 0; s < RAW_STATES; s++) {
		r->entries[PFN].lo = state_lo[s];
		KUNIT_EXPECT_EQ_MSG(test, rmp_is_foreign(&r->table, PFN),
				    foreign[s], "state %d", s);
	}

	/* Firmware's, and will stay so. */
	r->entries[PFN].lo = state_lo[RMP_FIRMWARE];
	KUNIT_ASSERT_EQ(test, 0, xa_err(xa_store(&r->stats.list, PFN,
						 xa_mk_value(1), GFP_KERNEL)));
	KUNIT_EXPECT_TRUE(test, rmp_is_foreign(&r->table, PFN));
	KUNIT_EXPECT_FALSE(test, rmp_is_foreign(&r->table, PFN + 1));

	/* Inside 2 MiB of a guest's. */
	r->entries[PFN].lo = state_lo[RMP_GUEST_VALID] | 2;
	KUNIT_EXPECT_TRUE(test, rmp_is_foreign(&r->table, PFN + 1));

	KUNIT_EXPECT_FALSE(test, rmp_is_foreign(&r->table, NPAGES));
	r->table.nr_segments = 0;
	KUNIT_EXPECT_FALSE(test, rmp_is_foreign(&r->table, PFN));
}

/* The operand of RMPUPDATE, each field at both ends. */
static void rmp_operand(struct kunit *test)
{
	static const u64 gpas[] = { 0, SZ_2M, GENMASK_ULL(51, 21) };
	static const u32 asids[] = { 1, MAX_ASID };
	struct rmp_test *r = test->priv;
	int level, immutable, a, g;

	for (level = PG_LEVEL_4K; level <= PG_LEVEL_2M; level++) {
		for (a = 0; a < 2; a++) {
			for (immutable = 0; immutable < 2; immutable++) {
				for (g = 0; g < ARRAY_SIZE(gpas); g++) {
					cpu = (struct fake_cpu){};
					KUNIT_ASSERT_EQ(test, 0,
							rmp_to_guest(&r->table, PFN, gpas[g],
								     level, asids[a],
								     immutable));
					KUNIT_EXPECT_EQ(test, cpu.updates, 1);
					KUNIT_EXPECT_EQ(test, cpu.splits, 1);
					KUNIT_EXPECT_EQ(test, cpu.split_level, level);
					KUNIT_EXPECT_EQ(test, cpu.pfn, PFN);
					KUNIT_EXPECT_EQ(test, cpu.state.gpa, gpas[g]);
					KUNIT_EXPECT_EQ(test, cpu.state.assigned, 1);
					KUNIT_EXPECT_EQ(test, cpu.state.pagesize,
							level == PG_LEVEL_2M);
					KUNIT_EXPECT_EQ(test, cpu.state.immutable,
							immutable);
					KUNIT_EXPECT_EQ(test, cpu.state.rsvd, 0);
					KUNIT_EXPECT_EQ(test, cpu.state.asid, asids[a]);
				}
			}
		}

		cpu = (struct fake_cpu){ .state.assigned = 1 };
		KUNIT_ASSERT_EQ(test, 0,
				rmp_to_hypervisor(&r->table, PFN, level));
		KUNIT_EXPECT_EQ(test, cpu.updates, 1);
		KUNIT_EXPECT_EQ(test, cpu.splits, 0);
		KUNIT_EXPECT_EQ(test, cpu.pfn, PFN);
		KUNIT_EXPECT_EQ(test, cpu.state.gpa, 0);
		KUNIT_EXPECT_EQ(test, cpu.state.assigned, 0);
		KUNIT_EXPECT_EQ(test, cpu.state.pagesize, level == PG_LEVEL_2M);
		KUNIT_EXPECT_EQ(test, cpu.state.immutable, 0);
		KUNIT_EXPECT_EQ(test, cpu.state.asid, 0);
	}

	cpu = (struct fake_cpu){};
	KUNIT_ASSERT_EQ(test, 3, rmp_to_firmware(&r->table, PFN + 7, 3));
	KUNIT_EXPECT_EQ(test, cpu.updates, 3);
	KUNIT_EXPECT_EQ(test, cpu.splits, 3);
	KUNIT_EXPECT_EQ(test, cpu.split_level, PG_LEVEL_4K);
	KUNIT_EXPECT_EQ(test, cpu.pfn, PFN + 9);
	KUNIT_EXPECT_EQ(test, cpu.state.gpa, 0);
	KUNIT_EXPECT_EQ(test, cpu.state.assigned, 1);
	KUNIT_EXPECT_EQ(test, cpu.state.pagesize, 0);
	KUNIT_EXPECT_EQ(test, cpu.state.immutable, 1);
	KUNIT_EXPECT_EQ(test, cpu.state.asid, 0);

	KUNIT_EXPECT_EQ(test, atomic_long_read(&r->stats.updates),
			2 * (2 * 2 * 3 + 1) + 3);
}

static void expect_refused(struct kunit *test, int want, int got)
{
	KUNIT_EXPECT_EQ(test, got, want);
	KUNIT_EXPECT_EQ(test, cpu.updates, 0);
	KUNIT_EXPECT_EQ(test, cpu.psmashes, 0);
	KUNIT_EXPECT_EQ(test, cpu.splits, 0);
	cpu = (struct fake_cpu){};
}

static void rmp_refused(struct kunit *test)
{
	struct rmp_test *r = test->priv;
	struct rmp_table *t = &r->table;
	int bit;

	/* The smaller of the two alignments, and each bit below it. */
	for (bit = 0; bit < 9; bit++) {
		u64 pfn = PFN + BIT(bit);

		expect_refused(test, -EINVAL,
			       rmp_to_guest(t, pfn, 0, PG_LEVEL_2M, 1, false));
		expect_refused(test, -EINVAL,
			       rmp_to_hypervisor(t, pfn, PG_LEVEL_2M));
		expect_refused(test, -EINVAL, rmp_psmash(t, pfn));
	}
	for (bit = 0; bit < 21; bit++) {
		expect_refused(test, -EINVAL,
			       rmp_to_guest(t, PFN, BIT(bit), PG_LEVEL_2M, 1,
					    false));
		if (bit < 12)
			expect_refused(test, -EINVAL,
				       rmp_to_guest(t, PFN, BIT(bit),
						    PG_LEVEL_4K, 1, false));
	}

	expect_refused(test, -EINVAL,
		       rmp_to_guest(t, PFN, 0, PG_LEVEL_4K, 0, false));
	expect_refused(test, -EINVAL,
		       rmp_to_guest(t, PFN, 0, PG_LEVEL_4K, MAX_ASID + 1,
				    false));
	expect_refused(test, -EINVAL,
		       rmp_to_guest(t, PFN, 0, PG_LEVEL_NONE, 1, false));
	expect_refused(test, -EINVAL,
		       rmp_to_guest(t, PFN, 0, PG_LEVEL_1G, 1, false));
	expect_refused(test, -EINVAL, rmp_to_hypervisor(t, 0, PG_LEVEL_1G));

	/* Both edges of the table, for a page and for 2 MiB. */
	KUNIT_EXPECT_EQ(test, 0, rmp_to_hypervisor(t, NPAGES - 1, PG_LEVEL_4K));
	KUNIT_EXPECT_EQ(test, 0,
			rmp_to_hypervisor(t, NPAGES - REGION, PG_LEVEL_2M));
	KUNIT_EXPECT_EQ(test, 0, rmp_to_hypervisor(t, 0, PG_LEVEL_2M));
	cpu = (struct fake_cpu){};
	expect_refused(test, -EINVAL, rmp_to_hypervisor(t, NPAGES, PG_LEVEL_4K));
	expect_refused(test, -EINVAL, rmp_to_hypervisor(t, NPAGES, PG_LEVEL_2M));
	expect_refused(test, -EINVAL, rmp_to_firmware(t, NPAGES, 1));
	expect_refused(test, -EINVAL, rmp_to_hypervisor(t, ~0ULL, PG_LEVEL_4K));
	expect_refused(test, -EINVAL,
		       rmp_to_hypervisor(t, ~(REGION - 1ULL), PG_LEVEL_2M));
	r->segment.npages = NPAGES - 1;
	expect_refused(test, -EINVAL,
		       rmp_to_hypervisor(t, NPAGES - REGION, PG_LEVEL_2M));
	r->segment.npages = 511;
	expect_refused(test, -EINVAL, rmp_to_hypervisor(t, 0, PG_LEVEL_2M));

	/* An entry, but no memory. */
	r->segment.npages = BIT_ULL(40);
	expect_refused(test, -EINVAL,
		       rmp_to_hypervisor(t, BIT_ULL(40) - 1, PG_LEVEL_4K));

	/* No table at all. */
	r->table.nr_segments = 0;
	expect_refused(test, -ENODEV,
		       rmp_to_guest(t, PFN, 0, PG_LEVEL_4K, 1, false));
	expect_refused(test, -ENODEV, rmp_to_firmware(t, PFN, 1));
	expect_refused(test, -ENODEV, rmp_to_hypervisor(t, PFN, PG_LEVEL_4K));
	expect_refused(test, -ENODEV, rmp_psmash(t, PFN));

	/* One that no CPU checks: the instructions would be none. */
	r->table.nr_segments = 1;
	r->stats.on = false;
	expect_refused(test, -ENODEV,
		       rmp_to_guest(t, PFN, 0, PG_LEVEL_4K, 1, false));
	expect_refused(test, -ENODEV, rmp_to_hypervisor(t, PFN, PG_LEVEL_4K));
	expect_refused(test, -ENODEV, rmp_psmash(t, PFN));
}

/* What the processor answers. */
static void rmp_results(struct kunit *test)
{
	static const int other[] = { 1, 2, 5, 6, 15 };
	struct rmp_test *r = test->priv;
	struct rmp_table *t = &r->table;
	int i;

	/* An overlap may pass, and is not waited for without end. */
	cpu = (struct fake_cpu){ .result = RMP_FAIL_OVERLAP, .times = 5 };
	KUNIT_EXPECT_EQ(test, 0,
			rmp_to_guest(t, PFN, 0, PG_LEVEL_4K, 1, false));
	KUNIT_EXPECT_EQ(test, cpu.updates, 6);
	cpu = (struct fake_cpu){ .result = RMP_FAIL_OVERLAP, .times = -1 };
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			rmp_to_guest(t, PFN, 0, PG_LEVEL_4K, 1, false));
	KUNIT_EXPECT_EQ(test, cpu.updates, RMP_MAX_SPINS);

	/* A page in use will be so for longer. */
	cpu = (struct fake_cpu){ .result = RMP_FAIL_INUSE, .times = -1 };
	KUNIT_EXPECT_EQ(test, -EBUSY, rmp_to_hypervisor(t, PFN, PG_LEVEL_4K));
	KUNIT_EXPECT_EQ(test, cpu.updates, 1);

	for (i = 0; i < ARRAY_SIZE(other); i++) {
		cpu = (struct fake_cpu){ .result = other[i], .times = -1 };
		KUNIT_EXPECT_EQ(test, -EFAULT,
				rmp_to_hypervisor(t, PFN, PG_LEVEL_4K));
		KUNIT_EXPECT_EQ(test, cpu.updates, 1);
	}

	/* The direct map comes first, and stops everything. */
	cpu = (struct fake_cpu){ .split_error = -ENOMEM };
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			rmp_to_guest(t, PFN, 0, PG_LEVEL_4K, 1, false));
	KUNIT_EXPECT_EQ(test, -ENOMEM, rmp_to_firmware(t, PFN, 4));
	KUNIT_EXPECT_EQ(test, cpu.updates, 0);
	KUNIT_EXPECT_EQ(test, cpu.splits, 2);

	/* What firmware got, it has: those up to the end of the table. */
	cpu = (struct fake_cpu){};
	KUNIT_EXPECT_EQ(test, 2, rmp_to_firmware(t, NPAGES - 2, 4));
	KUNIT_EXPECT_EQ(test, cpu.updates, 2);
}

static void rmp_split(struct kunit *test)
{
	u64 huge = state_lo[RMP_GUEST_VALID] | 2;
	struct rmp_test *r = test->priv;
	struct rmp_table *t = &r->table;

	cpu = (struct fake_cpu){};
	KUNIT_EXPECT_EQ(test, 0, rmp_psmash(t, PFN));
	KUNIT_EXPECT_EQ(test, cpu.psmashes, 1);
	KUNIT_EXPECT_EQ(test, cpu.pfn, PFN);
	KUNIT_EXPECT_EQ(test, cpu.splits, 0);

	cpu = (struct fake_cpu){ .result = RMP_FAIL_INUSE, .times = 5 };
	KUNIT_EXPECT_EQ(test, 0, rmp_psmash(t, PFN));
	KUNIT_EXPECT_EQ(test, cpu.psmashes, 6);
	cpu = (struct fake_cpu){ .result = RMP_FAIL_INUSE, .times = -1 };
	KUNIT_EXPECT_EQ(test, -EAGAIN, rmp_psmash(t, PFN));
	KUNIT_EXPECT_EQ(test, cpu.psmashes, RMP_MAX_SPINS);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&r->stats.psmash), 3);

	/* Refused: because it is split already, or for no good reason. */
	cpu = (struct fake_cpu){ .result = 2, .times = -1 };
	r->entries[PFN].lo = huge;
	KUNIT_EXPECT_EQ(test, -EFAULT, rmp_psmash(t, PFN));
	r->entries[PFN].lo = huge & ~1ULL;
	KUNIT_EXPECT_EQ(test, -EFAULT, rmp_psmash(t, PFN));
	r->entries[PFN].lo = huge & ~2ULL;
	KUNIT_EXPECT_EQ(test, 0, rmp_psmash(t, PFN));
	KUNIT_EXPECT_EQ(test, -EFAULT, rmp_psmash(t, NPAGES));
	KUNIT_EXPECT_EQ(test, cpu.psmashes, 4);
}

/* Split so that pages may change hands: the direct map is split before. */
static void rmp_split_apart(struct kunit *test)
{
	struct rmp_test *r = test->priv;
	struct rmp_table *t = &r->table;
	static const u64 pfns[] = { PFN, PFN + 1, PFN + REGION - 1 };
	int i;

	for (i = 0; i < ARRAY_SIZE(pfns); i++) {
		cpu = (struct fake_cpu){};
		KUNIT_EXPECT_EQ(test, 0, rmp_split_entry(t, pfns[i]));
		KUNIT_EXPECT_EQ(test, cpu.splits, 1);
		KUNIT_EXPECT_EQ(test, cpu.split_level, PG_LEVEL_4K);
		KUNIT_EXPECT_EQ(test, cpu.psmashes, 1);
		KUNIT_EXPECT_EQ(test, cpu.pfn, PFN);
	}

	cpu = (struct fake_cpu){ .split_error = -ENOMEM };
	KUNIT_EXPECT_EQ(test, -ENOMEM, rmp_split_entry(t, PFN));
	KUNIT_EXPECT_EQ(test, cpu.psmashes, 0);

	cpu = (struct fake_cpu){ .result = RMP_FAIL_INUSE, .times = -1 };
	KUNIT_EXPECT_EQ(test, -EAGAIN, rmp_split_entry(t, PFN));

	cpu = (struct fake_cpu){};
	KUNIT_EXPECT_EQ(test, -EINVAL, rmp_split_entry(t, NPAGES));
	t->nr_segments = 0;
	KUNIT_EXPECT_EQ(test, -ENODEV, rmp_split_entry(t, PFN));
	KUNIT_EXPECT_EQ(test, cpu.splits, 0);
	KUNIT_EXPECT_EQ(test, cpu.psmashes, 0);
}

/* What debugfs has of leaked pages. */
static const char *listed(struct rmp_test *r, char *buf, size_t size)
{
	struct seq_file m = { .buf = buf, .size = size };

	rmp_list_leaked(&r->table, &m);
	buf[min(m.count, size - 1)] = 0;

	return buf;
}

/* A leaked page is counted, listed with its reason, and never free again. */
static void rmp_leaks(struct kunit *test)
{
	struct rmp_test *r = test->priv;
	char text[128], said[128];
	struct page *page;
	u64 pfn;
	int i;

	page = alloc_pages(GFP_KERNEL, 1);
	KUNIT_ASSERT_NOT_NULL(test, page);
	split_page(page, 1);
	pfn = page_to_pfn(page);

	/* Once, however often it is said. */
	rmp_leak(&r->table, pfn, 1, SNP_LEAK_RECLAIM);
	rmp_leak(&r->table, pfn, 2, SNP_LEAK_BESIDE);
	rmp_leak(&r->table, pfn + 1, 1, SNP_LEAK_GUEST);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&r->stats.leaked), 2);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, page_ref_count(page + i), 2);

	/* For its first reason; what has no room in the list is told, too. */
	snprintf(text, sizeof(text), "0x%llx reclaim\n0x%llx beside\n", pfn,
		 pfn + 1);
	KUNIT_EXPECT_STREQ(test, listed(r, said, sizeof(said)), text);
	atomic_long_add(3, &r->stats.leaked);
	strlcat(text, "not listed 3\n", sizeof(text));
	KUNIT_EXPECT_STREQ(test, listed(r, said, sizeof(said)), text);
	atomic_long_sub(3, &r->stats.leaked);

	/* Nobody has this table but us: they may be freed after all. */
	for (i = 0; i < 2; i++) {
		page_ref_dec(page + i);
		__free_page(page + i);
	}

	/* Not memory: there is nothing to hold. */
	rmp_leak(&r->table, BIT_ULL(40), 1, SNP_LEAK_VMSA);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&r->stats.leaked), 3);
	snprintf(text, sizeof(text), "0x%llx vmsa\n", BIT_ULL(40));
	KUNIT_EXPECT_NOT_NULL(test, strstr(listed(r, said, sizeof(said)), text));
}

/* What RMPREAD says: an entry in memory that is another would not count. */
static struct rmp_update answers[2];

static int fake_read(u64 pfn, struct rmp_update *state)
{
	cpu.pfn = pfn;
	*state = answers[!(pfn & (REGION - 1))];
	return fake_result();
}

static const struct rmp_insns fake_insns_read = {
	.update	= fake_update,
	.psmash	= fake_psmash,
	.read	= fake_read,
	.split	= fake_split,
};

static void rmp_read_by_insn(struct kunit *test)
{
	static const struct {
		struct rmp_update answer;
		enum rmp_page_state state;
	} answered[] = {
		{ {}, RMP_HYPERVISOR },
		{ { .immutable = 1 }, RMP_HV_FIXED },
		{ { .assigned = 1 }, RMP_RECLAIM },
		{ { .assigned = 1, .immutable = 1 }, RMP_FIRMWARE },
		{ { .assigned = 1, .immutable = 1, .asid = 7 }, RMP_PRE_GUEST },
		{ { .assigned = 1, .asid = 7 }, RMP_GUEST },
		/* Bits beside the fields are something else. */
		{ { .assigned = 0xfe, .immutable = 0xfe, .pagesize = 0xfe },
		  RMP_HYPERVISOR },
		{ { .assigned = 0xff, .asid = ~0U }, RMP_GUEST },
	};
	struct rmp_test *r = test->priv;
	struct rmp_entry e = { .gpa = 5 };
	int i, level = 77;
	bool assigned;

	r->table.insns = &fake_insns_read;
	memset(r->entries, 0xff, NPAGES * sizeof(r->entries[0]));

	for (i = 0; i < ARRAY_SIZE(answered); i++) {
		cpu = (struct fake_cpu){};
		answers[0] = answered[i].answer;
		answers[1] = (struct rmp_update){};
		KUNIT_ASSERT_EQ(test, 0,
				rmp_read_entry(&r->table, PFN + 1, &e, &level));
		KUNIT_EXPECT_EQ_MSG(test, rmp_state_of(&e), answered[i].state,
				    "answer %d", i);
		KUNIT_EXPECT_EQ(test, level, PG_LEVEL_4K);
		KUNIT_EXPECT_EQ(test, e.asid, answered[i].answer.asid);
		KUNIT_ASSERT_EQ(test, 0, rmp_lookup(&r->table, PFN + 1,
						    &assigned, &level));
		KUNIT_EXPECT_EQ(test, assigned, answered[i].answer.assigned & 1);
	}

	/* 2 MiB: the first entry holds for all, if it is assigned. */
	answers[0] = (struct rmp_update){ .assigned = 1, .asid = 3 };
	answers[1] = (struct rmp_update){ .assigned = 1, .pagesize = 1,
					  .asid = 9, .gpa = SZ_2M };
	KUNIT_ASSERT_EQ(test, 0, rmp_read_entry(&r->table, PFN + 1, &e, &level));
	KUNIT_EXPECT_EQ(test, level, PG_LEVEL_2M);
	KUNIT_EXPECT_EQ(test, e.asid, 9);
	KUNIT_EXPECT_EQ(test, e.gpa, SZ_2M);
	answers[1].assigned = 0;
	KUNIT_ASSERT_EQ(test, 0, rmp_read_entry(&r->table, PFN + 1, &e, &level));
	KUNIT_EXPECT_EQ(test, level, PG_LEVEL_4K);
	KUNIT_EXPECT_EQ(test, e.asid, 3);

	/* Bit 1 of the size's byte: another page there is assigned. */
	answers[1].assigned = 1;
	answers[1].pagesize = 2;
	KUNIT_ASSERT_EQ(test, 0, rmp_read_entry(&r->table, PFN, &e, &level));
	KUNIT_EXPECT_EQ(test, level, PG_LEVEL_4K);

	/* Guests' pages, of which nobody knows whether they are valid. */
	KUNIT_EXPECT_TRUE(test, rmp_is_foreign(&r->table, PFN));
	KUNIT_EXPECT_FALSE(test, rmp_balanced(census(test)));
	KUNIT_EXPECT_EQ(test, r->census.pages[RMP_GUEST], NPAGES);
	KUNIT_EXPECT_EQ(test, r->census.asid[3], NPAGES - NPAGES / REGION);
	KUNIT_EXPECT_EQ(test, r->census.asid[9], NPAGES / REGION);

	/* An ASID that the audit has no place for. */
	answers[0].asid = RMP_NR_ASIDS;
	answers[1].asid = RMP_NR_ASIDS;
	KUNIT_EXPECT_EQ(test, census(test)->pages[RMP_GUEST], NPAGES);

	/* Refused, not there, or never asked. */
	e.gpa = 77;
	level = 77;
	cpu = (struct fake_cpu){ .result = 1, .times = -1 };
	KUNIT_EXPECT_EQ(test, -EIO,
			rmp_read_entry(&r->table, PFN, &e, &level));
	cpu = (struct fake_cpu){ .result = -ENODEV, .times = -1 };
	KUNIT_EXPECT_EQ(test, -ENODEV,
			rmp_read_entry(&r->table, PFN, &e, &level));
	cpu = (struct fake_cpu){ .pfn = 1 };
	KUNIT_EXPECT_EQ(test, -ENXIO,
			rmp_read_entry(&r->table, NPAGES, &e, &level));
	r->stats.on = false;
	KUNIT_EXPECT_EQ(test, -ENODEV,
			rmp_read_entry(&r->table, PFN, &e, &level));
	KUNIT_EXPECT_EQ(test, cpu.pfn, 1);
	KUNIT_EXPECT_EQ(test, e.gpa, 77);
	KUNIT_EXPECT_EQ(test, level, 77);
}

/* Tests run before SNP is on: the CPU does not know the instruction, or yet. */
static void rmp_read_unknown(struct kunit *test)
{
	struct rmp_update state;

	if (rmp_is_on(&rmp_host))
		kunit_skip(test, "SNP is on since before kexec");
	KUNIT_EXPECT_EQ(test, -ENODEV, rmp_cpu_read(PFN, &state));
}

/* Words of the segment table, and what CPUID says of them. */
static void rmp_segment_words(struct kunit *test)
{
	struct rmp_span span = { .pfn = 77 };

	KUNIT_EXPECT_FALSE(test, rmp_shift_valid(29, 0xfff));
	KUNIT_EXPECT_FALSE(test, rmp_shift_valid(31, 32 | 40 << 6));
	KUNIT_EXPECT_TRUE(test, rmp_shift_valid(32, 32 | 40 << 6));
	KUNIT_EXPECT_TRUE(test, rmp_shift_valid(40, 32 | 40 << 6));
	KUNIT_EXPECT_FALSE(test, rmp_shift_valid(41, 32 | 40 << 6));
	KUNIT_EXPECT_TRUE(test, rmp_shift_valid(30, 63 << 6));
	KUNIT_EXPECT_FALSE(test, rmp_shift_valid(29, 63 << 6));
	KUNIT_EXPECT_TRUE(test, rmp_shift_valid(51, 63 << 6));
	KUNIT_EXPECT_FALSE(test, rmp_shift_valid(52, 63 << 6));

	/* A limit counts if it is one, and is no more than there is room for. */
	KUNIT_EXPECT_EQ(test, rmp_max_segments(7), 512);
	KUNIT_EXPECT_EQ(test, rmp_max_segments(BIT(10) | 7), 7);
	KUNIT_EXPECT_EQ(test, rmp_max_segments(BIT(10) | 512), 512);
	KUNIT_EXPECT_EQ(test, rmp_max_segments(BIT(10) | 1023), 512);
	KUNIT_EXPECT_EQ(test, rmp_max_segments(BIT(10)), 0);

	/* Without a size there is nothing, whatever the base. */
	KUNIT_EXPECT_FALSE(test, rmp_span_of(GENMASK_ULL(63, 20), 3, 31, &span));
	KUNIT_EXPECT_EQ(test, span.pfn, 77);

	KUNIT_ASSERT_TRUE(test, rmp_span_of(~0ULL, 3, 31, &span));
	KUNIT_EXPECT_EQ(test, span.base, GENMASK_ULL(51, 20));
	KUNIT_EXPECT_EQ(test, span.pfn, 3ULL << 19);
	/* No more than a segment covers. */
	KUNIT_EXPECT_EQ(test, span.npages, 1ULL << 19);
	KUNIT_EXPECT_EQ(test, span.size, 16ULL << 19);

	KUNIT_ASSERT_TRUE(test, rmp_span_of(SZ_1G | 1, 0, 31, &span));
	KUNIT_EXPECT_EQ(test, span.base, SZ_1G);
	KUNIT_EXPECT_EQ(test, span.pfn, 0);
	KUNIT_EXPECT_EQ(test, span.npages, 1ULL << 18);
	KUNIT_EXPECT_EQ(test, span.size, 16ULL << 18);

	KUNIT_ASSERT_TRUE(test, rmp_span_of(2, 511, 42, &span));
	KUNIT_EXPECT_EQ(test, span.base, 0);
	KUNIT_EXPECT_EQ(test, span.pfn, 511ULL << 30);
	KUNIT_EXPECT_EQ(test, span.npages, 2ULL << 18);
}

/*
 * Three segments of 1024 pages each: a whole one, none, one of 512 pages. The
 * entries of the last lie first.
 */
static void rmp_in_segments(struct kunit *test)
{
	static const u64 uncovered[] = {
		1024, 1025, 2047, 2560, 3071, 3072, 4096, ~0ULL, 1ULL << 52,
	};
	struct rmp_test *r = test->priv;
	struct rmp_segment segments[] = {
		{ &r->entries[512], 1024 }, {}, { &r->entries[0], 512 },
	};
	struct rmp_census *c;
	struct rmp_entry e;
	int i, level;

	r->table.segments = segments;
	r->table.nr_segments = 3;
	r->table.shift = 10;
	for (i = 0; i < NPAGES; i++)
		r->entries[i].lo = 1 | (u64)i << 12;

	KUNIT_ASSERT_EQ(test, 0, rmp_read_one(&r->table, 0, &e));
	KUNIT_EXPECT_EQ(test, e.gpa, 512ULL << 12);
	KUNIT_ASSERT_EQ(test, 0, rmp_read_one(&r->table, 1023, &e));
	KUNIT_EXPECT_EQ(test, e.gpa, 1535ULL << 12);
	KUNIT_ASSERT_EQ(test, 0, rmp_read_one(&r->table, 2048, &e));
	KUNIT_EXPECT_EQ(test, e.gpa, 0);
	KUNIT_ASSERT_EQ(test, 0, rmp_read_one(&r->table, 2559, &e));
	KUNIT_EXPECT_EQ(test, e.gpa, 511ULL << 12);
	for (i = 0; i < ARRAY_SIZE(uncovered); i++) {
		KUNIT_EXPECT_EQ_MSG(test, -ENXIO,
				    rmp_read_one(&r->table, uncovered[i], &e),
				    "pfn 0x%llx", uncovered[i]);
		expect_refused(test, -EINVAL,
			       rmp_to_hypervisor(&r->table, uncovered[i],
						 PG_LEVEL_4K));
	}

	KUNIT_EXPECT_TRUE(test, rmp_covers(&r->table, 512, 512));
	KUNIT_EXPECT_FALSE(test, rmp_covers(&r->table, 1024, 512));
	KUNIT_EXPECT_TRUE(test, rmp_covers(&r->table, 2048, 512));
	KUNIT_EXPECT_FALSE(test, rmp_covers(&r->table, 2560, 512));
	KUNIT_EXPECT_FALSE(test, rmp_covers(&r->table, ~0ULL, 1));

	KUNIT_EXPECT_EQ(test, rmp_first_uncovered(&r->table, 0, 1024), 1024);
	KUNIT_EXPECT_EQ(test, rmp_first_uncovered(&r->table, 5, 1025), 1024);
	KUNIT_EXPECT_EQ(test, rmp_first_uncovered(&r->table, 1500, 2600), 1500);
	KUNIT_EXPECT_EQ(test, rmp_first_uncovered(&r->table, 2048, 2600), 2560);
	KUNIT_EXPECT_EQ(test, rmp_first_uncovered(&r->table, 2100, 2560), 2560);

	/* A 2 MiB entry holds in its own segment. */
	r->entries[0].lo = state_lo[RMP_GUEST_VALID] | 2;
	KUNIT_ASSERT_EQ(test, 0,
			rmp_read_entry(&r->table, 2100, &e, &level));
	KUNIT_EXPECT_EQ(test, level, PG_LEVEL_2M);
	KUNIT_ASSERT_EQ(test, 0, rmp_read_entry(&r->table, 52, &e, &level));
	KUNIT_EXPECT_EQ(test, level, PG_LEVEL_4K);

	c = census(test);
	KUNIT_EXPECT_EQ(test, c->pages[RMP_GUEST_VALID], 512);
	KUNIT_EXPECT_EQ(test, c->pages[RMP_RECLAIM], 1024);
	KUNIT_EXPECT_EQ(test, c->huge, 1);

	r->table.segments = &r->segment;
}

static struct kunit_case rmp_cases[] = {
	KUNIT_CASE(rmp_states),
	KUNIT_CASE(rmp_field_ends),
	KUNIT_CASE(rmp_2m),
	KUNIT_CASE(rmp_coverage),
	KUNIT_CASE(rmp_range),
	KUNIT_CASE(rmp_audit),
	KUNIT_CASE(rmp_audit_counts),
	KUNIT_CASE(rmp_foreign),
	KUNIT_CASE(rmp_operand),
	KUNIT_CASE(rmp_refused),
	KUNIT_CASE(rmp_results),
	KUNIT_CASE(rmp_split),
	KUNIT_CASE(rmp_split_apart),
	KUNIT_CASE(rmp_leaks),
	KUNIT_CASE(rmp_read_by_insn),
	KUNIT_CASE(rmp_read_unknown),
	KUNIT_CASE(rmp_segment_words),
	KUNIT_CASE(rmp_in_segments),
	{}
};

static struct kunit_suite rmp_suite = {
	.name = "snp_rmp",
	.init = rmp_test_init,
	.exit = rmp_test_exit,
	.test_cases = rmp_cases,
};

kunit_test_suite(rmp_suite);
