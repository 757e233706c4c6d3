"""A term at a hub that is really there: what students and an instructor do, each in a browser of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.hub.machine import Machine, missing, started
from tests.hub.people import PATIENCE_MS, Person

ROOT = Path(__file__).resolve().parents[2]
COURSE, TASK, NOTEBOOK = "conditional-diffusion", "5_2_guidance", "label_dropout"
EXCHANGE, SERVICE = f"/usr/local/share/nbgrader/exchange/{COURSE}", f"/services/{COURSE}/"
GRADE = (
    f"autograder collect {EXCHANGE}/inbound --format nbgrader --assignment {TASK}",
    f"autograder grade submitted --out grades --assignment {TASK} --notebook {NOTEBOOK}",
    f"autograder return grades --format nbgrader --assignment {TASK} --to {EXCHANGE}/feedback",
)
COINS = "torch.rand(labels.shape, generator=generator, device=labels.device)"
RIGHT = f"    return torch.where({COINS} < p_uncond, null_class, labels)"
WRONG = RIGHT.replace("<", ">")

pytestmark = [
    pytest.mark.timeout(1800),  # three servers, a browser and a batch, perhaps on a busy machine
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with started() as machine:
        yield machine


@pytest.fixture
def people(machine: Machine) -> Iterator[tuple[Person, Person, Person]]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        grace = Person(chromium, machine.address, "grace", SERVICE)
        ada, ben = (Person(chromium, machine.address, name, f"/user/{name}/") for name in ("ada", "ben"))
        yield grace, ada, ben
        chromium.close()


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")


def released(grace: Person) -> None:
    """The instructor comes to formgrader, and releases in the terminal of the same server."""
    grace.log_in(SERVICE)
    grace.page.wait_for_url("**/formgrader/manage_assignments")
    expect(grace.page.get_by_role("link", name=TASK)).to_be_visible()
    grace.step_aside()
    assert "uid=4001(grader)" in grace.typed("id")
    grace.typed(f"cd /srv/course && nbgrader release_assignment {TASK}")
    assert grace.call("api/kernels", "POST", {"name": "python3"})[0] >= 400  # it would run with the grader's rights


def in_the_list(page: Page) -> None:
    page.get_by_role("menuitem", name="Nbgrader").click()
    page.get_by_text("Assignment List", exact=True).click()
    expect(page.locator("#course_list_default")).to_have_text(COURSE)


def handed_in_by_hand(ada: Person) -> None:
    """In JupyterLab as it comes: fetch in the list, type an answer, save, submit in the list."""
    page = ada.page
    ada.log_in()
    ada.start_server()
    in_the_list(page)
    page.locator("#released_assignments_list").get_by_role("button", name="Fetch").click()
    downloaded = page.locator("#fetched_assignments_list")
    downloaded.get_by_text(TASK, exact=True).click()
    picture(page, "assignments")
    downloaded.get_by_text(NOTEBOOK, exact=True).click()
    notebook = page.locator(".jp-NotebookPanel:visible")
    answer = notebook.locator(".jp-CodeCell", has_text="def drop_labels(").locator(".cm-content")
    while not answer.is_visible():  # cells are made when they come into view
        notebook.locator(".jp-WindowedPanel-outer").first.hover()
        page.mouse.wheel(0, 200)
        page.wait_for_timeout(100)
    answer.get_by_text("raise NotImplementedError()").click()
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.keyboard.insert_text(RIGHT.strip())
    picture(page, "notebook")
    page.keyboard.press("Control+s")
    expect(page.locator(".jp-Document.jp-mod-dirty, .lm-mod-current.jp-mod-dirty")).to_have_count(0)
    page.locator(".lm-TabBar-tabLabel", has_text="Assignments").click()
    downloaded.get_by_role("button", name="Submit").click()
    expect(page.locator("#submitted_assignments_list").get_by_text(TASK).first).to_be_visible()
    picture(page, "submitted")


def handed_in_by_calls(ben: Person, answer: str) -> None:
    """The same by what JupyterLab asks the server for."""
    ben.log_in()
    ben.start_server()
    ben.step_aside()
    assert ben.form("assignments/fetch", course_id=COURSE, assignment_id=TASK)["success"]
    path = f"api/contents/{TASK}/{NOTEBOOK}.ipynb"
    nb = ben.call(path)[1]["content"]
    cell = next(c for c in nb["cells"] if "def drop_labels(" in "".join(c["source"]) and c["cell_type"] == "code")
    cell["source"] = "".join(cell["source"]).replace("    raise NotImplementedError()", answer)
    assert ben.call(path, "PUT", {"type": "notebook", "content": nb})[0] == 200
    assert ben.form("assignments/submit", course_id=COURSE, assignment_id=TASK)["success"]


def kept_out(ben: Person, machine: Machine) -> None:
    """What a student cannot read, as whoever types in a terminal of their own server finds it."""
    for place in ("/srv/course/solutions", "/srv/course/grades", "/home/ada", f"{EXCHANGE}/inbound", "/srv/hub/state"):
        status, said = ben.terminal(f"ls {place}")
        assert status != 0 and "Permission denied" in said, said
    status, said = ben.terminal(f"mv {EXCHANGE} {EXCHANGE}.old")  # to put a course of his own in its place
    assert status != 0 and "not permitted" in said, said
    assert ben.call("formgrader")[0] == 404
    for place in (f"{SERVICE}formgrader", f"{SERVICE}api/contents", "/user/ada/api/contents"):
        answer = ben.page.goto(f"{machine.address}{place}")
        assert answer and answer.status in (403, 404), (place, answer and answer.status)
        assert TASK not in ben.page.content()
    ben.step_aside()


def led_to_the_lessons(ben: Person, machine: Machine) -> None:
    """By the link of the page, to another repository: a bare one in the machine."""
    page = (ROOT / "docs/hub.md").read_text(encoding="utf-8")
    link = re.search(r"http://127\.0\.0\.1:8000(/hub/user-redirect/git-pull\?\S+)", page)[1]
    elsewhere = re.sub(r"repo=[^&]*", "repo=file%3A%2F%2F%2Fsrv%2Flessons.git", link)
    ben.page.goto(f"{machine.address}{elsewhere}", wait_until="commit")
    ben.page.wait_for_url(
        f"{ben.base}lab/tree/lessons-of-the-course/lessons/5_1_unconditional.ipynb", wait_until="commit"
    )
    ben.step_aside()
    ben.typed(
        "cmp ~/lessons-of-the-course/lessons/5_1_unconditional.ipynb /srv/students/lessons/5_1_unconditional.ipynb"
    )


def test_from_the_release_to_the_feedback(machine: Machine, people: tuple[Person, Person, Person]) -> None:
    grace, ada, ben = people
    released(grace)
    handed_in_by_hand(ada)
    handed_in_by_calls(ben, WRONG)
    kept_out(ben, machine)
    ben.typed(f"mkdir '{EXCHANGE}/inbound/ada+{TASK}+2099-01-01 00:00:00.000000 UTC'")  # in her name, and later

    collected, graded, returned = (grace.typed(f"cd /srv/course && {line}") for line in GRADE)
    assert "6 notebook(s) of 2 student(s)" in collected and "belongs to the account ben; not taken" in collected
    assert "2 submission(s) graded" in graded, graded
    assert "2 page(s) of 2 student(s)" in returned, returned
    said = grace.typed(f"cat /srv/course/grades/ada/{TASK}/results.json")
    record = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert (record["score"], record["extra_data"]["sandboxed"]) == (10.0, True), record

    grace.page.goto(f"{grace.base}formgrader/gradebook/{TASK}/{NOTEBOOK}")
    rows = grace.page.locator("tbody tr")
    expect(rows).to_have_count(2)
    assert any("10 / 13" in row for row in rows.all_inner_texts()), rows.all_inner_texts()
    picture(grace.page, "formgrader")

    expect(ada.page.locator("#submitted_assignments_list")).to_be_visible()
    ada.page.locator("#refresh_assignments_list").click()
    with ada.page.expect_response(lambda r: "/assignments/fetch_feedback" in r.url) as answer:
        ada.page.get_by_role("button", name="Fetch Feedback").click()
    assert answer.value.json()["success"], answer.value.text()
    pages = {}
    for student in (ada, ben):
        student.step_aside()
        if student is ben:
            assert ben.form("assignments/fetch_feedback", course_id=COURSE, assignment_id=TASK)["success"]
        pages[student.name] = student.typed(f"cat {TASK}/feedback/*/{NOTEBOOK}.html | grep -i 'score:'")
    assert f"{NOTEBOOK} (Score: 10.0 / 13.0)" in pages["ada"], pages["ada"]  # the written answer is missing
    assert f"{NOTEBOOK} (Score: " in pages["ben"] and "10.0 / 13.0" not in pages["ben"], pages["ben"]
    led_to_the_lessons(ben, machine)
