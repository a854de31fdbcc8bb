// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM types of SEV, and KVM_SEV_INIT2, which makes a VM of such a type what its
 * type says. VMs of the default type keep KVM_SEV_INIT and KVM_SEV_ES_INIT.
 */
#include <linux/kvm_host.h>
#include <linux/uaccess.h>

#include "mmu.h"
#include "svm.h"
#include "x86.h"
#include "snp_guest.h"

/* What INIT2 takes: nothing yet that the guest could have or not have. */
#define VMSA_FEATURES_OPTIONAL	0ULL

static bool type_is_es(u8 type)
{
	return type == KVM_X86_SEV_ES_VM || type == KVM_X86_SNP_VM;
}

int sev_vm_init(struct kvm *kvm)
{
	struct kvm_sev_info *sev = &to_kvm_svm(kvm)->sev_info;
	u8 type = kvm->arch.vm_type;

	sev->need_init = type == KVM_X86_SEV_VM || type_is_es(type);

	return 0;
}

int sev_guest_init2(struct kvm *kvm, struct kvm_sev_cmd *argp)
{
	struct kvm_sev_info *sev = &to_kvm_svm(kvm)->sev_info;
	u8 type = kvm->arch.vm_type;
	struct kvm_sev_init data;
	u64 features;
	u16 version;
	int ret;

	if (!sev->need_init)
		return -EINVAL;

	if (copy_from_user(&data, u64_to_user_ptr(argp->data), sizeof(data)))
		return -EFAULT;

	if (data.flags || data.vmsa_features & ~VMSA_FEATURES_OPTIONAL ||
	    data.ghcb_version > SNP_GHCB_VERSION)
		return -EINVAL;
	/* Without encrypted state there is neither VMSA nor GHCB. */
	if (!type_is_es(type) && (data.vmsa_features || data.ghcb_version))
		return -EINVAL;
	if (type == KVM_X86_SNP_VM && data.ghcb_version == 1)
		return -EINVAL;

	features = data.vmsa_features;
	if (type == KVM_X86_SNP_VM)
		features |= SEV_FEAT_SNP_ACTIVE;
	version = data.ghcb_version ?: SNP_GHCB_VERSION;

	ret = __sev_guest_init(kvm, argp, type_is_es(type), features, version);
	if (!ret)
		sev->need_init = false;

	return ret;
}

int sev_dev_get_attr(u64 attr, u64 *val)
{
	switch (attr) {
	case KVM_X86_SEV_VMSA_FEATURES:
		*val = VMSA_FEATURES_OPTIONAL;
		return 0;
	default:
		return -ENXIO;
	}
}
