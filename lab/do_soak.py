# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp soak: guests that a number makes up, killed in the midst of what they
do, on a kernel that checks itself; by hand, for as long as one likes. What
passed is kept, and not run again until kernel, machine or test change."""

from lab import kernels, say, soak


def options(p):
    p.add_argument("--seeds", type=int, default=soak.SEEDS, metavar="N",
                   help="run seeds 1 to N (default %(default)s), "
                   f"{soak.ROUNDS} guests each")
    p.add_argument("--host", default="ours-debug", choices=list(kernels.OURS),
                   help="our kernel that hosts (default %(default)s)")
    p.add_argument("--again", action="store_true",
                   help="forget what passed before")


def do(args):
    if args.seeds < 1:
        raise say.Stop("--seeds: at least one", "give --seeds 50")
    failed, passed = soak.go(args.host, args.seeds, args.again,
                             lambda line: print(line, flush=True))
    print(f"{passed} of {args.seeds} seeds passed, {soak.ROUNDS} guests each")
    return 1 if failed else 0
