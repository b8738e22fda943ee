"""`code-index search`: find code by meaning and by words."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from indexing_assets.cli.options import index_dir_option, json_option, repository_option

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
@click.option("--language", "-l", multiple=True, help="Only this language (may be repeated).")
@click.option("--glob", "-g", "path_glob", help="Only paths that match, such as 'src/**/*.py' or 'docs/'.")
@click.option("--type", "-t", "chunk_type", multiple=True, help="Only this chunk type: function, class, method, ...")
@click.option("--function", "function_name", help="Only the function or method of this name.")
@click.option("--class", "class_name", help="Only the class of this name and its members.")
@click.option("--subproject", help="Only this subproject, by name.")
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
    as_json: bool,
) -> None:
    """Search the index for QUERY, words or code in any form."""
    from code_index import Index
    from indexing_assets.cli.output import printable

    index = Index.open(path, index_dir)
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
    )
    if as_json:
        click.echo(json.dumps([asdict(hit) for hit in hits], indent=2))
        return
    if not hits:
        click.echo("Nothing found.", err=True)
    for number, hit in enumerate(hits, start=1):
        _show(number, hit, text)
    there = index.store.search.available()
    total, vectors = there.chunks, there.vectors
    if not total:
        click.echo(f"Nothing is indexed yet: code-index index {printable(str(index.folder.repository_root))}", err=True)
    elif vectors < total and mode != "lexical":
        click.echo(
            f"{total - vectors:,} of {total:,} chunks have no vector yet and are found only by their words; "
            "`code-index resume` embeds them.",
            err=True,
        )


def _show(number: int, hit: "SearchHit", query: str) -> None:
    from code_index.search.hybrid import query_words
    from code_index.search.ranking import snippet_lines
    from indexing_assets.cli.output import printable, printable_code

    where = f"{printable(hit.file_path)}:{hit.start_line}"
    symbol = hit.qualified_name or hit.chunk_type
    click.echo(
        f"{number:>2}. {click.style(where, fg='cyan', bold=True)}  "
        f"{click.style(printable(symbol), bold=True)}  ({hit.chunk_type}, {hit.language})  {hit.score:.3f}"
    )
    words = query_words(query).split()
    first, lines = snippet_lines(hit.content, words, height=_SNIPPET_LINES)
    lines = [printable_code(line) for line in lines]
    shown = lines if os.environ.get("NO_COLOR") or not sys.stdout.isatty() else _highlighted(lines, hit.language)
    for line in shown:
        click.echo(f"      {line}")
    left = len(hit.content.splitlines()) - first - len(lines)
    if left > 0:
        click.echo(click.style(f"      ... {left} more lines", dim=True))
    click.echo()


def _highlighted(lines: list[str], language: str) -> list[str]:
    from pygments import highlight
    from pygments.formatters import TerminalFormatter
    from pygments.lexers import TextLexer, get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        lexer = TextLexer(stripnl=False)
    text: str = highlight("\n".join(lines), lexer, TerminalFormatter())
    return text.splitlines()[: len(lines)]
