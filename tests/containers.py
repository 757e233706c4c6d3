"""Containers in a store of the tests' own, on a base that takes the place of Debian's and of what a build would fetch.

A registry and gigabytes of packages are no part of a test. The base holds nothing but links and three stand-ins: for
`apt-get`, which says what it was asked for; for `python3.11 -m venv`, which links this environment; and for `uv`, which
notes its words, and builds the copy that it is asked for. System and environment are mounted read-only. All other
steps of a Containerfile are carried out as they are, and so is all that runs in a container.
"""

import io
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASE = "localhost/base"
USR = ("bin", "lib", "lib32", "lib64", "libx32", "sbin", "share")
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=8192:8192")  # podman wants more than some roots may have
STAND_INS = {
    "apt-get": '#!/bin/sh\necho "apt-get $*" >> /etc/asked\n',
    "python3.11": '#!/bin/sh\n[ "$1" = -c ] && exit\n'
    f'mkdir "$3" && ln -s {sys.prefix}/bin {sys.prefix}/lib {sys.prefix}/pyvenv.cfg "$3"\n',
    "uv": '#!/bin/sh\necho "uv $*" >> .venv/asked\n'
    'case "$*" in *" -e .") ;; *" .") exec .venv/bin/python setup.py --quiet build_py --build-lib .venv/copy ;; esac\n',
}
ENVIRONMENT = "PYTHONPATH=/opt/course/.venv/copy:/opt/course"  # what an installation would have put into .venv
ACCOUNTS = {"passwd": "root:x:0:0:root:/root:/bin/sh\n", "group": "root:x:0:\n", "shadow": "root:*:1::::::\n"}


def mounts() -> list[str]:
    """This system and this environment, as options of `podman build` and `podman run`."""
    there = [*(Path("/usr", name) for name in USR), Path("/etc/alternatives"), Path("/etc/ld.so.cache")]
    there += [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent]
    found = {p for p in there if p.exists() and p != Path("/usr")}
    return [f"--volume={p}:{p}:ro" for p in sorted(found) if found.isdisjoint(p.parents)]


def base() -> bytes:
    """A tar of the base's root folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:

        def add(name: str, kind: bytes = tarfile.DIRTYPE, mode: int = 0o755, text: str = "", link: str = "") -> None:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.size, info.linkname = kind, mode, len(text.encode()), link
            tar.addfile(info, io.BytesIO(text.encode()))

        for name in ("etc", "home", "opt", "root", "usr", "usr/local", "usr/local/bin", "var", "var/log"):
            add(name)
        add("tmp", mode=0o1777)
        for name in USR:
            if Path("/", name).is_symlink():
                add(name, tarfile.SYMTYPE, link=f"usr/{name}")
        for name, text in ACCOUNTS.items():
            add(f"etc/{name}", tarfile.REGTYPE, 0o644, text)
        for name, text in STAND_INS.items():
            add(f"usr/local/bin/{name}", tarfile.REGTYPE, 0o755, text)
    return out.getvalue()


@dataclass(frozen=True)
class Podman:
    store: Path

    @property
    def words(self) -> list[str]:
        runtime = ["--runtime", "runc"] if shutil.which("runc") else []  # crun refuses some machines' cgroups
        return ["podman", "--root", str(self.store / "root"), "--runroot", str(self.store / "run"), *runtime]

    def __call__(self, *words: str | Path, stdin: bytes | None = None, fails: bool = False) -> str:
        """What it prints, stderr included; AssertionError where it fails, or where it does not and `fails` says so."""
        out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run([*self.words, *map(str, words)], cwd=ROOT, input=stdin, timeout=1000, **out)
        said = done.stdout.decode(errors="replace")
        assert (done.returncode != 0) == fails, f"{' '.join(map(str, words))}: {done.returncode}\n{said[-4000:]}"
        return said

    def build(self, name: str, *words: str | Path) -> str:
        """An image from a Containerfile, on the base; its name."""
        on = ("--layers=false", "--isolation", "chroot", "--build-arg", f"BASE={BASE}", *mounts())
        self("build", "--quiet", *on, "--tag", f"localhost/{name}", *words)
        return f"localhost/{name}"

    def run(self, image: str, *words: str | Path, options: tuple[str, ...] = (), fails: bool = False) -> str:
        """What a command prints in a new container, without a network."""
        return self("run", "--rm", *self.alone, *options, image, *words, fails=fails)

    @property
    def alone(self) -> list[str]:
        return ["--network=none", *LIMITS, *mounts()]
