/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two vCPUs of a bare SNP guest, of which the first makes VMSAs for the second
 * and sends it interrupts.
 */
#ifndef SELFTEST_KVM_SNP_BARE_AP_H
#define SELFTEST_KVM_SNP_BARE_AP_H

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "apic.h"
#include "snp_bare.h"

#define CREATE_ON_INIT		0
#define CREATE			1
#define DESTROY			2

#define SEV_FEATURES		1	/* SNP active, nothing else */
#define DEBUG_SWAP		BIT(5)

#define RMPADJUST_VMPL1		1
#define RMPADJUST_VMSA		BIT(16)

/* Pages of the pool that become VMSAs. */
#define VMSA_A			3
#define VMSA_B			5
#define VMSA_2M			512	/* aligned to 2M */

#define MSR_X2APIC_ICR		0x830
#define ICR_SMI			0x0200
#define ICR_INIT		0x4500
#define ICR_SIPI		0x4600

struct seg {
	u16 selector, attrib;
	u32 limit;
	u64 base;
};

static inline void put(u8 *vmsa, int offset, u64 value, int size)
{
	memcpy(vmsa + offset, &value, size);
}

static inline void put_seg(u8 *vmsa, int offset, const struct kvm_segment *s)
{
	struct seg seg = {
		.selector = s->selector,
		.limit = s->limit,
		.base = s->base,
		.attrib = s->type | s->s << 4 | s->dpl << 5 | s->present << 7 |
			  s->avl << 8 | s->l << 9 | s->db << 10 | s->g << 11,
	};

	memcpy(vmsa + offset, &seg, sizeof(seg));
}

static inline void put_table(u8 *vmsa, int offset, const struct kvm_dtable *t)
{
	struct seg seg = { .limit = t->limit, .base = t->base };

	memcpy(vmsa + offset, &seg, sizeof(seg));
}

/* 64-bit mode as the vCPU has it, to begin at @rip. APM vol 2, table B-4. */
static inline void make_vmsa(u8 *vmsa, const struct kvm_sregs *s, u64 rip,
			     u64 rsp, u64 arg)
{
	memset(vmsa, 0, 4096);
	put_seg(vmsa, 0x00, &s->es);
	put_seg(vmsa, 0x10, &s->cs);
	put_seg(vmsa, 0x20, &s->ss);
	put_seg(vmsa, 0x30, &s->ds);
	put_seg(vmsa, 0x40, &s->fs);
	put_seg(vmsa, 0x50, &s->gs);
	put_table(vmsa, 0x60, &s->gdt);
	put_seg(vmsa, 0x70, &s->ldt);
	put_table(vmsa, 0x80, &s->idt);
	put_seg(vmsa, 0x90, &s->tr);
	put(vmsa, 0xd0, s->efer | 1 << 12, 8);	/* SVME, as hardware has it */
	put(vmsa, 0x148, s->cr4, 8);
	put(vmsa, 0x150, s->cr3, 8);
	put(vmsa, 0x158, s->cr0, 8);
	put(vmsa, 0x160, 0x400, 8);		/* DR7 */
	put(vmsa, 0x168, 0xffff0ff0, 8);	/* DR6 */
	put(vmsa, 0x170, 2, 8);			/* RFLAGS */
	put(vmsa, 0x178, rip, 8);
	put(vmsa, 0x1d8, rsp, 8);
	put(vmsa, 0x268, 0x0007040600070406, 8);	/* PAT */
	put(vmsa, 0x338, arg, 8);		/* RDI */
	put(vmsa, 0x3b0, SEV_FEATURES, 8);
	put(vmsa, 0x3e8, 1, 8);			/* XCR0 */
	put(vmsa, 0x408, 0x1f80, 4);		/* MXCSR */
	put(vmsa, 0x410, 0x37f, 2);		/* FCW */
}

struct ap {
	struct bare *b;
	struct kvm_sregs sregs;
	u64 stack, arg;
};

/* Another entry than guest_main(): what runs is seen by the bell's code. */
#define BELL_AP			(G_TERM | 7ULL << 12 | 0xa9ULL << 16)

static inline void ap_main(struct box *box)
{
	for (;;) {
		__atomic_fetch_add(&box->seen, 1, __ATOMIC_SEQ_CST);
		box->res = box->a + 1;
		guest_vmgexit(BELL_AP);
	}
}

static inline struct ap *ap_new(void)
{
	struct ap *ap = calloc(1, sizeof(*ap));
	struct kvm_regs regs;
	int i;

	TEST_ASSERT(ap, "no memory");
	ap->b = bare_create(2);
	vcpu_sregs_get(ap->b->vcpu[1], &ap->sregs);
	vcpu_regs_get(ap->b->vcpu[1], &regs);
	ap->stack = regs.rsp;
	ap->arg = regs.rdi;
	bare_exits_on(ap->b);
	bare_launch(ap->b);
	ghcb_register(ap->b, 0);

	/* Somewhere for VMSAs: private, and the guest's. */
	for (i = VMSA_A; i <= VMSA_B; i += VMSA_B - VMSA_A) {
		CHECK_EQ(bare_msr(ap->b, 0, 1ULL << 52 | (POOL_GFN + i) << 12 |
				  G_PSC_REQ), G_PSC_RESP);
		CHECK_EQ(bare_pvalidate(ap->b, i, true), 0);
	}

	return ap;
}

static inline void ap_free(struct ap *ap)
{
	bare_free(ap->b);
	free(ap);
}

/* The guest fills the page, through one that the test can write. */
static inline void fill_features(struct ap *ap, int page,
				 void (*rip)(struct box *), u64 features)
{
	struct bare *b = ap->b;

	make_vmsa((u8 *)hva(b, 100), &ap->sregs, (u64)rip, ap->stack, ap->arg);
	put((u8 *)hva(b, 100), 0x3b0, features, 8);
	bare_do(b, 0, DO_COPY, gva_private(page), gva_shared(100), 4096);
}

static inline void fill(struct ap *ap, int page, void (*rip)(struct box *))
{
	fill_features(ap, page, rip, SEV_FEATURES);
}

static inline u64 rmpadjust(struct ap *ap, int page, bool vmsa)
{
	return bare_do(ap->b, 0, DO_RMPADJUST, gva_private(page),
		       RMPADJUST_VMPL1 | (vmsa ? RMPADJUST_VMSA : 0), 0);
}

/* Exit information 1. */
static inline u32 creation(struct ap *ap, u32 op, u32 apic, u64 gpa, u64 features)
{
	ghcb_begin(ap->b, 0, NAE_AP_CREATION, (u64)apic << 32 | op, gpa);
	if (op != DESTROY)
		ghcb_set(ap->b->ghcb[0], GHCB_RAX, features);
	return ghcb_call(ap->b, 0);
}

static inline u64 gpa_of(int page)
{
	return POOL_GPA + page * 4096ULL;
}

static inline void alarmed(int sig)
{
}

/* Has the vCPU nothing to run? It gets a while. */
static inline bool ap_stands(struct ap *ap)
{
	struct itimerval in = { .it_value.tv_usec = 300000 }, off = {};
	struct sigaction act = { .sa_handler = alarmed };
	u64 before = ap->b->box[1]->seen;
	int err;

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &in, NULL);
	err = __vcpu_run(ap->b->vcpu[1]) ? errno : 0;
	setitimer(ITIMER_REAL, &off, NULL);

	return err == EINTR && ap->b->box[1]->seen == before;
}

static inline void ap_runs(struct ap *ap, u64 a)
{
	int err;

	ap->b->box[1]->a = a;
	ap->b->box[1]->res = 0;
	err = bare_enter(ap->b, 1);
	CHECK(!err && bare_terminated(ap->b, 1, BELL_AP),
	      "AP: %s, exit %u (%s), 0x%llx", strerror(err),
	      ap->b->vcpu[1]->run->exit_reason,
	      exit_reason_str(ap->b->vcpu[1]->run->exit_reason),
	      ap->b->vcpu[1]->run->system_event.data[0]);
	CHECK_EQ(ap->b->box[1]->res, a + 1);
}

static inline void write_msr(struct ap *ap, u32 msr, u64 value)
{
	u8 *ghcb = ap->b->ghcb[0];

	ghcb_begin(ap->b, 0, NAE_MSR, 1, 0);
	ghcb_set(ghcb, GHCB_RAX, (u32)value);
	ghcb_set(ghcb, GHCB_RCX, msr);
	ghcb_set(ghcb, GHCB_RDX, value >> 32);
	CHECK_EQ(ghcb_call(ap->b, 0), 0);
}

static inline void to_x2apic(struct ap *ap)
{
	write_msr(ap, MSR_IA32_APICBASE, APIC_DEFAULT_GPA | MSR_IA32_APICBASE_BSP |
		  MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE);
}

static inline void send_init(struct ap *ap)
{
	write_msr(ap, MSR_X2APIC_ICR, 1ULL << 32 | ICR_INIT);
}

static inline void send_sipi(struct ap *ap)
{
	write_msr(ap, MSR_X2APIC_ICR, 1ULL << 32 | ICR_SIPI | 0x12);
}

struct running {
	struct ap *ap;
	pthread_t thread;
	pid_t tid;
	int err;
	bool done;
};

static inline void *run_ap(void *arg)
{
	struct running *r = arg;

	__atomic_store_n(&r->tid, gettid(), __ATOMIC_SEQ_CST);
	/* A signal may end it: not by bare_enter(). */
	r->err = __vcpu_run(r->ap->b->vcpu[1]) ? errno : 0;
	__atomic_store_n(&r->done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static inline void begin(struct running *r, struct ap *ap)
{
	*r = (struct running){ .ap = ap };
	TEST_ASSERT(!pthread_create(&r->thread, NULL, run_ap, r), "thread");
}

/* INIT and SIPI until the vCPU is back: one that was not asleep missed them. */
static inline bool wake(struct running *r, bool sipi)
{
	int i, j;

	for (i = 0; i < 50; i++) {
		send_init(r->ap);
		if (sipi)
			send_sipi(r->ap);
		for (j = 0; j < 100; j++) {
			if (__atomic_load_n(&r->done, __ATOMIC_SEQ_CST)) {
				pthread_join(r->thread, NULL);
				return true;
			}
			usleep(2000);
		}
	}

	return false;
}

/* Have KVM_RUN come back, whatever the vCPU does. Returns its errno. */
static inline int stop(struct running *r)
{
	struct sigaction act = { .sa_handler = alarmed };
	int i;

	sigaction(SIGALRM, &act, NULL);
	for (i = 0; !__atomic_load_n(&r->done, __ATOMIC_SEQ_CST); i++) {
		TEST_ASSERT(i < 5000, "KVM_RUN does not come back");
		pthread_kill(r->thread, SIGALRM);
		usleep(2000);
	}
	pthread_join(r->thread, NULL);
	return r->err;
}

#endif
