# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the host series is one: every patch applies in order, every new
file enters in one patch, the branch's end is what the kernel is built from,
the kernel builds after each patch, wherever what it touches is built, and the
kernel's own means have nothing against it."""

import pathlib
import tempfile

from lab import (corners, kstyle, linux, needs, prefixes, say, series,
                 style)
from lab.cases import Case, CaseFailed


def applies():
    return f"{series.make()} patches"


def builds():
    seen = prefixes.build()
    bad = [f"{subject}: {line}" for subject, wrong in seen for line in wrong]
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(seen)} builds and boots"


def every_corner():
    """The end of the series, linked, too."""
    linux.lay()
    bad = [line for c in corners.ALL
           for line in corners.build(c, linux.WORK, corners.TOP, link=True)]
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(corners.ALL)} configurations"


# What checkpatch has to notice: a mail with each of these lines, by what.
WRONG = (("        int x;", "code indent should use tabs where possible"),
         ("\tif (x) return;", "trailing statements"),
         ("\tx = a+b;", "spaces preferred around that"))


def checkpatch():
    found, unsigned = [], []
    for name, text in kstyle.mails():
        found += kstyle.reports(text)
        who = series._me()
        if f"Signed-off-by: {who[0]} <{who[1]}>\n" not in text:
            unsigned.append(f"{name}: nobody signs it off")
    bad = unsigned + style.compare(
        found, style.known(file=kstyle.KNOWN), kstyle.KNOWN.name)
    for line, what in WRONG:
        file = "virt/kvm/guest_memfd.c"
        text = (f"From: a <a@b>\nSubject: [PATCH] x: Y\n\nWhy.\n\n"
                f"Signed-off-by: a <a@b>\n---\ndiff --git a/{file} b/{file}\n"
                f"--- a/{file}\n+++ b/{file}\n@@ -1,2 +1,3 @@\n {{\n+{line}\n"
                " }\n")
        if not any(what in r[1] for r in kstyle.reports(text)):
            bad.append(f"'{line}' is not noticed")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(found)} reports, each with its reason"


DOC = """\
/**
 * one() - Has a parameter
 * @other: not this one
 */
int one(int parameter)
{
\treturn 0;
}
"""


def kernel_doc():
    bad = kstyle.kernel_doc()
    with tempfile.TemporaryDirectory() as tmp:
        file = pathlib.Path(tmp) / "one.c"
        file.write_text(DOC)
        if len(kstyle.comments(linux.WORK, [file])) != 2:
            bad.append("a comment without its parameter is not noticed")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(kstyle.ours())} new files, {len(kstyle.hooked())} hooked"


# What make said in a corner: what it stands for has to be seen, each once.
SAID = """\
In file included from /top/src/virt/kvm/kvm_main.c:1:
../../top/src/include/linux/kvm_host.h:5:6: warning: unused variable 'a'
../../top/src/include/linux/kvm_host.h:5:6: warning: unused variable 'a'
/top/src/arch/x86/kvm/../../../virt/kvm/eventfd.c:7: error: no
../../top/src/virt/kvm/pre_fault.c:9:15: fatal error: no such file
ERROR: modpost: "rmp_split" [arch/x86/kvm/kvm-amd.ko] undefined!
  CC      arch/x86/kvm/warning.o
"""
SEEN = {("include/linux/kvm_host.h", "warning: unused variable 'a'"),
        ("virt/kvm/eventfd.c", "error: no"),
        ("virt/kvm/pre_fault.c", "error: no such file"),
        ("-", 'ERROR: modpost: "rmp_split" [arch/x86/kvm/kvm-amd.ko] '
         "undefined!")}


def said():
    src = pathlib.Path("/top/src")
    seen = corners.warnings(SAID, src)
    bad = [f"not seen: {x}" for x in SEEN - set(seen)] + \
        [f"seen: {x}" for x in set(seen) - SEEN] + \
        [f"{n} times: {x}" for x, n in seen.items() if n != 1]
    if corners.compiled(SAID, src) != {"include/linux/kvm_host.h":
                                       "virt/kvm/kvm_main.c"}:
        bad.append(f"compiled: {corners.compiled(SAID, src)}")
    with tempfile.TemporaryDirectory() as tmp:
        top = pathlib.Path(tmp)
        (top / "Kconfig").write_text("config SMP\n")
        (top / "Makefile").write_text(
            "allnoconfig:\n\techo CONFIG_X=y > $(O)/.config\n")
        try:
            corners.configure(corners.Corner("x", {"SMP": "y", "NONE": "y"}),
                              top, top / "out", "corner-x")
        except say.Failed as e:
            if "SMP=y" not in str(e) or "NONE" in str(e):
                bad.append(f"of options: {e}")
        else:
            bad.append("an option that did not take is not noticed")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(corners.ALL)} corners"


def quiet(tool):
    bad = tool()
    if bad:
        raise CaseFailed("\n".join(bad))
    return "nothing new"


FREED = """\
void f(char *p)
{
\tkfree(p);
\tg(p->x);
}
"""


def coccicheck():
    needs.install(kstyle.COCCI)
    with tempfile.TemporaryDirectory() as tmp:
        file = pathlib.Path(tmp) / "freed.c"
        file.write_text(FREED)
        script = linux.unpack() / "scripts/coccinelle/free/kfree.cocci"
        if len(kstyle.applied(script, linux.PRISTINE, [file])) != 1:
            raise CaseFailed("a use after kfree() is not noticed")
    return quiet(kstyle.semantic)


CASES = [
    Case("series.applies", "overlay and patches become a git branch and "
         "mail; each new file enters in exactly one patch", applies,
         order=20, inputs=("linux",)),
    Case("series.checkpatch", "6.1's checkpatch --strict has nothing against "
         "the mails but what lab/lists/checkpatch-linux.tsv has, with the "
         "reason why it is false; each is signed off", checkpatch, order=21,
         inputs=("linux",)),
    Case("series.kernel-doc", "kernel-doc has nothing against the comments of "
         "new and hooked files that it has not against Debian's", kernel_doc,
         order=21, inputs=("linux",)),
    Case("series.judge", "what a compiler, modpost or an option that does not "
         "take says in a corner is seen, once", said, order=2, inputs=()),
    Case("series.sparse", "nor has sparse against their objects",
         lambda: quiet(kstyle.sparse), full=True, order=53,
         inputs=("linux",)),
    Case("series.coccicheck", "nor have the kernel's semantic patches",
         coccicheck, full=True, order=53, inputs=("linux",)),
    Case("series.htmldocs", "nor has Sphinx against the documents of x86 and "
         "virt", lambda: quiet(kstyle.documents), full=True, order=53,
         inputs=("linux",)),
    Case("series.corners", "what the series touches builds with W=1 and without a "
         "new warning: with KVM for AMD as a module, built in, or not at all, "
         "without SEV, without memory encryption, for i386, by clang, and KVM of "
         "arm64 and s390; where it is a kernel for x86 it links", every_corner,
         full=True, order=54, inputs=("linux",)),
    Case("series.builds", "so it does after each patch of the series, and the "
         "kernel boots on the machine", builds, full=True, order=56),
]
