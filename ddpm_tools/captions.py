"""Captions: the tokenizer, and networks that read captions, built and loaded together with their vocabulary.

tokenizer = Tokenizer.build(data.captions)
model = build_text_unet(UNet2DConfig(..., num_classes=0, context_dim=128), tokenizer)
state = TrainState.start(Diffusion(model, schedule, V), config)
for step in train(state, tokenized(data, tokenizer), config): ...
sample(state.averaged, tokenizer.encode(["tiger, animal mammal"]), w=4)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ddpm_tools.unet2d  # noqa: F401 - saved caption models name it
from ddpm_core.checkpoint import CheckpointError, load, read
from ddpm_core.conditioning import strategy
from ddpm_core.data import ImageData
from ddpm_core.network import NetworkConfig
from ddpm_core.streams import derive_seed
from ddpm_core.text import PAD, START, UNKNOWN, TextEncoder, TextUNet
from ddpm_core.unet import build_unet

SPECIAL = ("<pad>", "<unknown>", "<start>")


def words_of(caption: str) -> list[str]:
    """'Polar Bear, animal' -> ['polar', 'bear', 'animal']: case and punctuation are dropped."""
    return re.findall(r"\w+(?:'\w+)*", caption.lower())


@dataclass(frozen=True)
class Tokenizer:
    """A vocabulary of words; a word's token is its position in it. ValueError if words or length are invalid."""

    words: tuple[str, ...]  # the special ones first
    length: int  # S: every caption is cut or padded to this many tokens

    def __post_init__(self) -> None:
        if self.words[: len(SPECIAL)] != SPECIAL or len(set(self.words)) != len(self.words):
            raise ValueError(f"a vocabulary must begin with {', '.join(SPECIAL)} and list every word once")
        if self.length < 1:
            raise ValueError(f"a caption needs at least 1 token, got length {self.length}")

    @classmethod
    def build(cls, captions: Sequence[str], length: int | None = None, min_count: int = 2) -> Tokenizer:
        """The words of these captions, most frequent first. Words rarer than `min_count` are left out: one example
        is too little to learn from, and `<unknown>` needs some to be trained on."""
        if not captions:
            raise ValueError("there are no captions to build a vocabulary from; load a data set with captions")
        split = [words_of(c) for c in captions]
        counts = Counter(w for words in split for w in words)
        kept = sorted((w for w, n in counts.items() if n >= min_count), key=lambda w: (-counts[w], w))
        return cls((*SPECIAL, *kept), length or 1 + max(map(len, split)))

    @cached_property
    def index(self) -> dict[str, int]:
        return {w: i for i, w in enumerate(self.words)}

    def encode(self, captions: Sequence[str]) -> Tensor:
        """Captions -> tokens (N, S) int64: `<start>`, as many words as fit, then `<pad>` up to S."""
        rows = torch.full((len(captions), self.length), PAD)  # (N, S)
        for row, caption in zip(rows, captions):
            tokens = [START, *(self.index.get(w, UNKNOWN) for w in words_of(caption))][: self.length]
            row[: len(tokens)] = torch.tensor(tokens)
        return rows

    def decode(self, tokens: Tensor) -> list[str]:
        """Tokens (S,) -> their words, without padding; column i of an attention map belongs to word i."""
        return [self.words[i] for i in tokens.tolist() if i != PAD]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Tokenizer:
        return cls(tuple(values["words"]), values["length"])


def tokenized(data: ImageData, tokenizer: Tokenizer) -> ImageData:
    """The data with the tokens of its captions (N, S) as labels. ValueError if it has no captions."""
    if not data.captions:
        raise ValueError(f"{data.name} has no captions; use emoji, or pictures with a metadata.jsonl file")
    return replace(data, labels=tokenizer.encode(data.captions))


def build_text_unet(
    config: NetworkConfig, tokenizer: Tokenizer,
    conditioning: str = "add", layers: int = 2, heads: int = 4, seed: int = 0,
) -> TextUNet:  # fmt: skip
    """A network whose initial weights depend only on the seed. ValueError if the U-Net takes no context."""
    if getattr(config, "context_dim", None) is None:
        raise ValueError("a text needs a U-Net with cross-attention; use ddpm_tools.unet2d's, with a context_dim")
    unet = build_unet(config, strategy(conditioning), seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "text"))
        encoder = TextEncoder(len(tokenizer.words), tokenizer.length, config.context_dim, layers, heads)
        return TextUNet(unet, encoder)


def load_text(path: Path | str, device: torch.device | str = "cpu") -> tuple[TextUNet, Tokenizer, dict[str, Any]]:
    """The averaged network, its tokenizer and the record, as saved with `tokenizer=tokenizer.to_dict()`.
    CheckpointError if the file is missing, damaged, or not a caption model."""
    try:
        tokenizer = Tokenizer.from_dict(read(path, skip="")[1]["tokenizer"])
        loaded = load(path, device, lambda p: build_text_unet(p.unet, tokenizer, p.conditioning))
    except (ValueError, TypeError, KeyError) as e:
        if isinstance(e, CheckpointError):
            raise
        raise CheckpointError(f"{path} is not a caption model, or comes from another version; train it again") from e
    return loaded.ema, tokenizer, loaded.record
