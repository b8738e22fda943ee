"""Copies of an indexed repository: made once, an index is copied for each test that changes it."""

import shutil
from pathlib import Path

from code_index.index.folder import locate_index_folder


def copy_indexed(source: Path, target: Path) -> Path:
    """Copy a repository with its index, which a copy has to be trusted for; return the copy."""
    shutil.copytree(source, target)
    locate_index_folder(target).trust()
    return target
