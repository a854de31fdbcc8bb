/*
 * A bare host: an IOMMU, and a device behind it that copies memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AMD I/O Virtualization Technology (IOMMU) Specification, 48882: device table
 * 2.2.2, page tables 2.2.3, commands 2.4, event log 2.5, registers 3.4. The
 * device: LSI53C895A PCI to Ultra2 SCSI Controller, Technical Manual.
 */
#include "dma.h"

#define IOMMU_AT      0xfed80000ul
#define CONTROL_EN    1u
#define CONTROL_LOG   (1u << 2)
#define CONTROL_CMD   (1u << 12)
#define ENTRIES_256   (8ul << 56)

#define LSI_ID        0x00121000u
#define LSI_DSTAT     0x0c
#define LSI_ISTAT     0x14
#define LSI_DSP       0x2c
#define MOVE          0xc0000000u       /* memory to memory, bytes */
#define STOP          0x98080000u       /* interrupt */

#define PT_P          (1ul << 0)
#define PT_LEVEL(n)   ((uint64_t)(n) << 9)
#define PT_RW         (3ul << 61)
#define DTE_V         (1ul << 0)
#define DTE_TV        (1ul << 1)
#define DOMAIN        5u

/* the firmware's after SNP_INIT: in 2 MiB that the host never writes to */
#define EVENTS        0x0a000000ul
#define STORE         (EVENTS + PAGE)
#define IMAGES        8u        /* 2 MiB each, one to one, for image and bss */
#define IOVA_4K       0x40000000u
#define IOVA_2M       0x80000000u

typedef uint64_t Table[512] __attribute__((aligned(4096)));

static uint64_t devtab[256][4] __attribute__((aligned(4096)));
static Table commands, top, low, low_pt[IMAGES], map_4k, map_4k_pt, map_2m;
static unsigned dev, cmd_tail, event_head;
static volatile uint8_t *lsi;
static Map mapped;

volatile uint64_t *iommu_reg(unsigned offset)
{
    return (volatile uint64_t *)(IOMMU_AT + offset);
}

static uint64_t table(const void *p, unsigned level)
{
    return (uint64_t)p | PT_P | PT_LEVEL(level) | PT_RW;
}

/*
 * What leads to leaves of 2M has the C-bit, and so have all buffers; what leads
 * to those of 4K has it not. It is none of an address (IOMMU-C-BIT).
 */
static uint64_t table_c(const void *p, unsigned level)
{
    return table(p, level) | C_BIT;
}

static const char *find_device(void)
{
    for (dev = 0; dev < 32; dev++) {
        if (pci_read(dev, 0) == LSI_ID) {
            uint32_t bar = pci_read(dev, 0x14);

            if (!bar || (bar & 7)) {
                return "the SCSI controller has no registers in memory";
            }
            pci_write(dev, 4, pci_read(dev, 4) | 6);
            lsi = (volatile uint8_t *)(uint64_t)bar;
            return NULL;
        }
    }
    return "there is no SCSI controller 1000:0012";
}

const char *dma_init(volatile uint64_t **store)
{
    const char *wrong = find_device();

    if (wrong) {
        return wrong;
    }
    if (!(*iommu_reg(REG_FEATURES) >> 63)) {
        return "there is no IOMMU with SNP support";
    }
    top[0] = table(low, 2);
    top[IOVA_4K >> 30] = table(map_4k, 2);
    top[IOVA_2M >> 30] = table_c(map_2m, 2);
    for (unsigned n = 0; n < IMAGES; n++) {
        low[n] = table(low_pt[n], 1);
        for (unsigned i = 0; i < 512; i++) {
            low_pt[n][i] = table((void *)(n * SIZE_2M + i * PAGE), 0);
        }
    }
    map_4k[0] = table(map_4k_pt, 1);
    *iommu_reg(REG_DEVTAB) = (uint64_t)devtab | C_BIT | 1;  /* two pages */
    *iommu_reg(REG_CMD) = (uint64_t)commands | C_BIT | ENTRIES_256;
    *iommu_reg(REG_EVENT) = EVENTS | C_BIT | ENTRIES_256;
    *iommu_reg(REG_STORE_BASE) = STORE | C_BIT;
    *iommu_reg(REG_STORE_LIMIT) = STORE | C_BIT;
    *iommu_reg(REG_CONTROL) = CONTROL_EN | CONTROL_LOG | CONTROL_CMD;
    *store = (volatile uint64_t *)STORE;
    return NULL;
}

void iommu_command(uint64_t lo, uint64_t hi)
{
    commands[cmd_tail / 8] = lo;
    commands[cmd_tail / 8 + 1] = hi;
    cmd_tail = (cmd_tail + 16) % PAGE;
    asm volatile("" : : : "memory");
    *iommu_reg(REG_CMD_TAIL) = cmd_tail;
}

void iommu_store(uint64_t at, uint64_t data)
{
    iommu_command(at | 1 | 1ul << 60, data);
}

static void changed(void)
{
    iommu_command(2ul << 60 | dev << 3, 0);             /* the device's entry */
    iommu_command(8ul << 60, 0);                        /* all else */
}

void dma_set_dte(uint64_t first, uint64_t second)
{
    devtab[dev << 3][0] = first;
    devtab[dev << 3][1] = second;
    changed();
}

bool dma_map(Map map, uint64_t spa)
{
    uint64_t region = spa & ~(SIZE_2M - 1);
    bool translates = map == MAP_4K || map == MAP_2M;

    if (!translates && spa >> 32) {
        return false;
    }
    for (unsigned i = 0; i < 512; i++) {
        map_4k_pt[i] = table((void *)(region + i * PAGE), 0);
    }
    map_2m[0] = table_c((void *)region, 0);
    mapped = map;
    *iommu_reg(REG_CONTROL) = CONTROL_EN | CONTROL_LOG | CONTROL_CMD;
    dma_set_dte(translates ? (uint64_t)top | DTE_V | DTE_TV | PT_LEVEL(3) |
                PT_RW | (map == MAP_2M ? C_BIT : 0) : 0, DOMAIN);
    if (map == MAP_OFF) {
        *iommu_reg(REG_CONTROL) = 0;
    }
    return true;
}

uint32_t dma_address(uint64_t spa)
{
    switch (mapped) {
    case MAP_4K:
        return IOVA_4K | (spa & (SIZE_2M - 1));
    case MAP_2M:
        return IOVA_2M | (spa & (SIZE_2M - 1));
    default:
        return spa;
    }
}

static void run(uint32_t to, uint32_t from, uint32_t len)
{
    static uint32_t script[5] __attribute__((aligned(16)));

    script[0] = MOVE | len;
    script[1] = from;
    script[2] = to;
    script[3] = STOP;
    asm volatile("" : : : "memory");
    *(volatile uint32_t *)(lsi + LSI_DSP) = (uint64_t)script;
    asm volatile("" : : : "memory");
}

void dma_copy(uint32_t to, uint32_t from, uint32_t len)
{
    run(to, from, len);
    /* it stopped, for the reason that was asked for */
    if (!(lsi[LSI_DSTAT] & 4)) {
        bail("the SCSI controller did not run its script");
    }
}

bool dma_is_cut_off(void)
{
    bool stopped;

    run(0, 0, 0);
    stopped = lsi[LSI_DSTAT] & 4;
    lsi[LSI_ISTAT] = 0x40;      /* reset */
    lsi[LSI_ISTAT] = 0;
    return !stopped;
}

bool iommu_event(Event *e)
{
    uint64_t tail = *iommu_reg(REG_EVENT_TAIL);

    if (event_head == tail) {
        return false;
    }
    e->lo = ((volatile uint64_t *)EVENTS)[event_head / 8];
    e->hi = ((volatile uint64_t *)EVENTS)[event_head / 8 + 1];
    event_head = (event_head + 16) % PAGE;
    *iommu_reg(REG_EVENT_HEAD) = event_head;
    return true;
}

unsigned iommu_no_events(void)
{
    Event e;
    unsigned n = 0;

    while (iommu_event(&e)) {
        n++;
    }
    return n;
}

uint64_t event_word(unsigned code, unsigned flags, bool of_device)
{
    return (uint64_t)code << 60 | (uint64_t)flags << 48 |
           (of_device ? dev << 3 : 0);
}
