"""How long each way to install takes from a warm cache, and how much disk space it needs.

    python benchmarks/doors.py [--quick] [--warm]

The ways: `make setup` with pip, `make setup` with uv, and a wheel with the packages that a student needs. Each starts
from a fresh clone or folder, and must answer `ddpm --version` in the end. `--warm` runs each once beforehand, so that
the caches of pip and uv hold everything. `--quick` leaves out pip, which takes minutes. Wall-clock seconds depend on
what else the machine does; processor seconds hardly do. The last line is one JSON object.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build/doors"  # on the disk of the clone, where uv can link what its cache holds
MB = 1e6


def run(*words: str | Path, folder: Path = ROOT) -> str:
    """Run a command without this process's PYTHONPATH; return its output, or RuntimeError with the end of it."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([str(w) for w in words], cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))} failed: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def fresh(name: str) -> Path:
    shutil.rmtree(WORK / name, ignore_errors=True)
    (WORK / name).mkdir(parents=True)
    return WORK / name


def clone(name: str) -> Path:
    folder = fresh(name)
    run("git", "clone", "--quiet", ROOT, folder)
    return folder


def make_with(tool: str) -> tuple[Path, Callable[[], object]]:
    """Return the environment in a fresh clone, and the function that installs it."""
    folder = clone(tool)
    return folder / ".venv", lambda: run("make", "setup", f"WITH={tool}", f"PYTHON={sys.executable}", folder=folder)


def wheel() -> tuple[Path, Callable[[], object]]:
    """Build a wheel; return an environment, and the function that installs wheel and locked dependencies there."""
    built = clone("source")
    dist, env = fresh("dist"), fresh("wheel") / "env"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", dist, built)
    (file,) = dist.glob("*.whl")
    print(f"{file.name}: {file.stat().st_size / MB:.1f} MB")
    uv = shutil.which("uv") or WORK / "uv/.venv/bin/uv"  # the one that make has installed

    def install() -> None:
        run(sys.executable, "-m", "venv", "--without-pip", env)
        more = ("--quiet", "--compile-bytecode", "-c", built / "requirements.lock")
        run(uv, "pip", "install", "--python", env / "bin/python", *more, file)

    return env, install


def on_disk(folder: Path) -> tuple[int, int]:
    """Return the bytes of all files, and of those that are links into uv's cache and so take no space of their own."""
    every = [path.lstat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(s.st_size for s in every), sum(s.st_size for s in every if s.st_nlink > 1)


def measure(name: str, prepare: Callable[[], tuple[Path, Callable[[], object]]]) -> dict[str, float | str]:
    env, open_door = prepare()
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    open_door()
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size, linked = on_disk(env)
    answer = run(env / "bin/ddpm", "--version", folder=WORK).strip()
    packages = len(list(env.glob("lib/python3*/site-packages/*.dist-info")))
    print(
        f"{name:14} {seconds:6.1f} s on the clock, {processor:5.1f} s of a processor, {packages} packages, "
        f"{size / MB:,.0f} MB, of which {linked / MB:,.0f} MB are links into the cache; {answer}",
        flush=True,
    )
    return {
        "seconds": round(seconds, 1), "processor_s": round(processor, 1), "packages": packages, "bytes": size,
        "bytes_linked": linked, "answer": answer,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without pip")
    parser.add_argument("--warm", action="store_true", help="open each door once beforehand")
    a = parser.parse_args()
    doors = {} if a.quick else {"make with pip": lambda: make_with("pip")}
    doors |= {"make with uv": lambda: make_with("uv"), "wheel": wheel}
    for prepare in doors.values() if a.warm else ():
        prepare()[1]()
    done = {name: measure(name, prepare) for name, prepare in doors.items()}
    size = next((WORK / "dist").glob("*.whl")).stat().st_size
    load = round(os.getloadavg()[0], 1)
    print(json.dumps({"doors": done, "wheel_bytes": size, "cores": os.cpu_count(), "load": load, "warm": a.warm}))
    shutil.rmtree(WORK)


if __name__ == "__main__":
    main()
