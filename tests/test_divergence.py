"""KL from the unsteered model's next token, against a naive loop; its passes, memory and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.stats
import tiny
import torch
from conftest import REPOSITORY

import oracle
from checkout import SMALL
from snakesteer.core.errors import StudyError
from snakesteer.engine import head, models, steering
from snakesteer.measures import divergence, next_token, two_choice
from snakesteer.measures.read import Read
from snakesteer.plan.plan import Plan
from snakesteer.storage.files import write_table
from snakesteer.storage.points import Points
from snakesteer.study import study_file
from snakesteer.sweeps import chunks, runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.job import Injected, Placed
from snakesteer.sweeps.runner import Asked
from snakesteer.tables import divergence as divergence_tables
from snakesteer.tables import next_token as next_token_tables
from snakesteer.tables.job import Statistics, TableJob

torch.set_num_threads(1)

COEFFICIENTS = (0.0, 0.5, -2.0)
ARCHITECTURES = ["llama", "gpt2", "gemma2", "mixtral", "jamba", "bloom"]


@pytest.fixture(scope="module")
def model() -> models.LanguageModel:
    return models.wrap(tiny.network(), tiny.tokenizer(), "none")


def vector(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=32)


def corpus(model: models.LanguageModel, count: int = 12) -> next_token.Corpus:
    documents = tiny.documents(count)
    return next_token.read_corpus(model.tokenizer, "prose", documents, [], max_tokens=30)


def documents(
    model: models.LanguageModel, over: Any = "all", epsilon: float = 0.0
) -> divergence.Texts:
    read = corpus(model)
    return divergence.Texts(read.names, read.sequences, divergence.DOCUMENTS, over, epsilon)


def questions(
    model: models.LanguageModel, over: Any = "last", epsilon: float = 0.0
) -> divergence.Texts:
    read = two_choice.read_prompts(model.tokenizer, "bold", tiny.questions())
    texts = (read.names, read.sequences, divergence.QUESTIONS)
    return divergence.Texts(*texts, over, epsilon, read.marks)


def measured(
    model: models.LanguageModel,
    asked: dict[str, tuple[Any, Any]],
    layers: Sequence[int] = (1,),
    coefficients: Sequence[float] = COEFFICIENTS,
    **settings: Any,
) -> pd.DataFrame:
    """A sweep of one vector at all of the layers at once, by measures with their texts."""
    parts = settings.pop("parts", None) or [part(layer, vector(), "add") for layer in layers]
    sources = {name: ("texts",) for name in asked}
    (table,) = runner.run(
        model,
        [Asked(name, plugin, {"texts": texts}) for name, (plugin, texts) in asked.items()],
        [Steering("noise", tuple(parts), tuple(coefficients), sources)],
        **{"batch_tokens": 64} | settings,
    )
    return table.to_pandas()


def kl(table: pd.DataFrame, name: str = "kl") -> pd.DataFrame:
    """[samples, coefficients] of a measure, samples in their order."""
    rows = table[table["measure"] == name]
    order = rows["sample"].unique()
    return rows.pivot(index="sample", columns="coefficient", values="kl").loc[order]


def by_hand(
    model: models.LanguageModel,
    texts: divergence.Texts,
    parts: Sequence[oracle.Part],
    coefficient: float,
) -> list[float]:
    """The model twice, text by text and token by token."""
    found = []
    for ids in texts.sequences:
        before, _ = oracle.forward(model.network, model.blocks, ids)
        after, _ = oracle.forward(model.network, model.blocks, ids, parts, coefficient)
        at = [len(ids) - 1]
        if texts.over == "all":
            at = list(range(len(ids) - (texts.of == divergence.DOCUMENTS)))
        values = []
        for token in at:
            p = torch.softmax(before[token].double(), dim=0)
            q = torch.softmax(after[token].double(), dim=0)
            inside = [(each + texts.epsilon).log() for each in (p, q)]
            values.append(float((p * (inside[0] - inside[1])).sum()))
        found.append(sum(values) / len(values))
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("texts_of", [documents, questions])
@pytest.mark.parametrize("over", ["last", "all"])
def test_it_is_what_a_naive_loop_finds(architecture, texts_of, over) -> None:
    model = models.wrap(tiny.network(architecture), tiny.tokenizer(), "none")
    texts = texts_of(model, over)
    found = kl(measured(model, {"kl": (divergence, texts)}))
    parts = [oracle.Part(1, torch.tensor(vector(), dtype=torch.float32))]
    assert (found[0.0] == 0).all()
    for coefficient in COEFFICIENTS[1:]:
        expected = by_hand(model, texts, parts, coefficient)
        assert min(expected) > 1e-4
        assert found[coefficient].to_numpy() == pytest.approx(expected, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("path", ["shared", "plain"])
def test_several_layers_and_both_paths(model, path) -> None:
    texts = documents(model)
    found = kl(measured(model, {"kl": (divergence, texts)}, (0, 2), path=path))
    parts = [oracle.Part(each, torch.tensor(vector(), dtype=torch.float32)) for each in (0, 2)]
    for coefficient in COEFFICIENTS:
        expected = by_hand(model, texts, parts, coefficient)
        assert found[coefficient].to_numpy() == pytest.approx(expected, rel=1e-3, abs=1e-7)


def test_the_definition_of_refusal_direction(model) -> None:
    """Ablation where a block reads and writes, KL at the last prompt position, 1e-6 inside both
    logarithms."""
    texts = questions(model, "last", 1e-6)
    sites = [(layer, site) for layer in range(4) for site in ("input", "attention", "mlp")]
    acting = [part(layer, vector(), "ablate", site) for layer, site in sites]
    asked = {"kl": (divergence, texts), "exact": (divergence, questions(model))}
    table = measured(model, asked, parts=acting, coefficients=(0.0, 1.0))
    ablated = torch.tensor(vector(), dtype=torch.float32)
    parts = [oracle.Part(layer, ablated, site, "ablate") for layer, site in sites]
    expected = by_hand(model, texts, parts, 1.0)
    assert kl(table)[1.0].to_numpy() == pytest.approx(expected, rel=1e-4, abs=1e-8)
    assert (kl(table)[0.0] == 0).all()
    assert not np.allclose(kl(table, "exact")[1.0], expected, rtol=1e-4, atol=1e-8)


def test_steering_that_changes_nothing_is_exactly_0(model) -> None:
    nothing = [part(1, np.zeros(32), "add")]
    texts = documents(model)
    found = kl(measured(model, {"kl": (divergence, texts)}, parts=nothing))
    assert (found == 0).all(axis=None)


def test_small_divergences_are_right(model) -> None:
    """A thousandth of a nat and less, of which float32 would leave few digits."""
    texts = documents(model)
    small = (0.0, 0.001, 0.01)
    found = kl(measured(model, {"kl": (divergence, texts)}, coefficients=small))
    assert (found[0.001] > 0).all() and found[0.001].max() < 1e-4
    # Twice the coefficient squared: the divergence is a quadratic form near 0.
    assert (found[0.01] / found[0.001]).median() == pytest.approx(100, rel=0.1)


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tells of how many states the head made logits."""
    rows: list[int] = []
    right = head.logits_of

    def logits_of(model: models.LanguageModel, states: torch.Tensor) -> torch.Tensor:
        rows.append(len(states))
        return right(model, states)

    monkeypatch.setattr(head, "logits_of", logits_of)
    return rows


def test_measures_of_the_same_texts_share_each_pass(model, monkeypatch) -> None:
    rows, tokens = counting(monkeypatch), sum(len(ids) - 1 for ids in corpus(model).sequences)
    predicted = {"tokens": (next_token, corpus(model))}
    alone = measured(model, predicted)
    assert sum(rows) == 3 * tokens
    rows.clear()
    texts = {"kl": (divergence, documents(model)), "last": (divergence, documents(model, "last"))}
    together = measured(model, predicted | texts)
    assert sum(rows) == 3 * (tokens + 12)
    of_tokens = together[together["measure"] == "tokens"]
    assert of_tokens[alone.columns].astype(alone.dtypes).equals(alone)
    by_itself = measured(model, {"kl": (divergence, documents(model))})
    assert kl(together).equals(kl(by_itself))


def test_questions_share_the_pass_of_their_answers(model, monkeypatch) -> None:
    rows, prompts = (
        counting(monkeypatch),
        two_choice.read_prompts(model.tokenizer, "bold", tiny.questions()),
    )
    asked = {"answers": (two_choice, prompts), "kl": (divergence, questions(model))}
    table = measured(model, asked)
    assert sum(rows) == 3 * len(prompts.names)
    answers = table[table["measure"] == "answers"]
    alone = measured(model, {"answers": (two_choice, prompts)})
    assert answers[alone.columns].reset_index(drop=True).equals(alone)


def test_a_job_that_goes_on_computes_the_unsteered_model_once_more(
    model, monkeypatch, tmp_path
) -> None:
    asked = {"kl": (divergence, documents(model))}
    settings = {"kept_bytes": 1e5}
    whole = measured(model, asked, points=Points(tmp_path / "whole"), **settings)
    measured(model, asked, coefficients=(0.0,), points=Points(tmp_path / "cut"), **settings)
    unsteered = {path.name for path in (tmp_path / "cut").iterdir()}
    rows = counting(monkeypatch)
    again = measured(model, asked, points=Points(tmp_path / "cut"), **settings)
    assert again.equals(whole)
    assert sum(rows) == 3 * sum(len(ids) - 1 for ids in corpus(model).sequences)
    made = {path.name for path in (tmp_path / "cut").iterdir()}
    assert len(made) == 3 * len(unsteered) and unsteered < made
    rows.clear()
    assert measured(model, asked, points=Points(tmp_path / "cut"), **settings).equals(whole)
    assert not rows


def test_what_a_chunk_keeps_is_bounded(model, monkeypatch) -> None:
    """Also where the head shares its pass; a text of which more is kept is a chunk of its own."""
    held: list[int] = []
    right = chunks.batches_of

    def batches_of(*given: Any) -> Any:
        batches = right(*given)
        held.append(0)
        return batches

    class Known(divergence.Known):
        def __init__(self, count: int, epsilon: float) -> None:
            super().__init__(count, epsilon)
            held[-1] += count * model.vocabulary * 4

    whole = measured(model, {"kl": (divergence, documents(model))}, batch_tokens=1)
    monkeypatch.setattr(chunks, "batches_of", batches_of)
    monkeypatch.setattr(divergence, "Known", Known)
    asked = {"tokens": (next_token, corpus(model)), "kl": (divergence, documents(model))}
    bound = 80_000
    parts = measured(model, asked, batch_tokens=1, kept_bytes=bound)
    assert 3 < len(held) < 12 and min(held) > 0 and max(held) <= bound
    assert kl(parts).equals(kl(whole))
    held.clear()
    measured(model, asked, kept_bytes=1)
    assert len(held) == 12


def test_halves_of_a_batch_that_does_not_fit_have_their_own(model, monkeypatch) -> None:
    whole = kl(measured(model, {"kl": (divergence, documents(model))}))
    right, failed = steering.final_states, []

    def final_states(model, batch, injection, coefficient):
        if coefficient == 0.5 and len(batch.samples) > 2 and len(failed) < 2:
            failed.append(batch.samples)
            raise torch.OutOfMemoryError
        return right(model, batch, injection, coefficient)

    monkeypatch.setattr("snakesteer.measures.together.final_states", final_states)
    halved = kl(measured(model, {"kl": (divergence, documents(model))}))
    assert len(failed) == 2
    assert np.allclose(halved, whole, rtol=1e-4)


@pytest.mark.parametrize("coefficient", [0.0, 1e30])
def test_nan_and_infinity_are_reported(model, coefficient) -> None:
    spoilt = models.wrap(tiny.network(), tiny.tokenizer(), "none")
    if coefficient == 0:
        with torch.no_grad():
            spoilt.network.lm_head.weight[7] = torch.nan
    huge = [part(1, np.full(32, 1e30), "add")]
    with pytest.raises(StudyError) as raised:
        measured(
            spoilt,
            {"kl": (divergence, documents(model))},
            parts=huge,
            coefficients=(0.0, coefficient) if coefficient else (0.0,),
        )
    for named in ("document d0 of corpora.texts", "layer 1", f"coefficient {coefficient:g}"):
        assert named in str(raised.value)


def test_a_document_of_one_token_is_refused(model, tmp_path) -> None:
    path = tmp_path / "documents.parquet"
    write_table(path, pa.table({"document": ["d7"], "text": [" "]}), {})
    tokenizer = tiny.tokenizer()
    read = Read(("prose",), tokens=9, max_tokens=30)
    with pytest.raises(StudyError) as raised:
        divergence.samples(tokenizer, {"documents": [str(path)]}, read, divergence.Settings())
    assert "corpora.prose" in str(raised.value) and "d7" in str(raised.value)


# Tables.


def job(measure: str, **settings: Any) -> TableJob:
    injected = (Injected((Placed("noise", (1,)),), (0.0, 1.0)),)
    return TableJob(
        "own", measure, "kl", "grid", (injected,), statistics=Statistics(4000, 13), **settings
    )


def drawn(count: int = 60) -> pd.DataFrame:
    """Raw rows of two measures, of documents of different lengths."""
    generator = np.random.default_rng(1)
    frames = []
    for coefficient in (0.0, 1.0):
        tokens = generator.integers(20, 200, count)
        nll = tokens * generator.normal(3 + coefficient, 0.4, count)
        frames.append(
            pd.DataFrame(
                {
                    "measure": "kl",
                    "injection": "noise at 1",
                    "coefficient": coefficient,
                    "source": "prose",
                    "corpus": "prose",
                    "sample": [f"d{i}" for i in range(count)],
                    "document": [f"d{i}" for i in range(count)],
                    "kl": coefficient * generator.gamma(2.0, 0.5, count),
                    "tokens": tokens,
                    "nll": nll,
                    **dict.fromkeys(("top1", "top10", "kept", "kept_top1", "kept_top10"), 5),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def test_the_table_of_divergence() -> None:
    raw = drawn()
    table = divergence_tables.table(job("divergence"), [raw], [])
    assert list(table) == divergence_tables.COLUMNS
    zero, one = table.to_dict("records")
    assert (zero["kl"], zero["kl_low"], zero["kl_high"], zero["kl_p95"]) == (0, 0, 0, 0)
    values = raw.loc[raw["coefficient"] == 1, "kl"].to_numpy()
    assert one["kl"] == pytest.approx(values.mean())
    assert one["kl_p95"] == pytest.approx(np.percentile(values, 95))
    by_scipy = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    width = by_scipy.high - by_scipy.low
    assert one["kl_low"] == pytest.approx(by_scipy.low, abs=0.1 * width)
    assert one["kl_high"] == pytest.approx(by_scipy.high, abs=0.1 * width)
    assert one["samples"] == 60 and one["source"] == "prose"


def test_the_interval_over_vectors_of_divergence() -> None:
    raw = drawn()
    resampled = pd.concat(
        [raw.assign(resample=place, kl=raw["kl"] * (1 + place / 10)) for place in range(5)]
    )
    table = divergence_tables.table(job("divergence"), [raw], [resampled])
    one = table[table["coefficient"] == 1].iloc[0]
    means = [one["kl"] * (1 + place / 10) for place in range(5)]
    half = scipy.stats.t.ppf(0.975, 4) * np.std(means, ddof=1)
    assert one["kl_vector_low"] == pytest.approx(one["kl"] - half)
    assert one["kl_vector_high"] == pytest.approx(one["kl"] + half)


def test_perplexity_and_its_interval() -> None:
    raw = drawn()
    table = next_token_tables.table(job("next_token", target="prose"), [raw], [])
    assert list(table) == [*next_token_tables.SKILL_COLUMNS, *next_token_tables.PERPLEXITY]
    for row in table.to_dict("records"):
        rows = raw[raw["coefficient"] == row["coefficient"]]
        assert row["perplexity"] == pytest.approx(np.exp(rows["nll"].sum() / rows["tokens"].sum()))
        by_scipy = scipy.stats.bootstrap(
            (rows["nll"].to_numpy(), rows["tokens"].to_numpy()),
            lambda nll, tokens, axis: np.exp(nll.sum(axis) / tokens.sum(axis)),
            paired=True, n_resamples=4000, method="percentile", rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        width = by_scipy.high - by_scipy.low
        assert row["perplexity_low"] == pytest.approx(by_scipy.low, abs=0.1 * width)
        assert row["perplexity_high"] == pytest.approx(by_scipy.high, abs=0.1 * width)


def test_perplexity_changes_no_other_number() -> None:
    raw = drawn().assign(top1=lambda rows: rows["tokens"] // 3)
    table = next_token_tables.table(job("next_token", target="prose"), [raw], [])
    curve = next_token_tables.Curve("noise", "1", raw.assign(nll=np.nan))
    without = next_token_tables.skill_table("own", "prose", [curve], 4000, 13)
    columns = [name for name in next_token_tables.SKILL_COLUMNS if name != "nll"]
    assert table[columns].equals(without[columns])


# In a study.


def planned(measures: dict[str, Any], **over: Any) -> Plan:
    sweep = {
        "model": "miniature",
        "inject": {"vector": "code", "layers": [3]} | over.pop("inject", {}),
        "coefficients": [0, 1, 4],
        "measures": measures,
    }
    given = study_file.merge(study_file.read(SMALL), {"sweeps": {"dose": sweep | over}})
    return Plan(study_file.parse(given), REPOSITORY)


def test_a_study_takes_it_on_documents_and_on_questions() -> None:
    before = Plan(study_file.load(SMALL), REPOSITORY)
    plan = planned(
        {
            "documents": {"measure": "divergence", "corpora": ["all"], "over": "all"},
            "questions": {"measure": "divergence", "behaviours": ["myopia"]},
        }
    )
    keys = {(made.stage, made.name): made.key for made in plan.artefacts()}
    assert all(keys[made.stage, made.name] == made.key for made in before.artefacts())
    (job,) = plan.sweeps["dose"]
    asked = {one["name"]: one for one in job.settings["measures"]}
    assert asked["documents"]["asked"] == {"over": "all", "epsilon": 0.0}
    assert set(asked["documents"]["files"]) == {"documents"}
    assert set(asked["questions"]["files"]) == {"questions"}
    for name in ("documents", "questions"):
        table = plan.tables[f"dose.{name}"]
        assert table.settings["statistics"] == {"resamples": 1000, "seed": 13}
    assert plan.study.titles_of("dose.questions").keys() == {"myopia"}


@pytest.mark.parametrize(
    ("asked", "inject", "named"),
    [
        ({"corpora": ["all"], "behaviours": ["myopia"]}, {}, "both corpora and behaviours"),
        ({"behaviours": ["myopia"], "tokens": 600}, {}, "tokens is for corpora"),
        ({"corpora": ["all"], "split": "validation"}, {}, "split is for behaviours"),
        ({"corpora": ["all"], "over": "first"}, {}, "over"),
        ({"corpora": ["all"], "epsilon": -1}, {}, "epsilon"),
        (
            {"corpora": ["all"], "over": "all"},
            {"positions": "last"},
            "the last token, which has none",
        ),
        ({"corpora": ["nothing"]}, {}, "corpora names `nothing`"),
        ({}, {}, "vectors.code is not made from a behaviour, so the measure has no questions"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(asked, inject, named) -> None:
    with pytest.raises(StudyError) as raised:
        planned({"divergence": asked}, inject=inject)
    assert named in str(raised.value)
    assert "\n" not in str(raised.value)


def test_at_the_last_token_positions_may_be_steered_that_are_last() -> None:
    assert planned({"divergence": {"corpora": ["all"]}}, inject={"positions": "last"})
