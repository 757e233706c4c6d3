"""The filter's decisions, for both processors, without needing either."""

from __future__ import annotations

import struct

import pytest

from autograder.sandbox import seccomp


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_says_what_it_should(machine):
    column = list(seccomp.ARCHITECTURES).index(machine)

    def judge(number: int, *args: int, sockets: bool = False, arch: int = seccomp.ARCHITECTURES[machine]) -> int:
        """A processor for the seven instructions that the filter uses: 0 where the call passes, else its error + 1."""
        steps = list(struct.iter_unpack("=HBBI", seccomp.program(machine, sockets=sockets)))
        words = {0: number, 4: arch} | {16 + 4 * i: 0 for i in range(12)}
        for i, arg in enumerate(args):
            words |= {16 + 8 * i: arg & 0xFFFFFFFF, 20 + 8 * i: arg >> 32}
        at = a = 0
        while True:
            code, yes, no, k = steps[at]
            at += 1
            if code == 0x06:
                return 0 if k == 0x7FFF0000 else 1 + (k & 0xFFFF)
            if code == 0x20:
                a = words[k]
            elif code == 0x54:
                a &= k
            else:
                at += yes if {0x15: a == k, 0x35: a >= k, 0x45: bool(a & k)}[code] else no

    def rule(name: str, *arguments: tuple, sockets: bool = False) -> list[int]:
        known = seccomp.RULES | (seccomp.ONLY_UNIX if sockets else {})
        return [judge(known[name].numbers[column], *args, sockets=sockets) for args in arguments]

    assert all(judge(numbers[column], sockets=s) == 2 for numbers in seccomp.DENIED.values() for s in (True, False))
    assert [judge(seccomp.SOCKETS["socketpair"][column], 1, sockets=s) for s in (True, False)] == [0, 2]
    assert judge(0xFF) == 0
    assert judge(0xFF, arch=0x40000003) == 2  # 32-bit calls
    assert [judge(seccomp.SOCKETS["socket"][column], family) for family in (1, 2, 10, 16, 40, 0)] == [2] * 6
    families = [(1,), (2,), (10,), (16,), (17,), (40,), (0,)]
    assert rule("socket", *families, sockets=True) == [0, 98, 98, 0, 98, 98, 98]
    options = [(3, 1, option) for option in (7, 8, 32, 33, 2, 15)]
    assert rule("setsockopt", *options, sockets=True) == [2, 2, 2, 2, 0, 0]
    assert rule("clone", (0x11,), (0x3D0F00,), (0x10000011,)) == [0, 0, 2]
    assert rule("mmap", *((0, 0, 0, flags) for flags in (0x22, 0x01, 0x21, 0x23, 0x4021))) == [0, 0, 2, 2, 2]
    assert rule("clone3", (0,)) == [39]
    # asked for SIGCHLD's handler it answers; a pointer may have either half 0; other signals are the program's own
    calls = [(17, 0), (17, 0x7000), (17, 0x500000000), (17, 0x500000001), (2, 0x7000)]
    assert rule("rt_sigaction", *calls) == [0, 1, 1, 1, 0]
    assert rule("fcntl", *((3, command) for command in (6, 7, 37, 38, 1, 5, 1031))) == [38, 38, 38, 38, 0, 0, 0]
    assert seccomp.program("riscv64") is None
