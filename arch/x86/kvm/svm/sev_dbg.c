// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_SEV_DBG_DECRYPT and KVM_SEV_DBG_ENCRYPT: a VMM reads and writes memory of
 * a SEV or SEV-ES guest whose policy allows that.
 *
 * Firmware works on blocks of 16 bytes, and with SNP on owns each page that it
 * writes to for as long as it does. So what it decrypts goes to a page of ours,
 * never to the VMM's, and the VMM's bytes need no alignment.
 *
 * Specification: SEV API 55766, DBG_DECRYPT and DBG_ENCRYPT.
 */
#include <linux/align.h>
#include <linux/gfp.h>
#include <linux/kvm_host.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/psp-sev.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <asm/cacheflush.h>
#include <asm/mem_encrypt.h>

#include "svm.h"
#include "snp_guest.h"

#define DBG_BLOCK	16

/* A stretch of whole blocks in one page of the guest's. */
struct dbg_blocks {
	struct page *page;
	void *copy;		/* a page; the stretch's bytes at its beginning */
	unsigned int offset;	/* in @page */
	unsigned int len;
};

/* The bytes of the VMM's behind a guest's page go through another key. */
static void dbg_flush(void *va)
{
	if (!this_cpu_has(X86_FEATURE_SME_COHERENT))
		clflush_cache_range(va, PAGE_SIZE);
}

static int dbg_command(struct kvm *kvm, const struct dbg_blocks *b, int cmd,
		       int *error)
{
	u64 guest = __sme_page_pa(b->page) + b->offset;
	u64 ours = __sme_pa(b->copy);
	bool write = cmd == SEV_CMD_DBG_ENCRYPT;
	struct sev_data_dbg data = {
		.handle = to_kvm_svm(kvm)->sev_info.handle,
		.dst_addr = write ? guest : ours,
		.src_addr = write ? ours : guest,
		.len = b->len,
	};

	dbg_flush(page_address(b->page));
	dbg_flush(b->copy);

	return sev_issue_cmd(kvm, cmd, &data, error);
}

/*
 * The @len bytes of the guest's at @guest, in one page, from or to those at
 * @user. Negative, with @error set if it is the firmware's.
 */
static int dbg_copy(struct kvm *kvm, void *copy, unsigned long guest,
		    void __user *user, unsigned int len, bool dec, int *error)
{
	unsigned int head = guest % DBG_BLOCK;
	struct dbg_blocks b = {
		.copy = copy,
		.offset = offset_in_page(guest) - head,
		.len = ALIGN(head + len, DBG_BLOCK),
	};
	int ret;

	if (pin_user_pages_fast(guest & PAGE_MASK, 1, dec ? 0 : FOLL_WRITE,
				&b.page) != 1)
		return -ENOMEM;

	/* Blocks of which not all bytes are written keep the others. */
	if (dec || b.len != len) {
		ret = dbg_command(kvm, &b, SEV_CMD_DBG_DECRYPT, error);
		if (ret)
			goto out;
	}

	if (dec) {
		ret = copy_to_user(user, copy + head, len) ? -EFAULT : 0;
		goto out;
	}

	ret = -EFAULT;
	if (!copy_from_user(copy + head, user, len))
		ret = dbg_command(kvm, &b, SEV_CMD_DBG_ENCRYPT, error);
out:
	unpin_user_pages_dirty_lock(&b.page, 1, !dec);
	return ret;
}

/**
 * sev_dbg_crypt() - Read or write memory of a guest's through its key
 * @kvm:	the VM, its lock held
 * @argp:	the command, of which data is a struct kvm_sev_dbg's address
 * @dec:	read rather than write
 *
 * Return: 0; -ENOTTY if it is no SEV guest; -EINVAL if there is nothing to do,
 * or addresses wrap; -EFAULT or -ENOMEM if memory is not there; -EIO with the
 * firmware's error in @argp, e.g. of a policy that does not allow it. What lies
 * before the page that failed is done then.
 */
int sev_dbg_crypt(struct kvm *kvm, struct kvm_sev_cmd *argp, bool dec)
{
	unsigned long guest, user;
	struct kvm_sev_dbg debug;
	unsigned int len;
	void *copy;
	int ret = 0;

	lockdep_assert_held(&kvm->lock);

	if (!sev_guest(kvm))
		return -ENOTTY;

	if (copy_from_user(&debug, u64_to_user_ptr(argp->data), sizeof(debug)))
		return -EFAULT;

	if (!debug.len || !debug.dst_uaddr ||
	    debug.src_uaddr + debug.len < debug.src_uaddr ||
	    debug.dst_uaddr + debug.len < debug.dst_uaddr)
		return -EINVAL;

	/* It is firmware's for a while: nobody may have its other bytes. */
	copy = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!copy)
		return -ENOMEM;

	guest = dec ? debug.src_uaddr : debug.dst_uaddr;
	user = dec ? debug.dst_uaddr : debug.src_uaddr;
	for (; debug.len && !ret; debug.len -= len, guest += len, user += len) {
		len = min_t(u32, debug.len, PAGE_SIZE - offset_in_page(guest));
		ret = dbg_copy(kvm, copy, guest, (void __user *)user, len, dec,
			       &argp->error);
		cond_resched();
	}

	free_page((unsigned long)copy);
	return ret;
}
