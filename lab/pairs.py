# SPDX-License-Identifier: GPL-2.0-or-later
"""A few rows in which each two values of two factors stand together once."""

import itertools


def _pairs(row):
    """The pairs of (factor, value) that a row has, complete or not."""
    return set(itertools.combinations(sorted(row.items(), key=_factor), 2))


def _factor(item):
    return item[0]


def all_of(factors):
    """Every pair that there is. factors: {name: values}."""
    out = set()
    for (a, left), (b, right) in itertools.combinations(factors.items(), 2):
        for x, y in itertools.product(left, right):
            out |= _pairs({a: x, b: y})
    return out


def missing(factors, rows):
    """Those that no row has."""
    return all_of(factors) - set().union(*map(_pairs, rows), set())


def _filled(factors, row, left):
    """The row, made complete by the values that bring most of what is left;
    of several the one that comes first."""
    row = dict(row)
    while len(row) < len(factors):
        best = None
        for name, values in factors.items():
            for value in values if name not in row else ():
                new = sum(tuple(sorted(((name, value), one), key=_factor))
                          in left for one in row.items())
                if best is None or new > best[0]:
                    best = new, name, value
        row[best[1]] = best[2]
    return {name: row[name] for name in factors}


def cover(factors, always=()):
    """Rows with every pair, the same each time. always: parts of rows that have
    to be there, each in a row of its own."""
    rows, left = [], all_of(factors)
    seeds = list(always)
    while seeds or left:
        seed = seeds.pop(0) if seeds else dict(min(left, key=str))
        rows.append(_filled(factors, seed, left))
        left -= _pairs(rows[-1])
    return rows
