// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory attributes against a model with one byte for each gfn: after every
 * change, every gfn, every run and a choice of ranges is compared.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/prandom.h>

#define NR_GFNS		96
#define NR_CHANGES	400
#define NR_VALUES	3	/* no attributes, and two different ones */

struct model {
	struct kvm_mem_attrs attrs;
	/* The gfns start here; what lies outside has no attributes. */
	gfn_t base;
	u8 val[NR_GFNS];
};

/* A value: 0 is none, the others have a bit in common and one of their own. */
static unsigned long to_attrs(u8 val)
{
	return val ? KVM_MEMORY_ATTRIBUTE_PRIVATE | (val - 1) : 0;
}

static unsigned long model_run(struct model *m, gfn_t gfn, gfn_t *end)
{
	u8 val = m->val[gfn - m->base];

	for (*end = gfn; *end < m->base + NR_GFNS; ++*end) {
		if (m->val[*end - m->base] != val)
			break;
	}

	return to_attrs(val);
}

static bool model_range_has(struct model *m, gfn_t start, gfn_t end,
			    unsigned long mask, unsigned long val)
{
	for (; start < end; start++) {
		if ((to_attrs(m->val[start - m->base]) & mask) != val)
			return false;
	}

	return true;
}

static void compare_runs(struct kunit *test, struct model *m)
{
	gfn_t gfn, end, want_end;
	unsigned long want;

	for (gfn = m->base; gfn < m->base + NR_GFNS; gfn++) {
		want = model_run(m, gfn, &want_end);
		KUNIT_ASSERT_EQ(test, want,
				kvm_mem_attrs_run(&m->attrs, gfn, &end));

		/* Having nothing goes on outside of the model. */
		if (!want && want_end == m->base + NR_GFNS)
			KUNIT_ASSERT_GE(test, end, want_end);
		else
			KUNIT_ASSERT_EQ(test, end, want_end);
	}

	KUNIT_ASSERT_EQ(test, 0ul, kvm_mem_attrs_run(&m->attrs,
						     m->base + NR_GFNS, NULL));
	if (m->base)
		KUNIT_ASSERT_EQ(test, 0ul,
				kvm_mem_attrs_run(&m->attrs, m->base - 1, NULL));
}

static void compare_ranges(struct kunit *test, struct model *m, gfn_t start,
			   gfn_t end)
{
	static const unsigned long masks[] = {
		~0ul, KVM_MEMORY_ATTRIBUTE_PRIVATE, 1,
	};
	unsigned long val;
	int i, v;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		for (v = 0; v < NR_VALUES; v++) {
			val = to_attrs(v) & masks[i];
			KUNIT_ASSERT_EQ(test,
					model_range_has(m, start, end, masks[i], val),
					kvm_mem_attrs_range_has(&m->attrs, start, end,
								masks[i], val));
		}
	}
}

static void change(struct kunit *test, struct model *m, gfn_t start, gfn_t end,
		   u8 val)
{
	KUNIT_ASSERT_EQ(test, 0, kvm_mem_attrs_store(&m->attrs, start, end,
						     to_attrs(val)));
	memset(&m->val[start - m->base], val, end - start);

	compare_runs(test, m);
	compare_ranges(test, m, start, end);
}

static struct model *new_model(struct kunit *test, gfn_t base)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->base = base;
	kvm_mem_attrs_init(&m->attrs);

	return m;
}

/* The first gfn, the middle, and one at which a 2M block begins high up. */
static const gfn_t bases[] = { 0, 0x1000, (1ull << 40) - 32 };

static void random_changes(struct kunit *test)
{
	struct rnd_state rnd;
	struct model *m;
	gfn_t a, b;
	int i, n;

	prandom_seed_state(&rnd, 20240131);

	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		m = new_model(test, bases[i]);

		for (n = 0; n < NR_CHANGES; n++) {
			a = prandom_u32_state(&rnd) % NR_GFNS;
			b = prandom_u32_state(&rnd) % NR_GFNS;
			change(test, m, m->base + min(a, b),
			       m->base + max(a, b) + 1,
			       prandom_u32_state(&rnd) % NR_VALUES);
			compare_ranges(test, m, m->base + min(a, b) / 2,
				       m->base + NR_GFNS - max(a, b) / 2);
		}

		kvm_mem_attrs_destroy(&m->attrs);
	}
}

/* Each way in which a change can meet the runs that are there. */
static void neighbours_join(struct kunit *test)
{
	struct model *m = new_model(test, 0x1000);
	gfn_t b = m->base;

	change(test, m, b + 10, b + 20, 1);
	change(test, m, b + 30, b + 40, 1);
	/* The gap between two of the same value: one run of them all. */
	change(test, m, b + 20, b + 30, 1);
	/* A hole, and the same value over its edges again. */
	change(test, m, b + 15, b + 25, 0);
	change(test, m, b + 14, b + 26, 1);
	/* Next to the other value on both sides. */
	change(test, m, b + 40, b + 50, 2);
	change(test, m, b + 5, b + 10, 2);
	/* All of it, and nothing of it. */
	change(test, m, b, b + NR_GFNS, 2);
	change(test, m, b, b + NR_GFNS, 0);

	kvm_mem_attrs_destroy(&m->attrs);
}

/* One gfn at a time, in an order that keeps them apart until the end. */
static void single_gfns(struct kunit *test)
{
	struct model *m = new_model(test, 0);
	int pass, gfn;

	for (pass = 0; pass < 2; pass++) {
		for (gfn = pass; gfn < NR_GFNS; gfn += 2)
			change(test, m, gfn, gfn + 1, 1);
	}
	for (pass = 0; pass < 2; pass++) {
		for (gfn = pass; gfn < NR_GFNS; gfn += 2)
			change(test, m, gfn, gfn + 1, 0);
	}

	kvm_mem_attrs_destroy(&m->attrs);
}

static struct kunit_case mem_attributes_cases[] = {
	KUNIT_CASE(random_changes),
	KUNIT_CASE(neighbours_join),
	KUNIT_CASE(single_gfns),
	{}
};

static struct kunit_suite mem_attributes_suite = {
	.name = "kvm_mem_attributes",
	.test_cases = mem_attributes_cases,
};

kunit_test_suite(mem_attributes_suite);
