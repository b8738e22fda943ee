"""Writes docs/reference.md from the commands themselves.

.venv/bin/python .ci/reference.py            # print the page
.venv/bin/python .ci/reference.py --write    # put it into docs
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from code_index.index.settings import settings_template
from indexing_assets.cli.main import EXIT_STATUSES, VARIABLES, cli

PAGE = Path(__file__).resolve().parents[1] / "docs/reference.md"


def page() -> str:
    """The whole page."""
    lines = [
        "# Reference",
        "",
        "Every command with its options, as `code-index COMMAND --help` has them; [commands.md](commands.md) says how they work.",
        "Written by `.ci/reference.py --write`: change the help text of a command, not this page.",
        "",
        *_paragraphs(cli),
    ]
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        lines += _section(command)
    lines += ["## Exit status", "", *_table("status", {str(status): said for status, said in EXIT_STATUSES.items()})]
    lines += ["## Environment", "", *_table("variable", VARIABLES)]
    lines += [
        "## Settings",
        "",
        "`settings.toml` of a new index:",
        "",
        "```toml",
        settings_template().rstrip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def _section(command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"code-index {command.name}")
    usage = " ".join([context.info_name or "", *command.collect_usage_pieces(context)])
    yield from (f"## code-index {command.name}", "", "```", usage, "```", "")
    yield from _paragraphs(command)
    options = [option for option in command.params if isinstance(option, click.Option)]
    yield from _table("option", {_named(option, context): _meaning(option) for option in options})


def _paragraphs(command: click.Command) -> Iterator[str]:
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield from (" ".join(paragraph.split()), "")


def _table(head: str, rows: Mapping[str, str]) -> list[str]:
    cells = [f"| `{name}` | {said} |".replace("&#124;", r"\|") for name, said in rows.items()]
    return [f"| {head} | meaning |", "|---|---|", *cells, ""]


def _named(option: click.Option, context: click.Context) -> str:
    names = [*option.opts, *option.secondary_opts]
    if option.is_flag:
        return ", ".join(names)
    value = (
        "N"
        if isinstance(option.type, click.types.IntParamType) and not option.metavar
        else option.make_metavar(context)
    )
    return f"{', '.join(names)} {value}".replace("|", "&#124;")


def _meaning(option: click.Option) -> str:
    more = []
    if option.show_default and option.is_flag and option.secondary_opts:
        more.append(f"default: `{(option.opts if option.default else option.secondary_opts)[0]}`")
    elif option.show_default:
        more.append(f"default: {option.default}")
    if isinstance(option.type, click.IntRange):
        more.append(" ".join(f"{word} {bound:,}" for word, bound in _bounds(option.type)))
    said = (option.help or "").replace("|", "&#124;")
    return f"{said} ({'; '.join(more)})" if more else said


def _bounds(kind: click.IntRange) -> Iterator[tuple[str, float]]:
    if kind.min is not None:
        yield "from", kind.min
    if kind.max is not None:
        yield "to", kind.max


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page(), end="")
