// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_SEV_SNP_LAUNCH_START, _UPDATE and _FINISH: from an empty VM to one whose
 * initial memory and registers the firmware has measured.
 *
 * All under kvm->lock. SNP firmware ABI, the commands of the same names.
 */
#include <linux/cleanup.h>
#include <linux/highmem.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/psp-sev.h>
#include <linux/psp-snp.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/rmp.h>

#include "svm.h"
#include "snp_guest.h"

#define PAGE_TYPE_VMSA		2

/* The gpa that the firmware measures a VMSA at. */
#define VMSA_GPA		0xfffffffff000ULL

#define ID_BLOCK_SIZE		96
#define ID_AUTH_SIZE		4096

static struct kvm_snp_info *to_snp(struct kvm *kvm)
{
	return &to_kvm_svm(kvm)->sev_info.snp;
}

/* Give a context page back that LAUNCH_START or ACTIVATE did not want. */
static void drop_context(void *context)
{
	struct sev_data_snp_addr data = { .address = __sme_pa(context) };
	int error;

	if (sev_do_cmd(SEV_CMD_SNP_DECOMMISSION, &data, &error))
		snp_leak_pages(__pa(context) >> PAGE_SHIFT, 1, SNP_LEAK_CONTEXT);
	else
		snp_free_firmware_page(context);
}

int snp_launch_start(struct kvm *kvm, struct kvm_sev_cmd *argp)
{
	struct kvm_sev_info *sev = &to_kvm_svm(kvm)->sev_info;
	struct sev_data_snp_launch_start start = {};
	struct sev_data_snp_activate activate = {};
	struct kvm_sev_snp_launch_start params;
	struct sev_data_snp_addr create = {};
	void *context;
	int ret;

	if (copy_from_user(&params, u64_to_user_ptr(argp->data), sizeof(params)))
		return -EFAULT;

	if (sev->snp.context || params.flags)
		return -EINVAL;
	if (params.policy & ~snp_policy_bits() ||
	    !(params.policy & SNP_POLICY_MUST_BE_ONE))
		return -EINVAL;

	ret = snp_requests_init(&sev->snp);
	if (ret)
		return snp_dev_is_dead() ? -EBUSY : ret;

	context = snp_alloc_firmware_page(GFP_KERNEL_ACCOUNT);
	if (!context) {
		ret = snp_dev_is_dead() ? -EBUSY : -ENOMEM;
		goto err_requests;
	}

	/* Whatever the reason: what user space gets elsewhere if there is none. */
	create.address = __sme_pa(context);
	ret = __sev_issue_cmd(argp->sev_fd, SEV_CMD_SNP_GCTX_CREATE, &create,
			      &argp->error);
	if (ret) {
		snp_free_firmware_page(context);
		ret = -ENOTTY;
		goto err_requests;
	}

	start.gctx_paddr = __sme_pa(context);
	start.policy = params.policy;
	if (sev->vmsa_features & SEV_FEAT_SECURE_TSC)
		start.desired_tsc_khz = READ_ONCE(kvm->arch.default_tsc_khz);
	memcpy(start.gosvw, params.gosvw, sizeof(start.gosvw));
	ret = __sev_issue_cmd(argp->sev_fd, SEV_CMD_SNP_LAUNCH_START, &start,
			      &argp->error);
	if (ret)
		goto err_drop;

	activate.gctx_paddr = __sme_pa(context);
	activate.asid = sev->asid;
	ret = __sev_issue_cmd(argp->sev_fd, SEV_CMD_SNP_ACTIVATE, &activate,
			      &argp->error);
	if (ret)
		goto err_drop;

	sev->fd = argp->sev_fd;
	sev->snp.context = context;

	return 0;

err_drop:
	drop_context(context);
err_requests:
	snp_requests_free(&sev->snp);
	return ret;
}

struct update_args {
	u8 type;
	int error;		/* the firmware's */
	void *fixed;		/* CPUID page as the firmware would have it */
	bool is_fixed;
};

/* The last writes of the host's to @n pages: from here on they are the guest's. */
static void fill_pages(kvm_pfn_t pfn, struct page **src, int n)
{
	void *to;
	int i;

	for (i = 0; i < n; i++) {
		to = kmap_local_pfn(pfn + i);
		if (src)
			copy_page(to, page_address(src[i]));
		else
			clear_page(to);
		kunmap_local(to);
	}
}

/* The command for a page, or a block of @level, that is filled. */
static int launch_pages(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn, int level,
			struct update_args *args, bool *given)
{
	struct sev_data_snp_launch_update data = {};
	int ret;

	ret = rmp_make_private(pfn, gfn_to_gpa(gfn), level,
			       to_kvm_svm(kvm)->sev_info.asid, true);
	*given = !ret;
	if (ret)
		return ret;

	data.gctx_paddr = __sme_pa(to_snp(kvm)->context);
	data.address = __sme_set(PFN_PHYS(pfn));
	data.page_size = level == PG_LEVEL_2M;
	data.page_type = args->type;

	return sev_issue_cmd(kvm, SEV_CMD_SNP_LAUNCH_UPDATE, &data, &args->error);
}

/*
 * 2 MiB by one command. The firmware measures each 4 KiB of them by itself, in
 * order, so that the digest is that of pages. What it does not want so it is
 * asked for by pages, and then tells what is wrong.
 */
static int update_block(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn,
			struct page **src, struct update_args *args)
{
	bool given;

	/* Each of these has a page to itself. */
	if (args->type == KVM_SEV_SNP_PAGE_TYPE_SECRETS ||
	    args->type == KVM_SEV_SNP_PAGE_TYPE_CPUID)
		return -EOPNOTSUPP;

	fill_pages(pfn, src, PTRS_PER_PMD);
	if (!launch_pages(kvm, gfn, pfn, PG_LEVEL_2M, args, &given))
		return 0;

	/* All of it is leaked, but still in the file; see update_page(). */
	if (given && snp_reclaim_2m(PFN_PHYS(pfn)))
		return -EIO;

	fill_pages(pfn, NULL, PTRS_PER_PMD);
	args->error = 0;

	return -EOPNOTSUPP;
}

static int update_page(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn,
		       struct page **src, struct update_args *args)
{
	bool given;
	void *page;
	int ret;

	fill_pages(pfn, src, 1);
	ret = launch_pages(kvm, gfn, pfn, PG_LEVEL_4K, args, &given);
	if (!given)
		return ret;
	if (!ret)
		return 0;

	/*
	 * The page is not the guest's yet. Should it stay so, it is leaked, but
	 * still in the file: nobody may think that it has to be cleared first.
	 */
	if (snp_reclaim_pages(PFN_PHYS(pfn), 1, false)) {
		folio_mark_uptodate(pfn_folio(pfn));
		return -EIO;
	}

	/* The firmware left what it would have accepted. */
	if (args->type == KVM_SEV_SNP_PAGE_TYPE_CPUID &&
	    args->error == SEV_RET_INVALID_PARAM) {
		page = kmap_local_pfn(pfn);
		copy_page(args->fixed, page);
		kunmap_local(page);
		args->is_fixed = true;
	}
	fill_pages(pfn, NULL, 1);

	return -EIO;
}

/* A kvm_gmem_populate_cb. */
static int update_pages(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn,
			struct page **src, int order, void *opaque)
{
	struct update_args *args = opaque;
	bool assigned;
	int level, ret;

	/* Of a block all of it is, or nothing. */
	ret = snp_lookup_rmpentry(pfn, &assigned, &level);
	if (ret)
		return ret;
	if (assigned)
		return -EEXIST;
	if (snp_dev_is_dead())
		return -EBUSY;

	return order ? update_block(kvm, gfn, pfn, src, args) :
		       update_page(kvm, gfn, pfn, src, args);
}

int snp_launch_update(struct kvm *kvm, struct kvm_sev_cmd *argp)
{
	void __user *uparams = u64_to_user_ptr(argp->data);
	struct kvm_sev_snp_launch_update params;
	struct update_args args = {};
	const struct kvm_memory_slot *slot;
	void __user *src = NULL;
	u64 npages;
	long done;

	if (!to_snp(kvm)->context || to_snp(kvm)->launched)
		return -EINVAL;

	if (copy_from_user(&params, uparams, sizeof(params)))
		return -EFAULT;

	if (params.flags || !params.len || !PAGE_ALIGNED(params.len))
		return -EINVAL;

	switch (params.type) {
	case KVM_SEV_SNP_PAGE_TYPE_NORMAL:
	case KVM_SEV_SNP_PAGE_TYPE_UNMEASURED:
	case KVM_SEV_SNP_PAGE_TYPE_SECRETS:
	case KVM_SEV_SNP_PAGE_TYPE_CPUID:
		src = u64_to_user_ptr(params.uaddr);
		if (!src || !PAGE_ALIGNED(params.uaddr))
			return -EINVAL;
		break;
	case KVM_SEV_SNP_PAGE_TYPE_ZERO:
		break;
	default:
		return -EINVAL;
	}

	npages = params.len >> PAGE_SHIFT;

	void *fixed __free(kfree) = kzalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	if (!fixed)
		return -ENOMEM;

	args.type = params.type;
	args.fixed = fixed;

	mutex_lock(&kvm->slots_lock);
	slot = gfn_to_memslot(kvm, params.gfn_start);
	if (!slot || !(slot->flags & KVM_MEM_GUEST_MEMFD)) {
		mutex_unlock(&kvm->slots_lock);
		return -EINVAL;
	}

	done = kvm_gmem_populate(kvm, params.gfn_start, src, npages,
				 update_pages, &args);
	mutex_unlock(&kvm->slots_lock);

	if (done < 0) {
		argp->error = args.error;
		if (args.is_fixed && copy_to_user(src, fixed, PAGE_SIZE))
			return -EFAULT;

		/* What the same call may find different the next time. */
		return done == -EAGAIN || done == -EINTR ? -EAGAIN : -EIO;
	}

	params.gfn_start += done;
	params.len -= (u64)done << PAGE_SHIFT;
	if (src)
		params.uaddr += (u64)done << PAGE_SHIFT;
	if (copy_to_user(uparams, &params, sizeof(params)))
		return -EFAULT;

	return 0;
}

/* The vCPU's registers become the guest's. vcpu->mutex held. */
static int update_vmsa(struct kvm *kvm, struct kvm_vcpu *vcpu, int *error)
{
	struct sev_data_snp_launch_update data = {};
	struct vcpu_svm *svm = to_svm(vcpu);
	u64 pfn;
	int ret;

	/* What was handed over, or leaked, must not be written again. */
	if (vcpu->arch.guest_state_protected || !svm->sev_es.vmsa)
		return -EINVAL;
	if (snp_dev_is_dead())
		return -EBUSY;

	ret = sev_es_sync_vmsa(svm);
	if (ret)
		return ret;

	pfn = __pa(svm->sev_es.vmsa) >> PAGE_SHIFT;
	clflush_cache_range(svm->sev_es.vmsa, PAGE_SIZE);
	ret = rmp_make_private(pfn, VMSA_GPA, PG_LEVEL_4K,
			       to_kvm_svm(kvm)->sev_info.asid, true);
	if (ret)
		return ret;

	data.gctx_paddr = __sme_pa(to_snp(kvm)->context);
	data.address = __sme_pa(svm->sev_es.vmsa);
	data.page_type = PAGE_TYPE_VMSA;
	ret = sev_issue_cmd(kvm, SEV_CMD_SNP_LAUNCH_UPDATE, &data, error);
	if (ret) {
		/* Leaked if it stays the guest's: never to be freed by us. */
		if (snp_reclaim_pages(PFN_PHYS(pfn), 1, false))
			svm->sev_es.vmsa = NULL;
		return ret;
	}

	snp_vcpu_hand_over(svm);

	return 0;
}

static void unlock_vcpus(struct kvm *kvm, unsigned long n)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		if (i >= n)
			break;
		mutex_acquire(&vcpu->mutex.dep_map, 0, 1, _THIS_IP_);
		mutex_unlock(&vcpu->mutex);
	}
}

/* All vCPUs, or none and -EBUSY. By trying: nobody waits for more than one. */
static int lock_vcpus(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	if (kvm->created_vcpus != atomic_read(&kvm->online_vcpus))
		return -EBUSY;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		if (!mutex_trylock(&vcpu->mutex)) {
			unlock_vcpus(kvm, i);
			return -EBUSY;
		}
		/* More than lockdep has room for; kvm->lock orders them. */
		mutex_release(&vcpu->mutex.dep_map, _THIS_IP_);
	}

	return 0;
}

static int update_vmsas(struct kvm *kvm, int *error)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;
	int ret;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		ret = update_vmsa(kvm, vcpu, error);
		if (ret)
			return ret;
	}

	return 0;
}

int snp_launch_finish(struct kvm *kvm, struct kvm_sev_cmd *argp)
{
	struct kvm_snp_info *snp = to_snp(kvm);
	struct sev_data_snp_launch_finish data = {};
	struct kvm_sev_snp_launch_finish params;
	void *id_block = NULL, *id_auth = NULL;
	int ret;

	if (!snp->context || snp->launched)
		return -EINVAL;

	if (copy_from_user(&params, u64_to_user_ptr(argp->data), sizeof(params)))
		return -EFAULT;
	if (params.flags)
		return -EINVAL;

	data.gctx_paddr = __sme_pa(snp->context);
	data.vcek_disabled = params.vcek_disabled;
	memcpy(data.host_data, params.host_data, sizeof(data.host_data));

	if (params.id_block_en) {
		id_block = psp_copy_user_blob(params.id_block_uaddr,
					      ID_BLOCK_SIZE);
		if (IS_ERR(id_block))
			return PTR_ERR(id_block);

		id_auth = psp_copy_user_blob(params.id_auth_uaddr, ID_AUTH_SIZE);
		if (IS_ERR(id_auth)) {
			ret = PTR_ERR(id_auth);
			id_auth = NULL;
			goto out_free;
		}

		data.id_block_en = 1;
		data.id_block_paddr = __sme_pa(id_block);
		data.auth_key_en = !!params.auth_key_en;
		data.id_auth_paddr = __sme_pa(id_auth);
	}

	ret = lock_vcpus(kvm);
	if (ret)
		goto out_free;

	ret = update_vmsas(kvm, &argp->error);
	if (ret)
		goto out_unlock;

	ret = sev_issue_cmd(kvm, SEV_CMD_SNP_LAUNCH_FINISH, &data, &argp->error);
	if (ret)
		goto out_unlock;

	snp->launched = true;
	kvm->arch.pre_fault_allowed = true;

out_unlock:
	unlock_vcpus(kvm, kvm->created_vcpus);
out_free:
	kfree(id_auth);
	kfree(id_block);
	return ret;
}
