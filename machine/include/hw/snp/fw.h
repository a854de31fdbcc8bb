/*
 * Secure processor firmware: SEV and SEV-SNP commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * snp_fw_command() executes one command to its end. It reaches the world
 * through SnpFwPort only; all that it remembers is in SnpFw, plain data.
 * A command that fails has changed nothing, except where the ABI says so:
 * LEN fields of buffers that are too small carry the length needed, the 32 KiB
 * of storage that INIT_EX finds invalid (SECURE_DATA_INVALID) begin anew, and
 * what a device is asked is over once an answer of its is not good (SPDM_ERROR,
 * ERR_IN_DEV_CONN). SPDM_REQUEST is no failure: the host is to ask the device.
 *
 * Commands are the rows of fw_commands.c; all else answers INVALID_COMMAND.
 * Options of a command that are not implemented (migration agents, keys that
 * SEV guests share) answer UNSUPPORTED.
 *
 * SNP firmware ABI (56860) 1.55; SEV API (55766) 0.24. Addresses are system
 * physical, in bytes; a C-bit in them is ignored.
 */
#ifndef HW_SNP_FW_H
#define HW_SNP_FW_H

#include "hw/snp/cipher.h"
#include "hw/snp/crypto.h"
#include "hw/snp/rmp.h"
#include "hw/snp/sha2.h"

enum SnpFwStatus {
    FW_SUCCESS = 0x00,
    FW_INVALID_PLATFORM_STATE = 0x01,
    FW_INVALID_GUEST_STATE = 0x02,
    FW_INVALID_CONFIG = 0x03,
    FW_INVALID_LEN = 0x04,
    FW_ALREADY_OWNED = 0x05,
    FW_INVALID_CERTIFICATE = 0x06,
    FW_POLICY_FAILURE = 0x07,
    FW_INACTIVE = 0x08,
    FW_INVALID_ADDRESS = 0x09,
    FW_BAD_SIGNATURE = 0x0a,
    FW_BAD_MEASUREMENT = 0x0b,
    FW_ASID_OWNED = 0x0c,
    FW_INVALID_ASID = 0x0d,
    FW_WBINVD_REQUIRED = 0x0e,
    FW_DFFLUSH_REQUIRED = 0x0f,
    FW_INVALID_GUEST = 0x10,
    FW_INVALID_COMMAND = 0x11,
    FW_ACTIVE = 0x12,
    FW_HWERROR_PLATFORM = 0x13,
    FW_HWERROR_UNSAFE = 0x14,
    FW_UNSUPPORTED = 0x15,
    FW_INVALID_PARAM = 0x16,
    FW_RESOURCE_LIMIT = 0x17,
    FW_SECURE_DATA_INVALID = 0x18,
    FW_INVALID_PAGE_SIZE = 0x19,
    FW_INVALID_PAGE_STATE = 0x1a,
    FW_INVALID_MDATA_ENTRY = 0x1b,
    FW_INVALID_PAGE_OWNER = 0x1c,
    FW_AEAD_OFLOW = 0x1d,
    FW_RB_MODE_EXITED = 0x1f,
    FW_RMP_INIT_REQUIRED = 0x20,
    FW_BAD_SVN = 0x21,
    FW_BAD_VERSION = 0x22,
    FW_SHUTDOWN_REQUIRED = 0x23,
    FW_UPDATE_FAILED = 0x24,
    FW_RESTORE_REQUIRED = 0x25,
    FW_RMP_INIT_FAILED = 0x26,
    FW_INVALID_KEY = 0x27,
    FW_SHUTDOWN_INCOMPLETE = 0x28,
    FW_INCORRECT_BUFFER_LENGTH = 0x30,
    FW_EXPAND_BUFFER_LENGTH_REQUEST = 0x31,
    FW_SPDM_REQUEST = 0x32,
    FW_SPDM_ERROR = 0x33,
    FW_ERR_IN_DEV_CONN = 0x35,
    FW_INVALID_DEV_CTX = 0x36,
    FW_INVALID_TDI_CTX = 0x37,
    FW_INVALID_TDI = 0x38,
    FW_RECLAIM_REQUIRED = 0x39,
    FW_IN_USE = 0x3a,
    FW_INVALID_DEV_STATE = 0x3b,
    FW_INVALID_TDI_STATE = 0x3c,
    FW_DEV_CERT_CHANGED = 0x3d,
    FW_RESYNC_REQ = 0x3e,
    FW_RESPONSE_TOO_LARGE = 0x3f,
};

enum SnpFwCommand {
    SEV_INIT = 0x001,
    SEV_SHUTDOWN = 0x002,
    SEV_FACTORY_RESET = 0x003,
    SEV_PLATFORM_STATUS = 0x004,
    SEV_PEK_GEN = 0x005,
    SEV_PEK_CSR = 0x006,
    SEV_PEK_CERT_IMPORT = 0x007,
    SEV_PDH_CERT_EXPORT = 0x008,
    SEV_PDH_GEN = 0x009,
    SEV_DF_FLUSH = 0x00a,
    SEV_DOWNLOAD_FIRMWARE = 0x00b,
    SEV_GET_ID = 0x00c,
    SEV_INIT_EX = 0x00d,
    SEV_DECOMMISSION = 0x020,
    SEV_ACTIVATE = 0x021,
    SEV_DEACTIVATE = 0x022,
    SEV_GUEST_STATUS = 0x023,
    SEV_LAUNCH_START = 0x030,
    SEV_LAUNCH_UPDATE_DATA = 0x031,
    SEV_LAUNCH_UPDATE_VMSA = 0x032,
    SEV_LAUNCH_MEASURE = 0x033,
    SEV_LAUNCH_UPDATE_SECRET = 0x034,
    SEV_LAUNCH_FINISH = 0x035,
    SEV_ATTESTATION_REPORT = 0x036,
    SEV_SEND_START = 0x040,
    SEV_SEND_UPDATE_DATA = 0x041,
    SEV_SEND_UPDATE_VMSA = 0x042,
    SEV_SEND_FINISH = 0x043,
    SEV_SEND_CANCEL = 0x044,
    SEV_RECEIVE_START = 0x050,
    SEV_RECEIVE_UPDATE_DATA = 0x051,
    SEV_RECEIVE_UPDATE_VMSA = 0x052,
    SEV_RECEIVE_FINISH = 0x053,
    SEV_DBG_DECRYPT = 0x060,
    SEV_DBG_ENCRYPT = 0x061,
    SNP_INIT = 0x081,
    SNP_SHUTDOWN = 0x082,
    SNP_PLATFORM_STATUS = 0x083,
    SNP_DF_FLUSH = 0x084,
    SNP_INIT_EX = 0x085,
    SNP_SHUTDOWN_EX = 0x086,
    SNP_DECOMMISSION = 0x090,
    SNP_ACTIVATE = 0x091,
    SNP_GUEST_STATUS = 0x092,
    SNP_GCTX_CREATE = 0x093,
    SNP_GUEST_REQUEST = 0x094,
    SNP_ACTIVATE_EX = 0x095,
    SNP_LAUNCH_START = 0x0a0,
    SNP_LAUNCH_UPDATE = 0x0a1,
    SNP_LAUNCH_FINISH = 0x0a2,
    SNP_DBG_DECRYPT = 0x0b0,
    SNP_DBG_ENCRYPT = 0x0b1,
    SNP_VERIFY_MITIGATION = 0x0b2,
    SNP_PAGE_SWAP_OUT = 0x0c0,
    SNP_PAGE_SWAP_IN = 0x0c1,
    SNP_PAGE_MOVE = 0x0c2,
    SNP_PAGE_MD_INIT = 0x0c3,
    SNP_PAGE_SET_STATE = 0x0c6,
    SNP_PAGE_RECLAIM = 0x0c7,
    SNP_PAGE_UNSMASH = 0x0c8,
    SNP_CONFIG = 0x0c9,
    SNP_DOWNLOAD_FIRMWARE_EX = 0x0ca,
    SNP_COMMIT = 0x0cb,
    SNP_VLEK_LOAD = 0x0cd,
    SNP_FEATURE_INFO = 0x0ce,
    TIO_STATUS = 0x0d0,
    TIO_INIT = 0x0d1,
    TIO_DEV_CREATE = 0x0d2,
    TIO_DEV_RECLAIM = 0x0d3,
    TIO_DEV_CONNECT = 0x0d4,
    TIO_DEV_DISCONNECT = 0x0d5,
};

typedef struct SnpFwRange {
    uint64_t base;          /* 4K aligned */
    uint64_t npages;        /* of 4K */
} SnpFwRange;

typedef struct SnpFwPort {
    void *opaque;
    /*
     * Memory without any key: of pages that are a guest's, ciphertext. False:
     * not all of it is memory; then nothing was written.
     */
    bool (*read)(void *opaque, uint64_t spa, void *buf, size_t len);
    bool (*write)(void *opaque, uint64_t spa, const void *buf, size_t len);
    void (*random)(void *opaque, void *buf, size_t len);
    /* The same for what stays over a reset: it does not begin anew with it */
    void (*random_kept)(void *opaque, void *buf, size_t len);
    /* Clears SNP_EN of all CPUs; pages of guests are those of nobody next */
    void (*cpus_disable)(void *opaque);
    /* SNP_EN, VMPLEn and MFDM set, VM_HSAVE_PA 0, one RMP on all CPUs? */
    bool (*cpus_ready)(void *opaque, const char **why);
    /* Is there a CPU of this APIC id? */
    bool (*has_cpu)(void *opaque, uint32_t apic_id);
    /* From now on note which CPU executes WBINVD; did all, since armed? */
    void (*wbinvd_arm)(void *opaque);
    bool (*wbinvd_done)(void *opaque);
    /* The memory controller's keys: see hw/snp/view.h */
    void (*load_key)(void *opaque, uint32_t asid,
                     const uint8_t key[CIPHER_KEY_LEN]);
    void (*drop_keys)(void *opaque);
    /* What guests of the ASIDs 1 to @asids have shows as ones; 0: of none */
    void (*hide)(void *opaque, uint32_t asids);
    /* Pages: plaintext of an ASID to what is seen without its key, and back */
    void (*encrypt)(void *opaque, uint32_t asid, uint64_t spa, void *buf,
                    size_t len);
    void (*decrypt)(void *opaque, uint32_t asid, uint64_t spa, void *buf,
                    size_t len);
    /* Entries of these pages changed; npages 0: possibly all */
    void (*rmp_changed)(void *opaque, uint64_t spa, uint64_t npages);
    /* Log buffers and completion-wait page of the IOMMUs; at most @max */
    unsigned (*iommu_buffers)(void *opaque, SnpFwRange *r, unsigned max);
    /* Does any memory answer at two addresses? */
    bool (*aliased)(void *opaque);
    /* SNP_INIT has begun to make the RMP: what other CPUs do just then */
    void (*meanwhile)(void *opaque);
    void (*log)(void *opaque, const char *msg);
} SnpFwPort;

#define FW_MAX_VCEKS     8u

/* The chip's signing key for reports of one TCB version */
typedef struct SnpFwVcek {
    uint64_t tcb;
    P384Key *key;
} SnpFwVcek;

typedef struct SnpFwConfig {
    uint8_t api_major, api_minor, build;
    uint32_t max_asid, min_sev_asid;    /* ES and SNP: 1 .. min_sev_asid - 1 */
    uint32_t fms;                       /* CPUID Fn0000_0001 EAX */
    bool smt;
    uint32_t tsc_khz;                   /* 0: there is no secure TSC */
    bool hiding;                        /* ciphertext can be hidden */
    bool tio;                           /* there is trusted I/O */
    bool x86_shutdown;                  /* SNP can be turned off in the CPUs */
    uint64_t tcb;
    /* what a reset keeps of SNP_COMMIT: at most the current ones */
    uint64_t committed_tcb;
    uint8_t committed_major, committed_minor;   /* major 0: the current ones */
    uint8_t committed_build;
    uint8_t report_version;             /* 2, 3, 5; 0: as the ABI has it */
    uint64_t mitigations;               /* that this firmware has */
    SnpReadings loose;
    uint8_t chip_id[64];
    uint8_t chip_secret[KDF_LEN];       /* derived keys begin with it */
    SnpFwVcek vcek[FW_MAX_VCEKS];
    P384Point firmware_key;             /* images are signed with */
    unsigned nvceks;                    /* 0: nor are secret and this key */
} SnpFwConfig;

#define FW_MAX_GUESTS    512u
#define FW_MAX_ASID      RMP_ASID_LIMIT
#define FW_MAX_IOMMU     16u
#define FW_MAX_RANGES    255u
#define FW_VMPCKS        4u
#define FW_MEASURE_LEN   48u
#define FW_LAUNCHES      64u
#define FW_MD_ENTRY      64u
#define FW_VLEK_LEN      384u

typedef enum SevState { SEV_UNINIT, SEV_INITED, SEV_WORKING } SevState;
typedef enum SnpGuestState {
    SNP_GUEST_INIT, SNP_GUEST_LAUNCH, SNP_GUEST_RUNNING
} SnpGuestState;
typedef enum SevGuestState {
    SEV_GUEST_UNINIT, SEV_GUEST_LUPDATE, SEV_GUEST_LSECRET, SEV_GUEST_RUNNING,
    SEV_GUEST_SUPDATE, SEV_GUEST_RUPDATE, SEV_GUEST_SENT
} SevGuestState;

typedef struct SnpFwGuest {
    bool used;
    uint8_t state;              /* SnpGuestState */
    bool vcek_disabled;
    uint32_t asid;              /* 0: not active */
    uint64_t gctx;              /* the Context page */
    uint64_t id;                /* also in that page, never used twice */
    uint64_t policy;
    uint64_t launch_tcb;
    uint64_t launch_mitigations;
    uint32_t tsc_khz;
    uint8_t gosvw[16];
    uint8_t ld[SHA384_LEN];
    uint8_t vmpck[FW_VMPCKS][32];
    uint8_t report_id[32];
    uint8_t vmrk[32];           /* root key of its own, of this launch */
    uint8_t vek[CIPHER_KEY_LEN];        /* its memory's */
    uint8_t host_data[32];
    uint64_t msg_count[FW_VMPCKS];
    uint8_t oek[GCM_KEY_LEN];   /* of pages that are swapped out */
    uint64_t oek_count;
    uint8_t root_md[FW_MD_ENTRY];
    /* of the ID block, or 0 */
    uint8_t family_id[16], image_id[16];
    uint32_t guest_svn;
    bool author_key;
    uint8_t id_key_digest[SHA384_LEN], author_key_digest[SHA384_LEN];
} SnpFwGuest;

/* For transport, and of integrity: the owner's, a sender's, or nobody's */
typedef struct SevKeys {
    uint8_t tek[16], tik[16];
} SevKeys;

typedef struct SevFwGuest {     /* handle: index + 1 */
    bool used;
    uint8_t state;              /* SevGuestState */
    uint32_t asid;
    uint32_t policy;
    Sha256 digest;
    SevKeys keys;
    uint8_t vek[CIPHER_KEY_LEN];        /* its memory's */
    uint8_t measure[SHA256_LEN];        /* from LAUNCH_MEASURE on */
} SevFwGuest;

#define FW_MAX_TIO_DEVS  16u
#define FW_TIO_CTX_PAGES 2u
#define FW_TIO_CONNECT_LEN 80u

/* There is no session yet: nothing comes after CONNECTING. */
typedef enum SnpTioDevState {
    TIO_DEV_CREATED, TIO_DEV_CONNECTING
} SnpTioDevState;

/* A device that trusted I/O was told of */
typedef struct SnpFwTioDev {
    bool used;
    uint8_t state;              /* SnpTioDevState */
    uint8_t step;               /* FwSpdmStep: what answer is due */
    uint8_t segment;
    uint16_t device;            /* PCI's routing id */
    uint16_t root_port;
    uint64_t id;                /* also in its context */
    uint64_t sla;               /* that names it */
    uint64_t page[FW_TIO_CTX_PAGES];    /* of the context */
    uint8_t connect[FW_TIO_CONNECT_LEN];        /* the command that goes on */
} SnpFwTioDev;

#define FW_CERT_LEN      2084u

/* Who SEV's platform is, and whose; not the TCB's, not a guest's */
typedef struct SnpFwIdentity {
    bool made;                  /* the rest is there */
    bool has_cek;               /* the chip's is, whatever of the rest */
    bool owned;                 /* by somebody outside */
    uint8_t major, minor;       /* the API's when it was made */
    uint32_t oca_algo;
    P384Pair cek, pek, pdh;
    P384Sig pek_by_oca;
    uint8_t oca[FW_CERT_LEN];
} SnpFwIdentity;

typedef struct SnpFw {
    SnpFwPort port;
    SnpFwConfig cfg;
    Rmp *rmp;
    SnpFwIdentity identity;     /* a reset leaves it */

    uint8_t sev_state;          /* SevState */
    bool sev_es;                /* INIT with the ES flag */
    SnpFwRange tmr;             /* npages 0: none */
    bool snp_inited;
    bool rmp_inited;            /* since reset */
    bool alias_checked;         /* the same, and there are none */
    uint32_t hidden_asids;      /* 1 to this are SNP's; 0: nothing is hidden */
    bool tio_enabled;           /* by SNP_INIT_EX */
    bool tio_inited;            /* and by TIO_INIT */
    uint64_t next_id;
    uint8_t mem_key[CIPHER_KEY_LEN];    /* of the firmware's own pages */
    uint64_t mitigated;         /* of cfg.mitigations, those in force */
    uint64_t reported_tcb;      /* 0: follow the committed one */
    uint32_t config_flags;
    bool vlek_loaded;           /* for the TCB version that is reported */
    uint8_t vlek[FW_VLEK_LEN];  /* as it was wrapped */
    SnpFwRange iommu[FW_MAX_IOMMU];
    unsigned niommu;
    bool iommu_snp;             /* IOMMUs ask the RMP, their buffers stay */
    bool asid_dirty[FW_MAX_ASID + 1];
    SnpFwGuest guests[FW_MAX_GUESTS];
    SevFwGuest sev_guests[FW_MAX_GUESTS];
    SnpFwTioDev tio_devs[FW_MAX_TIO_DEVS];
    uint64_t sev_measured;      /* bytes by LAUNCH_UPDATE_*, since reset */
    uint64_t sev_launched;      /* guests that LAUNCH_MEASURE was asked of */
    uint8_t sev_digest[SHA256_LEN];     /* of the last one's memory and VMSAs */
    /* digests of the last guests launched, since reset: at [n % length] */
    uint8_t launched[FW_LAUNCHES][SHA384_LEN];
    uint64_t nlaunched;
} SnpFw;

/* @rmp stays the caller's; rmp->entries NULL: no SNP (INVALID_CONFIG) */
void snp_fw_init(SnpFw *fw, Rmp *rmp, const SnpFwPort *port,
                 const SnpFwConfig *cfg);

/*
 * As after power-on, but for port, configuration and identity. No key of a
 * guest is left; memory is not written to but to show guests' pages as they are
 * without one.
 */
void snp_fw_reset(SnpFw *fw);

/* One command, with the address of its buffer; returns an SnpFwStatus. */
uint32_t snp_fw_command(SnpFw *fw, uint32_t cmd, uint64_t buf);

/* Did the firmware take the page for a buffer of an IOMMU? */
bool snp_fw_iommu_page(const SnpFw *fw, uint64_t spa);

/* May an IOMMU write there of itself, that is no device's DMA? */
bool snp_fw_iommu_may_write(const SnpFw *fw, uint64_t spa);

/*
 * May an IOMMU's COMPLETION_WAIT store there? Its store's range goes from the
 * page of @base to that of @limit, both addresses in bytes.
 */
bool snp_fw_iommu_store(const SnpFw *fw, uint64_t spa, uint64_t base,
                        uint64_t limit);

/* Each part of TCB version @a at most that of @b? */
bool fw_tcb_within(uint64_t a, uint64_t b);

/* NULL: no such command */
const char *snp_fw_command_name(uint32_t cmd);
const char *snp_fw_status_name(uint32_t status);
bool snp_fw_status_by_name(const char *name, uint32_t *status);

#endif
