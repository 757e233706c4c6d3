"""On record: the class joins the time, which is FiLM in the residual blocks, and is attended to after each of them."""
# ruff: noqa: F821


# %% prepare_conditioning
def prepare_conditioning(time_emb, class_emb):
    return time_emb + class_emb


# %% ClassConditioner
class ClassConditioner(nn.Module):
    def __init__(self, channels, cond_dim):
        super().__init__()
        self.attend = CrossAttentionLayer(channels, cond_dim)

    def forward(self, h, class_emb):
        return self.attend(h, class_emb)
