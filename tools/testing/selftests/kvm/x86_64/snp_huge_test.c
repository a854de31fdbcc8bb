// SPDX-License-Identifier: GPL-2.0-only
/*
 * An SNP guest that has 2 MiB at once: how often the RMP is changed for it, in
 * which entries, and that a block of which a part goes its own way leaves the
 * rest as it was. What is counted is this series' own audit; with
 * kvm.gmem_huge=0 each page is counted by itself.
 *
 *	snp_huge_test [refused]
 *
 * refused: the launch alone, by a firmware that refuses the next command. It
 * says "refuse" when that is to be, and goes on after a line.
 */
#include <sys/mman.h>
#include <unistd.h>

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

/* Whether the kernel has blocks, and whether they are executable. */
static int huge, nx;

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

static bool parameter(const char *path)
{
	FILE *f = fopen(path, "r");
	char c = 'N';

	if (f) {
		if (fread(&c, 1, 1, f) != 1)
			c = 'N';
		fclose(f);
	}
	return c == 'Y';
}

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

/* A guest that has blocks, and waits for its launch. */
static struct bare *unlaunched(void)
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
	return b;
}

/* A guest with blocks that are private, and that nobody touched. */
static struct bare *new_guest(void)
{
	struct bare *b = unlaunched();

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
	int was_huge = huge;

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
	/* Where mappings are kept small for being executable, the table stays. */
	huge &= !nx;
	accept_block(b, 1);
	COUNTED(huge ? 1 : PER_BLOCK, 0, huge);
	huge = was_huge;
	bare_free(b);
}

/* One page of a block is shared, the host writes there, and private again. */
static void test_shared(void)
{
	struct bare *b = new_guest();
	u64 small = vm_get_stat(b->vm, snp_given_4k);
	u64 large = vm_get_stat(b->vm, snp_given_2m);
	u64 splits = vm_get_stat(b->vm, snp_splits);
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
	CHECK_EQ(vm_get_stat(b->vm, snp_given_2m), large + huge);
	CHECK_EQ(vm_get_stat(b->vm, snp_given_4k),
		 small + (huge ? 0 : PER_BLOCK));
	CHECK_EQ(vm_get_stat(b->vm, snp_splits), splits + huge);
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

/* Have @npages from @page on be what they are at @from, as user space does. */
static int launch_from(struct bare *b, u64 page, u64 *from, u64 npages, u8 type)
{
	struct kvm_sev_snp_launch_update arg = {
		.gfn_start = gpa(page) / 4096,
		.uaddr = (u64)from,
		.len = npages * 4096,
		.type = type,
	};
	int err;

	do {
		err = sev_op(b->vm, KVM_SEV_SNP_LAUNCH_UPDATE, &arg, NULL);
	} while (!err && arg.len);

	return err;
}

/*
 * What the launch brings: all of a block by one command, what is beside it, has
 * a page to itself or lies around a shared page by pages.
 */
static void test_launched(void)
{
	struct bare *b = unlaunched();
	u64 *from, i;

	from = mmap(NULL, HUGE_PAGES * 4096ULL, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(from != MAP_FAILED, "no memory");
	for (i = 0; i < HUGE_PAGES; i++)
		from[i * 512] = MAGIC + i;

	snp_vm_launch_start(b->vm, bare_policy());
	snp_vm_launch_update(b->vm);
	vm_mem_set_private(b->vm, HUGE_GPA, HUGE_PAGES * 4096ULL);
	then = count();

	CHECK_EQ(launch_from(b, 511, from + 511 * 512, PER_BLOCK + 2,
			     KVM_SEV_SNP_PAGE_TYPE_NORMAL), 0);
	COUNTED(huge ? 3 : PER_BLOCK + 2, 0, huge);
	/* It is the guest's already, all of it or the first page. */
	CHECK_EQ(launch_from(b, 512, from, PER_BLOCK,
			     KVM_SEV_SNP_PAGE_TYPE_NORMAL), EIO);
	COUNTED(0, 0, 0);

	CHECK_EQ(launch_from(b, 3 * PER_BLOCK, from, PER_BLOCK,
			     KVM_SEV_SNP_PAGE_TYPE_SECRETS), 0);
	COUNTED(PER_BLOCK, 0, 0);

	vm_mem_set_shared(b->vm, gpa(5), 4096);
	CHECK_EQ(launch_from(b, 0, from, PER_BLOCK,
			     KVM_SEV_SNP_PAGE_TYPE_NORMAL), EIO);
	COUNTED(5, 0, 0);

	snp_vm_launch_finish(b->vm);
	then = count();
	expect(b, 0);
	expect(b, 4);
	for (i = 511; i < 1025; i += 57)
		expect(b, i);
	expect(b, 1024);
	CHECK_EQ(pvalidate(b, 512, true), huge ? 255 : FAIL_SIZEMISMATCH);
	COUNTED(0, 0, 0);
	munmap(from, HUGE_PAGES * 4096ULL);
	bare_free(b);
}

/* A source of which a part is not there: what is before it is launched. */
static void test_launched_in_part(void)
{
	struct bare *b = unlaunched();
	u64 *from;

	from = mmap(NULL, PER_BLOCK * 4096ULL, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(from != MAP_FAILED, "no memory");
	munmap(from + 7 * 512, 4096);

	snp_vm_launch_start(b->vm, bare_policy());
	snp_vm_launch_update(b->vm);
	vm_mem_set_private(b->vm, HUGE_GPA, HUGE_PAGES * 4096ULL);
	then = count();
	CHECK_EQ(launch_from(b, 0, from, PER_BLOCK,
			     KVM_SEV_SNP_PAGE_TYPE_NORMAL), EIO);
	COUNTED(7, 0, 0);
	munmap(from, PER_BLOCK * 4096ULL);
	bare_free(b);
}

/* A firmware that does not want 2 MiB: the pages of that block, and the next. */
static void test_refused(void)
{
	struct bare *b = unlaunched();
	char line[8];
	u64 *from, i;

	from = mmap(NULL, 2 * PER_BLOCK * 4096ULL, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(from != MAP_FAILED, "no memory");
	for (i = 0; i < 2 * PER_BLOCK; i++)
		from[i * 512] = MAGIC + i;

	snp_vm_launch_start(b->vm, bare_policy());
	snp_vm_launch_update(b->vm);
	vm_mem_set_private(b->vm, HUGE_GPA, HUGE_PAGES * 4096ULL);
	printf("refuse\n");
	fflush(stdout);
	TEST_ASSERT(fgets(line, sizeof(line), stdin), "nobody there");

	then = count();
	CHECK_EQ(launch_from(b, 0, from, 2 * PER_BLOCK,
			     KVM_SEV_SNP_PAGE_TYPE_NORMAL), 0);
	/* Given, taken back, given by pages; the next at once. */
	COUNTED(2 + PER_BLOCK + 1, 0, 1);
	snp_vm_launch_finish(b->vm);
	for (i = 0; i < 2 * PER_BLOCK; i += 73)
		expect(b, i);
	expect(b, PER_BLOCK - 1);
	munmap(from, 2 * PER_BLOCK * 4096ULL);
	bare_free(b);
}

/*
 * Blocks that go to the host and come back, again and again, at once or in
 * pieces: as many entries of 2 MiB as there were, and no memory is lost.
 */
static void test_flapping(void)
{
	struct bare *b = new_guest();
	u64 piece, turn, page;

	for (page = 0; page < BLOCKS; page++)
		accept_block(b, page);
	then = count();

	for (turn = 0; turn < 8; turn++) {
		piece = turn & 1 ? PER_BLOCK : PER_BLOCK / 4;
		for (page = 0; page < 2 * PER_BLOCK; page += piece) {
			vm_mem_set_shared(b->vm, gpa(page), piece * 4096);
			punch(b, page, piece);
		}
		vm_mem_set_private(b->vm, gpa(0), 2 * PER_BLOCK * 4096ULL);
		accept_block(b, 0);
		accept_block(b, 1);
		/* Two go and two come; in pieces each goes by pages. */
		if (huge)
			COUNTED(turn & 1 ? 4 : 2 * PER_BLOCK + 2,
				turn & 1 ? 0 : 2, 0);
		else
			COUNTED(4 * PER_BLOCK, 0, 0);
	}
	bare_free(b);
}

/* Where no block may be executed from, one is split when the guest does. */
static void test_executed(void)
{
	struct bare *b = new_guest();
	u64 i;

	accept_block(b, 0);
	/* ret */
	bare_do(b, 0, DO_WRITE, private(9), 0xc3, 0);
	put(b, 8);
	then = count();
	for (i = 0; i < 3; i++)
		bare_do(b, 0, DO_CALL, private(9), 0, 0);
	COUNTED(0, huge && nx, huge && nx ? -1 : 0);
	expect(b, 8);
	/* It is in pages now: there is no table that would be taken away. */
	CHECK_EQ(vm_get_stat(b->vm, nx_lpage_splits), 0);
	bare_free(b);
}

static void write_to(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	TEST_ASSERT(f && fputs(text, f) >= 0 && !fclose(f), "%s", path);
}

#define RECOVERY	"/sys/module/kvm/parameters/nx_huge_pages_recovery_"

/*
 * KVM takes away the small mappings that are so for being executed, all of them
 * ten times a second; not those that the RMP wants small. The guest goes on as
 * before, in the entries that it has.
 */
static void test_recovered(void)
{
	struct bare *b;
	int i;

	write_to(RECOVERY "ratio", "1");
	write_to(RECOVERY "period_ms", "100");
	b = new_guest();
	accept_block(b, 0);
	accept_block(b, 1);
	/* ret */
	bare_do(b, 0, DO_WRITE, private(9), 0xc3, 0);
	bare_do(b, 0, DO_WRITE, private(600), 0xc3, 0);
	put(b, 8);
	put(b, 601);

	for (i = 0; i < 10; i++) {
		bare_do(b, 0, DO_CALL, private(9), 0, 0);
		bare_do(b, 0, DO_CALL, private(600), 0, 0);
		if (!i)
			then = count();
		expect(b, 8);
		expect(b, 601);
		usleep(70 * 1000);
	}
	for (i = 0; i < 100 && vm_get_stat(b->vm, nx_lpage_splits); i++)
		usleep(100 * 1000);
	CHECK_EQ(vm_get_stat(b->vm, nx_lpage_splits), 0);

	bare_do(b, 0, DO_CALL, private(9), 0, 0);
	expect(b, 8);
	expect(b, 601);
	COUNTED(0, 0, 0);
	bare_free(b);
	write_to(RECOVERY "period_ms", "0");
	write_to(RECOVERY "ratio", "60");
}

#define HOLD_PAGES	(16 * 1024)
#define POOL_OF_2M	"/proc/sys/vm/nr_hugepages"
#define TURNS		32

/*
 * Accept block 0 of a guest that is to find no 2 MiB in one piece. What others
 * free meanwhile, or the kernel gets together by moving pages, can be such a
 * piece: it is given back, for the pool to take, and tried again. False if
 * there was one each time.
 */
static bool accept_in_pages(struct bare *b)
{
	u64 i, ret;
	int turn;

	for (turn = 0; turn < TURNS; turn++) {
		write_to(POOL_OF_2M, "100000");
		then = count();
		ret = pvalidate(b, 0, true);
		if (ret)
			break;
		COUNTED(1, 0, 1);
		punch(b, 0, PER_BLOCK);
	}
	if (turn)
		ksft_print_msg("2 MiB were found %d times\n", turn);
	if (turn == TURNS)
		return false;

	CHECK_EQ(ret, FAIL_SIZEMISMATCH);
	for (i = 0; i < PER_BLOCK; i++)
		CHECK_EQ(pvalidate(b, i, false), 0);
	COUNTED(PER_BLOCK, 0, 0);

	return true;
}

/*
 * Memory in which no 2 MiB are free in one piece: others have all of these, and
 * of what is left every other page. The guest gets pages, and blocks again when
 * there are some.
 */
static void test_fragmented(void)
{
	struct bare *b;
	char *hold;
	u64 i;

	hold = mmap(NULL, HOLD_PAGES * 4096ULL, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(hold != MAP_FAILED, "no memory");
	madvise(hold, HOLD_PAGES * 4096ULL, MADV_NOHUGEPAGE);
	write_to("/proc/sys/vm/compact_unevictable_allowed", "0");
	TEST_ASSERT(!mlock(hold, HOLD_PAGES * 4096ULL), "mlock");

	b = new_guest();
	write_to(POOL_OF_2M, "100000");
	for (i = 0; i < HOLD_PAGES; i += 2)
		munmap(hold + i * 4096, 4096);

	CHECK(accept_in_pages(b), "memory was never fragmented");
	munmap(hold, HOLD_PAGES * 4096ULL);
	write_to(POOL_OF_2M, "0");
	write_to("/proc/sys/vm/compact_unevictable_allowed", "1");
	put(b, 17);
	expect(b, 17);

	then = count();
	accept_block(b, 1);
	COUNTED(huge ? 1 : PER_BLOCK, 0, huge);
	bare_free(b);
}

/* Ask for @n entries from the pool's page @page on, by one request. */
static void ask_private(struct bare *b, u64 page, u16 n, bool block)
{
	ghcb_begin_private(b, page, n, block);
	ghcb_call(b, 0);
}

/*
 * What a guest asks to have private it has at once, up to what one exit may do,
 * and its PVALIDATE finds it; not what user space refuses.
 */
static void test_asked_for(void)
{
	struct bare *b = new_guest();
	u64 page;

	ghcb_register(b, 0);
	then = count();

	ask_private(b, 0, PSC_MAX, false);
	CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_INFO2), 0);
	COUNTED(PSC_MAX, 0, 0);
	for (page = 0; page < PSC_MAX; page++)
		CHECK_EQ(bare_pvalidate(b, page, true), 0);
	COUNTED(0, 0, 0);

	ask_private(b, PER_BLOCK, 2, true);
	CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_INFO2), 0);
	COUNTED(huge ? 2 : PER_BLOCK, 0, 2 * huge);

	b->answer = EINVAL;
	b->answer_from = 0;
	ask_private(b, 300, 5, false);
	CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_INFO2), PSC_GENERIC);
	COUNTED(0, 0, 0);
	bare_free(b);
}

#define VAIN	200

/*
 * What a guest asks for, leaves and gives back, again and again, it has once.
 * Once it uses what it asked for, it has as much as that at once again.
 */
static void test_asked_in_vain(void)
{
	struct bare *b = new_guest();
	u64 page, turn;

	ghcb_register(b, 0);
	then = count();
	for (turn = 0; turn < 16; turn++) {
		ask_private(b, 0, VAIN, false);
		vm_mem_set_shared(b->vm, POOL_GPA, VAIN * 4096ULL);
		vm_guest_mem_punch_hole(b->vm, POOL_GPA, VAIN * 4096ULL);
	}
	COUNTED(2 * VAIN, 0, 0);

	ask_private(b, 0, VAIN, false);
	COUNTED(0, 0, 0);
	for (page = 0; page < VAIN; page++)
		CHECK_EQ(bare_pvalidate(b, page, true), 0);
	COUNTED(VAIN, 0, 0);

	ask_private(b, VAIN, 50, false);
	COUNTED(50, 0, 0);
	for (page = VAIN; page < VAIN + 50; page++)
		CHECK_EQ(bare_pvalidate(b, page, true), 0);

	/* A small request does not make the next one small. */
	ask_private(b, 300, 250, false);
	COUNTED(VAIN, 0, 0);
	/* These it leaves, too. */
	ask_private(b, 600, 10, false);
	COUNTED(0, 0, 0);
	bare_free(b);
}

/* The pool's slot goes and comes back: what others have mapped stays so. */
static void test_other_slot(void)
{
	struct bare *b = new_guest();
	u64 small, large;

	accept_block(b, 0);
	put(b, 7);
	vm_mem_set_private(b->vm, POOL_GPA, 4096);
	CHECK_EQ(bare_pvalidate(b, 0, true), 0);
	bare_do(b, 0, DO_WRITE, gva_private(0), MAGIC, 0);
	then = count();

	small = vm_get_stat(b->vm, pages_4k);
	large = vm_get_stat(b->vm, pages_2m);
	bare_set_pool(b, false);
	CHECK_EQ(vm_get_stat(b->vm, pages_4k), small - 1);
	CHECK_EQ(vm_get_stat(b->vm, pages_2m), large);
	CHECK(large || !huge, "nothing is mapped by 2 MiB");

	bare_set_pool(b, true);
	expect(b, 7);
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(0), 0, 0), MAGIC);
	CHECK_EQ(vm_get_stat(b->vm, pages_4k), small);
	COUNTED(0, 0, 0);
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
	{ test_launched, "blocks that a guest begins with" },
	{ test_launched_in_part, "a block that user space has a part of" },
	{ test_flapping, "blocks that go and come" },
	{ test_asked_for, "pages and blocks that the guest asked for" },
	{ test_asked_in_vain, "pages that the guest asked for and left" },
	{ test_other_slot, "a slot of others goes and comes back" },
	{ test_executed, "code in a block" },
	{ test_recovered, "code in a block whose small mappings go" },
	{ test_fragmented, "memory without 2 MiB in one piece" },
	{ test_end, "the end of a guest" },
};

static const struct bare_test refused[] = {
	{ test_refused, "2 MiB that the firmware refuses at launch" },
};

int main(int argc, char *argv[])
{
	huge = parameter("/sys/module/kvm/parameters/gmem_huge");
	nx = parameter("/sys/module/kvm/parameters/nx_huge_pages");
	ksft_print_msg("blocks: %d, not executable: %d\n", huge, nx);
	if (argc > 1 && !strcmp(argv[1], "refused"))
		bare_run(refused, ARRAY_SIZE(refused));
	bare_run(tests, ARRAY_SIZE(tests));
}
