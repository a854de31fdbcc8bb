// SPDX-License-Identifier: GPL-2.0-only
/*
 * State of guests with encrypted registers that hardware takes from memory.
 *
 * The FPU in the VMSA that KVM makes of a vCPU: the processor loads all of it
 * from there and nothing from the registers, so what KVM_SET_XSAVE set would be
 * lost otherwise. APM vol 2, appendix B, "VMSA layout".
 */
#include <linux/build_bug.h>
#include <linux/kvm_host.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include <asm/debugreg.h>
#include <asm/fpu/xstate.h>
#include <asm/rmp.h>

#include "svm.h"
#include "snp_guest.h"

#define X87_REGS	8
#define X87_CW_INIT	0x37f

#define VMSA_FPU	offsetof(struct sev_es_save_area, x87_dp)
#define VMSA_FPU_SIZE	(offsetofend(struct sev_es_save_area, fpreg_ymm) - \
			 VMSA_FPU)

/* 80 bits a register: all significands first, then signs and exponents. */
struct vmsa_x87 {
	u64 significand[X87_REGS];
	u16 exponent[X87_REGS];
} __packed;

/* What XSAVE left out is in its initial state, whatever stands there. */
static bool in_use(const struct xregs_state *xsave, u64 features)
{
	return xsave->header.xfeatures & features;
}

static void sync_x87(struct sev_es_save_area *save,
		     const struct fxregs_state *fx)
{
	struct vmsa_x87 *regs = (void *)save->fpreg_x87;
	const u8 *reg = (const void *)fx->st_space;
	int i;

	BUILD_BUG_ON(sizeof(*regs) != sizeof(save->fpreg_x87));
	BUILD_BUG_ON(offsetof(struct sev_es_save_area, x87_dp) != 0x400);
	BUILD_BUG_ON(offsetof(struct sev_es_save_area, fpreg_x87) != 0x420);

	save->x87_dp = fx->rdp;
	save->x87_rip = fx->rip;
	save->x87_fcw = fx->cwd;
	save->x87_fsw = fx->swd;
	/* One bit a register, as FXSAVE has it. */
	save->x87_ftw = fx->twd;
	save->x87_fop = fx->fop;

	for (i = 0; i < X87_REGS; i++, reg += sizeof(fx->st_space) / X87_REGS) {
		memcpy(&regs->significand[i], reg, sizeof(u64));
		memcpy(&regs->exponent[i], reg + sizeof(u64), sizeof(u16));
	}
}

/* Did a command that did not end, or a page that did not come back, take it? */
bool sev_vmsa_is_lost(struct kvm_vcpu *vcpu)
{
	u64 pfn = __pa(to_svm(vcpu)->sev_es.vmsa) >> PAGE_SHIFT;
	bool assigned;
	int level;

	return !snp_lookup_rmpentry(pfn, &assigned, &level) && assigned;
}

/*
 * Put the FPU of @vcpu, which is not loaded, into @save, which is not the
 * guest's yet.
 */
void sev_es_sync_fpu(struct kvm_vcpu *vcpu, struct sev_es_save_area *save)
{
	struct xregs_state *xsave = &vcpu->arch.guest_fpu.fpstate->regs.xsave;
	void *ymm;

	BUILD_BUG_ON(offsetof(struct sev_es_save_area, fpreg_xmm) != 0x470);
	BUILD_BUG_ON(offsetof(struct sev_es_save_area, fpreg_ymm) != 0x570);

	/* A launch that failed may have left another's. */
	memset((void *)save + VMSA_FPU, 0, VMSA_FPU_SIZE);
	save->x87_fcw = X87_CW_INIT;
	save->mxcsr = MXCSR_DEFAULT;

	if (in_use(xsave, XFEATURE_MASK_FP))
		sync_x87(save, &xsave->i387);

	if (in_use(xsave, XFEATURE_MASK_SSE | XFEATURE_MASK_YMM))
		save->mxcsr = xsave->i387.mxcsr;

	if (in_use(xsave, XFEATURE_MASK_SSE))
		memcpy(save->fpreg_xmm, xsave->i387.xmm_space,
		       sizeof(save->fpreg_xmm));

	ymm = get_xsave_addr(xsave, XFEATURE_YMM);
	if (ymm)
		memcpy(save->fpreg_ymm, ymm, sizeof(save->fpreg_ymm));
}

/*
 * An SNP guest that makes its VMSAs can have the debug registers swapped without
 * a word to KVM. VMEXIT takes the host's from @hostsa then. Preemption off.
 */
void sev_es_save_host_debug(struct sev_es_save_area *hostsa)
{
	if (!boot_cpu_has(X86_FEATURE_DEBUG_SWAP))
		return;

	hostsa->dr0 = native_get_debugreg(0);
	hostsa->dr1 = native_get_debugreg(1);
	hostsa->dr2 = native_get_debugreg(2);
	hostsa->dr3 = native_get_debugreg(3);
	rdmsrl(MSR_F16H_DR0_ADDR_MASK, hostsa->dr0_addr_mask);
	rdmsrl(MSR_F16H_DR1_ADDR_MASK, hostsa->dr1_addr_mask);
	rdmsrl(MSR_F16H_DR2_ADDR_MASK, hostsa->dr2_addr_mask);
	rdmsrl(MSR_F16H_DR3_ADDR_MASK, hostsa->dr3_addr_mask);
}

void sev_es_init_features(struct vcpu_svm *svm)
{
	struct vmcb_control_area *control = &svm->vmcb->control;
	struct kvm_vcpu *vcpu = &svm->vcpu;
	u64 features = to_kvm_svm(vcpu->kvm)->sev_info.vmsa_features;

	/* More than these the guest cannot give itself in a VMSA of its own. */
	if (cpu_feature_enabled(X86_FEATURE_ALLOWED_SEV_FEATURES))
		control->allowed_sev_features = features |
						ALLOWED_SEV_FEATURES_VALID;

	/*
	 * The debug registers are the guest's, all of them. #DB need not be
	 * intercepted: INIT2 takes this only if the CPU has no data breakpoints
	 * that hit while #DB is delivered.
	 */
	if (features & SEV_FEAT_DEBUG_SWAP) {
		control->intercepts[INTERCEPT_DR] = 0;
		clr_exception_intercept(svm, DB_VECTOR);
	}

	/* How fast the clock is that firmware gave the guest. */
	set_msr_interception(vcpu, svm->msrpm, MSR_AMD64_GUEST_TSC_FREQ,
			     !!(features & SEV_FEAT_SECURE_TSC), 0);
}

/* A VMRUN of theirs is not for KVM to see, nor to go on with. */
bool sev_nested_flags_valid(struct kvm *kvm, u16 flags)
{
	return !sev_es_guest(kvm) || !(flags & KVM_STATE_NESTED_GUEST_MODE);
}
