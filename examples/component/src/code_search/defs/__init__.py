"""The definitions of the project: `dg` loads all that lies in this folder."""
