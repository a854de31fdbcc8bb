// SPDX-License-Identifier: GPL-2.0-only
/* Finding the reverse map table, and making all CPUs check it. */
#define pr_fmt(fmt) "SEV-SNP: " fmt

#include <linux/cc_platform.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/io.h>
#include <linux/memblock.h>
#include <linux/panic.h>
#include <linux/printk.h>
#include <linux/sizes.h>
#include <linux/smp.h>
#include <asm/coco.h>
#include <asm/cpufeature.h>
#include <asm/e820/api.h>
#include <asm/msr.h>
#include <asm/smp.h>

#include "rmp.h"

#define RMP_ADDR_MASK	GENMASK_ULL(51, 13)

static u64 rmp_base __ro_after_init;
static u64 rmp_size __ro_after_init;	/* bytes, with the bookkeeping area */

/* Is there a table between the values of RMP_BASE and RMP_END? */
bool rmp_range_valid(u64 base, u64 end)
{
	return (base & RMP_ADDR_MASK) && (end & RMP_ADDR_MASK) && base <= end &&
	       end - base >= RMP_BOOKKEEPING_SIZE;
}

/* Bytes of a table that has entries for the first @npages pages. */
u64 rmp_size_for(u64 npages)
{
	return RMP_BOOKKEEPING_SIZE + npages * sizeof(struct rmp_raw);
}

/* Pages that have an entry in a table of @size bytes, which is valid. */
u64 rmp_pages_in(u64 size)
{
	return (size - RMP_BOOKKEEPING_SIZE) / sizeof(struct rmp_raw);
}

/*
 * Firmware reserved the table and locked its place in two registers; the same
 * in all CPUs, which it checks itself. [APM vol 2, "Initializing the RMP"]
 */
static bool snp_probe_rmptable_info(void)
{
	u64 base, end;

	rdmsrl(MSR_AMD64_RMP_BASE, base);
	rdmsrl(MSR_AMD64_RMP_END, end);

	if (!(base & RMP_ADDR_MASK) || !(end & RMP_ADDR_MASK)) {
		pr_err("Memory for the RMP table has not been reserved by BIOS\n");
		return false;
	}

	if (!rmp_range_valid(base, end)) {
		pr_err("RMP configuration not valid: base=%#llx, end=%#llx\n",
		       base, end);
		return false;
	}

	rmp_base = base;
	rmp_size = end - base + 1;

	pr_info("RMP table physical range [0x%016llx - 0x%016llx]\n", base, end);
	return true;
}

void snp_host_bsp_detect(struct cpuinfo_x86 *c)
{
	if (!cpu_has(c, X86_FEATURE_SEV_SNP))
		return;

	/*
	 * Guests have SNP in another way. Entries are read in the format of
	 * family 19h; other families have RMPREAD, which is not done yet.
	 */
	if (cpu_has(c, X86_FEATURE_HYPERVISOR) || c->x86 != 0x19 ||
	    (cc_vendor != CC_VENDOR_NONE && cc_vendor != CC_VENDOR_AMD) ||
	    !snp_probe_rmptable_info()) {
		setup_clear_cpu_cap(X86_FEATURE_SEV_SNP);
		return;
	}

	/* Without SME nobody has said so; all other attributes stay false. */
	cc_vendor = CC_VENDOR_AMD;
	cc_platform_set(CC_ATTR_HOST_SEV_SNP);
}

static void __init snp_reserve_edge(u64 pa, const char *which)
{
	u64 block = ALIGN_DOWN(pa, PMD_SIZE);

	if (IS_ALIGNED(pa, PMD_SIZE) ||
	    !e820__mapped_any(block, block + PMD_SIZE, E820_TYPE_RAM))
		return;

	pr_info("Reserving %s of RMP table on a 2MB boundary [0x%016llx]\n",
		which, block);
	e820__range_update(block, PMD_SIZE, E820_TYPE_RAM, E820_TYPE_RESERVED);
	e820__range_update_kexec(block, PMD_SIZE, E820_TYPE_RAM,
				 E820_TYPE_RESERVED);
	/* e820 has been turned into memblock already. */
	if (!memblock_is_region_reserved(block, PMD_SIZE))
		memblock_reserve(block, PMD_SIZE);
}

void __init snp_fixup_e820_tables(void)
{
	if (!cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		return;

	snp_reserve_edge(rmp_base, "start");
	snp_reserve_edge(rmp_base + rmp_size, "end");
}

static void snp_set_mfdm(void *unused)
{
	u64 syscfg;

	rdmsrl(MSR_AMD64_SYSCFG, syscfg);
	wrmsrl(MSR_AMD64_SYSCFG, syscfg | MSR_AMD64_SYSCFG_MFDM);
}

static void snp_set_enable(void *unused)
{
	u64 syscfg;

	rdmsrl(MSR_AMD64_SYSCFG, syscfg);
	wrmsrl(MSR_AMD64_SYSCFG, syscfg | MSR_AMD64_SYSCFG_SNP_EN |
	       MSR_AMD64_SYSCFG_SNP_VMPL_EN);
}

/* A CPU that does not check the RMP could write to guests' pages. */
static int snp_cpu_online(unsigned int cpu)
{
	u64 syscfg;

	rdmsrl(MSR_AMD64_SYSCFG, syscfg);
	if (syscfg & MSR_AMD64_SYSCFG_SNP_EN)
		return 0;

	pr_err("CPU %u came too late to check the RMP, keeping it offline\n", cpu);
	return -EBUSY;
}

int __init snp_rmptable_init(void)
{
	u64 last, need, syscfg;
	void *table;

	if (!cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		return -ENODEV;

	last = max_t(u64, max_pfn, PFN_UP(rmp_base + rmp_size));
	need = rmp_size_for(last);
	if (rmp_pages_in(rmp_size) < last) {
		pr_err("Memory reserved for the RMP table does not cover full system RAM (expected 0x%llx got 0x%llx)\n",
		       need, rmp_size);
		return -EINVAL;
	}

	if (!cpumask_equal(cpu_online_mask, cpu_present_mask)) {
		pr_err("not all present CPUs are online\n");
		return -EOPNOTSUPP;
	}

	table = memremap(rmp_base, rmp_size, MEMREMAP_WB);
	if (!table) {
		pr_err("Failed to map RMP table\n");
		return -ENOMEM;
	}

	/* After kexec the table is in use, and has the truth. */
	rdmsrl(MSR_AMD64_SYSCFG, syscfg);
	if (!(syscfg & MSR_AMD64_SYSCFG_SNP_EN)) {
		memset(table, 0, rmp_size);
		wbinvd_on_all_cpus();
		/* MtrrFixDramModEn first, and in a write of its own. */
		on_each_cpu(snp_set_mfdm, NULL, 1);
		on_each_cpu(snp_set_enable, NULL, 1);
	}

	rmp_host.npages = rmp_pages_in(rmp_size);
	rmp_host.entries = table + RMP_BOOKKEEPING_SIZE;

	if (cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "x86/snp:online",
			      snp_cpu_online, NULL) < 0)
		pr_warn("cannot watch CPUs that come online\n");

	/* The notifier that shuts SNP down must run before a crash kernel. */
	crash_kexec_post_notifiers = true;

	return 0;
}
