// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMSAs that the guest makes: AP creation by the GHCB protocol, and what
 * becomes of a vCPU whose VMSA's page goes away.
 */
#include <linux/kvm_host.h>
#include <linux/mm.h>

#include "cpuid.h"
#include "svm.h"
#include "snp_guest.h"

#define OP_MASK		GENMASK_ULL(31, 0)
#define APIC_ID_SHIFT	32

/*
 * Have the vCPU run the VMSA at @gpa, or none. vmsa_mutex held. False if
 * memory is changing right now: try again.
 */
static bool switch_vmsa(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;
	struct kvm *kvm = vcpu->kvm;
	gfn_t gfn = gpa_to_gfn(gpa);
	struct kvm_memory_slot *slot;
	unsigned long seq;
	kvm_pfn_t pfn;
	int order = 0, ret;
	bool stale;

	control->vmsa_pa = INVALID_PAGE;
	vmcb_mark_all_dirty(to_svm(vcpu)->vmcb);

	if (gpa == INVALID_PAGE)
		return true;

	seq = kvm->mmu_invalidate_seq;
	/* Before the look-ups; mmu_invalidate_retry_gfn() has the other half. */
	smp_rmb();

	slot = gfn_to_memslot(kvm, gfn);
	if (!slot || !(slot->flags & KVM_MEM_GUEST_MEMFD) ||
	    !kvm_mem_is_private(kvm, gfn))
		return true;

	ret = kvm_gmem_get_pfn(kvm, slot, gfn, &pfn, &order);
	if (ret == -EAGAIN)
		return false;
	if (ret)
		return true;

	/* Once vmsa_pa is set, an invalidation has to find vmsa_gpa. */
	read_lock(&kvm->mmu_lock);
	stale = mmu_invalidate_retry_gfn(kvm, seq, gfn);
	if (!stale)
		control->vmsa_pa = PFN_PHYS(pfn);
	read_unlock(&kvm->mmu_lock);

	/* The file holds the page: it asks for a reload before it lets go. */
	kvm_release_pfn_clean(pfn);

	return !stale;
}

/* Have the vCPU run vmsa_gpa. vmsa_mutex held. */
static void apply_vmsa(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	/* Nothing runs before the request was looked at again. */
	if (!switch_vmsa(vcpu, svm->snp.vmsa_gpa))
		kvm_make_request(KVM_REQ_VMSA_PAGE_RELOAD, vcpu);
	else if (!VALID_PAGE(svm->vmcb->control.vmsa_pa))
		/* Nothing to run, until the guest makes another one. */
		vcpu->arch.mp_state = KVM_MP_STATE_STOPPED;
}

/*
 * A vCPU that came after LAUNCH_FINISH: nobody measured the registers that
 * user space gave it, and nobody ever runs them.
 */
static void drop_unlaunched(struct vcpu_svm *svm)
{
	if (svm->vcpu.arch.guest_state_protected)
		return;

	/* It never was the guest's, and vmsa_pa is about to be another one. */
	__free_page(virt_to_page(svm->sev_es.vmsa));
	svm->sev_es.vmsa = NULL;
	snp_vcpu_hand_over(svm);
}

void snp_vcpu_init_event(struct kvm_vcpu *vcpu)
{
	struct vcpu_snp_state *snp = &to_svm(vcpu)->snp;

	mutex_lock(&snp->vmsa_mutex);
	if (snp->ap_pending) {
		snp->ap_pending = false;
		snp->has_guest_vmsa = true;
		drop_unlaunched(to_svm(vcpu));
		/* A SIPI must not answer what the old registers asked. */
		snp->hold = SNP_HOLD_NONE;
		WRITE_ONCE(snp->vmsa_gpa, snp->next_gpa);
		vcpu->arch.mp_state = KVM_MP_STATE_RUNNABLE;
		apply_vmsa(vcpu);
	}
	mutex_unlock(&snp->vmsa_mutex);
}

void snp_reload_vmsa(struct kvm_vcpu *vcpu)
{
	struct vcpu_snp_state *snp = &to_svm(vcpu)->snp;

	mutex_lock(&snp->vmsa_mutex);
	if (snp->has_guest_vmsa)
		apply_vmsa(vcpu);
	mutex_unlock(&snp->vmsa_mutex);
}

/*
 * SVM_VMGEXIT_AP_CREATION. Everything is checked before the target is touched.
 * Returns 0 or -EINVAL, with nothing changed then.
 */
int snp_ap_creation(struct vcpu_svm *svm)
{
	struct vmcb_control_area *control = &svm->vmcb->control;
	struct kvm_vcpu *vcpu = &svm->vcpu, *target;
	u64 op = control->exit_info_1 & OP_MASK;
	gpa_t gpa = INVALID_PAGE;
	struct vcpu_snp_state *snp;

	/* The ID of a vCPU is that of its APIC from reset on. */
	target = kvm_get_vcpu_by_id(vcpu->kvm,
				    control->exit_info_1 >> APIC_ID_SHIFT);
	if (!target)
		return -EINVAL;

	switch (op) {
	case SVM_VMGEXIT_AP_CREATE_ON_INIT:
	case SVM_VMGEXIT_AP_CREATE:
		/* The features are the VM's, to be had or left. */
		if (kvm_rax_read(vcpu) !=
		    to_kvm_svm(vcpu->kvm)->sev_info.vmsa_features)
			return -EINVAL;

		/*
		 * Hardware mixes up a VMSA in use that is 2M aligned with the
		 * 2M page that it begins.
		 */
		gpa = control->exit_info_2;
		if (!page_address_valid(vcpu, gpa) ||
		    IS_ALIGNED(gpa, PMD_SIZE))
			return -EINVAL;
		break;
	case SVM_VMGEXIT_AP_DESTROY:
		break;
	default:
		return -EINVAL;
	}

	snp = &to_svm(target)->snp;
	mutex_lock(&snp->vmsa_mutex);
	snp->next_gpa = gpa;
	snp->ap_pending = true;
	mutex_unlock(&snp->vmsa_mutex);

	/* On INIT, the target takes it when the INIT comes. */
	if (op != SVM_VMGEXIT_AP_CREATE_ON_INIT) {
		kvm_make_request(KVM_REQ_UPDATE_PROTECTED_GUEST_STATE, target);
		kvm_vcpu_kick(target);
	}

	return 0;
}
