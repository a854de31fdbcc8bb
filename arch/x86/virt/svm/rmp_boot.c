// SPDX-License-Identifier: GPL-2.0-only
/* Finding the reverse map table at boot. */
#define pr_fmt(fmt) "SEV-SNP: " fmt

#include <linux/cc_platform.h>
#include <linux/cpu.h>
#include <linux/io.h>
#include <linux/memblock.h>
#include <linux/panic.h>
#include <linux/printk.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <asm/coco.h>
#include <asm/cpufeature.h>
#include <asm/e820/api.h>
#include <asm/io.h>
#include <asm/msr.h>

#include "rmp.h"

#define RMP_ADDR_MASK	GENMASK_ULL(51, 13)

#define CPUID_RMP	0x80000025

static u64 rmp_base __ro_after_init;
/* Bytes, with the bookkeeping area; not of a segmented one */
static u64 rmp_size __ro_after_init;
/* log2 of a segment's bytes, 0 if the table is in one piece */
static unsigned int rmp_shift __ro_after_init;
/* Words of the segment table that count */
static unsigned int rmp_words __ro_after_init;

void *rmp_bookkeeping __ro_after_init;

static bool probe_one_piece(void)
{
	u64 base, end;

	rdmsrl(MSR_AMD64_RMP_BASE, base);
	rdmsrl(MSR_AMD64_RMP_END, end);

	if (!(base & RMP_ADDR_MASK) || !(end & RMP_ADDR_MASK)) {
		pr_err("Memory for the RMP table has not been reserved by BIOS: enable its coverage of memory there\n");
		return false;
	}

	if (!rmp_range_valid(base, end)) {
		pr_err("RMP configuration not valid: base=%#llx, end=%#llx: update the BIOS\n",
		       base, end);
		return false;
	}

	rmp_base = base;
	rmp_size = end - base + 1;

	pr_info("RMP table physical range [0x%016llx - 0x%016llx]\n", base, end);
	return true;
}

static bool probe_segments(u64 cfg)
{
	unsigned int shift = MSR_AMD64_RMP_SEGMENT_SHIFT(cfg);
	u64 base;
	u32 eax;

	rdmsrl(MSR_AMD64_RMP_BASE, base);
	if (!(base & RMP_ADDR_MASK)) {
		pr_err("Memory for the RMP table has not been reserved by BIOS: enable its coverage of memory there\n");
		return false;
	}

	if (boot_cpu_data.extended_cpuid_level < CPUID_RMP) {
		pr_err("RMP is segmented, and CPUID does not say how: update the BIOS\n");
		return false;
	}

	eax = cpuid_eax(CPUID_RMP);
	if (!rmp_shift_valid(shift, eax)) {
		pr_err("RMP segment size (%u) is not within advertised bounds (CPUID %#x): update the BIOS\n",
		       shift, eax);
		return false;
	}

	rmp_base = base;
	rmp_shift = shift;
	rmp_words = rmp_max_segments(cpuid_ebx(CPUID_RMP));

	pr_info("Segmented RMP base table physical range [0x%016llx - 0x%016llx]\n",
		base, base + RMP_BOOKKEEPING_SIZE + SZ_4K - 1);
	return true;
}

/*
 * Firmware reserved the table and locked its place in registers; the same in all
 * CPUs, which it checks itself. [APM vol 2, "Initializing the RMP"]
 */
static bool snp_probe_rmptable_info(struct cpuinfo_x86 *c)
{
	u64 cfg = 0;

	if (cpu_has(c, X86_FEATURE_SEGMENTED_RMP))
		rdmsrl(MSR_AMD64_RMP_CFG, cfg);

	return cfg & MSR_AMD64_SEG_RMP_ENABLED ? probe_segments(cfg) :
						 probe_one_piece();
}

/* What is in an entry is known of family 19h; others tell it by RMPREAD. */
static bool snp_can_read_entries(struct cpuinfo_x86 *c)
{
	if (c->x86 == 0x19 || cpu_has(c, X86_FEATURE_RMPREAD))
		return true;

	pr_err("family %#x has no RMPREAD: update the BIOS\n", c->x86);
	return false;
}

void snp_host_bsp_detect(struct cpuinfo_x86 *c)
{
	if (!cpu_has(c, X86_FEATURE_SEV_SNP))
		return;

	/* Guests have SNP in another way. */
	if (cpu_has(c, X86_FEATURE_HYPERVISOR) ||
	    (cc_vendor != CC_VENDOR_NONE && cc_vendor != CC_VENDOR_AMD) ||
	    !snp_can_read_entries(c) || !snp_probe_rmptable_info(c)) {
		setup_clear_cpu_cap(X86_FEATURE_SEV_SNP);
		return;
	}

	/* Without SME nobody has said so; all other attributes stay false. */
	cc_vendor = CC_VENDOR_AMD;
	cc_platform_set(CC_ATTR_HOST_SEV_SNP);
}

void snp_host_say_bios(struct cpuinfo_x86 *c)
{
	u64 syscfg;

	if (!cpu_has(c, X86_FEATURE_SEV_SNP) ||
	    cpu_has(c, X86_FEATURE_HYPERVISOR))
		return;

	rdmsrl(MSR_AMD64_SYSCFG, syscfg);
	pr_info_once("off: the BIOS lacks %s\n",
		     syscfg & MSR_AMD64_SYSCFG_MEM_ENCRYPT ?
		     "the lock of SMM" : "memory encryption (SMEE)");
}

bool __init snp_host_refuse(void)
{
	if (boot_cpu_has(X86_FEATURE_HYPERVISOR))
		return false;

	if (cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		pr_info("off by sev=nosnp\n");
	setup_clear_cpu_cap(X86_FEATURE_SEV_SNP);
	cc_platform_clear(CC_ATTR_HOST_SEV_SNP);
	return true;
}

static void __init snp_reserve_edge(u64 pa)
{
	u64 block = ALIGN_DOWN(pa, PMD_SIZE);

	if (IS_ALIGNED(pa, PMD_SIZE) ||
	    !e820__mapped_any(block, block + PMD_SIZE, E820_TYPE_RAM))
		return;

	pr_info("Reserving start/end of RMP table on a 2MB boundary [0x%016llx]\n",
		block);
	e820__range_update(block, PMD_SIZE, E820_TYPE_RAM, E820_TYPE_RESERVED);
	e820__range_update_kexec(block, PMD_SIZE, E820_TYPE_RAM,
				 E820_TYPE_RESERVED);
	/*
	 * e820 has been turned into memblock already. What is memory there and
	 * none in e820 gets a direct mapping, and loses it to its neighbour's.
	 */
	if (!memblock_is_region_reserved(block, PMD_SIZE))
		memblock_remove(block, PMD_SIZE);
}

static void __init snp_reserve_edges(u64 pa, u64 size)
{
	snp_reserve_edge(pa);
	snp_reserve_edge(pa + size);
}

void __init snp_fixup_e820_tables(void)
{
	u64 words = rmp_base + RMP_BOOKKEEPING_SIZE;
	struct rmp_span span;
	unsigned int i;
	u64 *rst;

	if (!cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		return;

	if (!rmp_shift) {
		snp_reserve_edges(rmp_base, rmp_size);
		return;
	}

	snp_reserve_edges(rmp_base, RMP_BOOKKEEPING_SIZE + SZ_4K);
	rst = early_memremap(words, SZ_4K);
	if (!rst) {
		/* Nobody may run SNP with edges that are in use. */
		pr_err("cannot read the RMP segment table: update the BIOS\n");
		cc_platform_clear(CC_ATTR_HOST_SEV_SNP);
		return;
	}
	for (i = 0; i < rmp_words; i++)
		if (rmp_span_of(rst[i], i, rmp_shift, &span))
			snp_reserve_edges(span.base, span.size);
	early_memunmap(rst, SZ_4K);
}

static struct rmp_segment * __init map_one_piece(void)
{
	u64 last = max_t(u64, max_pfn, PFN_UP(rmp_base + rmp_size));
	struct rmp_segment *segment;

	if (rmp_pages_in(rmp_size) < last) {
		pr_err("Memory reserved for the RMP table does not cover full system RAM (expected 0x%llx got 0x%llx): have the BIOS cover all, or use less (mem=)\n",
		       rmp_size_for(last), rmp_size);
		return NULL;
	}

	segment = kzalloc(sizeof(*segment), GFP_KERNEL);
	if (!segment)
		return NULL;

	segment->npages = rmp_pages_in(rmp_size);
	segment->entries = memremap(rmp_base + RMP_BOOKKEEPING_SIZE,
				    rmp_size - RMP_BOOKKEEPING_SIZE,
				    MEMREMAP_WB);
	if (!segment->entries) {
		pr_err("Failed to map RMP table: memory is short\n");
		kfree(segment);
		return NULL;
	}

	return segment;
}

static void __init unmap(struct rmp_segment *segments, unsigned int nr)
{
	while (nr--)
		if (segments[nr].entries)
			memunmap(segments[nr].entries);
	kfree(segments);
}

static bool __init map_segment(struct rmp_segment *segment, unsigned int i,
			       u64 word)
{
	struct rmp_span span;

	if (!rmp_span_of(word, i, rmp_shift, &span))
		return true;

	segment->npages = span.npages;
	segment->entries = memremap(span.base, span.size, MEMREMAP_WB);
	if (!segment->entries) {
		pr_err("Failed to map RMP segment addr 0x%llx size 0x%llx: memory is short\n",
		       span.base, span.size);
		return false;
	}

	pr_info("RMP segment %u physical address [0x%llx - 0x%llx] covering [0x%llx - 0x%llx]\n",
		i, span.base, span.base + span.size - 1, PFN_PHYS(span.pfn),
		PFN_PHYS(span.pfn + span.npages) - 1);
	return true;
}

/* All memory, not its highest address only: segments may be missing between. */
static bool __init segments_cover_ram(const struct rmp_table *t)
{
	unsigned long start, end;
	u64 pfn;
	int i;

	for_each_mem_pfn_range(i, MAX_NUMNODES, &start, &end, NULL) {
		pfn = rmp_first_uncovered(t, start, end);
		if (pfn < end) {
			pr_err("Segmented RMP does not cover full system RAM (nothing for 0x%llx): have the BIOS cover all, or use less (mem=)\n",
			       PFN_PHYS(pfn));
			return false;
		}
	}

	return true;
}

static struct rmp_segment * __init map_segments(void)
{
	struct rmp_table t = { .shift = rmp_shift - PAGE_SHIFT };
	struct rmp_segment *segments;
	unsigned int i;
	u64 *rst;

	rst = memremap(rmp_base + RMP_BOOKKEEPING_SIZE, SZ_4K, MEMREMAP_WB);
	segments = kcalloc(rmp_words, sizeof(*segments), GFP_KERNEL);
	if (!rst || !segments) {
		pr_err("Failed to map RMP segment table: memory is short\n");
		goto fail;
	}

	pr_info("Segmented RMP using %lluGB segments\n",
		1ULL << (rmp_shift - 30));
	for (i = 0; i < rmp_words; i++)
		if (!map_segment(&segments[i], i, rst[i]))
			goto fail;

	t.segments = segments;
	t.nr_segments = rmp_words;
	if (!segments_cover_ram(&t))
		goto fail;

	memunmap(rst);
	return segments;

fail:
	if (rst)
		memunmap(rst);
	if (segments)
		unmap(segments, rmp_words);
	return NULL;
}

int __init snp_rmptable_init(void)
{
	unsigned int nr = rmp_shift ? rmp_words : 1;
	struct rmp_segment *segments;

	if (!cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		return -ENODEV;

	segments = rmp_shift ? map_segments() : map_one_piece();
	if (!segments)
		return -EINVAL;

	rmp_bookkeeping = memremap(rmp_base, RMP_BOOKKEEPING_SIZE, MEMREMAP_WB);
	if (!rmp_bookkeeping) {
		pr_err("Failed to map RMP bookkeeping area: memory is short\n");
		unmap(segments, nr);
		return -ENOMEM;
	}

	rmp_host_set_up(segments, nr, rmp_shift ? rmp_shift - PAGE_SHIFT :
						  RMP_ONE_SEGMENT);
	rmp_switch_init();

	/* The notifier that shuts SNP down must run before a crash kernel. */
	crash_kexec_post_notifiers = true;

	return 0;
}
