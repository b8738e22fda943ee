"""Counts of what an index leaves out, by the reason, in words for people.

Belongs here: counts of reasons and sentences about them. Does not belong here: the reasons themselves
(`code_index.repository.walk`), and the list of all of them (`code-index status --skipped`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from code_index.core.model import FileStatus
from code_index.tables import IndexStore

LISTS_THEM: Final = "`code-index status --skipped` lists them"
_IGNORED: Final = "ignored"
_RULE: Final = re.compile(rf"{_IGNORED}: (?P<rule>(?P<source>.*):\d+ .*)", re.DOTALL)
# Always there, and nothing that somebody would look for.
_OF_TOOLS: Final = re.compile(r"version control: (?!bare|another).*|index folder: .*")
_MOST: Final = 0.5
_SHOWN: Final = 4


def skipped_counts(store: IndexStore) -> dict[str, int]:
    """Count skipped files and folders by the category of their reason, most first.

    A rule of an ignore file that leaves out most of what is ignored is named. The folders of git and of code-index count
    nothing.
    """
    where = f"status = '{FileStatus.SKIPPED.value}'"
    return counted(store.files.read(columns=["reason"], where=where).column("reason").to_pylist())


def counted(reasons: Iterable[str | None]) -> dict[str, int]:
    """Count reasons as `skipped_counts` does those of an index."""
    found = [reason for reason in reasons if reason and not _OF_TOOLS.fullmatch(reason)]
    counts = Counter(reason.partition(":")[0] for reason in found)
    rules = Counter(match["rule"] for reason in found if (match := _RULE.fullmatch(reason)))
    if rules:
        rule, count = rules.most_common(1)[0]
        if count >= _MOST * counts[_IGNORED]:
            counts[f"{_IGNORED} by {rule}"] = count
            counts[_IGNORED] -= count
    return dict((+counts).most_common())


def skipped_in_words(counts: Mapping[str, int]) -> str:
    """The counts in a line, such as `14 files and folders: 9 ignored by .gitignore:3 *.log, 5 binary`; empty for none."""
    total = sum(counts.values())
    if not total:
        return ""
    named = [f"{count:,} {reason}" for reason, count in counts.items()]
    return f"{total:,} {'file or folder' if total == 1 else 'files and folders'}: {', '.join(named)}"


def why_nothing_is_indexed(counts: Mapping[str, int]) -> str:
    """The reason why an index without files has none, with the way out."""
    if not counts:
        return "No file is indexed: there is none but of git and code-index."
    said = ", ".join(f"{count:,} {reason}" for reason, count in list(counts.items())[:_SHOWN])
    said = f"No file is indexed: all are left out ({said}); {LISTS_THEM}."
    rule = next(
        (reason.removeprefix(f"{_IGNORED} by ") for reason in counts if reason.startswith(f"{_IGNORED} by ")), ""
    )
    source = rule.partition(":")[0]
    if not rule:
        return said
    if source.endswith(".codeindexignore") or source == "settings":
        return f"{said} Change the rule {rule}."
    return (
        f"{said} Change the rule {rule}, add files to git (`git add --force`), or set `use_gitignore = false` in the "
        "index's settings.toml (CODE_INDEX_USE_GITIGNORE=false)."
    )
