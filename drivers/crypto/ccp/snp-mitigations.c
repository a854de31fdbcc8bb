// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mitigations of vulnerabilities that firmware has, and those that are in force:
 * what was there when the RMP was made is, what came by an update of the firmware
 * has to be verified. What each bit stands for is in AMD's bulletins.
 *
 * SNP firmware ABI 56860, SNP_VERIFY_MITIGATION;
 * Documentation/ABI/testing/sysfs-firmware-sev-vulnerabilities.
 */
#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/stddef.h>
#include <linux/sysfs.h>

#include "psp-dev.h"
#include "sev-dev.h"
#include "snp-dev.h"

static struct kobject *sev_dir, *mitigations_dir;

static int ask(u16 subcommand, u64 vector, struct snp_mitigations *m)
{
	struct sev_data_snp_verify_mitigation data = {
		.length = sizeof(data),
		.subcommand = subcommand,
		.vector = vector,
		.dst_paddr_en = 1,
	};
	int error = SEV_RET_NO_FW_CALL, ret;

	mutex_lock(&sev_cmd_mutex);
	ret = snp_cmd_answer(SEV_CMD_SNP_VERIFY_MITIGATION, &data,
			     offsetof(struct sev_data_snp_verify_mitigation,
				      dst_paddr),
			     m, sizeof(*m), &error);
	mutex_unlock(&sev_cmd_mutex);

	/* What firmware was asked, it does not know. */
	if (error == SEV_RET_INVALID_PARAM)
		return -EINVAL;

	return ret;
}

static struct kobj_attribute supported_attr;

/* Both files: they differ in which of the two masks they tell. */
static ssize_t mitigations_show(struct kobject *kobj, struct kobj_attribute *attr,
				char *buf)
{
	struct snp_mitigations m;
	int ret;

	ret = ask(SNP_MITIGATION_STATUS, 0, &m);
	if (ret)
		return ret;

	return sysfs_emit(buf, "%#llx\n",
			  attr == &supported_attr ? m.supported : m.verified);
}

static ssize_t verified_mitigations_store(struct kobject *kobj,
					  struct kobj_attribute *attr,
					  const char *buf, size_t count)
{
	struct snp_mitigations m;
	u64 vector;
	int ret;

	ret = kstrtou64(buf, 0, &vector);
	if (ret)
		return ret;

	/* Firmware takes one at a time. */
	if (hweight64(vector) != 1)
		return -EINVAL;

	ret = ask(SNP_MITIGATION_VERIFY, vector, &m);
	if (ret)
		return ret;

	if (m.failure) {
		pr_err("SEV-SNP: mitigation %#llx is not verified, failure %#x\n",
		       vector, m.failure);
		return -EINVAL;
	}

	return count;
}

/* Each access is a command of the firmware: root's. */
static struct kobj_attribute supported_attr =
	__ATTR(supported_mitigations, 0400, mitigations_show, NULL);
static struct kobj_attribute verified_attr =
	__ATTR(verified_mitigations, 0600, mitigations_show,
	       verified_mitigations_store);

static const struct attribute *attrs[] = {
	&supported_attr.attr,
	&verified_attr.attr,
	NULL
};

/**
 * snp_add_mitigations() - Have the files in sysfs
 * @sev:	the device, its features asked
 *
 * If they cannot be made there are none, and all else is as it was.
 */
void snp_add_mitigations(struct sev_device *sev)
{
	if (!snp_has_mitigations(sev))
		return;

	sev_dir = kobject_create_and_add("sev", firmware_kobj);
	if (sev_dir)
		mitigations_dir = kobject_create_and_add("vulnerabilities", sev_dir);

	if (!mitigations_dir || sysfs_create_files(mitigations_dir, attrs)) {
		dev_warn(sev->dev, "SEV-SNP: no room for mitigations in sysfs\n");
		snp_remove_mitigations();
	}
}

/* Waits for accesses; sev_cmd_mutex is not held. */
void snp_remove_mitigations(void)
{
	kobject_put(mitigations_dir);
	kobject_put(sev_dir);
	mitigations_dir = NULL;
	sev_dir = NULL;
}
