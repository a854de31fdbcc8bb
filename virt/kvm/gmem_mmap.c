// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping a guest_memfd into its VMM: faults, and the NUMA policy of its pages.
 *
 * Lock order: mmap_lock, then a chunk's lock and the folio lock. A fault takes
 * no invalidate_lock: a page that is on its way out of the file is locked until
 * no page table has it any more.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/kvm_host.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "gmem_chunk.h"
#include "gmem_mmap.h"
#include "guest_memfd.h"

u64 kvm_gmem_supported_flags(struct kvm *kvm)
{
	u64 flags = GUEST_MEMFD_FLAG_MMAP;

	/* Nothing tells which of the pages are shared but the attributes. */
	if (!kvm || !kvm_arch_has_private_mem(kvm))
		flags |= GUEST_MEMFD_FLAG_INIT_SHARED;

	return flags;
}

static vm_fault_t gmem_fault(struct vm_fault *vmf)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	struct gmem_chunk *chunk;
	struct folio *folio;

	if (!(kvm_gmem_map(inode)->flags & GUEST_MEMFD_FLAG_INIT_SHARED))
		return VM_FAULT_SIGBUS;

	/* A block that is being made is there, or is not, but never half. */
	chunk = kvm_gmem_lock_chunk(inode, vmf->pgoff);
	if (IS_ERR(chunk))
		return vmf_error(PTR_ERR(chunk));

	folio = kvm_gmem_get_folio(inode, vmf->pgoff);
	gmem_chunk_unlock(chunk);
	if (IS_ERR(folio))
		return vmf_error(PTR_ERR(folio));

	if (folio_test_hwpoison(folio)) {
		folio_unlock(folio);
		folio_put(folio);
		return VM_FAULT_HWPOISON;
	}

	if (!folio_test_uptodate(folio)) {
		clear_highpage(folio_page(folio, 0));
		folio_mark_uptodate(folio);
	}

	vmf->page = folio_page(folio, 0);
	return VM_FAULT_LOCKED;
}

#ifdef CONFIG_NUMA
static int gmem_set_policy(struct vm_area_struct *vma, struct mempolicy *new)
{
	struct gmem_map *map = kvm_gmem_map(file_inode(vma->vm_file));

	return mpol_set_shared_policy(&map->policy, vma, new);
}

/* NULL: none was set, and the answer is the default, not the task's own. */
static struct mempolicy *gmem_get_policy(struct vm_area_struct *vma,
					 unsigned long addr)
{
	struct gmem_map *map = kvm_gmem_map(file_inode(vma->vm_file));

	return mpol_shared_policy_lookup(&map->policy,
					 linear_page_index(vma, addr));
}

static bool policy_is_one(struct gmem_map *map, pgoff_t index, pgoff_t npages)
{
	struct mempolicy *pol, *first;
	bool one = true;
	pgoff_t i;

	/* Held, for another must not have its address meanwhile. */
	first = mpol_shared_policy_lookup(&map->policy, index);
	for (i = 1; one && i < npages; i++) {
		pol = mpol_shared_policy_lookup(&map->policy, index + i);
		one = pol == first;
		mpol_cond_put(pol);
	}
	mpol_cond_put(first);

	return one;
}

struct page *gmem_map_alloc(struct gmem_map *map, pgoff_t index, gfp_t gfp,
			    unsigned int order)
{
	/* Where none was ever set this is all there is to it. */
	if (!map->policy.root.rb_node)
		return alloc_pages(gfp, order);

	if (order && !policy_is_one(map, index, 1UL << order))
		return NULL;

	return alloc_pages_shared_policy(gfp, order, &map->policy, index);
}
#else
struct page *gmem_map_alloc(struct gmem_map *map, pgoff_t index, gfp_t gfp,
			    unsigned int order)
{
	return alloc_pages(gfp, order);
}
#endif

static const struct vm_operations_struct gmem_vm_ops = {
	.fault		= gmem_fault,
#ifdef CONFIG_NUMA
	.set_policy	= gmem_set_policy,
	.get_policy	= gmem_get_policy,
#endif
};

int gmem_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (!gmem_map_allowed(kvm_gmem_map(file_inode(file))))
		return -ENODEV;

	/* Copies of pages would not be the guest's memory. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;

	vma->vm_ops = &gmem_vm_ops;
	return 0;
}
