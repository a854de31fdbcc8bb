/* SPDX-License-Identifier: GPL-2.0-only */
/* What sev-dev.c and the files of SNP share; all under sev_cmd_mutex. */
#ifndef __SNP_DEV_H__
#define __SNP_DEV_H__

#include <linux/types.h>
#include <linux/psp-sev.h>

struct sev_device;

#define SNP_TMR_SIZE		(2 * 1024 * 1024)
#define SNP_CMD_MAX_OUT		2

/* A buffer that firmware writes, while the command runs */
struct snp_cmd_out {
	void *paddr_field;		/* in the copy of the command */
	u64 paddr;			/* what the caller had there */
	u32 len;
	void *bounce;			/* NULL if turned in place */
	unsigned int npages;
	unsigned int order;
};

/* A command from snp_cmd_begin() to snp_cmd_end() */
struct snp_cmd_ctx {
	void *buf;			/* the copy that firmware sees */
	int len;
	bool buf_is_firmware;
	unsigned int nr_out;
	struct snp_cmd_out out[SNP_CMD_MAX_OUT];
};

/* sev-dev.c */
extern struct mutex sev_cmd_mutex;
int __sev_do_cmd_locked(int cmd, void *data, int *psp_ret);
/* SEV's INIT and SHUTDOWN, which leave SNP as it is; 0 if it is so already. */
int __sev_legacy_init_locked(int *error);
int __sev_platform_shutdown_locked(int *error);
bool sev_version_greater_or_equal(u8 maj, u8 min);

/* sev-errors.c */
void sev_say_more(struct sev_device *sev, int cmd, u32 lsb, u32 msb);

/* snp-cmdbuf.c */
int snp_cmd_len(int cmd);
int snp_cmd_begin(struct sev_device *sev, struct snp_cmd_ctx *ctx, int cmd,
		  const void *data, int len);
int snp_cmd_end(struct sev_device *sev, struct snp_cmd_ctx *ctx, void *data);
void snp_cmd_abandon(struct sev_device *sev, struct snp_cmd_ctx *ctx);

/* snp-pages.c */
int snp_make_firmware(u64 paddr, unsigned int npages);
int snp_give_or_free(void *addr, unsigned int order);
void *snp_alloc_firmware_pages(gfp_t gfp, unsigned int order);
void snp_free_firmware_pages(void *addr, unsigned int order);
int snp_cmd_answer(int cmd, void *data, size_t addr_at, void *answer, size_t len,
		   int *error);

/* snp-init.c */
int snp_init_locked(struct sev_device *sev, unsigned int max_snp_asid,
		    int *error);
int snp_shutdown_locked(struct sev_device *sev, bool panic);

/* snp-features.c */
void snp_ask_features(struct sev_device *sev);
int snp_ask_features_locked(struct sev_device *sev, int *error);
/* Whether SNP_SHUTDOWN_EX turns SNP off in the CPUs, too. */
bool snp_can_shut_x86_down(struct sev_device *sev);

/* Whether there is SNP_VERIFY_MITIGATION. */
bool snp_has_mitigations(struct sev_device *sev);

/* snp-mitigations.c: its files in sysfs, where there is the command */
void snp_add_mitigations(struct sev_device *sev);
void snp_remove_mitigations(void);

/* snp-update.c */
#ifdef CONFIG_CRYPTO_DEV_SP_PSP_FW_UPLOAD
void snp_note_context(struct sev_device *sev, int cmd, const void *data);
void snp_add_update(struct sev_device *sev);
void snp_remove_update(void);
#else
static inline void snp_note_context(struct sev_device *sev, int cmd,
				    const void *data)
{
}

static inline void snp_add_update(struct sev_device *sev) { }
static inline void snp_remove_update(void) { }
#endif

/* snp-ioctl.c */
int snp_ioctl(struct sev_device *sev, struct sev_issue_cmd *argp, bool writable);

#endif
