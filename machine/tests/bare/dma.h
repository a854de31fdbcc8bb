/*
 * A bare host: an IOMMU, and a device behind it that copies memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The IOMMU is AMD's, where its registers are on a PC. The device is a SCSI
 * controller, LSI 53C895A, without disks: its SCRIPTS processor has an
 * instruction that moves memory to memory, done when the register is written
 * that starts it. Its addresses have 32 bits.
 */
#ifndef BARE_DMA_H
#define BARE_DMA_H

#include "bare.h"

/* How the IOMMU maps the page under test for the device */
typedef enum Map {
    MAP_OFF,                /* the IOMMU is not enabled */
    MAP_NONE,               /* enabled, and translates nothing */
    MAP_4K, MAP_2M,         /* by a leaf of this size */
    NMAPS
} Map;

/*
 * Finds the device, sets up the IOMMU: tables, buffers, log. Once, before SNP.
 * NULL, or what is wrong. The page of COMPLETION_WAIT is @store.
 */
const char *dma_init(volatile uint64_t **store);

/*
 * @spa under test from now on; false: the device has no address for it. Tells
 * the IOMMU that its tables changed.
 */
bool dma_map(Map map, uint64_t spa);

/* The device's address of @spa, which is in the 2 MiB that are mapped */
uint32_t dma_address(uint64_t spa);

/*
 * The device copies @len bytes from one of its addresses to another, and is
 * done. Image and stack have the same addresses as for the host.
 */
void dma_copy(uint32_t to, uint32_t from, uint32_t len);

/* Can it not even read its script? */
bool dma_is_cut_off(void);

/* Entry of the device in the device table; the IOMMU is told. */
void dma_set_dte(uint64_t first, uint64_t second);

/* One command; then, if @wait, COMPLETION_WAIT that stores to @wait. */
void iommu_command(uint64_t lo, uint64_t hi);
void iommu_store(uint64_t at, uint64_t data);

typedef struct Event {
    uint64_t lo, hi;
} Event;

/* Takes the oldest event out of the log; false: there is none. */
bool iommu_event(Event *e);
/* Drops all; the number. */
unsigned iommu_no_events(void);

enum { EVENT_ILLEGAL_DTE = 1, EVENT_PAGE = 2, EVENT_COMMAND = 5,
       EVENT_RMP_PAGE = 13 };
#define EVENT_WRITE   (1u << 5)

/* Code, flags and device of an event's first word */
uint64_t event_word(unsigned code, unsigned flags, bool of_device);

volatile uint64_t *iommu_reg(unsigned offset);
enum {
    REG_DEVTAB = 0x00, REG_CMD = 0x08, REG_EVENT = 0x10, REG_CONTROL = 0x18,
    REG_STORE_BASE = 0x20, REG_STORE_LIMIT = 0x28, REG_FEATURES = 0x30,
    REG_PPR = 0x38, REG_CMD_HEAD = 0x2000, REG_CMD_TAIL = 0x2008,
    REG_EVENT_HEAD = 0x2010, REG_EVENT_TAIL = 0x2018, REG_STATUS = 0x2020,
};
#define STATUS_OVERFLOW   (1u << 0)
#define STATUS_EVENT      (1u << 1)

#endif
