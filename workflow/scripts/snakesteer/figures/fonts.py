"""Fonts for titles in scripts that the figures' own font does not have."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from matplotlib.font_manager import findfont, findSystemFonts, fontManager
from matplotlib.ft2font import FT2Font

from snakesteer.core.notes import note


def families_for(titles: Iterable[str], family: str) -> list[str]:
    """The font families that show the titles: `family`, and what is installed for what it lacks.

    A title that no installed font shows is noted in the log.
    """
    families = [family]
    characters = {title: _characters(title) for title in titles}
    lacking = set().union(*characters.values()) - set(FT2Font(findfont(family)).get_charmap())
    for path in sorted(findSystemFonts(), key=_preference) if lacking else []:
        if found := lacking & _outlines(path):
            fontManager.addfont(path)
            families.append(FT2Font(path).family_name)
            lacking -= found
        if not lacking:
            break
    for title, codes in characters.items():
        if boxes := "".join(map(chr, sorted(codes & lacking))):
            note(
                f"The title {title!r} is drawn with boxes, as no installed font has {boxes!r}; "
                "install a font for that script, such as Noto Sans."
            )
    return families


def _characters(title: str) -> set[int]:
    """The code points of a title that a font draws."""
    return {ord(character) for character in title if unicodedata.category(character)[0] != "C"}


def _preference(path: str) -> tuple[bool, bool, str]:
    """Sort key of font files: sans serif first, then regular ones, then by name."""
    name = Path(path).stem
    return "Sans" not in name, "Regular" not in name, path


def _outlines(path: str) -> set[int]:
    """The code points for which a font file has outlines; none if it cannot be read, is of bitmaps
    only, or stands in for all characters with boxes."""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):
        return set()
    return set(font.get_charmap()) if font.scalable and "LastResort" not in path else set()
