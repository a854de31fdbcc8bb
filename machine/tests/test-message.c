/*
 * Unit test of the secure processor's firmware: messages of guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attest-bench.h"

static void test_request_operand(void)
{
    attested();
    report_req(0, 0);
    seal_as(0, 1, 5, 1, 0x60);
    put(0, 8, GCTX);
    put(8, 8, REQ + 16);
    put(16, 8, RSP);
    expect(SNP_GUEST_REQUEST, FW_INVALID_ADDRESS, "request misaligned");
    put(0, 8, GCTX);
    put(8, 8, NOWHERE);
    put(16, 8, RSP);
    expect(SNP_GUEST_REQUEST, FW_INVALID_ADDRESS, "request nowhere");
    put(0, 8, GCTX);
    put(8, 8, REQ);
    put(16, 8, RSP + 16);
    expect(SNP_GUEST_REQUEST, FW_INVALID_ADDRESS, "response misaligned");
    put(0, 8, GCTX);
    put(8, 8, REQ);
    put(16, 8, NOWHERE);
    expect(SNP_GUEST_REQUEST, FW_INVALID_ADDRESS, "response nowhere");
    for (int s = 0; s < RMP_NSTATES; s++) {
        set_page(RSP, s, 3, 0x1000);
        if (s != RMP_FIRMWARE) {
            ask(FW_INVALID_PAGE_STATE, rmp_state_name(s));
        }
    }
    set_page(RSP, RMP_FIRMWARE, 0, 0);
    ask(FW_SUCCESS, "good");
    CHECK(state_of(RSP) == RMP_FIRMWARE, "the page stays the firmware's");
    /* one page may serve for both */
    report_req(0, 0);
    seal_as(0, 3, 5, 1, 0x60);
    memcpy(mem + RSP, mem + REQ, 4096);
    put(0, 8, GCTX);
    put(8, 8, RSP);
    put(16, 8, RSP);
    expect(SNP_GUEST_REQUEST, FW_SUCCESS, "in place");
    CHECK(!response(0, 4, 6, 0x4c0), "in place");
}

static void test_request_header(void)
{
    /* any bit of header, payload and tag */
    attested();
    for (unsigned byte = 0; byte < 0xc0; byte++) {
        uint32_t want;

        if (byte >= 0x10 && byte < 0x20) {
            continue;       /* the tag's unused half */
        }
        report_req(0, 0);
        seal_as(0, 1, 5, 1, 0x60);
        mem[REQ + byte] ^= 1;
        want = byte < 0x10 || byte >= 0x60 || (byte >= 0x34 && byte < 0x38) ||
               byte == 0x3c ? FW_BAD_MEASUREMENT : FW_INVALID_PARAM;
        if (byte == 0x37) {
            want = FW_BAD_MEASUREMENT;      /* of 352 bytes */
        }
        ask(want, "a bit flipped");
    }
    /* authentic, but no message; the sealed header has it so */
    static const struct { uint8_t type, ver; uint16_t len; } rows[] = {
        { 0, 1, 0x60 }, { 1, 1, 0x60 }, { 4, 1, 0x40 }, { 6, 1, 0x60 },
        { 7, 1, 0x60 }, { 17, 1, 128 }, { 255, 1, 0x60 }, { 5, 0, 0x60 },
        { 5, 2, 0x60 }, { 5, 1, 0x5f }, { 5, 1, 0x61 }, { 5, 1, 0 },
        { 3, 1, 0x1f }, { 3, 1, 0x28 }, { 3, 2, 0x20 }, { 5, 1, 0xfa0 },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        report_req(0, 0);
        seal_as(0, 1, rows[i].type, rows[i].ver, rows[i].len);
        ask(FW_INVALID_PARAM, "message");
    }
    report_req(0, 0);
    seal_as(0, 1, 5, 1, 0x60);
    put_le(mem + REQ + 0x36, 2, 0xfa1);
    ask(FW_INVALID_PARAM, "longer than the page");
    put_le(mem + REQ + 0x36, 2, 0xffff);
    ask(FW_INVALID_PARAM, "longer than the page");
    seal_as(4, 1, 5, 1, 0x60);
    ask(FW_INVALID_PARAM, "VMPCK4");
    CHECK(!fw.guests[0].msg_count[0], "a refused message does not count");
    /* another key than the header says */
    seal_as(1, 1, 5, 1, 0x60);
    mem[REQ + 0x3c] = 0;
    ask(FW_BAD_MEASUREMENT, "VMPCK1 as VMPCK0");
}

static void test_request_order(void)
{
    attested();
    for (unsigned k = 0; k < 4; k++) {
        for (unsigned i = 0; i < 3; i++) {
            for (int off = -1; off < 4; off++) {
                if (off != 1) {
                    report_req(3, 0);
                    seal_as(k, 2 * i + off, 5, 1, 0x60);
                    ask(FW_INVALID_PARAM, "out of order");
                }
            }
            report_req(3, 0);
            CHECK(!report_as(k), "VMPCK%u, message %u", k, i);
            ask(FW_INVALID_PARAM, "repeated");
        }
        CHECK(fw.guests[0].msg_count[k] == 6, "count");
    }
    /* an IV is never used twice */
    fw.guests[0].msg_count[0] = ~0ull - 3;
    report_req(0, 0);
    seal_as(0, ~0ull - 2, 5, 1, 0x60);
    ask(FW_SUCCESS, "the last");
    seal_as(0, 0, 5, 1, 0x60);
    ask(FW_AEAD_OFLOW, "overflow");
    seal_as(0, ~0ull, 5, 1, 0x60);
    ask(FW_AEAD_OFLOW, "overflow");
}

static void test_fuzz_messages(void)
{
    uint64_t seed = 0x2545f4914f6cdd1dull;
    unsigned long good = 0, bad = 0;

    attested();
    fw.guests[0].guest_svn = 3;
    for (int i = 0; i < 20000; i++) {
        unsigned type, len, k;
        uint32_t ret;

        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        type = seed % 8;
        k = seed >> 8 & 3;
        len = seed >> 16 & 1 ? (type == 3 ? 0x20 : 0x60)
                             : (seed >> 20) % 0xfa1;
        memset(msg, 0, sizeof(msg));
        for (unsigned j = 0; j < len && seed >> 40 & 3; j += 7) {
            msg[j] = seed >> (j % 50) & (seed >> 17 & 1 ? 0xff : 3);
        }
        seal_as(k, fw.guests[0].msg_count[k] + 1, type, 1, len);
        if (!(seed >> 44 & 7)) {
            mem[REQ + (seed >> 47) % 4096] ^= 1u << (seed >> 60 & 7);
        }
        arg_request();
        ret = run(SNP_GUEST_REQUEST);
        good += !ret;
        bad += ret == FW_INVALID_PARAM || ret == FW_BAD_MEASUREMENT;
        CHECK(!ret || ret == FW_INVALID_PARAM || ret == FW_BAD_MEASUREMENT,
              "0x%x", ret);
    }
    CHECK(good > 500 && bad > 500, "%lu good, %lu bad", good, bad);
}

int main(void)
{
    static const KtapCase cases[] = {
        { "attest: GUEST_REQUEST's operand", test_request_operand },
        { "attest: message headers", test_request_header },
        { "attest: message order", test_request_order },
        { "attest: random messages", test_fuzz_messages },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
