"""Program files taken apart: the code without its comments, and the prose of the comments."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from snakesteer.corpora.prose import paragraphs

SHORTEST_STRING = 200
LONGEST_LINE = 400

_COMMENT_BLOCK = re.compile(r"(?:^[ \t]*#[^\n]*\n)+", re.MULTILINE)
_HASH = re.compile(r"^[ \t]*#+:?[ \t]?", re.MULTILINE)
_EMPTY_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")
_TRIPLE_QUOTED = re.compile(r'"""(.*?)"""', re.DOTALL)
_C_LITERAL_OR_COMMENT = re.compile(
    r"(\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')|//[^\n]*|/\*.*?\*/", re.DOTALL
)
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_C_BLOCK = re.compile(r"/\*+(.*?)\*+/", re.DOTALL)
_C_LINES = re.compile(r"(?:^[ \t]*//[^\n]*\n)+", re.MULTILINE)
_STAR = re.compile(r"^[ \t]*\*+[ \t]?", re.MULTILINE)
_SLASHES = re.compile(r"^[ \t]*//+[!<]?[ \t]?", re.MULTILINE)
_FENCED = re.compile(r"```.*?```", re.DOTALL)


def python_prose(source: str, tree: ast.Module) -> list[str]:
    """Prose of the long strings (docstrings above all) and of the comments of a Python file."""
    found = []
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and (len(text) >= SHORTEST_STRING or "\n" in text):
            found += paragraphs(text)
    for block in _COMMENT_BLOCK.findall(source):
        found += paragraphs(_HASH.sub("", block))
    return found


def python_code(source: str, tree: ast.Module) -> str:
    """A Python file with docstrings and comments cut out by their spans, the rest untouched.

    A docstring that is all there is of a body gives way to ``...``.
    """
    lines = [line + "\n" for line in source.split("\n")]
    cuts = [(*_span(lines, node), only) for node, only in _docstrings(tree)]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start[0] - 1, token.start[1]
            cuts.append(((row, column), (row, column + len(token.string)), False))
    for (row, column), (last_row, last_column), only in sorted(cuts, reverse=True):
        before, after = lines[row][:column], lines[last_row][last_column:]
        if not only and not before.strip() and not after.strip():
            lines[row : last_row + 1] = []
        else:
            cut = before + "..." if only else before.rstrip()
            lines[row : last_row + 1] = [cut + after]
    return _tidy("".join(lines))


def _docstrings(tree: ast.Module) -> Iterator[tuple[ast.stmt, bool]]:
    """Every docstring's statement, and whether it is its body's only one."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, owners) and ast.get_docstring(node, clean=False) is not None:
            yield node.body[0], len(node.body) == 1 and not isinstance(node, ast.Module)


def _span(lines: list[str], node: ast.stmt) -> tuple[tuple[int, int], tuple[int, int]]:
    """Start and end of a statement as (row, character), rows counted from 0."""
    row, last_row = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    column = len(lines[row].encode()[: node.col_offset].decode())
    last_column = len(lines[last_row].encode()[: node.end_col_offset].decode())
    return (row, column), (last_row, last_column)


def c_prose(source: str) -> list[str]:
    """Prose of the ``/* */`` and ``//`` comments of a C, C++, CUDA, JavaScript or CSS file."""
    found = []
    for block in _C_BLOCK.findall(source):
        found += paragraphs(_STAR.sub("", block))
    for block in _C_LINES.findall(source):
        found += paragraphs(_SLASHES.sub("", block))
    return found


def c_code(source: str, css: bool = False) -> str:
    """The file without its comments; empty when it is minified or generated on long lines."""
    if css:
        code = _tidy(_CSS_COMMENT.sub("", source))
    else:
        code = _tidy(_C_LITERAL_OR_COMMENT.sub(lambda found: found[1] or "", source))
    longest = max(map(len, code.split("\n")))
    return code if longest <= LONGEST_LINE else ""


def cython_prose(source: str) -> list[str]:
    """Prose of the docstrings of a Cython file."""
    return [line for text in _TRIPLE_QUOTED.findall(source) for line in paragraphs(text)]


def page_prose(source: str) -> list[str]:
    """Prose of a package description, a licence or another page of text or Markdown."""
    return paragraphs(_FENCED.sub("", source))


def _tidy(code: str) -> str:
    """No spaces at the ends of lines and at most one empty line in a row."""
    code = "\n".join(line.rstrip() for line in code.split("\n"))
    return _EMPTY_LINES.sub("\n\n", code).strip()
