// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory attributes: what userspace says a guest's page is, by gfn.
 *
 * A maple tree holds one entry for each maximal range of equal, non-zero
 * attributes, so that a change is a single store, whatever its size, and that
 * store is all or nothing. Two adjacent ranges never have the same value:
 * kvm_mem_attrs_run() and the tracking of huge pages rely on it.
 *
 * A change takes three steps under slots_lock: zap under mmu_lock with an
 * invalidation window opened, store, and close the window under mmu_lock. A
 * fault samples mmu_invalidate_seq before it looks at an attribute, and so
 * either sees the new value or is made to retry.
 */
#include <linux/kvm_host.h>
#include <linux/maple_tree.h>
#include <linux/uaccess.h>

#include <trace/events/kvm.h>

#include "kvm_mm.h"

static_assert(sizeof(struct kvm_memory_attributes) == 32);

void kvm_mem_attrs_init(struct kvm_mem_attrs *attrs)
{
	mt_init_flags(&attrs->tree, MT_FLAGS_USE_RCU);
}

void kvm_mem_attrs_destroy(struct kvm_mem_attrs *attrs)
{
	mtree_destroy(&attrs->tree);
}

/* The run around @gfn as [*@start, *@end) and its value. */
static unsigned long find_run(struct kvm_mem_attrs *attrs, gfn_t gfn,
			      gfn_t *start, gfn_t *end)
{
	MA_STATE(mas, &attrs->tree, gfn, gfn);
	void *entry;

	rcu_read_lock();
	entry = mas_walk(&mas);
	rcu_read_unlock();

	*start = mas.index;
	/* What has no attributes may reach up to the last index there is. */
	*end = mas.last == ULONG_MAX ? ULONG_MAX : mas.last + 1;

	return entry ? xa_to_value(entry) : 0;
}

unsigned long kvm_mem_attrs_run(struct kvm_mem_attrs *attrs, gfn_t gfn,
				gfn_t *end)
{
	gfn_t run_start, run_end;
	unsigned long val = find_run(attrs, gfn, &run_start, &run_end);

	if (end)
		*end = run_end;

	return val;
}

int kvm_mem_attrs_store(struct kvm_mem_attrs *attrs, gfn_t start, gfn_t end,
			unsigned long val)
{
	gfn_t run_start, run_end;

	/*
	 * Swallow the neighbours that have the same value already. The tree
	 * does as much for those that have none.
	 */
	if (val && start &&
	    find_run(attrs, start - 1, &run_start, &run_end) == val)
		start = run_start;
	if (val && find_run(attrs, end, &run_start, &run_end) == val)
		end = run_end;

	return mtree_store_range(&attrs->tree, start, end - 1,
				 val ? xa_mk_value(val) : NULL,
				 GFP_KERNEL_ACCOUNT);
}

bool kvm_mem_attrs_range_has(struct kvm_mem_attrs *attrs, gfn_t start, gfn_t end,
			     unsigned long mask, unsigned long val)
{
	gfn_t next;

	for (; start < end; start = next) {
		if ((kvm_mem_attrs_run(attrs, start, &next) & mask) != val)
			return false;
	}

	return true;
}

unsigned long kvm_get_memory_attributes(struct kvm *kvm, gfn_t gfn)
{
	return kvm_mem_attrs_run(&kvm->mem_attrs, gfn, NULL);
}
EXPORT_SYMBOL_GPL(kvm_get_memory_attributes);

bool kvm_range_has_memory_attributes(struct kvm *kvm, gfn_t start, gfn_t end,
				     unsigned long mask, unsigned long attrs)
{
	return kvm_mem_attrs_range_has(&kvm->mem_attrs, start, end, mask, attrs);
}
EXPORT_SYMBOL_GPL(kvm_range_has_memory_attributes);

bool kvm_mem_is_private(struct kvm *kvm, gfn_t gfn)
{
	return kvm_arch_has_private_mem(kvm) &&
	       kvm_get_memory_attributes(kvm, gfn) & KVM_MEMORY_ATTRIBUTE_PRIVATE;
}
EXPORT_SYMBOL_GPL(kvm_mem_is_private);

u64 kvm_supported_mem_attributes(struct kvm *kvm)
{
	if (!kvm || kvm_arch_has_private_mem(kvm))
		return KVM_MEMORY_ATTRIBUTE_PRIVATE;

	return 0;
}

/*
 * Before another range is zapped: zapping may drop mmu_lock, and flushes before
 * what it zapped itself only. Who comes then finds nothing mapped any more,
 * flushes nothing, and frees pages that CPUs still write to. false: paid.
 */
static bool kvm_pay_flush(struct kvm *kvm, bool owed)
{
	if (owed)
		kvm_flush_remote_tlbs(kvm);

	return false;
}

bool kvm_unmap_shared_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	struct kvm_gfn_range part = *range;
	bool flush = false;
	unsigned long val;
	gfn_t run_end;

	if (!kvm_arch_has_private_mem(kvm))
		return kvm_unmap_gfn_range(kvm, range);

	/*
	 * A private gfn has no mapping that the host's page tables know of: it
	 * was zapped when it became private, and faults use the guest_memfd.
	 */
	for (; part.start < range->end; part.start = part.end) {
		val = kvm_mem_attrs_run(&kvm->mem_attrs, part.start, &run_end);
		part.end = min(run_end, range->end);
		if (val & KVM_MEMORY_ATTRIBUTE_PRIVATE)
			continue;

		flush = kvm_pay_flush(kvm, flush);
		flush |= kvm_unmap_gfn_range(kvm, &part);
	}

	return flush;
}

typedef bool (*attrs_step_t)(struct kvm *kvm, struct kvm_gfn_range *range);

/*
 * One step for each memslot in [@start, @end); flushes if one asks for it.
 * There is one address space where there is private memory.
 */
static void step_through_slots(struct kvm *kvm, gfn_t start, gfn_t end,
			       unsigned long attrs, attrs_step_t step)
{
	struct kvm_gfn_range range = {
		.attributes = attrs,
		.may_block = true,
	};
	struct kvm_memslot_iter iter;
	bool flush = false;

	kvm_for_each_memslot_in_gfn_range(&iter, kvm_memslots(kvm), start, end) {
		range.slot = iter.slot;
		range.start = max(start, iter.slot->base_gfn);
		range.end = min(end, iter.slot->base_gfn + iter.slot->npages);
		flush = kvm_pay_flush(kvm, flush);
		flush |= step(kvm, &range);
	}

	if (flush)
		kvm_flush_remote_tlbs(kvm);
}

int kvm_vm_set_mem_attributes(struct kvm *kvm, gfn_t start, gfn_t end,
			      unsigned long attrs)
{
	int r = 0;

	mutex_lock(&kvm->slots_lock);

	if (kvm_range_has_memory_attributes(kvm, start, end, ~0ul, attrs))
		goto out;

	trace_kvm_vm_set_mem_attributes(start, end, attrs);

	KVM_MMU_LOCK(kvm);
	kvm_mmu_invalidate_begin(kvm);
	kvm_mmu_invalidate_range_add(kvm, start, end);
	step_through_slots(kvm, start, end, attrs,
			   kvm_arch_pre_set_memory_attributes);
	KVM_MMU_UNLOCK(kvm);

	r = kvm_mem_attrs_store(&kvm->mem_attrs, start, end, attrs);

	KVM_MMU_LOCK(kvm);
	step_through_slots(kvm, start, end, attrs,
			   kvm_arch_post_set_memory_attributes);
	kvm_mmu_invalidate_end(kvm);
	KVM_MMU_UNLOCK(kvm);
out:
	mutex_unlock(&kvm->slots_lock);

	return r;
}
EXPORT_SYMBOL_GPL(kvm_vm_set_mem_attributes);

int kvm_vm_ioctl_set_mem_attributes(struct kvm *kvm, void __user *argp)
{
	struct kvm_memory_attributes arg;
	gfn_t start, end;

	/* 64-bit: what copes with gfns copes with the tree's indices. */
	BUILD_BUG_ON(sizeof(gfn_t) != sizeof(unsigned long));
	BUILD_BUG_ON(KVM_SET_MEMORY_ATTRIBUTES != 0x4020aed2);

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;

	if (arg.flags || arg.attributes & ~kvm_supported_mem_attributes(kvm))
		return -EINVAL;

	if (!arg.size || !PAGE_ALIGNED(arg.address | arg.size) ||
	    arg.address + arg.size < arg.address)
		return -EINVAL;

	start = gpa_to_gfn(arg.address);
	end = gpa_to_gfn(arg.address + arg.size);

	return kvm_vm_set_mem_attributes(kvm, start, end, arg.attributes);
}
