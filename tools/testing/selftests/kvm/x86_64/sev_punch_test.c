// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest with SEV alone writes to memory of a guest_memfd; with an argument
 * that is punched then. No MMU notifier tells of
 * it. Whoever runs this counts whose caches are written back: what the guest
 * left there must not come over what the pages are used for next.
 */
#include <linux/falloc.h>

#include "test_util.h"
#include "kvm_util.h"
#include "processor.h"
#include "sev.h"

#define SLOT			10
#define GPA			BIT_ULL(32)
#define NPAGES			16

static void guest_code(void)
{
	int i;

	for (i = 0; i < NPAGES; i++)
		WRITE_ONCE(*(u64 *)(GPA + i * PAGE_SIZE), i + 1);
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	const u64 size = NPAGES * PAGE_SIZE;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	struct ucall uc;
	int fd;

	vm = vm_sev_create_with_one_vcpu(KVM_X86_SEV_VM, guest_code, &vcpu);
	fd = vm_create_guest_memfd(vm, size, GUEST_MEMFD_FLAG_MMAP |
				   GUEST_MEMFD_FLAG_INIT_SHARED);
	vm_mem_add(vm, VM_MEM_SRC_ANONYMOUS, GPA, SLOT, NPAGES,
		   KVM_MEM_GUEST_MEMFD, fd, 0);
	virt_map(vm, GPA, GPA, NPAGES);
	vm_sev_launch(vm, SEV_POLICY_NO_DBG, NULL);

	vcpu_run(vcpu);
	TEST_ASSERT(get_ucall(vcpu, &uc) == UCALL_DONE, "the guest did not write");

	if (argc > 1)
		TEST_ASSERT(!fallocate(fd, FALLOC_FL_KEEP_SIZE |
				       FALLOC_FL_PUNCH_HOLE, 0, size),
			    "no hole: %d", errno);

	kvm_vm_free(vm);
	close(fd);
	return 0;
}
