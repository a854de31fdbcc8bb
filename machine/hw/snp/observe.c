/*
 * The SNP platform: what it shows of the whole RMP
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "hw/snp/observe.h"
#include "hw/snp/platform.h"

/* { "ASID": { "STATE": pages, ... }, ... }, what is zero left out */
char *snp_platform_rmp_histogram(const SnpPlatform *p)
{
    g_autofree uint64_t (*by)[RMP_NSTATES] = g_malloc(sizeof(RmpHistogram));
    g_autoptr(QDict) d = qdict_new();
    g_autoptr(GString) s = NULL;

    rmp_histogram(&p->rmp, by);
    for (int asid = 0; asid <= RMP_ASID_LIMIT; asid++) {
        g_autofree char *key = g_strdup_printf("%d", asid);
        QDict *states = qdict_new();

        for (int i = 0; i < RMP_NSTATES; i++) {
            if (by[asid][i]) {
                qdict_put_int(states, rmp_state_name(i), by[asid][i]);
            }
        }
        if (qdict_size(states)) {
            qdict_put(d, key, states);
        } else {
            qobject_unref(states);
        }
    }
    s = qobject_to_json(QOBJECT(d));
    return g_strdup(s->str);
}
