// SPDX-License-Identifier: GPL-2.0-only
/*
 * What KVM does not do to vCPUs whose registers it does not have.
 */
#include "protected.h"

bool kvm_regs_are_hidden(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.guest_state_protected &&
	       vcpu->kvm->arch.vm_type != KVM_X86_DEFAULT_VM;
}

bool kvm_ioctl_is_hidden(struct kvm_vcpu *vcpu, unsigned int ioctl)
{
	switch (ioctl) {
	case KVM_GET_SREGS2:
	case KVM_SET_SREGS2:
	case KVM_GET_DEBUGREGS:
	case KVM_SET_DEBUGREGS:
	case KVM_GET_XSAVE:
	case KVM_GET_XSAVE2:
	case KVM_SET_XSAVE:
	case KVM_GET_XCRS:
	case KVM_SET_XCRS:
		return kvm_regs_are_hidden(vcpu);
	default:
		return false;
	}
}

bool kvm_sync_regs_are_hidden(struct kvm_vcpu *vcpu)
{
	return kvm_regs_are_hidden(vcpu) && (vcpu->run->kvm_valid_regs ||
					     vcpu->run->kvm_dirty_regs);
}

bool kvm_has_smm(struct kvm *kvm)
{
	return static_call(kvm_x86_has_emulated_msr)(kvm, MSR_IA32_SMBASE);
}
