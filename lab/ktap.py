# SPDX-License-Identifier: GPL-2.0-or-later
"""KTAP, as Documentation/dev-tools/ktap.rst of the kernel has it."""

import sys


def reason(text, width=200):
    """One line of a failure's text: what died, or what it begins with."""
    lines = [x.strip() for x in text.splitlines()
             if x.strip() and not x.startswith("logs: ")] or ["no word"]
    died = [x for x in lines if x.startswith("died: ")]
    return (died or lines)[0][:width]


class Report:
    def __init__(self, total, out=None):
        self.out = out or sys.stdout
        self.number = 0
        self.passed, self.failed, self.skipped = [], [], []
        self.seconds = {}
        self.reasons = {}
        self._print("KTAP version 1", f"1..{total}")

    def _print(self, *lines):
        for line in lines:
            print(line, file=self.out, flush=True)

    def about(self, text):
        for line in text.splitlines():
            self._print(f"# {line}")

    def case(self, name, outcome, seconds, text=""):
        """outcome: "passed", "failed", "skipped"."""
        self.number += 1
        self.seconds[name] = seconds
        getattr(self, outcome).append(name)
        if outcome == "failed":
            self.reasons[name] = reason(text)
        word = "not ok" if outcome == "failed" else "ok"
        tail = ""
        if outcome == "skipped":
            tail = f" # SKIP {text.splitlines()[0] if text else ''}"
        elif text:
            self.about(text)
        self._print(f"{word} {self.number} {name}{tail}",
                    f"# {seconds:.1f} s")

    def fail(self, text):
        """Something outside any case did not hold."""
        self.failed.append(text)

    def times(self):
        """How long each case took, the longest first."""
        longest = sorted(self.seconds.items(), key=lambda x: -x[1])
        self.about("\n".join(f"{s:8.0f} s  {name}" for name, s in longest))
        self.about(f"{sum(self.seconds.values()):8.0f} s  together")

    def end(self):
        self._print(f"# Totals: pass:{len(self.passed)} "
                    f"fail:{len(self.failed)} xfail:0 xpass:0 "
                    f"skip:{len(self.skipped)} error:0")
        for name in self.failed:
            self.about(f"failed: {name}" + (f": {self.reasons[name]}"
                                            if name in self.reasons else ""))
        self._print(f"{len(self.passed)} passed, {len(self.failed)} failed")
