// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backing guest_memfd with blocks of 2 MiB.
 *
 * A block is split into pages of order 0 before the file gets it: what mm does
 * with pages of a file, memory cgroups, statistics, truncation, memory failure,
 * stays what it is, and nobody ever zeroes a part of a large folio that is a
 * guest's. All that has to be known beyond that is whether a chunk still is one
 * block, and that is known here.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/kvm_types.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "gmem_chunk.h"
#include "guest_memfd.h"

static bool gmem_huge = true;
module_param(gmem_huge, bool, 0444);
MODULE_PARM_DESC(gmem_huge, "Back guest_memfd with 2 MiB where there are");

static pgoff_t first_page(pgoff_t index)
{
	return index & ~(GMEM_CHUNK_PAGES - 1);
}

pgoff_t gmem_chunk_first(pgoff_t index)
{
	return gmem_huge ? first_page(index) : index;
}

pgoff_t gmem_chunk_last(pgoff_t index)
{
	return gmem_huge ? index | (GMEM_CHUNK_PAGES - 1) : index;
}

void gmem_chunks_destroy(struct gmem_chunks *chunks)
{
	struct gmem_chunk *chunk;
	unsigned long i;

	xa_for_each(&chunks->tree, i, chunk) {
		mutex_destroy(&chunk->lock);
		kfree(chunk);
	}

	xa_destroy(&chunks->tree);
}

struct gmem_chunk *gmem_chunk_lock(struct gmem_chunks *chunks, pgoff_t index)
{
	unsigned long i = index >> GMEM_CHUNK_ORDER;
	struct gmem_chunk *chunk, *other;

	if (!gmem_huge)
		return NULL;

	chunk = xa_load(&chunks->tree, i);
	if (!chunk) {
		chunk = kzalloc(sizeof(*chunk), GFP_KERNEL_ACCOUNT);
		if (!chunk)
			return ERR_PTR(-ENOMEM);

		mutex_init(&chunk->lock);
		other = xa_cmpxchg(&chunks->tree, i, NULL, chunk,
				   GFP_KERNEL_ACCOUNT);
		if (other) {
			mutex_destroy(&chunk->lock);
			kfree(chunk);
			if (xa_is_err(other))
				return ERR_PTR(xa_err(other));
			chunk = other;
		}
	}

	mutex_lock(&chunk->lock);

	return chunk;
}

void gmem_chunk_unlock(struct gmem_chunk *chunk)
{
	if (chunk)
		mutex_unlock(&chunk->lock);
}

int gmem_chunk_slot_order(pgoff_t slot_first, unsigned long npages,
			  gfn_t base_gfn, pgoff_t index)
{
	pgoff_t first = first_page(index);

	if (first < slot_first ||
	    first + GMEM_CHUNK_PAGES > slot_first + npages ||
	    first_page(base_gfn ^ slot_first) != (base_gfn ^ slot_first))
		return 0;

	return GMEM_CHUNK_ORDER;
}

/* Whether gmem_chunk_fill() has something to do. */
static bool chunk_is_empty(struct inode *inode, const struct gmem_chunk *chunk,
			   pgoff_t index)
{
	loff_t start = (loff_t)first_page(index) << PAGE_SHIFT;

	return chunk && !chunk->block &&
	       first_page(index) + GMEM_CHUNK_PAGES <=
	       i_size_read(inode) >> PAGE_SHIFT &&
	       !filemap_range_has_page(inode->i_mapping, start,
				       start + (GMEM_CHUNK_PAGES << PAGE_SHIFT) - 1);
}

void gmem_chunk_fill(struct inode *inode, struct gmem_chunk *chunk,
		     pgoff_t index)
{
	struct address_space *mapping = inode->i_mapping;
	/* What is charged must not make the cgroup kill for it, either. */
	gfp_t gfp = mapping_gfp_mask(mapping) | __GFP_NORETRY | __GFP_NOWARN;
	pgoff_t first = first_page(index);
	loff_t start = (loff_t)first << PAGE_SHIFT;
	struct page *block;
	unsigned long i, n;

	if (!chunk_is_empty(inode, chunk, index))
		return;

	block = kvm_gmem_alloc_pages(inode, first, gfp, GMEM_CHUNK_ORDER);
	if (!block)
		return;

	split_page(block, GMEM_CHUNK_ORDER);

	/* From here on a page of it may fail, and say so. */
	WRITE_ONCE(chunk->bad, false);

	n = filemap_add_zeroed_pages(mapping, block, first, GMEM_CHUNK_PAGES,
				     gfp);
	if (n == GMEM_CHUNK_PAGES) {
		chunk->block = block;
		chunk->small = false;
		return;
	}

	/* All or nothing: what the guest did not ask for is not charged. */
	for (i = n; i < GMEM_CHUNK_PAGES; i++)
		put_page(block + i);
	if (n)
		truncate_inode_pages_range(mapping, start,
					   start + (n << PAGE_SHIFT) - 1);
}

bool gmem_chunk_try_fill(struct inode *inode, struct gmem_chunk *chunk,
			 pgoff_t index)
{
	if (!chunk_is_empty(inode, chunk, index))
		return true;

	/* Comes before a chunk's lock, hence not to be waited for. */
	if (!filemap_invalidate_trylock_shared(inode->i_mapping))
		return false;

	gmem_chunk_fill(inode, chunk, index);
	filemap_invalidate_unlock_shared(inode->i_mapping);

	return true;
}

void gmem_chunk_set_bad(struct gmem_chunks *chunks, pgoff_t index)
{
	struct gmem_chunk *chunk = xa_load(&chunks->tree,
					   index >> GMEM_CHUNK_ORDER);

	if (chunk)
		WRITE_ONCE(chunk->bad, true);
}

void gmem_chunks_break(struct inode *inode, struct gmem_chunks *chunks,
		       pgoff_t first, pgoff_t last, gmem_chunk_gone_t gone)
{
	pgoff_t chunk_first, from, to;
	struct gmem_chunk *chunk;
	unsigned long i;

	/* Without, a fault could make whole what is being taken apart. */
	WARN_ON_ONCE(!rwsem_is_locked(&inode->i_mapping->invalidate_lock));

	xa_for_each_range(&chunks->tree, i, chunk, first >> GMEM_CHUNK_ORDER,
			  last >> GMEM_CHUNK_ORDER) {
		chunk_first = i << GMEM_CHUNK_ORDER;
		from = max(first, chunk_first);
		to = min(last, gmem_chunk_last(chunk_first));

		mutex_lock(&chunk->lock);
		if (chunk->block) {
			gone(chunk->block + (from - chunk_first),
			     to - from + 1);
			chunk->block = NULL;
		}
		mutex_unlock(&chunk->lock);
		cond_resched();
	}
}
