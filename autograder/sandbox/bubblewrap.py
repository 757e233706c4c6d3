"""Builds the command line that puts a process into the sandbox, and tests whether that works on this machine.

The sandbox holds the system's programs and libraries, this interpreter with its packages, and /code, all read-only,
plus an empty /tmp. It has no network, no other processes and no root. Only what is named here is visible, so a new
folder in the repository or a new file in a home directory stays outside by default.
"""

import functools
import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from autograder.imports import PACKAGES
from autograder.sandbox import malloc, seccomp, uids
from autograder.sandbox.limits import Limits
from autograder.sandbox.processes import own_threads

COURSE = "conditional_diffusion_course"  # in site-packages: solutions and data, if a wheel is installed
CODE = "/code"  # where the child finds its code
LIBRARIES = ("lib", "lib32", "lib64", "libx32")
SYSTEM = ("/usr", "/")  # only their `bin`, `sbin` and libraries: /usr/src and /usr/local often hold a repository
ETC = ("/etc/ld.so.cache", "/etc/alternatives")  # what programs need to start, but no accounts
DEVICES = ("null", "full", "random", "urandom")  # no terminals; a shared mapping of /dev/zero is memory nobody counts
DATA = ("sklearn/datasets",)  # in site-packages: the images that the judge holds out
# A container is recognised by a file in its root. For each: the program that starts it, and the security options with
# which an ordinary user can run a sandbox in it. The default system-call filter forbids some or all namespaces, and
# while parts of /proc are masked, the kernel lets nobody mount another.
CONTAINERS = {
    "run/.containerenv": ("podman", "seccomp=unconfined unmask=ALL"),
    ".dockerenv": ("docker", "seccomp=unconfined systempaths=unconfined apparmor=unconfined"),
}
OPEN_FILES = 256
PENDING = 1024  # signals and timers


def command(
    argv: Sequence[str],
    code: Path,
    limits: Limits,
    *,
    uid: int = uids.FIRST,
    hide: Sequence[str] = (),
    filter_fds: Sequence[int] = (),
    euid: int | None = None,
    more: Sequence[str] = (),
    cwd: str = "/tmp",
) -> list[str]:
    """Return the command that runs argv in the sandbox, with `code` at /code.

    `euid` is the user who starts it (default: this process's). If that is root, argv runs as `uid`. `hide` names files
    and folders of site-packages to hide, and `more` holds further bubblewrap options, such as folders to show.
    """
    euid = os.geteuid() if euid is None else euid
    # The limits come first so that they also bind the sandbox's init, which an ordinary user's child can trace.
    args = [*capped(limits, shared_uid=euid != 0), shutil.which("bwrap") or "bwrap"]
    args += ["--die-with-parent", "--new-session"]
    args += ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    # Root needs no user namespace, and RLIMIT_NPROC would have no effect in one; root becomes another user below.
    args += ["--unshare-user"] if euid else []
    args += ["--hostname", "sandbox", "--perms", "01777", "--size", str(limits.scratch_bytes), "--tmpfs", "/tmp"]
    args += ["--proc", "/proc", "--perms", "0755", "--dir", "/dev"]
    for device in DEVICES:
        args += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        args += ["--symlink", f"/proc/self/fd/{number}", f"/dev/{name}"]
    args += ["--symlink", "/proc/self/fd", "/dev/fd"]
    args += ["--perms", "01777", "--size", str(limits.scratch_bytes), "--tmpfs", "/dev/shm"]
    for path in _visible():
        args += _mount(path, [*PACKAGES, COURSE, *hide])  # a copy installed beside torch would hold answers
    args += ["--ro-bind", str(code), CODE]
    args += [*more, "--remount-ro", "/", "--chdir", cwd]
    for fd in filter_fds:
        args += ["--seccomp", str(fd)]
    args += ["--"]
    if not euid:
        args += ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs"]
        args += ["--bounding-set=-all", "--inh-caps=-all", "--"]
    return [*args, *argv]


def bounds(limits: Limits, *, shared_uid: bool) -> dict[str, tuple[int, int]]:
    """Return the limits of one process: {name for prlimit: (number for setrlimit(2), value)}."""
    import resource  # not on Windows, where the rest of this module should still import

    # If the child has the grader's uid, the kernel may count all of that user's threads; the watchdog counts exactly.
    processes = limits.processes + (own_threads() if shared_uid else 0)
    wanted = {
        "as": (resource.RLIMIT_AS, limits.address_bytes),
        "fsize": (resource.RLIMIT_FSIZE, limits.file_bytes),
        "nproc": (resource.RLIMIT_NPROC, processes),
        "nofile": (resource.RLIMIT_NOFILE, OPEN_FILES),
        "cpu": (resource.RLIMIT_CPU, limits.cpu_s + 1),  # per process; the watchdog has the sum, and gives a reason
        "sigpending": (resource.RLIMIT_SIGPENDING, PENDING),  # per user; each timer takes one, and memory
        "core": (resource.RLIMIT_CORE, 1),  # 1, not 0: this also stops a system's crash handler, see core(5)
    }
    for name, (which, value) in wanted.items():
        hard = resource.getrlimit(which)[1]  # only root can exceed it
        wanted[name] = (which, value if hard == resource.RLIM_INFINITY else min(value, hard))
    return wanted


def capped(limits: Limits, *, shared_uid: bool) -> list[str]:
    """Return the words to put before a command to limit what one process can use."""
    words = ["prlimit", *(f"--{name}={value}" for name, (_, value) in bounds(limits, shared_uid=shared_uid).items())]
    # If memory runs short despite everything, the kernel should kill this process and not the grader.
    return ["choom", "-n", "1000", "--", *words, "--"]


def environment(threads: int, home: str = "/tmp") -> dict[str, str]:
    """Return the child's whole environment. Nothing is taken from the caller's, which may hold passwords."""
    blas = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}
    user = {"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "USER": "student"}
    return {**user, **blas, **malloc.ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1", "CUDA_VISIBLE_DEVICES": ""}


def available() -> str | None:
    """Return None if the sandbox works on this machine, otherwise one sentence that says what to type."""
    if not sys.platform.startswith("linux"):
        return "The sandbox needs Linux; on Windows type `wsl --install` and grade in there, on macOS use a container."
    for tool in ("bwrap", "prlimit", "setpriv", "choom"):
        if not shutil.which(tool):
            package = "bubblewrap" if tool == "bwrap" else "util-linux"
            return f"The sandbox needs the program {tool}: type `sudo apt-get install {package}`."
    return _start_once(shutil.which("bwrap"), os.geteuid())


@functools.cache  # trying it once per process is enough
def _start_once(bwrap: str, euid: int) -> str | None:
    argv = [sys.executable, "-I", "-B", "-c", "pass"]
    with tempfile.TemporaryDirectory() as folder, seccomp.opened() as fds:
        words = command(argv, Path(folder), Limits(), filter_fds=fds)
        common = {"env": environment(1), "cwd": "/", "pass_fds": fds, "stdin": subprocess.DEVNULL}
        try:
            ended = subprocess.run(words, **common, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            return f"The sandbox does not start here ({error}); type `{bwrap} --version` to see whether it runs at all."
    if ended.returncode == 0:
        return None
    said = (ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"])[-1]
    return f"The sandbox does not start here ({said}); type {_remedy(said, euid)}."


def _remedy(said: str, euid: int, root: Path = Path("/")) -> str:
    """Return the one command most likely to help, given the error that bubblewrap printed."""
    if "nknown option" in said:
        newer = "0.7 or later is needed, as in Debian 12 and Ubuntu 24.04; an older system needs a container"
        return f"`sudo apt-get install --only-upgrade bubblewrap` ({newer})"
    if "failed to exec" in said:  # the unprivileged user cannot read the interpreter
        return f"`chmod -R go+rX {sys.base_prefix} {sys.prefix}`"
    container = next((found for mark, found in CONTAINERS.items() if (root / mark).exists()), None)
    for setting, bad, good in (
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("user.max_user_namespaces", "0", "15000"),
    ):
        file = root.joinpath("proc/sys", *setting.split("."))
        if euid and file.exists() and file.read_text().strip() == bad:
            return f"`sudo sysctl -w {setting}={good}`{' on the host of this container' if container else ''}"
    if container:
        program, options = container
        words = " ".join(f"--security-opt {option}" for option in options.split()) if euid else "--privileged"
        return f"`{program} run {words} …` when starting this container"
    return "`bwrap --ro-bind / / --unshare-all true` to see why"


def _visible() -> list[Path]:
    """Return the system and interpreter paths to show, none of them inside another. Links appear as their targets."""
    prefixes = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent]
    found = [Path(root, name) for root in SYSTEM for name in ("bin", "sbin", *LIBRARIES)]
    # Only these parts of a prefix: it can be the repository itself, or a conda root with every package's archive.
    for prefix in [*prefixes, *(prefix.resolve() for prefix in prefixes)]:
        found += [prefix / name for name in ("bin", "pyvenv.cfg", *LIBRARIES)]
    outside = site.getusersitepackages()  # `python -I` does not read it
    found += [Path(path) for path in sys.path if path.endswith("-packages") and path != outside]
    found += [Path(path) for path in ETC] + [Path("/sys/devices/system/cpu")]  # the processor's features, for torch
    there = {path for path in found if path.exists()}
    return sorted(path for path in there if there.isdisjoint(path.parents))


def folders(path: Path) -> list[str]:
    """Return options that create a folder and its parents as 0755. Bubblewrap's 0700 would shut out another uid."""
    above = [p for p in [*reversed(path.parents), path] if str(p) not in ("/", "/tmp")]
    return [word for p in above for word in ("--perms", "0755", "--dir", str(p))]


def _mount(path: Path, hide: Sequence[str]) -> list[str]:
    """Return options that show one path but hide the names in `hide` in its package folders."""
    args = [*folders(path.parent), "--ro-bind", str(path), str(path)]
    packages = [path] if path.name.endswith("-packages") else path.glob("python3*/*-packages")
    for hidden in (folder / name for folder in packages for name in hide):
        if hidden.is_dir():
            args += ["--tmpfs", str(hidden), "--remount-ro", str(hidden)]
        elif hidden.exists():
            args += ["--ro-bind", "/dev/null", str(hidden)]
    return args
