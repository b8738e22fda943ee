"""Two searches to compare with, both of fixed rules: plain BM25 over the same chunks, and a scripted grep over the files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.ndcg import Span

_WORD = re.compile(r"\w+")
_K1, _B = 1.5, 0.75
"""Source: the defaults of rank-bm25 and bm25s."""
_WINDOW = 20  # lines that grep shows of a file
# fmt: off
_EMPTY = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "do", "does", "for", "from", "how", "in", "is", "it", "of", "on", "or",
    "that", "the", "this", "to", "we", "what", "when", "where", "which", "with",
})
# fmt: on


@dataclass(frozen=True, slots=True)
class Text:
    """Something that is searched: its place and what it says."""

    span: Span
    text: str


class Bm25:
    """Okapi BM25 over texts with their paths; words are runs of letters and digits in lower case, as they stand."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self._spans = [text.span for text in texts]
        postings: dict[str, tuple[list[int], list[int]]] = {}
        lengths = np.zeros(len(texts))
        for number, text in enumerate(texts):
            counts = Counter(_words(f"{text.span.path} {text.text}"))
            lengths[number] = counts.total()
            for word, count in counts.items():
                numbers, times = postings.setdefault(word, ([], []))
                numbers.append(number)
                times.append(count)
        self._postings = {word: (np.array(numbers), np.array(times)) for word, (numbers, times) in postings.items()}
        self._norms = _K1 * (1 - _B + _B * lengths / max(float(lengths.mean()) if len(texts) else 1.0, 1.0))

    def search(self, query: str, limit: int) -> list[Span]:
        """The best texts that have a word of the query, best first, ties in the order of the texts."""
        scores = np.zeros(len(self._spans))
        for word in dict.fromkeys(_words(query)):
            if word in self._postings:
                numbers, times = self._postings[word]
                weight = np.log(1 + (len(scores) - len(numbers) + 0.5) / (len(numbers) + 0.5))
                scores[numbers] += weight * times * (_K1 + 1) / (times + self._norms[numbers])
        best = np.argsort(-scores, kind="stable")[:limit]
        return [self._spans[number] for number in best if scores[number] > 0]


class Grep:
    """What a script with `grep -i` finds: files by how many words of the query they hold, then by how often they do.

    Words like `how` are not looked for, others are anywhere in a line, as grep finds them. Of each file the 20 lines
    with most words are shown; a file is shown once.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = {path: text.lower() for path, text in sorted(files.items())}

    def search(self, query: str, limit: int) -> list[Span]:
        """The best files, best first, ties by path."""
        words = [word for word in dict.fromkeys(_words(query)) if word not in _EMPTY] or list(
            dict.fromkeys(_words(query))
        )
        found = []
        for path, text in self._files.items():
            counts = [count for word in words if (count := text.count(word))]
            if counts:
                found.append((-len(counts), -sum(counts), path))
        return [_best_lines(path, self._files[path], words) for _, _, path in sorted(found)[:limit]]


def _best_lines(path: str, text: str, words: Sequence[str]) -> Span:
    lines = text.split("\n")
    held = [{word for word in words if word in line} for line in lines]
    starts = [row for row, some in enumerate(held) if some]
    best = max(starts, key=lambda row: (len(set().union(*held[row : row + _WINDOW])), -row))
    return Span(path, best + 1, min(best + _WINDOW, len(lines)))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
