# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that unmodified kernels believe the machine: Debian 13's kernel and
the newest of its backports come up as SNP hosts, and a stock SNP guest does
its work in them, with every count accounted for and nothing left after; with
the machine's self-check on as well, and with both readings of what the
sources leave open. Then the same guest on our own host, which adds what its
kernel says of its RMP table."""

from lab import counts, host, judge, kernels, machine, run
from lab.cases import Case, CaseFailed
from lab.cases.plain import explain, judged


def one(host, smp, thread, traced=False):
    name = f"snp.{host}.smp{smp}.{thread}"
    return Case(name, f"{host} hosts a stock SNP guest of {smp} vCPU"
                f"{'s' * (smp > 1)}: its promises, the counts of machine, "
                "KVM and QEMU agree, the RMP is as before" +
                "; so do the machine's counters and its trace events" * traced,
                lambda: judged(host=host, smp=smp, thread=thread, name=name,
                               timeout=900 + 600 * traced, traced=traced),
                order=45,
                inputs=("machine", "linux")[:1 + (host == "ours")])


# One boot of each of our kernels has that long.
SECONDS = {"ours": 400, "ours-debug": 2400}

# The register that names the IOMMU's event log; log2 of the log's entries, of
# which hardware of family 19h wants the most there may be with SNP on.
EVENT_BASE = 0xFED80010
LOG_LEN = 15

RELOAD = """
modprobe ccp && modprobe kvm_amd || exit 9
audit before
mark before
modprobe -r kvm_amd && modprobe -r ccp || exit 8
modprobe ccp && modprobe kvm_amd || exit 7
audit after
say "tainted $(cat /proc/sys/kernel/tainted)"
mark after
"""


def ours_boots(on="ours"):
    """Our kernel (of kernels.OURS) as an SNP host, no guest: its lines, its
    audit."""
    sides = {}

    def on_mark(name, _text, monitor):
        sides[name] = counts.machine(monitor)
        base = monitor.command("human-monitor-command",
                               **{"command-line": f"xp /1gx {EVENT_BASE:#x}"})
        sides["log"] = int(base.split()[1], 16) >> 56 & 0xf

    h = host.Host(kernels.get(on), machine.build().binary,
                  thread="single")
    r = h.run(f"snp.{on}.boot", RELOAD, timeout=SECONDS[on],
              on_mark=on_mark)
    if not r.ok():
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.failure()]))
    if sides["log"] != LOG_LEN:
        raise CaseFailed(f"the IOMMU's event log has 2**{sides['log']} "
                         f"entries, not 2**{LOG_LEN}")
    checks = [*judge.host_lines(r, "snp"),
              *judge.audits(sides["before"], sides["after"], r)]
    bad = [f"{n}: {seen}" for n, ok, seen in checks if not ok]
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(checks)} checks"


# How a host may end: what ends it, and 4K pages that stay the firmware's. In a
# panic nobody has back the 2M it got for SEV-ES; a crash kernel has its own.
PANIC = ("echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; "
         "sleep 60")
ENDS = {"panic": (PANIC, 512), "power-off": ("exit 0", 0)}
# A panic while a command is under way: the first that somebody asks for is
# carried out, and nobody is told. What it has is the firmware's.
ASKED = f"""
perl -e 'open(S, "+<", "/dev/sev") or die; $data = "\\0" x 64;
    $cmd = pack("LPL", 9, $data, 0);  # SNP_PLATFORM_STATUS
    ioctl(S, 0xc0105300, $cmd);' &
sleep 2
say "waits $(grep -c '^State:.D' /proc/$!/status)"
{PANIC}
"""
SILENT = "inject=SNP_PLATFORM_STATUS:2:no-interrupt"


def ours_ends(on="ours", binary=None):
    """However our kernel ends, it takes SNP down: a crash kernel, or whatever
    comes next, finds memory that it can write to."""
    for how, (script, stay) in ENDS.items():
        sides = {}

        def on_mark(name, _text, monitor, sides=sides):
            sides[name] = counts.machine(monitor)

        def on_end(monitor, sides=sides):
            sides["end"] = counts.machine(monitor)

        h = host.Host(kernels.get(on), binary or machine.build().binary,
                      thread="single")
        r = h.run(f"snp.{on}.ends.{how}", "modprobe ccp && modprobe kvm_amd "
                  f"|| exit 9\nmark up\n{script}\n", timeout=SECONDS[on],
                  on_mark=on_mark, on_end=on_end)
        if set(sides) != {"up", "end"}:
            raise CaseFailed("\n".join([f"{how}: the machine was asked "
                                        f"{sorted(sides)}", *r.failure()]))
        splats = [x.strip() for x in
                  r.console.partition(host.CRASH)[0].splitlines()
                  if host.BAD_LINES.search(x)] + r.lockdep_off() + \
            r.audited()
        if splats:
            raise CaseFailed("\n".join([f"{how}:", *splats[:3]]))
        panics = bool(host.PANIC.search(r.console))
        if panics != (how == "panic"):
            raise CaseFailed(f"{how}: {'a' if panics else 'no'} panic")
        up, end = (s["rmp-summary"]["states"] for s in
                   (sides["up"], sides["end"]))
        # those of the table itself are the processor's for good
        stay += sides["end"]["rmp-summary"]["table-pages"]
        done = [counts.firmware(sides[s]["stats"], "SNP_SHUTDOWN_EX")
                for s in ("up", "end")]
        left = {k: v for k, v in end.items() if v and k != "hypervisor"}
        if up["firmware"] <= stay or done != [0, 1] or \
           left != {"firmware": stay}:
            raise CaseFailed(f"{how}: {up['firmware']} firmware pages and "
                             f"{done[0]} shutdowns before; {done[1]} and pages "
                             f"{left}, not {stay} of firmware, at the end")
    busy_end(on, binary)
    return f"{len(ENDS) + 1} ways"


def busy_end(on, binary=None):
    """A panic does not wait for who has the secure processor, nor ask that for
    anything: there is one mailbox."""
    sides = {}
    h = host.Host(kernels.get(on), binary or machine.build().binary,
                  thread="single", psp=(SILENT,))
    r = h.run(f"snp.{on}.ends.busy", "modprobe ccp && modprobe kvm_amd || exit 9"
              f"\nmark up\n{ASKED}\n", timeout=SECONDS[on],
              on_mark=lambda m, _t, q: sides.update({m: counts.machine(q)}),
              on_end=lambda q: sides.update({"end": counts.machine(q)}))
    up, end = ({c: sum(by.values()) for c, by in
                sides[s]["stats"]["firmware"].items()} for s in ("up", "end"))
    more = {c: n - up.get(c, 0) for c, n in end.items() if n > up.get(c, 0)}
    seen = (judge.first(r, "waits"), bool(host.PANIC.search(r.console)), more)
    if seen != ("1", True, {"SNP_PLATFORM_STATUS": 1}):
        raise CaseFailed("\n".join([f"a panic while a command is under way: "
                                    f"{seen}", *r.failure()]))


CHECKED = "a kernel that checks itself (KASAN, lockdep, sleeping while atomic)"


def debug(smp):
    name = "snp.ours.debug" if smp > 1 else f"snp.ours.smp{smp}.debug"
    return Case(name, f"the same on our host with {CHECKED}, {smp} "
                f"vCPU{'s' * (smp > 1)}, to its power-off and without a splat",
                lambda: judged(host="ours-debug", smp=smp, name=name,
                               timeout=7200), full=True, order=56)


def self_check(thread, on="debian-13"):
    """Debian 13's host with a thread a CPU in each check; the others in the
    full one."""
    other = on != "debian-13"
    full = other or thread == "single"
    name = f"snp.self-check.{on}.{thread}" if other else \
        f"snp.self-check.{thread}"
    return Case(name, f"the same on {on}'s host, every cached translation "
                "compared with the RMP at each world switch and RMP change, "
                f"machine threads: {thread}",
                lambda: judged(host=on, smp=2, thread=thread, self_check=True,
                               name=name, timeout=1200 + 1200 * full),
                full=full, order=59 if full else 46,
                inputs=("machine", "linux")[:1 + (on == "ours")])


def encrypted(kernel):
    """The newest stock host in each check."""
    full = kernel != "debian-backports"
    name = f"snp.encrypted.{kernel}"
    return Case(name, f"the same on {kernel}'s host with memory enciphered and "
                "the self-check on: each page is transformed when the guest "
                "gets it, and when it is given back; its host reads the guest's "
                "firmware as ciphertext",
                lambda: judged(host=kernel, smp=1, thread="single",
                               self_check=True, encrypt=True, name=name,
                               timeout=1200), full=full,
                order=59 if full else 46, inputs=("machine",))


def encrypted_threads():
    name = "snp.encrypted.multi"
    return Case(name, "the same with 2 vCPUs, machine threads: multi, without "
                "the self-check",
                lambda: judged(host="debian-13", smp=2, thread="multi",
                               encrypt=True, name=name, timeout=1800),
                full=True, order=59, inputs=("machine",))


SME = "Memory Encryption Features active: AMD SME"


def sme():
    """With memory of the host's own enciphered, as far as it can tell."""
    def case():
        verdict = run.go(run.Request(
            host="debian-13", smp=1, thread="single", name=name, timeout=900,
            cmdline="mem_encrypt=on"))
        if not verdict.ok():
            raise CaseFailed(explain(verdict))
        if SME not in verdict.result.console:
            raise CaseFailed("the host does not say that it has SME")
        return f"{len(verdict.checks)} checks"

    name = "snp.sme"
    return Case(name, "the same on a host that has SME: its page tables, and "
                "what it gives the IOMMU and the processor, have the C-bit",
                case, full=True, order=59, inputs=("machine",))


def loose():
    name = "snp.loose"
    return Case(name, "the same where the machine reads what the sources leave "
                "open the loose way, in all that it can; all others read it "
                "the strict way",
                lambda: judged(host="debian-13", smp=1, thread="single",
                               loose=True, name=name, timeout=900), order=46,
                inputs=("machine",))


CASES = [one("debian-13", 2, "single"), one("debian-backports", 2, "single"),
         one("debian-13", 1, "single", traced=True), one("ours", 2, "single"),
         one("ours", 1, "single"), self_check("single"),
         Case("snp.ours.boot", "our kernel comes up as an SNP host, twice, and "
              "its audit of the RMP is what the machine counts", ours_boots,
              order=44),
         Case("snp.ours.ends", "our kernel takes SNP down when it panics and "
              "when it powers off: the firmware says so, and keeps no page "
              "that it must not; a panic while a command is under way asks for "
              "nothing, and ends",
              ours_ends, order=44),
         self_check("multi"),
         *(self_check(thread, on) for on in ("debian-backports", "ours")
           for thread in ("single", "multi")), encrypted("debian-13"),
         encrypted("debian-backports"), encrypted_threads(), loose(), sme(),
         debug(2), debug(1),
         Case("snp.ours.boot.debug", f"snp.ours.boot on {CHECKED}, without a "
              "splat", lambda: ours_boots("ours-debug"), full=True, order=56),
         Case("snp.ours.ends.debug", f"snp.ours.ends on {CHECKED}",
              lambda: ours_ends("ours-debug"), full=True, order=56)]
