"""The formats of a study: how texts become the model's input."""

from __future__ import annotations

from typing import Any, Literal, Protocol, Self

from pydantic import Field, model_validator

from snakesteer.prompts.formats import CHAT, PROMPT, SYSTEM
from snakesteer.study.entries import Entry

FORMAT = (
    "How texts become the model's input. `plain`: as they are. `chat`: in the chat "
    "template of the model's tokenizer. Or the name of an entry of `formats`, or such an "
    "entry itself."
)


class Formatted(Protocol):
    """What texts are read by."""

    @property
    def format(self) -> str | Format: ...


class Format(Entry):
    """How a text becomes the model's input. Two formats need no entry: `plain`, a text as it is,
    and `chat`, a format with the defaults below."""

    EXAMPLE = """
        formats:
          llama-2: {template: "[INST] {prompt} [/INST] "}
          kind: {template: chat, system: "You are kind."}
    """

    template: str = Field(
        CHAT,
        description="`chat`: the chat template of the model's tokenizer. Otherwise a text "
        "that contains `{prompt}`, and perhaps `{system}`. An answer or a completion follows "
        "at its end. Special tokens are those that the tokenizer adds or the template "
        "contains, once.",
    )
    system: str | Literal[False] | None = Field(
        None,
        description="System prompt. Without it none is given. If the chat template then "
        "adds one itself, the log and the provenance show it. `false` refuses such a "
        "template.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.template == CHAT:
            return self
        if self.template.count(PROMPT) != 1:
            raise ValueError(
                f"template {self.template!r} must contain {PROMPT} exactly once; correct it, or "
                "write chat for the tokenizer's own template"
            )
        if self.template.count(SYSTEM) > 1:
            raise ValueError(f"template {self.template!r} has {SYSTEM} more than once; keep one")
        if isinstance(self.system, str) and not self.takes_system:
            raise ValueError(
                f"system is given, but template {self.template!r} has no {SYSTEM}; add it where "
                "the system prompt belongs"
            )
        return self

    @property
    def takes_system(self) -> bool:
        """Whether there is a place for a system prompt."""
        return self.template == CHAT or SYSTEM in self.template

    def settings(self) -> dict[str, Any]:
        """What determines the texts."""
        return self.model_dump()
