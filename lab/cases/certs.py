# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves extended guest requests: KVM of the newest stock host, and ours, asks
the VMM for certificates, and stock code in a stock guest gets them with its report, learns
how many pages they take, waits while the host is busy, and gives its key up
where the host fails. No QEMU of Debian's answers KVM: lab/req_certs.c does,
loaded before the stock one."""

import os
import pathlib
import re
import shlex
import tempfile

from lab import (chip, host, judge, kernels, lock, paths, selftests,
                 verifier)
from lab.cases import Case, CaseFailed
from lab.cases.attest import (REPORT, SIGNATURE, UNREADABLE, command,
                              expected, guest_files, prepare, printed)

NEWEST = "debian-backports"
SCRIPT = """
modprobe ccp && modprobe kvm_amd || exit 9
stty -F /dev/ttyS1 raw
%s < /dev/null > /dev/ttyS1 2>&1
say "qemu-status $?"
while read -r line; do say "certs $line"; done < /tmp/certs
say "tainted $(cat /proc/sys/kernel/tainted)"
exit 0
"""
# what each request gets: how many pages; busy twice; the table; by configfs the
# table; a failure
ANSWERS = "-bb--e"
ENOSPC, EAGAIN, EIO = 28, 11, 5
# configfs gives what room the driver has
CONFIGFS_PAGES = 4
# the GHCB's word for a failure of the VMM's: all ones, as KVM has it
FAILURE = "rc: -5, exitinfo2: 0xffffffff00000000"


def asked(npages):
    """What KVM asks of the VMM, and what it is told."""
    rows = [(0, ENOSPC, npages), (npages, EAGAIN, npages),
            (npages, EAGAIN, npages), (npages, 0, npages),
            (CONFIGFS_PAGES, 0, CONFIGFS_PAGES),
            (CONFIGFS_PAGES, EIO, CONFIGFS_PAGES)]
    return ["asked to be asked: 0"] + [
        f"exit {n}: {room} pages at a page: {ret}, {pages}"
        for n, (room, ret, pages) in enumerate(rows, 1)]


def judged(name, blob, certs, ca, expect):
    """A report with the certificates that came with it, and no others. Yields
    what did not hold."""
    for who in ("vcek", "ask", "ark"):
        if chip.der(certs[who]) not in blob[REPORT:]:
            yield f"{name}: no {who.upper()}"
            return
    status, words = verifier.check(blob, ca, expect)
    if status:
        yield f"{name}: go-sev-guest: {status}: {words}"
    vcek = blob.index(chip.der(certs["vcek"]))
    for what, bad in (("a bit of the VCEK", chip.flipped(blob, 8 * vcek + 800)),
                      ("a bit of the report", chip.flipped(blob, 8 * 0x50)),
                      ("no certificates", blob[:REPORT] + bytes(24))):
        status, words = verifier.check(bad, ca, expect)
        if status not in (UNREADABLE, SIGNATURE):
            yield f"{name}: {what}: {status} {words}"


def run(on=NEWEST):
    name = "attest.certs" + ".ours" * (on in kernels.OURS)
    binary, fused = prepare()
    with lock.building():
        preload = selftests.with_certificates()
    certs, ca = chip.read(fused), fused / "certs" / "ca.pem"
    table, nonce = chip.table(certs), os.urandom(64)
    argv = ("env LD_PRELOAD=/lab/certs.so CERTS=/lab/table "
            f"CERTS_ANSWERS={shlex.quote(ANSWERS)} CERTS_LOG=/tmp/certs "
            + command(1, []))
    h = host.Host(kernels.get(on), binary, thread="single",
                  psp=[f"chip={fused}", "api-minor=56"])
    with tempfile.TemporaryDirectory(dir=paths.OUT, prefix="certs-") as tmp:
        top = pathlib.Path(tmp)
        files = guest_files(top, nonce, init="certs")
        (top / "table").write_bytes(table)
        files.update({"table": top / "table", "certs.so": preload})
        r = h.run(name, SCRIPT % argv, files, timeout=900)
    console = r.guest.replace("\r", "")
    if not r.ok() or "lab-guest: end" not in console:
        last = [x for x in console.splitlines() if x.strip()][-8:]
        raise CaseFailed("\n".join([*r.failure(), *last]))
    bad = r.bad_lines()[:3]
    if judge.first(r, "qemu-status", "-1") != "0":
        bad.append(f"qemu-status {judge.first(r, 'qemu-status', '-1')}")
    if judge.tainted(r):
        bad.append(judge.tainted(r))
    seen, want = judge.said(r, "certs"), asked(-(-len(table) // 4096))
    if seen != want:
        bad += [f"KVM asked: {seen}", f"not: {want}"]
    status = {n: int(s) for n, s in
              re.findall(r"lab-guest: (\w+) status (\d+)", console)}
    if status != {"device": 0, "configfs": 0, "failing": 1, "failed": 1}:
        bad.append(f"the guest: {status}")
    if console.count(FAILURE) != 1:
        bad.append(f"the guest's kernel does not say once: {FAILURE}")
    expect = {"report_data": nonce.hex(), "measurement": expected(1).hex(),
              "guest_policy": 0x30000, "minimum_tcb": chip.TCB,
              "chip_id": (fused / "chip-id").read_bytes().hex()}
    for name in ("device", "configfs"):
        bad += judged(name, printed(console, name), certs, ca, expect)
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(seen) - 1} exits for {len(table)} bytes of certificates"


CASES = [
    Case("attest.certs", "KVM of the newest stock host asks for certificates; "
         "a stock guest is told how many pages they take, tries again while "
         "the host is busy, gets them with its report, which Debian's "
         "go-sev-guest verifies with them, and gives its key up when the host "
         "fails", run, order=47, inputs=("machine",)),
    Case("attest.certs.ours", "the same on our host", lambda: run("ours"),
         order=48, inputs=("machine", "linux")),
]
