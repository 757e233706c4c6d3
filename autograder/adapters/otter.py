"""A notebook as a zip for Otter-Grader, and the plugin that judges there instead of Otter's own tests.

Otter itself runs the student's notebook and the tests in one kernel, where an answer can rewrite either. Here its
plugin events are used: `before_execution` gives it an empty notebook, so that no student code runs in its kernel, and
`after_grading` puts the points of our sandboxed run into the results. The zip has Otter's layout: setup.sh,
run_autograder, run_otter.py, otter_config.json, environment.yml, requirements.txt, tests/ with a file for each check,
and files/ with the grader. See https://otter-grader.readthedocs.io/en/latest/workflow/otter_generate/container_image.html
and https://otter-grader.readthedocs.io/en/latest/plugins/creating_plugins.html.

If the grader itself fails, the plugin raises, and Otter reports that it could not grade the submission.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbformat.v4 import new_notebook

from autograder.adapters import packing
from autograder.adapters.judging_there import OURS, OUTPUT_BYTES, judge
from autograder.exercises.base import Exercise
from autograder.grading.results import GATE
from autograder.sandbox.scratch import temporary

try:
    from otter.plugins import AbstractOtterPlugin
except ImportError:  # here we only make the zip
    AbstractOtterPlugin = object

SCRIPTS = {name: f"otter_{name}" for name in ("setup.sh", "run_autograder", "run_otter.py", "environment.yml")}
PROGRAMS = ("setup.sh", "run_autograder")
GRADER = "files/ddpm_grader"
TEST = '''"""A name and points for Otter's tables; the sandboxed grader decides whether it passes."""

from otter.test_files import test_case

OK_FORMAT = False
name = {name!r}
points = {points!r}


@test_case()
def judged_elsewhere():
    raise AssertionError("not judged")
'''


def package(assignment: str, out: Path, course: Path, notebooks: Sequence[str] = (), sandboxed: bool = True) -> Path:
    """Write the zip of one notebook to `out`; ValueError names what is unknown, or asks which one."""
    exercises = packing.chosen(assignment, notebooks)
    if len(exercises) != 1:
        known = ", ".join(e.name for e in exercises)
        raise ValueError(f"Otter grades one notebook at a time: choose it with --notebook ({known})")
    told = json.loads(packing.settings(assignment, [exercises[0].name], sandboxed))
    config = {"lang": "python", "plugins": [{f"{__spec__.name}.Sandboxed": told}]}
    names = packing.templates(SCRIPTS.values())
    files = {name: names[template] for name, template in SCRIPTS.items()}
    files |= {"otter_config.json": (json.dumps(config, indent=1) + "\n").encode()}
    for i, (name, points) in enumerate(lines(exercises[0])):
        files[f"tests/q{i:02d}.py"] = TEST.format(name=name, points=points).encode()
    grader = packing.grader(course, assignment, __spec__.name)
    files |= {name: grader[name] for name in ("requirements.txt", "requirements.lock")}
    return packing.write_zip(out, files | {f"{GRADER}/{name}": text for name, text in grader.items()}, PROGRAMS)


def lines(e: Exercise) -> list[tuple[str, float]]:
    """The tests of a record of this exercise, by name and points."""
    checks = [(c.name, c.points) for c in e.checks] + ([(GATE, e.gate_points)] if e.gate_cell else [])
    return [(f"{e.name}: {name}", points) for name, points in checks]


def advice(assignment: str, course: Path, notebooks: Sequence[str] = ()) -> str:
    """How to run it, and what is left to do by hand."""
    items = packing.by_hand(course, packing.chosen(assignment, notebooks))
    rest = f"; mark by hand {', '.join(items)}" if items else ""
    return f"Grade with `otter grade --image ubuntu:24.04 -a ZIP FOLDER`{rest}"


class Sandboxed(AbstractOtterPlugin):
    """The plugin. Otter creates it with the submission's path, its metadata and the settings in otter_config.json."""

    def before_execution(self, submission: Any) -> Any:
        """An empty notebook for Otter to run."""
        return new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})

    def after_grading(self, results: Any) -> None:
        """Replace every result by the sandboxed run's; RuntimeError if that gives no score."""
        with temporary() as scratch:
            folder = Path(scratch)
            shutil.copyfile(self.submission_path, folder / f"{self.plugin_config['notebooks'][0]}.ipynb")
            record, _ = judge(folder, self.plugin_config)
        if record["score"] is None:
            raise RuntimeError(f"{OURS} {record['output']}")
        for test in record["tests"]:
            results.update_score(test["name"], test["score"])
            for one in results.get_result(test["name"]).test_case_results:
                one.passed, one.message = test["status"] == "passed", test["output"][:OUTPUT_BYTES]
        results.set_output(record["output"])
