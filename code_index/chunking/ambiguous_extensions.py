"""Extensions that several languages use, and what tells them apart.

Belongs here: one rule for each such extension. Does not belong here: extensions of one language (its file type declares
them), and the marks of headers (`c_headers`).

A rule is tried in order; where none holds, the language is the one that declares the extension, or text. The rules
are ours, since no library had them right (docs/decisions/0016-languages-are-told-by-rules-of-our-own.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from code_index.chunking.c_headers import language_of_header
from code_index.chunking.file_type import TEXT

Rule = Callable[[bytes], str | None]
"""From a file's text, valid UTF-8, to its language; `None` where nothing in it tells. Takes linear time."""


def _marks(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.MULTILINE)


def _first(*candidates: tuple[str, bytes]) -> Rule:
    """The first language whose marks a text has; `^` is the start of a line."""
    compiled = [(language, _marks(pattern)) for language, pattern in candidates]

    def rule(content: bytes) -> str | None:
        return next((language for language, marks in compiled if marks.search(content)), None)

    return rule


_XML: Final = rb"\A\s*+<(?:\?xml\b|!DOCTYPE\b|!--|[A-Za-z][\w:.-]*+(?:\s[^<>]*+)?>)"
_XML_DECLARATION: Final = rb"\A\s*+<\?xml\b"
_OBJECTIVE_C: Final = (
    rb"^[ \t]*(?:@(?:interface|implementation|protocol|class|import|property|end|autoreleasepool)\b|#[ \t]*import\b)"
)
_C_LIKE: Final = rb"^[ \t]*(?:#[ \t]*(?:include|define|if|ifdef|ifndef|pragma)\b|//|/\*)"
_PERL: Final = (
    rb"\A#!.*\bperl|^[ \t]*(?:use|no|require|package)[ \t]+[\w:]+|^[ \t]*(?:my|our|local)[ \t]*[($@%]"
    rb"|^[ \t]*sub[ \t]+\w+|^=(?:pod|head[1-6])\b|\$\w+->"
)
_PROLOG: Final = rb"^:-[ \t]*\w|^[^#\n]*?[\w)][ \t]*+:-[ \t]*+(?:$|%|[\w!\\(\[])|^[a-z]\w*+\([^\n]*\)\.(?:\s|\Z)|^[a-z]\w*+(?:\([^()\n]*+\))?[ \t]*+-->"
_PROLOG_DIRECTIVE: Final = (
    rb"^:-[ \t]*(?:module|use_module|dynamic|discontiguous|ensure_loaded|initialization|multifile|set_prolog_flag)\b"
)
_FORTH: Final = rb"^: +\S+[ \t]"
_MAKE_WORD: Final = rb"(?:[\w./+@$%~-]|\\(?![\r\n]))++"
_LISP: Final = rb"\A\s*+(?:#![^\n]*+\s*+)?(?:;[^\n]*+\s*+|#\|(?s:.*?)\|#\s*+)*+\("
_REQUIREMENTS: Final = (
    rb"\A(?=(?:[^\n]*+\n)*?(?:[A-Za-z][\w.-]*+(?:\[[\w, -]*+\])?[ \t]*(?:[=~!<>]=|@ )|-r |-c |--))"
    rb"(?:[ \t]*(?:#[^\n]*+|-(?:[rcef]\b|-[a-z])[^\n]*+|[A-Za-z0-9][\w.-]*+(?:\[[\w, -]*+\])?[ \t]*(?:[=~!<>@;\\]=*+[ \t]*[^\s;]*+[ \t]*(?:[;\\,#<>=!~][^\n]*+)?)?)?[ \t\r]*+(?:\n|\Z))++\Z"
)
_BITBAKE: Final = (
    rb"^(?:inherit|require)[ \t]+[\w./-]+|^(?:SRC_URI|DEPENDS|PV|LICENSE|SUMMARY)[\w:_]*[ \t]*[?+.:]{0,2}="
)
_GERBER: Final = rb"^[DGMT]\d\d\*?[ \t]*\r?$"


def _matlab_or_objective_c(content: bytes) -> str | None:
    found = _first(
        ("objective-c", _OBJECTIVE_C),
        (
            "matlab",
            rb"^[ \t]*+(?:function\b[^;{\n]*\r?$|classdef[ \t]|%|end(?:function|if|for|while)?[ \t]*;?[ \t]*\r?$)",
        ),
        ("mathematica", rb"\A\s*+\(\*|^(?:BeginPackage|Begin)\["),
        ("mercury", rb"^:- (?:module|interface|implementation)\b"),
        ("objective-c", _C_LIKE),
    )(content)
    return found or "matlab"


def _owner_unless_text(*candidates: tuple[str, bytes]) -> Rule:
    """As `_first`, but text where no candidate fits: what has the extension is more often none of them."""
    first = _first(*candidates)
    return lambda content: first(content) or TEXT


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "as": _first(
            (
                "actionscript",
                rb"^[ \t]*+(?:package\b|import\s++[\w.*]+\s*+;|(?:public|private)\s++(?:class|function|var)\b|var\s++\w++\s*+:)",
            ),
            (
                "angelscript",
                rb"^[ \t]*(?:#include|shared\b|funcdef\b|mixin\b|(?:void|int|uint|bool|float|double|string|array<)[^\n;]*[({])",
            ),
        ),
        "asc": _owner_unless_text(
            ("text", rb"\A\s*+(?:-----BEGIN |ssh-)"),
            (
                "asciidoc",
                rb"^={1,6} \S|^\[[\w,=\" .#%-]++\][ \t]*\r?$|^:!?\w[\w-]*+!?:|^\|={3}|\b(?:include|image|link|xref)::?\S",
            ),
        ),
        "bas": _first(
            (
                "vb",
                rb"(?i)^[ \t]*+(?:attribute[ \t]+vb_|option[ \t]+(?:explicit|compare|private)|(?:public|private)[ \t]+(?:sub|function|const|type|declare|enum)\b|imports[ \t])",
            ),
            (
                "basic",
                rb"(?i)\A\s*+\d++[ \t]|^[ \t]*+(?:#(?:include|lang|define)|\$(?:console|include)|declare[ \t]+(?:sub|function)|print[ \t]+\"|(?:go)?sub[ \t]+\w+|dim[ \t]+shared|cls\b|rem\b)",
            ),
        ),
        "bb": _first(("clojure", _LISP), ("bitbake", _BITBAKE)),
        "cl": _first(
            ("commonlisp", _LISP),
            (
                "c",
                rb"\b(?:__)?kernel\s++(?:__attribute__|void)\b|\b__(?:global|local|constant)\b|\bget_(?:global|local)_id\b|"
                + _C_LIKE,
            ),
        ),
        "cls": _first(
            ("tex", rb"^[ \t]*+(?:\\\w|%)"),
            (
                "vb",
                rb"(?i)\A\s*+version[ \t]+\d|^attribute[ \t]+vb_|^[ \t]*+option[ \t]+explicit\b|^[ \t]*+end[ \t]+(?:sub|function|property)\b",
            ),
            ("objectscript", rb"^Class[ \t]+%?\w+(?:\.\w+)+"),
            ("abl", rb"(?i)^[ \t]*+class[ \t]+[\w.]++[^\n{]*:[ \t]*\r?$"),
        ),
        "config": _first(("xml", _XML)),
        "conf": _first(("xml", _XML_DECLARATION)),
        "cs": _first(("smalltalk", rb"![\w\s]{1,80}methodsFor: ")),
        "d": _first(
            (
                "makefile",
                rb"\A(?:#[^\n]*+\n|\s)*+(?!//|(?:import|module|version|static|public|private|alias|enum|extern|debug)\b)(?:"
                + _MAKE_WORD
                + rb"(?:[ \t]|\\\r?\n)++)*?"
                + _MAKE_WORD
                + rb"[ \t]*:(?![:=])[ \t]*+(?:\\|\r?$|[\w./\\$~])",
            ),
            (
                "dtrace",
                rb"\A#!.*\bdtrace\b|^#pragma[ \t]+D[ \t]|^(?:\w*:\w*:[\w*]*:[\w*-]*|dtrace:::\w+|BEGIN|END)[ \t]*\r?$|^provider[ \t]+\w+[ \t]*\{",
            ),
        ),
        "es": _first(("erlang", rb"\A#!.*\bescript\b|^%%|^(?:-module\(|main[ \t]*\([^)\n]*\)[ \t]*->)")),
        "f": _first(("forth", _FORTH)),
        "for": _first(("forth", _FORTH)),
        "fs": _first(
            ("forth", _FORTH),
            (
                "glsl",
                rb"^[ \t]*+(?:#version\b|precision[ \t]+(?:low|medium|high)p\b|(?:uniform|varying|attribute)[ \t]+\w+[ \t]+\w+|layout[ \t]*\(|void[ \t]+main[ \t]*\()",
            ),
        ),
        "gd": _first(
            (
                "gap",
                rb"\b(?:Declare(?:Operation|Attribute|Property|Category|GlobalFunction|Representation)|BindGlobal|InstallMethod)\(",
            )
        ),
        "h": language_of_header,
        "in": _owner_unless_text(("requirements", _REQUIREMENTS)),
        "inc": _first(
            ("php", rb"<\?(?:php\b|=|\s)"),
            ("html", rb"\A\s*+<(?!\?)[A-Za-z!]"),
            (
                "pascal",
                rb"(?i)^[ \t]*+\{\$\w|^[ \t]*+(?:procedure|function)[ \t]+[\w.]+[^;\n]*;|^[ \t]*+(?:begin|end[.;])[ \t]*\r?$",
            ),
            (
                "sourcepawn",
                rb"^[ \t]*+(?:native|forward|methodmap|stock|enum[ \t]+struct)\b|^#if defined _\w+_included",
            ),
            ("bitbake", _BITBAKE),
            ("makefile", rb"^(?:ifeq|ifneq|ifdef|ifndef|endif)\b|^[\w-]+[ \t]*[:?+]="),
            ("cpp", rb"\b\w+::\w|^[ \t]*(?:template\s*+<|class[ \t]+\w+[^;\n]*\{|namespace\b)"),
            ("c", _C_LIKE),
            (
                "asm",
                rb"(?i)^[ \t]*+(?:%(?:define|macro|include)\b|\.?(?:equ|globl?|section|macro)\b|\w+:?[ \t]+(?:db|dw|dd|equ)\b|mov[bwlq]?[ \t])",
            ),
        ),
        "launch": _first(("xml", _XML)),
        "lisp": _first(("newlisp", rb"\A#!.*\bnewlisp\b|^[ \t]*+\(define \(|^\(context '")),
        "lsp": _first(("newlisp", rb"\A#!.*\bnewlisp\b|^[ \t]*+\(define \(|^\(context '")),
        "m": _matlab_or_objective_c,
        "manifest": _first(("xml", _XML)),
        "md": _first(("gcc-machine-description", rb"\A(?:\s|;[^\n]*+\n)*+\((?:define_\w+|include)\b")),
        "ml": _first(
            (
                "ocaml",
                rb"^[ \t]*+(?:module|open|let\b|type\b.*=|exception\b.*\bof\b|\#(?:use|require|load))|\bmatch\b[^\n]*\bwith\b|\bin\s*$",
            ),
            ("sml", rb"^[ \t]*+(?:fun|val|structure|signature|functor|datatype)\s|=>"),
        ),
        "mm": _first(("xml", _XML)),
        "mod": _first(
            ("xml", rb"<!(?:ENTITY|ELEMENT|ATTLIST)\b|\A\s*+<"),
            ("modula2", rb"(?i)^[ \t]*+(?:(?:definition|implementation)[ \t]+)?module[ \t]+\w+[^;\n]*;"),
        ),
        "pl": _first(("prolog", _PROLOG_DIRECTIVE), ("perl", _PERL), ("prolog", _PROLOG)),
        "pm": _first(("c", rb"\A\s*+/\* XPM \*/")),
        "pp": _first(
            (
                "pascal",
                rb"(?i)^[ \t]*+(?:(?:unit|program|library|uses)[ \t]+\w[\w., \t]*;|interface[ \t]*\r?$|implementation[ \t]*\r?$|end\.)|^[ \t]*+\{\$\w",
            )
        ),
        "pro": _first(
            ("prolog", rb"^:-[ \t]*\w|^[a-z]\w*+(?:\([^\n]*\))?[ \t]*+:-|^[a-z]\w*+\([^\n=]*\)\.(?:\s|\Z)"),
            (
                "proguard",
                rb"^[ \t]*-(?:include|keep\w*|dontwarn|dontobfuscate|dontshrink|optimizations?|libraryjars|injars|assumenosideeffects)\b",
            ),
            (
                "qmake",
                rb"^[ \t]*+[A-Z][A-Z_\d.]*+[ \t]*[-+*~]?=|^[ \t]*+[\w:!|-]+[ \t]*\{|^[ \t]*+(?:include|contains|requires|load|message|error)\(",
            ),
            ("idlang", rb"(?i)^[ \t]*+(?:pro|function|compile_opt)[ \t]+\w|^[ \t]*+end[ \t]*\r?$|^[ \t]*;"),
        ),
        "props": _first(("properties", rb"\A(?!\s*+<)(?:\s|[#!][^\n]*+\n)*+[\w.-]++[ \t]*[=:]")),
        "r": _first(
            ("rebol", rb"(?i)\A(?:[^\n]*+\n){0,5}?\s*+rebol\s*+\["),
            ("c", rb"^[ \t]*#[ \t]*include[ \t]+[\"<][^\">\n]+\.r[\">]|^(?:resource|data|type)[ \t]+'[\w ]{4}'"),
        ),
        "re": _first(("cpp", rb"^[ \t]*#[ \t]*(?:include|ifn?def|define|pragma)\b|^[ \t]*template\s*+<|/\*!re2c")),
        "rs": _first(
            ("xml", _XML_DECLARATION),
            ("c", rb"^[ \t]*#[ \t]*(?:pragma[ \t]+(?:version|rs)\b|include[ \t]+[<\"])|__attribute__\(\(kernel"),
        ),
        "sc": _first(
            (
                "scala",
                rb"^[ \t]*+(?:import[ \t]+[a-z$_][\w.$]*|(?:case[ \t]+)?(?:class|object)[ \t]+\w|trait[ \t]|package[ \t]|(?:override[ \t]+)?def[ \t]|(?:implicit[ \t]+|lazy[ \t]+)?val[ \t]|//>|@main\b)",
            ),
            (
                "supercollider",
                rb"^[A-Z]\w*+(?:[ \t]*:[ \t]*[A-Z]\w*+)?[ \t]*\{|\{[ \t]*(?:arg\b|\|)|^[ \t]*~\w+[ \t]*=|\.play\b|\^(?:this|super)\b|\bSynthDef\b",
            ),
        ),
        "scm": _first(
            (
                "tree-sitter-query",
                rb"^[^;\n]*[\s)\]]@[a-z_][\w.-]*|\(#(?:eq|match|any-of|not-eq|set|lua-match|offset)[?!]",
            )
        ),
        "sld": _first(("xml", _XML)),
        "sls": _first(("scheme", _LISP), ("yaml", rb"")),
        "sol": _first(("text", _GERBER)),
        "sp": _first(("text", rb"(?i)^\.(?:subckt|ends?|include|model|option|tran|param)\b")),
        "st": _first(
            (
                "structured-text",
                rb"(?i)^[ \t]*+(?:program|function_block|function[ \t]+\w+[ \t]*:|var(?:_\w+)?|end_\w+|type)\b[^\n|]*\r?$",
            ),
            ("text", rb"^(?:group|delimiters)[ \t]|^\w+\([^)\n]*\)[ \t]*::=|\$\w+[($:;]"),
        ),
        "t": _owner_unless_text(("perl", _PERL)),
        "ts": _first(("xml", rb"\A\s*+<(?:\?xml\b|!DOCTYPE\b|!--|TS\b)")),
        "tsx": _first(("xml", rb"\A\s*+<(?:\?xml\b|tileset\b)")),
        "txt": _first(("requirements", _REQUIREMENTS)),
        "typ": _first(("xml", _XML_DECLARATION)),
        "v": _first(
            (
                "coq",
                rb"\b(?:Proof|Qed|Defined|Admitted)\.(?:\s|\Z)|^[ \t]*+(?:From\s+[\w.]+\s+)?Require\b|^[ \t]*+(?:Theorem|Lemma|Definition|Fixpoint|Inductive|Notation|Section|Module|Record|Ltac|Corollary)[ \t]+[\w\"']",
            ),
            (
                "vlang",
                rb"^(?:pub[ \t]+)?(?:fn[ \t]+[(\w]|(?:struct|enum|interface)[ \t]+\w+[ \t]*\{)|^import[ \t]+[\w.]+[ \t]*\r?$",
            ),
            (
                "verilog",
                rb"^[ \t]*+(?:(?:module|primitive|macromodule)[ \t]+\w|`(?:define|ifn?def|include|timescale|default_nettype)\b|always[ \t]*@|initial\b|endmodule\b|assign[ \t])",
            ),
        ),
    }
)
