"""What the benchmarks run on: models, documents of the installed packages, a steering vector.

Everything is made on the spot and is the same at every run: the shipped model, or random weights of
a fixed seed; real documents, tokenised with the shipped tokenizer; and the difference of the mean
activations of text and of code.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from snakesteer.corpora import installed
from snakesteer.engine import models
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import capture
from snakesteer.hub.manifest import manifest
from snakesteer.measures.next_token import Corpus, read_corpus
from snakesteer.prompts.skip_tokens import most_frequent
from snakesteer.prompts.tokens import encode, load_tokenizer
from snakesteer.vectors import difference
from snakesteer.vectors.samples import Samples

SHIPPED = Path(__file__).resolve().parent.parent / "resources" / "models" / "miniature"
KINDS = ("code", "text")
THREADS = len(os.sched_getaffinity(0))
VECTOR_TOKENS = 128  # where the documents that a vector is made of are cut
FEWEST_TOKENS = 150  # a document of the installed packages holds more than these, but for few


@dataclass(frozen=True)
class Workload:
    """A model and the documents it reads.

    `shape` is the configuration of a Llama with random weights; None is the shipped model.
    Documents are cut after `max_tokens` tokens, or with `cut_anew` joined and cut as `_cut_anew`
    says. A corpus holds `tokens` predicted tokens unless a benchmark is told otherwise, and
    `vector_documents` documents of each corpus make the vector. The engine's batches hold
    `batch_tokens` tokens, near the fastest on the device meant.
    """

    shape: Mapping[str, int] | None
    dtype: str
    max_tokens: int
    cut_anew: bool
    tokens: int
    vector_documents: int
    batch_tokens: int


# random-32 has the layers of Llama-2-7b, an eighth of its width, and a vocabulary with which its
# head costs as much beside a layer as that of Llama-2-7b does (0.66 layers against 0.65). smollm2
# has the shape of SmolLM2-135M, whose head costs as much as several of its layers. The
# shipped model has not seen more than 256 tokens.
WORKLOADS = {
    "miniature": Workload(None, "float32", 256, False, 10_000, 400, 2048),
    "random-32": Workload(
        {
            "vocab_size": 4096,
            "hidden_size": 512,
            "intermediate_size": 1376,
            "num_hidden_layers": 32,
            "num_attention_heads": 8,
            "max_position_embeddings": 4096,
        },
        "float32",
        4096,
        False,
        1_500,
        16,
        512,
    ),
    "smollm2": Workload(
        {
            "vocab_size": 49_152,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
        },
        "float32",
        512,
        False,
        1_500,
        16,
        1024,
    ),
    "llama-2-7b": Workload(
        {
            "vocab_size": 32_000,
            "hidden_size": 4096,
            "intermediate_size": 11_008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "max_position_embeddings": 4096,
        },
        "bfloat16",
        4096,
        True,
        20_000,
        16,
        16_384,
    ),
}


@dataclass(frozen=True)
class Documents:
    """Tokens of both corpora: `corpora` to be read by what is measured, `vector` to make the vector
    of.
    """

    corpora: dict[str, Corpus]
    vector: dict[str, list[list[int]]]

    @property
    def sequences(self) -> list[list[int]]:
        """All documents of `corpora`, corpus by corpus."""
        return [ids for corpus in self.corpora.values() for ids in corpus.sequences]

    @property
    def tokens(self) -> int:
        """Predicted tokens of `corpora`."""
        return sum(len(ids) - 1 for ids in self.sequences)


def load(workload: Workload, dtype: str, device: str) -> LanguageModel:
    """The model, on the device ("auto": a GPU if there is one) and on all cores there are."""
    torch.set_num_threads(THREADS)
    if workload.shape is None:
        return models.load(SHIPPED, manifest(SHIPPED), dtype=dtype, device=device)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    torch.set_default_dtype(models.DTYPES[dtype])
    with torch.device(device):
        network = LlamaForCausalLM(LlamaConfig(**workload.shape))
    torch.set_default_dtype(torch.float32)
    return models.wrap(network, load_tokenizer(SHIPPED), "random weights")


def read(workload: Workload, tokens: int, split: str = "validation") -> Documents:
    """Documents of a split, of `tokens` predicted tokens a corpus, and training documents for the
    vector.
    """
    tokenizer = load_tokenizer(SHIPPED)
    wanted: dict[tuple[str, str], int | None] = {}
    for kind in KINDS:
        wanted[kind, "train"] = workload.vector_documents
        wanted[kind, split] = max(wanted.get((kind, split)) or 0, tokens // FEWEST_TOKENS + 8)
    found = installed.collect(wanted, installed.PER_FILE, THREADS)
    corpora, vector_documents = {}, {}
    for kind in KINDS:
        texts = [text for _, text in found[kind, "train"][: workload.vector_documents]]
        vector_documents[kind] = [encode(tokenizer, text, VECTOR_TOKENS) for text in texts]
        corpora[kind] = _corpus(
            workload,
            tokenizer,
            kind,
            found[kind, split],
            most_frequent(tokenizer, texts, max_tokens=VECTOR_TOKENS),
            tokens,
        )
    return Documents(corpora, vector_documents)


def vector(model: LanguageModel, documents: Documents) -> np.ndarray:
    """Mean activation of text minus that of code, [n_layers, hidden] float32."""
    samples = {}
    for kind, sequences in documents.vector.items():
        found = capture(model, sequences, [kind] * len(sequences), batch_tokens=4096)
        samples[kind] = [Samples({"activations": found.float().numpy()})]
    roles = {"add": samples["text"], "subtract": samples["code"]}
    return difference.fit(roles, {"dtype": "float32"})


def spread(n_layers: int, count: int) -> list[int]:
    """`count` evenly spread layers from 0: of 32 layers 7 are 0, 5, … 30."""
    step = max(1, (n_layers - 1) // max(1, count - 1))
    return list(range(0, n_layers, step))[:count]


def _corpus(
    workload: Workload,
    tokenizer: PreTrainedTokenizerBase,
    kind: str,
    found: Sequence[tuple[str, str]],
    skipped: Sequence[int],
    tokens: int,
) -> Corpus:
    corpus = read_corpus(
        tokenizer, kind, found, skipped, max_tokens=workload.max_tokens, tokens=tokens
    )
    held = sum(len(ids) - 1 for ids in corpus.sequences)
    if held < tokens:
        sys.exit(f"The installed packages hold {held:,} tokens of {kind}: ask for fewer.")
    return _cut_anew(corpus, workload.max_tokens) if workload.cut_anew else corpus


def _cut_anew(corpus: Corpus, max_tokens: int) -> Corpus:
    """The same tokens as documents of lengths like those that the authors' records show.

    There the median is 467 to 578 tokens, the mean about twice that, and a tenth of the documents
    are cut at 4,096; here they are log-normal with median 500.
    """
    start = corpus.sequences[0][0]
    stream = [token for ids in corpus.sequences for token in ids[1:]]
    draw = np.random.default_rng(0)
    sequences, place = [], 0
    while place < len(stream):
        length = round(min(max(draw.lognormal(math.log(500), 1.3), 2), max_tokens - 1))
        sequences.append([start, *stream[place : place + length]])
        place += length
    return Corpus([str(number) for number in range(len(sequences))], sequences, corpus.skipped)
