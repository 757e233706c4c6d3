"""The faults are planted in a network that is exact by construction: the best denoiser of one Gaussian a class.

Real trainings with the same faults are in benchmarks/diagnose.py, which takes minutes; this takes seconds.
"""

import importlib.util
import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import scipy.stats
import torch
from PIL import Image
from torch import nn

from ddpm_core import checkpoint
from ddpm_core.conditioning import strategy
from ddpm_core.config import DATA_DIR
from ddpm_core.data import digits
from ddpm_core.diffusion import Diffusion
from ddpm_core.guidance import plain
from ddpm_core.parameterization import EPSILON, X0, V
from ddpm_core.samplers import ddim, ddim_timesteps, ddpm, dpm_solver_pp, last
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.unet import build_unet
from ddpm_tools.cli.main import main, parser
from ddpm_tools.diagnosis import RULES, Settings, diagnose, reference_curve
from ddpm_tools.diagnosis.denoising import TIMES, Convention, errors, levels, pixel_bound, score
from ddpm_tools.diagnosis.evidence import of_network, with_sampler
from ddpm_tools.diagnosis.labels import Confusion
from ddpm_tools.diagnosis.rules import judge
from ddpm_tools.diagnosis.sampling import check, energy_distance
from ddpm_tools.diagnosis.weights import spikes

COSINE, LINEAR = DiffusionSchedule.named("cosine"), DiffusionSchedule.named("linear")
ROOT = Path(__file__).resolve().parents[3]
SHIPPED = DATA_DIR / "checkpoints/digits"


def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_diagnose", ROOT / "benchmarks/diagnose.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


student_sampler = benchmark().student_sampler


class Exact(nn.Module):
    """E[x0 | xt, y] where each class is a Gaussian: mu + S r (r^2 S + s^2)^-1 (xt - r mu)."""

    def __init__(self, schedule=COSINE, kind=EPSILON, low=-1.0, high=1.0, time="t", relabel=lambda y: y):
        super().__init__()
        self.how = Convention(schedule, kind, low, high, time)
        self.relabel = relabel
        data = digits("train")
        x = self.how.scaled(data.floats()).flatten(1).double()
        groups = [x[data.labels == k] for k in range(10)] + [x]
        self.mean = torch.stack([g.mean(0) for g in groups])  # (11, 64)
        ridge = 0.02 * (high - low) ** 2 / 4 * torch.eye(64, dtype=torch.float64)
        values, self.vectors = torch.linalg.eigh(torch.stack([torch.cov(g.T) + ridge for g in groups]))
        self.variance = values  # (11, 64)

    def forward(self, xt, t, y):
        n = self.how.schedule.timesteps
        grid = TIMES[self.how.time](torch.arange(n), n).double()
        ts = (t.double()[:, None] - grid).abs().argmin(1)  # the timestep whose embedding lies nearest
        y = self.relabel(y)
        abar = self.how.schedule.alphas_cumprod.double()[ts][:, None]
        centred = xt.flatten(1).double() - abar.sqrt() * self.mean[y]
        gain = self.variance[y] * abar.sqrt() / (abar * self.variance[y] + 1 - abar)  # (B, 64)
        along = torch.einsum("bij,bi->bj", self.vectors[y], centred)
        x0 = self.mean[y] + torch.einsum("bij,bj->bi", self.vectors[y], gain * along)
        x0 = x0.view_as(xt).to(xt)
        abar = abar.view(-1, 1, 1, 1).to(xt)
        eps = (xt - abar.sqrt() * x0) / (1 - abar).sqrt()
        return self.how.parameterization.compute_training_target(x0, eps, ts, self.how.schedule)


def swap(y):
    return torch.where(y == 3, 8, torch.where(y == 8, 3, y))


TRAINING = {
    "range": {"low": 0.0},
    "time": {"time": "t / T"},
    "schedule": {"schedule": LINEAR},
    "target": {"kind": V},
    "labels swapped": {"relabel": swap},
    "labels unused": {"relabel": lambda y: torch.full_like(y, 10)},
    "none": {},
}


@pytest.mark.parametrize("fault", TRAINING)
def test_a_fault_of_the_training_is_named(fault):
    network = Exact(**TRAINING[fault])
    verdict = judge(of_network(network, Convention(COSINE), digits("heldout")))
    assert verdict.fault == fault and verdict.where == ("none" if fault == "none" else "training")


def test_labels_that_mean_nothing_are_told_from_renamed_ones():
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    for relabel, fault in (
        (lambda y: torch.where(y == 10, 10, (y + 1) % 10), "labels swapped"),
        (lambda y: torch.where(y == 10, 10, order[(y * 0 + y // 5)]), "labels unused"),  # one label for five classes
    ):
        assert judge(of_network(Exact(relabel=relabel), Convention(COSINE), digits("heldout"))).fault == fault


@pytest.fixture(scope="module")
def sound():
    network = Exact()
    return network, of_network(network, Convention(COSINE), digits("heldout"))


SAMPLING = {
    "sampling schedule": {"schedule": LINEAR},
    "sampling time": {"feed": lambda t: t / 1000},
    "output range": {"finish": lambda x: (x + 1) / 2},
    "sampling labels": {"shift": 1},
    "none": {},
}


@pytest.mark.parametrize("fault", SAMPLING)
def test_a_fault_of_the_sampling_is_named(sound, fault):
    network, e = sound
    verdict = judge(with_sampler(e, network, student_sampler(**{"schedule": COSINE, **SAMPLING[fault]})))
    assert verdict.fault == fault and verdict.where == ("none" if fault == "none" else "sampling")


@pytest.mark.parametrize(
    "options",
    [{"w": 4.0}, {"eta": 1.0}, {"steps": 50}, {"w": 1.0, "steps": 8}],
    ids=["guided", "fresh noise", "many steps", "few steps"],
)
def test_sound_samplers_raise_no_alarm(sound, options):
    network, e = sound
    assert judge(with_sampler(e, network, student_sampler(COSINE, **options))).fault == "none"


@pytest.mark.parametrize("solver", [ddim, ddpm, dpm_solver_pp])
def test_the_courses_solvers_raise_no_alarm(sound, solver):
    network, e = sound

    def sampler(net, y):
        return last(
            solver(
                plain(Diffusion(net, COSINE, EPSILON), y),
                torch.randn(len(y), 1, 8, 8),
                COSINE,
                ddim_timesteps(1000, 20),
            )
        )

    assert judge(with_sampler(e, network, sampler)).fault == "none"


def test_a_wrong_first_noise_and_an_unknown_mistake_are_said(sound):
    network, e = sound

    def half(net, y):
        return last(
            ddim(
                plain(Diffusion(net, COSINE, EPSILON), y),
                3 * torch.randn(len(y), 1, 8, 8),
                COSINE,
                ddim_timesteps(1000, 20),
            )
        )

    assert judge(with_sampler(e, network, half)).fault == "initial noise"
    right = student_sampler(COSINE)
    assert judge(with_sampler(e, network, lambda net, y: right(net, y).transpose(-1, -2))).fault == "sampler"


def test_weights_that_fail(sound):
    """The shipped weights, once with an average that never moved, once shaken by far too large steps, once nan."""
    loaded = checkpoint.load(SHIPPED)
    p = loaded.preset
    initial = build_unet(p.unet, strategy(p.conditioning), p.train.seed).eval()
    few = Settings(n=20, labels=False)

    def fault(network, raw):
        return diagnose(network, COSINE, digits("heldout"), raw=raw, initial=initial, settings=few).verdict.fault

    assert fault(initial, loaded.raw) == "ema"
    assert fault(loaded.ema, loaded.raw) == "none"
    shaken = build_unet(p.unet, strategy(p.conditioning), 1).eval()
    with torch.no_grad():
        for w in shaken.parameters():
            w.add_(3 * w.abs().mean().clamp(min=0.05) * torch.randn_like(w))
    assert fault(shaken, shaken) == "learning rate"
    assert fault(initial, initial) == "not learnt"
    next(shaken.parameters()).data.fill_(float("nan"))
    assert fault(shaken, shaken) == "not finite"


def test_the_missing_clamp_is_named_and_the_page_written(tmp_path, capsys):
    mine = tmp_path / "mine.py"
    text = str(ROOT / "benchmarks")
    mine.write_text(
        f"import sys\nsys.path.insert(0, {text!r})\nimport diagnose\nsys.path.pop(0)\n"
        "draw = diagnose.student_sampler(diagnose.DiffusionSchedule.named('cosine'), clamp=False, steps=10)\n",
        encoding="utf-8",
    )
    main(["diagnose", "--n", "20", "--steps", "10", "--sampler", f"{mine}:draw", "--out", str(tmp_path / "d")])
    out = capsys.readouterr().out.strip()
    record = json.loads((tmp_path / "d/diagnosis.json").read_text())
    assert record["verdict"]["fault"] == "clamp" and out.splitlines()[-1] == record["verdict"]["sentence"]
    assert len(record["curves"]["error"]) == len(record["curves"]["reference"]) == 6
    assert min(Image.open(tmp_path / "d/diagnosis.png").size) > 500
    html = (tmp_path / "d/diagnosis.html").read_text()
    assert "does not clamp x0" in html and html.count("<tr") > 10 and html.count("<li>") == len(RULES)


def test_help_shows_an_example_that_parses(capsys):
    with pytest.raises(SystemExit):
        main(["diagnose", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    parser().parse_args(text.split("example: ddpm ")[1].split())


def test_samplers_of_a_wrong_shape_are_refused(sound):
    network, e = sound
    with pytest.raises(ValueError, match="must return images"):
        with_sampler(e, network, lambda net, y: torch.zeros(len(y), 3, 8, 8))
    with pytest.raises(ValueError, match="in one batch"):
        with_sampler(e, network, lambda net, y: net(torch.zeros(7, 1, 8, 8), torch.zeros(7), y[:7]))


def test_the_pixel_bound_is_the_error_of_the_wiener_filter():
    x0 = torch.randn(4000, 1, 2, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([[0.1, 0.3], [0.5, 0.2]])
    how, times = Convention(COSINE, X0), [100, 400, 700]
    var = x0.var(0)

    def wiener(xt, t, y):
        abar = COSINE.alphas_cumprod[t].view(-1, 1, 1, 1)
        return xt * abar.sqrt() * var / (abar * var + 1 - abar)

    y = torch.zeros(len(x0), dtype=torch.long)
    torch.testing.assert_close(errors(wiener, how, x0, y, times), pixel_bound(how, x0, times), rtol=0.03, atol=1e-3)
    mean = errors(lambda xt, t, y: x0.mean(0).expand_as(xt), how, x0, y, times)
    torch.testing.assert_close(mean, torch.ones(3, dtype=torch.float64), rtol=1e-4, atol=1e-4)
    assert score(mean, mean / 2) == pytest.approx(2)


def test_the_energy_distance_is_scipys():
    a, b = torch.rand(50, 1, 1, 1), torch.rand(80, 1, 1, 1) * 0.5
    want = scipy.stats.energy_distance(a.flatten().numpy(), b.flatten().numpy()) ** 2
    assert energy_distance(a, b) * float(torch.cdist(b.view(-1, 1), b.view(-1, 1)).mean()) == pytest.approx(
        want, rel=1e-4
    )
    assert energy_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_the_renaming_is_the_best_of_all_permutations():
    counts = torch.randint(0, 20, (5, 5), generator=torch.Generator().manual_seed(2))
    best = max(sum(int(counts[i, p[i]]) for i in range(5)) for p in itertools.permutations(range(5)))
    assert Confusion(counts).renamed_accuracy == pytest.approx(best / int(counts.sum()))


def test_guidance_drops_out_of_the_sampler_check(sound):
    network, e = sound
    a, b = (check(student_sampler(COSINE, w=w), network, e.how, e.y[:20], e.x0, 10, 0) for w in (0.0, 7.0))
    torch.testing.assert_close(a.images, b.images, atol=1e-4, rtol=0)
    assert a.residual < 1e-8 and a.mistake.names == ()


def test_the_reference_curve_follows_the_noise_level():
    kept = json.loads((DATA_DIR / "references/diagnose_digits.json").read_text())
    own = torch.tensor(kept["error"], dtype=torch.float64)
    torch.testing.assert_close(reference_curve("digits", COSINE), own, rtol=1e-4, atol=1e-5)
    assert reference_curve("digits", LINEAR).diff().min() >= 0 and reference_curve("nothing", COSINE) is None
    assert levels(1000) == [83, 250, 416, 583, 750, 916]
    assert kept["made_with"]["command"].startswith("ddpm diagnose ")


def test_spikes_of_a_loss():
    falling = [1 / (i + 1) for i in range(200)]
    assert spikes(falling) == pytest.approx(1) and spikes([]) == 0
    assert spikes([*falling, *[5 * falling[-1]] * 20]) > 3


def test_undertrained_is_said_only_against_a_reference(sound):
    _, e = sound
    assert (
        judge(replace(e, reference=e.error / 2)).fault == "behind"
        and judge(replace(e, reference=e.error)).fault == "none"
    )
