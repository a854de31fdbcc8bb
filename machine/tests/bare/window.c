/*
 * The regions under test: in memory, in the table, in the model
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Layout of entries: PPR of family 19h. Its second word is not documented:
 * it has to stay as it is where nothing happens, and is not looked at else.
 */
#include "window.h"

#define MSR_SYSCFG    0xc0010010
#define MSR_HSAVE     0xc0010117
#define MSR_RMP_BASE  0xc0010132
#define MSR_RMP_END   0xc0010133
#define SYSCFG_MFDM   (1u << 19)
#define SYSCFG_CRYPT  (1u << 23)
#define SYSCFG_SNP    (1u << 24)
#define SYSCFG_VMPL   (1u << 25)
#define BOOKKEEPING   0x4000ul

#define LO_ASSIGNED   (1ul << 0)
#define LO_2M         (1ul << 1)
#define LO_IMMUTABLE  (1ul << 2)
#define LO_GPA        0x0007fffffffff000ul
#define LO_VMSA       (1ul << 61)
#define LO_VALIDATED  (1ul << 62)

const unsigned spots[NSPOTS] = { 0, 77, 511 };

/* regions: the one that is tried, the next one, HV-fixed ones by spot */
#define TRY           WINDOW
#define FIXED(n)      (WINDOW + (2 + (n)) * SIZE_2M)

static uint64_t before[MAX_REGIONS][PAGES_2M][2];

static volatile uint64_t *slot(uint64_t spa)
{
    return (volatile uint64_t *)(platform.rmp_base + BOOKKEEPING +
                                 spa / PAGE * 16);
}

/* ---- table and model ---- */

static bool as_model(const Region *r, unsigned i, uint64_t lo)
{
    const Entry *e = &r->e[r->large ? 0 : i];
    uint64_t want = e->gpa | (uint64_t)e->asid << 51;

    if (r->large && i) {
        /* software finds assigned there, and the rest in the first entry */
        return e->assigned && (lo & LO_ASSIGNED);
    }
    if (!e->assigned) {
        return (lo & (LO_ASSIGNED | LO_2M | LO_IMMUTABLE)) ==
               (e->immutable ? LO_IMMUTABLE : 0);
    }
    want |= LO_ASSIGNED | (r->large ? LO_2M : 0) |
            (e->immutable ? LO_IMMUTABLE : 0) | (e->vmsa ? LO_VMSA : 0) |
            (e->validated ? LO_VALIDATED : 0);
    return lo == want;
}

static void adopt(Region *r)
{
    for (unsigned i = 0; i < PAGES_2M; i++) {
        uint64_t lo = slot(r->base + i * PAGE)[0];

        r->e[i] = (Entry){
            .assigned = lo & LO_ASSIGNED, .immutable = lo & LO_IMMUTABLE,
            .vmsa = lo & LO_VMSA, .validated = lo & LO_VALIDATED,
            .asid = lo >> 51 & 0x3ff, .gpa = lo & LO_GPA,
        };
    }
    r->large = slot(r->base)[0] & LO_2M;
}

bool window_check(void)
{
    bool good = true;

    for (unsigned n = 0; n < nregions; n++) {
        Region *r = &regions[n];
        volatile uint64_t *raw = slot(r->base);
        unsigned wrong = 0;

        for (unsigned i = 0; i < PAGES_2M; i++) {
            uint64_t lo = raw[2 * i], hi = raw[2 * i + 1];
            bool ok = r->touched[i] ? as_model(r, i, lo)
                      : lo == before[n][i][0] && hi == before[n][i][1];

            if (!ok && !wrong++ && good) {
                print("#   entry of %lx: %lx %lx, was %lx %lx, %s\n",
                      r->base + i * PAGE, lo, hi, before[n][i][0],
                      before[n][i][1], r->touched[i] ? "not as the rules say"
                      : "and nothing should have happened to it");
            }
            before[n][i][0] = lo;
            before[n][i][1] = hi;
            r->touched[i] = false;
        }
        if (wrong) {
            adopt(r);
            good = false;
        }
    }
    return good;
}

/*
 * All entries that are in no region, folded: nothing ever happens to them. The
 * sum depends on each word and on where it stands.
 */
static uint64_t rest(void)
{
    uint64_t sum = 0, spa = 0;

    while (spa < platform.covered) {
        Region *r = region_of(spa);
        volatile uint64_t *raw = slot(spa);

        if (r) {
            spa = r->base + SIZE_2M;
            continue;
        }
        for (unsigned i = 0; i < 2 * PAGES_2M && spa < platform.covered; i++) {
            sum = (sum << 7 | sum >> 57) + raw[i];
            spa += i & 1 ? PAGE : 0;
        }
    }
    return sum;
}

static uint64_t rest_was;

static bool rest_same(void)
{
    uint64_t now = rest();
    bool same = now == rest_was;

    if (!same) {
        print("# entries changed that are in no region\n");
    }
    rest_was = now;
    return same;
}

static void add_region(uint64_t base)
{
    regions[nregions++].base = base;
    if (nregions > MAX_REGIONS) {
        bail("too many regions");
    }
    if (base < 8 * GIB) {
        paging_split(base);
    }
}

/* ---- what has to succeed ---- */

void do_update(uint64_t spa, const Update *u)
{
    Probe p = probe(op_rmpupdate, spa, (uint64_t)u);
    int want = model_update(spa, u);

    if (p.vector != NO_VEC || p.ret != OK || want != OK) {
        print("# RMPUPDATE of %lx: vector %d, status %lx, expected %d\n", spa,
              p.vector, p.ret, want);
        bail("a state cannot be made");
    }
}

static void need_fw(uint32_t status, const char *what)
{
    if (status != FW_OK) {
        print("# %s: status %x\n", what, status);
        bail("a firmware command fails");
    }
}

static void to_reclaim(uint64_t spa, bool size_2m)
{
    Entry e = { .assigned = true };

    need_fw(fw_page(CMD_RECLAIM, spa | size_2m), "SNP_PAGE_RECLAIM");
    model_set(spa, &e, size_2m);
}

static void to_context(uint64_t spa)
{
    Entry e = { .assigned = true, .immutable = true, .vmsa = true };

    need_fw(fw_page(CMD_GCTX_CREATE, spa), "SNP_GCTX_CREATE");
    model_set(spa, &e, false);
}

uint32_t launch_perms;

void do_launch_update(uint64_t gctx, uint64_t spa, bool size_2m,
                      unsigned type)
{
    bool was_2m;
    Entry e = entry_of(spa, &was_2m);

    need_fw(fw_launch_update(gctx, spa, size_2m, type, launch_perms),
            "SNP_LAUNCH_UPDATE");
    e.immutable = false;
    e.validated = true;
    e.vmsa = type == TYPE_VMSA;
    e.perms = launch_perms;
    model_set(spa, &e, size_2m);
}

static const Update to_free = { .assigned = 0 };
static const Update to_firmware = { .assigned = 1, .immutable = 1 };

/*
 * A Pre-guest page leaves memory: its content goes to KEEP_SEALED, what is to
 * be known of it to the first entry of KEEP_MDATA, begun anew each time.
 * Buffers are as machine/FIRMWARE.md has them, since no source does.
 */
static void swap_out(uint64_t spa)
{
    const uint64_t sealed = KEEP_PAGE(KEEP_SEALED);
    const uint64_t mdata = KEEP_PAGE(KEEP_MDATA), gctx = KEEP_PAGE(KEEP_GCTX);
    const uint64_t init[2] = { gctx, mdata };
    const uint64_t out[6] = { gctx, spa, sealed, mdata };
    Entry meta = { .assigned = true, .immutable = true, .gpa = gctx };
    Entry gone = { .assigned = true, .immutable = true };
    bool size_2m;

    if (!entry_of(sealed, &size_2m).assigned) {
        do_update(sealed, &to_firmware);
    }
    if (entry_of(mdata, &size_2m).assigned) {
        to_reclaim(mdata, false);
        do_update(mdata, &to_free);
    }
    do_update(mdata, &to_firmware);
    need_fw(psp(CMD_MD_INIT, init, sizeof(init)), "SNP_PAGE_MD_INIT");
    model_set(mdata, &meta, false);
    need_fw(psp(CMD_SWAP_OUT, out, sizeof(out)), "SNP_PAGE_SWAP_OUT");
    model_set(spa, &gone, false);
}

/* Everything of a region that is tried back to Hypervisor */
static void clean(uint64_t base)
{
    Region *r = region_of(base);
    Update free_2m = { .size = 1 };

    if (r->large) {
        if (r->e[0].immutable) {
            to_reclaim(base, true);
        }
        do_update(base, &free_2m);
        return;
    }
    for (unsigned i = 0; i < PAGES_2M; i++) {
        Entry *e = &r->e[i];
        uint64_t spa = base + i * PAGE;

        if (!e->assigned) {
            continue;
        }
        if (e->immutable && !e->asid && e->vmsa) {
            need_fw(fw_page(CMD_DECOMMISSION, spa), "SNP_DECOMMISSION");
        }
        if (e->immutable) {
            to_reclaim(spa, false);
        }
        do_update(spa, &to_free);
    }
}

/* ---- states ---- */

const char *const state_name[NSTATES] = {
    [HYPERVISOR] = "hypervisor", [HV_FIXED] = "hv-fixed",
    [RECLAIM] = "reclaim", [FIRMWARE] = "firmware", [CONTEXT] = "context",
    [METADATA] = "metadata", [PRE_GUEST] = "pre-guest",
    [PRE_SWAP] = "pre-swap", [SWAPPED] = "swapped out",
    [GUEST_INVALID] = "guest-invalid",
    [GUEST_VALID] = "guest-valid", [VMSA] = "vmsa",
    [RMP_TABLE] = "the table's own", [UNCOVERED] = "without entry",
};

bool state_memory(State s)
{
    return s != UNCOVERED;
}

const char *state_unknown(State s)
{
    switch (s) {
    case CONTEXT:
        return "what is in a context is the firmware's (FW-GCTX)";
    case PRE_SWAP:
    case GUEST_VALID:
    case VMSA:
        return "what the firmware enciphered is not to be foreseen "
               "(APM vol 2, 15.34)";
    case SWAPPED:
        return "what is left in a page that was swapped out no source says "
               "(FW-SWAP-OUT-STATE)";
    case RMP_TABLE:
        return "what is in the table is the processor's "
               "(FW-INIT-RMP-PAGES)";
    case UNCOVERED:
        return "there is no memory behind the last entry "
               "(RMP-UPDATE-COVERED)";
    default:
        return NULL;
    }
}

static uint8_t landing[4096] __attribute__((aligned(4096)));

static void fill(uint64_t spa)
{
    static const uint64_t bits[NWALKS] = {
        [WALK_AD] = PTE_A | PTE_D, [WALK_SETS_A] = 0, [WALK_SETS_D] = PTE_A,
    };
    uint64_t *p = (uint64_t *)spa;

    zero(p, PAGE);
    for (int i = 0; i < NWALKS; i++) {
        uint64_t pte = PTE_P | PTE_W | PTE_U | bits[i];

        p[PTE_HOST + i] = (uint64_t)landing | pte;
        p[PTE_GUEST + i] = GPA_LANDING | C_BIT | pte;
        p[PTE_PLAIN + i] = GPA_LANDING | pte;
    }
    p[0x3b0 / 8] = 1;           /* as a VMSA it has SNP active */
    p[AT_CODE / 8] = 0xc3;
    p[AT_MAGIC / 8] = MAGIC;
}

static const char *no_2m(State s)
{
    switch (s) {
    case HYPERVISOR:
    case HV_FIXED:
        return "an entry that is not assigned has no size (PPR)";
    case CONTEXT:
        return "a context is one page of 4K (FW-GCTX-CREATE-STATE)";
    case SWAPPED:
        return "pages of 2M are not swapped (FW-SWAP-2M)";
    case RMP_TABLE:
        return "the firmware takes its pages by entries of 4K "
               "(FW-INIT-RMP-PAGES)";
    case UNCOVERED:
        return "there is no entry that could have a size "
               "(RMP-UPDATE-COVERED)";
    default:
        return NULL;
    }
}

void state_cannot(State s, bool size_2m, const char *why)
{
    print("# %s %s cannot be made\n", state_name[s], size_2m ? "2M" : "4K");
    impossible(why);
}

const char *state_make(State s, bool size_2m, unsigned spot, uint64_t *spa)
{
    uint64_t entry = size_2m ? TRY : TRY + spots[spot] * PAGE;
    Update u = { .size = size_2m };
    const char *why = size_2m ? no_2m(s) : NULL;

    clean(TRY);
    if (why) {
        return why;
    }
    *spa = TRY + spots[spot] * PAGE;
    switch (s) {
    case HV_FIXED:
        *spa = FIXED(spot) + spots[spot] * PAGE;
        break;
    case RMP_TABLE:
        *spa = ((platform.rmp_base + SIZE_2M - 1) & ~(SIZE_2M - 1)) +
               spots[spot] * PAGE;
        break;
    case UNCOVERED:
        *spa = ((platform.covered + SIZE_2M - 1) & ~(SIZE_2M - 1)) +
               spots[spot] * PAGE;
        break;
    default:
        break;
    }
    if (s != RMP_TABLE && s != UNCOVERED) {
        fill(*spa);
        fill(*spa ^ PAGE);
    }
    u.assigned = s != HYPERVISOR;
    u.immutable = s == RECLAIM || s == FIRMWARE || s == CONTEXT ||
                  s == METADATA || s == PRE_GUEST || s == PRE_SWAP ||
                  s == SWAPPED || s == GUEST_VALID || s == VMSA;
    if (s == PRE_GUEST || s == PRE_SWAP || s == SWAPPED ||
        s == GUEST_INVALID || s == GUEST_VALID || s == VMSA) {
        u.asid = asid_of[OWNER];
    }
    if (u.asid || s == METADATA) {
        u.gpa = size_2m ? GPA_BASE : GPA_BASE + spots[spot] * PAGE;
    }
    if (s != HYPERVISOR && s != HV_FIXED && s != RMP_TABLE &&
        s != UNCOVERED) {
        do_update(entry, &u);
    }
    if (s == RECLAIM) {
        to_reclaim(entry, size_2m);
    } else if (s == CONTEXT) {
        to_context(entry);
    } else if (s == SWAPPED) {
        swap_out(entry);
    } else if (s == PRE_SWAP) {
        do_launch_update(KEEP_PAGE(KEEP_GCTX), entry, size_2m, TYPE_NORMAL);
        /* it is Pre-guest then: the model says so, and window_check() looks */
        do_update(entry, &u);
        if (!window_check()) {
            bail("a validated page of a guest that is made immutable");
        }
        clean(TRY);
        return "RMPUPDATE clears validated, and nothing else makes a guest's "
               "page immutable (RMP-UPDATE-RESET)";
    } else if (s == VMSA && size_2m) {
        if (fw_launch_update(KEEP_PAGE(KEEP_GCTX), entry, true, TYPE_VMSA,
                             0) != FW_PAGE_SIZE) {
            bail("a VMSA of 2M is not refused with INVALID_PAGE_SIZE");
        }
        clean(TRY);
        return "a VMSA is one page of 4K (FW-UPDATE-SIZE)";
    } else if (s == GUEST_VALID || s == VMSA) {
        do_launch_update(KEEP_PAGE(KEEP_GCTX), entry, size_2m,
                         s == VMSA ? TYPE_VMSA : TYPE_NORMAL);
    }
    return NULL;
}

/* ---- bringing SNP up ---- */

uint16_t init_hide;

static uint32_t init_ex(void)
{
    static struct {
        uint32_t n, rsvd;
        struct {
            uint64_t base;
            uint32_t pages, rsvd;
        } range[NSPOTS];
    } list __attribute__((aligned(4096)));
    /* INIT_RMP, a list; that ciphertext is to be hidden */
    uint64_t c[8] = { 3 | !!init_hide << 3, (uint64_t)&list, init_hide };

    list.n = NSPOTS;
    for (int i = 0; i < NSPOTS; i++) {
        list.range[i].base = FIXED(i) + spots[i] * PAGE;
        list.range[i].pages = 1;
    }
    return psp(CMD_SNP_INIT_EX, c, sizeof(c));
}

static void expect(bool holds, const char *what)
{
    if (cell(holds)) {
        print("# not so: %s\n", what);
    }
}

static void find_platform(void)
{
    uint32_t r[4];

    cpuid(0x8000001f, 0, r);
    expect((r[0] & 0x1a) == 0x1a, "CPUID has SEV, SEV-ES, SNP");
    expect((r[1] & 0x3f) == 51, "CPUID has the C-bit at 51");
    platform.vmpls = r[1] >> 12 & 15;
    platform.max_asid = r[2];
    platform.min_sev_asid = r[3];
    expect(platform.vmpls && r[3] > asid_of[OTHER] &&
           r[2] < asid_of[PLAIN], "VMPLs and ASIDs are as the suite has them");
    platform.rmp_base = rdmsr(MSR_RMP_BASE);
    platform.rmp_end = rdmsr(MSR_RMP_END);
    expect(platform.rmp_base && !(platform.rmp_base & 0x1fff) &&
           (platform.rmp_end & 0x1fff) == 0x1fff &&
           platform.rmp_end - platform.rmp_base > BOOKKEEPING,
           "RMP_BASE and RMP_END are those of a table");
    platform.covered = (platform.rmp_end + 1 - platform.rmp_base -
                        BOOKKEEPING) / 16 * PAGE;
    expect(platform.covered > platform.rmp_end, "the table covers itself");
    expect(rdmsr(MSR_SYSCFG) & SYSCFG_CRYPT, "SYSCFG has MemEncryptionModEn");
}

static const char *const before_snp[] = {
    "RMPUPDATE before SNP_EN is #UD", "PSMASH before SNP_EN is #UD",
    "PVALIDATE on the host is #UD", "RMPADJUST on the host is #UD",
    "RMPQUERY on the host is #UD",
};

void window_init(void)
{
    static ProbeOp *const ops[] = { op_rmpupdate, op_psmash, op_pvalidate,
                                    op_rmpadjust, op_rmpquery };
    uint64_t syscfg = rdmsr(MSR_SYSCFG);
    Entry fixed = { .immutable = true };

    ktap_begin();
    find_platform();
    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
        expect(probe(ops[i], TRY, (uint64_t)&to_free).vector == VEC_UD,
               before_snp[i]);
    }
    expect(init_ex() == FW_CONFIG, "SNP_INIT_EX without SNP_EN fails");
    wrmsr(MSR_SYSCFG, syscfg | SYSCFG_MFDM | SYSCFG_SNP);
    expect(init_ex() == FW_CONFIG, "SNP_INIT_EX without VMPLEn fails");
    wrmsr(MSR_SYSCFG, syscfg | SYSCFG_SNP | SYSCFG_VMPL);
    expect(init_ex() == FW_CONFIG, "SNP_INIT_EX without MFDM fails");
    wrmsr(MSR_SYSCFG, syscfg | SYSCFG_MFDM | SYSCFG_SNP | SYSCFG_VMPL);
    wrmsr(MSR_HSAVE, WINDOW);
    expect(init_ex() == FW_CONFIG, "SNP_INIT_EX with VM_HSAVE_PA fails");
    wrmsr(MSR_HSAVE, 0);
    asm volatile("wbinvd");
    expect(init_ex() == FW_OK, "SNP_INIT_EX succeeds");
    expect(init_ex() == FW_PLATFORM_STATE, "a second SNP_INIT_EX fails");
    wrmsr(MSR_SYSCFG, syscfg);
    expect(rdmsr(MSR_SYSCFG) & SYSCFG_SNP, "SNP_EN stays");
    for (unsigned i = 2; i < ARRAY_SIZE(ops); i++) {
        expect(probe(ops[i], TRY, 0).vector == VEC_UD, before_snp[i]);
    }

    for (uint64_t i = 0; i < 6; i++) {
        add_region(WINDOW + i * SIZE_2M);
    }
    add_region((platform.rmp_base + SIZE_2M - 1) & ~(SIZE_2M - 1));
    add_region((platform.rmp_end + 1 - SIZE_2M) & ~(SIZE_2M - 1));
    paging_split((platform.covered + SIZE_2M - 1) & ~(SIZE_2M - 1));
    for (int i = 0; i < NSPOTS; i++) {
        model_set(FIXED(i) + spots[i] * PAGE, &fixed, false);
    }
    for (unsigned n = nregions - 2; n < nregions; n++) {
        for (unsigned i = 0; i < PAGES_2M; i++) {
            Entry e = { .assigned = true, .immutable = true };

            model_set(regions[n].base + i * PAGE, &e, false);
        }
    }
    for (unsigned n = 0; n < nregions; n++) {
        for (unsigned i = 0; i < PAGES_2M; i++) {
            regions[n].touched[i] = true;
        }
    }
    expect(window_check(), "after SNP_INIT_EX the table is as the list says");

    for (int g = KEEP_GCTX; g <= KEEP_GCTX_OTHER; g++) {
        do_update(KEEP_PAGE(g), &to_firmware);
        to_context(KEEP_PAGE(g));
        need_fw(fw_launch_start(KEEP_PAGE(g)), "SNP_LAUNCH_START");
        need_fw(fw_activate(KEEP_PAGE(g), asid_of[g]), "SNP_ACTIVATE");
    }
    expect(window_check(), "two guests being launched change two pages");
    rest_was = rest();
    ktap_also = rest_same;
    ktap_end("SNP comes up");
}
