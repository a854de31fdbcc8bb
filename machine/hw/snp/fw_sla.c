/*
 * Secure processor firmware: buffers that the host describes by scatter lists
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fw_sla.h"

#define SLA_LIST         (1ull << 0)
#define SLA_2M           (1ull << 1)
#define SLA_PAGE         (((1ull << 40) - 1) << 12)
#define SLA_RSVD         (~(SLA_LIST | SLA_2M | SLA_PAGE))
#define SLA_END          SLA_PAGE

static uint64_t page_of(uint64_t sla)
{
    return sla & SLA_PAGE & ~FW_C_BIT;
}

/* @list: may it be the address of a list? */
static uint32_t check_address(SnpFw *fw, uint64_t sla, bool list)
{
    /* [FW-SLA-RSVD] */
    if ((sla & SLA_RSVD) || !(sla & SLA_PAGE) || sla == SLA_END ||
        ((sla & SLA_LIST) && !list)) {
        return FW_INVALID_PARAM;
    }
    /* [FW-SLA-2M] */
    if (sla & SLA_2M) {
        return FW_UNSUPPORTED;
    }
    /* [FW-SLA-ADDRESS] */
    return fw_readable(fw, page_of(sla), RMP_PAGE_SIZE) ? FW_SUCCESS
                                                        : FW_INVALID_ADDRESS;
}

/* Never more of a list than the largest buffer has pages, and its end */
static uint32_t read_list(SnpFw *fw, uint64_t list, unsigned max, FwSla *out)
{
    for (unsigned i = 0; i <= max; i++) {
        uint8_t raw[8];
        uint64_t sla;
        uint32_t status;

        fw_read(fw, list + i * sizeof(raw), raw, sizeof(raw));
        sla = fw_get(raw, sizeof(raw));
        if (sla == SLA_END) {
            return FW_SUCCESS;
        }
        if (i == max) {
            break;
        }
        status = check_address(fw, sla, false);
        if (status) {
            return status;
        }
        out->page[out->npages++] = page_of(sla);
    }
    /* [FW-SLA-LENGTH] it goes on */
    return FW_INCORRECT_BUFFER_LENGTH;
}

uint32_t fw_sla_read(SnpFw *fw, uint64_t sla, unsigned min, unsigned max,
                     FwSla *out)
{
    uint32_t status = check_address(fw, sla, true);

    out->npages = 0;
    if (status) {
        return status;
    }
    if (sla & SLA_LIST) {
        status = read_list(fw, page_of(sla), max, out);
        if (status) {
            return status;
        }
    } else {
        out->page[out->npages++] = page_of(sla);
    }
    /* [FW-SLA-LENGTH] */
    return out->npages < min ? FW_INCORRECT_BUFFER_LENGTH : FW_SUCCESS;
}

bool fw_sla_overlap(const FwSla *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        for (unsigned a = 0; a < s[i].npages; a++) {
            for (unsigned j = 0; j <= i; j++) {
                unsigned end = j < i ? s[j].npages : a;

                for (unsigned b = 0; b < end; b++) {
                    if (s[i].page[a] == s[j].page[b]) {
                        return true;
                    }
                }
            }
        }
    }
    return false;
}

uint32_t fw_sla_check_output(SnpFw *fw, const FwSla *s)
{
    uint32_t status = FW_SUCCESS;

    for (unsigned i = 0; i < s->npages && !status; i++) {
        status = fw_check_output(fw, s->page[i], RMP_PAGE_SIZE);
    }
    return status;
}

/* Where byte @at is, and in *@n how many of @len lie in that page */
static uint64_t piece(const FwSla *s, uint32_t at, uint32_t len, uint32_t *n)
{
    uint64_t spa = s->page[at / RMP_PAGE_SIZE] + at % RMP_PAGE_SIZE;

    *n = fw_piece(spa, len);
    return spa;
}

void fw_sla_get(SnpFw *fw, const FwSla *s, uint32_t at, void *to, uint32_t len)
{
    uint8_t *p = to;

    for (uint32_t n; len; at += n, p += n, len -= n) {
        uint64_t spa = piece(s, at, len, &n);

        fw_read(fw, spa, p, n);
    }
}

void fw_sla_put(SnpFw *fw, const FwSla *s, uint32_t at, const void *from,
                uint32_t len)
{
    const uint8_t *p = from;

    for (uint32_t n; len; at += n, p += n, len -= n) {
        uint64_t spa = piece(s, at, len, &n);

        fw_write(fw, spa, p, n);
    }
}
