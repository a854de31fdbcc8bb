/*
 * A machine for fuzz targets: see world.h
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "world.h"
#include <sys/mman.h>
#include "exec/address-spaces.h"
#include "exec/cputlb.h"
#include "exec/exec-all.h"
#include "hw/core/cpu.h"
#include "hw/qdev-core.h"
#include "qemu-main.h"
#include "qemu/main-loop.h"
#include "system/cpus.h"
#include "system/system.h"

#define BIOS_SIZE   0x10000
#define SLOTS       (GROUND_SIZE / PAGE)

CPUX86State *world_env;
static const char *const no_arguments[] = { NULL };
__attribute__((weak)) const char *const *target_arguments = no_arguments;
/* QEMU's has the program's own main() beside it */
int (*qemu_main)(void);

static CPUX86State kept_cpu;
static uint8_t kept_ground[GROUND_SIZE];
static RmpEntry kept_rmp[SLOTS];

/* QEMU does not free what it has; what it frees is kept for a while. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0:quarantine_size_mb=16";
}

/* ---- memory ---- */

void world_write(uint64_t at, const void *buf, size_t len)
{
    address_space_write(&address_space_memory, at, MEMTXATTRS_UNSPECIFIED,
                        buf, len);
}

void world_read(uint64_t at, void *buf, size_t len)
{
    address_space_read(&address_space_memory, at, MEMTXATTRS_UNSPECIFIED, buf,
                       len);
}

void world_put(uint64_t at, unsigned len, uint64_t value)
{
    value = cpu_to_le64(value);
    world_write(at, &value, len);
}

uint64_t world_get(uint64_t at, unsigned len)
{
    uint64_t value = 0;

    world_read(at, &value, len);
    return le64_to_cpu(value);
}

/* ---- the CPU ---- */

void world_catch_up(void)
{
    process_queued_cpu_work(env_cpu(world_env));
}

bool world_try(void (*fn)(CPUX86State *env, void *arg), void *arg)
{
    CPUState *cs = env_cpu(world_env);
    bool ended = false;

    /* an exception that was dropped and not delivered is no first one of two */
    cs->exception_index = -1;
    world_env->old_exception = -1;
    cpu_exec_start(cs);
    if (!sigsetjmp(cs->jmp_env, 0)) {
        fn(world_env, arg);
        ended = true;
    }
    cpu_exec_end(cs);
    bql_lock();
    world_catch_up();
    bql_unlock();
    return ended;
}

/* One that only delivers, or an instruction. False: there is no next. */
static bool step(unsigned how)
{
    CPUState *cs = env_cpu(world_env);
    int r;

    cs->singlestep_enabled = how;
    cpu_exec_start(cs);
    r = cpu_exec(cs);
    cpu_exec_end(cs);
    cs->singlestep_enabled = 0;
    bql_lock();
    world_catch_up();
    bql_unlock();
    if (r == EXCP_ATOMIC) {
        cpu_exec_step_atomic(cs);
    }
    return r != EXCP_HLT && r != EXCP_HALTED;
}

void world_step(unsigned n)
{
    while (n-- && step(SSTEP_ENABLE)) {
        if (!world_in_guest()) {
            break;
        }
    }
}

/* With something to do before the first instruction, none is executed. */
void world_deliver(void)
{
    CPUState *cs = env_cpu(world_env);

    for (unsigned i = 0; i < 8 && cs->exception_index >= 0; i++) {
        /* the loop looks at this once exceptions are done with */
        cpu_exit(cs);
        step(0);
    }
}

/* ---- as it was ---- */

void world_keep(void)
{
    kept_cpu = *world_env;
    world_read(GROUND, kept_ground, sizeof(kept_ground));
    for (unsigned i = 0; i < SLOTS; i++) {
        rmp_get_raw(&snp_platform()->rmp, GROUND + i * PAGE, &kept_rmp[i]);
    }
}

void world_again(void)
{
    static uint8_t now[GROUND_SIZE];
    CPUState *cs = env_cpu(world_env);
    Rmp *rmp = &snp_platform()->rmp;

    world_read(GROUND, now, sizeof(now));
    for (uint64_t at = 0; at < GROUND_SIZE; at += PAGE) {
        if (memcmp(now + at, kept_ground + at, PAGE)) {
            world_write(GROUND + at, kept_ground + at, PAGE);
        }
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        uint64_t spa = GROUND + i * PAGE;
        RmpEntry e;

        rmp_get_raw(rmp, spa, &e);
        rmp_set_in_use(rmp, spa, false);
        e.in_use = false;
        if (memcmp(&e, &kept_rmp[i], sizeof(e))) {
            rmp_fw_set(rmp, spa, &kept_rmp[i]);
        }
    }
    *world_env = kept_cpu;
    cs->interrupt_request = 0;
    cs->exception_index = -1;
    cs->halted = 0;
    cs->stop = false;
    qatomic_set(&cs->exit_request, 0);
    tlb_flush(cs);
}

/* ---- the machine ---- */

/* Firmware of which nothing is executed */
static char *bios(void)
{
    int fd = memfd_create("bios", 0);

    MUST(fd >= 0 && !ftruncate(fd, BIOS_SIZE), "no BIOS");
    return g_strdup_printf("/proc/self/fd/%d", fd);
}

static void on_cpu(CPUState *cs, run_on_cpu_data data)
{
    void (*fn)(void) = data.host_ptr;

    fn();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    g_autofree char *rom = bios();
    const char *const args[] = {
        "fuzz", "-machine", "q35,smm=off,dump-guest-core=off,"
        "max-ram-below-4g=32M", "-m", "64M",
        "-accel", "tcg,thread=multi,tb-size=32",
        "-cpu", "EPYC-Genoa-v1,phys-bits=52,-la57,min-xlevel=0x80000022,"
        "-hypervisor,+svm,+npt,+nrip-save,+lbrv,+flushbyasid,+decodeassists,"
        "+xsavec",
        "-nodefaults", "-no-user-config", "-display", "none", "-S",
        "-bios", rom,
    };
    static const char *const psp[] = {
        "-device",
        "amd-psp,id=psp,addr=5.0,seed=1,encrypt=off,phys-reduction=6,"
        "rmpread=on,rmpquery=on,debug-swap=on,secure-tsc=on,"
        "allowed-sev-features=on,self-check=on",
    };
    const char *all[ARRAY_SIZE(args) + 8];
    unsigned n = ARRAY_SIZE(args);
    sigset_t alarm;

    memcpy(all, args, sizeof(args));
    for (unsigned i = 0; target_arguments[i]; i++) {
        all[n++] = target_arguments[i];
    }
    for (unsigned i = 0; i < ARRAY_SIZE(psp); i++) {
        all[n++] = psp[i];
    }
    MUST(n <= ARRAY_SIZE(all), "too many arguments");
    qemu_init(n, (char **)all);
    /* QEMU waits for it by a descriptor, libFuzzer has a handler */
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
    world_env = cpu_env(first_cpu);
    run_on_cpu(first_cpu, on_cpu, RUN_ON_CPU_HOST_PTR(target_prepare));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_begin(data, size);
    run_on_cpu(first_cpu, on_cpu, RUN_ON_CPU_HOST_PTR(target_input));
    return 0;
}
