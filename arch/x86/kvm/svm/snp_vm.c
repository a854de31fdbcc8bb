// SPDX-License-Identifier: GPL-2.0-only
/*
 * SNP guests: what lives as long as the VM and its vCPUs do.
 */
#include <linux/cc_platform.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/psp-sev.h>
#include <linux/psp-snp.h>

#include <asm/fpu/api.h>
#include <asm/rmp.h>

#include "svm.h"
#include "snp_guest.h"

int snp_host_flush_asids(int *error)
{
	return sev_do_cmd(SEV_CMD_SNP_DF_FLUSH, NULL, error);
}

/*
 * While a VMCB, a VMSA or the host save area is in use that is aligned to 2M,
 * hardware takes all of the 2M for in use if one mapping has it: a write of the
 * host's anywhere in it faults. So take the other page of a pair then.
 */
struct page *snp_safe_alloc_page(gfp_t gfp)
{
	struct page *pair, *page;

	if (!cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		return alloc_page(gfp);

	pair = alloc_pages(gfp, 1);
	if (!pair)
		return NULL;

	split_page(pair, 1);
	page = pair;
	if (IS_ALIGNED(page_to_pfn(page), PTRS_PER_PMD))
		page++;
	__free_page(page == pair ? pair + 1 : pair);

	return page;
}

void snp_vmsa_free(struct kvm_vcpu *vcpu, void *vmsa)
{
	u64 pfn = __pa(vmsa) >> PAGE_SHIFT;

	/* From LAUNCH_FINISH on the guest owns it. */
	if (vcpu->arch.guest_state_protected) {
		sev_flush_encrypted_page(vcpu, vmsa);
		if (rmp_make_shared(pfn, PG_LEVEL_4K)) {
			snp_leak_pages(pfn, 1, SNP_LEAK_VMSA);
			return;
		}
	}

	__free_page(virt_to_page(vmsa));
}

void snp_vcpu_init(struct vcpu_svm *svm)
{
	mutex_init(&svm->snp.vmsa_mutex);
	svm->snp.vmsa_gpa = INVALID_PAGE;
	svm->snp.ghcb_gpa = INVALID_PAGE;
	kvm_mmu_prefault_init(&svm->snp.prefault);
	svm->vcpu.arch.guest_tsc_protected =
		to_kvm_svm(svm->vcpu.kvm)->sev_info.vmsa_features &
		SEV_FEAT_SECURE_TSC;
}

void snp_vcpu_hand_over(struct vcpu_svm *svm)
{
	/* Hardware keeps FPU and branch records of the guest from here on. */
	fpstate_set_confidential(&svm->vcpu.arch.guest_fpu);
	svm->vmcb->control.virt_ext |= LBR_CTL_ENABLE_MASK;
	svm->vcpu.arch.guest_state_protected = true;
	vmcb_mark_all_dirty(svm->vmcb);
}

int snp_vcpu_pre_run(struct kvm_vcpu *vcpu)
{
	/*
	 * Not before LAUNCH_FINISH, which may have failed with the VMSA handed
	 * over already. A vCPU that came after it has nothing to run before AP
	 * creation, which is taken on the way in. A vCPU whose VMSA the guest
	 * took away stands until it gets another one; svm_vcpu_run() does not
	 * run it without.
	 */
	if (!to_kvm_svm(vcpu->kvm)->sev_info.snp.launched)
		return -EINVAL;

	return vcpu->arch.guest_state_protected ||
	       kvm_test_request(KVM_REQ_UPDATE_PROTECTED_GUEST_STATE, vcpu) ?
	       1 : -EINVAL;
}

bool snp_vm_destroy(struct kvm *kvm)
{
	struct kvm_snp_info *snp = &to_kvm_svm(kvm)->sev_info.snp;
	struct sev_data_snp_addr data = {};
	int error = 0, ret;

	/* INIT2 without LAUNCH_START: the firmware knows nothing of the VM. */
	if (!snp->context)
		return true;

	snp_requests_free(snp);
	data.address = __sme_pa(snp->context);

	/* DECOMMISSION clears the need for a flush, as DEACTIVATE does. */
	sev_deactivate_lock_write();
	ret = sev_do_cmd(SEV_CMD_SNP_DECOMMISSION, &data, &error);
	sev_deactivate_unlock_write();

	/* The firmware keeps the page and the ASID; so do we, without using it. */
	if (ret) {
		pr_err_ratelimited("SEV-SNP: DECOMMISSION failed, ret=%d, error=%#x\n",
				   ret, error);
		snp_leak_pages(__pa(snp->context) >> PAGE_SHIFT, 1,
			       SNP_LEAK_CONTEXT);
		snp->context = NULL;
		return false;
	}

	snp_free_firmware_page(snp->context);
	snp->context = NULL;

	return true;
}
