"""Selections of documents by a model's answers: what may be said of them, and what they cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import REPOSITORY

from snakesteer.core.errors import StudyError
from snakesteer.measures.selection import kept
from snakesteer.measures.selection_settings import Bound
from snakesteer.plan.bill import bill
from snakesteer.plan.plan import Plan
from snakesteer.study import study_file
from snakesteer.study.schema import Study

ASKED: dict[str, Any] = {"source": "selected", "model": "chat", "tokens": ["I"], "above": 0}


def data(**corpora: Any) -> dict[str, Any]:
    here = {"files": ["instructions.jsonl"]}
    splits = {"train": here, "validation": {**here, "skip": 20}}
    drawn = {"source": "files", "field": "q", "train": 20, "validation": 10, "splits": splits}
    return {
        "name": "selected",
        "models": {"chat": {"source": "resources/models/miniature-chat"}},
        "corpora": {"asked": drawn, "kept": {"of": "asked", **ASKED}} | corpora,
        "activations": {"kept": {"model": "chat", "corpus": "kept", "max_tokens": 50}},
        "vectors": {"kept": {"add": ["kept"]}},
    }


def parsed(study: dict[str, Any]) -> Study:
    return study_file.parse(study)


def planned(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, study: dict[str, Any]) -> Plan:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "instructions.jsonl").write_text('{"q": "What is it?"}\n' * 30)
    return Plan(parsed(study), REPOSITORY)


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        (
            {"of": "kept"},
            "corpora.kept.of leads back to corpora.kept, through kept; name a corpus of another "
            "source.",
        ),
        (
            {"of": "again"},
            "corpora.kept.of leads back to corpora.kept, through kept and again; name a corpus of "
            "another source.",
        ),
        (
            {"of": "askd"},
            "corpora.kept.of names `askd`, which is not in corpora; did you mean `asked`?",
        ),
        (
            {"model": "base"},
            "corpora.kept.model names `base`, which is not in models; add it under `models`.",
        ),
        (
            {"format": "chatty"},
            "corpora.kept.format names `chatty`, which is not in formats; did you mean `chat`?",
        ),
        ({"below": 1}, "the study: `corpora.kept`: give either above or below."),
        ({"above": None}, "the study: `corpora.kept`: give either above or below."),
        (
            {"tokens": []},
            "the study: `corpora.kept.tokens`: list should have at least 1 item after validation, "
            "not 0.",
        ),
        (
            {"train": 10},
            "the study: unknown key `corpora.kept.train`; remove it.",
        ),
        (
            {"measure": "two_choice"},
            "the study: `corpora.kept.measure` is 'two_choice'; give 'first_token'.",
        ),
        (
            {"system": "Be kind."},
            "the study: unknown key `corpora.kept.system`; it belongs under `format`.",
        ),
    ],
)
def test_a_selection_that_cannot_be_made_is_reported(selection: dict[str, Any], told: str) -> None:
    again = {**ASKED, "of": "kept"}
    with pytest.raises(StudyError) as error:
        parsed(data(kept={"of": "asked", **ASKED, **selection}, again=again))
    assert str(error.value) == told


def test_more_documents_than_there_can_be_are_reported() -> None:
    study = data()
    study["activations"]["kept"]["documents"] = 20
    parsed(study)
    study["activations"]["kept"]["documents"] = 21
    with pytest.raises(StudyError) as error:
        parsed(study)
    assert str(error.value) == (
        "activations.kept.documents asks for 21, but corpora.kept holds 20 at most; ask for fewer."
    )


def test_completions_are_those_of_the_corpus_that_it_is_of() -> None:
    study = data(again={**ASKED, "of": "kept"})
    study["activations"]["kept"] |= {"positions": {"mean": "completion"}, "corpus": "again"}
    with pytest.raises(StudyError) as error:
        parsed(study)
    assert "corpora.again has no completions" in str(error.value)
    study["corpora"]["asked"]["completion"] = "a"
    whole = parsed(study)
    assert whole.origin_of("again") == whole.corpora["asked"]


def test_documents_cut_beyond_the_models_context_are_reported(tmp_path, monkeypatch) -> None:
    study = data(kept={"of": "asked", **ASKED, "max_tokens": 5000})
    with pytest.raises(StudyError) as error:
        planned(tmp_path, monkeypatch, study)
    assert str(error.value).startswith("corpora.kept.max_tokens is 5000, but models.chat reads")


def test_it_is_counted_in_the_bill_as_if_all_were_kept(tmp_path, monkeypatch) -> None:
    plan = planned(tmp_path, monkeypatch, data(again={**ASKED, "of": "kept"}))
    items = {item.rule: item for item in bill(plan)}
    assert items["selected_documents"].jobs == 1
    whole = items["activations"].tokens
    assert whole > 0 and whole % 20 == 0
    assert items["selected_documents"].tokens == whole // 20 * 30
    assert items["selected_documents"].gpu_hours > 0
    assert items["selected_documents"].gigabytes == items["documents"].gigabytes > 0


def test_what_is_not_said_is_in_no_key(tmp_path, monkeypatch) -> None:
    plan = planned(tmp_path, monkeypatch, data())
    (made,) = plan.artefacts("selected_documents")
    assert made.settings["bound"] == {"above": 0}
    assert "format" not in made.settings and "title" not in made.settings
    (of,) = plan.artefacts("documents")
    assert made.inputs["documents"] == ((of, 0), (of, 1))
    assert [path.rsplit("/", 1)[0] for path in made.paths] == ["results/cache/documents"] * 2


@pytest.mark.parametrize(
    ("bound", "places"),
    [
        (Bound(above=0.0), [3]),
        (Bound(below=0.0), [0, 2]),
        (Bound(above=-1.5), [1, 2, 3]),
    ],
)
def test_a_score_on_the_bound_is_outside(bound: Bound, places: list[int]) -> None:
    documents = pa.table(
        {"document": [*"abcd"], "text": ["t"] * 4, "log_odds": [9.0] * 4, "completion": ["c"] * 4}
    )
    scores = np.array([-2.0, 0.0, -1.0, 0.5])
    found = kept(documents, scores, bound)
    assert found.column_names == ["document", "text", "completion", "log_odds"]
    assert found["document"].to_pylist() == ["abcd"[place] for place in places]
    assert found["log_odds"].to_pylist() == scores[places].tolist()


def test_nothing_inside_is_reported_with_the_range() -> None:
    documents = pa.table({"document": [*"ab"], "text": ["t"] * 2})
    with pytest.raises(StudyError) as error:
        kept(documents, np.array([-2.5, -1.0]), Bound(above=0.0))
    assert str(error.value) == (
        "none of 2 documents has log-odds above 0 (they range from -2.5 to -1); set another "
        "bound, or draw other documents."
    )
