"""Several indexes in one ranking: each repository has a folder of its own in the paths that are ranked."""

from __future__ import annotations

from typing import Any

from code_index.search.several import AskedIndex, _labels


def test_repositories_of_one_name_are_told_apart_from_each_other_and_from_others() -> None:
    store: Any = None
    paths = ["/a/x", "/b/x", "/c/x-1", "/c/y"]
    labels = _labels([AskedIndex(path, store, None) for path in paths])
    assert len(set(labels)) == len(paths)
    assert labels[2:] == ["x-1", "y"]
