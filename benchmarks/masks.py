"""Masking of keys: what it costs beside the rest of parsing, and what it takes for a key.

    python -m benchmarks.masks                      # Django 5.2 and Flask 3.1.1
    python -m benchmarks.masks PATH [PATH ...] [--rounds 3] [--show]

Each file that an index would hold is masked, and read, chunked and made rows of, in turn, in this process; of each the fastest round counts, in
seconds of the processor, which hardly depend on what else runs.
`--show` names the place and kind of each mask, to be judged by hand: in repositories that hold no keys, each is a false one.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.pipeline import PINNED, fetch
from code_index.chunking import chunk_file
from code_index.chunking.encoding import decode
from code_index.core.errors import CodeIndexError
from code_index.core.model import FileStatus
from code_index.core.secret_masks import mask_keys, masks_in
from code_index.parsing.chunk_rows import chunks_to_batch
from code_index.repository.source_repository import SourceRepository

_SEED = 0  # nothing is drawn


def measure(root: Path, rounds: int, *, show: bool) -> dict[str, Any]:
    """Seconds and counts for the files of one repository."""
    repository = SourceRepository(root)
    files = [file for file in repository.scan({}).files if file.status is not FileStatus.SKIPPED]
    masking = parsing = size = 0.0
    kinds: Counter[str] = Counter()
    with_keys = 0
    for file in files:
        text = decode(repository.read(file.file_path).content).text
        size += len(text)
        best = [float("inf"), float("inf")]
        for _ in range(rounds):
            started = time.thread_time()
            masked = mask_keys(text)
            between = time.thread_time()
            repository.read(file.file_path)
            try:
                chunks = chunk_file(masked, file_path=file.file_path, file_hash="", language=file.language)
            except CodeIndexError as error:
                raise SystemExit(str(error)) from error
            chunks_to_batch(chunks)
            best = [min(best[0], between - started), min(best[1], time.thread_time() - between)]
        masking += best[0]
        parsing += best[1]
        kinds.update(masked.masked)
        with_keys += bool(masked.masked)
        if show:
            lines = masked.text.decode().splitlines()
            places = [f"{file.file_path}:{at}: {kind}" for at, line in enumerate(lines, 1) for kind in masks_in(line)]
            print("\n".join(places), end="\n" if places else "")
    return {
        "files": len(files),
        "mb": size / 1e6,
        "masking_us_a_file": masking / len(files) * 1e6,
        "parsing_us_a_file": parsing / len(files) * 1e6,
        "share": masking / parsing,
        "files_with_keys": with_keys,
        "keys": dict(kinds.most_common()),
    }


def main() -> None:
    """Measure each repository and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    before = report.machine()
    roots = options.paths or [fetch(pinned) for pinned in PINNED]
    figures = {root.name: measure(root, options.rounds, show=options.show) for root in roots}
    rows = [
        [
            name,
            f"{found['files']:,}",
            f"{found['mb']:.1f}",
            f"{found['masking_us_a_file']:.0f}",
            f"{found['parsing_us_a_file']:.0f}",
            f"{found['share']:.1%}",
            ", ".join(f"{count} {kind}" for kind, count in found["keys"].items()) or "none",
        ]
        for name, found in figures.items()
    ]
    head = ["repository", "files", "MB", "masking, µs a file", "the rest of parsing, µs a file", "share", "masked"]
    report.write("masks", seed=_SEED, machine_before=before, figures=figures, markdown=report.table(head, rows))


if __name__ == "__main__":
    main()
