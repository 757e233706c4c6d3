"""Does a mark mean what it says? Writes the table of targets in docs/grading_validity.md.

    python benchmarks/validity.py                  the table, from what is stored
    python benchmarks/validity.py --measure        first repeats every measurement that keeps no records of its own
    python benchmarks/validity.py --measure names  first repeats this one

Runs of the gates, mutants and rewrites have records, to which their own benchmarks add. The others are a command whose
last line is kept in data/evidence/validity.json, as soon as it ends. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

import gate_figures
import machine_mutants
import rewrites
from gate_figures import wilson

from autograder.authoring.machine import banks, of_solution

ROOT = Path(__file__).resolve().parents[1]
PAGE, MEASURED = ROOT / "docs/grading_validity.md", ROOT / "data/evidence/validity.json"
BEGIN, END = "<!-- written by benchmarks/validity.py -->\n", "<!-- end -->\n"
CLASS, FULL_CLASS = 12, 200  # submissions graded, and those that the target speaks of
COMMANDS = {
    "bank": ["mutants.py", "--seeds", "1"],
    "names": ["misconceptions.py", "--n", "5000"],  # all
    "every": ["grading.py", "--every"],
    **{g: ["grading.py", "--batch", str(CLASS), "--notebook", g] for g in gate_figures.GATED},
}


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    question: str
    target: str
    measured: str
    interval: str  # of 95 %
    reached: bool | None
    command: str

    def __str__(self) -> str:
        *texts, reached, command = astuple(self)
        return f"| {' | '.join(texts)} | { {True: 'yes', False: '**no**', None: ''}[reached] } | `{command}` |"


def interval(bounds: list[float]) -> str:
    return f"{100 * bounds[0]:.2f} to {100 * bounds[1]:.2f} %"


def gates() -> Iterator[Row]:
    """Yield error rates, processor seconds and rank correlations of the runs of all gates."""
    command = "gate_calibration.py --report"
    rows = gate_figures.read(gate_figures.RUNS, list(gate_figures.BY_NAME.values()))
    found = gate_figures.figures(rows)
    fresh, passes = found["designs_that_set_no_limit"], found["false_passes"]
    for what, n, errors, bounds in (
        ("right designs that lose points in a gate", fresh["runs"], fresh["fails"], fresh["interval"]),
        ("wrong designs that get points from a gate", found["wrong"], passes, found["false_pass_interval"]),
    ):
        yield Row(what, "upper bound ≤ 1 %", f"{errors} of {n}", interval(bounds), bounds[1] <= 0.01, command)
    timed = [r for r in rows if r.get("cpu") == "AVX512" and r["kind"] in ("right", "wrong")]
    right = [r["cpu_s"] for r in timed if r["kind"] == "right"]
    blind = [r["cpu_s"] for r in timed if (r["exercise"], r["design"]) == ("conditioner", "ignored")]
    if right:
        middle = median(right)
        yield Row("CPU-seconds of a right design, median", "≤ 30", f"{middle:.1f}", "", middle <= 30, command)
        yield Row("the same, slowest", "≤ 45", f"{max(right):.1f}", "", max(right) <= 45, command)
    if blind:
        text, question = f"at most {max(blind):.1f} in {len(blind)} runs", "a design that ignores its label fails"
        yield Row(f"CPU-seconds until {question}", "≤ 15", text, "", max(blind) <= 15, command)
    for gate, c in found["rank_correlations"].items():
        enough = 12 if gate == "conditioner" else 6
        text, (low, high) = f"{c['rho']:.2f}, {c['designs']} designs", c["interval"]
        question = f"`{gate}`: rank correlation with runs ten times longer"
        reached = c["designs"] >= enough
        yield Row(question, f"at least {enough} designs", text, f"{low:.2f} to {high:.2f}", reached, command)


def grading(measured: dict) -> Iterator[Row]:
    """Yield the time that grading takes, from the file to the mark."""
    if "gated_seconds" in measured.get("every", {}).get("figures", {}):  # only on an idle machine
        f = measured["every"]["figures"]["gated_seconds"]
        text, reached = f"{f['median']:.1f}, slowest {f['slowest']:.1f}", f["median"] <= 30 and f["slowest"] <= 45
        command = " ".join(COMMANDS["every"])
        yield Row("seconds to grade a gated model solution, median", "≤ 30, slowest ≤ 45", text, "", reached, command)
    for gate in gate_figures.GATED:
        if gate in measured:
            f = measured[gate]["figures"]
            minutes = FULL_CLASS * f["seconds"] / f["submissions"] / 60
            text = f"{minutes:.0f} minutes, from {f['submissions']}"
            command = " ".join(COMMANDS[gate])
            yield Row(
                f"`{gate}`: {FULL_CLASS} submissions on two cores", "≤ 60 minutes", text, "", minutes <= 60, command
            )


def answers(measured: dict) -> Iterator[Row]:
    """Yield what the checks make of known answers, mutants and rewrites, and how well mistakes are named."""
    if "bank" in measured:
        f, command = measured["bank"]["figures"], " ".join(COMMANDS["bank"])
        for what, caught, n in (
            ("known wrong answers that lose the points they must lose", f["mutants_caught"], f["mutants"]),
            ("known right answers that keep all", f["right_answers"] - f["right_answers_failed"], f["right_answers"]),
        ):
            yield Row(what, "all", f"{caught:,} of {n:,}", interval(wilson(caught, n)), caught == n, command)
    known, made = machine_mutants.read(), [(b.answer, m.digest) for b in banks() for m in of_solution(b)]
    f = machine_mutants.figures([known[key] for key in made if key in known])
    text = f"{f['lose_points']:,} of {f['wrong']:,}; {f['mutants']:,} of {len(made):,} judged"
    question = "wrong mutants made by machine that lose points"
    yield Row(question, "≥ 99.5 %", text, interval(wilson(f["lose_points"], f["wrong"])), f["share"] >= 0.995,
              "machine_mutants.py")  # fmt: skip
    f = rewrites.figures(list(rewrites.read().values()))
    lost, n = f["lost_points"], f["rewrites"]
    bounds, reached = interval(wilson(lost, n)), lost == 0 and n >= 10_000
    yield Row("rewrites of right answers that lose points", "0 of 10,000", f"{lost} of {n:,}", bounds, reached,
              "rewrites.py")  # fmt: skip
    if "names" in measured:
        f = measured["names"]["figures"]
        text = f"{f['right']} of {f['named']}, in {f['mutants']:,} mutants"
        reached, command = f.get("precision", 0) >= 0.95, " ".join(COMMANDS["names"])
        yield Row("mistakes named rightly", "≥ 95 %", text, interval(f.get("interval", [0, 1])), reached, command)


def table(measured: dict) -> str:
    titles = ("question", "target", "measured", "95 % interval", "reached", "command in `benchmarks/`")
    head = f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|\n"
    return head + "\n".join(map(str, (*gates(), *grading(measured), *answers(measured)))) + "\n"


def measure(name: str) -> dict:
    """Run a command, and return the figures of its last line."""
    command = COMMANDS[name]
    print(f"python benchmarks/{' '.join(command)}", flush=True)
    with subprocess.Popen([sys.executable, ROOT / "benchmarks" / command[0], *command[1:]], stdout=subprocess.PIPE,
                          text=True, cwd=ROOT) as process:  # fmt: skip
        last = ""
        for last in process.stdout or ():
            print(f"  {last}", end="", flush=True)
    if process.returncode:
        raise SystemExit(f"validity: {command[0]} ended with exit status {process.returncode}; see above")
    return {"command": " ".join(command), "figures": json.loads(last)}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--measure", nargs="*", choices=COMMANDS, metavar="NAME", help=f"of {', '.join(COMMANDS)}")
    a = p.parse_args()
    measured = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.is_file() else {}
    for name in () if a.measure is None else a.measure or COMMANDS:
        measured[name] = measure(name)
        MEASURED.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    written = table(measured)
    PAGE.write_text(f"{before}{BEGIN}\n{written}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    print(json.dumps({"reached": written.count("| yes |"), "missed": written.count("| **no** |")}))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("\nvalidity: interrupted; what was measured is stored") from None
