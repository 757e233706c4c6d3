"""Can the classes be learnt? The gradient that reaches the class embedding, from perturbed and from initial weights."""

import torch
from torch import Generator

from autograder.child.perturb import perturb
from autograder.exercises.base import Failed, Probe, finite
from autograder.exercises.calls import seed_of
from autograder.exercises.conditioner.asking import MOVED, images, perturbed
from autograder.gate.network import UNET
from autograder.gate.remote_modules import with_pair


def gradient_reaches(probe: Probe, rng: Generator) -> None:
    a = images(rng, 5)
    weights = torch.randn(5, 1, 8, 8, generator=rng)
    net = perturbed(probe, seed_of(rng))
    class_emb = net.embed_class(a["y"]).detach().requires_grad_()
    (net.forward_with_cond(a["x"], a["t"], class_emb) * weights).sum().backward()
    grad = class_emb.grad if class_emb.grad is not None else torch.zeros_like(class_emb)
    if (finite(grad, "the gradient of the class embedding").abs().amax(1) == 0).any():
        raise Failed(
            "no gradient reaches the class embedding, so the classes can never be learnt: look for .detach(), "
            "torch.no_grad(), rounding or argmax along the way"
        )


def opens(probe: Probe, rng: Generator) -> None:
    """From the pair's own initial weights: a closed gate must open within two training steps.

    The rest of the network is perturbed, since its own output may start at zero.
    """
    a, seed = images(rng, 5), seed_of(rng)
    weights = torch.randn(5, 1, 8, 8, generator=rng)
    net = with_pair(probe, UNET, seed).train()
    own = [p for p in net.conditioners.parameters() if p.requires_grad]
    fresh = [p.detach().clone() for p in own]
    perturb(net, seed, MOVED)
    with torch.no_grad():
        for p, value in zip(own, fresh):
            p.copy_(value)
    optimizer = torch.optim.Adam(own, lr=1e-2) if own else None
    for _ in range(3):
        net.zero_grad()
        class_emb = net.embed_class(a["y"]).detach().requires_grad_()
        (net.forward_with_cond(a["x"], a["t"], class_emb) * weights).sum().backward()
        if class_emb.grad is not None and (class_emb.grad != 0).any():
            return
        if optimizer:
            optimizer.step()
    raise Failed(
        "the classes can never be learnt from the pair's initial weights: within two training steps no gradient "
        "reaches the class embedding. Look for two zeros in a row, such as a zero gate on a branch whose output "
        "starts at zero (as AdaLNBlock's does): each gets its gradient through the other, so both stay zero. "
        "Initialise one of them differently, or let prepare_conditioning pass the class on"
    )
