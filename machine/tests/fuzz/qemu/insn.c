/*
 * Fuzz target: the RMP instructions with any operand, by a host and its guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * RMPUPDATE, PSMASH and RMPREAD with any page and any place of the operand,
 * memory, devices or nothing; PVALIDATE, RMPADJUST and RMPQUERY of any address
 * in a guest whose page tables are anything. One that does not succeed leaves
 * all entries alone; none lets the host write to the guest's pages.
 */
#include "ground.h"
#include "exec/cputlb.h"
#include "exec/exec-all.h"
#include "exec/helper-proto.h"
#include "hw/core/cpu.h"
#include "qemu/main-loop.h"
#include "tcg/helper-tcg.h"

#define STEPS    48u
#define ENTRIES  (GROUND_SIZE / PAGE)

typedef void Insn(CPUX86State *env);
static Insn *const of_host[] = {
    helper_rmpupdate, helper_psmash, helper_rmpread, helper_pvalidate,
    helper_rmpadjust, helper_rmpquery,
};
static Insn *const of_guest[] = {
    helper_pvalidate, helper_rmpadjust, helper_pvalidate, helper_rmpadjust,
    helper_rmpupdate, helper_psmash, helper_rmpread, helper_rmpquery,
};

static RmpEntry before[ENTRIES];

void target_prepare(void)
{
    ground_prepare();
}

static void entries(RmpEntry *to)
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        memset(&to[i], 0, sizeof(to[i]));
        rmp_get_raw(&snp_platform()->rmp, GROUND + i * PAGE, &to[i]);
    }
}

static void call(CPUX86State *env, void *arg)
{
    (*(Insn **)arg)(env);
}

/* Entries may change only if the instruction says that it did something. */
static void execute(Insn *insn)
{
    static RmpEntry after[ENTRIES];
    CPUState *cs = env_cpu(world_env);
    bool user = world_env->hflags & HF_CPL_MASK, ended;

    entries(before);
    bql_unlock();
    ended = world_try(call, &insn);
    bql_lock();
    entries(after);
    fuzz_say("%s: EAX %x, exception %d\n", world_in_guest() ? "guest" : "host",
              (unsigned)world_env->regs[R_EAX], cs->exception_index);
    MUST(!user || !ended, "executed at CPL 3");
    MUST((ended && !(uint32_t)world_env->regs[R_EAX]) ||
         !memcmp(before, after, sizeof(before)),
         "EAX %x, exception %d: the table changed",
         (unsigned)world_env->regs[R_EAX], cs->exception_index);
}

static void operand(uint64_t at)
{
    uint8_t b = fuzz_byte();

    world_put(at, 8, b & 1 ? some_value() : some_place());
    world_put(at + 8, 1, b >> 1 & 1);
    world_put(at + 9, 1, b >> 2 & 1);
    world_put(at + 10, 1, b >> 3 & 1);
    world_put(at + 11, 1, (b & 0xf0) == 0xf0);
    world_put(at + 12, 4, b & 0x20 ? fuzz_number(2) : b >> 6);
}

static void host_step(void)
{
    CPUX86State *env = world_env;
    CPUState *cs = env_cpu(env);
    uint8_t b = fuzz_byte();
    uint64_t at = HOST_DATA + 0x100 + (b & 0x80 ? 0xef8 : 0);

    operand(at);
    env->regs[R_EAX] = b & 0x40 ? some_value() : some_place();
    env->regs[R_ECX] = b & 0x20 ? some_place() + fuzz_byte() * 16 - 8 : at;
    env->regs[R_EDX] = fuzz_byte();
    if (b & 0x10) {
        env->hflags |= fuzz_byte() & 3;
    }
    execute(of_host[(b & 0xf) % ARRAY_SIZE(of_host)]);
    MUST(cs->exception_index <= EXCP0E_PAGE, "exception %d",
         cs->exception_index);
    cs->exception_index = -1;
    env->hflags &= ~HF_CPL_MASK;
}

static void guest_step(void)
{
    CPUX86State *env = world_env;
    uint8_t b = fuzz_byte(), how = fuzz_byte();

    env->regs[R_EAX] = VMCB;
    bql_unlock();
    world_try(ground_vmrun, NULL);
    world_deliver();
    bql_lock();
    if (!world_in_guest()) {
        return;
    }
    env->regs[R_EAX] = b & 0x40 ? some_value()
                       : GUEST + fuzz_byte() % ((GUEST_END - GUEST) / PAGE) *
                         PAGE + (b & 0x80);
    env->regs[R_ECX] = how & 1 ? some_value() : how >> 1 & 1;
    env->regs[R_EDX] = how & 4 ? some_value() : how >> 3;
    if (b & 0x10) {
        env->hflags &= ~HF_CS64_MASK;
    }
    if (b & 0x20) {
        env->hflags |= 3;
    }
    execute(of_guest[(b & 0xf) % ARRAY_SIZE(of_guest)]);
    bql_unlock();
    world_deliver();
    ground_leave(SVM_EXIT_INTR);
    bql_lock();
}

static void step_table(void)
{
    uint8_t b = fuzz_byte();
    uint64_t at = (b & 1 ? NPT : GUEST_PT) + (b >> 1 & 3) * PAGE +
                  (fuzz_number(2) & 0xff8);

    world_put(at, 8, (some_value() & ~0xffull) | fuzz_byte());
}

void target_input(void)
{
    CPUX86State *env = world_env;

    world_again();
    ground_kind(fuzz_byte() & 7 ? SNP : ES);
    for (unsigned i = 0; i < STEPS && fuzz_more(); i++) {
        switch (fuzz_byte() % 8) {
        case 0:
            step_table();
            break;
        case 1:
            world_put(fuzz_byte() & 1 ? OTHER_VMSA : VMSA +
                      offsetof(SevVmsa, vmpl), 1, fuzz_byte() & 3);
            break;
        case 2:
        case 3:
        case 4:
            host_step();
            break;
        default:
            guest_step();
        }
        /* a guest may have the CPU started anew, by an APIC of the host's */
        if (!(env->cr[0] & CR0_PE_MASK)) {
            return;
        }
        ground_check_rmp();
    }
}
