// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an SNP guest does that its host pays for, one thing after another: it
 * comes to be, touches all of its memory, changes as many pages at once as there
 * is room for, and waits to be killed. No result by itself: whoever counts is
 * told after each part ("cost NAME") and says when to go on (a line). In the part
 * "idle" the guest runs and does nothing: it is what the counting costs by itself.
 * The memory is as a VMM has it, all private, in one memslot, and validated as
 * guests do, by 2 MiB where the hypervisor has them.
 *
 *	snp_cost_test MIB
 */
#include <unistd.h>

#include "snp_bare.h"

#define COST_GPA	0x100000000ULL
#define COST_SLOT	2
#define COST_PRIVATE	0x100000000UL

static void part(const char *name)
{
	char line[8];

	printf("cost %s\n", name);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(5);
}

/* A guest with @mib MiB that nobody touched, which it maps by 2 MiB. */
static struct bare *new_guest(u64 mib)
{
	struct bare *b = bare_create(1);
	u64 pages = mib << 8;

	vm_mem_add(b->vm, VM_MEM_SRC_ANONYMOUS_THP, COST_GPA, COST_SLOT, pages,
		   KVM_MEM_GUEST_MEMFD, -1, 0);
	/* Without the C-bit, which PVALIDATE does not ask for. */
	virt_map_level(b->vm, COST_PRIVATE, COST_GPA, mib << 20, PG_LEVEL_2M);
	bare_exits_on(b);
	bare_launch(b);
	vm_mem_set_private(b->vm, COST_GPA, mib << 20);

	return b;
}

/* Exits to user space for one page-state change with all entries it can have. */
static int full_change(struct bare *b)
{
	ghcb_begin_private(b, 0, PSC_MAX, false);
	bare_forget(b);
	ghcb_call(b, 0);
	TEST_ASSERT(!ghcb_get(b->ghcb[0], GHCB_INFO2), "0x%lx",
		    (unsigned long)ghcb_get(b->ghcb[0], GHCB_INFO2));

	return b->nr_exits;
}

int main(int argc, char *argv[])
{
	u64 mib = argc > 1 ? atoi_positive("MIB", argv[1]) : 0;
	struct bare *b;

	if (!mib || mib % 2) {
		fprintf(stderr, "snp_cost_test MIB: an even number\n");
		return 2;
	}
	if (!have_snp())
		return 4;

	b = new_guest(mib);
	ghcb_register(b, 0);
	/* The guest's own pages, and the box, are mapped by now. */
	part("launched");
	/* Instructions are counted up to the last time that the guest ran. */
	bare_do(b, 0, DO_ACCEPT, COST_PRIVATE, 0, 0);
	part("idle");
	bare_do(b, 0, DO_ACCEPT, COST_PRIVATE, mib / 2, 0);
	part("touched");
	printf("exits %d\n", full_change(b));
	part("changed");
	/* Whoever is told that may kill it as it is. */
	pause();
	return 6;
}
