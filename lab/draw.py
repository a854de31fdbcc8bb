# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures of the RMP and of a run's phases."""

from lab import png, rmp

WHITE, BLACK, GREY, LINE = 0, 1, 2, 3
GROUND = [(255, 255, 255), (0, 0, 0), (120, 120, 120), (205, 205, 205)]

# A colour for each state, in the order of rmp.STATES.
COLOURS = [(228, 228, 228), (140, 140, 140), (250, 200, 0), (200, 30, 30),
           (235, 0, 160), (120, 70, 20), (120, 200, 255), (110, 90, 210),
           (255, 130, 40), (20, 140, 60)]
STATE0 = len(GROUND)            # of the palette: first state's colour
# Of several pages in one pixel the first in this order is shown.
ORDER = (4, 5, 6, 7, 8, 2, 1, 3, 9, 0)
RANK = {state: i for i, state in enumerate(ORDER)}

BLOCKS = 64                     # 2 MiB blocks in a row: 128 MiB
LEFT = 180                      # room for a row's address
TALLEST = 6000                  # pixels; larger tables get smaller blocks
MARGIN = 16
LEADING = 22                    # of a line of text
EMPTY = 3                       # that many rows with nothing are one


class RmpLayout:
    """Where on the picture each 4K page is. A 2 MiB block is 32 x 16 pages,
    with a pixel's room around it; tables too large are drawn with 4, 16 or 64
    pages a pixel. Rows of blocks with nothing in them are folded."""

    def __init__(self, pages, used, top):
        """used: numbers of the rows (of 128 MiB) that are not empty."""
        rows = -(-pages // (BLOCKS * rmp.LARGE))
        self.bands, at = [], 0  # (first row, number of rows, folded)
        while at < rows:
            n = 0
            while at + n < rows and at + n not in used:
                n += 1
            if n >= EMPTY:
                self.bands.append((at, n, True))
            else:
                n = max(n, 1)
                self.bands += [(at + i, 1, False) for i in range(n)]
            at += n
        drawn = sum(not folded for _, _, folded in self.bands)
        self.scale = 1
        while self.scale < 8 and drawn * (16 // self.scale + 2) > TALLEST:
            self.scale *= 2
        self.block = (32 // self.scale, 16 // self.scale)
        self.pitch = (self.block[0] + 2, self.block[1] + 2)
        self.width = LEFT + BLOCKS * self.pitch[0] + MARGIN
        self.tops, y = {}, top
        for first, _, folded in self.bands:
            self.tops[first] = y
            y += LEADING if folded else max(self.pitch[1], 9)
        self.height = y + MARGIN
        self.shown = {f for f, _, folded in self.bands if not folded}

    def corner(self, block):
        """Upper left of a 2 MiB block, with its room; None if folded."""
        row, column = divmod(block, BLOCKS)
        if row not in self.shown:
            return None
        return LEFT + column * self.pitch[0], self.tops[row]

    def where(self, pfn):
        """Pixel of a page, None if its row is folded."""
        corner = self.corner(pfn // rmp.LARGE)
        if corner is None:
            return None
        y, x = divmod(pfn % rmp.LARGE, 32)
        return (corner[0] + 1 + x // self.scale,
                corner[1] + 1 + y // self.scale)


def _asid_line(asid, states):
    who = f"ASID {asid}" if asid != "0" else "no guest"
    return f"{who}: " + ", ".join(f"{s} {n:,}" for s, n in states.items())


def rmp_picture(table):
    """Returns (png.Picture, RmpLayout)."""
    pages, large = table.spread()
    states = {pfn: rmp.state_of(lo) for pfn, lo in pages.items()}
    histogram = table.histogram()
    totals = {}
    for by_state in histogram.values():
        for name, n in by_state.items():
            totals[name] = totals.get(name, 0) + n
    lines = [_asid_line(a, s) for a, s in
             sorted(histogram.items(), key=lambda x: int(x[0]))][:12]
    if len(histogram) > len(lines):
        lines.append(f"and {len(histogram) - len(lines)} more ASIDs")
    legend = MARGIN + LEADING
    ahead = legend + 3 * LEADING + len(lines) * LEADING + MARGIN
    used = {pfn // (BLOCKS * rmp.LARGE) for pfn, s in states.items() if s}
    layout = RmpLayout(table.pages, used, ahead)
    out = png.Picture(layout.width, layout.height, GROUND + COLOURS, WHITE)

    h = table.header
    out.text(MARGIN, MARGIN, f"RMP of run {h['run']}, moment: {h['moment']}; "
             f"{table.pages:,} pages of 4 KiB; table at {table.base:#x} - "
             f"{table.end:#x}", BLACK)
    for i, name in enumerate(rmp.STATES):
        x = MARGIN + i % 5 * 400
        y = legend + LEADING // 2 + i // 5 * LEADING
        out.fill(x, y, 24, 14, STATE0 + i)
        out.frame(x, y, 24, 14, GREY)
        out.text(x + 32, y, f"{name} {totals.get(name, 0):,}", BLACK)
    y = legend + LEADING // 2 + 2 * LEADING
    out.fill(MARGIN, y, 24, 14, STATE0)
    out.frame(MARGIN, y, 24, 14, BLACK)
    out.text(MARGIN + 32, y, "black edge: a 2 MiB entry; each block is 2 MiB, "
             f"{layout.scale * layout.scale} page"
             f"{'s' * (layout.scale > 1)} a pixel, a row 128 MiB", BLACK)
    for i, line in enumerate(lines):
        out.text(MARGIN, y + (i + 1) * LEADING, line, BLACK)

    for first, n, folded in layout.bands:
        y, start = layout.tops[first], first * BLOCKS * rmp.LARGE * rmp.PAGE
        if folded:
            stop = min((first + n) * BLOCKS * rmp.LARGE, table.pages) * \
                rmp.PAGE - 1
            out.text(MARGIN, y + 4, f"{start:#011x} - {stop:#011x} hypervisor "
                     "only", GREY)
        else:
            out.text(MARGIN, y + 2, f"{start:#011x}", BLACK)
            _blocks(out, layout, first, table.pages, large)
    # the rarer state is drawn last, where pages share a pixel
    for pfn, s in (states.items() if layout.scale == 1 else sorted(
            states.items(), key=lambda x: -RANK[x[1]])):
        at = layout.where(pfn)
        if at and (layout.scale == 1 or s):
            out.rows[at[1]][at[0]] = STATE0 + s
    return out, layout


def _blocks(out, layout, row, pages, large):
    for block in range(row * BLOCKS, (row + 1) * BLOCKS):
        left = pages - block * rmp.LARGE
        if left <= 0:
            break
        x, y = layout.corner(block)
        if block * rmp.LARGE in large:
            out.frame(x, y, *layout.pitch, BLACK)
        for dy in range(layout.block[1]):
            # a row of pixels is so many pages; the last block may be short
            here = left - dy * layout.scale * 32
            n = min(layout.block[0], max(0, -(-here // layout.scale)))
            out.fill(x + 1, y + 1 + dy, n, 1, STATE0)


# ---- phases ----

# Colours of the phases, one after the other.
PHASE = [(70, 120, 200), (240, 150, 50), (60, 160, 90), (200, 70, 70),
         (140, 100, 190), (130, 90, 70), (220, 120, 190), (110, 110, 110),
         (180, 180, 50), (50, 180, 200)]
PHASE0 = len(GROUND)
NAME, COLUMN, BAR = 420, 200, 100
ROW = 26
AXIS = 40


def phase_colour(i):
    return PHASE0 + i % len(PHASE)


def axis(values, width):
    """[(left, right)] of each value's part of a line of that many pixels, in
    proportion; no gaps, nothing beyond."""
    total, at, out = sum(values), 0, []
    for v in values:
        left = at * width // total if total else 0
        at += v
        out.append((left, at * width // total if total else 0))
    return out


def log_bar(value, most, width):
    """Pixels of a bar on a logarithmic scale: 0 for 0, all for the most."""
    if value <= 0:
        return 0
    full = max(1, most).bit_length()
    # one bit is a step, and what is below it shows as a part of one
    exact = value.bit_length() - 1 + value / (1 << value.bit_length())
    return max(1, min(width, int(width * exact / full)))


def timeline_picture(title, unit, phases, columns):
    """phases: [{"phase", "seconds", "counts": {column: n}, "axis": n}].
    Returns (png.Picture, {"axis": y, "left": x, "width": n, "rows": [y]})."""
    width = MARGIN * 2 + NAME + COLUMN * max(5, len(columns))
    top = MARGIN + 3 * LEADING
    body = top + AXIS + 2 * LEADING
    height = body + ROW * len(phases) + LEADING * 2 + MARGIN
    out = png.Picture(width, height, GROUND + PHASE, WHITE)
    out.text(MARGIN, MARGIN, title, BLACK)
    values = [p["axis"] for p in phases]
    line = width - 2 * MARGIN
    out.text(MARGIN, MARGIN + LEADING, f"axis: {sum(values):,} {unit}, in "
             "proportion", GREY)
    out.text(MARGIN, MARGIN + 2 * LEADING, "bars: the counts of each phase, on "
             "a logarithmic scale; seconds are of this one run", GREY)
    for i, (left, right) in enumerate(axis(values, line)):
        out.fill(MARGIN + left, top, right - left, AXIS - 12, phase_colour(i))
        name = str(i + 1)
        if right - left > png.width(name) + 4:
            out.text(MARGIN + left + 4, top + 7, name, WHITE)
    for tenth in range(11):
        out.fill(MARGIN + tenth * (line - 1) // 10, top + AXIS - 12, 1, 6,
                 BLACK)
    for c, name in enumerate(columns):
        out.text(MARGIN + NAME + c * COLUMN, top + AXIS + 8, name, BLACK)
    most = max([n for p in phases for n in p["counts"].values()], default=0)
    rows = []
    for i, p in enumerate(phases):
        y = body + i * ROW
        rows.append(y)
        out.fill(MARGIN, y - 4, width - 2 * MARGIN, 1, LINE)
        out.fill(MARGIN, y, 14, 14, phase_colour(i))
        x = out.text(MARGIN + 22, y, f"{i + 1} {p['phase']}", BLACK)
        out.text(x + 8, y + 4, f"{p['seconds']:.1f} s", GREY, scale=1)
        for c, name in enumerate(columns):
            n = p["counts"].get(name, 0)
            x = MARGIN + NAME + c * COLUMN
            bar = log_bar(n, most, BAR)
            out.fill(x, y, bar, 14, phase_colour(i))
            if n:
                out.text(x + bar + 4, y + 4, f"{n:,}", BLACK, scale=1)
    y = body + len(phases) * ROW
    out.fill(MARGIN, y - 4, width - 2 * MARGIN, 1, BLACK)
    out.text(MARGIN + 22, y, "all", BLACK)
    for c, name in enumerate(columns):
        n = sum(p["counts"].get(name, 0) for p in phases)
        out.text(MARGIN + NAME + c * COLUMN, y, f"{n:,}", BLACK)
    return out, {"axis": top, "left": MARGIN, "width": line, "rows": rows}
