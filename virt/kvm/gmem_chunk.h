/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Chunks of a guest_memfd: the naturally aligned 2 MiB of it.
 *
 * A chunk is *whole* if its pages came as one block, which is aligned as the
 * chunk is, and none has left the file since. Only then the architecture may
 * be given, and the guest be shown, all of it at once. The pages are of order
 * 0 even so: each is charged, counted, punched and freed by itself.
 *
 * A chunk is *small* if a page of it was prepared alone; it stays so for as
 * long as it is whole.
 *
 * A chunk's lock is taken under invalidate_lock, if that is taken at all, and
 * never with mmu_lock or a folio's. While it is held no page enters the file
 * in this chunk, and none of it is prepared.
 */
#ifndef __KVM_GMEM_CHUNK_H
#define __KVM_GMEM_CHUNK_H

#include <linux/bits.h>
#include <linux/kvm_types.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/types.h>
#include <linux/xarray.h>

struct inode;
struct page;

#ifdef CONFIG_KVM_GMEM_CHUNKS

#define GMEM_CHUNK_ORDER	(PMD_SHIFT - PAGE_SHIFT)
#define GMEM_CHUNK_PAGES	BIT(GMEM_CHUNK_ORDER)

/* @bad is written with the folio locked, all else under @lock. */
struct gmem_chunk {
	struct mutex lock;	/* see above */
	struct page *block;	/* the first page, NULL if it is not whole */
	bool small;
	bool bad;		/* memory failed; for as long as it is whole */
};

/* Those of one file, each from its first use on until the file is gone. */
struct gmem_chunks {
	struct xarray tree;
};

static inline void gmem_chunks_init(struct gmem_chunks *chunks)
{
	xa_init(&chunks->tree);
}

/* Nobody uses the file any more. */
void gmem_chunks_destroy(struct gmem_chunks *chunks);

/*
 * The chunk that page @index is in, locked. NULL if files have no chunks
 * (kvm.gmem_huge=0), which all others take for one that is never whole.
 * ERR_PTR(-ENOMEM).
 */
struct gmem_chunk *gmem_chunk_lock(struct gmem_chunks *chunks, pgoff_t index);
void gmem_chunk_unlock(struct gmem_chunk *chunk);

/*
 * Try to make @chunk whole, if the file has no page in it: that leaves it
 * zeroed and uptodate. Never waits for memory, nor has somebody killed for it;
 * if there is none, or the file ends before, nothing has changed.
 * invalidate_lock held: who punches holes has broken the chunk before, and would
 * take the pages of a new block for single ones.
 */
void gmem_chunk_fill(struct inode *inode, struct gmem_chunk *chunk,
		     pgoff_t index);

/*
 * gmem_chunk_fill() for a fault, which holds the chunk's lock and not
 * invalidate_lock; false if it has to come again, because holes are being
 * punched. Nothing has changed then.
 */
bool gmem_chunk_try_fill(struct inode *inode, struct gmem_chunk *chunk,
			 pgoff_t index);

/*
 * The order of what page @index of a whole chunk may be mapped with, through a
 * memslot that has page @slot_first at @base_gfn, and @npages in all: 0 if the
 * chunk is not all in it, or lies across other 2 MiB of the guest's.
 */
int gmem_chunk_slot_order(pgoff_t slot_first, unsigned long npages,
			  gfn_t base_gfn, pgoff_t index);

/* Whether @chunk may be mapped at once; at which order, if @order may be. */
static inline int gmem_chunk_order(const struct gmem_chunk *chunk, int order)
{
	if (!chunk || !chunk->block || READ_ONCE(chunk->bad))
		return 0;

	return order < GMEM_CHUNK_ORDER ? 0 : GMEM_CHUNK_ORDER;
}

/* Whether @page is what a chunk that is whole has at @index. */
static inline bool gmem_chunk_has(const struct gmem_chunk *chunk, pgoff_t index,
				  const struct page *page)
{
	return page == chunk->block + (index & (GMEM_CHUNK_PAGES - 1));
}

static inline bool gmem_chunk_is_small(const struct gmem_chunk *chunk)
{
	return !chunk || chunk->small;
}

static inline void gmem_chunk_set_small(struct gmem_chunk *chunk)
{
	if (chunk)
		chunk->small = true;
}

/* Memory failed at page @index. Any context in which that is told. */
void gmem_chunk_set_bad(struct gmem_chunks *chunks, pgoff_t index);

/* @npages of a block, from @page on, are about to leave the file. May sleep. */
typedef void (*gmem_chunk_gone_t)(struct page *page, unsigned long npages);

/*
 * Pages [@first, @last] are about to leave the file: no chunk that has one of
 * them is whole any more. For each that was, @gone is called for those of its
 * pages, with the chunk locked: nobody may see the block half gone.
 * invalidate_lock held for write until they have left it.
 */
void gmem_chunks_break(struct inode *inode, struct gmem_chunks *chunks,
		       pgoff_t first, pgoff_t last, gmem_chunk_gone_t gone);

/* First and last page of the chunks around @index; itself without chunks. */
pgoff_t gmem_chunk_first(pgoff_t index);
pgoff_t gmem_chunk_last(pgoff_t index);

#else /* !CONFIG_KVM_GMEM_CHUNKS */

#define GMEM_CHUNK_ORDER	0
#define GMEM_CHUNK_PAGES	1UL

struct gmem_chunk;
struct gmem_chunks {};

typedef void (*gmem_chunk_gone_t)(struct page *page, unsigned long npages);

static inline void gmem_chunks_init(struct gmem_chunks *chunks) {}
static inline void gmem_chunks_destroy(struct gmem_chunks *chunks) {}

static inline struct gmem_chunk *gmem_chunk_lock(struct gmem_chunks *chunks,
						 pgoff_t index)
{
	return NULL;
}

static inline void gmem_chunk_unlock(struct gmem_chunk *chunk) {}

static inline void gmem_chunk_fill(struct inode *inode, struct gmem_chunk *chunk,
				   pgoff_t index)
{
}

static inline bool gmem_chunk_try_fill(struct inode *inode,
				       struct gmem_chunk *chunk, pgoff_t index)
{
	return true;
}

static inline int gmem_chunk_slot_order(pgoff_t slot_first, unsigned long npages,
					gfn_t base_gfn, pgoff_t index)
{
	return 0;
}

static inline int gmem_chunk_order(const struct gmem_chunk *chunk, int order)
{
	return 0;
}

static inline bool gmem_chunk_has(const struct gmem_chunk *chunk, pgoff_t index,
				  const struct page *page)
{
	return false;
}

static inline bool gmem_chunk_is_small(const struct gmem_chunk *chunk)
{
	return true;
}

static inline void gmem_chunk_set_small(struct gmem_chunk *chunk) {}
static inline void gmem_chunk_set_bad(struct gmem_chunks *chunks, pgoff_t index) {}

static inline void gmem_chunks_break(struct inode *inode,
				     struct gmem_chunks *chunks, pgoff_t first,
				     pgoff_t last, gmem_chunk_gone_t gone)
{
}

static inline pgoff_t gmem_chunk_first(pgoff_t index)
{
	return index;
}

static inline pgoff_t gmem_chunk_last(pgoff_t index)
{
	return index;
}

#endif /* CONFIG_KVM_GMEM_CHUNKS */

#endif /* __KVM_GMEM_CHUNK_H */
