"""A design of our own: the standard network with the time as scale and shift, and a way past it for its input.

At high noise the noise is nearly the input itself, and a network of norms and convolutions has to learn to copy it.
Here it is added to the output with a gain for each timestep, learned like the output's own: zero and one at first.
"""
# ruff: noqa: F821


# %% build_model
def build_model(device):
    import os
    from types import SimpleNamespace

    from diffusers import UNet2DModel

    from ddpm_core.layers import sinusoidal_embedding, zero_init

    class Gains(nn.Module):
        def __init__(self, unet, dim=64):
            super().__init__()
            self.unet, self.dim = unet, dim
            self.gains = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), zero_init(nn.Linear(dim, 2)))

        def forward(self, x, timestep):
            t = torch.as_tensor(timestep, device=x.device).reshape(-1).expand(len(x))  # (B,)
            gains = self.gains(sinusoidal_embedding(t, self.dim).to(x.dtype))[..., None, None, None]  # (B, 2, 1, 1, 1)
            past, through = gains.unbind(1)  # 2 x (B, 1, 1, 1)
            return SimpleNamespace(sample=past * x + (1 + through) * self.unet(x, t).sample)

    widths = tuple(int(w) for w in os.environ["BLOCK_OUT_CHANNELS"].split(","))
    levels, channels = len(widths), int(os.environ.get("IMAGE_CHANNELS", 3))
    down = ["DownBlock2D"] * levels
    up = ["UpBlock2D"] * levels
    if levels > 1:
        down[1], up[-2] = "AttnDownBlock2D", "AttnUpBlock2D"
    unet = UNet2DModel(
        sample_size=int(os.environ.get("IMAGE_SIZE", 32)),
        in_channels=channels,
        out_channels=channels,
        layers_per_block=int(os.environ.get("LAYERS_PER_BLOCK", 2)),
        block_out_channels=widths,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        attention_head_dim=8,
        resnet_time_scale_shift="scale_shift",
    )
    return Gains(unet).to(device)
