"""Makes data/captions/emoji.zip: Noto's emoji at 32×32 on white, with captions, from the npm package of their images.

    npm pack emoji-datasource-google@16.0.0
    python scripts/emoji_captions.py emoji-datasource-google-16.0.0.tgz

The zip has the layout of Hugging Face's ImageFolder: pictures, and `metadata.jsonl` with `file_name`, `text`, `label`.
Running it twice gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

from PIL import Image

OUT = Path(__file__).resolve().parents[1] / "data/captions/emoji.zip"
SIZE = 32
COLOURS = 64  # a palette halves the file; half of the pictures stay above 42 dB, the worst above 35


def caption(emoji: dict) -> str:
    """Return a caption such as 'tiger face, animal mammal': the name, then the kind, whose words many emoji share."""
    return f"{emoji['name']}, {emoji['subcategory'].replace('-', ' ')}".lower()


def picture(data: bytes) -> bytes:
    """A 64×64 RGBA PNG -> a 32×32 PNG with a palette, on white."""
    rgba = Image.open(io.BytesIO(data)).convert("RGBA")
    white = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    small = white.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    small = small.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3)
    out = io.BytesIO()
    small.save(out, "png", optimize=True)
    return out.getvalue()


def member(name: str, method: int) -> zipfile.ZipInfo:
    """Return an entry with a fixed date, so that the zip depends only on its content."""
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = method
    return info


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="what `npm pack emoji-datasource-google` wrote")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    with tarfile.open(args.package) as tar:
        files = {m.name.removeprefix("package/"): m for m in tar.getmembers() if m.isfile()}

        def read(name: str) -> bytes:
            return tar.extractfile(files[name]).read()

        version = json.loads(read("package.json"))["version"]
        emoji = sorted(json.loads(read("emoji.json")), key=lambda e: e["sort_order"])
        emoji = [e for e in emoji if e["has_img_google"]]  # base emoji; their skin-tone variants are nested below them
        # in the order of the archive, which is only fast to read forwards
        made = {n: picture(read(n)) for n in files if n in {f"img/google/64/{e['image']}" for e in emoji}}
    rows = [{"file_name": e["image"], "text": caption(e), "label": e["category"]} for e in emoji]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(args.out, "w") as z:
        lines = "".join(json.dumps(r) + "\n" for r in rows)
        z.writestr(member("metadata.jsonl", zipfile.ZIP_DEFLATED), lines, compresslevel=9)
        for e in emoji:
            z.writestr(member(e["image"], zipfile.ZIP_STORED), made[f"img/google/64/{e['image']}"])
    about = {
        "made_by": "scripts/emoji_captions.py",
        "package": f"emoji-datasource-google@{version}",
        "package_sha256": hashlib.sha256(args.package.read_bytes()).hexdigest(),
        "sha256": hashlib.sha256(args.out.read_bytes()).hexdigest(),
        "pictures": len(rows),
        "licence": "images Apache-2.0 (emoji-LICENSE.txt), names MIT; see emoji-NOTICE.txt",
    }
    args.out.with_suffix(".json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    print(f"{args.out}: {len(rows)} pictures, {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    try:
        main()
    except (OSError, tarfile.TarError, KeyError, ValueError) as e:
        raise SystemExit(
            f"{str(e).splitlines()[0].rstrip(':')}; the package must be what `npm pack emoji-datasource-google` wrote"
        ) from None
