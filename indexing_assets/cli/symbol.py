"""`code-index symbol`: definitions and references by name, and outlines."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from code_index.core.errors import UsageError
from indexing_assets.cli.first_index import first_index
from indexing_assets.cli.forms import Form, form_options, is_shown_for_programs
from indexing_assets.cli.hits import STATES, tell_freshness, tell_notes
from indexing_assets.cli.options import complete_file, folder_of, index_dir_option, repository_option
from indexing_assets.cli.output import Styled, say, say_json, tell

if TYPE_CHECKING:
    from code_index import Answer, Reference, Symbol

_KINDS = ("class", "function", "method", "variable", "field", "module")
_REFERENCE_KINDS = ("call", "inheritance", "import", "use")
_INDENT = "  "


@click.command("symbol")
@click.argument("name", required=False)
@repository_option
@index_dir_option
@click.option(
    "--kind",
    type=click.Choice([*_KINDS, *_REFERENCE_KINDS], case_sensitive=False),
    metavar="KIND",
    help=f"Only this kind: {', '.join(_KINDS)}; with --references {', '.join(_REFERENCE_KINDS)}.",
)
@click.option("--references", "uses", is_flag=True, help="The places that use NAME, the surest first.")
@click.option(
    "--outline",
    "target",
    metavar="PATH",
    shell_complete=complete_file,
    help="What a file, or a class by its name, defines; without NAME.",
)
@click.option(
    "--limit", "-n", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Most lines to show."
)
@form_options
@first_index(words_do=True)
def command(
    name: str | None,
    path: Path | None,
    index_dir: Path | None,
    kind: str | None,
    uses: bool,
    target: str | None,
    limit: int,
    form: Form,
) -> None:
    """Find the definitions of NAME: exactly it, then where it is a part of a name.

    NAME may be qualified: Counter.increment, Counter::increment.
    """
    if (name is None) == (target is None) or (target is not None and (uses or kind)):
        raise UsageError("Say a NAME, with --references or --kind if you like, or --outline PATH.")
    from code_index import Index

    folder = folder_of(path, index_dir)
    index = Index.open(folder.repository_root, folder.path)
    answer: Answer[Any]
    show: Callable[[Sequence[Any]], None]
    if target is not None:
        here = Path.cwd() / target
        answer, show = index.outline(str(here if here.is_file() else target)), _show_outline
    elif uses:
        answer, show = index.references(name or "", kind=kind, limit=limit), _show_references
    else:
        answer, show = index.symbol(name or "", kind=kind, limit=limit), _show_symbols
    said: dict[str, Any] = {"envelope": answer.envelope(), "without_vector": [0]}
    if form is Form.JSON:
        say_json(said["envelope"])
        return
    found: Sequence[Any] = answer.hits
    if not found or not is_shown_for_programs(form, said["envelope"]):
        show(found)
    tell_notes(said)
    tell_freshness(said, by_meaning=False)


def _show_symbols(symbols: "Sequence[Symbol]") -> None:
    if not symbols:
        tell("Nothing of this name is defined here.")
    for one in symbols:
        say(
            Styled(f"{one.file_path}:{one.line}", fg="cyan", bold=True),
            "  ",
            Styled(one.qualified_name, bold=True),
            f"  ({one.kind}, {one.language})  lines {one.start_line}-{one.end_line}",
            Styled(STATES.get(one.state or "", ""), fg="yellow"),
        )


def _show_outline(symbols: "Sequence[Symbol]") -> None:
    if not symbols:
        tell("Nothing with a name is defined there.")
    for at, one in enumerate(symbols):
        if at == 0 or symbols[at - 1].file_path != one.file_path:
            say(Styled(one.file_path, fg="cyan", bold=True))
        say(f"{one.line:>6}  {_INDENT * one.depth}", Styled(one.name, bold=True), f"  ({one.kind})")


def _show_references(found: "Sequence[Reference]") -> None:
    if not found:
        tell("No place that uses this name is known.")
    for one in found:
        named = f"{one.receiver}.{one.name}" if one.receiver else one.name
        more = f" and {len(one.lines) - 1} more in it" if len(one.lines) > 1 else ""
        say(
            Styled(f"{one.file_path}:{one.lines[0]}", fg="cyan", bold=True),
            "  ",
            Styled(named, bold=True),
            f"  {one.kind} in {one.enclosing or 'module code'}{more}  ({one.confidence}",
            f": {one.target})" if one.target else ")",
            Styled(STATES.get(one.state or "", ""), fg="yellow"),
        )
