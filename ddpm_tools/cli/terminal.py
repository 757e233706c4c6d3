"""How both commands behave in a terminal: help by task, suggestions, `--version`, completion. Does not import torch."""

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

import argcomplete


@dataclass(frozen=True)
class Command:
    """One line of the overview, and where the command is defined: MODULE.register(sub) adds it to a parser."""

    name: str  # as it is typed
    task: str  # the heading it is listed under
    about: str  # one sentence for the overview
    example: str  # without the program's name
    module: str  # the module with `register`, in the program's folder of commands


def versions(program: str) -> str:
    """The versions of the program, torch and Python, which a bug report should start with."""
    try:
        own = version("conditional-diffusion-course")
    except PackageNotFoundError:  # the students' bundle runs without being installed
        own = "from a folder"
    return f"{program} {own} (torch {version('torch')}, Python {sys.version.split()[0]})"


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing if no known word is close."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def with_default(action: argparse.Action) -> str | None:
    """The help of an option, plus its default unless the help names it already."""
    known = action.default not in (None, argparse.SUPPRESS, "", [], ()) and not isinstance(action.default, bool)
    if action.help == argparse.SUPPRESS or not known or "default" in (action.help or ""):
        return action.help
    value = action.default
    shown = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"{action.help or ''} (default: {shown})".strip().replace("%", "%%")


class Parser(argparse.ArgumentParser):
    """A parser that reports errors for the command that was typed, and suggests the closest known word."""

    def format_help(self) -> str:
        for action in self._actions:
            action.help = with_default(action)
        return super().format_help()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:
        """No arguments are left over: an unknown word is an error of this command, not of the whole program."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            word = rest[0].partition("=")[0]
            options = [o for action in self._actions for o in action.option_strings]
            self.error(
                f"unknown option {word}{nearest(word, options)}" if word[:1] == "-" else f"what is '{word}' for?"
            )
        return found, rest

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            what = "command" if isinstance(action, argparse._SubParsersAction) else "value"
            listed = "" if what == "command" and len(known) > 6 else f" (known: {', '.join(known)})"
            raise argparse.ArgumentError(
                None if what == "command" else action, f"unknown {what} '{value}'{nearest(str(value), known)}{listed}"
            )

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message}\n")


class Root(Parser):
    """The program itself: its help lists the commands by task."""

    def __init__(self, commands: Sequence[Command], **options: Any) -> None:
        super().__init__(add_help=False, usage=f"{options['prog']} COMMAND [OPTIONS]", **options)
        self.commands = commands
        self.add_argument("-h", "--help", action="help", help="show this help; after a command, show its options")
        self.add_argument("--version", action="version", version=versions(self.prog))

    def format_help(self) -> str:
        width = 2 + max(len(c.name) for c in self.commands)
        lines = [self.format_usage(), self.description or ""]
        for task in dict.fromkeys(c.task for c in self.commands):
            lines += ["", f"{task}:"] + [f"  {c.name:{width}}{c.about}" for c in self.commands if c.task == task]
        example = f"{self.prog} {self.commands[0].name} {self.commands[0].example}"
        return "\n".join([*lines, "", f"{self.prog} COMMAND --help tells more, for example:", f"  {example}", ""])


def typed(words: Sequence[str]) -> str | None:
    """The command in a command line."""
    return next((w for w in words if w[:1] != "-"), None)


def parse(argv: Sequence[str] | None, program: Callable[[str | None], Root]) -> argparse.Namespace | None:
    """The options of the command that was typed; None if there was no command, and the help is printed.

    `program` makes the parser for one command, so that only its imports are loaded.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if "_ARGCOMPLETE" in os.environ:  # a shell requests completions; this does not return
        argcomplete.autocomplete(program(typed(os.environ.get("COMP_LINE", "").split()[1:])))
    root = program(typed(words))
    if not words:
        root.print_help()
        return None
    if words[0][:1] == "-" and words[0] not in ("-h", "--help", "--version"):
        root.error(f"unknown option {words[0]}; options come after the command")
    return root.parse_args(words)
