// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registers of a guest whose policy lets its host debug it, for whoever
 * looks for the reason why it was not entered. Firmware has the policy, and
 * refuses. SEV API 55766, DBG_DECRYPT; SNP firmware ABI 56860, SNP_DBG_DECRYPT.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/gfp.h>
#include <linux/kvm_host.h>
#include <linux/printk.h>
#include <linux/psp-sev.h>
#include <linux/string.h>

#include "svm.h"
#include "snp_guest.h"

/* What dump_vmcb() prints of both lies in the same places, at their ends too. */
static_assert(offsetof(struct vmcb_save_area, tr) ==
	      offsetof(struct sev_es_save_area, tr));
static_assert(offsetof(struct vmcb_save_area, efer) ==
	      offsetof(struct sev_es_save_area, efer));
static_assert(offsetof(struct vmcb_save_area, rip) ==
	      offsetof(struct sev_es_save_area, rip));
static_assert(offsetof(struct vmcb_save_area, last_excp_to) ==
	      offsetof(struct sev_es_save_area, last_excp_to));

/* The firmware's page comes back in any case, or is leaked. */
static int decrypt_snp(struct vcpu_svm *svm, void *copy, int *error)
{
	struct kvm_sev_info *sev = &to_kvm_svm(svm->vcpu.kvm)->sev_info;
	struct sev_data_snp_dbg dbg = {};
	void *page;
	int ret;

	page = snp_alloc_firmware_page(GFP_KERNEL_ACCOUNT);
	if (!page)
		return -ENOMEM;

	dbg.gctx_paddr = __sme_pa(sev->snp.context);
	dbg.src_addr = svm->vmcb->control.vmsa_pa;
	dbg.dst_addr = __sme_pa(page);
	ret = sev_do_cmd(SEV_CMD_SNP_DBG_DECRYPT, &dbg, error);
	if (!ret)
		memcpy(copy, page, PAGE_SIZE);

	snp_free_firmware_page(page);
	return ret;
}

static int decrypt_es(struct vcpu_svm *svm, void *copy, int *error)
{
	struct sev_data_dbg dbg = {};

	dbg.handle = to_kvm_svm(svm->vcpu.kvm)->sev_info.handle;
	dbg.src_addr = svm->vmcb->control.vmsa_pa;
	dbg.dst_addr = __sme_pa(copy);
	dbg.len = PAGE_SIZE;
	return sev_do_cmd(SEV_CMD_DBG_DECRYPT, &dbg, error);
}

struct vmcb_save_area *sev_copy_vmsa(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);
	int error = 0, ret = 0;
	void *copy;

	copy = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!copy)
		return NULL;

	if (!vcpu->arch.guest_state_protected)
		memcpy(copy, svm->sev_es.vmsa, PAGE_SIZE);
	else if (!VALID_PAGE(svm->vmcb->control.vmsa_pa))
		ret = -ENOENT;
	else if (sev_snp_guest(vcpu->kvm))
		ret = decrypt_snp(svm, copy, &error);
	else
		ret = decrypt_es(svm, copy, &error);

	if (ret) {
		pr_err("no VMSA to dump, ret=%d, error=%#x\n", ret, error);
		free_page((unsigned long)copy);
		return NULL;
	}

	return copy;
}
