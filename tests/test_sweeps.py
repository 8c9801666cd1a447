"""Sweeps around the numbers: stopping, order, budgets, samples, and what they refuse."""

from __future__ import annotations

import contextlib
import dataclasses
import weakref

import llama
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import tiny
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from snakesteer.core.errors import Overflow, StudyError
from snakesteer.core.progress import Progress
from snakesteer.engine import batches as batching
from snakesteer.engine import head, memory, models, steering, texts
from snakesteer.measures import continuation, next_token, two_choice
from snakesteer.measures.next_token_settings import Stopping as SkillStopping
from snakesteer.measures.two_choice_settings import Stopping as GridStopping
from snakesteer.prompts.marks import How
from snakesteer.prompts.questions import question_tokens
from snakesteer.prompts.skip_tokens import most_frequent
from snakesteer.prompts.tokens import Reading
from snakesteer.storage.points import Points
from snakesteer.sweeps import chunks, runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.job import Precision
from snakesteer.sweeps.runner import Asked

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model() -> models.LanguageModel:
    return models.wrap(tiny.network(), tiny.tokenizer(), "none")


@pytest.fixture(scope="module")
def injection(model: models.LanguageModel) -> steering.Injection:
    return steering.injection(model, [part(1, noise(), "add")])


ASKED = ("stopping", "read_on", "precision")


def sweep(model, injection, coefficients, documents=None, tokens=None, max_tokens=30, **settings):
    given = tiny.documents() if documents is None else documents
    given = given if isinstance(given, dict) else {"prose": given}
    corpora = {
        name: next_token.read_corpus(
            model.tokenizer, name, texts, [], max_tokens=max_tokens, tokens=tokens
        )
        for name, texts in given.items()
    }
    steering = Steering("noise", injection.parts, tuple(coefficients), {"tokens": tuple(corpora)})
    said = {name: settings.pop(name) for name in ASKED if name in settings}
    asked = [Asked("tokens", next_token, corpora, **said)]
    (table,) = runner.run(model, asked, [steering], **{"batch_tokens": 64} | settings)
    return table


def added(parts):
    return tuple(part(layer, vector, "add") for layer, vector in parts)


def ask(model, parts, coefficients, stopping=None, **settings):
    prompts = {"bold": two_choice.read_prompts(model.tokenizer, "bold", tiny.questions())}
    steering = Steering("noise", added(parts), tuple(coefficients), {"answers": ("bold",)})
    asked = [Asked("answers", two_choice, prompts, stopping)]
    (table,) = runner.run(model, asked, [steering], batch_tokens=99, **settings)
    return table


def noise(seed=0):
    return np.random.default_rng(seed).normal(size=32)


def test_points_do_not_depend_on_the_other_coefficients(model, injection):
    several = sweep(model, injection, [0, 3.0, -1.0]).to_pandas()
    two = sweep(model, injection, [0, -1.0]).to_pandas()
    mine = several[several.coefficient != 3].reset_index(drop=True)
    assert mine.equals(two)
    assert list(mine.document[:12]) == [name for name, _ in tiny.documents()]


def test_the_paths_give_the_same_table(model, injection):
    shared, plain = (sweep(model, injection, [0, 2.0], path=path) for path in ("shared", "plain"))
    assert shared.equals(plain)


def test_chunks_give_the_same_counts_in_the_same_order(model, injection):
    whole, parts = (
        sweep(model, injection, [0, 2.0], batch_tokens=1, kept_bytes=bound)
        for bound in (1e9, 50 * 4 * 32)
    )
    assert whole.equals(parts)


def measured(monkeypatch, shares, documents=()):
    """Lets the sweep measure so many hits a document, by coefficient, and tells what it measured.

    `documents` overrides them for some of the documents.
    """
    seen = []
    right = next_token.rows

    def rows(model, injection, coefficient, source, corpus, batches, progress):
        table = right(model, injection, 0.0, source, corpus, batches, progress)
        seen.append((coefficient, *corpus.names))
        names = table["document"].to_pylist()
        hits = [dict(documents).get(name, shares)[coefficient] for name in names]
        for column, values in (("top1", hits), ("coefficient", [coefficient] * len(names))):
            place = table.schema.get_field_index(column)
            table = table.set_column(place, table.schema.field(place), pa.array(values))
        return table.cast(next_token.SCHEMA)

    monkeypatch.setattr(next_token, "rows", rows)
    return seen


COEFFICIENTS = [0, 1, 2, 3, 4, 5, 6, 8, 9]


def test_stopping_follows_the_first_corpus(model, injection, monkeypatch):
    measured(monkeypatch, {0.0: 100, 1.0: 90, 2.0: 10, 8.0: 0, 9.0: 90})
    table = sweep(model, injection, COEFFICIENTS, stopping=SkillStopping())
    assert table["coefficient"].unique().to_pylist() == [0, 1, 2, 8]


def shared_passes(monkeypatch):
    """Tells of which sequences the lower layers were run."""
    passes = []
    right = chunks.batches_of

    def batches_of(model, sequences, *given):
        passes.append(sequences)
        return right(model, sequences, *given)

    monkeypatch.setattr(chunks, "batches_of", batches_of)
    return passes


def test_stopping_is_replayed_over_all_chunks(model, injection, monkeypatch):
    """The first two chunks would stop at 2; together with the others the curve goes on to 4."""
    others = {float(c): 100 for c in COEFFICIENTS} | {4.0: 0}
    first = dict.fromkeys(("d0", "d1"), {0.0: 100, 1.0: 100, 2.0: 0, 3.0: 0, 4.0: 0})
    seen, passes = measured(monkeypatch, others, first), shared_passes(monkeypatch)
    table = sweep(model, injection, COEFFICIENTS, kept_bytes=1, stopping=SkillStopping())
    assert table["coefficient"].unique().to_pylist() == [0, 1, 2, 3, 4]
    assert len(seen) == len(set(seen)) == 5 * len(tiny.documents())
    assert len(passes) == len(tiny.documents()) + 2


def test_a_chunk_that_would_go_on_alone_does_not_decide(model, injection, monkeypatch):
    """The last chunk alone goes on to the end; no other measures what only it would."""
    others = {0.0: 100, 1.0: 100, 2.0: 0}
    documents = tiny.documents()
    last = {documents[-1][0]: {0.0: 1, 1.0: 1} | {float(c): 1 for c in COEFFICIENTS}}
    seen = measured(monkeypatch, others, last)
    table = sweep(model, injection, COEFFICIENTS, kept_bytes=1, stopping=SkillStopping())
    assert table["coefficient"].unique().to_pylist() == [0, 1, 2]
    assert len(seen) == 3 * len(documents) + len(COEFFICIENTS) - 3


def test_an_overflow_ends_a_sweep_only_where_the_curve_comes_to_it(model, injection, monkeypatch):
    """The first chunk alone goes on to 3, where it overflows."""
    shares = {float(c): 100 for c in COEFFICIENTS}
    seen = measured(monkeypatch, shares | {2.0: 0}, {"d0": shares | {2.0: 20}})
    right = next_token.rows

    def rows(model, injection, coefficient, source, corpus, *given):
        if coefficient == 3 and corpus.names[0] == "d0":
            raise Overflow("too much")
        return right(model, injection, coefficient, source, corpus, *given)

    monkeypatch.setattr(next_token, "rows", rows)
    table = sweep(model, injection, COEFFICIENTS, kept_bytes=1, stopping=SkillStopping())
    assert table["coefficient"].unique().to_pylist() == [0, 1, 2]
    with pytest.raises(Overflow):
        sweep(model, injection, COEFFICIENTS, kept_bytes=1, stopping=SkillStopping(0.001, 0))
    seen.clear()
    with pytest.raises(Overflow):
        sweep(model, injection, COEFFICIENTS, kept_bytes=1)
    assert len(seen) == 3


def test_coefficient_0_is_asked_once_whatever_is_injected(model, monkeypatch, tmp_path):
    seen = []
    right = two_choice.rows

    def rows(model, injection, coefficient, source, *given):
        seen.append((coefficient, source))
        return right(model, injection, coefficient, source, *given)

    monkeypatch.setattr(two_choice, "rows", rows)
    prompts = {
        name: two_choice.read_prompts(model.tokenizer, name, tiny.questions(count))
        for name, count in (("bold", 4), ("shy", 3))
    }
    steerings = [
        Steering(name, added([(layer, noise(layer))]), (zero, 1.0), {"answers": ("bold", "shy")})
        for name, layer, zero in (("a", 2, 0.0), ("b", 3, -0.0))
    ]
    asked = [Asked("answers", two_choice, prompts)]
    tables = runner.run(model, asked, steerings, batch_tokens=99)
    zeros = [table.slice(0, 7).drop_columns("injection") for table in tables]
    assert zeros[0].equals(zeros[1])
    assert seen.count((0, "bold")) == seen.count((0, "shy")) == 1
    assert len(seen) == 2 + 2 * 2

    measures = measured(monkeypatch, {0.0: 1, 1.0: 1})
    for layer in (0, 2):  # the second is another job
        sweep(
            model,
            steering.injection(model, [part(layer, noise(), "add")]),
            [0, 1],
            points=Points(tmp_path),
        )
    assert [coefficient for coefficient, *_ in measures] == [0, 1, 1]


def test_resamples_share_the_lower_layers(model, monkeypatch):
    passes = shared_passes(monkeypatch)
    corpora = {
        "prose": next_token.read_corpus(
            model.tokenizer, "prose", tiny.documents(), [], max_tokens=30
        )
    }
    injections = [steering.injection(model, [part(1, noise(seed), "add")]) for seed in range(3)]
    sources = {"tokens": ("prose",)}
    steerings = [Steering("noise", one.parts, (0, 2.0), sources) for one in injections]
    asked = [Asked("tokens", next_token, corpora)]
    together = runner.run(model, asked, steerings, batch_tokens=64)
    assert len(passes) == 1
    for one, table in zip(injections, together, strict=True):
        assert table.equals(sweep(model, one, [0, 2.0]))


def test_points_that_are_there_are_not_measured_again(model, injection, monkeypatch, tmp_path):
    first = sweep(model, injection, [0, 2.0], points=Points(tmp_path), kept_bytes=5000)
    seen = measured(monkeypatch, dict.fromkeys([0.0, 3.0, 2.0], 1))
    again = sweep(model, injection, [0, 2.0], points=Points(tmp_path), kept_bytes=5000)
    assert again.equals(first) and not seen
    progress = Progress()
    given = {"points": Points(tmp_path), "kept_bytes": 5000, "progress": progress}
    sweep(model, injection, [0, 3.0, 2.0], **given)
    assert {coefficient for coefficient, *_ in seen} == {3.0}
    assert progress.total == pc.sum(first["tokens"]).as_py() / 2


def test_progress_is_of_what_is_left_to_ask(model, tmp_path):
    first, again = Progress(), Progress()
    for progress, runs in ((first, [0.0, 1.0]), (again, [0.0, 1.0, 2.0])):
        ask(model, [(1, noise())], runs, points=Points(tmp_path), progress=progress)
    assert first.done == first.total == 2 * again.total == 2 * again.done > 0


def test_a_damaged_point_is_measured_again(model, injection, tmp_path):
    first = sweep(model, injection, [0, 2.0], points=Points(tmp_path))
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-20])
    assert sweep(model, injection, [0, 2.0], points=Points(tmp_path)).equals(first)


def test_precision_takes_as_many_documents_as_it_needs(model, injection, monkeypatch):
    shares = {0.0: 100, 1.0: 50}
    some = {f"d{place}": {0.0: 100, 1.0: 50 + 10 * (-1) ** place} for place in range(12)}
    measured(monkeypatch, shares, some)
    for half_width, expected in ((0.5, 4), (0.1, 12)):
        precision = Precision(half_width, pilot=4)
        table = sweep(model, injection, [0, 1.0], precision=precision)
        assert table.num_rows == 2 * expected


def test_precision_by_coefficient_takes_what_each_needs(model, injection, monkeypatch):
    """The more the documents differ, the more; the rows are the first ones of a whole sweep."""
    shares = {0.0: 100, 1.0: 90, 2.0: 50, 3.0: 50}
    spreads = {0.0: 0, 1.0: 0, 2.0: 6, 3.0: 17}
    some = {
        f"d{place}": {c: share + spreads[c] * (-1) ** place for c, share in shares.items()}
        for place in range(12)
    }
    given = {"a": tiny.documents(), "b": tiny.documents()}
    seen = measured(monkeypatch, shares, some)
    passes = shared_passes(monkeypatch)
    precision = Precision(0.15, pilot=4, by="coefficient")
    table = sweep(model, injection, list(shares), given, precision=precision)
    assert len(passes) == 1 + 2 * 8  # the pilots are the same documents
    assert len(seen) == 2 * (4 + 8 * 2 + 3)
    enough = {0.0: 12, 1.0: 4, 2.0: 7, 3.0: 12}
    whole = sweep(model, injection, list(shares), given)
    first = [
        place
        for place, row in enumerate(whole.to_pylist())
        if int(row["document"][1:]) < enough[row["coefficient"]]
    ]
    assert table.drop_columns("nll").equals(whole.take(first).drop_columns("nll"))
    assert np.allclose(table["nll"], whole["nll"].take(first))


def test_the_pilot_of_a_precision_decides_where_curves_end(model, injection, monkeypatch):
    """All documents together would go on to coefficients that no precision was planned for."""
    others = {float(c): 100 for c in COEFFICIENTS}
    pilot = {f"d{place}": {0.0: 100, 1.0: 50 + place, 2.0: 0, 3.0: 0} for place in range(4)}
    measured(monkeypatch, others, pilot)
    table = sweep(
        model,
        injection,
        COEFFICIENTS,
        stopping=SkillStopping(),
        precision=Precision(0.001, pilot=4),
    )
    assert table["coefficient"].unique().to_pylist() == [0, 1, 2]
    assert table.num_rows == 3 * len(tiny.documents())


@contextlib.contextmanager
def refusing(model, too_much):
    """Out of memory for token ids [batch, tokens] that are `too_much`."""

    def refuse(_module, _args, given):
        if too_much(given["input_ids"]):
            raise torch.OutOfMemoryError("no")

    handle = model.network.base_model.register_forward_pre_hook(refuse, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def test_memory_that_does_not_suffice_halves_the_batches(model, injection, capsys):
    expected = sweep(model, injection, [0, 2.0], batch_tokens=10**6).to_pandas()
    with refusing(model, lambda ids: ids.numel() > 100):
        found = sweep(model, injection, [0, 2.0], batch_tokens=10**6).to_pandas()
    assert "Out of memory" in capsys.readouterr().err
    assert list(found.document) == list(expected.document)
    assert np.allclose(found.nll, expected.nll, rtol=1e-5)


@pytest.mark.parametrize("what", ["greedy", "logits_of"])
def test_memory_that_does_not_suffice_for_the_answers_halves_them(model, monkeypatch, what, capsys):
    expected = ask(model, [(1, noise())], (0.0, 2.0)).to_pandas()
    right = getattr(head, what)

    def refuse(*given):
        if len(given[-1]) > 1:
            raise torch.OutOfMemoryError("no")
        return right(*given)

    monkeypatch.setattr(head, what, refuse)
    found = ask(model, [(1, noise())], (0.0, 2.0)).to_pandas()
    assert "Out of memory" in capsys.readouterr().err
    assert list(found.answer) == list(expected.answer)
    assert np.allclose(found.choice_mass, expected.choice_mass, rtol=1e-4)


def test_halving_finds_what_failed_gone_and_takes_no_memory(model, monkeypatch):
    held, still = [], []

    def act(batch):
        large = torch.ones(9)
        held.append(weakref.ref(large))
        error = torch.OutOfMemoryError("no")  # which this frame refers to, and which refers to it
        if len(batch.samples) > 1:
            raise error
        return batch.kept

    right = memory._halves

    def halves(batch):
        still.extend(large() for large in held)
        return right(batch)

    monkeypatch.setattr(memory, "_halves", halves)
    batches = batching.batches_of(model, [[0, 5, 6], [0, 7, 8], [0, 9]], 100)
    kept = torch.ones(3, 3, 32)
    batches = [dataclasses.replace(batch, kept=kept) for batch in batches]
    found = [states for _, states in memory.on_each(batches, act)]
    assert len(found) == 3 and still == [None] * len(still) != []
    assert {states.untyped_storage().data_ptr() for states in found} == {kept.data_ptr()}


def test_a_sequence_that_does_not_fit_alone_is_refused(model, injection):
    with (
        refusing(model, lambda ids: ids.shape[1] > 20),
        pytest.raises(StudyError, match="One sequence of 2. tokens does not fit"),
    ):
        sweep(model, injection, [0])


def test_auto_finds_a_budget(model):
    sequences = [[0, *range(5, 5 + n % 20)] for n in range(400)]
    assert batching.tokens_per_batch(model, sequences, 77) == 77
    found = batching.tokens_per_batch(model, sequences, "auto")
    assert found == 1 or 1024 <= found <= sum(map(len, sequences))
    with refusing(model, lambda ids: True):
        assert batching.tokens_per_batch(model, sequences, "auto") == 1


def test_token_budget_takes_the_first_documents(model, injection):
    table = sweep(model, injection, [0], tokens=40).to_pandas()
    assert list(table.document) == [name for name, _ in tiny.documents()][: len(table)]
    assert table.tokens.sum() >= 40 > table.tokens[:-1].sum()


def test_reading_on_gives_every_coefficient_other_documents(model, injection):
    same = sweep(model, injection, [0, 1.0, 2.0], batch_tokens=1).to_pandas()
    read = sweep(model, injection, [0, 1.0, 2.0], batch_tokens=1, read_on=40).to_pandas()
    assert list(read.document) == [name for name, _ in tiny.documents()][: len(read)]
    assert list(read.coefficient.unique()) == [0, 1, 2]
    for _, rows in read.groupby("coefficient"):
        assert rows.tokens.sum() >= 40 > rows.tokens[:-1].sum()
    assert len(read.merge(same)) == len(read)
    with pytest.raises(StudyError, match="corpora.prose has no documents left for coefficient 4"):
        sweep(model, injection, [0, *range(1, 10)], read_on=40)


def test_stopping_between_other_documents_goes_by_shares(model, injection, monkeypatch):
    right = next_token.rows

    def rows(*given):
        table = right(*given).to_pandas()
        table["top1"] = (table.tokens * (10 if given[2] == 0 else 1)).astype(int)
        return pa.Table.from_pandas(table, next_token.SCHEMA)

    monkeypatch.setattr(next_token, "rows", rows)
    stopping = SkillStopping(stop=0.09, leap_below=0.11, leap=2)
    table = sweep(model, injection, [0, 1, 2, 3, 4], read_on=1, stopping=stopping)
    assert table["coefficient"].unique().to_pylist() == [0, 1, 3]


def test_a_corpus_of_fewer_tokens_is_noted(model, capsys):
    corpus = next_token.read_corpus(
        model.tokenizer, "prose", tiny.documents(), [], max_tokens=30, tokens=10**6
    )
    held = sum(len(ids) - 1 for ids in corpus.sequences)
    (few,) = capsys.readouterr().err.splitlines()
    assert few.startswith(f"corpora.prose holds only {held} of the 1,000,000 tokens asked for")


def test_unfit_skill_sweeps_are_refused(model, injection):
    for given, word in (
        ({"coefficients": [1.0], "read_on": 9}, "begin with it"),
        ({"coefficients": [1.0], "precision": Precision(0.1, 4)}, "begin with it"),
        ({"coefficients": []}, "No injection has a coefficient"),
        ({"documents": []}, "no validation documents"),
        ({"documents": [("d", "")]}, "corpora.prose: document d has fewer than two tokens"),
        ({"max_tokens": 999, "documents": [("d", tiny.PROSE * 9)]}, "context of 128"),
    ):
        with pytest.raises(StudyError, match=word):
            sweep(model, injection, **({"coefficients": [0]} | given))


def test_overflow_names_document_layer_and_coefficient(injection):
    network = tiny.network().to(torch.float16)
    model = models.wrap(network, tiny.tokenizer(), "none")
    with pytest.raises(StudyError, match=r"document d0 .* layer 1 with coefficient 1e\+06"):
        sweep(model, injection, [0, 1e6])
    with pytest.raises(
        StudyError, match=r"question q0 of behaviours.bold .* layer 1 with coefficient -1e\+06"
    ):
        ask(model, [(1, noise())], (-1e6,))


def test_grid_stopping_ends_a_column_but_not_at_0(model):
    table = ask(model, [(1, noise())], (0.0, 5.0, 6.0), stopping=GridStopping(faulty=0))
    assert table["coefficient"].unique().to_pylist() == [0, 5]
    with pytest.raises(StudyError, match="No injection has a coefficient"):
        ask(model, [(1, noise())], ())


def test_a_column_goes_on_where_one_answer_is_no_more_frequent_than_unsteered(model):
    nothing, stopping = [(1, 0 * noise())], GridStopping(collapse=0.01, faulty=10)
    table = ask(model, nothing, (1.0, 2.0), stopping=stopping)
    assert table["coefficient"].unique().to_pylist() == [1, 2]


@pytest.mark.parametrize("order", [(0.0, 5.0, 6.0, -5.0), (-5.0, 6.0, 0.0, 5.0)])
def test_both_sides_of_0_have_their_own_end_whatever_the_order(model, order):
    table = ask(model, [(1, noise())], order, stopping=GridStopping(faulty=0))
    assert table["coefficient"].unique().to_pylist() == [0, 5, -5]
    assert set(table["injection"].to_pylist()) == {"noise"}


def test_the_lower_layers_serve_injections_above(model, monkeypatch):
    """The same questions under two injections, of which one lies higher."""
    prompts = {"bold": two_choice.read_prompts(model.tokenizer, "bold", tiny.questions())}
    asked, sources = [Asked("answers", two_choice, prompts)], {"answers": ("bold",)}
    high = Steering("high", added([(2, noise(1)), (3, noise(1))]), (0.0, 1.0), sources)
    low = Steering("low", added([(0, noise())]), (1.0,), sources)
    (alone,) = runner.run(model, asked, [high], batch_tokens=99)
    for order in ([low, high], [high, low]):
        passes = shared_passes(monkeypatch)
        tables = dict(
            zip(
                [one.label for one in order],
                runner.run(model, asked, order, batch_tokens=99),
                strict=True,
            )
        )
        assert tables["high"].equals(alone) and len(passes) == 1


def test_states_that_do_not_lead_to_a_layer_above_are_recomputed(monkeypatch):
    """Layers 2 to 4 of this architecture share keys and values with those below."""
    [(architecture, shape)] = tiny.THREADED.items()
    model = models.wrap(tiny.network(architecture, **shape), tiny.tokenizer(), "none")
    prompts = {"bold": two_choice.read_prompts(model.tokenizer, "bold", tiny.questions())}
    asked, sources = [Asked("answers", two_choice, prompts)], {"answers": ("bold",)}
    steerings = [
        Steering(str(layer), added([(layer, noise(layer))]), (0.0, 1.0), sources)
        for layer in range(6)
    ]
    together = runner.run(model, asked, steerings, batch_tokens=99)
    for one, found in zip(steerings, together, strict=True):
        (alone,) = runner.run(model, asked, [one], batch_tokens=99, path="plain")
        assert found.equals(alone)


def test_several_measures_are_what_each_is_alone(model, monkeypatch):
    """Two measures of the same documents share the lower layers, the third reads questions."""
    prompts = {"bold": two_choice.read_prompts(model.tokenizer, "bold", tiny.questions())}
    corpora = {
        name: next_token.read_corpus(model.tokenizer, name, texts, [], max_tokens=30)
        for name, texts in (("a", tiny.documents()[:7]), ("b", tiny.documents()[7:]))
    }
    skipping = {name: dataclasses.replace(read, skipped=(5,)) for name, read in corpora.items()}
    measures = [
        Asked("tokens", next_token, corpora, SkillStopping()),
        Asked("answers", two_choice, prompts, GridStopping(faulty=0)),
        Asked("skipping", next_token, skipping),
    ]
    sources = {"tokens": ("a", "b"), "answers": ("bold",), "skipping": ("a", "b")}
    steerings = [
        Steering(f"at {layer}", added([(layer, noise(layer))]), (0.0, 5.0, 50.0, -5.0), sources)
        for layer in (2, 1)
    ]
    settings = {"batch_tokens": 64, "kept_bytes": 20_000}
    passes = shared_passes(monkeypatch)
    together = pa.concat_tables(runner.run(model, measures, steerings, **settings))
    shared = len(passes)
    for asked in measures:
        own = [
            dataclasses.replace(one, sources={asked.name: sources[asked.name]}) for one in steerings
        ]
        passes.clear()
        alone = pa.concat_tables(runner.run(model, [asked], own, **settings))
        found = together.filter(pc.field("measure") == asked.name).select(alone.column_names)
        assert found.equals(alone)
        shared -= 0 if asked.name == "skipping" else len(passes)
    assert shared == 0


def test_answers_that_are_several_tokens_are_refused(model):
    question = tiny.questions()[0] | {"matching": "Perhaps"}
    with pytest.raises(StudyError, match=r"^The tokenizer .* 'Perhaps' .* q0 one token each"):
        question_tokens(model.tokenizer, question)
    with pytest.raises(StudyError, match=r"^behaviours\.bold: The tokenizer .* 'Perhaps' .* q0"):
        two_choice.read_prompts(model.tokenizer, "bold", [question])


def test_a_tokenizer_may_join_the_bracket_with_the_answer():
    class Joining:
        bos_token_id = 9

        def __call__(self, text, **_):
            ids = [9, 1, 2, {"A": 5, "B": 6}.get(text[-1], 3)]
            return {"input_ids": ids, "special_tokens_mask": [1, 0, 0, 0]}

        def decode(self, ids):
            return "".join({1: "I", 2: " choose", 5: " (A", 6: " (B"}[token] for token in ids)

    question = {"question": "q", "prompt": "I choose (", "matching": "A", "not_matching": "B"}
    found = question_tokens(Joining(), question)
    assert (found.prompt, found.matching, found.not_matching) == ([9, 1, 2], 5, 6)


def pointing_at(network, token):
    """An injection after which the next token is this one, whatever was asked."""
    return [(3, network.lm_head.weight[token].detach().numpy())], (1000.0,)


@pytest.mark.parametrize(
    ("piece", "answer", "outcomes"),
    [
        ("A", "A", {"match", "other", "faulty"}),
        ("▁A", " A", {"faulty"}),
        ("▁the", " the", {"faulty"}),
    ],
)
def test_an_answer_with_a_space_is_no_choice(piece, answer, outcomes):
    """Llama's tokenizer drops the space of a token that is decoded alone."""
    network, tokenizer = tiny.network(vocab_size=480), llama.tokenizer()
    token = tokenizer.convert_tokens_to_ids(piece)
    assert tokenizer.decode([token]) == answer.strip()
    table = ask(models.wrap(network, tokenizer, "none"), *pointing_at(network, token))
    assert set(table["answer"].to_pylist()) == {answer}
    assert set(table["outcome"].to_pylist()) == outcomes


def test_the_token_of_a_choice_is_that_choice_however_it_is_decoded():
    """Without a decoder there is a space between any two tokens."""
    words = ["<s>", "<unk>", "(", "A", "B", "Yes", "No", "I", "choose"]
    raw = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>")
    network, token = tiny.network(), words.index("Yes")
    assert tokenizer.decode([words.index("("), token]) == "( Yes"
    table = ask(models.wrap(network, tokenizer, "none"), *pointing_at(network, token))
    outcomes = zip(table["answer"].to_pylist(), table["outcome"].to_pylist(), strict=True)
    assert set(outcomes) == {("Yes", "match"), ("Yes", "other"), (" Yes", "faulty")}


def test_empty_inputs_are_refused(model):
    for read, word in (
        (lambda: texts.read_documents(model.tokenizer, [], 8), "no training documents"),
        (
            lambda: texts.read_documents(model.tokenizer, [("a", "mill"), ("b", "")], 8),
            "document b has fewer than two tokens",
        ),
        (lambda: texts.read_questions(model.tokenizer, []), "no training questions"),
        (
            lambda: two_choice.read_prompts(model.tokenizer, "bold", []),
            "behaviours.bold has no",
        ),
    ):
        with pytest.raises(StudyError, match=word):
            read()


def test_most_frequent_tokens(model):
    tokenizer = model.tokenizer
    texts = ["b b b c c a a", "a"]
    ids = [tokenizer.encode(text) for text in texts]
    flat = [token for one in ids for token in one]
    found = most_frequent(tokenizer, texts, max_tokens=100, count=3)
    assert found == sorted(set(flat), key=lambda token: (-flat.count(token), token))[:3]
    assert tokenizer.bos_token_id not in most_frequent(tokenizer, texts, max_tokens=100)


def test_samples_are_greedy_and_steered(model, injection):
    prompts = ["The river", "def add(a, b): return"]
    progress = Progress()
    injections = {"noise": injection}
    table = continuation.run(model, injections, [0, 2.0], prompts, tokens=6, progress=progress)
    table = table.to_pylist()
    lengths = [len(model.tokenizer.encode(prompt)) for prompt in prompts]
    assert progress.done == progress.total == 2 * sum(length + 5 for length in lengths)
    assert [(row["prompt"], row["coefficient"], row["layer"]) for row in table] == [
        (prompt, coefficient, "1") for coefficient in (0.0, 2.0) for prompt in prompts
    ]
    for row in table[:2]:
        ids = torch.tensor([model.tokenizer.encode(row["prompt"])])
        expected = model.network.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=6
        )
        assert row["continuation"] == model.tokenizer.decode(expected[0, ids.shape[1] :])
    assert table[0]["continuation"] != table[2]["continuation"]


def test_a_prompt_without_a_token_is_refused(model, injection):
    """The empty one, unless every text begins with a token."""
    how = How(reading=Reading(bos="always"))
    table = continuation.run(model, {"noise": injection}, [0], [""], tokens=2, how=how)
    assert table.num_rows == 1
    with pytest.raises(StudyError, match="the prompt '' has no token"):
        continuation.run(model, {"noise": injection}, [0], ["The river", ""], tokens=2)


def written(model, parts=(), coefficient=0):
    steered = {"noise": steering.injection(model, added(parts))}
    table = continuation.run(model, steered, [coefficient], ["The river"], tokens=8)
    return table["continuation"][0].as_py()


@pytest.mark.parametrize("listed", [True, False])
def test_samples_end_at_every_end_token_of_the_model(listed):
    """Those of its generation configuration and the tokenizer's; they are not shown."""
    network, tokenizer = tiny.network(), tiny.tokenizer()
    model = models.wrap(network, tokenizer, "none")
    ids = torch.tensor([tokenizer.encode("The river")])
    settings = {"do_sample": False, "max_new_tokens": 8}
    free = network.generate(ids, **settings)[0, ids.shape[1] :].tolist()
    end = free[3]
    assert written(model, [(1, noise())]) == tokenizer.decode(free)
    network.generation_config.eos_token_id = [1, end] if listed else end
    ended = network.generate(ids, **settings)[0, ids.shape[1] :].tolist()
    assert ended[-1] == end and len(ended) <= 4
    assert written(model, [(1, noise())]) == tokenizer.decode(ended[:-1])
    eos = pointing_at(network, tokenizer.eos_token_id)
    assert written(model, eos[0], eos[1][0]) == ""


def test_samples_show_special_tokens():
    network, tokenizer = tiny.network(), tiny.tokenizer()
    model = models.wrap(network, tokenizer, "none")
    parts, (coefficient,) = pointing_at(network, tokenizer.bos_token_id)
    assert written(model, parts, coefficient) == 8 * "<s>"
