"""A study file's mistakes are told in one sentence that names the entry and the remedy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from conftest import REPOSITORY
from pydantic import TypeAdapter

from snakesteer.core.errors import StudyError
from snakesteer.study import coefficients as along
from snakesteer.study import mistakes, reference, study_file
from snakesteer.study.vectors import Vector

MINIATURE = REPOSITORY / "config" / "miniature.yaml"
SWEEPS = study_file.read(MINIATURE)["sweeps"]
NEXT_TOKEN = "sweeps.code.measures.next_token"
TWO_CHOICE = "sweeps.grid.measures.two_choice"
MAGNITUDES = "sweeps.grid.coefficients.magnitudes"


def asked(sweep: str, resamples: int | None = None, **changes: Any) -> dict[str, Any]:
    """Other settings of a sweep's measure of next tokens, and resamples of its vectors."""
    measure = SWEEPS[sweep]["measures"]["next_token"]
    return {"measures": {"next_token": measure | changes}, "resamples": resamples}


METHODS = "difference, contrast, pca, logistic, lda, combine, file, chosen, own, control"


@pytest.fixture
def data() -> dict[str, Any]:
    return study_file.read(MINIATURE)


def at(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The study with one place changed; `path` is dotted."""
    *parents, last = path.split(".")
    place = data
    for parent in parents:
        place[parent] = dict(place[parent])
        place = place[parent]
    place[last] = value
    return data


def test_every_study_in_config_is_valid() -> None:
    for path in (REPOSITORY / "config").rglob("*.yaml"):
        named = "mine" if path.stem == "config" else path.stem
        assert study_file.load(path).name == named


def test_every_study_in_config_is_valid_by_the_schema_for_editors() -> None:
    """Those that extend another one as they are when that is merged in; and no misspelt one is."""
    schema = jsonschema.Draft202012Validator(json.loads(reference.json_schema()))
    for path in (REPOSITORY / "config").rglob("*.yaml"):
        schema.validate(study_file.read(path))
    for sweep in (
        {"inject": {"vectr": "code"}},
        {"measures": {"next_token": {"corpra": ["code"]}}},
    ):
        wrong = study_file.merge(study_file.read(MINIATURE), {"sweeps": {"code": sweep}})
        assert not schema.is_valid(wrong)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("sweeps.code.coefficents", [0, 1], ["sweeps.code.coefficents", "`coefficients`"]),
        ("modles", {}, ["modles", "`models`"]),
        *(
            (f"sweeps.code.{key}", [1], [f"`sweeps.code.{key}`; it belongs under `{place}`."])
            for key, place in (
                ("layers", "inject"),
                ("operator", "inject"),
                ("magnitudes", "coefficients"),
                ("corpora", "measures"),
            )
        ),
        ("sweeps.code", {"model": "miniature"}, ["`sweeps.code.inject` is missing"]),
        ("corpora.text", {"train": 9}, ["`corpora.text.source` is missing"]),
        (
            f"{NEXT_TOKEN}.stopping",
            {"leep": 1},
            ["sweeps.code.measures.next_token.stopping.leep", "`leap`"],
        ),
        ("sweeps.code.model", "minature", ["sweeps.code.model", "minature", "`miniature`"]),
        ("sweeps.code.inject.vector", "coed", ["sweeps.code.inject", "coed", "`code`"]),
        ("sweeps.code.inject.vectors", ["python"], ["sweeps.code.inject", "vector and vectors"]),
        ("sweeps.grid.inject", {"layers": [1]}, ["sweeps.grid", "inject names no vector"]),
        ("sweeps.code.coefficients", [1, 2], ["sweeps.code", "coefficients lacks 0", "add it"]),
        ("sweeps.code.coefficients", [0, 1, 1], ["sweeps.code.coefficients", "twice"]),
        ("sweeps.code.coefficients", [0, "one"], ["sweeps.code.coefficients", "one"]),
        (
            "sweeps.code.inject.design",
            "alon",
            ["sweeps.code.inject.design", "alone, together, combined", "`alone`"],
        ),
        (
            "sweeps.code.measures",
            {"next_tokn": {"corpora": ["code"]}},
            ["sweeps.code.measures.next_tokn.measure", "two_choice", "`next_token`"],
        ),
        ("sweeps.code.measures", {}, ["sweeps.code.measures", "at least 1"]),
        (
            "sweeps.code.measures",
            {"_a": {"measure": "next_token", "corpora": ["code"]}},
            ["sweeps.code.measures._a", "'_a'", "underscores"],
        ),
        ("sweeps.code.inject.layers", None, ["sweeps.code", "layers"]),
        ("sweeps.code.inject.layers", [-1], ["sweeps.code.inject.layers", "-1"]),
        (f"{TWO_CHOICE}.split", "test", ["choices.multipliers.grid", "validation"]),
        (
            "sweeps.grid.coefficients",
            [0, 1],
            ["choices.multipliers.grid", "magnitudes", "one sign"],
        ),
        (
            f"{TWO_CHOICE}.behaviours",
            ["myopia"],
            [
                "choices.multipliers.grid",
                "sweeps.grid",
                "each vector's own",
                "remove behaviours there",
            ],
        ),
        (
            "choices.multipliers.grid",
            "code",
            ["choices.multipliers.grid", "sweeps.code", "next_token", "of two_choice or choice"],
        ),
        (
            "choices.multipliers.grid",
            "simultaneous",
            ["choices.multipliers.grid", "two_choice of vectors together", "needs vectors alone"],
        ),
        (
            "choices.multipliers.limit",
            {"table": "code", "perplexity": 1.5},
            ["choices.multipliers.limit.table", "sweeps.code", "not in the sweep of grid"],
        ),
        (
            "choices.multipliers.limit",
            {"table": "grid", "perplexity": 1.5},
            ["choices.multipliers.limit.table", "sweeps.grid", "but needs next_token"],
        ),
        (
            "choices.multipliers.limit",
            {"table": "grid", "perplexity": 1},
            ["choices.multipliers.limit.perplexity", "greater than 1"],
        ),
        ("activations.text.documents", 10**6, ["activations.text.documents", "corpora.text"]),
        ("activations.text.behaviour", "myopia", ["activations.text", "exactly one"]),
        (
            "figures.activation-distributions.activations",
            ["text", "myopia"],
            ["figures.activation-distributions.activations", "activations.myopia", "`vectors`"],
        ),
        (
            "samples.chat.prompts",
            ["The AI", "is \ud83d"],
            ["`samples.chat.prompts`: '\\ud83d' is half of a character; write the character"],
        ),
        ("sweeps.code.title", "\ud83d", ["`sweeps.code.title`: '\\ud83d' is half of a character"]),
        ("behaviours.myopia.train", 990, ["behaviours.myopia", "990", "test split"]),
        (f"{NEXT_TOKEN}.pilot", 16, [NEXT_TOKEN, "pilot", "`precision`"]),
        (
            f"{NEXT_TOKEN}.precision_by",
            "coefficient",
            [NEXT_TOKEN, "precision_by", "`precision`"],
        ),
        (
            "sweeps.code",
            SWEEPS["code"] | asked("code", precision=0.1, precision_by="coefficient", resamples=3),
            ["sweeps.code", "measures.next_token: resamples", "same documents", "precision_by"],
        ),
        (
            "sweeps.code",
            SWEEPS["code"] | asked("code", paired=False, resamples=3),
            ["sweeps.code", "measures.next_token: resamples", "same documents", "paired is false"],
        ),
        (
            NEXT_TOKEN,
            asked("code", paired=False, precision=0.1)["measures"]["next_token"],
            ["sweeps.code", "measures.next_token: precision", "same documents", "paired is false"],
        ),
        (
            "choices.multipliers",
            {"max_faulty": 0.1, "multipliers": {"myopia": {3: {"add": 1, "subtract": -1}}}},
            ["choices.multipliers", "max_faulty", "remove it"],
        ),
        (
            "behaviours.myopia",
            {"source": "model-written-evals", "file": "a.jsonl", "questions": 600},
            ["behaviours.myopia", "600", "test split"],
        ),
        ("corpora.text.train", 0, ["corpora.text.train", "0"]),
        (
            "models.miniature",
            {"source": "resources/models/miniature", "compile": True, "device_map": "auto"},
            ["models.miniature", "compile", "device_map", "auto"],
        ),
        (
            "figures.general-coding.sweeps",
            ["grid"],
            [
                "figures.general-coding",
                "sweeps.grid",
                "two_choice",
                "but needs next_token; name one",
            ],
        ),
        ("figures.grid-search.behaviour", "myopic", ["figures.grid-search", "`myopia`"]),
        ("samples.chat.vector", "nothing", ["samples.chat.vector", "nothing"]),
        ("name", "a study", ["name", "a study", "hyphens"]),
        ("name", "-study", ["name", "-study", "begin with a letter"]),
        ("name", "cache", ["cache"]),
        (
            "sweeps.grid.coefficients.magnitudez",
            [1],
            ["`sweeps.grid.coefficients.magnitudez`", "`magnitudes`"],
        ),
        ("sweeps.grid.coefficients.magnitudes", [1, 1], [MAGNITUDES, "1.0 twice"]),
        ("sweeps.grid.coefficients.magnitudes", [float("inf")], [MAGNITUDES, "finite"]),
        ("sweeps.grid.coefficients.magnitudes", [-1], [MAGNITUDES, "greater than 0", "-1"]),
        ("sweeps.code.inject.layers", [3, 3], ["sweeps.code.inject.layers", "twice"]),
        ("sweeps.code.inject.layers", [[2, 2]], ["sweeps.code.inject.layers", "twice"]),
        (f"{NEXT_TOKEN}.corpora", ["code", "code"], [f"{NEXT_TOKEN}.corpora", "twice"]),
        ("sweeps.code.model", "miniature-chat", ["sweeps.code.model", "vectors.code"]),
        (
            "sweeps.combined.inject.weighted",
            [True, True],
            ["sweeps.combined.inject.weighted", "twice"],
        ),
        (
            "sweeps.single.measures.two_choice.split",
            "train",
            ["sweeps.single.measures.two_choice.split", "validation"],
        ),
        (
            "sweeps.single.coefficients.choice",
            "multiplier",
            ["sweeps.single.coefficients.choice", "`multipliers`"],
        ),
        (
            "sweeps.single.inject.vectors",
            ["code"],
            ["sweeps.single.inject", "choices.multipliers", "some of myopia, wealth-seeking"],
        ),
        (
            "sweeps.combined.coefficients",
            [0, 1],
            ["sweeps.combined", "`coefficients: {choice: NAME}`"],
        ),
        (
            "sweeps.simultaneous.coefficients",
            {"choice": "multipliers"},
            ["sweeps.simultaneous", "several together", "give a list"],
        ),
        (
            "sweeps.code.inject.operator",
            "ad",
            [
                "sweeps.code.inject.operator",
                "no ad among the operators ablate, add",
                "did you mean add?",
            ],
        ),
        (
            "sweeps.code.inject.positions",
            -1,
            ["sweeps.code", "measures.next_token", "the last token, which has none"],
        ),
        ("sweeps.code.inject.positions", 0, ["sweeps.code.inject.positions"]),
        ("sweeps.code.inject.sites", ["residual"], ["sweeps.code.inject.sites", "residual"]),
        ("sweeps.code.inject.sites", ["mlp", "mlp"], ["sweeps.code.inject.sites", "mlp twice"]),
        (
            "sweeps.code.inject.operator",
            "operators/none.py",
            ["sweeps.code.inject.operator", "no file operators/none.py", "check the path"],
        ),
        (
            "samples.chat.operator",
            "xxxxxx",
            ["samples.chat.operator", "no xxxxxx among the operators ablate, add", "; correct it"],
        ),
        ("activations.text.model", "miniature-chat", ["vectors.code", "one model"]),
        ("behaviours.myopia.questions", 9000, ["behaviours.myopia.questions", "4000"]),
        (
            "samples.code",
            {
                "model": "miniature",
                "vector": "code",
                "layer": 1,
                "coefficients": [0],
                "prompts": ["a"],
            },
            ["samples.code", "rename"],
        ),
        (
            "sweeps.simultaneous.coefficients",
            {"start": 0, "stop": 2, "points": 3, "spacing": "logarithmic"},
            ["sweeps.simultaneous.coefficients", "logarithmic"],
        ),
        *(
            (
                "sweeps.code",
                SWEEPS["code"] | asked("code", **given) | {"coefficients": along_both},
                [
                    "sweeps.code",
                    "measures.next_token: stopping",
                    words,
                    "one sweep for each sign",
                ],
            )
            for along_both in ([0, -1, 1], {"start": -2, "stop": 2, "points": 9})
            for given, words in (
                ({"precision": 0.1}, "precision is given"),
                ({"paired": False}, "paired is false"),
            )
        ),
        (
            "sweeps.alignment-tax.coefficients",
            {"start": 1, "stop": 1 + 1e-13, "points": 3},
            ["sweeps.alignment-tax.coefficients", "1.0000000000001", "too close for 3 points"],
        ),
        ("activations.myopia.max_tokens", 64, ["activations.myopia", "max_tokens", "remove it"]),
        (
            "sweeps.code",
            SWEEPS["code"] | asked("code", skip=7, skip_tokens="authors"),
            ["sweeps.code", "skip is 7", "skip_tokens: authors", "remove one"],
        ),
        ("vectors.code.seed", -1, ["vectors.code.seed", "-1"]),
        ("behaviours.myopia.seed", -1, ["behaviours.myopia.seed", "-1"]),
        ("statistics", {"seed": -1}, ["statistics.seed", "-1"]),
        (
            "corpora.text",
            {
                "source": "files",
                "splits": dict.fromkeys(("train", "validation"), {"files": ["a.txt"]}),
                "train": 1,
                "validation": 1,
                "shuffle": {"seed": -1},
            },
            ["corpora.text.shuffle.seed", "-1"],
        ),
        ("sweeps.alignment-tax.coefficients", [0, 1], ["figures.simultaneous-steering.tax"]),
        (
            "sweeps.alignment-tax",
            SWEEPS["alignment-tax"]
            | asked("alignment-tax", precision=0.1, precision_by="coefficient"),
            ["figures.simultaneous-steering.tax", "sweeps.alignment-tax", "same documents"],
        ),
    ],
)
def test_a_mistake_is_one_sentence(
    data: dict[str, Any], path: str, value: Any, words: list[str]
) -> None:
    with pytest.raises(StudyError) as raised:
        study_file.parse(at(data, path, value), "my.yaml")
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_vectors_method_may_be_implied() -> None:
    implied = TypeAdapter(Vector).validate_python
    difference = {"add": ["text"], "subtract": ["code"]}
    assert implied(difference) == implied({"method": "difference", **difference})
    contrast = {"method": "contrast", "of": "myopia", "seed": 7}
    assert implied({"contrast": "myopia", "seed": 7}) == implied(contrast)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (
            "vectors.code.method",
            "contrst",
            f"my.yaml: `vectors.code.method` is 'contrst', which is not one of {METHODS}; did you "
            f"mean `contrast`?",
        ),
        (
            "vectors.code.method",
            "probe",
            f"my.yaml: `vectors.code.method` is 'probe', which is not one of {METHODS}.",
        ),
        *(
            (
                "vectors.code",
                {"add": ["text"], "permute": old},
                "my.yaml: `vectors.code`: `permute` is now a method; name the vector without it "
                f"in {{method: control, of: VECTOR, how: {new}}}.",
            )
            for old, new in (("operands", "operands"), ("difference", "permuted"))
        ),
        (
            "vectors.code",
            {"method": "difference"},
            "my.yaml: `vectors.code`: names no activations; give add or subtract, or both.",
        ),
        (
            "vectors.code.addd",
            ["text"],
            "my.yaml: unknown key `vectors.code.addd`; did you mean `add`?",
        ),
        (
            "vectors.code-permuted.of",
            "cod",
            "vectors.code-permuted.of names `cod`, which is not in vectors; did you mean `code`?",
        ),
        (
            "vectors.code-permuted.of",
            "python-permuted",
            "vectors.code-permuted.of names vectors.python-permuted, which is a control itself; "
            "name the vector that it controls for.",
        ),
        (
            "vectors.code-permuted.of",
            "code-permuted",
            "vectors.code-permuted.of names vectors.code-permuted, which is a control itself; "
            "name the vector that it controls for.",
        ),
        (
            "vectors.code.add",
            ["myopia"],
            "vectors.code.add names activations.myopia, which come from a behaviour, but method "
            "difference needs activations of a corpus; use `method: contrast`.",
        ),
        (
            "vectors.myopia.of",
            "code",
            "vectors.myopia.of names activations.code, which come from a corpus, but method "
            "contrast needs activations of a behaviour; use `method: difference`.",
        ),
        (
            "sweeps.grid.inject.vectors",
            ["code"],
            "vectors.code is not made from a behaviour, so the measure has no questions; set "
            "`behaviours` in the measure (or `corpora`, for divergence).",
        ),
    ],
)
def test_a_vector_that_is_none_is_one_sentence(
    data: dict[str, Any], path: str, value: Any, sentence: str
) -> None:
    with pytest.raises(StudyError) as raised:
        study_file.parse(at(data, path, value), "my.yaml")
    assert str(raised.value) == sentence


def test_a_control_has_the_model_and_the_behaviour_of_its_vector(data: dict[str, Any]) -> None:
    control = {"method": "control", "of": "myopia", "how": "operands"}
    study = study_file.parse(at(data, "vectors.shuffled", control))
    assert (study.model_of("shuffled"), study.behaviour_of("shuffled")) == (
        "miniature-chat",
        "myopia",
    )


def test_another_method_makes_another_vector(tmp_path: Path) -> None:
    variant = tmp_path / "variant.yaml"
    other = {"method": "contrast", "of": "myopia"}
    variant.write_text(yaml.safe_dump({"extends": str(MINIATURE), "vectors": {"code": other}}))
    base, changed = (study_file.read(path)["vectors"] for path in (MINIATURE, variant))
    assert changed == base | {"code": other}


FILES = {"files": ["a.jsonl"]}


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (
            "sweeps.code.inject.layers",
            3,
            "layers` is 3; give 'all' or a list in brackets, such as [3].",
        ),
        (
            "sweeps.code.inject.layers",
            [1.5],
            "`sweeps.code.inject.layers.0` is 1.5; give at most 1 (a share of the depth), or a "
            "whole number for a layer.",
        ),
        (
            "sweeps.code.inject.layers",
            -1,
            "layers` is -1; layers count from 0, and negative numbers are not accepted.",
        ),
        (
            "activations.text.positions",
            "mean",
            "`activations.text.positions` is 'mean'; give last, letter, after_instruction, a "
            "negative number, a list of these numbers, or {mean: document} or {mean: completion}.",
        ),
        (
            "activations.text.positions",
            ["last"],
            "positions.0` is 'last'; give a negative number, such as -1 for the last token.",
        ),
        ("exports", "gguf", "`exports` is 'gguf'; give a list in brackets, such as [gguf]."),
        ("sweeps.code.kind", "skill", "remove `kind`; `inject` and `measures` replace it."),
        ("sweeps.code.inject.layers", "al", "layers` is 'al'; give 'all' or a list in brackets."),
        (
            "sweeps.code.inject.layers",
            ["3"],
            "`sweeps.code.inject.layers.0` is '3'; give a number or 'all' or a list in brackets.",
        ),
        (
            "sweeps.grid.inject.layers",
            0.5,
            "layers` is 0.5; give 'all' or a list in brackets, such as [0.5].",
        ),
        (
            "sweeps.combined.inject.layers",
            3,
            "layers` is 3; give 'all' or a list in brackets, such as [3].",
        ),
        ("sweeps.code.inject", "code", "`sweeps.code.inject` is 'code'; give keys with values."),
        (
            "sweeps.code.measures",
            ["next_token"],
            "`sweeps.code.measures` is a list; give keys with values.",
        ),
        (
            "sweeps.code.measures.next_token",
            None,
            "`sweeps.code.measures.next_token` is empty; give keys with values.",
        ),
        ("sweeps.grid.coefficients.magnitudes", 1, "is 1; give a list in brackets, such as [1]."),
        ("figures.grid-search.layers", 3, "layers` is 3; give a list in brackets, such as [3]."),
        (
            f"{NEXT_TOKEN}.corpora",
            "code",
            "corpora` is 'code'; give a list in brackets, such as [code].",
        ),
        (
            "sweeps.code.coefficients",
            3,
            "coefficients` is 3; give keys with values or a list in brackets, such as [3].",
        ),
        (f"{NEXT_TOKEN}.stopping", True, "stopping` is true; give keys with values or false."),
        ("corpora.text.train", "eighty", "train` is 'eighty'; give a whole number."),
        ("corpora.text.train", 1.5, "train` is 1.5; give a whole number."),
        ("corpora.text.train", None, "train` is empty; give a whole number."),
        ("corpora.text.train", True, "train` is true; give a whole number."),
        ("models.miniature.kept_gb", "lots", "kept_gb` is 'lots'; give a number."),
        (
            "models.miniature.dtype",
            "fp16",
            "dtype` is 'fp16'; give 'float32', 'bfloat16' or 'float16'.",
        ),
        ("models.miniature.compile", "maybe", "compile` is 'maybe'; give true or false."),
        ("sweeps.code", 3, "sweeps.code` is 3; give keys with values."),
        ("name", 3, "name` is 3; put it in quotes."),
        (
            "behaviours.myopia",
            {"source": "prepared", "file": "a.json", "choices": [True, False]},
            "choices.0` is true, which is how YAML reads Yes, No, On and Off without quotes; "
            "put it in quotes.",
        ),
        (
            "behaviours.myopia",
            {"source": "prepared", "file": "a.json", "choices": ["A"]},
            "choices` has only 1 of its values; add the others.",
        ),
        (
            "corpora.text",
            {
                "source": "files",
                "train": 1,
                "validation": 1,
                "splits": {"train": {"files": "a.jsonl"}, "validation": FILES},
            },
            "splits.train.files` is 'a.jsonl'; give a list in brackets.",
        ),
    ],
)
def test_a_value_of_another_type_is_reported_with_what_to_give(
    data: dict[str, Any], path: str, value: Any, sentence: str
) -> None:
    with pytest.raises(StudyError) as raised:
        study_file.parse(at(data, path, value), "my.yaml")
    assert str(raised.value).startswith("my.yaml: `")
    assert str(raised.value).endswith(sentence)


TWICE = "name: a\nmodels: {}\nsweeps:\n  b:\n    layers: [1]\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (f"{TWICE}sweeps: {{}}\n", "has the key `sweeps` twice, in lines 3 and 6; keep one."),
        (f"{TWICE}  b: {{}}\n", "has the key `b` twice, in lines 4 and 6; keep one."),
        (f"{TWICE}    layers: [2]\n", "has the key `layers` twice, in lines 5 and 6; keep one."),
        ("name: a\nlist: [{a: 1, a: 2}]\n", "has the key `a` twice, in line 2; keep one."),
        ("name: a\n3: b\n'3': c\n", "has the key `3` twice, in lines 2 and 3; keep one."),
        (
            "name: a\n\tsweeps: 1\n",
            "has a tab at the beginning of line 2; indent with spaces.",
        ),
        ("name: a\nseed: 2024-13-40\n", "is not YAML: month must be in 1..12."),
        ("name: a\nmodels: {b: *c}\n", "is not YAML in line 2: found undefined alias 'c'."),
        ("- a\n", "holds no study; give it at least `name`."),
        ("", "holds no study; give it at least `name`."),
        (TWICE.encode("utf-16"), "is in UTF-16; save it as UTF-8."),
        (
            "name: a\n# Straße\n".encode("latin-1"),
            "is not in UTF-8 (see line 2); save it as UTF-8.",
        ),
    ],
)
@pytest.mark.parametrize("extended", [False, True])
def test_a_file_that_is_no_study_is_reported_with_the_line(
    tmp_path: Path, content: str | bytes, sentence: str, extended: bool
) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    over = tmp_path / "over.yaml"
    over.write_text("extends: my.yaml\n")
    with pytest.raises(StudyError) as raised:
        study_file.load(over if extended else path)
    assert str(raised.value) == f"{path} {sentence}"


def test_what_is_merged_in_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("\ufeffa: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {<<: *a, x: 4}\n", "utf-8")
    assert study_file.read(path)["b"] == {"x": 3, "y": 2}
    assert study_file.read(path)["c"] == {"x": 4, "y": 2}


def test_every_pattern_of_the_schema_has_its_sentence() -> None:
    """Of values, and of the names of entries."""
    schema = reference.json_schema()
    patterns = re.findall(r'"pattern": (".+")', schema)
    patterns += re.findall(r'"patternProperties": \{\s*(".+"): \{', schema)
    assert set(map(json.loads, patterns)) == mistakes.OTHERWISE.keys()


def test_a_missing_key_is_named(data: dict[str, Any]) -> None:
    del data["sweeps"]["code"]["coefficients"]
    with pytest.raises(StudyError, match="`sweeps.code.coefficients` is missing"):
        study_file.parse(data)


def test_extends_overrides_key_by_key(tmp_path: Path) -> None:
    variant = tmp_path / "variant.yaml"
    variant.write_text(
        yaml.safe_dump(
            {
                "extends": str(MINIATURE),
                "name": "variant",
                "sweeps": {"code": {"coefficients": [0, 1]}},
                "figures": {"python-ability": None},
            }
        )
    )
    base, changed = study_file.load(MINIATURE), study_file.load(variant)
    assert changed.name == "variant"
    assert changed.sweeps["code"].coefficients == [0, 1]
    assert changed.sweeps["python"] == base.sweeps["python"]
    assert set(base.figures) - set(changed.figures) == {"python-ability"}


@pytest.mark.parametrize("along_both", [[0, -1, 1], [3, 0, -1, 1], {"magnitudes": [1, 2]}])
def test_a_curve_may_end_on_either_side_of_0(data: dict[str, Any], along_both: Any) -> None:
    """In whatever order its coefficients are given; only the checks above take one curve."""
    for name in ("code", "grid"):
        sweep = study_file.parse(at(data, f"sweeps.{name}.coefficients", along_both)).sweeps[name]
        (measure,) = sweep.measures.values()
        assert measure.ends_early and sweep.values and sweep.values[0] == 0
        assert min(sweep.values) < 0 < max(sweep.values)


def test_what_a_measure_does_not_say(data: dict[str, Any]) -> None:
    """Questions of the test split, every coefficient, each vector's own behaviour."""
    at(data, "sweeps.simultaneous.measures", {"two_choice": {}})
    at(data, "sweeps.alignment-tax.measures", {"next_token": {"corpora": ["all"]}})
    sweeps = study_file.parse(data).sweeps
    asked = sweeps["simultaneous"].measures["two_choice"].model_dump()
    assert (asked["split"], asked["stopping"], asked["behaviours"]) == ("test", False, None)
    accuracy = sweeps["alignment-tax"].measures["next_token"].model_dump()
    assert (accuracy["tokens"], accuracy["paired"], accuracy["stopping"]) == (500_000, True, False)


def test_the_variant_of_the_readme_is_valid(tmp_path: Path) -> None:
    text = (REPOSITORY / "README.md").read_text()
    (block,) = re.findall(r"    # config/mine.yaml\n((?:    .*\n)+)", text)
    variant = tmp_path / "mine.yaml"
    lines = re.sub("^    ", "", block, flags=re.M)
    variant.write_text(lines.replace("miniature.yaml", str(MINIATURE)))
    sweep = study_file.load(variant).sweeps["code"]
    assert (sweep.inject.named, sweep.values) == (["code"], (0, 1, 2, 3))


def test_stopping_can_be_switched_off_in_a_variant(data: dict[str, Any]) -> None:
    stopping = {"stopping": False}
    over = {
        "sweeps": {
            "grid": {"measures": {"two_choice": stopping}},
            "code": {"measures": {"next_token": stopping}},
        }
    }
    before = study_file.parse(data)
    changed = study_file.parse(study_file.merge(data, over))
    for name, of in (("grid", "two_choice"), ("code", "next_token")):
        assert before.sweeps[name].measures[of].ends_early
        assert not changed.sweeps[name].measures[of].ends_early


@pytest.mark.parametrize(
    ("sweep", "over", "expected"),
    [
        (
            "code",
            {"inject": {"together": {"code": 1, "python": 2}}},
            {"inject": {"together": {"code": 1, "python": 2}}},
        ),
        (
            "simultaneous",
            {"inject": {"vectors": ["myopia"], "layers": [1]}},
            {"inject": {"vectors": ["myopia"], "layers": [1]}},
        ),
        (
            "grid",
            {"coefficients": {"start": 0, "stop": 1, "points": 2}},
            {"coefficients": {"start": 0, "stop": 1, "points": 2}},
        ),
        ("single", {"coefficients": {"magnitudes": [1]}}, {"coefficients": {"magnitudes": [1]}}),
        ("grid", {"coefficients": [0, 1]}, {"coefficients": [0, 1]}),
        (
            "combined",
            {"inject": {"weighted": [True]}},
            {"inject": {"combine": ["mean", "sum"], "layers": [5], "weighted": [True]}},
        ),
        ("code", {"inject": {"layers": [1]}}, {"inject": {"vector": "code", "layers": [1]}}),
        (
            "simultaneous",
            {"coefficients": {"points": 5}},
            {"coefficients": {"start": -0.4, "stop": 0.4, "points": 5}},
        ),
    ],
)
def test_what_a_variant_gives_in_another_form_is_replaced(
    tmp_path: Path, sweep: str, over: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Nothing of one design, or of one way to give coefficients, is left in another."""
    variant = tmp_path / "variant.yaml"
    variant.write_text(yaml.safe_dump({"extends": str(MINIATURE), "sweeps": {sweep: over}}))
    assert study_file.read(variant)["sweeps"] == SWEEPS | {sweep: SWEEPS[sweep] | expected}


FORMER: dict[str, dict[str, Any]] = {
    "skill": {
        "kind": "skill",
        "model": "miniature",
        "inject": "code",
        "layers": [1, [2, 3]],
        "coefficients": [0, 1],
        "corpora": ["code", "text"],
        "tokens": 100,
        "stopping": {"stop": 0.1},
    },
    "simultaneous-skill": {
        "kind": "skill",
        "model": "miniature-chat",
        "inject": {"myopia": 1, "sycophancy": [2, 3]},
        "coefficients": {"start": -1, "stop": 1, "points": 5},
        "corpora": ["all"],
    },
    "grid": {
        "kind": "grid",
        "model": "miniature-chat",
        "vectors": ["myopia", "sycophancy"],
        "layers": [1],
        "multipliers": [0.5, 2],
        "stopping": {"faulty": 3},
    },
    "single": {
        "kind": "single",
        "model": "miniature-chat",
        "choice": "multipliers",
        "layers": [3],
    },
    "combined": {
        "kind": "combined",
        "model": "miniature-chat",
        "choice": "multipliers",
        "layers": [3, 5],
        "combine": ["sum"],
        "weighted": [True],
        "split": "validation",
    },
    "simultaneous": {
        "kind": "simultaneous",
        "model": "miniature-chat",
        "inject": {"myopia": 1, "sycophancy": [2, 3]},
        "coefficients": [0, -1, 1],
    },
}
BECOME: dict[str, dict[str, Any]] = {
    "skill": {
        "inject": {"vector": "code", "layers": [1, [2, 3]]},
        "measures": {
            "next_token": {"corpora": ["code", "text"], "tokens": 100, "stopping": {"stop": 0.1}}
        },
    },
    "simultaneous-skill": {
        "inject": {"together": {"myopia": 1, "sycophancy": [2, 3]}},
        "measures": {"next_token": {"corpora": ["all"]}},
    },
    "grid": {
        "inject": {"vectors": ["myopia", "sycophancy"], "layers": [1]},
        "coefficients": {"magnitudes": [0.5, 2]},
        "measures": {"two_choice": {"split": "validation", "stopping": {"faulty": 3}}},
    },
    "single": {
        "inject": {"layers": [3]},
        "coefficients": {"choice": "multipliers"},
        "measures": {"two_choice": {"split": "test"}},
    },
    "combined": {
        "inject": {"combine": ["sum"], "weighted": [True], "layers": [3, 5]},
        "coefficients": {"choice": "multipliers"},
        "measures": {"two_choice": {"split": "validation"}},
    },
    "simultaneous": {
        "inject": {"together": {"myopia": 1, "sycophancy": [2, 3]}},
        "measures": {"two_choice": {"split": "test"}},
    },
}


def followed(sentence: str, former: dict[str, Any]) -> dict[str, Any]:
    """The sweep that a sentence about a former one says to write."""
    told = re.fullmatch(
        r".*; write (?P<inject>inject: .*), coefficients(?P<along>: .*?| as they are),? and "
        r"(?:measures: (?P<measures>.*)|(?P<moved>.*) under measures: \{next_token: …\})\.",
        sentence,
    )
    assert told
    sweep = {"model": former["model"], **yaml.safe_load(told["inject"])}
    sweep["coefficients"] = (
        former["coefficients"]
        if told["along"] == " as they are"
        else yaml.safe_load(told["along"].removeprefix(": "))
    )
    if told["measures"]:
        return sweep | {"measures": yaml.safe_load(told["measures"])}
    moved = {key: former[key] for key in told["moved"].split(", ")}
    return sweep | {"measures": {"next_token": moved}}


@pytest.mark.parametrize("former", FORMER)
def test_a_sweep_of_a_former_kind_is_refused_with_what_to_write(
    data: dict[str, Any], former: str
) -> None:
    """And what it says is the same sweep in today's form, in a study that is valid."""
    given = FORMER[former]
    with pytest.raises(StudyError) as raised:
        study_file.parse(at(data, "sweeps.mine", given), "my.yaml")
    sentence = str(raised.value)
    start = f"my.yaml: `sweeps.mine`: `kind: {given['kind']}` is now a design and a measure;"
    assert sentence.startswith(start) and "\n" not in sentence
    for words in ("inject: {", "coefficients", "measures: {"):
        assert words in sentence
    sweep = followed(sentence, given)
    kept = {key: given[key] for key in ("model", "coefficients") if key in given}
    assert sweep == kept | BECOME[former]
    assert "mine" in study_file.parse(at(data, "sweeps.mine", sweep)).tabled


def test_extends_in_a_circle_is_refused(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{one}.yaml").write_text(f"extends: {other}.yaml\nname: {one}\n")
    with pytest.raises(StudyError, match="extends itself"):
        study_file.load(tmp_path / "a.yaml")


def test_coefficients_put_zero_first() -> None:
    assert along.coefficients([1.0, 0.0, -2.0]) == (0.0, 1.0, -2.0)
    linear = along.Range(start=-1, stop=1, points=5)
    assert along.coefficients(linear) == (0.0, -1.0, -0.5, 0.5, 1.0)
    through_0 = along.Range(start=-0.2, stop=1, points=13)
    assert along.coefficients(through_0) == (0.0, -0.2, -0.1, *(n / 10 for n in range(1, 11)))
    logarithmic = along.Range(start=0.1, stop=1000, points=5, spacing="logarithmic")
    assert along.coefficients(logarithmic) == (0.0, 0.1, 1.0, 10.0, 100.0, 1000.0)
    both = along.Magnitudes(magnitudes=[2, 1])
    assert along.coefficients(both) == (0.0, 1.0, 2.0, -1.0, -2.0)


def test_the_reference_is_up_to_date() -> None:
    assert (REPOSITORY / "docs" / "study.md").read_text() == reference.markdown()
    schema = (REPOSITORY / "config" / "study.schema.json").read_text()
    assert schema == reference.json_schema()


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "config").rglob("*.yaml")), ids=lambda path: path.stem
)
def test_what_a_run_writes_down_is_read_back(path: Path) -> None:
    study = study_file.load(path)
    assert study_file.parse(study.model_dump(mode="json")) == study
