"""Token ids are those of the tokenizer's own call, for tokenizers of all kinds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import llama
import pytest
from tokenizer_kinds import CL100K, CODE, GPT_2, KINDS, Kind, byte_level, gemma
from tokenizers import Regex, Tokenizer
from tokenizers.pre_tokenizers import Digits, Split
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from snakesteer.core.errors import StudyError
from snakesteer.prompts.questions import question_tokens
from snakesteer.prompts.skip_tokens import most_frequent
from snakesteer.prompts.tokens import (
    GENERAL,
    Reading,
    encode,
    encode_prompt,
    load_tokenizer,
    remarks,
)

TEXTS = (
    "The river runs past the mill.",
    " A space before, 12345 sacks and  two spaces",
    CODE,
    "HELLO World's na\u00efve re\u0301sume\u0301 \ufb01n \u4f60\u597d \U0001f600\n\n",
    "the </s> river <s> and <|endoftext|> the mill",
    "a",
    "",
)
NEVER, ALWAYS = Reading(bos="never"), Reading(bos="always")


@dataclass(frozen=True)
class Made:
    """A kind, its folder, and the tokenizer as the package and as a person loads it."""

    kind: Kind
    folder: Path
    tokenizer: PreTrainedTokenizerFast
    own: PreTrainedTokenizerFast

    def own_call(self, text: str) -> list[int]:
        return self.own(text)["input_ids"]


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    kind = KINDS[request.param]
    folder = kind.write(tmp_path_factory.mktemp("kind") / "model")
    return Made(kind, folder, load_tokenizer(folder), AutoTokenizer.from_pretrained(folder))


def test_ids_are_those_of_the_own_call(made: Made) -> None:
    kind, tokenizer = made.kind, made.tokenizer
    for text in TEXTS:
        ids = made.own_call(text)
        names = tokenizer.convert_ids_to_tokens(ids)
        before, behind = len(kind.before), len(kind.behind)
        assert tuple(names[:before]) == kind.before
        assert tuple(names[len(names) - behind :]) == kind.behind
        assert encode(tokenizer, text) == ids
        assert encode(tokenizer, text, 3) == ids[:3]
        if text:
            assert encode_prompt(tokenizer, text) == ids[: len(ids) - behind]
            assert encode(tokenizer, text, None, NEVER) == ids[before:]


def test_what_stands_before_a_text_stands_there_once(made: Made) -> None:
    """Also where a chat template has put it there."""
    kind, tokenizer = made.kind, made.tokenizer
    start = "".join(kind.before) or tokenizer.bos_token
    if start is None:
        pytest.skip("puts nothing before a text, and names nothing")
    rendered = start + "The river runs past the mill."
    ids = made.own_call(rendered)[len(kind.before) :]
    behind = len(kind.behind)
    own = tokenizer(start, add_special_tokens=False)["input_ids"]
    assert ids[: len(own)] == own != ids[len(own) : 2 * len(own)]
    for reading in (Reading(), NEVER):
        assert encode(tokenizer, rendered, None, reading) == ids
        assert encode_prompt(tokenizer, rendered, reading) == ids[: len(ids) - behind]
    if start == tokenizer.bos_token:
        assert encode(tokenizer, rendered, None, ALWAYS) == ids


def test_a_bos_token_that_is_asked_for_stands_before_every_text(made: Made) -> None:
    kind, tokenizer = made.kind, made.tokenizer
    if tokenizer.bos_token is None:
        with pytest.raises(StudyError) as told:
            encode(tokenizer, "The river", None, ALWAYS)
        assert str(told.value) == (
            "bos is always, but the model's tokenizer names no beginning-of-sequence token; "
            "remove `bos` from its entry under models."
        )
        return
    for text in TEXTS:
        ids = made.own_call(text)
        if tokenizer.bos_token not in kind.before:
            ids = [tokenizer.bos_token_id, *ids]
        assert encode(tokenizer, text, None, ALWAYS) == ids


def test_the_text_of_special_tokens_is_text_if_asked_for(made: Made) -> None:
    kind, tokenizer = made.kind, made.tokenizer
    text = "the </s> river <s> and <|endoftext|> the mill"
    if not kind.as_text:
        with pytest.raises(StudyError) as told:
            encode(tokenizer, text, None, Reading(special_tokens="text"))
        assert str(told.value) == (
            "special_tokens is text, but the model's tokenizer can read </s> only as that "
            "token; set special_tokens to token."
        )
        return
    special = {tokenizer.convert_tokens_to_ids(name) for name in ("<s>", "</s>", "<|endoftext|>")}
    ids = encode(tokenizer, text, None, Reading(special_tokens="text"))
    assert special.isdisjoint(ids[len(kind.before) : len(ids) - len(kind.behind)])
    assert special & set(encode(tokenizer, text)[len(kind.before) :])
    assert encode_prompt(tokenizer, text, Reading(special_tokens="text")) == encode_prompt(
        tokenizer, text
    )


@pytest.mark.parametrize("start", ["", "<s>"])
def test_answers_end_where_the_own_call_ends_them(made: Made, start: str) -> None:
    kind, tokenizer = made.kind, made.tokenizer
    prompt = f"{start}Human:\nOut of (A) and (B), I choose ("
    question = {"question": "q", "prompt": prompt, "matching": "B", "not_matching": "A"}
    if not kind.answers:
        with pytest.raises(StudyError, match="does not give the answers"):
            question_tokens(tokenizer, question)
        return
    found = question_tokens(tokenizer, question)
    for answer, token in (("B", found.matching), ("A", found.not_matching)):
        ids = made.own_call(prompt + answer)
        ids = ids[: len(ids) - len(kind.behind)]
        if start in kind.before:
            ids = ids[1:]
        assert [*found.prompt, token] == ids
    for reading in (NEVER, ALWAYS):
        if reading == NEVER or tokenizer.bos_token:
            begun = question_tokens(tokenizer, question, reading).prompt
            assert begun == encode_prompt(tokenizer, prompt + "A", reading)[:-1]


def test_a_log_says_what_is_added_after_documents(made: Made) -> None:
    kind, tokenizer = made.kind, made.tokenizer
    said = [
        sentence for sentence in remarks(tokenizer, made.folder) if "after every text" in sentence
    ]
    expected = (
        f"The tokenizer adds {' '.join(kind.behind)} after every text: documents end with it, "
        "prompts and questions before it."
    )
    assert said == ([expected] if kind.behind else [])


def test_the_papers_tokenizer_begins_every_text_with_bos(tmp_path: Path) -> None:
    """So the paper's study, which leaves `bos` to the tokenizer, reads what its authors read."""
    llama.tokenizer().save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    for text in ("the river runs past a mill", "def function_1(data):\n    total = count + 1\n"):
        bare = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert encode(tokenizer, text) == [1, *bare]
        assert encode(tokenizer, text, 4096) == encode(tokenizer, text, 4096, ALWAYS)
        assert encode(tokenizer, f"<s>{text}").count(1) == 1
    texts = ["the river the river the river", "a mill"]
    assert 1 not in most_frequent(tokenizer, texts, max_tokens=9)


@pytest.mark.parametrize("name", ["miniature", "miniature-chat"])
def test_the_shipped_tokenizers_begin_every_text_with_bos(name: str) -> None:
    tokenizer = load_tokenizer(Path(__file__).parents[1] / "resources" / "models" / name)
    text = "The river </s> runs"
    assert encode(tokenizer, text) == [
        tokenizer.bos_token_id,
        *tokenizer.encode(text, add_special_tokens=False),
    ]


@pytest.mark.parametrize(
    ("name", "raw", "settings"),
    [
        (
            "GPT2Tokenizer",
            lambda: byte_level(split=Split(Regex(CL100K), "isolated")),
            GPT_2,
        ),
        ("Qwen2Tokenizer", byte_level, {}),
        ("GemmaTokenizer", lambda: llama.tokenizer().backend_tokenizer, {}),
        ("LlamaTokenizer", gemma, {"bos_token": "<bos>", "eos_token": "<eos>"}),
    ],
)
def test_a_class_that_splits_differently_from_the_file_is_reported(
    tmp_path: Path, name: str, raw, settings
) -> None:
    settings = {"tokenizer_class": name, **settings}
    folder = Kind(raw, settings).write(tmp_path / "model")
    with pytest.raises(StudyError) as told:
        load_tokenizer(folder)
    assert str(told.value) == (
        f"{name} of transformers reads texts differently from {folder}/tokenizer.json; set "
        f"tokenizer_class to PreTrainedTokenizerFast in {folder}/tokenizer_config.json, of a "
        "model of the hub in a copy of the folder."
    )
    configuration = folder / "tokenizer_config.json"
    mended = json.loads(configuration.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    configuration.write_text(json.dumps(mended))
    ids = encode_prompt(load_tokenizer(folder), CODE, NEVER)
    written = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert ids == written.encode(CODE, add_special_tokens=False).ids


@pytest.mark.parametrize("general", GENERAL)
def test_the_general_class_that_a_folder_names_is_taken(tmp_path: Path, general: str) -> None:
    """Of Qwen 2's models transformers takes the own class of theirs, whatever the folder names."""
    split = Digits(individual_digits=True)
    digits = Kind(lambda: byte_level(split=split), {"tokenizer_class": general})
    folder = digits.write(tmp_path / "model")
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    written = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(CODE).ids
    assert AutoTokenizer.from_pretrained(folder)(CODE)["input_ids"] != written
    assert encode(load_tokenizer(folder), CODE) == written


def test_a_space_that_the_class_takes_away_is_reported(tmp_path: Path) -> None:
    """Llama 2's class begins a text with one space at most, its file adds one to those there."""
    for name, expected in (
        ("Llama 2, by its file", []),
        (
            "Llama 2",
            [
                "LlamaTokenizer of transformers reads a text that begins with a space "
                "differently from tokenizer.json; tokenizer_class: PreTrainedTokenizerFast in "
                "tokenizer_config.json would make it follow the file."
            ],
        ),
    ):
        folder = KINDS[name].write(tmp_path / name)
        assert remarks(load_tokenizer(folder), folder) == expected
