"""`code-index search`: find code by meaning and by words."""

from pathlib import Path
from typing import Any

import click

from indexing_assets.cli.hits import show_hit, tell_freshness
from indexing_assets.cli.options import (
    filter_options,
    index_dir_option,
    indexes_of,
    json_option,
    mode_option,
    repository_option,
    several_options,
)
from indexing_assets.cli.output import say_json, tell


@click.command("search")
@click.argument("query", nargs=-1, required=True)
@repository_option
@index_dir_option
@several_options
@mode_option
@click.option("--limit", "-n", type=click.IntRange(1, 1000), default=10, show_default=True, help="Most hits to show.")
@filter_options
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
    repositories: tuple[Path, ...],
    all_indexes: bool,
    mode: str,
    limit: int,
    per_file: int,
    explain: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """Search the index for QUERY, words or code in any form."""
    indexes = indexes_of(path, index_dir, repositories, all_indexes=all_indexes)
    text = " ".join(query)
    answer = indexes.ask(text, mode=mode, limit=limit, per_file=per_file, explain=explain, **filters)
    if explain and mode != "hybrid":
        tell(f"--explain has nothing to say of --mode {mode}: its score is that of one list.")
    if as_json:
        say_json(answer.envelope())
        return
    if not answer.hits:
        tell("Nothing found.")
        for index in indexes.members:
            for reason in index.why_nothing_matches(**filters):
                tell(reason)
    for number, hit in enumerate(answer.hits, start=1):
        show_hit(number, hit, text, several=len(indexes.members) > 1)
    tell_freshness(answer.freshness, by_meaning=mode != "lexical")
