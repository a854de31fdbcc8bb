/*
 * What the tests of the firmware stand on
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The firmware runs on 8 MiB of memory that ends in an RMP. Whatever it
 * writes is checked against the page states as it writes; a command that is
 * refused must leave memory, RMP and firmware state as they were.
 */
#ifndef TESTS_FW_BENCH_H
#define TESTS_FW_BENCH_H

#include <string.h>
#include "hw/snp/fw_table.h"
#include "hw/snp/view.h"
#include "ktap.h"

#define MEM_SIZE   0x800000ull
#define RMP_AT     0x700000ull
#define NPAGES     (MEM_SIZE / RMP_PAGE_SIZE)

/* Pages with a role */
#define CMDBUF     0x001000ull
#define OUT        0x002000ull
#define GCTX       0x003000ull
#define GCTX2      0x004000ull
#define TARGET     0x005000ull
#define LIST       0x006000ull
#define EVTLOG     0x008000ull      /* two pages */
#define TMR        0x200000ull
#define LARGE      0x400000ull      /* 2M */
#define NOWHERE    0x20000000ull    /* no memory */

#define MAX_ASID   20u
#define MIN_SEV    10u
#define TCB        0x4815000000000007ull

static uint8_t mem[MEM_SIZE] __attribute__((aligned(4096)));
static uint8_t old_mem[MEM_SIZE];
static Rmp rmp;
static SnpView view;
static bool in_the_clear;       /* from power_on(): nothing is enciphered */
static SnpFw fw, old_fw;
static bool cpus_ready, wbinvd_done, list_iommu, aliased;
static unsigned random_at, kept_at, bad_writes, armed, changed, logged;

/* Memory, of which no two pages are one piece */
static inline bool port_ok(uint64_t spa, size_t len)
{
    return spa < MEM_SIZE && len <= 0x1000 - (spa & 0xfff);
}

static inline void *view_map(void *o, uint64_t spa)
{
    (void)o;
    return spa < MEM_SIZE ? mem + spa : NULL;
}

static inline void view_unmap(void *o, void *page, bool written)
{
    (void)o;
    (void)page;
    (void)written;
}

static inline bool view_memory(void *o, uint64_t spa)
{
    (void)o;
    return spa < MEM_SIZE;
}

static inline bool port_read(void *o, uint64_t spa, void *buf, size_t len)
{
    (void)o;
    return port_ok(spa, len) && snp_view_read(&view, spa, buf, len);
}

static inline void port_load_key(void *o, uint32_t asid,
                                 const uint8_t key[CIPHER_KEY_LEN])
{
    (void)o;
    snp_view_load_key(&view, asid, key);
}

static inline void port_drop_keys(void *o)
{
    (void)o;
    snp_view_drop_keys(&view);
}

static inline void port_hide(void *o, uint32_t asids)
{
    (void)o;
    snp_view_hide(&view, asids);
}

static inline void port_encrypt(void *o, uint32_t asid, uint64_t spa,
                                void *buf, size_t len)
{
    (void)o;
    snp_view_encrypt(&view, asid, spa, buf, len);
}

static inline void port_decrypt(void *o, uint32_t asid, uint64_t spa,
                                void *buf, size_t len)
{
    (void)o;
    snp_view_decrypt(&view, asid, spa, buf, len);
}

static inline RmpState state_of(uint64_t spa)
{
    RmpEntry e;

    rmp_get(&rmp, spa, &e);
    return rmp_state(&e);
}

/* With SNP on, the firmware writes only to what is its own at the moment. */
static inline bool port_write(void *o, uint64_t spa, const void *buf,
                              size_t len)
{
    (void)o;
    if (!port_ok(spa, len)) {
        return false;
    }
    for (uint64_t p = spa & ~0xfffull; fw.snp_inited && p < spa + len;
         p += 0x1000) {
        RmpState s = state_of(p);

        bad_writes += s != RMP_FIRMWARE && s != RMP_CONTEXT &&
                      s != RMP_PRE_GUEST && s != RMP_METADATA;
        bad_writes += p >= RMP_AT;
    }
    return snp_view_write_as(&view, 0, spa, buf, len);
}

static inline void port_random(void *o, void *buf, size_t len)
{
    uint8_t *p = buf;

    (void)o;
    while (len--) {
        *p++ = 0x11 + random_at++ * 13;
    }
}

/* Another sequence, which goes on over resets */
static inline void port_random_kept(void *o, void *buf, size_t len)
{
    uint8_t *p = buf;

    (void)o;
    while (len--) {
        *p++ = 0x35 + kept_at * 29 + (kept_at >> 8) * 7;
        kept_at++;
    }
}

static inline void port_disable(void *o)
{
    snp_view_disown(&view);
    (void)o;
    cpus_ready = false;
}

static inline bool port_ready(void *o, const char **why)
{
    (void)o;
    *why = "test";
    return cpus_ready;
}

static inline bool port_has_cpu(void *o, uint32_t apic_id)
{
    (void)o;
    return apic_id < 2 || apic_id == 16;
}

static inline void port_arm(void *o)
{
    (void)o;
    armed++;
    wbinvd_done = false;
}

static inline bool port_done(void *o)
{
    (void)o;
    return wbinvd_done;
}

static inline void port_changed(void *o, uint64_t spa, uint64_t npages)
{
    (void)o;
    (void)spa;
    (void)npages;
    changed++;
}

static inline unsigned port_iommu(void *o, SnpFwRange *r, unsigned max)
{
    (void)o;
    if (!list_iommu || !max) {
        return 0;
    }
    r[0] = (SnpFwRange){ EVTLOG, 2 };
    return 1;
}

static inline bool port_aliased(void *o)
{
    (void)o;
    return aliased;
}

/* What another CPU does while SNP_INIT makes the RMP */
static void (*meanwhile)(void);

static inline void port_meanwhile(void *o)
{
    (void)o;
    if (meanwhile) {
        meanwhile();
    }
}

static inline void port_log(void *o, const char *msg)
{
    (void)o;
    logged += msg[0] != 0;
}

static inline void power_on(void)
{
    static const SnpFwPort port = {
        .read = port_read, .write = port_write, .random = port_random,
        .random_kept = port_random_kept,
        .load_key = port_load_key, .drop_keys = port_drop_keys,
        .hide = port_hide,
        .encrypt = port_encrypt, .decrypt = port_decrypt,
        .cpus_disable = port_disable,
        .cpus_ready = port_ready, .has_cpu = port_has_cpu,
        .wbinvd_arm = port_arm,
        .wbinvd_done = port_done, .rmp_changed = port_changed,
        .iommu_buffers = port_iommu, .aliased = port_aliased,
        .meanwhile = port_meanwhile, .log = port_log,
    };
    SnpFwConfig cfg = {
        .api_major = 1, .api_minor = 55, .build = 21,
        .max_asid = MAX_ASID, .min_sev_asid = MIN_SEV, .fms = 0xa00f11,
        .smt = false, .tcb = TCB, .committed_tcb = TCB,
        .committed_build = 21,
    };

    for (int i = 0; i < 64; i++) {
        cfg.chip_id[i] = 200 - i;
    }
    if (view.rmp) {
        snp_view_fini(&view);
    }
    memset(mem, 0, sizeof(mem));
    memset(&rmp, 0, sizeof(rmp));
    rmp.entries = mem + RMP_AT + RMP_BOOKKEEPING;
    rmp.npages = NPAGES;
    rmp.base = RMP_AT;
    rmp.end = MEM_SIZE - 1;
    rmp.max_asid = MAX_ASID;
    rmp.nvmpls = 4;
    view = (SnpView){ .rmp = &rmp, .off = in_the_clear, .map = view_map,
                      .unmap = view_unmap, .memory = view_memory };
    snp_view_init(&view);
    cpus_ready = wbinvd_done = true;
    list_iommu = aliased = false;
    random_at = kept_at = bad_writes = armed = changed = logged = 0;
    snp_fw_init(&fw, &rmp, &port, &cfg);
    random_at = 0;      /* tests compute with what comes next */
}

/* ---- command buffers ---- */

static uint8_t cb[FW_BUF_MAX];

static inline void put(unsigned off, unsigned n, uint64_t v)
{
    while (n--) {
        cb[off++] = v;
        v >>= 8;
    }
}

static inline uint64_t got(unsigned off, unsigned n)
{
    uint64_t v = 0;

    while (n--) {
        v = v << 8 | mem[CMDBUF + off + n];
    }
    return v;
}

/* Runs with cb as the buffer, and clears it. */
static inline uint32_t run(uint32_t cmd)
{
    uint32_t ret;

    memcpy(mem + CMDBUF, cb, sizeof(cb));
    memset(cb, 0, sizeof(cb));
    ret = snp_fw_command(&fw, cmd, CMDBUF);
    CHECK(!bad_writes, "%s wrote to a page that is not its own",
          snp_fw_command_name(cmd));
    bad_writes = 0;
    return ret;
}

static inline void snap(void)
{
    memcpy(old_mem, mem, sizeof(mem));
    old_fw = fw;
}

/* The command buffer too */
static inline bool unchanged(void)
{
    return !memcmp(old_mem, mem, sizeof(mem)) &&
           !memcmp(&old_fw, &fw, sizeof(fw));
}

/* But for what the ABI has a refusal write */
static inline bool refused_well(uint32_t cmd, uint32_t status)
{
    static const struct { uint16_t cmd; uint8_t at; uint16_t len; } lens[] = {
        { SEV_GET_ID, 8, 64 }, { SEV_LAUNCH_MEASURE, 16, 48 },
        { SEV_PEK_CSR, 8, 2084 }, { SEV_PDH_CERT_EXPORT, 8, 2084 },
        { SEV_PDH_CERT_EXPORT, 24, 6252 },
        { SEV_ATTESTATION_REPORT, 32, 208 }, { SEV_SEND_START, 0x40, 128 },
        { SEV_SEND_UPDATE_DATA, 0x10, 52 }, { SEV_SEND_UPDATE_VMSA, 0x10, 52 },
    };

    for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        unsigned at = lens[i].at;

        if (lens[i].cmd == cmd && status == FW_INVALID_LEN) {
            if (got(at, 4) != lens[i].len) {
                return false;
            }
            memcpy(old_mem + CMDBUF + at, mem + CMDBUF + at, 4);
        }
    }
    /* a packet is as long as what it is of, unless that is too long */
    if ((cmd == SEV_SEND_UPDATE_DATA || cmd == SEV_SEND_UPDATE_VMSA) &&
        status == FW_INVALID_LEN && got(0x30, 4) == got(0x20, 4)) {
        memcpy(old_mem + CMDBUF + 0x30, mem + CMDBUF + 0x30, 4);
    }
    return unchanged();
}

/* Of set-ups that are known to work: not looked at closely again */
static bool in_a_hurry;

/* Expects a refusal that changes nothing, or success. */
static inline void expect(uint32_t cmd, uint32_t want, const char *what)
{
    uint32_t ret;

    memcpy(mem + CMDBUF, cb, sizeof(cb));
    if (!in_a_hurry) {
        snap();
    }
    ret = run(cmd);
    CHECK(ret == want, "%s, %s: %s, not %s", snp_fw_command_name(cmd), what,
          snp_fw_status_name(ret), snp_fw_status_name(want));
    CHECK(!want || in_a_hurry || refused_well(cmd, ret),
          "%s, %s: refused, but something changed",
          snp_fw_command_name(cmd), what);
}

static inline void set_page(uint64_t spa, RmpState s, uint32_t asid,
                            uint64_t gpa)
{
    RmpEntry e = {
        .assigned = s != RMP_HYPERVISOR && s != RMP_HV_FIXED,
        .immutable = s != RMP_HYPERVISOR && s != RMP_RECLAIM &&
                     s != RMP_GUEST_INVALID && s != RMP_GUEST_VALID,
        .validated = s == RMP_PRE_SWAP || s == RMP_GUEST_VALID,
        .vmsa = s == RMP_CONTEXT,
        .asid = s >= RMP_PRE_GUEST ? asid : 0,
        .gpa = s >= RMP_METADATA ? gpa : 0,
    };

    rmp_fw_set(&rmp, spa, &e);
}

static inline void init_snp(void)
{
    put(0, 4, 1);
    expect(SNP_INIT_EX, FW_SUCCESS, "init");
    /* what the driver does with buffers that are written to */
    set_page(CMDBUF, RMP_FIRMWARE, 0, 0);
    set_page(OUT, RMP_FIRMWARE, 0, 0);
}

static inline void init_sev(bool es)
{
    put(0, 4, es);
    if (es) {
        put(8, 8, TMR);
        put(16, 4, 0x200000);
        for (int i = 0; fw.snp_inited && i < 512; i++) {
            set_page(TMR + i * 0x1000ull, RMP_FIRMWARE, 0, 0);
        }
    }
    expect(SEV_INIT, FW_SUCCESS, "init");
}

/* ---- SNP guests ---- */

enum GuestStage { G_NONE, G_INIT, G_LAUNCH, G_LAUNCH_ACTIVE, G_RUNNING,
                  G_RUNNING_ACTIVE, G_NSTAGES };

static inline void arg_launch_start(void)
{
    put(0, 8, GCTX);
    put(8, 8, 0x30000);
}

static inline void arg_activate(uint32_t asid)
{
    put(0, 8, GCTX);
    put(8, 4, asid);
}

/* On the first @n of the CPUs 0, 1, 16 */
static inline void arg_activate_ex(uint32_t asid, unsigned n)
{
    mem[LIST + 4] = 1;
    mem[LIST + 8] = 16;
    put(0, 4, 32);
    put(8, 8, GCTX);
    put(0x10, 4, asid);
    put(0x14, 4, n);
    put(0x18, 8, LIST);
}

static inline void arg_update(int type, uint64_t spa, bool size_2m)
{
    put(0, 8, GCTX);
    put(8, 4, type << 1 | size_2m);
    put(16, 8, spa);
}

static inline void guest(enum GuestStage stage)
{
    power_on();
    init_snp();
    set_page(GCTX, RMP_FIRMWARE, 0, 0);
    set_page(TARGET, RMP_PRE_GUEST, 3, 0x100000);
    if (stage == G_NONE) {
        return;
    }
    put(0, 8, GCTX);
    expect(SNP_GCTX_CREATE, FW_SUCCESS, "set-up");
    CHECK(state_of(GCTX) == RMP_CONTEXT, "set-up");
    if (stage >= G_LAUNCH) {
        arg_launch_start();
        expect(SNP_LAUNCH_START, FW_SUCCESS, "set-up");
    }
    if (stage == G_LAUNCH_ACTIVE || stage == G_RUNNING_ACTIVE) {
        arg_activate(3);
        expect(SNP_ACTIVATE, FW_SUCCESS, "set-up");
    }
    if (stage >= G_RUNNING) {
        put(0, 8, GCTX);
        expect(SNP_LAUNCH_FINISH, FW_SUCCESS, "set-up");
    }
}

#endif
