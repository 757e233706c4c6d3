"""The playground as an explainer: its opening, a step taken apart, two pictures beside each other, things to try."""

import re
from urllib.parse import parse_qsl

import nbformat
import numpy as np
import pytest

from tests.playground.conftest import Visit
from website import gallery

OPENING = 3e6  # bytes that a visit may weigh before anything is touched


def canvas(page, selector):
    """The pixels of a canvas, (H·W, 4)."""
    script = """(selector) => { const c = document.querySelector(selector);
        return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]; }"""
    return np.array(page.evaluate(script, selector)).reshape(-1, 4)


def pixels(image):
    """The pixels that an image (C·H·W) in [-1, 1] becomes, one channel."""
    return (np.clip(np.array(image), -1, 1) + 1) * 127.5


def weighed(page):
    page.sizes = {}
    page.on("response", lambda r: page.sizes.__setitem__(r.url, int(r.headers.get("content-length", 0))))
    # In the page, since it may have ended before anybody outside looks.
    look = "globalThis.playground && (globalThis.seen ??= new Set()).add(playground.page.at)"
    page.add_init_script(f"setInterval(() => {look}, 20)")


@pytest.fixture(scope="module")
def opened(site, browser):
    return Visit(browser, site, before=weighed, viewport={"width": 1280, "height": 800})


def test_it_opens_moving_and_light_with_what_was_recorded(opened, site):
    page = opened.page
    assert opened.get("firstAfter") < 30_000  # 2 s on two idle cores; the bound allows for a busy machine
    moved = "playground.page.at === null && seen.size > 2"  # it was on its way, and arrived
    while not page.evaluate(moved):
        page.wait_for_timeout(50)
    print(f"{sum(page.sizes.values())} bytes, first picture after {opened.get('firstAfter'):.0f} ms")
    assert sum(page.sizes.values()) < OPENING and not [url for url in page.sizes if url.endswith((".wasm", ".onnx"))]
    assert "Recorded" in page.inner_text("#recorded") and opened.get("settings.model") == "cifar10"
    image = canvas(page, "#xt")
    assert np.abs(image[:, 0] - image[:, 1]).mean() > 10  # in colour
    assert "horse" in page.inner_text("#verdict") and opened.complaints == []


def test_the_model_draws_what_was_recorded(opened):
    page = opened.page
    frames = "playground.page.frames.map((f) => [f.xt, f.x0, ...Object.values(f.parts ?? {})].map((i) => [...i]))"
    recorded, first = page.evaluate(frames), opened.get("frames.at(-1).reading")
    page.evaluate("""() => { window.told = []; const status = document.getElementById("status");
        new MutationObserver(() => told.push(status.textContent)).observe(status, { childList: true }); }""")
    page.click("#load")
    opened.idle()
    told = page.evaluate("told")
    shares = [int(found[1]) for text in told if (found := re.search(r"(\d+) % of", text))]
    assert shares == sorted(shares) and shares[-1] == 100
    assert page.locator("#recorded").is_hidden() and "computed here" in told[-1]
    drawn = page.evaluate(frames)
    assert len(drawn) == 21
    for a, b in zip(recorded, drawn):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(pixels(x), pixels(y), rtol=0, atol=2)
    np.testing.assert_allclose(first, opened.get("frames.at(-1).reading"), atol=0.02)
    hint, took = page.inner_text("#model-hint"), re.search(r"in ([\d.]+ s)", told[-1])[1]
    assert took in hint  # one time, told once it has been measured


def test_who_wants_no_motion_sees_the_picture_at_once(site, visit_another):
    other = visit_another(site, reduced_motion="reduce")
    assert other.get("at") is None and other.page.inner_text("#play") == "Play"
    assert other.page.inner_text("#at-text") == "after 20 steps"
    other.page.close()


def test_in_a_page_of_the_site_it_has_no_header_of_its_own_and_that_page_s_colours(site, browser):
    page = browser.new_page(viewport={"width": 900, "height": 700}, color_scheme="light")
    page.goto(f"{site}licences.txt")
    frame = "Object.assign(document.createElement('iframe'), { src, className: 'playground' })"
    page.evaluate(f"(src) => document.body.append({frame})", site)
    page.frame_locator("iframe").locator("#recorded").wait_for()
    inside = page.frames[1]
    inside.evaluate("playground.idle()")
    assert inside.locator("header").is_hidden() and inside.locator("#load").is_visible()
    page.add_script_tag(path=gallery.ROOT / "website/assets/lab.js")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = inside.evaluate(ground)
    for scheme, theme in (("slate", "dark"), ("default", "light")):
        page.evaluate("(scheme) => { document.body.dataset.mdColorScheme = scheme; }", scheme)
        inside.locator(f"html[data-theme={theme}]").wait_for()
        assert (inside.evaluate(ground) == light) == (theme == "light")
    page.close()


def columns_end_together(page):
    ends = [page.locator(f"{column} > :last-child").bounding_box() for column in ("#left", "#right")]
    return abs(ends[0]["y"] + ends[0]["height"] - ends[1]["y"] - ends[1]["height"]) < 2


def test_a_large_model_s_link_shows_its_noise_and_no_black_squares(site, visit_another):
    other = visit_another(f"{site}#model=cifar10&class=ship&seed=11&w=4")
    page = other.page
    noise = page.evaluate("""async () => { const { normals } = await import("./random.js");
        return [...normals(11, 0, 3 * 32 * 32)]; }""")
    np.testing.assert_allclose(canvas(page, "#xt")[:, 0], pixels(noise[:1024]), atol=1)
    assert not canvas(page, "#x0").any() and "unknown until" in page.inner_text("#stage")  # transparent
    assert page.locator("#load").is_visible() and page.locator("#way-png").is_hidden()
    assert "Once the network is loaded" in page.inner_text("#step-box") and page.locator("#step figure").count() == 0
    assert columns_end_together(page)  # no hole beside the controls
    assert "shown after the first one" in page.inner_text("#model-hint")
    other.page.close()


def test_a_step_taken_apart_adds_up(visit):
    visit.go("model=digits&steps=8&w=3&at=5")
    page = visit.page
    names = "[...document.querySelectorAll('#step figure')].map((f) => f.dataset.part)"
    assert page.evaluate(names) == ["now", "strong", "weak", "push", "estimate", "next"]
    for frame in visit.get("frames.slice(0, -1).map((f) => [f.x0, f.parts.weak, f.parts.push].map((i) => [...i]))"):
        x0, weak, push = map(np.array, frame)
        scale = max(1, np.abs(weak).max())  # far beyond [-1, 1] at high noise, where float32 has few digits left
        np.testing.assert_allclose(np.clip(weak + push, -1, 1), x0, rtol=0, atol=1e-5 * scale)
    shown = canvas(page, "#step figure[data-part=next] canvas")[:, 0]
    np.testing.assert_allclose(shown, pixels(visit.images()[6]), atol=1)
    assert "difference × 3" in page.inner_text("#step").replace("\xa0", " ")
    for w, part in ((0, "weak"), (1, "strong")):
        visit.go(f"model=digits&steps=8&w={w}")
        assert page.evaluate(names) == ["now", part, "estimate", "next"] and "One pass" in page.inner_text("#step-text")


def test_snow_at_the_first_step_is_explained_where_there_is_some(visit):
    visit.go("model=digits&steps=8&at=0")
    assert re.search(r"\d+ % of the estimate is plain black or white", visit.page.inner_text("#step-text"))
    visit.go("model=digits&steps=8")
    assert "black or white" not in visit.page.inner_text("#step-text")
    assert "estimate of the clean image" in visit.page.inner_text("#stage")


BESIDE = [("w", "1"), ("class", "8"), ("sampler", "dpm++"), ("steps", "5"), ("weights", "raw")]


@pytest.mark.parametrize("beside, other", BESIDE)
def test_two_pictures_start_from_one_noise_and_differ_in_one_thing(visit, beside, other):
    visit.go(f"model=digits&class=3&steps=8&w=4&beside={beside}&other={other.replace('+', '%2B')}&difference=1")
    page = visit.page
    a, b = visit.images(), np.array(page.evaluate("playground.page.other.map((f) => [...f.xt])"))
    np.testing.assert_array_equal(a[0], b[0])
    assert np.abs(a[-1] - b[-1]).max() > 0.01 and len(b) == (6 if beside == "steps" else 9)
    alone = {beside: other if beside in ("class", "sampler", "weights") else int(other)}
    if beside != "weights":  # sample() runs the first one's network
        drawn = page.evaluate("async (s) => [...await playground.sample(s)]", alone)
        np.testing.assert_array_equal(np.float32(drawn), np.float32(b[-1]))
    shown = canvas(page, "#apart")[:, 0]
    np.testing.assert_allclose(shown, pixels((a[-1] - b[-1]) / 2), atol=1)
    np.testing.assert_allclose(canvas(page, "#other")[:, 0], pixels(b[-1]), atol=1)
    assert page.locator("#x0").is_hidden() and "B: the classifier reads" in page.inner_text("#verdict")
    widths = page.evaluate("[...document.querySelectorAll('.track')].map((t) => t.getBoundingClientRect().width)")
    assert len(widths) == 20 and max(widths) - min(widths) < 0.5  # bars that can be compared


def test_a_picture_beside_that_makes_no_sense_is_none(visit):
    for wrong in ("beside=class&other=cat", "beside=w&other=much", "beside=steps&other=", "beside=mood&other=1"):
        visit.go(f"model=digits&steps=8&{wrong}")
        assert visit.get("settings.beside") == "" and visit.page.locator("#other").is_hidden()
    visit.page.select_option("#beside", "steps")
    visit.idle()
    assert visit.get("settings.other") == "5" and len(visit.get("other")) == 6


def test_a_class_leads_to_another_one(visit):
    visit.go("model=digits&steps=8&class=3&to=3&mix=0.5&strip=walk")
    assert (visit.get("settings.to"), visit.get("settings.mix")) == ("8", 0)
    assert "3" not in visit.page.locator("#to option").all_inner_texts()
    visit.page.locator("#class label", has_text="8").click()
    visit.idle()
    assert (visit.get("settings.class"), visit.get("settings.to")) == ("8", "3")


def test_the_film_brings_a_step_to_the_stage(visit):
    visit.go("model=digits&steps=1")
    assert visit.page.inner_text("#at-text") == "after 1 step" and "1 step in" in visit.page.inner_text("#status")
    visit.go("model=digits&steps=8")
    button = visit.page.locator("#film button[data-step='3']")
    button.focus()
    visit.page.keyboard.press("Enter")
    assert visit.get("at") == 3 and visit.get("settings.at") == 3 and button.get_attribute("aria-pressed") == "true"
    np.testing.assert_allclose(canvas(visit.page, "#xt")[:, 0], pixels(visit.images()[3]), atol=1)


def test_the_picture_stays_in_sight_and_the_columns_end_together(visit):
    page = visit.page
    page.set_viewport_size({"width": 1280, "height": 720})
    visit.go("model=digits&steps=8")
    page.locator("#sampler").evaluate("(e) => e.scrollIntoView({ block: 'end' })")
    box = page.locator("#xt").bounding_box()
    assert page.evaluate("scrollY") > 200 and box["y"] >= 0 and box["y"] + box["height"] < 720
    assert columns_end_together(page)
    page.set_viewport_size({"width": 1280, "height": 900})


def lesson_links(page):
    """Where the lessons link to it, (lesson, address) of each link."""
    found = []
    for lesson in sorted((gallery.ROOT / "lessons").glob("*.ipynb")):
        cells = nbformat.read(lesson, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        found += [(lesson.stem, link) for link in re.findall(rf"\]\(\.\./playground/{page}(#[^\s)]+)\)", text)]
    return found


def test_links_of_gallery_and_lessons_set_what_they_name(visit):
    links = [("gallery", link) for link in gallery.LIVE.values()] + lesson_links("index.html")
    assert {place for place, _ in links} == {"gallery"} | {f.stem for f in (gallery.ROOT / "lessons").glob("*.ipynb")}
    for place, link in links:
        told = visit.page.evaluate(
            """async (hash) => {
                const { fit, fromAddress } = await import("./settings.js");
                const asked = fromAddress(hash), { models } = playground.page.manifest;
                return fit(asked, models.find(({ name }) => name === asked.model)); }""",
            link,
        )
        for key, value in parse_qsl(link.removeprefix("#"), strict_parsing=True):
            assert key in told and str(told[key]) == value, (place, link, key)
    walks = {"path=linear", "path=spherical", "path=scores"}
    assert walks <= {part for _, link in links for part in link.split("&")}  # the lesson on them has each


def test_links_of_lessons_to_the_laboratory_set_what_they_name(lab):
    links = lesson_links("lab/index.html")
    assert len(links) > 3
    for place, link in links:
        told = lab.evaluate("async (hash) => (await import('./state.js')).fromAddress(hash)", link)
        for key, value in parse_qsl(link.removeprefix("#"), strict_parsing=True):
            assert key in told and str(told[key]).lower() == value, (place, link, key)


# What each answer says about its own link: an expression that must be true of the page.
BEST = "((r) => r.indexOf(Math.max(...r)))"
CLAIMS = [
    f"{BEST}(P.frames.at(-1).reading) === 8 && P.settings.class === '3' && P.settings.w === 0",
    f"{BEST}(P.other.at(-1).reading) !== 3 && P.frames.at(-1).reading[3] > 0.9 && ink(P.frames) > ink(P.other)",
    "P.at === 0 && grey(P.frames[0].x0) > 1.5 * grey(P.frames.at(-1).x0) && (await moved(3)) < 0.8",
    "apart(P.frames, P.other) < 0.05 && apart(P.frames, P.other) > 0.005",
    f"P.strip.readings.every((r, i) => {BEST}(r) === (i < 7 ? 3 : 8) && Math.max(...r) > 0.895)",
    "apart(P.frames, P.other) > 0.1 && P.frames[0].xt.every((x, i) => x === P.other[0].xt[i])",
]
TOOLS = """const P = playground.page, end = (frames) => frames.at(-1).xt;
    const mean = (values) => values.reduce((a, b) => a + b) / values.length;
    const ink = (frames) => mean(end(frames));
    const apart = (a, b) => mean(end(a).map((x, i) => Math.abs(x - end(b)[i]))) / 2;
    const grey = (image) => mean(image.map((x) => Number(Math.abs(x) < 0.7)));
    const { imageSteps } = await import("./generate.js");
    const distance = (a, b) => Math.hypot(...a.map((x, i) => x - b[i]));
    const moved = async (seed) => {  // by new noise: the first belief, as a share of the picture
        const beliefs = [];
        for await (const { x0 } of imageSteps(P.model, P.entry, { ...P.settings, seed })) beliefs.push(x0);
        return distance(beliefs[0], P.frames[0].x0) / distance(beliefs.at(-1), P.frames.at(-1).x0);
    };"""


def test_six_things_to_try_by_keyboard_alone_are_what_their_answers_say(visit):
    page = visit.page
    page.focus("#play")
    assert page.locator("#tries a").count() == len(CLAIMS) == 6

    def tab_to(test):
        for _ in range(60):
            if page.evaluate(f"(e => {test})(document.activeElement)"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"never reached: {test}")

    for i, claim in enumerate(CLAIMS):
        tab_to(f"e.closest('#tries li') === document.querySelectorAll('#tries li')[{i}] && e.matches('a')")
        page.keyboard.press("Enter")
        page.locator(f"#tries li:nth-child({i + 1}) a[aria-current=true]").wait_for(timeout=60_000)  # it has begun
        visit.idle()
        assert page.evaluate(f"(async () => {{ {TOOLS} return {claim}; }})()"), CLAIMS[i]
        answer = page.locator("#tries li").nth(i).locator("p")
        assert not answer.is_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert answer.is_visible() and len(answer.inner_text()) > 80
    assert page.inner_text("#error") == ""
