/*
 * SEV-ES: VMRUN and #VMEXIT with a VMSA
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "cpu.h"
#include "exec/exec-all.h"
#include "exec/address-spaces.h"
#include "exec/helper-proto.h"
#include "tcg/helper-tcg.h"
#include "hw/snp/platform.h"
#include "hw/snp/trace.h"
#include "snp.h"
#include "vmsa.h"

/* Bytes at @spa as the processor itself accesses them. */
static void phys_rw(CPUX86State *env, hwaddr spa, void *buf, size_t len,
                    bool write)
{
    address_space_rw(env_cpu(env)->as, spa, MEMTXATTRS_UNSPECIFIED, buf, len,
                     write);
}

/*
 * [MEM-SEV-VMSA] The VMSA, with the key of its guest. One of an SNP guest is in
 * RAM as that sees it.
 */
static void vmsa_rw(CPUX86State *env, hwaddr spa, void *buf, size_t len,
                    bool write)
{
    SnpView *v = &snp_platform()->view;

    if (snp_view_space(v, spa, env->snp.asid) == SNP_SPACE_RAM) {
        phys_rw(env, spa, buf, len, write);
    } else if (write) {
        snp_view_write_as(v, env->snp.asid, spa, buf, len);
    } else {
        snp_view_read_as(v, env->snp.asid, spa, buf, len);
    }
}

bool x86_snp_vmrun_check(CPUX86State *env, uint64_t nested_ctl, uint32_t asid,
                         uint64_t lbr_ctl)
{
    bool sev = nested_ctl & SVM_NESTED_SEV;
    bool es = nested_ctl & SVM_NESTED_SEV_ES;

    env->snp.guest = 0;
    env->snp.asid = asid;
    env->snp.vmpl = 0;
    env->snp.sev_features = 0;
    env->snp.in_vmsa = false;
    x86_snp_enter_world(env_cpu(env), asid);
    trace_snp_vmrun(env_cpu(env)->cpu_index, asid, sev, es, env->vm_vmcb);
    if (!snp_platform() || !(sev || es)) {
        return true;
    }
    /* [VMRUN-ES-SEV] [VMRUN-ES-LBR] */
    if (es && (!sev || !(lbr_ctl & 1))) {
        return false;
    }
    /* [VMRUN-SEV-NP] [VMRUN-SEV-LONG] */
    if (!(nested_ctl & SVM_NPT_ENABLED) || !(env->efer & MSR_EFER_LMA)) {
        return false;
    }
    /* [VMRUN-SEV-ASID] [VMRUN-ES-ASID] */
    if (asid > snp_platform_max_asid() ||
        (es ? asid >= snp_platform_min_sev_asid()
            : asid < snp_platform_min_sev_asid())) {
        return false;
    }
    env->snp.guest = SNP_GUEST_SEV | (es ? SNP_GUEST_ES : 0);
    env->snp.in_vmsa = es;
    return true;
}

static void load_seg(CPUX86State *env, int reg, const struct vmcb_seg *s)
{
    unsigned attrib = lduw_le_p(&s->attrib);

    cpu_x86_load_seg_cache(env, reg, lduw_le_p(&s->selector),
                           ldq_le_p(&s->base), ldl_le_p(&s->limit),
                           (attrib & 0xff) << 8 | (attrib & 0xf00) << 12);
}

static void load_sys_seg(SegmentCache *sc, const struct vmcb_seg *s)
{
    unsigned attrib = lduw_le_p(&s->attrib);

    sc->selector = lduw_le_p(&s->selector);
    sc->base = ldq_le_p(&s->base);
    sc->limit = ldl_le_p(&s->limit);
    sc->flags = (attrib & 0xff) << 8 | (attrib & 0xf00) << 12;
}

static void save_seg(struct vmcb_seg *s, const SegmentCache *sc)
{
    stw_le_p(&s->selector, sc->selector);
    stw_le_p(&s->attrib, (sc->flags >> 8 & 0xff) | (sc->flags >> 12 & 0xf00));
    stl_le_p(&s->limit, sc->limit);
    stq_le_p(&s->base, sc->base);
}

/* What VMLOAD and VMSAVE know, and SEV-ES swaps by itself. */
static void load_syscall_state(CPUX86State *env, const SevVmsa *v)
{
    load_seg(env, R_FS, &v->fs);
    load_seg(env, R_GS, &v->gs);
    load_sys_seg(&env->ldt, &v->ldtr);
    load_sys_seg(&env->tr, &v->tr);
    env->star = ldq_le_p(&v->star);
#ifdef TARGET_X86_64    /* without long mode there are no SEV guests */
    env->lstar = ldq_le_p(&v->lstar);
    env->cstar = ldq_le_p(&v->cstar);
    env->fmask = ldq_le_p(&v->sfmask);
    env->kernelgsbase = ldq_le_p(&v->kernel_gs_base);
#endif
    env->sysenter_cs = ldq_le_p(&v->sysenter_cs);
    env->sysenter_esp = ldq_le_p(&v->sysenter_esp);
    env->sysenter_eip = ldq_le_p(&v->sysenter_eip);
}

static void save_syscall_state(CPUX86State *env, SevVmsa *v)
{
    save_seg(&v->fs, &env->segs[R_FS]);
    save_seg(&v->gs, &env->segs[R_GS]);
    save_seg(&v->ldtr, &env->ldt);
    save_seg(&v->tr, &env->tr);
    stq_le_p(&v->star, env->star);
#ifdef TARGET_X86_64
    stq_le_p(&v->lstar, env->lstar);
    stq_le_p(&v->cstar, env->cstar);
    stq_le_p(&v->sfmask, env->fmask);
    stq_le_p(&v->kernel_gs_base, env->kernelgsbase);
#endif
    stq_le_p(&v->sysenter_cs, env->sysenter_cs);
    stq_le_p(&v->sysenter_esp, env->sysenter_esp);
    stq_le_p(&v->sysenter_eip, env->sysenter_eip);
}

/* All but RAX and RSP, which are of type A. */
static void load_gprs(CPUX86State *env, const SevVmsa *v)
{
    int i;

    env->regs[R_ECX] = ldq_le_p(&v->rcx);
    env->regs[R_EDX] = ldq_le_p(&v->rdx);
    env->regs[R_EBX] = ldq_le_p(&v->rbx);
    env->regs[R_EBP] = ldq_le_p(&v->rbp);
    env->regs[R_ESI] = ldq_le_p(&v->rsi);
    env->regs[R_EDI] = ldq_le_p(&v->rdi);
    for (i = 0; i < CPU_NB_REGS - 8; i++) {
        env->regs[8 + i] = ldq_le_p(&v->r8_15[i]);
    }
}

static void save_gprs(CPUX86State *env, SevVmsa *v)
{
    int i;

    stq_le_p(&v->rcx, env->regs[R_ECX]);
    stq_le_p(&v->rdx, env->regs[R_EDX]);
    stq_le_p(&v->rbx, env->regs[R_EBX]);
    stq_le_p(&v->rbp, env->regs[R_EBP]);
    stq_le_p(&v->rsi, env->regs[R_ESI]);
    stq_le_p(&v->rdi, env->regs[R_EDI]);
    for (i = 0; i < CPU_NB_REGS - 8; i++) {
        stq_le_p(&v->r8_15[i], env->regs[8 + i]);
    }
}

/*
 * What XSAVE's and CPUID's sizes are computed from: bits of areas that the CPU
 * has not got lead beyond what TCG accesses at once.
 */
static uint64_t known_xcr0(CPUX86State *env)
{
    return (uint64_t)env->features[FEAT_XSAVE_XCR0_HI] << 32 |
           env->features[FEAT_XSAVE_XCR0_LO];
}

static uint64_t known_xss(CPUX86State *env)
{
    return (uint64_t)env->features[FEAT_XSAVE_XSS_HI] << 32 |
           env->features[FEAT_XSAVE_XSS_LO];
}

/* The host's come from a page that the host may write to meanwhile. */
static void load_xstate(CPUX86State *env, uint64_t xcr0, uint64_t xss,
                        uint32_t pkru)
{
    env->xcr0 = xcr0 & known_xcr0(env);
    env->xss = xss & known_xss(env);
    env->pkru = pkru;
    cpu_sync_avx_hflag(env);
    cpu_sync_bndcs_hflags(env);
}

static void load_fpu(CPUX86State *env, const SevVmsa *v)
{
    uint16_t fsw = lduw_le_p(&v->x87_fsw);
    uint16_t ftw = lduw_le_p(&v->x87_ftw);
    int i;

    env->fpstt = fsw >> 11 & 7;
    env->fpus = fsw & ~0x3800;
    cpu_set_fpuc(env, lduw_le_p(&v->x87_fcw));
    env->fpop = lduw_le_p(&v->x87_fop);
    env->fpcs = lduw_le_p(&v->x87_cs);
    env->fpds = lduw_le_p(&v->x87_ds);
    env->fpip = ldq_le_p(&v->x87_rip);
    env->fpdp = ldq_le_p(&v->x87_dp);
    for (i = 0; i < 8; i++) {
        floatx80 *st = &env->fpregs[(env->fpstt + i) & 7].d;

        /* [VMSA-X87-STACK] registers in stack order */
        st->low = ldq_le_p(&v->x87_mantissa[i]);
        st->high = lduw_le_p(&v->x87_exponent[i]);
        /* [VMSA-X87-FTW] one bit a physical register, 1 is valid */
        env->fptags[i] = !(ftw >> i & 1);
    }
    cpu_set_mxcsr(env, ldl_le_p(&v->mxcsr));
    for (i = 0; i < CPU_NB_REGS; i++) {
        env->xmm_regs[i].ZMM_Q(0) = ldq_le_p(&v->xmm[i][0]);
        env->xmm_regs[i].ZMM_Q(1) = ldq_le_p(&v->xmm[i][1]);
        env->xmm_regs[i].ZMM_Q(2) = ldq_le_p(&v->ymm_hi[i][0]);
        env->xmm_regs[i].ZMM_Q(3) = ldq_le_p(&v->ymm_hi[i][1]);
    }
}

static void save_fpu(CPUX86State *env, SevVmsa *v)
{
    uint16_t ftw = 0;
    int i;

    stw_le_p(&v->x87_fsw, (env->fpus & ~0x3800) | (env->fpstt & 7) << 11);
    stw_le_p(&v->x87_fcw, env->fpuc);
    stw_le_p(&v->x87_fop, env->fpop);
    stw_le_p(&v->x87_cs, env->fpcs);
    stw_le_p(&v->x87_ds, env->fpds);
    stq_le_p(&v->x87_rip, env->fpip);
    stq_le_p(&v->x87_dp, env->fpdp);
    for (i = 0; i < 8; i++) {
        floatx80 st = env->fpregs[(env->fpstt + i) & 7].d;

        stq_le_p(&v->x87_mantissa[i], st.low);
        stw_le_p(&v->x87_exponent[i], st.high);
        ftw |= !env->fptags[i] << i;
    }
    stw_le_p(&v->x87_ftw, ftw);
    update_mxcsr_from_sse_status(env);
    stl_le_p(&v->mxcsr, env->mxcsr);
    for (i = 0; i < CPU_NB_REGS; i++) {
        stq_le_p(&v->xmm[i][0], env->xmm_regs[i].ZMM_Q(0));
        stq_le_p(&v->xmm[i][1], env->xmm_regs[i].ZMM_Q(1));
        stq_le_p(&v->ymm_hi[i][0], env->xmm_regs[i].ZMM_Q(2));
        stq_le_p(&v->ymm_hi[i][1], env->xmm_regs[i].ZMM_Q(3));
    }
}

/* ES-DEBUG-SWAP: with DR7's breakpoints off, so that none is of others */
static void load_debug(CPUX86State *env, const SevVmsa *v)
{
    int i;

    cpu_x86_update_dr7(env, DR7_FIXED_1);
    for (i = 0; i < 4; i++) {
        env->dr[i] = ldq_le_p(&v->dr[i]);
        env->snp.dr_mask[i] = (uint32_t)ldq_le_p(&v->dr_mask[i]);
    }
}

static void save_debug(CPUX86State *env, SevVmsa *v)
{
    int i;

    for (i = 0; i < 4; i++) {
        stq_le_p(&v->dr[i], env->dr[i]);
        stq_le_p(&v->dr_mask[i], env->snp.dr_mask[i]);
    }
}

/* [VMRUN-ES-LBR] LBR virtualization is on, if there is any. */
static void load_lbr(CPUX86State *env, const SevVmsa *v)
{
    int i;

    env->vm_lbrv = env->features[FEAT_SVM] & CPUID_SVM_LBRV;
    if (!env->vm_lbrv) {
        return;
    }
    env->vm_host_debug_ctl = env->debug_ctl;
    env->debug_ctl = ldq_le_p(&v->debug_ctl);
    for (i = 0; i < ARRAY_SIZE(env->lbr); i++) {
        env->vm_host_lbr[i] = env->lbr[i];
        env->lbr[i] = ldq_le_p(&v->lbr[i]);
    }
}

/* The host's are back then. */
static void save_lbr(CPUX86State *env, SevVmsa *v)
{
    int i;

    if (!env->vm_lbrv) {
        return;
    }
    stq_le_p(&v->debug_ctl, env->debug_ctl);
    env->debug_ctl = env->vm_host_debug_ctl;
    for (i = 0; i < ARRAY_SIZE(env->lbr); i++) {
        stq_le_p(&v->lbr[i], env->lbr[i]);
        env->lbr[i] = env->vm_host_lbr[i];
    }
    env->vm_lbrv = false;
}

static bool features_good(CPUX86State *env)
{
    SnpPlatform *p = snp_platform();
    uint64_t supported = SEV_FEAT_SNP_ACTIVE;
    uint64_t allowed;

    supported |= p->debug_swap ? SEV_FEAT_DEBUG_SWAP : 0;
    /* [VMRUN-SECURE-TSC] [VMRUN-RESTRICTED] of SNP guests only */
    if (env->snp.sev_features & SEV_FEAT_SNP_ACTIVE) {
        supported |= p->secure_tsc ? SEV_FEAT_SECURE_TSC : 0;
        supported |= p->restricted ? SEV_FEAT_RESTRICTED : 0;
    }
    if (p->allowed_features) {
        /* [VMRUN-GUEST-FEATURES] for the host to see why VMRUN failed */
        x86_stq_phys(env_cpu(env), env->vm_vmcb + VMCB_GUEST_FEATURES,
                     env->snp.sev_features);
        allowed = x86_ldq_phys(env_cpu(env),
                               env->vm_vmcb + VMCB_ALLOWED_FEATURES);
        /* [VMRUN-ALLOWED-FEATURES] */
        if (allowed & ALLOWED_FEATURES_EN) {
            supported &= allowed;
            snp_stat(SNP_STAT_VMRUN_ALLOWED);
        }
    }
    /* [VMRUN-SEV-FEATURES] */
    return !(env->snp.sev_features & ~supported);
}

/* With the page marked as in use, where there is an RMP to mark it in. */
static int64_t load_vmsa(CPUX86State *env, hwaddr spa)
{
    Rmp *rmp = &snp_platform()->rmp;
    uint64_t cr0, cr3, cr4, efer, dr6, dr7;
    SevVmsa v;
    bool snp;

    vmsa_rw(env, spa, &v, sizeof(v), false);

    env->snp.sev_features = ldq_le_p(&v.sev_features);
    snp = env->snp.sev_features & SEV_FEAT_SNP_ACTIVE;

    /* [VMRUN-SNP-ENABLED] */
    if (snp && !x86_snp_enabled(env)) {
        return SVM_EXIT_ERR;
    }
    /* [VMRUN-VMSA-RMP] */
    if (x86_snp_enabled(env) &&
        !rmp_check_vmsa(rmp, spa, env->snp.asid, snp)) {
        return SVM_EXIT_ERR;
    }
    if (!features_good(env)) {
        return SVM_EXIT_ERR;
    }
    /* [VMRUN-VMPL] */
    if (v.vmpl >= rmp->nvmpls || (v.vmpl && !snp)) {
        return SVM_EXIT_ERR;
    }
    efer = ldq_le_p(&v.efer);
    cr0 = ldq_le_p(&v.cr0);
    cr3 = ldq_le_p(&v.cr3);
    cr4 = ldq_le_p(&v.cr4);
    dr6 = ldq_le_p(&v.dr6);
    dr7 = ldq_le_p(&v.dr7);
    /* [VMRUN-VMSA-STATE] as for an ordinary guest */
    if (cr0 >> 32 || ((cr0 & CR0_NW_MASK) && !(cr0 & CR0_CD_MASK)) ||
        (cr4 & cr4_reserved_bits(env)) || dr6 >> 32 || dr7 >> 32 ||
        !(efer & MSR_EFER_SVME) || (efer & MSR_EFER_RESERVED) ||
        ((efer & MSR_EFER_LMA) &&
         (cr3 & ~SNP_C_MASK) >> env_archcpu(env)->phys_bits)) {
        return SVM_EXIT_ERR;
    }
    /* [VMRUN-NP-STATE] */
    if (!svm_pat_valid(ldq_le_p(&v.g_pat))) {
        return SVM_EXIT_ERR;
    }
    /* [VMRUN-VMSA-XSTATE] */
    if ((ldq_le_p(&v.xcr0) & ~known_xcr0(env)) ||
        (ldq_le_p(&v.xss) & ~known_xss(env))) {
        return SVM_EXIT_ERR;
    }

    /* Nothing fails from here on. */
    snp_stat_features(env->snp.sev_features);
    env->snp.guest |= snp ? SNP_GUEST_SNP : 0;
    env->snp.vmsa_pa = spa;
    env->snp.vmpl = v.vmpl;
    env->snp.ghcb = x86_ldq_phys(env_cpu(env), env->vm_vmcb +
                                 offsetof(struct vmcb, control.ghcb_gpa));
    /* [ES-VC-INTERCEPT] nobody intercepts #VC */
    env->intercept_exceptions &= ~(1u << EXCP1D_VC);

    cpu_x86_load_cr0(env, cr0);
    cpu_x86_load_cr4(env, cr4);
    env->cr[3] = cr3;
    cpu_load_efer(env, efer);
    env->cr[2] = ldq_le_p(&v.cr2);
    env->eflags = 0;
    cpu_load_eflags(env, ldq_le_p(&v.rflags),
                    ~(CC_O | CC_S | CC_Z | CC_A | CC_P | CC_C | DF_MASK));
    load_seg(env, R_ES, &v.es);
    load_seg(env, R_CS, &v.cs);
    load_seg(env, R_SS, &v.ss);
    load_seg(env, R_DS, &v.ds);
    load_sys_seg(&env->gdt, &v.gdtr);
    load_sys_seg(&env->idt, &v.idtr);
    load_syscall_state(env, &v);
    env->hflags &= ~HF_CPL_MASK;
    if (env->cr[0] & CR0_PE_MASK) {
        env->hflags |= env->eflags & VM_MASK ? 3 : v.cpl & HF_CPL_MASK;
    }
    env->eip = ldq_le_p(&v.rip);
    env->regs[R_ESP] = ldq_le_p(&v.rsp);
    env->regs[R_EAX] = ldq_le_p(&v.rax);
    load_gprs(env, &v);
    env->dr[6] = dr6;
    if (env->snp.sev_features & SEV_FEAT_DEBUG_SWAP) {
        load_debug(env, &v);
    }
    if (env->snp.sev_features & SEV_FEAT_SECURE_TSC) {
        /* [SNP-SECURE-TSC] and not what the VMCB says */
        env->snp.tsc_scale = ldq_le_p(&v.tsc_scale) & TSC_SCALE_MASK;
        env->tsc_offset = ldq_le_p(&v.tsc_offset);
    }
    cpu_x86_update_dr7(env, dr7);
    load_lbr(env, &v);
    /* helper_vmrun has put the host's aside */
    env->pat = ldq_le_p(&v.g_pat);
    load_fpu(env, &v);
    load_xstate(env, ldq_le_p(&v.xcr0), ldq_le_p(&v.xss), ldl_le_p(&v.pkru));
    env->hflags &= ~HF_INHIBIT_IRQ_MASK;
    if (ldq_le_p(&v.vintr_ctrl) & VMSA_VINTR_SHADOW) {
        env->hflags |= HF_INHIBIT_IRQ_MASK;
    }
    return 0;
}

int64_t x86_snp_vmsa_load(CPUX86State *env)
{
    Rmp *rmp = &snp_platform()->rmp;
    hwaddr spa = x86_ldq_phys(env_cpu(env), env->vm_vmcb +
                              offsetof(struct vmcb, control.vmsa_pa)) &
                 MAKE_64BIT_MASK(12, 40) & ~SNP_C_MASK;
    int64_t failed;

    if (!x86_snp_enabled(env)) {
        return load_vmsa(env, spa);
    }
    /*
     * [VMRUN-VMSA-BUSY] taken before anything is read: another CPU may be
     * leaving with this VMSA, or entering, or the host changing its entry.
     */
    if (!rmp_try_in_use(rmp, spa)) {
        return SVM_EXIT_BUSY;
    }
    failed = load_vmsa(env, spa);
    if (failed) {
        rmp_set_in_use(rmp, spa, false);
    }
    return failed;
}

bool x86_snp_vmexit_save(CPUX86State *env)
{
    CPUState *cs = env_cpu(env);
    SevVmsa v;

    if (!env->snp.vmsa_pa) {
        /* A VMRUN that failed leaves the VMSA alone, and has no other. */
        return env->snp.in_vmsa;
    }
    vmsa_rw(env, env->snp.vmsa_pa, &v, sizeof(v), false);
    save_seg(&v.es, &env->segs[R_ES]);
    save_seg(&v.cs, &env->segs[R_CS]);
    save_seg(&v.ss, &env->segs[R_SS]);
    save_seg(&v.ds, &env->segs[R_DS]);
    save_seg(&v.gdtr, &env->gdt);
    save_seg(&v.idtr, &env->idt);
    save_syscall_state(env, &v);
    v.cpl = env->hflags & HF_CPL_MASK;
    stq_le_p(&v.efer, env->efer);
    stq_le_p(&v.cr0, env->cr[0]);
    stq_le_p(&v.cr2, env->cr[2]);
    stq_le_p(&v.cr3, env->cr[3]);
    stq_le_p(&v.cr4, env->cr[4]);
    stq_le_p(&v.dr6, env->dr[6]);
    stq_le_p(&v.dr7, env->dr[7]);
    if (env->snp.sev_features & SEV_FEAT_DEBUG_SWAP) {
        save_debug(env, &v);
    }
    save_lbr(env, &v);
    stq_le_p(&v.rflags, cpu_compute_eflags(env));
    stq_le_p(&v.rip, env->eip);
    stq_le_p(&v.rsp, env->regs[R_ESP]);
    stq_le_p(&v.rax, env->regs[R_EAX]);
    save_gprs(env, &v);
    stq_le_p(&v.g_pat, env->pat);
    save_fpu(env, &v);
    stq_le_p(&v.xcr0, env->xcr0);
    stq_le_p(&v.xss, env->xss);
    stl_le_p(&v.pkru, env->pkru);
    /* int_state was written just before; VMCB and VMSA say the same */
    stq_le_p(&v.vintr_ctrl, x86_ldl_phys(cs, env->vm_vmcb +
             offsetof(struct vmcb, control.int_state)) &
             SVM_INTERRUPT_SHADOW_MASK ? VMSA_VINTR_SHADOW : 0);
    stq_le_p(&v.exit_code, x86_ldq_phys(cs, env->vm_vmcb +
             offsetof(struct vmcb, control.exit_code)));
    stq_le_p(&v.exit_info_1, x86_ldq_phys(cs, env->vm_vmcb +
             offsetof(struct vmcb, control.exit_info_1)));
    stq_le_p(&v.exit_info_2, x86_ldq_phys(cs, env->vm_vmcb +
             offsetof(struct vmcb, control.exit_info_2)));
    vmsa_rw(env, env->snp.vmsa_pa, &v, sizeof(v), true);

    x86_stq_phys(cs, env->vm_vmcb + offsetof(struct vmcb, control.ghcb_gpa),
                 env->snp.ghcb);
    return true;
}

static void release_vmsa(CPUX86State *env)
{
    if (x86_snp_enabled(env)) {
        rmp_set_in_use(&snp_platform()->rmp, env->snp.vmsa_pa, false);
    }
    env->snp.vmsa_pa = 0;
}

static void end_identity(CPUX86State *env)
{
    env->snp.guest = 0;
    env->snp.asid = 0;
    env->snp.vmpl = 0;
    env->snp.sev_features = 0;
    env->snp.ghcb = 0;
    env->snp.in_vmsa = false;
}

void x86_snp_abandon_guest(CPUX86State *env)
{
    if (env->snp.vmsa_pa) {
        release_vmsa(env);
        /* DR0 to DR3 are reset, these would stay */
        memset(env->snp.dr_mask, 0, sizeof(env->snp.dr_mask));
    }
    x86_snp_release_host_pages(env);
    end_identity(env);
}

void x86_snp_vmexit_restore(CPUX86State *env)
{
    SevVmsa v;
    int i;

    if (env->snp.vmsa_pa) {
        release_vmsa(env);

        /* [ES-SWAP-B] from where software put the host's */
        phys_rw(env, env->vm_hsave + 0x400, &v, sizeof(v), false);
        load_syscall_state(env, &v);
        load_gprs(env, &v);
        load_xstate(env, ldq_le_p(&v.xcr0), ldq_le_p(&v.xss),
                    ldl_le_p(&v.pkru));

        /* [ES-SWAP-C] nothing of the guest is left */
        helper_fninit(env);
        memset(env->fpregs, 0, sizeof(env->fpregs));
        memset(env->xmm_regs, 0, sizeof(env->xmm_regs));
        cpu_set_mxcsr(env, 0x1f80);
        for (i = 0; i < 8; i++) {
            env->fptags[i] = 1;
        }
        env->cr[2] = 0;
        env->dr[6] = DR6_FIXED_1;
        cpu_x86_update_dr7(env, DR7_FIXED_1);
        /* [ES-DEBUG-SWAP] */
        if (env->snp.sev_features & SEV_FEAT_DEBUG_SWAP) {
            load_debug(env, &v);
        }
    }
    end_identity(env);
}
