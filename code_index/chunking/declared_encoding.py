"""Encodings that a file or a repository declares.

Belongs here: where a declaration stands in a text, and which names count. Does not belong here: whether the bytes agree
(`code_index.chunking.encoding`).

A declaration is a stranger's word. Python knows codecs that are no encodings of text: they transform (`rot13`, `hex`),
unpack (`zlib`, a bomb), evaluate escapes (`unicode_escape`, `idna`) or hide text (`utf-7`). Only the names listed here
are looked up, and never by `codecs.lookup`, which imports a module by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from encodings.aliases import aliases
from typing import Final

UTF_8: Final = "utf-8"
WINDOWS_1252: Final = "windows-1252"

_HEAD_BYTES: Final = 4_096
_TAIL_BYTES: Final = 1_024
_NAME: Final = rb"([A-Za-z][\w.:-]{1,40})"
# Each with letters that are in all of its matches: most texts have none of them. A search for `\A` tries every offset.
_PATTERNS: Final = tuple(
    (letters, re.compile(pattern).match if rb"\A" in pattern[:6] else re.compile(pattern).search)
    for letters, pattern in (
        (b"<?xml", rb"(?i)\A\s*<\?xml\b[^>]{0,200}?\bencoding\s*=\s*[\"']" + _NAME),
        (b"@charset", rb"(?i)\A\s*@charset\s*[\"']" + _NAME),
        # The first two lines, as PEP 263 and Ruby say it; other languages by the line that Emacs reads.
        (
            b"coding",
            rb"\A(?:[ \t\f]*(?:#[^\r\n]*)?(?:\r\n?|\n))?[ \t\f]*#(?:[^\r\n]{0,200}?[^A-Za-z])?(?:file)?(?:en)?coding[:=][ \t]*"
            + _NAME,
        ),
        (b"-*-", rb"\A(?:[^\r\n]{0,400}(?:\r\n?|\n))?[^\r\n]{0,200}?-\*-[^\r\n]{0,200}?\bcoding[:=][ \t]*" + _NAME),
        (b"<meta", rb"(?i)<meta\b[^>]{0,300}?\bcharset\s*=\s*[\"']?\s*" + _NAME),
        (b"pageencoding", rb"(?i)\bpageEncoding\s*=\s*[\"']" + _NAME),
        (b"charset", rb"(?i)\bContent-?Type\b[^\r\n>]{0,100}?\bcharset\s*=\s*" + _NAME),
        (b"inputenc", rb"\\usepackage\s*\[" + _NAME + rb"\]\s*\{inputenc\}"),
        (b"!tex", rb"(?i)\A[^\r\n]{0,100}%\s*!TEX\s+encoding\s*=\s*" + _NAME),
        (b"declare", rb"(?i)\bdeclare\s*\(\s*encoding\s*=\s*[\"']" + _NAME),
    )
)
_MODE_LINE: Final = re.compile(rb"(?:\bvim?|\bex):[^\r\n]{0,200}?\b(?:fileencoding|fenc)=" + _NAME)

# Names of Python's codecs, and what each is read as in turn: what is declared is often written in the larger set that
# extends it.
_MULTI_BYTE: Final = {
    "shift_jis": ("shift_jis", "cp932"),
    "cp932": ("cp932",),
    "shift_jisx0213": ("shift_jisx0213",),
    "shift_jis_2004": ("shift_jis_2004",),
    "euc_jp": ("euc_jp", "euc_jis_2004"),
    "euc_jisx0213": ("euc_jisx0213",),
    "euc_jis_2004": ("euc_jis_2004",),
    "gb2312": ("gb2312", "gb18030"),
    "gbk": ("gbk", "gb18030"),
    "gb18030": ("gb18030",),
    "big5": ("big5", "cp950", "big5hkscs"),
    "big5hkscs": ("big5hkscs",),
    "cp950": ("cp950",),
    "euc_kr": ("euc_kr", "cp949"),
    "cp949": ("cp949",),
    "johab": ("johab",),
}
_SEVEN_BIT: Final = frozenset(
    [
        "hz",
        "iso2022_jp",
        "iso2022_jp_1",
        "iso2022_jp_2",
        "iso2022_jp_2004",
        "iso2022_jp_3",
        "iso2022_jp_ext",
        "iso2022_kr",
    ]
)
_WIDE: Final = frozenset(["utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"])
_SINGLE_BYTE: Final = frozenset(
    [f"iso8859_{part}" for part in (*range(2, 12), *range(13, 17))]
    + [f"cp125{page}" for page in range(9)]
    + [
        "latin_1",
        "ascii",
        "cp437",
        "cp737",
        "cp775",
        "cp850",
        "cp852",
        "cp855",
        "cp857",
        "cp858",
        "cp860",
        "cp861",
        "cp862",
        "cp863",
        "cp864",
        "cp865",
        "cp866",
        "cp869",
        "cp874",
        "koi8_r",
        "koi8_u",
        "koi8_t",
        "kz1048",
        "ptcp154",
        "tis_620",
        "hp_roman8",
        "mac_roman",
        "mac_cyrillic",
        "mac_greek",
        "mac_latin2",
        "mac_iceland",
        "mac_turkish",
    ]
)
# Latin-1 has control characters where Windows has letters and quotes: browsers read it as Windows-1252, too.
_READ_AS: Final = {"latin_1": WINDOWS_1252, "cp1252": WINDOWS_1252}
_MORE_NAMES: Final = {
    "ansinew": "cp1252",
    "applemac": "mac_roman",
    "cp65001": "utf_8",
    "eucjp_ms": "euc_jp",
    "latin9": "iso8859_15",
    "ks_c_5601_1987": "euc_kr",
    "mule_utf_8": "utf_8",
    "prefer_utf_8": "utf_8",
    "sjis_win": "cp932",
    "unicode": "utf_16",
    "utf8mb4": "utf_8",
    "utf8x": "utf_8",
    "utf_8_emacs": "utf_8",
    "utf_8_sig": "utf_8",
    "windows_31j": "cp932",
    "x_euc_jp": "euc_jp",
    "x_gbk": "gbk",
    "x_mac_cyrillic": "mac_cyrillic",
    "x_sjis": "shift_jis",
}
# Names in Emacs for bytes as they are.
_NONE: Final = frozenset(["binary", "no_conversion", "raw_text", "undecided"])


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoding of text: its name, and the codecs of Python that read it, the strictest first.

    `wide` encodings have two or four bytes for a letter, `seven_bit` ones only bytes of ASCII.
    """

    name: str
    encodings: tuple[str, ...]
    single_byte: bool = False
    seven_bit: bool = False
    wide: bool = False


def declared_in(content: bytes) -> str | None:
    """The name of the encoding that a text declares at its beginning (or its end, as Vim reads it), or None."""
    head = content[:_HEAD_BYTES]
    tail = content[-_TAIL_BYTES:]
    lower = head.lower()
    if b"coding" in lower or b"charset" in lower or b"inputenc" in lower:
        for letters, find in _PATTERNS:
            if letters in lower and (match := find(head)) is not None:
                return match[1].decode("ascii")
    for part in (head[:_TAIL_BYTES], tail):
        if (b"fileencoding=" in part or b"fenc=" in part) and (match := _MODE_LINE.search(part)) is not None:
            return match[1].decode("ascii")
    return None


def codec_named(name: str) -> Codec | None:
    """The encoding of that name, in any usual spelling, or None where it is unknown or no encoding of text."""
    key = _key(name)
    if key == "utf_8":
        return Codec(UTF_8, (UTF_8,))
    if key in _MULTI_BYTE:
        return Codec(_shown(key), _MULTI_BYTE[key])
    if key in _SEVEN_BIT:
        return Codec(_shown(key), (key,), seven_bit=True)
    if key in _WIDE:
        ends = ("_le", "_be") if key in {"utf_16", "utf_32"} else ("",)
        return Codec(_shown(key), tuple(_shown(key + end) for end in ends), wide=True)
    if key in _SINGLE_BYTE:
        return Codec(_shown(key), (_READ_AS.get(key, key),), single_byte=True)
    return None


def declares_nothing(name: str) -> bool:
    """Tell whether a name stands for bytes as they are."""
    return _key(name) in _NONE


def _key(name: str) -> str:
    key = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    key = re.sub(r"_(?:unix|dos|mac)$", "", key)  # line ends, in Emacs
    return _MORE_NAMES.get(key) or aliases.get(key, key)


def _shown(key: str) -> str:
    return key.replace("_", "-")
