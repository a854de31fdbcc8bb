/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vCPUs whose registers KVM does not have, from the launch of a guest with
 * encrypted state on.
 */
#ifndef __KVM_X86_PROTECTED_H
#define __KVM_X86_PROTECTED_H

#include <linux/kvm_host.h>

/*
 * Are the registers the guest's alone? False for VMs of the default type:
 * access to them has always succeeded, without a meaning.
 */
bool kvm_regs_are_hidden(struct kvm_vcpu *vcpu);
/* Is @ioctl one of the vCPU's registers, and are they the guest's alone? */
bool kvm_ioctl_is_hidden(struct kvm_vcpu *vcpu, unsigned int ioctl);
/* Does kvm_run ask for registers that are the guest's alone? */
bool kvm_sync_regs_are_hidden(struct kvm_vcpu *vcpu);

/* Can the VM's vCPUs be in SMM? KVM enters and leaves it by their registers. */
bool kvm_has_smm(struct kvm *kvm);

#endif
