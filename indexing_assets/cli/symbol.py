"""`code-index symbol`: definitions and references by name, and outlines."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from code_index.core.errors import UsageError
from indexing_assets.cli.first_index import first_index
from indexing_assets.cli.forms import Form, context_option, form_options, is_shown_for_programs
from indexing_assets.cli.hits import STATES, code_lines, tell_freshness, tell_notes
from indexing_assets.cli.options import complete_file, folder_of, index_dir_option, repository_option
from indexing_assets.cli.output import Styled, has_colours, say, say_json, tell

if TYPE_CHECKING:
    from code_index import Answer, Index, Reference, Symbol

_KINDS = ("class", "function", "method", "variable", "field", "module")
_REFERENCE_KINDS = ("call", "inheritance", "import", "use")
_INDENT = "  "
_Below = Callable[[Any, int], None]


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
@context_option
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
    around: int | None,
) -> None:
    """Find the definitions of NAME: exactly it, then where it is a part of a name.

    NAME may be qualified: Counter.increment, Counter::increment.
    """
    if (name is None) == (target is None) or (target is not None and (uses or kind)):
        raise UsageError("Say a NAME, with --references or --kind if you like, or --outline PATH.")
    if target is not None and around is not None:
        raise UsageError("--outline and --context contradict each other. Use one of them.")
    from code_index import Index

    folder = folder_of(path, index_dir)
    index = Index.of(folder)
    answer: Answer[Any]
    show: Callable[[Sequence[Any], _Below], None]
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
        show(found, _below(index, found, around))
    tell_notes(said)
    tell_freshness(said, by_meaning=False)


def _below(index: "Index", found: Sequence[Any], around: int | None) -> _Below:
    """A function that prints the lines of a file around one of what was found, if they are wanted and there."""
    if around is None:
        return lambda _found, _line: None
    from code_index.serving.answers import lines_around, lines_of_files
    from code_index.serving.highlighting import highlighted, plain

    files = lines_of_files(index, {one.file_path for one in found if one.state != "gone"})

    def show(one: Any, line: int) -> None:
        if one.file_path not in files:
            return
        shown = lines_around(files[one.file_path], line, around)
        lines = highlighted(shown["lines"], one.language) if has_colours() else plain(shown["lines"])
        for parts in code_lines({**shown, "lines": lines}):
            say(*parts)
        say()

    return show


def _show_symbols(symbols: "Sequence[Symbol]", below: _Below) -> None:
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
        below(one, one.line)


def _show_outline(symbols: "Sequence[Symbol]", _below: _Below) -> None:
    if not symbols:
        tell("Nothing with a name is defined there.")
    for at, one in enumerate(symbols):
        if at == 0 or symbols[at - 1].file_path != one.file_path:
            say(Styled(one.file_path, fg="cyan", bold=True))
        say(f"{one.line:>6}  {_INDENT * one.depth}", Styled(one.name, bold=True), f"  ({one.kind})")


def _show_references(found: "Sequence[Reference]", below: _Below) -> None:
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
        for line in one.lines:
            below(one, line)
