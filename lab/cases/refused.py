# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that a host that cannot have SNP guests says so in a plain answer, its
own line in it where it has one, and launches nothing: no time-out, no failed
guest."""

import contextlib
import io
import re

from lab import do_run, image, paths, run, sources
from lab.cases import Case, CaseFailed, plain

WORDS = "this host did not enable SNP: "
TOO_OLD = ("SEV-SNP support requires firmware version >= 1:51, this is 1:50: "
           "update the BIOS, or put an image into amd/")
SILENT = "its log says nothing of SEV or SNP"
NO_PSP = r" \(the machine has no PSP: it is not an SNP machine\)"


def answer(name, line, said="", **kwargs):
    """The request is refused; line: a regular expression, the whole of what
    follows WORDS. What is no sentence of ours stands in the host's log. said:
    what else does."""
    verdict = run.go(run.Request(name=name, smp=1, timeout=600, **kwargs))
    r, refused = verdict.result, verdict.refused or ""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        do_run.show(verdict)
    own = re.sub(NO_PSP + "$", "", refused.removeprefix(WORDS))
    seen = [
        (bool(re.fullmatch(re.escape(WORDS) + line, refused)), "the answer"),
        (own == SILENT or own in r.console, "the host's own line"),
        (not verdict.ok() and not verdict.summary["ok"], "that it is not good"),
        (verdict.summary["refused"] == refused, "the summary"),
        (out.getvalue().splitlines()[:1] == [refused], "the first line"),
        (r.ended == "script" and not verdict.died, "an orderly end"),
        ("before" not in r.marks and not r.guest.strip(), "no guest"),
        (not r.bad_lines(), "no warning"),
        (said in r.console, said),
    ]
    bad = [f"not so: {what}" for good, what in seen if not good]
    if bad:
        raise CaseFailed("\n".join([f"refused: {verdict.refused}", *bad,
                                    plain.explain(verdict)]))
    return refused


def firmware(name="refused.firmware", on="debian-13", said=""):
    """The newest version of its ABI that Linux does not take for SNP."""
    return answer(name, r"kvm_amd: SEV-SNP disabled \(ASIDs \d+ - \d+\)",
                  said, host=on, psp=("api-minor=50",))


def computer():
    """The machine without its secure processor: its CPU then has no SEV."""
    return answer("refused.computer", re.escape(SILENT) + NO_PSP,
                  host="debian-13", snp=False)


def kernel():
    """Debian's cloud kernel, which makes no SNP hosts, on the machine."""
    top = sources.unpacked("guest.kernel")
    [vmlinuz] = top.glob("boot/vmlinuz-*")
    config = top / "boot" / f"config-{image.Modules(top).release}"
    if "CONFIG_KVM_AMD_SEV=y" in config.read_text():
        raise CaseFailed(f"{paths.shown(config)} has CONFIG_KVM_AMD_SEV: this "
                         "needs another kernel")
    return answer("refused.kernel", re.escape(SILENT), kernel=str(vmlinuz),
                  modules=str(top))


def unpatched():
    return answer("refused.unpatched", re.escape(SILENT) + NO_PSP,
                  host="debian-backports", pristine=True)


CASES = [
    Case("refused.firmware", "where the secure processor's firmware is too old "
         "for SNP the answer is the host's own line that it is disabled, and no "
         "guest is tried", firmware, order=41, inputs=("machine",)),
    Case("refused.firmware.ours", "so it is on our host, which says what "
         "version it needs, what it has and what to do",
         lambda: firmware("refused.firmware.ours", "ours", TOO_OLD), order=48),
    Case("refused.computer", "on a machine without SNP CPU and PSP the answer "
         "is that the host says nothing of SNP, and that this is no SNP "
         "machine", computer, order=41, inputs=("machine",)),
    Case("refused.kernel", "a kernel that makes no SNP hosts gets such an "
         "answer on the machine, too", kernel, order=41, inputs=("machine",)),
    Case("refused.unpatched", "so does the newest host on QEMU without our "
         "changes", unpatched, full=True, order=53, inputs=()),
]
