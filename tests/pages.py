"""The pages of the documentation, read as Markdown: blocks of code, links, anchors, sentences."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from conftest import REPOSITORY
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT_PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "config/README.md"]
PAGES = ROOT_PAGES + [
    path.relative_to(REPOSITORY).as_posix() for path in sorted((REPOSITORY / "docs").rglob("*.md"))
]


@dataclass(frozen=True)
class Block:
    """A block of code: the page, its first line there (from 1), its language ("" if indented)."""

    page: str
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """Its page and its first words, five at most, by which tests speak of it."""
        first = re.sub(" +#.*", "", self.text.strip().splitlines()[0])
        return f"{self.page}: {' '.join(first.split()[:5])}"


@functools.cache
def tokens(page: str) -> list[Token]:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    return MarkdownIt("commonmark").enable("table").parse(text)


def blocks(page: str) -> list[Block]:
    """All blocks of code of a page, fenced or indented."""
    found = []
    for token in tokens(page):
        if token.type in ("fence", "code_block"):
            assert token.map
            found.append(Block(page, token.map[0] + 1, token.info.strip(), token.content))
    return found


def inline_code(page: str) -> list[str]:
    return [part.content for part in _inline(page) if part.type == "code_inline"]


def links(page: str) -> list[str]:
    """Where the links and images of a page lead."""
    found = []
    for part in _inline(page):
        target = part.attrs.get("href" if part.type == "link_open" else "src")
        if target is not None:
            found.append(str(target))
        if part.type == "html_inline":
            found += re.findall(r'(?:href|src)="([^"]*)"', part.content)
    for token in tokens(page):
        if token.type == "html_block":
            found += re.findall(r'(?:href|src)="([^"]*)"', token.content)
    return found


def _inline(page: str) -> list[Token]:
    return [part for token in tokens(page) for part in token.children or []]


@functools.cache
def anchors(page: str) -> set[str]:
    """What the headings of a page are linked by, as GitHub makes it."""
    found: dict[str, int] = {}
    named = set()
    for before, token in zip(tokens(page), tokens(page)[1:], strict=False):
        if before.type != "heading_open":
            continue
        slug = re.sub(r"[^\w -]", "", _text(token, code=True).lower()).replace(" ", "-")
        times = found.get(slug, 0)
        found[slug] = times + 1
        named.add(f"{slug}-{times}" if times else slug)
    return named


def sentences(page: str) -> list[str]:
    """The sentences of paragraphs and lists, not of tables; a piece of code counts as a word."""
    found = []
    for before, token in zip(tokens(page), tokens(page)[1:], strict=False):
        if before.type == "paragraph_open":
            parts = re.split(r"(?<=[.!?:])\s+", _text(token, code=False))
            found += [part for part in parts if part.strip()]
    return found


def _text(token: Token, code: bool) -> str:
    """The words of a paragraph or heading."""
    words = []
    for part in token.children or []:
        if part.type == "text" or (part.type == "code_inline" and code):
            words.append(part.content)
        elif part.type == "code_inline":
            words.append("code")
        elif part.type in ("softbreak", "hardbreak"):
            words.append(" ")
    return "".join(words)
