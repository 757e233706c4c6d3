"""Argument types that both commands share; importing them costs nothing."""

import argparse


def json_option(p: argparse.ArgumentParser) -> None:
    """For commands that print a table: the same as data, and nothing else on stdout."""
    p.add_argument("--json", action="store_true", help="print the figures as one JSON document in place of the table")


def positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got '{text[:40]}'") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value
