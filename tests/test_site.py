"""The site of docs/: what is laid out for it, before `make site` builds it, strictly."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from conftest import REPOSITORY

import pages

FOLDER = REPOSITORY / "docs" / "site"


SCRIPT = runpy.run_path(str(FOLDER / "lay_out.py"))
ON_GITHUB = """\
Directly below
- one

      make
  - within
    wrapped

    more
- two

Text
| a |
| --- |

10. ten

        code
"""
ON_THE_SITE = """\
Directly below

- one

        make
    - within
        wrapped

        more
- two

Text

| a |
| --- |

10. ten

        code
"""


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "pages"
    SCRIPT["lay_out"](REPOSITORY, folder)
    return folder


def test_lists_become_those_of_python_markdown() -> None:
    wide = SCRIPT["with_wide_lists"](ON_GITHUB)
    assert [line.rstrip() for line in wide.split("\n")] == ON_THE_SITE.split("\n")


def test_links_stay_within_the_site(laid_out: Path) -> None:
    for page in laid_out.rglob("*.md"):
        for link in pages.links(str(page)):
            path = link.partition("#")[0]
            if path and not re.match(r"\w+:", link):
                target = (page.parent / path).resolve()
                assert target.is_file() and target.is_relative_to(laid_out), (page, link)


def test_every_page_has_its_place_in_the_order(laid_out: Path) -> None:
    ordered = re.findall(r"^ +- .*: (\S+\.md)$", (FOLDER / "mkdocs.yml").read_text(), re.M)
    there = {page.relative_to(laid_out).as_posix() for page in laid_out.rglob("*.md")}
    assert sorted(ordered) == sorted(there)


def test_a_page_is_as_it_was_but_for_its_links_and_lists(laid_out: Path) -> None:
    text = (laid_out / "papers" / "caa.md").read_text()
    assert "(../config/papers/caa-published.yaml)" in text
    before = (REPOSITORY / "docs" / "papers" / "caa.md").read_text()
    assert text.replace("(../config/", "(../../config/").split() == before.split()
    assert "](docs/" not in (laid_out / "index.md").read_text()


def test_pins_are_none_that_others_set_otherwise() -> None:
    """They are installed into the same environment."""
    pins = []
    for name in ("requirements.txt", "requirements-test.txt", "requirements-site.txt"):
        lines = (REPOSITORY / "envs" / name).read_text().lower().replace("_", "-")
        pins += re.findall(r"^([\w.-]+)==", lines, re.M)
    assert len(pins) == len(set(pins)) and "mkdocs" in pins
