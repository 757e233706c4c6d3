import json

import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_core.data import ImageData
from ddpm_core.metrics.adherence import classify
from ddpm_tools.evaluation.classifiers import fit_and_save, load_classifier
from ddpm_tools.evaluation.resnet import ResNet, ResNetConfig, ResNetTraining, augment, train_resnet


def test_the_shipped_cifar_classifier_is_small_and_says_what_it_is():
    """Its accuracy is measured on CIFAR-10's test part, which does not ship."""
    from ddpm_tools.datasets.vision import CIFAR10_CLASSES
    from ddpm_tools.evaluation.judges import fits

    path = DATA_DIR / "classifiers/cifar10"
    about = json.loads(path.with_suffix(".json").read_text())
    assert path.with_suffix(".safetensors").stat().st_size < 3e6
    assert about["provenance"]["n_heldout"] == 10_000 and about["provenance"]["heldout_accuracy"] > 0.8
    blank = ImageData("mine", "all", torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.zeros(4), CIFAR10_CLASSES)
    shape = (3, 32, 32)
    assert fits(path, shape, blank.classes) and not fits(DATA_DIR / "classifiers/digits", shape, blank.classes)
    assert classify(load_classifier(path), blank.floats())[1].shape == (4, 128)


def test_augmentation_moves_and_mirrors_each_example_on_its_own(rng):
    x = torch.arange(100.0).view(1, 1, 10, 10).expand(64, 1, 10, 10)
    out = augment(x, 2, True, rng)
    centre = out[:, 0, 4:6, 4:6]
    step = centre[:, 0, 1] - centre[:, 0, 0]
    assert set(step.tolist()) == {1.0, -1.0}  # mirrored or not
    assert len(set(centre.mean((1, 2)).tolist())) > 10  # many offsets
    assert torch.equal(augment(x[:1], 0, False, rng), x[:1])
    assert (augment(x, 2, False, rng)[:, 0, 4, 4] - x[:, 0, 4, 4]).abs().max() <= 22  # two rows and two columns


def toy(n, size=20, split="train"):
    """Class 0 has lines across, class 1 lines down."""
    rng = torch.Generator().manual_seed(n)
    labels = torch.arange(n) % 2
    images = torch.randint(0, 60, (n, 3, size, size), generator=rng)
    images[labels == 0, :, ::4] += 150
    images[labels == 1, :, :, ::4] += 150
    return ImageData("toy", split, images.byte(), labels, ("across", "down"))


def test_the_residual_network_learns_and_depends_on_its_seed_alone():
    config, recipe = ResNetConfig(3, 20, 2, (8, 8)), ResNetTraining(steps=40, batch_size=32, lr=0.05)
    runs = []
    for _ in range(2):
        for model, loss in train_resnet(toy(256), config, recipe, seed=3):  # noqa: B007
            pass
        runs.append((model, loss))
    assert runs[0][1] == runs[1][1] < 0.5
    held = toy(100)
    assert (classify(runs[0][0], held.floats())[0] == held.labels).float().mean() > 0.9


def test_a_classifier_for_larger_pictures_is_trained_saved_and_told_apart(tmp_path, monkeypatch):
    from ddpm_tools.evaluation import classifiers

    monkeypatch.setattr(classifiers, "load_data", lambda name, split: toy(200 if split == "train" else 50, split=split))
    told = fit_and_save("toy", tmp_path / "c", 0, steps=3, progress=False)
    model = load_classifier(tmp_path / "c")
    record = json.loads((tmp_path / "c.json").read_text())
    assert isinstance(model, ResNet) and record["classes"] == ["across", "down"]
    assert record["provenance"]["heldout_accuracy"] == told
    held = toy(50)
    assert float((classify(model, held.floats())[0] == held.labels).double().mean()) == told
    tensors, _ = checkpoint.read(tmp_path / "c")
    assert tensors["head.weight"].dtype == torch.float16


def test_a_held_out_part_that_is_the_training_part_is_refused(tmp_path, monkeypatch):
    from ddpm_tools.evaluation import classifiers

    monkeypatch.setattr(classifiers, "load_data", lambda name, split: toy(20))
    with pytest.raises(ValueError, match="no held-out part; name pictures to measure on with --heldout"):
        fit_and_save("toy", tmp_path / "c", 0, steps=1, progress=False)
