"""Structured formats and plain text, a module each: all that is known of it, as the constant `FORMAT`."""
