"""The solvers against diffusers' schedulers, step by step, and the timesteps that they visit."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpm_core.diffusion import split_output
from ddpm_core.parameterization import PARAMETERIZATIONS
from ddpm_core.samplers import SPACINGS, ddim, ddim_timesteps, ddpm, dpm_solver_pp, spaced_timesteps, step_noise
from ddpm_core.schedule import SCHEDULES, DiffusionSchedule

THEIR_NAMES = {"epsilon": "epsilon", "v": "v_prediction", "x0": "sample"}
CASES = [(n, s, p, c) for n in ("linear", "cosine") for s in (10, 7) for p in THEIR_NAMES for c in (True, False)]
CASES += [("cosine", 50, "v", True), ("linear", 48, "epsilon", True), ("linear", 1, "v", True)]
each_case = pytest.mark.parametrize("name,steps,kind,clip", CASES)


def network(xt, t):
    return torch.tanh(xt * 0.9 + t.view(-1, 1, 1, 1) / 1000)


def setting(name, kind, clip, rng):
    """Our denoiser, its schedule, some initial noise, and what diffusers' scheduler is told."""
    schedule = DiffusionSchedule.named(name)

    def denoise(xt, t):
        return split_output(network(xt, t), xt, t, schedule, PARAMETERIZATIONS[kind], clip)

    told = {"trained_betas": SCHEDULES[name](1000).numpy(), "prediction_type": THEIR_NAMES[kind]}
    return denoise, schedule, torch.randn(3, 1, 4, 4, generator=rng), told


def same(ours, theirs, step):
    # unclipped noise prediction at the end of the cosine schedule gives numbers of 1e5: compare relative to the largest
    scale = max(1.0, theirs.abs().max().item())
    torch.testing.assert_close(ours / scale, theirs / scale, rtol=1e-3, atol=1e-4, msg=lambda m: f"step {step}: {m}")


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@each_case
def test_ddim_equals_diffusers_step_by_step(name, steps, kind, clip, eta, rng):
    denoise, schedule, xt, told = setting(name, kind, clip, rng)
    theirs = DDIMScheduler(**told, clip_sample=clip, timestep_spacing="trailing", set_alpha_to_one=True)
    # In float32 its 1 - abar - sigma^2 rounds below zero on some processors (eta = 1, tiny abar): the root is nan
    theirs.alphas_cumprod = torch.cumprod(1 - torch.as_tensor(told["trained_betas"]), 0)
    theirs.set_timesteps(steps)
    times = ddim_timesteps(1000, steps).tolist()
    if 1000 % steps == 0:
        assert times == theirs.timesteps.tolist()
    noise, other = torch.Generator().manual_seed(9), xt
    ours = ddim(denoise, xt, schedule, times, eta, torch.Generator().manual_seed(9))
    for t, s, (x, _) in zip(times, [*times[1:], -1], ours):
        # theirs goes to t - T//n, which is the next entry only where n divides T: give it the pair (t, s)
        theirs.register_to_config(num_train_timesteps=t - s)
        theirs.num_inference_steps = 1
        z = torch.randn(xt.shape, generator=noise) if eta > 0 and s >= 0 else torch.zeros_like(xt)
        out = network(other, torch.full((3,), t))
        other = theirs.step(out, t, other, eta=eta, use_clipped_model_output=True, variance_noise=z).prev_sample
        same(x, other, t)


@each_case
def test_ddpm_equals_diffusers_step_by_step(name, steps, kind, clip, rng):
    denoise, schedule, xt, told = setting(name, kind, clip, rng)
    theirs = DDPMScheduler(**told, clip_sample=clip, variance_type="fixed_small")
    times = ddim_timesteps(1000, steps).tolist()
    theirs.set_timesteps(timesteps=times)
    noise, other = torch.Generator().manual_seed(9), xt
    for t, (x, _) in zip(times, ddpm(denoise, xt, schedule, times, torch.Generator().manual_seed(9))):
        other = theirs.step(network(other, torch.full((3,), t)), t, other, generator=noise).prev_sample
        same(x, other, t)


@each_case
def test_dpm_solver_equals_diffusers_step_by_step(name, steps, kind, clip, rng):
    denoise, schedule, xt, told = setting(name, kind, clip, rng)
    theirs = DPMSolverMultistepScheduler(**told, solver_order=2, thresholding=clip, sample_max_value=1.0)
    times = ddim_timesteps(1000, steps).tolist()
    theirs.set_timesteps(timesteps=times)
    other = xt
    for t, (x, _) in zip(times, dpm_solver_pp(denoise, xt, schedule, times)):
        other = theirs.step(network(other, torch.full((3,), t)), t, other).prev_sample
        same(x, other, t)


def test_every_timestep_in_turn_is_the_plain_ancestral_chain(rng):
    """The first steps of the full chain, against diffusers' own list of 1000."""
    denoise, schedule, xt, told = setting("linear", "epsilon", True, rng)
    theirs = DDPMScheduler(**told, variance_type="fixed_small")
    noise, other = torch.Generator().manual_seed(9), xt
    for t, (x, _) in zip(range(999, 949, -1), ddpm(denoise, xt, schedule, range(999, -1, -1), noise.clone_state())):
        other = theirs.step(network(other, torch.full((3,), t)), t, other, generator=noise).prev_sample
        same(x, other, t)


@pytest.mark.parametrize("clip", [True, False])
def test_ddpm_is_ddim_with_eta_1(clip, rng):
    schedule, noise = DiffusionSchedule.named("cosine", dtype=torch.float64), step_noise(range(3), 5)

    def denoise(xt, t):
        return split_output(network(xt, t), xt, t, schedule, PARAMETERIZATIONS["v"], clip)

    xt, times = torch.randn(3, 1, 4, 4, generator=rng, dtype=torch.float64), range(999, 0, -37)
    for (a, _), (b, _) in zip(
        ddpm(denoise, xt, schedule, times, noise), ddim(denoise, xt, schedule, times, 1.0, noise)
    ):
        torch.testing.assert_close(a, b)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 1000), st.integers(1, 1000), st.sampled_from(sorted(SPACINGS)), st.sampled_from(sorted(SCHEDULES))
)
def test_timesteps_descend_and_are_as_many_as_asked_for(total, steps, spacing, name):
    schedule = DiffusionSchedule.named(name, total)
    if steps > total:
        with pytest.raises(ValueError, match=f"between 1 and {total}"):
            spaced_timesteps(schedule, steps, spacing)
        return
    t = spaced_timesteps(schedule, steps, spacing)
    assert t.shape == (steps,) and t.dtype == torch.int64
    assert t[0] < total and t[-1] >= 0 and (t.diff() < 0).all()
    if spacing == "uniform":
        assert torch.equal(t, ddim_timesteps(total, steps)) and t[0] == total - 1
        gaps = -t.diff()
        assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
        assert t[-1] in (0, total // steps - 1)


def test_spacings_do_what_their_names_say():
    schedule = DiffusionSchedule.named("linear")
    lam = schedule.half_log_snr[spaced_timesteps(schedule, 20, "log-snr")]
    assert lam.diff().mean() > 0.45 and (lam.diff() - lam.diff().mean()).abs().max() < 0.2  # to the nearest timestep
    root = (spaced_timesteps(schedule, 20, "quadratic") + 1).double().sqrt()
    torch.testing.assert_close(root.diff(), torch.full((19,), -(1000**0.5) / 20).double(), rtol=0.1, atol=0.05)
    with pytest.raises(ValueError, match="unknown spacing 'cubic'; known: uniform"):
        spaced_timesteps(schedule, 5, "cubic")


@pytest.mark.parametrize("times", [[], [1000], [5, 5], [3, 7], [4, -1]])
@pytest.mark.parametrize("solver", [ddim, ddpm, dpm_solver_pp])
def test_impossible_timesteps_are_refused(solver, times):
    schedule = DiffusionSchedule.named()
    with pytest.raises(ValueError, match="must descend within 999"):
        next(solver(lambda xt, t: (xt, xt), torch.zeros(1, 1, 2, 2), schedule, times))


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([ddim, ddpm, dpm_solver_pp]),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.integers(1, 12),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    st.sampled_from(sorted(PARAMETERIZATIONS)),
    st.sampled_from(sorted(SCHEDULES)),
)
def test_any_shape_any_number_of_steps_any_dtype(solver, shape, steps, dtype, kind, name):
    """Finite, in [-1, 1], of the noise's shape and dtype (float32 where that is half)."""
    schedule = DiffusionSchedule.named(name, 100)
    xt = torch.randn(2, *shape, generator=torch.Generator().manual_seed(steps)).to(dtype)

    def denoise(x, t):
        return split_output(torch.sin(3 * x), x, t, schedule, PARAMETERIZATIONS[kind])

    for x, x0 in solver(denoise, xt, schedule, ddim_timesteps(100, steps)):
        assert torch.isfinite(x).all() and x.shape == x0.shape == xt.shape
        assert x.dtype == torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(x, x0)  # the last step lands on the clean image
    assert x.abs().max() <= 1


def test_a_generator_leaves_gradients_enabled(rng):
    denoise, schedule, xt, _ = setting("linear", "epsilon", True, rng)
    for solver in (ddim, ddpm, dpm_solver_pp):
        next(solver(denoise, xt, schedule, [900, 500, 20]))
        assert torch.is_grad_enabled()
