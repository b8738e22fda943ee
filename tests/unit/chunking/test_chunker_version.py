"""`CHUNKER_VERSION` must change when chunks do, or existing indexes keep their old ones."""

from __future__ import annotations

import hashlib
import json

from code_index.chunking import CHUNKER_VERSION, chunk_file
from code_index.chunking.chunker import chunker_version
from code_index.chunking.file_type import FileType
from code_index.chunking.language_detection import detect_language
from tests.samples import GOLDEN, SAMPLES, UPDATE

_RECORD = GOLDEN / "chunker_version.json"


def _digest() -> str:
    """Of the chunks of all golden samples: identities, lines and names."""
    digest = hashlib.sha256()
    for path in SAMPLES.values():
        content = path.read_bytes()
        name = f"{path.parent.name}/{path.name}"
        for chunk in chunk_file(content, file_path=name, file_hash="", language=detect_language(name, content)):
            row = (chunk.chunk_id, chunk.start_line, chunk.end_line, chunk.qualified_name, chunk.cognitive_complexity)
            digest.update(repr(row).encode())
    return digest.hexdigest()


def test_other_chunks_mean_another_chunker_version() -> None:
    now = {"version": CHUNKER_VERSION, "digest": _digest()}
    recorded = json.loads(_RECORD.read_text(encoding="utf-8"))
    if recorded["version"] == CHUNKER_VERSION:
        assert recorded["digest"] == now["digest"], (
            "The chunks of the golden samples changed: raise the `revision` of their language, or `_VERSION` of the "
            "chunker, so that indexes are parsed again, and run this test with CODE_INDEX_UPDATE_GOLDEN=1. If you "
            f"raised it since the last commit, run `git checkout {_RECORD}` first."
        )
    else:
        assert UPDATE, "CHUNKER_VERSION is another one: run this test with CODE_INDEX_UPDATE_GOLDEN=1 to record it."
        _RECORD.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")


def test_a_revision_of_any_language_makes_another_chunker_version() -> None:
    kinds = [FileType("b", revision=2), FileType("a", revision=1), FileType("c")]
    assert chunker_version(kinds) == chunker_version(reversed(kinds)) == "4+a1+b2"
