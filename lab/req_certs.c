// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loaded before an unmodified VMM's libraries: KVM asks its SNP guests' VMM for
 * certificates (KVM_EXIT_SNP_REQ_CERTS), and gets them from the file that the
 * environment's CERTS names. The VMM, which does not know that exit, does not
 * see it.
 *
 * CERTS_ANSWERS says what the N-th exit gets, a letter each, the last one from
 * then on: `-` what is right (the table, or how many pages it takes), `b` busy,
 * `e` a failure. CERTS_LOG is a file: a line for each exit.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CREATE_VCPU		0xae41ul
#define RUN			0xae80ul
#define SET_REGION		0x4020ae46ul	/* KVM_SET_USER_MEMORY_REGION */
#define SET_REGION2		0x40a0ae49ul
#define ENCRYPT_OP		0xc008aebaul	/* KVM_MEMORY_ENCRYPT_OP */
#define SEV_INIT2		22u
#define ENABLE_REQ_CERTS	103u
#define EXIT_REQ_CERTS		43u

#define PAGE			4096ul
#define SLOTS			512
#define VCPUS			16

/* The beginnings of structures of <linux/kvm.h> */
struct command {
	uint32_t id, error;
	uint64_t data;
	uint32_t sev_fd, pad;
};

struct region {
	uint32_t slot, flags;
	uint64_t gpa, size, uaddr;
};

struct run {
	uint8_t pad[8];
	uint32_t exit_reason;
	uint8_t rest[20];
	uint64_t gpa, npages, ret;
};

typedef int ioctl_fn(int fd, unsigned long request, ...);

static struct region slots[SLOTS];
static struct { int fd; struct run *run; } vcpus[VCPUS];
static unsigned int nvcpus;

static void tell(const char *fmt, ...)
{
	const char *name = getenv("CERTS_LOG");
	FILE *f = name ? fopen(name, "a") : NULL;
	va_list ap;

	if (f) {
		va_start(ap, fmt);
		vfprintf(f, fmt, ap);
		va_end(ap);
		fclose(f);
	}
}

/* Shared memory of the guest, @len bytes in one piece; NULL: there is none */
static void *memory(uint64_t gpa, uint64_t len)
{
	for (int i = 0; i < SLOTS; i++) {
		const struct region *r = &slots[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size &&
		    len <= r->size - (gpa - r->gpa))
			return (void *)(uintptr_t)(r->uaddr + gpa - r->gpa);
	}
	return NULL;
}

static char answer(unsigned int n)
{
	const char *all = getenv("CERTS_ANSWERS");
	size_t len = all ? strlen(all) : 0;

	return len ? all[n < len ? n : len - 1] : '-';
}

static uint64_t give(struct run *run)
{
	FILE *f = fopen(getenv("CERTS") ?: "", "r");
	uint8_t table[64 * PAGE] = { 0 };
	size_t len = f ? fread(table, 1, sizeof(table), f) : 0;
	uint64_t pages = (len + PAGE - 1) / PAGE;
	void *to = memory(run->gpa, pages * PAGE);

	if (f)
		fclose(f);
	if (!len)
		return EIO;
	if (run->npages < pages) {
		run->npages = pages;
		return ENOSPC;
	}
	if (!to)
		return EIO;
	memcpy(to, table, pages * PAGE);
	return 0;
}

static void serve(struct run *run)
{
	static unsigned int count;
	uint64_t gpa = run->gpa, npages = run->npages;
	char how = answer(count);

	run->ret = how == 'b' ? EAGAIN : how == 'e' ? EIO : give(run);
	tell("exit %u: %lu pages at %s: %lu, %lu\n", ++count,
	     (unsigned long)npages, gpa % PAGE ? "an odd address" : "a page",
	     (unsigned long)run->ret, (unsigned long)run->npages);
}

static struct run *run_of(int fd)
{
	for (unsigned int i = 0; i < nvcpus; i++)
		if (vcpus[i].fd == fd)
			return vcpus[i].run;
	return NULL;
}

int ioctl(int fd, unsigned long request, ...)
{
	ioctl_fn *real = (ioctl_fn *)dlsym(RTLD_NEXT, "ioctl");
	struct run *run;
	va_list ap;
	void *arg;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);

	do {
		ret = real(fd, request, arg);
		run = request == RUN && !ret ? run_of(fd) : NULL;
		if (!run || run->exit_reason != EXIT_REQ_CERTS)
			break;
		serve(run);
	} while (1);

	if (ret < 0)
		return ret;
	if (request == CREATE_VCPU && nvcpus < VCPUS) {
		vcpus[nvcpus].fd = ret;
		vcpus[nvcpus].run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					 MAP_SHARED, ret, 0);
		nvcpus += vcpus[nvcpus].run != MAP_FAILED;
	} else if (request == SET_REGION || request == SET_REGION2) {
		struct region *r = arg;

		if (r->slot < SLOTS)
			slots[r->slot] = *r;
	} else if (request == ENCRYPT_OP && arg &&
		   ((struct command *)arg)->id == SEV_INIT2) {
		struct command more = *(struct command *)arg;
		int on;

		more.id = ENABLE_REQ_CERTS;
		more.data = 0;
		on = real(fd, ENCRYPT_OP, &more);
		tell("asked to be asked: %d\n", on ? errno : 0);
	}
	return ret;
}
