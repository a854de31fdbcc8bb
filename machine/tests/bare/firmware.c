/*
 * Every state of a page x what the firmware is asked to do with it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SNP firmware ABI (56860). Where more than one thing is wrong with a command,
 * any of the statuses that say so is right: this suite has no opinion on which
 * comes first. Nothing changes then.
 */
#include "product.h"
#include "told.h"

enum {
    ST_GUEST_STATE = 0x02, ST_ADDRESS = 0x09, ST_GUEST = 0x10, ST_PARAM = 0x16,
    ST_PAGE_SIZE = 0x19, ST_PAGE_STATE = 0x1a, ST_OWNER = 0x1c,
};

/* Statuses that are right; bit 0 is success, which has to be the only one. */
static uint64_t right;

static void may_be(bool wrong, unsigned status)
{
    if (wrong) {
        right |= 1ul << status;
    }
}

static void judge(const char *what, unsigned arg, uint32_t status)
{
    bool changed, same, kept = true;

    if (!right) {
        right = 1;
    }
    changed = region_changed();
    same = window_check();
    if (status) {
        kept = told_same();
    }
    if (cell(same && kept && status < 64 && (right >> status & 1))) {
        now_name();
        print(": %s %x: status %x, right are those of %lx\n", what, arg,
              status, right);
    }
    right = 0;
    if (changed || !same || now.state == CONTEXT) {
        now_again();
    }
    if (changed || !same || now.state == CONTEXT || !status) {
        told_again();
    }
}

/* An entry as the table has it, of the page or of the region */
static Entry entry(uint64_t spa, bool *size_2m)
{
    return entry_of(spa, size_2m);
}

static bool beyond(uint64_t spa)
{
    return spa >= platform.covered;
}

/* Is it one of the pages that the host gave to the firmware? */
static bool is_firmware(uint64_t spa)
{
    bool size_2m;
    Entry e = entry(spa, &size_2m);

    return now.state != RMP_TABLE && e.assigned && e.immutable && !e.asid &&
           !e.vmsa && !e.gpa;
}

static const uint64_t ask[] = { 0, 1 };     /* 4K, 2M */

static void try_reclaim(uint64_t spa)
{
    for (unsigned size = 0; size < ARRAY_SIZE(ask); size++) {
        uint32_t status = fw_page(CMD_RECLAIM, spa | ask[size]);
        bool size_2m;
        Entry e = entry(spa, &size_2m), to = { .assigned = true };

        /* FW-RECLAIM-ADDRESS, -STATE, -PRIVATE, -SIZE */
        may_be(beyond(spa) || spa % (size ? SIZE_2M : PAGE), ST_ADDRESS);
        may_be(now.state == RMP_TABLE || !e.assigned ||
               (!e.immutable && e.asid) || (!e.asid && e.immutable && e.vmsa),
               ST_PAGE_STATE);
        may_be(e.assigned && size_2m != size, ST_PAGE_SIZE);
        if (!right) {
            model_set(spa, &to, size_2m);
        }
        judge("SNP_PAGE_RECLAIM", size, status);
    }
}

/* RMP-2M-BROKEN: a page of a 2M entry; the other 511 are as they were */
static void one_of(bool size_2m, const Entry *to)
{
    if (size_2m) {
        model_break(now.spa);
    }
    model_set(now.spa, to, false);
}

/* Commands that write a page, of which they know the address only */
static void try_output(void)
{
    bool size_2m;
    Entry context = { .assigned = true, .immutable = true, .vmsa = true };
    Entry reclaim = { .assigned = true };
    uint32_t status;

    entry(now.spa, &size_2m);
    status = fw_page(CMD_GCTX_CREATE, now.spa);
    /* FW-GCTX-CREATE-STATE */
    may_be(beyond(now.spa), ST_ADDRESS);
    may_be(!is_firmware(now.spa), ST_PAGE_STATE);
    if (!right) {
        one_of(size_2m, &context);
    }
    judge("SNP_GCTX_CREATE", 0, status);

    entry(now.spa, &size_2m);
    status = fw_page(CMD_PLATFORM_STATUS, now.spa);
    /* FW-OUTPUT-STATE, FW-STATUS-RECLAIM */
    may_be(beyond(now.spa), ST_ADDRESS);
    may_be(!is_firmware(now.spa), ST_PAGE_STATE);
    if (!right) {
        one_of(size_2m, &reclaim);
    }
    judge("SNP_PLATFORM_STATUS", 0, status);
}

/* Commands that take the page for a guest's context */
static void try_context(void)
{
    bool context = now.state == CONTEXT;
    Entry firmware = { .assigned = true, .immutable = true };
    uint32_t status;

    /* FW-GCTX */
    status = fw_launch_start(now.spa);
    may_be(beyond(now.spa), ST_ADDRESS);
    may_be(!context, ST_GUEST);
    judge("SNP_LAUNCH_START", 0, status);

    status = fw_activate(now.spa, 9);
    may_be(beyond(now.spa), ST_ADDRESS);
    may_be(!context, ST_GUEST);
    /* FW-ACTIVATE-STATE */
    may_be(context, ST_GUEST_STATE);
    judge("SNP_ACTIVATE", 0, status);

    status = fw_launch_update(now.spa, now.spa, false, TYPE_NORMAL, 0);
    may_be(beyond(now.spa), ST_ADDRESS);
    may_be(!context, ST_GUEST);
    may_be(context, ST_GUEST_STATE);
    may_be(context, ST_PAGE_STATE);
    judge("SNP_LAUNCH_UPDATE of itself", 0, status);

    status = fw_page(CMD_DECOMMISSION, now.spa);
    may_be(beyond(now.spa), ST_ADDRESS);
    may_be(!context, ST_GUEST);
    if (!right) {
        model_set(now.spa, &firmware, false);
    }
    judge("SNP_DECOMMISSION", 0, status);
}

static void one_update(uint64_t spa, unsigned guest, bool size, unsigned type)
{
    uint32_t status = fw_launch_update(KEEP_PAGE(KEEP_GCTX + guest), spa, size,
                                       type, 0);
    bool size_2m, pre_guest;
    Entry e = entry(spa, &size_2m);

    pre_guest = e.assigned && e.immutable && e.asid && !e.validated;
    /* FW-UPDATE-TYPE, -ADDRESS, -PAGE-STATE, -OWNER, -SIZE */
    may_be(type < 1 || type > 6, ST_PARAM);
    may_be(beyond(spa) || spa % (size ? SIZE_2M : PAGE), ST_ADDRESS);
    may_be(!pre_guest, ST_PAGE_STATE);
    may_be(pre_guest && e.asid != asid_of[guest], ST_OWNER);
    may_be(size_2m != size || (size && (type == 2 || type > 4)),
           ST_PAGE_SIZE);
    /* FW-UPDATE-CPUID: there are no entries in it */
    may_be(type == 6, ST_PARAM);
    if (!right) {
        e.immutable = false;
        e.validated = true;
        e.vmsa = type == TYPE_VMSA;
        model_set(spa, &e, size_2m);
    }
    judge(guest ? "SNP_LAUNCH_UPDATE for another, type"
                : "SNP_LAUNCH_UPDATE, type", type, status);
}

static void one_state(void)
{
    uint64_t base = now.spa & ~(SIZE_2M - 1);

    told_again();
    try_reclaim(now.spa);
    try_reclaim(base);
    try_output();
    try_context();
    for (unsigned guest = 0; guest < 2; guest++) {
        for (unsigned type = 0; type < 8; type++) {
            one_update(now.spa, guest, false, type);
            one_update(now.spa, guest, true, type);
            one_update(base, guest, true, type);
        }
    }
}

void suite_firmware(void)
{
    ktap_plan(1 + NSTATES);
    window_init();
    told_init();
    every_state(one_state, NSPOTS, "the firmware");
}
