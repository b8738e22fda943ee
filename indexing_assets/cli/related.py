"""`code-index related`: find code like that at a line."""

from pathlib import Path
from typing import Any

import click

from code_index.core.errors import UsageError
from indexing_assets.cli.asking import asked
from indexing_assets.cli.first_index import first_index
from indexing_assets.cli.forms import Form, budget_option, context_option, form_options
from indexing_assets.cli.hits import show_hits, tell_freshness, tell_notes
from indexing_assets.cli.options import complete_file, filter_options, index_dir_option, repository_option
from indexing_assets.cli.output import say_json, tell

_LONGEST_NUMBER = 18  # digits; no file has more lines


@click.command("related")
@click.argument("place", metavar="PATH:LINE", shell_complete=complete_file)
@repository_option
@index_dir_option
@click.option("--limit", "-n", type=click.IntRange(1, 1000), default=10, show_default=True, help="Most hits to show.")
@filter_options
@form_options
@context_option
@budget_option
@first_index(words_do=False)
def command(
    place: str,
    path: Path | None,
    index_dir: Path | None,
    limit: int,
    form: Form,
    around: int | None,
    max_tokens: int | None,
    **filters: Any,
) -> None:
    """Find code like that at PATH:LINE; copies and near-duplicates are named as such. Needs no model."""
    file, _, line = place.rpartition(":")
    if not file or not line.isdecimal() or len(line) > _LONGEST_NUMBER:
        raise UsageError(f"{place!r:.80} names no line. Write it as path/to/file.py:120.")
    here = Path.cwd() / file
    place_of = {"path": str(here if here.is_file() else file), "line": int(line)}
    answer = asked("related", {**place_of, "limit": limit, "around": around, **filters}, path, index_dir)
    if form is Form.JSON:
        say_json(answer["envelope"])
        return
    tell_notes(answer)
    if not answer["envelope"]["hits"]:
        tell("Nothing found.")
    show_hits(answer, form, max_tokens)
    tell_freshness(answer)
