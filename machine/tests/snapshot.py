#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The SNP machine, saved and loaded.

    snapshot.py SUITE QEMU-BINARY QEMU-ARGUMENT...
    snapshot.py refused QEMU-BINARY QEMU-ARGUMENT...

SUITE, a bare host (bare/run.py), runs to its end by itself; then once more,
saved now and then and each time gone on with in another process. Cells and
counts are the same, and so is what is there before and after. `refused`: who
was configured otherwise does not load it, by name; a file that was tampered
with does no harm. Prints KTAP; the exit status says whether all held."""

import pathlib
import random
import re
import subprocess
import sys
import tempfile

import ktap
from ktap import check
from stream import Stream
from vm import Ended, Vm

sys.path.insert(0, str(pathlib.Path(__file__).parent / "bare"))
import run as bare  # noqa: E402  pylint: disable=wrong-import-position

MOMENTS = 3             # of a suite at which it is saved
LONG = 5000             # events of one that is not over while it is saved
QUICK = ("sev",)        # but for these, whose events take no time
CODE = 0x10000          # where guests have theirs, see bare/vm.c
FLIPS = 36              # files with bytes that came from nowhere
# The clock on the wall is no part of what is saved: it is the computer's.
COMMON = ["-rtc", "clock=vm", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]


def events(stats):
    """How far it is: a number that only grows"""
    return (stats["vmexit"] + stats["psp-commands"] +
            sum(stats["rmpupdate"].values()))


def observe(vm, where):
    """All there is to see of a machine that stands still"""
    rmp = vm.get("rmp-summary")
    return {"RMP": vm.memory(rmp["base"], rmp["end"] + 1 - rmp["base"],
                             f"{where}/rmp"),
            **{x: vm.get(x) for x in ("rmp-summary", "rmp-histogram", "guests",
                                      "stats")}}


def undisturbed(argv, where):
    vm = Vm(argv, where)
    try:
        vm.go()
        vm.wait(vm.ended, "end")
        return vm.text(), vm.get("stats")
    finally:
        vm.close()


def operations(suite, where):
    """Where a guest is, in its own memory, when it begins one"""
    text = subprocess.run(["nm", f"{where}/{suite}.elf"], check=True,
                          capture_output=True, text=True).stdout
    at = {n: int(a, 16) for a, n in
          re.findall(r"^([0-9a-f]+) \w (blob|g_\w+)$", text, re.M)}
    start = at.pop("blob", 0)
    return [CODE + a - start for a in at.values()]


def again(vm, argv, where, live):
    """Saves it, ends it, loads it in another process: that one, stopped; what
    the first had said, and whether its CPU ran a guest."""
    file = f"{where}/state"
    before = None if live else observe(vm, where)
    vm.save(file)
    # one that ran meanwhile stands still now
    before = before or observe(vm, where)
    text = vm.text()
    vm.close()
    # QEMU loads nothing that a debugger had stopped
    kept = Stream(pathlib.Path(file).read_bytes())
    kept.put("globalstate", "runstate", b"paused".ljust(32, b"\0"))
    kept.put("globalstate", "size", len(b"paused") + 1)
    pathlib.Path(file).write_bytes(kept.data)
    at, size = kept.find("cpu", "env.hflags")
    guest = kept.data[at:at + size][-3] >> 5 & 1    # bit 21
    vm = Vm(argv, where, file)
    after = observe(vm, where)
    for what, value in before.items():
        check(value == after[what], f"{what} is another after loading")
    vm.save(f"{file}-again")
    for what in kept.differences(Stream(pathlib.Path(f"{file}-again")
                                        .read_bytes())):
        check(what.startswith("globalstate"), f"another after loading: {what}")
    return vm, text, guest


def disturbed(argv, where, total, inside, quick):
    """The same, saved at moments: every other time, if there are any, in a
    guest; once, if it is long enough, while it runs. Also: how often, and how
    often in a guest"""
    vm, said, saved, guests = Vm(argv, where), "", 0, 0
    try:
        vm.go()
        for n in range(1, MOMENTS + 1):
            due = total * n // (MOMENTS + 1)
            vm.wait(lambda due=due: events(vm.get("stats")) >= due or
                    vm.ended(), "get on", 0.001)
            live = n == 2 and total > LONG and not quick
            if not live:
                vm.stop()
                if inside and n % 2:
                    vm.run_to(inside, where)
            if vm.ended():
                break
            saved += 1
            vm, text, guest = again(vm, argv, where, live)
            said += text
            guests += guest
            vm.go()
        vm.wait(vm.ended, "end")
        return said + vm.text(), vm.get("stats"), saved, guests
    finally:
        vm.close()


def cells(text):
    return text[max(text.find("KTAP version 1"), 0):]


def suite(name, argv):
    with tempfile.TemporaryDirectory() as where:
        argv = [*argv, *COMMON, "-kernel", bare.build(name, where)]
        seen = {}

        def alone():
            seen["text"], seen["stats"] = undisturbed(argv, where)
            why = bare.wrong(seen["text"], bare.GOOD, "")
            check(not why, f"undisturbed: {why}")

        def saved():
            inside = operations(name, where)
            text, stats, times, guests = disturbed(
                argv, where, events(seen["stats"]), inside, name in QUICK)
            check(cells(text) == cells(seen["text"]), "the cells are others")
            for k, v in seen["stats"].items():
                if k == "instructions":
                    # the host's last ones: till the machine has stopped
                    stats[k]["host"] = v["host"]
                if name == "sev" and k in ("self-check", "cipher"):
                    # a machine that stops gives back what guests claimed
                    stats[k] = v
                elif k == "self-check":
                    # no CPU is judged for which the debugger has left work
                    if v - stats[k] in range(MOMENTS + 1):
                        stats[k] = v
                elif k == "cipher":
                    # who is interrupted before it executes what it fetched
                    # from a page like that fetches it again
                    if abs(v["outside-reads"] -
                           stats[k]["outside-reads"]) <= MOMENTS:
                        stats[k]["outside-reads"] = v["outside-reads"]
                check(stats[k] == v, f"counts of {k}: {stats[k]}, not {v}")
            check(times > 0, "it was over before it was saved")
            check(guests or not inside, "it was not met in a guest")
            print(f"# saved {times} times, {guests} of them in a guest")

        return ktap.run([(f"{name}: undisturbed", alone),
                         (f"{name}: saved and loaded", saved)])


# ---- what is refused ----

# (the machine's arguments, what it says of them): of one with seed=1 only
OTHERS = [
    (psp, rf"amd-psp: {name} is .* in what is loaded, and {here} here")
    for psp, name, here in (
        ("max-asid=508", "max-asid", "508"),
        ("min-sev-asid=99", "min-sev-asid", "99"),
        ("phys-reduction=4", "phys-reduction", "4"),
        ("rmpread=on", "rmpread", "true"),
        ("rmpquery=on", "rmpquery", "true"),
        ("allowed-sev-features=on", "allowed-sev-features", "true"),
        ("secure-tsc=off", "secure-tsc", "false"),
        ("debug-swap=off", "debug-swap", "false"),
        ("restricted-injection=off", "restricted-injection", "false"),
        ("write-in-use=on", "write-in-use", "true"),
        ("rmp-segment-shift=30", "rmp-segment-shift", "30"),
        ("rmp-offset=0x100000", "rmp-offset", "1048576"),
        ("mem-encrypt=off", "mem-encrypt", "false"),
        ("smm-lock=off", "smm-lock", "false"),
        ("rmp-coverage=0x120000000", "rmp-coverage", r"\d+"),
        ("api-minor=56", "api-minor", "56"),
        ("api-major=2", "api-major", "2"),
        ("build=25", "build", "25"),
        ("tcb=0x4818000000000008", "tcb", r"\d+"),
        ("committed-tcb=0x4818000000000006", "committed-tcb", r"\d+"),
        ("committed-build=23", "committed-build", "23"),
        ("report-version=3", "report-version", "3"),
        ("mitigations=1", "mitigations", "1"),
        ("seed=2", "seed", "2"),
        ("dram-alias=0x400000000000", "dram-alias", r"\d+"),
        ("ciphertext-hiding=on", "ciphertext-hiding", "true"),
        ("tio=on", "tio", "true"),
        ("encrypt=on", "encrypt", "true"),
        ("loose=all", "loose", r"\S+"),
    )]
FW = "tmp[1]/platform.fw/"
SNP = "snp/env.snp/"
SENSE = "what is loaded makes no sense: "
# (device, field, what it is made, what is said)
TAMPERED = [
    ("amd-psp", "tmp[0]/text", b"x" * 8192, "no configuration is loaded"),
    ("amd-psp", "tmp[0]/text", b"\033[31m=1\n\0", r"amd-psp: \?\?31m is 1"),
    ("amd-psp", FW + "guests[3]/state", 3, SENSE + "state of a guest"),
    ("amd-psp", FW + "guests[3]/asid", 510, SENSE + "ASID of a guest"),
    ("amd-psp", FW + "guests[511]/gctx", 1, SENSE + "context of a guest"),
    ("amd-psp", FW + "sev_guests[0]/state", 7, SENSE + "state of a SEV"),
    ("amd-psp", FW + "sev_guests[0]/asid", 1024, SENSE + "ASID of a SEV"),
    ("amd-psp", FW + "sev_guests[0]/digest", b"\377" * 128,
     SENSE + "measurement"),
    ("amd-psp", FW + "sev_state", 3, SENSE + "state of the platform"),
    ("amd-psp", FW + "niommu", 17, SENSE + "number of IOMMU buffers"),
    ("amd-psp", FW + "iommu[15]/base", 1, SENSE + "buffer of an IOMMU"),
    ("amd-psp", FW + "tmr/base", 8, SENSE + "memory of the firmware"),
    ("amd-psp", FW + "hidden_asids", 1, SENSE + "number of hidden"),
    ("amd-psp", FW + "mitigated", 1, SENSE + "mitigations"),
    ("amd-psp", FW + "tio_enabled", 1, SENSE + "state of trusted"),
    ("amd-psp", FW + "tio_inited", 1, SENSE + "state of trusted"),
    ("amd-psp", FW + "tio_devs[1]/used", 1, SENSE + "state of a device"),
    ("amd-psp", FW + "tio_devs[15]/state", 2, SENSE + "state of a device"),
    ("amd-psp", FW + "tio_devs[0]/step", 3, SENSE + "state of a device"),
    ("amd-psp", FW + "tio_devs[0]/page", bytes(15) + b"\1",
     SENSE + "context of a device"),
    ("amd-psp", FW + "cfg/committed_tcb", 0xFF, SENSE + "TCB version"),
    ("amd-psp", FW + "cfg/tsc_khz", 5, r"clock has 5 kHz .* and \d+ here"),
    ("amd-psp", "tmp[1]/platform.view.hidden", 1, SENSE + "number of hidden"),
    ("amd-psp", "tmp[1]/keys[3]/loaded", 1, SENSE + "key of an ASID"),
    ("amd-psp", "tmp[1]/counters/vc_codes/n", 129, SENSE + "counts"),
    ("amd-psp", "tmp[1]/inject", b"NPF\0", SENSE + "list of what fails"),
    ("amd-psp", "tmp[1]/inject", b"x" * 1296, SENSE + "list of what fails"),
    ("amd-psp", "tmp[1]/watch/page", 5, SENSE + "page that is watched"),
    ("amd-psp", "tmp[1]/watch/size", 3, SENSE + "page that is watched"),
    ("cpu", SNP + "vmpl", 4, SENSE + "VMPL"),
    ("cpu", "snp/env.vm_guest_tlb/vmpl", 255, SENSE + "VMPL"),
    ("cpu", SNP + "guest", 2, SENSE + "kind of the guest"),
    ("cpu", "snp/env.vm_guest_tlb/asid", 1024, SENSE + "ASID"),
    ("cpu", SNP + "vmsa_pa", 8, SENSE + "page that it holds"),
    ("cpu", SNP + "dr_mask[3]", 1 << 32, SENSE + "mask of a debug"),
    ("amd-iommu", "cmdbuf_len", 3, SENSE + "its buffers"),
    ("amd-iommu", "evtlog_len", 1 << 16, SENSE + "its buffers"),
    ("amd-iommu", "cmdbuf_tail", 8, SENSE + "its buffers"),
    ("amd-iommu", "mmior[48]", 0, "amd-iommu: features are 0x"),
]


def attempt(argv, where, file):
    """What a machine says that does not load a file; None: it does, and is
    looked at and goes on for a moment"""
    try:
        vm = Vm(argv, where, file)
    except Ended as e:
        return str(e)
    try:
        for name in ("stats", "guests", "rmp-summary"):
            vm.get(name)
        vm.go()
        vm.wait(lambda: True, "go on")
        vm.qmp("system_reset")
        vm.get("guests")
        return None
    finally:
        vm.close()


def refused(argv):
    psp = next(i for i, x in enumerate(argv) if x.startswith("amd-psp"))
    with tempfile.TemporaryDirectory() as where:
        argv = [*argv, *COMMON, "-kernel", bare.build("guest", where)]
        file, other = f"{where}/kept", f"{where}/tampered"

        def machine(more, extra=()):
            return [*argv[:psp], f"{argv[psp]}{more}", *argv[psp + 1:], *extra]

        def loads():
            vm = Vm(argv, where)
            try:
                vm.go()
                vm.wait(lambda: vm.get("stats")["vmexit"] > 500, "get on",
                        0.01)
                vm.stop()
                vm.save(file)
            finally:
                vm.close()
            for more in ("", ",self-check=off"):
                said = attempt(machine(more), where, file)
                check(said is None, f"refused: {more}: {said}")

        def properties():
            for more, words in OTHERS:
                said = attempt(machine(f",{more}"), where, file)
                check(bool(said and re.search(words, said)), f"{more}: {said}")
            for more, words in (
                    (["-smp", "2"], "amd-psp: cpus is 1 in what is loaded, "
                     "and 2 here"),
                    (["-cpu", "EPYC-v1,phys-bits=48,+svm,+npt"],
                     "amd-psp: cpu is EPYC-Milan.* in what is loaded, and "
                     "EPYC-"),
                    (["-icount", "shift=0,sleep=off"], "icount|different")):
                said = attempt(machine("", more), where, file)
                check(bool(said and re.search(words, said)), f"{more}: {said}")

        def tampered():
            data = pathlib.Path(file).read_bytes()
            for device, field, value, words in TAMPERED:
                s = Stream(data)
                s.put(device, field, value)
                pathlib.Path(other).write_bytes(s.data)
                said = attempt(argv, where, other)
                check(bool(said and re.search(words, said)),
                      f"{device}, {field}: {said}")

        def rubbish():
            data = pathlib.Path(file).read_bytes()
            dice = random.Random(1)
            loaded = 0
            for n in range(FLIPS):
                s = Stream(data)
                device = ("amd-psp", "amd-iommu", "amd-psp")[n % 3]
                at, size = s.span(device)
                for _ in range(1 + n % 8):
                    s.data[at + dice.randrange(size)] = dice.randrange(256)
                pathlib.Path(other).write_bytes(s.data)
                try:
                    loaded += attempt(argv, where, other) is None
                except Ended as e:
                    check(False, f"file {n} ends the machine: {e}")
                else:
                    check(True, "")
            print(f"# {loaded} of {FLIPS} files were loaded")

        def absent():
            plain = [x for i, x in enumerate(argv)
                     if i not in (psp - 1, psp) and "amd-iommu" not in x and
                     not (x == "-device" and "amd-iommu" in argv[i + 1])]
            vm = Vm(plain, where)
            try:
                vm.save(other)
            finally:
                vm.close()
            data = pathlib.Path(other).read_bytes()
            check(b"cpu/snp" not in data and b"amd-psp" not in data,
                  "something of ours is sent without the device")
            said = attempt(plain, where, other) if "psp" in plain else None
            vm = Vm([*plain, "-device", argv[psp]], where, other)
            try:
                check(vm.get("guests")["snp-state"] == "uninit",
                      f"a file without the device: {said}")
            finally:
                vm.close()

        return ktap.run([("refused: not what was saved so", loads),
                         ("refused: configured otherwise", properties),
                         ("refused: what makes no sense", tampered),
                         ("refused: rubbish", rubbish),
                         ("refused: nothing without the device", absent)])


def main(what, *argv):
    return refused(argv) if what == "refused" else suite(what, argv)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in (*bare.SUITES, "refused"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
