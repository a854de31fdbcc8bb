/*
 * What others see of an SNP guest's memory, and of pages that firmware takes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the host and a guest read of a guest's pages is compared with what was
 * put there, and with what is read elsewhere, later, and under other keys.
 *
 * APM volume 2, 15.34 and 15.36; SNP firmware ABI (56860).
 */
#include "model.h"

#define GROUND   0x08000000ul   /* 2 MiB whose pages change hands */
#define BLOCK    2u             /* words of the cipher's block */
#define WORDS    (PAGE / 8)
#define CMD_LAUNCH_FINISH 0x0a2

void run_guest(void *vmcb, const uint64_t r[4]);
void same_breath(const void *page, volatile uint32_t *reg, uint32_t value,
                 uint64_t *out);
extern char guest_code[], guest_end[];

static void need(uint32_t status, const char *what)
{
    if (status) {
        print("# %s: status %x\n", what, status);
        bail("a firmware command fails");
    }
}

static void test(bool holds, const char *what)
{
    ktap_begin();
    cell(holds);
    ktap_end("%s", what);
}

/* ---- pages ---- */

static uint64_t next_page = GROUND;

/* Of those whose owner may change, zero */
static uint64_t *get_page(void)
{
    uint64_t *p = (uint64_t *)next_page;

    next_page += PAGE;
    zero(p, PAGE);
    return p;
}

static void rmpupdate(void *page, const Update *u)
{
    need(op_rmpupdate((uint64_t)page, (uint64_t)u), "RMPUPDATE");
}

static void to_firmware(void *page)
{
    rmpupdate(page, &(Update){ .assigned = 1, .immutable = 1 });
}

static void to_guest(void *page, uint64_t gpa, uint32_t asid, bool launch)
{
    rmpupdate(page, &(Update){ .gpa = gpa, .assigned = 1, .asid = asid,
                                .immutable = launch });
}

static void to_host(void *page)
{
    rmpupdate(page, &(Update){ 0 });
}

typedef struct Launch {
    uint64_t *context;
    uint32_t asid;
} Launch;

static Launch new_guest(uint32_t asid)
{
    Launch g = { get_page(), asid };
    uint64_t at = (uint64_t)g.context;

    to_firmware(g.context);
    need(fw_page(CMD_GCTX_CREATE, at), "SNP_GCTX_CREATE");
    need(fw_launch_start(at), "SNP_LAUNCH_START");
    need(fw_activate(at, asid), "SNP_ACTIVATE");
    return g;
}

static void launch(Launch g, void *page, uint64_t gpa, unsigned type)
{
    to_guest(page, gpa, g.asid, true);
    need(fw_launch_update((uint64_t)g.context, (uint64_t)page, false, type, 0),
         "SNP_LAUNCH_UPDATE");
}

/* ---- what is compared ---- */

static uint64_t seen[4][WORDS];

/* By eight bytes at a time */
static uint64_t *look(unsigned i, const volatile uint64_t *page)
{
    for (unsigned w = 0; w < WORDS; w++) {
        seen[i][w] = page[w];
    }
    return seen[i];
}

static void write_text(uint64_t *page)
{
    for (unsigned w = 0; w < WORDS; w++) {
        page[w] = w * 0x0101010101010101ul + 0x123456789abcul;
    }
}

/* In how many blocks two pages differ */
static unsigned differing(const uint64_t *a, const uint64_t *b)
{
    unsigned n = 0;

    for (unsigned w = 0; w < WORDS; w += BLOCK) {
        n += a[w] != b[w] || a[w + 1] != b[w + 1];
    }
    return n;
}

#define ALL (WORDS / BLOCK)

static uint64_t text[WORDS];

/* Accesses of other sizes than `look`, at all alignments */
static bool other_sizes(const void *page, const uint64_t *as)
{
    const uint8_t *want = (const uint8_t *)as;

    for (unsigned at = 0; at + 8 <= PAGE; at += 7) {
        const volatile uint8_t *p = (const volatile uint8_t *)page + at;
        uint64_t w8;
        uint32_t w4;
        uint16_t w2;

        asm volatile("mov %1, %0" : "=r"(w8) : "m"(*(uint64_t *)p));
        asm volatile("mov %1, %0" : "=r"(w4) : "m"(*(uint32_t *)p));
        asm volatile("mov %1, %0" : "=r"(w2) : "m"(*(uint16_t *)p));
        for (unsigned i = 0; i < 8; i++) {
            if ((uint8_t)(w8 >> 8 * i) != want[at + i] ||
                (i < 4 && (uint8_t)(w4 >> 8 * i) != want[at + i]) ||
                (i < 2 && (uint8_t)(w2 >> 8 * i) != want[at + i])) {
                return false;
            }
        }
        if (*p != want[at]) {
            return false;
        }
    }
    return true;
}

/* ---- a guest that runs ---- */

/* Guest physical pages; the low 2 MiB are mapped one to one */
enum { G_PML4 = 1, G_PDPT, G_PD, G_PT, G_CODE, G_OWN, G_MAILBOX, G_OPEN,
       G_OTHERS, G_ENTRY, G_ENTRY2 };

static uint64_t vmcb[WORDS] __attribute__((aligned(PAGE)));
static uint64_t hsave[WORDS] __attribute__((aligned(PAGE)));
static uint64_t npt[4][WORDS] __attribute__((aligned(PAGE)));

static void put(void *page, unsigned at, unsigned n, uint64_t v)
{
    copy((uint8_t *)page + at, &v, n);
}

/* Where the RMP has a page's entry (PPR of family 19h) */
static uint64_t rmp_entry(const void *page)
{
    return rdmsr(0xc0010132) + 0x4000 + (uint64_t)page / PAGE * 16;
}

static void put_segment(void *vmsa, unsigned at, uint16_t sel, uint16_t attr)
{
    put(vmsa, at, 2, sel);
    put(vmsa, at + 2, 2, attr);
    put(vmsa, at + 4, 4, 0xffffffff);
}

static void make_vmsa(uint64_t *v)
{
    put_segment(v, 0x00, 16, 0xc93);            /* ES */
    put_segment(v, 0x10, 8, 0xa9b);             /* CS */
    put_segment(v, 0x20, 16, 0xc93);            /* SS */
    put_segment(v, 0x30, 16, 0xc93);            /* DS */
    put_segment(v, 0x90, 0, 0x08b);             /* TR */
    put(v, 0x0d0, 8, 0x1d00);                   /* EFER: SVME NXE LMA LME */
    put(v, 0x148, 8, 0x20);                     /* CR4: PAE */
    put(v, 0x150, 8, G_PML4 * PAGE | C_BIT);    /* CR3 */
    put(v, 0x158, 8, 0x80000011);               /* CR0 */
    put(v, 0x160, 8, 0x400);                    /* DR7 */
    put(v, 0x168, 8, 0xffff0ff0);               /* DR6 */
    put(v, 0x170, 8, 2);                        /* RFLAGS */
    put(v, 0x178, 8, G_CODE * PAGE);            /* RIP */
    put(v, 0x268, 8, 0x0007040600070406);       /* PAT */
    put(v, 0x340, 8, G_MAILBOX * PAGE);         /* R8.. */
    put(v, 0x348, 8, G_OWN * PAGE);
    put(v, 0x350, 8, G_OPEN * PAGE);
    put(v, 0x358, 8, G_OTHERS * PAGE);
    put(v, 0x360, 8, G_ENTRY * PAGE + rmp_entry(vmcb) % PAGE);
    put(v, 0x368, 8, G_ENTRY2 * PAGE + rmp_entry(hsave) % PAGE);
    put(v, 0x3b0, 8, 1);                        /* SEV_FEATURES: SNPActive */
    put(v, 0x3e8, 8, 1);                        /* XCR0 */
    put(v, 0x408, 4, 0x1f80);                   /* MXCSR */
    put(v, 0x410, 2, 0x037f);                   /* FCW */
}

static void map_nested(unsigned gpn, const void *page)
{
    npt[3][gpn] = (uint64_t)page | 7;
}

static const uint64_t no_regs[4];

/* Returns the exit code. */
static uint64_t run(uint32_t asid, const void *vmsa)
{
    zero(vmcb, PAGE);
    put(vmcb, 0x010, 4, 1);                     /* intercept VMRUN */
    put(vmcb, 0x00c, 4, 1u << 31);              /* and SHUTDOWN */
    put(vmcb, 0x058, 8, asid | 1ul << 32);      /* flush */
    put(vmcb, 0x090, 8, 7);                     /* NP, SEV, SEV-ES */
    put(vmcb, 0x0b0, 8, (uint64_t)npt[0]);
    put(vmcb, 0x0b8, 8, 1);                     /* LBR virtualization */
    put(vmcb, 0x108, 8, (uint64_t)vmsa);
    /* the host's part of what a SEV-ES guest swaps */
    zero(hsave, PAGE);
    put(hsave, 0x400 + 0x3e8, 8, 1);
    run_guest(vmcb, no_regs);
    return vmcb[0x70 / 8];
}

/* ---- a guest without protection: real mode, one exit ---- */

enum { EXIT_HLT = 0x78, EXIT_IO = 0x7b, EXIT_MSR = 0x7c };

/* @code, and then HLT */
static uint64_t run_plain(const uint8_t *code, unsigned len, const void *iopm,
                          const void *msrpm)
{
    static uint8_t at[PAGE] __attribute__((aligned(PAGE)));
    uint8_t *save = (uint8_t *)vmcb + 0x400;

    copy(at, code, len);
    at[len] = 0xf4;
    zero(vmcb, PAGE);
    put(vmcb, 0x010, 4, 1);                     /* intercept VMRUN, */
    put(vmcb, 0x00c, 4, 1u << 24 | 1u << 27 | 1u << 28 | 1u << 31);
    put(vmcb, 0x040, 8, (uint64_t)iopm);        /* HLT, ports, MSRs, SHUTDOWN */
    put(vmcb, 0x048, 8, (uint64_t)msrpm);
    put(vmcb, 0x058, 8, 200 | 1ul << 32);
    for (unsigned i = 0; i < 4; i++) {
        put(save, i * 16 + 2, 2, i == 1 ? 0x9b : 0x93);
        put(save, i * 16 + 4, 4, 0xffff);
    }
    put(save, 0x18, 8, (uint64_t)at);
    put(save, 0x0d0, 8, 0x1000);                /* EFER: SVME */
    put(save, 0x158, 8, 0x10);                  /* CR0 */
    put(save, 0x160, 8, 0x400);
    put(save, 0x168, 8, 0xffff0ff0);
    put(save, 0x170, 8, 2);
    put(save, 0x268, 8, 0x0007040600070406);
    run_guest(vmcb, no_regs);
    return vmcb[0x70 / 8];
}

/* ---- the tests ---- */

static void snp_init(void)
{
    uint64_t syscfg = rdmsr(0xc0010010);
    uint64_t init = 1;                                    /* INIT_RMP */

    wrmsr(0xc0010010, syscfg | 1ul << 19);                /* MFDM */
    wrmsr(0xc0010010, syscfg | 1ul << 19 | 3ul << 24);    /* SNP, VMPL */
    need(psp(CMD_SNP_INIT_EX, &init, sizeof(init)), "SNP_INIT_EX");
    wrmsr(0xc0010117, (uint64_t)hsave);
}

static void test_host(Launch g, Launch g2)
{
    uint64_t *a = get_page(), *b = get_page(), *as;

    write_text(a);
    write_text(b);
    launch(g, a, 0x100000, TYPE_NORMAL);
    launch(g, b, 0x101000, TYPE_NORMAL);
    as = look(0, a);
    look(1, b);
    test(differing(as, text) == ALL && differing(seen[1], text) == ALL,
         "no block of a guest's page is in the clear to the host");
    test(!differing(as, look(2, a)) && other_sizes(a, as),
         "it reads the same each time, by any size and alignment");
    test(differing(as, seen[1]) == ALL,
         "the same content elsewhere reads otherwise");

    to_host(a);
    look(2, a);
    write_text(a);
    test(!differing(as, seen[2]) && !differing(look(2, a), text),
         "given back, it is that ciphertext, and the host's to write");

    a[77] ^= 1;
    launch(g, a, 0x100000, TYPE_NORMAL);
    test(differing(as, look(2, a)) == 1 && seen[2][76] != as[76],
         "another bit in one block of it reads otherwise in that block");
    to_host(a);

    write_text(a);
    launch(g2, a, 0x100000, TYPE_NORMAL);
    test(differing(look(2, a), text) == ALL && differing(as, seen[2]) == ALL,
         "another guest's key makes something else of it");
    to_host(a);

    /* to the host nothing happens when it gives a page away */
    write_text(a);
    to_guest(a, 0x100000, g.asid, false);
    look(2, a);
    to_host(a);
    test(!differing(seen[2], text) && !differing(look(2, a), text),
         "content that was there before the guest is no secret");
}

/* A command and the flush that goes with it are one to who gives it. */
static void test_breath(Launch g)
{
    uint64_t *a = get_page(), out[2];
    const uint64_t update[] = { (uint64_t)g.context, TYPE_NORMAL << 1,
                                (uint64_t)a };
    volatile uint32_t *reg;

    write_text(a);
    to_guest(a, 0x100000, g.asid, true);
    reg = psp_ready(update, sizeof(update));
    same_breath(a, reg, CMD_LAUNCH_UPDATE << 16, out);
    need(psp_wait(), "SNP_LAUNCH_UPDATE");
    look(0, a);
    test(differing(seen[0], text) == ALL &&
         out[1] == (out[0] & PSP_DONE ? seen[0][0] : text[0]),
         "once a command is done, its own CPU sees ciphertext");
}

/* What a map permits is what the host sees of the page that it is in. */
static void test_maps(Launch g)
{
    uint64_t *a = get_page();
    const uint8_t *bits = (const uint8_t *)seen[0];
    unsigned as_text = 0, as_seen = 0, wrong = 0;

    write_text(a);
    launch(g, a, 0x100000, TYPE_NORMAL);
    look(0, a);
    for (unsigned i = 0x80; i < 0x100; i++) {
        bool io = i < 0xc0;             /* ports, and the MSRs from 20h */
        unsigned n = io ? i : (i - 0xa0) * 2;
        uint8_t in[] = { 0xe4, i };
        uint8_t rdmsr[] = { 0x66, 0xb9, i - 0xa0, 0, 0, 0, 0x0f, 0x32 };
        uint64_t code = io ? run_plain(in, 2, a, npt) :
                        run_plain(rdmsr, 8, npt, a);
        bool exits = code == (io ? EXIT_IO : EXIT_MSR);

        wrong += !exits && code != EXIT_HLT;
        as_text += exits == (((uint8_t *)text)[n / 8] >> n % 8 & 1);
        as_seen += exits == (bits[n / 8] >> n % 8 & 1);
    }
    test(!wrong && as_seen == 0x80 && as_text != 0x80,
         "maps of ports and MSRs in a guest's page tell of its ciphertext");
}

/* What the chipset shows at D0000h: memory, or PCI with nothing there */
static void show_memory(bool on)
{
    pci_write(0, 0x90, (pci_read(0, 0x90) & 0x00ffffff) |
                       (on ? 0x33000000 : 0));
}

static void test_hidden(Launch g)
{
    uint64_t *a = (uint64_t *)0xd0000;

    show_memory(true);
    write_text(a);
    launch(g, a, 0x100000, TYPE_NORMAL);
    look(0, a);
    show_memory(false);
    look(1, a);
    to_host(a);
    show_memory(true);
    look(2, a);
    test(differing(seen[0], text) == ALL && !differing(seen[0], seen[2]),
         "a page given back while the chipset hides it is ciphertext");
}

static void test_guest(Launch g, Launch g2)
{
    uint64_t *page[G_OTHERS + 1], *vmsa = get_page(), *foreign = get_page();
    const uint64_t at[2] = { rmp_entry(vmcb), rmp_entry(hsave) };
    volatile uint64_t *mail, *entry[2];
    const uint64_t finish[8] = { (uint64_t)g.context };
    uint64_t code, now, idle[2][2];

    for (unsigned i = G_PML4; i <= G_OTHERS; i++) {
        page[i] = get_page();
    }
    page[G_PML4][0] = G_PDPT * PAGE | C_BIT | 3;
    page[G_PDPT][0] = G_PD * PAGE | C_BIT | 3;
    page[G_PD][0] = G_PT * PAGE | C_BIT | 3;
    page[G_PT][G_CODE] = G_CODE * PAGE | C_BIT | 3;
    page[G_PT][G_OWN] = G_OWN * PAGE | C_BIT | 3;
    page[G_PT][G_OPEN] = G_OWN * PAGE | 3;
    page[G_PT][G_MAILBOX] = G_MAILBOX * PAGE | 3;
    page[G_PT][G_OTHERS] = G_OTHERS * PAGE | 3;
    page[G_PT][G_ENTRY] = G_ENTRY * PAGE | 3;
    page[G_PT][G_ENTRY2] = G_ENTRY2 * PAGE | 3;
    copy(page[G_CODE], guest_code, guest_end - guest_code);
    write_text(page[G_OWN]);
    write_text(foreign);
    make_vmsa(vmsa);
    npt[0][0] = (uint64_t)npt[1] | 7;
    npt[1][0] = (uint64_t)npt[2] | 7;
    npt[2][0] = (uint64_t)npt[3] | 7;
    for (unsigned i = G_PML4; i <= G_OWN; i++) {
        map_nested(i, page[i]);
        launch(g, page[i], i * PAGE, TYPE_NORMAL);
    }
    map_nested(G_MAILBOX, page[G_MAILBOX]);
    map_nested(G_OTHERS, foreign);
    for (unsigned i = 0; i < 2; i++) {
        map_nested(G_ENTRY + i, (void *)(at[i] & ~(PAGE - 1)));
        entry[i] = (uint64_t *)at_leaf(at[i], LEAF_1G);
        idle[i][0] = entry[i][0];
        idle[i][1] = entry[i][1];
    }
    launch(g2, foreign, 0x102000, TYPE_NORMAL);
    launch(g, vmsa, 0xfffffffff000, TYPE_VMSA);
    need(psp(CMD_LAUNCH_FINISH, finish, sizeof(finish)), "SNP_LAUNCH_FINISH");

    look(0, page[G_OWN]);
    look(1, foreign);
    code = run(g.asid, vmsa);
    if (code != 0x403) {
        print("# exit code %lx\n", code);
        bail("the guest did not get to its VMGEXIT");
    }
    mail = page[G_MAILBOX];
    now = ((volatile uint64_t *)page[G_OWN])[0x100 / 8];
    look(2, page[G_OWN]);
    test(mail[0] == text[0] && mail[1] == text[1] &&
         mail[2] == seen[0][0] && mail[3] == seen[0][1] &&
         mail[4] == seen[1][0] && mail[5] == seen[1][1] &&
         mail[2] != mail[0] && mail[4] != mail[0] && mail[4] != mail[2],
         "a guest reads its own in the clear, without the C-bit and of "
         "others what the host sees");
    test(differing(seen[0], seen[2]) == 1 && now == seen[2][0x100 / 8] &&
         mail[6] == now && mail[7] == seen[2][0x108 / 8] && now != 0x5eed,
         "what a guest writes changes that block, to all at once");
    test((mail[8] != idle[0][0] || mail[9] != idle[0][1]) &&
         (mail[10] != idle[1][0] || mail[11] != idle[1][1]) &&
         entry[0][0] == idle[0][0] && entry[0][1] == idle[0][1] &&
         entry[1][0] == idle[1][0] && entry[1][1] == idle[1][1],
         "VMCB and host save area are in use while a guest runs, and not "
         "after");
}

void suite_outside(void)
{
    Launch g, g2;

    ktap_plan(13);
    /* pages are given away, and around them there is more to write to */
    paging_split(0);
    paging_split(GROUND);
    write_text(text);
    snp_init();
    g = new_guest(1);
    g2 = new_guest(2);
    test_host(g, g2);
    test_breath(g);
    test_maps(g);
    test_hidden(g);
    test_guest(g, g2);
}
