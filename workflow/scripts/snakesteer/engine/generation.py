"""Text that a model writes under steering, with its cache of keys and values.

Each row of a batch has an injection and a coefficient of its own, so that all coefficients of a
sweep are written together. What is written is the completion of its prompt, and a token is steered
when it is read (`engine.positions`).

Rows are padded on the left, with a mask, if that gives the model's own outputs. Otherwise prompts
of equal length share a batch. If that fails as well, the entire text is read again for every token.
A trial on random tokens decides, once for each model (`way_of`).
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch

from snakesteer.core.progress import Progress
from snakesteer.engine.batches import PAD, Batch, batches_of, refuse_unreadable
from snakesteer.engine.head import greedy, logits_of
from snakesteer.engine.hooks import hooked
from snakesteer.engine.memory import on_each
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.positions import END
from snakesteer.engine.steering import Injection, Swept, changes_by_row, changing
from snakesteer.engine.trials import agree, why_not
from snakesteer.prompts.marks import Marked

Way = Literal["padded", "even", "plain"]

ROWS = {"cpu": 64}  # texts at once
ROWS_ELSEWHERE = 256
CACHE_BYTES = 1e9
LEAST_SPREAD = 64  # tokens by which prompts of one batch may always differ in length
LEAVING = 8  # rows leave a batch when one in so many has ended
TRIAL_LENGTHS = (12, 7)
TRIAL_STEPS = 4

NOTHING = Injection(())


@dataclass(frozen=True)
class Rules:
    """How texts are written: at most so many `tokens`, up to an end token or one of the texts in
    `stop`.

    With `temperature` 0 the most likely token is taken. Otherwise a token is drawn from the
    probabilities at that temperature, among the fewest most likely ones that add up to `top_p`
    (nucleus sampling, Holtzman et al. 2020).
    """

    tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Begun:
    """A text to be written: its prompt with the marks in it, and how it is steered.

    `draws` [tokens] in [0, 1) pick its tokens where they are drawn.
    """

    prompt: Marked
    swept: Swept = (NOTHING, None)
    draws: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class Written:
    """What was written: token `ids` without the end token, and the `text` up to what stopped it.

    It is `finished` if it ended by itself, and not where it was cut; `broken` if the model put out
    NaN or infinity, so that nothing follows.
    """

    ids: list[int]
    text: str
    finished: bool
    broken: bool = False


def draws_of(
    seed: int, prompt: Sequence[int], coefficient: float | None, number: int, tokens: int
) -> np.ndarray:
    """What picks the tokens of a text, [tokens] in [0, 1): a function of these arguments alone.

    `number` is that of the text among those of one prompt.
    """
    said = repr((seed, list(prompt), coefficient, number)).encode()
    key = int.from_bytes(hashlib.sha256(said).digest()[:16])
    return np.random.Generator(np.random.Philox(key=key)).random(tokens)


def end_tokens(model: LanguageModel) -> set[int]:
    """The token ids that end a text: all that the model's generation configuration names (its own
    file, or else what `config.json` says), and the tokenizer's."""
    named = model.network.generation_config.eos_token_id
    ends = set(named) if isinstance(named, list) else {named}
    return {*ends, model.tokenizer.eos_token_id} - {None}


def write(
    model: LanguageModel,
    begun: Sequence[Begun],
    rules: Rules,
    *,
    kept_bytes: float = CACHE_BYTES,
    progress: Progress | None = None,
) -> list[Written]:
    """Write the texts, many at once: as many as the cache has room for in `kept_bytes`, about.

    Progress counts each token that is read once. Raises StudyError for a prompt beyond the model's
    context.
    """
    if not begun:
        return []
    refuse_unreadable(model, [one.prompt.ids for one in begun])
    way = way_of(model)
    found: dict[int, Written] = {}
    for places in _together(model, begun, rules, way, kept_bytes):
        planned = [_batch(model, begun, places)]
        for batch, texts in on_each(planned, lambda batch: _write(model, batch, begun, rules, way)):
            for place, text in zip(batch.samples, texts, strict=True):
                found[place] = text
                if progress:
                    progress.step(reads(begun[place].prompt.ids, rules))
    return [found[place] for place in range(len(begun))]


def reads(prompt: Sequence[int], rules: Rules) -> int:
    """Tokens that are read to write a text, at most: the last that is written is not."""
    return len(prompt) + rules.tokens - 1


def cache_bytes(model: LanguageModel, tokens: int) -> float:
    """What the keys and values of so many tokens take, about."""
    config = model.network.config.get_text_config()
    heads = getattr(config, "num_attention_heads", None) or 1
    kept = getattr(config, "num_key_value_heads", None) or heads
    return 2 * model.n_layers * model.hidden * kept / heads * model.dtype.itemsize * tokens


def _together(
    model: LanguageModel, begun: Sequence[Begun], rules: Rules, way: Way, kept_bytes: float
) -> Iterator[list[int]]:
    """The places of the texts that share a batch, of like lengths, those steered alike together."""
    spread = 0 if way == "even" else max(LEAST_SPREAD, rules.tokens)
    most = ROWS.get(model.device.type, ROWS_ELSEWHERE)
    lengths = [len(one.prompt.ids) for one in begun]
    injections = {id(one.swept[0]): None for one in begun}
    numbers = {identity: number for number, identity in enumerate(injections)}

    def steered(place: int) -> tuple[int, float, bool, int]:
        steered, coefficient = begun[place].swept
        return (numbers[id(steered)], coefficient or 0.0, coefficient is None, place)

    batch: list[int] = []
    for place in sorted(range(len(begun)), key=lengths.__getitem__):
        held = (len(batch) + 1) * cache_bytes(model, lengths[place] + rules.tokens)
        full = held > kept_bytes or len(batch) == most
        if batch and (full or lengths[place] - lengths[batch[0]] > spread):
            yield sorted(batch, key=steered)
            batch = []
        batch.append(place)
    yield sorted(batch, key=steered)


def _batch(model: LanguageModel, begun: Sequence[Begun], places: Sequence[int]) -> Batch:
    """Prompts padded on the left, their ends marked."""
    texts = [begun[place].prompt for place in places]
    longest = max(len(text.ids) for text in texts)
    rows = [[*[PAD] * (longest - len(text.ids)), *text.ids] for text in texts]
    lengths = torch.tensor([len(text.ids) for text in texts], device=model.device)
    marks = {END: lengths}
    for name in texts[0].marks:
        marks[name] = torch.tensor([text.marks[name] for text in texts], device=model.device)
    ids = torch.tensor(rows, device=model.device)
    return Batch(tuple(places), ids, lengths, marks=marks, first=lengths - longest)


@torch.inference_mode()
def _write(
    model: LanguageModel, batch: Batch, begun: Sequence[Begun], rules: Rules, way: Way
) -> list[Written]:
    """What is written of the texts of a batch."""
    rows = [begun[place] for place in batch.samples]
    texts = [_Text(list(row.prompt.ids), len(row.prompt.ids)) for row in rows]
    sequences = [text.ids for text in texts]
    reader: _Reader = _Anew(model, rows, sequences)
    if way != "plain":
        reader = _Cached(model, batch, [row.swept for row in rows], sequences, way == "padded")
    ends = end_tokens(model)
    going = list(range(len(rows)))
    for step in range(rules.tokens):
        going = [row for row in going if texts[row].goes_on(model.context)]
        if not going:
            break
        logits = reader.logits(going)
        broken = ~torch.isfinite(logits.amax(dim=1))
        draws = [rows[row].draws[step] for row in going] if rules.temperature else []
        tokens = _chosen(logits.nan_to_num(), draws, rules)
        for row, token, failed in zip(going, tokens.tolist(), broken.tolist(), strict=True):
            text = texts[row]
            if failed:
                text.broken = True
            elif token in ends:
                text.finished = True
            else:
                text.ids.append(token)
                text.finished = bool(rules.stop) and any(
                    stop in text.shown(model) for stop in rules.stop
                )
    return [text.written(model, rules) for text in texts]


@dataclass
class _Text:
    """A text while it is written: all its `ids`, those of the prompt up to `start`."""

    ids: list[int]
    start: int
    finished: bool = False
    broken: bool = False

    def goes_on(self, context: int | None) -> bool:
        """Whether another token follows."""
        room = context is None or len(self.ids) < context
        return room and not self.finished and not self.broken

    def shown(self, model: LanguageModel) -> str:
        """What is written so far."""
        return str(model.tokenizer.decode(self.ids[self.start :]))

    def written(self, model: LanguageModel, rules: Rules) -> Written:
        """The text up to what stopped it."""
        text = self.shown(model)
        ends = [text.index(stop) for stop in rules.stop if stop in text]
        cut = text[: min(ends, default=len(text))]
        return Written(self.ids[self.start :], cut, self.finished, self.broken)


def _chosen(logits: torch.Tensor, draws: Sequence[float], rules: Rules) -> torch.Tensor:
    """The next token of each row of `logits` [n, vocabulary]: the greedy one, or the one that its
    draw picks.

    A draw is a place in the cumulated probabilities of tokens in the order of their ids, so that
    rounding moves it across no more than the borders beside it.
    """
    if not rules.temperature:
        return greedy(logits)
    chances = (logits.double() / rules.temperature).softmax(dim=-1)
    if rules.top_p < 1:
        ordered, order = chances.sort(dim=-1, descending=True, stable=True)
        before = ordered.cumsum(dim=-1) - ordered
        chances = chances.scatter(-1, order, ordered.masked_fill(before >= rules.top_p, 0))
    summed = chances.cumsum(dim=-1)
    drawn = torch.tensor(draws, dtype=torch.float64, device=logits.device)
    return torch.searchsorted(summed, drawn[:, None] * summed[:, -1:], right=True)[:, 0]


class _Reader(Protocol):
    """Reads what is new of texts that grow."""

    def logits(self, going: Sequence[int]) -> torch.Tensor:
        """Those of the next token of the rows that go on, [n, vocabulary]."""
        ...


@dataclass
class _Anew:
    """Reads whole texts, for architectures without a cache."""

    model: LanguageModel
    rows: Sequence[Begun]
    sequences: Sequence[Sequence[int]]

    def logits(self, going: Sequence[int]) -> torch.Tensor:
        texts = [self.sequences[row] for row in going]
        marks = {END: [len(self.rows[row].prompt.ids) for row in going]}
        for name in self.rows[0].prompt.marks:
            marks[name] = [self.rows[row].prompt.marks[name] for row in going]
        longest = max(map(len, texts))
        found: dict[int, torch.Tensor] = {}
        for batch in batches_of(self.model, texts, longest * len(texts), marks):
            swept = [self.rows[going[place]].swept for place in batch.samples]
            states, _ = _last_states(self.model, batch, swept, {"use_cache": False})
            picked = states.flatten(0, 1)[batch.last.to(states.device)]
            found |= zip(batch.samples, logits_of(self.model, picked), strict=True)
        return torch.stack([found[place] for place in range(len(going))])


@dataclass
class _Cached:
    """Reads each token once. `inside` are the rows that the cache has, `columns` the tokens of
    each, padding included."""

    model: LanguageModel
    batch: Batch
    swept: Sequence[Swept]
    sequences: Sequence[Sequence[int]]
    masked: bool
    inside: list[int] = field(default_factory=list)
    cache: Any = None
    columns: int = 0

    def logits(self, going: Sequence[int]) -> torch.Tensor:
        if self.cache is None:
            self.inside = list(range(len(self.sequences)))
        else:
            self._leave(going)
            self._next()
        self.columns += self.batch.ids.shape[1]
        inputs: dict[str, Any] = {"use_cache": True, "past_key_values": self.cache}
        if self.masked:
            inputs |= self._placed()
        states, output = _last_states(self.model, self.batch, self.swept, inputs)
        self.cache = output.past_key_values
        places = {row: place for place, row in enumerate(self.inside)}
        return logits_of(self.model, states[[places[row] for row in going], -1])

    def _leave(self, going: Sequence[int]) -> None:
        """Take rows that have ended out of the batch, some at a time."""
        staying = set(going)
        places = [place for place, row in enumerate(self.inside) if row in staying]
        if (len(self.inside) - len(places)) * LEAVING < len(self.inside):
            return
        chosen = torch.tensor(places, device=self.model.device)
        self.cache.reorder_cache(chosen)
        self.inside = [self.inside[place] for place in places]
        self.swept = [self.swept[place] for place in places]
        assert self.batch.first is not None
        self.batch = Batch(
            tuple(self.batch.samples[place] for place in places),
            self.batch.ids[chosen],
            self.batch.lengths[chosen],
            marks={name: marked[chosen] for name, marked in self.batch.marks.items()},
            first=self.batch.first[chosen],
        )

    def _next(self) -> None:
        """Go on to the last token of each text; of one that has ended, whatever it is."""
        assert self.batch.first is not None
        ids = [[self.sequences[row][-1]] for row in self.inside]
        self.batch = Batch(
            self.batch.samples,
            torch.tensor(ids, device=self.model.device),
            self.batch.lengths,
            marks=self.batch.marks,
            first=self.batch.first + self.batch.ids.shape[1],
        )

    def _placed(self) -> dict[str, Any]:
        """The mask over all tokens so far, and the place of each one that is read."""
        places = self.batch.places
        columns = torch.arange(self.columns, device=places.device)
        padding = self.columns - 1 - places[:, -1:]
        given: dict[str, Any] = {"attention_mask": (columns >= padding).long()}
        if "position_ids" in inspect.signature(self.model.network.base_model.forward).parameters:
            given["position_ids"] = places.clamp(min=0)
        return given


def _last_states(
    model: LanguageModel, batch: Batch, swept: Sequence[Swept], inputs: Mapping[str, Any]
) -> tuple[torch.Tensor, Any]:
    """Output of the last block [batch, tokens, hidden], and what the model returns."""
    final: list[torch.Tensor] = []
    changes = changes_by_row(swept, batch)
    with changing(model, changes), hooked(model, model.n_layers - 1, final.append):
        output = model.network.base_model(input_ids=batch.ids, **inputs)
    return final[0], output


_WAYS: weakref.WeakKeyDictionary[torch.nn.Module, Way] = weakref.WeakKeyDictionary()


def way_of(model: LanguageModel) -> Way:
    """How texts are written so that the model's outputs are those without a cache.

    The log says so, once, where that is not with a cache and padded prompts.
    """
    if model.network not in _WAYS:
        _WAYS[model.network] = _tried(model)
    return _WAYS[model.network]


def _tried(model: LanguageModel) -> Way:
    architecture = type(model.network).__name__
    if model.short_context is not None:
        reason = f"its position embedding changes after {model.short_context} tokens"
        _note(f"{architecture} generates without a cache, which is slower: {reason}.")
        return "plain"
    padded = why_not(lambda: _same(model, TRIAL_LENGTHS, masked=True))
    if padded is None:
        return "padded"
    even = why_not(lambda: _same(model, TRIAL_LENGTHS[:1] * 2, masked=False))
    if even is None:
        _note(
            f"{architecture} generates for prompts of equal length together ({padded} with "
            "padding)."
        )
        return "even"
    _note(f"{architecture} generates without a cache, which is slower ({even} with one).")
    return "plain"


def _note(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


@torch.inference_mode()
def _same(model: LanguageModel, lengths: Sequence[int], *, masked: bool) -> bool:
    """Whether random texts of these lengths have the same logits with a cache, one leaving."""
    noise = torch.Generator().manual_seed(0)
    room = model.context or sum(lengths)
    texts, rest = [], []
    for length in lengths:
        count = max(2, min(length, room - TRIAL_STEPS))
        ids = torch.randint(model.vocabulary, (count + TRIAL_STEPS,), generator=noise).tolist()
        texts.append(ids[:count])
        rest.append(ids[count:])
    begun = [Begun(Marked(list(text))) for text in texts]
    anew = _Anew(model, begun, texts)
    batch = _batch(model, begun, range(len(texts)))
    cached = _Cached(model, batch, [one.swept for one in begun], texts, masked)
    going = list(range(len(texts)))
    most = 1e-3 if model.dtype == torch.float32 else 0.05
    for step in range(TRIAL_STEPS):
        if not agree(cached.logits(going), anew.logits(going), most):
            return False
        if step == TRIAL_STEPS // 2:
            going = going[1:]
        for text, following in zip(texts, rest, strict=True):
            text.append(following[step])
    return True
