# SPDX-License-Identifier: GPL-2.0-or-later
"""The reverse map table as a file: what a run leaves of it, decoded. The
decoder knows the layout from the processor's documentation and shares nothing
with the machine's, so that one can be held against the other.

A dump is a gzip file: one line of JSON (see HEADER), then the table's entries
from physical address 0 on, 16 bytes each, as they lie in memory; of a table in
segments one behind the other, zeros where there is none; of one in a layout of
the machine's own, as they would lie in family 19h's. Entry layout: PPR of
family 19h; the states: machine/include/hw/snp/rmp.h."""

import array
import collections
import gzip
import json
import os
import sys
import zlib

from lab import say

PAGE = 4096
LARGE = 512                     # 4K pages of a 2M entry
ENTRY = 16
BOOKKEEPING = 0x4000            # bytes of the table before its entries
FORMAT = "snp-rmp-1"
# What the first line must have: addresses in bytes, end inclusive, pages of
# 4K covered. "histogram" is the machine's own count, "moment" and "run" say
# where the dump is from.
HEADER = ("format", "base", "end", "pages", "moment", "run", "histogram")
MOST = 1 << 28                  # pages; more is no table of ours

STATES = ("hypervisor", "hv-fixed", "reclaim", "firmware", "context",
          "metadata", "pre-guest", "pre-swap", "guest-invalid", "guest-valid")

ASSIGNED, SIZE_2M, IMMUTABLE = 1, 2, 4
VMSA, VALIDATED, IN_USE = 1 << 61, 1 << 62, 1 << 63
GPA = 0x0007fffffffff000
PERMS = ("read", "write", "execute-user", "execute-supervisor",
         "supervisor-shadow-stack")


def asid_of(lo):
    return lo >> 51 & 0x3ff


def state_of(lo):
    """Index in STATES of an entry with this first word."""
    if not lo & ASSIGNED:
        return 1 if lo & IMMUTABLE else 0
    if asid_of(lo):
        return 6 + (0 if lo & IMMUTABLE else 2) + bool(lo & VALIDATED)
    if not lo & IMMUTABLE:
        return 2
    if lo & VMSA:
        return 4
    return 5 if lo & GPA else 3


def segments(summary):
    """Where entries lie, from a summary or a header: the first page's address
    ("covers"), how many ("pages"), where ("at")."""
    return summary.get("segments") or [
        {"covers": 0, "pages": summary["pages"],
         "at": summary["base"] + BOOKKEEPING}]


def whole(summary, parts):
    """The entries of all pages, from parts (address, entries)."""
    out = bytearray(summary["pages"] * ENTRY)
    for covers, raw in parts:
        at = covers // PAGE * ENTRY
        out[at:at + len(raw)] = raw
    if summary.get("opaque"):
        words = array.array("Q", bytes(out))
        if sys.byteorder == "big":
            words.byteswap()
        # the words change places, the first is turned by 13 bits
        low = [v and (v >> 13 | v << 51) & (1 << 64) - 1 for v in words[1::2]]
        words[1::2], words[0::2] = words[0::2], array.array("Q", low)
        if sys.byteorder == "big":
            words.byteswap()
        return words.tobytes()
    return bytes(out)


class Table:
    def __init__(self, header, words):
        """words: array of two 64-bit words an entry, in this computer's
        order of bytes."""
        self.header = header
        self.base, self.end = header["base"], header["end"]
        self.pages = header["pages"]
        self.low, self.high = words[0::2], words[1::2]

    def _large(self, pfn):
        """Page number of the 2M entry that answers for this page, or None.
        The last region may be covered in part: it cannot have one."""
        first = pfn - pfn % LARGE
        if first + LARGE > self.pages:
            return None
        both = ASSIGNED | SIZE_2M
        return first if self.low[first] & both == both else None

    def spread(self):
        """{page number: first word of the entry that answers for it} of all
        that are not zero; and the set of first pages of 2M entries."""
        out, large = {}, set()
        for pfn, lo in enumerate(self.low):
            if not lo:
                continue
            if pfn % LARGE == 0 and self._large(pfn) is not None:
                large.add(pfn)
            out[pfn] = lo
        for first in large:
            lo = self.low[first]
            out.update((pfn, lo) for pfn in range(first, first + LARGE))
        return out, large

    def histogram(self):
        """{asid: {state: 4K pages}}; "0" are pages without a guest."""
        seen, zero = collections.Counter(), self.pages
        for lo in self.spread()[0].values():
            zero -= 1
            seen[asid_of(lo) if lo & ASSIGNED else 0, state_of(lo)] += 1
        seen[0, 0] += zero
        out = {}
        for (asid, state), n in sorted(seen.items()):
            if n:
                out.setdefault(str(asid), {})[STATES[state]] = n
        return out

    def entry(self, spa):
        """The entry that answers for a physical address, decoded; the same
        keys as the machine's rmp-entry."""
        pfn = spa // PAGE
        covered = any(s["covers"] <= spa < s["covers"] + s["pages"] * PAGE
                      for s in segments(self.header))
        lo = hi = 0
        in_use = False
        if covered:
            first = self._large(pfn)
            at = pfn if first is None else first
            lo, hi = self.low[at], self.high[at]
            in_use = bool(self.high[pfn] & IN_USE)
        gpa = lo & GPA
        large = lo & (ASSIGNED | SIZE_2M) == ASSIGNED | SIZE_2M
        if large:
            gpa = gpa + pfn % LARGE * PAGE & GPA
        return {"spa": spa, "covered": covered, "state": STATES[state_of(lo)],
                "assigned": bool(lo & ASSIGNED), "size-2m": large,
                "immutable": bool(lo & IMMUTABLE), "vmsa": bool(lo & VMSA),
                "validated": bool(lo & VALIDATED), "in-use": in_use,
                "asid": asid_of(lo), "gpa": gpa,
                "perms": [hi >> 8 * i & 0xff for i in range(4)]}


def write(path, header, raw):
    """Makes a dump of the table's bytes, from the entry of address 0 on: the
    whole of it or, with Failed or OSError, nothing."""
    missing = [k for k in HEADER if k not in header]
    if missing:
        raise say.Failed(f"no dump of the RMP without {missing[0]}")
    if len(raw) != header["pages"] * ENTRY:
        raise say.Failed(f"the machine gave {len(raw)} bytes of its RMP, not "
                         f"{header['pages'] * ENTRY}")
    tmp = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with gzip.open(tmp, "wb", compresslevel=3) as f:
            f.write(json.dumps(header).encode() + b"\n")
            f.write(raw)
        tmp.replace(path)
    finally:
        tmp.unlink(missing_ok=True)


def _segments_ok(header):
    """None at all, or each with numbers: see segments()."""
    given = header.get("segments", [])
    return isinstance(given, list) and all(
        isinstance(s, dict) and all(isinstance(s.get(k), int)
                                    for k in ("covers", "pages", "at"))
        for s in given)


def _header(line, path):
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise say.Stop(f"{path} is no dump of an RMP",
                       "lab/snp rmp --list names those there are")
    numbers = [header.get(k) for k in ("base", "end", "pages")]
    if any(k not in header for k in HEADER) or \
            not all(isinstance(n, int) and n >= 0 for n in numbers) or \
            not 0 < header["pages"] <= MOST or not _segments_ok(header):
        raise say.Stop(f"{path} is damaged: its first line makes no sense",
                       "run again")
    return header


def read(path):
    """Table of a dump; Stop if it is none, or not whole."""
    try:
        with gzip.open(path, "rb") as f:
            header = _header(f.readline(1 << 20), path)
            raw = f.read(header["pages"] * ENTRY + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as e:
        raise say.Stop(f"{path} is damaged: {e}", "run again") from e
    if len(raw) != header["pages"] * ENTRY:
        raise say.Stop(f"{path} is damaged: {len(raw)} bytes of entries, not "
                       f"{header['pages'] * ENTRY}", "run again")
    words = array.array("Q", raw)
    if sys.byteorder == "big":
        words.byteswap()
    return Table(header, words)


def rights(mask):
    return " ".join(n for i, n in enumerate(PERMS) if mask >> i & 1) or "none"
