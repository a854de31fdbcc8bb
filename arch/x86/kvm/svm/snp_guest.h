/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SEV-SNP guests: what svm.c and sev.c call, and what the snp_*.c files share.
 *
 * Without CONFIG_KVM_AMD_SNP no VM is an SNP guest, and all calls go away.
 */
#ifndef __KVM_X86_SVM_SNP_GUEST_H
#define __KVM_X86_SVM_SNP_GUEST_H

#include <linux/gfp.h>
#include <linux/kvm_host.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>

#include "mmu/private.h"
#include "snp_psc.h"

struct kvm_sev_cmd;
struct vcpu_svm;
struct sev_es_save_area;
struct vmcb_save_area;

/* The GHCB protocol's bound for VMs that asked for a version by INIT2. */
#define SNP_GHCB_VERSION	2

/* SEV_FEATURES in the VMSA. */
#define SEV_FEAT_SNP_ACTIVE	BIT_ULL(0)
#define SEV_FEAT_DEBUG_SWAP	BIT_ULL(5)
#define SEV_FEAT_SECURE_TSC	BIT_ULL(9)
/* VMCB 138h: the rest of the field is meant. */
#define ALLOWED_SEV_FEATURES_VALID	BIT_ULL(63)

/*
 * Bits of a guest's policy that KVM knows what to do about; bit 18 is for
 * migration agents, which it does not have.
 */
#define SNP_POLICY_KNOWN	(GENMASK_ULL(17, 0) | GENMASK_ULL(25, 19))
#define SNP_POLICY_MUST_BE_ONE	BIT_ULL(17)

/*
 * Under kvm->lock. @context is firmware-owned, and NULL before LAUNCH_START.
 * @request_mutex: the three behind it; the two pages are there as long as
 * @context is, and guests' messages go through them.
 */
struct kvm_snp_info {
	void *context;
	bool launched;
	bool req_certs;		/* set before the first vCPU is made */
	struct mutex request_mutex;
	void *request;		/* what firmware reads */
	void *response;		/* what it writes, and owns */
	struct ratelimit_state request_limit;
};

enum snp_reset_hold { SNP_HOLD_NONE, SNP_HOLD_NAE, SNP_HOLD_MSR };

/*
 * @vmsa_mutex: the four behind it. Taken with the caller's
 * own vcpu->mutex held, never with another's wanted. @vmsa_gpa is read without
 * it where mmu_lock is held for write. The rest is the vCPU's own.
 */
struct vcpu_snp_state {
	struct mutex vmsa_mutex;	/* see above */
	gpa_t vmsa_gpa;			/* the guest's VMSA, or INVALID_PAGE */
	bool has_guest_vmsa;		/* KVM's own VMSA is history */
	bool ap_pending;		/* next_gpa is to be taken at INIT */
	gpa_t next_gpa;			/* as vmsa_gpa */

	gpa_t ghcb_gpa;			/* registered, or INVALID_PAGE */
	enum snp_reset_hold hold;
	u64 psc_msr;			/* PSC request under way */
	struct psc_batch psc;
	void *psc_buf;			/* where it came from, in the GHCB */
	struct kvm_mmu_prefault prefault;
};

/* sev_init.c: what a guest's policy may have on this platform */
u64 snp_policy_bits(void);

/* sev_vmsa.c */
bool sev_vmsa_is_lost(struct kvm_vcpu *vcpu);
void sev_es_sync_fpu(struct kvm_vcpu *vcpu, struct sev_es_save_area *save);
/* What VMEXIT of a guest that has the debug registers swapped restores. */
void sev_es_save_host_debug(struct sev_es_save_area *hostsa);
/* The VMCB's part of the SEV_FEATURES that the VM has. */
void sev_es_init_features(struct vcpu_svm *svm);
/* KVM_SET_NESTED_STATE's flags; one with encrypted state has no L2. */
bool sev_nested_flags_valid(struct kvm *kvm, u16 flags);

/*
 * sev_msr.c: has the guest, whose registers are encrypted, this MSR for itself?
 * What its access returns then: EINVAL to user space, #GP to the guest, but for
 * VMs of the default type 0, the value being 0.
 */
bool sev_msr_is_hidden(struct kvm_vcpu *vcpu, u32 msr);
int sev_hidden_msr_ret(struct kvm_vcpu *vcpu, const struct msr_data *msr);

/* sev_caches.c */
struct kvm_sev_info;
/* @cpu is about to run a vCPU of the VM. Any context. */
void sev_note_cpu(struct kvm *kvm, int cpu);
/* What ran with @src's ASID counts for @dst, whose ASID that becomes. */
void sev_take_cpus(struct kvm_sev_info *dst, struct kvm_sev_info *src);
/* Waits until all that have run the VM have written back; interrupts are on. */
void sev_writeback_caches(struct kvm *kvm);

/*
 * sev_dump.c: a copy of what the vCPU, which is not running, has in its VMSA;
 * NULL, and said, if the firmware does not tell. May sleep.
 */
struct vmcb_save_area *sev_copy_vmsa(struct kvm_vcpu *vcpu);
static inline void sev_free_vmsa_copy(struct vmcb_save_area *copy)
{
	free_page((unsigned long)copy);
}

/* snp_vm.c */
/* What ASIDs need that were an SNP guest's, before they are another's. */
int snp_host_flush_asids(int *error);
void snp_vcpu_init(struct vcpu_svm *svm);
/* As alloc_page(), for a page that hardware marks as in use at VMRUN. */
#ifdef CONFIG_KVM_AMD_SNP
struct page *snp_safe_alloc_page(gfp_t gfp);
#else
static inline struct page *snp_safe_alloc_page(gfp_t gfp)
{
	return alloc_page(gfp);
}
#endif
/* KVM's VMSA becomes the host's again and is freed, or it is leaked. */
void snp_vmsa_free(struct kvm_vcpu *vcpu, void *vmsa);
/* False if the guest's context may be alive still: keep the ASID. */
bool snp_vm_destroy(struct kvm *kvm);
/* The vCPU's registers are the guest's from here on. vcpu->mutex held. */
void snp_vcpu_hand_over(struct vcpu_svm *svm);
/* 1 if the vCPU may be run, else -EINVAL. */
int snp_vcpu_pre_run(struct kvm_vcpu *vcpu);

/* snp_launch.c: KVM_SEV_SNP_LAUNCH_*, under kvm->lock */
int snp_launch_start(struct kvm *kvm, struct kvm_sev_cmd *argp);
int snp_launch_update(struct kvm *kvm, struct kvm_sev_cmd *argp);
int snp_launch_finish(struct kvm *kvm, struct kvm_sev_cmd *argp);

/* sev.c, for them */
int sev_issue_cmd(struct kvm *kvm, int id, void *data, int *error);
int __sev_issue_cmd(int fd, int id, void *data, int *error);
int sev_es_sync_vmsa(struct vcpu_svm *svm);
void sev_deactivate_lock_write(void);
void sev_deactivate_unlock_write(void);
void sev_flush_encrypted_page(struct kvm_vcpu *vcpu, void *va);

/* snp_gmem.c: hooks of struct kvm_x86_ops, and #NPF with the RMP bit set */
int snp_gmem_prepare(struct kvm *kvm, kvm_pfn_t pfn, gfn_t gfn, int max_order);
void snp_gmem_invalidate(kvm_pfn_t start, kvm_pfn_t end);
void snp_gmem_invalidate_range(struct kvm *kvm, struct kvm_gfn_range *range);
int snp_private_max_mapping_level(struct kvm *kvm, kvm_pfn_t pfn);
void snp_handle_rmp_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code);

/* snp_ap.c */
int snp_ap_creation(struct vcpu_svm *svm);
/* At INIT: take the VMSA that AP creation left, if there is one. */
void snp_vcpu_init_event(struct kvm_vcpu *vcpu);
/* The page behind the VMSA is about to go, or went: look it up again. */
void snp_reload_vmsa(struct kvm_vcpu *vcpu);

/*
 * snp_ghcb.c: requests of version 2 of the protocol. Results are an exit
 * handler's: 1 resume, 0 exit to userspace, negative fail KVM_RUN.
 */
int snp_handle_msr_protocol(struct vcpu_svm *svm, u64 ghcb_msr);
int snp_handle_vmgexit(struct vcpu_svm *svm, u64 exit_code);
/* Whether the request may be made; *@reason is the GHCB's error if not. */
bool snp_vmgexit_input_valid(struct vcpu_svm *svm, u64 exit_code, u64 *reason);
/* Whether @ghcb_gpa is what the guest registered. */
bool snp_ghcb_registered(struct vcpu_svm *svm, gpa_t ghcb_gpa);
void snp_deliver_sipi(struct vcpu_svm *svm);

/* snp_request.c: both as exit handlers; what they need of a VM */
int snp_guest_request(struct vcpu_svm *svm);
int snp_ext_guest_request(struct vcpu_svm *svm);
int snp_requests_init(struct kvm_snp_info *snp);
void snp_requests_free(struct kvm_snp_info *snp);
/* KVM_SEV_SNP_ENABLE_REQ_CERTS, under kvm->lock: not once there are vCPUs. */
int snp_enable_req_certs(struct kvm *kvm);

/* snp_ghcb_psc.c */
int snp_begin_psc_msr(struct vcpu_svm *svm, u64 ghcb_msr);
int snp_begin_psc(struct vcpu_svm *svm);

#endif
