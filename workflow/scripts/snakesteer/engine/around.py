"""An injection around a network's own `forward` and `generate`, for as long as a block lasts.

Which tokens are steered is counted in each text, padding left out. What `generate` is given is the
prompt of a text, also where that is read anew for every token, and what is written the completion.
A call of `forward` alone starts new texts and reads their prompt. A call that passes on the
previous call's cache reads their completion.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from snakesteer.core.errors import StudyError
from snakesteer.engine.batches import Batch
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.positions import ALL, END, Positions, refuse_outside
from snakesteer.engine.steering import Change, Injection, Place, changing
from snakesteer.prompts.which_tokens import AFTER, COMPLETION, LAST, PROMPT

COUNTED = (LAST, PROMPT, COMPLETION)
CACHE, MASK = "past_key_values", "attention_mask"
FOLLOWED: list[torch.nn.Module] = []
"""The networks whose texts are being counted, each as often as it is steered so."""


def check_positions(positions: Any) -> None:
    """Refuse (StudyError) positions that texts by themselves do not have."""
    if positions == ALL or positions in COUNTED or (type(positions) is int and positions < 0):
        return
    if positions == AFTER or isinstance(positions, Mapping):
        raise StudyError(
            f"positions is {positions}, which needs the marks of a format; count from the end, "
            "as -5, or run a study, whose formats set these marks."
        )
    raise StudyError(
        f"positions is {positions!r}; name all, last, prompt, completion, or a token from the end "
        "as -1."
    )


@contextlib.contextmanager
def around(
    model: LanguageModel, injection: Injection, coefficient: float, positions: Positions
) -> Iterator[None]:
    """The network steered by an injection, all of whose parts act at these positions.

    It may be used in another one, which acts before it at the same place. Compiled code does not
    see hooks, so nothing is run compiled meanwhile. Raises StudyError where positions cannot be
    counted, and where there is not one state of the model's width per token. Raises it on leaving
    if the completion was to be steered, but none was read.
    """
    if not injection.steers(coefficient):
        yield
    elif positions == ALL:
        everywhere = Batch((), torch.zeros(0, 0), torch.zeros(0))
        changes = injection.changes(coefficient, everywhere)
        acting = _checked(model, {place: changes.__getitem__ for place in changes})
        with torch.compiler.set_stance("force_eager"), changing(model, acting):
            yield
    else:
        texts = _Texts(model, injection, coefficient, positions)
        acting = _checked(model, {part.place: texts.change for part in injection.parts})
        with torch.compiler.set_stance("force_eager"), texts.followed(), changing(model, acting):
            yield
        texts.refuse_nothing()


def _checked(
    model: LanguageModel, changes: Mapping[Place, Callable[[Place], Change]]
) -> dict[Place, Change]:
    """Changes of states, by place, that refuse (StudyError) states of another shape."""

    def checked(place: Place, change: Callable[[Place], Change]) -> Change:
        def act(states: torch.Tensor) -> torch.Tensor:
            if states.dim() != 3 or states.shape[-1] != model.hidden:
                raise StudyError(
                    f"site is {place[1]}, but in {type(model.network).__name__} that site does "
                    f"not have one state of {model.hidden} values per token; use the site output "
                    "or input."
                )
            return change(place)(states)

        return act

    return {place: checked(place, change) for place, change in changes.items()}


@dataclass(frozen=True)
class _Placed(Batch):
    """Texts that are padded anywhere: `at` [tokens] or [batch, tokens] are the places of their
    tokens, -1 where there is none."""

    at: torch.Tensor = field(default_factory=lambda: torch.zeros(0))

    @functools.cached_property
    def places(self) -> torch.Tensor:
        return self.at


@dataclass
class _Texts:
    """The texts that a network reads, and how the states of the last call change.

    `given` is how many columns the prompt has that `generate` was given; None outside of it.
    `prompt` is how many the prompts of the texts at hand have, and `read` how many rows and columns
    of these were read. `steered` is whether any call has read what may be steered; None before
    the first. `mask` is what a module around the one that holds the blocks was called with, where
    that says which tokens are padding; False where none was.
    """

    model: LanguageModel
    injection: Injection
    coefficient: float
    positions: Positions
    given: int | None = None
    prompt: int = 0
    read: tuple[int, int] = (0, 0)
    steered: bool | None = None
    mask: torch.Tensor | None | Literal[False] = False
    changes: dict[Place, Change] = field(default_factory=dict)

    def change(self, place: Place) -> Change:
        """What is done at a place to the states of the call at hand."""
        return self.changes[place]

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Looks at every call of the module that holds the blocks, and of `generate`.

        Raises StudyError for an architecture that keeps something else than keys and values.
        """
        *around, decoder = _around_blocks(self.model)
        if CACHE not in inspect.signature(type(decoder).forward).parameters:
            raise StudyError(
                f"positions is {self.positions}, but {type(self.model.network).__name__} has no "
                "cache of keys and values, from which positions are counted; use positions all."
            )
        with contextlib.ExitStack() as stack:
            for module in around:
                stack.enter_context(_called(module, self.note))
            stack.enter_context(_called(decoder, self.look))
            stack.enter_context(self.generating())
            FOLLOWED.append(self.model.network)
            stack.callback(FOLLOWED.remove, self.model.network)
            yield

    @contextlib.contextmanager
    def generating(self) -> Iterator[None]:
        """Notes what `generate` is given, where the network has it."""
        network: Any = self.model.network
        if not hasattr(network, "generate"):
            yield
            return
        own, held = network.generate, "generate" in vars(network)

        @functools.wraps(own)
        def generate(*args: Any, **named: Any) -> Any:
            before, self.given = self.given, _columns(*args, **named)
            try:
                return own(*args, **named)
            finally:
                self.given, self.read = before, (0, 0)

        network.generate = generate
        try:
            yield
        finally:
            if held:
                network.generate = own
            else:
                del network.generate

    def note(self, given: Mapping[str, Any]) -> None:
        """Notes the mask of a call; the blocks may be given one that is made for them of it."""
        mask = given.get(MASK)
        if mask is None or _says_padding(mask):
            self.mask = mask

    def look(self, given: Mapping[str, Any]) -> None:
        """Counts the tokens of a call, and says what changes in it."""
        tokens = given.get("input_ids")
        if tokens is None:
            tokens = given["inputs_embeds"]
        (rows, new), mask = tokens.shape[:2], given.get(MASK)
        if not _says_padding(mask) and self.mask is not False:
            mask = self.mask
        self.mask = False
        if mask is None:
            cache = given.get(CACHE)
            past = 0 if cache is None else cache.get_seq_length()
        else:
            past = self.before(mask, new)
        if self.given is not None:
            self.prompt = self.given
        elif not past or self.read != (rows, past):
            self.prompt = past + new
        self.read = (rows, past + new)
        if self.prompt > past + new:
            raise StudyError(
                f"positions is {self.positions}, but `generate` reads the prompt in parts; "
                "remove prefill_chunk_size and guidance_scale."
            )
        columns = slice(past, past + new)
        if mask is None:
            ends = torch.full((rows,), self.prompt, device=tokens.device)
            places = torch.arange(past, past + new, device=tokens.device)
        else:
            real = mask != 0
            ends = real[:, : self.prompt].sum(dim=1)
            places = (real.cumsum(dim=1) - 1).masked_fill(~real, -1)[:, columns]
        if past < self.prompt:
            self.refuse_outside(ends)
        self.steered = (
            bool(self.steered) or self.positions != COMPLETION or past + new > self.prompt
        )
        marks = {END: ends, COMPLETION: ends}
        batch = _Placed(tuple(range(rows)), tokens, ends, marks=marks, at=places)
        self.changes = self.injection.changes(self.coefficient, batch)

    def before(self, mask: Any, new: int) -> int:
        """How many columns of a mask stand before those of a call."""
        if not _says_padding(mask) or mask.shape[1] < new:
            shape = list(mask.shape) if isinstance(mask, torch.Tensor) else type(mask).__name__
            raise StudyError(
                f"positions is {self.positions}, but the attention mask is {shape}, which does "
                "not show the padding; give a mask [batch, tokens], and no static cache."
            )
        return int(mask.shape[1]) - new

    def refuse_outside(self, ends: torch.Tensor) -> None:
        """Refuse (StudyError) positions that a prompt does not have."""
        if isinstance(self.positions, int):
            lengths = [range(length) for length in ends.tolist()]
            names = [f"row {row}" for row in range(len(lengths))]
            refuse_outside(self.positions, lengths, {}, names)

    def refuse_nothing(self) -> None:
        """Refuse (StudyError) calls of which none has read what was to be steered."""
        if self.steered is False:
            raise StudyError(
                "positions is completion, but `forward` without the previous call's cache reads "
                "a prompt; use `generate`, or pass the cache on."
            )


def _says_padding(mask: Any) -> bool:
    """Whether a mask is one of [batch, tokens]."""
    return isinstance(mask, torch.Tensor) and mask.dim() == 2


def _around_blocks(model: LanguageModel) -> list[torch.nn.Module]:
    """The modules that the blocks are in, from the network to the one that calls them in order."""
    for path, module in model.network.named_modules():
        for name, child in module.named_children():
            if child is model.blocks:
                parts = [*filter(None, path.split(".")), name]
                return [model.network.get_submodule(".".join(parts[:i])) for i in range(len(parts))]
    raise AssertionError("the blocks are not in their model")


@contextlib.contextmanager
def _called(module: torch.nn.Module, look: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """Gives `look` the arguments by name that a module is called with."""
    signature = inspect.signature(type(module).forward)

    def before(called: torch.nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = signature.bind_partial(called, *args, **named).arguments
        look({**given, **named})

    handle = module.register_forward_pre_hook(before, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _columns(inputs: torch.Tensor | None = None, *_: Any, **named: Any) -> int:
    """How many columns the prompt has that `generate` is called with."""
    mask, cache = named.get(MASK), named.get(CACHE)
    if mask is not None:
        return int(mask.shape[1])
    for given in (named.get("inputs_embeds"), inputs, named.get("inputs"), named.get("input_ids")):
        if given is not None:
            kept = 0 if cache is None else cache.get_seq_length()
            width = int(given.shape[1])
            return width if width > kept else kept + width
    return 1  # the BOS token alone
