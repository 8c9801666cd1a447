"""What a study may say of vectors: planned as said, and mistakes in one sentence."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.plan.artefacts import Artefact
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file

PAIRS = {"method": "logistic", "of": "myopia"}
CORPORA = {"method": "lda", "add": ["text"], "subtract": ["code", "python"]}


def planned(**vectors: Any) -> Plan:
    study = study_file.merge(study_file.read(SMALL), {"vectors": vectors})
    return Plan(study_file.parse(study, "my.yaml"), REPOSITORY)


def test_a_method_reads_the_activations_it_names() -> None:
    plan = planned(pairs=PAIRS, corpora=CORPORA, component={"method": "pca", "of": "myopia"})
    made = {
        name: (plan.vectors[name].settings, plan.vectors[name].inputs)
        for name in ("pairs", "corpora", "component")
    }
    settings, samples = made["pairs"]
    assert settings == {"method": "logistic", "C": 1.0, "paired": False}
    assert {role: [of.name for of, _ in each] for role, each in samples.items()} == {
        "of": ["myopia"]
    }
    settings, samples = made["corpora"]
    assert settings == {"method": "lda", "shrinkage": "auto", "paired": False}
    assert {role: [of.name for of, _ in each] for role, each in samples.items()} == {
        "add": ["text"],
        "subtract": ["code", "python"],
    }
    assert made["component"][0] == {"method": "pca", "centred": False}


def test_new_methods_change_no_key() -> None:
    before = {made.key for made in planned().artefacts()}
    after = {made.key for made in planned(pairs=PAIRS, corpora=CORPORA).artefacts()}
    assert before < after and len(after) == len(before) + 2


def test_a_scale_is_around_what_it_scales() -> None:
    plan = planned(
        one={**PAIRS, "scale": "unit"},
        two={"method": "contrast", "of": "wealth-seeking", "scale": {"mean_norm": ["one", "two"]}},
        three={**CORPORA, "scale": {"share": 0.5}},
        four={**CORPORA, "scale": 3},
        control={"method": "control", "how": "random", "of": "one"},
        unlabelled={"method": "control", "how": "labels", "of": "two"},
    )
    pairs = {"method": "logistic", "C": 1.0, "paired": False}
    one, two, three, four, control, unlabelled = (
        plan.vectors[name].settings
        for name in ("one", "two", "three", "four", "control", "unlabelled")
    )
    assert one == {"method": "scaled", "norm": 1, "vectors": [pairs], "samples": [{"of": [0]}]}
    contrast = {"method": "contrast"}
    assert two == {
        "method": "scaled",
        "norm": "others",
        # Lengths are those before a scale.
        "vectors": [contrast, pairs, contrast],
        "samples": [{"of": [0]}, {"of": [1]}, {"of": [0]}],
    }
    names = [made.name for made, _ in plan.vectors["two"].inputs["samples"]]
    assert names == ["wealth-seeking", "myopia"]
    assert three["norm"] == {"share": 0.5} and four["norm"] == 3
    assert three["samples"] == [{"add": [0], "subtract": [1, 2]}]
    assert control == {"method": "random-direction", "seed": 13, "of": one}
    # The vector is made anew of shuffled samples, and then scaled as before.
    without_labels = {"method": "shuffled-labels", "seed": 13, "of": contrast}
    assert unlabelled == two | {"vectors": [without_labels, pairs, contrast]}


def test_the_draws_of_a_control_are_made_beside_it() -> None:
    control = {"method": "control", "how": "labels", "of": "myopia"}
    once, often = planned(v=control), planned(v=control | {"draws": 5})
    assert often.vectors["v"].key == once.vectors["v"].key
    assert once.study_vectors.keys() == once.vectors.keys()
    drawn = often.study_vectors["v-draws"]
    assert drawn.settings == often.vectors["v"].settings | {"draws": 5}


def test_vectors_are_combined_from_those_of_one_model() -> None:
    plan = planned(
        both={"method": "combine", "of": {"myopia": 1, "wealth-seeking": -0.5}, "without": "one"},
        one={**PAIRS, "scale": "unit"},
        permuted={"method": "control", "how": "permuted", "of": "both"},
        same={"method": "combine", "of": ["myopia", "one"], "how": "mean"},
    )
    both = plan.vectors["both"].settings
    assert both == {
        "method": "combine",
        "how": "sum",
        "weights": [1, -0.5],
        "without": True,
        "vectors": [{"method": "contrast"}] * 2 + [plan.vectors["one"].settings],
        "samples": [{"of": [0]}, {"of": [1]}, {"samples": [0]}],
    }
    assert plan.vectors["permuted"].settings["of"] == both
    assert plan.study.behaviour_of("same") == "myopia"
    with pytest.raises(StudyError) as raised:
        plan.study.behaviour_of("both")
    assert str(raised.value) == (
        "vectors.both is made of several behaviours, myopia and wealth-seeking; name the "
        "`behaviours` of the measure, or use a vector of one."
    )


def test_the_code_of_all_methods_inside_a_vector_is_in_its_key(tmp_path: Path) -> None:
    scripts = REPOSITORY / "workflow" / "scripts"
    shutil.copytree(scripts, tmp_path / "workflow" / "scripts")
    (tmp_path / "resources").symlink_to(REPOSITORY / "resources")
    room = tmp_path / "workflow" / "scripts" / "snakesteer" / "vectors"
    vectors = {
        "one": {**PAIRS, "scale": "unit"},
        "two": {"method": "combine", "of": ["one", "myopia"]},
        "three": {"method": "control", "of": "two", "how": "random"},
        "four": {"method": "control", "of": "one", "how": "labels"},
    }
    study = planned(**vectors).study

    def keys() -> dict[str, str]:
        return {name: made.key for name, made in Plan(study, tmp_path).vectors.items()}

    before = keys()
    for method, made in (
        ("logistic", {"one", "two", "three", "four"}),
        ("scaled", {"one", "two", "three", "four"}),
        ("combine", {"two", "three"}),
        ("random_direction", {"three"}),
        ("shuffled_labels", {"four"}),
    ):
        given = room / f"{method}.py"
        code = given.read_text()
        given.write_text(f"{code}\nEDITED = True\n")
        assert {name for name, key in keys().items() if before[name] != key} == made
        given.write_text(code)


def test_a_file_is_known_by_its_content_and_found_beside_the_study(tmp_path: Path) -> None:
    (tmp_path / "theirs.gguf").write_bytes(b"one")
    entry = {"method": "file", "file": "theirs.gguf", "model": "miniature-chat", "offset": -1}
    data = {"extends": str(SMALL), "vectors": {"theirs": {**entry, "behaviour": "myopia"}}}
    (tmp_path / "study.yaml").write_text(json.dumps(data))

    def made() -> Artefact:
        plan = Plan(study_file.load(tmp_path / "study.yaml"), REPOSITORY)
        assert plan.study.model_of("theirs") == "miniature-chat"
        assert plan.study.behaviour_of("theirs") == "myopia"
        return plan.vectors["theirs"]

    first = made()
    assert first.settings == {"method": "file"}
    ((read, _),) = first.inputs["file"]
    assert read.settings == {
        "file": str(tmp_path / "theirs.gguf"),
        "tensor": None,
        "layer": None,
        "offset": -1,
        "identity": hashlib.sha256(b"one").hexdigest(),
    }
    assert [of.name for of, _ in read.inputs["model"]] == ["miniature-chat"]
    (tmp_path / "theirs.gguf").write_bytes(b"two")
    assert made().key != first.key


CLASSES = "my.yaml: `vectors.v`: needs two classes; give `of`, or both `add` and `subtract`."
MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"method": "logistic"}, CLASSES),
    ({"method": "lda", "add": ["text"]}, CLASSES),
    ({**PAIRS, "subtract": ["text"]}, CLASSES),
    (
        {**CORPORA, "paired": True},
        "my.yaml: `vectors.v`: paired needs the two answers of a behaviour (`of`); remove it.",
    ),
    (
        {"method": "logistic", "of": "text"},
        "vectors.v.of names activations.text, which come from a corpus, but method logistic "
        "reads those from add and subtract; name them there.",
    ),
    (
        {**CORPORA, "add": ["myopia"]},
        "vectors.v.add names activations.myopia, which come from a behaviour, but method lda reads "
        "those from of; name them there.",
    ),
    (
        {"method": "pca", "of": "text"},
        "vectors.v.of names activations.text, which come from a corpus, but method pca "
        "needs activations of a behaviour; use `method: difference`.",
    ),
    (
        {**PAIRS, "C": 0},
        "my.yaml: `vectors.v.C`: input should be greater than 0 (given: 0).",
    ),
    (
        {**CORPORA, "shrinkage": 0},
        "my.yaml: `vectors.v.shrinkage`: input should be greater than 0 (given: 0).",
    ),
    (
        {**PAIRS, "scale": {"norm_of": "code", "share": 1}},
        "my.yaml: `vectors.v.scale`: give one of norm_of, mean_norm and share.",
    ),
    (
        {**PAIRS, "scale": "units"},
        "my.yaml: `vectors.v.scale` is 'units'; give 'unit' or a number or keys with values.",
    ),
    (
        {**PAIRS, "scale": -1},
        "my.yaml: `vectors.v.scale`: input should be greater than 0 (given: -1).",
    ),
    (
        {**PAIRS, "scale": {"norm_of": "myopa"}},
        "vectors.v.scale names `myopa`, which is not in vectors; did you mean `myopia`?",
    ),
    (
        {**PAIRS, "scale": {"norm_of": "code"}},
        "vectors.v is made from activations of miniature and miniature-chat; use one model for all "
        "of them.",
    ),
    (
        {"method": "combine", "of": ["myopia", "v"]},
        "vectors.v is made of itself; name other vectors.",
    ),
    (
        {"method": "combine", "of": ["w"]},
        "vectors.v is made of itself by way of w; name other vectors.",
    ),
    (
        {"method": "combine", "of": {"myopia": "a"}},
        "my.yaml: `vectors.v.of.myopia` is 'a'; give a number.",
    ),
    (
        {"method": "file", "file": "nowhere.pt", "model": "miniature"},
        "vectors.v.file: there is no file nowhere.pt; check the path.",
    ),
    (
        {"method": "file", "file": "a.pt", "model": "miniatur"},
        "vectors.v.model names `miniatur`, which is not in models; did you mean `miniature`?",
    ),
    (
        {"method": "control", "of": "myopia", "how": "random", "draws": 2},
        "vectors.v-draws and the draws of vectors.v both write v-draws.safetensors; rename one.",
    ),
    (
        {"method": "control", "of": "w", "how": "labels"},
        "vectors.v.how is labels, but vectors.w is not made of two classes of samples; set it to "
        "random or permuted.",
    ),
    (
        {"method": "control", "of": "x", "how": "operands"},
        "vectors.v.how is operands, which have no scale, but vectors.x has one; set it to "
        "permuted, or name a vector without.",
    ),
]


@pytest.mark.parametrize(("entry", "sentence"), MISTAKES)
def test_a_mistake_in_a_vector_is_one_sentence(entry: dict[str, Any], sentence: str) -> None:
    others = {
        "w": {"method": "combine", "of": ["myopia" if "how" in entry else "v"]},
        "x": {"method": "contrast", "of": "myopia", "scale": 2},
        "v-draws": PAIRS,
    }
    others.update({} if "w" in str(entry) else {"w": PAIRS})
    with pytest.raises(StudyError) as raised:
        planned(v=entry, **others)
    assert str(raised.value) == sentence
