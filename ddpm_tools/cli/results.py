"""`ddpm results`: the full-scale runs on record as tables, and the published figures beside them."""

import argparse
from pathlib import Path


def results(a: argparse.Namespace) -> None:
    from ddpm_tools.reports import results as records

    folder = a.folder or records.RESULTS
    if a.folder and not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; scripts/full_scale.py writes the records that belong there")
    runs = records.read_all(folder)
    if runs:
        print(f"{records.runs_table(runs)}\n\n{records.figure_tables(runs)}\n")
    else:
        print("No run is on record yet; scripts/full_scale.py makes them.\n")
    print(records.published_tables())


def register(sub: argparse._SubParsersAction) -> None:
    about = "Full-scale runs on record as tables, and the published figures, in tables of their own."
    p = sub.add_parser("results", help=about, description=about, epilog="example: ddpm results")
    p.set_defaults(run=results)
    p.add_argument("folder", type=Path, nargs="?", default=None, help="default: data/results of the course")
