/*
 * Every state of a page x what else the firmware is asked to do with it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SNP firmware ABI (56860); buffers are as machine/FIRMWARE.md has them, some
 * of them since no source does. firmware.c has the commands that make the
 * states; here are the others, in each place of theirs where a page can stand.
 * Where more than one thing is wrong any of the statuses that say so is right.
 */
#include "product.h"
#include "told.h"

enum {
    ST_GUEST_STATE = 0x02, ST_POLICY = 0x07, ST_INACTIVE = 0x08,
    ST_ADDRESS = 0x09, ST_SIGNATURE = 0x0a, ST_MEASUREMENT = 0x0b,
    ST_GUEST = 0x10, ST_PARAM = 0x16, ST_PAGE_SIZE = 0x19,
    ST_PAGE_STATE = 0x1a, ST_MDATA_ENTRY = 0x1b, ST_OWNER = 0x1c,
};
#define ONE(status)   (1ul << (status))

enum {
    CMD_SEV_STATUS = 0x004, CMD_GUEST_STATUS = 0x092, CMD_REQUEST = 0x094,
    CMD_ACTIVATE_EX = 0x095, CMD_LAUNCH_FINISH = 0x0a2,
    CMD_DBG_DECRYPT = 0x0b0, CMD_DBG_ENCRYPT = 0x0b1, CMD_MITIGATION = 0x0b2,
    CMD_SWAP_IN = 0x0c1, CMD_MOVE = 0x0c2, CMD_SET_STATE = 0x0c6,
    CMD_UNSMASH = 0x0c8, CMD_DOWNLOAD_EX = 0x0ca, CMD_VLEK_LOAD = 0x0cd,
    CMD_FEATURE_INFO = 0x0ce,
};

#define DEBUGGED      10u               /* the ASID of this suite's own guest */
#define POLICY_DEBUG  (1ul << 19 | 3ul << 16)
enum {
    KEEP_DEBUGGED = 80, KEEP_OUTPUT, KEEP_OTHER_MDATA, KEEP_PRE_GUEST,
    KEEP_MOVED,
};

static const Update to_firmware = { .assigned = 1, .immutable = 1 };
static const Update to_free = { .assigned = 0 };
static const Entry firmware = { .assigned = true, .immutable = true };

/* ---- what has to come of it ---- */

static uint64_t right;                  /* statuses; none: success */

static void may_be(bool wrong, unsigned status)
{
    if (wrong) {
        right |= ONE(status);
    }
}

static Entry entry(bool *size_2m)
{
    return entry_of(now.spa, size_2m);
}

static bool beyond(void)
{
    return now.spa >= platform.covered;
}

static bool is_firmware(void)
{
    bool size_2m;
    Entry e = entry(&size_2m);

    return now.state != RMP_TABLE && e.assigned && e.immutable && !e.asid &&
           !e.vmsa && !e.gpa;
}

static bool is_pre_guest(void)
{
    bool size_2m;
    Entry e = entry(&size_2m);

    return e.assigned && e.immutable && e.asid && !e.validated;
}

static bool is_guests(void)
{
    bool size_2m;

    return entry(&size_2m).asid != 0;
}

static bool is_2m(void)
{
    bool size_2m;

    entry(&size_2m);
    return size_2m;
}

/* Where success is right the model knows what that changes. */
static void judge(const char *what, uint32_t status)
{
    bool changed = region_changed(), same = window_check();
    bool kept = !status || told_same();

    if (cell(same && kept && status < 64 &&
             ((right ? right : 1) >> status & 1))) {
        now_name();
        print(": %s: status %x, right are those of %lx\n", what, status,
              right ? right : 1);
    }
    right = 0;
    if (changed || !same || now.state == CONTEXT) {
        now_again();
    }
    if (changed || !same || now.state == CONTEXT || !status) {
        told_again();
    }
}

/* RMP-2M-BROKEN: a page of a 2M entry; the other 511 are as they were */
static void one_of(const Entry *to)
{
    if (is_2m()) {
        model_break(now.spa);
    }
    model_set(now.spa, to, false);
}

/* ---- as context ---- */

static void try_contexts(void)
{
    const uint64_t p = now.spa, out = KEEP_PAGE(KEEP_OUTPUT);
    const uint64_t other = KEEP_PAGE(KEEP_PRE_GUEST);
    /* in_context: what a guest that was not launched gets */
    const struct {
        const char *name;
        unsigned cmd, len;
        uint64_t w[8], in_context;
    } rows[] = {
        { "SNP_LAUNCH_FINISH of it", CMD_LAUNCH_FINISH, 64, { p },
          ONE(ST_GUEST_STATE) },
        { "SNP_GUEST_STATUS of it", CMD_GUEST_STATUS, 16, { p, out }, 0 },
        { "SNP_GUEST_REQUEST by it", CMD_REQUEST, 24, { p, 0x1000, out },
          ONE(ST_GUEST_STATE) },
        { "SNP_ACTIVATE_EX of it", CMD_ACTIVATE_EX, 32,
          { 32, p, 11 | 1ul << 32, 0x1000 }, ONE(ST_GUEST_STATE) },
        { "SNP_DBG_DECRYPT for it", CMD_DBG_DECRYPT, 24, { p, other, out },
          ONE(ST_GUEST_STATE) | ONE(ST_INACTIVE) | ONE(ST_POLICY) },
        { "SNP_DBG_ENCRYPT for it", CMD_DBG_ENCRYPT, 24, { p, out, other },
          ONE(ST_GUEST_STATE) | ONE(ST_INACTIVE) | ONE(ST_POLICY) },
        { "SNP_PAGE_SWAP_OUT for it", CMD_SWAP_OUT, 48,
          { p, other, out, KEEP_PAGE(KEEP_OTHER_MDATA) },
          ONE(ST_GUEST_STATE) | ONE(ST_INACTIVE) },
        { "SNP_PAGE_SWAP_IN for it", CMD_SWAP_IN, 40,
          { p, out, other, KEEP_PAGE(KEEP_OTHER_MDATA) },
          ONE(ST_GUEST_STATE) | ONE(ST_INACTIVE) },
        { "SNP_PAGE_MOVE for it", CMD_MOVE, 32, { p, 0, other, out },
          ONE(ST_GUEST_STATE) | ONE(ST_INACTIVE) },
        { "SNP_PAGE_MD_INIT of itself", CMD_MD_INIT, 16, { p, p },
          ONE(ST_PAGE_STATE) },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t status = psp(rows[i].cmd, rows[i].w, rows[i].len);

        /* FW-GCTX */
        may_be(beyond(), ST_ADDRESS);
        may_be(now.state != CONTEXT, ST_GUEST);
        if (now.state == CONTEXT) {
            right = rows[i].in_context;
        }
        judge(rows[i].name, status);
    }
}

/* ---- written to ---- */

static void written(const char *what, uint32_t status, uint64_t also)
{
    /* FW-OUTPUT-ADDRESS, FW-OUTPUT-STATE */
    may_be(beyond(), ST_ADDRESS);
    may_be(!is_firmware(), ST_PAGE_STATE);
    right |= also;
    judge(what, status);
}

static void try_outputs(void)
{
    const uint64_t p = now.spa, gctx = KEEP_PAGE(KEEP_GCTX);
    const uint64_t debugged = KEEP_PAGE(KEEP_DEBUGGED);
    const uint64_t source = KEEP_PAGE(KEEP_PRE_GUEST);
    const uint64_t status_of[2] = { gctx, p };
    const uint64_t mitigation[8] = { 64, 0, 1, 0, p };   /* with result */
    const uint64_t features[2] = { 16, p };
    const uint64_t decrypt[3] = { debugged, source, p };
    const uint64_t request[3] = { debugged, 0x1000, p };
    const uint64_t mdata[2] = { gctx, p };
    Entry meta = { .assigned = true, .immutable = true, .gpa = gctx };
    uint32_t status;

    written("SNP_GUEST_STATUS", psp(CMD_GUEST_STATUS, status_of, 16), 0);
    written("SNP_VERIFY_MITIGATION", psp(CMD_MITIGATION, mitigation, 64), 0);
    written("SNP_FEATURE_INFO", psp(CMD_FEATURE_INFO, features, 16), 0);
    written("SNP_DBG_DECRYPT, to", psp(CMD_DBG_DECRYPT, decrypt, 24), 0);
    /* its request is no message */
    written("SNP_GUEST_REQUEST, response", psp(CMD_REQUEST, request, 24),
            ONE(ST_PARAM));
    written("PLATFORM_STATUS", psp_at(CMD_SEV_STATUS, p), 0);

    status = psp(CMD_MD_INIT, mdata, sizeof(mdata));
    may_be(beyond(), ST_ADDRESS);
    may_be(!is_firmware(), ST_PAGE_STATE);
    if (!right) {
        one_of(&meta);
    }
    judge("SNP_PAGE_MD_INIT", status);
}

/* ---- read ---- */

static void try_inputs(void)
{
    const uint64_t p = now.spa;
    const uint64_t encrypt[3] = { KEEP_PAGE(KEEP_DEBUGGED), p,
                                  KEEP_PAGE(KEEP_PRE_GUEST) };
    const uint64_t request[3] = { KEEP_PAGE(KEEP_DEBUGGED), p,
                                  KEEP_PAGE(KEEP_OUTPUT) };
    const uint64_t id[8] = { KEEP_PAGE(KEEP_GCTX), p, p, 1 };
    const uint64_t vlek[2] = { 16, p };
    const uint64_t image[3] = { 24, p, 160 };
    const struct {
        const char *name;
        unsigned cmd, len;
        const uint64_t *w;
        uint64_t says;          /* of what is in the page; 0: it is taken */
    } rows[] = {
        { "SNP_DBG_ENCRYPT, from", CMD_DBG_ENCRYPT, 24, encrypt, 0 },
        { "SNP_GUEST_REQUEST, request", CMD_REQUEST, 24, request,
          ONE(ST_PARAM) | ONE(ST_MEASUREMENT) },
        { "SNP_LAUNCH_FINISH, ID block", CMD_LAUNCH_FINISH, 64, id,
          ONE(ST_PARAM) | ONE(ST_SIGNATURE) },
        { "SNP_VLEK_LOAD", CMD_VLEK_LOAD, 16, vlek,
          ONE(ST_PARAM) | ONE(ST_MEASUREMENT) },
        { "SNP_DOWNLOAD_FIRMWARE_EX", CMD_DOWNLOAD_EX, 24, image,
          ONE(ST_SIGNATURE) },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t status = psp(rows[i].cmd, rows[i].w, rows[i].len);

        /* anything that is memory can be read */
        right = beyond() ? ONE(ST_ADDRESS) : rows[i].says;
        judge(rows[i].name, status);
    }
}

/* ---- as a guest's page ---- */

static void free_kept(unsigned n, bool reclaim)
{
    Entry to = { .assigned = true };

    if (reclaim) {
        if (fw_page(CMD_RECLAIM, KEEP_PAGE(n)) != FW_OK) {
            bail("a page that was moved cannot be reclaimed");
        }
        model_set(KEEP_PAGE(n), &to, false);
    }
    do_update(KEEP_PAGE(n), &to_free);
    window_check();
}

/* The page to or from another of the same guest, at the same address there */
static void try_move(bool from)
{
    const uint64_t p = now.spa, kept = KEEP_PAGE(KEEP_MOVED);
    const uint64_t move[4] = { KEEP_PAGE(KEEP_GCTX), 0, from ? p : kept,
                               from ? kept : p };
    Update pre = { .assigned = 1, .immutable = 1, .asid = asid_of[OWNER],
                   .gpa = GPA_BASE + spots[now.spot] * PAGE };
    Entry to = { .assigned = true, .asid = pre.asid, .gpa = pre.gpa };
    bool done;
    uint32_t status;

    do_update(kept, &pre);
    window_check();
    status = psp(CMD_MOVE, move, sizeof(move));
    /* FW-MOVE-ADDRESS, -STATE, -OWNER, -SIZE */
    may_be(beyond(), ST_ADDRESS);
    may_be(!is_pre_guest(), ST_PAGE_STATE);
    may_be(!is_guests(), ST_OWNER);
    may_be(is_2m(), ST_PAGE_SIZE);
    done = !right;
    if (done) {
        model_set(from ? p : kept, &firmware, false);
        model_set(from ? kept : p, &to, false);
    }
    judge(from ? "SNP_PAGE_MOVE, from" : "SNP_PAGE_MOVE, to", status);
    free_kept(KEEP_MOVED, !done || !from);
}

static void try_unsmash(uint64_t spa, const char *what)
{
    uint32_t status = fw_page(CMD_UNSMASH, spa);

    /* FW-UNSMASH-ADDRESS, -SIZE, -STATE: the pages around it are others */
    may_be(beyond() || spa % SIZE_2M, ST_ADDRESS);
    may_be(is_2m(), ST_PAGE_SIZE);
    may_be(!is_2m() || !is_pre_guest(), ST_PAGE_STATE);
    judge(what, status);
}

static void try_set_state(void)
{
    static struct {
        uint32_t n, rsvd;
        uint64_t base;
        uint32_t pages, more;
    } list __attribute__((aligned(4096)));
    const uint64_t c[2] = { 16, (uint64_t)&list };
    bool size_2m;

    if (now.state == HYPERVISOR) {
        impossible("it would be HV-fixed from then on (FW-SHUTDOWN-HV-FIXED)");
        return;
    }
    list.n = 1;
    list.base = now.spa;
    list.pages = 1;
    /* FW-SET-STATE-STATE; a page without entry is HV-fixed as it is */
    may_be(!beyond() && entry(&size_2m).assigned, ST_PAGE_STATE);
    judge("SNP_PAGE_SET_STATE", psp(CMD_SET_STATE, c, sizeof(c)));
}

static void try_page(void)
{
    const uint64_t p = now.spa, out = KEEP_PAGE(KEEP_OUTPUT);
    const uint64_t debugged = KEEP_PAGE(KEEP_DEBUGGED);
    const uint64_t other = KEEP_PAGE(KEEP_GCTX_OTHER);
    const uint64_t mdata = KEEP_PAGE(KEEP_OTHER_MDATA);
    const uint64_t decrypt[3] = { debugged, p, out };
    const uint64_t encrypt[3] = { debugged, KEEP_PAGE(KEEP_PRE_GUEST), p };
    const uint64_t swap_out[6] = { other, p, out, mdata };
    const uint64_t swap_in[5] = { other, out, p, mdata };
    uint32_t status;

    status = psp(CMD_DBG_DECRYPT, decrypt, sizeof(decrypt));
    /* FW-DBG-ADDRESS, -SOURCE, -OWNER: it is another guest's */
    may_be(beyond(), ST_ADDRESS);
    may_be(!is_guests(), ST_PAGE_STATE);
    may_be(is_guests(), ST_OWNER);
    judge("SNP_DBG_DECRYPT, from", status);

    status = psp(CMD_DBG_ENCRYPT, encrypt, sizeof(encrypt));
    /* FW-DBG-TARGET */
    may_be(beyond(), ST_ADDRESS);
    may_be(!is_pre_guest(), ST_PAGE_STATE);
    may_be(is_guests(), ST_OWNER);
    judge("SNP_DBG_ENCRYPT, to", status);

    status = psp(CMD_SWAP_OUT, swap_out, sizeof(swap_out));
    /* FW-SWAP-ADDRESS, FW-SWAP-OUT-STATE, -OWNER, -SIZE */
    may_be(beyond(), ST_ADDRESS);
    may_be(!is_pre_guest(), ST_PAGE_STATE);
    may_be(is_guests(), ST_OWNER);
    may_be(is_2m(), ST_PAGE_SIZE);
    judge("SNP_PAGE_SWAP_OUT for another", status);

    status = psp(CMD_SWAP_IN, swap_in, sizeof(swap_in));
    /* FW-SWAP-IN-ENTRY: nothing was swapped out; -STATE, -OWNER, -SIZE */
    may_be(true, ST_MDATA_ENTRY);
    may_be(beyond(), ST_ADDRESS);
    may_be(!is_pre_guest(), ST_PAGE_STATE);
    may_be(is_guests(), ST_OWNER);
    may_be(is_2m(), ST_PAGE_SIZE);
    judge("SNP_PAGE_SWAP_IN for another", status);

    try_move(true);
    try_move(false);
    try_unsmash(now.spa, "SNP_PAGE_UNSMASH of the page");
    try_unsmash(now.spa & ~(SIZE_2M - 1), "SNP_PAGE_UNSMASH of its region");
    try_set_state();
}

static void one_state(void)
{
    told_again();
    try_contexts();
    try_outputs();
    try_inputs();
    try_page();
}

/* ---- what is kept ---- */

static void need(unsigned cmd, const void *c, size_t len, const char *what)
{
    uint32_t status = psp(cmd, c, len);

    if (status != FW_OK) {
        print("# %s: status %x\n", what, status);
        bail("a firmware command fails");
    }
}

/* A guest that runs and may be debugged, a page of its own, two for output */
static void keep(void)
{
    const uint64_t gctx = KEEP_PAGE(KEEP_DEBUGGED);
    const uint64_t start[6] = { gctx, POLICY_DEBUG }, finish[8] = { gctx };
    const uint64_t mdata[2] = { KEEP_PAGE(KEEP_GCTX_OTHER),
                                KEEP_PAGE(KEEP_OTHER_MDATA) };
    const Update pre = { .assigned = 1, .immutable = 1, .asid = DEBUGGED,
                         .gpa = GPA_BASE };
    Entry context = { .assigned = true, .immutable = true, .vmsa = true };
    Entry meta = { .assigned = true, .immutable = true, .gpa = mdata[0] };

    do_update(gctx, &to_firmware);
    need(CMD_GCTX_CREATE, &gctx, sizeof(gctx), "SNP_GCTX_CREATE");
    model_set(gctx, &context, false);
    need(CMD_LAUNCH_START, start, sizeof(start), "SNP_LAUNCH_START");
    if (fw_activate(gctx, DEBUGGED) != FW_OK) {
        bail("a guest cannot be activated");
    }
    need(CMD_LAUNCH_FINISH, finish, sizeof(finish), "SNP_LAUNCH_FINISH");
    do_update(KEEP_PAGE(KEEP_OUTPUT), &to_firmware);
    do_update(KEEP_PAGE(KEEP_PRE_GUEST), &pre);
    do_update(mdata[1], &to_firmware);
    need(CMD_MD_INIT, mdata, sizeof(mdata), "SNP_PAGE_MD_INIT");
    model_set(mdata[1], &meta, false);
    if (!window_check()) {
        bail("what is kept is not as it should be");
    }
}

void suite_commands(void)
{
    ktap_plan(1 + NSTATES);
    window_init();
    keep();
    told_init();
    every_state(one_state, NSPOTS, "other commands of the firmware");
}
