# SPDX-License-Identifier: GPL-2.0-or-later
"""Command line of lab/snp. Exit status: 0 done, 1 it did not hold, 2 the
request could not be served."""

import argparse
import errno
import importlib
import os
import sys

from lab import say

PARTS = {
    "build": "build the machine, the host kernel, the host image, the guest",
    "run": "boot a host on the machine, launch a guest in it, judge both",
    "snapshot": "boot a host, and save it just before a run's script",
    "shell": "a console on the host, the guest or the machine's monitor",
    "check": "run the cases, print KTAP",
    "list": "what there is: cases, versions, hosts, rules",
    "counts": "the machine's counts of the last run",
    "rmp": "the RMP of a live or finished run: entries, counts, a picture",
    "timeline": "a run's phases with their counts, as a picture too",
    "soak": "guests that a number makes up, killed in the midst of what they do",
    "bench": "time guests on the machine and on QEMU without our changes",
    "update": "move lab/versions to Debian's newest",
    "series": "make the git branch and the mailable patches",
    "rebase": "try the series on another source of Linux 6.1",
    "deb": "build our host kernel as packages of Debian's",
    "clean": "say what out/ holds and remove it",
}


def _remedy(number):
    """What to do about an error of the system's."""
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ("run it as root, or set SNP_OUT to a directory that you may "
                "write to")
    if number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN):
        return "stop something else on this computer"
    return ("check that path; if it is below out/, `lab/snp clean --yes` and "
            "the part's name remove it, to be made anew")


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; `{self.prog} --help` says "
                  "what there is\n")


def parser():
    p = Parser(prog="lab/snp",
               description="The SNP machine, its hosts and guests.")
    sub = p.add_subparsers(dest="part", metavar="PART", required=True)
    for name, text in PARTS.items():
        one = sub.add_parser(name, help=text, description=text)
        module = importlib.import_module(f"lab.do_{name}")
        module.options(one)
        one.set_defaults(do=module.do)
    return p


def main(argv):
    # Below `make check` these would reach the makes that are started here:
    # the selftests' Makefile puts its output into / if it is not the first.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"):
        os.environ.pop(name, None)
    args = parser().parse_args(argv)
    try:
        return args.do(args) or 0
    except say.Stop as e:
        print(f"lab/snp: {e}", file=sys.stderr)
        return 2
    except say.Failed as e:
        print(f"lab/snp: {e}", file=sys.stderr)
        return 1
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            print(f"lab/snp: {say.disk_full()}", file=sys.stderr)
        else:
            where = f": {e.filename}" if e.filename else ""
            print(f"lab/snp: {e.strerror or e}{where}; {_remedy(e.errno)}",
                  file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nlab/snp: stopped", file=sys.stderr)
        return 2
