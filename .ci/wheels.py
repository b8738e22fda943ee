"""Looks up on which systems and Pythons every dependency comes as a wheel, for docs/install.md. Nothing is installed.

    python -m pip install uv
    python .ci/wheels.py            # print the table
    python .ci/wheels.py --write    # put it between the marks of the page

uv resolves the dependencies as they would be on another system, from the registry's records: no wheel is downloaded. Where
one of them has none, the table names the first.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "install.md"
MARKS = ("<!-- wheels -->\n", "<!-- end of wheels -->")
SYSTEMS = {
    "Linux x86-64 (glibc 2.28)": "x86_64-manylinux_2_28",
    "Linux arm64 (glibc 2.28)": "aarch64-manylinux_2_28",
    "macOS 14, Apple processor": "aarch64-apple-darwin",
    "macOS 14, Intel": "x86_64-apple-darwin",
}
_OF_MACOS = "14.0"
_AT_ONCE = 4
# In uv's words.
_LACKING = re.compile(r"([\w.-]+?)(?:[=<>][^ ]*)? has no (?:usable )?wheels")


def pythons(project: dict[str, object]) -> list[str]:
    """The Pythons that the project names in its classifiers."""
    named = (re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", one) for one in project["classifiers"])
    return [found[1] for found in named if found]


def cell(requirements: list[str], platform: str, python: str) -> str:
    """`all`, or the first package without a wheel that uv meets; it stops there."""
    command = ("uv", "pip", "compile", "--quiet", "--no-config", "--only-binary", ":all:", "--no-header", "-")
    done = subprocess.run(
        [*command, "--python-platform", platform, "--python-version", python],
        input="\n".join(requirements),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": _OF_MACOS},
    )
    if done.returncode == 0:
        return "all"
    if (lacking := _LACKING.search(re.sub(r"\s+", " ", done.stderr))) is None:
        raise SystemExit(f"{platform}, Python {python}: {done.stderr}")
    return f"not `{lacking[1]}`"


def table() -> str:
    """The table, a row for each system and set of dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = pythons(project)
    extras = {name: more for name, more in project.get("optional-dependencies", {}).items() if name != "dev"}
    rows = ["| wheels for | " + " | ".join(versions) + " |", "|---" * (len(versions) + 1) + "|"]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for system, platform in SYSTEMS.items():
            for extra, more in {"": [], **extras}.items():
                needed = [*project["dependencies"], *more]
                cells = pool.map(cell, repeat(needed), repeat(platform), versions)
                rows.append(f"| {system}{f', with `[{extra}]`' if extra else ''} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Print the table, or write it into the page."""
    if sys.argv[1:] == ["--write"]:
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(MARKS[0])
        PAGE.write_text(before + MARKS[0] + table() + MARKS[1] + rest.split(MARKS[1])[1], encoding="utf-8")
    else:
        print(table(), end="")


if __name__ == "__main__":
    main()
