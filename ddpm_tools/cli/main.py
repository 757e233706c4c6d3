"""The command `ddpm`: its parser, and one sentence in place of a traceback for what a user can get wrong."""

import argparse
import json
import sys
from collections.abc import Sequence


def parser() -> argparse.ArgumentParser:
    # Seconds of imports: here, so that `main` hears a Ctrl-C among them
    from ddpm_tools.cli import diagnose, draw, evaluate, export, train

    root = argparse.ArgumentParser(prog="ddpm", description="Conditional diffusion models: train, draw, measure.")
    sub = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in (train, draw, evaluate, export, diagnose):
        group.register(sub)
    return root


def main(argv: Sequence[str] | None = None) -> None:
    name = "ddpm"
    try:
        a = parser().parse_args(argv)
        name = f"ddpm {a.command}"
        try:
            a.run(a)
        except (ValueError, FloatingPointError, OSError, json.JSONDecodeError) as e:
            print(f"{name}: {e}", file=sys.stderr)
            raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(f"\n{name}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
