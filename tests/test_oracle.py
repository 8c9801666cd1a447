"""The package against a naive loop that shares no code with it: same counts, same vectors."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tiny
import torch
from conftest import REPOSITORY
from transformers import AutoModelForCausalLM, AutoTokenizer

import oracle
from snakesteer.engine import extraction, models, texts
from snakesteer.engine.operators import ablate, add, clamp
from snakesteer.engine.steering import Part
from snakesteer.hub.manifest import manifest
from snakesteer.measures import choice, first_token, next_token, two_choice
from snakesteer.measures.read import Read
from snakesteer.prompts.formats import Format
from snakesteer.prompts.marks import How
from snakesteer.prompts.skip_tokens import most_frequent
from snakesteer.prompts.which_tokens import From, Steered
from snakesteer.storage.files import write_table
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import Steering, part
from snakesteer.sweeps.runner import Asked
from snakesteer.vectors import contrast, difference
from snakesteer.vectors.samples import Samples

torch.set_num_threads(1)

COEFFICIENTS = [0.0, 0.5, -2.0]
MARGIN = 1e-4  # of the logits' spread: decisions nearer than this may differ by rounding
SHIPPED = [
    path
    for name in ("miniature", "miniature-chat")
    if (path := REPOSITORY / "resources" / "models" / name).is_dir()
]


@dataclass(frozen=True)
class Both:
    """One model as the package loads it and as the oracle does."""

    model: models.LanguageModel
    network: torch.nn.Module
    tokenizer: object
    vector: np.ndarray

    def ids(self, text: str, max_tokens: int | None = None) -> list[int]:
        return self.tokenizer(text)["input_ids"][:max_tokens]

    @property
    def blocks(self) -> torch.nn.ModuleList:
        return self.network.model.layers


@pytest.fixture(
    scope="module", params=[None, *SHIPPED], ids=lambda path: path.name if path else "random"
)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    folder: Path = request.param or tiny.folder(tmp_path_factory.mktemp("model"))
    model = models.load(folder, manifest(folder), device="cpu")
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    documents = texts.read_documents(model.tokenizer, tiny.documents(), 30)
    found = extraction.of_documents(model, documents, batch_tokens=64)
    half = len(found) // 2
    roles = {"add": found[:half], "subtract": found[half:]}
    samples = {role: [Samples({"activations": each.numpy()})] for role, each in roles.items()}
    vector = difference.fit(samples, {"dtype": "float32"})
    yield Both(model, network.eval(), AutoTokenizer.from_pretrained(folder), vector)


def parts(both: Both, layers: tuple[int, ...]) -> list[tuple[int, np.ndarray]]:
    return [(layer, both.vector[layer]) for layer in layers]


def added(parts: list[tuple[int, np.ndarray]]) -> tuple[Part, ...]:
    return tuple(part(layer, vector, "add") for layer, vector in parts)


def spread(both: Both) -> float:
    logits, _ = oracle.forward(both.network, both.blocks, both.ids(tiny.PROSE, 30))
    return float(logits.std())


@pytest.mark.parametrize("path, layers", [("shared", (1,)), ("plain", (1,)), ("shared", (0, 2))])
def test_skill_sweep(both, path, layers, record_property):
    corpora = {"prose": tiny.documents(9), "more": tiny.documents(12)[9:]}
    skip = most_frequent(both.model.tokenizer, [tiny.PROSE], max_tokens=30, count=5)
    read = {
        name: next_token.read_corpus(
            both.model.tokenizer,
            name,
            documents,
            skip if name == "prose" else [],
            max_tokens=30,
        )
        for name, documents in corpora.items()
    }
    steering = Steering(
        "own", added(parts(both, layers)), tuple(COEFFICIENTS), {"tokens": tuple(corpora)}
    )
    asked = [Asked("tokens", next_token, read)]
    (found,) = runner.run(both.model, asked, [steering], batch_tokens=64, path=path)
    table = found.to_pylist()
    given = [
        (coefficient, corpus, name, text)
        for coefficient in COEFFICIENTS
        for corpus, documents in corpora.items()
        for name, text in documents
    ]
    steered = [(layer, torch.tensor(vector)) for layer, vector in parts(both, layers)]
    margins = []
    for row, (coefficient, corpus, name, text) in zip(table, given, strict=True):
        counts, nll, nearest = oracle.skill(
            both.network, both.blocks, both.ids(text, 30), steered, coefficient,
            skip if corpus == "prose" else [],
        )  # fmt: skip
        margins.append(min(nearest) / spread(both))
        assert (row["coefficient"], row["corpus"], row["document"]) == (coefficient, corpus, name)
        if margins[-1] > MARGIN:
            assert {key: row[key] for key in counts} == counts
        assert row["nll"] == pytest.approx(nll, rel=1e-4)
    record_property("nearest miss", min(margins))
    assert sum(margin > MARGIN for margin in margins) > 0.9 * len(margins)


def everywhere(both: Both) -> list[oracle.Part]:
    """Ablation at all layers, where a block reads the residual stream and writes to it."""
    vector = torch.tensor(both.vector[1])
    layers, inside = range(both.model.n_layers), ("input", "attention", "mlp")
    return [oracle.Part(layer, vector, site, "ablate") for layer in layers for site in inside]


def clamped(both: Both) -> list[oracle.Part]:
    return [oracle.Part(1, torch.tensor(both.vector[1]), how="clamp")]


def added_inside(both: Both) -> list[oracle.Part]:
    """Two sites of one block, and a third change that no coefficient multiplies."""
    vectors = [torch.tensor(vector) for vector in both.vector]
    return [
        oracle.Part(2, vectors[2], "mlp", "ablate"),
        oracle.Part(2, vectors[2], "attention"),
        oracle.Part(3, vectors[3], "output", "clamp", constant=2.0),
    ]


def masked(both: Both) -> list[oracle.Part]:
    return [oracle.Part(1, torch.tensor(both.vector[1]))]


@pytest.mark.parametrize("path", ["shared", "plain"])
@pytest.mark.parametrize(
    ("design", "positions"),
    [
        (everywhere, "all"),
        (clamped, "all"),
        (added_inside, "all"),
        (masked, "completion"),
        (masked, "prompt"),
        (masked, "last"),
        (masked, -2),
        (clamped, "after_instruction"),
    ],
)
def test_other_operators_sites_and_positions(both, path, design, positions, record_property):
    documents = tiny.documents(9)
    corpus = next_token.read_corpus(both.model.tokenizer, "prose", documents, [], max_tokens=30)
    begins = [len(ids) // 3 for ids in corpus.sequences]
    corpus = dataclasses.replace(corpus, marks={"completion": begins, "instruction": begins})
    operators = {"add": add, "ablate": ablate, "clamp": clamp}
    parts = tuple(
        Part(part.layer, part.vector, part.site, operators[part.how], part.constant, positions)
        for part in design(both)
    )
    steering = Steering("own", parts, (0.0, 1.0, -2.0), {"tokens": ("prose",)})
    asked = [Asked("tokens", next_token, {"prose": corpus})]
    (found,) = runner.run(both.model, asked, [steering], batch_tokens=64, path=path)
    margins = []
    rows = iter(found.to_pylist())
    for coefficient in (0.0, 1.0, -2.0):
        for (_, text), begin in zip(documents, begins, strict=True):
            row, ids = next(rows), both.ids(text, 30)
            where = {
                "all": None,
                "completion": range(begin, len(ids)),
                "after_instruction": range(begin, len(ids)),
                "prompt": range(begin),
                "last": [len(ids) - 1],
                -2: [len(ids) - 2],
            }[positions]
            counts, nll, nearest = oracle.skill(
                both.network, both.blocks, ids,
                [part._replace(where=where) for part in design(both)], coefficient, [],
            )  # fmt: skip
            margins.append(min(nearest) / spread(both))
            if margins[-1] > MARGIN:
                assert {key: row[key] for key in counts} == counts
            assert row["nll"] == pytest.approx(nll, rel=1e-4)
    record_property("nearest miss", min(margins))
    assert sum(margin > MARGIN for margin in margins) > 0.9 * len(margins)


@pytest.mark.parametrize("path, layers", [("shared", (1,)), ("plain", (0, 2))])
def test_behaviour_sweep(both, path, layers, record_property):
    behaviours = {"bold": tiny.questions(7), "shy": tiny.questions(10)[7:]}
    prompts = {
        name: two_choice.read_prompts(both.model.tokenizer, name, questions)
        for name, questions in behaviours.items()
    }
    steering = Steering(
        "own", added(parts(both, layers)), tuple(COEFFICIENTS), {"answers": tuple(behaviours)}
    )
    asked = [Asked("answers", two_choice, prompts)]
    (found,) = runner.run(both.model, asked, [steering], batch_tokens=150, path=path)
    given = itertools.product(COEFFICIENTS, behaviours.items())
    rows = iter(found.to_pylist())
    steered = [(layer, torch.tensor(vector)) for layer, vector in parts(both, layers)]
    margins = []
    for coefficient, (behaviour, questions) in given:
        for question in questions:
            row = next(rows)
            ids = both.ids(question["prompt"])
            text, logits, margin = oracle.answer(
                both.network, both.blocks, both.tokenizer, ids, steered, coefficient
            )
            margins.append(margin / spread(both))
            choices = [
                both.ids(question["prompt"] + question[key])[-1]
                for key in ("matching", "not_matching")
            ]
            outcomes = {question["matching"]: "match", question["not_matching"]: "other"}
            assert row["coefficient"] == coefficient
            assert (row["behaviour"], row["question"]) == (behaviour, question["question"])
            if margins[-1] > MARGIN:
                assert (row["answer"], row["outcome"]) == (text, outcomes.get(text, "faulty"))
            assert row["logit_matching"] == pytest.approx(
                float(logits[choices[0]]), rel=1e-3, abs=1e-3
            )
            assert row["logit_not_matching"] == pytest.approx(
                float(logits[choices[1]]), rel=1e-3, abs=1e-3
            )
            assert row["choice_mass"] == pytest.approx(
                float(logits.softmax(0)[choices].sum()), abs=1e-4
            )
            of_both = logits.softmax(0)[choices]
            assert row["probability"] == pytest.approx(float(of_both[0] / of_both.sum()), rel=1e-3)
    assert next(rows, None) is None
    record_property("nearest miss", min(margins))
    assert sum(margin > MARGIN for margin in margins) > 0.9 * len(margins)


CHAT = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] }} says: {{ m['content'] | trim }}\n"
    "{% endfor %}{% if add_generation_prompt %}assistant says: {% endif %}"
)
ANSWERED = "\nassistant says: "
INST = "[INST] {prompt} [/INST] "


@dataclass(frozen=True)
class Said:
    """A prompt with what follows it, as transformers puts it, and where its tokens end."""

    ids: list[int]
    ends: list[int]
    text: str

    def first(self, character: int) -> int:
        """The place of the first token that reaches beyond so many characters."""
        return next((i for i, end in enumerate(self.ends) if end > character), len(self.ids))


def said(both: Both, form: str, prompt: str, completion: str) -> Said:
    text, chat = prompt + completion, form == "chat"
    if chat:
        both.tokenizer.chat_template = both.model.tokenizer.chat_template = CHAT
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]
        how = {"add_generation_prompt": True}
        if completion:
            messages.append({"role": "assistant", "content": completion})
            how = {"continue_final_message": True}
        text = both.tokenizer.apply_chat_template(messages, tokenize=False, **how)
    else:
        text = INST.replace("{prompt}", prompt) + completion
    called = both.tokenizer(text, add_special_tokens=not chat, return_offsets_mapping=True)
    return Said(called["input_ids"], [end for _, end in called["offset_mapping"]], text)


def places(one: Said, form: str, positions: Steered, prompt: str, tokens: int) -> list[int]:
    """The tokens, among the first so many, that positions name, by the characters they cover."""
    behind = ANSWERED if form == "chat" else " [/INST] "
    start = one.text.index(prompt) + len(prompt)
    marker = ANSWERED.strip() if form == "chat" else "[/INST]"
    marked = one.text.index(marker, start)
    completion = one.first(start + len(behind))
    first = {
        "all": 0,
        "after_instruction": one.first(start),
        "completion": completion,
        "{from: M}": one.first(marked),
        "{from_last_of: M}": one.first(marked + len(marker) - 1),
        "{after: M}": one.first(marked + len(marker)),
    }
    named = str(positions).replace(repr(marker), "M")
    if named in first:
        return list(range(first[named], tokens))
    return {"last": [tokens - 1], -2: [tokens - 2], "prompt": list(range(completion))}[positions]


FORMATTED = [
    "all",
    "last",
    -2,
    "after_instruction",
    "prompt",
    "completion",
    *(From("M", begins) for begins in ("from", "from_last_of", "after")),
]


def formatted(form: str, positions: Steered) -> tuple[How, Steered]:
    """How the package reads texts, and the positions with the marker of the format."""
    if isinstance(positions, From):
        marker = ANSWERED.strip() if form == "chat" else "[/INST]"
        positions = From(marker, positions.begins)
    made = Format("chat", "Be brief.") if form == "chat" else Format(INST)
    return How(made, steered=(positions,)), positions


@pytest.mark.parametrize("positions", FORMATTED, ids=str)
@pytest.mark.parametrize("form", ["chat", "inst"])
def test_questions_in_a_format(both, form, positions, record_property):
    how, positions = formatted(form, positions)
    questions = []
    for question in tiny.questions(5):
        answers = {key: f"({question[key]})" for key in ("matching", "not_matching")}
        prompt = question["prompt"].removesuffix(", I choose (") + "?"
        questions.append({**question, **answers, "prompt": prompt})
    said(both, form, "a", "b")  # gives both tokenizers their template
    letters = ("A", "B")
    prompts = {
        "bold": two_choice.read_prompts(both.model.tokenizer, "bold", questions, how, "(", letters)
    }
    vector = both.vector[1]
    parts = (Part(1, torch.tensor(vector), positions=positions),)
    steering = Steering("own", parts, tuple(COEFFICIENTS), {"answers": ("bold",)})
    asked = [Asked("answers", two_choice, prompts)]
    (found,) = runner.run(both.model, asked, [steering], batch_tokens=150)
    rows = iter(found.to_pylist())
    margins, seen = [], set()
    for coefficient in COEFFICIENTS:
        for question in questions:
            row = next(rows)
            letter = {key: question[key].strip("()") for key in ("matching", "not_matching")}
            one, other = (said(both, form, question["prompt"], f"({letter[key]}") for key in letter)
            choices, ids = [one.ids[-1], other.ids[-1]], one.ids[:-1]
            assert ids == other.ids[:-1]
            where = places(one, form, positions, question["prompt"], len(ids))
            steered = [oracle.Part(1, torch.tensor(vector), where=where)]
            text, logits, margin = oracle.answer(
                both.network, both.blocks, both.tokenizer, ids, steered, coefficient
            )
            margins.append(margin / spread(both))
            outcomes = {letter["matching"]: "match", letter["not_matching"]: "other"}
            if margins[-1] > MARGIN:
                shown = f"({text})" if text in outcomes else text
                assert (row["answer"], row["outcome"]) == (shown, outcomes.get(text, "faulty"))
            found_logits = (row["logit_matching"], row["logit_not_matching"])
            assert found_logits == pytest.approx(
                tuple(map(float, logits[choices])), rel=1e-3, abs=1e-3
            )
            assert row["choice_mass"] == pytest.approx(
                float(logits.softmax(0)[choices].sum()), abs=1e-4
            )
            asked_of = [said(both, form, question["prompt"], f"({one}").ids[-1] for one in letters]
            of_a_or_b = dict(zip(letters, logits.softmax(0)[asked_of].tolist(), strict=True))
            share = of_a_or_b.get(letter["matching"], 0) / sum(of_a_or_b.values())
            assert row["probability"] == pytest.approx(share, rel=1e-3, abs=1e-9)
            seen.add(letter["matching"] in letters)
    assert seen == {True, False}
    record_property("nearest miss", min(margins))
    assert sum(margin > MARGIN for margin in margins) > 0.9 * len(margins)


@pytest.mark.parametrize("counted", ["all", "completion"])
@pytest.mark.parametrize("positions", ["all", "prompt", "completion", From("M")], ids=str)
@pytest.mark.parametrize("form", ["chat", "inst"])
def test_instructions_in_a_format(both, form, positions, counted, record_property):
    how, positions = formatted(form, positions)
    said(both, form, "a", "b")
    documents = [(name, text, "Yes, he says.") for name, text in tiny.documents(6)]
    corpus = next_token.read_corpus(
        both.model.tokenizer, "asked", documents, [], max_tokens=120, how=how, counted=counted
    )
    vector = both.vector[1]
    parts = (Part(1, torch.tensor(vector), positions=positions),)
    steering = Steering("own", parts, tuple(COEFFICIENTS), {"tokens": ("asked",)})
    asked = [Asked("tokens", next_token, {"asked": corpus})]
    (found,) = runner.run(both.model, asked, [steering], batch_tokens=150)
    rows = iter(found.to_pylist())
    margins = []
    for coefficient in COEFFICIENTS:
        for _, text, completion in documents:
            row, one = next(rows), said(both, form, text, completion)
            where = places(one, form, positions, text, len(one.ids))
            begun = places(one, form, "completion", text, len(one.ids))[0]
            steered = [oracle.Part(1, torch.tensor(vector), where=where)]
            counts, nll, nearest = oracle.skill(
                both.network, both.blocks, one.ids, steered, coefficient, [],
                begun if counted == "completion" else 1,
            )  # fmt: skip
            margins.append(min(nearest) / spread(both))
            if margins[-1] > MARGIN:
                assert {key: row[key] for key in counts} == counts
            assert row["tokens"] == counts["tokens"]
            assert row["nll"] == pytest.approx(nll, rel=1e-4)
    record_property("nearest miss", min(margins))
    assert sum(margin > MARGIN for margin in margins) > 0.9 * len(margins)


@pytest.mark.parametrize("positions", FORMATTED, ids=str)
@pytest.mark.parametrize("form", ["chat", "inst"])
def test_choices_in_a_format(both, form, positions):
    how, positions = formatted(form, positions)
    said(both, form, "a", "b")
    answers = ["Yes, he says.", "(No)", "No, says she, the mill"]
    questions = [
        {"question": name, "prompt": text, "choices": answers[: 2 + i % 2], "place": i % 2}
        for i, (name, text) in enumerate(tiny.documents(6))
    ]
    read = choice.read_items(both.model.tokenizer, "bold", questions, how)
    vector = both.vector[1]
    parts = (Part(1, torch.tensor(vector), positions=positions),)
    steering = Steering("own", parts, tuple(COEFFICIENTS), {"choices": ("bold",)})
    asked = [Asked("choices", choice, {"bold": read})]
    (found,) = runner.run(both.model, asked, [steering], batch_tokens=150)
    rows = iter(found.to_pylist())
    for coefficient in COEFFICIENTS:
        for question in questions:
            row, expected, prompt = next(rows), [], question["prompt"]
            texts = [said(both, form, prompt, answer) for answer in question["choices"]]
            # The prompt ends at one place for all, before a token that only some join to it.
            end = min(places(one, form, "completion", prompt, len(one.ids))[0] for one in texts)
            for answer, one in zip(question["choices"], texts, strict=True):
                where = {
                    "prompt": range(end),
                    "last": [end - 1],
                    -2: [end - 2],
                    "completion": range(end, len(one.ids)),
                }.get(positions) or places(one, form, positions, prompt, len(one.ids))
                steered = [oracle.Part(1, torch.tensor(vector), where=where)]
                first = one.first(len(one.text.removesuffix(answer).rstrip()))
                expected.append(
                    oracle.likelihood(
                        both.network, both.blocks, one.ids, first, steered, coefficient
                    )
                )
            assert row["question"] == question["question"]
            assert row["log_likelihoods"] == pytest.approx(expected, rel=1e-4, abs=1e-4)
            place = question["place"]
            propensity = expected[place] - max(expected[:place] + expected[place + 1 :])
            assert row["propensity"] == pytest.approx(propensity, rel=1e-3, abs=1e-3)
            if abs(propensity) > 1e-3:
                assert (row["outcome"] == "match") == (propensity > 0)
    assert next(rows, None) is None


@pytest.mark.parametrize("positions", ["all", "last", -2, "after_instruction", From("M")], ids=str)
@pytest.mark.parametrize("form", ["chat", "inst"])
def test_first_tokens_in_a_format(both, form, positions, tmp_path):
    how, positions = formatted(form, positions)
    said(both, form, "a", "b")
    documents = tiny.documents(6)
    names, texts = zip(*documents, strict=True)
    path = tmp_path / "documents.parquet"
    write_table(path, pa.table({"document": names, "text": texts}), {})
    read = Read(("asked",), max_tokens=120, how=how)
    settings = first_token.Settings((35, 40, 262), 1e-8)
    files = {"documents": [str(path)]}
    prompts = first_token.samples(both.model.tokenizer, files, read, settings)
    vector = both.vector[1]
    parts = (Part(1, torch.tensor(vector), positions=positions),)
    steering = Steering("own", parts, tuple(COEFFICIENTS), {"odds": ("asked",)})
    asked = [Asked("odds", first_token, prompts)]
    (found,) = runner.run(both.model, asked, [steering], batch_tokens=150)
    rows = iter(found.to_pylist())
    for coefficient in COEFFICIENTS:
        for name, text in documents:
            row, one = next(rows), said(both, form, text, "")
            where = places(one, form, positions, text, len(one.ids))
            steered = [oracle.Part(1, torch.tensor(vector), where=where)]
            logits, _ = oracle.forward(both.network, both.blocks, one.ids, steered, coefficient)
            expected = oracle.log_odds(logits[-1], settings.tokens, settings.epsilon)
            assert row["sample"] == name
            assert row["log_odds"] == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert next(rows, None) is None


def distance(found: np.ndarray, expected: torch.Tensor) -> float:
    """Largest distance over the layers, in units of the expected vector's norm."""
    difference = torch.from_numpy(found) - expected
    return float((difference.norm(dim=1) / expected.norm(dim=1)).max())


def test_skill_vector(both):
    ids = [both.ids(text, 30) for _, text in tiny.documents()]
    last = [oracle.last_activations(both.network, both.blocks, one) for one in ids]
    half = len(last) // 2
    expected = torch.stack(last[:half]).mean(0) - torch.stack(last[half:]).mean(0)
    assert distance(both.vector, expected) < 1e-5


def test_contrast_vector(both):
    questions = tiny.questions()
    read = texts.read_questions(both.model.tokenizer, questions)
    found = extraction.of_questions(both.model, read, batch_tokens=150)
    answers = Samples({role: tensor.numpy() for role, tensor in found.items()})
    vector = contrast.fit({"of": [answers]}, {})
    sides = [
        torch.stack(
            [
                oracle.last_activations(
                    both.network, both.blocks, both.ids(question["prompt"] + question[role])
                )
                for question in questions
            ]
        ).mean(0)
        for role in ("matching", "not_matching")
    ]
    assert distance(vector, sides[0] - sides[1]) < 1e-5
