"""Hostile or unlucky: a loop that never ends."""
# ruff: noqa: F821


# %% prepare_conditioning
def prepare_conditioning(time_emb, class_emb):
    return time_emb + class_emb


# %% ClassConditioner
class ClassConditioner(nn.Module):
    def __init__(self, channels, cond_dim):
        super().__init__()

    def forward(self, h, class_emb):
        step = 0
        while step < 10:
            h = h + class_emb.mean() * 0
        return h
