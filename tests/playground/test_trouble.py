"""The playground when things go wrong: no network, half a network, a file on a disk."""

from playground.build import HERE


def test_without_a_network_the_old_picture_stays_under_its_own_name_and_can_be_tried_again(site, visit_another):
    visit = visit_another(f"{site}#model=digits&steps=8&w=2")
    page, picture = visit.page, visit.images()
    page.route("**/*", lambda route: route.abort())
    page.select_option("#model", "digits28")
    visit.idle()
    assert "digits28 could not be loaded: the server did not answer" in page.inner_text("#error")
    assert "Download" not in page.inner_text("#status") and page.inner_text("#load") == "Try again"
    assert page.input_value("#model") == "digits" and visit.get("settings.model") == "digits"
    assert (visit.images() == picture).all() and page.locator("#way").is_visible()
    page.click("#load")  # in vain, and the button stays
    visit.idle()
    assert page.locator("#load").is_visible() and page.inner_text("#error") != ""
    page.fill("#seed", "7")  # what is here still works
    visit.idle()
    assert page.inner_text("#error") == "" and (visit.images()[0] != picture[0]).any()
    page.select_option("#model", "digits28")
    visit.idle()
    page.unroute("**/*")
    page.click("#load")
    visit.idle()
    assert visit.get("shown.model") == "digits28" and len(visit.images()) == 9
    assert page.inner_text("#error") == "" and page.locator("#load").is_hidden()
    page.close()


def test_a_first_model_that_does_not_come_can_be_tried_again_and_so_can_the_classifier(site, visit_another):
    def without(page):
        page.route("**/*.onnx", lambda route: route.abort())

    visit = visit_another(f"{site}#model=digits&steps=8", before=without)
    page = visit.page
    assert "digits could not be loaded" in page.inner_text("#error") and page.inner_text("#status") == ""
    page.unroute("**/*.onnx")
    page.route("**/*classifier.onnx", lambda route: route.abort())
    page.click("#load")
    visit.idle()
    assert len(visit.images()) == 9 and "The classifier could not be loaded" in page.inner_text("#error")
    assert page.locator("#reading").is_hidden()
    page.unroute("**/*classifier.onnx")
    page.fill("#seed", "7")
    visit.idle()
    assert page.locator("#reading").is_visible() and page.inner_text("#error") == ""
    page.close()


def test_without_scripts_it_says_what_it_needs(site, browser):
    """As where a notebook's viewer shows the file."""
    page = browser.new_page(java_script_enabled=False)
    page.goto(site)
    assert page.locator("noscript").is_visible() and "make playground ARGS=--serve" in page.inner_text("noscript")
    page.close()


def test_opened_from_a_disk_it_says_why_it_stands_still(browser):
    page = browser.new_page()
    page.goto((HERE / "index.html").as_uri())
    assert "cannot run from a file" in page.inner_text("#error")
    assert "python3 -m http.server" in page.inner_text("#error") and page.locator("#right").is_hidden()
    page.close()
