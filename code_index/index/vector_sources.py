"""Record of where the vectors of an index came from: the model, this index's own older vectors, libraries, what was fetched.

The tables do not say it: a vector is the same, wherever it came from. So whoever adds vectors notes here how many came from
where, model by model. Losing the record costs that display, nothing else.

Belongs here: the file. Does not belong here: the vectors, and the figures of one run (its Dagster metadata).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from code_index.core.regular_files import load_json
from code_index.index.folder import IndexFolder
from code_index.index.records import read_record, write_record

SOURCES_FILE: Final = "sources.json"
MODEL: Final = "the model"
THIS_INDEX: Final = "this index"
"""Of an older version of the code, or of a text that stands in several places."""


def note_vectors(folder: IndexFolder, model_id: str, vectors: Mapping[str, int], *, replace: bool = False) -> None:
    """Add to what is noted of a model; a disk that is full costs the record, nothing else.

    The caller holds phase 2's lock.

    Args:
        folder: of the index.
        model_id: the model of the vectors.
        vectors: how many were stored, by where they came from: `MODEL`, `THIS_INDEX`, or the name of a place.
        replace: begin again, for all vectors of the model are made again.
    """
    record = _read(folder)
    noted = Counter({} if replace else record.get(model_id, {})) + Counter(vectors)
    with suppress(OSError):
        write_record(folder, SOURCES_FILE, json.dumps(record | {model_id: noted}) + "\n")


def vector_sources(folder: IndexFolder, model_id: str) -> dict[str, int]:
    """Count the vectors of a model by where they came from, most first; empty where nothing is noted."""
    return dict(Counter(_read(folder).get(model_id, {})).most_common())


def _read(folder: IndexFolder) -> dict[str, dict[str, int]]:
    try:
        record = load_json(read_record(folder, SOURCES_FILE) or b"{}")
        return {
            str(model_id): {str(source): int(count) for source, count in counts.items()}
            for model_id, counts in record.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, OverflowError):
        return {}
