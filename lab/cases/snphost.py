# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the machine is an SNP host to the tool its administrators use:
snphost of Debian sid, unmodified, installed into the Debian 13 root by that
root's own dpkg, on the newest stock kernel. What it changes of the platform is
then looked for where others see it: in the platform's status, in a later
report of a stock guest, in the chip's certificates. A key that it loads signs
one, in attest.vlek."""

import os
import pathlib
import re
import shlex
import tempfile

from lab import (build, chip, guest, host, hostimage, identity, judge, kernels,
                 lock, machine, paths, sources, verifier)
from lab.cases import Case, CaseFailed, attest

ROLE = "host.snphost"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
LINE = re.compile(r"^\[ +(PASS|FAIL|SKIP) +\] +- (.*)$", re.M)
# lines of `snphost ok`, of which none may be missing
PROBES = 30

NEWEST = "debian-backports"
# do NAME COMMAND...: what it prints between two marks, then its status. A
# kernel may be without the locks of files that dpkg takes.
BEGIN = """
modprobe ccp && modprobe kvm_amd && modprobe msr || exit 9
dpkg -i /lab/snphost.deb || dpkg-deb -x /lab/snphost.deb / || exit 8
say "sha256 $(sha256sum < /usr/bin/snphost)"
step() {
	local name=$1 status
	shift
	echo "@begin $name"
	"$@" 2>&1
	status=$?
	printf '\n@end %s %s\n' "$name" "$status"
}
"""
END = """
say "tainted $(cat /proc/sys/kernel/tainted)"
exit 0
"""

LOOK = """
step ok snphost ok
for what in guests identifier tcb vcek-url version; do
	step show-$what snphost show $what
done
step import snphost import /lab/certs /root/table
step export-pem snphost export pem /root/table /root/pem
step export-der snphost export der /root/table /root/der
for name in ark ask vcek; do
	step pem-$name cat /root/pem/$name.pem
	step der-$name base64 /root/der/$name.der
done
step verify snphost verify certs /lab/certs
step verify-other snphost verify certs /lab/other
"""

CONFIG = """
step config-lower snphost config set %(lower)s 0
step tcb-lower snphost show tcb
for value in %(above)s; do
	step config-above snphost config set ${value//,/ } 0
	step tcb-above snphost show tcb
done
step config-flags snphost config set %(lower)s 4
step tcb-flags snphost show tcb
stty -F /dev/ttyS1 raw
%(guest)s < /dev/null > /dev/ttyS1 2>&1 &
pid=$!
for try in $(seq 600); do
	n=$(snphost show guests)
	[ "$n" = 0 ] || break
	kill -0 $pid 2> /dev/null || break
	sleep 0.2
done
say "guests-meanwhile $n"
wait $pid
say "qemu-status $?"
step guests-after snphost show guests
step config-reset snphost config reset
step tcb-reset snphost show tcb
step config-again snphost config set %(lower)s 0
step tcb-again snphost show tcb
step commit snphost commit
step tcb-commit snphost show tcb
step ok-after snphost ok
"""

COMMIT = """
step tcb snphost show tcb
step ok snphost ok
step config snphost config set %(current)s 0
step tcb-config snphost show tcb
step commit snphost commit
step tcb-commit snphost show tcb
step ok-commit snphost ok
step config-now snphost config set %(current)s 0
step tcb-now snphost show tcb
"""

LEND = """
step load-flipped snphost vlek-load /lab/flipped.bin
step load-lower snphost vlek-load /lab/lower.bin
step verify-lower snphost verify vlek-hashstick /lab/lower.bin
step verify snphost verify vlek-hashstick /lab/vlek.bin
step certs snphost verify certs /lab/certs
step load snphost vlek-load /lab/vlek.bin
stty -F /dev/ttyS1 raw
%(guest)s < /dev/null > /dev/ttyS1 2>&1
say "qemu-status $?"
step config snphost config set %(lower)s 0
step load-late snphost vlek-load /lab/vlek.bin
step load-now snphost vlek-load /lab/lower.bin
"""

FIRMWARE = """
step version snphost show version
step tcb snphost show tcb
step ok snphost ok
"""
# where the ccp driver looks for a Milan's firmware first
IMAGE = "/lib/firmware/amd/amd_sev_fam19h_model01h.sbin"


def parts(tcb):
    """Boot loader, TEE, SNP, microcode, as snphost takes and prints them."""
    return [tcb >> 8 * n & 0xff for n in (0, 1, 6, 7)]


def arguments(tcb):
    return " ".join(map(str, parts(tcb)))


def steps(control):
    """{name: [(status, text)]} of all the script did, in order."""
    out = {}
    for m in re.finditer(r"^@begin (\S+)\n(.*?)^@end \1 (\d+)$",
                         control.replace("\r", ""), re.M | re.S):
        out.setdefault(m[1], []).append((int(m[3]),
                                         COLOURS.sub("", m[2]).strip()))
    return out


class Judge:
    """Collects what does not hold, of what the control port has."""

    def __init__(self, control):
        self.steps = steps(control)
        self.bad = []

    def of(self, name):
        return self.steps.get(name, [(None, "not run")])

    def works(self, name, want=None):
        for status, text in self.of(name):
            if status != 0 or (want is not None and text != want):
                self.bad.append(f"{name}: status {status}: {text}")

    def refused(self, name, why):
        for status, text in self.of(name):
            if status in (0, None) or not re.search(why, text):
                self.bad.append(f"{name}: status {status}: {text}")

    def tcbs(self, name, reported, platform):
        for status, text in self.of(name):
            seen = [list(map(int, re.findall(rf"{field}: +(\d+)", text)))
                    for field in ("Boot Loader", "TEE", "SNP", "Microcode")]
            want = [list(x) for x in zip(parts(reported), parts(platform))]
            if status != 0 or seen != want:
                self.bad.append(f"{name}: {seen}, not {want}: {text}")

    def ok(self, name, red=()):
        """Nothing of `snphost ok` is red or left out but what is said here.
        Returns how many lines it had."""
        status, text = self.of(name)[0]
        lines = LINE.findall(text)
        wrong = [f"[{how}] {what}" for how, what in lines
                 if how != "PASS" and not
                 (how == "FAIL" and any(re.search(x, what) for x in red))]
        seen = [x for x in red
                if not any(how == "FAIL" and re.search(x, what)
                           for how, what in lines)]
        if wrong or seen or len(lines) < PROBES or (status != 0) != bool(red):
            self.bad.append(f"{name}: status {status}, {len(lines)} lines; "
                            f"{wrong or text}; {seen} not red")
        return len(lines)


def run_host(name, script, files, psp, timeout, before="", on=NEWEST):
    build.prepare()
    with lock.building():
        binary = machine.build().binary
        hostimage.build()
        deb = sources.debs(ROLE)[0]
    h = host.Host(kernels.get(on), binary, thread="single", psp=psp)
    r = h.run(name, before + BEGIN + script + END,
              {"snphost.deb": deb, **files}, timeout=timeout)
    if not r.ok():
        raise CaseFailed("\n".join([*r.failure(), r.control[-1500:]]))
    j = Judge(r.control)
    j.bad += r.bad_lines()[:3]
    if judge.first(r, "sha256").split()[:1] != [
            identity.packaged(ROLE, "usr/bin/snphost")]:
        j.bad.append("another snphost than the package's")
    if on not in kernels.OURS and judge.first(r, "tainted", "-1") != "0":
        j.bad.append(f"taint {judge.first(r, 'tainted')}")
    return r, j


def administers(on=NEWEST):
    """What an administrator sees and does, and one stock guest's report."""
    verifier.build()
    fused = chip.make("1")
    certs = chip.read(fused)
    nonce = os.urandom(64)
    above = [",".join(str(p + (n == i)) for n, p in
                      enumerate(parts(chip.TCB))) for i in range(4)]
    files = {f"certs/{n}.pem": text for n, text in certs.items()}
    files |= {f"other/{n}.pem": text for n, text in
              dict(certs, ask=certs["ark"]).items()}
    with tempfile.TemporaryDirectory(dir=paths.OUT, prefix="snphost-") as tmp:
        files |= attest.guest_files(pathlib.Path(tmp), nonce)
        r, j = run_host(
            f"snphost.{on}", LOOK + CONFIG % {
                "lower": arguments(chip.LOWER), "above": " ".join(above),
                "guest": shlex.join(guest.command(1, "512M", "snp"))},
            files, [f"chip={fused}", "report-version=3"], 900, on=on)
    lines = j.ok("ok")
    j.works("show-guests", "0")
    chip_id = (fused / "chip-id").read_bytes().hex().upper()
    j.works("show-identifier", chip_id)
    j.tcbs("show-tcb", chip.TCB, chip.TCB)
    spls = "&".join(f"{n}SPL={p}" for n, p in
                    zip(("bl", "tee", "snp", "ucode"),
                        (f"{p:02}" for p in parts(chip.TCB))))
    j.works("show-vcek-url", "https://kdsintf.amd.com/vcek/v1/"
            f"{chip.PRODUCT}/{chip_id}?{spls}")
    j.works("show-version")
    _certificates(j, certs)
    _configured(j, above)
    j.bad += _report(r, fused, certs, nonce)
    if j.bad:
        raise CaseFailed("\n".join(j.bad))
    return f"{lines} lines of `snphost ok` pass, {len(j.steps)} commands"


def _certificates(j, certs):
    """What import packs into a table comes out again as it was."""
    j.works("import")
    for form in ("pem", "der"):
        j.works(f"export-{form}")
    for name, pem in certs.items():
        j.works(f"pem-{name}", pem.strip())
        for status, text in j.of(f"der-{name}"):
            if status != 0 or chip.der("-----x-----\n" + text + "\n-----x"
                                       ) != chip.der(pem):
                j.bad.append(f"der-{name}: status {status}, not what it was")
    _chain(j, "verify", "ask", "vcek", "\u2b11")
    _chain(j, "verify-other", "ask", "vcek", "\u2b11\u0338")


def _chain(j, name, signer, key, last):
    """Its exit status is 0 either way; the last lines show who signed whom."""
    j.works(name)
    want = ["ARK \u2022", f"ARK \u2b11 {signer}", f"{signer} {last} {key}"]
    seen = j.of(name)[0][1].splitlines()[-3:]
    if seen != want:
        j.bad.append(f"{name}: {seen}")


def _configured(j, above):
    """SNP_CONFIG and SNP_COMMIT, as the platform's status has them."""
    full, lower = chip.TCB, chip.LOWER
    j.works("config-lower")
    j.tcbs("tcb-lower", lower, full)
    if len(j.of("config-above")) != len(above):
        j.bad.append(f"{len(j.of('config-above'))} values above")
    j.refused("config-above", "InvalidParam")
    j.refused("config-flags", "InvalidParam")
    for name in ("tcb-above", "tcb-flags", "tcb-again"):
        j.tcbs(name, lower, full)
    j.works("guests-after", "0")
    for name in ("config-reset", "config-again", "commit"):
        j.works(name)
    for name in ("tcb-reset", "tcb-commit"):
        j.tcbs(name, full, full)
    j.ok("ok-after")


def _report(r, fused, certs, nonce):
    """A guest launched while a lower TCB was reported: its report says so and
    is signed with that one's key."""
    if judge.first(r, "guests-meanwhile") != "1":
        yield f"guests meanwhile: {judge.first(r, 'guests-meanwhile')}"
    report = attest.printed(r.guest)
    if len(report) != attest.REPORT:
        yield "\n".join([f"a report of {len(report)} bytes",
                         *r.guest.splitlines()[-5:]])
        return
    seen = {at: int.from_bytes(report[at:at + 8], "little")
            for at in (0x180, 0x38, 0x1E0)}
    if seen != {0x180: chip.LOWER, 0x38: chip.TCB, 0x1E0: chip.TCB}:
        yield f"TCBs of the report: {seen}"
    lower = fused / "certs" / (chip.vcek_name(chip.LOWER) + ".pem")
    for vcek, want in ((lower.read_text(), 0),
                       (certs["vcek"], attest.SIGNATURE)):
        status, words = verifier.check(
            report + chip.table(dict(certs, vcek=vcek)),
            fused / "certs" / "ca.pem",
            {"report_data": nonce.hex(), "guest_policy": 0x30000,
             "measurement": attest.expected(1).hex(),
             "minimum_tcb": chip.LOWER})
        if status != want:
            yield f"go-sev-guest: {status}, not {want}: {words}"


def commits(on=NEWEST):
    """A firmware that runs and is not committed yet."""
    fused = chip.make("1")
    _, j = run_host(f"snphost.commit.{on}",
                    COMMIT % {"current": arguments(chip.TCB)}, {},
                    [f"chip={fused}", f"committed-tcb={chip.LOWER}",
                     "committed-build=20"], 400, on=on)
    j.tcbs("tcb", chip.LOWER, chip.TCB)
    j.ok("ok", red=[r"TCB"])
    j.refused("config", "InvalidParam")
    j.tcbs("tcb-config", chip.LOWER, chip.TCB)
    for name in ("commit", "config-now"):
        j.works(name)
    for name in ("tcb-commit", "tcb-now"):
        j.tcbs(name, chip.TCB, chip.TCB)
    lines = j.ok("ok-commit")
    if j.bad:
        raise CaseFailed("\n".join(j.bad))
    return f"{lines} lines of `snphost ok` pass when it is committed"


def downloaded():
    """The driver finds newer firmware when it comes up."""
    fused = chip.make("1")
    with tempfile.TemporaryDirectory(dir=paths.OUT, prefix="fw-") as tmp:
        image = pathlib.Path(tmp) / "image"
        image.write_bytes(chip.firmware((1, 56, 77), chip.TCB))
        r, j = run_host(
            "snphost.firmware", FIRMWARE, {"image": image},
            [f"chip={fused}", f"tcb={chip.LOWER}", "build=20"], 400,
            f"mkdir -p {os.path.dirname(IMAGE)} && "
            f"cp /lab/image {IMAGE} || exit 7\n")
    j.works("version", "1.56")
    if "SEV API:1.56 build:77" not in r.console:
        j.bad.append("the kernel does not say API:1.56 build:77")
    j.tcbs("tcb", chip.TCB, chip.TCB)
    lines = j.ok("ok")
    if j.bad:
        raise CaseFailed("\n".join(j.bad))
    return f"1.56.77 runs and is committed, {lines} lines of `snphost ok` pass"


def lent(on=NEWEST):
    """A key that is not the chip's signs a stock guest's report."""
    verifier.build()
    fused = chip.make("1")
    certs = chip.read(fused, chip.VLEK)
    own = {n: (fused / f"{chip.vlek_name(tcb)}.bin").read_bytes()
           for n, tcb in (("vlek", chip.TCB), ("lower", chip.LOWER))}
    own["flipped"] = chip.flipped(own["vlek"], 8 * 0x100)
    nonce = os.urandom(64)
    with tempfile.TemporaryDirectory(dir=paths.OUT, prefix="vlek-") as tmp:
        top = pathlib.Path(tmp)
        files = attest.guest_files(top, nonce)
        for name, data in own.items():
            (top / f"{name}.bin").write_bytes(data)
            files[f"{name}.bin"] = top / f"{name}.bin"
        files |= {f"certs/{file}.pem": certs[n]
                  for n, file in chip.VLEK.items()}
        r, j = run_host(f"attest.vlek.{on}", LEND % {
            "lower": arguments(chip.LOWER),
            "guest": shlex.join(guest.command(1, "512M", "snp"))},
            files, [f"chip={fused}", "api-minor=56"], 900, on=on)
    for name in ("verify", "certs", "load", "config", "load-now"):
        j.works(name)
    j.refused("load-flipped", "(?i)measurement")
    for name in ("load-lower", "load-late"):
        j.refused(name, "0x16")
    j.refused("verify-lower", "")
    _chain(j, "certs", "asvk", "vlek", "\u2b11")
    report = attest.printed(r.guest)
    if len(report) != attest.REPORT:
        raise CaseFailed("\n".join([*j.bad, f"a report of {len(report)} bytes",
                                    *r.guest.splitlines()[-8:]]))
    if report[0x48] >> 2 & 7 != 1:
        j.bad.append(f"signed by key {report[0x48] >> 2 & 7}, not the VLEK")
    j.bad += _lent(report, fused, certs, nonce)
    if j.bad:
        raise CaseFailed("\n".join(j.bad))
    return "a report signed by the VLEK, verified by its own chain"


def _lent(report, fused, certs, nonce):
    """go-sev-guest takes the report by the VLEK's chain, and by no other."""
    where = fused / "certs"
    other = dict(certs, vlek=(where / f"{chip.vlek_name(chip.LOWER)}.pem")
                 .read_text())
    expect = {"report_data": nonce.hex(), "guest_policy": 0x30000,
              "minimum_tcb": chip.TCB,
              "measurement": attest.expected(1).hex(),
              "chip_id": (fused / "chip-id").read_bytes().hex()}
    bad = (attest.UNREADABLE, attest.SIGNATURE, attest.FIELD)
    tries = [("the report", report, certs, "ca-vlek", (0,)),
             ("the VCEK's chain", report, chip.read(fused), "ca", bad),
             ("the VCEK's signer", report, certs, "ca", bad),
             ("the VLEK of another TCB", report, other, "ca-vlek",
              (attest.SIGNATURE,))]
    tries += [(f"a bit of byte {at:#x} flipped", chip.flipped(
        report, 8 * at), certs, "ca-vlek", bad)
        for at in range(0, attest.SIGNED + 144, 16)]
    for what, data, chain, ca, want in tries:
        status, words = verifier.check(data + chip.table(chain),
                                       where / f"{ca}.pem", expect)
        if status not in want:
            yield f"{what}: go-sev-guest: {status}: {words}"


CASES = [
    Case("attest.vlek", "sid's snphost loads a VLEK, and not one that was "
         "wrapped for another TCB version or has a bit flipped; a stock "
         "guest's report is then signed by it, and Debian's go-sev-guest "
         "verifies it by the VLEK's chain alone; what another reported TCB "
         "deletes can be loaded for that one", lent, order=47,
         inputs=("machine",)),
    Case("snphost.debian-backports", "sid's snphost, installed as it is in the "
         "Debian 13 host: every line of `ok` passes; show, import, export, "
         "verify, config and commit do what they say; a guest's report "
         "carries the TCB that was configured, and that one's signature; "
         "what the firmware refuses changes nothing", administers, order=47,
         inputs=("machine",)),
    Case("snphost.ours", "the same on our host: what it shows, configures and "
         "is refused, and a guest's report says", lambda: administers("ours"),
         order=48),
    Case("snphost.commit.ours", "our host with a firmware that is not committed "
         "yet, and then is", lambda: commits("ours"), order=48),
    Case("attest.vlek.ours", "our host takes the VLEKs that the stock one takes, "
         "and a guest's report is signed by the one that is loaded",
         lambda: lent("ours"), order=48),
    Case("snphost.firmware", "newer firmware, where the stock driver looks for "
         "it, is downloaded as it comes up: snphost shows its version and its "
         "TCB, committed, and every line of `ok` passes", downloaded, order=47,
         inputs=("machine",)),
    Case("snphost.commit", "a firmware not committed yet: the older TCB is "
         "reported and no other can be, `snphost ok` says so; "
         "`snphost commit` makes it the current one", commits, order=47,
         inputs=("machine",)),
]
