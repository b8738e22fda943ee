"""The Dagster project of code-index: assets, jobs, definitions and the command line.

Import time stays free of Dagster, LanceDB and torch.
"""
