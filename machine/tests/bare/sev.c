/*
 * Memory of guests without SNP: who sees what of a page that nobody owns
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 15.34: DRAM holds what was written through a key as ciphertext.
 * Two SEV guests and a SEV-ES guest, a host, a device and the firmware take
 * turns on the same pages. What is seen through a key, and without, is to be the
 * same to all who see it so, whoever was there last; a write through the one
 * changes the block of the cipher that it is in, and no other, to the others.
 */
#include "bare.h"
#include "dma.h"

#define MSR_DEBUGCTL  0x1d9
#define MSR_HSAVE     0xc0010117
#define BLOCK         16u
#define TMR           0x0c000000ul
#define TMR_LEN       0x100000u
#define POLICY_ES     4u
#define DEBUGCTL      0x3dul            /* a SEV-ES guest's, to begin with */

enum {
    SEV_INIT = 0x001, SEV_DF_FLUSH = 0x00a, SEV_DECOMMISSION = 0x020,
    SEV_ACTIVATE = 0x021, SEV_DEACTIVATE = 0x022, SEV_START = 0x030,
    SEV_UPDATE_DATA = 0x031, SEV_UPDATE_VMSA = 0x032, SEV_MEASURE = 0x033,
    SEV_FINISH = 0x035, SEV_DBG_DECRYPT = 0x060, SEV_DBG_ENCRYPT = 0x061,
};

void run_guest(uint64_t vmcb, const uint64_t r[4]);
void host_vmsave(uint64_t pa);
extern char sev_code[], sev_code_end[], sev_load[];

typedef uint64_t Words[512] __attribute__((aligned(4096)));

/* ---- guests ---- */

/* Their memory, by page; the low 2 MiB are mapped one to one */
enum { P_PML4 = 1, P_PDPT, P_PD, P_PT, P_CODE, P_STACK, P_TRIED,
       P_SCRIPT = P_TRIED + 2, P_OPEN, NIMAGE = P_TRIED };

typedef struct Machine {
    Words image[NIMAGE];            /* what is launched */
    Words vmsa;
    Words npt[4];
    Words vmcb;
    uint32_t asid, handle;
    bool es;
} Machine;

static Machine first, second, es;
/* Two pages that all can be led to, and one that all share with the host */
static uint8_t tried[2 * 4096] __attribute__((aligned(4096)));
static Words script;
static Words hsave;

static void put(void *page, unsigned at, uint64_t v)
{
    *(uint64_t *)((uint8_t *)page + at) = v;
}

static void need(uint32_t status, const char *what)
{
    if (status) {
        print("# %s: status %x\n", what, status);
        bail("a firmware command fails");
    }
}

/* @cmd with the guest's handle; @a at offset 4, the others from 8 on */
static uint32_t sev(unsigned cmd, const Machine *g, uint32_t a, uint64_t b,
                    uint64_t c, uint64_t d)
{
    const uint64_t buf[8] = { g->handle | (uint64_t)a << 32, b, c, d };

    return psp(cmd, buf, 48);
}

static void put_segment(uint8_t *save, unsigned at, uint16_t sel,
                        uint16_t attr)
{
    put(save, at, sel | (uint64_t)attr << 16 | 0xffffffffull << 32);
}

static void fill_save(uint8_t *save, bool vmsa)
{
    for (unsigned at = 0; at < 0x60; at += 0x10) {
        put_segment(save, at, 0x10, 0xc93);
    }
    put_segment(save, 0x10, 8, 0xa9b);
    put_segment(save, 0x90, 0, 0x8b);
    put(save, 0x0d0, 0x1d00);               /* EFER: SVME, NXE, LMA, LME */
    put(save, 0x148, 0x620);                /* CR4 */
    put(save, 0x150, P_PML4 * PAGE | C_BIT);
    put(save, 0x158, 0x80010011);           /* CR0 */
    put(save, 0x160, 0x400);
    put(save, 0x168, 0xffff0ff0);
    put(save, 0x170, 2);
    put(save, 0x178, P_CODE * PAGE);
    put(save, 0x1d8, (P_STACK + 1) * PAGE - 64);
    put(save, 0x268, 0x0007040600070406);   /* PAT */
    if (vmsa) {
        put(save, 0x270, DEBUGCTL);
        put(save, 0x338, P_SCRIPT * PAGE);  /* RDI */
        put(save, 0x3e8, 1);                /* XCR0 */
        put(save, 0x408, 0x1f80);           /* MXCSR */
        put(save, 0x410, 0x037f);           /* FCW */
    }
}

static void make(Machine *g)
{
    uint64_t *pt = g->image[P_PT - 1];

    zero(g->image, sizeof(g->image));
    zero(g->vmcb, PAGE);
    zero(g->vmsa, PAGE);
    /* no accessed and dirty bits: the processor sets them, through the key */
    g->image[P_PML4 - 1][0] = P_PDPT * PAGE | C_BIT | 3;
    g->image[P_PDPT - 1][0] = P_PD * PAGE | C_BIT | 3;
    g->image[P_PD - 1][0] = P_PT * PAGE | C_BIT | 3;
    for (unsigned i = P_PML4; i < P_SCRIPT; i++) {
        pt[i] = i * PAGE | C_BIT | 3;
    }
    pt[P_SCRIPT] = P_SCRIPT * PAGE | 3;
    for (unsigned i = 0; i < 2; i++) {
        pt[P_OPEN + i] = (P_TRIED + i) * PAGE | 3;
    }
    copy(g->image[P_CODE - 1], sev_code, sev_code_end - sev_code);

    zero(g->npt, sizeof(g->npt));
    for (unsigned i = 0; i < 3; i++) {
        g->npt[i][0] = (uint64_t)g->npt[i + 1] | 7;
    }
    for (unsigned i = P_PML4; i <= NIMAGE - 1; i++) {
        g->npt[3][i] = (uint64_t)g->image[i - 1] | 7;
    }
    for (unsigned i = 0; i < 2; i++) {
        g->npt[3][P_TRIED + i] = (uint64_t)(tried + i * PAGE) | 7;
    }
    g->npt[3][P_SCRIPT] = (uint64_t)script | 7;

    put(g->vmcb, 0x00c, 1ul << 31 | 3ul << 32); /* SHUTDOWN; VMRUN, VMMCALL */
    put(g->vmcb, 0x058, g->asid | 1ul << 32);
    put(g->vmcb, 0x090, g->es ? 7 : 3);
    put(g->vmcb, 0x0b0, (uint64_t)g->npt[0]);
    put(g->vmcb, 0x0b8, g->es);
    put(g->vmcb, 0x108, g->es ? (uint64_t)g->vmsa : 0);
    if (g->es) {
        fill_save((uint8_t *)g->vmsa, true);
    } else {
        fill_save((uint8_t *)g->vmcb + 0x400, false);
    }
}

static void start(Machine *g, uint32_t asid, bool is_es)
{
    const uint64_t buf[4] = { (uint64_t)(is_es ? POLICY_ES : 0) << 32 };

    need(psp(SEV_START, buf, 32), "LAUNCH_START");
    g->handle = *(uint32_t *)psp_page;
    g->asid = asid;
    g->es = is_es;
    need(sev(SEV_ACTIVATE, g, asid, 0, 0, 0), "ACTIVATE");
}

static void launch(Machine *g, uint32_t asid, bool is_es)
{
    static Words measure;

    start(g, asid, is_es);
    make(g);
    need(sev(SEV_UPDATE_DATA, g, 0, (uint64_t)g->image, sizeof(g->image), 0),
         "LAUNCH_UPDATE_DATA");
    if (is_es) {
        need(sev(SEV_UPDATE_VMSA, g, 0, (uint64_t)g->vmsa, PAGE, 0),
             "LAUNCH_UPDATE_VMSA");
    }
    need(sev(SEV_MEASURE, g, 0, (uint64_t)measure, 48, 0), "LAUNCH_MEASURE");
    need(sev(SEV_FINISH, g, 0, 0, 0, 0), "LAUNCH_FINISH");
}

/* ---- what a guest does ---- */

enum { DO_EXIT, DO_LOAD, DO_STORE, DO_LOAD_BYTE, DO_STORE_BYTE, DO_CALL,
       DO_ADD, DO_MOVE };

typedef struct Op {
    uint64_t kind, addr, operand, result;
} Op;

static volatile Op *ops = (volatile Op *)script;
static unsigned nops;

static unsigned ask(unsigned kind, uint64_t addr, uint64_t operand)
{
    ops[nops].kind = kind;
    ops[nops].addr = addr;
    ops[nops].operand = operand;
    ops[nops].result = 0;
    ops[nops + 1].kind = DO_EXIT;
    return nops++;
}

/* What was asked, until it exits; how often it did so far */
static uint64_t go(Machine *g)
{
    static const uint64_t live[4] = { 0, 0, 0, P_SCRIPT * PAGE };
    uint64_t code;

    if (!nops) {
        ops[0].kind = DO_EXIT;
    }
    ops[nops].result = 0;
    run_guest((uint64_t)g->vmcb, live);
    code = g->vmcb[0x70 / 8];
    if (code != (g->es ? 0x403 : 0x81)) {
        print("# ASID %u: exit %lx, %lx %lx\n", g->asid, code,
              g->vmcb[0x78 / 8], g->vmcb[0x80 / 8]);
        bail("a guest does not get to its end");
    }
    if (!g->es) {
        /* behind VMMCALL */
        put((uint8_t *)g->vmcb + 0x400, 0x178, *(uint64_t *)
            ((uint8_t *)g->vmcb + 0x400 + 0x178) + 4);
    }
    return ops[nops].result;
}

static uint64_t do_one(Machine *g, unsigned kind, uint64_t addr,
                       uint64_t operand)
{
    unsigned n;

    nops = 0;
    n = ask(kind, addr, operand);
    go(g);
    return ops[n].result;
}

/* ---- who sees and writes what ---- */

typedef enum View {
    GUEST, FIRMWARE,                /* through the first guest's key */
    HOST, GUEST_OPEN, DEVICE,       /* through none */
    NVIEWS
} View;

static const char *const view_name[NVIEWS] = {
    "the guest", "the firmware", "the host", "the guest without the C-bit",
    "a device",
};

static bool is_keyed(View v)
{
    return v <= FIRMWARE;
}

static uint64_t guest_addr(View v, unsigned at)
{
    return (v == GUEST ? P_TRIED : P_OPEN) * PAGE + at;
}

static uint8_t bounce[64] __attribute__((aligned(4096)));

/* The blocks around eight bytes, by the firmware */
static void debug(unsigned cmd, unsigned at)
{
    uint64_t block = (uint64_t)tried + at / BLOCK * BLOCK;
    unsigned len = at % BLOCK > 8 ? 2 * BLOCK : BLOCK;
    bool out = cmd == SEV_DBG_DECRYPT;

    need(sev(cmd, &first, 0, out ? block : (uint64_t)bounce,
             out ? (uint64_t)bounce : block, len), "DBG");
}

static uint64_t see(View v, unsigned at)
{
    uint64_t val;

    switch (v) {
    case FIRMWARE:
        debug(SEV_DBG_DECRYPT, at);
        copy(&val, bounce + at % BLOCK, 8);
        return val;
    case HOST:
        return *(volatile uint64_t *)(tried + at);
    case DEVICE:
        dma_copy((uint32_t)(uint64_t)bounce,
                 (uint32_t)(uint64_t)tried + at, 8);
        return *(volatile uint64_t *)bounce;
    default:
        return do_one(&first, DO_LOAD, guest_addr(v, at), 0);
    }
}

static void write(View v, unsigned at, uint64_t val)
{
    switch (v) {
    case FIRMWARE:
        debug(SEV_DBG_DECRYPT, at);
        copy(bounce + at % BLOCK, &val, 8);
        debug(SEV_DBG_ENCRYPT, at);
        break;
    case HOST:
        *(volatile uint64_t *)(tried + at) = val;
        break;
    case DEVICE:
        *(volatile uint64_t *)bounce = val;
        dma_copy((uint32_t)(uint64_t)tried + at,
                 (uint32_t)(uint64_t)bounce, 8);
        break;
    default:
        do_one(&first, DO_STORE, guest_addr(v, at), val);
    }
}

/* ---- the tests ---- */

#define SPAN  4u                    /* words from the block before on */

/* Of the words around @at: those of this view, by @eyes of them */
static void words(View v, unsigned at, uint64_t out[SPAN])
{
    for (unsigned i = 0; i < SPAN; i++) {
        out[i] = see(v, at / BLOCK * BLOCK + i * 8);
    }
}

static unsigned differing_blocks(const uint64_t *a, const uint64_t *b)
{
    unsigned n = 0;

    for (unsigned i = 0; i < SPAN; i += 2) {
        n |= (a[i] != b[i] || a[i + 1] != b[i + 1]) << i / 2;
    }
    return n;
}

/*
 * MEM-SEV-KEY, MEM-SEV-WRITE, FW-SEV-CIPHER: @before was the last to write to
 * the page; now @writer does
 */
static void one_write(View before, View writer, unsigned at)
{
    uint64_t keyed[SPAN], open[SPAN], keyed2[SPAN], open2[SPAN], old, val;
    uint64_t *mine = is_keyed(writer) ? keyed2 : open2;
    unsigned touched = at % BLOCK > 8 ? 3 : 1;
    bool good;

    write(before, at ^ 0x40, see(before, at ^ 0x40));
    words(GUEST, at, keyed);
    words(HOST, at, open);
    old = see(writer, at);
    val = old * 3 + 0x1122334455667788;

    write(before, at ^ 0x40, see(before, at ^ 0x40));
    write(writer, at, val);
    for (View v = 0; v < NVIEWS; v++) {
        uint64_t now[SPAN];

        words(v, at, now);
        if (v == GUEST) {
            copy(keyed2, now, sizeof(now));
        } else if (v == HOST) {
            copy(open2, now, sizeof(now));
        }
        good = !differing_blocks(now, is_keyed(v) ? keyed2 : v < HOST ? now
                                                             : open2);
        if (cell(good)) {
            print("# %x, written by %s after %s: %s sees %lx\n", at,
                  view_name[writer], view_name[before], view_name[v], now[0]);
        }
    }
    /* it is there, and nothing else of that kind has changed */
    good = see(writer, at) == val;
    copy((uint8_t *)mine + at % BLOCK, &old, 8);
    good &= !differing_blocks(mine, is_keyed(writer) ? keyed : open);
    if (cell(good)) {
        print("# %x, written by %s after %s: not what was written\n", at,
              view_name[writer], view_name[before]);
    }
    /* of the other kind, those blocks */
    good = differing_blocks(is_keyed(writer) ? open : keyed,
                            is_keyed(writer) ? open2 : keyed2) == touched;
    if (cell(good)) {
        print("# %x, written by %s after %s: others see changes in other "
              "blocks\n", at, view_name[writer], view_name[before]);
    }
    /* and the same again as soon as the content is */
    write(writer, at, old);
    words(GUEST, at, keyed2);
    words(HOST, at, open2);
    if (cell(!differing_blocks(keyed, keyed2) &&
             !differing_blocks(open, open2))) {
        print("# %x, written by %s after %s: not the same once more\n", at,
              view_name[writer], view_name[before]);
    }
}

static void test_writes(void)
{
    static const unsigned places[] = { 0, 8, 0x123, 0x7fc, 0xfe0, 0x1ba8 };

    ktap_begin();
    for (View before = 0; before < NVIEWS; before++) {
        for (View writer = 0; writer < NVIEWS; writer++) {
            for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
                one_write(before, writer, places[i]);
            }
        }
    }
    ktap_end("whoever wrote last x whoever writes x whoever looks");
}

static void fill(uint8_t *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        p[i] = i * 7 + i / 64;
    }
}

/* In how many blocks two pages are not the same */
static unsigned unlike(const uint8_t *a, const uint8_t *b, unsigned n)
{
    unsigned differ = 0;

    for (unsigned i = 0; i < n; i += BLOCK) {
        const volatile uint64_t *x = (const volatile uint64_t *)(a + i);
        const volatile uint64_t *y = (const volatile uint64_t *)(b + i);

        differ += x[0] != y[0] || x[1] != y[1];
    }
    return differ;
}

static uint8_t text[sizeof(tried)], other[sizeof(tried)];
#define BLOCKS (sizeof(tried) / BLOCK)

static void test_launch(void)
{
    ktap_begin();
    /* the guests' images were launched; nobody has run yet */
    fill(text, sizeof(text));
    cell(unlike((uint8_t *)first.image[P_CODE - 1], (uint8_t *)sev_code,
                (sev_code_end - sev_code) / BLOCK * BLOCK) ==
         (unsigned)(sev_code_end - sev_code) / BLOCK);
    cell(unlike((uint8_t *)first.image[P_CODE - 1],
                (uint8_t *)second.image[P_CODE - 1], PAGE) == PAGE / BLOCK);
    cell(unlike((uint8_t *)first.image[P_STACK - 1],
                (uint8_t *)first.image[P_STACK - 1] + 0x800, 0x800) == 0x80);
    for (unsigned i = 1; i < 4; i++) {
        nops = 0;
        cell(go(&first) == i);
    }
    cell(go(&second) == 1);
    ktap_end("what is launched is the guest's, and nobody else's");
}

/* The same content through one key and another, here and there */
static void test_keys(void)
{
    ktap_begin();
    copy(tried, text, sizeof(text));
    for (unsigned at = 0; at < sizeof(tried); at += 8) {
        do_one(&first, DO_STORE, P_TRIED * PAGE + at, *(uint64_t *)
               (text + at % 64));
    }
    copy(other, tried, sizeof(tried));
    cell(unlike(other, text, sizeof(text)) == BLOCKS);
    cell(unlike(other, other + PAGE, PAGE) == PAGE / BLOCK);
    cell(unlike(other, other + 64, 0x800) == 0x80);
    for (unsigned at = 0; at < sizeof(tried); at += 8) {
        do_one(&second, DO_STORE, P_TRIED * PAGE + at, *(uint64_t *)
               (text + at % 64));
    }
    cell(unlike(other, tried, sizeof(tried)) == BLOCKS);
    cell(do_one(&second, DO_LOAD, P_TRIED * PAGE, 0) == *(uint64_t *)text);
    cell(do_one(&first, DO_LOAD, P_TRIED * PAGE, 0) != *(uint64_t *)text);
    /* one reads on where the other has written, and the host's content is kept */
    for (unsigned i = 0; i < sizeof(tried); i++) {
        tried[i] = other[i];
    }
    cell(do_one(&first, DO_LOAD, P_TRIED * PAGE + 0x1008, 0) ==
         *(uint64_t *)(text + 8));
    cell(!unlike(other, tried, sizeof(tried)));
    ktap_end("the same content by another key, or elsewhere");
}

/* Bytes, atomic operations, both kinds of access in one instruction, code */
static void test_instructions(void)
{
    /* mov $0x5e5e5e5e, %eax; ret; and what fills the block */
    static const uint8_t code[16] = { 0xb8, 0x5e, 0x5e, 0x5e, 0x5e, 0xc3 };
    const uint64_t *word = (const uint64_t *)code;

    ktap_begin();
    for (unsigned taken = 0; taken < 2; taken++) {
        uint64_t at = P_TRIED * PAGE + 0x208, open = P_OPEN * PAGE + 0x308;
        volatile uint64_t *host = (volatile uint64_t *)(tried + 0x308);
        uint64_t old;

        do_one(&first, DO_STORE, at, 0x1000);
        do_one(&first, DO_STORE, at - 8, word[0]);
        if (taken) {
            tried[0x400]++;             /* the host takes the page */
        }
        cell(do_one(&first, DO_ADD, at, 5) == 0x1000);
        cell(do_one(&first, DO_LOAD, at, 0) == 0x1005);
        if (taken) {
            tried[0x400]++;
        }
        do_one(&first, DO_STORE_BYTE, at + 3, 0x77);
        cell(do_one(&first, DO_LOAD, at, 0) == 0x77001005);
        cell(do_one(&first, DO_LOAD_BYTE, at + 3, 0) == 0x77);
        do_one(&first, DO_STORE, at - 8, word[0]);
        if (taken) {
            tried[0x400]++;
        }
        cell(do_one(&first, DO_CALL, at - 8, 0) == 0x5e5e5e5e);

        *host = 7;
        if (!taken) {
            do_one(&first, DO_STORE, at, 0x77001005);
        }
        cell(do_one(&first, DO_ADD, open, 4) == 7 && *host == 11);
        /* from the page through the key to the same page without, and back */
        do_one(&first, DO_STORE, at, 0x1234);
        old = see(HOST, 0x208);
        do_one(&first, DO_MOVE, at, open + 0x100);
        cell(see(HOST, 0x408) == 0x1234 && see(HOST, 0x208) == old);
        do_one(&first, DO_MOVE, P_OPEN * PAGE + 0x208, open + 0x108);
        cell(see(HOST, 0x410) == old);
        do_one(&first, DO_MOVE, open + 0x100, at + 0x400);
        cell(do_one(&first, DO_LOAD, at + 0x400, 0) == 0x1234);
    }
    /* the processor's own accesses: bits of page tables, through the key */
    nops = 0;
    ask(DO_LOAD, P_PT * PAGE + P_TRIED * 8, 0);
    ask(DO_LOAD, P_PT * PAGE + P_PML4 * 8, 0);
    go(&first);
    cell((ops[0].result & 0xfff) == (3 | PTE_A | PTE_D));
    cell((ops[1].result & 0xfff) == 3);
    ktap_end("bytes, atomic operations, both kinds at once, code, tables");
}

/*
 * A nested fault tells the host the bytes of the instruction, the first one that
 * is fetched since the host wrote to its page.
 */
static void test_bytes(void)
{
    const uint64_t live[4] = { 0, 0, (P_TRIED + 1) * PAGE, P_SCRIPT * PAGE };
    volatile uint8_t *code = (volatile uint8_t *)first.image[P_CODE - 1];
    const uint8_t *told = (const uint8_t *)first.vmcb + 0xd0;
    uint64_t *rip = (uint64_t *)((uint8_t *)first.vmcb + 0x400 + 0x178);
    uint64_t *leaf = &first.npt[3][P_TRIED + 1], was = *leaf, at;

    ktap_begin();
    for (unsigned i = 0; i < sev_code_end - sev_code; i += 8) {
        do_one(&first, DO_STORE, P_TRIED * PAGE + 0xa00 + i,
               *(uint64_t *)(sev_code + i));
    }
    at = *rip;
    *leaf = 0;
    for (unsigned taken = 0; taken < 3; taken++) {
        *rip = P_CODE * PAGE + (sev_load - sev_code);
        if (taken == 1) {
            code[PAGE - 1] ^= 1;
            code[PAGE - 1] ^= 1;
        } else if (taken == 2) {
            /* for good: its save area is there */
            *rip = P_TRIED * PAGE + 0xa00 + (sev_load - sev_code);
            wrmsr(MSR_HSAVE, (uint64_t)tried);
        }
        run_guest((uint64_t)first.vmcb, live);
        cell(first.vmcb[0x70 / 8] == 0x400 && told[0] == 15);
        for (unsigned i = 0; i < 15; i++) {
            cell(told[1 + i] == (uint8_t)sev_load[i]);
        }
    }
    *leaf = was;
    *rip = at;
    wrmsr(MSR_HSAVE, (uint64_t)hsave);
    ktap_end("bytes of an instruction that faults");
}

/* MEM-SEV-VMSA */
static void test_vmsa(void)
{
    /* mov $1d9h, %ecx; rdmsr; push %rax; mov $3fh, %al; wrmsr; pop %rax; ret */
    static const uint8_t debugctl[16] = {
        0xb9, 0xd9, 0x01, 0, 0, 0x0f, 0x32, 0x50, 0xb0, 0x3f, 0x0f, 0x30,
        0x58, 0xc3,
    };
    uint64_t host = rdmsr(MSR_DEBUGCTL);
    static Words fresh, then;

    ktap_begin();
    zero(fresh, PAGE);
    fill_save((uint8_t *)fresh, true);
    cell(unlike((uint8_t *)fresh, (uint8_t *)es.vmsa, PAGE) == PAGE / BLOCK);
    for (unsigned i = 1; i < 6; i++) {
        copy(then, es.vmsa, PAGE);
        nops = 0;
        cell(go(&es) == i);
        cell(unlike((uint8_t *)then, (uint8_t *)es.vmsa, PAGE) > 0);
        cell(unlike((uint8_t *)fresh, (uint8_t *)es.vmsa, PAGE) ==
             PAGE / BLOCK);
        if (i == 3) {
            /* the host takes it, and puts back what was there */
            es.vmsa[511] ^= 1;
            es.vmsa[511] ^= 1;
        }
    }
    /* DEBUGCTL, one of what LBR virtualization swaps: read, then written */
    for (unsigned i = 0; i < sizeof(debugctl); i += 8) {
        do_one(&es, DO_STORE, P_TRIED * PAGE + 0xb00 + i,
               get64(debugctl, i));
    }
    for (uint64_t now = DEBUGCTL, i = 0; i < 3; i++, now = 0x3f) {
        uint64_t said = do_one(&es, DO_CALL, P_TRIED * PAGE + 0xb00, 0);

        if (cell(said == now && rdmsr(MSR_DEBUGCTL) == host &&
                 get64(es.vmsa, 0x270) != 0x3f)) {
            print("# DEBUGCTL is %lx, not %lx; to the host %lx\n", said, now,
                  get64(es.vmsa, 0x270));
        }
    }
    do_one(&es, DO_STORE, P_TRIED * PAGE, 0xabcdef);
    cell(do_one(&es, DO_LOAD, P_TRIED * PAGE, 0) == 0xabcdef);
    cell(see(HOST, 0) != 0xabcdef);
    ktap_end("a SEV-ES guest, and its VMSA");
}

/* MEM-SEV-VMRUN: the host's pages, where a guest has been last */
static void test_vmrun(void)
{
    uint64_t *control = (uint64_t *)tried;
    const uint64_t live[4] = { 0, 0, 0, P_SCRIPT * PAGE };

    ktap_begin();
    copy(tried, first.vmcb, PAGE);
    put(tried, 0x70, 0);
    copy(tried + PAGE, hsave, PAGE);
    nops = 0;
    ask(DO_LOAD, P_TRIED * PAGE, 0);
    ask(DO_LOAD, (P_TRIED + 1) * PAGE, 0);
    go(&second);
    nops = 0;
    ask(DO_EXIT, 0, 0);
    run_guest((uint64_t)tried, live);
    cell(control[0x70 / 8] == 0x81);
    wrmsr(MSR_HSAVE, (uint64_t)tried + PAGE);
    nops = 0;
    cell(go(&es) == 13);
    nops = 0;
    ask(DO_LOAD, (P_TRIED + 1) * PAGE, 0);
    go(&second);
    nops = 0;
    cell(go(&es) == 14);
    wrmsr(MSR_HSAVE, (uint64_t)hsave);
    ktap_end("VMCB and host save area are the host's, whoever was there");
}

/* FW-DFFLUSH-KEY: what a guest leaves, to itself, to the next one and others */
static void test_end(void)
{
    ktap_begin();
    do_one(&first, DO_STORE, P_TRIED * PAGE, 0xabcdef);
    copy(other, tried, sizeof(tried));
    need(sev(SEV_DEACTIVATE, &first, 0, 0, 0, 0), "DEACTIVATE");
    cell(!unlike(other, tried, sizeof(tried)));
    /* it runs on until somebody flushes its ASID */
    cell(do_one(&first, DO_LOAD, P_TRIED * PAGE, 0) == 0xabcdef);
    cell(!unlike(other, tried, sizeof(tried)));
    need(sev(SEV_DECOMMISSION, &first, 0, 0, 0, 0), "DECOMMISSION");
    asm volatile("wbinvd" : : : "memory");
    need(psp(SEV_DF_FLUSH, NULL, 0), "DF_FLUSH");
    cell(!unlike(other, tried, sizeof(tried)));
    launch(&first, first.asid, false);
    cell(do_one(&first, DO_LOAD, P_TRIED * PAGE, 0) != 0xabcdef);
    cell(!unlike(other, tried, sizeof(tried)));
    ktap_end("what a guest leaves behind is ciphertext, for good");
}

void suite_sev(void)
{
    const uint64_t init[3] = { 1, TMR, TMR_LEN };
    volatile uint64_t *store;
    const char *wrong = dma_init(&store);
    uint32_t r[4];

    ktap_plan(8);
    if (wrong) {
        bail(wrong);
    }
    dma_map(MAP_OFF, (uint64_t)tried);
    cpuid(0x8000001f, 0, r);
    wrmsr(MSR_HSAVE, (uint64_t)hsave);
    host_vmsave((uint64_t)hsave);
    put(hsave, 0x400 + 0x3e8, 1);           /* XCR0 comes from there */
    need(psp(SEV_INIT, init, sizeof(init)), "INIT");
    launch(&first, r[3], false);
    launch(&second, r[3] + 1, false);
    launch(&es, 1, true);
    test_launch();
    test_writes();
    test_keys();
    test_instructions();
    test_bytes();
    test_vmsa();
    test_vmrun();
    test_end();
}
