/*
 * A bare host: page tables
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Four views, by the entry of the top level:
 *  0  one to one, 4K leaves where asked for, 2M elsewhere
 *  1  leaves of 1G
 *  2  leaves of 2M
 *  3  a page of the caller's choice as page table
 * Nothing here leaves an accessed or dirty bit for the processor to set: what
 * it sets is under test.
 */
#include "bare.h"

#define VIEW          39
#define GIBS          8u        /* mapped by leaves of 2M */
#define TABLE         (PTE_P | PTE_W | PTE_U | PTE_A)

typedef uint64_t Table[512] __attribute__((aligned(4096)));

static Table pml4, pdpt[4], pd_one[GIBS], pd_large[GIBS], pd_table;
static Table split[PAGING_SPLITS];
static unsigned nsplit;

static uint64_t pa(const void *p)
{
    return (uint64_t)p;
}

static void flush(void)
{
    asm volatile("mov %0, %%cr3" : : "r"(pa(pml4)) : "memory");
}

void paging_init(void)
{
    for (int i = 0; i < 4; i++) {
        pml4[i] = pa(pdpt[i]) | TABLE;
    }
    for (unsigned g = 0; g < GIBS; g++) {
        pdpt[0][g] = pa(pd_one[g]) | TABLE;
        pdpt[2][g] = pa(pd_large[g]) | TABLE;
        for (unsigned i = 0; i < 512; i++) {
            pd_one[g][i] = (g * GIB + i * SIZE_2M) | PTE_RW | PTE_LARGE;
            pd_large[g][i] = pd_one[g][i];
        }
    }
    for (unsigned g = 0; g < 512; g++) {
        pdpt[1][g] = g * GIB | PTE_RW | PTE_LARGE;
    }
    pdpt[3][0] = pa(pd_table) | TABLE;
    flush();
}

void paging_split(uint64_t base)
{
    uint64_t *pt = split[nsplit++];

    if (nsplit > PAGING_SPLITS || base >= GIBS * GIB) {
        bail("no room for page tables");
    }
    for (unsigned i = 0; i < 512; i++) {
        pt[i] = (base + i * PAGE) | PTE_RW;
    }
    pd_one[base / GIB][base % GIB / SIZE_2M] = pa(pt) | TABLE;
    flush();
}

uint64_t at_leaf(uint64_t addr, Leaf leaf)
{
    switch (leaf) {
    case LEAF_1G:
        return (1ul << VIEW) + addr;
    case LEAF_2M:
        return (2ul << VIEW) + addr;
    default:
        return addr;
    }
}

uint64_t at_table(uint64_t addr, unsigned index)
{
    pd_table[0] = addr | TABLE;
    flush();
    return (3ul << VIEW) + index * PAGE;
}
