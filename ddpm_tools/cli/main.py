"""The command `ddpm`: its parser, and one sentence in place of a traceback for what a user can get wrong."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def parser() -> argparse.ArgumentParser:
    # Seconds of imports: here, so that `main` hears a Ctrl-C among them
    from ddpm_tools.cli import diagnose, draw, evaluate, export, train

    root = argparse.ArgumentParser(prog="ddpm", description="Conditional diffusion models: train, draw, measure.")
    sub = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in (train, draw, evaluate, export, diagnose):
        group.register(sub)
    return root


@contextmanager
def aloud() -> Iterator[None]:
    """What the course logs goes to stderr while a command runs, each line once; of several processes the first says."""
    log, said, handler = logging.getLogger("ddpm_tools"), set(), logging.StreamHandler(sys.stderr)
    before = log.level, log.propagate
    first = os.environ.get("RANK", "0") == "0"
    handler.addFilter(lambda record: first and not (record.getMessage() in said or said.add(record.getMessage())))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]


def main(argv: Sequence[str] | None = None) -> None:
    name = "ddpm"
    try:
        a = parser().parse_args(argv)
        name = f"ddpm {a.command}"
        try:
            with aloud():
                a.run(a)
        except (ValueError, FloatingPointError, OSError, json.JSONDecodeError) as e:
            print(f"{name}: {e}", file=sys.stderr)
            raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(f"\n{name}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
