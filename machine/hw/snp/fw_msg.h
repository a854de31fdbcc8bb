/*
 * Secure processor firmware: guest messages, reports, ID blocks as they lie in
 * memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bytes only: all numbers are little-endian, read and written by fw_get() and
 * fw_put(). SNP firmware ABI (56860), SNP_GUEST_REQUEST, SNP_LAUNCH_FINISH,
 * SNP_VLEK_LOAD, SNP_VERIFY_MITIGATION, attestation report.
 */
#ifndef HW_SNP_FW_MSG_H
#define HW_SNP_FW_MSG_H

#include "fw_int.h"

#define PIN_SIZE(type, size) \
    _Static_assert(sizeof(type) == (size), #type)
#define PIN(type, field, off) \
    _Static_assert(offsetof(type, field) == (off), #type "." #field)

typedef struct FwMsgHeader {
    uint8_t authtag[32];        /* 16 used */
    uint8_t seqno[8];
    uint8_t rsvd_28[8];
    uint8_t algo;               /* from here on authenticated */
    uint8_t hdr_version;
    uint8_t hdr_size[2];
    uint8_t type;
    uint8_t version;
    uint8_t size[2];            /* of the payload */
    uint8_t rsvd_38[4];
    uint8_t vmpck;
    uint8_t rsvd_3d[35];
} FwMsgHeader;

PIN_SIZE(FwMsgHeader, 0x60);
PIN(FwMsgHeader, seqno, 0x20);
PIN(FwMsgHeader, algo, 0x30);
PIN(FwMsgHeader, type, 0x34);
PIN(FwMsgHeader, size, 0x36);
PIN(FwMsgHeader, vmpck, 0x3c);

#define FW_MSG_AAD         offsetof(FwMsgHeader, algo)
#define FW_MSG_AAD_LEN     (sizeof(FwMsgHeader) - FW_MSG_AAD)
#define FW_MSG_MAX         (RMP_PAGE_SIZE - sizeof(FwMsgHeader))
#define FW_MSG_GCM         1u
#define FW_MSG_HDR_VERSION 1u

enum FwMsgType {
    FW_MSG_KEY_REQ = 3,
    FW_MSG_KEY_RSP = 4,
    FW_MSG_REPORT_REQ = 5,
    FW_MSG_REPORT_RSP = 6,
    FW_MSG_TSC_REQ = 17,
    FW_MSG_TSC_RSP = 18,
};

/* Status inside of a response */
enum FwMsgStatus {
    FW_MSG_OK = 0,
    FW_MSG_INVALID_PARAM = 0x16,
    FW_MSG_INVALID_KEY = 0x27,
};

typedef struct FwReportReq {
    uint8_t report_data[64];
    uint8_t vmpl[4];
    uint8_t key_sel[4];         /* bits 1:0 */
    uint8_t rsvd_48[24];
} FwReportReq;

PIN_SIZE(FwReportReq, 0x60);
PIN(FwReportReq, vmpl, 0x40);

typedef struct FwSignature {
    uint8_t r[72], s[72];
    uint8_t rsvd[368];
} FwSignature;

PIN_SIZE(FwSignature, 512);

typedef struct FwReport {
    uint8_t version[4];
    uint8_t guest_svn[4];
    uint8_t policy[8];
    uint8_t family_id[16], image_id[16];
    uint8_t vmpl[4];
    uint8_t signature_algo[4];
    uint8_t current_tcb[8];
    uint8_t platform_info[8];
    uint8_t key_info[4];
    uint8_t rsvd_4c[4];
    uint8_t report_data[64];
    uint8_t measurement[48];
    uint8_t host_data[32];
    uint8_t id_key_digest[48], author_key_digest[48];
    uint8_t report_id[32], report_id_ma[32];
    uint8_t reported_tcb[8];
    uint8_t cpuid_fms[3];       /* version 3 and up: family, model, stepping */
    uint8_t rsvd_18b[21];
    uint8_t chip_id[64];
    uint8_t committed_tcb[8];
    uint8_t current_version[3]; /* build, minor, major */
    uint8_t rsvd_1eb;
    uint8_t committed_version[3];
    uint8_t rsvd_1ef;
    uint8_t launch_tcb[8];
    uint8_t launch_mitigations[8];      /* version 5 and up */
    uint8_t mitigations[8];             /* the same, now */
    uint8_t rsvd_208[152];
    FwSignature signature;
} FwReport;

PIN_SIZE(FwReport, 0x4a0);
PIN(FwReport, family_id, 0x10);
PIN(FwReport, vmpl, 0x30);
PIN(FwReport, current_tcb, 0x38);
PIN(FwReport, key_info, 0x48);
PIN(FwReport, report_data, 0x50);
PIN(FwReport, measurement, 0x90);
PIN(FwReport, host_data, 0xc0);
PIN(FwReport, id_key_digest, 0xe0);
PIN(FwReport, author_key_digest, 0x110);
PIN(FwReport, report_id, 0x140);
PIN(FwReport, reported_tcb, 0x180);
PIN(FwReport, cpuid_fms, 0x188);
PIN(FwReport, chip_id, 0x1a0);
PIN(FwReport, committed_tcb, 0x1e0);
PIN(FwReport, current_version, 0x1e8);
PIN(FwReport, committed_version, 0x1ec);
PIN(FwReport, launch_tcb, 0x1f0);
PIN(FwReport, mitigations, 0x200);
PIN(FwReport, signature, 0x2a0);

typedef struct FwReportRsp {
    uint8_t status[4];
    uint8_t size[4];
    uint8_t rsvd_8[24];
    FwReport report;
} FwReportRsp;

PIN(FwReportRsp, report, 0x20);

typedef struct FwKeyReq {
    uint8_t root[4];            /* bit 0 VMRK, bits 2:1 which chip key */
    uint8_t rsvd_4[4];
    uint8_t fields[8];
    uint8_t vmpl[4];
    uint8_t guest_svn[4];
    uint8_t tcb[8];
} FwKeyReq;

PIN_SIZE(FwKeyReq, 0x20);
PIN(FwKeyReq, fields, 0x08);
PIN(FwKeyReq, tcb, 0x18);

/* Message version 2: which mitigations were there at launch */
typedef struct FwKeyReq2 {
    FwKeyReq v1;
    uint8_t mitigations[8];
} FwKeyReq2;

PIN_SIZE(FwKeyReq2, 0x28);
PIN(FwKeyReq2, mitigations, 0x20);

typedef struct FwKeyRsp {
    uint8_t status[4];
    uint8_t rsvd_4[28];
    uint8_t key[32];
} FwKeyRsp;

PIN_SIZE(FwKeyRsp, 0x40);

typedef struct FwTscReq {
    uint8_t rsvd[128];
} FwTscReq;

typedef struct FwTscRsp {
    uint8_t status[4];
    uint8_t rsvd_4[4];
    uint8_t scale[8], offset[8];        /* as in a VMSA */
    uint8_t factor[4];                  /* 1/100000 by which it runs slower */
    uint8_t rsvd_1c[100];
} FwTscRsp;

PIN_SIZE(FwTscRsp, 128);
PIN(FwTscRsp, scale, 0x08);
PIN(FwTscRsp, factor, 0x18);

typedef struct FwIdBlock {
    uint8_t ld[48];
    uint8_t family_id[16], image_id[16];
    uint8_t version[4];
    uint8_t guest_svn[4];
    uint8_t policy[8];
} FwIdBlock;

PIN_SIZE(FwIdBlock, 96);
PIN(FwIdBlock, version, 0x50);

typedef struct FwPublicKey {
    uint8_t curve[4];
    uint8_t x[72], y[72];
    uint8_t rsvd[880];
} FwPublicKey;

PIN_SIZE(FwPublicKey, 0x404);

typedef struct FwIdAuth {
    uint8_t id_key_algo[4];
    uint8_t author_key_algo[4];
    uint8_t rsvd_8[56];
    FwSignature block_sig;      /* of the ID block by the ID key */
    FwPublicKey id_key;
    uint8_t rsvd_644[60];
    FwSignature id_key_sig;     /* of the ID key by the author key */
    FwPublicKey author_key;
    uint8_t rsvd_c84[892];
} FwIdAuth;

PIN_SIZE(FwIdAuth, 4096);
PIN(FwIdAuth, block_sig, 0x40);
PIN(FwIdAuth, id_key, 0x240);
PIN(FwIdAuth, id_key_sig, 0x680);
PIN(FwIdAuth, author_key, 0x880);

/* What SNP_VLEK_LOAD is given */
typedef struct FwHashstick {
    uint8_t iv[12];
    uint8_t rsvd_c[4];
    uint8_t wrapped[FW_VLEK_LEN];
    uint8_t tcb[8];
    uint8_t rsvd_198[8];
    uint8_t tag[16];            /* of wrapped and tcb */
} FwHashstick;

PIN_SIZE(FwHashstick, 432);
PIN(FwHashstick, wrapped, 0x10);
PIN(FwHashstick, tcb, 0x190);
PIN(FwHashstick, tag, 0x1a0);

/* Of SEV's platform and owner: SEV API (55766), appendix C */
typedef struct FwCert {
    uint8_t version[4];
    uint8_t major, minor;       /* of the API */
    uint8_t rsvd_6[2];
    uint8_t usage[4];
    uint8_t algo[4];
    FwPublicKey key;
    struct {                    /* of all before them, both */
        uint8_t usage[4];
        uint8_t algo[4];
        FwSignature sig;
    } sig[2];
} FwCert;

#define FW_CERT_VERSION    1u
#define FW_CERT_BODY       offsetof(FwCert, sig)
#define FW_USAGE_NONE      0x1000u
#define FW_USAGE_OCA       0x1001u
#define FW_USAGE_PEK       0x1002u
#define FW_USAGE_PDH       0x1003u
#define FW_USAGE_CEK       0x1004u
#define FW_ALGO_NONE       0u
#define FW_ALGO_ECDSA_256  2u
#define FW_ALGO_ECDH_256   3u
#define FW_ALGO_ECDSA_384  0x102u

PIN_SIZE(FwCert, 2084);
PIN(FwCert, usage, 0x08);
PIN(FwCert, key, 0x10);
PIN(FwCert, sig, 0x414);

/*
 * What a SEV guest's owner begins with, at LAUNCH_START, and a platform that
 * sends one
 */
typedef struct FwSession {
    uint8_t nonce[16];
    uint8_t wrap_tk[32];        /* TEK, then TIK */
    uint8_t wrap_iv[16];
    uint8_t wrap_mac[32];
    uint8_t policy_mac[32];
} FwSession;

PIN_SIZE(FwSession, 128);
PIN(FwSession, wrap_iv, 0x30);
PIN(FwSession, policy_mac, 0x60);

/* Of a packet: a secret, or memory of a guest that is sent */
typedef struct FwPacketHeader {
    uint8_t flags[4];
    uint8_t iv[16];
    uint8_t mac[32];
} FwPacketHeader;

PIN_SIZE(FwPacketHeader, 52);

/* What ATTESTATION_REPORT answers */
typedef struct FwSevReport {
    uint8_t nonce[16];
    uint8_t digest[32];
    uint8_t policy[4];
    uint8_t usage[4];           /* up to here it is signed */
    uint8_t algo[4];
    uint8_t rsvd_3c[4];
    uint8_t r[72], s[72];
} FwSevReport;

PIN_SIZE(FwSevReport, 0xd0);
PIN(FwSevReport, usage, 0x34);
PIN(FwSevReport, r, 0x40);

/* What SNP_VERIFY_MITIGATION answers */
typedef struct FwMitigations {
    uint8_t verified[8];
    uint8_t supported[8];
    uint8_t failure[4];
} FwMitigations;

PIN_SIZE(FwMitigations, 20);
PIN(FwMitigations, failure, 0x10);

#define FW_SIG_P384        1u       /* ECDSA P-384 with SHA-384 */
#define FW_CURVE_P384      2u

/* A little-endian number; false: wider than P-384's */
static inline bool fw_get_narrow(const uint8_t in[72], uint8_t out[P384_LEN])
{
    memcpy(out, in, P384_LEN);
    return fw_all_zero(in + P384_LEN, 72 - P384_LEN);
}

/* False: what is beside the numbers is not zero */
static inline bool fw_get_sig(const FwSignature *in, P384Sig *out)
{
    return fw_get_narrow(in->r, out->r) && fw_get_narrow(in->s, out->s) &&
           fw_all_zero(in->rsvd, sizeof(in->rsvd));
}

/* The same, or of another curve */
static inline bool fw_get_point(const FwPublicKey *in, P384Point *out)
{
    return fw_get(in->curve, 4) == FW_CURVE_P384 &&
           fw_get_narrow(in->x, out->x) && fw_get_narrow(in->y, out->y) &&
           fw_all_zero(in->rsvd, sizeof(in->rsvd));
}

/* fw_cert.c: is it one of such a key? An owner's may be of either algorithm. */
bool fw_cert_point(const FwCert *c, uint32_t usage, uint32_t algo,
                   P384Point *out);
bool fw_cert_is_oca(const FwCert *c, P384Point *out);
/* Did the key of certificate @by sign it, in either of its places? */
bool fw_cert_signed(const FwCert *c, const FwCert *by, P384Sig *sig);

/* fw_session.c: one that brings @keys to who knows @z, too */
void fw_session_wrap(const uint8_t z[P384_LEN], uint32_t policy,
                     const SevKeys *keys, FwSession *s);

/*
 * One message, decrypted, in; its answer, to be encrypted, out. Sizes are
 * checked by the caller. False: the library failed, nothing was answered.
 */
typedef bool FwMsgHandler(SnpFw *fw, SnpFwGuest *g, unsigned vmpck,
                          const void *req, void *rsp);
FwMsgHandler fw_msg_report, fw_msg_key, fw_msg_key_2, fw_msg_tsc;

/* Of the reports this firmware makes: 2, 3 or 5 */
unsigned fw_report_version(const SnpFwConfig *cfg);

/* REPORTED_TCB as it is in force */
uint64_t fw_reported_tcb(const SnpFw *fw);
/* The chip's key for the reported TCB; NULL: it has none */
const P384Key *fw_vcek(const SnpFw *fw);

/* Bits 1:0 of KEY_SEL, in requests for reports and for keys */
enum FwKeySel {
    FW_KEY_SEL_AUTO, FW_KEY_SEL_VCEK, FW_KEY_SEL_VLEK, FW_KEY_SEL_MAX
};

/* Does KEY_SEL mean the VLEK, whether or not there is one? */
bool fw_wants_vlek(const SnpFw *fw, unsigned sel);

#endif
