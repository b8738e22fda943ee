"""From a docstring to its function: whether the default CPU path finds as well as plain sentence-transformers.

    python -m benchmarks.docstrings [--functions 2500] [--queries 600] [--languages python javascript java rust]

Functions of three projects in Python and of one in each of three further languages, without what is written about them: its
first line (in Python) or first sentence is the query, and the function what it should find, among all of its language, by
cosine alone. "Default" is what the pipeline embeds on a CPU
(path, qualified name and source, the name mixed in, 128 tokens, int8 where the processor is fast at it); "plain" is
`SentenceTransformer(model).encode(source)` in float32 with the model's own window. Goal: not lower than plain, for Python.
"""

from __future__ import annotations

import argparse
import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import documented_code, languages, report
from benchmarks.pipeline import fetch
from code_index.core.embedding_text import EmbeddingInput
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.loader import load_embedder
from code_index.embedding.models.lookup import DEFAULT_MODEL, find_model

PYTHON = "python"
PROJECTS = ("networkx==3.4.2", "SQLAlchemy==2.0.41", "Werkzeug==3.1.3")
# Source, package and the folder in it; sources as `benchmarks.languages` fetches them.
_OTHERS = {
    "javascript": (("npm", "three@0.178.0", "package/src"),),
    "java": (("debian", "libcommons-lang3-java=3.12.0-2+deb12u1", "src/main"),),
    "rust": (("debian", "rust-ripgrep=13.0.0-4", "crates"),),
}
LANGUAGES = (PYTHON, *_OTHERS)
_SEED = 20_251_126
_DEPTH = 10
_LEAST_WORDS = 4
_LEAST_BODY = 3  # lines, where bodies are told by their lines


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


def commented_functions(root: Path, language: str) -> Iterator[Function]:
    """The same of another language: functions below comments, in the order of paths and lines."""
    suffixes = {suffix for suffix, name in documented_code.LANGUAGES.items() if name == language}
    for path in sorted(found for found in root.rglob("*") if found.suffix in suffixes):
        text, name = path.read_text("utf-8", "replace"), path.relative_to(root).as_posix()
        cut = documented_code.without_comments(name, text)
        lines = cut.split("\n")
        pairs = zip(documented_code.functions(name, text), documented_code.functions(name, cut), strict=True)
        for function, bare in pairs:
            query = documented_code.first_sentence(function.about)
            if function.body_lines >= _LEAST_BODY and len(query.split()) >= _LEAST_WORDS:
                yield Function(name, bare.name, "\n".join(lines[bare.start_line - 1 : bare.end_line]), query)


def sample(language: str, count: int, queries: int) -> tuple[list[Function], list[int]]:
    """Functions that are searched, and places in them of those whose docstrings are queries; the same each time."""
    if language == PYTHON:
        found = [function for project in PROJECTS for function in functions(fetch(project))]
    else:
        roots = [languages.fetch(source, package) / folder for source, package, folder in _OTHERS[language]]
        found = [function for root in roots for function in commented_functions(root, language)]
    # Two functions with the same first line are both right for it.
    unique = list({function.query: function for function in found}.values())
    rng = random.Random(_SEED)
    chosen = rng.sample(unique, min(count, len(unique)))
    return chosen, sorted(rng.sample(range(len(chosen)), min(queries, len(chosen))))


def default_vectors(
    language: str, chosen: Sequence[Function], asked: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, str]:
    """Vectors of functions and of queries as the pipeline and a search make them, and what made them."""
    embedder = load_embedder(EmbedderConfig(device="cpu"))
    inputs = [
        EmbeddingInput.of_chunk(
            file_path=item.path,
            qualified_name=item.qualified_name,
            chunk_type="method" if "." in item.qualified_name else "function",
            content=item.source,
            language=language,
        )
        for item in chosen
    ]
    documents = embedder.embed_documents([item.text for item in inputs], [item.name for item in inputs])
    queries = np.stack([embedder.embed_query(chosen[place].query) for place in asked])
    return documents, queries, embedder.describe()


def plain_vectors(
    _language: str, chosen: Sequence[Function], asked: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, str]:
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
    parser.add_argument("--languages", nargs="*", choices=LANGUAGES, default=LANGUAGES)
    arguments = parser.parse_args()
    machine = report.machine()
    figures: dict[str, dict[str, object]] = {}
    rows: list[list[object]] = []
    for language in arguments.languages:
        chosen, asked = sample(language, arguments.functions, arguments.queries)
        figures[language] = {"functions": len(chosen), "queries": len(asked)}
        for name, vectors in (("default", default_vectors), ("plain", plain_vectors)):
            documents, queries, description = vectors(language, chosen, asked)
            found = quality(documents, queries, asked)
            figures[language][name] = {**found, "is": description}
            rows.append(
                [f"{language}, {name}", len(chosen), len(asked), found["mrr10"], found["recall10"], description]
            )
    report.write(
        "docstrings",
        seed=_SEED,
        machine_before=machine,
        figures=figures,
        markdown=report.table(["", "functions", "queries", "MRR@10", "recall@10", "is"], rows),
    )


if __name__ == "__main__":
    main()
