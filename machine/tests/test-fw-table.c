/*
 * Unit test of the secure processor's firmware: what its table says
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For each command there is a set-up in which it succeeds, and for each error
 * of its row the change of that set-up which provokes it. From the table
 * follow: each error by itself; of each two errors at once the first; each
 * platform state and each guest state, taken or refused; what is left
 * afterwards. An error for which there is no change fails the test.
 */
#include "id-bench.h"
#include "session-bench.h"
#include "swap-bench.h"
#include "tio-bench.h"
#include "hw/snp/fw_table.h"

#define HANDLE     1u
#define NV         0x018000ull      /* eight pages */

/* ---- set-ups ---- */

static void sev_guest_at(unsigned state, bool es)
{
    power_on();
    init_snp();
    init_sev(true);
    set_page(TARGET, RMP_FIRMWARE, 0, 0);
    put(4, 4, es ? 4 : 0);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "set-up");
    fw.sev_guests[0].asid = es ? 3 : MIN_SEV;
    fw.sev_guests[0].state = state;
    put(0, 4, HANDLE);
}

static void arg_outbuf(void)
{
    put(8, 8, TARGET);
    put(16, 4, 48);
}

static void init_ex_again(void)
{
    power_on();
    init_snp();
    put(0, 4, 8);
    expect(SNP_SHUTDOWN_EX, FW_SUCCESS, "set-up");
    mem[LIST] = 1;
    put_le(mem + LIST + 8, 8, PAGE2);
    put_le(mem + LIST + 16, 4, 1);
    set_page(CMDBUF, RMP_HYPERVISOR, 0, 0);
    put(0, 4, 2);
    put(8, 8, LIST);
}

/* The library can be made to fail, but not for the test's own use of it. */
static bool crypto_fails, sign_fails, in_command;

bool __real_gcm_seal(const uint8_t *key, const uint8_t *iv, const void *aad,
                     size_t aad_len, const void *in, size_t len, uint8_t *out,
                     uint8_t *tag);
bool __wrap_gcm_seal(const uint8_t *key, const uint8_t *iv, const void *aad,
                     size_t aad_len, const void *in, size_t len, uint8_t *out,
                     uint8_t *tag);

bool __wrap_gcm_seal(const uint8_t *key, const uint8_t *iv, const void *aad,
                     size_t aad_len, const void *in, size_t len, uint8_t *out,
                     uint8_t *tag)
{
    return !(crypto_fails && in_command) &&
           __real_gcm_seal(key, iv, aad, aad_len, in, len, out, tag);
}

bool __real_p384_sign(const P384Key *key, const void *msg, size_t len,
                      P384Sig *out);
bool __wrap_p384_sign(const P384Key *key, const void *msg, size_t len,
                      P384Sig *out);

bool __wrap_p384_sign(const P384Key *key, const void *msg, size_t len,
                      P384Sig *out)
{
    return !(sign_fails && in_command) &&
           __real_p384_sign(key, msg, len, out);
}

bool __real_p384_sign_256(const P384Pair *key, const void *msg, size_t len,
                          P384Sig *out);
bool __wrap_p384_sign_256(const P384Pair *key, const void *msg, size_t len,
                          P384Sig *out);

bool __wrap_p384_sign_256(const P384Pair *key, const void *msg, size_t len,
                          P384Sig *out)
{
    return !(crypto_fails && in_command) &&
           __real_p384_sign_256(key, msg, len, out);
}

static void break_crypto(void)
{
    crypto_fails = true;
}

static void dirty_asid(void)
{
    fw.asid_dirty[3] = true;
    wbinvd_done = true;
}

/* All is well for the command; its buffer is in cb. */
static void good(unsigned id)
{
    uint32_t len;

    in_a_hurry = true;
    memset(cb, 0, sizeof(cb));
    switch (id) {
    case SEV_INIT:
        power_on();
        init_snp();
        for (int i = 0; i < 512; i++) {
            set_page(TMR + i * 0x1000ull, RMP_FIRMWARE, 0, 0);
        }
        put(0, 4, 1);
        put(8, 8, TMR);
        put(16, 4, 0x200000);
        break;
    case SEV_INIT_EX:
        good(SEV_INIT);
        in_a_hurry = true;
        memset(cb, 0, sizeof(cb));
        for (int i = 0; i < 8; i++) {
            set_page(NV + i * 0x1000, RMP_FIRMWARE, 0, 0);
        }
        memset(mem + NV, 0xff, 0x8000);
        put(0, 4, 36);
        put(4, 4, 1);
        put(8, 8, TMR);
        put(16, 4, 0x200000);
        put(24, 8, NV);
        put(32, 4, 0x8000);
        break;
    case SEV_SHUTDOWN:
    case SEV_PLATFORM_STATUS:
        sev_guest_at(SEV_GUEST_RUNNING, true);
        break;
    case SEV_DF_FLUSH:
        sev_guest_at(SEV_GUEST_RUNNING, true);
        dirty_asid();
        break;
    case SEV_FACTORY_RESET:
        power_on();
        break;
    case SEV_PEK_GEN:
    case SEV_PDH_GEN:
        power_on();
        init_sev(false);
        break;
    case SEV_PEK_CSR:
        sev_guest_at(SEV_GUEST_RUNNING, true);
        cert_pages();
        memset(cb, 0, sizeof(cb));
        arg_csr();
        break;
    case SEV_PDH_CERT_EXPORT:
        sev_guest_at(SEV_GUEST_RUNNING, true);
        cert_pages();
        memset(cb, 0, sizeof(cb));
        arg_export();
        break;
    case SEV_PEK_CERT_IMPORT:
        power_on();
        init_sev(false);
        ask_csr();
        in_a_hurry = true;
        owner_signs(2);
        arg_import();
        break;
    case SEV_GET_ID:
        sev_guest_at(SEV_GUEST_RUNNING, true);
        put(0, 8, TARGET);
        put(8, 4, 64);
        break;
    case SEV_ACTIVATE:
        sev_guest_at(SEV_GUEST_LUPDATE, true);
        fw.sev_guests[0].asid = 0;
        put(4, 4, 3);
        break;
    case SEV_DECOMMISSION:
        sev_guest_at(SEV_GUEST_RUNNING, true);
        fw.sev_guests[0].asid = 0;
        break;
    case SEV_DEACTIVATE:
    case SEV_GUEST_STATUS:
        sev_guest_at(SEV_GUEST_RUNNING, true);
        break;
    case SEV_LAUNCH_START:
    case SEV_RECEIVE_START:
        power_on();
        init_snp();
        init_sev(true);
        expect(SEV_PDH_GEN, FW_SUCCESS, "set-up");
        owner_begins(4);
        arg_session(4);
        break;
    case SEV_LAUNCH_UPDATE_SECRET:
        sev_guest_at(SEV_GUEST_LSECRET, true);
        wrap_secret(fw.sev_guests[0].keys.tek, fw.sev_guests[0].keys.tik,
                    fw.sev_guests[0].measure, 0x11, 48);
        arg_secret(TARGET, 48);
        break;
    case SEV_SEND_START:
        sev_guest_at(SEV_GUEST_RUNNING, true);
        cert_pages();
        arg_export();
        expect(SEV_PDH_CERT_EXPORT, FW_SUCCESS, "set-up");
        memset(&fw.identity, 0, sizeof(fw.identity));   /* another's, then */
        arg_send(OUT);
        break;
    case SEV_SEND_UPDATE_DATA:
    case SEV_SEND_UPDATE_VMSA:
        sev_guest_at(SEV_GUEST_SUPDATE, true);
        cert_pages();
        arg_secret(TARGET, id == SEV_SEND_UPDATE_DATA ? 48 : 4096);
        break;
    case SEV_SEND_FINISH:
    case SEV_SEND_CANCEL:
        sev_guest_at(SEV_GUEST_SUPDATE, true);
        break;
    case SEV_RECEIVE_UPDATE_DATA:
    case SEV_RECEIVE_UPDATE_VMSA:
        sev_guest_at(SEV_GUEST_RUPDATE, true);
        len = id == SEV_RECEIVE_UPDATE_DATA ? 48 : 4096;
        wrap_packet(len == 48 ? DATA : VMSA, fw.sev_guests[0].keys.tek,
                    fw.sev_guests[0].keys.tik, NULL, 0x11, len);
        arg_secret(TARGET, len);
        break;
    case SEV_RECEIVE_FINISH:
        sev_guest_at(SEV_GUEST_RUPDATE, true);
        break;
    case SEV_ATTESTATION_REPORT:
        sev_guest_at(SEV_GUEST_RUNNING, true);
        put(8, 8, TARGET);
        put(0x20, 4, 208);
        break;
    case SEV_LAUNCH_UPDATE_DATA:
        sev_guest_at(SEV_GUEST_LUPDATE, true);
        arg_outbuf();
        break;
    case SEV_LAUNCH_UPDATE_VMSA:
        sev_guest_at(SEV_GUEST_LUPDATE, true);
        put(8, 8, TARGET);
        put(16, 4, 4096);
        break;
    case SEV_LAUNCH_MEASURE:
        sev_guest_at(SEV_GUEST_LUPDATE, true);
        arg_outbuf();
        break;
    case SEV_LAUNCH_FINISH:
        sev_guest_at(SEV_GUEST_LSECRET, true);
        break;
    case SEV_DBG_DECRYPT:
    case SEV_DBG_ENCRYPT:
        sev_guest_at(SEV_GUEST_RUNNING, true);
        put(8, 8, OUT);
        put(16, 8, TARGET);
        put(24, 4, 48);
        break;
    case SNP_INIT:
        power_on();
        break;
    case SNP_INIT_EX:
        init_ex_again();
        break;
    case SNP_SHUTDOWN:
    case SNP_SHUTDOWN_EX:
        power_on();
        init_snp();
        put(0, 4, id == SNP_SHUTDOWN_EX ? 8 : 0);
        break;
    case SNP_PLATFORM_STATUS:
        power_on();
        init_snp();
        put(0, 8, OUT);
        break;
    case SNP_DF_FLUSH:
        power_on();
        init_snp();
        dirty_asid();
        break;
    case SNP_GCTX_CREATE:
        guest(G_NONE);
        put(0, 8, GCTX);
        break;
    case SNP_LAUNCH_START:
        guest(G_INIT);
        arg_launch_start();
        break;
    case SNP_ACTIVATE:
        guest(G_LAUNCH);
        arg_activate(3);
        break;
    case SNP_ACTIVATE_EX:
        guest(G_LAUNCH);
        arg_activate_ex(3, 2);
        break;
    case SEV_DOWNLOAD_FIRMWARE:
        power_on();
        chip();
        put_image(1, 55, 22, TCB, 0);
        put(0, 8, IMAGE);
        put(8, 4, 160);
        break;
    case SNP_DOWNLOAD_FIRMWARE_EX:
        guest(G_LAUNCH);
        chip();
        put_image(1, 55, 22, TCB, 0);
        arg_download_ex(false);
        break;
    case SNP_LAUNCH_UPDATE:
        guest(G_LAUNCH_ACTIVE);
        arg_update(1, TARGET, false);
        break;
    case SNP_LAUNCH_FINISH:
        blocked();
        put(0, 8, GCTX);
        put(8, 8, BLOCK);
        put(16, 8, AUTH);
        put(24, 1, 3);
        break;
    case SNP_GUEST_STATUS:
        guest(G_RUNNING_ACTIVE);
        put(0, 8, GCTX);
        put(8, 8, OUT);
        break;
    case SNP_DECOMMISSION:
        guest(G_RUNNING_ACTIVE);
        put(0, 8, GCTX);
        break;
    case SNP_GUEST_REQUEST:
        attested();
        report_req(0, 0);
        seal_as(0, 1, 5, 1, 0x60);
        arg_request();
        break;
    case SNP_DBG_DECRYPT:
    case SNP_DBG_ENCRYPT:
        guest(G_RUNNING_ACTIVE);
        fw.guests[0].policy |= 1 << 19;
        put(0, 8, GCTX);
        put(8, 8, id == SNP_DBG_DECRYPT ? TARGET : OUT);
        put(16, 8, id == SNP_DBG_DECRYPT ? OUT : TARGET);
        break;
    case SNP_PAGE_SWAP_OUT:
        swappable();
        arg_swap_out(TARGET, OUT, MDATA + 64, 0);
        break;
    case SNP_PAGE_SWAP_IN:
        swappable();
        arg_swap_out(TARGET, OUT, MDATA + 64, 0);
        expect(SNP_PAGE_SWAP_OUT, FW_SUCCESS, "set-up");
        set_page(TARGET, RMP_PRE_GUEST, 3, 0x100000);
        arg_swap_in(OUT, TARGET, MDATA + 64, 0);
        break;
    case SNP_PAGE_MOVE:
        swappable();
        set_page(TARGET, RMP_PRE_GUEST, 3, 0x180000);
        set_page(PAGE2, RMP_PRE_SWAP, 3, 0x180000);
        arg_move(PAGE2, TARGET, false);
        break;
    case SNP_PAGE_MD_INIT:
        swappable();
        set_page(PAGE2, RMP_FIRMWARE, 0, 0);
        put(0, 8, GCTX);
        put(8, 8, PAGE2);
        break;
    case SNP_PAGE_UNSMASH:
        swappable();
        smashed(LARGE, RMP_PRE_GUEST);
        put(0, 8, LARGE);
        break;
    case SNP_PAGE_SET_STATE:
        power_on();
        init_snp();
        mem[LIST] = 1;
        put_le(mem + LIST + 8, 8, PAGE2);
        put_le(mem + LIST + 16, 4, 1);
        put(0, 4, 16);
        put(8, 8, LIST);
        break;
    case SNP_FEATURE_INFO:
        power_on();
        init_snp();
        put(0, 4, 16);
        put(8, 8, OUT);
        break;
    case SNP_PAGE_RECLAIM:
        power_on();
        init_snp();
        put(0, 8, OUT);
        break;
    case SNP_CONFIG:
        power_on();
        put(0, 8, TCB);
        /* the low half of a TCB version overlaps nothing else */
        break;
    case SNP_COMMIT:
        power_on();
        put(0, 4, 4);
        break;
    case SNP_VERIFY_MITIGATION:
        power_on();
        init_snp();
        fw.cfg.mitigations = 0x11;
        put(0, 4, 64);
        put(4, 2, 1);
        put(8, 8, 0x10);
        put(0x10, 4, 1);
        put(0x20, 8, OUT);
        break;
    case SNP_VLEK_LOAD:
        power_on();
        chip();
        init_snp();
        wrap_vlek(pem_b, TCB);
        arg_vlek();
        break;
    case TIO_STATUS:
        tio_inited();
        put(0, 4, 16);
        put(8, 8, OUT);
        break;
    case TIO_INIT:
        tio_on();
        put(0, 4, 16);
        break;
    case TIO_DEV_CREATE:
        tio_inited();
        arg_tio_create(DEVICE);
        break;
    case TIO_DEV_RECLAIM:
        tio_device();
        arg_tio_context();
        break;
    case TIO_DEV_CONNECT:
        tio_device();
        arg_tio_connect();
        break;
    case TIO_DEV_DISCONNECT:
        tio_device();
        fw.tio_devs[0].state = TIO_DEV_CONNECTING;
        arg_tio_disconnect(false);
        break;
    default:
        CHECK(false, "no set-up for 0x%x", id);
    }
    in_a_hurry = false;
}

/* ---- changes ---- */

typedef struct Store {
    void *at;
    unsigned len;
    uint64_t v;
} Store;

/* What provokes one error: stores, a page's state, a function */
typedef struct Change {
    uint16_t cmd, status;
    const char *rule;
    Store w[3];
    uint64_t page;
    RmpState state;
    uint32_t asid;
    void (*f)(void);
} Change;

#define ON(cmd, status, rule)  cmd, FW_##status, "FW-" rule
#define CB(off, n, v)          { cb + (off), n, v }
#define MEM(at, n, v)          { mem + (at), n, v }
#define FW(field, v)           { &fw.field, sizeof(fw.field), v }
#define PAGE(p, s)             .page = p, .state = s

static void all_contexts_used(void)
{
    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        fw.guests[i].used = true;
    }
}

static void all_handles_used(void)
{
    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        fw.sev_guests[i].used = true;
    }
}

static void asid_owned(void)
{
    fw.guests[7].used = true;
    fw.guests[7].asid = 3;
}

static void no_wbinvd(void)
{
    dirty_asid();
    wbinvd_done = false;
}

static void cpus_not_ready(void)
{
    cpus_ready = false;
}

static void rmp_misaligned(void)
{
    rmp.end -= 0x1000;
}

static void size_4k(void)
{
    cb[8] &= ~1;
}

/* The target is a page of 4K, whatever it was */
static void target_4k(void)
{
    size_4k();
    put(16, 8, TARGET);
}

static void update_misaligned(void)
{
    cb[16] |= 0x10;
}

static void type_vmsa(void)
{
    cb[8] = (cb[8] & 1) | 2 << 1;
}

static void type_cpuid(void)
{
    cb[8] = (cb[8] & 1) | 6 << 1;
}

static void other_message(void)
{
    seal_as(0, 1, 9, 1, 0x60);
}

static void flip_tag(void)
{
    mem[REQ] ^= 1;
}

static void flip_signature(void)
{
    mem[AUTH + 0x40] ^= 1;
}

static void flip_author(void)
{
    mem[AUTH + 0x680] ^= 1;
}

/* Every page, and one of them once more */
static void list_twice(void)
{
    mem[LIST] = 2;
    put_le(mem + LIST + 8, 8, 0);
    put_le(mem + LIST + 16, 4, NPAGES);
    put_le(mem + LIST + 24, 8, PAGE2);
    put_le(mem + LIST + 32, 4, 1);
}

static void flip_swapped(void)
{
    mem[OUT + 100] ^= 1;
}

/* A page of 2M where one of 4K is wanted */
static void out_of_large(void)
{
    large(LARGE, RMP_PRE_GUEST);
    put(8, 8, LARGE);
}

static void into_large(void)
{
    large(LARGE, RMP_PRE_GUEST);
    put(16, 8, LARGE);
}

/* And the reverse */
static void move_pieces(void)
{
    smashed(LARGE, RMP_PRE_SWAP);
    smashed(TMR, RMP_PRE_GUEST);
    arg_move(LARGE, TMR, true);
}

static void not_smashed(void)
{
    large(LARGE, RMP_PRE_GUEST);
}

static void one_of_firmware(void)
{
    set_page(LARGE + 0x5000, RMP_FIRMWARE, 0, 0);
}

static void one_of_another(void)
{
    set_page(LARGE + 0x1ff000, RMP_PRE_GUEST, 4, 0x401ff000);
}

static void one_elsewhere(void)
{
    set_page(LARGE + 0x7000, RMP_PRE_GUEST, 3, 0x40008000);
}

static void wrap_nothing(void)
{
    static const uint8_t zeros[384];

    wrap_bytes(zeros, TCB);
}

static void flip_session(void)
{
    mem[SESSION + 16] ^= 1;
}

static void flip_packet(void)
{
    mem[PACKET_AT + 47] ^= 1;
}

static void flip_oca(void)
{
    mem[OCA + 0x41c] ^= 1;
}

static void flip_image(void)
{
    mem[IMAGE + 0x40] ^= 1;
}

static void image_format(void)
{
    mem[IMAGE + 0x3f] = 1;
    sign_image();
}

static void cold_image(void)
{
    mem[IMAGE + 15] = 1;
    sign_image();
}

static void flip_vlek(void)
{
    mem[STICK + 0x10] ^= 1;
}

static void all_devices_used(void)
{
    for (unsigned i = 0; i < FW_MAX_TIO_DEVS; i++) {
        fw.tio_devs[i].used = true;
        fw.tio_devs[i].device = 0x200 + i;
    }
}

/* CONNECT as it is in cb goes on, with the answer to its @step-th question */
static uint8_t *answered(unsigned step)
{
    fw.tio_devs[0].state = TIO_DEV_CONNECTING;
    fw.tio_devs[0].step = step;
    memcpy(fw.tio_devs[0].connect, cb, sizeof(fw.tio_devs[0].connect));
    tio_answer(tio_good[step].msg, tio_good[step].len);
    return mem + TIO_RSP + 0x50;
}

static void another_connect(void)
{
    answered(0);
    fw.tio_devs[0].connect[0x40] ^= 1;
}

static void no_answer(void)
{
    answered(0)[-0x10] = 1;
}

static void answer_error(void)
{
    answered(0)[1] = 0x7f;
}

static void answer_old(void)
{
    answered(0)[5] = 2;
}

static void answer_incapable(void)
{
    answered(1)[9] = 0;
}

static void answer_weak(void)
{
    answered(2)[16] = 1;
}

static void answer_last(void)
{
    answered(2);
}

static const Change changes[] = {
    { ON(SEV_INIT, INVALID_PARAM, "SEV-INIT-RSVD"), .w = { CB(4, 4, 1) } },
    { ON(SEV_INIT, INVALID_LEN, "SEV-INIT-TMR"), .w = { CB(16, 4, 0x1fffff) } },
    { ON(SEV_INIT, INVALID_ADDRESS, "SEV-INIT-TMR"),
      .w = { CB(8, 8, TMR + 0x100000) } },
    { ON(SEV_INIT, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SEV_INIT, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(TMR + 0x1ff000, RMP_RECLAIM) },
    { ON(SEV_INIT_EX, INVALID_LEN, "INIT-EX-LEN"), .w = { CB(0, 4, 32) } },
    { ON(SEV_INIT_EX, INVALID_PARAM, "INIT-EX-RSVD"),
      .w = { CB(20, 4, 1) } },
    { ON(SEV_INIT_EX, INVALID_PARAM, "SEV-INIT-RSVD"),
      .w = { CB(4, 4, 3) } },
    { ON(SEV_INIT_EX, INVALID_LEN, "SEV-INIT-TMR"),
      .w = { CB(16, 4, 0x1fffff) } },
    { ON(SEV_INIT_EX, INVALID_ADDRESS, "SEV-INIT-TMR"),
      .w = { CB(8, 8, TMR + 0x100000) } },
    { ON(SEV_INIT_EX, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SEV_INIT_EX, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(TMR + 0x1ff000, RMP_RECLAIM) },
    { ON(SEV_INIT_EX, INVALID_LEN, "INIT-EX-NV"), .w = { CB(32, 4, 0x7fff) } },
    { ON(SEV_INIT_EX, INVALID_ADDRESS, "INIT-EX-NV-PAGES"),
      .w = { CB(24, 8, NOWHERE) } },
    { ON(SEV_INIT_EX, INVALID_PAGE_STATE, "INIT-EX-NV-PAGES"),
      PAGE(NV + 0x7000, RMP_RECLAIM) },
    { ON(SEV_INIT_EX, SECURE_DATA_INVALID, "INIT-EX-DATA"),
      .w = { MEM(NV + 5, 1, 0) } },
#define IMAGES(cmd, len, at) \
    { ON(cmd, INVALID_LEN, "IMAGE-LEN"), .w = { CB(len, 4, 161) } }, \
    { ON(cmd, INVALID_ADDRESS, "IMAGE-ADDRESS"), \
      .w = { CB(at, 8, NOWHERE) } }, \
    { ON(cmd, BAD_SIGNATURE, "IMAGE-SIGNATURE"), .f = flip_image }, \
    { ON(cmd, INVALID_PARAM, "IMAGE-FORMAT"), .f = image_format }, \
    { ON(cmd, BAD_VERSION, "IMAGE-VERSION"), \
      .w = { FW(cfg.committed_build, 23) } }, \
    { ON(cmd, BAD_SVN, "IMAGE-SVN"), .w = { FW(cfg.committed_tcb, TCB + 1) } }
    IMAGES(SEV_DOWNLOAD_FIRMWARE, 8, 0),
    IMAGES(SNP_DOWNLOAD_FIRMWARE_EX, 0x10, 8),
    { ON(SNP_DOWNLOAD_FIRMWARE_EX, INVALID_LEN, "DOWNLOAD-EX-LEN"),
      .w = { CB(0, 4, 20) } },
    { ON(SNP_DOWNLOAD_FIRMWARE_EX, INVALID_PARAM, "DOWNLOAD-EX-RSVD"),
      .w = { CB(0x14, 4, 2) } },
    { ON(SNP_DOWNLOAD_FIRMWARE_EX, SHUTDOWN_REQUIRED, "DOWNLOAD-EX-LIVE"),
      .f = cold_image },
    { ON(SNP_DOWNLOAD_FIRMWARE_EX, SHUTDOWN_REQUIRED, "DOWNLOAD-EX-GUESTS"),
      .w = { FW(guests[0].policy, 0x200) } },
#define KEYS(cmd) \
    { ON(cmd, HWERROR_PLATFORM, "CRYPTO"), .f = break_crypto }
    KEYS(SEV_PEK_GEN),
    KEYS(SEV_PDH_GEN),
    KEYS(SEV_PEK_CSR),
    KEYS(SEV_PDH_CERT_EXPORT),
    { ON(SEV_PEK_CSR, INVALID_LEN, "PEK-CSR-LEN"), .w = { CB(8, 4, 2083) } },
    { ON(SEV_PEK_CSR, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(0, 8, NOWHERE) } },
    { ON(SEV_PEK_CSR, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(CSR, RMP_RECLAIM) },
    { ON(SEV_PDH_CERT_EXPORT, INVALID_LEN, "PDH-EXPORT-LEN"),
      .w = { CB(24, 4, 6251) } },
    { ON(SEV_PDH_CERT_EXPORT, INVALID_ADDRESS, "OUTPUT-OVERLAP"),
      .w = { CB(0, 8, CHAIN + 3 * CERT - 1) } },
    { ON(SEV_PDH_CERT_EXPORT, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(0, 8, NOWHERE) } },
    { ON(SEV_PDH_CERT_EXPORT, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(CHAIN + 0x1000, RMP_RECLAIM) },
    { ON(SEV_PEK_CERT_IMPORT, ALREADY_OWNED, "PEK-IMPORT-OWNED"),
      .w = { FW(identity.owned, 1) } },
    { ON(SEV_PEK_CERT_IMPORT, INVALID_PARAM, "PEK-IMPORT-RSVD"),
      .w = { CB(12, 4, 1) } },
    { ON(SEV_PEK_CERT_IMPORT, INVALID_LEN, "PEK-IMPORT-LEN"),
      .w = { CB(8, 4, 2085) } },
    { ON(SEV_PEK_CERT_IMPORT, INVALID_ADDRESS, "PEK-IMPORT-ADDRESS"),
      .w = { CB(16, 8, NOWHERE) } },
    { ON(SEV_PEK_CERT_IMPORT, INVALID_CERTIFICATE, "PEK-IMPORT-CERT"),
      .w = { MEM(CSR + 0x20, 1, 0) } },
    { ON(SEV_PEK_CERT_IMPORT, BAD_SIGNATURE, "PEK-IMPORT-SIGNATURE"),
      .f = flip_oca },
#define OPENS(cmd) \
    { ON(cmd, INVALID_LEN, "PACKET-LEN"), .w = { CB(0x30, 4, 47) } }, \
    { ON(cmd, INVALID_ADDRESS, "PACKET-ADDRESS"), \
      .w = { CB(8, 8, NOWHERE) } }, \
    { ON(cmd, INVALID_ADDRESS, "OUTPUT-ADDRESS"), \
      .w = { CB(0x18, 8, NOWHERE) } }, \
    { ON(cmd, INVALID_PAGE_STATE, "OUTPUT-STATE"), \
      PAGE(TARGET, RMP_PRE_GUEST) }, \
    { ON(cmd, UNSUPPORTED, "PACKET-FLAGS"), .w = { MEM(HEADER, 1, 1) } }, \
    { ON(cmd, BAD_MEASUREMENT, "PACKET-MAC"), .f = flip_packet }
    OPENS(SEV_LAUNCH_UPDATE_SECRET),
    OPENS(SEV_RECEIVE_UPDATE_DATA),
    OPENS(SEV_RECEIVE_UPDATE_VMSA),
    { ON(SEV_RECEIVE_UPDATE_VMSA, UNSUPPORTED, "PACKET-VMSA"),
      .w = { FW(sev_guests[0].policy, 0) } },
#define SEALS(cmd) \
    { ON(cmd, INVALID_LEN, "SEND-LEN"), .w = { CB(0x20, 4, 17) } }, \
    { ON(cmd, INVALID_LEN, "SEND-ROOM"), .w = { CB(0x10, 4, 51) } }, \
    { ON(cmd, INVALID_ADDRESS, "OUTPUT-OVERLAP"), \
      .w = { CB(8, 8, PACKET_AT + 16) } }, \
    { ON(cmd, INVALID_ADDRESS, "OUTPUT-ADDRESS"), \
      .w = { CB(0x28, 8, NOWHERE) } }, \
    { ON(cmd, INVALID_PAGE_STATE, "OUTPUT-STATE"), \
      PAGE(HEADER, RMP_RECLAIM) }, \
    { ON(cmd, INVALID_ADDRESS, "SEND-ADDRESS"), .w = { CB(0x18, 1, 8) } }
    SEALS(SEV_SEND_UPDATE_DATA),
    SEALS(SEV_SEND_UPDATE_VMSA),
    { ON(SEV_SEND_UPDATE_VMSA, UNSUPPORTED, "PACKET-VMSA"),
      .w = { FW(sev_guests[0].policy, 0) } },
    { ON(SEV_SEND_START, INVALID_LEN, "SEND-SESSION-LEN"),
      .w = { CB(0x40, 4, 127) } },
    { ON(SEV_SEND_START, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(0x38, 8, NOWHERE) } },
    { ON(SEV_SEND_START, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(OUT, RMP_RECLAIM) },
    { ON(SEV_SEND_START, POLICY_FAILURE, "SEND-POLICY"),
      .w = { FW(sev_guests[0].policy, 0xc) } },
    { ON(SEV_SEND_START, INVALID_LEN, "SEND-CERT-LEN"),
      .w = { CB(0x20, 4, 3 * CERT + 1) } },
    { ON(SEV_SEND_START, INVALID_ADDRESS, "SEND-CERT-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SEV_SEND_START, INVALID_CERTIFICATE, "SEND-CERT"),
      .w = { MEM(CHAIN + 8, 1, 3) } },
    { ON(SEV_SEND_START, BAD_SIGNATURE, "SEND-SIGNATURE"),
      .w = { MEM(CHAIN + 5, 1, 54) } },
    KEYS(SEV_SEND_START),
    { ON(SEV_SEND_START, POLICY_FAILURE, "SEND-DOMAIN"),
      .w = { FW(sev_guests[0].policy, 0x14) } },
    { ON(SEV_ATTESTATION_REPORT, INVALID_LEN, "ATTESTATION-LEN"),
      .w = { CB(0x20, 4, 207) } },
    { ON(SEV_ATTESTATION_REPORT, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SEV_ATTESTATION_REPORT, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(TARGET, RMP_RECLAIM) },
    KEYS(SEV_ATTESTATION_REPORT),
    { ON(SEV_DF_FLUSH, WBINVD_REQUIRED, "DFFLUSH-WBINVD"), .f = no_wbinvd },
    { ON(SEV_GET_ID, INVALID_LEN, "GET-ID-LEN"), .w = { CB(8, 4, 63) } },
    { ON(SEV_GET_ID, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(0, 8, NOWHERE) } },
    { ON(SEV_GET_ID, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(TARGET, RMP_RECLAIM) },
    { ON(SEV_ACTIVATE, INVALID_ASID, "ASID-HIDE"),
      .w = { CB(4, 4, 5), FW(hidden_asids, 5) } },
    { ON(SEV_ACTIVATE, INVALID_ASID, "ASID-RANGE"),
      .w = { CB(4, 4, MIN_SEV) } },
    { ON(SEV_ACTIVATE, ASID_OWNED, "ASID-OWNED"), .f = asid_owned },
    { ON(SEV_ACTIVATE, DFFLUSH_REQUIRED, "ASID-DIRTY"), .f = dirty_asid },
#define STARTS(cmd) \
    { ON(cmd, INVALID_GUEST, "SEV-HANDLE"), \
      .w = { CB(0, 4, 0x1000) } }, \
    { ON(cmd, UNSUPPORTED, "SEV-START-SHARED"), \
      .w = { CB(0, 4, 2), FW(sev_guests[1].used, 1) } }, \
    { ON(cmd, POLICY_FAILURE, "SEV-POLICY"), \
      .w = { CB(4, 4, 0x40) } }, \
    { ON(cmd, INVALID_LEN, "SESSION-LEN"), \
      .w = { CB(0x20, 4, 127) } }, \
    { ON(cmd, INVALID_ADDRESS, "SESSION-ADDRESS"), \
      .w = { CB(8, 8, NOWHERE) } }, \
    { ON(cmd, INVALID_CERTIFICATE, "SESSION-CERT"), \
      .w = { MEM(DH + 8, 1, 2) } }, \
    { ON(cmd, BAD_MEASUREMENT, "SESSION-MAC"), \
      .f = flip_session }, \
    { ON(cmd, RESOURCE_LIMIT, "GUEST-LIMIT"), \
      .f = all_handles_used }
    STARTS(SEV_LAUNCH_START),
    STARTS(SEV_RECEIVE_START),
    { ON(SEV_LAUNCH_UPDATE_DATA, INVALID_LEN, "SEV-UPDATE-LEN"),
      .w = { CB(16, 4, 17) } },
    { ON(SEV_LAUNCH_UPDATE_DATA, INVALID_ADDRESS, "SEV-UPDATE-ADDRESS"),
      .w = { CB(8, 1, 8) } },
    { ON(SEV_LAUNCH_UPDATE_DATA, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SEV_LAUNCH_UPDATE_DATA, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(TARGET, RMP_PRE_GUEST) },
    { ON(SEV_LAUNCH_UPDATE_VMSA, UNSUPPORTED, "SEV-UPDATE-VMSA"),
      .w = { FW(sev_guests[0].policy, 0) } },
    { ON(SEV_LAUNCH_UPDATE_VMSA, INVALID_LEN, "SEV-UPDATE-LEN"),
      .w = { CB(16, 4, 4080) } },
    { ON(SEV_LAUNCH_UPDATE_VMSA, INVALID_ADDRESS, "SEV-UPDATE-ADDRESS"),
      .w = { CB(8, 1, 16) } },
    { ON(SEV_LAUNCH_UPDATE_VMSA, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SEV_LAUNCH_UPDATE_VMSA, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(TARGET, RMP_PRE_GUEST) },
    { ON(SEV_LAUNCH_MEASURE, INVALID_LEN, "SEV-MEASURE-LEN"),
      .w = { CB(16, 4, 47) } },
    { ON(SEV_LAUNCH_MEASURE, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SEV_LAUNCH_MEASURE, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(TARGET, RMP_HYPERVISOR) },
#define SEV_DBG(cmd) \
    { ON(cmd, POLICY_FAILURE, "SEV-DBG-POLICY"), \
      .w = { FW(sev_guests[0].policy, 5) } }, \
    { ON(cmd, INVALID_LEN, "SEV-DBG-LEN"), .w = { CB(24, 4, 24) } }, \
    { ON(cmd, INVALID_ADDRESS, "SEV-DBG-ADDRESS"), .w = { CB(8, 1, 8) } }, \
    { ON(cmd, INVALID_ADDRESS, "OUTPUT-ADDRESS"), \
      .w = { CB(16, 8, NOWHERE) } }, \
    { ON(cmd, INVALID_PAGE_STATE, "OUTPUT-STATE"), \
      PAGE(TARGET, RMP_HYPERVISOR) }
    SEV_DBG(SEV_DBG_DECRYPT),
    SEV_DBG(SEV_DBG_ENCRYPT),

    { ON(SNP_INIT, INVALID_CONFIG, "INIT-RMP-ALIGN"), .f = rmp_misaligned },
    { ON(SNP_INIT, INVALID_CONFIG, "INIT-CPUS"), .f = cpus_not_ready },
    { ON(SNP_INIT_EX, INVALID_PARAM, "INIT-RSVD"), .w = { CB(0x3f, 1, 1) } },
    { ON(SNP_INIT_EX, INVALID_PARAM, "INIT-HIDE"),
      .w = { CB(0, 1, 11), CB(0x10, 2, MIN_SEV), FW(cfg.hiding, 1) } },
    { ON(SNP_INIT_EX, INVALID_ADDRESS, "INIT-LIST-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SNP_INIT_EX, INVALID_PARAM, "INIT-LIST"),
      .w = { MEM(LIST + 4, 4, 1) } },
    { ON(SNP_INIT_EX, INVALID_PARAM, "INIT-LIST-PAGES"), .f = list_twice },
    { ON(SNP_INIT_EX, INVALID_CONFIG, "INIT-RMP-ALIGN"),
      .f = rmp_misaligned },
    { ON(SNP_INIT_EX, INVALID_CONFIG, "INIT-CPUS"), .f = cpus_not_ready },
    { ON(SNP_INIT_EX, RMP_INIT_REQUIRED, "INIT-RMP-REQUIRED"),
      .w = { FW(rmp_inited, 0) } },
    { ON(SNP_INIT_EX, INVALID_PAGE_STATE, "INIT-LIST-STATE"),
      PAGE(PAGE2, RMP_GUEST_INVALID), .asid = 3 },
    { ON(SNP_SHUTDOWN, WBINVD_REQUIRED, "SHUTDOWN-DIRTY"), .f = no_wbinvd },
    { ON(SNP_SHUTDOWN, DFFLUSH_REQUIRED, "SHUTDOWN-DIRTY"), .f = dirty_asid },
    { ON(SNP_SHUTDOWN_EX, INVALID_LEN, "SHUTDOWN-LEN"), .w = { CB(0, 4, 12) } },
    { ON(SNP_SHUTDOWN_EX, INVALID_PARAM, "SHUTDOWN-RSVD"),
      .w = { CB(4, 4, 4) } },
    { ON(SNP_SHUTDOWN_EX, INVALID_PARAM, "SHUTDOWN-X86-IOMMU"),
      .w = { CB(4, 4, 2), FW(cfg.x86_shutdown, 1) } },
    { ON(SNP_SHUTDOWN_EX, WBINVD_REQUIRED, "SHUTDOWN-DIRTY"),
      .f = no_wbinvd },
    { ON(SNP_SHUTDOWN_EX, DFFLUSH_REQUIRED, "SHUTDOWN-DIRTY"),
      .f = dirty_asid },
    { ON(SNP_PLATFORM_STATUS, INVALID_ADDRESS, "STATUS-ADDRESS"),
      .w = { CB(0, 8, OUT + 0xff0) } },
    { ON(SNP_PLATFORM_STATUS, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(0, 8, NOWHERE) } },
    { ON(SNP_PLATFORM_STATUS, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(OUT, RMP_RECLAIM) },
    { ON(SNP_DF_FLUSH, WBINVD_REQUIRED, "DFFLUSH-WBINVD"), .f = no_wbinvd },

    { ON(SNP_ACTIVATE, INVALID_ASID, "ASID-HIDE"),
      .w = { CB(8, 4, 6), FW(hidden_asids, 5) } },
    { ON(SNP_ACTIVATE, INVALID_ASID, "ASID-RANGE"),
      .w = { CB(8, 4, MIN_SEV) } },
    { ON(SNP_ACTIVATE, ASID_OWNED, "ASID-OWNED"), .f = asid_owned },
    { ON(SNP_ACTIVATE, DFFLUSH_REQUIRED, "ASID-DIRTY"), .f = dirty_asid },
    { ON(SNP_ACTIVATE_EX, INVALID_LEN, "ACTIVATE-EX-LEN"),
      .w = { CB(0, 4, 24) } },
    { ON(SNP_ACTIVATE_EX, INVALID_PARAM, "ACTIVATE-EX-COUNT"),
      .w = { CB(0x14, 4, 1025) } },
    { ON(SNP_ACTIVATE_EX, INVALID_ADDRESS, "ACTIVATE-EX-LIST"),
      .w = { CB(0x18, 8, NOWHERE) } },
    { ON(SNP_ACTIVATE_EX, INVALID_PARAM, "ACTIVATE-EX-CPU"),
      .w = { MEM(LIST + 4, 4, 2) } },
    { ON(SNP_ACTIVATE_EX, INVALID_ASID, "ASID-HIDE"),
      .w = { CB(0x10, 4, 6), FW(hidden_asids, 5) } },
    { ON(SNP_ACTIVATE_EX, INVALID_ASID, "ASID-RANGE"),
      .w = { CB(0x10, 4, MIN_SEV) } },
    { ON(SNP_ACTIVATE_EX, ASID_OWNED, "ASID-OWNED"), .f = asid_owned },
    { ON(SNP_ACTIVATE_EX, DFFLUSH_REQUIRED, "ASID-DIRTY"), .f = dirty_asid },
    { ON(SNP_GUEST_STATUS, INVALID_ADDRESS, "STATUS-ADDRESS"),
      .w = { CB(8, 8, OUT + 0xff0) } },
    { ON(SNP_GUEST_STATUS, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SNP_GUEST_STATUS, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(OUT, RMP_RECLAIM) },
    { ON(SNP_GCTX_CREATE, INVALID_ADDRESS, "GCTX-CREATE-ADDRESS"),
      .w = { CB(0, 1, 8) } },
    { ON(SNP_GCTX_CREATE, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(0, 8, NOWHERE) } },
    { ON(SNP_GCTX_CREATE, INVALID_PAGE_STATE, "GCTX-CREATE-STATE"),
      PAGE(GCTX, RMP_RECLAIM) },
    { ON(SNP_GCTX_CREATE, RESOURCE_LIMIT, "GUEST-LIMIT"),
      .f = all_contexts_used },
    { ON(SNP_GUEST_REQUEST, INVALID_ADDRESS, "REQUEST-ADDRESS"),
      .w = { CB(8, 8, REQ + 16) } },
    { ON(SNP_GUEST_REQUEST, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(16, 8, NOWHERE) } },
    { ON(SNP_GUEST_REQUEST, INVALID_PAGE_STATE, "REQUEST-RESPONSE"),
      PAGE(RSP, RMP_HYPERVISOR) },
    { ON(SNP_GUEST_REQUEST, INVALID_PARAM, "MSG-HEADER"),
      .w = { MEM(REQ + 0x30, 1, 2) } },
    { ON(SNP_GUEST_REQUEST, INVALID_PARAM, "MSG-RSVD"),
      .w = { MEM(REQ + 0x28, 1, 2) } },
    { ON(SNP_GUEST_REQUEST, INVALID_PARAM, "MSG-VMPCK"),
      .w = { MEM(REQ + 0x3c, 1, 4) } },
    { ON(SNP_GUEST_REQUEST, AEAD_OFLOW, "MSG-OVERFLOW"),
      .w = { FW(guests[0].msg_count[0], UINT64_MAX - 1) } },
    { ON(SNP_GUEST_REQUEST, INVALID_PARAM, "MSG-SEQNO"),
      .w = { MEM(REQ + 0x20, 1, 2) } },
    { ON(SNP_GUEST_REQUEST, BAD_MEASUREMENT, "MSG-AUTH"), .f = flip_tag },
    { ON(SNP_GUEST_REQUEST, INVALID_PARAM, "MSG-TYPE"), .f = other_message },
    { ON(SNP_GUEST_REQUEST, HWERROR_PLATFORM, "CRYPTO"), .f = break_crypto },
    { ON(SNP_LAUNCH_START, INVALID_PARAM, "LAUNCH-START-RSVD"),
      .w = { CB(0x1b, 1, 1) } },
    { ON(SNP_LAUNCH_START, INVALID_PARAM, "POLICY-RSVD"),
      .w = { CB(15, 1, 0x80) } },
    { ON(SNP_LAUNCH_START, POLICY_FAILURE, "POLICY-API"),
      .w = { CB(9, 1, 2) } },
    { ON(SNP_LAUNCH_START, POLICY_FAILURE, "POLICY-SMT"),
      .w = { CB(10, 1, 2), FW(cfg.smt, 1) } },
    { ON(SNP_LAUNCH_START, POLICY_FAILURE, "POLICY-FEATURES"),
      .w = { CB(11, 1, 1) } },
    { ON(SNP_LAUNCH_START, INVALID_PARAM, "LAUNCH-START-TSC"),
      .w = { CB(0x1e, 2, 0xffff), FW(cfg.tsc_khz, 1000000) } },
    { ON(SNP_LAUNCH_START, UNSUPPORTED, "LAUNCH-START-MA"),
      .w = { CB(0x18, 1, 1) } },
    { ON(SNP_LAUNCH_UPDATE, INVALID_PARAM, "UPDATE-RSVD"),
      .w = { CB(0x1f, 1, 1) } },
    { ON(SNP_LAUNCH_UPDATE, INVALID_PARAM, "UPDATE-TYPE"),
      .w = { CB(8, 4, 14) } },
    { ON(SNP_LAUNCH_UPDATE, INVALID_ADDRESS, "UPDATE-ADDRESS"),
      .f = update_misaligned },
    { ON(SNP_LAUNCH_UPDATE, INVALID_PAGE_STATE, "UPDATE-PAGE-STATE"),
      PAGE(TARGET, RMP_FIRMWARE), .f = target_4k },
    { ON(SNP_LAUNCH_UPDATE, INVALID_PAGE_OWNER, "UPDATE-OWNER"),
      PAGE(TARGET, RMP_PRE_GUEST), .asid = 4, .f = target_4k },
    { ON(SNP_LAUNCH_UPDATE, INVALID_PAGE_SIZE, "UPDATE-SIZE"),
      .w = { CB(16, 8, LARGE), CB(8, 4, 3) },
      PAGE(LARGE, RMP_PRE_GUEST), .asid = 3 },
    { ON(SNP_LAUNCH_UPDATE, INVALID_PARAM, "UPDATE-VMSA"), .f = type_vmsa },
    { ON(SNP_LAUNCH_UPDATE, INVALID_PARAM, "UPDATE-CPUID"), .f = type_cpuid },
    { ON(SNP_LAUNCH_FINISH, INVALID_PARAM, "FINISH-RSVD"),
      .w = { CB(0x1f, 1, 1) } },
    { ON(SNP_LAUNCH_FINISH, INVALID_ADDRESS, "ID-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SNP_LAUNCH_FINISH, INVALID_PARAM, "ID-FORMAT"),
      .w = { MEM(BLOCK + 0x50, 1, 2) } },
    { ON(SNP_LAUNCH_FINISH, BAD_SIGNATURE, "ID-SIGNATURE"),
      .f = flip_signature },
    { ON(SNP_LAUNCH_FINISH, BAD_SIGNATURE, "ID-AUTHOR"), .f = flip_author },
    { ON(SNP_LAUNCH_FINISH, BAD_MEASUREMENT, "ID-MEASUREMENT"),
      .w = { FW(guests[0].ld[0], 0) } },
    { ON(SNP_LAUNCH_FINISH, POLICY_FAILURE, "ID-POLICY"),
      .w = { FW(guests[0].policy, 0xb0000) } },

#define DBG(cmd) \
    { ON(cmd, POLICY_FAILURE, "DBG-POLICY"), \
      .w = { FW(guests[0].policy, 0x30000) } }, \
    { ON(cmd, INVALID_ADDRESS, "DBG-ADDRESS"), .w = { CB(8, 1, 8) } }, \
    { ON(cmd, INVALID_PAGE_OWNER, "DBG-OWNER"), \
      PAGE(TARGET, RMP_PRE_GUEST), .asid = 4 }
    DBG(SNP_DBG_DECRYPT),
    { ON(SNP_DBG_DECRYPT, INVALID_PAGE_STATE, "DBG-SOURCE"),
      PAGE(TARGET, RMP_FIRMWARE) },
    { ON(SNP_DBG_DECRYPT, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(OUT, RMP_HYPERVISOR) },
    DBG(SNP_DBG_ENCRYPT),
    { ON(SNP_DBG_ENCRYPT, INVALID_PAGE_STATE, "DBG-TARGET"),
      PAGE(TARGET, RMP_GUEST_VALID), .asid = 3 },

#define SWAP(cmd, flags) \
    { ON(cmd, INVALID_PARAM, "SWAP-RSVD"), .w = { CB(flags + 4, 4, 1) } }, \
    { ON(cmd, UNSUPPORTED, "SWAP-2M"), .w = { CB(flags, 1, 1) } }, \
    { ON(cmd, POLICY_FAILURE, "SWAP-POLICY"), \
      .w = { FW(guests[0].policy, 0x2030000) } }, \
    { ON(cmd, INVALID_ADDRESS, "SWAP-ADDRESS"), .w = { CB(8, 1, 8) } }, \
    { ON(cmd, INVALID_PAGE_STATE, "SWAP-MDATA"), \
      PAGE(MDATA, RMP_HYPERVISOR) }, \
    { ON(cmd, INVALID_PAGE_OWNER, "SWAP-MDATA-OWNER"), \
      PAGE(MDATA, RMP_METADATA) }
    SWAP(SNP_PAGE_SWAP_OUT, 0x28),
    { ON(SNP_PAGE_SWAP_OUT, INVALID_PAGE_STATE, "SWAP-OUT-STATE"),
      .w = { CB(8, 8, TARGET) }, PAGE(TARGET, RMP_GUEST_VALID), .asid = 3 },
    { ON(SNP_PAGE_SWAP_OUT, INVALID_PAGE_OWNER, "SWAP-OUT-OWNER"),
      .w = { CB(8, 8, TARGET) }, PAGE(TARGET, RMP_PRE_GUEST), .asid = 4 },
    { ON(SNP_PAGE_SWAP_OUT, INVALID_PAGE_SIZE, "SWAP-OUT-SIZE"),
      .f = out_of_large },
    { ON(SNP_PAGE_SWAP_OUT, INVALID_PARAM, "SWAP-OUT-TYPE"),
      .w = { CB(0x28, 1, 4) } },
    { ON(SNP_PAGE_SWAP_OUT, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(OUT, RMP_HYPERVISOR) },
    { ON(SNP_PAGE_SWAP_OUT, INVALID_MDATA_ENTRY, "SWAP-OUT-ENTRY"),
      .w = { MEM(MDATA + 64 + 0x20, 1, 1) } },
    { ON(SNP_PAGE_SWAP_OUT, AEAD_OFLOW, "SWAP-OUT-OVERFLOW"),
      .w = { FW(guests[0].oek_count, UINT64_MAX) } },
    { ON(SNP_PAGE_SWAP_OUT, HWERROR_PLATFORM, "CRYPTO"), .f = break_crypto },
    SWAP(SNP_PAGE_SWAP_IN, 0x20),
    { ON(SNP_PAGE_SWAP_IN, INVALID_MDATA_ENTRY, "SWAP-IN-ENTRY"),
      .w = { MEM(MDATA + 64 + 0x20, 1, 0) } },
    { ON(SNP_PAGE_SWAP_IN, INVALID_PAGE_STATE, "SWAP-IN-STATE"),
      .w = { CB(16, 8, TARGET) }, PAGE(TARGET, RMP_GUEST_VALID), .asid = 3 },
    { ON(SNP_PAGE_SWAP_IN, INVALID_PAGE_OWNER, "SWAP-IN-OWNER"),
      .w = { CB(16, 8, TARGET) }, PAGE(TARGET, RMP_PRE_GUEST), .asid = 4 },
    { ON(SNP_PAGE_SWAP_IN, INVALID_PAGE_SIZE, "SWAP-IN-SIZE"),
      .f = into_large },
    { ON(SNP_PAGE_SWAP_IN, INVALID_PARAM, "SWAP-IN-GPA"),
      .w = { MEM(MDATA + 64 + 0x22, 1, 0x20) } },
    { ON(SNP_PAGE_SWAP_IN, BAD_MEASUREMENT, "SWAP-IN-AUTH"),
      .f = flip_swapped },
    { ON(SNP_PAGE_MOVE, INVALID_PARAM, "MOVE-RSVD"), .w = { CB(12, 4, 1) } },
    { ON(SNP_PAGE_MOVE, POLICY_FAILURE, "SWAP-POLICY"),
      .w = { FW(guests[0].policy, 0x2030000) } },
    { ON(SNP_PAGE_MOVE, INVALID_ADDRESS, "MOVE-ADDRESS"),
      .w = { CB(16, 1, 8) } },
    { ON(SNP_PAGE_MOVE, INVALID_PAGE_STATE, "MOVE-STATE"),
      .w = { CB(8, 4, 0), CB(16, 8, PAGE2), CB(24, 8, TARGET) },
      PAGE(TARGET, RMP_GUEST_VALID), .asid = 3 },
    { ON(SNP_PAGE_MOVE, INVALID_PAGE_OWNER, "MOVE-OWNER"),
      .w = { CB(8, 4, 0), CB(16, 8, PAGE2), CB(24, 8, TARGET) },
      PAGE(TARGET, RMP_PRE_GUEST), .asid = 4 },
    { ON(SNP_PAGE_MOVE, INVALID_PAGE_SIZE, "MOVE-SIZE"), .f = move_pieces },
    { ON(SNP_PAGE_MOVE, INVALID_PARAM, "MOVE-GPA"),
      PAGE(TARGET, RMP_PRE_GUEST), .asid = 3 },
    { ON(SNP_PAGE_MD_INIT, INVALID_ADDRESS, "MD-INIT-ADDRESS"),
      .w = { CB(8, 1, 8) } },
    { ON(SNP_PAGE_MD_INIT, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SNP_PAGE_MD_INIT, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(PAGE2, RMP_RECLAIM) },
    { ON(SNP_PAGE_UNSMASH, INVALID_ADDRESS, "UNSMASH-ADDRESS"),
      .w = { CB(1, 1, 0x10) } },
    { ON(SNP_PAGE_UNSMASH, INVALID_PAGE_SIZE, "UNSMASH-SIZE"),
      .f = not_smashed },
    { ON(SNP_PAGE_UNSMASH, INVALID_PAGE_STATE, "UNSMASH-STATE"),
      .f = one_of_firmware },
    { ON(SNP_PAGE_UNSMASH, INVALID_PAGE_OWNER, "UNSMASH-OWNER"),
      .f = one_of_another },
    { ON(SNP_PAGE_UNSMASH, INVALID_PARAM, "UNSMASH-GPA"),
      .f = one_elsewhere },
    { ON(SNP_PAGE_SET_STATE, INVALID_LEN, "SET-STATE-LEN"),
      .w = { CB(0, 4, 12) } },
    { ON(SNP_PAGE_SET_STATE, INVALID_PARAM, "SET-STATE-RSVD"),
      .w = { CB(4, 4, 1) } },
    { ON(SNP_PAGE_SET_STATE, INVALID_ADDRESS, "INIT-LIST-ADDRESS"),
      .w = { CB(8, 8, LIST + 16) } },
    { ON(SNP_PAGE_SET_STATE, INVALID_PARAM, "INIT-LIST"),
      .w = { MEM(LIST + 4, 4, 1) } },
    { ON(SNP_PAGE_SET_STATE, INVALID_PARAM, "INIT-LIST-PAGES"),
      .f = list_twice },
    { ON(SNP_PAGE_SET_STATE, INVALID_PAGE_STATE, "SET-STATE-STATE"),
      PAGE(PAGE2, RMP_RECLAIM) },
    { ON(SNP_FEATURE_INFO, INVALID_LEN, "FEATURE-LEN"),
      .w = { CB(0, 4, 20) } },
    { ON(SNP_FEATURE_INFO, INVALID_PARAM, "FEATURE-FUNCTION"),
      .w = { CB(4, 4, 1) } },
    { ON(SNP_FEATURE_INFO, INVALID_ADDRESS, "FEATURE-ADDRESS"),
      .w = { CB(8, 8, OUT + 0xff1) } },
    { ON(SNP_FEATURE_INFO, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SNP_FEATURE_INFO, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(OUT, RMP_RECLAIM) },
    { ON(SNP_PAGE_RECLAIM, INVALID_ADDRESS, "RECLAIM-ADDRESS"),
      .w = { CB(0, 1, 2) } },
    { ON(SNP_PAGE_RECLAIM, INVALID_PAGE_STATE, "RECLAIM-PRIVATE"),
      .w = { CB(0, 8, RMP_AT) } },
    { ON(SNP_PAGE_RECLAIM, INVALID_PAGE_STATE, "RECLAIM-STATE"),
      .w = { CB(0, 8, OUT) }, PAGE(OUT, RMP_HYPERVISOR) },
    { ON(SNP_PAGE_RECLAIM, INVALID_PAGE_SIZE, "RECLAIM-SIZE"),
      .w = { CB(0, 8, LARGE | 1) }, PAGE(LARGE, RMP_FIRMWARE) },
    { ON(SNP_CONFIG, INVALID_PARAM, "CONFIG"), .w = { CB(7, 1, 0xff) } },
    { ON(SNP_CONFIG, INVALID_PARAM, "CONFIG-RSVD"), .w = { CB(8, 4, 4) } },
    { ON(SNP_COMMIT, INVALID_LEN, "COMMIT-LEN"), .w = { CB(0, 4, 8) } },
    { ON(SNP_VERIFY_MITIGATION, INVALID_LEN, "MITIGATION-LEN"),
      .w = { CB(0, 4, 60) } },
    { ON(SNP_VERIFY_MITIGATION, INVALID_PARAM, "MITIGATION-RSVD"),
      .w = { CB(0x3f, 1, 1) } },
    { ON(SNP_VERIFY_MITIGATION, INVALID_PARAM, "MITIGATION-VECTOR"),
      .w = { CB(8, 8, 0x11) } },
    { ON(SNP_VERIFY_MITIGATION, INVALID_ADDRESS, "MITIGATION-ADDRESS"),
      .w = { CB(0x20, 8, OUT + 0xfed) } },
    { ON(SNP_VERIFY_MITIGATION, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(0x20, 8, NOWHERE) } },
    { ON(SNP_VERIFY_MITIGATION, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(OUT, RMP_RECLAIM) },
    { ON(SNP_VLEK_LOAD, INVALID_LEN, "VLEK-LEN"), .w = { CB(0, 4, 12) } },
    { ON(SNP_VLEK_LOAD, INVALID_PARAM, "VLEK-VERSION"),
      .w = { CB(4, 1, 1) } },
    { ON(SNP_VLEK_LOAD, INVALID_ADDRESS, "VLEK-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(SNP_VLEK_LOAD, INVALID_PARAM, "VLEK-RSVD"),
      .w = { MEM(STICK + 0x19f, 1, 1) } },
    { ON(SNP_VLEK_LOAD, BAD_MEASUREMENT, "VLEK-AUTH"), .f = flip_vlek },
    { ON(SNP_VLEK_LOAD, INVALID_PARAM, "VLEK-TCB"),
      .w = { FW(reported_tcb, 0x4815000000000006ull) } },
    { ON(SNP_VLEK_LOAD, INVALID_KEY, "VLEK-KEY"), .f = wrap_nothing },

#define TIO(cmd, rsvd, v) \
    { ON(cmd, INVALID_LEN, "TIO-LEN"), .w = { CB(0, 4, 8) } }, \
    { ON(cmd, INVALID_PARAM, "TIO-RSVD"), .w = { CB(rsvd, 1, v) } }
#define TIO_DEV(cmd, rsvd, v) \
    TIO(cmd, rsvd, v), \
    { ON(cmd, INVALID_PLATFORM_STATE, "TIO-INITED"), \
      .w = { FW(tio_inited, 0) } }
    TIO(TIO_STATUS, 7, 1),
    { ON(TIO_STATUS, INVALID_ADDRESS, "STATUS-ADDRESS"),
      .w = { CB(8, 8, OUT + 0xfe0) } },
    { ON(TIO_STATUS, INVALID_ADDRESS, "OUTPUT-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(TIO_STATUS, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(OUT, RMP_RECLAIM) },
    TIO(TIO_INIT, 15, 1),
    { ON(TIO_INIT, INVALID_CONFIG, "TIO-ENABLED"),
      .w = { FW(tio_enabled, 0) } },
    { ON(TIO_INIT, INVALID_PLATFORM_STATE, "TIO-INIT-TWICE"),
      .w = { FW(tio_inited, 1) } },
    TIO_DEV(TIO_DEV_CREATE, 0x1f, 1),
    { ON(TIO_DEV_CREATE, INVALID_PARAM, "SLA-RSVD"), .w = { CB(8, 1, 5) } },
    { ON(TIO_DEV_CREATE, UNSUPPORTED, "SLA-2M"), .w = { CB(8, 1, 3) } },
    { ON(TIO_DEV_CREATE, INVALID_ADDRESS, "SLA-ADDRESS"),
      .w = { CB(8, 8, NOWHERE | 1) } },
    { ON(TIO_DEV_CREATE, INCORRECT_BUFFER_LENGTH, "SLA-LENGTH"),
      .w = { MEM(TIO_LIST + 8, 8, SLA_END) } },
    { ON(TIO_DEV_CREATE, INVALID_PARAM, "SLA-TWICE"),
      .w = { MEM(TIO_LIST + 8, 8, TIO_CTX) } },
    { ON(TIO_DEV_CREATE, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(TIO_CTX, RMP_RECLAIM) },
    { ON(TIO_DEV_CREATE, IN_USE, "TIO-DEV-TWICE"),
      .w = { FW(tio_devs[3].used, 1), FW(tio_devs[3].device, DEVICE) } },
    { ON(TIO_DEV_CREATE, RESOURCE_LIMIT, "TIO-DEV-LIMIT"),
      .f = all_devices_used },
    TIO_DEV(TIO_DEV_RECLAIM, 7, 1),
    { ON(TIO_DEV_RECLAIM, INVALID_DEV_CTX, "TIO-DEV-CTX"),
      .w = { CB(8, 1, 0) } },
    TIO_DEV(TIO_DEV_CONNECT, 0x4f, 1),
    { ON(TIO_DEV_CONNECT, INVALID_DEV_CTX, "TIO-DEV-CTX"),
      .w = { CB(0x30, 1, 0) } },
    { ON(TIO_DEV_CONNECT, INVALID_PARAM, "TIO-CONNECT-TC"),
      .w = { CB(0x38, 1, 2) } },
    { ON(TIO_DEV_CONNECT, INVALID_PARAM, "TIO-CONNECT-SLOT"),
      .w = { CB(0x39, 1, 8) } },
    { ON(TIO_DEV_CONNECT, INVALID_PARAM, "SLA-RSVD"), .w = { CB(8, 1, 4) } },
    { ON(TIO_DEV_CONNECT, UNSUPPORTED, "SLA-2M"), .w = { CB(8, 1, 2) } },
    { ON(TIO_DEV_CONNECT, INVALID_ADDRESS, "SLA-ADDRESS"),
      .w = { CB(8, 8, NOWHERE) } },
    { ON(TIO_DEV_CONNECT, INCORRECT_BUFFER_LENGTH, "SLA-LENGTH"),
      .w = { MEM(TIO_OUT_LIST + 32, 8, TIO_SPARE) } },
    { ON(TIO_DEV_CONNECT, INVALID_PARAM, "SLA-TWICE"),
      .w = { CB(0x10, 8, TIO_SCRATCH) } },
    { ON(TIO_DEV_CONNECT, INVALID_PAGE_STATE, "OUTPUT-STATE"),
      PAGE(TIO_REQ, RMP_RECLAIM) },
    { ON(TIO_DEV_CONNECT, INCORRECT_BUFFER_LENGTH, "TIO-CAPACITY"),
      .w = { MEM(TIO_OUT, 4, 0x3000) } },
    { ON(TIO_DEV_CONNECT, INVALID_PARAM, "TIO-CONNECT-OTHER"),
      .f = another_connect },
    { ON(TIO_DEV_CONNECT, SPDM_ERROR, "TIO-RESPONSE"), .f = no_answer },
    { ON(TIO_DEV_CONNECT, SPDM_ERROR, "SPDM-MESSAGE"), .f = answer_error },
    { ON(TIO_DEV_CONNECT, SPDM_ERROR, "SPDM-VERSION"), .f = answer_old },
    { ON(TIO_DEV_CONNECT, SPDM_ERROR, "SPDM-CAPABILITIES"),
      .f = answer_incapable },
    { ON(TIO_DEV_CONNECT, SPDM_ERROR, "SPDM-ALGORITHMS"), .f = answer_weak },
    { ON(TIO_DEV_CONNECT, ERR_IN_DEV_CONN, "TIO-SESSION"),
      .f = answer_last },
    TIO_DEV(TIO_DEV_DISCONNECT, 4, 2),
    { ON(TIO_DEV_DISCONNECT, INVALID_DEV_CTX, "TIO-DEV-CTX"),
      .w = { CB(0x28, 1, 0) } },
    { ON(TIO_DEV_DISCONNECT, INVALID_DEV_STATE, "TIO-DISCONNECT-STATE"),
      .w = { FW(tio_devs[0].state, TIO_DEV_CREATED) } },
};

#define NCHANGES (sizeof(changes) / sizeof(changes[0]))

/* ---- steps: changes, and what every command has in common ---- */

typedef enum StepKind {
    STEP_PLATFORM, STEP_NO_BUFFER, STEP_BUFFER_STATE, STEP_GUEST_ADDRESS,
    STEP_NO_GUEST, STEP_GUEST_STATE, STEP_ACTIVE, STEP_CHANGE,
} StepKind;

static const char * const step_names[] = {
    "platform state", "no buffer", "buffer's state", "guest's address",
    "no guest", "guest state", "ASID",
};

typedef struct Step {
    StepKind kind;
    uint32_t status;
    const char *name;
    const Change *c;
} Step;

#define MAX_STEPS 32

static uint64_t buf_at;

/* In low memory and the RMP is all that a set-up may be changed in. */
#define LOW        0x2c000u
static uint8_t keep_low[LOW], keep_rmp[NPAGES * 16], keep_cb[sizeof(cb)];
static SnpFw keep_fw;
static Rmp keep_table;
static bool keep_flags[2];

static void keep(void)
{
    memcpy(keep_low, mem, LOW);
    memcpy(keep_rmp, rmp.entries, sizeof(keep_rmp));
    memcpy(keep_cb, cb, sizeof(cb));
    keep_fw = fw;
    keep_table = rmp;
    keep_flags[0] = cpus_ready;
    keep_flags[1] = wbinvd_done;
}

static void again(void)
{
    memcpy(mem, keep_low, LOW);
    memcpy(keep_table.entries, keep_rmp, sizeof(keep_rmp));
    memcpy(cb, keep_cb, sizeof(cb));
    fw = keep_fw;
    rmp = keep_table;
    cpus_ready = keep_flags[0];
    wbinvd_done = keep_flags[1];
    buf_at = CMDBUF;
    crypto_fails = sign_fails = false;
}

static uint32_t go(const FwCommand *c)
{
    uint32_t ret;

    memcpy(mem + CMDBUF, cb, sizeof(cb));
    in_command = true;
    ret = snp_fw_command(&fw, c->id, buf_at);
    in_command = false;
    CHECK(!bad_writes, "%s wrote to a page that is not its own", c->name);
    bad_writes = 0;
    return ret;
}

static void set_platform(int sev, int snp)
{
    fw.sev_state = sev;
    fw.snp_inited = snp;
}

static bool takes_platform(const FwCommand *c, int sev, int snp)
{
    return (c->platform & SEV_U << sev) && (c->platform & SNP_U << snp);
}

static uint8_t *guest_state(const FwCommand *c)
{
    return c->snp ? &fw.guests[0].state : &fw.sev_guests[0].state;
}

static uint32_t *guest_asid(const FwCommand *c)
{
    return c->snp ? &fw.guests[0].asid : &fw.sev_guests[0].asid;
}

static unsigned guest_states(const FwCommand *c)
{
    return c->snp ? c->snp : c->sev;
}

/* A state that the command does not take, or -1 */
static int other_guest_state(const FwCommand *c)
{
    for (int s = c->snp ? SNP_GUEST_INIT : SEV_GUEST_LUPDATE;
         s <= (c->snp ? (int)SNP_GUEST_RUNNING : (int)SEV_GUEST_SENT);
         s++) {
        if (!(guest_states(c) & 1u << s)) {
            return s;
        }
    }
    return -1;
}

static bool other_platform(const FwCommand *c, int *sev, int *snp)
{
    for (*snp = 0; *snp < 2; ++*snp) {
        for (*sev = 0; *sev < 3; ++*sev) {
            if (!takes_platform(c, *sev, *snp)) {
                return true;
            }
        }
    }
    return false;
}

static void do_change(const Change *x)
{
    for (unsigned i = 0; i < 3 && x->w[i].at; i++) {
        put_le(x->w[i].at, x->w[i].len, x->w[i].v);
    }
    if (x->page) {
        set_page(x->page, x->state, x->asid, 0x100000);
    }
    if (x->f) {
        x->f();
    }
}

static void take(const FwCommand *c, const Step *s)
{
    int sev, snp;

    switch (s->kind) {
    case STEP_PLATFORM:
        other_platform(c, &sev, &snp);
        set_platform(sev, snp);
        break;
    case STEP_NO_BUFFER:
        buf_at = 0x3000 - c->len + 1;
        break;
    case STEP_BUFFER_STATE:
        set_page(CMDBUF, RMP_RECLAIM, 0, 0);
        break;
    case STEP_GUEST_ADDRESS:
        cb[c->gctx] |= 8;
        break;
    case STEP_NO_GUEST:
        put(c->gctx, c->snp ? 8 : 4, c->snp ? PAGE2 : 9);
        break;
    case STEP_GUEST_STATE:
        *guest_state(c) = other_guest_state(c);
        break;
    case STEP_ACTIVE:
        *guest_asid(c) = c->active == FW_WITH_ASID ? 0 : 5;
        break;
    case STEP_CHANGE:
        do_change(s->c);
        break;
    }
}

static const Change *find_change(const FwCommand *c, const FwError *e)
{
    for (unsigned i = 0; i < NCHANGES; i++) {
        if (changes[i].cmd == c->id && changes[i].status == e->status &&
            !strcmp(changes[i].rule, e->rule)) {
            return &changes[i];
        }
    }
    return NULL;
}

static unsigned list_steps(const FwCommand *c, Step *s)
{
    unsigned n = 0;
    int sev, snp;

#define STEP(KIND, STATUS) \
    s[n++] = (Step){ KIND, STATUS, step_names[KIND], NULL }
    if (other_platform(c, &sev, &snp)) {
        STEP(STEP_PLATFORM, FW_INVALID_PLATFORM_STATE);
    }
    if (c->len) {
        STEP(STEP_NO_BUFFER, FW_INVALID_ADDRESS);
    }
    if (c->writes) {
        STEP(STEP_BUFFER_STATE, FW_INVALID_PAGE_STATE);
    }
    if (c->snp) {
        STEP(STEP_GUEST_ADDRESS, FW_INVALID_ADDRESS);
    }
    if (c->snp || c->sev) {
        STEP(STEP_NO_GUEST, FW_INVALID_GUEST);
        if (other_guest_state(c) >= 0) {
            STEP(STEP_GUEST_STATE, FW_INVALID_GUEST_STATE);
        }
    }
    if (c->active) {
        STEP(STEP_ACTIVE, c->active == FW_WITH_ASID ? FW_INACTIVE
                                                    : FW_ACTIVE);
    }
    for (const FwError *e = c->errors; e->status; e++) {
        const Change *x = find_change(c, e);

        CHECK(x, "%s, %s: no case", snp_fw_status_name(e->status), e->rule);
        if (x && n < MAX_STEPS) {
            s[n++] = (Step){ STEP_CHANGE, e->status, e->rule, x };
        }
    }
    CHECK(n < MAX_STEPS, "too many steps");
    return n;
}

/* ---- the cases of one command ---- */

typedef struct Count {
    unsigned of, good;
} Count;

static void count(Count *n, bool ok)
{
    n->of++;
    n->good += ok;
}

static void test_errors(const FwCommand *c, const Step *s, unsigned n,
                        Count *errors, Count *order)
{
    for (unsigned i = 0; i < n; i++) {
        uint32_t ret;
        bool ok;

        again();
        take(c, &s[i]);
        memcpy(mem + CMDBUF, cb, sizeof(cb));
        snap();
        ret = go(c);
        if (ret == FW_SECURE_DATA_INVALID) {
            /* [FW-INIT-EX-DATA] the storage, and nothing else, does change */
            memcpy(old_mem + NV, mem + NV, 0x8000);
        }
        if (ret == FW_SPDM_ERROR || ret == FW_ERR_IN_DEV_CONN) {
            /* what the device was asked is over */
            CHECK(fw.tio_devs[0].state == TIO_DEV_CREATED, "not over");
            old_fw.tio_devs[0] = keep_fw.tio_devs[0];
        }
        ok = ret == s[i].status && refused_well(c->id, ret);
        CHECK(ok, "%s: %s%s", s[i].name, snp_fw_status_name(ret),
              ret == s[i].status ? ", but something changed" : "");
        count(errors, ok);

        for (unsigned j = i + 1; j < n; j++) {
            if (s[j].status == s[i].status) {
                continue;       /* who could tell */
            }
            again();
            take(c, &s[j]);
            take(c, &s[i]);
            ret = go(c);
            ok = ret == s[i].status;
            CHECK(ok, "%s before %s: %s", s[i].name, s[j].name,
                  snp_fw_status_name(ret));
            count(order, ok);
        }
    }
}

static void test_states(const FwCommand *c, Count *n)
{
    for (int sev = 0; sev < 3; sev++) {
        for (int snp = 0; snp < 2; snp++) {
            uint32_t ret;
            bool ok;

            again();
            set_platform(sev, snp);
            memcpy(mem + CMDBUF, cb, sizeof(cb));
            snap();
            ret = go(c);
            ok = takes_platform(c, sev, snp)
                 ? ret == c->answer
                 : ret == FW_INVALID_PLATFORM_STATE && unchanged();
            CHECK(ok, "SEV %d, SNP %d: %s", sev, snp,
                  snp_fw_status_name(ret));
            count(n, ok);
        }
    }
    if (!c->snp && !c->sev) {
        return;
    }
    for (int s = c->snp ? SNP_GUEST_INIT : SEV_GUEST_LUPDATE;
         s <= (c->snp ? (int)SNP_GUEST_RUNNING : (int)SEV_GUEST_SENT);
         s++) {
        bool takes = guest_states(c) & 1u << s;
        uint32_t ret;

        again();
        *guest_state(c) = s;
        ret = go(c);
        CHECK(ret == (takes ? c->answer : FW_INVALID_GUEST_STATE),
              "guest state %d: %s", s, snp_fw_status_name(ret));
        count(n, ret == (takes ? c->answer : FW_INVALID_GUEST_STATE));
    }
}

/* It succeeds, and leaves what the row says it leaves. */
static void test_success(const FwCommand *c)
{
    unsigned sev = c->to_platform & SEV_ANY, snp = c->to_platform & SNP_ANY;
    uint8_t was_state = 0;
    uint32_t ret;

    again();
    if (c->snp || c->sev) {
        was_state = *guest_state(c);
    }
    ret = go(c);
    CHECK(ret == c->answer, "%s", snp_fw_status_name(ret));
    CHECK(sev ? SEV_U << fw.sev_state == sev
              : fw.sev_state == keep_fw.sev_state, "SEV platform");
    CHECK(snp ? fw.snp_inited == (snp == SNP_I)
              : fw.snp_inited == keep_fw.snp_inited, "SNP platform");
    if (c->to_guest) {
        CHECK(1u << *guest_state(c) == c->to_guest, "guest");
    } else if ((c->snp && fw.guests[0].used) ||
               (c->sev && fw.sev_guests[0].used)) {
        CHECK(*guest_state(c) == was_state, "guest");
    }
}

/* "offset name bytes, ...": one field after the other, up to the length */
static void test_layout(const FwCommand *c)
{
    const char *p = c->layout;
    unsigned end = 0, at, len;
    int used;

    CHECK(!c->layout == !c->len, "layout");
    while (p && *p) {
        if (sscanf(p, "%x %*[a-z0-9_] %u%n", &at, &len, &used) != 2) {
            CHECK(false, "layout at \"%s\"", p);
            return;
        }
        CHECK(at == end, "field at %x, not %x", at, end);
        end = at + len;
        p += used;
        p += *p == ',';
        p += *p == ' ';
    }
    CHECK(end == c->len, "layout of %u, not %u bytes", end, c->len);
}

/* [FW-TIO-OFF] Where there is no trusted I/O, with all else well */
static void test_off(const FwCommand *c)
{
    for (int sev = 0; sev < 3; sev++) {
        for (int snp = 0; snp < 2; snp++) {
            again();
            fw.cfg.tio = false;
            set_platform(sev, snp);
            memcpy(mem + CMDBUF, cb, sizeof(cb));
            snap();
            CHECK(go(c) == FW_INVALID_COMMAND && unchanged(),
                  "off: SEV %d, SNP %d", sev, snp);
        }
    }
}

/* Of all commands */
static Count all_errors, all_order, all_states;

static void add(Count *to, const Count *n)
{
    to->of += n->of;
    to->good += n->good;
}

static void test_command(const FwCommand *c)
{
    Count errors = { 0 }, order = { 0 }, states = { 0 };
    Step steps[MAX_STEPS];
    unsigned n;

    CHECK(c == fw_commands || c[-1].id < c->id, "not in order");
    test_layout(c);
    n = list_steps(c, steps);
    good(c->id);
    keep();
    test_success(c);
    test_errors(c, steps, n, &errors, &order);
    test_states(c, &states);
    if (c->tio) {
        test_off(c);
    }
    printf("# %s: errors %u of %u, in order %u of %u, states %u of %u\n",
           c->name, errors.good, errors.of, order.good, order.of,
           states.good, states.of);
    add(&all_errors, &errors);
    add(&all_order, &order);
    add(&all_states, &states);
}

static void test_next(void)
{
    static unsigned i;

    test_command(&fw_commands[i++]);
}

/* A change for an error that no row has is out of date. */
static void test_changes(void)
{
    for (unsigned i = 0; i < NCHANGES; i++) {
        const FwCommand *c = fw_command(changes[i].cmd);
        bool found = false;

        for (const FwError *e = c->errors; e && e->status; e++) {
            found |= find_change(c, e) == &changes[i];
        }
        CHECK(found, "%s: no error %s of %s", c->name, changes[i].rule,
              snp_fw_status_name(changes[i].status));
    }
    printf("# all commands: errors %u of %u, in order %u of %u, states %u of "
           "%u\n", all_errors.good, all_errors.of, all_order.good,
           all_order.of, all_states.good, all_states.of);
}

/* [FW-CRYPTO] the other half: a report that cannot be signed */
static void test_no_signature(void)
{
    const FwCommand *c = fw_command(SNP_GUEST_REQUEST);

    good(c->id);
    keep();
    for (int fails = 1; fails >= 0; fails--) {
        uint32_t ret;

        again();
        sign_fails = fails;
        memcpy(mem + CMDBUF, cb, sizeof(cb));
        snap();
        ret = go(c);
        CHECK(ret == (fails ? FW_HWERROR_PLATFORM : FW_SUCCESS), "%s",
              snp_fw_status_name(ret));
        CHECK(unchanged() == fails, "changed");
    }
}

/* ---- for the documentation ---- */

static void list(void)
{
    for (unsigned i = 0; i < fw_ncommands; i++) {
        const FwCommand *c = &fw_commands[i];

        printf("%03x\t%s\t%u\t%d\t%s\t%x\t%x\t%x\t%u\t%x\t%x\t%s\t%d",
               c->id, c->name, c->len, c->writes, c->layout ? c->layout : "",
               c->platform, c->snp, c->sev, c->active, c->to_platform,
               c->to_guest, c->effect ? c->effect : "", c->ours);
        printf("\t%d\t%s", c->tio, snp_fw_status_name(c->answer));
        for (const FwError *e = c->errors; e && e->status; e++) {
            printf("\t%s %s", snp_fw_status_name(e->status), e->rule);
        }
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    static KtapCase cases[256];
    static char names[256][48];
    unsigned n = 0;

    if (argc > 1 && !strcmp(argv[1], "--list")) {
        list();
        return 0;
    }
    for (; n < fw_ncommands && n < 254; n++) {
        snprintf(names[n], sizeof(names[n]), "fw table: %03x %s",
                 fw_commands[n].id, fw_commands[n].name);
        cases[n] = (KtapCase){ names[n], test_next };
    }
    cases[n++] = (KtapCase){ "fw table: a report that cannot be signed",
                             test_no_signature };
    cases[n++] = (KtapCase){ "fw table: no case without its error",
                             test_changes };
    return run_with_keys(cases, n);
}
