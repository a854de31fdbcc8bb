// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making all CPUs check the reverse map table, and no more.
 *
 * From snp_prepare() to snp_shutdown() CPUs neither come nor go: one that does
 * not check the table could write to guests' pages, and firmware asks every CPU
 * that is present. Nor is the system suspended, which takes CPUs away past
 * cpu_hotplug_disable(), and has all of them and the firmware forget SNP, with
 * the table still full of guests' pages.
 */
#define pr_fmt(fmt) "SEV-SNP: " fmt

#include <linux/cc_platform.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/smp.h>
#include <linux/suspend.h>
#include <asm/msr.h>
#include <asm/smp.h>

#include "rmp.h"

static DEFINE_MUTEX(rmp_switch_mutex);

static bool snp_enabled_here(void)
{
	u64 syscfg;

	rdmsrl(MSR_AMD64_SYSCFG, syscfg);
	return syscfg & MSR_AMD64_SYSCFG_SNP_EN;
}

static void set_mfdm(void *unused)
{
	u64 syscfg;

	rdmsrl(MSR_AMD64_SYSCFG, syscfg);
	wrmsrl(MSR_AMD64_SYSCFG, syscfg | MSR_AMD64_SYSCFG_MFDM);
}

static void clear_mfdm(void *unused)
{
	u64 syscfg;

	rdmsrl(MSR_AMD64_SYSCFG, syscfg);
	wrmsrl(MSR_AMD64_SYSCFG, syscfg & ~MSR_AMD64_SYSCFG_MFDM);
}

static void set_enable(void *unused)
{
	u64 syscfg;

	rdmsrl(MSR_AMD64_SYSCFG, syscfg);
	wrmsrl(MSR_AMD64_SYSCFG, syscfg | MSR_AMD64_SYSCFG_SNP_EN |
	       MSR_AMD64_SYSCFG_SNP_VMPL_EN);
}

/* A VM that runs, or could any moment, has its host save area in use. */
static bool look_for_svm_here(void)
{
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	return efer & EFER_SVME;
}

static void look_for_svm(void *found)
{
	if (look_for_svm_here())
		WRITE_ONCE(*(bool *)found, true);
}

/* Interrupts are off: nobody gets this CPU ready for VMs in between. */
static void clear_hsave(void *svm)
{
	if (look_for_svm_here())
		WRITE_ONCE(*(bool *)svm, true);
	else
		wrmsrl(MSR_VM_HSAVE_PA, 0);
}

static void clear_table(void)
{
	unsigned int i;

	memset(rmp_bookkeeping, 0, RMP_BOOKKEEPING_SIZE);
	for (i = 0; i < rmp_host.nr_segments; i++)
		if (rmp_host.segments[i].entries)
			memset(rmp_host.segments[i].entries, 0,
			       rmp_host.segments[i].npages *
			       sizeof(struct rmp_raw));
}

/* CPUs may come and go no more. Once, until hotplug_allow(). */
static void hotplug_forbid(void)
{
	if (rmp_host.stats->on)
		return;

	cpu_hotplug_disable();
	WRITE_ONCE(rmp_host.stats->on, true);
}

static void hotplug_allow(void)
{
	if (!rmp_host.stats->on)
		return;

	WRITE_ONCE(rmp_host.stats->on, false);
	cpu_hotplug_enable();
}

int snp_prepare(void)
{
	bool svm = false;
	int ret = 0;

	if (!rmp_host.nr_segments)
		return -ENODEV;

	mutex_lock(&rmp_switch_mutex);
	cpu_hotplug_disable();

	if (!cpumask_equal(cpu_online_mask, cpu_present_mask)) {
		pr_err("init failed: not all CPUs are online (%*pbl of %*pbl): bring them up, then load kvm_amd again\n",
		       cpumask_pr_args(cpu_online_mask),
		       cpumask_pr_args(cpu_present_mask));
		ret = -EOPNOTSUPP;
		goto out;
	}

	on_each_cpu(look_for_svm, &svm, 1);
	if (svm) {
		pr_err("init failed: VMs run already: end them, then load kvm_amd again\n");
		ret = -EBUSY;
		goto out;
	}

	/* After kexec the table is in use, and has the truth. */
	if (!snp_enabled_here()) {
		clear_table();
		wbinvd_on_all_cpus();
		/* MtrrFixDramModEn first, and in a write of its own. */
		on_each_cpu(set_mfdm, NULL, 1);
		on_each_cpu(set_enable, NULL, 1);
	}
	hotplug_forbid();

	/*
	 * Firmware wants no CPU to have one. A VM that was created since keeps
	 * its own; all else stays as it is for the next time.
	 */
	on_each_cpu(clear_hsave, &svm, 1);
	if (svm) {
		pr_err("init failed: a VM was created meanwhile: end it, then load kvm_amd again\n");
		ret = -EBUSY;
	}

out:
	cpu_hotplug_enable();
	mutex_unlock(&rmp_switch_mutex);
	return ret;
}
EXPORT_SYMBOL_GPL(snp_prepare);

void snp_shutdown(void)
{
	mutex_lock(&rmp_switch_mutex);

	/* Firmware turns SNP off in all CPUs, or in none. */
	if (rmp_host.stats->on && !snp_enabled_here()) {
		clear_table();
		on_each_cpu(clear_mfdm, NULL, 1);
		hotplug_allow();
	}

	mutex_unlock(&rmp_switch_mutex);
}
EXPORT_SYMBOL_GPL(snp_shutdown);

/*
 * Sleeping or hibernating: -EBUSY while SNP is on, before anything is frozen.
 * Suspend to idle too, as which one it will be is not told here.
 */
static int snp_refuse_suspend(struct notifier_block *nb, unsigned long action,
			      void *unused)
{
	switch (action) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		break;
	default:
		return NOTIFY_DONE;
	}

	if (!rmp_is_on(&rmp_host))
		return NOTIFY_DONE;

	pr_err("no suspend while SNP is on, neither it nor guests would survive: boot with sev=nosnp for it\n");
	return notifier_from_errno(-EBUSY);
}

static struct notifier_block snp_pm_nb = {
	.notifier_call = snp_refuse_suspend,
};

/* A CPU that comes all the same, and has not been told. */
static int snp_cpu_online(unsigned int cpu)
{
	if (!rmp_is_on(&rmp_host) || snp_enabled_here())
		return 0;

	pr_err("CPU %u came too late to check the RMP, keeping it offline\n", cpu);
	return -EBUSY;
}

void __init rmp_switch_init(void)
{
	if (snp_enabled_here()) {
		pr_info("on since before kexec, the RMP is kept\n");
		hotplug_forbid();
	}

	if (cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "x86/snp:online",
				      snp_cpu_online, NULL) < 0)
		pr_warn("cannot watch CPUs that come online\n");
	register_pm_notifier(&snp_pm_nb);
}
