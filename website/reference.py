"""The reference of the library and the product around it: one page per subject, from docstrings."""

from __future__ import annotations

from pathlib import Path

from website.fingerprint import ROOT

PACKAGES = ("ddpm_core", "ddpm_tools")
# subject -> modules in reading order; a package stands for all of its modules
SUBJECTS: dict[str, tuple[str, ...]] = {
    "Schedule": ("ddpm_core.schedule",),
    "Parameterization": ("ddpm_core.parameterization", "ddpm_tools.plain_pairs"),
    "Layers": ("ddpm_core.layers", "ddpm_core.attention", "ddpm_tools.attention_maps"),
    "Conditioning": ("ddpm_core.conditioning", "ddpm_core.text", "ddpm_tools.captions"),
    "U-Net": ("ddpm_core.network", "ddpm_core.unet", "ddpm_tools.unet2d"),
    "Diffusion": ("ddpm_core.diffusion",),
    "Guidance": ("ddpm_core.guidance",),
    "Samplers": ("ddpm_core.samplers",),
    "Interpolation": ("ddpm_core.interpolation",),
    "Training": (
        "ddpm_core.training",
        "ddpm_core.objectives",
        "ddpm_core.ema",
        "ddpm_core.streams",
        "ddpm_tools.train",
    ),
    "Data": ("ddpm_core.data", "ddpm_tools.datasets"),
    "Configs and checkpoints": (
        "ddpm_core.config",
        "ddpm_core.checkpoint",
        "ddpm_core.files",
        "ddpm_core.registry",
        "ddpm_tools.presets",
        "ddpm_tools.export",
    ),
    "Metrics": ("ddpm_core.metrics", "ddpm_tools.evaluation"),
    "Diagnosis": ("ddpm_tools.diagnosis",),
    "Reports and commands": (
        "ddpm_core.plots",
        "ddpm_tools.drawing",
        "ddpm_tools.demo",
        "ddpm_tools.reports",
        "ddpm_tools.tables",
        "ddpm_tools.outputs",
        "ddpm_tools.cli",
    ),
}
REST = "Further modules"  # what no subject names yet
RULE = """The reference shows all of `ddpm_core`. Of `ddpm_tools` it shows what another file uses: a lesson, a guide, a
script, a test or another module. The other functions are steps inside one module; they are documented in its source."""


def modules() -> list[str]:
    """Every module as a dotted name, packages before what is in them."""
    files = sorted(f for package in PACKAGES for f in (ROOT / package).rglob("*.py"))
    names = [".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files]
    return sorted(n.removesuffix(".__init__") for n in names if not n.endswith("__main__"))


def place_of(module: str) -> tuple[str, int]:
    """A module's subject, and its place in the reading order there."""
    for subject, order in SUBJECTS.items():
        for i, name in enumerate(order):
            if f"{module}.".startswith(f"{name}."):
                return subject, i
    return REST, 0


def page_of(path: Path) -> str:
    """The page about a file or folder of a package (given below the repository's root), from the root."""
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    return "reference/index.md" if module in PACKAGES else f"reference/{slug(place_of(module)[0])}.md"


def slug(subject: str) -> str:
    return subject.lower().replace(" ", "-")


def write(out: Path) -> list[dict[str, str]]:
    """The reference's pages below `out`; returns their navigation."""
    folder = out / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    by_subject: dict[str, list[str]] = {subject: [] for subject in (*SUBJECTS, REST)}
    for module in modules():
        if module not in PACKAGES:
            by_subject[place_of(module)[0]].append(module)
    options = "    options: {show_root_heading: false, show_source: false, show_root_toc_entry: false}\n"
    navigation = [{"Overview": "reference/index.md"}]
    index = [f"# The library `ddpm_core`\n\n::: ddpm_core\n{options}"]
    for subject, names in by_subject.items():
        if not names:
            continue
        names.sort(key=lambda n: (place_of(n)[1], n))
        blocks = "\n".join(f"::: {name}\n" for name in names)
        (folder / f"{slug(subject)}.md").write_text(f"# {subject}\n\n{blocks}", encoding="utf-8")
        navigation.append({subject: f"reference/{slug(subject)}.md"})
        listed = ", ".join(f"[`{n}`]({slug(subject)}.md#{n})" for n in names)
        index.append(f"- **[{subject}]({slug(subject)}.md)**: {listed}")
    index.append(f"\n{RULE}")
    (folder / "index.md").write_text("\n".join(index) + "\n", encoding="utf-8")
    return navigation
