"""From a docstring to its function: whether the default CPU path finds as well as plain sentence-transformers.

    python -m benchmarks.docstrings [--functions 2500] [--queries 600]

Functions of three projects, docstrings cut out; the first line of a function's docstring is the query and
the function what it should find, among all of them, by cosine alone. "Default" is what the pipeline embeds on a CPU
(path, qualified name and source, the name mixed in, 128 tokens, int8 where the processor is fast at it); "plain" is
`SentenceTransformer(model).encode(source)` in float32 with the model's own window. Goal: not lower than plain.
"""

from __future__ import annotations

import argparse
import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.pipeline import fetch
from code_index.core.embedding_text import EmbeddingInput
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.loader import load_embedder
from code_index.embedding.models.lookup import DEFAULT_MODEL, find_model

PROJECTS = ("networkx==3.4.2", "SQLAlchemy==2.0.41", "Werkzeug==3.1.3")
_SEED = 20_251_126
_DEPTH = 10
_LEAST_WORDS = 4


@dataclass(frozen=True, slots=True)
class Function:
    """A function without its docstring."""

    path: str
    qualified_name: str
    source: str
    query: str


def functions(root: Path) -> Iterator[Function]:
    """Functions and methods with a docstring of some words, in the order of paths and lines."""
    for path in sorted(root.rglob("*.py")):
        text = path.read_text("utf-8", "replace")
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue  # templates that only look like Python
        yield from _of_body(tree, text.splitlines(), path.relative_to(root).as_posix(), ())


def _of_body(parent: ast.AST, lines: Sequence[str], path: str, names: tuple[str, ...]) -> Iterator[Function]:
    for node in ast.iter_child_nodes(parent):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        yield from _of_body(node, lines, path, (*names, node.name))
        doc = ast.get_docstring(node)
        if isinstance(node, ast.ClassDef) or not doc or len(node.body) < 2:
            continue
        first = doc.strip().splitlines()[0]
        cut = node.body[0]
        source = "\n".join([*lines[node.lineno - 1 : cut.lineno - 1], *lines[cut.end_lineno or 0 : node.end_lineno]])
        if len(first.split()) >= _LEAST_WORDS:
            yield Function(path, ".".join((*names, node.name)), source, first)


def sample(count: int, queries: int) -> tuple[list[Function], list[int]]:
    """Functions that are searched, and places in them of those whose docstrings are queries; the same each time."""
    found = [function for project in PROJECTS for function in functions(fetch(project))]
    # Two functions with the same first line are both right for it.
    unique = list({function.query: function for function in found}.values())
    rng = random.Random(_SEED)
    chosen = rng.sample(unique, min(count, len(unique)))
    return chosen, sorted(rng.sample(range(len(chosen)), min(queries, len(chosen))))


def default_vectors(chosen: Sequence[Function], asked: Sequence[int]) -> tuple[np.ndarray, np.ndarray, str]:
    """Vectors of functions and of queries as the pipeline and a search make them, and what made them."""
    embedder = load_embedder(EmbedderConfig(device="cpu"))
    inputs = [
        EmbeddingInput.of_chunk(
            file_path=item.path, qualified_name=item.qualified_name, content=item.source, language="python"
        )
        for item in chosen
    ]
    documents = embedder.embed_documents([item.text for item in inputs], [item.name for item in inputs])
    queries = np.stack([embedder.embed_query(chosen[place].query) for place in asked])
    return documents, queries, embedder.describe()


def plain_vectors(chosen: Sequence[Function], asked: Sequence[int]) -> tuple[np.ndarray, np.ndarray, str]:
    """The same of sentence-transformers with its defaults."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(find_model(DEFAULT_MODEL, allow_download=False)), device="cpu")
    documents, queries = (
        model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        for texts in ([item.source for item in chosen], [chosen[place].query for place in asked])
    )
    return documents, queries, f"sentence-transformers, float32, {model.max_seq_length} tokens, source alone"


def quality(documents: np.ndarray, queries: np.ndarray, asked: Sequence[int]) -> dict[str, float]:
    """MRR@10 and recall@10 of (n, dim) unit vectors, where the query at place i should find document `asked[i]`."""
    scores = queries @ documents.T
    own = scores[np.arange(len(asked)), list(asked)]
    ranks = (scores > own[:, None]).sum(axis=1) + 1
    within = ranks <= _DEPTH
    return {"mrr10": float(np.where(within, 1 / ranks, 0).mean()), "recall10": float(within.mean())}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Docstring to function: the default CPU path beside plain float32.")
    parser.add_argument("--functions", type=int, default=2_500)
    parser.add_argument("--queries", type=int, default=600)
    arguments = parser.parse_args()
    machine = report.machine()
    chosen, asked = sample(arguments.functions, arguments.queries)
    figures: dict[str, object] = {"functions": len(chosen), "queries": len(asked)}
    rows = []
    for name, vectors in (("default", default_vectors), ("plain", plain_vectors)):
        documents, queries, description = vectors(chosen, asked)
        found = quality(documents, queries, asked)
        figures[name] = {**found, "is": description}
        rows.append([f"{name}: {description}", found["mrr10"], found["recall10"]])
    report.write(
        "docstrings",
        seed=_SEED,
        machine_before=machine,
        figures=figures,
        markdown=f"{len(chosen):,} functions, {len(asked)} queries.\n\n"
        + report.table(["", "MRR@10", "recall@10"], rows),
    )


if __name__ == "__main__":
    main()
