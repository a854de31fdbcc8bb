// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a page when guest and user space disagree about it, and when
 * user space takes it away: the guest waits, or learns of it by #VC, and never
 * reads what it did not write.
 */
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
	{ test_read_only, "no read-only memory" },
};

int main(int argc, char *argv[])
{
	bare_run(tests, ARRAY_SIZE(tests));
}
