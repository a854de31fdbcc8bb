// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_EXIT_MEMORY_FAULT: an access that KVM cannot resolve, but that userspace
 * can, for instance by changing the memory's attributes.
 */
#include <linux/kvm_host.h>

void kvm_prepare_memory_fault_exit(struct kvm_vcpu *vcpu, gpa_t gpa, gpa_t size,
				   bool is_private)
{
	struct kvm_run *run = vcpu->run;

	run->memory_fault.flags = is_private ? KVM_MEMORY_EXIT_FLAG_PRIVATE : 0;
	run->memory_fault.gpa = gpa;
	run->memory_fault.size = size;

	/* No bits for the kind of access: the ABI has none. */
	run->exit_reason = KVM_EXIT_MEMORY_FAULT;
}
EXPORT_SYMBOL_GPL(kvm_prepare_memory_fault_exit);
