"""Installs the course into the environment whose Python runs this: requirements.lock, then the clone itself.

    .venv/bin/python scripts/install.py [--with pip] [--torch cpu] [--extras grader,lti] [--copy]

It uses uv if that is present or can be installed (from pip's index), because from a warm cache uv takes less than a
minute. Otherwise, or if uv fails, it uses pip. uv does not read pip's settings, so they are passed on: the index, other
places to look, certificates. `--torch cpu` leaves out the CUDA packages and takes torch from its CPU index, which uv
knows. `--extras` installs only these of pyproject.toml's extras; `none` gives a student's installation. `--copy`
installs a wheel of the clone instead of a link to it, so the clone can be deleted. Bytecode is compiled here, since
what runs in the sandbox could not keep any.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = "requirements.lock"
CUDA = re.compile(r"(nvidia|cuda)-|triton==")  # packages that torch needs for a GPU, only on Linux
SECTIONS = ("global", "install", ":env:")  # of pip's settings; later ones win
AS_UV = {  # pip's setting: uv's environment variable, and what separates its values
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
}
PLACES = ("index-url", "extra-index-url", "find-links")
TESTED = (3, 13)  # the newest Python that the course was tested with


def pip_settings(listed: str) -> dict[str, str]:
    """Return the settings that `pip config list` prints, by name, without sections."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in found:
            found[section][key] = str(ast.literal_eval(value))
    return {key: value for section in SECTIONS for key, value in found[section].items()}


def there(place: str) -> bool:
    """Whether it is an address or an existing folder. pip ignores a missing folder, but uv would stop."""
    return "://" in place.removeprefix("file://") or Path(place.removeprefix("file://")).exists()


def for_uv(settings: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return pip's settings as uv's environment variables, except those that the user has set for uv."""
    told = {}
    for key, (variable, separator) in AS_UV.items():
        values = [v for v in settings.get(key, "").split() if key not in PLACES or there(v)]
        if values and variable not in environ:
            told[variable] = separator.join(values)
    several = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # pip takes the best version in any index, uv in the first
    return told | (several if "UV_INDEX" in told and "UV_INDEX_STRATEGY" not in environ else {})


def without_cuda(lock: str) -> str:
    """Return the lock without the packages that torch needs for a GPU."""
    return "".join(line for line in lock.splitlines(keepends=True) if not CUDA.match(line))


def wanted(lock: str, extras: str) -> tuple[str, ...]:
    """Return what pip or uv should install: the whole lock, or the clone with these extras in the lock's versions."""
    if extras == "all":
        return ("-r", lock)
    return ("-c", lock, "-e", "." if extras == "none" else f".[{extras}]")


def run(*words: str | Path, env: Mapping[str, str] | None = None) -> bool:
    return subprocess.run([str(word) for word in words], cwd=ROOT, env=env).returncode == 0


def find_uv(pip: Sequence[str]) -> str | None:
    """Return the user's uv or this environment's, installing the latter if needed; None if that fails."""
    own = Path(sys.executable).with_name("uv")
    if found := shutil.which("uv") or (str(own) if own.exists() else None):
        return found
    got = subprocess.run([*pip, "install", "--quiet", "uv"], cwd=ROOT, capture_output=True).returncode == 0
    return str(own) if got and own.exists() else None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Install the course into this Python's environment.")
    parser.add_argument("--with", dest="tool", choices=("uv", "pip"), default="uv")
    parser.add_argument("--torch", choices=("cpu", "default"), default="default")
    parser.add_argument("--extras", default="all", metavar="NAMES", help="such as grader,lti; or none (default: all)")
    parser.add_argument("--copy", action="store_true", help="install a copy of the clone, not a link to it")
    a = parser.parse_args(argv)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    if unknown := {name.strip() for name in a.extras.split(",")} - {*known, "all", "none"}:  # pip and uv only warn
        parser.error(f"there is no extra {', '.join(map(repr, sorted(unknown)))}; known: {', '.join(known)}")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    clone = ("--quiet", "--no-deps", "--no-build-isolation", *([] if a.copy else ["-e"]), ".")
    if uv := find_uv(pip) if a.tool == "uv" else None:
        listed = subprocess.run([*pip, "config", "list"], cwd=ROOT, capture_output=True, text=True).stdout
        env = {**os.environ, **for_uv(pip_settings(listed), os.environ)}
        install = (uv, "pip", "install", "--python", sys.executable)
        lock, more = LOCK, ()
        if a.torch == "cpu":
            lock, more = str(Path(sys.prefix) / "cpu.lock"), ("--torch-backend", "cpu")
            Path(lock).write_text(without_cuda((ROOT / LOCK).read_text(encoding="utf-8")), encoding="utf-8")
        packages = (*install, "--quiet", "--compile-bytecode", *more)
        if run(*packages, *wanted(lock, a.extras), env=env) and run(*install, *clone, env=env):
            return 0
    if a.torch == "cpu":
        why = "torch for CPUs could not be installed: that needs uv, and access to torch's own index"
        print(why, file=sys.stderr)
        return 1
    if uv:
        print("uv could not install the lock; pip takes over", file=sys.stderr)
    if run(*pip, "install", "--quiet", *wanted(LOCK, a.extras)) and run(*pip, "install", *clone):
        return 0
    print(f"the packages could not be installed, as said above; {remedy(sys.version_info[:2])}", file=sys.stderr)
    return 1


def remedy(python: tuple[int, int]) -> str:
    """Return what to do about packages that could not be installed."""
    if python <= TESTED:
        return "type the same command again once their index can be reached"
    newest = ".".join(map(str, TESTED))
    return f"your Python may be too new: install {newest}, remove {sys.prefix}, and type `make PYTHON=python{newest}`"


if __name__ == "__main__":
    raise SystemExit(main())
