# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that SEV and SEV-ES guests have their place beside SNP ones: the same
stock guest as in snp.py, launched by stock QEMU's `sev-guest` object, on stock
hosts that have SNP on, and on ours; and that the newest kernel takes SEV-ES back
where the firmware's security version tells it to."""

import re

from lab import counts, guest, host, judge, kernels, machine, run
from lab.cases import Case, CaseFailed
from lab.cases.plain import judged

NEWEST = "debian-backports"


def one(kind, on, smp, full=False, order=45, inputs=("machine",)):
    name = f"{kind}.{on}.smp{smp}"
    return Case(name, f"{on} hosts {guest.KINDS[kind].what} guest of {smp} "
                f"vCPU{'s' * (smp > 1)}: its promises, the counts of machine, "
                "KVM and QEMU agree, nothing of it is left",
                lambda: judged(host=on, smp=smp, kind=kind, name=name,
                               timeout=1800), full=full,
                order=59 if full else order, inputs=inputs)


def self_check(kind):
    name = f"{kind}.self-check"
    return Case(name, f"{guest.KINDS[kind].what} guest of 2 vCPUs on the "
                "newest host, one thread a CPU, every cached translation "
                "compared with the RMP",
                lambda: judged(host=NEWEST, smp=2, kind=kind, thread="multi",
                               self_check=True, name=name, timeout=3600),
                full=True, order=59, inputs=("machine",))


def encrypted(kind, checked):
    name = f"{kind}.encrypted.debian-13"
    return Case(name, f"{guest.KINDS[kind].what} guest on Debian 13's host with "
                "memory enciphered" + " and the self-check on" * checked +
                ": its host reads the guest's firmware as ciphertext, and each "
                "page that the guest claimed is given back as such",
                lambda: judged(host="debian-13", smp=1, kind=kind,
                               thread="single", self_check=checked,
                               encrypt=True, name=name, timeout=1800),
                full=True, order=59, inputs=("machine",))


# The first security version of SNP's firmware (byte 6 of the TCB version) with
# which 7.2 offers no SEV-ES on processors of family 19h.
WITHDRAWN = 0x1b

# QEMU asks for the VM type that is withdrawn if told so. By default it uses the
# ioctl from before there were types, which 7.2 forgot: said, not judged.
SCRIPT = """
modprobe ccp && modprobe kvm_amd || exit 9
mark before
timeout 60 {typed} < /dev/null > /tmp/out 2>&1
say "status $?"
say "words $(head -n 1 /tmp/out)"
mark after
timeout 30 {untyped} < /dev/null > /tmp/out 2>&1
mark untyped
exit 0
"""
REFUSED = "host kernel does not support requested KVM_X86_SEV_ES_VM VM type"


def at(svn, script, on):
    """A boot of a host with this security version. Returns (Result, the
    machine's counts by mark)."""
    sides = {}

    def on_mark(name, _text, monitor):
        sides[name] = counts.machine(monitor)

    tcb = 0x4800000000000007 | svn << 48
    h = host.Host(kernels.get(on), machine.build().binary, thread="single",
                  psp=[f"tcb={tcb:#x}"])
    r = h.run(f"sev-es.withdrawn.{on}.{svn:x}", script, timeout=400,
              on_mark=on_mark)
    if not r.ok() or r.bad_lines():
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.failure()]))
    return r, sides


def offers(console):
    """{"SEV-ES": "enabled", ...}, as kvm_amd says."""
    return {name: word for name, word in
            re.findall(r"\b(SEV[-A-Z]*) (\w+) \(ASIDs", console)}


def withdrawn(on=NEWEST):
    bad = []
    r, _ = at(WITHDRAWN - 1, "modprobe ccp && modprobe kvm_amd\n", on)
    want = dict.fromkeys(judge.ENABLED.values(), "enabled")
    if offers(r.console) != want:
        bad.append(f"one version below: {offers(r.console)}")
    # a guest of firmware only: it would be launched, and then look for disks
    argv = guest.command(1, "256M", "sev-es", ovmf="/" + run.OVMF_INSIDE)
    untyped = " ".join(argv[:argv.index("-kernel")])
    typed = untyped.replace(",policy=", ",legacy-vm-type=off,policy=")
    r, sides = at(WITHDRAWN, SCRIPT.format(typed=typed, untyped=untyped),
                  on)
    if offers(r.console) != {**want, "SEV-ES": "unusable"}:
        bad.append(f"there: {offers(r.console)}")
    status, words = judge.first(r, "status"), judge.first(r, "words")
    if status != "1" or REFUSED not in words:
        bad.append(f"QEMU was not refused a SEV-ES guest: {status} {words}")
    typed, untyped = (
        counts.firmware(judge.difference(sides[a]["stats"], sides[b]["stats"]),
                        "LAUNCH_START")
        for a, b in (("before", "after"), ("after", "untyped")))
    if typed:
        bad.append(f"{typed} guests were launched")
    if bad:
        raise CaseFailed("\n".join(bad))
    return (f"QEMU: {words}\ndiffers: through KVM_SEV_ES_INIT the same kernel "
            f"launched {untyped}")


CASES = [one(kind, on, smp, full=smp == 1)
         for kind in ("sev", "sev-es") for on in ("debian-13", NEWEST)
         for smp in (1, 2)]
CASES += [one(kind, "ours", 2, full=kind == "sev-es", order=48,
              inputs=("machine", "linux")) for kind in ("sev", "sev-es")]
CASES += [self_check(kind) for kind in ("sev", "sev-es")]
CASES += [encrypted("sev", True), encrypted("sev-es", False)]
CASES.append(Case("sev-es.withdrawn", "at the firmware's security version at "
                  "which the newest kernel withdraws SEV-ES it does, and stock "
                  "QEMU is refused such a VM type; one below it does not",
                  withdrawn, order=44, inputs=("machine",)))
CASES.append(Case("sev-es.withdrawn.ours", "the same of our host",
                  lambda: withdrawn("ours"), full=True, order=58,
                  inputs=("machine", "linux")))
