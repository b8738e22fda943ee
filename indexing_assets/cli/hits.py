"""Printing of hits, and of how fresh an answer is, for all commands that ask an index."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from indexing_assets.cli.output import Styled, say, say_code, tell

if TYPE_CHECKING:
    from code_index import Freshness, SearchHit

_SNIPPET_LINES = 8
_LISTED = 5
_HASH_CHARACTERS = 10
_STATES = {
    "moved": "  [moved since it was indexed]",
    "changed": "  [changed since it was indexed]",
    "gone": "  [gone since it was indexed]",
}
_RELATIONS = {"copy": "  copy", "near-duplicate": "  near-duplicate"}
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def tell_freshness(freshness: Sequence["Freshness"], *, by_meaning: bool = True) -> None:
    """Say on standard error of which commit and age each index is, what is newer, and what has no vector."""
    for one in freshness:
        parts = [f"Index of {one.repository}"]
        if one.commit is not None:
            parts.append(f"commit {one.commit[:_HASH_CHARACTERS]}")
        if one.age_s is not None:
            parts.append(f"scanned {_ago(one.age_s)}")
        tell(", ".join(parts) + ".")
        if not one.chunks:
            tell(f"Nothing is indexed yet: code-index index {one.repository}")
        elif by_meaning and (without := one.chunks_without_vector):
            tell(
                f"{without:,} of {one.chunks:,} chunks have no vector yet and are found only by their words; "
                "`code-index resume` embeds them."
            )
        if one.newer_files and one.newer_count is not None:
            more = f" and {one.newer_count - _LISTED:,} more" if one.newer_count > _LISTED else ""
            tell(
                f"Newer than the index: {', '.join(one.newer_files[:_LISTED])}{more}. `code-index index "
                f"{one.repository}` brings it up to date."
            )


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


def show_hit(number: int, hit: "SearchHit", query: str, *, several: bool = False) -> None:
    """Print a hit: its place (with its repository, where several are asked), what it is, and its lines."""
    from code_index.search.hybrid import query_words
    from code_index.search.ranking import snippet_lines

    path = f"{hit.repository}/{hit.file_path}" if several else hit.file_path
    say(
        f"{number:>2}. ",
        Styled(f"{path}:{hit.start_line}", fg="cyan", bold=True),
        "  ",
        Styled(hit.qualified_name or hit.chunk_type, bold=True),
        f"  ({hit.chunk_type}, {hit.language})  {hit.score:.3f}{_RELATIONS.get(hit.relation or '', '')}",
        Styled(_STATES.get(hit.state or "", ""), fg="yellow"),
    )
    if hit.copies:
        say(Styled(f"      {len(hit.copies)} more like it: {', '.join(hit.copies)}", dim=True))
    for part, value in _by_weight(hit.explanation or {}):
        say(Styled(f"      {value:+8.3f}  {part.replace('_', ' ')}", dim=True))
    first, lines = snippet_lines(hit.content, query_words(query).split(), height=_SNIPPET_LINES)
    say_code(lines, hit.language, indent="      ")
    left = len(hit.content.splitlines()) - first - len(lines)
    if left > 0:
        say(Styled(f"      ... {left} more lines", dim=True))
    say()
