/*
 * A device of trusted I/O, its buffers, and what it answers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TIO_BENCH_H
#define TESTS_TIO_BENCH_H

#include "fw-bench.h"

#define TIO_LIST     0x020000ull    /* of the context */
#define TIO_CTX      0x021000ull    /* two pages */
#define TIO_REQ      0x023000ull
#define TIO_RSP      0x024000ull
#define TIO_SCRATCH  0x025000ull
#define TIO_OUT_LIST 0x026000ull
#define TIO_OUT      0x027000ull    /* four pages */
#define TIO_SPARE    0x02b000ull
#define SLA_END      0x000ffffffffff000ull

#define DEVICE       0x0100u

static inline void tio_list(uint64_t at, uint64_t first, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        put_le(mem + at + 8 * i, 8, first + 0x1000ull * i);
    }
    put_le(mem + at + 8 * n, 8, SLA_END);
}

/* All the buffers, empty */
static inline void tio_pages(void)
{
    static const struct { uint64_t at; unsigned n; } buffers[] = {
        { TIO_CTX, 2 }, { TIO_REQ, 1 }, { TIO_RSP, 1 }, { TIO_SCRATCH, 1 },
        { TIO_OUT, 4 },
    };

    tio_list(TIO_LIST, TIO_CTX, 2);
    tio_list(TIO_OUT_LIST, TIO_OUT, 4);
    for (unsigned i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
        for (unsigned j = 0; j < buffers[i].n; j++) {
            uint64_t spa = buffers[i].at + 0x1000ull * j;

            memset(mem + spa, 0, 0x1000);
            if (spa != TIO_RSP) {
                set_page(spa, RMP_FIRMWARE, 0, 0);
            }
        }
        put_le(mem + buffers[i].at, 4, 0x1000 * buffers[i].n);
    }
}

static inline void arg_tio_create(unsigned device)
{
    put(0, 4, 32);
    put(8, 8, TIO_LIST | 1);
    put(0x10, 2, device);
    put(0x12, 2, 1);
}

static inline void arg_tio_context(void)
{
    put(0, 4, 16);
    put(8, 8, TIO_LIST | 1);
}

static inline void arg_tio_spdm(void)
{
    put(8, 8, TIO_REQ);
    put(0x10, 8, TIO_RSP);
    put(0x18, 8, TIO_SCRATCH);
    put(0x20, 8, TIO_OUT_LIST | 1);
}

static inline void arg_tio_connect(void)
{
    arg_tio_spdm();
    put(0, 4, 80);
    put(0x30, 8, TIO_LIST | 1);
    put(0x38, 1, 1);
    put(0x41, 7, ~0ull);
}

static inline void arg_tio_disconnect(bool force)
{
    arg_tio_spdm();
    put(0, 4, 48);
    put(4, 4, force);
    put(0x28, 8, TIO_LIST | 1);
}

static inline void tio_on(void)
{
    power_on();
    fw.cfg.tio = true;
    put(0, 4, 1 | 1 << 4);
    expect(SNP_INIT_EX, FW_SUCCESS, "init");
    set_page(CMDBUF, RMP_FIRMWARE, 0, 0);
    set_page(OUT, RMP_FIRMWARE, 0, 0);
}

static inline void tio_inited(void)
{
    tio_on();
    put(0, 4, 16);
    expect(TIO_INIT, FW_SUCCESS, "init");
    tio_pages();
}

static inline void tio_device(void)
{
    tio_inited();
    arg_tio_create(DEVICE);
    expect(TIO_DEV_CREATE, FW_SUCCESS, "a device");
}

/* What a device says, as the host brings it: padded */
static inline void tio_answer(const void *msg, unsigned len)
{
    unsigned all = (16 + len + 31) / 32 * 32;
    uint8_t *p = mem + TIO_RSP;

    memset(p + 4, 0, 0xffc);
    put_le(p + 4, 4, all);
    put_le(p + 0x40, 4, 2);
    put_le(p + 0x44, 4, all);
    p[0x49] = 1;
    p[0x4a] = 1;
    memcpy(p + 0x50, msg, len);
}

#define TIO_STEPS  3u

/* A device with which all goes well, as far as it goes */
static const struct { uint8_t msg[48]; unsigned len; } tio_good[TIO_STEPS] = {
    { { 0x10, 0x04, 0, 0, 0, 3, 0, 0x10, 0, 0x11, 0, 0x12 }, 12 },
    { { 0x12, 0x61, 0, 0, 0, 0, 0, 0, 0xc2, 2, 0, 0, 42, 0, 0, 0, 0, 4 },
      20 },
    { { 0x12, 0x63, 3, 0, 48, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 2, 0, 0, 0,
        [36] = 2, 0x20, 0x10, 0, 3, 0x20, 2, 0, 5, 0x20, 1, 0 }, 48 },
};

#endif
