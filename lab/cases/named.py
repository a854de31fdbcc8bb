# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that `lab/snp run` takes every part of a run by name, from wherever it
lies, and that the summary it writes (`--json`) holds what it promises: one run
of a stock SNP guest in which nothing is the default."""

import copy
import json
import os
import pathlib
import subprocess
import tempfile

from lab import machine, paths, run, sources, stamp
from lab.cases import Case, CaseFailed

MEMORY, HOST_MEMORY, HOST_SMP = "384M", "3328M", "1"

# What the summary always has: where, and what it is there.
KEYS = {
    "ok": bool, "seconds": float, "commands.machine": list,
    "commands.guest": list, "checks": list,
    "host.release": str, "host.rmp": str, "host.api": str, "host.asids": str,
    "host.cmdline": str,
    "guest.release": str, "guest.features": str, "guest.vcpus": int,
    "guest.disk_sha256_ok": bool, "guest.conversions": int,
    "guest.cmdline": str,
    "counts.rmpupdate": dict, "counts.psmash": int, "counts.pvalidate": int,
    "counts.npf": int, "counts.vmgexit": dict, "counts.firmware": dict,
    "rmp_after.assigned": int, "rmp_after.leaked": int,
    "identity.machine.sha256": str, "identity.host kernel.sha256": str,
    "identity.guest kernel.sha256": str, "identity.QEMU.sha256": str,
    "identity.OVMF.sha256": str,
}


def at(summary, where):
    """What stands there; None if nothing does."""
    for key in where.split("."):
        if not isinstance(summary, dict) or key not in summary:
            return None
        summary = summary[key]
    return summary


def problems(summary, want):
    """want: {where: the value that has to stand there}."""
    bad = [f"{where} is {at(summary, where)!r}, no {kind.__name__}"
           for where, kind in KEYS.items()
           if type(at(summary, where)) is not kind]
    bad += [f"{where} is {str(at(summary, where))[:90]}, not {value}"
            for where, value in want.items() if at(summary, where) != value]
    return bad


def option(argv, name, value):
    """Do these two stand there one after the other?"""
    return (name, value) in zip(argv, argv[1:])


def given(top):
    """{option: value} of the run: the parts are Debian's, unpacked, and the
    machine, each where no default looks for it."""
    host = sources.unpacked("host.debian-13")
    [vmlinuz] = host.glob("boot/vmlinuz-*")
    os.link(machine.build().binary, top / "machine")
    (top / "firmware").write_bytes(
        (sources.unpacked("host.ovmf") / run.OVMF_INSIDE).read_bytes())
    return {
        "--kernel": vmlinuz, "--modules": host,
        "--qemu": sources.unpacked("host.qemu"), "--ovmf": top / "firmware",
        # not the guest kernel of other runs: the one for real hardware
        "--guest-kernel": vmlinuz, "--guest-modules": host,
        "--machine": top / "machine", "--smp": "1", "--memory": MEMORY,
        "--host-smp": HOST_SMP, "--host-memory": HOST_MEMORY,
        "--thread": "multi", "--guest-type": "snp", "--timeout": "1500",
        "--json": top / "summary",
    }


def all_named():
    with tempfile.TemporaryDirectory(dir=paths.OUT, prefix="options-") as tmp:
        options = given(pathlib.Path(tmp))
        r = subprocess.run(
            [paths.LAB / "snp", "run",
             *(str(x) for pair in options.items() for x in pair)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False)
        if r.returncode:
            raise CaseFailed(f"status {r.returncode}\n" + r.stdout[-3000:])
        summary = json.loads(options["--json"].read_text())
        want = _wanted(options)
        bad = problems(summary, want)
    bad += _commands(summary["commands"], options)
    if not bad:
        bad = _noticed(summary, want)
    if bad:
        raise CaseFailed("\n".join(bad))
    return (f"{len(options)} options; {len(KEYS)} keys, {len(want)} of them "
            "with the value that was given")


def _wanted(options):
    release = options["--kernel"].name.removeprefix("vmlinuz-")
    sha256 = {f"identity.{name}.sha256": stamp.file_digest(file)
              for name, file in (
                  ("machine", options["--machine"]),
                  ("host kernel", options["--kernel"]),
                  ("guest kernel", options["--guest-kernel"]),
                  ("QEMU", options["--qemu"] / run.QEMU_INSIDE),
                  ("OVMF", options["--ovmf"]))}
    return {**sha256, "ok": True, "host.release": release,
            "guest.release": release,
            "guest.features": "AMD SEV SEV-ES SEV-SNP", "guest.vcpus": 1,
            "guest.disk_sha256_ok": True, "rmp_after.assigned": 0,
            "rmp_after.leaked": 0,
            "counts.firmware.SNP_LAUNCH_FINISH.SUCCESS": 1,
            "identity.QEMU.name": str(options["--qemu"]),
            "identity.OVMF.name": str(options["--ovmf"]),
            "identity.machine.name": str(paths.shown(options["--machine"]))}


def _commands(commands, options):
    """Is each option in the command that it is for?"""
    inner = "/lab/qemu/" + run.QEMU_INSIDE
    seen = [
        (commands["machine"][:1] == [str(options["--machine"])], "--machine"),
        (option(commands["machine"], "-smp", HOST_SMP), "--host-smp"),
        (option(commands["machine"], "-m", HOST_MEMORY), "--host-memory"),
        (option(commands["machine"], "-kernel", str(options["--kernel"])),
         "--kernel"),
        (any("thread=multi" in x for x in commands["machine"]), "--thread"),
        (commands["guest"][:1] == [inner], "--qemu"),
        (option(commands["guest"], "-bios", "/lab/ovmf.fd"), "--ovmf"),
        (option(commands["guest"], "-smp", "1"), "--smp"),
        (option(commands["guest"], "-m", MEMORY), "--memory"),
    ]
    return [f"{name} does not reach its command: {commands}"
            for good, name in seen if not good]


def _noticed(summary, want):
    """The judgement itself: each key lost, and each value another."""
    bad = []
    for where in {**KEYS, **want}:
        spoiled = copy.deepcopy(summary)
        *path, last = where.split(".")
        here = at(spoiled, ".".join(path)) if path else spoiled
        here[last] = None
        if not problems(spoiled, want):
            bad.append(f"a summary without {where} is taken for good")
    return bad


CASES = [
    Case("lab.named", "a run whose kernels, modules, QEMU, OVMF, machine, "
         "sizes and threads are all named, none of them the default, is good, "
         "and its summary holds each promised key and what was given",
         all_named, order=45, inputs=("machine",)),
]
