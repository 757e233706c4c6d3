"""A design of our own: a U-Net that sees the time as scale and shift (AdaGN), with attention below the full size only.

Against diffusers' network: the time modulates instead of being added, every block and the output begin at zero, levels
shrink by averaging and grow by repetition, and attention is kept for maps of at most 16 × 16 pixels.
"""
# ruff: noqa: F821


# %% build_model
def build_model(device):
    import os
    from types import SimpleNamespace

    from ddpm_core.attention import SelfAttention
    from ddpm_core.layers import AdaResBlock, sinusoidal_embedding

    class Stage(nn.Module):
        def __init__(self, cin, cout, dim, attend):
            super().__init__()
            self.block = AdaResBlock(cin, cout, dim)
            self.attend = SelfAttention(cout) if attend else nn.Identity()

        def forward(self, h, emb):
            return self.attend(self.block(h, emb))

    class Net(nn.Module):
        def __init__(self, widths, layers, channels, size):
            super().__init__()
            self.base, dim = widths[0], 4 * widths[0]
            self.embed = nn.Sequential(nn.Linear(self.base, dim), nn.SiLU(), nn.Linear(dim, dim), nn.SiLU())
            self.first = nn.Conv2d(channels, widths[0], 3, padding=1)
            self.down, self.up, c, skips = nn.ModuleList(), nn.ModuleList(), widths[0], [widths[0]]
            attends = [i > 0 and size >> i <= 16 for i in range(len(widths))]
            for w, attend in zip(widths, attends):
                self.down.append(nn.ModuleList())
                for _ in range(layers):
                    self.down[-1].append(Stage(c, w, dim, attend))
                    c = w
                    skips.append(c)
            self.middle = Stage(c, c, dim, True)
            for w, attend in zip(reversed(widths), reversed(attends)):
                self.up.append(nn.ModuleList())
                for _ in range(layers):
                    self.up[-1].append(Stage(c + skips.pop(), w, dim, attend))
                    c = w
            self.norm, self.last = nn.GroupNorm(8, c + skips.pop()), nn.Conv2d(c + widths[0], channels, 3, padding=1)
            nn.init.zeros_(self.last.weight)

        def forward(self, x, timestep):
            t = torch.as_tensor(timestep, device=x.device).reshape(-1).expand(len(x))  # (B,)
            emb = self.embed(sinusoidal_embedding(t, self.base).to(x.dtype))  # (B, dim)
            h = self.first(x)  # (B, c, H, W)
            skips = [h]
            for i, stages in enumerate(self.down):
                h = F.avg_pool2d(h, 2) if i > 0 else h  # (B, c, H / 2, W / 2)
                for stage in stages:
                    h = stage(h, emb)
                    skips.append(h)
            h = self.middle(h, emb)
            for i, stages in enumerate(self.up):
                h = F.interpolate(h, scale_factor=2.0) if i > 0 else h  # (B, c, 2H, 2W)
                for stage in stages:
                    h = stage(torch.cat([h, skips.pop()], 1), emb)
            h = torch.cat([h, skips.pop()], 1)
            return SimpleNamespace(sample=self.last(F.silu(self.norm(h))))

    widths = [int(w) for w in os.environ["BLOCK_OUT_CHANNELS"].split(",")]
    layers, channels = int(os.environ.get("LAYERS_PER_BLOCK", 2)), int(os.environ.get("IMAGE_CHANNELS", 3))
    return Net(widths, layers, channels, int(os.environ.get("IMAGE_SIZE", 32))).to(device)
