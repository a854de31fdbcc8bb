# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that unmodified kernels believe the machine: Debian 13's kernel and
the newest of its backports come up as SNP hosts, and a stock SNP guest does
its work in them, with every count accounted for and nothing left after."""

from lab.cases import Case
from lab.cases.plain import judged


def one(host, smp, thread):
    name = f"snp.{host}.smp{smp}.{thread}"
    return Case(name, f"{host} hosts a stock SNP guest of {smp} vCPU"
                f"{'s' * (smp > 1)}: its promises, the counts of machine, "
                "KVM and QEMU agree, the RMP is as before",
                lambda: judged(host=host, smp=smp, thread=thread, name=name,
                               timeout=900), order=45)


CASES = [one("debian-13", 2, "single"), one("debian-backports", 2, "single"),
         one("debian-13", 1, "single")]
