/*
 * What is fused into the chip: its identity, its secret, its VCEKs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A directory, made once for each chip outside of QEMU, together with the
 * certificates that nobody here needs:
 *
 *   chip-id         64 bytes: CHIP_ID of reports, hwID of the certificates
 *   secret          32 bytes: what derived keys begin with
 *   firmware-key    96 bytes: public key of firmware images, x and y of P-384
 *   vcek-TCB.pem    private P-384 key of one TCB version, 16 hex digits as in
 *                   the report's number; one for each version reports may
 *                   carry, at most FW_MAX_VCEKS
 */
#ifndef HW_SNP_CHIP_H
#define HW_SNP_CHIP_H

#include "hw/snp/fw.h"

/* False, with @errp set and @cfg untouched: something is missing or no key. */
bool snp_chip_load(const char *dir, SnpFwConfig *cfg, Error **errp);
void snp_chip_free(SnpFwConfig *cfg);

#endif
