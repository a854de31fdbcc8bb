# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest costs its host, in counts that the machine makes: of one run, or
of our host beside another. A count is from before the guest's QEMU to after."""

import collections

Row = collections.namedtuple("Row", "name count")


def _get(*keys):
    def count(c):
        for key in keys:
            c = c[key]
        return c
    return count


ROWS = (
    Row("RMPUPDATE", _get("rmpupdate", "success")),
    Row("  to the guest", lambda c: c["rmpupdate-to-guest"] +
        c["rmpupdate-to-pre-guest"]),
    Row("  back to the host", _get("rmpupdate-to-shared")),
    Row("PSMASH", _get("psmash")),
    Row("nested faults", _get("npf")),
    Row("firmware commands", _get("psp-commands")),
)
# What all of it comes to.
WORK = Row("RMPUPDATE, nested faults, commands", lambda c: sum(
    next(r for r in ROWS if r.name == name).count(c)
    for name in ("RMPUPDATE", "nested faults", "firmware commands")))


def rows(ours, other=None):
    """(name, ours, other, ours as a part of other) of the counts of two
    summaries of run; None for what there is not."""
    for row in (*ROWS, WORK):
        a = row.count(ours)
        b = row.count(other) if other else None
        yield row.name, a, b, a / b if b else None


def table(ours, other):
    """Lines for people: ours, the other host's, and the quotient."""
    yield f"{'':36}{'ours':>10}{'other':>10}{'ratio':>9}"
    for name, a, b, ratio in rows(ours, other):
        yield (f"{name:36}{a:>10}{b:>10}" +
               (f"{ratio:>9.3f}" if ratio is not None else f"{'-':>9}"))


def over(counts, limits):
    """Lines for what is more than its limit: {name: at most}."""
    have = {name: a for name, a, _b, _r in rows(counts)}
    return [f"{name}: {have[name]}, at most {most}"
            for name, most in limits.items() if have[name] > most]
