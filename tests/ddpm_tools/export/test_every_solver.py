"""The scheduler configuration that an export writes, given to each of diffusers' solvers, with a denoiser known in
closed form: that of a mixture of two Gaussians, and what a trained network gets wrong of it, a few hundredths."""

import diffusers
import numpy as np
import pytest
import torch

from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.training import TrainConfig, TrainState
from ddpm_core.unet import build_unet
from ddpm_tools.cli.main import main
from ddpm_tools.export.diffusers_files import EXACT
from ddpm_tools.export.diffusers_scheduler import LOWEST_ABAR, ends_too_low, steady
from ddpm_tools.train.resume import save_training
from ddpm_tools.unet2d import UNet2DConfig

SOLVERS = (
    "DDIM", "DDPM", "DPMSolverMultistep", "DPMSolverSinglestep", "UniPCMultistep", "EulerDiscrete",
    "EulerAncestralDiscrete", "HeunDiscrete", "PNDM", "DEISMultistep", "LMSDiscrete", "KDPM2Discrete",
    "KDPM2AncestralDiscrete", "SASolver",
)  # fmt: skip
EXPLODE = ("DPMSolverMultistep", "DPMSolverSinglestep", "UniPCMultistep", "EulerDiscrete", "PNDM", "DEISMultistep")
UNKNOWN = {"x0": ("EulerAncestralDiscrete", "PNDM", "KDPM2Discrete", "KDPM2AncestralDiscrete")}  # to diffusers
MEANS, SHARES, WIDTH = torch.tensor([-0.6, 0.5]).double(), torch.tensor([0.3, 0.7]).double(), 0.15
MEAN = float(SHARES @ MEANS)
STD = float((SHARES @ MEANS**2 - MEAN**2 + WIDTH**2) ** 0.5)
WRONG = 0.02  # of the network's output, at every t
UNET = UNet2DConfig(1, 8, 0, (8, 8), 1, groups=8, head_dim=None)


def posterior(x, abar):
    """x0's mean given xt, in float64: exact also where abar is 0."""
    apart = x[..., None] - abar.sqrt() * MEANS
    weights = (SHARES.log() - apart**2 / (2 * (abar * WIDTH**2 + 1 - abar))).softmax(-1)
    modes = MEANS + abar.sqrt() * WIDTH**2 / (abar * WIDTH**2 + 1 - abar) * apart
    return (weights * modes).sum(-1)


def network(x, abar, parameterization):
    x, error = x.double(), WRONG * torch.sin(5 * x.double() + 3)
    x0 = posterior(x, abar)
    eps = (x - abar.sqrt() * x0) / (1 - abar).sqrt()
    target = {"epsilon": eps, "x0": x0, "v": abar.sqrt() * eps - (1 - abar).sqrt() * x0}[parameterization]
    return (target + error).float()


def drawn(scheduler, schedule, parameterization, steps):
    scheduler.set_timesteps(steps)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(800, 1, 2, 2, generator=rng) * scheduler.init_noise_sigma
    known, times = schedule.alphas_cumprod.double().numpy(), np.arange(schedule.timesteps)
    for t in scheduler.timesteps:
        given = scheduler.scale_model_input(x, t)
        out = network(given, torch.tensor(np.interp(float(t), times, known)), parameterization)
        own = {"generator": rng} if "generator" in scheduler.step.__code__.co_varnames else {}
        x = scheduler.step(out, t, x, **own).prev_sample
    return x


ZERO = diffusers.DDIMScheduler(rescale_betas_zero_snr=True).betas.double()
COSINE = diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2").betas.tolist()
CASES = {  # and in how many steps
    "cosine epsilon": (Preset(), (12, 40)),
    "cosine v": (Preset(parameterization="v"), (20,)),
    "cosine x0": (Preset(parameterization="x0"), (20,)),
    "diffusers' cosine": (Preset(betas=tuple(COSINE)), (20,)),
    "zero terminal SNR": (Preset(parameterization="v", betas=tuple(ZERO.tolist())), (40,)),
    "steep linear": (Preset(betas=tuple(torch.linspace(1e-4, 0.05, 1000).tolist())), (40,)),
}


def exported(preset, tmp_path):
    """The folder that the command writes."""
    preset = Preset("digits", "none", preset.schedule, preset.parameterization, UNET, TrainConfig(),
                    timesteps=preset.timesteps, betas=preset.betas)  # fmt: skip
    state = TrainState.start(preset.diffusion(build_unet(UNET, strategy("none"))), preset.train)
    path = save_training(tmp_path / "run", state, preset, resumable=False)
    main(["export-diffusers", "--checkpoint", str(path), "--out", str(tmp_path / "out")])
    return tmp_path / "out"


def figures(folder, part, solver, preset, steps):
    scheduler = getattr(diffusers, f"{solver}Scheduler").from_pretrained(folder, subfolder=part)
    x = drawn(scheduler, preset.make_schedule(), preset.parameterization, steps)
    return float(x.mean()), float(x.std())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_every_solver_draws_the_mixture_from_an_export(name, tmp_path, capsys):
    preset, counts = CASES[name]
    out = exported(preset, tmp_path)
    told = capsys.readouterr().out
    assert "solvers that do not clamp x0" in " ".join(told.split()) and f"{EXACT}/" in told
    left = UNKNOWN.get(preset.parameterization, ())
    for solver in (s for s in SOLVERS if s not in left):
        for steps in counts:
            mean, std = figures(out, "scheduler", solver, preset, steps)
            assert abs(mean - MEAN) < 0.06 and abs(std - STD) < 0.05, (solver, steps, mean, std)
    for solver in {"steep linear": ("PNDM",), "cosine v": ("HeunDiscrete",), "cosine x0": ()}.get(name, EXPLODE):
        _, std = figures(out, EXACT, solver, preset, 12)  # and without the mend
        assert not std < 1.7 * STD, (solver, std)


def test_betas_that_leave_enough_of_the_image_are_written_as_they_are(tmp_path, capsys):
    out = exported(Preset(schedule="linear"), tmp_path)
    assert "solvers" not in capsys.readouterr().out and not (out / EXACT).exists()


@pytest.mark.parametrize("betas", [COSINE, ZERO, [0.3] * 50, [0.9, 0.99, 0.999], [1.0]])
def test_steady_betas_change_the_tail_alone_and_fall_without_a_step(betas):
    betas = torch.as_tensor(betas, dtype=torch.float64)
    abar, new = (torch.cumprod(1 - b, 0) for b in (betas, steady(betas)))
    kept = abar > 7.5 * LOWEST_ABAR
    torch.testing.assert_close(new[kept], abar[kept], rtol=1e-9, atol=0)
    assert float(new[-1]) == pytest.approx(LOWEST_ABAR) and (new.diff() < 0).all()
    assert not ends_too_low(DiffusionSchedule.from_betas(steady(betas)))
    rate = new.log().diff().abs()
    if len(betas) > 100:  # no step in log-SNR is many times the one before
        assert (rate[-60:] / rate[-61:-1]).max() < 2 and (rate[-60:] / rate[-61:-1]).min() > 0.5


def test_the_steady_scheduler_draws_nearly_our_images(tmp_path):
    """DDIM begins at pure noise with either: what the exact betas make of it is clamped noise."""
    out = exported(Preset(), tmp_path)
    exact, steadied = (
        drawn(diffusers.DDIMScheduler.from_pretrained(out, subfolder=part), Preset().make_schedule(), "epsilon", 20)
        for part in (EXACT, "scheduler")
    )
    assert (exact - steadied).abs().mean() < 0.1
