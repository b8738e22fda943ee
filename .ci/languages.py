"""Writes the list of languages in the README from the registry.

.venv/bin/python .ci/languages.py            # print the list
.venv/bin/python .ci/languages.py --write    # put it between the marks of the README
"""

from __future__ import annotations

import sys
from pathlib import Path

from code_index.chunking.file_type import TEXT
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.plain_languages import PLAIN_LANGUAGES
from code_index.chunking.registry import FORMATS, LANGUAGES

PAGE = Path(__file__).resolve().parents[1] / "README.md"
MARKS = ("<!-- languages -->\n", "<!-- end of languages -->")


def listed() -> str:
    """One line for each language and format, and one for those that are plain text."""
    kinds = sorted(
        (*LANGUAGES.values(), *(kind for kind in FORMATS.values() if kind.name != TEXT)),
        key=lambda kind: kind.title.lower(),
    )
    lines = ["| language | `--language` | read by |", "|---|---|---|"]
    for kind in kinds:
        how = "definitions" if kind.name in LANGUAGES else "structure"
        if isinstance(kind, FormatSpec) and kind.has_parts:
            how += " and parts in other languages"
        lines.append(f"| {kind.title} | `{kind.name}` | {how} |")
    plain = ", ".join(f"`{kind.name}`" for kind in sorted(PLAIN_LANGUAGES, key=lambda kind: kind.name))
    return "\n".join([*lines, f"| known by name | {plain} | text |", ""])


def written(page: str) -> str:
    """The page with the list between its marks."""
    before, _, rest = page.partition(MARKS[0])
    _, mark, after = rest.partition(MARKS[1])
    if not mark:
        sys.exit(f"{PAGE} lacks the marks {MARKS[0].strip()} and {MARKS[1]}.")
    return before + MARKS[0] + listed() + MARKS[1] + after


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(listed(), end="")
