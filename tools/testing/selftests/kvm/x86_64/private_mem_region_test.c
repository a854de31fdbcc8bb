// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holes in a guest_memfd while memory regions of it are made and deleted.
 *
 * The file knows a region before KVM has all that it keeps of it. Where that
 * includes reverse maps, which the TDP MMU does without, a hole must not look
 * for them: it takes a kernel with kvm.tdp_mmu=0. There is no guest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../../kselftest.h"

#define PAGE	4096ull
/* So large that its reverse maps take their time; nobody uses any of it. */
#define SIZE	(4ull << 30)
#define REGIONS	100

static int vm, memfd;
static bool stop;
static unsigned long holes;

static int set_region(uint64_t size)
{
	struct kvm_userspace_memory_region2 region = {
		.flags = size ? KVM_MEM_GUEST_MEMFD : 0,
		.guest_phys_addr = SIZE,
		.memory_size = size,
		.guest_memfd = memfd,
	};

	return ioctl(vm, KVM_SET_USER_MEMORY_REGION2, &region);
}

/* Not the first page: its reverse map would be NULL itself, and not followed. */
static void *punch_loop(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
		if (fallocate(memfd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
			      PAGE, PAGE))
			ksft_exit_fail_msg("no hole: errno %d\n", errno);
		__atomic_add_fetch(&holes, 1, __ATOMIC_SEQ_CST);
	}

	return NULL;
}

static void no_tdp_mmu(void)
{
	char c = 0;
	int fd = open("/sys/module/kvm/parameters/tdp_mmu", O_RDONLY);

	if (fd < 0 || read(fd, &c, 1) != 1 || c != 'N')
		ksft_exit_skip("kvm.tdp_mmu is not off\n");
	close(fd);
}

int main(void)
{
	struct kvm_create_guest_memfd file = {
		.size = SIZE,
		.flags = GUEST_MEMFD_FLAG_MMAP,
	};
	int kvm = open("/dev/kvm", O_RDWR), i;
	unsigned long before;
	pthread_t thread;

	ksft_print_header();
	ksft_set_plan(1);
	no_tdp_mmu();

	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	memfd = ioctl(vm, KVM_CREATE_GUEST_MEMFD, &file);
	if (memfd < 0)
		ksft_exit_fail_msg("no VM, or no file: errno %d\n", errno);

	/* What hangs takes the test with it. */
	alarm(120);
	if (pthread_create(&thread, NULL, punch_loop, NULL))
		ksft_exit_fail_msg("no thread\n");

	before = __atomic_load_n(&holes, __ATOMIC_SEQ_CST);
	for (i = 0; i < REGIONS; i++) {
		if (set_region(SIZE) || set_region(0))
			ksft_exit_fail_msg("region %d: errno %d\n", i, errno);
	}
	before = __atomic_load_n(&holes, __ATOMIC_SEQ_CST) - before;
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);

	ksft_print_msg("%lu holes meanwhile\n", before);
	ksft_test_result(before > 0, "holes while regions are made\n");

	ksft_finished();
}
