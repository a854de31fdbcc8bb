# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that SEV's platform has keys, by a stock host that asks for them and
OpenSSL that judges what comes: who vouches for whom, what is new when, and a
report on a guest that stock QEMU has launched."""

import base64
import hashlib
import json
import os
import re
import shlex
import tempfile

from lab import (build, chip, guest, host, hostimage, judge, kernels, machine,
                 say)
from lab.cases import Case, CaseFailed

# NAME: /dev/sev's number of it. What comes back is @NAME STATUS;LENGTHS;HEX.
ASK = r"""
my %number = (reset => 0, status => 1, pekgen => 2, csr => 3, pdhgen => 4,
              export => 5);
open(my $sev, "+<", "/dev/sev") or die "/dev/sev: $!\n";
sub at { unpack("Q", pack("P", $_[0])) }
sub issue {
	my ($name, $data) = @_;
	my $cmd = pack("L<Q<L<", $number{$name}, $data ? at($_[1]) : 0, 0);
	my $ok = ioctl($sev, 0xc0105300, $cmd);
	my $error = (unpack("L<Q<L<", $cmd))[2];
	return $ok ? "0" : "errno " . ($! + 0) . " firmware $error";
}
for my $name (@ARGV) {
	my ($pdh, $chain) = ("\0" x 2084, "\0" x 6252);
	my $data = "";
	$data = "\0" x 12 if $name eq "status";
	$data = pack("Q<L<", at($pdh), 2084) if $name eq "csr";
	$data = pack("Q<L<Q<L<", at($pdh), 2084, at($chain), 6252)
		if $name eq "export";
	my $short = "";
	if ($name eq "csr" or $name eq "export") {
		my $empty = "\0" x length($data);
		issue($name, $empty);
		$short = unpack("x8L<", $empty);
		$short .= "," . unpack("x20L<", $empty) if $name eq "export";
	}
	my $status = issue($name, $data);
	my $out = $name eq "status" ? $data : $name eq "csr" ? $pdh :
		  $name eq "export" ? $pdh . $chain : "";
	print "\@$name ", join(";", $status, $short, unpack("H*", $out)),
	      "\n";
}
"""
STEPS = ("status export csr export pdhgen export pekgen export csr status "
         "reset export").split()
# QEMU takes its commands from the pipe when the guest is measured.
SCRIPT = """
modprobe ccp || exit 9
perl /lab/ask %(steps)s || exit 8
modprobe kvm_amd || exit 7
printf '%%s\\n' %(commands)s | timeout 200 %(qemu)s
say "qemu-status $?"
say "tainted $(cat /proc/sys/kernel/tainted)"
exit 0
"""
OVMF = "usr/share/ovmf/OVMF.fd"
POLICY = 1

LENGTH = 2084
BODY = 0x414
# usages
NONE, OCA, PEK, PDH, CEK = range(0x1000, 0x1005)
# of a public key on P-384, before its 97 bytes
SPKI = bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200")


def word(data, at):
    return int.from_bytes(data[at:at + 4], "little")


def public(cert):
    point = b"\4" + cert[20:68][::-1] + cert[92:140][::-1]
    text = base64.encodebytes(SPKI + point).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}-----END PUBLIC KEY-----\n"


def _integer(number):
    n = number[::-1].lstrip(b"\0") or b"\0"
    n = b"\0" * (n[0] >> 7) + n
    return b"\2" + bytes([len(n)]) + n


def vouches(signer, cert):
    """Does OpenSSL take the signature of that key in the certificate?"""
    for at in (BODY, BODY + 0x208):
        if word(cert, at) == word(signer, 8) and word(cert, at + 4) == 2:
            return signed(signer, cert[:BODY], cert[at + 8:at + 152])
    return False


def signed(signer, data, numbers):
    """The same of any data; numbers: r and s, 72 bytes each."""
    both = _integer(numbers[:48]) + _integer(numbers[72:120])
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as key, \
            tempfile.NamedTemporaryFile(suffix=".der") as sig:
        key.write(public(signer))
        key.flush()
        sig.write(b"\x30" + bytes([len(both)]) + both)
        sig.flush()
        try:
            chip.binary(["dgst", "-sha256", "-verify", key.name,
                         "-signature", sig.name], data)
        except say.Failed:
            return False
    return True


class Export:
    def __init__(self, data):
        parts = [data[i:i + LENGTH] for i in range(0, len(data), LENGTH)]
        self.pdh, self.pek, self.oca, self.cek = parts

    def wrong(self):
        for name, cert, usage in (("PDH", self.pdh, PDH),
                                  ("PEK", self.pek, PEK),
                                  ("OCA", self.oca, OCA),
                                  ("CEK", self.cek, CEK)):
            if (word(cert, 0), word(cert, 8), word(cert, 16)) != (1, usage, 2):
                yield f"{name}: not a certificate of one"
        for by, name, cert in ((self.oca, "OCA, by itself", self.oca),
                               (self.oca, "PEK, by the OCA", self.pek),
                               (self.cek, "PEK, by the CEK", self.pek),
                               (self.pek, "PDH, by the PEK", self.pdh)):
            if not vouches(by, cert):
                yield f"{name}: no signature that OpenSSL takes"
            if vouches(by, chip.flipped(cert, 8 * 100)):
                yield f"{name}: a bit flipped makes no difference"


def answers(control):
    """(name, status, lengths, data) of each step."""
    out = []
    for m in re.finditer(r"^@(\w+) ([^;\r\n]*);([^;\r\n]*);([^;\r\n]*)\r?$",
                         control, re.M):
        out.append((m[1], m[2], m[3], bytes.fromhex(m[4])))
    return out


def judged(control):
    got = answers(control)
    if [a[0] for a in got] != STEPS:
        yield f"steps {[a[0] for a in got]}"
        return
    for name, status, lengths, _ in got:
        if status != "0":
            yield f"{name}: {status}"
        want = {"csr": "2084", "export": "2084,6252"}.get(name, "")
        if lengths != want:
            yield f"{name}: lengths {lengths}, not {want}"
    if any(a[1] != "0" for a in got):
        return
    for a in got:
        if a[0] == "status" and word(a[3], 3) & 1:
            yield "owned by somebody"
    first, same, pdh, pek, anew = (Export(a[3]) for a in got
                                   if a[0] == "export")
    csrs = [a[3] for a in got if a[0] == "csr"]
    for n, one in enumerate((first, same, pdh, pek, anew)):
        yield from (f"export {n}: {w}" for w in one.wrong())
    for csr, one in zip(csrs, (first, pek)):
        if csr[:BODY] != one.pek[:BODY] or \
                word(csr, BODY) != NONE or word(csr, BODY + 0x208) != NONE:
            yield "what is to be signed is not the PEK's certificate"
    for what, a, b, new in (
            ("nothing done", first, same, ""),
            ("PDH_GEN", same, pdh, "pdh"),
            ("PEK_GEN", pdh, pek, "pdh pek oca"),
            ("FACTORY_RESET", pek, anew, "pdh pek oca")):
        for name in ("pdh", "pek", "oca", "cek"):
            x, y = getattr(a, name), getattr(b, name)
            if (x != y) != (name in new.split()):
                yield f"{what}: {name} is " + ("new" if x != y else "as it was")


def launched(control, nonce, firmware):
    """Of a guest that was: what the firmware says of it, signed by the PEK."""
    found = re.search(r'^\{"return": \{"data": "([^"]+)"\}\}', control, re.M)
    if not found:
        yield "no attestation report: " + control[-300:]
        return
    report = base64.b64decode(found[1])
    pek = Export([a for a in answers(control) if a[0] == "export"][-1][3]).pek
    want = nonce + hashlib.sha256(firmware).digest() + \
        POLICY.to_bytes(4, "little")
    if len(report) != 208 or report[:52] != want:
        yield f"report {report[:52].hex()}, expected {want.hex()}"
        return
    if word(report, 52) != PEK or word(report, 56) != 2:
        yield "the report's key is not a PEK's"
    if not signed(pek, report[:52], report[64:]):
        yield "the report has no signature of the PEK that OpenSSL takes"
    if signed(pek, chip.flipped(report[:52], 99), report[64:]):
        yield "the report: a bit flipped makes no difference"


def command(nonce):
    """QEMU that launches a guest, does not start it, and asks of it."""
    argv = guest.command(1, "128M", "sev")
    for name in ("-serial", "-kernel", "-initrd", "-append", "-drive",
                 "-device", "-device", "-trace", "-trace", "-trace"):
        at = argv.index(name)
        del argv[at:at + 2]
    ask = [{"execute": "qmp_capabilities"},
           {"execute": "query-sev-attestation-report",
            "arguments": {"mnonce": base64.b64encode(nonce).decode()}},
           {"execute": "quit"}]
    return {"qemu": shlex.join([*argv, "-S", "-qmp", "stdio"]),
            "commands": shlex.join(map(json.dumps, ask)),
            "steps": " ".join(STEPS)}


def run():
    build.prepare()
    with build.lock():
        binary = machine.build().binary
        root = hostimage.build().parent / "root"
    fused, nonce = chip.make("1"), os.urandom(16)
    h = host.Host(kernels.get("debian-backports"), binary, thread="single",
                  psp=[f"chip={fused}"])
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(ASK)
        f.flush()
        r = h.run("sev.keys", SCRIPT % command(nonce), {"ask": f.name},
                  timeout=400)
    if not r.ok():
        raise CaseFailed("\n".join([*r.failure(), r.control[-1000:]]))
    text = r.control.replace("\r", "")
    bad = r.bad_lines()[:3] + list(judged(text))
    bad += launched(text, nonce, (root / OVMF).read_bytes())
    if judge.first(r, "tainted", "-1") != "0":
        bad.append(f"taint {judge.first(r, 'tainted')}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return (f"{len(STEPS)} commands of a stock host, 20 signatures and that of "
            "a report on a stock guest by OpenSSL")


CASES = [Case("sev.keys", "the newest stock host has SEV's platform make and "
              "show keys: OpenSSL takes each signature of the chain, and none "
              "with a bit flipped; PDH_GEN, PEK_GEN and FACTORY_RESET make new "
              "what they should, and nothing else; the report on a SEV guest "
              "that stock QEMU has launched has the digest of its firmware, "
              "and is the PEK's", run, order=44,
              inputs=("machine",))]
