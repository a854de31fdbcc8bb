// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other firmware in place of the one that runs, with SNP on and SNP guests there.
 *
 * User space writes an image to /sys/class/firmware/snp_dlfw_ex. It runs from
 * then on, but is not committed: what ran before may be written there, too, until
 * SNP_COMMIT. SEV has to be shut down meanwhile, and so cannot have guests; each
 * context of an SNP guest is told to follow by asking for its status.
 *
 * Specification: SNP firmware ABI 56860, SNP_DOWNLOAD_FIRMWARE_EX.
 */
#include <linux/device.h>
#include <linux/firmware.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/xarray.h>
#include <asm/mem_encrypt.h>
#include <asm/smp.h>

#include "psp-dev.h"
#include "sev-dev.h"
#include "snp-dev.h"

/* Far more than an image has. */
#define SNP_IMAGE_MAX	SZ_1M

static struct fw_upload *upload;

/* Contexts of SNP guests, by frame; under sev_cmd_mutex. */
static DEFINE_XARRAY(contexts);
/* There are some that are not in it, for want of memory. */
static bool contexts_lost;

static const struct {
	int status;
	enum fw_upload_err err;
	const char *why;
} refusals[] = {
	{ SEV_RET_INVALID_LEN, FW_UPLOAD_ERR_INVALID_SIZE,
	  "its length is not that of an image" },
	{ SEV_RET_INVALID_PARAM, FW_UPLOAD_ERR_RW_ERROR, "it is no image" },
	{ SEV_RET_BAD_SIGNATURE, FW_UPLOAD_ERR_RW_ERROR,
	  "its signature is wrong: it is damaged, or of another processor" },
	{ SEV_RET_BAD_VERSION, FW_UPLOAD_ERR_RW_ERROR,
	  "it is older than what is committed" },
	{ SEV_RET_BAD_SVN, FW_UPLOAD_ERR_RW_ERROR,
	  "its security version is below the committed one" },
	{ SEV_RET_SHUTDOWN_REQUIRED, FW_UPLOAD_ERR_BUSY,
	  "not while SNP is on, or not with the guests that there are" },
	{ SEV_RET_INVALID_PLATFORM_STATE, FW_UPLOAD_ERR_BUSY,
	  "the platform is in another state" },
	{ SEV_RET_RESTORE_REQUIRED, FW_UPLOAD_ERR_RW_ERROR,
	  "firmware wants what ran before" },
	{ SEV_RET_UPDATE_FAILED, FW_UPLOAD_ERR_HW_ERROR,
	  "firmware could not be replaced" },
};

static enum fw_upload_err verdict(struct sev_device *sev, int ret, int error)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(refusals); i++) {
		if (ret != -EIO || error != refusals[i].status)
			continue;
		dev_err(sev->dev, "SEV-SNP: image refused, error %#x: %s\n",
			error, refusals[i].why);
		return refusals[i].err;
	}

	dev_err(sev->dev, "SEV-SNP: no update, rc %d, error %#x\n", ret, error);
	return ret == -ETIMEDOUT ? FW_UPLOAD_ERR_TIMEOUT : FW_UPLOAD_ERR_HW_ERROR;
}

/**
 * snp_note_context() - Know which contexts of guests there are
 * @sev:	the device
 * @cmd:	a command that firmware has carried out
 * @data:	its buffer
 *
 * Under sev_cmd_mutex. Does nothing but for the two that begin and end one.
 */
void snp_note_context(struct sev_device *sev, int cmd, const void *data)
{
	const struct sev_data_snp_addr *addr = data;
	unsigned long pfn;

	if (cmd != SEV_CMD_SNP_GCTX_CREATE && cmd != SEV_CMD_SNP_DECOMMISSION)
		return;

	pfn = __sme_clr(addr->address) >> PAGE_SHIFT;
	if (cmd == SEV_CMD_SNP_DECOMMISSION) {
		xa_erase(&contexts, pfn);
		return;
	}

	if (xa_is_err(xa_store(&contexts, pfn, xa_mk_value(1), GFP_KERNEL))) {
		contexts_lost = true;
		dev_warn(sev->dev, "SEV-SNP: no updates any more, memory is short\n");
	}
}

/* Until it is asked for its status a context is the other firmware's. */
static bool contexts_follow(struct sev_device *sev)
{
	struct sev_data_snp_guest_status status = {};
	bool all = true;
	unsigned long pfn;
	int ret, error;
	void *entry;

	xa_for_each(&contexts, pfn, entry) {
		error = SEV_RET_NO_FW_CALL;
		status.gctx_paddr = __sme_set((u64)pfn << PAGE_SHIFT);
		ret = snp_cmd_answer(SEV_CMD_SNP_GUEST_STATUS, &status,
				     offsetof(struct sev_data_snp_guest_status,
					      address),
				     NULL, 0, &error);
		if (!ret)
			continue;
		dev_err(sev->dev, "SEV-SNP: the guest of context %#lx is lost, rc %d, error %#x\n",
			pfn, ret, error);
		all = false;
	}

	return all;
}

/* SEV is down. */
static enum fw_upload_err download(struct sev_device *sev, const void *image,
				   u32 size)
{
	struct sev_data_snp_download_firmware_ex data = {
		.length = sizeof(data),
		.image_paddr = __psp_pa(image),
		.image_len = size,
	};
	struct sev_user_data_status status;
	int error = SEV_RET_NO_FW_CALL, ret = 0;

	if (sev->snp_initialized) {
		wbinvd_on_all_cpus();
		ret = __sev_do_cmd_locked(SEV_CMD_SNP_DF_FLUSH, NULL, &error);
	}
	if (!ret)
		ret = __sev_do_cmd_locked(SEV_CMD_SNP_DOWNLOAD_FIRMWARE_EX,
					  &data, &error);
	if (ret)
		return verdict(sev, ret, error);

	if (!contexts_follow(sev))
		return FW_UPLOAD_ERR_HW_ERROR;

	ret = __sev_do_cmd_locked(SEV_CMD_PLATFORM_STATUS, &status, &error);
	if (!ret) {
		sev->api_major = status.api_major;
		sev->api_minor = status.api_minor;
		sev->build = status.build;
		ret = snp_ask_features_locked(sev, &error);
	}
	if (ret)
		return verdict(sev, ret, error);

	dev_info(sev->dev, "SEV-SNP: firmware %d.%d build %d runs, not committed yet\n",
		 sev->api_major, sev->api_minor, sev->build);
	return FW_UPLOAD_ERR_NONE;
}

static enum fw_upload_err update_locked(struct sev_device *sev,
					const void *image, u32 size)
{
	struct sev_user_data_status status;
	int error = SEV_RET_NO_FW_CALL, ret;
	enum fw_upload_err err;
	bool sev_was_up;

	if (contexts_lost) {
		dev_err(sev->dev, "SEV-SNP: no update, not all guests are known\n");
		return FW_UPLOAD_ERR_BUSY;
	}

	ret = __sev_do_cmd_locked(SEV_CMD_PLATFORM_STATUS, &status, &error);
	if (ret)
		return verdict(sev, ret, error);
	if (status.state == SEV_STATE_WORKING) {
		dev_err(sev->dev, "SEV-SNP: no update while there are SEV or SEV-ES guests\n");
		return FW_UPLOAD_ERR_BUSY;
	}

	sev_was_up = sev->state != SEV_STATE_UNINIT;
	ret = __sev_platform_shutdown_locked(&error);
	if (ret)
		return verdict(sev, ret, error);

	err = download(sev, image, size);

	/* It says so if it fails, and is tried again when somebody needs it. */
	if (sev_was_up)
		__sev_legacy_init_locked(&error);

	return err;
}

static enum fw_upload_err update_prepare(struct fw_upload *up, const u8 *data,
					 u32 size)
{
	return size && size <= SNP_IMAGE_MAX ? FW_UPLOAD_ERR_NONE :
					       FW_UPLOAD_ERR_INVALID_SIZE;
}

/* Firmware takes an image as a whole. */
static enum fw_upload_err update_write(struct fw_upload *up, const u8 *data,
				       u32 offset, u32 size, u32 *written)
{
	struct sev_device *sev = up->dd_handle;
	enum fw_upload_err err;
	void *image;

	image = alloc_pages_exact(size, GFP_KERNEL);
	if (!image)
		return FW_UPLOAD_ERR_RW_ERROR;
	memcpy(image, data, size);

	mutex_lock(&sev_cmd_mutex);
	err = update_locked(sev, image, size);
	mutex_unlock(&sev_cmd_mutex);

	free_pages_exact(image, size);
	if (err == FW_UPLOAD_ERR_NONE)
		*written = size;
	return err;
}

static enum fw_upload_err update_poll_complete(struct fw_upload *up)
{
	return FW_UPLOAD_ERR_NONE;
}

/* It is one command: there is nothing to be cancelled in between. */
static void update_cancel(struct fw_upload *up)
{
}

static const struct fw_upload_ops update_ops = {
	.prepare	= update_prepare,
	.write		= update_write,
	.poll_complete	= update_poll_complete,
	.cancel		= update_cancel,
};

/**
 * snp_add_update() - Have the directory in sysfs
 * @sev:	the device, its features asked
 *
 * If it cannot be made there is none, and all else is as it was.
 */
void snp_add_update(struct sev_device *sev)
{
	if (!sev_version_greater_or_equal(SNP_MIN_API_MAJOR, SNP_MIN_API_MINOR))
		return;

	/* Not pinned by it, or the module would never go: that unregisters it. */
	upload = firmware_upload_register(NULL, sev->dev, "snp_dlfw_ex",
					  &update_ops, sev);
	if (IS_ERR(upload)) {
		dev_warn(sev->dev, "SEV-SNP: no updates, %ld\n", PTR_ERR(upload));
		upload = NULL;
	}
}

/* Waits for an update; sev_cmd_mutex is not held. */
void snp_remove_update(void)
{
	if (upload)
		firmware_upload_unregister(upload);
	upload = NULL;
}
