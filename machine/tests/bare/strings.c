/*
 * REP STOS and REP MOVS: what is written, and where they stop
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For hosts of any kind: nothing here wants a secure processor. APM volume 3
 * (MOVS, STOS, REP), volume 2, 13.1.1 (data breakpoints), 7.6.1
 * (self-modifying code).
 */
#include "modes.h"

#define WINDOW        (SPARE + 2 * SIZE_2M)     /* has leaves of 4K */
#define BYTES         (48 * PAGE)
#define FROM          (WINDOW + 3 * PAGE)       /* of the window, to write to */
#define MODEL         (SPARE + 8 * SIZE_2M)
#define STEPS         70000u
#define CR0_WP        (1ul << 16)
#define VALUE         0x8877665544332211ul
#define DR7_ONE_BYTE  0x10001ul                 /* L0; a write of one byte */

/* There is none, nor need there be. */
const char *psp_find(void)
{
    return NULL;
}

typedef struct Regs {
    uint64_t rcx, rsi, rdi;
} Regs;

typedef struct String {
    bool movs, back;
    unsigned size;
    Regs r;
} String;

static void do_string(const String *s, Regs *r)
{
    uint64_t a = VALUE;

#define DO(insn) \
    asm volatile(insn : "+c"(r->rcx), "+S"(r->rsi), "+D"(r->rdi) : "a"(a) \
                 : "memory", "cc")
    if (s->back) {
        asm volatile("std");
    }
    switch (s->size * 2 + s->movs) {
    case 2:
        DO("rep stosb");
        break;
    case 3:
        DO("rep movsb");
        break;
    case 4:
        DO("rep stosw");
        break;
    case 5:
        DO("rep movsw");
        break;
    case 8:
        DO("rep stosl");
        break;
    case 9:
        DO("rep movsl");
        break;
    case 16:
        DO("rep stosq");
        break;
    case 17:
        DO("rep movsq");
        break;
    }
#undef DO
    asm volatile("cld");
}

/* The same in the model, one byte of one element after another. */
static void model(const String *s, Regs *r, uint64_t elements)
{
    volatile uint8_t *m = (volatile uint8_t *)(MODEL - WINDOW);
    int64_t step = s->back ? -(int64_t)s->size : (int64_t)s->size;

    for (; elements; elements--) {
        uint8_t e[8];

        for (unsigned i = 0; i < s->size; i++) {
            e[i] = s->movs ? m[r->rsi + i] : VALUE >> 8 * i;
        }
        for (unsigned i = 0; i < s->size; i++) {
            m[r->rdi + i] = e[i];
        }
        r->rdi += step;
        r->rsi += s->movs ? step : 0;
        r->rcx--;
    }
}

/* Other bytes in each page and in each round; the same in window and model. */
static void fresh(void)
{
    static uint64_t seed = 1;

    for (uint64_t at = 0; at < BYTES; at += 8) {
        seed = seed * 6364136223846793005ul + 1442695040888963407ul;
        *(volatile uint64_t *)(WINDOW + at) = seed;
        *(volatile uint64_t *)(MODEL + at) = seed;
    }
}

/* The first byte of the window that is not the model's, or BYTES */
static uint64_t differs(void)
{
    for (uint64_t at = 0; at < BYTES; at += 8) {
        if (*(volatile uint64_t *)(WINDOW + at) !=
            *(volatile uint64_t *)(MODEL + at)) {
            return at;
        }
    }
    return BYTES;
}

static void compare(const String *s, const Regs *is, const Regs *want)
{
    uint64_t at = differs();

    if (cell(at == BYTES && is->rcx == want->rcx && is->rsi == want->rsi &&
             is->rdi == want->rdi)) {
        print("# %s of %u bytes, DF %u, RCX %lx RSI %lx RDI %lx: RCX %lx "
              "RSI %lx RDI %lx where %lx %lx %lx are right; the first that "
              "differs is %lx\n", s->movs ? "MOVS" : "STOS", s->size, s->back,
              s->r.rcx, s->r.rsi, s->r.rdi, is->rcx, is->rsi, is->rdi,
              want->rcx, want->rsi, want->rdi, WINDOW + at);
    }
}

static void one(const String *s)
{
    Regs is = s->r, want = s->r;

    fresh();
    do_string(s, &is);
    model(s, &want, s->r.rcx);
    compare(s, &is, &want);
}

static const uint64_t counts[] = { 0, 1, 15, 16, 17, 300, 513, 5000 };
static const unsigned offsets[] = { 0, 3, PAGE - 9 };

static void each(bool movs, const int64_t *apart, unsigned n)
{
    String s = { .movs = movs };

    for (s.size = 1; s.size <= 8; s.size *= 2) {
        for (unsigned c = 0; c < ARRAY_SIZE(counts); c++) {
            for (unsigned o = 0; o < ARRAY_SIZE(offsets); o++) {
                for (unsigned k = 0; k < 2 * n; k++) {
                    s.back = k & 1;
                    s.r.rcx = counts[c];
                    s.r.rsi = FROM + offsets[o] +
                              (s.back ? counts[c] * s.size : 0);
                    s.r.rdi = s.r.rsi + apart[k / 2];
                    one(&s);
                }
            }
        }
    }
}

static void stores(void)
{
    static const int64_t none[] = { 0 };

    each(false, none, 1);
}

static void copies(void)
{
    /* apart, by 1 to 9 bytes, and by all but 1 of what one page takes */
    static const int64_t apart[] = { 21 * PAGE + 5, 0, 1, 2, 4, 8, 9, -1, -8,
                                     PAGE - 1, PAGE };

    each(true, apart, ARRAY_SIZE(apart));
}

static void many(void)
{
    for (unsigned i = 0; i < 8; i++) {
        String s = { .movs = i & 1, .size = 1,
                     .r = { 65535 + i / 2, FROM, FROM + 20 * PAGE } };

        one(&s);
    }
    one(&(String){ .movs = true, .size = 1, .r = { 2 * 65536 + 3,
                                                   FROM, FROM + 1 } });
}

/* ---- where they stop ---- */

static const String *probed;
static uint64_t dr7;                            /* while a string is probed */

static uint64_t op_string(uint64_t a, uint64_t b)
{
    Regs r = probed->r;

    (void)a;
    (void)b;
    do_string(probed, &r);
    return 0;
}

/*
 * Ends behind @elements by an exception. @leaf: the page table entry, if one
 * is changed by @bits for as long as the string takes.
 */
static Probe stops(const String *s, uint64_t elements, uint64_t *leaf,
                   uint64_t bits, uint64_t page)
{
    Regs want = s->r, is;
    Probe p;

    fresh();
    probed = s;
    *leaf ^= bits;
    invlpg(page);
    asm volatile("mov %0, %%db7" : : "r"(dr7));
    p = probe(op_string, 0, 0);
    asm volatile("mov %0, %%db7" : : "r"(0ul));
    *leaf ^= bits;
    invlpg(page);
    is = (Regs){ p.rcx, p.rsi, p.rdi };
    model(s, &want, elements);
    compare(s, &is, &want);
    return p;
}

/* A page that is not there, and one that cannot be written to */
static void faults(void)
{
    const uint64_t to = FROM + 20 * PAGE, hole = to + 2 * PAGE;
    const uint64_t bits[] = { PTE_P, PTE_W };
    uint64_t cr0;

    asm volatile("mov %%cr0, %0" : "=r"(cr0));
    asm volatile("mov %0, %%cr0" : : "r"(cr0 | CR0_WP));
    for (unsigned i = 0; i < 4; i++) {
        String s = { .movs = i & 1, .size = 8,
                     .r = { 2000, FROM + 8, to + 16 } };
        Probe p = stops(&s, (hole - s.r.rdi) / 8, host_leaf(hole), bits[i / 2],
                        hole);

        if (cell(p.vector == VEC_PF && p.cr2 == hole &&
                 p.error == (bits[i / 2] == PTE_W ? 3 : 2))) {
            print("# vector %d, error %lx, CR2 %lx where %lx is right\n",
                  p.vector, p.error, p.cr2, hole);
        }
    }
    asm volatile("mov %0, %%cr0" : : "r"(cr0));
}

/* The source is not there: nothing is written beyond what was read. */
static void source(void)
{
    const uint64_t hole = FROM + PAGE;
    String s = { .movs = true, .size = 4,
                 .r = { 3000, FROM + 8, FROM + 20 * PAGE + 1000 } };
    Probe p = stops(&s, (hole - s.r.rsi) / 4, host_leaf(hole), PTE_P, hole);

    if (cell(p.vector == VEC_PF && p.cr2 == hole && !p.error)) {
        print("# vector %d, error %lx, CR2 %lx where %lx is right\n",
              p.vector, p.error, p.cr2, hole);
    }
}

static void watched(void)
{
    const uint64_t to = FROM + 20 * PAGE, at = to + 700;

    for (unsigned movs = 0; movs < 2; movs++) {
        String s = { .movs = movs, .size = 1, .r = { 2000, FROM, to } };
        Probe p;

        asm volatile("mov %0, %%db6" : : "r"(0ul));
        asm volatile("mov %0, %%db0" : : "r"(at));
        dr7 = DR7_ONE_BYTE;
        p = stops(&s, at - to + 1, host_leaf(to), 0, to);
        dr7 = 0;
        if (cell(p.vector == VEC_DB)) {
            print("# vector %d\n", p.vector);
        }
    }
}

/* What comes behind the instruction in memory is what it has written there. */
static void code(void)
{
    /* rep movsb; mov $OLD, %eax; ret */
    static const uint8_t old[] = { 0xf3, 0xa4, 0xb8, 1, 0, 0, 0, 0xc3 };
    uint8_t *at = (uint8_t *)(SPARE + 9 * SIZE_2M), *new = at + PAGE;

    for (unsigned i = 0; i < 3; i++) {
        uint64_t rcx = 0, rsi = (uint64_t)new, rdi = (uint64_t)at + 2, said;

        copy(at, old, sizeof(old));
        copy(new, old + 2, sizeof(old) - 2);
        new[1] = 2 + i;
        asm volatile("call *%[at]" : "=a"(said), "+c"(rcx), "+S"(rsi),
                     "+D"(rdi) : [at] "r"(at) : "memory", "cc");
        cell(said == 1);
        rcx = 64;
        asm volatile("call *%[at]" : "=a"(said), "+c"(rcx), "+S"(rsi),
                     "+D"(rdi) : [at] "r"(at) : "memory", "cc");
        if (cell(said == 2 + i)) {
            print("# what was there before runs: %lx\n", said);
        }
    }
}

static const struct {
    void (*run)(void);
    const char *name;
} tests[] = {
    { stores, "REP STOS of each size" },
    { copies, "REP MOVS of each size, apart and not" },
    { many, "more than are done at once" },
    { faults, "a page that cannot be written to" },
    { source, "a page that cannot be read" },
    { watched, "a data breakpoint" },
    { code, "code that REP MOVS writes" },
};

void suite_strings(void)
{
    paging_split(WINDOW);
    ktap_plan(ARRAY_SIZE(tests));
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        ktap_begin();
        tests[i].run();
        ktap_end("%s", tests[i].name);
    }
}
