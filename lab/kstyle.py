# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel's own means say of the host series: scripts/checkpatch.pl of
its mails, scripts/kernel-doc, sparse and coccinelle of its files, Sphinx of its
documents. What they say of Debian's source without it does not count."""

import collections
import re
import subprocess

from lab import corners, linux, needs, paths, say, series, style, tree

KNOWN = paths.LAB / "lists/checkpatch-linux.tsv"
TOP = paths.OUT / "kstyle"
SPARSE, COCCI = ["sparse"], ["coccinelle"]
SPHINX = ["python3-sphinx", "python3-sphinx-rtd-theme"]


def mails():
    """(name, text) of each mail of the series, as it would be sent."""
    series.make()
    for file in sorted(series.MAIL.glob("*.patch")):
        if not file.name.startswith("0000-"):
            yield file.name, file.read_text()


def reports(text):
    """What checkpatch --strict has against a mail, lines without their tabs.
    The kernel's MAINTAINERS has directories, and so all new files."""
    found = style.reports(linux.WORK, text, ("--strict", "--ignore",
                                             "FILE_PATH_CHANGES"))
    return [(file, what, " ".join(line.split())) for file, what, line in found]


def ours(suffix=(".c", ".h")):
    """Paths of the series' own files in the kernel."""
    return sorted(f for f in series.new_files() if f.endswith(suffix))


def hooked(suffix=(".c", ".h")):
    """Paths of the files that it hooks."""
    return sorted({f for name in tree.series(linux.SERIES)
                   for f in tree.touched_by(linux.SERIES / name)
                   if f.endswith(suffix) and (linux.PRISTINE / f).exists()})


def said(argv, src, **kwargs):
    """Counter of (file, text) of what a tool says in a source: lines that
    begin with a file and a line's number, of which they lose the latter."""
    r = subprocess.run([str(a) for a in argv], cwd=src, text=True, check=False,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       stdin=subprocess.DEVNULL, **kwargs)
    out = collections.Counter()
    for m in re.finditer(r"^(?:\./)?([^\s:]+):\d+(?:[:-]\d+)*: (.*)$",
                         r.stdout, re.M):
        out[m[1].removeprefix(f"{src}/"), m[2]] += 1
    if r.returncode and not out:
        raise say.Failed(f"{argv[0]}: status {r.returncode}: "
                         f"{r.stdout[-400:]}")
    return out


def comments(src, files):
    """What kernel-doc has against files of a source."""
    return said(["perl", "scripts/kernel-doc", "-none", *files], src) \
        if files else collections.Counter()


def kernel_doc():
    """What kernel-doc has against the files of the series, and not against
    Debian's."""
    linux.lay()
    new = comments(linux.WORK, ours() + hooked())
    return sorted(f"{f}: {text}" for f, text in
                  new - comments(linux.PRISTINE, hooked()))


def objects():
    """Objects of the corner "modules" that the series' files are in."""
    return [f[:-2] + ".o" for f in ours((".c",)) + hooked((".c",))
            if not f.startswith("tools/")]


def _sparse(src, build, log):
    """Counter of what sparse says of a source's objects."""
    corner = corners.get("modules")
    corners.configure(corner, src, build, log)
    argv = corners.make(corner, src, build)
    say.run([*argv, "prepare"], log, env=linux._env(), append=True)
    try:
        say.run([*argv, "-k", "C=2", *objects_of(src)], log,
                env=linux._env(), append=True)
    except say.Failed:
        pass                # some are in no object of this configuration
    text = say.log_path(log).read_text(errors="replace")
    looked = len(re.findall(r"^  CHECK   ", text, re.M))
    if looked < len(objects_of(src)) // 2:
        raise say.Failed(f"sparse looked at {looked} files only; see "
                         f"{paths.shown(say.log_path(log))}")
    return corners.warnings(text, src)


def objects_of(src):
    return [o for o in objects() if (src / (o[:-2] + ".c")).exists()]


def sparse():
    """What sparse says of the objects that the series touches, and not
    without it."""
    needs.install(SPARSE)
    linux.lay()
    TOP.mkdir(parents=True, exist_ok=True)
    seen = []
    for name, src in (("ours", linux.WORK), ("pristine", linux.unpack())):
        log = f"kstyle-sparse-{name}"
        say.log_path(log).unlink(missing_ok=True)
        seen.append(_sparse(src, TOP / f"sparse-{name}", log))
    return sorted(f"{f}: {text}" for f, text in seen[0] - seen[1])


def applied(script, src, files):
    """Counter of what a semantic patch says of files; of none if it has no
    reports."""
    text = script.read_text()
    if not re.search(r"^virtual .*\breport\b", text, re.M):
        return collections.Counter()
    flags = re.findall(r"^(?:// )?Options: (.*)$", text, re.M)
    return said(["spatch", "--very-quiet", "-D", "report", "--cocci-file",
                 script, *(flags[0].split() if flags else []), "-I", "include",
                 "-I", "arch/x86/include", *files], src)


def semantic(scripts=None):
    """What the kernel's semantic patches say of the series' files, and not of
    them without it."""
    needs.install(COCCI)
    linux.lay()
    files = ours((".c",)) + hooked((".c",))
    old = [f for f in files if (linux.PRISTINE / f).exists()]
    bad = []
    scripts = scripts or sorted(
        (linux.PRISTINE / "scripts/coccinelle").rglob("*.cocci"))
    with say.Step(f"apply {len(scripts)} semantic patches") as step:
        for n, script in enumerate(scripts):
            step.tick(n / len(scripts), script.name)
            new = applied(script, linux.WORK, files)
            if new:
                new -= applied(script, linux.PRISTINE, old)
            bad += [f"{script.name}: {f}: {what}" for f, what in new]
    return sorted(bad)


def documents():
    """What Sphinx says of the documents of x86 and virt, and not without the
    series."""
    needs.install(SPHINX)
    linux.lay()
    seen = []
    for name, src in (("ours", linux.WORK), ("pristine", linux.unpack())):
        out, log = TOP / f"docs-{name}", f"kstyle-docs-{name}"
        out.mkdir(parents=True, exist_ok=True)
        say.log_path(log).unlink(missing_ok=True)
        say.run(["make", "-C", src, f"O={out}", "SPHINXDIRS=x86 virt",
                 "htmldocs"], log, env=linux._env())
        seen.append(corners.warnings(
            re.sub(r": WARNING: ", ": warning: ",
                   say.log_path(log).read_text(errors="replace")), src))
    return sorted(f"{f}: {text}" for f, text in seen[0] - seen[1])
