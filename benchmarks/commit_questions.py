"""Questions from the history of repositories: the subject of a commit asks, the files that it touched answer.

    python -m benchmarks.commit_questions choose --clones CLONES [--questions 600]
    python -m benchmarks.commit_questions make --clones CLONES --output FOLDER

CLONES holds a clone with its history for each repository of `commit_questions.json`, under its name there. `choose`
writes revisions and commits into that file; `make` writes from it the questions (FOLDER/eval, as `benchmarks.retrieval`
reads them) and the checkouts (FOLDER/repositories). Subjects are other people's text: they stay out of this repository.

**The index never holds the change.** An index for each commit's parent would cost 600 indexes, so each repository is
indexed once, at a revision before all its commits; they are the first ones after it that pass the filters. A file counts
only if it is there at that revision.

Left out: merges; bots; commits of more than five files, or with a file that is not there yet; subjects that name a file
that they touch, that name no content (releases, reverts, updates of dependencies), or that an earlier commit has as well;
files that more than a tenth of the commits touch (change logs, versions).
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.checkouts import check_out, files_at, git
from benchmarks.question_sets import compact, kind_of, shared_out, spells, write_questions, write_repositories

MANIFEST = Path(__file__).with_suffix(".json")
MOST_FILES = 5
_LEAST_WORDS = 4
_MOST_WORDS = 25
_UBIQUITOUS = 0.1  # share of commits
_WINDOWS = (150, 300, 600, 1_200, 2_400, 4_800, 9_600)  # commits looked at, until enough are found

_BOT = re.compile(
    r"\[bot\]|\bbots?\b|-bot\b|dependabot|renovate|greenkeeper|github-actions|weblate|crowdin", re.IGNORECASE
)
_TRAILER = re.compile(
    r"\s*(?:\((?:#|gh-|bug )?\d+\)|\[[^\]]*\]|(?:(?:fix(?:es)?|close[sd]?|see|refs?)[ :]*)?#\d+)[.\s]*$", re.IGNORECASE
)
_LEADER = re.compile(r"^(?:\[[^\]]*\]\s*|[\w ./*&,-]{1,40}(?:\([^)]*\))?!?:\s+)+")
_NO_CONTENT = re.compile(
    r"^(?:bump|release|revert|merge|prepare|version|typo|v?\d+\.\d+|wip|lint|format|reformat|run|regenerate|ci\b|"
    r"(?:fix|correct)(?:ed|es|ing)? (?:\w+ )?(?:typos?|lint|ci|tests?|build|formatting|indentation|whitespace|spelling)\b|"
    r"(?:update|upgrade|pin|sync)[sd]?\b.*\b(?:dep\w*|translat\w*|attribut\w*|changelog|readme|licen[cs]e|copyright|version|"
    r"to v?\d[\w.]*|packages?|submodules?|gradle|kotlin|luau|quic-go|news)\b)"
    r"|\b(?:changelog|release notes?|typos?|whitespace|copyright|clippy|rubocop|eslint|golangci\S*|workflows?|github actions)\b",
    re.IGNORECASE,
)  # fmt: skip
_TEST_AFFIX = re.compile(r"^test_|(?:[_-]?(?:test|tests|spec|SUITE)|Tests?)$")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that is no merge: id, author as `name <address>`, subject, and status and path of each file."""

    id: str
    author: str
    subject: str
    changes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A cleaned subject, with the files that answer it; code first."""

    commit: str
    text: str
    files: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Code if a file of code that is no test is among the files, otherwise tests, otherwise docs, otherwise config."""
        kinds = {kind_of(path) for path in self.files}
        return next(kind for kind in ("code", "tests", "docs", "config") if kind in kinds)


def history(clone: Path, after: str, until: str) -> list[Commit]:
    """Commits that are ancestors of `until` and not of `after`, oldest first, without merges."""
    marks = "%x1e%H%x1f%an <%ae>%x1f%s%x1f"
    text = git(
        clone,
        *("log", "--no-merges", "--reverse", "--topo-order", "--name-status", "--no-renames", "-z"),
        *(f"--format={marks}", f"{after}..{until}"),
    )
    return [_parsed(record) for record in text.split("\x1e")[1:]]


def _parsed(record: str) -> Commit:
    commit, author, subject, rest = record.split("\x1f")
    fields = [field.strip("\n") for field in rest.split("\0") if field.strip("\n")]
    return Commit(commit, author, subject, tuple(zip(fields[::2], fields[1::2], strict=True)))


def cleaned(subject: str) -> str:
    """The subject without numbers of issues, tags, the part before a colon (it names a folder, often), and final stop."""
    text = subject.strip()
    while (shorter := _TRAILER.sub("", text)) != text:
        text = shorter
    return _LEADER.sub("", text.lstrip("-* ")).strip().rstrip(".").strip()


def tells_something(text: str) -> bool:
    """Tell whether a cleaned subject is a question: some words of ASCII, and about what the repository does."""
    return text.isascii() and _LEAST_WORDS <= len(text.split()) <= _MOST_WORDS and not _NO_CONTENT.search(text)


def names_file(text: str, path: str) -> bool:
    """Tell whether the text spells the file's name: with or without its extension, or the affix of a test."""
    name = PurePosixPath(path)
    stem = name.name.split(".")[0]
    return any(spells(text, word) for word in (name.name, name.stem, stem, _TEST_AFFIX.sub("", stem)))


def ubiquitous(commits: Sequence[Commit]) -> set[str]:
    """Files that more than a tenth of the commits touch; with fewer than 30 commits, none."""
    touched = Counter(path for commit in commits for _, path in commit.changes)
    return {path for path, count in touched.items() if len(commits) >= 30 and count > _UBIQUITOUS * len(commits)}


def questions(
    commits: Sequence[Commit], present: Collection[str], known: Collection[str], root: str
) -> Iterator[Question]:
    """Questions of the commits that pass the filters, in their order.

    Args:
        commits: oldest first.
        present: files of the revision that is indexed.
        known: subjects of earlier commits: what was picked from another branch may be in the index.
        root: folder that is indexed; files elsewhere do not count. Empty for the whole repository.
    """
    left_out = ubiquitous(commits)
    seen = {cleaned(subject).lower() for subject in known}
    for commit in commits:
        text = cleaned(commit.subject)
        new = text.lower() not in seen
        seen.add(text.lower())
        if not new or _BOT.search(commit.author) or not tells_something(text) or len(commit.changes) > MOST_FILES:
            continue
        paths = [
            path for _, path in commit.changes if path not in left_out and (not root or path.startswith(f"{root}/"))
        ]
        if not paths or any(path not in present for path in paths) or any(names_file(text, path) for path in paths):
            continue
        yield Question(commit.id, text, tuple(sorted(paths, key=lambda path: (kind_of(path) != "code", path))))


def choose(entry: dict[str, Any], clone: Path, enough: int) -> dict[str, Any]:
    """The entry with a revision so near to the newest commit that the commits after it give `enough` questions."""
    newest = git(clone, "rev-parse", entry.get("until") or "HEAD").strip()
    line = git(clone, "rev-list", "--first-parent", newest).split()
    best: tuple[str, list[Question]] = (newest, [])
    for window in _WINDOWS:
        revision = line[min(window, len(line) - 1)]
        known = git(clone, "log", "--format=%s", revision).splitlines()
        present = files_at(clone, revision)
        found = list(questions(history(clone, revision, newest), present, known, entry.get("benchmark_root") or ""))
        best = max(best, (revision, found), key=lambda pair: len(pair[1]))
        if len(found) >= enough:
            break
    kept = {key: entry[key] for key in ("name", "language", "url", "benchmark_root", "half") if entry.get(key)}
    revision, found = best
    return {**kept, "revision": revision, "until": newest, "commits": [question.commit for question in found]}


def make(entry: dict[str, Any], clone: Path, output: Path) -> int:
    """Write questions and checkout of one repository; returns the number of questions."""
    commits = history(clone, entry["revision"], entry["until"])
    known = git(clone, "log", "--format=%s", entry["revision"]).splitlines()
    present = files_at(clone, entry["revision"])
    wanted = set(entry["commits"])
    made = [
        question
        for question in questions(commits, present, known, entry.get("benchmark_root") or "")
        if question.commit in wanted
    ]
    if len(made) != len(wanted):
        raise SystemExit(f"{entry['name']}: {len(wanted) - len(made)} commits no longer pass; run `choose` again.")
    check_out(clone, entry["revision"], output / "repositories" / entry["name"])
    write_questions(output / "eval", entry["name"], (_row(question) for question in made))
    return len(made)


def _row(question: Question) -> dict[str, Any]:
    kind = question.kind
    return {
        "query": question.text,
        "relevant": [path for path in question.files if kind_of(path) == kind],
        "secondary": [path for path in question.files if kind_of(path) != kind],
        "category": kind,
        "commit": question.commit,
    }


def _entries() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(MANIFEST.read_text("utf-8"))
    return entries


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Questions from commit subjects.")
    parser.add_argument("action", choices=("choose", "make"))
    parser.add_argument("--clones", type=Path, required=True, help="folder with a clone of each repository")
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--output", type=Path, help="where `make` writes `eval` and `repositories`")
    arguments = parser.parse_args()
    entries = _entries()
    if arguments.action == "choose":
        enough = -(-arguments.questions // len(entries))
        chosen = [choose(entry, arguments.clones / entry["name"], enough) for entry in entries]
        shares = shared_out(arguments.questions, [len(entry["commits"]) for entry in chosen])
        for entry, share in zip(chosen, shares, strict=True):
            print(f"{entry['name']}: {share} of {len(entry['commits'])} commits", flush=True)
            entry["commits"] = entry["commits"][:share]
        MANIFEST.write_text(compact(chosen), encoding="utf-8")
        return
    if arguments.output is None:
        parser.error("`make` needs --output")
    for entry in entries:
        print(f"{entry['name']}: {make(entry, arguments.clones / entry['name'], arguments.output)}", flush=True)
    write_repositories(arguments.output / "eval", entries)


if __name__ == "__main__":
    main()
