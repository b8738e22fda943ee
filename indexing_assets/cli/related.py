"""`code-index related`: find code like that at a line."""

from pathlib import Path
from typing import Any

import click

from code_index.core.errors import UsageError
from indexing_assets.cli.hits import show_hit, tell_freshness
from indexing_assets.cli.options import filter_options, index_dir_option, indexes_of, json_option, repository_option
from indexing_assets.cli.output import say_json, tell


@click.command("related")
@click.argument("place", metavar="PATH:LINE")
@repository_option
@index_dir_option
@click.option("--limit", "-n", type=click.IntRange(1, 1000), default=10, show_default=True, help="Most hits to show.")
@filter_options
@json_option
def command(place: str, path: Path | None, index_dir: Path | None, limit: int, as_json: bool, **filters: Any) -> None:
    """Find code like that at PATH:LINE; copies and near-duplicates are named as such. Needs no model."""
    file, _, line = place.rpartition(":")
    if not file or not line.isdecimal():
        raise UsageError(f"{place!r:.80} names no line. Write it as path/to/file.py:120.")
    (index,) = indexes_of(path, index_dir).members
    here = Path.cwd() / file
    answer = index.related(here if here.is_file() else file, int(line), limit=limit, **filters)
    if as_json:
        say_json(answer.envelope())
        return
    for note in answer.notes:
        tell(note)
    if not answer.hits:
        tell("Nothing found.")
    for number, hit in enumerate(answer.hits, start=1):
        show_hit(number, hit, "")
    tell_freshness(answer.freshness)
