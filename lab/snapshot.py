# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts that are booted, saved just before a run's script, in out/snapshot:

    NAME/state      the machine, as QEMU saves it
    NAME/console    what the host's kernel had said by then
    NAME/meta.json  what was asked for, what it was made from, and the
                    machine's counts

A directory is there whole, or not at all. What a snapshot was made from is
compared before it is used: another machine, kernel, image or command line make
it stale."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import time

from lab import hostimage, machine, paths, platform, run, say, stamp

TOP = paths.OUT / "snapshot"
FORMAT = 1
# What belongs to the host, and so to the snapshot: of run.Request
HOST = ("host", "kernel", "modules", "machine", "pristine", "self_check",
        "encrypt", "cpu", "loose", "host_smp", "host_memory", "thread", "psp")


def named(name):
    """The directory of a name that can be one."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise say.Stop(f"'{name}' cannot be the name of a snapshot",
                       "letters, digits, dots, dashes and underscores")
    return TOP / name


def names():
    if not TOP.is_dir():
        return []
    return sorted(p.name for p in TOP.iterdir()
                  if (p / "meta.json").is_file() and p.name[0] != ".")


def _file(path):
    """A big file, known by what whoever writes it changes"""
    st = pathlib.Path(path).stat()
    return [st.st_size, st.st_mtime_ns]


def made_from(stage):
    """{what it is called: what it was} of all that a snapshot depends on"""
    h, k = stage.host, stage.host_kernel
    argv = h.command(pathlib.Path("/"))
    return {
        "the machine": stamp.file_digest(stage.binary),
        "the machine's firmware": stamp.digest(
            *(p for d in machine.firmware() for p in sorted(d.glob("*.bin")))),
        "the host's kernel": stamp.file_digest(k.vmlinuz),
        "the host's initramfs": stamp.file_digest(k.initramfs()),
        "the host's modules": _file(k.modules_image()),
        "the host's image": _file(hostimage.build()),
        "the machine's command line": stamp.digest(argv[1:]),
    }


@dataclasses.dataclass
class Snapshot:
    name: str
    where: pathlib.Path
    meta: dict

    @property
    def state(self):
        return self.where / "state"

    def console(self):
        return (self.where / "console").read_bytes()

    def request(self, **guest):
        """The host's part as it was, the guest's as asked for"""
        kept = self.meta["request"]
        kept = dict(kept, psp=tuple(kept["psp"]))
        return run.Request(snapshot=self, **kept, **guest)

    def fits(self, stage):
        """Stop, in a line, if something is not what it was made from."""
        now = json.loads(json.dumps(made_from(stage)))
        for what, was in self.meta["made_from"].items():
            if now.get(what) != was:
                raise say.Stop(
                    f"snapshot '{self.name}' is stale: {what} is not what it "
                    "was made from", "lab/snp snapshot makes it anew")


def load(name):
    """Stop if there is none of that name, or it cannot be read."""
    where = named(name)
    if name not in names():
        have = names()
        raise say.Stop(f"there is no snapshot named '{name}'",
                       "there are: " + " ".join(have) if have else
                       "lab/snp snapshot makes one")
    try:
        meta = json.loads((where / "meta.json").read_text())
        if meta["format"] != FORMAT or set(meta["request"]) != set(HOST) or \
                not isinstance(meta["made_from"], dict) or \
                not (where / "state").is_file():
            raise ValueError("format")
        (where / "console").stat()
    except (OSError, ValueError, LookupError, TypeError) as e:
        raise say.Stop(f"snapshot '{name}' is of another lab, or damaged",
                       "lab/snp snapshot makes it anew") from e
    return Snapshot(name, where, meta)


def take(name, req):
    """Boots the host of a request and saves it under a name, in the place of
    what had it. Returns (Snapshot, seconds, bytes)."""
    where = named(name)
    begin = time.monotonic()
    run.check(req)
    if req.pristine or req.machine and not platform.has_psp(req.machine):
        raise say.Stop("only the SNP machine can be saved",
                       "leave --machine and --pristine out")
    stage = run.stage(req)
    TOP.mkdir(parents=True, exist_ok=True)
    new = TOP / f".{name}.{os.getpid()}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        with stage.tmp, say.Step(f"boot {stage.host_kernel.release} and save "
                                 "it") as step:
            result, seen = stage.host.take(
                f"snapshot-{name}", new / "state", req.timeout, step)
        if not result.ok():
            raise say.Failed("\n".join(["the host was not saved:",
                                        *result.failure()]))
        (new / "console").write_bytes(result.logs["console"].read_bytes())
        kept = {x: getattr(req, x) for x in HOST}
        for path in ("kernel", "modules", "machine"):
            kept[path] = kept[path] and str(pathlib.Path(kept[path]).resolve())
        (new / "meta.json").write_text(json.dumps(
            {"format": FORMAT, "request": kept, "seen": seen,
             "made_from": made_from(stage)}, indent=1) + "\n")
        shutil.rmtree(where, ignore_errors=True)
        new.replace(where)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    size = os.stat(where / "state").st_blocks * 512
    return load(name), time.monotonic() - begin, size
