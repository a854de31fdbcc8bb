// SPDX-License-Identifier: GPL-2.0-only
/*
 * SEV and SEV-ES guests that say when a page becomes shared, or private again.
 *
 * KVM keeps no list: user space has to know in time. It is told by an exit before
 * the guest can have written to the page as what it is then, so that whoever moves
 * a guest and looks at the dirty log after what it was told never takes the one
 * for the other. What user space does not answer is success.
 */
#include "snp_bare.h"

#define MAP_GPA		0x40000000ULL
#define MAP_SLOT	1
#define PAGE_PRIVATE	0x80000000UL
#define PAGE_SHARED	0xa0000000UL
#define PAGES		3

#define NAE_VMMCALL	0x81
#define GHCB_CPL	0xcb

#define DONE_PORT	0x99
#define LEFT_OVER	EINVAL
#define FIRST		0x1111
#define SECOND		0x2222

struct orders {
	u64 es;			/* no VMMCALL of its own */
	u64 ghcb, ghcb_gpa;
	u64 answers[4];
};

/* Guest. ------------------------------------------------------------------ */

static u64 tell_by_ghcb(struct orders *o, u64 gpa, u64 attrs)
{
	u8 *ghcb = (u8 *)o->ghcb;

	memset(ghcb, 0, 4096);
	ghcb[GHCB_VERSION] = 1;
	ghcb_set(ghcb, GHCB_CODE, NAE_VMMCALL);
	ghcb_set(ghcb, GHCB_INFO1, 0);
	ghcb_set(ghcb, GHCB_INFO2, 0);
	ghcb_set(ghcb, GHCB_RAX, KVM_HC_MAP_GPA_RANGE);
	ghcb_set(ghcb, GHCB_RBX, gpa);
	ghcb_set(ghcb, GHCB_RCX, PAGES);
	ghcb_set(ghcb, GHCB_RDX, attrs);
	ghcb[GHCB_VALID + GHCB_CPL / 64] |= 1 << (GHCB_CPL / 8 % 8);
	guest_vmgexit(o->ghcb_gpa);

	return ghcb_get(ghcb, GHCB_RAX);
}

static u64 tell(struct orders *o, u64 gpa, u64 attrs)
{
	u64 ret;

	if (o->es)
		return tell_by_ghcb(o, gpa, attrs);

	asm volatile("vmmcall"
		     : "=a" (ret)
		     : "a" (KVM_HC_MAP_GPA_RANGE), "b" (gpa), "c" (PAGES),
		       "d" (attrs)
		     : "memory");
	return ret;
}

static void guest_code(struct orders *o)
{
	o->answers[0] = tell(o, MAP_GPA, KVM_MAP_GPA_RANGE_DECRYPTED);
	__atomic_store_n((u64 *)PAGE_SHARED, FIRST, __ATOMIC_SEQ_CST);
	o->answers[1] = tell(o, MAP_GPA, KVM_MAP_GPA_RANGE_ENCRYPTED);
	__atomic_store_n((u64 *)PAGE_PRIVATE, SECOND, __ATOMIC_SEQ_CST);
	o->answers[2] = tell(o, MAP_GPA + 1, KVM_MAP_GPA_RANGE_ENCRYPTED);
	/* It says so, thinks better of it, and has written nothing. */
	o->answers[3] = tell(o, MAP_GPA, KVM_MAP_GPA_RANGE_DECRYPTED);

	for (;;) {
		if (o->es)
			guest_vmgexit(BELL);
		else
			asm volatile("outb %%al, %0" : : "i" (DONE_PORT));
	}
}

/* Host. ------------------------------------------------------------------- */

struct told {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	struct orders *orders;
};

static struct told new_guest(u32 type)
{
	struct vm_shape shape = { .mode = VM_MODE_DEFAULT, .type = type };
	struct told t = { .vm = __vm_create(shape, 1, 0) };
	u64 gva, i;

	t.vcpu = vm_vcpu_add(t.vm, 0, guest_code);
	kvm_arch_vm_finalize_vcpus(t.vm);

	vm_mem_add(t.vm, VM_MEM_SRC_ANONYMOUS, MAP_GPA, MAP_SLOT, PAGES,
		   KVM_MEM_LOG_DIRTY_PAGES, -1, 0);
	for (i = 0; i < PAGES; i++) {
		virt_pg_map(t.vm, PAGE_PRIVATE + i * 4096, MAP_GPA + i * 4096);
		virt_pg_map(t.vm, PAGE_SHARED + i * 4096, MAP_GPA + i * 4096);
		*vm_get_pte(t.vm, PAGE_PRIVATE + i * 4096) |= t.vm->arch.c_bit;
	}

	gva = vm_alloc_shared(t.vm, 4096, KVM_UTIL_MIN_VADDR,
			      MEM_REGION_TEST_DATA);
	t.orders = addr_gva2hva(t.vm, gva);
	t.orders->es = type == KVM_X86_SEV_ES_VM;
	vcpu_args_set(t.vcpu, 1, gva);
	gva = vm_alloc_shared(t.vm, 4096, KVM_UTIL_MIN_VADDR,
			      MEM_REGION_TEST_DATA);
	t.orders->ghcb = gva;
	t.orders->ghcb_gpa = addr_gva2gpa(t.vm, gva);

	vm_enable_cap(t.vm, KVM_CAP_EXIT_HYPERCALL, BIT(KVM_HC_MAP_GPA_RANGE));
	vm_sev_launch(t.vm, t.orders->es ? SEV_POLICY_ES : 0, NULL);

	return t;
}

/* Is the first page in the log? It is not any more. */
static bool dirty(struct told *t)
{
	unsigned long log = 0;

	kvm_vm_get_dirty_log(t->vm, MAP_SLOT, &log);
	return log & 1;
}

/* Go on with this answer; what is left of it is not one the next time. */
static void run(struct told *t, u64 answer)
{
	t->vcpu->run->hypercall.ret = answer;
	vcpu_run(t->vcpu);
}

static void is_told(struct told *t, u64 attrs)
{
	struct kvm_run *run = t->vcpu->run;

	if (!CHECK_EQ(run->exit_reason, KVM_EXIT_HYPERCALL))
		return;
	CHECK_EQ(run->hypercall.nr, KVM_HC_MAP_GPA_RANGE);
	CHECK_EQ(run->hypercall.args[0], MAP_GPA);
	CHECK_EQ(run->hypercall.args[1], PAGES);
	CHECK_EQ(run->hypercall.args[2], attrs);
	/* Who does not know of it has answered. */
	EITHER(run->hypercall.ret, 0, LEFT_OVER, "no answer is what was left over");
	run->hypercall.ret = 0;
}

static void tells(u32 type)
{
	struct told t = new_guest(type);
	u64 *page = addr_gpa2hva(t.vm, MAP_GPA);

	dirty(&t);
	run(&t, LEFT_OVER);
	is_told(&t, KVM_MAP_GPA_RANGE_DECRYPTED);
	/* Before it has written there, and while it waits. */
	CHECK(!dirty(&t), "written before user space was told");
	CHECK(*page != FIRST, "written before user space was told");

	run(&t, 0);
	is_told(&t, KVM_MAP_GPA_RANGE_ENCRYPTED);
	CHECK(dirty(&t), "what it wrote is not in the log");
	CHECK_EQ(*page, FIRST);
	CHECK_EQ(t.orders->answers[0], 0);
	CHECK(!dirty(&t), "written before user space was told");

	run(&t, EINVAL);
	/* One that makes no sense got no further than KVM. */
	is_told(&t, KVM_MAP_GPA_RANGE_DECRYPTED);
	CHECK(dirty(&t), "what it wrote is not in the log");
	CHECK_EQ(t.orders->answers[1], EINVAL);
	CHECK_EQ(t.orders->answers[2], -KVM_EINVAL);

	run(&t, 0);
	CHECK(!dirty(&t), "it has written nothing");
	CHECK_EQ(t.orders->answers[3], 0);
	CHECK_EQ(t.vcpu->run->exit_reason,
		 t.orders->es ? KVM_EXIT_SYSTEM_EVENT : KVM_EXIT_IO);

	kvm_vm_free(t.vm);
}

static void test_sev(void)
{
	tells(KVM_X86_SEV_VM);
}

static void test_sev_es(void)
{
	tells(KVM_X86_SEV_ES_VM);
}

static const struct bare_test tests[] = {
	{ test_sev, "a SEV guest that shares a page, and takes it back" },
	{ test_sev_es, "a SEV-ES guest that does" },
};

int main(int argc, char *argv[])
{
	bare_run(tests, ARRAY_SIZE(tests));
}
