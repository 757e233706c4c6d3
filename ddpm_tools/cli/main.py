"""The command `ddpm`: its parser, and one sentence instead of a traceback for user errors."""

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from ddpm_tools.cli.commands import COMMANDS
from ddpm_tools.cli.terminal import Parser, Root, parse


def parser(command: str | None = None) -> Root:
    """The parser of all commands. Given one command, only its module is imported; importing all takes seconds."""
    root = Root(COMMANDS, prog="ddpm", description="Conditional diffusion models: train, draw, measure.")
    sub = root.add_subparsers(dest="command", metavar="COMMAND", prog="ddpm", parser_class=Parser)
    wanted = {c.module for c in COMMANDS if command in (None, c.name)}
    for name in sorted(wanted):
        import_module(f"ddpm_tools.cli.{name}").register(sub)
    for other in COMMANDS:
        if other.module not in wanted:
            sub.add_parser(other.name, add_help=False)
    return root


@contextmanager
def aloud() -> Iterator[None]:
    """While a command runs, log messages go to stderr, each line once; of several processes only the first logs."""
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
        a = parse(argv, lambda command: parser(command or ""))
        if a is None:
            return
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
