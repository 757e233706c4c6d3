"""AdaLN-Zero: scale, shift and gate from the class embedding, after every residual block."""
# ruff: noqa: F821


# %% prepare_conditioning
def prepare_conditioning(time_emb, class_emb):
    return time_emb


# %% ClassConditioner
class ClassConditioner(nn.Module):
    def __init__(self, channels, cond_dim):
        super().__init__()
        self.block = AdaLNBlock(channels, cond_dim)

    def forward(self, h, class_emb):
        return self.block(h, class_emb)
