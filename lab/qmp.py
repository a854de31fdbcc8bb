# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's monitor protocol over a connected socket, and no more of it than
the lab needs."""

import json
import time

from lab import say


class Monitor:
    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.events = []
        self.ready = False
        self.number = 0         # of the latest command
        self.run = None         # name of the run, if the lab made it

    def fileno(self):
        return self.sock.fileno()

    def pump(self):
        """Takes in what has arrived. False at end of file."""
        try:
            data = self.sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        self.buffer += data
        return bool(data)

    def _messages(self):
        while b"\n" in self.buffer:
            line, self.buffer = self.buffer.split(b"\n", 1)
            if line.strip():
                yield json.loads(line)

    def sort_events(self):
        """Events that arrived with nobody waiting."""
        for m in self._messages():
            if "event" in m:
                self.events.append(m)

    def command(self, name, timeout=30, **arguments):
        self.sort_events()
        # An answer that comes after its asker gave up is nobody's.
        self.number += 1
        request = {"execute": name, "id": self.number}
        if arguments:
            request["arguments"] = arguments
        self.sock.setblocking(True)
        self.sock.settimeout(timeout)
        try:
            self.sock.sendall(json.dumps(request).encode() + b"\n")
        except OSError as e:
            raise say.Failed(f"the machine could not be asked {name}: "
                             f"{e.strerror or e}") from e
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for m in self._messages():
                if "event" in m:
                    self.events.append(m)
                elif m.get("id", self.number) != self.number:
                    continue
                elif "return" in m:
                    return m["return"]
                elif "error" in m:
                    raise say.Failed(f"{name}: {m['error'].get('desc')}")
            if not self.pump():
                break
        raise say.Failed(f"the machine did not answer {name}")

    def greet(self, timeout=30):
        self.command("qmp_capabilities", timeout=timeout)
        self.ready = True

    def hmp(self, line):
        return self.command("human-monitor-command", **{"command-line": line})

    def find(self, typename):
        """QOM path of the device of a type, or None."""
        for top in ("/machine/peripheral", "/machine/peripheral-anon",
                    "/machine/unattached"):
            for child in self.command("qom-list", path=top):
                if child["type"] == f"child<{typename}>":
                    return f"{top}/{child['name']}"
        return None

    def get(self, path, name):
        return self.command("qom-get", path=path, property=name)
