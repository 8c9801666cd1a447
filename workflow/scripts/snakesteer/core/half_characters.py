"""Halves of characters in texts, which are no Unicode and cannot be written."""

from __future__ import annotations


def half_a_character(text: str) -> str:
    """The first half of a character, as JSON can hold one of the two that UTF-16 writes it with; ""
    if there is none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return ascii(text[error.start])
    return ""
