/*
 * SEV-ES and SEV-SNP: exits
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "cpu.h"
#include "exec/exec-all.h"
#include "exec/helper-proto.h"
#include "exec/cpu_ldst.h"
#include "tcg/helper-tcg.h"
#include "hw/snp/platform.h"
#include "hw/snp/trace.h"
#include "snp.h"
#include "exit_class.h"

void x86_snp_reflect(CPUX86State *env, uint64_t exit_code, uint64_t info1,
                     uintptr_t retaddr)
{
    if (!x86_snp_is_es(env) ||
        snp_exit_class(exit_code, info1) != SNP_EXIT_NAE) {
        return;
    }
    snp_stat_vc(exit_code);
    trace_snp_vc(env->snp.asid, exit_code, info1);
    raise_exception_err_ra(env, EXCP1D_VC, exit_code, retaddr);
}

void x86_snp_complete_insn(CPUX86State *env, uint64_t exit_code)
{
    if (!x86_snp_is_es(env) ||
        snp_exit_class(exit_code, 0) != SNP_EXIT_AE_NEXT) {
        return;
    }
    env->eip += env->insn_len;
    if (!(env->hflags & HF_CS64_MASK)) {
        env->eip = (uint32_t)env->eip;
    }
    do_end_instruction(env);
}

void x86_snp_write_trap(CPUX86State *env, uint32_t code, uint64_t val,
                        uintptr_t retaddr)
{
    /* [ES-WRITE-TRAP] taken after the register has its new value */
    if (x86_snp_is_es(env) && cpu_svm_has_intercept(env, code)) {
        cpu_vmexit(env, code, val, retaddr);
    }
}

bool x86_snp_always_exits(CPUX86State *env, uint32_t code)
{
    /* [SNP-CPUID-IOIO] the host cannot let these through */
    return unlikely(env->snp.guest & SNP_GUEST_SNP) &&
           (code == SVM_EXIT_CPUID || code == SVM_EXIT_IOIO);
}

void helper_vmgexit(CPUX86State *env)
{
    uintptr_t ra = GETPC();

    /* [VMGEXIT-DECODE] elsewhere the bytes mean VMMCALL */
    if (!x86_snp_is_es(env)) {
        if (!(env->efer & MSR_EFER_SVME)) {
            raise_exception_ra(env, EXCP06_ILLOP, ra);
        }
        cpu_svm_check_intercept_param(env, SVM_EXIT_VMMCALL, 0, ra);
        raise_exception_ra(env, EXCP06_ILLOP, ra);
    }
    cpu_vmexit(env, SVM_EXIT_VMGEXIT, 0, ra);
}

/* Where the GHCB page is and its SW_EXITCODE; false: it cannot be read. */
static bool find_ghcb(CPUX86State *env, hwaddr *spa, uint64_t *event)
{
    CPUTLBEntryFull *full;
    void *host;
    int flags = probe_access_full(env, env->snp.ghcb, 0, MMU_DATA_LOAD,
                                  MMU_NESTED_IDX, true, &host, &full, 0);

    if (flags & TLB_INVALID_MASK || !host) {
        return false;
    }
    *spa = full->phys_addr & TARGET_PAGE_MASK;
    *event = ldq_le_p(host + 0x390);
    return true;
}

/* What the machine's observers are told, if any listens. */
static void trace_exit(CPUX86State *env, uint64_t code, uint64_t info1)
{
    trace_snp_vmexit(env_cpu(env)->cpu_index, env->snp.asid, code, info1);
    if (code == SVM_EXIT_NPF && trace_event_get_state_backends(TRACE_SNP_NPF)) {
        uint64_t gpa = x86_ldq_phys(env_cpu(env), env->vm_vmcb +
                                    offsetof(struct vmcb, control.exit_info_2));

        trace_snp_npf(env->snp.asid, gpa, info1);
    }
}

static void count_vmgexit(CPUX86State *env)
{
    uint64_t event = 0;
    hwaddr spa;

    x86_snp_ghcb_done();
    if (env->snp.ghcb & 0xfff) {
        snp_stat_vmgexit_msr(env->snp.ghcb & 0xfff);
        trace_snp_vmgexit_msr(env->snp.asid, env->snp.ghcb);
    } else {
        bool found = find_ghcb(env, &spa, &event);

        snp_stat_vmgexit(event);
        trace_snp_vmgexit(env->snp.asid, env->snp.ghcb, event);
        if (found) {
            x86_snp_ghcb_exit(event, spa);
        }
    }
}

void x86_snp_count_exit(CPUX86State *env, uint64_t code, uint64_t info1)
{
    if (!snp_platform()) {
        return;
    }
    x86_snp_enter_world(env_cpu(env), 0);
    snp_stat_vmexit(code, env->snp.asid);
    if (env->snp.guest) {
        snp_stat(env->snp.guest & SNP_GUEST_SNP ? SNP_STAT_VMEXIT_SNP :
                 env->snp.guest & SNP_GUEST_ES ? SNP_STAT_VMEXIT_SEV_ES :
                 SNP_STAT_VMEXIT_SEV);
    }
    trace_exit(env, code, info1);
    if (code == SVM_EXIT_NPF) {
        snp_stat_npf(info1);
    } else if (code == SVM_EXIT_VMGEXIT) {
        count_vmgexit(env);
    }
}
