/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What user space maps of a guest_memfd, and where its pages lie.
 *
 * A file that was created with GUEST_MEMFD_FLAG_MMAP can be mapped, shared, by
 * its VMM. Its pages can be touched there only if GUEST_MEMFD_FLAG_INIT_SHARED
 * says that they are nobody's secret, which needs a VM without private memory;
 * else a mapping serves to give them a NUMA policy.
 */
#ifndef __KVM_GMEM_MMAP_H
#define __KVM_GMEM_MMAP_H

#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/kvm.h>
#include <linux/mempolicy.h>
#include <linux/types.h>

struct file;
struct kvm;
struct vm_area_struct;

#ifdef CONFIG_KVM_GMEM_MMAP

/* Of one file. @flags: GUEST_MEMFD_FLAG_*, for good. @policy has its own lock. */
struct gmem_map {
	u64 flags;
	struct shared_policy policy;
};

static inline void gmem_map_init(struct gmem_map *map, u64 flags)
{
	map->flags = flags;
	mpol_shared_policy_init(&map->policy, NULL);
}

/* Nobody uses the file any more. */
static inline void gmem_map_destroy(struct gmem_map *map)
{
	mpol_free_shared_policy(&map->policy);
}

static inline bool gmem_map_allowed(const struct gmem_map *map)
{
	return map->flags & GUEST_MEMFD_FLAG_MMAP;
}

/*
 * mmap() of a guest_memfd. -ENODEV: it may not be mapped; -EINVAL: not as a
 * private mapping.
 */
int gmem_mmap(struct file *file, struct vm_area_struct *vma);

/*
 * alloc_pages() for what begins at page @index, by the file's policy there, if
 * it has one. For a block NULL, too, if not all of it has the same.
 */
struct page *gmem_map_alloc(struct gmem_map *map, pgoff_t index, gfp_t gfp,
			    unsigned int order);

#else /* !CONFIG_KVM_GMEM_MMAP */

struct gmem_map {};

static inline void gmem_map_init(struct gmem_map *map, u64 flags) {}
static inline void gmem_map_destroy(struct gmem_map *map) {}

static inline bool gmem_map_allowed(const struct gmem_map *map)
{
	return false;
}

static inline int gmem_mmap(struct file *file, struct vm_area_struct *vma)
{
	return -ENODEV;
}

static inline struct page *gmem_map_alloc(struct gmem_map *map, pgoff_t index,
					  gfp_t gfp, unsigned int order)
{
	return alloc_pages(gfp, order);
}

#endif /* CONFIG_KVM_GMEM_MMAP */

#endif /* __KVM_GMEM_MMAP_H */
