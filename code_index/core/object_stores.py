"""Object stores that speak S3: where the environment says that they are, which of their faults pass, and files there.

Belongs here: what places (`code_index.sharing.places`) and tables (`code_index.tables`) at a store have in common. Does not
belong here: addresses (`code_index.core.addresses`).

Two libraries speak to stores, pyarrow's (AWS's own) and LanceDB's (`object_store`), and both say what went wrong in texts
only. The variables are those of AWS's own tools; credentials are found by each library, in the same order.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from code_index.core.addresses import Bucket
from code_index.core.errors import StoreError, UsageError
from code_index.core.lazy_imports import importing

T = TypeVar("T")

PATIENCE_S: Final = 30.0
"""Seconds for which a fault that passes is waited for: a store that is started again takes 5 to 20."""

RUN_PATIENCE_S: Final = 150.0
"""The same for a run whose own tables are at a store: what it did would have to be done again."""

_patience_s = PATIENCE_S
_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 2.0
_CONNECT_S: Final = 5.0
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")

_NO_BUCKET: Final = re.compile(r"no_?such_?bucket", re.IGNORECASE)
_DENIED: Final = re.compile(
    r"access_?denied|invalid_?access_?key_?id|signature_?does_?not_?match|(expired|invalid)_?(client_?)?token"
    r"|status( code)?: 40[13]|http status 40[13]|no providers in chain|credentialsnotloaded|failed to get aws credentials",
    re.IGNORECASE,
)
_UNREACHABLE: Final = re.compile(
    r"network_connection|httperror|error sending request|connection (refused|reset|closed)|timed? ?out|dns error",
    re.IGNORECASE,
)
_PASSING: Final = re.compile(
    r"slow_?down|service_?unavailable|internal_?(failure|error)|throttling|request_?time_?out"
    r"|status( code)?: (429|5\d\d)|http status (429|5\d\d)",
    re.IGNORECASE,
)
_NEVER_REACHABLE: Final = re.compile(
    r"curlcode: (6|35|51|58|60|77)\b|dns error|certificate|invalidcontenttype|\btls\b", re.IGNORECASE
)

_random = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The store that the environment names: AWS's own where there is no URL."""

    url: str | None
    region: str | None

    @classmethod
    def named(cls) -> Endpoint:
        """Read `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, and `AWS_REGION` or `AWS_DEFAULT_REGION`.

        Raises:
            UsageError: the URL is not one of a host.
        """
        name = next((name for name in _ENDPOINTS if os.environ.get(name)), None)
        region = next((os.environ[name] for name in _REGIONS if os.environ.get(name)), None)
        if name is None:
            return cls(None, region)
        url = os.environ[name].rstrip("/")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.path or parts.query:
            raise UsageError(
                f"{name} is no URL of a host. Write https://host or https://host:port, and no credentials."
            )
        return cls(url, region or "us-east-1")  # which a store that is not AWS's own does not look at

    def storage_options(self) -> dict[str, str]:
        """Lead LanceDB there."""
        options = {"aws_endpoint": self.url, "aws_region": self.region}
        options["allow_http"] = "true" if self.url and self.url.startswith("http://") else None
        return {name: value for name, value in options.items() if value}

    def __str__(self) -> str:
        return self.url or "AWS"


def passes(error: BaseException) -> bool:
    """Tell whether the same request to a store may succeed a little later."""
    text = str(error)
    if _NO_BUCKET.search(text) or _DENIED.search(text):
        return False
    return bool(_PASSING.search(text) or (_UNREACHABLE.search(text) and not _NEVER_REACHABLE.search(text)))


def explained(error: BaseException, address: str) -> StoreError | None:
    """Name what is wrong with the store, and the fix; None for an error that is not of the store."""
    text = str(error)
    if _NO_BUCKET.search(text):
        return no_bucket(address)
    if _DENIED.search(text):
        key = os.environ.get("AWS_ACCESS_KEY_ID")
        return StoreError(
            f"{Endpoint.named()} denied access to {address} "
            + (f"for the key {key!r}" if key else "(AWS_ACCESS_KEY_ID is not set)")
            + ". Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to those of somebody who has the right."
        )
    if _UNREACHABLE.search(text) or _PASSING.search(text):
        return StoreError(
            f"{address} cannot be reached at {Endpoint.named()} ({_reason(text)}). Start the store or wait for it, or "
            "correct AWS_ENDPOINT_URL."
        )
    return None


def no_bucket(address: str) -> StoreError:
    """The error of an address whose bucket does not exist."""
    return StoreError(
        f"{Endpoint.named()} has no bucket for {address}. Make the bucket, or correct its name or AWS_ENDPOINT_URL."
    )


def be_patient(seconds: float = RUN_PATIENCE_S) -> None:
    """Wait for so long in this process from now on."""
    global _patience_s  # noqa: PLW0603 - of a process, as what it does is
    _patience_s = seconds


def waited_for(action: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
    """Run `action`, and again while the store has a fault that passes, for `PATIENCE_S` seconds or what `be_patient` says; raises what it then raises."""
    ends = time.monotonic() + _patience_s
    longest = _FIRST_WAIT_S
    while True:
        try:
            return action()
        except (OSError, RuntimeError, ValueError) as error:  # LanceDB raises all of these
            if not passes(error) or time.monotonic() >= ends:
                raise
        sleep(_random.uniform(longest / 2, longest))
        longest = min(2 * longest, _LONGEST_WAIT_S)


@dataclass(frozen=True)
class Stored:
    """A file at a place: its name relative to the place, its size, and when it was written."""

    name: str
    bytes: int
    modified: datetime


class ObjectFiles:
    """Objects below a prefix of a bucket, by names relative to it; each call waits for faults that pass.

    All raise `StoreError`, in a sentence, for faults that do not.
    """

    def __init__(self, where: Bucket) -> None:
        """Set the bucket and the prefix; nothing is opened."""
        self.where = where

    def read(self, name: str, max_bytes: int) -> bytes:
        """Read an object; `FileNotFoundError` where there is none."""

        def read() -> bytes:
            with self._system.open_input_file(self._path(name)) as file:
                if file.size() > max_bytes:
                    raise StoreError(f"{self.where / name} is larger than {max_bytes:,} bytes.")
                content: bytes = file.read()
                return content

        return self._plain(read, name)

    def write(self, name: str, content: bytes) -> None:
        """Write an object whole or not at all."""

        def write() -> None:
            with self._system.open_output_stream(self._path(name)) as file:  # it appears when it is closed
                file.write(content)

        self._plain(write, name)

    def listed(self, folder: str, *, below: bool = False) -> list[Stored]:
        """List the objects of a folder (`""`: the prefix itself), in no order; with `below` those of its folders too."""
        return [Stored(self._name(one), one.size, one.mtime) for one in self._infos(folder, below=below) if one.is_file]

    def folders(self) -> list[str]:
        """List the folders directly below the prefix, in no order."""
        return [self._name(one) for one in self._infos("", below=False) if not one.is_file]

    def delete(self, name: str) -> None:
        """Remove an object; one that is gone is no error."""
        with suppress(FileNotFoundError):
            self._plain(lambda: self._system.delete_file(self._path(name)), name)

    def _infos(self, folder: str, *, below: bool) -> list[Any]:
        with importing:
            from pyarrow import fs

        selector = fs.FileSelector(self._path(folder), recursive=below)
        try:
            found: list[Any] = self._plain(lambda: self._system.get_file_info(selector), folder)
        except FileNotFoundError:
            return []
        return found

    def _path(self, name: str) -> str:
        return (self.where / name).path if name else self.where.path

    def _name(self, info: Any) -> str:
        return str(info.path).removeprefix(f"{self.where.path}/")

    def _plain(self, action: Callable[[], T], name: str) -> T:
        """Run an action; of a bucket that is missing, say so rather than that the object is."""
        address = f"s3://{self._path(name)}"
        try:
            return waited_for(action)
        except FileNotFoundError:
            if not self._has_bucket():
                raise no_bucket(address) from None
            raise
        except OSError as error:
            raise explained(error, address) or StoreError(
                f"{address} refused the request: {_reason(str(error))}"
            ) from error

    def _has_bucket(self) -> bool:
        """Tell whether the bucket is there; who may not ask is told nothing of it."""
        with importing:
            from pyarrow import fs

        with suppress(OSError):
            info = waited_for(lambda: self._system.get_file_info(self.where.name))
            return bool(info.type != fs.FileType.NotFound)
        return True

    @cached_property
    def _system(self) -> Any:
        with importing:
            from pyarrow import fs
        endpoint = Endpoint.named()
        scheme, _, host = (endpoint.url or "https://").partition("://")
        return fs.S3FileSystem(
            scheme=scheme,
            endpoint_override=host or None,
            region=endpoint.region,
            connect_timeout=_CONNECT_S,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),  # `waited_for` does
            allow_delayed_open=True,  # a small file is one request
        )


def _reason(text: str) -> str:
    """The last clause of pyarrow's text, which says what happened; LanceDB's ends with lines of its own sources."""
    return text.splitlines()[0].rsplit("Details: ", maxsplit=1)[-1][:200] if text else "no reason given"
