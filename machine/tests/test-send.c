/*
 * Unit test of the secure processor's firmware: SEV guests that are sent
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Platforms take turns: all have the same memory, and each an identity and
 * guests of its own. One of them runs, which is `fw`.
 */
#include "session-bench.h"

enum { HERE, THERE, ELSEWHERE, NPLATFORMS };

#define SENT_TO    0x021000ull      /* the session that SEND_START makes */
#define SENDER     0x022000ull      /* the sender's PDH */
#define MEMORY     LARGE            /* the guest's, there HOME pages on */
#define HOME       0x100000ull
#define VMSA_AT    0x020000ull
#define POLICY     4u

static SnpFw others[NPLATFORMS];
static unsigned now;

static void go(unsigned to)
{
    others[now] = fw;
    fw = others[to];
    now = to;
}

/* All of them on, with keys of their own */
static void platforms(void)
{
    now = HERE;
    for (unsigned i = 0; i < NPLATFORMS; i++) {
        unsigned was = kept_at;

        power_on();
        kept_at = was;
        init_sev(true);
        expect(SEV_PDH_GEN, FW_SUCCESS, "set-up");
        others[i] = fw;
    }
    fw = others[HERE];
}

static void handle(void)
{
    put(0, 4, 1);
}

static void activate(void)
{
    handle();
    put(4, 4, 3);
    expect(SEV_ACTIVATE, FW_SUCCESS, "activate");
}

static uint8_t state(void)
{
    handle();
    expect(SEV_GUEST_STATUS, FW_SUCCESS, "status");
    return mem[CMDBUF + 12];
}

/* HERE: a guest of this policy that runs, with some memory and a VMSA */
static void guest_of(uint32_t policy)
{
    platforms();
    put(4, 4, policy);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "launch");
    activate();
    handle();
    put(8, 8, OUT);
    put(16, 4, 48);
    expect(SEV_LAUNCH_MEASURE, FW_SUCCESS, "launch");
    handle();
    expect(SEV_LAUNCH_FINISH, FW_SUCCESS, "launch");
    for (unsigned i = 0; i < 0x8000; i++) {
        mem[MEMORY + i] = i * 7 + (i >> 8);
    }
    memset(mem + VMSA_AT, 0x5a, 4096);
}

/* The certificates of a platform to where the commands expect them */
static void certificates(unsigned of)
{
    unsigned was = now;

    go(of);
    arg_export();
    expect(SEV_PDH_CERT_EXPORT, FW_SUCCESS, "certificates");
    go(was);
}

/* HERE, to that platform */
static void send_to(unsigned to)
{
    certificates(HERE);
    memcpy(mem + SENDER, mem + PDH, CERT);
    certificates(to);
    arg_send(SENT_TO);
    expect(SEV_SEND_START, FW_SUCCESS, "to another");
    CHECK(got(4, 4) == fw.sev_guests[0].policy && got(0x40, 4) == 128,
          "policy, length");
}

static void arg_receive(uint32_t policy)
{
    put(4, 4, policy);
    put(8, 8, SENDER);
    put(0x10, 4, CERT);
    put(0x18, 8, SENT_TO);
    put(0x20, 4, 128);
}

static void receive(uint32_t policy)
{
    arg_receive(policy);
    expect(SEV_RECEIVE_START, FW_SUCCESS, "from another");
    CHECK(got(0, 4) == 1 && state() == 5, "RUPDATE");
    activate();
}

static void data(uint32_t cmd, uint64_t at, uint32_t len, uint32_t want,
                 const char *what)
{
    arg_secret(at, len);
    expect(cmd, want, what);
}

static void test_whole(void)
{
    uint8_t first[64];

    guest_of(POLICY);
    send_to(THERE);
    CHECK(state() == 4, "SUPDATE");
    go(THERE);
    receive(POLICY);
    CHECK(!memcmp(&fw.sev_guests[0].keys, &others[HERE].sev_guests[0].keys,
                  32), "the same keys");
    for (unsigned at = 0; at < 0x8000; at += 0x4000) {
        go(HERE);
        data(SEV_SEND_UPDATE_DATA, MEMORY + at, 0x4000, FW_SUCCESS, "out");
        CHECK(got(0x10, 4) == 52 && got(0x30, 4) == 0x4000, "lengths");
        CHECK(memcmp(mem + PACKET_AT, mem + MEMORY + at, 16) &&
              memcmp(mem + PACKET_AT + 0x3ff0, mem + MEMORY + at + 0x3ff0, 16),
              "enciphered");
        go(THERE);
        data(SEV_RECEIVE_UPDATE_DATA, MEMORY + HOME + at, 0x4000, FW_SUCCESS,
             "in");
    }
    CHECK(!memcmp(mem + MEMORY, mem + MEMORY + HOME, 0x8000), "its memory");
    go(HERE);
    data(SEV_SEND_UPDATE_VMSA, VMSA_AT, 4096, FW_SUCCESS, "VMSA out");
    go(THERE);
    data(SEV_RECEIVE_UPDATE_VMSA, VMSA_AT + HOME, 4096, FW_SUCCESS,
         "VMSA in");
    CHECK(!memcmp(mem + VMSA_AT, mem + VMSA_AT + HOME, 4096), "its VMSA");
    handle();
    expect(SEV_RECEIVE_FINISH, FW_SUCCESS, "it runs there");
    CHECK(state() == 3 && got(4, 4) == POLICY && got(8, 4) == 3, "RUNNING");
    go(HERE);
    /* the same memory twice is two packets */
    data(SEV_SEND_UPDATE_DATA, MEMORY, 64, FW_SUCCESS, "once more");
    memcpy(first, mem + PACKET_AT, 64);
    data(SEV_SEND_UPDATE_DATA, MEMORY, 64, FW_SUCCESS, "and again");
    CHECK(memcmp(first, mem + PACKET_AT, 64), "another IV");
    handle();
    expect(SEV_SEND_FINISH, FW_SUCCESS, "it is gone here");
    CHECK(state() == 6, "SENT");
    handle();
    expect(SEV_DEACTIVATE, FW_SUCCESS, "and out");
    handle();
    expect(SEV_DECOMMISSION, FW_SUCCESS, "and out");
    /* a guest that came can be sent on */
    go(THERE);
    certificates(ELSEWHERE);
    arg_send(SENT_TO);
    expect(SEV_SEND_START, FW_SUCCESS, "on");
}

/* What the firmware makes, by offsets and a computation of the test's own */
static void test_format(void)
{
    const SevKeys *keys = &fw.sev_guests[0].keys;
    uint8_t z[48], kek[16], kik[16], mac[32], text[29 + 64], *s, *h;
    SevKeys got_keys, launch;

    guest_of(POLICY);
    launch = *keys;
    send_to(THERE);
    s = mem + SENT_TO;
    p384_shared(&others[THERE].identity.pdh, &fw.identity.pdh.pub, z);
    fw_session_keys(z, 48, s, kek, kik);
    hmac_sha256(kik, 16, s + 16, 32, mac);
    CHECK(!memcmp(mac, s + 64, 32), "the keys' MAC");
    memcpy(&got_keys, s + 16, 32);
    aes128_ctr(kek, s + 48, &got_keys, 32);
    CHECK(!memcmp(&got_keys, keys, 32), "the keys");
    CHECK(memcmp(launch.tek, keys->tek, 16) &&
          memcmp(launch.tik, keys->tik, 16), "not those of the launch");
    put_le(text, 4, POLICY);
    hmac_sha256(got_keys.tik, 16, text, 4, mac);
    CHECK(!memcmp(mac, s + 96, 32), "the policy's MAC");

    data(SEV_SEND_UPDATE_DATA, MEMORY, 64, FW_SUCCESS, "out");
    h = mem + HEADER;
    text[0] = 2;
    memcpy(text + 1, h, 20);
    put_le(text + 21, 4, 64);
    put_le(text + 25, 4, 64);
    memcpy(text + 29, mem + PACKET_AT, 64);
    hmac_sha256(keys->tik, 16, text, sizeof(text), mac);
    CHECK(!le(h, 4) && !memcmp(mac, h + 20, 32), "a packet's MAC");
    aes128_ctr(keys->tek, h + 4, mem + PACKET_AT, 64);
    CHECK(!memcmp(mem + PACKET_AT, mem + MEMORY, 64), "what is in it");

    /* and what the firmware is given */
    go(THERE);
    receive(POLICY);
    wrap_packet(DATA, keys->tek, keys->tik, NULL, 0x80, 64);
    data(SEV_RECEIVE_UPDATE_DATA, TARGET, 64, FW_SUCCESS, "in");
    for (unsigned i = 0; i < 64; i++) {
        CHECK(mem[TARGET + i] == 0x80 + i, "byte %u", i);
    }
}

static void test_session(void)
{
    guest_of(POLICY);
    send_to(THERE);
    go(THERE);
    for (unsigned i = 0; i < 128 * 8; i += 3) {
        mem[SENT_TO + i / 8] ^= 1 << i % 8;
        arg_receive(POLICY);
        expect(SEV_RECEIVE_START, FW_BAD_MEASUREMENT, "a bit of the session");
        mem[SENT_TO + i / 8] ^= 1 << i % 8;
    }
    arg_receive(POLICY ^ 1);
    expect(SEV_RECEIVE_START, FW_BAD_MEASUREMENT, "another policy");
    arg_receive(POLICY | 0xffu << 16);
    expect(SEV_RECEIVE_START, FW_POLICY_FAILURE, "a platform too old for it");
    arg_receive(POLICY);
    put(8, 8, PDH);
    expect(SEV_RECEIVE_START, FW_BAD_MEASUREMENT, "another sender");
    put(4, 4, POLICY);
    expect(SEV_RECEIVE_START, FW_INVALID_LEN, "no session");
    go(ELSEWHERE);
    arg_receive(POLICY);
    expect(SEV_RECEIVE_START, FW_BAD_MEASUREMENT, "not for this platform");
    go(THERE);
    expect(SEV_PDH_GEN, FW_SUCCESS, "another PDH");
    arg_receive(POLICY);
    expect(SEV_RECEIVE_START, FW_BAD_MEASUREMENT, "for what it was");
}

static void test_packets(void)
{
    guest_of(POLICY);
    send_to(THERE);
    data(SEV_SEND_UPDATE_DATA, MEMORY, 64, FW_SUCCESS, "out");
    go(THERE);
    receive(POLICY);
    for (unsigned i = 32; i < 52 * 8; i++) {
        mem[HEADER + i / 8] ^= 1 << i % 8;
        data(SEV_RECEIVE_UPDATE_DATA, TARGET, 64, FW_BAD_MEASUREMENT,
             "a bit of the header");
        mem[HEADER + i / 8] ^= 1 << i % 8;
    }
    for (unsigned i = 0; i < 64 * 8; i++) {
        mem[PACKET_AT + i / 8] ^= 1 << i % 8;
        data(SEV_RECEIVE_UPDATE_DATA, TARGET, 64, FW_BAD_MEASUREMENT,
             "a bit of the packet");
        mem[PACKET_AT + i / 8] ^= 1 << i % 8;
    }
    for (unsigned i = 0; i < 32; i++) {
        mem[HEADER + i / 8] ^= 1 << i % 8;
        data(SEV_RECEIVE_UPDATE_DATA, TARGET, 64, FW_UNSUPPORTED, "a flag");
        mem[HEADER + i / 8] ^= 1 << i % 8;
    }
    data(SEV_RECEIVE_UPDATE_DATA, TARGET, 48, FW_BAD_MEASUREMENT, "a part");
    data(SEV_RECEIVE_UPDATE_DATA, TARGET, 64, FW_SUCCESS, "whole");
    /* one kind is not another */
    for (uint8_t kind = SECRET; kind <= VMSA; kind++) {
        const SevKeys *keys = &fw.sev_guests[0].keys;

        wrap_packet(kind, keys->tek, keys->tik, fw.sev_guests[0].measure, 1,
                    4096);
        data(SEV_RECEIVE_UPDATE_DATA, TARGET, 4096,
             kind == DATA ? FW_SUCCESS : FW_BAD_MEASUREMENT, "as data");
        wrap_packet(kind, keys->tek, keys->tik, fw.sev_guests[0].measure, 1,
                    4096);
        data(SEV_RECEIVE_UPDATE_VMSA, TARGET, 4096,
             kind == VMSA ? FW_SUCCESS : FW_BAD_MEASUREMENT, "as a VMSA");
    }
}

static void test_lengths(void)
{
    static const struct { uint32_t len, want; } lens[] = {
        { 16, FW_SUCCESS }, { 4080, FW_SUCCESS }, { 0x4000, FW_SUCCESS },
        { 8, FW_INVALID_LEN }, { 17, FW_INVALID_LEN },
        { 0x4010, FW_INVALID_LEN }, { ~0u << 4, FW_INVALID_LEN },
    };

    /* as KVM asks: with nothing but the handle */
    guest_of(POLICY);
    handle();
    expect(SEV_SEND_START, FW_INVALID_LEN, "how long?");
    CHECK(got(0x40, 4) == 128, "so long");
    send_to(THERE);
    handle();
    expect(SEV_SEND_UPDATE_DATA, FW_INVALID_LEN, "how long?");
    CHECK(got(0x10, 4) == 52 && got(0x30, 4) == 0, "so long");
    handle();
    expect(SEV_SEND_UPDATE_VMSA, FW_INVALID_LEN, "how long?");
    CHECK(got(0x10, 4) == 52, "so long");
    arg_secret(MEMORY, 64);
    put(0x30, 4, 48);
    expect(SEV_SEND_UPDATE_DATA, FW_INVALID_LEN, "too little room");
    CHECK(got(0x10, 4) == 52 && got(0x30, 4) == 64, "so much");
    arg_secret(MEMORY, 64);
    put(0x10, 4, 51);
    put(0x30, 4, 4096);
    expect(SEV_SEND_UPDATE_DATA, FW_INVALID_LEN, "too little room");
    CHECK(got(0x10, 4) == 52 && got(0x30, 4) == 64, "so much");
    arg_secret(MEMORY, 64);
    put(0x10, 4, 4096);
    put(0x30, 4, 4096);
    expect(SEV_SEND_UPDATE_DATA, FW_SUCCESS, "room enough");
    CHECK(got(0x10, 4) == 52 && got(0x30, 4) == 64, "what was used");
    arg_secret(MEMORY, 0);
    expect(SEV_SEND_UPDATE_DATA, FW_INVALID_LEN, "nothing");
    for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        data(SEV_SEND_UPDATE_DATA, MEMORY, lens[i].len, lens[i].want,
             "length");
        data(SEV_SEND_UPDATE_VMSA, MEMORY, lens[i].len, FW_INVALID_LEN,
             "no VMSA's");
    }
    data(SEV_SEND_UPDATE_DATA, MEMORY + 8, 64, FW_INVALID_ADDRESS,
         "misaligned");
    data(SEV_SEND_UPDATE_DATA, NOWHERE, 64, FW_INVALID_ADDRESS, "nowhere");
    data(SEV_SEND_UPDATE_VMSA, VMSA_AT + 16, 4096, FW_INVALID_ADDRESS,
         "not a page");
    data(SEV_SEND_UPDATE_DATA, MEMORY + 0xff0, 64, FW_SUCCESS, "two pages");
    go(THERE);
    receive(POLICY);
    data(SEV_RECEIVE_UPDATE_DATA, TARGET + 8, 64, FW_INVALID_ADDRESS,
         "misaligned");
    data(SEV_RECEIVE_UPDATE_VMSA, TARGET, 64, FW_INVALID_LEN, "no VMSA's");
    data(SEV_RECEIVE_UPDATE_VMSA, TARGET + 16, 4096, FW_INVALID_ADDRESS,
         "not a page");
    data(SEV_RECEIVE_UPDATE_DATA, TARGET + 0xff0, 64, FW_SUCCESS,
         "two pages");
    CHECK(!memcmp(mem + TARGET + 0xff0, mem + MEMORY + 0xff0, 64), "memory");
}

/* A guest without SEV-ES */
static void test_plain(void)
{
    platforms();
    expect(SEV_LAUNCH_START, FW_SUCCESS, "launch");
    handle();
    put(4, 4, MIN_SEV);
    expect(SEV_ACTIVATE, FW_SUCCESS, "activate");
    fw.sev_guests[0].state = SEV_GUEST_RUNNING;
    send_to(THERE);
    data(SEV_SEND_UPDATE_VMSA, VMSA_AT, 4096, FW_UNSUPPORTED, "no VMSA");
    data(SEV_SEND_UPDATE_DATA, VMSA_AT, 4096, FW_SUCCESS, "data");
    go(THERE);
    arg_receive(0);
    expect(SEV_RECEIVE_START, FW_SUCCESS, "from another");
    fw.sev_guests[0].asid = MIN_SEV;
    data(SEV_RECEIVE_UPDATE_VMSA, TARGET, 4096, FW_UNSUPPORTED, "no VMSA");
    data(SEV_RECEIVE_UPDATE_DATA, TARGET, 4096, FW_SUCCESS, "data");
}

/* One that can be sent nowhere in the one, somewhere in the other */
static void try_policy(uint32_t policy, unsigned to, uint32_t want,
                       const char *what)
{
    certificates(to);
    fw.sev_guests[0].policy = policy;
    fw.sev_guests[0].state = SEV_GUEST_RUNNING;
    arg_send(SENT_TO);
    expect(SEV_SEND_START, want, what);
}

static void test_policy(void)
{
    guest_of(POLICY);
    try_policy(POLICY, THERE, FW_SUCCESS, "anywhere");
    try_policy(POLICY | 3, THERE, FW_SUCCESS, "NODBG, NOKS");
    try_policy(POLICY | 8, THERE, FW_POLICY_FAILURE, "NOSEND");
    try_policy(POLICY | 8, HERE, FW_POLICY_FAILURE, "NOSEND, to itself");
    try_policy(POLICY | 0x20, THERE, FW_POLICY_FAILURE, "SEV");
    try_policy(POLICY | 0x20, HERE, FW_POLICY_FAILURE, "SEV, to itself");
    try_policy(POLICY | 0x10, THERE, FW_POLICY_FAILURE, "DOMAIN, another's");
    try_policy(POLICY | 0x10, HERE, FW_SUCCESS, "DOMAIN, its own");
    /* a platform with another PEK, of the same owner */
    go(THERE);
    put(0, 4, 1);
    expect(SEV_SHUTDOWN, FW_SUCCESS, "set-up");
    init_sev(true);
    ask_csr();
    owner_signs(2);
    arg_import();
    expect(SEV_PEK_CERT_IMPORT, FW_SUCCESS, "owned");
    go(HERE);
    try_policy(POLICY | 0x10, THERE, FW_POLICY_FAILURE, "DOMAIN, owned");
    memcpy(fw.identity.oca, others[THERE].identity.oca, CERT);
    try_policy(POLICY | 0x10, THERE, FW_SUCCESS, "DOMAIN, of one owner");
    try_policy(POLICY | 0x10, ELSEWHERE, FW_POLICY_FAILURE,
               "DOMAIN, of another");
    memset(&fw.identity, 0, sizeof(fw.identity));
    try_policy(POLICY | 0x10, THERE, FW_POLICY_FAILURE, "DOMAIN, of nobody");
    try_policy(POLICY, THERE, FW_SUCCESS, "keys are made for it");
    CHECK(fw.identity.made, "made");
}

/* Is it the byte of a number, of which any value is well-formed? */
static bool number(unsigned i)
{
    return (i >= 20 && i < 68) || (i >= 92 && i < 140);
}

static void test_certificates(void)
{
    static const unsigned used[4] = { 1, 2, 1, 0 };     /* signatures */
    P384Pair pek;
    P384Sig sig;

    guest_of(POLICY);
    certificates(THERE);
    for (unsigned cert = 0; cert < 4; cert++) {
        uint64_t at = cert ? CHAIN + (cert - 1) * CERT : PDH;

        for (unsigned i = 0; i < 0x414; i += i < 164 ? 1 : 71) {
            bool free = i == 4 || i == 5 || number(i);

            /* nobody signs a CEK here: its version is anybody's guess */
            if (cert == 3 && free && !number(i)) {
                continue;
            }
            mem[at + i] ^= 0x20;
            arg_send(SENT_TO);
            /* a PDH off the curve, and what is signed */
            expect(SEV_SEND_START, free && (cert || !number(i))
                   ? FW_BAD_SIGNATURE : FW_INVALID_CERTIFICATE, "a byte");
            mem[at + i] ^= 0x20;
        }
        for (unsigned slot = 0; slot < used[cert]; slot++) {
            for (unsigned i = 0; i < 8 + 144; i += i < 8 ? 1 : 9) {
                mem[at + 0x414 + 0x208 * slot + i] ^= 1;
                arg_send(SENT_TO);
                expect(SEV_SEND_START, FW_BAD_SIGNATURE, "a signature");
                mem[at + 0x414 + 0x208 * slot + i] ^= 1;
            }
        }
    }
    arg_send(SENT_TO);
    put(0x10, 4, CERT - 1);
    expect(SEV_SEND_START, FW_INVALID_LEN, "the PDH's length");
    arg_send(SENT_TO);
    put(0x20, 4, 3 * CERT + 1);
    expect(SEV_SEND_START, FW_INVALID_LEN, "the chain's length");
    arg_send(SENT_TO);
    put(0x18, 8, NOWHERE);
    expect(SEV_SEND_START, FW_INVALID_ADDRESS, "no chain");
    /* one PEK vouches, another has the owner's word */
    memcpy(mem + SENDER, mem + PDH, CERT);
    certificates(ELSEWHERE);
    memcpy(mem + PDH, mem + SENDER, CERT);
    arg_send(SENT_TO);
    expect(SEV_SEND_START, FW_BAD_SIGNATURE, "one's PDH, another's PEK");
    /* a point that is none, although it is signed */
    certificates(THERE);
    mem[PDH + 20] ^= 1;
    pek = others[THERE].identity.pek;
    p384_sign_256(&pek, mem + PDH, 0x414, &sig);
    memcpy(mem + PDH + 0x41c, sig.r, 48);
    memcpy(mem + PDH + 0x41c + 72, sig.s, 48);
    arg_send(SENT_TO);
    expect(SEV_SEND_START, FW_INVALID_CERTIFICATE, "off the curve");
    certificates(THERE);
    arg_send(SENT_TO);
    expect(SEV_SEND_START, FW_SUCCESS, "good");
}

static void test_cancel(void)
{
    uint8_t header[52], packet[64];
    SevKeys keys;

    for (unsigned s = SEV_GUEST_LUPDATE; s <= SEV_GUEST_SENT; s++) {
        guest_of(POLICY);
        fw.sev_guests[0].state = s;
        handle();
        expect(SEV_SEND_CANCEL, s == SEV_GUEST_SUPDATE
               ? FW_SUCCESS : FW_INVALID_GUEST_STATE, "cancelled");
        CHECK(state() == (s == SEV_GUEST_SUPDATE ? 3 : s), "state %u", s);
    }
    guest_of(POLICY);
    send_to(THERE);
    data(SEV_SEND_UPDATE_DATA, MEMORY, 64, FW_SUCCESS, "out");
    memcpy(header, mem + HEADER, 52);
    memcpy(packet, mem + PACKET_AT, 64);
    keys = fw.sev_guests[0].keys;
    handle();
    expect(SEV_SEND_CANCEL, FW_SUCCESS, "cancelled");
    CHECK(state() == 3, "it runs on");
    data(SEV_SEND_UPDATE_DATA, MEMORY, 64, FW_INVALID_GUEST_STATE, "over");
    handle();
    expect(SEV_SEND_FINISH, FW_INVALID_GUEST_STATE, "over");
    send_to(ELSEWHERE);
    CHECK(memcmp(&keys, &fw.sev_guests[0].keys, 32), "other keys");
    go(ELSEWHERE);
    receive(POLICY);
    memcpy(mem + HEADER, header, 52);
    memcpy(mem + PACKET_AT, packet, 64);
    data(SEV_RECEIVE_UPDATE_DATA, TARGET, 64, FW_BAD_MEASUREMENT,
         "a packet of before");
    go(HERE);
    data(SEV_SEND_UPDATE_DATA, MEMORY, 64, FW_SUCCESS, "out");
    go(ELSEWHERE);
    data(SEV_RECEIVE_UPDATE_DATA, TARGET, 64, FW_SUCCESS, "in");
    CHECK(!memcmp(mem + TARGET, mem + MEMORY, 64), "memory");
}

int main(void)
{
    /* platforms share memory: its keys are for test-claim.c */
    in_the_clear = true;
    static const KtapCase cases[] = {
        { "send: a guest, whole", test_whole },
        { "send: what goes over the wire", test_format },
        { "send: sessions", test_session },
        { "send: packets", test_packets },
        { "send: lengths and addresses", test_lengths },
        { "send: a guest without SEV-ES", test_plain },
        { "send: policies", test_policy },
        { "send: certificates", test_certificates },
        { "send: cancelled", test_cancel },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
