# SPDX-License-Identifier: GPL-2.0-or-later
"""The host series as a git branch on the pristine source, and as mail.

patches/series lists patches in order. A patch file is a message (subject,
blank line, body) and, after it, the hooks as a diff; it may have no hook. New
files live in the tree at their kernel path; the message says which enter
with this patch, one a line, anywhere after the subject:

    Adds: virt/kvm/guest_memfd.c

Every new file enters in exactly one patch. A directory adds all below it.
"""

import os
import re
import shutil
import subprocess

from lab import linux, lock, paths, say, sources, stamp, tree

TOP = paths.OUT / "series"
GIT = TOP / "linux"
MAIL = TOP / "mail"
BRANCH = "snp-host"


class Entry:
    def __init__(self, path):
        self.path = path
        text = path.read_text()
        m = re.search(r"^(?:diff --git |--- (?:a/|/dev/null))", text, re.M)
        head = text[:m.start()] if m else text
        head = re.sub(r"^From [0-9a-f]{40}.*\n", "", head)
        head = re.sub(r"^---\n.*\Z", "", head, flags=re.M | re.S)
        self.adds = re.findall(r"^Adds: (\S+)$", head, re.M)
        head = re.sub(r"^Adds: .*\n?", "", head, flags=re.M)
        head = re.sub(r"\A(?:(?:From|Date): .*\n)*Subject: "
                      r"(?:\[[^]]*\] )?", "", head)
        self.message = head.strip() + "\n"
        self.hooks = m is not None


def entries():
    t = tree.Tree(linux.PRISTINE, linux.WORK, [], linux.SERIES)
    return [Entry(linux.SERIES / name) for name in t.series()]


def new_files():
    out = {}
    for top, inside in linux.overlay():
        for p in sorted(top.rglob("*")):
            if p.is_file() and "__pycache__" not in p.parts:
                out[f"{inside}/{p.relative_to(top)}"] = p
    return out


def assign(series, files):
    """[(entry, [new files])]; Failed names every file that enters in none or
    in two, and every Adds that means nothing."""
    bad, owner, out = [], {}, []
    for e in series:
        mine = []
        for want in e.adds:
            found = [f for f in files
                     if f == want or f.startswith(want.rstrip("/") + "/")]
            if not found:
                bad.append(f"{e.path.name}: Adds: {want}: no such file")
            for f in found:
                if f in owner:
                    bad.append(f"{f}: enters in {owner[f]} and in "
                               f"{e.path.name}")
                owner[f] = e.path.name
                mine.append(f)
        if not mine and not e.hooks:
            bad.append(f"{e.path.name}: neither hooks nor new files")
        if not e.message.split("\n")[0]:
            bad.append(f"{e.path.name}: no subject")
        out.append((e, mine))
    bad += [f"{f}: no patch adds it" for f in files if f not in owner]
    if bad:
        raise say.Failed("patches/series does not hold together:\n" +
                         "\n".join("    " + b for b in bad))
    return out


def _git(*argv, **kwargs):
    env = dict(os.environ, GIT_CONFIG_NOSYSTEM="1")
    for who in ("AUTHOR", "COMMITTER"):
        name, mail = _me()
        env[f"GIT_{who}_NAME"], env[f"GIT_{who}_EMAIL"] = name, mail
    r = subprocess.run(["git", "-C", GIT, "-c", "core.autocrlf=false",
                        "-c", "gc.auto=0", *argv], env=env, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       check=False, **kwargs)
    if r.returncode:
        raise say.Failed(f"git {argv[0]}: {r.stderr.strip()[-400:]}")
    return r.stdout


def _me():
    """The author is whoever last committed here."""
    text = say.capture(["git", "-C", paths.ROOT, "log", "-1",
                        "--format=%an%n%ae"])
    return text.splitlines()[:2]


@lock.alone
def make():
    """Builds out/series, if it is of another series. Returns the number of
    patches."""
    plan = assign(entries(), new_files())
    linux.unpack()
    row = sources.rows("host.ours")[0]
    key = stamp.digest(row, _me(), linux.SERIES,
                       *(top for top, _ in linux.overlay()))
    if stamp.current("series", key, GIT, MAIL):
        return len(plan)
    stamp.clear("series")
    base = f"base-{row.version}"
    TOP.mkdir(parents=True, exist_ok=True)
    if not (GIT / ".git").exists() or base not in _git("tag").split():
        shutil.rmtree(GIT, ignore_errors=True)
        with say.Step("put the pristine source into git") as step:
            shutil.copytree(linux.PRISTINE, GIT, symlinks=True)
            step.tick()
            _git("init", "-q", "-b", "base")
            _git("add", "-A", "-f")
            _git("commit", "-q", "-m", f"Linux {row.version} of Debian")
            _git("tag", base)
    _git("checkout", "-q", "-f", "-B", BRANCH, base)
    _git("clean", "-q", "-f", "-d", "-x")
    files = new_files()
    with say.Step(f"make {len(plan)} commits"):
        for e, mine in plan:
            for f in mine:
                (GIT / f).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(files[f], GIT / f)
                shutil.copymode(files[f], GIT / f)
            if e.hooks:
                r = subprocess.run(
                    ["patch", "-p1", "-f", "-s", "--no-backup-if-mismatch",
                     "-r", "-", "-i", e.path], cwd=GIT, text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    check=False)
                if r.returncode:
                    raise say.Failed(f"{e.path.name} does not apply:\n" +
                                     r.stdout)
            _git("add", "-A", "-f")
            _git("commit", "-q", "-s", "-F", "-", input=e.message)
    _same_as_tree(files)
    shutil.rmtree(MAIL, ignore_errors=True)
    if plan:
        _git("format-patch", "-q", "--cover-letter", "-o", MAIL, base)
        _cover(row, plan)
    stamp.write("series", key)
    return len(plan)


def _same_as_tree(files):
    """The branch's end must be what `make linux` builds."""
    linux.lay()
    hooked = {f for e in entries() if e.hooks
              for f in tree.touched_by(e.path)}
    for f in sorted(set(files) | hooked):
        a, b = GIT / f, linux.WORK / f
        if a.exists() != b.exists() or \
                (a.exists() and a.read_bytes() != b.read_bytes()):
            raise say.Failed(f"{f} differs between series and make linux")


def _cover(row, plan):
    for p in MAIL.glob("0000-*"):
        text = p.read_text()
        text = text.replace("*** SUBJECT HERE ***",
                            "SEV-SNP host support for Linux 6.1")
        text = text.replace(
            "*** BLURB HERE ***",
            f"SEV-SNP hosting for {row.package} {row.version}, with "
            "upstream's user-space\ninterface. "
            f"{len(plan)} patches; new files carry nearly all of it, the "
            "hooks into\nexisting files are small. Each patch says what was "
            "run.")
        p.write_text(text)
