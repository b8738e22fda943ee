"""The programming languages that have a specification, by the names of `core.languages`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from indexing_assets.core.chunking.language_spec import LanguageSpec
from indexing_assets.core.chunking.specs_go_rust_zig import GO, RUST
from indexing_assets.core.chunking.specs_javascript import JAVASCRIPT, TSX, TYPESCRIPT
from indexing_assets.core.chunking.specs_jvm import JAVA
from indexing_assets.core.chunking.specs_python import PYTHON

SPECS: Final[Mapping[str, LanguageSpec]] = MappingProxyType(
    {spec.name: spec for spec in (PYTHON, JAVASCRIPT, TYPESCRIPT, TSX, GO, RUST, JAVA)}
)
