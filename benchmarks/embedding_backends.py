"""Texts a second of the embedder's backends against plain sentence-transformers, on functions of the standard library.

    python -m benchmarks.embedding_backends [--texts 1000] [--rounds 5] [--variants plain int8]

Each variant runs in a process of its own and the processes take turns, so that other work on the machine meets
all alike and no library's idle threads disturb another's. Judge by the ratio of rounds, and by texts a core-second:
that one hardly depends on what else runs. "plain" is `SentenceTransformer(model).encode(texts)`: float32, 256 tokens.
"""

from __future__ import annotations

import argparse
import ast
import multiprocessing
import os
import platform
import random
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "sentence-transformers", "onnxruntime", "tokenizers", "numpy")
VARIANTS: dict[str, dict[str, Any] | None] = {
    "plain": None,
    "int8": {"backend": "onnx", "precision": "int8"},
    "float32": {"backend": "onnx", "precision": "float32"},
    "torch-bfloat16": {"backend": "torch", "precision": "bfloat16"},
    "torch-float32": {"backend": "torch", "precision": "float32"},
    "int8-1-thread": {"backend": "onnx", "precision": "int8", "threads": 1},
    **{
        f"int8-budget-{budget}": {"backend": "onnx", "precision": "int8", "token_budget": budget}
        for budget in (128, 256, 512, 1_024, 2_048, 4_096)
    },
}
QUERY = (
    "import time; start = time.perf_counter()\n"
    "from code_index.embedding.configuration import EmbedderConfig\n"
    "from code_index.embedding.loader import load_embedder\n"
    "embedder = load_embedder(EmbedderConfig(device='cpu'), 'query')\n"
    "embedder.embed_query('parse a date from text'); print(time.perf_counter() - start)\n"
)


def standard_library_functions(count: int) -> tuple[list[str], list[str]]:
    """Texts (file, name, source up to 2,000 characters) and the words of the names; the same ones each time."""
    root = Path(sysconfig.get_path("stdlib"))
    found = []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if {"site-packages", "test", "tests", "idlelib", "lib2to3"} & set(relative.parts):
            continue
        source = path.read_text(encoding="utf-8", errors="replace")
        try:
            tree = ast.parse(source)
        except SyntaxError:
            continue
        lines = source.splitlines()
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno > 2:
                body = "\n".join(lines[node.lineno - 1 : node.end_lineno])[:2_000]
                found.append((f"{relative}\n{node.name}\n{body}", node.name.strip("_").replace("_", " ")))
    chosen = random.Random(0).sample(found, count)
    return [text for text, _ in chosen], [name for _, name in chosen]


def worker(variant: str, connection: Connection) -> None:
    """Load a variant, then answer each (texts, names) with wall seconds, CPU seconds and vectors."""
    description, embed = load(VARIANTS[variant])
    connection.send(description)
    while (work := connection.recv()) is not None:
        wall, cpu = time.perf_counter(), time.process_time()
        vectors = embed(*work)
        connection.send((time.perf_counter() - wall, time.process_time() - cpu, np.asarray(vectors)))


def load(options: dict[str, Any] | None) -> tuple[str, Callable[[list[str], list[str]], np.ndarray]]:
    """What the variant is, and its way from texts and names to vectors."""
    if options is not None:
        from code_index.embedding.configuration import EmbedderConfig
        from code_index.embedding.loader import load_embedder

        embedder = load_embedder(EmbedderConfig(device="cpu", **options))
        return embedder.describe(), embedder.embed_documents
    from sentence_transformers import SentenceTransformer

    from code_index.embedding.models.lookup import find_model

    model = SentenceTransformer(str(find_model("all-MiniLM-L6-v2", allow_download=False)), device="cpu")
    description = f"sentence-transformers float32, {model.max_seq_length} tokens"
    return description, lambda texts, _: model.encode(texts, show_progress_bar=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5, help="the texts are divided between them")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    arguments = parser.parse_args()
    before = report.machine()
    texts, names = standard_library_functions(arguments.texts)
    print("machine:", processor(), "|", os.cpu_count(), "processors | load", os.getloadavg())
    print("versions:", platform.python_version(), *(f"{name} {version(name)}" for name in PACKAGES))
    print(f"texts: {len(texts)}, mean {statistics.mean(map(len, texts)):.0f} characters, {len(set(names))} names")
    pipes = start_workers(arguments.variants, texts[:16], names[:16])
    size = len(texts) // arguments.rounds
    outcomes: dict[str, list[tuple[float, float, np.ndarray]]] = {variant: [] for variant in pipes}
    for start in range(0, size * arguments.rounds, size):
        for variant, pipe in pipes.items():
            pipe.send((texts[start : start + size], names[start : start + size]))
            outcomes[variant].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(None)
    print_rates(outcomes, size)
    print_agreement(outcomes)
    print_cold_query()
    report.write(
        "embedding_backends",
        seed=0,
        machine_before=before,
        figures={
            variant: {
                "texts_per_s": [size / wall for wall, _, _ in rounds],
                "texts_per_core_s": size * len(rounds) / sum(cpu for _, cpu, _ in rounds),
                "times_plain": times_plain(outcomes, rounds),
            }
            for variant, rounds in outcomes.items()
        },
        markdown=report.table(
            ["", "texts/s", "times plain (goal for the default: 3)"],
            [
                [
                    variant,
                    statistics.median(size / wall for wall, _, _ in rounds),
                    times_plain(outcomes, rounds) or "",
                ]
                for variant, rounds in outcomes.items()
            ],
        ),
    )


def start_workers(variants: list[str], texts: list[str], names: list[str]) -> dict[str, Connection]:
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for variant in variants:
        pipes[variant], theirs = context.Pipe()
        context.Process(target=worker, args=(variant, theirs), daemon=True).start()
        print(f"{variant}: {pipes[variant].recv()}")
        pipes[variant].send((texts, names))  # the first call allocates
        pipes[variant].recv()
    return pipes


def print_rates(outcomes: dict[str, list[tuple[float, float, np.ndarray]]], size: int) -> None:
    print(f"\n{'variant':18} {'texts/s':>8} {'/core-s':>8} {'x plain':>8}  texts/s by round")
    for variant, rounds in outcomes.items():
        rates = [size / wall for wall, _, _ in rounds]
        ratio = times_plain(outcomes, rounds) or 1.0
        per_core = size * len(rounds) / sum(cpu for _, cpu, _ in rounds)
        by_round = " ".join(f"{rate:.0f}" for rate in rates)
        print(f"{variant:18} {statistics.median(rates):8.0f} {per_core:8.0f} {ratio:8.2f}  {by_round}")


def times_plain(outcomes: dict[str, list[Any]], rounds: list[Any]) -> float | None:
    """How many times as fast as plain sentence-transformers, the median of the rounds; None where that did not run."""
    if "plain" not in outcomes:
        return None
    return statistics.median(base[0] / own[0] for base, own in zip(outcomes["plain"], rounds, strict=True))


def print_agreement(outcomes: dict[str, list[tuple[float, float, np.ndarray]]]) -> None:
    if "torch-float32" not in outcomes:
        return
    exact = np.concatenate([rows for _, _, rows in outcomes["torch-float32"]])
    for variant in {"int8", "float32", "torch-bfloat16"} & set(outcomes):
        cosine = (np.concatenate([rows for _, _, rows in outcomes[variant]]) * exact).sum(axis=1)
        print(f"cosine of {variant} with torch-float32: mean {cosine.mean():.5f}, least {cosine.min():.5f}")


def print_cold_query() -> None:
    for _ in range(3):
        start = time.perf_counter()
        inner = subprocess.run([sys.executable, "-c", QUERY], cwd=ROOT, capture_output=True, text=True, check=True)
        whole = time.perf_counter() - start
        print(f"cold query: {float(inner.stdout):.2f} s in Python, {whole:.2f} s with the interpreter's start")


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    flags = next((line for line in lines if line.startswith("flags")), "")
    features = [
        name for name in ("avx2", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16") if name in flags.split()
    ]
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{name} ({' '.join(features)})"


if __name__ == "__main__":
    main()
