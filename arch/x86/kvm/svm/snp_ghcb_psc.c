// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page state changes that the guest asks for: KVM has userspace set the
 * attributes, run by run. What becomes private by a batch, or shared page by page,
 * is mapped then, up to a limit, and as far as the guest uses what was; all else
 * follows when the guest touches it.
 */
#include <linux/bitfield.h>
#include <linux/kvm_host.h>
#include <linux/kvm_para.h>

#include <asm/sev-common.h>

#include "mmu/private.h"
#include "svm.h"
#include "x86.h"
#include "snp_guest.h"

#define MSR_PSC_GFN	GENMASK_ULL(51, 12)
#define MSR_PSC_OP	GENMASK_ULL(55, 52)
#define MSR_PSC_ERROR	BIT_ULL(63)

static int complete_psc_msr(struct kvm_vcpu *vcpu);
static int complete_psc(struct kvm_vcpu *vcpu);

static bool exit_enabled(struct kvm *kvm)
{
	return kvm->arch.hypercall_exit_enabled & BIT(KVM_HC_MAP_GPA_RANGE);
}

static int exit_map_gpa_range(struct kvm_vcpu *vcpu, struct psc_run *r,
			      int (*complete)(struct kvm_vcpu *vcpu))
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_HYPERCALL;
	memset(&run->hypercall, 0, sizeof(run->hypercall));
	run->hypercall.nr = KVM_HC_MAP_GPA_RANGE;
	run->hypercall.args[0] = gfn_to_gpa(r->gfn);
	run->hypercall.args[1] = r->npages;
	run->hypercall.args[2] = r->private ? KVM_MAP_GPA_RANGE_ENCRYPTED :
					      KVM_MAP_GPA_RANGE_DECRYPTED;
	run->hypercall.args[2] |= r->huge ? KVM_MAP_GPA_RANGE_PAGE_SZ_2M :
					    KVM_MAP_GPA_RANGE_PAGE_SZ_4K;
	run->hypercall.longmode = 1;
	vcpu->arch.complete_userspace_io = complete;

	return 0;
}

/* Not an answer: fail KVM_RUN, and ask again if it is called again. */
static int bad_answer(struct kvm_vcpu *vcpu,
		      int (*complete)(struct kvm_vcpu *vcpu))
{
	vcpu->arch.complete_userspace_io = complete;

	return -EINVAL;
}

static int psc_msr_done(struct vcpu_svm *svm, u64 error)
{
	svm->vmcb->control.ghcb_gpa = GHCB_MSR_PSC_RESP | error;

	return 1;
}

static int exit_psc_msr(struct vcpu_svm *svm)
{
	struct psc_run run = {
		.gfn = FIELD_GET(MSR_PSC_GFN, svm->snp.psc_msr),
		.npages = 1,
		.private = FIELD_GET(MSR_PSC_OP, svm->snp.psc_msr) ==
			   PSC_OP_PRIVATE,
	};

	return exit_map_gpa_range(&svm->vcpu, &run, complete_psc_msr);
}

static int complete_psc_msr(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	switch (vcpu->run->hypercall.ret) {
	case 0:
		return psc_msr_done(svm, 0);
	case EAGAIN:
		/* No guest asks twice: ask userspace in its place. */
		return exit_psc_msr(svm);
	case EINVAL:
		return psc_msr_done(svm, MSR_PSC_ERROR);
	default:
		return bad_answer(vcpu, complete_psc_msr);
	}
}

int snp_begin_psc_msr(struct vcpu_svm *svm, u64 ghcb_msr)
{
	u64 op = FIELD_GET(MSR_PSC_OP, ghcb_msr);

	if ((op != PSC_OP_PRIVATE && op != PSC_OP_SHARED) ||
	    !exit_enabled(svm->vcpu.kvm))
		return psc_msr_done(svm, MSR_PSC_ERROR);

	svm->snp.psc_msr = ghcb_msr;

	return exit_psc_msr(svm);
}

static int psc_done(struct vcpu_svm *svm, u64 info)
{
	svm->snp.psc_buf = NULL;
	ghcb_set_sw_exit_info_1(svm->sev_es.ghcb, 0);
	ghcb_set_sw_exit_info_2(svm->sev_es.ghcb, info);

	return 1;
}

static int continue_psc(struct vcpu_svm *svm)
{
	struct psc_run run;
	u64 error;

	error = psc_batch_next(&svm->snp.psc, &run);
	if (error)
		return psc_done(svm, error);

	if (!run.npages) {
		psc_batch_done(&svm->snp.psc, svm->snp.psc_buf);
		return psc_done(svm, PSC_OK);
	}

	return exit_map_gpa_range(&svm->vcpu, &run, complete_psc);
}

static int complete_psc(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);
	struct psc_run run;

	switch (vcpu->run->hypercall.ret) {
	case 0:
		/*
		 * The guest validates next what is its own, and what it has
		 * shared by pages it is about to hand over: spare it faults.
		 * What is shared in blocks it may use in part only.
		 */
		if (!psc_batch_next(&svm->snp.psc, &run) &&
		    (run.private || !run.huge))
			kvm_mmu_prefault(vcpu, &svm->snp.prefault, run.gfn,
					 run.npages, run.private);
		psc_batch_done(&svm->snp.psc, svm->snp.psc_buf);
		return continue_psc(svm);
	case EAGAIN:
		/* cur_entry is on what is undone: the guest calls again. */
		return psc_done(svm, PSC_OK);
	case EINVAL:
		return psc_done(svm, PSC_GENERIC);
	default:
		return bad_answer(vcpu, complete_psc);
	}
}

int snp_begin_psc(struct vcpu_svm *svm)
{
	u64 begin = svm->vmcb->control.ghcb_gpa +
		    offsetof(struct ghcb, shared_buffer);
	u64 scratch = svm->sev_es.sw_scratch;
	struct ghcb *ghcb = svm->sev_es.ghcb;
	u64 end = begin + sizeof(ghcb->shared_buffer);
	u64 error;

	/* From version 2 on, the buffer is the GHCB's own. */
	if (scratch < begin || scratch >= end) {
		ghcb_set_sw_exit_info_1(ghcb, 2);
		ghcb_set_sw_exit_info_2(ghcb, GHCB_ERR_INVALID_SCRATCH_AREA);
		return 1;
	}

	if (!exit_enabled(svm->vcpu.kvm))
		return psc_done(svm, PSC_GENERIC);

	kvm_mmu_prefault_begin(&svm->vcpu, &svm->snp.prefault);

	svm->snp.psc_buf = ghcb->shared_buffer + (scratch - begin);
	error = psc_batch_load(&svm->snp.psc, svm->snp.psc_buf, end - scratch);
	if (error)
		return psc_done(svm, error);

	return continue_psc(svm);
}
