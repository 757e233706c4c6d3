"""Captions as the condition: tokens to vectors, and a U-Net whose pixels attend to them.

`TextUNet` is called like every network here, `model(x, t, y)`, with tokens (B, S) in place of labels (B,). So training,
label dropout, guidance and sampling need nothing new. `ddpm_tools.captions` turns words into tokens.
"""

import torch
from torch import Tensor, nn

from ddpm_core.network import ConditionalNetwork, NetworkConfig

PAD, UNKNOWN, START = 0, 1, 2


class TextEncoder(nn.Module):
    """Tokens (B, S) -> contextual vectors (B, S, D), and a mask that is True where there is a word, (B, S) bool.

    A pre-norm transformer (Xiong et al. 2020). Stable Diffusion uses CLIP's, frozen: 12 layers, D = 768, S = 77.
    """

    def __init__(self, vocabulary: int, length: int, dim: int = 128, layers: int = 2, heads: int = 4):
        super().__init__()
        self.words = nn.Embedding(vocabulary, dim)
        self.positions = nn.Embedding(length, dim)
        # Words start at unit size, as in T5; at GPT-2's 0.02 they drown in the layers, and cross-attention learns late
        nn.init.normal_(self.words.weight)
        nn.init.normal_(self.positions.weight, std=0.1)  # the word matters more than its position
        # built one by one: nn.TransformerEncoder copies a single layer, so all would start with the same weights
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, heads, 4 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        mask = tokens != PAD  # (B, S); <start> is always there, so no row is empty
        h = self.words(tokens) + self.positions.weight[: tokens.shape[1]]  # (B, S, D)
        for layer in self.layers:
            h = layer(h, src_key_padding_mask=~mask)
        return self.norm(h), mask


class TextUNet(nn.Module):
    """A U-Net with a context, called with captions: `model(x, t, tokens)`, tokens (B, S), by default the empty caption.

    The words enter by cross-attention. The vector of `<start>`, which has attended to all of them, takes the place of
    the class embedding.
    """

    def __init__(self, unet: ConditionalNetwork, encoder: TextEncoder):
        super().__init__()
        self.unet, self.encoder = unet, encoder
        self.summary = nn.Linear(encoder.norm.normalized_shape[0], unet.config.dim)

    @property
    def config(self) -> NetworkConfig:
        return self.unet.config

    @property
    def null_cond(self) -> Tensor:
        """The empty caption's tokens (1, S), on the network's device: used by guidance and label dropout."""
        positions = self.encoder.positions.weight
        tokens = torch.full((1, len(positions)), PAD, device=positions.device)
        tokens[:, 0] = START
        return tokens

    def forward(self, x: Tensor, t: Tensor, tokens: Tensor | None = None) -> Tensor:
        if tokens is None:
            tokens = self.null_cond.expand(len(x), -1)  # (B, S)
        context, mask = self.encoder(tokens)  # (B, S, D), (B, S)
        return self.unet.forward_with_cond(x, t, self.summary(context[:, 0]), context, mask)
