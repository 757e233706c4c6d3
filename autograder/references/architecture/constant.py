"""Control: the output is the same everywhere, whatever comes in."""
# ruff: noqa: F821


# %% build_model
def build_model(device):
    import os
    from types import SimpleNamespace

    class Net(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.level = nn.Parameter(torch.zeros(channels))

        def forward(self, x, timestep):
            return SimpleNamespace(sample=self.level[:, None, None].expand(x.shape) + 0.0)

    return Net(int(os.environ.get("IMAGE_CHANNELS", 3))).to(device)
