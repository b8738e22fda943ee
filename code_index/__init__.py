"""The engine: a library without Dagster that parses, stores, embeds and searches code."""
