"""Text that may be shown: what commands a terminal, or shows another order than the real one, is escaped.

Belongs here: the escaping. Does not belong here: where text is printed (`indexing_assets.cli.output`).

A name, a line of code or an error's words are data; an escape sequence in one moves the cursor, sets the window's title,
or types for the user.
"""

import unicodedata

_LAYOUT = "\n\t"
# Control characters (escape sequences begin with one, C1 ones included), direction marks, separators of lines.
_COMMANDING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_HARMLESS = frozenset("\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH NO-BREAK SPACE}")


def printable(text: str, *, keep: str = "") -> str:
    """Text with control characters escaped, so that a file's name cannot command the terminal; those in `keep` stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)


def printable_code(line: str) -> str:
    """A line of code as it is, but for what commands a terminal or makes it show another order than the real one.

    Spaces of other scripts, private and unassigned characters, and the joiners of emoji stay: they do no harm.
    """
    if line.isprintable():
        return line
    return "".join(_escaped(c) if c not in _HARMLESS and unicodedata.category(c) in _COMMANDING else c for c in line)


def printable_message(text: str) -> str:
    """A message of several lines with all other control characters escaped."""
    return printable(text, keep=_LAYOUT)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
