// SPDX-License-Identifier: GPL-2.0-only
/*
 * SNP that comes up late, by an ioctl of /dev/sev, while ordinary VMs come and go.
 *
 * Firmware wants VM_HSAVE_PA cleared in all CPUs, and a VM cannot run without it:
 * either there is no VM, or SNP has to wait. It takes a host that could have SNP
 * and has not been told to yet: kvm_amd was loaded while a CPU was offline.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../kselftest.h"

#define PAGE		4096
#define CODE_GPA	0x1000
/* How often SNP is tried while VMs come and go, and how often each VM runs. */
#define TRIES		400
#define RUNS		20
/* Without a VM, in us: less than it takes to clear the RMP. */
#define PAUSE		1000

static int kvm, sev;
static bool stop;
static unsigned long vms, failed;

static bool run_vm(void)
{
	static const uint8_t code[] = { 0xe6, 0x10, 0xeb, 0xfc }; /* out; jmp */
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = CODE_GPA,
		.memory_size = PAGE,
	};
	struct kvm_regs regs = { .rip = CODE_GPA, .rflags = 2 };
	int vm = ioctl(kvm, KVM_CREATE_VM, 0), vcpu, i;
	struct kvm_sregs sregs;
	struct kvm_run *run;
	bool good = false;
	void *page;

	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memcpy(page, code, sizeof(code));
	region.userspace_addr = (uintptr_t)page;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (vcpu < 0 || run == MAP_FAILED ||
	    ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) ||
	    ioctl(vcpu, KVM_GET_SREGS, &sregs))
		goto out;

	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) ||
	    ioctl(vcpu, KVM_SET_REGS, &regs))
		goto out;

	for (i = 0; i < RUNS; i++)
		if (ioctl(vcpu, KVM_RUN, 0) || run->exit_reason != KVM_EXIT_IO)
			goto out;
	good = true;
out:
	if (run != MAP_FAILED)
		munmap(run, PAGE);
	munmap(page, PAGE);
	close(vcpu);
	close(vm);

	return good;
}

static void *vm_loop(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
		if (!run_vm())
			__atomic_add_fetch(&failed, 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&vms, 1, __ATOMIC_SEQ_CST);
		usleep(PAUSE);
	}

	return NULL;
}

static int sev_cmd(uint32_t id, void *data)
{
	struct sev_issue_cmd cmd = { .cmd = id, .data = (uintptr_t)data };

	return ioctl(sev, SEV_ISSUE_CMD, &cmd);
}

static bool snp_is_on(void)
{
	struct sev_user_data_snp_status status = {};

	if (sev_cmd(SNP_PLATFORM_STATUS, &status))
		ksft_exit_fail_msg("no status: errno %d\n", errno);

	return status.state;
}

/* Lengths of 0: firmware has to be up to say how much room it wants. */
static bool bring_up(void)
{
	struct sev_user_data_pdh_cert_export data = {};

	sev_cmd(SEV_PDH_CERT_EXPORT, &data);

	return snp_is_on();
}

int main(void)
{
	pthread_t thread;
	int i;

	ksft_print_header();
	ksft_set_plan(2);

	kvm = open("/dev/kvm", O_RDWR);
	sev = open("/dev/sev", O_RDWR);
	if (kvm < 0 || sev < 0 || snp_is_on())
		ksft_exit_skip("SNP is on, or cannot be\n");

	alarm(300);
	if (pthread_create(&thread, NULL, vm_loop, NULL))
		ksft_exit_fail_msg("no thread\n");
	for (i = 0; i < TRIES && !bring_up(); i++)
		;
	/* All of them go on, whether it is on or not. */
	usleep(100 * PAUSE);
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);

	ksft_print_msg("%lu VMs, %lu failed, %d tries\n", vms, failed, i);
	ksft_test_result(vms && !failed, "VMs run while SNP comes up\n");
	ksft_test_result(bring_up(), "SNP comes up without VMs\n");

	ksft_finished();
}
