"""Identities: of file contents, chunks and embedded texts."""

from __future__ import annotations

import hashlib


def content_hash(content: bytes) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def chunk_id(*, file_path: str, chunk_type: str, qualified_name: str, content: str, occurrence: int) -> str:
    """Identity of a chunk, 32 hex digits (128 bits).

    Lines are left out on purpose: code that moves within its file keeps its id, and so its vector. `occurrence`
    counts equal chunks of one file from 0, so that two different chunks never share an id.
    """
    return _digest(file_path, chunk_type, qualified_name, content, str(occurrence))


def text_hash(*texts: str) -> str:
    """Identity of what is embedded (the text, then what is mixed into its vector), 32 hex digits."""
    return _digest(*texts)


def _digest(*parts: str) -> str:
    # Each part is preceded by its length: no two lists of parts give the same bytes.
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    framed = [piece for data in encoded for piece in (len(data).to_bytes(8, "big"), data)]
    return hashlib.sha256(b"".join(framed)).hexdigest()[:32]
