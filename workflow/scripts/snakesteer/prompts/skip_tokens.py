"""The most frequent tokens of a corpus, left out of the `kept` measures of a skill sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from snakesteer.prompts.tokens import TOKENIZERS_OWN, Reading, encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


AUTHORS = [1]
"""What the authors' filter leaves out: it compares each token with `skip_tokens.any()`, which is
true, and so with the id 1; of a Llama tokenizer that is the beginning-of-sequence token."""


def most_frequent(
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    *,
    max_tokens: int,
    count: int = 50,
    reading: Reading = TOKENIZERS_OWN,
) -> list[int]:
    """Ids of the `count` tokens that occur most often in `texts`, the most frequent first.

    Texts are read and cut as a sweep does; their first token, which is never a target, does not
    count. Equal counts are ordered by id.
    """
    read = (encode(tokenizer, text, max_tokens, reading)[1:] for text in texts)
    return most_frequent_of(read, count)


def most_frequent_of(targets: Iterable[Sequence[int]], count: int = 50) -> list[int]:
    """The same, of the tokens whose predictions count, text by text."""
    occurrences: Counter[int] = Counter()
    for tokens in targets:
        occurrences.update(tokens)
    ranked = sorted(occurrences.items(), key=lambda item: (-item[1], item[0]))
    return [token for token, _ in ranked[:count]]
