"""Set-up of coding agents: their configuration files, and what of ours is laid beside them.

Belongs here: one table of agents, one module a file format, the record of what was written, and the plugin folder with
skill and hook. Does not belong here: the MCP server that the entries start, and printing (`indexing_assets.cli.setup`).
"""
