# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp run"""

import sys

from lab import (counts, guest, kernels, paths, platform, run, say,
                 snapshot)

LAST = paths.OUT / "last-run.json"


def options(p):
    of_stage(p)
    p.add_argument("--timeout", type=int, default=run.Request.timeout,
                   metavar="S",
                   help="give up after S seconds (default %(default)s)")
    p.add_argument("--json", metavar="FILE", help="write the summary there")
    p.add_argument("--from", metavar="NAME", dest="from_",
                   help="begin with the host that lab/snp snapshot saved "
                   "under that name, instead of booting one")


def of_stage(p):
    """What a run is made of, an interactive one, too."""
    of_host(p)
    of_guest(p)


def of_host(p):
    """Options of the host; HOST has their names in Request. What is not given
    is None, or False."""
    r = run.Request()
    p.add_argument("--host", metavar="NAME",
                   help=f"host kernel: {', '.join(kernels.NAMES)} "
                   f"(default {r.host})")
    p.add_argument("--kernel", metavar="VMLINUZ", help="any host kernel")
    p.add_argument("--modules", metavar="DIR",
                   help="its modules: DIR holds lib/modules/<release>")
    p.add_argument("--machine", metavar="BINARY", help="another outer QEMU")
    p.add_argument("--pristine", action="store_true",
                   help="the outer QEMU without our changes")
    p.add_argument("--self-check", action="store_true",
                   help="the machine compares every cached translation with "
                   "the RMP at each world switch, and stops at a stale one")
    p.add_argument("--encrypt", action="store_true",
                   help="the machine enciphers the memory of SEV and SNP guests")
    p.add_argument("--cpu", metavar="NAME",
                   help=f"processor of the machine: "
                   f"{', '.join(platform.PRESETS)} (default {r.cpu})")
    p.add_argument("--loose", action="store_true",
                   help="the machine takes the looser reading where the "
                   "sources are silent")
    p.add_argument("--host-smp", type=int, metavar="N",
                   help=f"CPUs of the machine (default {r.host_smp})")
    p.add_argument("--host-memory", metavar="SIZE",
                   help=f"memory of the machine (default {r.host_memory})")
    p.add_argument("--thread", choices=("single", "multi"),
                   help="one thread for all CPUs of the machine, or one each "
                   f"(default {r.thread})")


def of_guest(p):
    r = run.Request()
    p.add_argument("--smp", type=int, default=r.smp, metavar="N",
                   help="vCPUs of the guest (default %(default)s)")
    p.add_argument("--memory", default=r.memory, metavar="SIZE",
                   help="memory of the guest (default %(default)s)")
    p.add_argument("--qemu", metavar="DIR", help="an unpacked inner QEMU")
    p.add_argument("--ovmf", metavar="FILE",
                   help="the guest's firmware, instead of Debian 13's")
    p.add_argument("--guest-system", metavar="NAME", default=r.guest,
                   choices=list(kernels.GUESTS),
                   help="whose kernel the guest has: "
                   f"{', '.join(kernels.GUESTS)} (default %(default)s)")
    p.add_argument("--guest-boot", default=r.boot, choices=guest.BOOTS,
                   help="the guest's firmware gets kernel and initramfs from "
                   "QEMU, or starts GRUB from a disk (default %(default)s)")
    p.add_argument("--guest-device", default=r.device,
                   choices=list(guest.DEVICES),
                   help="what its disk is, or what it has beside it (default "
                   "%(default)s)")
    p.add_argument("--guest-kernel", metavar="FILE",
                   help="the guest's kernel, any")
    p.add_argument("--guest-modules", metavar="DIR",
                   help="its modules: DIR holds lib/modules/<release>")
    p.add_argument("--guest-type", default=r.kind, choices=list(guest.KINDS),
                   help="what the guest is (default %(default)s)")
    p.add_argument("--plain", action="store_const", const="plain",
                   dest="guest_type", help="short for --guest-type plain")


HOST = ("host", "kernel", "modules", "machine", "pristine", "self_check",
        "encrypt", "cpu", "loose", "host_smp", "host_memory", "thread")


def given(args):
    """{name: value} of the host's options that were"""
    return {x: getattr(args, x) for x in HOST
            if getattr(args, x) not in (None, False)}


def of_the_guest(args):
    """The same of the guest's"""
    return {"smp": args.smp, "memory": args.memory, "qemu": args.qemu,
            "ovmf": args.ovmf, "guest_kernel": args.guest_kernel,
            "guest_modules": args.guest_modules, "kind": args.guest_type,
            "guest": args.guest_system, "boot": args.guest_boot,
            "device": args.guest_device}


def request(args, **more):
    return run.Request(**given(args), **of_the_guest(args), **more)


def from_snapshot(args):
    """The request of --from: the host is what was saved."""
    also = sorted(given(args))
    if also:
        raise say.Stop(f"--{also[0].replace('_', '-')} is of the host, and "
                       "that of a snapshot is made", "leave it out, or have "
                       "lab/snp snapshot make another")
    return snapshot.load(args.from_).request(**of_the_guest(args),
                                             timeout=args.timeout)


def do(args):
    say.may_write("--json", args.json)
    verdict = run.go(from_snapshot(args) if args.from_ else
                     request(args, timeout=args.timeout))
    say.to_json(LAST, verdict.summary)
    say.to_json(args.json, verdict.summary)
    show(verdict)
    return 0 if verdict.ok() else 1


def show(verdict):
    r = verdict.result
    for plain in (verdict.refused, verdict.died):
        if plain:
            print(plain)
    for name, ok, seen in verdict.checks:
        print(f"  {'ok  ' if ok else 'FAIL'} {name:52} {seen}")
    for name, one in verdict.summary["identity"].items():
        print(f"  {name:13} {one['name']} {one.get('version', '')} "
              f"sha256 {one['sha256']}")
    print(f"logs: {paths.shown(r.logs['console'])}, "
          f"{paths.shown(r.logs['guest'])}")
    if not verdict.ok():
        _explain(verdict)
    if verdict.ok():
        console = verdict.summary["seconds_to_console"]
        print(f"all of it held, {say.clock(r.seconds)}" +
              (f"; {console:.0f} s to the guest's console" if console else ""))


def _explain(verdict):
    r = verdict.result
    stream = counts.split_guest(r.guest)
    for who, lines, log in (
            ("host", r.console.splitlines(), "console"),
            ("guest", [x for e, x in stream if not e], "guest")):
        lines = [x for x in lines if x.strip()][-8:]
        if lines:
            print(f"last lines of the {who} ({paths.shown(r.logs[log])}):")
            for line in lines:
                print(f"    | {line}")
    if r.ended == "timeout":
        hint = "--timeout with more seconds; lab/snp shell to look around"
    elif r.ended in ("lost", "machine"):
        hint = f"{paths.shown(r.logs['machine'])} has the machine's last words"
    else:
        hint = "lab/snp shell, then the commands of the log by hand"
    print(f"try: {hint}", file=sys.stdout)
