"""Object stores that speak S3: where the environment says that they are, and which of their faults pass.

Belongs here: what files (`code_index.sharing.places`) and tables (`code_index.tables`) at a store have in common. Does not
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
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlsplit

from code_index.core.errors import StoreError, UsageError

T = TypeVar("T")

PATIENCE_S: Final = 30.0
"""Seconds for which a fault that passes is waited for: a store that is started again takes 5 to 20."""

_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 2.0
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")

_NO_BUCKET: Final = re.compile(r"no_?such_?bucket", re.IGNORECASE)
_DENIED: Final = re.compile(
    r"access_?denied|invalid_?access_?key_?id|signature_?does_?not_?match|(expired|invalid)_?(client_?)?token"
    r"|status( code)?: 40[13]|http status 40[13]|no providers in chain|credentialsnotloaded|failed to get aws credentials",
    re.IGNORECASE,
)
_UNREACHABLE: Final = re.compile(
    r"network_connection|error sending request|connection (refused|reset|closed)|timed? ?out|dns error", re.IGNORECASE
)
_PASSING: Final = re.compile(
    r"slow_?down|service_?unavailable|internal_?(failure|error)|throttling|request_?time_?out"
    r"|status( code)?: (429|5\d\d)|http status (429|5\d\d)",
    re.IGNORECASE,
)
_NEVER_REACHABLE: Final = re.compile(
    r"curlcode: (6|35|51|58|60|77)\b|dns error|certificate|invalid peer|corrupt message|tls", re.IGNORECASE
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


def with_patience(action: Callable[[], T], address: str, *, sleep: Callable[[float], None] = time.sleep) -> T:
    """Run `action`, and again while the store has a fault that passes, for `PATIENCE_S` seconds.

    Raises:
        FileNotFoundError: as the action.
        StoreError: any other fault, in a sentence.
    """
    ends = time.monotonic() + PATIENCE_S
    longest = _FIRST_WAIT_S
    while True:
        try:
            return action()
        except FileNotFoundError:
            raise
        except OSError as error:
            if not passes(error) or time.monotonic() >= ends:
                raise explained(error, address) or StoreError(
                    f"{address} refused the request: {_reason(str(error))}"
                ) from error
        sleep(_random.uniform(longest / 2, longest))
        longest = min(2 * longest, _LONGEST_WAIT_S)


def _reason(text: str) -> str:
    """The last clause of pyarrow's text, which says what happened; LanceDB's ends with lines of its own sources."""
    return text.splitlines()[0].rsplit("Details: ", maxsplit=1)[-1][:200] if text else "no reason given"
