// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPUs that the guest starts and stops itself: AP creation with a VMSA of the
 * guest's making, and AP reset hold with INIT and SIPI. GHCB specification 2.0,
 * "SNP AP Creation" and "AP Reset Hold".
 */
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "snp_bare_ap.h"

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

#define MSR_DR0_MASK	0xc0011027

/*
 * What a VMSA of the guest's says of debug registers KVM does not see. At the
 * end of a run the CPU takes the host's from where KVM has put them, or not.
 */
static void test_debug_swap(void)
{
	struct ap *ap = ap_new();
	cpu_set_t all, one;
	char path[32];
	u64 mask = 5;
	int cpu, fd;

	/* One that the test may use: whose CPUs it runs on is somebody's to say. */
	TEST_ASSERT(!sched_getaffinity(0, sizeof(all), &all), "CPUs: %d", errno);
	for (cpu = 0; !CPU_ISSET(cpu, &all); cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	TEST_ASSERT(!sched_setaffinity(0, sizeof(one), &one), "CPU %d: %d", cpu,
		    errno);
	snprintf(path, sizeof(path), "/dev/cpu/%d/msr", cpu);
	fd = open(path, O_RDWR);
	TEST_ASSERT(fd >= 0, "no MSRs: %d", errno);

	fill_features(ap, VMSA_A, ap_main, SEV_FEATURES | DEBUG_SWAP);
	CHECK_EQ(rmpadjust(ap, VMSA_A, true), 0);
	CHECK_EQ(creation(ap, CREATE, 1, gpa_of(VMSA_A), SEV_FEATURES), 0);

	CHECK_EQ(pwrite(fd, &mask, sizeof(mask), MSR_DR0_MASK), sizeof(mask));
	ap_runs(ap, 41);
	CHECK_EQ(pread(fd, &mask, sizeof(mask), MSR_DR0_MASK), sizeof(mask));
	EITHER(mask, 5, 0, "the host's mask of DR0 is lost");

	mask = 0;
	CHECK_EQ(pwrite(fd, &mask, sizeof(mask), MSR_DR0_MASK), sizeof(mask));
	close(fd);
	ap_free(ap);
	sched_setaffinity(0, sizeof(all), &all);
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

	/* Another, that nobody waits for, is no answer to that. */
	send_init(ap);
	send_sipi(ap);
	EITHER(bare_do(ap->b, 1, DO_RDMSR, MSR_GHCB, 0, 0), BELL,
	       G_HOLD_RESP | 1 << 12, "a SIPI answers what was answered");
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

/* KVM_RUN for as long as it says EAGAIN, which is not long. */
static int run_again(struct ap *ap)
{
	struct itimerval in = { .it_value.tv_sec = 5 }, off = {};
	struct sigaction act = { .sa_handler = alarmed };
	int i, err = EAGAIN;

	sigaction(SIGALRM, &act, NULL);
	for (i = 0; i < 10 && err == EAGAIN; i++) {
		setitimer(ITIMER_REAL, &in, NULL);
		err = __vcpu_run(ap->b->vcpu[1]) ? errno : 0;
		setitimer(ITIMER_REAL, &off, NULL);
	}
	return err;
}

/* A CPU added to the running guest: only the guest can give it registers. */
static void test_added(void)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_UNINITIALIZED };
	struct ap *ap = ap_new();
	struct kvm_vcpu *vcpu;
	struct kvm_regs regs;
	int id, err;

	for (id = 2; id < 4; id++) {
		vcpu = __vm_vcpu_add(ap->b->vm, id);
		vcpu_init_cpuid(vcpu, kvm_get_supported_cpuid());
		vcpu_regs_get(vcpu, &regs);
		ap->b->vcpu[1] = vcpu;
		ap->b->box[1]->a = id;

		state.mp_state = KVM_MP_STATE_RUNNABLE;
		vcpu_mp_state_set(vcpu, &state);
		err = __vcpu_run(vcpu) ? errno : 0;
		if (!err && vcpu->run->exit_reason == KVM_EXIT_FAIL_ENTRY)
			ksft_print_msg("differs: an added vCPU is tried\n");
		else
			CHECK_EQ(err, EINVAL);

		/* Whether or not it was told to wait for an INIT. */
		if (id == 3) {
			state.mp_state = KVM_MP_STATE_UNINITIALIZED;
			vcpu_mp_state_set(vcpu, &state);
		}
		fill(ap, id == 2 ? VMSA_A : VMSA_B, ap_main);
		CHECK_EQ(rmpadjust(ap, id == 2 ? VMSA_A : VMSA_B, true), 0);
		CHECK_EQ(creation(ap, CREATE, id,
				  gpa_of(id == 2 ? VMSA_A : VMSA_B),
				  SEV_FEATURES), 0);
		err = run_again(ap);
		if (err == EAGAIN && id == 3) {
			ksft_print_msg("differs: a vCPU without an INIT waits\n");
			continue;
		}
		if (!err && vcpu->run->exit_reason == KVM_EXIT_FAIL_ENTRY) {
			ksft_print_msg("differs: an added vCPU never runs\n");
			continue;
		}
		CHECK(!err && bare_terminated(ap->b, 1, BELL_AP),
		      "vCPU %d: %s, exit %u", id, strerror(err),
		      vcpu->run->exit_reason);
		CHECK_EQ(ap->b->box[1]->res, id + 1);
		ap_runs(ap, 10 + id);

		/* Its registers are the guest's, like all others'. */
		EITHER(__vcpu_ioctl(vcpu, KVM_GET_REGS, &regs) ? errno : 0,
		       EINVAL, 0, "registers of an added vCPU are told");
	}

	ap_free(ap);
}

static const struct bare_test tests[] = {
	{ test_create, "AP creation: created, destroyed, created again" },
	{ test_refused, "AP creation: what is wrong is refused" },
	{ test_features, "AP creation: features that the VM does not have" },
	{ test_debug_swap, "AP creation: debug registers swapped without a word" },
	{ test_no_vmsa, "AP creation: a page that is no VMSA" },
	{ test_create_on_init, "AP creation: on INIT" },
	{ test_hold_msr, "AP reset hold by MSR" },
	{ test_hold_page, "AP reset hold by page" },
	{ test_hold_lasts, "AP reset hold lasts" },
	{ test_added, "vCPUs added after the launch" },
};

int main(int argc, char *argv[])
{
	bare_run(tests, ARRAY_SIZE(tests));
}
