# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that `lab/snp rebase` names the hook that another source does not take,
and no other."""

import contextlib
import io
import pathlib
import re
import shutil
import tempfile

from lab import do_rebase, drift, linux, tree
from lab.cases import Case, CaseFailed


def _hunk():
    """(patch, file, place, lines as the source has them) of a hunk in the middle
    of a file that no patch before this one touches."""
    seen = set()
    for name in tree.series(linux.SERIES):
        text = (linux.SERIES / name).read_text()
        for part in re.split(r"^(?=--- a/)", text, flags=re.M)[1:]:
            file = re.match(r"--- a/(\S+)", part)[1]
            for hunk in re.split(r"^(?=@@ )", part, flags=re.M)[1:]:
                head, _, body = hunk.partition("\n")
                old = [x[1:] for x in body.splitlines() if x[:1] in " -"]
                lead = re.match(r"(?: .*\n)*", body)[0].count("\n")
                source = linux.PRISTINE / file
                if file not in seen and lead == 3 and len(set(old)) == \
                        len(old) > 6 and source.exists() and \
                        source.read_text().count("\n".join(old)) == 1:
                    line = re.match(r"@@ -(\d+)", head)[1]
                    return name, file, f"line {line}", old
            seen.add(file)
    raise CaseFailed("the series has no hunk to try with")


def _source(top):
    """What the series touches of the source that it is for."""
    files = {f for name in tree.series(linux.SERIES)
             for f in tree.touched_by(linux.SERIES / name)} | {"Makefile"}
    for f in files:
        if (linux.PRISTINE / f).exists():
            (top / f).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(linux.PRISTINE / f, top / f)
    return top


def named():
    linux.unpack()
    patch, file, place, old = _hunk()
    with tempfile.TemporaryDirectory() as tmp:
        top = _source(pathlib.Path(tmp))
        text = (top / file).read_text()
        if drift.hooks(top) != ([], []):
            raise CaseFailed(f"its own source: {drift.hooks(top)}")
        # what is where it was not, but as it was, is no matter
        (top / file).write_text("\n" * 7 + text)
        if drift.hooks(top) != ([], [file]):
            raise CaseFailed(f"lines before it: {drift.hooks(top)}")
        for what, line, how in (("a line at its edge", old[0], "guessed"),
                                ("all its lines", None, "gone")):
            new = [x + " /* other */" if line in (x, None) else x
                   for x in old]
            (top / file).write_text(text.replace("\n".join(old),
                                                 "\n".join(new)))
            _one(top, what, patch, file, place, how)
        (top / file).unlink()
        _one(top, "no such file", patch, file, place, "gone")
    return f"{patch}: {file}: {place}"


def _one(top, what, patch, file, place, how):
    hooks, differ = drift.hooks(top)
    first = hooks[0] if hooks else None
    if not first or first[:2] != (patch, file) or differ != [file] or \
            first.how != how or not (first.where + " ").startswith(place + " ") or \
            {h.file for h in hooks} != {file}:
        raise CaseFailed(f"{what}: {hooks}, {differ}")
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        status = do_rebase.report("this", hooks, differ)
    if status != 1 or f"{how:8} {patch}: {file}: {place}" not in \
            told.getvalue():
        raise CaseFailed(f"{what}: status {status}: {told.getvalue()}")


CASES = [
    Case("lab.rebase", "of a source in which one hook's place is moved, changed "
         "or gone, `lab/snp rebase` names that hook and no other", named,
         order=3, inputs=("linux",)),
]
