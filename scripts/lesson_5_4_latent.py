"""Train the latent chain that lesson 5.4 loads: a tiny autoencoder, and a text-to-image model on its latents.

    python scripts/lesson_5_4_latent.py autoencoder  # emoji at 32×32: about 3 minutes on one core
    python scripts/lesson_5_4_latent.py text         # 8×8 latents and captions: about 2 minutes on one core

The results go to data/checkpoints/lesson_5_4, in float16, each with the command that made it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch
from tqdm.auto import tqdm

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR, Preset
from ddpm_core.data import ImageData
from ddpm_core.latent import Autoencoder
from ddpm_core.streams import stream
from ddpm_core.training import TrainConfig, TrainState, train
from ddpm_tools.captions import Tokenizer, build_text_unet, tokenized
from ddpm_tools.datasets import load_data
from ddpm_tools.train import resume
from ddpm_tools.unet2d import UNet2DConfig

OUT = DATA_DIR / "checkpoints/lesson_5_4"
SIZE = 32  # pixels
SHAPE = {"image_channels": 3, "latent_channels": 4, "width": 16}
AUTOENCODER = TrainConfig(steps=1000, batch_size=64, lr=3e-3)
TEXT = Preset(  # like lesson 5.3's model of 16×16 pictures, but with latents
    data="emoji",
    conditioning="none",
    parameterization="v",
    unet=UNet2DConfig(4, 8, 0, (32, 64), 1, (1,), groups=8, context_dim=64),
    train=TrainConfig(steps=800, batch_size=32, lr=1e-3, warmup=50, ema_decay=0.995, p_uncond=0.1),
)


def fit_autoencoder(data: ImageData, config: TrainConfig = AUTOENCODER) -> Autoencoder:
    """Train an autoencoder on these pictures, and set its scaling factor. The same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = Autoencoder(**SHAPE)
    opt = torch.optim.Adam(net.parameters(), lr=config.lr)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(opt, config.steps)
    for step in tqdm(range(config.steps), desc="autoencoder", mininterval=5):
        index = torch.randint(len(data), (config.batch_size,), generator=stream(config.seed, "pictures", step))  # (B,)
        opt.zero_grad()
        net.loss(data.floats(index), stream(config.seed, "latents", step)).backward()
        opt.step()
        rate.step()
    net.eval().requires_grad_(False)
    net.scale /= net.posterior(data.floats())[0].std()
    return net


def load_autoencoder() -> Autoencoder:
    """Load the shipped autoencoder."""
    tensors, record = checkpoint.read(OUT / "autoencoder")
    net = Autoencoder(**record["config"])
    net.load_state_dict({k: v.float() for k, v in tensors.items()})
    return net.eval().requires_grad_(False)


def autoencoder() -> None:
    """Train the autoencoder. Its JSON says how well it restores pictures that it has not seen."""
    data, heldout = load_data("emoji", "train", size=SIZE), load_data("emoji", "heldout", size=SIZE)
    net = fit_autoencoder(data)
    x0 = heldout.floats()
    error = (net.decode(net.encode(x0)).clamp(-1, 1) - x0).square().mean().item()
    about = {"command": "python scripts/lesson_5_4_latent.py autoencoder", "steps": AUTOENCODER.steps}
    about |= {"data": f"emoji/train, {len(data)} pictures", "heldout_error": round(error, 5)}
    about |= {"scaling_factor": round(net.scale.item(), 4), "torch": torch.__version__.split("+")[0]}
    checkpoint.write(OUT / "autoencoder", {k: v.half() for k, v in net.state_dict().items()}, SHAPE, **about)
    print(about)


def text() -> None:
    """Train the model from captions to latents."""
    data = load_data("emoji", "train", size=SIZE)
    tokenizer = Tokenizer.build(data.captions)
    net = build_text_unet(TEXT.unet, tokenizer, TEXT.conditioning, seed=TEXT.train.seed)
    diffusion = replace(TEXT.diffusion(net), clip=False)  # latents have no bounds
    state, losses = TrainState.start(diffusion, TEXT.train), []
    latents = replace(data, images=load_autoencoder().encode(data.floats()))  # (N, 4, 8, 8) in place of the images
    steps = train(state, tokenized(latents, tokenizer), TEXT.train)
    for step in tqdm(steps, total=TEXT.train.steps, desc="text", mininterval=5):
        losses.append(step.loss.item())
    about = {"command": "python scripts/lesson_5_4_latent.py text", "torch": torch.__version__.split("+")[0]}
    about |= {"train_loss": [round(sum(losses[i : i + 50]) / 50, 4) for i in range(0, len(losses), 50)]}
    resume.save_snapshot(
        OUT / "text", state, TEXT, tokenizer=tokenizer.to_dict(), provenance=about, weights="ema, float16"
    )
    print(about)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("autoencoder", "text"), help="what to train")
    torch.set_num_threads(1)  # pictures this small are too little work to share
    {"autoencoder": autoencoder, "text": text}[parser.parse_args().part]()
