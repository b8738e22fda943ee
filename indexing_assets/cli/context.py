"""`code-index context`: the best code for a task, packed to a budget of tokens."""

from pathlib import Path
from typing import Any

import click

from indexing_assets.cli.asking import asked
from indexing_assets.cli.first_index import first_index
from indexing_assets.cli.forms import Form, form_options, is_shown_for_programs
from indexing_assets.cli.hits import tell_freshness, tell_notes
from indexing_assets.cli.options import (
    filter_options,
    index_dir_option,
    mode_option,
    repository_option,
    several_options,
)
from indexing_assets.cli.output import Styled, code, say, say_json, tell


@click.command("context")
@click.argument("task", nargs=-1, required=True)
@repository_option
@index_dir_option
@several_options
@mode_option
@click.option("--max-tokens", type=int, default=8_000, show_default=True, help="Budget, by an estimate from above.")
@filter_options
@form_options
@first_index(words_do=True)
def command(
    task: tuple[str, ...],
    path: Path | None,
    index_dir: Path | None,
    repositories: tuple[Path, ...],
    all_indexes: bool,
    mode: str,
    max_tokens: int,
    form: Form,
    **filters: Any,
) -> None:
    """Print the best code for TASK, with the headers of what encloses it, within a budget of tokens."""
    arguments = {"task": " ".join(task), "max_tokens": max_tokens, "mode": mode, **filters}
    answer = asked("context", arguments, path, index_dir, repositories, all_indexes=all_indexes)
    if form is Form.JSON:
        say_json(answer["envelope"])
        return
    tell_notes(answer)
    if not answer["envelope"]["hits"]:
        tell("Nothing found.")
    if not is_shown_for_programs(form, answer["envelope"]):
        for piece, shown in zip(answer["envelope"]["hits"], answer["shown"], strict=True):
            say(Styled(piece["text"].partition("\n")[0], fg="cyan", bold=True))
            for line in shown["lines"]:
                say(*code(line))
            say()
    tell_freshness(answer, by_meaning=mode != "lexical")
