"""Identifiers as words, so that `getUserName` and `get_user_name` find each other.

Belongs here: splitting names and making the content of the full-text column.
Does not belong here: the index over it (`code_index.tables`) and the text that is embedded
(`code_index.core.embedding_text`).

Identifiers are split here rather than by the index's tokenizer, because the tokenizers that LanceDB offers
either keep `getUserName` whole or cut n-grams. A query goes through `search_tokens` too, so both sides
meet in the same words.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_IDENTIFIER_CHARACTERS: Final = 128
"""Longer runs of word characters are data (hashes, base64), which nobody searches for; they are left out."""

NAME_REPEATS: Final = 3
"""Weight of the symbol's own name in the full text. Source: retrieval measurement in docs (BM25, name x3)."""

_WORD: Final = re.compile(r"\w+")
# An acronym before a capitalized word (HTTP|Server), a word with its digits (utf8, Sha256), a run of capitals.
_PART: Final = re.compile(r"[A-Z]+(?:[0-9]+|(?![a-z]))|[A-Z]?[a-z]+[0-9]*|[0-9]+|[^\W_A-Za-z0-9]+")
_PART_UNICODE: Final = re.compile(r"[^\W_]+")
# Spaces for ASCII bytes that are no word characters: `translate` and `split` take a third of the time of `findall`.
_SPACED: Final = bytes(ord(" ") if re.match(rb"[\x00-\x7f](?<!\w)", bytes((byte,))) else byte for byte in range(256))
_CACHED_WORDS: Final = 1 << 16


def split_identifier(name: str) -> list[str]:
    """The lower-case words of a name in any convention, in order; empty when it has none.

    `getHTTPServer`, `get_http_server` and `get-http-server` give `get`, `http`, `server`. Digits stay with
    the word before them: `sha256Hash` gives `sha256`, `hash`.
    """
    if name.isascii():
        return [part.lower() for part in _PART.findall(name)]
    return [part for run in _PART_UNICODE.findall(name) for part in _split_unicode(run)]


def _split_unicode(run: str) -> list[str]:
    """Words of one run of letters and digits beyond ASCII, by the same rules, by character class."""
    if run.isalpha() and not any(map(str.isupper, run[1:])):  # nearly every word of natural language
        return [run.lower()]
    starts = [0]
    for at in range(1, len(run)):
        before, here = run[at - 1], run[at]
        if here.isupper() and not before.isupper():
            starts.append(at)
        elif here.islower() and before.isupper() and starts[-1] != at - 1:
            starts.append(at - 1)
        elif here.isalpha() and not here.isupper() and before.isdigit():
            starts.append(at)
    return [run[start:end].lower() for start, end in zip(starts, [*starts[1:], len(run)], strict=True)]


def _expanded(run: str) -> str:
    """The search tokens of text without white space, joined by spaces; empty when there are none."""
    found = []
    for word in _WORD.findall(run):
        if len(word) <= MAX_IDENTIFIER_CHARACTERS:
            parts = split_identifier(word)
            found += ["".join(parts), *parts] if len(parts) > 1 else parts
    return " ".join(found)


class _Expansions(dict[str, str]):
    """Search tokens by run, filled on demand: a dictionary look-up takes half the time of `lru_cache`."""

    def __missing__(self, run: str) -> str:
        if len(self) >= _CACHED_WORDS:
            self.clear()
        return self.setdefault(run, _expanded(run))


_expansions: Final = _Expansions()


def search_tokens(text: str) -> str:
    """Full-text content of `text`: each identifier joined to one word, then its words, lower case.

    `getUserName` and `get_user_name` both give `getusername get user name`, so either spelling, or its
    words, finds both with a tokenizer that splits at white space. Order and repetitions are kept, since they
    are term frequencies. The result is at most about three times as long as `text`.
    """
    spaced = text.encode("utf-8", "surrogatepass").translate(_SPACED).decode("utf-8", "surrogatepass")
    return " ".join(filter(None, map(_expansions.__getitem__, spaced.split())))


def own_name(qualified_name: str) -> str:
    """The last component of a qualified name: the symbol, key or heading itself.

    Components are joined by `.` or ` > `. A dot after white space belongs to the name, as in a heading.
    """
    last = qualified_name.rpartition(" > ")[2]
    first_word, space, rest = last.partition(" ")
    return (first_word.rpartition(".")[2] or first_word) + space + rest


def full_text(*, file_path: str, qualified_name: str, content: str) -> str:
    """Text of a chunk for the full-text index: path, qualified name, own name again, source.

    The own name occurs `NAME_REPEATS` times in all.
    """
    source = search_tokens(content)
    path = _path_tokens(file_path)
    if not qualified_name:
        return " ".join(filter(None, (path, source)))
    name = search_tokens(own_name(qualified_name))
    fields = (path, search_tokens(qualified_name), *[name] * (NAME_REPEATS - 1), source)
    return " ".join(filter(None, fields))


# The chunks of a file come one after the other.
_path_tokens = lru_cache(maxsize=64)(search_tokens)
