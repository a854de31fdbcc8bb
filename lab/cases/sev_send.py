# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that SEV guests can be sent and received: by the ioctls of a stock
host's KVM, to the platform itself and, since that could be wrong on both sides,
to one that OpenSSL plays and from one. lab/sev_send.c is the VMM.

On stock hosts guests are received where there is SEV, and not SNP: with it
upstream's KVM gives the driver the address of the guest's page with the C-bit,
which the driver takes for a part of the page's number (7.2 and 6.12; -EFAULT)."""

import pathlib
import re
import tempfile

from lab import (build, chip, host, judge, kernels, lock, machine, paths, say,
                 sevowner)
from lab.cases import Case, CaseFailed

NEWEST = "debian-backports"
SCRIPT = """
modprobe ccp && modprobe kvm_amd || exit 9
cd /lab
say "snp $(cat /sys/module/kvm_amd/parameters/sev_snp)"
for mode in %s; do
	echo "@@ begin $mode"
	timeout 100 ./sev_send $mode 2>&1
	printf '\\n@@ end %%s %%s\\n' $mode $?
done
say "tainted $(cat /proc/sys/kernel/tainted)"
exit 0
"""
POLICY = 1
TEXT = bytes(i * 5 + (i >> 7) & 0xff for i in range(4096))


def program():
    where = paths.OUT / "sev-send"
    where.mkdir(exist_ok=True)
    say.run(["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-static", "-s",
             "-o", where / "sev_send", paths.LAB / "sev_send.c"], "sev-send")
    return where / "sev_send"


def boot(name, on, modes, given, snp):
    """{mode: what it printed}, and how many checks passed. given: {name: bytes} of files. Without snp the
    host's IOMMU passes through, which Linux takes SNP back for."""
    build.prepare()
    with lock.building():
        binary = machine.build().binary
    h = host.Host(kernels.get(on), binary, thread="single",
                  psp=[f"chip={chip.make('1')}", "seed=7"])
    with tempfile.TemporaryDirectory() as top:
        files = {"sev_send": program()}
        for n, data in given.items():
            files[n] = pathlib.Path(top) / n
            files[n].write_bytes(data)
        r = h.run(name, SCRIPT % " ".join(modes), files,
                  cmdline="" if snp else "iommu=pt", timeout=400)
    bad = r.bad_lines()[:3]
    if judge.first(r, "snp") != ("Y" if snp else "N"):
        bad.append(f"SNP: {judge.first(r, 'snp')}")
    if not r.ok():
        bad += r.failure()
    if judge.tainted(r):
        bad.append(judge.tainted(r))
    found, count = {}, 0
    for mode in modes:
        m = re.search(rf"^@@ begin {mode}\n(.*?)\n@@ end {mode} (\d+)$",
                      r.control.replace("\r", ""), re.M | re.S)
        found[mode] = m[1].rstrip() if m else ""
        good = len(re.findall(r"^ok ", found[mode], re.M))
        bad += [f"{mode}: {x}" for x in
                re.findall(r"^not ok .*", found[mode], re.M)[:5]]
        if not m or m[2] != "0" or not found[mode].endswith(f"\n1..{good}"):
            bad.append(f"{mode}: {good} checks, status "
                       f"{m[2] if m else 'none'}: {found[mode][-99:]}")
        count += good
    if bad:
        raise CaseFailed("\n".join(bad))
    return found, count


def printed(text):
    return {m[1]: bytes.fromhex(m[2])
            for m in re.finditer(r"^@(\w+) ([0-9a-f]+)$", text, re.M)}


def itself(name, on, snp=False):
    _, count = boot(name, on, ["self"], {}, snp=snp)
    return f"{count} checks"


def others():
    """The guest goes to a platform that the lab plays, then one comes from
    there; the platform's keys are those of its seed, in both boots."""
    target = sevowner.Platform("a platform of the lab's")
    found, n = boot("sev.send", NEWEST, ["to"],
                    {"pdh": target.pdh, "chain": target.chain}, snp=True)
    sent, bad = printed(found["to"]), []
    got = target.receive(sent["pdh"], sent["session"], POLICY)
    if not got:
        raise CaseFailed("the session does not open, for OpenSSL")
    if got.open(sent["header"], sent["packet"]) != sent["memory"]:
        bad.append("what OpenSSL finds in the packet is not the page")
    if got.open(sent["header"], chip.flipped(sent["packet"], 77)) is not None:
        bad.append("a packet with a bit flipped opens")
    if target.receive(sent["pdh"], sent["session"], POLICY ^ 1):
        bad.append("the session opens with another policy")
    session = sevowner.Session(sent["pdh"], POLICY)
    header, packet = session.packet(sevowner.DATA, TEXT)
    found, more = boot("sev.send", NEWEST, ["self", "from"], {
        "pdh": session.cert, "session": session.data, "header": header,
        "packet": packet}, snp=False)
    if printed(found["from"])["memory"] != TEXT:
        bad.append("the guest's memory is not what OpenSSL sent")
    if bad:
        raise CaseFailed("\n".join(bad))
    return (f"{n + more} checks; OpenSSL opens what is sent, and "
            "sends what is received")


CASES = [
    Case("sev.send", "the newest stock host's KVM sends a SEV guest to the "
         "platform it is on, where its memory is the same: a bit of session or "
         "packet flipped and another policy are refused, so is a guest that "
         "may not be sent; a platform that OpenSSL plays opens what is sent to "
         "it, and sends a guest that is received", others, order=44,
         inputs=("machine",)),
    Case("sev.send.debian-13", "Debian 13's KVM sends a SEV guest to the "
         "platform it is on, as the newest does",
         lambda: itself("sev.send.debian-13", "debian-13"), order=44,
         inputs=("machine",)),
    Case("sev.send.ours", "our KVM sends a SEV guest to the platform it is on, "
         "with SNP on, where upstream's kernels receive nothing",
         lambda: itself("sev.send.ours", "ours", snp=True), order=44),
]
