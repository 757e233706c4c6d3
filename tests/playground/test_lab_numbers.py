"""The laboratory's numbers in headless Chromium, against lesson 5.2's own code, ddpm_core and closed forms."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from ddpm_core.config import DATA_DIR
from ddpm_core.diffusion import Diffusion
from ddpm_core.flow import euler_step, heun_step
from ddpm_core.guidance import extrapolate, guided
from ddpm_core.parameterization import EPSILON
from ddpm_core.samplers import SAMPLERS, ddim_timesteps, last
from ddpm_core.schedule import DiffusionSchedule, at

LESSON = DATA_DIR.parent / "lessons/5_2_guidance.ipynb"
PLANE = DiffusionSchedule.named("cosine", dtype=torch.float64)
NULL = 3
CASES = [(y, w, t) for y in (0, 1, 2) for w in (0, 0.5, 1, 4, 10) for t in (0, 50, 450, 999)]
RUN = """async ([body, a]) => {
    const files = ["./mixture.js", "./samplers.js", "./formula.js", "../schedule.js", "./model.js"];
    const modules = await Promise.all(files.map((file) => import(file)));
    const found = await new Function("M", "S", "F", "Q", "D", "a", body)(...modules, a);
    return JSON.stringify(found, (_, value) => (ArrayBuffer.isView(value) ? [...value] : value));
}"""


@pytest.fixture(scope="module")
def js(lab):
    """Runs the body of a JavaScript function of the modules M, S, F, Q, D and an argument a."""
    return lambda body, a=None: json.loads(lab.evaluate(RUN, [body, a]))


@pytest.fixture(scope="module")
def toy():
    """The lesson's mixture, made by the lesson's own cell."""
    cells = ["".join(c["source"]) for c in json.loads(LESSON.read_text(encoding="utf-8"))["cells"]]
    (cell,) = [c for c in cells if "class Mixture:" in c]
    names = {"torch": torch, "Tensor": Tensor, "dataclass": dataclass, "at": at, "DiffusionSchedule": DiffusionSchedule}
    exec(cell.split("def constant")[0], names)
    return names["toy"]


def points(seed, n=40):
    return 1.5 * torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def flat(x):
    return x.flatten().tolist()


def labels(k, n=40):
    return torch.full((n,), k)


def close(theirs, ours, atol=1e-5):
    np.testing.assert_allclose(theirs, np.asarray(ours).reshape(np.shape(theirs)), rtol=0, atol=atol)


def guide(toy, y, w, n=40):
    return guided(Diffusion(toy.network, PLANE, EPSILON, clip=False, null=labels(NULL, 1)), labels(y, n), w)


def test_the_schedule_and_the_forward_process(js):
    close(js("return S.SCHEDULE.alphasCumprod"), PLANE.alphas_cumprod)
    close(js("return Array.from({ length: 1000 }, (_, t) => Q.halfLogSnr(S.SCHEDULE, t))"), PLANE.half_log_snr)
    x0, eps = points(0), points(1)
    for t in (0, 400, 999):
        theirs = js("return Q.qSample(S.SCHEDULE, a[0], a[1], a[2])", [flat(x0), t, flat(eps)])
        close(theirs, PLANE.q_sample(x0, labels(t), eps))


def test_scores_and_guidance(js, toy):
    xt = points(2)
    for y in range(4):
        theirs = js("return M.logP(M.PRESETS.lesson, a[0], S.levelAt(450), a[1])", [flat(xt), y])
        close(theirs, toy.log_p(xt, labels(y), PLANE.alphas_cumprod[450].view(1, 1)))
    both = "const d = M.guided(M.PRESETS.lesson, a[1], a[2])(a[0], S.levelAt(a[3])); return [d.x0, d.eps]"
    eps = "return M.guidedEps(M.PRESETS.lesson, a[0], S.levelAt(a[3]), a[1], a[2])"
    for y, w, t in CASES:
        x0_hat, eps_hat = guide(toy, y, w)(xt, labels(t))
        arguments = [flat(xt), y, w, t]
        close(js(both, arguments)[0], x0_hat)
        close(js(eps, arguments), eps_hat)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("w", "steps"), [(1, 7), (4, 32), (8, 100)])
def test_the_solvers_end_where_ddpm_core_ends(js, toy, sampler, w, steps):
    start, times = points(3), ddim_timesteps(1000, steps)
    fresh = {int(t): points(100 + int(t)) for t in times}
    more = {"noise": lambda t, xt: fresh[t]} if sampler == "ddpm" else {}
    ours = last(SAMPLERS[sampler](guide(toy, 0, w), start, PLANE, times, **more))
    theirs = js(
        "return S.trajectory(M.guided(M.PRESETS.lesson, 0, a[1]), a[0], a[2], a[3], (t) => a[4][t]).states.at(-1)",
        [flat(start), w, sampler, steps, {str(t): flat(eps) for t, eps in fresh.items()}],
    )
    close(theirs, ours)


def velocity(toy, y):
    """E[eps - x0 | xt, y] on the straight path, by automatic differentiation of the lesson's log-density."""

    def field(xt, t):
        size = ((1 - t) ** 2 + t**2).sqrt()
        abar = ((1 - t) / size) ** 2  # of the same point in the course's usual coordinates
        x = (xt / size).requires_grad_()
        (score,) = torch.autograd.grad(toy.log_p(x, labels(y), abar.view(1, 1)).sum(), x)
        eps = -(1 - abar).sqrt() * score
        return eps - (x.detach() - (1 - abar).sqrt() * eps) / abar.sqrt()

    return field


@pytest.mark.parametrize(("name", "step"), [("eulerStep", euler_step), ("heunStep", heun_step)])
def test_the_steps_along_the_flow_are_those_of_ddpm_core(js, toy, name, step):
    xt, weak, strong = points(9), velocity(toy, NULL), velocity(toy, 0)
    for w, t, t_next in ((1, 0.9, 0.6), (4, 0.9, 0.6), (4, 0.3, 0.1)):
        ours = step(lambda x, s, w=w: extrapolate(weak(x, s), strong(x, s), w), xt, *torch.tensor([t, t_next]).double())
        field = "const field = (x, t) => S.velocity(M.guided(M.PRESETS.lesson, 0, a[1]), x, t);"
        close(js(f"{field} return S.{name}(field, a[0], a[2], a[3])", [flat(xt), w, t, t_next]), ours)


def test_one_gaussian_moves_along_its_known_way_and_heun_is_of_second_order(js):
    """With one round mode, the exact flow takes eps to mean + spread·eps."""
    start = points(4)
    exact = torch.tensor([0.3, -0.2]) + 0.3 * start
    errors = {
        (sampler, steps): np.abs(
            np.array(
                js(
                    "const one = [{ x: 0.3, y: -0.2, spread: 0.3, share: 1, owner: 0 }];"
                    "return S.trajectory(M.guided(one, 0, 1), a[0], a[1], a[2]).states.at(-1)",
                    [flat(start), sampler, steps],
                )
            )
            - np.array(flat(exact))
        ).max()
        for sampler in ("euler", "heun")
        for steps in (40, 80)
    }
    assert 1.8 < errors["euler", 40] / errors["euler", 80] < 2.2
    assert 3.5 < errors["heun", 40] / errors["heun", 80] < 4.6 and errors["heun", 80] < 2e-3


def test_flow_and_ddim_have_the_same_ends(js):
    """Both follow one ordinary differential equation, in other coordinates (Song et al. 2021): so do guided ones."""
    ends = """const denoise = M.guided(M.PRESETS.lesson, 0, a[1]);
        return ["ddim", "heun"].map((sampler) => S.trajectory(denoise, a[0], sampler, 1000).states.at(-1));"""
    for w in (1, 4):
        ddim, heun = (np.array(x) for x in js(ends, [flat(points(5)), w]))
        assert np.sqrt(np.mean((ddim - heun) ** 2)) < 0.01, w


def test_the_grey_is_the_formula_with_noise_on_it(js, toy):
    grid = torch.tensor(js("return F.GRID"), dtype=torch.float64).view(-1, 2)
    clean = torch.ones(1, 1, dtype=torch.float64)
    joint, marginal = toy.log_p(grid, labels(0, len(grid)), clean), toy.log_p(grid, labels(NULL, len(grid)), clean)
    for w in (0, 1, 4):
        p = (marginal + w * (joint - marginal)).softmax(0)
        close(js("return F.tilted(M.PRESETS.lesson, 0, a)", w), p, 1e-9)
    level = "const level = S.levelAt(a[0]);"
    noise = "const q = F.noisy(F.tilted(M.PRESETS.lesson, 0, 1), level), p = F.density(M.PRESETS.lesson, 0, level);"
    for t in (100, 300, 600):  # at w = 1 the noisy formula is p_t(x|y), known in closed form
        q, p = (np.array(x) for x in js(f"{level} {noise} return [q, p]", [t]))
        assert np.abs(q - p).sum() < 0.02
    at_grid = """const denoisers = [F.ideal(F.tilted(M.PRESETS.lesson, 0, 1)), M.guided(M.PRESETS.lesson, 0, 1)];
        return denoisers.map((denoise) => denoise(a[1], level).eps);"""
    for t in (200, 450, 900):  # and its exact denoiser is the class's
        ideal, known = js(f"{level} {at_grid}", [t, flat(points(6) / 2)])
        close(ideal, known, 0.01)


def test_the_distance_is_the_sliced_wasserstein_distance(js):
    a, b = points(7, 300), points(8, 300) + 0.2
    angles = torch.arange(16, dtype=torch.float64) * math.pi / 16
    lines = torch.stack([angles.cos(), angles.sin()])  # (2, 16)
    ours = ((a @ lines).sort(0).values - (b @ lines).sort(0).values).abs().mean()
    close(js("return F.slicedWasserstein(a[0], a[1])", [flat(a), flat(b)]), ours)
    moved = js("return F.slicedWasserstein(a[0], a[1], 64)", [flat(a), flat(a + torch.tensor([0.3, 0.4]))])
    assert moved == pytest.approx(0.5 * 2 / math.pi, abs=1e-3)  # the mean of |cos| over all directions
    draws = np.array(js("return F.drawFrom(F.tilted(M.PRESETS.lesson, 1, 1), 2000, 3, true)")).reshape(-1, 2)
    np.testing.assert_allclose(draws.mean(0), [0.75, 0.45], atol=0.02)
    np.testing.assert_allclose(draws.std(0), 0.22, atol=0.02)


def test_guided_points_keep_the_promise_at_w_1_alone(js):
    state = {"view": "guidance", "modes": "lesson", "y": "A", "seed": 1, "steps": 64}
    for sampler in ("ddim", "dpm++", "ddpm", "euler", "heun"):
        for w in (1, 2, 4, 8):
            s = state | {"sampler": sampler, "w": w}
            far, chance = js("return [D.distanceAt(a, 0), D.chance(a)]", s)
            assert (far < 2.5 * chance) if w == 1 else (far > 3 * chance), (sampler, w, far, chance)
    lost = js("return D.emptied(a)", state | {"sampler": "dpm++", "w": 4})
    assert lost["mode"]["x"] == 0.25 and lost["promised"] > 0.25 and lost["found"] < 0.02
    assert js("return [D.distanceAt(a, 999), D.chance(a)]", state | {"sampler": "dpm++", "w": 4})[0] < 0.12
