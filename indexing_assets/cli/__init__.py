"""The command `code-index`: one module per command, no logic of its own.

Modules import heavy packages inside their commands: a search must not wait for Dagster.
"""
