"""Phase 2 on a CUDA device: chunks a second, how busy the device is, little memory, and the vectors beside the CPU's.

    python -m benchmarks.cuda                # Django 5.2 and SymPy 1.13.3 in one tree: more than 100,000 chunks
    python -m benchmarks.cuda PATH

The phase runs through the pipeline, with the model loaded and phase 1 done before the clock starts. "Busy" is what
`nvidia-smi` says of the device every 0.2 s of the phase; where the process is, is looked up every 10 ms for each thread. For little
memory another process takes all of the device's memory but some, with plain allocations. Vectors are compared with those
of ONNX Runtime on the CPU: float32, and int8, in which queries are embedded.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks import report
from benchmarks.embedding_pipeline import opened_copy, prepare, texts_of
from benchmarks.pipeline import copied, fetch, last_run
from code_index.embedding.embedder import TextEmbedder
from code_index.embedding.loader import load_embedder
from code_index.index.folder import IndexFolder
from code_index.index.settings import Settings
from code_index.tables import IndexStore

_PROJECTS = ("Django==5.2", "sympy==1.13.3")
_SEED = 0
_COMPARED = 1_000
_WITH_LITTLE_MEMORY = 20_000
_LEFT_MIB = 300  # less than the largest batch of the default model takes
_SAMPLE_S = 0.01
_ROUNDS = 2
# Takes all but some of the device's memory until its input ends.
_HOG = """
import sys, torch
free, _ = torch.cuda.mem_get_info()
held = torch.empty(free - int(sys.argv[1]) * 2**20, dtype=torch.uint8, device="cuda")
print(torch.cuda.mem_get_info()[0], flush=True)
sys.stdin.read()
"""


class Busy:
    """Share of time in which kernels ran on the device, and its memory in use, while the block runs."""

    def __enter__(self) -> Self:
        asked = [
            "nvidia-smi",
            "--query-gpu=utilization.gpu,memory.used",
            "--format=csv,noheader,nounits",
            "-lms",
            "200",
        ]
        self._process = subprocess.Popen(asked, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        lines = self._process.communicate()[0].splitlines()
        samples = [[float(cell) for cell in line.split(",")] for line in lines if line.count(",") == 1]
        self.percent = [sample[0] for sample in samples]
        self.peak_mib = max(sample[1] for sample in samples)


class Stages:
    """Seconds of each thread in each part of this project, by looking where it is; waiting counts."""

    def __enter__(self) -> Self:
        self._end = threading.Event()
        self._found: dict[str, Counter[str]] = defaultdict(Counter)
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def figures(self) -> dict[str, dict[str, float]]:
        return {
            name: {stage: round(count * _SAMPLE_S, 2) for stage, count in found.most_common()}
            for name, found in self._found.items()
        }

    def _look(self) -> None:
        own = threading.get_ident()
        while not self._end.wait(_SAMPLE_S):
            names = {thread.ident: thread.name.rstrip("0123456789_") for thread in threading.enumerate()}
            for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the only way to other threads' frames
                at: Any = frame
                while at is not None and not any(f"/{part}/" in at.f_code.co_filename for part in _PARTS):
                    at = at.f_back
                if at is not None and ident != own:
                    place = f"{Path(at.f_code.co_filename).stem}.{at.f_code.co_name}"
                    self._found[names.get(ident, "?")][place] += 1


_PARTS = ("code_index", "indexing_assets", "resources")


def phase_two(root: Path, index: Path) -> dict[str, Any]:
    """Phase 2 of copies of the index, on the device that the settings choose."""
    rounds = [_phase_two(root, index) for _ in range(_ROUNDS)]
    return {
        "rounds": rounds,
        "chunks": rounds[0]["chunks"],
        "device": rounds[0]["device"],
        "chunks_per_s": statistics.median(one["chunks_per_s"] for one in rounds),
        "busy_percent": statistics.median(one["busy_percent"] for one in rounds),
    }


def _phase_two(root: Path, index: Path) -> dict[str, Any]:
    with opened_copy(root, index) as pipeline:
        described = pipeline.describe_embedder()
        chunks = pipeline.store.chunks.count()
        used = time.process_time()
        with Busy() as busy, Stages() as stages:
            started = time.perf_counter()
            result = pipeline.embed()
            seconds = time.perf_counter() - started
        if result.error is not None:
            raise SystemExit(f"Phase 2 failed: {result.error}")
        run = last_run(pipeline, "chunk_vectors", ("run_embedded", "run_failed_chunks", "model_s", "device"))
        return {
            "model": described,
            "chunks": chunks,
            "s": seconds,
            "chunks_per_s": chunks / seconds,
            "cpu_s": time.process_time() - used,
            "busy_percent": statistics.fmean(busy.percent),
            "busy_samples": busy.percent,
            "device_mib": busy.peak_mib,
            "stages_s": stages.figures(),
            **run,
        }


def bare(root: Path, index: Path) -> dict[str, Any]:
    """One call over all texts, sorted by length: what model and tokenizer can do."""
    texts = _texts(root, index)
    texts.sort(key=lambda pair: -len(pair[0]))
    embedder = _embedder(root, index)
    embedder.embed_documents([text for text, _ in texts[:4_096]], [""] * len(texts[:4_096]))
    with Busy() as busy, Stages() as stages:
        started = time.perf_counter()
        embedder.embed_documents([text for text, _ in texts], [name for _, name in texts])
        seconds = time.perf_counter() - started
    return {
        "s": seconds,
        "texts_per_s": len(texts) / seconds,
        "busy_percent": statistics.fmean(busy.percent),
        "stages_s": stages.figures(),
    }


def beside_cpu(root: Path, index: Path) -> dict[str, Any]:
    """Cosines between the device's vectors and the CPU's of the same texts."""
    chosen = random.Random(_SEED).sample(_texts(root, index), _COMPARED)
    texts, names = [text for text, _ in chosen], [name for _, name in chosen]
    vectors = _embedder(root, index).embed_documents(texts, names)
    found = {}
    for precision in ("float32", "int8"):
        config = _settings(root, index).embedder.with_settings(
            {"device": "cpu", "backend": "onnx", "precision": precision}
        )
        cosines = (vectors * load_embedder(config).embed_documents(texts, names)).sum(axis=1)
        found[precision] = {"least": float(cosines.min()), "median": float(np.median(cosines))}
    return found


def little_memory(root: Path, index: Path) -> dict[str, Any]:
    """Texts embedded while another process holds nearly all of the device's memory."""
    chosen = random.Random(_SEED).sample(_texts(root, index), _WITH_LITTLE_MEMORY)
    texts, names = [text for text, _ in chosen], [name for _, name in chosen]
    embedder = _embedder(root, index)
    before = embedder.token_budget
    with _held(_LEFT_MIB) as left:
        started = time.perf_counter()
        result = embedder.embed_documents_detailed(texts, names)
        seconds = time.perf_counter() - started
    halved = embedder.token_budget
    cosines = (result.vectors * _embedder(root, index).embed_documents(texts, names)).sum(axis=1)
    return {
        "left_mib": left,
        "budget_before": before,
        "budget_after": halved,
        "failed": len(result.errors),
        "texts_per_s": len(texts) / seconds,
        "least_cosine": float(cosines.min()),
    }


@contextmanager
def _held(left_mib: int) -> Iterator[int]:
    """Another process holds the device's memory; gives the MiB that it left."""
    hog = [sys.executable, "-c", _HOG, str(left_mib)]
    with subprocess.Popen(hog, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        left = process.stdout.readline() if process.stdout is not None else ""
        yield int(left) >> 20
        process.communicate()


def _settings(root: Path, index: Path) -> Settings:
    return IndexFolder(path=index, repository_root=root).settings()


def _embedder(root: Path, index: Path) -> TextEmbedder:
    embedder = load_embedder(_settings(root, index).embedder)
    if not isinstance(embedder, TextEmbedder):
        raise SystemExit(f"{embedder.describe()} is no model.")
    return embedder


def _texts(root: Path, index: Path) -> list[tuple[str, str]]:
    return texts_of(IndexStore(IndexFolder(path=index, repository_root=root).tables_dir))[0]


@contextmanager
def _tree(paths: Sequence[Path]) -> Iterator[Path]:
    """One tree of several corpora."""
    with tempfile.TemporaryDirectory() as temporary:
        for path in paths:
            shutil.copytree(path, Path(temporary) / "tree" / path.name, symlinks=True)
        with copied(Path(temporary) / "tree") as tree:
            yield tree


def _device() -> str:
    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="*", help=f"repositories; by default {', '.join(_PROJECTS)}")
    arguments = parser.parse_args()
    machine = {**report.machine(), "gpu": _device()}
    paths = [path.resolve() for path in arguments.paths] or [fetch(requirement) for requirement in _PROJECTS]
    figures: dict[str, Any] = {}
    with _tree(paths) as root:
        index = root.parent / "index"
        for part in (prepare, beside_cpu, phase_two, bare, little_memory):
            # A process each: what one leaves in memory is not the next one's.
            with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as process:
                figures[part.__name__] = process.submit(part, root, index).result()
            print(part.__name__, figures[part.__name__], flush=True)
    phase, alone, cosines, little = (figures[name] for name in ("phase_two", "bare", "beside_cpu", "little_memory"))
    rows = [
        ["phase 2 from end to end", f"{phase['chunks']:,} chunks, {phase['chunks_per_s']:,.0f} chunks/s"],
        ["device busy in it", f"{phase['busy_percent']:.0f} %"],
        ["model and tokenizer by themselves", f"{alone['texts_per_s']:,.0f} texts/s"],
        ["device busy in it", f"{alone['busy_percent']:.0f} %"],
        ["cosine with the CPU's float32 vectors, least of 1,000", f"{cosines['float32']['least']:.5f}"],
        ["cosine with the CPU's int8 vectors, least of 1,000", f"{cosines['int8']['least']:.5f}"],
        [
            f"with {little['left_mib']} MiB of memory",
            (
                f"batches of {little['budget_after']:,} tokens in place of {little['budget_before']:,}, "
                f"{little['failed']} of {_WITH_LITTLE_MEMORY:,} texts failed, least cosine {little['least_cosine']:.5f}"
            ),
        ],
    ]
    report.write(
        "cuda", seed=_SEED, machine_before=machine, figures=figures, markdown=report.table(["", machine["gpu"]], rows)
    )


if __name__ == "__main__":
    main()
