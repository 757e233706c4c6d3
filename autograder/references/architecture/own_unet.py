"""A U-Net of our own: additive time, nearest-neighbour upsampling, skips by concatenation."""
# ruff: noqa: F821


# %% build_model
def build_model(device):
    import os
    from types import SimpleNamespace

    class Block(nn.Module):
        def __init__(self, cin, cout, dim):
            super().__init__()
            self.norm1, self.conv1 = nn.GroupNorm(8, cin), nn.Conv2d(cin, cout, 3, padding=1)
            self.norm2, self.conv2 = nn.GroupNorm(8, cout), nn.Conv2d(cout, cout, 3, padding=1)
            self.time = nn.Linear(dim, cout)
            self.skip = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()

        def forward(self, x, emb):
            h = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(emb))[:, :, None, None]  # (B, cout, H, W)
            return self.skip(x) + self.conv2(F.silu(self.norm2(h)))

    class Net(nn.Module):
        def __init__(self, widths, layers, channels, dim=128):
            super().__init__()
            self.embed = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
            self.dim, self.conv_in = dim, nn.Conv2d(channels, widths[0], 3, padding=1)
            self.down, self.up = nn.ModuleList(), nn.ModuleList()
            skips, c = [], widths[0]
            for w in widths:
                self.down.append(nn.ModuleList(Block(c if j == 0 else w, w, dim) for j in range(layers)))
                skips, c = [*skips, w], w
            self.mid = Block(c, c, dim)
            for w in reversed(widths):
                self.up.append(nn.ModuleList(Block(c + skips.pop() if j == 0 else w, w, dim) for j in range(layers)))
                c = w
            self.out = nn.Sequential(nn.GroupNorm(8, c), nn.SiLU(), nn.Conv2d(c, channels, 3, padding=1))

        def forward(self, x, timestep):
            t = torch.as_tensor(timestep, device=x.device).reshape(-1).expand(len(x))  # (B,)
            freqs = torch.exp(-math.log(1e4) * torch.arange(self.dim // 2, device=x.device) / (self.dim // 2))
            angles = t[:, None].float() * freqs  # (B, dim / 2)
            emb = self.embed(torch.cat([angles.sin(), angles.cos()], 1))  # (B, dim)
            h, skips = self.conv_in(x), []
            for i, blocks in enumerate(self.down):
                for block in blocks:
                    h = block(h, emb)
                skips.append(h)
                if i < len(self.down) - 1:
                    h = F.avg_pool2d(h, 2)  # (B, c, H / 2, W / 2)
            h = self.mid(h, emb)
            for i, blocks in enumerate(self.up):
                if i > 0:
                    h = F.interpolate(h, scale_factor=2.0)  # (B, c, 2H, 2W)
                h = torch.cat([h, skips.pop()], 1)
                for block in blocks:
                    h = block(h, emb)
            return SimpleNamespace(sample=self.out(h))

    widths = [int(w) for w in os.environ["BLOCK_OUT_CHANNELS"].split(",")]
    layers, channels = int(os.environ.get("LAYERS_PER_BLOCK", 2)), int(os.environ.get("IMAGE_CHANNELS", 3))
    return Net(widths, layers, channels).to(device)
