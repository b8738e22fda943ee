"""Cache of exported graphs: a model is exported once per machine.

A graph's folder is named after everything that the graph depends on. It is filled under another name, then renamed:
processes that export at the same time do the work twice, and the first to finish wins.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from code_index.core.cache import cache_folder
from code_index.core.child_python import IMPORT_ROOT, child_environment
from code_index.core.errors import ModelError
from code_index.core.regular_files import load_json, read_regular_file
from code_index.embedding.models.model_files import ModelFiles

_LOG = logging.getLogger(__name__)

EXPORT_VERSION: Final = 1
"""Part of the cache key: raise it with any change to the output of `onnx_export`."""
GRAPH_FILE: Final = "model.onnx"
REPORT_FILE: Final = "export.json"
_EXPORT_TIMEOUT_S: Final = 900
_WORK_PREFIX: Final = ".export-"
_NAME_CHARACTERS: Final = 60


@dataclass(frozen=True, slots=True)
class Graph:
    """An exported graph. `precision` is that of the graph; `reason` says why it is not the requested one."""

    path: Path
    precision: str
    reason: str


def exported_graph(files: ModelFiles, precision: str) -> Graph:
    """The model as an ONNX graph (`float32` or `int8`), from the cache or exported now (about 15 s).

    Raises:
        ModelError: the model cannot be exported; the message ends with the exporter's last line.
    """
    place = cache_folder() / "onnx" / _key(files, precision)
    return _read(place) or _export(files, precision, place)


def _key(files: ModelFiles, precision: str) -> str:
    name = re.sub(r"[^\w.-]+", "--", files.name)[:_NAME_CHARACTERS]
    parts = [name, files.weights_sha256[:12], str(files.pooling), precision]
    return "-".join([*parts, f"e{EXPORT_VERSION}", f"ort{_major('onnxruntime')}", f"torch{_major('torch')}"])


def _major(package: str) -> str:
    try:
        return version(package).partition(".")[0]
    except PackageNotFoundError:
        return "none"


def _read(place: Path) -> Graph | None:
    try:
        report = load_json(read_regular_file(place / REPORT_FILE))
        graph = place / GRAPH_FILE
        if graph.stat().st_size == report["graph_bytes"]:
            return Graph(graph, str(report["precision"]), str(report["reason"]))
        _LOG.warning("%s is cut short: exporting the model again", graph)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        _LOG.warning("%s cannot be read (%r): exporting the model again", place, error)
    return None


def _export(files: ModelFiles, precision: str, place: Path) -> Graph:
    _LOG.info("preparing %s for the CPU (%s); this happens once and takes some seconds", files.name, precision)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(place.parent)
        work = Path(tempfile.mkdtemp(dir=place.parent, prefix=_WORK_PREFIX))
        try:
            _run_exporter(files, precision, work)
            _move(work, place)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise ModelError(f"the exported model cannot be kept in {place}: {error.strerror or error}") from error
    graph = _read(place)
    if graph is None:
        raise ModelError(f"the exported model in {place} vanished: another process cleared the cache; run again")
    _LOG.info("prepared %s: %s", files.name, graph.path)
    return graph


def _move(work: Path, place: Path) -> None:
    try:
        work.rename(place)
    except OSError:  # the folder exists: from a faster process, or damaged
        if _read(place) is None:
            shutil.rmtree(place)
            work.rename(place)


def _remove_leftovers(folder: Path) -> None:
    """Remove the folders of killed exports: those older than any export runs."""
    oldest = time.time() - 2 * _EXPORT_TIMEOUT_S
    for left in folder.glob(f"{_WORK_PREFIX}*"):
        if left.stat().st_mtime < oldest:
            shutil.rmtree(left, ignore_errors=True)


def _run_exporter(files: ModelFiles, precision: str, work: Path) -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "code_index.embedding.models.onnx_export",
    ]
    arguments = [str(files.transformer_folder), str(files.pooling), precision, str(work)]
    # Nothing is imported or configured from the working directory, which may be a stranger's repository.
    environment = child_environment([str(IMPORT_ROOT), *sys.path]) | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    advice = f"cannot be exported for the CPU backend: use backend torch for {files.name}"
    try:
        outcome = subprocess.run(
            [*command, *arguments],
            env=environment,
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_EXPORT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{files.folder} {advice}: no result after {_EXPORT_TIMEOUT_S} s") from error
    if outcome.returncode != 0:
        words = (outcome.stderr or outcome.stdout).strip()
        _LOG.debug("the exporter of %s said: %s", files.folder, words)
        last = words.rpartition("\n")[2] or "nothing, so it was probably killed: is there memory enough?"
        raise ModelError(f"{files.folder} {advice}. The exporter ended with status {outcome.returncode}: {last}")
