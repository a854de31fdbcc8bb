# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that `lab/snp shell` gives a prompt on the host, and that what it
says there of `guest` is so; with `--guest` in the guest, with `--monitor` that
of the machine, where `--gdb` takes a debugger."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import time

from lab import counts, host, judge, observe, paths, run
from lab.cases import Case, CaseFailed, attest

LIMIT = 300                     # seconds for all of it


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, argv, limit=LIMIT):
        ours, theirs = pty.openpty()
        self.child = subprocess.Popen(argv, stdin=theirs, stdout=theirs,
                                      stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.fd, self.text, self.seen = ours, "", ""
        self.end = time.monotonic() + limit

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


def prompt(once):
    """Once more if this computer is too busy for the host's timer check."""
    try:
        once()
    except Starved:
        once()


def ended(t, how):
    """It ends, with status 0."""
    t.wait_for(None)
    try:
        if t.child.wait(60):
            raise CaseFailed(f"it ends with status {t.child.returncode}")
    except subprocess.TimeoutExpired as e:
        raise CaseFailed(f"`{how}` does not end it") from e


class Starved(CaseFailed):
    """As host.Host.run() has it."""


def on_host():
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
        ended(t, "exit")
    finally:
        t.close()


def in_guest():
    t = Terminal([paths.LAB / "snp", "shell", "--host", "debian-13",
                  "--guest"], 1200)
    try:
        t.wait_for(r"guest# ")
        t.type("echo seen-$((6 * 7))")
        t.wait_for(r"seen-42[\s\S]*guest# ")
        t.type("echo snp-$(dmesg | grep -c 'Features active.*SNP' | tr 1 y)")
        t.wait_for(r"snp-y\s[\s\S]*guest# ")
        _digest()
        t.type("exit")
        ended(t, "exit")
    finally:
        t.close()


def _digest():
    """The firmware launched what was to be launched, here too."""
    name, where = observe.choose("shell")
    with observe.attach(where) as monitor:
        side = counts.machine(monitor)
    for what, holds, seen in judge.measured(
            {"guests": {"snp-launched": 0}}, side,
            attest.expected(run.Request().smp)):
        if not holds:
            raise CaseFailed(f"{name}: {what}: {seen}")


def packet(text):
    """Of gdb's remote protocol."""
    return f"${text}#{sum(text.encode()) & 0xff:02x}".encode()


def ask(sock, text, pattern):
    """Sends a packet; the reply has to match. What comes is acknowledged."""
    sock.sendall(b"+" + packet(text))
    seen = b""
    while not re.search(pattern, seen):
        data = sock.recv(4096)
        seen += data
        if not data:
            raise CaseFailed(f"the answer to the debugger's {text}: {seen}")
    sock.sendall(b"+")


def monitor(argv=()):
    """The machine's monitor at once; a debugger that comes stops its CPUs,
    and lets them run when it goes. argv: more options."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    t = Terminal([paths.LAB / "snp", "shell", "--host", "debian-13",
                  "--plain", "--monitor", "--gdb", f"tcp:127.0.0.1:{port}",
                  *argv])
    try:
        t.wait_for(r"\(qemu\) ")
        t.type("info status")
        t.wait_for(r"VM status: running[\s\S]*\(qemu\) ")
        with socket.create_connection(("127.0.0.1", port), 60) as sock:
            ask(sock, "?", rb"\$[ST]05")
            t.type("info status")
            t.wait_for(r"VM status: paused[\s\S]*\(qemu\) ")
            # sixteen bytes where the CPU begins after a reset
            ask(sock, "mfffffff0,10", rb"\$[0-9a-f]{32}#")
            ask(sock, "D", rb"\$OK#")
        t.type("info status")
        t.wait_for(r"VM status: running[\s\S]*\(qemu\) ")
        t.type("quit")
        ended(t, "quit")
    finally:
        t.close()


CASES = [
    Case("lab.shell", "lab/snp shell is a prompt on the host, `guest` is a "
         "command there, `exit` ends the host and lab/snp",
         lambda: prompt(on_host), order=49),
    Case("lab.shell.monitor", "with --monitor it is the machine's monitor, and "
         "with --gdb a debugger stops the machine, reads it and lets it go",
         monitor, order=49, inputs=("machine",)),
    Case("lab.shell.guest", "with --guest it is a prompt in the SNP guest",
         lambda: prompt(in_guest), full=True, order=59, inputs=("machine",)),
]
