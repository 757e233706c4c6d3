"""Label adherence: does the image show the class that was asked for, as judged by a classifier?"""

import torch
from torch import Tensor, nn


@torch.no_grad()
def classify(classifier: nn.Module, images: Tensor, batch_size: int = 500) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) -> predicted classes (N,) and features (N, D), in batches.

    The classifier has `features`, from (B, C, H, W) to (B, D), and `head`, from (B, D) to (B, K). Adherence is the
    share of images whose predicted class is the one asked for. The Fréchet distance compares the features.
    """
    feats = torch.cat([classifier.features(x) for x in images.split(batch_size)])  # (N, D)
    return classifier.head(feats).argmax(1), feats
