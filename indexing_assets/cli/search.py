"""`code-index search`: find code by meaning and by words."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from code_index.core.content_kinds import ContentKind
from code_index.core.model import ChunkType
from indexing_assets.cli.options import folder_of, index_dir_option, json_option, repository_option
from indexing_assets.cli.output import Styled, say, say_code, say_json, tell

if TYPE_CHECKING:
    from code_index import SearchHit

_SNIPPET_LINES = 8


@click.command("search")
@click.argument("query", nargs=-1, required=True)
@repository_option
@index_dir_option
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "semantic", "lexical"]),
    default="hybrid",
    show_default=True,
    help="By meaning, by words, or both.",
)
@click.option("--limit", "-n", type=click.IntRange(1, 1000), default=10, show_default=True, help="Most hits to show.")
@click.option("--language", "-l", multiple=True, help="Only this language, by name or extension (may be repeated).")
@click.option(
    "--glob",
    "-g",
    "path_glob",
    help="Only paths that match, such as 'src/**/*.{ts,tsx}', 'docs/' or 'app/[id]'.",
)
@click.option(
    "--type",
    "-t",
    "chunk_type",
    multiple=True,
    type=click.Choice([kind.value for kind in ChunkType], case_sensitive=False),
    metavar="TYPE",
    help="Only this chunk type: function, class, method, ... (may be repeated).",
)
@click.option("--function", "function_name", help="Only the function or method of this name.")
@click.option("--class", "class_name", help="Only the class of this name and its members.")
@click.option("--subproject", help="Only this subproject, by name.")
@click.option(
    "--content",
    type=click.Choice([*ContentKind, "all"], case_sensitive=False),
    default="all",
    show_default=True,
    help="Only code, documentation, configuration or tests.",
)
@click.option(
    "--per-file",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Hits of one file before others get room.",
)
@click.option("--explain", is_flag=True, help="Show what the score of each hit is made of.")
@json_option
def command(
    query: tuple[str, ...],
    path: Path | None,
    index_dir: Path | None,
    mode: str,
    limit: int,
    language: tuple[str, ...],
    path_glob: str | None,
    chunk_type: tuple[str, ...],
    function_name: str | None,
    class_name: str | None,
    subproject: str | None,
    content: str,
    per_file: int,
    explain: bool,
    as_json: bool,
) -> None:
    """Search the index for QUERY, words or code in any form."""
    from code_index import Index

    folder = folder_of(path, index_dir)
    index = Index.open(folder.repository_root, folder.path)
    text = " ".join(query)
    hits = index.search(
        text,
        mode=mode,
        limit=limit,
        language=language,
        glob=path_glob,
        chunk_type=chunk_type,
        function_name=function_name,
        class_name=class_name,
        subproject=subproject,
        content=content,
        per_file=per_file,
        explain=explain,
    )
    if explain and mode != "hybrid":
        tell(f"--explain has nothing to say of --mode {mode}: its score is that of one list.")
    if as_json:
        say_json([asdict(hit) for hit in hits])
        return
    if not hits:
        tell("Nothing found.")
        reasons = index.why_nothing_matches(
            language=language,
            glob=path_glob,
            chunk_type=chunk_type,
            function_name=function_name,
            class_name=class_name,
            subproject=subproject,
            content=content,
        )
        for reason in reasons:
            tell(reason)
    for number, hit in enumerate(hits, start=1):
        _show(number, hit, text)
    there = index.store.search.available()
    total, vectors = there.chunks, there.vectors
    if not total:
        tell(f"Nothing is indexed yet: code-index index {index.folder.repository_root}")
    elif vectors < total and mode != "lexical":
        tell(
            f"{total - vectors:,} of {total:,} chunks have no vector yet and are found only by their words; "
            "`code-index resume` embeds them."
        )


def _by_weight(explanation: dict[str, float]) -> list[tuple[str, float]]:
    """The shares that make the score, then what makes each of them: the file's features, the chunk's, greatest first."""
    groups: dict[str, list[tuple[str, float]]] = {}
    for part, value in explanation.items():
        groups.setdefault(part.partition(":")[0] if ":" in part else "", []).append((part, value))
    return [item for group in groups.values() for item in sorted(group, key=lambda item: -abs(item[1]))]


def _show(number: int, hit: "SearchHit", query: str) -> None:
    from code_index.search.hybrid import query_words
    from code_index.search.ranking import snippet_lines

    say(
        f"{number:>2}. ",
        Styled(f"{hit.file_path}:{hit.start_line}", fg="cyan", bold=True),
        "  ",
        Styled(hit.qualified_name or hit.chunk_type, bold=True),
        f"  ({hit.chunk_type}, {hit.language})  {hit.score:.3f}",
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
