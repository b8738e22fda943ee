"""`code-index related`: find code like that at a line."""

from pathlib import Path
from typing import Any

import click

from code_index.core.errors import UsageError
from indexing_assets.cli.asking import asked
from indexing_assets.cli.first_index import first_index
from indexing_assets.cli.hits import show_hits, tell_freshness, tell_notes
from indexing_assets.cli.options import filter_options, index_dir_option, json_option, repository_option
from indexing_assets.cli.output import say_json, tell

_LONGEST_NUMBER = 18  # digits; no file has more lines


@click.command("related")
@click.argument("place", metavar="PATH:LINE")
@repository_option
@index_dir_option
@click.option("--limit", "-n", type=click.IntRange(1, 1000), default=10, show_default=True, help="Most hits to show.")
@filter_options
@json_option
@first_index(words_do=False)
def command(place: str, path: Path | None, index_dir: Path | None, limit: int, as_json: bool, **filters: Any) -> None:
    """Find code like that at PATH:LINE; copies and near-duplicates are named as such. Needs no model."""
    file, _, line = place.rpartition(":")
    if not file or not line.isdecimal() or len(line) > _LONGEST_NUMBER:
        raise UsageError(f"{place!r:.80} names no line. Write it as path/to/file.py:120.")
    here = Path.cwd() / file
    arguments = {"path": str(here if here.is_file() else file), "line": int(line), "limit": limit, **filters}
    answer = asked("related", arguments, path, index_dir)
    if as_json:
        say_json(answer["envelope"])
        return
    tell_notes(answer)
    if not answer["envelope"]["hits"]:
        tell("Nothing found.")
    show_hits(answer)
    tell_freshness(answer)
