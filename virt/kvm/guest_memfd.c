// SPDX-License-Identifier: GPL-2.0-only
/*
 * guest_memfd: files whose pages are a guest's private memory.
 *
 * A file belongs to one VM and pins it. It cannot be read or written, and mapped
 * only if it was asked for so (gmem_mmap.h); its pages reach the guest through
 * the memslots that are bound to it, each to a part of its own. All pages are
 * order 0: the kernel's own handling of a partly truncated large folio would
 * write to it.
 *
 * Locks, outermost first: slots_lock, the mapping's invalidate_lock, then
 * either mmu_lock, or a chunk's lock (gmem_chunk.h) and the folio lock.
 *
 * - A binding is made and undone under slots_lock and invalidate_lock, so
 *   either is enough to rely on it. So is mmu_lock, if it is not dropped.
 * - A page leaves the file under invalidate_lock, with an invalidation window
 *   open for the gfns it backs. A fault waits for no lock of ours: what it got
 *   from the file before or during the window is thrown away in the end, because
 *   the window made it stale. A page may enter the file meanwhile, a block not.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/kvm_host.h>
#include <linux/maple_tree.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "gmem_chunk.h"
#include "gmem_mmap.h"
#include "guest_memfd.h"
#include "kvm_mm.h"

static_assert(sizeof(struct kvm_create_guest_memfd) == 64);

#define GMEM_FS_MAGIC	0x6b766d67	/* "kvmg" */

/* One for each file, reached from file->private_data and inode->i_private. */
struct gmem {
	struct kvm *kvm;
	/* The memslot bound to each page offset, by range. */
	struct maple_tree bindings;
	struct gmem_chunks chunks;
	struct gmem_map map;
};

static struct vfsmount *gmem_mnt;

/* The part of @slot that pages [@first, @last] of its file back. */
static void gmem_slot_range(struct kvm_memory_slot *slot, pgoff_t first,
			    pgoff_t last, struct kvm_gfn_range *range)
{
	pgoff_t slot_first = slot->gmem.pgoff;
	pgoff_t slot_last = slot_first + slot->npages - 1;

	range->slot = slot;
	range->start = slot->base_gfn + max(first, slot_first) - slot_first;
	range->end = slot->base_gfn + min(last, slot_last) - slot_first + 1;
}

/*
 * Zap what maps pages [@first, @last]. mmu_lock held for write, with a window
 * open; @may_block lets it be dropped in between, which leaves the bindings to
 * invalidate_lock. The window is on all of the chunks at both ends: a fault on
 * another page there could still be about to map all of the chunk.
 */
static void gmem_zap(struct gmem *gmem, pgoff_t first, pgoff_t last,
		     bool may_block)
{
	struct kvm_gfn_range range = {
		.attr_filter = KVM_FILTER_PRIVATE,
		.may_block = may_block,
	};
	struct kvm *kvm = gmem->kvm;
	struct kvm_memory_slot *slot;
	pgoff_t outer_first = gmem_chunk_first(first);
	pgoff_t outer_last = gmem_chunk_last(last);
	unsigned long index = outer_first;
	bool flush = false;

	/* All of it joins the window before the lock can be dropped. */
	mt_for_each(&gmem->bindings, slot, index, outer_last) {
		gmem_slot_range(slot, outer_first, outer_last, &range);
		kvm_mmu_invalidate_range_add(kvm, range.start, range.end);
	}

	index = first;
	mt_for_each(&gmem->bindings, slot, index, last) {
		/* Nobody finds it yet: the window is all that it takes. */
		if (!slot->gmem.ready)
			continue;

		gmem_slot_range(slot, first, last, &range);
		flush |= kvm_unmap_gfn_range(kvm, &range);
		kvm_arch_gmem_invalidate_range(kvm, &range);
	}

	if (flush)
		kvm_flush_remote_tlbs(kvm);
}

/*
 * Zap what maps pages [@first, @last] and keep it from being mapped again, up
 * to gmem_invalidate_end(). invalidate_lock held.
 */
static void gmem_invalidate_begin(struct gmem *gmem, pgoff_t first, pgoff_t last)
{
	KVM_MMU_LOCK(gmem->kvm);
	kvm_mmu_invalidate_begin(gmem->kvm);
	gmem_zap(gmem, first, last, true);
	KVM_MMU_UNLOCK(gmem->kvm);

	/* No notifier tells of pages that the host has not mapped. */
	kvm_arch_guest_memory_reclaimed(gmem->kvm);
}

static void gmem_invalidate_end(struct gmem *gmem)
{
	KVM_MMU_LOCK(gmem->kvm);
	kvm_mmu_invalidate_end(gmem->kvm);
	KVM_MMU_UNLOCK(gmem->kvm);
}

struct gmem_map *kvm_gmem_map(struct inode *inode)
{
	struct gmem *gmem = inode->i_private;

	return &gmem->map;
}

struct page *kvm_gmem_alloc_pages(struct inode *inode, pgoff_t index, gfp_t gfp,
				  unsigned int order)
{
	/* Tests of chunks have an inode without a file. */
	if (!inode->i_private)
		return alloc_pages(gfp, order);

	return gmem_map_alloc(kvm_gmem_map(inode), index, gfp, order);
}

struct gmem_chunk *kvm_gmem_lock_chunk(struct inode *inode, pgoff_t index)
{
	struct gmem *gmem = inode->i_private;

	return gmem_chunk_lock(&gmem->chunks, index);
}

struct folio *kvm_gmem_get_folio(struct inode *inode, pgoff_t index)
{
	struct address_space *mapping = inode->i_mapping;
	gfp_t gfp = mapping_gfp_mask(mapping);
	struct folio *folio;
	struct page *page;
	int r;

	if (index >= i_size_read(inode) >> PAGE_SHIFT)
		return ERR_PTR(-EINVAL);

	/* Goes round only when others add or drop this very page meanwhile. */
	for (;;) {
		folio = filemap_lock_folio(mapping, index);
		if (folio)
			return folio;

		page = kvm_gmem_alloc_pages(inode, index, gfp, 0);
		if (!page)
			return ERR_PTR(-ENOMEM);
		folio = page_folio(page);

		r = filemap_add_folio(mapping, folio, index, gfp);
		if (!r) {
			/* Whoever evicts clean pages does not ask who maps them. */
			folio_mark_dirty(folio);
			return folio;
		}

		folio_put(folio);
		if (r != -EEXIST)
			return ERR_PTR(r);

		if (fatal_signal_pending(current))
			return ERR_PTR(-EINTR);
		cond_resched();
	}
}

/* The architecture may have the block all at once: have it back so. */
static void gmem_block_gone(struct page *page, unsigned long npages)
{
	kvm_pfn_t pfn = page_to_pfn(page);

	kvm_arch_gmem_invalidate(pfn, pfn + npages);
}

static long gmem_punch_hole(struct inode *inode, loff_t offset, loff_t len)
{
	struct address_space *mapping = inode->i_mapping;
	struct gmem *gmem = inode->i_private;
	pgoff_t first = offset >> PAGE_SHIFT;
	pgoff_t last = first + (len >> PAGE_SHIFT) - 1;

	/* Memslots are neither made nor deleted: each is as its binding is. */
	mutex_lock(&gmem->kvm->slots_lock);
	filemap_invalidate_lock(mapping);

	gmem_invalidate_begin(gmem, first, last);
	gmem_chunks_break(inode, &gmem->chunks, first, last, gmem_block_gone);
	truncate_inode_pages_range(mapping, offset, offset + len - 1);
	gmem_invalidate_end(gmem);

	filemap_invalidate_unlock(mapping);
	mutex_unlock(&gmem->kvm->slots_lock);

	return 0;
}

/* Add page @index, or its chunk if that begins and ends before @end. */
static int gmem_allocate_page(struct inode *inode, pgoff_t index, pgoff_t end)
{
	struct gmem_chunk *chunk;
	struct folio *folio;
	int r = 0;

	chunk = kvm_gmem_lock_chunk(inode, index);
	if (IS_ERR(chunk))
		return PTR_ERR(chunk);

	if (gmem_chunk_first(index) == index && gmem_chunk_last(index) < end)
		gmem_chunk_fill(inode, chunk, index);

	folio = kvm_gmem_get_folio(inode, index);
	if (IS_ERR(folio)) {
		r = PTR_ERR(folio);
	} else {
		folio_unlock(folio);
		folio_put(folio);
	}

	gmem_chunk_unlock(chunk);

	return r;
}

static long gmem_allocate(struct inode *inode, loff_t offset, loff_t len)
{
	struct address_space *mapping = inode->i_mapping;
	pgoff_t index = offset >> PAGE_SHIFT;
	pgoff_t end = (offset + len) >> PAGE_SHIFT;
	long r = 0;

	if (offset + len > i_size_read(inode))
		return -EINVAL;

	filemap_invalidate_lock_shared(mapping);

	for (; index < end; index++) {
		if (signal_pending(current)) {
			r = -EINTR;
			break;
		}

		r = gmem_allocate_page(inode, index, end);
		if (r)
			break;

		cond_resched();
	}

	filemap_invalidate_unlock_shared(mapping);

	return r;
}

static long gmem_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);

	if (!(mode & FALLOC_FL_KEEP_SIZE) ||
	    mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;

	if (!PAGE_ALIGNED(offset) || !PAGE_ALIGNED(len))
		return -EINVAL;

	if (mode & FALLOC_FL_PUNCH_HOLE)
		return gmem_punch_hole(inode, offset, len);

	return gmem_allocate(inode, offset, len);
}

static int gmem_release(struct inode *inode, struct file *file)
{
	struct address_space *mapping = inode->i_mapping;
	struct gmem *gmem = file->private_data;
	struct kvm *kvm = gmem->kvm;
	struct kvm_memory_slot *slot;
	unsigned long index = 0;

	/*
	 * slots_lock keeps the memslots, and kvm_gmem_unbind() of those that go
	 * away on their own. Faults find either no file or one that is dead.
	 */
	mutex_lock(&kvm->slots_lock);
	filemap_invalidate_lock(mapping);

	mt_for_each(&gmem->bindings, slot, index, ULONG_MAX)
		rcu_assign_pointer(slot->gmem.file, NULL);

	gmem_invalidate_begin(gmem, 0, ULONG_MAX);
	mtree_destroy(&gmem->bindings);

	/* The architecture takes its pages back while there is a VM. */
	gmem_chunks_break(inode, &gmem->chunks, 0, ULONG_MAX, gmem_block_gone);
	truncate_inode_pages(mapping, 0);
	gmem_invalidate_end(gmem);

	filemap_invalidate_unlock(mapping);
	mutex_unlock(&kvm->slots_lock);

	inode->i_private = NULL;
	gmem_chunks_destroy(&gmem->chunks);
	gmem_map_destroy(&gmem->map);
	kfree(gmem);
	kvm_put_kvm(kvm);

	return 0;
}

static const struct file_operations gmem_fops = {
	.owner		= THIS_MODULE,
	.release	= gmem_release,
	.fallocate	= gmem_fallocate,
	.mmap		= gmem_mmap,
	.llseek		= no_llseek,
};

static int gmem_migrate_folio(struct address_space *mapping, struct folio *dst,
			      struct folio *src, enum migrate_mode mode)
{
	/* The host cannot copy what it may not be able to read. */
	return -EBUSY;
}

/*
 * A page went bad: unmap it, but leave it in the file, so that a fault on it
 * finds out, rather than finding a page of zeroes.
 */
static int gmem_error_remove_page(struct address_space *mapping,
				  struct page *page)
{
	struct gmem *gmem = mapping->host->i_private;
	struct kvm *kvm = gmem->kvm;

	/*
	 * The page is locked, hence not invalidate_lock, which comes before. The
	 * lock also holds up gmem_release(), which has to truncate the page, and
	 * whoever unbinds a memslot waits for mmu_lock.
	 */
	gmem_chunk_set_bad(&gmem->chunks, page->index);
	KVM_MMU_LOCK(kvm);
	kvm_mmu_invalidate_begin(kvm);
	gmem_zap(gmem, page->index, page->index, false);
	kvm_mmu_invalidate_end(kvm);
	KVM_MMU_UNLOCK(kvm);

	return 0;
}

static void gmem_free_folio(struct folio *folio)
{
	kvm_pfn_t pfn = folio_pfn(folio);

	kvm_arch_gmem_invalidate(pfn, pfn + folio_nr_pages(folio));
}

static const struct address_space_operations gmem_aops = {
	.dirty_folio		= noop_dirty_folio,
	.migrate_folio		= gmem_migrate_folio,
	.error_remove_page	= gmem_error_remove_page,
	.free_folio		= gmem_free_folio,
};

static int gmem_setattr(struct user_namespace *mnt_userns,
			struct dentry *dentry, struct iattr *attr)
{
	/* The size is fixed, and nobody else sees the inode. */
	return -EINVAL;
}

static const struct inode_operations gmem_iops = {
	.setattr	= gmem_setattr,
};

/* The name userspace knows these files by, in /proc/PID/fd and maps. */
static char *gmem_dname(struct dentry *dentry, char *buffer, int buflen)
{
	static const char name[] = "anon_inode:[kvm-gmem]";

	if (buflen < (int)sizeof(name))
		return ERR_PTR(-ENAMETOOLONG);

	return memcpy(buffer + buflen - sizeof(name), name, sizeof(name));
}

static const struct dentry_operations gmem_dops = {
	.d_dname	= gmem_dname,
};

static int gmem_init_fs_context(struct fs_context *fc)
{
	struct pseudo_fs_context *ctx = init_pseudo(fc, GMEM_FS_MAGIC);

	if (!ctx)
		return -ENOMEM;

	ctx->dops = &gmem_dops;
	return 0;
}

static struct file_system_type gmem_fs = {
	.name			= "kvm_gmem",
	.init_fs_context	= gmem_init_fs_context,
	.kill_sb		= kill_anon_super,
};

int kvm_gmem_init(void)
{
	gmem_mnt = kern_mount(&gmem_fs);

	return PTR_ERR_OR_ZERO(gmem_mnt);
}

void kvm_gmem_exit(void)
{
	kern_unmount(gmem_mnt);
	gmem_mnt = NULL;
}

/* A file of @size bytes; it takes over @gmem and its VM if this succeeds. */
static struct file *gmem_create_file(struct gmem *gmem, loff_t size)
{
	struct inode *inode;
	struct file *file;

	/*
	 * Put by whoever puts the file. The vendor module is pinned by the VM,
	 * which is the last thing that the release lets go of.
	 */
	if (!try_module_get(THIS_MODULE))
		return ERR_PTR(-ENOENT);

	inode = alloc_anon_inode(gmem_mnt->mnt_sb);
	if (IS_ERR(inode)) {
		file = ERR_CAST(inode);
		goto err_module;
	}

	inode->i_private = gmem;
	inode->i_op = &gmem_iops;
	inode->i_mode |= S_IFREG;
	inode->i_size = size;
	inode->i_mapping->a_ops = &gmem_aops;
	mapping_set_gfp_mask(inode->i_mapping, GFP_HIGHUSER);
	mapping_set_unevictable(inode->i_mapping);
	/* As if open for writing: khugepaged leaves the pages where they are. */
	get_write_access(inode);

	file = alloc_file_pseudo(inode, gmem_mnt, "[kvm-gmem]", O_RDWR,
				 &gmem_fops);
	if (IS_ERR(file)) {
		iput(inode);
		goto err_module;
	}

	file->f_flags |= O_LARGEFILE;
	file->private_data = gmem;

	return file;

err_module:
	module_put(THIS_MODULE);
	return file;
}

int kvm_gmem_create(struct kvm *kvm, void __user *argp)
{
	struct kvm_create_guest_memfd arg;
	struct gmem *gmem;
	struct file *file;
	int fd;

	BUILD_BUG_ON(KVM_CREATE_GUEST_MEMFD != 0xc040aed4);

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;

	if (arg.flags & ~kvm_gmem_supported_flags(kvm) || !arg.size || !PAGE_ALIGNED(arg.size) ||
	    arg.size > MAX_LFS_FILESIZE)
		return -EINVAL;

	gmem = kzalloc(sizeof(*gmem), GFP_KERNEL_ACCOUNT);
	if (!gmem)
		return -ENOMEM;

	gmem->kvm = kvm;
	mt_init_flags(&gmem->bindings, MT_FLAGS_USE_RCU);
	gmem_chunks_init(&gmem->chunks);
	gmem_map_init(&gmem->map, arg.flags);

	fd = get_unused_fd_flags(0);
	if (fd < 0)
		goto err_free;

	file = gmem_create_file(gmem, arg.size);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		fd = PTR_ERR(file);
		goto err_free;
	}

	kvm_get_kvm(kvm);
	fd_install(fd, file);

	return fd;

err_free:
	kfree(gmem);
	return fd;
}

int kvm_gmem_bind(struct kvm *kvm, struct kvm_memory_slot *slot,
		  unsigned int fd, u64 offset)
{
	u64 size = (u64)slot->npages << PAGE_SHIFT;
	struct address_space *mapping;
	struct gmem *gmem;
	struct file *file;
	int r = -EINVAL;
	pgoff_t first;

	lockdep_assert_held(&kvm->slots_lock);

	file = fget(fd);
	if (!file)
		return -EBADF;

	if (file->f_op != &gmem_fops)
		goto out;

	gmem = file->private_data;
	if (gmem->kvm != kvm)
		goto out;

	if (!PAGE_ALIGNED(offset) || offset + size < offset ||
	    offset + size > i_size_read(file_inode(file)))
		goto out;

	mapping = file->f_mapping;
	first = offset >> PAGE_SHIFT;

	filemap_invalidate_lock(mapping);

	/* First: who finds the memslot may be gmem_error_remove_page(). */
	slot->gmem.pgoff = first;
	r = mtree_insert_range(&gmem->bindings, first, first + slot->npages - 1,
			       slot, GFP_KERNEL_ACCOUNT);
	if (!r) {
		if (gmem_map_allowed(&gmem->map))
			slot->flags |= KVM_MEMSLOT_GMEM_ONLY;
		/* Not a reference: gmem_release() clears it. */
		rcu_assign_pointer(slot->gmem.file, file);
	}

	filemap_invalidate_unlock(mapping);
out:
	fput(file);
	return r;
}

void kvm_gmem_slot_ready(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	if (!slot || !(slot->flags & KVM_MEM_GUEST_MEMFD))
		return;

	KVM_MMU_LOCK(kvm);
	slot->gmem.ready = true;
	KVM_MMU_UNLOCK(kvm);
}

void kvm_gmem_unbind(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	struct kvm_gfn_range range = {
		.slot = slot,
		.start = slot->base_gfn,
		.end = slot->base_gfn + slot->npages,
	};
	struct file *file;
	struct gmem *gmem;

	/*
	 * A file that is in the memslot is not released yet, even if nobody
	 * holds it any more: the release needs slots_lock. With the VM gone
	 * there are no files, each of them having pinned it.
	 */
	file = rcu_dereference_protected(slot->gmem.file,
					 lockdep_is_held(&kvm->slots_lock) ||
					 !refcount_read(&kvm->users_count));
	if (!file)
		return;

	gmem = file->private_data;

	filemap_invalidate_lock(file->f_mapping);
	/* mtree_erase() leaves it to memory whether the memslot is gone. */
	WARN_ON_ONCE(mtree_store_range(&gmem->bindings, slot->gmem.pgoff,
				       slot->gmem.pgoff + slot->npages - 1,
				       NULL, GFP_KERNEL | __GFP_NOFAIL));
	rcu_assign_pointer(slot->gmem.file, NULL);

	/*
	 * Nothing that leaves the file from here on finds the memslot: what the
	 * architecture uses of it behind the MMU's back has to go now. And wait
	 * for gmem_error_remove_page() to be done with the memslot.
	 */
	KVM_MMU_LOCK(kvm);
	kvm_arch_gmem_invalidate_range(kvm, &range);
	KVM_MMU_UNLOCK(kvm);

	filemap_invalidate_unlock(file->f_mapping);
}

struct file *kvm_gmem_get_file(struct kvm_memory_slot *slot)
{
	struct file *file;

	rcu_read_lock();
	file = rcu_dereference(slot->gmem.file);
	if (file && !get_file_rcu(file))
		file = NULL;
	rcu_read_unlock();

	return file;
}

/*
 * Have the architecture prepare the block of @order at @gfn, or, if it had a
 * page of it before, or does not want to, the page. Chunk and folio locked.
 */
static int gmem_prepare(struct kvm *kvm, struct gmem_chunk *chunk, gfn_t gfn,
			kvm_pfn_t pfn, int order)
{
	if (order && !gmem_chunk_is_small(chunk) &&
	    !kvm_arch_gmem_prepare(kvm, gfn, pfn, order))
		return 0;

	gmem_chunk_set_small(chunk);

	return kvm_arch_gmem_prepare(kvm, gfn, pfn, 0);
}

int kvm_gmem_get_pfn(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn,
		     kvm_pfn_t *pfn, int *max_order)
{
	pgoff_t index = gfn - slot->base_gfn + slot->gmem.pgoff;
	struct gmem_chunk *chunk;
	struct inode *inode;
	struct folio *folio;
	struct file *file;
	int order, r;

	file = kvm_gmem_get_file(slot);
	if (!file)
		return -EFAULT;

	inode = file_inode(file);
	chunk = kvm_gmem_lock_chunk(inode, index);
	if (IS_ERR(chunk)) {
		r = PTR_ERR(chunk);
		goto out_file;
	}

	order = min(*max_order, gmem_chunk_slot_order(slot->gmem.pgoff,
						      slot->npages,
						      slot->base_gfn, index));
	if (order && !gmem_chunk_try_fill(inode, chunk, index)) {
		r = -EAGAIN;
		goto out_chunk;
	}

	folio = kvm_gmem_get_folio(inode, index);
	if (IS_ERR(folio)) {
		r = PTR_ERR(folio);
		goto out_chunk;
	}

	if (folio_test_hwpoison(folio)) {
		r = -EHWPOISON;
		goto out_folio;
	}

	/* Before it is prepared: the host may not be able to write it then. */
	if (!folio_test_uptodate(folio)) {
		clear_highpage(folio_page(folio, 0));
		folio_mark_uptodate(folio);
	}

	order = gmem_chunk_order(chunk, order);
	if (order && WARN_ON_ONCE(!gmem_chunk_has(chunk, index,
						  folio_page(folio, 0))))
		order = 0;

	r = gmem_prepare(kvm, chunk, gfn, folio_pfn(folio), order);
	if (r)
		goto out_folio;

	*pfn = folio_pfn(folio);
	*max_order = order;

out_folio:
	folio_unlock(folio);
	if (r)
		folio_put(folio);
out_chunk:
	gmem_chunk_unlock(chunk);
out_file:
	fput(file);
	return r;
}
EXPORT_SYMBOL_GPL(kvm_gmem_get_pfn);
