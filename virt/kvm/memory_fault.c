// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_EXIT_MEMORY_FAULT: an access that KVM cannot resolve, but that userspace
 * can, for instance by changing the memory's attributes.
 */
#include <linux/kvm_host.h>

static_assert(offsetof(struct kvm_run, memory_fault.flags) == 32);
static_assert(offsetof(struct kvm_run, memory_fault.gpa) == 40);
static_assert(offsetof(struct kvm_run, memory_fault.size) == 48);
static_assert(offsetof(struct kvm_userspace_memory_region2, userspace_addr) ==
	      offsetof(struct kvm_userspace_memory_region, userspace_addr));
static_assert(offsetof(struct kvm_userspace_memory_region2,
		       guest_memfd_offset) == 32);
static_assert(offsetof(struct kvm_userspace_memory_region2, guest_memfd) == 40);

void kvm_prepare_memory_fault_exit(struct kvm_vcpu *vcpu, gpa_t gpa, gpa_t size,
				   bool is_private)
{
	struct kvm_run *run = vcpu->run;

	BUILD_BUG_ON(KVM_SET_USER_MEMORY_REGION2 != 0x40a0ae49);

	run->memory_fault.flags = is_private ? KVM_MEMORY_EXIT_FLAG_PRIVATE : 0;
	run->memory_fault.gpa = gpa;
	run->memory_fault.size = size;

	/* No bits for the kind of access: the ABI has none. */
	run->exit_reason = KVM_EXIT_MEMORY_FAULT;
}
EXPORT_SYMBOL_GPL(kvm_prepare_memory_fault_exit);
