"""The playground as a folder of files for any web server: pages, ONNX models, ONNX Runtime Web, licences.

    python -m playground.build             # into build/playground
    python -m playground.build --serve     # and serve it on this machine

The packages that package-lock.json names are fetched by npm into build/npm-playground, once.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import shutil
import subprocess
import sys
from importlib.metadata import files as package_files
from pathlib import Path

from ddpm_core import checkpoint
from ddpm_tools.export.onnx_models import export_onnx
from ddpm_tools.reports.one_page import LAB, one_page
from playground import opening

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PACKAGES = ROOT / "build/npm-playground"
RUNTIME = (
    "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm",
)  # fmt: skip
PAGE = (".html", ".css", ".js", ".svg")


class BuildError(ValueError):
    """What is missing for the build, in one sentence."""


def packages(into: Path = PACKAGES) -> Path:
    """node_modules with what package-lock.json names; BuildError where npm is missing or fails."""
    into.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "package-lock.json").read_text()
    done = into / "installed"
    if not (done.exists() and done.read_text() == lock):
        if not shutil.which("npm"):
            raise BuildError("npm is needed to fetch the playground's runtime; install it: sudo apt-get install npm")
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copyfile(HERE / name, into / name)
        run = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=into, capture_output=True, text=True
        )
        if run.returncode:
            raise BuildError(f"npm could not fetch the playground's runtime: {run.stderr.strip()}")
        done.write_text(lock)
    return into / "node_modules"


def licences(modules: Path) -> str:
    """The licences of what is copied beside the page. ONNX Runtime's stand in its Python package, not in npm's."""
    own = {Path(f).name: Path(f.locate()) for f in package_files("onnxruntime") or () if len(Path(f).parts) == 2}
    parts = [
        ("This page", ROOT / "LICENSE"), ("gifenc", modules / "gifenc/LICENSE.md"),
        ("ONNX Runtime Web", own["LICENSE"]), ("What ONNX Runtime contains", own["ThirdPartyNotices.txt"]),
    ]  # fmt: skip
    return "\n\n".join(f"{name}\n{'=' * len(name)}\n\n{path.read_text(encoding='utf-8')}" for name, path in parts)


def lessons() -> list[dict[str, str]]:
    """Titles and addresses of the lessons, as seen from the playground's place in the site."""
    found = [{"title": "The course", "href": "../index.html"}]
    for path in sorted((ROOT / "lessons").glob("*.ipynb")):
        heading = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).splitlines()[0]
        found.append({"title": heading.removeprefix("# ").split(":")[0], "href": f"../lessons/{path.stem}.html"})
    return found


def preload(folder: Path) -> None:
    """Tell the browser of every module at once: it would find them one import after another."""
    page = folder / "index.html"
    links = "".join(
        f'    <link rel="modulepreload" href="{file.relative_to(folder).as_posix()}" />\n'
        for file in sorted(folder.rglob("*.js"))
        if file.name not in ("worker.js", "disk.js")  # no modules of the page
    )
    page.write_text(page.read_text(encoding="utf-8").replace("  </head>", f"{links}  </head>"), encoding="utf-8")


def shipped() -> list[Path]:
    """The checkpoints in data/checkpoints that the page can offer: those with classes."""
    paths = sorted((ROOT / "data/checkpoints").glob("*.safetensors"))
    return [p for p in paths if checkpoint.read(p)[1]["config"].get("unet", {}).get("num_classes", 0)]


def build(out: Path, checkpoints: list[Path]) -> Path:
    """Write the whole page to `out`, whatever was there before; returns `out`."""
    modules = packages()
    draft = out.with_name(out.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    for folder in ("ort", "gifenc", "models", "lab"):
        (draft / folder).mkdir(parents=True)
    for file in HERE.iterdir():
        if file.suffix in PAGE:
            shutil.copyfile(file, draft / file.name)
    for name in RUNTIME:
        shutil.copyfile(modules / "onnxruntime-web/dist" / name, draft / "ort" / name)
    shutil.copyfile(modules / "gifenc/dist/gifenc.esm.js", draft / "gifenc/gifenc.esm.js")
    preload(draft)
    (draft / "lab/index.html").write_text(one_page(LAB, [("Playground", "../index.html")]), encoding="utf-8")
    (draft / "licences.txt").write_text(licences(modules), encoding="utf-8")
    (draft / "lessons.json").write_text(json.dumps(lessons()), encoding="utf-8")
    for path in checkpoints:
        loaded = checkpoint.load(path)
        export_onnx(loaded, draft / "models", path.stem, raw=loaded.raw_or_none is not None)
    opening.write(draft, checkpoints)
    sizes = {p.name: p.stat().st_size for p in (draft / "ort").glob("*.wasm")}
    (draft / "ort/sizes.json").write_text(json.dumps(sizes), encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    return draft.rename(out)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files, with the two headers that let WebAssembly use threads."""

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing: a page of twenty files is no news."""


def server(folder: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """Serves a folder on this machine alone; port 0 takes a free one."""
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, directory=str(folder)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m playground.build", description="Build the playground.")
    parser.add_argument("--out", type=Path, default=ROOT / "build/playground", help="default: build/playground")
    parser.add_argument("--checkpoints", type=Path, nargs="+", help="default: those that ship in data/checkpoints")
    parser.add_argument("--serve", action="store_true", help="serve it afterwards, until Ctrl-C")
    parser.add_argument("--port", type=int, default=8000)
    a = parser.parse_args()
    try:
        out = build(a.out.resolve(), a.checkpoints or shipped())
        total = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
        print(f"wrote {a.out}, {total / 1e6:.0f} MB: any web server can serve it, in any folder")
        if a.serve:
            with server(out, a.port) as web:
                print(f"http://127.0.0.1:{web.server_port}/ until Ctrl-C", flush=True)
                web.serve_forever()
    except KeyboardInterrupt:
        print()
    except (ValueError, OSError) as e:
        print(f"playground: {e}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
