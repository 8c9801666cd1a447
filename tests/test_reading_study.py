"""What a study may say of formats, sites and positions, and what is told of a mistake in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

from snakesteer.core.errors import StudyError
from snakesteer.plan.bill import Item, bill
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file

PAIRS = {"source": "pairs", "file": "a.jsonl", "train": 4, "validation": 2, "questions": 8}
SYSTEMS = PAIRS | {"prompt": "q", "system_matching": "kind", "system_not_matching": "rude"}
ANSWERS = PAIRS | {"prompt": "q", "matching": "yes", "not_matching": "no"}
SPLIT = {"files": ["a.jsonl"]}
CORPUS = {"source": "files", "train": 4, "validation": 2, "splits": {"train": SPLIT}}
CORPUS["splits"] = {"train": SPLIT, "validation": {**SPLIT, "skip": 4}}
MODEL = {"source": "resources/models/miniature-chat"}


def study(activations: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {
        "name": "a",
        "models": {"m": MODEL},
        "corpora": {"c": CORPUS},
        "behaviours": {"systems": SYSTEMS, "answers": ANSWERS},
        "activations": {"a": {"model": "m", **activations}},
        **sections,
    }


INST = "[INST] {prompt} [/INST] "
AFTER = {"model": "m", "corpus": "c", "format": "chat", "positions": "after_instruction"}
ONE = "needs one; read its activations at one, as `positions: -1`."
MARKER = "[/INST]"


@pytest.mark.parametrize(
    ("activations", "settings"),
    [
        ({"corpus": "c"}, {}),
        ({"corpus": "c", "format": "plain", "site": "output", "positions": "last"}, {}),
        ({"corpus": "c", "format": "chat"}, {"format": {"template": "chat", "system": None}}),
        (
            {"corpus": "c", "format": {"system": "Hm"}},
            {"format": {"template": "chat", "system": "Hm"}},
        ),
        (
            {"corpus": "c", "format": {"system": False}},
            {"format": {"template": "chat", "system": False}},
        ),
        ({"corpus": "c", "format": "llama"}, {"format": {"template": INST, "system": None}}),
        (
            {"corpus": "c", "format": {"template": INST}},
            {"format": {"template": INST, "system": None}},
        ),
        ({"corpus": "c", "site": "mlp", "positions": -3}, {"site": "mlp", "positions": -3}),
        ({"corpus": "c", "positions": [-2, -1]}, {"positions": [-2, -1]}),
        ({"corpus": "c", "positions": {"mean": "document"}}, {"positions": {"mean": "document"}}),
        ({"behaviour": "answers", "positions": "letter"}, {"positions": "letter"}),
    ],
)
def test_an_entry_holds_what_is_given(
    activations: dict[str, Any], settings: dict[str, Any]
) -> None:
    parsed = study_file.parse(study(activations, formats={"llama": {"template": INST}}))
    entry = parsed.activations["a"]
    form = parsed.format_of(entry)
    where = entry.model_dump(include={"site", "positions"}, exclude_defaults=True)
    given = where | ({"format": form.settings()} if form else {})
    assert given == settings


def test_nothing_said_is_the_last_token_of_a_plain_text_behind_the_block() -> None:
    for name in ("miniature", "papers/broad-skills"):
        plan = Plan(study_file.load(REPOSITORY / "config" / f"{name}.yaml"), REPOSITORY)
        for made in plan.artefacts():
            new = {"format", "site", "positions", "completion", "readers"} & made.settings.keys()
            if made.stage == "activations":
                read = {"format": None, "site": "output", "positions": "last"}
                assert {name: made.settings[name] for name in new} == read
            else:
                assert new <= ({"readers"} if made.stage == "documents" else set()), made.name


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"activations": {"a": {"model": "m", "corpus": "c", "format": "lama"}}},
            "activations.a.format names `lama`, which is not in formats; did you mean `llama`?",
        ),
        (
            {"activations": {"a": {"model": "m", "corpus": "c", "positions": "letter"}}},
            "my.yaml: `activations.a`: positions is letter, which only the answers of a "
            "behaviour have; use other positions for a corpus.",
        ),
        (
            {"activations": {"a": {"model": "m", "corpus": "c", "positions": 0}}},
            "my.yaml: `activations.a.positions`: tokens are counted from the end, so numbers "
            "are negative; give -1 for the last one (given: 0).",
        ),
        (
            {"activations": {"a": {"model": "m", "corpus": "c", "positions": [-1, -1]}}},
            "my.yaml: `activations.a.positions`: lists -1 twice; remove one.",
        ),
        (
            {"activations": {"a": {"model": "m", "corpus": "c", "positions": {"mean": "text"}}}},
            "my.yaml: `activations.a.positions.mean` is 'text'; give 'completion' or 'document'.",
        ),
        (
            {"activations": {"a": {"model": "m", "corpus": "c", "site": "residual"}}},
            "my.yaml: `activations.a.site` is 'residual'; give 'output', 'input', 'attention' or "
            "'mlp'.",
        ),
        (
            {
                "activations": {
                    "a": {"model": "m", "corpus": "c", "positions": {"mean": "completion"}}
                }
            },
            "activations.a.positions asks for the mean over completions, but corpora.c has no "
            "completions; set its `completion` to the field that holds them.",
        ),
        (
            {"activations": {"a": {"model": "m", "corpus": None, "behaviour": "systems"}}},
            "activations.a reads behaviours.systems, whose sides have system prompts, for which "
            "its format has no place; give it `format: chat`, or a template with {system}.",
        ),
        (
            {
                "activations": {
                    "a": {"model": "m", "corpus": None, "behaviour": "systems", "format": "llama"}
                }
            },
            "activations.a reads behaviours.systems, whose sides have system prompts, for which "
            "its format has no place; give it `format: chat`, or a template with {system}.",
        ),
        (
            {
                "activations": {
                    "a": {
                        "model": "m",
                        "corpus": None,
                        "behaviour": "systems",
                        "format": {"system": "Hm"},
                    }
                }
            },
            "activations.a.format has a system prompt, and behaviours.systems has its own; keep "
            "one of them.",
        ),
        (
            {
                "activations": {
                    "a": {"model": "m", "corpus": "c", "format": {"template": "{system}{prompt}"}}
                }
            },
            "activations.a.format has a place for a system prompt in '{system}{prompt}', but none "
            "is given; add `system`, or remove {system} from the template.",
        ),
        *(
            (
                {
                    "behaviours": {"b": unanswered},
                    "activations": {
                        "a": {"model": "m", "corpus": None, "behaviour": "b", "format": "chat"}
                        | {"positions": positions}
                    },
                },
                "activations.a.positions asks for answers, but in behaviours.b none follow a "
                "prompt; give it prompt, matching and not_matching, or use other positions.",
            )
            for unanswered in (SYSTEMS, PAIRS | {"matching": "yes", "not_matching": "no"})
            for positions in ("letter", {"mean": "completion"})
        ),
        (
            {"formats": {"chat": {"template": INST}}},
            "my.yaml: formats.chat has the name of a built-in format; rename it.",
        ),
        (
            {"formats": {"f": {"template": "[INST]"}}},
            "my.yaml: `formats.f`: template '[INST]' must contain {prompt} exactly once; "
            "correct it, or write chat for the tokenizer's own template.",
        ),
        (
            {"formats": {"f": {"template": INST, "system": "Hm"}}},
            f"my.yaml: `formats.f`: system is given, but template {INST!r} has no {{system}}; "
            "add it where the system prompt belongs.",
        ),
        (
            {"formats": {"f": {"template": "{system}{system}{prompt}"}}},
            "my.yaml: `formats.f`: template '{system}{system}{prompt}' has {system} more than "
            "once; keep one.",
        ),
        (
            {"formats": {"f": {"templat": INST}}},
            "my.yaml: unknown key `formats.f.templat`; did you mean `template`?",
        ),
        (
            {"activations": {"a": {"model": "m", "corpus": "c", "format": {"templat": INST}}}},
            "my.yaml: unknown key `activations.a.format.templat`; did you mean `template`?",
        ),
        (
            {"activations": {"a": {"model": "m", "corpus": "c", "format": {"template": "x"}}}},
            "my.yaml: `activations.a.format`: template 'x' must contain {prompt} exactly "
            "once; correct it, or write chat for the tokenizer's own template.",
        ),
        (
            {"activations": {"a": {"model": "m", "corpus": "c", "format": 3}}},
            "my.yaml: `activations.a.format` is 3; give text or keys with values.",
        ),
        (
            {"behaviours": {"b": PAIRS | {"prompt": "q", "matching": "yes"}}},
            "my.yaml: `behaviours.b`: give both matching and not_matching, or neither.",
        ),
        (
            {"behaviours": {"b": PAIRS | {"prompt": "q"}}},
            "my.yaml: `behaviours.b`: does not name two sides; give matching and not_matching, "
            "or system_matching and system_not_matching.",
        ),
        (
            {
                "behaviours": {
                    "b": PAIRS | {"system_matching": "kind", "system_not_matching": "rude"}
                }
            },
            "my.yaml: `behaviours.b`: names no text; set prompt to the field that holds it.",
        ),
        (
            {
                "behaviours": {
                    "b": ANSWERS | {"file": "https://raw.githubusercontent.com/a/b/main/c.jsonl"}
                }
            },
            "my.yaml: `behaviours.b`: file https://raw.githubusercontent.com/a/b/main/c.jsonl "
            "names no commit, so its content could change; replace the branch with a commit of "
            "40 hex digits: `git ls-remote https://github.com/a/b HEAD` prints one.",
        ),
        (
            {
                "activations": {"b": {"model": "m", "behaviour": "systems", "format": "chat"}},
                "vectors": {"v": {"method": "contrast", "of": "b"}},
                "sweeps": {
                    "s": {
                        "model": "m",
                        "inject": {"vector": "v", "layers": [1]},
                        "coefficients": [0, 1],
                        "measures": {"two_choice": {}},
                    }
                },
            },
            "sweeps.s.measures.two_choice would ask behaviours.systems, whose sides differ in the "
            "system prompt and are not two-choice questions; name a vector of another behaviour.",
        ),
        (
            {
                "activations": {"a": {"model": "m", "corpus": "c", "positions": [-2, -1]}},
                "vectors": {"v": {"add": ["a"]}},
                "sweeps": {
                    "s": {
                        "model": "m",
                        "inject": {"vector": "v", "layers": [1]},
                        "coefficients": [0, 1],
                        "measures": {"next_token": {"corpora": ["c"], "tokens": 9}},
                    }
                },
            },
            "sweeps.s.inject names vectors.v, which has the positions [-2, -1]; set the one to "
            "inject, as `source_positions: all`, or in `together` as `source_position: -1`.",
        ),
        (
            {
                "activations": {"a": AFTER},
                "vectors": {
                    "v": {"add": ["a"]},
                    "w": {"method": "control", "how": "random", "of": "v"},
                },
                "samples": {
                    "s": {
                        "model": "m",
                        "vector": "w",
                        "layer": 1,
                        "coefficients": [1],
                        "prompts": ["Hm"],
                    }
                },
            },
            "samples.s.vector names vectors.w, which has the positions after_instruction, but "
            f"{ONE}",
        ),
        (
            {
                "activations": {"a": AFTER},
                "figures": {"f": {"kind": "distributions", "activations": ["a"], "layers": [1]}},
            },
            "figures.f.activations names activations.a, which has the positions after_instruction, "
            f"but {ONE}",
        ),
        (
            {
                "activations": {"a": {"model": "m", "corpus": "c", "positions": [-2, -1]}},
                "vectors": {"v": {"add": ["a"]}},
                "figures": {"f": {"kind": "distributions", "vectors": ["v"], "layers": [1]}},
            },
            f"figures.f.vectors names vectors.v, which has the positions [-2, -1], but {ONE}",
        ),
        (
            {
                "activations": {
                    "a": {"model": "m", "corpus": "c", "positions": [-2, -1]},
                    "b": AFTER,
                    "one": {"model": "m", "corpus": "c"},
                },
                "vectors": {
                    "v": {"add": ["a", "one"], "scale": {"norm_of": "w"}},
                    "w": {"add": ["b"]},
                },
            },
            "vectors.v is made of activations at different positions, a at [-2, -1] and b at "
            "after_instruction; read both at the same positions.",
        ),
    ],
)
def test_a_mistake_is_one_sentence(change: dict[str, Any], sentence: str) -> None:
    data = study({"corpus": "c"}, formats={"llama": {"template": INST}})
    with pytest.raises(StudyError) as told:
        study_file.parse(study_file.merge(data, change), "my.yaml")
    assert str(told.value) == sentence


# Formats of measures and samples, and what is steered.

COMPLETED = CORPUS | {"completion": "x"}


def steering(
    positions: Any = "all", measure: Any = None, samples: dict[str, Any] | None = None
) -> dict[str, Any]:
    measures = {"m": measure or {"measure": "two_choice"}}
    inject = {"vector": "v", "layers": [1], "positions": positions}
    sweep = {"model": "m", "inject": inject, "coefficients": [0, 1], "measures": measures}
    data = study(
        {"behaviour": "answers"},
        formats={"llama": {"template": INST}},
        vectors={"v": {"method": "contrast", "of": "a"}},
        sweeps={"s": sweep},
    )
    data["corpora"] = {"c": CORPUS, "d": COMPLETED}
    if samples is not None:
        shown = {"model": "m", "vector": "v", "layer": 1, "coefficients": [0], "prompts": ["a"]}
        data["samples"] = {"t": shown | samples}
    return data


def predicted(**given: Any) -> dict[str, Any]:
    return {"measure": "next_token", "corpora": ["c"], **given}


def chosen(**given: Any) -> dict[str, Any]:
    return {"measure": "two_choice", **given}


def made(data: dict[str, Any], stage: str) -> dict[str, Any]:
    """The settings of the one artefact of a stage, a measure's in place of the list of one."""
    plan = Plan(study_file.parse(data), REPOSITORY)
    (only,) = plan.artefacts(stage)
    settings = dict(only.settings)
    if "measures" in settings:
        (settings["measures"],) = settings["measures"]
    return settings


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that the study names, where a run begins."""
    lines = [{"text": f"Is it {i}?", "x": "Yes.", "q": f"Is it {i}?", "yes": "(A)", "no": "(B)"}
             for i in range(10)]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("measure", "format_", "asked"),
    [
        (chosen(), None, {}),
        (chosen(format="plain", answer_prefix=""), None, {}),
        (chosen(format="llama"), {"template": INST, "system": None}, {}),
        (
            chosen(format={"system": "Hm"}, answer_prefix="("),
            {"template": "chat", "system": "Hm"},
            {"answer_prefix": "("},
        ),
        (predicted(), None, {}),
        (predicted(format="plain", counted="all"), None, {}),
        (
            predicted(corpora=["d"], format="chat", counted="completion"),
            {"template": "chat", "system": None},
            {"counted": "completion"},
        ),
    ],
)
def test_a_job_holds_what_a_measure_says_and_no_more(
    measure: dict[str, Any], format_: dict[str, Any] | None, asked: dict[str, Any]
) -> None:
    data = steering(measure=measure)
    settings = made(data, "sweep")
    assert "positions" not in settings
    assert settings["measures"].get("format") == format_
    assert ("format" in settings["measures"]) == (format_ is not None)
    assert settings["measures"]["asked"] == {"stopping": None, **asked}
    if measure["measure"] == "next_token":
        skipped = made(data, "skip_tokens")
        new = {name: skipped[name] for name in ("format", "counted") if name in skipped}
        assert new == asked | ({"format": format_} if format_ else {})


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    "positions",
    ["prompt", -3, {"from": MARKER}, {"from_last_of": MARKER}, {"after": MARKER}],
)
def test_a_job_holds_the_positions(positions: Any) -> None:
    ((injected, *_), *_) = [made(steering(positions), "sweep")["injections"]]
    (part,) = injected["parts"]
    assert part["positions"] == positions
    samples = {"positions": positions, "sites": ["mlp", "input"], "format": "llama"}
    settings = made(steering(samples=samples), "samples")
    given = {**samples, "format": {"template": INST, "system": None}}
    assert {name: settings[name] for name in samples} == given
    assert not settings.keys() - made(steering(samples={}), "samples").keys() - samples.keys()
    assert not samples.keys() & made(steering(samples={}), "samples").keys()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            steering("completion"),
            "sweeps.s.inject.positions is completion, but sweeps.s.measures.m reads "
            "behaviours.answers, whose answers have no beginning to steer; give the measure an "
            "`answer_prefix`, or name other positions.",
        ),
        *(
            (
                steering("after_instruction", measure),
                "sweeps.s.inject.positions is after_instruction, but sweeps.s.measures.m reads "
                f"{read}, where nothing follows the instruction; give the measure a `format` "
                "with text after it, or name other positions.",
            )
            for measure, read in (
                (chosen(), "behaviours.answers"),
                (chosen(format={"template": "Q: {prompt}"}), "behaviours.answers"),
                (predicted(), "corpora.c"),
            )
        ),
        (
            steering("completion", predicted(corpora=["d", "c"], format="chat")),
            "sweeps.s.inject.positions is completion, but sweeps.s.measures.m reads corpora.c, "
            "which has no completions; set its `completion` to the field that holds them, or "
            "name other positions.",
        ),
        (
            steering("prompt", predicted()),
            "sweeps.s.inject.positions is prompt, but sweeps.s.measures.m reads corpora.c, whose "
            "documents have no prompt; give the measure a `format`, or name other positions.",
        ),
        (
            steering("all", predicted(counted="completion")),
            "sweeps.s.measures.m.counted is completion, but corpora.c has no completions; set "
            "its `completion` to the field that holds them, or count all.",
        ),
        (
            steering("all", chosen(format="lama")),
            "sweeps.s.measures.m.format names `lama`, which is not in formats; did you mean "
            "`llama`?",
        ),
        (
            steering("all", predicted(format={"template": "{system}{prompt}"})),
            "sweeps.s.measures.m.format has a place for a system prompt in '{system}{prompt}', but "
            "none is given; add `system`, or remove {system} from the template.",
        ),
        (
            steering("all", chosen(system="Hm")),
            "my.yaml: unknown key `sweeps.s.measures.m.system`; it belongs under `format`.",
        ),
        (
            steering("all", chosen(format={"templat": INST})),
            "my.yaml: unknown key `sweeps.s.measures.m.format.templat`; did you mean `template`?",
        ),
        (
            steering("instruction"),
            "my.yaml: `sweeps.s.inject.positions` is 'instruction'; give 'all', 'last', "
            "'after_instruction', 'prompt' or 'completion' or a whole number or keys with values.",
        ),
        (
            steering({"form": MARKER}),
            "my.yaml: `sweeps.s.inject.positions.form` is 'form'; give 'from', 'from_last_of' or "
            "'after'.",
        ),
        (
            steering({"from": MARKER, "after": MARKER}),
            "my.yaml: `sweeps.s.inject.positions`: needs exactly one of from, from_last_of and "
            "after, with a marker; give one of them.",
        ),
        (
            steering(samples={"format": "lama"}),
            "samples.t.format names `lama`, which is not in formats; did you mean `llama`?",
        ),
        (
            steering(samples={"sites": ["mlp", "mlp"]}),
            "my.yaml: `samples.t.sites`: lists mlp twice; remove one.",
        ),
    ],
)
def test_a_mistake_in_what_is_steered_is_one_sentence(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StudyError) as told:
        study_file.parse(data, "my.yaml")
    assert str(told.value) == sentence


@pytest.mark.parametrize(
    ("positions", "measure"),
    [
        ("completion", chosen(answer_prefix="(")),
        ("after_instruction", chosen(answer_prefix="(")),
        ("after_instruction", chosen(format="llama")),
        ("after_instruction", chosen(format="chat")),
        ("prompt", chosen()),
        ("prompt", predicted(format="llama")),
        ("completion", predicted(corpora=["d"])),
        ("after_instruction", predicted(corpora=["d"])),
        ({"from": MARKER}, predicted()),
    ],
)
def test_what_texts_may_have_is_not_refused(positions: Any, measure: dict[str, Any]) -> None:
    study_file.parse(steering(positions, measure))


def test_the_bill_counts_instructions_pairs_and_positions(tmp_path: Path) -> None:
    lines = [json.dumps({"q": f"Is it {i}?", "yes": "Yes.", "no": "No."}) for i in range(10)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    data = study({"corpus": "c", "format": "chat"})
    file = str(tmp_path / "a.jsonl")
    here = {"files": [file]}
    data["corpora"]["c"] = CORPUS | {"field": "q", "completion": "yes", "shuffle": False}
    data["corpora"]["c"]["splits"] = {"train": here, "validation": {**here, "skip": 4}}
    data["behaviours"] = {"answers": ANSWERS | {"file": file}}
    data["activations"]["b"] = {"model": "m", "behaviour": "answers"}
    data["vectors"] = {"v": {"add": ["a"]}, "w": {"contrast": "b"}}

    def billed(rule: str = "activations", **change: Any) -> Item:
        data["activations"]["a"].update(change)
        plan = Plan(study_file.parse(data), REPOSITORY)
        return next(item for item in bill(plan) if item.rule == rule)

    one, mean = billed(), billed(rule="mean").gigabytes
    assert 4 * 3 + 8 * 3 <= one.tokens <= 4 * 20 + 8 * 20
    several = billed(positions=[-3, -2, -1])
    assert billed(rule="mean").gigabytes == billed(rule="vector").gigabytes * 3 / 4 == 3 * mean
    assert several.gigabytes == pytest.approx(2 * one.gigabytes - one.gigabytes / 3)
