// SPDX-License-Identifier: GPL-2.0-only
/*
 * Initial content for guest_memfd pages: userspace's memory goes in, and the
 * architecture's callback makes guest memory of it.
 */
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "gmem_chunk.h"
#include "guest_memfd.h"

/* One page; invalidate_lock held, so that it cannot be punched meanwhile. */
static int populate_page(struct kvm *kvm, struct file *file, pgoff_t index,
			 gfn_t gfn, struct page *src, kvm_gmem_populate_cb cb,
			 void *opaque)
{
	struct gmem_chunk *chunk;
	struct folio *folio;
	int r;

	if (!kvm_mem_is_private(kvm, gfn))
		return -EINVAL;

	chunk = kvm_gmem_lock_chunk(file_inode(file), index);
	if (IS_ERR(chunk))
		return PTR_ERR(chunk);

	folio = kvm_gmem_get_folio(file_inode(file), index);
	if (IS_ERR(folio)) {
		r = PTR_ERR(folio);
		goto out_chunk;
	}

	gmem_chunk_set_small(chunk);

	/*
	 * Whether the page may be the guest's already is for the callback to
	 * tell: uptodate only says that its content is known.
	 */
	r = folio_test_hwpoison(folio) ? -EHWPOISON :
		cb(kvm, gfn, folio_pfn(folio), src, 0, opaque);
	if (!r)
		folio_mark_uptodate(folio);

	folio_unlock(folio);
	folio_put(folio);
out_chunk:
	gmem_chunk_unlock(chunk);

	return r;
}

long kvm_gmem_populate(struct kvm *kvm, gfn_t gfn, void __user *src, long npages,
		       kvm_gmem_populate_cb post_populate, void *opaque)
{
	struct kvm_memory_slot *slot;
	struct page *page = NULL;
	struct file *file;
	pgoff_t index;
	long done;
	int r = 0;

	lockdep_assert_held(&kvm->slots_lock);

	if (npages <= 0 || !PAGE_ALIGNED((unsigned long)src))
		return -EINVAL;

	slot = gfn_to_memslot(kvm, gfn);
	if (!slot || !(slot->flags & KVM_MEM_GUEST_MEMFD))
		return -EINVAL;

	file = kvm_gmem_get_file(slot);
	if (!file)
		return -EFAULT;

	index = gfn - slot->base_gfn + slot->gmem.pgoff;
	npages = min_t(u64, npages, slot->base_gfn + slot->npages - gfn);

	for (done = 0; done < npages; done++) {
		if (signal_pending(current)) {
			r = -EINTR;
			break;
		}

		/*
		 * Before invalidate_lock: a fault on the source takes mmap_lock,
		 * which page faults take before the same class of lock.
		 */
		if (src && get_user_pages_fast((unsigned long)src +
					       done * PAGE_SIZE, 1, 0,
					       &page) != 1) {
			r = -EFAULT;
			break;
		}

		filemap_invalidate_lock(file->f_mapping);
		r = populate_page(kvm, file, index + done, gfn + done, page,
				  post_populate, opaque);
		filemap_invalidate_unlock(file->f_mapping);

		if (page)
			put_page(page);
		if (r)
			break;
		cond_resched();
	}

	fput(file);

	return done ?: r;
}
EXPORT_SYMBOL_GPL(kvm_gmem_populate);
