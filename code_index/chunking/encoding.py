"""Bytes of a file as UTF-8, which the parsers read.

Belongs here: the choice of the encoding. Statistical detectors were rejected: on short files they guess
differently from one version to the next, and with the text every chunk's id would change.
"""

from __future__ import annotations

import codecs
from typing import Final

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
# UTF-32 before UTF-16: the little-endian mark of UTF-32 starts with that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def to_utf8(content: bytes) -> bytes:
    """The text of `content` as valid UTF-8 without a byte order mark; never fails.

    A byte order mark decides. Without one the content is UTF-8; where that is invalid, it is UTF-8 with replacement
    characters if most of its non-ASCII text is valid UTF-8 (a damaged file), else Windows-1252, with its five
    undefined bytes as Latin-1.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace").encode("utf-8")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return _without_mark(content).encode("utf-8")
    return content


def _without_mark(content: bytes) -> str:
    text = content.decode("utf-8", "replace")
    bad = text.count(_REPLACEMENT)
    good = sum(1 for character in text if character > "\x7f") - bad
    if good > bad:
        return text
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return "".join(_CP1252[byte] for byte in content)


def _character(byte: int) -> str:
    try:
        return bytes((byte,)).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


_CP1252: Final = tuple(_character(byte) for byte in range(256))
