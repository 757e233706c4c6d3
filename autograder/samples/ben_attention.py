"""Right: every position attends to three class tokens, written out by hand without the helper layers."""
# ruff: noqa: F821


# %% prepare_conditioning
def prepare_conditioning(time_emb, class_emb):
    return time_emb


# %% ClassConditioner
class ClassConditioner(nn.Module):
    def __init__(self, channels, cond_dim):
        super().__init__()
        self.tokens, self.heads = 3, 4
        self.norm = nn.GroupNorm(8, channels)
        self.q = nn.Conv2d(channels, channels, 1, bias=False)
        self.kv = nn.Linear(cond_dim, self.tokens * 2 * channels)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, h, class_emb):
        b, c, height, width = h.shape
        q = self.q(self.norm(h)).view(b, self.heads, c // self.heads, height * width)  # (B, nh, d, HW)
        k, v = self.kv(class_emb).view(b, self.tokens, 2, self.heads, c // self.heads).unbind(2)  # (B, S, nh, d)
        weights = torch.einsum("bndl,bsnd->bnls", q, k).div((c // self.heads) ** 0.5).softmax(dim=-1)
        mixed = torch.einsum("bnls,bsnd->bndl", weights, v)  # (B, nh, d, HW)
        return h + self.out(mixed.reshape(b, c, height, width))
