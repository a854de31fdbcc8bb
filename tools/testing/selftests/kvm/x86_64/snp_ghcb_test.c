// SPDX-License-Identifier: GPL-2.0-only
/*
 * The GHCB protocol of an SNP guest, by MSR and by page, and page state changes
 * by both: what a guest asks for is done, what is malformed gets the error that
 * the specification (GHCB 2.0) has for it, and nothing is done twice or half.
 */
#include "snp_bare.h"

#define GFN(page)	(POOL_GFN + (page))
#define NO_SLOT_GPA	0xf0000000ULL

/* Protocol by MSR -------------------------------------------------------- */

static void test_msr(void)
{
	u32 eax, ebx, ecx, edx;
	struct bare *b = bare_new(1);
	u64 info, got;

	/* What the MSR has at reset is what asking gives. */
	info = bare_msr(b, 0, G_SEV_INFO_REQ);
	CHECK_EQ(info & G_CODE, G_SEV_INFO);
	CHECK(info >> 48 >= 2, "highest version %lu", info >> 48);
	CHECK((info >> 32 & 0xffff) >= 1 && (info >> 32 & 0xffff) <= 2,
	      "lowest version %lu", info >> 32 & 0xffff);
	CHECK_EQ(1ULL << (info >> 24 & 0xff), b->vm->arch.c_bit);
	CHECK_EQ(info >> 12 & 0xfff, 0);

	__cpuid(0x8000001f, 0, &eax, &ebx, &ecx, &edx);
	got = bare_msr(b, 0, 0x8000001fULL << 32 | 1ULL << 30 | G_CPUID_REQ);
	CHECK_EQ(got & G_CODE, G_CPUID_RESP);
	CHECK_EQ(got >> 30 & 3, 1);
	CHECK_EQ(got >> 32 & 0x3f, ebx & 0x3f);

	got = bare_msr(b, 0, G_FEATURES_REQ);
	CHECK_EQ(got & G_CODE, G_FEATURES_RESP);
	CHECK((got >> 12 & 3) == 3, "features 0x%lx", got >> 12);

	/* No preference, which is all ones. */
	CHECK_EQ(bare_msr(b, 0, G_PREF_REQ), ~G_CODE | G_PREF_RESP);

	CHECK_EQ(bare_msr(b, 0, b->ghcb_gpa[0] | G_REG_REQ),
		 b->ghcb_gpa[0] | G_REG_RESP);
	/* Another one is as good. */
	CHECK_EQ(bare_msr(b, 0, POOL_GPA | G_REG_REQ), POOL_GPA | G_REG_RESP);
	CHECK_EQ(bare_msr(b, 0, b->ghcb_gpa[0] | G_REG_REQ),
		 b->ghcb_gpa[0] | G_REG_RESP);
	ghcb_begin(b, 0, NAE_FEATURES, 0, 0);
	CHECK_EQ(ghcb_call(b, 0), 0);

	bare_free(b);
}

/* A code that nobody knows gets no answer that looks like one. */
static void test_msr_unknown(void)
{
	static const u64 codes[] = { 0x003, 0x008, 0x00f, 0x018, 0x07f, 0x082,
				     0x0ff, 0x101, 0x7ff, 0xfff };
	struct bare *b = bare_new(1);
	int i, err;
	u64 ask;

	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		ask = 0x123456789000ULL | codes[i];
		bare_order(b, 0, DO_VMGEXIT, ask, 0, 0);
		err = bare_enter(b, 0);
		if (err) {
			ksft_print_msg("differs: code 0x%lx ends the guest: %d\n",
				       codes[i], err);
			bare_free(b);
			b = bare_new(1);
			continue;
		}
		if (!CHECK(bare_terminated(b, 0, BELL), "code 0x%lx: exit %u",
			   codes[i], b->vcpu[0]->run->exit_reason))
			break;
		CHECK_EQ(b->box[0]->res, ask);
	}

	bare_free(b);
}

static void test_termination(void)
{
	struct bare *b = bare_new(1);
	u64 set, code, ask;
	int err;

	for (set = 0; set < 16; set += 15) {
		for (code = 0; code < 256; code += 85) {
			ask = G_TERM | set << 12 | code << 16;
			bare_order(b, 0, DO_VMGEXIT, ask, 0, 0);
			err = bare_enter(b, 0);
			CHECK(!err && bare_terminated(b, 0, ask),
			      "0x%lx: %d, exit %u", ask, err,
			      b->vcpu[0]->run->exit_reason);
			/* The guest's bell rings next, had it been let on. */
			CHECK(!bare_enter(b, 0) && bare_terminated(b, 0, BELL),
			      "run again: exit %u",
			      b->vcpu[0]->run->exit_reason);
		}
	}

	ghcb_register(b, 0);
	ghcb_begin(b, 0, NAE_TERM, 0x51, 0);
	bare_order(b, 0, DO_VMGEXIT, b->ghcb_gpa[0], 0, 0);
	err = bare_enter(b, 0);
	CHECK(!err && bare_terminated(b, 0, b->ghcb_gpa[0]), "%d, exit %u", err,
	      b->vcpu[0]->run->exit_reason);

	bare_free(b);
}

/* Protocol by page ------------------------------------------------------- */

static void malformed(struct bare *b, u64 reason)
{
	u32 info1 = ghcb_call(b, 0);

	CHECK_EQ(info1, G_MALFORMED);
	CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_INFO2), reason);
}

static void test_page(void)
{
	struct bare *b = bare_new(1);
	int offset, fields;
	u32 info1;
	u64 info2;

	ghcb_register(b, 0);

	ghcb_begin(b, 0, NAE_FEATURES, 0, 0);
	CHECK_EQ(ghcb_call(b, 0), 0);
	CHECK((ghcb_get(b->ghcb[0], GHCB_INFO2) & 3) == 3, "features 0x%lx",
	      (unsigned long)ghcb_get(b->ghcb[0], GHCB_INFO2));

	/* Events that nobody knows. */
	ghcb_begin(b, 0, 0x80000099ULL, 0, 0);
	malformed(b, G_INVALID_EVENT);
	ghcb_begin(b, 0, 0x8000fffcULL, 0, 0);
	malformed(b, G_INVALID_EVENT);

	/* Not the format we have. */
	ghcb_begin(b, 0, NAE_FEATURES, 0, 0);
	b->ghcb[0][GHCB_USAGE] = 1;
	malformed(b, G_BAD_USAGE);

	/* Each field that every event needs, left out. */
	for (offset = GHCB_CODE; offset <= GHCB_INFO2; offset += 8) {
		ghcb_begin(b, 0, NAE_FEATURES, 0, 0);
		b->ghcb[0][GHCB_VALID + offset / 64] &= ~(1 << (offset / 8 % 8));
		malformed(b, G_MISSING_INPUT);
	}
	ghcb_begin(b, 0, NAE_PSC, 0, 0);
	malformed(b, G_MISSING_INPUT);
	ghcb_begin(b, 0, NAE_MSR, 1, 0);
	malformed(b, G_MISSING_INPUT);
	ghcb_begin(b, 0, NAE_AP_CREATION, 1, 0);
	malformed(b, G_MISSING_INPUT);

	/* A report is asked for; one with certificates needs somewhere. */
	ghcb_begin(b, 0, NAE_GUEST_REQUEST, 8, 8);
	info1 = ghcb_call(b, 0);
	info2 = ghcb_get(b->ghcb[0], GHCB_INFO2);
	CHECK(info1 == G_MALFORMED && info2, "a request is answered: %u", info1);
	if (info2 != G_INVALID_INPUT)
		ksft_print_msg("differs: a guest request: 0x%lx\n",
			       (unsigned long)info2);
	for (fields = 0; fields < 3; fields++) {
		ghcb_begin(b, 0, NAE_EXT_GUEST_REQUEST, 0x1000, 0x2000);
		if (fields & 1)
			ghcb_set(b->ghcb[0], GHCB_RAX, 0);
		if (fields & 2)
			ghcb_set(b->ghcb[0], GHCB_RBX, 1);
		if (EITHER(ghcb_call(b, 0), G_MALFORMED, 0,
			   "certificates for nowhere"))
			CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_INFO2),
				 G_MISSING_INPUT);
	}

	/* What a call leaves valid is not an input of the next one. */
	ghcb_begin(b, 0, NAE_FEATURES, 0, 0);
	CHECK_EQ(ghcb_call(b, 0), 0);
	CHECK(!ghcb_is_valid(b->ghcb[0], GHCB_CODE), "the code is still valid");

	bare_free(b);
}

/* What vCPU 0 is back for, other than the guest's bell. */
static int ghcb_exit(struct bare *b)
{
	bare_order(b, 0, DO_VMGEXIT, b->ghcb_gpa[0], 0, 0);
	return bare_enter(b, 0);
}

static void goes_on(struct bare *b)
{
	CHECK_EQ(bare_enter(b, 0), 0);
	CHECK(bare_terminated(b, 0, BELL), "exit %u",
	      b->vcpu[0]->run->exit_reason);
}

/* A request for as many bytes there, by their GHCB at @scratch. */
static void begin_mmio(struct bare *b, bool write, u64 len, u64 scratch)
{
	ghcb_begin(b, 0, write ? NAE_MMIO_WRITE : NAE_MMIO_READ, NO_SLOT_GPA,
		   len);
	ghcb_set(b->ghcb[0], GHCB_SCRATCH, scratch);
}

static void test_mmio(void)
{
	static const u64 lengths[] = { 9, 16, 2032, 4096, 1ULL << 32, ~0ULL };
	struct bare *b = bare_new(1);
	u64 gpa = b->ghcb_gpa[0], buffer = gpa + GHCB_BUFFER, value;
	/* Where no buffer is: nowhere, elsewhere, around it, over its end. */
	const u64 where[] = { 0, POOL_GPA, gpa, buffer - 1,
			      buffer + GHCB_BUFFER_SIZE - 7,
			      buffer + GHCB_BUFFER_SIZE, gpa + 4096, ~0ULL };
	struct kvm_run *run = b->vcpu[0]->run;
	int i, write;

	ghcb_register(b, 0);

	for (write = 0; write < 2; write++) {
		for (i = 1; i <= 8; i++) {
			value = 0x1122334455667788ULL * i;
			begin_mmio(b, write, i, buffer + 8 * i);
			memcpy(b->ghcb[0] + GHCB_BUFFER + 8 * i, &value, 8);
			CHECK_EQ(ghcb_exit(b), 0);
			if (!CHECK_EQ(run->exit_reason, KVM_EXIT_MMIO))
				continue;
			CHECK_EQ(run->mmio.phys_addr, NO_SLOT_GPA);
			CHECK_EQ(run->mmio.len, i);
			CHECK_EQ(run->mmio.is_write, write);
			if (write)
				CHECK(!memcmp(run->mmio.data, &value, i),
				      "%d bytes", i);
			else
				memset(run->mmio.data, 0x5a, 8);
			goes_on(b);
			CHECK_EQ((u32)ghcb_get(b->ghcb[0], GHCB_INFO1), 0);
			if (!write)
				memset(&value, 0x5a, i);
			CHECK(!memcmp(b->ghcb[0] + GHCB_BUFFER + 8 * i, &value,
				      8), "%d bytes are not those", i);
		}

		/* Nothing is done of no bytes. */
		begin_mmio(b, write, 0, buffer);
		CHECK_EQ(ghcb_call(b, 0), 0);
		CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_INFO2), 0);
		begin_mmio(b, write, 0, 0);
		CHECK_EQ(ghcb_call(b, 0), 0);

		/* No access has so many, wherever they would lie. */
		for (i = 0; i < ARRAY_SIZE(lengths); i++) {
			begin_mmio(b, write, lengths[i], buffer);
			malformed(b, G_INVALID_INPUT);
			begin_mmio(b, write, lengths[i], POOL_GPA);
			malformed(b, G_INVALID_INPUT);
		}

		for (i = 0; i < ARRAY_SIZE(where); i++) {
			begin_mmio(b, write, 8, where[i]);
			malformed(b, G_BAD_SCRATCH);
		}
	}

	bare_free(b);
}

#define IO_STRING		BIT(2)
#define IO_IN			BIT(0)
#define IO_BYTE			BIT(4)
#define IO_WORD			BIT(5)
#define IO_PORT			(0x3f8ULL << 16)

static void begin_string(struct bare *b, u64 info1, u64 count, u64 scratch)
{
	ghcb_begin(b, 0, NAE_IOIO, IO_PORT | IO_STRING | info1, count);
	ghcb_set(b->ghcb[0], GHCB_SCRATCH, scratch);
}

static void test_string_io(void)
{
	static const u64 counts[] = { 1ULL << 31, 1ULL << 32, ~0ULL };
	struct bare *b = bare_new(1);
	u64 gpa = b->ghcb_gpa[0], buffer = gpa + GHCB_BUFFER;
	const u64 where[] = { 0, POOL_GPA, gpa, buffer - 1,
			      buffer + GHCB_BUFFER_SIZE - 15, gpa + 4096,
			      ~0ULL };
	struct kvm_run *run = b->vcpu[0]->run;
	int i, in;

	ghcb_register(b, 0);

	begin_string(b, IO_BYTE, 4, buffer);
	memcpy(b->ghcb[0] + GHCB_BUFFER, "echo", 4);
	CHECK_EQ(ghcb_exit(b), 0);
	CHECK_EQ(run->exit_reason, KVM_EXIT_IO);
	CHECK_EQ(run->io.size * run->io.count, 4);
	CHECK(!memcmp((u8 *)run + run->io.data_offset, "echo", 4), "its bytes");
	goes_on(b);

	for (in = 0; in <= IO_IN; in++) {
		begin_string(b, IO_BYTE | in, 0, 0);
		CHECK_EQ(ghcb_call(b, 0), 0);
		for (i = 0; i < ARRAY_SIZE(where); i++) {
			begin_string(b, IO_BYTE | in, 16, where[i]);
			malformed(b, G_BAD_SCRATCH);
		}
		begin_string(b, IO_WORD | in, GHCB_BUFFER_SIZE, buffer);
		malformed(b, G_BAD_SCRATCH);
		begin_string(b, IO_BYTE | in, 0x7fffffff, buffer);
		malformed(b, G_BAD_SCRATCH);

		/* What overflows is not the guest's to be told. */
		for (i = 0; i < ARRAY_SIZE(counts); i++) {
			begin_string(b, IO_BYTE | in, counts[i], buffer);
			CHECK_EQ(ghcb_exit(b), EINVAL);
			goes_on(b);
		}
		begin_string(b, IO_WORD | in, 0x40000000, buffer);
		CHECK_EQ(ghcb_exit(b), EINVAL);
		goes_on(b);
	}

	bare_free(b);
}

static void test_not_registered(void)
{
	struct bare *b = bare_new(2);
	int err;

	/* None, and that of another vCPU. */
	ghcb_begin(b, 0, NAE_FEATURES, 0, 0);
	bare_order(b, 0, DO_VMGEXIT, b->ghcb_gpa[0], 0, 0);
	err = bare_enter(b, 0);
	if (err) {
		CHECK_EQ(err, EINVAL);
		ksft_print_msg("differs: a page not registered ends KVM_RUN\n");
	} else {
		CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_INFO1), G_MALFORMED);
		CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_INFO2), G_NOT_REGISTERED);
	}
	CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_CODE), NAE_FEATURES);

	ghcb_register(b, 1);
	ghcb_begin(b, 0, NAE_FEATURES, 0, 0);
	bare_order(b, 1, DO_VMGEXIT, b->ghcb_gpa[0], 0, 0);
	err = bare_enter(b, 1);
	CHECK(err || ghcb_get(b->ghcb[0], GHCB_INFO2) == G_NOT_REGISTERED,
	      "a page of another vCPU is taken");

	bare_free(b);
}

/* Page state changes by MSR ---------------------------------------------- */

static u64 psc_msr(struct bare *b, u64 gfn, u64 op)
{
	return bare_msr(b, 0, op << 52 | gfn << 12 | G_PSC_REQ);
}

static void one_exit(struct bare *b, u64 page, bool private)
{
	CHECK_EQ(b->nr_exits, 1);
	CHECK_EQ(b->exit[0].gpa, POOL_GPA + page * 4096);
	CHECK_EQ(b->exit[0].npages, 1);
	CHECK_EQ(b->exit[0].flags, private ? KVM_MAP_GPA_RANGE_ENCRYPTED :
					     KVM_MAP_GPA_RANGE_DECRYPTED);
}

static void test_psc_msr(void)
{
	struct bare *b = bare_new(1);
	int round;
	u64 page;

	for (round = 0; round < 3; round++) {
		page = round == 2 ? POOL_PAGES - 1 : 7;

		bare_forget(b);
		CHECK_EQ(psc_msr(b, GFN(page), PSC_PRIVATE), G_PSC_RESP);
		one_exit(b, page, true);
		CHECK_EQ(bare_pvalidate(b, page, true), 0);
		CHECK_EQ(bare_pvalidate(b, page, true), 255);
		bare_do(b, 0, DO_WRITE, gva_private(page), 0x1234 + round, 0);
		CHECK_EQ(b->box[0]->vc, 0);
		CHECK_EQ(bare_do(b, 0, DO_READ, gva_private(page), 0, 0),
			 0x1234 + round);
		CHECK_EQ(bare_pvalidate(b, page, false), 0);

		bare_forget(b);
		CHECK_EQ(psc_msr(b, GFN(page), PSC_SHARED), G_PSC_RESP);
		one_exit(b, page, false);
		*hva(b, page) = 0x5678 + round;
		CHECK_EQ(bare_do(b, 0, DO_READ, gva_shared(page), 0, 0),
			 0x5678 + round);
		bare_do(b, 0, DO_WRITE, gva_shared(page) + 8, 0x9abc, 0);
		CHECK_EQ(hva(b, page)[1], 0x9abc);
	}

	/* Private again, it is not validated, and shows nothing of the shared. */
	CHECK_EQ(psc_msr(b, GFN(7), PSC_PRIVATE), G_PSC_RESP);
	bare_do(b, 0, DO_READ, gva_private(7), 0, 0);
	CHECK_EQ(b->box[0]->vc, VC_PAGE_NOT_VALIDATED);

	bare_free(b);
}

static bool psc_failed(u64 resp)
{
	/* The error is in the upper half. */
	return (resp & G_CODE) == G_PSC_RESP && resp >> 32;
}

static void test_psc_msr_errors(void)
{
	static const u64 ops[] = { 0, 3, 4, 5, 15 };
	struct bare *b = bare_new(1);
	u64 got;
	int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		bare_forget(b);
		got = psc_msr(b, GFN(1), ops[i]);
		CHECK(psc_failed(got), "operation %lu: 0x%lx", ops[i], got);
		CHECK_EQ(b->nr_exits, 0);
	}

	/* User space says no. */
	bare_forget(b);
	b->answer = EINVAL;
	got = psc_msr(b, GFN(1), PSC_PRIVATE);
	CHECK(psc_failed(got), "0x%lx", got);
	CHECK_EQ(b->nr_exits, 1);

	bare_forget(b);
	CHECK_EQ(psc_msr(b, GFN(1), PSC_PRIVATE), G_PSC_RESP);
	bare_free(b);

	/* Nobody would hear of it. */
	b = bare_create(1);
	bare_launch(b);
	got = psc_msr(b, GFN(1), PSC_PRIVATE);
	CHECK(psc_failed(got), "0x%lx", got);
	CHECK_EQ(b->nr_exits, 0);
	bare_free(b);
}

/* Says EAGAIN twice, then does it. */
static void twice_later(struct bare *b)
{
	if (b->nr_exits == 2)
		b->answer = 0;
}

static void test_psc_msr_later(void)
{
	struct bare *b = bare_new(1);
	u64 got;
	int i;

	b->answer = EAGAIN;
	b->on_exit = twice_later;
	got = psc_msr(b, GFN(9), PSC_PRIVATE);
	if (psc_failed(got)) {
		ksft_print_msg("differs: EAGAIN is an error of the change\n");
		CHECK_EQ(b->nr_exits, 1);
	} else {
		/* No guest asks again, so user space is asked. */
		CHECK_EQ(got, G_PSC_RESP);
		CHECK_EQ(b->nr_exits, 3);
		for (i = 1; i < b->nr_exits; i++)
			CHECK(!memcmp(&b->exit[i], &b->exit[0],
				      sizeof(b->exit[0])), "exit %d", i);
		CHECK_EQ(bare_pvalidate(b, 9, true), 0);
	}

	bare_free(b);
}

/*
 * An answer that is none fails KVM_RUN, and is asked for again; upstream's
 * kernels tell the guest of an error.
 */
static void no_answer(struct bare *b, u64 ask, u64 page)
{
	struct kvm_run *run = b->vcpu[0]->run;
	int i, err;

	bare_order(b, 0, DO_VMGEXIT, ask, 0, 0);
	CHECK_EQ(_vcpu_run(b->vcpu[0]), 0);
	for (i = 0; i < 3; i++) {
		if (!CHECK_EQ(run->exit_reason, KVM_EXIT_HYPERCALL))
			return;
		run->hypercall.ret = i ? 0xfeed + i : EPERM;
		err = _vcpu_run(b->vcpu[0]) ? errno : 0;
		if (!err && bare_terminated(b, 0, BELL)) {
			ksft_print_msg("differs: an answer of %lu is taken\n",
				       (unsigned long)run->hypercall.ret);
			return;
		}
		CHECK_EQ(err, EINVAL);
	}

	vm_mem_set_private(b->vm, POOL_GPA + page * 4096, 4096);
	run->hypercall.ret = 0;
	CHECK_EQ(bare_enter(b, 0), 0);
	CHECK(bare_terminated(b, 0, BELL), "exit %u", run->exit_reason);
	if (ask == b->ghcb_gpa[0])
		CHECK_EQ(ghcb_get(b->ghcb[0], GHCB_INFO2), 0);
	else
		CHECK_EQ(b->box[0]->res, G_PSC_RESP);
	CHECK_EQ(bare_pvalidate(b, page, true), 0);
}

static u64 entry(u64 gfn, u64 op, bool huge, u64 cur);

/*
 * User space says that it is done, and it is not: KVM has its word, and the page
 * stays what it was. The guest's next access is asked for once more.
 */
static void test_psc_lie(void)
{
	struct bare *b = bare_new(1);
	struct kvm_run *run = b->vcpu[0]->run;

	bare_order(b, 0, DO_VMGEXIT,
		   (u64)PSC_PRIVATE << 52 | GFN(21) << 12 | G_PSC_REQ, 0, 0);
	CHECK_EQ(_vcpu_run(b->vcpu[0]), 0);
	CHECK_EQ(run->exit_reason, KVM_EXIT_HYPERCALL);
	CHECK_EQ(run->hypercall.ret, 0);
	goes_on(b);
	CHECK_EQ(b->box[0]->res, G_PSC_RESP);

	*hva(b, 21) = 0x7777;
	bare_order(b, 0, DO_PVALIDATE, gva_private(21), 0, 1);
	CHECK_EQ(bare_enter(b, 0), EFAULT);
	CHECK_EQ(run->exit_reason, KVM_EXIT_MEMORY_FAULT);
	CHECK_EQ(run->memory_fault.flags, KVM_MEMORY_EXIT_FLAG_PRIVATE);
	CHECK_EQ(run->memory_fault.gpa, POOL_GPA + 21 * 4096);

	vm_mem_set_private(b->vm, POOL_GPA + 21 * 4096, 4096);
	goes_on(b);
	CHECK_EQ(b->box[0]->res, 0);
	CHECK_EQ(*hva(b, 21), 0x7777);
	bare_free(b);
}

static void test_psc_no_answer(void)
{
	struct bare *b = bare_new(1);
	u64 batch[2] = { 0, entry(GFN(12), PSC_PRIVATE, false, 0) };

	no_answer(b, (u64)PSC_PRIVATE << 52 | GFN(11) << 12 | G_PSC_REQ, 11);

	ghcb_register(b, 0);
	ghcb_begin(b, 0, NAE_PSC, 0, 0);
	memcpy(b->ghcb[0] + GHCB_BUFFER, batch, sizeof(batch));
	ghcb_set(b->ghcb[0], GHCB_SCRATCH, b->ghcb_gpa[0] + GHCB_BUFFER);
	no_answer(b, b->ghcb_gpa[0], 12);

	bare_free(b);
}

/* Page state changes by page --------------------------------------------- */

static u64 entry(u64 gfn, u64 op, bool huge, u64 cur)
{
	return cur | gfn << 12 | op << 52 | (u64)huge << 56;
}

static u64 *psc_entries(struct bare *b)
{
	return (u64 *)(b->ghcb[0] + GHCB_BUFFER + 8);
}

static u16 *psc_cur(struct bare *b)
{
	return (u16 *)(b->ghcb[0] + GHCB_BUFFER);
}

static void psc_header(struct bare *b, u16 cur, u16 end, u32 rsvd)
{
	u64 header = cur | (u64)end << 16 | (u64)rsvd << 32;

	memcpy(b->ghcb[0] + GHCB_BUFFER, &header, 8);
}

static u64 psc_call_at(struct bare *b, u64 scratch)
{
	u32 info1;

	ghcb_begin(b, 0, NAE_PSC, 0, 0);
	ghcb_set(b->ghcb[0], GHCB_SCRATCH, scratch);
	info1 = ghcb_call(b, 0);
	CHECK_EQ(info1, 0);
	return ghcb_get(b->ghcb[0], GHCB_INFO2);
}

static u64 psc_call(struct bare *b)
{
	return psc_call_at(b, b->ghcb_gpa[0] + GHCB_BUFFER);
}

/* A fresh batch of @n entries. */
static u64 psc_batch(struct bare *b, const u64 *entries, int n)
{
	bare_forget(b);
	memcpy(psc_entries(b), entries, n * 8);
	psc_header(b, 0, n - 1, 0);
	return psc_call(b);
}

/*
 * What user space was asked for is, page by page and in this order, that of
 * entries @from to @to. How many of them one exit has is KVM's.
 */
static void check_exits(struct bare *b, const u64 *entries, int from, int to)
{
	u64 gpa, left = 0, flags = 0, e, cur, pages;
	int x = 0, i;

	gpa = 0;
	for (i = from; i <= to; i++) {
		e = entries[i];
		if ((e >> 52 & 0xf) > PSC_SHARED)
			continue;
		pages = e >> 56 & 1 ? 512 : 1;
		for (cur = e & 0xfff; cur < pages; cur++) {
			if (!left) {
				if (!CHECK(x < b->nr_exits,
					   "entry %d, page %lu: no exit", i, cur))
					return;
				gpa = b->exit[x].gpa;
				left = b->exit[x].npages;
				flags = b->exit[x++].flags;
			}
			if (!CHECK(gpa == ((e >> 12 & 0xffffffffffULL) + cur) * 4096,
				   "entry %d, page %lu: 0x%lx", i, cur, gpa))
				return;
			CHECK_EQ(!!(flags & KVM_MAP_GPA_RANGE_ENCRYPTED),
				 (e >> 52 & 0xf) == PSC_PRIVATE);
			gpa += 4096;
			left--;
		}
	}
	CHECK_EQ(left, 0);
	CHECK_EQ(x, b->nr_exits);
}

static void test_psc_batch(void)
{
	u64 batch[PSC_MAX];
	struct bare *b = bare_new(1);
	int i, n = 0;

	ghcb_register(b, 0);

	/* Neighbours, gaps, backwards, both ways. */
	batch[n++] = entry(GFN(10), PSC_PRIVATE, false, 0);
	batch[n++] = entry(GFN(11), PSC_PRIVATE, false, 0);
	batch[n++] = entry(GFN(12), PSC_PRIVATE, false, 0);
	batch[n++] = entry(GFN(20), PSC_PRIVATE, false, 0);
	batch[n++] = entry(GFN(19), PSC_PRIVATE, false, 0);
	batch[n++] = entry(GFN(11), PSC_SHARED, false, 0);
	batch[n++] = entry(GFN(12), PSC_SHARED, false, 0);
	batch[n++] = entry(GFN(12), PSC_PRIVATE, false, 0);
	CHECK_EQ(psc_batch(b, batch, n), 0);
	CHECK_EQ(*psc_cur(b), n);
	check_exits(b, batch, 0, n - 1);
	if (b->nr_exits != 5)
		ksft_print_msg("differs: %d exits for 5 runs\n", b->nr_exits);

	CHECK_EQ(bare_pvalidate(b, 10, true), 0);
	CHECK_EQ(bare_pvalidate(b, 12, true), 0);
	CHECK_EQ(bare_pvalidate(b, 19, true), 0);
	CHECK_EQ(bare_pvalidate(b, 20, true), 0);
	*hva(b, 11) = 0x1111;
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_shared(11), 0, 0), 0x1111);

	/* As many as there can be, none with a neighbour. */
	for (i = 0; i < PSC_MAX; i++)
		batch[i] = entry(GFN(600 + 2 * i), PSC_PRIVATE, false, 0);
	CHECK_EQ(psc_batch(b, batch, PSC_MAX), 0);
	CHECK_EQ(*psc_cur(b), PSC_MAX);
	check_exits(b, batch, 0, PSC_MAX - 1);
	CHECK_EQ(b->nr_exits, PSC_MAX);

	/* A header at the very end has room for one. */
	bare_forget(b);
	memset(b->ghcb[0] + GHCB_BUFFER, 0, GHCB_BUFFER_SIZE);
	batch[0] = entry(GFN(33), PSC_PRIVATE, false, 0);
	memcpy(b->ghcb[0] + GHCB_BUFFER + GHCB_BUFFER_SIZE - 8, batch, 8);
	if (EITHER(psc_call_at(b, b->ghcb_gpa[0] + GHCB_BUFFER +
			       GHCB_BUFFER_SIZE - 16), 0, PSC_GENERIC,
		   "a batch at the end of the buffer"))
		check_exits(b, batch, 0, 0);

	bare_free(b);
}

static void test_psc_2m(void)
{
	struct bare *b = bare_new(1);
	u64 batch[3];

	ghcb_register(b, 0);

	batch[0] = entry(GFN(512), PSC_PRIVATE, true, 0);
	CHECK_EQ(psc_batch(b, batch, 1), 0);
	CHECK_EQ(*psc_cur(b), 1);
	check_exits(b, batch, 0, 0);
	CHECK_EQ(b->nr_exits, 1);
	CHECK_EQ(b->exit[0].npages, 512);
	EITHER(b->exit[0].flags & 0xf, KVM_MAP_GPA_RANGE_PAGE_SZ_2M, 0,
	       "the exit of a 2M entry");
	CHECK_EQ(bare_pvalidate(b, 512, true), 0);
	CHECK_EQ(bare_pvalidate(b, 700, true), 0);
	CHECK_EQ(bare_pvalidate(b, 1023, true), 0);

	/* Some of it is done; the rest, at both ends. */
	batch[0] = entry(GFN(512), PSC_SHARED, true, 1);
	batch[1] = entry(GFN(0), PSC_PRIVATE, true, 511);
	batch[2] = entry(GFN(1024), PSC_PRIVATE, true, 256);
	CHECK_EQ(psc_batch(b, batch, 3), 0);
	CHECK_EQ(*psc_cur(b), 3);
	check_exits(b, batch, 0, 2);
	*hva(b, 513) = 0x2222;
	CHECK_EQ(bare_do(b, 0, DO_READ, gva_shared(513), 0, 0), 0x2222);
	CHECK_EQ(bare_pvalidate(b, 511, true), 0);
	CHECK_EQ(bare_pvalidate(b, 1280, true), 0);

	/* All of it is done: nothing is asked for. */
	batch[0] = entry(GFN(1024), PSC_PRIVATE, true, 512);
	batch[1] = entry(GFN(100), PSC_SHARED, false, 1);
	CHECK_EQ(psc_batch(b, batch, 2), 0);
	CHECK_EQ(*psc_cur(b), 2);
	CHECK_EQ(b->nr_exits, 0);

	/* Hints need no act. */
	batch[0] = entry(GFN(1024), PSC_PSMASH, true, 0);
	batch[1] = entry(GFN(1024), PSC_UNSMASH, true, 0);
	batch[2] = entry(GFN(40), PSC_PRIVATE, false, 0);
	CHECK_EQ(psc_batch(b, batch, 3), 0);
	CHECK_EQ(*psc_cur(b), 3);
	check_exits(b, batch, 0, 2);

	bare_free(b);
}

static void test_psc_bad_header(void)
{
	static const u16 ends[] = { 253, 254, 0x8000, 0xffff };
	struct bare *b = bare_new(1);
	u64 gpa = b->ghcb_gpa[0];
	u64 got;
	int i;

	ghcb_register(b, 0);
	for (i = 0; i < PSC_MAX; i++)
		psc_entries(b)[i] = entry(GFN(1 + 2 * i), PSC_PRIVATE, false, 0);

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		bare_forget(b);
		psc_header(b, 0, ends[i], 0);
		CHECK_EQ(psc_call(b), PSC_BAD_HEADER);
		CHECK_EQ(b->nr_exits, 0);
		psc_header(b, ends[i], ends[i], 0);
		CHECK_EQ(psc_call(b), PSC_BAD_HEADER);
		CHECK_EQ(b->nr_exits, 0);
	}

	/* There is nothing between the two. */
	bare_forget(b);
	psc_header(b, 1, 0, 0);
	EITHER(psc_call(b), PSC_BAD_HEADER, 0, "a current entry behind the last");
	CHECK_EQ(b->nr_exits, 0);
	psc_header(b, 0xffff, 252, 0);
	EITHER(psc_call(b), PSC_BAD_HEADER, 0, "a current entry behind the last");
	CHECK_EQ(b->nr_exits, 0);

	/* Firmware in use leaves in reserved bits what was there before. */
	bare_forget(b);
	psc_header(b, 0, 0, 1);
	CHECK_EQ(psc_call(b), 0);
	psc_header(b, 0, 0, 0x80000000);
	CHECK_EQ(psc_call(b), 0);
	for (i = 57; i < 64; i++) {
		u64 e = entry(GFN(i), PSC_PRIVATE, false, 0) | 1ULL << i;

		CHECK_EQ(psc_batch(b, &e, 1), 0);
		check_exits(b, &e, 0, 0);
	}

	/* The entries leave the buffer. */
	bare_forget(b);
	memset(b->ghcb[0] + GHCB_BUFFER + 1024, 0, GHCB_BUFFER_SIZE - 1024);
	b->ghcb[0][GHCB_BUFFER + GHCB_BUFFER_SIZE - 8 + 2] = 1;
	got = psc_call_at(b, gpa + GHCB_BUFFER + GHCB_BUFFER_SIZE - 8);
	CHECK(got, "entries behind the buffer");
	CHECK_EQ(b->nr_exits, 0);

	/* Nor does the buffer begin elsewhere. */
	for (i = 0; i < 5; i++) {
		static const s64 where[] = { GHCB_BUFFER - 8, 0, 4096, -4096,
					     GHCB_BUFFER + GHCB_BUFFER_SIZE };

		bare_forget(b);
		ghcb_begin(b, 0, NAE_PSC, 0, 0);
		ghcb_set(b->ghcb[0], GHCB_SCRATCH, gpa + where[i]);
		malformed(b, G_BAD_SCRATCH);
		CHECK_EQ(b->nr_exits, 0);
	}
	ghcb_begin(b, 0, NAE_PSC, 0, 0);
	ghcb_set(b->ghcb[0], GHCB_SCRATCH, ~0ULL);
	malformed(b, G_BAD_SCRATCH);

	bare_free(b);
}

/* A bad entry, alone and behind good ones, which are done. */
static void test_psc_bad_entry(void)
{
	static const struct {
		u64 entry;
		bool lax;	/* may be taken for a hint */
		const char *why;
	} bad[] = {
		{ 0, true, "operation 0" },
		{ 5ULL << 52, true, "operation 5" },
		{ 15ULL << 52, true, "operation 15" },
		{ (u64)PSC_PRIVATE << 52 | 2, false, "page 2 of one" },
		{ (u64)PSC_PRIVATE << 52 | 0xfff, false, "page 4095 of one" },
		{ (u64)PSC_PRIVATE << 52 | 1ULL << 56 | 513, false,
		  "page 513 of 512" },
		{ (u64)PSC_PRIVATE << 52 | 1ULL << 56 | 1 << 12, false,
		  "2M that are not aligned" },
		{ (u64)PSC_PRIVATE << 52 | 1ULL << 56 | 256 << 12, false,
		  "2M that are not aligned" },
	};
	struct bare *b = bare_new(1);
	u64 batch[4], got;
	int i, before;

	ghcb_register(b, 0);

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (before = 0; before < 4; before += 3) {
			batch[0] = entry(GFN(50), PSC_PRIVATE, false, 0);
			batch[1] = entry(GFN(51), PSC_PRIVATE, false, 0);
			batch[2] = entry(GFN(70), PSC_PRIVATE, false, 0);
			batch[before] = bad[i].entry + (GFN(512) << 12);
			got = psc_batch(b, batch, before + 1);
			if (bad[i].lax && !got) {
				ksft_print_msg("differs: %s is nothing to do\n",
					       bad[i].why);
				check_exits(b, batch, 0, before - 1);
				continue;
			}
			if (!CHECK(got == PSC_BAD_ENTRY, "%s: 0x%lx",
				   bad[i].why, got))
				continue;
			CHECK_EQ(*psc_cur(b), before);
			check_exits(b, batch, 0, before - 1);
		}
	}

	bare_free(b);
}

/* One range at a time, and a guest that calls again at any entry. */
/* A batch of eight pages from @page on, of which no two are neighbours. */
static void spread(struct bare *b, u64 *batch, u64 page)
{
	int i;

	for (i = 0; i < 8; i++)
		psc_entries(b)[i] = batch[i] =
			entry(GFN(page + 2 * i), PSC_PRIVATE, false, 0);
	psc_header(b, 0, 7, 0);
	bare_forget(b);
}

static void test_psc_resume(void)
{
	struct bare *b = bare_new(1);
	u64 batch[8];
	int at, i;

	ghcb_register(b, 0);

	for (at = 0; at < 8; at++) {
		bare_forget(b);
		for (i = 0; i < 8; i++) {
			batch[i] = entry(GFN(100 + 2 * i), at & 1 ? PSC_SHARED :
					 PSC_PRIVATE, false, 0);
			psc_entries(b)[i] = batch[i];
		}
		psc_header(b, at, 7, 0);
		CHECK_EQ(psc_call(b), 0);
		CHECK_EQ(*psc_cur(b), 8);
		CHECK_EQ(b->nr_exits, 8 - at);
		check_exits(b, batch, at, 7);
	}

	/* User space refuses the third: what precedes it is done and said so. */
	spread(b, batch, 200);
	b->answer = EINVAL;
	b->answer_from = 2;
	CHECK_EQ(psc_call(b), PSC_GENERIC);
	CHECK_EQ(*psc_cur(b), 2);
	CHECK_EQ(b->nr_exits, 3);
	bare_forget(b);
	CHECK_EQ(psc_call(b), 0);
	CHECK_EQ(*psc_cur(b), 8);
	check_exits(b, batch, 2, 7);

	/* Later, it says: the guest is at the first entry that is not done. */
	spread(b, batch, 300);
	b->answer = EAGAIN;
	b->answer_from = 5;
	EITHER(psc_call(b), 0, PSC_GENERIC, "EAGAIN");
	CHECK_EQ(*psc_cur(b), 5);
	bare_forget(b);
	CHECK_EQ(psc_call(b), 0);
	check_exits(b, batch, 5, 7);
	for (i = 0; i < 8; i++)
		CHECK_EQ(bare_pvalidate(b, 300 + 2 * i, true), 0);

	bare_free(b);

	/* Nobody would hear of it. */
	b = bare_create(1);
	bare_launch(b);
	ghcb_register(b, 0);
	CHECK_EQ(psc_batch(b, batch, 8), PSC_GENERIC);
	CHECK_EQ(*psc_cur(b), 0);
	CHECK_EQ(b->nr_exits, 0);
	bare_free(b);
}

/* The guest writes its header and entries while user space is asked. */
static void rewrite(struct bare *b)
{
	memset(b->ghcb[0] + GHCB_BUFFER, 0xff, GHCB_BUFFER_SIZE);
}

static void set_back(struct bare *b)
{
	*psc_cur(b) = 0;
}

static void test_psc_hostile(void)
{
	struct bare *b = bare_new(1);
	u64 batch[16], got;
	int i;

	ghcb_register(b, 0);
	for (i = 0; i < 16; i++)
		batch[i] = entry(GFN(400 + 2 * i), PSC_PRIVATE, false, 0);

	bare_forget(b);
	memcpy(psc_entries(b), batch, sizeof(batch));
	psc_header(b, 0, 15, 0);
	b->on_exit = rewrite;
	got = psc_call(b);
	if (!got) {
		CHECK_EQ(b->nr_exits, 16);
		check_exits(b, batch, 0, 15);
	} else {
		ksft_print_msg("differs: a batch rewritten ends after %d exits of 16: 0x%lx\n",
			       b->nr_exits, got);
		CHECK_EQ(b->exit[0].gpa, POOL_GPA + 400 * 4096);
	}

	/* Set back at every exit, it must come to an end all the same. */
	bare_forget(b);
	memcpy(psc_entries(b), batch, sizeof(batch));
	psc_header(b, 0, 15, 0);
	b->on_exit = set_back;
	CHECK_EQ(psc_call(b), 0);
	if (b->nr_exits != 16)
		ksft_print_msg("differs: %d exits of 16\n", b->nr_exits);
	CHECK(b->nr_exits <= 16, "%d exits", b->nr_exits);

	CHECK_EQ(bare_do(b, 0, DO_RDMSR, MSR_AMD64_SEV, 0, 0) & 7, 7);
	bare_free(b);
}

static const struct bare_test tests[] = {
	{ test_msr, "MSR protocol: information, CPUID, features, registering" },
	{ test_msr_unknown, "MSR protocol: unknown codes get no answer" },
	{ test_termination, "termination requests reach user space as they are" },
	{ test_page, "events by page: unknown, malformed, incomplete" },
	{ test_mmio, "MMIO by page: lengths, and where the bytes lie" },
	{ test_string_io, "string I/O by page: counts, and where the bytes lie" },
	{ test_not_registered, "a page that is not registered is not used" },
	{ test_psc_msr, "page state changes by MSR, both ways" },
	{ test_psc_msr_errors, "page state changes by MSR: errors" },
	{ test_psc_msr_later, "page state changes by MSR: EAGAIN" },
	{ test_psc_lie, "page state changes: an answer that is not true" },
	{ test_psc_no_answer, "page state changes: an answer that is none" },
	{ test_psc_batch, "page state changes by page: batches" },
	{ test_psc_2m, "page state changes by page: 2M and hints" },
	{ test_psc_bad_header, "page state changes by page: bad headers" },
	{ test_psc_bad_entry, "page state changes by page: bad entries" },
	{ test_psc_resume, "page state changes by page: resumed, refused" },
	{ test_psc_hostile, "page state changes by page: rewritten meanwhile" },
};

int main(int argc, char *argv[])
{
	bare_run(tests, ARRAY_SIZE(tests));
}
