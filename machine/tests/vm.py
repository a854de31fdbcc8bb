# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that scripts here start, ask, save and load."""

import json
import os
import pathlib
import socket
import subprocess
import time

LIMIT = 300                     # seconds for anything that is waited for


class Ended(Exception):
    """The machine did: its last words."""


class Vm:
    """argv: of a machine. Its monitor is qmp(), its serial port what text()
    has. loaded: a file it begins from, stopped."""

    def __init__(self, argv, where, loaded=None):
        self.out = pathlib.Path(where) / f"serial-{time.monotonic_ns()}"
        self.err = self.out.with_suffix(".err")
        ours, theirs = socket.socketpair()
        argv = [*argv, "-action", "shutdown=pause", "-S",
                "-chardev", f"file,id=serial,path={self.out}",
                "-serial", "chardev:serial",
                "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
                "-mon", "chardev=qmp,mode=control"]
        if loaded:
            argv += ["-incoming", f"file:{loaded}"]
        with open(self.err, "wb") as err:
            self.proc = subprocess.Popen(
                [str(x) for x in argv], stdin=subprocess.DEVNULL, stdout=err,
                stderr=err, pass_fds=[theirs.fileno()])
        theirs.close()
        ours.settimeout(LIMIT)
        self.sock = ours.makefile("rw")
        ours.close()
        self.events = []
        try:
            self._read()            # the greeting
            self.qmp("qmp_capabilities")
            if loaded:
                self.wait(lambda: self.status() != "inmigrate", "be loaded")
        except Exception:
            self.close()
            raise

    def _read(self):
        try:
            line = self.sock.readline()
        except ConnectionResetError:
            line = ""
        if not line:
            raise Ended(self.last())
        return json.loads(line)

    def last(self):
        """What it said against something, its end included."""
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            pass
        return "\n".join(x for x in self.err.read_text().splitlines()
                         if "TCG doesn't support requested" not in x)

    def qmp(self, command, **arguments):
        """Its answer, or a dict with "error"."""
        try:
            self.sock.write(json.dumps({"execute": command,
                                        "arguments": arguments}) + "\n")
            self.sock.flush()
        except OSError as e:
            raise Ended(self.last()) from e
        while True:
            m = self._read()
            if "event" in m:
                self.events.append(m["event"])
            elif "error" in m:
                return m
            else:
                return m["return"]

    def must(self, command, **arguments):
        answer = self.qmp(command, **arguments)
        if isinstance(answer, dict) and "error" in answer:
            raise Ended(f"{command}: {answer['error']['desc']}")
        return answer

    def status(self):
        return self.must("query-status")["status"]

    def get(self, name):
        """A property of the secure processor's, which are JSON texts"""
        return json.loads(self.must("qom-get", path="/machine/peripheral/psp",
                                    property=name))

    def text(self):
        return self.out.read_text(errors="replace").replace("\r", "")

    def wait(self, done, what, pause=0.02):
        end = time.monotonic() + LIMIT
        while not done():
            if time.monotonic() > end:
                raise Ended(f"waited {LIMIT} s for it to {what}")
            time.sleep(pause)

    def ended(self):
        """Has what runs on it switched it off?"""
        return self.status() == "shutdown"

    def stop(self):
        self.must("stop")

    def go(self):
        self.must("cont")

    def save(self, file):
        """All of the machine."""
        self.must("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.must("migrate", uri=f"file:{file}")
        seen = {}

        def done():
            seen.update(self.must("query-migrate"))
            return seen.get("status") in ("completed", "failed")

        self.wait(done, "be saved")
        if seen["status"] != "completed":
            raise Ended(f"not saved: {seen.get('error-desc')}")

    def memory(self, address, size, file):
        self.must("pmemsave", val=address, size=size, filename=str(file))
        data = pathlib.Path(file).read_bytes()
        os.unlink(file)
        return data

    def run_to(self, addresses, where):
        """Goes on until the first CPU is at one of these, or what runs on it
        has ended. Stands still then."""
        path = f"{where}/gdb"
        self.must("human-monitor-command",
                  **{"command-line": f"gdbserver unix:{path},server=on,"
                     "wait=off"})
        with socket.socket(socket.AF_UNIX) as gdb:
            gdb.settimeout(LIMIT)
            gdb.connect(path)
            for address in addresses:
                text = f"Z0,{address:x},1".encode()
                gdb.sendall(b"+$%b#%02x" % (text, sum(text) % 256))
                seen = b""
                while b"$OK#9a" not in seen:
                    seen += gdb.recv(4096) or b"$OK#9a"
            self.go()
            self.wait(lambda: self.status() in ("debug", "shutdown"),
                      "get there", 0.001)
        self.must("human-monitor-command", **{"command-line":
                                              "gdbserver none"})

    def close(self):
        self.proc.kill()
        self.proc.wait()
        try:
            self.sock.close()
        except OSError:
            pass                # what was not sent to it
