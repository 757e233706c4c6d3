"""A system-call filter for the child, as the bytes that `bwrap --seccomp` takes.

The namespaces hide files, network and processes. A few calls remain through which a process could still get memory that
no limit counts, use processor time that is charged to nobody, leave something behind for the next student, or gain
privileges. The filter makes these fail.
"""

import errno
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

# name: number on (x86_64, aarch64)
DENIED = {
    # a new user namespace would give it root's powers over new mounts: a tmpfs without a size, for one
    "unshare": (272, 97),
    # memory that is in no process's resident set
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "vmsplice": (278, 75),  # a pipe keeps a page of its giver, and with a huge page the whole of it
    "inotify_init": (253, 26),  # events that nobody reads; aarch64 only has the newer call
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "landlock_create_ruleset": (444, 444),  # 65,536 rules each
    "io_setup": (206, 0),  # its requests count against a limit for the whole machine
    # kernel keyrings have no namespace: the next student's process with this uid could read them
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # file and network calls that this filter would not see
    "io_uring_setup": (425, 425),
    # access to other processes, such as the sandbox's own init, which has the same uid if an ordinary user grades
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    # popular ways to attack the kernel, of no use to an answer
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "syslog": (103, 116),
}
# What buffers hold is in no resident set. An answer needs no socket at all. Jupyter's kernel communicates through
# AF_UNIX, and its library aborts if it cannot ask AF_NETLINK about the network, although there is none.
SOCKETS = {"socket": (41, 198), "socketpair": (53, 199)}
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

LOAD, JUMP_IF, JUMP_IF_ANY, JUMP_IF_ABOVE, AND, RETURN = 0x20, 0x15, 0x45, 0x35, 0x54, 0x06
NUMBER, ARCHITECTURE, ARG = 0, 4, (16, 24, 32, 40)  # offsets in struct seccomp_data; low words, both are little-endian

Step = tuple[int, int, int, int]  # opcode, steps to skip if true, steps to skip if false, operand
ALLOW: Step = (RETURN, 0, 0, 0x7FFF0000)


class Rule(NamedTuple):
    """A call that is refused with some arguments."""

    numbers: tuple[int, int]
    steps: list[Step]  # the call fails if their end is reached, and passes if the instruction after it is skipped
    error: int = errno.EPERM


def _any_bit(argument: int, bits: int) -> list[Step]:
    return [(LOAD, 0, 0, ARG[argument]), (JUMP_IF_ANY, 0, 1, bits)]


def _all_bits(argument: int, bits: int) -> list[Step]:
    return [(LOAD, 0, 0, ARG[argument]), (AND, 0, 0, bits), (JUMP_IF, 0, 1, bits)]


def _among(argument: int, *values: int) -> list[Step]:
    """Steps that match if the argument is one of these values."""
    jumps = [(JUMP_IF, len(values) - i - 1, 0, value) for i, value in enumerate(values[:-1])]
    return [(LOAD, 0, 0, ARG[argument]), *jumps, (JUMP_IF, 0, 1, values[-1])]


def _none_of(argument: int, *values: int) -> list[Step]:
    """Steps that match if the argument is none of these values."""
    return [(LOAD, 0, 0, ARG[argument]), *((JUMP_IF, len(values) - i, 0, value) for i, value in enumerate(values))]


# Matches for SIGCHLD if the second argument is not a null pointer, which would only query: one of its halves is not 0.
_SIGCHLD = [(LOAD, 0, 0, ARG[0]), (JUMP_IF, 0, 5, 17)]
_SIGCHLD += [(LOAD, 0, 0, ARG[1]), (JUMP_IF, 0, 2, 0), (LOAD, 0, 0, ARG[1] + 4), (JUMP_IF, 1, 0, 0)]

RULES = {
    # CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
    "clone": Rule((56, 220), _any_bit(0, 0x7E020000)),
    # its flags are behind a pointer, which a filter cannot follow; libc then falls back to clone
    "clone3": Rule((435, 435), [], errno.ENOSYS),
    # MAP_SHARED | MAP_ANONYMOUS: such memory stays when madvise takes it out of the resident set
    "mmap": Rule((9, 222), _all_bits(3, 0x21)),
    # If SIGCHLD is ignored, the kernel adds a dead child's processor time to nobody's. The call reports success without
    # setting a handler, which does not affect programs that wait for their children.
    "rt_sigaction": Rule((13, 134), _SIGCHLD, 0),
    # F_SETLK, F_SETLKW and the same for open files: a lock takes memory, and a file can have any number
    "fcntl": Rule((72, 25), _among(1, 6, 7, 37, 38), errno.ENOLCK),
}
ONLY_UNIX = {  # where sockets are allowed
    "socket": Rule(SOCKETS["socket"], _none_of(0, 1, 16), errno.EAFNOSUPPORT),
    # SO_SNDBUF, SO_RCVBUF and their FORCE variants: the watchdog counts sockets, assuming the default size
    "setsockopt": Rule((54, 208), _among(2, 7, 8, 32, 33)),
}


def program(machine: str | None = None, *, sockets: bool = False) -> bytes | None:
    """Return the filter for this processor, or None if its call numbers are not listed.

    `sockets` allows the sockets that a Jupyter kernel needs.
    """
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        return None
    column = list(ARCHITECTURES).index(machine)
    steps = [(LOAD, 0, 0, ARCHITECTURE), (JUMP_IF, 1, 0, ARCHITECTURES[machine]), _fail(errno.EPERM)]
    steps += [(LOAD, 0, 0, NUMBER)]
    if machine == "x86_64":  # the x32 interface has the same calls under other numbers
        steps += [(JUMP_IF_ABOVE, 0, 1, 0x40000000), _fail(errno.ENOSYS)]
    for numbers in (DENIED if sockets else DENIED | SOCKETS).values():
        steps += _when(numbers[column], [_fail(errno.EPERM)])
    for rule in [*RULES.values(), *(ONLY_UNIX.values() if sockets else ())]:
        steps += _when(rule.numbers[column], [*rule.steps, _fail(rule.error), ALLOW])
    return b"".join(struct.pack("=HBBI", *step) for step in [*steps, ALLOW])


@contextmanager
def opened(*, sockets: bool = False) -> Iterator[list[int]]:
    """Yield a list with the descriptor from which bubblewrap reads the filter, or [] if this processor has none."""
    rules = program(sockets=sockets)
    if rules is None:
        yield []
        return
    fd = os.memfd_create("seccomp")
    try:
        os.write(fd, rules)
        os.lseek(fd, 0, os.SEEK_SET)
        yield [fd]
    finally:
        os.close(fd)


def _when(number: int, then: list[Step]) -> list[Step]:
    return [(JUMP_IF, 0, len(then), number), *then]


def _fail(error: int) -> Step:
    return (RETURN, 0, 0, 0x00050000 | error)
