// SPDX-License-Identifier: GPL-2.0-only
/*
 * guest_memfd pages of SNP guests: into the RMP when the guest touches them
 * first, out of it before they are freed, and what to do about faults that the
 * RMP raised.
 */
#include <linux/cc_platform.h>
#include <linux/kvm_host.h>

#include <asm/cacheflush.h>
#include <asm/rmp.h>

#include "mmu.h"
#include "svm.h"
#include "snp_guest.h"

/* Folio lock held; nothing changes on an error. */
int snp_gmem_prepare(struct kvm *kvm, kvm_pfn_t pfn, gfn_t gfn, int max_order)
{
	bool assigned;
	int level, ret;

	if (!sev_snp_guest(kvm))
		return 0;

	ret = snp_lookup_rmpentry(pfn, &assigned, &level);
	if (ret) {
		pr_err_ratelimited("SEV-SNP: no RMP entry of pfn %#llx, gfn %#llx: %d\n",
				   pfn, gfn, ret);
		return -EINVAL;
	}

	/* The file has one owner: whoever assigned it did so for this guest. */
	if (assigned)
		return 0;

	ret = rmp_make_private(pfn, gfn_to_gpa(gfn), PG_LEVEL_4K,
			       to_kvm_svm(kvm)->sev_info.asid, false);
	if (ret && ret != -EAGAIN) {
		pr_err_ratelimited("SEV-SNP: pfn %#llx, gfn %#llx not assigned: %d\n",
				   pfn, gfn, ret);
		return -EINVAL;
	}

	return ret;
}

static int make_shared(kvm_pfn_t pfn)
{
	bool assigned;
	int level, ret;

	ret = snp_lookup_rmpentry(pfn, &assigned, &level);
	if (ret == -ENODEV)
		return 0;
	if (ret)
		return ret;
	if (!assigned)
		return 0;

	if (level > PG_LEVEL_4K) {
		ret = psmash(ALIGN_DOWN(pfn, PTRS_PER_PMD));
		if (ret)
			return ret;
	}

	/* Lines of the guest's must not be written back over what comes next. */
	clflush_cache_range(pfn_to_kaddr(pfn), PAGE_SIZE);

	return rmp_make_shared(pfn, PG_LEVEL_4K);
}

/* Pages that the host will not get back must not be freed: leak them. */
void snp_gmem_invalidate(kvm_pfn_t start, kvm_pfn_t end)
{
	kvm_pfn_t pfn;

	if (!cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		return;

	for (pfn = start; pfn < end; pfn++) {
		if (make_shared(pfn)) {
			pr_err_ratelimited("SEV-SNP: pfn %#llx stays assigned, leaked\n",
					   pfn);
			snp_leak_pages(pfn, 1);
		}
	}
}

/*
 * The page that a vCPU has its VMSA in may be in the range: the RMP does not
 * let go of it while the vCPU runs. mmu_lock held for write.
 */
void snp_gmem_invalidate_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	struct kvm_vcpu *vcpu;
	bool found = false;
	unsigned long i;
	gpa_t gpa;

	if (!sev_snp_guest(kvm))
		return;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		gpa = READ_ONCE(to_svm(vcpu)->snp.vmsa_gpa);
		if (gpa == INVALID_PAGE || gpa_to_gfn(gpa) < range->start ||
		    gpa_to_gfn(gpa) >= range->end)
			continue;
		found = true;
	}

	/* Returns when no vCPU is in the guest any more. */
	if (found)
		kvm_make_all_cpus_request(kvm, KVM_REQ_VMSA_PAGE_RELOAD);
}

int snp_private_max_mapping_level(struct kvm *kvm, kvm_pfn_t pfn)
{
	bool assigned;
	int level;

	if (!sev_snp_guest(kvm))
		return 0;

	if (snp_lookup_rmpentry(pfn, &assigned, &level) || !assigned)
		return PG_LEVEL_4K;

	return level;
}

/*
 * After the MMU handled a fault with the RMP bit. What remains is that guest
 * and RMP disagree about the size: split the RMP entry, and have the 2M block
 * mapped again. All else the guest brought upon itself, and it will fault again.
 */
void snp_handle_rmp_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code)
{
	gfn_t gfn = gpa_to_gfn(gpa), first = ALIGN_DOWN(gfn, PTRS_PER_PMD);
	struct kvm *kvm = vcpu->kvm;
	struct kvm_memory_slot *slot;
	int order, level, ret;
	kvm_pfn_t pfn;
	bool assigned;

	if (!kvm_mem_is_private(kvm, gfn))
		return;

	slot = gfn_to_memslot(kvm, gfn);
	if (!slot || !(slot->flags & KVM_MEM_GUEST_MEMFD))
		return;

	if (kvm_gmem_get_pfn(kvm, slot, gfn, &pfn, &order))
		return;

	ret = snp_lookup_rmpentry(pfn, &assigned, &level);
	if (ret || !assigned) {
		pr_warn_ratelimited("SEV-SNP: RMP fault at gpa %#llx, error %#llx, pfn %#llx not assigned\n",
				    gpa, error_code, pfn);
		goto out;
	}

	/* 4K already: somebody else was faster, or there is nothing to split. */
	if (level > PG_LEVEL_4K) {
		ret = psmash(ALIGN_DOWN(pfn, PTRS_PER_PMD));
		if (ret && ret != -EAGAIN)
			pr_warn_ratelimited("SEV-SNP: PSMASH of pfn %#llx: %d\n",
					    pfn, ret);
		kvm_zap_gfn_range(kvm, first, first + PTRS_PER_PMD);
	}
out:
	kvm_release_pfn_clean(pfn);
}
