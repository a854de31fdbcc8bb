/*
 * The SNP platform: failing on demand
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The amd-psp device's property `inject` is a list of rules that make the
 * machine fail where real ones do now and then. Rules go by counts, never by
 * time: from when the list is set, each rule counts the events of its kind.
 *
 *  list   = [ rule { ";" rule } ]              at most SNP_INJECT_MAX
 *  rule   = COMMAND ":" count ":" answer       a firmware command, by name
 *         | "RMPUPDATE" [ to ] ":" count ":" code
 *         | "PSMASH" ":" count ":" code
 *         | "NPF" ":" count                    a spurious RMP fault
 *         | "DMA" ":" count                    an RMP that cannot be read
 *         | "GHCB" [ "-" EVENT ] ":" count ":" field "=" VALUE ":" K
 *                                             a GHCB that changes
 *  count  = N | N "-" M                        the N-th, N-th to M-th; from 1
 *  to     = "-GUEST" | "-FIRMWARE" | "-SHARED" only those that would make
 *                                             a page a guest's, and so on
 *  code   = "INPUT" | "PERMISSION" | "INUSE" | "OVERLAP"
 *  answer = STATUS [ "=" VALUE ]               by name; what is left in the
 *                                             registers of the buffer's address
 *         | "no-interrupt"                     carried out, nobody is told
 *         | "late-polls=" K | "late-interrupts=" K
 *         | "dead"                             no answer any more, till reset
 *         | "store=" SPA | "rmpupdate=" SPA    another CPU writes to the RMP
 *  field  = OFFSET "." SIZE                    of 1, 2, 4 or 8 bytes, aligned
 *
 * A command that is answered with a status, and one that finds the mailbox
 * dead, is not carried out, and changes nothing. One whose answer is late is
 * carried out at once; the answer comes with the K-th read of the mailbox
 * after it, or the K-th interrupt that CPUs take. COMMAND "any" stands for each
 * that there is, invalid ones included; events of NPF are private accesses of
 * SNP guests that miss the TLB and are allowed; those of DMA are accesses of
 * devices that an IOMMU asks the RMP about.
 *
 * SNP_INIT and SNP_INIT_EX are carried out all the same while another CPU makes
 * the page at SPA one of the guest of ASID 1, by a plain store to its entry or
 * by RMPUPDATE; whether it came through is counted (hw/snp/stats.c).
 *
 * Events of GHCB are VMGEXITs by the page (of SW_EXITCODE EVENT only). Once the
 * host's kernel has loaded from the field K times since such an exit, the field
 * is VALUE, before it can load again; K is 0: from the exit on. The next
 * VMGEXIT of any guest ends that. EVENT, OFFSET, VALUE, SPA are hexadecimal,
 * with 0x. What real firmware leaves of an error beside its status is not
 * known: VALUE, not 0, is what it is told to.
 *
 * This file and inject.c include nothing of QEMU, so that the same code is
 * linked into the unit tests.
 */
#ifndef HW_SNP_INJECT_H
#define HW_SNP_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNP_INJECT_MAX   16u
#define SNP_INJECT_TEXT  80u            /* characters of a rule */
#define SNP_INJECT_LIMIT 1000000000ull  /* of any number */
#define SNP_INJECT_ANY   UINT32_MAX     /* SnpInjectRule.command */

typedef enum SnpInjectSite {
    SNP_INJECT_FIRMWARE,
    SNP_INJECT_RMPUPDATE,
    SNP_INJECT_PSMASH,
    SNP_INJECT_NPF,
    SNP_INJECT_GHCB,
    SNP_INJECT_DMA,
    SNP_INJECT_NSITES
} SnpInjectSite;

typedef enum SnpInjectTo {
    SNP_INJECT_TO_GUEST,
    SNP_INJECT_TO_FIRMWARE,     /* Reclaim and Metadata among them */
    SNP_INJECT_TO_SHARED,
} SnpInjectTo;

typedef enum SnpInjectKind {
    SNP_INJECT_NOTHING,
    SNP_INJECT_STATUS,          /* or the code of an RMP instruction */
    SNP_INJECT_NO_INTERRUPT,
    SNP_INJECT_LATE_POLLS,
    SNP_INJECT_LATE_INTERRUPTS,
    SNP_INJECT_DEAD,
    SNP_INJECT_FAULT,
    SNP_INJECT_STORE,
    SNP_INJECT_RMPUPDATE_AT,
    SNP_INJECT_CHANGE,
} SnpInjectKind;

typedef struct SnpInjectAction {
    SnpInjectKind kind;
    uint64_t value;             /* status, code, K, SPA or VALUE */
    unsigned offset, size;      /* of CHANGE: the field, */
    uint64_t loads;             /* and how many come before */
    uint64_t more;              /* of STATUS: VALUE; 0: nothing */
} SnpInjectAction;

typedef struct SnpInjectRule {
    char text[SNP_INJECT_TEXT + 1];
    SnpInjectSite site;
    /* an id, SnpInjectTo, event, or SNP_INJECT_ANY */
    uint32_t command;
    uint64_t first, last;
    SnpInjectAction action;
    uint64_t seen, fired;       /* events since the list was set */
} SnpInjectRule;

typedef struct SnpInject {
    unsigned armed;             /* bit SnpInjectSite: a rule looks there */
    int lock;
    unsigned n;
    SnpInjectRule rule[SNP_INJECT_MAX];
} SnpInject;

/*
 * Parses @text into @out, all counts 0. False: it is none, or two rules
 * contradict each other; @why (@len bytes) says so, @out is not to be used.
 */
bool snp_inject_parse(SnpInject *out, const char *text, char *why, size_t len);

/* @live, which any thread may be asking, becomes what @list is. */
void snp_inject_set(SnpInject *live, const SnpInject *list);

/* A copy that nobody changes */
void snp_inject_get(SnpInject *live, SnpInject *copy);

/*
 * Counts an event; what is to be done about it. @command: of FIRMWARE its id,
 * of RMPUPDATE a SnpInjectTo, of GHCB its event, of others 0.
 */
SnpInjectAction snp_inject_count(SnpInject *live, SnpInjectSite site,
                                 uint32_t command);

/* The same. What nobody injects costs a test. */
static inline SnpInjectAction snp_inject(SnpInject *live, SnpInjectSite site,
                                         uint32_t command)
{
    if (__builtin_expect(__atomic_load_n(&live->armed, __ATOMIC_RELAXED) &
                         1u << site, 0)) {
        return snp_inject_count(live, site, command);
    }
    return (SnpInjectAction){ .kind = SNP_INJECT_NOTHING };
}

#endif
