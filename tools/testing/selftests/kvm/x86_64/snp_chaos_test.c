// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests whose memory is punched, converted, unbound and bound again while they
 * validate and use it, in an order that a number makes up, and that are killed
 * in the midst of it. What counts is what is left: every page is the host's
 * again, as this series' own audit says, and none was given up.
 *
 *	snp_chaos_test [SEED [ROUNDS [squeeze]]]
 *
 * One guest a round, of 1 to 8 blocks, 1 or 2 vCPUs, its memory aligned as its
 * file is or not. squeeze: the host's memory is scarce and in pieces meanwhile.
 * The same seed makes the same requests in each thread; how the threads meet is
 * the computer's affair.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "snp_bare.h"

#define CHAOS_GPA	0x48000000ULL
#define CHAOS_SLOT	2
#define CHAOS_PRIVATE	0x90000000UL
#define CHAOS_SHARED	0xb0000000UL
#define PER_BLOCK	512
#define MOST_BLOCKS	8
/* Each thread does this much before the guest is killed, and some more. */
#define LEAST		4
#define MOST_US		400000
/* Seconds until something must have been over, on a kernel that checks itself. */
#define LIMIT		240

enum doer { USE, USE_TOO, PUNCH, CONVERT, BIND, SQUEEZE, DOERS };

/* How often each has done something: shared by the test and the guest's VMM. */
static unsigned long *done;

static u64 seed = 1;
static int rounds = 6;
static bool squeezed;

struct dice {
	struct bare *b;
	u64 state;
	int vcpu;
	u64 npages;
};

static u64 throw(struct dice *d, u64 n)
{
	d->state ^= d->state << 13;
	d->state ^= d->state >> 7;
	d->state ^= d->state << 17;
	return (d->state >> 11) % n;
}

static struct dice new_dice(u64 round, u64 who)
{
	struct dice d = { .state = seed * 0x9e3779b97f4a7c15ULL };
	int i;

	d.state ^= (round << 8) + who + 1;
	for (i = 0; i < 16; i++)
		throw(&d, 2);
	return d;
}

static void did(enum doer who)
{
	__atomic_fetch_add(&done[who], 1, __ATOMIC_SEQ_CST);
}

/* A run of pages: one, a few, a block, or what lies across blocks. */
static u64 pick(struct dice *d, u64 *npages)
{
	static const u64 most[] = { 1, 1, 16, PER_BLOCK, 2 * PER_BLOCK };
	u64 page = throw(d, d->npages);

	*npages = 1 + throw(d, most[throw(d, ARRAY_SIZE(most))]);
	if (!throw(d, 3)) {
		page &= ~(PER_BLOCK - 1ULL);
		*npages = PER_BLOCK;
	}
	if (page + *npages > d->npages)
		*npages = d->npages - page;
	return page;
}

static void *use(void *opaque)
{
	static const enum order orders[] = {
		DO_PVALIDATE, DO_READ, DO_WRITE, DO_ACCEPT,
	};
	struct dice *d = opaque;
	enum order order;
	u64 page, to;

	for (;;) {
		order = orders[throw(d, ARRAY_SIZE(orders))];
		page = throw(d, d->npages);
		to = order > DO_PVALIDATE && !throw(d, 4) ? CHAOS_SHARED :
							    CHAOS_PRIVATE;
		if (order == DO_ACCEPT) {
			page &= ~(PER_BLOCK - 1ULL);
			to = CHAOS_PRIVATE;
			if (page + PER_BLOCK > d->npages)
				continue;
		}
		bare_order(d->b, d->vcpu, order, to + page * 4096,
			   order == DO_ACCEPT, throw(d, 4) != 0);
		/* What is not there now comes back: others see to that. */
		while (_vcpu_run(d->b->vcpu[d->vcpu]))
			usleep(100);
		TEST_ASSERT(bare_terminated(d->b, d->vcpu, BELL),
			    "order %d at page %lu: exit %u (%s)", order,
			    (unsigned long)page,
			    d->b->vcpu[d->vcpu]->run->exit_reason,
			    exit_reason_str(d->b->vcpu[d->vcpu]->run->exit_reason));
		did(d->vcpu ? USE_TOO : USE);
	}
	return NULL;
}

static void *punch(void *opaque)
{
	struct dice *d = opaque;
	u64 page, npages;

	for (;;) {
		page = pick(d, &npages);
		vm_guest_mem_fallocate(d->b->vm, CHAOS_GPA + page * 4096,
				       npages * 4096, throw(d, 4) != 0);
		did(PUNCH);
		usleep(throw(d, 3000));
	}
	return NULL;
}

static void *convert(void *opaque)
{
	struct dice *d = opaque;
	u64 page, npages;

	for (;;) {
		page = pick(d, &npages);
		vm_mem_set_shared(d->b->vm, CHAOS_GPA + page * 4096,
				  npages * 4096);
		usleep(throw(d, 1000));
		vm_mem_set_private(d->b->vm, CHAOS_GPA + page * 4096,
				   npages * 4096);
		did(CONVERT);
		usleep(throw(d, 2000));
	}
	return NULL;
}

static void *bind_again(void *opaque)
{
	struct dice *d = opaque;
	struct kvm_userspace_memory_region2 *r =
		&memslot2region(d->b->vm, CHAOS_SLOT)->region;

	for (;;) {
		usleep(throw(d, 40000));
		vm_set_user_memory_region2(d->b->vm, CHAOS_SLOT, r->flags,
					   r->guest_phys_addr, 0,
					   (void *)r->userspace_addr,
					   r->guest_memfd,
					   r->guest_memfd_offset);
		usleep(throw(d, 1000));
		vm_set_user_memory_region2(d->b->vm, CHAOS_SLOT, r->flags,
					   r->guest_phys_addr, r->memory_size,
					   (void *)r->userspace_addr,
					   r->guest_memfd,
					   r->guest_memfd_offset);
		did(BIND);
	}
	return NULL;
}

#define HOG_BYTES	(64UL << 20)

static void tell_vm(const char *name, const char *text)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", name);
	f = fopen(path, "w");
	TEST_ASSERT(f && fputs(text, f) >= 0, "%s", path);
	/* There may be less than was asked for. */
	fclose(f);
}

/* All 2 MiB are gone for a while, or memory is in pieces, moved, thrown out. */
static void *squeeze(void *opaque)
{
	struct dice *d = opaque;
	char *hog;
	u64 i;

	for (;;) {
		switch (throw(d, 4)) {
		case 0:
			tell_vm("nr_hugepages", "100000");
			usleep(throw(d, 100000));
			tell_vm("nr_hugepages", "0");
			break;
		case 1:
			tell_vm("compact_memory", "1");
			break;
		case 2:
			tell_vm("drop_caches", "3");
			break;
		case 3:
			hog = mmap(NULL, HOG_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			TEST_ASSERT(hog != MAP_FAILED, "no memory");
			madvise(hog, HOG_BYTES, MADV_NOHUGEPAGE);
			for (i = 0; i < HOG_BYTES; i += 4096)
				hog[i] = 1;
			for (i = 0; i < HOG_BYTES; i += 2 * 4096)
				madvise(hog + i, 4096, MADV_DONTNEED);
			tell_vm("nr_hugepages", "100000");
			usleep(throw(d, 100000));
			tell_vm("nr_hugepages", "0");
			munmap(hog, HOG_BYTES);
			break;
		}
		did(SQUEEZE);
		usleep(throw(d, 20000));
	}
	return NULL;
}

/* Map all of it twice, as what is private and as what is shared. */
static void map_memory(struct kvm_vm *vm, u64 npages)
{
	u64 i, at;

	for (i = 0; i < npages; i++) {
		at = CHAOS_GPA + i * 4096;
		virt_pg_map(vm, CHAOS_PRIVATE + i * 4096, at);
		*vm_get_pte(vm, CHAOS_PRIVATE + i * 4096) |= vm->arch.c_bit;
		virt_pg_map(vm, CHAOS_SHARED + i * 4096, at);
	}
}

/* A guest as the dice have it, launched; *@npages: what it has beside. */
static struct bare *new_guest(struct dice *d, u64 *npages)
{
	struct bare *b = bare_create(1 + throw(d, 2));
	u64 offset = 0;
	int fd;

	/* Some have a part of a block, and some a file that begins elsewhere. */
	*npages = (1 + throw(d, MOST_BLOCKS)) * PER_BLOCK;
	if (!throw(d, 4))
		*npages -= throw(d, PER_BLOCK);
	if (!throw(d, 4))
		offset = (1 + throw(d, PER_BLOCK)) * 4096;

	fd = vm_create_guest_memfd(b->vm, *npages * 4096 + offset, 0);
	vm_mem_add(b->vm, VM_MEM_SRC_ANONYMOUS_THP, CHAOS_GPA, CHAOS_SLOT,
		   *npages, KVM_MEM_GUEST_MEMFD, fd, offset);
	close(fd);
	map_memory(b->vm, *npages);
	bare_exits_on(b);
	bare_launch(b);
	vm_mem_set_private(b->vm, CHAOS_GPA, *npages * 4096);

	return b;
}

/* A guest, and all who work on its memory; until it is killed. */
static void run(u64 round)
{
	static void *(*const doers[])(void *) = {
		[USE] = use, [USE_TOO] = use, [PUNCH] = punch,
		[CONVERT] = convert, [BIND] = bind_again, [SQUEEZE] = squeeze,
	};
	static struct dice dice[DOERS];
	struct dice d = new_dice(round, DOERS);
	u64 npages;
	struct bare *b = new_guest(&d, &npages);
	pthread_t thread;
	int i;

	for (i = 0; i < DOERS; i++) {
		if ((i == USE_TOO && b->nr_vcpus < 2) ||
		    (i == SQUEEZE && !squeezed)) {
			done[i] = LEAST;
			continue;
		}
		dice[i] = new_dice(round, i);
		dice[i].b = b;
		dice[i].vcpu = i == USE_TOO;
		dice[i].npages = npages;
		TEST_ASSERT(!pthread_create(&thread, NULL, doers[i], &dice[i]),
			    "pthread_create");
	}

	for (;;)
		pause();
}

/*
 * Lines "asid N PAGES": pages that a guest has; *@balanced: and the audit finds
 * that all else is as it should be.
 */
static long of_guests(bool *balanced)
{
	FILE *f = fopen("/sys/kernel/debug/sev-snp/audit", "r");
	char line[128];
	long n, sum = 0;

	TEST_ASSERT(f, "no audit");
	*balanced = false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "asid %*d %ld", &n) == 1)
			sum += n;
		*balanced |= !strcmp(line, "BALANCED\n");
	}
	fclose(f);
	return sum;
}

static bool all_did(void)
{
	int i;

	for (i = 0; i < DOERS; i++) {
		if (__atomic_load_n(&done[i], __ATOMIC_SEQ_CST) < LEAST)
			return false;
	}
	return true;
}

/* Has the child ended? Waits up to LIMIT. */
static bool ended(pid_t pid, int *status)
{
	int i;

	for (i = 0; i < LIMIT * 10; i++) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		usleep(100000);
	}
	return false;
}

static void one_round(int i)
{
	struct dice d = new_dice(i, DOERS + 1);
	long lost = leaked(), left;
	int status = 0, waited;
	bool balanced;
	pid_t pid;

	memset(done, 0, DOERS * sizeof(*done));
	pid = fork();
	TEST_ASSERT(pid >= 0, "fork");
	if (!pid) {
		run(i);
		_exit(3);
	}

	for (waited = 0; waited < LIMIT * 10 && !all_did(); waited++) {
		usleep(100000);
		if (waitpid(pid, &status, WNOHANG) == pid) {
			CHECK(false, "round %d ended by itself: 0x%x", i, status);
			return;
		}
	}
	usleep(throw(&d, MOST_US));
	CHECK(all_did(), "round %d", i);
	kill(pid, SIGKILL);
	CHECK(ended(pid, &status), "round %d cannot be killed", i);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
	      "round %d ended by itself: 0x%x", i, status);
	ksft_print_msg("guest %lu+%lu, holes %lu, conversions %lu, bound %lu times, squeezed %lu\n",
		       done[USE], done[USE_TOO], done[PUNCH], done[CONVERT],
		       done[BIND], done[SQUEEZE]);

	/* The last of its files may be closed by somebody else. */
	for (waited = 0; (left = of_guests(&balanced)) && waited < 50; waited++)
		usleep(100000);
	CHECK_EQ(left, 0);
	CHECK(balanced, "round %d", i);
	CHECK_EQ(leaked(), lost);
}

int main(int argc, char *argv[])
{
	char name[64];
	int i;

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		rounds = atoi_positive("ROUNDS", argv[2]);
	squeezed = argc > 3 && !strcmp(argv[3], "squeeze");

	TEST_REQUIRE(have_snp());
	done = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(done != MAP_FAILED, "no memory");

	ksft_print_header();
	ksft_set_plan(rounds);
	for (i = 0; i < rounds; i++) {
		one_round(i);
		if (squeezed)
			tell_vm("nr_hugepages", "0");
		snprintf(name, sizeof(name), "seed %lu, round %d",
			 (unsigned long)seed, i);
		bare_result(name);
	}
	ksft_finished();
}
