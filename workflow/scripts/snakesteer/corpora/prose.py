"""Prose paragraphs out of docstrings, comments and plain-text files."""

from __future__ import annotations

import inspect
import re

FEWEST_WORDS = 12
LEAST_LETTERS = 0.93
LEAST_STOP_WORDS = 0.28
MOST_CODE_WORDS = 0.06

STOP_WORDS = frozenset(
    """
    a all also and any are as at be but by can do does each for from has have if in into is
    it its may no not of on one only or other our should so such than that the then there
    these they this to use used was we were when which will with you your
    """.split()
)

_PARAGRAPHS = re.compile(r"\n\s*\n")
_INDENTED = re.compile(r"^[ \t]{2,}\S", re.MULTILINE)
_MARKED = re.compile(r"\s*(?:>>>|\.\.|:|@|[-*|#+=~]|\d+[.)])")
_RULERS = ("----", "====", "~~~", ">>>", "____", "****")
_ROLE = re.compile(r":[a-z:]+:`~?\.?([^`<]*?)\s*(?:<[^`]*>)?`")
_QUOTED = re.compile(r"`+([^`]*)`+_*")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_OPENING = re.compile(r"[\"'(]?[A-Z]")
_CODE_WORD = re.compile(r"[_=<>{}\[\]/\\]|\w\(|\w\.\w")


def paragraphs(text: str) -> list[str]:
    """The paragraphs of ``text`` that read as English prose, each on one line, markup stripped.

    A paragraph is kept that has at least 12 words, opens with a capital, ends in ``. ! ? :``, is
    made of at least 93 % letters, spaces and light punctuation, at least 28 % stop words and at
    most 6 % code-like words, and that is neither indented nor a list, a prompt or a table.
    """
    kept = []
    for block in _PARAGRAPHS.split(inspect.cleandoc(text)):
        if len(block) < 4 * FEWEST_WORDS or _MARKED.match(block) or _INDENTED.search(block):
            continue
        if any(ruler in block for ruler in _RULERS):
            continue
        line = _LINK.sub(r"\1", _QUOTED.sub(r"\1", _ROLE.sub(r"\1", block)))
        line = " ".join(line.replace("*", "").split())
        if is_prose(line):
            kept.append(line)
    return kept


def is_prose(line: str) -> bool:
    words = line.split()
    if len(words) < FEWEST_WORDS or not _OPENING.match(line) or line[-1] not in ".!?:":
        return False
    if sum(c.isalpha() or c in " ,.'" for c in line) < LEAST_LETTERS * len(line):
        return False
    plain = (word.strip(".,;:()\"'").lower() for word in words)
    if sum(word in STOP_WORDS for word in plain) < LEAST_STOP_WORDS * len(words):
        return False
    code_like = sum(_CODE_WORD.search(word) is not None for word in words)
    return code_like <= MOST_CODE_WORDS * len(words)
