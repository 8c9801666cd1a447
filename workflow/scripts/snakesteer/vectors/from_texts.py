"""Activations of texts, and vectors made of them, with a network in memory.

Texts are read as a study reads those of a corpus, and vectors are made by the methods of a study.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from snakesteer.core import plugins
from snakesteer.core.dtypes import ITEM_BYTES
from snakesteer.core.errors import StudyError, naming
from snakesteer.engine.extraction import of_documents
from snakesteer.engine.in_memory import loaded, to_read
from snakesteer.engine.probe import check_site
from snakesteer.engine.sites import OUTPUT, SITES
from snakesteer.engine.texts import What, read_corpus
from snakesteer.prompts.formats import CHAT, PLAIN, PROMPT, Format
from snakesteer.prompts.positions import AFTER, COMPLETION, DOCUMENT, LAST, Positions, taken
from snakesteer.storage.provenance import MODEL_PACKAGES
from snakesteer.vectors.samples import ByRole, Samples
from snakesteer.vectors.steering_vector import SteeringVector, of_rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Text = str | tuple[str, str]
"""A text, or a prompt and its completion."""

BATCH_TOKENS = 4096

# The settings of each method, as a study's vectors have them by default.
METHODS: dict[str, dict[str, Any]] = {
    "difference": {"dtype": "float32"},
    "contrast": {},
    "pca": {"centred": False},
    "logistic": {"C": 1.0, "paired": False},
    "lda": {"shrinkage": "auto", "paired": False},
}
OF_PAIRS = ("contrast", "pca")
PAIRED = "paired"


def activations(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[Text],
    *,
    site: str = OUTPUT,
    positions: Positions = LAST,
    format: str = PLAIN,
    max_tokens: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> np.ndarray:
    """Activations of all layers of texts, [n_texts, n_layers, hidden] float32.

    A text is a string, or a pair of a prompt and its completion. `site` is `output`, `input`,
    `attention` or `mlp`. `positions` are `last`, -k, `{"mean": "document"}` or `{"mean":
    "completion"}`; with `after_instruction` and a list of -k there is an axis of positions,
    [n_texts, positions, n_layers, hidden]. `format` is `plain`, `chat` or a template with
    `{prompt}` in it (docs/reading.md). Texts are cut after `max_tokens` tokens, and read in batches
    of `batch_tokens`.

    The model is left as it was. Raises StudyError for a text that is too short, too long, or has no
    such positions, for NaN and infinity, and for a model that cannot be read.
    """
    what = _what(site, positions, format)
    found, _ = _read(model, tokenizer, {"texts": texts}, what, max_tokens, batch_tokens)
    return found["texts"]


def make_vector(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    positive: Sequence[Text],
    negative: Sequence[Text],
    *,
    method: str = "difference",
    site: str = OUTPUT,
    positions: Positions = LAST,
    format: str = PLAIN,
    max_tokens: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    **settings: Any,
) -> SteeringVector:
    """The steering vector that points from `negative` texts to `positive` ones.

    `method` is `difference` (of both means), `contrast` or `pca` (of the differences of pairs: both
    lists in one order), `logistic` or `lda`. `settings` are the method's own, as a study's vectors
    have them (docs/vectors.md). The other arguments are those of `activations`. Raises StudyError
    as that does, for an unknown method or setting, for lists of different lengths where texts are
    pairs, and where texts show no direction.
    """
    given = _settings(method, settings)
    what = _what(site, positions, format)
    if taken(positions) == "each":
        raise StudyError(
            f"positions is {positions}, which are several; make a vector at one position, or of "
            "their mean."
        )
    sides = {"positive": positive, "negative": negative}
    pairs = method in OF_PAIRS or bool(given.get(PAIRED))
    if pairs and len(positive) != len(negative):
        raise StudyError(
            f"{method} compares pairs of texts, but there are {len(positive)} positive and "
            f"{len(negative)} negative ones; give the same number, in the same order, or use "
            "difference."
        )
    found, about = _read(model, tokenizer, sides, what, max_tokens, batch_tokens)
    fit = plugins.load("vectors", method).fit
    rows = fit(_samples(found["positive"], found["negative"], pairs), given)
    read = {"format": format, "site": site, "positions": positions, "max_tokens": max_tokens}
    made = {
        "kind": "make_vector",
        "settings": {"method": method, **given, **read},
        "site": site,
        "texts": {name: _described(texts) for name, texts in sides.items()},
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("numpy", *MODEL_PACKAGES)},
        "device": model.device.type,
        "model": about,
    }
    return of_rows(rows, site, about, made)


def _read(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sides: Mapping[str, Sequence[Text]],
    what: What,
    max_tokens: int | None,
    batch_tokens: int,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The activations of each list of texts, and what is known of the model."""
    if not callable(tokenizer) or not hasattr(tokenizer, "convert_ids_to_tokens"):
        raise StudyError(
            f"tokenizer is {type(tokenizer).__name__}; give the model's, as "
            "AutoTokenizer.from_pretrained loads it."
        )
    most = sys.maxsize if max_tokens is None else _count("max_tokens", max_tokens)
    at_once = _count("batch_tokens", batch_tokens)
    found = {}
    with to_read(network, tokenizer) as model:
        check_site(model, what.site)
        for name, texts in sides.items():
            rows = _rows(name, texts)
            with naming(name):
                documents = read_corpus(tokenizer, rows, most, what=what)
                read = of_documents(model, documents, batch_tokens=at_once)
            found[name] = np.asarray(read.float().numpy())
        return found, loaded(model).described()


def _samples(positive: np.ndarray, negative: np.ndarray, pairs: bool) -> ByRole:
    """What a method makes a vector of."""
    if pairs:
        return {"of": [Samples({"matching": positive, "not_matching": negative})]}
    sides = {"add": positive, "subtract": negative}
    return {role: [Samples({"activations": read})] for role, read in sides.items()}


def _rows(name: str, texts: Any) -> list[dict[str, str]]:
    """Texts as the rows of a corpus."""
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise StudyError(f"{name} is {type(texts).__name__}; give a list of texts.")
    if not texts:
        raise StudyError(f"{name} is an empty list; give it texts.")
    rows = []
    for number, text in enumerate(texts):
        parts = (text, "") if isinstance(text, str) else text
        if not isinstance(parts, tuple) or [*map(type, parts)] != [str, str]:
            raise StudyError(
                f"{name} has {text!r} at index {number}; give a string, or a tuple of a prompt "
                "and its completion."
            )
        rows.append({"document": str(number), "text": parts[0], "completion": parts[1]})
    if all(isinstance(text, str) for text in texts):
        rows = [{"document": row["document"], "text": row["text"]} for row in rows]
    return rows


def _what(site: Any, positions: Any, format: Any) -> What:
    """What is read of which text."""
    if site not in SITES:
        raise StudyError(f"site is {site!r}; name one of {', '.join(SITES)}.")
    means = ({"mean": COMPLETION}, {"mean": DOCUMENT})
    listed = positions if isinstance(positions, list | tuple) else [positions]
    from_end = bool(listed) and all(type(each) is int and each < 0 for each in listed)
    if not from_end and positions not in (LAST, AFTER, *means):
        raise StudyError(
            f"positions is {positions!r}; name last, a number such as -1, a list of these, "
            'after_instruction, {"mean": "completion"} or {"mean": "document"}.'
        )
    if not isinstance(format, str) or (format not in (PLAIN, CHAT) and PROMPT not in format):
        raise StudyError(f"format is {format!r}; name plain, chat, or a template with {PROMPT}.")
    return What(Format(format), site, positions)


def _count(name: str, given: Any) -> int:
    if type(given) is not int or given < 1:
        raise StudyError(f"{name} is {given!r}; give a whole number above 0.")
    return given


def _settings(method: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a method, of which some are given."""
    if method not in METHODS:
        raise StudyError(f"method is {method!r}; name one of {', '.join(METHODS)}.")
    settings = METHODS[method]
    for name, value in given.items():
        if name not in settings:
            own = ", ".join(settings) or "none"
            raise StudyError(f"{method} has no setting {name} (it has {own}); remove it.")
        number = type(value) in (int, float)
        possible = {
            "dtype": value in ITEM_BYTES,
            "centred": isinstance(value, bool),
            PAIRED: isinstance(value, bool),
            "C": number and value > 0,
            "shrinkage": value == "auto" or (number and 0 < value <= 1),
        }
        if not possible[name]:
            raise StudyError(
                f"{name} is {value!r}; give a value that {method} accepts (see docs/study.md)."
            )
    return {**settings, **given}


def _described(texts: Sequence[Text]) -> dict[str, Any]:
    """How many texts, and the hash of them as JSON."""
    said = json.dumps(list(texts), ensure_ascii=False).encode()
    return {"count": len(texts), "sha256": hashlib.sha256(said).hexdigest()}
