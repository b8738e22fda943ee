"""The language of a C header: C, C++ or Objective-C, by all that it says.

Belongs here: the marks of the three, and what is none: comments, strings, and what compilers of C leave out. Does not
belong here: other extensions that several languages use (`ambiguous_extensions`).

The marks of C++ are forms that C cannot have, not words: headers of C use `class`, `new` and `this` as names. One
of them anywhere decides, also behind a long licence. A grammar was rejected: that of C++ accepts most of C and the other
way round, and its errors in a header full of macros say nothing.
"""

from __future__ import annotations

import re
from typing import Final

_NO_CODE: Final = re.compile(
    rb"(?P<kept>^[ \t]*\#[ \t]*(?:include|import|error)\b(?:[^\n/]|/(?![/*]))*+)"
    rb"|//[^\n]*|/\*(?s:.*?)(?:\*/|\Z)|(?P<text>\"(?:[^\"\\\n]|\\(?s:.))*+\"?)|'(?:[^'\\\n]|\\[^\n]){1,4}+'|\[\[[^\]\n]*+\]\]",
    re.MULTILINE,
)
_CONDITIONAL: Final = re.compile(
    rb"^[ \t]*\#[ \t]*(?:(?P<opens>if(?:n?def)?)|(?P<turns>else|elif)|endif)\b(?P<condition>(?:[^\n\\]|\\(?s:.))*+)",
    re.MULTILINE,
)
_OTHERS: Final = re.compile(rb"(?:(?P<no>!)[ \t]*)?(?:defined\b[ \t(]*)?\b(?:__cplusplus|__OBJC__)\b")
_CODE: Final = re.compile(rb"^[ \t]*+[^\s#]", re.MULTILINE)

_OBJECTIVE_C: Final = re.compile(
    rb"^[ \t]*(?:@(?:interface|implementation|protocol|class|import|property|end)\b|\#[ \t]*import[ \t]*[<\"][^>\"\n]+\.h[>\"])"
    rb"|\bNS_(?:ENUM|OPTIONS|ASSUME_NONNULL_BEGIN|SWIFT_NAME)\b",
    re.MULTILINE,
)
_IN_OBJECTIVE_C: Final = (b"@", b"import", b"NS_")  # one is in each match: the look for them takes no time
_MACROS: Final = rb"(?:\w++(?:[ \t]*\([^()\n]*+\))?\s++){0,3}"
_GENERIC: Final = rb"<[^;{}\n]{0,300}>"
_CPP: Final = re.compile(
    rb"^[ \t]*(?:class\s++" + _MACROS + rb"[\w:]++(?:" + _GENERIC + rb")?(?:\s++final)?\s*+[;{:]"
    rb"|(?:struct|union)\s++" + _MACROS + rb"[\w:]++(?:" + _GENERIC + rb"(?:\s++final)?\s*+[;{:]|\s++final\s*+[{:]"
    rb"|\s*+:\s*+[A-Za-z_])"
    rb"|enum\s++(?:class|struct)\b|(?:inline\s++)?namespace\b[\w:\s]{0,300}\{|template\s*+<|extern\s*+\"\""
    rb"|using\s++(?:namespace\b|\w++\s*+=|[\w:]++::)|(?:public|private|protected)(?:\s++\w++)?\s*+:"
    rb"|virtual\s++[\w~]|explicit\s++\w++\s*+\(|friend\s++\w|~\w++\s*+\(|(?:static\s++|inline\s++)*+const(?:expr|eval|init)\b"
    rb"|\#[ \t]*error\b[^\n]*\bC\+\+"
    rb"|\#[ \t]*include[ \t]*(?:<[\w/+-]+>|[<\"][^<>\"\n]+\.(?:hpp|hh|hxx|h\+\+|ipp|tpp|inl)[>\"]))",
    re.MULTILINE,
)
_CPP_IN_LINE: Final = tuple(
    (mark, re.compile(form))  # the mark is in each match, and in few headers of C: the look for it takes no time
    for mark, form in (
        (b"_cast", rb"\b(?:static|dynamic|reinterpret|const)_cast\s*+<"),
        (b"::", rb"\b[A-Za-z_]\w*+::~?[A-Za-z_]"),
        (b"&", rb"\bconst\s++[\w<>]++\s*+&"),
        (b"operator", rb"[\w>&*]\s*operator\s?(?:[-+*/%^&|~!=<>]{1,3}|\(\)|\[\]|\"\"\s*+\w++|new|delete)\s?\("),
        (b"noexcept", rb"\bnoexcept\b"),
        (b"decltype", rb"\bdecltype\s*+\("),
        (b")", rb"\)\s*+(?:const|override|final)\b[\s\w]{0,40}[;{]|\)\s*+=\s*+(?:default|delete)\s*+;"),
    )
)
_PROTOTYPE: Final = re.compile(
    rb"^[ \t]*+(?!(?:return|else|if|while|for|switch|case|do|goto|typedef)\b)[A-Za-z_][\w \t*&]*[ \t*&]\w++[ \t]*+"
    rb"\((?P<parameters>(?:[^(){};]|\([^(){};]*+\))*+)\)",
    re.MULTILINE,
)
_REFERENCE_OR_DEFAULT: Final = re.compile(rb"=|\w\s*&{1,2}\s*(?:\w+\s*)?(?:,|\Z)")
_RECORD: Final = re.compile(rb"\b(?:struct|union)(?P<name>(?:\s++\w++){0,2}+)\s*+\{(?P<members>[^{}]*+)")
_METHOD: Final = re.compile(rb"\s*+(?:[A-Za-z]\w*+[\s*&]++)*(?P<name>[A-Za-z]\w*+)\s*+\([^()]*+\)\s*+")
_DEFINITION_FOR_CPP: Final = re.compile(
    rb"^[ \t]*(?:class\s[^;{}()]{0,300}\{|namespace\b[\w:\s]{0,300}\{|template\s*+<)", re.MULTILINE
)


def language_of_header(content: bytes) -> str:
    """The language of a `.h`: what stands between `#ifdef __cplusplus` and its end is C++ only if it defines something.

    `content` is UTF-8. Takes time linear in its length.
    """
    code = _NO_CODE.sub(lambda found: found["kept"] or (b'""' if found["text"] else b" "), content)
    for_c, for_others = _branches(code)
    if not _CODE.search(for_c):
        for_c = code
    if any(mark in for_c for mark in _IN_OBJECTIVE_C) and _OBJECTIVE_C.search(for_c):
        return "objective-c"
    is_cpp = (
        _CPP.search(for_c)
        or any(mark in for_c and form.search(for_c) for mark, form in _CPP_IN_LINE)
        or _DEFINITION_FOR_CPP.search(for_others)
        or _declares_as_cpp(for_c)
    )
    return "cpp" if is_cpp else "c"


def _branches(code: bytes) -> tuple[bytes, bytes]:
    """The text that a compiler of C reads, and the text that only one of C++ or Objective-C does."""
    parts: tuple[list[bytes], list[bytes]] = ([], [])
    opened: list[bool | None] = []  # of each open conditional: is this branch for others; None where all read both
    hidden = 0  # open branches for others
    position = 0
    for found in _CONDITIONAL.finditer(code):
        parts[hidden > 0].append(code[position : found.start()])
        position = found.end()
        before = opened.pop() if opened and not found["opens"] else None
        now: bool | None = None
        if found["opens"]:
            others = _OTHERS.search(found["condition"])
            now = None if others is None else found["opens"] != b"ifndef" and others["no"] is None
        elif found["turns"]:
            now = None if before is None else not before
        if found["opens"] or found["turns"]:
            opened.append(now)
        hidden += (now is True) - (before is True)
    parts[hidden > 0].append(code[position:])
    return b"".join(parts[0]), b"".join(parts[1])


def _declares_as_cpp(code: bytes) -> bool:
    """Tell whether a function has references or default values, or a record has functions."""
    for prototype in _PROTOTYPE.finditer(code):
        if _REFERENCE_OR_DEFAULT.search(prototype["parameters"]):
            return True
    for record in _RECORD.finditer(code):
        names = record["name"].split()
        for member in record["members"].split(b";"):
            method = _METHOD.match(member)
            if method is None or member[method.end() :] not in {b"", b"const"}:
                continue
            is_constructor = names[-1:] == [method["name"]]
            is_typed = method.start("name") > len(member) - len(member.lstrip())
            if is_constructor or (is_typed and not method["name"].isupper()):
                return True
    return False
