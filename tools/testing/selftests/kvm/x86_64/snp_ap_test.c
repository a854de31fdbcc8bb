// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPUs that the guest starts and stops itself: AP creation with a VMSA of the
 * guest's making, and AP reset hold with INIT and SIPI. GHCB specification 2.0,
 * "SNP AP Creation" and "AP Reset Hold".
 */
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

#define RMPADJUST_VMPL1		1
#define RMPADJUST_VMSA		BIT(16)

/* Pages of the pool that become VMSAs. */
#define VMSA_A			3
#define VMSA_B			5
#define VMSA_2M			512	/* aligned to 2M */

#define MSR_X2APIC_ICR		0x830
#define ICR_INIT		0x4500
#define ICR_SIPI		0x4600

struct seg {
	u16 selector, attrib;
	u32 limit;
	u64 base;
};

static void put(u8 *vmsa, int offset, u64 value, int size)
{
	memcpy(vmsa + offset, &value, size);
}

static void put_seg(u8 *vmsa, int offset, const struct kvm_segment *s)
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

static void put_table(u8 *vmsa, int offset, const struct kvm_dtable *t)
{
	struct seg seg = { .limit = t->limit, .base = t->base };

	memcpy(vmsa + offset, &seg, sizeof(seg));
}

/* 64-bit mode as the vCPU has it, to begin at @rip. APM vol 2, table B-4. */
static void make_vmsa(u8 *vmsa, const struct kvm_sregs *s, u64 rip, u64 rsp,
		      u64 arg)
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

static void ap_main(struct box *box)
{
	for (;;) {
		__atomic_fetch_add(&box->seen, 1, __ATOMIC_SEQ_CST);
		box->res = box->a + 1;
		guest_vmgexit(BELL_AP);
	}
}

static struct ap *ap_new(void)
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

static void ap_free(struct ap *ap)
{
	bare_free(ap->b);
	free(ap);
}

/* The guest fills the page, through one that the test can write. */
static void fill(struct ap *ap, int page, void (*rip)(struct box *))
{
	struct bare *b = ap->b;

	make_vmsa((u8 *)hva(b, 100), &ap->sregs, (u64)rip, ap->stack, ap->arg);
	bare_do(b, 0, DO_COPY, gva_private(page), gva_shared(100), 4096);
}

static u64 rmpadjust(struct ap *ap, int page, bool vmsa)
{
	return bare_do(ap->b, 0, DO_RMPADJUST, gva_private(page),
		       RMPADJUST_VMPL1 | (vmsa ? RMPADJUST_VMSA : 0), 0);
}

/* Exit information 1. */
static u32 creation(struct ap *ap, u32 op, u32 apic, u64 gpa, u64 features)
{
	ghcb_begin(ap->b, 0, NAE_AP_CREATION, (u64)apic << 32 | op, gpa);
	if (op != DESTROY)
		ghcb_set(ap->b->ghcb[0], GHCB_RAX, features);
	return ghcb_call(ap->b, 0);
}

static u64 gpa_of(int page)
{
	return POOL_GPA + page * 4096ULL;
}

static void alarmed(int sig)
{
}

/* Has the vCPU nothing to run? It gets a while. */
static bool ap_stands(struct ap *ap)
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

static void ap_runs(struct ap *ap, u64 a)
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

static void test_create(void)
{
	struct ap *ap = ap_new();

	fill(ap, VMSA_A, ap_main);
	CHECK_EQ(rmpadjust(ap, VMSA_A, true), 0);
	CHECK_EQ(creation(ap, CREATE, 1, gpa_of(VMSA_A), SEV_FEATURES), 0);
	ap_runs(ap, 41);
	ap_runs(ap, 77);

	/* No longer, and no more. */
	CHECK_EQ(creation(ap, DESTROY, 1, 0, 0), 0);
	CHECK(ap_stands(ap), "a destroyed AP runs");

	/* Its page is the guest's again: not in use, to be written. */
	CHECK_EQ(rmpadjust(ap, VMSA_A, false), 0);
	fill(ap, VMSA_A, ap_main);

	/* Another, elsewhere. */
	fill(ap, VMSA_B, guest_main);
	CHECK_EQ(rmpadjust(ap, VMSA_B, true), 0);
	CHECK_EQ(creation(ap, CREATE, 1, gpa_of(VMSA_B), SEV_FEATURES), 0);
	CHECK_EQ(bare_do(ap->b, 1, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);

	/* One over the other, without DESTROY. */
	CHECK_EQ(rmpadjust(ap, VMSA_A, true), 0);
	CHECK_EQ(creation(ap, CREATE, 1, gpa_of(VMSA_A), SEV_FEATURES), 0);
	ap_runs(ap, 5);

	ap_free(ap);
}

static void refused(struct ap *ap, u32 op, u32 apic, u64 gpa, u64 features,
		    const char *why)
{
	u32 info1 = creation(ap, op, apic, gpa, features);

	CHECK(info1 == G_MALFORMED, "%s: %u", why, info1);
	CHECK_EQ(ghcb_get(ap->b->ghcb[0], GHCB_INFO2), G_INVALID_INPUT);
}

static void test_refused(void)
{
	struct ap *ap = ap_new();
	int op;

	fill(ap, VMSA_A, ap_main);
	CHECK_EQ(rmpadjust(ap, VMSA_A, true), 0);

	for (op = CREATE_ON_INIT; op <= CREATE; op++) {
		refused(ap, op, 1, gpa_of(VMSA_A) + 8, SEV_FEATURES,
			"an address inside a page");
		refused(ap, op, 1, gpa_of(VMSA_A) | 1ULL << 55, SEV_FEATURES,
			"an address that no guest has");
		refused(ap, op, 1, gpa_of(VMSA_2M), SEV_FEATURES,
			"an address aligned to 2M");
		refused(ap, op, 2, gpa_of(VMSA_A), SEV_FEATURES,
			"an APIC ID that no vCPU has");
		refused(ap, op, ~0, gpa_of(VMSA_A), SEV_FEATURES,
			"an APIC ID that no vCPU has");
	}
	refused(ap, DESTROY, 2, 0, 0, "an APIC ID that no vCPU has");
	refused(ap, 3, 1, gpa_of(VMSA_A), SEV_FEATURES, "operation 3");
	refused(ap, 0xffff, 1, gpa_of(VMSA_A), SEV_FEATURES, "operation ffffh");

	/* Without a value for the features. */
	ghcb_begin(ap->b, 0, NAE_AP_CREATION, 1ULL << 32 | CREATE,
		   gpa_of(VMSA_A));
	CHECK_EQ(ghcb_call(ap->b, 0), G_MALFORMED);
	CHECK_EQ(ghcb_get(ap->b->ghcb[0], GHCB_INFO2), G_MISSING_INPUT);

	/* The vCPU has noticed nothing: it runs as it was launched. */
	CHECK_EQ(bare_do(ap->b, 1, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);
	CHECK_EQ(bare_do(ap->b, 1, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);

	CHECK_EQ(creation(ap, CREATE, 1, gpa_of(VMSA_A), SEV_FEATURES), 0);
	ap_runs(ap, 1);
	ap_free(ap);
}

/* The features are the VM's; another VMSA may still be refused by VMRUN. */
static void test_features(void)
{
	static const u64 features[] = { 0, SEV_FEATURES | 2,
					SEV_FEATURES | 1ULL << 63 };
	struct ap *ap = ap_new();
	bool lax = false;
	int i, op;

	fill(ap, VMSA_A, ap_main);
	CHECK_EQ(rmpadjust(ap, VMSA_A, true), 0);

	for (op = CREATE_ON_INIT; op <= CREATE; op++) {
		for (i = 0; i < ARRAY_SIZE(features); i++) {
			if (!creation(ap, op, 1, gpa_of(VMSA_A), features[i])) {
				ksft_print_msg("differs: features 0x%lx are taken\n",
					       features[i]);
				lax = true;
				continue;
			}
			CHECK_EQ(ghcb_get(ap->b->ghcb[0], GHCB_INFO2),
				 G_INVALID_INPUT);
		}
	}

	if (!lax)
		CHECK_EQ(bare_do(ap->b, 1, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7,
			 7);
	ap_free(ap);
}

/* A VMSA that is none, and one without a page: this vCPU only may suffer. */
static void test_no_vmsa(void)
{
	struct ap *ap = ap_new();
	int err;

	CHECK_EQ(creation(ap, CREATE, 1, gpa_of(50), SEV_FEATURES), 0);
	if (!ap_stands(ap)) {
		ksft_print_msg("differs: a page that is not private is tried\n");
		CHECK_EQ(ap->b->box[1]->seen, 0);
	}

	/* Private and filled, but never made a VMSA. */
	fill(ap, VMSA_A, ap_main);
	CHECK_EQ(creation(ap, CREATE, 1, gpa_of(VMSA_A), SEV_FEATURES), 0);
	err = bare_enter(ap->b, 1);
	CHECK(err || ap->b->vcpu[1]->run->exit_reason == KVM_EXIT_FAIL_ENTRY ||
	      ap->b->vcpu[1]->run->exit_reason == KVM_EXIT_SHUTDOWN ||
	      ap->b->vcpu[1]->run->exit_reason == KVM_EXIT_INTERNAL_ERROR,
	      "exit %u", ap->b->vcpu[1]->run->exit_reason);
	CHECK_EQ(ap->b->box[1]->seen, 0);

	/* The other one goes on. */
	CHECK_EQ(bare_do(ap->b, 0, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);
	ap_free(ap);
}

/* INIT and SIPI ----------------------------------------------------------- */

static void write_msr(struct ap *ap, u32 msr, u64 value)
{
	u8 *ghcb = ap->b->ghcb[0];

	ghcb_begin(ap->b, 0, NAE_MSR, 1, 0);
	ghcb_set(ghcb, GHCB_RAX, (u32)value);
	ghcb_set(ghcb, GHCB_RCX, msr);
	ghcb_set(ghcb, GHCB_RDX, value >> 32);
	CHECK_EQ(ghcb_call(ap->b, 0), 0);
}

static void to_x2apic(struct ap *ap)
{
	write_msr(ap, MSR_IA32_APICBASE, APIC_DEFAULT_GPA | MSR_IA32_APICBASE_BSP |
		  MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE);
}

static void send_init(struct ap *ap)
{
	write_msr(ap, MSR_X2APIC_ICR, 1ULL << 32 | ICR_INIT);
}

static void send_sipi(struct ap *ap)
{
	write_msr(ap, MSR_X2APIC_ICR, 1ULL << 32 | ICR_SIPI | 0x12);
}

struct running {
	struct ap *ap;
	pthread_t thread;
	int err;
	bool done;
};

static void *run_ap(void *arg)
{
	struct running *r = arg;

	r->err = bare_enter(r->ap->b, 1);
	__atomic_store_n(&r->done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static void begin(struct running *r, struct ap *ap)
{
	*r = (struct running){ .ap = ap };
	TEST_ASSERT(!pthread_create(&r->thread, NULL, run_ap, r), "thread");
}

/* INIT and SIPI until the vCPU is back: one that was not asleep missed them. */
static bool wake(struct running *r, bool sipi)
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

static void test_create_on_init(void)
{
	struct ap *ap = ap_new();
	struct running r;

	to_x2apic(ap);
	fill(ap, VMSA_A, ap_main);
	CHECK_EQ(rmpadjust(ap, VMSA_A, true), 0);
	CHECK_EQ(creation(ap, CREATE_ON_INIT, 1, gpa_of(VMSA_A), SEV_FEATURES),
		 0);

	/* Until then, it is what it was. */
	CHECK_EQ(bare_do(ap->b, 1, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);

	ap->b->box[1]->order = DO_RDMSR;
	ap->b->box[1]->a = MSR_AMD64_SEV;
	send_init(ap);
	begin(&r, ap);
	if (CHECK(wake(&r, true), "the AP does not come up")) {
		CHECK(!r.err && bare_terminated(ap->b, 1, BELL_AP),
		      "%s, exit %u, 0x%llx", strerror(r.err),
		      ap->b->vcpu[1]->run->exit_reason,
		      ap->b->vcpu[1]->run->system_event.data[0]);
		ap_free(ap);
	}
}

/* By MSR or by page; how often it held and what it was told. */
static void hold(struct ap *ap, bool by_page)
{
	struct bare *b = ap->b;
	struct running r;
	u64 told = 0;
	int i;

	for (i = 0; i < 3; i++) {
		if (by_page) {
			ghcb_begin(b, 1, NAE_HOLD, 0, 0);
			bare_order(b, 1, DO_VMGEXIT, b->ghcb_gpa[1], 0, 0);
		} else {
			bare_order(b, 1, DO_VMGEXIT, G_HOLD_REQ, 0, 0);
		}
		begin(&r, ap);
		if (!CHECK(wake(&r, true), "the hold does not end"))
			return;
		if (!CHECK(!r.err && bare_terminated(b, 1, BELL),
			   "%s, exit %u", strerror(r.err),
			   b->vcpu[1]->run->exit_reason))
			return;
		if (by_page) {
			CHECK_EQ((u32)ghcb_get(b->ghcb[1], GHCB_INFO1), 0);
			told = ghcb_get(b->ghcb[1], GHCB_INFO2);
		} else {
			CHECK_EQ(b->box[1]->res & G_CODE, G_HOLD_RESP);
			told = b->box[1]->res >> 12;
		}
		if (told)
			break;
		/* KVM's first SIPI of a vCPU is not told. */
		ksft_print_msg("differs: SIPI %d ended the hold and was not told\n",
			       i);
	}
	CHECK(told, "no SIPI is told");
}

static void test_hold_msr(void)
{
	struct ap *ap = ap_new();

	to_x2apic(ap);
	hold(ap, false);
	hold(ap, false);
	ap_free(ap);
}

static void test_hold_page(void)
{
	struct ap *ap = ap_new();

	to_x2apic(ap);
	ghcb_register(ap->b, 1);
	hold(ap, true);
	hold(ap, true);
	/* And the other way after it. */
	hold(ap, false);
	ap_free(ap);
}

/* A hold without INIT and SIPI lasts. */
static void test_hold_lasts(void)
{
	struct ap *ap = ap_new();
	int i;

	bare_order(ap->b, 1, DO_VMGEXIT, G_HOLD_REQ, 0, 0);
	ap->b->box[1]->res = 0x77;
	for (i = 0; i < 100 && !ap->b->box[1]->seen; i++)
		ap_stands(ap);
	CHECK_EQ(ap->b->box[1]->seen, 1);
	CHECK_EQ(ap->b->box[1]->res, 0x77);
	CHECK(ap_stands(ap), "the AP left its hold");
	ap_free(ap);
}

static const struct bare_test tests[] = {
	{ test_create, "AP creation: created, destroyed, created again" },
	{ test_refused, "AP creation: what is wrong is refused" },
	{ test_features, "AP creation: features that the VM does not have" },
	{ test_no_vmsa, "AP creation: a page that is no VMSA" },
	{ test_create_on_init, "AP creation: on INIT" },
	{ test_hold_msr, "AP reset hold by MSR" },
	{ test_hold_page, "AP reset hold by page" },
	{ test_hold_lasts, "AP reset hold lasts" },
};

int main(int argc, char *argv[])
{
	bare_run(tests, ARRAY_SIZE(tests));
}
