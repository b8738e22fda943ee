"""Faults of stores, in the words of the two libraries that speak to them: which pass, and what is said."""

from __future__ import annotations

import re

import pytest

from code_index.core import object_stores
from code_index.core.object_stores import Endpoint, explained, passes, waited_for

_HTTP = "inner: Http(HttpError { kind: Connect, source: reqwest::Error { kind: Request, source: "
_PASSING = [
    "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7, Could not connect; Details: Failed to connect to h:1",
    "AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 28, Timeout was reached",
    "AWS Error SLOW_DOWN during PutObject operation: Please reduce your request rate.",
    "AWS Error UNKNOWN (HTTP status 503) during PutObject operation: No response body.",
    "AWS Error INTERNAL_FAILURE during PutObject operation: We encountered an internal error, please try again.",
    _HTTP + 'ConnectError("tcp connect error", 127.0.0.1:1, Os { code: 111, kind: ConnectionRefused }))',
    _HTTP + "hyper_util::client::legacy::Error(SendRequest, hyper::Error(IncompleteMessage)) })",
    "Error performing GET http://h:1/b/a in 3s - HTTP error: error sending request: operation timed out",
    "RetryError(RetryErrorImpl { method: GET, retries: 3, inner: Status { status: 503, body: None } })",
    "Server returned non-2xx status code: 500 Internal Server Error: <Error><Code>InternalError</Code>",
]
_DENIED = [
    "AWS Error ACCESS_DENIED during HeadObject operation: No response body.",
    "AWS Error INVALID_ACCESS_KEY_ID during ListObjectsV2 operation: The access key ID you provided does not exist.",
    "RetryError(RetryErrorImpl { retries: 0, inner: Status { status: 403, body: Some(<Code>SignatureDoesNotMatch</Code>) } })",
    "Server returned non-2xx status code: 403 Forbidden: <Error><Code>AccessDenied</Code>",
]
_UNREACHABLE_FOR_EVER = [
    "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 6, Could not resolve hostname",
    "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 35, SSL connect error; Details: TLS connect error",
    "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 60, SSL peer certificate was not OK",
    _HTTP + 'ConnectError("dns error", Custom { kind: Uncategorized, error: "failed to lookup address information" }))',
    _HTTP + "Custom { kind: Other, error: Custom { kind: InvalidData, error: InvalidMessage(InvalidContentType) } })",
]
_NO_BUCKET = ["AWS Error NO_SUCH_BUCKET during PutObject operation: gone", "404 Not Found: <Code>NoSuchBucket</Code>"]
_OTHERS = ["Table 't' was not found", "commit conflict for version 3", "LanceError(IO): not found"]


@pytest.mark.parametrize("text", _PASSING)
def test_a_fault_that_passes_is_waited_for_and_then_said(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert passes(OSError(text))
    assert "cannot be reached at AWS" in str(explained(OSError(text), "s3://b/a"))
    waits: list[float] = []
    answers = iter([OSError(text), RuntimeError(text), ValueError(text)])

    def act() -> str:
        for error in answers:
            raise error
        return "done"

    assert waited_for(act, sleep=waits.append) == "done"
    assert len(waits) == 3
    monkeypatch.setattr(object_stores, "_patience_s", 0.0)
    answers = iter([OSError(text)])
    with pytest.raises(OSError, match=re.escape(text)):
        waited_for(act, sleep=waits.append)
    assert len(waits) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((text, "AWS denied access to s3://b/a") for text in _DENIED),
        *((text, "s3://b/a cannot be reached at AWS") for text in _UNREACHABLE_FOR_EVER),
        *((text, "AWS has no bucket for s3://b/a") for text in _NO_BUCKET),
        *((text, None) for text in _OTHERS),
    ],
)
def test_a_fault_that_lasts_is_told_at_once(text: str, said: str | None) -> None:
    assert not passes(OSError(text))
    found = explained(OSError(text), "s3://b/a")
    assert found is None if said is None else str(found).startswith(said)
    with pytest.raises(ValueError, match=re.escape(text)):
        waited_for(lambda: (_ for _ in ()).throw(ValueError(text)), sleep=lambda _: pytest.fail("waited"))


def test_the_endpoint_is_that_of_awss_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Endpoint.named() == Endpoint(None, None)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert Endpoint.named().storage_options() == {"aws_region": "eu-west-1"}
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://store:1/")
    options = {"aws_endpoint": "https://store:1", "aws_region": "eu-central-1"}
    assert Endpoint.named().storage_options() == options
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://store:2")
    assert Endpoint.named().storage_options() == options | {"aws_endpoint": "http://store:2", "allow_http": "true"}
