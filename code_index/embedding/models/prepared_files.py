"""Files made of a model's weights, once per machine, in a process of their own.

A folder is named after everything that its files depend on. It is filled under another name, then renamed: processes
that make the same at the same time do the work twice, and the first to finish wins. A process of its own, because the
weights are in memory several times while they are made (half a gigabyte for the built-in model), and because some
architectures need torch, which takes seconds to import and does not go well with a later fork.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from code_index.core.child_python import IMPORT_ROOT, child_environment
from code_index.core.errors import ModelError

_LOG = logging.getLogger(__name__)

_TIMEOUT_S: Final = 900
_WORK_PREFIX: Final = ".export-"

_Made = TypeVar("_Made")


def prepared_files(
    place: Path,
    read: Callable[[Path], _Made | None],
    *,
    module: str,
    arguments: Sequence[str],
    what: str,
    failure: str,
) -> _Made:
    """Read the files in the folder `place`, which are made first where `read` finds nothing.

    Args:
        place: the folder; its name says what its files depend on.
        read: gives None where the folder is missing or damaged.
        module: is run with `arguments` and a folder to fill, which must exist when it ends with status 0.
        arguments: of the module.
        what: is being made, for people who wait.
        failure: begins the sentence of the error when the module fails.

    Raises:
        ModelError: the files cannot be made; the message ends with the module's last line.
    """
    found = read(place)
    if found is not None:
        return found
    # A warning, so that it is seen: a search may wait for it.
    _LOG.warning("preparing %s: once on this machine", what)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(place.parent)
        work = Path(tempfile.mkdtemp(dir=place.parent, prefix=_WORK_PREFIX))
        try:
            _run(module, [*arguments, str(work)], work, failure)
            _move(work, place, read)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise ModelError(f"the exported model cannot be kept in {place}: {error.strerror or error}") from error
    found = read(place)
    if found is None:
        raise ModelError(f"the exported model in {place} vanished: another process cleared the cache; run again")
    _LOG.info("prepared %s: %s", what, place)
    return found


def _move(work: Path, place: Path, read: Callable[[Path], object]) -> None:
    try:
        work.rename(place)
    except OSError:  # the folder exists: from a faster process, or damaged
        if read(place) is None:
            shutil.rmtree(place)
            work.rename(place)


def _remove_leftovers(folder: Path) -> None:
    """Remove the folders of killed processes: those older than any process runs."""
    oldest = time.time() - 2 * _TIMEOUT_S
    for left in folder.glob(f"{_WORK_PREFIX}*"):
        if left.stat().st_mtime < oldest:
            shutil.rmtree(left, ignore_errors=True)


def _run(module: str, arguments: Sequence[str], work: Path, failure: str) -> None:
    # Nothing is imported or configured from the working directory, which may be a stranger's repository.
    environment = child_environment([str(IMPORT_ROOT), *sys.path]) | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    try:
        outcome = subprocess.run(
            [sys.executable, "-P", "-m", module, *arguments],
            env=environment,
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{failure}: no result after {_TIMEOUT_S} s") from error
    if outcome.returncode != 0:
        words = (outcome.stderr or outcome.stdout).strip()
        _LOG.debug("%s said: %s", module, words)
        last = words.rpartition("\n")[2] or "nothing, so it was probably killed: is there memory enough?"
        raise ModelError(f"{failure}. The exporter ended with status {outcome.returncode}: {last}")
