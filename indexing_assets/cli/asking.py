"""Asking an index: the process that serves it, if there is one, else this one; the answer is the same."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from indexing_assets.cli.options import indexes_of
from indexing_assets.cli.output import has_colours


def asked(
    question: str,
    arguments: Mapping[str, Any],
    path: Path | None,
    index_dir: Path | None,
    repositories: Sequence[Path] = (),
    *,
    all_indexes: bool = False,
) -> dict[str, Any]:
    """Ask a question of `code_index.serving.answers`; the options are those that name indexes.

    Raises:
        CodeIndexError: as `indexes_of`, and as the question.
    """
    if not repositories and not all_indexes:
        answer = _answer_of_process(question, arguments, path, index_dir)
        if answer is not None:
            return answer
    from code_index.serving.answers import ENGINE
    from code_index.serving.highlighting import highlighted

    indexes = indexes_of(path, index_dir, repositories, all_indexes=all_indexes)
    styled = (lambda texts: [highlighted(lines, language) for language, lines in texts]) if has_colours() else None
    return ENGINE[question](indexes, highlight=styled, **arguments)


def _answer_of_process(
    question: str, arguments: Mapping[str, Any], path: Path | None, index_dir: Path | None
) -> dict[str, Any] | None:
    from code_index.index.folder import locate_index_folder
    from code_index.index.trust import is_trusted
    from code_index.serving.questions import ask

    # Who serves refuses what else may be wrong with the folder; to look through it all would take as long as a search.
    folder = locate_index_folder(path, index_dir)
    if folder.tables_at is None and not is_trusted(folder.path):
        return None
    answer: dict[str, Any] | None = ask(folder, question, {**arguments, "highlight": has_colours()})
    return answer
