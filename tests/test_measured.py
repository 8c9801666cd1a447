"""What sweeps with several measures plan: names of tables, what each vector is measured on, and how
injections are cut into jobs."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core import plugins
from snakesteer.core.errors import StudyError
from snakesteer.core.records import read
from snakesteer.plan.plan import Plan
from snakesteer.plan.resources import tokens
from snakesteer.plan.sweeps import choice
from snakesteer.study import study_file
from snakesteer.study.schema import Study
from snakesteer.sweeps.job import Injected, SweepJob

CORPORA = {"corpora": ["code", "text"], "tokens": 600, "max_tokens": 128}
QUESTIONS = {"behaviours": ["myopia"]}
BOTH_BEHAVIOURS = {"behaviours": ["wealth-seeking", "myopia"]}


def changed(over: dict[str, Any]) -> Study:
    """The small study with some entries changed."""
    return study_file.parse(study_file.merge(study_file.read(SMALL), over))


def plan(over: dict[str, Any]) -> Plan:
    return Plan(changed(over), REPOSITORY)


def jobs_of(made: Plan, sweep: str) -> list[SweepJob]:
    return [read(SweepJob, job.settings) for job in made.sweeps[sweep]]


def both(**measures: Any) -> dict[str, Any]:
    """A change that gives the sweep of code a measure of questions as well; its figures and its
    scorecard name the table of next tokens."""
    return {
        "sweeps": {"code": {"measures": measures or {"two_choice": QUESTIONS}}},
        "figures": {"general-coding": {"sweeps": ["code.next_token"]}},
        "scorecards": {"control": {"sweeps": ["code.next_token"]}},
    }


def test_a_sweep_with_several_measures_has_a_table_for_each() -> None:
    one, two = plan({}), plan(both())
    assert set(two.tables) - set(one.tables) == {"code.next_token", "code.two_choice"}
    assert set(one.tables) - set(two.tables) == {"code"}
    (job,) = two.sweeps["code"]
    for name in ("next_token", "two_choice"):
        table = two.tables[f"code.{name}"]
        assert table.inputs["sweeps"] == tuple(job.paths)
        assert table.settings["sweep"] == f"code.{name}"
        assert (table.settings["of"], table.settings["measure"]) == (name, name)
        assert table.settings["jobs"] == one.tables["code"].settings["jobs"]
    assert two.tables["code.next_token"].settings["target"] == "code"
    assert two.tables["code.two_choice"].settings["split"] == "test"
    assert two.study.titles_of("code.two_choice") == {"myopia": "Myopia"}
    assert set(two.study.titles_of("code.next_token")) == {"code", "text"}


def test_a_measure_is_known_by_its_name_and_says_what_it_is() -> None:
    """Twice the same measure, of other texts each, which finds its own files among the job's."""
    asked = {"measure": "two_choice", "behaviours": ["wealth-seeking"], "split": "validation"}
    made = plan(both(of_money=asked, two_choice=QUESTIONS))
    tables = [name for name in made.tables if name.startswith("code.")]
    assert tables == ["code.next_token", "code.of_money", "code.two_choice"]
    assert made.tables["code.of_money"].settings["measure"] == "two_choice"
    (job,) = jobs_of(made, "code")
    sources = {one.name: job.sources(job.injections[0], one) for one in job.measures}
    assert sources == {
        "next_token": ("code", "text"),
        "of_money": ("wealth-seeking",),
        "two_choice": ("myopia",),
    }
    names = [behaviour.name for behaviour, _ in made.sweeps["code"][0].inputs["questions"]]
    assert sorted(names) == ["myopia", "wealth-seeking"]
    for one in job.measures[1:]:
        assert [names[place] for place in one.files["questions"]] == list(one.sources)


def test_figures_scorecards_and_choices_name_a_table_of_a_sweep_with_several() -> None:
    over = both()
    over["sweeps"]["grid"] = {"measures": {"next_token": {**CORPORA, "corpora": ["all"]}}}
    over["choices"] = {"multipliers": {"grid": "grid.two_choice"}}
    over["figures"]["grid-search"] = {"sweep": "grid.two_choice"}
    over["effects"] = {"grid": {"sweep": "grid.two_choice"}}
    made = plan(over)
    tables = f"results/{made.study.name}/tables"
    drawn = made.figures["general-coding"].inputs["tables"]
    assert drawn == (f"{tables}/code.next_token.parquet", f"{tables}/code-permuted.parquet")
    assert made.figures["grid-search"].inputs["tables"] == (f"{tables}/grid.two_choice.parquet",)
    (compared,) = made.scorecards["control"].inputs["sweeps"]
    assert compared == f"{tables}/code.next_token.parquet"
    chosen = choice(made.graph, "multipliers")
    assert [job for job, _ in chosen.inputs["grid"]] == made.sweeps["grid"]
    grid = chosen.settings["picked"]["grid"]
    assert (grid["of"], grid["measure"]) == ("two_choice", "two_choice")
    assert made.figures["grid-search"].settings["labels"].keys() == {"myopia", "wealth-seeking"}


@pytest.mark.parametrize(
    ("section", "name", "entry", "place", "named"),
    [
        ("figures", "general-coding", {"sweeps": ["code"]}, ".sweeps", "code"),
        ("figures", "general-coding", {"sweeps": ["code.next"]}, ".sweeps", "code.next"),
        ("scorecards", "control", {"sweeps": ["code"]}, "", "code"),
        ("scorecards", "control", {"against": ["code"]}, "", "code"),
    ],
)
def test_a_sweep_with_several_measures_alone_names_no_table(
    section: str, name: str, entry: dict[str, Any], place: str, named: str
) -> None:
    over = both()
    over[section][name] |= entry
    with pytest.raises(StudyError) as raised:
        changed(over)
    assert str(raised.value) == (
        f"{section}.{name}{place} names sweeps.{named}, but sweeps.code has several measures; name "
        "code.next_token or code.two_choice."
    )


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        (
            "grid",
            "choices.multipliers.grid names sweeps.grid, but sweeps.grid has several measures; "
            "name grid.two_choice or grid.next_token.",
        ),
        (
            "grid.next_token",
            "choices.multipliers.grid names sweeps.grid.next_token, which measures next_token; "
            "name one of two_choice or choice.",
        ),
    ],
)
def test_a_choice_names_the_table_of_questions(grid: str, sentence: str) -> None:
    over = {"sweeps": {"grid": {"measures": {"next_token": CORPORA}}}}
    with pytest.raises(StudyError) as raised:
        changed({**over, "choices": {"multipliers": {"grid": grid}}})
    assert str(raised.value) == sentence


def test_a_sweep_with_one_measure_is_named_alone() -> None:
    with pytest.raises(StudyError) as raised:
        changed({"figures": {"python-ability": {"sweeps": ["python.next_token"]}}})
    assert str(raised.value) == (
        "figures.python-ability.sweeps names sweeps.python.next_token, but sweeps.python has one "
        "measure; name python."
    )


def test_a_figure_needs_the_measure_that_it_draws() -> None:
    over = both()
    over["figures"]["general-coding"] = {"sweeps": ["code.two_choice"]}
    with pytest.raises(StudyError) as raised:
        changed(over)
    assert str(raised.value) == (
        "figures.general-coding.sweeps names sweeps.code.two_choice, which measures two_choice of "
        "vectors alone, but needs next_token; name one, or use `kind: curves`."
    )


def test_a_behaviours_vector_is_measured_on_corpora() -> None:
    sweep = {
        "model": "miniature-chat",
        "inject": {"vectors": ["myopia", "wealth-seeking"], "layers": [2, 3]},
        "coefficients": [0, 1, -1],
        "measures": {"next_token": CORPORA},
    }
    figure = {"kind": "tradeoff", "sweeps": ["tax"], "layers": [3]}
    made = plan({"sweeps": {"tax": sweep}, "figures": {"taxed": figure}})
    (job,) = jobs_of(made, "tax")
    steered = [(one.vector, one.layer) for one in job.injections]
    assert steered == [(name, layer) for layer in "23" for name in ("myopia", "wealth-seeking")]
    (measured,) = job.measures
    assert {job.sources(one, measured) for one in job.injections} == {("code", "text")}
    assert tokens(made.sweeps["tax"][0]) == 4 * 3 * 2 * 600
    assert made.tables["tax"].settings["target"] == "code"


def test_a_skills_vector_is_asked_questions_of_behaviours_that_are_named() -> None:
    sweep = {
        "model": "miniature",
        "inject": {"vector": "code", "layers": [3]},
        "coefficients": {"magnitudes": [1, 2]},
        "measures": {"two_choice": BOTH_BEHAVIOURS},
    }
    figure = {"kind": "heatmap", "sweep": "asked", "behaviour": "myopia"}
    made = plan({"sweeps": {"asked": sweep}, "figures": {"asked": figure}})
    (job,) = jobs_of(made, "asked")
    assert job.sources(job.injections[0], *job.measures) == ("wealth-seeking", "myopia")
    assert job.behaviours == {}
    assert set(made.study.titles_of("asked")) == {"myopia", "wealth-seeking"}
    assert made.tables["asked"].settings["kind"] == "grid"


def test_each_vector_is_asked_its_own_questions_unless_behaviours_are_named() -> None:
    alike = {"inject": {"vectors": ["myopia", "wealth-seeking"], "layers": [3, 4]}}
    asked = {"two_choice": {}, "of_both": {"measure": "two_choice", **BOTH_BEHAVIOURS}}
    sweep = {"model": "miniature-chat", **alike, "coefficients": [0, 1], "measures": asked}
    (job,) = jobs_of(plan({"sweeps": {"asked": sweep}}), "asked")
    own, of_both = job.measures
    sources = [job.sources(injected, own) for injected in job.injections]
    assert sources == [("myopia",), ("wealth-seeking",)] * 2
    for injected in job.injections:
        assert job.sources(injected, of_both) == ("wealth-seeking", "myopia")


def test_chosen_multipliers_are_measured_on_documents() -> None:
    over = {
        "sweeps": {"single": {"measures": {"next_token": CORPORA}}},
        "figures": {
            "single-steering": {"sweep": "single.two_choice"},
            "combined-steering": {"single": "single.two_choice"},
        },
    }
    (before,) = jobs_of(plan({}), "single")
    made = plan(over)
    (job,) = jobs_of(made, "single")
    assert job.injections == before.injections
    assert {one.coefficients for one in job.injections} == {None}
    (artefact,) = made.sweeps["single"]
    assert [one for one, _ in artefact.inputs["choice"]] == [choice(made.graph, "multipliers")]
    accuracy = next(one for one in job.measures if one.name == "next_token")
    for injected in job.injections:
        assert job.sources(injected, accuracy) == ("code", "text")
    assert made.tables["single.next_token"].settings["target"] == "code"
    assert "choice" in made.tables["single.next_token"].inputs
    # 0 and two multipliers, of two vectors, on two corpora; and three of each one's questions.
    documents, questions = 3 * 2 * 2 * 600, 3 * 2 * 20 * 256
    assert tokens(artefact) == documents + questions


@pytest.mark.parametrize("sweep", ["grid", "single", "combined", "code", "simultaneous"])
def test_the_same_injections_whatever_a_job_holds(sweep: str) -> None:
    """In the same order; with few tokens there is a job for each set of layers."""
    layers: dict[str, list[Any]] = {
        "grid": [1, 3, 4],
        "single": [1, 4],
        "combined": [4, 3],
        "code": [5, [2, 3], 0],
    }
    own = {name: {"inject": {"layers": given}} for name, given in layers.items()}
    models = ("miniature", "miniature-chat")
    small, large = (
        plan({"sweeps": own, "models": {name: {"job_tokens": most} for name in models}})
        for most in (1, 10**12)
    )
    (whole,), parts = jobs_of(large, sweep), jobs_of(small, sweep)
    union: list[Injected] = []
    for part in parts:
        union += part.injections
    assert tuple(union) == whole.injections
    sets = layers.get(sweep, [[1, 2, 3]])
    shown = [each if isinstance(each, list) else [each] for each in sets]
    assert [list(part.layers) for part in parts] == shown
    assert sum(map(tokens, small.sweeps[sweep])) == tokens(*large.sweeps[sweep])
    settings = [made.tables[sweep].settings["jobs"] for made in (small, large)]
    assert sum(settings[0], []) == sum(settings[1], [])


@pytest.mark.parametrize(
    ("most", "cut"),
    [
        (51_200, [1, 1, 1, 1, 1]),
        (102_399, [1, 1, 1, 1, 1]),
        (102_400, [2, 2, 1]),
        (160_000, [3, 2]),
        (256_000, [5]),
    ],
)
def test_a_job_takes_layers_until_it_reads_more_than_it_may(most: int, cut: list[int]) -> None:
    """The small grid's questions: two vectors at five points make 51,200 tokens a layer."""
    assert 20 * 2 * 5 * 256 == 51_200
    over = {
        "sweeps": {"grid": {"inject": {"layers": [1, 2, 3, 4, 5]}}},
        "models": {"miniature-chat": {"job_tokens": most}},
    }
    assert [len(job.layers) for job in jobs_of(plan(over), "grid")] == cut


OPERATORS = ", ".join(plugins.names("operators"))


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            {"sweeps": {"code": {"inject": {"operator": "xxxxxx"}}}},
            f"`sweeps.code.inject.operator`: there is no xxxxxx among the operators {OPERATORS}; "
            "correct it",
        ),
        (
            {"samples": {"chat": {"operator": "ad"}}},
            f"`samples.chat.operator`: there is no ad among the operators {OPERATORS}; did you "
            "mean add?",
        ),
    ],
)
def test_an_unknown_operator_is_reported_with_those_there_are(
    entry: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StudyError) as raised:
        changed(entry)
    assert sentence in str(raised.value) and "\n" not in str(raised.value)


TWO = {"vectors": {"shuffled": {"method": "control", "how": "permuted", "of": "myopia"}}}


def under_two(**entry: Any) -> dict[str, Any]:
    """A change by which two vectors are asked about one behaviour, each alone."""
    sweep = {
        "model": "miniature-chat",
        "inject": {"vectors": ["myopia", "shuffled"], "layers": [2]},
        "coefficients": [0, 1],
        "measures": {"two_choice": {}},
    }
    return {**TWO, "sweeps": {"two": sweep | entry}}


def test_two_vectors_of_one_behaviour_are_asked_about_it_each_alone() -> None:
    (job,) = jobs_of(plan(under_two()), "two")
    for injected in job.injections:
        assert job.sources(injected, job.measures[0]) == ("myopia",)
    assert [injected.vector for injected in job.injections] == ["myopia", "shuffled"]


@pytest.mark.parametrize(
    ("over", "sentence"),
    [
        (
            {"figures": {"f": {"kind": "heatmap", "sweep": "two"}}},
            "figures.f draws one vector per behaviour, but sweeps.two asks the same behaviour "
            "under several vectors; give each vector its own sweep.",
        ),
        (
            {
                "sweeps": {"one": {"inject": {"operator": "clamp"}}},
                "figures": {"f": {"kind": "heatmap", "sweep": "one"}},
            },
            "figures.f separates adding from subtracting, but the operator clamp of sweeps.one "
            "does neither; draw it as `kind: curves`.",
        ),
        (
            {"figures": {"f": {"kind": "heatmap", "sweep": "one", "direction": "subtract"}}},
            "figures.f has no cells to draw, as sweeps.one has no coefficients to subtract; add "
            "some there.",
        ),
        (
            {"scorecards": {"s": {"sweeps": ["code"], "against": ["one"]}}},
            "scorecards.s compares sweeps.code, which measures next_token, with sweeps.one, which "
            "measures two_choice of vectors alone; compare sweeps of one kind.",
        ),
        (
            {"choices": {"c": {"grid": "both-signs"}}},
            "sweeps.both-signs.inject names two vectors of the behaviour myopia; keep one.",
        ),
        (
            {"sweeps": {"s": {"inject": {"layers": [[2, 3]]}, "coefficients": {"choice": "all"}}}},
            "sweeps.s.inject.layers names layers [2, 3] together, but choices.all has multipliers "
            "for single layers; name these.",
        ),
        (
            {"sweeps": {"one": {"inject": {"operator": "../models"}}}},
            "the study: `sweeps.one.inject.operator`: there is no ../models among the operators "
            "ablate, add, clamp; correct it",
        ),
    ],
)
def test_settings_that_do_not_fit_are_reported_before_anything_runs(
    over: dict[str, Any], sentence: str
) -> None:
    one = under_two()["sweeps"]["two"] | {"inject": {"vector": "myopia", "layers": [2]}}
    signs = {
        "coefficients": {"magnitudes": [1]},
        "measures": {"two_choice": {"split": "validation"}},
    }
    there = {
        **TWO,
        "sweeps": {"two": under_two()["sweeps"]["two"], "one": one},
        "choices": {"all": {"grid": "sets"}},
    }
    there["sweeps"]["both-signs"] = under_two(**signs)["sweeps"]["two"]
    there["sweeps"]["sets"] = one | signs | {"inject": {"vector": "myopia", "layers": [[2, 3]]}}
    there["sweeps"]["s"] = one
    with pytest.raises(StudyError) as raised:
        plan(study_file.merge(there, over))
    assert str(raised.value).startswith(sentence)
