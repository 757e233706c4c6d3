"""diffusers' U-Net with attention at the second level: the track's standard."""


# %% build_model
def build_model(device):
    import os

    from diffusers import UNet2DModel

    widths = tuple(int(w) for w in os.environ["BLOCK_OUT_CHANNELS"].split(","))
    levels, channels = len(widths), int(os.environ.get("IMAGE_CHANNELS", 3))
    down = ["DownBlock2D"] * levels
    up = ["UpBlock2D"] * levels
    if levels > 1:
        down[1], up[-2] = "AttnDownBlock2D", "AttnUpBlock2D"
    return UNet2DModel(
        sample_size=int(os.environ.get("IMAGE_SIZE", 32)),
        in_channels=channels,
        out_channels=channels,
        layers_per_block=int(os.environ.get("LAYERS_PER_BLOCK", 2)),
        block_out_channels=widths,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        attention_head_dim=8,
    ).to(device)
