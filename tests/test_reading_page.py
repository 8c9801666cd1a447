"""The tables of docs/reading.md show the very tokens that each position names."""

from __future__ import annotations

import re

import pytest
from conftest import REPOSITORY

from snakesteer.engine.positions import places_of
from snakesteer.prompts import marks
from snakesteer.prompts.formats import Format, render
from snakesteer.prompts.marks import How
from snakesteer.prompts.passages import letter, passage
from snakesteer.prompts.positions import Positions, places
from snakesteer.prompts.tokens import load_tokenizer
from snakesteer.prompts.which_tokens import From, Steered

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

STEERED: dict[str, Steered] = {
    "all": "all",
    "last": "last",
    "-2": -2,
    "after_instruction": "after_instruction",
    "prompt": "prompt",
    "completion": "completion",
    '{from: "[/INST]"}': From("[/INST]", "from"),
    '{from_last_of: "[/INST]"}': From("[/INST]", "from_last_of"),
    '{after: "[/INST]"}': From("[/INST]", "after"),
}


def steered_table() -> str:
    """The tokens of a question whose answer is begun, and those that are steered."""
    tokenizer = load_tokenizer(REPOSITORY / "resources" / "models" / "miniature-chat")
    question = {"question": "0", "prompt": PROMPT, "matching": "(A)", "not_matching": "(B)"}
    how = How(Format("[INST] {prompt} [/INST] "), steered=tuple(STEERED.values()))
    _, text = marks.question(tokenizer, question, how, "(")
    columns = marks.columns([text])
    shown = [f"`{token.replace('Ġ', '␣')}`" for token in tokenizer.convert_ids_to_tokens(text.ids)]
    lines = ["| `positions` | tokens |", "| --- | --- |"]
    for name, positions in STEERED.items():
        places = places_of(text.ids, columns, positions)
        changed = shown if places is None else [shown[place] for place in places]
        lines.append(f"| `{name}` | {' '.join(changed)} |")
    return "\n".join(lines)


def on_the_page(mark: str) -> str:
    """A table of the page."""
    found = re.search(
        rf"<!-- {mark} -->\n(.*?)\n<!-- end -->", PAGE.read_text(encoding="utf-8"), re.S
    )
    assert found, mark
    return found[1]


def test_the_page_shows_the_tokens_that_are_steered() -> None:
    assert on_the_page("steered") == steered_table()


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
    assert on_the_page(mark) == table(answer, names)


def test_the_page_names_every_position() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in ("last", "-k", "[-k, …]", *list(POSITIONS)[3:]):
        assert f"| `{name}` | " in page
    for name in ("all", "last", "-k", *list(STEERED)[3:6], "{from: MARKER}", "{after: MARKER}"):
        assert f"| `{name}` | " in page
