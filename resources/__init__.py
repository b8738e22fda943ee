"""What the assets use: the repository, the parser pool, the embedder and the tables.

Modules here may import `indexing_assets.core`, never an asset, a job or the command line.
"""
