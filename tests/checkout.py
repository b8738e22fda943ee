"""Checkouts of git for tests."""

import os
import subprocess
from pathlib import Path

_SETTINGS = ("user.name=A Person", "user.email=person@example.com", "protocol.file.allow=always")


def git(folder: Path, *arguments: str) -> str:
    """What a command of git in a folder prints; it must succeed."""
    options = [word for setting in _SETTINGS for word in ("-c", setting)]
    done = subprocess.run(["git", *options, *arguments], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, os.fsdecode(done.stderr)
    return os.fsdecode(done.stdout)
