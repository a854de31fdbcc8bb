# SPDX-License-Identifier: GPL-2.0-or-later
"""An apt of the project's own, under out/apt: Debian 13 and 12, their security and
backports, what is proposed for 12, and sid for what judges the machine, beside
whatever the machine itself uses. Nothing of the machine's own configuration is
changed; its mirror is asked of it."""

import os
import re
import shutil
import subprocess

from lab import lock, paths, say, stamp

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# A family is a suite with what is laid over it; the newest of them counts.
FAMILIES = {
    "trixie": ("trixie", "trixie-security"),
    "trixie-backports": ("trixie-backports",),
    "bookworm": ("bookworm", "bookworm-security"),
    "bookworm-backports": ("bookworm-backports",),
    "bookworm-proposed": ("bookworm-security", "bookworm-proposed-updates"),
    "sid": ("sid",),
}


def mirrors():
    """(main, security) archive URIs as the machine's own apt has them."""
    form = "$(REPO_URI)\t$(RELEASE)"
    text = say.capture(["apt-get", "indextargets", "--format", form,
                        "Created-By: Packages"], env=_plain_env())
    main = security = None
    for line in text.splitlines():
        uri, _, release = line.partition("\t")
        if not uri.startswith(("http://", "https://", "file:", "copy:")):
            continue
        if re.fullmatch(r"(bookworm|trixie|stable|oldstable)-security",
                        release):
            security = security or uri
        elif re.fullmatch(r"bookworm|trixie|stable|oldstable", release):
            main = main or uri
    if not main:
        raise say.Stop("this machine's apt names no Debian archive",
                       "add one to /etc/apt/sources.list (README, set-up)")
    if not security:
        security = re.sub(r"/debian/?$", "/debian-security", main)
        if security == main:
            raise say.Stop("this machine's apt names no security archive",
                           "add one to /etc/apt/sources.list (README, set-up)")
    return main.rstrip("/"), security.rstrip("/")


def _plain_env():
    env = dict(os.environ)
    env.pop("APT_CONFIG", None)
    env["LC_ALL"] = "C"
    return env


def env():
    """Environment in which apt reads the project's configuration only."""
    out = _plain_env()
    out["APT_CONFIG"] = str(configure())
    return out


@lock.alone
def configure():
    """Path of the configuration, written anew if it is of other suites or of
    another directory than this one; the lists are read again then."""
    top = paths.APT
    conf = top / "apt.conf"
    key = "// " + stamp.digest(FAMILIES, str(top)) + "\n"
    if conf.exists():
        with open(conf) as f:
            if f.readline() == key:
                return conf
        conf.unlink()
        for old in top.glob("lists/*InRelease"):
            old.unlink()
    if not os.path.exists(KEYRING):
        raise say.Stop(f"{KEYRING} is missing",
                       "apt-get install debian-archive-keyring")
    for name in ("lists/partial", "cache/archives/partial", "state"):
        (top / name).mkdir(parents=True, exist_ok=True)
    (top / "state/status").touch()
    main, security = mirrors()
    lines = []
    for suite in dict.fromkeys(sum(FAMILIES.values(), ())):
        uri = security if suite.endswith("-security") else main
        for kind in ("deb", "deb-src"):
            lines.append(f"{kind} [signed-by={KEYRING}] {uri} {suite} "
                         "main\n")
    new = top / "sources.list.tmp"
    new.write_text("".join(lines))
    new.replace(top / "sources.list")
    # How to reach the archive (a proxy, a time-out), and whether it may stand
    # still, as a snapshot does, is the machine's; nothing else of its
    # configuration is taken over.
    dump = say.capture(["apt-config", "dump"], env=_plain_env())
    reach = [line + "\n" for line in dump.splitlines()
             if re.match(r"Acquire::(https?::|Check-(Valid-Until|Date) )",
                         line)]
    tmp = top / "apt.conf.tmp"
    tmp.write_text(
        key + "".join(reach) +
        'Dir::Etc::parts "/dev/null";\n'
        'Dir::Etc::main "/dev/null";\n'
        f'Dir::Etc::sourcelist "{top}/sources.list";\n'
        'Dir::Etc::sourceparts "/dev/null";\n'
        'Dir::Etc::preferencesparts "/dev/null";\n'
        f'Dir::State::lists "{top}/lists";\n'
        f'Dir::State::status "{top}/state/status";\n'
        f'Dir::Cache "{top}/cache";\n'
        'APT::Architecture "amd64";\n'
        'APT::Architectures { "amd64"; };\n'
        'APT::Sandbox::User "root";\n'
        'Acquire::Languages "none";\n'
        # without the list that a difference is of, apt ends with neither
        'Acquire::PDiffs "false";\n'
        'Acquire::Retries "3";\n'
        'Acquire::http::Timeout "30";\n')
    tmp.replace(conf)
    return conf


def have_lists():
    configure()
    return any(paths.APT.glob("lists/*InRelease"))


@lock.alone
def update():
    with say.Step("read the lists of Debian's packages") as step:
        try:
            say.run(["apt-get", "update", "-o",
                     "APT::Update::Error-Mode=any"], "apt-update", step,
                    env=env(), progress=say.Lines(say.PACKAGES))
        except say.Failed as e:
            raise no_network("apt-update") from e


# What apt and debootstrap say when they cannot reach an archive.
UNREACHED = re.compile(
    r"(?:Could not (?:resolve|connect|wait)|Temporary failure|"
    r"Unable to connect|Cannot initiate|Failed getting release file|Couldn't download|"
    r"Connection (?:failed|refused|timed out)|"
    r"Network is unreachable|No route to host).*")


def unreached(log):
    """The first line of a log that says an archive was not reached."""
    found = UNREACHED.search(say.log_path(log).read_text(errors="replace"))
    return found and found.group().strip()[:160]


def no_network(log):
    why = unreached(log) or f"see {paths.shown(say.log_path(log))}"
    return say.Stop(f"Debian's archive cannot be reached ({why})",
                    "check the network and /etc/apt/sources.list, then run "
                    "the same command again")


def fetch(argv, log, *args, **kwargs):
    """say.run() of what asks the network: no network is a Stop."""
    try:
        say.run(argv, log, *args, **kwargs)
    except say.Failed as e:
        if unreached(log):
            raise no_network(log) from e
        raise


def versions_of(package, family, source=False, main=False):
    """All versions of a package the family's lists hold, newest first. main:
    those of its suite alone, without what is laid over it."""
    suites = FAMILIES[family][:1 if main else None]
    argv = ["apt-cache", "madison", package]
    found = []
    for line in say.capture(argv, env=env()).splitlines():
        part = [x.strip() for x in line.split("|")]
        if len(part) != 3 or part[0] != package:
            continue
        if part[2].endswith("Sources") != source:
            continue
        suite = part[2].split()[1].split("/")[0]
        if suite in suites:
            found.append(part[1])
    for i in range(1, len(found)):
        for j in range(i, 0, -1):
            if not newer(found[j], found[j - 1]):
                break
            found[j - 1], found[j] = found[j], found[j - 1]
    return found


def newer(a, b):
    return subprocess.run(["dpkg", "--compare-versions", a, "gt", b],
                          check=False).returncode == 0


def show(package, version):
    """The control fields of one binary package version, or None."""
    r = subprocess.run(["apt-cache", "show", f"{package}={version}"],
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                       text=True, check=False, env=env())
    return _fields(r.stdout.split("\n\n")[0]) if r.stdout.strip() else None


def show_source(package, version):
    text = say.capture(["apt-cache", "showsrc", "--only-source", package],
                       env=env())
    for stanza in text.split("\n\n"):
        f = _fields(stanza)
        if f.get("Package") == package and f.get("Version") == version:
            return f
    return None


def _fields(stanza):
    out, key = {}, None
    for line in stanza.splitlines():
        if line[:1] in " \t":
            if key:
                out[key] += "\n" + line.strip()
        elif ":" in line:
            key, _, value = line.partition(":")
            out[key] = value.strip()
    return out


def dsc_digest(fields):
    for line in fields.get("Checksums-Sha256", "").splitlines():
        part = line.split()
        if len(part) == 3 and part[2].endswith(".dsc"):
            return part[0]
    return ""


def download(package, version, where):
    """Fetches one .deb into a directory; apt checks it against the lists."""
    where.mkdir(parents=True, exist_ok=True)
    with say.Step(f"fetch {package} {version}") as step:
        fetch(["apt-get", "download", f"{package}={version}"],
              f"fetch-{package}", step, env=env(), cwd=where,
              hint="lab/snp update")


def source(package, version, where):
    """Fetches the parts of a source package without unpacking them."""
    where.mkdir(parents=True, exist_ok=True)
    with say.Step(f"fetch source {package} {version}") as step:
        fetch(["apt-get", "source", "--download-only",
               f"{package}={version}"], f"fetch-{package}", step,
              env=env(), cwd=where, hint="lab/snp update")


def unpack(deb, where, step=None):
    tmp = where.with_name(where.name + ".tmp")
    shutil.rmtree(tmp, ignore_errors=True)
    tmp.mkdir(parents=True)
    say.run(["dpkg-deb", "-x", deb, tmp], f"unpack-{where.name}", step)
    shutil.rmtree(where, ignore_errors=True)
    tmp.rename(where)
