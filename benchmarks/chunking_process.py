"""A process that chunks the files it is told of, or runs a whole parse phase, with the `code_index` that is on its path.

Belongs here: what both sides of `benchmarks.chunking_before` do. It must run with an older `code_index` too, so it uses
only what has always been there, and knows nothing of `benchmarks`.

Reads lines of JSON from its input. The first is the list of files, answered by the language of each, and whether its
syntax is known; each other one is the numbers of the files to chunk,
answered by a line with the seconds of the processor for each: telling its language and masking, and chunking. `null` is
answered by the digests of each file's chunks.

With a repository and a folder as arguments it indexes the one into the other instead, and prints what parsing took: seconds of
the processor, of its parser processes too, and by the clock.
"""

from __future__ import annotations

import gc
import hashlib
import inspect
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from code_index.chunking import chunk_file
from code_index.chunking.chunker import masked_source
from code_index.chunking.language_detection import detect_language
from code_index.chunking.registry import FORMATS, LANGUAGES
from code_index.core.model import Chunk

_OBJECTS_PER_COLLECTION = 100_000  # as in a parser process
_NAMES: dict[str, Any] = {"on_names": len} if "on_names" in inspect.signature(chunk_file).parameters else {}
"""Names are made where the checkout makes them, as in a run."""


def _chunked(path: str, content: bytes) -> tuple[str, tuple[Chunk, ...], float, float]:
    started = time.process_time()
    language = detect_language(path, content)
    source = masked_source(content)
    between = time.process_time()
    chunks = chunk_file(source, file_path=path, file_hash="", language=language, **_NAMES)
    return language, chunks, between - started, time.process_time() - between


def _parse(root: Path, folder: Path) -> None:
    """Scan and parse a repository; print the seconds of parsing."""
    from code_index.index.folder import IndexFolder
    from indexing_assets.operations.pipeline import Pipeline

    with Pipeline(IndexFolder(path=folder, repository_root=root)) as pipeline:
        for phase in (pipeline.scan, pipeline.parse):
            before, started = os.times(), time.perf_counter()
            result = phase()
            if result.error is not None:
                raise SystemExit(result.error)
            after = os.times()
    print(json.dumps([sum(after[:4]) - sum(before[:4]), time.perf_counter() - started]))


def main() -> None:
    """Answer until the input ends."""
    if len(sys.argv) > 1:
        _parse(*map(Path, sys.argv[1:]))
        return
    paths: list[str] = json.loads(sys.stdin.readline())
    contents = [Path(path).read_bytes() for path in paths]
    languages = [_chunked(path, content)[0] for path, content in zip(paths, contents, strict=True)]  # grammars loaded
    print(json.dumps([[name, name in LANGUAGES or name in FORMATS] for name in languages]), flush=True)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_PER_COLLECTION, 10, 100)
    for line in sys.stdin:
        numbers = json.loads(line)
        if numbers is None:
            answer: list[object] = [
                [hashlib.sha256(repr(chunk).encode()).hexdigest()[:16] for chunk in _chunked(path, content)[1]]
                for path, content in zip(paths, contents, strict=True)
            ]
        else:
            answer = [_chunked(paths[number], contents[number])[2:] for number in numbers]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
