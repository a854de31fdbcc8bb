/*
 * Unit test of the secure processor's firmware: pages that move, are swapped
 * out and in, or are looked into; features; storage
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "swap-bench.h"

static uint8_t was[0x200000];

static void fill(uint64_t spa, unsigned pages)
{
    for (unsigned i = 0; i < pages * 4096; i++) {
        mem[spa + i] = i * 11 + (i >> 12) * 3 + 1;
    }
    look(spa, pages, was);
}

static bool unharmed(uint64_t spa, unsigned pages)
{
    static uint8_t now[sizeof(was)];

    look(spa, pages, now);
    return !memcmp(now, was, pages * 4096);
}

/* A page of the guest with rights of its own; gpa 100000h */
static void dress(uint64_t spa, bool validated, bool vmsa)
{
    rmp_fw_set(&rmp, spa, &(RmpEntry){
        .assigned = true, .immutable = true, .validated = validated,
        .vmsa = vmsa, .asid = 3, .gpa = 0x100000,
        .perms = { RMP_PERM_ALL, 1, 3, 0x1b } });
}

static bool dressed(uint64_t spa, bool validated, bool vmsa)
{
    static const uint8_t perms[RMP_VMPLS] = { RMP_PERM_ALL, 1, 3, 0x1b };
    RmpEntry e;

    rmp_get(&rmp, spa, &e);
    return e.assigned && !e.immutable && e.validated == validated &&
           e.vmsa == vmsa && e.asid == 3 && e.gpa == 0x100000 &&
           !memcmp(e.perms, perms, sizeof(perms));
}

static void out(uint64_t page, uint64_t to, uint64_t md, unsigned flags)
{
    arg_swap_out(page, to, md, flags);
    expect(SNP_PAGE_SWAP_OUT, FW_SUCCESS, "out");
}

static void in(uint64_t from, uint64_t page, uint64_t md, unsigned flags,
               uint32_t want, const char *what)
{
    arg_swap_in(from, page, md, flags);
    expect(SNP_PAGE_SWAP_IN, want, what);
}

/* Each kind of page, with its entry in a page or in the context */
static void test_round_trip(void)
{
    for (int kind = 0; kind < 8; kind++) {
        bool validated = kind & 1, vmsa = kind & 2, root = kind & 4;
        unsigned flags = (vmsa ? SWAP_VMSA : 0) | (root ? SWAP_ROOT : 0);
        uint64_t md = MDATA + 64 * 63;

        swappable();
        dress(TARGET, validated, vmsa);
        fill(TARGET, 1);
        if (root) {
            set_page(MDATA, RMP_FIRMWARE, 0, 0);    /* not looked at */
        }
        out(TARGET, OUT, md, flags);
        CHECK(state_of(TARGET) == RMP_FIRMWARE, "page taken");
        CHECK(state_of(OUT) == RMP_FIRMWARE, "output stays");
        CHECK(memcmp(mem + OUT, was, 4096), "sealed");
        if (!root) {
            CHECK(mem[md] == 0x88 && mem[md + 7] == 0x11, "software's data");
        }
        for (int i = 0; i < 64; i++) {
            CHECK(!root || !mem[md + i], "byte %d", i);
        }
        /* the host stores it elsewhere, and gives another page */
        memcpy(mem + REPLICA, mem + OUT, 4096);
        memset(mem + OUT, 0, 4096);
        set_page(PAGE2, RMP_PRE_GUEST, 3, 0x100000);
        in(REPLICA + 16, PAGE2, md, flags, FW_INVALID_ADDRESS, "misaligned");
        in(OUT, PAGE2, md, flags, FW_BAD_MEASUREMENT, "not what was sealed");
        in(REPLICA, PAGE2, md, flags ^ SWAP_VMSA, FW_INVALID_MDATA_ENTRY,
           "as something else");
        in(REPLICA, PAGE2, md, (flags & SWAP_ROOT) | SWAP_META,
           FW_INVALID_MDATA_ENTRY, "as metadata");
        in(REPLICA, PAGE2, md, flags, FW_SUCCESS, "in");
        CHECK(unharmed(PAGE2, 1), "content");
        CHECK(dressed(PAGE2, validated, vmsa), "entry");
        /* once only */
        set_page(TARGET, RMP_PRE_GUEST, 3, 0x100000);
        in(REPLICA, TARGET, md, flags, FW_INVALID_MDATA_ENTRY, "again");
    }
}

/* What the entry says is authenticated, and of this guest. */
static void test_authentic(void)
{
    for (unsigned at = 0; at < 64; at++) {
        uint32_t want = FW_BAD_MEASUREMENT;

        swappable();
        fill(TARGET, 1);
        out(TARGET, OUT, MDATA, 0);
        set_page(TARGET, RMP_PRE_GUEST, 3, 0x100000);
        mem[MDATA + at] ^= 0x40;
        if (at >= 0x21 && at < 0x26) {
            want = FW_INVALID_PARAM;    /* another guest address */
        }
        in(OUT, TARGET, MDATA, 0, want, "entry's byte");
        mem[MDATA + at] ^= 0x40;
        in(OUT, TARGET, MDATA, 0, FW_SUCCESS, "put right");
    }
    swappable();
    out(TARGET, OUT, MDATA, 0);
    set_page(TARGET, RMP_PRE_GUEST, 3, 0x100000);
    fw.guests[0].oek[5] ^= 1;
    in(OUT, TARGET, MDATA, 0, FW_BAD_MEASUREMENT, "another key");

    /* the same content is not sealed the same way twice */
    swappable();
    fill(TARGET, 1);
    out(TARGET, OUT, MDATA, 0);
    memcpy(was, mem + OUT, 4096);
    fill(TARGET, 0);
    for (unsigned i = 0; i < 4096; i++) {
        mem[TARGET + i] = i * 11 + 1;
    }
    set_page(TARGET, RMP_PRE_GUEST, 3, 0x100000);
    out(TARGET, OUT, MDATA + 64, 0);
    CHECK(memcmp(was, mem + OUT, 4096), "another IV");
    CHECK(fw.guests[0].oek_count == 2, "count");
    /* what was out before is not what this entry knows */
    memcpy(mem + OUT, was, 4096);
    set_page(TARGET, RMP_PRE_GUEST, 3, 0x100000);
    in(OUT, TARGET, MDATA + 64, 0, FW_BAD_MEASUREMENT, "replayed");
    in(OUT, TARGET, MDATA, 0, FW_SUCCESS, "with its own entry");
}

/* Pages of metadata go the same way, each but into itself. */
static void test_metadata(void)
{
    RmpEntry e;

    swappable();
    set_page(MDATA2, RMP_FIRMWARE, 0, 0);
    mem[MDATA2 + 70] = 1;
    put(0, 8, GCTX);
    put(8, 8, MDATA2);
    expect(SNP_PAGE_MD_INIT, FW_SUCCESS, "init");
    rmp_get(&rmp, MDATA2, &e);
    CHECK(rmp_state(&e) == RMP_METADATA && e.gpa == GCTX && !mem[MDATA2 + 70],
          "new metadata");

    fill(TARGET, 1);
    out(TARGET, OUT, MDATA, 0);
    memcpy(mem + REPLICA, mem + OUT, 4096);
    arg_swap_out(MDATA, OUT, MDATA + 64, SWAP_META);
    expect(SNP_PAGE_SWAP_OUT, FW_INVALID_PARAM, "into itself");
    out(MDATA, OUT, MDATA2 + 64, SWAP_META);
    CHECK(state_of(MDATA) == RMP_FIRMWARE, "taken");
    set_page(PAGE3, RMP_FIRMWARE, 0, 0);
    out(MDATA2, PAGE3, 0, SWAP_META | SWAP_ROOT);
    CHECK(state_of(MDATA2) == RMP_FIRMWARE, "taken");
    /* and back, the last first */
    in(OUT, MDATA, MDATA2 + 64, SWAP_META, FW_INVALID_PAGE_STATE,
       "its metadata is out");
    memcpy(mem + REPLICA + 0x1000, mem + PAGE3, 4096);
    in(REPLICA + 0x1000, MDATA2, 0, SWAP_META | SWAP_ROOT, FW_SUCCESS, "root");
    CHECK(state_of(MDATA2) == RMP_METADATA, "back");
    in(OUT, MDATA, MDATA2 + 64, SWAP_META, FW_SUCCESS, "metadata");
    set_page(TARGET, RMP_PRE_GUEST, 3, 0x100000);
    in(REPLICA, TARGET, MDATA, 0, FW_SUCCESS, "data");
    CHECK(unharmed(TARGET, 1), "content");
    CHECK(state_of(TARGET) == RMP_GUEST_INVALID, "not validated before");
}

/*
 * Pages that come and go in any order: content is found where the guest had
 * it, comes back once, and only with the entry it left with.
 */
#define NGPAS      4
#define POOL       0x400000ull      /* pages to be in */
#define STORE      0x500000ull      /* where the host keeps what is out */
#define ROUNDS     4000

typedef struct Where {
    bool out;
    uint64_t spa;               /* in */
    unsigned entry, slot;       /* out */
    uint8_t mark;
} Where;

static uint64_t x;

static unsigned rnd(unsigned n)
{
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (x >> 20) % n;
}

static uint64_t gpa_of(unsigned i)
{
    return 0x100000 + i * 0x1000ull;
}

static void test_any_order(void)
{
    Where w[NGPAS];
    bool used[64] = { false };
    unsigned next = NGPAS, done[4] = { 0 };

    x = 0x2545f4914f6cdd1dull;
    swappable();
    in_a_hurry = true;
    for (unsigned i = 0; i < NGPAS; i++) {
        w[i] = (Where){ .spa = POOL + i * 0x1000, .mark = 0x10 + i };
        set_page(w[i].spa, RMP_GUEST_VALID, 3, gpa_of(i));
        memset(mem + w[i].spa, w[i].mark, 4096);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned i = rnd(NGPAS), j = rnd(NGPAS), e = rnd(64);
        uint64_t fresh = POOL + (next++ % 128) * 0x1000;

        for (unsigned k = 0; k < NGPAS; k++) {
            if (!w[k].out && w[k].spa == fresh) {
                fresh = 0;
            }
        }
        if (!fresh) {
            continue;
        }
        set_page(fresh, RMP_PRE_GUEST, 3, gpa_of(i));
        if (!w[i].out && rnd(3)) {
            /* out, into an entry that must be free */
            set_page(w[i].spa, RMP_PRE_GUEST, 3, gpa_of(i));
            arg_swap_out(w[i].spa, OUT, MDATA + e * 64, 0);
            expect(SNP_PAGE_SWAP_OUT,
                   used[e] ? FW_INVALID_MDATA_ENTRY : FW_SUCCESS, "out");
            if (used[e]) {
                done[0]++;
                continue;
            }
            used[e] = true;
            w[i] = (Where){ .out = true, .entry = e, .mark = w[i].mark,
                            .slot = i * 16 + round % 16 };
            memcpy(mem + STORE + w[i].slot * 4096, mem + OUT, 4096);
            done[1]++;
        } else if (!w[i].out) {
            set_page(w[i].spa, RMP_PRE_GUEST, 3, gpa_of(i));
            arg_move(w[i].spa, fresh, false);
            expect(SNP_PAGE_MOVE, FW_SUCCESS, "move");
            w[i].spa = fresh;
            done[2]++;
        } else if (w[j].out) {
            /* back, with what one of those left that are out */
            arg_swap_in(STORE + w[j].slot * 4096, fresh,
                        MDATA + w[i].entry * 64, 0);
            if (j != i) {
                expect(SNP_PAGE_SWAP_IN, FW_BAD_MEASUREMENT, "another's");
                continue;
            }
            expect(SNP_PAGE_SWAP_IN, FW_SUCCESS, "in");
            used[w[i].entry] = false;
            w[i] = (Where){ .spa = fresh, .mark = w[i].mark };
            done[3]++;
        }
        for (unsigned k = 0; k < NGPAS; k++) {
            uint8_t p[4096];

            if (w[k].out) {
                continue;
            }
            look(w[k].spa, 1, p);
            CHECK(p[0] == w[k].mark && !memcmp(p, p + 1, 4095),
                  "content of %u", k);
        }
    }
    in_a_hurry = false;
    for (unsigned k = 0; k < 4; k++) {
        CHECK(done[k] > 20, "%u of kind %u", done[k], k);
    }
}

static void test_move(void)
{
    for (int validated = 0; validated < 2; validated++) {
        swappable();
        dress(PAGE2, validated, validated);
        fill(PAGE2, 1);
        arg_move(PAGE2, TARGET, false);
        expect(SNP_PAGE_MOVE, FW_SUCCESS, "move");
        CHECK(unharmed(TARGET, 1), "content");
        CHECK(dressed(TARGET, validated, validated), "entry");
        CHECK(state_of(PAGE2) == RMP_FIRMWARE, "old page");
        arg_move(TARGET, TARGET, false);
        expect(SNP_PAGE_MOVE, FW_INVALID_ADDRESS, "onto itself");
    }
    swappable();
    large(LARGE, RMP_PRE_SWAP);
    large(TMR, RMP_PRE_GUEST);
    fill(LARGE, 512);
    arg_move(LARGE, TMR, true);
    expect(SNP_PAGE_MOVE, FW_SUCCESS, "2M");
    CHECK(unharmed(TMR, 512), "content");
    for (int i = 0; i < 512; i++) {
        RmpEntry e;

        rmp_get(&rmp, TMR + i * 0x1000ull, &e);
        CHECK(rmp_state(&e) == RMP_GUEST_VALID && e.size_2m &&
              e.gpa == 0x40000000 + i * 0x1000ull, "page %d", i);
        CHECK(state_of(LARGE + i * 0x1000ull) == RMP_FIRMWARE, "page %d", i);
    }
}

static void test_unsmash(void)
{
    for (int s = 0; s < RMP_NSTATES; s++) {
        bool can = s == RMP_PRE_GUEST || s == RMP_PRE_SWAP;

        swappable();
        smashed(LARGE, s);
        put(0, 8, LARGE);
        expect(SNP_PAGE_UNSMASH, can ? FW_SUCCESS : FW_INVALID_PAGE_STATE,
               rmp_state_name(s));
        for (int i = 0; can && i < 512; i++) {
            RmpEntry e;

            rmp_get(&rmp, LARGE + i * 0x1000ull, &e);
            CHECK(e.size_2m && rmp_state(&e) == (RmpState)s && e.asid == 3 &&
                  e.gpa == 0x40000000 + i * 0x1000ull, "page %d", i);
        }
    }
    /* a guest address that is not of 2M; one page of other rights; a VMSA */
    for (int i = 0; i < 3; i++) {
        RmpEntry e;

        swappable();
        smashed(LARGE, RMP_PRE_GUEST);
        for (int k = 0; k < 512; k++) {
            rmp_get(&rmp, LARGE + k * 0x1000ull, &e);
            e.gpa += i == 0 ? 0x1000 : 0;
            e.perms[1] = i == 1 && k == 511;
            e.vmsa = i == 2 && k == 511;
            rmp_fw_set(&rmp, LARGE + k * 0x1000ull, &e);
        }
        put(0, 8, LARGE);
        expect(SNP_PAGE_UNSMASH, FW_INVALID_PARAM, "not one page");
    }
    /* the firmware's own */
    swappable();
    put(0, 8, RMP_AT & ~0x1fffffull);
    expect(SNP_PAGE_UNSMASH, FW_INVALID_PAGE_STATE, "with the RMP in it");
    put(0, 8, MEM_SIZE);
    expect(SNP_PAGE_UNSMASH, FW_INVALID_ADDRESS, "not covered");
}

static void test_debug(void)
{
    for (int s = 0; s < RMP_NSTATES; s++) {
        bool guests = s >= RMP_PRE_GUEST;

        swappable();
        fw.guests[0].policy |= 1 << 19;
        set_page(TARGET, s, 3, 0x100000);
        fill(TARGET, 1);
        put(0, 8, GCTX);
        put(8, 8, TARGET);
        put(16, 8, OUT);
        expect(SNP_DBG_DECRYPT, guests ? FW_SUCCESS : FW_INVALID_PAGE_STATE,
               rmp_state_name(s));
        CHECK(!guests || (!memcmp(mem + OUT, was, 4096) &&
                          state_of(OUT) == RMP_FIRMWARE), "plaintext");
        memset(mem + OUT, 0x5a, 4096);
        set_page(OUT, RMP_HYPERVISOR, 0, 0);
        put(0, 8, GCTX);
        put(8, 8, OUT);
        put(16, 8, TARGET);
        expect(SNP_DBG_ENCRYPT,
               s == RMP_PRE_GUEST ? FW_SUCCESS : FW_INVALID_PAGE_STATE,
               rmp_state_name(s));
        CHECK(state_of(TARGET) == (RmpState)s, "state");
        look(TARGET, 1, was);
        CHECK(s != RMP_PRE_GUEST || !memcmp(was, mem + OUT, 4096), "written");
    }
}

/* The same on a machine that does not encipher */
static void test_in_the_clear(void)
{
    in_the_clear = true;
    test_round_trip();
    test_authentic();
    test_metadata();
    test_any_order();
    test_move();
    test_debug();
    in_the_clear = false;
}

static void put_range(unsigned i, uint64_t base, uint32_t pages)
{
    for (int j = 0; j < 8; j++) {
        mem[LIST + 8 + 16 * i + j] = base >> (8 * j);
        mem[LIST + 16 + 16 * i + j] = j < 4 ? pages >> (8 * j) : 0;
    }
}

/* All of the list or nothing; pages without an entry do not count. */
static void test_set_state(void)
{
    for (int s = 0; s < RMP_NSTATES; s++) {
        bool can = s == RMP_HYPERVISOR || s == RMP_HV_FIXED;

        swappable();
        mem[LIST] = 3;
        put_range(0, PAGE2, 2);
        put_range(1, NOWHERE, 0x300000);
        put_range(2, PAGE3, 1);
        set_page(PAGE2 + 0x1000, RMP_HYPERVISOR, 0, 0);
        set_page(PAGE3, s, 3, 0x1000);
        put(0, 4, 16);
        put(8, 8, LIST);
        expect(SNP_PAGE_SET_STATE, can ? FW_SUCCESS : FW_INVALID_PAGE_STATE,
               rmp_state_name(s));
        CHECK(!can || (state_of(PAGE2) == RMP_HV_FIXED &&
                       state_of(PAGE2 + 0x1000) == RMP_HV_FIXED &&
                       state_of(PAGE3) == RMP_HV_FIXED &&
                       state_of(PAGE3 + 0x1000) == RMP_HYPERVISOR), "pages");
    }
    /* nor a page that is the firmware's for good */
    swappable();
    mem[LIST] = 1;
    put_range(0, RMP_AT, 1);
    put(0, 4, 16);
    put(8, 8, LIST);
    expect(SNP_PAGE_SET_STATE, FW_INVALID_PAGE_STATE, "the table's own");
}

static void test_feature_info(void)
{
    for (int snp = 0; snp < 2; snp++) {
        power_on();
        if (snp) {
            init_snp();
        }
        memset(mem + OUT, 0x5a, 64);
        put(0, 4, 16);
        put(8, 8, OUT + 8);
        expect(SNP_FEATURE_INFO, FW_SUCCESS, "features");
        for (int i = 0; i < 64; i++) {
            CHECK(mem[OUT + i] == (i < 8 || i >= 24 ? 0x5a : 0), "byte %d",
                  i);
        }
    }
}

/* A list costs the firmware no more than all pages once. */
static void test_long_list(void)
{
    static const struct { uint64_t base, pages; uint32_t want; } more[] = {
        { NOWHERE, 0x300000, FW_INVALID_PAGE_STATE },
        { MEM_SIZE, 1, FW_INVALID_PAGE_STATE },
        { MEM_SIZE - 0x1000, 1, FW_INVALID_PARAM },
        { MEM_SIZE - 0x1000, 0x300000, FW_INVALID_PARAM },
        { 0, 0, FW_INVALID_PAGE_STATE },
        { 0, 1, FW_INVALID_PARAM },
        { 0, 0x300000, FW_INVALID_PARAM },
    };

    for (unsigned i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        swappable();
        mem[LIST] = 2;
        put_range(0, 0, NPAGES);
        put_range(1, more[i].base, more[i].pages);
        put(0, 4, 16);
        put(8, 8, LIST);
        expect(SNP_PAGE_SET_STATE, more[i].want, "all pages, and more");
    }
}

/* Storage is begun anew once, and then known again; only by this chip. */
static void test_init_ex(void)
{
    static const unsigned after[] = { 0x70, 0xfff, 0x1000, 0x5678, 0x7fff };

    for (unsigned j = 0; j < 0x70 + sizeof(after) / sizeof(after[0]); j++) {
        const uint64_t nv = PAGE2 + 0x100;      /* anywhere */
        const unsigned at = j < 0x70 ? j : after[j - 0x70];

        power_on();
        for (int turn = 0; turn < 6; turn++) {
            put(0, 4, 36);
            put(4, 4, 1);
            put(8, 8, TMR);
            put(16, 4, 0x200000);
            put(24, 8, nv);
            put(32, 4, 0x8000);
            if (turn == 0 || turn == 4) {
                memset(mem + nv, 0xff, 0x8000);
            }
            if (turn == 2 || turn == 4) {
                mem[nv + at] ^= 1;
                memset(mem + nv + 0x8000, 0xee, 0x1000);
                memcpy(mem + CMDBUF, cb, sizeof(cb));
                snap();
                CHECK(run(SEV_INIT_EX) == FW_SECURE_DATA_INVALID, "%x", at);
                CHECK(memcmp(old_mem + nv, mem + nv, 0x8000), "begun anew");
                memcpy(old_mem + nv, mem + nv, 0x8000);
                CHECK(unchanged() && fw.sev_state == SEV_UNINIT &&
                      !fw.tmr.npages, "refused, and more changed");
                continue;
            }
            expect(SEV_INIT_EX, FW_SUCCESS, "init");
            CHECK(fw.sev_state == SEV_INITED && fw.sev_es, "init");
            for (int i = 0x70; i < 0x8000; i++) {
                if (mem[nv + i]) {
                    CHECK(false, "byte %x", i);
                    break;
                }
            }
            expect(SEV_SHUTDOWN, FW_SUCCESS, "down");
        }
        fw.cfg.chip_secret[1] ^= 1;
        put(0, 4, 36);
        put(24, 8, nv);
        put(32, 4, 0x8000);
        CHECK(run(SEV_INIT_EX) == FW_SECURE_DATA_INVALID, "another chip");
    }
    power_on();
    put(0, 4, 36);
    put(4, 4, 1);
    put(8, 8, TMR);
    put(16, 4, 0x200000);
    put(24, 8, TMR + 0x1ff000);
    put(32, 4, 0x8000);
    expect(SEV_INIT_EX, FW_INVALID_ADDRESS, "storage in the TMR");
}

int main(void)
{
    static const KtapCase cases[] = {
        { "swap: out and in", test_round_trip },
        { "swap: authenticated", test_authentic },
        { "swap: metadata", test_metadata },
        { "swap: in any order", test_any_order },
        { "swap: PAGE_MOVE", test_move },
        { "swap: PAGE_UNSMASH", test_unsmash },
        { "swap: SNP_DBG_DECRYPT, SNP_DBG_ENCRYPT", test_debug },
        { "swap: in the clear", test_in_the_clear },
        { "fw: PAGE_SET_STATE", test_set_state },
        { "fw: long lists of pages", test_long_list },
        { "fw: FEATURE_INFO", test_feature_info },
        { "fw: INIT_EX", test_init_ex },
    };

    return ktap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
