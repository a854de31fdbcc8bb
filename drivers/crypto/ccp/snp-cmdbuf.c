// SPDX-License-Identifier: GPL-2.0-only
/*
 * Command buffers while SNP is up: what firmware writes must be firmware's.
 *
 * One table says of every command how long it is, whether firmware writes the
 * command buffer itself, and which other buffers it writes. Commands of SNP
 * take firmware or pre-guest pages, which are their callers' to prepare.
 *
 * Specification: SEV API 55766, SNP firmware ABI 56860 section "Legacy SEV
 * commands while SNP is enabled".
 */
#include <linux/bits.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/mem_encrypt.h>
#include <asm/processor.h>
#include <asm/rmp.h>

#include "psp-dev.h"
#include "sev-dev.h"
#include "snp-dev.h"

#define CPUID_SEV	0x8000001f
#define CPUID_SEV_C_BIT	GENMASK(5, 0)		/* EBX */

/* A buffer given by address and length, which are fields of the command */
struct snp_out_desc {
	u8 used;
	u8 in_place;		/* of a guest: turned where it is, not copied */
	u8 paddr;		/* offset of a u64 */
	u8 len;			/* offset of a u32 */
};

struct snp_cmd_desc {
	u16 cmd;
	u16 len;
	bool writes_buf;
	struct snp_out_desc out[SNP_CMD_MAX_OUT];
};

#define OUT(type, addr_field, len_field) { 1, 0,			\
	offsetof(struct sev_data_##type, addr_field),			\
	offsetof(struct sev_data_##type, len_field) }
#define GUEST(type, addr_field, len_field) { 1, 1,			\
	offsetof(struct sev_data_##type, addr_field),			\
	offsetof(struct sev_data_##type, len_field) }
#define LEN(type) sizeof(struct sev_data_##type)

static const struct snp_cmd_desc snp_cmds[] = {
	/* Legacy commands that write to memory */
	{ SEV_CMD_PLATFORM_STATUS, sizeof(struct sev_user_data_status), true },
	{ SEV_CMD_GUEST_STATUS, LEN(guest_status), true },
	{ SEV_CMD_LAUNCH_START, LEN(launch_start), true },
	{ SEV_CMD_RECEIVE_START, LEN(receive_start), true },
	{ SEV_CMD_PEK_CSR, LEN(pek_csr), true,
	  { OUT(pek_csr, address, len) } },
	{ SEV_CMD_PDH_CERT_EXPORT, LEN(pdh_cert_export), true,
	  { OUT(pdh_cert_export, pdh_cert_address, pdh_cert_len),
	    OUT(pdh_cert_export, cert_chain_address, cert_chain_len) } },
	{ SEV_CMD_GET_ID, LEN(get_id), true,
	  { OUT(get_id, address, len) } },
	{ SEV_CMD_LAUNCH_MEASURE, LEN(launch_measure), true,
	  { OUT(launch_measure, address, len) } },
	{ SEV_CMD_ATTESTATION_REPORT, LEN(attestation_report), true,
	  { OUT(attestation_report, address, len) } },
	{ SEV_CMD_SEND_START, LEN(send_start), true,
	  { OUT(send_start, session_address, session_len) } },
	{ SEV_CMD_SEND_UPDATE_DATA, LEN(send_update_data), true,
	  { OUT(send_update_data, hdr_address, hdr_len),
	    OUT(send_update_data, trans_address, trans_len) } },
	{ SEV_CMD_SEND_UPDATE_VMSA, LEN(send_update_vmsa), true,
	  { OUT(send_update_vmsa, hdr_address, hdr_len),
	    OUT(send_update_vmsa, trans_address, trans_len) } },
	{ SEV_CMD_LAUNCH_UPDATE_DATA, LEN(launch_update_data), false,
	  { GUEST(launch_update_data, address, len) } },
	{ SEV_CMD_LAUNCH_UPDATE_VMSA, LEN(launch_update_vmsa), false,
	  { GUEST(launch_update_vmsa, address, len) } },
	{ SEV_CMD_LAUNCH_UPDATE_SECRET, LEN(launch_secret), false,
	  { GUEST(launch_secret, guest_address, guest_len) } },
	{ SEV_CMD_RECEIVE_UPDATE_DATA, LEN(receive_update_data), false,
	  { GUEST(receive_update_data, guest_address, guest_len) } },
	{ SEV_CMD_RECEIVE_UPDATE_VMSA, LEN(receive_update_vmsa), false,
	  { GUEST(receive_update_vmsa, guest_address, guest_len) } },
	{ SEV_CMD_DBG_DECRYPT, LEN(dbg), false, { GUEST(dbg, dst_addr, len) } },
	{ SEV_CMD_DBG_ENCRYPT, LEN(dbg), false, { GUEST(dbg, dst_addr, len) } },

	/* Commands of SNP; those that are missing here have no buffer */
	{ SEV_CMD_SNP_INIT_EX, LEN(snp_init_ex) },
	{ SEV_CMD_SNP_SHUTDOWN_EX, LEN(snp_shutdown_ex) },
	{ SEV_CMD_SNP_PLATFORM_STATUS, LEN(snp_addr) },
	{ SEV_CMD_SNP_GCTX_CREATE, LEN(snp_addr) },
	{ SEV_CMD_SNP_DECOMMISSION, LEN(snp_addr) },
	{ SEV_CMD_SNP_ACTIVATE, LEN(snp_activate) },
	{ SEV_CMD_SNP_GUEST_STATUS, LEN(snp_guest_status) },
	{ SEV_CMD_SNP_GUEST_REQUEST, LEN(snp_guest_request) },
	{ SEV_CMD_SNP_LAUNCH_START, LEN(snp_launch_start) },
	{ SEV_CMD_SNP_LAUNCH_UPDATE, LEN(snp_launch_update) },
	{ SEV_CMD_SNP_LAUNCH_FINISH, LEN(snp_launch_finish) },
	{ SEV_CMD_SNP_DBG_DECRYPT, LEN(snp_dbg) },
	{ SEV_CMD_SNP_DBG_ENCRYPT, LEN(snp_dbg) },
	{ SEV_CMD_SNP_VERIFY_MITIGATION, LEN(snp_verify_mitigation) },
	{ SEV_CMD_SNP_PAGE_RECLAIM, LEN(snp_page_reclaim) },
	{ SEV_CMD_SNP_PAGE_UNSMASH, LEN(snp_page_unsmash) },
	{ SEV_CMD_SNP_CONFIG, sizeof(struct sev_user_data_snp_config) },
	{ SEV_CMD_SNP_DOWNLOAD_FIRMWARE_EX, LEN(snp_download_firmware_ex) },
	{ SEV_CMD_SNP_COMMIT, LEN(snp_commit) },
	{ SEV_CMD_SNP_VLEK_LOAD, sizeof(struct sev_user_data_snp_vlek_load) },
	{ SEV_CMD_SNP_FEATURE_INFO, LEN(snp_feature_info) },
};

static const struct snp_cmd_desc *snp_find_cmd(int cmd)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(snp_cmds); i++)
		if (snp_cmds[i].cmd == cmd)
			return &snp_cmds[i];

	return NULL;
}

/* Length of the buffer of a command in bytes, 0 if it has none. */
int snp_cmd_len(int cmd)
{
	const struct snp_cmd_desc *desc = snp_find_cmd(cmd);

	return desc ? desc->len : 0;
}

/*
 * An address as a command has it, without the C-bit. KVM sets that in guests'
 * addresses whether the host's own memory is encrypted or not, so that
 * __sme_clr(), which knows the latter only, is not enough.
 */
static u64 snp_clear_c_bit(u64 paddr)
{
	return paddr & ~BIT_ULL(cpuid_ebx(CPUID_SEV) & CPUID_SEV_C_BIT);
}

static int snp_out_begin(struct snp_cmd_ctx *ctx, const struct snp_out_desc *d)
{
	struct snp_cmd_out *out = &ctx->out[ctx->nr_out];
	void *field = ctx->buf + d->paddr;
	u64 paddr;
	u32 len;
	int ret;

	memcpy(&paddr, field, sizeof(paddr));
	memcpy(&len, ctx->buf + d->len, sizeof(len));
	/* Address 0 asks for the length only. */
	if (!paddr || !len)
		return 0;

	*out = (struct snp_cmd_out) {
		.paddr_field = field,
		.paddr = snp_clear_c_bit(paddr),
		.len = len,
	};

	if (d->in_place) {
		out->npages = PFN_UP(offset_in_page(out->paddr) + (u64)len);
		ret = snp_make_firmware(out->paddr & PAGE_MASK, out->npages);
		if (ret)
			return ret;
	} else {
		out->order = get_order(len);
		out->bounce = snp_alloc_firmware_pages(GFP_KERNEL | __GFP_ZERO,
						       out->order);
		if (!out->bounce)
			return -ENOMEM;
		paddr = __psp_pa(out->bounce);
		memcpy(field, &paddr, sizeof(paddr));
	}

	ctx->nr_out++;
	return 0;
}

static int snp_out_end(struct snp_cmd_out *out)
{
	u64 paddr;
	int ret;

	if (!out->bounce)
		return snp_reclaim_pages(out->paddr & PAGE_MASK, out->npages, true);

	memcpy(&paddr, out->paddr_field, sizeof(paddr));
	ret = snp_reclaim_pages(__pa(out->bounce), 1U << out->order, true);
	if (ret) {
		/* One page that is lost holds the order together. */
		snp_leak_pages(__pa(out->bounce) >> PAGE_SHIFT,
			       1U << out->order, SNP_LEAK_BESIDE);
		return ret;
	}

	memcpy(__va(out->paddr), out->bounce, out->len);
	free_pages((unsigned long)out->bounce, out->order);

	paddr = out->paddr;
	memcpy(out->paddr_field, &paddr, sizeof(paddr));
	return 0;
}

static int snp_outs_end(struct snp_cmd_ctx *ctx)
{
	int ret = 0, rc;

	while (ctx->nr_out) {
		rc = snp_out_end(&ctx->out[--ctx->nr_out]);
		ret = ret ?: rc;
	}
	return ret;
}

static void snp_outs_leak(struct snp_cmd_ctx *ctx)
{
	struct snp_cmd_out *out;

	while (ctx->nr_out) {
		out = &ctx->out[--ctx->nr_out];
		if (out->bounce)
			snp_leak_pages(__pa(out->bounce) >> PAGE_SHIFT,
				       1U << out->order, SNP_LEAK_COMMAND);
		else
			snp_leak_pages(out->paddr >> PAGE_SHIFT, out->npages,
				       SNP_LEAK_COMMAND);
	}
}

static void snp_buf_put(struct sev_device *sev)
{
	sev->cmd_bufs_used--;
}

/**
 * snp_cmd_begin() - Get a command ready for firmware
 * @sev:	the device
 * @ctx:	for snp_cmd_end()
 * @cmd:	the command
 * @data:	the caller's buffer, @len bytes, or NULL
 * @len:	of the command
 *
 * Copies @data to one of two buffers: a command that has to be ended needs
 * SNP_PAGE_RECLAIM, and that is a command too. There is no third level.
 *
 * Return: 0; -EBUSY if both are taken; -ENOMEM; -EFAULT if pages could not be
 * made firmware's. Nothing is held then.
 */
int snp_cmd_begin(struct sev_device *sev, struct snp_cmd_ctx *ctx, int cmd,
		  const void *data, int len)
{
	const struct snp_cmd_desc *desc = snp_find_cmd(cmd);
	int ret, i;

	*ctx = (struct snp_cmd_ctx) { .len = len };
	if (!data)
		return 0;

	if (WARN_ON_ONCE(sev->cmd_bufs_used >= SEV_CMD_BUFS))
		return -EBUSY;

	ctx->buf = sev->cmd_buf + sev->cmd_bufs_used++ * PAGE_SIZE;
	memcpy(ctx->buf, data, len);

	if (!sev->snp_initialized || cmd >= SEV_CMD_SNP_INIT || !desc)
		return 0;

	for (i = 0; i < SNP_CMD_MAX_OUT && desc->out[i].used; i++) {
		ret = snp_out_begin(ctx, &desc->out[i]);
		if (ret)
			goto fail;
	}

	/* The last thing, as the buffer cannot be written any more then. */
	if (desc->writes_buf) {
		ret = snp_make_firmware(__pa(ctx->buf), 1);
		if (ret)
			goto fail;
		ctx->buf_is_firmware = true;
	}

	return 0;

fail:
	snp_outs_end(ctx);
	snp_buf_put(sev);
	return ret;
}

/**
 * snp_cmd_end() - Have everything back after the command
 * @sev:	the device
 * @ctx:	of snp_cmd_begin()
 * @data:	the caller's buffer, which gets the command buffer back, or NULL
 *
 * Return: 0; else the error of the first page that would not come back, which
 * is leaked. If that is the command buffer, the device takes no more commands.
 */
int snp_cmd_end(struct sev_device *sev, struct snp_cmd_ctx *ctx, void *data)
{
	int ret = 0, rc;

	if (!ctx->buf)
		return 0;

	if (ctx->buf_is_firmware) {
		ret = snp_reclaim_pages(__pa(ctx->buf), 1, true);
		if (ret) {
			/* Not writable: no command can use it again. */
			sev->cmd_buf_lost = true;
			snp_outs_leak(ctx);
			snp_buf_put(sev);
			return ret;
		}
	}

	rc = snp_outs_end(ctx);
	ret = ret ?: rc;
	memcpy(data, ctx->buf, ctx->len);
	snp_buf_put(sev);
	return ret;
}

/* The device died with the command; its pages are firmware's for ever. */
void snp_cmd_abandon(struct sev_device *sev, struct snp_cmd_ctx *ctx)
{
	sev->cmd_buf_lost = true;
	if (!ctx->buf)
		return;

	snp_outs_leak(ctx);

	if (ctx->buf_is_firmware)
		snp_leak_pages(__pa(ctx->buf) >> PAGE_SHIFT, 1,
			       SNP_LEAK_COMMAND);

	snp_buf_put(sev);
}
