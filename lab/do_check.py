# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp check"""

import fnmatch
import shutil
import time
import traceback

from lab import build, cases, jobs, ktap, lock, paths, record, say

# Cases of a lower order take seconds, and run one after another: what they
# find wrong would fail the others in many words.
BESIDE = 40


def options(p):
    p.add_argument("case", nargs="*", metavar="CASE",
                   help="names, or patterns of all but the full ones "
                   "(default: all but the full ones)")
    p.add_argument("--full", action="store_true",
                   help="the cases that take hours, too; what passed "
                   "before, in any run, with the same inputs is not run again")
    p.add_argument("--jobs", type=int, default=jobs.default(), metavar="N",
                   help="run N cases that boot hosts side by side (default: "
                   "%(default)s, by this computer's cores and memory)")
    p.add_argument("--again", action="store_true",
                   help="with --full: run it all again")


def choose(patterns, full):
    every = cases.all_cases()
    if not patterns:
        return [c for c in every if full or not c.full]
    out = []
    for pattern in patterns:
        # a pattern means what takes hours only with --full, a name always
        found = [c for c in every if c.name == pattern or
                 fnmatch.fnmatch(c.name, pattern) and (full or not c.full)]
        if not found:
            raise say.Stop(f"no case is named {pattern}",
                           "lab/snp list names them")
        out += [c for c in found if c not in out]
    return sorted(out, key=lambda c: (c.order, c.name))


def _keep_logs(case, since):
    """What was logged while a case failed, where the next case does not write
    over it. since: time.time() at its start. Returns the directory."""
    where = paths.LOG / "failed" / case.name
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    for file in paths.LOG.glob("*.log"):
        if file.stat().st_mtime >= since - 1:
            shutil.copy2(file, where)
    return where


def _attempt(case):
    """(outcome, seconds, text) of a case."""
    begin, since = time.monotonic(), time.time()
    outcome, text = "passed", ""
    try:
        text = case.run() or ""
    except cases.Skip as e:
        outcome, text = "skipped", str(e)
    except (cases.CaseFailed, say.Failed, say.Stop) as e:
        outcome, text = "failed", str(e)
    except Exception:           # a case's own fault ends that case alone
        outcome, text = "failed", traceback.format_exc(limit=-3)
    seconds = time.monotonic() - begin
    if outcome == "failed":
        text = f"logs: {paths.shown(_keep_logs(case, since))}\n{text}"
    return outcome, seconds, text


def do(args):
    if args.jobs < 1:
        raise say.Stop(f"--jobs {args.jobs}: no case would run",
                       "give 1 or more")
    todo = choose(args.case, args.full)
    build.prepare()
    if not args.case:
        with lock.building():
            build.lay(["machine", "linux"])
    report = ktap.Report(len(todo))
    kept = record.Record()
    fresh = []
    for case in todo:
        before = args.full and not args.again and kept.has(case)
        if before:
            report.case(case.name, "passed", before["seconds"],
                        f"recorded: {before['text'] or 'passed'}")
            continue
        fresh.append(case)
        kept.forget(case)
    for case, result in jobs.run(
            fresh, _attempt, args.jobs,
            lambda case: case.alone or case.order < BESIDE):
        outcome, seconds, text = result or (
            "failed", 0, "its process ended without a word")
        report.case(case.name, outcome, seconds, text)
        if outcome == "passed":
            kept.note(case, seconds, text)
    if not args.case:
        # A promise is not kept by a case that did not run.
        for name in report.skipped:
            report.fail(f"{name} is promised and was skipped")
        for name, full in cases.promised():
            if name not in report.seconds and (args.full or not full):
                report.fail(f"{name} is promised and did not run")
    if args.full:
        report.times()
    report.end()
    return 1 if report.failed else 0
