# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of the kernel's documentation that are made from lists."""

import re

LICENCE = ".. SPDX-License-Identifier: GPL-2.0-only\n\n"


def text(words):
    """Words as they are, whatever reStructuredText would read into them."""
    words = re.sub(r"([*`|\\])", r"\\\1", words)
    return re.sub(r"(\w)_(?!\w)", r"\1\\_", words)


def literals(names):
    return ", ".join(f"``{n}``" for n in names)


def page(head, widths, titles, rows):
    """A page of one table; head: its title, and what comes before."""
    lines = [".. list-table::", "   :header-rows: 1",
             f"   :widths: {' '.join(map(str, widths))}", ""]
    for row in (titles, *rows):
        lines += [f"   {'*' if not n else ' '} - {cell}"
                  for n, cell in enumerate(row)]
    return LICENCE + head + "\n".join(lines) + "\n"
