"""Atomic writes of small files: readers find the old content or the new, always whole.

Belongs here: the one way in which the project writes its own small files. Does not belong here: databases
(`resources.record_storage`) and tables (LanceDB).
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, content: str | bytes, *, mode: int | None = None) -> None:
    """Write a temporary file beside `path`, then rename it to `path`. Creates the folder.

    The user's umask decides who may read the file, or `mode`, which it then has from the first moment. A killed process
    may leave its temporary file, whose name begins with a dot and ends with `.tmp`.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
