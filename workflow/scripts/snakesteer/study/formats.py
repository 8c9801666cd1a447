"""The formats of a study: how texts become the model's input."""

from __future__ import annotations

from typing import Any, Literal, Protocol, Self

from pydantic import Field, model_validator

from snakesteer.prompts.formats import CHAT, PROMPT, SYSTEM
from snakesteer.study.entries import Entry

FORMAT = (
    "How texts become the model's input: `plain`, as they stand; `chat`, in the chat template of "
    "the model's tokenizer; or the name of a format, or one as below."
)


class Formatted(Protocol):
    """What texts are read by."""

    @property
    def format(self) -> str | Format: ...


class Format(Entry):
    """How a text becomes the model's input, beside `plain`, as it stands, and `chat`, which is a
    format of its defaults."""

    template: str = Field(
        CHAT,
        description="`chat`: the chat template of the model's tokenizer. Else a text in which "
        "`{prompt}` stands for the prompt, and `{system}` for the system prompt. An answer or a "
        "completion follows at its end. Special tokens are those that the tokenizer itself adds "
        "or the template holds, once.",
    )
    system: str | Literal[False] | None = Field(
        None,
        description="System prompt. Without it none is given, and what a chat template puts in by "
        "itself is noted in the log and shown in the provenance; `false` refuses a chat template "
        "that puts one in.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.template == CHAT:
            return self
        if self.template.count(PROMPT) != 1:
            raise ValueError(
                f"template {self.template!r} must have {PROMPT} once, where the prompt stands; "
                "correct it, or write chat for the tokenizer's own"
            )
        if self.template.count(SYSTEM) > 1:
            raise ValueError(f"template {self.template!r} has {SYSTEM} more than once; keep one")
        if isinstance(self.system, str) and not self.takes_system:
            raise ValueError(
                f"system is given, but template {self.template!r} has no {SYSTEM}; put it in where "
                "the system prompt stands"
            )
        return self

    @property
    def takes_system(self) -> bool:
        """Whether there is a place for a system prompt."""
        return self.template == CHAT or SYSTEM in self.template

    def settings(self) -> dict[str, Any]:
        """What determines the texts."""
        return self.model_dump()
