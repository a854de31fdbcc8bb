/*
 * Secure processor firmware: packets of SEV guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A secret that an owner tells, and memory of a guest that is sent: enciphered
 * with a session's TEK, AES-128 in counter mode, and authentic by its TIK. What
 * kind of packet it is goes into its MAC; where it belongs in the guest does
 * not: that is for whoever runs the guest to know.
 *
 * SEV API (55766).
 */
#include "fw_msg.h"

#define PACKET_MAX        0x4000u

/* What a MAC begins with */
enum { SECRET = 1, DATA, VMSA };

/*
 * [FW-PACKET-MAC] of header, both lengths and packet; of a secret also of what
 * was measured
 */
static void packet_mac(const SevFwGuest *g, uint8_t kind,
                       const FwPacketHeader *h, const uint8_t *packet,
                       uint32_t len, uint8_t mac[SHA256_LEN])
{
    static uint8_t msg[29 + PACKET_MAX + SHA256_LEN];
    uint32_t n = 29 + len;

    msg[0] = kind;
    memcpy(msg + 1, h->flags, 4);
    memcpy(msg + 5, h->iv, 16);
    fw_put(msg + 21, 4, len);
    fw_put(msg + 25, 4, len);
    memcpy(msg + 29, packet, len);
    if (kind == SECRET) {
        memcpy(msg + n, g->measure, sizeof(g->measure));
        n += sizeof(g->measure);
    }
    hmac_sha256(g->keys.tik, sizeof(g->keys.tik), msg, n, mac);
}

static bool bad_len(uint32_t len, uint8_t kind)
{
    return len % 16 || len > PACKET_MAX ||
           (kind == VMSA && len != RMP_PAGE_SIZE);
}

static bool bad_place(uint64_t spa, uint8_t kind)
{
    return spa % 16 || (kind == VMSA && !fw_page_aligned(spa));
}

/* [FW-PACKET-VMSA] only an ES guest has one */
static bool no_vmsa(const FwBuf *c, uint8_t kind)
{
    return kind == VMSA && !(c->sev->policy & FW_SEV_POLICY_ES);
}

static uint32_t open_packet(SnpFw *fw, FwBuf *c, uint8_t kind)
{
    static uint8_t packet[PACKET_MAX];
    uint64_t to = fw_get_addr(c->b + 0x18);
    uint32_t len = fw_get(c->b + 0x20, 4);
    uint8_t mac[SHA256_LEN];
    FwPacketHeader h;
    uint32_t status;

    if (no_vmsa(c, kind)) {
        return FW_UNSUPPORTED;
    }
    /* [FW-PACKET-LEN] */
    if (fw_get(c->b + 0x10, 4) != sizeof(h) || !len || bad_len(len, kind) ||
        fw_get(c->b + 0x30, 4) != len) {
        return FW_INVALID_LEN;
    }
    /* [FW-PACKET-ADDRESS] */
    if (bad_place(to, kind) ||
        !fw_read(fw, fw_get_addr(c->b + 8), &h, sizeof(h)) ||
        !fw_read(fw, fw_get_addr(c->b + 0x28), packet, len)) {
        return FW_INVALID_ADDRESS;
    }
    status = fw_check_output(fw, to, len);
    if (status) {
        return status;
    }
    /* [FW-PACKET-FLAGS] */
    if (fw_get(h.flags, 4)) {
        return FW_UNSUPPORTED;
    }
    packet_mac(c->sev, kind, &h, packet, len, mac);
    if (memcmp(mac, h.mac, sizeof(mac))) {
        return FW_BAD_MEASUREMENT;
    }
    aes128_ctr(c->sev->keys.tek, h.iv, packet, len);
    /* [FW-SEV-CIPHER] */
    fw_guest_write(fw, c->sev->asid, to, packet, len);
    explicit_bzero(packet, sizeof(packet));
    return FW_SUCCESS;
}

static uint32_t seal_packet(SnpFw *fw, FwBuf *c, uint8_t kind)
{
    static uint8_t packet[PACKET_MAX];
    uint64_t from = fw_get_addr(c->b + 0x18);
    uint32_t len = fw_get(c->b + 0x20, 4);
    const FwOut out[2] = {
        { 8, 0x10, sizeof(FwPacketHeader) }, { 0x28, 0x30, len },
    };
    FwPacketHeader h = { 0 };
    uint32_t status;

    if (no_vmsa(c, kind)) {
        return FW_UNSUPPORTED;
    }
    /* [FW-SEND-LEN] who asks for a header's length may send nothing */
    if (len && bad_len(len, kind)) {
        return FW_INVALID_LEN;
    }
    /* [FW-SEND-ROOM] */
    status = fw_out_check(fw, c, out, 2);
    if (status) {
        return status;
    }
    if (!len) {
        return FW_INVALID_LEN;
    }
    /* [FW-SEND-ADDRESS] */
    if (bad_place(from, kind) || !fw_readable(fw, from, len)) {
        return FW_INVALID_ADDRESS;
    }
    fw_guest_read(fw, c->sev->asid, from, packet, len);
    fw->port.random(fw->port.opaque, h.iv, sizeof(h.iv));
    aes128_ctr(c->sev->keys.tek, h.iv, packet, len);
    packet_mac(c->sev, kind, &h, packet, len, h.mac);
    fw_out_write(fw, c, &out[0], &h);
    fw_out_write(fw, c, &out[1], packet);
    return FW_SUCCESS;
}

uint32_t fw_sev_launch_update_secret(SnpFw *fw, FwBuf *c)
{
    return open_packet(fw, c, SECRET);
}

uint32_t fw_sev_send_update_data(SnpFw *fw, FwBuf *c)
{
    return seal_packet(fw, c, DATA);
}

uint32_t fw_sev_send_update_vmsa(SnpFw *fw, FwBuf *c)
{
    return seal_packet(fw, c, VMSA);
}

uint32_t fw_sev_receive_update_data(SnpFw *fw, FwBuf *c)
{
    return open_packet(fw, c, DATA);
}

uint32_t fw_sev_receive_update_vmsa(SnpFw *fw, FwBuf *c)
{
    return open_packet(fw, c, VMSA);
}
