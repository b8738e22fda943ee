"""`code-index search`: find code by meaning and by words."""

from pathlib import Path
from typing import Any

import click

from code_index.core.content_kinds import ContentKind
from code_index.core.model import ChunkType
from indexing_assets.cli.options import folder_of, index_dir_option, json_option, repository_option
from indexing_assets.cli.output import Styled, has_colours, say, say_code, say_json, tell


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
    options = {
        "mode": mode,
        "limit": limit,
        "language": language,
        "glob": path_glob,
        "chunk_type": chunk_type,
        "function_name": function_name,
        "class_name": class_name,
        "subproject": subproject,
        "content": content,
        "per_file": per_file,
        "explain": explain,
    }
    root, answer = _found(path, index_dir, " ".join(query), options)
    if explain and mode != "hybrid":
        tell(f"--explain has nothing to say of --mode {mode}: its score is that of one list.")
    if as_json:
        say_json(answer["hits"])
        return
    if not answer["hits"]:
        tell("Nothing found.")
        for reason in answer["why_nothing"]:
            tell(reason)
    for number, (hit, shown) in enumerate(zip(answer["hits"], answer["shown"], strict=True), start=1):
        _show(number, hit, shown)
    total, vectors = answer["chunks"], answer["vectors"]
    if not total:
        tell(f"Nothing is indexed yet: code-index index {root}")
    elif vectors < total and mode != "lexical":
        tell(
            f"{total - vectors:,} of {total:,} chunks have no vector yet and are found only by their words; "
            "`code-index resume` embeds them."
        )


def _found(
    path: Path | None, index_dir: Path | None, query: str, options: dict[str, Any]
) -> tuple[Path, dict[str, Any]]:
    """The repository, and the answer of the process that serves its index, or the same from a search in this one."""
    from code_index.index.folder import locate_index_folder
    from code_index.index.trust import is_trusted
    from code_index.serving.questions import ask

    # Whoever serves refuses what else may be wrong with the folder; to look through it all would take as long as a search.
    folder = locate_index_folder(path, index_dir)
    if is_trusted(folder.path):
        asked = {"query": query, "highlight": has_colours(), **options}
        answer: dict[str, Any] | None = ask(folder, "search", asked)
        if answer is not None:
            return folder.repository_root, answer
    folder = folder_of(path, index_dir)
    from code_index import Index
    from code_index.serving.answers import found
    from code_index.serving.highlighting import highlighted

    index = Index.open(folder.repository_root, folder.path)
    styled = (lambda texts: [highlighted(lines, language) for language, lines in texts]) if has_colours() else None
    return folder.repository_root, found(index, query, highlight=styled, **options)


def _by_weight(explanation: dict[str, float]) -> list[tuple[str, float]]:
    """The shares that make the score, then what makes each of them: the file's features, the chunk's, greatest first."""
    groups: dict[str, list[tuple[str, float]]] = {}
    for part, value in explanation.items():
        groups.setdefault(part.partition(":")[0] if ":" in part else "", []).append((part, value))
    return [item for group in groups.values() for item in sorted(group, key=lambda item: -abs(item[1]))]


def _show(number: int, hit: dict[str, Any], shown: dict[str, Any]) -> None:
    say(
        f"{number:>2}. ",
        Styled(f"{hit['file_path']}:{hit['start_line']}", fg="cyan", bold=True),
        "  ",
        Styled(hit["qualified_name"] or hit["chunk_type"], bold=True),
        f"  ({hit['chunk_type']}, {hit['language']})  {hit['score']:.3f}",
    )
    if hit["copies"]:
        say(Styled(f"      {len(hit['copies'])} more like it: {', '.join(hit['copies'])}", dim=True))
    for part, value in _by_weight(hit["explanation"] or {}):
        say(Styled(f"      {value:+8.3f}  {part.replace('_', ' ')}", dim=True))
    say_code(shown["lines"], indent="      ")
    if shown["left"] > 0:
        say(Styled(f"      ... {shown['left']} more lines", dim=True))
    say()
