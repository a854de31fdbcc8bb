/*
 * Unit test of memory encryption: guests without SNP, whose pages nobody owns
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * DRAM is computed beside, block by block, from what was written with which key.
 * Who has claimed a page must not be seen in it, by anybody.
 */
#include "session-bench.h"

#define SEV_ASID   MIN_SEV          /* of a SEV guest */
#define OTHER_ASID (MIN_SEV + 1)
#define SNP_ASID   3u
#define NPAGES_T   3u
#define FIRST      0x30000ull       /* the pages that are tried */
#define LEN        (NPAGES_T * RMP_PAGE_SIZE)

static const uint32_t whose[] = { 0, SEV_ASID, OTHER_ASID, SNP_ASID };

#define NWHOSE     (sizeof(whose) / sizeof(whose[0]))

static uint8_t dram[LEN];
static SnpCipher *cipher[RMP_ASID_LIMIT + 1];
static uint32_t owner_of[NPAGES_T], claimant[NPAGES_T];

static void load(uint32_t asid, uint8_t seed)
{
    uint8_t key[CIPHER_KEY_LEN];

    for (unsigned i = 0; i < sizeof(key); i++) {
        key[i] = seed * 7 + i * 3;
    }
    key[0] = asid;      /* no two have the same */
    CHECK(snp_view_load_key(&view, asid, key), "%u", asid);
    snp_cipher_free(cipher[asid]);
    cipher[asid] = snp_cipher_new(key);
    for (unsigned p = 0; p < NPAGES_T; p++) {
        claimant[p] = claimant[p] == asid ? 0 : claimant[p];
    }
}

/* DRAM, as this key shows it */
static void model_read(uint32_t asid, uint8_t out[LEN])
{
    memcpy(out, dram, LEN);
    for (unsigned p = 0; cipher[asid] && p < NPAGES_T; p++) {
        snp_cipher_decrypt(cipher[asid], FIRST + p * RMP_PAGE_SIZE, 0, 256,
                           out + p * RMP_PAGE_SIZE);
    }
}

/* Within a page */
static void model_write(uint32_t asid, unsigned at, const uint8_t *buf,
                        unsigned len)
{
    unsigned page = at / RMP_PAGE_SIZE * RMP_PAGE_SIZE;
    uint32_t own = owner_of[page / RMP_PAGE_SIZE];
    uint8_t now[LEN];

    /* of others' writes to its page the RMP lets none come so far */
    if (own && cipher[own] != cipher[asid]) {
        return;
    }
    model_read(asid, now);
    memcpy(now + at, buf, len);
    if (cipher[asid]) {
        snp_cipher_encrypt(cipher[asid], FIRST + page, 0, 256, now + page);
    }
    memcpy(dram + page, now + page, RMP_PAGE_SIZE);
}

/* All that can be seen is the model's, and RAM the holder's. */
static void check_all(const char *what, unsigned step)
{
    uint8_t want[LEN], got[LEN];

    for (unsigned i = 0; i < NWHOSE; i++) {
        model_read(whose[i], want);
        CHECK(snp_view_read_as(&view, whose[i], FIRST, got, LEN) &&
              !memcmp(want, got, LEN), "%s, step %u: as ASID %u sees it", what,
              step, whose[i]);
        for (unsigned p = 0; p < NPAGES_T; p++) {
            uint64_t spa = FIRST + p * RMP_PAGE_SIZE;
            uint32_t holder = owner_of[p] ? owner_of[p] : claimant[p];
            bool in_ram = cipher[holder] == cipher[whose[i]];
            SnpSpace s = snp_view_space(&view, spa, whose[i]);

            CHECK(s == (in_ram ? SNP_SPACE_RAM : cipher[whose[i]]
                        ? SNP_SPACE_KEYED : SNP_SPACE_OUTSIDE),
                  "%s, step %u: page %u, ASID %u: space %u", what, step, p,
                  whose[i], s);
            CHECK(!memcmp(mem + spa, want + p * RMP_PAGE_SIZE,
                          RMP_PAGE_SIZE) == in_ram,
                  "%s, step %u: page %u, RAM is ASID %u's", what, step, p,
                  holder);
        }
    }
    CHECK(snp_view_read(&view, FIRST, got, LEN) && !memcmp(dram, got, LEN),
          "%s, step %u: DRAM", what, step);
}

static uint32_t random_state;

static unsigned pick(unsigned n)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % n;
}

static void fresh(void)
{
    power_on();
    for (unsigned i = 0; i <= RMP_ASID_LIMIT; i++) {
        snp_cipher_free(cipher[i]);
        cipher[i] = NULL;
    }
    memset(owner_of, 0, sizeof(owner_of));
    memset(claimant, 0, sizeof(claimant));
    for (unsigned i = 0; i < LEN; i++) {
        dram[i] = mem[FIRST + i] = i * 11 + i / 256;
    }
}

static void any_write(void)
{
    uint32_t asid = whose[pick(NWHOSE)];
    unsigned at = pick(LEN), n = 1 + pick(70);
    uint8_t buf[70];

    n = n < LEN - at ? n : LEN - at;
    for (unsigned i = 0; i < n; i++) {
        buf[i] = pick(256);
    }
    CHECK(snp_view_write_as(&view, asid, FIRST + at, buf, n), "%u", at);
    for (unsigned done = 0; done < n;) {
        unsigned m = RMP_PAGE_SIZE - (at + done) % RMP_PAGE_SIZE;

        m = m < n - done ? m : n - done;
        model_write(asid, at + done, buf + done, m);
        done += m;
    }
}

static void any_claim(void)
{
    uint32_t asid = whose[pick(NWHOSE)];
    unsigned p = pick(NPAGES_T);
    bool may = !owner_of[p] && claimant[p] != asid &&
               (!asid || cipher[asid]);

    CHECK(snp_view_claim(&view, asid, FIRST + p * RMP_PAGE_SIZE + pick(4096))
          == may, "page %u of %u by %u", p, claimant[p], asid);
    claimant[p] = may ? asid : claimant[p];
}

static void any_owner(void)
{
    unsigned p = pick(NPAGES_T);
    RmpUpdate u = { .gpa = 0x100000, .assigned = 1, .asid = SNP_ASID };

    if (owner_of[p]) {
        u = (RmpUpdate){ 0 };
    }
    CHECK(!rmp_update(&rmp, FIRST + p * RMP_PAGE_SIZE, &u), "RMPUPDATE");
    owner_of[p] = u.asid;
    claimant[p] = 0;
}

/* Firmware and back: no key comes or goes, nor does a claim. */
static void any_firmware(void)
{
    unsigned p = pick(NPAGES_T);

    if (!owner_of[p]) {
        set_page(FIRST + p * RMP_PAGE_SIZE, RMP_FIRMWARE, 0, 0);
        set_page(FIRST + p * RMP_PAGE_SIZE, RMP_HYPERVISOR, 0, 0);
    }
}

static void test_walk(void)
{
    for (unsigned seed = 0; seed < 20; seed++) {
        random_state = seed;
        fresh();
        for (unsigned step = 0; step < 150; step++) {
            const char *what = "write";

            switch (pick(step < 5 ? 4 : 10)) {
            case 0:
                what = "key";
                load(whose[1 + pick(NWHOSE - 1)], pick(256));
                break;
            case 1:
                what = "owner";
                any_owner();
                break;
            case 2:
                what = "firmware";
                any_firmware();
                break;
            case 3 ... 6:
                what = "claim";
                any_claim();
                break;
            case 7:
                if (!pick(4)) {
                    bool any = false;

                    for (unsigned p = 0; p < NPAGES_T; p++) {
                        any |= !!claimant[p];
                        claimant[p] = 0;
                    }
                    what = "settle";
                    CHECK(snp_view_settle(&view) == any, "settle");
                    break;
                }
                /* fall through */
            default:
                any_write();
            }
            check_all(what, step);
        }
        /* no key survives, and no claim */
        snp_view_drop_keys(&view);
        CHECK(!memcmp(mem + FIRST, dram, LEN), "dropped");
    }
}

static void test_limits(void)
{
    uint8_t b[32] = { 1 };

    fresh();
    CHECK(!snp_view_claim(&view, SEV_ASID, FIRST), "an ASID without a key");
    load(SEV_ASID, 1);
    CHECK(!snp_view_claim(&view, SEV_ASID, NOWHERE), "no memory");
    CHECK(snp_view_space(&view, NOWHERE, SEV_ASID) == SNP_SPACE_RAM,
          "what is no memory has no key");
    CHECK(!snp_view_read_as(&view, SEV_ASID, NOWHERE, b, 1) &&
          !snp_view_write_as(&view, SEV_ASID, NOWHERE, b, 1), "no memory");
    CHECK(!snp_view_write_as(&view, 0, MEM_SIZE - 8, b, 16),
          "runs off the end");
    CHECK(mem[MEM_SIZE - 8] == 1, "what is memory was written");
    /* an RMP that is not in force owns nothing */
    set_page(FIRST, RMP_GUEST_VALID, SNP_ASID, 0x1000);
    load(SNP_ASID, 1);
    CHECK(snp_view_space(&view, FIRST, 0) == SNP_SPACE_OUTSIDE, "in force");
    view.in_force = &(bool){ false };
    CHECK(snp_view_space(&view, FIRST, 0) == SNP_SPACE_RAM, "SNP off");
    view.in_force = NULL;
    /* hidden from others than its owner, by whatever key */
    snp_view_hide(&view, SNP_ASID);
    CHECK(snp_view_space(&view, FIRST, SEV_ASID) == SNP_SPACE_OUTSIDE &&
          snp_view_space(&view, FIRST, SNP_ASID) == SNP_SPACE_RAM,
          "hidden");
    CHECK(snp_view_read_as(&view, SEV_ASID, FIRST, b, 2) && b[0] == 0xff &&
          b[1] == 0xff, "ones");
    memset(b, 0x55, sizeof(b));
    CHECK(snp_view_read_as(&view, SNP_ASID, FIRST, b, 2) &&
          !memcmp(b, mem + FIRST, 2), "not from its owner");

    /* the switch */
    in_the_clear = true;
    fresh();
    in_the_clear = false;
    CHECK(!snp_view_claim(&view, 0, FIRST) &&
          !snp_view_claim(&view, SEV_ASID, FIRST) && !snp_view_settle(&view),
          "off: nobody claims anything");
    CHECK(snp_view_write_as(&view, SEV_ASID, FIRST, b, 16) &&
          !memcmp(mem + FIRST, b, 16), "off: in the clear");
}

/* ---- the firmware's commands ---- */

static bool sees(uint32_t asid, uint64_t spa, const uint8_t *text, size_t len)
{
    uint8_t got[0x2000];

    return snp_view_read_as(&view, asid, spa, got, len) &&
           !memcmp(got, text, len);
}

/* In whole blocks of 16 nobody but the guest sees any of it. */
static bool enciphered(uint64_t spa, const uint8_t *text, size_t len)
{
    uint8_t got[0x2000];
    bool good = snp_view_read(&view, spa, got, len);

    for (size_t i = 0; i < len; i += CIPHER_BLOCK) {
        good &= !!memcmp(got + i, text + i, CIPHER_BLOCK);
    }
    return good;
}

static uint8_t text[0x2000];

static void launch(uint32_t asid, bool es, bool snp)
{
    power_on();
    if (snp) {
        init_snp();
        for (uint64_t p = FIRST; p < FIRST + LEN; p += RMP_PAGE_SIZE) {
            set_page(p, RMP_FIRMWARE, 0, 0);
        }
        set_page(TARGET, RMP_FIRMWARE, 0, 0);
    }
    init_sev(es);
    put(4, 4, es ? 4 : 0);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "set-up");
    put(0, 4, 1);
    put(4, 4, asid);
    expect(SEV_ACTIVATE, FW_SUCCESS, "set-up");
    for (unsigned i = 0; i < sizeof(text); i++) {
        text[i] = i * 5 + i / 128;
    }
}

static void update(uint32_t cmd, uint64_t spa, unsigned len)
{
    memcpy(mem + spa, text, len);
    put(0, 4, 1);
    put(8, 8, spa);
    put(16, 4, len);
    expect(cmd, FW_SUCCESS, "update");
}

static void measured(void)
{
    put(0, 4, 1);
    put(8, 8, OUT);
    put(16, 4, 48);
    expect(SEV_LAUNCH_MEASURE, FW_SUCCESS, "measure");
}

static void running(void)
{
    measured();
    put(0, 4, 1);
    expect(SEV_LAUNCH_FINISH, FW_SUCCESS, "finish");
}

static void test_launch(void)
{
    for (int i = 0; i < 4; i++) {
        bool es = i & 1, snp = i & 2;
        uint32_t asid = es ? SNP_ASID : SEV_ASID;
        Sha256 sum;
        uint8_t want[SHA256_LEN], got[SHA256_LEN];

        launch(asid, es, snp);
        update(SEV_LAUNCH_UPDATE_DATA, FIRST + 0xfe0, 0x1050);
        CHECK(sees(asid, FIRST + 0xfe0, text, 0x1050) &&
              enciphered(FIRST + 0xfe0, text, 0x1050), "%d: data", i);
        CHECK(!mem[FIRST + 0xfdf] && !mem[FIRST + 0x2030], "%d: beside it", i);
        sha256_init(&sum);
        sha256_add(&sum, text, 0x1050);
        if (es) {
            update(SEV_LAUNCH_UPDATE_VMSA, TARGET, 0x1000);
            CHECK(sees(asid, TARGET, text, 0x1000) &&
                  enciphered(TARGET, text, 0x1000), "%d: VMSA", i);
            sha256_add(&sum, text, 0x1000);
        }
        sha256_final(&sum, want);
        sha256_final(&fw.sev_guests[0].digest, got);
        CHECK(!memcmp(want, got, sizeof(got)), "%d: plaintext is measured", i);

        /* what the guest has claimed by then makes no difference */
        CHECK(snp_view_claim(&view, asid, FIRST), "%d", i);
        snp_view_write_as(&view, 0, FIRST, text, 64);
        put(0, 4, 1);
        put(8, 8, FIRST);
        put(16, 4, 64);
        expect(SEV_LAUNCH_UPDATE_DATA, FW_SUCCESS, "a claimed page");
        CHECK(sees(asid, FIRST, text, 64) && enciphered(FIRST, text, 64) &&
              !memcmp(mem + FIRST, text, 64), "%d: a claimed page", i);
    }
}

static void arg_debug(uint64_t from, uint64_t to, uint32_t len)
{
    put(0, 4, 1);
    put(8, 8, from);
    put(16, 8, to);
    put(24, 4, len);
}

static void test_debug(void)
{
    for (int claimed = 0; claimed < 2; claimed++) {
        launch(SEV_ASID, false, false);
        update(SEV_LAUNCH_UPDATE_DATA, FIRST, 0x2000);
        running();
        if (claimed) {
            CHECK(snp_view_claim(&view, SEV_ASID, FIRST), "set-up");
        }
        arg_debug(FIRST + 0xff0, OUT + 0x10, 0x40);
        expect(SEV_DBG_DECRYPT, FW_SUCCESS, "across a page's end");
        CHECK(!memcmp(mem + OUT + 0x10, text + 0xff0, 0x40), "plaintext");
        CHECK(enciphered(FIRST, text, 0x2000), "of a copy");
        memset(mem + OUT, 0x77, 0x40);
        arg_debug(OUT, FIRST + 0xfe0, 0x40);
        expect(SEV_DBG_ENCRYPT, FW_SUCCESS, "across a page's end");
        CHECK(sees(SEV_ASID, FIRST + 0xfe0, mem + OUT, 0x40) &&
              enciphered(FIRST + 0xfe0, mem + OUT, 0x40), "for the guest");
        CHECK(sees(SEV_ASID, FIRST, text, 0xfe0) &&
              sees(SEV_ASID, FIRST + 0x1020, text + 0x1020, 0xfe0),
              "and nothing beside it");
    }
}

/* A key outlives its guest until the flush, and is nobody's then. */
static void test_end(void)
{
    uint8_t raw[64], key[CIPHER_KEY_LEN], after[CIPHER_KEY_LEN];

    launch(SEV_ASID, false, false);
    update(SEV_LAUNCH_UPDATE_DATA, FIRST, 64);
    running();
    CHECK(snp_view_claim(&view, SEV_ASID, FIRST), "set-up");
    snp_view_read(&view, FIRST, raw, sizeof(raw));
    CHECK(snp_view_key(&view, SEV_ASID, key) &&
          !memcmp(key, fw.sev_guests[0].vek, sizeof(key)), "its key");
    put(0, 4, 1);
    expect(SEV_DEACTIVATE, FW_SUCCESS, "end");
    CHECK(!memcmp(mem + FIRST, raw, sizeof(raw)), "it claims nothing, and "
          "leaves ciphertext");
    CHECK(sees(SEV_ASID, FIRST, text, 64), "who has its ASID has its key");
    put(0, 4, 1);
    expect(SEV_DECOMMISSION, FW_SUCCESS, "end");
    CHECK(snp_view_claim(&view, SEV_ASID, FIRST), "it runs on");
    wbinvd_done = true;
    expect(SEV_DF_FLUSH, FW_SUCCESS, "end");
    CHECK(!memcmp(mem + FIRST, raw, sizeof(raw)), "ciphertext");
    CHECK(!sees(SEV_ASID, FIRST, text, 16) && snp_view_key(&view, SEV_ASID,
          after) && memcmp(key, after, sizeof(key)), "another key");

    /* the next one with that ASID has a key of its own */
    random_at++;        /* the bench's random bytes recur after 256 */
    expect(SEV_LAUNCH_START, FW_SUCCESS, "next");
    put(0, 4, 1);
    put(4, 4, SEV_ASID);
    expect(SEV_ACTIVATE, FW_SUCCESS, "next");
    CHECK(snp_view_key(&view, SEV_ASID, after) &&
          memcmp(key, after, sizeof(key)), "the next one's");
    CHECK(!sees(SEV_ASID, FIRST, text, 16) &&
          !memcmp(mem + FIRST, raw, sizeof(raw)), "what the first one left");
}

static void test_packets(void)
{
    SevKeys *keys = &fw.sev_guests[0].keys;
    uint8_t packet[64];

    launch(SEV_ASID, false, false);
    update(SEV_LAUNCH_UPDATE_DATA, FIRST, 0x1000);
    measured();
    wrap_packet(SECRET, keys->tek, keys->tik, fw.sev_guests[0].measure, 0x40,
                64);
    arg_secret(FIRST + 0x1fe0, 64);
    expect(SEV_LAUNCH_UPDATE_SECRET, FW_SUCCESS, "a secret");
    for (unsigned i = 0; i < 64; i++) {
        packet[i] = 0x40 + i;
    }
    CHECK(sees(SEV_ASID, FIRST + 0x1fe0, packet, 64) &&
          enciphered(FIRST + 0x1fe0, packet, 64), "it is the guest's");
    put(0, 4, 1);
    expect(SEV_LAUNCH_FINISH, FW_SUCCESS, "finish");

    fw.sev_guests[0].state = SEV_GUEST_SUPDATE;
    arg_secret(FIRST + 0xfc0, 64);
    expect(SEV_SEND_UPDATE_DATA, FW_SUCCESS, "out");
    memcpy(packet, mem + PACKET_AT, 64);
    aes128_ctr(keys->tek, mem + HEADER + 4, packet, 64);
    CHECK(!memcmp(packet, text + 0xfc0, 64), "plaintext is sent");

    fw.sev_guests[0].state = SEV_GUEST_RUPDATE;
    arg_secret(FIRST + 0x1ff0, 64);
    expect(SEV_RECEIVE_UPDATE_DATA, FW_SUCCESS, "in");
    CHECK(sees(SEV_ASID, FIRST + 0x1ff0, text + 0xfc0, 64) &&
          enciphered(FIRST + 0x1ff0, text + 0xfc0, 64), "for the guest");
}

int main(void)
{
    static const KtapCase cases[] = {
        { "memory claims: whoever reads and writes, whoever claims",
          test_walk },
        { "memory claims: what has no key, no memory or an owner",
          test_limits },
        { "memory claims: LAUNCH_UPDATE", test_launch },
        { "memory claims: DBG_DECRYPT and DBG_ENCRYPT", test_debug },
        { "memory claims: DEACTIVATE and DF_FLUSH", test_end },
        { "memory claims: packets", test_packets },
    };

    return ktap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
