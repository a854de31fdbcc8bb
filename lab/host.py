# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots a host kernel on a machine, runs a script in it, brings back what it
said. Everything else of the lab that needs a host goes through here.

    host = Host(kernel, binary)
    result = host.run("myname", script, {"tool": "/path/to/tool"})

The script runs under bash as root in the host image, with its files read-only
below /lab. It may call `mark NAME` (the runner calls on_mark(name, text,
monitor) while the host waits) and `say TEXT` (collected in result.says).
The third serial port carries the script, the first the kernel's console, the
second is free for the guest's console (/dev/ttyS1).
"""

import fcntl
import os
import pathlib
import re
import selectors
import shutil
import signal
import socket
import subprocess
import time

from lab import (core, counts, hostimage, image, machine, observe, paths,
                 platform, qmp, saved, say)

BAD_LINES = re.compile(
    r"WARNING: CPU|BUG:|\bOops\b|Call Trace:|INFO: (?:possible|task|rcu)|"
    r"Kernel panic|general protection fault|rcu: INFO|"
    r"\bTainted: \S*[WD]")

# After this line on its console a host does nothing more, or has lost a task
# with whatever locks that held.
PANIC = re.compile(r"(?:Kernel panic - not syncing|BUG: unable to handle).*")
# Where a panic that was asked for begins: what follows is no splat.
CRASH = "sysrq: Trigger a crash"
# Seconds a run still gets after a line that ends it: others may explain it.
GRACE = 2

# Returned by on_mark: the run is over, and was good.
OVER = object()

# Linux counts timer ticks against the TSC when it boots; if the machine gets no
# time of the computer it runs on just then, there are too few.
STARVED = "timer doesn't work"


class Result:
    def __init__(self, name):
        self.name = name
        self.status = None          # the script's exit status
        self.console = ""           # the host kernel's console
        self.control = ""           # what the script printed
        self.guest = ""             # the second serial port
        self.says = []
        self.marks = {}
        self.command = []
        # "script", "timeout", "lost", "machine"; "reset": the host's CPUs
        # were; "fatal": of a line after which nothing more was to be
        # expected; error has it
        self.ended = "lost"
        self.seconds = 0.0
        self.logs = {}
        self.error = ""
        self.fatal = []             # lines that ended the run, or would have
        self.died = ""              # how the machine ended, if by itself
        self.last = []              # what it had to say then; its back trace
        self.moved = False          # to another process, as was asked for
        self.resumed = 0            # characters of the console that are older
        self.unbalanced = False     # what its audit is to say at the end

    def bad_lines(self):
        """Console lines no healthy kernel prints, and what its lockdep and its
        audit of the RMP, if it has one, say at the end."""
        return [x.strip() for x in self.console.splitlines()
                if BAD_LINES.search(x)] + self.lockdep_off() + self.audited()

    def audited(self):
        """That the kernel's own audit, if it has one, found what belongs to a
        guest, or is leaked, when the script was done: or found nothing, where
        the script has something leaked."""
        want = "UNBALANCED" if self.unbalanced else "BALANCED"
        return [f"at the end: the audit says {x.split(' ', 1)[1]}, not {want}"
                for x in self.says if x.startswith("audit-end ") and
                x != f"audit-end {want}"]

    def lockdep_off(self):
        """That lockdep, if the kernel has it, was off at the end."""
        return [f"at the end: {x}, not 1" for x in self.says
                if x.startswith("lockdep ") and x != "lockdep 1"]

    def ok(self):
        return self.ended == "script" and self.status == 0 and \
            not self.died and not self.audited()

    def failure(self):
        """Lines that say why it is not ok(), the machine's end the last."""
        lines = [f"the host: {self.ended}, status {self.status} {self.error}"]
        lines += say.tail(self.logs["console"], 8) + self.last + self.audited()
        return lines + [f"died: {self.died}"] * bool(self.died)


def _claim(name):
    """A free name: this one, or with a number if such a run is under way.
    Returns (name, open lock)."""
    paths.RUNS.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    for n in range(1, 100):
        one = name if n == 1 else f"{name}-{n}"
        lock = open(paths.RUNS / f"{one}.lock", "w")
        # who asks whether it is under way holds it, too, but for an instant
        for _ in range(10):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return one, lock
            except OSError:
                time.sleep(0.02)
        lock.close()
    raise say.Failed(f"too many runs named {name}")


def log_files(name):
    paths.LOG.mkdir(parents=True, exist_ok=True)
    return {k: paths.LOG / f"{name}.{k}.log"
            for k in ("console", "guest", "control", "machine")}


def _reap(child, result):
    """Ends the machine. Returns its status, None if it was still there."""
    try:
        # one that does not answer may be on its way out, writing its core
        died = child.wait(10 if result.ended == "machine" else 0)
    except subprocess.TimeoutExpired:
        died = None
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    return died


def _last_words(child, result, log, cwd):
    """Ends the machine; if it gave up by itself, notes how, and what it had
    to say: after the first line of its log, which is its command."""
    status = _reap(child, result)
    gave_up = result.ended in ("machine", "lost")
    if status is None:
        how = "the machine was killed by the lab"
    elif status or gave_up:
        how = result.died = f"the machine ended with status {status}"
        if status < 0:
            how = result.died = (f"the machine ended by signal {-status} "
                                 f"({signal.strsignal(-status)})")
    if not (result.died or gave_up):
        return
    words = [x for x in log.read_text(errors="replace").splitlines()[1:]
             if "TCG doesn't support requested feature" not in x][-5:]
    result.last = [f"    | {x}" for x in [how, *words]]
    result.error += "".join(f"\n{x}" for x in result.last)
    if status is not None and status < 0 and core.wanted():
        result.last += [f"    | {x}" for x in
                        core.trace(child.args[0], child.pid, cwd)]


def _start(argv, log, cwd):
    """A machine with its ports connected: (process, {port: socket})."""
    ours, theirs = {}, {}
    for port in ("console", "guest", "control", "qmp"):
        ours[port], theirs[port] = socket.socketpair()
        # a byte at a time fills a socket early; give it room
        theirs[port].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    argv = list(argv)
    for index, port in enumerate(("console", "guest", "control")):
        # QEMU's own logfile= doubles what it has to send again
        argv += ["-chardev", f"socket,id={port},fd={theirs[port].fileno()}",
                 "-device", f"isa-serial,chardev={port},index={index}" +
                 (",irq=5" if index == 2 else "")]
    argv += ["-chardev", f"socket,id=qmp,fd={theirs['qmp'].fileno()}",
             "-mon", "chardev=qmp,mode=control"]
    with open(log, "ab") as sink:
        sink.write((" ".join(argv) + "\n").encode())
        sink.flush()
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=sink,
            stderr=subprocess.STDOUT, start_new_session=True, cwd=cwd,
            preexec_fn=core.allow if core.wanted() else None,
            pass_fds=[s.fileno() for s in theirs.values()])
    for s in theirs.values():
        s.close()
    return child, ours


class Host:
    def __init__(self, kernel, binary, smp=2, memory="3G", thread="multi",
                 snp=True, extra=(), psp=(), cpu=platform.CPU,
                 snapshot=None, unbalanced=False):
        """unbalanced: the script leaves a page leaked, and the kernel's audit,
        if it has one, has to say so."""
        self.kernel = kernel
        self.binary = pathlib.Path(binary).absolute()
        self.smp, self.memory, self.thread = smp, memory, thread
        self.snp, self.extra, self.psp = snp, list(extra), psp
        self.cpu = cpu
        self.snapshot = snapshot    # snapshot.Snapshot: it begins there
        self.unbalanced = unbalanced

    def _files(self, name, script, files, mode):
        """The run's own disk: script, start-up and files."""
        where = paths.RUNS / name
        shutil.rmtree(where, ignore_errors=True)
        top = where / "files"
        top.mkdir(parents=True)
        shutil.copy2(paths.LAB / "hostfs" / "start", top / "start")
        (top / "script").write_text(script)
        (top / "mode").write_text(mode + "\n")
        for inside, source in files.items():
            dst = top / inside
            dst.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(source, bytes):
                dst.write_bytes(source)
            elif isinstance(source, str) and "\n" in source:
                dst.write_text(source)
            else:
                source = pathlib.Path(source)
                if source.is_dir():
                    shutil.copytree(source, dst, symlinks=True)
                else:
                    shutil.copy2(source, dst)
        image.ext4(top, where / "files.ext4", "files-image", spare=8 << 20)
        shutil.rmtree(top)
        return where

    def command(self, where, cmdline=""):
        base = platform.arguments(self.binary, self.smp, self.memory,
                                  self.thread, self.snp, self.psp,
                                  self.cpu)
        argv = [str(self.binary), *base]    # all paths absolute: see run()
        for directory in machine.firmware():
            argv += ["-L", str(directory)]
        disks = {"root": hostimage.build(),
                 "modules": self.kernel.modules_image(),
                 "files": where / "files.ext4"}
        # on the SNP machine by the IOMMU, as on real ones
        real = self.snp and platform.has_psp(self.binary)
        how = platform.BEHIND if real else ""
        for name, file in disks.items():
            argv += ["-drive", f"if=none,id={name},file={file},format=raw,"
                     "read-only=on,file.locking=off",
                     "-device", f"virtio-blk-pci,drive={name},serial={name}"
                     f"{how}"]
        argv += ["-kernel", str(self.kernel.vmlinuz.absolute()),
                 "-initrd", str(self.kernel.initramfs()),
                 "-append", f"console=ttyS0 panic=-1 {cmdline}".strip()]
        # one more monitor, for whoever wants to look at a run: see observe.py
        argv += ["-qmp", f"unix:{observe.SOCKET},server=on,wait=off"]
        return argv + self.extra

    def interactive(self, script, files, port="console", gdb=None):
        """Boots with the user's terminal on a port: "console", "guest" or
        "monitor". Returns the machine's exit status."""
        name, lock = _claim("shell")
        where = self._files(name, script, files, "shell")
        argv = self.command(where)
        argv[argv.index("shutdown=pause")] = "shutdown=poweroff"
        logs = log_files(name)
        ports = {"console": f"file,id=console,path={logs['console']}",
                 "guest": f"file,id=guest,path={logs['guest']}"}
        ports[port] = f"stdio,id={port},signal=off,mux=on"
        if port == "monitor":
            ports[port] = "stdio,id=monitor,signal=off"
        for name, text in ports.items():
            argv += ["-chardev", text]
        argv += ["-device", "isa-serial,chardev=console,index=0",
                 "-device", "isa-serial,chardev=guest,index=1",
                 "-mon", f"chardev={port},mode=readline"]
        if gdb:
            argv += ["-gdb", gdb]
        try:
            return subprocess.call(argv, cwd=where)
        finally:
            lock.close()
            shutil.rmtree(where, ignore_errors=True)

    def run(self, name, script, files=None, timeout=300, **kwargs):
        """_run(), once more or twice if the host did not get through its own
        timer check because this computer is too busy."""
        for _ in range(2):
            result = self._run(name, script, files, timeout, **kwargs)
            # a crash kernel's timer check is for its case to judge
            if STARVED not in result.console.partition(CRASH)[0]:
                break
            say.note("this computer is so busy that the host's timer check "
                     "failed; starting it again")
        else:
            result = self._run(name, script, files, timeout, **kwargs)
        return result

    def take(self, name, file, timeout, step):
        """Boots it to where a script would be run, and saves the machine into
        a file there. Returns a Result, and what the machine counted."""
        seen = {}

        def on_mark(_name, _text, monitor):
            step.tick(detail="it is saved")
            saved.save(monitor, file.absolute())
            seen.update(counts.machine(monitor))
            return OVER

        return self.run(name, "", {}, timeout, on_mark=on_mark, step=step,
                        mode="snapshot"), seen

    def _run(self, name, script, files, timeout, on_mark=None, on_line=None,
             on_end=None, step=None, cmdline="", fatal=None, mode="script",
             move=None, panics=False):
        """on_mark(name, text, monitor); on_line(port, line) for every line of
        console, guest and control; on_end(monitor): the host has powered
        off, or the run ends for a fatal line, and the machine still answers.
        fatal: {port: pattern} of lines that end the run at once; a host's
        panic does, too, unless panics says that it is asked for. move: (port,
        pattern) of a line at which the machine is saved, and goes on in
        another process. Returns a Result."""
        name, lock = _claim(name)
        result = Result(name)
        result.unbalanced = self.unbalanced
        where = self._files(name, script, files or {}, mode)
        argv = self.command(where, cmdline)
        logs = log_files(name)
        result.logs = logs
        if self.snapshot:
            argv += ["-incoming", f"file:{self.snapshot.state.absolute()}"]
        moved = (where / "moved").absolute()
        logs["machine"].write_bytes(b"")
        child, ours = _start(argv, logs["machine"], where)
        result.command = child.args
        begin = time.monotonic()
        sinks = {p: open(logs[p], "wb", buffering=0)
                 for p in ("console", "guest", "control")}
        if self.snapshot:
            sinks["console"].write(self.snapshot.console())
        try:
            loop = _Loop(result, child, ours, sinks, on_mark, on_line, on_end,
                         begin + timeout, step, fatal,
                         observe.Recorder(name, where, bool(self.snapshot)),
                         bool(self.snapshot),
                         move and (*move, moved), panics)
            loop.turn()
            if loop.moved:
                child, ours = _start([*argv, "-incoming", f"file:{moved}"],
                                     logs["machine"], where)
                result.moved = True
                loop.go_on(child, ours)
        finally:
            try:
                _last_words(child, result, logs["machine"], where)
                for s in [*ours.values(), *sinks.values()]:
                    s.close()
                result.seconds = time.monotonic() - begin
                for port in ("console", "guest", "control"):
                    text = logs[port].read_bytes()
                    setattr(result, port,
                            text.decode("utf-8", "replace").replace("\r", ""))
                if self.snapshot:
                    result.resumed = len(self.snapshot.console().decode(
                        "utf-8", "replace").replace("\r", ""))
                observe.keep(where)
            finally:
                lock.close()
        return result


class _Loop:
    """One run: reads the ports, answers the marks, notices the end."""

    def __init__(self, result, child, socks, sinks, on_mark, on_line, on_end,
                 end, step, fatal=None, recorder=None, resumes=False,
                 move=None, panics=False):
        self.recorder = recorder
        self.resumes = resumes
        self.move, self.moving, self.moved = move, False, False
        self.result, self.child = result, child
        self.socks, self.sinks = socks, sinks
        self.on_mark, self.on_line, self.on_end = on_mark, on_line, on_end
        self.end, self.step = end, step
        self.fatal = {} if panics else {"console": [PANIC]}
        for port, pattern in (fatal or {}).items():
            self.fatal.setdefault(port, []).append(pattern)
        self.reasons = result.fatal
        self.partial = {p: b"" for p in ("console", "guest", "control")}
        self.monitor = qmp.Monitor(socks["qmp"])
        self.monitor.run = result.name
        self.finished = False

    def turn(self):
        """From the machine's start to its end, or to where it is to move."""
        self._guarded(self._begin)

    def go_on(self, child, socks):
        """The machine that has moved is another process."""
        self.child, self.socks, self.moved = child, socks, False
        self.monitor = qmp.Monitor(socks["qmp"])
        self.monitor.run = self.result.name
        self._guarded(lambda: saved.loaded(self.monitor))

    def _begin(self):
        if self.resumes:
            saved.loaded(self.monitor)
            # it was saved while it waited for that
            self.socks["control"].sendall(b"go\n")
        if self.recorder:
            self.recorder.start(self.monitor)

    def _guarded(self, begin):
        sel = selectors.DefaultSelector()
        for port, sock in self.socks.items():
            if port != "qmp":
                sock.setblocking(False)
            sel.register(sock, selectors.EVENT_READ, port)
        try:
            self.monitor.greet()
            begin()
            if not self._serve(sel):
                return
            self._drain()
            if self.reasons:
                self._fatal_end(gone=True)
        except (say.Failed, OSError, ValueError) as e:
            self.result.error = str(e)
            if self.result.ended == "lost":
                self.result.ended = "machine"

    def _serve(self, sel):
        """Until it is over. False: out of time, or the machine moves."""
        while not self.finished:
            if time.monotonic() > self.end:
                if self.reasons:
                    self._fatal_end()
                elif self.result.ended == "lost":
                    self.result.ended = "timeout"
                return False
            for key, _ in sel.select(0.5):
                if not self._read(key.data):
                    sel.unregister(key.fileobj)
                    if key.data == "qmp":
                        self.result.error = "it closed its monitor"
            self.monitor.sort_events()
            self._events()
            if self.step:
                self.step.tick()
            if self.child.poll() is not None:
                break
            if self.moving:
                self._save()
                return False
        return True

    def _drain(self):
        for port in self.sinks:
            while self._read(port):
                pass

    def _save(self):
        """The machine to where it goes on from; this process of it ends."""
        saved.save(self.monitor, self.move[2])
        self._drain()
        os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self._drain()
        for sock in self.socks.values():
            sock.close()
        self.moving, self.move, self.moved = False, None, True

    def _fatal_end(self, gone=False):
        """gone: the machine has ended, or told on_end already."""
        if self.result.ended != "script":
            self.result.ended = "fatal"
        self.result.error = "; ".join(self.reasons)
        if not gone:
            self._ask_last()

    def _ask_last(self):
        """The machine still answers, for the last time."""
        if self.on_end:
            self.on_end(self.monitor)
        if self.recorder:
            self.recorder.end(self.monitor)

    def _look(self, port, line):
        """Notes a fatal line; the run ends soon after the first."""
        for pattern in self.fatal.get(port, ()):
            m = pattern.search(line)
            if m and m.group() not in self.reasons:
                self.reasons.append(m.group())
                self.end = min(self.end, time.monotonic() + GRACE)

    def _read(self, port):
        if port == "qmp":
            return self.monitor.pump()
        try:
            data = self.socks[port].recv(65536)
        except OSError:         # nothing there, or the other end is gone
            return False
        if not data:
            return False
        self.sinks[port].write(data)
        *lines, self.partial[port] = (self.partial[port] + data).split(b"\n")
        for raw in lines:
            line = raw.decode("utf-8", "replace").rstrip("\r")
            if self.recorder:
                self.recorder.line(port, line, self.monitor)
            if self.on_line:
                self.on_line(port, line)
            self._look(port, line)
            if self.move and self.move[0] == port and \
                    self.move[1].search(line):
                self.moving = True
            if port == "control" and line.startswith("@lab "):
                self._control(line[5:])
        return True

    def _control(self, line):
        word, _, rest = line.partition(" ")
        if word == "say":
            self.result.says.append(rest)
        elif word == "mark":
            name, _, text = rest.partition(" ")
            answer = None
            if self.on_mark:
                answer = self.on_mark(name, text, self.monitor)
            if answer is OVER:
                self.result.status, self.result.ended = 0, "script"
                self.finished = True
                return
            self.result.marks[name] = answer
            self.socks["control"].sendall(b"go\n")
        elif word == "end":
            self.result.status = int(rest) if rest.isdigit() else 255
            self.result.ended = "script"
            # what follows is only the power-off
            self.end = min(self.end, time.monotonic() + 90)

    def _events(self):
        for event in self.monitor.events:
            if event["event"] in ("SHUTDOWN", "GUEST_PANICKED"):
                self._ask_last()
                self.finished = True
                reason = event.get("data", {}).get("reason")
                if reason == "guest-reset" and self.result.ended == "lost":
                    self.result.ended = "reset"
        self.monitor.events.clear()
