/*
 * Fuzz target: VMRUN of what a hostile host and guest left in VMCB and VMSA
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The bytes are the kind of the guest, and then steps: fields of the VMCB, of
 * the VMSA and of page tables, entries of the RMP, code of the guest, events,
 * and VMRUN for so many instructions. Whatever is in there: no sanitizer says
 * anything, the CPU has no state that it has not got, and when the guest is
 * gone so is all that was the guest's, the host is what it was, and no page is
 * in use.
 */
#include "ground.h"
#include "exec/cputlb.h"
#include "exec/exec-all.h"
#include "hw/core/cpu.h"
#include "qemu/main-loop.h"
#include "tcg/helper-tcg.h"

#define STEPS 48u

static bool wild;           /* the host's own pages may be anything */
static uint8_t before[GUEST_END - GUEST];

void target_prepare(void)
{
    ground_prepare();
}

/* ---- steps ---- */

static void step_vmsa(void)
{
    static const uint16_t fields[] = {
        offsetof(SevVmsa, vmpl), offsetof(SevVmsa, cpl),
        offsetof(SevVmsa, efer), offsetof(SevVmsa, cr0),
        offsetof(SevVmsa, cr3), offsetof(SevVmsa, cr4),
        offsetof(SevVmsa, dr6), offsetof(SevVmsa, dr7),
        offsetof(SevVmsa, rflags), offsetof(SevVmsa, rip),
        offsetof(SevVmsa, rsp), offsetof(SevVmsa, rax),
        offsetof(SevVmsa, xcr0), offsetof(SevVmsa, xss),
        offsetof(SevVmsa, sev_features), offsetof(SevVmsa, x87_ftw),
        offsetof(SevVmsa, mxcsr), offsetof(SevVmsa, cs),
        offsetof(SevVmsa, ss), offsetof(SevVmsa, tr),
        offsetof(SevVmsa, idtr), offsetof(SevVmsa, idtr.base),
        offsetof(SevVmsa, vintr_ctrl), offsetof(SevVmsa, dr),
        offsetof(SevVmsa, lbr), offsetof(SevVmsa, pkru),
        offsetof(SevVmsa, tsc_scale), offsetof(SevVmsa, tsc_offset),
        offsetof(SevVmsa, cs.base), offsetof(SevVmsa, g_pat),
    };
    uint8_t b = fuzz_byte();
    uint64_t page = b & 0x80 ? OTHER_VMSA : VMSA;
    unsigned at = b & 0x40 ? fuzz_number(2) % (sizeof(SevVmsa) - 8)
                           : fields[(b & 0x1f) % ARRAY_SIZE(fields)];

    world_put(page + at, b & 0x20 ? 1 : 8, some_value());
}

static void step_vmcb(bool save)
{
    static const uint16_t fields[] = {
#define C(x) offsetof(struct vmcb, control.x)
        C(intercept_cr_read), C(intercept_dr_read), C(intercept_exceptions),
        C(intercept), C(intercept_ext), C(iopm_base_pa), C(msrpm_base_pa),
        C(tsc_offset), C(asid), C(tlb_ctl), C(int_ctl), C(int_vector),
        C(int_state), C(nested_ctl), C(ghcb_gpa), C(event_inj),
        C(event_inj_err), C(nested_cr3), C(lbr_ctl), C(clean), C(next_rip),
        C(vmsa_pa), C(allowed_sev_features),
#undef C
    };
    uint8_t b = fuzz_byte();
    unsigned len = b & 0x80 ? 4 : 8;
    unsigned at = save ? offsetof(struct vmcb, save) +
                         (fuzz_number(2) % sizeof(struct vmcb_save_area))
                  : b & 0x40 ? fuzz_number(2) % 0x3f8
                  : fields[(b & 0x3f) % ARRAY_SIZE(fields)];

    world_put(VMCB + at, len, some_value());
}

static void step_table(void)
{
    static const uint64_t tables[] = { NPT, GUEST_PT };
    uint8_t b = fuzz_byte();
    uint64_t level = (b >> 1 & 3) * PAGE;
    uint64_t at = tables[b & 1] + level +
                  (level == 3 * PAGE ? 0x400 + (b >> 3) * 8
                   : level == 2 * PAGE ? 8 : 0);
    uint64_t v = some_value() & ~0xffull;

    wild |= !(b & 1);
    world_put(at, 8, v | fuzz_byte());
}

static void step_entry(void)
{
    uint64_t spa = GUEST + fuzz_byte() % ((GUEST_END - GUEST) / PAGE) * PAGE;
    uint8_t b = fuzz_byte();
    RmpEntry e = {
        .assigned = b & 7, .immutable = (b & 7) == 2,
        .asid = (b & 7) > 3 ? ASID : (b & 7) == 3 ? OTHER_ASID : 0,
        .perms = { RMP_PERM_ALL, b & 0x40 ? RMP_PERM_ALL : 0 },
    };

    e.validated = e.asid && (b & 8);
    e.vmsa = e.asid && (b & 0x10);
    e.gpa = e.asid ? spa ^ (b & 0x20 ? PAGE : 0) : 0;
    rmp_fw_set(&snp_platform()->rmp, spa, &e);
    tlb_flush(env_cpu(world_env));
}

static void step_code(void)
{
    uint8_t b = fuzz_byte();
    uint64_t at = b & 0x40 ? DATA : b & 0x80 ? GHCB : CODE;

    for (unsigned i = 0; i < (b & 0x1f); i++) {
        world_put(at + i, 1, fuzz_byte());
    }
}

static void step_event(void)
{
    static const int events[] = {
        CPU_INTERRUPT_NMI, CPU_INTERRUPT_HARD, CPU_INTERRUPT_SMI,
        CPU_INTERRUPT_INIT, CPU_INTERRUPT_MCE, CPU_INTERRUPT_VIRQ,
    };

    cpu_interrupt(env_cpu(world_env), events[fuzz_byte() % ARRAY_SIZE(events)]);
}

/* ---- what the CPU may have of a guest ---- */

static void check_guest(void)
{
    CPUX86State *env = world_env;
    uint64_t xcr0 = (uint64_t)env->features[FEAT_XSAVE_XCR0_HI] << 32 |
                    env->features[FEAT_XSAVE_XCR0_LO];

    MUST(env->fpstt < 8, "x87 stack: %u", env->fpstt);
    MUST(!(env->xcr0 & ~xcr0), "XCR0: %lx", (long)env->xcr0);
    MUST(!(env->cr[4] & cr4_reserved_bits(env)), "CR4: %lx",
         (long)env->cr[4]);
    MUST(!(env->efer & MSR_EFER_RESERVED), "EFER: %lx", (long)env->efer);
    MUST(env->snp.vmpl < RMP_VMPLS, "VMPL %u", env->snp.vmpl);
}

static void check_entered(void)
{
    CPUX86State *env = world_env;
    RmpEntry e;

    if (env->snp.guest & SNP_GUEST_ES) {
        MUST(env->snp.vmsa_pa, "no VMSA");
        rmp_get_raw(&snp_platform()->rmp, env->snp.vmsa_pa, &e);
        MUST(!rmp_covered(&snp_platform()->rmp, env->snp.vmsa_pa) || e.in_use,
             "the VMSA is not in use");
        if (env->snp.guest & SNP_GUEST_SNP) {
            MUST(e.vmsa && e.asid == env->snp.asid, "no VMSA of the guest's");
        }
    }
    MUST(env->snp.held_vmcb == VMCB && env->snp.held_hsave == HSAVE,
         "the host's pages are not held");
}

/* ---- */

static void step_run(void)
{
    CPUX86State *env = world_env;
    CPUState *cs = env_cpu(env);
    uint8_t n = fuzz_byte();
    uint64_t vmsa, code;
    bool entered;

    /* devices, and what else MSRs are for, are not put back */
    code = world_get(VMCB + offsetof(struct vmcb, control.intercept), 8);
    world_put(VMCB + offsetof(struct vmcb, control.intercept), 8,
              code | 1ull << 27 | 1ull << 28);
    vmsa = world_get(VMCB + offsetof(struct vmcb, control.vmsa_pa), 8) &
           0x000ffffffffff000ull & ~SNP_C_MASK;
    world_read(GUEST, before, sizeof(before));
    env->regs[R_EAX] = VMCB;
    ground_note_host();
    bql_unlock();
    entered = world_try(ground_vmrun, NULL);
    if (!entered && !world_in_guest() && cs->exception_index < EXCP_VMEXIT) {
        /* an exception of VMRUN itself */
        cs->exception_index = -1;
        MUST(!env->snp.guest && !env->snp.held_vmcb, "half a guest");
        bql_lock();
        return;
    }
    if (world_in_guest() && cs->exception_index != EXCP_VMEXIT) {
        check_entered();
    }
    world_deliver();
    if (world_in_guest()) {
        check_guest();
        world_step(n & 0x1f);
        fuzz_say("%u instructions, RIP %" PRIx64 "\n", n & 0x1f,
                  (uint64_t)env->eip);
        if (world_in_guest()) {
            check_guest();
        }
        ground_leave(n & 0x80 ? SVM_EXIT_INTR : SVM_EXIT_NMI);
    } else if (!entered) {
        code = world_get(VMCB + offsetof(struct vmcb, control.exit_code), 8);
        if (code == (uint64_t)SVM_EXIT_ERR || code == (uint64_t)SVM_EXIT_BUSY) {
            static uint8_t after[sizeof(before)];

            world_read(GUEST, after, sizeof(after));
            if (vmsa >= GUEST && vmsa < GUEST_END) {
                memcpy(after + (vmsa - GUEST), before + (vmsa - GUEST), PAGE);
            }
            MUST(wild || !memcmp(before, after, sizeof(before)),
                 "VMRUN refused, and the guest's memory changed");
        }
    }
    bql_lock();
    fuzz_say("VMRUN ends with %" PRIx64 ", EXITINFO1 %" PRIx64 "\n",
              world_get(VMCB + offsetof(struct vmcb, control.exit_code), 8),
              world_get(VMCB + offsetof(struct vmcb, control.exit_info_1), 8));
    /* INIT and a shutdown leave no host to compare */
    if (!wild && (env->cr[0] & CR0_PE_MASK)) {
        ground_check_host();
    }
}

void target_input(void)
{
    uint8_t b = fuzz_byte();

    world_again();
    wild = false;
    ground_kind(b % NKINDS);
    if (b & 0x80) {
        world_put(VMCB + offsetof(struct vmcb, control.allowed_sev_features),
                  8, 1ull << 63 | fuzz_number(2));
    }
    for (unsigned i = 0; i < STEPS && fuzz_more(); i++) {
        switch (fuzz_byte() % 16) {
        case 0:
        case 1:
        case 2:
        case 3:
            step_vmsa();
            break;
        case 4:
        case 5:
            step_vmcb(false);
            break;
        case 6:
            step_vmcb(true);
            break;
        case 7:
            step_table();
            break;
        case 8:
            step_entry();
            break;
        case 9:
        case 10:
            step_code();
            break;
        case 11:
            step_event();
            break;
        default:
            step_run();
            if (!(world_env->cr[0] & CR0_PE_MASK)) {
                ground_check_rmp();
                return;
            }
        }
        ground_check_rmp();
    }
}
