# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that what the host series brings for user space stands in its
documentation: names of the UAPI, module parameters, and each line with which it
refuses SNP, with what is to be done then. What is written there is for readers
to judge; that it is there is not."""

import re

from lab import linux, tree
from lab.cases import Case, CaseFailed

NAME = re.compile(r"^#define\s+((?:KVM|SNP|GUEST_MEMFD)_\w+)|"
                  r"^\s+((?:KVM|SNP)_\w+)\s*(?:=[^,]*)?,", re.M)
PARAMETER = re.compile(r"^module_param(?:_named|_cb)?\((\w+)", re.M)
# made from lists, which name all sorts of things and explain none
LISTS = {f"Documentation/virt/kvm/x86/{n}.rst" for n in
         ("snp-fixes", "snp-mistakes")}
GUIDE = "Documentation/virt/kvm/x86/snp-operation.rst"
PARAMETERS = "Documentation/admin-guide/kernel-parameters.txt"
# what refuses SNP, when the kernel boots and when kvm_amd is loaded
REFUSES = ("arch/x86/virt/svm/rmp_boot.c", "arch/x86/virt/svm/rmp_switch.c",
           "drivers/crypto/ccp/snp-init.c", "arch/x86/kvm/svm/sev_init.c",
           "drivers/iommu/amd/init.c")
SAID = re.compile(r"(?:pr_err|pr_warn|dev_err)\(\s*(?:sev->dev,\s*)?"
                  r"\"([^\"]*)\"|return \"([^\"]*)\";")
# How a refusal goes on, itself or by one of those that are returned.
REMEDY = re.compile(r": (?:enable|update|have|end|bring|load|take|see|"
                    r"memory is short)\b|: %s")
# of an SNP that is up, or is to end; what is no refusal
LATER = ("came too late", "no suspend", "shutdown failed", "buffers are lost",
         "ciphertext_hiding_asids=", "cannot watch CPUs", "disabled")


def added(hooks, overlay):
    """{path: text that the series adds}. hooks: texts of patches; overlay:
    {path: text}."""
    out = dict(overlay)
    for text in hooks:
        name = None
        for line in text.splitlines():
            m = re.match(r"\+\+\+ b/(\S+)", line)
            if m:
                name = m[1]
            elif name and line.startswith("+"):
                out[name] = out.get(name, "") + line[1:] + "\n"
    return out


def missing(files):
    """What does not stand where it has to."""
    def below(top):
        return "\n".join(t for p, t in files.items() if p.startswith(top) and
                         p not in LISTS)
    docs, bad = below("Documentation/"), []
    uapi = "\n".join(t for p, t in files.items() if "/uapi/" in p)
    names = {a or b for a, b in NAME.findall(uapi)}
    bad += [f"{n} is in the UAPI, and in no documentation"
            for n in sorted(names) if not re.search(rf"\b{n}\b", docs)]
    code = "\n".join(t for p, t in files.items() if p.endswith(".c") and
                     not p.startswith("tools/"))
    params = sorted(set(PARAMETER.findall(code))) + ["sev=nosnp"]
    named = files.get(PARAMETERS, "") + below("Documentation/x86/")
    bad += [f"{p} is a parameter, and not in {PARAMETERS}" for p in params
            if p.removeprefix("sev=") not in named]
    table = re.search(r"If a host has no SNP\n=+\n(.*?)\n\n\w",
                      files.get(GUIDE, ""), re.S)
    cells = " ".join(x[:44].strip() for x in
                     (table[1] if table else "").splitlines())
    text = " ".join(cells.split())
    refusals = [a or b for p in REFUSES
                for a, b in SAID.findall(files.get(p, ""))
                if not any(x in a + b for x in LATER)]
    bad += [f"does not say what to do: {line}" for line in refusals
            if not REMEDY.search(line)]
    for line in refusals:
        words = re.sub(r"^(SEV-SNP|SNP|init failed): ", "", line)
        words = re.split(r"[%(:\\]", words)[0].strip()
        if not any(part in text for part in
                   (words, " ".join(words.split()[:4]),
                    " ".join(words.split()[-4:]))):
            bad.append(f"{GUIDE} does not say what to do about: {line}")
    if not (names and params and refusals and text):
        bad.append(f"{len(names)} names, {len(params)} parameters, "
                   f"{len(refusals)} refusals, "
                   f"{'answers' if text else 'no answers'}")
    return bad, len(names) + len(params) + len(refusals)


def series():
    overlay = {}
    for top, inside in linux.overlay():
        for p in sorted(top.rglob("*")):
            if p.is_file() and "__pycache__" not in p.parts:
                overlay[f"{inside}/{p.relative_to(top)}"] = \
                    p.read_text(errors="replace")
    return added([(linux.SERIES / n).read_text()
                  for n in tree.series(linux.SERIES)], overlay)


def documented():
    files = series()
    bad, count = missing(files)
    first = len(bad)
    # the judge itself: whatever is taken out is missed
    for place, what in ((GUIDE, "VMs run already"),
                        ("Documentation/virt/kvm/x86/snp-commands.rst",
                         "SNP_VLEK_LOAD"), (PARAMETERS, "gmem_huge"),
                        (REFUSES[0], ": update the BIOS"),
                        (REFUSES[2], ": update the BIOS"),
                        (REFUSES[3], ": load kvm_amd with npt=1"),
                        (REFUSES[4], ": enable it")):
        less = dict(files, **{place: files[place].replace(what, "")})
        if len(missing(less)[0]) <= first:
            bad.append(f"not missed: {what}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{count} names, parameters and refusals"


CASES = [Case("tree.documented", "each name of the UAPI that the host series "
              "adds, each module parameter, and each line with which it refuses "
              "SNP stands in its documentation", documented, order=1,
              inputs=())]
