"""Which files a repository has, which of them are indexed, and what changed."""
