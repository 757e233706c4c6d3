"""The reference of ddpm_core: one page a subject, filled from the docstrings by mkdocstrings."""

from __future__ import annotations

from pathlib import Path

from website.fingerprint import ROOT

# subject -> modules of ddpm_core in reading order; a package stands for all of its modules
SUBJECTS: dict[str, tuple[str, ...]] = {
    "Schedule": ("schedule",),
    "Parameterization": ("parameterization",),
    "Layers": ("layers", "attention"),
    "Conditioning": ("conditioning", "text"),
    "U-Net": ("network", "unet", "unet2d"),
    "Diffusion": ("diffusion",),
    "Guidance": ("guidance",),
    "Samplers": ("samplers",),
    "Interpolation": ("interpolation",),
    "Training": ("training", "objectives", "ema", "streams", "data"),
    "Configs and checkpoints": ("config", "checkpoint", "files", "registry"),
    "Metrics and pictures": ("metrics", "plots"),
}
REST = "Further modules"  # what no subject names yet


def modules() -> list[str]:
    """Every module, as a dotted name below ddpm_core, packages before what is in them."""
    files = sorted((ROOT / "ddpm_core").rglob("*.py"))
    names = [".".join(f.relative_to(ROOT / "ddpm_core").with_suffix("").parts) for f in files]
    return sorted(n.removesuffix(".__init__") for n in names if n != "__init__")


def subject_of(module: str) -> str:
    top = module.split(".")[0]
    return next((subject for subject, tops in SUBJECTS.items() if top in tops), REST)


def page_of(path: Path) -> str:
    """The page about a file or folder of ddpm_core (given below the repository's root), from the root."""
    parts = path.with_suffix("").parts[1:]
    if not parts or parts == ("__init__",):
        return "reference/index.md"
    return f"reference/{slug(subject_of(parts[0]))}.md"


def slug(subject: str) -> str:
    return subject.lower().replace(" ", "-")


def write(out: Path) -> list[dict[str, str]]:
    """The reference's pages below `out`; returns their navigation."""
    folder = out / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    by_subject: dict[str, list[str]] = {subject: [] for subject in (*SUBJECTS, REST)}
    for module in modules():
        by_subject[subject_of(module)].append(module)
    navigation, index = [{"Overview": "reference/index.md"}], ["# The library `ddpm_core`\n", "::: ddpm_core\n"]
    index[1] += "    options: {show_root_heading: false, show_source: false, show_root_toc_entry: false}\n"
    for subject, names in by_subject.items():
        if not names:
            continue
        order = SUBJECTS.get(subject, ())
        names.sort(key=lambda n: (order.index(n.split(".")[0]) if order else 0, n))
        blocks = "\n".join(f"::: ddpm_core.{name}\n" for name in names)
        (folder / f"{slug(subject)}.md").write_text(f"# {subject}\n\n{blocks}", encoding="utf-8")
        navigation.append({subject: f"reference/{slug(subject)}.md"})
        listed = ", ".join(f"[`{n}`]({slug(subject)}.md#ddpm_core.{n})" for n in names)
        index.append(f"- **[{subject}]({slug(subject)}.md)**: {listed}")
    (folder / "index.md").write_text("\n".join(index) + "\n", encoding="utf-8")
    return navigation
