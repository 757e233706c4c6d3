"""The README: its pictures are there, its links work in a clone, and its minutes are those of docs/students.md."""

import re
from pathlib import Path

from PIL import Image

from scripts.readme_pictures import PICTURES

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCES = re.findall(r'src(?:set)?="([^"]+)"', TEXT)  # of pictures that are HTML


def test_every_link_and_picture_is_in_the_clone():
    links = re.findall(r"\]\(([^)#]+)", TEXT) + SOURCES
    assert len(links) > 20 and not [link for link in links if ":" in link or not (ROOT / link).exists()]


def test_the_pictures_are_those_that_the_script_makes_and_light():
    shown = {Path(p) for p in [*re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT), *SOURCES]}
    assert shown == {Path(f"docs/{name}.webp") for name in [*PICTURES, "colour_still", "guidance_still"]}
    assert sum((ROOT / p).stat().st_size for p in shown) < 2_500_000
    moving = {p.stem for p in shown if getattr(Image.open(ROOT / p), "n_frames", 1) > 1}
    assert moving == {"colour", "guidance"}


def test_who_wants_no_motion_gets_a_still_in_place_of_every_moving_picture():
    for picture in re.findall(r"<picture>.*?</picture>", TEXT):
        source, image = r'<source media="([^"]+)" srcset="([^"]+)">', r'<img src="([^"]+)" alt="[^"]{20,}">'
        media, still, moving = re.fullmatch(f"<picture>{source}{image}</picture>", picture).groups()
        assert media == "(prefers-reduced-motion: reduce)" and still == moving.replace(".webp", "_still.webp")
        with Image.open(ROOT / still) as one, Image.open(ROOT / moving) as many:
            assert getattr(one, "n_frames", 1) == 1 < many.n_frames and one.size == many.size
    assert TEXT.count("<picture>") == 2 and not re.search(r"!\[[^\]]+\]\(docs/(colour|guidance)\.webp", TEXT)


def test_the_minutes_are_those_that_students_are_told():
    hours = re.findall(r"`(lessons/\w+\.ipynb)` \|.*?\| ([\d.]+) \|", (ROOT / "docs/students.md").read_text("utf-8"))
    minutes = re.findall(r"\]\((lessons/\w+\.ipynb)\) \| (\d+) \+ (\d+) \|", TEXT)
    assert {lesson: 60 * float(h) for lesson, h in hours} == {lesson: int(a) + int(b) for lesson, a, b in minutes}
    assert len(minutes) == len(list((ROOT / "lessons").glob("*.ipynb"))) and {a for _, a, _ in minutes} == {"150"}
