// SPDX-License-Identifier: GPL-2.0-only
/*
 * What firmware and platform can do for SNP, asked when the device is probed and
 * after an update. SNP firmware ABI 56860, SNP_PLATFORM_STATUS and SNP_FEATURE_INFO.
 */
#include <linux/bits.h>
#include <linux/cc_platform.h>
#include <linux/crash_dump.h>
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/stddef.h>
#include <asm/cpufeature.h>
#include <asm/rmp.h>

#include "psp-dev.h"
#include "sev-dev.h"
#include "snp-dev.h"

/* Feature bits of Fn8000_0024 ECX */
#define FEATURE_X86_SHUTDOWN		BIT(1)
#define FEATURE_RAPL_DISABLE		BIT(2)
#define FEATURE_CIPHERTEXT_HIDING	BIT(3)
#define FEATURE_AES_256_XTS		BIT(4)
#define FEATURE_CXL_ALLOW		BIT(5)
#define FEATURE_VERIFY_MITIGATION	BIT(13)

/* A guest's policy */
#define POLICY_API			GENMASK_ULL(15, 0)
#define POLICY_SMT			BIT_ULL(16)
#define POLICY_MUST_BE_ONE		BIT_ULL(17)
#define POLICY_MIGRATE_MA		BIT_ULL(18)
#define POLICY_DEBUG			BIT_ULL(19)
#define POLICY_SINGLE_SOCKET		BIT_ULL(20)
#define POLICY_CXL_ALLOW		BIT_ULL(21)
#define POLICY_AES_256_XTS		BIT_ULL(22)
#define POLICY_RAPL_DISABLE		BIT_ULL(23)
#define POLICY_CIPHERTEXT_HIDING	BIT_ULL(24)
#define POLICY_PAGE_SWAP_DISABLE	BIT_ULL(25)
#define POLICY_ALWAYS			(POLICY_API | POLICY_SMT |	  \
					 POLICY_MUST_BE_ONE |		  \
					 POLICY_MIGRATE_MA | POLICY_DEBUG | \
					 POLICY_SINGLE_SOCKET)

/* Which byte of a TCB version is the SNP firmware's, and where SEV-ES ends */
#define TCB_SNP_19H			6
#define TCB_SNP_1AH			3
#define NO_ES_19H			0x1b
#define NO_ES_1AH			0x4

static struct sev_device *snp_sev_device(void)
{
	return psp_master ? psp_master->sev_data : NULL;
}

/**
 * snp_ask_features_locked() - Ask firmware once more, after an update
 * @sev:	the device
 * @error:	status of the firmware
 *
 * Return: as snp_cmd_answer(); what is known already may be changed in part.
 */
int snp_ask_features_locked(struct sev_device *sev, int *error)
{
	struct sev_data_snp_feature_info info = { .length = sizeof(info) };
	struct sev_data_snp_addr status;
	int ret;

	ret = snp_cmd_answer(SEV_CMD_SNP_PLATFORM_STATUS, &status,
			     offsetof(struct sev_data_snp_addr, address),
			     &sev->snp_status, sizeof(sev->snp_status), error);
	if (ret || !sev->snp_status.feature_info)
		return ret;

	return snp_cmd_answer(SEV_CMD_SNP_FEATURE_INFO, &info,
			      offsetof(struct sev_data_snp_feature_info,
				       feature_info_paddr),
			      &sev->snp_features, sizeof(sev->snp_features), error);
}

/**
 * snp_ask_features() - Ask firmware what it can do for SNP
 * @sev:	the device, its firmware's version known, SNP not initialised
 *
 * Takes sev_cmd_mutex. If firmware does not say, it has no feature: SNP does
 * without them.
 */
void snp_ask_features(struct sev_device *sev)
{
	int error = SEV_RET_NO_FW_CALL, ret;

	/* Firmware still holds what it got from the kernel that crashed. */
	if (!cc_platform_has(CC_ATTR_HOST_SEV_SNP) || is_kdump_kernel())
		return;

	mutex_lock(&sev_cmd_mutex);
	ret = snp_ask_features_locked(sev, &error);
	mutex_unlock(&sev_cmd_mutex);

	if (ret)
		dev_err(sev->dev, "SEV-SNP: firmware does not tell its features, rc %d, error %#x\n",
			ret, error);
}

bool snp_can_shut_x86_down(struct sev_device *sev)
{
	return sev->snp_features.ecx & FEATURE_X86_SHUTDOWN;
}

bool snp_has_mitigations(struct sev_device *sev)
{
	return sev->snp_features.ecx & FEATURE_VERIFY_MITIGATION;
}

bool sev_is_snp_ciphertext_hiding_supported(void)
{
	struct sev_device *sev = snp_sev_device();

	/* What firmware can, the BIOS may have switched off. */
	return sev && sev->snp_features.ecx & FEATURE_CIPHERTEXT_HIDING &&
	       sev->snp_status.ciphertext_hiding_cap;
}
EXPORT_SYMBOL_GPL(sev_is_snp_ciphertext_hiding_supported);

u64 sev_get_snp_policy_bits(void)
{
	struct sev_device *sev = snp_sev_device();
	u64 bits = POLICY_ALWAYS;
	u32 ecx;

	if (!sev || !cc_platform_has(CC_ATTR_HOST_SEV_SNP))
		return 0;

	if (!sev->snp_status.feature_info)
		return bits;

	ecx = sev->snp_features.ecx;
	if (ecx & FEATURE_RAPL_DISABLE)
		bits |= POLICY_RAPL_DISABLE;
	if (ecx & FEATURE_CIPHERTEXT_HIDING)
		bits |= POLICY_CIPHERTEXT_HIDING;
	if (ecx & FEATURE_AES_256_XTS)
		bits |= POLICY_AES_256_XTS;
	if (ecx & FEATURE_CXL_ALLOW)
		bits |= POLICY_CXL_ALLOW;
	if (sev_version_greater_or_equal(1, 58))
		bits |= POLICY_PAGE_SWAP_DISABLE;

	return bits;
}
EXPORT_SYMBOL_GPL(sev_get_snp_policy_bits);

/* AMD-SB-3023: firmware that is new enough has no SEV-ES beside SNP. */
static bool es_beside_snp(struct sev_device *sev)
{
	u64 tcb = sev->snp_status.current_tcb_version;

	switch (boot_cpu_data.x86) {
	case 0x19:
		return ((tcb >> (8 * TCB_SNP_19H)) & 0xff) < NO_ES_19H;
	case 0x1a:
		return ((tcb >> (8 * TCB_SNP_1AH)) & 0xff) < NO_ES_1AH;
	default:
		return true;
	}
}

bool sev_firmware_allows_es(void)
{
	struct sev_device *sev = snp_sev_device();

	return sev && (!sev->snp_initialized || es_beside_snp(sev));
}
EXPORT_SYMBOL_GPL(sev_firmware_allows_es);
