/*
 * Unit test of the secure processor's firmware: a SEV guest's owner, from afar
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "session-bench.h"

/* What a public implementation of the owner's side gives for zeros */
static void test_known(void)
{
    static const uint8_t wrapped[32] = {
        0x21, 0x37, 0xbc, 0x7f, 0x9b, 0xb8, 0xbd, 0x7c,
        0x3e, 0x55, 0xa5, 0x76, 0xa1, 0x5d, 0x34, 0x54,
        0xb3, 0x85, 0x6b, 0x8b, 0xa2, 0x7a, 0xfa, 0xdf,
        0x46, 0xdc, 0xfe, 0xe9, 0xf0, 0x2c, 0x02, 0xc4,
    };
    static const uint8_t wrap_mac[8] = {
        0x31, 0x76, 0xc0, 0x75, 0x27, 0x38, 0xbd, 0x9d,
    };
    static const uint8_t policy_mac[8] = {
        0xaa, 0x78, 0x55, 0xe1, 0x38, 0x39, 0xdd, 0x76,
    };
    uint8_t zeros[32] = { 0 }, kek[16], kik[16], mac[32];

    fw_session_keys(zeros, 16, zeros, kek, kik);
    hmac_sha256(zeros, 16, zeros, 4, mac);
    CHECK(!memcmp(mac, policy_mac, 8), "policy");
    aes128_ctr(kek, (const uint8_t[16]){ 0 }, zeros, 32);
    CHECK(!memcmp(zeros, wrapped, 32), "keys");
    hmac_sha256(kik, 16, zeros, 32, mac);
    CHECK(!memcmp(mac, wrap_mac, 8), "their MAC");
}

static void platform(void)
{
    power_on();
    init_sev(true);
    expect(SEV_PDH_GEN, FW_SUCCESS, "PDH");
}

static void test_start(void)
{
    static const uint8_t lens[] = { 0x10, 0x20 };

    for (unsigned i = 0; i < 128; i++) {
        platform();
        owner_begins(4);
        mem[SESSION + i] ^= 1 << i % 8;
        arg_session(4);
        expect(SEV_LAUNCH_START, FW_BAD_MEASUREMENT, "a bit of the session");
    }
    platform();
    owner_begins(4);
    arg_session(0);
    expect(SEV_LAUNCH_START, FW_BAD_MEASUREMENT, "another policy");
    for (unsigned i = 0; i < sizeof(lens); i++) {
        for (int d = -1; d < 2; d += 2) {
            arg_session(4);
            cb[lens[i]] += d;
            expect(SEV_LAUNCH_START, FW_INVALID_LEN, "length");
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        owner_begins(4);
        arg_session(4);
        put(i ? 0x18 : 8, 8, NOWHERE);
        expect(SEV_LAUNCH_START, FW_INVALID_ADDRESS, "no memory");
    }
    for (unsigned i = 0; i < 0x414; i += i < 164 ? 1 : 71) {
        /* the API's version, and numbers */
        if (i == 4 || i == 5 || (i >= 20 && i < 68) || (i >= 92 && i < 140)) {
            continue;
        }
        owner_begins(4);
        mem[DH + i] ^= 0x20;
        arg_session(4);
        expect(SEV_LAUNCH_START, FW_INVALID_CERTIFICATE, "no such key");
    }
    owner_begins(4);
    mem[DH + 20 + 72] ^= 1;
    arg_session(4);
    expect(SEV_LAUNCH_START, FW_INVALID_CERTIFICATE, "not on the curve");
    owner_begins(4);
    expect(SEV_PDH_GEN, FW_SUCCESS, "another PDH");
    arg_session(4);
    expect(SEV_LAUNCH_START, FW_BAD_MEASUREMENT, "the PDH that was");
    owner_begins(4);
    memset(&fw.identity, 0, sizeof(fw.identity));
    arg_session(4);
    expect(SEV_LAUNCH_START, FW_BAD_MEASUREMENT, "no PDH");
    platform();
    owner_begins(4);
    arg_session(4);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "good");
    CHECK(!memcmp(fw.sev_guests[0].keys.tek, owner_tek, 16) &&
          !memcmp(fw.sev_guests[0].keys.tik, owner_tik, 16), "the owner's keys");
    put(4, 4, 4);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "no session");
    CHECK(memcmp(fw.sev_guests[1].keys.tek, fw.sev_guests[1].keys.tik, 16) &&
          memcmp(fw.sev_guests[1].keys.tek, owner_tek, 16), "keys of its own");
}

/* Up to LAUNCH_MEASURE, which leaves the measurement at OUT */
static void measured(void)
{
    platform();
    owner_begins(4);
    arg_session(4);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "start");
    fw.sev_guests[0].asid = 3;
    memset(mem + TARGET, 0x61, 64);
    put(0, 4, 1);
    put(8, 8, TARGET);
    put(16, 4, 64);
    expect(SEV_LAUNCH_UPDATE_DATA, FW_SUCCESS, "data");
    put(0, 4, 1);
    put(8, 8, OUT);
    put(16, 4, 48);
    expect(SEV_LAUNCH_MEASURE, FW_SUCCESS, "measure");
}

static void digest(uint8_t out[32])
{
    uint8_t data[64];
    Sha256 s;

    memset(data, 0x61, sizeof(data));
    sha256_init(&s);
    sha256_add(&s, data, sizeof(data));
    sha256_final(&s, out);
}

static void test_measure(void)
{
    uint8_t text[8 + 32 + 16], mac[32];

    /* the owner computes the same */
    measured();
    text[0] = 4;
    text[1] = 1;
    text[2] = 55;
    text[3] = 21;
    put_le(text + 4, 4, 4);
    digest(text + 8);
    memcpy(text + 40, mem + OUT + 32, 16);
    hmac_sha256(owner_tik, 16, text, sizeof(text), mac);
    CHECK(!memcmp(mac, mem + OUT, 32), "measurement");
    /* what observers are told */
    CHECK(fw.sev_launched == 1 && !memcmp(fw.sev_digest, text + 8, 32),
          "%llu launched", (unsigned long long)fw.sev_launched);
}

static void secret(uint64_t to, uint32_t len, uint32_t want, const char *what)
{
    arg_secret(to, len);
    expect(SEV_LAUNCH_UPDATE_SECRET, want, what);
}

static void test_secret(void)
{
    measured();
    wrap_secret(owner_tek, owner_tik, mem + OUT, 0x80, 64);
    secret(TARGET, 64, FW_SUCCESS, "a secret");
    for (unsigned i = 0; i < 64; i++) {
        CHECK(mem[TARGET + i] == 0x80 + i, "byte %u", i);
    }
    for (unsigned i = 4; i < 52; i++) {
        mem[HEADER + i] ^= 1;
        secret(TARGET, 64, FW_BAD_MEASUREMENT, "a bit of the header");
        mem[HEADER + i] ^= 1;
    }
    for (unsigned i = 0; i < 64; i += 7) {
        mem[PACKET_AT + i] ^= 1;
        secret(TARGET, 64, FW_BAD_MEASUREMENT, "a bit of the packet");
        mem[PACKET_AT + i] ^= 1;
    }
    for (unsigned i = 0; i < 32; i++) {
        mem[HEADER + i / 8] = 1 << i % 8;
        secret(TARGET, 64, FW_UNSUPPORTED, "a flag");
        mem[HEADER + i / 8] = 0;
    }
    secret(TARGET, 48, FW_BAD_MEASUREMENT, "another length");
    secret(TARGET, 0, FW_INVALID_LEN, "nothing");
    secret(TARGET, 40, FW_INVALID_LEN, "no blocks");
    secret(TARGET, 0x4010, FW_INVALID_LEN, "too much");
    secret(TARGET + 8, 64, FW_INVALID_ADDRESS, "misaligned");
    arg_secret(TARGET, 64);
    put(0x10, 4, 51);
    expect(SEV_LAUNCH_UPDATE_SECRET, FW_INVALID_LEN, "the header's length");
    arg_secret(TARGET, 64);
    put(0x30, 4, 80);
    expect(SEV_LAUNCH_UPDATE_SECRET, FW_INVALID_LEN, "two lengths");
    arg_secret(TARGET, 64);
    put(0x28, 8, NOWHERE);
    expect(SEV_LAUNCH_UPDATE_SECRET, FW_INVALID_ADDRESS, "no packet");
    /* of this measurement, with these keys, and of no other */
    wrap_secret(owner_tek, owner_tek, mem + OUT, 0x80, 64);
    secret(TARGET, 64, FW_BAD_MEASUREMENT, "another TIK");
    mem[OUT] ^= 1;
    wrap_secret(owner_tek, owner_tik, mem + OUT, 0x80, 64);
    secret(TARGET, 64, FW_BAD_MEASUREMENT, "another measurement");
    mem[OUT] ^= 1;
    wrap_secret(owner_tek, owner_tik, mem + OUT, 0x10, 0x4000);
    secret(LARGE - 16, 0x4000, FW_SUCCESS, "the most, across pages");
    for (unsigned i = 0; i < 0x4000; i++) {
        CHECK(mem[LARGE - 16 + i] == (uint8_t)(0x10 + i), "byte %u", i);
    }
    /* a guest without an owner takes no secret: nobody knows its keys */
    power_on();
    init_sev(true);
    put(4, 4, 4);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "no session");
    fw.sev_guests[0].asid = 3;
    fw.sev_guests[0].state = SEV_GUEST_LSECRET;
    wrap_secret(owner_tek, owner_tik, fw.sev_guests[0].measure, 0x80, 64);
    secret(TARGET, 64, FW_BAD_MEASUREMENT, "nobody's");
}

static void test_report(void)
{
    uint8_t want[32], *r = mem + TARGET + 0x100;
    P384Sig sig;

    measured();
    digest(want);
    put(0, 4, 1);
    expect(SEV_ATTESTATION_REPORT, FW_INVALID_LEN, "how long?");
    CHECK(got(0x20, 4) == 208, "so long");
    put(0, 4, 1);
    put(8, 8, TARGET + 0x100);
    for (unsigned i = 0; i < 16; i++) {
        put(0x10 + i, 1, 0xa0 + i);
    }
    put(0x20, 4, 4096);
    memset(r, 0xee, 256);
    expect(SEV_ATTESTATION_REPORT, FW_SUCCESS, "report");
    CHECK(got(0x20, 4) == 208 && r[208] == 0xee, "its length");
    for (unsigned i = 0; i < 16; i++) {
        CHECK(r[i] == 0xa0 + i, "nonce %u", i);
    }
    CHECK(!memcmp(r + 16, want, 32) && le(r + 48, 4) == 4 &&
          le(r + 52, 4) == 0x1002 && le(r + 56, 4) == 2 && !le(r + 60, 4),
          "digest, policy, key");
    memcpy(sig.r, r + 64, 48);
    memcpy(sig.s, r + 64 + 72, 48);
    for (unsigned i = 48; i < 72; i++) {
        CHECK(!r[64 + i] && !r[136 + i], "padding");
    }
    CHECK(p384_verify_256(&fw.identity.pek.pub, r, 52, &sig), "by the PEK");
    for (unsigned i = 0; i < 52; i++) {
        r[i] ^= 1;
        CHECK(!p384_verify_256(&fw.identity.pek.pub, r, 52, &sig), "%u", i);
        r[i] ^= 1;
    }
    /* a platform that nobody asked for a key has one for this */
    power_on();
    init_sev(true);
    put(4, 4, 4);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "start");
    fw.sev_guests[0].state = SEV_GUEST_RUNNING;
    put(0, 4, 1);
    put(8, 8, TARGET + 0x100);
    put(0x20, 4, 208);
    expect(SEV_ATTESTATION_REPORT, FW_SUCCESS, "the first that wants a key");
    CHECK(fw.identity.made, "made");
}

int main(void)
{
    static const KtapCase cases[] = {
        { "session: known answers", test_known },
        { "session: LAUNCH_START", test_start },
        { "session: measurement", test_measure },
        { "session: secrets", test_secret },
        { "session: attestation report", test_report },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
