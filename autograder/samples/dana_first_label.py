"""Wrong: every image of the batch gets the class of the first."""
# ruff: noqa: F821


# %% prepare_conditioning
def prepare_conditioning(time_emb, class_emb):
    return time_emb + class_emb[0]


# %% ClassConditioner
class ClassConditioner(nn.Module):
    def __init__(self, channels, cond_dim):
        super().__init__()
        self.shift = nn.Linear(cond_dim, channels)

    def forward(self, h, class_emb):
        return h + self.shift(class_emb[0])[None, :, None, None]
