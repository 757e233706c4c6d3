"""What a package-lock.json names, fetched by npm once: KaTeX for the pages, axe-core for their tests, a hub's proxy."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

from website.fingerprint import ROOT

HERE = Path(__file__).parent
PACKAGES = ROOT / "build/npm"


def packages(into: Path = PACKAGES, named_in: Path = HERE) -> Path:
    """node_modules with what package-lock.json names; ValueError where npm is missing or fails."""
    into.mkdir(parents=True, exist_ok=True)
    lock, done = (named_in / "package-lock.json").read_text(encoding="utf-8"), into / "installed"
    with FileLock(into / "lock"):  # tests ask for it side by side
        if not (done.is_file() and done.read_text(encoding="utf-8") == lock):
            what = f"what {named_in.name}/package.json names"
            if shutil.which("npm") is None:
                raise ValueError(f"npm is needed to fetch {what}; install it: sudo apt-get install npm")
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(named_in / name, into / name)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            run = subprocess.run(command, cwd=into, capture_output=True, text=True)
            if run.returncode:
                raise ValueError(f"npm could not fetch {what}: {run.stderr.strip()}")
            done.write_text(lock, encoding="utf-8")
    return into / "node_modules"
