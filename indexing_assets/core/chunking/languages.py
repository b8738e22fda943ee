"""The programming languages that have a specification, by the names of `core.languages`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from indexing_assets.core.chunking.language_spec import LanguageSpec
from indexing_assets.core.chunking.specs_c import CPP, C
from indexing_assets.core.chunking.specs_csharp_swift import CSHARP, SWIFT
from indexing_assets.core.chunking.specs_dart import DART
from indexing_assets.core.chunking.specs_functional import ELIXIR, HASKELL
from indexing_assets.core.chunking.specs_go_rust_zig import GO, RUST, ZIG
from indexing_assets.core.chunking.specs_javascript import JAVASCRIPT, TSX, TYPESCRIPT
from indexing_assets.core.chunking.specs_jvm import JAVA, KOTLIN, SCALA
from indexing_assets.core.chunking.specs_python import PYTHON
from indexing_assets.core.chunking.specs_ruby_php import PHP, RUBY
from indexing_assets.core.chunking.specs_scripts import BASH, LUA, R

_SCRIPTING: Final = (PYTHON, JAVASCRIPT, TYPESCRIPT, TSX, RUBY, PHP, BASH, LUA, R)
_MANAGED: Final = (JAVA, KOTLIN, SCALA, CSHARP, SWIFT, DART, ELIXIR, HASKELL)
_NATIVE: Final = (GO, RUST, C, CPP, ZIG)
SPECS: Final[Mapping[str, LanguageSpec]] = MappingProxyType(
    {spec.name: spec for spec in _SCRIPTING + _MANAGED + _NATIVE}
)
