"""Fashion-MNIST and CIFAR-10: torchvision's own file formats, made here and served by a server on this machine."""

import gzip
import hashlib
import io
import pickle
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from torchvision import datasets

from ddpm_tools.datasets import load_data
from ddpm_tools.datasets.vision import CIFAR10_CLASSES

N_TRAIN, N_TEST = 10, 4


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    """A folder that is served, and its address; stops at the end."""
    folder = tmp_path / "served"
    folder.mkdir()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{httpd.server_port}/"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def idx(array):
    """LeCun's IDX format: two zero bytes, the type (8: uint8), the number of axes, their lengths, the bytes."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def fashion(server, monkeypatch):
    folder, url = server
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (N_TRAIN + N_TEST, 28, 28), dtype=np.uint8)
    labels = (np.arange(N_TRAIN + N_TEST) % 10).astype(np.uint8)
    resources = []
    for part, rows in (("train", slice(0, N_TRAIN)), ("t10k", slice(N_TRAIN, None))):
        for name, array in ((f"{part}-images-idx3-ubyte.gz", images), (f"{part}-labels-idx1-ubyte.gz", labels)):
            data = gzip.compress(idx(array[rows]), mtime=0)
            (folder / name).write_bytes(data)
            resources.append((name, md5(data)))
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [url])
    monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
    return images, labels


@pytest.fixture
def cifar(server, monkeypatch):
    folder, url = server
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (N_TRAIN + N_TEST, 3, 32, 32), dtype=np.uint8)
    labels = [i % 10 for i in range(N_TRAIN + N_TEST)]
    files = {
        "data_batch_1": {"data": images[:N_TRAIN].reshape(N_TRAIN, -1), "labels": labels[:N_TRAIN]},
        "test_batch": {"data": images[N_TRAIN:].reshape(N_TEST, -1), "labels": labels[N_TRAIN:]},
        "batches.meta": {"label_names": list(CIFAR10_CLASSES)},
    }
    files = {name: pickle.dumps(content) for name, content in files.items()}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    (folder / "cifar-10-python.tar.gz").write_bytes(out.getvalue())
    patch = partial(monkeypatch.setattr, datasets.CIFAR10)
    patch("url", url + "cifar-10-python.tar.gz")
    patch("tgz_md5", md5(out.getvalue()))
    patch("train_list", [["data_batch_1", md5(files["data_batch_1"])]])
    patch("test_list", [["test_batch", md5(files["test_batch"])]])
    patch("meta", {"filename": "batches.meta", "key": "label_names", "md5": md5(files["batches.meta"])})
    return images, np.array(labels)


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10"])
def test_download_once_then_cached(name, request, server, tmp_path):
    images, labels = request.getfixturevalue({"fashion-mnist": "fashion", "cifar10": "cifar"}[name])
    images = images.reshape(len(images), -1, *images.shape[-2:])
    for split, rows in (("train", slice(0, N_TRAIN)), ("heldout", slice(N_TRAIN, None)), ("all", slice(None))):
        data = load_data(name, split, tmp_path / "root")
        assert np.array_equal(data.images.numpy(), images[rows]) and data.labels.tolist() == labels[rows].tolist()
        assert data.split == split and len(data.classes) == 10 and data.images.is_contiguous()
        for file in server[0].iterdir():  # gone: from here on, the copy on disk must do
            file.unlink()


def test_another_size_and_colour(fashion, tmp_path):
    data = load_data("fashion-mnist", "heldout", tmp_path, size=16, channels=3)
    assert data.images.shape == (N_TEST, 3, 16, 16) and torch.equal(data.images[:, 0], data.images[:, 2])


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10"])
def test_offline_and_damaged_are_one_sentence(name, request, server, tmp_path):
    request.getfixturevalue({"fashion-mnist": "fashion", "cifar10": "cifar"}[name])
    for file in server[0].iterdir():
        file.write_bytes(file.read_bytes()[:-1] + b"x")  # the right name, the wrong checksum
    says = rf"{name} is missing or incomplete in .* could not be downloaded: connect to the internet once, .* or use"
    with pytest.raises(ValueError, match=says):
        load_data(name, "train", tmp_path / "damaged")
    for file in server[0].iterdir():
        file.unlink()
    with pytest.raises(ValueError, match=says):
        load_data(name, "train", tmp_path / "offline")


def test_a_truncated_copy_is_noticed(fashion, tmp_path):
    load_data("fashion-mnist", "train", tmp_path)
    raw = tmp_path / "FashionMNIST/raw/train-images-idx3-ubyte"
    for kept in (raw.stat().st_size - 100, 12, 0):
        raw.write_bytes(raw.read_bytes()[:kept])
        with pytest.raises(ValueError, match=r"missing or incomplete in"):
            load_data("fashion-mnist", "train", tmp_path)
