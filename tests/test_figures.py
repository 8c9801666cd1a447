"""Every kind of figure: drawn, reproducible to the byte, and with the table's own numbers."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.colors
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from effect_rows import COEFFICIENTS, injected, job, questions, rows
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.container import ErrorbarContainer

from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.figures.drawing import draw_figure, notes_of
from snakesteer.figures.inputs import Inputs
from snakesteer.figures.style import LOOK, PALETTE, signed
from snakesteer.reports.columns import column_of, single
from snakesteer.tables.next_token import ACCURACIES, SKILL_COLUMNS
from snakesteer.tables.slopes import EffectsJob, effects
from snakesteer.tables.two_choice import score_counts
from snakesteer.vectors.described import cosines, of_draws, of_layers
from snakesteer.vectors.samples import Samples

BEHAVIOURS = ["myopia", "wealth-seeking", "anti-immigration"]
COLLAPSE = {"collapse": 0.95}


def skill(sweep: str = "code", layers=("2", "10", "2+4"), vector: str = "text-code"):
    """A skill table whose accuracies fall with the coefficient."""
    rows = []
    for layer in layers:
        for coefficient in (0.0, 1.0, 2.0, 4.0):
            for corpus, role, loss in (("code", "target", 0.2), ("text", "other", 0.08)):
                row = dict.fromkeys(SKILL_COLUMNS, 0.5)
                row |= {"sweep": sweep, "vector": vector, "layer": layer, "corpus": corpus}
                row |= {"coefficient": coefficient, "role": role, "documents": 9, "tokens": 999}
                row |= {"unsteered": coefficient == 0}
                for accuracy in ACCURACIES:
                    relative = 1 - loss * coefficient - 0.001 * len(layer + accuracy)
                    for prefix, value in (("", 0.4 * relative), ("relative_", relative)):
                        row[f"{prefix}{accuracy}"] = value
                        row[f"{prefix}{accuracy}_low"] = value - 0.02
                        row[f"{prefix}{accuracy}_high"] = value + 0.03
                rows.append(row)
    return pd.DataFrame(rows)


def behaviour() -> pd.DataFrame:
    """A behaviour table with every kind, faulty and collapsed cells, and a column that ended."""
    generator = np.random.default_rng(0)
    rows = []

    def add(kind, layer, direction, coefficient, name, combine="", weighted=False, faulty=0):
        rows.append(
            {
                "sweep": kind,
                "kind": kind,
                "vector": name,
                "layer": layer,
                "direction": direction,
                "combine": combine,
                "weighted": weighted,
                "coefficient": coefficient,
                "behaviour": name,
                "split": "validation" if kind == "grid" else "test",
                "questions": 200,
                "matches": int(generator.integers(0, 190 - faulty)),
                "faulty": faulty,
                "majority": 0.97 if abs(coefficient) == 3 else 0.6,
            }
        )

    for name in BEHAVIOURS:
        for layer in ("2", "10"):
            for kind in ("grid", "single"):
                add(kind, layer, "default", 0.0, name)
                add(kind, layer, "add", 1.0, name, faulty=4)
                add(kind, layer, "subtract", -1.0, name)
            add("grid", layer, "add", 2.0, name, faulty=11 if layer == "2" else 10)
            for combine in ("mean", "sum"):
                for weighted in (False, True):
                    for direction in ("add", "subtract"):
                        faulty = 50 if combine == "sum" and weighted else 0
                        add("combined", layer, direction, 1.0, name, combine, weighted, faulty)
        add("grid", "10", "add", 3.0, name)
        for coefficient in np.linspace(-2, 2, 9):
            direction = "default" if coefficient == 0 else "add" if coefficient > 0 else "subtract"
            faulty = 6 if coefficient == 1 else 5 if coefficient == 2 else 0
            add("simultaneous", "2+4+5", direction, float(coefficient), name, faulty=faulty)
    nothing = ["propensity", "propensity_low", "propensity_high", "choice_mass"]
    counts = pd.DataFrame(rows).assign(**dict.fromkeys(nothing, np.nan))
    return score_counts(counts, COLLAPSE["collapse"])


def divergence(sweep: str = "dose", sources=("code",), layers=("2", "10")) -> pd.DataFrame:
    """A table of divergence that grows with the square of the coefficient."""
    rows = []
    for layer in layers:
        for coefficient in (-2.0, -1.0, 0.0, 1.0, 2.0, 4.0):
            for place, source in enumerate(sources):
                kl = coefficient**2 * (0.1 + 0.05 * place) * (1 + len(layer))
                row = {"sweep": sweep, "vector": "text-code", "layer": layer, "source": source}
                row |= {"coefficient": coefficient, "samples": 9, "kl": kl, "kl_p95": 2 * kl}
                row |= {"unsteered": coefficient == 0}
                rows.append(row | {"kl_low": 0.8 * kl, "kl_high": 1.3 * kl})
    return pd.DataFrame(rows)


def of_points() -> tuple[Inputs, dict]:
    """Two models, of which one has a sweep for each sign of the coefficient."""
    signs = {"added": 1, "subtracted": -1, "other": 0}
    tables = []
    for name, sign in signs.items():
        table = divergence(name, ("code", "text"), ("2",))
        tables.append(table[table["coefficient"] * sign >= 0])
    titles = {"added": "One model", "subtracted": "One model", "other": "Another"}
    return Inputs(tables=tables), {"shown": [KL | {"table": t} for t in signs], "titles": titles}


def crossed(vectors: list[str] | None = None) -> pd.DataFrame:
    """Matching scores of all behaviours under each vector, which moves its own; a curve ended."""
    generator = np.random.default_rng(7)
    rows = []
    for vector in vectors or BEHAVIOURS:
        for layer in ("3", "5"):
            for coefficient in (0.0, 0.5, -0.5):
                for name in BEHAVIOURS:
                    moved = 60 * coefficient if name == vector else 0
                    change = generator.integers(-25, 25) + moved if coefficient else 0
                    row = dict.fromkeys(("propensity", "propensity_low", "propensity_high"), np.nan)
                    row |= {"sweep": "crossed", "kind": "grid", "vector": vector, "layer": layer}
                    row |= {"direction": "add" if coefficient else "default", "combine": ""}
                    row |= {"weighted": False, "coefficient": coefficient, "behaviour": name}
                    row |= {"split": "test", "questions": 200, "matches": 100 + change}
                    row |= {"faulty": 0, "majority": 0.6, "choice_mass": np.nan}
                    rows.append(row)
    table = score_counts(pd.DataFrame(rows), COLLAPSE["collapse"])
    ended = (table["vector"] == "myopia") & (table["layer"] == "3") & (table["coefficient"] > 0)
    return table[~(ended & (table["behaviour"] == "anti-immigration"))]


SCORE = {"table": "crossed", "column": "score", "source": None, "label": "Matching score"}
OWN = {name: name for name in BEHAVIOURS}
KL = {"table": "dose", "column": "kl", "source": None, "label": "KL (nats)", "better": "lower"}
OVER_KL = {"axis": "kl", "label": "KL (nats)", "source": None, "share": []}
OVER_KL |= {"kl": {"moved": ["dose"]}}
TOP1 = {"table": "code", "column": "relative_top1", "source": "text", "label": "Top-1 accuracy"}
AGAINST = {"x": KL, "y": TOP1 | {"better": "higher"}}


def arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(3)
    names = ["all", "text", "code", "python"]
    return {name: generator.standard_t(3, size=(6, 64)) for name in names}


def described(positions: dict[str, list[int]] | None = None, draws: int = 0) -> Inputs:
    """Four vectors in numbers, of pairs; with `positions` some have several, with `draws` one is as
    long as another and has so many."""
    generator = np.random.default_rng(5)
    pairs = {name: generator.normal(size=(20, 12, 16)) for name in ("matching", "not_matching")}
    samples = {"of": [Samples(pairs)]}
    made = {name: generator.normal(size=(12, 16)) for name in ("syco", "probe", "random", "none")}
    made["probe"] = 20 * made["syco"] + made["probe"]
    made["none"][3] = 0
    for name, several in (positions or {}).items():
        made[name] = generator.normal(size=(len(several), 12, 16))
    positions, drawn = positions or {}, ["random"] if draws else []
    if draws:
        anew = generator.normal(size=(draws, *made["random"].shape))
        lengths = [np.linalg.norm(each, axis=-1, keepdims=True) for each in (made["syco"], anew)]
        made["random"] = anew * lengths[0] / lengths[1]
    rows = []
    for name, vector in made.items():
        given = {} if name in positions or name == "none" else samples
        found = (of_draws if name in drawn else of_layers)(vector, given, positions.get(name))
        rows += [{"vector": name, "method": "contrast", "model": "m"} | row for row in found]
    angles = pd.DataFrame(cosines(made, positions, drawn))
    return Inputs(vectors=pd.DataFrame(rows), cosines=angles)


VECTORS = ["syco", "probe", "random", "none"]


RANKED: dict[str, Any] = {"unit": "nats", "titles": {"tested": "added", "ablated": "ablated"}}


def ranked() -> dict[str, pd.DataFrame]:
    """Four arms on three behaviours, the first two tied."""
    changes = {"pca": 0.9, "difference": 0.8, "probe": 0.3, "random-1": 0.0}
    arms, vectors, pairs = [], [], []
    order = [(arm, "tested" if arm != "probe" else "ablated") for arm in changes]
    for place, (arm, sweep) in enumerate(order):
        change = changes[arm]
        named = {"arm": arm, "sweep": sweep}
        ends = {"change": change, "change_low": change - 0.3, "change_high": change + 0.3}
        narrow = {"questions_low": change - 0.1, "questions_high": change + 0.1}
        arms.append(named | {"rank": place + 1, "behaviours": 3, "questions": 60} | ends | narrow)
        vectors += [named | {"change": change + apart} for apart in (-0.2, 0.0, 0.2)]
        for other, against in order[place + 1 :]:
            difference = change - changes[other]
            pair = named | {"against": other, "against_sweep": against, "difference": difference}
            pairs.append(
                pair
                | {"p": 0.01, "p_holm": 0.02, "p_bh": 0.02, "tests": 6, "tie": difference < 0.2}
            )
    return {
        "arms": pd.DataFrame(arms),
        "pairs": pd.DataFrame(pairs),
        "vectors": pd.DataFrame(vectors),
    }


def chosen(vectors: tuple[str, ...] = ("myopia", "sycophancy")) -> Inputs:
    """Candidates of two layers and coefficients, of which the first is chosen."""
    places = list(itertools.product(vectors, [1, 3], [-1.0, 2.0]))
    rows = pd.DataFrame(places, columns=["vector", "layer", "coefficient"])
    first = rows.index == 0
    rows = rows.assign(
        sweep="grid",
        position=pd.array([None] * len(rows), "Int64"),
        left_out=["", "grid.kl"] * (len(rows) // 2),
        share=np.where(first, 0.7, 0.0),
        chosen=first,
    )
    return Inputs(candidates=rows, chosen={"resamples": {"none": 0.3}})


def slopes() -> dict[str, pd.DataFrame]:
    """Slopes of the questions of one behaviour under two vectors."""
    both = [injected(vector, 2) for vector in ("myopia", "code")]
    steep = np.arange(4.0)[:, None] * COEFFICIENTS
    raw = pd.concat([rows(each, steep) for each in both], ignore_index=True)
    made = effects(EffectsJob((job("grid", [both]),), ("myopia",)), [[raw]], [questions(4)])
    return {"items": made.items, "slopes": made.slopes}


CASES: dict[str, Callable[[], tuple[str, Inputs, dict]]] = {
    "tradeoff": lambda: (
        "tradeoff",
        Inputs(skill=pd.concat([skill(), skill("permuted", ("2",), "shuffled")])),
        {"controls": ["permuted"], "limits": None, "title": "Code"},
    ),
    "tradeoff cropped": lambda: (
        "tradeoff",
        Inputs(skill=skill()),
        {"limits": [78, 103], "measure": "kept_top10"},
    ),
    "heatmap": lambda: ("heatmap", Inputs(behaviour=behaviour()), COLLAPSE),
    "heatmap of one": lambda: (
        "heatmap",
        Inputs(behaviour=behaviour()),
        {"behaviour": "wealth-seeking", "direction": "add", **COLLAPSE},
    ),
    "single": lambda: ("single", Inputs(behaviour=behaviour()), {"layers": [10], **COLLAPSE}),
    "combined": lambda: ("combined", Inputs(behaviour=behaviour()), COLLAPSE),
    "simultaneous": lambda: (
        "simultaneous",
        Inputs(behaviour=behaviour(), skill=skill(layers=("2+4+5",))),
        {"labels": {"myopia": "Myopia"}, **COLLAPSE},
    ),
    "vectors": lambda: ("vectors", described(), {"vectors": VECTORS, "layers": None}),
    "vectors at layers": lambda: (
        "vectors",
        described(),
        {"vectors": VECTORS[:3], "layers": [0, 3, 4, 11], "title": "Vectors"},
    ),
    "vectors at positions": lambda: (
        "vectors",
        described({"probe": [-3, -1]}),
        {"vectors": ["probe", "random"]},
    ),
    "vectors and draws": lambda: (
        "vectors",
        described(draws=5),
        {"vectors": ["syco", "random", "probe"]},
    ),
    "a vector": lambda: ("vectors", described(), {"vectors": ["none"]}),
    "curves": lambda: (
        "curves",
        Inputs(tables=[divergence(), divergence("random", layers=("2",))]),
        {"shown": [KL, KL | {"table": "random"}], "controls": ["random"], "title": "Dose"},
    ),
    "curves by source": lambda: (
        "curves",
        Inputs(tables=[divergence(sources=("code", "text"))]),
        {"shown": [KL], "log": True, "labels": {"code": "Python code"}},
    ),
    "curves over the KL": lambda: (
        "curves",
        Inputs(tables=[divergence("moved"), divergence()]),
        {"shown": [KL | {"table": "moved"}], "dose": OVER_KL},
    ),
    "equal-dose": lambda: (
        "equal-dose",
        Inputs(tables=[divergence("moved", ("code", "text")), divergence()]),
        {"shown": [KL | {"table": "moved"}], "dose": OVER_KL, "at": [0.1, 0.6, 1.8]},
    ),
    "equal dose of one source": lambda: (
        "equal-dose",
        Inputs(tables=[divergence("moved"), divergence()]),
        {"shown": [KL | {"table": "moved"}], "dose": OVER_KL, "at": [0.125, 0.625]},
    ),
    "chosen": lambda: ("chosen", chosen(), {"title": "How certain"}),
    "layers": lambda: (
        "layers",
        Inputs(tables=[divergence(layers=("2", "3", "10")), divergence("random", layers=("2",))]),
        {
            "shown": [KL, KL | {"table": "random"}],
            "controls": ["random"],
            "coefficients": [-1, 2],
            "title": "By layer",
        },
    ),
    "layers by source": lambda: ("layers", Inputs(tables=[crossed()]), {"shown": [SCORE]}),
    "one layer": lambda: (
        "layers",
        Inputs(tables=[divergence(sources=("code", "text"))]),
        {"shown": [KL], "layers": [10]},
    ),
    "layers on a logarithmic scale": lambda: (
        "layers",
        Inputs(tables=[divergence()]),
        {"shown": [KL | {"label": "KL from unsteered (nats), in words that take two lines"}]}
        | {"log": True, "labels": {"code": "Python code"}},
    ),
    "points": lambda: ("points", *of_points()),
    "points of one source": lambda: (
        "points",
        Inputs(tables=[divergence(layers=("2",))]),
        {"shown": [KL], "title": "Dose"},
    ),
    "interference": lambda: (
        "interference",
        Inputs(tables=[crossed()]),
        {"shown": [SCORE], "coefficient": 0.5, "layer": 3, "own": OWN, "title": "Interference"},
    ),
    "interference of many": lambda: (
        "interference",
        Inputs(tables=[crossed([f"a long name of a vector, {number}" for number in range(12)])]),
        {"shown": [SCORE], "coefficient": -0.5, "layer": 5},
    ),
    "interference of one": lambda: (
        "interference",
        Inputs(tables=[divergence(layers=("2+4+5",))]),
        {"shown": [KL], "coefficient": -2},
    ),
    "against": lambda: ("against", Inputs(tables=[divergence(), skill()]), AGAINST),
    "ranking": lambda: ("ranking", Inputs(ranking=ranked()), RANKED),
    "effects": lambda: ("effects", Inputs(effects=slopes()), {"sweep": "grid", "unit": "logits"}),
    "distributions": lambda: ("distributions", Inputs(arrays=arrays()), {"layers": [4]}),
    "distributions by layer": lambda: (
        "distributions",
        Inputs(arrays=arrays()),
        {"layers": [1, 4], "log": False, "bins": 20},
    ),
}


def draw(case: str, folder: Path) -> dict[str, bytes]:
    """Draw a case into the folder; the bytes of its three files by suffix."""
    kind, inputs, settings = CASES[case]()
    draw_figure(kind, inputs, settings, folder / "figure")
    return {
        suffix: (folder / f"figure{suffix}").read_bytes() for suffix in (".pdf", ".png", ".csv")
    }


def figure_and_numbers(kind: str, inputs: Inputs, settings: dict):
    with matplotlib.rc_context(LOOK):
        return plugins.load("figures", kind).draw(inputs, settings)


def test_every_kind_is_tested():
    assert {make()[0] for make in CASES.values()} == set(plugins.names("figures"))


@pytest.mark.parametrize("case", CASES)
def test_drawn_files_are_complete_undated_and_cut_nothing_off(case, tmp_path):
    files = draw(case, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"figure{s}" for s in sorted(files)]
    assert files[".pdf"].startswith(b"%PDF") and b"CreationDate" not in files[".pdf"]
    assert files[".png"].startswith(b"\x89PNG") and b"tIME" not in files[".png"]
    pixels = matplotlib.image.imread(tmp_path / "figure.png")[..., :3]
    for edge in (pixels[:4], pixels[-4:], pixels[:, :4], pixels[:, -4:]):
        assert (edge == 1).all()


@pytest.mark.parametrize("case", CASES)
def test_the_numbers_behind_a_figure_are_described(case):
    kind, inputs, settings = CASES[case]()
    given = {name: value for name, value in settings.items() if value is not None}
    _, numbers = figure_and_numbers(kind, inputs, given)
    columns = single(f"figures.{kind.replace('-', '_')}.draw")
    assert [name for name in numbers if not column_of(name, columns)] == []


MATPLOTLIBRC = """
backend: Qt5
font.family: serif
text.usetex: True
savefig.dpi: 10
pdf.compression: 0
"""


@pytest.mark.long
def test_the_same_numbers_give_the_same_bytes_here_and_with_other_settings_of_matplotlib(tmp_path):
    (tmp_path / "matplotlibrc").write_text(MATPLOTLIBRC)
    own = {case: draw(case, tmp_path / case) for case in plugins.names("figures")}
    assert draw("tradeoff", tmp_path / "again") == own["tradeoff"]
    code = (
        "import hashlib, pathlib, sys; import snakesteer.figures.drawing, test_figures\n"
        "for case in test_figures.plugins.names('figures'):\n"
        "    files = test_figures.draw(case, pathlib.Path(sys.argv[1]) / case)\n"
        "    print(case, *(hashlib.sha256(files[suffix]).hexdigest() for suffix in files))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "other")],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONHASHSEED": "4711",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        },
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert output.splitlines() == [
        " ".join([case, *(hashlib.sha256(content).hexdigest() for content in files.values())])
        for case, files in own.items()
    ]


def test_notes_stand_below_a_figure_that_grows_by_them(tmp_path):
    rows = behaviour()
    told = ["No multiplier qualified for myopia at layer 3 (add); the smallest was chosen."]
    for name, notes in (("without", []), ("with", told)):
        draw_figure("single", Inputs(behaviour=rows, unqualified=notes), {}, tmp_path / name)
    without, noted = (
        matplotlib.image.imread(tmp_path / f"{name}.png").shape for name in ("without", "with")
    )
    assert noted[1] == without[1] and noted[0] > without[0] + 20


def test_notes_stand_below_the_legend(tmp_path):
    kind, inputs, settings = CASES["interference"]()
    bands = []
    for notes in ([], ["A sentence about it."]):
        noted = Inputs(tables=inputs.tables, unqualified=notes)
        draw_figure(kind, noted, settings, tmp_path / "figure")
        ink = (matplotlib.image.imread(tmp_path / "figure.png")[..., :3] < 1).any(axis=(1, 2))
        bands.append(np.count_nonzero(np.diff(ink.astype(int)) > 0))
    assert bands[1] == bands[0] + 1


@pytest.mark.parametrize(
    ("counts", "intervals", "notes"),
    [
        ([48, 48], "items", ["Each 95 % interval of an accuracy is over 48 documents."]),
        ([24, 1048], "both", ["Each 95 % interval of an accuracy is over 24 to 1,048 documents."]),
        ([48, 48], "vectors", []),
    ],
)
def test_a_figure_says_how_many_documents_intervals_are_over(counts, intervals, notes):
    inputs = Inputs(skill=pd.DataFrame({"documents": counts}))
    assert notes_of(inputs, {"intervals": intervals}) == notes
    assert notes_of(Inputs(behaviour=behaviour()), {}) == []


def test_a_figure_leaves_matplotlib_as_it_was(tmp_path):
    before = dict(matplotlib.rcParams)
    draw("single", tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_tradeoff_numbers_are_the_tables(tmp_path):
    draw("tradeoff", tmp_path)
    numbers = pd.read_csv(tmp_path / "figure.csv", dtype={"layer": str})
    table = CASES["tradeoff"]()[1].skill.set_index(
        ["sweep", "vector", "layer", "coefficient", "role"]
    )
    assert len(numbers) == 16
    for row in numbers.to_dict("records"):
        key = (row["sweep"], row["vector"], row["layer"], row["coefficient"])
        for role in ("target", "other"):
            for column in ("relative_top1", "relative_top1_low", "relative_top1_high"):
                assert row[f"{column}_{role}"] == table.loc[(*key, role), column]
    assert list(dict.fromkeys(numbers["layer"])) == ["2", "2+4", "10"]


def test_layers_steered_together_can_be_drawn_alone():
    _, numbers = figure_and_numbers("tradeoff", Inputs(skill=skill()), {"layers": [[2, 4], 10]})
    assert list(dict.fromkeys(numbers["layer"])) == ["2+4", "10"]


def test_tradeoff_draws_its_points_in_percent_and_names_its_axes():
    _, inputs, settings = CASES["tradeoff cropped"]()
    figure, numbers = figure_and_numbers("tradeoff", inputs, settings)
    axes = figure.axes[0]
    assert axes.get_xlim() == axes.get_ylim() == (78, 103)
    assert axes.get_xlabel() == "Relative code accuracy (%)"
    assert axes.get_ylabel() == "Relative text accuracy (%)"
    line = {line.get_label(): line for line in axes.lines}["Layer 10"]
    own = numbers[numbers["layer"] == "10"]
    np.testing.assert_array_equal(line.get_xdata(), 100 * own["relative_kept_top10_target"])
    np.testing.assert_array_equal(line.get_ydata(), 100 * own["relative_kept_top10_other"])


def test_tradeoff_names_and_separates_several_sweeps():
    both = pd.concat([skill(), skill("python", ("2",))])
    figure, _ = figure_and_numbers("tradeoff", Inputs(skill=both), {"titles": {"python": "Py"}})
    labels = [line.get_label() for line in figure.axes[0].lines if line.get_label()[0] != "_"]
    assert labels == ["Layer 2\n(Code)", "Layer 2\n(Py)", "Layer 2+4\n(Code)", "Layer 10\n(Code)"]


def test_tradeoff_names_the_vectors_of_one_sweep():
    both = pd.concat([skill(layers=("2",)), skill(layers=("2",), vector="mine")])
    figure, _ = figure_and_numbers("tradeoff", Inputs(skill=both), {})
    labels = [line.get_label() for line in figure.axes[0].lines if line.get_label()[0] != "_"]
    assert labels == ["Layer 2\n(Text code)", "Layer 2\n(Mine)"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "Layer 2\n(Shuffled)"),
        ({"permuted": ["shuffled"]}, "Layer 2\n(permuted)"),
        ({"permuted": ["shuffled", "other"]}, "Layer 2\n(Shuffled)"),
        ({"titles": {"permuted": "Shuffled at 2"}}, "Shuffled at 2"),
    ],
)
def test_tradeoff_names_its_control(given, name):
    _, inputs, settings = CASES["tradeoff"]()
    settings = {"controls": settings["controls"]} | given
    figure, _ = figure_and_numbers("tradeoff", inputs, settings)
    assert [text.get_text() for text in figure.legends[0].get_texts()][-2] == name


def test_no_two_layers_and_no_control_look_alike_without_colours():
    layers = [str(layer) for layer in range(14)]
    tables = [skill(layers=layers), skill("permuted", ("2",), "shuffled")]
    figure, _ = figure_and_numbers(
        "tradeoff", Inputs(skill=pd.concat(tables)), {"controls": ["permuted"]}
    )
    curves = [line for line in figure.axes[0].lines if line.get_label()[0] != "_"]
    *steered, control = [
        (line.get_marker(), line.get_markerfacecolor() == "white") for line in curves
    ]
    assert len(set(steered)) == len(steered) == 14
    assert control[0] not in {marker for marker, _ in steered}
    colours = [line.get_color() for line in curves]
    assert len({*colours[:8], colours[-1]}) == 9


def test_the_legend_of_many_layers_stays_in_the_figure():
    table = skill(layers=[str(layer) for layer in range(32)])
    figure, _ = figure_and_numbers("tradeoff", Inputs(skill=table), {})
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.contains(box.x0, box.y0) and figure.bbox.contains(box.x1, box.y1)


def test_intervals_of_points_beyond_the_limits_are_not_drawn():
    _, inputs, settings = CASES["tradeoff cropped"]()
    figure, numbers = figure_and_numbers("tradeoff", inputs, settings)
    axes = figure.axes[0]
    sides = [100 * numbers[f"relative_kept_top10_{role}"] for role in ("target", "other")]
    inside = [point for point in zip(*sides, strict=True) if min(point) > 78]
    assert 0 < len(inside) < len(numbers)
    drawn = [segment for part in axes.collections for segment in part.get_segments()]
    for segment in drawn:
        (x, y), (right, top) = segment
        assert any(x <= a <= right and y <= b <= top for a, b in inside)
    assert len(drawn) == 2 * len(inside)


def test_coefficients_stand_beside_points_where_they_can_be_read():
    apart = skill(layers=("2", "10"))
    for layer, shift in (("2", 0.15), ("10", 0.0)):
        of_layer = (apart["layer"] == layer) & (apart["role"] == "target")
        for column in ("relative_top1", "relative_top1_low", "relative_top1_high"):
            apart.loc[of_layer, column] -= shift
    crowded = skill(layers=[str(layer) for layer in range(20)])
    for table, expected in ((apart, 8), (crowded, None)):
        figure, numbers = figure_and_numbers("tradeoff", Inputs(skill=table), {})
        axes = figure.axes[0]
        written = axes.texts
        points = 100 * numbers[["relative_top1_target", "relative_top1_other"]].to_numpy()
        known = {
            (*point, f"{c:g}") for point, c in zip(points, numbers["coefficient"], strict=True)
        }
        assert all((*text.xy, text.get_text()) in known for text in written)
        boxes = [text.get_window_extent() for text in written]
        for place, box in enumerate(boxes):
            assert not box.count_overlaps(boxes[place + 1 :])
            assert not box.count_contains(axes.transData.transform(points))
        assert len(written) == expected if expected else 0 < len(written) < len(points)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[-1] == "Beside points:\ncoefficient"


def test_heatmap_marks_ended_cells_and_compares_with_the_default():
    figure, numbers = figure_and_numbers("heatmap", Inputs(behaviour=behaviour()), COLLAPSE)
    assert len(figure.axes) == 2 * len(BEHAVIOURS) + 1
    own = numbers[(numbers["behaviour"] == "myopia") & (numbers["direction"] == "add")]
    marked = own.set_index(["layer", "coefficient"])["marked"].to_dict()
    assert marked == {
        ("2", 1.0): "",
        ("2", 2.0): "F",
        ("10", 1.0): "",
        ("10", 2.0): "",
        ("10", 3.0): "C",
    }
    table = behaviour()
    grid = table[table["kind"] == "grid"]
    for row in numbers.itertuples():
        at = grid[(grid["behaviour"] == row.behaviour) & (grid["layer"] == row.layer)]
        assert row.score == at.loc[at["coefficient"] == row.coefficient, "score"].item()
        defaults = grid[(grid["behaviour"] == row.behaviour) & (grid["coefficient"] == 0)]
        assert row.difference == pytest.approx(row.score - defaults["score"].mean())
    shown = {text.get_text() for text in figure.axes[0].texts}
    assert {"F", "C"} <= shown


def test_one_colour_means_one_difference_in_every_heatmap():
    rows = behaviour()
    least = rows[rows["coefficient"].abs() < 2]
    drawn = []
    for table, behaviour_ in ((rows, "myopia"), (least, "wealth-seeking")):
        settings = {"behaviour": behaviour_, "direction": "add", **COLLAPSE}
        figure, numbers = figure_and_numbers("heatmap", Inputs(behaviour=table), settings)
        bar = figure.axes[-1]
        drawn.append((bar.get_xlim(), numbers["difference"].abs().max()))
    (scale, most), (other_scale, other_most) = drawn
    assert scale == other_scale == (-1, 1) and most != other_most


@pytest.mark.parametrize("multipliers", [1, 2])
@pytest.mark.parametrize("settings", [{"behaviour": "myopia"}, {}], ids=["one", "all"])
@pytest.mark.parametrize("direction", ["add", None])
def test_heatmaps_of_few_multipliers_keep_their_label(multipliers, settings, direction):
    rows = behaviour()
    few = rows[rows["coefficient"].abs() <= multipliers]
    few = few.assign(coefficient=100 * few["coefficient"])
    settings = settings | {"direction": direction, **COLLAPSE}
    figure, _ = figure_and_numbers("heatmap", Inputs(behaviour=few), settings)
    figure.draw_without_rendering()
    label = figure.axes[0].yaxis.label if "behaviour" in settings else figure._supylabel
    assert label.get_text().split() == ["Injection", "coefficient"]
    box = label.get_window_extent()
    assert figure.bbox.contains(box.x0, box.y0) and figure.bbox.contains(box.x1, box.y1)
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(*drawn.min, width - drawn.x1, height - drawn.y1) > 0.02
    above = figure.axes[0].title.get_window_extent()
    assert not box.overlaps(above)


@pytest.mark.parametrize("kind", ["heatmap", "single"])
def test_an_operator_that_does_not_add_is_labelled_by_the_signs_of_its_coefficients(kind):
    inputs = Inputs(behaviour=behaviour())
    for operator, words in (("ablate", "coefficient > 0"), (None, "add")):
        figure, _ = figure_and_numbers(kind, inputs, COLLAPSE | {"operator": operator})
        said = [axes.get_title() for axes in figure.axes]
        said += [text.get_text() for text in figure.legends[0].get_texts()]
        assert any(words in each.lower() for each in said)
        assert any("subtract" in each.lower() for each in said) == (operator is None)


def test_heatmap_without_a_default_is_refused():
    table = behaviour()
    with pytest.raises(StudyError, match="no coefficient 0"):
        figure_and_numbers("heatmap", Inputs(behaviour=table[table["coefficient"] != 0]), {})


def test_single_bars_have_the_tables_heights_and_show_faulty_answers():
    figure, numbers = figure_and_numbers("single", Inputs(behaviour=behaviour()), {})
    assert [axes.get_title() for axes in figure.axes] == ["Layer 2", "Layer 10"]
    own = numbers[numbers["layer"] == "2"]
    heights = {round(bar.get_x(), 3): bar.get_height() for bar in figure.axes[0].patches[::-1]}
    expected = own.set_index(["behaviour", "direction"])["score"]
    assert [heights[x] for x in sorted(heights)] == [
        expected[name, direction]
        for name in BEHAVIOURS
        for direction in ("default", "add", "subtract")
    ]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["Default", "Add", "Subtract", "Faulty answers"]


def test_combined_replaces_invalid_bars_by_a_letter():
    figure, numbers = figure_and_numbers("combined", Inputs(behaviour=behaviour()), COLLAPSE)
    bars = numbers[numbers["kind"] == "combined"]
    invalid = (bars["combine"] == "sum") & bars["weighted"]
    assert (bars["marked"][invalid] == "F").all() and (bars["marked"][~invalid] == "").all()
    letters = [text.get_text() for text in figure.axes[0].texts]
    assert letters == ["F"] * 2 * len(BEHAVIOURS)
    assert set(numbers["kind"]) == {"combined", "single"}


def luminance(colour: str) -> float:
    """The relative luminance of a colour, 0 to 1 (WCAG)."""
    channels = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_combined_lines_run_behind_the_bars_whose_intervals_stand_out():
    figure, _ = figure_and_numbers("combined", Inputs(behaviour=behaviour()), COLLAPSE)
    axes = figure.axes[0]
    bars = [bar for bar in axes.patches if not bar.get_hatch()]
    intervals = [drawn[2][0] for drawn in axes.containers if isinstance(drawn, ErrorbarContainer)]
    lines = [drawn for drawn in axes.collections if drawn not in intervals]
    assert len(lines) == 3 * len(BEHAVIOURS)
    assert max(line.get_zorder() for line in lines) < min(bar.get_zorder() for bar in bars)
    assert min(drawn.get_zorder() for drawn in intervals) > max(bar.get_zorder() for bar in bars)
    # 3:1 is what WCAG asks of graphics; the intervals are black.
    assert min((luminance(bar.get_facecolor()) + 0.05) / 0.05 for bar in bars) > 3


def collapsed_behaviour() -> pd.DataFrame:
    """The behaviour table in which wealth seeking, added at layer 10 or everywhere, collapsed."""
    table = behaviour()
    added = (table["behaviour"] == "wealth-seeking") & (table["coefficient"] == 1)
    single = (table["kind"] == "single") & (table["layer"] == "10")
    several = (table["kind"] == "simultaneous") & (table["coefficient"].isin([-0.5, 0.5]))
    several &= table["behaviour"] == "wealth-seeking"
    table.loc[(added & single) | several, ["majority", "collapsed", "faulty"]] = [0.97, True, 0]
    return table


@pytest.mark.parametrize("kind", ["single", "combined", "simultaneous"])
def test_mode_collapse_is_marked_and_explained_wherever_a_score_is_drawn(kind):
    settings = {"labels": {"wealth-seeking": "Wealth"}, **COLLAPSE}
    figure, numbers = figure_and_numbers(kind, Inputs(behaviour=collapsed_behaviour()), settings)
    collapsed = numbers[numbers["collapsed"]]
    assert set(collapsed["behaviour"]) == {"wealth-seeking"}
    legend = " ".join(text.get_text() for text in figure.legends[0].get_texts())
    assert "mode collapse (over 95 % one answer)" in legend.lower().replace("\n", " ")
    if kind == "simultaneous":
        (circles,) = [
            line
            for line in figure.axes[0].lines
            if line.get_marker() == "o" and len(line.get_xdata())
        ]
        assert list(circles.get_xdata()) == list(collapsed["coefficient"]) == [-0.5, 0.5]
        assert list(circles.get_ydata()) == list(collapsed["score"])
    else:
        (row,) = collapsed.to_dict("records")
        assert (row["layer"], row["direction"]) == ("10", "add") and row["marked"] == "C"
        letters = [[text for text in axes.texts if text.get_text() == "C"] for axes in figure.axes]
        assert [len(found) for found in letters] == [0, 1]
        x, y = letters[1][0].get_position()
        assert round(x) == BEHAVIOURS.index("wealth-seeking")
        assert y >= row["score"]


@pytest.mark.parametrize("kind", ["single", "simultaneous"])
def test_mode_collapse_that_is_not_drawn_is_not_in_the_legend(kind):
    figure, numbers = figure_and_numbers(kind, Inputs(behaviour=behaviour()), COLLAPSE)
    assert not numbers["collapsed"].any()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert not [name for name in legend if "collapse" in name]


def test_simultaneous_masks_points_and_adds_the_alignment_tax():
    _, inputs, settings = CASES["simultaneous"]()
    figure, numbers = figure_and_numbers("simultaneous", inputs, settings)
    scores = numbers[numbers["series"] == "matching score"]
    assert set(scores.loc[~scores["drawn"], "coefficient"]) == {1.0}
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    y = np.asarray(lines["Myopia"].get_ydata(), dtype=float)
    assert np.isnan(y).tolist() == [False] * 6 + [True] + [False] * 2
    tax = numbers[numbers["series"] == "alignment tax"]
    np.testing.assert_array_equal(
        lines["Alignment tax\n(top-1 accuracy)"].get_ydata(), tax["score"]
    )
    target = inputs.skill[inputs.skill["role"] == "target"]
    assert list(tax["score"]) == list(target["top1"])


def test_curves_draw_the_table_and_its_intervals():
    _, inputs, settings = CASES["curves"]()
    figure, numbers = figure_and_numbers("curves", inputs, settings)
    axes, table = figure.axes[0], inputs.tables[0]
    lines = {line.get_label(): line for line in axes.lines if line.get_label()[0] != "_"}
    assert list(lines) == ["Dose, Layer 2", "Dose, Layer 10", "Random, Layer 2"]
    own = table[table["layer"] == "10"]
    np.testing.assert_array_equal(lines["Dose, Layer 10"].get_ydata(), own["kl"])
    bounds = axes.collections[1].get_paths()[0].vertices[:, 1]
    assert {*own["kl_low"], *own["kl_high"]} <= {*bounds}
    assert lines["Random, Layer 2"].get_linestyle() == "--"
    assert figure._supylabel.get_text() == "KL (nats), Code"
    assert len(numbers) == 18


def test_curves_of_several_corpora_have_a_panel_each_on_one_scale():
    _, inputs, settings = CASES["curves by source"]()
    figure, _ = figure_and_numbers("curves", inputs, settings)
    assert [axes.get_title() for axes in figure.axes] == ["Python code", "Text"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert figure.axes[0].get_yscale() == "log"


def test_a_logarithmic_scale_leaves_out_what_has_no_logarithm():
    _, inputs, settings = CASES["curves by source"]()
    figure, numbers = figure_and_numbers("curves", inputs, settings)
    assert (numbers["value"] == 0).sum() == 4
    for axes in figure.axes:
        curves = [line for line in axes.lines if line.get_label()[0] != "_"]
        for line in curves:
            values = line.get_ydata()
            assert np.isnan(values).sum() == 1 and np.nanmin(values) > 0
        for band in axes.collections:
            (path, *rest) = band.get_paths()
            assert rest  # the band is open where the curve is
            assert all((each.vertices[:, 1] > 0).all() for each in [path, *rest])


def test_a_line_over_the_layer_has_the_numbers_of_the_table():
    _, inputs, settings = CASES["layers"]()
    figure, numbers = figure_and_numbers("layers", inputs, settings)
    (axes,) = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "Coefficient −1",
        "Coefficient +2",
        "Text code, Random",
        "Unsteered",
    ]
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert len(drawn) == 2
    for line, coefficient in zip(drawn, (-1, 2), strict=True):
        table = inputs.tables[0]
        own = table[table["coefficient"] == coefficient].set_index("layer").loc[["2", "3", "10"]]
        assert [*line.get_xdata()] == [2, 3, 10] and [*line.get_ydata()] == [*own["kl"]]
        ends = [{*own["kl_low"], *own["kl_high"]} <= ends_of(bars) for bars in axes.collections]
        assert ends.count(True) == 1
    (dashed,) = [line for line in axes.lines if [*line.get_ydata()] == [0, 0]]
    assert dashed.get_linestyle() == "--" and axes.get_xticks().tolist() == [2, 3, 10]
    assert numbers.groupby("sweep").size().to_dict() == {"dose": 9, "random": 3}
    assert set(numbers["coefficient"]) == {-1, 0, 2}


def ends_of(bars: LineCollection) -> set[float]:
    """The heights at which vertical lines end."""
    return {end for path in bars.get_paths() for end in path.vertices[:, 1]}


def test_panels_over_the_layer_are_of_sources_and_open_where_a_curve_ended():
    _, inputs, settings = CASES["layers by source"]()
    figure, _ = figure_and_numbers("layers", inputs, settings)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["Myopia", "Wealth seeking", "Anti immigration"]
    table = inputs.tables[0]
    for name, axes in zip(BEHAVIOURS, figure.axes, strict=True):
        lines = [
            line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_zorder() > 2
        ]
        assert len(lines) == 6  # three vectors at two coefficients
        for line, (vector, coefficient) in zip(
            lines, [(v, c) for v in BEHAVIOURS for c in (-0.5, 0.5)], strict=True
        ):
            of = (table["vector"] == vector) & (table["coefficient"] == coefficient)
            own = table[of & (table["behaviour"] == name)].set_index("layer")["score"]
            np.testing.assert_array_equal(line.get_ydata(), own.reindex(["3", "5"]))
        gaps = sum(np.isnan(line.get_ydata()).sum() for line in lines)
        assert gaps == (1 if name == "anti-immigration" else 0)


def test_behaviours_that_each_have_their_own_vector_are_distinguished_by_their_panels():
    table = crossed()
    own = table[table["vector"] == table["behaviour"]]
    figure, _ = figure_and_numbers("layers", Inputs(tables=[own]), {"shown": [SCORE]})
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["Coefficient −0.5", "Coefficient +0.5", "Unsteered"]
    renamed = own.assign(vector=own["vector"] + "-file")
    figure, _ = figure_and_numbers("layers", Inputs(tables=[renamed]), {"shown": [SCORE]})
    assert figure.axes[0].get_title() == "Myopia, Myopia file"


def test_draws_over_the_layer_are_a_band_that_holds_their_range():
    table = drawn_anew(divergence(layers=("2", "5")), ["kl"])
    second = table[table["vector"] == "random"].assign(layer="5")
    tables = [pd.concat([table, second])]
    settings = {"shown": [KL], "coefficients": [2]}
    figure, numbers = figure_and_numbers("layers", Inputs(tables=tables), settings)
    (band,) = [each for each in figure.axes[0].collections if isinstance(each, PolyCollection)]
    means = numbers[numbers["draws"].notna() & (numbers["coefficient"] == 2)]
    assert {*band.get_paths()[0].vertices[:, 1]} == {*means["low"], *means["high"]}
    assert (means["high"] == 2 * means["value"]).all()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "Random\nmean and range\nof 5 draws" in legend


def test_unsteered_values_that_differ_by_layer_are_a_line_of_them():
    table = divergence(layers=("2", "3"))
    table.loc[table["unsteered"] & (table["layer"] == "3"), "kl"] = 0.5
    figure, _ = figure_and_numbers("layers", Inputs(tables=[table]), {"shown": [KL]})
    dashed = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert [[*line.get_ydata()] for line in dashed] == [[0.0, 0.5]]


def test_points_lie_in_the_rows_of_their_titles():
    inputs, settings = of_points()
    figure, points = plugins.load("figures", "points").draw(inputs, settings)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        "One model",
        "Another",
    ]
    one = points[(points["row"] == "One model") & (points["source"] == "code")]
    assert sorted(one["coefficient"]) == [-2, -1, 0, 0, 1, 2, 4]
    drawn = {}
    for line in figure.axes[0].lines:
        drawn |= {round(place): value for value, place in zip(*line.get_data(), strict=True)}
    assert set(drawn) == {0, 1}
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[0] == "Unsteered" and len(legend) == 6


def test_two_values_of_one_point_are_refused():
    inputs, settings = of_points()
    same = settings | {"titles": dict.fromkeys(settings["titles"], "One model")}
    with pytest.raises(StudyError, match="one value of One model on code at coefficient -2"):
        plugins.load("figures", "points").draw(inputs, same)


def test_interference_is_the_change_from_the_unsteered_score_in_each_cell():
    _, inputs, settings = CASES["interference"]()
    figure, numbers = figure_and_numbers("interference", inputs, settings)
    axes, table = figure.axes[0], inputs.tables[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        text.get_text() for text in axes.get_xticklabels()
    ]
    at = table[table["layer"] == "3"].set_index(["vector", "behaviour", "coefficient"])
    cells = axes.collections[0].get_array().reshape(3, 3)
    for row, vector in enumerate(BEHAVIOURS):
        for column, name in enumerate(BEHAVIOURS):
            if (vector, name) == ("myopia", "anti-immigration"):
                assert np.ma.is_masked(cells[row, column])
                continue
            scores = [at.loc[(vector, name, coefficient), "score"] for coefficient in (0.5, 0)]
            assert cells[row, column] == scores[0] - scores[1]
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert len(written) == len(numbers) == 8
    for cell in numbers.to_dict("records"):
        place = (BEHAVIOURS.index(cell["source"]) + 0.5, BEHAVIOURS.index(cell["vector"]) + 0.5)
        assert float(written[place].rstrip("*").replace("−", "-")) == round(cell["change"], 2)
        apart = not cell["change_low"] <= 0 <= cell["change_high"]
        assert written[place].endswith("*") == cell["marked"] == apart
    assert 0 < numbers["marked"].sum() < len(numbers)
    frames = [patch.get_xy() for patch in axes.patches]
    assert frames == [(0, 0), (1, 1), (2, 2)]


def test_means_of_draws_have_no_mark_of_interference():
    table = drawn_anew(divergence(layers=("2",)), ["kl"])
    settings = {"shown": [KL], "coefficient": 2}
    _, numbers = figure_and_numbers("interference", Inputs(tables=[table]), settings)
    assert numbers["marked"].tolist() == [True, False]
    assert (numbers["change_low"] > 0).all()


def test_interference_is_measured_from_the_unsteered_model_where_0_steers_too():
    table = divergence(layers=("2",))
    apart = table[table["unsteered"]].assign(coefficient=np.nan, kl=0.25)
    table["unsteered"] = False
    settings = {"shown": [KL], "coefficient": 0}
    inputs = Inputs(tables=[pd.concat([table, apart])])
    figure, numbers = figure_and_numbers("interference", inputs, settings)
    assert numbers["change"].tolist() == [-0.25]
    assert figure.axes[0].get_title().endswith("Layer 2, coefficient 0")


def test_the_pareto_front_holds_what_no_other_point_beats():
    _, inputs, settings = CASES["against"]()
    figure, numbers = figure_and_numbers("against", inputs, settings)
    assert len(numbers) == 8  # both tables have 0, 1, 2 and 4 at layers 2 and 10
    for row in numbers.to_dict("records"):
        beaten = False
        for other in numbers.to_dict("records"):
            as_good = other["value_x"] <= row["value_x"] and other["value_y"] >= row["value_y"]
            same = (other["value_x"], other["value_y"]) == (row["value_x"], row["value_y"])
            beaten = beaten or (as_good and not same)
        assert row["on_front"] == (not beaten)
    assert 0 < numbers["on_front"].sum() < len(numbers)
    (front,) = [line for line in figure.axes[0].lines if line.get_label() == "Pareto front"]
    marked = numbers[numbers["on_front"]]
    assert {*front.get_xdata()} == {*marked["value_x"]}
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("KL (nats), Code", "Top-1 accuracy, Text")


def drawn_anew(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The table with a control beside it, as figures get the mean and range of its draws."""
    control = table[table["layer"] == "2"].assign(vector="random", draws=5)
    for name in columns:
        control[name] *= 1 + 1e-15  # as a mean over equal values may be
        control[f"{name}_min"], control[f"{name}_max"] = control[name] / 2, 2 * control[name]
        control[f"{name}_low"], control[f"{name}_high"] = np.nan, np.nan
    return pd.concat([table, control], ignore_index=True)


def test_a_mean_of_draws_has_the_range_and_is_no_point_of_the_front():
    tables = [drawn_anew(divergence(), ["kl"]), drawn_anew(skill(), ["relative_top1"])]
    better = {"x": KL | {"better": "higher"}, "y": TOP1 | {"better": "higher"}}
    figure, numbers = figure_and_numbers("against", Inputs(tables=tables), better)
    means = numbers[numbers["draws"].notna()]
    assert len(means) == 4 and not means["on_front"].any() and numbers["on_front"].any()
    assert (means["low_x"] == means["value_x"] / 2).all()
    at_one, _ = figure_and_numbers("against", Inputs(tables=tables), better | {"layers": [2]})
    unsteered = [line for line in at_one.axes[0].lines if line.get_linestyle() == ":"]
    assert len(unsteered) == 2  # one for each axis
    alone = figure_and_numbers("against", Inputs(tables=[divergence(), skill()]), better)[1]
    columns = ["vector", "layer", "coefficient", "on_front"]
    steered = numbers[numbers["draws"].isna()][columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(steered, alone[columns])
    said = "Random, Layer 2\nmean and range\nof 5 draws"
    assert said in [text.get_text() for text in figure.legends[0].get_texts()]
    for column in ("kl", "kl_p95"):
        table = drawn_anew(divergence(), ["kl", "kl_p95"])
        shown = {"shown": [KL | {"column": column}]}
        figure, numbers = figure_and_numbers("curves", Inputs(tables=[table]), shown)
        assert said in [text.get_text() for text in figure.legends[0].get_texts()]
        means = numbers[numbers["draws"].notna()]
        assert (means["high"] == 2 * means["value"]).all()


def test_the_unsteered_model_with_a_point_of_its_own_is_seen_and_named():
    tables = []
    for table in (divergence(), skill()):
        unsteered = table[table["coefficient"] == 0].assign(coefficient=np.nan)
        table["unsteered"] = False
        tables.append(pd.concat([table, unsteered]))
    figure, numbers = figure_and_numbers("against", Inputs(tables=tables), AGAINST)
    apart = numbers[numbers["coefficient"].isna()]
    assert len(apart) == 2 and apart["on_front"].any()
    (star,) = [line for line in figure.axes[0].lines if line.get_label() == "Unsteered"]
    assert [*star.get_xdata()] == [*apart["value_x"]] and star.get_marker() == "*"
    assert "Unsteered" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_which_values_are_better_decides_the_front():
    fronts = {}
    for better in ("lower", "higher"):
        settings = AGAINST | {"y": TOP1 | {"better": better}}
        inputs = Inputs(tables=[divergence(), skill()])
        _, numbers = figure_and_numbers("against", inputs, settings)
        fronts[better] = numbers.loc[numbers["on_front"], "coefficient"].max()
    assert fronts == {"lower": 4, "higher": 0}


def test_measures_on_the_same_corpora_are_paired_by_them():
    tables = [divergence(sources=("code", "text")), skill()]
    settings = {"x": KL, "y": TOP1 | {"source": None, "better": "higher"}}
    figure, numbers = figure_and_numbers("against", Inputs(tables=tables), settings)
    assert set(numbers["source"]) == {"code", "text"} and len(numbers) == 16
    with pytest.raises(StudyError, match="set `source`"):
        tables[0] = divergence(sources=("code", "all"))
        figure_and_numbers("against", Inputs(tables=tables), settings)


def test_distributions_count_every_hidden_dimension():
    _, inputs, settings = CASES["distributions by layer"]()
    figure, numbers = figure_and_numbers("distributions", inputs, settings)
    counts = numbers.groupby(["name", "layer"])["count"].agg(["sum", "size"])
    assert (counts["sum"] == 64).all() and (counts["size"] == 20).all()
    assert {axes.get_xlim() for axes in figure.axes} == {figure.axes[0].get_xlim()}


def test_bars_narrower_than_a_pixel_keep_their_colour(tmp_path):
    narrow = np.zeros((1, 64))
    narrow[0, 0] = 1
    wide = {"narrow": narrow, "wide": np.linspace(0, 4000, 64)[None]}
    draw_figure("distributions", Inputs(arrays=wide), {"layers": [0]}, tmp_path / "figure")
    pixels = matplotlib.image.imread(tmp_path / "figure.png")[..., :3]
    left = pixels[:, : pixels.shape[1] // 2]
    colour = matplotlib.colors.to_rgb(PALETTE[0])
    assert (np.abs(left - colour).max(axis=2) < 0.15).any(axis=1).sum() > 50


@pytest.mark.parametrize(
    ("kind", "inputs", "settings", "message"),
    [
        ("tradeoff", Inputs(), {}, "draws a skill sweep"),
        ("single", Inputs(skill=skill()), {}, "draws a single behaviour sweep"),
        ("tradeoff", Inputs(skill=skill()), {"layers": [7]}, r"\[7\] leave nothing to draw"),
        ("heatmap", Inputs(behaviour=behaviour()), {"behaviour": "envy"}, "'envy'"),
        ("combined", Inputs(behaviour=behaviour()), {"order": ["envy"]}, "envy"),
        ("distributions", Inputs(arrays=arrays()), {"layers": [6]}, "layers 0 to 5"),
        ("distributions", Inputs(), {}, "names none"),
        ("curves", Inputs(), {"shown": [KL]}, "sweeps.dose, which has no rows"),
        (
            "curves",
            Inputs(tables=[divergence().drop(columns="kl")]),
            {"shown": [KL]},
            "has coefficient, samples, kl_p95",
        ),
        (
            "layers",
            Inputs(tables=[divergence(layers=("2", "2+4"))]),
            {"shown": [KL]},
            "but layers 2\\+4 were steered together",
        ),
        (
            "layers",
            Inputs(tables=[divergence()]),
            {"shown": [KL], "coefficients": [3]},
            "\\[3\\] leave nothing to draw; its sweeps have -2, -1, 1, 2, 4",
        ),
        (
            "interference",
            Inputs(tables=[divergence()]),
            {"shown": [KL], "coefficient": 1},
            "names no layer, but its sweeps have 2, 10",
        ),
        (
            "interference",
            Inputs(tables=[divergence()]),
            {"shown": [KL], "coefficient": 3, "layer": 2},
            "names the coefficient 3, but its sweeps have -2, -1, 1, 2, 4",
        ),
        (
            "against",
            Inputs(tables=[divergence(layers=("7",)), skill()]),
            AGAINST,
            "share no injection and coefficient",
        ),
        (
            "tradeoff",
            Inputs(skill=skill()[lambda table: table["role"] == "target"]),
            {},
            "one other corpus",
        ),
    ],
)
def test_inputs_that_lack_what_is_drawn_are_refused(kind, inputs, settings, message, tmp_path):
    with pytest.raises(StudyError, match=message):
        draw_figure(kind, inputs, settings, tmp_path / "figure")
    assert list(tmp_path.iterdir()) == []


def test_multipliers_are_written_short_and_signed():
    assert [signed(value) for value in (0.0, 0.5, 20.0, -3.0)] == ["0", "+0.5", "+20", "−3"]


def test_tables_and_figures_never_load_a_model_library():
    code = "import sys, snakesteer.figures.drawing, snakesteer.sweeps.choices; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert not [name for name in loaded if re.fullmatch(r"torch|transformers|pydantic", name)]


def values(numbers: pd.DataFrame, **of: Any) -> list[float]:
    wanted = np.logical_and.reduce([numbers[column] == value for column, value in of.items()])
    return numbers.loc[wanted, "value"].tolist()


def test_vectors_have_the_numbers_of_their_tables():
    kind, inputs, settings = CASES["vectors"]()
    figure, numbers = figure_and_numbers(kind, inputs, settings)
    titles = [axes.get_title() for half in figure.subfigs for axes in half.axes]
    assert titles[:3] == ["Length", "Training accuracy", "Explained variance"]
    for column in ("norm", "accuracy", "explained_variance"):
        table = inputs.vectors[inputs.vectors["vector"] == "probe"]
        assert values(numbers, quantity=column, vector="Probe") == table[column].tolist()
    table = inputs.cosines[inputs.cosines["vector"] == "syco"]
    for other in ("Probe", "Random", "None"):
        of = table[table["other"] == other.lower()]["cosine"].dropna()
        assert values(numbers, quantity="cosine", vector="Syco", other=other) == of.tolist()
    assert len(values(numbers, quantity="cosine", other="None")) == 3 * 11  # zeros at one layer
    heat = figure.subfigs[1].axes[0]
    drawn = heat.collections[0].get_array().reshape(6, 12)
    names = [text.get_text() for text in heat.get_yticklabels()]
    row = names.index("Syco · Probe")
    np.testing.assert_allclose(drawn[row], values(numbers, vector="Syco", other="Probe"))


def test_cosines_at_a_layer_stand_once_whatever_the_order():
    kind, inputs, settings = CASES["vectors at layers"]()
    order = {"vectors": ["random", "syco", "probe"]}
    figure, numbers = figure_and_numbers(kind, inputs, settings | order)
    heats = [axes for axes in figure.subfigs[1].axes if axes.get_title()]
    assert [axes.get_title() for axes in heats] == [f"Layer {layer}" for layer in (0, 3, 4, 11)]
    for axes, layer in zip(heats, (0, 3, 4, 11), strict=True):
        down = [text.get_text() for text in axes.get_yticklabels()]
        across = [text.get_text() for text in axes.get_xticklabels()]
        assert (down, across) == (["Syco", "Probe"], ["Random", "Syco"])
        drawn = axes.collections[0].get_array().reshape(2, 2)
        table = inputs.cosines[inputs.cosines["layer"] == layer]
        table = table.set_index(["vector", "other"])["cosine"]
        assert drawn[0, 0] == pytest.approx(table["syco", "random"])
        assert drawn[1, 0] == pytest.approx(table["probe", "random"])
        assert drawn[1, 1] == pytest.approx(table["syco", "probe"])
        assert np.ma.is_masked(drawn[0, 1])
    assert set(numbers.loc[numbers["quantity"] == "cosine", "layer"]) == {0, 3, 4, 11}


def test_a_vector_at_several_positions_is_one_at_each():
    kind, inputs, settings = CASES["vectors at positions"]()
    figure, numbers = figure_and_numbers(kind, inputs, settings)
    assert list(dict.fromkeys(numbers["vector"])) == ["Probe, −3", "Probe, −1", "Random"]
    table = inputs.vectors
    at = table[(table["vector"] == "probe") & (table["position"] == -1)]
    assert values(numbers, quantity="norm", vector="Probe, −1") == at["norm"].tolist()
    names = [text.get_text() for text in figure.subfigs[1].axes[0].get_yticklabels()]
    assert names == ["Probe, −3 · Probe, −1", "Probe, −3 · Random", "Probe, −1 · Random"]


def test_a_control_with_draws_is_a_band_and_hides_no_vector_of_its_length():
    kind, inputs, settings = CASES["vectors and draws"]()
    figure, numbers = figure_and_numbers(kind, inputs, settings)
    table = inputs.vectors[inputs.vectors["vector"] == "random"]
    assert (table["draws"] == 5).all()
    panels = figure.subfigs[0].axes
    for axes, column in zip(panels, ("norm", "accuracy", "explained_variance"), strict=True):
        (band,) = axes.collections
        low, high = (table[f"{column}{end}"].to_numpy() for end in ("_min", "_max"))
        assert {*low, *high} <= {*band.get_paths()[0].vertices[:, 1]}
        own = numbers[(numbers["quantity"] == column) & (numbers["vector"] == "Random")]
        for name in ("value", "value_min", "value_max"):
            assert own[name].tolist() == table[name.replace("value", column)].tolist()
    assert (table["accuracy_min"] < table["accuracy_max"]).any()
    syco, random, probe = panels[0].lines
    np.testing.assert_allclose(syco.get_ydata(), random.get_ydata())
    (first, dashes), (second, others) = (line._unscaled_dash_pattern for line in (syco, random))
    assert dashes == others and dashes[0] == dashes[1] == abs(first - second)
    assert probe.get_linestyle() == "-"
    assert [line.get_markevery() for line in (syco, random)] == [(0, 2), (1, 2)]
    said = [text.get_text() for text in figure.subfigs[0].legends[0].get_texts()]
    assert said == ["Syco", "Random\nmean and range\nof 5 draws", "Probe"]
    cosine = numbers[(numbers["vector"] == "Syco") & (numbers["other"] == "Random")]
    assert (cosine["value_min"] < cosine["value"]).all()
    assert numbers[numbers["other"] == "Probe"]["value_min"].isna().sum() == 12
