# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that a number makes up, killed in the midst of what they do, on our
host: whoever runs them, and what is kept of those that passed."""

import json
import re

from lab import host, kernels, machine, paths, say, selftests, stamp

KEPT = paths.OUT / "soak.json"
TEST = "snp_chaos_test"
ROUNDS = 4              # guests for each seed
SEEDS = 50              # of a whole soak: 200 guests
A_BOOT = 10             # seeds for each boot of the host
LIMIT = 1800            # seconds of a seed, on a kernel that checks itself


def script(seeds, kvm="", squeeze=False):
    """kvm: parameters of KVM. squeeze: memory is scarce meanwhile."""
    more = " squeeze" * squeeze
    return "\n".join(
        ["modprobe ccp", f"modprobe kvm {kvm} && modprobe kvm_amd || exit 9"] +
        [f"echo '@@ begin {n}'; timeout -k 5 {LIMIT} /lab/chaos {n} {ROUNDS}"
         f"{more} 2>&1; echo \"@@ end {n} $?\"" for n in seeds]) + "\n"


def judged(text, seeds):
    """({seed: why not} of those that failed, [seeds that passed]), of what the
    script printed."""
    bad, good = {}, []
    for n in seeds:
        m = re.search(rf"^@@ begin {n}\n(.*?)^@@ end {n} (\d+)$", text,
                      re.M | re.S)
        if not m:
            bad[n] = "left no result"
            continue
        passed = re.findall(r"^ok \d+ (?!.*# SKIP)", m[1], re.M)
        wrong = re.findall(r"^(?:not ok .*|# \w+:\d+: .*|  .*:\d+: .*)$", m[1],
                           re.M)
        if m[2] != "0" or wrong or len(passed) != ROUNDS:
            bad[n] = "; ".join([f"status {m[2]}, {len(passed)} of {ROUNDS} "
                                "guests"] + wrong)
        else:
            good.append(n)
    return bad, good


def judge_itself():
    """The judgement: all but the first have to be refused."""
    ok = "".join(f"ok {i + 1} x\n" for i in range(ROUNDS))
    if judged(f"@@ begin 7\n{ok}@@ end 7 0\n", [7]) != ({}, [7]):
        raise say.Failed("a pass refused")
    for text in ("", f"@@ begin 7\n{ok}@@ end 7 1\n", "@@ begin 7\n@@ end 7 0\n",
                 f"@@ begin 7\n{ok}not ok 5 x\n@@ end 7 0\n",
                 f"@@ begin 7\n{ok}# one_round:7: x is 1\n@@ end 7 0\n",
                 f"@@ begin 7\n{ok.replace('x', 'x # SKIP')}@@ end 7 0\n"):
        if list(judged(text, [7])[0]) != [7]:
            raise say.Failed(f"taken for a pass: {text!r}")


def boot(name, binary, test, seeds, kvm="", squeeze=False):
    """One host, these seeds. As judged(); what the host's kernel complained of
    is the fault of all."""
    r = host.Host(kernels.get(name), binary, smp=2).run(
        f"soak-{name}", script(seeds, kvm, squeeze), {"chaos": test},
        timeout=600 + LIMIT * len(seeds))
    bad, good = judged(r.control, seeds)
    wrong = r.bad_lines() + ([] if r.ok() else r.failure())
    if wrong:
        return {n: bad.get(n, wrong[0]) for n in seeds}, []
    return bad, good


def _made_from(kernel, binary, test):
    """What a seed's result depends on."""
    return {what: stamp.file_digest(file) for what, file in
            (("machine", binary), ("kernel", kernel.vmlinuz), ("test", test))}


def _kept(origin, name):
    """{seed: "passed"} of earlier runs of the same things."""
    try:
        old = json.loads(KEPT.read_text())[name]
        if old["made_from"] == origin:
            return {int(k): v for k, v in old["seeds"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass
    return {}


def _keep(origin, name, seeds):
    try:
        whole = json.loads(KEPT.read_text())
    except (OSError, ValueError):
        whole = {}
    whole[name] = {"made_from": origin, "seeds": seeds}
    say.to_json(KEPT, whole)


def go(name, seeds=SEEDS, again=False, tell=lambda line: None):
    """Seeds 1 to that many, but for what has passed; tell: is given a line for
    each. Returns ({seed: why not}, how many have passed)."""
    judge_itself()
    binary = machine.build().binary
    test = selftests.for_any_host(TEST)
    origin = _made_from(kernels.get(name), binary, test)
    done = {} if again else _kept(origin, name)
    left = [n for n in range(1, seeds + 1) if n not in done]
    failed = {}
    while left:
        some, left = left[:A_BOOT], left[A_BOOT:]
        bad, good = boot(name, binary, test, some, squeeze=True)
        failed.update(bad)
        done.update(dict.fromkeys(good, "passed"))
        _keep(origin, name, done)
        for n in some:
            tell(f"{'not ' if n in bad else ''}ok seed {n}" +
                 (f": {bad[n]}" if n in bad else ""))
    return failed, sum(n <= seeds for n in done)
