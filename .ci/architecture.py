"""Draws the rooms of the three packages from their imports, for docs/architecture.md.

    .venv/bin/python .ci/architecture.py            # print the picture
    .venv/bin/python .ci/architecture.py --write    # put it between the marks of the page

A room is a package or module directly in one of the three. An arrow is drawn from a room to one that it imports,
unless a longer way of arrows leads there too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import grimp

PACKAGES = ("indexing_assets", "resources", "code_index")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"
MARKS = ("<!-- picture -->\n", "<!-- end of picture -->")


def rooms_and_arrows() -> tuple[dict[str, list[str]], set[tuple[str, str]]]:
    """The rooms of each package, and who imports whom; a package of modules only is one room."""
    graph = grimp.build_graph(*PACKAGES)
    rooms = {package: sorted(graph.find_children(package)) for package in PACKAGES}
    rooms["resources"] = ["resources"]
    room_of = {
        module: room
        for package, names in rooms.items()
        for room in names
        for module in graph.modules
        if module == room or module.startswith(f"{room}.")
    }
    arrows = {
        (room_of[importer], room_of[imported])
        for importer in room_of
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported in room_of and room_of[importer] != room_of[imported]
    }
    return rooms, arrows


def reduced(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows that no longer way stands for."""
    below: dict[str, set[str]] = {}
    for upper, lower in arrows:
        below.setdefault(upper, set()).add(lower)

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        ahead = list(below.get(start, ()))
        while ahead:
            room = ahead.pop()
            if room not in found:
                found.add(room)
                ahead += below.get(room, ())
        return found

    return {
        (upper, lower)
        for upper, lower in arrows
        if not any(lower in reached(between) for between in below[upper] - {lower})
    }


def picture() -> str:
    """The picture as a Mermaid flow chart, which code hosts draw."""
    rooms, arrows = rooms_and_arrows()
    lines = ["```mermaid", "flowchart TD"]
    for package, names in rooms.items():
        if names == [package]:
            lines.append(f"    {package}")
            continue
        lines.append(f"    subgraph {package}")
        lines += [f"        {name}[{name.partition('.')[2]}]" for name in names]
        lines.append("    end")
    lines += [f"    {upper} --> {lower}" for upper, lower in sorted(reduced(arrows))]
    return "\n".join([*lines, "```\n"])


def written(page: str) -> str:
    """The page with the picture between its marks."""
    before, _, rest = page.partition(MARKS[0])
    _, mark, after = rest.partition(MARKS[1])
    if not mark:
        sys.exit(f"{PAGE} lacks the marks {MARKS[0].strip()} and {MARKS[1]}.")
    return before + MARKS[0] + picture() + MARKS[1] + after


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(picture(), end="")
