// SPDX-License-Identifier: GPL-2.0-only
/* The commands of SNP on /dev/sev. */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "psp-dev.h"
#include "sev-dev.h"
#include "snp-dev.h"

static_assert(sizeof(struct sev_user_data_snp_status) == 32);
static_assert(sizeof(struct sev_user_data_snp_config) == 64);
static_assert(sizeof(struct sev_user_data_snp_vlek_load) == 16);
static_assert(sizeof(struct sev_user_data_snp_wrapped_vlek_hashstick) == 432);

static int snp_ioctl_platform_status(struct sev_issue_cmd *argp)
{
	struct sev_user_data_snp_status status;
	struct sev_data_snp_addr data;
	int ret;

	ret = snp_cmd_answer(SEV_CMD_SNP_PLATFORM_STATUS, &data,
			     offsetof(struct sev_data_snp_addr, address), &status,
			     sizeof(status), &argp->error);
	if (ret)
		return ret;

	return copy_to_user((void __user *)argp->data, &status,
			    sizeof(status)) ? -EFAULT : 0;
}

static int snp_ioctl_commit(struct sev_issue_cmd *argp)
{
	struct sev_data_snp_commit data = { .len = sizeof(data) };

	return __sev_do_cmd_locked(SEV_CMD_SNP_COMMIT, &data, &argp->error);
}

static int snp_ioctl_set_config(struct sev_issue_cmd *argp)
{
	struct sev_user_data_snp_config data;

	if (copy_from_user(&data, (void __user *)argp->data, sizeof(data)))
		return -EFAULT;

	return __sev_do_cmd_locked(SEV_CMD_SNP_CONFIG, &data, &argp->error);
}

static int snp_ioctl_vlek_load(struct sev_issue_cmd *argp)
{
	struct sev_user_data_snp_vlek_load data;
	void *blob;
	int ret;

	if (copy_from_user(&data, (void __user *)argp->data, sizeof(data)))
		return -EFAULT;

	if (data.len != sizeof(data) || data.vlek_wrapped_version)
		return -EINVAL;

	blob = psp_copy_user_blob(data.vlek_wrapped_address,
				  sizeof(struct sev_user_data_snp_wrapped_vlek_hashstick));
	if (IS_ERR(blob))
		return PTR_ERR(blob);

	data.vlek_wrapped_address = __psp_pa(blob);
	ret = __sev_do_cmd_locked(SEV_CMD_SNP_VLEK_LOAD, &data, &argp->error);
	kfree_sensitive(blob);
	return ret;
}

/**
 * snp_ioctl() - A command of SNP from userspace
 * @sev:	the device
 * @argp:	the request, a copy; its error field is set
 * @writable:	the file is open for writing
 *
 * Return: 0; -EINVAL if the request is wrong, or needs SNP and that is not up;
 * -EPERM without @writable; else as __sev_do_cmd_locked().
 */
int snp_ioctl(struct sev_device *sev, struct sev_issue_cmd *argp, bool writable)
{
	if (argp->cmd == SNP_PLATFORM_STATUS)
		return argp->data ? snp_ioctl_platform_status(argp) : -EINVAL;

	if (!sev->snp_initialized)
		return -EINVAL;
	if (argp->cmd == SNP_COMMIT)
		return snp_ioctl_commit(argp);

	if (!argp->data)
		return -EINVAL;
	if (!writable)
		return -EPERM;

	switch (argp->cmd) {
	case SNP_SET_CONFIG:
		return snp_ioctl_set_config(argp);
	case SNP_VLEK_LOAD:
		return snp_ioctl_vlek_load(argp);
	default:
		return -EINVAL;
	}
}
