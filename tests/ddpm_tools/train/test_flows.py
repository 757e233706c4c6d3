"""Flows of pictures against a flow whose solution is known."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from ddpm_core.diffusion import Diffusion
from ddpm_core.flow import euler_step, heun_step
from ddpm_core.parameterization import FLOW
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.streams import stream
from ddpm_core.training import TrainConfig
from ddpm_tools.train.flows import pairs, reflow, travel

SHAPE = (1, 2, 2)


class ToOnePicture(nn.Module):
    """The exact velocity of a flow to one picture a class, (x - picture) / t; its paths are straight."""

    null_class = 2
    null_cond = torch.tensor([2])

    def __init__(self):
        super().__init__()
        self.pictures = nn.Parameter(torch.tensor([-0.5, 0.5, 0.0]))
        self.calls = 0

    def forward(self, z, k, y):
        self.calls += 1
        t = ((k + 1) / 1001).view(-1, 1, 1, 1)
        return (z * ((1 - t) ** 2 + t**2).sqrt() - self.pictures[y].view(-1, 1, 1, 1)) / t


def exact() -> Diffusion:
    return Diffusion(ToOnePicture(), DiffusionSchedule.named("straight"), FLOW, image_shape=SHAPE)


@pytest.mark.parametrize(("step", "evaluations"), [(euler_step, 1), (euler_step, 5), (heun_step, 2), (heun_step, 6)])
def test_a_flow_arrives_within_its_evaluations(step, evaluations):
    flow, y = exact(), torch.tensor([0, 1, 1])
    eps = torch.randn(3, *SHAPE, generator=stream(0, "eps"))
    images = travel(flow, eps, y, evaluations, step)
    assert flow.network.calls == evaluations
    if step is euler_step:  # Heun asks at t = 0, where this velocity is not defined
        wanted = flow.network.pictures[y].view(-1, 1, 1, 1).expand_as(eps)
        torch.testing.assert_close(images, wanted, atol=0.02, rtol=0)  # timesteps stand for times up to 1/1000


def test_heun_takes_two_evaluations_a_step():
    with pytest.raises(ValueError, match=r"2 evaluations.*: 3"):
        travel(exact(), torch.zeros(1, *SHAPE), torch.zeros(1).long(), 3)


def test_pairs_belong_together():
    flow = exact()
    eps, images, y = pairs(flow, 8, seed=3, evaluations=4, batch_size=3)
    assert y.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    torch.testing.assert_close(images[4:5], travel(flow, eps[4:5], y[4:5], 4))
    torch.testing.assert_close(images, pairs(flow, 8, seed=3, evaluations=4, batch_size=8)[1])


class Guess(nn.Module):
    """A velocity that depends on the class alone."""

    null_class = 2
    null_cond = torch.tensor([2])

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(3, 4)

    def forward(self, z, k, y):
        self.asked = z, k
        return self.table(y).view(-1, *SHAPE)


def test_reflow_learns_the_velocity_of_its_pairs():
    """Each class's pairs have one velocity: noise minus image, whatever the time."""
    torch.manual_seed(0)
    flow = replace(exact(), network=Guess())
    y = torch.arange(40) % 2
    images = torch.randn(40, *SHAPE, generator=stream(0, "images"))
    gap = torch.tensor([0.7, -0.3])[y].view(-1, 1, 1, 1)
    config = TrainConfig(steps=300, batch_size=16, lr=0.05, warmup=0, ema_decay=0.9, weight_decay=0.0, grad_clip=100.0)
    for state in reflow(flow, (images + gap, images, y), config):  # noqa: B007
        pass
    assert state.step == 300
    learnt = state.averaged.network.table.weight[:2].detach()
    torch.testing.assert_close(learnt, torch.tensor([[0.7] * 4, [-0.3] * 4]), atol=0.02, rtol=0)


def test_reflow_asks_where_the_straight_path_is():
    flow = replace(exact(), network=Guess())
    x0, eps = torch.full((1, *SHAPE), 0.4), torch.full((1, *SHAPE), -1.0)
    next(reflow(flow, (eps, x0, torch.zeros(1).long()), TrainConfig(steps=1, batch_size=8)))
    z, k = flow.network.asked
    t = ((k + 1) / 1001).view(-1, 1, 1, 1)
    torch.testing.assert_close(z * ((1 - t) ** 2 + t**2).sqrt(), (1 - t) * x0 + t * eps)
