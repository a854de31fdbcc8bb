# SPDX-License-Identifier: GPL-2.0-or-later
"""What must have been seen for a run to be good: one function a promise.
Each yields (name, holds, what was seen)."""

import re

from lab import counts, guest, host

CMDLINE = {"console", "root", "init", "panic", "rdinit"}
# OVMF's kernel loader adds this one by itself.
BY_FIRMWARE = {"initrd"}
BY_LOADER = {"BOOT_IMAGE"}          # and this one GRUB
CONVERSIONS = 1000
CYCLES = 6
# of virtio-serial: two of each of its ports, and two more
QUEUES = 2 * (guest.PORTS + 1)
NAE_AP_RESET_HOLD = 0x80000004
NAE_AP_CREATION = 0x80000013


def said(result, key):
    """Everything the host's script said under a key."""
    return [s[len(key):].strip() for s in result.says
            if s == key or s.startswith(key + " ")]


def first(result, key, default=""):
    return (said(result, key) or [default])[0]


# What a host's kernel calls each kind when it has enabled it.
ENABLED = {"snp": "SEV-SNP", "sev-es": "SEV-ES", "sev": "SEV"}


def tainted(result):
    """What the host says of its kernel's taint, if it is an oops or a warning,
    or it says nothing; else "". Tests that a kernel has built in taint it, too."""
    text = first(result, "tainted", "-1")
    taint = int(text) if text.lstrip("-").isdigit() else -1
    bad = taint < 0 or taint & (1 << 7 | 1 << 9)
    return f"taint {taint}" if bad else ""


def host_lines(result, kind):
    kinds = {kind, "snp"} if kind in ENABLED else set()
    for name, pattern in (
            ("host: RMP table", r"SEV-SNP: (?:RMP|Segmented RMP base) table "
             r"physical range \[.*"),
            ("host: SNP firmware", r"SEV-SNP API:\S+ build:\S+"),
            *((f"host: {ENABLED[k].removeprefix('SEV-')} enabled",
               rf"\b{ENABLED[k]} enabled \(ASIDs [^)]*\)")
              for k in ENABLED if k in kinds)):
        if kinds:
            m = re.search(pattern, result.console)
            yield name, bool(m), m.group() if m else "not printed"
    bad = result.bad_lines()
    yield "host: no warning", not bad, bad[0] if bad else "none"
    yield ("host: not tainted", not tainted(result),
           "taint " + first(result, "tainted", "-1"))


def guest_lines(stream, smp, disk, kind):
    console = [line for event, line in stream if not event]
    text = "\n".join(console)
    if kind in ENABLED:
        m = re.search(r"Memory Encryption Features active: (.*)", text)
        yield (f"guest: {ENABLED[kind].removeprefix('SEV-')} active",
               bool(m) and m.group(1).split() ==
               ["AMD", *guest.KINDS[kind].features],
               m.group(1) if m else "not printed")
    m = re.search(r"lab-guest: cpus online=\S* count=(\d+)", text)
    yield (f"guest: {smp} vCPU up", bool(m) and int(m.group(1)) == smp,
           m.group(1) if m else "not printed")
    sums = dict(re.findall(r"lab-guest: disk cpu=(\d+) sha256=([0-9a-f]{64})",
                           text))
    good = (len(sums) == smp and set(sums) == {str(i) for i in range(smp)} and
            set(sums.values()) == {disk})
    yield ("guest: disk read on each vCPU", good,
           f"{len(sums)} of {smp} checksums" +
           ("" if good else f", {sorted(set(sums.values()))}"))
    bad = [x for x in console if host.BAD_LINES.search(x)]
    yield "guest: no warning", not bad, bad[0].strip() if bad else "none"
    if kind == "snp":
        n = counts.conversions(stream)
        yield (f"guest: {CONVERSIONS} pages private-shared-private",
               n >= CONVERSIONS, f"{n} while it read")
    elif kind in ENABLED:
        # its host is not told of C-bits: the guest's own word
        m = re.search(r"lab-guest: read-end cycles=(\d+)", text)
        n = int(m.group(1)) if m else 0
        yield (f"guest: queues private-shared-private {CYCLES} times",
               n >= CYCLES, f"{n} while it read")
    done = "lab-guest: end" in text and "reboot: Power down" in text
    yield ("guest: powered off by itself", done,
           "yes" if done else last_words(console))


def cycled(stream):
    """By QEMU's events the memory of each queue of the guest's virtio-serial
    was made private and shared again as often as the guest says that it took
    the device from its driver and gave it back."""
    text = "\n".join(line for event, line in stream if not event)
    m = re.search(r"lab-guest: read-end cycles=(\d+)", text)
    n = int(m[1]) if m else 0
    done = counts.converted(stream)
    seen = {to: ([to for to, _ in done].count(to),
                 sum(len(pages) for x, pages in done if x == to))
            for to in ("private_to_shared", "shared_to_private")}
    times, pages = seen["private_to_shared"]
    yield (f"guest: queues private-shared-private {CYCLES} times", n >= CYCLES,
           f"{n} by the guest")
    # what was shared before the first cycle does not go all the way in it
    full = counts.conversions(stream)
    yield (f"guest: {QUEUES} queues each time by QEMU's events",
           n > 0 and set(seen.values()) == {(n * QUEUES, pages)} and
           pages % n == 0 and full == pages // n * (n - 1) > 0,
           f"{n} times; events, pages: {seen}; {full} all the way")


def device(stream, result, kind, net):
    """What the guest has its disk by, or what it was sent by the network. net:
    the digest of that."""
    text = "\n".join(line for event, line in stream if not event)
    if kind == "scsi":
        m = re.search(r"lab-guest: end disk=(\w+)", text)
        yield ("guest: disk by virtio-scsi", bool(m) and m[1].startswith("sd"),
               m[1] if m else "not printed")
    if net is None:
        return
    m = re.search(r"lab-guest: net \w+ sha256=([0-9a-f]{64}) received=(\d+)",
                  text)
    yield ("guest: sent by the network", bool(m) and m[1] == net,
           f"{m[2]} bytes received" if m and m[1] == net else
           m.group() if m else "not printed")
    seen = first(result, "vhost", "none")
    yield ("host: its queues are " + ("vhost's" if kind == "vhost-net" else
                                      "QEMU's"),
           (seen == "1") == (kind == "vhost-net"), f"{seen} of vhost")


def last_words(console):
    lines = [x.strip() for x in console if x.strip()]
    return "last line: " + (lines[-1] if lines else "none")


def cmdlines(result, stream, given=""):
    """given: what the host's kernel was given beside that"""
    yield from _cmdline("host", first(result, "cmdline"),
                        CMDLINE | {w.split("=")[0] for w in given.split()})
    text = "\n".join(line for event, line in stream if not event)
    m = re.search(r"Kernel command line: (.*)", text)
    yield from _cmdline("guest", m.group(1) if m else "",
                        CMDLINE | BY_FIRMWARE | BY_LOADER)


def _cmdline(who, text, allowed):
    extra = [w for w in text.split() if w.split("=")[0] not in allowed]
    yield (f"{who}: plain command line", bool(text) and not extra,
           text.strip() or "not printed")


def cross(before, after, hist, says, stream, lost, smp, kind="snp"):
    """The machine's counts against KVM's tracepoints, guest_memfd's pages and
    QEMU's launch pages. Every difference fails."""
    if not before or not after:
        yield "counts: the machine answers", False, "no PSP device"
        return
    delta = difference(before["stats"], after["stats"])
    yield ("counts: no tracepoint lost", not lost, f"{lost} dropped")
    exits = sum(hist.get("kvm_exit", {}).values())
    seen = {k: delta.get(f"vmexit-{k}", 0) for k in ENABLED}
    yield (f"counts: #VMEXITs as KVM's, all of {ENABLED[kind]}",
           0 < exits == seen[kind] == delta.get("vmexit"),
           f"{exits}" if exits == seen[kind] else
           f"{exits} by KVM, {seen} of {delta.get('vmexit')} by the machine")
    nae, msr = counts.vmgexits(hist)
    if kind != "snp":
        yield from _legacy(before, after, delta, stream, smp, kind)
    for name, seen, kvm in (("GHCB", delta.get("vmgexit", {}), nae),
                            ("MSR", delta.get("vmgexit-msr", {}), msr)):
        gone = seen.pop("lost", 0)
        seen = {int(k, 0): v for k, v in seen.items() if v}
        differ = {hex(k): (seen.get(k, 0), kvm.get(k, 0))
                  for k in set(seen) | set(kvm)
                  if seen.get(k, 0) != kvm.get(k, 0)}
        yield (f"counts: VMGEXITs by {name} event as KVM's",
               bool(kvm) == (kind != "sev") and not differ and not gone,
               f"{sum(kvm.values())} of {len(kvm)} kinds" +
               (f", (machine, KVM) differ: {differ}" if differ else ""))
    if kind == "sev-es":
        held = nae.get(NAE_AP_RESET_HOLD, 0)
        yield ("guest: vCPUs started from their reset hold", held >= smp - 1,
               f"{held} requests")
    if kind != "snp":
        return
    pages = counts.gmem_pages(hist, says)
    updates = counts.to_guest(delta)
    # Each vCPU's first VMSA is a page of the host's, not of guest_memfd. A
    # host that backs it with 2M may have pages that the guest never got.
    huge = delta.get("rmpupdate-2m-to-guest", 0)
    most = pages + smp
    yield ("counts: pages given to the guest as guest_memfd's",
           0 < updates <= most if huge else 0 < pages and updates == most,
           f"{updates} given, {huge} times {counts.PER_2M} of them at once, "
           f"{pages} pages and {smp} VMSAs")
    launch = counts.launch_pages(stream)
    done = counts.launched(delta)
    commands = counts.firmware(delta, "SNP_LAUNCH_UPDATE")
    some = commands + (counts.PER_2M - 1) * delta.get(
        "rmpupdate-2m-to-pre-guest", 0)
    yield ("counts: launch pages as QEMU's",
           launch > 0 and done == some == launch + smp,
           f"{done} given, {some} by firmware in {commands} commands, {launch} "
           f"by QEMU and {smp} VMSAs")
    made = nae.get(NAE_AP_CREATION, 0)
    yield ("guest: vCPUs started by AP creation", made >= smp - 1,
           f"{made} requests")


def measured(before, after, expected):
    """An SNP guest's launch digest: the one of one launch that the firmware
    finished, against the one computed from what the guest was made of."""
    try:
        was, now = (x["guests"]["snp-launched"] for x in (before, after))
        seen = after["guests"]["snp-digests"][-1]
    except (KeyError, IndexError, TypeError):
        was = now = 0
        seen = "none"
    yield ("launch: digest as computed outside",
           now == was + 1 and seen == expected.hex(),
           seen[:32] + "..." if now == was + 1 and seen == expected.hex() else
           f"{now - was} launches, the last of {seen}; computed "
           f"{expected.hex()}")


# The commands of a guest's life, each once. A guest that is asked for its
# measurement with no room for it is told the length first.
LIFE = ("LAUNCH_START", "ACTIVATE", "LAUNCH_MEASURE", "LAUNCH_FINISH",
        "DEACTIVATE", "DECOMMISSION")


def _legacy(before, after, delta, stream, smp, kind):
    """Of guests without SNP: what the firmware did for one of them."""
    done = {c: counts.firmware(delta, c) for c in LIFE}
    yield ("counts: each launch command once", set(done.values()) == {1},
           f"{done}" if set(done.values()) != {1} else f"{len(LIFE)} commands")
    vmsas = smp if kind == "sev-es" else 0
    seen = counts.firmware(delta, "LAUNCH_UPDATE_VMSA")
    yield ("counts: a VMSA for each vCPU of SEV-ES, else none", seen == vmsas,
           f"{seen}")
    given = counts.launch_bytes(stream)
    was, now = (x["guests"].get("sev-bytes-measured", 0)
                for x in (before, after))
    yield ("counts: bytes measured as QEMU's",
           0 < given == now - was - vmsas * counts.PAGE,
           f"{now - was} by firmware, {given} by QEMU and {vmsas} VMSAs")
    updates = counts.to_guest(delta)
    yield ("counts: no RMPUPDATE to a guest", updates == 0, f"{updates}")


def _with_entries(summary):
    """The machine's count of states. Memory of no segment counts as the
    hypervisor's there; for the kernel it has no entries, and counts as none."""
    states = dict(summary.get("states", {}))
    parts = summary.get("segments")
    if parts:
        end = max(s["covers"] // counts.PAGE + s["pages"] for s in parts)
        states["hypervisor"] -= end - sum(s["pages"] for s in parts)
    return states


def audits(before, after, result):
    """Our own kernel's audit of the RMP, before the guest and after it: its
    word on itself, and the same census as the machine's."""
    for when, side in (("before", before), ("after", after)):
        lines = said(result, f"audit-{when}")
        word = lines[-1] if lines else "the kernel has no audit"
        yield f"{when}: audit balanced", word == "BALANCED", word
        seen = dict(x.rsplit(" ", 1) for x in lines if " " in x)
        yield (f"{when}: audit has no page leaked", seen.get("leaked") == "0",
               f"{seen.get('leaked', 'nothing')} leaked")
        if side is None:
            continue
        states = _with_entries(side.get("rmp-summary", {}))
        differ = {k: (int(seen[k]), v) for k, v in states.items()
                  if k in seen and int(seen[k]) != v}
        yield (f"{when}: audit counts the pages the machine counts",
               "hypervisor" in seen and "firmware" in states and not differ,
               f"(kernel, machine) differ: {differ}" if differ else
               f"{states.get('firmware')} firmware pages")


def difference(before, after):
    """after - before of nested counters."""
    out = {}
    for key, value in (after or {}).items():
        old = (before or {}).get(key)
        if isinstance(value, dict):
            out[key] = difference(old if isinstance(old, dict) else {}, value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            out[key] = value - (old or 0)
        else:
            out[key] = value
    return out


def enciphered(before, after, asked, kind="snp"):
    """With memory encryption each page that RMPUPDATE gave to the guest was
    transformed, and transformed back; without it none ever was. Guests without SNP
    claim their pages, as often as they please: as often they are given back."""
    what = "memory: " + ("each page enciphered for the guest, and back" if asked
                         else "no page enciphered")
    try:
        was, now = (x["stats"]["cipher"] for x in (before, after))
        to_owner, to_raw = (now[k] - was[k]
                            for k in ("pages-to-owner", "pages-to-raw"))
        given = counts.to_guest(difference(before["stats"], after["stats"])) \
            if kind == "snp" else to_owner
    except (KeyError, TypeError):
        yield what, False, "the machine does not say"
        return
    good = to_owner == to_raw == (given if asked else 0)
    yield (what, good and bool(to_owner) == asked,
           f"{to_owner} pages, {to_raw} back, {given} given")


def outside(result, asked):
    """The host looked at the firmware in a guest's memory, while it ran: with
    memory encryption no block of it is what the file has, without it each is."""
    seen = first(result, "outside", "nothing seen")
    m = re.fullmatch(r"(\d+) of (\d+)", seen)
    yield ("memory: the guest's firmware is " +
           ("ciphertext" if asked else "plaintext") + " to the host",
           bool(m) and int(m[1]) == (int(m[2]) if asked else 0),
           f"{seen} blocks differ from the file" if m else seen)


def self_checked(before, after, asked):
    """Asked for, the machine compared what it has cached with the RMP while
    the guest ran; else it did not, and the run was that of others."""
    try:
        n = after["stats"]["self-check"] - before["stats"]["self-check"]
    except (KeyError, TypeError):
        n = -1
    yield ("machine: " + ("checked itself" if asked else "no self-check"),
           n > 0 if asked else n == 0,
           f"{n} comparisons" if n >= 0 else "the machine does not say")


def rmp_after(before, after):
    """After the guest nothing of it may be left, as the machine sees it."""
    if not before or not after:
        yield "after: the machine answers", False, "no PSP device"
        return
    try:
        asids = after["rmp-summary"]["asids"]
        was, now = (x["rmp-summary"]["states"] for x in (before, after))
        contexts = after["guests"]["snp"] + after["guests"]["sev"]
    except KeyError as e:
        yield "after: the machine answers", False, f"no {e} in its answer"
        return
    yield ("after: no page owned by a guest", asids == {},
           f"{sum(asids.values())} entries with an ASID")
    more = {k: (was.get(k), now[k]) for k in now
            if k != "hypervisor" and now[k] != was.get(k)}
    yield ("after: no firmware page beyond those before", not more,
           f"(before, after): {more}" if more else
           f"{now.get('firmware')} as before")
    yield "after: no guest context", not contexts, f"{len(contexts)}"
    bound = [g["asid"] for g in contexts if g.get("asid")]
    yield "after: no ASID bound", not bound, f"{bound or 'none'}"
