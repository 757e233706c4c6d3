"""axe-core on every state of the playground and of the laboratory: nothing serious, in light and in dark."""

import pytest

from playground.build import packages

STATES = ["", "#model=digits&steps=8&strip=sweep", "#model=digits&steps=8&beside=w&other=1&difference=1&at=3"]
STATES += ["#model=cifar10&seed=1", "lab/index.html"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(site, browser, scheme):
    axe = (packages() / "axe-core/axe.min.js").read_text(encoding="utf-8")
    page = browser.new_page(bypass_csp=True, viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    found = {}
    for state in STATES:
        page.goto("about:blank")
        page.goto(site + state)
        if "lab" not in state:
            page.evaluate("playground.idle()")
        page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        page.evaluate(axe)
        result = page.evaluate("axe.run()")
        assert len(result["passes"]) > 15
        found[state] = [
            (v["id"], [n["html"][:120] for n in v["nodes"]][:4])
            for v in result["violations"]
            if v["impact"] in ("serious", "critical")
        ]
    page.evaluate("document.querySelector('button').textContent = ''")
    assert "button-name" in [v["id"] for v in page.evaluate("axe.run()")["violations"]]  # it would have been found
    page.close()
    assert not any(found.values()), found
