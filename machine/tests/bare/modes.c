/*
 * The host's own translations, and what changes them while it runs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * APM volume 2, 5.5 (TLB), 5.6 (page protection).
 */
#include "modes.h"

#define MSR_PKRS      0x6e1
#define RSVD_ERROR    (1ul << 3)

enum { OLD = 0x6f6c64, NEW = 0x6e6577 };

/* The entry that maps 2^@size bytes at an address */
static uint64_t *host_entry(uint64_t addr, unsigned size)
{
    uint64_t cr3, *table;

    asm volatile("mov %%cr3, %0" : "=r"(cr3));
    table = (uint64_t *)(cr3 & ~(PAGE - 1));
    for (unsigned shift = 39; shift > size; shift -= 9) {
        table = (uint64_t *)(table[addr >> shift & 511] & 0xffffffffff000);
    }
    return &table[addr >> size & 511];
}

uint64_t *host_leaf(uint64_t addr)
{
    return host_entry(addr, 12);
}

void invlpg(uint64_t addr)
{
    asm volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

uint64_t read_cr4(void)
{
    uint64_t v;

    asm volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}

void write_cr4(uint64_t v)
{
    asm volatile("mov %0, %%cr4" : : "r"(v) : "memory");
}

void wrpkru(uint32_t v)
{
    asm volatile(".byte 0x0f, 0x01, 0xef" : : "a"(v), "c"(0), "d"(0)
                 : "memory");
}

static void wrpkrs(uint32_t v)
{
    wrmsr(MSR_PKRS, v);
}

static const struct {
    const char *name;
    unsigned cpuid;         /* bit of Fn0000_0007 ECX */
    uint64_t cr4, pte;
    void (*forbid)(uint32_t v);
} keys[] = {
    { "CR4.PKE", 3, CR4_PKE, PTE_U, wrpkru },
    { "CR4.PKS", 31, CR4_PKS, 0, wrpkrs },
};

/* Cached while keys say nothing; then they do. */
static void one_key(unsigned i, uint64_t page)
{
    uint64_t *leaf = host_leaf(page), old = *leaf, cr4 = read_cr4();
    uint32_t r[4];
    Probe p;

    cpuid(7, 0, r);
    if (!(r[2] >> keys[i].cpuid & 1)) {
        bail("this processor lacks protection keys");
    }
    *leaf = old | keys[i].pte | KEY_1;
    invlpg(page);
    write_cr4(cr4 | keys[i].cr4);
    keys[i].forbid(NOT_KEY_1);
    write_cr4(cr4);
    cell(probe(op_read, page, 0).vector == NO_VEC);
    write_cr4(cr4 | keys[i].cr4);
    p = probe(op_read, page, 0);
    if (cell(p.vector == VEC_PF && p.error & PK_ERROR)) {
        print("# read once %s is set: vector %d error %lx\n", keys[i].name,
              p.vector, p.error);
    }
    keys[i].forbid(0);
    write_cr4(cr4);
    *leaf = old;
    invlpg(page);
}

void modes_keys(uint64_t page)
{
    uint64_t *leaf = host_leaf(page), old = *leaf;
    uint64_t efer = rdmsr(MSR_EFER);
    Probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        one_key(i, page);
    }
    /* cached while bit 63 is NX; then it is reserved */
    *leaf = old | PTE_NX;
    invlpg(page);
    cell(probe(op_read, page, 0).vector == NO_VEC);
    wrmsr(MSR_EFER, efer & ~EFER_NXE);
    p = probe(op_read, page, 0);
    wrmsr(MSR_EFER, efer);
    if (cell(p.vector == VEC_PF && p.error & RSVD_ERROR)) {
        print("# a reserved bit, read before: vector %d error %lx\n", p.vector,
              p.error);
    }
    *leaf = old;
    invlpg(page);
}

/*
 * Code in a page of 2M that is mapped elsewhere, and all of it invalidated by
 * the address of another 4K there
 */
void modes_jumps(void)
{
    /* mov $OLD, %eax; ret */
    static const uint8_t code[] = { 0xb8, 0, 0, 0, 0, 0xc3 };
    static const uint32_t says[] = { OLD, NEW };
    uint64_t va = at_leaf(SPARE, LEAF_2M), *leaf = host_entry(va, 21);
    uint64_t old = *leaf;
    Probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(says); i++) {
        uint8_t *to = (uint8_t *)(SPARE + i * SIZE_2M + 5 * PAGE);

        copy(to, code, sizeof(code));
        copy(to + 1, &says[i], sizeof(says[i]));
    }
    p = probe(op_fetch, va + 5 * PAGE, 0);
    cell(p.vector == NO_VEC && p.ret == OLD);
    *leaf = old + SIZE_2M;
    invlpg(va + 300 * PAGE);
    p = probe(op_fetch, va + 5 * PAGE, 0);
    if (cell(p.vector == NO_VEC && p.ret == NEW)) {
        print("# what was there before runs: vector %d, says %lx\n", p.vector,
              p.ret);
    }
    *leaf = old;
    invlpg(va);
}
