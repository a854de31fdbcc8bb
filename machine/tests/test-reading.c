/*
 * Unit test of the readings: each rule both ways
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One case a reading, named by SNP_READINGS itself: one without a case does
 * not compile. What the strict machine refuses, and one that is loose in all
 * else, is accepted by one that is loose in this alone, and in all.
 */
#include "owner-bench.h"

#define PAGE       0x020000ull
#define GPA        0x40000000ull
#define ASID       3u

static SnpReadings now;

/* After the set-up, which is the same for all */
static void read_so(void)
{
    rmp.loose = fw.cfg.loose = now;
}

/* ---- firmware: each returns a status, 0 if it was accepted ---- */

static uint32_t try_FW_CMDBUF(void)
{
    const uint64_t at = 0x20000 - 6;
    uint32_t ret;

    power_on();
    read_so();
    ret = snp_fw_command(&fw, SEV_PLATFORM_STATUS, at);
    CHECK(ret || (mem[at] == 1 && mem[at + 1] == 55 && mem[at + 7] == 21),
          "a buffer in two pages");
    CHECK(snp_fw_command(&fw, SEV_PLATFORM_STATUS, MEM_SIZE - 6) ==
          FW_INVALID_ADDRESS, "half of it is no memory");
    return ret;
}

static uint32_t debug(uint32_t cmd, uint64_t from, uint64_t to)
{
    read_so();
    fw.guests[0].policy |= 1ull << 19;
    put(0, 8, GCTX);
    put(8, 8, from);
    put(16, 8, to);
    return run(cmd);
}

static uint32_t try_FW_DBG_OWNER(void)
{
    uint32_t ret;

    guest(G_RUNNING_ACTIVE);
    set_page(PAGE, RMP_GUEST_VALID, 4, GPA);
    set_page(TARGET, RMP_PRE_GUEST, 4, GPA);
    ret = debug(SNP_DBG_DECRYPT, PAGE, OUT);
    CHECK(debug(SNP_DBG_ENCRYPT, OUT, TARGET) == ret, "the other way");
    CHECK(!ret || ret == FW_INVALID_PAGE_OWNER, "why");
    return ret;
}

static uint32_t try_FW_DBG_SOURCE(void)
{
    uint32_t ret;

    guest(G_RUNNING_ACTIVE);
    ret = debug(SNP_DBG_DECRYPT, PAGE, OUT);
    CHECK(!ret || ret == FW_INVALID_PAGE_STATE, "why");
    return ret;
}

static uint32_t init_ex(unsigned es, uint64_t nv, unsigned rsvd)
{
    power_on();
    memset(mem + nv, 0xff, 0x8000);
    read_so();
    put(0, 4, 36);
    put(4, 4, es);
    put(8, 8, TMR);
    put(0x10, 4, 0x100000);
    put(0x14, 4, rsvd);
    put(0x18, 8, nv);
    put(0x20, 4, 0x8000);
    return run(SEV_INIT_EX);
}

static uint32_t try_FW_INIT_EX_NV_PAGES(void)
{
    return init_ex(1, TMR + 0x8000, 0);
}

static uint32_t try_FW_INIT_EX_RSVD(void)
{
    return init_ex(0, LARGE, 1u << 31);
}

/* Of message version @ver; a key that was given is in msg */
static uint32_t ask_key(unsigned ver, uint64_t mitigations)
{
    uint64_t n = fw.guests[0].msg_count[0];

    memset(msg, 0, sizeof(msg));
    put_le(msg + 32, 8, mitigations);
    seal_as(0, n + 1, 3, ver, ver == 2 ? 0x28 : 0x20);
    ask(FW_SUCCESS, "key");
    return response(0, n + 2, 4, 0x40);
}

/* Refused: host data changes a key that does not ask for them */
static uint32_t try_FW_KEY_ALWAYS(void)
{
    uint8_t first[32];

    attested();
    read_so();
    CHECK(!ask_key(1, 0), "key");
    memcpy(first, msg + 32, 32);
    fw.guests[0].host_data[0] ^= 1;
    fw.guests[0].id_key_digest[0] ^= 1;
    fw.guests[0].author_key_digest[0] ^= 1;
    CHECK(!ask_key(1, 0), "key");
    return memcmp(first, msg + 32, 32) != 0;
}

static uint32_t try_FW_KEY_MITIGATIONS(void)
{
    attested();
    fw.cfg.report_version = 5;
    read_so();
    return ask_key(2, 1);
}

/* response() looks that they do not come back */
static uint32_t try_FW_MSG_RSVD(void)
{
    uint32_t ret;

    attested();
    read_so();
    report_req(0, 0);
    seal_as(0, 1, 5, 1, 0x60);
    mem[REQ + 0x2f] = 1;
    arg_request();
    ret = run(SNP_GUEST_REQUEST);
    CHECK(ret || !response(0, 2, 6, 0x4c0), "report");
    return ret;
}

static uint32_t try_FW_OUTPUT_OVERLAP(void)
{
    static const struct { uint64_t pdh, chain; bool apart; } at[] = {
        { PAGE, PAGE + CERT, true }, { PAGE + 3 * CERT, PAGE, true },
        { PAGE, PAGE, false }, { PAGE, PAGE + CERT - 1, false },
        { PAGE + 3 * CERT - 1, PAGE, false }, { PAGE + CERT, PAGE, false },
    };
    uint32_t ret = 0;

    power_on();
    init_sev(false);
    read_so();
    for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        uint32_t one;

        put(0, 8, at[i].pdh);
        put(8, 4, CERT);
        put(16, 8, at[i].chain);
        put(24, 4, 3 * CERT);
        one = run(SEV_PDH_CERT_EXPORT);
        CHECK(one == 0 || one == FW_INVALID_ADDRESS, "why");
        CHECK(!at[i].apart || !one, "that do not overlap, %u", i);
        CHECK(at[i].apart || i == 2 || one == ret, "some way, %u", i);
        CHECK(one || le(mem + at[i].chain + 8, 4) == 0x1002, "the second");
        ret = one;
    }
    return ret;
}

/* A SEV-ES guest, LUPDATE or, with @launched, RUNNING */
static void sev_guest(bool launched, uint32_t asid)
{
    power_on();
    init_sev(true);
    put(4, 4, 4);
    expect(SEV_LAUNCH_START, FW_SUCCESS, "set-up");
    if (asid) {
        put(0, 4, 1);
        put(4, 4, asid);
        expect(SEV_ACTIVATE, FW_SUCCESS, "set-up");
    }
    if (launched) {
        put(0, 4, 1);
        put(8, 8, OUT);
        put(16, 4, 48);
        expect(SEV_LAUNCH_MEASURE, FW_SUCCESS, "set-up");
        put(0, 4, 1);
        expect(SEV_LAUNCH_FINISH, FW_SUCCESS, "set-up");
    }
    read_so();
}

static uint32_t sev_debug(void)
{
    uint32_t ret[2];

    for (int i = 0; i < 2; i++) {
        put(0, 4, 1);
        put(8, 8, OUT);
        put(16, 8, TARGET);
        put(24, 4, 16);
        ret[i] = run(i ? SEV_DBG_ENCRYPT : SEV_DBG_DECRYPT);
    }
    CHECK(ret[0] == ret[1], "both ways");
    return ret[0];
}

static uint32_t try_FW_SEV_DBG_ACTIVE(void)
{
    sev_guest(true, 0);
    return sev_debug();
}

static uint32_t try_FW_SEV_DBG_STATE(void)
{
    sev_guest(false, 3);
    return sev_debug();
}

static uint32_t try_FW_SEV_DEACTIVATE(void)
{
    uint32_t ret;

    sev_guest(true, 0);
    put(0, 4, 1);
    ret = run(SEV_DEACTIVATE);
    CHECK(!fw.asid_dirty[0] && !armed, "no ASID became dirty");
    return ret;
}

static uint32_t try_FW_SEV_INIT_RSVD(void)
{
    uint32_t ret;

    power_on();
    read_so();
    put(0, 8, 1ull << 32);
    ret = run(SEV_INIT);
    power_on();
    read_so();
    put(0, 8, 1ull << 31);
    CHECK(run(SEV_INIT) == ret, "flags");
    return ret;
}

static uint32_t try_FW_STATUS_ADDRESS(void)
{
    uint32_t ret;

    guest(G_RUNNING_ACTIVE);
    set_page(PAGE, RMP_FIRMWARE, 0, 0);
    set_page(PAGE + 0x1000, RMP_FIRMWARE, 0, 0);
    read_so();
    put(0, 8, GCTX);
    put(8, 8, PAGE + 0x1000 - 32);
    CHECK(!run(SNP_GUEST_STATUS), "up to the end of its page");
    put(0, 8, GCTX);
    put(8, 8, PAGE + 0x1000 - 10);
    ret = run(SNP_GUEST_STATUS);
    CHECK(ret || mem[PAGE + 0x1000 + 2] == SNP_GUEST_RUNNING, "the guest's");
    put(0, 8, PAGE + 0x1000 - 16);
    CHECK(run(SNP_PLATFORM_STATUS) == ret, "the platform's");
    CHECK(ret || (state_of(PAGE) == RMP_RECLAIM &&
                  state_of(PAGE + 0x1000) == RMP_RECLAIM &&
                  le(mem + PAGE + 0x1000, 8) == TCB), "both pages");
    return ret;
}

static uint32_t try_FW_UPDATE_VMSA(void)
{
    guest(G_LAUNCH_ACTIVE);
    read_so();
    arg_update(2, TARGET, false);
    return run(SNP_LAUNCH_UPDATE);
}

/* ---- the RMP: each returns a verdict or what EAX says ---- */

/* PAGE or, with the size bit, LARGE is the guest's */
static void own(bool size_2m, bool vmsa)
{
    RmpEntry e = {
        .assigned = true, .validated = true, .size_2m = size_2m,
        .vmsa = vmsa, .asid = ASID, .gpa = GPA, .perms = { RMP_PERM_ALL },
    };

    power_on();
    rmp_fw_set(&rmp, size_2m ? LARGE : PAGE, &e);
    read_so();
}

static uint32_t adjust(uint64_t spa, bool leaf_2m, bool size_2m)
{
    int code = ~0;
    RmpVerdict v = rmp_adjust(&rmp, spa, GPA, ASID, 0, leaf_2m, size_2m,
                              1 | 0x100, &code);

    return v == RMP_ALLOW ? (uint32_t)code : 0x100u + v;
}

static uint32_t try_RMP_ADJUST_INUSE(void)
{
    own(false, false);
    rmp_set_in_use(&rmp, PAGE, true);
    CHECK(adjust(PAGE, false, false) == RMP_FAIL_INUSE, "no VMSA");
    own(false, true);
    rmp_set_in_use(&rmp, PAGE, true);
    return adjust(PAGE, false, false);
}

static uint32_t try_IOMMU_RMP_SIZE(void)
{
    power_on();
    set_page(LARGE, RMP_RECLAIM, 0, 0);
    read_so();
    CHECK(!rmp_check_device_write(&rmp, LARGE, true), "the page itself");
    CHECK(rmp_check_device_write(&rmp, LARGE + 0x1000, false), "a 4K leaf");
    return !rmp_check_device_write(&rmp, LARGE + 0x1000, true);
}

static uint32_t try_IOMMU_SNP_STORE(void)
{
    power_on();
    set_page(PAGE, RMP_RECLAIM, 0, 0);
    read_so();
    CHECK(snp_fw_iommu_store(&fw, PAGE + 0x1ff8, PAGE + 0x1ff8,
                             PAGE + 0x1000), "its page");
    CHECK(!snp_fw_iommu_store(&fw, PAGE, PAGE, PAGE), "a page not the host's");
    CHECK(snp_fw_iommu_store(&fw, PAGE + 0x2000, PAGE + 0x2800,
                             PAGE + 0x3000) &&
          snp_fw_iommu_store(&fw, PAGE + 0x3ff8, PAGE + 0x2800,
                             PAGE + 0x3000), "two pages, the limit's too");
    if (snp_fw_iommu_store(&fw, PAGE + 0x1ff8, PAGE + 0x2000, PAGE + 0x3000) !=
        snp_fw_iommu_store(&fw, PAGE + 0x4000, PAGE + 0x2000, PAGE + 0x3000)) {
        CHECK(false, "below as above");
    }
    return !snp_fw_iommu_store(&fw, PAGE + 0x4000, PAGE + 0x2000,
                               PAGE + 0x3000);
}

static uint32_t try_RMP_CHECK_HV_2M(void)
{
    RmpAccess a = { .spa = LARGE + 0x1000, .write = true, .leaf_2m = true };
    RmpVerdict v;

    power_on();
    set_page(LARGE, RMP_RECLAIM, 0, 0);
    read_so();
    v = rmp_check(&rmp, &a);
    a.spa = LARGE;
    CHECK(rmp_check(&rmp, &a) == RMP_FAULT, "the page itself");
    return v;
}

static uint32_t try_RMP_CHECK_SIZE(void)
{
    RmpAccess a = { .spa = PAGE, .gpa = GPA, .asid = ASID, .guest = true,
                    .snp = true, .cbit = true, .write = true,
                    .leaf_2m = true };

    own(false, false);
    return rmp_check(&rmp, &a);
}

static uint32_t pvalidate(uint64_t spa, bool leaf_2m, bool size_2m)
{
    bool same;
    int code = ~0;
    RmpVerdict v = rmp_pvalidate(&rmp, spa, GPA, ASID, leaf_2m, size_2m,
                                 true, &code, &same);

    return v == RMP_ALLOW ? (uint32_t)code : 0x100u + v;
}

static uint32_t try_RMP_INSN_LEAF(void)
{
    uint32_t ret;

    own(true, false);
    ret = pvalidate(LARGE, false, true);
    CHECK(adjust(LARGE, false, true) == ret, "RMPADJUST");
    return ret;
}

static uint32_t try_RMP_INSN_SIZEM(void)
{
    uint32_t ret;

    own(true, false);
    CHECK(pvalidate(LARGE, true, false) == 0x100 + RMP_FAULT_SIZEM,
          "a larger entry");
    own(false, false);
    ret = pvalidate(PAGE, true, false);
    CHECK(adjust(PAGE, true, false) == ret, "RMPADJUST");
    return ret;
}

static uint32_t query(uint64_t spa, bool leaf_2m, uint64_t rdx)
{
    bool size_2m;
    int code = ~0;
    RmpVerdict v = rmp_query(&rmp, spa, GPA, ASID, 1, leaf_2m, &rdx, &size_2m,
                             &code);

    return v == RMP_ALLOW ? (uint32_t)code : 0x100u + v;
}

static uint32_t try_RMP_QUERY_PRIVILEGE(void)
{
    own(false, false);
    CHECK(!query(PAGE, false, 2), "VMPL2");
    CHECK(query(PAGE, false, 0) == RMP_FAIL_PERMISSION, "VMPL0");
    return query(PAGE, false, 1);
}

static uint32_t try_RMP_QUERY_RSVD(void)
{
    uint32_t ret;

    own(false, false);
    ret = query(PAGE, false, 2 | 1ull << 63);
    CHECK(query(PAGE, false, 2 | 0x100) == ret, "bit 8");
    CHECK(query(PAGE, false, RMP_VMPLS) == RMP_FAIL_INPUT, "no such VMPL");
    return ret;
}

static uint32_t try_RMP_QUERY_SIZE(void)
{
    uint32_t ret;

    own(true, false);
    ret = query(LARGE, false, 2);
    own(false, false);
    CHECK(query(PAGE, true, 2) == ret, "a larger leaf");
    return ret;
}

static uint32_t try_RMP_UPDATE_GPA(void)
{
    RmpUpdate u = { .gpa = GPA | 1ull << 52, .assigned = 1, .asid = ASID };
    uint32_t ret;
    RmpEntry e;

    power_on();
    read_so();
    ret = rmp_update(&rmp, PAGE, &u);
    rmp_get(&rmp, PAGE, &e);
    CHECK(ret || e.gpa == GPA, "bits that fit");
    u.gpa = GPA + 0x1000;
    u.pagesize = 1;
    CHECK((uint32_t)rmp_update(&rmp, LARGE, &u) == ret, "2M");
    return ret;
}

static uint32_t try_RMP_UPDATE_IMMUTABLE_2M(void)
{
    const RmpUpdate u = { .gpa = GPA, .assigned = 1, .pagesize = 1,
                          .asid = ASID };
    uint32_t ret;

    power_on();
    set_page(LARGE + 0x5000, RMP_HV_FIXED, 0, 0);
    read_so();
    ret = rmp_update(&rmp, LARGE, &u);
    CHECK(state_of(LARGE + 0x5000) ==
          (ret ? RMP_HV_FIXED : RMP_GUEST_INVALID), "the page");
    set_page(LARGE, RMP_HV_FIXED, 0, 0);
    CHECK(rmp_update(&rmp, LARGE, &u) == RMP_FAIL_PERMISSION, "the first");
    return ret;
}

static uint32_t try_RMP_UPDATE_RSVD(void)
{
    const RmpUpdate u = { .gpa = GPA, .assigned = 3, .pagesize = 0x80,
                          .immutable = 2, .rsvd = 0xff, .asid = ASID };
    uint32_t ret;

    power_on();
    read_so();
    ret = rmp_update(&rmp, PAGE, &u);
    CHECK(state_of(PAGE) == (ret ? RMP_HYPERVISOR : RMP_GUEST_INVALID),
          "the page");
    return ret;
}

static void test_both(void)
{
    static const struct {
        const char *id;
        uint32_t (*attempt)(void);
    } rows[SNP_NREADINGS] = {
#define X(name, id, text) [SNP_READING_##name] = { id, try_##name },
        SNP_READINGS(X)
#undef X
    };
    unsigned both = 0;

    for (unsigned i = SNP_READING_NONE + 1; i < SNP_NREADINGS; i++) {
        const SnpReadings this = (SnpReadings)1 << i;
        const struct { SnpReadings set; bool loose; } sets[] = {
            { 0, false }, { SNP_READINGS_ALL & ~this, false },
            { this, true }, { SNP_READINGS_ALL, true },
        };
        bool ok = true;

        for (int j = 0; j < 4; j++) {
            uint32_t ret;

            now = sets[j].set;
            ret = rows[i].attempt();
            CHECK(!ret == sets[j].loose, "%s, set %d: 0x%x", rows[i].id, j,
                  ret);
            ok &= !ret == sets[j].loose;
        }
        both += ok;
    }
    printf("# readings both ways: %u of %u\n", both, SNP_NREADINGS - 1u);
}

static void test_parse(void)
{
    static const struct { const char *text; int bad, len; } wrong[] = {
        { "", 0, 0 }, { ":", 0, 0 }, { "FW-CMDBUF:", 10, 0 },
        { "fw-cmdbuf", 0, 9 }, { "FW-CMD", 0, 6 }, { "FW-CMDBUF ", 0, 10 },
        { "FW-CMDBUF:all", 10, 3 }, { "none:FW-CMDBUF", 0, 4 },
        { "RMP-UPDATE-RSVD:RMP-UPDATE:FW-CMDBUF", 16, 10 },
    };
    SnpReadings set = 1;
    size_t len;

    CHECK(!snp_readings_parse(NULL, &set, &len) && !set, "NULL");
    set = 1;
    CHECK(!snp_readings_parse("none", &set, &len) && !set, "none");
    CHECK(!snp_readings_parse("all", &set, &len) &&
          set == SNP_READINGS_ALL && !snp_loose(set, NONE), "all");
    CHECK(!snp_readings_parse("RMP-UPDATE-RSVD:FW-CMDBUF", &set, &len) &&
          set == (1ull << SNP_READING_FW_CMDBUF |
                  1ull << SNP_READING_RMP_UPDATE_RSVD), "two");
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *bad;

        set = 42;
        bad = snp_readings_parse(wrong[i].text, &set, &len);
        CHECK(bad == wrong[i].text + wrong[i].bad &&
              len == (size_t)wrong[i].len && set == 42, "'%s'",
              wrong[i].text);
    }
    for (unsigned i = SNP_READING_NONE + 1; i < SNP_NREADINGS; i++) {
        CHECK(!snp_readings_parse(snp_reading_id(i), &set, &len) &&
              set == 1ull << i && snp_reading_text(i), "%s",
              snp_reading_id(i));
    }
    CHECK(!snp_reading_id(SNP_NREADINGS), "no more");
}

int main(void)
{
    static const KtapCase cases[] = {
        { "readings: as text", test_parse },
        { "readings: each refused the strict way, accepted the loose way",
          test_both },
    };

    return run_with_keys(cases, sizeof(cases) / sizeof(cases[0]));
}
