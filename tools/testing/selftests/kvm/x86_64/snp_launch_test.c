// SPDX-License-Identifier: GPL-2.0-only
/*
 * Launch of an SNP guest: KVM_SEV_SNP_LAUNCH_START, _UPDATE and _FINISH, each
 * mistake of which is refused with the documented error and leaves a VM that
 * can still be launched, and runs.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "snp_bare.h"

/* Leave out what is known to make upstream's kernels warn. */
static bool spare;

static int start(struct bare *b, u64 policy, u16 flags, u32 *fw)
{
	struct kvm_sev_snp_launch_start arg = {
		.policy = policy,
		.flags = flags,
	};

	return sev_op(b->vm, KVM_SEV_SNP_LAUNCH_START, &arg, fw);
}

static int finish(struct bare *b)
{
	struct kvm_sev_snp_launch_finish arg = {};

	return sev_op(b->vm, KVM_SEV_SNP_LAUNCH_FINISH, &arg, NULL);
}

/* As LAUNCH_UPDATE is to be called: again while it says so. */
static int update(struct bare *b, u64 gfn, void *from, u64 len, u8 type,
		  u16 flags)
{
	struct kvm_sev_snp_launch_update arg = {
		.gfn_start = gfn,
		.uaddr = (u64)from,
		.len = len,
		.type = type,
		.flags = flags,
	};
	int err;

	do {
		err = sev_op(b->vm, KVM_SEV_SNP_LAUNCH_UPDATE, &arg, NULL);
	} while (err == EAGAIN || (!err && arg.len && len));

	if (!err && len)
		CHECK_EQ(arg.gfn_start, gfn + len / 4096);
	return err;
}

static void *page_of(u64 value)
{
	static u64 page[512] __aligned(4096);
	int i;

	for (i = 0; i < 512; i++)
		page[i] = value + i;
	return page;
}

/* The guest does what it is told, so all that was measured is there. */
static void runs(struct bare *b)
{
	CHECK_EQ(bare_do(b, 0, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);
}

static void launch_and_run(struct bare *b)
{
	snp_vm_launch_update(b->vm);
	CHECK_EQ(finish(b), 0);
	runs(b);
}

#define TURNS	120	/* more than the machine has ASIDs */

/*
 * A VM that has an ASID, and had it activated. An ASID is used once more only
 * after a flush: firmware would not activate it.
 */
static void test_asids(void)
{
	int kvm = open_kvm_dev_path_or_exit(), dev = open_sev_dev_path_or_exit();
	struct kvm_sev_snp_launch_start start = { .policy = bare_policy() };
	struct kvm_sev_init init = {};
	struct kvm_sev_cmd cmd = { .sev_fd = dev };
	struct bare *b;
	int i, vm;

	for (i = 0; i < TURNS; i++) {
		vm = ioctl(kvm, KVM_CREATE_VM, KVM_X86_SNP_VM);
		if (!CHECK(vm >= 0, "VM %d: %s", i, strerror(errno)))
			break;
		cmd.id = KVM_SEV_INIT2;
		cmd.data = (u64)&init;
		CHECK(!ioctl(vm, KVM_MEMORY_ENCRYPT_OP, &cmd),
		      "INIT2 of VM %d: %s", i, strerror(errno));
		cmd.id = KVM_SEV_SNP_LAUNCH_START;
		cmd.data = (u64)&start;
		CHECK(!ioctl(vm, KVM_MEMORY_ENCRYPT_OP, &cmd),
		      "START of VM %d: %s, firmware %u", i, strerror(errno),
		      cmd.error);
		close(vm);
	}

	b = bare_new(1);
	runs(b);
	bare_free(b);
	close(dev);
	close(kvm);
}

static void test_launch(void)
{
	struct bare *b = bare_new(1);

	runs(b);
	bare_free(b);
}

static void test_policy(void)
{
	/* Without the bit that must be one, and with what nobody knows. */
	static const u64 bad[] = {
		0, SNP_POLICY_SMT,
		SNP_POLICY_RSVD_MBO | SNP_POLICY_SMT | 1ULL << 32,
		SNP_POLICY_RSVD_MBO | SNP_POLICY_SMT | 1ULL << 63,
	};
	/* No SMT allowed, one socket only: both are so. */
	static const u64 platform[] = {
		SNP_POLICY_RSVD_MBO,
		SNP_POLICY_RSVD_MBO | SNP_POLICY_SMT | 1ULL << 20,
	};
	struct bare *b = bare_create(1);
	u32 fw = 0;
	int i, err;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		err = start(b, bad[i], 0, NULL);
		CHECK(err == EINVAL, "policy 0x%lx: %d",
		      (unsigned long)bad[i], err);
	}
	CHECK_EQ(start(b, bare_policy(), 1, NULL), EINVAL);
	CHECK_EQ(start(b, bare_policy(), 0x8000, NULL), EINVAL);

	/* An API version that the firmware does not have: it is asked. */
	err = start(b, bare_policy() | 0xffff, 0, &fw);
	CHECK_EQ(err, EIO);
	CHECK_EQ(fw, SEV_RET_POLICY_FAILURE);

	CHECK_EQ(start(b, bare_policy(), 0, &fw), 0);
	launch_and_run(b);
	bare_free(b);

	/* What the platform has to be like is the firmware's to judge. */
	for (i = 0; i < ARRAY_SIZE(platform); i++) {
		b = bare_create(1);
		if (EITHER(start(b, platform[i], 0, NULL), 0, EINVAL,
			   "a policy that the firmware takes"))
			launch_and_run(b);
		bare_free(b);
	}
}

static void test_order(void)
{
	struct vm_shape shape = {
		.mode = VM_MODE_DEFAULT,
		.type = KVM_X86_SNP_VM,
	};
	struct bare *b = bare_create(1);
	void *page = page_of(1);

	vm_mem_set_private(b->vm, POOL_GPA, 4096);

	CHECK_EQ(update(b, POOL_GFN, page, 4096,
			KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0), EINVAL);
	CHECK_EQ(finish(b), EINVAL);

	CHECK_EQ(start(b, bare_policy(), 0, NULL), 0);
	CHECK_EQ(start(b, bare_policy(), 0, NULL), EINVAL);

	launch_and_run(b);

	CHECK_EQ(start(b, bare_policy(), 0, NULL), EINVAL);
	EITHER(update(b, POOL_GFN, page, 4096, KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0),
	       EINVAL, EIO, "LAUNCH_UPDATE after LAUNCH_FINISH");
	CHECK(finish(b), "a second LAUNCH_FINISH succeeds");
	runs(b);
	bare_free(b);

	/* Nor where no vCPU is in the way of it. */
	b = calloc(1, sizeof(*b));
	b->vm = __vm_create(shape, 1, 0);
	CHECK_EQ(start(b, bare_policy(), 0, NULL), 0);
	CHECK_EQ(finish(b), 0);
	EITHER(finish(b), EINVAL, EIO, "a second LAUNCH_FINISH without vCPUs");
	bare_free(b);
}

static void test_update_refused(void)
{
	static const u8 types[] = { 0, 2, 7, 8, 0xff };
	struct bare *b = bare_create(1);
	u8 *page = page_of(1);
	int i, err;

	vm_mem_set_private(b->vm, POOL_GPA, 2 * 4096);
	vm_mem_set_private(b->vm, POOL_GPA + 3 * 4096, 4096);
	CHECK_EQ(start(b, bare_policy(), 0, NULL), 0);

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		err = update(b, POOL_GFN, page, 4096, types[i], 0);
		CHECK(err == EINVAL, "type %d: %d", types[i], err);
	}

	EITHER(update(b, POOL_GFN, page, 0, KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0),
	       EINVAL, 0, "an update of nothing");
	CHECK_EQ(update(b, POOL_GFN, page, 1,
			KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0), EINVAL);
	CHECK_EQ(update(b, POOL_GFN, page, 4097,
			KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0), EINVAL);
	CHECK_EQ(update(b, POOL_GFN, page, 4096,
			KVM_SEV_SNP_PAGE_TYPE_NORMAL, 1), EINVAL);

	/* Not aligned, not there, not private. */
	err = update(b, POOL_GFN + 3, page + 8, 4096,
		     KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0);
	if (!err)
		ksft_print_msg("differs: an unaligned source is taken\n");
	else
		CHECK_EQ(err, EINVAL);
	if (!spare) {
		err = update(b, POOL_GFN, NULL, 4096,
			     KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0);
		CHECK(err, "no source is taken");
	}
	err = update(b, POOL_GFN, (void *)0x7ffffffff000, 4096,
		     KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0);
	CHECK(err, "a source that is not mapped is taken");
	err = update(b, POOL_GFN + POOL_PAGES, page, 4096,
		     KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0);
	CHECK_EQ(err, EINVAL);
	err = update(b, POOL_GFN + 2, page, 4096,
		     KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0);
	CHECK(err, "a shared page is taken");
	err = update(b, -1ULL, page, 2 * 4096, KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0);
	CHECK_EQ(err, EINVAL);

	/* Nothing of this is left, and a page is launched once. */
	CHECK_EQ(update(b, POOL_GFN, page, 4096,
			KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0), 0);
	err = update(b, POOL_GFN, page, 4096,
		     KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0);
	CHECK(err, "the same page is taken twice");

	launch_and_run(b);
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(0) + 8, 0, 0), 2);
	CHECK_EQ(b->box[0]->vc, 0);

	/* Private, never launched, and never validated. */
	bare_do(b, 0, DO_READ, gva_private(1), 0, 0);
	CHECK_EQ(b->box[0]->vc, VC_PAGE_NOT_VALIDATED);
	bare_free(b);
}

static void test_page_types(void)
{
	struct bare *b = bare_create(1);
	int i;

	vm_mem_set_private(b->vm, POOL_GPA, 16 * 4096);
	CHECK_EQ(start(b, bare_policy(), 0, NULL), 0);

	CHECK_EQ(update(b, POOL_GFN, page_of(0x1000), 4096,
			KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0), 0);
	CHECK_EQ(update(b, POOL_GFN + 1, page_of(0x2000), 4096,
			KVM_SEV_SNP_PAGE_TYPE_UNMEASURED, 0), 0);
	CHECK_EQ(update(b, POOL_GFN + 2, NULL, 2 * 4096,
			KVM_SEV_SNP_PAGE_TYPE_ZERO, 0), 0);
	CHECK_EQ(update(b, POOL_GFN + 4, page_of(0xdead), 4096,
			KVM_SEV_SNP_PAGE_TYPE_SECRETS, 0), 0);

	launch_and_run(b);

	for (i = 0; i < 512; i += 73) {
		CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(0) + i * 8, 0, 0),
			 0x1000 + i);
		CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(1) + i * 8, 0, 0),
			 0x2000 + i);
		CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(2) + i * 8, 0, 0),
			 0);
		CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(3) + i * 8, 0, 0),
			 0);
	}
	/* The secrets are the firmware's, not what the page was. */
	CHECK(bare_do(b, 0, DO_READ, gva_private(4) + 0x20, 0, 0) != 0xdead + 4,
	      "the secrets page is what user space had");
	CHECK_EQ(b->box[0]->vc, 0);
	bare_free(b);
}

/*
 * Of a CPUID page that it refuses the firmware leaves what it would take, and
 * user space gets that; the page itself is as if nothing had been.
 */
static void test_cpuid_page(void)
{
	struct bare *b = bare_create(1);
	u32 *page, *table;
	int err;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(page != MAP_FAILED, "no memory");
	/* More functions than there can be; a page that cannot be written. */
	page[0] = 65;
	TEST_ASSERT(!mprotect(page, 4096, PROT_READ), "mprotect");

	vm_mem_set_private(b->vm, POOL_GPA, 4096);
	CHECK_EQ(start(b, bare_policy(), 0, NULL), 0);

	err = update(b, POOL_GFN, page, 4096, KVM_SEV_SNP_PAGE_TYPE_CPUID, 0);
	EITHER(err, EFAULT, EIO, "a CPUID page that cannot be given back");

	/* Fn0000_0000, as far as it goes; the page has come back. */
	table = page_of(0);
	memset(table, 0, 4096);
	table[0] = 1;
	CHECK_EQ(update(b, POOL_GFN, table, 4096, KVM_SEV_SNP_PAGE_TYPE_CPUID,
			0), 0);
	launch_and_run(b);
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(0), 0, 0), 1);
	CHECK_EQ(b->box[0]->vc, 0);
	bare_free(b);
	munmap(page, 4096);
}

static int pre_fault(struct bare *b, u64 page)
{
	struct kvm_pre_fault_memory range = {
		.gpa = POOL_GPA + page * 4096,
		.size = 4096,
	};
	int err = __vcpu_ioctl(b->vcpu[0], KVM_PRE_FAULT_MEMORY, &range) ?
		errno : 0;

	if (!err)
		CHECK_EQ(range.size, 0);
	return err;
}

/* Memory that is there before it was launched could not be launched. */
static void test_pre_fault(void)
{
	struct bare *b = bare_create(1);

	vm_mem_set_private(b->vm, POOL_GPA, 2 * 4096);
	CHECK_EQ(start(b, bare_policy(), 0, NULL), 0);
	CHECK_EQ(pre_fault(b, 0), EOPNOTSUPP);
	CHECK_EQ(update(b, POOL_GFN, page_of(1), 4096,
			KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0), 0);
	CHECK_EQ(pre_fault(b, 0), EOPNOTSUPP);
	launch_and_run(b);

	CHECK_EQ(pre_fault(b, 0), 0);
	CHECK_EQ(pre_fault(b, 1), 0);
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(0), 0, 0), 1);
	CHECK_EQ(bare_pvalidate(b, 1, true), 0);
	bare_free(b);
}

/* From LAUNCH_FINISH on, the registers are the guest's. */
static void test_finish(void)
{
	struct kvm_sev_snp_launch_finish arg = { .flags = 1 };
	struct kvm_sev_launch_start legacy = {};
	struct bare *b = bare_create(1);
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	CHECK_EQ(start(b, bare_policy(), 0, NULL), 0);
	CHECK_EQ(sev_op(b->vm, KVM_SEV_SNP_LAUNCH_FINISH, &arg, NULL), EINVAL);
	CHECK_EQ(sev_op(b->vm, KVM_SEV_LAUNCH_START, &legacy, NULL), EPERM);
	CHECK_EQ(sev_op(b->vm, KVM_SEV_LAUNCH_FINISH, NULL, NULL), EPERM);
	launch_and_run(b);

	CHECK(__vcpu_ioctl(b->vcpu[0], KVM_GET_REGS, &regs) &&
	      errno == EINVAL, "KVM_GET_REGS: %d", errno);
	CHECK(__vcpu_ioctl(b->vcpu[0], KVM_SET_REGS, &regs) &&
	      errno == EINVAL, "KVM_SET_REGS: %d", errno);
	CHECK(__vcpu_ioctl(b->vcpu[0], KVM_GET_SREGS, &sregs) &&
	      errno == EINVAL, "KVM_GET_SREGS: %d", errno);
	CHECK_EQ(sev_op(b->vm, KVM_SEV_LAUNCH_START, &legacy, NULL), EPERM);
	runs(b);
	bare_free(b);
}

/* How many of one MSR KVM_GET_MSRS, and KVM_SET_MSRS of 0, do. */
static int msrs(struct kvm_vcpu *vcpu, u32 index, bool set)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} buf = { .header.nmsrs = 1, .entry.index = index };

	return ioctl(vcpu->fd, set ? KVM_SET_MSRS : KVM_GET_MSRS, &buf);
}

/* What the guest writes without an exit is not KVM's to tell or to set. */
static void test_msrs(void)
{
	static const u32 own[] = {
		MSR_STAR, MSR_LSTAR, MSR_SYSCALL_MASK, MSR_FS_BASE, MSR_GS_BASE,
		MSR_KERNEL_GS_BASE, MSR_IA32_SYSENTER_EIP,
	};
	/* Intercepted; the last two KVM's own, which no map has. */
	static const u32 others[] = {
		MSR_IA32_TSC_ADJUST, MSR_IA32_APICBASE,
		MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW,
	};
	struct bare *b = bare_create(1);
	int i;

	for (i = 0; i < ARRAY_SIZE(own); i++)
		CHECK(msrs(b->vcpu[0], own[i], false) == 1,
		      "0x%x before the launch", own[i]);
	bare_exits_on(b);
	bare_launch(b);
	runs(b);
	for (i = 0; i < ARRAY_SIZE(own); i++) {
		CHECK(msrs(b->vcpu[0], own[i], false) == 0, "0x%x is told",
		      own[i]);
		CHECK(msrs(b->vcpu[0], own[i], true) == 0, "0x%x is set",
		      own[i]);
	}
	for (i = 0; i < ARRAY_SIZE(others); i++)
		CHECK(msrs(b->vcpu[0], others[i], false) == 1,
		      "0x%x is not told", others[i]);
	runs(b);
	bare_free(b);
}

/* An ID block that is not there must not cost the VM its launch. */
static void test_finish_again(void)
{
	struct kvm_sev_snp_launch_finish arg = { .id_block_en = 1 };
	struct bare *b = bare_create(1);
	int err;

	CHECK_EQ(start(b, bare_policy(), 0, NULL), 0);
	snp_vm_launch_update(b->vm);
	err = sev_op(b->vm, KVM_SEV_SNP_LAUNCH_FINISH, &arg, NULL);
	CHECK(err, "an ID block at 0 is taken");
	err = finish(b);
	if (err)
		ksft_print_msg("differs: after a LAUNCH_FINISH that failed no other succeeds: %d\n",
			       err);
	else
		runs(b);
	bare_free(b);
}

/*
 * An ID block that the firmware refuses, when the registers are the guest's
 * already: such a VM has not been launched, and never will be.
 */
static void test_finish_refused(void)
{
	struct kvm_sev_snp_launch_finish arg = {
		.id_block_uaddr = (u64)page_of(1),
		.id_auth_uaddr = (u64)page_of(1),
		.id_block_en = 1,
	};
	struct bare *b = bare_create(1);
	u32 fw = 0;
	int err;

	CHECK_EQ(start(b, bare_policy(), 0, NULL), 0);
	snp_vm_launch_update(b->vm);
	CHECK_EQ(sev_op(b->vm, KVM_SEV_SNP_LAUNCH_FINISH, &arg, &fw), EIO);
	CHECK(fw, "the firmware takes a wrong ID block");

	bare_order(b, 0, DO_RDMSR, MSR_AMD64_SEV, 0, 0);
	err = bare_enter(b, 0);
	EITHER(err, EINVAL, 0, "a VM runs whose launch failed");
	/* Its VMSA is the guest's, and not to be written again. */
	CHECK(finish(b), "it is launched then");
	CHECK_EQ(update(b, POOL_GFN, page_of(1), 4096,
			KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0) != 0, 1);
	bare_free(b);
}

/* A VM may end at any point of its launch. */
static void test_abandoned(void)
{
	struct bare *b;
	int step;

	for (step = 0; step < 4; step++) {
		b = bare_create(2);
		if (step > 0)
			CHECK_EQ(start(b, bare_policy(), 0, NULL), 0);
		if (step > 1)
			snp_vm_launch_update(b->vm);
		if (step > 2)
			CHECK_EQ(finish(b), 0);
		bare_free(b);
	}
}

static void guest_bell(void)
{
	for (;;)
		guest_vmgexit(BELL);
}

#define MANY			60

/* More vCPUs than a task may hold locks. */
static void test_many(void)
{
	struct vm_shape shape = {
		.mode = VM_MODE_DEFAULT,
		.type = KVM_X86_SNP_VM,
	};
	struct kvm_vcpu *vcpu[MANY];
	struct kvm_vm *vm;
	struct bare b;
	int i;

	vm = __vm_create_with_vcpus(shape, MANY, 0, guest_bell, vcpu);
	snp_vm_launch_start(vm, bare_policy());
	snp_vm_launch_update(vm);
	snp_vm_launch_finish(vm);
	for (i = 0; i < MANY; i += MANY - 1) {
		b.vcpu[0] = vcpu[i];
		CHECK_EQ(bare_enter(&b, 0), 0);
		CHECK(bare_terminated(&b, 0, BELL), "vCPU %d: exit %u", i,
		      vcpu[i]->run->exit_reason);
	}
	kvm_vm_free(vm);
}

#define SOURCE_PAGES	64

static bool stop;

/* The source goes and comes, is not to be read, and is to be read again. */
static void *unmap_and_map(void *arg)
{
	const size_t len = SOURCE_PAGES * 4096;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		mmap(arg, len, PROT_NONE, flags, -1, 0);
		mmap(arg, len, PROT_READ | PROT_WRITE, flags, -1, 0);
		madvise(arg, len / 2, MADV_POPULATE_WRITE);
		madvise(arg, len, MADV_DONTNEED);
	}
	return NULL;
}

/*
 * A source that another thread takes away: each call ends, with the page or an
 * error, and what is launched then runs. One that is a page of a guest_memfd,
 * which nobody may read, is refused.
 */
static void test_source(void)
{
	struct bare *b = bare_create(1);
	int i, err, good = 0, bad = 0, memfd;
	pthread_t thread;
	u8 *from;

	bare_exits_on(b);
	from = mmap(NULL, SOURCE_PAGES * 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(from != MAP_FAILED, "no memory");
	vm_mem_set_private(b->vm, POOL_GPA, 16 * SOURCE_PAGES * 4096);
	CHECK_EQ(start(b, bare_policy(), 0, NULL), 0);

	/* Who waits for himself is ended by this. */
	alarm(120);
	stop = false;
	TEST_ASSERT(!pthread_create(&thread, NULL, unmap_and_map, from),
		    "no thread");
	for (i = 0; i < 16 * SOURCE_PAGES; i++) {
		err = update(b, POOL_GFN + i, from + i % SOURCE_PAGES * 4096,
			     4096, KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0);
		if (err)
			bad++;
		else
			good++;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	alarm(0);
	ksft_print_msg("%d pages there, %d not\n", good, bad);
	munmap(from, SOURCE_PAGES * 4096);

	if (vm_check_cap(b->vm, KVM_CAP_GUEST_MEMFD_FLAGS) &
	    GUEST_MEMFD_FLAG_MMAP) {
		memfd = vm_create_guest_memfd(b->vm, 4096,
					      GUEST_MEMFD_FLAG_MMAP);
		from = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memfd, 0);
		TEST_ASSERT(from != MAP_FAILED, "mmap: %s", strerror(errno));
		vm_mem_set_private(b->vm, POOL_GPA + 1500 * 4096, 4096);
		CHECK(update(b, POOL_GFN + 1500, from, 4096,
			     KVM_SEV_SNP_PAGE_TYPE_NORMAL, 0), "it is read");
		munmap(from, 4096);
		close(memfd);
	}

	launch_and_run(b);
	bare_free(b);
}

static const struct bare_test tests[] = {
	{ test_launch, "a guest is launched and runs" },
	{ test_policy, "LAUNCH_START refuses wrong policies and flags" },
	{ test_order, "no launch command out of order, and none twice" },
	{ test_update_refused, "LAUNCH_UPDATE refuses what is wrong and leaves no trace" },
	{ test_page_types, "pages of each type hold what they should" },
	{ test_cpuid_page, "a CPUID page that the firmware refused" },
	{ test_pre_fault, "KVM_PRE_FAULT_MEMORY waits for LAUNCH_FINISH" },
	{ test_finish, "after LAUNCH_FINISH registers are the guest's" },
	{ test_finish_again, "a LAUNCH_FINISH that failed" },
	{ test_finish_refused, "a LAUNCH_FINISH that the firmware refused" },
	{ test_abandoned, "a launch may be abandoned at any step" },
	{ test_source, "a source that goes meanwhile" },
	{ test_asids, "more guests than there are ASIDs, one after another" },
	{ test_many, "a guest of 60 vCPUs" },
	/* The last: not asked of other hosts. */
	{ test_msrs, "after LAUNCH_FINISH MSRs that it writes without an exit are its own" },
};

/* With an MMU that maps no private memory there are no SNP VMs. */
static void test_none(void)
{
	int kvm_fd = open_kvm_dev_path_or_exit();
	int fd;

	if (!EITHER(have_snp(), false, true, "SNP VMs without the TDP MMU"))
		return;
	fd = __kvm_ioctl(kvm_fd, KVM_CREATE_VM, (void *)KVM_X86_SNP_VM);
	CHECK(fd < 0 && errno == EINVAL, "KVM_CREATE_VM: %d, %d", fd, errno);
}

static const struct bare_test none[] = {
	{ test_none, "no SNP VMs without the TDP MMU" },
};

int main(int argc, char *argv[])
{
	if (argc > 1 && !strcmp(argv[1], "--none"))
		bare_run_without(none, ARRAY_SIZE(none));

	spare = argc > 1 && !strcmp(argv[1], "--spare");
	bare_run(tests, ARRAY_SIZE(tests) - spare);
}
