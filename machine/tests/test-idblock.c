/*
 * Unit test of the secure processor's firmware: ID blocks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "id-bench.h"

static void finish(unsigned flags, uint32_t want, const char *what)
{
    put(0, 8, GCTX);
    put(8, 8, BLOCK);
    put(0x10, 8, AUTH);
    put(0x18, 1, flags);
    expect(SNP_LAUNCH_FINISH, want, what);
}

static void test_id_block(void)
{
    const uint8_t *r = msg + 0x20;
    uint8_t digest[48];

    for (int author = 0; author < 2; author++) {
        blocked();
        if (!author) {
            memset(mem + AUTH + 0x680, 0, 0x584);   /* not looked at */
            put_le(mem + AUTH + 4, 4, 0);
        }
        finish(1 | author << 1, FW_SUCCESS, "good");
        chip();
        set_page(RSP, RMP_FIRMWARE, 0, 0);
        report_req(0, 0);
        CHECK(!report_as(0), "report");
        CHECK(le(r + 4, 4) == 7 && r[0x10] == 0xf1 && r[0x1f] == 0xf1 &&
              r[0x20] == 0xf2 && r[0x2f] == 0xf2, "SVN, family, image");
        CHECK(le(r + 0x48, 4) == (unsigned)author, "AUTHOR_KEY_EN");
        sha384(mem + AUTH + 0x240, 0x404, digest);
        CHECK(!memcmp(r + 0xe0, digest, 48), "ID key");
        sha384(mem + AUTH + 0x880, 0x404, digest);
        if (!author) {
            memset(digest, 0, 48);
        }
        CHECK(!memcmp(r + 0x110, digest, 48), "author key");
    }

    blocked();
    put(0, 8, GCTX);
    memmove(mem + AUTH + 24, mem + AUTH, 4096);
    memmove(mem + BLOCK + 16, mem + BLOCK, 96);
    put(8, 8, BLOCK + 16);
    put(0x10, 8, AUTH + 24);
    put(0x18, 1, 1);
    expect(SNP_LAUNCH_FINISH, FW_SUCCESS, "anywhere");
    blocked();
    put(0, 8, GCTX);
    put(8, 8, NOWHERE);
    put(0x10, 8, AUTH);
    put(0x18, 1, 1);
    expect(SNP_LAUNCH_FINISH, FW_INVALID_ADDRESS, "block nowhere");
    put(0, 8, GCTX);
    put(8, 8, BLOCK);
    put(0x10, 8, NOWHERE);
    put(0x18, 1, 1);
    expect(SNP_LAUNCH_FINISH, FW_INVALID_ADDRESS, "auth nowhere");

    /* signed, but of another guest */
    blocked();
    mem[BLOCK] ^= 1;
    sign_block();
    finish(1, FW_BAD_MEASUREMENT, "digest");
    blocked();
    mem[BLOCK + 0x5a] = 1;
    sign_block();
    finish(1, FW_POLICY_FAILURE, "policy");
    blocked();
    mem[BLOCK + 0x50] = 2;
    sign_block();
    finish(1, FW_INVALID_PARAM, "version");
}

/* One byte changed at a time */
static void test_id_auth(void)
{
    enum { P = FW_INVALID_PARAM, S = FW_BAD_SIGNATURE };
    static const struct { uint16_t from, to; uint8_t want, author; } rows[] = {
        { 0x000, 0x004, P, P },     /* ID key's algorithm */
        { 0x004, 0x008, 0, P },     /* author key's */
        { 0x008, 0x040, P, P },
        { 0x040, 0x240, S, S },     /* block's signature */
        { 0x240, 0x244, P, P },     /* curve */
        { 0x244, 0x274, S, S }, { 0x274, 0x28c, P, P },     /* x */
        { 0x28c, 0x2bc, S, S }, { 0x2bc, 0x2d4, P, P },     /* y */
        { 0x2d4, 0x644, P, P },
        { 0x644, 0x680, P, P },
        { 0x680, 0x880, 0, S },     /* ID key's signature */
        { 0x880, 0x884, 0, P },
        { 0x884, 0x8b4, 0, S }, { 0x8b4, 0x8cc, 0, P },
        { 0x8cc, 0x8fc, 0, S }, { 0x8fc, 0x914, 0, P },
        { 0x914, 0xc84, 0, P },
        { 0xc84, 0x1000, P, P },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned at = rows[i].from; at < rows[i].to;
             at += rows[i].to - rows[i].from > 64 ? 13 : 1) {
            for (int author = 0; author < 2; author++) {
                uint8_t want = author ? rows[i].author : rows[i].want;

                if (!want) {
                    continue;
                }
                blocked();
                mem[AUTH + at] ^= 0x40;
                finish(1 | author << 1, want, "auth");
                mem[AUTH + at] ^= 0x40;
                finish(1 | author << 1, FW_SUCCESS, "put right");
            }
        }
    }
    for (unsigned at = 0; at < 96; at++) {
        blocked();
        mem[BLOCK + at] ^= 0x40;
        finish(1, at >= 0x50 && at < 0x54 ? P : S, "block");
    }
    /* the block signed by the author's key instead */
    blocked();
    put_sig(AUTH + 0x40, key_b, BLOCK, 96);
    finish(1, S, "another key");
}

int main(void)
{
    static const KtapCase cases[] = {
        { "attest: ID blocks", test_id_block },
        { "attest: ID authentication", test_id_auth },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
