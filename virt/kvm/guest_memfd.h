/* SPDX-License-Identifier: GPL-2.0-only */
/* What guest_memfd.c shares with the other files that work on its pages. */
#ifndef __KVM_GUEST_MEMFD_H
#define __KVM_GUEST_MEMFD_H

#include <linux/gfp.h>
#include <linux/types.h>

struct file;
struct folio;
struct gmem_chunk;
struct gmem_map;
struct inode;
struct kvm_memory_slot;
struct page;

/* The file behind @slot with a reference, or NULL if it is dying or dead. */
struct file *kvm_gmem_get_file(struct kvm_memory_slot *slot);

/* What was asked for when the file was created, and policies set since. */
struct gmem_map *kvm_gmem_map(struct inode *inode);

/*
 * alloc_pages() for what begins at page @index: by the policy that user space
 * has set there. For a block NULL, too, if there is more than one.
 */
struct page *kvm_gmem_alloc_pages(struct inode *inode, pgoff_t index, gfp_t gfp,
				  unsigned int order);

/* gmem_chunk_lock() of the file's chunk that page @index is in. */
struct gmem_chunk *kvm_gmem_lock_chunk(struct inode *inode, pgoff_t index);

/*
 * The page at @index, locked and with a reference, new if there is none. A new
 * page is not uptodate: its content is whatever it was. -EINVAL: outside of the
 * file; -ENOMEM; -EINTR: the task is being killed. Chunk locked.
 */
struct folio *kvm_gmem_get_folio(struct inode *inode, pgoff_t index);

#endif /* __KVM_GUEST_MEMFD_H */
