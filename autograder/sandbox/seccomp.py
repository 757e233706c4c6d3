"""A system-call filter for the child, as the bytes that `bwrap --seccomp` takes.

The namespaces hide files, network and processes. Left over are a few calls by which a process could still get memory
that no limit counts, leave something for the next student, or enlarge its powers; these fail with EPERM.
"""

import errno
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager

# name: number on (x86_64, aarch64)
DENIED = {
    # a new user namespace would give it root's powers over new mounts: a tmpfs without a size, for one
    "unshare": (272, 97),
    "setns": (308, 268),
    # memory that is in no process's resident set
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    # kernel keyrings have no namespace: the next student's process with this uid could read them
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # file and network calls that this filter would not see
    "io_uring_setup": (425, 425),
    # other processes, among them the sandbox's own init, which has the same uid where an ordinary user grades
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    # favourite entrances to the kernel, of no use to an answer
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "fanotify_init": (300, 262),
    "syslog": (103, 116),
}
CLONE, CLONE3, SOCKET, MMAP = (56, 220), (435, 435), (41, 198), (9, 222)
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

NEW_NAMESPACE = 0x7E020000  # CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
SOCKETS = (1, 2, 10, 16)  # unix, IPv4, IPv6, netlink; a network namespace does not hold AF_VSOCK (to the hypervisor)
SHARED_ANONYMOUS = 0x21  # such memory stays when madvise takes it out of the resident set

LOAD, JUMP_IF, JUMP_IF_ANY, JUMP_IF_ABOVE, AND, RETURN = 0x20, 0x15, 0x45, 0x35, 0x54, 0x06
NUMBER, ARCHITECTURE, ARG0, ARG3 = 0, 4, 16, 40  # offsets in struct seccomp_data; low words, both are little-endian

Step = tuple[int, int, int, int]  # opcode, steps to skip if true, steps to skip if false, operand
ALLOW: Step = (RETURN, 0, 0, 0x7FFF0000)


def program(machine: str | None = None) -> bytes | None:
    """The filter for this processor, or None where its call numbers are not listed."""
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        return None
    column = list(ARCHITECTURES).index(machine)
    steps = [(LOAD, 0, 0, ARCHITECTURE), (JUMP_IF, 1, 0, ARCHITECTURES[machine]), _fail(errno.EPERM)]
    steps += [(LOAD, 0, 0, NUMBER)]
    if machine == "x86_64":  # the x32 interface has the same calls under other numbers
        steps += [(JUMP_IF_ABOVE, 0, 1, 0x40000000), _fail(errno.ENOSYS)]
    for numbers in DENIED.values():
        steps += _when(numbers[column], [_fail(errno.EPERM)])
    # its flags lie behind a pointer, where a filter cannot look; libc then falls back on clone
    steps += _when(CLONE3[column], [_fail(errno.ENOSYS)])
    flags = [(LOAD, 0, 0, ARG0), (JUMP_IF_ANY, 0, 1, NEW_NAMESPACE)]
    steps += _when(CLONE[column], [*flags, _fail(errno.EPERM), ALLOW])
    flags = [(LOAD, 0, 0, ARG3), (AND, 0, 0, SHARED_ANONYMOUS), (JUMP_IF, 0, 1, SHARED_ANONYMOUS)]
    steps += _when(MMAP[column], [*flags, _fail(errno.EPERM), ALLOW])
    known = [(JUMP_IF, len(SOCKETS) - i, 0, family) for i, family in enumerate(SOCKETS)]
    steps += _when(SOCKET[column], [(LOAD, 0, 0, ARG0), *known, _fail(errno.EAFNOSUPPORT), ALLOW])
    return b"".join(struct.pack("=HBBI", *step) for step in [*steps, ALLOW])


@contextmanager
def opened() -> Iterator[list[int]]:
    """A file descriptor from which bubblewrap reads the filter; none where there is no filter for this processor."""
    rules = program()
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
