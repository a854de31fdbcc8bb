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

struct populate {
	struct kvm *kvm;
	struct kvm_memory_slot *slot;
	struct file *file;
	struct page **pages;	/* the source's, of one run; NULL without */
	kvm_gmem_populate_cb cb;
	void *opaque;
};

static pgoff_t gfn_to_index(const struct populate *p, gfn_t gfn)
{
	return gfn - p->slot->base_gfn + p->slot->gmem.pgoff;
}

/*
 * How many pages from @gfn on may go at once, of @left that are wanted: one,
 * unless they are all of a chunk that can be mapped at once, and private.
 */
static long run_length(const struct populate *p, gfn_t gfn, long left)
{
	pgoff_t index = gfn_to_index(p, gfn);
	gfn_t end;

	if (gmem_chunk_first(index) != index || gmem_chunk_last(index) == index ||
	    gmem_chunk_last(index) - index >= left ||
	    !gmem_chunk_slot_order(p->slot->gmem.pgoff, p->slot->npages,
				   p->slot->base_gfn, index))
		return 1;

	/* slots_lock keeps the attributes. */
	if (!kvm_mem_is_private(p->kvm, gfn))
		return 1;
	kvm_mem_attrs_run(&p->kvm->mem_attrs, gfn, &end);

	return end - gfn < GMEM_CHUNK_PAGES ? 1 : GMEM_CHUNK_PAGES;
}

/* One page, with the chunk locked. */
static int populate_page(const struct populate *p, struct gmem_chunk *chunk,
			 gfn_t gfn)
{
	struct folio *folio;
	int r;

	if (!kvm_mem_is_private(p->kvm, gfn))
		return -EINVAL;

	folio = kvm_gmem_get_folio(file_inode(p->file), gfn_to_index(p, gfn));
	if (IS_ERR(folio))
		return PTR_ERR(folio);

	gmem_chunk_set_small(chunk);

	/*
	 * Whether the page may be the guest's already is for the callback to
	 * tell: uptodate only says that its content is known.
	 */
	r = folio_test_hwpoison(folio) ? -EHWPOISON :
		p->cb(p->kvm, gfn, folio_pfn(folio), p->pages, 0, p->opaque);
	if (!r)
		folio_mark_uptodate(folio);

	folio_unlock(folio);
	folio_put(folio);

	return r;
}

/*
 * A chunk at once, if it is whole, or can be made so: with the chunk locked.
 * -EOPNOTSUPP: by pages. Its pages have known content before and after.
 */
static int populate_block(const struct populate *p, struct gmem_chunk *chunk,
			  gfn_t gfn)
{
	pgoff_t index = gfn_to_index(p, gfn);
	struct folio *folio;
	int r, order;

	gmem_chunk_fill(file_inode(p->file), chunk, index);
	order = gmem_chunk_order(chunk, GMEM_CHUNK_ORDER);
	if (!order || gmem_chunk_is_small(chunk))
		return -EOPNOTSUPP;

	folio = kvm_gmem_get_folio(file_inode(p->file), index);
	if (IS_ERR(folio))
		return PTR_ERR(folio);

	r = p->cb(p->kvm, gfn, folio_pfn(folio), p->pages, order, p->opaque);

	folio_unlock(folio);
	folio_put(folio);

	return r;
}

/* One page, or a chunk; with invalidate_lock, so that none can be punched. */
static int populate_run(const struct populate *p, gfn_t gfn, long n)
{
	struct gmem_chunk *chunk;
	int r;

	chunk = kvm_gmem_lock_chunk(file_inode(p->file), gfn_to_index(p, gfn));
	if (IS_ERR(chunk))
		return PTR_ERR(chunk);

	r = n > 1 ? populate_block(p, chunk, gfn) : populate_page(p, chunk, gfn);

	gmem_chunk_unlock(chunk);

	return r;
}

/*
 * Pin the source pages of a run. Before invalidate_lock: a fault on the source
 * takes mmap_lock, which page faults take before the same class of lock.
 */
static int pin_source(const struct populate *p, void __user *src, long n)
{
	long got;

	if (!p->pages)
		return 0;

	got = get_user_pages_fast((unsigned long)src, n, 0, p->pages);
	if (got == n)
		return 0;
	if (got > 0)
		release_pages(p->pages, got);

	return n > 1 ? -EOPNOTSUPP : -EFAULT;
}

/* All of it, run by run: the pages done, or an error if that is none. */
static long populate(const struct populate *p, gfn_t gfn, void __user *src,
		     long npages)
{
	long done = 0, by_page = 0, n;
	int r = 0;

	while (done < npages) {
		if (signal_pending(current)) {
			r = -EINTR;
			break;
		}

		n = done < by_page ? 1 : run_length(p, gfn + done, npages - done);
		r = pin_source(p, src + done * PAGE_SIZE, n);
		if (!r) {
			filemap_invalidate_lock(p->file->f_mapping);
			r = populate_run(p, gfn + done, n);
			filemap_invalidate_unlock(p->file->f_mapping);

			if (p->pages)
				release_pages(p->pages, n);
		}

		if (r == -EOPNOTSUPP && n > 1) {
			by_page = done + n;
			continue;
		}
		if (r)
			break;

		done += n;
		cond_resched();
	}

	return done ?: r;
}

long kvm_gmem_populate(struct kvm *kvm, gfn_t gfn, void __user *src, long npages,
		       kvm_gmem_populate_cb post_populate, void *opaque)
{
	struct populate p = {
		.kvm = kvm,
		.cb = post_populate,
		.opaque = opaque,
	};
	long r = -ENOMEM;

	lockdep_assert_held(&kvm->slots_lock);

	if (npages <= 0 || !PAGE_ALIGNED((unsigned long)src))
		return -EINVAL;

	p.slot = gfn_to_memslot(kvm, gfn);
	if (!p.slot || !(p.slot->flags & KVM_MEM_GUEST_MEMFD))
		return -EINVAL;

	p.file = kvm_gmem_get_file(p.slot);
	if (!p.file)
		return -EFAULT;

	if (src) {
		p.pages = kcalloc(GMEM_CHUNK_PAGES, sizeof(*p.pages),
				  GFP_KERNEL_ACCOUNT);
		if (!p.pages)
			goto out;
	}

	npages = min_t(u64, npages, p.slot->base_gfn + p.slot->npages - gfn);
	r = populate(&p, gfn, src, npages);

	kfree(p.pages);
out:
	fput(p.file);

	return r;
}
EXPORT_SYMBOL_GPL(kvm_gmem_populate);
