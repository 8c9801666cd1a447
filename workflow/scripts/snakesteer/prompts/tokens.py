"""From text to token ids, the same way for every part of a study.

The rule is the tokenizer's own call: a text is read as `tokenizer(text)["input_ids"]` says, with
what that puts before and behind it. There are two exceptions. What stands before a text, the
beginning-of-sequence (BOS) token as a rule, stands there once, also where the text begins with it
as a rendered chat template does. And a `Reading` may say otherwise about that token, and about the
text of special tokens inside documents.

What the tokenizer puts behind a text, an end-of-sequence token say, stays behind a document, and is
then its last token. A text that is to go on, a prompt or an answered question, ends before it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from snakesteer.core.errors import StudyError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FILE, CONFIGURATION = "tokenizer.json", "tokenizer_config.json"
GENERAL = ("PreTrainedTokenizerFast", "TokenizersBackend")

PLAIN = (
    "The river runs past the mill, and the miller counts 12345 sacks: he isn't in a hurry.",
    "def area(w, h):\n    return w * h\n\n\nfor i in range(10):\n\tprint(area(i, 3.14))  # área\n",
    "HELLO World's \u201cquotes\u201d \u2014 na\u00efve re\u0301sume\u0301 \u00bd \ufb01n",
    "\r\n\r\n\u05e9\u05dc\u05d5\u05dd, \u4f60\u597d, \ud55c\uad6d\uc5b4 \U0001f600!?",
    "a  b   c\n\n\n  d\t\te \n",
)
LEADING_SPACE = " The river runs past the mill."
"""Texts on which `tokenizer.json` is held against what transformers makes of it."""


@dataclass(frozen=True)
class Reading:
    """What a model's entry in the study says about reading texts, beside its tokenizer.

    `bos`: "tokenizer" leaves the BOS token to the tokenizer, "always" puts it before every text
    that does not begin with it, "never" leaves out what the tokenizer puts before a text.
    `special_tokens`: the text of a special token inside a document is that "token", or "text" as
    any other is.
    """

    bos: str = "tokenizer"
    special_tokens: str = "token"


TOKENIZERS_OWN = Reading()


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer in `folder`, from local files and without running code found there.

    Where transformers takes another class than the general one that the folder names, and reads
    texts otherwise with it, the general one is taken, which follows `tokenizer.json`. Raises
    StudyError if it cannot be loaded, as where it needs a package that is not installed, and if it
    reads texts otherwise than its `tokenizer.json` says: by a `tokenizer_class` transformers may
    build that class's own splitting around the vocabulary of the file.
    """
    folder = Path(folder)
    try:
        tokenizer = _loaded(AutoTokenizer, folder)
        if _names_the_general_class(folder) and not _as_written(tokenizer, folder, PLAIN):
            tokenizer = _loaded(PreTrainedTokenizerFast, folder)
    except Exception as error:  # tokenizers raises no narrower one for a file it cannot read
        if not (folder / FILE).is_file():
            raise StudyError(
                f"{folder} has no tokenizer.json, and its tokenizer cannot be loaded from other "
                "files without packages that are not installed; name a model, or a revision, that "
                "has one."
            ) from None
        reason = str(error).strip().partition("\n")[0]
        raise StudyError(
            f"the tokenizer in {folder} cannot be loaded ({reason}); get its files again."
        ) from None
    if not _as_written(tokenizer, folder, PLAIN):
        raise StudyError(
            f"{type(tokenizer).__name__} of transformers reads texts differently from "
            f"{folder / FILE}; set tokenizer_class to PreTrainedTokenizerFast in "
            f"{folder / CONFIGURATION}, of a model of the hub in a copy of the folder."
        )
    return tokenizer


def _loaded(kind: Any, folder: Path) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    return tokenizer


def _names_the_general_class(folder: Path) -> bool:
    configuration = folder / CONFIGURATION
    if not configuration.is_file():
        return False
    return json.loads(configuration.read_text(encoding="utf-8")).get("tokenizer_class") in GENERAL


def remarks(tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> list[str]:
    """What a log should say of the tokenizer in `folder`, in sentences."""
    made = []
    ids, _, behind = _own_call(tokenizer, "a")
    if behind:
        names = " ".join(map(str, tokenizer.convert_ids_to_tokens(ids[-behind:])))
        made.append(
            f"The tokenizer adds {names} after every text: documents end with it, prompts and "
            "questions before it."
        )
    if not _as_written(tokenizer, Path(folder), [LEADING_SPACE]):
        made.append(
            f"{type(tokenizer).__name__} of transformers reads a text that begins with a space "
            f"differently from {FILE}; tokenizer_class: PreTrainedTokenizerFast in "
            f"{CONFIGURATION} would make it follow the file."
        )
    return made


def _as_written(tokenizer: PreTrainedTokenizerBase, folder: Path, texts: Sequence[str]) -> bool:
    """Whether the tokenizer reads the texts as the `tokenizer.json` that it is loaded from says."""
    if not (folder / FILE).is_file():
        return True
    written = Tokenizer.from_file(str(folder / FILE))
    written.no_truncation()
    written.no_padding()
    return all(tokenizer(text)["input_ids"] == written.encode(text).ids for text in texts)


def encode(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    max_tokens: int | None = None,
    reading: Reading = TOKENIZERS_OWN,
) -> list[int]:
    """Token ids of a whole text, cut after `max_tokens` tokens (paper: 4,096 with BOS).

    Those of the tokenizer's own call, with what it puts before the text once; `reading` as
    `Reading` says. Raises StudyError where a BOS token is asked for and the tokenizer has none, and
    where special tokens shall be text and the tokenizer cannot read one so.
    """
    return framed(tokenizer, text, reading)[0][:max_tokens]


def encode_prompt(
    tokenizer: PreTrainedTokenizerBase, text: str, reading: Reading = TOKENIZERS_OWN
) -> list[int]:
    """Token ids of a text that is to go on, without what the tokenizer puts behind it.

    The text of a special token is that token. Raises StudyError as `encode` does.
    """
    ids, _, end = framed(tokenizer, text, Reading(reading.bos))
    return ids[:end]


def encode_chat(
    tokenizer: PreTrainedTokenizerBase, text: str, reading: Reading = TOKENIZERS_OWN
) -> list[int]:
    """Token ids of a rendered chat, around which the tokenizer puts nothing.

    They are those of `apply_chat_template`, unless the reading asks for a BOS token that is not
    there.
    """
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return _begun(tokenizer, list(ids), 0, reading.bos)


def framed(
    tokenizer: PreTrainedTokenizerBase, text: str, reading: Reading = TOKENIZERS_OWN
) -> tuple[list[int], int, int]:
    """Token ids of a text, and which are its own: from the first place to before the second.

    Around these is what the tokenizer puts there. Raises StudyError as `encode` does.
    """
    as_text = reading.special_tokens == "text"
    ids, before, behind = _own_call(tokenizer, text, as_text)
    if as_text:
        _refuse_special(tokenizer, text, ids[before : len(ids) - behind])
    begun = _begun(tokenizer, ids, before, reading.bos)
    end = len(begun) - behind
    return begun, end - (len(ids) - before - behind), end


def refuse_short(name: str, ids: Sequence[int]) -> None:
    """Refuse (StudyError) a document of fewer than two tokens."""
    if len(ids) < 2:
        raise StudyError(
            f"document {name} has fewer than two tokens, so none can be predicted; remove it, or "
            "in corpora raise `min_characters`."
        )


def _own_call(
    tokenizer: PreTrainedTokenizerBase, text: str, as_text: bool = False
) -> tuple[list[int], int, int]:
    """What `tokenizer(text)` gives, and how many ids of it stand before and behind the text.

    `as_text`: special tokens in the text are text.
    """
    how = {"split_special_tokens": True} if as_text else {}
    called = tokenizer(text, return_special_tokens_mask=True, verbose=False, **how)
    added = called["special_tokens_mask"]
    before = len(list(takewhile(bool, added)))
    behind = len(list(takewhile(bool, reversed(added[before:]))))
    return list(called["input_ids"]), before, behind


def _refuse_special(tokenizer: PreTrainedTokenizerBase, text: str, ids: list[int]) -> None:
    """Refuses special tokens of a text among its ids, which were to have none.

    A vocabulary may hold them as pieces like others; Unigram's do.
    """
    added = tokenizer.added_tokens_decoder
    special = {token for token in set(ids) & added.keys() if added[token].special}
    for token in ids:
        if token in special - {tokenizer.unk_token_id} and added[token].content in text:
            raise StudyError(
                "special_tokens is text, but the model's tokenizer can read "
                f"{added[token].content} only as that token; set special_tokens to token."
            )


def _begun(tokenizer: PreTrainedTokenizerBase, ids: list[int], before: int, bos: str) -> list[int]:
    """The ids of a text, of which the tokenizer put the first `before` there, begun as asked."""
    twice = before > 0 and ids[before : 2 * before] == ids[:before]
    if twice or bos == "never":
        ids = ids[before:]
    if bos != "always" or ids[:1] == [tokenizer.bos_token_id]:
        return ids
    if tokenizer.bos_token_id is None:
        raise StudyError(
            "bos is always, but the model's tokenizer names no beginning-of-sequence token; remove "
            "`bos` from its entry under models."
        )
    return [tokenizer.bos_token_id, *ids]
