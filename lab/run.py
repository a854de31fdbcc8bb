# SPDX-License-Identifier: GPL-2.0-or-later
"""One run: a host on the machine, a guest in the host, and the verdict."""

import dataclasses
import pathlib
import re
import shlex
import tempfile
import time
from typing import Any

from lab import (build, counts, guest, host, hostimage, identity, judge,
                 kernels, lock, machine, observe, paths, platform, rules, say,
                 selftests, sources, stamp, traced)
from lab import digest as launch_digest

QEMU_INSIDE = "usr/bin/qemu-system-x86_64"
LEAST = 3 << 30         # memory of a host: some has to lie above 4 GiB
OVMF_INSIDE = "usr/share/ovmf/OVMF.fd"


@dataclasses.dataclass
class Request:
    host: str = "ours"
    kernel: str = None          # any host kernel, instead of `host`
    modules: str = None
    smp: int = 2                # vCPUs of the guest
    memory: str = "512M"        # of the guest
    qemu: str = None            # an unpacked inner QEMU
    ovmf: str = None
    guest: str = "debian-13"    # one of kernels.GUESTS
    guest_kernel: str = None    # any guest kernel, instead of `guest`
    guest_modules: str = None
    boot: str = "direct"        # one of guest.BOOTS
    device: str = "blk"         # one of guest.DEVICES
    first: str = ""             # what the host's script does before the guest
    files: dict = dataclasses.field(default_factory=dict)   # for `first`
    machine: str = None         # another outer QEMU
    pristine: bool = False      # our own build without our changes
    self_check: bool = False    # the machine compares its caches with the RMP
    encrypt: bool = False       # the machine enciphers guests' memory
    cpu: str = platform.CPU     # one of platform.PRESETS
    loose: bool = False         # the looser reading where sources are silent
    traced: bool = False        # the machine's events against its counters
    counted: bool = True        # the host's tracepoints against those, too
    cmdline: str = ""           # what else the host's kernel is given
    snp: bool = True            # False: the machine as an ordinary computer
    features: int = 0           # SEV_FEATURES of the guest, beside SNP's own
    psp: tuple = ()             # more properties of its secure processor
    host_smp: int = 2
    host_memory: str = "3G"
    thread: str = "single"
    kind: str = "snp"           # one of guest.KINDS
    timeout: int = 600
    name: str = None
    snapshot: Any = None        # snapshot.Snapshot: the host begins there
    move: tuple = None          # (port, pattern): see host.Host._run


@dataclasses.dataclass
class Verdict:
    checks: list                # (name, holds, seen)
    result: host.Result
    summary: dict
    refused: str = None         # why no guest was launched
    died: str = None            # what ended the run before its end

    def ok(self):
        return (self.refused is None and self.died is None and
                all(c[1] for c in self.checks))


def size(text):
    """Bytes of "512M", "3G"; Stop if it is neither."""
    m = re.fullmatch(r"(\d+)([MG]?)", str(text))
    if not m or not int(m.group(1)):
        raise say.Stop(f"'{text}' is not a size", "give for example 512M, 2G")
    return int(m.group(1)) << {"": 20, "M": 20, "G": 30}[m.group(2)]


def check(req):
    """Refuses, before anything long, what cannot be served."""
    if bool(req.kernel) != bool(req.modules):
        raise say.Stop("--kernel and --modules belong together",
                       "DIR holds lib/modules/<release>")
    for option in ("kernel", "modules", "qemu", "ovmf", "guest_kernel",
                   "guest_modules", "machine"):
        value = getattr(req, option)
        if value and not pathlib.Path(value).exists():
            raise say.Stop(f"--{option.replace('_', '-')}: {value} is not "
                           "there", "check the path")
    if bool(req.guest_kernel) != bool(req.guest_modules):
        raise say.Stop("--guest-kernel and --guest-modules belong together",
                       "the guest needs virtio_blk from its own kernel")
    if not req.kernel and req.host not in kernels.NAMES:
        raise say.Stop(f"unknown host '{req.host}'",
                       "one of " + ", ".join(kernels.NAMES) +
                       ", or --kernel and --modules")
    for option, known in (("guest", kernels.GUESTS), ("boot", guest.BOOTS),
                          ("device", guest.DEVICES)):
        if getattr(req, option) not in known:
            raise say.Stop(f"unknown {option} '{getattr(req, option)}'",
                           "one of " + ", ".join(known))
    if req.cpu not in platform.PRESETS:
        raise say.Stop(f"unknown processor '{req.cpu}'",
                       "one of " + ", ".join(platform.PRESETS))
    if not 1 <= req.smp <= 8 or not 1 <= req.host_smp <= 8:
        raise say.Stop("between 1 and 8 CPUs", "check --smp")
    if size(req.memory) < 128 << 20:
        raise say.Stop("OVMF and Linux need 128M", "give --memory 256M")
    if size(req.memory) + (1 << 30) > size(req.host_memory):
        raise say.Stop(f"a guest of {req.memory} does not fit a host of "
                       f"{req.host_memory}", "give --host-memory more")
    if req.machine:
        _psp(req, pathlib.Path(req.machine))
    if size(req.host_memory) < LEAST:
        raise say.Stop(f"of {req.host_memory} none lies above 4 GiB, where the "
                       "RMP does", "give --host-memory 3G or more")
    build.memory(size(req.host_memory) >> 20)


def _kernel(req):
    if req.kernel:
        return kernels.named(req.kernel, req.modules)
    return kernels.get(req.host)


def _guest(req):
    if req.guest_kernel:
        k = kernels.named(req.guest_kernel, req.guest_modules)
        return k, guest.initramfs(k.modules, f"guest-{k.release}", req.device)
    k = kernels.guest(req.guest)
    name = "guest" if req.guest == "debian-13" else f"guest-{req.guest}"
    return k, guest.initramfs(k.modules, name, req.device)


def _ours(req):
    """Is the host kernel this tree's, which can be asked for its audit?"""
    return not req.kernel and req.host not in kernels.STOCK


def _looks(req):
    """Does the host look at its guest's memory? Kernels of ours may map an SNP
    guest's in blocks, which hostfs/launch does not find."""
    stock = not req.kernel and req.host in kernels.STOCK
    return req.kind in ("sev", "sev-es") or req.kind == "snp" and stock


def _machine(req):
    if req.machine:
        return pathlib.Path(req.machine)
    return machine.build(req.pristine).binary


def _psp(req, binary):
    """Properties of the secure processor's device that were asked for."""
    out = (["self-check=on"] * req.self_check + ["encrypt=on"] * req.encrypt +
           ["loose=all"] * req.loose + list(req.psp))
    if (out or req.cpu != platform.CPU) and not platform.has_psp(binary):
        raise say.Stop("--cpu, --self-check, --encrypt and --loose are the "
                       "SNP machine's, and "
                       f"{paths.shown(binary)} is none", "leave them out")
    return out


def _inner_qemu(top):
    """The binary below the directory of --qemu."""
    found = sorted(p for p in pathlib.Path(top).rglob("qemu-system-x86_64")
                   if p.is_file())
    if not found:
        raise say.Stop(f"{top} holds no qemu-system-x86_64",
                       "give a directory a package was unpacked in")
    return found[0]


def _script(req, files):
    qemu, extra, file = "qemu-system-x86_64", [], "/" + QEMU_INSIDE
    if req.qemu:
        files["qemu"] = req.qemu
        inside = _inner_qemu(req.qemu).relative_to(req.qemu)
        file = qemu = f"/lab/qemu/{inside}"
        data = list(pathlib.Path(req.qemu).rglob("share/qemu"))
        if data:
            extra = ["-L", f"/lab/qemu/{data[0].relative_to(req.qemu)}",
                     "-L", "/usr/share/qemu", "-L", "/usr/share/seabios"]
    ovmf = "/" + OVMF_INSIDE
    if req.ovmf:
        files["ovmf.fd"] = req.ovmf
        ovmf = "/lab/ovmf.fd"
    argv = guest.command(req.smp, req.memory, req.kind, qemu, ovmf,
                         boot=req.boot, device=req.device) + extra
    if req.features:
        # stock QEMU 10.0 has no option for it
        files["features.so"] = selftests.preload()
        argv = ["env", "LD_PRELOAD=/lab/features.so",
                f"VMSA_FEATURES={req.features:#x}", *argv]
    for name in ("launch", "kcore", "network"):
        files[name] = paths.LAB / "hostfs" / name
    files.update(req.files)
    return (f"KIND={req.kind}\nUNCOUNTED={'1' * (not req.counted)}\n"
            f"LOOK={'1' * _looks(req)}\nDEVICE={req.device}\n"
            f"QEMU_FILE={shlex.quote(file)}\nOVMF_FILE={shlex.quote(ovmf)}\n"
            f"COMMAND=({shlex.join(argv)})\n{req.first}\n. /lab/launch\n"), argv


@dataclasses.dataclass
class Stage:
    """All a run needs, built and laid out; close() removes the disk."""
    binary: pathlib.Path
    host_kernel: kernels.Kernel
    guest_kernel: kernels.Kernel
    host: host.Host
    files: dict
    script: str
    guest_argv: list
    digests: dict               # of the guest's disk, of what it is sent
    tmp: tempfile.TemporaryDirectory


def stage(req):
    """Checks the request and builds what is out of date."""
    check(req)
    build.prepare()
    with lock.building():
        build.lay(["machine"] * (not req.machine and not req.pristine) +
                  ["linux"] * _ours(req))
        binary = _machine(req)
        psp = _psp(req, binary)
        hostimage.build()
        k = _kernel(req)
        k.modules_image()
        k.initramfs()
        g, initrd = _guest(req)
    tmp = tempfile.TemporaryDirectory(dir=paths.OUT, prefix="disk-")
    disk = pathlib.Path(tmp.name) / "disk"
    digests = {"disk": guest.fresh_disk(disk)}
    files = {"guest/vmlinuz": g.vmlinuz, "guest/initrd": initrd,
             "guest/disk": disk}
    if req.boot == "disk":
        files.update({f"guest/esp/{name}": what for name, what in
                      guest.system_partition(g.vmlinuz, initrd).items()})
    if req.device in ("net", "vhost-net"):
        digests["net"] = guest.fresh_disk(pathlib.Path(tmp.name) / "net",
                                          guest.NET_BYTES)
        files["guest/net"] = pathlib.Path(tmp.name) / "net"
        files["busybox"] = sources.unpacked("guest.busybox") / \
            "usr/bin/busybox"
    script, argv = _script(req, files)
    h = host.Host(k, binary, req.host_smp, req.host_memory, req.thread,
                  snp=req.snp, psp=psp, cpu=req.cpu,
                  extra=traced.arguments() if req.traced else (),
                  snapshot=req.snapshot)
    s = Stage(binary, k, g, h, files, script, argv, digests, tmp)
    if req.snapshot:
        try:
            req.snapshot.fits(s)
        except say.Stop:
            tmp.cleanup()
            raise
    return s


# After one of these nothing more happens: stock QEMU stops the guest and waits
# for somebody to look at it.
FATAL = {
    "console": re.compile(r"SEV-ES guest requested termination: .*"),
    "guest": re.compile(r"KVM: unknown exit reason \d+|error: kvm run failed.*|"
                        r"KVM: entry failed, hardware error.*|"
                        r"KVM internal error\..*"),
}


def go(req):
    """Runs the request and judges it."""
    begin = time.monotonic()
    s = stage(req)
    marks, console = {}, []

    def on_mark(mark, _text, monitor):
        marks[mark] = counts.machine(monitor)
        return marks[mark]

    def on_end(monitor):
        if "after" not in marks:
            marks["end"] = counts.machine(monitor)

    def on_line(port, line):
        _progress(step, port, line)
        if port == "guest" and CONSOLE in line:
            console.append(round(time.monotonic() - begin, 1))

    with s.tmp, say.Step(f"{s.host_kernel.release} hosts "
                         f"{guest.KINDS[req.kind].what} guest of "
                         f"{req.smp} vCPU{'s' * (req.smp > 1)}") as step:
        result = s.host.run(
            req.name or "run", s.script, s.files, req.timeout, on_mark=on_mark,
            on_end=on_end, step=step, fatal=FATAL,
            on_line=on_line, move=req.move, cmdline=req.cmdline)
    verdict = _verdict(req, s.host_kernel, s.guest_kernel, s.binary, result,
                       s.guest_argv, s.digests, marks)
    verdict.summary["seconds_to_console"] = (console or [None])[0]
    return verdict


# The first line of the guest's kernel on its console.
CONSOLE = "Linux version"
MILESTONES = (
    ("console", "Run /init as init process", "host is up"),
    ("console", "SEV-SNP enabled", "SNP is enabled"),
    ("control", "@lab mark before", "firmware of the guest"),
    ("guest", CONSOLE, "guest kernel"),
    ("guest", "lab-guest: begin", "guest user space"),
    ("guest", "lab-guest: disk cpu=0", "read on vCPU 0"),
    ("control", "@lab mark guest-gone", "guest is gone"),
)


def _progress(step, port, line):
    for where, text, detail in MILESTONES:
        if port == where and text in line:
            step.tick(detail=detail)


def refusal(result, what="SEV or SNP"):
    """The host's own word on why it did not enable SNP or KVM."""
    lines = [re.sub(r"^\[ *[\d.]+\] ", "", x.strip())
             for x in result.console.splitlines()]
    for pattern in (r"SEV-SNP.*(unsupported|disabled|fail|not)",
                    r"\bSNP\b.*(unsupported|disabled|fail|not|requires)",
                    r"ccp .*(SEV|psp|PSP).*",
                    r"kvm_amd: SEV.*", r"kvm.*(not supported|disabled by)"):
        found = [x for x in lines if re.search(pattern, x, re.I)]
        if found:
            return found[-1]
    return f"its log says nothing of {what}"


def died(result):
    """The line or lines after which nothing more was to be expected."""
    stale = re.search(r"SNP self-check: .*", result.error)
    if stale:
        return f"the machine stopped itself: {stale.group()}"
    if result.died and not result.fatal:
        return result.died
    if not result.fatal:
        return None
    who = ("host" if any(host.PANIC.search(x) for x in result.fatal)
           else "guest")
    return f"the {who} died: " + "; ".join(result.fatal)


def _verdict(req, k, g, binary, result, argv, digests, marks):
    stream = counts.split_guest(result.guest)
    hist = counts.histograms(result.control)
    before, after = marks.get("before"), marks.get("after")
    refused = None
    checks = []
    if "no-kvm" in result.says:
        refused = "this host has no KVM: " + refusal(result, "KVM")
    elif "no-snp" in result.says:
        refused = "this host did not enable SNP: " + refusal(result)
        if not req.snp or not platform.has_psp(binary):
            refused += " (the machine has no PSP: it is not an SNP machine)"
    if refused is None:
        ended = (result.ended == "script" and
                 judge.first(result, "qemu-status") == "0")
        checks.append(("run: to the end",
                       ended and not result.fatal and not result.died,
                       _ending(req, result)))
        checks += judge.host_lines(result, req.kind)
        checks += judge.guest_lines(stream, req.smp, digests["disk"], req.kind)
        checks += judge.device(stream, result, req.device, digests.get("net"))
        # what was cut short is not counted up
        if req.kind != "plain" and req.counted and result.ended != "fatal":
            checks += judge.cross(before, after, hist, result.says, stream,
                                  counts.dropped(result.control), req.smp,
                                  req.kind)
        if req.kind != "plain" and result.ended != "fatal":
            checks += judge.rmp_after(before, after)
        if req.kind != "plain" and result.ended != "fatal" and \
                platform.has_psp(binary):
            checks += judge.self_checked(before, after, req.self_check)
        if req.kind != "plain" and result.ended != "fatal" and \
                platform.has_psp(binary):
            checks += judge.enciphered(before, after, req.encrypt, req.kind)
        if _looks(req) and result.ended != "fatal":
            checks += judge.outside(result, req.encrypt)
        if req.loose and result.ended != "fatal":
            seen = (before or {}).get("readings")
            checks.append(("machine: all it can be loose in",
                           seen == ":".join(rules.readings()), seen))
        if req.kind == "snp" and result.ended != "fatal":
            ovmf = req.ovmf or hostimage.ROOT / OVMF_INSIDE
            checks += judge.measured(before, after, launch_digest.launch(
                pathlib.Path(ovmf).read_bytes(), req.smp,
                features=req.features))
        if _ours(req) and result.ended != "fatal" and \
                (req.kind != "plain" or judge.said(result, "audit-before")):
            checks += judge.audits(before, after, result)
        checks += judge.cmdlines(result, stream, req.cmdline)
        if req.traced and ended:
            checks += traced.guest_checks(
                observe.timeline(paths.RUNS / result.name),
                result.logs["machine"])
    ids = _identity(req, k, g, binary, result)
    checks += identity.checks(ids, launched=refused is None)
    summary = _summary(req, result, stream, hist, before, after or
                       marks.get("end"), ids, checks, refused, argv)
    if after is None:
        summary["rmp_after"] = {"assigned": None, "leaked": None}
    return Verdict(checks, result, summary, refused, died(result))


def _ending(req, result):
    """How the run ended, in a line."""
    if result.ended == "script":
        seen = f"QEMU's status {judge.first(result, 'qemu-status', 'none')}"
        return "; ".join([seen, *result.fatal])
    return ({"timeout": f"nothing more after {req.timeout} s",
             "lost": "the machine went away", "fatal": "cut short",
             "reset": "the host was reset: a triple fault, or it rebooted",
             "machine": "the machine does not answer"}[result.ended] +
            (f" ({result.error})" if result.error else ""))


def _identity(req, k, g, binary, result):
    out = {"machine": _outer(req, binary)}
    stock = {}
    if not req.kernel and req.host in kernels.STOCK:
        stock["host kernel"] = (f"host.{req.host}", k.vmlinuz)
    else:
        out["host kernel"] = {"name": k.release, "version": k.version,
                              "sha256": stamp.file_digest(k.vmlinuz)}
    if not req.guest_kernel:
        stock["guest kernel"] = (kernels.GUESTS[req.guest], g.vmlinuz)
    else:
        out["guest kernel"] = {"name": g.release, "version": "unknown",
                               "sha256": stamp.file_digest(g.vmlinuz)}
    for name, (role, file) in stock.items():
        inside = file.relative_to(sources.unpacked(role))
        out[name] = identity.of(role, file, inside)
    for name, role, package, inside, other in (
            ("QEMU", "host.qemu", "qemu-system-x86", QEMU_INSIDE, req.qemu),
            ("OVMF", "host.ovmf", "ovmf", OVMF_INSIDE, req.ovmf)):
        said = judge.first(result, f"sha256 {name.lower()}")
        if other:
            file = _inner_qemu(other) if name == "QEMU" else other
            out[name] = identity.named(said, other, file)
        else:
            version = hostimage.packages().get(package, "unknown")
            out[name] = identity.in_host(said, role, package, version, inside)
    return out


def _outer(req, binary):
    """Of the machine there is no package: it is named by the source that it
    was built from, one of the user's own by what it says itself."""
    out = {"name": str(paths.shown(binary)), **platform.identity(binary)}
    if not req.machine:
        row = sources.rows("machine.qemu")[0]
        out["version"] = (f"{row.package} {row.version} " +
                          ("as it is" if req.pristine else "with our changes"))
    return out


def _totals(stats):
    """The machine's counts since before the launch, each kind a number as
    well as by event."""
    out = dict(stats)
    if stats:
        out["pvalidate"] = sum(v for k, v in stats.items()
                               if k.startswith("pvalidate-"))
    return out


def _match(pattern, text):
    m = re.search(pattern, text)
    return m.group(1).strip() if m else None


def _summary(req, result, stream, hist, before, after, ids, checks, refused,
             argv):
    text = "\n".join(line for event, line in stream if not event)
    nae, msr = counts.vmgexits(hist)
    delta = judge.difference((before or {}).get("stats"),
                             (after or {}).get("stats"))
    sums = [c for c in checks if c[0] == "guest: disk read on each vCPU"]
    rmp = (after or {}).get("rmp-summary", {})
    return {
        "ok": refused is None and died(result) is None and
        all(c[1] for c in checks),
        "refused": refused,
        "died": died(result),
        "ended": result.ended,
        "host": {
            "release": judge.first(result, "release") or None,
            "rmp": _match(r"RMP table physical range (\[.*?\])",
                          result.console),
            "api": _match(r"SEV-SNP API:(\S+)", result.console),
            "asids": _match(r"SEV-SNP enabled \(ASIDs ([^)]*)\)",
                            result.console),
            "cmdline": judge.first(result, "cmdline") or None,
        },
        "guest": {
            "release": _match(r"lab-guest: begin release=(\S+)", text),
            "features": _match(r"Memory Encryption Features active: (.*)",
                               text),
            "vcpus": int(_match(r"lab-guest: cpus online=\S* count=(\d+)",
                                text) or 0),
            "disk_sha256_ok": bool(sums and sums[0][1]),
            "conversions": counts.conversions(stream),
            "cmdline": _match(r"Kernel command line: (.*)", text),
        },
        "counts": {**_totals(delta),
                   "kvm": {"vmgexit": {hex(a): b for a, b in
                                       sorted(nae.items())},
                           "vmgexit_msr": {hex(a): b for a, b in
                                           sorted(msr.items())},
                           "gmem_pages": counts.gmem_pages(hist, result.says),
                           "exits": sum(hist.get("kvm_exit", {}).values())},
                   "qemu": {"launch_pages": counts.launch_pages(stream)}},
        "rmp_after": {
            "assigned": None if not rmp else
            sum(rmp.get("asids", {}).values()),
            "leaked": None if not rmp or not before else
            rmp["states"].get("firmware", 0) -
            before["rmp-summary"]["states"].get("firmware", 0)},
        "identity": ids,
        "commands": {"machine": result.command, "guest": argv},
        "checks": [{"name": n, "ok": bool(ok), "seen": seen}
                   for n, ok, seen in checks],
        "seconds": round(result.seconds, 1),
        "snapshot": req.snapshot and req.snapshot.name,
        "logs": {k: str(paths.shown(v)) for k, v in result.logs.items()},
    }
