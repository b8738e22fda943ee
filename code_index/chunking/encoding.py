"""Bytes of a file as UTF-8, which the parsers read.

Belongs here: the order of what decides. Does not belong here: what a file says of itself and the codecs that are let in
(`code_index.chunking.declared_encoding`), and guesses (`code_index.chunking.guessed_encoding`).
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

from code_index.chunking.declared_encoding import UTF_8, WINDOWS_1252, Codec, codec_named, declared_in, declares_nothing
from code_index.chunking.guessed_encoding import east_asian_encoding, wide_encoding

HEAD_BYTES: Final = 8_000
"""First bytes that are searched for a NUL byte; as in git (`buffer_is_binary`)."""

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
# UTF-32 before UTF-16: the little-endian mark of UTF-32 starts with that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# From here on a character has three bytes in UTF-8: text in another encoding has none by chance.
_THREE_BYTES: Final = "\u0800"


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A file's text: valid UTF-8 without a byte order mark, and the encoding that it was read in.

    `guess` says what was guessed, for people; None where a mark, a declaration or valid UTF-8 decided.
    """

    text: bytes
    encoding: str = UTF_8
    guess: str | None = None


def decode(content: bytes, declared: str | None = None) -> DecodedText:
    """The text of `content`; never fails.

    A byte order mark decides, then what is declared: by the repository (`declared`, from `working-tree-encoding`), or in
    the text itself. A declaration that the bytes contradict does not count, nor one of a codec that is no encoding of
    text. Without one, content with NUL bytes is UTF-16 or UTF-32 where that gives text; else it is UTF-8. Where it is
    not valid UTF-8, it is UTF-8 with replacement characters if most of its non-ASCII text is valid UTF-8 (a damaged
    file), an East Asian encoding where its bytes have the form of one, else Windows-1252, with its five undefined bytes
    as Latin-1.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return DecodedText(content[len(mark) :].decode(encoding, "replace").encode("utf-8"), encoding)
    complaint = None
    for name, is_readable in ((declared, False), (declared_in(content), True)):
        if name is not None:
            found = _as_declared(content, name, is_readable=is_readable)
            if isinstance(found, DecodedText):
                return found
            complaint = complaint or found
    return _undeclared(content, complaint)


def ascii_compatible(content: bytes, declared: str | None = None) -> bytes:
    """The content itself, or in UTF-8 where its head has NUL bytes as UTF-16 and UTF-32 do; others keep theirs."""
    return decode(content, declared).text if b"\0" in content[:HEAD_BYTES] else content


def _as_declared(content: bytes, name: str, *, is_readable: bool) -> DecodedText | str | None:
    """The text in a declared encoding, or the reason why it is not read so; None for what needs no remark.

    Where the declaration `is_readable` byte by byte, the text is not in UTF-16 or UTF-32, whatever it says.
    """
    codec = codec_named(name)
    if codec is None:
        return None if declares_nothing(name) else f"declares the encoding {name}, which is not read here"
    if codec.name == UTF_8 or (codec.wide and is_readable):
        return None
    as_utf8 = _strict(content, UTF_8)
    if as_utf8 is not None and not codec.seven_bit:
        if as_utf8.isascii() and not codec.wide:
            return None
        if not codec.wide and (codec.single_byte or max(as_utf8) >= _THREE_BYTES):
            return DecodedText(content, UTF_8, f"declares {name}, but is valid UTF-8, and read so")
    guess = wide_encoding(content) if codec.wide else None
    for encoding in sorted(codec.encodings, key=lambda one: one != guess):
        text = _strict(content, encoding)
        if text is not None and not (codec.wide and "\0" in text):
            return DecodedText(text.encode("utf-8"), encoding if codec.wide else codec.name)
    return _damaged(content, codec, name)


def _damaged(content: bytes, codec: Codec, name: str) -> DecodedText | str:
    text = content.decode(codec.encodings[-1], "replace")
    bad = text.count(_REPLACEMENT)
    if codec.wide or _others(text) - bad <= bad:
        return f"declares {name}, which it is not"
    return DecodedText(text.encode("utf-8"), codec.name, f"declares {name}, with {bad} characters that are none of it")


def _undeclared(content: bytes, complaint: str | None) -> DecodedText:
    def guessed(text: bytes, encoding: str) -> DecodedText:
        return DecodedText(text, encoding, f"{complaint or 'declares no encoding'}; read as {encoding}, a guess")

    if b"\0" in content[:HEAD_BYTES] and (wide := wide_encoding(content)) is not None:
        text = content.decode(wide).encode("utf-8")
        named = codec_named(declared_in(text) or "")
        return DecodedText(text, wide) if named is not None and named.wide else guessed(text, wide)
    text_or_none = _strict(content, UTF_8)
    if text_or_none is not None:
        return DecodedText(content) if complaint is None else guessed(content, UTF_8)
    damaged = content.decode("utf-8", "replace")
    bad = damaged.count(_REPLACEMENT)
    if _others(damaged) - bad > bad:
        return DecodedText(damaged.encode("utf-8"), UTF_8, f"{bad} characters are not valid UTF-8")
    if (east_asian := east_asian_encoding(content)) is not None:
        return guessed(content.decode(east_asian).encode("utf-8"), east_asian)
    return guessed("".join(_CP1252[byte] for byte in content).encode("utf-8"), WINDOWS_1252)


def _strict(content: bytes, encoding: str) -> str | None:
    try:
        return "".join(_CP1252[byte] for byte in content) if encoding == WINDOWS_1252 else content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _others(text: str) -> int:
    """Characters that are not ASCII."""
    return sum(1 for character in text if character > "\x7f")


def _character(byte: int) -> str:
    try:
        return bytes((byte,)).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


_CP1252: Final = tuple(_character(byte) for byte in range(256))
