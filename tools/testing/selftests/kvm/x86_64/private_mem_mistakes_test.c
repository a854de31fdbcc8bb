// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mistakes that private memory invites, each with what shows it.
 *
 * The guest is two instructions in flat 32-bit mode without paging: load or
 * store at EBX, then OUT. It takes a kernel with KVM_X86_SW_PROTECTED_VM.
 *
 *	private_mem_mistakes_test [nodes]
 *
 * nodes: instead, what wants two NUMA nodes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../kselftest.h"

#define PAGE		4096ull
#define MB		(1024 * 1024ull)
#define CODE_GPA	0x1000
#define DATA_GPA	(4 * MB)	/* 2M aligned, as is its host address */
#define DATA_SIZE	(4 * MB)
#define HOLE_GPA	(64 * MB)	/* no memslot there */
#define DATA_SLOT	1

/* Results that are no value of a load. */
#define MEMORY_FAULT	(0xdeadull << 32)	/* of a private access */
#define SHARED_FAULT	(0xdeafull << 32)
#define MMIO		(0xbeefull << 32)

struct vm {
	int fd, vcpu, memfd;
	struct kvm_run *run;
	void *code, *data;
};

static int kvm;
static const char *failure;

/* The first thing that does not hold is what a case failed of. */
static bool check_at(int line, bool ok, const char *what)
{
	if (!ok && !failure) {
		failure = what;
		ksft_print_msg("line %d: %s (errno %d)\n", line, what, errno);
	}
	return ok;
}

#define CHECK(cond) check_at(__LINE__, cond, #cond)
#define CHECK_ERRNO(call, err) \
	check_at(__LINE__, (call) < 0 && errno == (err), #call " is " #err)

static int set_region2(struct vm *vm, uint32_t slot, uint32_t flags,
		       uint64_t gpa, uint64_t size, void *hva, int memfd,
		       uint64_t offset)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
		.guest_memfd = memfd,
		.guest_memfd_offset = offset,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION2, &region);
}

static int set_attrs(struct vm *vm, uint64_t gpa, uint64_t size, uint64_t attrs)
{
	struct kvm_memory_attributes arg = {
		.address = gpa,
		.size = size,
		.attributes = attrs,
	};

	return ioctl(vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &arg);
}

static int set_private(struct vm *vm, uint64_t gpa, uint64_t size)
{
	return set_attrs(vm, gpa, size, KVM_MEMORY_ATTRIBUTE_PRIVATE);
}

static int set_shared(struct vm *vm, uint64_t gpa, uint64_t size)
{
	return set_attrs(vm, gpa, size, 0);
}

static int create_memfd(struct vm *vm, uint64_t size)
{
	struct kvm_create_guest_memfd arg = { .size = size };

	return ioctl(vm->fd, KVM_CREATE_GUEST_MEMFD, &arg);
}

static int punch(int memfd, uint64_t offset, uint64_t size)
{
	return fallocate(memfd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
			 offset, size);
}

static int prefault(struct vm *vm, uint64_t gpa, uint64_t size)
{
	struct kvm_pre_fault_memory arg = { .gpa = gpa, .size = size };

	return ioctl(vm->vcpu, KVM_PRE_FAULT_MEMORY, &arg);
}

static void *map_aligned(size_t size)
{
	char *p = mmap(NULL, size + 2 * MB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");

	return (void *)(((uintptr_t)p + 2 * MB - 1) & ~(2 * MB - 1));
}

static void flat_segment(struct kvm_segment *seg, bool code)
{
	seg->base = 0;
	seg->limit = 0xffffffff;
	seg->selector = code ? 8 : 16;
	seg->type = code ? 11 : 3;
	seg->present = 1;
	seg->dpl = 0;
	seg->db = 1;
	seg->s = 1;
	seg->l = 0;
	seg->g = 1;
}

static int add_data(struct vm *vm)
{
	return set_region2(vm, DATA_SLOT, KVM_MEM_GUEST_MEMFD, DATA_GPA,
			   DATA_SIZE, vm->data, vm->memfd, 0);
}

static struct vm new_vm(void)
{
	/*
	 * mov (%ebx),%eax; out %eax,$16; nop; mov %ecx,(%ebx); out %eax,$16;
	 * vmmcall; out %eax,$16
	 */
	static const uint8_t code[] = {
		0x8b, 0x03, 0xe7, 0x10, 0x90, 0x89, 0x0b, 0xe7, 0x10,
		0x0f, 0x01, 0xd9, 0xe7, 0x10,
	};
	struct kvm_sregs sregs;
	struct vm vm;
	int size;

	vm.fd = ioctl(kvm, KVM_CREATE_VM, KVM_X86_SW_PROTECTED_VM);
	vm.vcpu = ioctl(vm.fd, KVM_CREATE_VCPU, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm.run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vm.vcpu, 0);
	vm.code = map_aligned(PAGE);
	vm.data = map_aligned(DATA_SIZE);
	vm.memfd = create_memfd(&vm, DATA_SIZE);
	memcpy(vm.code, code, sizeof(code));

	if (vm.vcpu < 0 || vm.run == MAP_FAILED || vm.memfd < 0 ||
	    set_region2(&vm, 0, 0, CODE_GPA, PAGE, vm.code, 0, 0) ||
	    add_data(&vm) || ioctl(vm.vcpu, KVM_GET_SREGS, &sregs))
		ksft_exit_fail_msg("cannot set up a VM: %s\n", strerror(errno));

	flat_segment(&sregs.cs, true);
	flat_segment(&sregs.ds, false);
	flat_segment(&sregs.es, false);
	flat_segment(&sregs.ss, false);
	sregs.cr0 |= 1;
	if (ioctl(vm.vcpu, KVM_SET_SREGS, &sregs))
		ksft_exit_fail_msg("cannot set registers: %s\n", strerror(errno));

	return vm;
}

static void free_vm(struct vm *vm)
{
	close(vm->memfd);
	close(vm->vcpu);
	close(vm->fd);
	munmap(vm->run, PAGE);
	munmap(vm->data, DATA_SIZE);
	munmap(vm->code, PAGE);
}

/* Run one of the two instructions: what was loaded, or one of the above. */
static uint64_t guest_access(struct vm *vm, uint64_t rip, uint64_t gpa,
			     uint32_t val)
{
	struct kvm_regs regs = {
		.rip = rip,
		.rbx = gpa,
		.rcx = val,
		.rflags = 2,
	};
	int r;

	if (ioctl(vm->vcpu, KVM_SET_REGS, &regs))
		return ~0ull;

	/* One that is left over must not be taken for this one. */
	vm->run->exit_reason = KVM_EXIT_MEMORY_FAULT;
	memset(&vm->run->memory_fault, 0xff, sizeof(vm->run->memory_fault));

	do {
		r = ioctl(vm->vcpu, KVM_RUN, 0);
	} while (r < 0 && errno == EINTR);

	if (r < 0 && errno == EFAULT &&
	    vm->run->exit_reason == KVM_EXIT_MEMORY_FAULT &&
	    vm->run->memory_fault.gpa == (gpa & ~(PAGE - 1)) &&
	    vm->run->memory_fault.size == PAGE) {
		if (vm->run->memory_fault.flags == KVM_MEMORY_EXIT_FLAG_PRIVATE)
			return MEMORY_FAULT;
		if (!vm->run->memory_fault.flags)
			return SHARED_FAULT;
	}

	if (r < 0)
		return ~0ull;

	if (vm->run->exit_reason == KVM_EXIT_MMIO) {
		/* Let the instruction finish before the next one starts. */
		vm->run->immediate_exit = 1;
		ioctl(vm->vcpu, KVM_RUN, 0);
		vm->run->immediate_exit = 0;
		return MMIO;
	}

	if (vm->run->exit_reason != KVM_EXIT_IO)
		return ~0ull;

	memcpy(&val, (char *)vm->run + vm->run->io.data_offset, sizeof(val));

	/* Likewise for the OUT. */
	vm->run->immediate_exit = 1;
	ioctl(vm->vcpu, KVM_RUN, 0);
	vm->run->immediate_exit = 0;

	return val;
}

static uint64_t load(struct vm *vm, uint64_t gpa)
{
	return guest_access(vm, CODE_GPA, gpa, 0);
}

static bool store(struct vm *vm, uint64_t gpa, uint32_t val)
{
	return guest_access(vm, CODE_GPA + 5, gpa, val) <= UINT32_MAX;
}

static uint32_t *host(struct vm *vm, uint64_t gpa)
{
	return (uint32_t *)((char *)vm->data + (gpa - DATA_GPA));
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		ksft_print_msg("%s: %s\n", path, strerror(errno));
	close(fd);
}

static long read_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = 0;
	close(fd);

	return atol(text);
}

/* A page is one of two, as the attribute says, and neither gets lost. */
static void two_pages(struct vm *vm)
{
	uint64_t gpa = DATA_GPA + 3 * PAGE;

	*host(vm, gpa) = 11;
	CHECK(load(vm, gpa) == 11);
	CHECK(!set_private(vm, gpa, PAGE));
	CHECK(load(vm, gpa) == 0);
	CHECK(store(vm, gpa, 22) && load(vm, gpa) == 22);
	CHECK(*host(vm, gpa) == 11);
	CHECK(!set_shared(vm, gpa, PAGE) && load(vm, gpa) == 11);
	CHECK(!set_private(vm, gpa, PAGE) && load(vm, gpa) == 22);
	CHECK(!punch(vm->memfd, gpa - DATA_GPA, PAGE) && load(vm, gpa) == 0);
}

/* [K-59] A block with a private page in it is not mapped as a whole. */
static void mixed_block(struct vm *vm)
{
	uint64_t gpa = DATA_GPA + 7 * PAGE;

	madvise(vm->data, DATA_SIZE, MADV_HUGEPAGE);
	memset(vm->data, 0x11, DATA_SIZE);

	CHECK(load(vm, DATA_GPA) == 0x11111111);
	CHECK(!set_private(vm, gpa, PAGE));
	CHECK(load(vm, gpa - PAGE) == 0x11111111);
	CHECK(load(vm, gpa + PAGE) == 0x11111111);
	CHECK(load(vm, gpa) == 0);

	/* Nor by a memslot that is younger than the attribute. */
	CHECK(!set_region2(vm, DATA_SLOT, 0, DATA_GPA, 0, NULL, 0, 0));
	CHECK(!add_data(vm));
	CHECK(load(vm, gpa - PAGE) == 0x11111111);
	CHECK(load(vm, gpa) == 0);

	/* Whole again: both sides of the block's end. */
	CHECK(!set_private(vm, DATA_GPA, 2 * MB));
	CHECK(load(vm, DATA_GPA + 2 * MB - PAGE) == 0);
	CHECK(load(vm, DATA_GPA + 2 * MB) == 0x11111111);
	CHECK(!set_shared(vm, DATA_GPA, DATA_SIZE));
	CHECK(load(vm, gpa) == 0x11111111);
}

/* [K-20] What the host does to the shared half leaves the private one alone. */
static void host_discards(struct vm *vm)
{
	uint64_t gpa = DATA_GPA;

	CHECK(!set_private(vm, gpa, PAGE) && store(vm, gpa, 33));
	CHECK(!madvise(vm->data, DATA_SIZE, MADV_DONTNEED));
	CHECK(load(vm, gpa) == 33);
	write_file("/proc/sys/vm/drop_caches", "3");
	write_file("/proc/sys/vm/compact_memory", "1");
	CHECK(load(vm, gpa) == 33);
}

/* A page that KSM merges, under a private gfn, does not take its place. */
static void host_merges(struct vm *vm)
{
	static const char ksm[] = "/sys/kernel/mm/ksm/";
	uint64_t gpa = DATA_GPA + 2 * MB;
	char path[64];
	int i;

	madvise(vm->data, DATA_SIZE, MADV_NOHUGEPAGE);
	memset(host(vm, gpa), 0x44, 8 * PAGE);
	CHECK(!set_private(vm, gpa, PAGE) && store(vm, gpa, 55));
	CHECK(load(vm, gpa) == 55);

	if (madvise(host(vm, gpa), 8 * PAGE, MADV_MERGEABLE))
		return;

	snprintf(path, sizeof(path), "%ssleep_millisecs", ksm);
	write_file(path, "10");
	snprintf(path, sizeof(path), "%srun", ksm);
	write_file(path, "1");
	snprintf(path, sizeof(path), "%spages_sharing", ksm);
	for (i = 0; i < 1000 && read_number(path) < 7; i++)
		usleep(10000);
	CHECK(read_number(path) >= 7);

	CHECK(load(vm, gpa) == 55);

	snprintf(path, sizeof(path), "%srun", ksm);
	write_file(path, "2");
}

/* [K-73] A private gfn without a page behind it is an exit, not MMIO. */
static void no_memslot(struct vm *vm)
{
	CHECK(load(vm, HOLE_GPA) == MMIO);
	CHECK(!set_private(vm, HOLE_GPA, PAGE));
	CHECK(load(vm, HOLE_GPA) == MEMORY_FAULT);
	CHECK(load(vm, HOLE_GPA + PAGE) == MMIO);
	CHECK(!set_shared(vm, HOLE_GPA, PAGE));
	CHECK(load(vm, HOLE_GPA) == MMIO);
}

/* Nothing at the shared address is an exit that says so, and no stale one. */
static void no_shared_page(struct vm *vm)
{
	uint64_t gpa = DATA_GPA + 5 * PAGE;

	CHECK(!set_private(vm, gpa + PAGE, PAGE));
	CHECK(!munmap(host(vm, gpa), 2 * PAGE));
	CHECK(load(vm, gpa) == SHARED_FAULT);
	CHECK(load(vm, gpa + PAGE) == 0);
	CHECK(load(vm, gpa) == SHARED_FAULT);
	CHECK(!set_private(vm, gpa, PAGE) && load(vm, gpa) == 0);
}

/* [K-52] A memslot keeps its guest_memfd, and one without gets none. */
static void flag_toggled(struct vm *vm)
{
	void *hva = map_aligned(PAGE);

	CHECK_ERRNO(set_region2(vm, DATA_SLOT, 0, DATA_GPA, DATA_SIZE, vm->data,
				0, 0), EINVAL);
	CHECK_ERRNO(add_data(vm), EINVAL);
	CHECK(!set_region2(vm, 2, 0, HOLE_GPA, PAGE, hva, 0, 0));
	CHECK_ERRNO(set_region2(vm, 2, KVM_MEM_GUEST_MEMFD, HOLE_GPA, PAGE, hva,
				vm->memfd, 0), EINVAL);
	CHECK(!set_region2(vm, 2, 0, HOLE_GPA, 0, NULL, 0, 0));

	/* A memslot that could not be made leaves the file free for others. */
	CHECK(!set_region2(vm, DATA_SLOT, 0, DATA_GPA, 0, NULL, 0, 0));
	CHECK_ERRNO(set_region2(vm, DATA_SLOT, KVM_MEM_GUEST_MEMFD, 1ull << 62,
				DATA_SIZE, vm->data, vm->memfd, 0), EINVAL);
	CHECK(!add_data(vm));
	munmap(hva, PAGE);
}

/* [K-53] The file, the memslot and the VM may go in any order. */
static void order_of_ends(struct vm *vm)
{
	int memfd;

	CHECK(!set_private(vm, DATA_GPA, DATA_SIZE));
	CHECK(store(vm, DATA_GPA, 66) && load(vm, DATA_GPA) == 66);

	/* The file first: what was mapped is gone, and the memslot useless. */
	close(vm->memfd);
	CHECK(load(vm, DATA_GPA) == MEMORY_FAULT);
	CHECK(!set_region2(vm, DATA_SLOT, 0, DATA_GPA, 0, NULL, 0, 0));
	CHECK(load(vm, DATA_GPA) == MEMORY_FAULT);

	/* The memslot first: its content waits for the next one. */
	memfd = create_memfd(vm, DATA_SIZE);
	vm->memfd = memfd;
	CHECK(!add_data(vm) && store(vm, DATA_GPA, 77));
	CHECK(!set_region2(vm, DATA_SLOT, 0, DATA_GPA, 0, NULL, 0, 0));
	CHECK(load(vm, DATA_GPA) == MEMORY_FAULT);
	CHECK(!add_data(vm) && load(vm, DATA_GPA) == 77);

	/* The VM first, with the memslot still there. */
	vm->memfd = dup(memfd);
	free_vm(vm);
	CHECK(!punch(memfd, 0, DATA_SIZE));
	CHECK(!fallocate(memfd, FALLOC_FL_KEEP_SIZE, 0, DATA_SIZE));
	CHECK(!close(memfd));

	*vm = new_vm();
}

/* Nothing but the file descriptor leads to the file, and its size is fixed. */
static void file_is_sealed(struct vm *vm)
{
	char path[64], name[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", vm->memfd);
	CHECK(open(path, O_RDWR) < 0);
	CHECK(readlink(path, name, sizeof(name) - 1) > 0);
	CHECK(!strcmp(name, "anon_inode:[kvm-gmem]"));
	CHECK_ERRNO(ftruncate(vm->memfd, 2 * DATA_SIZE), EINVAL);
	CHECK_ERRNO(ftruncate(vm->memfd, 0), EINVAL);
}

/* Bad arguments are refused, and change nothing. */
static void bad_arguments(struct vm *vm)
{
	struct kvm_userspace_memory_region v1 = {
		.slot = 5,
		.flags = KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = HOLE_GPA,
		.memory_size = PAGE,
	};
	struct kvm_memory_attributes attrs = {
		.address = DATA_GPA,
		.size = PAGE,
		.flags = 1,
	};
	struct kvm_pre_fault_memory pre = {
		.gpa = DATA_GPA,
		.size = PAGE,
		.flags = 1,
	};
	uint64_t top = -PAGE;
	int plain;

	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &v1), EINVAL);
	CHECK_ERRNO(set_region2(vm, 1 << 16 | 5, 0, HOLE_GPA, PAGE, vm->data, 0,
				0), EINVAL);
	CHECK(ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_MULTI_ADDRESS_SPACE) == 1);

	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &attrs), EINVAL);
	CHECK_ERRNO(set_private(vm, DATA_GPA, 0), EINVAL);
	CHECK_ERRNO(set_private(vm, DATA_GPA + 1, PAGE), EINVAL);
	CHECK_ERRNO(set_private(vm, DATA_GPA, PAGE + 1), EINVAL);
	CHECK_ERRNO(set_private(vm, top, 2 * PAGE), EINVAL);
	CHECK_ERRNO(set_attrs(vm, DATA_GPA, PAGE, 1), EINVAL);
	CHECK_ERRNO(set_attrs(vm, DATA_GPA, PAGE, 1ull << 63), EINVAL);

	CHECK_ERRNO(ioctl(vm->vcpu, KVM_PRE_FAULT_MEMORY, &pre), EINVAL);
	CHECK_ERRNO(prefault(vm, DATA_GPA, 0), EINVAL);
	CHECK_ERRNO(prefault(vm, DATA_GPA + 1, PAGE), EINVAL);
	CHECK_ERRNO(prefault(vm, top, 2 * PAGE), EINVAL);

	/* A VM of the default type has no private memory. */
	plain = ioctl(kvm, KVM_CREATE_VM, KVM_X86_DEFAULT_VM);
	CHECK(ioctl(plain, KVM_CHECK_EXTENSION, KVM_CAP_MEMORY_ATTRIBUTES) == 0);
	CHECK(ioctl(plain, KVM_CHECK_EXTENSION, KVM_CAP_GUEST_MEMFD) == 1);
	CHECK(ioctl(plain, KVM_CHECK_EXTENSION, KVM_CAP_GUEST_MEMFD_FLAGS) ==
	      (GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED));
	CHECK(ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_GUEST_MEMFD_FLAGS) ==
	      GUEST_MEMFD_FLAG_MMAP);
	attrs.flags = 0;
	attrs.attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE;
	CHECK_ERRNO(ioctl(plain, KVM_SET_MEMORY_ATTRIBUTES, &attrs), EINVAL);
	close(plain);

	*host(vm, DATA_GPA) = 88;
	CHECK(load(vm, DATA_GPA) == 88);
}

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/*
 * Files that may be mapped for execution are those whose pages the kernel makes
 * one large folio of, elsewhere in memory: not where a guest has them mapped.
 */
static void not_collapsed(struct vm *vm)
{
	struct kvm_create_guest_memfd arg = {
		.size = 2 * MB,
		.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
	};
	uint8_t *at = map_aligned(2 * MB);
	int plain = ioctl(kvm, KVM_CREATE_VM, KVM_X86_DEFAULT_VM);
	int memfd = ioctl(plain, KVM_CREATE_GUEST_MEMFD, &arg);
	uint64_t i;

	CHECK(mmap(at, 2 * MB, PROT_READ | PROT_EXEC,
		   MAP_SHARED | MAP_FIXED, memfd, 0) == at);
	for (i = 0; !failure && i < 2 * MB; i += PAGE)
		CHECK(!__atomic_load_n(at + i, __ATOMIC_RELAXED));
	CHECK(!madvise(at, 2 * MB, MADV_HUGEPAGE));
	CHECK_ERRNO(madvise(at, 2 * MB, MADV_COLLAPSE), EINVAL);

	munmap(at, 2 * MB);
	close(memfd);
	close(plain);
}

static bool stop;

static void set_stop(bool val)
{
	__atomic_store_n(&stop, val, __ATOMIC_RELEASE);
}

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

static void *prefault_loop(void *arg)
{
	while (!stopped())
		prefault(arg, DATA_GPA, DATA_SIZE);

	return NULL;
}

/*
 * [K-60] Pre-faulting into a memslot that is being deleted gives way to the
 * deletion, which waits for it.
 */
static void prefault_and_delete(struct vm *vm)
{
	pthread_t thread;
	int i;

	CHECK(!set_private(vm, DATA_GPA, DATA_SIZE / 2));
	set_stop(false);
	pthread_create(&thread, NULL, prefault_loop, vm);
	for (i = 0; i < 200; i++) {
		CHECK(!set_region2(vm, DATA_SLOT, 0, DATA_GPA, 0, NULL, 0, 0));
		CHECK(!add_data(vm));
	}
	set_stop(true);
	pthread_join(thread, NULL);
}

static void *punch_loop(void *arg)
{
	struct vm *vm = arg;

	while (!stopped()) {
		punch(vm->memfd, 0, 16 * PAGE);
		set_shared(vm, DATA_GPA + PAGE, 2 * PAGE);
		madvise(vm->data, 4 * PAGE, MADV_DONTNEED);
		set_private(vm, DATA_GPA + PAGE, 2 * PAGE);
	}

	return NULL;
}

/*
 * guest_access(), again if the attribute changed between the access and its
 * handling, which the guest of a hardware-protected VM would not see.
 */
static uint64_t racing_access(struct vm *vm, uint64_t rip, uint64_t gpa,
			      uint32_t val)
{
	uint64_t r;
	int tries;

	for (tries = 0; tries < 1000; tries++) {
		r = guest_access(vm, rip, gpa, val);
		if (r <= UINT32_MAX ||
		    vm->run->exit_reason != KVM_EXIT_MEMORY_FAULT)
			break;
	}

	return r;
}

/* [K-62] Faults that race with holes and conversions never map a stale page. */
static void races(struct vm *vm)
{
	pthread_t thread;
	uint64_t val;
	int i;

	CHECK(!set_private(vm, DATA_GPA, DATA_SIZE));
	set_stop(false);
	pthread_create(&thread, NULL, punch_loop, vm);
	for (i = 1; i <= 2000 && !failure; i++) {
		uint64_t gpa = DATA_GPA + i % 4 * PAGE;

		CHECK(racing_access(vm, CODE_GPA + 5, gpa, i) <=
		      UINT32_MAX);
		val = racing_access(vm, CODE_GPA, gpa, 0);
		/* Pages 1 and 2 may be either of two, with an older value. */
		CHECK(val == 0 || val == i ||
		      ((i % 4 == 1 || i % 4 == 2) && val < i));
	}
	set_stop(true);
	pthread_join(thread, NULL);

	/* The file has what the guest sees, and nothing is left behind. */
	CHECK(!punch(vm->memfd, 0, DATA_SIZE));
	for (i = 0; i < 16; i++)
		CHECK(load(vm, DATA_GPA + i * PAGE) == 0);
}

/* A statistic of the VM's, -1 if it has none of that name. */
static long vm_stat(struct vm *vm, const char *name)
{
	int fd = ioctl(vm->fd, KVM_GET_STATS_FD, 0);
	struct kvm_stats_header header;
	struct kvm_stats_desc *desc;
	uint64_t value = -1;
	size_t size;
	uint32_t i;

	if (fd < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header))
		return -1;

	size = sizeof(*desc) + header.name_size;
	desc = malloc(size);
	for (i = 0; i < header.num_desc; i++) {
		if (pread(fd, desc, size, header.desc_offset + i * size) !=
		    (ssize_t)size)
			break;
		if (strcmp(desc->name, name))
			continue;
		if (pread(fd, &value, sizeof(value), header.data_offset +
			  desc->offset) != sizeof(value))
			value = -1;
		break;
	}
	free(desc);
	close(fd);

	return value;
}

/*
 * mmu_lock can be dropped between one range that is zapped and the next: what
 * the first owes is flushed by then. So there are as many flushes as ranges.
 */
static void flushes_between(struct vm *vm)
{
	const uint64_t beside = DATA_GPA + DATA_SIZE;
	struct kvm_userspace_memory_region region = {
		.slot = DATA_SLOT + 1,
		.guest_phys_addr = beside,
		.memory_size = 2 * MB,
		.userspace_addr = (uintptr_t)vm->data,
	};
	const char *flushes = "remote_tlb_flush_requests";
	long n;

	/* One memslot, a private page in the middle. */
	CHECK(!set_private(vm, DATA_GPA + PAGE, PAGE));
	CHECK(store(vm, DATA_GPA, 1) && store(vm, DATA_GPA + 2 * PAGE, 2));
	n = vm_stat(vm, flushes);
	CHECK(!madvise(vm->data, 3 * PAGE, MADV_DONTNEED));
	CHECK(n >= 0 && vm_stat(vm, flushes) == n + 2);

	/* Two memslots that become private. */
	CHECK(!ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region));
	CHECK(store(vm, beside - PAGE, 3) && store(vm, beside, 4));
	n = vm_stat(vm, flushes);
	CHECK(!set_private(vm, beside - PAGE, 2 * PAGE));
	CHECK(vm_stat(vm, flushes) == n + 2);
	CHECK(!set_shared(vm, beside - PAGE, 2 * PAGE));

	/* Two memslots of one page of the host's. */
	CHECK(store(vm, DATA_GPA, 5) && load(vm, beside) == 5);
	n = vm_stat(vm, flushes);
	CHECK(!madvise(vm->data, PAGE, MADV_DONTNEED));
	CHECK(vm_stat(vm, flushes) == n + 2);
	CHECK(load(vm, DATA_GPA) == 0 && load(vm, beside) == 0);

	region.memory_size = 0;
	CHECK(!ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region));
}

/* Whether guests may have 2 MiB at once: 0 blocks are expected otherwise. */
static bool have_blocks(void)
{
	char c = 'N';
	int fd = open("/sys/module/kvm/parameters/gmem_huge", O_RDONLY);

	if (fd >= 0 && read(fd, &c, 1) != 1)
		c = 'N';
	close(fd);

	return c == 'Y';
}

/* A block is mapped at once, until a part of it has to be by itself. */
static void blocks(struct vm *vm)
{
	const uint64_t odd = DATA_GPA + 9 * PAGE, last = DATA_GPA + 2 * MB - PAGE;
	int n = have_blocks();

	CHECK(!set_private(vm, DATA_GPA, DATA_SIZE));
	CHECK(store(vm, odd, 9) && store(vm, last, 10));
	CHECK(vm_stat(vm, "pages_2m") == n);
	CHECK(store(vm, DATA_GPA + 2 * MB, 11));
	CHECK(vm_stat(vm, "pages_2m") == 2 * n);

	/* A page that is shared for a while: all others stay as they are. */
	*host(vm, odd) = 12;
	CHECK(!set_shared(vm, odd, PAGE));
	CHECK(load(vm, odd) == 12 && load(vm, last) == 10);
	CHECK(vm_stat(vm, "pages_2m") == n);
	CHECK(!set_private(vm, odd, PAGE));
	CHECK(load(vm, odd) == 9 && load(vm, last) == 10);

	/* A hole is for good, for as long as anything is left. */
	CHECK(!punch(vm->memfd, odd - DATA_GPA, PAGE));
	CHECK(load(vm, odd) == 0 && load(vm, last) == 10);
	CHECK(load(vm, DATA_GPA + 2 * MB) == 11);
	CHECK(vm_stat(vm, "pages_2m") == n);
	CHECK(!punch(vm->memfd, 0, 2 * MB));
	CHECK(load(vm, last) == 0 && load(vm, odd) == 0);
	CHECK(load(vm, DATA_GPA + 2 * MB) == 11);
	CHECK(vm_stat(vm, "pages_2m") == 2 * n);

	/* What is allocated beforehand is mapped in the same way. */
	CHECK(!punch(vm->memfd, 0, DATA_SIZE));
	CHECK(!fallocate(vm->memfd, FALLOC_FL_KEEP_SIZE, PAGE, 4 * MB - PAGE));
	CHECK(load(vm, odd) == 0 && load(vm, DATA_GPA + 2 * MB) == 0);
	CHECK(vm_stat(vm, "pages_2m") == n);
}

/* File and guest do not agree about where 2 MiB begin. */
static void blocks_askew(struct vm *vm)
{
	int memfd = create_memfd(vm, DATA_SIZE + PAGE);

	CHECK(!set_private(vm, DATA_GPA, DATA_SIZE));
	CHECK(!fallocate(memfd, FALLOC_FL_KEEP_SIZE, 0, DATA_SIZE));
	CHECK(!set_region2(vm, DATA_SLOT, 0, DATA_GPA, 0, NULL, 0, 0));
	CHECK(!set_region2(vm, DATA_SLOT, KVM_MEM_GUEST_MEMFD, DATA_GPA,
			   DATA_SIZE, vm->data, memfd, PAGE));
	CHECK(store(vm, DATA_GPA, 1));
	CHECK(store(vm, DATA_GPA + 2 * MB - PAGE, 2));
	CHECK(store(vm, DATA_GPA + 2 * MB, 3));
	CHECK(load(vm, DATA_GPA) == 1);
	CHECK(load(vm, DATA_GPA + 2 * MB - PAGE) == 2);
	CHECK(vm_stat(vm, "pages_2m") == 0);
	close(memfd);
}

/*
 * The host's address is not aligned as the guest's: that is no matter for
 * private memory, and all that matters for shared.
 */
static void host_askew(struct vm *vm)
{
	uint64_t gpa;

	madvise(vm->data, DATA_SIZE, MADV_HUGEPAGE);
	for (gpa = DATA_GPA; gpa < DATA_GPA + DATA_SIZE; gpa += PAGE)
		*host(vm, gpa) = gpa / PAGE;

	CHECK(!set_region2(vm, DATA_SLOT, 0, DATA_GPA, 0, NULL, 0, 0));
	CHECK(!set_region2(vm, DATA_SLOT, KVM_MEM_GUEST_MEMFD, DATA_GPA, 2 * MB,
			   (char *)vm->data + PAGE, vm->memfd, 0));

	CHECK(load(vm, DATA_GPA) == DATA_GPA / PAGE + 1);
	CHECK(load(vm, DATA_GPA + 2 * MB - PAGE) == (DATA_GPA + 2 * MB) / PAGE);
	CHECK(vm_stat(vm, "pages_2m") == 0);

	CHECK(!set_private(vm, DATA_GPA, 2 * MB));
	CHECK(store(vm, DATA_GPA + 5 * PAGE, 77));
	CHECK(load(vm, DATA_GPA + 5 * PAGE) == 77);
	CHECK(vm_stat(vm, "pages_2m") == have_blocks());

	CHECK(!set_shared(vm, DATA_GPA + 5 * PAGE, PAGE));
	CHECK(load(vm, DATA_GPA + 5 * PAGE) == DATA_GPA / PAGE + 6);
	CHECK(!set_shared(vm, DATA_GPA, 2 * MB));
	CHECK(load(vm, DATA_GPA + 9 * PAGE) == DATA_GPA / PAGE + 10);
	CHECK(vm_stat(vm, "pages_2m") == 0);
}

struct beside {
	struct vm *vm;
	uint64_t gpa;
	bool go, done;
};

static void *punch_beside(void *arg)
{
	struct beside *b = arg;

	while (!__atomic_load_n(&b->go, __ATOMIC_SEQ_CST))
		;
	if (punch(b->vm->memfd, b->gpa - DATA_GPA, PAGE))
		failure = "punch";
	__atomic_store_n(&b->done, true, __ATOMIC_SEQ_CST);

	return NULL;
}

/*
 * A fault on a page beside the hole that is being punched, but in the same
 * block, must not map the block with the old page in it.
 */
static void hole_beside_fault(struct vm *vm)
{
	struct beside b = { .vm = vm };
	pthread_t thread;
	int i;

	CHECK(!set_private(vm, DATA_GPA, DATA_SIZE));

	for (i = 0; i < 300 && !failure; i++) {
		CHECK(!punch(vm->memfd, 0, 2 * MB));
		b.gpa = DATA_GPA + (i * 5 % 512) * PAGE;
		b.go = false;
		b.done = false;
		CHECK(store(vm, b.gpa, 0x5ec7e7));

		/* Unmapped, but whole: the next fault may map all of it. */
		if (i & 1) {
			CHECK(!set_shared(vm, DATA_GPA, 2 * MB));
			CHECK(!set_private(vm, DATA_GPA, 2 * MB));
		}

		if (pthread_create(&thread, NULL, punch_beside, &b)) {
			CHECK(false);
			break;
		}
		__atomic_store_n(&b.go, true, __ATOMIC_SEQ_CST);
		do {
			load(vm, DATA_GPA + ((i * 5 + 256) % 512) * PAGE);
		} while (!__atomic_load_n(&b.done, __ATOMIC_SEQ_CST));
		pthread_join(thread, NULL);
		CHECK(load(vm, b.gpa) == 0);
	}
}

static void *punch_all(void *arg)
{
	struct beside *b = arg;

	while (!__atomic_load_n(&b->go, __ATOMIC_SEQ_CST))
		;
	CHECK(!punch(b->vm->memfd, 0, DATA_SIZE));
	__atomic_store_n(&b->done, true, __ATOMIC_SEQ_CST);

	return NULL;
}

/*
 * A block that is empty while a hole around it is punched: a fault makes it whole
 * before, or after, and what is mapped later is what the file has.
 */
static void fault_in_hole(struct vm *vm)
{
	struct beside b = { .vm = vm };
	uint64_t second = DATA_GPA + 2 * MB;
	pthread_t thread;
	int i, page;

	CHECK(!set_private(vm, DATA_GPA, DATA_SIZE));

	for (i = 0; i < 200 && !failure; i++) {
		/* It takes a while to take this one apart, and comes first. */
		CHECK(!prefault(vm, DATA_GPA, 2 * MB));
		b.go = false;
		b.done = false;
		if (pthread_create(&thread, NULL, punch_all, &b)) {
			CHECK(false);
			break;
		}
		__atomic_store_n(&b.go, true, __ATOMIC_SEQ_CST);
		do {
			prefault(vm, second + (i % 512) * PAGE, PAGE);
		} while (!__atomic_load_n(&b.done, __ATOMIC_SEQ_CST));
		pthread_join(thread, NULL);

		for (page = 0; page < 512; page += 37)
			CHECK(load(vm, second + page * PAGE) == 0);
		CHECK(!punch(vm->memfd, 0, DATA_SIZE));
	}
}

/* A slot that goes, or moves, takes what it has mapped along, and no more. */
static void other_slot(struct vm *vm)
{
	const uint64_t gpa = HOLE_GPA, plain = HOLE_GPA + 32 * MB;
	int memfd = create_memfd(vm, 2 * MB), huge = have_blocks();
	char *mem = map_aligned(2 * MB), *other = map_aligned(PAGE);
	long small, large;

	CHECK(!set_region2(vm, 2, KVM_MEM_GUEST_MEMFD, gpa, 2 * MB, mem, memfd,
			   0));
	CHECK(!set_region2(vm, 3, 0, plain, PAGE, other, 0, 0));
	CHECK(!set_private(vm, DATA_GPA, DATA_SIZE));
	CHECK(!set_private(vm, gpa, 2 * MB));
	CHECK(store(vm, DATA_GPA + PAGE, 1) && store(vm, gpa + PAGE, 2) &&
	      store(vm, plain, 3));
	small = vm_stat(vm, "pages_4k");
	large = vm_stat(vm, "pages_2m");
	CHECK(large == 2 * huge);

	CHECK(!set_region2(vm, 2, 0, gpa, 0, NULL, 0, 0));
	CHECK(vm_stat(vm, "pages_2m") == large - huge);
	CHECK(vm_stat(vm, "pages_4k") == small - !huge);
	CHECK(load(vm, gpa + PAGE) == MEMORY_FAULT);
	CHECK(load(vm, DATA_GPA + PAGE) == 1 && load(vm, plain) == 3);

	small = vm_stat(vm, "pages_4k");
	CHECK(!set_region2(vm, 3, 0, plain + 2 * MB, PAGE, other, 0, 0));
	CHECK(vm_stat(vm, "pages_2m") == large - huge);
	CHECK(vm_stat(vm, "pages_4k") == small - 1);
	CHECK(load(vm, plain) == MMIO && load(vm, plain + 2 * MB) == 3);

	CHECK(!set_region2(vm, 2, KVM_MEM_GUEST_MEMFD, gpa, 2 * MB, mem, memfd,
			   0));
	CHECK(load(vm, gpa + PAGE) == 2 && load(vm, DATA_GPA + PAGE) == 1);
	CHECK(vm_stat(vm, "pages_2m") == large);
	close(memfd);
	munmap(mem, 2 * MB);
	munmap(other, PAGE);
}

/*
 * What user space does not answer is yes: no answer of an earlier exit is the
 * guest's.
 */
static void hypercall_answers(struct vm *vm)
{
	static const uint64_t answers[] = { EINVAL, 0, EAGAIN, 0, 0 };
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_EXIT_HYPERCALL,
		.args = { 1 << KVM_HC_MAP_GPA_RANGE },
	};
	struct kvm_run *run = vm->run;
	uint32_t got;
	unsigned int i;

	CHECK(!ioctl(vm->fd, KVM_ENABLE_CAP, &cap));
	for (i = 0; i < ARRAY_SIZE(answers) && !failure; i++) {
		struct kvm_regs regs = {
			.rip = CODE_GPA + 9,
			.rax = KVM_HC_MAP_GPA_RANGE,
			.rbx = DATA_GPA,
			.rcx = 3,
			.rdx = KVM_MAP_GPA_RANGE_ENCRYPTED,
			.rflags = 2,
		};

		CHECK(!ioctl(vm->vcpu, KVM_SET_REGS, &regs));
		CHECK(!ioctl(vm->vcpu, KVM_RUN, 0));
		CHECK(run->exit_reason == KVM_EXIT_HYPERCALL);
		CHECK(run->hypercall.nr == KVM_HC_MAP_GPA_RANGE &&
		      run->hypercall.args[0] == DATA_GPA &&
		      run->hypercall.args[1] == 3 &&
		      run->hypercall.args[2] == KVM_MAP_GPA_RANGE_ENCRYPTED);
		CHECK(run->hypercall.ret == 0);
		if (answers[i])
			run->hypercall.ret = answers[i];
		CHECK(!ioctl(vm->vcpu, KVM_RUN, 0));
		CHECK(run->exit_reason == KVM_EXIT_IO);
		memcpy(&got, (char *)run + run->io.data_offset, sizeof(got));
		CHECK(got == answers[i]);
		run->immediate_exit = 1;
		ioctl(vm->vcpu, KVM_RUN, 0);
		run->immediate_exit = 0;
	}
}

#define MAX_PFNS	0x200000

/* Marks the physical pages that nobody may reclaim; how many. */
static int unevictable(uint8_t *marks)
{
	int fd = open("/proc/kpageflags", O_RDONLY), n = 0;
	uint64_t flags[512];
	ssize_t got;
	long i, pfn = 0;

	while (fd >= 0 && pfn < MAX_PFNS) {
		got = read(fd, flags, sizeof(flags));
		if (got <= 0)
			break;
		for (i = 0; i < got / 8; i++, pfn++) {
			/* On a list, and that of the unevictable */
			marks[pfn] = (flags[i] >> 5 & 1) && (flags[i] >> 18 & 1);
			n += marks[pfn];
		}
	}
	close(fd);

	return n;
}

/* A page that is to go offline is the guest's still, for nobody can move it. */
static void soft_offline(struct vm *vm)
{
	uint8_t *before = calloc(1, MAX_PFNS), *after = calloc(1, MAX_PFNS);
	int fd = open("/sys/devices/system/memory/soft_offline_page", O_WRONLY);
	int i, tried = 0;
	char text[32];
	long pfn;

	if (!CHECK(before && after && fd >= 0))
		goto out;

	CHECK(!set_private(vm, DATA_GPA, DATA_SIZE));
	unevictable(before);
	/* Pages, for they are not all of a block, and then one */
	for (i = 0; i < 64; i++)
		CHECK(!fallocate(vm->memfd, FALLOC_FL_KEEP_SIZE, i * 2 * PAGE,
				 PAGE));
	for (i = 0; i < 64; i++)
		CHECK(store(vm, DATA_GPA + i * 2 * PAGE, 0x5ec7e700 + i));
	CHECK(store(vm, DATA_GPA + 2 * MB, 0x5ec7e700));
	unevictable(after);

	for (pfn = 0; pfn < MAX_PFNS; pfn++) {
		if (before[pfn] || !after[pfn])
			continue;
		snprintf(text, sizeof(text), "0x%lx", pfn * PAGE);
		CHECK_ERRNO(write(fd, text, strlen(text)), EBUSY);
		tried++;
	}
	/* Some are on their way to the list yet. */
	CHECK(tried >= 32);
	ksft_print_msg("%d pages\n", tried);

	for (i = 0; i < 64; i++)
		CHECK(load(vm, DATA_GPA + i * 2 * PAGE) == 0x5ec7e700u + i);
	CHECK(load(vm, DATA_GPA + 2 * MB) == 0x5ec7e700);
out:
	close(fd);
	free(before);
	free(after);
}

/* The block that came to be between two counts of unevictable(); 0 if none did. */
static long new_block(const uint8_t *before, const uint8_t *after)
{
	long pfn;
	int i, n;

	for (pfn = 0; pfn < MAX_PFNS; pfn += 512) {
		for (i = n = 0; i < 512; i++)
			n += after[pfn + i] && !before[pfn + i];
		/* Some are on their way to the list yet. */
		if (n > 256)
			return pfn;
	}

	return 0;
}

/* A page of a block goes bad: it is lost, and nothing of its neighbours is. */
static void bad_page_of_block(struct vm *vm)
{
	uint8_t *before = calloc(1, MAX_PFNS), *after = calloc(1, MAX_PFNS);
	const uint64_t bad = DATA_GPA + 100 * PAGE, last = DATA_GPA + 2 * MB - PAGE;
	int fd = open("/sys/devices/system/memory/hard_offline_page", O_WRONLY);
	char text[32];
	long pfn;

	if (!CHECK(before && after && fd >= 0) || !have_blocks())
		goto out;

	CHECK(!set_private(vm, DATA_GPA, DATA_SIZE));
	CHECK(store(vm, DATA_GPA + 2 * MB, 8));
	unevictable(before);
	CHECK(store(vm, bad - PAGE, 9) && store(vm, last, 10));
	unevictable(after);
	CHECK(vm_stat(vm, "pages_2m") == 2);

	pfn = new_block(before, after);
	if (!CHECK(pfn))
		goto out;
	snprintf(text, sizeof(text), "0x%llx", (pfn + 100) * PAGE);
	/* EBUSY: it is not free, and stays in the file. */
	CHECK(write(fd, text, strlen(text)) > 0 || errno == EBUSY);

	CHECK(vm_stat(vm, "pages_2m") == 1);
	CHECK(load(vm, bad) == ~0ull && errno == EHWPOISON);
	CHECK(vm->run->exit_reason == KVM_EXIT_MEMORY_FAULT);
	CHECK(load(vm, bad - PAGE) == 9 && load(vm, last) == 10);
	CHECK(load(vm, bad + PAGE) == 0);
	CHECK(load(vm, DATA_GPA + 2 * MB) == 8);
	CHECK(vm_stat(vm, "pages_2m") == 1);

	/* What comes next is another block. */
	CHECK(!punch(vm->memfd, 0, 2 * MB));
	CHECK(load(vm, bad) == 0 && load(vm, last) == 0);
	CHECK(vm_stat(vm, "pages_2m") == 2);
out:
	close(fd);
	free(before);
	free(after);
}

#define CGROUP	"/tmp/cgroup"

/* The child's part: a cgroup that has room for some pages more, not for 2 MiB. */
static int small_cgroup(void)
{
	char text[32];
	struct vm vm;
	long used;
	int i;

	vm = new_vm();
	CHECK(!set_private(&vm, DATA_GPA, DATA_SIZE));
	/* What page tables and the like take. */
	CHECK(load(&vm, DATA_GPA) == 0);
	CHECK(!punch(vm.memfd, 0, DATA_SIZE));

	used = read_number(CGROUP "/small/memory.current");
	snprintf(text, sizeof(text), "%ld", used + 1024 * 1024);
	write_file(CGROUP "/small/memory.max", text);

	for (i = 0; i < 64; i++)
		CHECK(store(&vm, DATA_GPA + i * 16 * PAGE, i));
	for (i = 0; i < 64; i++)
		CHECK(load(&vm, DATA_GPA + i * 16 * PAGE) == i);
	CHECK(vm_stat(&vm, "pages_2m") == 0);
	CHECK(read_number(CGROUP "/small/memory.current") <=
	      used + 1024 * 1024);

	return !!failure;
}

/* Bytes, of a line of the cgroup's memory.stat. */
static long cgroup_stat(const char *name)
{
	FILE *f = fopen(CGROUP "/small/memory.stat", "r");
	char line[64], word[32];
	long n, found = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%31s %ld", word, &n) == 2 &&
		    !strcmp(word, name))
			found = n;
	}
	if (f)
		fclose(f);

	return found;
}

/* What CPUs keep for themselves for a while, and what else there is to count. */
static bool about(long a, long b)
{
	return labs(a - b) <= 256 * 1024;
}

/* The child's part: a cgroup has what its pages take, as long as there are any. */
static int counting_cgroup(void)
{
	long used, file, unevictable;
	struct vm vm = new_vm();

	if (!have_blocks())
		return 0;
	CHECK(!set_private(&vm, DATA_GPA, DATA_SIZE));
	CHECK(load(&vm, DATA_GPA + 2 * MB) == 0);

	/* Counters of a cgroup's pages are brought together every 2 s. */
	sleep(3);
	used = read_number(CGROUP "/small/memory.current");
	file = cgroup_stat("file");
	unevictable = cgroup_stat("unevictable");
	CHECK(store(&vm, DATA_GPA, 1));
	sleep(3);
	CHECK(about(read_number(CGROUP "/small/memory.current"), used + 2 * MB));
	CHECK(about(cgroup_stat("file"), file + 2 * MB));
	CHECK(about(cgroup_stat("unevictable"), unevictable + 2 * MB));

	CHECK(!punch(vm.memfd, 0, DATA_SIZE));
	sleep(3);
	CHECK(about(read_number(CGROUP "/small/memory.current"), used - 2 * MB));
	CHECK(about(cgroup_stat("file"), file - 2 * MB));
	CHECK(about(cgroup_stat("unevictable"), unevictable - 2 * MB));

	return !!failure;
}

/* A child in a cgroup of its own, which is empty at its end. */
static void in_cgroup(int (*child)(void))
{
	int status = -1;
	char text[32];
	pid_t pid;

	mkdir(CGROUP, 0700);
	if (!CHECK(!mount("none", CGROUP, "cgroup2", 0, NULL)))
		return;
	write_file(CGROUP "/cgroup.subtree_control", "+memory");
	CHECK(!mkdir(CGROUP "/small", 0700));

	pid = fork();
	if (!pid) {
		snprintf(text, sizeof(text), "%d", getpid());
		write_file(CGROUP "/small/cgroup.procs", text);
		_exit(child());
	}

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	CHECK(!rmdir(CGROUP "/small"));
	CHECK(!umount(CGROUP));
}

/* A cgroup without room for a block gets pages, and nobody is killed. */
static void cgroup_limit(struct vm *vm)
{
	in_cgroup(small_cgroup);
}

static void cgroup_counts(struct vm *vm)
{
	in_cgroup(counting_cgroup);
}

static bool bind_to(char *p, uint64_t size, int node)
{
	unsigned long nodes = 1ul << node;

	return !syscall(SYS_mbind, p, size, MPOL_BIND, &nodes, 8 * sizeof(nodes),
			0);
}

/* The first 2 MiB of a file to the second node, the next to either, by halves. */
static char *map_policies(int memfd)
{
	char *p = mmap(NULL, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       memfd, 0);

	if (!CHECK(p != MAP_FAILED))
		return NULL;
	CHECK(bind_to(p, 2 * MB, 1));
	CHECK(bind_to(p + 2 * MB, MB, 0) && bind_to(p + 3 * MB, MB, 1));

	return p;
}

/* How many of the pages from @p on, all touched, lie on @node. */
static int on_node(char *p, uint64_t size, int node)
{
	void *pages[512];
	int where[512], n = 0;
	unsigned int i;

	for (i = 0; i < size / PAGE; i++) {
		pages[i] = p + i * PAGE;
		n += p[i * PAGE];
	}
	if (!CHECK(!n && !syscall(SYS_move_pages, 0, i, pages, NULL, where, 0)))
		return -1;
	while (i--)
		n += where[i] == node;

	return n;
}

static int create_mapped(int vm, uint64_t flags)
{
	struct kvm_create_guest_memfd arg = { .size = DATA_SIZE, .flags = flags };

	return ioctl(vm, KVM_CREATE_GUEST_MEMFD, &arg);
}

/* Pages of a block lie where user space said, each; one for all is a block. */
static void block_policies(struct vm *vm)
{
	int plain = ioctl(kvm, KVM_CREATE_VM, 0), memfd;
	char *p;

	memfd = create_mapped(plain, GUEST_MEMFD_FLAG_MMAP |
			      GUEST_MEMFD_FLAG_INIT_SHARED);
	p = map_policies(memfd);
	CHECK(!fallocate(memfd, FALLOC_FL_KEEP_SIZE, 0, DATA_SIZE));
	CHECK(p && on_node(p, 2 * MB, 1) == 512);
	CHECK(p && on_node(p + 2 * MB, MB, 0) == 256);
	CHECK(p && on_node(p + 3 * MB, MB, 1) == 256);
	close(memfd);
	close(plain);
	munmap(p, DATA_SIZE);

	memfd = create_mapped(vm->fd, GUEST_MEMFD_FLAG_MMAP);
	p = map_policies(memfd);
	CHECK(!set_region2(vm, DATA_SLOT, 0, DATA_GPA, 0, NULL, 0, 0));
	CHECK(!set_region2(vm, DATA_SLOT, KVM_MEM_GUEST_MEMFD, DATA_GPA,
			   DATA_SIZE, vm->data, memfd, 0));
	CHECK(!set_private(vm, DATA_GPA, DATA_SIZE));
	CHECK(store(vm, DATA_GPA + 2 * MB, 1) && store(vm, DATA_GPA, 2));
	CHECK(vm_stat(vm, "pages_2m") == have_blocks());
	munmap(p, DATA_SIZE);
	close(memfd);
}

struct one_case {
	const char *name;
	void (*run)(struct vm *vm);
};

static const struct one_case of_nodes[] = {
	{ "blocks of which pages are to lie on different nodes", block_policies },
};

static const struct one_case cases[] = {
	{ "a private and a shared page at one address", two_pages },
	{ "a block of mixed attributes is not mapped huge", mixed_block },
	{ "the host discards shared memory", host_discards },
	{ "the host merges shared memory", host_merges },
	{ "a flush that is owed is done before more is zapped", flushes_between },
	{ "private without memslot is no MMIO", no_memslot },
	{ "nothing at the shared address", no_shared_page },
	{ "the flag of a memslot cannot be toggled", flag_toggled },
	{ "file, memslot and VM end in any order", order_of_ends },
	{ "the file is sealed", file_is_sealed },
	{ "bad arguments", bad_arguments },
	{ "a file that is mapped is not collapsed", not_collapsed },
	{ "pre-faulting while the memslot is deleted", prefault_and_delete },
	{ "faults, holes and conversions at once", races },
	{ "blocks of 2 MiB, whole and broken", blocks },
	{ "a file that is not aligned as the guest is", blocks_askew },
	{ "a host address that is not aligned as the guest is", host_askew },
	{ "a fault beside a hole", hole_beside_fault },
	{ "a fault in a hole", fault_in_hole },
	{ "a slot that goes, or moves, beside others", other_slot },
	{ "hypercalls that user space answers, or does not", hypercall_answers },
	{ "pages that are to go offline", soft_offline },
	{ "a block of which a page goes bad", bad_page_of_block },
	{ "a cgroup without room for a block", cgroup_limit },
	{ "a cgroup's count of blocks", cgroup_counts },
};

static void run(const struct one_case *all, int n)
{
	struct vm vm;
	int i;

	ksft_set_plan(n);

	for (i = 0; i < n; i++) {
		failure = NULL;
		/* What deadlocks, dies, and takes the test with it. */
		alarm(120);
		vm = new_vm();
		all[i].run(&vm);
		free_vm(&vm);
		ksft_test_result(!failure, "%s\n", all[i].name);
	}

	ksft_finished();
}

int main(int argc, char *argv[])
{
	ksft_print_header();

	kvm = open("/dev/kvm", O_RDWR);
	if (kvm < 0)
		ksft_exit_skip("no /dev/kvm\n");
	if (!(ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_VM_TYPES) &
	      1 << KVM_X86_SW_PROTECTED_VM))
		ksft_exit_skip("no software-protected VMs\n");

	if (argc > 1 && !strcmp(argv[1], "nodes"))
		run(of_nodes, ARRAY_SIZE(of_nodes));
	run(cases, ARRAY_SIZE(cases));
}
