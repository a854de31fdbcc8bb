# SPDX-License-Identifier: GPL-2.0-or-later
"""KTAP of the scripts here: cases are functions full of check()s."""

checks, failures = 0, []


def check(ok, what):
    global checks
    checks += 1
    if not ok:
        failures.append(what)


def run(cases, *args):
    """cases: (name, function). Calls each, prints how many of its checks held
    and those that did not. Returns whether one failed, an exit status."""
    global checks
    bad = False
    print(f"KTAP version 1\n1..{len(cases)}")
    for number, (name, case) in enumerate(cases, 1):
        checks = 0
        failures.clear()
        case(*args)
        for what in failures:
            print(f"# {what}")
        good = checks and not failures
        bad |= not good
        print(f"{'ok' if good else 'not ok'} {number} {name} "
              f"# {checks - len(failures)} of {checks}", flush=True)
    return bad
