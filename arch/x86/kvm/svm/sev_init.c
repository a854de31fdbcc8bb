// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM types of SEV, and KVM_SEV_INIT2, which makes a VM of such a type what its
 * type says. VMs of the default type keep KVM_SEV_INIT and KVM_SEV_ES_INIT.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cc_platform.h>
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/psp-snp.h>
#include <linux/uaccess.h>

#include <asm/cpufeature.h>
#include <asm/tsc.h>

#include "mmu.h"
#include "mmu/private.h"
#include "svm.h"
#include "x86.h"
#include "snp_guest.h"

/* SEV_FEATURES that INIT2 takes, as user space wants them */
static u64 optional_features __ro_after_init;

/* Hide ciphertext of SNP guests, and have so many ASIDs for them alone. */
static unsigned int ciphertext_hiding_asids;
module_param(ciphertext_hiding_asids, uint, 0444);

/* Those below min_sev_asid; empty if the first is above the last. */
struct asids {
	unsigned int min, max;
};

static struct asids es_asids __ro_after_init;
static struct asids snp_asids __ro_after_init;

/* What platform and kernel know of a guest's policy; 0 without SNP */
static u64 policy_bits __ro_after_init;

/* Is there KVM_SEV_SNP_ENABLE_REQ_CERTS? */
static bool req_certs __ro_after_init;

unsigned int __init sev_asids_to_hide(bool snp, unsigned int min_sev_asid)
{
	unsigned int wanted = ciphertext_hiding_asids;

	/* Without, nothing here may need the ccp driver. */
	if (!IS_ENABLED(CONFIG_KVM_AMD_SEV))
		return 0;

	if (!wanted)
		return 0;

	if (!snp || !sev_is_snp_ciphertext_hiding_supported()) {
		ciphertext_hiding_asids = 0;
		pr_warn("ciphertext_hiding_asids=%u: nothing is hidden, for %s\n",
			wanted, snp ? "the firmware cannot" : "there is no SNP");
	} else if (min_sev_asid && wanted >= min_sev_asid) {
		ciphertext_hiding_asids = min_sev_asid - 1;
		pr_warn("ciphertext_hiding_asids=%u: there are %u, and none for SEV-ES\n",
			wanted, ciphertext_hiding_asids);
	}

	return ciphertext_hiding_asids;
}

void __init sev_asids_setup(unsigned int min_sev_asid, unsigned int hidden)
{
	unsigned int last = min_sev_asid ? min_sev_asid - 1 : 0;

	if (!IS_ENABLED(CONFIG_KVM_AMD_SEV) || !snp_is_initialized())
		hidden = 0;

	ciphertext_hiding_asids = hidden;
	snp_asids = (struct asids) { last ? 1 : 0, hidden ?: last };
	es_asids = (struct asids) { last ? hidden + 1 : 0, last };
	if (hidden)
		pr_info("SEV-SNP ciphertext hiding enabled\n");
}

bool __init sev_es_usable(void)
{
	return IS_ENABLED(CONFIG_KVM_AMD_SEV) &&
	       es_asids.min <= es_asids.max &&
	       (!snp_is_initialized() || sev_firmware_allows_es());
}

/* The first of what SNP needs that is missing, and what to do; or NULL. */
static const char * __init snp_lack(bool sev, bool es, bool snp)
{
	if (!snp)
		return "its parameter: load kvm_amd with sev_snp=1";
	if (!npt_enabled)
		return "nested paging: load kvm_amd with npt=1";
	if (!kvm_mmu_has_private_mem())
		return "the TDP MMU: load kvm with tdp_mmu=1";
	if (!sev)
		return "SEV: load kvm_amd with sev=1";
	if (!snp_asids.max)
		return "ASIDs of SEV-ES: have the BIOS raise the minimum SEV ASID";
	if (!enable_mmio_caching)
		return "caching of MMIO: load kvm with mmio_caching=1";
	if (!es)
		return "SEV-ES: load kvm_amd with sev_es=1";
	if (!cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		return "an RMP: see what SEV-SNP and AMD-Vi say at boot";
	if (!snp_is_initialized())
		return "its firmware: see what ccp says";

	return NULL;
}

bool __init snp_usable(bool sev, bool es, bool snp)
{
	const char *lack = snp_lack(sev, es, snp);

	if (lack && boot_cpu_has(X86_FEATURE_SEV_SNP))
		pr_info("SEV-SNP needs %s\n", lack);

	return !lack;
}

static const char * __init state(bool supported, bool usable)
{
	if (!supported)
		return "disabled";
	return usable ? "enabled" : "unusable";
}

void __init sev_init_report(bool es, bool snp)
{
	if (boot_cpu_has(X86_FEATURE_SEV_ES))
		pr_info("SEV-ES %s (ASIDs %u - %u)\n",
			state(es, sev_es_usable()), es_asids.min, es_asids.max);
	if (boot_cpu_has(X86_FEATURE_SEV_SNP))
		pr_info("SEV-SNP %s (ASIDs %u - %u)\n", state(snp, true),
			snp_asids.min, snp_asids.max);

	if (es && boot_cpu_has(X86_FEATURE_DEBUG_SWAP) &&
	    boot_cpu_has(X86_FEATURE_NO_NESTED_DATA_BP))
		optional_features |= SEV_FEAT_DEBUG_SWAP;
	if (!snp || !IS_ENABLED(CONFIG_KVM_AMD_SNP))
		return;

	policy_bits = sev_get_snp_policy_bits() & SNP_POLICY_KNOWN;
	req_certs = true;
	/* Firmware has to be told how fast the guest's clock is. */
	if (tsc_khz && boot_cpu_has(X86_FEATURE_SNP_SECURE_TSC))
		optional_features |= SEV_FEAT_SECURE_TSC;
}

void sev_es_asids(struct kvm_sev_info *sev, unsigned int *min,
		  unsigned int *max)
{
	struct kvm_svm *kvm_svm = container_of(sev, struct kvm_svm, sev_info);
	bool snp = kvm_svm->kvm.arch.vm_type == KVM_X86_SNP_VM;

	*min = snp ? snp_asids.min : es_asids.min;
	*max = snp ? snp_asids.max : es_asids.max;
}

u64 snp_policy_bits(void)
{
	return policy_bits;
}

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

/*
 * SNP guests have commands of their own, and nobody else has those. The errno
 * for command @id of KVM_MEMORY_ENCRYPT_OP is upstream's; 0 if @kvm may have it.
 * Under kvm->lock; nothing is changed.
 */
int sev_check_cmd(struct kvm *kvm, u32 id)
{
	bool snp_cmd = id >= KVM_SEV_SNP_LAUNCH_START;

	if (sev_snp_guest(kvm))
		return snp_cmd ? 0 : -EPERM;

	switch (id) {
	case KVM_SEV_SNP_LAUNCH_START:
	case KVM_SEV_SNP_LAUNCH_FINISH:
		return -ENOTTY;
	default:
		return snp_cmd ? -EINVAL : 0;
	}
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

	features = optional_features;
	if (type != KVM_X86_SNP_VM)
		features &= ~SEV_FEAT_SECURE_TSC;
	if (data.flags || data.vmsa_features & ~features ||
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
		*val = optional_features;
		return 0;
	case KVM_X86_SNP_POLICY_BITS:
		*val = policy_bits;
		return 0;
	case KVM_X86_SEV_SNP_REQ_CERTS:
		*val = req_certs;
		return 0;
	default:
		return -ENXIO;
	}
}
