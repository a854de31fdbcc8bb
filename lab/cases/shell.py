# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that `lab/snp shell` gives a prompt on the host, and that what it
says there of `guest` is so."""

import os
import pty
import re
import select
import signal
import subprocess
import time

from lab import host, paths
from lab.cases import Case, CaseFailed

LIMIT = 300                     # seconds for all of it


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, argv):
        ours, theirs = pty.openpty()
        self.child = subprocess.Popen(argv, stdin=theirs, stdout=theirs,
                                      stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.fd, self.text, self.seen = ours, "", ""
        self.end = time.monotonic() + LIMIT

    def wait_for(self, pattern):
        """Reads on until this stands in what was not yet looked at; None:
        until it ends."""
        while time.monotonic() < self.end:
            m = pattern and re.search(pattern, self.text)
            if m:
                self.text = self.text[m.end():]
                return
            if not select.select([self.fd], [], [], 1)[0]:
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError:     # the other end is closed
                data = b""
            if not data:
                break
            self.text += data.decode("utf-8", "replace")
            self.seen += data.decode("utf-8", "replace")
        if pattern and host.STARVED in self.seen:
            raise Starved(host.STARVED)
        if pattern:
            last = "\n".join(self.text.splitlines()[-8:])
            raise CaseFailed(f"'{pattern}' did not come; the last was:\n{last}")

    def type(self, line):
        os.write(self.fd, line.encode() + b"\n")

    def close(self):
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGTERM)
        self.child.wait()
        os.close(self.fd)


def prompt():
    """Once more if this computer is too busy for the host's timer check."""
    try:
        once()
    except Starved:
        once()


class Starved(CaseFailed):
    """As host.Host.run() has it."""


def once():
    t = Terminal([paths.LAB / "snp", "shell", "--host", "ours", "--plain"])
    try:
        t.wait_for(r"host# ")
        # what is typed comes back, too: it must not be what is looked for
        t.type("echo seen-$((6 * 7))")
        t.wait_for(r"seen-42[\s\S]*host# ")
        # anything after `guest` is its QEMU's
        t.type("guest -version")
        t.wait_for(r"QEMU emulator version \d+[\s\S]*host# ")
        t.type("exit")
        t.wait_for(None)
        if t.child.wait(60):
            raise CaseFailed(f"it ends with status {t.child.returncode}")
    except subprocess.TimeoutExpired as e:
        raise CaseFailed("`exit` does not end it") from e
    finally:
        t.close()


CASES = [
    Case("lab.shell", "lab/snp shell is a prompt on the host, `guest` is a "
         "command there, `exit` ends the host and lab/snp", prompt, order=49),
]
