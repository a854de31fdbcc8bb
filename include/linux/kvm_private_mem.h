/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private guest memory: memory attributes, guest_memfd and what the
 * architectures contribute to both.
 *
 * A gfn is private or shared by its attribute. Shared memory comes from the
 * memslot's host virtual address, private memory from the guest_memfd bound to
 * the memslot; the host never maps the latter.
 *
 * Included by kvm_host.h, before struct kvm is complete.
 */
#ifndef __LINUX_KVM_PRIVATE_MEM_H
#define __LINUX_KVM_PRIVATE_MEM_H

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kvm.h>
#include <linux/kvm_types.h>
#include <linux/maple_tree.h>

struct file;
struct kvm;
struct kvm_gfn_range;
struct kvm_memory_slot;
struct kvm_vcpu;

/*
 * Attributes by gfn, as maximal ranges of equal value; what is not stored has
 * no attributes. Written under slots_lock, read under RCU. A reader that acts
 * on what it read must recheck mmu_invalidate_seq under mmu_lock.
 */
struct kvm_mem_attrs {
	struct maple_tree tree;
};

/*
 * The guest_memfd behind a memslot. @file is cleared under slots_lock when the
 * file dies before the memslot does; it holds no reference. @pgoff is the
 * file's page that backs the memslot's first gfn. @ready is set, under mmu_lock,
 * when the memslot has all that the architecture keeps of it: before, nothing
 * can be mapped by way of it, nor zapped.
 */
struct kvm_gmem_slot {
	struct file __rcu *file;
	pgoff_t pgoff;
	bool ready;
};

/* Which mappings a struct kvm_gfn_range is about; 0 is all of them. */
#define KVM_FILTER_SHARED	BIT(0)
#define KVM_FILTER_PRIVATE	BIT(1)

/* True for a VM whose memory may be private. */
/* Does KVM emulate the writes that a read-only memory slot makes exits of? */
#ifndef kvm_arch_has_readonly_mem
#define kvm_arch_has_readonly_mem(kvm) true
#endif

#ifndef kvm_arch_has_private_mem
#define kvm_arch_has_private_mem(kvm) false
#endif

/*
 * Fill in KVM_EXIT_MEMORY_FAULT for @size bytes at @gpa. The caller goes on to
 * fail KVM_RUN with -EFAULT or -EHWPOISON, which is what makes it valid.
 */
void kvm_prepare_memory_fault_exit(struct kvm_vcpu *vcpu, gpa_t gpa, gpa_t size,
				   bool is_private);

#ifdef CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES
void kvm_mem_attrs_init(struct kvm_mem_attrs *attrs);
void kvm_mem_attrs_destroy(struct kvm_mem_attrs *attrs);

/* The attributes of @gfn; *@end is the first gfn behind its run, if not NULL. */
unsigned long kvm_mem_attrs_run(struct kvm_mem_attrs *attrs, gfn_t gfn,
				gfn_t *end);

/*
 * Give [@start, @end) the attributes @val, all of it or, on -ENOMEM, nothing.
 * Callers serialise.
 */
int kvm_mem_attrs_store(struct kvm_mem_attrs *attrs, gfn_t start, gfn_t end,
			unsigned long val);

/* True if @val is what all of [@start, @end) has in @mask. */
bool kvm_mem_attrs_range_has(struct kvm_mem_attrs *attrs, gfn_t start, gfn_t end,
			     unsigned long mask, unsigned long val);

unsigned long kvm_get_memory_attributes(struct kvm *kvm, gfn_t gfn);
bool kvm_range_has_memory_attributes(struct kvm *kvm, gfn_t start, gfn_t end,
				     unsigned long mask, unsigned long attrs);
bool kvm_mem_is_private(struct kvm *kvm, gfn_t gfn);

/* What KVM_SET_MEMORY_ATTRIBUTES takes; @kvm is NULL for /dev/kvm itself. */
u64 kvm_supported_mem_attributes(struct kvm *kvm);

/*
 * Set the attributes of gfns [@start, @end). Takes slots_lock. On -ENOMEM no
 * attribute has changed, though mappings may have been zapped.
 */
int kvm_vm_set_mem_attributes(struct kvm *kvm, gfn_t start, gfn_t end,
			      unsigned long attrs);
int kvm_vm_ioctl_set_mem_attributes(struct kvm *kvm, void __user *argp);

/*
 * kvm_unmap_gfn_range() on behalf of the host's page tables, which say nothing
 * about private gfns. mmu_lock held for write.
 */
bool kvm_unmap_shared_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);

/*
 * Both with mmu_lock held for write, for the part of a change that lies in
 * range->slot: before the attributes change, to zap, and after they changed, or
 * failed to. Both return whether the TLBs have to be flushed.
 */
bool kvm_arch_pre_set_memory_attributes(struct kvm *kvm,
					struct kvm_gfn_range *range);
bool kvm_arch_post_set_memory_attributes(struct kvm *kvm,
					 struct kvm_gfn_range *range);
#else
static inline void kvm_mem_attrs_init(struct kvm_mem_attrs *attrs) {}
static inline void kvm_mem_attrs_destroy(struct kvm_mem_attrs *attrs) {}

static inline bool kvm_mem_is_private(struct kvm *kvm, gfn_t gfn)
{
	return false;
}

static inline u64 kvm_supported_mem_attributes(struct kvm *kvm)
{
	return 0;
}

static inline int kvm_vm_ioctl_set_mem_attributes(struct kvm *kvm,
						  void __user *argp)
{
	return -ENOTTY;
}

#define kvm_unmap_shared_gfn_range kvm_unmap_gfn_range
#endif

/* Of struct kvm_memory_slot: shared memory, too, comes from the guest_memfd. */
#define KVM_MEMSLOT_GMEM_ONLY	BIT(17)

/* The GUEST_MEMFD_FLAG_* that files of @kvm may have; NULL: of any VM. */
#ifdef CONFIG_KVM_GMEM_MMAP
u64 kvm_gmem_supported_flags(struct kvm *kvm);
#else
static inline u64 kvm_gmem_supported_flags(struct kvm *kvm)
{
	return 0;
}
#endif

#ifdef CONFIG_KVM_PRIVATE_MEM
int kvm_gmem_init(void);
void kvm_gmem_exit(void);

/* KVM_CREATE_GUEST_MEMFD: a file descriptor or an error. */
int kvm_gmem_create(struct kvm *kvm, void __user *argp);

/*
 * Back @slot with the guest_memfd @fd from byte @offset on. slots_lock held.
 * -EINVAL: not a guest_memfd of @kvm, or the slot leaves the file; -EEXIST:
 * another slot has a part of the file. The slot is unchanged on an error.
 */
int kvm_gmem_bind(struct kvm *kvm, struct kvm_memory_slot *slot,
		  unsigned int fd, u64 offset);

/*
 * @slot, which is bound if it has a guest_memfd, is about to be found by others;
 * NULL for none. slots_lock held, mmu_lock not.
 */
void kvm_gmem_slot_ready(struct kvm *kvm, struct kvm_memory_slot *slot);

/* Undo kvm_gmem_bind(), if it was done. slots_lock held, or the VM is dying. */
void kvm_gmem_unbind(struct kvm *kvm, struct kvm_memory_slot *slot);

/*
 * The page that backs @gfn, zeroed at first use and prepared by the
 * architecture, with a reference for the caller. *@max_order is the order of
 * the naturally aligned block around it that the caller could map at once, and
 * becomes that of what it may: 0 is the page alone, and has the architecture
 * prepare it so that it can be mapped alone. Sleeps.
 * -EFAULT: @slot has no live guest_memfd; -EHWPOISON; -ENOMEM; or what the
 * architecture answered. *@pfn and *@max_order are untouched then.
 */
int kvm_gmem_get_pfn(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn,
		     kvm_pfn_t *pfn, int *max_order);
#else
static inline int kvm_gmem_init(void)
{
	return 0;
}

static inline void kvm_gmem_exit(void) {}

static inline int kvm_gmem_create(struct kvm *kvm, void __user *argp)
{
	return -ENOTTY;
}

static inline int kvm_gmem_bind(struct kvm *kvm, struct kvm_memory_slot *slot,
				unsigned int fd, u64 offset)
{
	return -EINVAL;
}

static inline void kvm_gmem_slot_ready(struct kvm *kvm,
				       struct kvm_memory_slot *slot)
{
}

static inline void kvm_gmem_unbind(struct kvm *kvm, struct kvm_memory_slot *slot)
{
}

static inline int kvm_gmem_get_pfn(struct kvm *kvm, struct kvm_memory_slot *slot,
				   gfn_t gfn, kvm_pfn_t *pfn, int *max_order)
{
	return -EFAULT;
}
#endif

/*
 * Make initial guest memory of the page at @pfn, or of the naturally aligned
 * block of @order: @src are its source pages, pinned, or NULL if there are none.
 * Chunk and invalidate_lock held; the folio locked, of a block the first one.
 * -EOPNOTSUPP of a block: nothing has changed but what is in its pages, and it
 * is to be tried by pages.
 */
typedef int (*kvm_gmem_populate_cb)(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn,
				    struct page **src, int order, void *opaque);

/*
 * Fill @npages pages from @gfn on with the memory at @src, by @post_populate,
 * blocks at once where there are. slots_lock held. Returns the pages done, or
 * an error if that is none.
 */
long kvm_gmem_populate(struct kvm *kvm, gfn_t gfn, void __user *src, long npages,
		       kvm_gmem_populate_cb post_populate, void *opaque);

#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_PREPARE
/*
 * Make the page at @pfn the guest's at @gfn, or, with an order, the naturally
 * aligned block around both; nothing if it is already. With order 0 it has to
 * be such that the page can be mapped alone. Nothing changes on an error.
 */
int kvm_arch_gmem_prepare(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn,
			  int max_order);
#else
static inline int kvm_arch_gmem_prepare(struct kvm *kvm, gfn_t gfn,
					kvm_pfn_t pfn, int max_order)
{
	return 0;
}
#endif

#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_INVALIDATE
/* Pages [@start, @end) leave the file: make them the host's again. */
void kvm_arch_gmem_invalidate(kvm_pfn_t start, kvm_pfn_t end);
/* Their mappings in @range were zapped; mmu_lock held for write. */
void kvm_arch_gmem_invalidate_range(struct kvm *kvm, struct kvm_gfn_range *range);
#else
static inline void kvm_arch_gmem_invalidate(kvm_pfn_t start, kvm_pfn_t end) {}
static inline void kvm_arch_gmem_invalidate_range(struct kvm *kvm,
						  struct kvm_gfn_range *range)
{
}
#endif

#ifdef CONFIG_KVM_GENERIC_PRE_FAULT_MEMORY
int kvm_vcpu_ioctl_pre_fault_memory(struct kvm_vcpu *vcpu, void __user *argp);
/* Map the page at @gpa: bytes done, up to @size, or an error. */
long kvm_arch_vcpu_pre_fault_memory(struct kvm_vcpu *vcpu, gpa_t gpa, u64 size);
#else
static inline int kvm_vcpu_ioctl_pre_fault_memory(struct kvm_vcpu *vcpu,
						  void __user *argp)
{
	return -ENOTTY;
}
#endif

#endif /* __LINUX_KVM_PRIVATE_MEM_H */
