/*
 * Unit test of the secure processor's firmware: what it forgets
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands run on a stack of the test's own, which is searched afterwards: no
 * key of theirs is left there, whether they succeed or not.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include "session-bench.h"

static uint8_t stack[1 << 20] __attribute__((aligned(4096)));

typedef struct Call {
    void (*f)(struct Call *);
    uint32_t cmd, ret;
} Call;

static void run_command(Call *call)
{
    call->ret = snp_fw_command(&fw, call->cmd, CMDBUF);
}

/* Leaves a key, as a command should not */
static void be_careless(Call *call)
{
    uint8_t key[16];

    memcpy(key, owner_tek, sizeof(key));
    __asm__ volatile("" : : "r"(key), "r"(call) : "memory");
}

static void reset(Call *call)
{
    snp_fw_reset(&fw);
    call->ret = FW_SUCCESS;
}

/* What ends the thread does not come as far as this: it overwrites nothing. */
static void *deep(void *opaque)
{
    uint8_t room[0x10000];
    Call *call = opaque;

    __asm__ volatile("" : : "r"(room) : "memory");
    call->f(call);
    return NULL;
}

static void apart(Call *call)
{
    pthread_attr_t attr;
    pthread_t t;
    bool ok;

    memset(stack, 0, sizeof(stack));
    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr, stack, sizeof(stack));
    ok = !pthread_create(&t, &attr, deep, call) && !pthread_join(t, NULL);
    pthread_attr_destroy(&attr);
    CHECK(ok, "no thread");
}

static bool left(const void *key, size_t len)
{
    return memmem(stack, sizeof(stack), key, len);
}

/* With cb as the buffer, as run() */
static void command(uint32_t cmd, uint32_t want, const char *what)
{
    Call call = { run_command, cmd, ~0u };

    memcpy(mem + CMDBUF, cb, sizeof(cb));
    memset(cb, 0, sizeof(cb));
    apart(&call);
    CHECK(call.ret == want, "%s: %s", what, snp_fw_status_name(call.ret));
}

static void test_search(void)
{
    apart(&(Call){ be_careless, 0, 0 });
    CHECK(left(owner_tek, 16) && !left(owner_tik, 16), "what is there");
}

static void none_of_the_owner(const char *what)
{
    CHECK(!left(owner_tek, 16), "TEK: %s", what);
    CHECK(!left(owner_tik, 16), "TIK: %s", what);
}

static void begin(void)
{
    power_on();
    init_sev(true);
    expect(SEV_PDH_GEN, FW_SUCCESS, "PDH");
    owner_begins(4);
    arg_session(4);
}

static void test_session(void)
{
    uint8_t z[48], kek[16], kik[16];
    P384Pair own = owner_pair(5);
    const SevKeys *keys = &fw.sev_guests[0].keys;

    begin();
    p384_shared(&own, &fw.identity.pdh.pub, z);
    fw_session_keys(z, 48, mem + SESSION, kek, kik);
    command(SEV_LAUNCH_START, FW_SUCCESS, "session");
    none_of_the_owner("a session");
    CHECK(!left(z, 48) && !left(kek, 16) && !left(kik, 16), "keys to these");
    CHECK(!left(fw.identity.pdh.k, 48), "PDH");
    begin();
    mem[SESSION + 127] ^= 1;
    command(SEV_LAUNCH_START, FW_BAD_MEASUREMENT, "policy");
    none_of_the_owner("another policy");
    begin();
    for (unsigned i = 0; i < FW_MAX_GUESTS; i++) {
        fw.sev_guests[i].used = true;
    }
    command(SEV_LAUNCH_START, FW_RESOURCE_LIMIT, "too many");
    none_of_the_owner("too many guests");
    power_on();
    init_sev(true);
    command(SEV_LAUNCH_START, FW_SUCCESS, "no session");
    CHECK(!left(keys->tek, 16) && !left(keys->tik, 16), "nobody's keys");
}

static void test_secret(void)
{
    uint8_t secret[32];

    for (unsigned i = 0; i < sizeof(secret); i++) {
        secret[i] = 0x80 + i;
    }
    begin();
    expect(SEV_LAUNCH_START, FW_SUCCESS, "set-up");
    fw.sev_guests[0].asid = 3;
    fw.sev_guests[0].state = SEV_GUEST_LSECRET;
    wrap_secret(owner_tek, owner_tik, fw.sev_guests[0].measure, 0x80, 32);
    arg_secret(TARGET, 32);
    command(SEV_LAUNCH_UPDATE_SECRET, FW_SUCCESS, "secret");
    CHECK(!memcmp(mem + TARGET, secret, 32), "told");
    CHECK(!left(secret, 32), "the secret");
    none_of_the_owner("a secret");
}

static void test_send(void)
{
    const SevKeys *keys = &fw.sev_guests[0].keys;
    uint8_t z[48], kek[16], kik[16];

    begin();
    expect(SEV_LAUNCH_START, FW_SUCCESS, "set-up");
    fw.sev_guests[0].state = SEV_GUEST_RUNNING;
    arg_export();
    expect(SEV_PDH_CERT_EXPORT, FW_SUCCESS, "set-up");
    arg_send(OUT);
    command(SEV_SEND_START, FW_SUCCESS, "send");
    none_of_the_owner("a guest is sent");
    CHECK(!left(keys->tek, 16) && !left(keys->tik, 16), "the new keys");
    p384_shared(&fw.identity.pdh, &fw.identity.pdh.pub, z);
    fw_session_keys(z, 48, mem + OUT, kek, kik);
    CHECK(!left(z, 48) && !left(kek, 16) && !left(kik, 16), "keys to these");
}

static void test_platform(void)
{
    const SnpFwIdentity *id = &fw.identity;

    power_on();
    init_sev(false);
    command(SEV_PEK_GEN, FW_SUCCESS, "PEK_GEN");
    CHECK(!left(id->cek.k, 48) && !left(id->pek.k, 48) &&
          !left(id->pdh.k, 48), "keys that were made");
    arg_csr();
    command(SEV_PEK_CSR, FW_SUCCESS, "CSR");
    CHECK(!left(id->pek.k, 48), "PEK");
    arg_export();
    command(SEV_PDH_CERT_EXPORT, FW_SUCCESS, "certificates");
    CHECK(!left(id->cek.k, 48) && !left(id->pek.k, 48) &&
          !left(id->pdh.k, 48), "keys that signed");
}

static void test_guest(void)
{
    const SnpFwGuest *g = &fw.guests[0];
    uint8_t said[64];

    /* where memory is not enciphered, the page goes as it is, too */
    for (int clear = 0; clear < 2; clear++) {
        in_the_clear = clear;
        guest(G_LAUNCH_ACTIVE);
        arg_update(5, TARGET, false);
        command(SNP_LAUNCH_UPDATE, FW_SUCCESS, "secrets page");
        for (unsigned i = 0; i < FW_VMPCKS; i++) {
            CHECK(!left(g->vmpck[i], 32), "VMPCK %u", i);
        }
    }
    in_the_clear = false;
    attested();
    memset(msg, 0, 32);
    seal_as(0, 1, 3, 1, 0x20);
    arg_request();
    command(SNP_GUEST_REQUEST, FW_SUCCESS, "key");
    CHECK(!response(0, 2, 4, 0x40), "key");
    CHECK(!left(msg + 32, 32), "derived key");
    CHECK(!left(fw.cfg.chip_secret, 32), "its root");
    CHECK(!left(g->vmpck[0], 32), "VMPCK");
    report_req(0, 0);
    memcpy(said, msg, sizeof(said));
    seal_as(0, 3, 5, 1, 0x60);
    arg_request();
    command(SNP_GUEST_REQUEST, FW_SUCCESS, "report");
    CHECK(!left(said, sizeof(said)), "what the guest said");
}

static void test_vlek(void)
{
    attested();
    for (int good = 0; good < 2; good++) {
        wrap_vlek(good ? pem_b : "-----BEGIN EC PRIVATE KEY-----, is it?",
                  TCB);
        arg_vlek();
        command(SNP_VLEK_LOAD, good ? FW_SUCCESS : FW_INVALID_KEY, "VLEK");
        CHECK(!left(good ? pem_b + 32 : "KEY-----, is it?", 16), "VLEK");
    }
}

static void test_reset(void)
{
    power_on();
    chip();
    init_sev(true);
    expect(SEV_PDH_GEN, FW_SUCCESS, "set-up");
    apart(&(Call){ reset, 0, 0 });
    CHECK(!left(fw.cfg.chip_secret, 32), "the chip's secret");
    CHECK(!left(fw.identity.pdh.k, 48), "PDH");
}

int main(void)
{
    static const KtapCase cases[] = {
        { "wipe: what is left is found", test_search },
        { "wipe: a session's keys", test_session },
        { "wipe: a guest owner's secret", test_secret },
        { "wipe: a session with another platform", test_send },
        { "wipe: the platform's keys", test_platform },
        { "wipe: an SNP guest's keys", test_guest },
        { "wipe: the VLEK", test_vlek },
        { "wipe: reset", test_reset },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
