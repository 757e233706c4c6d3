"""A child is nobody, writes to its scratch alone, and has bounds that the kernel holds."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from autograder.sandbox import bubblewrap, seccomp
from tests.autograder.sandbox.children import MIB


def test_not_root_and_no_way_to_become_it(inside):
    assert inside("import os; value = os.getuid() * os.geteuid() * os.getgid()") > 0
    assert inside("import os; os.setuid(0)")[0] == "PermissionError"
    assert inside("import os; value = {*os.getgroups()} <= {os.getgid()}") is (os.geteuid() == 0)
    status = dict(line.split(":\t", 1) for line in inside("value = open('/proc/self/status').read()").splitlines())
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert status["CapBnd"] == "0" * 16 or os.geteuid()
    assert inside("import os; value = [n for n in os.listdir('/proc/self/fd') if int(n) > 3]") in ([], ["4"])


def test_nothing_can_be_written_but_scratch(inside):
    packages = str(Path(torch.__file__).parent.parent)
    for folder in ["/", "/code", "/usr/bin", "/usr/lib", "/etc", "/dev", "/sys", "/proc", packages, sys.prefix]:
        assert inside(f"open({folder!r} + '/new', 'w')")[0] in ("PermissionError", "OSError", "FileNotFoundError")
    for file in ["/code/runner.py", sys.executable, torch.__file__, "/proc/sys/kernel/core_pattern"]:
        assert inside(f"open({file!r}, 'r+')")[0] in ("PermissionError", "OSError")
    assert inside("open('/tmp/new', 'w').write('x'); open('/dev/shm/new', 'w').write('x')") is None
    inside("import os; os.remove('/tmp/new'); os.remove('/dev/shm/new')")


def test_every_mount_but_scratch_is_read_only(inside):
    mounts = [line.split() for line in inside("value = open('/proc/mounts').read()").splitlines()]
    writable = {point for _, point, kind, options, *_ in mounts if "ro" not in options.split(",")}
    devices = {f"/dev/{name}" for name in bubblewrap.DEVICES}
    assert writable - devices == {"/tmp", "/dev/shm", "/proc"}


def test_files_and_scratch_are_bounded(inside):
    inside("import os; os.makedirs('/tmp/big')")
    fill = """
import os, shutil
try:
    for i in range({files}):
        with open(f"{folder}/big{{i}}", "wb") as file:
            file.write(bytes({size}))
finally:
    for i in range({files}):
        os.path.exists(f"{folder}/big{{i}}") and os.remove(f"{folder}/big{{i}}")
"""
    for folder in ("/tmp", "/dev/shm"):
        assert inside(fill.format(folder=folder, files=1, size=3 * MIB)) is None
        assert inside(fill.format(folder=folder, files=1, size=5 * MIB)) == ("OSError", 27)  # EFBIG
        assert inside(fill.format(folder=folder, files=4, size=3 * MIB)) == ("OSError", 28)  # ENOSPC
    inside("import os; os.rmdir('/tmp/big')")


def test_the_kernel_holds_the_limits_of_a_process(inside, shell):
    names = ["AS", "FSIZE", "CPU", "NOFILE", "CORE", "NPROC"]
    pairs = inside(f"import resource; value = [resource.getrlimit(getattr(resource, 'RLIMIT_' + n)) for n in {names}]")
    limits = shell.limits
    assert all(soft == hard for soft, hard in pairs)
    assert [soft for soft, _ in pairs][:5] == [limits.address_bytes, limits.file_bytes, limits.cpu_s + 1, 256, 1]
    if not os.geteuid():
        assert pairs[5][0] == limits.processes


def test_one_allocation_beyond_the_address_space_is_refused(inside):
    assert inside("bytearray(100 << 30)")[0] == "MemoryError"


def test_memory_that_nobody_counts_and_other_system_calls_are_refused(inside):
    assert inside("import os; os.memfd_create('x')") == ("PermissionError", 1)
    assert inside("import mmap; mmap.mmap(-1, 1 << 20)")[0] == "PermissionError"
    assert inside("import mmap; mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)") is None
    assert inside("import socket; socket.socket(40)") == ("PermissionError", 1)  # AF_VSOCK reaches the hypervisor
    assert inside("import socket; socket.socketpair()") == ("PermissionError", 1)
    assert inside("import fcntl; fcntl.lockf(open('/tmp/x', 'w'), fcntl.LOCK_EX)") == ("OSError", 37)  # ENOLCK
    call = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); value = [libc.syscall(*{!r}), ctypes.get_errno()]"
    column = list(seccomp.ARCHITECTURES).index(os.uname().machine)
    for name in ("unshare", "keyctl", "shmget", "ptrace", "io_uring_setup"):
        assert inside(call.format((seccomp.DENIED[name][column], 0x10000000, 0, 0, 0))) == [-1, 1], name
    assert inside(call.format((seccomp.RULES["clone"].numbers[column], 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0))) == [
        -1,
        1,
    ]
    assert inside(call.format((seccomp.RULES["clone3"].numbers[column], 0, 0))) == [-1, 38]  # ENOSYS
