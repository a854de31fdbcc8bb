/*
 * A bare host: what its files share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A program without an operating system that is an SNP host by itself. It
 * knows the processor from the manuals only, and includes nothing of the
 * machine. Addresses are physical, in bytes; physical memory is mapped one to
 * one, the regions under test by 4K leaves, all else by 2M.
 */
#ifndef BARE_H
#define BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE          0x1000ul
#define PAGES_2M      512u
#define SIZE_2M       0x200000ul
#define GIB           0x40000000ul
#define C_BIT         (1ul << 51)       /* as the machine has it */
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- lib.c ---- */

void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void *zero(void *p, size_t n);
void *memset(void *p, int c, size_t n);
void *copy(void *to, const void *from, size_t n);

/* @at: bytes from @p, aligned or not */
static inline uint64_t get64(const void *p, unsigned at)
{
    uint64_t v;

    copy(&v, (const uint8_t *)p + at, sizeof(v));
    return v;
}

static inline void put64(void *p, unsigned at, uint64_t v)
{
    copy((uint8_t *)p + at, &v, sizeof(v));
}

/* Ends the run, and the machine: a line that says why, and a bad status. */
void bail(const char *why) __attribute__((noreturn));

/*
 * KTAP. A test is a number of cells; each is judged once. An impossible cell
 * is one that a rule makes so: @why ends with it, in brackets, stays where it
 * is, and is printed with how many cells it was. The first few that do not
 * hold are printed.
 */
void ktap_plan(unsigned tests);
void ktap_begin(void);
bool cell(bool holds);                  /* true: say what is wrong with it */
void impossible(const char *why);
void ktap_end(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void ktap_exit(void) __attribute__((noreturn));
/* If set: a cell at the end of each test, which says itself what is wrong */
extern bool (*ktap_also)(void);

static inline uint64_t rdmsr(uint32_t n)
{
    uint32_t lo, hi;

    asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(n) : "memory");
    return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t n, uint64_t v)
{
    asm volatile("wrmsr" : : "c"(n), "a"((uint32_t)v),
                 "d"((uint32_t)(v >> 32)) : "memory");
}

static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                 : "a"(leaf), "c"(sub));
}

static inline void out8(uint16_t port, uint8_t v)
{
    asm volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t v;

    asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline void out32(uint16_t port, uint32_t v)
{
    asm volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t v;

    asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

#define VEC_DB   1
#define VEC_UD   6
#define VEC_GP   13
#define VEC_PF   14
#define VEC_VC   29
#define NO_VEC   (-1)

/* An operation that may end in an exception */
typedef struct Probe {
    int vector;         /* NO_VEC: it ended well, with ret */
    uint64_t ret, error, cr2;
} Probe;

typedef uint64_t ProbeOp(uint64_t a, uint64_t b);

Probe probe(ProbeOp *op, uint64_t a, uint64_t b);
ProbeOp op_read, op_write, op_fetch, op_rmpupdate, op_psmash, op_pvalidate,
        op_rmpadjust, op_hsave, op_vmsave, op_rmpupdate_flags,
        op_psmash_flags, op_rmpread, op_rmpquery, op_watched, op_wrmsr,
        op_rdmsr, op_stgi, op_stgi_sti;

/* By a second CPU: exceptions end the run there. */
void idt_load(void);

/* ---- the CPU's APIC ---- */

#define APIC_ID       0x020
#define APIC_EOI      0x0b0
#define APIC_SVR      0x0f0
#define APIC_ICR      0x300
#define APIC_ICR_HIGH 0x310
#define ICR_NMI       0x04400
#define ICR_INIT      0x04500
#define ICR_SIPI      0x04600

static inline volatile uint32_t *apic(unsigned reg)
{
    return (volatile uint32_t *)(0xfee00000ul + reg);
}

/* ---- paging.c ---- */

/* The size of the leaf that maps an access of the host */
typedef enum Leaf { LEAF_4K, LEAF_2M, LEAF_1G, NLEAVES } Leaf;

#define PTE_P    (1ul << 0)
#define PTE_W    (1ul << 1)
#define PTE_U    (1ul << 2)
#define PTE_A    (1ul << 5)
#define PTE_D    (1ul << 6)
#define PTE_LARGE (1ul << 7)
#define PTE_RW   (PTE_P | PTE_W | PTE_A | PTE_D)

void paging_init(void);
/* 4K leaves for the 2 MiB at @base from now on; at most PAGING_SPLITS times */
#define PAGING_SPLITS 16
void paging_split(uint64_t base);
/* The virtual address at which @pa is mapped by such a leaf */
uint64_t at_leaf(uint64_t pa, Leaf leaf);
/* The virtual address that @pa as page table maps by its entry @index */
uint64_t at_table(uint64_t pa, unsigned index);

/* ---- lib.c: configuration space of the functions 00:dev.0 ---- */

uint32_t pci_read(unsigned dev, unsigned reg);
void pci_write(unsigned dev, unsigned reg, uint32_t v);

/* ---- psp.c ---- */

enum {
    CMD_PLATFORM_STATUS = 0x083, CMD_SNP_DF_FLUSH = 0x084,
    CMD_SNP_INIT_EX = 0x085, CMD_SNP_SHUTDOWN_EX = 0x086,
    CMD_DECOMMISSION = 0x090, CMD_ACTIVATE = 0x091,
    CMD_GCTX_CREATE = 0x093, CMD_LAUNCH_START = 0x0a0,
    CMD_LAUNCH_UPDATE = 0x0a1, CMD_SWAP_OUT = 0x0c0, CMD_MD_INIT = 0x0c3,
    CMD_RECLAIM = 0x0c7,
};

enum {
    FW_OK = 0x00, FW_PLATFORM_STATE = 0x01, FW_CONFIG = 0x03, FW_UNKNOWN = 0x11,
    FW_PAGE_SIZE = 0x19, FW_PAGE_STATE = 0x1a,
};

/* Finds the function and its registers; NULL, or what is wrong. */
const char *psp_find(void);
/* Runs a command with a buffer of @len bytes; the firmware's status. */
uint32_t psp(unsigned cmd, const void *buf, size_t len);
/* The same with the buffer at a place of the caller's, as it is there */
uint32_t psp_at(unsigned cmd, uint64_t at);
/*
 * All of a command but its number, which goes to the register from bit 16 on,
 * and the wait for its status
 */
#define PSP_DONE (1u << 31)     /* of the register: there is an answer */
volatile uint32_t *psp_ready(const void *buf, size_t len);
uint32_t psp_wait(void);
/* The buffer, as the last command left it */
extern uint8_t psp_page[4096];

uint32_t fw_page(unsigned cmd, uint64_t arg);   /* buffer: one address */
uint32_t fw_launch_start(uint64_t gctx);
uint32_t fw_activate(uint64_t gctx, uint32_t asid);
enum { TYPE_NORMAL = 1, TYPE_VMSA = 2 };
/* @perms: of VMPL1 in bits 7:0, of VMPL2 and 3 above */
uint32_t fw_launch_update(uint64_t gctx, uint64_t spa, bool size_2m,
                          unsigned type, uint32_t perms);

/* ---- the suites ---- */

void suite_host(void);
void suite_guest(void);
void suite_vmrun(void);
void suite_firmware(void);
void suite_commands(void);
void suite_vmpl(void);
void suite_rmpread(void);
void suite_tlb(void);
void suite_device(void);
void suite_features(void);
void suite_events(void);
void suite_cpus(void);
void suite_race(void);
void suite_sev(void);
void suite_hiding(void);
void suite_ordinary(void);
void suite_outside(void);
void suite_demand(void);
void suite_rmpmsrs(void);

#endif
