"""Control: every pixel by itself, with the time but without its neighbours."""
# ruff: noqa: F821


# %% build_model
def build_model(device):
    import os
    from types import SimpleNamespace

    class Net(nn.Module):
        def __init__(self, width, channels):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(channels + 8, width, 1), nn.SiLU(), nn.Conv2d(width, width, 1), nn.SiLU(),
                nn.Conv2d(width, channels, 1),
            )  # fmt: skip

        def forward(self, x, timestep):
            t = torch.as_tensor(timestep, device=x.device).float().reshape(-1, 1).expand(len(x), 1) / 1000  # (B, 1)
            waves = (t * torch.arange(1, 9, device=x.device)).sin()[:, :, None, None]  # (B, 8, 1, 1)
            return SimpleNamespace(sample=self.body(torch.cat([x, waves.expand(-1, -1, *x.shape[2:])], 1)))

    width = int(os.environ["BLOCK_OUT_CHANNELS"].split(",")[0])
    return Net(width, int(os.environ.get("IMAGE_CHANNELS", 3))).to(device)
