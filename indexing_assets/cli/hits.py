"""Printing of hits, and of how fresh an answer is, for all commands that ask an index."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from indexing_assets.cli.forms import Form, is_shown_for_programs
from indexing_assets.cli.output import Part, Styled, code, is_told_to_a_person, said, say, tell

_Line = Sequence[Part]
_INDENT = "      "
_FOR_PLACES = 4  # the share of a budget for places, as a divisor
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


def show_hits(answer: Mapping[str, Any], form: Form, max_tokens: int | None = None) -> None:
    """Print the hits of an answer: place (with its repository, where several are asked), what it is, and lines.

    With a budget of tokens the lines of those that find room, best first, and of the others the place.
    """
    if is_shown_for_programs(form, answer["envelope"]):
        return
    several = len(answer["envelope"]["indexes"]) > 1
    entries = [
        [_place(number, hit, several=several), *_body(hit, shown)]
        for number, (hit, shown) in enumerate(zip(answer["envelope"]["hits"], answer["shown"], strict=True), start=1)
    ]
    for entry in entries if max_tokens is None else _packed(entries, max_tokens):
        for line in entry:
            say(*line)


def _packed(entries: Sequence[list[_Line]], max_tokens: int) -> list[list[_Line]]:
    """Entries that a budget has room for, by an estimate from above: whole ones, best first, then places of the others."""
    from code_index.search.token_estimate import estimate_tokens

    packed: dict[int, list[_Line]] = {}
    room = max_tokens
    for lines, kept in ((slice(None), max_tokens // _FOR_PLACES), (slice(1), 0)):
        for at, entry in enumerate(entries):
            cost = estimate_tokens(said(entry[lines]))
            if at not in packed and cost <= room - kept:
                packed[at] = entry[lines]
                room -= cost
    if len(packed) < len(entries):
        tell(f"--max-tokens {max_tokens} has no room for {len(entries) - len(packed)} further hits.")
    return [packed[at] for at in sorted(packed)]


def _place(number: int, hit: Mapping[str, Any], *, several: bool) -> _Line:
    path = f"{hit['repository']}/{hit['file_path']}" if several else hit["file_path"]
    return (
        f"{number:>2}. ",
        Styled(f"{path}:{hit['start_line']}", fg="cyan", bold=True),
        "  ",
        Styled(hit["qualified_name"] or hit["chunk_type"], bold=True),
        f"  ({hit['chunk_type']}, {hit['language']})  {hit['score']:.3f}{_RELATIONS.get(hit['relation'] or '', '')}",
        Styled(STATES.get(hit["state"] or "", ""), fg="yellow"),
    )


def _body(hit: Mapping[str, Any], shown: Mapping[str, Any]) -> Iterator[_Line]:
    if hit["copies"]:
        yield (Styled(f"{_INDENT}{len(hit['copies'])} more like it: {', '.join(hit['copies'])}", dim=True),)
    for part, value in _by_weight(hit["explanation"] or {}):
        yield (Styled(f"{_INDENT}{value:+8.3f}  {part.replace('_', ' ')}", dim=True),)
    yield from code_lines(shown)
    if shown["left"] > 0:
        yield (Styled(f"{_INDENT}... {shown['left']} more lines", dim=True),)
    yield ()


def code_lines(shown: Mapping[str, Any]) -> Iterator[_Line]:
    """The lines to show of a hit, with their numbers where they stand around it."""
    for at, line in enumerate(shown["lines"]):
        yield (*_margin(shown, at, blank=not any(text for _, text in line)), *code(line))


def _margin(shown: Mapping[str, Any], at: int, *, blank: bool) -> Sequence[Part]:
    """The beginning of a line: with lines around a hit the number, and as in grep a colon at the best one."""
    if "number" not in shown:
        return (_INDENT,)
    number = shown["number"] + at
    sign = ":" if number == shown["best"] else "-"
    return (Styled(f"{number:>6}{sign}", fg="green"), "" if blank else " ")
