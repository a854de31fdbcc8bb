/*
 * Every state of a page x who reads it, with ciphertext hidden
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SNP firmware ABI (56860), SNP_INIT_EX with CIPHERTEXT_HIDING_EN: whoever has
 * not its key reads ones from an SNP guest's page.
 */
#include "product.h"
#include "vm.h"

static const unsigned offsets[] = { 0, 0x123, AT_CODE, AT_MAGIC };

static bool is_hidden(State s)
{
    return s == GUEST_INVALID || s == GUEST_VALID || s == VMSA ||
           s == PRE_SWAP;
}

static void told(bool bad, const char *who, unsigned at, uint64_t got)
{
    if (bad) {
        now_name();
        print(": %s reads %lx at %x\n", who, got, at);
    }
}

/* MEM-HIDDEN */
static void by_host(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
        for (Leaf leaf = LEAF_4K; leaf < NLEAVES; leaf++) {
            unsigned at = offsets[i];
            Probe p = probe(op_read, at_leaf(now.spa, leaf) + at, 0);
            bool good = p.vector == NO_VEC;

            if (is_hidden(now.state)) {
                good &= p.ret == ~0ul;
            } else if (state_unknown(now.state)) {
                impossible(state_unknown(now.state));
                continue;
            } else if (at == AT_MAGIC) {
                good &= p.ret == MAGIC;
            } else {
                good &= p.ret != ~0ul;
            }
            told(cell(window_check() && good), "the host", at, p.ret);
        }
    }
}

static const char *const guest_name[NGUESTS] = {
    "its guest without the C-bit", "another SNP guest", "an ordinary guest",
};

static void by_guests(void)
{
    Exit x;

    vm_window(now.spa, now.size_2m);
    for (Guest g = OWNER; g < NGUESTS; g++) {
        vm_run(g, g_read, vm_va(WAY_RIGHT, false, now.spa + AT_MAGIC), 0, 0,
               &x);
        told(cell(window_check() && x.answer.kind == ANSWER_DONE &&
                  (is_hidden(now.state) ? x.answer.rax == ~0ul
                   : state_unknown(now.state) || x.answer.rax == MAGIC)),
             guest_name[g], AT_MAGIC, x.answer.rax);
    }
    if (now.state == GUEST_VALID) {
        vm_run(OWNER, g_read, vm_va(WAY_RIGHT, true, now.spa + AT_MAGIC), 0,
               0, &x);
        told(cell(window_check() && x.answer.kind == ANSWER_DONE &&
                  x.answer.rax == MAGIC), "its guest", AT_MAGIC,
             x.answer.rax);
    }
}

static void one(void)
{
    if (!state_memory(now.state)) {
        impossible(state_unknown(now.state));
        return;
    }
    by_host();
    by_guests();
}

void suite_hiding(void)
{
    ktap_plan(1 + NSTATES);
    init_hide = asid_of[OTHER];
    window_init();
    vm_init();
    every_state(one, NSPOTS, "readers");
}
