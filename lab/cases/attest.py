# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves attestation with code that is not ours on both ends: inside a stock
SNP guest Debian's go-sev-guest has the stock kernel's driver fetch a report;
outside, the same package verifies it against the chip's own root; for a report
of version 5 it is sid's. The guest is launched with an ID block for a digest
computed from the firmware image alone, so that a guest other than the expected
one does not even start."""

import base64
import functools
import hashlib
import os
import pathlib
import re
import shlex
import tempfile

from lab import (build, chip, digest, guest, host, hostimage, idblock, image,
                 judge, kernels, lock, machine, paths, verifier)
from lab.cases import Case, CaseFailed

OVMF = "usr/share/ovmf/OVMF.fd"
# the driver seals its messages with gcm(aes), and there is no modprobe
MODULES = ["gcm", "ghash-generic", "tsm", "sev-guest"]
SVN = 3
REPORT = 0x4A0
SIGNED = 0x2A0
# of version 5: at launch, and now
MITIGATIONS = 0x1F8
WITH = (5).to_bytes(8, "little")
# by the version of the ABI that announces reports of that version
FIRMWARE = {3: ["api-minor=56"], 5: ["api-minor=58", "mitigations=5"]}
# what stock QEMU says when an ID block is another guest's
REFUSED = "fw_error=11 "
# go-sev-guest's exit status: a report or chain it cannot read, a signature, a
# field that is not as expected
UNREADABLE, SIGNATURE, FIELD = 1, 2, 5

HOST = """
modprobe ccp && modprobe kvm_amd || exit 9
say "sev_snp $(cat /sys/module/kvm_amd/parameters/sev_snp)"
stty -F /dev/ttyS1 raw
%s < /dev/null > /dev/ttyS1 2>&1 &&
	say "another guest started"
echo "lab: the guest" > /dev/ttyS1
%s < /dev/null > /dev/ttyS1 2>&1
status=$?
say "qemu-status $status"
say "tainted $(cat /proc/sys/kernel/tainted)"
exit $status
"""


def guest_files(where, nonce, newer=False, init="attest"):
    """What the host's script needs: the guest's kernel, initramfs, a disk.
    newer: with the tool of sid's package. init: of lab/guest, what it does."""
    k = guest.kernel()
    base = image.initramfs(paths.OUT / "guest" / f"{init}.cpio",
                           paths.LAB / "guest" / init, k.modules, MODULES)
    more = image.Cpio()
    more.file("nonce", nonce)
    more.file("attest", verifier.tool("attest", newer), 0o755)
    initrd = where / "initrd"
    more.write(initrd)
    data = base.read_bytes()
    initrd.write_bytes(data + b"\0" * (-len(data) % 512) +
                       initrd.read_bytes())
    guest.fresh_disk(where / "disk", 1 << 20)
    return {"guest/vmlinuz": k.vmlinuz, "guest/initrd": initrd,
            "guest/disk": where / "disk"}


def command(smp, options):
    """QEMU's command line with more properties of the confidential guest."""
    argv = guest.command(smp, "512M", "snp")
    at = next(i for i, x in enumerate(argv) if x.startswith("sev-snp-guest,"))
    argv[at] = ",".join([argv[at], *options])
    return shlex.join(argv)


def expected(smp):
    """The launch digest of such a guest, from what it is made of."""
    return digest.launch((hostimage.ROOT / OVMF).read_bytes(), smp)


def judged(report, certs, ca, expect, newer=False):
    """The report passes as it is, and nothing passes that is one bit off.
    newer: sid's package judges. Yields what did not hold."""
    check = functools.partial(verifier.check, newer=newer)
    table = chip.table(certs)
    status, words = check(report + table, ca, expect)
    if status:
        yield f"go-sev-guest: {status}: {words}"
        return
    # every eighth byte of what is signed, and of both numbers
    places = [*range(0, SIGNED, 8), *range(SIGNED, SIGNED + 144, 8)]
    for n, at in enumerate(places):
        bad = chip.flipped(report, 8 * at + n % 8)
        status, words = check(bad + table, ca, expect)
        if status not in (UNREADABLE, SIGNATURE, FIELD):
            yield f"a bit of byte {at:#x} flipped: {status} {words}"
    # without the expectations only the signature can tell
    for at in (0x50, 0x90, 0xC0, 0x140, SIGNED - 0x98 - 0x18):
        status, words = check(chip.flipped(report, 8 * at) + table, ca,
                              {"guest_policy": 0x30000})
        if status != SIGNATURE:
            yield f"byte {at:#x}, signature alone: {status} {words}"
    yield from _chain(report, certs, ca, expect, check)
    other = os.urandom(64).hex()
    for name, value in (("report_data", other),
                        ("report_data", chip.flipped(
                            bytes.fromhex(expect["report_data"]), 77).hex()),
                        ("measurement", "00" * 48), ("host_data", "11" * 32),
                        ("minimum_tcb", chip.TCB + 1)):
        status, words = check(report + table, ca,
                              dict(expect, **{name: value}))
        if status != FIELD:
            yield f"another {name}: {status} {words}"


def _chain(report, certs, ca, expect, check):
    """One bit of a certificate, and certificates of others."""
    der = chip.der(certs["vcek"])
    table = chip.table(certs)
    start = table.index(der)
    for at in range(start + 8, start + len(der), len(der) // 12):
        status, words = check(report + chip.flipped(table, 8 * at), ca,
                              expect)
        if status not in (UNREADABLE, SIGNATURE):
            yield f"VCEK's byte {at - start}: {status} {words}"
    lower = chip.make("1") / "certs" / (chip.vcek_name(chip.LOWER) + ".pem")
    status, words = check(
        report + chip.table(dict(certs, vcek=lower.read_text())), ca, expect)
    if status != SIGNATURE:
        yield f"the VCEK of another TCB: {status} {words}"
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as f:
        for name in ("ask", "ark"):
            raw = chip.der(certs[name])
            # in the key, in the signature; nobody checks a root's own
            places = (len(raw) // 3, len(raw) - 40)
            for at in places[:1 + (name == "ask")]:
                text = base64.encodebytes(chip.flipped(raw, 8 * at)).decode()
                bad = dict(certs, **{name: "-----BEGIN CERTIFICATE-----\n" +
                                     text + "-----END CERTIFICATE-----\n"})
                f.seek(0)
                f.truncate()
                f.write(bad["ask"] + bad["ark"])
                f.flush()
                status, words = check(report + table, f.name, expect)
                if status not in (UNREADABLE, SIGNATURE):
                    yield f"{name.upper()}'s byte {at}: {status} {words}"


def printed(console, name="report"):
    """What the guest printed by that name, a report; b"" if it is not what it
    was there."""
    lines = re.findall(rf"lab-guest: {name} (\S+)\s*$", console, re.M)
    sha = re.search(rf"lab-guest: {name}-sha256 (\w{{64}})", console)
    try:
        report = base64.b64decode("".join(lines), validate=True)
    except ValueError:
        return b""
    good = sha and hashlib.sha256(report).hexdigest() == sha[1]
    return report if good else b""


def prepare():
    """What each case needs: the machine's binary, and a chip's directory."""
    build.prepare()
    with lock.building():
        binary = machine.build().binary
        hostimage.build()
        verifier.build()
        return binary, chip.make("1")


def run(name, host_name, smp, version):
    binary, fused = prepare()
    nonce, host_data = os.urandom(64), os.urandom(32)
    want = expected(smp)
    owner = idblock.Owner("an owner")
    text = base64.b64encode(host_data).decode()
    good = command(smp, [f"host-data={text}", *owner.options(want, SVN)])
    other = command(smp, owner.options(chip.flipped(want, 0), SVN))
    newer = version == 5
    h = host.Host(kernels.get(host_name), binary, thread="single",
                  psp=[f"chip={fused}", *FIRMWARE[version]])
    with tempfile.TemporaryDirectory(dir=paths.OUT, prefix="attest-") as tmp:
        files = guest_files(pathlib.Path(tmp), nonce, newer)
        r = h.run(name, HOST % (other, good), files, timeout=900)
    report = printed(r.guest)
    if not r.ok() or not report:
        last = [x for x in r.guest.splitlines() if x.strip()][-8:]
        raise CaseFailed("\n".join([*r.failure(), *last, "no report came, or "
                                    "not whole"]))
    bad = r.bad_lines()[:3]
    bad += [x.strip() for x in r.guest.splitlines()
            if host.BAD_LINES.search(x)][:3]
    before = r.guest.partition("lab: the guest")[0]
    if REFUSED not in before or "another guest started" in r.says:
        bad.append("a guest that is not the ID block's was launched")
    if judge.tainted(r):
        bad.append(judge.tainted(r))
    if "lab-guest: same twice" not in r.guest:
        bad.append("the second report differs from the first")
    if len(report) != REPORT:
        raise CaseFailed(f"a report of {len(report)} bytes")
    if report[0x90:0xC0] != want:
        bad.append(f"launch digest {report[0x90:0xC0].hex()}, computed "
                   f"{want.hex()}")
    expect = {
        "report_data": nonce.hex(), "measurement": want.hex(),
        "host_data": host_data.hex(), "family_id": owner.family_id.hex(),
        "image_id": owner.image_id.hex(),
        "chip_id": (fused / "chip-id").read_bytes().hex(),
        "guest_policy": 0x30000, "minimum_tcb": chip.TCB,
        "minimum_launch_tcb": chip.TCB, "min_version": "1.56", "vmpl": 0,
        "require_author_key": "true", "require_idblock": "true",
        "trusted_author_key_hashes": owner.author_key_digest().hex(),
        "trusted_id_key_hashes": owner.id_key_digest().hex(),
    }
    if report[0] != version:
        bad.append(f"a report of version {report[0]}")
    if newer and report[MITIGATIONS:MITIGATIONS + 16] != WITH * 2:
        bad.append("mitigations at launch and now: " +
                   report[MITIGATIONS:MITIGATIONS + 16].hex())
    certs, ca = chip.read(fused), fused / "certs" / "ca.pem"
    bad += judged(report, certs, ca, expect, newer)
    # nor is it Debian 13's that judged it
    if newer and verifier.check(report + chip.table(certs), ca,
                                expect)[0] != UNREADABLE:
        bad.append("Debian 13's package reads a report of version 5")
    if bad:
        raise CaseFailed("\n".join(bad))
    return (f"report version {report[0]} of digest {want.hex()[:16]}..., "
            f"sha256 {hashlib.sha256(report).hexdigest()[:16]}")


def one(name, host_name, smp, version, who, full=False):
    return Case(name, f"a stock guest of {smp} vCPU{'s' * (smp > 1)} on "
                f"{host_name} gets a report of version {version} for a nonce; "
                f"{who}'s go-sev-guest verifies signature, chain, TCB, ID "
                "block and launch digest, and refuses each with a bit flipped",
                lambda: run(name, host_name, smp, version), full=full,
                order=59 if full else 47,
                inputs=("machine", "linux")[:1 + (host_name in kernels.OURS)])


CASES = [one("attest.debian-13", "debian-13", 2, 3, "Debian 13"),
         one("attest.debian-backports", "debian-backports", 1, 3, "Debian 13",
             full=True),
         one("attest.v5", "debian-backports", 1, 5, "sid", full=True),
         one("attest.ours", "ours", 2, 3, "Debian 13")]
