"""Programming languages: what the chunker must know about each."""
