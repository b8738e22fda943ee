"""Embedding through the pipeline against the bare encode loop of the same model; and what duplicates save.

    python -m benchmarks.embedding_pipeline                     # Flask 3.1.1, three rounds
    python -m benchmarks.embedding_pipeline PATH --rounds 5
    python -m benchmarks.embedding_pipeline --duplicates PATH [PATH ...]

"Bare" is one call of the embedder over the texts that the pipeline embeds (each once, with its name), sorted by
length, in memory. "Pipeline" is the phase: reading chunks, hashing, embedding, vectors, checkpoints, events, indexes,
checks. Each leg is a process of its own with the model loaded before the clock starts, and the legs take turns.
"Whole" is `code-index index` of a copy, from the shell: all processes that it starts, imports and parsing included.
Goal: the pipeline reaches 0.95 of the bare loop's texts a second. Beside other work the ratio of processor time is
the one to believe.
"""

from __future__ import annotations

import argparse
import cProfile
import multiprocessing
import pstats
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.pipeline import PINNED, copied, fetch, last_run
from code_index.core.embedding_text import EMBEDDED_FIELDS, EmbeddingInput
from code_index.embedding.loader import load_embedder
from code_index.index.folder import IndexFolder
from code_index.tables import IndexStore
from indexing_assets.operations.pipeline import Pipeline

GOAL_RATIO = 0.95
GOAL_WHOLE = 1.04
_SEED = 0  # nothing is drawn


def texts_of(store: IndexStore) -> tuple[list[tuple[str, str]], int]:
    """Text and name of each thing that has to be embedded, each once, and how many chunks there are."""
    inputs = [EmbeddingInput.of_chunk(**row) for row in store.chunks.read(columns=list(EMBEDDED_FIELDS)).to_pylist()]
    return [(item.text, item.name) for item in dict.fromkeys(inputs)], len(inputs)


def prepare(root: Path, index: Path) -> dict[str, int]:
    """Phase 1 of an index; returns chunks, texts, and texts that are the same whatever file they stand in."""
    with Pipeline(IndexFolder(path=index, repository_root=root)) as pipeline:
        for phase in (pipeline.scan, pipeline.parse):
            if (error := phase().error) is not None:
                raise SystemExit(f"The phase failed: {error}")
        texts, chunks = texts_of(pipeline.store)
        contents = len(set(pipeline.store.chunks.read(columns=["content"]).column("content").to_pylist()))
        return {"chunks": chunks, "texts": len(texts), "contents": contents}


def bare(root: Path, index: Path) -> tuple[float, float]:
    """Seconds of one call over all texts, sorted by length: on the clock, and of the processors."""
    folder = IndexFolder(path=index, repository_root=root)
    texts, _ = texts_of(IndexStore(folder.tables_dir))
    texts.sort(key=lambda pair: -len(pair[0]))
    embedder = load_embedder(folder.settings().embedder)
    embedder.embed_documents([text for text, _ in texts[:32]], [""] * len(texts[:32]))  # the first call allocates
    started, used = time.perf_counter(), time.process_time()
    embedder.embed_documents([text for text, _ in texts], [name for _, name in texts])
    return time.perf_counter() - started, time.process_time() - used


@contextmanager
def opened_copy(root: Path, index: Path) -> Iterator[Pipeline]:
    """A pipeline on a copy of an index, which stays as it is."""
    with tempfile.TemporaryDirectory() as temporary:
        fresh = Path(temporary) / "index"
        shutil.copytree(index, fresh)
        folder = IndexFolder(path=fresh, repository_root=root)
        folder.trust()
        with Pipeline(folder) as pipeline:
            yield pipeline


def through_pipeline(root: Path, index: Path, profile: bool) -> dict[str, float]:
    """Seconds of phase 2, with the model loaded, and what of that the model took."""
    with opened_copy(root, index) as pipeline:
        # As after phase 1 in the same process: model and tables are open.
        pipeline.describe_embedder()
        pipeline.store.chunks.count()
        profiler = cProfile.Profile()
        if profile:
            profiler.enable()
        started, used = time.perf_counter(), time.process_time()
        result = pipeline.embed()
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - used
        profiler.disable()
        if result.error is not None:
            raise SystemExit(f"Phase 2 failed: {result.error}")
        if profile:
            pstats.Stats(profiler).sort_stats("cumtime").print_stats(60)
        return {
            "s": seconds,
            "cpu_s": cpu_s,
            "model_s": last_run(pipeline, "chunk_vectors", ("model_s",))["model_s"],
        }


def whole(corpus: Path) -> float:
    """Processor seconds of a first index from the shell, in a process that has no other children."""
    with copied(corpus) as root:
        command = [Path(sys.executable).parent / "code-index", "index", root]
        subprocess.run(command, check=True, capture_output=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def measure(corpus: Path, rounds: int, *, profile: bool) -> dict[str, Any]:
    """Both legs in turn."""
    with copied(corpus) as root:
        index = root.parent / "index"
        counts = _alone(prepare, root, index)
        if profile:
            _alone(through_pipeline, root, index, True)
        bare_s, pipeline_s, model_s, cpu_ratios, whole_ratios = [], [], [], [], []
        for _ in range(rounds):
            seconds, cpu_s = _alone(bare, root, index)
            bare_s.append(seconds)
            leg = _alone(through_pipeline, root, index, False)
            pipeline_s.append(leg["s"])
            model_s.append(leg["model_s"])
            cpu_ratios.append(cpu_s / leg["cpu_s"])
            whole_ratios.append(_alone(whole, corpus) / cpu_s)
        ratios = [base / own for base, own in zip(bare_s, pipeline_s, strict=True)]
        return {
            **counts,
            "bare_s": bare_s,
            "pipeline_s": pipeline_s,
            "model_s": model_s,
            "ratio": statistics.median(ratios),
            "ratios": ratios,
            "cpu_ratio": statistics.median(cpu_ratios),
            "cpu_ratios": cpu_ratios,
            "whole_ratios": whole_ratios,
        }


def _duplicates(roots: Sequence[Path]) -> str:
    rows = []
    for corpus in roots:
        with copied(corpus) as root:
            found = _alone(prepare, root, root.parent / "index")
        chunks, texts, contents = found["chunks"], found["texts"], found["contents"]
        rows.append(
            [corpus.name, f"{chunks:,}", f"{texts:,}", f"{1 - texts / chunks:.1%}", f"{1 - contents / chunks:.1%}"]
        )
        print(rows[-1], flush=True)
    header = ["repository", "chunks", "texts embedded", "share saved", "chunks of equal content, any path or name"]
    return report.table(header, rows)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Phase 2 against the model's bare encode loop.")
    parser.add_argument("paths", type=Path, nargs="*", help=f"repositories; by default {PINNED[-1]}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="print where the main thread of phase 2 spends its time")
    parser.add_argument("--duplicates", action="store_true", help="only count what is not embedded again")
    arguments = parser.parse_args()
    machine = report.machine()
    roots = [path.resolve() for path in arguments.paths]
    if arguments.duplicates:
        print(_duplicates(roots or [fetch(requirement) for requirement in PINNED]))
        return
    figures = {
        corpus.name: measure(corpus, arguments.rounds, profile=arguments.profile)
        for corpus in roots or [fetch(PINNED[-1])]
    }
    rows = [
        [
            name,
            f"{found['chunks']:,}, {found['texts']:,} ({1 - found['texts'] / found['chunks']:.1%} saved)",
            f"{found['texts'] / statistics.median(found['bare_s']):.1f}",
            f"{found['texts'] / statistics.median(found['pipeline_s']):.1f}",
            f"{statistics.median(found['model_s']) / statistics.median(found['pipeline_s']):.3f}",
            f"{found['ratio']:.3f} ({min(found['ratios']):.3f}-{max(found['ratios']):.3f})",
            f"{found['cpu_ratio']:.3f} ({min(found['cpu_ratios']):.3f}-{max(found['cpu_ratios']):.3f})",
            f"{statistics.median(found['whole_ratios']):.3f} ({min(found['whole_ratios']):.3f}-{max(found['whole_ratios']):.3f})",
        ]
        for name, found in figures.items()
    ]
    header = [
        "",
        "chunks, texts",
        "bare, texts/s",
        "pipeline, texts/s",
        "in the model",
        "ratio (rounds)",
        f"ratio of processor time (goal {GOAL_RATIO})",
        f"whole index, processor time of bare's (goal {GOAL_WHOLE})",
    ]
    report.write(
        "embedding_pipeline",
        seed=_SEED,
        machine_before=machine,
        figures=figures,
        markdown=report.table(header, rows),
    )


if __name__ == "__main__":
    main()
