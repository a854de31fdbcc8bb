# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the lab itself can tell good from bad: its judgements fail when
one thing is missing, hooks that do not apply are reported before a build,
requests it cannot serve end with one line and status 2."""

import contextlib
import copy
import dataclasses
import io
import json
import pathlib
import socket
import subprocess
import tempfile
import threading
import time

from lab import (apt, counts, host, judge, ktap, paths, record, run, say,
                 sources, tree)
from lab.cases import Case, CaseFailed, plain, snphost

DISK = "ab" * 32

CONSOLE = """\
[    0.0] SEV-SNP: RMP table physical range [0x0000000100000000 - 0x1015fffff]
[    1.0] ccp 0000:00:03.0: SEV-SNP API:1.55 build:21
[    1.0] kvm_amd: SEV-SNP enabled (ASIDs 1 - 99)
"""

SAYS = ["cmdline console=ttyS0 panic=-1", "tainted 0", "qemu-status 0",
        "gmem 14"]

CONTROL = """\
@hist kvm_vmgexit_enter
{ exit_reason:        123 } hitcount:         40
{ exit_reason: 2147483667 } hitcount:          1
@hist-end
@hist kvm_vmgexit_msr_protocol_enter
{ ghcb_gpa:         18 } hitcount:          2
{ ghcb_gpa:       4114 } hitcount:          1
@hist-end
@hist kvm_exit
{ exit_reason:         78 } hitcount:         20
{ exit_reason:       1027 } hitcount:         44
@hist-end
@hist mm_filemap_add_to_page_cache
{ s_dev:         14, order:          0 } hitcount:       100
{ s_dev:         15, order:          0 } hitcount:         9
@hist-end
"""

GUEST = """\
7@1.5:kvm_sev_snp_launch_update src 0x7f gpa 0xffc00000 len 0xa000 (NORMAL page)
[    0.0] Kernel command line: console=ttyS0 panic=-1 initrd=initrd
[    0.0] Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP
lab-guest: cpus online=0-1 count=2
lab-guest: rea7@1.6:kvm_convert_memory start 0x9000 size 0x1000 private_to_shared
ding
7@1.7:kvm_convert_memory start 0x100000 size 0x400000 private_to_shared
7@1.8:kvm_convert_memory start 0x100000 size 0x3e8000 shared_to_private
lab-guest: disk cpu=0 sha256={0} 64+0
lab-guest: disk cpu=1 sha256={0} 64+0
lab-guest: read-end cycles=3
lab-guest: end
[    9.0] reboot: Power down
""".replace("{0}", DISK)

# The same of a SEV-ES guest; of a SEV one nothing says VMGEXIT.
LEGACY = GUEST.replace(
    "kvm_sev_snp_launch_update src 0x7f gpa 0xffc00000 len 0xa000 "
    "(NORMAL page)", "kvm_sev_launch_update_data addr 0x7f len 0xa000"
).replace("SEV-ES SEV-SNP", "SEV-ES").replace("cycles=3", "cycles=6")
ENABLED = """\
[    1.0] kvm_amd: SEV enabled (ASIDs 100 - 509)
[    1.0] kvm_amd: SEV-ES enabled (ASIDs 1 - 99)
"""

SIDE = {"stats": {"vmgexit": {}, "vmgexit-msr": {}, "rmpupdate-to-guest": 0,
                  "rmpupdate-to-pre-guest": 0, "firmware": {},
                  "cipher": {"pages-to-owner": 7, "pages-to-raw": 7},
                  "self-check": 3},
        "rmp-summary": {"states": {"hypervisor": 9, "firmware": 4},
                        "asids": {}},
        "guests": {"snp": [], "sev": [], "sev-bytes-measured": 0x1000,
                   "snp-launched": 2, "snp-digests": ["00" * 48] * 2}}
LAUNCHED = bytes(range(48))


def good():
    after = copy.deepcopy(SIDE)
    after["stats"].update({
        "vmexit": 64, "vmexit-snp": 64,
        "vmgexit": {"0x7b": 40, "0x80000013": 1}, "vmgexit-msr": {"0x12": 3},
        "rmpupdate-to-guest": 90, "rmpupdate-to-pre-guest": 12,
        "firmware": {"SNP_LAUNCH_UPDATE": {"SUCCESS": 12}}})
    after["guests"]["snp-launched"] = 3
    after["guests"]["snp-digests"].append(LAUNCHED.hex())
    says = [*SAYS, "outside 0 of 256"]
    return {"console": CONSOLE, "says": says, "control": CONTROL,
            "guest": GUEST, "before": copy.deepcopy(SIDE), "after": after,
            "kind": "snp", "encrypt": False, "self_check": False}


def enciphered():
    run = good()
    run["encrypt"] = run["self_check"] = True
    run["after"]["stats"]["self-check"] = 12
    run["after"]["stats"]["cipher"] = {"pages-to-owner": 109,
                                       "pages-to-raw": 109}
    run["says"][run["says"].index("outside 0 of 256")] = "outside 256 of 256"
    return run


def good_legacy(kind):
    run = good()
    run["kind"], run["console"] = kind, CONSOLE + ENABLED
    vmsas = 2 if kind == "sev-es" else 0
    stats = run["after"]["stats"]
    del stats["vmexit-snp"]
    stats.update({
        f"vmexit-{kind}": 64, "rmpupdate-to-guest": 0,
        "rmpupdate-to-pre-guest": 0,
        "firmware": {c: {"SUCCESS": 1} for c in judge.LIFE}})
    stats["firmware"]["LAUNCH_UPDATE_VMSA"] = {"SUCCESS": vmsas}
    run["after"]["guests"]["sev-bytes-measured"] = 0xb000 + vmsas * 0x1000
    run["guest"] = LEGACY
    run["says"][run["says"].index("outside 0 of 256")] = "outside 0 of 4096"
    run["control"] = CONTROL.replace("2147483667", "2147483652")
    stats["vmgexit"] = {"0x7b": 40, "0x80000004": 1}
    if kind == "sev":
        run["guest"] = LEGACY.replace("AMD SEV SEV-ES", "AMD SEV")
        stats["vmgexit"] = stats["vmgexit-msr"] = {}
        run["control"] = CONTROL[CONTROL.index("@hist kvm_exit"):]
    return run


def enciphered_legacy():
    run = good_legacy("sev-es")
    run["encrypt"] = True
    run["says"][run["says"].index("outside 0 of 4096")] = "outside 4096 of 4096"
    run["after"]["stats"]["cipher"] = {"pages-to-owner": 1007,
                                       "pages-to-raw": 1007}
    return run


def verdict(run):
    r = host.Result("self")
    r.console, r.says, r.control = run["console"], run["says"], run["control"]
    stream = counts.split_guest(run["guest"])
    hist = counts.histograms(r.control)
    checks = list(judge.host_lines(r, run["kind"]))
    checks += judge.guest_lines(stream, 2, DISK, run["kind"])
    checks += judge.cross(run["before"], run["after"], hist, r.says, stream,
                          counts.dropped(r.control), 2, run["kind"])
    checks += judge.rmp_after(run["before"], run["after"])
    checks += judge.self_checked(run["before"], run["after"],
                                 run["self_check"])
    if run["kind"] == "snp":
        checks += judge.measured(run["before"], run["after"], LAUNCHED)
    checks += judge.outside(r, run["encrypt"])
    checks += judge.enciphered(run["before"], run["after"], run["encrypt"],
                               run["kind"])
    checks += judge.cmdlines(r, stream)
    return {name for name, ok, _ in checks if not ok}


def text(part, old, new):
    def change(run):
        assert old in run[part], (part, old)
        run[part] = run[part].replace(old, new)
    return change


def say_instead(old, new):
    def change(run):
        run["says"] = [new if s == old else s for s in run["says"]]
    return change


def after(*where, value):
    def change(run):
        here = run["after"]
        for key in where[:-1]:
            here = here[key]
        here[where[-1]] = value
    return change


SPOILED = [
    (text("console", "RMP table physical", "RMP table virtual"),
     "host: RMP table"),
    (text("console", "SEV-SNP API:1.55", "SEV API:1.55"),
     "host: SNP firmware"),
    (text("console", "SEV-SNP enabled", "SEV-SNP disabled"),
     "host: SNP enabled"),
] + [
    (text("console", "[    1.0] kvm_amd", f"[    1.0] {bad}\n[    1.0] kvm_amd"),
     "host: no warning")
    for bad in ("WARNING: CPU: 0 PID: 1", "BUG: unable to handle",
                "Oops: 0000", "Call Trace:", "INFO: task x blocked",
                "INFO: possible recursive locking", "INFO: rcu_sched stall")
] + [
    (say_instead("tainted 0", "tainted 512"), "host: not tainted"),
    (say_instead("tainted 0", "tainted 128"), "host: not tainted"),
    (say_instead("tainted 0", "x"), "host: not tainted"),
    (text("guest", " SEV-SNP\n", "\n"), "guest: SNP active"),
    (text("guest", "count=2", "count=1"), "guest: 2 vCPU up"),
    (text("guest", "cpu=1 sha256=abab", "cpu=1 sha256=abac"),
     "guest: disk read on each vCPU"),
    (text("guest", "cpu=1 sha256", "cpu=0 sha256"),
     "guest: disk read on each vCPU"),
    (text("guest", "size 0x3e8000", "size 0x3e7000"),
     "guest: 1000 pages private-shared-private"),
    (text("guest", "Power down", "Restarting"),
     "guest: powered off by itself"),
    (text("guest", "lab-guest: end", "WARNING: CPU: 1 PID: 2\n"
          "lab-guest: end"), "guest: no warning"),
    (text("control", "hitcount:         40", "hitcount:         41"),
     "counts: VMGEXITs by GHCB event as KVM's"),
    (text("control", "ghcb_gpa:         18", "ghcb_gpa:         17"),
     "counts: VMGEXITs by MSR event as KVM's"),
    (text("control", "hitcount:       100", "hitcount:       101"),
     "counts: pages given to the guest as guest_memfd's"),
    (text("control", "hitcount:         44", "hitcount:         45"),
     "counts: #VMEXITs as KVM's, all of SEV-SNP"),
    (after("stats", "vmexit-snp", value=63),
     "counts: #VMEXITs as KVM's, all of SEV-SNP"),
    (after("stats", "vmexit", value=65),
     "counts: #VMEXITs as KVM's, all of SEV-SNP"),
    (text("control", "@hist kvm_vmgexit_enter", "    Dropped: 3\n"
          "@hist kvm_vmgexit_enter"), "counts: no tracepoint lost"),
    (text("guest", "len 0xa000", "len 0xb000"),
     "counts: launch pages as QEMU's"),
    (after("rmp-summary", "asids", value={"5": 1}),
     "after: no page owned by a guest"),
    (after("rmp-summary", "states", "firmware", value=5),
     "after: no firmware page beyond those before"),
    (after("guests", "snp", value=[{"asid": 0}]), "after: no guest context"),
] + [
    (after("guests", key, value=value), "launch: digest as computed outside")
    for key, value in (("snp-launched", 2), ("snp-launched", 4),
                       ("snp-digests", []), ("snp-digests", ["00" * 48]),
                       ("snp-digests", [LAUNCHED.hex(), "00" * 48]))
] + [
    (say_instead(SAYS[0], SAYS[0] + " iommu=pt"),
     "host: plain command line"),
    (text("guest", "panic=-1 initrd", "panic=-1 nosmp initrd"),
     "guest: plain command line"),
]


NOT, EACH = ("memory: no page enciphered",
             "memory: each page enciphered for the guest, and back")
SPOILED += [
    (after("stats", "cipher", value={"pages-to-owner": 8, "pages-to-raw": n}),
     NOT) for n in (7, 8)
] + [(after("stats", "cipher", value={}), NOT)]
SPOILED += [
    (after("stats", "self-check", value=n), "machine: no self-check")
    for n in (4, None)
]
SPOILED += [
    (say_instead("outside 0 of 256", x),
     "memory: the guest's firmware is plaintext to the host")
    for x in ("outside 1 of 256", "outside nothing seen")
]
SPOILED_ENCIPHERED = [
    (after("stats", "self-check", value=n), "machine: checked itself")
    for n in (3, None)
] + [
    (after("stats", "cipher", value={"pages-to-owner": n, "pages-to-raw": m}),
     EACH) for n, m in ((7, 7), (109, 108), (109, 110), (108, 108))
] + [(after("stats", "cipher", value={}), EACH)] + [
    (say_instead("outside 256 of 256", x),
     "memory: the guest's firmware is ciphertext to the host")
    for x in ("outside 255 of 256", "outside 0 of 256", "outside")
]


# What must not pass for a SEV-ES guest, and for a SEV one.
SPOILED_LEGACY = [
    (text("console", "SEV-SNP enabled", "SEV-SNP disabled"),
     "host: SNP enabled"),
    (text("guest", "cycles=6", "cycles=5"),
     "guest: queues private-shared-private 6 times"),
    (text("guest", "len 0xa000", "len 0xb000"),
     "counts: bytes measured as QEMU's"),
    (after("guests", "sev-bytes-measured", value=0x1000),
     "counts: bytes measured as QEMU's"),
    (after("stats", "firmware", "LAUNCH_UPDATE_VMSA", "SUCCESS", value=1),
     "counts: a VMSA for each vCPU of SEV-ES, else none"),
    (after("stats", "firmware", "DECOMMISSION", "SUCCESS", value=0),
     "counts: each launch command once"),
    (after("stats", "rmpupdate-to-guest", value=1),
     "counts: no RMPUPDATE to a guest"),
    (after("stats", "vmgexit", value={"0x7b": 41}),
     "counts: VMGEXITs by GHCB event as KVM's"),
    (after("guests", "sev", value=[{"asid": 7}]), "after: no ASID bound"),
    (after("guests", "sev", value=[{"asid": 0}]), "after: no guest context"),
    (after("stats", "cipher", value={"pages-to-owner": 8, "pages-to-raw": 8}),
     NOT),
] + [
    (say_instead("outside 0 of 4096", x),
     "memory: the guest's firmware is plaintext to the host")
    for x in ("outside 1 of 4096", "outside nothing seen")
]
SPOILED_LEGACY_ENCIPHERED = [
    (after("stats", "cipher", value={"pages-to-owner": n, "pages-to-raw": m}),
     EACH) for n, m in ((7, 7), (109, 108), (109, 110))
] + [
    (say_instead("outside 4096 of 4096", x),
     "memory: the guest's firmware is ciphertext to the host")
    for x in ("outside 4095 of 4096", "outside 0 of 4096", "outside")
]
SPOILED_KIND = {
    "sev-es": [
        (text("console", "SEV-ES enabled", "SEV-ES unusable"),
         "host: ES enabled"),
        (text("guest", "AMD SEV SEV-ES", "AMD SEV"), "guest: ES active"),
        (text("control", "2147483652", "2147483653"),
         "guest: vCPUs started from their reset hold"),
        (text("control", "@hist kvm_vmgexit_enter", "@hist x"),
         "counts: VMGEXITs by GHCB event as KVM's"),
        (after("stats", "vmexit-sev-es", value=0),
         "counts: #VMEXITs as KVM's, all of SEV-ES")],
    "sev": [
        (text("console", ": SEV enabled", ": SEV unusable"),
         "host: SEV enabled"),
        (text("guest", "AMD SEV", "AMD SEV SEV-ES"), "guest: SEV active"),
        (after("stats", "vmexit-sev", value=0),
         "counts: #VMEXITs as KVM's, all of SEV")],
}

AUDIT = ["hypervisor 9", "firmware 4", "leaked 0", "rmpupdate 7", "BALANCED"]


def audits():
    """What of our kernel's audit must not pass."""
    good = {"before": list(AUDIT), "after": list(AUDIT)}
    runs = [(None, None, set())]
    for when in good:
        runs += [
            (when, ["UNBALANCED" if x == "BALANCED" else x for x in AUDIT],
             {f"{when}: audit balanced"}),
            (when, [x.replace("leaked 0", "leaked 1") for x in AUDIT],
             {f"{when}: audit has no page leaked"}),
            (when, [x.replace("firmware 4", "firmware 5") for x in AUDIT],
             {f"{when}: audit counts the pages the machine counts"}),
            (when, [], {f"{when}: audit balanced",
                        f"{when}: audit has no page leaked",
                        f"{when}: audit counts the pages the machine counts"})]
    bad = []
    for when, lines, want in runs:
        r = host.Result("self")
        r.says = [f"audit-{k} {x}" for k, v in {**good, when: lines}.items()
                  if k for x in v]
        got = {n for n, ok, _ in judge.audits(SIDE, SIDE, r) if not ok}
        if got != want:
            bad.append(f"audit {when} {lines}: {got}")
    # the three pages that no segment covers are the hypervisor's for the machine
    r = host.Result("self")
    r.says = [f"audit-before {x}" for x in AUDIT]
    for first, good in ((4, True), (5, False)):
        side = {"rmp-summary": {
            "states": {"hypervisor": 12, "firmware": 4},
            "segments": [{"covers": 0, "pages": first},
                         {"covers": 7 * 4096, "pages": 2}]}}
        got = [ok for _, ok, _ in judge.audits(side, None, r)][2]
        if got != good:
            bad.append(f"a segment of {first} pages: {got}")
    # and of what it says when any script is done; a stock kernel has none
    for word, unbalanced, good in (
            (None, False, True), ("BALANCED", False, True),
            ("UNBALANCED", False, False), ("", False, False),
            ("UNBALANCED", True, True), ("BALANCED", True, False)):
        r = host.Result("self")
        r.status, r.ended, r.unbalanced = 0, "script", unbalanced
        r.says = [] if word is None else [f"audit-end {word}"]
        if (r.ok(), not r.bad_lines()) != (good, good):
            bad.append(f"audit at the end {word!r}: {r.bad_lines()}")
    return bad


def _round(times=7, queues=64, size=0x7000, first=None):
    """A guest's console and QEMU's events: so often each queue of so many
    bytes is made private and shared again."""
    each = "".join(f"kvm_convert_memory start {n << 16:#x} size {{}} TO\n"
                   for n in range(queues))
    there, back = (each.format(*[f"{size:#x}"] * queues).replace("TO", to)
                   for to in ("shared_to_private", "private_to_shared"))
    return counts.split_guest(
        "lab-guest: reading\n" + (first or there) + back +
        (there + back) * (times - 1) + "lab-guest: read-end cycles=7\n")


def cycles():
    """What must not pass for queues that were taken and given back."""
    few, each = ("guest: queues private-shared-private 6 times",
                 "guest: 64 queues each time by QEMU's events")
    one = "kvm_convert_memory start 0x0 size 0x7000 shared_to_private\n"
    five = [(event, line.replace("cycles=7", "cycles=5"))
            for event, line in _round(5)]
    bad = []
    for name, stream, want in (
            ("good", _round(), set()), ("five", five, {few}),
            ("six, not seven", _round(6), {each}),
            ("a queue less", _round(queues=63), {each}),
            ("one that stays shared", _round(first=one * 63), {each}),
            ("a page less once", _round(first=one * 63 + one.replace(
                "0x7000", "0x6000")), {each}),
            ("nothing", [], {few, each})):
        got = {n for n, ok, _ in judge.cycled(stream) if not ok}
        if got != want:
            bad.append(f"cycles, {name}: {got}")
    return bad


GREEN = "".join(f"[ \x1b[32mPASS\x1b[0m ] {' ' * (i % 5)}- probe {i}\n"
                for i in range(snphost.PROBES))
RED = GREEN + "[ FAIL ] - Comparing TCB values: they do NOT match\n"
# output, status, what may be red, is it good?
PROBED = [
    (GREEN, 0, (), True), (GREEN, 1, (), False), ("", 0, (), False),
    (GREEN.replace("PASS", "FAIL", 1), 1, (), False),
    (GREEN.replace("PASS", "SKIP", 1), 0, (), False),
    (GREEN.partition("\n")[2], 0, (), False),
    (RED, 1, ("TCB",), True), (RED, 1, (), False), (RED, 0, ("TCB",), False),
    (GREEN, 1, ("TCB",), False), (RED, 1, ("TCB", "RMP"), False),
]
VERSION = "TCB Version:\n  Microcode: {3}\n  SNP: {2}\n  TEE: {1}\n  " \
    "Boot Loader: {0}\n  FMC: None\n"


def probes():
    """What of snphost's output must not pass."""
    bad = []
    for text, status, red, good in PROBED:
        j = snphost.Judge(f"@begin ok\n{text}\n@end ok {status}\n")
        j.ok("ok", red)
        if bool(j.bad) == good:
            bad.append(f"`snphost ok`, {status}, {red}: {j.bad}\n{text}")
    for reported, status in ((7, 0), (6, 0), (7, 1)):
        text = "".join(name + ": " + VERSION.format(*snphost.parts(tcb))
                       for name, tcb in (("Reported TCB", reported),
                                         ("Platform TCB", 7)))
        j = snphost.Judge(f"@begin tcb\n{text}\n@end tcb {status}\n")
        j.tcbs("tcb", 7, 7)
        if bool(j.bad) != ((reported, status) != (7, 0)):
            bad.append(f"TCB {reported}, {status}: {j.bad}")
    j = snphost.Judge("")
    j.works("gone")
    j.refused("gone", "")
    if len(j.bad) != 2:
        bad.append("a command that was not run")
    return bad


def judges():
    bad, number = [], 0
    runs = {"snp": (good, SPOILED),
            "enciphered": (enciphered, SPOILED_ENCIPHERED),
            "enciphered, SEV-ES": (enciphered_legacy,
                                   SPOILED_LEGACY_ENCIPHERED)}
    for kind, more in SPOILED_KIND.items():
        runs[kind] = (lambda kind=kind: good_legacy(kind),
                      SPOILED_LEGACY + more)
    for kind, (make, spoiled) in runs.items():
        number += 1 + len(spoiled)
        if verdict(make()):
            bad.append(f"a good {kind} run is called bad: {verdict(make())}")
        for n, (spoil, name) in enumerate(spoiled):
            run = make()
            spoil(run)
            if name not in verdict(run):
                bad.append(f"spoiled {kind} run {n}: '{name}' still holds")
    run = good()
    run["after"] = None
    if not verdict(run):
        bad.append("a machine that does not answer is not noticed")
    bad += audits() + probes() + cycles()
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{number + 10 + len(PROBED) + 11} runs"


# (port, what arrives there), the answer it must end the run with; None: it
# must not.
ENDS = [
    ([("console", "[   21.1] SEV-ES guest requested termination: 0x0:0x0\n"),
      ("guest", "Registered therKVM: unknown exit reason 24\nEAX=0\n")],
     "the guest died: SEV-ES guest requested termination: 0x0:0x0; "
     "KVM: unknown exit reason 24"),
    ([("guest", "error: kvm run failed Bad address\n")],
     "the guest died: error: kvm run failed Bad address"),
    ([("console", "[ 9.0] Kernel panic - not syncing: Fatal exception\n")],
     "the host died: Kernel panic - not syncing: Fatal exception"),
    ([("console", "[ 9.0] BUG: unable to handle page fault for address: 1\n")],
     "the host died: BUG: unable to handle page fault for address: 1"),
    ([("guest", "Kernel panic - not syncing: the guest's own affair\n"),
      ("console", "KVM: unknown exit reason 24, said a host's log\n"),
      ("control", "@lab end 0\n")], None),
]


def _monitor(sock):
    """The other end of a machine's monitor, as far as counts need it."""
    answers = {"qom-list": [{"name": "psp", "type": "child<amd-psp>"}],
               "qom-get": json.dumps({"vmrun": 7})}
    with sock.makefile("rwb", buffering=0) as f:
        sock.sendall(b'{"QMP": {}}\n')
        while line := f.readline():
            name = json.loads(line)["execute"]
            f.write(json.dumps({"return": answers.get(name, {})}).encode() +
                    b"\n")


def _play(arrives, seconds):
    """A run on a machine that says this and then nothing. Returns its
    Result, the counts taken at its end, and its seconds."""
    ours, theirs = {}, {}
    for port in ("console", "guest", "control", "qmp"):
        ours[port], theirs[port] = socket.socketpair()
    result, taken = host.Result("self"), []
    other = threading.Thread(target=_monitor, daemon=True,
                             args=(theirs["qmp"],))
    begin = time.monotonic()
    with contextlib.ExitStack() as on_exit:
        child = subprocess.Popen(["sleep", "600"])
        on_exit.callback(lambda: (child.kill(), child.wait()))
        sinks = {p: on_exit.enter_context(tempfile.TemporaryFile())
                 for p in ("console", "guest", "control")}
        other.start()
        for port, words in arrives:
            theirs[port].sendall(words.encode())
        host._Loop(result, child, ours, sinks, None, None,
                   lambda m: taken.append(counts.machine(m)),
                   begin + seconds, None, run.FATAL).turn()
        for s in [*ours.values(), *theirs.values()]:
            s.close()
    return result, taken, time.monotonic() - begin


def crashes():
    """A machine that a signal ends: that is said first and last."""
    bad = []
    for script, how in (
            ("echo x; echo last words; kill -SEGV $$",
             "the machine ended by signal 11 (Segmentation fault)"),
            ("echo x; echo last words; exit 3",
             "the machine ended with status 3")):
        for ended in ("lost", "machine", "script"):
            with tempfile.TemporaryDirectory() as tmp:
                log = pathlib.Path(tmp) / "machine"
                with open(log, "wb") as sink:
                    child = subprocess.Popen(["sh", "-c", script], cwd=tmp,
                                             stdout=sink, stderr=sink)
                child.wait()
                result = host.Result("self")
                result.ended, result.status = ended, 0
                result.logs = {"console": log, "guest": log, "machine": log}
                host._last_words(child, result, log, tmp)
            seen = result.failure()
            text = plain.explain(run.Verdict([], result, {}, None,
                                             run.died(result)))
            if (result.ok() or run.died(result) != how or
                    seen[-1] != f"died: {how}" or
                    not any("last words" in x for x in seen) or
                    text.splitlines()[0] != how or
                    text.splitlines()[-1] != f"died: {how}" or
                    ktap.reason("a\n" + text) != f"died: {how}"):
                bad.append(f"{script}, {ended}: {seen} {text}")
    return bad


def resets():
    """A host whose CPUs were reset: a machine without it went away."""
    event = {"event": "SHUTDOWN",
             "data": {"guest": True, "reason": "guest-reset"}}
    result, _, _ = _play([("qmp", json.dumps(event) + "\n")], 30)
    if result.ended != "reset" or "triple" not in run._ending(
            run.Request(), result):
        return [f"a host that was reset: {result.ended}"]
    return []


def ends():
    bad, keep = crashes(), host.GRACE
    host.GRACE = 0.3
    try:
        for arrives, answer in ENDS:
            limit = 30 if answer else 1.5
            result, taken, seconds = _play(arrives, limit)
            if run.died(result) != answer:
                bad.append(f"{arrives}: {run.died(result)}")
            if not answer:
                if result.ended != "script":
                    bad.append(f"{arrives}: {result.ended}")
                continue
            if result.ended != "fatal" or seconds > 15:
                bad.append(f"{arrives}: {result.ended} after {seconds:.0f} s")
            if [t and t["stats"] for t in taken] != [{"vmrun": 7}]:
                bad.append(f"{arrives}: the machine was not asked: {taken}")
        bad += resets()
        stale = host.Result("self")
        stale.error = "it closed\n    | qemu: SNP self-check: CPU 0\n    | x"
        if run.died(stale) != ("the machine stopped itself: "
                               "SNP self-check: CPU 0"):
            bad.append(f"a stale translation: {run.died(stale)}")
    finally:
        host.GRACE = keep
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(ENDS) + 8} ends"


def resumes():
    """What check --full keeps of a case, and when it forgets."""
    with tempfile.TemporaryDirectory() as tmp:
        source = pathlib.Path(tmp) / "case.py"
        source.write_text("one")
        case = Case("self.x", "nothing", lambda: None, source=source)
        kept = record.Record(pathlib.Path(tmp) / "record.json")
        steps = [kept.has(case) is None]
        kept.note(case, 1.0, "seen")
        again = record.Record(kept.file)
        steps.append(again.has(case)["text"] == "seen")
        # two that run at once keep what the other notes
        again.note(dataclasses.replace(case, name="self.y"), 1.0, "seen")
        kept.note(case, 1.0, "seen")
        steps.append("self.y" in record.Record(kept.file).passed)
        source.write_text("two")
        steps.append(again.has(case) is None)
        source.write_text("one")
        steps.append(again.has(case) is not None)
        # what it takes from another counts, and what that takes from a third
        source.write_text("from lab.cases import Case, second\n")
        second, third = (source.with_name(n) for n in ("second.py", "third.py"))
        second.write_text("from lab.cases.third import x\n")
        third.write_text("one")
        again.note(case, 1.0, "seen")
        steps.append(again.has(case) is not None)
        third.write_text("two")
        steps.append(again.has(case) is None)
        again.forget(case)
        steps.append(record.Record(kept.file).has(case) is None)
        kept.file.write_text("{")
        steps.append(record.Record(kept.file).has(case) is None)
    if not all(steps):
        raise CaseFailed(f"steps {steps}")
    return f"{len(steps)} steps"


def _tree(top, patch):
    for name, content in (("pristine/a/x.c", "one\ntwo\nthree\n"),
                          ("pristine/b.c", "b\n"), ("ours/new.c", "new\n"),
                          ("patches/series", "# order\n0001-x.patch\n"),
                          ("patches/0001-x.patch", patch)):
        p = top / name
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_text(content)
    return tree.Tree(top / "pristine", top / "work", [(top / "ours", "a")],
                     top / "patches")


PATCH = ("why\n--- a/a/x.c\n+++ b/a/x.c\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n"
         " three\n")


def hooks():
    with tempfile.TemporaryDirectory() as tmp:
        top = pathlib.Path(tmp)
        t = _tree(top, PATCH)
        if t.sync() != ["a/new.c", "a/x.c"] or \
                (top / "work/a/x.c").read_text() != "one\n2\nthree\n":
            raise CaseFailed("files and hooks were not laid on the source")
        stamp = (top / "work/a/x.c").stat().st_mtime_ns
        (top / "ours/new.c").write_text("newer\n")
        if t.sync() != ["a/new.c"] or \
                (top / "work/a/x.c").stat().st_mtime_ns != stamp:
            raise CaseFailed("more than the changed file was written")
        (top / "ours/new.c").unlink()
        if t.sync() != ["a/new.c"] or (top / "work/a/new.c").exists():
            raise CaseFailed("a removed file stays in the source")
        before = (top / "work/a/x.c").read_text()
        (top / "patches/0002-y.patch").write_text("Subject: y\n\nAdds: a/z\n")
        with open(top / "patches/series", "a") as series:
            series.write("0002-y.patch\n")
        if t.sync():
            raise CaseFailed("a message without hooks writes something")
        (top / "patches/0002-y.patch").write_text("Subject: y\n\nLost.\n")
        try:
            t.sync()
        except say.Failed:
            pass
        else:
            raise CaseFailed("a patch without hooks or files was not noticed")
        bad = _tree(top, PATCH.replace("-two", "-deux"))
        try:
            bad.sync()
        except say.Failed as e:
            if "0001-x.patch" not in str(e) or "a/x.c" not in str(e):
                raise CaseFailed(f"patch and file are not named: {e}") from e
        else:
            raise CaseFailed("a hook that does not apply was not noticed")
        if (top / "work/a/x.c").read_text() != before:
            raise CaseFailed("the source was touched all the same")
        (top / "patches/0001-x.patch").write_text(PATCH)
        (top / "ours/x.c").write_text("a file in the way\n")
        try:
            t.sync()
        except say.Failed:
            pass
        else:
            raise CaseFailed("a new file replaced one of the source")


REFUSED = [
    (["run", "--host", "debian-99"], "unknown host"),
    (["run", "--kernel", "/nonexistent", "--modules", "/tmp"], "not there"),
    (["run", "--kernel", "/dev/null"], "belong together"),
    (["run", "--machine", "/nonexistent"], "not there"),
    (["run", "--ovmf", "/nonexistent"], "not there"),
    (["run", "--machine", "/bin/true", "--self-check"], "is none"),
    (["run", "--machine", "/bin/true", "--encrypt"], "is none"),
    (["run", "--machine", "/bin/true", "--loose"], "is none"),
    (["run", "--cpu", "rome"], "unknown processor"),
    (["run", "--machine", "/bin/true", "--cpu", "genoa"], "is none"),
    (["run", "--memory", "lots"], "not a size"),
    (["run", "--memory", "16M"], "128M"),
    (["run", "--memory", "8G"], "does not fit"),
    (["run", "--host-memory", "2560M"], "above 4 GiB"),
    (["run", "--host", "debian-13", "--memory", "900G", "--host-memory",
      "990G"], "of memory available"),
    (["run", "--smp", "0"], "between 1 and 8"),
    (["run", "--json", "/nonexistent/x"], "no such directory"),
    (["run", "--smp", "two"], "--smp"),
    (["run", "--no-such-option"], "--no-such-option"),
    (["bench", "--runs", "4"], "tell nothing"),
    (["soak", "--seeds", "0"], "at least one"),
    (["bench", "--json", "/nonexistent/x"], "no such directory"),
    (["shell", "--json", "/tmp/x"], "--json"),
    (["shell", "--timeout", "9"], "--timeout"),
    (["run", "--from", "no-such"], "no snapshot named"),
    (["run", "--from", "../x"], "cannot be the name"),
    (["run", "--from", "x", "--encrypt"], "--encrypt is of the host"),
    (["shell", "--from", "x"], "--from"),
    (["snapshot"], "has a name"),
    (["snapshot", "a/b"], "cannot be the name"),
    (["snapshot", "--list", "x"], "goes by itself"),
    (["snapshot", "x", "--smp", "1"], "--smp"),
    (["snapshot", "x", "--machine", "/bin/true"], "only the SNP machine"),
    (["snapshot", "x", "--host", "debian-99"], "unknown host"),
    (["no-such-part"], "no-such-part"),
    (["check", "no-such-case"], "no case is named"),
    (["clean", "no-such-part"], "out/"),
    (["series", "--corner", "i386"], "--check"),
    (["series", "--check", "--corner", "x"], "there is none"),
    (["rebase", "/nonexistent"], "no directory"),
    (["rebase", "/tmp"], "no source of Linux"),
    (["counts", "/nonexistent"], "no summary"),
    (["counts", "--run", "x", "--both"], "reads no run"),
    (["counts", "--both", "debian-99"], "--both"),
]


def refusals():
    bad = []
    for argv, why in REFUSED:
        r = subprocess.run([paths.LAB / "snp", *argv], text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           stdin=subprocess.DEVNULL, timeout=60)
        lines = r.stderr.splitlines()
        if r.returncode != 2 or len(lines) != 1 or why not in lines[0]:
            bad.append(f"{' '.join(argv)}: status {r.returncode}: "
                       f"{r.stderr.strip()[-200:]}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(REFUSED)} requests"


def moved_on():
    """A version gone from the archive: the newest instead, and said so."""
    new = sources.Row("guest.busybox", "deb", "trixie", "busybox-static",
                      "9:9", "00")
    keep = (sources._available, sources.newest, sources.FALLBACK,
            apt.have_lists, apt.update)
    told = io.StringIO()
    with tempfile.TemporaryDirectory() as tmp:
        try:
            sources._available = lambda row: row == new
            sources.newest = lambda role: [new]
            sources.FALLBACK = pathlib.Path(tmp) / "fallback"
            apt.have_lists, apt.update = lambda: True, lambda: None
            with contextlib.redirect_stderr(told):
                first = sources.usable("guest.busybox")
            again = sources.rows("guest.busybox")
        finally:
            (sources._available, sources.newest, sources.FALLBACK,
             apt.have_lists, apt.update) = keep
    if first != [new] or again != [new]:
        raise CaseFailed("the newest was not taken, or not kept")
    if "lab/snp update" not in told.getvalue():
        raise CaseFailed("nothing was said of it")


CASES = [
    Case("lab.judge", "a run in which one thing is missing or differs is "
         "called bad, for each thing", judges, order=2),
    Case("lab.ends", "a guest's request for termination, a guest stock QEMU "
         "gives up on, a host's panic end a run at once with that as the "
         "answer, and with the machine's counts; a machine that a signal "
         "ends is named first and last", ends, order=2),
    Case("lab.resumes", "check --full goes on where it was interrupted, and "
         "runs again what has changed", resumes, order=2),
    Case("lab.hooks", "a hook that does not apply is reported by patch and "
         "file and nothing is touched; only changed files are written",
         hooks, order=2),
    Case("lab.refusals", "what cannot be served ends with one line and "
         "status 2", refusals, order=3),
    Case("lab.versions", "a version gone from the archive is replaced by the "
         "newest, with a note", moved_on, order=2),
]
