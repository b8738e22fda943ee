"""How well one ranking over several indexes finds what was asked of one of them: NDCG@10.

    python -m benchmarks.together --eval QUERIES --repositories CHECKOUTS [--index-dir DIR]

Folders are those of `benchmarks.retrieval`. Each question is asked of the index that it was written for, of that one among
three (the others drawn from the seed), and of all; a hit in another repository is a miss.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.intervals import SEED, Estimate, estimate
from benchmarks.ndcg import DEPTH, ndcg, reachable
from benchmarks.retrieval import Repository, index, load, texts_of
from code_index.search.several import AskedIndex, search_several

_FEW = 3


def score(repository: Repository, indexes: Sequence[AskedIndex]) -> list[float]:
    """NDCG@10 of each question of a repository over several indexes, of which the first is its own."""
    own = indexes[0]
    spans = [text.span for text in texts_of(repository, own.store)]
    scores = []
    for query in repository.queries:
        hits = search_several(indexes, query.text, limit=DEPTH)
        found = [
            repository.span(
                hit.file_path if hit.repository == own.repository else f"{hit.repository}/{hit.file_path}",
                hit.start_line,
                hit.end_line,
            )
            for hit in hits
        ]
        reached = len(reachable(query.targets, spans))
        scores.append(ndcg(found, query.targets, reachable_count=reached))
    return scores


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--eval", type=Path, required=True, help="folder with repos.json and the queries")
    parser.add_argument("--repositories", type=Path, required=True, help="folder with one checkout per repository")
    parser.add_argument("--index-dir", type=Path, help="keep the indexes here; a temporary folder by default")
    arguments = parser.parse_args()
    machine = report.machine()
    with tempfile.TemporaryDirectory() as temporary:
        repositories = load(arguments.eval, arguments.repositories, [])
        opened = {}
        for repository in repositories:
            store, embedder = index(repository, (arguments.index_dir or Path(temporary)) / repository.name)
            opened[repository.name] = AskedIndex(str(repository.root.resolve()), store, embedder)
        among: dict[str, list[list[float]]] = {}
        for repository in repositories:
            others = [name for name in opened if name != repository.name]
            few = random.Random(f"{SEED} {repository.name}").sample(others, min(_FEW - 1, len(others)))
            for label, names in (("its own index", []), (f"{_FEW} indexes", few), ("all indexes", others)):
                asked = [opened[name] for name in (repository.name, *names)]
                among.setdefault(label, []).append(score(repository, asked))
            print(
                repository.name,
                {label: f"{estimate([rows[-1]]).mean:.3f}" for label, rows in among.items()},
                flush=True,
            )
    means: dict[str, Estimate] = {label: estimate(rows) for label, rows in among.items()}
    report.write(
        "together",
        seed=SEED,
        machine_before=machine,
        figures={"scores": among, "means": {label: one.mean for label, one in means.items()}},
        markdown=report.table(["asked", "NDCG@10 (95 %)"], [[label, one] for label, one in means.items()]),
    )


if __name__ == "__main__":
    main()
