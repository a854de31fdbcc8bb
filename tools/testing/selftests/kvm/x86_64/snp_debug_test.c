// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU that cannot be entered: the guest gave it registers that do not go
 * together. KVM says so; what it prints of the registers is for whoever runs
 * this to judge. SNP firmware ABI 56860, SNP_DBG_DECRYPT.
 */
#include "snp_bare_ap.h"

/* No code there, and no other vCPU has them */
#define RIP			0x5ec0de123000
#define RAX			0x5ec0de456000

static void fails(u64 policy)
{
	struct kvm_run *run;
	struct ap *ap;
	u8 *vmsa;

	bare_more_policy = policy;
	ap = ap_new();
	run = ap->b->vcpu[1]->run;
	vmsa = (u8 *)hva(ap->b, 100);
	make_vmsa(vmsa, &ap->sregs, RIP, ap->stack, ap->arg);
	put(vmsa, 0x1f8, RAX, 8);
	/* CR0's upper half is none. */
	put(vmsa, 0x158, ap->sregs.cr0 | 1ULL << 40, 8);
	bare_do(ap->b, 0, DO_COPY, gva_private(VMSA_A), gva_shared(100), 4096);
	CHECK_EQ(rmpadjust(ap, VMSA_A, true), 0);
	CHECK_EQ(creation(ap, CREATE, 1, gpa_of(VMSA_A), SEV_FEATURES), 0);

	CHECK(!__vcpu_run(ap->b->vcpu[1]), "KVM_RUN: %d", errno);
	CHECK_EQ(run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	ap_free(ap);
}

static void test_allowed(void)
{
	fails(SNP_POLICY_DBG);
}

static void test_refused(void)
{
	fails(0);
}

static const struct bare_test tests[] = {
	{ test_allowed, "a guest that may be debugged" },
	{ test_refused, "a guest that may not" },
};

int main(int argc, char *argv[])
{
	bare_run(tests, ARRAY_SIZE(tests));
}
