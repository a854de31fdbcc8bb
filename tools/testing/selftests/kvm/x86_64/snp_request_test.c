// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest requests of a bare SNP guest: what KVM carries, and what it does not;
 * certificates that come from user space, or do not.
 *
 * The guest has no keys of its own, so that the firmware refuses what it is
 * handed: that refusal, which comes back, is how one sees that it was.
 */
#include "snp_bare.h"

#define REQUEST		16	/* pages of the pool */
#define RESPONSE	17
#define TABLE		18

#define MSG_TYPE	52
#define REPORT		5

#define VMM_LEN		1
#define VMM_BUSY	2
#define VMM_GENERIC	0xffffffffULL

#define SNP_ENABLE_REQ_CERTS	103
#define EXIT_REQ_CERTS		43

/* As the exit lies in struct kvm_run. */
struct certs_exit {
	u64 gpa, npages, ret;
};

static struct certs_exit *certs(struct bare *b)
{
	return (void *)&b->vcpu[0]->run->hypercall;
}

static u64 pool_gpa(u64 page)
{
	return POOL_GPA + page * 4096;
}

static u8 *page(struct bare *b, u64 n)
{
	return (u8 *)hva(b, n);
}

/* A message of that type, which nobody could have made. */
static void message(struct bare *b, u8 type)
{
	memset(page(b, REQUEST), 0x5a, 4096);
	page(b, REQUEST)[MSG_TYPE] = type;
	memset(page(b, RESPONSE), 0xa5, 4096);
	memset(page(b, TABLE), 0xff, 4096);
}

static void request(struct bare *b, u64 code, u64 from, u64 to)
{
	ghcb_begin(b, 0, code, from, to);
}

static void extended(struct bare *b, u64 gpa, u64 npages)
{
	request(b, NAE_EXT_GUEST_REQUEST, pool_gpa(REQUEST),
		pool_gpa(RESPONSE));
	ghcb_set(b->ghcb[0], GHCB_RAX, gpa);
	ghcb_set(b->ghcb[0], GHCB_RBX, npages);
}

/* The firmware has refused it, and nobody else. */
static void expect_carried(struct bare *b, const char *what)
{
	u64 info2 = ghcb_get(b->ghcb[0], GHCB_INFO2);

	CHECK(!(u32)ghcb_get(b->ghcb[0], GHCB_INFO1) && (u32)info2 &&
	      !(info2 >> 32), "%s: 0x%lx", what, (unsigned long)info2);
	/* What it left of the page comes back, whatever that is. */
	CHECK(page(b, RESPONSE)[0] != 0xa5, "%s: no response", what);
}

static void expect_invalid(struct bare *b, const char *what)
{
	u64 why;

	CHECK(ghcb_call(b, 0) == G_MALFORMED, "%s is taken", what);
	why = ghcb_get(b->ghcb[0], GHCB_INFO2);
	if (why == G_MISSING_INPUT)
		ksft_print_msg("differs: %s is called missing\n", what);
	else
		CHECK_EQ(why, G_INVALID_INPUT);
}

static struct bare *shared_pages(struct bare *b)
{
	ghcb_register(b, 0);
	return b;
}

static void test_plain(void)
{
	struct bare *b = shared_pages(bare_new(1));

	message(b, REPORT);
	request(b, NAE_GUEST_REQUEST, pool_gpa(REQUEST), pool_gpa(RESPONSE));
	ghcb_call(b, 0);
	expect_carried(b, "a request");
	/* Registers of an extended one mean nothing. */
	CHECK_EQ(page(b, TABLE)[0], 0xff);

	request(b, NAE_GUEST_REQUEST, pool_gpa(REQUEST) + 8, pool_gpa(RESPONSE));
	expect_invalid(b, "a request off its page");
	request(b, NAE_GUEST_REQUEST, pool_gpa(REQUEST), pool_gpa(RESPONSE) + 8);
	expect_invalid(b, "a response off its page");
	request(b, NAE_GUEST_REQUEST, pool_gpa(REQUEST), pool_gpa(REQUEST));
	expect_invalid(b, "one page for both");

	/* It is the same guest still. */
	CHECK_EQ(bare_do(b, 0, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);
	bare_free(b);
}

/* Where there is no memory: a guest's mistake, for which it alone pays. */
static void test_nowhere(void)
{
	static const struct {
		u64 from, to;
		const char *what;
	} bad[] = {
		{ 1ULL << 39, POOL_GPA, "a request from nowhere" },
		{ POOL_GPA, 1ULL << 39, "a response for nowhere" },
	};
	struct bare *b;
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		b = shared_pages(bare_new(1));
		request(b, NAE_GUEST_REQUEST, bad[i].from, bad[i].to);
		bare_order(b, 0, DO_VMGEXIT, b->ghcb_gpa[0], 0, 0);
		err = bare_enter(b, 0);
		if (err) {
			CHECK_EQ(err, EIO);
			ksft_print_msg("differs: %s ends KVM_RUN\n", bad[i].what);
		} else {
			CHECK_EQ((u32)ghcb_get(b->ghcb[0], GHCB_INFO1),
				 G_MALFORMED);
			CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_INFO2),
				 G_INVALID_INPUT);
		}
		bare_free(b);
	}
}

static void test_extended(void)
{
	struct bare *b = shared_pages(bare_new(1));
	int i;

	/* A table of nothing, if there is room for it. */
	message(b, REPORT);
	extended(b, pool_gpa(TABLE), 1);
	ghcb_call(b, 0);
	expect_carried(b, "a report with certificates");
	for (i = 0; i < 24; i++)
		CHECK_EQ(page(b, TABLE)[i], 0);
	CHECK_EQ(page(b, TABLE)[24], 0xff);

	message(b, REPORT);
	extended(b, pool_gpa(TABLE), 0);
	ghcb_call(b, 0);
	expect_carried(b, "a report without room for certificates");
	CHECK_EQ(page(b, TABLE)[0], 0xff);

	/* Other messages have none. */
	message(b, REPORT - 2);
	extended(b, pool_gpa(TABLE), 1);
	ghcb_call(b, 0);
	expect_carried(b, "another message");
	CHECK_EQ(page(b, TABLE)[0], 0xff);

	message(b, REPORT);
	extended(b, pool_gpa(TABLE) + 8, 1);
	expect_invalid(b, "certificates off their page");
	CHECK_EQ(page(b, TABLE)[8], 0xff);
	bare_free(b);
}

static int enable_result;

static void enable(struct kvm_vm *vm)
{
	enable_result = sev_op(vm, SNP_ENABLE_REQ_CERTS, NULL, NULL);
}

/* Runs up to the exit for certificates; false if something else comes. */
static bool asked(struct bare *b)
{
	message(b, REPORT);
	extended(b, pool_gpa(TABLE), 2);
	bare_order(b, 0, DO_VMGEXIT, b->ghcb_gpa[0], 0, 0);
	if (_vcpu_run(b->vcpu[0]) ||
	    b->vcpu[0]->run->exit_reason != EXIT_REQ_CERTS)
		return false;
	CHECK_EQ(certs(b)->gpa, pool_gpa(TABLE));
	CHECK_EQ(certs(b)->npages, 2);
	CHECK_EQ(certs(b)->ret, 0);
	CHECK_EQ(page(b, TABLE)[0], 0xff);
	return true;
}

static void answered(struct bare *b, u64 ret, u64 vmm_error)
{
	if (!asked(b)) {
		CHECK(false, "nobody is asked for certificates");
		return;
	}
	certs(b)->ret = ret;
	certs(b)->npages = 7;
	CHECK_EQ(bare_enter(b, 0), 0);
	CHECK(bare_terminated(b, 0, BELL), "exit %u",
	      b->vcpu[0]->run->exit_reason);
	if (!ret) {
		expect_carried(b, "with certificates");
		return;
	}
	CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_INFO2), vmm_error << 32);
	CHECK_EQ(page(b, RESPONSE)[0], 0xa5);
	if (ret == ENOSPC)
		CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_RBX), 7);
}

static void test_certificates(void)
{
	struct bare *b;

	bare_before_vcpus = enable;
	b = bare_new(1);
	bare_before_vcpus = NULL;
	if (enable_result) {
		ksft_print_msg("differs: no certificates from user space\n");
		bare_free(b);
		return;
	}
	shared_pages(b);

	CHECK_EQ(sev_op(b->vm, SNP_ENABLE_REQ_CERTS, NULL, NULL), EINVAL);

	answered(b, ENOSPC, VMM_LEN);
	answered(b, EAGAIN, VMM_BUSY);
	answered(b, EIO, VMM_GENERIC);
	answered(b, 0, 0);

	/* Nobody is asked where nobody could answer. */
	message(b, REPORT - 2);
	extended(b, pool_gpa(TABLE), 1);
	ghcb_call(b, 0);
	expect_carried(b, "another message");

	/* An answer that is none, twice, is not taken for a good one. */
	if (asked(b)) {
		certs(b)->ret = EPERM;
		CHECK_EQ(bare_enter(b, 0), EINVAL);
		if (bare_enter(b, 0) != EINVAL) {
			ksft_print_msg("differs: no certificates, and success\n");
		} else {
			certs(b)->ret = 0;
			CHECK_EQ(bare_enter(b, 0), 0);
			expect_carried(b, "with certificates in the end");
		}
	}
	bare_free(b);
}

/* How many messages a VM may send. */
#define BURST		"/sys/module/kvm_amd/parameters/snp_request_burst"
#define INTERVAL	"/sys/module/kvm_amd/parameters/snp_request_interval"

/* 0, or why not */
static int set_parameter(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, value, strlen(value)) < 0)
		err = errno;
	close(fd);
	return err;
}

static void expect_busy(struct bare *b, const char *what)
{
	CHECK(!(u32)ghcb_call(b, 0), "%s is malformed", what);
	CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_INFO2), (u64)VMM_BUSY << 32);
	CHECK_EQ(page(b, RESPONSE)[0], 0xa5);
}

static void test_limit(void)
{
	struct bare *b, *other;

	if (set_parameter(BURST, "2")) {
		ksft_print_msg("differs: guests may ask at any rate\n");
		return;
	}
	CHECK_EQ(set_parameter(BURST, "-1"), EINVAL);
	CHECK_EQ(set_parameter(BURST, "2147483648"), EINVAL);
	CHECK_EQ(set_parameter(INTERVAL, "0"), EINVAL);
	CHECK_EQ(set_parameter(INTERVAL, "3601"), EINVAL);
	/* Longer than any computer takes for this test */
	CHECK_EQ(set_parameter(INTERVAL, "3600"), 0);
	bare_before_vcpus = enable;
	b = shared_pages(bare_new(1));
	bare_before_vcpus = NULL;
	CHECK_EQ(set_parameter(BURST, "0"), 0);
	CHECK_EQ(set_parameter(INTERVAL, "1"), 0);
	other = shared_pages(bare_new(1));

	/* What is no message is none that counts. */
	message(b, REPORT);
	request(b, NAE_GUEST_REQUEST, pool_gpa(REQUEST) + 8, pool_gpa(RESPONSE));
	expect_invalid(b, "a request off its page");

	request(b, NAE_GUEST_REQUEST, pool_gpa(REQUEST), pool_gpa(RESPONSE));
	ghcb_call(b, 0);
	expect_carried(b, "the first");
	message(b, REPORT);
	/* One, and not another when user space has answered */
	if (asked(b)) {
		CHECK_EQ(bare_enter(b, 0), 0);
		expect_carried(b, "the second");
	}

	message(b, REPORT);
	request(b, NAE_GUEST_REQUEST, pool_gpa(REQUEST), pool_gpa(RESPONSE));
	expect_busy(b, "the third");
	/* Nobody is asked for certificates that are not to be sent. */
	message(b, REPORT);
	extended(b, pool_gpa(TABLE), 2);
	expect_busy(b, "an extended one");

	CHECK_EQ(vm_get_stat(b->vm, snp_requests), 2);
	CHECK_EQ(vm_get_stat(b->vm, snp_requests_busy), 2);
	CHECK_EQ(bare_do(b, 0, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);

	/* Another VM has its own limit, or none. */
	message(other, REPORT);
	request(other, NAE_GUEST_REQUEST, pool_gpa(REQUEST), pool_gpa(RESPONSE));
	ghcb_call(other, 0);
	expect_carried(other, "another guest's");
	CHECK_EQ(vm_get_stat(other->vm, snp_requests_busy), 0);

	bare_free(other);
	bare_free(b);
}

static const struct bare_test tests[] = {
	{ test_plain, "guest requests: carried, or refused for their pages" },
	{ test_nowhere, "guest requests: pages that are not there" },
	{ test_extended, "guest requests: an empty table of certificates" },
	{ test_certificates, "guest requests: certificates from user space" },
	{ test_limit, "guest requests: no more than the VM may" },
};

int main(int argc, char *argv[])
{
	bare_run(tests, ARRAY_SIZE(tests));
}
