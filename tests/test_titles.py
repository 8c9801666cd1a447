"""Titles in figures are drawn as people write them, in any script that a font is there for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from test_figures import (
    AGAINST,
    COLLAPSE,
    KL,
    OVER_KL,
    VECTORS,
    arrays,
    behaviour,
    chosen,
    described,
    divergence,
    ranked,
    skill,
    slopes,
)

from snakesteer.core import plugins
from snakesteer.figures import fonts
from snakesteer.figures.drawing import draw_figure
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.style import LOOK

EQUAL = {"shown": [KL | {"table": "moved"}], "dose": OVER_KL, "at": [0.1, 0.6]}
SHOWN = ("curves", "layers", "points")
TITLE = "_US$ and Ke$$ha, C:\\new_x^2 \\$5 ~ 100 % {a} & #1"


def drawn(kind: str) -> Figure:
    """A figure of this kind in which everything that may have a title has `TITLE`."""
    table = behaviour()
    inputs = Inputs(
        skill=pd.concat([skill(layers=("2",)), skill("permuted", ("2",), "shuffled")]),
        behaviour=table,
        arrays=arrays(),
    )
    if kind == "simultaneous":
        inputs = Inputs(behaviour=table)
    if kind == "vectors":
        inputs = described()
    if kind == "points":
        inputs = Inputs(tables=[divergence(layers=("2",)), divergence("permuted", layers=("2",))])
    if kind in ("curves", "layers", "against"):
        inputs = Inputs(tables=[divergence(), divergence("permuted", layers=("2",)), skill()])
    names = [*table["behaviour"].unique(), "code", "text", *arrays(), *VECTORS]
    if kind == "interference":
        inputs = Inputs(tables=[divergence(sources=("code", "text"))])
    if kind == "equal-dose":
        inputs = Inputs(tables=[divergence("moved", ("code", "text")), divergence()])
    if kind == "chosen":
        inputs = chosen()
    if kind == "ranking":
        inputs = Inputs(ranking=ranked())
    if kind == "effects":
        inputs = Inputs(effects=slopes())
    settings: dict[str, Any] = {
        "title": TITLE,
        "labels": dict.fromkeys(names, TITLE),
        "titles": {"permuted": TITLE},
        "controls": ["permuted"],
        **COLLAPSE,
        **({"shown": [KL, KL | {"table": "permuted"}]} if kind in SHOWN else {}),
        **({"shown": [KL], "coefficient": 1, "layer": 2} if kind == "interference" else {}),
        **({"vectors": VECTORS} if kind == "vectors" else {}),
        **({"sweep": "grid", "unit": "logits"} if kind == "effects" else {}),
        **(OF_RANKING if kind == "ranking" else {}),
        **(EQUAL if kind == "equal-dose" else {}),
        **(AGAINST if kind == "against" else {}),
    }
    if kind != "distributions":
        settings["layers"] = [2]
    return plugins.load("figures", kind).draw(inputs, settings)[0]


OF_RANKING = {"unit": "nats", "titles": {"tested": TITLE, "ablated": TITLE}}


@pytest.mark.parametrize("kind", plugins.names("figures"))
def test_a_title_is_drawn_as_it_is_written(kind: str) -> None:
    with matplotlib.rc_context(LOOK):
        figure = drawn(kind)
        figure.draw_without_rendering()
    written = [text for text in figure.findobj(Text) if TITLE in text.get_text().replace("\n", " ")]
    assert len(written) >= {"tradeoff": 4, "combined": 4, "vectors": 1, "chosen": 2}.get(kind, 3)
    assert not any(text.get_parse_math() or text.get_usetex() for text in written)
    if kind in ("tradeoff", "simultaneous"):
        legend = [text.get_text() for text in figure.legends[0].get_texts()]
        assert TITLE in legend


def font(folder: Path, name: str, characters: str) -> str:
    """The path of a font file that has these characters, all drawn as the same square."""
    pen = TTGlyphPen(None)
    for move, point in (("moveTo", (0, 0)), ("lineTo", (0, 900)), ("lineTo", (900, 900))):
        getattr(pen, move)(point)
    pen.closePath()
    glyphs = [".notdef", *(f"u{ord(character):04X}" for character in characters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap(dict(zip(map(ord, characters), glyphs[1:], strict=True)))
    builder.setupGlyf(dict.fromkeys(glyphs, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable(
        {"familyName": name, "styleName": "Regular", "psName": name.replace(" ", "")}
    )
    builder.setupOS2()
    builder.setupPost()
    path = folder / f"{name.replace(' ', '')}-Regular.ttf"
    builder.save(path)
    return str(path)


def test_characters_that_the_font_lacks_come_from_one_that_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Damaged-Regular.ttf").write_bytes(b"no font")
    installed = [
        font(tmp_path, "Some Serif", "中文档"),
        font(tmp_path, "Some Sans", "中文"),
        font(tmp_path, "LastResort", "中文档ไทย"),
        str(tmp_path / "Damaged-Regular.ttf"),
    ]
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: installed)
    monkeypatch.setattr(fontManager, "ttflist", list(fontManager.ttflist))
    assert fonts.families_for(["Plain", "naïve ☃"], "DejaVu Sans") == ["DejaVu Sans"]
    assert fonts.families_for(["中文", "x"], "DejaVu Sans") == ["DejaVu Sans", "Some Sans"]
    both = ["DejaVu Sans", "Some Sans", "Some Serif"]
    assert fonts.families_for(["中文 文档"], "DejaVu Sans") == both
    assert capfd.readouterr().err == ""
    settings = {"title": "Tax", "labels": {"myopia": "ไทย 中文"}, **COLLAPSE}
    draw_figure("simultaneous", Inputs(behaviour=behaviour()), settings, tmp_path / "f")
    assert capfd.readouterr().err == (
        "Note: The title 'ไทย 中文' is drawn with boxes, as no installed font has 'ทยไ'; install "
        "a font for that script, such as Noto Sans.\n"
    )
    assert b"SomeSans" in (tmp_path / "f.pdf").read_bytes()
