/* SPDX-License-Identifier: GPL-2.0-only */
/* Private memory in the x86 MMU; stubs where there is none. */
#ifndef __KVM_X86_MMU_PRIVATE_H
#define __KVM_X86_MMU_PRIVATE_H

#include <linux/kvm_host.h>

struct kvm_page_fault;

/*
 * How much of what a guest asks to have private a vCPU maps ahead: what it asks
 * for and then uses it may have so again, which one of the mappings tells, by
 * lot; if that was not used it has nothing ahead until one is. So a guest that
 * asks and does not touch has no more mapped, on the average, than it touched,
 * but for as much as there is to begin with.
 */
struct kvm_mmu_prefault {
	u32 left;		/* mappings that may be made */
	u32 asked;		/* that the last request asked for, and were not */
	gfn_t sample;		/* of which this is one */
};

/*
 * In lpage_info's disallow_lpage: the block has gfns of different attributes.
 * The other bits count the reasons why it may not be mapped huge.
 */
#define KVM_LPAGE_MIXED_FLAG	BIT(31)

/*
 * Whether nothing in @slot may be mapped at @level because the host's address
 * is aligned otherwise. What lpage_info has of a memslot with a guest_memfd
 * holds for private memory, too, which has no such address: there it is only
 * looked at when shared memory is mapped.
 */
static inline bool kvm_slot_is_askew(const struct kvm_memory_slot *slot,
				     int level)
{
	return (slot->base_gfn ^ (slot->userspace_addr >> PAGE_SHIFT)) &
	       (KVM_PAGES_PER_HPAGE(level) - 1);
}

/* The level at which shared memory of @slot may be mapped, up to @level. */
static inline int kvm_mmu_max_shared_level(const struct kvm_memory_slot *slot,
					   int level)
{
	while (slot->flags & KVM_MEM_GUEST_MEMFD && level > PG_LEVEL_4K &&
	       kvm_slot_is_askew(slot, level))
		level--;

	return level;
}

#ifdef CONFIG_KVM_PRIVATE_MEM
/* True if VMs with private memory can be had, which takes the TDP MMU. */
bool kvm_mmu_has_private_mem(void);

/*
 * Mark @error_code of a fault at @gpa as a private access if the VM's accesses
 * are what the attributes say, and do not say so themselves.
 */
u64 kvm_mmu_private_error_code(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code);

/* Fill in KVM_EXIT_MEMORY_FAULT, unless it is a prefetch. Returns -EFAULT. */
int kvm_mmu_prepare_memory_fault_exit(struct kvm_vcpu *vcpu,
				      struct kvm_page_fault *fault);

/* True if the access is not what the gfn's attribute asks for. */
bool kvm_mmu_private_mismatch(struct kvm *kvm, struct kvm_page_fault *fault);

/*
 * 0 if the access is what the gfn's attribute asks for, else -EFAULT with the
 * exit filled in. After mmu_invalidate_seq was sampled.
 */
int kvm_mmu_private_fault_check(struct kvm_vcpu *vcpu,
				struct kvm_page_fault *fault);

/*
 * The pfn and the level of a private fault, from the guest_memfd.
 * RET_PF_CONTINUE, RET_PF_RETRY, or an error with the exit filled in.
 */
int kvm_faultin_pfn_private(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/*
 * Have @gfn of @slot, which lies in entries of 4 KiB, not be mapped by more: a
 * larger mapping becomes smaller ones of all that it mapped, or, for lack of
 * memory, none. Takes mmu_lock; flushes.
 */
void kvm_mmu_split_private(struct kvm_vcpu *vcpu,
			   const struct kvm_memory_slot *slot, gfn_t gfn);

/* For a new vCPU. */
void kvm_mmu_prefault_init(struct kvm_mmu_prefault *p);

/* A request begins; the one before it is judged. The vCPU is loaded. */
void kvm_mmu_prefault_begin(struct kvm_vcpu *vcpu, struct kvm_mmu_prefault *p);

/*
 * Map the gfns from @gfn on that the guest is about to touch, as long as they
 * are what @private says, up to @npages, to what one exit may do and, of what is
 * private, to what @p has left. Where one cannot be mapped, the rest is left for
 * its faults to tell. The vCPU is loaded; sleeps.
 */
void kvm_mmu_prefault(struct kvm_vcpu *vcpu, struct kvm_mmu_prefault *p,
		      gfn_t gfn, u64 npages, bool private);

/*
 * Zap what maps gfns of @slot, which goes or moves, and nothing else, so that
 * private memory of others stays mapped; flushes. Nobody can map any of @slot by
 * now; slots_lock is held, mmu_lock is taken. False, with nothing done, if all has
 * to be zapped: of VMs of the default type, or for the sake of shadow pages.
 */
bool kvm_mmu_zap_slot(struct kvm *kvm, struct kvm_memory_slot *slot);

/* Set the mixed flags of a new memslot. slots_lock held. */
void kvm_mmu_init_memslot_memory_attributes(struct kvm *kvm,
					    struct kvm_memory_slot *slot);
#else
static inline bool kvm_mmu_has_private_mem(void)
{
	return false;
}

static inline u64 kvm_mmu_private_error_code(struct kvm_vcpu *vcpu, gpa_t gpa,
					     u64 error_code)
{
	return error_code;
}

static inline int
kvm_mmu_prepare_memory_fault_exit(struct kvm_vcpu *vcpu,
				  struct kvm_page_fault *fault)
{
	return -EFAULT;
}

static inline bool kvm_mmu_private_mismatch(struct kvm *kvm,
					    struct kvm_page_fault *fault)
{
	return false;
}

static inline int kvm_mmu_private_fault_check(struct kvm_vcpu *vcpu,
					      struct kvm_page_fault *fault)
{
	return 0;
}

static inline int kvm_faultin_pfn_private(struct kvm_vcpu *vcpu,
					  struct kvm_page_fault *fault)
{
	return -EFAULT;
}

static inline bool kvm_mmu_zap_slot(struct kvm *kvm,
				    struct kvm_memory_slot *slot)
{
	return false;
}

static inline void
kvm_mmu_init_memslot_memory_attributes(struct kvm *kvm,
				       struct kvm_memory_slot *slot)
{
}
#endif /* CONFIG_KVM_PRIVATE_MEM */

#endif /* __KVM_X86_MMU_PRIVATE_H */
