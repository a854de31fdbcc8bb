# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp snapshot"""

from lab import do_run, paths, run, say, snapshot


def options(p):
    p.add_argument("name", nargs="?", metavar="NAME",
                   help="what to call it; one of that name is replaced")
    p.add_argument("--list", action="store_true",
                   help="say which there are, instead of making one")
    do_run.of_host(p)
    p.add_argument("--timeout", type=int, default=run.Request.timeout,
                   metavar="S",
                   help="give up after S seconds (default %(default)s)")


def show():
    for name in snapshot.names():
        s = snapshot.load(name)
        r = s.meta["request"]
        print(f"{name:24} {r['kernel'] or r['host']}, {r['cpu']}, "
              f"{r['host_smp']} CPUs, {r['host_memory']}, "
              f"{s.state.stat().st_blocks * 512 >> 20} MiB")


def do(args):
    if args.list:
        if args.name or do_run.given(args):
            raise say.Stop("--list goes by itself", "leave the rest out")
        show()
        return
    if not args.name:
        raise say.Stop("a snapshot has a name", "lab/snp snapshot NAME; "
                       "--list says which there are")
    snapshot.named(args.name)
    s, seconds, size = snapshot.take(args.name, run.Request(
        **do_run.given(args), timeout=args.timeout))
    print(f"{paths.shown(s.where)}: {size >> 20} MiB, {say.clock(seconds)}; "
          f"lab/snp run --from {args.name} goes on from there")
