# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that our host kernel can be installed: its packages, by dpkg, in a
Debian 12 that boots from its own disk by GRUB and runs systemd, where QEMU of
bookworm-backports launches a stock SNP guest with Debian 13's OVMF."""

import pathlib
import re
import tempfile

from lab import (build, counts, debs, digest, guest, installed, judge,
                 lock, machine, paths, run, say, sources)
from lab.cases import Case, CaseFailed

NAME = "installed.host"
OVMF = "usr/share/ovmf/OVMF.fd"

LOOK = r"""
release=$(uname -r)
say "release $release"
say "cmdline $(cat /proc/cmdline)"
say "init $(cat /proc/1/comm)"
say "root $(findmnt -n -o SOURCE,FSTYPE /)"
say "package $(dpkg -S "/boot/vmlinuz-$release")"
say "verify $(dpkg -V "linux-image-$release" 2>&1 | grep -cv '/lib/modules/.*/modules\.')"
say "failed $(systemctl list-units --failed --plain --no-legend | tr '\n' ' ')"
say "loaded $(lsmod | grep -c -e '^kvm_amd ' -e '^ccp ')"
say "snippet $(modprobe -c | grep -c '^options kvm_amd sev=1 sev_es=1 sev_snp=1$')"
for unit in $(systemctl list-units --failed --plain --no-legend | cut -d' ' -f1)
do
	journalctl -b -o cat -u "$unit" | tail -n 5
done
grub-mkconfig -o /tmp/grub.cfg > /tmp/grub.log 2>&1
say "grub $(grep -c "linux.*/boot/vmlinuz-$release root=UUID" /tmp/grub.cfg)"
insmod /lab/hello.ko; say "hello $(dmesg | grep -c 'built from the headers')"
"""

HELLO = r"""
#include <linux/module.h>
#include <asm/rmp.h>
#include <linux/psp-snp.h>

static int __init hello_init(void)
{
	pr_info("built from the headers\n");
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void) { }
module_exit(hello_exit);
MODULE_LICENSE("GPL");
"""


def _hello(top, headers):
    """A module made with nothing but the headers package."""
    say.run(["dpkg-deb", "-x", headers, top / "root"], f"{NAME}-headers")
    [build_dir] = top.glob("root/usr/src/linux-headers-*")
    work = top / "hello"
    work.mkdir()
    (work / "hello.c").write_text(HELLO)
    (work / "Makefile").write_text("obj-m := hello.o\n")
    say.run(["make", "-C", build_dir, f"M={work}", "modules"],
            f"{NAME}-headers", append=True)
    return work / "hello.ko"


def _script(files, smp, memory):
    argv = guest.command(smp, memory, "snp", ovmf="/" + OVMF)
    files["launch"] = paths.LAB / "hostfs" / "launch"
    return (f"{LOOK}\nKIND=snp\nOVMF_FILE=/{OVMF}\nCOMMAND=("
            + " ".join(f"'{a}'" for a in argv) + ")\n. /lab/launch\n")


def _looked(r, release, version):
    """What there is to say of the system that was booted."""
    first = lambda key: judge.first(r, key)     # noqa: E731
    have = installed.packages()
    row = sources.rows("installed.qemu")[0]
    yield "GRUB", f"GRUB boots /boot/vmlinuz-{release}" in r.console, \
        "its own word on the console"
    yield "release", first("release") == release, first("release")
    yield "cmdline", bool(re.match(
        rf"BOOT_IMAGE=/boot/vmlinuz-{re.escape(release)} root=LABEL=",
        first("cmdline"))), first("cmdline")
    yield "init", first("init") == "systemd", first("init")
    yield "root", first("root").endswith(" ext4"), first("root")
    yield "package", first("package").startswith(f"linux-image-{release}:"), \
        first("package")
    yield "its files as packaged", first("verify") == "0", first("verify")
    yield "no failed unit", not first("failed"), first("failed")
    yield "kvm_amd and ccp came by themselves", first("loaded") == "2", \
        first("loaded")
    yield "modprobe.d", first("snippet") == "1", first("snippet")
    yield "grub-mkconfig finds it", first("grub").isdigit() and \
        int(first("grub")) > 0, first("grub")
    yield "a module made with the headers", first("hello") == "1", \
        first("hello")
    for package in (f"linux-image-{release}", f"linux-headers-{release}"):
        yield package, have.get(package) == version, have.get(package)
    yield "QEMU", have.get(row.package) == row.version, have.get(row.package)


def hosts():
    smp = 2
    with lock.building():
        binary = machine.build().binary
        disk = installed.build()
        g, initrd = build.the_guest()
    p = debs.Package("small")
    release = (p.build / "include/config/kernel.release").read_text().strip()
    marks = {}
    with tempfile.TemporaryDirectory(dir=paths.OUT, prefix="disk-") as tmp:
        top = pathlib.Path(tmp)
        files = {"guest/vmlinuz": g.vmlinuz, "guest/initrd": initrd,
                 "guest/disk": top / "disk",
                 "hello.ko": _hello(top, p.files()["headers"])}
        sums = guest.fresh_disk(top / "disk")
        h = installed.Installed(binary, smp=2, thread="single")
        with say.Step(f"{release}, installed, hosts an SNP guest") as step:
            r = h.run(NAME, _script(files, smp, "512M"), files, 900,
                      mode="installed", step=step, fatal=run.FATAL,
                      on_mark=lambda name, _text, monitor:
                      marks.update({name: counts.machine(monitor)}))
    stream = counts.split_guest(r.guest)
    before, after = marks.get("before"), marks.get("after")
    seen = [("ended", r.ok() and not r.fatal, f"{r.ended}, {r.status}"),
            *_looked(r, release, debs.version()),
            *judge.host_lines(r, "snp"),
            *(x for x in judge.guest_lines(stream, smp, sums, "snp")
              if "private-shared-private" not in x[0]),
            *judge.cycled(stream),
            *judge.cross(before, after, counts.histograms(r.control), r.says,
                         stream, counts.dropped(r.control), smp),
            *judge.rmp_after(before, after), *judge.audits(before, after, r)]
    if after:
        ovmf = (sources.unpacked("host.ovmf") / OVMF).read_bytes()
        seen += judge.measured(before, after, digest.launch(ovmf, smp))
    bad = [f"{name}: {what}" for name, good, what in seen if not good]
    if bad:
        raise CaseFailed("\n".join(bad + r.failure() +
                                   say.tail(r.logs["guest"], 5)))
    return f"{release} on {paths.shown(disk)}, {len(seen)} checks"


CASES = [
    Case(NAME, "our kernel's packages, installed with dpkg in a Debian 12, boot "
         "there by GRUB from its own disk, and host a stock SNP guest of QEMU "
         "of bookworm-backports", hosts, full=True, order=54),
]
