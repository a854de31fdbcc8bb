// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest requests: messages between an SNP guest and the firmware, which KVM
 * carries and cannot read.
 *
 * GHCB protocol, "SNP Guest Request" and "SNP Extended Guest Request"; SNP
 * firmware ABI, SNP_GUEST_REQUEST.
 */
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/psp-sev.h>
#include <linux/psp-snp.h>
#include <linux/ratelimit.h>

#include <uapi/linux/sev-guest.h>
#include <asm/sev-common.h>

#include "cpuid.h"
#include "svm.h"
#include "snp_guest.h"

/* The header of a message that is not encrypted: its type, and that of reports */
#define MSG_TYPE		52
#define MSG_REPORT_REQ		5

/* What ends a table of certificates: an entry of zeros */
#define CERT_ENTRY_SIZE		24

/* Not in the UAPI, where guests of 6.1 have no use for it */
#define VMM_ERR_GENERIC		0xffffffffULL

#define SECONDS_PER_HOUR	3600

/*
 * There is one secure processor, and a VM that has it sign reports in a row keeps
 * others from being launched. So many messages are carried in so many seconds, of
 * each VM that is launched from then on; any number if that is 0.
 */
static unsigned int snp_request_burst;
static unsigned int snp_request_interval = 1;

static int set_burst(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 0, INT_MAX);
}

static int set_interval(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 1, SECONDS_PER_HOUR);
}

static const struct kernel_param_ops burst_ops = {
	.set = set_burst,
	.get = param_get_uint,
};

static const struct kernel_param_ops interval_ops = {
	.set = set_interval,
	.get = param_get_uint,
};

module_param_cb(snp_request_burst, &burst_ops, &snp_request_burst, 0644);
module_param_cb(snp_request_interval, &interval_ops, &snp_request_interval, 0644);

static struct kvm_snp_info *to_snp(struct kvm *kvm)
{
	return &to_kvm_svm(kvm)->sev_info.snp;
}

/*
 * A VM's pages for messages: firmware reads one, and writes to the other, which
 * stays firmware's. Under kvm->lock, before the first vCPU runs. 0 or -ENOMEM.
 */
int snp_requests_init(struct kvm_snp_info *snp)
{
	unsigned int burst = READ_ONCE(snp_request_burst);

	mutex_init(&snp->request_mutex);
	ratelimit_state_init(&snp->request_limit,
			     burst ? READ_ONCE(snp_request_interval) * HZ : 0, burst);
	/* Which would be a guest's to fill the log with */
	ratelimit_set_flags(&snp->request_limit, RATELIMIT_MSG_ON_RELEASE);

	snp->request = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!snp->request)
		return -ENOMEM;

	snp->response = snp_alloc_firmware_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!snp->response) {
		free_page((unsigned long)snp->request);
		snp->request = NULL;
		return -ENOMEM;
	}

	return 0;
}

void snp_requests_free(struct kvm_snp_info *snp)
{
	free_page((unsigned long)snp->request);
	snp_free_firmware_page(snp->response);
	snp->request = NULL;
	snp->response = NULL;
}

static int answer(struct vcpu_svm *svm, u64 vmm_error, u32 fw_error)
{
	ghcb_set_sw_exit_info_1(svm->sev_es.ghcb, 0);
	ghcb_set_sw_exit_info_2(svm->sev_es.ghcb,
				SNP_GUEST_VMM_ERR(vmm_error) | fw_error);
	return 1;
}

static int invalid(struct vcpu_svm *svm)
{
	ghcb_set_sw_exit_info_1(svm->sev_es.ghcb, 2);
	ghcb_set_sw_exit_info_2(svm->sev_es.ghcb, GHCB_ERR_INVALID_INPUT);
	return 1;
}

/* Is it within the VM's limit? Counts it. */
static bool may_ask(struct kvm *kvm)
{
	struct kvm_snp_info *snp = to_snp(kvm);
	bool may;

	mutex_lock(&snp->request_mutex);
	may = __ratelimit(&snp->request_limit);
	mutex_unlock(&snp->request_mutex);

	atomic64_inc(may ? &kvm->stat.snp_requests : &kvm->stat.snp_requests_busy);
	return may;
}

/* One at a time: the firmware counts the messages of a key. */
static int carry(struct vcpu_svm *svm)
{
	struct vmcb_control_area *control = &svm->vmcb->control;
	struct sev_data_snp_guest_request data = {};
	struct kvm *kvm = svm->vcpu.kvm;
	struct kvm_snp_info *snp = to_snp(kvm);
	int ret, error = SEV_RET_NO_FW_CALL;

	mutex_lock(&snp->request_mutex);

	/* What the guest does to its page from here on does not matter. */
	if (kvm_read_guest(kvm, control->exit_info_1, snp->request, PAGE_SIZE)) {
		ret = invalid(svm);
		goto out;
	}

	data.gctx_paddr = __sme_pa(snp->context);
	data.req_paddr = __sme_pa(snp->request);
	data.res_paddr = __sme_pa(snp->response);
	ret = sev_issue_cmd(kvm, SEV_CMD_SNP_GUEST_REQUEST, &data, &error);

	/*
	 * The guest hears what firmware says; that nobody asked it, the VMM. If
	 * that runs the vCPU again the guest is not told that all went well.
	 */
	if (ret && (!error || error == SEV_RET_NO_FW_CALL)) {
		answer(svm, VMM_ERR_GENERIC, 0);
		goto out;
	}

	if (kvm_write_guest(kvm, control->exit_info_2, snp->response, PAGE_SIZE))
		ret = invalid(svm);
	else
		ret = answer(svm, 0, error);
out:
	mutex_unlock(&snp->request_mutex);
	return ret;
}

static bool pages_valid(struct vcpu_svm *svm)
{
	struct vmcb_control_area *control = &svm->vmcb->control;

	return page_address_valid(&svm->vcpu, control->exit_info_1) &&
	       page_address_valid(&svm->vcpu, control->exit_info_2) &&
	       control->exit_info_1 != control->exit_info_2;
}

int snp_guest_request(struct vcpu_svm *svm)
{
	if (!pages_valid(svm))
		return invalid(svm);

	/* Guests wait a while, and ask again. */
	if (!may_ask(svm->vcpu.kvm))
		return answer(svm, SNP_GUEST_VMM_ERR_BUSY, 0);

	return carry(svm);
}

/* The VMM has put certificates where the guest wants them, or not. */
static int certs_done(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);
	struct kvm_run *run = vcpu->run;

	switch (READ_ONCE(run->snp_req_certs.ret)) {
	case 0:
		return carry(svm);
	case ENOSPC:
		/* RBX goes back to the guest with the GHCB. */
		kvm_rbx_write(vcpu, READ_ONCE(run->snp_req_certs.npages));
		return answer(svm, SNP_GUEST_VMM_ERR_INVALID_LEN, 0);
	case EAGAIN:
		return answer(svm, SNP_GUEST_VMM_ERR_BUSY, 0);
	case EIO:
		return answer(svm, VMM_ERR_GENERIC, 0);
	default:
		/* Asked for again: nothing was sent. */
		vcpu->arch.complete_userspace_io = certs_done;
		return -EINVAL;
	}
}

/* Reports may come with certificates, in RBX pages at RAX. */
int snp_ext_guest_request(struct vcpu_svm *svm)
{
	struct kvm_vcpu *vcpu = &svm->vcpu;
	struct kvm *kvm = vcpu->kvm;
	gpa_t to = kvm_rax_read(vcpu);
	u64 npages = kvm_rbx_read(vcpu);
	u8 type;

	if (!pages_valid(svm) ||
	    kvm_read_guest(kvm, svm->vmcb->control.exit_info_1 + MSG_TYPE, &type,
			   sizeof(type)))
		return invalid(svm);

	if (type == MSG_REPORT_REQ && !PAGE_ALIGNED(to))
		return invalid(svm);

	if (!may_ask(kvm))
		return answer(svm, SNP_GUEST_VMM_ERR_BUSY, 0);

	if (type != MSG_REPORT_REQ)
		return carry(svm);

	if (to_snp(kvm)->req_certs) {
		vcpu->run->exit_reason = KVM_EXIT_SNP_REQ_CERTS;
		vcpu->run->snp_req_certs.gpa = to;
		vcpu->run->snp_req_certs.npages = npages;
		vcpu->run->snp_req_certs.ret = 0;
		vcpu->arch.complete_userspace_io = certs_done;
		return 0;
	}

	/* None, that is, a table with nothing but its end. */
	if (npages && kvm_clear_guest(kvm, to, CERT_ENTRY_SIZE))
		return invalid(svm);

	return carry(svm);
}

int snp_enable_req_certs(struct kvm *kvm)
{
	if (kvm->created_vcpus)
		return -EINVAL;

	to_snp(kvm)->req_certs = true;
	return 0;
}
