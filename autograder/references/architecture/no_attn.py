"""diffusers' U-Net without any attention, in the middle neither: the track's no-attn."""


# %% build_model
def build_model(device):
    import os

    from diffusers import UNet2DModel

    widths = tuple(int(w) for w in os.environ["BLOCK_OUT_CHANNELS"].split(","))
    channels = int(os.environ.get("IMAGE_CHANNELS", 3))
    return UNet2DModel(
        sample_size=int(os.environ.get("IMAGE_SIZE", 32)),
        in_channels=channels,
        out_channels=channels,
        layers_per_block=int(os.environ.get("LAYERS_PER_BLOCK", 2)),
        block_out_channels=widths,
        down_block_types=("DownBlock2D",) * len(widths),
        up_block_types=("UpBlock2D",) * len(widths),
        add_attention=False,
    ).to(device)
