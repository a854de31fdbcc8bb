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
#include "mmu/private.h"
#include "svm.h"
#include "snp_guest.h"
#include "trace.h"

#define ORDER_2M	(PMD_SHIFT - PAGE_SHIFT)

/*
 * Chunk and folio locked; nothing changes on an error. Of a block nothing is
 * assigned, or all of it by one entry.
 */
int snp_gmem_prepare(struct kvm *kvm, kvm_pfn_t pfn, gfn_t gfn, int max_order)
{
	bool huge = max_order >= ORDER_2M, assigned;
	int level, ret;

	if (!sev_snp_guest(kvm))
		return 0;

	ret = snp_lookup_rmpentry(pfn, &assigned, &level);
	if (ret) {
		pr_err_ratelimited("SEV-SNP: no RMP entry of pfn %#llx, gfn %#llx: %d\n",
				   pfn, gfn, ret);
		return -EINVAL;
	}

	/*
	 * The file has one owner: whoever assigned it did so for this guest. A
	 * small mapping of a page in a large entry does nothing but fault.
	 */
	if (assigned) {
		if (huge || level == PG_LEVEL_4K)
			return 0;

		ret = rmp_split_2m(pfn);
		if (!ret)
			atomic64_inc(&kvm->stat.snp_splits);
		return ret;
	}

	if (huge) {
		ret = rmp_make_private(ALIGN_DOWN(pfn, PTRS_PER_PMD),
				       gfn_to_gpa(ALIGN_DOWN(gfn, PTRS_PER_PMD)),
				       PG_LEVEL_2M,
				       to_kvm_svm(kvm)->sev_info.asid, false);
		if (!ret)
			atomic64_inc(&kvm->stat.snp_given_2m);
		return ret;
	}

	ret = rmp_make_private(pfn, gfn_to_gpa(gfn), PG_LEVEL_4K,
			       to_kvm_svm(kvm)->sev_info.asid, false);
	if (!ret)
		atomic64_inc(&kvm->stat.snp_given_4k);
	if (ret && ret != -EAGAIN) {
		pr_err_ratelimited("SEV-SNP: pfn %#llx, gfn %#llx not assigned: %d\n",
				   pfn, gfn, ret);
		return -EINVAL;
	}

	return ret;
}

/* Lines of the guest's must not be written back over what comes next. */
static void flush_lines(kvm_pfn_t pfn, unsigned int npages)
{
	if (!boot_cpu_has(X86_FEATURE_SME_COHERENT))
		clflush_cache_range(pfn_to_kaddr(pfn), npages << PAGE_SHIFT);
}

/* The 2M at @pfn by one RMPUPDATE; false if that is not how they are, or fails. */
static bool make_shared_2m(kvm_pfn_t pfn)
{
	bool assigned;
	int level;

	if (snp_lookup_rmpentry(pfn, &assigned, &level) || !assigned ||
	    level != PG_LEVEL_2M)
		return false;

	flush_lines(pfn, PTRS_PER_PMD);

	return !rmp_make_shared(pfn, PG_LEVEL_2M);
}

static int make_shared(kvm_pfn_t pfn)
{
	bool assigned;
	int level, ret;

	/* What the RMP does not cover was never given to anybody. */
	ret = snp_lookup_rmpentry(pfn, &assigned, &level);
	if (ret == -ENODEV || ret == -ENXIO)
		return 0;
	if (ret)
		return ret;
	if (!assigned)
		return 0;

	if (level > PG_LEVEL_4K) {
		ret = rmp_split_2m(pfn);
		if (ret)
			return ret;
	}

	flush_lines(pfn, 1);

	return rmp_make_shared(pfn, PG_LEVEL_4K);
}

/* Pages that the host will not get back must not be freed: leak them. */
void snp_gmem_invalidate(kvm_pfn_t start, kvm_pfn_t end)
{
	kvm_pfn_t pfn;

	if (!cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		return;

	for (pfn = start; pfn < end; pfn++) {
		if (IS_ALIGNED(pfn, PTRS_PER_PMD) && end - pfn >= PTRS_PER_PMD &&
		    make_shared_2m(pfn)) {
			pfn += PTRS_PER_PMD - 1;
			continue;
		}

		if (make_shared(pfn)) {
			pr_err_ratelimited("SEV-SNP: pfn %#llx stays assigned, leaked\n",
					   pfn);
			snp_leak_pages(pfn, 1, SNP_LEAK_GUEST);
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
 * and RMP disagree about the size, or the mapping and the RMP do: have the page
 * in an entry of its own, and map it again. All else the guest brought upon
 * itself, and it will fault again.
 */
void snp_handle_rmp_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvm_memory_slot *slot;
	gfn_t gfn = gpa_to_gfn(gpa);
	int order = 0, level, ret;
	kvm_pfn_t pfn;
	bool assigned;

	if (!kvm_mem_is_private(kvm, gfn))
		return;

	slot = gfn_to_memslot(kvm, gfn);
	if (!slot || !(slot->flags & KVM_MEM_GUEST_MEMFD))
		return;

	/* This splits an entry of 2M; one at a time, for the chunk is locked. */
	if (kvm_gmem_get_pfn(kvm, slot, gfn, &pfn, &order))
		return;

	ret = snp_lookup_rmpentry(pfn, &assigned, &level);
	if (ret || !assigned)
		pr_warn_ratelimited("SEV-SNP: RMP fault at gpa %#llx, error %#llx, pfn %#llx not assigned\n",
				    gpa, error_code, pfn);

	trace_kvm_rmp_fault(vcpu, gpa, pfn, error_code, level, ret);

	/* Whoever split it, the mapping of 2M may still be there. */
	kvm_mmu_split_private(vcpu, slot, gfn);
	kvm_release_pfn_clean(pfn);
}
