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
    g.add_argument("--firmware", action="store_true",
                   help="the firmware's commands, from the table in its code")
    g.add_argument("--inject", action="store_true",
                   help="what a stock host does when the machine fails")
    g.add_argument("--features", action="store_true",
                   help="what the newest kernel's SNP hosts have, and who "
                        "shows that ours has it")
    g.add_argument("--functions", action="store_true",
                   help="KVM's functions that differ from those of 6.1 as it "
                        "is where neither can host SNP guests; builds both")
    p.add_argument("--write", action="store_true",
                   help="with --caveats: bring CAVEATS.md up to date; with "
                        "--rules: which of our tests name a rule; with "
                        "--firmware: machine/FIRMWARE.md; with --inject: "
                        "machine/INJECT.md; with --features: the pages of "
                        "mistakes and fixes in Documentation/; with "
                        "--functions: lab/lists/kvm-functions.tsv")


def do(args):
    if args.versions:
        for role in sources.ROLES:
            for row in sources.rows(role):
                print(f"{role:24} {row.package} {row.version}")
    elif args.hosts:
        print("\n".join(kernels.NAMES))
    elif args.rules or args.caveats:
        from lab import rules
        if args.write and args.rules:
            rules.write_tests()
        elif args.write:
            rules.write_caveats()
        else:
            rules.show(args.caveats)
    elif args.firmware:
        from lab import firmware
        if args.write:
            firmware.PAGE.write_text(firmware.page())
        else:
            print(firmware.page(), end="")
    elif args.inject:
        from lab import inject
        if args.write:
            inject.PAGE.write_text(inject.page())
        else:
            print(inject.page(), end="")
    elif args.functions:
        from lab import functions
        if args.write:
            functions.LIST.write_text(functions.page())
        else:
            print(functions.page(), end="")
    elif args.features:
        from lab import features, fixes
        if args.write:
            features.PAGE.write_text(features.page())
            fixes.PAGE.write_text(fixes.page())
        else:
            features.show()
    else:
        from lab import cases
        cases.show()
