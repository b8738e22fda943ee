"""The system that the program runs on: all that Linux and macOS do in different ways, or only one of them can do.

Belongs here: locks of files, processes, limits, hardware, the other end of connections, and names of files, each with what
holds where the system lacks it. Does not belong here: what follows from them. Outside of this room nobody imports
`fcntl` or `resource`, reads `/proc` or `/sys`, or asks for `sys.platform`.
"""
