# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run leaves for later, in out/run/<name>/: counts at each phase of
the boot, dumps of the RMP; and how to ask a machine that runs.

    timeline.json       phases in order, written as the run goes
    rmp-<moment>.gz     see lab/rmp.py; "guest": before the guest powers off,
                        "end": when the host has
    qmp                 while it runs: a monitor of the machine's own
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
import time

from lab import paths, platform, qmp, rmp, say

TIMELINE = "timeline.json"
SOCKET = "qmp"
PORTS = ("console", "guest", "control")

# (port, what its line says, the phase that begins then). A line of the guest
# may have an event of its QEMU in the middle: more than one will do.
PHASES = [(port, re.compile(pattern), name) for port, pattern, name in (
    ("console", r"\bLinux version ", "host: kernel"),
    ("console", r"Run /init as init process", "host: user space"),
    ("console", r"ccp .*: (?:psp|sev) enabled", "host: firmware and KVM"),
    ("control", r"^@lab mark before\b", "guest: firmware"),
    ("guest", r"\bLinux version ", "guest: kernel"),
    ("guest", r"lab-guest: (?:begin|cpus|flags)", "guest: user space"),
    ("guest", r"lab-guest: (?:reading|disk)", "guest: disk, conversions"),
    ("guest", r"lab-guest: (?:read-end|end)|reboot: Power down",
     "guest: power-off"),
    ("control", r"^@lab mark guest-gone\b", "host: guest is gone"),
    ("control", r"^@lab end\b", "host: power-off"),
    ("control", r"^@lab mark (?!before|guest-gone|after)\S+", None),
)]
FIRST = "machine: firmware"
DUMPED = {"guest: power-off": "guest"}


def moment_file(moment):
    return f"rmp-{moment}.gz"


def keep(where):
    """Removes of a run's directory what is not for later."""
    for path in where.iterdir() if where.is_dir() else ():
        if path.name != TIMELINE and not re.fullmatch(r"rmp-[a-z0-9-]+\.gz",
                                                      path.name):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    with contextlib.suppress(OSError):
        where.rmdir()           # nothing is left


def dump(monitor, where, moment, run):
    """The RMP as it is now, with the machine stopped while it is read.
    Returns the dump's path. Failed if the machine does not answer."""
    psp = monitor.find(platform.PSP)
    if psp is None:
        raise say.Failed("the machine has no secure processor")
    raw = where / f"rmp-{os.getpid()}.raw"
    runs = monitor.command("query-status")["status"] == "running"
    if runs:
        monitor.command("stop")
    try:
        summary = json.loads(monitor.get(psp, "rmp-summary"))
        histogram = json.loads(monitor.get(psp, "rmp-histogram"))
        size = summary["pages"] * rmp.ENTRY
        monitor.command("pmemsave", val=summary["base"] + rmp.BOOKKEEPING,
                        size=size, filename=raw.name)
    finally:
        if runs:
            monitor.command("cont")
    header = {"format": rmp.FORMAT, "run": run, "moment": moment,
              "base": summary["base"], "end": summary["end"],
              "pages": summary["pages"], "histogram": histogram}
    path = where / moment_file(moment)
    try:
        rmp.write(path, header, raw.read_bytes())
    finally:
        raw.unlink(missing_ok=True)
    return path


class Recorder:
    """Of one run. A machine that does not answer ends the recording, never
    the run."""

    def __init__(self, name, where):
        self.name, self.where = name, where
        self.begin = time.monotonic()
        self.phases, self.lines = [], dict.fromkeys(PORTS, 0)
        self.psp, self.off = None, False

    def _safely(self, what, *args):
        if self.off:
            return
        try:
            what(*args)
        except (say.Failed, OSError, KeyError, ValueError, TypeError) as e:
            self.off = True
            say.note(f"run {self.name} is recorded no further: {e}")

    def start(self, monitor):
        self._safely(self._start, monitor)

    def _start(self, monitor):
        self.psp = monitor.find(platform.PSP)
        self._phase(FIRST, monitor)

    def _phase(self, name, monitor):
        stats = {}
        if self.psp:
            stats = json.loads(monitor.get(self.psp, "stats"))
        self.phases.append({
            "phase": name, "seconds": round(time.monotonic() - self.begin, 2),
            "lines": dict(self.lines), "stats": stats})
        text = json.dumps({"run": self.name, "phases": self.phases})
        tmp = self.where / f"{TIMELINE}.tmp"
        tmp.write_text(text + "\n")
        tmp.replace(self.where / TIMELINE)

    def line(self, port, text, monitor):
        """A line of a port that has arrived."""
        for where, pattern, name in PHASES:
            if where == port and (m := pattern.search(text)):
                name = name or f"mark: {m.group().split()[-1]}"
                if not self.phases or self.phases[-1]["phase"] != name:
                    self._safely(self._turn, name, monitor)
                break
        self.lines[port] += 1

    def _turn(self, name, monitor):
        self._phase(name, monitor)
        if self.psp and name in DUMPED:
            dump(monitor, self.where, DUMPED[name], self.name)

    def end(self, monitor):
        """The machine has stopped and still answers."""
        self._safely(self._end, monitor)

    def _end(self, monitor):
        self._phase("end", monitor)
        if self.psp:
            dump(monitor, self.where, "end", self.name)


# ---- runs there are ----

def live(name):
    """Does the run of this name still go on?"""
    try:
        with open(paths.RUNS / f"{name}.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return (paths.RUNS / name / SOCKET).exists()
    except OSError:
        pass
    return False


def _when(name):
    times = [p.stat().st_mtime for p in (paths.RUNS / name).iterdir()]
    return max(times, default=0)


def runs():
    """Names of runs that can be looked at, the latest last."""
    if not paths.RUNS.is_dir():
        return []
    names = [p.name for p in paths.RUNS.iterdir() if p.is_dir() and
             ((p / TIMELINE).exists() or any(p.glob("rmp-*.gz")) or
              live(p.name))]
    return sorted(names, key=_when)


def choose(name):
    """The run of a name, or the latest one: (name, directory). Stop if there
    is none."""
    have = runs()
    if name is None and not have:
        raise say.Stop("no run has left anything to look at",
                       "lab/snp run makes one")
    if name is not None and name not in have:
        raise say.Stop(f"there is no run named '{name}'",
                       "lab/snp rmp --list names those there are")
    return name or have[-1], paths.RUNS / (name or have[-1])


def moments(where):
    """Names of the dumps of a run, the latest last."""
    files = sorted(where.glob("rmp-*.gz"), key=lambda p: p.stat().st_mtime)
    return [p.name[4:-3] for p in files]


@contextlib.contextmanager
def attach(where):
    """A monitor of a machine that runs."""
    with socket.socket(socket.AF_UNIX) as sock:
        # by way of the directory: such a path is short
        fd = os.open(where, os.O_PATH)
        try:
            sock.settimeout(10)
            sock.connect(f"/proc/self/fd/{fd}/{SOCKET}")
        except OSError as e:
            raise say.Stop(f"the machine of {where.name} cannot be asked: "
                           f"{e.strerror or e}", "has it ended?") from e
        finally:
            os.close(fd)
        monitor = qmp.Monitor(sock)
        monitor.greet()
        yield monitor


def timeline(where):
    """Phases of a run; Stop if it has left none."""
    try:
        phases = json.loads((where / TIMELINE).read_text())["phases"]
        for one in phases:
            if not {"phase", "seconds", "lines", "stats"} <= set(one):
                raise KeyError("phase")
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise say.Stop(f"run '{where.name}' has left no timeline",
                       "lab/snp run makes one") from e
    return phases
