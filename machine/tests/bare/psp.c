/*
 * A bare host: the secure processor's mailbox
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SNP firmware ABI (56860); registers as of PCI function 1022:14CA.
 */
#include "bare.h"

#define PCI_ID        0x14ca1022u
#define PCI_COMMAND   0x04
#define PCI_BAR2      0x18
#define REG_CMD       0x10980
#define REG_BUF_LO    0x109e0
#define REG_BUF_HI    0x109e4
#define REG_FEATURE   0x109fc
#define POLLS         100000000

static volatile uint8_t *bar;

static uint32_t reg_read(unsigned reg)
{
    return *(volatile uint32_t *)(bar + reg);
}

static void reg_write(unsigned reg, uint32_t v)
{
    *(volatile uint32_t *)(bar + reg) = v;
}

const char *psp_find(void)
{
    for (unsigned dev = 0; dev < 32; dev++) {
        uint32_t low;
        uint64_t at;

        if (pci_read(dev, 0) != PCI_ID) {
            continue;
        }
        low = pci_read(dev, PCI_BAR2);
        at = low & ~0xfu;
        if ((low & 6) == 4) {
            at |= (uint64_t)pci_read(dev, PCI_BAR2 + 4) << 32;
        }
        if ((low & 1) || !at || at >= 4 * GIB) {
            return "the secure processor's BAR 2 is not where it can be used";
        }
        pci_write(dev, PCI_COMMAND, pci_read(dev, PCI_COMMAND) | 6);
        bar = (volatile uint8_t *)at;
        return reg_read(REG_FEATURE) & 1 ? NULL
               : "the secure processor does not offer SEV";
    }
    return "there is no secure processor 1022:14ca";
}

static void lead_to(uint64_t at)
{
    reg_write(REG_BUF_LO, at);
    reg_write(REG_BUF_HI, at >> 32);
}

uint32_t psp_wait(void)
{
    for (int i = 0; i < POLLS; i++) {
        uint32_t v = reg_read(REG_CMD);

        if (v & PSP_DONE) {
            return v & 0xffff;
        }
    }
    bail("the secure processor does not answer");
}

uint32_t psp_at(unsigned cmd, uint64_t at)
{
    lead_to(at);
    reg_write(REG_CMD, cmd << 16);
    return psp_wait();
}

uint8_t psp_page[4096] __attribute__((aligned(4096)));

static void fill_page(const void *buf, size_t len)
{
    zero(psp_page, sizeof(psp_page));
    copy(psp_page, buf, len);
}

uint32_t psp(unsigned cmd, const void *buf, size_t len)
{
    fill_page(buf, len);
    return psp_at(cmd, len ? (uint64_t)psp_page : 0);
}

volatile uint32_t *psp_ready(const void *buf, size_t len)
{
    fill_page(buf, len);
    lead_to((uint64_t)psp_page);
    return (volatile uint32_t *)(bar + REG_CMD);
}

uint32_t fw_page(unsigned cmd, uint64_t arg)
{
    return psp(cmd, &arg, sizeof(arg));
}

uint32_t fw_launch_start(uint64_t gctx)
{
    /* policy: bit 17 is one, SMT is allowed */
    uint64_t c[6] = { gctx, 3ul << 16 };

    return psp(CMD_LAUNCH_START, c, sizeof(c));
}

uint32_t fw_activate(uint64_t gctx, uint32_t asid)
{
    uint64_t c[2] = { gctx, asid };

    return psp(CMD_ACTIVATE, c, 12);
}

uint32_t fw_launch_update(uint64_t gctx, uint64_t spa, bool size_2m,
                          unsigned type, uint32_t perms)
{
    uint64_t c[4] = { gctx, size_2m | type << 1, spa, (uint64_t)perms << 8 };

    return psp(CMD_LAUNCH_UPDATE, c, sizeof(c));
}
