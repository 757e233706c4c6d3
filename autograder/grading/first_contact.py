"""Does a Dask scheduler answer at an address? Checked before a client is created: a client that fails to connect waits
for itself when Python exits, and prints everything it met on the way."""

import asyncio
import logging
import socket

HINT = "`dask scheduler` prints its address, such as tcp://HOST:8786"
SILENT = "no reply"
CALL_S = 2.0  # for a plain connection, after Dask has waited


def hush() -> None:
    """Silence tracebacks of Dask's own threads: our sentences are shorter. Each of its loggers has its own level."""
    import distributed  # noqa: F401 - makes them

    for name in ("asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("asyncio", "distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


async def _what_answers(address: str, seconds: float) -> str:
    """The type that the program at the address reports."""
    from distributed.comm import connect
    from distributed.security import Security

    security = Security()  # from Dask's configuration, as for a client
    comm = await connect(address, timeout=seconds, **security.get_connection_args("client"))
    try:
        await comm.write({"op": "identity", "reply": True})
        return str((await comm.read())["type"])
    finally:
        comm.abort()


def check_scheduler(address: str, seconds: float) -> None:
    """ValueError with one sentence if no scheduler answers at the address within this time."""
    url = address if "://" in address else f"tcp://{address}"  # as Dask reads it

    async def asked() -> str:
        # Twice the time: a program that accepts the connection may still say nothing
        return await asyncio.wait_for(_what_answers(url, seconds), 2 * seconds)

    try:
        kind = asyncio.run(asked())
    except Exception as e:  # what another program sends can break Dask's parsing anywhere
        why = reason(e)
        if why == SILENT:  # on a busy machine Dask may run out of time between two refusals
            why = refusal(url) or why
        raise ValueError(f"no Dask scheduler answers at {address} ({why}); {HINT}") from e
    if kind != "Scheduler":
        raise ValueError(f"a Dask {kind.lower()} answers at {address}, not a scheduler; {HINT}")


def refusal(url: str) -> str | None:
    """Why a plain connection to this address fails, in the system's words; None if it succeeds."""
    from distributed.comm.addressing import get_address_host_port

    try:
        socket.create_connection(get_address_host_port(url), CALL_S).close()
    except OSError as e:
        return e.strerror  # None for a connection that timed out
    return None


def reason(e: BaseException) -> str:
    """Why there was no answer, in a few words: for repeated attempts, what stopped them."""
    if isinstance(e, MemoryError | LookupError | UnicodeError):  # its first bytes, read as a length and a message
        return "another program listens there"
    while isinstance(e, OSError) and not e.strerror and isinstance(e.__cause__, Exception):
        e = e.__cause__
    said = (getattr(e, "strerror", None) or str(e)).strip().splitlines()
    if said:
        return said[0]
    from distributed.comm import CommClosedError

    # Dask's own error for a closed connection has a text, unless it was closed early enough
    known = {TimeoutError: SILENT, CommClosedError: "the connection was closed"}
    return next((words for kind, words in known.items() if isinstance(e, kind)), type(e).__name__)
