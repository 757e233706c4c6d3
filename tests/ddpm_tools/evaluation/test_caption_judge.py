"""The judge of captions: it knows the pictures it was fitted on, and is at chance on captions dealt at random."""

from dataclasses import replace

import torch

from ddpm_tools.captions import Tokenizer
from ddpm_tools.datasets import load_data
from ddpm_tools.evaluation.caption_judge import CaptionJudge


def test_it_ranks_own_captions_high_and_others_at_chance():
    data = load_data("emoji", "train", size=8)
    data = replace(data, images=data.images[::6], labels=data.labels[::6], captions=data.captions[::6])
    judge = CaptionJudge(data, Tokenizer.build(data.captions))
    images, captions = data.floats()[:60], list(data.captions[:60])
    right = judge.verdict(images, captions, shuffles=200)
    assert right["mean"] > 0.8 and right["p"] == 1 / 201 and abs(right["luck"] - 0.5) < 0.03
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0)).tolist()
    wrong = judge.verdict(images, [captions[i] for i in order], shuffles=200)
    assert abs(wrong["mean"] - 0.5) < 4 * wrong["se"] < 0.2 and wrong["p"] > 0.01


def test_a_percentile_is_a_rank():
    data = load_data("emoji", "heldout", size=8)
    judge = CaptionJudge(data, Tokenizer.build(data.captions))
    share = judge.percentiles(data.floats()[:5], [*data.captions[:4], data.captions[0]])
    assert share.min() >= 0 and share.max() <= 1
    torch.testing.assert_close(share.mean(1), torch.full((5,), 0.5))  # the ranks of all captions, ties in the middle
    torch.testing.assert_close(share[:, 0], share[:, 4])
