"""Addresses of places that indexes share: a folder by its absolute path, or a bucket and a prefix in it.

Belongs here: which addresses are taken. Does not belong here: what lies there (`code_index.sharing.places`), and how a store
is reached (`code_index.core.object_stores`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from code_index.core.errors import UsageError

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BUCKET: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?")
_PREFIX: Final = re.compile(r"(?!\.\.?(/|$))[A-Za-z0-9._=-]+(/(?!\.\.?(/|$))[A-Za-z0-9._=-]+)*")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of an object store, and a prefix in it: empty, or parts joined by `/`."""

    name: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"s3://{self.path}"

    @property
    def path(self) -> str:
        """Bucket and prefix, as object stores name them."""
        return f"{self.name}/{self.prefix}" if self.prefix else self.name

    def __truediv__(self, part: str) -> Bucket:
        return Bucket(self.name, f"{self.prefix}/{part}" if self.prefix else part)


def parsed_address(address: str) -> Path | Bucket:
    """Read the address of a place.

    Raises:
        UsageError: it is neither an absolute path nor `s3://bucket/prefix`.
    """
    if not address.isprintable():
        raise UsageError(f"{address!r} has control characters. Name the place without them.")
    if not _SCHEME.match(address):
        if not Path(address).is_absolute():  # it would be another folder in each working directory
            raise UsageError(
                f"{address!r} is no absolute path. Name the folder from / on, or a store as s3://bucket/prefix."
            )
        return Path(address)
    found = _BUCKET.fullmatch(address)
    prefix = (found["prefix"] or "").rstrip("/") if found else ""
    if found is None or (prefix and not _PREFIX.fullmatch(prefix)):
        raise UsageError(
            f"{_without_secrets(address)!r} is no place of a store. Write s3://bucket/prefix, of letters, digits and ._=-; "
            "credentials and the store's own address come from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL)."
        )
    return Bucket(found["bucket"], prefix)


def as_uri(place: Path | Bucket) -> str:
    """Return the URI of a place: `file://...` or `s3://...`."""
    return str(place) if isinstance(place, Bucket) else place.resolve().as_uri()


def _without_secrets(address: str) -> str:
    return re.sub(r"//[^/]*@", "//...@", address).split("?", maxsplit=1)[0]
