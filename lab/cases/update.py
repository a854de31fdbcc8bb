# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that firmware is replaced under our host while SNP is on and SNP guests
are there, and goes back to what ran before until it is committed; what firmware
refuses, and what its guests forbid, changes nothing."""

import pathlib
import tempfile

from lab import chip, counts, host, judge, kernels, machine, paths
from lab.cases import Case, CaseFailed
from lab.cases.life import same

DIR = "/sys/class/firmware/snp_dlfw_ex"
OLD, NEW = (1, 55, 20), (1, 56, 77)

# A guest that is begun, and goes when /tmp/end is there: "snp POLICY" or "sev".
GUEST = r"""
use strict; use Fcntl;
my ($kind, $policy) = @ARGV;
my $snp = $kind eq "snp";
sysopen(my $kvm, "/dev/kvm", O_RDWR) or die;
sysopen(my $sev, "/dev/sev", O_RDWR) or die;
my $fd = ioctl($kvm, 0xae01, $snp ? 4 : 0) or die "no VM: $!";
open(my $vm, "+<&=", $fd) or die;
sub op {
	my ($id, $data) = @_;
	my $cmd = pack("LLPLL", $id, 0, $data, 0, fileno($sev));
	ioctl($vm, 0xc008aeba, $cmd) or die "command $id: $!";
}
if ($snp) {
	op(22, "\0" x 48);
	op(100, pack("Q", hex($policy)) . "\0" x 56);
} else {
	op(0, "\0" x 8);
	op(2, pack("LL", 0, 1) . "\0" x 32);
}
system("touch /tmp/up");
select(undef, undef, undef, 0.05) until -e "/tmp/end";
"""

SCRIPT = f"""
status() {{ say "$1 $(perl -e 'open(S, "+<", "/dev/sev") or die;
    $data = "\\0" x 32; $cmd = pack("LPL", 9, $data, 0);
    ioctl(S, 0xc0105300, $cmd) or die; @x = unpack("C4 L3 Q2", $data);
    printf "%d.%d.%d %x %x", @x[0, 1, 4, 7, 8]')"; }}
upload() {{ # WORD IMAGE
	echo 1 > {DIR}/loading; cat $2 > {DIR}/data; echo 0 > {DIR}/loading
	until [ "$(cat {DIR}/status)" = idle ]; do sleep 0.1; done
	say "$1 $(cat {DIR}/error)"
}}
guest() {{
	rm -f /tmp/up /tmp/end; perl /lab/guest.pl "$@" & pid=$!
	until [ -e /tmp/up ] || ! kill -0 $pid; do sleep 0.1; done
}}
end() {{ touch /tmp/end; wait $pid; say "$1 $?"; }}
modprobe ccp && modprobe kvm_amd || exit 9
status first
mark begun
head -c 100 /lab/new > /tmp/short
head -c 1048577 /dev/zero > /tmp/long
for image in /tmp/short /tmp/long /lab/flipped /lab/older /lab/lower; do
	upload $(basename $image) $image
done
guest sev
upload beside-sev /lab/new
end sev
status still
audit refused
guest snp 30000
upload new /lab/new
status runs
end snp
guest snp 30138
upload beneath /lab/old
end beneath-guest
status stays
upload back /lab/old
status was
upload again /lab/new
say "commit $(perl -e 'open(S, "+<", "/dev/sev") or die;
    $cmd = pack("LQL", 10, 0, 0); print ioctl(S, 0xc0105300, $cmd) ? "done" : $!')"
status committed
upload late /lab/old
status last
audit ended
mark ended
modprobe -r kvm_amd && modprobe -r ccp || exit 7
[ -d {DIR} ] && say "left" || say "gone"
"""


def of(version, current, reported):
    return f"{'.'.join(map(str, version))} {current:x} {reported:x}"


def judged():
    fused = chip.make("1")
    new = chip.firmware(NEW, chip.TCB)
    images = {"new": new, "old": chip.firmware(OLD, chip.LOWER),
              "flipped": chip.flipped(new, 8 * 0x50),
              "older": chip.firmware((1, 55, 19), chip.LOWER),
              "lower": chip.firmware(NEW, chip.LOWER - 1)}
    sides = {}

    def on_mark(mark, _text, monitor):
        sides[mark] = counts.machine(monitor)

    h = host.Host(kernels.get("ours"), machine.build().binary, thread="single",
                  psp=[f"chip={fused}", f"tcb={chip.LOWER}",
                       f"build={OLD[2]}"])
    with tempfile.TemporaryDirectory(dir=paths.OUT, prefix="fw-") as tmp:
        files = {"guest.pl": GUEST}
        for name, data in images.items():
            files[name] = pathlib.Path(tmp) / name
            files[name].write_bytes(data)
        r = h.run("update", SCRIPT, files, timeout=400, on_mark=on_mark)
    if not r.ok() or r.bad_lines():
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.says,
                                    *r.failure()]))

    def commands(name):
        a, b = (sides[m]["stats"].get("firmware", {}).get(name, {})
                for m in ("begun", "ended"))
        return {x: b[x] - a.get(x, 0) for x in b if b[x] != a.get(x, 0)}
    bad, busy = "transferring:read-write-error", "transferring:device-busy"
    old = of(OLD, chip.LOWER, chip.LOWER)
    return same(
        first=(judge.first(r, "first"), old),
        short=(judge.first(r, "short"), "transferring:invalid-file-size"),
        long=(judge.first(r, "long"), "preparing:invalid-file-size"),
        flipped=(judge.first(r, "flipped"), bad),
        older=(judge.first(r, "older"), bad),
        lower=(judge.first(r, "lower"), bad),
        beside_sev=(judge.first(r, "beside-sev"), busy),
        still=(judge.first(r, "still"), old),
        # a new one runs; what is reported waits for the commit
        new=(judge.first(r, "new", "none"), ""),
        runs=(judge.first(r, "runs"), of(NEW, chip.TCB, chip.LOWER)),
        # a guest that wants at least this version
        beneath=(judge.first(r, "beneath"), busy),
        stays=(judge.first(r, "stays"), of(NEW, chip.TCB, chip.LOWER)),
        back=(judge.first(r, "back", "none"), ""),
        was=(judge.first(r, "was"), old),
        again=(judge.first(r, "again", "none"), ""),
        commit=(judge.first(r, "commit"), "done"),
        committed=(judge.first(r, "committed"), of(NEW, chip.TCB, chip.TCB)),
        late=(judge.first(r, "late"), bad),
        last=(judge.first(r, "last"), of(NEW, chip.TCB, chip.TCB)),
        guests=([judge.first(r, x) for x in ("sev", "snp", "beneath-guest")],
                ["0"] * 3),
        # what is too long, and what SEV guests forbid, is not asked
        downloads=(commands("SNP_DOWNLOAD_FIRMWARE_EX"),
                   {"SUCCESS": 3, "INVALID_LEN": 1, "BAD_SIGNATURE": 1,
                    "BAD_VERSION": 2, "BAD_SVN": 1, "SHUTDOWN_REQUIRED": 1}),
        # the one guest that was there
        followed=(commands("SNP_GUEST_STATUS"), {"SUCCESS": 1}),
        # SEV was down meanwhile, each time, and is up again
        down=(commands("SHUTDOWN"), {"SUCCESS": 9}),
        up=(commands("INIT"), {"SUCCESS": 9}),
        said=([x in r.console for x in
               ("its signature is wrong", "older than what is committed",
                "below the committed one", "not with the guests that there are",
                "while there are SEV or SEV-ES guests")], [True] * 5),
        audit=([judge.said(r, f"audit-{x}")[-1:] for x in
                ("refused", "ended")], [["BALANCED"]] * 2),
        gone=("gone" in r.says, True))


CASES = [
    Case("update.ours", "our host has firmware replaced while SNP is on: an SNP "
         "guest that is there is told, what ran before may come back until the "
         "commit and not after; what is damaged, older than what is committed, "
         "of a lower TCB, or below what a guest wants is refused, and nothing "
         "is asked while there are SEV guests", judged, order=44),
]
