"""Timesteps and losses against their formulas, and the training loop against one step written out."""

import pytest
import torch
from scipy.stats import chi2, chisquare, kstest, norm

from ddpm_core.conditioning import strategy
from ddpm_core.data import digits
from ddpm_core.diffusion import Diffusion
from ddpm_core.objectives import mse, uniform_times
from ddpm_core.parameterization import BLEND, EPSILON, FLOW, PARAMETERIZATIONS, X0, V
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.streams import stream
from ddpm_core.training import TrainState, batches, train
from ddpm_core.unet import build_unet
from ddpm_tools.train.objectives import logit_normal_times, min_snr, stratified_times
from tests.ddpm_core.test_training import CONFIG, UNET
from tests.ddpm_core.test_unet import perturbed

SCHEDULE = DiffusionSchedule.named("linear")


def seeded(seed=5):
    return torch.Generator().manual_seed(seed)


def test_uniform_times_are_torchs_own():
    assert torch.equal(uniform_times(128, SCHEDULE, seeded()), torch.randint(1000, (128,), generator=seeded()))
    short = DiffusionSchedule.named("cosine", 7)
    assert torch.equal(uniform_times(99, short, seeded()), torch.randint(7, (99,), generator=seeded()))


def test_stratified_times_have_one_in_each_stratum_and_are_uniform():
    rng = seeded()
    draws = torch.stack([stratified_times(100, SCHEDULE, rng) for _ in range(2000)])  # (2000, 100)
    assert draws.dtype == torch.int64
    assert torch.equal((draws // 10).sort(1).values, torch.arange(100).expand(2000, 100))
    counts = torch.bincount(draws.flatten(), minlength=1000).double()  # 200 each are expected
    p = chi2.sf(((counts - 200) ** 2 / 200).sum().item(), 900)  # ten places in each of 100 strata: 9 are free
    assert len(counts) == 1000 and 1e-3 < p < 1 - 1e-3
    for place in (0, 57):  # in random order, each is uniform on its own
        assert chisquare(torch.bincount(draws[:, place] // 50, minlength=20).numpy()).pvalue > 1e-3
    assert (draws[1:, 0] != draws[:-1, 0]).double().mean() > 0.9


def test_strata_of_a_batch_larger_than_the_schedule_visit_every_timestep():
    short = DiffusionSchedule.named("cosine", 10)
    assert torch.equal(torch.bincount(stratified_times(40, short, seeded())), torch.full((10,), 4))


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.0, 0.5)])
def test_logit_normal_times_are_distributed_so(mean, std):
    n = 20_000
    t = logit_normal_times(mean, std)(n, SCHEDULE, seeded())
    assert t.dtype == torch.int64 and t.min() >= 0 and t.max() < 1000

    def cdf(u):
        u = torch.as_tensor(u, dtype=torch.float64)
        return norm.cdf((torch.logit(u) - mean) / std)

    middles = (t.double() + 0.5) / 1000
    assert kstest(middles.numpy(), cdf).statistic < 1.95 / n**0.5 + 1e-3  # p = 0.001, and the rounding to timesteps


@pytest.mark.parametrize("kind", [EPSILON, V, X0], ids=lambda p: p.name)
@pytest.mark.parametrize("gamma", [1.0, 5.0])
def test_min_snr_weighs_the_error_of_x0_alike_for_every_parameterization(kind, gamma, rng):
    """Hang et al. 2023: min(SNR, gamma)·|x0_hat - x0|², whatever the network was asked for."""
    exact = DiffusionSchedule.named("linear", dtype=torch.float64)
    x0, eps, x0_hat = torch.randn(3, 2, 3, 4, 4, generator=rng, dtype=torch.float64)
    for when in (0, 30, 250, 600):
        t, abar = torch.full((2,), when), exact.alphas_cumprod[when]
        r, s = abar.sqrt(), (1 - abar).sqrt()
        xt = r * x0 + s * eps
        eps_hat = (xt - r * x0_hat) / s
        said = {"epsilon": (eps_hat, eps), "v": (r * eps_hat - s * x0_hat, r * eps - s * x0), "x0": (x0_hat, x0)}
        output, target = said[kind.name]
        got = min_snr(kind, gamma)(output, target, t, exact)
        wanted = min(abar / (1 - abar), torch.tensor(gamma)) * (x0_hat - x0).square().mean()
        torch.testing.assert_close(got.double(), wanted, rtol=1e-4, atol=0, msg=f"t = {when}: {got} for {wanted}")


def test_min_snr_takes_each_sample_at_its_own_timestep(rng):
    output, target = torch.randn(2, 3, 1, 4, 4, generator=rng)
    t = torch.tensor([10, 400, 900])
    alone = [min_snr(V)(output[i : i + 1], target[i : i + 1], t[i : i + 1], SCHEDULE) for i in range(3)]
    torch.testing.assert_close(min_snr(V)(output, target, t, SCHEDULE), torch.stack(alone).mean())


def test_min_snr_of_another_parameterization_is_refused():
    with pytest.raises(ValueError, match="min-SNR is known for epsilon, v, x0, not for 'blend'"):
        min_snr(BLEND)


def first_step(kind, **options):
    """The first step's report of a training, and the network as it was before."""
    net = perturbed(build_unet(UNET, strategy("add")), 0.05)
    state = TrainState.start(Diffusion(net, SCHEDULE, kind), CONFIG)
    before = build_unet(UNET, strategy("add"))
    before.load_state_dict(net.state_dict())
    return next(train(state, digits(), CONFIG, **options)), before


@pytest.mark.parametrize("kind", PARAMETERIZATIONS.values(), ids=lambda p: p.name)
@pytest.mark.parametrize("snr", [False, True], ids=["plain", "min-SNR, stratified"])
def test_a_training_step_is_the_formula(kind, snr):
    """Ho et al. 2020, algorithm 1, with nothing of the loop but its random streams."""
    if snr and kind in (BLEND, FLOW):
        return
    options = {"loss": min_snr(kind), "times": stratified_times} if snr else {}
    report, net = first_step(kind, **options)
    x0, y = next(batches(digits(), CONFIG))
    y = torch.where(torch.rand(16, generator=stream(0, "dropout", 0)) < CONFIG.p_uncond, 10, y)
    rng = stream(0, "t", 0)
    t = stratified_times(16, SCHEDULE, rng) if snr else torch.randint(1000, (16,), generator=rng)
    eps = torch.randn(16, 1, 8, 8, generator=stream(0, "noise", 0))
    abar = SCHEDULE.alphas_cumprod[t].view(-1, 1, 1, 1)
    xt = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    v = abar.sqrt() * eps - (1 - abar).sqrt() * x0
    target = {"epsilon": eps, "v": v, "x0": x0, "blend": (1 - abar) * eps + abar * v, "flow": eps - x0}[kind.name]
    error = (net(xt, t, y) - target).square()
    if snr:
        ratio = abar / (1 - abar)
        error = error * ratio.clamp(max=5) / {"epsilon": ratio, "v": ratio + 1, "x0": torch.ones_like(ratio)}[kind.name]
    torch.testing.assert_close(report.loss, error.mean().detach(), rtol=1e-4, atol=1e-6)


def test_naming_the_defaults_changes_nothing():
    (a, _), (b, _) = first_step(V), first_step(V, loss=mse, times=uniform_times)
    assert torch.equal(a.loss, b.loss) and torch.equal(a.norm, b.norm)


def test_a_run_with_min_snr_and_strata_learns():
    net = build_unet(UNET, strategy("add"))
    state = TrainState.start(Diffusion(net, SCHEDULE, V), CONFIG)
    losses = [float(s.loss) for s in train(state, digits(), CONFIG, min_snr(V), stratified_times)]
    assert state.step == 12 == len(losses) and sum(losses[-4:]) < 0.8 * sum(losses[:4])
