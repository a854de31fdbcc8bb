/*
 * Unit test of the secure processor's firmware
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fw-bench.h"
#include "hw/snp/fw_table.h"

/* ---- every command against every platform state ---- */

/* What the specifications say; the table is compared with this, whole. */
enum { U = 1, I = 2, W = 4 };
/* guest states, by their numbers there */
enum { UPD = 1 << 1, SEC = 1 << 2, RUN = 1 << 3, SND = 1 << 4, RCV = 1 << 5,
       SENT = 1 << 6, EACH = UPD | SEC | RUN | SND | RCV | SENT };
enum { NEW = 1 << 0, LAU = 1 << 1, LIVE = 1 << 2 };
enum { ANYHOW, ON, OFF };       /* the guest's ASID */

#define G_SEV(states)  states, 0
#define G_SNP(states)  0, states
#define NO_GUEST       0, 0, ANYHOW

static const struct {
    uint16_t id;
    uint8_t sev, snp, sev_guest, snp_guest, active;
    const char *name;
} by_abi[] = {
    { 0x001, U, U | I, NO_GUEST, "INIT" },
    { 0x002, U | I | W, U | I, NO_GUEST, "SHUTDOWN" },
    { 0x003, U, U | I, NO_GUEST, "FACTORY_RESET" },
    { 0x004, U | I | W, U | I, NO_GUEST, "PLATFORM_STATUS" },
    { 0x005, I, U | I, NO_GUEST, "PEK_GEN" },
    { 0x006, I | W, U | I, NO_GUEST, "PEK_CSR" },
    { 0x007, I, U | I, NO_GUEST, "PEK_CERT_IMPORT" },
    { 0x008, I | W, U | I, NO_GUEST, "PDH_CERT_EXPORT" },
    { 0x009, I | W, U | I, NO_GUEST, "PDH_GEN" },
    { 0x00a, I | W, U | I, NO_GUEST, "DF_FLUSH" },
    { 0x00b, U, U, NO_GUEST, "DOWNLOAD_FIRMWARE" },
    { 0x00c, U | I | W, U | I, NO_GUEST, "GET_ID" },
    { 0x00d, U, U | I, NO_GUEST, "INIT_EX" },
    { 0x020, I | W, U | I, G_SEV(EACH), OFF, "DECOMMISSION" },
    { 0x021, I | W, U | I, G_SEV(EACH), OFF, "ACTIVATE" },
    { 0x022, I | W, U | I, G_SEV(EACH), ON, "DEACTIVATE" },
    { 0x023, I | W, U | I, G_SEV(EACH), ANYHOW, "GUEST_STATUS" },
    { 0x030, I | W, U | I, NO_GUEST, "LAUNCH_START" },
    { 0x031, I | W, U | I, G_SEV(UPD), ON, "LAUNCH_UPDATE_DATA" },
    { 0x032, I | W, U | I, G_SEV(UPD), ON, "LAUNCH_UPDATE_VMSA" },
    { 0x033, I | W, U | I, G_SEV(UPD), ANYHOW, "LAUNCH_MEASURE" },
    { 0x034, I | W, U | I, G_SEV(SEC), ON, "LAUNCH_UPDATE_SECRET" },
    { 0x035, I | W, U | I, G_SEV(SEC), ANYHOW, "LAUNCH_FINISH" },
    { 0x036, I | W, U | I, G_SEV(SEC | RUN), ANYHOW, "ATTESTATION_REPORT" },
    { 0x040, I | W, U | I, G_SEV(RUN), ANYHOW, "SEND_START" },
    { 0x041, I | W, U | I, G_SEV(SND), ON, "SEND_UPDATE_DATA" },
    { 0x042, I | W, U | I, G_SEV(SND), ON, "SEND_UPDATE_VMSA" },
    { 0x043, I | W, U | I, G_SEV(SND), ANYHOW, "SEND_FINISH" },
    { 0x044, I | W, U | I, G_SEV(SND), ANYHOW, "SEND_CANCEL" },
    { 0x050, I | W, U | I, NO_GUEST, "RECEIVE_START" },
    { 0x051, I | W, U | I, G_SEV(RCV), ON, "RECEIVE_UPDATE_DATA" },
    { 0x052, I | W, U | I, G_SEV(RCV), ON, "RECEIVE_UPDATE_VMSA" },
    { 0x053, I | W, U | I, G_SEV(RCV), ANYHOW, "RECEIVE_FINISH" },
    { 0x060, W, U | I, G_SEV(RUN), ON, "DBG_DECRYPT" },
    { 0x061, W, U | I, G_SEV(RUN), ON, "DBG_ENCRYPT" },
    { 0x081, U, U, NO_GUEST, "SNP_INIT" },
    { 0x082, U, I, NO_GUEST, "SNP_SHUTDOWN" },
    { 0x083, U | I | W, U | I, NO_GUEST, "SNP_PLATFORM_STATUS" },
    { 0x084, U | I | W, I, NO_GUEST, "SNP_DF_FLUSH" },
    { 0x085, U, U, NO_GUEST, "SNP_INIT_EX" },
    { 0x086, U, I, NO_GUEST, "SNP_SHUTDOWN_EX" },
    { 0x090, U | I | W, I, G_SNP(NEW | LAU | LIVE), ANYHOW,
      "SNP_DECOMMISSION" },
    { 0x091, U | I | W, I, G_SNP(LAU | LIVE), OFF, "SNP_ACTIVATE" },
    { 0x092, U | I | W, I, G_SNP(NEW | LAU | LIVE), ANYHOW,
      "SNP_GUEST_STATUS" },
    { 0x093, U | I | W, I, NO_GUEST, "SNP_GCTX_CREATE" },
    { 0x094, U | I | W, I, G_SNP(LIVE), ANYHOW, "SNP_GUEST_REQUEST" },
    { 0x095, U | I | W, I, G_SNP(LAU | LIVE), OFF, "SNP_ACTIVATE_EX" },
    { 0x0a0, U | I | W, I, G_SNP(NEW), ANYHOW, "SNP_LAUNCH_START" },
    { 0x0a1, U | I | W, I, G_SNP(LAU), ON, "SNP_LAUNCH_UPDATE" },
    { 0x0a2, U | I | W, I, G_SNP(LAU), ANYHOW, "SNP_LAUNCH_FINISH" },
    { 0x0b0, U | I | W, I, G_SNP(LAU | LIVE), ON, "SNP_DBG_DECRYPT" },
    { 0x0b1, U | I | W, I, G_SNP(LAU | LIVE), ON, "SNP_DBG_ENCRYPT" },
    { 0x0b2, U | I | W, U | I, NO_GUEST, "SNP_VERIFY_MITIGATION" },
    { 0x0c0, U | I | W, I, G_SNP(LAU | LIVE), ON, "SNP_PAGE_SWAP_OUT" },
    { 0x0c1, U | I | W, I, G_SNP(LAU | LIVE), ON, "SNP_PAGE_SWAP_IN" },
    { 0x0c2, U | I | W, I, G_SNP(LAU | LIVE), ON, "SNP_PAGE_MOVE" },
    { 0x0c3, U | I | W, I, G_SNP(NEW | LAU | LIVE), ANYHOW,
      "SNP_PAGE_MD_INIT" },
    { 0x0c6, U | I | W, I, NO_GUEST, "SNP_PAGE_SET_STATE" },
    { 0x0c7, U | I | W, I, NO_GUEST, "SNP_PAGE_RECLAIM" },
    { 0x0c8, U | I | W, I, NO_GUEST, "SNP_PAGE_UNSMASH" },
    { 0x0c9, U | I | W, U | I, NO_GUEST, "SNP_CONFIG" },
    { 0x0ca, U, U | I, NO_GUEST, "SNP_DOWNLOAD_FIRMWARE_EX" },
    { 0x0cb, U | I | W, U | I, NO_GUEST, "SNP_COMMIT" },
    { 0x0cd, U | I | W, I, NO_GUEST, "SNP_VLEK_LOAD" },
    { 0x0ce, U | I | W, U | I, NO_GUEST, "SNP_FEATURE_INFO" },
    { 0x0d0, U | I | W, I, NO_GUEST, "TIO_STATUS" },
    { 0x0d1, U | I | W, I, NO_GUEST, "TIO_INIT" },
    { 0x0d2, U | I | W, I, NO_GUEST, "TIO_DEV_CREATE" },
    { 0x0d3, U | I | W, I, NO_GUEST, "TIO_DEV_RECLAIM" },
    { 0x0d4, U | I | W, I, NO_GUEST, "TIO_DEV_CONNECT" },
    { 0x0d5, U | I | W, I, NO_GUEST, "TIO_DEV_DISCONNECT" },
};
#define NBY_ABI (sizeof(by_abi) / sizeof(by_abi[0]))

/* sev, snp: index of the state */
static void platform(int sev, int snp)
{
    power_on();
    fw.cfg.tio = true;
    if (snp) {
        init_snp();
    }
    if (sev) {
        init_sev(false);
    }
    if (sev == 2) {
        expect(SEV_LAUNCH_START, FW_SUCCESS, "set-up");
    }
}

static void test_platform_states(void)
{
    CHECK(!strcmp(snp_fw_status_name(0), "SUCCESS") &&
          !strcmp(snp_fw_status_name(0x1a), "INVALID_PAGE_STATE") &&
          !strcmp(snp_fw_status_name(0x5a), "?"), "names");
    for (int sev = 0; sev < 3; sev++) {
        for (int snp = 0; snp < 2; snp++) {
            for (unsigned id = 0; id < 0x800; id++) {
                unsigned k;
                uint32_t ret;

                for (k = 0; k < NBY_ABI && by_abi[k].id != id; k++) {
                    continue;
                }
                if (k == NBY_ABI) {
                    if (id % 16 && id > 0x100) {
                        continue;   /* a sample of what cannot be there */
                    }
                    if (!id || id == 0x7f0) {
                        platform(sev, snp);
                    }
                    ret = snp_fw_command(&fw, id, CMDBUF);
                    CHECK(ret == FW_INVALID_COMMAND, "0x%x: 0x%x", id, ret);
                    CHECK(!fw_command(id), "0x%x", id);
                    continue;
                }
                platform(sev, snp);
                CHECK(!strcmp(snp_fw_command_name(id), by_abi[k].name),
                      "0x%x", id);
                if (!(by_abi[k].sev & 1 << sev) ||
                    !(by_abi[k].snp & 1 << snp)) {
                    expect(id, FW_INVALID_PLATFORM_STATE, "state");
                    /* whatever the buffer */
                    snap();
                    ret = snp_fw_command(&fw, id, NOWHERE);
                    CHECK(ret == FW_INVALID_PLATFORM_STATE && unchanged(),
                          "0x%x", id);
                    continue;
                }
                ret = run(id);
                CHECK(ret != FW_INVALID_COMMAND &&
                      ret != FW_INVALID_PLATFORM_STATE, "%s in %d, %d: 0x%x",
                      by_abi[k].name, sev, snp, ret);
            }
        }
    }
}

/* By the numbers, and not only as the rows have it (fw_table.c checks them) */
static void test_guest_columns(void)
{
    for (unsigned k = 0; k < NBY_ABI; k++) {
        const FwCommand *c = fw_command(by_abi[k].id);

        CHECK(c && c->run, "0x%x", by_abi[k].id);
        if (!c) {
            continue;
        }
        CHECK(c->sev == by_abi[k].sev_guest && c->snp == by_abi[k].snp_guest,
              "%s: guest states %x, %x", c->name, c->sev, c->snp);
        CHECK(c->active == (by_abi[k].active == ON ? FW_WITH_ASID :
                            by_abi[k].active == OFF ? FW_WITHOUT_ASID
                                                    : FW_EITHER),
              "%s: ASID %u", c->name, c->active);
    }
    CHECK(fw_ncommands == NBY_ABI, "%u commands, not %zu", fw_ncommands,
          NBY_ABI);
}

/* ---- command buffers that are not memory, or not the firmware's ---- */

static void test_command_buffer(void)
{
    static const struct { uint16_t id; uint8_t len; bool writes; } bufs[] = {
        { 0x001, 20, false }, { 0x004, 12, true }, { 0x00c, 12, true },
        { 0x020, 4, false }, { 0x021, 8, false }, { 0x022, 4, false },
        { 0x023, 13, true }, { 0x030, 36, true }, { 0x031, 20, false },
        { 0x032, 20, false }, { 0x033, 20, true }, { 0x035, 4, false },
        { 0x060, 28, false }, { 0x061, 28, false },
        { 0x083, 8, false }, { 0x085, 64, false }, { 0x086, 8, false },
        { 0x090, 8, false }, { 0x091, 12, false }, { 0x092, 16, false },
        { 0x093, 8, false }, { 0x094, 24, false }, { 0x0a0, 48, false },
        { 0x0a1, 32, false },
        { 0x0a2, 64, false }, { 0x0c7, 8, false }, { 0x0c9, 64, false },
        { 0x0cb, 4, false }, { 0x0b0, 24, false }, { 0x0b1, 24, false },
        { 0x0c0, 48, false }, { 0x0c1, 40, false }, { 0x0c2, 32, false },
        { 0x0c3, 16, false }, { 0x0c6, 16, false }, { 0x0c8, 8, false },
        { 0x0ce, 16, false }, { 0x00d, 36, false },
    };

    for (unsigned i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++) {
        bool unit = bufs[i].id == 0x001 || bufs[i].id == 0x00d ||
                    bufs[i].id == 0x085 || bufs[i].id == 0x086;
        uint32_t ret;

        platform(unit ? 0 : 2, bufs[i].id != 0x085);
        snap();
        ret = snp_fw_command(&fw, bufs[i].id, NOWHERE);
        CHECK(ret == FW_INVALID_ADDRESS && unchanged(), "0x%x: 0x%x",
              bufs[i].id, ret);
        ret = snp_fw_command(&fw, bufs[i].id, 0x3000 - bufs[i].len + 1);
        CHECK(ret == FW_INVALID_ADDRESS && unchanged(), "0x%x: 0x%x",
              bufs[i].id, ret);
        ret = snp_fw_command(&fw, bufs[i].id, ~0ull);
        CHECK(ret == FW_INVALID_ADDRESS && unchanged(), "0x%x: 0x%x",
              bufs[i].id, ret);
        if (!bufs[i].writes) {
            continue;
        }
        for (int s = 0; s < RMP_NSTATES; s++) {
            set_page(CMDBUF, s, 3, 0x1000);
            snap();
            ret = snp_fw_command(&fw, bufs[i].id, CMDBUF);
            if (s != RMP_FIRMWARE) {
                CHECK(ret == FW_INVALID_PAGE_STATE && unchanged(),
                      "0x%x, %s: 0x%x", bufs[i].id, rmp_state_name(s), ret);
            } else {
                CHECK(ret != FW_INVALID_PAGE_STATE, "0x%x", bufs[i].id);
            }
        }
    }

    /* the C-bit says nothing about where */
    platform(0, 0);
    CHECK(snp_fw_command(&fw, SEV_PLATFORM_STATUS, CMDBUF | 1ull << 51) == 0,
          "C-bit");
    CHECK(got(0, 1) == 1 && got(1, 1) == 55 && got(2, 1) == 0 &&
          got(7, 1) == 21, "status");
}

static void test_guest_states(void)
{
    enum { S = FW_INVALID_GUEST_STATE, N = FW_INVALID_GUEST,
           A = FW_ACTIVE, X = FW_INACTIVE, P = FW_INVALID_PAGE_STATE,
           M = FW_INVALID_PARAM /* no message */ };
    static const struct { uint16_t id; uint8_t want[G_NSTAGES]; } rows[] = {
        /*                    none init launch +asid run +asid */
        { SNP_GCTX_CREATE,     { 0, P, P, P, P, P } },
        { SNP_LAUNCH_START,    { N, 0, S, S, S, S } },
        { SNP_ACTIVATE,        { N, S, 0, A, 0, A } },
        { SNP_LAUNCH_UPDATE,   { N, S, X, 0, S, S } },
        { SNP_LAUNCH_FINISH,   { N, S, 0, 0, S, S } },
        { SNP_GUEST_REQUEST,   { N, S, S, S, M, M } },
        { SNP_GUEST_STATUS,    { N, 0, 0, 0, 0, 0 } },
        { SNP_DECOMMISSION,    { N, 0, 0, 0, 0, 0 } },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int stage = 0; stage < G_NSTAGES; stage++) {
            guest(stage);
            put(0, 8, GCTX);
            switch (rows[i].id) {
            case SNP_LAUNCH_START:
                arg_launch_start();
                break;
            case SNP_ACTIVATE:
                arg_activate(3);
                break;
            case SNP_LAUNCH_UPDATE:
                arg_update(1, TARGET, false);
                break;
            case SNP_GUEST_REQUEST:
                put(8, 8, TARGET);
                put(16, 8, OUT);
                break;
            case SNP_GUEST_STATUS:
                put(8, 8, OUT);
                break;
            }
            expect(rows[i].id, rows[i].want[stage], "guest state");
            if (rows[i].want[stage]) {
                continue;
            }
            switch (rows[i].id) {
            case SNP_GUEST_STATUS:
                CHECK(mem[OUT + 12] == (stage > G_LAUNCH_ACTIVE ? 2
                                        : stage > G_INIT), "state");
                CHECK(mem[OUT + 8] == (stage == G_LAUNCH_ACTIVE ||
                                       stage == G_RUNNING_ACTIVE ? 3 : 0),
                      "asid");
                break;
            case SNP_DECOMMISSION:
                CHECK(state_of(GCTX) == RMP_FIRMWARE, "context given back");
                put(0, 8, GCTX);
                expect(SNP_GUEST_STATUS, N, "gone");
                break;
            case SNP_LAUNCH_UPDATE:
                CHECK(state_of(TARGET) == RMP_GUEST_VALID, "page");
                break;
            }
        }
    }
}

/* A context is a page in state Context that the firmware itself wrote. */
static void test_guest_context(void)
{
    static const uint16_t ids[] = {
        SNP_LAUNCH_START, SNP_ACTIVATE, SNP_LAUNCH_UPDATE, SNP_LAUNCH_FINISH,
        SNP_GUEST_STATUS, SNP_DECOMMISSION, SNP_GUEST_REQUEST,
    };

    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        guest(G_LAUNCH_ACTIVE);
        put(0, 8, GCTX | 8);
        expect(ids[i], FW_INVALID_ADDRESS, "misaligned");
        put(0, 8, MEM_SIZE);
        expect(ids[i], FW_INVALID_ADDRESS, "not covered");
        for (int s = 0; s < RMP_NSTATES; s++) {
            set_page(GCTX2, s, 3, 0x1000);
            put(0, 8, GCTX2);
            expect(ids[i], FW_INVALID_GUEST, rmp_state_name(s));
        }
        /* a copy of the page elsewhere is not the guest */
        set_page(GCTX2, RMP_CONTEXT, 0, 0);
        memcpy(mem + GCTX2, mem + GCTX, 4096);
        put(0, 8, GCTX2);
        expect(ids[i], FW_INVALID_GUEST, "copy");
        /* nor is the page once its content is another's */
        mem[GCTX + 8]++;
        put(0, 8, GCTX);
        expect(ids[i], FW_INVALID_GUEST, "content");
        mem[GCTX + 8]--;
        mem[GCTX]++;
        put(0, 8, GCTX);
        expect(ids[i], FW_INVALID_GUEST, "content");
        mem[GCTX]--;
        set_page(GCTX, RMP_FIRMWARE, 0, 0);
        put(0, 8, GCTX);
        expect(ids[i], FW_INVALID_GUEST, "not Context");
    }

    for (int s = 0; s < RMP_NSTATES; s++) {
        guest(G_NONE);
        set_page(GCTX, s, 3, 0x1000);
        put(0, 8, GCTX);
        expect(SNP_GCTX_CREATE,
               s == RMP_FIRMWARE ? FW_SUCCESS : FW_INVALID_PAGE_STATE,
               rmp_state_name(s));
    }
    guest(G_NONE);
    put(0, 8, GCTX + 16);
    expect(SNP_GCTX_CREATE, FW_INVALID_ADDRESS, "misaligned");
    put(0, 8, NOWHERE);
    expect(SNP_GCTX_CREATE, FW_INVALID_ADDRESS, "no memory");
    put(0, 8, RMP_AT);
    expect(SNP_GCTX_CREATE, FW_INVALID_PAGE_STATE, "the RMP");

    /* as many as there is room for */
    guest(G_NONE);
    for (unsigned i = 0; i <= FW_MAX_GUESTS; i++) {
        uint64_t spa = LARGE + i * 0x1000ull;

        set_page(spa, RMP_FIRMWARE, 0, 0);
        put(0, 8, spa);
        expect(SNP_GCTX_CREATE,
               i < FW_MAX_GUESTS ? FW_SUCCESS : FW_RESOURCE_LIMIT, "many");
    }
}

static void test_launch_start_operand(void)
{
    static const struct { uint64_t policy; uint32_t want; } rows[] = {
        { 0x30000, 0 }, { 0x20000, 0 }, { 0x10000, FW_INVALID_PARAM },
        { 0x0, FW_INVALID_PARAM }, { 0xb0000, 0 }, { 0x130000, 0 },
        { 0x30000 | 1ull << 26, FW_INVALID_PARAM },
        { 0x30000 | 1ull << 63, FW_INVALID_PARAM },
        { 0x30137, 0 }, { 0x30138, FW_POLICY_FAILURE },
        { 0x300ff, 0 }, { 0x30200, FW_POLICY_FAILURE },
        { 0x30000 | 1ull << 22, FW_POLICY_FAILURE },
        { 0x30000 | 1ull << 23, FW_POLICY_FAILURE },
        { 0x30000 | 1ull << 24, FW_POLICY_FAILURE },
        { 0x30000 | 1ull << 21, 0 }, { 0x30000 | 1ull << 25, 0 },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        guest(G_INIT);
        put(0, 8, GCTX);
        put(8, 8, rows[i].policy);
        expect(SNP_LAUNCH_START, rows[i].want, "policy");
    }
    guest(G_INIT);
    fw.cfg.smt = true;
    put(0, 8, GCTX);
    put(8, 8, 0x20000);
    expect(SNP_LAUNCH_START, FW_POLICY_FAILURE, "no SMT");
    for (unsigned bit = 0; bit < 32; bit++) {
        arg_launch_start();
        put(0x18, 4, 1u << bit);
        expect(SNP_LAUNCH_START, bit < 2 ? FW_UNSUPPORTED : FW_INVALID_PARAM,
               "flags");
    }
}

static void test_activate_asid(void)
{
    static const struct { uint32_t asid, want; } rows[] = {
        { 0, FW_INVALID_ASID }, { 1, 0 }, { MIN_SEV - 1, 0 },
        { MIN_SEV, FW_INVALID_ASID }, { MAX_ASID, FW_INVALID_ASID },
        { 0xffffffff, FW_INVALID_ASID },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        guest(G_LAUNCH);
        arg_activate(rows[i].asid);
        expect(SNP_ACTIVATE, rows[i].want, "range");
    }

    /* owned by either kind of guest; dirty until flushed */
    guest(G_LAUNCH_ACTIVE);
    set_page(GCTX2, RMP_FIRMWARE, 0, 0);
    put(0, 8, GCTX2);
    expect(SNP_GCTX_CREATE, FW_SUCCESS, "second");
    put(0, 8, GCTX2);
    put(8, 8, 0x30000);
    expect(SNP_LAUNCH_START, FW_SUCCESS, "second");
    put(0, 8, GCTX2);
    put(8, 4, 3);
    expect(SNP_ACTIVATE, FW_ASID_OWNED, "owned");
    init_sev(true);
    put(4, 4, 4);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "ES");
    put(0, 4, 1);
    put(4, 4, 3);
    expect(SEV_ACTIVATE, FW_ASID_OWNED, "by an SNP guest");
    put(0, 4, 1);
    put(4, 4, 4);
    expect(SEV_ACTIVATE, FW_SUCCESS, "ES");
    put(0, 8, GCTX2);
    put(8, 4, 4);
    expect(SNP_ACTIVATE, FW_ASID_OWNED, "by an ES guest");

    CHECK(armed == 0, "nothing released yet");
    put(0, 8, GCTX);
    expect(SNP_DECOMMISSION, FW_SUCCESS, "first");
    CHECK(armed == 1, "released");
    put(0, 8, GCTX2);
    put(8, 4, 3);
    expect(SNP_ACTIVATE, FW_DFFLUSH_REQUIRED, "dirty");
    expect(SNP_DF_FLUSH, FW_WBINVD_REQUIRED, "no WBINVD");
    expect(SEV_DF_FLUSH, FW_WBINVD_REQUIRED, "no WBINVD");
    wbinvd_done = true;
    put(0, 8, GCTX2);
    put(8, 4, 3);
    expect(SNP_ACTIVATE, FW_DFFLUSH_REQUIRED, "still dirty");
    expect(SNP_DF_FLUSH, FW_SUCCESS, "flush");
    put(0, 8, GCTX2);
    put(8, 4, 3);
    expect(SNP_ACTIVATE, FW_SUCCESS, "clean");
}

/* ---- LAUNCH_UPDATE ---- */

static void fill(uint64_t spa, unsigned seed)
{
    for (int i = 0; i < 4096; i++) {
        mem[spa + i] = i * 7 + seed;
    }
}

static void test_launch_update_operand(void)
{
    for (int s = 0; s < RMP_NSTATES; s++) {
        guest(G_LAUNCH_ACTIVE);
        set_page(TARGET, s, 3, 0x100000);
        arg_update(1, TARGET, false);
        expect(SNP_LAUNCH_UPDATE,
               s == RMP_PRE_GUEST ? FW_SUCCESS : FW_INVALID_PAGE_STATE,
               rmp_state_name(s));
    }
    for (unsigned type = 0; type < 8; type++) {
        guest(G_LAUNCH_ACTIVE);
        mem[TARGET + 0x3b0] = 1;    /* good as a VMSA */
        mem[TARGET] = 1;            /* and as a CPUID page */
        arg_update(type, TARGET, false);
        expect(SNP_LAUNCH_UPDATE,
               type >= 1 && type <= 6 ? FW_SUCCESS : FW_INVALID_PARAM,
               "type");
    }
    guest(G_LAUNCH_ACTIVE);
    for (unsigned bit = 4; bit < 32; bit++) {
        arg_update(1, TARGET, false);
        put(8, 4, 2 | 1u << bit);
        expect(SNP_LAUNCH_UPDATE, FW_INVALID_PARAM, "flags");
    }
    for (unsigned off = 12; off < 32; off++) {
        bool perm = off >= 0x19 && off <= 0x1b;

        if (off >= 16 && off < 24) {
            continue;
        }
        arg_update(1, TARGET, false);
        put(off, 1, perm ? 0x20 : 1);
        expect(SNP_LAUNCH_UPDATE, FW_INVALID_PARAM, "reserved");
    }
    arg_update(1, TARGET + 16, false);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_ADDRESS, "misaligned");
    arg_update(1, MEM_SIZE, false);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_ADDRESS, "not covered");
    arg_update(1, TARGET, true);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_ADDRESS, "2M misaligned");
    set_page(TARGET, RMP_PRE_GUEST, 4, 0x100000);
    arg_update(1, TARGET, false);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_PAGE_OWNER, "other ASID");
    set_page(LARGE, RMP_PRE_GUEST, 3, 0x40000000);
    arg_update(1, LARGE, true);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_PAGE_SIZE, "4K, not 2M");
    rmp_fw_set(&rmp, LARGE, &(RmpEntry){ .assigned = true, .immutable = true,
               .size_2m = true, .asid = 3, .gpa = 0x40000000 });
    arg_update(1, LARGE, false);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_PAGE_SIZE, "2M, not 4K");
    mem[LARGE + 0x3b0] = mem[LARGE] = 1;
    arg_update(2, LARGE, true);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_PAGE_SIZE, "VMSA of 2M");
    arg_update(5, LARGE, true);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_PAGE_SIZE, "secrets of 2M");
    arg_update(6, LARGE, true);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_PAGE_SIZE, "CPUID of 2M");

    /* contents */
    guest(G_LAUNCH_ACTIVE);
    arg_update(2, TARGET, false);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_PARAM, "VMSA without SNP");
    mem[TARGET + 0x3b0] = 1;
    mem[TARGET + 0xca] = 4;
    arg_update(2, TARGET, false);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_PARAM, "VMSA of VMPL4");
    arg_update(6, TARGET, false);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_PARAM, "no CPUID entry");
    mem[TARGET] = 65;
    arg_update(6, TARGET, false);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_PARAM, "65 CPUID entries");
    CHECK(state_of(TARGET) == RMP_PRE_GUEST, "still the firmware's");
    mem[TARGET] = 64;
    mem[TARGET + 15] = 1;
    arg_update(6, TARGET, false);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_PARAM, "CPUID reserved");
    mem[TARGET + 15] = 0;
    arg_update(6, TARGET, false);
    expect(SNP_LAUNCH_UPDATE, FW_SUCCESS, "64 CPUID entries");
}

/* Digests and measurement: computed elsewhere, from the ABI's layouts */
static const uint8_t want_ld[48] = {
    0x28, 0xa2, 0x4a, 0xe9, 0xb3, 0xdc, 0x65, 0x77, 0x10, 0xca, 0xac, 0x4b,
    0x97, 0x3f, 0x8b, 0xbb, 0x00, 0xcd, 0xca, 0xf2, 0xea, 0x00, 0x4b, 0x2f,
    0xec, 0xf9, 0xfe, 0xf5, 0xbd, 0x04, 0xd1, 0x6a, 0x28, 0x05, 0x09, 0xd0,
    0x7e, 0x64, 0x60, 0x71, 0xc1, 0x5f, 0x61, 0xd8, 0xb1, 0x11, 0x76, 0xa1,
};

static const uint8_t want_ld_2m[48] = {
    0xfd, 0xbd, 0x0f, 0x55, 0x16, 0xb7, 0x31, 0x7a, 0x23, 0xec, 0x45, 0x59,
    0x0c, 0x82, 0xdf, 0xa7, 0xe6, 0x83, 0xac, 0xff, 0xaf, 0x24, 0x08, 0x6a,
    0x34, 0x72, 0x52, 0xeb, 0x08, 0xcb, 0x1d, 0xb1, 0xb4, 0x08, 0xe2, 0xa6,
    0xe4, 0x55, 0xfa, 0xdd, 0x22, 0xf7, 0x89, 0x09, 0xde, 0x1e, 0x1a, 0x25,
};

static const uint8_t want_measure[48] = {
    0xfa, 0xb3, 0xf5, 0x74, 0xba, 0xe9, 0x1d, 0x77, 0x4a, 0xdf, 0xc4, 0x5e,
    0x61, 0x73, 0xb8, 0x36, 0x1b, 0x26, 0xb7, 0xe4, 0x32, 0x78, 0x5f, 0x82,
    0x5a, 0xb4, 0x48, 0x63, 0x81, 0x8b, 0xc6, 0x95, 0xe1, 0xee, 0xfb, 0x08,
    0x15, 0x22, 0x2f, 0x3c, 0x49, 0x56, 0x63, 0x70, 0x7d, 0x8a, 0x97, 0xa4,
};

static void test_launch_digest(void)
{
    static const struct { int type; unsigned seed; uint64_t gpa; } seq[] = {
        { 1, 3, 0x100000 }, { 3, 4, 0x200000 }, { 4, 5, 0x201000 },
        { 5, 6, 0x202000 }, { 6, 7, 0x203000 }, { 2, 9, 0x5000 },
    };
    RmpEntry e;

    guest(G_LAUNCH);
    memset(fw.guests[0].gosvw, 0x5a, 16);
    arg_activate(3);
    expect(SNP_ACTIVATE, FW_SUCCESS, "set-up");
    for (unsigned i = 0; i < 6; i++) {
        uint64_t spa = 0x10000 + i * 0x1000;

        fill(spa, seq[i].seed);
        if (seq[i].type == 2) {
            mem[spa + 0x3b0] = 1;
            mem[spa + 0xca] = 0;
        } else if (seq[i].type == 6) {
            memset(mem + spa, 0, 16);
            mem[spa] = 5;
        }
        set_page(spa, RMP_PRE_GUEST, 3, seq[i].gpa);
        arg_update(seq[i].type, spa | 1ull << 51, false);
        if (!i) {
            put(0x19, 3, 0x1f0301);
        }
        snap();
        CHECK(run(SNP_LAUNCH_UPDATE) == 0, "type %d", seq[i].type);
        rmp_get(&rmp, spa, &e);
        CHECK(rmp_state(&e) == RMP_GUEST_VALID && e.asid == 3 &&
              e.gpa == seq[i].gpa && e.vmsa == (seq[i].type == 2),
              "type %d", seq[i].type);
        CHECK(e.perms[0] == 0x1f && e.perms[1] == (i ? 0 : 1) &&
              e.perms[2] == (i ? 0 : 3) && e.perms[3] == (i ? 0 : 0x1f),
              "type %d", seq[i].type);
        if (seq[i].type == 3) {
            for (int j = 0; j < 4096; j++) {
                CHECK(!mem[spa + j], "byte %d", j);
            }
        } else if (seq[i].type == 5) {
            const uint8_t *p = mem + spa;

            CHECK(p[0] == 3 && p[8] == 0x11 && p[9] == 0x0f && p[10] == 0xa0,
                  "secrets head");
            CHECK(p[0x10] == 0x5a && p[0x1f] == 0x5a, "GOSVW");
            CHECK(!memcmp(p + 0x20, fw.guests[0].vmpck, 128), "keys");
            CHECK(memcmp(p + 0x20, p + 0x40, 32), "keys differ");
            for (int j = 0xa0; j < 4096; j++) {
                CHECK(!p[j], "byte %d", j);
            }
        } else {
            CHECK(!memcmp(mem + spa, old_mem + spa, 4096), "kept");
        }
    }
    CHECK(!memcmp(fw.guests[0].ld, want_ld, 48), "launch digest");

    guest(G_LAUNCH_ACTIVE);
    for (int i = 0; i < 512; i++) {
        fill(LARGE + i * 0x1000, i & 255);
    }
    rmp_fw_set(&rmp, LARGE, &(RmpEntry){ .assigned = true, .immutable = true,
               .size_2m = true, .asid = 3, .gpa = 0x40000000 });
    arg_update(1, LARGE, true);
    expect(SNP_LAUNCH_UPDATE, FW_SUCCESS, "2M");
    CHECK(!memcmp(fw.guests[0].ld, want_ld_2m, 48), "launch digest, 2M");
    rmp_get(&rmp, LARGE + 0x5000, &e);
    CHECK(e.size_2m && rmp_state(&e) == RMP_GUEST_VALID, "2M entry");
}

static void test_launch_finish_operand(void)
{
    guest(G_LAUNCH);
    for (unsigned bit = 0; bit < 64; bit++) {
        put(0, 8, GCTX);
        put(0x18, 8, 1ull << bit);
        if (bit == 2) {
            continue;
        }
        /* bit 0 is an ID block, and there is none in that page */
        expect(SNP_LAUNCH_FINISH, FW_INVALID_PARAM, "flags");
    }
    put(0, 8, GCTX);
    put(0x18, 1, 4);
    for (int i = 0; i < 32; i++) {
        put(0x20 + i, 1, i + 1);
    }
    expect(SNP_LAUNCH_FINISH, FW_SUCCESS, "no VCEK");
    CHECK(fw.guests[0].vcek_disabled && fw.guests[0].host_data[31] == 32,
          "kept");
}

/* ---- pages ---- */

static void test_reclaim(void)
{
    for (int s = 0; s < RMP_NSTATES; s++) {
        bool can = s == RMP_RECLAIM || s == RMP_FIRMWARE ||
                   s == RMP_METADATA || s == RMP_PRE_GUEST ||
                   s == RMP_PRE_SWAP;
        RmpEntry e;

        power_on();
        init_snp();
        set_page(TARGET, s, 3, 0x100000);
        put(0, 8, TARGET);
        expect(SNP_PAGE_RECLAIM, can ? FW_SUCCESS : FW_INVALID_PAGE_STATE,
               rmp_state_name(s));
        if (can) {
            rmp_get_raw(&rmp, TARGET, &e);
            CHECK(rmp_state(&e) == RMP_RECLAIM && !e.gpa && !e.asid &&
                  !e.validated && !e.vmsa, "%s", rmp_state_name(s));
        }
        set_page(LARGE, s, 3, 0x40000000);
        put(0, 8, LARGE | 1);
        expect(SNP_PAGE_RECLAIM,
               can ? FW_INVALID_PAGE_SIZE : FW_INVALID_PAGE_STATE,
               "4K entry as 2M");
        rmp_get(&rmp, LARGE, &e);
        if (!e.assigned) {
            continue;
        }
        e.size_2m = true;
        rmp_fw_set(&rmp, LARGE, &e);
        put(0, 8, LARGE);
        expect(SNP_PAGE_RECLAIM,
               can ? FW_INVALID_PAGE_SIZE : FW_INVALID_PAGE_STATE,
               "2M entry as 4K");
        put(0, 8, LARGE | 1);
        expect(SNP_PAGE_RECLAIM, can ? FW_SUCCESS : FW_INVALID_PAGE_STATE,
               "2M");
        rmp_get(&rmp, LARGE + 0x3000, &e);
        CHECK(!can || (e.size_2m && rmp_state(&e) == RMP_RECLAIM), "2M");
    }

    power_on();
    list_iommu = true;
    init_snp();
    init_sev(true);
    put(0, 8, TARGET | 2);
    expect(SNP_PAGE_RECLAIM, FW_INVALID_ADDRESS, "reserved bit");
    put(0, 8, TARGET | 1);
    expect(SNP_PAGE_RECLAIM, FW_INVALID_ADDRESS, "2M misaligned");
    put(0, 8, MEM_SIZE);
    expect(SNP_PAGE_RECLAIM, FW_INVALID_ADDRESS, "not covered");
    put(0, 8, RMP_AT);
    expect(SNP_PAGE_RECLAIM, FW_INVALID_PAGE_STATE, "the RMP");
    put(0, 8, MEM_SIZE - 0x1000);
    expect(SNP_PAGE_RECLAIM, FW_INVALID_PAGE_STATE, "the RMP's end");
    put(0, 8, EVTLOG + 0x1000);
    expect(SNP_PAGE_RECLAIM, FW_INVALID_PAGE_STATE, "IOMMU log");
    put(0, 8, EVTLOG + 0x2000);
    set_page(EVTLOG + 0x2000, RMP_FIRMWARE, 0, 0);
    expect(SNP_PAGE_RECLAIM, FW_SUCCESS, "behind the IOMMU log");
    put(0, 8, TMR + 0x1ff000);
    expect(SNP_PAGE_RECLAIM, FW_INVALID_PAGE_STATE, "TMR in use");
    expect(SEV_SHUTDOWN, FW_SUCCESS, "shutdown");
    put(0, 8, TMR + 0x1ff000);
    expect(SNP_PAGE_RECLAIM, FW_SUCCESS, "TMR");
}

static void arg_handle(void)
{
    put(0, 4, 1);
}

static void arg_measure(void)
{
    arg_handle();
    put(8, 8, OUT);
    put(16, 4, 48);
}

/* Every output of every command, against every page state, SNP on and off */
static void test_outputs(void)
{
    for (int snp = 0; snp < 2; snp++) {
        for (int s = 0; s < RMP_NSTATES; s++) {
            for (int k = 0; k < 9; k++) {
                uint32_t want = !snp || s == RMP_FIRMWARE
                                ? FW_SUCCESS : FW_INVALID_PAGE_STATE;
                uint32_t cmd = 0;

                if ((k == 5 || k == 6) && !snp) {
                    continue;
                }
                if (k == 5) {
                    guest(G_INIT);
                } else {
                    platform(0, snp);
                    init_sev(true);
                    put(4, 4, 4);
                    expect(SEV_LAUNCH_START, FW_SUCCESS, "set-up");
                    CHECK(got(0, 4) == 1, "handle");
                    put(0, 4, 1);
                    put(4, 4, 2);
                    expect(SEV_ACTIVATE, FW_SUCCESS, "set-up");
                }
                if (k >= 7) {
                    arg_measure();
                    expect(SEV_LAUNCH_MEASURE, FW_SUCCESS, "set-up");
                    arg_handle();
                    expect(SEV_LAUNCH_FINISH, FW_SUCCESS, "set-up");
                }
                /* two pages, of which the second is in the state */
                set_page(TARGET, RMP_FIRMWARE, 0, 0);
                set_page(TARGET + 0x1000, s, 3, 0x1000);
                switch (k) {
                case 0:
                    cmd = SEV_GET_ID;
                    put(0, 8, TARGET + 0xfc1);
                    put(8, 4, 64);
                    break;
                case 1:
                    cmd = SEV_LAUNCH_UPDATE_DATA;
                    put(0, 4, 1);
                    put(8, 8, TARGET + 0x10);
                    put(16, 4, 0x1000);
                    break;
                case 2:
                    cmd = SEV_LAUNCH_UPDATE_VMSA;
                    put(0, 4, 1);
                    put(8, 8, TARGET + 0x1000);
                    put(16, 4, 0x1000);
                    break;
                case 3:
                    cmd = SEV_LAUNCH_MEASURE;
                    put(0, 4, 1);
                    put(8, 8, TARGET + 0x1000 - 47);
                    put(16, 4, 48);
                    break;
                case 4:
                    cmd = SNP_PLATFORM_STATUS;
                    put(0, 8, TARGET + 0x1000);
                    break;
                case 5:
                    cmd = SNP_GUEST_STATUS;
                    put(0, 8, GCTX);
                    put(8, 8, TARGET + 0x1000);
                    break;
                case 6:
                    cmd = SNP_GCTX_CREATE;
                    put(0, 8, TARGET + 0x1000);
                    break;
                case 7:
                case 8:
                    cmd = k == 7 ? SEV_DBG_DECRYPT : SEV_DBG_ENCRYPT;
                    arg_handle();
                    put(8, 8, TARGET);
                    put(16, 8, TARGET + 0xff0);
                    put(24, 4, 32);
                    break;
                }
                expect(cmd, want, rmp_state_name(s));
                if (want || !snp) {
                    continue;
                }
                CHECK(state_of(TARGET + 0x1000) ==
                      (k == 4 ? RMP_RECLAIM : k == 6 ? RMP_CONTEXT
                       : RMP_FIRMWARE), "after %d", k);
            }
        }
    }
}

/* ---- SNP platform ---- */

static void put_range(unsigned i, uint64_t base, uint32_t pages,
                      uint32_t rsvd)
{
    uint8_t *p = mem + LIST + 8 + 16 * i;

    for (int j = 0; j < 8; j++) {
        p[j] = base >> (8 * j);
    }
    for (int j = 0; j < 4; j++) {
        p[8 + j] = pages >> (8 * j);
        p[12 + j] = rsvd >> (8 * j);
    }
}

static void arg_init_ex(uint32_t flags)
{
    put(0, 4, flags);
    put(8, 8, LIST);
}

static void test_init_ex(void)
{
    for (unsigned bit = 2; bit < 64; bit++) {
        power_on();
        put(0, 8, 1 | 1ull << bit);
        expect(SNP_INIT_EX, FW_INVALID_PARAM, "flags");
    }
    for (unsigned off = 16; off < 64; off++) {
        power_on();
        put(0, 4, 1);
        put(off, 1, 1);
        expect(SNP_INIT_EX, FW_INVALID_PARAM, "reserved");
    }
    power_on();
    cpus_ready = false;
    put(0, 4, 1);
    expect(SNP_INIT_EX, FW_INVALID_CONFIG, "CPUs");
    expect(SNP_INIT, FW_INVALID_CONFIG, "CPUs");
    CHECK(logged == 2, "said why");
    power_on();
    rmp.entries = NULL;
    expect(SNP_INIT, FW_INVALID_CONFIG, "no RMP");
    power_on();
    rmp.base += 0x1000;
    expect(SNP_INIT, FW_INVALID_CONFIG, "alignment");
    power_on();
    rmp.end -= 0x1000;
    expect(SNP_INIT, FW_INVALID_CONFIG, "alignment");
    power_on();
    expect(SNP_INIT_EX, FW_RMP_INIT_REQUIRED, "never initialised");
    put(0, 4, 1);
    put(8, 8, LIST + 1);
    expect(SNP_INIT_EX, FW_SUCCESS, "an address, but no list");

    /* the list */
    power_on();
    arg_init_ex(3);
    put(8, 8, LIST + 16);
    expect(SNP_INIT_EX, FW_INVALID_ADDRESS, "list misaligned");
    arg_init_ex(3);
    put(8, 8, NOWHERE);
    expect(SNP_INIT_EX, FW_INVALID_ADDRESS, "list nowhere");
    mem[LIST + 1] = 1;      /* 256 */
    arg_init_ex(3);
    expect(SNP_INIT_EX, FW_INVALID_PARAM, "256 ranges");
    mem[LIST + 1] = 0;
    mem[LIST] = 1;
    mem[LIST + 4] = 1;
    arg_init_ex(3);
    expect(SNP_INIT_EX, FW_INVALID_PARAM, "reserved");
    mem[LIST + 4] = 0;
    put_range(0, 0x9f000, 1, 1);
    arg_init_ex(3);
    expect(SNP_INIT_EX, FW_INVALID_PARAM, "reserved");
    put_range(0, 0x9f010, 1, 0);
    arg_init_ex(3);
    expect(SNP_INIT_EX, FW_INVALID_PARAM, "misaligned");
    put_range(0, (1ull << 51) - 0x1000, 2, 0);
    arg_init_ex(3);
    expect(SNP_INIT_EX, FW_INVALID_PARAM, "beyond all addresses");
    put_range(0, 1ull << 52, 1, 0);
    arg_init_ex(3);
    expect(SNP_INIT_EX, FW_INVALID_PARAM, "beyond all addresses");

    /* what stock kernels send: holes, the RMP itself, the HT hole, nothing */
    power_on();
    list_iommu = true;
    mem[LIST] = 6;
    put_range(0, 0, 1, 0);
    put_range(1, 0x9f000, 1, 0);
    put_range(2, RMP_AT, 0x100, 0);
    put_range(3, 0xfd00000000ull, 0x300000, 0);
    put_range(4, EVTLOG, 1, 0);
    put_range(5, 0xa0000, 0, 0);
    set_page(0x680000, RMP_GUEST_VALID, 3, 0x1000);     /* stale */
    arg_init_ex(3);
    expect(SNP_INIT_EX, FW_SUCCESS, "list");
    for (uint64_t pfn = 0; pfn < NPAGES; pfn++) {
        uint64_t spa = pfn << 12;
        RmpState want = spa >= RMP_AT || spa == EVTLOG ||
                        spa == EVTLOG + 0x1000 ? RMP_FIRMWARE
                        : spa == 0 || spa == 0x9f000 ? RMP_HV_FIXED
                        : RMP_HYPERVISOR;

        CHECK(state_of(spa) == want, "page %llx: %s",
              (unsigned long long)spa, rmp_state_name(state_of(spa)));
    }
    CHECK(changed, "CPUs told");

    /* again without INIT_RMP: pages keep their states */
    put(0, 4, 8);
    put(4, 4, 1);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "down");
    CHECK(state_of(EVTLOG) == RMP_RECLAIM, "IOMMU log");
    CHECK(state_of(0x9f000) == RMP_HYPERVISOR, "HV-fixed");
    CHECK(state_of(RMP_AT) == RMP_FIRMWARE, "RMP");
    /* SNP is off, and the table in force: nobody writes to it for the host */
    set_page(0x681000, RMP_GUEST_VALID, 3, 0x1000);
    init_sev(false);
    static const struct { uint64_t at; uint32_t status; } to[] = {
        { RMP_AT, FW_INVALID_PAGE_STATE },
        { 0x681000, FW_INVALID_PAGE_STATE },
        { RMP_AT - 0x20, FW_INVALID_PAGE_STATE },
        { 0x682000, FW_SUCCESS },
    };
    for (unsigned i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
        put(0, 8, to[i].at);
        put(8, 4, 64);
        expect(SEV_GET_ID, to[i].status, "output after SNP_SHUTDOWN_EX");
    }
    expect(SEV_SHUTDOWN, FW_SUCCESS, "SEV down");
    set_page(0x681000, RMP_HYPERVISOR, 0, 0);
    mem[LIST] = 1;
    put_range(0, 0x9f000, 1, 0);
    set_page(0x9f000, RMP_GUEST_INVALID, 3, 0x1000);
    arg_init_ex(2);
    expect(SNP_INIT_EX, FW_INVALID_PAGE_STATE, "page in use");
    set_page(0x9f000, RMP_HYPERVISOR, 0, 0);
    set_page(0x680000, RMP_GUEST_VALID, 3, 0x1000);
    mem[LIST] = 2;
    put_range(1, RMP_AT, 0x100, 0);
    arg_init_ex(2);
    expect(SNP_INIT_EX, FW_SUCCESS, "keeping the RMP");
    CHECK(state_of(0x9f000) == RMP_HV_FIXED, "HV-fixed");
    CHECK(state_of(0x680000) == RMP_GUEST_VALID, "kept");
    CHECK(state_of(RMP_AT) == RMP_FIRMWARE, "RMP");
}

/* A segmented table without entries for the second 2M of memory */
static void test_hole(void)
{
    RmpEntry free = { 0 };

    power_on();
    rmp.segment_shift = 21;
    for (unsigned i = 0; i < NPAGES / 512; i++) {
        rmp.segment[i].entries = rmp.entries + i * 512 * RMP_ENTRY_SIZE;
        rmp.segment[i].npages = i == 1 ? 0 : 512;
    }
    put(0, 4, 0);
    mem[LIST] = 1;
    put_range(0, 0x180000, 0x300, 0);
    arg_init_ex(3);
    expect(SNP_INIT_EX, FW_SUCCESS, "a range over the hole");
    for (uint64_t pfn = 0; pfn < NPAGES; pfn++) {
        uint64_t spa = pfn << 12;
        RmpState want = spa >= RMP_AT ? RMP_FIRMWARE
                        : (spa >= 0x180000 && spa < 0x200000) ||
                          (spa >= 0x400000 && spa < 0x480000) ? RMP_HV_FIXED
                        : RMP_HYPERVISOR;

        CHECK(state_of(spa) == want, "page %llx: %s",
              (unsigned long long)spa, rmp_state_name(state_of(spa)));
    }
    CHECK(!rmp_covered(&rmp, TMR), "the hole");
    put(0, 4, 8);
    put(4, 4, 1);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "down");
    CHECK(state_of(0x180000) == RMP_HYPERVISOR &&
          state_of(0x47f000) == RMP_HYPERVISOR, "HV-fixed, both sides");
    /* a page behind the hole is noticed */
    set_page(LARGE, RMP_GUEST_INVALID, 3, 0x1000);
    arg_init_ex(2);
    expect(SNP_INIT_EX, FW_INVALID_PAGE_STATE, "page in use behind the hole");
    rmp_fw_set(&rmp, LARGE, &free);
}

static void test_shutdown(void)
{
    power_on();
    init_snp();
    put(0, 4, 9);
    expect(SNP_SHUTDOWN_EX, FW_INVALID_LEN, "length");
    put(0, 4, 7);
    expect(SNP_SHUTDOWN_EX, FW_INVALID_LEN, "length");
    for (unsigned bit = 1; bit < 32; bit++) {
        put(0, 4, 8);
        put(4, 4, 1u << bit);
        expect(SNP_SHUTDOWN_EX, FW_INVALID_PARAM, "flags");
    }

    /* dirty ASIDs first; guests that are left go */
    guest(G_RUNNING_ACTIVE);
    set_page(GCTX2, RMP_FIRMWARE, 0, 0);
    put(0, 8, GCTX2);
    expect(SNP_GCTX_CREATE, FW_SUCCESS, "second");
    put(0, 8, GCTX);
    expect(SNP_DECOMMISSION, FW_SUCCESS, "first");
    put(0, 4, 8);
    expect(SNP_SHUTDOWN_EX, FW_WBINVD_REQUIRED, "dirty");
    expect(SNP_SHUTDOWN, FW_WBINVD_REQUIRED, "dirty");
    wbinvd_done = true;
    put(0, 4, 8);
    expect(SNP_SHUTDOWN_EX, FW_DFFLUSH_REQUIRED, "dirty");
    expect(SNP_DF_FLUSH, FW_SUCCESS, "flush");
    put(0, 4, 8);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "clean");
    CHECK(state_of(GCTX2) == RMP_FIRMWARE, "context");
    CHECK(!fw.guests[0].used && !fw.guests[1].used, "guests");

    /* without the flag IOMMU buffers stay */
    power_on();
    list_iommu = true;
    CHECK(!fw.iommu_snp, "devices are not checked before");
    init_snp();
    CHECK(fw.iommu_snp && snp_fw_iommu_page(&fw, EVTLOG + 0x1fff) &&
          !snp_fw_iommu_page(&fw, EVTLOG + 0x2000), "now they are");
    put(0, 4, 8);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "no IOMMU");
    CHECK(state_of(EVTLOG) == RMP_FIRMWARE, "IOMMU log");
    CHECK(fw.iommu_snp, "devices are still checked");
    mem[LIST] = 1;
    put_range(0, EVTLOG, 1, 0);
    arg_init_ex(2);
    expect(SNP_INIT_EX, FW_SUCCESS, "the firmware's own page is listed");
    put(0, 4, 8);
    put(4, 4, 1);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "with IOMMU");
    CHECK(!fw.iommu_snp, "devices are not checked any more");
    arg_init_ex(2);
    expect(SNP_INIT_EX, FW_INVALID_PAGE_STATE, "a page not given back");

    /* SNP off in the CPUs, too, where that is announced, IOMMUs first */
    power_on();
    fw.cfg.x86_shutdown = true;
    init_snp();
    put(0, 4, 8);
    put(4, 4, 2);
    expect(SNP_SHUTDOWN_EX, FW_INVALID_PARAM, "CPUs, and not the IOMMUs");
    CHECK(cpus_ready && fw.rmp_inited, "nothing happened");
    put(0, 4, 8);
    put(4, 4, 7);
    expect(SNP_SHUTDOWN_EX, FW_INVALID_PARAM, "a flag that is none");
    put(0, 4, 8);
    put(4, 4, 3);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "CPUs and IOMMUs");
    CHECK(!cpus_ready && !fw.rmp_inited, "SNP is off");
    cpus_ready = true;
    arg_init_ex(2);
    expect(SNP_INIT_EX, FW_RMP_INIT_REQUIRED, "the RMP as it was");

    /* an active guest's ASID stays dirty over a shutdown */
    guest(G_RUNNING_ACTIVE);
    put(0, 4, 8);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "with a guest");
    CHECK(fw.asid_dirty[3], "dirty");

    /* a reset forgets everything but the configuration */
    guest(G_RUNNING_ACTIVE);
    init_sev(true);
    snp_fw_reset(&fw);
    CHECK(!fw.snp_inited && !fw.sev_state && !fw.guests[0].used &&
          !fw.rmp_inited && !fw.tmr.npages && fw.cfg.max_asid == MAX_ASID &&
          fw.rmp == &rmp, "reset");
}

static uint64_t le(const uint8_t *p, int n)
{
    uint64_t v = 0;

    while (n--) {
        v = v << 8 | p[n];
    }
    return v;
}

static void test_platform_status(void)
{
    /* before SNP_INIT any memory, also in the middle of a page */
    power_on();
    put(0, 8, OUT + 0x40);
    expect(SNP_PLATFORM_STATUS, FW_SUCCESS, "before");
    CHECK(mem[OUT + 0x40] == 1 && mem[OUT + 0x41] == 55 &&
          mem[OUT + 0x42] == 0 && mem[OUT + 0x43] == 0 &&
          le(mem + OUT + 0x44, 4) == 21 && le(mem + OUT + 0x48, 4) == 0 &&
          le(mem + OUT + 0x4c, 4) == 0 && le(mem + OUT + 0x50, 8) == TCB &&
          le(mem + OUT + 0x58, 8) == TCB, "before");
    CHECK(state_of(OUT) == RMP_HYPERVISOR, "no RMP yet");
    put(0, 8, OUT + 0xfe1);
    expect(SNP_PLATFORM_STATUS, FW_INVALID_ADDRESS, "two pages");
    put(0, 8, NOWHERE);
    expect(SNP_PLATFORM_STATUS, FW_INVALID_ADDRESS, "nowhere");

    guest(G_INIT);
    put(0, 8, OUT);
    expect(SNP_PLATFORM_STATUS, FW_SUCCESS, "after");
    CHECK(mem[OUT + 2] == 1 && mem[OUT + 3] == 1 && mem[OUT + 12] == 1,
          "after");
    put(0, 8, OUT);
    expect(SNP_PLATFORM_STATUS, FW_INVALID_PAGE_STATE, "Reclaim");

    /* SNP_CONFIG and SNP_COMMIT */
    power_on();
    put(0, 8, 0x4815000000000006ull);
    put(8, 4, 3);
    expect(SNP_CONFIG, FW_SUCCESS, "lower");
    put(0, 8, OUT);
    expect(SNP_PLATFORM_STATUS, FW_SUCCESS, "config");
    CHECK(le(mem + OUT + 0x10, 8) == TCB && le(mem + OUT + 8, 4) == 3 &&
          le(mem + OUT + 0x18, 8) == 0x4815000000000006ull, "config");
    put(0, 8, 0x0100000000000008ull);
    expect(SNP_CONFIG, FW_INVALID_PARAM, "one part higher");
    put(8, 4, 4);
    expect(SNP_CONFIG, FW_INVALID_PARAM, "flags");
    put(63, 1, 1);
    expect(SNP_CONFIG, FW_INVALID_PARAM, "reserved");
    put(0, 4, 8);
    expect(SNP_COMMIT, FW_INVALID_LEN, "commit");
    CHECK(fw.reported_tcb == 0x4815000000000006ull, "a commit that failed");
    put(0, 4, 4);
    expect(SNP_COMMIT, FW_SUCCESS, "commit");
    put(0, 8, OUT);
    expect(SNP_PLATFORM_STATUS, FW_SUCCESS, "committed");
    CHECK(le(mem + OUT + 0x10, 8) == TCB && le(mem + OUT + 0x18, 8) == TCB &&
          le(mem + OUT + 8, 4) == 3, "reported is what was committed");
}

static uint64_t reported(void)
{
    put(0, 8, OUT);
    expect(SNP_PLATFORM_STATUS, FW_SUCCESS, "status");
    return le(mem + OUT + 0x18, 8);
}

/* What runs and is not committed yet: nothing speaks for it. */
static void test_commit(void)
{
    const uint64_t old = 0x4714000000000007ull;

    power_on();
    fw.cfg.committed_tcb = old;
    fw.cfg.committed_build = 20;
    CHECK(reported() == old && le(mem + OUT + 0x10, 8) == TCB, "before");
    put(0, 8, TCB);
    expect(SNP_CONFIG, FW_INVALID_PARAM, "what is not committed");
    put(0, 8, old + (1ull << 48));
    expect(SNP_CONFIG, FW_INVALID_PARAM, "one part of it");
    CHECK(reported() == old, "refused");
    put(0, 8, old);
    expect(SNP_CONFIG, FW_SUCCESS, "what is");
    snp_fw_reset(&fw);
    CHECK(reported() == old, "a reset commits nothing");
    put(0, 4, 4);
    expect(SNP_COMMIT, FW_SUCCESS, "commit");
    CHECK(reported() == TCB && fw.cfg.committed_build == 21, "after");
    put(0, 8, TCB);
    expect(SNP_CONFIG, FW_SUCCESS, "what is committed now");
    put(0, 8, TCB + 1);
    expect(SNP_CONFIG, FW_INVALID_PARAM, "nothing above");
    snp_fw_reset(&fw);
    CHECK(reported() == TCB && fw.cfg.committed_build == 21,
          "a reset takes nothing back");
}

static void test_alias(void)
{
    static const struct {
        uint8_t minor, build;
        uint32_t fms;
        bool aliased;
        uint8_t want;
    } rows[] = {
        { 55, 21, 0xa00f11, false, 1 }, { 55, 22, 0xa00f11, false, 3 },
        { 55, 22, 0xa10f11, false, 1 }, { 55, 37, 0xa10f11, false, 1 },
        { 55, 38, 0xa10f11, false, 3 }, { 56, 1, 0xa00f11, false, 3 },
        { 54, 99, 0xa00f11, false, 1 }, { 55, 22, 0xa00f11, true, 1 },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        power_on();
        fw.cfg.api_minor = rows[i].minor;
        fw.cfg.build = rows[i].build;
        fw.cfg.fms = rows[i].fms;
        aliased = rows[i].aliased;
        put(0, 8, OUT);
        expect(SNP_PLATFORM_STATUS, FW_SUCCESS, "before");
        CHECK(!mem[OUT + 3], "row %u: before SNP_INIT", i);
        expect(SNP_INIT, FW_SUCCESS, "SNP_INIT");
        set_page(OUT, RMP_FIRMWARE, 0, 0);
        put(0, 8, OUT);
        expect(SNP_PLATFORM_STATUS, FW_SUCCESS, "after");
        CHECK(mem[OUT + 3] == rows[i].want, "row %u: %x", i, mem[OUT + 3]);
        put(0, 4, 8);
        expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "shutdown");
        put(0, 8, OUT + 0x1000);
        expect(SNP_PLATFORM_STATUS, FW_SUCCESS, "down");
        CHECK(mem[OUT + 0x1003] == rows[i].want, "row %u: shutdown", i);
        snp_fw_reset(&fw);
        CHECK(!fw.alias_checked, "row %u: reset", i);
    }
}

static unsigned tried;

static bool table_written(uint64_t spa, bool leaf_2m)
{
    const RmpAccess a = { .spa = spa, .write = true, .leaf_2m = leaf_2m };

    return rmp_check(&rmp, &a) == RMP_ALLOW;
}

/* No entry says yet whose the table is. */
static void write_table(void)
{
    RmpUpdate u = { .gpa = 0x7000, .assigned = 1, .asid = 1 };

    tried++;
    CHECK(rmp_update(&rmp, TARGET, &u) == RMP_FAIL_INUSE, "RMPUPDATE");
    u = (RmpUpdate){ .pagesize = 1 };
    CHECK(rmp_update(&rmp, LARGE, &u) == RMP_FAIL_INUSE, "RMPUPDATE of 2M");
    CHECK(rmp_psmash(&rmp, LARGE) == RMP_FAIL_INUSE, "PSMASH");
    CHECK(!table_written(rmp.base, false) && !table_written(rmp.end, false) &&
          !table_written(rmp.base + RMP_BOOKKEEPING, false), "stores");
    CHECK(!table_written(rmp.base & ~(RMP_2M_SIZE - 1), true),
          "stores through 2M that the table is part of");
    CHECK(!rmp_check_device_write(&rmp, rmp.base, false), "devices");
    CHECK(table_written(rmp.base - 1, false) && table_written(LARGE, true) &&
          rmp_check_device_write(&rmp, TARGET, false), "elsewhere");
}

static void test_alone(void)
{
    const RmpUpdate u = { .gpa = 0x7000, .assigned = 1, .asid = 1 };

    for (int ex = 0; ex < 2; ex++) {
        power_on();
        meanwhile = write_table;
        tried = 0;
        put(0, 8, 1);
        expect(ex ? SNP_INIT_EX : SNP_INIT, FW_SUCCESS, "SNP_INIT");
        CHECK(tried == 1, "another CPU had %u turns", tried);
        meanwhile = NULL;
        CHECK(state_of(rmp.base) == RMP_FIRMWARE &&
              state_of(TARGET) == RMP_HYPERVISOR, "as it was made");
        CHECK(rmp_update(&rmp, TARGET, &u) == RMP_SUCCESS, "afterwards");
        CHECK(!table_written(rmp.base, false), "afterwards, too");
    }
}

/* ---- SEV and SEV-ES ---- */

enum SevStage { L_NONE, L_UPDATE, L_UPDATE_ACTIVE, L_SECRET, L_SECRET_ACTIVE,
                L_RUNNING, L_RUNNING_ACTIVE, L_NSTAGES };

static void sev_guest(enum SevStage stage, bool snp)
{
    platform(0, snp);
    init_sev(true);
    set_page(TARGET, RMP_FIRMWARE, 0, 0);
    if (stage == L_NONE) {
        return;
    }
    put(4, 4, 4);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "set-up");
    CHECK(got(0, 4) == 1, "handle");
    if (stage == L_UPDATE_ACTIVE || stage == L_SECRET_ACTIVE ||
        stage == L_RUNNING_ACTIVE) {
        arg_handle();
        put(4, 4, 3);
        expect(SEV_ACTIVATE, FW_SUCCESS, "set-up");
    }
    if (stage >= L_SECRET) {
        arg_measure();
        expect(SEV_LAUNCH_MEASURE, FW_SUCCESS, "set-up");
    }
    if (stage >= L_RUNNING) {
        arg_handle();
        expect(SEV_LAUNCH_FINISH, FW_SUCCESS, "set-up");
    }
}

static void test_sev_guest_states(void)
{
    enum { S = FW_INVALID_GUEST_STATE, N = FW_INVALID_GUEST,
           A = FW_ACTIVE, X = FW_INACTIVE, P = FW_INVALID_PLATFORM_STATE };
    static const struct { uint16_t id; uint8_t want[L_NSTAGES]; } rows[] = {
        /*                    none update +asid secret +asid run +asid */
        { SEV_ACTIVATE,           { N, 0, A, 0, A, 0, A } },
        { SEV_DEACTIVATE,         { N, X, 0, X, 0, X, 0 } },
        { SEV_DECOMMISSION,       { N, 0, A, 0, A, 0, A } },
        { SEV_GUEST_STATUS,       { N, 0, 0, 0, 0, 0, 0 } },
        { SEV_LAUNCH_UPDATE_DATA, { N, X, 0, S, S, S, S } },
        { SEV_LAUNCH_UPDATE_VMSA, { N, X, 0, S, S, S, S } },
        { SEV_LAUNCH_MEASURE,     { N, 0, 0, S, S, S, S } },
        { SEV_LAUNCH_FINISH,      { N, S, S, 0, 0, S, S } },
        { SEV_DBG_DECRYPT,        { P, S, S, S, S, X, 0 } },
        { SEV_DBG_ENCRYPT,        { P, S, S, S, S, X, 0 } },
    };
    static const uint8_t states[L_NSTAGES] = { 0, 1, 1, 2, 2, 3, 3 };

    for (int snp = 0; snp < 2; snp++) {
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            for (int stage = 0; stage < L_NSTAGES; stage++) {
                /* handles that are no guest's, if one is asked for */
                static const uint32_t none[] = {
                    0, 2, 0x10001, FW_MAX_GUESTS + 1, ~0u
                };
                uint32_t unknown = rows[i].want[stage] == P ? P : N;

                sev_guest(stage, snp);
                for (unsigned h = 0; h < sizeof(none) / sizeof(none[0]); h++) {
                    put(0, 4, none[h]);
                    expect(rows[i].id, unknown, "handle");
                }
                arg_handle();
                switch (rows[i].id) {
                case SEV_ACTIVATE:
                    put(4, 4, 3);
                    break;
                case SEV_LAUNCH_UPDATE_DATA:
                case SEV_LAUNCH_UPDATE_VMSA:
                    put(8, 8, TARGET);
                    put(16, 4, 4096);
                    break;
                case SEV_LAUNCH_MEASURE:
                    arg_measure();
                    break;
                case SEV_DBG_DECRYPT:
                case SEV_DBG_ENCRYPT:
                    put(8, 8, OUT);
                    put(16, 8, TARGET);
                    put(24, 4, 4096);
                    break;
                }
                expect(rows[i].id, rows[i].want[stage], "guest state");
                if (rows[i].id == SEV_GUEST_STATUS && stage) {
                    CHECK(got(4, 4) == 4 && got(12, 1) == states[stage] &&
                          got(8, 4) == (stage % 2 ? 0 : 3), "status");
                }
                if (rows[i].id == SEV_DECOMMISSION && !rows[i].want[stage]) {
                    run(SEV_PLATFORM_STATUS);
                    CHECK(got(2, 1) == 1 && got(8, 4) == 0, "INIT again");
                }
            }
        }
    }
    sev_guest(L_UPDATE, true);
    run(SEV_PLATFORM_STATUS);
    CHECK(got(2, 1) == 2 && got(3, 4) == 0x100 && got(8, 4) == 1, "WORKING");
    expect(SEV_LAUNCH_START, FW_SUCCESS, "second");
    arg_handle();
    expect(SEV_DECOMMISSION, FW_SUCCESS, "first");
    run(SEV_PLATFORM_STATUS);
    CHECK(got(2, 1) == 2 && got(8, 4) == 1, "WORKING for the second");
    expect(SEV_SHUTDOWN, FW_SUCCESS, "drops it");
    run(SEV_PLATFORM_STATUS);
    CHECK(got(2, 1) == 0 && got(3, 4) == 0 && got(8, 4) == 0, "UNINIT");
    sev_guest(L_RUNNING_ACTIVE, true);
    expect(SEV_SHUTDOWN, FW_SUCCESS, "drops it");
    CHECK(fw.asid_dirty[3] && armed == 1, "its ASID is dirty");
}

static void test_sev_init(void)
{
    for (int snp = 0; snp < 2; snp++) {
        uint64_t len = snp ? 0x200000 : 0x100000;

        for (unsigned bit = 1; bit < 64; bit++) {
            platform(0, snp);
            put(0, 8, 1ull << bit);
            expect(SEV_INIT, FW_INVALID_PARAM, "flags");
        }
        platform(0, snp);
        for (uint64_t p = TMR; p < TMR + 0x400000; p += 0x1000) {
            set_page(p, RMP_FIRMWARE, 0, 0);
        }
        put(0, 4, 1);
        put(8, 8, TMR);
        put(16, 4, len - 1);
        expect(SEV_INIT, FW_INVALID_LEN, "short");
        put(0, 4, 1);
        put(8, 8, TMR + len / 2);
        put(16, 4, len);
        expect(SEV_INIT, FW_INVALID_ADDRESS, "misaligned");
        put(0, 4, 1);
        put(8, 8, NOWHERE);
        put(16, 4, len);
        expect(SEV_INIT, FW_INVALID_ADDRESS, "nowhere");
        put(0, 4, 1);
        put(8, 8, 0x600000);
        put(16, 4, 0xffffffff);
        expect(SEV_INIT, FW_INVALID_ADDRESS, "too long");
        set_page(TMR + len - 0x1000, RMP_RECLAIM, 0, 0);
        put(0, 4, 1);
        put(8, 8, TMR);
        put(16, 4, len);
        expect(SEV_INIT, snp ? FW_INVALID_PAGE_STATE : FW_SUCCESS,
               "last page not the firmware's");
    }
    platform(0, 1);
    put(0, 4, 1);
    put(8, 8, 0x600000);
    put(16, 4, 0x200000);
    expect(SEV_INIT, FW_INVALID_PAGE_STATE, "over the RMP");
}

static void test_sev_operands(void)
{
    static const struct { uint32_t policy, want; } rows[] = {
        { 0, 0 }, { 0x3f, 0 }, { 0x40, FW_POLICY_FAILURE },
        { 0x8000, FW_POLICY_FAILURE }, { 0x37010000, 0 },
        { 0x38010000, FW_POLICY_FAILURE }, { 0x00020000, FW_POLICY_FAILURE },
        { 0xff000000, 0 },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sev_guest(L_NONE, true);
        put(4, 4, rows[i].policy);
        expect(SEV_LAUNCH_START, rows[i].want, "policy");
    }
    platform(1, 1);
    put(4, 4, 4);
    expect(SEV_LAUNCH_START, FW_POLICY_FAILURE, "ES without INIT's flag");
    sev_guest(L_UPDATE, true);
    put(0, 4, 1);
    expect(SEV_LAUNCH_START, FW_UNSUPPORTED, "shared keys");
    put(0, 4, 2);
    expect(SEV_LAUNCH_START, FW_INVALID_GUEST, "nobody's keys");
    for (unsigned off = 8; off < 36; off++) {
        if (off >= 20 && off < 24) {
            continue;
        }
        put(off, 1, 1);
        expect(SEV_LAUNCH_START, FW_INVALID_LEN, "half a session");
    }
    sev_guest(L_NONE, true);
    for (unsigned i = 0; i <= FW_MAX_GUESTS; i++) {
        expect(SEV_LAUNCH_START,
               i < FW_MAX_GUESTS ? FW_SUCCESS : FW_RESOURCE_LIMIT, "many");
    }

    /* ES guests below the minimum, others from it on */
    static const uint32_t asids[] = { 0, 1, MIN_SEV - 1, MIN_SEV, MAX_ASID,
                                      MAX_ASID + 1 };
    for (int es = 0; es < 2; es++) {
        for (unsigned i = 0; i < sizeof(asids) / sizeof(asids[0]); i++) {
            bool ok = es ? i == 1 || i == 2 : i == 3 || i == 4;

            sev_guest(L_NONE, true);
            put(4, 4, es << 2);
            expect(SEV_LAUNCH_START, FW_SUCCESS, "set-up");
            arg_handle();
            put(4, 4, asids[i]);
            expect(SEV_ACTIVATE, ok ? FW_SUCCESS : FW_INVALID_ASID, "asid");
        }
    }

    sev_guest(L_UPDATE_ACTIVE, true);
    static const struct { uint32_t off, len, want; } upd[] = {
        { 0, 0, FW_INVALID_LEN }, { 0, 17, FW_INVALID_LEN },
        { 8, 16, FW_INVALID_ADDRESS }, { 0, 4080, 0 },
    };
    for (unsigned i = 0; i < sizeof(upd) / sizeof(upd[0]); i++) {
        arg_handle();
        put(8, 8, TARGET + upd[i].off);
        put(16, 4, upd[i].len);
        expect(SEV_LAUNCH_UPDATE_DATA, upd[i].want, "operand");
    }
    arg_handle();
    put(8, 8, NOWHERE);
    put(16, 4, 16);
    expect(SEV_LAUNCH_UPDATE_DATA, FW_INVALID_ADDRESS, "nowhere");
    arg_handle();
    put(8, 8, TARGET);
    put(16, 4, 4080);
    expect(SEV_LAUNCH_UPDATE_VMSA, FW_INVALID_LEN, "VMSA length");
    arg_handle();
    put(8, 8, TARGET + 16);
    put(16, 4, 4096);
    expect(SEV_LAUNCH_UPDATE_VMSA, FW_INVALID_ADDRESS, "VMSA address");
    sev_guest(L_NONE, true);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "no ES");
    arg_handle();
    put(4, 4, MIN_SEV);
    expect(SEV_ACTIVATE, FW_SUCCESS, "no ES");
    arg_handle();
    put(8, 8, TARGET);
    put(16, 4, 4096);
    expect(SEV_LAUNCH_UPDATE_VMSA, FW_UNSUPPORTED, "VMSA without ES");

    /* lengths that are asked for */
    for (uint32_t len = 0; len < 64; len += 63) {
        sev_guest(L_UPDATE, true);
        put(0, 8, OUT);
        put(8, 4, len);
        expect(SEV_GET_ID, FW_INVALID_LEN, "length");
        CHECK(got(8, 4) == 64, "length");
    }
    put(0, 8, OUT);
    put(8, 4, 100);
    expect(SEV_GET_ID, FW_SUCCESS, "id");
    CHECK(got(8, 4) == 64 && mem[OUT] == 200 && mem[OUT + 63] == 137, "id");
    for (uint32_t len = 0; len < 48; len += 47) {
        sev_guest(L_UPDATE, true);
        arg_handle();
        put(16, 4, len);
        expect(SEV_LAUNCH_MEASURE, FW_INVALID_LEN, "length");
        CHECK(got(16, 4) == 48, "length");
    }

    /* what is answered may lie in two pages */
    set_page(OUT + 0x1000, RMP_FIRMWARE, 0, 0);
    put(0, 8, OUT + 0xff0);
    put(8, 4, 64);
    expect(SEV_GET_ID, FW_SUCCESS, "id across pages");
    for (int i = 0; i < 64; i++) {
        CHECK(mem[OUT + 0xff0 + i] == 200 - i, "byte %d", i);
    }
    memset(mem + OUT + 0xff0, 0, 64);
    arg_handle();
    put(8, 8, OUT + 0xff0);
    put(16, 4, 48);
    expect(SEV_LAUNCH_MEASURE, FW_SUCCESS, "measurement across pages");
    CHECK(!memcmp(mem + OUT + 0xff0, fw.sev_guests[0].measure, 32) &&
          le(mem + OUT + 0xff0 + 32, 8), "the measurement, and its nonce");
}

static void test_sev_measure(void)
{
    sev_guest(L_UPDATE_ACTIVE, true);
    for (int i = 0; i < 3; i++) {
        set_page(0x10000 + i * 0x1000, RMP_FIRMWARE, 0, 0);
        fill(0x10000 + i * 0x1000, 3 + i);
    }
    arg_handle();
    put(8, 8, 0x10010);
    put(16, 4, 8000);
    expect(SEV_LAUNCH_UPDATE_DATA, FW_SUCCESS, "data");
    fill(TARGET, 9);
    arg_handle();
    put(8, 8, TARGET);
    put(16, 4, 4096);
    expect(SEV_LAUNCH_UPDATE_VMSA, FW_SUCCESS, "VMSA");
    arg_measure();
    put(16, 4, 4096);
    random_at -= 48;    /* the TEK's and the memory's key, not in it */
    expect(SEV_LAUNCH_MEASURE, FW_SUCCESS, "measure");
    CHECK(!memcmp(mem + OUT, want_measure, 48), "measurement");
    CHECK(got(16, 4) == 48, "length");
    CHECK(fw.sev_measured == 8000 + 4096, "bytes counted");
}

static void test_sev_debug(void)
{
    static const struct { uint64_t src, dst; uint32_t len, want; } rows[] = {
        { OUT, TARGET, 0, FW_INVALID_LEN },
        { OUT, TARGET, 1, FW_INVALID_LEN },
        { OUT, TARGET, 24, FW_INVALID_LEN },
        { OUT, TARGET, 4095, FW_INVALID_LEN },
        { OUT + 1, TARGET, 16, FW_INVALID_ADDRESS },
        { OUT + 8, TARGET, 16, FW_INVALID_ADDRESS },
        { OUT, TARGET + 1, 16, FW_INVALID_ADDRESS },
        { OUT, TARGET + 8, 16, FW_INVALID_ADDRESS },
        { NOWHERE, TARGET, 16, FW_INVALID_ADDRESS },
        { OUT, NOWHERE, 16, FW_INVALID_ADDRESS },
        { MEM_SIZE - 16, TARGET, 32, FW_INVALID_ADDRESS },
        { OUT, MEM_SIZE - 16, 32, FW_INVALID_ADDRESS },
        { 0x7fffffffffff0ull, TARGET, 16, FW_INVALID_ADDRESS },
        /* a good one, and the C-bit in both addresses */
        { OUT, TARGET, 16, FW_SUCCESS },
        { OUT | 1ull << 51, TARGET | 1ull << 51, 16, FW_SUCCESS },
        /* over a page's end, and more than a page */
        { OUT + 0xff0, TARGET + 0x20, 32, FW_SUCCESS },
        { OUT + 0x10, TARGET + 0x20, 4096 + 16, FW_SUCCESS },
    };

    /* what it is through the guest's key: test-claim.c */
    in_the_clear = true;
    for (int enc = 0; enc < 2; enc++) {
        uint32_t cmd = enc ? SEV_DBG_ENCRYPT : SEV_DBG_DECRYPT;

        for (int snp = 0; snp < 2; snp++) {
            for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                uint64_t dst = rows[i].dst & ~(1ull << 51);
                uint64_t src = rows[i].src & ~(1ull << 51);

                /* the policy of sev_guest(): debugging allowed */
                sev_guest(L_RUNNING_ACTIVE, snp);
                set_page(TARGET + 0x1000, RMP_FIRMWARE, 0, 0);
                /* read, whoever's it is: the reader gets no more from it */
                set_page(OUT + 0x1000, RMP_HYPERVISOR, 0, 0);
                for (unsigned j = 0; j < 0x2000; j++) {
                    mem[OUT + j] = j * 7 + (j >> 8);
                }
                arg_handle();
                put(8, 8, rows[i].src);
                put(16, 8, rows[i].dst);
                put(24, 4, rows[i].len);
                expect(cmd, rows[i].want, "operand");
                if (rows[i].want) {
                    continue;
                }
                CHECK(!memcmp(mem + dst, mem + src, rows[i].len),
                      "content, row %u", i);
                /* and nothing beside it */
                memcpy(old_mem + dst, mem + src, rows[i].len);
                CHECK(unchanged(), "row %u", i);
            }
        }
        /* NODBG, with or without all else that makes a policy */
        for (unsigned policy = 0; policy < 0x40; policy++) {
            platform(0, true);
            init_sev(true);
            set_page(TARGET, RMP_FIRMWARE, 0, 0);
            put(4, 4, policy);
            expect(SEV_LAUNCH_START, FW_SUCCESS, "set-up");
            arg_handle();
            put(4, 4, policy & 4 ? 3 : MIN_SEV);
            expect(SEV_ACTIVATE, FW_SUCCESS, "set-up");
            arg_measure();
            expect(SEV_LAUNCH_MEASURE, FW_SUCCESS, "set-up");
            arg_handle();
            expect(SEV_LAUNCH_FINISH, FW_SUCCESS, "set-up");
            arg_handle();
            put(8, 8, OUT);
            put(16, 8, TARGET);
            put(24, 4, 16);
            expect(cmd, policy & 1 ? FW_POLICY_FAILURE : FW_SUCCESS, "policy");
        }
    }
    in_the_clear = false;
}

/* FIPS 180-4 and RFC 4231 */
static void test_sha2(void)
{
    static const uint8_t abc384[8] = {
        0xcb, 0x00, 0x75, 0x3f, 0x45, 0xa3, 0x5e, 0x8b
    };
    static const uint8_t abc256[8] = {
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea
    };
    static const uint8_t jefe[8] = {
        0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e
    };
    uint8_t out[48];
    Sha256 s;

    sha384("abc", 3, out);
    CHECK(!memcmp(out, abc384, 8), "SHA-384");
    sha256_init(&s);
    sha256_add(&s, "ab", 2);
    sha256_add(&s, "c", 1);
    sha256_final(&s, out);
    CHECK(!memcmp(out, abc256, 8), "SHA-256");
    hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out);
    CHECK(!memcmp(out, jefe, 8), "HMAC");
}

/* ---- anything at all ---- */

#define FUZZ_ROUNDS 200000

static uint64_t fuzz_seed = 0x9e3779b97f4a7c15ull;

static uint64_t rnd(void)
{
    fuzz_seed ^= fuzz_seed << 13;
    fuzz_seed ^= fuzz_seed >> 7;
    fuzz_seed ^= fuzz_seed << 17;
    return fuzz_seed;
}

static uint64_t rnd_addr(void)
{
    static const uint64_t likely[] = {
        CMDBUF, OUT, GCTX, GCTX2, TARGET, LIST, EVTLOG, TMR, LARGE, RMP_AT,
        MEM_SIZE - 0x1000, MEM_SIZE, NOWHERE, 0, ~0ull, 1ull << 51,
    };
    uint64_t a = likely[rnd() % 16];

    switch (rnd() % 8) {
    case 0:
        return rnd();
    case 1:
        return rnd() % MEM_SIZE;
    case 2:
        return a + rnd() % 4096;
    case 3:
        return a | 1;
    default:
        return a;
    }
}

/*
 * Random commands with half-plausible buffers. No sanitizer report, no write
 * to a page that is not the firmware's (run() checks), and a refused command
 * leaves all entries of the RMP alone.
 */
static void test_fuzz(void)
{
    static const uint16_t ids[] = {
        0x001, 0x002, 0x004, 0x00a, 0x00c, 0x00d, 0x020, 0x021, 0x022, 0x023,
        0x030,
        0x031, 0x032, 0x033, 0x035, 0x060, 0x061, 0x083, 0x084, 0x085, 0x086,
        0x090, 0x091, 0x092, 0x093, 0x093, 0x0a0, 0x0a0, 0x0a1, 0x0a1, 0x0a2,
        0x0b0, 0x0b1, 0x0c0, 0x0c1, 0x0c2, 0x0c3, 0x0c6, 0x0c7, 0x0c8, 0x0c9,
        0x0cb, 0x0ce, 0x0a1,
    };
    const unsigned nids = sizeof(ids) / sizeof(ids[0]);
    unsigned long by_status[64] = { 0 };
    unsigned kinds = 0;

    power_on();
    for (unsigned i = 0; i < FUZZ_ROUNDS; i++) {
        uint32_t cmd = ids[rnd() % nids], ret;
        bool check = !(i % 16);

        /* commands that end it all come seldom, so that states are reached */
        while ((cmd == SEV_SHUTDOWN || cmd == SNP_SHUTDOWN_EX ||
                cmd == SNP_DECOMMISSION) && rnd() % 32) {
            cmd = ids[rnd() % nids];
        }

        wbinvd_done |= !(rnd() % 4);
        cpus_ready = rnd() % 8;
        /* the host changes pages, as far as RMPUPDATE lets it */
        for (int j = 0; fw.snp_inited && j < 3; j++) {
            RmpUpdate u = {
                .assigned = rnd() % 4 != 0, .pagesize = rnd() % 16 == 0,
                .immutable = rnd() & 1, .asid = rnd() & 3,
                .gpa = rnd() & 0xff000,
            };

            rmp_update(&rmp, rnd_addr() & ~0xfffull, &u);
        }
        for (unsigned j = 0; j < 64; j += 8) {
            put(j, 8, rnd() % 4 ? 0 : rnd() % 2 ? rnd() : rnd() % 16);
        }
        switch (rnd() % 4) {
        case 0:
            break;
        case 1:
            put(0, 4, rnd() % 4);
            put(8, 8, rnd_addr());
            put(16, 4, rnd() % 8192);
            break;
        default:
            put(0, 8, rnd() % 4 ? GCTX : rnd_addr());
            put(8, 8, rnd() % 2 ? 0x30000 : rnd() % 16);
            put(16, 8, rnd_addr());
            break;
        }
        if (cmd == SNP_LAUNCH_START && rnd() % 2) {
            memset(cb + 16, 0, 48);
        }
        if (cmd == SNP_LAUNCH_UPDATE && rnd() % 2) {
            put(8, 8, rnd() % 16);
            put(24, 8, 0);
        }
        if (cmd == SNP_INIT_EX || cmd == SEV_INIT) {
            put(0, 8, rnd() % 4);
            put(8, 8, rnd() % 2 ? LIST : TMR);
            put(16, 4, cmd == SEV_INIT ? 0x200000 : 0);
        }
        if (rnd() % 4096 == 0) {
            snp_fw_reset(&fw);
        }
        if (check) {
            snap();
        }
        ret = run(cmd);
        by_status[ret & 63]++;
        if (check && ret) {
            CHECK(!memcmp(old_mem + RMP_AT, mem + RMP_AT, MEM_SIZE - RMP_AT),
                  "%s: %s", snp_fw_command_name(cmd),
                  snp_fw_status_name(ret));
        }
    }
    for (int i = 0; i < 64; i++) {
        if (by_status[i]) {
            kinds++;
        }
    }
    CHECK(by_status[0] > 1000, "%lu successes", by_status[0]);
    CHECK(kinds >= 15, "%u kinds of status", kinds);
}

int main(void)
{
    static const KtapCase cases[] = {
        { "fw: command x platform state", test_platform_states },
        { "fw: each command's guest states and ASID", test_guest_columns },
        { "fw: command buffers", test_command_buffer },
        { "fw: SNP command x guest state", test_guest_states },
        { "fw: guest contexts", test_guest_context },
        { "fw: LAUNCH_START's operand", test_launch_start_operand },
        { "fw: ASIDs", test_activate_asid },
        { "fw: LAUNCH_UPDATE's operand", test_launch_update_operand },
        { "fw: launch digest and page contents", test_launch_digest },
        { "fw: LAUNCH_FINISH's operand", test_launch_finish_operand },
        { "fw: PAGE_RECLAIM", test_reclaim },
        { "fw: outputs x page state", test_outputs },
        { "fw: SNP_INIT_EX", test_init_ex },
        { "fw: a segmented RMP with a hole", test_hole },
        { "fw: shutdown and reset", test_shutdown },
        { "fw: platform status, configuration", test_platform_status },
        { "fw: what is committed", test_commit },
        { "fw: aliases", test_alias },
        { "fw: the RMP is made alone", test_alone },
        { "fw: SEV command x guest state", test_sev_guest_states },
        { "fw: INIT", test_sev_init },
        { "fw: SEV operands", test_sev_operands },
        { "fw: SEV measurement", test_sev_measure },
        { "fw: SEV debugging", test_sev_debug },
        { "fw: SHA-2", test_sha2 },
        { "fw: random commands", test_fuzz },
    };

    return ktap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
