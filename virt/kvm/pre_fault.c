// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY: map guest memory before the guest touches it.
 */
#include <linux/kvm_host.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

static_assert(sizeof(struct kvm_pre_fault_memory) == 64);

/* Work through @range, moving its start on; stops at the first error. */
static long pre_fault_range(struct kvm_vcpu *vcpu,
			    struct kvm_pre_fault_memory *range)
{
	long r = 0;
	int idx;

	vcpu_load(vcpu);
	idx = srcu_read_lock(&vcpu->kvm->srcu);

	while (range->size) {
		if (signal_pending(current)) {
			r = -EINTR;
			break;
		}

		r = kvm_arch_vcpu_pre_fault_memory(vcpu, range->gpa, range->size);
		if (WARN_ON_ONCE(!r))
			r = -EIO;
		if (r < 0)
			break;

		range->gpa += r;
		range->size -= r;
		r = 0;
		cond_resched();
	}

	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	vcpu_put(vcpu);

	return r;
}

int kvm_vcpu_ioctl_pre_fault_memory(struct kvm_vcpu *vcpu, void __user *argp)
{
	struct kvm_pre_fault_memory range;
	u64 size;
	long r;

	BUILD_BUG_ON(KVM_PRE_FAULT_MEMORY != 0xc040aed5);

	if (copy_from_user(&range, argp, sizeof(range)))
		return -EFAULT;

	if (range.flags || !range.size ||
	    !PAGE_ALIGNED(range.gpa) || !PAGE_ALIGNED(range.size) ||
	    range.gpa + range.size <= range.gpa)
		return -EINVAL;

	size = range.size;
	r = pre_fault_range(vcpu, &range);

	/* Progress is no error: userspace comes again for the rest. */
	if (range.size == size)
		return r;

	return copy_to_user(argp, &range, sizeof(range)) ? -EFAULT : 0;
}
