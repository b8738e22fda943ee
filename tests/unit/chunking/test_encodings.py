"""Encodings: a mark, then a declaration that fits, then UTF-8, then a guess that is recorded."""

from __future__ import annotations

import codecs
import time
from encodings.aliases import aliases

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.chunking import chunk_file
from code_index.chunking.declared_encoding import codec_named
from code_index.chunking.encoding import ascii_compatible, decode

JAPANESE = "在庫の数を数える"
CHINESE = "计算库存数量，返回名称"  # noqa: RUF001 - as it is written
TRADITIONAL = "計算庫存數量並傳回名稱"
KOREAN = "재고 수량을 계산하고 이름을 반환한다"
RUSSIAN = "посчитать товары"


@given(st.binary(max_size=200), st.sampled_from([None, "utf-16", "shift_jis", "latin-1", "hz", "rot13", "", "\0"]))
def test_any_bytes_become_valid_utf8(content, declared):
    decode(content, declared).text.decode("utf-8")


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_decides_and_is_taken_off(mark, encoding):
    decoded = decode(mark + "é = 漢".encode(encoding), "latin-1")
    assert (decoded.text, decoded.encoding, decoded.guess) == ("é = 漢".encode(), encoding, None)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (f"# -*- coding: shift_jis -*-\n# {JAPANESE}\n", "shift-jis"),
        (f"# -*- coding: euc-jp-unix -*-\n# {JAPANESE}\n", "euc-jp"),
        (f"#!/usr/bin/env ruby\n# encoding: Windows-31J\n# {JAPANESE} ①\n", "cp932"),
        (f"# coding: iso-2022-jp\n# {JAPANESE}\n", "iso2022-jp"),
        (f";; -*- mode: emacs-lisp; coding: euc-jp -*-\n;; {JAPANESE}\n", "euc-jp"),
        (f"/* -*- coding: big5 -*- */\n// {TRADITIONAL}\n", "big5"),
        (f"# vim: set fileencoding=gbk :\n# {CHINESE}\n", "gbk"),
        (f"int a;\n// {RUSSIAN}\n// vim: set ts=4 fenc=koi8-r:\n", "koi8-r"),
        (f'<?xml version="1.0" encoding="GB2312"?>\n<a>{CHINESE}</a>', "gb2312"),
        ("<?xml version='1.0' encoding='ISO-8859-1' standalone='yes'?><a>café</a>", "latin-1"),
        (f'<!doctype html><html><head><meta charset="euc-kr"><title>{KOREAN}</title>', "euc-kr"),
        (
            f'<html><META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=windows-1251"><p>{RUSSIAN}',
            "cp1251",
        ),
        (f'@charset "Shift_JIS";\n/* {JAPANESE} */', "shift-jis"),
        (f'<%@ page contentType="text/html" pageEncoding="EUC-JP" %>\n<p>{JAPANESE}', "euc-jp"),
        ("\\documentclass{article}\n\\usepackage[latin9]{inputenc}\n10 € café", "iso8859-15"),
        (f'msgid ""\nmsgstr "Content-Type: text/plain; charset=EUC-JP\\n"\nmsgid "a"\nmsgstr "{JAPANESE}"', "euc-jp"),
    ],
)
def test_a_declaration_in_the_text_decides_where_it_fits(text, encoding):
    decoded = decode(text.encode(encoding))
    assert (decoded.text.decode(), decoded.encoding, decoded.guess) == (text, encoding, None)


@pytest.mark.parametrize("encoding", ["UTF-16LE", "UTF-16BE", "utf-16-le", "UTF-32LE", "SHIFT-JIS", "gbk", "latin1"])
def test_the_repositorys_declaration_decides_where_it_fits(encoding):
    text = "-- café\n" if encoding == "latin1" else "-- 数\nSELECT 1;\n"
    decoded = decode(text.encode(encoding), encoding)
    assert (decoded.text.decode(), decoded.guess) == (text, None)
    assert decoded.encoding == codec_named(encoding).name


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf16_without_an_order_is_read_in_the_one_that_gives_text(order):
    text = "CREATE TABLE narrow_orders (id INT);\r\n"
    assert decode(text.encode(f"utf-16-{order}"), "UTF-16").text.decode() == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_text_without_a_mark_is_read_and_recorded_as_a_guess(encoding):
    text = "CREATE TABLE narrow_orders (id INT); -- 数\r\n"
    decoded = decode(text.encode(encoding))
    assert (decoded.text.decode(), decoded.encoding) == (text, encoding)
    assert decoded.guess == f"declares no encoding; read as {encoding}, a guess"


def test_wide_text_that_declares_itself_is_no_guess():
    text = "<?xml version='1.0' encoding='utf-16'?><a>中</a>"
    decoded = decode(text.encode("utf-16-be"))
    assert (decoded.text.decode(), decoded.encoding, decoded.guess) == (text, "utf-16-be", None)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (f"// {JAPANESE}\nint a;\n", "cp932"),
        ('String s = "データを読み込む";\n', "cp932"),
        (f"// {JAPANESE}\nint a;\n", "euc-jp"),
        (f"// {CHINESE}\nint a;\n", "gb18030"),
        ("// 初始化串口\n", "gb18030"),
        (f"// {TRADITIONAL}\nint a;\n", "big5hkscs"),
        (f"// {KOREAN}\nint a;\n", "cp949"),
        ("name = 'é' # “x” 20°C don’t\n", "windows-1252"),  # noqa: RUF001 - as Windows writes it
        ("/* Größe für Übergänge */\n", "windows-1252"),
    ],
)
def test_what_nothing_declares_is_guessed_by_its_form_and_recorded(text, encoding):
    decoded = decode(text.encode(encoding))
    assert (decoded.text.decode(), decoded.encoding) == (text, encoding)
    assert decoded.guess == f"declares no encoding; read as {encoding}, a guess"


@pytest.mark.parametrize("name", ["ISO-8859-1", "windows-1251", "gbk", "shift_jis", "ascii"])
def test_a_declaration_that_valid_utf8_contradicts_does_not_count_and_is_recorded(name):
    text = f'<meta charset="{name}"><p>数 café “x”'
    decoded = decode(text.encode())
    assert (decoded.text.decode(), decoded.encoding) == (text, "utf-8")
    assert decoded.guess == f"declares {name}, but is valid UTF-8, and read so"


def test_text_that_can_be_read_is_not_in_utf16_whatever_it_declares():
    text = "<?xml version='1.0' encoding='utf-16'?><a>é</a>".encode()
    assert decode(text).text == text
    assert decode(text).guess is None


def test_a_declaration_that_the_bytes_contradict_does_not_count_and_is_recorded():
    decoded = decode("# coding: euc_kr\n# café Größe\n".encode("latin-1"))
    assert decoded.text.decode() == "# coding: euc_kr\n# café Größe\n"
    assert decoded.guess == "declares euc_kr, which it is not; read as windows-1252, a guess"


def test_a_damaged_file_keeps_its_good_text_in_the_declared_encoding():
    decoded = decode(f"# coding: gbk\n# {CHINESE}\n".encode("gbk") + b"\xff\n")
    assert CHINESE in decoded.text.decode()
    assert decoded.guess == "declares gbk, with 1 characters that are none of it"


def test_a_damaged_utf8_file_keeps_its_good_text():
    decoded = decode("é漢字".encode() + b"\xff")
    assert decoded.text == "é漢字\N{REPLACEMENT CHARACTER}".encode()
    assert decoded.guess == "1 characters are not valid UTF-8"


def test_bytes_that_windows_1252_leaves_out_are_read_as_latin_1():
    assert decode(b"\x81 \xe9").text == "\x81 é".encode()


@pytest.mark.parametrize(
    "name",
    [
        "rot13",
        "rot_13",
        "hex",
        "base64",
        "bz2",
        "zlib",
        "quopri",
        "uu",
        "unicode_escape",
        "raw_unicode_escape",
        "idna",
        "punycode",
        "utf-7",
        "charmap",
        "undefined",
        "mbcs",
        "oem",
        "klingon",
        "os.path",
        "../../x",
    ],
)
def test_a_codec_that_is_no_encoding_of_text_is_never_used(name):
    assert codec_named(name) is None
    content = b"x = '\\u0041+AEE-' # qrs\n"
    decoded = decode(content, name)
    assert decoded.text == content
    assert decoded.guess == f"declares the encoding {name}, which is not read here; read as utf-8, a guess"


def test_each_codec_of_python_that_is_let_in_gives_text_of_any_bytes():
    known = {name: codec for name in (*aliases, *aliases.values()) if (codec := codec_named(name)) is not None}
    assert len({codec.name for codec in known.values()}) > 80
    everything = bytes(range(256)) * 2
    for codec in known.values():
        for encoding in codec.encodings:
            assert isinstance(everything.decode(encoding, "replace"), str)


def test_what_only_looks_like_a_declaration_is_none():
    for first in (
        "# Encoding: see below",
        "# Geocoding: uses maps",
        "x = 'coding: rot13'",
        "# title\n\n# coding: rot13",
    ):
        assert decode(f"{first}\nx = 1\n".encode()).guess is None


@pytest.mark.parametrize(
    ("content", "is_text"),
    [
        ("a = 1\n".encode("utf-16-le"), True),
        ("ä = 1\n".encode("utf-16"), True),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0", False),
        (b"a\0b", False),
        (b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0", False),
        ("ä".encode("utf-16-be"), False),
        (b"\xff\xfea\0\0\0b\0", False),
        (b"\0" * 64, False),
    ],
)
def test_bytes_with_nul_are_text_only_where_their_encoding_gives_text(content, is_text):
    assert (b"\0" not in ascii_compatible(content)) is is_text


def test_a_function_in_a_declared_encoding_has_its_words_and_lines():
    source = f'# coding: shift_jis\n\ndef count(name):\n    """{JAPANESE}"""\n    return name\n'.encode("shift_jis")
    (chunk,) = (c for c in chunk_file(source, file_path="a.py", file_hash="", language="python") if c.function_name)
    assert (chunk.start_line, chunk.end_line, chunk.docstring) == (3, 5, JAPANESE)


@pytest.mark.parametrize(
    "content",
    [
        b"<meta " * 180_000 + b"charset\xff",
        b"# coding" * 130_000 + b"\xff",
        b"-*-" * 350_000 + b"\xff",
        b"\x82\xa0" * 520_000,
        b"charset Content-Type" * 52_000 + b"\xff",
        b"a\0" * 520_000,
    ],
)
def test_a_hostile_megabyte_is_decoded_in_linear_time(content):
    started = time.process_time()
    decode(content)
    assert time.process_time() - started < 5
