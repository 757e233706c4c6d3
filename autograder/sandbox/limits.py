"""What an answer may use, and how it can fail."""

from dataclasses import dataclass

GIB, MIB, KIB = 1 << 30, 1 << 20, 1 << 10


@dataclass(frozen=True)
class Limits:
    """Limits of one child. A well-behaved answer stays far below all of them."""

    cpu_s: int = 300  # whole life, all processes: processor time, plus any sleep while a request is open
    wall_s: float = 1800.0  # the same by the clock, once torch is imported: a backstop, since a machine may be busy
    memory_bytes: int = 2 * GIB  # in all, see census.py; torch alone takes 0.3-0.5, and a class must fit on a laptop
    address_bytes: int = 8 * GIB  # backstop against one huge allocation; importing CUDA torch reserves 3.1 GiB of it
    processes: int = 64  # threads included; torch, its data loader and BLAS need about a dozen
    file_bytes: int = 64 * MIB  # one file; a checkpoint of the course has 3 MB
    scratch_bytes: int = 256 * MIB  # each of /tmp and /dev/shm; their contents count as memory as well
    message_bytes: int = 64 * MIB  # largest reply: 5,000 RGB images at 32 x 32 in float32 are 61 MB
    output_bytes: int = 64 * KIB  # kept of what is printed: enough for any traceback, little enough for a report


BUSY = "busy"  # the child waited for a processor, which is the machine's fault, so the answer is to be graded again


class Failure(Exception):
    """Why there is no answer: one of OUTCOMES (else ValueError) and one sentence that a student may read."""

    OUTCOMES = ("timeout", "crash", "invalid_output", "infrastructure_error")

    def __init__(self, outcome: str, message: str, code: str | None = None) -> None:
        if outcome not in self.OUTCOMES:
            raise ValueError(f"outcome must be one of {self.OUTCOMES}, not {outcome!r}")
        super().__init__(outcome, message)
        self.outcome = outcome
        self.message = message
        self.code = code  # a machine-readable cause if there is one: BUSY

    def __str__(self) -> str:
        return f"{self.outcome}: {self.message}"
