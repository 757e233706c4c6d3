"""On record: FiLM as with the added embedding, and cross-attention over four tokens projected from the class."""
# ruff: noqa: F821


# %% prepare_conditioning
def prepare_conditioning(time_emb, class_emb):
    return time_emb + class_emb


# %% ClassConditioner
class ClassConditioner(nn.Module):
    def __init__(self, channels, cond_dim, tokens=4):
        super().__init__()
        self.tokens = tokens
        self.project = nn.Sequential(
            nn.SiLU(), nn.Linear(cond_dim, cond_dim // 4), nn.SiLU(), nn.Linear(cond_dim // 4, tokens * cond_dim)
        )
        self.attend = CrossAttentionLayer(channels, cond_dim)

    def forward(self, h, class_emb):
        return self.attend(h, self.project(class_emb).view(len(h), self.tokens, -1))  # (B, D) -> (B, S, D)
