"""What grammars of configuration, shaders and Cython get wrong, and how their definitions are found all the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.chunking import chunk_file
from code_index.chunking.languages import cython


def _named(text, language):
    """First and last line of each definition, by name."""
    chunks = chunk_file(text.encode(), file_path="x", file_hash="x", language=language)
    code = [chunk for chunk in chunks if chunk.chunk_type in {"function", "method", "class"}]
    return {chunk.qualified_name: (chunk.start_line, chunk.end_line) for chunk in code}


@pytest.mark.parametrize(
    ("language", "text", "names"),
    [
        (
            "terraform",
            'job "docs" {\n}\ndata "a" "b" { }\nlocals { x = 1 }\n',
            ["data.a.b", "job.docs", "local.x", "locals"],
        ),
        (
            "graphql",
            'extend schema @link(url: "x", import: ["@key"])\ntype A { id: ID }\ntype B { id: ID }\n',
            ["A", "B"],
        ),
        ("makefile", "F = \\\n  --with-a \\\n  P='/bin/p -q' \\\n  T='/bin/t'\nX = \"a: b\"\na: b\n\tx\n", ["a"]),
        ("makefile", "a: b\n\tx\nifeq (1,1)\nb:\n\ty\nelse\nc:\n\tz\nendif\n", ["a", "b", "c"]),
        ("rego", "package p\nf(x) := 1 if {\n x\n} else := 2\n\ng contains m if { m := 1 }\n", ["p.f", "p.g"]),
        ("rego", 'package p\na = {"x": [1, 2,],}\nb { a }\n', ["p.a", "p.b"]),
        (
            "cmake",
            "if(A)\n ADD_LIBRARY(x a.c)\nendif()\nfunction(f)\n add_library(${n} a.c)\nendfunction()\n",
            ["f", "x"],
        ),
        ("starlark", 'module(name = "m")\nbazel_dep(name = "d")\nr(name = "t")\nr(name = x)\n', ["t"]),
        ("hlsl", "cbuffer A : register(b0)\n{\n float x;\n};\ncbuffer B { float y; };\n", ["A", "B"]),
        ("nix", "{ f = x: y: x; g = 1;\n h = {\n a = 1; };\n i = { a = 1; }; }\n", ["f", "h"]),
    ],
)
def test_definitions_are_named_as_their_users_call_them(language, text, names):
    assert sorted(_named(text, language)) == names


def test_prototypes_and_types_of_c_are_definitions_of_cython():
    text = (
        'cdef extern from "x.h":\n    ctypedef struct t:\n        int a\n    t *make(int a,\n            int b) except NULL\n'
        "ctypedef int (*call)(int)\ncdef int (*pointer)(int)\ncdef int g(int x) nogil:\n    return <int>x\n"
        "cdef class A(B) [object C]:\n    cdef public int n\n    cpdef f(self, int x=3): return x\n"
    )
    assert _named(text, "cython") == {
        "t": (2, 3),
        "make": (4, 5),
        "call": (6, 6),
        "g": (8, 9),
        "A": (10, 11),
        "A.f": (12, 12),
    }


@pytest.mark.parametrize(
    ("declared", "parameters"),
    [
        ("int a", [("a", "int", None)]),
        ("double[:, ::1] a not None", [("a", "double[:, ::1]", None)]),
        (
            "np.ndarray[double, ndim=2] a=None, *rest",
            [("a", "np.ndarray[double, ndim=2]", "None"), ("*rest", None, None)],
        ),
        (
            "const char *a, b: int = 2, c=(1, 2)",
            [("a", "const char *", None), ("b", "int", "2"), ("c", None, "(1, 2)")],
        ),
    ],
)
def test_parameters_of_cython_have_types_of_c_or_of_python(declared, parameters):
    for head in ("def f", "cdef int f", "cpdef f"):
        chunk = chunk_file(
            f"{head}({declared}):\n    pass\n".encode(), file_path="x", file_hash="x", language="cython"
        )[0]
        assert [(item.name, item.type, item.default) for item in chunk.parameters] == parameters


_PIECES = [
    "cdef ",
    "cpdef ",
    "ctypedef ",
    "class ",
    "struct ",
    "f(",
    "int a",
    ")",
    ":",
    "\n",
    "    ",
    '"""',
    "=",
    "<",
    ">",
    "extern from *",
    "*",
    "[",
    "é",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=40).map("".join))
def test_cython_is_rewritten_in_the_same_length_and_lines(text):
    source = text.encode()
    rewritten = cython.LANGUAGE.reads_as(source)
    assert len(rewritten) == len(source)
    assert [at for at, byte in enumerate(rewritten) if byte == 10] == [
        at for at, byte in enumerate(source) if byte == 10
    ]
