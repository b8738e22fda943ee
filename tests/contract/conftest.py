"""Tables of a test."""

from pathlib import Path

import pytest

from code_index.tables import IndexStore


@pytest.fixture
def tables_dir(tmp_path: Path) -> Path:
    """A folder of tables that nothing was written to."""
    return tmp_path / "tables"


@pytest.fixture
def store(tables_dir: Path) -> IndexStore:
    """The tables in it."""
    return IndexStore(tables_dir)
