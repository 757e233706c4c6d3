"""No U-Net at all: residual convolutions at full size, some of them dilated, FiLM from the time."""
# ruff: noqa: F821


# %% build_model
def build_model(device):
    import os
    from collections import namedtuple

    Output = namedtuple("Output", "sample")

    class Net(nn.Module):
        def __init__(self, width, depth, channels, dim=64):
            super().__init__()
            self.register_buffer("freqs", torch.logspace(0, -4, dim // 2))
            self.time = nn.Sequential(nn.Linear(dim, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, 2 * width * depth))
            self.first, self.last = nn.Conv2d(channels, width, 3, padding=1), nn.Conv2d(width, channels, 3, padding=1)
            self.norms = nn.ModuleList(nn.GroupNorm(8, width, affine=False) for _ in range(depth))
            self.convs = nn.ModuleList(
                nn.Conv2d(width, width, 3, padding=d, dilation=d) for d in ([1, 2, 4] * depth)[:depth]
            )

        def forward(self, x, timestep):
            t = torch.as_tensor(timestep, device=x.device).float().reshape(-1, 1).expand(len(x), 1)  # (B, 1)
            emb = torch.cat([(t * self.freqs).sin(), (t * self.freqs).cos()], 1)  # (B, dim)
            film = self.time(emb)[:, :, None, None].chunk(2 * len(self.convs), 1)  # 2 depth x (B, width, 1, 1)
            h = self.first(x)  # (B, width, H, W)
            for i, (norm, conv) in enumerate(zip(self.norms, self.convs)):
                h = h + conv(F.silu(norm(h) * (1 + film[2 * i]) + film[2 * i + 1]))
            return Output(self.last(F.silu(h)))

    widths = [int(w) for w in os.environ["BLOCK_OUT_CHANNELS"].split(",")]
    depth = 7 + int(os.environ.get("LAYERS_PER_BLOCK", 2))
    return Net(max(widths), depth, int(os.environ.get("IMAGE_CHANNELS", 3))).to(device)
