// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of page state change batches. */
#include <kunit/test.h>
#include <linux/bitfield.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "snp_psc.h"

#define BUF_SIZE	(PSC_HDR_SIZE + PSC_MAX_ENTRIES * PSC_ENTRY_SIZE)

struct psc_page {
	u16 cur;
	u16 end;
	u32 rsvd;
	u64 entry[PSC_MAX_ENTRIES];
};

struct psc_test {
	struct psc_page buf;
	u64 more;		/* a buffer of an entry too many */
	struct psc_batch batch;
};

static u64 mk(u64 gfn, u64 op, bool huge, u64 cur_page)
{
	return cur_page | gfn << 12 | op << 52 | (u64)huge << 56;
}

static u64 cur_page(u64 entry)
{
	return entry & GENMASK_ULL(11, 0);
}

static int psc_test_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct psc_test), GFP_KERNEL);
	BUILD_BUG_ON(sizeof(struct psc_page) != BUF_SIZE);

	return test->priv ? 0 : -ENOMEM;
}

static u64 load(struct psc_test *t)
{
	return psc_batch_load(&t->batch, &t->buf, BUF_SIZE);
}

/* Every value of either index, with the other at each edge. */
static void psc_header(struct kunit *test)
{
	static const u16 edge[] = { 0, 1, 251, 252, 253, 254, 0x8000, 0xffff };
	struct psc_test *t = test->priv;
	int i, v;
	bool ok;

	for (i = 0; i < ARRAY_SIZE(edge); i++) {
		for (v = 0; v <= 0xffff; v++) {
			t->buf.cur = v;
			t->buf.end = edge[i];
			ok = v <= edge[i] && edge[i] < PSC_MAX_ENTRIES;
			KUNIT_ASSERT_EQ(test, load(t),
					ok ? PSC_OK : PSC_INVALID_HDR);

			t->buf.cur = edge[i];
			t->buf.end = v;
			ok = edge[i] <= v && v < PSC_MAX_ENTRIES;
			KUNIT_ASSERT_EQ(test, load(t),
					ok ? PSC_OK : PSC_INVALID_HDR);
		}
	}

	t->buf.cur = 0;
	t->buf.end = 0;
	for (i = 0; i < 32; i++) {
		t->buf.rsvd = BIT(i);
		KUNIT_EXPECT_EQ(test, load(t), PSC_OK);
	}
}

/* The buffer bounds the entries, whatever the header says. */
static void psc_length(struct kunit *test)
{
	struct psc_test *t = test->priv;
	size_t len;
	int end;

	for (end = 0; end < PSC_MAX_ENTRIES; end++) {
		t->buf.end = end;
		len = PSC_HDR_SIZE + (end + 1) * PSC_ENTRY_SIZE;
		KUNIT_EXPECT_EQ(test, PSC_OK,
				psc_batch_load(&t->batch, &t->buf, len));
		KUNIT_EXPECT_EQ(test, PSC_INVALID_HDR,
				psc_batch_load(&t->batch, &t->buf, len - 1));
	}

	t->buf.end = PSC_MAX_ENTRIES;
	len = BUF_SIZE + PSC_ENTRY_SIZE;
	KUNIT_EXPECT_EQ(test, PSC_INVALID_HDR,
			psc_batch_load(&t->batch, &t->buf, len));

	for (len = 0; len < PSC_HDR_SIZE + PSC_ENTRY_SIZE; len++) {
		t->buf.end = 0;
		KUNIT_EXPECT_EQ(test, PSC_INVALID_HDR,
				psc_batch_load(&t->batch, &t->buf, len));
	}
}

static void psc_entry(struct kunit *test)
{
	struct psc_test *t = test->priv;
	struct psc_run run;
	u64 page, max, op;
	int bit, huge;

	for (op = 0; op < 16; op++) {
		t->buf.entry[0] = mk(0x200, op, false, 0);
		KUNIT_ASSERT_EQ(test, load(t), PSC_OK);
		KUNIT_EXPECT_EQ(test, psc_batch_next(&t->batch, &run),
				op >= 1 && op <= 4 ? PSC_OK : PSC_INVALID_ENTRY);
		if (op != 1 && op != 2)
			KUNIT_EXPECT_EQ(test, run.npages, 0);
	}

	for (bit = 57; bit < 64; bit++) {
		t->buf.entry[0] = mk(0x200, PSC_OP_SHARED, false, 0) |
				  BIT_ULL(bit);
		KUNIT_ASSERT_EQ(test, load(t), PSC_OK);
		KUNIT_EXPECT_EQ(test, psc_batch_next(&t->batch, &run), PSC_OK);
		KUNIT_EXPECT_EQ(test, run.gfn, 0x200);
		KUNIT_EXPECT_EQ(test, run.npages, 1);
	}

	for (bit = 0; bit < 40; bit++) {
		t->buf.entry[0] = mk(BIT_ULL(bit), PSC_OP_PRIVATE, true, 0);
		KUNIT_ASSERT_EQ(test, load(t), PSC_OK);
		KUNIT_EXPECT_EQ(test, psc_batch_next(&t->batch, &run),
				bit < 9 ? PSC_INVALID_ENTRY : PSC_OK);
	}

	for (huge = 0; huge < 2; huge++) {
		max = huge ? 512 : 1;
		for (page = 0; page < 4096; page++) {
			t->buf.entry[0] = mk(0x200, PSC_OP_PRIVATE, huge, page);
			KUNIT_ASSERT_EQ(test, load(t), PSC_OK);
			KUNIT_ASSERT_EQ(test, psc_batch_next(&t->batch, &run),
					page <= max ? PSC_OK : PSC_INVALID_ENTRY);
			if (page > max)
				continue;
			KUNIT_ASSERT_EQ(test, run.npages, max - page);
			if (run.npages)
				KUNIT_ASSERT_EQ(test, run.gfn, 0x200 + page);
			KUNIT_ASSERT_EQ(test, run.huge,
					huge && !page ? true : !run.npages);
		}
	}
}

static void psc_merge(struct kunit *test)
{
	struct psc_test *t = test->priv;
	struct psc_run run;

	t->buf.entry[0] = mk(0x1ff, PSC_OP_PRIVATE, false, 0);
	t->buf.entry[1] = mk(0x200, PSC_OP_PRIVATE, true, 0);
	t->buf.entry[2] = mk(0x400, PSC_OP_PRIVATE, false, 1);	/* done */
	t->buf.entry[3] = mk(0x000, PSC_OP_PSMASH, true, 0);
	t->buf.entry[4] = mk(0x400, PSC_OP_PRIVATE, false, 0);
	t->buf.entry[5] = mk(0x401, PSC_OP_SHARED, false, 0);	/* other op */
	t->buf.entry[6] = mk(0x403, PSC_OP_SHARED, false, 0);	/* gap */
	t->buf.entry[7] = mk(0x600, PSC_OP_SHARED, true, 0);	/* gap, 2M */
	t->buf.entry[8] = mk(0x800, PSC_OP_UNSMASH, true, 0);
	t->buf.end = 8;

	KUNIT_ASSERT_EQ(test, load(t), PSC_OK);

	KUNIT_EXPECT_EQ(test, psc_batch_next(&t->batch, &run), PSC_OK);
	KUNIT_EXPECT_EQ(test, run.gfn, 0x1ff);
	KUNIT_EXPECT_EQ(test, run.npages, 514);
	KUNIT_EXPECT_TRUE(test, run.private);
	KUNIT_EXPECT_FALSE(test, run.huge);
	psc_batch_done(&t->batch, &t->buf);
	KUNIT_EXPECT_EQ(test, t->buf.cur, 5);
	KUNIT_EXPECT_EQ(test, cur_page(t->buf.entry[0]), 1);
	KUNIT_EXPECT_EQ(test, cur_page(t->buf.entry[1]), 512);
	KUNIT_EXPECT_EQ(test, cur_page(t->buf.entry[3]), 0);
	KUNIT_EXPECT_EQ(test, cur_page(t->buf.entry[4]), 1);
	KUNIT_EXPECT_EQ(test, cur_page(t->buf.entry[5]), 0);

	KUNIT_EXPECT_EQ(test, psc_batch_next(&t->batch, &run), PSC_OK);
	KUNIT_EXPECT_EQ(test, run.gfn, 0x401);
	KUNIT_EXPECT_EQ(test, run.npages, 1);
	KUNIT_EXPECT_FALSE(test, run.private);
	psc_batch_done(&t->batch, &t->buf);

	KUNIT_EXPECT_EQ(test, psc_batch_next(&t->batch, &run), PSC_OK);
	KUNIT_EXPECT_EQ(test, run.gfn, 0x403);
	KUNIT_EXPECT_EQ(test, run.npages, 1);
	psc_batch_done(&t->batch, &t->buf);

	KUNIT_EXPECT_EQ(test, psc_batch_next(&t->batch, &run), PSC_OK);
	KUNIT_EXPECT_EQ(test, run.gfn, 0x600);
	KUNIT_EXPECT_TRUE(test, run.huge);
	psc_batch_done(&t->batch, &t->buf);
	KUNIT_EXPECT_EQ(test, t->buf.cur, 8);

	/* Nothing is left but a hint. */
	KUNIT_EXPECT_EQ(test, psc_batch_next(&t->batch, &run), PSC_OK);
	KUNIT_EXPECT_EQ(test, run.npages, 0);
	psc_batch_done(&t->batch, &t->buf);
	KUNIT_EXPECT_EQ(test, t->buf.cur, 9);
}

/* A bad entry stops the batch behind what is in order, and stays at hand. */
static void psc_bad_entry_in_batch(struct kunit *test)
{
	struct psc_test *t = test->priv;
	struct psc_run run;
	int bad, i;

	for (bad = 1; bad < PSC_MAX_ENTRIES; bad++) {
		for (i = 0; i < PSC_MAX_ENTRIES; i++)
			t->buf.entry[i] = mk(i, PSC_OP_PRIVATE, false, 0);
		t->buf.entry[bad] = mk(bad, 5, false, 0);
		t->buf.cur = 0;
		t->buf.end = PSC_MAX_ENTRIES - 1;

		KUNIT_ASSERT_EQ(test, load(t), PSC_OK);
		KUNIT_ASSERT_EQ(test, psc_batch_next(&t->batch, &run), PSC_OK);
		KUNIT_ASSERT_EQ(test, run.npages, bad);
		psc_batch_done(&t->batch, &t->buf);
		KUNIT_ASSERT_EQ(test, psc_batch_next(&t->batch, &run),
				PSC_INVALID_ENTRY);
		KUNIT_ASSERT_EQ(test, t->buf.cur, bad);
		KUNIT_ASSERT_EQ(test, cur_page(t->buf.entry[bad]), 0);
	}
}

/* Called again at any index, the batch goes on there and nowhere else. */
static void psc_resume(struct kunit *test)
{
	struct psc_test *t = test->priv;
	struct psc_run run;
	int at, i, n;

	for (at = 0; at < PSC_MAX_ENTRIES; at++) {
		/* No two entries are neighbours: one run each. */
		for (i = 0; i < PSC_MAX_ENTRIES; i++)
			t->buf.entry[i] = mk(2 * i, PSC_OP_SHARED, false, 0);
		t->buf.cur = at;
		t->buf.end = PSC_MAX_ENTRIES - 1;

		KUNIT_ASSERT_EQ(test, load(t), PSC_OK);
		for (n = 0; n <= PSC_MAX_ENTRIES; n++) {
			KUNIT_ASSERT_EQ(test, psc_batch_next(&t->batch, &run),
					PSC_OK);
			if (!run.npages)
				break;
			KUNIT_ASSERT_EQ(test, run.gfn, 2 * (at + n));
			psc_batch_done(&t->batch, &t->buf);
			KUNIT_ASSERT_EQ(test, t->buf.cur, at + n + 1);
		}
		KUNIT_ASSERT_EQ(test, n, PSC_MAX_ENTRIES - at);
		for (i = 0; i < PSC_MAX_ENTRIES; i++)
			KUNIT_ASSERT_EQ(test, cur_page(t->buf.entry[i]), i >= at);
	}
}

/* Of 2M that were done in part the rest is done, and then all of it. */
static void psc_partial(struct kunit *test)
{
	struct psc_test *t = test->priv;
	struct psc_run run;
	int page;

	for (page = 1; page < 512; page++) {
		t->buf.cur = 0;
		t->buf.end = 0;
		t->buf.entry[0] = mk(0x200, PSC_OP_SHARED, true, page);
		KUNIT_ASSERT_EQ(test, load(t), PSC_OK);
		KUNIT_ASSERT_EQ(test, psc_batch_next(&t->batch, &run), PSC_OK);
		KUNIT_ASSERT_EQ(test, run.gfn, 0x200 + page);
		KUNIT_ASSERT_EQ(test, run.npages, 512 - page);
		psc_batch_done(&t->batch, &t->buf);
		KUNIT_ASSERT_EQ(test, t->buf.entry[0],
				mk(0x200, PSC_OP_SHARED, true, 512));
	}
}

/* While a run is with userspace, the guest rewrites all of the batch. */
static void psc_hostile_guest(struct kunit *test)
{
	struct psc_test *t = test->priv;
	struct psc_run run;
	int i;

	for (i = 0; i < 16; i++)
		t->buf.entry[i] = mk(2 * i, PSC_OP_PRIVATE, false, 0);
	t->buf.end = 15;
	KUNIT_ASSERT_EQ(test, load(t), PSC_OK);

	for (i = 0; i < 16; i++) {
		KUNIT_ASSERT_EQ(test, psc_batch_next(&t->batch, &run), PSC_OK);
		KUNIT_ASSERT_EQ(test, run.gfn, 2 * i);
		KUNIT_ASSERT_EQ(test, run.npages, 1);
		KUNIT_ASSERT_TRUE(test, run.private);

		memset(&t->buf, 0xff, sizeof(t->buf));
		psc_batch_done(&t->batch, &t->buf);
		KUNIT_ASSERT_EQ(test, t->buf.cur, i + 1);
		KUNIT_ASSERT_EQ(test, t->buf.end, 0xffff);
	}

	KUNIT_ASSERT_EQ(test, psc_batch_next(&t->batch, &run), PSC_OK);
	KUNIT_EXPECT_EQ(test, run.npages, 0);
}

/* A run that is not done, as after EAGAIN, leaves no trace in the buffer. */
static void psc_not_done(struct kunit *test)
{
	struct psc_test *t = test->priv;
	struct psc_page *copy;
	struct psc_run run;

	copy = kunit_kzalloc(test, sizeof(*copy), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copy);

	t->buf.entry[0] = mk(0, PSC_OP_PSMASH, false, 0);
	t->buf.entry[1] = mk(7, PSC_OP_PRIVATE, false, 0);
	t->buf.end = 1;
	*copy = t->buf;

	KUNIT_ASSERT_EQ(test, load(t), PSC_OK);
	KUNIT_ASSERT_EQ(test, psc_batch_next(&t->batch, &run), PSC_OK);
	KUNIT_EXPECT_EQ(test, run.gfn, 7);
	KUNIT_EXPECT_EQ(test, memcmp(copy, &t->buf, sizeof(*copy)), 0);

	/* The guest calls again, and gets the same run. */
	KUNIT_ASSERT_EQ(test, load(t), PSC_OK);
	KUNIT_ASSERT_EQ(test, psc_batch_next(&t->batch, &run), PSC_OK);
	KUNIT_EXPECT_EQ(test, run.gfn, 7);
	KUNIT_EXPECT_EQ(test, run.npages, 1);
}

static struct kunit_case psc_cases[] = {
	KUNIT_CASE(psc_header),
	KUNIT_CASE(psc_length),
	KUNIT_CASE(psc_entry),
	KUNIT_CASE(psc_merge),
	KUNIT_CASE(psc_bad_entry_in_batch),
	KUNIT_CASE(psc_resume),
	KUNIT_CASE(psc_partial),
	KUNIT_CASE(psc_hostile_guest),
	KUNIT_CASE(psc_not_done),
	{}
};

static struct kunit_suite psc_suite = {
	.name = "kvm_snp_psc",
	.init = psc_test_init,
	.test_cases = psc_cases,
};

kunit_test_suite(psc_suite);

MODULE_DESCRIPTION("KUnit tests of page state change batches");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
