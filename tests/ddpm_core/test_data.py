import pytest
import torch

from ddpm_core.data import ImageData, to_float, to_uint8


def data(images, labels, classes=("a", "b")):
    return ImageData("mine", "train", images, torch.tensor(labels), classes)


def test_bytes_become_floats_and_latents_stay_as_they_are(rng):
    pixels = torch.arange(256, dtype=torch.uint8).view(2, 1, 8, 16)
    x = data(pixels, [0, 1]).floats()
    assert x.dtype == torch.float32 and (x.min(), x.max()) == (-1, 1) and torch.equal(to_uint8(x), pixels)
    latents = 7 * torch.randn(2, 4, 8, 8, generator=rng, dtype=torch.float64)
    assert torch.equal(data(latents, [0, 1]).floats(torch.tensor([1])), latents[1:]) and to_float(latents) is latents


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([0, 2], "mine has the label 2; its classes are 0 to 1"),
        ([-1, 0], "mine has the label -1; its classes are 0 to 1"),
        ([], "mine has 2 images and 0 labels; give one each"),
    ],
)
def test_labels_that_name_no_class_are_refused_in_a_sentence(labels, says):
    with pytest.raises(ValueError, match=says):
        data(torch.zeros(2, 1, 4, 4), labels)


def test_labels_may_be_tokens_of_captions():
    assert len(data(torch.zeros(2, 1, 4, 4), [[5, 9], [7, 0]])) == 2
