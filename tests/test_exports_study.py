"""Exports as a study has them: what may be said, where they lie, and what vectors are made from."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY

from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.plan.lineage import lineage
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file

SMALL_STUDY = study_file.read(SMALL)


def planned(exports: Any, **sections: Any) -> Plan:
    data = study_file.merge(copy.deepcopy(SMALL_STUDY), sections) | {"exports": exports}
    return Plan(study_file.parse(data, "mine.yaml"), REPOSITORY)


def test_a_list_of_formats_exports_every_vector() -> None:
    plan = planned(["gguf", "caa"])
    vectors = ["code", "code-permuted", "python", "myopia", "wealth-seeking"]
    assert list(plan.exported_files) == [("gguf", f"{name}.gguf") for name in vectors]
    assert list(plan.exported_folders) == [("caa", name) for name in vectors]
    made = plan.exported_files["gguf", "code.gguf"]
    assert made.inputs["vector"] == ("results/small/vectors/code.safetensors",)
    assert made.inputs["model"] == tuple(plan.artefacts("model")[0].paths)


def test_entries_have_names_and_say_their_format() -> None:
    given = {
        "gguf": {"vectors": ["code"]},
        "strong": {"format": "lm-eval", "vectors": ["code"], "coefficient": 4, "layers": [0.5, 3]},
        "clamped": {"format": "lm-eval", "vectors": ["code"], "operator": "clamp"},
    }
    plan = planned(given)
    assert list(plan.exported_files) == [
        ("gguf", "code.gguf"),
        ("strong", "code.pt"),
        ("clamped", "code.pt"),
    ]
    strong = plan.exported_files["strong", "code.pt"].settings
    assert (strong["format"], strong["coefficient"], strong["layers"]) == ("lm-eval", 4.0, [3])
    in_a_list = planned(["gguf", {"format": "caa", "vectors": ["python"]}])
    assert list(in_a_list.exported_folders) == [("caa", "python")]


def test_a_study_without_exports_has_none() -> None:
    plan = Plan(study_file.load(SMALL), REPOSITORY)
    assert not plan.exported_files and not plan.exported_folders
    assert "exports" not in plan.listed()["study"]


def test_exports_change_no_key() -> None:
    before = Plan(study_file.load(SMALL), REPOSITORY).artefacts()
    after = planned(["gguf", "lm-eval", "steering-vectors", "caa", "safetensors"]).artefacts()
    assert [made.key for made in after] == [made.key for made in before]


def test_an_exporter_is_in_the_digest_of_its_format_alone() -> None:
    plan = planned(["gguf", "safetensors"])
    codes = {made.settings["format"]: made.code for made in plan.exported_files.values()}
    assert len(set(codes.values())) == 2


MISTAKES: list[tuple[Any, str]] = [
    (
        ["ggup"],
        "mine.yaml: `exports.ggup.format`: there is no ggup among the exports caa, gguf, lm-eval, "
        "safetensors, steering-vectors; did you mean gguf?",
    ),
    (
        ["gguf", {"vectors": ["code"]}],
        "mine.yaml: `exports`: must list names of formats, or mappings with a `format`.",
    ),
    (
        ["gguf", {"format": "gguf"}],
        "mine.yaml: `exports`: names the format gguf twice; give a mapping of names to entries, "
        "each with its `format`.",
    ),
    (
        {"gguf": {"vector": ["code"]}},
        "mine.yaml: unknown key `exports.gguf.vector`; did you mean `vectors`?",
    ),
    (
        {"gguf": {"vectors": ["cod"]}},
        "exports.gguf.vectors names `cod`, which is not in vectors; did you mean `code`?",
    ),
    (
        {"gguf": {"vectors": ["code"], "layers": [0, 3]}},
        "exports.gguf, vectors.code: gguf cannot hold layer 0, as it counts from 1; remove that "
        "layer, or use another format.",
    ),
    (
        {"caa": {"vectors": ["code"], "layers": [8]}},
        "exports.caa, vectors.code: layers names layer 8, but models.miniature has 8 layers (0 "
        "to 7); name one of these.",
    ),
    (
        {"gguf": {"operator": "clamp"}},
        "exports.gguf, vectors.code: readers of gguf have the operator add, not clamp; export "
        "the vector as safetensors, whose metadata record the operator.",
    ),
    (
        {"lm-eval": {"positions": "completion"}},
        "exports.lm-eval, vectors.code: readers of lm-eval change every token, but positions is "
        "completion; remove positions to accept this, or use another format.",
    ),
    (
        {"gguf": {"position": -1}},
        "exports.gguf, vectors.code: the vector has one position; remove `position`.",
    ),
]


@pytest.mark.parametrize(("exports", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(exports: Any, sentence: str) -> None:
    with pytest.raises(StudyError) as told:
        planned(exports)
    assert str(told.value) == sentence


SEVERAL = {
    "activations": {
        "few": {"model": "miniature", "corpus": "code", "positions": [-2, -1], "site": "input"}
    },
    "vectors": {"several": {"method": "difference", "add": ["few"]}},
}


def test_a_vector_of_several_positions_needs_one() -> None:
    with pytest.raises(StudyError) as told:
        planned({"safetensors": {"vectors": ["several"]}}, **SEVERAL)
    assert str(told.value) == (
        "exports.safetensors, vectors.several: the vector has several positions, [-2, -1], but "
        "a file holds one; give `position`."
    )
    plan = planned({"safetensors": {"vectors": ["several"], "position": -2}}, **SEVERAL)
    ((_, made),) = plan.exported_files.items()
    assert made.settings["position"] == -2


def test_a_vector_of_another_site_is_refused_unless_the_study_means_it() -> None:
    entry = {"vectors": ["several"], "position": -1}
    with pytest.raises(StudyError) as told:
        planned({"gguf": entry}, **SEVERAL)
    assert str(told.value) == (
        "exports.gguf, vectors.several: gguf holds vectors of the site output, but this one has "
        "the site input; set another `site` to change that one instead, or export the vector as "
        "safetensors."
    )
    assert planned({"gguf": entry | {"site": "output"}}, **SEVERAL).exported_files


# What a vector was made from.


def test_the_lineage_of_a_vector_goes_up_to_models_and_data() -> None:
    plan = planned([])
    found = lineage(plan.graph, plan.vectors["myopia"])
    assert found["site"] == "output"
    items = {item["stage"]: item for item in found["lineage"]}
    assert [item["stage"] for item in found["lineage"]] == ["model", "questions", "activations"]
    assert items["model"]["settings"]["source"] == "resources/models/miniature-chat"
    assert items["questions"]["settings"]["trait"] == "myopia"
    assert items["activations"]["settings"]["positions"] == "last"
    keys = {item["key"] for item in found["lineage"]}
    for item in found["lineage"]:
        for above in item["inputs"].values():
            assert keys.issuperset(above)
        assert item["path"].startswith("results/cache/") and item["key"] in item["path"]


def test_the_lineage_of_a_control_is_that_of_what_it_is_of() -> None:
    plan = planned([])
    of, control = (lineage(plan.graph, plan.vectors[name]) for name in ("code", "code-permuted"))
    assert of == control
    assert {item["name"] for item in of["lineage"] if item["stage"] == "documents"} == {
        "text",
        "code",
    }


def test_the_sites_of_a_lineage_are_all_those_that_were_read() -> None:
    plan = planned([], **SEVERAL)
    assert lineage(plan.graph, plan.vectors["several"])["site"] == "input"
    both = {
        "activations": {"few": {"model": "miniature", "corpus": "code", "site": "mlp"}},
        "vectors": {"both": {"method": "difference", "add": ["few"], "subtract": ["text"]}},
    }
    plan = planned([], **both)
    assert lineage(plan.graph, plan.vectors["both"])["site"] == "mlp and output"


def test_a_lineage_has_no_folder_of_this_machine(tmp_path: Path) -> None:
    lines = tmp_path / "data" / "mine.txt"
    lines.parent.mkdir()
    lines.write_text("One line.\nAnother one.\n" * 30)
    split = {"files": [str(lines)]}
    mine = {
        "corpora": {
            "mine": {
                "source": "files",
                "train": 4,
                "validation": 1,
                "splits": {"train": split, "validation": split | {"skip": 4}},
                "duplicates": "keep",
            }
        },
        "activations": {
            "mine": {
                "model": "miniature",
                "corpus": "mine",
                "format": {"template": "/no_think {prompt}"},
            }
        },
        "vectors": {"mine": {"method": "difference", "add": ["mine"]}},
    }
    plan = planned([], **mine)
    found = yaml.safe_dump(lineage(plan.graph, plan.vectors["mine"]))
    assert str(tmp_path) not in found
    assert "mine.txt" in found and "/no_think {prompt}" in found


def test_a_lineage_says_where_repositories_are_and_leaves_out_what_choices_looked_at() -> None:
    study = study_file.load(REPOSITORY / "config" / "papers" / "refusal-direction.yaml")
    plan = Plan(study, REPOSITORY)
    found = lineage(plan.graph, plan.vectors["gemma-everywhere"])
    assert found["site"] == "input"
    sources = {item["source"] for item in found["lineage"] if item["stage"].startswith("repos")}
    assert sources == {entry.source for entry in study.repositories.values()}
    for item in found["lineage"]:
        assert ("settings" in item) == (item["stage"] not in ("sweep", "candidate"))
