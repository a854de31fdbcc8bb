// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of guest_memfd's chunks, on files of a file system of their own:
 * when a chunk becomes whole, what it is made of, what breaks it, and that a
 * failure on the way leaves nothing behind.
 */
#include <kunit/test.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>

#include "gmem_chunk.h"

#define NR_CHUNKS	3
/* The last chunk is not all in the file. */
#define NR_PAGES	(NR_CHUNKS * GMEM_CHUNK_PAGES - 1)

struct chunk_test {
	struct vfsmount *mnt;
	struct inode *inode;
	struct gmem_chunks chunks;
};

/* What gmem_chunks_break() says, test by test. */
static int gone_calls;
static unsigned long gone_pages;
static struct page *gone_first;

static void gone(struct page *page, unsigned long npages)
{
	if (!gone_calls++)
		gone_first = page;
	gone_pages += npages;
}

static int chunk_test_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, 0x67636b75) ? 0 : -ENOMEM;
}

static struct file_system_type chunk_test_fs = {
	.name			= "kvm_gmem_chunk_test",
	.init_fs_context	= chunk_test_fs_context,
	.kill_sb		= kill_anon_super,
};

static const struct address_space_operations chunk_test_aops = {
	.dirty_folio	= noop_dirty_folio,
};

static int chunk_test_init(struct kunit *test)
{
	struct chunk_test *t;

	if (gmem_chunk_first(1) == 1)
		kunit_skip(test, "files have no chunks: kvm.gmem_huge=0");

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;

	t->mnt = kern_mount(&chunk_test_fs);
	if (IS_ERR(t->mnt))
		return PTR_ERR(t->mnt);

	t->inode = alloc_anon_inode(t->mnt->mnt_sb);
	if (IS_ERR(t->inode)) {
		kern_unmount(t->mnt);
		return PTR_ERR(t->inode);
	}

	t->inode->i_size = NR_PAGES << PAGE_SHIFT;
	t->inode->i_mapping->a_ops = &chunk_test_aops;
	mapping_set_gfp_mask(t->inode->i_mapping, GFP_HIGHUSER);
	mapping_set_unevictable(t->inode->i_mapping);
	gmem_chunks_init(&t->chunks);
	gone_calls = 0;
	gone_pages = 0;
	gone_first = NULL;
	test->priv = t;

	return 0;
}

static void chunk_test_exit(struct kunit *test)
{
	struct chunk_test *t = test->priv;

	if (!t)
		return;
	truncate_inode_pages(t->inode->i_mapping, 0);
	gmem_chunks_destroy(&t->chunks);
	iput(t->inode);
	kern_unmount(t->mnt);
}

static void punch(struct chunk_test *t, pgoff_t first, pgoff_t last)
{
	filemap_invalidate_lock(t->inode->i_mapping);
	gmem_chunks_break(t->inode, &t->chunks, first, last, gone);
	truncate_inode_pages_range(t->inode->i_mapping,
				   (loff_t)first << PAGE_SHIFT,
				   ((loff_t)(last + 1) << PAGE_SHIFT) - 1);
	filemap_invalidate_unlock(t->inode->i_mapping);
}

/* The order that the chunk has after an attempt to make it whole. */
static int fill(struct kunit *test, pgoff_t index)
{
	struct chunk_test *t = test->priv;
	struct gmem_chunk *chunk = gmem_chunk_lock(&t->chunks, index);
	int order;

	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(chunk));
	gmem_chunk_fill(t->inode, chunk, index);
	order = gmem_chunk_order(chunk, GMEM_CHUNK_ORDER);
	KUNIT_EXPECT_EQ(test, gmem_chunk_order(chunk, GMEM_CHUNK_ORDER - 1), 0);
	gmem_chunk_unlock(chunk);

	return order;
}

static void set_small(struct chunk_test *t, pgoff_t index)
{
	struct gmem_chunk *chunk = gmem_chunk_lock(&t->chunks, index);

	gmem_chunk_set_small(chunk);
	gmem_chunk_unlock(chunk);
}

static bool is_small(struct chunk_test *t, pgoff_t index)
{
	struct gmem_chunk *chunk = gmem_chunk_lock(&t->chunks, index);
	bool small = gmem_chunk_is_small(chunk);

	gmem_chunk_unlock(chunk);

	return small;
}

static void add_page(struct kunit *test, pgoff_t index)
{
	struct chunk_test *t = test->priv;
	struct folio *folio;

	folio = filemap_alloc_folio(GFP_HIGHUSER, 0);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_ASSERT_EQ(test, 0, filemap_add_folio(t->inode->i_mapping, folio,
						   index, GFP_HIGHUSER));
	folio_unlock(folio);
	folio_put(folio);
}

/* A whole chunk: one block, aligned, zeroed, of pages like any others. */
static void chunk_is_block(struct kunit *test)
{
	struct chunk_test *t = test->priv;
	unsigned long first = 0, i;
	struct folio *folio;

	KUNIT_ASSERT_EQ(test, fill(test, GMEM_CHUNK_PAGES + 77),
			GMEM_CHUNK_ORDER);
	KUNIT_EXPECT_EQ(test, t->inode->i_mapping->nrpages, GMEM_CHUNK_PAGES);
	KUNIT_EXPECT_FALSE(test, is_small(t, GMEM_CHUNK_PAGES));

	for (i = 0; i < GMEM_CHUNK_PAGES; i++) {
		folio = filemap_lock_folio(t->inode->i_mapping,
					   GMEM_CHUNK_PAGES + i);
		KUNIT_ASSERT_NOT_NULL(test, folio);
		if (!i)
			first = folio_pfn(folio);

		KUNIT_EXPECT_EQ(test, folio_pfn(folio), first + i);
		KUNIT_EXPECT_EQ(test, folio_order(folio), 0);
		KUNIT_EXPECT_TRUE(test, folio_test_uptodate(folio));
		KUNIT_EXPECT_NULL(test, memchr_inv(folio_address(folio), 0,
						   PAGE_SIZE));
		KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
		/* Where those who look for pages that are not free find it. */
		KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
		KUNIT_EXPECT_TRUE(test, folio_test_unevictable(folio));
		folio_unlock(folio);
		folio_put(folio);
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	}
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(first, GMEM_CHUNK_PAGES));

	/* Nobody who does not know what maps them takes them out of the file. */
	KUNIT_EXPECT_EQ(test, invalidate_mapping_pages(t->inode->i_mapping, 0, -1),
			0);

	/* Once more is nothing more. */
	KUNIT_EXPECT_EQ(test, fill(test, GMEM_CHUNK_PAGES), GMEM_CHUNK_ORDER);
	KUNIT_EXPECT_EQ(test, t->inode->i_mapping->nrpages, GMEM_CHUNK_PAGES);
}

/* A page anywhere in it, or the file's end, and there is no block. */
static void chunk_not_filled(struct kunit *test)
{
	struct chunk_test *t = test->priv;
	static const pgoff_t at[] = { 0, 1, 300, GMEM_CHUNK_PAGES - 1 };
	int i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		add_page(test, at[i]);
		KUNIT_EXPECT_EQ(test, fill(test, 0), 0);
		KUNIT_EXPECT_EQ(test, t->inode->i_mapping->nrpages, 1);
		punch(t, at[i], at[i]);
	}

	/* Those next to it do not count. */
	add_page(test, GMEM_CHUNK_PAGES - 1);
	add_page(test, 2 * GMEM_CHUNK_PAGES);
	KUNIT_EXPECT_EQ(test, fill(test, GMEM_CHUNK_PAGES), GMEM_CHUNK_ORDER);

	/* One page too short. */
	punch(t, 2 * GMEM_CHUNK_PAGES, 2 * GMEM_CHUNK_PAGES);
	KUNIT_EXPECT_EQ(test, fill(test, 2 * GMEM_CHUNK_PAGES), 0);
	KUNIT_EXPECT_EQ(test, fill(test, NR_PAGES - 1), 0);
}

/* Whichever page the file does not take: all of them leave it again. */
static void chunk_rolled_back(struct kunit *test)
{
	struct chunk_test *t = test->priv;
	static const pgoff_t at[] = { 0, 1, 255, GMEM_CHUNK_PAGES - 1 };
	struct xarray *pages = &t->inode->i_mapping->i_pages;
	int i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		/* No page, but not free either. */
		KUNIT_ASSERT_EQ(test, 0, xa_reserve(pages, at[i], GFP_KERNEL));
		KUNIT_EXPECT_EQ(test, fill(test, 0), 0);
		KUNIT_EXPECT_EQ(test, t->inode->i_mapping->nrpages, 0);
		xa_release(pages, at[i]);
	}

	KUNIT_EXPECT_EQ(test, fill(test, 0), GMEM_CHUNK_ORDER);
}

/* A hole of any size, anywhere: which chunks it breaks, and which are gone. */
static void chunk_broken(struct kunit *test)
{
	struct chunk_test *t = test->priv;
	const pgoff_t n = GMEM_CHUNK_PAGES;
	const struct {
		pgoff_t first, last;
		bool breaks[2];
		unsigned long gone;
	} holes[] = {
		{ 0, 0, { true, false }, 1 },
		{ n - 1, n - 1, { true, false }, 1 },
		{ n, n, { false, true }, 1 },
		{ n - 1, n, { true, true }, 2 },
		{ 0, n - 2, { true, false }, n - 1 },
		{ 1, n - 1, { true, false }, n - 1 },
		{ 0, n - 1, { true, false }, n },
		{ n, 2 * n - 1, { false, true }, n },
		{ 1, 2 * n - 1, { true, true }, 2 * n - 1 },
		{ 0, 2 * n - 2, { true, true }, 2 * n - 1 },
		{ 0, 2 * n - 1, { true, true }, 2 * n },
		{ 0, ULONG_MAX, { true, true }, 2 * n },
		{ 2 * n, 3 * n, { false, false }, 0 },
	};
	struct gmem_chunk *chunk;
	int i, j, order;

	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		for (j = 0; j < 2; j++) {
			KUNIT_ASSERT_EQ(test, fill(test, j * n),
					GMEM_CHUNK_ORDER);
			KUNIT_EXPECT_FALSE(test, is_small(t, j * n));
			set_small(t, j * n);
			KUNIT_EXPECT_TRUE(test, is_small(t, j * n));
		}

		gone_calls = 0;
		gone_pages = 0;
		filemap_invalidate_lock(t->inode->i_mapping);
		gmem_chunks_break(t->inode, &t->chunks, holes[i].first,
				  holes[i].last, gone);
		filemap_invalidate_unlock(t->inode->i_mapping);
		KUNIT_EXPECT_EQ_MSG(test, gone_pages, holes[i].gone, "hole %d",
				    i);
		KUNIT_EXPECT_EQ_MSG(test, gone_calls,
				    holes[i].breaks[0] + holes[i].breaks[1],
				    "hole %d", i);
		for (j = 0; j < 2; j++) {
			chunk = gmem_chunk_lock(&t->chunks, j * n);
			order = gmem_chunk_order(chunk, GMEM_CHUNK_ORDER);
			gmem_chunk_unlock(chunk);
			KUNIT_EXPECT_EQ_MSG(test, !order, holes[i].breaks[j],
					    "hole %d", i);
			if (!holes[i].breaks[j])
				continue;

			/* What is left of it is in the way of a new one. */
			KUNIT_EXPECT_EQ(test, fill(test, j * n), 0);
		}

		/* All of it has to be gone, one by one or at once. */
		for (j = 0; j < 2 * n; j++)
			punch(t, j, j);
		KUNIT_EXPECT_EQ(test, t->inode->i_mapping->nrpages, 0);
	}
}

/* gmem_chunk_try_fill(), and whether that leaves a chunk that is whole. */
static bool try_fill(struct kunit *test, pgoff_t index, bool *whole)
{
	struct chunk_test *t = test->priv;
	struct gmem_chunk *chunk = gmem_chunk_lock(&t->chunks, index);
	bool done = gmem_chunk_try_fill(t->inode, chunk, index);

	*whole = gmem_chunk_order(chunk, GMEM_CHUNK_ORDER);
	gmem_chunk_unlock(chunk);

	return done;
}

/*
 * A fault between the two steps of a hole: what it made whole would lose pages
 * and not know of it. Where nothing is to be made it does not have to wait.
 */
static void chunk_in_hole(struct kunit *test)
{
	struct chunk_test *t = test->priv;
	const pgoff_t n = GMEM_CHUNK_PAGES;
	struct address_space *mapping = t->inode->i_mapping;
	bool whole;

	KUNIT_ASSERT_EQ(test, fill(test, 0), GMEM_CHUNK_ORDER);

	filemap_invalidate_lock(mapping);
	gmem_chunks_break(t->inode, &t->chunks, n, 2 * n - 1, gone);
	KUNIT_EXPECT_FALSE(test, try_fill(test, n + 5, &whole));
	KUNIT_EXPECT_FALSE(test, whole);
	KUNIT_EXPECT_EQ(test, mapping->nrpages, n);
	KUNIT_EXPECT_TRUE(test, try_fill(test, 5, &whole));
	KUNIT_EXPECT_TRUE(test, whole);
	truncate_inode_pages_range(mapping, (loff_t)n << PAGE_SHIFT,
				   ((loff_t)2 * n << PAGE_SHIFT) - 1);
	filemap_invalidate_unlock(mapping);

	KUNIT_EXPECT_TRUE(test, try_fill(test, n + 5, &whole));
	KUNIT_EXPECT_TRUE(test, whole);
	KUNIT_EXPECT_EQ(test, mapping->nrpages, 2 * n);
	/* It keeps no lock. */
	KUNIT_EXPECT_FALSE(test, rwsem_is_locked(&mapping->invalidate_lock));
}

/* The pages that are gone are those that were there. */
static void chunk_gone(struct kunit *test)
{
	struct chunk_test *t = test->priv;
	struct folio *folio;

	KUNIT_ASSERT_EQ(test, fill(test, 0), GMEM_CHUNK_ORDER);
	folio = filemap_lock_folio(t->inode->i_mapping, 7);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	folio_unlock(folio);
	punch(t, 7, 9);
	KUNIT_EXPECT_EQ(test, gone_calls, 1);
	KUNIT_EXPECT_EQ(test, gone_pages, 3);
	KUNIT_EXPECT_PTR_EQ(test, gone_first, folio_page(folio, 0));
	folio_put(folio);

	/* What is left of it goes page by page, and its chunk says nothing. */
	punch(t, 0, GMEM_CHUNK_PAGES - 1);
	KUNIT_EXPECT_EQ(test, gone_calls, 1);
	KUNIT_EXPECT_EQ(test, t->inode->i_mapping->nrpages, 0);

	/* Nothing of it is left: the next one begins anew. */
	KUNIT_EXPECT_EQ(test, fill(test, 0), GMEM_CHUNK_ORDER);
}

/* A page that went bad: never all of it at once, until it is another block. */
static void chunk_bad(struct kunit *test)
{
	struct chunk_test *t = test->priv;

	/* A chunk that nobody has used. */
	gmem_chunk_set_bad(&t->chunks, 5);

	KUNIT_ASSERT_EQ(test, fill(test, 0), GMEM_CHUNK_ORDER);
	gmem_chunk_set_bad(&t->chunks, 5);
	KUNIT_EXPECT_EQ(test, fill(test, 0), 0);
	KUNIT_EXPECT_EQ(test, t->inode->i_mapping->nrpages, GMEM_CHUNK_PAGES);

	/* It is given back at once even so. */
	punch(t, 0, GMEM_CHUNK_PAGES - 1);
	KUNIT_EXPECT_EQ(test, gone_calls, 1);
	KUNIT_EXPECT_EQ(test, fill(test, 0), GMEM_CHUNK_ORDER);
}

/* Memslot and file have to be aligned alike, and the memslot has all of it. */
static void chunk_in_slot(struct kunit *test)
{
	const pgoff_t n = GMEM_CHUNK_PAGES;
	const struct {
		pgoff_t slot_first;
		unsigned long npages;
		gfn_t base_gfn;
		pgoff_t index;
		int order;
	} slots[] = {
		{ 0, n, 0, 0, GMEM_CHUNK_ORDER },
		{ 0, n, 0, n - 1, GMEM_CHUNK_ORDER },
		{ 0, n - 1, 0, 0, 0 },
		{ 0, 2 * n - 1, 0, n - 1, GMEM_CHUNK_ORDER },
		{ 0, 2 * n - 1, 0, n, 0 },
		{ 0, n, n, 0, GMEM_CHUNK_ORDER },
		{ 0, n, n + 1, 0, 0 },
		{ 0, n, n / 2, 0, 0 },
		{ 1, 2 * n - 1, 1, 1, 0 },
		{ 1, 2 * n - 1, 1, n, GMEM_CHUNK_ORDER },
		{ 1, 2 * n - 1, 8 * n + 1, n, GMEM_CHUNK_ORDER },
		{ 1, 2 * n - 1, 0, n, 0 },
		{ 1, 2 * n - 2, 1, n, 0 },
		{ n, n, 0, n + 3, GMEM_CHUNK_ORDER },
		{ 4 * n, 4 * n, BIT_ULL(40), 7 * n, GMEM_CHUNK_ORDER },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(slots); i++)
		KUNIT_EXPECT_EQ_MSG(test, slots[i].order,
				    gmem_chunk_slot_order(slots[i].slot_first,
							  slots[i].npages,
							  slots[i].base_gfn,
							  slots[i].index),
				    "slot %d", i);

	KUNIT_EXPECT_EQ(test, gmem_chunk_first(n), n);
	KUNIT_EXPECT_EQ(test, gmem_chunk_first(2 * n - 1), n);
	KUNIT_EXPECT_EQ(test, gmem_chunk_last(n), 2 * n - 1);
	KUNIT_EXPECT_EQ(test, gmem_chunk_last(ULONG_MAX), ULONG_MAX);
}

static struct kunit_case gmem_chunk_cases[] = {
	KUNIT_CASE(chunk_is_block),
	KUNIT_CASE(chunk_not_filled),
	KUNIT_CASE(chunk_rolled_back),
	KUNIT_CASE(chunk_broken),
	KUNIT_CASE(chunk_in_hole),
	KUNIT_CASE(chunk_gone),
	KUNIT_CASE(chunk_bad),
	KUNIT_CASE(chunk_in_slot),
	{}
};

static struct kunit_suite gmem_chunk_suite = {
	.name = "kvm_gmem_chunk",
	.init = chunk_test_init,
	.exit = chunk_test_exit,
	.test_cases = gmem_chunk_cases,
};

kunit_test_suite(gmem_chunk_suite);
