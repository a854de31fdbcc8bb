// SPDX-License-Identifier: GPL-2.0-only
/*
 * Private memory in the x86 MMU.
 *
 * Shared and private gfns share one set of page tables. A gfn is mapped from
 * the guest_memfd while it is private and from the host's address space while
 * it is shared, and a change zaps it. What tells the two kinds of fault apart
 * is PFERR_PRIVATE_ACCESS: what the access was, as opposed to the attribute,
 * which is what the access should have been.
 */
#include <linux/kvm_host.h>
#include <linux/random.h>
#include <linux/sched/signal.h>

#include "mmu.h"
#include "mmu_internal.h"
#include "private.h"
#include "spte.h"
#include "tdp_mmu.h"

bool kvm_mmu_has_private_mem(void)
{
	return tdp_enabled && READ_ONCE(tdp_mmu_enabled);
}
EXPORT_SYMBOL_GPL(kvm_mmu_has_private_mem);

u64 kvm_mmu_private_error_code(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code)
{
	struct kvm *kvm = vcpu->kvm;

	/* With shadow paging, as L2 has it, the address is no gpa of L1's. */
	if (kvm->arch.vm_type == KVM_X86_SW_PROTECTED_VM &&
	    vcpu->arch.mmu->root_role.direct &&
	    kvm_mem_is_private(kvm, gpa_to_gfn(gpa)))
		error_code |= PFERR_PRIVATE_ACCESS;

	return error_code;
}

int kvm_mmu_prepare_memory_fault_exit(struct kvm_vcpu *vcpu,
				      struct kvm_page_fault *fault)
{
	/* Nobody waits for the answer to a prefetch: leave the exit alone. */
	if (!fault->prefetch)
		kvm_prepare_memory_fault_exit(vcpu, gfn_to_gpa(fault->gfn),
					      PAGE_SIZE, fault->is_private);

	return -EFAULT;
}

bool kvm_mmu_private_mismatch(struct kvm *kvm, struct kvm_page_fault *fault)
{
	return kvm_arch_has_private_mem(kvm) &&
	       fault->is_private != kvm_mem_is_private(kvm, fault->gfn);
}

int kvm_mmu_private_fault_check(struct kvm_vcpu *vcpu,
				struct kvm_page_fault *fault)
{
	if (!kvm_mmu_private_mismatch(vcpu->kvm, fault))
		return 0;

	return kvm_mmu_prepare_memory_fault_exit(vcpu, fault);
}

#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_PREPARE
int kvm_arch_gmem_prepare(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn,
			  int max_order)
{
	return static_call(kvm_x86_gmem_prepare)(kvm, pfn, gfn, max_order);
}

/* What the vendor module makes of it; 0 is no opinion. */
static int vendor_max_level(struct kvm *kvm, kvm_pfn_t pfn)
{
	return static_call(kvm_x86_private_max_mapping_level)(kvm, pfn);
}
#else
static int vendor_max_level(struct kvm *kvm, kvm_pfn_t pfn)
{
	return 0;
}
#endif

#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_INVALIDATE
void kvm_arch_gmem_invalidate(kvm_pfn_t start, kvm_pfn_t end)
{
	static_call_cond(kvm_x86_gmem_invalidate)(start, end);
}

void kvm_arch_gmem_invalidate_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	static_call_cond(kvm_x86_gmem_invalidate_range)(kvm, range);
}
#endif

/* The level at which the block of order @order around the pfn may be mapped. */
static u8 max_private_level(struct kvm *kvm, struct kvm_page_fault *fault,
			    int order)
{
	int vendor = vendor_max_level(kvm, fault->pfn);
	u8 level = fault->max_level;

	if (vendor && vendor < level)
		level = vendor;

	while (level > PG_LEVEL_4K &&
	       KVM_HPAGE_GFN_SHIFT(level) > order)
		level--;

	return level;
}

/*
 * The level of what maps @gfn, or would have to; *@spte: what does, or 0.
 * Without a lock: as it was a moment ago.
 */
static int mapped_level(struct kvm_vcpu *vcpu, gfn_t gfn, u64 *spte)
{
	u64 sptes[PT64_ROOT_MAX_LEVEL + 1];
	int leaf, root_level;

	*spte = 0;
	/* User space can have taken the root away since the vCPU ran. */
	if (!VALID_PAGE(vcpu->arch.mmu->root.hpa) ||
	    !is_tdp_mmu(vcpu->arch.mmu))
		return PG_LEVEL_4K;

	kvm_tdp_mmu_walk_lockless_begin();
	leaf = kvm_tdp_mmu_get_walk(vcpu, gfn_to_gpa(gfn), sptes, &root_level);
	kvm_tdp_mmu_walk_lockless_end();

	if (leaf >= PG_LEVEL_4K && is_shadow_present_pte(sptes[leaf]))
		*spte = sptes[leaf];

	return leaf;
}

static bool mapped_large(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	u64 spte;

	return mapped_level(vcpu, gfn, &spte) > PG_LEVEL_4K && spte;
}

/*
 * The order of what could be mapped for @fault, so that no more is prepared at
 * once than is mapped at once. Without mmu_lock: a guess, right but for races.
 */
static int wanted_order(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	u64 spte;

	/* Where there is a table of small mappings, that stays in use. */
	if (fault->nx_huge_page_workaround_enabled &&
	    (fault->exec ||
	     mapped_level(vcpu, fault->gfn, &spte) == PG_LEVEL_4K))
		return 0;

	/* Also if not all of it is private. */
	if (READ_ONCE(lpage_info_slot(fault->gfn, fault->slot,
				      PG_LEVEL_2M)->disallow_lpage))
		return 0;

	return KVM_HPAGE_GFN_SHIFT(PG_LEVEL_2M);
}

int kvm_faultin_pfn_private(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct kvm_memory_slot *slot = fault->slot;
	int order, r;

	/* No memslot is no MMIO either: the guest takes it for its memory. */
	if (!slot || !(slot->flags & KVM_MEM_GUEST_MEMFD))
		return kvm_mmu_prepare_memory_fault_exit(vcpu, fault);

	order = wanted_order(vcpu, fault);
	r = kvm_gmem_get_pfn(vcpu->kvm, slot, fault->gfn, &fault->pfn, &order);
	if (r == -EAGAIN)
		return RET_PF_RETRY;
	if (r) {
		kvm_mmu_prepare_memory_fault_exit(vcpu, fault);
		return r;
	}

	fault->map_writable = true;
	fault->max_level = max_private_level(vcpu->kvm, fault, order);

	return RET_PF_CONTINUE;
}

void kvm_mmu_split_private(struct kvm_vcpu *vcpu,
			   const struct kvm_memory_slot *slot, gfn_t gfn)
{
	struct kvm *kvm = vcpu->kvm;

	if (!mapped_large(vcpu, gfn))
		return;

	write_lock(&kvm->mmu_lock);
	kvm_mmu_try_split_huge_pages(kvm, slot, gfn, gfn + 1, PG_LEVEL_4K);
	kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);

	if (mapped_large(vcpu, gfn))
		kvm_zap_gfn_range(kvm, gfn, gfn + 1);
}
EXPORT_SYMBOL_GPL(kvm_mmu_split_private);

static void set_mixed(struct kvm_memory_slot *slot, gfn_t gfn, int level,
		      bool mixed)
{
	struct kvm_lpage_info *linfo = lpage_info_slot(gfn, slot, level);

	if (mixed)
		linfo->disallow_lpage |= KVM_LPAGE_MIXED_FLAG;
	else
		linfo->disallow_lpage &= ~KVM_LPAGE_MIXED_FLAG;
}

/* Recompute the mixed flags of all blocks that [@start, @end) has a part in. */
static void update_mixed(struct kvm *kvm, struct kvm_memory_slot *slot,
			 gfn_t start, gfn_t end)
{
	gfn_t gfn, run_end, npages;
	int level;

	for (level = PG_LEVEL_2M; level <= KVM_MAX_HUGEPAGE_LEVEL; level++) {
		npages = KVM_PAGES_PER_HPAGE(level);
		run_end = 0;

		/* Ranges of equal attributes are maximal: one look-up for each. */
		for (gfn = ALIGN_DOWN(start, npages); gfn < end; gfn += npages) {
			if (gfn >= run_end)
				kvm_mem_attrs_run(&kvm->mem_attrs, gfn, &run_end);

			set_mixed(slot, gfn, level, run_end < gfn + npages);
		}
	}
}

bool kvm_arch_pre_set_memory_attributes(struct kvm *kvm,
					struct kvm_gfn_range *range)
{
	gfn_t npages;
	int level;

	if (WARN_ON_ONCE(!kvm_arch_has_private_mem(kvm)))
		return false;

	/*
	 * Blocks of which only a part changes are about to become mixed. Say so
	 * now: a fault on the part that does not change is outside of the
	 * invalidated range, and must not map the whole block meanwhile.
	 */
	for (level = PG_LEVEL_2M; level <= KVM_MAX_HUGEPAGE_LEVEL; level++) {
		npages = KVM_PAGES_PER_HPAGE(level);

		if (!IS_ALIGNED(range->start, npages))
			set_mixed(range->slot, range->start, level, true);
		if (!IS_ALIGNED(range->end, npages))
			set_mixed(range->slot, range->end - 1, level, true);
	}

	return kvm_unmap_gfn_range(kvm, range);
}

bool kvm_arch_post_set_memory_attributes(struct kvm *kvm,
					 struct kvm_gfn_range *range)
{
	update_mixed(kvm, range->slot, range->start, range->end);

	return false;
}

void kvm_mmu_init_memslot_memory_attributes(struct kvm *kvm,
					    struct kvm_memory_slot *slot)
{
	if (kvm_arch_has_private_mem(kvm))
		update_mixed(kvm, slot, slot->base_gfn,
			     slot->base_gfn + slot->npages);
}

bool kvm_mmu_zap_slot(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	struct kvm_gfn_range range = {
		.slot = slot,
		.start = slot->base_gfn,
		.end = slot->base_gfn + slot->npages,
		.may_block = true,
	};
	bool alone;

	lockdep_assert_held(&kvm->slots_lock);

	/* Older VMMs may count on more. */
	if (kvm->arch.vm_type == KVM_X86_DEFAULT_VM || !is_tdp_mmu_enabled(kvm))
		return false;

	write_lock(&kvm->mmu_lock);
	/* Shadow pages, as L2 has them, are counted in the slot. */
	alone = list_empty(&kvm->arch.active_mmu_pages);
	if (alone && kvm_unmap_gfn_range(kvm, &range))
		kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);

	return alone;
}

#ifdef CONFIG_KVM_GENERIC_PRE_FAULT_MEMORY
/*
 * Map @gpa as if the guest had read it, or with PFERR_WRITE_MASK in @access,
 * had written to it; *@level is the level it got.
 */
static int pre_fault_one(struct kvm_vcpu *vcpu, gpa_t gpa, u64 access, u8 *level)
{
	u64 error_code = PFERR_GUEST_FINAL_MASK | access;
	int r;

	if (kvm_mem_is_private(vcpu->kvm, gpa_to_gfn(gpa)))
		error_code |= PFERR_PRIVATE_ACCESS;

	do {
		if (signal_pending(current))
			return -EINTR;
		cond_resched();

		/* What KVM_RUN does on its way: a stale root is never mapped to. */
		if (kvm_check_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, vcpu))
			kvm_mmu_free_obsolete_roots(vcpu);

		r = kvm_mmu_reload(vcpu);
		if (r)
			return r;

		r = kvm_mmu_do_page_fault(vcpu, gpa, error_code, true, NULL,
					  level);
	} while (r == RET_PF_RETRY);

	return r;
}

long kvm_arch_vcpu_pre_fault_memory(struct kvm_vcpu *vcpu, gpa_t gpa, u64 size)
{
	u8 level = PG_LEVEL_4K;
	gpa_t next;
	int r;

	if (!vcpu->kvm->arch.pre_fault_allowed)
		return -EOPNOTSUPP;

	/* In L2, or without TDP, a gpa is not what the page tables map. */
	if (vcpu->arch.mmu->page_fault != kvm_tdp_page_fault)
		return -EOPNOTSUPP;

	r = pre_fault_one(vcpu, gpa, 0, &level);
	if (r < 0)
		return r;

	switch (r) {
	case RET_PF_FIXED:
	case RET_PF_SPURIOUS:
		break;
	case RET_PF_EMULATE:
		return -ENOENT;
	default:
		WARN_ONCE(1, "unexpected result %d of a prefetch", r);
		return -EIO;
	}

	next = ALIGN_DOWN(gpa, KVM_HPAGE_SIZE(level)) + KVM_HPAGE_SIZE(level);

	return min(size, next - gpa);
}

/* Of one run: a block of pages, more than entries that name a page each. */
#define PREFAULT_MAX	512

void kvm_mmu_prefault_init(struct kvm_mmu_prefault *p)
{
	*p = (struct kvm_mmu_prefault){ .left = PREFAULT_MAX };
}
EXPORT_SYMBOL_GPL(kvm_mmu_prefault_init);

/* Another one that was not mapped: each is as likely to be the sample. */
static void count_asked(struct kvm_mmu_prefault *p, gfn_t gfn)
{
	if (get_random_u32() % ++p->asked == 0)
		p->sample = gfn;
}

void kvm_mmu_prefault_begin(struct kvm_vcpu *vcpu, struct kvm_mmu_prefault *p)
{
	u64 spte;

	if (!p->asked)
		return;

	/* What is mapped ahead begins as not accessed. */
	mapped_level(vcpu, p->sample, &spte);
	if (spte && is_accessed_spte(spte))
		p->left = min_t(u32, p->left + p->asked, PREFAULT_MAX);
	else
		p->left = 0;
	p->asked = 0;
}
EXPORT_SYMBOL_GPL(kvm_mmu_prefault_begin);

static bool prefault_private(struct kvm_vcpu *vcpu, struct kvm_mmu_prefault *p,
			     gfn_t gfn, gfn_t end, u8 *level)
{
	u64 spte;
	int r;

	if (!p->left) {
		*level = mapped_level(vcpu, gfn, &spte);
		if (spte)
			return true;

		/* What could be one mapping counts as one. */
		*level = PG_LEVEL_4K;
		if (IS_ALIGNED(gfn, KVM_PAGES_PER_HPAGE(PG_LEVEL_2M)) &&
		    end - gfn >= KVM_PAGES_PER_HPAGE(PG_LEVEL_2M))
			*level = PG_LEVEL_2M;
		count_asked(p, gfn);
		return true;
	}

	r = pre_fault_one(vcpu, gfn_to_gpa(gfn), 0, level);
	if (r == RET_PF_FIXED) {
		count_asked(p, gfn);
		p->left--;
	}

	return r == RET_PF_FIXED || r == RET_PF_SPURIOUS;
}

static bool prefault_shared(struct kvm_vcpu *vcpu, gfn_t gfn, u8 *level)
{
	/* It is there to be written. */
	int r = pre_fault_one(vcpu, gfn_to_gpa(gfn), PFERR_WRITE_MASK, level);

	return r == RET_PF_FIXED || r == RET_PF_SPURIOUS;
}

void kvm_mmu_prefault(struct kvm_vcpu *vcpu, struct kvm_mmu_prefault *p,
		      gfn_t gfn, u64 npages, bool private)
{
	gfn_t end = gfn + npages;
	u8 level;
	int i;

	if (!vcpu->kvm->arch.pre_fault_allowed ||
	    vcpu->arch.mmu->page_fault != kvm_tdp_page_fault)
		return;

	for (i = 0; i < PREFAULT_MAX && gfn < end; i++) {
		if (kvm_mem_is_private(vcpu->kvm, gfn) != private)
			return;

		level = PG_LEVEL_4K;
		if (private ? !prefault_private(vcpu, p, gfn, end, &level) :
			      !prefault_shared(vcpu, gfn, &level))
			return;

		gfn = ALIGN_DOWN(gfn, KVM_PAGES_PER_HPAGE(level)) +
		      KVM_PAGES_PER_HPAGE(level);
	}
}
EXPORT_SYMBOL_GPL(kvm_mmu_prefault);
#endif /* CONFIG_KVM_GENERIC_PRE_FAULT_MEMORY */
