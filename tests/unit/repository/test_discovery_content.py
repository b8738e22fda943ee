from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.chunking.encoding import ascii_compatible
from code_index.core.model import FileStatus, SourceFile
from code_index.repository.content_rules import (
    BINARY,
    BLANK,
    BUNDLED,
    LFS_POINTER,
    MINIFIED,
    PDF,
    PRIVATE_KEY,
    RACY_MTIME_NS,
    RACY_WINDOW_NS,
    is_unchanged,
    plan_changes,
    recorded_mtime_ns,
    skip_reason_for_content,
)

CODE_LINE = b"const answer = compute(question);\n"


@pytest.mark.parametrize(
    ("content", "language", "reason"),
    [
        (b"x = 1\n", "python", None),
        (b"caf\xe9\n", "text", None),
        (b"a\0b", "text", BINARY),
        (b"x" * 7_999 + b"\0", "text", BINARY),
        (b"x" * 8_000 + b"\0", "text", None),
        (b"%PDF-1.6\r%\xe2\xe3\xcf\xd3\r\n1 0 obj\r", "text", PDF),
        (b"starts with %PDF-1.6", "text", None),
        ("ä".encode("utf-16"), "text", None),
        ("ä".encode("utf-16-be"), "text", BINARY),
        (b"\xfe\xff\0a", "text", None),
        ("ä".encode("utf-32"), "text", None),
        ("-----BEGIN PRIVATE KEY-----".encode("utf-16"), "text", PRIVATE_KEY),
        ("SELECT 1;\r\n".encode("utf-16-le"), "sql", None),
        (b"\0\0\xfe\xff\0\0\0a", "text", None),
        (b" \r\n\t\n", "python", BLANK),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "text", LFS_POINTER),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nx", "text", PRIVATE_KEY),
        (b"\n-----BEGIN PRIVATE KEY-----\nx", "text", PRIVATE_KEY),
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\nx", "text", PRIVATE_KEY),
        (b"-----BEGIN CERTIFICATE-----\nx", "text", None),
        (b'KEY = """-----BEGIN RSA PRIVATE KEY-----', "python", None),
        (b"a{b:c}" * 200, "css", MINIFIED),
        (b"a();" * 300, "javascript", MINIFIED),
        (b"a();" * 300, "python", None),
        (b"a();" * 255, "javascript", None),
        (CODE_LINE * 300, "javascript", None),
        (CODE_LINE * 300 + b"x" * 5_000, "javascript", None),
        (b"/******/ (() => { // webpackBootstrap\n" + CODE_LINE * 9, "javascript", BUNDLED),
        (b'"use strict";\nvar __commonJS = (cb, mod) => 1;\n' + CODE_LINE * 9, "javascript", BUNDLED),
        (b"(function webpackUniversalModuleDefinition(root, factory) {\n", "javascript", BUNDLED),
        (b"template = '(function webpackUniversalModuleDefinition(root'; // webpackBootstrap\n", "javascript", None),
    ],
)
def test_content_is_judged_by_what_it_holds(content: bytes, language: str, reason: str | None) -> None:
    assert skip_reason_for_content(ascii_compatible(content), language) == reason


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    st.sampled_from(["python", "json"]),
)
def test_text_that_is_not_blank_is_never_binary(text: str, language: str) -> None:
    assert skip_reason_for_content(text.encode(), language) in {None, BLANK}


def record(
    path: str = "a.py", *, file_hash: str = "1" * 64, size: int = 1, mtime: int = 5, **fields: object
) -> SourceFile:
    return SourceFile(path, file_hash, size, mtime, "python", **fields)  # type: ignore[arg-type]


SKIP = {"status": FileStatus.SKIPPED}


@pytest.mark.parametrize(
    ("known", "size", "mtime", "unchanged"),
    [
        (record(), 1, 5, True),
        (record(status=FileStatus.PARSED), 1, 5, True),
        (record(status=FileStatus.ERROR, reason="worker died"), 1, 5, True),
        (record(), 2, 5, False),
        (record(), 1, 6, False),
        (record(mtime=RACY_MTIME_NS), 1, 5, False),
        (record(file_hash="", reason=BINARY, **SKIP), 1, 5, True),
        (record(file_hash="", reason="ignored: .gitignore:1 a", **SKIP), 1, 5, False),
        (record(file_hash="", reason="too large: 5 bytes, the limit is 3", **SKIP), 1, 5, False),
    ],
)
def test_size_and_mtime_prove_a_content_that_was_read(
    known: SourceFile, size: int, mtime: int, unchanged: bool
) -> None:
    assert is_unchanged(known, size, mtime) is unchanged


@pytest.mark.parametrize(
    ("age_ns", "trusted"), [(RACY_WINDOW_NS + 1, True), (RACY_WINDOW_NS, False), (0, False), (-(10**12), False)]
)
def test_a_young_mtime_is_not_recorded(age_ns: int, trusted: bool) -> None:
    mtime_ns = 10**18
    assert recorded_mtime_ns(mtime_ns, mtime_ns + age_ns) == (mtime_ns if trusted else RACY_MTIME_NS)


def test_each_difference_has_its_list() -> None:
    known = {
        path: record(path, status=FileStatus.PARSED)
        for path in ("same.py", "equal.py", "changed.py", "touched.py", "hidden.py", "gone.py")
    }
    known["was skipped.py"] = record("was skipped.py", file_hash="", reason="empty", **SKIP)
    known["stays skipped.py"] = record("stays skipped.py", file_hash="", reason="empty", **SKIP)
    known["other reason.py"] = record("other reason.py", file_hash="", reason="empty", **SKIP)
    seen = [
        known["same.py"],
        record("equal.py", status=FileStatus.PARSED),
        record("changed.py", file_hash="2" * 64),
        record("touched.py", mtime=6),
        record("hidden.py", file_hash="", reason="ignored: x", **SKIP),
        record("new.py"),
        record("was skipped.py"),
        record("stays skipped.py", file_hash="", reason="empty", **SKIP),
        record("other reason.py", file_hash="", reason="binary: NUL bytes", **SKIP),
        record("new skipped.py", file_hash="", reason="empty", **SKIP),
    ]
    changes = plan_changes(known, seen)
    assert [file.file_path for file in changes.new] == ["new.py", "was skipped.py"]
    assert [file.file_path for file in changes.changed] == ["changed.py"]
    assert changes.touched == (record("touched.py", mtime=6, status=FileStatus.PARSED),)
    assert [file.file_path for file in changes.skipped] == ["hidden.py", "other reason.py", "new skipped.py"]
    assert changes.removed == ("gone.py",)
    assert not changes.is_empty
    assert plan_changes(known, list(known.values())).is_empty


_records = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(st.sampled_from(["1" * 64, "2" * 64, ""]), st.integers(1, 2), st.integers(1, 2)),
).map(
    lambda drawn: {
        path: record(
            path, file_hash=digest, size=size, mtime=mtime, status=FileStatus.PENDING if digest else FileStatus.SKIPPED
        )
        for path, (digest, size, mtime) in drawn.items()
    }
)


@given(known=_records, seen=_records)
def test_applying_the_changes_gives_what_was_seen(known: dict[str, SourceFile], seen: dict[str, SourceFile]) -> None:
    changes = plan_changes(known, list(seen.values()))
    changed = (*changes.new, *changes.changed, *changes.touched, *changes.skipped)
    applied = known | {file.file_path: file for file in changed}
    for path in changes.removed:
        del applied[path]
    assert applied == seen
    assert len(changed) == sum(known.get(path) != file for path, file in seen.items())
