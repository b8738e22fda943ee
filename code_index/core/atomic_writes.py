"""Small files that a reader finds whole, old or new.

Belongs here: the one way in which the project writes a small file of its own. Does not belong here: databases
(`resources.record_storage`) and tables (LanceDB).
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file at once: written beside its place, then renamed. Its folder is made.

    The file is as readable to others as the user's umask says. A process that is killed may leave the file that it
    wrote beside, whose name begins with a dot and ends with `.tmp`.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
