/*
 * What the tests of attestation stand on
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The test is the guest: it seals requests and opens responses, with offsets
 * written out as the ABI has them, not the firmware's own structures.
 */
#ifndef TESTS_ATTEST_BENCH_H
#define TESTS_ATTEST_BENCH_H

#include "fw-bench.h"
#include "test-keys.h"

#define REQ        0x010000ull
#define RSP        0x011000ull
#define STICK      0x01c000ull      /* a VLEK's hashstick, 432 bytes */
#define IMAGE      0x01d000ull      /* of firmware, 160 bytes */

static inline uint64_t le(const uint8_t *p, int n)
{
    uint64_t v = 0;

    while (n--) {
        v = v << 8 | p[n];
    }
    return v;
}

static inline void put_le(uint8_t *p, int n, uint64_t v)
{
    for (int i = 0; i < n; i++) {
        p[i] = v >> (8 * i);
    }
}

static uint8_t msg[4000];       /* payload of the request, then the response */

static inline void chip(void)
{
    fw.cfg.vcek[0] = (SnpFwVcek){ 0x0100000000000001ull, key_b };
    fw.cfg.vcek[1] = (SnpFwVcek){ TCB, key_a };
    fw.cfg.nvceks = 2;
    p384_public(key_b, &fw.cfg.firmware_key);
    memset(fw.cfg.chip_secret, 0x77, sizeof(fw.cfg.chip_secret));
}

/* Any 384 bytes wrapped for the chip, at STICK */
static inline void wrap_bytes(const uint8_t text[384], uint64_t tcb)
{
    uint8_t key[KDF_LEN], *h = mem + STICK;

    memset(h, 0, 432);
    memset(h, 0x5a, 12);
    put_le(h + 0x190, 8, tcb);
    kdf(fw.cfg.chip_secret, "VLEK wrapping key", fw.cfg.chip_id, 64, key);
    gcm_seal(key, h, h + 0x190, 8, text, 384, h + 0x10, h + 0x1a0);
}

static inline void wrap_vlek(const char *pem, uint64_t tcb)
{
    uint8_t text[384] = { 0 };

    memcpy(text, pem, strlen(pem));
    wrap_bytes(text, tcb);
}

static inline void arg_vlek(void)
{
    put(0, 4, 16);
    put(8, 8, STICK);
}

/* A firmware image at IMAGE: as it is there now, signed with key_b */
static inline void sign_image(void)
{
    P384Sig sig;

    p384_sign(key_b, mem + IMAGE, 0x40, &sig);
    memcpy(mem + IMAGE + 0x40, sig.r, 48);
    memcpy(mem + IMAGE + 0x70, sig.s, 48);
}

static inline void put_image(uint8_t major, uint8_t minor, uint8_t build,
                             uint64_t tcb, uint64_t mitigations)
{
    uint8_t *p = mem + IMAGE;

    memset(p, 0, 160);
    memcpy(p, "!SNP_FWE", 8);
    p[8] = 160;
    p[12] = major;
    p[13] = minor;
    p[14] = build;
    put_le(p + 0x10, 8, tcb);
    put_le(p + 0x18, 8, mitigations);
    sign_image();
}

static inline void arg_download_ex(bool commit)
{
    put(0, 4, 24);
    put(8, 8, IMAGE);
    put(0x10, 4, 160);
    put(0x14, 4, commit);
}

/* A running guest with a chip that has keys */
static inline void attested(void)
{
    guest(G_RUNNING_ACTIVE);
    chip();
    set_page(RSP, RMP_FIRMWARE, 0, 0);
    memset(msg, 0, sizeof(msg));
}

static inline void seal_as(unsigned vmpck, uint64_t seqno, unsigned type,
                           unsigned ver, unsigned len)
{
    uint8_t *h = mem + REQ, iv[12] = { 0 };

    memset(h, 0, 4096);
    put_le(h + 0x20, 8, seqno);
    h[0x30] = h[0x31] = 1;
    h[0x32] = 0x60;
    h[0x34] = type;
    h[0x35] = ver;
    put_le(h + 0x36, 2, len);
    h[0x3c] = vmpck;
    memcpy(iv, h + 0x20, 8);
    gcm_seal(fw.guests[0].vmpck[vmpck & 3], iv, h + 0x30, 48, msg, len,
             h + 0x60, h);
    memset(h + 0x60 + len, 0xee, 4096 - 0x60 - len);    /* nobody's */
}

static inline void arg_request(void)
{
    put(0, 8, GCTX);
    put(8, 8, REQ);
    put(16, 8, RSP);
}

static inline void ask(uint32_t want, const char *what)
{
    arg_request();
    expect(SNP_GUEST_REQUEST, want, what);
}

/* Opens the response into msg; its status, or ~0 if it is none */
static inline uint32_t response(unsigned vmpck, uint64_t seqno, unsigned type,
                                unsigned len)
{
    uint8_t *h = mem + RSP, iv[12] = { 0 };

    put_le(iv, 8, seqno);
    CHECK(le(h + 0x20, 8) == seqno && h[0x30] == 1 && h[0x31] == 1 &&
          le(h + 0x32, 2) == 0x60 && h[0x34] == type &&
          h[0x35] == mem[REQ + 0x35] && le(h + 0x36, 2) == len &&
          h[0x3c] == vmpck, "response's header");
    for (int i = 0; i < 0x60; i++) {
        bool used = i < 16 || (i >= 0x20 && i < 0x28) ||
                    (i >= 0x30 && i < 0x38) || i == 0x3c;

        CHECK(used || !h[i], "byte %x", i);
    }
    for (unsigned i = 0x60 + len; i < 4096; i++) {
        CHECK(!h[i], "byte %x", i);
    }
    memset(msg, 0, sizeof(msg));
    if (!gcm_open(fw.guests[0].vmpck[vmpck], iv, h + 0x30, 48, h + 0x60, len,
                  msg, h)) {
        CHECK(false, "the response does not open");
        return ~0u;
    }
    return le(msg, 4);
}

static inline void report_req(unsigned vmpl, unsigned sel)
{
    memset(msg, 0, sizeof(msg));
    for (int i = 0; i < 64; i++) {
        msg[i] = 0xa0 + i;
    }
    put_le(msg + 0x40, 4, vmpl);
    put_le(msg + 0x44, 4, sel);
}

/* Is the report at @r signed with this key? */
static inline bool signed_by(const P384Key *key, const uint8_t *r)
{
    P384Point pub;
    P384Sig sig;

    p384_public(key, &pub);
    memcpy(sig.r, r + 0x2a0, 48);
    memcpy(sig.s, r + 0x2a0 + 72, 48);
    for (int i = 48; i < 72; i++) {
        CHECK(!r[0x2a0 + i] && !r[0x2a0 + 72 + i], "signature's padding");
    }
    return p384_verify(&pub, r, 0x2a0, &sig);
}

static inline uint32_t report_as(unsigned vmpck)
{
    uint64_t n = fw.guests[0].msg_count[vmpck];

    seal_as(vmpck, n + 1, 5, 1, 0x60);
    ask(FW_SUCCESS, "report");
    return response(vmpck, n + 2, 6, 0x4c0);
}

#endif
