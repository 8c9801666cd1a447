"""The tables of docs/reading.md show the very tokens that each position names."""

from __future__ import annotations

import re

import pytest
from conftest import REPOSITORY

from snakesteer.prompts.formats import Format, render
from snakesteer.prompts.passages import letter, passage
from snakesteer.prompts.positions import Positions, places
from snakesteer.prompts.tokens import load_tokenizer

PAGE = REPOSITORY / "docs" / "reading.md"
PROMPT, ANSWER = "What do you like?", "(A)"
POSITIONS: dict[str, Positions] = {
    "last": "last",
    "-2": -2,
    "[-3, -1]": [-3, -1],
    "letter": "letter",
    "after_instruction": "after_instruction",
    "{mean: completion}": {"mean": "completion"},
    "{mean: document}": {"mean": "document"},
}


def table(answer: str, names: list[str]) -> str:
    """The tokens of the example, and those at each of the positions."""
    tokenizer = load_tokenizer(REPOSITORY / "resources" / "models" / "miniature-chat")
    text = passage(tokenizer, render(tokenizer, Format("[INST] {prompt} [/INST] "), PROMPT, answer))
    at_letter = letter(tokenizer, text, answer, "it") if answer else None
    shown = [f"`{token.replace('Ġ', '␣')}`" for token in tokenizer.convert_ids_to_tokens(text.ids)]
    lines = ["| `positions` | tokens |", "| --- | --- |", f"| (all) | {' '.join(shown)} |"]
    for name in names:
        read = [shown[place] for place in places(text, POSITIONS[name], "it", at_letter)]
        lines.append(f"| `{name}` | {' '.join(read)} |")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("mark", "answer", "names"),
    [
        ("answered", ANSWER, list(POSITIONS)),
        ("asked", "", ["last", "[-3, -1]", "after_instruction"]),
    ],
)
def test_the_page_shows_the_tokens_of_each_position(
    mark: str, answer: str, names: list[str]
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"<!-- {mark} -->\n(.*?)\n<!-- end -->", page, re.S)
    assert found, page
    assert found[1] == table(answer, names)


def test_the_page_names_every_position() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in ("last", "-k", "[-k, …]", *list(POSITIONS)[3:]):
        assert f"| `{name}` | " in page
