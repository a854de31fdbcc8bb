/*
 * Fuzz target: the IOMMU's registers, tables and command buffer
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Accesses of any size to its registers; device table, page tables, interrupt
 * tables and commands of any content, anywhere; transfers and interrupts of a
 * device behind it; resets; with the RMP asked and not. While it is asked
 * neither the IOMMU nor the device writes to a page that is assigned. Positions
 * in buffers are all that their registers can hold: the host writes them, too.
 */
#include "world.h"
#include "hw/i386/amd_iommu.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_device.h"
#include "qom/object.h"

#define STEPS      64u
#define REGISTERS  AMDVI_BASE_ADDR
#define CONTROL    0x18u
#define CMD_TAIL   0x2008u
/* As a driver lays it out; the input may do otherwise */
#define DEVTAB     GROUND
#define COMMANDS   (GROUND + 0x2000)
#define EVENTS     (GROUND + 0x3000)
#define TABLES     (GROUND + 0x4000)
#define OWNED      (GROUND + GROUND_SIZE - PAGE)
#define LENGTH_256 (8ull << 56)
#define ENABLED    (1u | 1u << 2 | 1u << 12)
#define POSITION   0x7fff0u

static const char *const arguments[] = {
    "-device", "amd-iommu,intremap=on", NULL
};
const char *const *target_arguments = arguments;

static AMDVIState *iommu;
static PCIDevice *device;
static uint8_t owned[PAGE];

void target_prepare(void)
{
    iommu = AMD_IOMMU_DEVICE(object_resolve_path_type("", TYPE_AMD_IOMMU_DEVICE,
                                                      NULL));
    device = PCI_DEVICE(object_resolve_path("/machine/peripheral/psp", NULL));
    memset(owned, 0xa5, sizeof(owned));
    world_write(OWNED, owned, sizeof(owned));
    world_keep();
}

static void owner(bool guest)
{
    const RmpEntry e = {
        .gpa = guest ? 0x1000 : 0, .asid = guest, .assigned = guest,
        .validated = guest,
    };

    rmp_fw_set(&snp_platform()->rmp, OWNED, &e);
}

static bool asked(void)
{
    return snp_platform()->fw.iommu_snp;
}

static uint64_t some_address(void)
{
    static const uint64_t places[] = {
        GROUND, COMMANDS, EVENTS, TABLES, TABLES + 0x1000, TABLES + 0x2000,
        OWNED, OWNED - 0x800, 0, GROUND + 0x8000, MEMORY - 8, MEMORY, MAILBOX,
        REGISTERS, REGISTERS + CMD_TAIL, 0xfee00000, 0xfeeff000,
        0xfee0000ull << 12, 1ull << 32, (1ull << 32) + 0x3fff000, 1ull << 51,
        ~0xfffull,
    };
    uint8_t b = fuzz_byte();

    return b < 0xd0 ? places[b % ARRAY_SIZE(places)]
                    : GROUND + fuzz_number(2) * 16;
}

/* An address with something of a register's, entry's or command's around it */
static uint64_t some_value(void)
{
    uint64_t v = some_address();
    uint8_t b = fuzz_byte();

    switch (b & 3) {
    case 0:
        return v | LENGTH_256;
    case 1:
        return v | fuzz_number(2) | (uint64_t)fuzz_byte() << 56;
    case 2:
        /* present, to be read and written, and the next level */
        return v | 1 | 3ull << 61 | (uint64_t)(b >> 5) << 9;
    default:
        return fuzz_number(8);
    }
}

/* As a driver does before it turns SNP on, which locks some of it */
static void set_up(void)
{
    uint8_t mode = fuzz_byte();
    uint64_t at = DEVTAB + 32 * pci_get_bdf(device);
    bool snp = asked();

    snp_platform()->fw.iommu_snp = false;
    world_put(REGISTERS, 8, DEVTAB | 1);
    world_put(REGISTERS + 8, 8, COMMANDS | LENGTH_256);
    world_put(REGISTERS + 0x10, 8, EVENTS | LENGTH_256);
    world_put(REGISTERS + CONTROL, 8, ENABLED);
    snp_platform()->fw.iommu_snp = snp;
    /* V, TV, mode, reads and writes; and an interrupt table */
    world_put(at, 8, 3 | (uint64_t)(mode & 7) << 9 | TABLES | 3ull << 61);
    world_put(at + 8, 8, 1);
    world_put(at + 16, 8, mode & 8 ? (TABLES + 0x3000) | 1 | 8 << 1 |
                                     2ull << 60 : 0);
}

static void step_register(bool write)
{
    static const unsigned registers[] = {
        0, 8, 0x10, CONTROL, 0x20, 0x28, 0x30, 0x38, 0x2000, CMD_TAIL, 0x2010,
        0x2018, 0x2020, 0x2030, 0x2038, 0x3ff8,
    };
    uint8_t b = fuzz_byte();
    unsigned len = 1u << (b >> 6);
    uint64_t at = REGISTERS + registers[b % 16];

    if (b & 16) {
        at = REGISTERS + fuzz_number(2) % 0x4000;
    }
    if (write) {
        world_put(at, len, b & 32 ? fuzz_number(2) : some_value());
    } else {
        world_get(at, len);
    }
}

static void step_memory(void)
{
    uint64_t at = GROUND + fuzz_number(2) * 8;

    for (uint8_t n = fuzz_byte() & 3; n; n--, at += 8) {
        if (at < OWNED) {
            world_put(at, 8, some_value());
        }
    }
}

/* One where the IOMMU looks for the next, and told to it */
static void step_command(void)
{
    uint64_t first = fuzz_byte() & 1 ? fuzz_number(8) :
                     (uint64_t)(fuzz_byte() & 15) << 60 | some_address() |
                     (fuzz_byte() & 7);
    uint32_t tail = world_get(REGISTERS + CMD_TAIL, 4);

    if (iommu->cmdbuf >= GROUND && iommu->cmdbuf + tail + 16 <= OWNED) {
        world_put(iommu->cmdbuf + tail, 8, first);
        world_put(iommu->cmdbuf + tail + 8, 8, some_value());
    }
    world_put(REGISTERS + CMD_TAIL, 8, (tail + 16) & 0xfff);
}

static void step_transfer(bool write)
{
    AddressSpace *as = pci_device_iommu_address_space(device);
    uint64_t at = some_address() + fuzz_byte();
    uint8_t buf[64], len = fuzz_byte() % sizeof(buf) + 1;
    MemTxResult r;

    memset(buf, 0x5a, sizeof(buf));
    r = address_space_rw(as, at, MEMTXATTRS_UNSPECIFIED, buf, len, write);
    fuzz_say("%s %u at %" PRIx64 ": %x, log %x\n", write ? "write" : "read",
             len, at, r, iommu->evtlog_tail);
}

static void step_interrupt(void)
{
    MemTxAttrs attrs = { .requester_id = pci_get_bdf(device) };

    address_space_stl_le(pci_device_iommu_address_space(device),
                         0xfee00000 + fuzz_number(2) * 4, fuzz_number(2), attrs,
                         NULL);
}

static void step_others(void)
{
    uint8_t b = fuzz_byte();

    switch (b % 4) {
    case 0:
        device_cold_reset(DEVICE(iommu));
        break;
    case 1:
        snp_platform()->fw.iommu_snp = b & 8;
        break;
    case 2:
        owner(b & 8);
        break;
    default:
        world_catch_up();
    }
}

static void check(bool guests)
{
    uint8_t now[PAGE];

    MUST(!(iommu->cmdbuf_head & ~POSITION), "head %x", iommu->cmdbuf_head);
    MUST(!(iommu->evtlog_tail & ~POSITION), "tail %x", iommu->evtlog_tail);
    world_read(OWNED, now, sizeof(now));
    MUST(!guests || !memcmp(now, owned, sizeof(owned)), "written to");
    memcpy(owned, now, sizeof(owned));
}

void target_input(void)
{
    device_cold_reset(DEVICE(iommu));
    world_catch_up();
    world_again();
    world_read(OWNED, owned, sizeof(owned));
    owner(true);
    snp_platform()->fw.iommu_snp = true;
    for (unsigned i = 0; i < STEPS && fuzz_more(); i++) {
        RmpEntry e;
        bool guests;

        rmp_get_raw(&snp_platform()->rmp, OWNED, &e);
        guests = e.assigned && asked();
        switch (fuzz_byte() % 16) {
        case 0:
            set_up();
            break;
        case 1:
        case 2:
            step_register(true);
            break;
        case 3:
            step_register(false);
            break;
        case 4:
        case 5:
        case 6:
            step_memory();
            break;
        case 7:
        case 8:
            step_command();
            break;
        case 9:
        case 10:
            step_transfer(false);
            break;
        case 11:
        case 12:
            step_transfer(true);
            break;
        case 13:
            step_interrupt();
            break;
        default:
            step_others();
        }
        check(guests);
    }
    world_catch_up();
}
