# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that a run is safe from who looks at it, and from what it hosts: two
askers at once, one that is killed, files that vanish, a machine that answers
nonsense or too late, a guest that prints what it likes."""

import contextlib
import fcntl
import json
import os
import pathlib
import signal
import socket
import tempfile
import threading
import time
from unittest import mock

from lab import host, observe, paths, qmp, rmp, say, traced
from lab.cases import Case
from lab.cases.seeing import Checks, FakeMonitor, _header, _lo, _raw


@contextlib.contextmanager
def _place():
    with tempfile.TemporaryDirectory() as tmp:
        yield pathlib.Path(tmp)


def _fails(c, what, kind, why, call, *args):
    try:
        call(*args)
    except kind as e:
        c.equal(why in str(e), True, f"{what}: {e}")
    else:
        c.equal("done", "refused", what)


def vanishing(c):
    """Files that somebody else removes while the run tidies up or is listed."""
    with _place() as out, mock.patch.object(paths, "RUNS", out):
        where = out / "run"
        where.mkdir()
        for name in ("a.raw", "b.raw", "rmp-end.gz"):
            (where / name).write_text("x")
        plain = pathlib.Path.is_dir

        def goes(path):
            if path.suffix == ".raw":
                path.unlink(missing_ok=True)
            return plain(path)

        with mock.patch.object(pathlib.Path, "is_dir", goes):
            observe.keep(where)
        c.equal([p.name for p in where.iterdir()], ["rmp-end.gz"], "kept")
        observe.keep(out / "gone")
        # a file that is in the list and no more in the directory
        (where / "rmp-now.gz").symlink_to(out / "gone")
        c.equal((observe.runs(), observe.moments(where)),
                (["run"], ["now", "end"]), "listed")
        c.equal(observe._when("gone"), 0, "a run that is gone")


def one_at_a_time(c):
    with _place() as where, _place() as mine:
        m = FakeMonitor(where, {4: (_lo(1), 0)})
        with open(where / observe.LOCK, "w") as lock, \
                mock.patch.object(observe, "WAIT", 0.05):
            fcntl.flock(lock, fcntl.LOCK_EX)
            _fails(c, "while another asks", say.Failed, "somebody else",
                   observe.dump, m, where, "now", "self")
            c.equal(m.said, [], "the machine is left alone")
        before = sorted(where.iterdir())
        path = observe.dump(m, where, "now", "self", mine)
        c.equal((sorted(where.iterdir()), path.parent, list(mine.iterdir())),
                (before, mine, [path]), "where a dump goes")
        # asked to end while the machine stands still
        answer = m.command

        def killed(name, **arguments):
            back = answer(name, **arguments)
            if name == "pmemsave":
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            return back

        with mock.patch.object(m, "command", killed):
            m.said.clear()
            try:
                with observe.interrupted():
                    observe.dump(m, where, "now", "self", mine)
            except KeyboardInterrupt:
                m.said.append("interrupted")
        c.equal(m.said[-2:], ["cont", "interrupted"], "an asker is killed")
        c.equal(list(mine.iterdir()), [path], "what it leaves")


def printing(c):
    """A guest that prints two phases' lines in turn, a script full of
    marks; two ends."""
    with _place() as where:
        m = FakeMonitor(where, {})
        r = observe.Recorder("self", where)
        r.start(m)
        for _ in range(50):
            r.line("guest", "lab-guest: end", m)
            r.line("guest", "lab-guest: begin", m)
        names = [p["phase"] for p in observe.timeline(where)]
        c.equal((names, m.said.count("stop")),
                (["machine: firmware", "guest: power-off",
                  "guest: user space"], 1), "phases that begin again")
        for i in range(observe.MARKS + 9):
            r.line("control", f"@lab mark m{i}", m)
        c.equal(len(r.phases), 3 + observe.MARKS, "marks")
        m.status = "shutdown"
        for _ in range(2):
            r.end(m)
        c.equal(([p["phase"] for p in r.phases].count("end"), r.off,
                 m.said.count("pmemsave")), (1, False, 2), "the end, twice")


def torn(c):
    with _place() as where:
        path = where / "rmp-now.gz"
        rmp.write(path, _header(512), _raw({}, 512))
        whole = path.read_bytes()
        _fails(c, "a table cut short", say.Failed, "8191 bytes", rmp.write,
               path, _header(512), _raw({}, 512)[:-1])
        with mock.patch.object(rmp.gzip.GzipFile, "write",
                               side_effect=OSError("full")):
            _fails(c, "a full disk", OSError, "full", rmp.write, path,
                   _header(512), _raw({}, 512))
        c.equal((path.read_bytes() == whole, list(where.iterdir())),
                (True, [path]), "the dump there was")
        # the machine gives fewer bytes than it said: no more is recorded
        m = FakeMonitor(where, {})
        m.raw = m.raw[:-16]
        r = observe.Recorder("self", where)
        with contextlib.redirect_stderr(open(os.devnull, "w")):
            r.start(m)
            r.line("guest", "lab-guest: end", m)
        c.equal((r.off, m.said[-1]), (True, "cont"), "a short table")


def names_and_locks(c):
    """Who looks whether a run is live does not make its name taken."""
    with _place() as out, mock.patch.object(paths, "RUNS", out):
        with open(out / "one.lock", "w") as look:
            fcntl.flock(look, fcntl.LOCK_SH)
            timer = threading.Timer(0.05, fcntl.flock, (look, fcntl.LOCK_UN))
            timer.start()
            name, lock = host._claim("one")
            timer.join()
        c.equal(name, "one", "a name that is looked at")
        second, other = host._claim("one")
        c.equal(second, "one-2", "a name that is taken")
        (out / "one").mkdir()
        (out / "one" / observe.SOCKET).write_text("")
        c.equal(observe.live("one"), True, "a live run")
        lock.close()
        other.close()
        c.equal(observe.live("one"), False, "a run that has ended")


def monitors(c):
    with _place() as where, mock.patch.object(observe, "GREETING", 0.1), \
            socket.socket(socket.AF_UNIX) as server:
        # connected, and never served: so it is for a second one
        server.bind(str(where / observe.SOCKET))
        server.listen(1)

        def ask():
            with observe.attach(where):
                pass

        begin = time.monotonic()
        _fails(c, "a second asker", say.Stop, "somebody else", ask)
        c.equal(time.monotonic() - begin < 5, True, "its patience")
    # an answer to an earlier question, one without a number, ours
    ours, theirs = socket.socketpair()
    with ours, theirs:
        m = qmp.Monitor(ours)
        m.number = 6
        theirs.sendall(b"".join(json.dumps(x).encode() + b"\n" for x in (
            {"return": "late", "id": 6}, {"error": {"desc": "no"}, "id": 5},
            {"event": "STOP"}, {"return": "right", "id": 7})))
        c.equal(m.command("query-status", timeout=5), "right", "the answer")
        c.equal([e["event"] for e in m.events], ["STOP"], "events")
        theirs.close()
        _fails(c, "a machine that is gone", say.Failed, "could not be asked",
               m.command, "query-status", 1)


TRACE = """a line of QEMU's own
snp_vmrun cpu 0 asid 3 sev 1 es 1 vmcb 0x1000
7@1.5:snp_vmexit cpu 0 asid 3 code 0x403 info1 0x0
snp_vmgexit asid 3 ghcb 0x1000 event 0x72
snp_vmrun cpu 1 asid 3 sev 1 es 1 vmcb 0x2000
snp_vmexit cpu 1 asid 3 code 0x400 info1 0x400000004
snp_npf asid 3 gpa 0x1000 info1 0x400000004
snp_pvalidate asid 3 gpa 0x1 spa 0x2 2M 0 validate 1 -> v 0 code 0 unchanged 0
snp_pvalidate asid 3 gpa 0x1 spa 0x2 2M 0 validate 1 -> v 2 code 0 unchanged 0
snp_rmpupdate spa 0x1 assigned 1 asid 3 gpa 0x0 2M 0 immutable 0 -> 4
snp_rmpupdate spa 0x1 assigned 1 asid 3 gpa 0x0 2M 0 immutable 1 -> 0
snp_rmpupdate spa 0x1 assigned 1 asid 0 gpa 0x0 2M 0 immutable 1 -> 0
snp_rmpupdate spa 0x1 assigned 0 asid 0 gpa 0x0 2M 0 immutable 0 -> 0
snp_rmpupdate spa 0x2 assigned 0 asid 0 gpa 0x0 2M 1 immutable 0 -> 0
snp_rmpupdate spa 0x2 assigned 1 asid 3 gpa 0x0 2M 1 immutable 0 -> 0
snp_rmpupdate spa 0x2 assigned 1 asid 3 gpa 0x0 2M 1 immutable 1 -> 0
snp_rmpupdate spa 0x2 assigned 1 asid 0 gpa 0x0 2M 1 immutable 1 -> 0
snp_psmash spa 0x200000 -> 0
snp_rmpadjust asid 3 gpa 0x1 spa 0x2 2M 0 rdx 0x10001 -> v 0 code 0
snp_rmpquery asid 3 gpa 0x1 spa 0x2 rdx 0x1 -> v 0 code 0
snp_vc asid 3 #VC 0x72 info1 0x0
snp_vmgexit_msr asid 3 ghcb 0x1006
amd_psp_command 0x081 SNP_INIT buffer 0x0 -> 0x0 SUCCESS
"""
COUNTED = {
    "vmexit": 2, "vmexit-code": {"0x403": 1, "0x400": 1},
    "vmexit-asid": {"0x3": 2}, "vmgexit": {"0x72": 1}, "vmgexit-msr": {"0x6": 1},
    "vc": {"0x72": 1}, "npf": 1, "npf-private": 1, "npf-rmp": 0, "npf-sizem": 0,
    "npf-vmpl": 0, "pvalidate-validated": 1, "pvalidate-faulted": 1,
    "pvalidate-rescinded": 0, "pvalidate-unchanged": 0, "pvalidate-failed": 0,
    "rmpadjust": 1, "rmpquery": 1, "psmash": 1,
    "rmpupdate": {"fail-overlap": 1, "success": 7},
    "rmpupdate-to-guest": 1, "rmpupdate-to-pre-guest": 2,
    "rmpupdate-to-firmware": 2, "rmpupdate-to-shared": 2,
    "rmpupdate-2m-to-guest": 1, "rmpupdate-2m-to-pre-guest": 1,
    "rmpupdate-2m-to-shared": 1,
    "psp-commands": 1, "firmware": {"SNP_INIT": {"SUCCESS": 1}}}


def tracing(c):
    """Counters against events: one event less, one count more is noticed."""
    def bad(stats, text):
        return [x[0] for x in traced.compare(stats, text.splitlines())
                if not x[1]]

    c.equal(bad(COUNTED, TRACE), [], "all as traced")
    lines = TRACE.splitlines(True)
    for i in range(1, len(lines)):
        c.equal(len(bad(COUNTED, "".join(lines[:i] + lines[i + 1:]))) > 0,
                True, f"without {lines[i].strip()}")
    for key, value in COUNTED.items():
        more = value + 1 if isinstance(value, int) else {**value, "0x99": 1}
        c.equal(f"machine: {key} as traced" in
                bad({**COUNTED, key: more}, TRACE), True, f"one more {key}")
        less = {k: v for k, v in COUNTED.items() if k != key}
        c.equal(f"machine: {key} as traced" in bad(less, TRACE), True,
                f"no counter {key}")


def unit():
    c = Checks()
    for part in (vanishing, one_at_a_time, printing, torn, names_and_locks,
                 monitors, tracing):
        part(c)
    return c.done()


CASES = [
    Case("seeing.askers", "a run suffers neither from two who look at it at "
         "once, nor from one that is killed, nor from files that vanish, nor "
         "from what its guest prints; counters are held against trace events "
         "one by one", unit, order=3, inputs=()),
]
