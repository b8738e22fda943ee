"""Encodings that bytes have the form of.

Belongs here: rules that stay as they are. Statistical detectors were rejected: on short files they guess differently
from one version to the next, and with the text every chunk's id would change. A rule asks for the form of an encoding
(pairs of bytes that stand together) and for what every text in it has: kana in Japanese, the frequent half of the
characters in Chinese, syllables in Korean. Encodings of one byte a letter look alike: they are not told apart.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_MIN_WIDE_BYTES: Final = 8
_WHITE: Final = frozenset("\t\n\r\f\v\x1b")
_NO_TEXT: Final = frozenset({"Cc", "Cn", "Co", "Cs"})
_RUNS: Final = re.compile(rb"[\x80-\xff]+")
_SHIFT_JIS_KANA: Final = re.compile(rb"\x82[\x9f-\xf1]|\x83[\x40-\x7e\x80-\x96]")
_SHIFT_JIS_PAIR: Final = re.compile(rb"[\x81-\x9f\xe0-\xfc]([\x40-\x7e\x80-\xfc])")
_BIG5_PAIR: Final = re.compile(rb"([\xa1-\xf9])([\x40-\x7e\xa1-\xfe])")
# Shares from which a text counts as one of a language. Kana are a third of a Japanese text and more; the half of GB 2312
# and Big5 that comes first holds the frequent characters.
_WIDE_ASCII: Final = 0.1
_KANA: Final = 0.15
_FREQUENT: Final = 0.9
_IN_FORM: Final = 0.98
_HIGH_TRAILS: Final = 0.4
_MIN_PAIRS: Final = 2
_MIN_SYLLABLES: Final = 4


def wide_encoding(content: bytes) -> str | None:
    """UTF-16 or UTF-32, if bytes with NUL bytes among them are such a text; without a byte order mark."""
    if len(content) < _MIN_WIDE_BYTES:
        return None
    before, after = content[::2].count(0), content[1::2].count(0)
    # Two letters of ASCII are a Chinese character as well: text has spaces and letters of its own.
    if max(before, after) < _WIDE_ASCII * len(content) / 2:
        return None
    order = "le" if after >= before else "be"
    for encoding, width in ((f"utf-32-{order}", 4), (f"utf-16-{order}", 2)):
        if len(content) % width:
            continue
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if all(character in _WHITE or unicodedata.category(character) not in _NO_TEXT for character in set(text)):
            return encoding
    return None


def east_asian_encoding(content: bytes) -> str | None:
    """The codec of an East Asian encoding that bytes have the form of, or None; it decodes them without an error."""
    for form in (_shift_jis, _pairs_of_high_bytes, _big5):
        codec = form(content)
        if codec is not None and _decodes(content, codec):
            return codec
    return None


def _shift_jis(content: bytes) -> str | None:
    trails = _SHIFT_JIS_PAIR.findall(content)
    if len(trails) < _MIN_PAIRS or _high_share(trails) < _HIGH_TRAILS:
        return None
    return "cp932" if len(_SHIFT_JIS_KANA.findall(content)) >= _KANA * len(trails) else None


def _pairs_of_high_bytes(content: bytes) -> str | None:
    """EUC-JP, EUC-KR or GBK, whose characters are pairs of bytes from A1 on."""
    runs = _RUNS.findall(content)
    in_form = [run for run in runs if not len(run) % 2 and min(run) >= 0xA1]  # noqa: PLR2004 - of the encodings
    if len(in_form) < _IN_FORM * len(runs):
        return None
    leads = [lead for run in in_form for lead in run[::2]]
    letters = [lead for lead in leads if lead >= 0xA4]  # noqa: PLR2004 - below are signs and digits
    if len(letters) < _MIN_PAIRS:
        return None
    if sum(lead <= 0xA5 for lead in letters) >= _KANA * len(letters):  # noqa: PLR2004
        return "euc-jp"
    if sum(0xB0 <= lead <= 0xC8 for lead in letters) == len(letters) >= _MIN_SYLLABLES:  # noqa: PLR2004
        return "cp949"
    return "gb18030" if sum(0xB0 <= lead <= 0xD7 for lead in letters) >= _FREQUENT * len(letters) else None  # noqa: PLR2004


def _big5(content: bytes) -> str | None:
    pairs = _BIG5_PAIR.findall(content)
    letters = [trail for lead, trail in pairs if b"\xa4" <= lead <= b"\xc6"]
    if len(letters) < _MIN_SYLLABLES or _high_share(letters) < _HIGH_TRAILS:
        return None
    return "big5hkscs" if len(letters) >= _FREQUENT * sum(lead >= b"\xa4" for lead, _ in pairs) else None


def _high_share(trails: list[bytes]) -> float:
    """Share of pairs whose second byte is no ASCII: a quote of Windows before a letter looks like a pair as well."""
    return sum(trail >= b"\x80" for trail in trails) / len(trails)


def _decodes(content: bytes, codec: str) -> bool:
    try:
        content.decode(codec)
    except UnicodeDecodeError:
        return False
    return True
