"""Rules by content for what is indexed, and the changes since the last scan.

Belongs here: pure decisions about bytes and records. Does not belong here: names (`code_index.repository.skip_rules`),
ignore files (`code_index.repository.ignore_rules`) and the file system (`code_index.repository.source_repository`).

Change detection is git's: size and mtime first, content only where they differ. It misses an edit that keeps the
size within one tick of the clock; that hole is closed as git closes it: a file that was modified less than
`RACY_WINDOW_NS` before it was read is recorded with `RACY_MTIME_NS`, which no file has, and so is hashed again by the
next scan. One hole stays: an edit that keeps the size and restores the old mtime. A verifying scan finds it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from code_index.chunking.encoding import HEAD_BYTES
from code_index.core.model import FileStatus, SourceFile

RACY_WINDOW_NS: Final = 2_000_000_000
"""The coarsest clock of the usual file systems (FAT: 2 s)."""

RACY_MTIME_NS: Final = -1
"""Recorded in place of an mtime that proves nothing."""

_PDF: Final = b"%PDF-"
_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_PRIVATE_KEY: Final = re.compile(rb"\s*-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")

_BUNDLED_LANGUAGES: Final = frozenset({"javascript", "css"})
_MINIFIED_MIN_BYTES: Final = 1_024
_MINIFIED_MEAN_LINE: Final = 250
"""Mean line length in bytes from which JavaScript or CSS counts as minified. Linguist says 110, which hits
hand-written tables; minifiers give thousands."""
_BUNDLER_MARKS: Final = re.compile(
    rb"^(?:/\*{6}/ ?\(|\(function webpackUniversalModuleDefinition\(|(?:(?:var|let|const) )?\$?parcelRequire\w* ?="
    rb"|\(function\(\)\{function r\(e,n,t\)\{|var __commonJS = |var __getOwnPropNames = Object\.getOwnPropertyNames;)",
    re.MULTILINE,
)
"""Beginnings of lines in the output of webpack, Parcel, Browserify and esbuild; their own sources only quote them."""

BINARY: Final = "binary: NUL bytes, and neither UTF-16 nor UTF-32"
PDF: Final = "binary: PDF"
BLANK: Final = "empty: only white space"
LFS_POINTER: Final = "binary: Git LFS pointer"
PRIVATE_KEY: Final = "likely secret: private key"
MINIFIED: Final = "bundle: minified"
BUNDLED: Final = "bundle: made by a bundler"
_CONTENT_REASONS: Final = frozenset({BINARY, PDF, BLANK, LFS_POINTER, PRIVATE_KEY, MINIFIED, BUNDLED})


def skip_reason_for_content(content: bytes, language: str) -> str | None:
    """Reason to skip a file with these bytes (`code_index.chunking.encoding.ascii_compatible`), or None.

    A PDF is recognized by its first bytes: illustrators save it under other extensions, and its head may hold no NUL.
    """
    head = content[:HEAD_BYTES]
    reason = None
    if b"\0" in head:
        reason = BINARY
    elif head.startswith(_PDF):
        reason = PDF
    elif not content.strip():
        reason = BLANK
    elif head.startswith(_LFS_POINTER):
        reason = LFS_POINTER
    elif _PRIVATE_KEY.match(head):
        reason = PRIVATE_KEY
    elif language in _BUNDLED_LANGUAGES:
        lines = content.count(b"\n") + 1
        if len(content) >= _MINIFIED_MIN_BYTES and len(content) > _MINIFIED_MEAN_LINE * lines:
            reason = MINIFIED
        elif _BUNDLER_MARKS.search(head):
            reason = BUNDLED
    return reason


def is_unchanged(known: SourceFile, size_bytes: int, mtime_ns: int) -> bool:
    """Tell whether a file's size and mtime prove that `known` still describes its content.

    A record that was skipped for its name proves nothing about the content: it holds no hash.
    """
    return (
        known.mtime_ns == mtime_ns
        and known.size_bytes == size_bytes
        and (bool(known.file_hash) or known.reason in _CONTENT_REASONS)
    )


def recorded_mtime_ns(mtime_ns: int, read_at_ns: int) -> int:
    """The mtime to store for content read at `read_at_ns` (Unix time): itself, or `RACY_MTIME_NS` while it is young.

    A file with an mtime in the future counts as young until then: every scan hashes it.
    """
    return mtime_ns if mtime_ns < read_at_ns - RACY_WINDOW_NS else RACY_MTIME_NS


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between a scan and the manifest.

    `new` and `changed` have content to parse. `touched` keep their content and status; another field (mtime,
    subproject, language) changed. `skipped` are newly skipped, or for another reason than before; their chunks are
    removed. `removed` are paths that are gone.
    """

    new: tuple[SourceFile, ...]
    changed: tuple[SourceFile, ...]
    touched: tuple[SourceFile, ...]
    skipped: tuple[SourceFile, ...]
    removed: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Tell whether the manifest can stay as it is."""
        return not (self.new or self.changed or self.touched or self.skipped or self.removed)


def plan_changes(known: Mapping[str, SourceFile], seen: Collection[SourceFile]) -> Changes:
    """The difference between the manifest and a scan; each list is in the order of `seen` or `known`."""
    new, changed, touched, skipped = [], [], [], []
    for file in seen:
        before = known.get(file.file_path)
        if before is not None and (before is file or before == file):
            continue
        if file.status is FileStatus.SKIPPED:
            skipped.append(file)
        elif before is None or before.status is FileStatus.SKIPPED:
            new.append(file)
        elif before.file_hash != file.file_hash:
            changed.append(file)
        else:
            touched.append(replace(file, status=before.status, reason=before.reason))
    paths = {file.file_path for file in seen}
    removed = tuple(path for path in known if path not in paths)
    return Changes(tuple(new), tuple(changed), tuple(touched), tuple(skipped), removed)
