// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VMM of an ordinary guest that does a known amount of what costs a host:
 * touches memory page by page, once more after it was taken away, and while what
 * it writes to is logged; leaves for its VMM at a port and at memory that is not
 * there; and leaves for the kernel. Says of each part how many instructions and
 * exits it took. Where instructions are counted they are the clock.
 *
 * The guest is in real mode, its data segment as large as its memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <x86intrin.h>

#if !defined(PAGES) || !defined(EXITS)
#error "PAGES: how many the guest touches; EXITS: how often it leaves"
#endif

#define DEBUGFS	"/debug"
#define CODE	0x1000
#define DATA	0x100000	/* of what it touches */
#define SIZE	(DATA + (PAGES << 12))

#define IMM(n)	(n) & 0xff, (n) >> 8 & 0xff, (n) >> 16 & 0xff, (n) >> 24 & 0xff

/*
 * mov edi, DATA; mov ecx, PAGES; 1: mov [edi], al; add edi, 4096; dec ecx;
 * jnz 1b; hlt
 */
static const unsigned char touch[] = {
	0x66, 0xbf, IMM(DATA), 0x66, 0xb9, IMM(PAGES),
	0x67, 0x88, 0x07, 0x66, 0x81, 0xc7, IMM(4096), 0x66, 0x49, 0x75, 0xf2,
	0xf4,
};

/*
 * nop; 1: out 0x80, al; jmp 1b. The last OUT is completed when the next part is
 * run, which does not begin where the OUT is.
 */
static const unsigned char leave[] = { 0x90, 0xe6, 0x80, 0xeb, 0xfc };

/* 1: mov [SIZE], al; jmp 1b */
static const unsigned char store[] = { 0x67, 0xa2, IMM(SIZE), 0xeb, 0xf8 };

/* mov esi, EXITS; 1: xor eax, eax; cpuid; dec esi; jnz 1b; hlt */
static const unsigned char ask[] = {
	0x66, 0xbe, IMM(EXITS), 0x66, 0x31, 0xc0, 0x0f, 0xa2, 0x66, 0x4e, 0x75,
	0xf7, 0xf4,
};

static const struct part {
	const char *name;
	const unsigned char *code;
	unsigned long size;
	unsigned int times, reason;
} parts[] = {
	{ "touched", touch, sizeof(touch), 1, KVM_EXIT_HLT },
	{ "again", touch, sizeof(touch), 1, KVM_EXIT_HLT },
	{ "logged", touch, sizeof(touch), 1, KVM_EXIT_HLT },
	{ "left", leave, sizeof(leave), EXITS, KVM_EXIT_IO },
	{ "stored", store, sizeof(store), EXITS, KVM_EXIT_MMIO },
	{ "asked", ask, sizeof(ask), 1, KVM_EXIT_HLT },
};

static void failed(const char *what)
{
	printf("counted: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Of all guests, as KVM counts them */
static unsigned long exits(void)
{
	char text[32] = "";
	int fd = open(DEBUGFS "/kvm/exits", O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		failed("KVM's count of exits");
	close(fd);
	return strtoul(text, NULL, 10);
}

static void enter(int vcpu, struct kvm_run *run, unsigned int reason)
{
	if (ioctl(vcpu, KVM_RUN, 0))
		failed("KVM_RUN");
	if (run->exit_reason != reason) {
		printf("counted: exit %u, not %u\n", run->exit_reason, reason);
		exit(1);
	}
}

/* What has to be done before a part, and is none of it */
static void prepare(const struct part *p, int vm, int vcpu, char *memory,
		    struct kvm_userspace_memory_region *region)
{
	struct kvm_regs regs = { .rip = CODE, .rflags = 2 };

	memcpy(memory + CODE, p->code, p->size);
	if (ioctl(vcpu, KVM_SET_REGS, &regs))
		failed("where it begins");
	region->flags = strcmp(p->name, "logged") ? 0 : KVM_MEM_LOG_DIRTY_PAGES;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, region))
		failed("its memory");
}

int main(void)
{
	struct kvm_userspace_memory_region region = { .memory_size = SIZE };
	struct kvm_sregs sregs;
	struct kvm_run *run;
	int kvm, vm, vcpu, size;
	char *memory;

	if (mkdir(DEBUGFS, 0755) ||
	    mount("debugfs", DEBUGFS, "debugfs", 0, NULL))
		failed(DEBUGFS);
	kvm = open("/dev/kvm", O_RDWR);
	if (kvm < 0)
		failed("/dev/kvm");
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (memory == MAP_FAILED || size < 0 || vm < 0 || vcpu < 0)
		failed("a VM");
	/* pages, as the guest touches them: not blocks */
	if (madvise(memory, SIZE, MADV_NOHUGEPAGE))
		failed("its pages");
	region.userspace_addr = (unsigned long)memory;
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED || ioctl(vcpu, KVM_GET_SREGS, &sregs))
		failed("its vCPU");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	sregs.ds.limit = 0xffffffff;
	sregs.ds.g = 1;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs))
		failed("its registers");

	for (unsigned int i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		const struct part *p = &parts[i];
		unsigned long left, clock;

		prepare(p, vm, vcpu, memory, &region);
		left = exits();
		clock = __rdtsc();
		if (!strcmp(p->name, "again") &&
		    madvise(memory + DATA, SIZE - DATA, MADV_DONTNEED))
			failed("taking it away");
		for (unsigned int n = 0; n < p->times; n++)
			enter(vcpu, run, p->reason);
		clock = __rdtsc() - clock;
		printf("counted: %s %lu %lu\n", p->name, clock, exits() - left);
		fflush(stdout);
	}
	printf("counted: all %lu\n", exits());
	return 0;
}
