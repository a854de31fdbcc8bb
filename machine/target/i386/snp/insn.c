/*
 * SEV-SNP: RMPUPDATE, PSMASH, RMPREAD, PVALIDATE, RMPADJUST, RMPQUERY
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 3. The status is in EAX, zero-extended; OF, SF, ZF, AF and PF
 * reflect it, CF is PVALIDATE's.
 */
#include "qemu/osdep.h"
#include "cpu.h"
#include "exec/exec-all.h"
#include "exec/helper-proto.h"
#include "exec/cpu_ldst.h"
#include "exec/translation-block.h"
#include "tcg/helper-tcg.h"
#include "hw/snp/platform.h"
#include "hw/snp/trace.h"
#include "snp.h"

static void set_status(CPUX86State *env, uint32_t code, bool carry)
{
    uint32_t flags = carry ? CC_C : 0;

    env->regs[R_EAX] = code;
    if (!code) {
        flags |= CC_Z;
    }
    flags |= compute_pf(code);
    CC_SRC = flags;
    CC_OP = CC_OP_EFLAGS;
}

static void host_insn_check(CPUX86State *env, uintptr_t ra)
{
    /* [RMPUPDATE-UD] no SNP, SNP not enabled, or not 64-bit mode */
    if (!snp_platform() || !x86_snp_enabled(env) ||
        !(env->hflags & HF_CS64_MASK)) {
        raise_exception_ra(env, EXCP06_ILLOP, ra);
    }
    /* [RMPUPDATE-CPL] */
    if (env->hflags & HF_CPL_MASK) {
        raise_exception_err_ra(env, EXCP0D_GPF, 0, ra);
    }
}

/*
 * [MEM-ALONE] With one thread a CPU: nobody stores to the page between its
 * transformation and the flush, because no other CPU runs until both are done.
 * Starts the instruction again if others do run.
 */
static void be_alone(CPUX86State *env, uintptr_t ra)
{
    CPUState *cs = env_cpu(env);

    if (snp_platform()->encrypt && cs->tcg_cflags & CF_PARALLEL &&
        !cpu_in_exclusive_context(cs)) {
        cpu_loop_exit_atomic(cs, ra);
    }
}

/*
 * The result of a host instruction that was not refused yet, if it is to fail
 * on demand: it then does nothing. Below 0: it is not.
 */
static int injected(SnpInjectSite site, uint32_t to, const char *what)
{
    SnpInjectAction a = snp_inject(&snp_platform()->inject, site, to);

    if (likely(a.kind != SNP_INJECT_STATUS)) {
        return -1;
    }
    trace_snp_inject(what, a.kind, a.value);
    snp_stat_injected(site);
    return a.value;
}

static int host_rmpupdate(hwaddr spa, const RmpUpdate *u)
{
    uint32_t to = !u->assigned ? SNP_INJECT_TO_SHARED
                  : u->asid ? SNP_INJECT_TO_GUEST : SNP_INJECT_TO_FIRMWARE;
    int code = injected(SNP_INJECT_RMPUPDATE, to, "RMPUPDATE");

    return code < 0 ? rmp_update(&snp_platform()->rmp, spa, u) : code;
}

static int host_psmash(hwaddr spa)
{
    int code = injected(SNP_INJECT_PSMASH, 0, "PSMASH");

    return code < 0 ? rmp_psmash(&snp_platform()->rmp, spa) : code;
}

void helper_rmpupdate(CPUX86State *env)
{
    uintptr_t ra = GETPC();
    hwaddr spa = env->regs[R_EAX] & ~SNP_C_MASK;
    RmpUpdate u;
    uint64_t q1;
    int code;

    host_insn_check(env, ra);
    be_alone(env, ra);
    u.gpa = cpu_ldq_data_ra(env, env->regs[R_ECX], ra);
    q1 = cpu_ldq_data_ra(env, env->regs[R_ECX] + 8, ra);
    u.assigned = q1;
    u.pagesize = q1 >> 8;
    u.immutable = q1 >> 16;
    u.rsvd = q1 >> 24;
    u.asid = q1 >> 32;

    /* [RMPUPDATE-GUEST] */
    x86_snp_rmp_begin();
    code = env->hflags & HF_GUEST_MASK ? RMP_FAIL_PERMISSION
           : host_rmpupdate(spa, &u);
    snp_stat_rmpupdate(code, &u);
    trace_snp_rmpupdate(spa, u.assigned, u.asid, u.gpa, u.pagesize,
                        u.immutable, code);
    if (code == RMP_SUCCESS) {
        x86_snp_flush_region(spa);
    }
    x86_snp_rmp_end(code == RMP_SUCCESS, "RMPUPDATE");
    set_status(env, code, false);
}

void helper_psmash(CPUX86State *env)
{
    uintptr_t ra = GETPC();
    hwaddr spa = env->regs[R_EAX] & ~SNP_C_MASK;
    int code;

    host_insn_check(env, ra);
    x86_snp_rmp_begin();
    code = env->hflags & HF_GUEST_MASK ? RMP_FAIL_PERMISSION
           : host_psmash(spa);
    snp_stat(SNP_STAT_PSMASH);
    trace_snp_psmash(spa, code);
    if (code == RMP_SUCCESS) {
        x86_snp_flush_region(spa);
    }
    x86_snp_rmp_end(code == RMP_SUCCESS, "PSMASH");
    set_status(env, code, false);
}

/* Both ends may be written, whatever comes of it; returns if so. */
static void probe_operand(CPUX86State *env, vaddr addr, uintptr_t ra)
{
    int mmu = cpu_mmu_index(env_cpu(env), false);
    vaddr last = addr + sizeof(RmpUpdate) - 1;

    probe_write(env, addr, 1, mmu, ra);
    /* a fault tells the first byte that cannot be written */
    if ((addr ^ last) & TARGET_PAGE_MASK) {
        probe_write(env, last & TARGET_PAGE_MASK, 1, mmu, ra);
    }
}

void helper_rmpread(CPUX86State *env)
{
    uintptr_t ra = GETPC();
    hwaddr spa = env->regs[R_EAX] & ~SNP_C_MASK;
    vaddr to = env->regs[R_ECX];
    RmpUpdate out;
    int code;

    /* [RMPREAD-UD] */
    if (!snp_platform() || !snp_platform()->rmpread) {
        raise_exception_ra(env, EXCP06_ILLOP, ra);
    }
    host_insn_check(env, ra);
    probe_operand(env, to, ra);
    /* [RMPREAD-GUEST] */
    code = env->hflags & HF_GUEST_MASK ? RMP_FAIL_PERMISSION
           : rmp_read(&snp_platform()->rmp, spa, &out);
    snp_stat(SNP_STAT_RMPREAD);
    if (code == RMP_SUCCESS) {
        cpu_stq_data_ra(env, to, out.gpa, ra);
        cpu_stq_data_ra(env, to + 8, out.assigned | out.pagesize << 8 |
                        out.immutable << 16 | (uint64_t)out.asid << 32, ra);
    }
    set_status(env, code, false);
}

static void guest_insn_check(CPUX86State *env, uintptr_t ra)
{
    /* [PVALIDATE-UD] */
    if (!(env->snp.guest & SNP_GUEST_SNP)) {
        raise_exception_ra(env, EXCP06_ILLOP, ra);
    }
    /* [PVALIDATE-CPL] */
    if (env->hflags & HF_CPL_MASK) {
        raise_exception_err_ra(env, EXCP0D_GPF, 0, ra);
    }
}

/* The page that an instruction names; what does not translate is raised. */
static void find_page(CPUX86State *env, vaddr addr, X86SnpXlate *x,
                      uintptr_t ra)
{
    int64_t sext = (int64_t)addr >> (cpu_x86_virtual_addr_width(env) - 1);

    /* [PVALIDATE-CANONICAL] */
    if (env->hflags & HF_CS64_MASK && sext != 0 && sext != -1) {
        raise_exception_err_ra(env, EXCP0D_GPF, 0, ra);
    }
    x86_snp_translate(env, addr & ~(vaddr)0xfff, x, ra);
}

/*
 * Notes for observers what came of an operation that had operands to look at:
 * before translation, x is NULL. One whose address does not translate never
 * got as far.
 */
static void note_pvalidate(CPUX86State *env, const X86SnpXlate *x, bool size,
                           bool validate, RmpVerdict v, int code,
                           bool unchanged)
{
    trace_snp_pvalidate(env->snp.asid, x ? x->gpa : -1, x ? x->spa : -1, size,
                        validate, v, code, unchanged);
    if (v == RMP_ALLOW) {
        snp_stat_pvalidate(code, unchanged, validate);
    } else {
        snp_stat(SNP_STAT_PVALIDATE_FAULTED);
    }
}

static void note_rmpadjust(CPUX86State *env, const X86SnpXlate *x,
                           RmpVerdict v, int code)
{
    trace_snp_rmpadjust(env->snp.asid, x ? x->gpa : -1, x ? x->spa : -1,
                        env->regs[R_ECX], env->regs[R_EDX], v, code);
    snp_stat(SNP_STAT_RMPADJUST);
}

/* Deliver what the RMP says about the page; returns if it allows. */
static void deliver(CPUX86State *env, RmpVerdict v, const X86SnpXlate *x,
                    vaddr addr, uintptr_t ra)
{
    static const uint64_t bits[] = {
        [RMP_FAULT] = SNP_NPF_RMP,
        [RMP_FAULT_SIZEM] = SNP_NPF_RMP | SNP_NPF_SIZEM,
        [RMP_FAULT_VMPL] = SNP_NPF_RMP | SNP_NPF_VMPL,
        [RMP_FAULT_UNVALIDATED] = SNP_NPF_UNVALIDATED,
    };

    if (v != RMP_ALLOW) {
        /* [PVALIDATE-ENC] these are private accesses, present in the NPT */
        x86_snp_raise_npf(env, x->gpa, bits[v] | SNP_NPF_ENC |
                          PG_ERROR_P_MASK | PG_ERROR_U_MASK, addr, ra);
    }
}

void helper_pvalidate(CPUX86State *env)
{
    uintptr_t ra = GETPC();
    target_ulong addr = env->regs[R_EAX];
    /* [PVALIDATE-BIT0] stock guests leave rubbish in ECX and EDX above */
    bool size = env->regs[R_ECX] & 1;
    bool validate = env->regs[R_EDX] & 1;
    X86SnpXlate x;
    RmpVerdict v;
    bool unchanged = false;
    bool rescinded;
    int code = RMP_SUCCESS;

    guest_insn_check(env, ra);
    if (!(env->hflags & HF_CS64_MASK)) {
        addr = (uint32_t)addr;
    }
    /* [PVALIDATE-INPUT] */
    if (size && addr & 0x1fffff) {
        note_pvalidate(env, NULL, size, validate, RMP_ALLOW, RMP_FAIL_INPUT,
                       false);
        set_status(env, RMP_FAIL_INPUT, false);
        return;
    }
    /* [PVALIDATE-VMPL] */
    if (env->snp.vmpl) {
        note_pvalidate(env, NULL, size, validate, RMP_ALLOW,
                       RMP_FAIL_PERMISSION, false);
        set_status(env, RMP_FAIL_PERMISSION, false);
        return;
    }
    find_page(env, addr, &x, ra);
    x86_snp_rmp_begin();
    v = rmp_pvalidate(&snp_platform()->rmp, x.spa, x.gpa, env->snp.asid,
                      x.leaf_2m, size, validate, &code, &unchanged);
    rescinded = v == RMP_ALLOW && code == RMP_SUCCESS && !unchanged &&
                !validate;
    note_pvalidate(env, &x, size, validate, v, code, unchanged);
    if (rescinded) {
        x86_snp_flush_region(x.spa);
    }
    x86_snp_rmp_end(rescinded, "PVALIDATE");
    deliver(env, v, &x, addr, ra);
    set_status(env, code, unchanged);
}

void helper_rmpadjust(CPUX86State *env)
{
    uintptr_t ra = GETPC();
    target_ulong addr = env->regs[R_EAX];
    uint64_t size = env->regs[R_ECX];
    X86SnpXlate x;
    RmpVerdict v;
    bool adjusted;
    int code = RMP_SUCCESS;

    /* [RMPADJUST-UD] 64-bit mode only, at any CPL */
    if (!(env->hflags & HF_CS64_MASK)) {
        raise_exception_ra(env, EXCP06_ILLOP, ra);
    }
    guest_insn_check(env, ra);
    /* [RMPADJUST-INPUT] */
    if (size > 1 || (size && addr & 0x1fffff) ||
        !rmp_adjust_operand_ok(&snp_platform()->rmp, env->regs[R_EDX])) {
        note_rmpadjust(env, NULL, RMP_ALLOW, RMP_FAIL_INPUT);
        set_status(env, RMP_FAIL_INPUT, false);
        return;
    }
    find_page(env, addr, &x, ra);
    x86_snp_rmp_begin();
    v = rmp_adjust(&snp_platform()->rmp, x.spa, x.gpa, env->snp.asid,
                   env->snp.vmpl, x.leaf_2m, size, env->regs[R_EDX], &code);
    adjusted = v == RMP_ALLOW && code == RMP_SUCCESS;
    note_rmpadjust(env, &x, v, code);
    if (adjusted) {
        x86_snp_flush_region(x.spa);
    }
    x86_snp_rmp_end(adjusted, "RMPADJUST");
    deliver(env, v, &x, addr, ra);
    set_status(env, code, false);
}

/* As note_rmpadjust(); @rdx: as the instruction found it */
static void note_rmpquery(CPUX86State *env, const X86SnpXlate *x, uint64_t rdx,
                          RmpVerdict v, int code)
{
    trace_snp_rmpquery(env->snp.asid, x ? x->gpa : -1, x ? x->spa : -1, rdx,
                       v, code);
    snp_stat(SNP_STAT_RMPQUERY);
}

void helper_rmpquery(CPUX86State *env)
{
    uintptr_t ra = GETPC();
    target_ulong addr = env->regs[R_EAX];
    uint64_t asked = env->regs[R_EDX], rdx = asked;
    bool size_2m = false;
    X86SnpXlate x;
    RmpVerdict v;
    int code = RMP_SUCCESS;

    /* [RMPQUERY-UD] not announced, no SNP guest, or not 64-bit mode */
    if (!snp_platform() || !snp_platform()->rmpquery ||
        !(env->hflags & HF_CS64_MASK)) {
        raise_exception_ra(env, EXCP06_ILLOP, ra);
    }
    guest_insn_check(env, ra);
    if (!rmp_query_operand_ok(&snp_platform()->rmp, asked)) {
        note_rmpquery(env, NULL, asked, RMP_ALLOW, RMP_FAIL_INPUT);
        set_status(env, RMP_FAIL_INPUT, false);
        return;
    }
    find_page(env, addr, &x, ra);
    v = rmp_query(&snp_platform()->rmp, x.spa, x.gpa, env->snp.asid,
                  env->snp.vmpl, x.leaf_2m, &rdx, &size_2m, &code);
    note_rmpquery(env, &x, asked, v, code);
    deliver(env, v, &x, addr, ra);
    if (code == RMP_SUCCESS) {
        env->regs[R_ECX] = size_2m;
        env->regs[R_EDX] = rdx;
    }
    set_status(env, code, false);
}
