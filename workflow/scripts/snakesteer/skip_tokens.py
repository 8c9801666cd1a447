"""The most frequent tokens of a corpus, left out of the `kept` measures of a skill sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from snakesteer.tokenisation import encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


AUTHORS = [1]
"""What the authors' filter leaves out: it compares each token with `skip_tokens.any()`, which is
true, and so with the id 1; of a Llama tokenizer that is the beginning-of-sequence token."""


def most_frequent(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], *, max_tokens: int, count: int = 50
) -> list[int]:
    """Ids of the `count` tokens that occur most often in `texts`, the most frequent first.

    Texts are cut as a sweep cuts them; the beginning-of-sequence token, which is never a target,
    does not count. Equal counts are ordered by id.
    """
    occurrences: Counter[int] = Counter()
    for text in texts:
        occurrences.update(encode(tokenizer, text, max_tokens))
    if tokenizer.bos_token_id is not None:
        del occurrences[tokenizer.bos_token_id]
    ranked = sorted(occurrences.items(), key=lambda item: (-item[1], item[0]))
    return [token for token, _ in ranked[:count]]
