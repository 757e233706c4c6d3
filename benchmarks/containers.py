"""Builds and uses both container images: build times, sizes, and whether the sandbox works in the grader's image.

    python benchmarks/containers.py [--base NAME] [--torch cpu] [--only grader]

Run it as root, with podman. Without --base it also needs debootstrap, which makes Debian 12 even if no registry can be
reached. Such a base gets this machine's certificates and pip's settings from the environment. Torch with CUDA (the
default, since it comes from the same index as everything else) takes minutes and 20 GB. The last line is one JSON
object. The images are kept.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASE = "localhost/ddpm-base"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
AUTHORITIES = "/usr/local/share/host-certificates.pem"
WALLS = ("--security-opt", "seccomp=unconfined", "--security-opt", "unmask=ALL")
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=8192:8192")  # podman's own exceed what some roots may have
RUNTIME = ("--runtime", "runc") if shutil.which("runc") else ()  # crun fails with the cgroups of some machines


def podman(*words: str | Path) -> str:
    command = ["podman", *RUNTIME, *map(str, words)]
    print("+", *command, flush=True)
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def debian() -> str:
    """Make an image of Debian 12 from this machine's mirror, and return its name."""
    with tempfile.TemporaryDirectory(prefix="base-") as folder:
        root = Path(folder, "root")
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(root / "var/cache/apt/archives")
        (root / "var/cache/apt/archives/partial").mkdir(parents=True)
        env = {k: v for k, v in os.environ.items() if k in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")}
        if CERTIFICATES.exists():
            shutil.copy(CERTIFICATES, root / AUTHORITIES.lstrip("/"))
            env |= {"PIP_CERT": AUTHORITIES, "SSL_CERT_FILE": AUTHORITIES}
        tar = Path(folder, "root.tar")
        subprocess.run(["tar", "-C", root, "-cf", tar, "."], check=True)
        podman("import", "--quiet", *(f"--change=ENV={k}={v}" for k, v in env.items()), tar, BASE)
    return BASE


def built(name: str, base: str, torch: str) -> dict[str, float]:
    """Build an image; return the seconds, its bytes, and its bytes without the base."""
    began, file = time.perf_counter(), f"deploy/containers/{name}.Containerfile"
    given = ("--build-arg", f"BASE={base}", "--build-arg", f"TORCH={torch}")
    podman("build", "--layers=false", "--network=host", "--quiet", *given, "--tag", f"ddpm-{name}", "--file", file, ".")
    seconds = time.perf_counter() - began
    size, of_base = (int(podman("image", "inspect", "--format", "{{.Size}}", i)) for i in (f"ddpm-{name}", base))
    return {"seconds": round(seconds), "bytes": size, "bytes_above_base": size - of_base}


def used(name: str) -> str:
    """Return the output of a small task in the image: version numbers, or a graded submission."""
    run = ("run", "--rm", "--network=none", *LIMITS)
    if name == "student":
        return podman(*run, f"ddpm-{name}", "sh", "-c", "jupyter lab --version && ls && ddpm --version").strip()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "submitted/ada/5_2_guidance")
        place.mkdir(parents=True)
        shutil.copy(ROOT / "solutions/5_2_guidance/label_dropout.ipynb", place)
        subprocess.run(["chmod", "-R", "a+rwX", folder], check=True)
        grade = ("autograder", "grade", "submitted", "--out", "grades", "--notebook", "label_dropout")
        return podman(*run, *WALLS, f"--volume={folder}:/work", f"ddpm-{name}", *grade).strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="an image with Debian's packages; default: one made by debootstrap")
    parser.add_argument("--torch", choices=("cpu", "default"), default="default")
    parser.add_argument("--only", choices=("student", "grader"))
    a = parser.parse_args()
    base, done = a.base or debian(), {}
    for name in (a.only,) if a.only else ("student", "grader"):
        done[name] = built(name, base, a.torch) | {"said": used(name)}
    print(json.dumps({"images": done, "torch": a.torch, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
