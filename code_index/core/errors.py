"""The one family of errors that users of code-index see.

One class for each thing that a caller handles differently. Each message names the culprit and the fix.
"""

from __future__ import annotations

from collections.abc import Sequence


class CodeIndexError(Exception):
    """Base of all errors that code-index raises on purpose; its text names the culprit and the fix.

    Example:
        >>> from code_index import CodeIndexError, Index
        >>> try:
        ...     hits = Index.open("repository").search("   ")
        ... except CodeIndexError as error:
        ...     print(error)
        The query is empty. Say what to look for, in words or code.
    """


class UsageError(CodeIndexError):
    """A wrong request: exit status 2.

    Example:
        >>> from code_index import Index
        >>> Index.open("repository").search("greet", mode="psychic")
        Traceback (most recent call last):
        code_index.core.errors.UsageError: mode 'psychic' is not one of hybrid, semantic, lexical.
    """


class SettingsError(UsageError):
    """A setting has a value that cannot be used; `settings` names it, for callers that know where the value is set."""

    def __init__(self, message: str, *, settings: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.settings = tuple(settings)


class RepositoryError(CodeIndexError):
    """The repository cannot be read; the index stays as it was."""


class FileVanishedError(RepositoryError):
    """A file that the scan saw is gone."""


class FileUnreadableError(RepositoryError):
    """A file exists, but the system refuses to read it."""


class FileUnstableError(RepositoryError):
    """A file keeps changing while it is read."""


class NotRegularFileError(RepositoryError):
    """A path leads to something that is not a regular file below the root."""


class FileTooLargeError(RepositoryError):
    """A file is larger than the limit."""


class ParseError(CodeIndexError):
    """A file cannot be parsed; the others are not affected."""


class ModelError(CodeIndexError):
    """The embedding model cannot be loaded or gives unusable vectors."""


class EmbeddingError(CodeIndexError):
    """Texts cannot be embedded."""


class StoreError(CodeIndexError):
    """The tables refuse a read or a write."""


class MigrationError(CodeIndexError):
    """An index of another kind cannot be imported; it stays as it was."""


class IndexMissingError(UsageError):
    """There is no index where one was expected.

    Example:
        >>> from code_index import Index
        >>> Index.open("/nowhere")
        Traceback (most recent call last):
        code_index.core.errors.IndexMissingError: There is no index at /nowhere/.code-index. Run `code-index index /nowhere` first.
    """


class UntrustedIndexError(UsageError):
    """An index folder that this user did not make on this machine; nothing of it was used.

    Example:
        >>> from pathlib import Path
        >>> from code_index import Index
        >>> committed = Path("cloned/.code-index/settings.toml")
        >>> committed.parent.mkdir(parents=True)
        >>> _ = committed.write_text("max_file_bytes = 1")
        >>> Index.open("cloned")
        Traceback (most recent call last):
        code_index.core.errors.UntrustedIndexError: ...
    """


class IndexBusyError(CodeIndexError):
    """Another process holds the index."""


class AddressError(CodeIndexError):
    """The address or the port that a server was to listen on cannot be had."""


_PANICS = frozenset({"PanicException", "RustPanic"})


def is_panic(error: BaseException) -> bool:
    """Tell whether native code of a Rust library panicked, as at damaged bytes or a limit: that is no `Exception` in Python."""
    return type(error).__name__ in _PANICS
