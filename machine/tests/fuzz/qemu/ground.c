/*
 * Fuzz targets of the processor: a host and a guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ground.h"
#include "exec/exec-all.h"
#include "exec/helper-proto.h"
#include "qemu/main-loop.h"
#include "tcg/helper-tcg.h"

#define PTE_P         1u
#define PTE_RWU       7u
#define PTE_LARGE     0x80u
#define VMRUN_LENGTH  3
/* VMCB 10h: the bits of INTR to MSR, then those from VMRUN on */
#define INTERCEPTS    (1ull << 0 | 1ull << 1 | 1ull << 24 | 1ull << 31 | \
                       1ull << 32)

static SevVmsa good;

/* ---- page tables: four levels, 4K leaves of the ground's guest part ---- */

static void tables(uint64_t at, bool guest)
{
    uint64_t c = guest ? SNP_C_MASK : 0;

    world_put(at, 8, (at + 0x1000) | c | PTE_RWU);
    world_put(at + 0x1000, 8, (at + 0x2000) | c | PTE_RWU);
    world_put(at + 0x2000 + (GROUND >> 21) * 8, 8,
              (at + 0x3000) | c | PTE_RWU);
    for (uint64_t page = GUEST; page < GUEST_END; page += PAGE) {
        bool private = guest && page < SHARED;

        world_put(at + 0x3000 + (page >> 12 & 511) * 8, 8,
                  page | (private ? c : 0) | PTE_RWU);
    }
}

/* Memory by leaves of 2M, all else below 4G by 1G */
static void host_tables(void)
{
    world_put(HOST_PT, 8, (HOST_PT + 0x1000) | PTE_RWU);
    world_put(HOST_PT + 0x1000, 8, (HOST_PT + 0x2000) | PTE_RWU);
    for (uint64_t at = 0; at < MEMORY; at += 0x200000) {
        world_put(HOST_PT + 0x2000 + (at >> 21) * 8, 8,
                  at | PTE_LARGE | PTE_RWU);
    }
    world_put(HOST_PT + 0x2000 + (GROUND >> 21) * 8, 8,
              (HOST_PT + 0x3000) | PTE_RWU);
    for (uint64_t at = GROUND; at < GROUND + 0x200000; at += PAGE) {
        world_put(HOST_PT + 0x3000 + (at >> 12 & 511) * 8, 8, at | PTE_RWU);
    }
    for (uint64_t i = 1; i < 4; i++) {
        world_put(HOST_PT + 0x1000 + i * 8, 8, i << 30 | PTE_LARGE | PTE_RWU);
    }
}

/* ---- the host ---- */

static void host_segment(int reg, uint16_t selector, unsigned flags)
{
    cpu_x86_load_seg_cache(world_env, reg, selector, 0, 0xffffffff, flags);
}

static void host(void)
{
    CPUX86State *env = world_env;
    const unsigned data = DESC_P_MASK | DESC_S_MASK | DESC_W_MASK |
                          DESC_A_MASK | DESC_G_MASK | DESC_B_MASK;

    host_tables();
    cpu_load_efer(env, MSR_EFER_LME | MSR_EFER_SVME | MSR_EFER_NXE |
                  MSR_EFER_SCE);
    cpu_x86_update_cr4(env, CR4_PAE_MASK | CR4_OSFXSR_MASK | CR4_OSXSAVE_MASK);
    cpu_x86_update_cr3(env, HOST_PT);
    cpu_x86_update_cr0(env, CR0_PE_MASK | CR0_PG_MASK | CR0_WP_MASK |
                       CR0_ET_MASK | CR0_NE_MASK | CR0_MP_MASK);
    host_segment(R_CS, 8, DESC_P_MASK | DESC_S_MASK | DESC_CS_MASK |
                 DESC_R_MASK | DESC_A_MASK | DESC_L_MASK | DESC_G_MASK);
    host_segment(R_SS, 16, data);
    host_segment(R_DS, 16, data);
    host_segment(R_ES, 16, data);
    host_segment(R_FS, 16, data);
    host_segment(R_GS, 16, data);
    env->eip = HOST_DATA;
    env->regs[R_ESP] = HOST_DATA + 0x2000;
    env->idt.base = HOST_DATA + 0x3000;
    env->idt.limit = 0xfff;
    env->gdt.base = HOST_DATA + 0x4000;
    env->gdt.limit = 0x3f;
    env->hflags2 |= HF2_GIF_MASK;
    env->vm_hsave = HSAVE;
    env->snp.syscfg = SYSCFG_MEM_ENCRYPT | SYSCFG_SNP_EN | SYSCFG_VMPL_EN |
                      SYSCFG_MFDM;
}

/* ---- the guest ---- */

static void vmcb_seg(struct vmcb_seg *s, uint16_t selector, uint16_t attrib)
{
    stw_le_p(&s->selector, selector);
    stw_le_p(&s->attrib, attrib);
    stl_le_p(&s->limit, 0xffffffff);
}

static void guest_state(SevVmsa *v)
{
    memset(v, 0, sizeof(*v));
    vmcb_seg(&v->cs, 8, 0xa9b);
    vmcb_seg(&v->ss, 16, 0xc93);
    vmcb_seg(&v->ds, 16, 0xc93);
    vmcb_seg(&v->es, 16, 0xc93);
    vmcb_seg(&v->fs, 16, 0xc93);
    vmcb_seg(&v->gs, 16, 0xc93);
    vmcb_seg(&v->tr, 24, 0x08b);
    vmcb_seg(&v->ldtr, 0, 0x082);
    stq_le_p(&v->idtr.base, GUEST_IDT);
    stl_le_p(&v->idtr.limit, 0xfff);
    stq_le_p(&v->gdtr.base, GUEST_IDT + 0x1000);
    stl_le_p(&v->gdtr.limit, 0x3f);
    stq_le_p(&v->efer, MSR_EFER_LME | MSR_EFER_LMA | MSR_EFER_SVME |
             MSR_EFER_NXE | MSR_EFER_SCE);
    stq_le_p(&v->cr0, CR0_PE_MASK | CR0_PG_MASK | CR0_ET_MASK | CR0_NE_MASK |
             CR0_MP_MASK);
    stq_le_p(&v->cr3, GUEST_PT | SNP_C_MASK);
    stq_le_p(&v->cr4, CR4_PAE_MASK | CR4_OSFXSR_MASK | CR4_OSXSAVE_MASK);
    stq_le_p(&v->dr6, DR6_FIXED_1);
    stq_le_p(&v->dr7, DR7_FIXED_1);
    stq_le_p(&v->rflags, 2);
    stq_le_p(&v->rip, CODE);
    stq_le_p(&v->rsp, DATA + 0x4000);
    stq_le_p(&v->rax, DATA);
    stq_le_p(&v->rcx, 0);
    stq_le_p(&v->rdx, 1);
    stq_le_p(&v->rbx, GHCB);
    stq_le_p(&v->g_pat, 0x0007040600070406ull);
    stq_le_p(&v->xcr0, 7);
    stw_le_p(&v->x87_fcw, 0x37f);
    stl_le_p(&v->mxcsr, 0x1f80);
    stq_le_p(&v->sev_features, SEV_FEAT_SNP_ACTIVE);
}

static void entry(uint64_t spa, bool validated, bool vmsa)
{
    const RmpEntry e = {
        .assigned = true, .validated = validated, .vmsa = vmsa, .asid = ASID,
        .gpa = spa, .perms = { RMP_PERM_ALL, RMP_PERM_R, RMP_PERM_ALL },
    };

    rmp_fw_set(&snp_platform()->rmp, spa, &e);
}

static void guest(void)
{
    SevVmsa v;

    tables(NPT, false);
    tables(GUEST_PT, true);
    guest_state(&good);
    world_write(VMSA, &good, sizeof(good));
    v = good;
    v.vmpl = 1;
    world_write(OTHER_VMSA, &v, sizeof(v));
    for (uint64_t spa = GUEST; spa < SHARED; spa += PAGE) {
        entry(spa, spa != DATA + 0x5000, spa <= OTHER_VMSA);
    }
    world_put(VMCB + offsetof(struct vmcb, control.intercept), 8, INTERCEPTS);
    world_put(VMCB + offsetof(struct vmcb, control.iopm_base_pa), 8, MAPS);
    world_put(VMCB + offsetof(struct vmcb, control.msrpm_base_pa), 8,
              MAPS + 0x3000);
    world_put(VMCB + offsetof(struct vmcb, control.nested_cr3), 8, NPT);
    world_put(VMCB + offsetof(struct vmcb, control.lbr_ctl), 8, 1);
    world_put(VMCB + offsetof(struct vmcb, control.ghcb_gpa), 8, GHCB);
    world_put(VMCB + offsetof(struct vmcb, control.vmsa_pa), 8, VMSA);
    /* NOP, and then what an input puts there */
    for (uint64_t at = CODE; at < CODE + 0x100; at++) {
        world_put(at, 1, 0x90);
    }
}

void ground_kind(Kind kind)
{
    uint64_t nested = SVM_NPT_ENABLED |
                      (kind != PLAIN ? SVM_NESTED_SEV : 0) |
                      (kind == SNP || kind == ES ? SVM_NESTED_SEV_ES : 0);

    world_put(VMCB + offsetof(struct vmcb, control.nested_ctl), 8, nested);
    world_put(VMCB + offsetof(struct vmcb, control.asid), 4,
              kind == PLAIN ? snp_platform_max_asid() + 1
              : kind == SEV ? snp_platform_min_sev_asid() : ASID);
    if (kind != SNP) {
        const RmpEntry shared = { .assigned = false };

        /* a guest without SNP has its pages from the hypervisor */
        world_put(VMSA + offsetof(SevVmsa, sev_features), 8, 0);
        for (uint64_t spa = GUEST; spa < SHARED; spa += PAGE) {
            rmp_fw_set(&snp_platform()->rmp, spa, &shared);
        }
    }
    if (kind == SEV || kind == PLAIN) {
        /* the layouts are the same as far as the VMCB's goes */
        world_write(VMCB + offsetof(struct vmcb, save), &good,
                    sizeof(struct vmcb_save_area));
    }
    if (kind == PLAIN) {
        tables(GUEST_PT, false);
        world_put(VMCB + offsetof(struct vmcb, save.cr3), 8, GUEST_PT);
    }
}

void ground_prepare(void)
{
    guest();
    host();
    world_keep();
}

/* ---- in and out ---- */

void ground_vmrun(CPUX86State *env, void *unused)
{
    helper_vmrun(env, 2, VMRUN_LENGTH);
}

static void leave(CPUX86State *env, void *code)
{
    cpu_vmexit(env, *(uint64_t *)code, 0, 0);
}

void ground_leave(uint64_t exit_code)
{
    for (unsigned i = 0; i < 8 && world_in_guest(); i++) {
        /* an interrupt wakes a CPU first, whose guest has halted */
        env_cpu(world_env)->halted = 0;
        world_try(leave, &exit_code);
        world_deliver();
        /* what a guest has to be told of first has been said */
        exit_code = SVM_EXIT_INTR;
    }
    MUST(!world_in_guest(), "the guest does not leave");
}

/* ---- what inputs say ---- */

uint64_t some_place(void)
{
    static const uint64_t places[] = {
        VMSA, OTHER_VMSA, CODE, DATA, DATA + 0x5000, GUEST_PT, GHCB, SHARED +
        0x1000, VMCB, HSAVE, NPT, MAPS, HOST_DATA, GUEST_END - PAGE, GROUND,
        0, 0xa0000, 0xf0000, MEMORY - PAGE, MEMORY, MAILBOX, MAILBOX + 0x10000,
        0xfee00000, 0xffff0000, 1ull << 32, (1ull << 32) + 0x3f00000,
        1ull << 46, 1ull << 51, (1ull << 51) + VMSA, 1ull << 52, 1ull << 63,
        ~0xfffull,
    };
    uint8_t b = fuzz_byte();

    return b < 0xe0 ? places[b % ARRAY_SIZE(places)]
                    : GROUND + (b & 0xf) * 0x10000 + fuzz_byte() * PAGE;
}

uint64_t some_value(void)
{
    uint8_t b = fuzz_byte();

    switch (b >> 5) {
    case 0:
        return b & 0x1f;
    case 1:
        return 1ull << ((b & 0x1f) * 2 + 1);
    case 2:
        return 1ull << ((b & 0x1f) * 2);
    case 3:
        return ~0ull << ((b & 0x1f) * 2);
    case 4:
        return some_place() + (b & 0x1f) * 8;
    case 5:
        return fuzz_number(1);
    case 6:
        return fuzz_number(4);
    default:
        return fuzz_number(8);
    }
}

/* ---- what must hold ---- */

static CPUX86State host_was;

void ground_note_host(void)
{
    host_was = *world_env;
}

static bool same_segment(int reg)
{
    const SegmentCache *a = &world_env->segs[reg], *b = &host_was.segs[reg];

    return a->selector == b->selector && a->base == b->base &&
           a->limit == b->limit;
}

void ground_check_host(void)
{
    const CPUX86State *env = world_env;

    MUST(!env->snp.guest && !env->snp.asid && !env->snp.vmpl &&
         !env->snp.sev_features && !env->snp.in_vmsa && !env->snp.vmsa_pa,
         "the guest's identity is left");
    MUST(!env->snp.held_vmcb && !env->snp.held_hsave, "pages are held");
    MUST(env->cr[0] == host_was.cr[0] && env->cr[3] == host_was.cr[3] &&
         env->cr[4] == host_was.cr[4] && env->efer == host_was.efer,
         "control registers: %lx %lx %lx %lx", (long)env->cr[0],
         (long)env->cr[3], (long)env->cr[4], (long)env->efer);
    MUST(env->regs[R_ESP] == host_was.regs[R_ESP] &&
         env->regs[R_EAX] == host_was.regs[R_EAX], "RSP and RAX");
    MUST(env->gdt.base == host_was.gdt.base &&
         env->idt.base == host_was.idt.base, "tables of descriptors");
    MUST(same_segment(R_CS) && same_segment(R_SS) && same_segment(R_DS) &&
         same_segment(R_ES), "segments");
    MUST((env->hflags & HF_CPL_MASK) == 0 && (env->hflags & HF_CS64_MASK),
         "mode: %x", env->hflags);
    MUST(env->pat == host_was.pat && env->vm_hsave == HSAVE, "PAT or HSAVE");
    MUST(env->snp.syscfg == host_was.snp.syscfg, "SYSCFG");
    MUST(!(env->hflags2 & HF2_NPT_MASK), "nested paging");
    MUST(!env->intercept, "intercepts");
}

void ground_check_rmp(void)
{
    Rmp *rmp = &snp_platform()->rmp;
    RmpEntry e;

    MUST(!rmp->lock && !rmp->held, "the table is held");
    for (uint64_t spa = GROUND; spa < GROUND + GROUND_SIZE; spa += PAGE) {
        rmp_get_raw(rmp, spa, &e);
        MUST(!e.in_use || world_in_guest(), "%lx is in use", (long)spa);
        MUST(e.asid <= rmp->max_asid, "%lx: ASID %u", (long)spa, e.asid);
        MUST(e.assigned || (!e.asid && !e.size_2m && !e.validated && !e.vmsa),
             "%lx: what is nobody's is somebody's", (long)spa);
        MUST(!e.validated || e.asid, "%lx: validated, and nobody's",
             (long)spa);
    }
}
