"""Control: the root of what may be negative."""
# ruff: noqa: F821


# %% prepare_conditioning
def prepare_conditioning(time_emb, class_emb):
    return time_emb + class_emb.sqrt()


# %% ClassConditioner
class ClassConditioner(nn.Module):
    def __init__(self, channels, cond_dim):
        super().__init__()

    def forward(self, h, class_emb):
        return h
