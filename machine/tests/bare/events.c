/*
 * Events that end a guest's run
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * INTR, NMI, SMI, INIT and #MC: intercepted they are automatic exits of a
 * SEV-ES guest as of any other, and what is not an exception is pending still,
 * for the host, once GIF is set. What is not intercepted the guest gets, if its
 * flags let it. Events come from the CPU's own APIC while GIF is clear, so that
 * they wait for VMRUN; #MC comes from outside, when run.py is asked for it.
 *
 * APM volume 2, 15.13 (intercepts), 15.17 (GIF), 15.35.4, 16.5 (APIC).
 */
#include "vm.h"

#define VECTOR        31u               /* one that is no exception's */
#define FEATURES_SVM  0x8000000a
#define BUS_LOCK      29                /* of its EDX */

#define MSR_MCG_CAP   0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MCG_CTL   0x17b
#define MSR_MC0_CTL   0x400
#define MSR_MC0_STATUS 0x401
#define CR4_MCE       0x40ul
#define CRASHED       0x505             /* pvpanic: run.py sends #MC for it */

/* The handler of SMIs, where a processor has it after reset, and its mark */
#define SMI_CODE      0x38000ul
#define SMI_MARK      0x9000ul

typedef enum Event { INTR, NMI, SMI, INIT, MC, NEVENTS } Event;

static const struct {
    const char *name;
    unsigned code;          /* exit, and the intercept's bit */
    uint32_t icr;           /* delivery mode and level; 0: not the APIC's */
    int vector;             /* in whom gets it */
} events[] = {
    [INTR] = { "INTR", 0x60, 0x04000 | VECTOR, VECTOR },
    [NMI] = { "NMI", 0x61, ICR_NMI, 2 },
    [SMI] = { "SMI", 0x62, 0x04200, NO_VEC },
    [INIT] = { "INIT", 0x63, ICR_INIT, NO_VEC },
    [MC] = { "#MC", 0x52, 0, 18 },
};

/* One without SNP, of the first's ASID, behind those of vm.h */
#define SEV_ES        NGUESTS
static const char *const guest_name[] = {
    "SNP", "another SNP", "ordinary", "SEV-ES",
};

static Event event;
static bool intercepted, interrupts;

static void spoil(uint8_t *v, uint8_t *save)
{
    unsigned bit = events[event].code;

    if (intercepted) {
        v[bit / 8] |= 1u << bit % 8;
    }
    put64(save, 0x148, get64(save, 0x148) | CR4_MCE);
    put64(save, 0x170, interrupts ? 0x202 : 2);
}

static void raise_event(void)
{
    if (event == MC) {
        wrmsr(MSR_MC0_STATUS, 0);
        out8(CRASHED, 2);
        while (!(rdmsr(MSR_MC0_STATUS) >> 63)) {
            asm volatile("pause");
        }
    } else {
        *apic(APIC_ICR_HIGH) = *apic(APIC_ID);
        *apic(APIC_ICR) = events[event].icr;
    }
}

static bool smi_came(void)
{
    volatile uint8_t *mark = (volatile uint8_t *)SMI_MARK;
    bool came = *mark;

    *mark = 0;
    return came;
}

static void run(unsigned g, Exit *x)
{
    static uint8_t page[4096] __attribute__((aligned(4096)));

    if (g == SEV_ES) {
        /* its pages are an SNP guest's: it gets as far as the first fetch */
        vm_fill_vmsa(page, g_spin);
        put64(page, 0x3b0, 0);
        spoil(vmcb, page);
        vm_vmsa = (uint64_t)page;
    }
    vm_spoil = spoil;
    gif_stays_clear = true;
    asm volatile("clgi" : : : "memory");
    raise_event();
    vm_run(g == SEV_ES ? OWNER : g, g_spin, 0, 0, 0, x);
    gif_stays_clear = false;
    vm_spoil = NULL;
    vm_vmsa = 0;
}

static void shown(const char *what, unsigned g, const Exit *x)
{
    print("# %s, %s guest, %s: exit %lx %lx %lx, answer %lx vector %lx\n",
          events[event].name, guest_name[g], what, x->code, x->info1, x->info2,
          x->answer.kind, x->answer.vector);
}

/* Does the host get it now, and once? */
static bool pending(bool want)
{
    Probe p = probe(op_stgi_sti, 0, 0);
    bool came = event == SMI ? smi_came()
                             : p.vector == events[event].vector;

    /* where an exception ends the probe, IF is clear again and GIF set */
    if (event == INTR && came) {
        *apic(APIC_EOI) = 0;
    }
    if (event == MC) {
        wrmsr(MSR_MCG_STATUS, 0);
    }
    return came == want && probe(op_stgi_sti, 0, 0).vector == NO_VEC &&
           !smi_came();
}

/* ES-AE-EVENTS */
static void leaves(unsigned g)
{
    Exit x;

    intercepted = true;
    run(g, &x);
    if (cell(x.code == events[event].code && !x.info1 &&
             x.answer.kind == ANSWER_NONE && window_check())) {
        shown("intercepted", g, &x);
    }
    if (event == MC) {
        /* an exception is not: software is told, and is to look */
        cell(pending(false));
    } else if (event != INIT && cell(pending(true))) {
        shown("it is not pending", g, &x);
    }
}

static void stays(Guest g)
{
    Exit x;

    intercepted = false;
    run(g, &x);
    if (cell((x.code == EXIT_VMGEXIT || x.code == EXIT_VMMCALL) &&
             x.answer.kind == ANSWER_TRAP &&
             x.answer.vector == (uint64_t)events[event].vector &&
             window_check())) {
        shown("not intercepted", g, &x);
    }
    if (event == INTR) {
        *apic(APIC_EOI) = 0;
    } else if (event == NMI) {
        /* the guest did not return from it: any IRET lets the next one in */
        probe(op_pvalidate, 0, 0);
    }
    cell(pending(false));
}

/* What waits for IF of the host's waits in the guest, too: it has none. */
static void masked(Guest g)
{
    Exit x;

    event = INTR;
    intercepted = true;
    interrupts = false;
    /* something else has to end the run */
    vm_spoil = spoil;
    gif_stays_clear = true;
    asm volatile("clgi" : : : "memory");
    raise_event();
    vm_run(g, g_read, (uint64_t)0x20000, 0, 0, &x);
    gif_stays_clear = false;
    vm_spoil = NULL;
    if (cell((x.code == EXIT_VMGEXIT || x.code == EXIT_VMMCALL) &&
             x.answer.kind == ANSWER_DONE && window_check())) {
        shown("masked", g, &x);
    }
    cell(pending(true));
}

static void prepare(void)
{
    static const uint8_t handler[] = {
        0xc6, 0x06, SMI_MARK & 0xff, SMI_MARK >> 8, 1,  /* movb $1, MARK */
        0x0f, 0xaa,                                     /* rsm */
    };
    uint64_t cr4;

    copy((void *)SMI_CODE, handler, sizeof(handler));
    smi_came();
    *apic(APIC_SVR) = 0x1ff;
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    asm volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_MCE));
    if (rdmsr(MSR_MCG_CAP) & 1 << 8) {
        wrmsr(MSR_MCG_CTL, ~0ul);
    }
    wrmsr(MSR_MC0_CTL, ~0ul);
}

/* There is no intercept, and nothing raises it */
static void bus_lock(void)
{
    uint32_t r[4];

    cpuid(FEATURES_SVM, 0, r);
    if (r[3] >> BUS_LOCK & 1) {
        cell(false);
        print("# CPUID has bus lock traps, which this suite does not know\n");
        return;
    }
    impossible("bus lock: the processor has no such trap, CPUID Fn8000_000A "
               "EDX[29] is 0 (APM vol 2, 15.14.5)");
}

void suite_events(void)
{
    ktap_plan(6);
    window_init();
    vm_init();
    prepare();

    for (event = 0; event < NEVENTS; event++) {
        if (event == INIT) {
            continue;
        }
        ktap_begin();
        for (Guest g = OWNER; g < NGUESTS; g += PLAIN) {
            interrupts = true;
            leaves(g);
            /* what an SMI does to a confidential guest no source says */
            if (event != SMI) {
                stays(g);
            }
            if (event == INTR) {
                masked(g);
            }
        }
        interrupts = true;
        leaves(SEV_ES);
        if (event == MC) {
            bus_lock();
        }
        ktap_end("%s and guests", events[event].name);
    }
    /* The last: what is pending then would start this host anew. */
    ktap_begin();
    event = INIT;
    for (Guest g = OWNER; g < NGUESTS; g += PLAIN) {
        leaves(g);
    }
    leaves(SEV_ES);
    ktap_end("INIT and guests");
}
