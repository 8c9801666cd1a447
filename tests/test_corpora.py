"""Corpora from the installed packages: what is taken, how it is split, that it is repeatable."""

from __future__ import annotations

import ast
import textwrap

import pytest

from snakesteer.core.errors import StudyError
from snakesteer.corpora import installed
from snakesteer.corpora.drawing import SPLITS
from snakesteer.corpora.prose import paragraphs
from snakesteer.corpora.source_files import c_code, c_prose, python_code, python_prose

PROSE = (
    "The first argument is used for all of the rows that have been read, and it should not be "
    "changed by the caller while the reader is at work."
)


def code_of(source: str) -> str:
    source = textwrap.dedent(source)
    return python_code(source, ast.parse(source))


def test_prose_is_kept_and_stripped_of_markup():
    assert paragraphs(PROSE) == [PROSE]
    assert paragraphs(PROSE.replace("rows", ":class:`~pandas.rows`")) == [
        PROSE.replace("rows", "pandas.rows")
    ]
    assert paragraphs(PROSE.replace(" for all", "\nfor all").replace(" and", "\n    and")) == []


@pytest.mark.parametrize(
    "spoilt",
    [
        "Too short to be a paragraph of prose.",
        PROSE.lower(),
        PROSE.removesuffix("."),
        "- " + PROSE,
        ">>> " + PROSE,
        PROSE.replace("rows", "rows[0] x_y=z f(x) a.b {c} d/e"),
        "Return True Return False Return None Raise Error Open Close Read Write Print Stop.",
        "Values 12345 67890 12345 67890 12345 67890 are in the table that is to be read.",
    ],
)
def test_text_that_is_not_prose_is_skipped(spoilt: str):
    assert paragraphs(spoilt) == []


def test_docstrings_and_comments_are_cut_out_by_their_spans():
    code = code_of('''
        """Module."""
        import os  # why

        # a comment of its own
        class A:
            """Only a docstring."""

        def f(x):
            """Doc.

            More."""
            return  "# not a comment"   +  x
        def g(): "short"
        ''')
    assert code == textwrap.dedent("""\
        import os

        class A:
            ...

        def f(x):
            return  "# not a comment"   +  x
        def g(): ...""")
    ast.parse(code)


def test_spans_count_characters_not_bytes():
    assert code_of('é = "ü" ; x = 1  # ö') == 'é = "ü" ; x = 1'


def test_prose_of_python_comes_from_strings_and_comments():
    comment = PROSE.replace("first", "second")
    source = f'def f():\n    """{PROSE}\n    """\n    # {comment}\n    return 1\n'
    assert sorted(python_prose(source, ast.parse(source))) == sorted([PROSE, comment])


def test_c_comments_are_cut_and_strings_kept():
    source = f'/** {PROSE} */\nint x = 1; // one\nchar *s = "http://a/*b*/";\n'
    assert c_code(source) == 'int x = 1;\nchar *s = "http://a/*b*/";'
    assert c_prose(source) == [PROSE]
    assert c_code("x" * 500) == ""


def test_documents_are_long_and_end_at_line_ends():
    code = "\n".join(f"line {number}" for number in range(1000))
    documents = installed.cut(code)
    assert len(documents) > 3
    assert all(len(text) >= installed.DOCUMENT_CHARACTERS for text in documents)
    assert code.startswith("\n".join(documents))


@pytest.fixture(scope="module")
def small():
    wanted = {(kind, split): 8 for kind in ("text", "code", "python", "all") for split in SPLITS}
    return wanted, installed.collect(wanted, per_file=2, workers=2)


def test_every_kind_has_its_documents(small):
    _, documents = small
    for found in documents.values():
        assert len(found) == 8
        assert found == sorted(found)
        assert all(len(text) >= installed.DOCUMENT_CHARACTERS for _, text in found)


def test_the_number_of_workers_changes_nothing(small):
    wanted, documents = small
    assert installed.collect(wanted, per_file=2, workers=1) == documents


def test_a_pair_does_not_depend_on_the_others(small):
    _, documents = small
    settings = {"kind": "code", "train": 8, "validation": 8}
    for split in SPLITS:
        assert installed.documents(settings, split, 2, "") == documents["code", split]


def test_train_and_validation_share_nothing(small):
    _, documents = small
    for kind in ("text", "code", "python", "all"):
        openings = {}
        for split in SPLITS:
            openings[split] = {
                installed._identity(piece, 80)
                for _, text in documents[kind, split]
                for piece in text.split("\n\n")
                if len(piece) > 100
            }
        if kind == "text":
            assert not openings["train"] & openings["validation"]
        ids = [{name for name, _ in documents[kind, split]} for split in SPLITS]
        assert not ids[0] & ids[1]


def test_the_split_is_read_off_the_content():
    texts = [f"{PROSE} Number {number}." for number in range(2000)]
    splits = [installed._split(installed._identity(text[::-1], 80)) for text in texts]
    assert 0.07 < splits.count("validation") / len(splits) < 0.13
    opening = installed._identity(PROSE, 80)
    assert installed._identity(PROSE.upper() + " And more.", 80) == opening


def test_half_of_code_is_python_and_a_mixture_is_balanced():
    assert installed._single_kinds({("all", "train"): 8, ("python", "train"): 3}) == {
        ("text", "train"): 4,
        ("python", "train"): 3,
        ("other", "train"): 2,
    }


def test_distributions_are_named_with_their_versions():
    versions = dict(installed.identity({}, "")["distributions"])
    assert set(versions) == set(installed.DISTRIBUTIONS)
    assert all(versions.values())


def test_file_names_hold_no_machine_path_and_no_version():
    names = [name for name, _ in installed._files()]
    assert len(names) == len(set(names)) > 5000
    assert not any("site-packages" in name or "__pycache__" in name for name in names)


def test_an_unknown_kind_is_refused():
    with pytest.raises(StudyError, match="no kind 'poems'"):
        installed.documents({"kind": "poems", "train": 1, "validation": 1}, "train", 1, "")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(installed, "DISTRIBUTIONS", ("no-such-package",))
    with pytest.raises(StudyError, match="no-such-package"):
        installed.distributions.__wrapped__()
