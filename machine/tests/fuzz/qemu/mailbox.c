/*
 * Fuzz target: the secure processor's function, register by register
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Accesses of any size at any place of the function's registers, its MSI-X
 * table and its configuration space, by a CPU and by a device; commands with
 * buffers in memory, in devices, in the function itself; what is made to fail;
 * resets; and a CPU that does not come to rest for a while. An answer is that
 * of the command that was given, with a status that there is.
 */
#include "world.h"
#include "hw/core/cpu.h"
#include "hw/pci/msix.h"
#include "hw/snp/fw_table.h"
#include "../../../hw/snp/amd_psp.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qom/object.h"
#include "target/i386/snp/snp.h"

#define STEPS      64u
#define BAR4       0xe0200000u
#define INTEN      0x10690u
#define INTSTS     0x10694u
#define CMDRESP    0x10980u
#define BUF_LO     0x109e0u
#define BUF_HI     0x109e4u
#define RESP_DONE  (1u << 31)

static AmdPspState *psp;

static void config(unsigned at, uint32_t value, unsigned len)
{
    pci_default_write_config(PCI_DEVICE(psp), at, value, len);
}

/* Where the firmware of a PC would have put it */
static void map(void)
{
    config(PCI_BASE_ADDRESS_2, MAILBOX, 4);
    config(PCI_BASE_ADDRESS_4, BAR4, 4);
    config(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

/* Do accesses get there? A configuration may say otherwise. */
static bool mapped(void)
{
    return world_get(MAILBOX + 0x109fc, 4) == 1;
}

void target_prepare(void)
{
    psp = AMD_PSP(object_resolve_path("/machine/peripheral/psp", NULL));
    world_keep();
}

static uint64_t some_address(void)
{
    static const uint64_t places[] = {
        GROUND, GROUND + 0x1000, GROUND + 0x1001, GROUND + 0x8000,
        GROUND + 0xffff0, 0, 0xa0000, 0xfffff, MEMORY - 8, MEMORY, MAILBOX,
        MAILBOX + CMDRESP, BAR4, 0xfee00000, 0xffff0000, 1ull << 32,
        (1ull << 32) + 0x3e00000, (1ull << 32) + 0x3fffff8, 1ull << 51,
        (1ull << 51) + GROUND, ~0ull, ~0xfffull,
    };
    uint8_t b = fuzz_byte();

    return b < 0xc0 ? places[b % ARRAY_SIZE(places)]
                    : GROUND + fuzz_number(2) * 16;
}

static void step_register(bool write)
{
    static const unsigned registers[] = {
        CMDRESP, BUF_LO, BUF_HI, INTEN, INTSTS, 0x109fc, 0, 0xffffc,
    };
    uint8_t b = fuzz_byte();
    unsigned len = 1u << (b >> 6);
    uint64_t at = MAILBOX + registers[b & 7] + (b & 8 ? fuzz_byte() % 8 : 0);

    at = b & 16 ? BAR4 + fuzz_byte() * 4 : at;
    if (write) {
        world_put(at, len, fuzz_number(len));
    } else {
        world_get(at, len);
    }
}

/* All of it as a driver does */
static void step_command(void)
{
    uint8_t b = fuzz_byte();
    uint32_t cmd = b < 0xf0 ? fw_commands[b % fw_ncommands].id
                            : fuzz_number(2);
    uint64_t buf = some_address();
    bool waited = psp->waiting;
    bool ready = !waited && !psp->late && !psp->dead;
    uint32_t was = psp->cmdresp, val = (cmd & 0x7ff) << 16 | (fuzz_byte() & 1);

    world_put(MAILBOX + BUF_LO, 4, buf);
    world_put(MAILBOX + BUF_HI, 4, buf >> 32);
    world_put(MAILBOX + CMDRESP, 4, val);
    fuzz_say("%x at %" PRIx64 ": %x\n", val, buf, psp->cmdresp);
    if (psp->waiting) {
        MUST(!(psp->cmdresp & RESP_DONE), "waiting, and answered");
        MUST(!waited || psp->cmdresp == was, "not the first command's");
    } else if (ready && !psp->late && !psp->dead && mapped()) {
        uint32_t now = psp->cmdresp;

        /* status in 15:0, the rest is the command's but for bit 31 */
        MUST((now & RESP_DONE) && !((now ^ val) & ~(RESP_DONE | 0xffff)),
             "%x answered by %x", val, now);
        MUST(snp_fw_status_name(now & 0xffff)[0] != '?', "status %x", now);
    }
}

static void step_memory(void)
{
    uint64_t at = GROUND + fuzz_number(2) * 16;

    for (uint8_t n = fuzz_byte() & 0x1f; n; n--) {
        world_put(at++, 1, fuzz_byte());
    }
}

static void step_inject(void)
{
    static const char *const lists[] = {
        "", "any:1:HWERROR_UNSAFE", "any:1-3:late-polls=3",
        "any:2:late-interrupts=2", "any:1:no-interrupt", "any:3:dead",
        "SNP_INIT:1:store=0x200000", "SNP_INIT:1:rmpupdate=0x200000",
        "any:1-100:late-polls=1", "PLATFORM_STATUS:1:late-interrupts=1",
    };
    uint8_t b = fuzz_byte();
    char text[24];

    if (b < 0xc0) {
        object_property_set_str(OBJECT(psp), "inject",
                                lists[b % ARRAY_SIZE(lists)], &error_abort);
        return;
    }
    /* of the operator, not of the guest: but what is no list is refused */
    for (unsigned i = 0; i < sizeof(text) - 1; i++) {
        text[i] = fuzz_byte() & 0x7f;
    }
    text[sizeof(text) - 1] = 0;
    object_property_set_str(OBJECT(psp), "inject", text, NULL);
}

static void step_config(void)
{
    uint8_t at = fuzz_byte();
    unsigned len = 1u << (at & 1 ? 0 : at & 2 ? 1 : 2);

    config(at, fuzz_number(len), len);
    if (fuzz_byte() & 1) {
        map();
    }
}

static void step_others(void)
{
    switch (fuzz_byte() % 8) {
    case 0:
        device_cold_reset(DEVICE(psp));
        map();
        break;
    case 1:
    case 2:
        x86_snp_interrupt();
        break;
    case 3:
        g_free(object_property_get_str(OBJECT(psp), "stats", NULL));
        g_free(object_property_get_str(OBJECT(psp), "guests", NULL));
        break;
    case 4:
        /* what SNP_INIT wants to see of CPUs */
        world_env->snp.syscfg = SYSCFG_MEM_ENCRYPT | SYSCFG_SNP_EN |
                                SYSCFG_VMPL_EN | SYSCFG_MFDM;
        break;
    case 5:
        world_env->snp.wbinvd_done = true;
        break;
    default:
        world_catch_up();
    }
}

static void check(void)
{
    MUST(!(psp->intsts & ~2u), "INTSTS %x", psp->intsts);
    MUST(!psp->waiting || !(psp->cmdresp & RESP_DONE), "waits, and is done");
    MUST(!psp->platform.rmp.lock && !psp->platform.rmp.held, "table held");
}

void target_input(void)
{
    CPUState *self = current_cpu;

    device_cold_reset(DEVICE(psp));
    world_catch_up();
    object_property_set_str(OBJECT(psp), "inject", "", &error_abort);
    world_again();
    map();
    for (unsigned i = 0; i < STEPS && fuzz_more(); i++) {
        uint8_t b = fuzz_byte();

        /* a device has no CPU; it is heard at once, as the machine stands */
        current_cpu = b & 0x80 ? NULL : self;
        switch (b % 16) {
        case 0:
        case 1:
        case 2:
            step_register(true);
            break;
        case 3:
        case 4:
            step_register(false);
            break;
        case 5:
        case 6:
            step_memory();
            break;
        case 7:
            step_inject();
            break;
        case 8:
            step_config();
            break;
        case 9:
        case 10:
        case 11:
            current_cpu = self;
            step_others();
            break;
        default:
            step_command();
        }
        current_cpu = self;
        check();
    }
    world_catch_up();
    MUST(!psp->waiting, "nobody has executed it");
}
