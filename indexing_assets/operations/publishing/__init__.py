"""Published indexes: publish a version of an index, and begin an index with one."""

from indexing_assets.operations.publishing.fetch import Fetched, fetch
from indexing_assets.operations.publishing.publish import Published, publish

__all__ = ["Fetched", "Published", "fetch", "publish"]
