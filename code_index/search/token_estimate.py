"""Estimate of the tokens of a text, for budgets: above what the tokenizers of language models count.

Belongs here: the estimate. Does not belong here: the tokenizer of an embedding model (`code_index.embedding`), whose count says
nothing of another model, and which needs its file.

Each reader has another tokenizer, so the estimate bounds several: runs of letters cost more for pairs of letters that are rare
in words, since tokenizers know whole words but spell out abbreviations and keys; digits, punctuation and other scripts have
their prices. Source: a linear program over 1,753 texts (a file of each language, 1,600 chunks of eleven repositories, and
texts that tokenize badly: random letters, keys, other scripts), in which no estimate may be below the largest count of four
tokenizers (cl100k and o200k of OpenAI, Claude's of 2023, the WordPiece of all-MiniLM-L6-v2) and 3 %. On code the counts are 0.60,
0.60, 0.68 and 0.76 of the estimate. Rejected: characters divided by a number, which is 3 too many for prose where it is enough
for keys; and tokenizers of the 2010s, which spell out each space of an indentation.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from itertools import pairwise
from typing import Final

_RUN: Final = re.compile(
    r"(?P<word>[a-z]+|[A-Z][a-z]+)|(?P<capitals>[A-Z]+(?![a-z]))|(?P<digits>[0-9]+)|(?P<blank>[ \t\r\f\v]+)"
    r"|(?P<other>[^\x00-\x7f])|(?P<control>[\x00-\x1f\x7f])|(?P<sign>.)",
    re.DOTALL,
)
# Letters that seldom follow each letter in the words of code.
_RARELY_AFTER: Final = {
    "a": "aehjoqz", "b": "bcdfghjkmnpqtvwxz", "c": "bdfgjmnqvwxz", "d": "bcfghjkmnpqtvwxz", "e": "hjkuz",
    "f": "bcdghjkmnpqvwxz", "g": "bcdfjkmpqtvwxyz", "h": "bcdfghjklmnpqsvwxyz", "i": "hijkquwy",
    "j": "abcdfghijklmnopqrtuvwxyz", "k": "abcdfghjklmnopqrtuvwxyz", "l": "bcfghjkmnpqrwxz",
    "m": "cdfghjklnqrtvwxyz", "n": "bhjmpqrwxyz", "o": "ehjqxyz", "p": "bcdfghjkmnqvwxz",
    "q": "abcdefghijklmnopqrstvwxyz", "r": "bhjpqxz", "s": "bdfgjmnqrvwxz", "t": "bgjkmnqvxz", "u": "hjkoquvwxyz",
    "v": "bcdfghjklmnopqrstuvwxyz", "w": "bcdfgjklmpqtuvwxyz", "x": "bdfghjklmnoqrsuvwxyz",
    "y": "abcdfghijklmqruvwxyz", "z": "bcdfghijklmnopqrstuvwxyz",
}  # fmt: skip
_RARE_PAIR: Final = re.compile("(?=" + "|".join(f"{first}[{next_}]" for first, next_ in _RARELY_AFTER.items()) + ")")
_BASE: Final = 4.0
_LINE: Final = 0.72
_WORD, _WORD_PAIR, _LONG_LETTER, _LONG = 1.56, 0.69, 0.14, 5
_CAPITALS, _CAPITAL, _CAPITAL_PAIR, _SHORT = 0.4, 0.43, 1.1, 2
_NUMBER, _DIGIT = 1.64, 0.44
_BLANK, _BLANK_CHANGE, _RETURN = 0.1, 0.5, 0.85
_SIGN, _CONTROL = 1.03, 8.0
_BY_BYTES: Final = {2: 1.75, 3: 2.1, 4: 4.0}
_CACHED_CHARACTERS: Final = 400


def estimate_tokens(text: str) -> int:
    """Upper estimate of the tokens that a language model makes of a text; linear in its length.

    That of a text is at most the sum of those of its lines, each with its end of line.
    """
    lines = text.split("\n")
    total = _BASE + _LINE * (len(lines) - 1)
    for line in lines:
        total += _cost(line) if len(line) <= _CACHED_CHARACTERS else _cost_of(line)
    return math.ceil(total)


def _cost_of(line: str) -> float:
    cost = 0.0
    for match in _RUN.finditer(line):
        kind, run = match.lastgroup, match[0]
        if kind == "word":
            cost += _WORD + _LONG_LETTER * max(0, len(run) - _LONG) + _WORD_PAIR * _rare_pairs(run)
        elif kind == "sign":
            cost += _SIGN
        elif kind == "blank":
            cost += _BLANK * (len(run) - 1) + _RETURN * run.count("\r")
            cost += _BLANK_CHANGE * sum(before != after for before, after in pairwise(run))
        elif kind == "digits":
            cost += _NUMBER + _DIGIT * len(run)
        elif kind == "capitals":
            cost += _CAPITALS + _CAPITAL * max(0, len(run) - _SHORT) + _CAPITAL_PAIR * _rare_pairs(run)
        else:
            cost += _CONTROL if kind == "control" else _BY_BYTES[len(run.encode("utf-8", "surrogatepass"))]
    return cost


_cost = lru_cache(maxsize=1 << 13)(_cost_of)


def _rare_pairs(run: str) -> int:
    return len(_RARE_PAIR.findall(run.lower()))
