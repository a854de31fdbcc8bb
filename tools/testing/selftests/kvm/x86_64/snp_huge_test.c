// SPDX-License-Identifier: GPL-2.0-only
/*
 * An SNP guest that has 2 MiB at once: how often the RMP is changed for it, in
 * which entries, and that a block of which a part goes its own way leaves the
 * rest as it was. What is counted is this series' own audit; with
 * kvm.gmem_huge=0 each page is counted by itself.
 */
#include "snp_bare.h"

#define HUGE_GPA	0x48000000ULL
#define HUGE_SLOT	2
#define PER_BLOCK	512
#define BLOCKS		4
#define HUGE_PAGES	(BLOCKS * PER_BLOCK)
#define HUGE_PRIVATE	0x90000000UL
#define HUGE_SHARED	0xb0000000UL

#define MAGIC		0x5ec7e7c0ffee0001ULL
#define FAIL_SIZEMISMATCH	6

/* Whether the kernel has blocks. */
static int huge;

struct counts {
	long updates, psmashes, blocks;
} then;

static struct counts count(void)
{
	FILE *f = fopen("/sys/kernel/debug/sev-snp/audit", "r");
	struct counts a = {};
	char name[64];
	long n;

	TEST_ASSERT(f, "no audit");
	while (fscanf(f, "%63s", name) == 1) {
		if (!strcmp(name, "rmpupdate") && fscanf(f, "%ld", &n) == 1)
			a.updates = n;
		else if (!strcmp(name, "psmash") && fscanf(f, "%ld", &n) == 1)
			a.psmashes = n;
		else if (!strcmp(name, "entries-2m") && fscanf(f, "%ld", &n) == 1)
			a.blocks = n;
	}
	fclose(f);
	return a;
}

/* What has happened since it was asked last. */
#define COUNTED(u, p, n)						\
do {									\
	struct counts __now = count();					\
									\
	CHECK_EQ(__now.updates - then.updates, u);			\
	CHECK_EQ(__now.psmashes - then.psmashes, p);			\
	CHECK_EQ(__now.blocks - then.blocks, n);			\
	then = __now;							\
} while (0)

static u64 gpa(u64 page)
{
	return HUGE_GPA + page * 4096;
}

static u64 private(u64 page)
{
	return HUGE_PRIVATE + page * 4096;
}

static u64 shared(u64 page)
{
	return HUGE_SHARED + page * 4096;
}

/* A guest with blocks that are private, and that nobody touched. */
static struct bare *new_guest(void)
{
	struct bare *b = bare_create(1);
	u64 i;

	vm_mem_add(b->vm, VM_MEM_SRC_ANONYMOUS_THP, HUGE_GPA, HUGE_SLOT,
		   HUGE_PAGES, KVM_MEM_GUEST_MEMFD, -1, 0);
	for (i = 0; i < HUGE_PAGES; i++) {
		virt_pg_map(b->vm, private(i), gpa(i));
		virt_pg_map(b->vm, shared(i), gpa(i));
		*vm_get_pte(b->vm, private(i)) |= b->vm->arch.c_bit;
	}
	bare_exits_on(b);
	bare_launch(b);
	vm_mem_set_private(b->vm, HUGE_GPA, HUGE_PAGES * 4096ULL);
	then = count();
	return b;
}

static u64 pvalidate(struct bare *b, u64 page, bool block)
{
	u64 ret = bare_do(b, 0, DO_PVALIDATE, private(page), block, true);

	return ret ?: b->box[0]->carry ? 255 : 0;
}

/* Validate a block as a guest does: at once, and else page by page. */
static void accept_block(struct bare *b, u64 block)
{
	u64 page = block * PER_BLOCK, i;

	CHECK_EQ(pvalidate(b, page, true), huge ? 0 : FAIL_SIZEMISMATCH);
	for (i = 0; !huge && i < PER_BLOCK; i++)
		CHECK_EQ(pvalidate(b, page + i, false), 0);
}

static void put(struct bare *b, u64 page)
{
	bare_do(b, 0, DO_WRITE, private(page), MAGIC + page, 0);
	CHECK_EQ(b->box[0]->vc, 0);
}

static void expect(struct bare *b, u64 page)
{
	CHECK_EQ(bare_do(b, 0, DO_READ, private(page), 0, 0), MAGIC + page);
	CHECK_EQ(b->box[0]->vc, 0);
}

static void expect_gone(struct bare *b, u64 page)
{
	bare_do(b, 0, DO_READ, private(page), 0, 0);
	CHECK_EQ(b->box[0]->vc, VC_PAGE_NOT_VALIDATED);
}

static void punch(struct bare *b, u64 page, u64 npages)
{
	vm_guest_mem_punch_hole(b->vm, gpa(page), npages * 4096);
}

static void test_at_once(void)
{
	struct bare *b = new_guest();
	u64 i;

	for (i = 0; i < BLOCKS; i++) {
		accept_block(b, i);
		COUNTED(huge ? 1 : PER_BLOCK, 0, huge);
	}

	for (i = 0; i < HUGE_PAGES; i += 73)
		put(b, i);
	for (i = 0; i < HUGE_PAGES; i += 73)
		expect(b, i);
	COUNTED(0, 0, 0);
	bare_free(b);
}

/* The guest wants a page by itself: the block is split once, and stays so. */
static void test_small_first(void)
{
	struct bare *b = new_guest();
	u64 i;

	CHECK_EQ(pvalidate(b, 5, false), 0);
	COUNTED(1, huge, 0);
	for (i = 0; i < PER_BLOCK; i++)
		CHECK_EQ(pvalidate(b, i, false), i == 5 ? 255 : 0);
	COUNTED(huge ? 0 : PER_BLOCK - 1, 0, 0);
	put(b, 6);
	expect(b, 6);
	CHECK_EQ(pvalidate(b, 0, true), FAIL_SIZEMISMATCH);
	COUNTED(0, 0, 0);
	bare_free(b);
}

/* A hole over the end of one block and the beginning of the next. */
static void test_hole(void)
{
	struct bare *b = new_guest();
	u64 page;

	accept_block(b, 0);
	accept_block(b, 1);
	for (page = 510; page < 514; page++)
		put(b, page);
	then = count();

	punch(b, 511, 2);
	COUNTED(2, 2 * huge, -2 * huge);
	for (page = 511; page < 513; page++)
		expect_gone(b, page);
	expect(b, 510);
	expect(b, 513);
	COUNTED(2, 0, 0);

	for (page = 511; page < 513; page++) {
		CHECK_EQ(pvalidate(b, page, false), 0);
		CHECK(bare_do(b, 0, DO_READ, private(page), 0, 0) !=
		      MAGIC + page, "the old page is back");
	}
	bare_free(b);
}

/* A hole that is a block: it goes, and comes back, at once. */
static void test_hole_of_block(void)
{
	struct bare *b = new_guest();

	accept_block(b, 0);
	accept_block(b, 1);
	accept_block(b, 2);
	put(b, 511);
	put(b, 600);
	put(b, 1024);
	then = count();

	punch(b, 512, PER_BLOCK);
	COUNTED(huge ? 1 : PER_BLOCK, 0, -huge);
	expect_gone(b, 600);
	COUNTED(1, 0, huge);
	expect(b, 511);
	expect(b, 1024);

	/* Split before: it goes page by page, and comes back at once. */
	CHECK_EQ(pvalidate(b, 600, false), 0);
	then = count();
	punch(b, 512, PER_BLOCK);
	COUNTED(huge ? PER_BLOCK : 1, 0, 0);
	accept_block(b, 1);
	COUNTED(huge ? 1 : PER_BLOCK, 0, huge);
	bare_free(b);
}

/* One page of a block is shared, the host writes there, and private again. */
static void test_shared(void)
{
	struct bare *b = new_guest();
	u64 *page;

	accept_block(b, 0);
	put(b, 6);
	put(b, 7);
	put(b, 8);
	then = count();

	vm_mem_set_shared(b->vm, gpa(7), 4096);
	/* Nothing was taken away yet: only the mapping is smaller. */
	COUNTED(0, 0, 0);
	expect(b, 8);
	COUNTED(0, huge, -huge);
	punch(b, 7, 1);
	COUNTED(1, 0, 0);

	page = addr_gpa2hva(b->vm, gpa(7));
	*page = 0x1111;
	CHECK_EQ(bare_do(b, 0, DO_READ, shared(7), 0, 0), 0x1111);
	bare_do(b, 0, DO_WRITE, shared(7), 0x2222, 0);
	CHECK_EQ(*page, 0x2222);
	expect(b, 6);

	vm_mem_set_private(b->vm, gpa(7), 4096);
	expect_gone(b, 7);
	COUNTED(1, 0, 0);
	CHECK_EQ(pvalidate(b, 7, false), 0);
	expect(b, 6);
	expect(b, 8);
	bare_free(b);
}

/* Where a page is shared from the beginning there are pages only. */
static void test_mixed_first(void)
{
	struct bare *b = new_guest();
	u64 page;

	vm_mem_set_shared(b->vm, gpa(3), 4096);
	for (page = 10; page < 20; page++)
		CHECK_EQ(pvalidate(b, page, false), 0);
	COUNTED(10, 0, 0);
	bare_free(b);
}

/* Every other page goes and comes, one at a time: no more than pages cost. */
static void test_worst(void)
{
	struct bare *b = new_guest();
	u64 page;

	accept_block(b, 0);
	then = count();
	for (page = 0; page < PER_BLOCK; page += 2) {
		vm_mem_set_shared(b->vm, gpa(page), 4096);
		punch(b, page, 1);
		vm_mem_set_private(b->vm, gpa(page), 4096);
		CHECK_EQ(pvalidate(b, page, false), 0);
		CHECK_EQ(pvalidate(b, page + 1, false), 255);
	}
	COUNTED(PER_BLOCK, huge, -huge);
	bare_free(b);
}

/* Pages that are given back when a guest with @blocks accepted blocks ends. */
static long updates_at_end(int blocks)
{
	struct bare *b = new_guest();
	struct counts end;
	int i;

	for (i = 0; i < blocks; i++)
		accept_block(b, i);
	then = count();
	bare_free(b);
	end = count();
	CHECK_EQ(end.blocks - then.blocks, -blocks * huge);
	CHECK_EQ(end.psmashes - then.psmashes, 0);
	return end.updates - then.updates;
}

static void test_end(void)
{
	long none = updates_at_end(0);

	CHECK_EQ(updates_at_end(BLOCKS) - none,
		 BLOCKS * (huge ? 1 : PER_BLOCK));
}

static const struct bare_test tests[] = {
	{ test_at_once, "2 MiB at once" },
	{ test_small_first, "a page by itself" },
	{ test_hole, "a hole over two blocks" },
	{ test_hole_of_block, "a hole that is a block" },
	{ test_shared, "a page that is shared for a while" },
	{ test_mixed_first, "a page that is shared from the beginning" },
	{ test_worst, "every other page goes and comes" },
	{ test_end, "the end of a guest" },
};

int main(int argc, char *argv[])
{
	char c = 'N';
	FILE *f = fopen("/sys/module/kvm/parameters/gmem_huge", "r");

	if (f) {
		if (fread(&c, 1, 1, f) != 1)
			c = 'N';
		fclose(f);
	}
	huge = c == 'Y';
	ksft_print_msg("blocks: %d\n", huge);
	bare_run(tests, ARRAY_SIZE(tests));
}
