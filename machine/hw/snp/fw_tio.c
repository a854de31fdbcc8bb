/*
 * Secure processor firmware: trusted I/O
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A device is told about (its context), and then connected: the firmware asks
 * it by SPDM, and the host carries each message. So CONNECT answers
 * SPDM_REQUEST, with a question in the request buffer; the host brings the same
 * command again with the device's answer in the response buffer. That goes as
 * far as algorithms are agreed on. There is no session here, and thus no device
 * that is connected: certificates, key exchange and IDE are not implemented.
 *
 * Layouts: Linux, drivers/crypto/ccp/sev-dev-tio.[ch]
 */
#include "fw_sla.h"
#include "fw_spdm.h"

/* The status structure; nothing is known of what its algorithms mean */
#define STATUS_LEN       64u
#define STATUS_ENABLED   (1u << 0)
#define STATUS_INITED    (1u << 1)

/* A buffer's header: capacity, length of what is in it, flags */
#define BUFFER_HEAD      64u
#define CONTEXT_LEN      32u

/* A data object's: id, length with this header, version; what it carries */
#define OBJECT_HEAD      16u
#define OBJECT_REQUEST   1u
#define OBJECT_RESPONSE  2u
#define OBJECT_MAJOR     1u
#define CARRIES_SPDM     1u
#define PAYLOAD_UNIT     32u

#define CONNECT_SLOTS    8u
#define DISCONNECT_FORCE (1u << 0)

enum { REQUEST, RESPONSE, SCRATCH, OUTPUT, NBUFFERS };

/* In pages; @ours: what the firmware writes to */
static const struct { uint8_t min, max; bool ours; } sizes[NBUFFERS] = {
    [REQUEST] = { 1, 2, true }, [RESPONSE] = { 1, 2, false },
    [SCRATCH] = { 1, 1, true }, [OUTPUT] = { 1, FW_SLA_PAGES, true },
};

static uint32_t check_form(const FwBuf *c, uint32_t len, bool rsvd_zero)
{
    /* [FW-TIO-LEN] */
    if (fw_get(c->b, 4) != len) {
        return FW_INVALID_LEN;
    }
    /* [FW-TIO-RSVD] */
    return rsvd_zero ? FW_SUCCESS : FW_INVALID_PARAM;
}

/* [FW-TIO-INITED] */
static uint32_t check_inited(const SnpFw *fw, uint32_t status)
{
    return status ? status : fw->tio_inited ? FW_SUCCESS
                                            : FW_INVALID_PLATFORM_STATE;
}

/* The device whose context the address at @arg is of, or NULL */
static SnpFwTioDev *find_device(SnpFw *fw, const uint8_t *arg)
{
    for (unsigned i = 0; i < FW_MAX_TIO_DEVS; i++) {
        if (fw->tio_devs[i].used && fw->tio_devs[i].sla == fw_get_addr(arg)) {
            return &fw->tio_devs[i];
        }
    }
    return NULL;
}

uint32_t fw_tio_status(SnpFw *fw, FwBuf *c)
{
    uint64_t addr = fw_get_addr(c->b + 8);
    uint32_t status = check_form(c, 16, fw_all_zero(c->b + 4, 4));
    uint8_t out[STATUS_LEN] = { 0 };

    if (!status) {
        status = fw_check_status(fw, addr, sizeof(out));
    }
    if (status) {
        return status;
    }
    fw_put(out, 4, sizeof(out));
    fw_put(out + 4, 4, (fw->tio_enabled ? STATUS_ENABLED : 0) |
                       (fw->tio_inited ? STATUS_INITED : 0));
    /* [FW-TIO-STATUS] in the order of the structure */
    fw_put(out + 8, 4, sizes[REQUEST].min * RMP_PAGE_SIZE);
    fw_put(out + 12, 4, sizes[REQUEST].max * RMP_PAGE_SIZE);
    fw_put(out + 16, 4, sizes[SCRATCH].min * RMP_PAGE_SIZE);
    fw_put(out + 20, 4, sizes[SCRATCH].max * RMP_PAGE_SIZE);
    fw_put(out + 24, 4, sizes[OUTPUT].min * RMP_PAGE_SIZE);
    fw_put(out + 28, 4, sizes[OUTPUT].max * RMP_PAGE_SIZE);
    fw_put(out + 32, 4, sizes[RESPONSE].min * RMP_PAGE_SIZE);
    fw_put(out + 36, 4, sizes[RESPONSE].max * RMP_PAGE_SIZE);
    fw_put(out + 40, 4, FW_TIO_CTX_PAGES * RMP_PAGE_SIZE);
    fw_write(fw, addr, out, sizeof(out));
    return FW_SUCCESS;
}

uint32_t fw_tio_init(SnpFw *fw, FwBuf *c)
{
    uint32_t status = check_form(c, 16, fw_all_zero(c->b + 4, 12));

    if (status) {
        return status;
    }
    /* [FW-TIO-ENABLED] */
    if (!fw->tio_enabled) {
        return FW_INVALID_CONFIG;
    }
    /* [FW-TIO-INIT-TWICE] */
    if (fw->tio_inited) {
        return FW_INVALID_PLATFORM_STATE;
    }
    fw->tio_inited = true;
    return FW_SUCCESS;
}

static void set_context(SnpFw *fw, const SnpFwTioDev *d, RmpState s)
{
    for (unsigned i = 0; i < FW_TIO_CTX_PAGES; i++) {
        fw_set_state(fw, d->page[i], s);
    }
}

/* What a context is lies in the firmware, as with guests */
static void write_context(SnpFw *fw, const SnpFwTioDev *d, const FwSla *s)
{
    uint8_t head[BUFFER_HEAD + CONTEXT_LEN] = { 0 };

    fw_put(head, 4, s->npages * RMP_PAGE_SIZE);
    fw_put(head + 4, 4, CONTEXT_LEN);
    fw_put(head + BUFFER_HEAD, 8, d->id);
    fw_sla_put(fw, s, 0, head, sizeof(head));
}

uint32_t fw_tio_dev_create(SnpFw *fw, FwBuf *c)
{
    uint16_t device = fw_get(c->b + 0x10, 2);
    uint8_t segment = c->b[0x14];
    SnpFwTioDev *d = NULL;
    FwSla ctx;
    uint32_t status;

    status = check_inited(fw, check_form(c, 32, fw_all_zero(c->b + 4, 4) &&
                                         fw_all_zero(c->b + 0x15, 11)));
    if (!status) {
        status = fw_sla_read(fw, fw_get(c->b + 8, 8), FW_TIO_CTX_PAGES,
                             FW_TIO_CTX_PAGES, &ctx);
    }
    if (status) {
        return status;
    }
    /* [FW-SLA-TWICE] */
    if (fw_sla_overlap(&ctx, 1)) {
        return FW_INVALID_PARAM;
    }
    status = fw_sla_check_output(fw, &ctx);
    if (status) {
        return status;
    }
    for (unsigned i = FW_MAX_TIO_DEVS; i--; ) {
        if (!fw->tio_devs[i].used) {
            d = &fw->tio_devs[i];
        } else if (fw->tio_devs[i].device == device &&
                   fw->tio_devs[i].segment == segment) {
            /* [FW-TIO-DEV-TWICE] */
            return FW_IN_USE;
        }
    }
    /* [FW-TIO-DEV-LIMIT] */
    if (!d) {
        return FW_RESOURCE_LIMIT;
    }

    memset(d, 0, sizeof(*d));
    d->used = true;
    d->state = TIO_DEV_CREATED;
    d->id = fw->next_id++;
    d->sla = fw_get_addr(c->b + 8);
    d->device = device;
    d->root_port = fw_get(c->b + 0x12, 2);
    d->segment = segment;
    memcpy(d->page, ctx.page, sizeof(d->page));
    write_context(fw, d, &ctx);
    /* [FW-TIO-CONTEXT] */
    set_context(fw, d, RMP_CONTEXT);
    return FW_SUCCESS;
}

static void drop_device(SnpFw *fw, SnpFwTioDev *d)
{
    set_context(fw, d, RMP_FIRMWARE);
    memset(d, 0, sizeof(*d));
}

void fw_tio_shutdown(SnpFw *fw)
{
    for (unsigned i = 0; i < FW_MAX_TIO_DEVS; i++) {
        if (fw->tio_devs[i].used) {
            drop_device(fw, &fw->tio_devs[i]);
        }
    }
    fw->tio_enabled = fw->tio_inited = false;
}

uint32_t fw_tio_dev_reclaim(SnpFw *fw, FwBuf *c)
{
    uint32_t status = check_inited(fw, check_form(c, 16,
                                                  fw_all_zero(c->b + 4, 4)));
    SnpFwTioDev *d = find_device(fw, c->b + 8);

    if (status) {
        return status;
    }
    /* [FW-TIO-DEV-CTX] */
    if (!d) {
        return FW_INVALID_DEV_CTX;
    }
    drop_device(fw, d);
    return FW_SUCCESS;
}

/* ---- CONNECT ---- */

static uint32_t read_buffers(SnpFw *fw, const FwBuf *c, FwSla s[NBUFFERS])
{
    uint32_t status = FW_SUCCESS;

    for (unsigned i = 0; i < NBUFFERS && !status; i++) {
        status = fw_sla_read(fw, fw_get(c->b + 8 + 8 * i, 8), sizes[i].min,
                             sizes[i].max, &s[i]);
    }
    if (status) {
        return status;
    }
    /* [FW-SLA-TWICE] */
    if (fw_sla_overlap(s, NBUFFERS)) {
        return FW_INVALID_PARAM;
    }
    for (unsigned i = 0; i < NBUFFERS && !status; i++) {
        if (sizes[i].ours) {
            status = fw_sla_check_output(fw, &s[i]);
        }
    }
    for (unsigned i = 0; i < NBUFFERS && !status; i++) {
        uint8_t capacity[4];

        /* [FW-TIO-CAPACITY] what its header says is what it has */
        fw_sla_get(fw, &s[i], 0, capacity, sizeof(capacity));
        if (fw_get(capacity, 4) != s[i].npages * RMP_PAGE_SIZE) {
            status = FW_INCORRECT_BUFFER_LENGTH;
        }
    }
    return status;
}

/* The next question, for the host to carry */
static uint32_t ask(SnpFw *fw, SnpFwTioDev *d, const FwSla *to)
{
    uint8_t raw[8 + OBJECT_HEAD + FW_SPDM_REQ_MAX] = { 0 };
    uint8_t *object = raw + 8;
    uint32_t len = OBJECT_HEAD + fw_spdm_ask(d->step, object + OBJECT_HEAD);

    /* payload and flags, behind the capacity; then the object */
    fw_put(raw, 4, (len + PAYLOAD_UNIT - 1) / PAYLOAD_UNIT * PAYLOAD_UNIT);
    fw_put(object, 4, OBJECT_REQUEST);
    fw_put(object + 4, 4, len);
    object[9] = OBJECT_MAJOR;
    object[10] = CARRIES_SPDM;
    fw_sla_put(fw, to, 4, raw, 8);
    fw_sla_put(fw, to, BUFFER_HEAD, object, len);
    d->state = TIO_DEV_CONNECTING;
    return FW_SPDM_REQUEST;
}

/* The message in the response buffer: its length, or 0 if there is none */
static uint32_t message(SnpFw *fw, const FwSla *s,
                        uint8_t msg[FW_SPDM_RSP_MAX])
{
    uint8_t head[12], object[OBJECT_HEAD];
    uint32_t room = s->npages * RMP_PAGE_SIZE - BUFFER_HEAD;
    uint32_t payload, len;

    fw_sla_get(fw, s, 0, head, sizeof(head));
    fw_sla_get(fw, s, BUFFER_HEAD, object, sizeof(object));
    payload = fw_get(head + 4, 4);
    len = fw_get(object + 4, 4);
    /* [FW-TIO-RESPONSE] not enciphered, all there, what was asked for */
    if (fw_get(head + 8, 4) || payload > room || len > payload ||
        len <= OBJECT_HEAD || len - OBJECT_HEAD > FW_SPDM_RSP_MAX ||
        fw_get(object, 4) != OBJECT_RESPONSE || object[9] != OBJECT_MAJOR ||
        object[10] != CARRIES_SPDM) {
        return 0;
    }
    fw_sla_get(fw, s, BUFFER_HEAD + OBJECT_HEAD, msg, len - OBJECT_HEAD);
    return len - OBJECT_HEAD;
}

/* Nothing more is asked: the device is as it was created. */
static uint32_t over(SnpFwTioDev *d, uint32_t status)
{
    d->state = TIO_DEV_CREATED;
    d->step = SPDM_GET_VERSION;
    memset(d->connect, 0, sizeof(d->connect));
    return status;
}

static uint32_t go_on(SnpFw *fw, SnpFwTioDev *d, const FwSla s[NBUFFERS])
{
    uint8_t msg[FW_SPDM_RSP_MAX] = { 0 };
    uint32_t len = message(fw, &s[RESPONSE], msg);

    if (!len || !fw_spdm_answer(d->step, msg, len)) {
        return over(d, FW_SPDM_ERROR);
    }
    if (++d->step < SPDM_NSTEPS) {
        return ask(fw, d, &s[REQUEST]);
    }
    /* [FW-TIO-SESSION] */
    return over(d, FW_ERR_IN_DEV_CONN);
}

uint32_t fw_tio_dev_connect(SnpFw *fw, FwBuf *c)
{
    SnpFwTioDev *d = find_device(fw, c->b + 0x30);
    FwSla s[NBUFFERS];
    uint32_t status;

    status = check_inited(fw, check_form(c, FW_TIO_CONNECT_LEN,
                                         fw_all_zero(c->b + 4, 4) &&
                                         fw_all_zero(c->b + 0x28, 8) &&
                                         fw_all_zero(c->b + 0x3a, 6) &&
                                         fw_all_zero(c->b + 0x48, 8)));
    if (status) {
        return status;
    }
    /* [FW-TIO-DEV-CTX] */
    if (!d) {
        return FW_INVALID_DEV_CTX;
    }
    /* [FW-TIO-CONNECT-TC] [FW-TIO-CONNECT-SLOT] */
    if (!(c->b[0x38] & 1) || c->b[0x39] >= CONNECT_SLOTS) {
        return FW_INVALID_PARAM;
    }
    status = read_buffers(fw, c, s);
    if (status) {
        return status;
    }
    if (d->state == TIO_DEV_CREATED) {
        memcpy(d->connect, c->b, sizeof(d->connect));
        return ask(fw, d, &s[REQUEST]);
    }
    /* [FW-TIO-CONNECT-OTHER] */
    if (memcmp(d->connect, c->b, sizeof(d->connect))) {
        return FW_INVALID_PARAM;
    }
    return go_on(fw, d, s);
}

/* There is never a session to end, so nothing to say to the device. */
uint32_t fw_tio_dev_disconnect(SnpFw *fw, FwBuf *c)
{
    uint32_t flags = fw_get(c->b + 4, 4);
    SnpFwTioDev *d = find_device(fw, c->b + 0x28);
    uint32_t status;

    status = check_inited(fw, check_form(c, 48, !(flags & ~DISCONNECT_FORCE)));
    if (status) {
        return status;
    }
    /* [FW-TIO-DEV-CTX] */
    if (!d) {
        return FW_INVALID_DEV_CTX;
    }
    /* [FW-TIO-DISCONNECT-STATE] */
    if (d->state == TIO_DEV_CREATED && !(flags & DISCONNECT_FORCE)) {
        return FW_INVALID_DEV_STATE;
    }
    return over(d, FW_SUCCESS);
}
