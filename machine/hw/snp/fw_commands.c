/*
 * Secure processor firmware: every command, as rows
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the columns mean, and which errors come before those listed here:
 * include/hw/snp/fw_table.h.
 *
 * Ids and buffers: SEV API (55766), SNP firmware ABI (56860).
 */
#include "fw_msg.h"

#define E(status, rule)  { FW_##status, "FW-" rule }
#define ERRORS(...)      (const FwError[]){ __VA_ARGS__, { 0 } }
#define NONE             ERRORS({ 0 })

/* What the firmware writes to is memory, and a Firmware page with SNP on */
#define E_OUTPUT         E(INVALID_ADDRESS, "OUTPUT-ADDRESS"), \
                         E(INVALID_PAGE_STATE, "OUTPUT-STATE")
#define E_ASID           E(INVALID_ASID, "ASID-HIDE"), \
                         E(INVALID_ASID, "ASID-RANGE"), \
                         E(ASID_OWNED, "ASID-OWNED"), \
                         E(DFFLUSH_REQUIRED, "ASID-DIRTY")
#define E_SHUTDOWN       E(WBINVD_REQUIRED, "SHUTDOWN-DIRTY"), \
                         E(DFFLUSH_REQUIRED, "SHUTDOWN-DIRTY")
#define E_CPUS           E(INVALID_CONFIG, "INIT-RMP-ALIGN"), \
                         E(INVALID_CONFIG, "INIT-CPUS")
#define E_LIST           E(INVALID_ADDRESS, "INIT-LIST-ADDRESS"), \
                         E(INVALID_PARAM, "INIT-LIST"), \
                         E(INVALID_PARAM, "INIT-LIST-PAGES")
#define E_IMAGE          E(INVALID_LEN, "IMAGE-LEN"), \
                         E(INVALID_ADDRESS, "IMAGE-ADDRESS"), \
                         E(BAD_SIGNATURE, "IMAGE-SIGNATURE"), \
                         E(INVALID_PARAM, "IMAGE-FORMAT"), \
                         E(BAD_VERSION, "IMAGE-VERSION"), \
                         E(BAD_SVN, "IMAGE-SVN")
/* Trusted I/O: any command; one of a device; buffers by scatter lists */
#define E_TIO            E(INVALID_LEN, "TIO-LEN"), \
                         E(INVALID_PARAM, "TIO-RSVD")
#define E_TIO_INITED     E_TIO, E(INVALID_PLATFORM_STATE, "TIO-INITED")
#define E_SLA            E(INVALID_PARAM, "SLA-RSVD"), \
                         E(UNSUPPORTED, "SLA-2M"), \
                         E(INVALID_ADDRESS, "SLA-ADDRESS"), \
                         E(INCORRECT_BUFFER_LENGTH, "SLA-LENGTH"), \
                         E(INVALID_PARAM, "SLA-TWICE"), \
                         E(INVALID_PAGE_STATE, "OUTPUT-STATE")
#define E_SWAP           E(INVALID_PARAM, "SWAP-RSVD"), \
                         E(UNSUPPORTED, "SWAP-2M"), \
                         E(POLICY_FAILURE, "SWAP-POLICY"), \
                         E(INVALID_ADDRESS, "SWAP-ADDRESS")
/* A SEV guest begins, with an owner or coming from another platform */
#define E_START          E(INVALID_GUEST, "SEV-HANDLE"), \
                         E(UNSUPPORTED, "SEV-START-SHARED"), \
                         E(POLICY_FAILURE, "SEV-POLICY"), \
                         E(INVALID_LEN, "SESSION-LEN"), \
                         E(INVALID_ADDRESS, "SESSION-ADDRESS"), \
                         E(INVALID_CERTIFICATE, "SESSION-CERT"), \
                         E(BAD_MEASUREMENT, "SESSION-MAC"), \
                         E(RESOURCE_LIMIT, "GUEST-LIMIT")
/* Packets, in and out */
#define E_OPEN           E(INVALID_LEN, "PACKET-LEN"), \
                         E(INVALID_ADDRESS, "PACKET-ADDRESS"), E_OUTPUT, \
                         E(UNSUPPORTED, "PACKET-FLAGS"), \
                         E(BAD_MEASUREMENT, "PACKET-MAC")
#define E_SEAL           E(INVALID_LEN, "SEND-LEN"), \
                         E(INVALID_LEN, "SEND-ROOM"), \
                         E(INVALID_ADDRESS, "OUTPUT-OVERLAP"), E_OUTPUT, \
                         E(INVALID_ADDRESS, "SEND-ADDRESS")

/* ID and name; platform states; buffer */
#define COMMAND(ID)      .id = ID, .name = #ID
#define SEV_COMMAND(N)   .id = SEV_##N, .name = #N
/* All of a buffer is copied: none is larger than FwBuf's. */
#define LEN(n)           ((n) + \
                          0 * sizeof(char[(n) <= FW_BUF_MAX ? 1 : -1]))
#define BUFFER(n, text)  .len = LEN(n), .layout = text
#define OUTBUF(n, text)  .len = LEN(n), .layout = text, .writes = true
#define OUR_BUF(n, text) BUFFER(n, text), .ours = true
#define LOOSE_SEV_DBG    .loose_state = SNP_READING_FW_SEV_DBG_STATE, \
                         .loose_active = SNP_READING_FW_SEV_DBG_ACTIVE
/* Of trusted I/O: the firmware has it, or there are no such commands */
#define TIO_COMMAND(ID)  COMMAND(ID), .tio = true, .platform = SEV_ANY | SNP_I
#define SPDM_BUFFERS     "8 request 8, 10 response 8, 18 scratch 8, 20 output 8"
#define PACKET           "0 handle 4, 4 rsvd 4, 8 header 8, 10 header_len 4, " \
                         "14 rsvd 4, 18 guest 8, 20 guest_len 4, 24 rsvd 4, " \
                         "28 packet 8, 30 packet_len 4"

/* [FW-PLATFORM-STATE] */
const FwCommand fw_commands[] = {

/* ---- SEV: the platform ---- */

{
    SEV_COMMAND(INIT), .platform = SEV_U | SNP_ANY,
    BUFFER(20, "0 flags 4, 4 rsvd 4, 8 tmr 8, 10 tmr_len 4"),
    .errors = ERRORS(E(INVALID_PARAM, "SEV-INIT-RSVD"),
                     E(INVALID_LEN, "SEV-INIT-TMR"),
                     E(INVALID_ADDRESS, "SEV-INIT-TMR"), E_OUTPUT),
    .to_platform = SEV_I, .effect = "flag 0: the TMR is the firmware's",
    .run = fw_sev_init,
}, {
    SEV_COMMAND(SHUTDOWN), .platform = ANY, .errors = NONE,
    .to_platform = SEV_U,
    .effect = "no SEV guest is left, their ASIDs are dirty, the TMR is free",
    .run = fw_sev_shutdown,
}, {
    SEV_COMMAND(FACTORY_RESET), .platform = SEV_U | SNP_ANY, .errors = NONE,
    .effect = "PEK, PDH and owner are gone, others are made when needed; the "
              "CEK stays",
    .run = fw_sev_factory_reset,
}, {
    SEV_COMMAND(PLATFORM_STATUS), .platform = ANY,
    OUTBUF(12, "0 major 1, 1 minor 1, 2 state 1, 3 flags 4, 7 build 1, "
               "8 guests 4"),
    .errors = NONE, .run = fw_sev_platform_status,
}, {
    SEV_COMMAND(PEK_GEN), .platform = SEV_I | SNP_ANY,
    .errors = ERRORS(E(HWERROR_PLATFORM, "CRYPTO")),
    .effect = "PEK and PDH are new, nobody outside owns the platform",
    .run = fw_sev_pek_gen,
}, {
    SEV_COMMAND(PEK_CSR), .platform = SEV_ON | SNP_ANY,
    OUTBUF(12, "0 csr 8, 8 csr_len 4"),
    .errors = ERRORS(E(INVALID_LEN, "PEK-CSR-LEN"), E_OUTPUT,
                     E(HWERROR_PLATFORM, "CRYPTO")),
    .run = fw_sev_pek_csr,
}, {
    SEV_COMMAND(PEK_CERT_IMPORT), .platform = SEV_I | SNP_ANY,
    BUFFER(28, "0 pek 8, 8 pek_len 4, c rsvd 4, 10 oca 8, 18 oca_len 4"),
    .errors = ERRORS(E(ALREADY_OWNED, "PEK-IMPORT-OWNED"),
                     E(INVALID_PARAM, "PEK-IMPORT-RSVD"),
                     E(INVALID_LEN, "PEK-IMPORT-LEN"),
                     E(INVALID_ADDRESS, "PEK-IMPORT-ADDRESS"),
                     E(INVALID_CERTIFICATE, "PEK-IMPORT-CERT"),
                     E(BAD_SIGNATURE, "PEK-IMPORT-SIGNATURE")),
    .effect = "the platform is owned by whose certificate that is; the PDH is "
              "new",
    .run = fw_sev_pek_cert_import,
}, {
    SEV_COMMAND(PDH_CERT_EXPORT), .platform = SEV_ON | SNP_ANY,
    OUTBUF(28, "0 pdh 8, 8 pdh_len 4, c rsvd 4, 10 chain 8, 18 chain_len 4"),
    .errors = ERRORS(E(INVALID_LEN, "PDH-EXPORT-LEN"),
                     E(INVALID_ADDRESS, "OUTPUT-OVERLAP"), E_OUTPUT,
                     E(HWERROR_PLATFORM, "CRYPTO")),
    .run = fw_sev_pdh_cert_export,
}, {
    SEV_COMMAND(PDH_GEN), .platform = SEV_ON | SNP_ANY,
    .errors = ERRORS(E(HWERROR_PLATFORM, "CRYPTO")),
    .effect = "the PDH is new", .run = fw_sev_pdh_gen,
}, {
    SEV_COMMAND(DF_FLUSH), .platform = SEV_ON | SNP_ANY,
    .errors = ERRORS(E(WBINVD_REQUIRED, "DFFLUSH-WBINVD")),
    .effect = "no ASID is dirty", .run = fw_df_flush,
}, {
    SEV_COMMAND(DOWNLOAD_FIRMWARE), .platform = SEV_U | SNP_U,
    BUFFER(12, "0 image 8, 8 image_len 4"), .errors = ERRORS(E_IMAGE),
    .effect = "the version is the image's, and committed",
    .run = fw_sev_download_firmware,
}, {
    SEV_COMMAND(GET_ID), .platform = ANY,
    OUTBUF(12, "0 id 8, 8 id_len 4"),
    .errors = ERRORS(E(INVALID_LEN, "GET-ID-LEN"), E_OUTPUT),
    .run = fw_sev_get_id,
}, {
    SEV_COMMAND(INIT_EX), .platform = SEV_U | SNP_ANY,
    BUFFER(36, "0 length 4, 4 flags 4, 8 tmr 8, 10 tmr_len 4, 14 rsvd 4, "
               "18 nv 8, 20 nv_len 4"),
    .errors = ERRORS(E(INVALID_LEN, "INIT-EX-LEN"),
                     E(INVALID_PARAM, "INIT-EX-RSVD"),
                     E(INVALID_PARAM, "SEV-INIT-RSVD"),
                     E(INVALID_LEN, "SEV-INIT-TMR"),
                     E(INVALID_ADDRESS, "SEV-INIT-TMR"), E_OUTPUT,
                     E(INVALID_LEN, "INIT-EX-NV"),
                     E(INVALID_ADDRESS, "INIT-EX-NV-PAGES"),
                     E(INVALID_PAGE_STATE, "INIT-EX-NV-PAGES"),
                     E(SECURE_DATA_INVALID, "INIT-EX-DATA")),
    .to_platform = SEV_I,
    .effect = "flag 0: the TMR is the firmware's; storage that was blank or "
              "is invalid (SECURE_DATA_INVALID, nothing else is changed then) "
              "begins anew",
    .run = fw_sev_init_ex,
},

/* ---- SEV: guests ---- */

{
    SEV_COMMAND(DECOMMISSION), .platform = SEV_ON | SNP_ANY, .sev = SEVG_ANY,
    .active = FW_WITHOUT_ASID,      /* [FW-SEV-DECOMMISSION] */
    BUFFER(4, "0 handle 4"), .errors = NONE,
    .to_platform = SEV_I, .effect = "the guest is gone; INIT with the last",
    .run = fw_sev_decommission,
}, {
    SEV_COMMAND(ACTIVATE), .platform = SEV_ON | SNP_ANY, .sev = SEVG_ANY,
    .active = FW_WITHOUT_ASID,      /* [FW-SEV-ACTIVATE-TWICE] */
    BUFFER(8, "0 handle 4, 4 asid 4"), .errors = ERRORS(E_ASID),
    .effect = "the ASID is the guest's", .run = fw_sev_activate,
}, {
    SEV_COMMAND(DEACTIVATE), .platform = SEV_ON | SNP_ANY, .sev = SEVG_ANY,
    .active = FW_WITH_ASID,         /* [FW-SEV-DEACTIVATE] */
    .loose_active = SNP_READING_FW_SEV_DEACTIVATE,
    BUFFER(4, "0 handle 4"), .errors = NONE,
    .effect = "the ASID is dirty", .run = fw_sev_deactivate,
}, {
    SEV_COMMAND(GUEST_STATUS), .platform = SEV_ON | SNP_ANY, .sev = SEVG_ANY,
    OUTBUF(13, "0 handle 4, 4 policy 4, 8 asid 4, c state 1"),
    .errors = NONE, .run = fw_sev_guest_status,
}, {
    SEV_COMMAND(LAUNCH_START), .platform = SEV_ON | SNP_ANY,
    OUTBUF(36, "0 handle 4, 4 policy 4, 8 dh 8, 10 dh_len 4, 14 rsvd 4, "
               "18 session 8, 20 session_len 4"),
    .errors = ERRORS(E_START), .to_platform = SEV_W,
    .effect = "a guest in launch update",
    .run = fw_sev_launch_start,
}, {
    SEV_COMMAND(LAUNCH_UPDATE_DATA), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_UPDATE,                /* [FW-SEV-UPDATE-STATE] */
    .active = FW_WITH_ASID,         /* [FW-SEV-UPDATE-ACTIVE] */
    BUFFER(20, "0 handle 4, 4 rsvd 4, 8 data 8, 10 data_len 4"),
    .errors = ERRORS(E(INVALID_LEN, "SEV-UPDATE-LEN"),
                     E(INVALID_ADDRESS, "SEV-UPDATE-ADDRESS"), E_OUTPUT),
    .effect = "the data is measured", .run = fw_sev_launch_update_data,
}, {
    SEV_COMMAND(LAUNCH_UPDATE_VMSA), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_UPDATE, .active = FW_WITH_ASID,
    BUFFER(20, "0 handle 4, 4 rsvd 4, 8 vmsa 8, 10 vmsa_len 4"),
    .errors = ERRORS(E(UNSUPPORTED, "SEV-UPDATE-VMSA"),
                     E(INVALID_LEN, "SEV-UPDATE-LEN"),
                     E(INVALID_ADDRESS, "SEV-UPDATE-ADDRESS"), E_OUTPUT),
    .effect = "the VMSA is measured", .run = fw_sev_launch_update_vmsa,
}, {
    SEV_COMMAND(LAUNCH_MEASURE), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_UPDATE,                /* [FW-SEV-MEASURE-STATE] */
    OUTBUF(20, "0 handle 4, 4 rsvd 4, 8 measure 8, 10 measure_len 4"),
    .errors = ERRORS(E(INVALID_LEN, "SEV-MEASURE-LEN"), E_OUTPUT),
    .to_guest = SEVG_SECRET, .run = fw_sev_launch_measure,
}, {
    SEV_COMMAND(LAUNCH_UPDATE_SECRET), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_SECRET,                /* [FW-SECRET-STATE] */
    .active = FW_WITH_ASID,         /* [FW-SECRET-ACTIVE] */
    BUFFER(52, PACKET),
    .errors = ERRORS(E_OPEN),
    .effect = "the guest's memory has the secret",
    .run = fw_sev_launch_update_secret,
}, {
    SEV_COMMAND(LAUNCH_FINISH), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_SECRET,                /* [FW-SEV-FINISH-STATE] */
    BUFFER(4, "0 handle 4"), .errors = NONE, .to_guest = SEVG_RUN,
    .run = fw_sev_launch_finish,
}, {
    SEV_COMMAND(ATTESTATION_REPORT), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_SECRET | SEVG_RUN,     /* [FW-ATTESTATION-STATE] */
    OUTBUF(36, "0 handle 4, 4 rsvd 4, 8 report 8, 10 nonce 16, "
               "20 report_len 4"),
    .errors = ERRORS(E(INVALID_LEN, "ATTESTATION-LEN"), E_OUTPUT,
                     E(HWERROR_PLATFORM, "CRYPTO")),
    .run = fw_sev_attestation_report,
}, {
    SEV_COMMAND(SEND_START), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_RUN,                   /* [FW-SEND-STATE] */
    OUTBUF(68, "0 handle 4, 4 policy 4, 8 pdh 8, 10 pdh_len 4, 14 rsvd 4, "
               "18 platform 8, 20 platform_len 4, 24 rsvd 4, 28 amd 8, "
               "30 amd_len 4, 34 rsvd 4, 38 session 8, 40 session_len 4"),
    .errors = ERRORS(E(INVALID_LEN, "SEND-SESSION-LEN"), E_OUTPUT,
                     E(POLICY_FAILURE, "SEND-POLICY"),
                     E(INVALID_LEN, "SEND-CERT-LEN"),
                     E(INVALID_ADDRESS, "SEND-CERT-ADDRESS"),
                     E(INVALID_CERTIFICATE, "SEND-CERT"),
                     E(BAD_SIGNATURE, "SEND-SIGNATURE"),
                     E(POLICY_FAILURE, "SEND-DOMAIN"),
                     E(HWERROR_PLATFORM, "CRYPTO")),
    .to_guest = SEVG_SENDING, .effect = "the guest's keys are new",
    .run = fw_sev_send_start,
}, {
    SEV_COMMAND(SEND_UPDATE_DATA), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_SENDING,               /* [FW-SEND-UPDATE-STATE] */
    .active = FW_WITH_ASID,         /* [FW-SEND-UPDATE-ACTIVE] it has the key */
    OUTBUF(52, PACKET), .errors = ERRORS(E_SEAL),
    .effect = "a packet of the guest's memory",
    .run = fw_sev_send_update_data,
}, {
    SEV_COMMAND(SEND_UPDATE_VMSA), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_SENDING, .active = FW_WITH_ASID, OUTBUF(52, PACKET),
    .errors = ERRORS(E(UNSUPPORTED, "PACKET-VMSA"), E_SEAL),
    .effect = "a packet of the VMSA", .run = fw_sev_send_update_vmsa,
}, {
    SEV_COMMAND(SEND_FINISH), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_SENDING,               /* [FW-SEND-END-STATE] */
    BUFFER(4, "0 handle 4"), .errors = NONE, .to_guest = SEVG_SENT,
    .run = fw_sev_send_finish,
}, {
    SEV_COMMAND(SEND_CANCEL), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_SENDING,
    BUFFER(4, "0 handle 4"), .errors = NONE, .to_guest = SEVG_RUN,
    .run = fw_sev_send_cancel,
}, {
    SEV_COMMAND(RECEIVE_START), .platform = SEV_ON | SNP_ANY,
    OUTBUF(36, "0 handle 4, 4 policy 4, 8 pdh 8, 10 pdh_len 4, 14 rsvd 4, "
               "18 session 8, 20 session_len 4"),
    .errors = ERRORS(E_START), .to_platform = SEV_W,
    .effect = "a guest in receive update", .run = fw_sev_receive_start,
}, {
    SEV_COMMAND(RECEIVE_UPDATE_DATA), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_COMING,                /* [FW-RECEIVE-STATE] */
    .active = FW_WITH_ASID,         /* [FW-RECEIVE-ACTIVE] */
    BUFFER(52, PACKET), .errors = ERRORS(E_OPEN),
    .effect = "the guest's memory has what is in the packet",
    .run = fw_sev_receive_update_data,
}, {
    SEV_COMMAND(RECEIVE_UPDATE_VMSA), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_COMING, .active = FW_WITH_ASID, BUFFER(52, PACKET),
    .errors = ERRORS(E(UNSUPPORTED, "PACKET-VMSA"), E_OPEN),
    .effect = "the VMSA is what is in the packet",
    .run = fw_sev_receive_update_vmsa,
}, {
    SEV_COMMAND(RECEIVE_FINISH), .platform = SEV_ON | SNP_ANY,
    .sev = SEVG_COMING,
    BUFFER(4, "0 handle 4"), .errors = NONE, .to_guest = SEVG_RUN,
    .run = fw_sev_receive_finish,
}, {
    SEV_COMMAND(DBG_DECRYPT), .platform = SEV_W | SNP_ANY,
    .sev = SEVG_RUN,                   /* [FW-SEV-DBG-STATE] */
    .active = FW_WITH_ASID,         /* [FW-SEV-DBG-ACTIVE] it has the key */
    LOOSE_SEV_DBG,
    BUFFER(28, "0 handle 4, 4 rsvd 4, 8 from 8, 10 to 8, 18 len 4"),
    .errors = ERRORS(E(POLICY_FAILURE, "SEV-DBG-POLICY"),
                     E(INVALID_LEN, "SEV-DBG-LEN"),
                     E(INVALID_ADDRESS, "SEV-DBG-ADDRESS"), E_OUTPUT),
    .effect = "plaintext of the guest's memory", .run = fw_sev_dbg_decrypt,
}, {
    SEV_COMMAND(DBG_ENCRYPT), .platform = SEV_W | SNP_ANY,
    .sev = SEVG_RUN, .active = FW_WITH_ASID, LOOSE_SEV_DBG,
    BUFFER(28, "0 handle 4, 4 rsvd 4, 8 from 8, 10 to 8, 18 len 4"),
    .errors = ERRORS(E(POLICY_FAILURE, "SEV-DBG-POLICY"),
                     E(INVALID_LEN, "SEV-DBG-LEN"),
                     E(INVALID_ADDRESS, "SEV-DBG-ADDRESS"), E_OUTPUT),
    .effect = "the guest's memory is written", .run = fw_sev_dbg_encrypt,
},

/* ---- SNP: the platform ---- */

{
    COMMAND(SNP_INIT), .platform = SEV_U | SNP_U, .errors = ERRORS(E_CPUS),
    .to_platform = SNP_I, .effect = "every entry of the RMP is new",
    .run = fw_snp_init,
}, {
    COMMAND(SNP_SHUTDOWN), .platform = SEV_U | SNP_I,
    .errors = ERRORS(E_SHUTDOWN), .to_platform = SNP_U,
    .effect = "no SNP guest is left, HV-fixed pages are Hypervisor",
    .run = fw_snp_shutdown,
}, {
    /* the buffers of this one and others are the addresses in it */
    COMMAND(SNP_PLATFORM_STATUS), .platform = ANY, BUFFER(8, "0 status 8"),
    .errors = ERRORS(E(INVALID_ADDRESS, "STATUS-ADDRESS"), E_OUTPUT),
    .effect = "with SNP on, the status page: Firmware to Reclaim",
    .run = fw_snp_platform_status,
}, {
    COMMAND(SNP_DF_FLUSH), .platform = SEV_ANY | SNP_I,
    .errors = ERRORS(E(WBINVD_REQUIRED, "DFFLUSH-WBINVD")),
    .effect = "no ASID is dirty", .run = fw_df_flush,
}, {
    COMMAND(SNP_INIT_EX), .platform = SEV_U | SNP_U,
    BUFFER(64, "0 flags 4, 4 rsvd 4, 8 list 8, 10 max_snp_asid 2, "
               "12 rsvd 46"),
    .errors = ERRORS(E(INVALID_PARAM, "INIT-RSVD"),
                     E(INVALID_PARAM, "INIT-HIDE"),
                     E_LIST, E_CPUS,
                     E(RMP_INIT_REQUIRED, "INIT-RMP-REQUIRED"),
                     E(INVALID_PAGE_STATE, "INIT-LIST-STATE")),
    .to_platform = SNP_I,
    .effect = "listed pages: Hypervisor to HV-fixed; the RMP's and the "
              "IOMMU's: Firmware",
    .run = fw_snp_init_ex,
}, {
    COMMAND(SNP_SHUTDOWN_EX), .platform = SEV_U | SNP_I,
    BUFFER(8, "0 length 4, 4 flags 4"),
    .errors = ERRORS(E(INVALID_LEN, "SHUTDOWN-LEN"),
                     E(INVALID_PARAM, "SHUTDOWN-RSVD"),
                     E(INVALID_PARAM, "SHUTDOWN-X86-IOMMU"), E_SHUTDOWN),
    .to_platform = SNP_U,
    .effect = "no SNP guest is left, HV-fixed pages are Hypervisor; flag 0: "
              "the IOMMU's pages are Reclaim; flag 1, if announced: SNP is off "
              "in the CPUs",
    .run = fw_snp_shutdown_ex,
},

/* ---- SNP: guests ---- */

{
    COMMAND(SNP_DECOMMISSION), .platform = SEV_ANY | SNP_I, .snp = SNPG_ANY,
    BUFFER(8, "0 gctx 8"), .errors = NONE,
    .effect = "the guest is gone, its ASID dirty; its page: Context to "
              "Firmware",
    .run = fw_snp_decommission,
}, {
    COMMAND(SNP_ACTIVATE), .platform = SEV_ANY | SNP_I,
    .snp = SNPG_LAUNCH | SNPG_RUN,        /* [FW-ACTIVATE-STATE] */
    .active = FW_WITHOUT_ASID,      /* [FW-ACTIVATE-TWICE] */
    BUFFER(12, "0 gctx 8, 8 asid 4"), .errors = ERRORS(E_ASID),
    .effect = "the ASID is the guest's", .run = fw_snp_activate,
}, {
    COMMAND(SNP_GUEST_STATUS), .platform = SEV_ANY | SNP_I, .snp = SNPG_ANY,
    BUFFER(16, "0 gctx 8, 8 status 8"),
    .errors = ERRORS(E(INVALID_ADDRESS, "STATUS-ADDRESS"), E_OUTPUT),
    .run = fw_snp_guest_status,
}, {
    COMMAND(SNP_GCTX_CREATE), .platform = SEV_ANY | SNP_I,
    BUFFER(8, "0 gctx 8"),
    .errors = ERRORS(E(INVALID_ADDRESS, "GCTX-CREATE-ADDRESS"),
                     E(INVALID_ADDRESS, "OUTPUT-ADDRESS"),
                     E(INVALID_PAGE_STATE, "GCTX-CREATE-STATE"),
                     E(RESOURCE_LIMIT, "GUEST-LIMIT")),
    .effect = "the page: Firmware to Context, of a new guest",
    .run = fw_gctx_create,
}, {
    COMMAND(SNP_GUEST_REQUEST), .platform = SEV_ANY | SNP_I,
    .snp = SNPG_RUN,                   /* [FW-REQUEST-STATE] */
    BUFFER(24, "0 gctx 8, 8 request 8, 10 response 8"),
    .errors = ERRORS(E(INVALID_ADDRESS, "REQUEST-ADDRESS"),
                     E(INVALID_ADDRESS, "OUTPUT-ADDRESS"),
                     E(INVALID_PAGE_STATE, "REQUEST-RESPONSE"),
                     E(INVALID_PARAM, "MSG-HEADER"),
                     E(INVALID_PARAM, "MSG-RSVD"),
                     E(INVALID_PARAM, "MSG-VMPCK"),
                     E(AEAD_OFLOW, "MSG-OVERFLOW"),
                     E(INVALID_PARAM, "MSG-SEQNO"),
                     E(BAD_MEASUREMENT, "MSG-AUTH"),
                     E(INVALID_PARAM, "MSG-TYPE"),
                     E(HWERROR_PLATFORM, "CRYPTO")),
    .effect = "the response, and two messages more of this VMPCK",
    .run = fw_snp_guest_request,
}, {
    COMMAND(SNP_ACTIVATE_EX), .platform = SEV_ANY | SNP_I,
    .snp = SNPG_LAUNCH | SNPG_RUN, .gctx = 8, .active = FW_WITHOUT_ASID,
    OUR_BUF(32, "0 length 4, 4 rsvd 4, 8 gctx 8, 10 asid 4, 14 count 4, "
                "18 list 8"),
    .errors = ERRORS(E(INVALID_LEN, "ACTIVATE-EX-LEN"),
                     E(INVALID_PARAM, "ACTIVATE-EX-COUNT"),
                     E(INVALID_ADDRESS, "ACTIVATE-EX-LIST"),
                     E(INVALID_PARAM, "ACTIVATE-EX-CPU"), E_ASID),
    .effect = "the ASID is the guest's, on the core complexes of the CPUs in "
              "the list",
    .run = fw_snp_activate_ex,
}, {
    COMMAND(SNP_LAUNCH_START), .platform = SEV_ANY | SNP_I,
    .snp = SNPG_INIT,                  /* [FW-LAUNCH-START-STATE] */
    BUFFER(48, "0 gctx 8, 8 policy 8, 10 ma_gctx 8, 18 flags 4, "
               "1c tsc_khz 4, 20 gosvw 16"),
    .errors = ERRORS(E(INVALID_PARAM, "LAUNCH-START-RSVD"),
                     E(INVALID_PARAM, "POLICY-RSVD"),
                     E(POLICY_FAILURE, "POLICY-API"),
                     E(POLICY_FAILURE, "POLICY-SMT"),
                     E(POLICY_FAILURE, "POLICY-FEATURES"),
                     E(INVALID_PARAM, "LAUNCH-START-TSC"),
                     E(UNSUPPORTED, "LAUNCH-START-MA")),
    .to_guest = SNPG_LAUNCH, .run = fw_snp_launch_start,
}, {
    COMMAND(SNP_LAUNCH_UPDATE), .platform = SEV_ANY | SNP_I,
    .snp = SNPG_LAUNCH,                /* [FW-UPDATE-STATE] */
    .active = FW_WITH_ASID,         /* [FW-UPDATE-ACTIVE] */
    BUFFER(32, "0 gctx 8, 8 flags 4, c rsvd 4, 10 page 8, 18 rsvd 1, "
               "19 vmpl1 1, 1a vmpl2 1, 1b vmpl3 1, 1c rsvd 4"),
    .errors = ERRORS(E(INVALID_PARAM, "UPDATE-RSVD"),
                     E(INVALID_PARAM, "UPDATE-TYPE"),
                     E(INVALID_ADDRESS, "UPDATE-ADDRESS"),
                     E(INVALID_PAGE_STATE, "UPDATE-PAGE-STATE"),
                     E(INVALID_PAGE_OWNER, "UPDATE-OWNER"),
                     E(INVALID_PAGE_SIZE, "UPDATE-SIZE"),
                     E(INVALID_PARAM, "UPDATE-VMSA"),
                     E(INVALID_PARAM, "UPDATE-CPUID")),
    .effect = "the page: Pre-guest to Guest-valid; the digest goes on",
    .run = fw_snp_launch_update,
}, {
    COMMAND(SNP_LAUNCH_FINISH), .platform = SEV_ANY | SNP_I,
    .snp = SNPG_LAUNCH,                /* [FW-FINISH-STATE] */
    BUFFER(64, "0 gctx 8, 8 id_block 8, 10 id_auth 8, 18 flags 8, "
               "20 host_data 32"),
    .errors = ERRORS(E(INVALID_PARAM, "FINISH-RSVD"),
                     E(INVALID_ADDRESS, "ID-ADDRESS"),
                     E(INVALID_PARAM, "ID-FORMAT"),
                     E(BAD_SIGNATURE, "ID-SIGNATURE"),
                     E(BAD_SIGNATURE, "ID-AUTHOR"),
                     E(BAD_MEASUREMENT, "ID-MEASUREMENT"),
                     E(POLICY_FAILURE, "ID-POLICY")),
    .to_guest = SNPG_RUN, .run = fw_snp_launch_finish,
}, {
    COMMAND(SNP_DBG_DECRYPT), .platform = SEV_ANY | SNP_I,
    .snp = SNPG_LAUNCH | SNPG_RUN,  /* [FW-DBG-STATE] */
    .active = FW_WITH_ASID,         /* [FW-DBG-ACTIVE] */
    BUFFER(24, "0 gctx 8, 8 from 8, 10 to 8"),
    .errors = ERRORS(E(POLICY_FAILURE, "DBG-POLICY"),
                     E(INVALID_ADDRESS, "DBG-ADDRESS"),
                     E(INVALID_PAGE_STATE, "DBG-SOURCE"),
                     E(INVALID_PAGE_OWNER, "DBG-OWNER"),
                     E(INVALID_PAGE_STATE, "OUTPUT-STATE")),
    .effect = "plaintext of the guest's page", .run = fw_snp_dbg_decrypt,
}, {
    COMMAND(SNP_DBG_ENCRYPT), .platform = SEV_ANY | SNP_I,
    .snp = SNPG_LAUNCH | SNPG_RUN, .active = FW_WITH_ASID,
    BUFFER(24, "0 gctx 8, 8 from 8, 10 to 8"),
    .errors = ERRORS(E(POLICY_FAILURE, "DBG-POLICY"),
                     E(INVALID_ADDRESS, "DBG-ADDRESS"),
                     E(INVALID_PAGE_STATE, "DBG-TARGET"),
                     E(INVALID_PAGE_OWNER, "DBG-OWNER")),
    .effect = "the guest's page is written; it stays Pre-guest",
    .run = fw_snp_dbg_encrypt,
}, {
    COMMAND(SNP_VERIFY_MITIGATION), .platform = ANY,
    BUFFER(64, "0 length 4, 4 subcommand 2, 6 rsvd 2, 8 vector 8, 10 flags 4, "
               "14 rsvd 4, 18 from 8, 20 to 8, 28 rsvd 24"),
    .errors = ERRORS(E(INVALID_LEN, "MITIGATION-LEN"),
                     E(INVALID_PARAM, "MITIGATION-RSVD"),
                     E(INVALID_PARAM, "MITIGATION-VECTOR"),
                     E(INVALID_ADDRESS, "MITIGATION-ADDRESS"), E_OUTPUT),
    .effect = "subcommand 1: the mitigation is in force",
    .run = fw_snp_verify_mitigation,
},

/* ---- SNP: pages ---- */

{
    COMMAND(SNP_PAGE_SWAP_OUT), .platform = SEV_ANY | SNP_I,
    .snp = SNPG_LAUNCH | SNPG_RUN,  /* [FW-SWAP-STATE] */
    .active = FW_WITH_ASID,         /* [FW-SWAP-ACTIVE] */
    OUR_BUF(48, "0 gctx 8, 8 page 8, 10 to 8, 18 mdata 8, 20 software 8, "
                "28 flags 4, 2c rsvd 4"),
    .errors = ERRORS(E_SWAP, E(INVALID_PAGE_STATE, "SWAP-OUT-STATE"),
                     E(INVALID_PAGE_OWNER, "SWAP-OUT-OWNER"),
                     E(INVALID_PAGE_SIZE, "SWAP-OUT-SIZE"),
                     E(INVALID_PARAM, "SWAP-OUT-TYPE"),
                     E(INVALID_PAGE_STATE, "OUTPUT-STATE"),
                     E(INVALID_PAGE_STATE, "SWAP-MDATA"),
                     E(INVALID_PAGE_OWNER, "SWAP-MDATA-OWNER"),
                     E(INVALID_MDATA_ENTRY, "SWAP-OUT-ENTRY"),
                     E(AEAD_OFLOW, "SWAP-OUT-OVERFLOW"),
                     E(HWERROR_PLATFORM, "CRYPTO")),
    .effect = "sealed content; the page: Pre-guest, Pre-swap or Metadata to "
              "Firmware",
    .run = fw_snp_page_swap_out,
}, {
    COMMAND(SNP_PAGE_SWAP_IN), .platform = SEV_ANY | SNP_I,
    .snp = SNPG_LAUNCH | SNPG_RUN, .active = FW_WITH_ASID,
    OUR_BUF(40, "0 gctx 8, 8 from 8, 10 page 8, 18 mdata 8, 20 flags 4, "
                "24 rsvd 4"),
    .errors = ERRORS(E_SWAP, E(INVALID_PAGE_STATE, "SWAP-MDATA"),
                     E(INVALID_PAGE_OWNER, "SWAP-MDATA-OWNER"),
                     E(INVALID_MDATA_ENTRY, "SWAP-IN-ENTRY"),
                     E(INVALID_PAGE_STATE, "SWAP-IN-STATE"),
                     E(INVALID_PAGE_OWNER, "SWAP-IN-OWNER"),
                     E(INVALID_PAGE_SIZE, "SWAP-IN-SIZE"),
                     E(INVALID_PARAM, "SWAP-IN-GPA"),
                     E(BAD_MEASUREMENT, "SWAP-IN-AUTH")),
    .effect = "the page: Pre-guest to Guest-valid or Guest-invalid, as it "
              "was; of metadata: Firmware to Metadata",
    .run = fw_snp_page_swap_in,
}, {
    COMMAND(SNP_PAGE_MOVE), .platform = SEV_ANY | SNP_I,
    .snp = SNPG_LAUNCH | SNPG_RUN, .active = FW_WITH_ASID,
    OUR_BUF(32, "0 gctx 8, 8 flags 4, c rsvd 4, 10 from 8, 18 to 8"),
    .errors = ERRORS(E(INVALID_PARAM, "MOVE-RSVD"),
                     E(POLICY_FAILURE, "SWAP-POLICY"),
                     E(INVALID_ADDRESS, "MOVE-ADDRESS"),
                     E(INVALID_PAGE_STATE, "MOVE-STATE"),
                     E(INVALID_PAGE_OWNER, "MOVE-OWNER"),
                     E(INVALID_PAGE_SIZE, "MOVE-SIZE"),
                     E(INVALID_PARAM, "MOVE-GPA")),
    .effect = "one page: Pre-guest to Guest-valid or Guest-invalid; the "
              "other: Pre-guest or Pre-swap to Firmware",
    .run = fw_snp_page_move,
}, {
    COMMAND(SNP_PAGE_MD_INIT), .platform = SEV_ANY | SNP_I, .snp = SNPG_ANY,
    OUR_BUF(16, "0 gctx 8, 8 page 8"),
    .errors = ERRORS(E(INVALID_ADDRESS, "MD-INIT-ADDRESS"), E_OUTPUT),
    .effect = "the page: Firmware to Metadata", .run = fw_snp_page_md_init,
}, {
    COMMAND(SNP_PAGE_SET_STATE), .platform = SEV_ANY | SNP_I,
    OUR_BUF(16, "0 length 4, 4 rsvd 4, 8 list 8"),
    .errors = ERRORS(E(INVALID_LEN, "SET-STATE-LEN"),
                     E(INVALID_PARAM, "SET-STATE-RSVD"),
                     E_LIST,
                     E(INVALID_PAGE_STATE, "SET-STATE-STATE")),
    .effect = "listed pages: Hypervisor to HV-fixed",
    .run = fw_snp_page_set_state,
}, {
    COMMAND(SNP_PAGE_RECLAIM), .platform = SEV_ANY | SNP_I,
    BUFFER(8, "0 page 8"),
    .errors = ERRORS(E(INVALID_ADDRESS, "RECLAIM-ADDRESS"),
                     E(INVALID_PAGE_STATE, "RECLAIM-PRIVATE"),
                     E(INVALID_PAGE_STATE, "RECLAIM-STATE"),
                     E(INVALID_PAGE_SIZE, "RECLAIM-SIZE")),
    .effect = "the page: Firmware, Metadata, Pre-guest, Pre-swap or Reclaim "
              "to Reclaim",
    .run = fw_snp_page_reclaim,
}, {
    COMMAND(SNP_PAGE_UNSMASH), .platform = SEV_ANY | SNP_I,
    BUFFER(8, "0 page 8"),
    .errors = ERRORS(E(INVALID_ADDRESS, "UNSMASH-ADDRESS"),
                     E(INVALID_PAGE_SIZE, "UNSMASH-SIZE"),
                     E(INVALID_PAGE_STATE, "UNSMASH-STATE"),
                     E(INVALID_PAGE_OWNER, "UNSMASH-OWNER"),
                     E(INVALID_PARAM, "UNSMASH-GPA")),
    .effect = "512 entries of 4K, Pre-guest or Pre-swap, are one of 2M",
    .run = fw_snp_page_unsmash,
},

/* ---- SNP: versions and features ---- */

{
    COMMAND(SNP_CONFIG), .platform = ANY,
    BUFFER(64, "0 reported_tcb 8, 8 flags 4, c rsvd 52"),
    .errors = ERRORS(E(INVALID_PARAM, "CONFIG"),
                     E(INVALID_PARAM, "CONFIG-RSVD")),
    .effect = "the TCB version reported; chip id and key masked",
    .run = fw_snp_config,
}, {
    COMMAND(SNP_DOWNLOAD_FIRMWARE_EX), .platform = SEV_U | SNP_ANY,
    BUFFER(24, "0 length 4, 4 rsvd 4, 8 image 8, 10 image_len 4, 14 flags 4"),
    .errors = ERRORS(E(INVALID_LEN, "DOWNLOAD-EX-LEN"),
                     E(INVALID_PARAM, "DOWNLOAD-EX-RSVD"), E_IMAGE,
                     E(SHUTDOWN_REQUIRED, "DOWNLOAD-EX-LIVE"),
                     E(SHUTDOWN_REQUIRED, "DOWNLOAD-EX-GUESTS")),
    .effect = "the version is the image's; flag 0: and committed",
    .run = fw_snp_download_firmware_ex,
}, {
    COMMAND(SNP_COMMIT), .platform = ANY, BUFFER(4, "0 length 4"),
    .errors = ERRORS(E(INVALID_LEN, "COMMIT-LEN")),
    .effect = "the version that runs is the one committed and reported",
    .run = fw_snp_commit,
}, {
    COMMAND(SNP_VLEK_LOAD), .platform = SEV_ANY | SNP_I,
    BUFFER(16, "0 length 4, 4 version 1, 5 rsvd 3, 8 hashstick 8"),
    .errors = ERRORS(E(INVALID_LEN, "VLEK-LEN"),
                     E(INVALID_PARAM, "VLEK-VERSION"),
                     E(INVALID_ADDRESS, "VLEK-ADDRESS"),
                     E(INVALID_PARAM, "VLEK-RSVD"),
                     E(BAD_MEASUREMENT, "VLEK-AUTH"),
                     E(INVALID_PARAM, "VLEK-TCB"),
                     E(INVALID_KEY, "VLEK-KEY")),
    .effect = "the VLEK signs, until it is deleted",
    .run = fw_snp_vlek_load,
}, {
    COMMAND(SNP_FEATURE_INFO), .platform = ANY,
    BUFFER(16, "0 length 4, 4 function 4, 8 info 8"),
    .errors = ERRORS(E(INVALID_LEN, "FEATURE-LEN"),
                     E(INVALID_PARAM, "FEATURE-FUNCTION"),
                     E(INVALID_ADDRESS, "FEATURE-ADDRESS"), E_OUTPUT),
    .run = fw_snp_feature_info,
},

/* ---- trusted I/O ---- */

{
    TIO_COMMAND(TIO_STATUS), BUFFER(16, "0 length 4, 4 rsvd 4, 8 status 8"),
    .errors = ERRORS(E_TIO, E(INVALID_ADDRESS, "STATUS-ADDRESS"), E_OUTPUT),
    .run = fw_tio_status,
}, {
    TIO_COMMAND(TIO_INIT), BUFFER(16, "0 length 4, 4 rsvd 12"),
    .errors = ERRORS(E_TIO, E(INVALID_CONFIG, "TIO-ENABLED"),
                     E(INVALID_PLATFORM_STATE, "TIO-INIT-TWICE")),
    .effect = "devices are taken", .run = fw_tio_init,
}, {
    TIO_COMMAND(TIO_DEV_CREATE),
    BUFFER(32, "0 length 4, 4 rsvd 4, 8 context 8, 10 device 2, "
               "12 root_port 2, 14 segment 1, 15 rsvd 11"),
    .errors = ERRORS(E_TIO_INITED, E_SLA, E(IN_USE, "TIO-DEV-TWICE"),
                     E(RESOURCE_LIMIT, "TIO-DEV-LIMIT")),
    .effect = "the context's pages: Firmware to Context, of a new device",
    .run = fw_tio_dev_create,
}, {
    TIO_COMMAND(TIO_DEV_RECLAIM),
    BUFFER(16, "0 length 4, 4 rsvd 4, 8 context 8"),
    .errors = ERRORS(E_TIO_INITED, E(INVALID_DEV_CTX, "TIO-DEV-CTX")),
    .effect = "the device is gone, whatever it was asked; the context's "
              "pages: Context to Firmware",
    .run = fw_tio_dev_reclaim,
}, {
    TIO_COMMAND(TIO_DEV_CONNECT), .answer = FW_SPDM_REQUEST,
    BUFFER(80, "0 length 4, 4 rsvd 4, " SPDM_BUFFERS ", 28 rsvd 8, "
               "30 context 8, 38 tc_mask 1, 39 slot 1, 3a rsvd 6, "
               "40 streams 8, 48 rsvd 8"),
    .errors = ERRORS(E_TIO_INITED, E(INVALID_DEV_CTX, "TIO-DEV-CTX"),
                     E(INVALID_PARAM, "TIO-CONNECT-TC"),
                     E(INVALID_PARAM, "TIO-CONNECT-SLOT"), E_SLA,
                     E(INCORRECT_BUFFER_LENGTH, "TIO-CAPACITY"),
                     E(INVALID_PARAM, "TIO-CONNECT-OTHER"),
                     E(SPDM_ERROR, "TIO-RESPONSE"),
                     E(SPDM_ERROR, "SPDM-MESSAGE"),
                     E(SPDM_ERROR, "SPDM-VERSION"),
                     E(SPDM_ERROR, "SPDM-CAPABILITIES"),
                     E(SPDM_ERROR, "SPDM-ALGORITHMS"),
                     E(ERR_IN_DEV_CONN, "TIO-SESSION")),
    .effect = "the request buffer has what the device is to be asked next, "
              "and the same command brings its answer; after SPDM_ERROR and "
              "ERR_IN_DEV_CONN the device is as it was created",
    .run = fw_tio_dev_connect,
}, {
    TIO_COMMAND(TIO_DEV_DISCONNECT),
    BUFFER(48, "0 length 4, 4 flags 4, " SPDM_BUFFERS ", 28 context 8"),
    .errors = ERRORS(E_TIO_INITED, E(INVALID_DEV_CTX, "TIO-DEV-CTX"),
                     E(INVALID_DEV_STATE, "TIO-DISCONNECT-STATE")),
    .effect = "the device is as it was created",
    .run = fw_tio_dev_disconnect,
},
};

const unsigned fw_ncommands = sizeof(fw_commands) / sizeof(fw_commands[0]);
