/*
 * The VMSA: a SEV-ES guest's save area
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, appendix B, table "VMSA layout". The same layout, from 400h
 * of the page at VM_HSAVE_PA, holds the host's state while a guest runs.
 * The last column of the APM's table says what #VMEXIT does to the host's
 * register: A it was saved by VMRUN and comes back, B it is loaded from what
 * software put there, C it is reset.
 */
#ifndef I386_SNP_VMSA_H
#define I386_SNP_VMSA_H

#include "cpu.h"

typedef struct QEMU_PACKED SevVmsa {
    struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint64_t pl_ssp[4];
    uint64_t u_cet;
    uint8_t rsvd_c8[2];
    uint8_t vmpl;
    uint8_t cpl;
    uint8_t rsvd_cc[4];
    uint64_t efer;
    uint8_t rsvd_d8[0x68];
    uint64_t xss;
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint64_t dr[4];
    uint64_t dr_mask[4];
    uint8_t rsvd_1c0[0x18];
    uint64_t rsp, s_cet, ssp, isst_addr, rax;
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t cr2;
    uint8_t rsvd_248[0x20];
    uint64_t g_pat;
    uint64_t debug_ctl;
    uint64_t lbr[4];              /* BR_FROM, BR_TO, EXCP_FROM, EXCP_TO */
    uint8_t rsvd_298[0x50];
    uint32_t pkru;
    uint32_t tsc_aux;
    uint64_t tsc_scale, tsc_offset;
    uint64_t reg_prot_nonce;
    uint64_t rcx, rdx, rbx;
    uint64_t secure_avic;
    uint64_t rbp, rsi, rdi;
    uint64_t r8_15[8];
    uint8_t rsvd_380[16];
    uint64_t exit_info_1, exit_info_2, exit_int_info, nrip;
    uint64_t sev_features;
    uint64_t vintr_ctrl;
    uint64_t exit_code;
    uint64_t virtual_tom;
    uint64_t tlb_id, pcpu_id;
    uint64_t event_inj;
    uint64_t xcr0;
    uint8_t rsvd_3f0[16];
    uint64_t x87_dp;
    uint32_t mxcsr;
    uint16_t x87_ftw, x87_fsw, x87_fcw, x87_fop, x87_ds, x87_cs;
    uint64_t x87_rip;
    uint64_t x87_mantissa[8];     /* ST(0) first */
    uint16_t x87_exponent[8];
    uint64_t xmm[16][2];
    uint64_t ymm_hi[16][2];
} SevVmsa;

QEMU_BUILD_BUG_ON(offsetof(SevVmsa, vmpl) != 0x0ca);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, efer) != 0x0d0);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, xss) != 0x140);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, rip) != 0x178);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, dr) != 0x180);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, rsp) != 0x1d8);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, star) != 0x200);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, cr2) != 0x240);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, g_pat) != 0x268);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, debug_ctl) != 0x270);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, pkru) != 0x2e8);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, rcx) != 0x308);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, r8_15) != 0x340);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, exit_info_1) != 0x390);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, sev_features) != 0x3b0);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, xcr0) != 0x3e8);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, x87_dp) != 0x400);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, x87_mantissa) != 0x420);
QEMU_BUILD_BUG_ON(offsetof(SevVmsa, xmm) != 0x470);
QEMU_BUILD_BUG_ON(sizeof(SevVmsa) != 0x670);

/* Of GUEST_TSC_SCALE, the bits that there are */
#define TSC_SCALE_MASK        MAKE_64BIT_MASK(0, 40)

/* Of the VMCB: what of these a guest may have; what it has */
#define VMCB_ALLOWED_FEATURES 0x138
#define  ALLOWED_FEATURES_EN  (1ULL << 63)
#define VMCB_GUEST_FEATURES   0x140

#define VMSA_VINTR_SHADOW     (1ULL << 10)

#endif
