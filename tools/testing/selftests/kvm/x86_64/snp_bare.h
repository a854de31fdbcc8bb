/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bare SNP guest that does what the test tells it, one step at a time.
 *
 * The guest is a loop of a few instructions: it takes an order from a page it
 * shares with the test, executes it and rings the bell, which is a termination
 * request that the test knows; run again, it goes on with the next order. The
 * test writes the GHCB itself, which is shared memory, too. So all that a guest
 * can say to the hypervisor is in the test's hands, byte by byte, and no #VC
 * handler is between them.
 *
 * Built with the library of newer kernels, which knows SNP (from 6.19 on).
 */
#ifndef SELFTEST_KVM_SNP_BARE_H
#define SELFTEST_KVM_SNP_BARE_H

#include <errno.h>
#include <linux/psp-sev.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kselftest.h"
#include "kvm_util.h"
#include "processor.h"
#include "sev.h"
#include "test_util.h"

#define MSR_GHCB		0xc0010130

/* GHCB MSR protocol: requests; the answer's code is one more, but for 002. */
#define G_SEV_INFO		0x001
#define G_SEV_INFO_REQ		0x002
#define G_CPUID_REQ		0x004
#define G_CPUID_RESP		0x005
#define G_HOLD_REQ		0x006
#define G_HOLD_RESP		0x007
#define G_PREF_REQ		0x010
#define G_PREF_RESP		0x011
#define G_REG_REQ		0x012
#define G_REG_RESP		0x013
#define G_PSC_REQ		0x014
#define G_PSC_RESP		0x015
#define G_FEATURES_REQ		0x080
#define G_FEATURES_RESP		0x081
#define G_TERM			0x100
#define G_CODE			0xfffULL

/* Reason set and code that nobody else has. */
#define BELL			(G_TERM | 7ULL << 12 | 0x5aULL << 16)

#define NAE_IOIO		0x7b
#define NAE_MSR			0x7c
#define NAE_MMIO_READ		0x80000001ULL
#define NAE_MMIO_WRITE		0x80000002ULL
#define NAE_HOLD		0x80000004ULL
#define NAE_PSC			0x80000010ULL
#define NAE_GUEST_REQUEST	0x80000011ULL
#define NAE_EXT_GUEST_REQUEST	0x80000012ULL
#define NAE_AP_CREATION		0x80000013ULL
#define NAE_FEATURES		0x8000fffdULL
#define NAE_TERM		0x8000fffeULL

/* Exit information 1 and 2 of a malformed request. */
#define G_MALFORMED		2
#define G_NOT_REGISTERED	1
#define G_BAD_USAGE		2
#define G_BAD_SCRATCH		3
#define G_MISSING_INPUT		4
#define G_INVALID_INPUT		5
#define G_INVALID_EVENT		6

/* Byte offsets of fields of the GHCB page. */
#define GHCB_RAX		0x1f8
#define GHCB_RCX		0x308
#define GHCB_RDX		0x310
#define GHCB_RBX		0x318
#define GHCB_CODE		0x390
#define GHCB_INFO1		0x398
#define GHCB_INFO2		0x3a0
#define GHCB_SCRATCH		0x3a8
#define GHCB_VALID		0x3f0
#define GHCB_BUFFER		0x800
#define GHCB_BUFFER_SIZE	0x7f0
#define GHCB_VERSION		0xffa
#define GHCB_USAGE		0xffc

#define PSC_PRIVATE		1
#define PSC_SHARED		2
#define PSC_PSMASH		3
#define PSC_UNSMASH		4
#define PSC_MAX			253

#define PSC_BAD_HEADER		(BIT_ULL(32) | 1)
#define PSC_BAD_ENTRY		(BIT_ULL(32) | 2)
#define PSC_GENERIC		(0x100ULL << 32)

#define VC_PAGE_NOT_VALIDATED	0x404

/* Memory that the guest does not begin with, seen as private and as shared. */
#define POOL_GPA		0x40000000ULL
#define POOL_PAGES		(3 * 512)
#define POOL_GFN		(POOL_GPA / 4096)
#define POOL_SLOT		1
#define POOL_PRIVATE		0x80000000UL
#define POOL_SHARED		0xa0000000UL

enum order {
	DO_VMGEXIT,		/* GHCB MSR: a; its value afterwards: res */
	DO_RDMSR,		/* number: a; res: value */
	DO_PVALIDATE,		/* address a, size b, validate c; res, carry */
	DO_RMPADJUST,		/* address a, attributes b; res */
	DO_READ,		/* address a; res: 8 bytes, vc: if it was a #VC */
	DO_WRITE,		/* address a, value b */
	DO_COPY,		/* to a, from b, c bytes */
	DO_SPIN,		/* without an exit, until a is not 0 */
	DO_ACCEPT,		/* address a, b times 2 MiB; res: bad PVALIDATEs */
	DO_CALL,		/* the code at a, which returns */
};

struct box {
	u64 order, a, b, c;
	u64 res, carry, vc;
	u64 seen;		/* counts orders begun */
};

#define BOX_VC			48
kvm_static_assert(offsetof(struct box, vc) == BOX_VC);

struct map_exit {
	u64 gpa, npages, flags;
};

#define MAX_EXITS		600

struct bare {
	struct kvm_vm *vm;
	int nr_vcpus;
	struct kvm_vcpu *vcpu[2];
	struct box *box[2];
	u8 *ghcb[2];
	u64 ghcb_gpa[2];
	u64 ghcb_gva[2];

	/* What was asked of user space since bare_forget(), and its answers. */
	struct map_exit exit[MAX_EXITS];
	int nr_exits;
	u64 answer;		/* of exits from number @answer_from on */
	int answer_from;
	void (*on_exit)(struct bare *b);
};

/* The test that runs, and what was wrong with it. */
static int bare_bad;

#define CHECK(cond, fmt, ...)						\
({									\
	bool __ok = (cond);						\
									\
	if (!__ok) {							\
		bare_bad++;						\
		ksft_print_msg("%s:%d: %s: " fmt "\n", __func__,	\
			       __LINE__, #cond, ##__VA_ARGS__);		\
	}								\
	__ok;								\
})

#define CHECK_EQ(got, want)						\
({									\
	u64 __got = (got), __want = (want);				\
	bool __same = __got == __want;					\
									\
	if (!__same) {							\
		bare_bad++;						\
		ksft_print_msg("%s:%d: %s is 0x%lx, not 0x%lx\n",	\
			       __func__, __LINE__, #got,		\
			       (unsigned long)__got,		\
			       (unsigned long)__want);		\
	}								\
	__same;								\
})

/* The specification allows both; what differs from the first is told. */
#define EITHER(got, strict, lax, why)					\
({									\
	u64 __v = (got), __s = (strict), __l = (lax);			\
									\
	if (__v == __s) {						\
		;							\
	} else if (__v == __l) {					\
		ksft_print_msg("differs: %s: 0x%lx\n", why,		\
			       (unsigned long)__v);		\
	} else {							\
		bare_bad++;						\
		ksft_print_msg("%s:%d: %s is 0x%lx, neither 0x%lx nor 0x%lx\n", \
			       __func__, __LINE__, #got,		\
			       (unsigned long)__v,			\
			       (unsigned long)__s,			\
			       (unsigned long)__l);		\
	}								\
	__v == __s;							\
})

static inline void bare_result(const char *name)
{
	if (bare_bad)
		ksft_test_result_fail("%s\n", name);
	else
		ksft_test_result_pass("%s\n", name);
	bare_bad = 0;
}

struct bare_test {
	void (*run)(void);
	const char *name;
};

/* Guest. ------------------------------------------------------------------ */

static inline void guest_vmgexit(u64 msr)
{
	asm volatile("wrmsr; rep; vmmcall"
		     : : "c" (MSR_GHCB), "a" ((u32)msr), "d" ((u32)(msr >> 32))
		     : "memory");
}

/*
 * A #VC is noted and the instruction skipped: PVALIDATE with its prefix has four
 * bytes, all others three. The library's own entries do not know that #VC has
 * an error code.
 */
extern char guest_vc[];
asm(".pushsection .text\n\t"
	"guest_vc:\n\t"
	"pop %r14\n\t"
	"mov %r14, " __stringify(BOX_VC) "(%r15)\n\t"
	"mov (%rsp), %r14\n\t"
	"cmpb $0xf2, (%r14)\n\t"
	"sete %r14b\n\t"
	"movzbl %r14b, %r14d\n\t"
	"lea 3(%r14), %r14\n\t"
	"add %r14, (%rsp)\n\t"
	"iretq\n\t"
	".popsection");

static inline void bare_set_vc_handler(struct kvm_vm *vm)
{
	struct idt_entry *e = addr_gva2hva(vm, vm->arch.idt);
	u64 to = (u64)guest_vc;

	e[29].offset0 = to;
	e[29].offset1 = to >> 16;
	e[29].offset2 = to >> 32;
}

static inline u64 guest_read(struct box *box, u64 *from)
{
	u64 value = 0;

	/* mov (%rsi), %rax: three bytes; below the stack may be the red zone */
	asm volatile("mov %2, %%r15; sub $128, %%rsp;"
		     ".byte 0x48, 0x8b, 0x06; add $128, %%rsp"
		     : "+a" (value)
		     : "S" (from), "r" (box)
		     : "r14", "r15", "memory", "cc");
	return value;
}

static inline void guest_write(struct box *box, u64 *to, u64 value)
{
	/* mov %rax, (%rsi): three bytes */
	asm volatile("mov %2, %%r15; sub $128, %%rsp;"
		     ".byte 0x48, 0x89, 0x06; add $128, %%rsp"
		     : : "S" (to), "a" (value), "r" (box)
		     : "r14", "r15", "memory", "cc");
}

/* A #VC leaves the address as the result. */
static inline u32 guest_pvalidate(struct box *box, u64 gva, u64 block,
				  u64 validate, u64 *carry)
{
	u64 res;

	asm volatile("mov %[box], %%r15; sub $128, %%rsp;"
		     ".byte 0xf2, 0x0f, 0x01, 0xff;"
		     "setc %b[carry]; add $128, %%rsp"
		     : "=a" (res), [carry] "+r" (*carry)
		     : "a" (gva), "c" (block), "d" (validate), [box] "r" (box)
		     : "r14", "r15", "memory", "cc");
	return res;
}

/* 2 MiB at once, or, as its entries are smaller, page by page. */
static inline u64 guest_accept(struct box *box, u64 gva)
{
	u64 carry = 0, res = guest_pvalidate(box, gva, true, true, &carry), i;

	if (res != 6)
		return !!res;
	for (i = 0, res = 0; i < 512; i++)
		res += !!guest_pvalidate(box, gva + i * 4096, false, true,
					 &carry);
	return res;
}

static noinline void guest_obey(struct box *box)
{
	u64 carry = 0, res = 0, i;

	switch (box->order) {
	case DO_VMGEXIT:
		guest_vmgexit(box->a);
		res = rdmsr(MSR_GHCB);
		break;
	case DO_RDMSR:
		res = rdmsr(box->a);
		break;
	case DO_PVALIDATE:
		res = guest_pvalidate(box, box->a, box->b, box->c, &carry);
		break;
	case DO_RMPADJUST:
		asm volatile(".byte 0xf3, 0x0f, 0x01, 0xfe"
			     : "=a" (res)
			     : "a" (box->a), "c" (0), "d" (box->b)
			     : "memory", "cc");
		res = (u32)res;
		break;
	case DO_READ:
		res = guest_read(box, (u64 *)box->a);
		break;
	case DO_WRITE:
		guest_write(box, (u64 *)box->a, box->b);
		break;
	case DO_COPY:
		for (i = 0; i < box->c / 8; i++)
			((volatile u64 *)box->a)[i] = ((u64 *)box->b)[i];
		break;
	case DO_SPIN:
		while (!__atomic_load_n(&box->a, __ATOMIC_SEQ_CST))
			;
		break;
	case DO_CALL:
		((void (*)(void))box->a)();
		break;
	case DO_ACCEPT:
		for (i = 0; i < box->b; i++)
			res += guest_accept(box, box->a + (i << 21));
		break;
	}

	box->carry = carry;
	box->res = res;
}

static void guest_main(struct box *box)
{
	for (;;) {
		__atomic_fetch_add(&box->seen, 1, __ATOMIC_SEQ_CST);
		box->vc = 0;
		guest_obey(box);
		guest_vmgexit(BELL);
	}
}

/* Host. ------------------------------------------------------------------- */

/* 0 or errno; *fw is the firmware's status. */
static inline int sev_op(struct kvm_vm *vm, u32 id, void *data, u32 *fw)
{
	struct kvm_sev_cmd cmd = {
		.id = id,
		.data = (u64)data,
		.sev_fd = vm->arch.sev_fd,
	};
	int ret = ioctl(vm->fd, KVM_MEMORY_ENCRYPT_OP, &cmd);

	if (fw)
		*fw = cmd.error;
	return ret ? errno : 0;
}

/* Policy bits that a test wants beside those that all have. */
static u64 bare_more_policy;

static inline u64 bare_policy(void)
{
	return SNP_POLICY_RSVD_MBO | SNP_POLICY_SMT | bare_more_policy;
}

/* What a VM is to have before it has vCPUs, if not NULL. */
static void (*bare_before_vcpus)(struct kvm_vm *vm);

/* A VM that waits for its launch, with @nr vCPUs, a pool, and no exits on. */
static inline struct bare *bare_create(int nr)
{
	struct vm_shape shape = {
		.mode = VM_MODE_DEFAULT,
		.type = KVM_X86_SNP_VM,
	};
	struct bare *b = calloc(1, sizeof(*b));
	u64 i, gva;
	int n;

	TEST_ASSERT(b, "no memory");
	b->nr_vcpus = nr;
	b->vm = __vm_create(shape, nr, 0);
	if (bare_before_vcpus)
		bare_before_vcpus(b->vm);
	for (n = 0; n < nr; n++)
		b->vcpu[n] = vm_vcpu_add(b->vm, n, guest_main);
	kvm_arch_vm_finalize_vcpus(b->vm);

	bare_set_vc_handler(b->vm);

	vm_mem_add(b->vm, VM_MEM_SRC_ANONYMOUS, POOL_GPA, POOL_SLOT, POOL_PAGES,
		   KVM_MEM_GUEST_MEMFD, -1, 0);
	for (i = 0; i < POOL_PAGES; i++) {
		virt_pg_map(b->vm, POOL_PRIVATE + i * 4096,
			    POOL_GPA + i * 4096);
		virt_pg_map(b->vm, POOL_SHARED + i * 4096, POOL_GPA + i * 4096);
		*vm_get_pte(b->vm, POOL_PRIVATE + i * 4096) |=
			b->vm->arch.c_bit;
	}

	for (n = 0; n < nr; n++) {
		gva = vm_alloc_shared(b->vm, 4096, KVM_UTIL_MIN_VADDR,
				      MEM_REGION_TEST_DATA);
		b->box[n] = addr_gva2hva(b->vm, gva);
		vcpu_args_set(b->vcpu[n], 1, gva);

		gva = vm_alloc_shared(b->vm, 4096, KVM_UTIL_MIN_VADDR,
				      MEM_REGION_TEST_DATA);
		b->ghcb[n] = addr_gva2hva(b->vm, gva);
		b->ghcb_gpa[n] = addr_gva2gpa(b->vm, gva);
		b->ghcb_gva[n] = gva;
	}

	return b;
}

static inline void bare_exits_on(struct bare *b)
{
	vm_enable_cap(b->vm, KVM_CAP_EXIT_HYPERCALL, BIT(KVM_HC_MAP_GPA_RANGE));
}

static inline void bare_launch(struct bare *b)
{
	snp_vm_launch_start(b->vm, bare_policy());
	snp_vm_launch_update(b->vm);
	snp_vm_launch_finish(b->vm);
}

static inline struct bare *bare_new(int nr)
{
	struct bare *b = bare_create(nr);

	bare_exits_on(b);
	bare_launch(b);
	return b;
}

static inline void bare_free(struct bare *b)
{
	kvm_vm_free(b->vm);
	free(b);
}

static inline void bare_forget(struct bare *b)
{
	b->nr_exits = 0;
	b->answer = 0;
	b->answer_from = 0;
	b->on_exit = NULL;
}

/* What user space does: the pages become what is asked for, or it refuses. */
static inline void bare_map_exit(struct bare *b, struct kvm_run *run)
{
	u64 gpa = run->hypercall.args[0], npages = run->hypercall.args[1];
	u64 flags = run->hypercall.args[2];
	int n = b->nr_exits;

	TEST_ASSERT_EQ(run->hypercall.nr, KVM_HC_MAP_GPA_RANGE);
	TEST_ASSERT(n < MAX_EXITS, "too many exits");

	/* User space that writes no answer means yes. */
	if (run->hypercall.ret)
		ksft_print_msg("differs: an exit begins with the answer 0x%lx\n",
			       (unsigned long)run->hypercall.ret);

	b->exit[b->nr_exits++] = (struct map_exit){ gpa, npages, flags };
	run->hypercall.ret = 0;
	if (b->answer && n >= b->answer_from) {
		run->hypercall.ret = b->answer;
	} else {
		TEST_ASSERT(gpa >= POOL_GPA && npages &&
			    gpa + npages * 4096 <=
			    POOL_GPA + POOL_PAGES * 4096ULL,
			    "asked for %lu pages at 0x%lx",
			    (unsigned long)npages,
			    (unsigned long)gpa);
		if (flags & KVM_MAP_GPA_RANGE_ENCRYPTED)
			vm_mem_set_private(b->vm, gpa, npages * 4096);
		else
			vm_mem_set_shared(b->vm, gpa, npages * 4096);
	}
	if (b->on_exit)
		b->on_exit(b);
}

/* Run until something else than a request for memory comes; 0 or errno. */
static inline int bare_enter(struct bare *b, int n)
{
	struct kvm_run *run = b->vcpu[n]->run;
	int ret;

	do {
		ret = _vcpu_run(b->vcpu[n]);
		if (ret)
			return errno;
		if (run->exit_reason == KVM_EXIT_HYPERCALL)
			bare_map_exit(b, run);
	} while (run->exit_reason == KVM_EXIT_HYPERCALL);

	return 0;
}

/* Is the vCPU back because the guest asked for termination, so? */
static inline bool bare_terminated(struct bare *b, int n, u64 value)
{
	struct kvm_run *run = b->vcpu[n]->run;

	return run->exit_reason == KVM_EXIT_SYSTEM_EVENT &&
	       run->system_event.type == KVM_SYSTEM_EVENT_SEV_TERM &&
	       run->system_event.ndata == 1 &&
	       run->system_event.data[0] == value;
}

static inline void bare_order(struct bare *b, int n, enum order order, u64 a,
			      u64 c1, u64 c2)
{
	struct box *box = b->box[n];

	box->order = order;
	box->a = a;
	box->b = c1;
	box->c = c2;
	box->res = 0xbadbadbad;
}

/* Have vCPU @n do one thing. Returns its result. */
static inline u64 bare_do(struct bare *b, int n, enum order order, u64 a,
			  u64 c1, u64 c2)
{
	int err;

	bare_order(b, n, order, a, c1, c2);
	err = bare_enter(b, n);
	TEST_ASSERT(!err, "order %d: KVM_RUN: %s", order, strerror(err));
	TEST_ASSERT(bare_terminated(b, n, BELL),
		    "order %d: exit %u (%s), event %u, 0x%lx", order,
		    b->vcpu[n]->run->exit_reason,
		    exit_reason_str(b->vcpu[n]->run->exit_reason),
		    b->vcpu[n]->run->system_event.type,
		    (unsigned long)b->vcpu[n]->run->system_event.data[0]);
	return b->box[n]->res;
}

static inline u64 bare_msr(struct bare *b, int n, u64 request)
{
	return bare_do(b, n, DO_VMGEXIT, request, 0, 0);
}

static inline void ghcb_set(u8 *ghcb, int offset, u64 value)
{
	memcpy(ghcb + offset, &value, 8);
	ghcb[GHCB_VALID + offset / 64] |= 1 << (offset / 8 % 8);
}

static inline u64 ghcb_get(u8 *ghcb, int offset)
{
	u64 value;

	memcpy(&value, ghcb + offset, 8);
	return value;
}

static inline bool ghcb_is_valid(u8 *ghcb, int offset)
{
	return ghcb[GHCB_VALID + offset / 64] & 1 << (offset / 8 % 8);
}

/* A fresh request; the shared buffer stays. */
static inline void ghcb_begin(struct bare *b, int n, u64 code, u64 info1,
			      u64 info2)
{
	u8 *ghcb = b->ghcb[n];

	memset(ghcb, 0, GHCB_BUFFER);
	memset(ghcb + GHCB_BUFFER + GHCB_BUFFER_SIZE, 0, 16);
	ghcb[GHCB_VERSION] = 2;
	ghcb_set(ghcb, GHCB_CODE, code);
	ghcb_set(ghcb, GHCB_INFO1, info1);
	ghcb_set(ghcb, GHCB_INFO2, info2);
}

/* The slot of the pool comes, with page @first of @memfd on, or it goes. */
static inline void bare_bind_pool(struct bare *b, int memfd, u64 first,
				  u64 npages)
{
	struct userspace_mem_region *region = memslot2region(b->vm, POOL_SLOT);
	int ret;

	ret = __vm_set_user_memory_region2(b->vm, POOL_SLOT,
					   KVM_MEM_GUEST_MEMFD, POOL_GPA,
					   npages * 4096, region->host_mem,
					   memfd, first * 4096);
	TEST_ASSERT(!ret, "memslot: %s", strerror(errno));
}

static inline int bare_pool_memfd(struct bare *b)
{
	return memslot2region(b->vm, POOL_SLOT)->region.guest_memfd;
}

/* As before; its guest_memfd stays. */
static inline void bare_set_pool(struct bare *b, bool there)
{
	bare_bind_pool(b, bare_pool_memfd(b), 0, there ? POOL_PAGES : 0);
}

static sigjmp_buf bare_faulted;

static inline void bare_on_bus_error(int sig)
{
	siglongjmp(bare_faulted, 1);
}

/* Is the test's own access refused with SIGBUS? */
static inline bool bare_sigbus(u8 *p, bool write)
{
	struct sigaction act = { .sa_handler = bare_on_bus_error }, old;

	sigaction(SIGBUS, &act, &old);
	if (sigsetjmp(bare_faulted, 1)) {
		sigaction(SIGBUS, &old, NULL);
		return true;
	}

	if (write)
		__atomic_store_n(p, 1, __ATOMIC_SEQ_CST);
	else
		__atomic_load_n(p, __ATOMIC_SEQ_CST);
	sigaction(SIGBUS, &old, NULL);
	return false;
}

/*
 * A request that @n entries become private, from the pool's page @page on: of a
 * page each, or of 2 MiB.
 */
static inline void ghcb_begin_private(struct bare *b, u64 page, u16 n, bool huge)
{
	u8 *buffer = b->ghcb[0] + GHCB_BUFFER;
	u64 i, entry, header = (u64)(n - 1) << 16;

	ghcb_begin(b, 0, NAE_PSC, 0, 0);
	ghcb_set(b->ghcb[0], GHCB_SCRATCH, b->ghcb_gpa[0] + GHCB_BUFFER);
	memcpy(buffer, &header, sizeof(header));
	for (i = 0; i < n; i++) {
		entry = (POOL_GPA + (page + i * (huge ? 512 : 1)) * 4096) |
			(u64)PSC_PRIVATE << 52 | (u64)huge << 56;
		memcpy(buffer + 8 + 8 * i, &entry, sizeof(entry));
	}
}

/* Exit with the page. Returns the low half of exit information 1. */
static inline u32 ghcb_call(struct bare *b, int n)
{
	bare_do(b, n, DO_VMGEXIT, b->ghcb_gpa[n], 0, 0);
	return ghcb_get(b->ghcb[n], GHCB_INFO1);
}

static inline void ghcb_register(struct bare *b, int n)
{
	u64 got;

	/* Mapped, as it would be if the guest itself wrote what it asks. */
	bare_do(b, n, DO_WRITE, b->ghcb_gva[n], 0, 0);
	got = bare_msr(b, n, b->ghcb_gpa[n] | G_REG_REQ);
	TEST_ASSERT(got == (b->ghcb_gpa[n] | G_REG_RESP),
		    "registering 0x%lx: 0x%lx",
		    (unsigned long)b->ghcb_gpa[n],
		    (unsigned long)got);
}

/* The pool's page @page, as the guest sees it. */
static inline u64 gva_private(u64 page)
{
	return POOL_PRIVATE + page * 4096;
}

static inline u64 gva_shared(u64 page)
{
	return POOL_SHARED + page * 4096;
}

static inline u64 *hva(struct bare *b, u64 page)
{
	return addr_gpa2hva(b->vm, POOL_GPA + page * 4096);
}

static inline u64 bare_pvalidate(struct bare *b, u64 page, bool validate)
{
	u64 ret = bare_do(b, 0, DO_PVALIDATE, gva_private(page), 0, validate);

	/* Carry: nothing changed. */
	return ret ?: b->box[0]->carry ? 255 : 0;
}

/* Pages that the kernel gave up for that reason; -1 if it does not tell. */
static inline long leaked_as(const char *why)
{
	FILE *f = fopen("/sys/kernel/debug/sev-snp/leaked", "r");
	char line[64];
	long n = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, why);
	fclose(f);
	return n;
}

static inline long leaked(void)
{
	return leaked_as("0x");
}

static inline bool have_snp(void)
{
	return kvm_check_cap(KVM_CAP_VM_TYPES) & BIT(KVM_X86_SNP_VM);
}

/* All of a program's tests; does not return. */
static inline void bare_run_without(const struct bare_test *tests, int nr)
{
	int i;

	ksft_print_header();
	ksft_set_plan(nr);
	for (i = 0; i < nr; i++) {
		tests[i].run();
		bare_result(tests[i].name);
	}

	ksft_finished();
}

static inline void bare_run(const struct bare_test *tests, int nr)
{
	TEST_REQUIRE(have_snp());
	bare_run_without(tests, nr);
}

#endif
