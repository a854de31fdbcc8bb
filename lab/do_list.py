# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp list"""

from lab import kernels, sources


def options(p):
    g = p.add_mutually_exclusive_group()
    g.add_argument("--versions", action="store_true",
                   help="Debian packages in use")
    g.add_argument("--hosts", action="store_true", help="names for --host")
    g.add_argument("--rules", action="store_true",
                   help="rules of the hardware, and who exercises them")
    g.add_argument("--caveats", action="store_true",
                   help="rules nobody independent exercises, for CAVEATS.md")
    p.add_argument("--write", action="store_true",
                   help="with --caveats: bring CAVEATS.md up to date")


def do(args):
    if args.versions:
        for role in sources.ROLES:
            for row in sources.rows(role):
                print(f"{role:24} {row.package} {row.version}")
    elif args.hosts:
        print("\n".join(kernels.NAMES))
    elif args.rules or args.caveats:
        from lab import rules
        if args.write:
            rules.write_caveats()
        else:
            rules.show(args.caveats)
    else:
        from lab import cases
        cases.show()
