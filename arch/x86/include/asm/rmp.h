/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reverse map table (RMP) of AMD SEV-SNP, seen from the host.
 *
 * The RMP has an entry for every 4 KiB page of memory. The CPU, the IOMMU and
 * the secure processor ask it who owns a page. These are the states:
 *
 * state          assigned asid immutable validated vmsa  who owns the page
 * hypervisor        0       0      0         0       0   the kernel
 * hv-fixed          0       0      1         0       0   the kernel, for ever
 * reclaim           1       0      0         0       0   nobody: it was given up
 * firmware          1       0      1         0       0   firmware
 * context           1       0      1         0       1   firmware: guest context
 * pre-guest         1      >0      1         x       0   firmware, for a launch
 * guest-invalid     1      >0      0         0       x   guest, not accepted
 * guest-valid       1      >0      0         1       x   guest
 * leaked            any of the above that would not come back; never freed
 *
 * state          what is in it        who may touch it     may be freed
 * hypervisor     the kernel's data    CPU, DMA             yes
 * hv-fixed       the kernel's data    CPU, DMA             it is not RAM
 * reclaim        garbage              host: read           after make_shared
 * firmware       firmware's data      host: read           after reclaim
 * context        encrypted            firmware             after DECOMMISSION,
 *                                                          which makes it firmware
 * pre-guest      plaintext            host: read           after reclaim
 * guest-*        encrypted            the guest            after make_shared
 *
 * A host write to a page that is not the hypervisor's is a page fault with
 * X86_PF_RMP. So a page enters the RMP only if nobody else holds a reference
 * through which the kernel may write it, and leaves it before it is freed.
 * What will not leave goes to snp_leak_pages().
 *
 * from -> to                  by                                under
 * hypervisor -> firmware      rmp_make_firmware()               owner of the page
 * hypervisor -> pre-guest     rmp_make_private(immutable)       owner of the page
 * hypervisor -> guest-invalid rmp_make_private(!immutable)      owner of the page
 * firmware -> context         SNP_GCTX_CREATE                   sev_cmd_mutex
 * context -> firmware         SNP_DECOMMISSION                  sev_cmd_mutex
 * pre-guest -> guest-valid    SNP_LAUNCH_UPDATE                 sev_cmd_mutex
 * guest-invalid <-> -valid    PVALIDATE, by the guest           -
 * firmware, pre-guest -> reclaim  SNP_PAGE_RECLAIM              sev_cmd_mutex
 * reclaim, guest-* -> hypervisor  rmp_make_shared()             owner of the page
 * one 2 MiB entry -> 512 of 4 KiB rmp_split_2m(), psmash()      owner of the 2 MiB
 *
 * "Owner of the page" is whoever allocated it: ccp under sev_cmd_mutex,
 * guest_memfd under the lock of the page's chunk, or the folio's while it leaves
 * the file. The hardware makes each change of an entry atomic; the owner's lock
 * makes sure that there is one change at a time.
 *
 * Lock order: sev_cmd_mutex, then the functions here, which are leaves. Changes
 * sleep (the direct map may have to be split), so no spinlock may be held, the
 * mmu_lock least of all. Lookups may be done anywhere.
 *
 * Specification: AMD64 Architecture Programmer's Manual volume 2, section
 * "Secure Nested Paging", and volume 3, RMPUPDATE, PSMASH.
 */
#ifndef _ASM_X86_RMP_H
#define _ASM_X86_RMP_H

#include <linux/types.h>

/* Size of an RMP entry, of PVALIDATE and of a firmware command. */
#define RMP_PG_SIZE_4K			0
#define RMP_PG_SIZE_2M			1

#define RMP_TO_PG_LEVEL(size) \
	(((size) == RMP_PG_SIZE_4K) ? PG_LEVEL_4K : PG_LEVEL_2M)
#define PG_LEVEL_TO_RMP(level) \
	(((level) == PG_LEVEL_4K) ? RMP_PG_SIZE_4K : RMP_PG_SIZE_2M)

/* Why a page is leaked; debugfs has a word for each. */
enum snp_leak {
	SNP_LEAK_GUEST,		/* a guest's memory, still assigned when it ended */
	SNP_LEAK_VMSA,		/* a vCPU's registers, likewise */
	SNP_LEAK_CONTEXT,	/* of a guest that was not decommissioned */
	SNP_LEAK_COMMAND,	/* of a command that did not end */
	SNP_LEAK_RECLAIM,	/* firmware's, who did not give it back */
	SNP_LEAK_BESIDE,	/* allocated together with one of the above */
	SNP_NR_LEAKS,
};

struct cpuinfo_x86;

#ifdef CONFIG_AMD_SNP_HOST

/**
 * snp_host_bsp_detect() - Decide at boot whether this host can do SNP
 * @c: the boot CPU
 *
 * Sets CC_ATTR_HOST_SEV_SNP or clears X86_FEATURE_SEV_SNP. Bare metal only.
 */
void snp_host_bsp_detect(struct cpuinfo_x86 *c);

/**
 * snp_host_say_bios() - Say which of SNP's needs the BIOS has left undone
 * @c: a CPU whose SEV the BIOS has not enabled
 *
 * A line of the log, once, on bare metal that has SNP. Changes nothing.
 */
void snp_host_say_bios(struct cpuinfo_x86 *c);

/**
 * snp_fixup_e820_tables() - Keep the edges of the RMP out of the page allocator
 *
 * If the RMP does not start or end at 2 MiB, the rest of that 2 MiB cannot be
 * written through a 2 MiB mapping; it is reserved. While memblock is in use.
 */
void snp_fixup_e820_tables(void);

/**
 * snp_host_refuse() - Do without SNP, as the kernel's command line says
 *
 * While it is parsed, before the RMP is set up.
 *
 * Return: false in a guest, for which that option is none.
 */
bool snp_host_refuse(void);

/**
 * snp_rmptable_init() - Map the RMP, and see that it covers memory
 *
 * During boot, from the IOMMU driver when it is known that the IOMMU can do SNP.
 * If CPUs check the RMP already (kexec), CPU hotplug is forbidden from here on.
 *
 * Return: 0; -ENODEV if the host has no SNP; -EINVAL if the RMP does not cover
 * memory, or cannot be mapped; -ENOMEM. There is no RMP then.
 */
int snp_rmptable_init(void);

/**
 * snp_prepare() - Make all CPUs check the RMP, for SNP_INIT
 *
 * Clears the RMP, unless it is in use since before kexec, and VM_HSAVE_PA of all
 * CPUs. From success on CPUs neither come nor go (-EBUSY), until snp_shutdown().
 * May be called again. Sleeps.
 *
 * Return: 0; -ENODEV without an RMP; -EOPNOTSUPP if a CPU that is present is
 * offline; -EBUSY if one has SVM on, that is, if a VM could run. No CPU was
 * changed then, nor was that CPU if it had SVM turned on meanwhile.
 */
int snp_prepare(void);

/**
 * snp_shutdown() - Undo snp_prepare() after SNP_SHUTDOWN_EX with X86_SNP_SHUTDOWN
 *
 * Does nothing if the CPUs still check the RMP. Sleeps.
 */
void snp_shutdown(void);

/**
 * snp_lookup_rmpentry() - Look up the state of a page
 * @pfn:	the page
 * @assigned:	set to whether it is assigned (to a guest or to firmware)
 * @level:	set to the size of the entry, PG_LEVEL_4K or PG_LEVEL_2M
 *
 * Inside an assigned 2 MiB entry that one holds for every page.
 *
 * Any context. The answer may be old when it arrives unless the caller owns
 * the page.
 *
 * Return: 0; -ENODEV without an RMP, or if CPUs do not check it; -ENXIO if the
 * RMP does not cover @pfn, so that it is the hypervisor's for ever; -EIO if the
 * CPU does not tell. @assigned and @level are untouched then.
 */
int snp_lookup_rmpentry(u64 pfn, bool *assigned, int *level);

/**
 * psmash() - Split a 2 MiB entry into 512 of 4 KiB
 * @pfn: the first page, aligned to 2 MiB
 *
 * Contents, owner and whether the guest has validated them stay. An entry that
 * already is of 4 KiB is a success. Any context. If one of the pages is to be
 * the hypervisor's while others are not, see rmp_split_2m().
 *
 * Return: 0; -ENODEV; -EINVAL if @pfn is not aligned; -EAGAIN if another CPU
 * or firmware holds the entry for longer than we care to spin; -EFAULT if the
 * CPU refuses (logged). The entry is unchanged then.
 */
int psmash(u64 pfn);

/**
 * rmp_split_2m() - Split a 2 MiB entry so that its pages may change hands
 * @pfn: any of its pages
 *
 * psmash(), with the direct map split before: pages of it that become the
 * hypervisor's must not be mapped together with others. May sleep.
 *
 * Return: as psmash(), and -ENOMEM if the direct map cannot be split. The entry
 * is unchanged then.
 */
int rmp_split_2m(u64 pfn);

/**
 * rmp_make_private() - Give a page of the hypervisor to a guest
 * @pfn:	the page, or the first one of 2 MiB
 * @gpa:	guest physical address in bytes
 * @level:	PG_LEVEL_4K or PG_LEVEL_2M
 * @asid:	the guest, not 0
 * @immutable:	true for pre-guest, that is for SNP_LAUNCH_UPDATE
 *
 * The caller owns the page. Splits the direct map first if it maps the page
 * together with others. May sleep.
 *
 * Return: 0; -ENODEV; -EINVAL if pfn, gpa, asid or level make no sense;
 * -ENOMEM if the direct map cannot be split; -EAGAIN if the entry overlaps
 * another one for longer than we care to spin; -EBUSY if the page is in use as
 * a VMSA; -EFAULT if the CPU refuses (logged). The page keeps its state then.
 */
int rmp_make_private(u64 pfn, u64 gpa, int level, u32 asid, bool immutable);

/**
 * rmp_make_firmware() - Give pages of the hypervisor to firmware
 * @pfn:	the first page
 * @npages:	number of 4 KiB pages
 *
 * The caller owns the pages. May sleep. If a page cannot be given, those
 * before it *stay* firmware's: only firmware can give them back, see
 * snp_reclaim_pages().
 *
 * Return: the number of pages that are firmware's now, or, if there is none,
 * the error as in rmp_make_private().
 */
int rmp_make_firmware(u64 pfn, unsigned int npages);

/**
 * rmp_make_shared() - Make a page the hypervisor's
 * @pfn:	the page, or the first one of 2 MiB
 * @level:	PG_LEVEL_4K or PG_LEVEL_2M, as the entry is
 *
 * The page must be in state reclaim or guest-*; immutable pages need
 * SNP_PAGE_RECLAIM before. A page that is the hypervisor's already is a
 * success. If it was a guest's, its content is ciphertext and stays in the
 * caches under the guest's key: flush before if the CPU lacks
 * X86_FEATURE_SME_COHERENT. The direct map is not touched, so no sleep.
 *
 * Return: as rmp_make_private(). The page keeps its state then, and must not
 * be freed: see snp_leak_pages().
 */
int rmp_make_shared(u64 pfn, int level);

/**
 * snp_leak_pages() - Keep pages that the RMP will not give back
 * @pfn:	the first page
 * @npages:	number of 4 KiB pages
 * @why:	what they are
 *
 * Takes a reference on each that is never dropped (on the compound page, if it
 * is part of one), counts and lists them in debugfs (sev-snp/leaked) and logs
 * the first ones. One that is leaked already stays so, for its first reason,
 * unless the list had no memory for it. Not in interrupts; cannot fail.
 */
void snp_leak_pages(u64 pfn, unsigned int npages, enum snp_leak why);

/**
 * snp_dump_hva_rmpentry() - Print the RMP entry behind a kernel address
 * @hva: any address; if it is not mapped, that is what is printed
 */
void snp_dump_hva_rmpentry(unsigned long hva);

/**
 * snp_user_rmp_fault() - Is this RMP fault at a user address an error?
 * @address: a user address of the current mm
 *
 * Return: true if the page behind it, or one of the 2 MiB around it if the
 * mapping is large, belongs to somebody else or is leaked, so that the access
 * must fail; false if it may be repeated: the page was firmware's for the length
 * of a command, or the mapping is gone.
 */
bool snp_user_rmp_fault(unsigned long address);

/**
 * kdump_sev_callback() - Write back this CPU's caches before a crash kernel
 *
 * Firmware shuts SNP down only if every CPU has done it.
 */
void kdump_sev_callback(void);

#else /* !CONFIG_AMD_SNP_HOST */

static inline void snp_host_bsp_detect(struct cpuinfo_x86 *c) { }
static inline void snp_host_say_bios(struct cpuinfo_x86 *c) { }
static inline void snp_fixup_e820_tables(void) { }
static inline bool snp_host_refuse(void) { return false; }
static inline int snp_rmptable_init(void) { return -ENODEV; }
static inline int snp_prepare(void) { return -ENODEV; }
static inline void snp_shutdown(void) { }

static inline int snp_lookup_rmpentry(u64 pfn, bool *assigned, int *level)
{
	return -ENODEV;
}

static inline int psmash(u64 pfn) { return -ENODEV; }
static inline int rmp_split_2m(u64 pfn) { return -ENODEV; }

static inline int rmp_make_private(u64 pfn, u64 gpa, int level, u32 asid,
				   bool immutable)
{
	return -ENODEV;
}

static inline int rmp_make_firmware(u64 pfn, unsigned int npages)
{
	return -ENODEV;
}

static inline int rmp_make_shared(u64 pfn, int level) { return -ENODEV; }

static inline void snp_leak_pages(u64 pfn, unsigned int npages,
				  enum snp_leak why)
{
}

static inline void snp_dump_hva_rmpentry(unsigned long hva) { }
static inline bool snp_user_rmp_fault(unsigned long address) { return false; }
static inline void kdump_sev_callback(void) { }

#endif /* CONFIG_AMD_SNP_HOST */

#endif /* _ASM_X86_RMP_H */
