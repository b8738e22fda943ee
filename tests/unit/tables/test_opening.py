"""Opening of the tables for a search ends when nothing of it is left to do."""

from __future__ import annotations

import asyncio

import pytest

from code_index.tables.store import IndexStore


def test_opening_that_fails_ends_after_all_of_it(tmp_path, monkeypatch):
    search = IndexStore(tmp_path).search
    ended = []

    async def current(name):
        if not ended:
            ended.append(name)
            raise ValueError("the first table is damaged")
        for _ in range(100):
            await asyncio.sleep(0)
        ended.append(name)

    monkeypatch.setattr(search.handles, "current", current)

    with pytest.raises(ValueError, match="the first table is damaged"):
        search.start_opening().result(timeout=60)

    assert len(ended) == 3
