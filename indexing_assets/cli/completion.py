"""`code-index completion`: names and options completed by bash, zsh and fish.

Belongs here: where each shell reads completions. Does not belong here: what completes (click, and the options themselves).

Decision: zsh has no folder of the user's own that it always reads, so it gets a block in `.zshrc`. To ask a shell for its
folders was rejected: that runs whatever its start files hold.
"""

import os
import re
from pathlib import Path

import click

from code_index.core.errors import CodeIndexError, UsageError
from indexing_assets.agents.files import content_of, replace, target_of
from indexing_assets.cli.output import say

_NAME = "code-index"
_SHELLS = ("bash", "zsh", "fish")
_MARK = "# Written by `code-index completion --install`; `--undo` in place of `--install` removes it."
_BEGIN, _END = "# >>> code-index completion >>>", "# <<< code-index completion <<<"
# Where the last line of the file had no end, and got one: undoing takes it away again.
_BEGIN_OF_LINE = "# >>> code-index completion, behind a line without an end >>>"
_BLOCK = re.compile(rf"({_BEGIN}|\n{_BEGIN_OF_LINE})\n.*?{_END}(?:\n|\Z)", re.DOTALL)
_START_OF_ZSH = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }"


@click.command("completion")
@click.argument("shell", required=False, metavar="[SHELL]", type=click.Choice(_SHELLS))
@click.option("--install", is_flag=True, help="Write the script where the shell reads it.")
@click.option("--undo", is_flag=True, help="Remove what --install wrote, and nothing else.")
def command(shell: str | None, install: bool, undo: bool) -> None:
    """Print the script with which SHELL completes commands and options; bash, zsh or fish, by default the one in $SHELL.

    With --install it is written where the shell reads it: for bash into the folder of bash-completion, which has to be
    installed, for fish into its folder of completions, for zsh as a block in .zshrc.
    """
    if install and undo:
        raise UsageError("--install and --undo contradict each other. Use one of them.")
    shell = shell or Path(os.environ.get("SHELL", "")).name
    if shell not in _SHELLS:
        raise UsageError(f"The shell in $SHELL is none of {', '.join(_SHELLS)}. Name one of them.")
    if not install and not undo:
        for line in _script(shell).splitlines():
            say(line)
        return
    path = _place(shell)
    target = target_of(path, inside=None)
    before = content_of(target)
    after = _changed(shell, path, before, undo=undo)
    if after == before:
        say("Nothing to undo." if undo else f"Nothing to do: {path} has it.")
        return
    replace(target, before, after)
    say(f"{path}: {'removed' if undo else 'written'}. Shells that start from now on follow it.")


def _script(shell: str) -> str:
    from click.shell_completion import get_completion_class

    from indexing_assets.cli.main import cli

    completion = get_completion_class(shell)
    if completion is None:
        raise CodeIndexError(f"The installed click knows no completion for {shell}. Install a newer one.")
    return completion(cli, {}, _NAME, "_CODE_INDEX_COMPLETE").source().strip() + "\n"


def _place(shell: str) -> Path:
    """The file that a shell reads."""
    if shell == "bash":
        own = os.environ.get("BASH_COMPLETION_USER_DIR")
        folder = Path(own) if own else _folder("XDG_DATA_HOME", ".local/share") / "bash-completion"
        return folder / "completions" / _NAME
    if shell == "fish":
        return _folder("XDG_CONFIG_HOME", ".config") / "fish" / "completions" / f"{_NAME}.fish"
    return _folder("ZDOTDIR", "") / ".zshrc"


def _folder(variable: str, below_home: str) -> Path:
    named = Path(os.environ.get(variable, ""))
    if named.is_absolute():
        return named
    home = Path(os.environ.get("HOME", ""))
    if not home.is_absolute():
        raise UsageError(f"You have no home folder, where shells have their files. Set HOME or {variable}.")
    return home / below_home


def _changed(shell: str, path: Path, before: bytes | None, *, undo: bool) -> bytes | None:
    """The content of the file of a shell with the script, or without it; None for no file."""
    if shell == "zsh":
        # What is no UTF-8 stays as it is.
        text = (before or b"").decode("utf-8", "surrogateescape")
        changed = _without_block(text) if undo else _with_block(text)
        return changed.encode("utf-8", "surrogateescape") or (None if undo else before)
    if before is not None and _MARK.encode() not in before:
        if undo:
            return before
        raise CodeIndexError(f"{path} is there, and code-index did not write it. Move it away; nothing was changed.")
    return None if undo else f"{_MARK}\n{_script(shell)}".encode()


def _with_block(text: str) -> str:
    block = f"{_MARK}\n{_START_OF_ZSH}\n{_script('zsh')}{_END}\n"
    if block in text:
        return text
    text = _without_block(text)
    begin = _BEGIN if not text or text.endswith("\n") else f"\n{_BEGIN_OF_LINE}"
    return f"{text}{begin}\n{block}"


def _without_block(text: str) -> str:
    found = _BLOCK.search(text)
    if found is None:
        return text
    before, after = text[: found.start()], text[found.end() :]
    return f"{before}\n{after}" if found[1] != _BEGIN and after else before + after
