"""Cache of exported graphs: a model is exported once per machine (`code_index.embedding.models.prepared_files`)."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from code_index.core.cache import cache_folder
from code_index.core.regular_files import load_json, read_regular_file
from code_index.embedding.models.model_files import ModelFiles
from code_index.embedding.models.prepared_files import prepared_files

_LOG = logging.getLogger(__name__)

EXPORT_VERSION: Final = 3
"""Part of the cache key: raise it with any change to the output of `onnx_export`."""
GRAPH_FILE: Final = "model.onnx"
WEIGHTS_FILE: Final = "model.weights"
"""Beside the graph, so that they are mapped and shared by processes: within it, each process has a copy of 60 MB."""
REPORT_FILE: Final = "export.json"
_NAME_CHARACTERS: Final = 60


@dataclass(frozen=True, slots=True)
class Graph:
    """An exported graph. `precision` is that of the graph; `reason` says why it is not the requested one."""

    path: Path
    precision: str
    reason: str


def exported_graph(files: ModelFiles, precision: str) -> Graph:
    """The model as an ONNX graph (`float32` or `int8`), from the cache or made now: in seconds, or with torch in up to a minute.

    Raises:
        ModelError: the model cannot be exported; the message ends with the exporter's last line.
    """
    return prepared_files(
        cache_folder() / "onnx" / _key(files, precision),
        _read,
        module="code_index.embedding.models.onnx_export",
        arguments=[str(files.transformer_folder), str(files.pooling), precision],
        what=f"{files.name} for the CPU ({precision})",
        failure=f"{files.folder} cannot be exported for the CPU backend: use backend torch for {files.name}",
    )


def _key(files: ModelFiles, precision: str) -> str:
    name = re.sub(r"[^\w.-]+", "--", files.name)[:_NAME_CHARACTERS]
    parts = [name, files.weights_sha256[:12], str(files.pooling), precision]
    return "-".join([*parts, f"e{EXPORT_VERSION}", f"ort{version('onnxruntime').partition('.')[0]}"])


def _read(place: Path) -> Graph | None:
    try:
        report = load_json(read_regular_file(place / REPORT_FILE))
        graph = place / GRAPH_FILE
        sizes = (graph.stat().st_size, (place / WEIGHTS_FILE).stat().st_size)
        if sizes == (report["graph_bytes"], report["weights_bytes"]):
            return Graph(graph, str(report["precision"]), str(report["reason"]))
        _LOG.warning("%s is cut short: exporting the model again", graph)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        _LOG.warning("%s cannot be read (%r): exporting the model again", place, error)
    return None
