/*
 * Fuzz target: messages of guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The target is a guest that knows its keys, so what it says gets past the
 * seal: each message is one that is good, with fields of its header and bytes
 * of its payload replaced, and sealed afterwards (or before, or not at all).
 */
#include "../attest-bench.h"
#include "fuzz.h"

#define MESSAGES   8u
#define RESPONSE   (0x20u + 0x4a0u)     /* the longest */

static SnpFw ready;
static uint8_t ready_table[NPAGES * RMP_ENTRY_SIZE];
static uint8_t old_rsp[0x1000];
static unsigned writes;
static uint64_t wrote_at;

static bool count_write(void *o, uint64_t spa, const void *buf, size_t len)
{
    writes++;
    wrote_at = spa;
    return port_write(o, spa, buf, len);
}

static void prepare(void)
{
    if (key_a) {
        return;
    }
    key_a = p384_load(pem_a, sizeof(pem_a) - 1);
    key_b = p384_load(pem_b, sizeof(pem_b) - 1);
    MUST(key_a && key_b, "keys");
    attested();
    MUST(!ktap_failed, "the set-up itself");
    fw.port.write = count_write;
    ready = fw;
    memcpy(ready_table, rmp.entries, sizeof(ready_table));
}

/* A guest and a platform, of the many there may be */
static void begin(void)
{
    static const uint8_t versions[] = { 0, 2, 3, 5 };
    uint8_t b = fuzz_byte(), c = fuzz_byte();
    SnpFwGuest *g = &fw.guests[0];

    fw = ready;
    memcpy(rmp.entries, ready_table, sizeof(ready_table));
    memset(mem + CMDBUF, 0, 0x1000);
    memset(mem + REQ, 0, 0x2000);
    fw.cfg.report_version = versions[b & 3];
    fw.config_flags = b >> 2 & 3;
    g->vcek_disabled = b & 16;
    g->author_key = b & 32;
    g->guest_svn = b & 64 ? 7 : 0;
    fw.reported_tcb = b & 128 ? 0x0100000000000001ull : 0;
    fw.cfg.nvceks = c & 1 ? 2 : c & 2 ? 1 : 0;
    if ((c & 3) == 3) {
        fw.vlek_loaded = true;
        memcpy(fw.vlek, pem_b, sizeof(pem_b));
    }
    fw.cfg.tsc_khz = c & 1 ? 0 : 1000000;
    g->msg_count[c >> 2 & 3] = c & 16 ? UINT64_MAX - (c >> 5) : c >> 5;
}

/* What a guest may ask */
static unsigned good_payload(uint8_t how, unsigned *type, unsigned *version)
{
    memset(msg, 0, sizeof(msg));
    *version = 1;
    switch (how % 4) {
    case 0:
        report_req(how >> 4 & 3, how >> 6);
        *type = 5;
        return 0x60;
    case 1:
        *type = 3;
        msg[0] = how >> 2 & 7;
        msg[0x10] = how >> 5 & 3;
        return 0x20;
    case 2:
        *type = 3;
        *version = 2;
        msg[0] = how >> 2 & 7;
        msg[8] = how;
        return 0x28;
    default:
        *type = fuzz_byte();
        *version = fuzz_byte();
        return fuzz_number(2) % (sizeof(msg) + 1);
    }
}

/* Of @n bytes that follow, each is put somewhere */
static void spoil(uint8_t *p, unsigned len, unsigned n)
{
    while (n--) {
        unsigned at = fuzz_number(2);

        p[at % len] = fuzz_byte();
    }
}

static void check_response(const uint8_t *h, uint64_t seqno)
{
    uint8_t out[RESPONSE] = { 0 }, iv[12] = { 0 };
    unsigned len = le(h + 0x36, 2), vmpck = h[0x3c];

    put_le(iv, 8, seqno);
    MUST(le(h + 0x20, 8) == seqno && vmpck < 4 && len <= sizeof(out),
         "header of the response");
    MUST(gcm_open(fw.guests[0].vmpck[vmpck], iv, h + 0x30, 48, h + 0x60, len,
                  out, h), "the response does not open");
    MUST(h[0x34] == 4 || h[0x34] == 6 ||
         (h[0x34] == 18 && fw.cfg.tsc_khz), "type %u", h[0x34]);
    for (unsigned i = 0x60 + len; i < 0x1000; i++) {
        MUST(!h[i], "byte %x behind the response", i);
    }
    /* an answer that refuses tells nothing else */
    for (unsigned i = 4; le(out, 4) && i < len; i++) {
        MUST(!out[i], "byte %x of a refusal", i);
    }
    /* a report speaks of no VMPL above the one whose key it was */
    MUST(h[0x34] != 6 || le(out, 4) || le(out + 0x20 + 0x30, 4) >= vmpck,
         "VMPL %lu asked for by %u", (long)le(out + 0x50, 4), vmpck);
}

static void one_message(void)
{
    uint8_t how = fuzz_byte(), seal = fuzz_byte(), to = fuzz_byte();
    unsigned type, version, len = good_payload(how, &type, &version);
    unsigned vmpck = seal & 3, spoils = seal >> 5;
    uint64_t seqno = fw.guests[0].msg_count[vmpck] + 1;
    uint8_t *h = mem + REQ, iv[12] = { 0 };
    uint64_t count[4], rsp = RSP;
    uint32_t status;

    if (to & 1) {
        spoil(msg, len ? len : 1, to >> 1 & 7);
    }
    if (seal & 4) {
        seqno += (int8_t)fuzz_byte();
    }
    seal_as(vmpck, seqno, type, version, len);
    if (seal & 8) {
        spoil(h, 0x60, spoils);
    }
    if (!(seal & 16)) {
        /* sealed as it is now, whatever it says of itself */
        unsigned n = le(h + 0x36, 2);

        n = n < sizeof(msg) ? n : sizeof(msg);
        memcpy(iv, h + 0x20, 8);
        gcm_seal(fw.guests[0].vmpck[h[0x3c] & 3], iv, h + 0x30, 48, msg, n,
                 h + 0x60, h);
    }
    memset(cb, 0, sizeof(cb));
    put(0, 8, GCTX);
    put(8, 8, to < 0xf8 ? REQ : fuzz_number(3));
    if (to >= 0xf0 && to < 0xf8) {
        rsp = fuzz_number(3);
    }
    put(16, 8, rsp);
    memcpy(mem + CMDBUF, cb, sizeof(cb));
    memcpy(count, fw.guests[0].msg_count, sizeof(count));
    memcpy(old_rsp, mem + RSP, sizeof(old_rsp));
    old_fw = fw;
    writes = 0;
    status = snp_fw_command(&fw, SNP_GUEST_REQUEST, CMDBUF);
    MUST(!bad_writes, "written to a page that is not its own");
    MUST(!memcmp(ready_table, rmp.entries, sizeof(ready_table)),
         "the table changed");
    if (status) {
        MUST(!writes && !memcmp(&old_fw, &fw, sizeof(fw)),
             "status %x, and something changed", status);
        return;
    }
    MUST(writes == 1 && wrote_at == (rsp & ~(1ull << 51)),
         "written %u times", writes);
    vmpck = mem[wrote_at + 0x3c];
    check_response(mem + wrote_at, count[vmpck & 3] + 2);
    count[vmpck & 3] += 2;
    MUST(!memcmp(count, fw.guests[0].msg_count, sizeof(count)), "counters");
    memcpy(old_fw.guests[0].msg_count, count, sizeof(count));
    MUST(!memcmp(&old_fw, &fw, sizeof(fw)), "more than a counter changed");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_begin(data, size);
    prepare();
    begin();
    for (unsigned i = 0; i < MESSAGES && fuzz_more(); i++) {
        one_message();
    }
    return 0;
}
