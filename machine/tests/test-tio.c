/*
 * Unit test of the secure processor's firmware: trusted I/O
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each error of each command is in test-fw-table.c; here is what they add up
 * to: what is asked, in which bytes, and what comes of every answer.
 */
#include "attest-bench.h"
#include "tio-bench.h"

static uint32_t connect(void)
{
    arg_tio_connect();
    return run(TIO_DEV_CONNECT);
}

static uint32_t answer(unsigned step)
{
    tio_answer(tio_good[step].msg, tio_good[step].len);
    return connect();
}

/* A device that has been asked its @step-th question */
static void asked(unsigned step)
{
    tio_device();
    CHECK(connect() == FW_SPDM_REQUEST, "asked");
    for (unsigned i = 0; i < step; i++) {
        CHECK(answer(i) == FW_SPDM_REQUEST, "step %u", i);
    }
}

static void test_off(void)
{
    for (unsigned id = TIO_STATUS; id <= TIO_DEV_DISCONNECT; id++) {
        power_on();
        init_snp();
        expect(id, FW_INVALID_COMMAND, "off");
    }
    power_on();
    put(0, 4, 1 | 1 << 4);
    expect(SNP_INIT_EX, FW_INVALID_PARAM, "a reserved bit");
}

static void test_features(void)
{
    for (int tio = 0; tio < 2; tio++) {
        power_on();
        fw.cfg.tio = tio;
        put(0, 8, OUT);
        expect(SNP_PLATFORM_STATUS, FW_SUCCESS, "status");
        CHECK(le(mem + OUT + 8, 4) == (tio ? 8u : 0), "there are features");
        put(0, 4, 16);
        put(8, 8, OUT);
        expect(SNP_FEATURE_INFO, FW_SUCCESS, "features");
        CHECK(!le(mem + OUT, 4) && le(mem + OUT + 4, 4) == (tio ? 2u : 0) &&
              !le(mem + OUT + 8, 8), "EBX");
    }
}

static uint32_t flags(void)
{
    put(0, 4, 16);
    put(8, 8, OUT);
    memset(mem + OUT, 0xee, 0x1000);
    expect(TIO_STATUS, FW_SUCCESS, "status");
    CHECK(le(mem + OUT, 4) == 64 && mem[OUT + 64] == 0xee, "its length");
    CHECK(state_of(OUT) == RMP_FIRMWARE, "its page");
    return le(mem + OUT + 4, 4);
}

static void test_status(void)
{
    /* request, scratch, output, response; contexts of devices and of TDIs */
    static const uint32_t sizes[] = {
        0x1000, 0x2000, 0x1000, 0x1000, 0x1000, 0x4000, 0x1000, 0x2000,
        0x2000, 0, 0, 0, 0, 0,
    };

    tio_on();
    CHECK(flags() == 1, "enabled");
    for (unsigned i = 0; i < 14; i++) {
        CHECK(le(mem + OUT + 8 + 4 * i, 4) == sizes[i], "size %u", i);
    }
    tio_inited();
    CHECK(flags() == 3, "initialised");
    put(0, 4, 8);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "shutdown");
    set_page(CMDBUF, RMP_HYPERVISOR, 0, 0);
    put(0, 4, 1);
    expect(SNP_INIT_EX, FW_SUCCESS, "init");
    set_page(OUT, RMP_FIRMWARE, 0, 0);
    CHECK(flags() == 0, "not this time");
    put(0, 4, 16);
    expect(TIO_INIT, FW_INVALID_CONFIG, "not enabled");
}

static void test_device(void)
{
    tio_device();
    CHECK(state_of(TIO_CTX) == RMP_CONTEXT &&
          state_of(TIO_CTX + 0x1000) == RMP_CONTEXT, "its context");
    CHECK(le(mem + TIO_CTX, 4) == 0x2000 && le(mem + TIO_CTX + 4, 4) == 32,
          "the header");
    put(0, 8, TIO_CTX);
    expect(SNP_PAGE_RECLAIM, FW_INVALID_PAGE_STATE, "a page of it");
    put(0, 8, TIO_CTX);
    expect(SNP_DECOMMISSION, FW_INVALID_GUEST, "it is no guest's");
    /* whatever the host makes of its list */
    tio_list(TIO_LIST, TIO_SPARE, 2);
    arg_tio_context();
    expect(TIO_DEV_RECLAIM, FW_SUCCESS, "reclaim");
    CHECK(state_of(TIO_CTX) == RMP_FIRMWARE &&
          state_of(TIO_CTX + 0x1000) == RMP_FIRMWARE, "its pages");
    arg_tio_context();
    expect(TIO_DEV_RECLAIM, FW_INVALID_DEV_CTX, "it is gone");
    put(0, 8, TIO_CTX);
    expect(SNP_PAGE_RECLAIM, FW_SUCCESS, "a page of nobody's");

    tio_device();
    put(0, 4, 8);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "shutdown");
    CHECK(state_of(TIO_CTX) == RMP_FIRMWARE && !fw.tio_devs[0].used,
          "none is left");
    tio_device();
    snp_fw_reset(&fw);
    CHECK(!fw.tio_inited && !fw.tio_enabled && !fw.tio_devs[0].used, "reset");
}

/* The C-bit of an address says nothing, here either. */
static void test_c_bit(void)
{
    tio_inited();
    put_le(mem + TIO_LIST, 8, TIO_CTX | 1ull << 51);
    arg_tio_create(DEVICE);
    put(8, 8, TIO_LIST | 1 | 1ull << 51);
    expect(TIO_DEV_CREATE, FW_SUCCESS, "with it");
    CHECK(connect() == FW_SPDM_REQUEST, "without it");
}

static void test_devices(void)
{
    tio_inited();
    for (unsigned i = 0; i <= FW_MAX_TIO_DEVS; i++) {
        uint64_t at = 0x30000 + 0x3000 * i;

        tio_list(at, at + 0x1000, 2);
        set_page(at + 0x1000, RMP_FIRMWARE, 0, 0);
        set_page(at + 0x2000, RMP_FIRMWARE, 0, 0);
        arg_tio_create(i);
        put(8, 8, at | 1);
        expect(TIO_DEV_CREATE, i < FW_MAX_TIO_DEVS ? FW_SUCCESS
                                                   : FW_RESOURCE_LIMIT, "one");
    }
    arg_tio_create(3);
    expect(TIO_DEV_CREATE, FW_IN_USE, "the same");
    arg_tio_create(3);
    put(0x14, 1, 1);
    expect(TIO_DEV_CREATE, FW_RESOURCE_LIMIT, "of another segment");
}

/* What lies in the request buffer is all there is of the question. */
static void check_question(unsigned step)
{
    static const struct { uint8_t msg[44]; unsigned len; } want[TIO_STEPS] = {
        { { 0x10, 0x84 }, 4 },
        { { 0x12, 0xe1, [8] = 0xc0, 2, 0, 0, 0xb0, 0x0f, 0, 0, 0xb0, 0x0f },
          20 },
        { { 0x12, 0xe3, 3, [4] = 44, [8] = 0x80, [12] = 2,
            [32] = 2, 0x20, 0x10, 0, 3, 0x20, 2, 0, 5, 0x20, 1, 0 }, 44 },
    };
    const uint8_t *p = mem + TIO_REQ;
    unsigned len = 16 + want[step].len;

    CHECK(le(p, 4) == 0x1000 && le(p + 4, 4) == (len + 31) / 32 * 32 &&
          !le(p + 8, 4), "the buffer's header");
    CHECK(le(p + 64, 4) == 1 && le(p + 68, 4) == len && !p[72] && p[73] == 1 &&
          p[74] == 1, "the object's header");
    CHECK(!memcmp(p + 80, want[step].msg, want[step].len), "question %u",
          step);
}

static void test_questions(void)
{
    tio_device();
    CHECK(connect() == FW_SPDM_REQUEST, "connect");
    for (unsigned i = 0; i < TIO_STEPS; i++) {
        check_question(i);
        CHECK(answer(i) == (i < TIO_STEPS - 1 ? FW_SPDM_REQUEST
                                              : FW_ERR_IN_DEV_CONN),
              "answer %u", i);
    }
    /* and again from the beginning */
    CHECK(connect() == FW_SPDM_REQUEST, "connect");
    check_question(0);
}

/* Every bit of an answer that is flipped: it is refused, or of no meaning. */
static void test_answers(void)
{
    /* bits that may be anything: of a version, and what is reserved */
    static const struct { uint8_t step, from, to; } open[] = {
        { 0, 2, 11 }, { 1, 2, 9 }, { 1, 9, 14 }, { 1, 16, 20 },
        { 2, 3, 4 }, { 2, 6, 12 }, { 2, 20, 32 }, { 2, 34, 36 },
    };

    for (unsigned step = 0; step < TIO_STEPS; step++) {
        unsigned refused = 0;

        for (unsigned bit = 0; bit < tio_good[step].len * 8; bit++) {
            uint8_t msg[48];
            bool free = false;
            uint32_t ret;

            asked(step);
            memcpy(msg, tio_good[step].msg, sizeof(msg));
            msg[bit / 8] ^= 1 << bit % 8;
            tio_answer(msg, tio_good[step].len);
            ret = connect();
            for (unsigned i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
                free |= open[i].step == step && bit / 8 >= open[i].from &&
                        bit / 8 < open[i].to;
            }
            refused += ret == FW_SPDM_ERROR;
            CHECK(ret == FW_SPDM_ERROR ||
                  (free && ret == (step < 2 ? FW_SPDM_REQUEST
                                            : FW_ERR_IN_DEV_CONN)),
                  "step %u, bit %u: %s", step, bit, snp_fw_status_name(ret));
        }
        CHECK(refused >= 24, "step %u: %u refused", step, refused);
    }
}

/* What a device takes at a time, and at all */
static void test_limits(void)
{
    static const struct { uint32_t transfer, message; bool good; } limits[] = {
        { 42, 42, true }, { 41, 1024, false }, { 43, 42, false },
        { 1024, 1024, true }, { 0, 0, false }, { 0x1000, 0xffffffff, true },
    };

    for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        uint8_t msg[48];

        asked(1);
        memcpy(msg, tio_good[1].msg, sizeof(msg));
        put_le(msg + 12, 4, limits[i].transfer);
        put_le(msg + 16, 4, limits[i].message);
        tio_answer(msg, tio_good[1].len);
        CHECK(connect() == (limits[i].good ? FW_SPDM_REQUEST : FW_SPDM_ERROR),
              "%u of %u", limits[i].transfer, limits[i].message);
    }
}

/* One algorithm more than was offered, and one less */
static void test_counts(void)
{
    for (unsigned n = 2; n <= 4; n++) {
        uint8_t msg[52] = { 0 };

        asked(2);
        memcpy(msg, tio_good[2].msg, tio_good[2].len);
        msg[2] = n;
        put_le(msg + 4, 2, 36 + 4 * n);
        tio_answer(msg, sizeof(msg));
        CHECK(connect() == (n == 3 ? FW_ERR_IN_DEV_CONN : FW_SPDM_ERROR),
              "%u algorithms", n);
    }
}

/* No answer is of more bytes than it came in. */
static void test_lengths(void)
{
    for (unsigned step = 0; step < TIO_STEPS; step++) {
        for (unsigned len = 0; len < tio_good[step].len; len++) {
            asked(step);
            tio_answer(tio_good[step].msg, len);
            put_le(mem + TIO_RSP + 0x44, 4, 16 + len);
            CHECK(connect() == FW_SPDM_ERROR, "step %u, %u bytes", step, len);
        }
    }
    asked(0);
    tio_answer(tio_good[0].msg, tio_good[0].len);
    mem[TIO_RSP + 0x50 + 5] = 0xff;
    CHECK(connect() == FW_SPDM_ERROR, "more versions than it has");
}

/* The header of the object, and of the buffer */
static void test_headers(void)
{
    static const struct { unsigned at, n; uint64_t v; } bad[] = {
        { 0x04, 4, 31 }, { 0x04, 4, 0xfc1 }, { 0x04, 4, 0xffffffff },
        { 0x08, 4, 1 }, { 0x40, 4, 1 }, { 0x40, 4, 3 }, { 0x44, 4, 0 },
        { 0x44, 4, 16 }, { 0x44, 4, 33 }, { 0x44, 4, 0xffffffff },
        { 0x44, 4, 0x80000000 }, { 0x49, 1, 2 }, { 0x4a, 1, 2 },
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        asked(0);
        tio_answer(tio_good[0].msg, tio_good[0].len);
        put_le(mem + TIO_RSP + bad[i].at, bad[i].n, bad[i].v);
        CHECK(connect() == FW_SPDM_ERROR, "%u: %x", i, bad[i].at);
        CHECK(fw.tio_devs[0].state == TIO_DEV_CREATED, "over");
    }
}

/* An answer of two pages that are no piece of memory */
static void test_two_pages(void)
{
    asked(0);
    arg_tio_disconnect(true);
    expect(TIO_DEV_DISCONNECT, FW_SUCCESS, "again");
    tio_list(TIO_SPARE, TIO_RSP, 1);
    put_le(mem + TIO_SPARE + 8, 8, TIO_SPARE + 0x1000);
    put_le(mem + TIO_SPARE + 16, 8, SLA_END);
    put_le(mem + TIO_RSP, 4, 0x2000);
    for (unsigned n = 1984; n <= 2008; n += 24) {
        unsigned all = 16 + 2 * n;

        arg_tio_connect();
        put(0x10, 8, TIO_SPARE | 1);
        CHECK(run(TIO_DEV_CONNECT) == FW_SPDM_REQUEST, "asked");
        memset(mem + TIO_RSP + 4, 0, 0xffc);
        tio_answer(tio_good[0].msg, tio_good[0].len);
        put_le(mem + TIO_RSP + 4, 4, all + 64);
        put_le(mem + TIO_RSP + 0x44, 4, all + 2 * (n > 2000));
        arg_tio_connect();
        put(0x10, 8, TIO_SPARE | 1);
        CHECK(run(TIO_DEV_CONNECT) == (n > 2000 ? FW_SPDM_ERROR
                                                : FW_SPDM_REQUEST),
              "a message of %u", all - 16);
        arg_tio_disconnect(true);
        expect(TIO_DEV_DISCONNECT, FW_SUCCESS, "again");
    }
}

/* In the midst of it */
static void test_interrupted(void)
{
    for (unsigned step = 0; step < TIO_STEPS; step++) {
        asked(step);
        arg_tio_connect();
        put(0x40, 1, 5);
        expect(TIO_DEV_CONNECT, FW_INVALID_PARAM, "another command");
        arg_tio_disconnect(false);
        expect(TIO_DEV_DISCONNECT, FW_SUCCESS, "disconnect");
        arg_tio_disconnect(false);
        expect(TIO_DEV_DISCONNECT, FW_INVALID_DEV_STATE, "twice");
        arg_tio_disconnect(true);
        expect(TIO_DEV_DISCONNECT, FW_SUCCESS, "by force");
        asked(step);
        arg_tio_context();
        expect(TIO_DEV_RECLAIM, FW_SUCCESS, "reclaim");
    }
}

/* Lists with an end too soon, too late, never; addresses that are none */
static void test_lists(void)
{
    static const struct { uint64_t sla; uint32_t status; } bad[] = {
        { 0, FW_INVALID_PARAM }, { 1, FW_INVALID_PARAM },
        { SLA_END, FW_INVALID_PARAM }, { SLA_END | 1, FW_INVALID_ADDRESS },
        { TIO_LIST | 1 | 1ull << 11, FW_INVALID_PARAM },
        { TIO_LIST | 1 | 1ull << 52, FW_INVALID_PARAM },
        { TIO_LIST | 3, FW_UNSUPPORTED }, { TIO_LIST | 2, FW_UNSUPPORTED },
        { TIO_CTX, FW_INCORRECT_BUFFER_LENGTH },
        { NOWHERE | 1, FW_INVALID_ADDRESS },
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tio_inited();
        arg_tio_create(DEVICE);
        put(8, 8, bad[i].sla);
        expect(TIO_DEV_CREATE, bad[i].status, "an address");
        if (i && bad[i].sla != TIO_CTX) {
            tio_inited();
            put_le(mem + TIO_LIST, 8, bad[i].sla);
            arg_tio_create(DEVICE);
            expect(TIO_DEV_CREATE, bad[i].sla == SLA_END
                   ? FW_INCORRECT_BUFFER_LENGTH : bad[i].sla & 1
                   ? FW_INVALID_PARAM : bad[i].status, "one in the list");
        }
    }
    for (unsigned n = 0; n < 512; n++) {
        tio_inited();
        for (unsigned i = 0; i < n; i++) {
            put_le(mem + TIO_LIST + 8 * i, 8, TIO_CTX + 0x1000 * (i & 1));
        }
        put_le(mem + TIO_LIST + 8 * n, 8, SLA_END);
        arg_tio_create(DEVICE);
        expect(TIO_DEV_CREATE, n == 2 ? FW_SUCCESS
                                      : FW_INCORRECT_BUFFER_LENGTH, "pages");
    }
}

int main(void)
{
    static const KtapCase cases[] = {
        { "tio: off", test_off },
        { "tio: features", test_features },
        { "tio: status", test_status },
        { "tio: a device, and its context", test_device },
        { "tio: the C-bit", test_c_bit },
        { "tio: as many devices as there can be", test_devices },
        { "tio: what is asked", test_questions },
        { "tio: answers with a bit flipped", test_answers },
        { "tio: limits of a device", test_limits },
        { "tio: as many algorithms as were offered", test_counts },
        { "tio: answers that are too short", test_lengths },
        { "tio: headers", test_headers },
        { "tio: an answer of two pages", test_two_pages },
        { "tio: interrupted", test_interrupted },
        { "tio: scatter lists", test_lists },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
