"""Questions whose answer is one function, or one section of documentation.

    python -m benchmarks.line_questions --clones CLONES --output FOLDER [--code 100] [--docs 100]

CLONES holds a clone for each repository of `line_questions.json`, under its name there. Written are the questions
(FOLDER/eval, as `benchmarks.retrieval` reads them) and copies of the repositories (FOLDER/repositories) in which what a
question was made of is missing: every comment or docstring about a function, and every first sentence that asks for a
section. Sentences are other people's text: they stay out of this repository.

Code: the first sentence about a function asks for it. Documentation: half of the questions are headings, which stay where
they are, half are first sentences. Templates are fixed (`asked_of_function`, `asked_of_heading`, `asked_of_sentence`).
Sentences that name their function, or that two functions share, are left out. A file gives up to four questions.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.checkouts import check_out
from benchmarks.documented_code import LANGUAGES, Function, first_sentence, functions, without_comments
from benchmarks.question_sets import kind_of, shared_out, spells, write_questions, write_repositories

MANIFEST = Path(__file__).with_suffix(".json")
_A_FILE = 4
_LEAST_WORDS = 5
_MOST_WORDS = 30
_LEAST_BODY = 4  # lines
_LEAST_SECTION = 200  # characters
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_ATX = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$")
_RULE = re.compile(r"^([=\-~^\"'*+#.])\1{2,}\s*$")
_NO_PROSE = re.compile(r"^\s*(?:[-*+>|:#<!\[({]|\.\.|\d+\.\s|```|~~~|import\b|@)|^\s{4}|::$")
_NOT_OF_THE_PRODUCT = re.compile(
    r"change|release|history|news|license|upgrad|migrat|code_of_conduct|contribut|security|i18n|\.github", re.IGNORECASE
)
_ORDERS = frozenset({
    "access", "add", "allocate", "append", "apply", "assert", "attach", "build", "calculate", "call", "cast",
    "check", "choose", "clean", "clear", "clone", "close", "coerce", "collect", "combine", "compare", "compile",
    "compute", "concatenate", "configure", "construct", "convert", "copy", "count", "create", "decode", "define",
    "delete", "derive", "detect", "determine", "disable", "dispatch", "drop", "emit", "enable", "encode", "ensure",
    "enter", "escape", "evaluate", "execute", "expand", "extend", "extract", "fetch", "fill", "filter", "find",
    "flush", "forward", "format", "generate", "get", "given", "group", "handle", "implement", "import", "include",
    "infer", "initialize", "inject", "insert", "inspect", "install", "invoke", "iterate", "join", "list", "load",
    "locate", "look", "lookup", "make", "mark", "match", "merge", "modify", "move", "normalize", "notify", "obtain",
    "open", "output", "override", "parse", "pass", "perform", "pop", "prepare", "prepend", "print", "process",
    "produce", "provide", "push", "put", "read", "record", "redirect", "reduce", "register", "release", "remove",
    "rename", "render", "replace", "report", "request", "require", "reset", "resolve", "restore", "retrieve",
    "return", "reverse", "run", "save", "scan", "search", "select", "send", "serialize", "set", "show", "skip",
    "sort", "specify", "split", "start", "stop", "store", "strip", "swap", "take", "tell", "test", "throw",
    "traverse", "trim", "truncate", "try", "turn", "unwrap", "update", "use", "validate", "verify", "visit", "wait",
    "walk", "wrap", "write", "yield",
})  # fmt: skip
_NOT_THIRD_PERSON = frozenset({
    "is", "has", "was", "does", "this", "always", "as", "its", "yes", "options", "args",
})  # fmt: skip
_FINITE = re.compile(
    r"\b(?:is|are|was|were|can|has|have|will|may|should|must|does|do|happens|provides|uses|allows|means)\b"
)
_POINTS_ELSEWHERE = frozenset({
    "this", "these", "that", "it", "they", "here", "see", "to", "if", "when", "in", "for", "note", "please",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its own text, up to the next heading; lines are 1-based and inclusive."""

    heading: str
    start_line: int
    end_line: int
    paragraph: tuple[int, int] | None  # lines of the first paragraph of prose, if the text begins with one


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question, with the place of its function or section among those of its file."""

    path: str
    place: int
    text: str
    kind: str
    name: str
    sentence: str = ""  # what must not be in the index


def sections(path: str, text: str) -> list[Section]:
    """Sections of a Markdown or reStructuredText file, in order."""
    lines = text.split("\n")
    headings = list(_underlined(lines) if path.endswith(".rst") else _hashed(lines))
    ends = [*(start for start, _, _ in headings), len(lines)][1:]
    return [
        Section(heading, start + 1, end, _first_paragraph(lines, body, end))
        for (start, heading, body), end in zip(headings, ends, strict=True)
    ]


def _hashed(lines: Sequence[str]) -> Iterator[tuple[int, str, int]]:
    fenced = False
    for row, line in enumerate(lines):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (found := _ATX.match(line)):
            yield row, _plain(found[1]), row + 1


def _underlined(lines: Sequence[str]) -> Iterator[tuple[int, str, int]]:
    for row in range(len(lines) - 1):
        title = lines[row].rstrip()
        alone = row == 0 or not lines[row - 1].strip() or _RULE.match(lines[row - 1])
        if not title or title[0].isspace() or _RULE.match(title) or not alone or not _RULE.match(lines[row + 1]):
            continue
        if len(lines[row + 1].rstrip()) >= len(title):
            yield row, _plain(title), row + 2


def _first_paragraph(lines: Sequence[str], start: int, end: int) -> tuple[int, int] | None:
    while start < end and not lines[start].strip():
        start += 1
    stop = start
    while stop < end and lines[stop].strip() and not _NO_PROSE.search(lines[stop]):
        stop += 1
    return (start + 1, stop) if stop > start and (stop == end or not lines[stop].strip()) else None


def _plain(text: str) -> str:
    """Text without marks of links, code and emphasis."""
    text = re.sub(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?|:[\w:]+:`([^`<]*)(?:<[^>]*>)?`|<[^>]+>", r"\1\2", text)
    return " ".join(re.sub(r"``?|\*\*?|__|\{#[^}]*\}|`_", "", text).split())


def asked_of_function(sentence: str, name: str) -> str | None:
    """A question for the function that the sentence is about; None where the sentence is no question."""
    words = sentence.split()
    if words and words[0].lower() == name.lower():  # as Go writes them
        words = words[1:]
    if not _LEAST_WORDS <= len(words) <= _MOST_WORDS or not sentence.isascii() or spells(" ".join(words), name):
        return None
    if not words[0].isalpha() or re.search(r"https?:|[{}<>|\\=]|\.\.\.", sentence):
        return None
    first, rest = words[0].lower(), " ".join(words[1:])
    if first in {"the", "a", "an"}:
        return None if _FINITE.search(rest) else f"Where do we get {first} {rest}?"
    if first in _ORDERS:
        return f"How do we {first} {rest}?"
    if first.endswith("s") and not first.endswith("ss") and first not in _NOT_THIRD_PERSON:
        return f"Which function {first} {rest}?"
    return None


def asked_of_heading(heading: str) -> str | None:
    """A question for the section with that heading; None where the heading says too little."""
    words = heading.rstrip(":.").split()
    if not 2 <= len(words) <= 12 or not heading.isascii() or not words[0][0].isalpha():
        return None
    if heading.endswith("?"):
        return heading
    if words[0].lower() in {"how", "why", "what", "where", "when"}:
        return f"{heading}?"
    text = " ".join([words[0] if words[0].isupper() else words[0].lower(), *words[1:]])
    return f"How do I go about {text}?" if words[0].endswith("ing") else f"How does this work: {text}?"


def asked_of_sentence(sentence: str) -> str | None:
    """A question for the section that begins with that sentence; None where it is no sentence."""
    words = sentence.rstrip(".").split()
    if not words or words[0].lower() in _POINTS_ELSEWHERE or not _FINITE.search(sentence):
        return None
    if not _LEAST_WORDS + 1 <= len(words) <= _MOST_WORDS or not sentence.isascii() or sentence.endswith(":"):
        return None
    return f"What does it mean that {' '.join([words[0] if words[0].isupper() else words[0].lower(), *words[1:]])}?"


def candidates_of_code(files: dict[str, str]) -> list[Candidate]:
    """All questions for functions in files by path, in the order of paths and lines."""
    made = []
    for path, text in sorted(files.items()):
        for place, function in enumerate(functions(path, text)):
            sentence = first_sentence(function.about)
            asked = asked_of_function(sentence, function.name) if function.body_lines >= _LEAST_BODY else None
            if asked is not None:
                made.append(Candidate(path, place, asked, "code", function.name))
    return _unique(made)


def candidates_of_documentation(files: dict[str, str]) -> list[Candidate]:
    """All questions for sections in files by path, in the order of paths and lines; a section by its heading or its sentence."""
    made = []
    for path, text in sorted(files.items()):
        lines = text.split("\n")
        for place, section in enumerate(sections(path, text)):
            if sum(map(len, lines[section.start_line : section.end_line])) < _LEAST_SECTION:
                continue
            name = section.heading
            by_heading = Candidate(path, place, asked_of_heading(section.heading) or "", "docs: heading", name)
            sentence = _sentence_of(lines, section)
            asked = asked_of_sentence(_plain(sentence)) or ""
            by_sentence = Candidate(path, place, asked, "docs: sentence", name, sentence)
            made += [candidate for candidate in (by_heading, by_sentence) if candidate.text]
    return _unique(made)


def _sentence_of(lines: Sequence[str], section: Section) -> str:
    if section.paragraph is None:
        return ""
    first, last = section.paragraph
    return re.split(r"(?<=[.!?])\s", " ".join(line.strip() for line in lines[first - 1 : last]), maxsplit=1)[0]


def _unique(candidates: Sequence[Candidate]) -> list[Candidate]:
    asked = Counter(candidate.text.lower() for candidate in candidates)
    return [candidate for candidate in candidates if asked[candidate.text.lower()] == 1]


def pick(candidates: Sequence[Candidate], count: int, seed: str) -> list[Candidate]:
    """Up to `count` of them: file after file in an order by the seed, up to four of each, each place once."""
    rng = random.Random(seed)
    by_file: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        by_file.setdefault(candidate.path, []).append(candidate)
    picked: list[Candidate] = []
    kinds = sorted({candidate.kind for candidate in candidates})
    for path in rng.sample(sorted(by_file), len(by_file)):
        left = rng.sample(by_file[path], len(by_file[path]))
        for _ in range(_A_FILE):
            if not left or len(picked) == count:
                break
            # Kinds by turns; the order of the rest stays.
            chosen = next((one for one in left if one.kind == kinds[len(picked) % len(kinds)]), left[0])
            picked.append(chosen)
            left = [one for one in left if one.place != chosen.place]
    return picked


def without_sentences(path: str, text: str, taken: Iterable[Candidate]) -> str:
    """The documentation without the sentences that its questions were made of; headings stay in their order."""
    lines = text.split("\n")
    found = sections(path, text)
    for candidate in sorted((one for one in taken if one.sentence), key=lambda one: -one.place):
        rows = found[candidate.place].paragraph
        if rows is None:
            raise ValueError(f"{path}: the section of {candidate.sentence!r} has no paragraph")
        whole = " ".join(line.strip() for line in lines[rows[0] - 1 : rows[1]])
        lines[rows[0] - 1 : rows[1]] = [whole.removeprefix(candidate.sentence).strip()]
    return "\n".join(lines)


def _texts(root: Path, folders: Sequence[str], without: Sequence[str]) -> dict[str, str]:
    """Files in UTF-8 below the folders (or files) of a checkout, by path; those below `without` left out."""
    texts = {}
    for folder in folders or ["."]:
        start = root / folder
        for path in [start] if start.is_file() else sorted(start.rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and not path.is_symlink() and not name.startswith(tuple(without)):
                try:
                    texts[name] = path.read_bytes().decode("utf-8")
                except UnicodeDecodeError:
                    continue  # images and the like
    return texts


def _asks_for_code(path: str) -> bool:
    return PurePosixPath(path).suffix in LANGUAGES and kind_of(path) == "code"


def _asks_for_docs(path: str) -> bool:
    return PurePosixPath(path).suffix in {".md", ".mdx", ".rst"} and not _NOT_OF_THE_PRODUCT.search(path)


def rows_of(files: dict[str, str], picked: Sequence[Candidate]) -> list[dict[str, Any]]:
    """The questions with the lines of their answers in the files as they are indexed, in the form of query files."""
    rows = []
    for candidate in picked:
        text = files[candidate.path]
        found: Sequence[Function | Section] = (
            functions(candidate.path, text) if candidate.kind == "code" else sections(candidate.path, text)
        )
        answer = found[candidate.place]
        if (answer.name if isinstance(answer, Function) else answer.heading) != candidate.name:
            raise ValueError(f"{candidate.path}: {candidate.name} is not where it was before its comments were cut")
        target = {"path": candidate.path, "start_line": answer.start_line, "end_line": answer.end_line}
        rows.append({"query": candidate.text, "relevant": [target], "secondary": [], "category": candidate.kind})
    return rows


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Questions whose answer is a function or a section.")
    parser.add_argument("--clones", type=Path, required=True, help="folder with a clone of each repository")
    parser.add_argument("--output", type=Path, required=True, help="where `eval` and `repositories` are written")
    parser.add_argument("--code", type=int, default=100)
    parser.add_argument("--docs", type=int, default=100)
    arguments = parser.parse_args()
    entries: list[dict[str, Any]] = json.loads(MANIFEST.read_text("utf-8"))
    files = []
    for entry in entries:
        with tempfile.TemporaryDirectory() as temporary:
            check_out(arguments.clones / entry["name"], entry["revision"], Path(temporary) / "all")
            files.append(_texts(Path(temporary) / "all", entry["folders"], entry.get("without", [])))
    code = [candidates_of_code({p: t for p, t in texts.items() if _asks_for_code(p)}) for texts in files]
    docs = [candidates_of_documentation({p: t for p, t in texts.items() if _asks_for_docs(p)}) for texts in files]
    shares = zip(
        shared_out(arguments.code, [len(pick(some, len(some), "")) for some in code]),
        shared_out(arguments.docs, [len(pick(some, len(some), "")) for some in docs]),
        strict=True,
    )
    for entry, texts, of_code, of_docs, share in zip(entries, files, code, docs, shares, strict=True):
        picked = [*pick(of_code, share[0], entry["name"]), *pick(of_docs, share[1], entry["name"])]
        indexed = {
            path: without_sentences(path, text, (one for one in picked if one.path == path))
            if _asks_for_docs(path)
            else without_comments(path, text)
            for path, text in texts.items()
        }
        root = arguments.output / "repositories" / entry["name"]
        shutil.rmtree(root, ignore_errors=True)
        for path, text in indexed.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(text.encode("utf-8"))
        write_questions(arguments.output / "eval", entry["name"], rows_of(indexed, picked))
        print(
            f"{entry['name']}: {len(picked)} of {len(of_code)} for code, {len(of_docs)} for documentation", flush=True
        )
    write_repositories(arguments.output / "eval", entries)


if __name__ == "__main__":
    main()
