/*
 * Secure processor firmware: the execution of commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the rows of fw_commands.c say is checked here, in the order that
 * include/hw/snp/fw_table.h gives; what is left is the handler's.
 */
#include "fw_int.h"

const FwCommand *fw_command(uint32_t id)
{
    for (unsigned i = 0; i < fw_ncommands; i++) {
        if (fw_commands[i].id == id) {
            return &fw_commands[i];
        }
    }
    return NULL;
}

static bool platform_ok(const SnpFw *fw, const FwCommand *c)
{
    uint8_t sev = SEV_U << fw->sev_state;
    uint8_t snp = fw->snp_inited ? SNP_I : SNP_U;

    return (c->platform & sev) && (c->platform & snp);
}

static uint32_t check_buffer(SnpFw *fw, const FwCommand *c, uint64_t buf,
                             FwBuf *copy)
{
    /* [FW-CMDBUF] the buffer lies in one page of memory */
    if (c->len &&
        (((buf & (RMP_PAGE_SIZE - 1)) + c->len > RMP_PAGE_SIZE &&
          !fw_loose(fw, FW_CMDBUF)) ||
         !fw_read(fw, buf, copy->b, c->len))) {
        return FW_INVALID_ADDRESS;
    }
    /* [FW-LEGACY-CMDBUF] with SNP on, a buffer written to is Firmware */
    return c->writes ? fw_check_output(fw, buf, c->len) : FW_SUCCESS;
}

static uint32_t check_guest(SnpFw *fw, const FwCommand *c, FwBuf *buf)
{
    uint32_t status, asid;
    bool state_ok;

    if (c->snp) {
        status = fw_find_guest(fw, buf->b + c->gctx, &buf->g);
        if (status) {
            return status;
        }
        state_ok = c->snp & 1u << buf->g->state;
        asid = buf->g->asid;
    } else {
        buf->sev = fw_sev_find_guest(fw, buf);
        if (!buf->sev) {
            return FW_INVALID_GUEST;
        }
        state_ok = c->sev & 1u << buf->sev->state;
        asid = buf->sev->asid;
    }
    /* the rows name the rules */
    if (!state_ok && !snp_loose_at(fw->cfg.loose, c->loose_state)) {
        return FW_INVALID_GUEST_STATE;
    }
    if (c->active == FW_WITH_ASID && !asid &&
        !snp_loose_at(fw->cfg.loose, c->loose_active)) {
        return FW_INACTIVE;
    }
    return c->active == FW_WITHOUT_ASID && asid ? FW_ACTIVE : FW_SUCCESS;
}

uint32_t snp_fw_command(SnpFw *fw, uint32_t cmd, uint64_t buf)
{
    const FwCommand *c = fw_command(cmd);
    FwBuf copy = { .dirty = false };
    uint32_t status;

    /* [FW-UNKNOWN] [FW-TIO-OFF] */
    if (!c || (c->tio && !fw->cfg.tio)) {
        return FW_INVALID_COMMAND;
    }
    if (!platform_ok(fw, c)) {
        return FW_INVALID_PLATFORM_STATE;
    }
    buf &= ~FW_C_BIT;
    status = check_buffer(fw, c, buf, &copy);
    if (!status && (c->snp || c->sev)) {
        status = check_guest(fw, c, &copy);
    }
    if (status) {
        return status;
    }
    status = c->run(fw, &copy);
    if (copy.dirty && c->writes) {
        fw_write(fw, buf, copy.b, c->len);
    }
    return status;
}

const char *snp_fw_command_name(uint32_t cmd)
{
    const FwCommand *c = fw_command(cmd);

    return c ? c->name : NULL;
}

/* What the firmware here never says is for the property `inject`. */
static const struct { uint32_t status; const char *name; } status_names[] = {
    { FW_SUCCESS, "SUCCESS" },
    { FW_INVALID_PLATFORM_STATE, "INVALID_PLATFORM_STATE" },
    { FW_INVALID_GUEST_STATE, "INVALID_GUEST_STATE" },
    { FW_INVALID_CONFIG, "INVALID_CONFIG" },
    { FW_INVALID_LEN, "INVALID_LEN" },
    { FW_ALREADY_OWNED, "ALREADY_OWNED" },
    { FW_INVALID_CERTIFICATE, "INVALID_CERTIFICATE" },
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
    { FW_HWERROR_UNSAFE, "HWERROR_UNSAFE" },
    { FW_UNSUPPORTED, "UNSUPPORTED" },
    { FW_INVALID_PARAM, "INVALID_PARAM" },
    { FW_RESOURCE_LIMIT, "RESOURCE_LIMIT" },
    { FW_SECURE_DATA_INVALID, "SECURE_DATA_INVALID" },
    { FW_INVALID_PAGE_SIZE, "INVALID_PAGE_SIZE" },
    { FW_INVALID_PAGE_STATE, "INVALID_PAGE_STATE" },
    { FW_INVALID_MDATA_ENTRY, "INVALID_MDATA_ENTRY" },
    { FW_INVALID_PAGE_OWNER, "INVALID_PAGE_OWNER" },
    { FW_AEAD_OFLOW, "AEAD_OFLOW" },
    { FW_RB_MODE_EXITED, "RB_MODE_EXITED" },
    { FW_RMP_INIT_REQUIRED, "RMP_INIT_REQUIRED" },
    { FW_BAD_SVN, "BAD_SVN" },
    { FW_BAD_VERSION, "BAD_VERSION" },
    { FW_SHUTDOWN_REQUIRED, "SHUTDOWN_REQUIRED" },
    { FW_UPDATE_FAILED, "UPDATE_FAILED" },
    { FW_RESTORE_REQUIRED, "RESTORE_REQUIRED" },
    { FW_RMP_INIT_FAILED, "RMP_INIT_FAILED" },
    { FW_INVALID_KEY, "INVALID_KEY" },
    { FW_SHUTDOWN_INCOMPLETE, "SHUTDOWN_INCOMPLETE" },
    { FW_INCORRECT_BUFFER_LENGTH, "INCORRECT_BUFFER_LENGTH" },
    { FW_EXPAND_BUFFER_LENGTH_REQUEST, "EXPAND_BUFFER_LENGTH_REQUEST" },
    { FW_SPDM_REQUEST, "SPDM_REQUEST" },
    { FW_SPDM_ERROR, "SPDM_ERROR" },
    { FW_ERR_IN_DEV_CONN, "ERR_IN_DEV_CONN" },
    { FW_INVALID_DEV_CTX, "INVALID_DEV_CTX" },
    { FW_INVALID_TDI_CTX, "INVALID_TDI_CTX" },
    { FW_INVALID_TDI, "INVALID_TDI" },
    { FW_RECLAIM_REQUIRED, "RECLAIM_REQUIRED" },
    { FW_IN_USE, "IN_USE" },
    { FW_INVALID_DEV_STATE, "INVALID_DEV_STATE" },
    { FW_INVALID_TDI_STATE, "INVALID_TDI_STATE" },
    { FW_DEV_CERT_CHANGED, "DEV_CERT_CHANGED" },
    { FW_RESYNC_REQ, "RESYNC_REQ" },
    { FW_RESPONSE_TOO_LARGE, "RESPONSE_TOO_LARGE" },
};

const char *snp_fw_status_name(uint32_t status)
{
    for (unsigned i = 0; i < sizeof(status_names) / sizeof(status_names[0]);
         i++) {
        if (status_names[i].status == status) {
            return status_names[i].name;
        }
    }
    return "?";
}

bool snp_fw_status_by_name(const char *name, uint32_t *status)
{
    for (unsigned i = 0; i < sizeof(status_names) / sizeof(status_names[0]);
         i++) {
        if (!strcmp(status_names[i].name, name)) {
            *status = status_names[i].status;
            return true;
        }
    }
    return false;
}

void snp_fw_reset(SnpFw *fw)
{
    SnpFwPort port = fw->port;
    SnpFwConfig cfg = fw->cfg;
    SnpFwIdentity identity = fw->identity;
    Rmp *rmp = fw->rmp;

    /* [RESET-KEYS] what guests leave in memory is ciphertext for ever */
    port.drop_keys(port.opaque);
    port.hide(port.opaque, 0);
    memset(fw, 0, sizeof(*fw));
    fw->port = port;
    fw->cfg = cfg;
    explicit_bzero(&cfg, sizeof(cfg));
    fw->identity = identity;
    explicit_bzero(&identity, sizeof(identity));
    fw->rmp = rmp;
    fw->next_id = 1;
    fw->port.random(fw->port.opaque, fw->mem_key, sizeof(fw->mem_key));
}

void snp_fw_init(SnpFw *fw, Rmp *rmp, const SnpFwPort *port,
                 const SnpFwConfig *cfg)
{
    fw->port = *port;
    fw->cfg = *cfg;
    if (!fw->cfg.committed_major) {
        fw->cfg.committed_major = cfg->api_major;
        fw->cfg.committed_minor = cfg->api_minor;
    }
    fw->rmp = rmp;
    memset(&fw->identity, 0, sizeof(fw->identity));
    snp_fw_reset(fw);
}
