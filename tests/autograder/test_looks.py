"""How the class report looks in a browser: outcomes that nobody confuses, tables for a phone, and nobody kept out."""

import re
import shutil

import pytest

from autograder.adapters import report
from autograder.exercises import EXERCISES
from autograder.grading.results import OUTCOMES, NotebookResult, record
from tests.axe import serious

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs the browser that `make tools` installs")
EXERCISE = EXERCISES["5_1_unconditional", "schedules"]


@pytest.fixture(scope="module")
def class_report(tmp_path_factory):
    """One student for each outcome."""
    results = {f"s-{o}": NotebookResult(EXERCISE, o, "It says why.", timings={"total": 1.0}) for o in OUTCOMES}
    records = [record(student, EXERCISE.assignment, [result]) for student, result in results.items()]
    return report.write(records, tmp_path_factory.mktemp("report")).as_uri()


@pytest.fixture
def page():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="light")
        browser.close()


def test_outcomes_differ_in_colour_and_without_it(class_report, page):
    page.goto(class_report)
    look = "e => { const s = getComputedStyle(e); return s.backgroundColor + ' ' + s.backgroundImage; }"
    bars = page.query_selector_all("#outcomes .stack i")
    looks = [bar.evaluate(look) for bar in bars]
    assert len(bars) == len(OUTCOMES) == len(set(looks))
    without = [re.sub(r"rgba?\([^)]*\)", "", s).strip() for s in looks if "gradient" in s]
    assert len(without) == len(set(without)) == 4  # what gave no result has a pattern of its own
    marks = page.locator("#grades td b").all_inner_texts()
    assert sorted(marks) == ["C", "T", "U"] and "T: an answer did not return in time" in page.inner_text("#grades")


def test_on_a_phone_a_row_is_a_card_that_names_its_cells(class_report, page):
    page.goto(class_report)
    row = page.locator("#need-1 tbody tr").first
    labels = row.locator("td").evaluate_all("cells => cells.map(c => getComputedStyle(c, '::before').content)")
    assert labels == ['"student"', '"notebook"', '"outcome"', '"why"']
    tops = row.locator("td").evaluate_all("cells => cells.map(c => c.getBoundingClientRect().top)")
    assert tops == sorted(set(tops))  # one below the other
    page.set_viewport_size({"width": 1280, "height": 800})
    tops = row.locator("td").evaluate_all("cells => cells.map(c => c.getBoundingClientRect().top)")
    assert len(set(tops)) == 1
    assert page.get_by_role("row", name="s-timeout").count() >= 1  # a table also where it is laid out as cards


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(class_report, page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(class_report)
    page.evaluate("for (const e of document.querySelectorAll('details')) e.open = true;")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert serious(page) == []
    page.add_style_tag(content="p { color: gray !important; background: lightgray !important }")
    assert any(fault.startswith("color-contrast") for fault in serious(page))  # it would have been found
