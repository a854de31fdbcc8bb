// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a hostile guest or VMM does to vCPUs and to what the host keeps for
 * them: modes without registers for them, VMSAs whose memory goes, a VM that
 * ends in the middle of an exit. Only that guest may suffer, and nothing of the
 * host's may stay behind.
 */
#include <fcntl.h>

#include "snp_bare_ap.h"
#include "svm.h"

static void guest_create(struct ap *ap, int page, void (*rip)(struct box *))
{
	fill(ap, page, rip);
	CHECK_EQ(rmpadjust(ap, page, true), 0);
	CHECK_EQ(creation(ap, CREATE, 1, gpa_of(page), SEV_FEATURES), 0);
}

/* System management mode -------------------------------------------------- */

static bool in_smm(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_events events;

	vcpu_events_get(vcpu, &events);
	return events.smi.smm || events.smi.pending;
}

/* An SMI that the guest sends itself, and one of user space's. */
static void test_smi(void)
{
	struct ap *ap = ap_new();
	struct kvm_vcpu *vcpu = ap->b->vcpu[1];

	to_x2apic(ap);
	write_msr(ap, MSR_X2APIC_ICR, 1ULL << 32 | ICR_SMI);
	bare_order(ap->b, 1, DO_RDMSR, MSR_AMD64_SEV, 0, 0);
	if (!EITHER(bare_enter(ap->b, 1), 0, EIO, "an SMI ends the guest")) {
		ap_free(ap);
		return;
	}
	CHECK_EQ(ap->b->box[1]->res & 7, 7);
	CHECK(!in_smm(vcpu), "the guest's SMI is taken");

	CHECK(__vcpu_ioctl(vcpu, KVM_SMI, NULL) && errno == ENOTTY,
	      "KVM_SMI: %d", errno);
	CHECK_EQ(bare_do(ap->b, 1, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);
	CHECK(!in_smm(vcpu), "user space's SMI is taken");

	/* AP creation resets the vCPU, which no mode may be in the way of. */
	write_msr(ap, MSR_X2APIC_ICR, 1ULL << 32 | ICR_SMI);
	guest_create(ap, VMSA_A, ap_main);
	ap_runs(ap, 41);
	ap_free(ap);
}

static void test_set_smm(void)
{
	struct bare *b = bare_new(1);
	struct kvm_vcpu_events events;
	int pending, err;

	for (pending = 0; pending < 2; pending++) {
		vcpu_events_get(b->vcpu[0], &events);
		events.flags = KVM_VCPUEVENT_VALID_SMM;
		events.smi.smm = !pending;
		events.smi.pending = pending;
		err = __vcpu_ioctl(b->vcpu[0], KVM_SET_VCPU_EVENTS, &events) ?
			errno : 0;
		if (EITHER(err, EINVAL, 0, "a vCPU is put in SMM"))
			continue;
		bare_free(b);
		b = bare_new(1);
	}
	bare_free(b);
}

/* L2 ---------------------------------------------------------------------- */

/* KVM_SET_NESTED_STATE of a vCPU as if it ran an L2; 0 or errno. */
static int enter_l2(struct kvm_vcpu *vcpu)
{
	struct kvm_nested_state *state;
	struct kvm_sregs sregs;
	struct vmcb *vmcb;
	int err;

	vcpu_sregs_get(vcpu, &sregs);
	sregs.efer |= EFER_SVME;
	vcpu_sregs_set(vcpu, &sregs);

	state = calloc(1, sizeof(*state) + KVM_STATE_NESTED_SVM_VMCB_SIZE);
	TEST_ASSERT(state, "no memory");
	state->flags = KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_GIF_SET;
	state->format = KVM_STATE_NESTED_FORMAT_SVM;
	state->size = sizeof(*state) + KVM_STATE_NESTED_SVM_VMCB_SIZE;
	state->hdr.svm.vmcb_pa = POOL_GPA;

	vmcb = (struct vmcb *)state->data.svm[0].vmcb12;
	vmcb->control.intercept = BIT_ULL(INTERCEPT_VMRUN);
	vmcb->control.asid = 1;
	vmcb->save.efer = sregs.efer;
	vmcb->save.cr0 = sregs.cr0;
	vmcb->save.cr3 = sregs.cr3;
	vmcb->save.cr4 = sregs.cr4;
	vmcb->save.dr6 = 0xffff0ff0;
	vmcb->save.dr7 = 0x400;
	vmcb->save.rflags = X86_EFLAGS_FIXED;

	err = __vcpu_nested_state_set(vcpu, state) ? errno : 0;
	free(state);
	return err;
}

static void test_l2(void)
{
	struct bare *b = bare_create(1);
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	EITHER(enter_l2(b->vcpu[0]), EINVAL, 0, "a vCPU is put in L2");
	bare_free(b);

	/* It is not the state that is wrong. */
	vm = vm_create_with_one_vcpu(&vcpu, guest_main);
	CHECK_EQ(enter_l2(vcpu), 0);
	kvm_vm_free(vm);
}

/* VMSAs whose memory goes ------------------------------------------------- */

/*
 * How long the AP is waited for: in turns of the other vCPU, not in seconds. A
 * computer that is busy keeps both waiting.
 */
#define PATIENCE	5000

static void turn(struct bare *b)
{
	bare_do(b, 0, DO_RDMSR, MSR_AMD64_SEV, 0, 0);
	usleep(200);
}

/* The AP begins with an order, and is in the guest from then on. */
static void in_guest(struct running *r, struct ap *ap)
{
	u64 seen = ap->b->box[1]->seen;
	int i;

	bare_order(ap->b, 1, DO_SPIN, 0, 0, 0);
	begin(r, ap);
	for (i = 0; i < PATIENCE; i++) {
		if (__atomic_load_n(&ap->b->box[1]->seen, __ATOMIC_SEQ_CST) !=
		    seen)
			return;
		turn(ap->b);
	}
	TEST_FAIL("the AP does not begin");
}

/* Does KVM_RUN come back by itself? If not, it is made to. */
static bool came_back(struct running *r)
{
	bool done;
	int i;

	for (i = 0; i < PATIENCE; i++) {
		if (__atomic_load_n(&r->done, __ATOMIC_SEQ_CST))
			break;
		turn(r->ap->b);
	}
	done = __atomic_load_n(&r->done, __ATOMIC_SEQ_CST);
	stop(r);
	return done;
}

/* Leave out what upstream's kernels answer in time only. */
static bool spare;

/* Leave out what makes upstream's 6.12 write to a page in use, an oops. */
static bool old;

/*
 * While the vCPU runs it, hardware has the VMSA in use, and nobody gets its
 * page. It has to stop also where the slot went first.
 */
static void vmsa_goes(bool slot_first)
{
	long before = leaked();
	struct running r;
	struct ap *ap;
	int i, err;

	if (old) {
		ksft_print_msg("differs: not asked\n");
		return;
	}

	ap = ap_new();
	for (i = 0; i < 20; i++) {
		guest_create(ap, VMSA_A, guest_main);
		in_guest(&r, ap);

		if (slot_first)
			bare_set_pool(ap->b, false);
		vm_guest_mem_punch_hole(ap->b->vm, gpa_of(VMSA_A), 4096);
		if (slot_first)
			bare_set_pool(ap->b, true);

		err = stop(&r);
		CHECK_EQ(ap->b->box[1]->res, 0xbadbadbad);
		/* Nothing to run, or a page that is no VMSA. */
		CHECK(err == EINTR || (!err && ap->b->vcpu[1]->run->exit_reason
				       == KVM_EXIT_FAIL_ENTRY), "%s, exit %u",
		      strerror(err), ap->b->vcpu[1]->run->exit_reason);
		CHECK_EQ(leaked(), before);
		/* It is another page now. */
		CHECK_EQ(bare_pvalidate(ap->b, VMSA_A, true), 0);
	}

	ap_free(ap);
	CHECK_EQ(leaked(), before);
}

static void test_vmsa_punched(void)
{
	vmsa_goes(false);
}

static void test_vmsa_slot(void)
{
	vmsa_goes(true);
}

/* Around it memory changes: it is looked up again, and goes on. */
static void test_vmsa_stays(void)
{
	struct ap *ap = ap_new();
	struct running r;
	int i;

	guest_create(ap, VMSA_A, guest_main);
	for (i = 0; i < 20; i++) {
		in_guest(&r, ap);
		if (i & 1)
			vm_mem_set_private(ap->b->vm, gpa_of(VMSA_A - 1),
					   (VMSA_B - VMSA_A + 4) * 4096);
		else
			vm_mem_set_shared(ap->b->vm, gpa_of(VMSA_B + 1), 4096);
		usleep(2000);
		__atomic_store_n(&ap->b->box[1]->a, 1, __ATOMIC_SEQ_CST);
		if (!came_back(&r)) {
			CHECK(false, "round %d: the AP stands", i);
			break;
		}
		CHECK(!r.err && bare_terminated(ap->b, 1, BELL), "%s, exit %u",
		      strerror(r.err), ap->b->vcpu[1]->run->exit_reason);
		/* The other has no VMSA of its guest's making, and its own. */
		CHECK_EQ(bare_do(ap->b, 0, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7,
			 7);
	}
	ap_free(ap);
}

/* vCPUs that wait --------------------------------------------------------- */

/* One that never got an INIT, as a VMM without a SIPI has it. */
static void test_uninitialized(void)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_UNINITIALIZED };
	struct itimerval in = { .it_value.tv_sec = 5 }, off = {};
	struct sigaction act = { .sa_handler = alarmed };
	struct ap *ap = ap_new();
	struct bare *b = ap->b;
	int i, err;

	sigaction(SIGALRM, &act, NULL);
	vcpu_mp_state_set(b->vcpu[1], &state);
	guest_create(ap, VMSA_A, ap_main);
	b->box[1]->a = 7;

	/* User space is told to try again while it has no state to run. */
	for (i = 0; i < 10; i++) {
		setitimer(ITIMER_REAL, &in, NULL);
		err = __vcpu_run(b->vcpu[1]) ? errno : 0;
		setitimer(ITIMER_REAL, &off, NULL);
		if (err != EAGAIN)
			break;
	}
	if (err == EAGAIN) {
		ksft_print_msg("differs: a vCPU without an INIT waits\n");
	} else {
		CHECK(!err && bare_terminated(b, 1, BELL_AP), "%s, exit %u",
		      strerror(err), b->vcpu[1]->run->exit_reason);
		CHECK_EQ(b->box[1]->res, 8);
	}
	ap_free(ap);
}

/* 'S' if the thread of that ID sleeps, 'R' if it runs or wants to. */
static char thread_state(pid_t tid)
{
	char path[64], line[256] = "", *p;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	if (read(fd, line, sizeof(line) - 1) <= 0)
		line[0] = 0;
	close(fd);
	p = strrchr(line, ')');
	return p ? p[2] : 0;
}

/* Does its thread sleep, seen @times times in a row? Not if it ends before. */
static bool stays_asleep(struct running *r, int times)
{
	int i, asleep = 0;

	for (i = 0; i < 1000 && asleep < times; i++) {
		usleep(2000);
		if (thread_state(__atomic_load_n(&r->tid, __ATOMIC_SEQ_CST)) ==
		    'S')
			asleep++;
		else
			asleep = 0;
		if (__atomic_load_n(&r->done, __ATOMIC_SEQ_CST))
			return false;
	}
	return asleep == times;
}

/* Its registers are somebody's until KVM_RUN is back. */
static void test_finish_busy(void)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_UNINITIALIZED };
	struct kvm_sev_snp_launch_finish finish = {};
	struct ap ap = { .b = bare_create(2) };
	struct bare *b = ap.b;
	struct running r;
	int i;

	if (spare) {
		ksft_print_msg("differs: not asked\n");
		bare_free(b);
		return;
	}

	snp_vm_launch_start(b->vm, bare_policy());
	snp_vm_launch_update(b->vm);
	vcpu_mp_state_set(b->vcpu[1], &state);
	begin(&r, &ap);
	CHECK(stays_asleep(&r, 20), "it runs");
	CHECK_EQ(sev_op(b->vm, KVM_SEV_SNP_LAUNCH_FINISH, &finish, NULL),
		 EBUSY);
	CHECK_EQ(stop(&r), EINTR);

	/* Nothing has happened to any of them. */
	state.mp_state = KVM_MP_STATE_RUNNABLE;
	vcpu_mp_state_set(b->vcpu[1], &state);
	CHECK_EQ(sev_op(b->vm, KVM_SEV_SNP_LAUNCH_FINISH, &finish, NULL), 0);
	for (i = 0; i < 2; i++)
		CHECK_EQ(bare_do(b, i, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);
	bare_free(b);
}

/* A vCPU that the guest stopped sleeps, whatever there is for it. */
static void test_nmi(void)
{
	struct ap *ap = ap_new();
	struct running r;
	bool asleep;

	guest_create(ap, VMSA_A, ap_main);
	ap_runs(ap, 1);
	CHECK_EQ(creation(ap, DESTROY, 1, 0, 0), 0);
	CHECK(ap_stands(ap), "a destroyed AP runs");

	__vcpu_ioctl(ap->b->vcpu[1], KVM_NMI, NULL);
	begin(&r, ap);
	asleep = stays_asleep(&r, 50);
	if (__atomic_load_n(&r.done, __ATOMIC_SEQ_CST))
		ksft_print_msg("differs: an NMI ends a destroyed AP's KVM_RUN: %d, exit %u\n",
			       stop(&r), ap->b->vcpu[1]->run->exit_reason);
	else if (CHECK_EQ(stop(&r), EINTR))
		CHECK(asleep, "it runs");

	/* And is there for another VMSA. */
	CHECK_EQ(creation(ap, CREATE, 1, gpa_of(VMSA_A), SEV_FEATURES), 0);
	ap_free(ap);
}

/*
 * Without virtualised branch records no such guest can be entered: that it asks for
 * DEBUGCTL, instead of writing to it, does not turn them off.
 */
static void test_debugctl(void)
{
	struct bare *b = bare_new(1);
	int err;

	ghcb_register(b, 0);
	ghcb_begin(b, 0, NAE_MSR, 1, 0);
	ghcb_set(b->ghcb[0], GHCB_RCX, MSR_IA32_DEBUGCTLMSR);
	ghcb_set(b->ghcb[0], GHCB_RAX, 2);
	ghcb_set(b->ghcb[0], GHCB_RDX, 0);
	bare_order(b, 0, DO_VMGEXIT, b->ghcb_gpa[0], 0, 0);
	err = bare_enter(b, 0);
	if (err) {
		CHECK_EQ(err, EINVAL);
		ksft_print_msg("differs: an MSR that is not KVM's ends KVM_RUN\n");
		bare_free(b);
		return;
	}
	CHECK_EQ(bare_do(b, 0, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);

	/* It has the register for itself. */
	CHECK_EQ(bare_do(b, 0, DO_RDMSR, MSR_IA32_DEBUGCTLMSR, 0, 0), 0);
	if (b->box[0]->vc)
		ksft_print_msg("differs: DEBUGCTL is KVM's\n");
	bare_free(b);
}

/* The new registers asked for nothing: INIT and SIPI do not answer. */
static void test_hold_created(void)
{
	struct ap *ap = ap_new();
	struct bare *b = ap->b;
	struct running r;
	int i;

	to_x2apic(ap);

	/* KVM's first SIPI of a vCPU is not told. */
	bare_order(b, 1, DO_VMGEXIT, G_HOLD_REQ, 0, 0);
	begin(&r, ap);
	if (!CHECK(wake(&r, true), "the hold does not end"))
		return;

	bare_order(b, 1, DO_VMGEXIT, G_HOLD_REQ, 0, 0);
	begin(&r, ap);
	for (i = 0; i < 2000 && b->box[1]->seen != 2; i++)
		usleep(2000);
	CHECK_EQ(b->box[1]->seen, 2);

	fill(ap, VMSA_A, guest_main);
	CHECK_EQ(rmpadjust(ap, VMSA_A, true), 0);
	b->box[1]->order = DO_RDMSR;
	b->box[1]->a = MSR_AMD64_SEV;
	CHECK_EQ(creation(ap, CREATE, 1, gpa_of(VMSA_A), SEV_FEATURES), 0);
	for (i = 0; i < 2000; i++) {
		if (__atomic_load_n(&r.done, __ATOMIC_SEQ_CST))
			break;
		usleep(2000);
	}
	CHECK_EQ(stop(&r), 0);
	CHECK(bare_terminated(b, 1, BELL), "exit %u",
	      b->vcpu[1]->run->exit_reason);

	send_init(ap);
	send_sipi(ap);
	EITHER(bare_do(b, 1, DO_RDMSR, MSR_GHCB, 0, 0), BELL,
	       G_HOLD_RESP | 1 << 12,
	       "a SIPI answers what the old registers asked");
	ap_free(ap);
}

/* VMs that end in the middle ---------------------------------------------- */

#define HUGE			"/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define HUGE_GPA		0x50000000ULL
#define HUGE_SLOT		2

static long huge_pages(const char *which)
{
	FILE *f = fopen(which, "r");
	long n = -1;

	TEST_ASSERT(f && fscanf(f, "%ld", &n) == 1, "%s", which);
	fclose(f);
	return n;
}

static void want_huge_pages(int n)
{
	FILE *f = fopen(HUGE "nr_hugepages", "w");

	TEST_ASSERT(f && fprintf(f, "%d", n) > 0 && !fclose(f), "huge pages");
	TEST_ASSERT(huge_pages(HUGE "nr_hugepages") >= n, "no huge pages");
}

/*
 * The GHCB is in a huge page, which is whole again for somebody else once the
 * VM is gone; by @code the vCPU waits for user space or for a SIPI then.
 */
static void ends_in(u64 code)
{
	struct ap *ap = ap_new();
	struct bare *b = ap->b;
	long before, i;
	struct running r;
	u8 *page;

	want_huge_pages(4);
	before = huge_pages(HUGE "free_hugepages");
	vm_mem_add(b->vm, VM_MEM_SRC_ANONYMOUS_HUGETLB_2MB, HUGE_GPA, HUGE_SLOT,
		   512, 0, -1, 0);
	page = addr_gpa2hva(b->vm, HUGE_GPA);
	b->ghcb[1] = page;
	b->ghcb_gpa[1] = HUGE_GPA;
	ghcb_register(b, 1);

	ghcb_begin(b, 1, code, code == NAE_IOIO ?
		   0x80ULL << 16 | BIT(9) | BIT(4) : 0, 0);
	if (code == NAE_IOIO)
		ghcb_set(page, GHCB_RAX, 0x5a);
	bare_order(b, 1, DO_VMGEXIT, HUGE_GPA, 0, 0);
	begin(&r, ap);
	for (i = 0; i < 200 && !__atomic_load_n(&r.done, __ATOMIC_SEQ_CST); i++)
		usleep(2000);
	if (code == NAE_IOIO) {
		CHECK_EQ(stop(&r), 0);
		CHECK_EQ(b->vcpu[1]->run->exit_reason, KVM_EXIT_IO);
	} else {
		CHECK_EQ(stop(&r), EINTR);
	}
	CHECK(huge_pages(HUGE "free_hugepages") < before, "none in use");
	ap_free(ap);

	/* The last of it goes with an RCU grace period or a work item. */
	for (i = 0; i < 500; i++) {
		if (huge_pages(HUGE "free_hugepages") == before)
			break;
		usleep(2000);
	}
	CHECK_EQ(huge_pages(HUGE "free_hugepages"), before);
	want_huge_pages(0);
}

static void test_ends_in_io(void)
{
	ends_in(NAE_IOIO);
}

static void test_ends_in_hold(void)
{
	ends_in(NAE_HOLD);
}

static const struct bare_test tests[] = {
	{ test_smi, "SMIs of guest and user space" },
	{ test_set_smm, "SMM by KVM_SET_VCPU_EVENTS" },
	{ test_l2, "L2 by KVM_SET_NESTED_STATE" },
	{ test_vmsa_punched, "a VMSA in use whose page goes" },
	{ test_vmsa_slot, "a VMSA in use whose slot and page go" },
	{ test_vmsa_stays, "a VMSA in use around which memory changes" },
	{ test_finish_busy, "LAUNCH_FINISH while a vCPU is in KVM_RUN" },
	{ test_uninitialized, "AP creation for a vCPU that never got an INIT" },
	{ test_nmi, "an NMI for a destroyed AP" },
	{ test_debugctl, "what a guest writes to DEBUGCTL" },
	{ test_hold_created, "AP creation for a vCPU in reset hold, then a SIPI" },
	{ test_ends_in_io, "a VM that ends in KVM_EXIT_IO" },
	{ test_ends_in_hold, "a VM that ends in reset hold by page" },
};

int main(int argc, char *argv[])
{
	spare = argc > 1 && !strcmp(argv[1], "--spare");
	old = argc > 2 && !strcmp(argv[2], "--old");
	bare_run(tests, ARRAY_SIZE(tests));
}
