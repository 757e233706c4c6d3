"""axe-core on every state of the playground and of the laboratory: nothing serious, in light and in dark."""

import pytest

from playground.build import packages

STATES = [
    "",
    "#model=cifar10&seed=1",
    "#model=digits&steps=8&strip=sweep",
    "#model=digits&steps=8&beside=w&other=1&difference=1&at=3",
    "lab/index.html",
]


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_serious(site, browser, state):
    page = browser.new_page(bypass_csp=True, viewport={"width": 1280, "height": 900})
    page.goto(site + state)
    if "lab" not in state:
        page.evaluate("playground.idle()")
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    page.evaluate((packages() / "axe-core/axe.min.js").read_text(encoding="utf-8"))

    def found(least="serious"):
        result = page.evaluate("axe.run()")
        assert len(result["passes"]) > 15
        return {v["id"]: v["nodes"][0]["html"] for v in result["violations"] if v["impact"] in (least, "critical")}

    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert found() == {}, scheme
    page.evaluate("document.querySelector('button').textContent = ''")
    assert "button-name" in found()  # so that it is known to look
    page.close()
