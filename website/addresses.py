"""Where the course lives in public: links that appear once `site_url` and `repo_url` in mkdocs.yml are filled in.

Colab and Binder open notebooks of GitHub repositories alone; of any other host's, only "edit this page" appears.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from website.fingerprint import ROOT

BRANCH = "main"
GITHUB = re.compile(r"https://github\.com/([^/]+/[^/]+?)(\.git)?/?")


def setting(name: str) -> str:
    """`site_url` or `repo_url` as mkdocs.yml has it, without a slash at its end; "" where it is not filled in."""
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    return (settings.get(name) or "").rstrip("/")


def notebook_links(notebook: str, repo_url: str) -> str:
    """Markdown that opens a notebook (its path in the repository) on Colab and on Binder; "" where neither can."""
    if not (found := GITHUB.fullmatch(repo_url)):
        return ""
    colab = f"https://colab.research.google.com/github/{found[1]}/blob/{BRANCH}/{notebook}"
    binder = f"https://mybinder.org/v2/gh/{found[1]}/{BRANCH}?labpath={notebook}"
    clone = f"`!git clone https://github.com/{found[1]} course`"
    return (
        f"Open it [on Colab]({colab}) (add a first cell that runs {clone}, and set "
        f'`COURSE = "course"`) or [on Binder]({binder}).'
    )


def source_of(page: str) -> str | None:
    """The file of the repository that a page of the site was made from; None for what the build writes itself."""
    for source in (page, page.removesuffix(".md") + ".ipynb"):
        if (ROOT / source).is_file():
            return source
    return None


def on_page_context(context: dict[str, Any], page: Any, config: Any, nav: Any) -> None:
    """Called by mkdocs for every page: "edit this page" leads to the file in the repository, or is not there."""
    source = source_of(page.file.src_uri)
    known = bool(config.repo_url) and source is not None
    page.edit_url = f"{config.repo_url.rstrip('/')}/edit/{BRANCH}/{source}" if known else None
