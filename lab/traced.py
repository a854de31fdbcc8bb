# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's trace events, counted: what its counters are held against. A
counter that misses an event, or an event that is missing, is a difference."""

import collections
import re

EVENTS = ("snp_rmpupdate", "snp_psmash", "snp_pvalidate", "snp_rmpadjust",
          "snp_rmpquery", "amd_psp_command", "snp_npf", "snp_vc", "snp_vmgexit",
          "snp_vmgexit_msr", "snp_vmrun", "snp_vmexit")
LINE = re.compile(r"(?:\d+@\d+\.\d+:)?(" + "|".join(EVENTS) + r") (.*)")
# RMPUPDATE's status in EAX, as `stats` names it
STATUS = ("success", "fail-input", "fail-permission", "fail-inuse",
          "fail-overlap", "code-5", "fail-sizemismatch", "fail-badaddr")
# Bits of #NPF's EXITINFO1 that are counted
NPF = {31: "npf-rmp", 34: "npf-private", 35: "npf-sizem", 36: "npf-vmpl"}


def arguments():
    """QEMU's, for all events into its log."""
    return [x for event in EVENTS for x in ("-trace", event)]


def _word(text, key):
    return re.search(rf"(?<!\S){key} (\S+)", text).group(1)


def _owner(text):
    """The counter of whom an RMPUPDATE has given a page to."""
    assigned, asid, fixed = (int(_word(text, k)) for k in
                             ("assigned", "asid", "immutable"))
    if not assigned:
        return "rmpupdate-to-shared"
    if not asid:
        return "rmpupdate-to-firmware"
    return "rmpupdate-to-pre-guest" if fixed else "rmpupdate-to-guest"


def _owner_2m(text):
    """The same for one of 2M, of what the firmware is not given."""
    owner = _owner(text)
    if _word(text, "2M") == "0" or owner == "rmpupdate-to-firmware":
        return None
    return owner.replace("-to-", "-2m-to-")


def _pvalidate(text):
    v, code, same, validate = (int(_word(text, k)) for k in
                               ("v", "code", "unchanged", "validate"))
    if v:
        return "pvalidate-faulted"
    if code:
        return "pvalidate-failed"
    if same:
        return "pvalidate-unchanged"
    return "pvalidate-validated" if validate else "pvalidate-rescinded"


def _one(seen, event, text):
    """Counts one event under the keys that `stats` has for it."""
    if event == "snp_rmpupdate":
        status = STATUS[int(text.split()[-1]) & 7]
        seen["rmpupdate", status] += 1
        if status == STATUS[0]:
            seen[_owner(text),] += 1
            huge = _owner_2m(text)
            if huge:
                seen[huge,] += 1
    elif event == "snp_psmash":
        seen["psmash",] += 1
    elif event == "snp_pvalidate":
        seen[_pvalidate(text),] += 1
    elif event in ("snp_rmpadjust", "snp_rmpquery"):
        seen[event.removeprefix("snp_"),] += 1
    elif event == "amd_psp_command":
        seen["psp-commands",] += 1
        seen["firmware", text.split()[1], text.split()[-1]] += 1
    elif event == "snp_npf":
        seen["npf",] += 1
        info1 = int(_word(text, "info1"), 16)
        for bit, name in NPF.items():
            seen[name,] += info1 >> bit & 1
    elif event == "snp_vc":
        seen["vc", _word(text, "#VC")] += 1
    elif event == "snp_vmgexit":
        seen["vmgexit", _word(text, "event")] += 1
    elif event == "snp_vmgexit_msr":
        seen["vmgexit-msr", hex(int(_word(text, "ghcb"), 16) & 0xfff)] += 1
    elif event == "snp_vmrun":
        seen["vmrun",] += 1
    else:
        seen["vmexit",] += 1
        seen["vmexit-code", _word(text, "code")] += 1
        seen["vmexit-asid", hex(int(_word(text, "asid")))] += 1


def count(lines):
    """{(key of stats, ...): times}, and "vmrun", of a log's lines."""
    seen = collections.Counter()
    for line in lines:
        m = LINE.match(line)
        if m:
            _one(seen, *m.groups())
    return seen


def _flat(stats, prefix=()):
    for key, value in stats.items():
        if isinstance(value, dict):
            yield from _flat(value, (*prefix, key))
        else:
            yield (*prefix, key), value


# What else `stats` has is counted at no event of its own.
KEYS = ("rmpupdate", "rmpupdate-to-guest", "rmpupdate-to-pre-guest",
        "rmpupdate-to-firmware", "rmpupdate-to-shared",
        "rmpupdate-2m-to-guest", "rmpupdate-2m-to-pre-guest",
        "rmpupdate-2m-to-shared", "psmash",
        "pvalidate-validated", "pvalidate-rescinded", "pvalidate-unchanged",
        "pvalidate-failed", "pvalidate-faulted", "rmpadjust", "rmpquery",
        "psp-commands", "firmware", "npf", *NPF.values(), "vc", "vmgexit", "vmgexit-msr",
        "vmexit", "vmexit-code", "vmexit-asid")


def compare(stats, lines):
    """(name, holds, seen) for each counter, of a machine that has stopped.
    Every VMRUN of an ASID ends in a #VMEXIT, and that is all there are."""
    seen = count(lines)
    counted = collections.Counter(dict(_flat(stats)))
    counted["vmrun",] = counted["vmexit",]
    for top in (*KEYS, "vmrun"):
        both = sorted({k for k in (*seen, *counted) if k[0] == top})
        bad = [f"{'.'.join(k[1:]) or top}: {counted[k]} counted, {seen[k]} "
               "traced" for k in both if counted[k] != seen[k]]
        known = top == "vmrun" or top in stats
        yield (f"machine: {top} as traced", known and not bad,
               "; ".join(bad[:3]) or
               (str(sum(seen[k] for k in both)) if known else "no counter"))


def checks(recorded, log):
    """The same, of a run's timeline and its machine's log; and that something
    was there to be counted."""
    ended = recorded[-1]["phase"] == "end"
    yield "machine: counted to its end", ended, recorded[-1]["phase"]
    with open(log, errors="replace") as f:
        yield from compare(recorded[-1]["stats"], f)


def guest_checks(recorded, log):
    """checks() of an SNP guest's run: of what each such has, there was some."""
    stats = recorded[-1]["stats"]
    total = dict(_flat(stats))
    for key in ("vmexit", "npf", "npf-private", "rmpupdate-to-guest",
                "rmpupdate-to-pre-guest", "pvalidate-validated",
                "pvalidate-rescinded", "psp-commands"):
        yield f"machine: some {key}", bool(total.get((key,))), \
            total.get((key,), 0)
    for key in ("vc", "vmgexit", "vmgexit-msr", "vmexit-asid"):
        yield f"machine: some {key}", bool(stats.get(key)), \
            len(stats.get(key, ()))
    for key in ("vmexit-code", "vmexit-asid"):
        n = sum(stats.get(key, {}).values())
        yield f"machine: each #VMEXIT has its {key}", \
            n == stats.get("vmexit"), n
    yield from checks(recorded, log)
