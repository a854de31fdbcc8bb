/*
 * Secure processor firmware: other firmware in its place
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * DOWNLOAD_FIRMWARE and SNP_DOWNLOAD_FIRMWARE_EX. AMD's images are code, and
 * signed with a key of AMD's: none of them is accepted. An image here is what
 * can be checked and has an effect: which version and TCB version it is, and
 * which mitigations it has, signed with a key whose public half is fused into
 * the chip (hw/snp/chip.h). lab/chip.py makes them. The code that runs is the
 * same as before; guests' contexts need no help to go on.
 *
 * What was downloaded stays over a reset of the machine, and goes with it.
 */
#include "fw_msg.h"

#define DOWNLOAD_EX_LEN   24u
#define DOWNLOAD_COMMIT   (1u << 0)

#define IMAGE_MAGIC       0x4557465f504e5321ull   /* "!SNP_FWE" */
#define IMAGE_COLD        (1u << 0)     /* not while SNP is on */

typedef struct FwImage {
    uint8_t magic[8];
    uint8_t length[4];
    uint8_t major, minor, build;
    uint8_t flags;
    uint8_t tcb[8];
    uint8_t mitigations[8];
    uint8_t rsvd_20[32];
    uint8_t r[P384_LEN], s[P384_LEN];   /* over what is before them */
} FwImage;

PIN_SIZE(FwImage, 160);
PIN(FwImage, tcb, 0x10);
PIN(FwImage, r, 0x40);

static bool authentic(const SnpFw *fw, const FwImage *image)
{
    P384Sig sig;

    memcpy(sig.r, image->r, sizeof(sig.r));
    memcpy(sig.s, image->s, sizeof(sig.s));
    return fw->cfg.nvceks &&
           p384_verify(&fw->cfg.firmware_key, image, offsetof(FwImage, r),
                       &sig);
}

static uint32_t read_image(SnpFw *fw, uint64_t spa, uint32_t len,
                           FwImage *image)
{
    const SnpFwConfig *cfg = &fw->cfg;

    /* [FW-IMAGE-LEN] */
    if (len != sizeof(*image)) {
        return FW_INVALID_LEN;
    }
    /* [FW-IMAGE-ADDRESS] */
    if (!fw_read(fw, spa, image, sizeof(*image))) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-IMAGE-SIGNATURE] */
    if (!authentic(fw, image)) {
        return FW_BAD_SIGNATURE;
    }
    /* [FW-IMAGE-FORMAT] */
    if (fw_get(image->magic, 8) != IMAGE_MAGIC ||
        fw_get(image->length, 4) != sizeof(*image) ||
        (image->flags & ~IMAGE_COLD) ||
        !fw_all_zero(image->rsvd_20, sizeof(image->rsvd_20))) {
        return FW_INVALID_PARAM;
    }
    /* [FW-IMAGE-VERSION] nothing older than what was committed */
    if ((image->major << 16 | image->minor << 8 | image->build) <
        (cfg->committed_major << 16 | cfg->committed_minor << 8 |
         cfg->committed_build)) {
        return FW_BAD_VERSION;
    }
    /* [FW-IMAGE-SVN] */
    if (!fw_tcb_within(cfg->committed_tcb, fw_get(image->tcb, 8))) {
        return FW_BAD_SVN;
    }
    return FW_SUCCESS;
}

static void install(SnpFw *fw, const FwImage *image, bool commit)
{
    fw->cfg.api_major = image->major;
    fw->cfg.api_minor = image->minor;
    fw->cfg.build = image->build;
    fw->cfg.tcb = fw_get(image->tcb, 8);
    fw->cfg.mitigations = fw_get(image->mitigations, 8);
    /* [FW-IMAGE-MITIGATIONS] what is new is to be verified first */
    fw->mitigated &= fw->cfg.mitigations;
    if (commit) {
        fw_commit(fw);
    }
}

uint32_t fw_sev_download_firmware(SnpFw *fw, FwBuf *c)
{
    FwImage image;
    uint32_t status = read_image(fw, fw_get_addr(c->b), fw_get(c->b + 8, 4),
                                 &image);

    if (!status) {
        /* [FW-DOWNLOAD-COMMIT] */
        install(fw, &image, true);
    }
    return status;
}

/*
 * Can all guests go on with that: does it speak the version that their policies
 * want at least, is no part of its TCB version below that of their launch?
 */
static bool guests_agree(const SnpFw *fw, const FwImage *image)
{
    unsigned abi = image->major << 8 | image->minor;

    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        const SnpFwGuest *g = &fw->guests[i];

        if (g->used && g->state != SNP_GUEST_INIT &&
            ((g->policy & 0xffff) > abi ||
             !fw_tcb_within(g->launch_tcb, fw_get(image->tcb, 8)))) {
            return false;
        }
    }
    return true;
}

uint32_t fw_snp_download_firmware_ex(SnpFw *fw, FwBuf *c)
{
    uint32_t flags = fw_get(c->b + 0x14, 4);
    FwImage image;
    uint32_t status;

    /* [FW-DOWNLOAD-EX-LEN] */
    if (fw_get(c->b, 4) != DOWNLOAD_EX_LEN) {
        return FW_INVALID_LEN;
    }
    /* [FW-DOWNLOAD-EX-RSVD] */
    if (fw_get(c->b + 4, 4) || (flags & ~DOWNLOAD_COMMIT)) {
        return FW_INVALID_PARAM;
    }
    status = read_image(fw, fw_get_addr(c->b + 8), fw_get(c->b + 0x10, 4),
                        &image);
    if (status) {
        return status;
    }
    /* [FW-DOWNLOAD-EX-LIVE] */
    if (fw->snp_inited && (image.flags & IMAGE_COLD)) {
        return FW_SHUTDOWN_REQUIRED;
    }
    /* [FW-DOWNLOAD-EX-GUESTS] */
    if (!guests_agree(fw, &image)) {
        return FW_SHUTDOWN_REQUIRED;
    }
    install(fw, &image, flags & DOWNLOAD_COMMIT);
    return FW_SUCCESS;
}
