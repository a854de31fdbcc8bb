/*
 * Every state of a page x what a device behind the IOMMU can do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads and writes, with the IOMMU disabled, not translating, and translating
 * by leaves of 4K and 2M. And what SNP makes of the IOMMU itself: locked
 * registers, where COMPLETION_WAIT may store, the log, until it is shut down.
 */
#include "product.h"
#include "dma.h"

static const char *const map_name[NMAPS] = {
    [MAP_OFF] = "IOMMU off", [MAP_NONE] = "no translation", [MAP_4K] = "4K",
    [MAP_2M] = "2M",
};

#define MSR_SYSCFG    0xc0010010
#define SYSCFG_MFDM   (1u << 19)

#define LEN  16u
static uint64_t from[2] __attribute__((aligned(4096)));
static uint64_t got[2] __attribute__((aligned(4096)));
static volatile uint64_t *store;

static void where(Map map, uint64_t page, const char *what)
{
    now_name();
    print("%s: %s by a device, %s: ", page == now.spa ? "" : " (beside it)",
          what, map_name[map]);
}

/*
 * Takes all events: is there one at least, and all of them are that one, with
 * an address within the transfer to @at? How many a transfer makes depends on
 * the pieces it is sent in.
 */
static bool events_are(uint64_t word, uint32_t at)
{
    bool any = false, good = true;
    Event e;

    while (iommu_event(&e)) {
        bool is = e.lo == word && e.hi >= at && e.hi < (uint64_t)at + LEN;

        if (!is && good) {
            print("#   event %lx %lx\n", e.lo, e.hi);
        }
        good &= is;
        any = true;
    }
    if (!any) {
        print("#   no event\n");
    }
    return any && good;
}

/* Of a write that was refused, at this address, or of none? */
static bool logged(Map map, bool refused, uint64_t at)
{
    if (refused && map != MAP_OFF) {
        return events_are(event_word(EVENT_RMP_PAGE, EVENT_WRITE, true),
                          dma_address(at));
    }
    return !iommu_no_events();
}

static void one_read(Map map, uint64_t page)
{
    uint64_t at = page + AT_MAGIC - 8;
    volatile uint64_t *word = (volatile uint64_t *)at;
    bool good;

    got[0] = got[1] = 0x5a5a5a5a5a5a5a5a;
    dma_copy((uint32_t)(uint64_t)got, dma_address(at), LEN);
    /* IOMMU-RMP-READ: what the host reads; the magic, if that is foreseen */
    good = !state_memory(now.state) || (got[0] == word[0] && got[1] == word[1]);
    if (state_memory(now.state) && !state_unknown(now.state)) {
        good &= got[1] == MAGIC;
    }
    good &= logged(map, false, at);
    if (cell(window_check() && good)) {
        where(map, page, "read");
        print("%lx %lx, host: %lx %lx\n", got[0], got[1],
              state_memory(now.state) ? word[0] : 0,
              state_memory(now.state) ? word[1] : 0);
    }
}

static void one_write(Map map, uint64_t page)
{
    uint64_t at = page + AT_WRITE;
    volatile uint64_t *word = (volatile uint64_t *)at;
    /* IOMMU-RMP-WRITE, IOMMU-RMP-SIZE */
    bool may = model_hv_owned(page, map == MAP_2M);
    bool memory = state_memory(now.state), good = true;
    uint64_t old[2] = { 0 };

    if (memory) {
        old[0] = word[0];
        old[1] = word[1];
    }
    from[0] = ~old[0];
    from[1] = old[1] + 1;
    dma_copy(dma_address(at), (uint32_t)(uint64_t)from, LEN);
    if (memory) {
        good = word[0] == (may ? from[0] : old[0]) &&
               word[1] == (may ? from[1] : old[1]);
    }
    good &= logged(map, !may, at);
    if (cell(window_check() && good)) {
        where(map, page, "write");
        print("%s have been done, %lx became %lx\n",
              may ? "should" : "should not", old[0], memory ? word[0] : 0);
    }
    if (memory && word[0] != old[0] && model_hv_owned(page, false)) {
        word[0] = old[0];
        word[1] = old[1];
    }
}

/* Read and written, the page and the one beside it */
#define CELLS 4

static void one_state(void)
{
    for (Map map = 0; map < NMAPS; map++) {
        if (!dma_map(map, now.spa)) {
            for (unsigned i = 0; i < CELLS; i++) {
                impossible("the device's addresses have 32 bits "
                           "(PCI 2.2, 6.2.5)");
            }
            continue;
        }
        for (unsigned i = 0; i < 2; i++) {
            one_read(map, i ? now.spa ^ PAGE : now.spa);
            one_write(map, i ? now.spa ^ PAGE : now.spa);
        }
    }
}

/* ---- the IOMMU itself ---- */

static void expect(bool holds, const char *what)
{
    if (cell(holds)) {
        print("# not so: %s\n", what);
    }
}

static bool writes(uint64_t spa)
{
    volatile uint64_t *word = (volatile uint64_t *)(spa + AT_WRITE);
    uint64_t old = *word;

    from[0] = from[1] = ~old;
    dma_copy(dma_address(spa + AT_WRITE), (uint32_t)(uint64_t)from, LEN);
    return *word == ~old;
}

/* RMPUPDATE alone takes away, and gives back, what the IOMMU has cached */
static void suite_cached(void)
{
    static const Update firmware = { .assigned = 1, .immutable = 1 };
    static const Update reclaim = { .assigned = 1 }, none = { 0 };

    ktap_begin();
    for (unsigned spot = 0; spot < NSPOTS; spot++) {
        state_make(HYPERVISOR, false, spot, &now.spa);
        dma_map(MAP_4K, now.spa);
        expect(writes(now.spa), "a device writes to a page of the host");
        do_update(now.spa, spot ? &reclaim : &firmware);
        expect(!writes(now.spa), "no longer, once it is assigned");
        expect(events_are(event_word(EVENT_RMP_PAGE, EVENT_WRITE, true),
                          dma_address(now.spa + AT_WRITE)), "that is logged");
        state_make(HYPERVISOR, false, spot, &now.spa);
        expect(writes(now.spa), "again, once it is the host's");
        do_update(now.spa, &none);
        expect(writes(now.spa) && !iommu_no_events(), "and stays so");
    }
    window_check();
    ktap_end("what the IOMMU has cached follows the RMP");
}

static const struct {
    unsigned reg;
    const char *what;
} locked[] = {
    { REG_DEVTAB, "the device table's base is locked" },
    { REG_CMD, "the command buffer's base is locked" },
    { REG_EVENT, "the event log's base is locked" },
    { REG_STORE_BASE, "the completion store's base is locked" },
    { REG_STORE_LIMIT, "the completion store's limit is locked" },
    { REG_PPR, "the PPR log's base is locked" },
};

static void try_registers(bool lock)
{
    /* IOMMU-SNP-LOCKED */
    for (unsigned i = 0; i < ARRAY_SIZE(locked); i++) {
        volatile uint64_t *reg = iommu_reg(locked[i].reg);
        uint64_t old = *reg, new = old ^ 0x5000;

        *reg = new;
        expect(*reg == (lock ? old : new), locked[i].what);
        *(volatile uint32_t *)reg = (uint32_t)old ^ 0x3000;
        expect(*reg == (lock ? old : old ^ 0x3000), locked[i].what);
        *reg = old;
    }
}

static void suite_registers(void)
{
    uint64_t entry = (uint64_t)store & ~(PAGE - 1);
    Event e;

    ktap_begin();
    dma_map(MAP_NONE, WINDOW);
    try_registers(true);
    /* IOMMU-SNP-STORE */
    iommu_store((uint64_t)&store[1], 0x1234);
    expect(store[1] == 0x1234 && !iommu_no_events(),
           "COMPLETION_WAIT stores to its page");
    iommu_store((uint64_t)&store[1] | C_BIT, 0x5678);
    expect(store[1] == 0x5678 && !iommu_no_events(), "by the C-bit, too");
    got[0] = 0;
    iommu_store((uint64_t)got, 0x1234);
    expect(!got[0], "and nowhere else");
    expect(iommu_event(&e) && e.lo >> 60 == EVENT_COMMAND &&
           !iommu_no_events(), "which is an illegal command");
    /* FW-INIT-IOMMU: those pages are the firmware's */
    expect(probe(op_write, entry, 1).vector == VEC_PF,
           "the host may not write to the page of COMPLETION_WAIT");
    expect(probe(op_write, *iommu_reg(REG_EVENT) & 0xffffffff000, 1).vector ==
           VEC_PF, "nor to the event log");
    /* IOMMU-SNP-TV: TV without a page table */
    dma_set_dte(3ul | 3ul << 61, 5);
    expect(dma_is_cut_off(), "TV without a page table lets nothing through");
    expect(iommu_event(&e) &&
           e.lo == event_word(EVENT_ILLEGAL_DTE, 0, true),
           "and is an illegal device table entry");
    iommu_no_events();
    /* the device may have tried until the log was full */
    *iommu_reg(REG_STATUS) = STATUS_OVERFLOW;
    dma_map(MAP_NONE, WINDOW);
    ktap_end("what SNP leaves of the IOMMU's registers");
}

/* An address that nothing maps, a page that may only be read, a full log */
static void suite_log(void)
{
    unsigned n;

    ktap_begin();
    state_make(HYPERVISOR, false, 1, &now.spa);
    window_check();
    dma_map(MAP_4K, now.spa);
    dma_copy(0xc0000000, (uint32_t)(uint64_t)from, LEN);
    /* domain in bits 47:32 */
    expect(events_are(event_word(EVENT_PAGE, EVENT_WRITE, true) | 5ul << 32,
                      0xc0000000),
           "a write to where nothing is mapped is a page fault");
    *iommu_reg(REG_STATUS) = STATUS_EVENT;
    expect(!(*iommu_reg(REG_STATUS) & STATUS_EVENT), "its status is cleared");
    for (n = 0; n < 300; n++) {
        dma_copy(0xc0000000, (uint32_t)(uint64_t)from, LEN);
    }
    expect(*iommu_reg(REG_STATUS) & STATUS_EVENT, "events set a status bit");
    expect(*iommu_reg(REG_STATUS) & STATUS_OVERFLOW, "a full log overflows");
    *iommu_reg(REG_STATUS) = STATUS_EVENT;
    expect(*iommu_reg(REG_STATUS) & STATUS_OVERFLOW,
           "one bit is cleared without the other");
    expect(iommu_no_events() == 255, "with one entry to spare");
    *iommu_reg(REG_STATUS) = STATUS_OVERFLOW;
    dma_copy(0xc0000000, (uint32_t)(uint64_t)from, LEN);
    expect(iommu_no_events() > 0, "and goes on when that is cleared");
    ktap_end("the event log");
}

static bool reads_as_host(uint64_t page)
{
    const volatile uint64_t *word = (const volatile uint64_t *)page;

    got[0] = got[1] = 0x5a5a5a5a5a5a5a5a;
    dma_copy((uint32_t)(uint64_t)got, dma_address(page), LEN);
    return got[0] == word[0] && got[1] == word[1];
}

/* FW-INIT-IOMMU-ENFORCE, FW-SHUTDOWN-IOMMU. The last test: SNP is gone. */
static void suite_shutdown(void)
{
    static const Update firmware = { .assigned = 1, .immutable = 1 };
    static const Update left = { .gpa = GPA_BASE, .assigned = 1, .asid = 7 };
    static const uint32_t keep[2] = { 8, 0 }, iommu[2] = { 8, 1 };
    static const uint64_t init[8] = { 1 };      /* INIT_RMP, no list */

    ktap_begin();
    ktap_also = NULL;           /* all of the table is made anew */
    state_make(HYPERVISOR, false, 1, &now.spa);
    do_update(now.spa, &firmware);
    window_check();
    dma_map(MAP_4K, now.spa);
    for (unsigned g = KEEP_GCTX; g <= KEEP_GCTX_OTHER; g++) {
        expect(fw_page(CMD_DECOMMISSION, KEEP_PAGE(g)) == FW_OK,
               "a guest ends");
    }
    asm volatile("wbinvd");
    expect(psp(CMD_SNP_DF_FLUSH, NULL, 0) == FW_OK, "SNP_DF_FLUSH");
    expect(psp(CMD_SNP_SHUTDOWN_EX, keep, sizeof(keep)) == FW_OK,
           "SNP is shut down without the IOMMU");
    expect(!writes(now.spa), "devices are still refused");
    expect(iommu_no_events() > 0, "that is still logged");
    try_registers(true);

    wrmsr(MSR_SYSCFG, rdmsr(MSR_SYSCFG) | SYSCFG_MFDM);
    asm volatile("wbinvd");
    expect(psp(CMD_SNP_INIT_EX, init, sizeof(init)) == FW_OK, "SNP again");
    expect(writes(now.spa), "with a table that is empty");
    expect(probe(op_rmpupdate, now.spa, (uint64_t)&firmware).ret == OK &&
           !writes(now.spa) && iommu_no_events() > 0, "until it is not");
    expect(probe(op_rmpupdate, now.spa ^ PAGE, (uint64_t)&left).ret == OK &&
           reads_as_host(now.spa ^ PAGE), "a page is left to an ASID");
    expect(psp(CMD_SNP_SHUTDOWN_EX, iommu, sizeof(iommu)) == FW_OK,
           "SNP is shut down with the IOMMU");
    expect(writes(now.spa) && !iommu_no_events(), "devices write anywhere");
    /* IOMMU-RMP-READ */
    expect(reads_as_host(now.spa ^ PAGE), "and read what they did before");
    dma_map(MAP_OFF, WINDOW);
    try_registers(false);
    ktap_end("devices are checked from SNP_INIT to SNP_SHUTDOWN_EX");
}

void suite_device(void)
{
    const char *wrong = dma_init(&store);

    if (wrong) {
        bail(wrong);
    }
    ktap_plan(5 + NSTATES);
    window_init();
    suite_log();
    every_state(one_state, NSPOTS, "a device");
    suite_cached();
    suite_registers();
    suite_shutdown();
}
