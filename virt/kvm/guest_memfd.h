/* SPDX-License-Identifier: GPL-2.0-only */
/* What guest_memfd.c shares with the other files that work on its pages. */
#ifndef __KVM_GUEST_MEMFD_H
#define __KVM_GUEST_MEMFD_H

#include <linux/types.h>

struct file;
struct folio;
struct gmem_chunk;
struct inode;
struct kvm_memory_slot;

/* The file behind @slot with a reference, or NULL if it is dying or dead. */
struct file *kvm_gmem_get_file(struct kvm_memory_slot *slot);

/* gmem_chunk_lock() of the file's chunk that page @index is in. */
struct gmem_chunk *kvm_gmem_lock_chunk(struct inode *inode, pgoff_t index);

/*
 * The page at @index, locked and with a reference, new if there is none. A new
 * page is not uptodate: its content is whatever it was. -EINVAL: outside of the
 * file; -ENOMEM; -EINTR: the task is being killed. Chunk locked.
 */
struct folio *kvm_gmem_get_folio(struct inode *inode, pgoff_t index);

#endif /* __KVM_GUEST_MEMFD_H */
