/*
 * Secure processor firmware: the commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One row a command. What a row says is checked here, in this order: the
 * command exists, the platform is in a state for it, the buffer is memory,
 * and, if the command writes to it, in a page that the firmware may write.
 */
#include "fw_int.h"

/* Platform states a command accepts */
#define SEV_U    0x01u
#define SEV_I    0x02u
#define SEV_W    0x04u
#define SEV_ON   (SEV_I | SEV_W)
#define SEV_ANY  (SEV_U | SEV_ON)
#define SNP_U    0x10u
#define SNP_I    0x20u
#define SNP_ANY  (SNP_U | SNP_I)

#define WRITES   true       /* the command buffer itself */
#define READS    false

typedef struct FwCommand {
    uint16_t id;
    uint8_t len;            /* of the buffer; 0: none */
    uint8_t states;
    bool writes;
    const char *name;
    FwHandler *run;
} FwCommand;

/* [FW-PLATFORM-STATE] */
static const FwCommand commands[] = {
    { SEV_INIT, 20, SEV_U | SNP_ANY, READS, "INIT", fw_sev_init },
    { SEV_SHUTDOWN, 0, SEV_ANY | SNP_ANY, READS, "SHUTDOWN",
      fw_sev_shutdown },
    { SEV_PLATFORM_STATUS, 12, SEV_ANY | SNP_ANY, WRITES, "PLATFORM_STATUS",
      fw_sev_platform_status },
    { SEV_DF_FLUSH, 0, SEV_ON | SNP_ANY, READS, "DF_FLUSH", fw_df_flush },
    { SEV_GET_ID, 12, SEV_ANY | SNP_ANY, WRITES, "GET_ID", fw_sev_get_id },
    { SEV_DECOMMISSION, 4, SEV_ON | SNP_ANY, READS, "DECOMMISSION",
      fw_sev_decommission },
    { SEV_ACTIVATE, 8, SEV_ON | SNP_ANY, READS, "ACTIVATE",
      fw_sev_activate },
    { SEV_DEACTIVATE, 4, SEV_ON | SNP_ANY, READS, "DEACTIVATE",
      fw_sev_deactivate },
    { SEV_GUEST_STATUS, 13, SEV_ON | SNP_ANY, WRITES, "GUEST_STATUS",
      fw_sev_guest_status },
    { SEV_LAUNCH_START, 36, SEV_ON | SNP_ANY, WRITES, "LAUNCH_START",
      fw_sev_launch_start },
    { SEV_LAUNCH_UPDATE_DATA, 20, SEV_ON | SNP_ANY, READS,
      "LAUNCH_UPDATE_DATA", fw_sev_launch_update_data },
    { SEV_LAUNCH_UPDATE_VMSA, 20, SEV_ON | SNP_ANY, READS,
      "LAUNCH_UPDATE_VMSA", fw_sev_launch_update_vmsa },
    { SEV_LAUNCH_MEASURE, 20, SEV_ON | SNP_ANY, WRITES, "LAUNCH_MEASURE",
      fw_sev_launch_measure },
    { SEV_LAUNCH_FINISH, 4, SEV_ON | SNP_ANY, READS, "LAUNCH_FINISH",
      fw_sev_launch_finish },
    { SEV_DBG_DECRYPT, 28, SEV_W | SNP_ANY, READS, "DBG_DECRYPT",
      fw_sev_dbg_decrypt },
    { SEV_DBG_ENCRYPT, 28, SEV_W | SNP_ANY, READS, "DBG_ENCRYPT",
      fw_sev_dbg_encrypt },
    { SNP_INIT, 0, SEV_U | SNP_U, READS, "SNP_INIT", fw_snp_init },
    { SNP_SHUTDOWN, 0, SEV_U | SNP_I, READS, "SNP_SHUTDOWN",
      fw_snp_shutdown },
    /* the buffers of this one and others are the addresses in it */
    { SNP_PLATFORM_STATUS, 8, SEV_ANY | SNP_ANY, READS,
      "SNP_PLATFORM_STATUS", fw_snp_platform_status },
    { SNP_DF_FLUSH, 0, SEV_ANY | SNP_I, READS, "SNP_DF_FLUSH", fw_df_flush },
    { SNP_INIT_EX, 64, SEV_U | SNP_U, READS, "SNP_INIT_EX", fw_snp_init_ex },
    { SNP_SHUTDOWN_EX, 8, SEV_U | SNP_I, READS, "SNP_SHUTDOWN_EX",
      fw_snp_shutdown_ex },
    { SNP_DECOMMISSION, 8, SEV_ANY | SNP_I, READS, "SNP_DECOMMISSION",
      fw_snp_decommission },
    { SNP_ACTIVATE, 12, SEV_ANY | SNP_I, READS, "SNP_ACTIVATE",
      fw_snp_activate },
    { SNP_GUEST_STATUS, 16, SEV_ANY | SNP_I, READS, "SNP_GUEST_STATUS",
      fw_snp_guest_status },
    { SNP_GCTX_CREATE, 8, SEV_ANY | SNP_I, READS, "SNP_GCTX_CREATE",
      fw_gctx_create },
    { SNP_GUEST_REQUEST, 24, SEV_ANY | SNP_I, READS, "SNP_GUEST_REQUEST",
      fw_snp_guest_request },
    { SNP_LAUNCH_START, 48, SEV_ANY | SNP_I, READS, "SNP_LAUNCH_START",
      fw_snp_launch_start },
    { SNP_LAUNCH_UPDATE, 32, SEV_ANY | SNP_I, READS, "SNP_LAUNCH_UPDATE",
      fw_snp_launch_update },
    { SNP_LAUNCH_FINISH, 64, SEV_ANY | SNP_I, READS, "SNP_LAUNCH_FINISH",
      fw_snp_launch_finish },
    { SNP_PAGE_RECLAIM, 8, SEV_ANY | SNP_I, READS, "SNP_PAGE_RECLAIM",
      fw_snp_page_reclaim },
    { SNP_CONFIG, 64, SEV_ANY | SNP_ANY, READS, "SNP_CONFIG",
      fw_snp_config },
    { SNP_COMMIT, 4, SEV_ANY | SNP_ANY, READS, "SNP_COMMIT",
      fw_snp_commit },
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static const FwCommand *find(uint32_t id)
{
    for (unsigned i = 0; i < NCOMMANDS; i++) {
        if (commands[i].id == id) {
            return &commands[i];
        }
    }
    return NULL;
}

static bool state_ok(const SnpFw *fw, const FwCommand *c)
{
    uint8_t sev = SEV_U << fw->sev_state;
    uint8_t snp = fw->snp_inited ? SNP_I : SNP_U;

    return (c->states & sev) && (c->states & snp);
}

static uint32_t run(SnpFw *fw, const FwCommand *c, uint64_t buf)
{
    FwBuf copy = { .dirty = false };
    uint32_t status;

    /* [FW-CMDBUF] the buffer lies in one page of memory */
    if (c->len &&
        ((buf & (RMP_PAGE_SIZE - 1)) + c->len > RMP_PAGE_SIZE ||
         !fw->port.read(fw->port.opaque, buf, copy.b, c->len))) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-LEGACY-CMDBUF] with SNP on, a buffer written to is Firmware */
    if (c->writes) {
        status = fw_check_output(fw, buf, c->len);
        if (status) {
            return status;
        }
    }
    status = c->run(fw, &copy);
    if (copy.dirty && c->writes) {
        fw->port.write(fw->port.opaque, buf, copy.b, c->len);
    }
    return status;
}

uint32_t snp_fw_command(SnpFw *fw, uint32_t cmd, uint64_t buf)
{
    const FwCommand *c = find(cmd);

    /* [FW-UNKNOWN] */
    if (!c) {
        return FW_INVALID_COMMAND;
    }
    if (!state_ok(fw, c)) {
        return FW_INVALID_PLATFORM_STATE;
    }
    return run(fw, c, buf & ~FW_C_BIT);
}

const char *snp_fw_command_name(uint32_t cmd)
{
    const FwCommand *c = find(cmd);

    return c ? c->name : NULL;
}

const char *snp_fw_status_name(uint32_t status)
{
    static const struct { uint32_t status; const char *name; } names[] = {
        { FW_SUCCESS, "SUCCESS" },
        { FW_INVALID_PLATFORM_STATE, "INVALID_PLATFORM_STATE" },
        { FW_INVALID_GUEST_STATE, "INVALID_GUEST_STATE" },
        { FW_INVALID_CONFIG, "INVALID_CONFIG" },
        { FW_INVALID_LEN, "INVALID_LEN" },
        { FW_POLICY_FAILURE, "POLICY_FAILURE" },
        { FW_INACTIVE, "INACTIVE" },
        { FW_INVALID_ADDRESS, "INVALID_ADDRESS" },
        { FW_BAD_SIGNATURE, "BAD_SIGNATURE" },
        { FW_BAD_MEASUREMENT, "BAD_MEASUREMENT" },
        { FW_ASID_OWNED, "ASID_OWNED" },
        { FW_INVALID_ASID, "INVALID_ASID" },
        { FW_WBINVD_REQUIRED, "WBINVD_REQUIRED" },
        { FW_DFFLUSH_REQUIRED, "DFFLUSH_REQUIRED" },
        { FW_INVALID_GUEST, "INVALID_GUEST" },
        { FW_INVALID_COMMAND, "INVALID_COMMAND" },
        { FW_ACTIVE, "ACTIVE" },
        { FW_HWERROR_PLATFORM, "HWERROR_PLATFORM" },
        { FW_UNSUPPORTED, "UNSUPPORTED" },
        { FW_INVALID_PARAM, "INVALID_PARAM" },
        { FW_RESOURCE_LIMIT, "RESOURCE_LIMIT" },
        { FW_INVALID_PAGE_SIZE, "INVALID_PAGE_SIZE" },
        { FW_INVALID_PAGE_STATE, "INVALID_PAGE_STATE" },
        { FW_INVALID_PAGE_OWNER, "INVALID_PAGE_OWNER" },
        { FW_AEAD_OFLOW, "AEAD_OFLOW" },
        { FW_RMP_INIT_REQUIRED, "RMP_INIT_REQUIRED" },
    };

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].status == status) {
            return names[i].name;
        }
    }
    return "?";
}

void snp_fw_reset(SnpFw *fw)
{
    SnpFwPort port = fw->port;
    SnpFwConfig cfg = fw->cfg;
    Rmp *rmp = fw->rmp;

    memset(fw, 0, sizeof(*fw));
    fw->port = port;
    fw->cfg = cfg;
    fw->rmp = rmp;
    fw->next_id = 1;
}

void snp_fw_init(SnpFw *fw, Rmp *rmp, const SnpFwPort *port,
                 const SnpFwConfig *cfg)
{
    fw->port = *port;
    fw->cfg = *cfg;
    fw->rmp = rmp;
    snp_fw_reset(fw);
}
