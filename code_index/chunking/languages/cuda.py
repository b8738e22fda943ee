"""CUDA: C++ whose functions run on a device."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from tree_sitter import Node

from code_index.chunking.languages import cpp

_LAUNCH_BOUNDS: Final = re.compile(r"\s*__launch_bounds__\s*\([^()]*\)")


def _return_type(carrier: Node, source: bytes) -> str:
    kind = cpp.LANGUAGE.return_type_of
    return _LAUNCH_BOUNDS.sub("", kind(carrier, source)) if kind is not None else ""


LANGUAGE: Final = replace(
    cpp.LANGUAGE,
    name="cuda",
    title="CUDA",
    revision=1,
    extensions="cu cuh",
    modes="cuda",
    return_type_of=_return_type,
    query=cpp.LANGUAGE.query
    + """
["__global__" "__device__" "__host__"] @decorator
(launch_bounds) @decorator
""",
)
