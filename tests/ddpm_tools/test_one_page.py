"""A page of modules as one file; that the laboratory runs as one is tested in Chromium (tests/playground)."""

import shutil
import subprocess

import pytest

from ddpm_tools.reports.one_page import LAB, as_function, modules, one_page

PAGE = """<meta content="script-src 'self'" /><!-- links -->
<link rel="stylesheet" href="s.css" /><script type="module" src="app.js"></script>"""


def written(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    (folder / "page.html").write_text(PAGE, encoding="utf-8")
    (folder / "s.css").write_text("p { color: red; }", encoding="utf-8")
    return folder / "page.html"


def test_modules_keep_their_scopes_and_see_what_they_import(tmp_path):
    page = written(
        tmp_path,
        one='const hidden = 1;\nexport const shown = hidden + 1;\nexport function* twice(x) { yield x; yield x; }\n',
        two='import { shown as first, twice } from "./one.js";\nconst hidden = 10;\n'
        "export const all = [...twice(first + hidden)];\nexport const unused = '</script>';\n",
        app='import * as two from "./two.js";\nimport { shown } from "./one.js";\nconsole.log(two.all, shown);\n',
    )  # fmt: skip
    html = one_page(page, [("Home", "../index.html")])
    assert [file.stem for file in modules(tmp_path / "app.js")] == ["one", "two", "app"]
    assert "p { color: red; }" in html and '<a href="../index.html">Home</a>' in html and "'self'" not in html
    assert html.count("</script>") == 1  # what a module says does not end the script
    code = html.split('<script type="module">')[1].split("</script>")[0]
    if shutil.which("node"):
        run = subprocess.run(["node", "-e", code], capture_output=True, text=True)
        assert run.stdout.strip() == "[ 12, 12 ] 2", run.stderr


def test_what_cannot_be_joined_is_named(tmp_path):
    page = written(tmp_path, app='import { a } from "./gone.js";\n')
    with pytest.raises(ValueError, match=r"app\.js imports gone\.js, which is missing"):
        one_page(page)
    written(tmp_path, app="const a = 1;\nexport default a;\n")
    with pytest.raises(ValueError, match="cannot bundle 'export default a;'"):
        as_function(tmp_path / "app.js", {tmp_path / "app.js": 0})
    page.write_text("<p>No script.</p>", encoding="utf-8")
    with pytest.raises(ValueError, match="one style sheet and one module script"):
        one_page(page)


def test_the_laboratory_is_one_file_that_names_no_other():
    html = one_page(LAB)
    assert not [word for word in ('src="', "http:", "https:", 'rel="stylesheet"', "<!-- links -->") if word in html]
