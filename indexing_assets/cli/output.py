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
from typing import Any, Final, TextIO

import click

from code_index.core.distribution import distribution_version
from code_index.core.errors import UsageError
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
STATE_FORMAT: Final = 1
"""Version of the objects that `say_state` prints; raised when a field of one changes its meaning or goes."""
# What other programs take for the wish for colours in a pipe.
_FORCING: Final = ("FORCE_COLOR", "CLICOLOR_FORCE")


@dataclass(frozen=True, slots=True)
class Styled:
    """A part of a line with a style, which is left out where no terminal shows it; of `code` more characters stay."""

    text: str
    fg: str | None = None
    bold: bool | None = None
    dim: bool | None = None
    code: bool = False


Part = str | Styled


def say(*parts: Part) -> None:
    r"""Print one line; control characters in it are escaped, also an end of line (`\n`) that a value holds."""
    _write(_line(parts, coloured=has_colours()))


def said(lines: Sequence[Sequence[Part]]) -> str:
    """Return what `say` prints of lines, without colours."""
    return "".join(_line(parts, coloured=False) for parts in lines)


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


def code(line: Sequence[Sequence[str]]) -> list[Styled]:
    """A line of source code, of parts with the name of a style and text, to say."""
    return [Styled(text, fg=CODE_COLOURS.get(style), code=True) for style, text in line]


def say_names(names: Sequence[str]) -> None:
    """Print names as they are, each ended by a null byte, for another program.

    Raises:
        UsageError: a terminal would obey what a name holds.
    """
    if sys.stdout.isatty():
        raise UsageError("--null prints names as they are, which a terminal may obey. Send them into a pipe or a file.")
    sys.stdout.flush()
    sys.stdout.buffer.write(b"".join(os.fsencode(name) + b"\0" for name in names))


def is_told_to_a_person() -> bool:
    """Tell whether standard error is a terminal."""
    return sys.stderr.isatty()


def has_colours() -> bool:
    """Tell whether standard output gets colours: as `--color` says, else the environment, else where a terminal shows them."""
    context = click.get_current_context(silent=True)
    if context is not None and context.color is not None:
        return context.color
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in {"", "0"} for name in _FORCING):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def say_json(data: Any) -> None:
    """Print JSON in ASCII, so that nothing in it commands a terminal; a number that JSON cannot spell is `null`."""
    _write(json_text(data, indent=2) + "\n")


def say_state(data: Mapping[str, Any]) -> None:
    """Print an object as `say_json` does, below the versions of its form (`format`) and of the program (`version`)."""
    say_json({"format": STATE_FORMAT, "version": distribution_version(), **data})


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


def _line(parts: Sequence[Part], *, coloured: bool) -> str:
    return "".join(_shown(part, coloured=coloured) for part in parts) + "\n"


def _shown(part: Part, *, coloured: bool) -> str:
    if isinstance(part, str):
        return printable(part)
    text = printable_code(part.text) if part.code else printable(part.text)
    styled = coloured and text and (part.fg or part.bold or part.dim)
    return click.style(text, fg=part.fg, bold=part.bold, dim=part.dim) if styled else text
