/*
 * Bare guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Layouts of VMCB and VMSA: APM volume 2, appendix B.
 */
#include "vm.h"

#define MSR_HSAVE     0xc0010117

/* The guests' memory below 2 MiB, by page */
enum {
    P_CODE = 0x10, P_DESC, P_STACK, P_PML4, P_PDPT, P_PD_LOW, P_PT_LOW,
    P_PD_HIGH, P_PT_WINDOW,             /* four of these: way * 2 + c */
    P_LANDING = GPA_LANDING / PAGE, P_END,
    P_SHARED = 0x20
};
_Static_assert(P_PT_WINDOW + 4 <= P_LANDING, "the guest's memory");
#define NIMAGE        (P_END - P_CODE)
#define AT_GDT        0x800
#define AT_TSS        0xc00

/* Guest virtual: one to one below 2 MiB, windows and tables from 1 GiB */
#define SLOT_WINDOW   0                 /* + way * 2 + c */
#define SLOT_TABLE    4                 /* + way * NSPOTS + spot */
#define VA_SLOT(n)    (GIB + (n) * SIZE_2M)

typedef uint64_t Table[512] __attribute__((aligned(4096)));

uint8_t vmcb[4096] __attribute__((aligned(4096)));
uint8_t hsave[4096] __attribute__((aligned(4096)));
static uint8_t answer[4096] __attribute__((aligned(4096)));
static uint8_t plain[NIMAGE][4096] __attribute__((aligned(4096)));
static struct {
    Table pml4, pdpt, pd_low, pt_low, pd_high;
} npt[NGUESTS];
static Table npt_window;

void run_guest(uint64_t vmcb, const uint64_t r[4]);
void host_vmsave(uint64_t pa);

#define NESTED        (PTE_RW | PTE_U)

static uint64_t pa(const void *p)
{
    return (uint64_t)p;
}

static uint64_t image_page(Guest g, unsigned page)
{
    unsigned n = page - P_CODE;

    return g == PLAIN ? pa(plain[n]) : KEEP_PAGE(KEEP_IMAGE + g * 32 + n);
}

static uint64_t vmsa_page(Guest g)
{
    return KEEP_PAGE(KEEP_VMSA + g);
}

uint8_t *vm_vmsa_of(Guest g)
{
    return (uint8_t *)vmsa_page(g);
}

static void put(void *page, unsigned at, uint64_t v)
{
    *(uint64_t *)((uint8_t *)page + at) = v;
}

static uint64_t get(const void *page, unsigned at)
{
    return *(const volatile uint64_t *)((const uint8_t *)page + at);
}

/* ---- memory ---- */

static void fill_tables(Guest g)
{
    uint64_t c = g == PLAIN ? 0 : C_BIT;
    uint64_t to = c | PTE_RW | PTE_U;
    uint64_t *pml4 = (uint64_t *)image_page(g, P_PML4);
    uint64_t *pdpt = (uint64_t *)image_page(g, P_PDPT);
    uint64_t *low = (uint64_t *)image_page(g, P_PD_LOW);
    uint64_t *pt = (uint64_t *)image_page(g, P_PT_LOW);
    uint64_t *high = (uint64_t *)image_page(g, P_PD_HIGH);

    pml4[0] = P_PDPT * PAGE | to;
    pdpt[0] = P_PD_LOW * PAGE | to;
    pdpt[1] = P_PD_HIGH * PAGE | to;
    low[0] = P_PT_LOW * PAGE | to;
    for (unsigned i = P_CODE; i < P_END; i++) {
        pt[i] = i * PAGE | to;
    }
    pt[P_SHARED] = P_SHARED * PAGE | PTE_RW | PTE_U;
    for (unsigned w = 0; w < NWAYS; w++) {
        for (unsigned priv = 0; priv < 2; priv++) {
            unsigned n = w * 2 + priv;
            uint64_t *win = (uint64_t *)image_page(g, P_PT_WINDOW + n);

            high[SLOT_WINDOW + n] = (P_PT_WINDOW + n) * PAGE | to;
            for (unsigned i = 0; i < 512; i++) {
                win[i] = (GPA_OF(w) + i * PAGE) | (priv ? c : 0) | PTE_RW |
                         PTE_U;
            }
        }
        for (unsigned s = 0; s < NSPOTS; s++) {
            high[SLOT_TABLE + w * NSPOTS + s] =
                (GPA_OF(w) + spots[s] * PAGE) | to;
        }
    }
}

static void fill_image(Guest g)
{
    uint64_t *desc = (uint64_t *)image_page(g, P_DESC);

    for (unsigned i = P_CODE; i < P_END; i++) {
        zero((void *)image_page(g, i), PAGE);
    }
    copy((void *)image_page(g, P_CODE), blob, blob_end - blob);
    for (int i = 0; i < 32; i++) {
        uint64_t at = P_CODE * PAGE + (g_traps - blob) + 16 * i;

        desc[2 * i] = (at & 0xffff) | 8ul << 16 | 0x8e00ul << 32 |
                      (at & 0xffff0000) << 32;
    }
    desc[AT_GDT / 8 + 1] = 0x00af9b000000ffff;
    desc[AT_GDT / 8 + 2] = 0x00cf93000000ffff;
    desc[AT_GDT / 8 + 3] = 0x00cf13000000ffff;      /* not present */
    /* where the stack is once an exception comes from CPL3 */
    put(desc, AT_TSS + 4, (P_STACK + 1) * PAGE - 64);
    *(uint64_t *)image_page(g, P_LANDING) = MAGIC;
    fill_tables(g);
}

static void fill_npt(Guest g)
{
    uint64_t *pt = npt[g].pt_low;

    npt[g].pml4[0] = pa(npt[g].pdpt) | NESTED;
    npt[g].pdpt[0] = pa(npt[g].pd_low) | NESTED;
    npt[g].pdpt[1] = pa(npt[g].pd_high) | NESTED;
    npt[g].pd_low[0] = pa(pt) | NESTED;
    for (unsigned i = P_CODE; i < P_END; i++) {
        pt[i] = image_page(g, i) | NESTED;
    }
    pt[P_SHARED] = pa(answer) | NESTED;
}

void vm_window(uint64_t spa, bool leaf_2m)
{
    uint64_t base = spa & ~(SIZE_2M - 1);

    for (unsigned i = 0; i < 512; i++) {
        npt_window[i] = (base + i * PAGE) | NESTED;
    }
    for (Guest g = 0; g < NGUESTS; g++) {
        for (unsigned w = 0; w < NWAYS; w++) {
            npt[g].pd_high[w] = leaf_2m ? base | NESTED | PTE_LARGE
                                        : pa(npt_window) | NESTED;
        }
    }
}

void vm_leaf(uint64_t pte)
{
    npt_window[0] = pte;
}

uint64_t vm_va(unsigned way, bool c, uint64_t spa)
{
    return VA_SLOT(SLOT_WINDOW + way * 2 + c) + spa % SIZE_2M;
}

uint64_t vm_table_va(unsigned way, unsigned spot, unsigned index)
{
    return VA_SLOT(SLOT_TABLE + way * NSPOTS + spot) + index * PAGE;
}

/* ---- registers ---- */

typedef struct Regs {
    uint64_t rip, rax, rcx, rdx, rdi;
} Regs;

static void put_segment(uint8_t *save, unsigned at, uint16_t sel,
                        uint16_t attr, uint32_t limit, uint64_t base)
{
    put(save, at, sel | (uint64_t)attr << 16 | (uint64_t)limit << 32);
    put(save, at + 8, base);
}

/* What save area and VMSA have at the same place, and what they have not */
static void fill_save(uint8_t *save, bool vmsa, bool c, const Regs *r)
{
    unsigned at;

    for (at = 0; at < 0x60; at += 0x10) {
        put_segment(save, at, 0x10, 0xc93, ~0u, 0);
    }
    put_segment(save, 0x10, 8, 0xa9b, ~0u, 0);
    put_segment(save, 0x60, 0, 0, 0x1f, P_DESC * PAGE + AT_GDT);
    put_segment(save, 0x70, 0, 0x82, 0xffff, 0);
    put_segment(save, 0x80, 0, 0, 32 * 16 - 1, P_DESC * PAGE);
    put_segment(save, 0x90, 0x28, 0x8b, 0x67, P_DESC * PAGE + AT_TSS);
    put(save, 0x0d0, 0x1d00);               /* EFER: SVME, NXE, LMA, LME */
    put(save, 0x148, 0x40620);              /* CR4, with OSXSAVE */
    put(save, 0x150, P_PML4 * PAGE | (c ? C_BIT : 0));
    put(save, 0x158, 0x80010011);           /* CR0 */
    put(save, 0x160, 0x400);
    put(save, 0x168, 0xffff0ff0);
    put(save, 0x170, 2);
    put(save, 0x178, r->rip);
    put(save, 0x1d8, (P_STACK + 1) * PAGE - 64);
    put(save, 0x1f8, r->rax);
    put(save, 0x268, 0x0007040600070406);   /* PAT */
    if (vmsa) {
        put(save, 0x308, r->rcx);
        put(save, 0x310, r->rdx);
        put(save, 0x338, r->rdi);
        put(save, 0x3b0, 1);                /* SEV_FEATURES: SNP active */
        put(save, 0x3e8, 1);                /* XCR0 */
        put(save, 0x408, 0x1f80);           /* MXCSR */
        put(save, 0x410, 0x037f);           /* FCW */
    }
}

void vm_fill_vmsa(void *page, const char *op)
{
    Regs r = { .rip = P_CODE * PAGE + (op - blob), .rdi = P_SHARED * PAGE };

    zero(page, PAGE);
    fill_save(page, true, true, &r);
}

/* By the firmware's own command: a VMSA has to be measured. */
static void fill_vmsa(Guest g, const Regs *r)
{
    static const Update free = { .assigned = 0 };
    Update pre = { .gpa = 0xfffffffff000, .assigned = 1, .immutable = 1,
                   .asid = asid_of[g] };
    uint64_t spa = vmsa_page(g);
    bool size_2m;

    if (entry_of(spa, &size_2m).assigned) {
        do_update(spa, &free);
    }
    zero((void *)spa, PAGE);
    fill_save((uint8_t *)spa, true, true, r);
    if (vm_spoil) {
        vm_spoil(vmcb, (uint8_t *)spa);
    }
    do_update(spa, &pre);
    do_launch_update(KEEP_PAGE(KEEP_GCTX + g), spa, false, TYPE_VMSA);
}

void (*vm_spoil)(uint8_t *vmcb, uint8_t *save);
uint64_t vm_vmsa;

/* Intercepted wholly, if they are: MSRs by 2 pages, ports by 3 */
static uint8_t permissions[3 * 4096] __attribute__((aligned(4096)));

static void fill_vmcb(Guest g)
{
    memset(permissions, 0xff, sizeof(permissions));
    zero(vmcb, sizeof(vmcb));
    put(vmcb, 0x00c, 1ul << 31 | 3ul << 32);    /* SHUTDOWN; VMRUN, VMMCALL */
    put(vmcb, 0x058, asid_of[g] | 1ul << 32);   /* flush */
    put(vmcb, 0x090, g == PLAIN ? 1 : 7);       /* NP, SEV, SEV-ES */
    put(vmcb, 0x0b0, pa(npt[g].pml4));
    put(vmcb, 0x0b8, g != PLAIN);               /* LBR virtualisation */
    put(vmcb, 0x040, pa(permissions));
    put(vmcb, 0x048, pa(permissions));
    put(vmcb, 0x108, g == PLAIN ? 0 : vm_vmsa ? vm_vmsa : vmsa_page(g));
}

static void take_exit(Exit *x)
{
    x->code = get(vmcb, 0x70);
    x->info1 = get(vmcb, 0x78);
    x->info2 = get(vmcb, 0x80);
    copy(&x->answer, answer, sizeof(x->answer));
}

void vm_prepare(Guest g, const char *op, uint64_t rax, uint64_t rcx,
                uint64_t rdx)
{
    Regs r = { P_CODE * PAGE + (op - blob), rax, rcx, rdx, P_SHARED * PAGE };

    fill_vmcb(g);
    if (g == PLAIN) {
        fill_save(vmcb + 0x400, false, false, &r);
        if (vm_spoil) {
            vm_spoil(vmcb, vmcb + 0x400);
        }
    } else {
        fill_vmsa(g, &r);
    }
    zero(answer, sizeof(answer));
    window_check();
}

void vm_run(Guest g, const char *op, uint64_t rax, uint64_t rcx, uint64_t rdx,
            Exit *x)
{
    uint64_t live[4] = { rcx, rdx, 0, P_SHARED * PAGE };

    vm_prepare(g, op, rax, rcx, rdx);
    run_guest(pa(vmcb), live);
    take_exit(x);
}

volatile uint64_t *vm_flag(unsigned n)
{
    return (volatile uint64_t *)(answer + 64 + n * 8);
}

uint64_t vm_flag_gpa(unsigned n)
{
    return P_SHARED * PAGE + 64 + n * 8;
}

void vm_again(Exit *x)
{
    uint64_t live[4] = { 0, 0, 0, P_SHARED * PAGE };

    run_guest(pa(vmcb), live);
    take_exit(x);
}

static uint64_t op_vmrun(uint64_t at, uint64_t live)
{
    run_guest(at, (const uint64_t *)live);
    return 0;
}

bool vm_gp(uint64_t at)
{
    uint64_t live[4] = { 0, 0, 0, P_SHARED * PAGE };
    Probe p = probe(op_vmrun, at, (uint64_t)live);

    return p.vector == VEC_GP && !p.error;
}


/* ---- launch ---- */

void vm_init(void)
{
    for (Guest g = 0; g < NGUESTS; g++) {
        fill_image(g);
        fill_npt(g);
        for (unsigned i = P_CODE; g != PLAIN && i < P_END; i++) {
            Update pre = { .gpa = i * PAGE, .assigned = 1, .immutable = 1,
                           .asid = asid_of[g] };

            do_update(image_page(g, i), &pre);
            do_launch_update(KEEP_PAGE(KEEP_GCTX + g), image_page(g, i),
                             false, TYPE_NORMAL);
        }
    }
    wrmsr(MSR_HSAVE, pa(hsave));
    host_vmsave(pa(hsave));
    put(hsave, 0x400 + 0x3e8, 1);               /* XCR0 comes from there */
}
