"""Printing of hits, and of how fresh an answer is, for all commands that ask an index."""

from collections.abc import Mapping
from typing import Any

from indexing_assets.cli.output import Styled, is_told_to_a_person, say, say_code, tell

_LISTED = 5
_HASH_CHARACTERS = 10
STATES = {
    "moved": "  [moved since it was indexed]",
    "changed": "  [changed since it was indexed]",
    "gone": "  [gone since it was indexed]",
}
_RELATIONS = {"copy": "  copy", "near-duplicate": "  near-duplicate"}
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def tell_freshness(answer: Mapping[str, Any], *, by_meaning: bool = True) -> None:
    """Say on standard error what is newer than each index and what has no vector; to a person, of which commit and age it is."""
    indexes = answer["envelope"]["indexes"]
    for one, without in zip(indexes, answer["without_vector"], strict=True):
        lacks = _lacks(one, without if by_meaning else 0)
        # A line that tells of no trouble is not for a log, nor for what reads only the beginning of the hits.
        if is_told_to_a_person() or (lacks and len(indexes) > 1):
            tell(_headline(one))
        for line in lacks:
            tell(line)


def _headline(one: Mapping[str, Any]) -> str:
    parts = [f"Index of {one['repository']}"]
    if one["commit"] is not None:
        parts.append(f"commit {one['commit'][:_HASH_CHARACTERS]}")
    if one["age_s"] is not None:
        parts.append(f"scanned {_ago(one['age_s'])}")
    return f"{', '.join(parts)}."


def _lacks(one: Mapping[str, Any], without: int) -> list[str]:
    """Sentences about what an index lacks."""
    lacks = []
    if not one["chunks"] and one["age_s"] is not None and one["newer_count"] == 0:
        lacks.append("There is nothing in the index; `code-index status` says why.")
    elif not one["chunks"]:
        lacks.append(f"Nothing is indexed yet: code-index index {one['repository']}")
    elif without:
        lacks.append(
            f"{without:,} of {one['chunks']:,} chunks have no vector yet and are found only by their words; "
            "`code-index resume` embeds them."
        )
    if one["newer_files"] and one["newer_count"] is not None:
        more = f" and {one['newer_count'] - _LISTED:,} more" if one["newer_count"] > _LISTED else ""
        lacks.append(
            f"Newer than the index: {', '.join(one['newer_files'][:_LISTED])}{more}. `code-index index "
            f"{one['repository']}` brings it up to date."
        )
    return lacks


def tell_notes(answer: Mapping[str, Any]) -> None:
    """Say on standard error what else a reader should know of an answer."""
    for note in answer["envelope"]["notes"]:
        tell(note)


def _ago(age_s: float) -> str:
    for seconds, unit in _UNITS:
        if age_s >= seconds:
            count = int(age_s // seconds)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _by_weight(explanation: dict[str, float]) -> list[tuple[str, float]]:
    """The shares that make the score, then what makes each of them: the file's features, the chunk's, greatest first."""
    groups: dict[str, list[tuple[str, float]]] = {}
    for part, value in explanation.items():
        groups.setdefault(part.partition(":")[0] if ":" in part else "", []).append((part, value))
    return [item for group in groups.values() for item in sorted(group, key=lambda item: -abs(item[1]))]


def show_hits(answer: Mapping[str, Any]) -> None:
    """Print the hits of an answer: place (with its repository, where several are asked), what it is, and lines."""
    several = len(answer["envelope"]["indexes"]) > 1
    for number, (hit, shown) in enumerate(zip(answer["envelope"]["hits"], answer["shown"], strict=True), start=1):
        _show_hit(number, hit, shown, several=several)


def _show_hit(number: int, hit: Mapping[str, Any], shown: Mapping[str, Any], *, several: bool) -> None:
    path = f"{hit['repository']}/{hit['file_path']}" if several else hit["file_path"]
    say(
        f"{number:>2}. ",
        Styled(f"{path}:{hit['start_line']}", fg="cyan", bold=True),
        "  ",
        Styled(hit["qualified_name"] or hit["chunk_type"], bold=True),
        f"  ({hit['chunk_type']}, {hit['language']})  {hit['score']:.3f}{_RELATIONS.get(hit['relation'] or '', '')}",
        Styled(STATES.get(hit["state"] or "", ""), fg="yellow"),
    )
    if hit["copies"]:
        say(Styled(f"      {len(hit['copies'])} more like it: {', '.join(hit['copies'])}", dim=True))
    for part, value in _by_weight(hit["explanation"] or {}):
        say(Styled(f"      {value:+8.3f}  {part.replace('_', ' ')}", dim=True))
    say_code(shown["lines"], indent="      ")
    if shown["left"] > 0:
        say(Styled(f"      ... {shown['left']} more lines", dim=True))
    say()
