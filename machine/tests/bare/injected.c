/*
 * Events that a host has its guests take
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 15.20 (Event Injection), 15.21.4 (Injecting Virtual
 * Interrupts), 15.35.3, 15.36.16 (Interrupt Injection Restrictions).
 */
#include "vm.h"
#include "features.h"

#define EXIT_INVALID  (~0ul)
#define EXIT_VINTR    0x64u
#define FEATURES      0x3b0
#define SNP_ACTIVE    (1ul << 0)
#define RESTRICTED    (1ul << 3)
#define CPUID_RESTRICTED 12
#define EVENTINJ      0x0a8
#define VALID         (1u << 31)
#define TYPE(n)       ((n) << 8)
#define NTYPES        8u
#define V_INTR        0x060
#define RFLAGS        0x170

enum { INTR = 0, NMI = 2, EXCEPTION = 3, SOFTWARE = 4 };
#define VEC_NMI  2u
#define VEC_BP   3u
#define VEC_OF   4u
#define VEC_HV   28u
#define NVECTORS 32u

extern char i_pause[];

static uint64_t features;
static uint32_t event;

static void spoil_event(uint8_t *v, uint8_t *save)
{
    put64(v, EVENTINJ, event);
    put64(save, FEATURES, features);
}

/* V_IRQ, priority 15, V_IGN_TPR, vector 20h, which the host wants to hear of */
static void spoil_virq(uint8_t *v, uint8_t *save)
{
    put64(v, V_INTR, 1ul << 8 | 15ul << 16 | 1ul << 20 | 0x20ul << 32);
    v[EXIT_VINTR / 8] |= 1u << EXIT_VINTR % 8;
    put64(save, FEATURES, features);
    put64(save, RFLAGS, 0x202);
}

/* What VMRUN lets pass for a guest with these features */
static bool allowed(unsigned type, unsigned vector)
{
    bool hv = type == EXCEPTION && vector == VEC_HV;

    /* VMRUN-RESTRICTED-EVENTINJ */
    if (hv || (features & RESTRICTED)) {
        return hv && (features & RESTRICTED);
    }
    /* VMRUN-ES-EVENTINJ */
    return type == INTR || type == NMI ||
           (type == EXCEPTION && vector != VEC_NMI && vector != VEC_BP &&
            vector != VEC_OF && vector < NVECTORS - 1);
}

static void one_event(unsigned type, unsigned vector)
{
    unsigned taken = type == NMI ? VEC_NMI : vector;
    bool good;
    Exit x;

    event = VALID | TYPE(type) | vector;
    vm_run(OWNER, i_pause, 0, 0, 0, &x);
    good = allowed(type, vector)
           ? x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_TRAP &&
             x.answer.vector == taken
           : x.code == EXIT_INVALID && x.answer.kind == ANSWER_NONE;
    if (cell(window_check() && good)) {
        print("# features %lx, event of type %u, vector %u: exit %lx, answer "
              "%lx, vector %lx\n", features, type, vector, x.code,
              x.answer.kind, x.answer.vector);
    }
}

static void one_virq(void)
{
    Exit x;

    vm_spoil = spoil_virq;
    vm_run(OWNER, i_pause, 0, 0, 0, &x);
    vm_spoil = spoil_event;
    /* VMRUN-RESTRICTED-VIRQ */
    if (cell(window_check() &&
             (features & RESTRICTED
              ? x.code == EXIT_VMGEXIT && x.answer.kind == ANSWER_DONE
              : x.code == EXIT_VINTR && x.answer.kind == ANSWER_NONE))) {
        print("# features %lx, a virtual interrupt: exit %lx, answer %lx\n",
              features, x.code, x.answer.kind);
    }
}

void suite_injected(uint32_t announced)
{
    bool has = announced >> CPUID_RESTRICTED & 1;

    ktap_begin();
    if (!has) {
        impossible("CPUID has no restricted injection (VMRUN-SEV-FEATURES)");
    }
    vm_spoil = spoil_event;
    for (unsigned restricted = 0; restricted <= has; restricted++) {
        features = SNP_ACTIVE | (restricted ? RESTRICTED : 0);
        for (unsigned i = 0; i < NTYPES * NVECTORS; i++) {
            one_event(i / NVECTORS, i % NVECTORS);
        }
        one_virq();
    }
    vm_spoil = NULL;
    ktap_end("events of each type and vector, by what the guest restricts");
}
