"""The program that a script's first line runs it with.

Belongs here: programs that run others (`env`, `uv`, `nix-shell`, `npx`), and scripts that hand themselves on.
Does not belong here: the languages of programs (`interpreters` of the file types).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_LINE: Final = re.compile(rb"\A(?:\xef\xbb\xbf)?#![ \t]*([^\r\n]*)")
_NIX_SHELL: Final = re.compile(rb"^(?:#|//|--|;+|%)?[ \t]*#?![ \t]*nix-shell\b([^\r\n]*)", re.MULTILINE)
_HANDED_ON: Final = re.compile(rb"\A(?:[^\n]*\n){0,8}?[^\n]*\bexec[ \t]+([^\n\"]*?)[ \t]*\"?\$(?:\{?0\b|BASH_SOURCE)")
_WORD: Final = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s"'])+""")
_ASSIGNMENT: Final = re.compile(r"\w+=")
_VERSION: Final = "0123456789.-"

_RUNNERS: Final = {
    program: default
    for default, programs in {
        "": "env sudo doas nice nohup time timeout command exec busybox stdbuf setsid xvfb-run nix nix-shell guix conda "
        "mamba micromamba pixi mise rtx asdf direnv flox devbox devenv",
        "python": "uv uvx pipx poetry pdm hatch rye pipenv",
        "node": "npx npm pnpm pnpx yarn bunx",
        "deno": "bun deno",
        "ruby": "bundle rbenv",
        "runhaskell": "stack cabal",
    }.items()
    for program in programs.split()
}
"""Programs that run another one, each with the one that it runs where none is named."""

_SHELLS: Final = frozenset({"sh", "bash", "zsh", "ksh", "dash", "ash"})
_SHELL_OPTIONS: Final = frozenset({"-i", "--interpreter"})


def interpreters(head: bytes) -> Iterator[str]:
    """Names of programs, each with and without its version, the likeliest first; none without a shebang.

    `head` is the first bytes of the file.
    """
    line = _LINE.match(head)
    if line is None:
        return
    words = _words(line[1])
    first = _program(words[0]) if words else ""
    if first in _SHELLS and (handed := _HANDED_ON.match(head)) is not None:
        words = _words(handed[1]) + words
    fallback = ""
    position = 0
    while position < len(words):
        name = _program(words[position])
        position += 1
        if name.startswith("-") or _ASSIGNMENT.match(name) or not name:
            continue
        if name == "nix-shell":
            words = [*words[position:], *(word for found in _NIX_SHELL.finditer(head) for word in _words(found[1]))]
            options = [at for at, word in enumerate(words) if word in _SHELL_OPTIONS]
            words, position = words[options[0] + 1 :] if options else words, 0
        elif (run_by := _RUNNERS.get(name)) is not None:
            fallback = run_by or fallback
            continue
        yield from (name, name.rstrip(_VERSION))
        if first not in _RUNNERS and first not in _SHELLS:
            return
    yield fallback


def _words(text: bytes) -> list[str]:
    """The words of a command; a quoted text, and what is joined to `-S`, are words as well."""
    found: list[str] = []
    for word in _WORD.findall(text.decode("utf-8", "replace")):
        bare = re.sub(r"\A(?:-v?S|--split-string=|--command=)", "", word).strip("\"'")
        found += bare.split()
    return found


def _program(word: str) -> str:
    """`tsx` of `node_modules/.bin/tsx` and of `tsx@4`."""
    return word.rpartition("/")[2].partition("@")[0].lower()
