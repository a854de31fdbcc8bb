# SPDX-License-Identifier: GPL-2.0-or-later
"""What a GiB of an SNP guest's memory costs its host: a bare guest that touches
all it has, changes pages, and is killed, on a machine that counts instructions.
Part for part, with the same binary and seed on each host."""

from lab import counts, host, kernels, machine, say, selftests

MIB = 256
# Nothing else happens on the host: one CPU, and time is what is executed.
ICOUNT = ["-icount", "shift=0,sleep=off"]
BINARY = "snp_cost_test"
# Of a GiB by REP STOSB, of which a machine that counts counts each byte.
ZEROING = 1 << 30

SCRIPT = r"""
modprobe ccp; modprobe kvm_amd || exit 9
splits() {
	awk '/^direct_map_level[23]_splits/ { n += $2 } END { print n + 0 }' \
		/proc/vmstat
}
say "erms $(grep -cw erms /proc/cpuinfo)"
coproc cost { exec /lab/cost MIB 2>&1; }
in=${cost[0]} out=${cost[1]} pid=$cost_PID
mark begin
while read -r word what <&"$in"; do
	case $word in
	cost)	say "splits $what $(splits)"
		mark "$what"
		[ "$what" != changed ] || break
		echo go >&"$out" ;;
	exits)	say "exits $what" ;;
	*)	echo "$word $what" ;;
	esac
done
[ "$what" = changed ] || exit 8
kill -9 "$pid"
while [ -d "/proc/$pid" ]; do sleep 0.1; done
wait
mark killed
"""


def binary():
    """The guest and its VMM; any host runs them."""
    return selftests.for_any_host(BINARY)


def part(marks, begin, end):
    """{counter: how often between two marks}, of counters with a number."""
    a, b = marks[begin], marks[end]
    out = {k: n - a.get(k, 0) for k, n in b.items() if isinstance(n, int)}
    out["rmpupdate"] = (sum(b["rmpupdate"].values()) -
                        sum(a["rmpupdate"].values()))
    out["writebacks"] = (sum(b["writebacks"].values()) -
                         sum(a["writebacks"].values()))
    out["instructions"] = (b.get("instructions-switched", {}).get("host", 0) -
                           a.get("instructions-switched", {}).get("host", 0))
    return out


def told(says, word):
    """What the host's script said under that word."""
    return [x.split()[1:] for x in says if x.split()[0] == word]


def of(marks, says, mib=MIB):
    """{row of the table: number} of a run: its marks, what its host said."""
    def gib(n):
        return n * 1024 // mib
    idle, touch = part(marks, "launched", "idle"), part(marks, "idle",
                                                        "touched")
    kill = part(marks, "changed", "killed")
    # a mark, and what the shell does for it, is not the guest's; the part in
    # which nothing else happens ends, as each, when the guest ran last
    touch["instructions"] -= idle["instructions"]
    # what it had beside the memory in question: that comes back, too
    other = sum(part(marks, *x)[k] for x in (("begin", "idle"),
                                             ("touched", "changed"))
                for k in ("rmpupdate-to-guest", "rmpupdate-to-pre-guest"))
    split = {k: int(n) for k, n in told(says, "splits")}
    return {
        "RMPUPDATE per GiB touched": gib(touch["rmpupdate"]),
        "nested faults per GiB touched": gib(touch["npf"]),
        "PSMASH per GiB touched": gib(touch["psmash"]),
        "host instructions per GiB touched": gib(touch["instructions"]),
        "  the same, zeroing apart": gib(touch["instructions"]) -
        (ZEROING if told(says, "erms")[0] != ["0"] else 0),
        "direct map splits per GiB touched": gib(split["touched"] -
                                                 split["idle"]),
        "exits to the VMM for 253 pages": int(told(says, "exits")[0][0]),
        "RMPUPDATE per GiB given back": gib(max(0, kill["rmpupdate-to-shared"] -
                                                other)),
        "WBINVD for the end of a guest": kill["writebacks"],
    }


def on(name, mib=MIB, small=False):
    """The rows on the host of that name; say.Failed with what went wrong there.
    small: in pages of 4K only."""
    h = host.Host(kernels.get(name), machine.build().binary, smp=1,
                  thread="single", psp=("seed=1",), extra=ICOUNT)
    script = SCRIPT.replace("MIB", str(mib))
    if small:
        script = "modprobe kvm gmem_huge=0 || exit 9\n" + script
    marks = {}

    def on_mark(mark, _text, monitor):
        marks[mark] = counts.machine(monitor)["stats"]

    r = h.run(f"measure-{name}" + "-small" * small, script,
              {"cost": binary()}, timeout=1800, on_mark=on_mark)
    bad = r.bad_lines() + ([] if r.ok() else r.failure())
    if not bad and "killed" not in marks:
        bad = ["the guest was not killed"]
    if bad:
        raise say.Failed("\n".join(bad))
    return of(marks, r.says, mib)


def table(ours, other):
    """Lines for people: rows of ours, of the other host's, and the quotient."""
    yield f"{'':40}{'ours':>15}{'other':>15}{'ratio':>9}"
    for name, a in ours.items():
        b = other[name]
        yield (f"{name:40}{a:>15,}{b:>15,}" +
               (f"{a / b:>9.4f}" if b else f"{'-':>9}"))
