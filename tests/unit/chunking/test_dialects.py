"""Notations within one language, and text that only looks like a definition."""

from __future__ import annotations

import pytest

from code_index.chunking import chunk_file
from code_index.core.model import Chunk, ChunkType

_CODE = {ChunkType.FUNCTION: "f", ChunkType.METHOD: "m", ChunkType.CLASS: "c"}


def chunked(text: str, language: str) -> tuple[Chunk, ...]:
    return chunk_file(text.encode(), file_path="a", file_hash="0", language=language)


def symbols(text: str, language: str) -> list[str]:
    """Each definition as `c Name 1-4` (f for functions, m for methods), in order."""
    return [
        f"{_CODE[chunk.chunk_type]} {chunk.qualified_name} {chunk.start_line}-{chunk.end_line}"
        for chunk in chunked(text, language)
        if chunk.chunk_type in _CODE
    ]


FIXED_FORM = """\
*> Adds two numbers.
      SUBROUTINE ADD( A,
     $                B )
C     A comment between
      REAL A, B
      IF( A.GT.B .AND.
* a comment in a statement
     &    B.GT.0 ) THEN
         A = 'it''s ! no comment'
      END IF
      END
      REAL FUNCTION TWICE( X )
      TWICE = 2*X
      END
"""


def test_fixed_form_fortran_has_the_names_lines_and_parameters_of_free_form():
    assert symbols(FIXED_FORM, "fortran") == ["f ADD 1-11", "f TWICE 12-14"]
    add, twice = chunked(FIXED_FORM, "fortran")
    assert add.docstring == "Adds two numbers."
    assert [(one.name, one.type) for one in add.parameters] == [("A", "REAL"), ("B", "REAL")]
    assert (add.cyclomatic_complexity, twice.return_type) == (3, "REAL")


def test_free_form_fortran_that_begins_lines_with_letters_of_comments_is_not_taken_for_fixed_form():
    text = "subroutine a(b)\ncall c(b)\ncontains\ncharacter function d()\nend function\nend subroutine\n"
    assert [one.split()[1] for one in symbols(text, "fortran")][:1] == ["a"]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("elisp", "'(defun a () 1)\n(defmacro b (c) `(defun ,c () 1))\n#'(lambda (d) d)", ["f b 2-2"]),
        ("elisp", "(define-key map [a] (list 1))\n(defvar a (list 1))\n(default-value (a) (b))", []),
        ("elisp", "(my-defun (a) (b))\n(cl-defmethod a ((b c)) b)", ["m c.a 2-2"]),
        ("commonlisp", "(DEFUN A (B) B)\n(cl:defun c () 1)\n'(defun d () 1)", ["f A 1-1", "f c 2-2"]),
        ("commonlisp", "(defun a ()\n  (loop with b of-type c = 0 do (d)))\n(defun e ())", ["f a 1-2", "f e 3-3"]),
        ("commonlisp", "(in-package :a)\n(defun b ())\n(in-package #:c)\n(defun d ())", ["f a.b 2-2", "f c.d 4-4"]),
        ("scheme", "#;(define (a) 1)\n'(define (b) 1)\n(define c 1)\n(define (d) 1)", ["f d 4-4"]),
        ("scheme", "(library (a b)\n  (export c)\n  (define (c) 1))", ["f a.b.c 3-3"]),
        ("racket", "#;(define (a) 1)\n(define-values (b c) 1)\n(define (d) 1)", ["f d 3-3"]),
        ("racket", "(define a% (class b%\n  (define/public (c) 1)))", ["c a% 1-2", "m a%.c 2-2"]),
    ],
)
def test_a_list_of_a_lisp_is_a_definition_by_its_word_and_shape_and_only_where_it_is_evaluated(
    language, text, expected
):
    assert symbols(text + "\n", language) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "`ifdef A\nmodule a (b);\n`else\nmodule a (b, c);\n`endif\nendmodule\nmodule d; endmodule",
            ["c a 4-6", "c d 7-7"],
        ),
        ("`define M(x) module x; \\\n  endmodule\nmodule a; endmodule", ["c a 3-3"]),
        ('module a;\n  initial $display("endmodule function b;");\nendmodule', ["c a 1-3"]),
        (
            "class a;\n  virtual b c;\n  assert property (d);\n  extern function void e();\nendclass",
            ["c a 1-5", "m a.e 4-4"],
        ),
        ("function void a::b(); endfunction", ["m a.b 1-1"]),
        ("typedef class a;\ntypedef struct { int b; } c;", ["c c 2-2"]),
        ("module a;\n  always @(b) begin : c\n  end\nmodule d;", ["c a 1-1", "m a.c 2-3", "c a.d 4-4"]),
        ("interface class a;\nendclass\ninterface b;\nendinterface", ["c a 1-2", "c b 3-4"]),
    ],
)
def test_verilog_is_read_by_its_keywords_whatever_macros_and_strings_hold(text, expected):
    assert symbols(text + "\n", "systemverilog") == expected
    assert symbols(text + "\n", "verilog") == expected


def test_control_flow_of_verilog_counts_as_that_of_other_languages():
    text = (
        "task f(bit a, b);\n if (a && b || a) begin for (int i = 0; i < 2; i++) while (b) g(); end\n"
        " else if (b) g(); // no\n else h();\nendtask\n"
    )
    (task,) = chunked(text, "systemverilog")
    assert (task.cyclomatic_complexity, task.cognitive_complexity, task.max_nesting_depth) == (7, 10, 3)
    (task,) = chunked("task f;\n case (a)\n 1: b = c ? 1 : 0;\n 2: d;\n default: e;\n endcase\nendtask\n", "verilog")
    assert (task.cyclomatic_complexity, task.cognitive_complexity, task.max_nesting_depth) == (4, 3, 2)


def test_a_comment_above_a_declaration_of_verilog_documents_it():
    text = "// Doc of a.\nvirtual class a;\n  // Doc of b.\n  pure virtual task b(int c, d = 1);\nendclass\n"
    outer, inner = chunked(text, "systemverilog")
    assert (outer.docstring, inner.docstring) == ("Doc of a.", "Doc of b.")
    assert [(one.name, one.type, one.default) for one in inner.parameters] == [("c", "int", None), ("d", "int", "1")]


def test_a_procedure_of_tcl_is_found_behind_text_that_misleads_the_grammar():
    text = "proc a(b) {c} {\n    upvar $d($c) e\n    if {![info exists f($c)]} {\n        g\n    }\n}\nproc h {} {}\n"
    assert symbols(text, "tcl") == ["f a(b) 1-6", "f h 7-7"]


def test_a_comment_of_nim_belongs_to_what_stands_below_it():
    first, second = chunked("proc a() =\n  discard\n\n# Doc of b.\nproc b() = discard\n", "nim")
    assert (first.end_line, second.docstring) == (2, "Doc of b.")


def test_an_architecture_of_vhdl_belongs_to_its_entity():
    text = "architecture b of work.a is\nbegin\n  c : process begin wait; end process;\nend b;\n"
    assert symbols(text, "vhdl") == ["c a.b 1-4", "m a.b.c 3-3"]
