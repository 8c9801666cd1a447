"""Lays the pages of the site out, with links that lead within it.

On GitHub README.md links to `docs/study.md`, and a page in docs/ to `../config/miniature.yaml`. The
site has README.md, as index.md, CHANGELOG.md and CONTRIBUTING.md next to the pages of docs/, and a
copy of every other file that a page links to. Lists are written as Python-Markdown, which MkDocs
uses, needs them to show what GitHub shows.
"""

from __future__ import annotations

import os.path
import re
import shutil
import sys
from pathlib import Path

from markdown_it import MarkdownIt

ROOT_PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
# A link, not an image: its words and its path.
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#]+)\)")
# What begins an item of a list.
MARK = re.compile(r" *(?:[-*+]|\d+[.)]) *")
# The path that a link or an image leads to, in Markdown or HTML; its anchor stays outside.
PATH = re.compile(r"""(?:(?<=\]\()|(?<=\bsrc=")|(?<=\bhref="))[^)\s"#]+""")


def lay_out(repository: Path, pages: Path) -> None:
    """Write all pages, and the files that they link to, into an empty folder `pages`."""
    shutil.rmtree(pages, ignore_errors=True)
    copy(repository / "docs" / "site" / "site.css", pages / "site.css")
    for name in [*ROOT_PAGES, *sorted((repository / "docs").rglob("*.md"))]:
        source = repository / name
        text = source.read_text(encoding="utf-8")
        for file in linked_files(text, source):
            copy(file, pages / place(file, repository))
        page = pages / place(source, repository)
        page.parent.mkdir(parents=True, exist_ok=True)
        text = with_links_of_the_site(with_wide_lists(text), source, repository)
        page.write_text(text, encoding="utf-8")


def linked_files(text: str, source: Path) -> list[Path]:
    """The files, other than pages, that the text of `source` links to."""
    targets = [target_of(path, source) for path in PATH.findall(text)]
    return [target for target in targets if target.is_file() and target.suffix != ".md"]


def with_links_of_the_site(text: str, source: Path, repository: Path) -> str:
    """The text of `source`, whose links to files of the repository stay within the site.

    A folder has no page there: of a link to one the words stay.
    """
    folder = place(source, repository).parent

    def words(found: re.Match[str]) -> str:
        return found[1] if target_of(found[2], source).is_dir() else found[0]

    def path(found: re.Match[str]) -> str:
        target = target_of(found[0], source)
        if not target.is_file():
            return found[0]  # an address, or a mistake that the build reports
        return Path(os.path.relpath(place(target, repository), folder)).as_posix()

    return PATH.sub(path, LINK.sub(words, text))


def with_wide_lists(text: str) -> str:
    """The text with the content of lists four columns in, and a line before lists and tables."""
    lines = text.split("\n")
    within: list[list[int]] = [[] for _ in lines]  # of each line the columns of each list around it
    begun = set()
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.map and token.type == "list_item_open":
            first, end = token.map
            mark = MARK.match(lines[first][sum(within[first]) :])
            assert mark
            for line in range(first + 1, end):
                within[line].append(mark.end())
        elif token.map and token.level == 0 and token.type.endswith(("list_open", "table_open")):
            begun.add(token.map[0])
    wide = []
    for number, line in enumerate(lines):
        if number in begun and wide and wide[-1].strip():
            wide.append("")
        columns = sum(within[number])
        if not line[:columns].strip():
            line = "    " * len(within[number]) + line[columns:]
        wide.append(line)
    return "\n".join(wide)


def target_of(path: str, source: Path) -> Path:
    """The file that a path in `source` leads to."""
    return Path(os.path.normpath(source.parent / path))


def place(file: Path, repository: Path) -> Path:
    """Where a file of the repository stands in the site."""
    inside = file.relative_to(repository)
    if inside == Path("README.md"):
        return Path("index.md")
    if inside.parts[0] == "docs":
        return Path(*inside.parts[1:])
    return inside


def copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)


if __name__ == "__main__":
    lay_out(Path(__file__).resolve().parents[2], Path(sys.argv[1]).resolve())
