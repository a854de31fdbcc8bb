# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that what the lab shows of a run is what was: the decoder of RMP
dumps and the pictures by themselves, pixel by pixel; then on a host the
machine's count of page states, the decoder's and the kernel's own against each
other, counters against trace events, and the commands on a run that goes on
and on what it has left."""

import array
import contextlib
import gzip
import io
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zlib

from lab import (counted, counts, do_rmp, do_timeline, draw, host, judge,
                 kernels, machine, observe, paths, rmp, say)
from lab.cases import Case, CaseFailed
from lab import traced

PAGES = 2 * 512 + 100           # two regions, and one covered in part
ROW = 64 * 512                  # pages a row of the picture has


def _lo(assigned, large=0, fixed=0, asid=0, vmsa=0, valid=0, gpa=0):
    return (assigned | large << 1 | fixed << 2 | gpa | asid << 51 |
            vmsa << 61 | valid << 62)


# The page-state table, row by row: what makes an entry be in a state.
ROWS = {
    "hypervisor": [_lo(0), _lo(0, valid=1)],
    "hv-fixed": [_lo(0, fixed=1)],
    "reclaim": [_lo(1), _lo(1, vmsa=1), _lo(1, valid=1)],
    "firmware": [_lo(1, fixed=1)],
    "context": [_lo(1, fixed=1, vmsa=1)],
    "metadata": [_lo(1, fixed=1, gpa=0x1000)],
    "pre-guest": [_lo(1, fixed=1, asid=1), _lo(1, fixed=1, asid=1023, vmsa=1)],
    "pre-swap": [_lo(1, fixed=1, asid=1, valid=1)],
    "guest-invalid": [_lo(1, asid=1), _lo(1, asid=512, gpa=0x1000)],
    "guest-valid": [_lo(1, asid=1, valid=1), _lo(1, asid=1, valid=1, vmsa=1)],
}
GPA = 0x0007654321000000


def _raw(entries, pages=PAGES):
    """The table's bytes: {page number: (first word, second word)}."""
    words = array.array("Q", bytes(pages * rmp.ENTRY))
    for pfn, (lo, hi) in entries.items():
        words[2 * pfn], words[2 * pfn + 1] = lo, hi
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()


def _header(pages=PAGES, **more):
    return {"format": rmp.FORMAT, "base": 0x1000000, "end": 0x1ffffff,
            "pages": pages, "moment": "now", "run": "self", "histogram": {},
            **more}


def _table(entries, pages=PAGES):
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp) / "rmp-now.gz"
        rmp.write(path, _header(pages), _raw(entries, pages))
        return rmp.read(path)


def _large(pfn, lo, hi=0):
    """A 2M entry, as the processor leaves its 512 slots."""
    return {**{pfn + i: (1, 0) for i in range(1, 512)}, pfn: (lo, hi)}


class Checks:
    def __init__(self):
        self.number, self.bad = 0, []

    def equal(self, got, want, what):
        self.number += 1
        if got != want:
            self.bad.append(f"{what}: {got!r}, not {want!r}")

    def done(self, what="checks"):
        if self.bad:
            raise CaseFailed("\n".join(self.bad[:20]))
        return f"{self.number} {what}"


def decoder():
    c = Checks()
    for name, lows in ROWS.items():
        for lo in lows:
            t = _table({7: (lo, 0)})
            c.equal(t.entry(7 * 4096 + 5)["state"], name, f"{lo:#x}")
            asid = str(lo >> 51 & 0x3ff) if lo & 1 else "0"
            want = {"0": {"hypervisor": PAGES}}
            if name != "hypervisor":
                want["0"]["hypervisor"] -= 1
                want.setdefault(asid, {})[name] = 1
            c.equal(t.histogram(), want, f"{lo:#x} counted")
    lo = _lo(1, asid=5, valid=1, gpa=GPA)
    hi = 0x0f | 0x01 << 8 | 0x05 << 16 | 1 << 63
    e = _table({3: (lo, hi)}).entry(0x3fff)
    c.equal(e, {"spa": 0x3fff, "covered": True, "state": "guest-valid",
                "assigned": True, "size-2m": False, "immutable": False,
                "vmsa": False, "validated": True, "in-use": True, "asid": 5,
                "gpa": GPA, "perms": [0x0f, 1, 5, 0]}, "one entry")
    # a 2M entry answers for 512 pages; a slot's in-use bit is its own
    many = _large(512, _lo(1, 1, asid=9, valid=1, gpa=GPA), 0x1f)
    many[512 + 9] = (1, 1 << 63)
    t = _table(many)
    for pfn, gpa, in_use in ((512, GPA, False), (521, GPA + 9 * 4096, True),
                             (1023, GPA + 511 * 4096, False)):
        e = t.entry(pfn * 4096)
        c.equal((e["state"], e["gpa"], e["in-use"], e["size-2m"], e["asid"],
                 e["perms"][0]),
                ("guest-valid", gpa, in_use, True, 9, 0x1f), f"2M at {pfn}")
    c.equal(t.entry(1024 * 4096)["state"], "hypervisor", "behind a 2M entry")
    c.equal(t.histogram(), {"0": {"hypervisor": PAGES - 512},
                            "9": {"guest-valid": 512}}, "2M counted")
    # the last region is covered in part: no 2M entry there, whatever it says
    last = PAGES - PAGES % 512
    e = _table({last: (_lo(1, 1, asid=2), 0)}).entry((last + 1) * 4096)
    c.equal(e["state"], "hypervisor", "a region covered in part")
    e = t.entry(PAGES * 4096)
    c.equal((e["covered"], e["state"], e["asid"]), (False, "hypervisor", 0),
            "an address that is not covered")
    return c


def _refused(c, what, call, why):
    try:
        call()
    except say.Stop as e:
        c.equal(why in str(e) and "\n" not in str(e), True, f"{what}: {e}")
    else:
        c.equal("taken", "refused", what)


def damaged(c):
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp) / "rmp-now.gz"
        good = _header(512), _raw({}, 512)
        rmp.write(path, *good)
        whole = path.read_bytes()
        for what, data in (("cut short", whole[:-9]), ("no gzip", b"hello\n"),
                           ("empty", b""), ("of bad bytes",
                                            whole[:40] + b"\xff" * 40)):
            path.write_bytes(data)
            _refused(c, what, lambda: rmp.read(path), "rmp-now.gz")
        for what, change in (
                ("another format", {"format": "snp-rmp-2"}),
                ("no pages", {"pages": 0}), ("minus", {"pages": -512}),
                ("words", {"pages": "512"}), ("endless", {"pages": 1 << 40}),
                ("segments", {"segments": [{"covers": 0, "pages": 512}]}),
                ("fewer than said", {"pages": 513}),
                ("more than said", {"pages": 511})):
            rmp.write(path, *good)
            with gzip.open(path, "wb") as f:
                f.write(json.dumps({**good[0], **change}).encode() + b"\n" +
                        good[1])
            _refused(c, what, lambda: rmp.read(path), "rmp-now.gz")


def unpng(data):
    """(width, height, rows of (r, g, b)) of a picture with a palette; every
    chunk's checksum has to be right."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
    at, chunks = 8, {}
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + n]
        crc, = struct.unpack(">I", data[at + 8 + n:at + 12 + n])
        assert crc == zlib.crc32(kind + body), f"checksum of {kind}"
        chunks[kind] = chunks.get(kind, b"") + body
        at += 12 + n
    assert list(chunks)[0] == b"IHDR" and list(chunks)[-1] == b"IEND"
    w, h, depth, colours, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colours, rest) == (8, 3, [0, 0, 0])
    palette = [tuple(chunks[b"PLTE"][i:i + 3])
               for i in range(0, len(chunks[b"PLTE"]), 3)]
    raw = zlib.decompress(chunks[b"IDAT"])
    assert len(raw) == h * (w + 1)
    rows = []
    for y in range(h):
        line = raw[y * (w + 1):(y + 1) * (w + 1)]
        assert line[0] == 0
        rows.append([palette[i] for i in line[1:]])
    return w, h, rows


def drawing(c):
    """One page of each state, a 2M entry, a fold: the pixels."""
    at = {10 + 40 * i: (lows[0], 0) for i, lows in enumerate(ROWS.values())}
    first_2m, last = ROW + 3 * 512, 6 * ROW + 700
    at.update(_large(first_2m, _lo(1, 1, asid=9, valid=1)))
    at[2 * ROW] = (_lo(1, fixed=1), 0)
    at[last] = (_lo(1), 0)
    picture, where = draw.rmp_picture(_table(at, last + 1))
    w, h, rows = unpng(picture.encode())
    c.equal((w, h), (picture.width, picture.height), "size of the picture")
    c.equal(picture.missing, set(), "letters without a glyph")

    def seen(pfn):
        x, y = where.where(pfn)
        # a row of pixels is 32 pages, a block 16 of them and an edge
        x0, y0 = where.corner(pfn // 512)
        c.equal((x - x0 - 1, y - y0 - 1), (pfn % 32, pfn % 512 // 32),
                f"place of page {pfn:#x}")
        return rows[y][x]

    for i, name in enumerate(ROWS):
        pfn = 10 + 40 * i
        c.equal(seen(pfn), draw.COLOURS[rmp.STATES.index(name)],
                f"pixel of {name}")
        c.equal(seen(pfn + 1), draw.COLOURS[0], f"pixel beside {name}")
    c.equal(len(set(draw.COLOURS) | set(draw.GROUND)), 14, "colours differ")
    for pfn in (first_2m, first_2m + 200, first_2m + 511):
        c.equal(seen(pfn), draw.COLOURS[9], "pixel of a 2M entry")
    for block, edge in ((3, (0, 0, 0)), (4, (255, 255, 255))):
        x, y = where.corner(64 + block)
        dx, dy = where.pitch
        c.equal({rows[y][x + 5], rows[y + dy - 1][x + dx - 2], rows[y + 5][x],
                 rows[y + 5][x + dx - 1]}, {edge}, f"edge of block {block}")
    c.equal(seen(last), draw.COLOURS[2], "pixel of the last page")
    x, y = where.where(last)
    c.equal(rows[y][x + 1], (255, 255, 255), "behind the last page")
    c.equal(where.where(4 * ROW), None, "a row that is folded")
    pixels = [p for row in rows[where.tops[0]:] for p in row]
    # all of the guest's 512 and the one of ROWS, and no more
    c.equal(pixels.count(draw.COLOURS[9]), 513, "pixels of guest-valid")
    _shared(c)


def _shared(c):
    """A table too tall for its picture: of states that share a pixel the
    rarer is seen."""
    used = {i * ROW: (_lo(1, fixed=1), 0) for i in range(4)}
    used[ROW + 1] = (_lo(1), 0)
    keep, draw.TALLEST = draw.TALLEST, 4 * 6
    try:
        picture, where = draw.rmp_picture(_table(used, 4 * ROW))
    finally:
        draw.TALLEST = keep
    c.equal((where.scale, where.block), (4, (8, 4)), "a smaller scale")
    c.equal(where.where(ROW + 1), where.where(ROW), "pages share a pixel")
    for pfn, state in ((ROW + 1, 2), (2 * ROW, 3), (2 * ROW + 4, 0)):
        c.equal(picture.colour(*where.where(pfn)), draw.COLOURS[state],
                f"shared pixel of {pfn:#x}")


def _phase(name, seconds, lines, **stats):
    return {"phase": name, "seconds": seconds, "stats": stats,
            "lines": {"console": lines, "guest": 0, "control": 9}}


RECORDED = [
    _phase("one", 0.0, 0, vmexit=0, npf=0, rmpupdate={"success": 0}),
    _phase("two", 2.0, 10, vmexit=0, npf=0,
           rmpupdate={"success": 90, "fail-overlap": 1}),
    _phase("three", 2.5, 10, **{
        "vmexit": 299, "npf": 7, "rmpupdate": {"success": 91,
                                               "fail-overlap": 1},
        "vmgexit": {"0x1": 3}, "vmgexit-msr": {"0x12": 2}}),
]


def phases(c):
    rows, unit, columns = do_timeline.phases(RECORDED)
    c.equal([(p["phase"], p["seconds"], p["axis"]) for p in rows],
            [("one", 2.0, 101), ("two", 0.5, 300)], "phases")
    c.equal(unit, "counted events", "unit")
    c.equal(columns, ["console lines", "RMPUPDATE", "#VMEXIT",
                      "of these #NPF", "VMGEXIT"], "columns")
    c.equal(rows[1]["counts"]["VMGEXIT"], 5, "VMGEXITs of both kinds")
    timeline = json.loads(json.dumps(RECORDED))
    for i, one in enumerate(timeline):
        one["stats"]["instructions"] = {"host": 1000 * i, "3": 10 * i * i}
    rows, unit, columns = do_timeline.phases(timeline)
    c.equal(([p["axis"] for p in rows], unit), ([1010, 1030], "instructions"),
            "axis of instructions")
    c.equal(columns[-2:], ["host insns", "guest insns"], "worlds")

    c.equal(draw.axis([1, 0, 2, 1], 400), [(0, 100), (100, 100), (100, 300),
                                           (300, 400)], "parts of the axis")
    c.equal(draw.axis([0, 0], 400), [(0, 0), (0, 0)], "an axis of nothing")
    bars = [draw.log_bar(1 << i, 1 << 20, 100) for i in range(21)]
    c.equal(bars == sorted(set(bars)) and bars[-1] <= 100, True, "bars grow")
    c.equal((draw.log_bar(0, 9, 100), draw.log_bar(1, 1 << 40, 100) > 0),
            (0, True), "the shortest bars")
    rows, unit, columns = do_timeline.phases(RECORDED)
    picture, at = draw.timeline_picture("t", unit, rows, columns)
    _, _, pixels = unpng(picture.encode())
    c.equal(picture.missing, set(), "letters without a glyph")
    for i, (left, right) in enumerate(draw.axis([101, 300], at["width"])):
        for x in (left, right - 1):
            c.equal(pixels[at["axis"]][at["left"] + x], draw.PHASE[i],
                    f"axis at {x}")
    one = pixels[at["rows"][1] + 6]
    c.equal(one.count(draw.PHASE[1]),
            14 + sum(draw.log_bar(n, 299, draw.BAR)
                     for n in rows[1]["counts"].values()), "bars of a phase")


class FakeMonitor:
    """Answers what a Recorder asks, from a table of 512 pages."""

    def __init__(self, where, entries):
        self.where, self.raw = where, _raw(entries, 512)
        self.said, self.events, self.dead = [], [], False
        self.status = "running"

    def find(self, _type):
        return "/psp"

    def get(self, _path, name):
        if self.dead:
            raise say.Failed("the machine did not answer")
        return json.dumps({
            "stats": {"vmexit": len(self.said)}, "rmp-histogram": {"0": 1},
            "rmp-summary": {"base": 0x40000000, "end": 0x401fffff,
                            "pages": 512}}[name])

    def command(self, name, **arguments):
        self.said.append(name)
        if name == "query-status":
            return {"status": self.status}
        if name == "pmemsave":
            assert arguments["val"] == 0x40004000 and \
                arguments["size"] == 512 * 16
            (self.where / arguments["filename"]).write_bytes(self.raw)
        return {}


def recorder(c):
    with tempfile.TemporaryDirectory() as tmp:
        where = pathlib.Path(tmp)
        m = FakeMonitor(where, {4: (_lo(1), 0)})
        r = observe.Recorder("self", where)
        r.start(m)
        for port, text in (
                ("console", "[    0.0] Linux version 6.1"),
                ("console", "anything"), ("control", "@lab mark before"),
                ("guest", "[ 0.0] Linux version 6.12"),
                ("guest", "lab-guest: read-end cycles=3"),
                ("guest", "lab-guest: end"), ("control", "@lab mark mine x")):
            r.line(port, text, m)
        c.equal(m.said, ["query-status", "stop", "pmemsave", "cont"],
                "the machine is stopped for the dump, and goes on")
        m.status = "shutdown"
        r.end(m)
        c.equal(m.said[4:], ["query-status", "pmemsave"],
                "a machine that has stopped stays so")
        names = [p["phase"] for p in observe.timeline(where)]
        c.equal(names, ["machine: firmware", "host: kernel", "guest: firmware",
                        "guest: kernel", "guest: power-off", "mark: mine",
                        "end"], "phases recorded")
        c.equal(observe.timeline(where)[-1]["lines"],
                {"console": 2, "guest": 3, "control": 2}, "lines counted")
        c.equal(sorted(observe.moments(where)), ["end", "guest"], "moments")
        t = rmp.read(where / "rmp-guest.gz")
        c.equal((t.base, t.entry(0x4000)["state"], t.header["run"]),
                (0x40000000, "reclaim", "self"), "the dump")
        (where / "files.ext4").write_text("x")
        (where / "rmp-1.raw").write_text("x")
        observe.keep(where)
        c.equal(sorted(p.name for p in where.iterdir()),
                ["rmp-end.gz", "rmp-guest.gz", "timeline.json"], "kept")
        # one that does not answer: no more is recorded, nothing is raised
        m.dead = True
        with contextlib.redirect_stderr(open(os.devnull, "w")):
            r.line("console", "Run /init as init process", m)
            r.end(m)
        c.equal((r.off, len(observe.timeline(where))), (True, 7), "it is off")


REFUSED = [
    (["rmp", "no-such-run"], "no run named"),
    (["rmp", "made", "--at", "never"], "no moment 'never'"),
    (["rmp", "made", "--entry", "here"], "not a physical address"),
    (["rmp", "made", "--entry", "-1"], "not a physical address"),
    (["rmp", "made", "--entry", "0", "--png", "x"], "two requests"),
    (["rmp", "made", "--png", "/nonexistent/x.png"], "No such file"),
    (["rmp", "made", "--png", "."], "Is a directory"),
    (["rmp", "bad"], "is damaged"),
    (["rmp", "other"], "is no dump"),
    (["rmp", "bad", "--png", "FILE"], "is damaged"),
    (["rmp", "deep"], "is no dump"),
    (["rmp", "--list", "--png", "FILE"], "by itself"),
    (["rmp", "--list", "--json"], "by itself"),
    (["rmp", "--list", "made"], "by itself"),
    (["rmp", "made", "--png", "FILE", "--json"], "two requests"),
    (["timeline", "made", "--png", "FILE", "--json"], "two requests"),
    (["timeline", "no-such-run"], "no run named"),
    (["timeline", "bad"], "left no timeline"),
    (["timeline", "made", "--png", "/nonexistent/x.png"], "No such file"),
    (["counts", "--run", "no-such-run"], "no run named"),
    (["counts", "file", "--run", "made"], "two requests"),
]
# Timelines that are none, by the name of their runs.
ONE = {"phase": "end", "seconds": 1, "stats": {},
       "lines": {"console": 1, "guest": 0, "control": 0}}
NO_TIMELINES = {
    "t-empty": {"phases": []}, "t-list": [], "t-word": {"phases": "end"},
    "t-names": {"phases": ["end"]},
    **{f"t-{k}-{i}": {"phases": [ONE, {**ONE, k: v}]} for i, (k, v) in
       enumerate([("phase", 3), ("seconds", "1"), ("seconds", float("nan")),
                  ("lines", {}), ("lines", {**ONE["lines"], "guest": "0"}),
                  ("stats", 3), ("stats", {"vmexit": "3"}),
                  ("stats", {"vmexit": -1}), ("stats", {"vmexit": None}),
                  ("stats", {"rmpupdate": {"success": [1]}})])},
}
NO_SUMMARIES = ["[]", "{}", "3", '{"counts": 3}', "[" * 200000]


def _snp(out, *argv):
    return subprocess.run([paths.LAB / "snp", *argv], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=300,
                          env=dict(os.environ, SNP_OUT=str(out)))


def _inside(out, *argv):
    """The same in this process, which is faster."""
    from lab import cli
    keep, told, bad = (paths.OUT, paths.RUNS), io.StringIO(), io.StringIO()
    paths.OUT, paths.RUNS = out, out / "run"
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(bad):
            status = cli.main(argv)
    finally:
        paths.OUT, paths.RUNS = keep
    return subprocess.CompletedProcess(argv, status, told.getvalue(),
                                       bad.getvalue())


def commands(c):
    """The commands on runs made up here, good and bad."""
    with tempfile.TemporaryDirectory() as tmp:
        out = pathlib.Path(tmp)
        r = _snp(out, "rmp")
        c.equal((r.returncode, len(r.stderr.splitlines())), (2, 1), "no runs")
        for name in ("made", "bad", "other"):
            (out / "run" / name).mkdir(parents=True)
        made = out / "run" / "made"
        rmp.write(made / "rmp-end.gz", _header(512),
                  _raw({9: (_lo(1, asid=3, gpa=GPA), 0x1f)}, 512))
        (made / "timeline.json").write_text(json.dumps({"phases": RECORDED}))
        (out / "run/bad/rmp-end.gz").write_bytes(
            (made / "rmp-end.gz").read_bytes()[:-20])
        (out / "run/bad/timeline.json").write_text("{")
        (out / "run/other/rmp-end.gz").write_bytes(gzip.compress(b"{}\n"))
        file = out / "x.png"
        (out / "run/deep").mkdir()
        (out / "run/deep/rmp-end.gz").write_bytes(
            gzip.compress(b"[" * 200000 + b"\n"))
        refused = [*REFUSED, (["timeline", "t-deep"], "left no timeline")]
        for name, text in [("t-deep", "[" * 200000),
                           *((k, json.dumps(v))
                             for k, v in NO_TIMELINES.items())]:
            (out / "run" / name).mkdir()
            (out / "run" / name / "timeline.json").write_text(text)
            refused += [(argv, "left no timeline") for argv in
                        (["timeline", name], ["counts", "--run", name])]
        for i, text in enumerate(NO_SUMMARIES):
            (out / f"{i}.json").write_text(text)
            refused.append((["counts", str(out / f"{i}.json")],
                            "no summary"))
        for argv, why in refused:
            argv = [str(file) if x == "FILE" else x for x in argv]
            r = _inside(out, *argv)
            lines = r.stderr.splitlines()
            c.equal((r.returncode, len(lines), r.stdout), (2, 1, ""),
                    f"{' '.join(argv)}: {r.stderr.strip()[-200:]}")
            c.equal(why in r.stderr, True, f"{' '.join(argv)}: {r.stderr}")
        c.equal(file.exists(), False, "a picture of a damaged dump")
        e = json.loads(_inside(out, "rmp", "made", "--entry", "0x9000",
                            "--json").stdout)
        c.equal((e["state"], e["asid"], e["gpa"]), ("guest-invalid", 3, GPA),
                "an entry by the command")
        r = _inside(out, "rmp", "made", "--entry", "0x9000")
        c.equal(re.search(r"gpa +0x7654321000000\n", r.stdout) is not None and
                "vmpl0" in r.stdout, True, f"an entry shown: {r.stdout}")
        r = _inside(out, "rmp", "made")
        c.equal(re.search(r"^3 +0 +1$", r.stdout, re.M) is not None, True,
                f"the histogram shown: {r.stdout}")
        r = _inside(out, "counts", "--run", "made", "--json")
        c.equal(json.loads(r.stdout), RECORDED[-1]["stats"], "counters shown")
        for part in ("rmp", "timeline"):
            r = _inside(out, part, "made", "--png", str(file))
            c.equal((r.returncode, r.stderr), (0, ""), part)
            unpng(file.read_bytes())
            file.unlink()
        text = _inside(out, "timeline", "made").stdout
        c.equal("two" in text and "without 'three'" in text, True,
                "phases shown, and what is not")
        r = json.loads(_inside(out, "timeline", "made", "--json").stdout)
        c.equal(r["under-way"], "three", "the phase that had not ended")


def segmented(c):
    """A table in two segments and a layout of the machine's own."""
    lo, mask = _lo(7), (1 << 64) - 1
    turned = (lo << 13 | lo >> 51) & mask
    summary = {"base": 0x1000000, "pages": 4 * 512, "opaque": True,
               "segments": [{"covers": 0, "pages": 512, "at": 1},
                            {"covers": 0x400000, "pages": 512, "at": 2}]}
    raw = rmp.whole(summary, [(0x400000, _raw({3: (0x1f, turned)}, 512)),
                              (0, _raw({5: (0x1f, turned)}, 512))])
    c.equal(raw, _raw({5: (lo, 0x1f), 1024 + 3: (lo, 0x1f)}, 4 * 512),
            "segments put together, words as in family 19h")
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp) / "rmp-now.gz"
        rmp.write(path, _header(4 * 512, segments=summary["segments"]), raw)
        t = rmp.read(path)
    c.equal([t.entry(x)["covered"] for x in (0, 0x1ff000, 0x200000, 0x3ff000,
                                             0x400000, 0x600000)],
            [True, True, False, False, True, False], "covered")


def unit():
    c = decoder()
    segmented(c)
    damaged(c)
    drawing(c)
    phases(c)
    recorder(c)
    commands(c)
    return c.done()


UP = """
modprobe ccp && modprobe kvm_amd || exit 9
audit before
mark up
"""


def _live(c, monitor):
    """A machine that runs, asked by the lab and by the commands."""
    name = monitor.run
    where = paths.RUNS / name
    side = counts.machine(monitor)
    table = rmp.read(observe.dump(monitor, where, "up", name))
    c.equal(table.header["histogram"], table.histogram(),
            "histogram (machine, decoder)")
    states = {}
    for n in table.histogram().values():
        for state, pages in n.items():
            states[state] = states.get(state, 0) + pages
    c.equal({k: v for k, v in side["rmp-summary"]["states"].items() if v},
            states, "states (machine's summary, decoder)")
    # one page of each state, the table's own first and last, one not covered
    picked = {rmp.state_of(lo): pfn for pfn, lo in table.spread()[0].items()}
    for pfn in [*picked.values(), 0, table.base // rmp.PAGE,
                table.end // rmp.PAGE, table.pages]:
        c.equal(table.entry(pfn * rmp.PAGE),
                do_rmp.machine_entry(monitor, pfn * rmp.PAGE),
                f"entry {pfn:#x} (decoder, machine)")
    c.equal(len(picked) > 1, True, "states to compare")
    r = _snp(paths.OUT, "rmp", name, "--entry", hex(table.base), "--json")
    c.equal(json.loads(r.stdout or "{}"), table.entry(table.base),
            f"entry of a live run by the command {r.stderr}")
    r = _snp(paths.OUT, "rmp", name, "--json")
    c.equal(json.loads(r.stdout or "{}").get("histogram"), table.histogram(),
            f"histogram of a live run by the command {r.stderr}")
    r = _snp(paths.OUT, "counts", "--run", name, "--json")
    c.equal(json.loads(r.stdout or "{}").get("rmpupdate"),
            side["stats"]["rmpupdate"], f"live counters {r.stderr}")
    return side


def _left(c, name, table):
    """What the run has left, by the commands."""
    for part in ("rmp", "timeline"):
        with tempfile.TemporaryDirectory() as tmp:
            file = pathlib.Path(tmp) / "x.png"
            argv = [part, name, "--png", str(file)]
            r = _snp(paths.OUT, *argv, *["--at", "up"] * (part == "rmp"))
            c.equal((r.returncode, r.stderr), (0, ""), " ".join(argv))
            _, _, rows = unpng(file.read_bytes())
        if part != "rmp":
            continue
        layout = draw.rmp_picture(table)[1]
        pixels = [p for row in rows[layout.tops[0]:] for p in row]
        firmware = sum(n.get("firmware", 0)
                       for n in table.histogram().values())
        c.equal((layout.scale, pixels.count(draw.COLOURS[3])), (1, firmware),
                "pixels of firmware")
    recorded = observe.timeline(paths.RUNS / name)
    names = [p["phase"] for p in recorded]
    c.equal([n for n in names if n.startswith(("machine", "host", "mark"))],
            ["machine: firmware", "host: kernel", "host: user space",
             "host: firmware and KVM", "mark: up", "host: power-off"],
            "phases")
    return recorded


def on_host():
    c, sides = Checks(), {}

    def on_mark(name, _text, monitor):
        sides[name] = _live(c, monitor)

    h = host.Host(kernels.get("ours"), machine.build().binary,
                  thread="single",
                  extra=traced.arguments())
    r = h.run("seeing.host", UP, timeout=900, on_mark=on_mark)
    if not r.ok() or "up" not in sides:
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.failure()]))
    # the kernel decodes its table by itself
    checks = [(n, ok, seen) for n, ok, seen in
              judge.audits(sides["up"], None, r) if n.startswith("before")]
    c.equal([x for x in checks if not x[1]], [], "the kernel's audit")
    c.equal(len(checks), 3, "answers of the audit")
    recorded = _left(c, r.name, rmp.read(paths.RUNS / r.name / "rmp-up.gz"))
    for name, holds, seen in traced.checks(recorded, r.logs["machine"]):
        c.equal((holds, seen), (True, seen), name)
    last = recorded[-1]["stats"]
    c.equal(last["rmpupdate"]["success"] > 0 and last["psp-commands"] > 0,
            True, "something was counted")
    return c.done()


TURNS = 100000                  # of the guest's loop


def counted_twice():
    binary, kernel = machine.build().binary, kernels.get("debian-13")
    initrd = counted.initrd(kernel, "vmm", TURNS=TURNS)
    seen, console, c = [], [], Checks()
    for n in (1, 2):
        log = say.log_path(f"seeing.counts.{n}.console")
        seen.append(counted.run(binary, kernel, initrd, log))
        text = log.read_text(errors="replace")
        c.equal("counted: exit 5 rcx 0" in text and
                "SEV-SNP enabled" in text, True,
                f"the guest's end: {text[-300:]}")
        console.append(text)
    # Told to power off, a CPU goes on until the machine's other thread has
    # heard of it: what counts is what was before the last world switch.
    rest = [s.pop("instructions") for s in seen]
    c.equal([r["host"] >= s["instructions-switched"]["host"]
             for r, s in zip(rest, seen)], [True, True], "the rest")
    c.equal(console[0], console[1], "the consoles, with their times")
    worlds = dict(seen[0]["instructions-switched"])
    own = worlds.pop("host", 0)
    c.equal(list(worlds.values()), [1 + 2 * TURNS],
            "instructions of the one guest")
    c.equal(own > 1000 * TURNS, True, f"instructions of the host: {own}")
    differ = {k: (seen[0][k], seen[1].get(k)) for k in seen[0]
              if seen[0][k] != seen[1].get(k)}
    c.equal(differ, {}, "counters of the two runs")
    return c.done(f"checks; {own:,} instructions of the host, "
                  f"{1 + 2 * TURNS:,} of its guest, twice")


CASES = [
    Case("seeing.unit", "dumps of the RMP are decoded by the page-state "
         "table, damaged ones refused; the pictures have for each page, "
         "phase and count the pixels they should", unit, order=3, inputs=()),
    Case("seeing.host", "of a host that is up, machine, decoder and the "
         "kernel's audit count the same page states, counters and trace "
         "events are equal, and the commands show it, live and afterwards",
         on_host, order=43),
    Case("seeing.counts", "where instructions are counted, a guest's are the "
         "number its program has, and two boots of a stock host with a guest "
         "have the same counts, of instructions and of everything else",
         counted_twice, order=43, inputs=("machine",)),
]
