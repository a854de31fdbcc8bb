/*
 * SEV-ES and SNP: events that a host has its guests take
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * With Restricted Injection (SEV_FEATURES bit 3) that is #HV alone, which no
 * processor raises: the guest then looks for what there is by itself.
 */
#include "qemu/osdep.h"
#include "cpu.h"
#include "svm.h"
#include "snp.h"

static bool is_restricted(const CPUX86State *env)
{
    return env->snp.sev_features & SEV_FEAT_RESTRICTED;
}

bool x86_snp_may_inject(const CPUX86State *env, uint32_t event)
{
    unsigned vector = event & SVM_EVTINJ_VEC_MASK;
    unsigned type = event & SVM_EVTINJ_TYPE_MASK;
    bool hv = type == SVM_EVTINJ_TYPE_EXEPT && vector == EXCP1C_HV;

    if (!x86_snp_is_es(env)) {
        return true;
    }
    /* [VMRUN-RESTRICTED-EVENTINJ] #HV is for these guests, and all they get */
    if (hv || is_restricted(env)) {
        return hv && is_restricted(env);
    }
    /* [VMRUN-ES-EVENTINJ] software events are the guest's own */
    return type != SVM_EVTINJ_TYPE_SOFT &&
           !(type == SVM_EVTINJ_TYPE_EXEPT &&
             (vector == EXCP03_INT3 || vector == EXCP04_INTO));
}

bool x86_snp_takes_virq(const CPUX86State *env)
{
    /* [VMRUN-RESTRICTED-VIRQ] */
    return !is_restricted(env);
}
