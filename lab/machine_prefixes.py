# SPDX-License-Identifier: GPL-2.0-or-later
"""Does QEMU build after each of the machine's repairs, and does the test of
each fail before it and pass after? One working tree is taken from patch to
patch, so that only what changed is compiled; what came of each is remembered by
a digest of the patches up to it and of the tests."""

import json

from lab import lock, machine, repairs, say, stamp, style, tree

TOP = machine.TOP / "prefix"
DONE = TOP / "done.json"
TITLE = "machine after {} repairs"


def names():
    """Patches that come before the one that the new files enter with."""
    out = []
    for name in tree.series(machine.SERIES):
        if style.ENTERS in name:
            return out
        out.append(name)
    raise say.Failed(f"no patch is named *{style.ENTERS}*")


class _Tree(tree.Tree):
    """The source with the first `count` patches, and no new files."""

    def __init__(self, count):
        super().__init__(machine.unpack(), TOP / "src", [], machine.SERIES)
        self.count = count

    def series(self):
        return super().series()[:self.count]


def _binary(count):
    _Tree(count).sync()
    where, title = TOP / "build", TITLE.format(count)
    machine.configure("prefix", title, TOP / "src", where)
    machine.ninja("prefix", title, where, "qemu-system-x86_64")
    return where / "qemu-system-x86_64"


def _failing(binary, rows):
    """Titles of the rows whose tests fail on binary."""
    return [r.title for r in rows
            if not repairs.passes(r.test, r.title, binary)]


def _one(count, rows, at):
    """What is wrong with the patch that is number `count`, a list; at: how many
    patches the last binary has, or None."""
    tested = [r for r in rows if r.test != "-"]
    if tested and at != count - 1:
        _binary(count - 1)
    binary = TOP / "build/qemu-system-x86_64"
    must = [r for r in tested if not r.without.startswith(repairs.MAY_PASS[0])]
    failed = _failing(binary, must) if must else []
    bad = [f"passes without it: {r.title}" for r in must
           if r.title not in failed]
    return bad + [f"fails with it: {t}"
                  for t in _failing(_binary(count), tested)]


def _known():
    try:
        return json.loads(DONE.read_text())
    except (OSError, ValueError):
        return {}


@lock.alone
def check():
    """[(patch, what is wrong, a list)] of all, those remembered included. A
    patch with which QEMU does not build ends it (say.Failed)."""
    TOP.mkdir(parents=True, exist_ok=True)
    known, out, at = _known(), [], None
    key = stamp.digest(repairs.TESTS, machine.CONFIGURE)
    all_rows = repairs.rows()
    for n, name in enumerate(names(), 1):
        rows = [r for r in all_rows if r.patch == name[:4]]
        key = stamp.digest(key, machine.SERIES / name, rows)
        if key not in known:
            wrong = _one(n, rows, at)
            at = n
            if wrong:
                out.append((name, wrong))
                continue
            known[key] = name
            DONE.write_text(json.dumps(known, indent=1))
        out.append((name, []))
    return out
