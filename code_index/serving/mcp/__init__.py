"""Answers to coding agents, by the Model Context Protocol.

Belongs here: the tools, what they take and how their answers are worded for a model to read, and the transports. Does not
belong here: what is found (`code_index.search`), and indexing: a run is a program that whoever starts the server names.
"""
