/*
 * Secure processor firmware: what its files share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SNP_FW_INT_H
#define HW_SNP_FW_INT_H

#include <string.h>
#include "hw/snp/fw_table.h"

/*
 * The command buffer: copied in once; copied out if the handler says so. The
 * guest is there for commands whose row says what states of it they take.
 */
typedef struct FwBuf {
    uint8_t b[FW_BUF_MAX];
    bool dirty;
    SnpFwGuest *g;
    SevFwGuest *sev;
} FwBuf;

static inline uint64_t fw_get(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    while (n--) {
        v = v << 8 | p[n];
    }
    return v;
}

static inline void fw_put(uint8_t *p, unsigned n, uint64_t v)
{
    for (unsigned i = 0; i < n; i++) {
        p[i] = v >> (8 * i);
    }
}

static inline bool fw_all_zero(const uint8_t *p, unsigned n)
{
    uint8_t any = 0;

    for (unsigned i = 0; i < n; i++) {
        any |= p[i];
    }
    return !any;
}

/* Does the firmware read the rule of this name the looser way? */
#define fw_loose(fw, name) snp_loose((fw)->cfg.loose, name)

#define FW_C_BIT (1ull << 51)

/* Of a SEV guest's policy */
#define FW_SEV_POLICY_ES  (1u << 2)

/* SNP_CONFIG's flags */
#define FW_MASK_CHIP_ID   (1u << 0)
#define FW_MASK_CHIP_KEY  (1u << 1)

static inline uint64_t fw_get_addr(const uint8_t *p)
{
    return fw_get(p, 8) & ~FW_C_BIT;
}

static inline bool fw_page_aligned(uint64_t addr)
{
    return !(addr & (RMP_PAGE_SIZE - 1));
}

/* fw_pages.c */

/* Does the page belong to the firmware itself: RMP, IOMMU buffers, TMR? */
bool fw_private_page(const SnpFw *fw, uint64_t spa);
/*
 * May the firmware write there? Once SNP is initialised: Firmware pages only;
 * before, any memory. FW_SUCCESS, INVALID_ADDRESS or INVALID_PAGE_STATE.
 */
uint32_t fw_check_output(SnpFw *fw, uint64_t spa, uint64_t len);
/* The same of a status, which lies in one page */
uint32_t fw_check_status(SnpFw *fw, uint64_t spa, uint64_t len);
/* Is it memory at all? */
bool fw_readable(SnpFw *fw, uint64_t spa, uint64_t len);
/*
 * Reads @len bytes at any @spa, page by page: memory need not be one piece
 * where two pages meet. False: not all of it is memory; @buf has what is.
 */
bool fw_read(SnpFw *fw, uint64_t spa, void *buf, uint64_t len);
/* Bytes from @spa to the end of its page */
static inline uint32_t fw_rest_of_page(uint64_t spa)
{
    return RMP_PAGE_SIZE - (spa & (RMP_PAGE_SIZE - 1));
}
/* How many of @len bytes from @spa lie in the page of the first of them */
static inline uint32_t fw_piece(uint64_t spa, uint64_t len)
{
    uint32_t rest = fw_rest_of_page(spa);

    return rest < len ? rest : len;
}
/* The same the other way; to memory, as fw_check_output() found */
void fw_write(SnpFw *fw, uint64_t spa, const void *buf, uint64_t len);
/*
 * Memory as the guest of this ASID sees it, or will: whole blocks of 16 bytes,
 * anywhere. It is memory, and to be written to. A page of an SNP guest is in a
 * state with no key: Pre-guest. So write first, then give the page to the
 * guest: the entry's change lets the guest see what was meant.
 */
void fw_guest_read(SnpFw *fw, uint32_t asid, uint64_t spa, void *buf,
                   uint64_t len);
void fw_guest_write(SnpFw *fw, uint32_t asid, uint64_t spa, const void *buf,
                    uint64_t len);

/* Hypervisor to Context: a 4K entry that carries nothing but the state */
RmpEntry fw_state_entry(RmpState s);
void fw_set_state(SnpFw *fw, uint64_t spa, RmpState s);
FwHandler fw_snp_page_reclaim;

/* fw_output.c */

/* Where a command's buffer has an output's address, its room; what it takes */
typedef struct FwOut {
    uint8_t at, len_at;
    uint32_t len;
} FwOut;
/*
 * FW_SUCCESS, INVALID_LEN with what is needed in the buffer, or what
 * fw_check_output() says, of all @n, one or two
 */
uint32_t fw_out_check(SnpFw *fw, FwBuf *c, const FwOut *out, unsigned n);
/* One that was found good: @data, and its length in the buffer */
void fw_out_write(SnpFw *fw, FwBuf *c, const FwOut *out, const void *data);

/* fw_asid.c */

bool fw_asid_bound(const SnpFw *fw, uint32_t asid);
/* Who wants an ASID */
typedef enum FwKind { FW_KIND_SEV, FW_KIND_SEV_ES, FW_KIND_SNP } FwKind;
/* FW_SUCCESS, INVALID_ASID, ASID_OWNED or DFFLUSH_REQUIRED */
uint32_t fw_asid_check(const SnpFw *fw, uint32_t asid, FwKind kind);
void fw_asid_release(SnpFw *fw, uint32_t asid);
bool fw_asid_any_dirty(const SnpFw *fw);
FwHandler fw_df_flush;

/* fw_platform.c */

FwHandler fw_snp_init, fw_snp_init_ex, fw_snp_shutdown, fw_snp_shutdown_ex;
FwHandler fw_snp_platform_status, fw_snp_config, fw_snp_commit;

/* What runs is what is committed, and reported, from now on */
void fw_commit(SnpFw *fw);

FwHandler fw_snp_page_set_state;

/* fw_download.c */

FwHandler fw_sev_download_firmware, fw_snp_download_firmware_ex;

/* fw_vlek.c: one is loaded, for all but fw_vlek_delete() */

void fw_vlek_delete(SnpFw *fw);
/* To sign with; the caller frees it. NULL: the library failed */
P384Key *fw_vlek_key(const SnpFw *fw);
/* What keys that are derived from it begin with */
void fw_vlek_root(const SnpFw *fw, uint8_t root[KDF_LEN]);
FwHandler fw_snp_vlek_load;

/* fw_mitigation.c */

FwHandler fw_snp_verify_mitigation;

/* fw_feature.c */

/* CPUID Fn8000_0024 EBX and ECX, as the firmware has them; 0: no feature */
uint64_t fw_features(const SnpFw *fw);
FwHandler fw_snp_feature_info;

/* fw_tio.c */

/* No device is left, and none comes until SNP_INIT_EX enables it again. */
void fw_tio_shutdown(SnpFw *fw);
FwHandler fw_tio_status, fw_tio_init, fw_tio_dev_create, fw_tio_dev_reclaim;
FwHandler fw_tio_dev_connect, fw_tio_dev_disconnect;

/* fw_guest.c */

/* The guest whose context the address at @arg is, or why there is none */
uint32_t fw_find_guest(SnpFw *fw, const uint8_t *arg, SnpFwGuest **out);
void fw_drop_guests(SnpFw *fw);
FwHandler fw_gctx_create, fw_snp_launch_start;
FwHandler fw_snp_activate, fw_snp_activate_ex;
FwHandler fw_snp_launch_update, fw_snp_guest_status, fw_snp_decommission;

/* fw_tsc.c */

/* Can a guest's clock run at this frequency? Yes if there is no secure TSC. */
bool fw_tsc_possible(const SnpFw *fw, uint32_t khz);
/* Does this VMSA have factor and offset of a clock, and the processor too? */
bool fw_tsc_in_vmsa(const SnpFw *fw, const uint8_t *vmsa);
/* What stands there when it is measured, and afterwards */
void fw_tsc_measured(uint8_t *vmsa);
void fw_tsc_fill(const SnpFw *fw, const SnpFwGuest *g, uint8_t *vmsa);

/* fw_finish.c, fw_request.c */

FwHandler fw_snp_launch_finish, fw_snp_guest_request;

/* fw_legacy.c */

/* The guest whose handle the buffer begins with, or NULL */
SevFwGuest *fw_sev_find_guest(SnpFw *fw, const FwBuf *c);
/* What INIT and INIT_EX share: may SEV start; it does */
uint32_t fw_sev_check_init(SnpFw *fw, uint32_t flags, uint64_t tmr,
                           uint32_t len);
void fw_sev_start(SnpFw *fw, uint32_t flags, uint64_t tmr, uint32_t len);
FwHandler fw_sev_init, fw_sev_shutdown, fw_sev_platform_status, fw_sev_get_id;
FwHandler fw_sev_launch_start, fw_sev_receive_start;
FwHandler fw_sev_activate, fw_sev_deactivate;
FwHandler fw_sev_launch_update_data, fw_sev_launch_update_vmsa;
FwHandler fw_sev_launch_measure, fw_sev_launch_finish, fw_sev_guest_status;
FwHandler fw_sev_decommission;

/* fw_owner.c */

FwHandler fw_sev_factory_reset, fw_sev_pek_gen, fw_sev_pdh_gen;
FwHandler fw_sev_pek_csr, fw_sev_pek_cert_import, fw_sev_pdh_cert_export;

/* Made if it was not. False: the library failed */
bool fw_identity_make(SnpFw *fw);
bool fw_pek_sign(SnpFw *fw, const void *msg, size_t len, P384Sig *out);

/* fw_session.c */

/*
 * The keys of the session that the buffer of LAUNCH_START or RECEIVE_START
 * brings, an owner's or another platform's.
 * FW_SUCCESS, or why there is none, and keys are as they were. NULL: nobody
 * wants them.
 */
uint32_t fw_sev_session(SnpFw *fw, const FwBuf *c, uint32_t policy,
                        SevKeys *keys);
/* From what both know to the keys that wrap */
void fw_session_keys(const uint8_t *z, size_t len, const uint8_t nonce[16],
                     uint8_t kek[16], uint8_t kik[16]);
FwHandler fw_sev_attestation_report;

/* fw_packet.c */

FwHandler fw_sev_launch_update_secret;
FwHandler fw_sev_send_update_data, fw_sev_send_update_vmsa;
FwHandler fw_sev_receive_update_data, fw_sev_receive_update_vmsa;

/* fw_send.c */

FwHandler fw_sev_send_start, fw_sev_send_finish, fw_sev_send_cancel;
FwHandler fw_sev_receive_finish;

/* fw_nv.c */

FwHandler fw_sev_init_ex;

/* fw_debug.c */

FwHandler fw_sev_dbg_decrypt, fw_sev_dbg_encrypt;
FwHandler fw_snp_dbg_decrypt, fw_snp_dbg_encrypt;

/* fw_swap.c */

FwHandler fw_snp_page_move, fw_snp_page_md_init, fw_snp_page_swap_out;
FwHandler fw_snp_page_swap_in, fw_snp_page_unsmash;

#endif
