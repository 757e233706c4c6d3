"""The conditioner's checks on right and wrong answers, all through one real sandbox, without the gate."""

from pathlib import Path

import pytest

from autograder.authoring.references import cells
from autograder.exercises.base import Failed, Probe
from autograder.exercises.conditioner import EXERCISE
from autograder.sandbox.child_process import Child, Limits
from autograder.sandbox.staging import stage
from ddpm_core.streams import stream

TIME = "def prepare_conditioning(time_emb, class_emb):\n    return time_emb\n"
ADDED = "def prepare_conditioning(time_emb, class_emb):\n    return time_emb + class_emb\n"


def module(forward: str, init: str = "pass") -> str:
    return (
        "class ClassConditioner(nn.Module):\n"
        "    def __init__(self, channels, cond_dim):\n        super().__init__()\n"
        f"        {init}\n"
        f"    def forward(self, h, class_emb):\n        {forward}\n"
    )


SAME = module("return h")
LINEAR = "self.f = nn.Linear(cond_dim, channels)"


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """Ask for the checks that an answer fails, with their messages. Each answer gets a namespace of its own."""
    with Child(stage(EXERCISE, tmp_path_factory.mktemp("conditioner") / "code"), Limits()) as child:
        probe = Probe(child)

        def ask(prepare: str, conditioner: str, seeds: int = 1) -> list[tuple[str, str]]:
            found = []
            answers = {"prepare_conditioning": prepare, "ClassConditioner": conditioner}
            probe("load", cells=answers, operations=EXERCISE.operations)
            for seed in range(seeds):
                for check in EXERCISE.checks:
                    try:
                        check.run(probe, stream(seed, check.name))
                    except Failed as e:
                        found.append((check.name, str(e)))
            return found

        yield ask


RIGHT = {
    "added": (ADDED, SAME),
    "added with einsum": ("def prepare_conditioning(t, c):\n    return torch.stack([t, c]).sum(0)\n", SAME),
    "gated fusion": (
        "def prepare_conditioning(t, c):\n    return t * (1 + 0.1 * torch.sigmoid(c)) + c\n",
        module("return self.f(h, class_emb)", "self.f = AdaLNBlock(channels, cond_dim)"),
    ),
    "film": (TIME, module("return h * (1 + self.f(class_emb)[:, :, None, None])", LINEAR)),
    "normalising": (
        TIME,
        module(
            "return self.n(h) * (1 + self.f(class_emb)[..., None, None])",
            LINEAR + "; self.n = nn.GroupNorm(32, channels)",
        ),
    ),
    "one token": (TIME, module("return self.f(h, class_emb)", "self.f = CrossAttentionLayer(channels, cond_dim)")),
    "driven by hand": (
        TIME,
        module(
            "k = self.f.k_proj(class_emb); v = self.f.v_proj(class_emb); "
            "return h + self.f.out_proj(v * torch.sigmoid(k))[:, :, None, None]",
            "self.f = CrossAttentionLayer(channels, cond_dim)",
        ),
    ),
    "with dropout": (
        ADDED,
        module("return self.d(h + self.f(class_emb)[..., None, None])", LINEAR + "; self.d = nn.Dropout(0.1)"),
    ),
}

WRONG = {
    "label ignored": (TIME, SAME, "the output depends on the label"),
    "time forgotten": ("def prepare_conditioning(t, c):\n    return c\n", SAME, "the output depends on the time"),
    "first label": ("def prepare_conditioning(t, c):\n    return t + c[:1]\n", SAME,
                    "sample i depends only on sample i"),
    "mean over the batch": (TIME, module("return h + self.f(class_emb).mean(0)[:, None, None]", LINEAR),
                            "sample i depends only on sample i"),
    "batch statistics": (ADDED, module("return (h - h.mean((0, 2, 3), keepdim=True)) / h.std()"),
                         "sample i depends only on sample i"),
    "nan": (ADDED, module("return h * (self.f(class_emb) - 9).sqrt()[..., None, None]", LINEAR),
            "the output is finite"),
    "nan at zero": (ADDED, module("return h / h.norm(dim=1, keepdim=True)"), "the output is finite"),
    "overflow": (ADDED, module("return h + h.exp()"), "the output is finite"),
    "wrong shape": (ADDED, module("return h.mean((2, 3))"), "ClassConditioner keeps its contract"),
    "needs C = H": (ADDED, module("return h + self.f(class_emb)[:, None, None, :]", LINEAR),
                    "ClassConditioner keeps its contract"),
    "in place": (ADDED, module("h += 1; return h"), "ClassConditioner keeps its contract"),
    "in place, time": ("def prepare_conditioning(t, c):\n    t += c\n    return t\n", SAME,
                       "prepare_conditioning keeps its contract"),
    "double precision": (ADDED, module("return h.double()"), "ClassConditioner keeps its contract"),
    "half precision": (ADDED, module("return h.half()"), "ClassConditioner keeps its contract"),
    "nothing returned": (ADDED, module("h + 1"), "ClassConditioner keeps its contract"),
    "wrong width": ("def prepare_conditioning(t, c):\n    return torch.cat([t, c], 1)\n", SAME,
                    "prepare_conditioning keeps its contract"),
    "detached": (TIME, module("return h + self.f(class_emb.detach())[..., None, None]", LINEAR),
                 "gradient reaches the class embedding"),
    "rounded": (TIME, module("return h + self.f(class_emb.round())[..., None, None]", LINEAR),
                "gradient reaches the class embedding"),
    "two zeros in a row": (
        TIME,
        module("return h + self.gate * (self.f(h, class_emb) - h)",
               "self.f = AdaLNBlock(channels, cond_dim); self.gate = nn.Parameter(torch.zeros(()))"),
        "what starts at zero opens in training",
    ),
    "random": (ADDED, module("return h + torch.randn_like(h)"), "deterministic in eval mode"),
    "state between calls": (
        ADDED,
        module("self.n += 1; return h + self.n * class_emb.mean(1)[:, None, None, None]", "self.n = 0"),
        "deterministic in eval mode",
    ),
    "too large": (TIME, module("return h + self.f(class_emb)[:, :1, None, None]", "self.f = nn.Linear(cond_dim, 9999)"),
                  "stays within the parameter budget"),
    "cuda": (ADDED, module("return h.cuda()"), "ClassConditioner keeps its contract"),
    "module cast": (TIME, module("return h + self.f(class_emb.float()).float()[..., None, None]",
                                 LINEAR + ".bfloat16()"), "ClassConditioner keeps its contract"),
    "fails under autocast": (
        TIME,
        module("out = torch.zeros(h.shape); m = h > 0; out[m] = h[m]; return out + self.f(class_emb)[..., None, None]",
               LINEAR),
        "runs under bfloat16 autocast",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_lose_nothing(failures, name):
    assert failures(*RIGHT[name], seeds=2) == []


@pytest.mark.parametrize("design", ["add", "adaln_zero", "cross_attention"])
def test_reference_designs_lose_nothing(failures, design):
    answer = cells("conditioner", design)
    assert failures(answer["prepare_conditioning"], answer["ClassConditioner"], seeds=2) == []


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_fail_the_check_they_should(failures, name):
    prepare, conditioner, check = WRONG[name]
    found = failures(prepare, conditioner)
    assert check in [f[0] for f in found], found
    assert all(len(text) < 700 and "Traceback" not in text for _, text in found)


def test_an_exception_is_reported_with_its_place_but_without_the_hidden_inputs(failures):
    found = dict(
        failures(ADDED, module("raise ValueError(f'values {h.flatten()[:9].tolist()} shape {tuple(h.shape)}')"))
    )
    text = found["ClassConditioner keeps its contract"]
    assert "ValueError in cell `ClassConditioner`, line 6" in text and "(3, 32, 8, 8)" in text
    assert "." not in text.split("values")[1].split("shape")[0]


def test_points_add_up_to_the_notebooks_cells():
    import json

    notebook = Path(__file__).parents[2] / "solutions/5_3_conditioning/conditioner.ipynb"
    cells = [c["metadata"].get("nbgrader", {}) for c in json.loads(notebook.read_text(encoding="utf-8"))["cells"]]
    points = {c["grade_id"]: c["points"] for c in cells if c.get("grade")}
    assert points[EXERCISE.checks_cell] == sum(c.points for c in EXERCISE.checks)
    assert points[EXERCISE.gate_cell] == EXERCISE.gate_points
    assert set(points) - {EXERCISE.checks_cell, EXERCISE.gate_cell} == set(EXERCISE.written)
    assert set(EXERCISE.answers) <= {c.get("grade_id") for c in cells if c.get("solution") and not c.get("grade")}
