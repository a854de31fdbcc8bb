# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures by the standard library alone: rectangles and small text on a
palette of colours, written as PNG."""

import os
import struct
import zlib

from lab import say

# 5 x 7 pixels a letter, a digit of base 32 a row; its highest bit is the
# leftmost pixel. What is not here is printed as a box.
GLYPHS = {glyph[0]: [int(row, 32) for row in glyph[1:]] for glyph in """
0EHJLPHE 14C4444E 2EH1248V 3EH161HE 426AIV22 5VGU11HE 668GUHHE 7V124444
8EHHEHHE 9EHHF12C a00E1FHF bGGUHHHU c00EHGHE d11FHHHF e00EHVGE f688S888
g00FHF1E hGGUHHHH i40C444E j20622IC kGGIKOKI lC44444E m00QLLHH n00UHHHH
o00EHHHE p00UHUGG q00FHF11 r00MPGGG s00FGE1U t88S8896 u00HHHJD v00HHHA4
w00HHLLA x00HA4AH y00HHF1E z00V248V AEHHVHHH BUHHUHHU CEHGGGHE DUHHHHHU
EVGGUGGV FVGGUGGG GEHGNHHF HHHHVHHH IE44444E J11111HE KHIKOKIH LGGGGGGV
MHRLLHHH NHPPLJJH OEHHHHHE PUHHUGGG QEHHHLID RUHHUKIH SFGGE11U TV444444
UHHHHHHE VHHHHHA4 WHHHLLLA XHHA4AHH YHHA4444 ZV1248GV .00000CC ,0000CC8
:0CC0CC0 -000E000 +044V440 /11248GG #AAVAVAA (2488842 )8422248 =00V0V00
_000000V %OP248J3 <248G842 >8421248 ;0CC0CC8 [E88888E ]E22222E *04LELE4
""".split()}
GLYPHS[" "] = [0] * 7
BOX = [31, 17, 17, 17, 17, 17, 31]


class Picture:
    """width x height pixels of palette colours (at most 256); (0, 0) is the
    upper left. What lies outside is cut off."""

    def __init__(self, width, height, palette, ground=0):
        self.width, self.height = width, height
        self.palette = list(palette)
        self.missing = set()    # letters printed as a box
        assert len(self.palette) <= 256
        self.rows = [bytearray([ground]) * width for _ in range(height)]

    def fill(self, x, y, width, height, colour):
        left, right = max(0, x), min(self.width, x + width)
        if left < right:
            run = bytes([colour]) * (right - left)
            for row in self.rows[max(0, y):max(0, y + height)]:
                row[left:right] = run

    def frame(self, x, y, width, height, colour):
        self.fill(x, y, width, 1, colour)
        self.fill(x, y + height - 1, width, 1, colour)
        self.fill(x, y, 1, height, colour)
        self.fill(x + width - 1, y, 1, height, colour)

    def text(self, x, y, words, colour, scale=2):
        """Returns where the next letter would stand."""
        for letter in words:
            if letter not in GLYPHS:
                self.missing.add(letter)
            for dy, bits in enumerate(GLYPHS.get(letter, BOX)):
                for dx in range(5):
                    if bits >> (4 - dx) & 1:
                        self.fill(x + dx * scale, y + dy * scale, scale,
                                  scale, colour)
            x += 6 * scale
        return x

    def colour(self, x, y):
        return self.palette[self.rows[y][x]]

    def encode(self):
        def chunk(kind, data):
            return (struct.pack(">I", len(data)) + kind + data +
                    struct.pack(">I", zlib.crc32(kind + data)))

        head = struct.pack(">IIBBBBB", self.width, self.height, 8, 3, 0, 0, 0)
        lines = b"".join(b"\0" + row for row in self.rows)
        return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) +
                chunk(b"PLTE", b"".join(bytes(c) for c in self.palette)) +
                chunk(b"IDAT", zlib.compress(lines, 6)) + chunk(b"IEND", b""))

    def save(self, path):
        try:
            with open(path, "wb") as f:
                f.write(self.encode())
        except OSError as e:
            raise say.Stop(f"--png: {path}: {e.strerror}",
                           "give a file that can be written") from e


def check(path):
    """Stop if a picture cannot be written there; before any work."""
    there = os.path.exists(path)
    try:
        with open(path, "ab"):
            pass
        if not there:
            os.unlink(path)
    except OSError as e:
        raise say.Stop(f"--png: {path}: {e.strerror}",
                       "give a file that can be written") from e


def width(words, scale=2):
    return len(words) * 6 * scale
