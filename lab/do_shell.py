# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp shell"""

import shlex
import sys

from lab import do_run, guest, paths, run, say


def options(p):
    do_run.of_stage(p)
    g = p.add_mutually_exclusive_group()
    g.add_argument("--guest", action="store_true",
                   help="a shell in the guest instead of in the host")
    g.add_argument("--monitor", action="store_true",
                   help="the machine's monitor; the host's console is logged")
    p.add_argument("--gdb", nargs="?", const="tcp::1234", metavar="DEVICE",
                   help="let a debugger attach to the machine "
                   "(default tcp::1234)")


def do(args):
    if not sys.stdin.isatty():
        raise say.Stop("a shell needs a terminal", "run it on one; lab/snp "
                       "run needs none")
    s = run.stage(do_run.request(args))
    port, target = "console", "host"
    files = dict(s.files)
    argv = [x for x in s.guest_argv]
    while "-trace" in argv:
        del argv[argv.index("-trace"):argv.index("-trace") + 2]
    paths.RUNS.mkdir(parents=True, exist_ok=True)
    shell = guest.with_shell(files["guest/initrd"], paths.OUT / "guest" /
                             "shell.cpio")
    for name in ("guest/initrd", "guest/esp/initrd"):
        if name in files:
            files[name] = shell
    if args.guest:
        port = target = "guest"
    elif args.monitor:
        port = "monitor"
    script = (f"COMMAND=({shlex.join(argv)})\nTARGET={target}\n"
              f"DEVICE={args.guest_device}\n" +
              (paths.LAB / "hostfs" / "shell").read_text())
    if args.gdb:
        print(f"gdb: target remote {args.gdb.removeprefix('tcp:')}")
    with s.tmp:
        return s.host.interactive(script, files, port, args.gdb)
