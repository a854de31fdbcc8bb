/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page state change batches of the GHCB protocol: pure logic, which knows
 * neither KVM nor the page that the batch came from.
 *
 * A batch is copied once, and all decisions are about the copy: the guest may
 * write its own at any time. What goes back to the guest is only how far the
 * batch got. GHCB specification, "SNP Page State Change".
 */
#ifndef __KVM_X86_SVM_SNP_PSC_H
#define __KVM_X86_SVM_SNP_PSC_H

#include <linux/bits.h>
#include <linux/types.h>

#define PSC_MAX_ENTRIES		253
#define PSC_HDR_SIZE		8
#define PSC_ENTRY_SIZE		8

#define PSC_OP_PRIVATE		1
#define PSC_OP_SHARED		2
#define PSC_OP_PSMASH		3
#define PSC_OP_UNSMASH		4

/* What SW_EXITINFO2 tells the guest. */
#define PSC_OK			0ULL
#define PSC_INVALID_HDR		(BIT_ULL(32) | 1)
#define PSC_INVALID_ENTRY	(BIT_ULL(32) | 2)
#define PSC_GENERIC		(0x100ULL << 32)

/*
 * @cur is the first entry that is not done yet, @end the last one, both as the
 * guest gave them or as far as the batch got; cur is end + 1 when it is done.
 * @run is how many entries the run that is under way spans.
 */
struct psc_batch {
	u16 cur;
	u16 end;
	u16 run;
	u64 entry[PSC_MAX_ENTRIES];
};

/* @npages 4K pages from @gfn on, to become private or shared. */
struct psc_run {
	u64 gfn;
	u64 npages;
	bool private;
	bool huge;		/* whole 2M blocks, by what the guest said */
};

/*
 * Take the batch at @buf, of at most @len bytes. PSC_INVALID_HDR if the header
 * is not in order or the entries leave the buffer; @b is undefined then.
 */
u64 psc_batch_load(struct psc_batch *b, const void *buf, size_t len);

/*
 * The next run of neighbours that become the same. PSC_OK with npages of 0: the
 * batch is done. PSC_INVALID_ENTRY: the entry at @b->cur is not in order.
 * What came before it is done.
 */
u64 psc_batch_next(struct psc_batch *b, struct psc_run *run);

/* The run psc_batch_next() gave is done; tell so in @buf, too. */
void psc_batch_done(struct psc_batch *b, void *buf);

#endif
