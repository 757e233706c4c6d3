"""Every attack of the red team: the points it gained over the same answer without the attack, and the harm it did.

    python benchmarks/redteam.py [--out build/redteam.md] [--quick]

It runs tests/autograder/redteam as the user who starts it (root or an ordinary user) and writes a table. --quick leaves
out the attacks on gates and the removal of single walls. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
HEAD = (
    "# The red team's table", "",
    "Every attack, the points it gained over the same answer without the attack, and the harm it did. Written by",
    "`python benchmarks/redteam.py --out docs/redteam.md`. [The evidence](grading_validity.md) says what it shows.",
    "",
)  # fmt: skip
SLOW = ("gated", "walls", "walls_inside", "ordinary")


def attacks(report: Path) -> list[tuple[str, str, float, str]]:
    """Return (kind, attack, points gained, harm) for each attack in a JUnit file."""
    rows = []
    for case in ET.parse(report).getroot().iter("testcase"):
        kind = case.get("classname", "").rpartition("test_")[2]
        noted = [p.get("value", "") for p in case.iter("property") if p.get("name") == "attack"]
        rows += [(kind, *json.loads(text)) for text in noted]
    return rows


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, default=Path("build/redteam.md"))
    p.add_argument("--quick", action="store_true", help="within five minutes")
    a = p.parse_args()
    folder = REPO / "tests/autograder/redteam"
    files = [f for f in sorted(folder.glob("test_*.py")) if not (a.quick and f.stem.removeprefix("test_") in SLOW)]
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        argv = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--junitxml", str(report), *map(str, files)]
        ended = subprocess.run(argv, cwd=REPO)
        rows = attacks(report)
        suite = next(ET.parse(report).getroot().iter("testsuite"))
    lines = [*HEAD, "| kind | attack | points gained | harm |", "|---|---|---|---|"]
    lines += [f"| {kind} | {attack.replace('|', ' ')} | {points:g} | {harm} |" for kind, attack, points, harm in rows]
    a.out.parent.mkdir(parents=True, exist_ok=True)
    a.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {a.out}")
    result = {
        "user": "root" if not os.geteuid() else "ordinary", "attacks": len(rows), "gained": sum(r[2] > 0 for r in rows),
        "tests": int(suite.get("tests", 0)), "failed": int(suite.get("failures", 0)) + int(suite.get("errors", 0)),
    }  # fmt: skip
    print(json.dumps(result))
    raise SystemExit(ended.returncode)


if __name__ == "__main__":
    main()
