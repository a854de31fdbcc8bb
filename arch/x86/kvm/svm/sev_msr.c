// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs of guests with encrypted registers: one that the guest writes without an
 * exit has its value in the VMSA, and nobody else has it. APM vol 2, 15.35.
 */
#include <linux/kvm_host.h>

#include <asm/msr-index.h>

#include "svm.h"
#include "snp_guest.h"

bool sev_msr_is_hidden(struct kvm_vcpu *vcpu, u32 msr)
{
	/* Those that the map does not have are always asked for. */
	if (!vcpu->arch.guest_state_protected || msr == MSR_IA32_XSS ||
	    svm_msrpm_offset(msr) == MSR_INVALID)
		return false;

	return !msr_write_intercepted(vcpu, msr);
}

int sev_hidden_msr_ret(struct kvm_vcpu *vcpu, const struct msr_data *msr)
{
	if (vcpu->kvm->arch.vm_type == KVM_X86_DEFAULT_VM)
		return 0;

	/* A guest that asks for what it has itself gets #GP. */
	return msr->host_initiated ? -EINVAL : 1;
}
