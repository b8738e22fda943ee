"""All printing of the command line: no other module of this room writes to a stream (a test reads the sources).

Belongs here: lines, code, JSON and shell words for a terminal or a pipe, each escaped. Does not belong here: the streams
themselves (`indexing_assets.cli.streams`) and the words of a command.

Decision: everything that is printed is data. Values come from repositories, tables, settings and other processes,
and an escape sequence in one commands the terminal. So it is not each value that is escaped, which one forgets, but
each line, here; only `Styled` text gets a colour, and is escaped as well.
"""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TextIO

import click

from code_index.core.quoting import json_text, printable, printable_code, printable_message

# Names of styles: `code_index.serving.highlighting`.
CODE_COLOURS: Mapping[str, str] = {
    "keyword": "blue",
    "type": "cyan",
    "string": "yellow",
    "comment": "bright_black",
    "number": "blue",
    "function": "green",
    "class": "green",
    "builtin": "cyan",
    "decorator": "bright_black",
}


@dataclass(frozen=True, slots=True)
class Styled:
    """A part of a line with a style, which is left out where no terminal shows it."""

    text: str
    fg: str | None = None
    bold: bool | None = None
    dim: bool | None = None


def say(*parts: str | Styled) -> None:
    r"""Print one line; control characters in it are escaped, also an end of line (`\n`) that a value holds."""
    coloured = _has_colours(sys.stdout)
    _write("".join(_shown(part, coloured=coloured) for part in parts) + "\n")


def tell(text: str) -> None:
    """Print one line on standard error, escaped as by `say`."""
    tell_message(printable(text))


def tell_message(text: str) -> None:
    """Print text of several lines on standard error; all control characters but ends of lines and tabs are escaped."""
    sys.stdout.flush()  # both may go to the same place
    sys.stderr.write(printable_message(text).rstrip("\n") + "\n")
    sys.stderr.flush()


def tell_on(terminal: TextIO, text: str) -> None:
    """Print one line on a terminal, escaped, where standard error may be a file for a while."""
    terminal.write(f"\r{printable(text)}\n")
    terminal.flush()


def show_cursor(terminal: TextIO) -> None:
    """Show the cursor of a terminal again, which progress hides."""
    terminal.write("\x1b[?25h\n")
    terminal.flush()


def say_code(lines: Sequence[Sequence[Sequence[str]]], *, indent: str) -> None:
    """Print lines of source code, each of parts with the name of a style; in colour on a terminal."""
    coloured = has_colours()
    for line in lines:
        _write(indent + "".join(_styled(*part, coloured=coloured) for part in line) + "\n")


def is_told_to_a_person() -> bool:
    """Tell whether standard error is a terminal."""
    return sys.stderr.isatty()


def has_colours() -> bool:
    """Tell whether standard output is a terminal that shows colours."""
    return _has_colours(sys.stdout)


def _styled(style: str, text: str, *, coloured: bool) -> str:
    shown = printable_code(text)
    colour = CODE_COLOURS.get(style) if coloured else None
    return click.style(shown, fg=colour) if colour else shown


def say_json(data: Any) -> None:
    """Print JSON in ASCII, so that nothing in it commands a terminal; a number that JSON cannot spell is `null`."""
    _write(json_text(data, indent=2) + "\n")


def say_exports(variables: Mapping[str, str]) -> None:
    """Print `export NAME=value` lines for a POSIX shell to evaluate; each value arrives there byte by byte as it is."""
    text = "".join(f"export {name}={shell_word(value)}\n" for name, value in variables.items())
    sys.stdout.flush()
    # Bytes: the encoding of the terminal may lack a character of a path.
    sys.stdout.buffer.write(os.fsencode(text))


def confirm(question: str, *, default: bool = True) -> bool:
    """Ask a person at the terminal; Enter means the default."""
    return click.confirm(printable(question), default=default, err=True)


def shell_word(value: str) -> str:
    """A word that every POSIX shell reads as `value`, without any control character but ends of lines.

    What a terminal would obey is spelled for `printf`: every shell has that, and not every one has `$'...'`.
    """
    words = []
    for harmless, run in groupby(value, key=lambda c: c.isprintable() or c == "\n"):
        text = "".join(run)
        octal = "".join(f"\\{byte:03o}" for byte in os.fsencode(text))
        words.append(shlex.quote(text) if harmless else f"\"$(printf '{octal}')\"")
    return "".join(words) or "''"


def human_bytes(size: float) -> str:
    """A size for people: 1.5 MB."""
    step = 1000
    if size < step:
        return f"{size:,.0f} B"
    for unit in ("KB", "MB"):
        size /= step
        if size < step:
            return f"{size:,.1f} {unit}"
    return f"{size / step:,.1f} GB"


def _write(text: str) -> None:
    """Write text that is escaped already, colours included."""
    write = getattr(sys.stdout, "write_plain", sys.stdout.write)
    write(text)


def _shown(part: str | Styled, *, coloured: bool) -> str:
    if isinstance(part, str):
        return printable(part)
    text = printable(part.text)
    return click.style(text, fg=part.fg, bold=part.bold, dim=part.dim) if coloured else text


def _has_colours(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
