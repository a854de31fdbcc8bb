/*
 * Fuzz target: commands of the secure processor, and RMP instructions
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The bytes are read as a sequence of steps that a hostile host and its guests
 * may take: commands with buffers made of what the table says they hold,
 * RMPUPDATE, PSMASH, PVALIDATE, RMPADJUST, writes to memory, resets. After
 * each step the platform must be in one of the states that there are.
 */
#include "../id-bench.h"
#include "../session-bench.h"
#include "../tio-bench.h"
#include "fuzz.h"

#define STEPS      64u
#define IOMMUS     2u
#define C_BIT      (1ull << 51)
#define SENT_POLICY 4u

static bool forged;         /* the host had the table written while it could */
static unsigned writes;     /* by the firmware */
static bool moving;         /* a SEV guest is, see begin() */
static SnpFwRange iommu[IOMMUS];

/* ---- the world, that counts ---- */

static bool count_write(void *o, uint64_t spa, const void *buf, size_t len)
{
    writes++;
    /* as long as the table is not in force a command may be sent to it, too */
    forged |= !fw.rmp_inited && spa + len > RMP_AT && spa < MEM_SIZE;
    return port_write(o, spa, buf, len);
}

static unsigned some_iommus(void *o, SnpFwRange *r, unsigned max)
{
    unsigned n = 0;

    (void)o;
    while (n < IOMMUS && n < max && iommu[n].npages) {
        r[n] = iommu[n];
        n++;
    }
    return n;
}

static void hook(void)
{
    fw.port.write = count_write;
    fw.port.iommu_buffers = some_iommus;
}

/* ---- what the bytes mean ---- */

static const uint64_t places[] = {
    CMDBUF, OUT, GCTX, GCTX2, TARGET, LIST, 0x7000, EVTLOG, EVTLOG + 0x1000,
    REQ, RSP, BLOCK, AUTH, 0x14000, 0x15000, 0x16000, 0, TMR, TMR + 0x1000,
    LARGE, LARGE + 0x1000, LARGE + 0x200000, RMP_AT, RMP_AT + 0x4000,
    MEM_SIZE - 0x1000, MEM_SIZE, MEM_SIZE - 0x200000, NOWHERE, 1ull << 50,
    1ull << 52, ~0xfffull, 0x100000,
};
#define NPLACES (sizeof(places) / sizeof(places[0]))

static uint64_t some_page(void)
{
    uint8_t b = fuzz_byte();

    return b < 0xe0 ? places[b % NPLACES]
                    : (fuzz_number(2) % (NPAGES + 16)) * 0x1000;
}

static uint64_t some_address(void)
{
    static const int16_t offsets[] = { 0, 1, 8, 16, 64, -8, -16, 0x40 };
    uint64_t page = some_page();
    uint8_t b = fuzz_byte();

    if (b < 0xc0) {
        return page | (b & 0x20 ? C_BIT : 0);
    }
    return b < 0xf0 ? page + offsets[b % 8] : page + fuzz_number(2);
}

static uint64_t some_number(unsigned bytes)
{
    static const uint64_t known[] = {
        0, 1, 2, 3, 4, 5, 8, 16, 36, 48, 64, 0x1000, 0x8000, 0x100000,
        0x200000, 0x30000, 0xb0000, 0x80000, 0xffffffff, ~0ull, 10, 12, 20,
        21, 6, 7, 24, 160, 0xe, 0x20, 2084, 0x2030000,
    };
    uint8_t b = fuzz_byte();

    return b < 0xe0 ? known[b % (sizeof(known) / sizeof(known[0]))]
                    : fuzz_number(bytes < 8 ? bytes : 8);
}

static RmpEntry entry_of(uint64_t spa)
{
    RmpEntry e;

    rmp_get(&rmp, spa, &e);
    return e;
}

/* Trusted I/O: mostly where the buffers are that begin() lays out */
static uint64_t some_tio(const char *name, uint8_t how)
{
    static const struct { const char *name; uint64_t at; } known[] = {
        { "context", TIO_LIST | 1 }, { "request", TIO_REQ },
        { "response", TIO_RSP }, { "scratch", TIO_SCRATCH },
        { "output", TIO_OUT_LIST | 1 },
    };

    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!strcmp(name, known[i].name) && how < 0xe0) {
            return known[i].at;
        }
    }
    return some_address() | (how & 3);
}

/* An answer to what a device is asked, good but for a byte at times */
static void some_answer(void)
{
    uint8_t b = fuzz_byte();
    unsigned step = b % TIO_STEPS;

    if (entry_of(TIO_RSP).assigned) {
        return;
    }
    tio_answer(tio_good[step].msg, tio_good[step].len);
    if (b >= 0xc0) {
        mem[TIO_RSP + fuzz_byte()] = fuzz_byte();
    }
}

/* A buffer as the row describes it; a field out of 32 or so is anything. */
static void some_buffer(const FwCommand *c)
{
    const char *p = c->layout;
    unsigned off, len;
    char name[32];
    int used;

    memset(cb, 0, sizeof(cb));
    while (p && sscanf(p, "%x %31s %u%n", &off, name, &len, &used) == 3) {
        uint8_t how;

        p += used;
        p += p[0] == ',';
        MUST(off + len <= sizeof(cb), "%s: %s", c->name, name);
        how = fuzz_byte();
        if (how >= 0xf8) {
            for (unsigned i = 0; i < len; i++) {
                cb[off + i] = fuzz_byte();
            }
        } else if (!strncmp(name, "rsvd", 4) || len > 8) {
            continue;
        } else if (c->tio && !strcmp(name, "length")) {
            put(off, len, how < 0xf0 ? c->len : some_number(len));
        } else if (c->tio && !strcmp(name, "tc_mask")) {
            put(off, len, 1);
        } else if (c->tio && !strcmp(name, "slot")) {
            put(off, len, how & 7);
        } else if (c->tio && len == 8) {
            put(off, len, some_tio(name, how));
        } else if (!strcmp(name, "gctx")) {
            put(off, len, how < 0xc0 ? GCTX : how < 0xe0 ? GCTX2
                                                       : some_address());
        } else if (len == 8 && how < 0xc0) {
            put(off, len, some_address());
        } else {
            put(off, len, some_number(len));
        }
    }
}

/* What a host gives that sends a guest to where the certificates are from */
static bool moving_buffer(uint32_t cmd)
{
    memset(cb, 0, sizeof(cb));
    switch (cmd) {
    case SEV_SEND_START:
        arg_send(SESSION);
        return true;
    case SEV_RECEIVE_START:
        arg_session(SENT_POLICY);
        put(8, 8, PDH);
        return true;
    case SEV_SEND_UPDATE_DATA:
    case SEV_RECEIVE_UPDATE_DATA:
        arg_secret(TARGET, 64);
        return true;
    case SEV_SEND_UPDATE_VMSA:
    case SEV_RECEIVE_UPDATE_VMSA:
        arg_secret(TARGET, 4096);
        return true;
    case SEV_PDH_CERT_EXPORT:
        arg_export();
        return true;
    }
    put(0, 4, 1);
    put(4, 4, 3);
    return cmd == SEV_ACTIVATE || cmd == SEV_DEACTIVATE ||
           cmd == SEV_DECOMMISSION || cmd == SEV_SEND_FINISH ||
           cmd == SEV_SEND_CANCEL || cmd == SEV_RECEIVE_FINISH ||
           cmd == SEV_GUEST_STATUS || cmd == SEV_DF_FLUSH;
}

/* ---- what must hold after each step ---- */

static void check_slot(uint64_t pfn, bool in_2m)
{
    RmpEntry e;

    rmp_get_raw(&rmp, pfn * 0x1000, &e);
    MUST(e.asid <= MAX_ASID, "page %lx: ASID %u", (long)pfn, e.asid);
    MUST(e.assigned || (!e.asid && !e.size_2m && !e.validated && !e.vmsa),
         "page %lx: what is nobody's is somebody's", (long)pfn);
    MUST(!e.size_2m || !(pfn % RMP_2M_PAGES), "page %lx: 2M", (long)pfn);
    MUST(!e.validated || e.asid, "page %lx: validated, and nobody's",
         (long)pfn);
    for (unsigned i = 0; i < RMP_VMPLS; i++) {
        MUST(!(e.perms[i] & ~RMP_PERM_ALL), "page %lx: rights of VMPL %u",
             (long)pfn, i);
    }
    if (in_2m && pfn % RMP_2M_PAGES) {
        MUST(e.assigned && !e.asid && !e.immutable && !e.gpa && !e.validated,
             "page %lx within 2M", (long)pfn);
    }
}

/* The table at the last check */
static uint8_t seen[NPAGES * RMP_ENTRY_SIZE];

static void check_table(void)
{
    static unsigned contexts;
    unsigned guests = 0, devices = 0;
    RmpEntry e;

    if (memcmp(seen, rmp.entries, sizeof(seen))) {
        memcpy(seen, rmp.entries, sizeof(seen));
        contexts = 0;
        for (uint64_t spa = 0; spa < MEM_SIZE; spa += 0x1000) {
            contexts += state_of(spa) == RMP_CONTEXT;
        }
        for (uint64_t spa = rmp.base; !forged && fw.rmp_inited &&
             spa < rmp.end; spa += 0x1000) {
            MUST(state_of(spa) == RMP_FIRMWARE, "the table's page %lx is %s",
                 (long)spa, rmp_state_name(state_of(spa)));
        }
        for (uint64_t pfn = 0; !forged && pfn < rmp.npages; pfn++) {
            rmp_get_raw(&rmp, pfn / RMP_2M_PAGES * RMP_2M_SIZE, &e);
            check_slot(pfn, e.size_2m);
        }
    }
    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        guests += fw.guests[i].used;
    }
    for (unsigned i = 0; i < FW_MAX_TIO_DEVS; i++) {
        devices += fw.tio_devs[i].used;
    }
    /* a reset leaves the table as it was, to be made anew */
    MUST(forged || !fw.rmp_inited ||
         contexts == guests + FW_TIO_CTX_PAGES * devices,
         "%u contexts, %u guests, %u devices", contexts, guests, devices);
}

static void check_guests(void)
{
    bool bound[FW_MAX_ASID + 1] = { false }, snp[FW_MAX_ASID + 1] = { false };
    unsigned nsev = 0;

    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        const SnpFwGuest *g = &fw.guests[i];
        const SevFwGuest *s = &fw.sev_guests[i];

        if (g->used) {
            MUST(fw.snp_inited && g->state <= SNP_GUEST_RUNNING &&
                 g->id && g->id < fw.next_id, "guest %u", i);
            MUST(forged || state_of(g->gctx) == RMP_CONTEXT,
                 "guest %u has no context", i);
            MUST(g->asid < MIN_SEV && !(g->asid && bound[g->asid]),
                 "guest %u: ASID %u", i, g->asid);
            bound[g->asid] = snp[g->asid] = true;
            for (unsigned j = 0; j < i; j++) {
                MUST(!fw.guests[j].used ||
                     (fw.guests[j].gctx != g->gctx &&
                      fw.guests[j].id != g->id), "guests %u and %u", i, j);
            }
        }
        if (s->used) {
            nsev++;
            MUST(s->state > SEV_GUEST_UNINIT &&
                 s->state <= SEV_GUEST_SENT, "SEV guest %u", i);
            MUST(s->asid <= MAX_ASID && !(s->asid && bound[s->asid]),
                 "SEV guest %u: ASID %u", i, s->asid);
            bound[s->asid] = true;
        }
    }
    MUST(view.hidden == fw.hidden_asids && fw.hidden_asids < MIN_SEV &&
         (fw.snp_inited || !fw.hidden_asids), "ASIDs to %u are hidden",
         fw.hidden_asids);
    for (unsigned i = 1; i <= FW_MAX_ASID; i++) {
        MUST(!snp[i] || !fw.hidden_asids || i <= fw.hidden_asids,
             "ASID %u has an SNP guest that is not hidden", i);
        MUST(!bound[i] || !fw.asid_dirty[i], "ASID %u bound and dirty", i);
        MUST(!snp[i] || view.key[i], "ASID %u has a guest and no key", i);
    }
    MUST((fw.sev_state == SEV_WORKING) == !!nsev && fw.niommu <= FW_MAX_IOMMU,
         "SEV state %u, %u guests", fw.sev_state, nsev);
}

static void check_devices(void)
{
    for (unsigned i = 0; i < FW_MAX_TIO_DEVS; i++) {
        const SnpFwTioDev *d = &fw.tio_devs[i];

        MUST(!d->used || (fw.snp_inited && fw.tio_inited && d->id &&
                          d->id < fw.next_id), "device %u", i);
        for (unsigned j = 0; d->used && j < FW_TIO_CTX_PAGES; j++) {
            MUST(forged || state_of(d->page[j]) == RMP_CONTEXT,
                 "device %u has no context", i);
        }
        MUST(d->state <= TIO_DEV_CONNECTING && d->step < TIO_STEPS &&
             (d->used || !d->state), "device %u, state %u", i, d->state);
        for (unsigned j = 0; d->used && j < i; j++) {
            MUST(!fw.tio_devs[j].used || fw.tio_devs[j].id != d->id,
                 "devices %u and %u", i, j);
        }
    }
    MUST(!fw.tio_inited || fw.tio_enabled, "initialised, and not enabled");
    MUST(!fw.tio_enabled || fw.snp_inited, "enabled, and there is no SNP");
}

static void check_all(void)
{
    check_devices();
    MUST(forged || !bad_writes, "written to a page that is not its own");
    MUST(!rmp.lock, "the lock is held");
    check_table();
    check_guests();
}

/* ---- steps ---- */

static uint8_t old_table[NPAGES * RMP_ENTRY_SIZE];

/* LEN fields, and storage of INIT_EX that begins anew */
static bool may_write(uint32_t cmd, uint32_t status)
{
    return (status == FW_INVALID_LEN &&
            (cmd == SEV_GET_ID || cmd == SEV_LAUNCH_MEASURE ||
             cmd == SEV_PEK_CSR || cmd == SEV_PDH_CERT_EXPORT ||
             cmd == SEV_ATTESTATION_REPORT || cmd == SEV_SEND_START ||
             cmd == SEV_SEND_UPDATE_DATA || cmd == SEV_SEND_UPDATE_VMSA)) ||
           (status == FW_SECURE_DATA_INVALID && cmd == SEV_INIT_EX);
}

static uint32_t command(uint32_t cmd, uint64_t at)
{
    uint32_t status;

    memcpy(old_table, rmp.entries, sizeof(old_table));
    old_fw = fw;
    writes = 0;
    status = snp_fw_command(&fw, cmd, at);
    fuzz_say("%x: %s\n", cmd, snp_fw_status_name(status));
    /* a table made anew has nothing of what was forged */
    forged &= status || cmd != SNP_INIT;
    MUST(snp_fw_status_name(status)[0] != '?', "status %x", status);
    if (status == FW_SPDM_REQUEST) {
        MUST(cmd == TIO_DEV_CONNECT && writes &&
             !memcmp(old_table, rmp.entries, sizeof(old_table)),
             "%x asks a device", cmd);
        return status;
    }
    if (status == FW_SPDM_ERROR || status == FW_ERR_IN_DEV_CONN) {
        MUST(cmd == TIO_DEV_CONNECT, "%x says what a device is like", cmd);
        memcpy(old_fw.tio_devs, fw.tio_devs, sizeof(fw.tio_devs));
    }
    if (status) {
        MUST(!writes || may_write(cmd, status), "%x, status %x: written to "
             "memory %u times", cmd, status, writes);
        MUST(may_write(cmd, status) ||
             !memcmp(old_table, rmp.entries, sizeof(old_table)),
             "%x, status %x: the table changed", cmd, status);
        MUST(!memcmp(&old_fw, &fw, sizeof(fw)),
             "%x, status %x: the firmware changed", cmd, status);
    }
    return status;
}

static void place_buffer(uint64_t at)
{
    for (unsigned i = 0; i < sizeof(cb); i++) {
        uint64_t spa = at + i;

        /* the table only through step_forge() */
        if (spa < RMP_AT) {
            mem[spa] = cb[i];
        }
    }
}

static void step_command(void)
{
    uint8_t which = fuzz_byte(), where = fuzz_byte();
    const FwCommand *c = &fw_commands[which % fw_ncommands];
    uint64_t at = where < 0xe0 ? CMDBUF : some_address();

    if (which == 0xff) {
        command(fuzz_number(4), CMDBUF);
        return;
    }
    some_buffer(c);
    /* as it should be, or but for a byte */
    if (moving && where & 2 && moving_buffer(c->id) && where & 4) {
        uint8_t off = fuzz_byte();

        cb[off % c->len] = fuzz_byte();
    }
    if (c->id == TIO_DEV_CONNECT) {
        some_answer();
    }
    if (at == CMDBUF && c->writes && where & 1 && fw.snp_inited) {
        set_page(CMDBUF, RMP_FIRMWARE, 0, 0);
    }
    place_buffer(at & ~C_BIT);
    command(c->id, at);
}

static void step_update(void)
{
    static const struct { uint8_t assigned, immutable, asid, gpa; } kinds[] = {
        { 0, 0, 0, 0 }, { 1, 0, 0, 0 }, { 1, 1, 0, 0 }, { 1, 1, 0, 1 },
        { 1, 1, 1, 1 }, { 1, 0, 1, 1 }, { 1, 0, 1, 1 }, { 1, 1, 1, 1 },
    };
    uint64_t spa = some_page();
    uint8_t b = fuzz_byte();
    RmpUpdate u = {
        .assigned = kinds[b % 8].assigned,
        .immutable = kinds[b % 8].immutable,
        .pagesize = b >> 3 & 1,
        .asid = kinds[b % 8].asid ? b & 0x20 ? 4 : 3 : 0,
        .gpa = kinds[b % 8].gpa ? b & 0x40 ? 0x40000000 : 0x100000 : 0,
    };

    if (u.gpa && spa % RMP_2M_SIZE) {
        u.gpa += spa % RMP_2M_SIZE * !!(b & 0x40);
    }
    if (b >= 0xf0) {
        u.gpa = fuzz_number(8);
        u.assigned = fuzz_byte();
        u.pagesize = fuzz_byte();
        u.immutable = fuzz_byte();
        u.rsvd = fuzz_byte();
        u.asid = fuzz_number(4);
    }
    memcpy(old_table, rmp.entries, sizeof(old_table));
    if (rmp_update(&rmp, spa, &u) != RMP_SUCCESS) {
        MUST(!memcmp(old_table, rmp.entries, sizeof(old_table)),
             "RMPUPDATE refused, and the table changed");
    }
}

/* A run of pages, as UNSMASH wants to see them */
static void step_updates(void)
{
    uint64_t base = some_page() & ~(RMP_2M_SIZE - 1);
    uint8_t b = fuzz_byte();
    RmpUpdate u = { .assigned = 1, .immutable = b & 1, .asid = b & 2 ? 3 : 0 };

    for (uint64_t at = 0; at < RMP_2M_SIZE; at += 0x1000) {
        u.gpa = u.asid ? 0x40000000 + at : 0;
        rmp_update(&rmp, base + at, &u);
    }
}

static void step_guest_insn(bool adjust)
{
    uint64_t spa = some_page();
    uint8_t b = fuzz_byte();
    RmpEntry e = entry_of(spa);
    uint64_t gpa = b & 1 ? some_page() : e.gpa;
    uint32_t asid = b & 2 ? fuzz_byte() : e.asid;
    bool unchanged = false;
    int code = 0;
    RmpVerdict v;

    memcpy(old_table, rmp.entries, sizeof(old_table));
    if (adjust) {
        uint64_t rdx = fuzz_number(b & 4 ? 8 : 2) |
                       (b & 8 ? 0x10000 : 0);

        v = rmp_adjust(&rmp, spa, gpa, asid, b >> 6, b & 0x10, b & 0x20,
                       rdx, &code);
    } else {
        v = rmp_pvalidate(&rmp, spa, gpa, asid, b & 0x10, b & 0x20, b & 0x40,
                          &code, &unchanged);
    }
    MUST((v == RMP_ALLOW && !code && !unchanged) ||
         !memcmp(old_table, rmp.entries, sizeof(old_table)),
         "verdict %d, code %d: the table changed", v, code);
}

static void step_access(void)
{
    uint64_t spa = some_page();
    uint16_t b = fuzz_number(2);
    RmpEntry e = entry_of(spa);
    RmpAccess a = {
        .spa = spa, .gpa = b & 1 ? some_page() : e.gpa,
        .asid = b & 2 ? fuzz_byte() : e.asid, .vmpl = b >> 12,
        .guest = b & 4, .snp = b & 8, .cbit = b & 16, .write = b & 32,
        .fetch = b & 64, .user = b & 128, .table = b & 256,
        .leaf_2m = b & 512,
    };

    if (rmp_check(&rmp, &a) == RMP_ALLOW && a.write && !a.guest) {
        MUST(!entry_of(spa).assigned, "the host writes to %lx", (long)spa);
    }
    rmp_check_vmsa(&rmp, spa, a.asid, a.snp);
    if (b & 1024) {
        bool was = entry_of(spa).in_use;

        MUST(rmp_try_in_use(&rmp, spa) == !was || !rmp_covered(&rmp, spa),
             "taken twice");
        rmp_set_in_use(&rmp, spa, b & 2048);
    }
}

/* What commands look for in memory */
static void step_memory(void)
{
    uint64_t spa = some_page();
    uint8_t b = fuzz_byte();
    uint8_t *p;

    if (spa >= RMP_AT || (fw.snp_inited && entry_of(spa).assigned)) {
        return;
    }
    p = mem + spa;
    switch (b % 8) {
    case 0:
        memset(p, 0, 0x1000);
        break;
    case 1:
        memset(p, 0xff, 0x1000);
        break;
    case 2:                         /* a list of ranges */
        memset(p, 0, 0x1000);
        p[0] = b >> 3;
        for (unsigned i = 0; i < b >> 3; i++) {
            put_le(p + 8 + 16 * i, 8, some_page());
            put_le(p + 16 + 16 * i, 4, some_number(4));
        }
        break;
    case 3:                         /* a CPUID page */
        memset(p, 0, 0x1000);
        put_le(p, 4, some_number(4));
        break;
    case 4:                         /* a VMSA */
        memset(p, 0, 0x1000);
        p[0x3b0] = b >> 3;
        p[0x0ca] = fuzz_byte() % 6;
        break;
    default:
        for (unsigned at = fuzz_number(2) % 0xfc0, n = b >> 2; n; n--) {
            p[at++] = fuzz_byte();
        }
    }
}

/* As long as the table is not in force it is memory like any other. */
static void step_forge(void)
{
    uint64_t at = (fuzz_number(2) % NPAGES) * RMP_ENTRY_SIZE;

    if (!fw.rmp_inited) {
        forged = true;
        for (unsigned i = 0; i < RMP_ENTRY_SIZE; i++) {
            rmp.entries[at + i] = fuzz_byte();
        }
    }
}

static void step_world(void)
{
    uint8_t b = fuzz_byte();

    cpus_ready = (b & 3) != 3;
    wbinvd_done |= b >> 2 & 1;
    aliased = b >> 3 & 1;
    if (b & 0x10) {
        for (unsigned i = 0; i < IOMMUS; i++) {
            iommu[i] = (SnpFwRange){ some_page(), some_number(4) };
        }
    }
    if ((b & 0xe0) == 0xe0) {
        snp_fw_reset(&fw);
    }
}

/* ---- where to begin ---- */

static uint8_t good_block[0x2000];

static void prepare(void)
{
    if (key_a) {
        return;
    }
    key_a = p384_load(pem_a, sizeof(pem_a) - 1);
    key_b = p384_load(pem_b, sizeof(pem_b) - 1);
    MUST(key_a && key_b, "keys");
    blocked();
    memcpy(good_block, mem + BLOCK, sizeof(good_block));
}

/*
 * A SEV-ES guest that runs, where the certificates of its own platform lie: it
 * may be sent there. @sent: it was, and is received.
 */
static void begin_moving(bool sent)
{
    SevFwGuest *g;

    init_sev(true);
    expect(SEV_PDH_GEN, FW_SUCCESS, "set-up");
    arg_export();
    expect(SEV_PDH_CERT_EXPORT, FW_SUCCESS, "set-up");
    put(4, 4, SENT_POLICY);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "set-up");
    put(0, 4, 1);
    put(4, 4, 3);
    expect(SEV_ACTIVATE, FW_SUCCESS, "set-up");
    g = &fw.sev_guests[0];
    g->state = SEV_GUEST_RUNNING;
    arg_send(SESSION);
    expect(SEV_SEND_START, FW_SUCCESS, "set-up");
    if (sent) {
        const SevKeys keys = g->keys;

        put(0, 4, 1);
        expect(SEV_DEACTIVATE, FW_SUCCESS, "set-up");
        put(0, 4, 1);
        expect(SEV_DECOMMISSION, FW_SUCCESS, "set-up");
        wbinvd_done = true;
        expect(SEV_DF_FLUSH, FW_SUCCESS, "set-up");
        arg_session(SENT_POLICY);
        put(8, 8, PDH);
        expect(SEV_RECEIVE_START, FW_SUCCESS, "set-up");
        put(0, 4, 1);
        put(4, 4, 3);
        expect(SEV_ACTIVATE, FW_SUCCESS, "set-up");
        /* where the certificate was, which is not asked for any more */
        wrap_packet(DATA, keys.tek, keys.tik, NULL, 0x80, 64);
    }
    moving = true;
}

static void begin(uint8_t how)
{
    moving = false;
    in_a_hurry = true;
    in_the_clear = false;
    memset(cb, 0, sizeof(cb));
    power_on();
    switch ((how & 0xfe) == 0xf6 ? how : how % 8) {
    case 0:
        break;
    case 1:
        init_sev(how & 8);
        break;
    case 2:
        init_snp();
        init_sev(how & 8);
        break;
    case 3:
        /* an ID block, and a page that it is about */
        guest(G_LAUNCH_ACTIVE);
        arg_update(1, TARGET, false);
        expect(SNP_LAUNCH_UPDATE, FW_SUCCESS, "a page");
        memcpy(mem + BLOCK, good_block, sizeof(good_block));
        break;
    case 4:
        guest(G_RUNNING_ACTIVE);
        set_page(0x15000, RMP_METADATA, 0, GCTX);
        break;
    case 0xf6:
    case 0xf7:
        begin_moving(how == 0xf7);
        break;
    default:
        guest(how >> 3);
        if (how >> 3 >= G_NSTAGES) {
            /* a firmware image and a hashstick, at places that it knows */
            chip();
            put_image(1, 56, how, TCB, how);
            memmove(mem + 0x14000, mem + IMAGE, 160);
            wrap_vlek(pem_b, TCB);
            memmove(mem + 0x16000, mem + STICK, 432);
        }
    }
    MUST(!ktap_failed, "the set-up itself");
    fw.cfg.hiding = true;
    fw.cfg.tio = true;
    fw.cfg.tsc_khz = 1000000;
    if (fw.snp_inited) {
        /* as if SNP_INIT_EX had been asked for it */
        fw.tio_enabled = true;
        tio_pages();
    }
    hook();
    forged = false;
    bad_writes = 0;
    memset(iommu, 0, sizeof(iommu));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    fuzz_begin(data, size);
    begin(fuzz_byte());
    for (unsigned i = 0; i < STEPS && fuzz_more(); i++) {
        switch (fuzz_byte() % 16) {
        case 0:
        case 1:
            step_update();
            break;
        case 2:
            rmp_psmash(&rmp, some_page());
            break;
        case 3:
            step_guest_insn(false);
            break;
        case 4:
            step_guest_insn(true);
            break;
        case 5:
            step_access();
            break;
        case 6:
            step_memory();
            break;
        case 7:
            step_world();
            break;
        case 8:
            step_updates();
            break;
        case 9:
            step_forge();
            break;
        default:
            step_command();
        }
        check_all();
    }
    return 0;
}
