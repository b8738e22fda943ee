"""What a check says of stale chunks is short: the identity of a chunker has a part for each language."""

from indexing_assets.checks.staleness import _difference


def test_only_the_parts_that_differ_are_named() -> None:
    assert _difference("3+perl1+xml1/2000/200", "4+perl1+xml1/2000/200") == "3"
    assert _difference("4+perl1+xml1/2000/200", "4+nim1+perl1+xml1/2000/200") == "fewer languages"
