// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The smallest VMM: one guest in real mode, which executes
 *
 *	mov ecx, TURNS; again: dec ecx; jnz again; hlt
 *
 * and exits at the hlt: 1 + 2 * TURNS instructions are complete then.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#ifndef TURNS
#error "TURNS: how often the guest goes round"
#endif

#define CODE	0x1000

static int failed(const char *what)
{
	printf("counted: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(void)
{
	static const unsigned char code[] = {
		0x66, 0xb9, TURNS & 0xff, TURNS >> 8 & 0xff, TURNS >> 16 & 0xff,
		TURNS >> 24 & 0xff, 0x66, 0x49, 0x75, 0xfc, 0xf4,
	};
	struct kvm_userspace_memory_region region = { .memory_size = 1 << 16 };
	struct kvm_regs regs = { .rip = CODE, .rflags = 2 };
	struct kvm_sregs sregs;
	struct kvm_run *run;
	int kvm, vm, vcpu, size;
	char *memory;

	kvm = open("/dev/kvm", O_RDWR);
	if (kvm < 0)
		return failed("/dev/kvm");
	memory = mmap(NULL, region.memory_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (memory == MAP_FAILED || size < 0 || vm < 0 || vcpu < 0)
		return failed("a VM");
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	memcpy(memory + CODE, code, sizeof(code));
	region.userspace_addr = (unsigned long)memory;
	if (run == MAP_FAILED ||
	    ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) ||
	    ioctl(vcpu, KVM_GET_SREGS, &sregs))
		return failed("its memory");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) ||
	    ioctl(vcpu, KVM_SET_REGS, &regs))
		return failed("its registers");
	if (ioctl(vcpu, KVM_RUN, 0) || ioctl(vcpu, KVM_GET_REGS, &regs))
		return failed("KVM_RUN");
	printf("counted: exit %u rcx %llu\n", run->exit_reason, regs.rcx);
	return run->exit_reason != KVM_EXIT_HLT || regs.rcx;
}
