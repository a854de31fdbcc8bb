// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of version 2 of the GHCB protocol, by MSR and by page.
 *
 * sev.c copied registers, exit code, exit information and the valid bits of the
 * page before it called; nothing of them is read from the page again.
 */
#include <linux/bitfield.h>
#include <linux/kvm_host.h>

#include <asm/sev-common.h>

#include "svm.h"
#include "snp_guest.h"

#define MSR_PREF_GPA_REQ	0x010
#define MSR_PREF_GPA_RESP	0x011
#define MSR_DATA		GENMASK_ULL(63, 12)
#define MSR_NO_GPA		MSR_DATA

#define HV_FEATURES		(GHCB_HV_FT_SNP | GHCB_HV_FT_SNP_AP_CREATION)

static u64 msr_resp(u64 code, u64 data)
{
	return code | FIELD_PREP(MSR_DATA, data);
}

/* What the guest may ask for depends on what it is. */
static u64 hv_features(struct kvm_vcpu *vcpu)
{
	return sev_snp_guest(vcpu->kvm) ? HV_FEATURES : 0;
}

static int exit_terminated(struct kvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	run->system_event.type = KVM_SYSTEM_EVENT_SEV_TERM;
	run->system_event.ndata = 1;
	run->system_event.data[0] = to_svm(vcpu)->vmcb->control.ghcb_gpa;

	return 0;
}

int snp_handle_msr_protocol(struct vcpu_svm *svm, u64 ghcb_msr)
{
	u64 *resp = &svm->vmcb->control.ghcb_gpa;
	struct kvm_vcpu *vcpu = &svm->vcpu;

	/* Version 1 leaves what it does not know as it is. */
	if (to_kvm_svm(vcpu->kvm)->sev_info.ghcb_version < SNP_GHCB_VERSION)
		return 1;

	switch (ghcb_msr & GHCB_MSR_INFO_MASK) {
	case GHCB_MSR_AP_RESET_HOLD_REQ:
		svm->snp.hold = SNP_HOLD_MSR;
		*resp = msr_resp(GHCB_MSR_AP_RESET_HOLD_RESP, 0);
		return kvm_emulate_ap_reset_hold(vcpu);
	case GHCB_MSR_HV_FT_REQ:
		*resp = msr_resp(GHCB_MSR_HV_FT_RESP, hv_features(vcpu));
		return 1;
	}

	switch (ghcb_msr & GHCB_MSR_INFO_MASK) {
	case MSR_PREF_GPA_REQ:
	case GHCB_MSR_REG_GPA_REQ:
	case GHCB_MSR_PSC_REQ:
		if (sev_snp_guest(vcpu->kvm))
			break;
		pr_info_ratelimited("SEV-ES guest requested SNP service: %#llx\n",
				    ghcb_msr);
		return exit_terminated(vcpu);
	default:
		return 1;
	}

	switch (ghcb_msr & GHCB_MSR_INFO_MASK) {
	case MSR_PREF_GPA_REQ:
		*resp = MSR_PREF_GPA_RESP | MSR_NO_GPA;
		return 1;
	case GHCB_MSR_REG_GPA_REQ:
		svm->snp.ghcb_gpa = ghcb_msr & MSR_DATA;
		*resp = GHCB_MSR_REG_GPA_RESP | svm->snp.ghcb_gpa;
		return 1;
	default:
		return snp_begin_psc_msr(svm, ghcb_msr);
	}
}

bool snp_ghcb_registered(struct vcpu_svm *svm, gpa_t ghcb_gpa)
{
	return !sev_snp_guest(svm->vcpu.kvm) || svm->snp.ghcb_gpa == ghcb_gpa;
}

bool snp_vmgexit_input_valid(struct vcpu_svm *svm, u64 exit_code, u64 *reason)
{
	struct vmcb_control_area *control = &svm->vmcb->control;
	struct kvm *kvm = svm->vcpu.kvm;

	*reason = GHCB_ERR_INVALID_EVENT;
	if (to_kvm_svm(kvm)->sev_info.ghcb_version < SNP_GHCB_VERSION)
		return false;

	switch (exit_code) {
	case SVM_VMGEXIT_HV_FEATURES:
	case SVM_VMGEXIT_TERM_REQUEST:
		return true;
	case SVM_VMGEXIT_PSC:
	case SVM_VMGEXIT_AP_CREATION:
	case SVM_VMGEXIT_GUEST_REQUEST:
	case SVM_VMGEXIT_EXT_GUEST_REQUEST:
		if (sev_snp_guest(kvm))
			break;
		return false;
	default:
		return false;
	}

	*reason = GHCB_ERR_MISSING_INPUT;

	switch (exit_code) {
	case SVM_VMGEXIT_PSC:
		return kvm_ghcb_sw_scratch_is_valid(svm);
	case SVM_VMGEXIT_AP_CREATION:
		return lower_32_bits(control->exit_info_1) ==
		       SVM_VMGEXIT_AP_DESTROY || kvm_ghcb_rax_is_valid(svm);
	case SVM_VMGEXIT_EXT_GUEST_REQUEST:
		return kvm_ghcb_rax_is_valid(svm) && kvm_ghcb_rbx_is_valid(svm);
	default:
		return true;
	}
}

static int ghcb_error(struct vcpu_svm *svm, u64 reason)
{
	ghcb_set_sw_exit_info_1(svm->sev_es.ghcb, 2);
	ghcb_set_sw_exit_info_2(svm->sev_es.ghcb, reason);

	return 1;
}

int snp_handle_vmgexit(struct vcpu_svm *svm, u64 exit_code)
{
	struct vmcb_control_area *control = &svm->vmcb->control;
	struct kvm_vcpu *vcpu = &svm->vcpu;

	switch (exit_code) {
	case SVM_VMGEXIT_HV_FEATURES:
		ghcb_set_sw_exit_info_2(svm->sev_es.ghcb, hv_features(vcpu));
		return 1;
	case SVM_VMGEXIT_TERM_REQUEST:
		pr_info_ratelimited("SEV-ES guest requested termination: reason %#llx info %#llx\n",
				    control->exit_info_1, control->exit_info_2);
		return exit_terminated(vcpu);
	case SVM_VMGEXIT_PSC:
		return snp_begin_psc(svm);
	case SVM_VMGEXIT_AP_CREATION:
		if (snp_ap_creation(svm))
			return ghcb_error(svm, GHCB_ERR_INVALID_INPUT);
		return 1;
	case SVM_VMGEXIT_GUEST_REQUEST:
		return snp_guest_request(svm);
	case SVM_VMGEXIT_EXT_GUEST_REQUEST:
		return snp_ext_guest_request(svm);
	default:
		return ghcb_error(svm, GHCB_ERR_INVALID_EVENT);
	}
}

void snp_deliver_sipi(struct vcpu_svm *svm)
{
	/* Non-zero says that it was a SIPI that ended the hold. */
	switch (svm->snp.hold) {
	case SNP_HOLD_NAE:
		if (svm->sev_es.ghcb)
			ghcb_set_sw_exit_info_2(svm->sev_es.ghcb, 1);
		break;
	case SNP_HOLD_MSR:
		svm->vmcb->control.ghcb_gpa =
			msr_resp(GHCB_MSR_AP_RESET_HOLD_RESP, 1);
		break;
	case SNP_HOLD_NONE:
		break;
	}

	svm->snp.hold = SNP_HOLD_NONE;
}
