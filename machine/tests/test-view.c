/*
 * Unit test of memory encryption: RMP, firmware and cipher together
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * DRAM, that is what outsiders see of a page, changes only when somebody
 * writes to it: never because the page changed hands.
 */
#include "swap-bench.h"

#define ASID       3u
#define OTHER_ASID 5u
#define GPA        0x100000ull
#define TARGET2    0x0b000ull
#define TARGET3    0x0c000ull

typedef struct Page {
    uint8_t b[RMP_PAGE_SIZE];
} Page;

static Page ram(uint64_t spa)
{
    Page p;

    memcpy(p.b, mem + spa, sizeof(p.b));
    return p;
}

static Page dram(uint64_t spa)
{
    Page p;

    CHECK(snp_view_read(&view, spa, p.b, sizeof(p.b)), "%llx",
          (unsigned long long)spa);
    return p;
}

static bool same(Page a, Page b)
{
    return !memcmp(a.b, b.b, sizeof(a.b));
}

/* No block of one is that block of the other. */
static bool unlike(Page a, Page b)
{
    for (unsigned i = 0; i < sizeof(a.b); i += CIPHER_BLOCK) {
        if (!memcmp(a.b + i, b.b + i, CIPHER_BLOCK)) {
            return false;
        }
    }
    return true;
}

static Page text(uint8_t seed)
{
    Page p;

    for (unsigned i = 0; i < sizeof(p.b); i++) {
        p.b[i] = i / CIPHER_BLOCK + i * 7 + seed;
    }
    return p;
}

static void write_ram(uint64_t spa, Page p)
{
    memcpy(mem + spa, p.b, sizeof(p.b));
}

static void load(uint32_t asid, uint8_t seed)
{
    uint8_t key[CIPHER_KEY_LEN];

    for (unsigned i = 0; i < sizeof(key); i++) {
        key[i] = seed * 3 + i * 5;
    }
    snp_view_load_key(&view, asid, key);
}

static int update(uint64_t spa, RmpState s, uint32_t asid, bool size_2m)
{
    RmpUpdate u = {
        .gpa = s >= RMP_METADATA ? 0x40000000 : 0,
        .assigned = s != RMP_HYPERVISOR,
        .pagesize = size_2m,
        .immutable = s == RMP_FIRMWARE || s == RMP_METADATA ||
                     s == RMP_PRE_GUEST,
        .asid = s == RMP_PRE_GUEST || s == RMP_GUEST_INVALID ? asid : 0,
    };

    return rmp_update(&rmp, spa, &u);
}

/* What RMPUPDATE can lead to, with each of two ASIDs */
static const struct { RmpState s; uint32_t asid; } targets[] = {
    { RMP_HYPERVISOR, 0 }, { RMP_RECLAIM, 0 }, { RMP_FIRMWARE, 0 },
    { RMP_METADATA, 0 }, { RMP_PRE_GUEST, ASID }, { RMP_PRE_GUEST, OTHER_ASID },
    { RMP_GUEST_INVALID, ASID }, { RMP_GUEST_INVALID, OTHER_ASID },
};

#define NTARGETS (sizeof(targets) / sizeof(targets[0]))

static uint32_t key_in(RmpState s, uint32_t asid)
{
    return s == RMP_GUEST_INVALID || s == RMP_GUEST_VALID ||
           s == RMP_PRE_SWAP ? asid : 0;
}

/* RAM shows what the state says, and outsiders see @was. */
static void check_page(uint64_t spa, RmpState s, uint32_t asid, Page was,
                       const char *what)
{
    uint32_t key = key_in(s, asid);
    Page in = ram(spa);

    CHECK(same(dram(spa), was), "%s, to %s: outsiders see something new", what,
          rmp_state_name(s));
    CHECK(snp_view_enciphered(&view, spa) == !!key, "%s", what);
    if (key) {
        snp_view_encrypt(&view, key, spa, in.b, sizeof(in.b));
        CHECK(same(in, was) && unlike(ram(spa), was), "%s, to %s of %u", what,
              rmp_state_name(s), asid);
    } else {
        CHECK(same(in, was), "%s, to %s", what, rmp_state_name(s));
    }
}

static void test_update(void)
{
    for (unsigned size = 0; size < 2; size++) {
        for (unsigned from = 0; from < NTARGETS; from++) {
            for (unsigned to = 0; to < NTARGETS; to++) {
                uint64_t spa = size ? LARGE : TARGET;
                uint64_t last = spa + (size ? RMP_2M_SIZE - RMP_PAGE_SIZE : 0);
                Page a = text(1), b = text(2);
                RmpState s = targets[to].s;
                uint32_t asid = targets[to].asid;

                power_on();
                load(ASID, 1);
                load(OTHER_ASID, 2);
                write_ram(spa, a);
                write_ram(last, size ? b : a);
                CHECK(!update(spa, targets[from].s, targets[from].asid, size),
                      "set-up");
                check_page(spa, targets[from].s, targets[from].asid, a, "set");
                if (update(spa, s, asid, size)) {
                    /* immutable: refused, and nothing moved */
                    s = targets[from].s;
                    asid = targets[from].asid;
                    CHECK(s == RMP_FIRMWARE || s == RMP_METADATA ||
                          s == RMP_PRE_GUEST, "%s", rmp_state_name(s));
                }
                CHECK(state_of(spa) == s, "%s", rmp_state_name(s));
                check_page(spa, s, asid, a, "first");
                if (size) {
                    check_page(last, s, asid, b, "last");
                }
            }
        }
    }
}

/* PSMASH, PVALIDATE and RMPADJUST move no byte. */
static void test_same_hands(void)
{
    uint64_t at = LARGE + 5 * RMP_PAGE_SIZE;
    Page a = text(3), in;
    bool unchanged;
    int code;

    power_on();
    load(ASID, 1);
    write_ram(at, a);
    CHECK(!update(LARGE, RMP_GUEST_INVALID, ASID, true), "set-up");
    in = ram(at);
    CHECK(!rmp_psmash(&rmp, LARGE), "PSMASH");
    CHECK(same(in, ram(at)) && same(a, dram(at)), "PSMASH");
    for (int i = 1; i >= 0; i--) {
        CHECK(rmp_pvalidate(&rmp, at, 0x40005000, ASID, false, false, i,
                            &code, &unchanged) == RMP_ALLOW && !code, "%d", i);
        CHECK(same(in, ram(at)) && same(a, dram(at)), "PVALIDATE %d", i);
    }
}

static void test_keys(void)
{
    Page a = text(4), in, in2;

    /* assigned before there is a key */
    power_on();
    write_ram(TARGET, a);
    write_ram(TARGET2, a);
    CHECK(!update(TARGET, RMP_GUEST_INVALID, ASID, false), "set-up");
    CHECK(!update(TARGET2, RMP_GUEST_INVALID, OTHER_ASID, false), "set-up");
    CHECK(same(ram(TARGET), a) && !snp_view_enciphered(&view, TARGET),
          "no key, no cipher");
    load(ASID, 1);
    check_page(TARGET, RMP_GUEST_INVALID, ASID, a, "key loaded");
    in = ram(TARGET);
    CHECK(same(ram(TARGET2), a), "another ASID's page");

    /* one key for another: no byte of DRAM changes, all of the guest's do */
    load(ASID, 2);
    check_page(TARGET, RMP_GUEST_INVALID, ASID, a, "key replaced");
    CHECK(unlike(in, ram(TARGET)), "key replaced");
    load(OTHER_ASID, 2);
    check_page(TARGET2, RMP_GUEST_INVALID, OTHER_ASID, a, "the other's key");
    in2 = ram(TARGET2);
    CHECK(unlike(in2, ram(TARGET)), "the same key, another address");
    snp_view_encrypt(&view, OTHER_ASID, TARGET2 + 32, in2.b + 32, 48);
    CHECK(!memcmp(in2.b + 32, a.b + 32, 48), "three blocks of it");
    snp_view_decrypt(&view, OTHER_ASID, TARGET2 + 32, in2.b + 32, 48);
    CHECK(same(in2, ram(TARGET2)), "and back");

    /* dropped: both see DRAM */
    CHECK(snp_view_drop_keys(&view), "there were two");
    CHECK(!snp_view_drop_keys(&view), "there is none");
    CHECK(same(ram(TARGET), a) && same(dram(TARGET), a), "key dropped");
    CHECK(same(ram(TARGET2), a) && same(dram(TARGET2), a), "and the other's");

    /* the switch */
    in_the_clear = true;
    power_on();
    in_the_clear = false;
    CHECK(!rmp.rekey, "off: the RMP has nobody to tell");
    load(ASID, 1);
    write_ram(TARGET, a);
    CHECK(!update(TARGET, RMP_GUEST_INVALID, ASID, false), "set-up");
    CHECK(same(ram(TARGET), a) && same(dram(TARGET), a) &&
          !snp_view_enciphered(&view, TARGET), "off");

    /* ASIDs that no entry can have */
    power_on();
    load(0, 1);
    load(RMP_ASID_LIMIT + 1, 1);
    CHECK(!snp_view_drop_keys(&view), "no such ASID");
}

/* Reads of any length and alignment; what is not memory */
static void test_read(void)
{
    uint8_t buf[2 * RMP_PAGE_SIZE], want[2 * RMP_PAGE_SIZE];
    uint64_t reads;

    power_on();
    load(ASID, 1);
    write_ram(TARGET, text(5));
    write_ram(TARGET + RMP_PAGE_SIZE, text(6));
    CHECK(!update(TARGET, RMP_GUEST_INVALID, ASID, false), "set-up");
    write_ram(TARGET, text(7));
    CHECK(snp_view_read(&view, TARGET, want, sizeof(want)), "two pages");
    CHECK(!memcmp(want + RMP_PAGE_SIZE, mem + TARGET + RMP_PAGE_SIZE,
                  RMP_PAGE_SIZE), "the second is nobody's");
    for (unsigned at = 0; at < RMP_PAGE_SIZE; at += 3) {
        for (unsigned len = 1; len < 70; len += at % 5 + 1) {
            CHECK(snp_view_read(&view, TARGET + at, buf, len) &&
                  !memcmp(buf, want + at, len), "%u + %u", at, len);
        }
    }
    reads = view.stats.reads;
    CHECK(snp_view_read(&view, TARGET, buf, 16) &&
          view.stats.reads == reads + 1, "counted");
    CHECK(snp_view_read(&view, TARGET + RMP_PAGE_SIZE, buf, 16) &&
          view.stats.reads == reads + 1, "not of ciphertext");
    CHECK(!snp_view_read(&view, NOWHERE, buf, 1), "no memory");
    CHECK(!snp_view_read(&view, MEM_SIZE - 8, buf, 16), "runs off the end");
}

/* ---- the firmware's commands ---- */

static void launch(int type, Page p)
{
    arg_update(type, TARGET, false);
    write_ram(TARGET, p);
    expect(SNP_LAUNCH_UPDATE, FW_SUCCESS, "set-up");
}

/* The guest sees what was measured, everybody else ciphertext. */
static void test_launch_update(void)
{
    for (int type = 1; type <= 6; type++) {
        Page p = text(8), first, again;

        guest(G_LAUNCH_ACTIVE);
        if (type == 2) {
            p.b[0x3b0] = 1;
            p.b[0x0ca] = 0;
        } else if (type == 3) {
            memset(p.b, 0, sizeof(p.b));
        } else if (type == 6) {
            memset(p.b, 0, sizeof(p.b));
            p.b[0] = 1;
        }
        launch(type, type == 3 ? text(9) : p);
        CHECK(state_of(TARGET) == RMP_GUEST_VALID, "%d", type);
        if (type == 5) {
            /* secrets: neither what lay there nor open to others */
            p = ram(TARGET);
            CHECK(p.b[0] == 3 && unlike(p, text(8)), "secrets");
        }
        CHECK(same(ram(TARGET), p), "%d: the guest's page", type);
        first = dram(TARGET);
        CHECK(unlike(first, p), "%d: outsiders see it in the clear", type);
        again = dram(TARGET);
        CHECK(same(first, again), "%d: the same each time", type);

        /* given back: for good */
        CHECK(!update(TARGET, RMP_HYPERVISOR, 0, false), "%d", type);
        CHECK(same(ram(TARGET), first), "%d: the host gets it back", type);
    }
}

/* Until then it is what the host put there, and after a refusal too. */
static void test_refused(void)
{
    Page p = text(10);

    guest(G_LAUNCH_ACTIVE);
    write_ram(TARGET, p);
    CHECK(same(dram(TARGET), p), "Pre-guest");
    arg_update(2, TARGET, false);       /* not a VMSA of an SNP guest */
    p.b[0x3b0] = 0;
    write_ram(TARGET, p);
    expect(SNP_LAUNCH_UPDATE, FW_INVALID_PARAM, "VMSA");
    CHECK(same(dram(TARGET), p), "refused");
    put(0, 8, TARGET);
    expect(SNP_PAGE_RECLAIM, FW_SUCCESS, "Pre-guest");
    CHECK(same(ram(TARGET), p) && same(dram(TARGET), p), "reclaimed");
}

static void test_launch_2m(void)
{
    uint64_t last = LARGE + RMP_2M_SIZE - RMP_PAGE_SIZE;
    RmpEntry e = { .assigned = true, .immutable = true, .size_2m = true,
                   .asid = ASID, .gpa = 0x400000 };
    Page a = text(11);

    guest(G_LAUNCH_ACTIVE);
    rmp_fw_set(&rmp, LARGE, &e);
    write_ram(LARGE, a);
    write_ram(last, a);
    arg_update(1, LARGE, true);
    expect(SNP_LAUNCH_UPDATE, FW_SUCCESS, "2M");
    CHECK(same(ram(LARGE), a) && same(ram(last), a), "the guest's pages");
    CHECK(unlike(dram(LARGE), a) && unlike(dram(last), a), "the others'");
    CHECK(unlike(dram(LARGE), dram(last)), "addresses differ");
}

/* The same page at the same place, for another guest: another ciphertext */
static void test_guests_differ(void)
{
    Page a = text(12), first, second;

    guest(G_LAUNCH_ACTIVE);
    launch(1, a);
    first = dram(TARGET);
    CHECK(!update(TARGET, RMP_HYPERVISOR, 0, false), "given back");

    set_page(GCTX2, RMP_FIRMWARE, 0, 0);
    put(0, 8, GCTX2);
    expect(SNP_GCTX_CREATE, FW_SUCCESS, "second guest");
    random_at++;        /* the bench's random bytes recur after 256 */
    put(0, 8, GCTX2);
    put(8, 8, 0x30000);
    expect(SNP_LAUNCH_START, FW_SUCCESS, "second guest");
    put(0, 8, GCTX2);
    put(8, 4, OTHER_ASID);
    expect(SNP_ACTIVATE, FW_SUCCESS, "second guest");
    write_ram(TARGET, a);
    set_page(TARGET, RMP_PRE_GUEST, OTHER_ASID, GPA);
    put(0, 8, GCTX2);
    put(8, 4, 1 << 1);
    put(16, 8, TARGET);
    expect(SNP_LAUNCH_UPDATE, FW_SUCCESS, "second guest");
    second = dram(TARGET);
    CHECK(same(ram(TARGET), a) && unlike(second, a), "enciphered");
    CHECK(unlike(first, second), "by another key");
}

/*
 * A guest's key outlives it until its ASID is flushed, and no longer. If it
 * runs on, it has a key that is neither its own nor the next guest's.
 */
static void test_decommission(void)
{
    Page a = text(13), b = text(24), seen, late;
    uint8_t key[CIPHER_KEY_LEN];

    guest(G_RUNNING_ACTIVE);
    memcpy(key, fw.guests[0].vek, sizeof(key));
    set_page(TARGET, RMP_GUEST_VALID, ASID, GPA);
    write_ram(TARGET, a);
    set_page(TARGET2, RMP_GUEST_VALID, ASID, GPA);
    write_ram(TARGET2, a);
    seen = dram(TARGET);
    CHECK(unlike(seen, a), "enciphered");
    put(0, 8, GCTX);
    expect(SNP_DECOMMISSION, FW_SUCCESS, "first");
    CHECK(same(dram(TARGET), seen), "outsiders see no change");
    CHECK(!update(TARGET, RMP_HYPERVISOR, 0, false), "given back");
    CHECK(same(ram(TARGET), seen), "as ciphertext");

    seen = dram(TARGET2);
    wbinvd_done = false;
    expect(SNP_DF_FLUSH, FW_WBINVD_REQUIRED, "caches");
    CHECK(snp_view_enciphered(&view, TARGET2), "the key is still there");
    wbinvd_done = true;
    expect(SNP_DF_FLUSH, FW_SUCCESS, "caches");
    CHECK(same(dram(TARGET2), seen), "outsiders see no change");
    CHECK(unlike(ram(TARGET2), a) && unlike(ram(TARGET2), seen),
          "what is left of a guest is rubbish, to itself, too");
    write_ram(TARGET2, b);
    late = dram(TARGET2);
    CHECK(unlike(late, b), "what it still writes is ciphertext");
    snp_view_load_key(&view, ASID, key);
    CHECK(same(dram(TARGET2), late) && unlike(ram(TARGET2), b),
          "by another key than its own");
    CHECK(!update(TARGET2, RMP_HYPERVISOR, 0, false), "given back");
    CHECK(same(ram(TARGET2), late), "as ciphertext");

    /* an ASID that is not dirty keeps its key */
    load(OTHER_ASID, 7);
    CHECK(!update(TARGET2, RMP_GUEST_INVALID, OTHER_ASID, false), "set-up");
    seen = ram(TARGET2);
    expect(SNP_DF_FLUSH, FW_SUCCESS, "again");
    CHECK(same(ram(TARGET2), seen), "not flushed");
}

static void test_reset(void)
{
    Page a = text(16), seen;

    guest(G_RUNNING_ACTIVE);
    set_page(TARGET, RMP_GUEST_VALID, ASID, GPA);
    write_ram(TARGET, a);
    seen = dram(TARGET);
    CHECK(unlike(seen, a), "enciphered");
    snp_fw_reset(&fw);
    CHECK(same(ram(TARGET), seen) && same(dram(TARGET), seen),
          "after a reset it is ciphertext, to all");
    CHECK(!snp_view_drop_keys(&view), "no key is left");
}

/*
 * DRAM is ciphertext, whether SNP is on or not: a page that was left to a guest,
 * to all, until the RMP is made anew and afterwards; one of a SEV guest's, too
 */
static void test_shutdown(void)
{
    Page a = text(24), seen, claimed;

    for (int x86 = 0; x86 < 2; x86++) {
        guest(G_RUNNING_ACTIVE);
        view.in_force = &fw.rmp_inited;
        set_page(TARGET, RMP_GUEST_VALID, ASID, GPA);
        write_ram(TARGET, a);
        load(OTHER_ASID, 7);
        CHECK(snp_view_claim(&view, OTHER_ASID, TARGET3), "claimed");
        write_ram(TARGET3, a);
        claimed = dram(TARGET3);
        put(0, 8, GCTX);
        expect(SNP_DECOMMISSION, FW_SUCCESS, "end");
        wbinvd_done = true;
        expect(SNP_DF_FLUSH, FW_SUCCESS, "flush");
        seen = dram(TARGET);
        CHECK(unlike(seen, a) && unlike(seen, ram(TARGET)), "enciphered");
        fw.cfg.x86_shutdown = x86;
        put(0, 4, 8);
        put(4, 4, x86 ? 3 : 1);
        expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "shutdown");
        CHECK(same(dram(TARGET), seen), "outsiders see no change");
        CHECK(snp_view_space(&view, TARGET, 0) ==
              (x86 ? SNP_SPACE_RAM : SNP_SPACE_OUTSIDE), "by which way");
        CHECK(same(ram(TARGET), seen) == x86, "where it is");
        CHECK(same(ram(TARGET3), a) && same(dram(TARGET3), claimed),
              "a SEV guest's page, and its key");
        load(ASID, 9);
        CHECK(same(dram(TARGET), seen), "and the ASID's next guest");
        CHECK(same(ram(TARGET), seen) == x86, "neither does that");
        cpus_ready = true;
        put(0, 4, 1);
        expect(SNP_INIT_EX, FW_SUCCESS, "init");
        CHECK(same(dram(TARGET), seen) && same(ram(TARGET), seen),
              "nor the next SNP_INIT_EX");
    }
}

/* SNP_INIT_EX takes every page away from its owner. */
static void test_init(void)
{
    Page a = text(14), seen;

    power_on();
    load(ASID, 1);
    CHECK(!update(TARGET, RMP_GUEST_INVALID, ASID, false), "set-up");
    write_ram(TARGET, a);
    seen = dram(TARGET);
    put(0, 4, 1);
    expect(SNP_INIT_EX, FW_SUCCESS, "init");
    CHECK(state_of(TARGET) == RMP_HYPERVISOR, "everybody's");
    CHECK(unlike(seen, a) && same(ram(TARGET), seen), "ciphertext stays");
}

/* Any page with any key that the firmware takes over */
static void test_reclaim(void)
{
    Page a = text(15), seen;

    guest(G_RUNNING_ACTIVE);
    set_page(TARGET, RMP_PRE_SWAP, ASID, GPA);
    write_ram(TARGET, a);
    seen = dram(TARGET);
    CHECK(unlike(seen, a), "Pre-swap is the guest's");
    put(0, 8, TARGET);
    expect(SNP_PAGE_RECLAIM, FW_SUCCESS, "Pre-swap");
    CHECK(same(ram(TARGET), seen), "reclaimed as ciphertext");
}

/* The firmware's own page: nothing in it is in the clear, and it counts. */
static void test_context(void)
{
    Page first, zero = { { 0 } };
    uint8_t was;

    guest(G_INIT);
    first = ram(GCTX);
    CHECK(unlike(first, zero), "no block of zeros");
    CHECK(memcmp(first.b, "SNPGCTX", 7), "in the clear");
    CHECK(same(dram(GCTX), first), "to all");
    CHECK(memcmp(fw.mem_key, zero.b, sizeof(fw.mem_key)), "with a key");
    was = mem[GCTX];
    mem[GCTX] ^= 1;
    arg_launch_start();
    expect(SNP_LAUNCH_START, FW_INVALID_GUEST, "one bit of its context");
    mem[GCTX] = was;
    arg_launch_start();
    expect(SNP_LAUNCH_START, FW_SUCCESS, "as it was");
    put(0, 8, GCTX);
    expect(SNP_DECOMMISSION, FW_SUCCESS, "end");
    CHECK(same(ram(GCTX), zero), "nothing is left");
}

/* What firmware is told to read of a guest's is ciphertext to it, too. */
static void test_request(void)
{
    Page p = { { 0 } };

    guest(G_RUNNING_ACTIVE);
    set_page(TARGET, RMP_GUEST_VALID, ASID, GPA);
    /* a header whose key is tried, were it read in the clear */
    p.b[0x20] = 1;
    p.b[0x30] = 1;
    p.b[0x31] = 1;
    p.b[0x32] = 0x60;
    write_ram(TARGET, p);
    put(0, 8, GCTX);
    put(8, 8, TARGET);
    put(16, 8, OUT);
    expect(SNP_GUEST_REQUEST, FW_INVALID_PARAM, "private request");
    set_page(TARGET, RMP_HYPERVISOR, 0, 0);
    write_ram(TARGET, p);
    put(0, 8, GCTX);
    put(8, 8, TARGET);
    put(16, 8, OUT);
    expect(SNP_GUEST_REQUEST, FW_BAD_MEASUREMENT, "shared request");
}

/* ---- debugging, moving, swapping ---- */

/* A page of a running guest that the host has made immutable; as it was */
static Page held(uint64_t spa, Page p)
{
    Page seen;

    set_page(spa, RMP_GUEST_VALID, ASID, GPA);
    write_ram(spa, p);
    seen = dram(spa);
    set_page(spa, RMP_PRE_GUEST, ASID, GPA);
    CHECK(same(ram(spa), seen) && unlike(seen, p), "held, it is ciphertext");
    return seen;
}

/* The guest has its content there, and nobody else. */
static void check_guests(uint64_t spa, Page p, Page elsewhere)
{
    RmpState s = state_of(spa);

    CHECK(s == RMP_GUEST_INVALID || s == RMP_GUEST_VALID, "%s",
          rmp_state_name(s));
    CHECK(same(ram(spa), p), "the guest's own");
    CHECK(unlike(dram(spa), p) && unlike(dram(spa), elsewhere),
          "enciphered for where it is now");
}

static void test_move(void)
{
    Page a = text(17), seen;

    for (int pre_swap = 0; pre_swap < 2; pre_swap++) {
        swappable();
        set_page(TARGET2, RMP_PRE_GUEST, ASID, GPA);
        if (pre_swap) {
            set_page(TARGET, RMP_PRE_SWAP, ASID, GPA);
            write_ram(TARGET, a);
            seen = dram(TARGET);
        } else {
            seen = held(TARGET, a);
        }
        arg_move(TARGET, TARGET2, false);
        expect(SNP_PAGE_MOVE, FW_SUCCESS, "move");
        check_guests(TARGET2, a, seen);
        CHECK(same(ram(TARGET), seen) && same(dram(TARGET), seen),
              "what it leaves behind is ciphertext");
    }
}

static void test_move_2m(void)
{
    uint64_t last = RMP_2M_SIZE - RMP_PAGE_SIZE;
    Page a = text(18), b = text(19), seen;

    swappable();
    large(LARGE, RMP_PRE_SWAP);
    large(TMR, RMP_PRE_GUEST);
    write_ram(LARGE, a);
    write_ram(LARGE + last, b);
    seen = dram(LARGE + last);
    arg_move(LARGE, TMR, true);
    expect(SNP_PAGE_MOVE, FW_SUCCESS, "2M");
    check_guests(TMR, a, ram(LARGE));
    check_guests(TMR + last, b, seen);
    CHECK(same(ram(LARGE + last), seen), "what it leaves behind");
}

static void test_swap(void)
{
    Page a = text(20), seen, out, other = text(21);

    for (int pre_swap = 0; pre_swap < 2; pre_swap++) {
        swappable();
        if (pre_swap) {
            set_page(TARGET, RMP_PRE_SWAP, ASID, GPA);
            write_ram(TARGET, a);
            seen = dram(TARGET);
        } else {
            seen = held(TARGET, a);
        }
        arg_swap_out(TARGET, OUT, MDATA, 0);
        expect(SNP_PAGE_SWAP_OUT, FW_SUCCESS, "out");
        out = ram(OUT);
        CHECK(same(dram(OUT), out) && unlike(out, a) && unlike(out, seen),
              "sealed, with another key than memory's");
        CHECK(same(ram(TARGET), seen) && same(dram(TARGET), seen),
              "what it leaves behind is ciphertext");

        /* what is refused is not touched */
        set_page(TARGET2, RMP_PRE_GUEST, ASID, GPA);
        write_ram(TARGET2, other);
        mem[OUT + 77] ^= 1;
        arg_swap_in(OUT, TARGET2, MDATA, 0);
        expect(SNP_PAGE_SWAP_IN, FW_BAD_MEASUREMENT, "a bit of it");
        CHECK(same(ram(TARGET2), other), "refused");
        mem[OUT + 77] ^= 1;
        arg_swap_in(OUT, TARGET2, MDATA, 0);
        expect(SNP_PAGE_SWAP_IN, FW_SUCCESS, "in");
        check_guests(TARGET2, a, seen);
    }
}

static void test_debug(void)
{
    Page a = text(22), b = text(23), seen;

    swappable();
    fw.guests[0].policy |= 1 << 19;
    set_page(TARGET, RMP_GUEST_VALID, ASID, GPA);
    write_ram(TARGET, a);
    seen = dram(TARGET);
    put(0, 8, GCTX);
    put(8, 8, TARGET);
    put(16, 8, OUT);
    expect(SNP_DBG_DECRYPT, FW_SUCCESS, "of a running guest");
    CHECK(same(dram(OUT), a), "who debugs reads plaintext");
    CHECK(same(ram(TARGET), a) && same(dram(TARGET), seen), "a copy");
    set_page(TARGET, RMP_PRE_GUEST, ASID, GPA);
    put(0, 8, GCTX);
    put(8, 8, TARGET);
    put(16, 8, OUT);
    expect(SNP_DBG_DECRYPT, FW_SUCCESS, "of a page held");
    CHECK(same(dram(OUT), a), "who debugs reads plaintext");

    set_page(OUT, RMP_HYPERVISOR, 0, 0);
    write_ram(OUT, b);
    put(0, 8, GCTX);
    put(8, 8, OUT);
    put(16, 8, TARGET);
    expect(SNP_DBG_ENCRYPT, FW_SUCCESS, "to a page held");
    CHECK(unlike(dram(TARGET), b) && unlike(dram(TARGET), seen), "ciphertext");
    seen = dram(TARGET);
    set_page(TARGET, RMP_GUEST_VALID, ASID, GPA);
    CHECK(same(ram(TARGET), b) && same(dram(TARGET), seen), "for the guest");
}

/* The host keeps INIT_EX's storage: it is read and written as it is. */
static void test_init_ex(void)
{
    Page blank, seen;

    memset(blank.b, 0xff, sizeof(blank.b));
    for (int theirs = 0; theirs < 2; theirs++) {
        guest(G_RUNNING_ACTIVE);
        for (int i = 0; i < 8; i++) {
            uint64_t at = PAGE2 + i * RMP_PAGE_SIZE;

            set_page(at, theirs ? RMP_GUEST_VALID : RMP_FIRMWARE, ASID, GPA);
            write_ram(at, blank);
            set_page(at, RMP_FIRMWARE, 0, 0);
        }
        put(0, 4, 36);
        put(24, 8, PAGE2);
        put(32, 4, 0x8000);
        /* a guest's blank page is none to others */
        CHECK(run(SEV_INIT_EX) ==
              (theirs ? FW_SECURE_DATA_INVALID : FW_SUCCESS), "%d", theirs);
        seen = dram(PAGE2);
        CHECK(same(ram(PAGE2), seen), "%d", theirs);
        put(0, 4, 36);
        put(24, 8, PAGE2);
        put(32, 4, 0x8000);
        expect(theirs ? SEV_INIT_EX : SEV_SHUTDOWN, FW_SUCCESS, "known");
        CHECK(same(dram(PAGE2), seen), "%d", theirs);
    }
}

/* As a machine that is loaded: its memory is there, and its RMP */
static void test_kept_keys(void)
{
    uint8_t first[CIPHER_KEY_LEN], key[CIPHER_KEY_LEN], other[CIPHER_KEY_LEN];
    Page a = text(1), seen;

    power_on();
    memset(key, 0x5a, sizeof(key));
    for (unsigned i = 0; i <= RMP_ASID_LIMIT; i++) {
        CHECK(!snp_view_key(&view, i, key) && key[i % sizeof(key)] == 0x5a,
              "ASID %u has no key", i);
    }
    load(ASID, 1);
    load(OTHER_ASID, 2);
    CHECK(snp_view_key(&view, ASID, first) &&
          snp_view_key(&view, OTHER_ASID, other) &&
          memcmp(first, other, sizeof(first)), "two keys");
    for (unsigned i = 0; i < sizeof(first); i++) {
        CHECK(first[i] == 3 + i * 5, "byte %u of the key is as it was given",
              i);
    }
    write_ram(TARGET, a);
    CHECK(!update(TARGET, RMP_GUEST_INVALID, ASID, false), "to the guest");
    write_ram(TARGET, a);
    seen = dram(TARGET);
    CHECK(unlike(seen, a), "enciphered");

    /* memory stays, and what others see of it follows the key */
    snp_view_set_key(&view, ASID, other);
    CHECK(same(ram(TARGET), a) && unlike(dram(TARGET), seen) &&
          unlike(dram(TARGET), a), "another key");
    CHECK(snp_view_key(&view, ASID, key) && !memcmp(key, other, sizeof(key)),
          "it is that");
    snp_view_set_key(&view, ASID, NULL);
    CHECK(same(ram(TARGET), a) && same(dram(TARGET), a), "none");
    CHECK(!snp_view_key(&view, ASID, key), "it has none");
    CHECK(snp_view_key(&view, OTHER_ASID, key) &&
          !memcmp(key, other, sizeof(key)), "the other ASID keeps its own");
    snp_view_set_key(&view, ASID, first);
    CHECK(same(ram(TARGET), a) && same(dram(TARGET), seen), "and back");
    snp_view_set_key(&view, RMP_ASID_LIMIT, first);
    CHECK(snp_view_key(&view, RMP_ASID_LIMIT, key) &&
          !memcmp(key, first, sizeof(key)), "the last ASID");
}

static const KtapCase cases[] = {
    { "memory view: RMPUPDATE from each state to each", test_update },
    { "memory view: what does not change hands", test_same_hands },
    { "memory view: keys come and go", test_keys },
    { "memory view: reads of outsiders", test_read },
    { "memory view: LAUNCH_UPDATE of each type", test_launch_update },
    { "memory view: LAUNCH_UPDATE refused", test_refused },
    { "memory view: LAUNCH_UPDATE of 2M", test_launch_2m },
    { "memory view: two guests, two keys", test_guests_differ },
    { "memory view: DECOMMISSION and DF_FLUSH", test_decommission },
    { "memory view: reset", test_reset },
    { "memory view: shutdown", test_shutdown },
    { "memory view: SNP_INIT_EX", test_init },
    { "memory view: PAGE_RECLAIM", test_reclaim },
    { "memory view: the Context page", test_context },
    { "memory view: messages are read as outsiders do", test_request },
    { "memory view: PAGE_MOVE", test_move },
    { "memory view: PAGE_MOVE of 2M", test_move_2m },
    { "memory view: SWAP_OUT and SWAP_IN", test_swap },
    { "memory view: DBG_DECRYPT and DBG_ENCRYPT", test_debug },
    { "memory view: storage of INIT_EX", test_init_ex },
    { "memory view: keys of a machine that is loaded", test_kept_keys },
};

int main(void)
{
    return ktap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
