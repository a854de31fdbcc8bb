// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a page when guest and user space disagree about it, and when
 * user space takes it away: the guest waits, or learns of it by #VC, and never
 * reads what it did not write.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "snp_bare.h"

#define MAGIC		0x5ec7e7c0ffee0001ULL

/* A page of the pool that is private, validated, and begins with MAGIC. */
static void make_secret(struct bare *b, u64 page)
{
	vm_mem_set_private(b->vm, POOL_GPA + page * 4096, 4096);
	CHECK_EQ(bare_pvalidate(b, page, true), 0);
	bare_do(b, 0, DO_WRITE, gva_private(page), MAGIC + page, 0);
	CHECK_EQ(b->box[0]->vc, 0);
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(page), 0, 0), MAGIC + page);
}

/* The vCPU is back with a fault at @page, and comes back so again. */
static void expect_fault(struct bare *b, u64 page, bool private)
{
	struct kvm_run *run = b->vcpu[0]->run;
	u64 seen = b->box[0]->seen;
	int i;

	for (i = 0; i < 3; i++) {
		run->exit_reason = 0;
		CHECK_EQ(bare_enter(b, 0), EFAULT);
		CHECK_EQ(run->exit_reason, KVM_EXIT_MEMORY_FAULT);
		CHECK_EQ(run->memory_fault.flags,
			 private ? KVM_MEMORY_EXIT_FLAG_PRIVATE : 0);
		CHECK_EQ(run->memory_fault.gpa, POOL_GPA + page * 4096);
		CHECK_EQ(run->memory_fault.size, 4096);
	}

	/* The order was begun once, and is not done. */
	CHECK_EQ(b->box[0]->seen, seen + 1);
	CHECK_EQ(b->box[0]->res, 0xbadbadbad);
}

/* Go on with the order that faulted. */
static u64 go_on(struct bare *b)
{
	CHECK_EQ(bare_enter(b, 0), 0);
	CHECK(bare_terminated(b, 0, BELL), "exit %u",
	      b->vcpu[0]->run->exit_reason);
	return b->box[0]->res;
}

/* The guest means private where user space says shared. */
static void test_private_of_shared(void)
{
	static const enum order orders[] = { DO_READ, DO_WRITE, DO_PVALIDATE };
	struct bare *b = bare_new(1);
	u64 page;
	int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		page = 3 + i;
		*hva(b, page) = 0x1111;
		bare_order(b, 0, orders[i], gva_private(page), 0,
			   orders[i] == DO_PVALIDATE);
		if (orders[i] == DO_WRITE)
			b->box[0]->b = 0x2222;
		expect_fault(b, page, true);
		CHECK_EQ(*hva(b, page), 0x1111);

		vm_mem_set_private(b->vm, POOL_GPA + page * 4096, 4096);
		go_on(b);
		if (orders[i] == DO_PVALIDATE) {
			CHECK_EQ(b->box[0]->res, 0);
			CHECK_EQ(b->box[0]->carry, 0);
		} else {
			CHECK_EQ(b->box[0]->vc, VC_PAGE_NOT_VALIDATED);
		}
		CHECK_EQ(*hva(b, page), 0x1111);
	}

	bare_free(b);
}

/*
 * The guest means shared where user space says private. A page that the guest
 * has in use already is read without a fault, and shows ciphertext; only the
 * write is the RMP's to stop.
 */
static void test_shared_of_private(void)
{
	struct bare *b = bare_new(1);
	int write;
	u64 page;

	for (write = 0; write < 2; write++) {
		page = 9 + write;
		if (write)
			make_secret(b, page);
		else
			vm_mem_set_private(b->vm, POOL_GPA + page * 4096, 4096);
		*hva(b, page) = 0x3333;

		bare_order(b, 0, write ? DO_WRITE : DO_READ, gva_shared(page),
			   0x4444, 0);
		expect_fault(b, page, false);

		vm_mem_set_shared(b->vm, POOL_GPA + page * 4096, 4096);
		if (write) {
			go_on(b);
			CHECK_EQ(*hva(b, page), 0x4444);
		} else {
			CHECK_EQ(go_on(b), 0x3333);
		}
		CHECK_EQ(b->box[0]->vc, 0);
	}

	bare_free(b);
}

/* A hole takes the page from the guest; its successor is not validated. */
static void test_hole(void)
{
	struct bare *b = bare_new(1);
	u64 page;

	for (page = 510; page < 514; page++)
		make_secret(b, page);

	vm_guest_mem_punch_hole(b->vm, POOL_GPA + 511 * 4096, 2 * 4096);

	for (page = 511; page < 513; page++) {
		bare_do(b, 0, DO_READ, gva_private(page), 0, 0);
		CHECK_EQ(b->box[0]->vc, VC_PAGE_NOT_VALIDATED);
		bare_do(b, 0, DO_WRITE, gva_private(page), 1, 0);
		CHECK_EQ(b->box[0]->vc, VC_PAGE_NOT_VALIDATED);
		CHECK_EQ(bare_pvalidate(b, page, true), 0);
		CHECK(bare_do(b, 0, DO_READ, gva_private(page), 0, 0) !=
		      MAGIC + page, "the old page is back");
	}

	/* Their neighbours are as they were. */
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(510), 0, 0), MAGIC + 510);
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(513), 0, 0), MAGIC + 513);

	bare_free(b);
}

/* The file keeps what the guest has while there is no slot for it. */
static void test_slot_gone(void)
{
	struct bare *b = bare_new(1);

	make_secret(b, 5);
	bare_set_pool(b, false);

	bare_order(b, 0, DO_READ, gva_private(5), 0, 0);
	expect_fault(b, 5, true);

	bare_set_pool(b, true);
	CHECK_EQ(go_on(b), MAGIC + 5);
	CHECK_EQ(b->box[0]->vc, 0);

	/* What goes while there is no slot is gone when there is one again. */
	bare_set_pool(b, false);
	vm_guest_mem_punch_hole(b->vm, POOL_GPA + 5 * 4096, 4096);
	bare_set_pool(b, true);
	bare_do(b, 0, DO_READ, gva_private(5), 0, 0);
	CHECK_EQ(b->box[0]->vc, VC_PAGE_NOT_VALIDATED);

	bare_free(b);
}

/* To shared and back without the guest's word: it notices. */
static void test_back_and_forth(void)
{
	struct bare *b = bare_new(1);
	u64 gpa = POOL_GPA + 20 * 4096;

	make_secret(b, 20);
	*hva(b, 20) = 0x6666;
	vm_mem_set_shared(b->vm, gpa, 4096);
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_shared(20), 0, 0), 0x6666);
	vm_mem_set_private(b->vm, gpa, 4096);

	/* The file still has the guest's own page, validated by it. */
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(20), 0, 0), MAGIC + 20);
	CHECK_EQ(b->box[0]->vc, 0);

	vm_mem_set_shared(b->vm, gpa, 4096);
	vm_guest_mem_punch_hole(b->vm, gpa, 4096);
	vm_mem_set_private(b->vm, gpa, 4096);
	bare_do(b, 0, DO_READ, gva_private(20), 0, 0);
	CHECK_EQ(b->box[0]->vc, VC_PAGE_NOT_VALIDATED);

	bare_free(b);
}

/*
 * What user space has allocated beforehand becomes the guest's when that touches
 * it, at whatever address, as what nobody had allocated.
 */
static void test_allocated(void)
{
	struct bare *b = bare_new(1);
	u64 gpa = POOL_GPA + 40 * 4096, page;

	vm_guest_mem_allocate(b->vm, gpa, 4 * 4096);
	for (page = 40; page < 44; page++)
		make_secret(b, page);

	/* Once more after a hole; then its page is that of another address. */
	vm_guest_mem_punch_hole(b->vm, gpa + 4096, 2 * 4096);
	vm_guest_mem_allocate(b->vm, gpa + 4096, 2 * 4096);
	CHECK_EQ(bare_pvalidate(b, 41, true), 0);
	CHECK(bare_do(b, 0, DO_READ, gva_private(41), 0, 0) != MAGIC + 41,
	      "the old page is back");
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(43), 0, 0), MAGIC + 43);

	bare_set_pool(b, false);
	bare_bind_pool(b, bare_pool_memfd(b), 22, POOL_PAGES - 22);
	make_secret(b, 20);

	bare_free(b);
}

static bool write_one(int fd, const void *from)
{
	return write(fd, from, 1) != 1;
}

/* Can the host's kernel write to user space's @p, or read there? */
static int host_copies(u8 *p, bool write)
{
	int fds[2], ret = 0;
	u8 c = 1;

	TEST_ASSERT(!pipe(fds), "no pipe");
	if (write && (write_one(fds[1], &c) || read(fds[0], p, 1) != 1))
		ret = errno;
	if (!write && write_one(fds[1], p))
		ret = errno;
	close(fds[0]);
	close(fds[1]);
	return ret;
}

/* A file that user space maps: what is in it is not for the host to touch. */
static void test_mapped(void)
{
	struct bare *b = bare_new(1);
	u64 size = POOL_PAGES * 4096ULL, page;
	int memfd, write;
	u8 *mem;

	if (!(vm_check_cap(b->vm, KVM_CAP_GUEST_MEMFD_FLAGS) &
	      GUEST_MEMFD_FLAG_MMAP)) {
		ksft_print_msg("differs: user space maps no guest_memfd\n");
		bare_free(b);
		return;
	}

	memfd = vm_create_guest_memfd(b->vm, size, GUEST_MEMFD_FLAG_MMAP);
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	TEST_ASSERT(mem != MAP_FAILED, "mmap: %s", strerror(errno));
	bare_set_pool(b, false);
	bare_bind_pool(b, memfd, 0, POOL_PAGES);

	make_secret(b, 3);
	TEST_ASSERT(!fallocate(memfd, FALLOC_FL_KEEP_SIZE, 4 * 4096, 4096),
		    "fallocate: %s", strerror(errno));
	/* The guest's, one that is allocated, one that is not. */
	for (page = 3; page < 6; page++) {
		for (write = 0; write < 2; write++) {
			CHECK(bare_sigbus(mem + page * 4096, write),
			      "page %lu is touched, %d", (unsigned long)page,
			      write);
			CHECK_EQ(host_copies(mem + page * 4096, write), EFAULT);
		}
	}
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(3), 0, 0), MAGIC + 3);

	munmap(mem, size);
	close(memfd);
	bare_free(b);
}

/* KVM could not emulate the guest's write. */
static void test_read_only(void)
{
	struct bare *b = bare_new(1);
	u64 *page = aligned_alloc(4096, 4096);
	int ret;

	CHECK_EQ(vm_check_cap(b->vm, KVM_CAP_READONLY_MEM), 0);
	ret = __vm_set_user_memory_region2(b->vm, POOL_SLOT + 1,
					   KVM_MEM_READONLY, 0x50000000, 4096,
					   page, -1, 0);
	CHECK(ret && errno == EINVAL, "%d, %d", ret, errno);
	bare_free(b);
	free(page);
}

static const struct bare_test tests[] = {
	{ test_private_of_shared, "a private access to a shared page" },
	{ test_shared_of_private, "a shared access to a private page" },
	{ test_hole, "pages taken away" },
	{ test_slot_gone, "a slot taken away and given back" },
	{ test_back_and_forth, "attributes changed behind the guest's back" },
	{ test_allocated, "pages that user space has allocated" },
	{ test_mapped, "a file that user space maps" },
	{ test_read_only, "no read-only memory" },
};

/* The file that says that others are done. */
static const char *wait_for;

/* A page of a guest's, which the kernel is made to write to meanwhile. */
static void test_wait(void)
{
	struct bare *b = bare_new(1);
	int i;

	make_secret(b, 3);
	printf("# waits\n");
	fflush(stdout);
	for (i = 0; i < 2000 && access(wait_for, F_OK); i++)
		usleep(100 * 1000);
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(3), 0, 0), MAGIC + 3);
	CHECK_EQ(b->box[0]->vc, 0);
	bare_free(b);
}

static const struct bare_test waits[] = {
	{ test_wait, "a page that the kernel writes to" },
};

int main(int argc, char *argv[])
{
	if (argc > 2 && !strcmp(argv[1], "--wait")) {
		wait_for = argv[2];
		bare_run_without(waits, ARRAY_SIZE(waits));
	}
	bare_run(tests, ARRAY_SIZE(tests));
}
