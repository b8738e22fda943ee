"""The programming languages that have a specification, by the names of `code_index.chunking.language_detection`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.languages.c import CPP, C
from code_index.chunking.languages.csharp_swift import CSHARP, SWIFT
from code_index.chunking.languages.dart import DART
from code_index.chunking.languages.functional import ELIXIR, HASKELL
from code_index.chunking.languages.go_rust_zig import GO, RUST, ZIG
from code_index.chunking.languages.javascript import JAVASCRIPT, TSX, TYPESCRIPT
from code_index.chunking.languages.jvm import JAVA, KOTLIN, SCALA
from code_index.chunking.languages.python import PYTHON
from code_index.chunking.languages.ruby_php import PHP, RUBY
from code_index.chunking.languages.scripts import BASH, LUA, R

_SCRIPTING: Final = (PYTHON, JAVASCRIPT, TYPESCRIPT, TSX, RUBY, PHP, BASH, LUA, R)
_MANAGED: Final = (JAVA, KOTLIN, SCALA, CSHARP, SWIFT, DART, ELIXIR, HASKELL)
_NATIVE: Final = (GO, RUST, C, CPP, ZIG)
SPECS: Final[Mapping[str, LanguageSpec]] = MappingProxyType(
    {spec.name: spec for spec in _SCRIPTING + _MANAGED + _NATIVE}
)
