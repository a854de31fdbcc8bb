// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing back the caches of CPUs that may have lines of an encrypted VM's, and
 * of no others. Where lines are not coherent between keys CLFLUSH by the host's
 * address misses those of a guest. APM vol 2, 15.34.9 and 7.6.
 */
#include <linux/cpumask.h>
#include <linux/kvm_host.h>
#include <linux/list.h>
#include <linux/smp.h>

#include "svm.h"
#include "snp_guest.h"

void sev_note_cpu(struct kvm *kvm, int cpu)
{
	struct cpumask *cpus = &to_kvm_svm(kvm)->sev_info.have_run_cpus;

	/* One write a CPU: each VMRUN comes by here. */
	if (!cpumask_test_cpu(cpu, cpus))
		cpumask_set_cpu(cpu, cpus);
}

void sev_take_cpus(struct kvm_sev_info *dst, struct kvm_sev_info *src)
{
	cpumask_or(&dst->have_run_cpus, &dst->have_run_cpus,
		   &src->have_run_cpus);
}

static void writeback(void *unused)
{
	/* WBNOINVD; a CPU that does not have it ignores the prefix. */
	asm volatile(".byte 0xf3; wbinvd" : : : "memory");
}

void sev_writeback_caches(struct kvm *kvm)
{
	struct kvm_sev_info *sev = &to_kvm_svm(kvm)->sev_info;

	/* A mirror writes to its owner's memory, too, and has its own mask. */
	on_each_cpu_mask(list_empty(&sev->mirror_vms) ? &sev->have_run_cpus :
							cpu_online_mask,
			 writeback, NULL, true);
}
