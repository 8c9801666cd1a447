"""What differs between kinds of figures stands on their classes, so that a new kind is a class."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar, Literal

import pytest
import yaml
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.plan import products
from snakesteer.plan.captions import caption
from snakesteer.plan.graph import Graph
from snakesteer.plan.plan import Plan
from snakesteer.study import references, study_file
from snakesteer.study.depth import at_depth
from snakesteer.study.entries import Layers, Name, Names
from snakesteer.study.figures import FIGURES, Drawn, Figure, Shown, WithIntervals
from snakesteer.study.schema import Study


def test_every_kind_that_a_study_may_name_is_a_plugin_and_the_other_way_round() -> None:
    kinds = [kind.model_fields["kind"].annotation.__args__[0] for kind in FIGURES]  # type: ignore[union-attr]
    assert sorted(kinds) == plugins.names("figures")


@pytest.mark.parametrize("kind", FIGURES)
def test_facts_are_of_fields_that_there_are(kind: type[Figure]) -> None:
    assert {*kind.draws, *kind.names} <= kind.model_fields.keys()
    assert {"title", "caption", "kind"} <= kind.model_fields.keys()


class Ladder(WithIntervals):
    """A kind of figure that only this file knows."""

    kind: Literal["ladder"] = "ladder"
    of: Names
    beside: Name | None = None
    rungs: Layers

    layered: ClassVar = ("rungs",)
    draws: ClassVar = {"of": Drawn("two_choice", "single"), "beside": Drawn("next_token")}

    def settings(self, study: Shown) -> dict[str, Any]:
        return {"steep": True}

    def said(self, study: Shown, absent: Collection[str]) -> list[str]:
        return [f"Rungs: {', '.join(map(str, self.rungs))}."]


def with_ladder(**given: Any) -> Study:
    """The small study with a ladder in place of its figures."""
    figure = Ladder(**{"of": ["single"], "rungs": [0.5, 1], "caption": "Up."} | given)
    return study_file.load(SMALL).model_copy(update={"figures": {"up": figure}})


def test_a_new_kind_is_planned_and_described_by_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    study = at_depth(with_ladder(beside="code"), {"miniature": 8, "miniature-chat": 8}.__getitem__)
    references.check(study)
    assert caption(study, "up") == (
        "Up. Rungs: 3, 1. Intervals (95 %) are over questions (Wilson)."
    )
    asked = []
    monkeypatch.setattr(products, "script_code", lambda _, *named: asked.append(named) or "code")
    product = products.figure(Graph(study, REPOSITORY), "up")
    assert asked == [("figure", ("figures", "ladder"))] and product.code == "code"
    tables = [f"results/{study.name}/tables/{name}.parquet" for name in ("single", "code")]
    assert product.inputs == {"tables": tuple(tables)}
    assert product.settings["steep"] and product.settings["rungs"] == [3, 1]
    assert set(product.settings["labels"]) == {"myopia", "wealth-seeking"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"of": ["grid"]},
            "figures.up.of names sweeps.grid, which measures two_choice of vectors alone, "
            "but needs two_choice of vectors alone with chosen multipliers; name one.",
        ),
        (
            {"beside": "grid"},
            "figures.up.beside names sweeps.grid, which measures two_choice of vectors alone, "
            "but needs next_token; name one, or use `kind: curves`.",
        ),
        (
            {"beside": "coed"},
            "figures.up.beside names `coed`, which is not in sweeps; did you mean `code`?",
        ),
        (
            {"intervals": "vectors"},
            "figures.up.intervals is vectors, but sweeps.single has no resamples of its vectors; "
            "set `resamples` there, or remove intervals.",
        ),
    ],
)
def test_a_new_kind_is_checked_by_its_class(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StudyError) as raised:
        references.check(with_ladder(**given))
    assert str(raised.value) == sentence


def test_a_fraction_in_a_new_kind_is_one_layer_of_all_its_models() -> None:
    depths = {"miniature": 8, "miniature-chat": 16}
    with pytest.raises(StudyError, match=r"^figures.up.rungs names 0.5, which is layer "):
        at_depth(with_ladder(beside="code"), depths.__getitem__)


def with_vectors(**given: Any) -> Study:
    """The study in miniature with a figure of its vectors."""
    data = yaml.safe_load((REPOSITORY / "config" / "miniature.yaml").read_text())
    figure = {"kind": "vectors", "vectors": ["code", "python"]} | given
    return study_file.parse({**data, "figures": {"geometry": figure}})


def test_a_figure_of_vectors_is_made_from_the_tables_beside_it() -> None:
    plan = Plan(with_vectors(layers=[0.5, 1], title="Skills"), REPOSITORY)
    figure = plan.figures["geometry"]
    tables = ("results/miniature/vectors.csv", "results/miniature/cosines.csv")
    assert figure.inputs == {"described": tables}
    assert figure.settings["layers"] == [3, 1] and figure.settings["arrays"] == []
    words = caption(plan.study, "geometry")
    assert words.startswith("Training accuracy: the share of a vector's own samples")


def test_drawn_vectors_are_described_by_their_draws() -> None:
    data = yaml.safe_load((REPOSITORY / "config" / "miniature.yaml").read_text())
    data["figures"] = {"geometry": {"kind": "vectors", "vectors": ["code", "code-permuted"]}}
    data["vectors"]["code-permuted"]["draws"] = 5
    plan = Plan(study_file.parse(data), REPOSITORY)
    described = plan.described_vectors
    drawn = {entry["name"]: entry.get("draws") for entry in described.settings}
    assert drawn == {**dict.fromkeys(data["vectors"]), "code-permuted": 5}
    paths = dict(zip(drawn, described.inputs["vectors"], strict=True))
    assert [name for name, path in paths.items() if "-draws." in path] == ["code-permuted"]
    assert (
        "alternate their dashes. code-permuted: mean and range of 5 draws. Cosines of draws are "
        "averaged." in caption(plan.study, "geometry")
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"vectors": ["code", "myopia"]},
            "figures.geometry compares vectors of one model, but vectors.code is of miniature "
            "and vectors.myopia is of miniature-chat; give each model its own figure.",
        ),
        (
            {"vectors": ["code", "pyton"]},
            "figures.geometry.vectors names `pyton`, which is not in vectors; did you mean "
            "`python`?",
        ),
        (
            {"layers": [8]},
            "figures.geometry.layers names layer 8, but models.miniature has 8 layers (0 to 7); "
            "name one of these.",
        ),
    ],
)
def test_vectors_that_make_no_figure_are_reported(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StudyError) as raised:
        Plan(with_vectors(**given), REPOSITORY)
    assert str(raised.value) == sentence


def test_vectors_of_a_paper_have_no_samples_to_be_described() -> None:
    path = REPOSITORY / "config" / "papers" / "broad-skills-published.yaml"
    data = study_file.resolve(yaml.safe_load(path.read_text()), path.parent)
    (name, *_) = data["published"]["vectors"]
    with pytest.raises(StudyError) as raised:
        study_file.parse({**data, "figures": {"geometry": {"kind": "vectors", "vectors": [name]}}})
    assert str(raised.value) == (
        f"figures.geometry.vectors names {name}, which is published and has no samples here; name "
        "vectors of the study's own."
    )


@pytest.mark.parametrize(
    ("how", "permuted"),
    [("operands", ["code-permuted"]), ("permuted", ["code-permuted"]), ("random", [])],
)
def test_a_trade_off_knows_which_controls_are_permuted(how: str, permuted: list[str]) -> None:
    data = yaml.safe_load((REPOSITORY / "config" / "miniature.yaml").read_text())
    data["vectors"]["code-permuted"]["how"] = how
    figure = Plan(study_file.parse(data), REPOSITORY).figures["general-coding"]
    assert figure.settings["permuted"] == permuted


def test_a_figure_of_scores_knows_an_operator_that_does_not_add() -> None:
    data = yaml.safe_load((REPOSITORY / "config" / "miniature.yaml").read_text())
    assert (
        "operator" not in Plan(study_file.parse(data), REPOSITORY).figures["grid-search"].settings
    )
    data["sweeps"]["grid"]["inject"]["operator"] = "ablate"
    figure = Plan(study_file.parse(data), REPOSITORY).figures["grid-search"]
    assert figure.settings["operator"] == "ablate"


def against(x: dict[str, Any], y: dict[str, Any]) -> Study:
    """The study in miniature with a figure of two axes."""
    data = yaml.safe_load((REPOSITORY / "config" / "miniature.yaml").read_text())
    dose = {"measure": "divergence", "corpora": ["python"], "tokens": 100}
    data["sweeps"]["code"]["measures"]["dose"] = dose
    data["figures"] = {"sides": {"kind": "against", "x": x, "y": y}}
    return study_file.parse(data)


@pytest.mark.parametrize(
    ("axis", "of", "other", "on"),
    [
        ({"table": "code.next_token"}, "code, text", {"table": "code.dose"}, "python"),
        (
            {"table": "code.next_token", "column": "nll"},
            "code, text",
            {"table": "code.next_token", "source": "text"},
            "text",
        ),
        (
            {"table": "simultaneous"},
            "myopia, wealth-seeking, sycophancy, agreeableness, anti-immigration",
            {"table": "alignment-tax"},
            "all",
        ),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_axes_on_different_texts_are_reported_before_anything_runs(
    axis: dict[str, Any], of: str, other: dict[str, Any], on: str, first: bool
) -> None:
    sides = (axis, other) if first else (other, axis)
    with pytest.raises(StudyError) as raised:
        against(*sides)
    assert str(raised.value) == (
        f"figures.sides.{'x' if first else 'y'} draws sweeps.{axis['table']}, which is measured "
        f"on {of}, but the other axis on {on}; set `source` to one that it has."
    )


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ({"table": "code.next_token", "source": "text"}, {"table": "code.dose"}),
        ({"table": "code.next_token"}, {"table": "code.next_token", "column": "nll"}),
        ({"table": "grid"}, {"table": "grid", "column": "propensity"}),
    ],
)
def test_axes_that_can_be_paired_are_a_figure(x: dict[str, Any], y: dict[str, Any]) -> None:
    assert list(against(x, y).figures) == ["sides"]


CROSSED: dict[str, Any] = {
    "model": "miniature-chat",
    "inject": {"vectors": ["myopia", "sycophancy"], "layers": [1, 3]},
    "coefficients": [0, 1, -1],
    "measures": {"two_choice": {"behaviours": ["myopia", "sycophancy", "agreeableness"]}},
}


def of_crossed(
    figure: dict[str, Any], inject: dict[str, Any] | None = None, **given: Any
) -> dict[str, Any]:
    """The study in miniature with two vectors on three behaviours, and a figure of them."""
    data = yaml.safe_load((REPOSITORY / "config" / "miniature.yaml").read_text())
    drawn = {"method": "control", "of": "myopia", "how": "random", "draws": 3}
    data["vectors"]["random"] = drawn
    injected = CROSSED["inject"] | (inject or {})
    data["sweeps"]["crossed"] = CROSSED | given | {"inject": injected}
    data["figures"] = {"f": {"sweeps": ["crossed"], **figure}}
    return data


@pytest.mark.parametrize(
    ("figure", "sweep", "sentence"),
    [
        (
            {"coefficients": [-1, 2]},
            {},
            "figures.f names the coefficient 2, which sweeps.crossed does not have; name one of "
            "-1, 0, 1.",
        ),
        (
            {"coefficients": [0]},
            {},
            "figures.f names only the coefficient 0, at which sweeps.crossed is unsteered; name "
            "others.",
        ),
        (
            {},
            {"inject": {"layers": [1, [3, 2]]}},
            "figures.f draws single layers, but sweeps.crossed steers layers 2 and 3 together; "
            "name single layers in `layers`.",
        ),
        (
            {"layers": [2]},
            {},
            "figures.f.layers names layer 2, which sweeps.crossed does not have; add it there.",
        ),
        (
            {"sweeps": ["simultaneous"]},
            {},
            "figures.f draws vectors that are injected one at a time, but sweeps.simultaneous "
            "injects them together; draw it as `kind: curves`.",
        ),
        (
            {"sweeps": ["single"]},
            {},
            "figures.f draws vectors at the same coefficients, but sweeps.single takes its "
            "coefficients from a choice, which can differ by vector; name a sweep that lists "
            "them.",
        ),
        (
            {"sweeps": ["combined"]},
            {},
            "figures.f names sweeps.combined, which combines vectors, so no coefficient varies "
            "that it could be drawn over; name another sweep.",
        ),
        (
            {"controls": ["code"]},
            {},
            "figures.f draws sweeps of several measures, sweeps.crossed (two_choice), "
            "sweeps.code (next_token); name sweeps of one measure.",
        ),
        (
            {"column": "kl"},
            {},
            "figures.f draws kl of sweeps.crossed, which measures two_choice and has score, "
            "probability, propensity, choice_mass to draw; name one of these.",
        ),
    ],
)
def test_what_has_no_line_over_the_layer_is_reported_before_anything_runs(
    figure: dict[str, Any], sweep: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StudyError) as raised:
        Plan(study_file.parse(of_crossed({"kind": "layers", **figure}, **sweep)), REPOSITORY)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("figure", "sweep", "sentence"),
    [
        (
            {"coefficient": 0.5, "layer": 3},
            {},
            "figures.f names the coefficient 0.5, which sweeps.crossed does not have; name one of "
            "-1, 0, 1.",
        ),
        (
            {"coefficient": 0, "layer": 3},
            {},
            "figures.f.coefficient is 0, at which sweeps.crossed is unsteered; name another.",
        ),
        (
            {},
            {},
            (
                "figures.f draws one layer, but sweeps.crossed has several; set `layer` to one of "
                "them."
            ),
        ),
        (
            {},
            {"inject": {"layers": "all"}},
            (
                "figures.f draws one layer, but sweeps.crossed has several; set `layer` to one of "
                "them."
            ),
        ),
        (
            {"layer": 0.99},
            {},
            "figures.f.layer names layer 7, which sweeps.crossed does not have; add it there.",
        ),
        (
            {"layer": 3},
            {"measures": {"two_choice": {}}},
            "figures.f draws how vectors change each other's behaviours, but sweeps.crossed "
            "asks each vector only about its own; name `behaviours` in its measure.",
        ),
    ],
)
def test_what_has_no_interference_is_reported_before_anything_runs(
    figure: dict[str, Any], sweep: dict[str, Any], sentence: str
) -> None:
    given = {"kind": "interference", "coefficient": 1, **figure}
    with pytest.raises(StudyError) as raised:
        Plan(study_file.parse(of_crossed(given, **sweep)), REPOSITORY)
    assert str(raised.value) == sentence


def test_single_layers_of_a_sweep_that_has_sets_can_be_named() -> None:
    data = of_crossed({"kind": "layers", "layers": [1, 3]}, {"layers": [1, 3, [1, 3], "all"]})
    figure = Plan(study_file.parse(data), REPOSITORY).figures["f"]
    assert figure.settings["layers"] == [1, 3] and figure.settings["coefficients"] is None


def test_where_0_steers_as_well_it_is_a_coefficient_like_others() -> None:
    for figure in (
        {"kind": "layers", "coefficients": [0]},
        {"kind": "interference", "coefficient": 0, "layer": 3},
    ):
        data = of_crossed(figure, {"operator": "clamp"})
        assert "f" in Plan(study_file.parse(data), REPOSITORY).figures


def test_a_figure_of_interference_knows_and_says_what_is_drawn() -> None:
    vectors = {"vectors": ["myopia", "sycophancy", "random"]}
    data = of_crossed({"kind": "interference", "coefficient": 1, "layer": 3}, vectors)
    plan = Plan(study_file.parse(data), REPOSITORY)
    figure = plan.figures["f"]
    assert figure.settings["own"] == {"myopia": "myopia", "sycophancy": "sycophancy"}
    (shown,) = figure.settings["shown"]
    assert (shown["table"], shown["column"]) == ("crossed", "score")
    assert caption(plan.study, "f") == (
        "Change from the unsteered model at layer 3, coefficient 1. *: the interval of the "
        "change excludes 0. It adds the half-widths of both values' intervals in squares, so it "
        "is too wide where both are over the same texts. Framed: a vector's own behaviour. "
        "random: mean, without a mark, of 3 draws. Intervals (95 %) are over the texts that "
        "each measure is on."
    )


def test_own_behaviours_that_are_not_drawn_are_not_framed() -> None:
    figure = {"kind": "interference", "coefficient": 1, "layer": 3}
    data = of_crossed(figure | {"source": "sycophancy"})
    plan = Plan(study_file.parse(data), REPOSITORY)
    assert plan.figures["f"].settings["own"] == {"sycophancy": "sycophancy"}
    tax = {"next_token": {"corpora": ["all"], "tokens": 1000}}
    assert "Framed" not in caption(study_file.parse(of_crossed(figure, measures=tax)), "f")


@pytest.mark.parametrize(("stopping", "said"), [({}, True), (False, False)])
def test_what_is_open_in_a_figure_over_the_layer_is_reported(stopping: Any, said: bool) -> None:
    measures = {"two_choice": {"split": "validation", "stopping": stopping}}
    data = of_crossed({"kind": "layers", "controls": ["grid"], "layers": [1]}, measures=measures)
    data["sweeps"]["grid"]["measures"] = measures
    words = caption(study_file.parse(data), "f")
    assert words.startswith("Dashed: the unsteered model. Grey: the control.")
    assert ("A line has a gap where a curve ended" in words) == said


JUDGE = {
    "scorer": "judge",
    "address": "http://localhost:8000/v1",
    "model": "kind-judge",
    "prompt": "{text}",
    "rating": {"least": 1, "most": 10},
}
LABELS = {"labels": "tests/small.yaml"}
SCORES: dict[str, Any] = {
    "hurried": {"scorer": "phrases", "patterns": ["now"], "better": "lower"},
    "length": {},
    "repetition": {"title": "Repeats"},
    "fluency": {"scorer": "perplexity"},
    "in-kind": JUDGE,
    "labelled": {**JUDGE, **LABELS, "positive": 5},
    "rated": {**JUDGE, **LABELS},
}


def of_texts(figure: dict[str, Any], **other: dict[str, Any]) -> Plan:
    """The study in miniature with a figure of texts, `other` of which have other scores."""
    data = yaml.safe_load((REPOSITORY / "config" / "miniature.yaml").read_text())
    for name, scores in {"texts": SCORES, "other": {**SCORES, **other}, "plain": {}}.items():
        texts = {"measure": "continuation", "prompts": ["Once"], "scores": scores}
        dose = {"measure": "divergence", "behaviours": ["myopia", "sycophancy"]}
        data["sweeps"][name] = {
            "model": "miniature-chat",
            "inject": {"vectors": ["myopia", "sycophancy"], "layers": [1, 3]},
            "coefficients": [0, 1],
            "measures": {"written": texts, "dose": dose},
        }
    data["figures"] = {"f": figure}
    return Plan(study_file.parse(data), REPOSITORY)


@pytest.mark.parametrize(
    ("column", "label", "better"),
    [
        (None, "Hurried, share of texts", "lower"),
        ("hurried", "Hurried, share of texts", "lower"),
        ("length", "Tokens of a text", "higher"),
        ("length_words", "Words of a text", "higher"),
        ("repetition", "Repeats", "lower"),
        ("repetition_compression", "Repeats, compression", "lower"),
        ("fluency", "Perplexity of texts, unsteered model", "lower"),
        ("fluency_nll", "Cross-entropy of texts, unsteered model (nats per token)", "lower"),
        ("in-kind", "In kind, mean rating", "higher"),
        ("labelled_share", "Labelled, share of texts", "higher"),
        ("rated_corrected", "Rated, mean rating", "higher"),
        ("tokens", "Tokens of a text", "higher"),
        ("finished", "Share of texts that ended", "higher"),
    ],
)
@pytest.mark.parametrize("kind", ["curves", "layers", "interference", "against"])
def test_every_score_of_texts_can_be_drawn(
    kind: str, column: str | None, label: str, better: str
) -> None:
    named = {"column": column} if column else {}
    figure: dict[str, Any] = {"kind": kind, "sweeps": ["texts.written"], **named}
    if kind == "interference":
        figure |= {"coefficient": 1, "layer": 3}
    if kind == "against":
        x, y = {"table": "texts.dose", "source": "myopia"}, {"table": "texts.written"}
        figure = {"kind": kind, "x": x, "y": y | named}
    settings = of_texts(figure).figures["f"].settings
    shown = settings["y"] if kind == "against" else settings["shown"][0]
    assert (shown["label"], shown["better"]) == (label, better)
    assert shown["column"] == (column or "hurried")
    assert shown.get("judged") == (
        shown["column"].split("_")[0] if "rating" in label or "Labelled" in label else None
    )


def test_without_scores_the_tokens_are_drawn() -> None:
    plan = of_texts({"kind": "curves", "sweeps": ["plain.written"]})
    assert plan.figures["f"].settings["shown"][0]["column"] == "tokens"


@pytest.mark.parametrize(
    ("figure", "other", "sentence"),
    [
        (
            {"column": "length_word"},
            {},
            "figures.f draws length_word of sweeps.texts.written, which measures continuation "
            "and has "
            "hurried, length, length_words, length_characters, repetition, "
            "repetition_compression, fluency, fluency_nll, in-kind, labelled_share, "
            "rated_corrected, tokens, finished to draw; name one of these.",
        ),
        (
            {"column": "labelled"},
            {},
            "figures.f draws labelled of sweeps.texts.written, whose interval ignores how well "
            "the judge agrees with people; name labelled_share, which includes it.",
        ),
        (
            {"column": "rated"},
            {},
            "figures.f draws rated of sweeps.texts.written, whose interval ignores how well the "
            "judge agrees with people; name rated_corrected, which includes it.",
        ),
        (
            {"controls": ["plain.written"]},
            {},
            "figures.f draws hurried of sweeps.texts.written (Hurried, share of texts) and "
            "tokens of sweeps.plain.written (Tokens of a text) on one axis; set `column` to a "
            "score that all sweeps have, with one title.",
        ),
        (
            {"controls": ["other.written"]},
            {"hurried": {"scorer": "length"}},
            "figures.f draws hurried of sweeps.texts.written (Hurried, share of texts) and "
            "hurried of sweeps.other.written (Tokens of a text) on one axis; set `column` to a "
            "score that all sweeps have, with one title.",
        ),
        (
            {"controls": ["other.written"], "column": "repetition"},
            {"repetition": {}},
            "figures.f draws repetition of sweeps.texts.written (Repeats) and repetition of "
            "sweeps.other.written (Share of n-grams that are repeated) on one axis; set "
            "`column` to a score that all sweeps have, with one title.",
        ),
    ],
)
def test_scores_that_cannot_be_drawn_are_reported(
    figure: dict[str, Any], other: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StudyError) as raised:
        of_texts({"kind": "curves", "sweeps": ["texts.written"], **figure}, **other)
    assert str(raised.value) == sentence
