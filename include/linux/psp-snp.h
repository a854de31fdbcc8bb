/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SEV-SNP commands of the AMD secure processor, and what the ccp driver offers
 * for them to KVM.
 *
 * Specification: SEV Secure Nested Paging Firmware ABI, 56860.
 */
#ifndef __LINUX_PSP_SNP_H
#define __LINUX_PSP_SNP_H

#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/types.h>
#include <uapi/linux/psp-sev.h>

/* Commands; all that are not below 0x80 are SNP's. */
enum snp_cmd {
	SEV_CMD_SNP_INIT = 0x81, SEV_CMD_SNP_SHUTDOWN,
	SEV_CMD_SNP_PLATFORM_STATUS, SEV_CMD_SNP_DF_FLUSH,
	SEV_CMD_SNP_INIT_EX, SEV_CMD_SNP_SHUTDOWN_EX,
	SEV_CMD_SNP_DECOMMISSION = 0x90, SEV_CMD_SNP_ACTIVATE,
	SEV_CMD_SNP_GUEST_STATUS, SEV_CMD_SNP_GCTX_CREATE,
	SEV_CMD_SNP_GUEST_REQUEST, SEV_CMD_SNP_ACTIVATE_EX,
	SEV_CMD_SNP_LAUNCH_START = 0xa0, SEV_CMD_SNP_LAUNCH_UPDATE,
	SEV_CMD_SNP_LAUNCH_FINISH,
	SEV_CMD_SNP_DBG_DECRYPT = 0xb0, SEV_CMD_SNP_DBG_ENCRYPT,
	SEV_CMD_SNP_VERIFY_MITIGATION,
	SEV_CMD_SNP_PAGE_RECLAIM = 0xc7, SEV_CMD_SNP_PAGE_UNSMASH,
	SEV_CMD_SNP_CONFIG, SEV_CMD_SNP_DOWNLOAD_FIRMWARE_EX,
	SEV_CMD_SNP_COMMIT,
	SEV_CMD_SNP_VLEK_LOAD = 0xcd, SEV_CMD_SNP_FEATURE_INFO,
};

/* The oldest firmware ABI that this kernel can work with. */
#define SNP_MIN_API_MAJOR	1
#define SNP_MIN_API_MINOR	51

/* Types of pages of SNP_LAUNCH_UPDATE */
enum snp_page_type {
	SNP_PAGE_TYPE_NORMAL		= 1,
	SNP_PAGE_TYPE_VMSA		= 2,
	SNP_PAGE_TYPE_ZERO		= 3,
	SNP_PAGE_TYPE_UNMEASURED	= 4,
	SNP_PAGE_TYPE_SECRET		= 5,
	SNP_PAGE_TYPE_CPUID		= 6,
};

/* All addresses below are system physical, and in bytes. */

/* SNP_PLATFORM_STATUS: out; SNP_GCTX_CREATE, SNP_DECOMMISSION: the context */
struct sev_data_snp_addr {
	u64 address;
} __packed;

static_assert(sizeof(struct sev_data_snp_addr) == 8);

struct sev_data_snp_activate {
	u64 gctx_paddr;
	u32 asid;
} __packed;

static_assert(sizeof(struct sev_data_snp_activate) == 12);

struct sev_data_snp_guest_status {
	u64 gctx_paddr;
	u64 address;			/* a firmware page */
} __packed;

static_assert(sizeof(struct sev_data_snp_guest_status) == 16);

struct sev_data_snp_guest_request {
	u64 gctx_paddr;
	u64 req_paddr;			/* read, a page of the hypervisor */
	u64 res_paddr;			/* written, a firmware page; stays one */
} __packed;

static_assert(sizeof(struct sev_data_snp_guest_request) == 24);

struct sev_data_snp_launch_start {
	u64 gctx_paddr;
	u64 policy;
	u64 ma_gctx_paddr;		/* migration agent */
	u32 ma_en:1, imi_en:1, rsvd:30;
	u32 desired_tsc_khz;
	u8 gosvw[16];
} __packed;

static_assert(sizeof(struct sev_data_snp_launch_start) == 48);
static_assert(offsetof(struct sev_data_snp_launch_start, gosvw) == 0x20);

struct sev_data_snp_launch_update {
	u64 gctx_paddr;
	/* RMP_PG_SIZE_*, enum snp_page_type */
	u32 page_size:1, page_type:3, imi_page:1, rsvd:27;
	u32 rsvd2;
	u64 address;			/* a pre-guest page */
	u32 rsvd3:8, vmpl1_perms:8, vmpl2_perms:8, vmpl3_perms:8;
	u32 rsvd4;
} __packed;

static_assert(sizeof(struct sev_data_snp_launch_update) == 32);
static_assert(offsetof(struct sev_data_snp_launch_update, address) == 0x10);

struct sev_data_snp_launch_finish {
	u64 gctx_paddr;
	u64 id_block_paddr;
	u64 id_auth_paddr;
	u8 id_block_en:1, auth_key_en:1, vcek_disabled:1;
	u64 rsvd:61;
	u8 host_data[32];
} __packed;

static_assert(sizeof(struct sev_data_snp_launch_finish) == 64);
static_assert(offsetof(struct sev_data_snp_launch_finish, host_data) == 0x20);

/* SNP_PAGE_RECLAIM and SNP_PAGE_UNSMASH; bit 0 of @paddr is RMP_PG_SIZE_* */
struct sev_data_snp_page_reclaim {
	u64 paddr;
} __packed;

static_assert(sizeof(struct sev_data_snp_page_reclaim) == 8);

struct sev_data_snp_page_unsmash {
	u64 paddr;
} __packed;

static_assert(sizeof(struct sev_data_snp_page_unsmash) == 8);

struct sev_data_snp_dbg {
	u64 gctx_paddr;
	u64 src_addr;
	u64 dst_addr;
} __packed;

static_assert(sizeof(struct sev_data_snp_dbg) == 24);

struct sev_data_snp_init_ex {
	u32 init_rmp:1;
	u32 list_paddr_en:1;
	u32 rapl_dis:1;
	u32 ciphertext_hiding_en:1;
	u32 rsvd:28;
	u32 rsvd1;
	u64 list_paddr;			/* struct sev_data_range_list */
	u16 max_snp_asid;
	u8 rsvd2[46];
} __packed;

static_assert(sizeof(struct sev_data_snp_init_ex) == 64);
static_assert(offsetof(struct sev_data_snp_init_ex, list_paddr) == 8);

struct sev_data_range {
	u64 base;
	u32 page_count;			/* 4 KiB pages */
	u32 rsvd;
} __packed;

static_assert(sizeof(struct sev_data_range) == 16);

struct sev_data_range_list {
	u32 num_elements;
	u32 rsvd;
	struct sev_data_range ranges[];
} __packed;

static_assert(sizeof(struct sev_data_range_list) == 8);

struct sev_data_snp_shutdown_ex {
	u32 len;
	u32 iommu_snp_shutdown:1;
	u32 x86_snp_shutdown:1;
	u32 rsvd1:30;
} __packed;

static_assert(sizeof(struct sev_data_snp_shutdown_ex) == 8);

struct sev_data_snp_commit {
	u32 len;
} __packed;

static_assert(sizeof(struct sev_data_snp_commit) == 4);

struct sev_data_snp_download_firmware_ex {
	u32 length;
	u32 rsvd;
	u64 image_paddr;		/* read */
	u32 image_len;
	u32 commit:1, rsvd2:31;
} __packed;

static_assert(sizeof(struct sev_data_snp_download_firmware_ex) == 24);

struct sev_data_snp_feature_info {
	u32 length;
	u32 ecx_in;
	u64 feature_info_paddr;
} __packed;

static_assert(sizeof(struct sev_data_snp_feature_info) == 16);

/* What SNP_FEATURE_INFO stores: CPUID Fn8000_0024 of the firmware */
struct snp_feature_info {
	u32 eax;
	u32 ebx;
	u32 ecx;
	u32 edx;
} __packed;

static_assert(sizeof(struct snp_feature_info) == 16);

/* SNP_VERIFY_MITIGATION: what is known, or have one verified */
enum snp_mitigation_subcommand {
	SNP_MITIGATION_STATUS	= 0,
	SNP_MITIGATION_VERIFY	= 1,
};

struct sev_data_snp_verify_mitigation {
	u32 length;
	u16 subcommand;
	u16 rsvd;
	u64 vector;			/* one bit, to be verified */
	u32 dst_paddr_en:1, rsvd2:31;
	u32 rsvd3;
	u64 src_paddr;			/* for mitigations that want data */
	u64 dst_paddr;			/* a firmware page */
	u8 rsvd4[24];
} __packed;

static_assert(sizeof(struct sev_data_snp_verify_mitigation) == 64);
static_assert(offsetof(struct sev_data_snp_verify_mitigation, dst_paddr) == 0x20);

/* What it stores at @dst_paddr */
struct snp_mitigations {
	u64 verified;
	u64 supported;
	u32 failure;			/* why it was not verified */
} __packed;

static_assert(sizeof(struct snp_mitigations) == 20);

/* How to bring the platform up, and how it went */
struct sev_platform_init_args {
	/* Status of the firmware, SEV_RET_NO_FW_CALL if it was not asked */
	int error;
	/*
	 * True when KVM loads: SNP is initialised, SEV only if the module
	 * parameter psp_init_on_probe says so. False when SEV is needed.
	 */
	bool probe;
	/*
	 * Hide ciphertext, and have ASIDs up to this one for SNP guests only; 0
	 * not to. Counts if SNP is not initialised yet.
	 */
	unsigned int max_snp_asid;
};

#ifdef CONFIG_CRYPTO_DEV_SP_PSP

/**
 * sev_module_init() - Make sure that the ccp driver has probed its devices
 *
 * For a KVM that is built in, and would come before it. Else it does nothing.
 *
 * Return: 0, or the error of the driver's registration.
 */
int sev_module_init(void);

/**
 * sev_platform_init() - Initialise SNP, then SEV
 * @args: see there
 *
 * Takes sev_cmd_mutex. What is initialised already stays so. A firmware without
 * SNP, or a host without, is no error; an SNP initialisation that fails is, and
 * SEV is left alone then. The first call must come before the first VM: it sets
 * VM_HSAVE_PA to 0 on all CPUs.
 *
 * Return: 0; -ENODEV without a device; -EOPNOTSUPP if not all present CPUs are
 * online; -ENOMEM; -ETIMEDOUT; -EIO if firmware refused, see @args->error.
 */
int sev_platform_init(struct sev_platform_init_args *args);

/**
 * sev_platform_shutdown() - Shut SEV and SNP down, give all memory back
 *
 * For KVM when it goes. All guests must be gone. Takes sev_cmd_mutex.
 */
void sev_platform_shutdown(void);

/**
 * snp_is_initialized() - Does the firmware run SNP?
 *
 * Only sev_platform_init() and sev_platform_shutdown() change it.
 */
bool snp_is_initialized(void);

/**
 * sev_is_snp_ciphertext_hiding_supported() - Can DRAM's ciphertext be hidden?
 *
 * By firmware, and as the BIOS has it. Known from the driver's probe on.
 */
bool sev_is_snp_ciphertext_hiding_supported(void);

/**
 * sev_get_snp_policy_bits() - Which bits may a guest's policy have?
 *
 * Known from the driver's probe on. 0 on a host without SNP.
 */
u64 sev_get_snp_policy_bits(void);

/**
 * sev_firmware_allows_es() - Does firmware still have SEV-ES?
 *
 * False without a device, and while SNP is up if firmware is of a security
 * version that withdrew SEV-ES beside it (AMD-SB-3023).
 */
bool sev_firmware_allows_es(void);

/**
 * sev_do_cmd() - Issue a command of SEV or SNP
 * @cmd:	the command
 * @data:	its buffer, of the length of the command; need not be
 *		physically contiguous; NULL if the command has none
 * @psp_ret:	set to the status of the firmware, SEV_RET_NO_FW_CALL if it
 *		was not asked; may be NULL
 *
 * Takes sev_cmd_mutex; may sleep. While SNP is up, pages that legacy commands
 * write are made firmware's for the length of the command. Pages that SNP
 * commands write are the caller's to prepare.
 *
 * Return: 0; -ENODEV; -EBUSY if the device died before; -EINVAL if @data does
 * not fit the command; -ENOMEM; -EFAULT if pages could not be made firmware's
 * or be had back (these are leaked then); -ETIMEDOUT; -EIO if firmware refused.
 */
int sev_do_cmd(int cmd, void *data, int *psp_ret);

/**
 * snp_alloc_firmware_page() - Allocate a page for firmware to write to
 * @gfp: for the allocation; __GFP_ZERO works
 *
 * The page is firmware's if SNP is up, else the hypervisor's. May sleep.
 *
 * Return: its address in the direct map, or NULL.
 */
void *snp_alloc_firmware_page(gfp_t gfp);

/**
 * snp_free_firmware_page() - Free such a page
 * @addr: what snp_alloc_firmware_page() returned, or NULL
 *
 * Reclaims it if SNP is up; if that fails, it is leaked. A guest's context page
 * must have been decommissioned. Takes sev_cmd_mutex.
 */
void snp_free_firmware_page(void *addr);

/**
 * snp_reclaim_pages() - Have pages back that are firmware's, or pre-guest
 * @paddr:	of the first, may have the encryption bit
 * @npages:	number of 4 KiB pages, each with a 4 KiB entry
 * @locked:	the caller holds sev_cmd_mutex
 *
 * Makes them the hypervisor's. A page that will not come back is leaked, the
 * others are tried nevertheless.
 *
 * Return: 0, or the error of the first page that was leaked. Pages that came
 * back may be freed, leaked ones have a reference more and may be put, too.
 */
int snp_reclaim_pages(unsigned long paddr, unsigned int npages, bool locked);

/**
 * snp_reclaim_2m() - Have 2 MiB back that are pre-guest by one entry
 * @paddr:	of the first byte, may have the encryption bit
 *
 * As snp_reclaim_pages(), all or nothing. Takes sev_cmd_mutex.
 *
 * Return: 0, or -EFAULT if all of it was leaked.
 */
int snp_reclaim_2m(unsigned long paddr);

/**
 * snp_dev_is_dead() - Does the secure processor answer no more?
 *
 * Then it keeps what it has, and every page that is made ready for a command is
 * lost: ask first. Any context; once true it stays so.
 */
bool snp_dev_is_dead(void);

#else

static inline int sev_module_init(void) { return -ENODEV; }

static inline int sev_platform_init(struct sev_platform_init_args *args)
{
	return -ENODEV;
}

static inline void sev_platform_shutdown(void) { }
static inline bool snp_is_initialized(void) { return false; }

static inline int sev_do_cmd(int cmd, void *data, int *psp_ret)
{
	return -ENODEV;
}

static inline void *snp_alloc_firmware_page(gfp_t gfp) { return NULL; }
static inline void snp_free_firmware_page(void *addr) { }

static inline int snp_reclaim_pages(unsigned long paddr, unsigned int npages,
				    bool locked)
{
	return -ENODEV;
}

static inline int snp_reclaim_2m(unsigned long paddr)
{
	return -ENODEV;
}

static inline bool snp_dev_is_dead(void) { return false; }

static inline bool sev_is_snp_ciphertext_hiding_supported(void)
{
	return false;
}

static inline u64 sev_get_snp_policy_bits(void) { return 0; }
static inline bool sev_firmware_allows_es(void) { return false; }

#endif /* CONFIG_CRYPTO_DEV_SP_PSP */

#endif /* __LINUX_PSP_SNP_H */
