import io
import zipfile

import numpy as np
import pytest
from PIL import Image


def png(value, size=(4, 4), mode="RGB"):
    out = io.BytesIO()
    Image.new(mode, size, (value,) * 3 if mode == "RGB" else value).save(out, "png")
    return out.getvalue()


@pytest.fixture(params=["folder", "zip"])
def make(request, tmp_path):
    """Writes {name: bytes, or the grey level of a 4×4 picture} as a folder or as a zip, and gives its path."""

    def write(files, stem="data"):
        files = {
            k: v if isinstance(v, bytes) else v.encode() if isinstance(v, str) else png(v) for k, v in files.items()
        }
        if request.param == "zip":
            path = tmp_path / f"{stem}.zip"
            with zipfile.ZipFile(path, "w") as z:
                for name, data in files.items():
                    z.writestr(name, data)
        else:
            path = tmp_path / stem
            for name, data in files.items():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).write_bytes(data)
        return path

    return write


@pytest.fixture
def levels():
    """The grey level of each image: what `make` was told."""
    return lambda data: np.asarray(data.images[:, 0, 0, 0]).tolist()
