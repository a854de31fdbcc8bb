/*
 * A bare host: serial port, KTAP, exceptions
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdarg.h>
#include "bare.h"

#define COM1        0x3f8
#define EXIT_PORT   0xf4        /* isa-debug-exit: status is value * 2 + 1 */
#define EXIT_GOOD   0x10
#define EXIT_BAD    0x11
#define SHOWN       6           /* cells printed per test */
#define REASONS     160         /* that a test may have */
#define TX_TRIES    1000000

void *zero(void *p, size_t n)
{
    void *to = p;

    asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(0) : "memory");
    return p;
}

void *copy(void *to, const void *from, size_t n)
{
    void *d = to;

    asm volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
    return to;
}

/* The compiler calls them by name. */
void *memcpy(void *to, const void *from, size_t n)
    __attribute__((alias("copy")));

void *memset(void *p, int c, size_t n)
{
    void *to = p;

    asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
    return p;
}

static void put(char c)
{
    for (int i = 0; i < TX_TRIES && !(in8(COM1 + 5) & 0x20); i++) {
        /* the transmitter is busy */
    }
    out8(COM1, c);
}

static void put_number(uint64_t v, unsigned base)
{
    char buf[24];
    unsigned n = 0;

    do {
        buf[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    while (n) {
        put(buf[--n]);
    }
}

/* %s, %c, %d, %u, %x and %lx */
static void vprint(const char *fmt, va_list ap)
{
    for (; *fmt; fmt++) {
        bool is_long = false;

        if (*fmt != '%') {
            put(*fmt);
            continue;
        }
        if (*++fmt == 'l') {
            is_long = true;
            fmt++;
        }
        switch (*fmt) {
        case 's':
            for (const char *s = va_arg(ap, const char *); *s; s++) {
                put(*s);
            }
            break;
        case 'c':
            put(va_arg(ap, int));
            break;
        case 'd': {
            int v = va_arg(ap, int);

            if (v < 0) {
                put('-');
            }
            put_number(v < 0 ? -(int64_t)v : v, 10);
            break;
        }
        case 'u':
        case 'x':
            put_number(is_long ? va_arg(ap, unsigned long)
                               : va_arg(ap, unsigned),
                       *fmt == 'x' ? 16 : 10);
            break;
        default:
            put(*fmt);
        }
    }
}

void print(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprint(fmt, ap);
    va_end(ap);
}

uint32_t pci_read(unsigned dev, unsigned reg)
{
    out32(0xcf8, 0x80000000u | dev << 11 | reg);
    return in32(0xcfc);
}

void pci_write(unsigned dev, unsigned reg, uint32_t v)
{
    out32(0xcf8, 0x80000000u | dev << 11 | reg);
    out32(0xcfc, v);
}

/* ---- KTAP ---- */

static unsigned planned, number, failed_tests;
static unsigned good, bad, never, total_cells, total_good, total_never;
/* Of the test under way: why cells are impossible, and how many are by that */
static struct {
    const char *why;
    unsigned cells;
} reasons[REASONS];
static unsigned nreasons;
bool (*ktap_also)(void);

void ktap_plan(unsigned tests)
{
    planned = tests;
    print("KTAP version 1\n1..%u\n", tests);
}

void ktap_begin(void)
{
    good = bad = never = nreasons = 0;
}

bool cell(bool holds)
{
    if (holds) {
        good++;
        return false;
    }
    return bad++ < SHOWN;
}

static bool same_text(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

void impossible(const char *why)
{
    unsigned i = 0;

    while (i < nreasons && !same_text(reasons[i].why, why)) {
        i++;
    }
    if (i == nreasons) {
        if (i == REASONS) {
            bail("too many reasons why cells are impossible");
        }
        reasons[i].why = why;
        reasons[i].cells = 0;
        nreasons++;
    }
    reasons[i].cells++;
    never++;
}

void ktap_end(const char *fmt, ...)
{
    va_list ap;
    bool ok;

    if (ktap_also) {
        cell(ktap_also());
    }
    for (unsigned i = 0; i < nreasons; i++) {
        print("# %u impossible: %s\n", reasons[i].cells, reasons[i].why);
    }
    ok = (good || never) && !bad;
    print("%s %u ", ok ? "ok" : "not ok", ++number);
    va_start(ap, fmt);
    vprint(fmt, ap);
    va_end(ap);
    print(" # %u of %u", good, good + bad);
    if (never) {
        print(", %u impossible", never);
    }
    print("\n");
    failed_tests += !ok;
    total_cells += good + bad;
    total_good += good;
    total_never += never;
}

static void end(bool ok)
{
    out8(EXIT_PORT, ok ? EXIT_GOOD : EXIT_BAD);
    for (;;) {
        asm volatile("hlt");
    }
}

void ktap_exit(void)
{
    print("# cells: %u of %u, %u impossible\n", total_good, total_cells,
          total_never);
    end(number == planned && !failed_tests);
    __builtin_unreachable();
}

void bail(const char *why)
{
    print("Bail out! %s\n", why);
    end(false);
    __builtin_unreachable();
}

/* ---- exceptions ---- */

struct frame {
    uint64_t gpr[15], vector, error, rip, cs, rflags, rsp, ss;
};

extern char stubs[], probe_end[];
extern uint64_t probe_sp;
uint64_t probe_call(ProbeOp *op, uint64_t a, uint64_t b);
void trap(struct frame *f);

static Probe last;

Probe probe(ProbeOp *op, uint64_t a, uint64_t b)
{
    uint64_t ret;

    last = (Probe){ .vector = NO_VEC };
    ret = probe_call(op, a, b);
    last.ret = ret;
    return last;
}

void trap(struct frame *f)
{
    uint64_t cr2;

    asm volatile("mov %%cr2, %0" : "=r"(cr2));
    if (!probe_sp) {
        print("# exception %u, error %lx, rip %lx, cr2 %lx\n",
              (unsigned)f->vector, f->error, f->rip, cr2);
        bail("an exception that nobody expects");
    }
    last = (Probe){ .vector = f->vector, .error = f->error, .cr2 = cr2 };
    f->rip = (uint64_t)probe_end;
    f->rsp = probe_sp;
    f->rflags &= ~0x400ul;
}

#define IDT_GATE    (8ull << 16 | 0x8e00ul << 32)

static uint64_t idt[32][2];
static struct {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed)) idtr = { sizeof(idt) - 1, 0 };

void idt_load(void)
{
    asm volatile("lidt %0" : : "m"(idtr));
}

static void idt_init(void)
{

    for (int i = 0; i < 32; i++) {
        uint64_t at = (uint64_t)stubs + 16 * i;

        idt[i][0] = (at & 0xffff) | IDT_GATE | (at & 0xffff0000) << 32;
        idt[i][1] = at >> 32;
    }
    idtr.base = (uint64_t)idt;
    idt_load();
}

void start_c(void);

void start_c(void)
{
    const char *wrong;

    idt_init();
    paging_init();
    out8(COM1 + 1, 0);
    /* no interrupt is wanted from the old controllers either */
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    wrong = psp_find();
    if (wrong) {
        bail(wrong);
    }
    SUITE();
    ktap_exit();
}
