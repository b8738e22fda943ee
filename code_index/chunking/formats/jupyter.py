"""Jupyter notebooks: JSON whose cells are entries."""

from __future__ import annotations

from functools import partial
from typing import Final

from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats.json import extract_json

FORMAT: Final = FormatSpec(
    name="jupyter", title="Jupyter notebooks", extensions="ipynb", extract=partial(extract_json, cells=True)
)
