"""The whole way from two folders to a distance, against clean-fid with the same feature network."""

import pytest
import torch
from cleanfid.fid import compute_fid
from PIL import Image

from ddpm_core.data import digits
from ddpm_core.metrics.distances import frechet_distance
from ddpm_tools.evaluation.features import network
from ddpm_tools.evaluation.sources import folder_source
from ddpm_tools.evaluation.streaming import extract_features


def picture_folder(path, images):
    path.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image[0].numpy()).convert("RGB").save(path / f"{i:04d}.png")
    return path


def test_the_distance_of_two_folders_equals_clean_fids(tmp_path, rng):
    real, net = digits("all"), network("digits")
    noisy = (real.images[:400].int() + torch.randint(-40, 40, (400, 1, 8, 8), generator=rng)).clamp(0, 255).byte()
    a, b = picture_folder(tmp_path / "a", noisy), picture_folder(tmp_path / "b", real.images[400:1000])
    theirs = compute_fid(
        str(a), str(b), mode="clean", num_workers=0, device=torch.device("cpu"), verbose=False,
        custom_feat_extractor=lambda x: net.features(x[:, :1].byte()), custom_fn_resize=lambda x: x,
    )  # fmt: skip
    ours = [extract_features(folder_source(f, real).chunks(), net).moments for f in (a, b)]
    assert frechet_distance(*ours) == pytest.approx(float(theirs), rel=1e-4) and theirs > 1
