/*
 * Two CPUs, one of which runs a guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The second CPU is in a guest, and stays there until it is told: meanwhile the
 * first one tries what it must not have: the same VMSA, VMCB and host save
 * area, by VMRUN and by RMPUPDATE; and it writes to what the other one holds,
 * and around it.
 *
 * Or it writes to a page that the first one takes away: once RMPUPDATE is done
 * no store of the guest's gets there any more, and none came in between, past
 * the encryption.
 *
 * APM volume 2, 15.34.1, 15.36.16; volume 3, RMPUPDATE, Fn8000_001F EAX[30].
 */
#include "vm.h"

#define MSR_HSAVE     0xc0010117
#define MSR_SYSCFG    0xc0010010
#define SYSCFG_SNP    (1ul << 19 | 1ul << 24 | 1ul << 25)   /* and MFDM */
#define EXIT_BUSY     (~1ul)            /* VMEXIT_BUSY, -2 */
#define EXIT_NMI      0x061u
#define AP_CODE       0x8000ul
#define RACED         (WINDOW + 77 * PAGE)
#define ROUNDS        200u
#define TURNS         3u                /* through the page, at least */
#define LOOKS         50u
#define PATIENCE      2000000000ul      /* turns of a loop */

extern char ap_start[], ap_start_gdtr[], ap_start_end[], gdtr[];
extern uint64_t ap_cr3;
extern void (*ap_main)(void);
void run_guest(uint64_t vmcb, const uint64_t r[4]);

typedef void Job(void);
static Job *volatile job;
static volatile bool ready;

/* Mapped by leaves of 4K, so that they can be given away by themselves */
#define VMCB_AP       KEEP_PAGE(200)
#define HSAVE_AP      KEEP_PAGE(201)
/* Its 2 MiB are the hypervisor's, all of them */
#define AROUND        (WINDOW + SIZE_2M)
#define UNUSED        0x280             /* by the hardware, of a save area */
static const uint64_t live[4] = { 0, 0, 0, 0x20000 };

/* ---- the second CPU: no probes there, its exceptions end the run ---- */

static void second(void)
{
    idt_load();
    wrmsr(MSR_SYSCFG, rdmsr(MSR_SYSCFG) | SYSCFG_SNP);
    asm volatile("wbinvd");
    ready = true;
    for (;;) {
        if (job) {
            job();
            job = NULL;
        }
        asm volatile("pause" : : : "memory");
    }
}

static void job_hsave(void)
{
    wrmsr(MSR_HSAVE, HSAVE_AP);
}

static uint64_t hsave_around;

static void job_hsave_around(void)
{
    wrmsr(MSR_HSAVE, hsave_around);
}

static void job_guest(void)
{
    run_guest(VMCB_AP, live);
}

/* ---- the first ---- */

static void wait_for(bool (*done)(void), const char *what)
{
    for (uint64_t i = 0; !done(); i++) {
        if (i > PATIENCE) {
            bail(what);
        }
        asm volatile("pause" : : : "memory");
    }
}

static bool is_ready(void)
{
    return ready;
}

static bool is_idle(void)
{
    return !job;
}

static bool has_begun(void)
{
    return *vm_flag(0) || !job;
}

static void send(uint32_t what)
{
    *apic(APIC_ICR_HIGH) = 1u << 24;
    *apic(APIC_ICR) = what;
}

static void start(void)
{
    uint64_t code = AP_CODE + (ap_start_gdtr - ap_start);

    copy((void *)AP_CODE, ap_start, ap_start_end - ap_start);
    copy((void *)code, gdtr, 6);
    asm volatile("mov %%cr3, %0" : "=r"(ap_cr3));
    ap_main = second;
    *apic(APIC_SVR) = 0x1ff;
    send(ICR_INIT);
    send(ICR_SIPI | AP_CODE >> 12);
    wait_for(is_ready, "the second CPU does not come up");
}

static void on_second(Job *what)
{
    job = what;
    wait_for(is_idle, "the second CPU does not do its part");
}

static uint64_t code_of(const uint8_t *v)
{
    uint64_t code;

    copy(&code, v + 0x70, sizeof(code));
    return code;
}

/* VMRUN-VMSA-BUSY; if it enters all the same, an NMI ends it at once */
static void same_vmsa(void)
{
    vmcb[EXIT_NMI / 8] |= 1u << EXIT_NMI % 8;
    asm volatile("clgi" : : : "memory");
    *apic(APIC_ICR_HIGH) = *apic(APIC_ID);
    *apic(APIC_ICR) = ICR_NMI;
    gif_stays_clear = true;
    run_guest((uint64_t)vmcb, live);
    gif_stays_clear = false;
    cell(probe(op_stgi, 0, 0).vector == 2);
    if (cell(code_of(vmcb) == EXIT_BUSY)) {
        print("# VMRUN of a VMSA that runs: exit %lx\n", code_of(vmcb));
    }
}

static void in_use(const char *what, uint64_t spa)
{
    static const Update take = { .assigned = 1 };
    Probe p = probe(op_rmpupdate, spa, (uint64_t)&take);

    /* RMP-UPDATE-INUSE */
    if (cell(p.vector == NO_VEC && p.ret == FAIL_INUSE)) {
        print("# RMPUPDATE of the %s of a CPU that runs a guest: vector %d, "
              "status %lx\n", what, p.vector, p.ret);
    }
}

static void suite_running(void)
{
    uint64_t own = rdmsr(MSR_HSAVE);
    Exit x;

    ktap_begin();
    on_second(job_hsave);
    vm_prepare(OWNER, g_wait, 0, 0, 0);
    copy((void *)VMCB_AP, vmcb, sizeof(vmcb));
    job = job_guest;
    wait_for(has_begun, "the second CPU does not enter its guest");
    cell(job == job_guest);

    same_vmsa();
    /* VMRUN-HOST-INUSE */
    if (cell(vm_gp(VMCB_AP))) {
        print("# no #GP: VMRUN of a VMCB that another CPU has\n");
    }
    wrmsr(MSR_HSAVE, HSAVE_AP);
    if (cell(vm_gp((uint64_t)vmcb))) {
        print("# no #GP: VMRUN with a host save area that another CPU has\n");
    }
    wrmsr(MSR_HSAVE, own);
    in_use("VMSA", (uint64_t)vm_vmsa_of(OWNER));
    in_use("VMCB", VMCB_AP);
    in_use("host save area", HSAVE_AP);
    /* once more: what was refused took nothing, and gave nothing back */
    same_vmsa();
    cell(job == job_guest && *vm_flag(0) == 1);

    *vm_flag(1) = 1;
    wait_for(is_idle, "the guest does not end");
    if (cell(code_of((uint8_t *)VMCB_AP) == EXIT_VMGEXIT)) {
        print("# the guest that ran: exit %lx\n", code_of((uint8_t *)VMCB_AP));
    }
    cell(window_check());
    ktap_end("a guest that runs on another CPU");

    ktap_begin();
    /* what was held is free again */
    vm_run(OWNER, g_read, 0x20000, 0, 0, &x);
    cell(x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_DONE &&
         window_check());
    for (unsigned i = 0; i < 2; i++) {
        static const Update take = { .assigned = 1 }, free = { 0 };

        do_update(i ? HSAVE_AP : VMCB_AP, &take);
        do_update(i ? HSAVE_AP : VMCB_AP, &free);
        cell(window_check());
    }
    ktap_end("the same afterwards");
}

/* ---- writes to what another CPU holds ---- */

#define PF_RMP_WRITE  (1ul << 31 | 3)

static void forget(void)
{
    uint64_t cr3;

    asm volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(cr3) : : "memory");
}

/* A page of AROUND, through a leaf of that size, while @held is in use */
static void one_write(unsigned held, unsigned page, Leaf leaf, bool may)
{
    static const char *const leaf_name[] = {
        [LEAF_4K] = "4K", [LEAF_2M] = "2M", [LEAF_1G] = "1G",
    };
    uint64_t at = at_leaf(AROUND + page * PAGE + UNUSED, leaf);
    /* RMP-CHECK-INUSE, RMP-CHECK-INUSE-2M */
    bool refused = !may && (page == held || (!held && leaf != LEAF_4K));
    Probe p;

    forget();
    p = probe(op_write, at, 0);
    if (cell(refused ? p.vector == VEC_PF && p.error == PF_RMP_WRITE &&
                       p.cr2 == at : p.vector == NO_VEC)) {
        print("# page %u is in use, a write to page %u by %s: vector %d, "
              "error %lx\n", held, page, leaf_name[leaf], p.vector, p.error);
    }
    cell(probe(op_read, at, 0).vector == NO_VEC);
}

static void suite_around(void)
{
    static const unsigned pages[] = { 0, 1, 3, 511 };
    uint32_t r[4];

    cpuid(0x8000001f, 0, r);
    ktap_begin();
    for (unsigned held = 0; held < 4; held += 3) {
        hsave_around = AROUND + held * PAGE;
        on_second(job_hsave_around);
        vm_prepare(OWNER, g_wait, 0, 0, 0);
        copy((void *)VMCB_AP, vmcb, sizeof(vmcb));
        job = job_guest;
        wait_for(has_begun, "the second CPU does not enter its guest");
        for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
            for (Leaf leaf = LEAF_4K; leaf <= LEAF_1G; leaf++) {
                one_write(held, pages[i], leaf, r[0] >> 30 & 1);
            }
        }
        *vm_flag(1) = 1;
        wait_for(is_idle, "the guest does not end");
        cell(code_of((uint8_t *)VMCB_AP) == EXIT_VMGEXIT && window_check());
        /* nobody holds anything now */
        forget();
        for (Leaf leaf = LEAF_4K; leaf <= LEAF_1G; leaf++) {
            cell(probe(op_write, at_leaf(hsave_around + UNUSED, leaf),
                       0).vector == NO_VEC);
        }
    }
    on_second(job_hsave);
    ktap_end("writes around a page that another CPU holds");
}

/* ---- a page that goes while it is written to ---- */

static bool hammered(void)
{
    return *vm_flag(0) >= TURNS || !job;
}

static unsigned plain_words(const volatile uint64_t *p, uint64_t *sum)
{
    unsigned n = 0;

    *sum = 0;
    for (unsigned i = 0; i < PAGE / 8; i++) {
        uint64_t v = p[i];

        n += v >> 32 == HAMMERED;
        *sum = (*sum << 1 | *sum >> 63) ^ v;
    }
    return n;
}

/* MEM-ALONE */
static void round_of(unsigned n)
{
    static const Update free = { 0 };
    Update give = { .gpa = GPA_BASE + RACED % SIZE_2M, .assigned = 1,
                    .asid = asid_of[OWNER] };
    const volatile uint64_t *page = (const volatile uint64_t *)RACED;
    uint64_t first, again;
    unsigned plain;
    Entry e;
    bool size_2m, same = true;

    do_update(RACED, &give);
    vm_prepare(OWNER, g_hammer, vm_va(WAY_RIGHT, true, RACED), 0, 1);
    copy((void *)VMCB_AP, vmcb, sizeof(vmcb));
    job = job_guest;
    wait_for(hammered, "the guest does not write");
    e = entry_of(RACED, &size_2m);
    e.validated = true;
    model_set(RACED, &e, false);

    do_update(RACED, &free);
    plain = plain_words(page, &first);
    for (unsigned i = 0; i < LOOKS; i++) {
        plain += plain_words(page, &again);
        same &= first == again;
    }
    wait_for(is_idle, "the guest does not leave");
    if (cell(!plain && same && code_of((uint8_t *)VMCB_AP) == EXIT_NPF)) {
        print("# round %u: %u words as the guest wrote them, content %s, "
              "exit %lx\n", n, plain, same ? "stays" : "changes",
              code_of((uint8_t *)VMCB_AP));
    }
}

void suite_race(void)
{
    ktap_plan(2);
    start();
    window_init();
    vm_init();
    on_second(job_hsave);
    vm_window(WINDOW, false);
    ktap_begin();
    for (unsigned i = 0; i < ROUNDS; i++) {
        round_of(i);
    }
    cell(window_check());
    ktap_end("a page that goes while another CPU's guest writes to it");
}

void suite_cpus(void)
{
    ktap_plan(4);
    start();
    window_init();
    vm_init();
    suite_running();
    suite_around();
}
