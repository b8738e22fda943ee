"""Ask semble; runs in the environment where semble 0.7.0 is installed, so it imports nothing of this project.

    PYTHON semble_search.py < QUESTIONS > ANSWERS

QUESTIONS: JSON, an object of repositories' roots, each with a list of `[key, query, whole chunks]`. ANSWERS: the results, as its
server writes them, by root and key.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from semble.index import SembleIndex  # type: ignore[import-not-found]
from semble.types import ContentType  # type: ignore[import-not-found]
from semble.utils import format_results  # type: ignore[import-not-found]

_RESULTS = 50
_DEFAULT_LINES = 10


def main() -> None:
    """Run it."""
    asked: dict[str, list[tuple[str, str, bool]]] = json.load(sys.stdin)
    answers: dict[str, dict[str, Any]] = {}
    for root, questions in asked.items():
        of_kind = {
            True: SembleIndex.from_path(root, content=(ContentType.CODE,)),
            False: SembleIndex.from_path(root, content=tuple(ContentType)),
        }
        answers[root] = {}
        for key, query, whole in questions:
            height = None if whole else _DEFAULT_LINES
            found = of_kind[whole].search(query, top_k=_RESULTS, max_snippet_lines=height)
            answers[root][key] = format_results(query, found, height)["results"]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
