"""Argument types shared by both commands; this module imports nothing slow."""

import argparse


def json_option(p: argparse.ArgumentParser) -> None:
    """For commands that print a table: print the same as data instead, with nothing else on stdout."""
    p.add_argument("--json", action="store_true", help="print the figures as one JSON document instead of the table")


def positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got '{text[:40]}'") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value
