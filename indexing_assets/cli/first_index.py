"""The first index, made by a question that finds none: words are answered seconds later, meaning follows.

Belongs here: the offer, and in which order an answer and the phases come. Does not belong here: the phases
(`indexing_assets.cli.index`), and what a run is expected to take (`indexing_assets.operations.forecast`).
"""

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import click

from code_index.core.errors import IndexMissingError, UsageError
from code_index.index.folder import locate_index_folder
from indexing_assets.cli.interrupts import saying_what_is_kept
from indexing_assets.cli.options import folder_of
from indexing_assets.cli.outcome import print_outcome, what_is_kept
from indexing_assets.cli.output import confirm, tell

if TYPE_CHECKING:
    from code_index.index.folder import IndexFolder
    from indexing_assets.operations.pipeline import Pipeline
    from indexing_assets.runs.in_process import PhaseResult

_Command = Callable[..., Any]

# Who waits so long gets one answer, by both.
_SHORT_S = 15.0


def first_index(*, words_do: bool) -> Callable[[_Command], _Command]:
    """`--index`, for commands that ask an index: they make it where there is none. Stands right above the function.

    Args:
        words_do: whether the command has an answer before there are vectors.
    """

    def decorated(command: _Command) -> _Command:
        @click.option(
            "--index", "index_first", is_flag=True, help="Where there is no index, make it first, without asking."
        )
        @wraps(command)
        def asking(*, index_first: bool, **arguments: Any) -> None:
            several = arguments.get("repositories") or arguments.get("all_indexes")
            if several and index_first:
                raise UsageError("--index makes the index of one repository. Name it with --path.")
            if several or locate_index_folder(arguments["path"], arguments["index_dir"]).exists:
                command(**arguments)
                return
            folder = folder_of(arguments["path"], arguments["index_dir"])
            _agree(folder, wanted=index_first, named=arguments["path"] is not None)
            words_do_here = words_do and arguments.get("mode") != "semantic"
            with saying_what_is_kept(lambda: what_is_kept(folder)), _indexed(folder, words_do=words_do_here) as words:
                if words and arguments.get("mode") == "hybrid":
                    arguments["mode"] = "lexical"
                command(**arguments)

        return asking

    return decorated


def _agree(folder: "IndexFolder", *, wanted: bool, named: bool) -> None:
    """Make sure that the repository is meant, and that somebody wants it to be indexed.

    Raises:
        IndexMissingError: nobody does, or nobody can be asked.
    """
    root = folder.repository_root
    if folder.holds_home and not (wanted and named):
        raise IndexMissingError(
            f"There is no index at {folder.path}, and {root} is no repository. Name one with --path; to index this folder "
            f"all the same: code-index index {shlex.quote(str(root))}"
        )
    if wanted:
        return
    missing = f"There is no index at {folder.path}."
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise IndexMissingError(f"{missing} Run `code-index index {root}` first, or say --index.")
    from indexing_assets.cli.dry_run import duration
    from indexing_assets.cli.output import human_bytes
    from indexing_assets.operations.forecast import forecast

    tell(f"{missing} Looking at {root} ...")
    found = forecast(folder, folder.settings())
    later = "" if found.configured_s is None else f", meaning about {duration(found.configured_s)} later"
    tell(
        f"{found.files:,} files ({human_bytes(found.bytes)}), about {found.chunks:,} chunks: words are found in about "
        f"{duration(found.parse_s)}{later}."
    )
    if not confirm("Index it now?"):
        raise IndexMissingError(f"Nothing was indexed. Later: code-index index {root}")


@contextmanager
def _indexed(folder: "IndexFolder", *, words_do: bool) -> Iterator[bool]:
    """Parse, and embed before the block or after it; gives whether it is after, so that the block has only words."""
    from indexing_assets.cli.index import mark_complete, prepare, run_phases

    started = time.perf_counter()
    prepare(folder, wait=True)
    from indexing_assets.cli.terminal_progress import showing_progress, tell_waiting
    from indexing_assets.operations.pipeline import Pipeline

    with Pipeline(folder, on_wait=tell_waiting) as pipeline:
        with showing_progress():
            results = run_phases(pipeline, "parse")
        finish = partial(_finish, pipeline, results, started)
        words_first = words_do and not _is_short(pipeline)
        code = 0 if words_first else finish()
        yield words_first
        if words_first:
            tell("Answered by words. Meaning follows; Ctrl-C keeps what is stored.")
            code = finish()
        complete = None if code else pipeline.nothing_left(results["scan"])
    if complete is not None:
        mark_complete(folder, complete)
    if code:
        raise click.exceptions.Exit(code)
    if words_first:
        again = shlex.join(argument for argument in sys.argv[1:] if argument != "--index")
        tell(f"Meaning is searched from now on. Ask again: code-index {again}")


def _finish(pipeline: "Pipeline", results: dict[str, "PhaseResult"], started: float) -> int:
    """Embed what was parsed, and say what was done, on standard error; returns the exit status."""
    from indexing_assets.cli.index import run_phases
    from indexing_assets.cli.terminal_progress import showing_progress

    _ = pipeline.model_id  # prepared before bars are shown
    with showing_progress():
        embedded = run_phases(pipeline, "embed")
    return print_outcome(pipeline, results | embedded, seconds=time.perf_counter() - started, line=tell)


def _is_short(pipeline: "Pipeline") -> bool:
    from indexing_assets.operations.forecast import embed_seconds, embedding_by

    seconds = embed_seconds(pipeline.store.chunks.count(), *embedding_by(pipeline.settings.embedder))
    return seconds is not None and seconds <= _SHORT_S
