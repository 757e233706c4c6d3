"""A process that has imported torch, from which answers' processes are forked, each into a sandbox of its own.

Bubblewrap lays out that sandbox as for an answer that starts afresh, with a placeholder in it (forks.py). The process
forked here joins its namespaces, takes on its uid, limits and system-call filter, checks with the kernel that they
hold, and only then runs the runner. If a step fails, that is reported and nothing is run.

    zygote  ->  keeper, which joins the sandbox and tells its placeholder how the runner ended  ->  runner

This file is passed to an interpreter as text. It imports nothing from the course, and the process knows nothing about
any answer: all it ever reads is which sandbox comes next, and only the grader can talk to it.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import types
from typing import Any, NoReturn

NAMESPACES = {  # as in sched.h
    **{"mnt": 0x00020000, "uts": 0x04000000, "ipc": 0x08000000, "pid": 0x20000000, "net": 0x40000000},
    **{"user": 0x10000000, "cgroup": 0x02000000},
}
MAY_BE_COMMON = (
    "user",
    "cgroup",
)  # root's sandbox has no user namespace of its own, and on some kernels no cgroup namespace either
SECCOMP, DUMPABLE, NO_NEW_PRIVILEGES, BOUNDING, AMBIENT = 22, 4, 38, 24, 47  # of prctl(2)
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
REPORT = 3  # the descriptor on which the runner reports success; none above it is open
MESSAGE = 1 << 16
ALL_KINDS = 0x40000000  # __WALL of wait(2)
HELD = 6  # descriptors in a request: the sandbox's init, stdin, stdout, stderr, the report, and the placeholder's stdin

libc = ctypes.CDLL(None, use_errno=True)


def main(control: socket.socket, modules: list[str]) -> None:
    """Import the modules, report whether the process can be forked, and serve until the grader closes its end."""
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection would write to every page and so copy it
    control.send(unfit().encode() or b"ready")
    signal.signal(signal.SIGCHLD, lambda *_: collect(os.WNOHANG))
    while True:
        message, fds, _, _ = socket.recv_fds(control, MESSAGE, HELD)
        if not message:
            break
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(control.detach())
            keep(json.loads(message), fds)
        for fd in fds:
            os.close(fd)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    collect(0)
    os._exit(0)


def collect(how: int) -> None:
    """Reap keepers. With os.WNOHANG only those that have ended; with 0, wait for all of them."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, how)[0]:
            pass


def unfit() -> str:
    """Return the reason why this process must not be forked, or "". Forks may only share memory that is copied."""
    if len(os.listdir("/proc/self/task")) != 1:
        return "importing torch starts threads here"
    with open("/proc/self/maps", encoding="utf-8") as maps:
        places = [line.split() for line in maps]
    shared = [place[-1] for place in places if place[1][1] == "w" and place[1][3] == "s"]
    return f"importing torch shares writable memory here ({shared[0]})" if shared else ""


def keep(wanted: dict[str, Any], fds: list[int]) -> NoReturn:
    """Run the keeper: fork the runner into the sandbox, wait for it, and pass on how it ended."""
    init, stdin, stdout, stderr, report, placeholder = fds
    try:
        if why := unfit():
            raise OSError(why)
        joined = join(init, wanted["init"])
        if (pid := os.fork()) == 0:
            be(wanted, (stdin, stdout, stderr, report), joined)
        with contextlib.suppress(OSError):  # the grader may have stopped reading
            os.write(report, f"pid {pid}\n".encode())
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            os.write(report, b"ended\n")
        listening = select.poll()
        listening.register(report, 0)
        listening.poll()  # until the grader closes the report: before then no other process can get this pid
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with contextlib.suppress(OSError):  # the placeholder may have ended already, and the sandbox with it
            os.write(placeholder, b"%d\n" % (code if code >= 0 else 128 - code))  # signals as bubblewrap reports them
        for fd in (stdin, stdout, stderr):
            os.close(fd)
        # The runner's siblings, which clone(2) can make, are reaped only now: until then their time is counted.
        while True:
            os.waitpid(-1, ALL_KINDS)
    except ChildProcessError:  # none is left
        pass
    except BaseException as error:
        _tell(report, error)
    os._exit(0)


def join(init: int, pid: int) -> dict[str, str]:
    """Enter every namespace in which the sandbox differs from us; return their kernel names, to compare later.

    OSError if the sandbox shares a namespace with us that it must not share.
    """
    own, theirs = (
        {n: os.readlink(f"/proc/{p}/ns/{n}") for n in NAMESPACES if os.path.exists(f"/proc/{p}/ns/{n}")}
        for p in ("self", pid)
    )
    joined = {n: theirs[n] for n in theirs if theirs[n] != own[n]}
    needed = {n for n in NAMESPACES if n not in MAY_BE_COMMON or (n == "user" and os.geteuid())}
    if missing := needed - set(joined):
        raise OSError(f"the sandbox has no {'/'.join(sorted(missing))} namespace of its own")
    _call("setns", init, sum(NAMESPACES[n] for n in joined))
    return joined


def be(wanted: dict[str, Any], fds: tuple[int, ...], joined: dict[str, str]) -> NoReturn:
    """Become the runner: put up the walls, check them, and run. If a wall is missing, report that and exit."""
    try:
        descriptors(fds)
        confine(wanted)
        examine(wanted, joined)
        os.write(REPORT, b"walled\n")
        os.close(REPORT)
    except BaseException as error:
        _tell(REPORT, error)
        os._exit(1)
    code = 1
    try:
        run(wanted["runner"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    os._exit(code & 0xFF)  # without the zygote's exit handlers


def descriptors(fds: tuple[int, ...]) -> None:
    """Start a new session, put the pipes at 0 to REPORT, and close every other descriptor."""
    os.setsid()
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > REPORT:
            with contextlib.suppress(OSError):  # one belonged to the listing itself
                os.close(fd)


def confine(wanted: dict[str, Any]) -> None:
    """Set the limits and the uid, drop all capabilities and ways to regain them, and install the filter."""
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")  # if memory runs short despite everything, the kernel should kill this process
    for which, value in wanted["bounds"]:
        resource.setrlimit(which, (value, value))
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        last = int(file.read())
    for capability in range(last + 1):
        _call("prctl", BOUNDING, capability, 0, 0, 0)
    if wanted["uid"] is not None:
        os.setgroups([])
        os.setresgid(*[wanted["uid"]] * 3)
        os.setresuid(*[wanted["uid"]] * 3)
    _call("prctl", AMBIENT, 4, 0, 0, 0)  # clear all
    _call("capset", (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
    _call("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _call("prctl", DUMPABLE, 1, 0, 0, 0)  # as after an exec; otherwise it could not open its own /proc/self
    os.chdir(wanted["cwd"])
    rules = bytes.fromhex(wanted["filter"])
    text = ctypes.create_string_buffer(rules, len(rules))
    where = (ctypes.c_size_t * 2)(len(rules) // 8, ctypes.addressof(text))  # struct sock_fprog, with a 2-byte count
    _call("prctl", SECCOMP, 2, ctypes.addressof(where), 0, 0)


def examine(wanted: dict[str, Any], joined: dict[str, str]) -> None:
    """Raise OSError unless the kernel confirms every wall."""
    with open("/proc/self/status", encoding="utf-8") as file:
        status = {name: rest.split() for name, _, rest in (line.partition(":") for line in file)}
    expected: dict[str, Any] = {name: ["0" * 16] for name in CAPABILITIES}
    expected |= {"NoNewPrivs": ["1"], "Seccomp": ["2"], "Threads": ["1"]}
    if wanted["uid"] is not None:
        expected |= {"Uid": [str(wanted["uid"])] * 4, "Gid": [str(wanted["uid"])] * 4, "Groups": []}
    found = {name: status[name] for name in expected}
    found["namespaces"] = {n: os.readlink(f"/proc/self/ns/{n}") for n in joined}
    found["limits"] = [[which, resource.getrlimit(which)[1]] for which, _ in wanted["bounds"]]
    found["descriptors"] = sorted(map(int, os.listdir("/proc/self/fd")))[: REPORT + 1]
    found["open"] = len(os.listdir("/proc/self/fd"))  # one belongs to the listing itself
    found["root"] = os.statvfs("/").f_flag & os.ST_RDONLY
    expected |= {"namespaces": joined, "limits": wanted["bounds"], "root": os.ST_RDONLY, "open": REPORT + 2}
    expected["descriptors"] = list(range(REPORT + 1))
    expected["loaded"] = []
    loaded = {name.partition(".")[0] for name in sys.modules} | set(sys.modules)
    found["loaded"] = sorted(loaded.intersection(wanted["absent"]))
    if wrong := [name for name in expected if found[name] != expected[name]]:
        raise OSError(f"{wrong[0]} is {found[wrong[0]]} in the sandbox")


def run(file: str) -> None:
    """Run a file as a fresh interpreter would, with its own random seeds (Python itself reseeds `random`)."""
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if "multiprocessing.process" in sys.modules:
        sys.modules["multiprocessing.process"].current_process().authkey = os.urandom(32)
    sys.argv[:] = [file]
    sys.path[:] = [path for path in sys.path if os.path.exists(path)]
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__file__ = file
    with open(file, "rb") as source:
        code = compile(source.read(), file, "exec", dont_inherit=True)
    exec(code, vars(module))


def _call(name: str, *args: Any) -> None:
    """Call a function of libc; OSError if it returns -1."""
    whole = [ctypes.c_ulong(arg) if isinstance(arg, int) and name == "prctl" else arg for arg in args]
    if getattr(libc, name)(*whole) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _tell(report: int, error: BaseException) -> None:
    with contextlib.suppress(OSError):  # the grader no longer reads
        os.write(report, f"error {type(error).__name__}: {error}\n".encode())


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
