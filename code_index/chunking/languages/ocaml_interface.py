"""OCaml interfaces, which have a grammar of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from code_index.chunking.languages._ocaml import FAMILY

LANGUAGE: Final = replace(FAMILY, name="ocaml_interface", title="OCaml interfaces", revision=1, extensions="mli")
