/*
 * SEV-SNP: what is saved of a CPU, and loaded
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A subsection of QEMU's own state of the CPU, sent only by a machine with a
 * secure processor. The TLBs are empty after loading; whose they would be is
 * known, so that a guest that runs then is judged as the guest that it is.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "cpu.h"
#include "hw/snp/platform.h"
#include "migration/cpu.h"
#include "system/tcg.h"
#include "snp.h"

static const VMStateDescription vmstate_tlb_owner = {
    .name = "cpu/snp/tlb-owner",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(cr3, X86TlbOwner),
        VMSTATE_UINT64(nested_cr3, X86TlbOwner),
        VMSTATE_UINT32(cr0, X86TlbOwner),
        VMSTATE_UINT32(cr4, X86TlbOwner),
        VMSTATE_UINT32(efer, X86TlbOwner),
        VMSTATE_UINT32(pkru, X86TlbOwner),
        VMSTATE_UINT32(nested_pg_mode, X86TlbOwner),
        VMSTATE_UINT32(asid, X86TlbOwner),
        VMSTATE_UINT8(snp_guest, X86TlbOwner),
        VMSTATE_UINT8(vmpl, X86TlbOwner),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_snp_state = {
    .name = "cpu/snp/state",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(syscfg, X86SnpState),
        VMSTATE_UINT64(ghcb, X86SnpState),
        VMSTATE_UINT64(sev_features, X86SnpState),
        VMSTATE_UINT64(vmsa_pa, X86SnpState),
        VMSTATE_UINT64(held_vmcb, X86SnpState),
        VMSTATE_UINT64(held_hsave, X86SnpState),
        VMSTATE_UINT32(asid, X86SnpState),
        VMSTATE_UINT8(vmpl, X86SnpState),
        VMSTATE_UINT8(guest, X86SnpState),
        VMSTATE_BOOL(in_vmsa, X86SnpState),
        VMSTATE_BOOL(wbinvd_done, X86SnpState),
        VMSTATE_UINT64_ARRAY(dr_mask, X86SnpState, 4),
        VMSTATE_UINT64(tsc_scale, X86SnpState),
        VMSTATE_UINT64(nested_fault, X86SnpState),
        VMSTATE_END_OF_LIST()
    }
};

/* With -icount: whose instructions the CPU executes, how many in this turn */
typedef struct X86SnpTurn {
    X86CPU *parent;
    uint32_t asid;
    uint64_t visit;
} X86SnpTurn;

static int turn_pre_save(void *opaque)
{
    X86SnpTurn *t = opaque;

    x86_snp_world_get(CPU(t->parent), &t->asid, &t->visit);
    return 0;
}

static int turn_post_load(void *opaque, int version_id)
{
    X86SnpTurn *t = opaque;

    x86_snp_world_set(CPU(t->parent), t->asid, t->visit);
    return 0;
}

static const VMStateDescription vmstate_turn = {
    .name = "cpu/snp/turn",
    .pre_save = turn_pre_save,
    .post_load = turn_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(asid, X86SnpTurn),
        VMSTATE_UINT64(visit, X86SnpTurn),
        VMSTATE_END_OF_LIST()
    }
};

static bool kind_ok(uint8_t kind)
{
    switch (kind) {
    case 0:
    case SNP_GUEST_SEV:
    case SNP_GUEST_SEV | SNP_GUEST_ES:
    case SNP_GUEST_SEV | SNP_GUEST_ES | SNP_GUEST_SNP:
        return true;
    }
    return false;
}

static const char *bad(const CPUX86State *env)
{
    const X86SnpState *s = &env->snp;

    if (!kind_ok(s->guest) || !kind_ok(env->vm_guest_tlb.snp_guest) ||
        (s->guest && !(env->hflags & HF_GUEST_MASK))) {
        return "kind of the guest that runs";
    }
    if (s->vmpl >= RMP_VMPLS || env->vm_guest_tlb.vmpl >= RMP_VMPLS) {
        return "VMPL";
    }
    /* of an ordinary guest it may be any, and no table is indexed by it */
    if ((s->guest && s->asid > RMP_ASID_LIMIT) ||
        (env->vm_guest_tlb.snp_guest &&
         env->vm_guest_tlb.asid > RMP_ASID_LIMIT)) {
        return "ASID";
    }
    if ((s->vmsa_pa | s->held_vmcb | s->held_hsave) % RMP_PAGE_SIZE) {
        return "page that it holds";
    }
    for (int i = 0; i < ARRAY_SIZE(s->dr_mask); i++) {
        if (s->dr_mask[i] >> 32) {
            return "mask of a debug register";
        }
    }
    return NULL;
}

static int snp_post_load(void *opaque, int version_id)
{
    X86CPU *cpu = opaque;
    const char *what = bad(&cpu->env);

    if (what) {
        error_report("CPU %d: what is loaded makes no sense: %s",
                     CPU(cpu)->cpu_index, what);
        /* whoever goes on all the same is in the host, as after a reset */
        memset(&cpu->env.snp, 0, sizeof(cpu->env.snp));
        memset(&cpu->env.vm_guest_tlb, 0, sizeof(cpu->env.vm_guest_tlb));
        return -EINVAL;
    }
    return 0;
}

static bool snp_needed(void *opaque)
{
    return tcg_enabled() && snp_platform();
}

const VMStateDescription vmstate_x86_snp = {
    .name = "cpu/snp",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = snp_needed,
    .post_load = snp_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_STRUCT(env.snp, X86CPU, 0, vmstate_snp_state, X86SnpState),
        VMSTATE_STRUCT(env.vm_host_tlb, X86CPU, 0, vmstate_tlb_owner,
                       X86TlbOwner),
        VMSTATE_STRUCT(env.vm_guest_tlb, X86CPU, 0, vmstate_tlb_owner,
                       X86TlbOwner),
        VMSTATE_BOOL(env.vm_guest_entered, X86CPU),
        VMSTATE_WITH_TMP(X86CPU, X86SnpTurn, vmstate_turn),
        /* of an exception that is raised, and not delivered yet */
        VMSTATE_INT32(env.error_code, X86CPU),
        VMSTATE_INT32(env.exception_is_int, X86CPU),
        VMSTATE_UINTTL(env.exception_next_eip, X86CPU),
        VMSTATE_INT32(env.old_exception, X86CPU),
        VMSTATE_UINT32(env.insn_len, X86CPU),
        /* what VMSAs have of the x87, and QEMU does not save */
        VMSTATE_UINT16(env.fpcs, X86CPU),
        VMSTATE_UINT16(env.fpds, X86CPU),
        VMSTATE_END_OF_LIST()
    }
};
