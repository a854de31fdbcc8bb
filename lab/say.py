# SPDX-License-Identifier: GPL-2.0-or-later
"""What the user sees: steps with elapsed time, failures with their log."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

from lab import paths


PLAIN = False           # lines even on a terminal: another writes there, too


class Stop(Exception):
    """The request cannot be served: one line, exit status 2."""

    def __init__(self, what, do=None):
        super().__init__(what if do is None else f"{what}; {do}")


class Failed(Exception):
    """Something that should have worked did not: exit status 1."""


def may_write(option, file):
    """Refuses the name of a file, if one was given, that has no directory."""
    if file and not pathlib.Path(file).resolve().parent.is_dir():
        raise Stop(f"{option}: {file}: no such directory", "make it first")


def to_json(file, what):
    """Writes it there, if there is a name."""
    if file:
        pathlib.Path(file).write_text(json.dumps(what, indent=1) + "\n")


def note(text):
    print(f"note: {text}", file=sys.stderr, flush=True)


def clock(seconds):
    seconds = int(seconds)
    if seconds >= 3600:
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{seconds // 60}:{seconds % 60:02}"


class Step:
    """One long step. On a terminal one line that moves; elsewhere a line at
    the start, one a minute and one at the end. quiet: seconds within which
    it is over and nothing need be said."""

    def __init__(self, title, out=None, quiet=0):
        self.title = title
        self.out = out or sys.stderr
        self.tty = self.out.isatty() and not PLAIN
        self.begin = self.told = time.monotonic()
        self.quiet = quiet
        self.last = 0.0
        self.fraction = None
        self.detail = ""
        self.started = False

    def __enter__(self):
        if not self.quiet:
            self._start()
        return self

    def _start(self):
        self.started = True
        if self.tty:
            self._draw()
        else:
            print(f"{self.title} ...", file=self.out, flush=True)

    def tick(self, fraction=None, detail=None):
        self.fraction = self.fraction if fraction is None else fraction
        self.detail = self.detail if detail is None else detail
        now = time.monotonic()
        if not self.started:
            if now - self.begin > self.quiet:
                self._start()
        elif self.tty and now - self.last > 0.2:
            self.last = now
            self._draw()
        elif not self.tty and now - self.told > 60:
            self.told = now
            print(f"{self.title} ... {clock(now - self.begin)} "
                  f"{self._percent()}", file=self.out, flush=True)

    def _percent(self):
        if self.fraction is None:
            return self.detail
        return f"{100 * self.fraction:.0f} % {self.detail}".rstrip()

    def _draw(self):
        bar = ""
        if self.fraction is not None:
            full = int(20 * min(1.0, self.fraction))
            bar = "[" + "#" * full + "." * (20 - full) + "] "
        line = (f"{self.title}  {bar}{clock(time.monotonic() - self.begin)} "
                f"{self.detail}")
        width = os.get_terminal_size(self.out.fileno()).columns or 80
        self.out.write("\r\033[K" + line[:width - 1])
        self.out.flush()

    def __exit__(self, kind, value, trace):
        if not self.started and kind is None:
            return False
        took = clock(time.monotonic() - self.begin)
        word = "done" if kind is None else "FAILED"
        start = "\r\033[K" if self.tty else ""
        print(f"{start}{self.title} {word} {took}", file=self.out, flush=True)
        return False


def ninja(text):
    """Progress by ninja's own count. text: what a log has new."""
    found = re.findall(rb"\[(\d+)/(\d+)\]", text)
    if not found:
        return (None, None)
    done, total = map(int, found[-1])
    return (done / max(1, total), f"{done}/{total}")


class Lines:
    """Progress by the lines of a log that match. total: how many there will
    be, as far as is known; None: the last of them is shown instead."""

    def __init__(self, pattern, total=None):
        self.pattern = re.compile(pattern, re.M)
        self.total, self.done, self.rest = total, 0, b""

    def __call__(self, text):
        text, newline, self.rest = (self.rest + text).rpartition(b"\n")
        found = [m.group() for m in self.pattern.finditer(text + newline)]
        self.done += len(found)
        if self.total:
            # the last step comes with the end, should there be more of them
            return (min(self.done / self.total, 0.99),
                    f"{self.done} of about {self.total}")
        return (None, found[-1].decode("utf-8", "replace").strip()[:60]
                if found else None)


# What apt, dpkg and debootstrap say of each package.
PACKAGES = (rb"^(?:Get:\d+|Unpacking|Setting up|I: (?:Retrieving|Validating|"
            rb"Extracting|Unpacking|Configuring)) \S+")


def tail(path, lines=15):
    try:
        with open(path, "rb") as f:
            f.seek(0, os.SEEK_END)
            f.seek(max(0, f.tell() - 65536))
            text = f.read().decode("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()[-lines:]


def log_path(name):
    paths.LOG.mkdir(parents=True, exist_ok=True)
    return paths.LOG / f"{name}.log"


def run(argv, log, step=None, hint=None, append=False, progress=ninja,
        **kwargs):
    """Runs argv with its output in out/log/<log>.log. Raises Failed with the
    last lines, the path and what to try if it does not exit 0. progress: what
    the step shows of what the log has new, as Step.tick() takes it."""
    path = log_path(log)
    with open(path, "ab" if append else "wb") as sink:
        sink.write(("$ " + " ".join(map(str, argv)) + "\n").encode())
        sink.flush()
        start = sink.tell()
        try:
            child = subprocess.Popen([str(a) for a in argv], stdout=sink,
                                     stderr=subprocess.STDOUT,
                                     stdin=subprocess.DEVNULL,
                                     start_new_session=True, **kwargs)
        except OSError as e:
            raise Stop(f"cannot run {argv[0]}: {e.strerror}",
                       "is it installed? (lab/snp build --install)") from e
        try:
            while True:
                try:
                    child.wait(timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    if step:
                        text = _since(path, start)
                        start += len(text)
                        step.tick(*progress(text))
        except BaseException:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait()
            raise
    if child.returncode:
        explain(path, f"{pathlib.Path(str(argv[0])).name} failed "
                      f"(status {child.returncode})", hint)


# Whoever fails with less left below out/ than this fails for that: the log
# that would say so lies there, too.
NO_ROOM = 1 << 20


def disk_full():
    """A Stop that says so and what to do."""
    return Stop("the disk is full", "free some space (`lab/snp clean` says "
                "what out/ holds), then run the same command again")


def _no_room():
    st = os.statvfs(paths.OUT)
    # root may use what is kept back from others
    blocks = st.f_bfree if os.geteuid() == 0 else st.f_bavail
    return blocks * st.f_frsize < NO_ROOM


def explain(path, what, hint=None):
    """Raises Failed with the end of a log; Stop if the disk is full."""
    if _no_room() or any("No space left on device" in line
                         for line in tail(path, 1000)):
        raise disk_full()
    text = tail(path)
    lines = [what] + ["    | " + line for line in text]
    lines.append(f"    full log: {paths.shown(path)}")
    if hint:
        lines.append(f"    try: {hint}")
    raise Failed("\n".join(lines))


def _since(path, start):
    with open(path, "rb") as f:
        f.seek(start)
        return f.read()


def capture(argv, **kwargs):
    """Output of a short command, as text; Failed with its errors if not 0."""
    r = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, check=False,
                       stdin=subprocess.DEVNULL, **kwargs)
    if r.returncode:
        raise Failed(f"{' '.join(map(str, argv))} failed:\n" +
                     "\n".join("    | " + x
                               for x in r.stderr.splitlines()[-8:]))
    return r.stdout
