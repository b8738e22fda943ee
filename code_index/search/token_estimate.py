"""Tokens of a text, for budgets: never under what a model's tokenizer counts.

Belongs here: the estimate. Does not belong here: packing (`context`) and the input of an embedding model
(`code_index.embedding`).

Decision: the tokenizer of the built-in embedding model counts, and bytes where it would pass over much. Of code it makes more
tokens than those of chat models do: 1.27 times as many as o200k in the middle, never fewer (1,500 files of eleven
repositories). It splits at blanks, so that lines can be counted each for itself, and once. Rejected: characters or words by a
rule. A rule that is never under it counts a third more, which is then missing in every answer.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from code_index.core.lazy_imports import importing

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CACHED_LINES: Final = 20_000
_LONGEST_CACHED: Final = 500
# The tokenizer makes one token of a longer word, and of letters that it does not know.
_LONG_WORD: Final = re.compile(r"[^\W_]{100,}")
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
_COMMANDING: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# Random letters have 0.7 tokens each.
_OF_A_LONG_WORD: Final = 0.75
# Blank lines, and blanks within a line, are many only where somebody made them.
_BLANKS: Final = re.compile(r"[ \t]{80,}")
_OF_BLANKS: Final = 80


def estimate_tokens(text: str) -> int:
    """Upper estimate of the tokens that a language model makes of a text."""
    lines = text.split("\n")
    return sum(_of_line(line) if len(line) <= _LONGEST_CACHED else _counted(line) for line in lines) + len(lines) // 16


@lru_cache(maxsize=_CACHED_LINES)
def _of_line(line: str) -> int:
    return _counted(line)


def _counted(line: str) -> int:
    if not line or line.isspace():
        return len(line) // _OF_BLANKS
    if any("\ud800" <= c <= "\udfff" for c in line) if not line.isascii() else False:
        line = line.encode("utf-8", "replace").decode()
    count = len(_tokenizer().encode(line, add_special_tokens=False).ids)
    if not line.isascii():
        count += sum(len(run.encode()) for run in _NOT_ASCII.findall(line))
    if len(line) > _LONGEST_WORD:
        count += sum(round(len(word) * _OF_A_LONG_WORD) for word in _LONG_WORD.findall(line))
        count += sum(len(run) // _OF_BLANKS for run in _BLANKS.findall(line))
    return count + len(_COMMANDING.findall(line))


_LONGEST_WORD: Final = 79


@cache
def _tokenizer() -> Tokenizer:
    with importing:
        from tokenizers import Tokenizer as RustTokenizer

        from code_index.embedding.models.lookup import DEFAULT_MODEL, find_model

    found: Tokenizer = RustTokenizer.from_file(str(find_model(DEFAULT_MODEL, allow_download=False) / "tokenizer.json"))
    found.no_padding()
    found.no_truncation()
    return found
