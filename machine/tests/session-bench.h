/*
 * An owner that launches a SEV guest from afar
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Offsets are written out as the specification has them, not the firmware's
 * own structures. Keys that wrap are derived by the firmware's own function,
 * which test-session.c holds to what others' code gives.
 */
#ifndef TESTS_SESSION_BENCH_H
#define TESTS_SESSION_BENCH_H

#include "owner-bench.h"
#include "../hw/snp/fw_int.h"

#define DH         CSR              /* the owner's certificate */
#define SESSION    OCA
#define HEADER     PDH              /* of a packet */
#define PACKET_AT  CHAIN

static const uint8_t owner_tek[16] = "the owner's TEK";
static const uint8_t owner_tik[16] = "the owner's TIK";

static inline void arg_session(uint32_t policy)
{
    put(4, 4, policy);
    put(8, 8, DH);
    put(0x10, 4, CERT);
    put(0x18, 8, SESSION);
    put(0x20, 4, 128);
}

/* What an owner sends who knows the platform's PDH */
static inline void owner_begins(uint32_t policy)
{
    P384Pair own = owner_pair(5);
    uint8_t *c = mem + DH, *s = mem + SESSION;
    uint8_t z[48], kek[16], kik[16], text[4];

    memset(c, 0, CERT);
    put_le(c, 4, 1);
    put_le(c + 8, 4, 0x1003);
    put_le(c + 12, 4, 3);
    put_le(c + 16, 4, 2);
    memcpy(c + 20, own.pub.x, 48);
    memcpy(c + 20 + 72, own.pub.y, 48);
    p384_shared(&own, &fw.identity.pdh.pub, z);
    memset(s, 0, 128);
    memset(s, 0x31, 16);
    memcpy(s + 16, owner_tek, 16);
    memcpy(s + 32, owner_tik, 16);
    memset(s + 48, 0x32, 16);
    fw_session_keys(z, 48, s, kek, kik);
    aes128_ctr(kek, s + 48, s + 16, 32);
    hmac_sha256(kik, 16, s + 16, 32, s + 64);
    put_le(text, 4, policy);
    hmac_sha256(owner_tik, 16, text, 4, s + 96);
}

/* A packet, from or into the guest's memory there */
static inline void arg_secret(uint64_t to, uint32_t len)
{
    put(0, 4, 1);
    put(8, 8, HEADER);
    put(0x10, 4, 52);
    put(0x18, 8, to);
    put(0x20, 4, len);
    put(0x28, 8, PACKET_AT);
    put(0x30, 4, len);
}

enum { SECRET = 1, DATA, VMSA };

/*
 * A packet of this kind for the guest that has these keys and, if it is a
 * secret, was measured so
 */
static inline void wrap_packet(uint8_t kind, const uint8_t *tek,
                               const uint8_t *tik, const uint8_t *measure,
                               uint8_t first, uint32_t len)
{
    static uint8_t text[0x5000];
    uint8_t *h = mem + HEADER, *p = mem + PACKET_AT;

    memset(h, 0, 52);
    memset(h + 4, 0x33, 16);
    for (uint32_t i = 0; i < len; i++) {
        p[i] = first + i;
    }
    aes128_ctr(tek, h + 4, p, len);
    text[0] = kind;
    memcpy(text + 1, h, 20);
    put_le(text + 21, 4, len);
    put_le(text + 25, 4, len);
    memcpy(text + 29, p, len);
    if (kind == SECRET) {
        memcpy(text + 29 + len, measure, 32);
    }
    hmac_sha256(tik, 16, text, 29 + len + (kind == SECRET ? 32 : 0), h + 20);
}

static inline void wrap_secret(const uint8_t *tek, const uint8_t *tik,
                               const uint8_t *measure, uint8_t first,
                               uint32_t len)
{
    wrap_packet(SECRET, tek, tik, measure, first, len);
}

/* To the platform whose certificates lie at PDH and CHAIN */
static inline void arg_send(uint64_t session)
{
    put(0, 4, 1);
    put(8, 8, PDH);
    put(0x10, 4, CERT);
    put(0x18, 8, CHAIN);
    put(0x20, 4, 3 * CERT);
    put(0x38, 8, session);
    put(0x40, 4, 128);
}

#endif
