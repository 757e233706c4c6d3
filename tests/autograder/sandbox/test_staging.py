"""What an answer may import: the course's packages, and no package that holds its answer."""

from __future__ import annotations

import pytest

from autograder.exercises import EXERCISES
from autograder.exercises.base import AnswerError, Probe
from autograder.exercises.calls import call
from autograder.grading.messages import load_error
from autograder.sandbox import staging
from autograder.sandbox.child_process import Child
from autograder.sandbox.limits import Limits

SCHEDULES, ARCHITECTURE = EXERCISES["5_1_unconditional", "schedules"], EXERCISES["5_1_unconditional", "architecture"]
IMPORTS = (
    "import diffusers",
    "from diffusers import DDIMScheduler",
    "from diffusers.training_utils import EMAModel",
    "import onnxruntime",
    "from onnxruntime.transformers.models.stable_diffusion.diffusion_schedulers import DDIMScheduler",
)


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    code = staging.stage(SCHEDULES, tmp_path_factory.mktemp("staged") / "code")
    with Child(code, Limits(), hide=staging.hidden(SCHEDULES)) as child:
        yield Probe(child)


def load(probe: Probe, source: str) -> None:
    cells = {"q_sample": f"{source}\ndef q_sample(x):\n    return x\n"}
    probe("load", cells=cells, operations=SCHEDULES.operations)


@pytest.mark.parametrize("source", IMPORTS)
def test_a_package_that_holds_answers_is_not_there_and_says_so(source, probe):
    with pytest.raises(AnswerError) as caught:
        load(probe, source)
    assert caught.value.hidden and "is not available here, since it holds the answer" in load_error(caught.value, {})


def test_nor_are_its_files(probe):
    source = (
        "def q_sample(x):\n    import os, torch\n    root = os.path.dirname(os.path.dirname(torch.__file__))\n"
        "    names = [n for d in ('diffusers', 'onnxruntime') for n in os.listdir(f'{root}/{d}')]\n"
        "    return torch.tensor(len(names))\n"
    )
    probe("load", cells={"q_sample": source}, operations=SCHEDULES.operations)
    assert call(probe, "q_sample", 1).tensor() == 0


@pytest.mark.parametrize("source", ["import torch.optim.swa_utils", "import scipy, sklearn, PIL, tqdm, torchvision"])
def test_other_packages_are_there(source, probe):
    load(probe, source)


def test_the_exercise_that_needs_a_package_has_it(tmp_path):
    code = staging.stage(ARCHITECTURE, tmp_path / "code")
    assert "diffusers" not in staging.hidden(ARCHITECTURE) and not (code / "diffusers").exists()
    assert "onnxruntime" in staging.hidden(ARCHITECTURE) and "sklearn/datasets" in staging.hidden(ARCHITECTURE)
