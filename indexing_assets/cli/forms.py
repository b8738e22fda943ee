"""Forms of an answer: text, JSON, or what another program reads, and the options that choose one.

Belongs here: what is printed for other programs, and which options contradict each other. Does not belong here: the text for a
reader (`indexing_assets.cli.hits` and the commands).

Paths in the forms for programs lead there from the current folder, as those of grep do; in the text they are those of the
repository.
"""

import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Any

import click

from code_index.core.errors import UsageError
from code_index.core.lines import lines_of
from indexing_assets.cli.options import with_options
from indexing_assets.cli.output import say, say_names, tell

_Command = Callable[..., Any]
_COLOURS = {"auto": None, "always": True, "never": False}


class Form(StrEnum):
    """Forms of an answer, by the option that says them most shortly."""

    TEXT = "--format text"
    PLACES = "--format path:line"
    JSON = "--json"
    FILES = "--files-only"
    RAW_FILES = "--files-only --null"


def form_options(command: _Command) -> _Command:
    """`--format`, `--json`, `--files-only`, `--null` and `--color`; the command gets them as `form`."""

    @wraps(command)
    def formed(
        *arguments: Any, format_: str | None, as_json: bool, files_only: bool, null: bool, colour: str, **options: Any
    ) -> Any:
        named = {Form.TEXT: format_ == "text", Form.PLACES: format_ == "path:line"}
        named |= {Form.JSON: as_json or format_ == "json", Form.FILES: files_only}
        given: list[str] = [form for form, is_given in named.items() if is_given]
        form = Form(given[0]) if given else Form.TEXT
        if null and not files_only:
            raise UsageError("--null is for --files-only. Say both.")
        of_text = {"--context": options.get("around") is not None, "--color always": colour == "always"}
        if form is not Form.JSON:
            of_text["--explain"] = options.get("explain", False)
        # That of `context` has a default, and is of the answer itself.
        of_text["--max-tokens"] = "around" in options and options.get("max_tokens") is not None
        if form is not Form.TEXT:
            given += [name for name, is_given in of_text.items() if is_given]
        if len(given) > 1:
            raise UsageError(f"{given[0]} and {given[1]} contradict each other. Use one of them.")
        click.get_current_context().color = _COLOURS[colour]
        return command(*arguments, form=Form.RAW_FILES if null else form, **options)

    return with_options(
        formed,
        click.option(
            "--format",
            "format_",
            type=click.Choice(["text", "path:line", "json"]),
            help="Text (the default), lines path:line:what for the list of places of an editor, or JSON.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Short for --format json."),
        click.option("--files-only", is_flag=True, help="Only the files of the hits, each once, best first."),
        click.option(
            "--null",
            "-0",
            is_flag=True,
            help="With --files-only: end each name with a null byte, and escape none; for xargs -0.",
        ),
        click.option(
            "--color",
            "colour",
            type=click.Choice(list(_COLOURS)),
            default="auto",
            show_default=True,
            help="Colours of the text; auto: at a terminal, and as NO_COLOR and FORCE_COLOR say.",
        ),
    )


def context_option(command: _Command) -> _Command:
    """`--context N`."""
    return click.option(
        "--context",
        "around",
        metavar="N",
        type=click.IntRange(0, 1000),
        help="Show N lines of the file before and after the best line of each hit, with their numbers.",
    )(command)


def budget_option(command: _Command) -> _Command:
    """`--max-tokens`, for commands that show parts of hits."""
    return click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        help="Budget of the text, by the estimate of `code-index context`; hits that find no room are places only.",
    )(command)


def is_shown_for_programs(form: Form, envelope: Mapping[str, Any]) -> bool:
    """Print the places or files of an answer, if that is the form; tell whether that was done.

    Copies follow the hit that stands for them. What is gone is left out, and told: another program could not open it.
    """
    if form is Form.TEXT:
        return False
    places: list[tuple[str, object, str]] = []
    for hit in envelope["hits"]:
        root = hit.get("repository") or envelope["repository"]
        path = _path_from_here(root, hit["file_path"])
        if hit["state"] == "gone":
            tell(f"Left out, gone since it was indexed: {path}")
            continue
        places += [(path, line, _what(hit)) for line in hit.get("lines") or [hit.get("line") or hit["start_line"]]]
        for copy, _, line in (place.rpartition(":") for place in hit.get("copies", ())):
            places.append((_path_from_here(root, copy), line, _what(hit)))
    files = list(dict.fromkeys(path for path, _, _ in places))
    if form is Form.PLACES:
        for path, line, what in places:
            say(f"{path}:{line}:{what}")
    elif form is Form.RAW_FILES:
        say_names(files)
    else:
        for path in files:
            say(path)
    return True


def _path_from_here(root: str, path: str) -> str:
    """The path of a file from the current folder, if that is in its repository, else an absolute one."""
    here, file = Path.cwd(), Path(root, path)
    return os.path.relpath(file, here) if here.is_relative_to(root) else str(file)


def _what(hit: Mapping[str, Any]) -> str:
    """The name of a hit, else its first line that says something."""
    if "enclosing" in hit:
        return f"{hit['kind']} in {hit['enclosing'] or 'module code'}"
    text = hit["content"] if "content" in hit else hit.get("text", "").partition("\n")[2]
    return hit["qualified_name"] or next((line.strip() for line in lines_of(text) if line.strip()), "")
