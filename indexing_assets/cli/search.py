"""`code-index search`: find code by meaning and by words."""

from pathlib import Path
from typing import Any

import click

from indexing_assets.cli.asking import asked
from indexing_assets.cli.first_index import first_index
from indexing_assets.cli.forms import Form, budget_option, context_option, form_options
from indexing_assets.cli.hits import show_hits, tell_freshness, tell_notes
from indexing_assets.cli.options import (
    filter_options,
    index_dir_option,
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
@form_options
@context_option
@budget_option
@first_index(words_do=True)
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
    form: Form,
    around: int | None,
    max_tokens: int | None,
    **filters: Any,
) -> None:
    """Search the index for QUERY, words or code in any form."""
    options = {"mode": mode, "limit": limit, "per_file": per_file, "explain": explain, "around": around, **filters}
    arguments = {"query": " ".join(query), **options}
    answer = asked("search", arguments, path, index_dir, repositories, all_indexes=all_indexes)
    if explain and mode != "hybrid":
        tell(f"--explain has nothing to say of --mode {mode}: its score is that of one list.")
    if form is Form.JSON:
        say_json(answer["envelope"])
        return
    tell_notes(answer)
    if not answer["envelope"]["hits"]:
        tell("Nothing found.")
        for reason in answer["why_nothing"]:
            tell(reason)
    show_hits(answer, form, max_tokens)
    tell_freshness(answer, by_meaning=mode != "lexical")
