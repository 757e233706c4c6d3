"""The filter's decisions, for both processors, without needing either."""

from __future__ import annotations

import struct

import pytest

from autograder.sandbox import seccomp


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_says_what_it_should(machine):
    column = list(seccomp.ARCHITECTURES).index(machine)
    steps = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))

    def judge(number: int, arg0: int = 0, arg3: int = 0, arch: int = seccomp.ARCHITECTURES[machine]) -> int:
        """A processor for the seven instructions that the filter uses."""
        words, at, a = {0: number, 4: arch, 16: arg0, 40: arg3}, 0, 0
        while True:
            code, yes, no, k = steps[at]
            at += 1
            if code == 0x06:
                return 0 if k == 0x7FFF0000 else k & 0xFFFF
            if code == 0x20:
                a = words[k]
            elif code == 0x54:
                a &= k
            else:
                at += yes if {0x15: a == k, 0x35: a >= k, 0x45: bool(a & k)}[code] else no

    assert all(judge(numbers[column]) == 1 for numbers in seccomp.DENIED.values())
    assert judge(0xFF) == 0
    assert judge(0xFF, arch=0x40000003) == 1  # 32-bit calls
    assert [judge(seccomp.SOCKET[column], arg0=family) for family in (1, 2, 10, 16, 40, 0)] == [0, 0, 0, 0, 97, 97]
    assert [judge(seccomp.CLONE[column], arg0=flags) for flags in (0x11, 0x3D0F00, 0x10000011)] == [0, 0, 1]
    assert [judge(seccomp.MMAP[column], arg3=flags) for flags in (0x22, 0x01, 0x21, 0x23, 0x4021)] == [0, 0, 1, 1, 1]
    assert judge(seccomp.CLONE3[column]) == 38
    assert seccomp.program("riscv64") is None
