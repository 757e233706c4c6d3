"""Installs the course into the environment whose Python runs this: requirements.lock, then the clone itself.

    .venv/bin/python scripts/install.py [--with pip] [--torch cpu] [--extras grader,lti] [--copy]

With uv where it is present or can be had (from the index that pip is set to), since from a warm cache that takes less
than a minute; else, or where uv fails, with pip. uv reads none of pip's settings, so it is told them: the index, other
places to look, certificates. `--torch cpu` leaves the CUDA packages out and takes torch from its CPU index, which uv
knows by itself. `--extras` takes of pyproject.toml's extras these alone; with `none` it is a student's installation.
`--copy` puts a wheel of the clone there in place of a link to it, and the clone may go. Bytecode is compiled here: what
runs in the sandbox could not keep any.
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
CUDA = re.compile(r"(nvidia|cuda)-|triton==")  # packages that torch needs for a GPU, and on Linux alone
SECTIONS = ("global", "install", ":env:")  # of pip's settings, the last one wins
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


def pip_settings(listed: str) -> dict[str, str]:
    """What `pip config list` prints, by name, without sections."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in found:
            found[section][key] = str(ast.literal_eval(value))
    return {key: value for section in SECTIONS for key, value in found[section].items()}


def there(place: str) -> bool:
    """Whether it is an address or a folder that exists; pip passes over one that does not, and uv would stop."""
    return "://" in place.removeprefix("file://") or Path(place.removeprefix("file://")).exists()


def for_uv(settings: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """pip's settings as environment variables of uv; what the user has set for uv itself stays."""
    told = {}
    for key, (variable, separator) in AS_UV.items():
        values = [v for v in settings.get(key, "").split() if key not in PLACES or there(v)]
        if values and variable not in environ:
            told[variable] = separator.join(values)
    several = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # pip takes the best version of all indexes, uv of the first
    return told | (several if "UV_INDEX" in told and "UV_INDEX_STRATEGY" not in environ else {})


def without_cuda(lock: str) -> str:
    """The lock without what torch needs for a GPU."""
    return "".join(line for line in lock.splitlines(keepends=True) if not CUDA.match(line))


def wanted(lock: str, extras: str) -> tuple[str, ...]:
    """What pip and uv are to install: the whole lock, or the clone with these extras in the lock's versions."""
    if extras == "all":
        return ("-r", lock)
    return ("-c", lock, "-e", "." if extras == "none" else f".[{extras}]")


def run(*words: str | Path, env: Mapping[str, str] | None = None) -> bool:
    return subprocess.run([str(word) for word in words], cwd=ROOT, env=env).returncode == 0


def find_uv(pip: Sequence[str]) -> str | None:
    """The user's uv, or this environment's, which is installed where it is missing; None where it cannot be had."""
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
    parser.add_argument("--copy", action="store_true", help="of the clone, with all that ships; not a link to it")
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
        why = "torch for CPUs alone could not be installed: that takes uv, and access to torch's own index"
        print(why, file=sys.stderr)
        return 1
    if uv:
        print("uv could not install the lock; pip takes over", file=sys.stderr)
    return 0 if run(*pip, "install", "--quiet", *wanted(LOCK, a.extras)) and run(*pip, "install", *clone) else 1


if __name__ == "__main__":
    raise SystemExit(main())
