# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that SEV's platform has keys, by a stock host that asks for them and
OpenSSL that judges what comes: who vouches for whom, what is new when, and a
report on a guest that stock QEMU has launched. The same platform (of the same
seed) is then given an owner, and a guest whose owner launches it from afar, and
tells it a secret."""

import base64
import hashlib
import json
import os
import pathlib
import re
import shlex
import tempfile

from lab import (build, chip, guest, host, hostimage, judge, kernels, lock,
                 machine, sevowner)
from lab.cases import Case, CaseFailed
from lab.sevowner import (BODY, CEK, LENGTH, NONE, OCA, PDH, PEK, signed,
                          vouches, word)

# NAME: /dev/sev's number of it. What comes back is @NAME STATUS;LENGTHS;HEX.
ASK = r"""
my %number = (reset => 0, status => 1, pekgen => 2, csr => 3, pdhgen => 4,
              export => 5, import => 6);
open(my $sev, "+<", "/dev/sev") or die "/dev/sev: $!\n";
sub file {
	local $/;
	open(my $f, "<", "/lab/$_[0]") or die "$_[0]: $!\n";
	return scalar <$f>;
}
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
	my ($pek, $oca) = $name eq "import" ? (file("pek"), file("oca")) : ();
	$data = pack("Q<L<Q<L<", at($pek), 2084, at($oca), 2084)
		if $name eq "import";
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
# with a PEK that was made before; an import makes the PDH that PDH_GEN did
OWNED = "csr import import status export".split()
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
KEPT = """
modprobe ccp init_ex_path=/tmp/nv && modprobe kvm_amd || exit 9
say "before $(stat -c %s /tmp/nv)"
perl /lab/ask status reset pekgen export status || exit 8
say "after $(stat -c %s /tmp/nv)"
audit up
"""
OVMF = "usr/share/ovmf/OVMF.fd"
POLICY = 1
SEED = 7
SECRET, WHERE = b"thirty-two bytes of the owner's.", 0x800000
VERSION = (1, 55, 24)           # the device's

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


def returned(control):
    """The data that QEMU answered with, command by command."""
    return [base64.b64decode(x) for x in
            re.findall(r'^\{"return": \{"data": "([^"]+)"\}\}', control, re.M)]


def launched(control, nonce, firmware):
    """Of a guest that was: what the firmware says of it, signed by the PEK."""
    found = returned(control)
    if not found:
        yield "no attestation report: " + control[-300:]
        return
    report = found[0]
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


def told(control):
    """Did the guest get the secret, and only when nobody had touched it?"""
    found = re.findall(r'^\{"(return|error)": (.*)\}', control, re.M)
    want = ["return", "error", "return", "return"]
    if [x[0] for x in found[:4]] != want:
        yield f"QEMU's answers: {found}"
    elif " ".join(re.findall(r"0x([0-9a-f]{2})\b", found[3][1])) != \
            SECRET.hex(" "):
        yield f"the guest's memory: {found[3][1]}"


def owned(control, ours, before, session, firmware):
    """The platform is its owner's, the guest's owner spoke with it."""
    got = answers(control)
    want = ["0", "0", "errno 5 firmware 5", "0", "0"]
    if [a[0] for a in got] != OWNED or [a[1] for a in got] != want:
        yield f"steps {[a[:2] for a in got]}"
        return
    if got[0][3][:BODY] != before.pek[:BODY]:
        yield "another PEK than before, with the same seed"
        return
    if not word(got[3][3], 3) & 1:
        yield "nobody owns the platform"
    now = Export(got[4][3])
    yield from (f"owned: {w}" for w in now.wrong())
    if now.oca != ours or now.pek[:BODY] != before.pek[:BODY] or \
            now.cek != before.cek:
        yield "owned: another owner, PEK or CEK"
    found = returned(control)
    if not found or len(found[-1]) != 48:
        yield "no measurement: " + control[-300:]
    elif found[-1][:32] != session.measurement(VERSION, firmware,
                                               found[-1][32:]):
        yield "the measurement is not the one that the guest's owner computes"


def command(steps, queries, more=()):
    """QEMU that launches a guest, does not start it, and asks of it."""
    argv = guest.command(1, "128M", "sev")
    for name in ("-serial", "-kernel", "-initrd", "-append", "-drive",
                 "-device", "-device", "-trace", "-trace", "-trace"):
        at = argv.index(name)
        del argv[at:at + 2]
    at = next(i for i, x in enumerate(argv) if x.startswith("sev-guest,"))
    argv[at] = ",".join([argv[at], *more])
    ask = [{"execute": "qmp_capabilities"}, *queries, {"execute": "quit"}]
    return {"qemu": shlex.join([*argv, "-S", "-qmp", "stdio"]),
            "commands": shlex.join(map(json.dumps, ask)),
            "steps": " ".join(steps)}


def inject(header, packet):
    return {"execute": "sev-inject-launch-secret", "arguments": {
        "packet-header": base64.b64encode(header).decode(),
        "secret": base64.b64encode(packet).decode(), "gpa": WHERE}}


def boot(name, binary, script, files):
    """Returns (what the script printed, what was wrong)."""
    h = host.Host(kernels.get("debian-backports"), binary, thread="single",
                  psp=[f"chip={chip.make('1')}", f"seed={SEED}"])
    with tempfile.TemporaryDirectory() as top:
        given = {}
        for n, data in files.items():
            given[n] = pathlib.Path(top) / n
            given[n].write_bytes(data)
        r = h.run(name, SCRIPT % script, given, timeout=400)
    if not r.ok():
        raise CaseFailed("\n".join([*r.failure(), r.control[-1000:]]))
    bad = r.bad_lines()[:3]
    if judge.first(r, "tainted", "-1") != "0":
        bad.append(f"taint {judge.first(r, 'tainted')}")
    return r.control.replace("\r", ""), bad


def run():
    build.prepare()
    with lock.building():
        binary = machine.build().binary
        root = hostimage.build().parent / "root"
    firmware, nonce = (root / OVMF).read_bytes(), os.urandom(16)
    text, bad = boot("sev.keys", binary, command(
        STEPS, [{"execute": "query-sev-attestation-report",
                 "arguments": {"mnonce": base64.b64encode(nonce).decode()}}]),
        {"ask": ASK.encode()})
    bad += judged(text)
    bad += launched(text, nonce, firmware)
    if bad:
        raise CaseFailed("\n".join(bad))
    exports = [Export(a[3]) for a in answers(text) if a[0] == "export"]
    key = chip.p384("a platform's owner", "oca")
    ours = sevowner.certificate(key, OCA, sevowner.ECDSA)
    ours = sevowner.sign(key, ours, 0)
    csr = next(a[3] for a in answers(text) if a[0] == "csr")
    session = sevowner.Session(exports[2].pdh, POLICY)
    files = {"ask": ASK.encode(), "oca": ours,
             "pek": sevowner.sign(key, csr, 0),
             "dh": base64.b64encode(session.cert),
             "session": base64.b64encode(session.data)}
    measure = {"execute": "query-sev-launch-measure"}
    more = ["dh-cert-file=/lab/dh", "session-file=/lab/session"]
    text, bad = boot("sev.keys", binary, command(OWNED, [measure], more),
                     files)
    bad += owned(text, ours, exports[0], session, firmware)
    if bad:
        raise CaseFailed("\n".join(bad))
    # the same seed, the same measurement: what is wrapped for it can be told
    header, packet = session.secret(SECRET, returned(text)[-1][:32])
    text, bad = boot("sev.keys", binary, command(
        OWNED, [inject(chip.flipped(header, 8 * 40), packet),
                inject(header, packet),
                {"execute": "human-monitor-command", "arguments":
                 {"command-line": f"xp /{len(SECRET)}xb {WHERE:#x}"}}], more),
        files)
    bad += told(text)
    if bad:
        raise CaseFailed("\n".join(bad))
    return (f"{len(STEPS) + len(OWNED)} commands of a stock host; OpenSSL "
            "takes 24 signatures, that of a report on a stock guest among "
            "them, and makes the owner's; a secret is told")


def kept():
    """What the platform keeps in a file of the host's, initialised twice."""
    build.prepare()
    h = host.Host(kernels.get("ours"), machine.build().binary,
                  thread="single")
    with tempfile.NamedTemporaryFile() as ask:
        ask.write(ASK.encode())
        ask.flush()
        r = h.run("sev.keys.kept.ours", KEPT,
                  {"ask": pathlib.Path(ask.name)}, timeout=400)
    if not r.ok() or r.bad_lines():
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.failure(),
                                    r.control[-1000:]]))
    found = [a[:2] for a in answers(r.control.replace("\r", ""))]
    want = [(s, "0") for s in "status reset pekgen export status".split()]
    sizes = [judge.first(r, x) for x in ("before", "after")]
    if found != want or sizes != ["32768", "32768"] or \
            judge.said(r, "audit-up")[-1:] != ["BALANCED"]:
        raise CaseFailed(f"steps {found}, the file's sizes {sizes}, "
                         f"audit {judge.said(r, 'audit-up')}")


CASES = [Case("sev.keys", "the newest stock host has SEV's platform make and "
              "show keys: OpenSSL takes each signature of the chain, and none "
              "with a bit flipped; PDH_GEN, PEK_GEN and FACTORY_RESET make new "
              "what they should, and nothing else; the report on a SEV guest "
              "that stock QEMU has launched has the digest of its firmware, "
              "and is the PEK's; the platform takes an owner's certificate, "
              "once, and a guest's owner begins a session, by OpenSSL, and "
              "computes the same measurement; a secret that is wrapped for it "
              "is in the guest's memory then, with a bit flipped it is refused",
              run, order=44,
              inputs=("machine",)),
         Case("sev.keys.kept.ours", "our host gives the secure processor its "
              "file once, also if that is reset and made ready again", kept,
              order=44)]
