"""Muon against a singular value decomposition, torch's own, and AdamW."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset
from ddpm_core.data import digits
from ddpm_core.training import train
from ddpm_core.unet import build_unet
from ddpm_tools.train.engine import FastEngine, start
from ddpm_tools.train.optimizers import Muon, matrices, orthogonal
from ddpm_tools.train.resume import resume, save_training
from ddpm_tools.train.speed import Speed
from tests.ddpm_core.test_training import CONFIG, UNET, bound


@pytest.mark.parametrize("shape", [(32, 32), (16, 200), (200, 16)])
def test_it_keeps_the_directions_and_levels_the_singular_values(shape):
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, _, vt = torch.linalg.svd(g, full_matrices=False)
    inside = u.T @ orthogonal(g) @ vt.T  # diagonal where U and V are kept
    level = inside.diagonal()
    assert (inside - level.diag()).abs().max() < 1e-4
    # the smallest of a square matrix may need more iterations than five
    assert level.max() < 1.25 and level[: len(level) * 3 // 4].min() > 0.65
    torch.testing.assert_close(orthogonal(1e-3 * g), orthogonal(g), rtol=1e-2, atol=1e-3)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch before 2.9 has none to compare with")
def test_matrices_move_as_with_torchs_own():
    rng = torch.Generator().manual_seed(1)
    ours, theirs = (nn.Parameter(torch.ones(24, 40)) for _ in range(2))
    how = {"lr": 0.01, "weight_decay": 0.1}
    a = Muon([ours], [], **how)
    b = torch.optim.Muon([theirs], adjust_lr_fn="match_rms_adamw", momentum=0.95, **how)
    for _ in range(4):
        ours.grad = torch.randn(24, 40, generator=rng)
        theirs.grad = ours.grad.clone()
        before = theirs.detach().clone()
        a.step(), b.step()
        moved = theirs.detach() - before
        assert (ours - theirs).detach().norm() < 0.05 * moved.norm()  # theirs is computed in bfloat16


def test_a_convolution_is_the_matrix_of_its_output_channels():
    conv, flat = nn.Parameter(torch.zeros(8, 4, 3, 3)), nn.Parameter(torch.zeros(8, 36))
    conv.grad = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(2))
    flat.grad = conv.grad.flatten(1).clone()
    for p in (conv, flat):
        Muon([p], [], lr=0.1).step()
    assert torch.equal(conv.flatten(1), flat) and conv.abs().max() > 0


def test_everything_else_moves_exactly_as_with_adamw():
    rng = torch.Generator().manual_seed(3)
    ours, theirs, matrix = (nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(4, 4)))
    how = {"lr": 0.01, "weight_decay": 0.1}
    a, b = Muon([matrix], [ours], **how), AdamW([theirs], **how)
    for _ in range(3):
        ours.grad, matrix.grad = torch.randn(5, generator=rng), torch.ones(4, 4)
        theirs.grad = ours.grad.clone()
        a.step(), b.step()
    assert torch.equal(ours, theirs)


def test_the_networks_ends_its_table_norms_and_biases_are_left_to_adamw():
    network = build_unet(replace(UNET, image_channels=3), strategy("concat-film"))
    inner = set(map(id, matrices(network, 3)))
    left = {name for name, p in network.named_parameters() if id(p) not in inner}
    assert {"conv_in.weight", "conv_out.weight", "class_table.weight"} <= left
    assert all(p.dim() >= 2 for p in network.parameters() if id(p) in inner)
    more = {n for n in left if not n.endswith("bias")} - {"conv_in.weight", "conv_out.weight", "class_table.weight"}
    assert not [n for n in more if dict(network.named_parameters())[n].dim() > 1]


def begin(name):
    return start(bound(build_unet(UNET, strategy("concat-film"))), CONFIG, Speed(), optimizer=name)


def run(name, until=None, path=None):
    """Loss at each step; with a path, goes on from that save, or writes it at `until`."""
    state, speed = begin(name)
    config = Preset(conditioning="concat-film", unet=UNET, train=CONFIG, optimizer=name)
    if path and path.with_suffix(".safetensors").exists():
        state = resume(path, config, state)
    losses = []
    for step in train(state, digits(), CONFIG, engine=FastEngine(state, speed, CONFIG)):
        losses.append(float(step.loss))
        if step.step == until:
            save_training(path, state, config)
            break
    return state, losses


def test_a_resumed_run_is_the_unbroken_one(tmp_path):
    whole, losses = run("muon")
    _, first = run("muon", 5, tmp_path / "run")
    resumed, rest = run("muon", path=tmp_path / "run")
    assert first + rest == losses and losses != run("adamw")[1]
    for a, b in zip(whole.model.state_dict().values(), resumed.model.state_dict().values()):
        assert torch.equal(a, b)


def test_what_cannot_be_done_is_one_sentence():
    with pytest.raises(ValueError, match="unknown optimizer 'sgd'; known: adamw, muon"):
        begin("sgd")
    with pytest.raises(ValueError, match="'muon' cannot be fused"):
        start(bound(build_unet(UNET, strategy("add"))), CONFIG, Speed(fused=True), optimizer="muon")
