# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts of one run from three sides: the machine, KVM's tracepoints in the
host, and the host's QEMU. The checks compare them; none is taken on trust."""

import collections
import json
import re

from lab import platform, say

PAGE = 4096
HIST = re.compile(r"^\{ (.*?) \} hitcount:\s+(\d+)")
CONVERT = re.compile(r"kvm_convert_memory start (0x[0-9a-f]+) size "
                     r"(0x[0-9a-f]+) (\S+)")
LAUNCH = re.compile(r"kvm_sev_snp_launch_update src \S+ gpa (0x[0-9a-f]+) "
                    r"len (0x[0-9a-f]+) \((.*) page\)")
UPDATE = re.compile(r"kvm_sev_launch_update_data addr \S+ len (0x[0-9a-f]+)")


def machine(monitor):
    """What the PSP device tells: its JSON properties, parsed."""
    psp = monitor.find(platform.PSP)
    if psp is None:
        return None
    out = {}
    for name in ("stats", "rmp-summary", "guests"):
        try:
            out[name] = json.loads(monitor.get(psp, name))
        except (say.Failed, ValueError, TypeError) as e:
            out[name] = {"error": str(e)}
    try:
        out["readings"] = monitor.get(psp, "readings")
    except say.Failed:
        out["readings"] = None      # a machine that has no such thing
    return out


def firmware(stats, command):
    """Commands of a name the firmware carried out."""
    return stats.get("firmware", {}).get(command, {}).get("SUCCESS", 0)


def asked(stats, *commands):
    """Commands of these names, whatever the firmware made of them."""
    return sum(sum(stats.get("firmware", {}).get(c, {}).values())
               for c in commands)


PER_2M = 512


def _pages(stats, *to):
    """4K pages that RMPUPDATE gave to these."""
    return sum(stats.get(f"rmpupdate-to-{k}", 0) +
               (PER_2M - 1) * stats.get(f"rmpupdate-2m-to-{k}", 0) for k in to)


def to_guest(stats):
    """4K pages that RMPUPDATE gave to a guest, launch pages included."""
    return _pages(stats, "guest", "pre-guest")


def launched(stats):
    """4K pages that RMPUPDATE gave to a guest for the firmware to measure."""
    return _pages(stats, "pre-guest")


PAGE_CACHE = "mm_filemap_add_to_page_cache"


def histograms(control):
    """{event: {(key values): hits}} from what the host printed."""
    out, event = {}, None
    for line in control.splitlines():
        if line.startswith("@hist "):
            event = out.setdefault(line[6:], {})
        elif line.startswith("@hist-end"):
            event = None
        elif event is not None:
            m = HIST.match(line)
            if m:
                keys = tuple(int(v.split(":")[1].strip().split()[0], 0)
                             for v in m.group(1).split(","))
                event[keys] = int(m.group(2))
    return out


def dropped(control):
    """Hits a histogram had no room for; any makes the counts worthless. But of
    two CPUs that meet a new key at once one may drop its hit (tracing_map.c),
    as happens with page caches, which are many: were it guest_memfd's, there
    would be fewer pages than the machine gave, which is a check of its own."""
    event, lost = None, 0
    for line in control.splitlines():
        if line.startswith("@hist "):
            event = line[6:]
        m = re.search(r"Dropped: (\d+)", line)
        if m and event != PAGE_CACHE:
            lost += int(m[1])
    return lost


def vmgexits(hist):
    """(events by NAE code, requests by MSR-protocol code) as KVM saw them."""
    nae = {k[0]: n for k, n in hist.get("kvm_vmgexit_enter", {}).items()}
    msr = collections.Counter()
    for (value,), n in hist.get("kvm_vmgexit_msr_protocol_enter",
                                {}).items():
        msr[value & 0xfff] += n
    return nae, dict(msr)


def gmem_pages(hist, says):
    """4K pages that entered a page cache on the device guest_memfd's files
    are on; nothing else on that device has one."""
    devices = {int(s.split()[1]) for s in says if s.startswith("gmem ")}
    return sum(n << order for (dev, order), n in
               hist.get(PAGE_CACHE, {}).items()
               if dev in devices)


EVENT = re.compile(r"(?:\d+@\d+\.\d+:)?kvm_(?:convert_memory|sev_\w+) .*")


def split_guest(text):
    """[(is an event of QEMU's, line)] in order. Console and events share one
    stream, so an event can stand in the middle of a console line: the two
    halves are joined again and stand after the event."""
    out, carry = [], ""
    for line in text.split("\n"):
        m = EVENT.search(line)
        if m:
            carry += line[:m.start()]
            out.append((True, m.group()))
        else:
            out.append((False, carry + line))
            carry = ""
    if carry:
        out.append((False, carry))
    return out


def launch_pages(stream):
    return sum(int(m.group(2), 16) // PAGE
               for m in (LAUNCH.search(x) for event, x in stream if event)
               if m)


def launch_bytes(stream):
    """What QEMU gave a guest without SNP, its VMSAs not included."""
    return sum(int(m.group(1), 16)
               for m in (UPDATE.search(x) for event, x in stream if event)
               if m)


def converted(stream):
    """[(where to, range of 4K pages)] by QEMU's events between the guest's
    marks, in the stream those are in."""
    out, reading = [], False
    for event, line in stream:
        if not event:
            if "lab-guest: reading" in line:
                reading = True
            elif "lab-guest: read-end" in line:
                break
            continue
        m = CONVERT.search(line)
        if m and reading:
            first = int(m.group(1), 16) // PAGE
            out.append((m.group(3), range(first, first +
                                          int(m.group(2), 16) // PAGE)))
    return out


def conversions(stream):
    """4K pages that went private -> shared -> private between the guest's
    marks."""
    shared, full = set(), 0
    for to, pages in converted(stream):
        if to == "private_to_shared":
            shared.update(pages)
        else:
            full += len(shared.intersection(pages))
            shared.difference_update(pages)
    return full
